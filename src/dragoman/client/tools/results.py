"""What the model is told of a tool's call: `tool_result` blocks. Pure. SDK-62."""

import re
from collections.abc import Iterable
from typing import Any

from dragoman.client.guards import is_mapping

from .functions import ToolError

__all__ = ["failed", "not_found", "succeeded"]

Json = dict[str, Any]
LIMIT = 4096  # characters of an exception's text; the API takes no more
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# White space, quotes, controls, and what changes the direction of a line.
NOT_IN_NAMES = re.compile(r"[\s'\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def succeeded(tool_use: Any, content: Any) -> Json:
    """`content` is text, blocks, or None. Blocks are read here, so what makes them may raise."""
    return {"type": "tool_result", "tool_use_id": tool_use.id, "content": _sendable(content)}


def failed(tool_use: Any, error: Exception) -> Json:
    """A ToolError says what the model is told; of any other exception it is the `repr`."""
    content = _sendable(error.content) if isinstance(error, ToolError) else _well_formed(repr(error))[:LIMIT]
    return {"type": "tool_result", "tool_use_id": tool_use.id, "content": content, "is_error": True}


def not_found(tool_use: Any) -> Json:
    """The model called what the runner does not have; a member of a toolset has two names."""
    toolset = getattr(tool_use, "toolset_name", None)
    result = {"type": "tool_result", "tool_use_id": tool_use.id}
    if toolset is not None:
        told = f"Error: Toolset '{_quoted(toolset)}' member '{_quoted(tool_use.name)}' not found"
        return result | {"toolset_name": toolset, "content": told, "is_error": True}
    return result | {"content": f"Error: Tool '{tool_use.name}' not found", "is_error": True}


def _sendable(content: str | Iterable[Any] | None) -> Any:
    """Half a surrogate pair cannot be sent: a tool's text may hold one."""
    if content is None:
        return None
    if isinstance(content, str):
        return _well_formed(content)
    return [_sendable_block(block) for block in content]


def _sendable_block(block: Any) -> Any:
    if is_mapping(block) and block.get("type") == "text" and isinstance(block.get("text"), str):
        return {**block, "text": _well_formed(block["text"])}
    return block


def _well_formed(text: str) -> str:
    return LONE_SURROGATE.sub("\ufffd", text)


def _quoted(name: str) -> str:
    """A name that the model made up, on one line and without what would end the quotation."""
    return NOT_IN_NAMES.sub(" ", _well_formed(name).strip()[:200]).strip()
