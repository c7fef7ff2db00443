"""What a request asks for that only the API itself has, in no other dialect: told as lost, wherever it is asked. Pure.

What some dialect has (`metadata.user_id`, `tools.strict` of a caller's own tool, `cache_control` on a block of a turn)
is told by the dialects that lose it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from dragoman.wire.provenance import unwrap
from dragoman.wire.tools import AnyTool, CustomTool, runs_on_the_server
from dragoman.wire.types import (
    ContentSource,
    Document,
    Image,
    MessagesRequest,
    SearchResult,
    Text,
    ToolResult,
)

__all__ = ["CLIENT_STRICT", "asked_of_the_api", "offered"]

FEATURES = (
    "container",
    "mcp_servers",
    "context_management",
    "inference_geo",
    "speed",
    "fallbacks",
    "diagnostics",
)
CLIENT_OPTIONS = ("max_characters", "display_number")  # of tools that the API defines and a client runs
CLIENT_STRICT = "tools.strict"  # what `strict` of such a tool is called


def asked_of_the_api(request: MessagesRequest) -> list[str]:
    """Names of what is lost, by the Messages API, each once."""
    features = (name for name in FEATURES if getattr(request, name) is not None)
    return list(dict.fromkeys([*features, *_of_tools(request.tools or ()), *_of_messages(request)]))


def offered(tools: Sequence[AnyTool] | None) -> list[AnyTool]:
    """Those that a model may call itself, and not only code that the API runs (TOOL-7)."""
    return [tool for tool in tools or () if not _only_for_code(tool)]


def _only_for_code(tool: AnyTool) -> bool:
    """Of tools that the API runs the dialects decide themselves."""
    callers = getattr(tool, "allowed_callers", None) or ()
    return bool(callers) and "direct" not in callers and not runs_on_the_server(tool)


# -- tools --


def _of_tools(tools: Sequence[AnyTool]) -> Iterator[str]:
    for tool in tools:
        if getattr(tool, "defer_loading", None):
            yield "tools.defer_loading"  # it is offered from the start
        if runs_on_the_server(tool):
            continue
        if any(caller != "direct" for caller in getattr(tool, "allowed_callers", None) or ()):
            yield "tools.allowed_callers"
        yield from (f"tools.{name}" for name in CLIENT_OPTIONS if getattr(tool, name, None) is not None)
        if not isinstance(tool, CustomTool) and getattr(tool, "strict", None):
            yield CLIENT_STRICT


# -- messages --


def _of_messages(request: MessagesRequest) -> Iterator[str]:
    for message in request.messages:
        for block in () if isinstance(message.content, str) else message.content:
            yield from _of_block(block)


def _of_block(block: Any) -> Iterator[str]:
    if isinstance(block, Image) and block.transformations is not None and block.transformations.oversized_image:
        yield "image.transformations"
    if isinstance(block, Text) and any(not _is_ours(citation) for citation in block.citations or ()):
        yield "citations"
    for inner in _within(block):
        if getattr(inner, "cache_control", None) is not None:
            yield "cache_control"
        yield from _of_block(inner)


def _within(block: Any) -> Sequence[Any]:
    """Blocks that are the content of a block."""
    match block:
        case ToolResult(content=list(content)) | SearchResult(content=content):
            return content
        case Document(source=ContentSource(content=list(content))):
            return content
        case _:
            return ()


def _is_ours(citation: Any) -> bool:
    """Of a page that another model's search found: it goes the way of that search, which is told where it is lost."""
    index = citation.get("encrypted_index") if isinstance(citation, dict) else None
    return isinstance(index, str) and unwrap(index) is not None
