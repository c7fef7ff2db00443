"""Rules about tool definitions, tool choice and cache breakpoints.

Source: spec TOOL-1 to 18, CCH-1 to 13. Pure; imports only this folder and the error tree.
"""

from collections.abc import Iterator, Sequence

from dragoman.errors import InvalidRequest

from .models import Model
from .tools import AnyTool, CacheControl, CustomTool, Toolset, runs_on_the_server
from .turns import blocks_of
from .types import (
    CountTokensRequest,
    Text,
    ToolChoiceAny,
    ToolChoiceNone,
    ToolChoiceTool,
)

__all__ = ["check_cache_control", "check_choice", "check_tools", "forces_a_tool"]

MAX_BREAKPOINTS = 4


def check_tools(tools: Sequence[AnyTool]) -> None:
    """Names, schemas and examples of the definitions (TOOL-2 to 7)."""
    names: set[str] = set()
    for index, tool in enumerate(tools):
        path = f"tools.{index}.{tool.__struct_config__.tag}"
        name = getattr(tool, "name", None)
        if name in names:
            raise InvalidRequest("tools: Tool names must be unique.")
        if name is not None:
            names.add(name)
        if isinstance(tool, CustomTool):
            _check_input_schema(tool, path)
    if tools and all(not isinstance(tool, Toolset) and tool.defer_loading for tool in tools):
        raise InvalidRequest("tools: at least one tool must not set `defer_loading`")


def _check_input_schema(tool: CustomTool, path: str) -> None:
    from .jsonschema import Checker, Document, is_schema  # here: the client imports this folder, and checks no schema

    # `$schema` may name another draft; the API reads every schema as 2020-12 (TOOL-2).
    schema = {key: value for key, value in tool.input_schema.items() if key != "$schema"}
    if "type" not in schema:
        raise InvalidRequest(f"{path}.input_schema.type: Field required")
    if schema["type"] != "object":
        raise InvalidRequest(f"{path}.input_schema.type: Input should be 'object'")
    for key in [key for key in ("properties", "required") if schema.get(key, "") is None]:
        del schema[key]
    if not is_schema(schema):
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
        raise InvalidRequest('tool_choice: type "tool" and "any" are not supported for this model.')


def check_server_tools(tools: Sequence[AnyTool]) -> None:
    """An engine that has none of the API's own tools says so (TOOL-71)."""
    for index, tool in enumerate(tools):
        if runs_on_the_server(tool):
            tag = tool.__struct_config__.tag
            raise InvalidRequest(
                f"tools.{index}: Input tag '{tag}' found using 'type' does not match any of the expected tags: "
                "'bash_20250124', 'browser_toolset_20260801', 'computer_20250124', 'computer_20251124', "
                "'computer_toolset_20260801', 'custom', 'memory_20250818', 'text_editor_20250124', "
                "'text_editor_20250429', 'text_editor_20250728'. The model that answers here runs no server tools."
            )


def check_cache_control(request: CountTokensRequest) -> None:
    """At most four breakpoints, the longer-lived before the shorter (CCH-4, 5, 11, 12)."""
    markers = list(_markers(request))
    automatic = request.cache_control
    count = len(markers)
    if automatic is not None:
        place = _automatic_place(request)
        last = markers[-1] if markers and markers[-1][0] == place else None
        if place is not None and last is None:
            count += 1
            if count <= MAX_BREAKPOINTS:
                markers.append(("cache_control", automatic))
        elif last is not None and (last[1].ttl or "5m") != (automatic.ttl or "5m"):
            raise InvalidRequest("cache_control.ttl: the last block already has a cache_control with another ttl")
    if count > MAX_BREAKPOINTS:
        raise InvalidRequest(
            f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {count}."
        )
    shorter = False
    for path, marker in markers:
        if marker.ttl == "1h" and shorter:
            raise InvalidRequest(
                f"{path}.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block. Note that blocks are processed in the following order: `tools`, `system`, "
                "`messages`."
            )
        shorter = shorter or marker.ttl != "1h"


def _markers(request: CountTokensRequest) -> Iterator[tuple[str, CacheControl]]:
    """Each breakpoint that the request sets by itself, in the order of the prompt, with its path."""
    for index, tool in enumerate(request.tools or ()):
        if tool.cache_control is not None:
            yield f"tools.{index}.cache_control", tool.cache_control
    for index, block in enumerate(request.system if isinstance(request.system, list) else ()):
        if block.cache_control is not None:
            yield f"system.{index}.cache_control", block.cache_control
    for index, message in enumerate(request.messages):
        for at, entry in enumerate(blocks_of(message)):
            marker = getattr(entry, "cache_control", None)
            if marker is not None:
                yield f"messages.{index}.content.{at}.cache_control", marker


def _automatic_place(request: CountTokensRequest) -> str | None:
    """Where a top-level `cache_control` puts its breakpoint: at the last block that can have one (CCH-10, 13)."""
    for index in reversed(range(len(request.messages))):
        blocks = blocks_of(request.messages[index])
        for at in reversed(range(len(blocks))):
            if hasattr(blocks[at], "cache_control"):
                return f"messages.{index}.content.{at}.cache_control"
    return None


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
