"""Clears a request's history before it is read, as its `context_management` asks; the caller's own copy stays whole.

Pure. Imports only `wire` and this folder.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from dragoman.wire.contexts import ClearThinking, ClearToolUses, Compact, Edit, InputTokens, ThinkingTurns, ToolUses
from dragoman.wire.tools import JsonObject
from dragoman.wire.turns import blocks_of, merged
from dragoman.wire.types import (
    Block,
    Compaction,
    CountTokensRequest,
    InputMessage,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)

from .prompt import shortened

__all__ = ["Managed", "manage", "since_compaction", "summary"]

CLEARED = "[cleared to save context]"  # what stands in the place of a result
TRIGGER_TOKENS = 100_000
KEPT_TOOL_USES = 3
COMPACT_TOKENS = 150_000
SUMMED_UP = 20  # texts in a summary

Request = TypeVar("Request", bound=CountTokensRequest)


class Managed(Struct, frozen=True, kw_only=True):
    """A request as its edits leave it."""

    messages: list[InputMessage]
    applied: list[JsonObject]  # the reply's `context_management.applied_edits`
    compact: Compact | None = None  # the edit that asks for a summary now


def since_compaction(request: Request) -> Request:
    """The request without what its last compaction block sums up: that block stands in its place."""
    for index in reversed(range(len(request.messages))):
        blocks = blocks_of(request.messages[index])
        for at in reversed(range(len(blocks))):
            block = blocks[at]
            if isinstance(block, Compaction) and block.content is not None:
                first = replace(request.messages[index], content=list(blocks[at:]))
                return replace(request, messages=[first, *request.messages[index + 1 :]])
    return request


def manage(request: CountTokensRequest, *, measure: Callable[[list[InputMessage]], int]) -> Managed:
    """Apply the edits in order; `measure` gives the input tokens of the request with other messages."""
    messages, applied, compact = request.messages, [], None
    for edit in _edits(request):
        if isinstance(edit, Compact):
            trigger = edit.trigger.value if edit.trigger else COMPACT_TOKENS
            compact = edit if measure(messages) > trigger else None
            continue
        edited, told = (
            _clear_thinking(edit, messages)
            if isinstance(edit, ClearThinking)
            else _clear_tools(edit, messages, measure)
        )
        if told is not None:
            applied.append({**told, "cleared_input_tokens": measure(messages) - measure(edited)})
            messages = edited
    return Managed(messages=messages, applied=applied, compact=compact)


def _edits(request: CountTokensRequest) -> Sequence[Edit]:
    return (request.context_management.edits if request.context_management else None) or ()


def _clear_thinking(edit: ClearThinking, messages: list[InputMessage]) -> tuple[list[InputMessage], JsonObject | None]:
    keep = 1 if edit.keep is None else edit.keep.value if isinstance(edit.keep, ThinkingTurns) else None
    if keep is None:
        return messages, None
    thinking = [
        turn
        for turn in merged(messages)
        if turn.role == "assistant" and any(isinstance(p.value, Thinking | RedactedThinking) for p in turn.blocks)
    ]
    cleared = thinking[:-keep]
    if not cleared:
        return messages, None
    gone = {id(p.value) for turn in cleared for p in turn.blocks if isinstance(p.value, Thinking | RedactedThinking)}
    edited = _mapped(messages, lambda block: None if id(block) in gone else block)
    return edited, {"type": "clear_thinking_20251015", "cleared_thinking_turns": len(cleared)}


def _clear_tools(
    edit: ClearToolUses, messages: list[InputMessage], measure: Callable[[list[InputMessage]], int]
) -> tuple[list[InputMessage], JsonObject | None]:
    answered = {b.tool_use_id for message in messages for b in blocks_of(message) if isinstance(b, ToolResult)}
    calls = [b for message in messages for b in blocks_of(message) if isinstance(b, ToolUse) and b.id in answered]
    if not _is_due(edit, calls, messages, measure):
        return messages, None
    keep = KEPT_TOOL_USES if edit.keep is None else edit.keep.value
    oldest = calls[: len(calls) - keep] if keep < len(calls) else []
    spared = frozenset(edit.exclude_tools or ())
    cleared = {call.id: call for call in oldest if call.name not in spared}
    clears_input = _inputs_to_clear(edit)

    def edited(block: Block) -> Block:
        if isinstance(block, ToolResult) and block.tool_use_id in cleared:
            return replace(block, content=CLEARED)
        if isinstance(block, ToolUse) and block.id in cleared and clears_input(block.name):
            return replace(block, input={})
        return block

    after = _mapped(messages, edited)
    enough = edit.clear_at_least.value if edit.clear_at_least else 1
    if not cleared or measure(messages) - measure(after) < enough:
        return messages, None
    return after, {"type": "clear_tool_uses_20250919", "cleared_tool_uses": len(cleared)}


def _is_due(
    edit: ClearToolUses,
    calls: Sequence[ToolUse],
    messages: list[InputMessage],
    measure: Callable[[list[InputMessage]], int],
) -> bool:
    match edit.trigger:
        case ToolUses(value=value):
            return len(calls) > value
        case InputTokens(value=value):
            return measure(messages) > value
        case _:
            return measure(messages) > TRIGGER_TOKENS


def _inputs_to_clear(edit: ClearToolUses) -> Callable[[str], bool]:
    """Whether the input of a tool's calls goes too."""
    wanted = edit.clear_tool_inputs
    if isinstance(wanted, list):
        return frozenset(wanted).__contains__
    return lambda name: bool(wanted)


def _mapped(messages: list[InputMessage], change: Callable[[Block], Block | None]) -> list[InputMessage]:
    """The messages with each block changed, or left out where the change is None."""
    edited: list[InputMessage] = []
    for message in messages:
        if isinstance(message.content, str):
            edited.append(message)
            continue
        blocks = [changed for block in message.content if (changed := change(block)) is not None]
        edited.append(replace(message, content=blocks or [Text(text=CLEARED)]))
    return edited


def summary(messages: Sequence[InputMessage], edit: Compact) -> str:
    """What a compaction block says of the conversation."""
    said = [
        f"{message.role}: {shortened(block.text)}"
        for message in messages
        for block in blocks_of(message)
        if isinstance(block, Text)
    ]
    left_out = len(said) - SUMMED_UP
    if left_out > 0:
        said = [*said[: SUMMED_UP // 2], f"({left_out} more)", *said[-SUMMED_UP // 2 :]]
    told = [f"Instructions: {shortened(edit.instructions)}"] if edit.instructions else []
    return "\n".join([f"Summary of {len(messages)} messages, by dragoman's offline engine:", *said, *told])
