"""Tools that come and go in the middle of a conversation: `tool_addition` and `tool_removal` blocks. Pure.

They stand in `system` turns, and in the `tool_changes` of a compaction block, which takes the place of such turns.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from dragoman.client.guards import is_mapping

__all__ = ["addition", "available", "removal"]

Json = dict[str, Any]


def addition(definition: Any) -> Json:
    return {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": definition}}


def removal(name: str) -> Json:
    return {"type": "tool_removal", "tool": {"type": "tool_reference", "name": name}}


def available(names: Iterable[str], messages: Iterable[Any]) -> set[str]:
    """Of tools with these names, those that a history leaves to the model. It may call others; they are not run."""
    found = set(names)
    for change in _changes(messages):
        name = _name(_part(change, "tool"))
        if name is None:
            continue
        if _part(change, "type") == "tool_addition":
            found.add(name)
        else:
            found.discard(name)
    return found


def _changes(messages: Iterable[Any]) -> Iterator[Any]:
    for message in messages:
        content = message.get("content") or ()
        for block in () if isinstance(content, str) else content:
            kind = _part(block, "type")
            if message["role"] == "system" and kind in ("tool_addition", "tool_removal"):
                yield block
            elif message["role"] == "assistant" and kind == "compaction":
                yield from _part(block, "tool_changes") or ()


def _name(tool: Any) -> str | None:
    """None for what is not run here: tools of MCP servers, and what nobody knows yet."""
    kind = _part(tool, "type")
    holder = _part(tool, "definition") if kind == "tool_definition" else tool
    name = _part(holder, "name") if kind in ("tool_reference", "tool_definition") else None
    return name if isinstance(name, str) else None


def _part(block: Any, name: str) -> Any:
    """Of a dictionary, or of a record that came in a reply."""
    return block.get(name) if is_mapping(block) else getattr(block, name, None)
