"""What of a history only the API itself reads, told again in text, for a model of another maker.

A summary (`compaction`) is all that the model has of what came before it: it goes on as what a user says, and what it
stands for goes, as with the API. Calls and results of tools that the API ran by itself (web search, code execution,
MCP's tools ...) become a note in the turn that made them, with all of them that can be read; marks that change the
tools in the middle are left out. So a conversation may move to any model, and none is refused for what another wrote.
Works on plain JSON, in front of the rules. Pure; imports only `provenance`.

Source: types of the package anthropic 2.11 (BetaContentBlockParam), and "Compaction", "MCP connector", "Advisor tool"
and "Refusals and fallback" of Anthropic's documentation, read 2026-11-22.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from .provenance import is_marked_search

__all__ = ["note", "retold"]

JSON = dict[str, Any]
SUMMARY = "Summary of the conversation so far:\n\n"
GO_ON: JSON = {"role": "user", "content": "Go on."}  # what resumes a turn that was paused
# Types of blocks that no other model reads and that say nothing; whether that is a loss. A `fallback` is not read by
# the API's own models either.
UNTOLD = {"tool_addition": True, "tool_removal": True, "mcp_tool_listing": True, "fallback": False}
CALLS = frozenset({"mcp_tool_use", "server_tool_use"})
RESULT = "_tool_result"  # what types of results end in
# Results of which nothing is lost where all of them can be read. Of others, what they mean may not be in their text.
TEXTUAL = frozenset(
    """
    web_search_tool_result web_fetch_tool_result code_execution_tool_result bash_code_execution_tool_result
    text_editor_code_execution_tool_result tool_search_tool_result
    """.split()
)
# Fields of a result that tell nothing, and those that are told without their name.
SILENT = frozenset({"type", "caller", "cache_control", "citations", "retrieved_at", "media_type", "signature"})
NAMELESS = frozenset({"text", "content", "data", "tool_references"})
DEEPEST = 20  # levels of a result that are read: a known one has four
SEALED = "encrypted_"  # what names of fields begin with that only the API can read


def retold(messages: list[Any]) -> tuple[list[Any], list[str]]:
    """The history as others can read it, and the types of what is lost by that, each once. What is no message, or no
    block, stays as it is, for the rules to refuse; so does a search of another maker's, for its dialect."""
    lost: dict[str, None] = {}
    since = _since_the_summary(messages, lost)
    told = _resumed(since, _Notes(since, lost).told())
    return (messages if told == messages else told), list(lost)


def _blocks(message: Any) -> list[Any]:
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, list) else []


def _kind(block: Any) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) else ""


# -- summaries --


def _since_the_summary(messages: list[Any], lost: dict[str, None]) -> list[Any]:
    """With the last summary in the place of what it stands for."""
    for at in reversed(range(len(messages))):
        blocks = _blocks(messages[at])
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


def _is_result(block: Any) -> bool:
    return _kind(block).endswith(RESULT)


def _is_foreign(block: Any) -> bool:
    kind = _kind(block)
    return (
        kind in CALLS or kind in UNTOLD or kind == "compaction" or (_is_result(block) and not is_marked_search(block))
    )


def _is_said(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") == "assistant"


def _is_silent(message: Any) -> bool:
    """An assistant that said nothing: there are models, and other gateways, that leave such turns in a history, and it
    would be refused for ever (pain 3)."""
    content = message.get("content") if _is_said(message) else None
    return content == [] or (isinstance(content, str) and not content.strip())


def _is_blank(block: Any) -> bool:
    text = block.get("text") if _kind(block) == "text" else None
    return isinstance(text, str) and not text.strip()


def _id(block: Any, field: str) -> str | None:
    value = block.get(field)
    return value if isinstance(value, str) else None


class _Notes:
    """The messages, with notes in the place of what only the API reads. A result may stand turns behind its call, where
    a tool of the caller's was called beside it: the note stands in the place of the result."""

    def __init__(self, messages: list[Any], lost: dict[str, None]) -> None:
        self._messages = messages
        self._lost = lost
        self._calls: dict[str, Any] = {}
        self._answered: set[str] = set()  # calls that stand in their result
        self._kept: set[str] = set()  # and those that are for the dialects, as their results are
        for block in (block for message in messages for block in _blocks(message)):
            if _kind(block) in CALLS and (call_id := _id(block, "id")) is not None:
                self._calls[call_id] = block
            elif _is_result(block) and (call_id := _id(block, "tool_use_id")) in self._calls:
                (self._kept if is_marked_search(block) else self._answered).add(str(call_id))

    def told(self) -> list[Any]:
        """A message of which nothing is left is None."""
        return [self._told(message) for message in self._messages]

    def _told(self, message: Any) -> Any:
        if _is_silent(message):
            return None
        blocks, is_said = _blocks(message), _is_said(message)
        if not any(_is_foreign(block) or (is_said and _is_blank(block)) for block in blocks):
            return message
        told = [each for block in blocks if not (is_said and _is_blank(block)) for each in self._retold(block)]
        return {**message, "content": told} if told else None

    def _retold(self, block: Any) -> Iterator[Any]:
        kind = _kind(block)
        if not _is_foreign(block):
            yield block
        elif kind == "compaction":  # there was nothing to sum up, or nothing that could be read; or it was told later
            if block.get("encrypted_content"):
                self._lost[kind] = None
        elif kind in UNTOLD:
            self._lost |= dict.fromkeys([kind] if UNTOLD[kind] else [])
        elif kind in CALLS:
            yield from self._call(block)
        else:
            call = self._calls.get(_id(block, "tool_use_id") or "")
            self._note_lost(call, block)
            yield _text(note(call, block), block, call or {})

    def _call(self, call: Any) -> Iterator[Any]:
        call_id = _id(call, "id")
        if call_id in self._kept:
            yield call
        elif call_id not in self._answered:
            self._lost[_kind(call)] = None
            yield _text(note(call), call)

    def _note_lost(self, call: Any, result: Any) -> None:
        kind = _kind(result)
        if kind not in TEXTUAL:
            self._lost |= dict.fromkeys([kind] if call is None else [_kind(call), kind])
        elif _holds_more(result.get("content")):
            self._lost[kind] = None


def _resumed(before: list[Any], told: list[Any]) -> list[Any]:
    """Without those of which nothing is left. A turn that stood still behind a tool of the API's is gone on with when
    it comes back as it is: for others somebody has to say so."""
    out: list[Any] = []
    for at, (was, now) in enumerate(zip(before, told, strict=True)):
        if now is None:
            continue
        out.append(now)
        blocks = _blocks(was)
        after = before[at + 1] if at + 1 < len(before) else {"role": "system"}
        if blocks and _is_paused(was, blocks[-1]) and isinstance(after, dict) and after.get("role") == "system":
            out.append(dict(GO_ON))
    return out


def _is_paused(message: Any, last: Any) -> bool:
    return message.get("role") == "assistant" and _is_foreign(last) and (_kind(last) in CALLS or _is_result(last))


def _text(text: str, *marked: Mapping[str, Any]) -> JSON:
    """With the mark for the cache that one of the blocks bore."""
    marks = [mark for block in marked if (mark := block.get("cache_control")) is not None]
    return {"type": "text", "text": text, **({"cache_control": marks[0]} if marks else {})}


# -- notes --


def note(call: Mapping[str, Any] | None, result: Mapping[str, Any] | None = None) -> str:
    """What was called, and what came of it, as far as it can be read; one of the two may not be known. On lines of its
    own: some dialects make one text of all texts of a turn."""
    if call is None:
        named = "A tool was called"
    else:
        server = call.get("server_name")
        of_server = f" of the server {server}" if isinstance(server, str) else ""
        named = f"The tool {call.get('name')}{of_server} was called with {_json(call.get('input', {}))}"
    if result is None:
        return f"\n[{named}.]\n"
    answer = _answer(result.get("content"))
    if result.get("is_error") is True:
        return f"\n[{named} and failed: {answer or 'no reason was given'}]\n"
    return f"\n[{named} and answered: {answer or 'nothing that can be read here'}]\n"


def _answer(content: Any, levels: int = DEEPEST) -> str:
    """All of a result that can be read, whatever its form: a line for each field that says something."""
    if isinstance(content, str):
        return content
    if isinstance(content, bool | int | float):
        return _json(content)
    if isinstance(content, list) and levels:
        return "\n".join(text for each in content if (text := _answer(each, levels - 1)))
    if not isinstance(content, dict) or not levels:
        return ""
    if isinstance(code := content.get("error_code"), str):
        reason = content.get("error_message")
        return f"error {code}: {reason}" if isinstance(reason, str) and reason else f"error {code}"
    if _is_binary(content):
        return ""
    told = ((name, _answer(value, levels - 1)) for name, value in content.items() if _says(name))
    return "\n".join(text if name in NAMELESS else _named(name, text) for name, text in told if text)


def _says(name: str) -> bool:
    return name not in SILENT and not name.startswith(SEALED)


def _named(name: str, text: str) -> str:
    if name == "source":  # of a document
        return text
    return f"{name}:\n{text}" if "\n" in text else f"{name}: {text}"


def _is_binary(content: Mapping[str, Any]) -> bool:
    """A source of bytes: an image, a PDF."""
    return content.get("type") == "base64"


def _holds_more(content: Any, levels: int = DEEPEST) -> bool:
    """Whether there is something in a result that cannot be read."""
    if not isinstance(content, list | dict):
        return False
    if not levels:
        return True
    if isinstance(content, list):
        return any(_holds_more(each, levels - 1) for each in content)
    return _is_binary(content) or any(
        bool(value) if name.startswith(SEALED) else _holds_more(value, levels - 1) for name, value in content.items()
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
