"""Claude on Bedrock, behind InvokeModel: what it refuses of a body, and what it answers."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from fake_bedrock_rules import refused
from fake_provider import PIECE, THOUGHT, Json, wishes

__all__ = ["check_claude", "claude_events", "claude_message", "claude_turns", "last_said", "signature_of"]

NAMED = re.compile(r"claude-([a-z]+)-(\d)(?:-(\d))?(?!\d)")
NEEDED = ("anthropic_version", "max_tokens", "messages")
FIELDS = {
    "anthropic_version", "anthropic_beta", "max_tokens", "messages", "system", "stop_sequences", "temperature", "top_p",
    "top_k", "tools", "tool_choice", "thinking", "metadata",
}  # fmt: skip
# Betas -> the models that take them, by families and first and last version.
BETAS: dict[str, list[tuple[str, float, float]]] = {
    "computer-use-2025-01-24": [("opus sonnet haiku", 4.0, 4.5)],
    "computer-use-2025-11-24": [("opus", 4.5, 9), ("sonnet", 4.6, 9), ("haiku fable mythos", 5, 9)],
    "interleaved-thinking-2025-05-14": [("opus sonnet haiku fable mythos", 4.0, 9)],
    "fine-grained-tool-streaming-2025-05-14": [("opus sonnet haiku", 4.0, 4.5)],
    "token-efficient-tools-2025-02-19": [("opus sonnet haiku", 4.0, 4.5)],
    "dev-full-thinking-2025-05-14": [("opus sonnet haiku", 4.0, 4.5)],
    "context-1m-2025-08-07": [("sonnet", 4.0, 4.6), ("opus", 4.6, 4.6)],
    "context-management-2025-06-27": [("opus sonnet haiku fable mythos", 4.0, 9)],
    "effort-2025-11-24": [("opus", 4.5, 4.5)],
    "tool-search-tool-2025-10-19": [("opus sonnet", 4.5, 9), ("haiku fable mythos", 4.6, 9)],
    "tool-examples-2025-10-29": [("opus", 4.5, 4.5)],
    "compact-2026-01-12": [("opus sonnet haiku fable mythos", 4.6, 9)],
    "mid-conversation-tool-changes-2026-07-01": [("opus", 4.8, 9), ("fable mythos", 5, 9)],
    "mid-conversation-system-clear-at-2026-08-21": [("opus", 4.8, 9), ("fable mythos", 5, 9)],
    "mid-conversation-output-config-2026-07-01": [("opus", 5, 9), ("fable mythos", 5.1, 9), ("sonnet haiku", 5.5, 9)],
    "thinking-display-updates-2026-08-18": [("fable mythos", 5, 9), ("opus sonnet haiku", 5.5, 9)],
    "thinking-binding-controls-2026-08-01": [("opus sonnet haiku fable mythos", 5, 9)],
}
SYSTEM_TURNS = [("opus", 4.8, 9.0), ("fable mythos", 5, 9)]
EFFORT = [("opus", 4.5, 9.0), ("sonnet haiku fable mythos", 4.6, 9)]
STRUCTURED = [("opus sonnet haiku", 4.5, 4.6)]
CACHE_AT_THE_TOP = [("opus sonnet haiku fable mythos", 4.7, 9.0)]
CACHE_TTL = [("opus sonnet haiku fable mythos", 4.5, 9.0)]  # marks that say how long
CLIENT_TOOLS = re.compile(r"(?:bash|text_editor|memory|computer|tool_search_tool_(?:regex|bm25))_\d{8}")
TOOL_KEYS = {"type", "name", "description", "input_schema", "cache_control"}
BLOCKS = {
    "user": {"text", "image", "document", "search_result", "tool_result"},
    "assistant": {
        "text",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "server_tool_use",
        "tool_search_tool_result",
        "compaction",
    },
    "system": {"text", "tool_addition", "tool_removal"},
}
EXTRA = "Extra inputs are not permitted"
MOST_CACHE_MARKS = 4


def signature_of(thought: str) -> str:
    return base64.b64encode(hashlib.sha256(f"claude {thought}".encode()).digest() * 3).decode()


# -- what it refuses --


class _Model:
    def __init__(self, name: str) -> None:
        found = NAMED.search(name)
        assert found is not None, name
        self.family, self.version = found[1], float(f"{found[2]}.{found[3] or 0}")

    def takes(self, rows: list[tuple[str, float, float]]) -> bool:
        return any(self.family in families.split() and low <= self.version <= high for families, low, high in rows)


def check_claude(body: Any, name: str) -> None:
    """Raises Refused, in Claude's words."""
    model = _Model(name)
    betas = body.get("anthropic_beta", [])
    for field in NEEDED:
        if field not in body:
            raise refused(f"{field}: Field required")
    if body["anthropic_version"] != "bedrock-2023-05-31":
        raise refused("anthropic_version: Input should be 'bedrock-2023-05-31'")
    if not all(model.takes(BETAS.get(beta, [])) for beta in betas) or len(set(betas)) < len(betas):
        raise refused("invalid beta flag")
    allowed = FIELDS | _more_fields(body, model, betas)
    for field in body.keys() - allowed:
        raise refused(f"{field}: {EXTRA}")
    _check_thinking(body.get("thinking"), model, betas)
    _check_tools(body, model, betas)
    _check_system(body.get("system"), model)
    _check_messages(body["messages"], model, betas)
    if json.dumps(body).count('"cache_control"') > MOST_CACHE_MARKS:
        raise refused("A maximum of 4 blocks with cache_control may be provided.")


def _more_fields(body: Json, model: _Model, betas: list[str]) -> set[str]:
    fields = {"cache_control"} if model.takes(CACHE_AT_THE_TOP) else set()
    if any(beta.startswith(("context-management", "compact")) for beta in betas):
        fields.add("context_management")
        for edit in body.get("context_management", {}).get("edits", []):
            needed = "compact" if edit["type"].startswith("compact") else "context-management"
            if not any(beta.startswith(needed) for beta in betas):
                raise refused(f"context_management.edits.0: Input tag '{edit['type']}' found")
    config = body.get("output_config", {})
    fields |= {"output_config"} if model.takes(EFFORT) or model.takes(STRUCTURED) else set()
    allowed = {"effort"} if model.takes(EFFORT) and (model.version > 4.5 or "effort-2025-11-24" in betas) else set()
    for key in config.keys() - allowed - ({"format"} if model.takes(STRUCTURED) else set()):
        raise refused(f"output_config.{key}: {EXTRA}")
    return fields


def _check_thinking(thinking: Any, model: _Model, betas: list[str]) -> None:
    if thinking is None:
        return
    if thinking["type"] == "enabled" and model.version >= 4.7:
        raise refused('"thinking.type.enabled" is not supported for this model.')
    if thinking["type"] == "adaptive" and model.version < 4.6:
        raise refused("adaptive thinking is not supported on this model")
    if thinking.get("display") == "updates" and "thinking-display-updates-2026-08-18" not in betas:
        raise refused("thinking.adaptive.display: Input should be 'summarized' or 'omitted'")
    for key in thinking.keys() - {"type", "budget_tokens", "display"}:
        if key != "block_binding" or "thinking-binding-controls-2026-08-01" not in betas:
            raise refused(f"thinking.{thinking['type']}.{key}: {EXTRA}")


def _check_tools(body: Json, model: _Model, betas: list[str]) -> None:
    search = "tool-search-tool-2025-10-19" in betas
    allowed = TOOL_KEYS | ({"defer_loading"} if search else set()) | ({"strict"} if model.takes(STRUCTURED) else set())
    allowed |= {"input_examples"} if "tool-examples-2025-10-29" in betas else set()
    allowed |= {"eager_input_streaming"} if model.version >= 4.6 else set()
    for at, tool in enumerate(body.get("tools", [])):
        kind = tool.get("type", "custom")
        if kind != "custom" and not CLIENT_TOOLS.fullmatch(kind):
            raise refused(f"tools.{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
        if kind.startswith("tool_search") and not search:
            raise refused(f"tools.{at}: tool type '{kind}' is not supported for this model")
        if kind.startswith("computer") and f"computer-use-{kind[-8:-4]}-{kind[-4:-2]}-{kind[-2:]}" not in betas:
            raise refused(f"tools.{at}: '{kind}' does not match any of the expected tags")
        if kind == "custom":
            for key in tool.keys() - allowed:
                raise refused(f"tools.{at}.custom.{key}: {EXTRA}")
            if tool["input_schema"].get("type") != "object":
                raise refused(f"tools.{at}.custom.input_schema.type: Input should be 'object'")
        _check_cache(tool, f"tools.{at}.custom", model)
    choice = body.get("tool_choice")
    if choice is not None and not body.get("tools"):
        raise refused("tool_choice: may only be specified while providing `tools`")
    if choice and choice["type"] == "tool" and choice["name"] not in [tool["name"] for tool in body["tools"]]:
        raise refused(f"Tool '{choice['name']}' not found in provided tools")


def _check_system(system: Any, model: _Model) -> None:
    for at, block in enumerate(system if isinstance(system, list) else []):
        _check_cache(block, f"system.{at}", model)
    if "x-anthropic-billing-header" in json.dumps(system):
        raise refused("x-anthropic-billing-header is a reserved keyword and may not be used in the system prompt.")


def _check_cache(block: Json, path: str, model: _Model) -> None:
    mark = block.get("cache_control") or {}
    for key in mark.keys() - {"type"} - ({"ttl"} if model.takes(CACHE_TTL) else set()):
        raise refused(f"{path}.cache_control.ephemeral.{key}: {EXTRA}")


def _check_messages(messages: list[Json], model: _Model, betas: list[str]) -> None:
    if not messages or messages[0]["role"] != "user":
        raise refused('messages: first message must use the "user" role')
    open_calls: list[str] = []
    for at, message in enumerate(messages):
        path, role = f"messages.{at}", message["role"]
        if role == "system" and not model.takes(SYSTEM_TURNS):
            raise refused(f"{path}: role 'system' is not supported on this model")
        allowed = {"role", "content"}
        allowed |= {"output_config"} if "mid-conversation-output-config-2026-07-01" in betas else set()
        allowed |= {"clear_at"} if "mid-conversation-system-clear-at-2026-08-21" in betas else set()
        for key in message.keys() - allowed:
            raise refused(f"{path}.{key}: {EXTRA}")
        blocks = _blocks(message)
        if not blocks and not message.get("output_config"):
            raise refused(f"{path}: all messages must have non-empty content")
        for number, block in enumerate(blocks):
            _check_block(block, f"{path}.content.{number}", role, betas, model)
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if role != "system":
            if set(results) != set(open_calls) and (open_calls or results):
                raise refused(f"{path}: `tool_use` ids were found without `tool_result` blocks immediately after")
            open_calls = [block["id"] for block in blocks if block["type"] == "tool_use"]


def _check_block(block: Json, path: str, role: str, betas: list[str], model: _Model) -> None:
    kind = block["type"]
    if kind == "tool_reference" and "tool-search-tool-2025-10-19" in betas:
        return
    if kind not in BLOCKS[role]:
        raise refused(f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    if kind.startswith("tool_") and kind in BLOCKS["system"] and not any("tool-changes" in beta for beta in betas):
        raise refused(f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    if kind == "compaction" and not any(beta.startswith("compact-") for beta in betas):
        raise refused(f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    _check_cache(block, f"{path}.{kind}", model)
    if kind == "text" and not block["text"].strip():
        raise refused(f"{path}: text content blocks must contain non-whitespace text")
    if kind == "thinking" and block["signature"] != signature_of(block["thinking"]):
        raise refused(f"{path}: Invalid `signature` in `thinking` block")
    if kind in ("image", "document"):
        source = block["source"]["type"]
        if source not in ("base64", "text", "content"):
            raise refused(f"{path}.{kind}.source: Input tag '{source}' found using 'type' does not match")
    if kind == "tool_result" and isinstance(block.get("content"), list):
        for number, inner in enumerate(block["content"]):
            _check_block(inner, f"{path}.content.{number}", "user", betas, model)


# -- what it answers --


def claude_message(body: Json, model: str) -> Json:
    """The whole reply."""
    content: list[Json] = []
    if body.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        content.append({"type": "thinking", "thinking": THOUGHT, "signature": signature_of(THOUGHT)})
    results = _results(body)
    calls = [] if results or body.get("tool_choice", {}).get("type") == "none" else _calls(body)
    if results:
        text = f"It says: {' | '.join(results)}"
    else:
        text = "I shall look." if calls else f"You said: {last_said(body)}"
    content += [{"type": "text", "text": text}, *calls]
    return {
        "model": model.rpartition("anthropic.")[2],
        "id": "msg_bdrk_01FakeBedrock",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": _usage(body, content),
    }


def claude_events(message: Json) -> Iterator[Json]:
    """The same, streamed: a block after another."""
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    for at, block in enumerate(message["content"]):
        yield {"type": "content_block_start", "index": at, "content_block": _empty(block)}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": at, "delta": delta}
        yield {"type": "content_block_stop", "index": at}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}


def _empty(block: Json) -> Json:
    if block["type"] == "tool_use":
        return {**block, "input": {}}
    return {"type": "text", "text": ""} if block["type"] == "text" else {**block, "thinking": "", "signature": ""}


def _deltas(block: Json) -> Iterator[Json]:
    match block:
        case {"type": "text", "text": text}:
            yield from ({"type": "text_delta", "text": piece} for piece in _pieces(text))
        case {"type": "thinking", "thinking": thought, "signature": signature}:
            yield from ({"type": "thinking_delta", "thinking": piece} for piece in _pieces(thought))
            yield {"type": "signature_delta", "signature": signature}
        case {"type": "tool_use", "input": given}:
            pieces = ["", *_pieces(json.dumps(given, ensure_ascii=False))]
            yield from ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)


def _pieces(text: str) -> list[str]:
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def _usage(body: Json, content: list[Json]) -> Json:
    read = [body.get(name) for name in ("system", "tools", "messages")]
    prompt, output = len(json.dumps(read)) // 4, len(json.dumps(content)) // 4
    return {
        "input_tokens": prompt - prompt // 2,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": prompt // 2,
        "output_tokens": output,
    }


def _calls(body: Json) -> list[Json]:
    turn = len(body["messages"])
    asked = wishes(last_said(body), (tool["name"] for tool in body.get("tools", [])))
    return [
        {"type": "tool_use", "id": f"toolu_bdrk_{turn}_{at}", "name": name, "input": given}
        for at, (name, given) in enumerate(asked)
    ]


def _since(body: Json) -> list[Json]:
    """Blocks of all that was said since the model last spoke."""
    messages = body["messages"]
    since = next((at for at in range(len(messages), 0, -1) if messages[at - 1]["role"] == "assistant"), 0)
    return [block for message in messages[since:] if message["role"] == "user" for block in _blocks(message)]


def _results(body: Json) -> list[str]:
    return [
        content if isinstance(content := block.get("content", ""), str) else "".join(b.get("text", "") for b in content)
        for block in _since(body)
        if block["type"] == "tool_result"
    ]


def last_said(body: Json) -> str:
    return " ".join(block["text"] for block in _since(body) if block["type"] == "text")


def claude_turns(body: Json) -> list[Json]:
    """Turns in one form, without the marks for the cache, which move on as a conversation grows."""
    return [
        {
            "role": message["role"],
            "content": [
                {name: part for name, part in block.items() if name != "cache_control"} for block in _blocks(message)
            ],
        }
        for message in body["messages"]
    ]


def _blocks(message: Json) -> list[Json]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
