"""Tools of a request as those of the Responses API, and which of them is to be used. Source: as openai_responses.py."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from dragoman.wire.tools import WebSearch
from dragoman.wire.types import MessagesRequest, ToolChoice, ToolChoiceAny, ToolChoiceNone, ToolChoiceTool

from .openai_chat_tools import Functions
from .openai_common import JSON
from .openai_responses_search import as_tool
from .translating import Names

__all__ = ["tool_fields"]

Lose = Callable[[str], None]


def tool_fields(request: MessagesRequest, search: WebSearch | None, *, names: Names, lose: Lose) -> JSON:
    """Functions, and behind them `search`, if it can be offered; a choice among none is refused, so none is told."""
    choice = request.tool_choice
    tools = _functions(request, search, names, lose)
    if search is not None:
        tools.append(as_tool(search, lose))
    if not tools:
        if isinstance(choice, ToolChoiceAny | ToolChoiceTool):
            lose("tool_choice")
        return {}
    fields: JSON = {"tools": tools}
    if (told := _choice(choice, tools, names, lose)) is not None:
        fields["tool_choice"] = told
    if getattr(choice, "disable_parallel_tool_use", None):
        fields["parallel_tool_calls"] = False
    if search is not None and search.max_uses is not None:
        fields["max_tool_calls"] = search.max_uses  # of all tools that run there: it is the only one
    return fields


def _functions(request: MessagesRequest, search: WebSearch | None, names: Names, lose: Lose) -> list[JSON]:
    """As in the other dialect, but flat. `strict` is always told: without a word a function is taken for strict here,
    and most schemas are refused then."""
    others = [tool for tool in request.tools or () if tool is not search]
    functions = Functions(replace(request, tools=others, tool_choice=None), names)
    told = functions.fields().get("tools", ())
    for name in functions.lost:
        lose(name)
    return [{"type": "function", "strict": False, **tool["function"]} for tool in told]


def _choice(choice: ToolChoice | None, tools: Sequence[JSON], names: Names, lose: Lose) -> str | JSON | None:
    match choice:
        case ToolChoiceAny():
            return "required"
        case ToolChoiceNone():
            return "none"
        case ToolChoiceTool(name=name):
            return _chosen(name, names.outward(name), tools, lose)
        case _:
            return None


def _chosen(name: str, outward: str, tools: Sequence[JSON], lose: Lose) -> JSON | None:
    """A tool that runs there has no form of its own in a choice, but as one of those allowed (cc-switch#7365)."""
    for tool in tools:
        if tool.get("name") == outward:
            return {"type": "function", "name": outward}
        if tool["type"] == name:
            return {"type": "allowed_tools", "mode": "required", "tools": [{"type": tool["type"]}]}
    lose("tool_choice")  # it is one that was lost
    return None
