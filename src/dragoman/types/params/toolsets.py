"""The browser and computer toolsets of a request."""

from __future__ import annotations

from typing import Literal, Required, TypeAlias

from .content import CacheControlEphemeralParam
from .typed import TypedDict


class ToolsetMemberConfigParam(TypedDict, total=False):
    """What may be set for each tool of a toolset: one shape for all."""

    defer_loading: bool | None
    enabled: bool | None


BrowserCloseTabConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserDoubleClickConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserFileUploadConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserFindConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserFormInputConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserGetPageTextConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserHoldKeyConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserHoverConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserJavascriptExecConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserKeyConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserLeftClickConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserLeftClickDragConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserLeftMouseDownConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserLeftMouseUpConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserListTabsConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserMiddleClickConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserMouseMoveConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserNavigateConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserNewTabConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserReadConsoleConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserReadNetworkConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserReadPageConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserRightClickConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserScreenshotConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserScrollConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserScrollToConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserSwitchTabConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserTripleClickConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserTypeConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserWaitConfigParam: TypeAlias = ToolsetMemberConfigParam
BrowserZoomConfigParam: TypeAlias = ToolsetMemberConfigParam


class BrowserToolsetConfigsParam(TypedDict, total=False):
    close_tab: ToolsetMemberConfigParam | None
    double_click: ToolsetMemberConfigParam | None
    file_upload: ToolsetMemberConfigParam | None
    find: ToolsetMemberConfigParam | None
    form_input: ToolsetMemberConfigParam | None
    get_page_text: ToolsetMemberConfigParam | None
    hold_key: ToolsetMemberConfigParam | None
    hover: ToolsetMemberConfigParam | None
    javascript_exec: ToolsetMemberConfigParam | None
    key: ToolsetMemberConfigParam | None
    left_click: ToolsetMemberConfigParam | None
    left_click_drag: ToolsetMemberConfigParam | None
    left_mouse_down: ToolsetMemberConfigParam | None
    left_mouse_up: ToolsetMemberConfigParam | None
    list_tabs: ToolsetMemberConfigParam | None
    middle_click: ToolsetMemberConfigParam | None
    mouse_move: ToolsetMemberConfigParam | None
    navigate: ToolsetMemberConfigParam | None
    new_tab: ToolsetMemberConfigParam | None
    read_console: ToolsetMemberConfigParam | None
    read_network: ToolsetMemberConfigParam | None
    read_page: ToolsetMemberConfigParam | None
    right_click: ToolsetMemberConfigParam | None
    screenshot: ToolsetMemberConfigParam | None
    scroll: ToolsetMemberConfigParam | None
    scroll_to: ToolsetMemberConfigParam | None
    switch_tab: ToolsetMemberConfigParam | None
    triple_click: ToolsetMemberConfigParam | None
    type: ToolsetMemberConfigParam | None
    wait: ToolsetMemberConfigParam | None
    zoom: ToolsetMemberConfigParam | None


class BrowserToolset20260801Param(TypedDict, total=False):
    type: Required[Literal["browser_toolset_20260801"]]
    cache_control: CacheControlEphemeralParam | None
    configs: BrowserToolsetConfigsParam | None


ComputerCursorPositionConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerDoubleClickConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerHoldKeyConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerKeyConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerLeftClickConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerLeftClickDragConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerLeftMouseDownConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerLeftMouseUpConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerMiddleClickConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerMouseMoveConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerRightClickConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerScreenshotConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerScrollConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerTripleClickConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerTypeConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerWaitConfigParam: TypeAlias = ToolsetMemberConfigParam
ComputerZoomConfigParam: TypeAlias = ToolsetMemberConfigParam


class ComputerToolsetConfigsParam(TypedDict, total=False):
    cursor_position: ToolsetMemberConfigParam | None
    double_click: ToolsetMemberConfigParam | None
    hold_key: ToolsetMemberConfigParam | None
    key: ToolsetMemberConfigParam | None
    left_click: ToolsetMemberConfigParam | None
    left_click_drag: ToolsetMemberConfigParam | None
    left_mouse_down: ToolsetMemberConfigParam | None
    left_mouse_up: ToolsetMemberConfigParam | None
    middle_click: ToolsetMemberConfigParam | None
    mouse_move: ToolsetMemberConfigParam | None
    right_click: ToolsetMemberConfigParam | None
    screenshot: ToolsetMemberConfigParam | None
    scroll: ToolsetMemberConfigParam | None
    triple_click: ToolsetMemberConfigParam | None
    type: ToolsetMemberConfigParam | None
    wait: ToolsetMemberConfigParam | None
    zoom: ToolsetMemberConfigParam | None


class ComputerToolset20260801Param(TypedDict, total=False):
    type: Required[Literal["computer_toolset_20260801"]]
    cache_control: CacheControlEphemeralParam | None
    configs: ComputerToolsetConfigsParam | None
