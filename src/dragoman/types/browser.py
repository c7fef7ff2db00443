"""The browser toolset: what the model asks a browser to do, tool by tool.

A `ToolUseBlock` whose `toolset_name` is "browser" has one of these shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from dragoman.client.record import Record

from .content import ToolUseCaller


class _BrowserBlock(Record):
    id: str
    toolset_name: Literal["browser"]
    type: Literal["tool_use"]
    caller: ToolUseCaller | None = None


class BrowserKeyInput(Record):
    text: str
    repeat: int | None = None
    tab_id: str | None = None


class BrowserFindInput(Record):
    query: str
    tab_id: str | None = None


class BrowserRefTarget(Record):
    ref: str
    type: Literal["ref"]


class BrowserTypeInput(Record):
    text: str
    tab_id: str | None = None


class BrowserWaitInput(Record):
    duration: float
    tab_id: str | None = None


class BrowserZoomInput(Record):
    region: list[int]
    tab_id: str | None = None


class BrowserCoordinateTarget(Record):
    type: Literal["coordinate"]
    x: int
    y: int


BrowserClickTarget: TypeAlias = BrowserCoordinateTarget | BrowserRefTarget


class BrowserHoverInput(Record):
    target: BrowserClickTarget
    tab_id: str | None = None


BrowserMemberName: TypeAlias = Literal[
    "navigate",
    "list_tabs",
    "new_tab",
    "switch_tab",
    "close_tab",
    "read_page",
    "get_page_text",
    "read_console",
    "read_network",
    "find",
    "form_input",
    "file_upload",
    "scroll_to",
    "screenshot",
    "zoom",
    "left_click",
    "right_click",
    "middle_click",
    "double_click",
    "triple_click",
    "hover",
    "left_click_drag",
    "left_mouse_down",
    "left_mouse_up",
    "mouse_move",
    "scroll",
    "type",
    "key",
    "hold_key",
    "wait",
    "javascript_exec",
]


class BrowserNavigateInput(Record):
    url: str
    tab_id: str | None = None


class BrowserListTabsInput(Record):
    pass


BrowserNewTabInput = BrowserListTabsInput


class BrowserSwitchTabInput(Record):
    tab_id: str


BrowserCloseTabInput = BrowserSwitchTabInput


BrowserReadPageFilter: TypeAlias = Literal["all", "interactive"]


class BrowserReadPageInput(Record):
    depth: int | None = None
    filter: BrowserReadPageFilter | None = None
    ref: str | None = None
    tab_id: str | None = None


class BrowserGetPageTextInput(Record):
    tab_id: str | None = None


BrowserReadConsoleInput = BrowserGetPageTextInput
BrowserReadNetworkInput = BrowserGetPageTextInput


BrowserFormInputValue: TypeAlias = str | float | bool


class BrowserFormInputInput(Record):
    target: BrowserRefTarget
    value: BrowserFormInputValue
    tab_id: str | None = None


class BrowserFileUploadInput(Record):
    target: BrowserRefTarget
    document_ids: list[str] | None = None
    paths: list[str] | None = None
    tab_id: str | None = None


class BrowserScrollToInput(Record):
    target: BrowserRefTarget
    tab_id: str | None = None


BrowserScreenshotInput = BrowserGetPageTextInput


class BrowserLeftClickInput(Record):
    target: BrowserClickTarget
    modifiers: str | None = None
    tab_id: str | None = None


BrowserRightClickInput = BrowserLeftClickInput
BrowserMiddleClickInput = BrowserLeftClickInput
BrowserDoubleClickInput = BrowserLeftClickInput
BrowserTripleClickInput = BrowserLeftClickInput


class BrowserLeftClickDragInput(Record):
    target: BrowserCoordinateTarget
    tab_id: str | None = None
    if not TYPE_CHECKING:
        __annotations__["from"] = "BrowserCoordinateTarget"  # a keyword, which no annotation can spell

    @property
    def from_(self) -> BrowserCoordinateTarget:
        found: BrowserCoordinateTarget = self.__dict__["from"]
        return found


class BrowserLeftMouseDownInput(Record):
    target: BrowserCoordinateTarget
    tab_id: str | None = None


BrowserLeftMouseUpInput = BrowserLeftMouseDownInput
BrowserMouseMoveInput = BrowserLeftMouseDownInput


BrowserScrollDirection: TypeAlias = Literal["up", "down", "left", "right"]


class BrowserScrollInput(Record):
    scroll_direction: BrowserScrollDirection
    target: BrowserCoordinateTarget
    scroll_amount: int | None = None
    tab_id: str | None = None


class BrowserHoldKeyInput(Record):
    duration: float
    text: str
    tab_id: str | None = None


BrowserJavascriptExecInput = BrowserTypeInput


BrowserMemberInput: TypeAlias = (
    BrowserNavigateInput
    | BrowserListTabsInput
    | BrowserSwitchTabInput
    | BrowserReadPageInput
    | BrowserGetPageTextInput
    | BrowserFindInput
    | BrowserFormInputInput
    | BrowserFileUploadInput
    | BrowserScrollToInput
    | BrowserZoomInput
    | BrowserLeftClickInput
    | BrowserHoverInput
    | BrowserLeftClickDragInput
    | BrowserLeftMouseDownInput
    | BrowserScrollInput
    | BrowserTypeInput
    | BrowserKeyInput
    | BrowserHoldKeyInput
    | BrowserWaitInput
)


class BrowserNavigateToolUseBlock(_BrowserBlock):
    input: BrowserNavigateInput
    name: Literal["navigate"]


class BrowserListTabsToolUseBlock(_BrowserBlock):
    input: BrowserListTabsInput
    name: Literal["list_tabs"]


class BrowserNewTabToolUseBlock(_BrowserBlock):
    input: BrowserNewTabInput
    name: Literal["new_tab"]


class BrowserSwitchTabToolUseBlock(_BrowserBlock):
    input: BrowserSwitchTabInput
    name: Literal["switch_tab"]


class BrowserCloseTabToolUseBlock(_BrowserBlock):
    input: BrowserCloseTabInput
    name: Literal["close_tab"]


class BrowserReadPageToolUseBlock(_BrowserBlock):
    input: BrowserReadPageInput
    name: Literal["read_page"]


class BrowserGetPageTextToolUseBlock(_BrowserBlock):
    input: BrowserGetPageTextInput
    name: Literal["get_page_text"]


class BrowserReadConsoleToolUseBlock(_BrowserBlock):
    input: BrowserReadConsoleInput
    name: Literal["read_console"]


class BrowserReadNetworkToolUseBlock(_BrowserBlock):
    input: BrowserReadNetworkInput
    name: Literal["read_network"]


class BrowserFindToolUseBlock(_BrowserBlock):
    input: BrowserFindInput
    name: Literal["find"]


class BrowserFormInputToolUseBlock(_BrowserBlock):
    input: BrowserFormInputInput
    name: Literal["form_input"]


class BrowserFileUploadToolUseBlock(_BrowserBlock):
    input: BrowserFileUploadInput
    name: Literal["file_upload"]


class BrowserScrollToToolUseBlock(_BrowserBlock):
    input: BrowserScrollToInput
    name: Literal["scroll_to"]


class BrowserScreenshotToolUseBlock(_BrowserBlock):
    input: BrowserScreenshotInput
    name: Literal["screenshot"]


class BrowserZoomToolUseBlock(_BrowserBlock):
    input: BrowserZoomInput
    name: Literal["zoom"]


class BrowserLeftClickToolUseBlock(_BrowserBlock):
    input: BrowserLeftClickInput
    name: Literal["left_click"]


class BrowserRightClickToolUseBlock(_BrowserBlock):
    input: BrowserRightClickInput
    name: Literal["right_click"]


class BrowserMiddleClickToolUseBlock(_BrowserBlock):
    input: BrowserMiddleClickInput
    name: Literal["middle_click"]


class BrowserDoubleClickToolUseBlock(_BrowserBlock):
    input: BrowserDoubleClickInput
    name: Literal["double_click"]


class BrowserTripleClickToolUseBlock(_BrowserBlock):
    input: BrowserTripleClickInput
    name: Literal["triple_click"]


class BrowserHoverToolUseBlock(_BrowserBlock):
    input: BrowserHoverInput
    name: Literal["hover"]


class BrowserLeftClickDragToolUseBlock(_BrowserBlock):
    input: BrowserLeftClickDragInput
    name: Literal["left_click_drag"]


class BrowserLeftMouseDownToolUseBlock(_BrowserBlock):
    input: BrowserLeftMouseDownInput
    name: Literal["left_mouse_down"]


class BrowserLeftMouseUpToolUseBlock(_BrowserBlock):
    input: BrowserLeftMouseUpInput
    name: Literal["left_mouse_up"]


class BrowserMouseMoveToolUseBlock(_BrowserBlock):
    input: BrowserMouseMoveInput
    name: Literal["mouse_move"]


class BrowserScrollToolUseBlock(_BrowserBlock):
    input: BrowserScrollInput
    name: Literal["scroll"]


class BrowserTypeToolUseBlock(_BrowserBlock):
    input: BrowserTypeInput
    name: Literal["type"]


class BrowserKeyToolUseBlock(_BrowserBlock):
    input: BrowserKeyInput
    name: Literal["key"]


class BrowserHoldKeyToolUseBlock(_BrowserBlock):
    input: BrowserHoldKeyInput
    name: Literal["hold_key"]


class BrowserWaitToolUseBlock(_BrowserBlock):
    input: BrowserWaitInput
    name: Literal["wait"]


class BrowserJavascriptExecToolUseBlock(_BrowserBlock):
    input: BrowserJavascriptExecInput
    name: Literal["javascript_exec"]


BrowserToolUseBlock: TypeAlias = (
    BrowserNavigateToolUseBlock
    | BrowserListTabsToolUseBlock
    | BrowserNewTabToolUseBlock
    | BrowserSwitchTabToolUseBlock
    | BrowserCloseTabToolUseBlock
    | BrowserReadPageToolUseBlock
    | BrowserGetPageTextToolUseBlock
    | BrowserReadConsoleToolUseBlock
    | BrowserReadNetworkToolUseBlock
    | BrowserFindToolUseBlock
    | BrowserFormInputToolUseBlock
    | BrowserFileUploadToolUseBlock
    | BrowserScrollToToolUseBlock
    | BrowserScreenshotToolUseBlock
    | BrowserZoomToolUseBlock
    | BrowserLeftClickToolUseBlock
    | BrowserRightClickToolUseBlock
    | BrowserMiddleClickToolUseBlock
    | BrowserDoubleClickToolUseBlock
    | BrowserTripleClickToolUseBlock
    | BrowserHoverToolUseBlock
    | BrowserLeftClickDragToolUseBlock
    | BrowserLeftMouseDownToolUseBlock
    | BrowserLeftMouseUpToolUseBlock
    | BrowserMouseMoveToolUseBlock
    | BrowserScrollToolUseBlock
    | BrowserTypeToolUseBlock
    | BrowserKeyToolUseBlock
    | BrowserHoldKeyToolUseBlock
    | BrowserWaitToolUseBlock
    | BrowserJavascriptExecToolUseBlock
)
ResponseBrowserToolUseBlock: TypeAlias = BrowserToolUseBlock
ResponseBrowserKeyToolUseBlock: TypeAlias = BrowserKeyToolUseBlock
ResponseBrowserFindToolUseBlock: TypeAlias = BrowserFindToolUseBlock
ResponseBrowserTypeToolUseBlock: TypeAlias = BrowserTypeToolUseBlock
ResponseBrowserWaitToolUseBlock: TypeAlias = BrowserWaitToolUseBlock
ResponseBrowserZoomToolUseBlock: TypeAlias = BrowserZoomToolUseBlock
ResponseBrowserHoverToolUseBlock: TypeAlias = BrowserHoverToolUseBlock
ResponseBrowserScrollToolUseBlock: TypeAlias = BrowserScrollToolUseBlock
ResponseBrowserNewTabToolUseBlock: TypeAlias = BrowserNewTabToolUseBlock
ResponseBrowserHoldKeyToolUseBlock: TypeAlias = BrowserHoldKeyToolUseBlock
ResponseBrowserNavigateToolUseBlock: TypeAlias = BrowserNavigateToolUseBlock
ResponseBrowserCloseTabToolUseBlock: TypeAlias = BrowserCloseTabToolUseBlock
ResponseBrowserListTabsToolUseBlock: TypeAlias = BrowserListTabsToolUseBlock
ResponseBrowserReadPageToolUseBlock: TypeAlias = BrowserReadPageToolUseBlock
ResponseBrowserScrollToToolUseBlock: TypeAlias = BrowserScrollToToolUseBlock
ResponseBrowserFormInputToolUseBlock: TypeAlias = BrowserFormInputToolUseBlock
ResponseBrowserLeftClickToolUseBlock: TypeAlias = BrowserLeftClickToolUseBlock
ResponseBrowserMouseMoveToolUseBlock: TypeAlias = BrowserMouseMoveToolUseBlock
ResponseBrowserScreenshotToolUseBlock: TypeAlias = BrowserScreenshotToolUseBlock
ResponseBrowserSwitchTabToolUseBlock: TypeAlias = BrowserSwitchTabToolUseBlock
ResponseBrowserFileUploadToolUseBlock: TypeAlias = BrowserFileUploadToolUseBlock
ResponseBrowserRightClickToolUseBlock: TypeAlias = BrowserRightClickToolUseBlock
ResponseBrowserDoubleClickToolUseBlock: TypeAlias = BrowserDoubleClickToolUseBlock
ResponseBrowserMiddleClickToolUseBlock: TypeAlias = BrowserMiddleClickToolUseBlock
ResponseBrowserReadConsoleToolUseBlock: TypeAlias = BrowserReadConsoleToolUseBlock
ResponseBrowserReadNetworkToolUseBlock: TypeAlias = BrowserReadNetworkToolUseBlock
ResponseBrowserTripleClickToolUseBlock: TypeAlias = BrowserTripleClickToolUseBlock
ResponseBrowserGetPageTextToolUseBlock: TypeAlias = BrowserGetPageTextToolUseBlock
ResponseBrowserLeftMouseUpToolUseBlock: TypeAlias = BrowserLeftMouseUpToolUseBlock
ResponseBrowserJavascriptExecToolUseBlock: TypeAlias = BrowserJavascriptExecToolUseBlock
ResponseBrowserLeftClickDragToolUseBlock: TypeAlias = BrowserLeftClickDragToolUseBlock
ResponseBrowserLeftMouseDownToolUseBlock: TypeAlias = BrowserLeftMouseDownToolUseBlock


BROWSER_MEMBER_NAME_VALUES: tuple[BrowserMemberName, ...] = get_args(BrowserMemberName)
