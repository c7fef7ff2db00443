"""Tools of a request as Chat Completions' functions, and which of them is to be called."""

from typing import Any

import msgspec

from dragoman.wire.codec import plain
from dragoman.wire.tools import AnyTool, CustomTool
from dragoman.wire.types import MessagesRequest, ToolChoiceAny, ToolChoiceNone, ToolChoiceTool

from .asked import offered
from .base import Capabilities
from .client_tools import as_function
from .openai_strict import is_strict
from .translating import Names

__all__ = ["Functions"]

JSON = dict[str, Any]
COMBINED = ("anyOf", "oneOf", "allOf", "enum", "not")  # refused at the top of a tool's schema


class Functions:
    """The tools of one request; `lost` grows as `fields` goes, and then `forces` says whether one must be called."""

    def __init__(self, request: MessagesRequest, names: Names, can: Capabilities | None = None) -> None:
        self.lost: list[str] = []
        self.forces = False
        self._tools = offered(request.tools)
        self._choice = request.tool_choice
        self._names = names
        self._can = can or Capabilities()

    def fields(self, *, may_force: bool = True) -> JSON:
        """`tools`, `tool_choice`, `parallel_tool_calls`, as far as they are needed: a choice among none is refused."""
        functions = [function for tool in self._tools if (function := self._function(tool)) is not None]
        if self._can.tool_choice == "none" and isinstance(self._choice, ToolChoiceNone):
            return {}  # so nothing is called, where it cannot be said otherwise
        if not functions:
            if isinstance(self._choice, ToolChoiceAny | ToolChoiceTool):
                self.lost.append("tool_choice")
            return {}
        choice = self._chosen({function["name"] for function in functions})
        if choice is not None and choice != "none":
            self.forces = may_force and self._can.tool_choice != "none"
            if not self.forces:
                self.lost.append("tool_choice")
                choice = None
        if isinstance(choice, dict) and self._can.tool_choice == "words":  # the one that must be called is all there is
            functions = [each for each in functions if each["name"] == choice["function"]["name"]]
            choice = "required"
        fields: JSON = {"tools": [{"type": "function", "function": function} for function in functions]}
        if choice is not None:
            fields["tool_choice"] = choice
        if getattr(self._choice, "disable_parallel_tool_use", None):
            if self._can.parallel_calls:
                fields["parallel_tool_calls"] = False
            else:
                self.lost.append("disable_parallel_tool_use")
        return fields

    def _function(self, tool: AnyTool) -> JSON | None:
        if tool.cache_control is not None:
            self.lost.append("cache_control")
        if getattr(tool, "input_examples", None):
            self.lost.append("input_examples")
        if isinstance(tool, CustomTool):
            schema, rest = _object_schema(tool.input_schema)
            description = "\n".join(each for each in (tool.description, rest) if each)
            said = {"description": description} if description or tool.description is not None else {}
            return {"name": self._names.outward(tool.name), **said, "parameters": schema, **self._strict(tool, schema)}
        known = as_function(tool)
        if known is None:
            self.lost.append(f"tools.{plain(tool)['type']}")
            return None
        return {"name": known.name, "description": known.description, "parameters": known.schema}

    def _strict(self, tool: CustomTool, schema: JSON) -> JSON:
        """Where the schema is one that OpenAI takes in strict mode: optional properties are refused, for one."""
        if not tool.strict:
            return {}
        if self._can.strict and is_strict(schema):
            return {"strict": True}
        self.lost.append("tools.strict")
        return {}

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


def _object_schema(schema: JSON) -> tuple[JSON, str]:
    """As it is, with the `type` and `properties` that OpenAI wants to see (an object with none is refused). And in
    words what it refuses at the top of a schema: what its alternatives speak of is then among the properties."""
    combined = {name: schema[name] for name in COMBINED if name in schema}
    if not combined:
        needed: JSON = {"type": "object", "properties": {}}
        missing = {name: value for name, value in needed.items() if schema.get(name) is None}
        return {**schema, **missing} if missing else schema, ""
    parts = [part for name in COMBINED[:3] for part in schema.get(name) or () if isinstance(part, dict)]
    properties = {name: value for part in (*parts, schema) for name, value in (part.get("properties") or {}).items()}
    rest = {name: value for name, value in schema.items() if name not in COMBINED}
    return {
        **rest,
        "type": "object",
        "properties": properties,
    }, f"Its input also fits: {msgspec.json.encode(combined).decode()}"
