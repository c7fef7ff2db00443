"""What of a history only the API itself reads, told again in text, for a model of another maker.

A summary (`compaction`) is all that the model has of what came before it: it goes on as what a user says, and what it
stands for goes, as with the API. Calls and results of tools that the API ran by itself, of types that no rule here
knows (MCP's, the advisor's), become a note in the turn that made them; marks that change the tools in the middle are
left out. So a conversation may move to any model, and none is refused for what another wrote. Works on plain JSON, in
front of the rules. Pure; imports nothing of this package.

Source: types of the package anthropic 2.11 (BetaContentBlockParam), and "Compaction", "MCP connector", "Advisor tool"
and "Refusals and fallback" of Anthropic's documentation, read 2026-11-22.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["retold"]

JSON = dict[str, Any]
SUMMARY = "Summary of the conversation so far:\n\n"
# Types of blocks that no other model reads and that say nothing; whether that is a loss. A `fallback` is not read by
# the API's own models either.
UNTOLD = {"tool_addition": True, "tool_removal": True, "mcp_tool_listing": True, "fallback": False}
CALLS = frozenset({"mcp_tool_use", "server_tool_use"})
RESULT = "_tool_result"  # what types of results end in
# Results that have types of ours: each dialect tells itself what becomes of them.
KNOWN_RESULTS = frozenset(
    """
    web_search_tool_result web_fetch_tool_result code_execution_tool_result bash_code_execution_tool_result
    text_editor_code_execution_tool_result tool_search_tool_result
    """.split()
)


def retold(messages: list[Any]) -> tuple[list[Any], list[str]]:
    """The history as others can read it, and the types of what is lost by that, each once. What is no message, or no
    block, stays as it is, for the rules to refuse."""
    lost: dict[str, None] = {}
    told = [kept for message in _since_the_summary(messages, lost) if (kept := _told(message, lost)) is not None]
    return (messages if told == messages else told), list(lost)


def _blocks(message: Any) -> list[Any] | None:
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, list) else None


def _kind(block: Any) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) else ""


# -- summaries --


def _since_the_summary(messages: list[Any], lost: dict[str, None]) -> list[Any]:
    """With the last summary in the place of what it stands for."""
    for at in reversed(range(len(messages))):
        blocks = _blocks(messages[at]) or []
        for place in reversed(range(len(blocks))):
            block = blocks[place]
            text = block.get("content") if _kind(block) == "compaction" else None
            if not isinstance(text, str) or not text:
                continue
            if block.get("tool_changes"):
                lost["compaction.tool_changes"] = None
            said = {"role": "user", "content": [_text(SUMMARY + text, block)]}
            rest = {**messages[at], "content": blocks[place + 1 :]}
            return [said, *([rest] if rest["content"] else []), *messages[at + 1 :]]
    return messages


# -- tools --


def _told(message: Any, lost: dict[str, None]) -> Any:
    """None for a message of which nothing is left."""
    blocks = _blocks(message)
    if not blocks or not any(_is_foreign(block) for block in blocks):
        return message
    told = [each for block in _paired(blocks) for each in _retold(block, lost)]
    return {**message, "content": told} if told else None


def _is_foreign(block: Any) -> bool:
    kind = _kind(block)
    is_result = kind.endswith(RESULT) and kind not in KNOWN_RESULTS
    return is_result or kind in UNTOLD or kind in ("mcp_tool_use", "compaction")


class _Pair(dict[str, Any]):
    """A result, with the call that it answers, if that is there."""

    call: Mapping[str, Any] | None = None


def _paired(blocks: Iterable[Any]) -> Iterator[Any]:
    """The blocks, each foreign result with its call, which does not stand for itself any more."""
    blocks = list(blocks)
    calls = {block["id"]: block for block in blocks if _kind(block) in CALLS and isinstance(block.get("id"), str)}
    answered: set[int] = set()
    pairs: dict[int, _Pair] = {}
    for at, block in enumerate(blocks):
        if _is_foreign(block) and _kind(block).endswith(RESULT):
            pairs[at] = _Pair(block)
            pairs[at].call = call = calls.get(str(block.get("tool_use_id")))
            answered.add(id(call))
    return (pairs.get(at, block) for at, block in enumerate(blocks) if id(block) not in answered)


def _retold(block: Any, lost: dict[str, None]) -> Iterator[Any]:
    kind = _kind(block)
    if not _is_foreign(block):
        yield block
    elif kind == "compaction":  # there was nothing to sum up, or nothing that could be read; or it was told later
        if block.get("encrypted_content"):
            lost[kind] = None
    elif kind in UNTOLD:
        lost |= dict.fromkeys([kind] if UNTOLD[kind] else [])
    else:
        call = getattr(block, "call", None) if isinstance(block, _Pair) else block
        lost |= dict.fromkeys(_kind(each) for each in (call, block) if each is not None)
        yield _text(_note(call, block if isinstance(block, _Pair) else None), block, call or {})


def _text(text: str, *marked: Mapping[str, Any]) -> JSON:
    """With the mark for the cache that one of the blocks bore."""
    marks = [mark for block in marked if (mark := block.get("cache_control")) is not None]
    return {"type": "text", "text": text, **({"cache_control": marks[0]} if marks else {})}


def _note(call: Mapping[str, Any] | None, result: Mapping[str, Any] | None) -> str:
    if call is None:
        named = "A tool was called"
    else:
        server = call.get("server_name")
        of_server = f" of the server {server}" if isinstance(server, str) else ""
        named = f"The tool {call.get('name')}{of_server} was called with {_json(call.get('input', {}))}"
    if result is None:
        return f"[{named}.]"
    answer = _answer(result.get("content"))
    if result.get("is_error") is True:
        return f"[{named} and failed: {answer or 'no reason was given'}]"
    return f"[{named} and answered: {answer or 'nothing that can be read here'}]"


def _answer(content: Any) -> str:
    """The text of a result, whatever its form."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(text for each in content if (text := _answer(each)))
    if not isinstance(content, dict):
        return ""
    if isinstance(code := content.get("error_code"), str):
        return f"error {code}"
    said = content.get("text")
    return said if isinstance(said, str) else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
