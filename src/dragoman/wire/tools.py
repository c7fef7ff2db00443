"""The forms a tool definition takes: custom ones, and those that the API defines by a dated `type` (TOOL-1 to 60).

Imports only `codec` of this folder.
"""

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from .codec import Wire

__all__ = [
    "AnyTool",
    "BrowserToolset",
    "CacheControl",
    "CitationsConfig",
    "ComputerToolset",
    "CustomTool",
    "JsonObject",
    "MemberConfig",
    "Toolset",
    "WebFetch",
    "WebSearch",
    "runs_on_the_server",
]

JsonObject = dict[str, Any]
AllowedCaller = Literal["direct", "code_execution_20250825", "code_execution_20260120", "code_execution_20260521"]
Domains = list[str]


class CacheControl(Wire, frozen=True, kw_only=True, tag_field="type", tag="ephemeral"):
    """A cache breakpoint (CCH-1)."""

    tag_in_path: ClassVar[bool] = True  # the API says `cache_control.ephemeral.ttl`, though there is no other type

    ttl: Literal["5m", "1h"] | None = None


class CitationsConfig(Wire, frozen=True, kw_only=True):
    enabled: bool | None = None


class UserLocation(Wire, frozen=True, kw_only=True):
    type: Literal["approximate"]
    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


class _Tool(Wire, frozen=True, kw_only=True, tag_field="type"):
    """What every single tool may carry."""

    cache_control: CacheControl | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: list[AllowedCaller] | None = None


class CustomTool(_Tool, frozen=True, kw_only=True, tag="custom"):
    """A tool that the caller defines and runs; `type` may be left out (TOOL-1 to 7)."""

    is_default: ClassVar[bool] = True
    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: JsonObject
    description: str | None = None
    input_examples: list[JsonObject] | None = None
    eager_input_streaming: bool | None = None


class _ClientTool(_Tool, frozen=True, kw_only=True):
    """Defined by the API, run by the caller: name and input schema are fixed (TOOL-50 to 55, 61)."""

    input_examples: list[JsonObject] | None = None


class Bash(_ClientTool, frozen=True, kw_only=True, tag="bash_20250124"):
    name: Literal["bash"]


class TextEditor20250124(_ClientTool, frozen=True, kw_only=True, tag="text_editor_20250124"):
    name: Literal["str_replace_editor"]


class TextEditor20250429(_ClientTool, frozen=True, kw_only=True, tag="text_editor_20250429"):
    name: Literal["str_replace_based_edit_tool"]


class TextEditor20250728(_ClientTool, frozen=True, kw_only=True, tag="text_editor_20250728"):
    name: Literal["str_replace_based_edit_tool"]
    max_characters: Annotated[int, Meta(ge=1)] | None = None


class Memory(_ClientTool, frozen=True, kw_only=True, tag="memory_20250818"):
    name: Literal["memory"]


class _Computer(_ClientTool, frozen=True, kw_only=True):
    name: Literal["computer"]
    display_width_px: Annotated[int, Meta(ge=1)]
    display_height_px: Annotated[int, Meta(ge=1)]
    display_number: int | None = None


class Computer20250124(_Computer, frozen=True, kw_only=True, tag="computer_20250124"):
    pass


class Computer20251124(_Computer, frozen=True, kw_only=True, tag="computer_20251124"):
    enable_zoom: bool | None = None


class MemberConfig(Wire, frozen=True, kw_only=True):
    """What one member of a toolset is to do; without a word it is offered, and at once."""

    enabled: bool | None = None
    defer_loading: bool | None = None


class _Configs(Wire, frozen=True, kw_only=True):
    """The fields are the members of the toolset, all of them (TOOL-54)."""


class ComputerConfigs(_Configs, frozen=True, kw_only=True):
    key: MemberConfig | None = None
    hold_key: MemberConfig | None = None
    type: MemberConfig | None = None
    cursor_position: MemberConfig | None = None
    mouse_move: MemberConfig | None = None
    left_mouse_down: MemberConfig | None = None
    left_mouse_up: MemberConfig | None = None
    left_click: MemberConfig | None = None
    left_click_drag: MemberConfig | None = None
    right_click: MemberConfig | None = None
    middle_click: MemberConfig | None = None
    double_click: MemberConfig | None = None
    triple_click: MemberConfig | None = None
    scroll: MemberConfig | None = None
    wait: MemberConfig | None = None
    screenshot: MemberConfig | None = None
    zoom: MemberConfig | None = None


class BrowserConfigs(_Configs, frozen=True, kw_only=True):
    navigate: MemberConfig | None = None
    list_tabs: MemberConfig | None = None
    new_tab: MemberConfig | None = None
    switch_tab: MemberConfig | None = None
    close_tab: MemberConfig | None = None
    read_page: MemberConfig | None = None
    get_page_text: MemberConfig | None = None
    read_console: MemberConfig | None = None
    read_network: MemberConfig | None = None
    find: MemberConfig | None = None
    form_input: MemberConfig | None = None
    file_upload: MemberConfig | None = None
    scroll_to: MemberConfig | None = None
    screenshot: MemberConfig | None = None
    zoom: MemberConfig | None = None
    left_click: MemberConfig | None = None
    right_click: MemberConfig | None = None
    middle_click: MemberConfig | None = None
    double_click: MemberConfig | None = None
    triple_click: MemberConfig | None = None
    hover: MemberConfig | None = None
    left_click_drag: MemberConfig | None = None
    left_mouse_down: MemberConfig | None = None
    left_mouse_up: MemberConfig | None = None
    mouse_move: MemberConfig | None = None
    scroll: MemberConfig | None = None
    type: MemberConfig | None = None
    key: MemberConfig | None = None
    hold_key: MemberConfig | None = None
    wait: MemberConfig | None = None
    javascript_exec: MemberConfig | None = None


class ComputerToolset(Wire, frozen=True, kw_only=True, tag_field="type", tag="computer_toolset_20260801"):
    """Several tools of the API in one entry; its calls carry `toolset_name` (TOOL-54)."""

    family: ClassVar[str] = "computer"
    all_members: ClassVar[type[ComputerConfigs]] = ComputerConfigs
    configs: ComputerConfigs | None = None
    cache_control: CacheControl | None = None


class BrowserToolset(Wire, frozen=True, kw_only=True, tag_field="type", tag="browser_toolset_20260801"):
    """The same for the pages of a browser; some members have the names of the computer's."""

    family: ClassVar[str] = "browser"
    all_members: ClassVar[type[BrowserConfigs]] = BrowserConfigs
    configs: BrowserConfigs | None = None
    cache_control: CacheControl | None = None


Toolset = ComputerToolset | BrowserToolset


class _ServerTool(_Tool, frozen=True, kw_only=True):
    """Defined and run by the API (TOOL-56 to 60): an upstream that has it answers; we refuse it (TOOL-71)."""


class WebSearch(_ServerTool, frozen=True, kw_only=True):
    name: Literal["web_search"]
    max_uses: Annotated[int, Meta(ge=1)] | None = None
    allowed_domains: Domains | None = None
    blocked_domains: Domains | None = None
    user_location: UserLocation | None = None


class WebSearch20250305(WebSearch, frozen=True, kw_only=True, tag="web_search_20250305"):
    pass


class WebSearch20260209(WebSearch, frozen=True, kw_only=True, tag="web_search_20260209"):
    pass


class WebSearch20260318(WebSearch, frozen=True, kw_only=True, tag="web_search_20260318"):
    response_inclusion: Literal["full", "excluded"] | None = None


class WebFetch(_ServerTool, frozen=True, kw_only=True):
    name: Literal["web_fetch"]
    max_uses: Annotated[int, Meta(ge=1)] | None = None
    allowed_domains: Domains | None = None
    blocked_domains: Domains | None = None
    citations: CitationsConfig | None = None
    max_content_tokens: Annotated[int, Meta(ge=1)] | None = None
    url_sources: JsonObject | None = None


class WebFetch20250910(WebFetch, frozen=True, kw_only=True, tag="web_fetch_20250910"):
    pass


class WebFetch20260209(WebFetch, frozen=True, kw_only=True, tag="web_fetch_20260209"):
    pass


class WebFetch20260309(WebFetch, frozen=True, kw_only=True, tag="web_fetch_20260309"):
    use_cache: bool | None = None


class WebFetch20260318(WebFetch, frozen=True, kw_only=True, tag="web_fetch_20260318"):
    use_cache: bool | None = None
    response_inclusion: Literal["full", "excluded"] | None = None


class _CodeExecution(_ServerTool, frozen=True, kw_only=True):
    name: Literal["code_execution"]


class CodeExecution20250522(_CodeExecution, frozen=True, kw_only=True, tag="code_execution_20250522"):
    pass


class CodeExecution20250825(_CodeExecution, frozen=True, kw_only=True, tag="code_execution_20250825"):
    pass


class CodeExecution20260120(_CodeExecution, frozen=True, kw_only=True, tag="code_execution_20260120"):
    pass


class CodeExecution20260521(_CodeExecution, frozen=True, kw_only=True, tag="code_execution_20260521"):
    pass


class _SearchByRegex(_ServerTool, frozen=True, kw_only=True):
    name: Literal["tool_search_tool_regex"]


class SearchByRegex(_SearchByRegex, frozen=True, kw_only=True, tag="tool_search_tool_regex"):
    pass


class SearchByRegex20251119(_SearchByRegex, frozen=True, kw_only=True, tag="tool_search_tool_regex_20251119"):
    pass


class _SearchByBm25(_ServerTool, frozen=True, kw_only=True):
    name: Literal["tool_search_tool_bm25"]


class SearchByBm25(_SearchByBm25, frozen=True, kw_only=True, tag="tool_search_tool_bm25"):
    pass


class SearchByBm25At20251119(_SearchByBm25, frozen=True, kw_only=True, tag="tool_search_tool_bm25_20251119"):
    pass


class McpToolset(_ServerTool, frozen=True, kw_only=True, tag="mcp_toolset"):
    mcp_server_name: str
    default_config: JsonObject | None = None
    configs: JsonObject | None = None


class Advisor(_ServerTool, frozen=True, kw_only=True, tag="advisor_20260301"):
    name: Literal["advisor"]
    model: str | None = None
    max_uses: Annotated[int, Meta(ge=1)] | None = None


AnyTool = (
    CustomTool
    | Bash
    | TextEditor20250124
    | TextEditor20250429
    | TextEditor20250728
    | Memory
    | Computer20250124
    | Computer20251124
    | ComputerToolset
    | BrowserToolset
    | WebSearch20250305
    | WebSearch20260209
    | WebSearch20260318
    | WebFetch20250910
    | WebFetch20260209
    | WebFetch20260309
    | WebFetch20260318
    | CodeExecution20250522
    | CodeExecution20250825
    | CodeExecution20260120
    | CodeExecution20260521
    | SearchByRegex
    | SearchByRegex20251119
    | SearchByBm25
    | SearchByBm25At20251119
    | McpToolset
    | Advisor
)


def runs_on_the_server(tool: AnyTool) -> bool:
    """Whether the API itself would run this tool, so that only an upstream that has it can answer."""
    return isinstance(tool, _ServerTool)
