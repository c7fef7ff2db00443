"""Tools as a reply tells of them (in a `compaction` block), and the commands of the memory tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from dragoman.client.record import Record
from dragoman.types.names import AllowedCaller, Model

from .toolsets import (
    BetaBrowserToolset20260801,
    BetaCacheControlEphemeral,
    BetaComputerToolset20260801,
    BetaMCPToolConfig,
    BetaMCPToolDefaultConfig,
)


class _BuiltIn(Record):
    allowed_callers: list[AllowedCaller] | None = None
    cache_control: BetaCacheControlEphemeral | None = None
    defer_loading: bool | None = None
    strict: bool | None = None


class _ClientSide(_BuiltIn):
    input_examples: list[dict[str, object]] | None = None


class _WebSearch(_BuiltIn):
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    max_uses: int | None = None
    user_location: BetaUserLocation | None = None


class _WebFetch(_BuiltIn):
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    citations: BetaCitationsConfigParam | None = None
    max_content_tokens: int | None = None
    max_uses: int | None = None
    url_sources: BetaWebFetchURLSources | None = None


class BetaResponseToolChangeMCPToolsetReference(Record):
    server_name: str
    type: Literal["mcp_toolset_reference"]


class BetaResponseToolInputSchema(Record):
    """JSON Schema: may have any of its keywords."""

    type: Literal["object"]
    properties: dict[str, object] | None = None
    required: list[str] | None = None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> object: ...


class BetaResponseTool(Record):
    input_schema: BetaResponseToolInputSchema
    name: str
    allowed_callers: list[AllowedCaller] | None = None
    defer_loading: bool | None = None
    description: str | None = None
    eager_input_streaming: bool | None = None
    input_examples: list[dict[str, object]] | None = None
    strict: bool | None = None
    type: Literal["custom"] | None = None


class BetaToolBash20241022(_ClientSide):
    name: Literal["bash"]
    type: Literal["bash_20241022"]


class BetaToolBash20250124(_ClientSide):
    name: Literal["bash"]
    type: Literal["bash_20250124"]


class BetaCodeExecutionTool20250522(_BuiltIn):
    name: Literal["code_execution"]
    type: Literal["code_execution_20250522"]


class BetaCodeExecutionTool20250825(_BuiltIn):
    name: Literal["code_execution"]
    type: Literal["code_execution_20250825"]


class BetaCodeExecutionTool20260120(_BuiltIn):
    name: Literal["code_execution"]
    type: Literal["code_execution_20260120"]


class BetaCodeExecutionTool20260521(_BuiltIn):
    name: Literal["code_execution"]
    type: Literal["code_execution_20260521"]


class BetaToolComputerUse20241022(_ClientSide):
    display_height_px: int
    display_width_px: int
    name: Literal["computer"]
    type: Literal["computer_20241022"]
    display_number: int | None = None


class BetaMemoryTool20250818(_ClientSide):
    name: Literal["memory"]
    type: Literal["memory_20250818"]


class BetaToolComputerUse20250124(_ClientSide):
    display_height_px: int
    display_width_px: int
    name: Literal["computer"]
    type: Literal["computer_20250124"]
    display_number: int | None = None


class BetaToolTextEditor20241022(_ClientSide):
    name: Literal["str_replace_editor"]
    type: Literal["text_editor_20241022"]


class BetaToolComputerUse20251124(_ClientSide):
    display_height_px: int
    display_width_px: int
    name: Literal["computer"]
    type: Literal["computer_20251124"]
    display_number: int | None = None
    enable_zoom: bool | None = None


class BetaToolTextEditor20250124(_ClientSide):
    name: Literal["str_replace_editor"]
    type: Literal["text_editor_20250124"]


class BetaToolTextEditor20250429(_ClientSide):
    name: Literal["str_replace_based_edit_tool"]
    type: Literal["text_editor_20250429"]


class BetaToolTextEditor20250728(_ClientSide):
    name: Literal["str_replace_based_edit_tool"]
    type: Literal["text_editor_20250728"]
    max_characters: int | None = None


class BetaUserLocation(Record):
    type: Literal["approximate"]
    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class BetaWebSearchTool20250305(_WebSearch):
    name: Literal["web_search"]
    type: Literal["web_search_20250305"]


class BetaWebFetchURLSourceAll(Record):
    type: Literal["all"]


class BetaWebFetchURLSourceNone(Record):
    type: Literal["none"]


class BetaWebFetchURLSourceToolReference(Record):
    name: str
    type: Literal["tool_reference"]


class BetaWebFetchURLSourceOnly(Record):
    tools: list[BetaWebFetchURLSourceToolReference]
    type: Literal["only"]


class BetaWebFetchURLSourceExcept(Record):
    tools: list[BetaWebFetchURLSourceToolReference]
    type: Literal["except"]


class BetaWebFetchURLSources(Record):
    client_tool_results: _WebFetchURLSource | None = None
    server_tool_results: _WebFetchURLSource | None = None
    user_input: BetaWebFetchURLSourceAll | BetaWebFetchURLSourceNone | None = None


class BetaWebFetchTool20250910(_WebFetch):
    name: Literal["web_fetch"]
    type: Literal["web_fetch_20250910"]


class BetaWebSearchTool20260209(_WebSearch):
    name: Literal["web_search"]
    type: Literal["web_search_20260209"]


class BetaWebFetchTool20260209(_WebFetch):
    name: Literal["web_fetch"]
    type: Literal["web_fetch_20260209"]


class BetaWebFetchTool20260309(_WebFetch):
    name: Literal["web_fetch"]
    type: Literal["web_fetch_20260309"]
    use_cache: bool | None = None


class BetaWebSearchTool20260318(_WebSearch):
    name: Literal["web_search"]
    type: Literal["web_search_20260318"]
    response_inclusion: Literal["full", "excluded"] | None = None


class BetaWebFetchTool20260318(_WebFetch):
    name: Literal["web_fetch"]
    type: Literal["web_fetch_20260318"]
    response_inclusion: Literal["full", "excluded"] | None = None
    use_cache: bool | None = None


class BetaAdvisorTool20260301(_BuiltIn):
    model: Model
    name: Literal["advisor"]
    type: Literal["advisor_20260301"]
    caching: BetaCacheControlEphemeral | None = None
    max_tokens: int | None = None
    max_uses: int | None = None


class BetaToolSearchToolBm25_20251119(_BuiltIn):  # noqa: N801
    name: Literal["tool_search_tool_bm25"]
    type: Literal["tool_search_tool_bm25_20251119", "tool_search_tool_bm25"]


class BetaToolSearchToolRegex20251119(_BuiltIn):
    name: Literal["tool_search_tool_regex"]
    type: Literal["tool_search_tool_regex_20251119", "tool_search_tool_regex"]


class BetaMCPToolset(Record):
    mcp_server_name: str
    type: Literal["mcp_toolset"]
    cache_control: BetaCacheControlEphemeral | None = None
    configs: dict[str, BetaMCPToolConfig] | None = None
    default_config: BetaMCPToolDefaultConfig | None = None
    tools: list[BetaMCPToolParam] | None = None


BetaResponseToolUnion: TypeAlias = (
    BetaResponseTool
    | BetaToolBash20241022
    | BetaToolBash20250124
    | BetaCodeExecutionTool20250522
    | BetaCodeExecutionTool20250825
    | BetaCodeExecutionTool20260120
    | BetaCodeExecutionTool20260521
    | BetaBrowserToolset20260801
    | BetaToolComputerUse20241022
    | BetaMemoryTool20250818
    | BetaToolComputerUse20250124
    | BetaToolTextEditor20241022
    | BetaToolComputerUse20251124
    | BetaComputerToolset20260801
    | BetaToolTextEditor20250124
    | BetaToolTextEditor20250429
    | BetaToolTextEditor20250728
    | BetaWebSearchTool20250305
    | BetaWebFetchTool20250910
    | BetaWebSearchTool20260209
    | BetaWebFetchTool20260209
    | BetaWebFetchTool20260309
    | BetaWebSearchTool20260318
    | BetaWebFetchTool20260318
    | BetaAdvisorTool20260301
    | BetaToolSearchToolBm25_20251119
    | BetaToolSearchToolRegex20251119
    | BetaMCPToolset
)


class BetaToolChangeToolDefinition(Record):
    definition: BetaResponseToolUnion
    type: Literal["tool_definition"]


class BetaMCPTool(Record):
    input_schema: dict[str, object]
    name: str
    description: str | None = None


class BetaMemoryTool20250818ViewCommand(Record):
    command: Literal["view"]
    path: str
    view_range: list[int] | None = None


class BetaMemoryTool20250818CreateCommand(Record):
    command: Literal["create"]
    file_text: str
    path: str


class BetaMemoryTool20250818StrReplaceCommand(Record):
    command: Literal["str_replace"]
    new_str: str
    old_str: str
    path: str


class BetaMemoryTool20250818InsertCommand(Record):
    command: Literal["insert"]
    insert_line: int
    insert_text: str
    path: str


class BetaMemoryTool20250818DeleteCommand(Record):
    command: Literal["delete"]
    path: str


class BetaMemoryTool20250818RenameCommand(Record):
    command: Literal["rename"]
    new_path: str
    old_path: str


BetaMemoryTool20250818Command: TypeAlias = (
    BetaMemoryTool20250818ViewCommand
    | BetaMemoryTool20250818CreateCommand
    | BetaMemoryTool20250818StrReplaceCommand
    | BetaMemoryTool20250818InsertCommand
    | BetaMemoryTool20250818DeleteCommand
    | BetaMemoryTool20250818RenameCommand
)


class BetaCitationsConfigParam(Record):
    """Part of a tool that a reply tells of. Not a parameter: the name is the API's own slip."""

    enabled: bool | None = None


BetaMCPToolParam: TypeAlias = BetaMCPTool


_WebFetchURLSource: TypeAlias = (
    BetaWebFetchURLSourceAll | BetaWebFetchURLSourceNone | BetaWebFetchURLSourceOnly | BetaWebFetchURLSourceExcept
)
