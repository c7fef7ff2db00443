"""Rules about the API's own tools in a conversation: their calls, their results, and turns that wait for them.

Source: spec MSG-78, MSG-87, TOOL-62 to 65. Pure; imports only this folder and the error tree.
"""

from collections.abc import Iterator, Sequence

from dragoman.errors import InvalidRequest

from .turns import Placed, Turn, merged
from .types import CountTokensRequest, ServerToolResult, ServerToolUse, ToolResult, ToolUse

__all__ = ["check_server_turns"]

# Name of a call -> the type of its result block, and the tool that must be offered for it to go on.
RESULTS = {
    "web_search": ("web_search_tool_result", "web_search"),
    "web_fetch": ("web_fetch_tool_result", "web_fetch"),
    "code_execution": ("code_execution_tool_result", "code_execution"),
    "bash_code_execution": ("bash_code_execution_tool_result", "code_execution"),
    "text_editor_code_execution": ("text_editor_code_execution_tool_result", "code_execution"),
    "tool_search_tool_regex": ("tool_search_tool_result", "tool_search_tool_regex"),
    "tool_search_tool_bm25": ("tool_search_tool_result", "tool_search_tool_bm25"),
}


def check_server_turns(request: CountTokensRequest) -> None:
    """Raise InvalidRequest for calls without results, results without calls, and turns that cannot go on."""
    turns = merged(request.messages)
    for turn, after in zip(turns, [*turns[1:], None], strict=True):
        if after is not None and _waits_for_results_only(turn):
            _check_holds_only_results(after)
    waiting = _check_pairs(turns)
    last = turns[-1]
    if last.role == "assistant":
        _check_can_go_on(request, last, waiting)
        return
    # What the server began beside a client's call it ends when that call is answered (MSG-87).
    may_wait = turns[-2].blocks if len(turns) > 1 and _waits_for_results_only(turns[-2]) else []
    ids = {id(placed.value) for placed in may_wait}
    for placed in waiting:
        if id(placed.value) not in ids:
            raise _unanswered(placed)


def _check_pairs(turns: Sequence[Turn]) -> list[Placed]:
    """Each result has its call before it (MSG-82 for the server's tools). Returns the calls that have no result."""
    calls: dict[str, Placed] = {}
    for turn in turns:
        for placed in turn.blocks:
            block = placed.value
            if isinstance(block, ServerToolUse):
                calls[block.id] = placed
            elif isinstance(block, ServerToolResult):
                _check_answers(placed, block, calls.pop(block.tool_use_id, None))
    return list(calls.values())


def _check_answers(placed: Placed, result: ServerToolResult, call: Placed | None) -> None:
    kind = str(result.__struct_config__.tag)
    if call is None:
        raise InvalidRequest(
            f"{placed.path}: unexpected `tool_use_id` found in `{kind}` blocks: {result.tool_use_id}. Each "
            f"`{kind}` block must have a corresponding `server_tool_use` block before it."
        )
    assert isinstance(call.value, ServerToolUse)
    if RESULTS.get(call.value.name, (kind, ""))[0] != kind:
        raise _unanswered(call)


def _waits_for_results_only(turn: Turn) -> bool:
    """Whether server work stands still in this turn until a client's calls are answered (MSG-87, TOOL-65)."""
    if turn.role != "assistant":
        return False
    answered = {p.value.tool_use_id for p in turn.blocks if isinstance(p.value, ServerToolResult)}
    is_mixed = any(isinstance(p.value, ServerToolUse) and p.value.id not in answered for p in turn.blocks)
    calls = [placed.value for placed in turn.blocks if isinstance(placed.value, ToolUse)]
    by_code = any(call.caller is not None and call.caller.type != "direct" for call in calls)
    return bool(calls) and (is_mixed or by_code)


def _check_holds_only_results(turn: Turn) -> None:
    for placed in turn.blocks:
        if not isinstance(placed.value, ToolResult):
            kind = placed.value.__struct_config__.tag
            raise InvalidRequest(
                f"{placed.path}: the turn before waits for the results of its client tools, so this one may hold only "
                f"`tool_result` blocks, but found `{kind}`."
            )


def _check_can_go_on(request: CountTokensRequest, last: Turn, waiting: Sequence[Placed]) -> None:
    """A paused turn is resumed with the same tools; a call may wait only at its end (TOOL-64)."""
    offered = {getattr(tool, "name", None) for tool in request.tools or ()}
    for placed in waiting:
        if placed is not last.blocks[-1]:
            raise _unanswered(placed)
    if not last.blocks or not isinstance(last.blocks[-1].value, ServerToolUse | ServerToolResult):
        return
    for name in _server_names(last):
        tool = RESULTS.get(name, ("", name))[1]
        if tool not in offered:
            raise InvalidRequest(
                f"messages.{last.last}: the turn to be continued holds a `{name}` tool use, but no `{tool}` tool was "
                "provided"
            )


def _server_names(turn: Turn) -> Iterator[str]:
    return (placed.value.name for placed in turn.blocks if isinstance(placed.value, ServerToolUse))


def _unanswered(placed: Placed) -> InvalidRequest:
    assert isinstance(placed.value, ServerToolUse)
    name = placed.value.name
    result = RESULTS.get(name, (f"{name}_tool_result", name))[0]
    return InvalidRequest(
        f"messages.{placed.message}: `{name}` tool use with id `{placed.value.id}` was found without a corresponding "
        f"`{result}` block"
    )
