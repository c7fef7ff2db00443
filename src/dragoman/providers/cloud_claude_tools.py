"""Tools that a request offers, as Claude takes them on a cloud, and the choice among them. Pure; names no cloud."""

import re
from collections.abc import Mapping, Sequence

from msgspec import Raw, Struct

from .cloud_claude import CloudRequest, ObjectRule
from .cloud_claude_models import NONE, Support
from .raw_json import encoded, items, members, string

__all__ = ["FORCED", "NO_OPTION", "ToolsRule"]

CUSTOM = "custom"
FORCED = ("any", "tool")  # forms of `tool_choice`
NO_OPTION = frozenset({b"null", b"false", b"[]", b'["direct"]'})  # values of a tool's options that are the default


class ToolsRule(Struct, frozen=True, kw_only=True):
    """A tool of a type that matches none of `types` goes, and so does a choice of what has gone."""

    types: Sequence[tuple[re.Pattern[str], Support]]  # of all tools but custom ones
    custom: ObjectRule
    typed: ObjectRule  # members of tools that have a type

    def apply(self, request: CloudRequest, name: str) -> None:
        before = items(request.field(name))
        if not before:
            return
        after = [self._tool(request, name, tool) for tool in before]
        request.replace_items(name, before, after)
        if None in after:
            gone = {_name(tool) for tool, left in zip(before, after, strict=True) if left is None}
            _fit_choice(request, gone - {_name(left) for left in after if left is not None})

    def _tool(self, request: CloudRequest, path: str, raw: Raw) -> Raw | None:
        tool = members(raw)
        if tool is None:
            return raw
        kind = string(tool.get("type")) or CUSTOM
        if kind != CUSTOM and not request.keeps(f"{path}.{kind}", self._support(kind)):
            return None
        kept = (self.custom if kind == CUSTOM else self.typed).kept(request, path, tool)
        return raw if kept is tool else encoded(kept)

    def _support(self, kind: str) -> Support:
        return next((support for pattern, support in self.types if pattern.fullmatch(kind)), NONE)


def _fit_choice(request: CloudRequest, gone: set[str | None]) -> None:
    """It cannot stand without tools, nor name one that has gone."""
    choice = members(request.field("tool_choice")) or {}
    is_alone = "tools" in request.dropped
    if (is_alone and string(choice.get("type")) in FORCED) or ("name" in choice and _name(choice) in gone):
        request.lose("tool_choice")
        request.drop("tool_choice")
    elif is_alone:  # it asks for nothing
        request.drop("tool_choice")


def _name(raw: Raw | Mapping[str, Raw]) -> str | None:
    fields = members(raw) if isinstance(raw, Raw) else raw
    return string((fields or {}).get("name"))
