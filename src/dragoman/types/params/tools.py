"""Tools of a request: those that one writes, and those that the API knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Required, TypeAlias

from dragoman.types.names import AllowedCaller

from .bases import BuiltInParam, ClientSideParam
from .content import CacheControlEphemeralParam, CitationsConfigParam
from .toolsets import BrowserToolset20260801Param, ComputerToolset20260801Param
from .typed import TypedDict
from .values import SequenceNotStr


class _WebSearchParam(BuiltInParam, total=False):
    allowed_domains: SequenceNotStr[str] | None
    blocked_domains: SequenceNotStr[str] | None
    max_uses: int | None
    user_location: UserLocationParam | None


class _WebFetchParam(BuiltInParam, total=False):
    allowed_domains: SequenceNotStr[str] | None
    blocked_domains: SequenceNotStr[str] | None
    citations: CitationsConfigParam | None
    max_content_tokens: int | None
    max_uses: int | None
    url_sources: WebFetchURLSourcesParam | None


class InputSchemaTyped(TypedDict, total=False):
    type: Required[Literal["object"]]
    properties: dict[str, object] | None
    required: SequenceNotStr[str] | None


InputSchema: TypeAlias = InputSchemaTyped | dict[str, object]


class ToolParam(TypedDict, total=False):
    input_schema: Required[InputSchema]
    name: Required[str]
    allowed_callers: list[AllowedCaller]
    cache_control: CacheControlEphemeralParam | None
    defer_loading: bool
    description: str
    eager_input_streaming: bool | None
    input_examples: Iterable[dict[str, object]]
    strict: bool
    type: Literal["custom"] | None


class ToolBash20250124Param(ClientSideParam, total=False):
    name: Required[Literal["bash"]]
    type: Required[Literal["bash_20250124"]]


class CodeExecutionTool20250522Param(BuiltInParam, total=False):
    name: Required[Literal["code_execution"]]
    type: Required[Literal["code_execution_20250522"]]


class CodeExecutionTool20250825Param(BuiltInParam, total=False):
    name: Required[Literal["code_execution"]]
    type: Required[Literal["code_execution_20250825"]]


class CodeExecutionTool20260120Param(BuiltInParam, total=False):
    name: Required[Literal["code_execution"]]
    type: Required[Literal["code_execution_20260120"]]


class CodeExecutionTool20260521Param(BuiltInParam, total=False):
    name: Required[Literal["code_execution"]]
    type: Required[Literal["code_execution_20260521"]]


class MemoryTool20250818Param(ClientSideParam, total=False):
    name: Required[Literal["memory"]]
    type: Required[Literal["memory_20250818"]]


class ToolTextEditor20250124Param(ClientSideParam, total=False):
    name: Required[Literal["str_replace_editor"]]
    type: Required[Literal["text_editor_20250124"]]


class ToolTextEditor20250429Param(ClientSideParam, total=False):
    name: Required[Literal["str_replace_based_edit_tool"]]
    type: Required[Literal["text_editor_20250429"]]


class ToolTextEditor20250728Param(ClientSideParam, total=False):
    name: Required[Literal["str_replace_based_edit_tool"]]
    type: Required[Literal["text_editor_20250728"]]
    max_characters: int | None


class UserLocationParam(TypedDict, total=False):
    type: Required[Literal["approximate"]]
    city: str | None
    country: str | None
    region: str | None
    timezone: str | None


class WebSearchTool20250305Param(_WebSearchParam, total=False):
    name: Required[Literal["web_search"]]
    type: Required[Literal["web_search_20250305"]]


class WebFetchURLSourceAllParam(TypedDict):
    type: Literal["all"]


class WebFetchURLSourceNoneParam(TypedDict):
    type: Literal["none"]


class WebFetchURLSourceToolReferenceParam(TypedDict):
    name: str
    type: Literal["tool_reference"]


class WebFetchURLSourceOnlyParam(TypedDict):
    tools: Iterable[WebFetchURLSourceToolReferenceParam]
    type: Literal["only"]


class WebFetchURLSourceExceptParam(TypedDict):
    tools: Iterable[WebFetchURLSourceToolReferenceParam]
    type: Literal["except"]


class WebFetchURLSourcesParam(TypedDict, total=False):
    client_tool_results: _WebFetchURLSourceParam
    server_tool_results: _WebFetchURLSourceParam
    user_input: WebFetchURLSourceAllParam | WebFetchURLSourceNoneParam


class WebFetchTool20250910Param(_WebFetchParam, total=False):
    name: Required[Literal["web_fetch"]]
    type: Required[Literal["web_fetch_20250910"]]


class WebSearchTool20260209Param(_WebSearchParam, total=False):
    name: Required[Literal["web_search"]]
    type: Required[Literal["web_search_20260209"]]


class WebFetchTool20260209Param(_WebFetchParam, total=False):
    name: Required[Literal["web_fetch"]]
    type: Required[Literal["web_fetch_20260209"]]


class WebFetchTool20260309Param(_WebFetchParam, total=False):
    name: Required[Literal["web_fetch"]]
    type: Required[Literal["web_fetch_20260309"]]
    use_cache: bool


class WebSearchTool20260318Param(_WebSearchParam, total=False):
    name: Required[Literal["web_search"]]
    type: Required[Literal["web_search_20260318"]]
    response_inclusion: Literal["full", "excluded"]


class WebFetchTool20260318Param(_WebFetchParam, total=False):
    name: Required[Literal["web_fetch"]]
    type: Required[Literal["web_fetch_20260318"]]
    response_inclusion: Literal["full", "excluded"]
    use_cache: bool


class ToolSearchToolBm25_20251119Param(BuiltInParam, total=False):  # noqa: N801
    name: Required[Literal["tool_search_tool_bm25"]]
    type: Required[Literal["tool_search_tool_bm25_20251119", "tool_search_tool_bm25"]]


class ToolSearchToolRegex20251119Param(BuiltInParam, total=False):
    name: Required[Literal["tool_search_tool_regex"]]
    type: Required[Literal["tool_search_tool_regex_20251119", "tool_search_tool_regex"]]


ToolUnionParam: TypeAlias = (
    ToolParam
    | ToolBash20250124Param
    | CodeExecutionTool20250522Param
    | CodeExecutionTool20250825Param
    | CodeExecutionTool20260120Param
    | CodeExecutionTool20260521Param
    | BrowserToolset20260801Param
    | MemoryTool20250818Param
    | ComputerToolset20260801Param
    | ToolTextEditor20250124Param
    | ToolTextEditor20250429Param
    | ToolTextEditor20250728Param
    | WebSearchTool20250305Param
    | WebFetchTool20250910Param
    | WebSearchTool20260209Param
    | WebFetchTool20260209Param
    | WebFetchTool20260309Param
    | WebSearchTool20260318Param
    | WebFetchTool20260318Param
    | ToolSearchToolBm25_20251119Param
    | ToolSearchToolRegex20251119Param
)
MessageCountTokensToolParam: TypeAlias = ToolUnionParam


_WebFetchURLSourceParam: TypeAlias = (
    WebFetchURLSourceAllParam | WebFetchURLSourceNoneParam | WebFetchURLSourceOnlyParam | WebFetchURLSourceExceptParam
)
