"""Rules about tool definitions, tool choice and cache breakpoints.

Source: spec TOOL-1 to 18, CCH-1 to 13. Pure; imports only this folder and the error tree.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from dragoman.errors import CannotCarry, InvalidRequest

from . import toolsets
from .models import Model
from .tools import AnyTool, CacheControl, CustomTool, Toolset, WebFetch, WebSearch, runs_on_the_server
from .turns import blocks_of
from .types import (
    Block,
    BrowserState,
    ContentSource,
    CountTokensRequest,
    Document,
    Image,
    SearchResult,
    Text,
    ToolChoiceAny,
    ToolChoiceNone,
    ToolChoiceTool,
    ToolReference,
    ToolResult,
)

__all__ = [
    "Breakpoint",
    "breakpoints",
    "check_cache_control",
    "check_choice",
    "check_tools",
    "forces_a_tool",
    "is_deferred",
]

# Types that need a beta, and the prefix of the betas that bring each.
BETA_TOOLS = {"computer_20250124": "computer-use-", "computer_20251124": "computer-use-"}
MAX_BREAKPOINTS = 4
SCHEMAS_KEPT, LARGEST_KEPT = 500, 16 * 1024  # of tools that were looked at, and the bytes of one
HOLDERS = (ToolResult, Document, SearchResult)  # blocks whose parts may be marked


def check_tools(tools: Sequence[AnyTool], *, betas: Sequence[str]) -> None:
    """Names, schemas, examples and settings of the definitions (TOOL-2 to 7, 54 to 57)."""
    for index, tool in enumerate(tools):
        _check_beta(tool, index, betas)
    toolsets.check_names(tools)
    for index, tool in enumerate(tools):
        path = f"tools.{index}.{tool.__struct_config__.tag}"
        if isinstance(tool, CustomTool):
            _check_input_schema(tool, path)
        elif isinstance(tool, Toolset):
            toolsets.check_toolset(tool, path)
        elif isinstance(tool, WebSearch | WebFetch):
            _check_domains(tool, path)
    if tools and all(is_deferred(tool) for tool in tools):
        raise InvalidRequest("tools: at least one tool must not set `defer_loading`")


def _check_beta(tool: AnyTool, index: int, betas: Sequence[str]) -> None:
    """Without its beta a type is unknown (TOOL-55). Any date will do, so no newer name is ever needed."""
    tag = str(tool.__struct_config__.tag)
    if _is_open(tag, betas):
        return
    tags = sorted(str(member.__struct_config__.tag) for member in get_args(AnyTool))
    expected = ", ".join(f"'{other}'" for other in tags if _is_open(other, betas))
    raise InvalidRequest(
        f"tools.{index}: Input tag '{tag}' found using 'type' does not match any of the expected tags: {expected}"
    )


def _is_open(tag: str, betas: Sequence[str]) -> bool:
    beta = BETA_TOOLS.get(tag)
    return beta is None or any(name.startswith(beta) for name in betas)


def _check_domains(tool: WebSearch | WebFetch, path: str) -> None:
    """Either list may be given, not both, and none that is empty (TOOL-56, 57)."""
    for name in ("allowed_domains", "blocked_domains"):
        if getattr(tool, name) == []:
            raise InvalidRequest(
                f"{path}.{name}: Empty list of domains is ambiguous. Provide at least one domain or null."
            )
    if tool.allowed_domains is not None and tool.blocked_domains is not None:
        raise InvalidRequest(f"{path}: Cannot specify both allowed_domains and blocked_domains.")


def _is_sound(schema: dict[str, Any]) -> bool:
    """Whether a tool's schema is one. Programs send the same tools with every request, so what was found is kept."""
    encoded = msgspec.json.encode(schema)
    return _find_sound(encoded) if len(encoded) <= LARGEST_KEPT else _find_sound.__wrapped__(encoded)


@lru_cache(SCHEMAS_KEPT)
def _find_sound(encoded: bytes) -> bool:
    from .jsonschema import is_schema
    from .schemasubset import has_broken_pattern

    schema = msgspec.json.decode(encoded)
    return is_schema(schema) and not has_broken_pattern(schema)


def _check_input_schema(tool: CustomTool, path: str) -> None:
    # Here: the client imports this folder, and checks no schema.
    from .jsonschema import Checker, Document

    # `$schema` may name another draft; the API reads every schema as 2020-12 (TOOL-2).
    schema = {key: value for key, value in tool.input_schema.items() if key != "$schema"}
    if "type" not in schema:
        raise InvalidRequest(f"{path}.input_schema.type: Field required")
    if schema["type"] != "object":
        raise InvalidRequest(f"{path}.input_schema.type: Input should be 'object'")
    for key in [key for key in ("properties", "required") if schema.get(key, "") is None]:
        del schema[key]
    if not _is_sound(schema):
        raise InvalidRequest(
            f"{path}.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12 "
            "(https://json-schema.org/draft/2020-12). Learn more about tool use at "
            "https://docs.claude.com/en/docs/tool-use."
        )
    if tool.input_examples:
        checker = Checker(Document(schema))
        for at, example in enumerate(tool.input_examples):
            if checker.wrong(example) is not None:
                raise InvalidRequest(f"{path}.input_examples.{at}: does not match the tool's input_schema")


def forces_a_tool(request: CountTokensRequest) -> bool:
    return isinstance(request.tool_choice, ToolChoiceAny | ToolChoiceTool)


def check_choice(request: CountTokensRequest, model: Model) -> None:
    """TOOL-12, 17, 18."""
    choice = request.tool_choice
    if choice is None:
        return
    tools = request.tools or []
    if not tools and not isinstance(choice, ToolChoiceNone):
        raise InvalidRequest("tool_choice: may only be specified while providing `tools`")
    if isinstance(choice, ToolChoiceTool) and choice.name not in {getattr(tool, "name", None) for tool in tools}:
        raise InvalidRequest(f"Tool '{choice.name}' not found in provided tools")
    if forces_a_tool(request) and not model.forced_tools:
        raise CannotCarry('tool_choice: type "tool" and "any" are not supported for this model.')


def check_server_tools(tools: Sequence[AnyTool]) -> None:
    """An engine that has none of the API's own tools says so (TOOL-71)."""
    for index, tool in enumerate(tools):
        if runs_on_the_server(tool):
            tag = tool.__struct_config__.tag
            raise CannotCarry(
                f"tools.{index}: Input tag '{tag}' found using 'type' does not match any of the expected tags: "
                "'bash_20250124', 'browser_toolset_20260801', 'computer_20250124', 'computer_20251124', "
                "'computer_toolset_20260801', 'custom', 'memory_20250818', 'text_editor_20250124', "
                "'text_editor_20250429', 'text_editor_20250728'. The model that answers here runs no server tools."
            )


class Breakpoint(NamedTuple):
    """A place up to which the prompt is to be cached."""

    block: str  # the block that it closes: `tools.0`, `system.1`, `messages.2.content.0`
    path: str  # of its `cache_control`, as errors name it; the automatic one is `cache_control`
    ttl: Literal["5m", "1h"]


def check_cache_control(request: CountTokensRequest) -> None:
    """At most four breakpoints, the longer-lived before the shorter (CCH-4, 5, 11, 12); some places take none."""
    _check_places(request)
    marked = list(_explicit(request))
    automatic = _automatic(request)
    if automatic is not None and marked and marked[-1].block == automatic.block:
        if marked[-1].ttl != automatic.ttl:
            raise InvalidRequest("cache_control.ttl: the last block already has a cache_control with another ttl")
    elif automatic is not None:
        marked.append(automatic)
    if len(marked) > MAX_BREAKPOINTS:
        raise InvalidRequest(
            f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {len(marked)}."
        )
    _check_order(marked)


def breakpoints(request: CountTokensRequest) -> list[Breakpoint]:
    """The breakpoints of a request that `check_cache_control` let through, in the order of the prompt.

    Those inside a tool result, a document or a search result close the block around them, as parts of a block are
    no entries of their own (CCH-3). The automatic one is the last (CCH-10). Two may close the same block.
    """
    automatic = _automatic(request)
    return [*_explicit(request), *([automatic] if automatic is not None else [])]


def _check_order(marked: Sequence[Breakpoint]) -> None:
    shorter = False
    for point in marked:
        if point.ttl == "1h" and shorter:
            raise InvalidRequest(
                f"{point.path}.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block. Note that blocks are processed in the following order: `tools`, `system`, "
                "`messages`."
            )
        shorter = shorter or point.ttl != "1h"


def _check_places(request: CountTokensRequest) -> None:
    """No breakpoint on a tool that is loaded later (CCH-28), nor on an empty text inside another block (CCH-3).

    Empty texts that are no parts of another block are refused before, marked or not (MSG-13, 44).
    """
    for tool in request.tools or ():
        if tool.cache_control is not None and is_deferred(tool):
            name = getattr(tool, "name", None) or tool.__struct_config__.tag
            raise InvalidRequest(
                f"Tool '{name}' cannot have both defer_loading=true and cache_control set. Tools "
                "with defer_loading cannot use prompt caching."
            )
    for index, message in enumerate(request.messages):
        for at, block in enumerate(message.content if isinstance(message.content, list) else ()):
            for part in _marked_parts(block) if isinstance(block, HOLDERS) else ():
                if isinstance(part.value, Text) and not part.value.text.strip():
                    raise InvalidRequest(
                        f"messages.{index}.content.{at}.{part.loc}: cache_control cannot be set for empty text blocks"
                    )


def is_deferred(tool: AnyTool) -> bool:
    """Whether the tool is kept out of the prompt until a search finds it (CCH-28)."""
    return toolsets.is_deferred(tool) if isinstance(tool, Toolset) else bool(tool.defer_loading)


def _explicit(request: CountTokensRequest) -> Iterator[Breakpoint]:
    """Each breakpoint that the request sets on a block, in the order of the prompt."""
    for index, tool in enumerate(request.tools or ()):
        if tool.cache_control is not None:
            yield _on(f"tools.{index}", tool.cache_control)
    for index, block in enumerate(request.system if isinstance(request.system, list) else ()):
        if block.cache_control is not None:
            yield _on(f"system.{index}", block.cache_control)
    for index, message in enumerate(request.messages):
        for at, entry in enumerate(message.content if isinstance(message.content, list) else ()):
            for part in _marked_parts(entry) if isinstance(entry, HOLDERS) else ():
                path = f"messages.{index}.content.{at}"
                yield Breakpoint(path, f"{path}.{part.path}.cache_control", part.marker.ttl or "5m")
            marker = getattr(entry, "cache_control", None)
            if marker is not None:
                yield _on(f"messages.{index}.content.{at}", marker)


def _on(block: str, marker: CacheControl) -> Breakpoint:
    return Breakpoint(block, f"{block}.cache_control", marker.ttl or "5m")


class Part(NamedTuple):
    """A part of a block with a `cache_control` of its own."""

    path: str  # from the block on: `content.0`
    loc: str  # the same with the tags of unions, as errors of shape say it: `tool_result.content.0.text`
    value: Text | Image | Document | SearchResult | ToolReference | BrowserState
    marker: CacheControl


def _marked_parts(block: object) -> Iterator[Part]:
    """The marked parts of a tool result, a document or a search result, and of theirs, in order."""
    match block:
        case ToolResult(content=list(parts)):
            path, loc = "content", "tool_result.content"
        case Document(source=ContentSource(content=list(parts))):
            path, loc = "source.content", "document.source.content.content"
        case SearchResult(content=parts):
            path, loc = "content", "search_result.content"
        case _:
            return
    for at, part in enumerate(parts):
        for inner in _marked_parts(part) if isinstance(part, Document | SearchResult) else ():
            yield Part(f"{path}.{at}.{inner.path}", f"{loc}.{at}.{inner.loc}", inner.value, inner.marker)
        if part.cache_control is not None:
            # A search result holds texts only: no union, so no tag.
            tag = "" if isinstance(block, SearchResult) else f".{part.__struct_config__.tag}"
            yield Part(f"{path}.{at}", f"{loc}.{at}{tag}", part, part.cache_control)


def _automatic(request: CountTokensRequest) -> Breakpoint | None:
    """Where a top-level `cache_control` puts its breakpoint: on the last block that can have one (CCH-10, 13)."""
    if request.cache_control is None:
        return None
    for index in reversed(range(len(request.messages))):
        blocks = blocks_of(request.messages[index])
        for at in reversed(range(len(blocks))):
            if _can_be_marked(blocks[at]):
                path = f"messages.{index}.content.{at}"
                return Breakpoint(path, "cache_control", request.cache_control.ttl or "5m")
    return None


def _can_be_marked(block: Block) -> bool:
    """Not thinking, nor an empty text (CCH-3)."""
    return hasattr(block, "cache_control") and not (isinstance(block, Text) and not block.text.strip())


def check_system(system: str | list[Text] | None) -> None:
    """MSG-13, CCH-3."""
    if isinstance(system, str):
        if system and not system.strip():
            raise InvalidRequest("system: text content blocks must contain non-whitespace text")
        return
    for index, block in enumerate(system or ()):
        if block.text.strip():
            continue
        if block.cache_control is not None:
            raise InvalidRequest(f"system.{index}: cache_control cannot be set for empty text blocks")
        what = "contain non-whitespace text" if block.text else "be non-empty"
        raise InvalidRequest(f"system: text content blocks must {what}")
