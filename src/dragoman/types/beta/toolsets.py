"""Toolsets as a reply tells of them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from dragoman.client.record import Record


class BetaToolsetMemberConfig(Record):
    """What is set for one tool of a toolset: one shape for all."""

    defer_loading: bool | None = None
    enabled: bool | None = None


class BetaCacheControlEphemeral(Record):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


BetaBrowserCloseTabConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserDoubleClickConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserFileUploadConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserFindConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserFormInputConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserGetPageTextConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserHoldKeyConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserHoverConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserJavascriptExecConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserKeyConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserLeftClickConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserLeftClickDragConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserLeftMouseDownConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserLeftMouseUpConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserListTabsConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserMiddleClickConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserMouseMoveConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserNavigateConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserNewTabConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserReadConsoleConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserReadNetworkConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserReadPageConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserRightClickConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserScreenshotConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserScrollConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserScrollToConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserSwitchTabConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserTripleClickConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserTypeConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserWaitConfig: TypeAlias = BetaToolsetMemberConfig
BetaBrowserZoomConfig: TypeAlias = BetaToolsetMemberConfig


class BetaBrowserToolsetConfigs(Record):
    close_tab: BetaToolsetMemberConfig | None = None
    double_click: BetaToolsetMemberConfig | None = None
    file_upload: BetaToolsetMemberConfig | None = None
    find: BetaToolsetMemberConfig | None = None
    form_input: BetaToolsetMemberConfig | None = None
    get_page_text: BetaToolsetMemberConfig | None = None
    hold_key: BetaToolsetMemberConfig | None = None
    hover: BetaToolsetMemberConfig | None = None
    javascript_exec: BetaToolsetMemberConfig | None = None
    key: BetaToolsetMemberConfig | None = None
    left_click: BetaToolsetMemberConfig | None = None
    left_click_drag: BetaToolsetMemberConfig | None = None
    left_mouse_down: BetaToolsetMemberConfig | None = None
    left_mouse_up: BetaToolsetMemberConfig | None = None
    list_tabs: BetaToolsetMemberConfig | None = None
    middle_click: BetaToolsetMemberConfig | None = None
    mouse_move: BetaToolsetMemberConfig | None = None
    navigate: BetaToolsetMemberConfig | None = None
    new_tab: BetaToolsetMemberConfig | None = None
    read_console: BetaToolsetMemberConfig | None = None
    read_network: BetaToolsetMemberConfig | None = None
    read_page: BetaToolsetMemberConfig | None = None
    right_click: BetaToolsetMemberConfig | None = None
    screenshot: BetaToolsetMemberConfig | None = None
    scroll: BetaToolsetMemberConfig | None = None
    scroll_to: BetaToolsetMemberConfig | None = None
    switch_tab: BetaToolsetMemberConfig | None = None
    triple_click: BetaToolsetMemberConfig | None = None
    type: BetaToolsetMemberConfig | None = None
    wait: BetaToolsetMemberConfig | None = None
    zoom: BetaToolsetMemberConfig | None = None


class BetaBrowserToolset20260801(Record):
    type: Literal["browser_toolset_20260801"]
    cache_control: BetaCacheControlEphemeral | None = None
    configs: BetaBrowserToolsetConfigs | None = None


BetaComputerCursorPositionConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerDoubleClickConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerHoldKeyConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerKeyConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerLeftClickConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerLeftClickDragConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerLeftMouseDownConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerLeftMouseUpConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerMiddleClickConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerMouseMoveConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerRightClickConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerScreenshotConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerScrollConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerTripleClickConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerTypeConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerWaitConfig: TypeAlias = BetaToolsetMemberConfig
BetaComputerZoomConfig: TypeAlias = BetaToolsetMemberConfig


class BetaComputerToolsetConfigs(Record):
    cursor_position: BetaToolsetMemberConfig | None = None
    double_click: BetaToolsetMemberConfig | None = None
    hold_key: BetaToolsetMemberConfig | None = None
    key: BetaToolsetMemberConfig | None = None
    left_click: BetaToolsetMemberConfig | None = None
    left_click_drag: BetaToolsetMemberConfig | None = None
    left_mouse_down: BetaToolsetMemberConfig | None = None
    left_mouse_up: BetaToolsetMemberConfig | None = None
    middle_click: BetaToolsetMemberConfig | None = None
    mouse_move: BetaToolsetMemberConfig | None = None
    right_click: BetaToolsetMemberConfig | None = None
    screenshot: BetaToolsetMemberConfig | None = None
    scroll: BetaToolsetMemberConfig | None = None
    triple_click: BetaToolsetMemberConfig | None = None
    type: BetaToolsetMemberConfig | None = None
    wait: BetaToolsetMemberConfig | None = None
    zoom: BetaToolsetMemberConfig | None = None


class BetaComputerToolset20260801(Record):
    type: Literal["computer_toolset_20260801"]
    cache_control: BetaCacheControlEphemeral | None = None
    configs: BetaComputerToolsetConfigs | None = None


BetaMCPToolConfig: TypeAlias = BetaToolsetMemberConfig
BetaMCPToolDefaultConfig: TypeAlias = BetaToolsetMemberConfig
