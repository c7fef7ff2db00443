"""Tools that only a request to the beta may hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Required, TypeAlias

from dragoman.types.names import ModelParam

from .bases import BuiltInParam, ClientSideParam
from .content import CacheControlEphemeralParam
from .tools import (
    CodeExecutionTool20250522Param,
    CodeExecutionTool20250825Param,
    CodeExecutionTool20260120Param,
    CodeExecutionTool20260521Param,
    MemoryTool20250818Param,
    ToolBash20250124Param,
    ToolParam,
    ToolSearchToolBm25_20251119Param,
    ToolSearchToolRegex20251119Param,
    ToolTextEditor20250124Param,
    ToolTextEditor20250429Param,
    ToolTextEditor20250728Param,
    WebFetchTool20250910Param,
    WebFetchTool20260209Param,
    WebFetchTool20260309Param,
    WebFetchTool20260318Param,
    WebSearchTool20250305Param,
    WebSearchTool20260209Param,
    WebSearchTool20260318Param,
)
from .toolsets import BrowserToolset20260801Param, ComputerToolset20260801Param
from .typed import TypedDict


class BetaToolBash20241022Param(ClientSideParam, total=False):
    name: Required[Literal["bash"]]
    type: Required[Literal["bash_20241022"]]


class BetaToolComputerUse20241022Param(ClientSideParam, total=False):
    display_height_px: Required[int]
    display_width_px: Required[int]
    name: Required[Literal["computer"]]
    type: Required[Literal["computer_20241022"]]
    display_number: int | None


class BetaToolComputerUse20250124Param(ClientSideParam, total=False):
    display_height_px: Required[int]
    display_width_px: Required[int]
    name: Required[Literal["computer"]]
    type: Required[Literal["computer_20250124"]]
    display_number: int | None


class BetaToolTextEditor20241022Param(ClientSideParam, total=False):
    name: Required[Literal["str_replace_editor"]]
    type: Required[Literal["text_editor_20241022"]]


class BetaToolComputerUse20251124Param(ClientSideParam, total=False):
    display_height_px: Required[int]
    display_width_px: Required[int]
    name: Required[Literal["computer"]]
    type: Required[Literal["computer_20251124"]]
    display_number: int | None
    enable_zoom: bool


class BetaAdvisorTool20260301Param(BuiltInParam, total=False):
    model: Required[ModelParam]
    name: Required[Literal["advisor"]]
    type: Required[Literal["advisor_20260301"]]
    caching: CacheControlEphemeralParam | None
    max_tokens: int | None
    max_uses: int | None


class BetaMCPToolConfigParam(TypedDict, total=False):
    defer_loading: bool
    enabled: bool


class BetaMCPToolDefaultConfigParam(TypedDict, total=False):
    defer_loading: bool
    enabled: bool


class BetaMCPToolParamParam(TypedDict, total=False):
    input_schema: Required[dict[str, object]]
    name: Required[str]
    description: str | None


class BetaMCPToolsetParam(TypedDict, total=False):
    mcp_server_name: Required[str]
    type: Required[Literal["mcp_toolset"]]
    cache_control: CacheControlEphemeralParam | None
    configs: dict[str, BetaMCPToolConfigParam] | None
    default_config: BetaMCPToolDefaultConfigParam
    tools: Iterable[BetaMCPToolParamParam] | None


BetaToolUnionParam: TypeAlias = (
    ToolParam
    | BetaToolBash20241022Param
    | ToolBash20250124Param
    | CodeExecutionTool20250522Param
    | CodeExecutionTool20250825Param
    | CodeExecutionTool20260120Param
    | CodeExecutionTool20260521Param
    | BrowserToolset20260801Param
    | BetaToolComputerUse20241022Param
    | MemoryTool20250818Param
    | BetaToolComputerUse20250124Param
    | BetaToolTextEditor20241022Param
    | BetaToolComputerUse20251124Param
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
    | BetaAdvisorTool20260301Param
    | ToolSearchToolBm25_20251119Param
    | ToolSearchToolRegex20251119Param
    | BetaMCPToolsetParam
)
