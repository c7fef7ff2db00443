"""Tools of a request as Chat Completions' functions, and which of them is to be called."""

from typing import Any

from dragoman.wire.codec import plain
from dragoman.wire.tools import AnyTool, CustomTool
from dragoman.wire.types import MessagesRequest, ToolChoiceAny, ToolChoiceNone, ToolChoiceTool

from .client_tools import as_function
from .openai_common import fits_strict
from .translating import Names

__all__ = ["Functions"]

JSON = dict[str, Any]


class Functions:
    """The tools of one request; `lost` grows as `fields` goes."""

    def __init__(self, request: MessagesRequest, names: Names) -> None:
        self.lost: list[str] = []
        self._tools = request.tools or []
        self._choice = request.tool_choice
        self._names = names

    def fields(self) -> JSON:
        """`tools`, `tool_choice`, `parallel_tool_calls`, as far as they are needed: a choice among none is refused."""
        functions = [function for tool in self._tools if (function := self._function(tool)) is not None]
        if not functions:
            if isinstance(self._choice, ToolChoiceAny | ToolChoiceTool):
                self.lost.append("tool_choice")
            return {}
        fields: JSON = {"tools": [{"type": "function", "function": function} for function in functions]}
        choice = self._chosen({function["name"] for function in functions})
        if choice is not None:
            fields["tool_choice"] = choice
        if getattr(self._choice, "disable_parallel_tool_use", None):
            fields["parallel_tool_calls"] = False
        return fields

    def _function(self, tool: AnyTool) -> JSON | None:
        if tool.cache_control is not None:
            self.lost.append("cache_control")
        if getattr(tool, "input_examples", None):
            self.lost.append("input_examples")
        if isinstance(tool, CustomTool):
            said = {} if tool.description is None else {"description": tool.description}
            schema = _object_schema(tool.input_schema)
            return {"name": self._names.outward(tool.name), **said, "parameters": schema, **self._strict(tool, schema)}
        known = as_function(tool)
        if known is None:
            self.lost.append(f"tools.{plain(tool)['type']}")
            return None
        return {"name": known.name, "description": known.description, "parameters": known.schema}

    def _strict(self, tool: CustomTool, schema: JSON) -> JSON:
        """Where the schema is one that OpenAI takes in strict mode: optional properties are refused, for one."""
        if tool.strict and not fits_strict(schema):
            self.lost.append("tools.strict")
        return {"strict": True} if tool.strict and fits_strict(schema) else {}

    def _chosen(self, offered: set[str]) -> str | JSON | None:
        match self._choice:
            case ToolChoiceAny():
                return "required"
            case ToolChoiceTool(name=name) if (outward := self._names.outward(name)) in offered:
                return {"type": "function", "function": {"name": outward}}
            case ToolChoiceTool():  # it is one that was lost
                self.lost.append("tool_choice")
                return None
            case ToolChoiceNone():
                return "none"
            case _:
                return None


def _object_schema(schema: JSON) -> JSON:
    """As it is, with the `type` and `properties` that OpenAI wants to see (an object with none is refused)."""
    needed: JSON = {"type": "object", "properties": {}}
    missing = {name: value for name, value in needed.items() if schema.get(name) is None}
    return {**schema, **missing} if missing else schema
