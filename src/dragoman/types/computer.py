"""The computer toolset: what the model asks of a desktop, tool by tool; and the union of both toolsets."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from dragoman.client.record import Record

from .browser import BrowserToolUseBlock
from .content import ToolUseBlock, ToolUseCaller


class _ComputerBlock(Record):
    id: str
    toolset_name: Literal["computer"]
    type: Literal["tool_use"]
    caller: ToolUseCaller | None = None


class ComputerKeyInput(Record):
    text: str
    repeat: int | None = None


class ComputerTypeInput(Record):
    text: str


class ComputerWaitInput(Record):
    duration: int


class ComputerZoomInput(Record):
    region: list[int]


ComputerMemberName: TypeAlias = Literal[
    "key",
    "hold_key",
    "type",
    "cursor_position",
    "mouse_move",
    "left_mouse_down",
    "left_mouse_up",
    "left_click",
    "left_click_drag",
    "right_click",
    "middle_click",
    "double_click",
    "triple_click",
    "scroll",
    "wait",
    "screenshot",
    "zoom",
]


class ComputerHoldKeyInput(Record):
    duration: int
    text: str


class ComputerCursorPositionInput(Record):
    pass


class ComputerMouseMoveInput(Record):
    coordinate: list[int]


ComputerLeftMouseDownInput = ComputerCursorPositionInput
ComputerLeftMouseUpInput = ComputerCursorPositionInput


class ComputerLeftClickInput(Record):
    coordinate: list[int] | None = None
    text: str | None = None


class ComputerLeftClickDragInput(Record):
    coordinate: list[int]
    start_coordinate: list[int]
    text: str | None = None


ComputerRightClickInput = ComputerLeftClickInput
ComputerMiddleClickInput = ComputerLeftClickInput
ComputerDoubleClickInput = ComputerLeftClickInput
ComputerTripleClickInput = ComputerLeftClickInput


ComputerScrollDirection: TypeAlias = Literal["up", "down", "left", "right"]


class ComputerScrollInput(Record):
    scroll_amount: int
    scroll_direction: ComputerScrollDirection
    coordinate: list[int] | None = None
    text: str | None = None


ComputerScreenshotInput = ComputerCursorPositionInput


ComputerMemberInput: TypeAlias = (
    ComputerKeyInput
    | ComputerHoldKeyInput
    | ComputerTypeInput
    | ComputerCursorPositionInput
    | ComputerMouseMoveInput
    | ComputerLeftClickInput
    | ComputerLeftClickDragInput
    | ComputerScrollInput
    | ComputerWaitInput
    | ComputerZoomInput
)


class ComputerKeyToolUseBlock(_ComputerBlock):
    input: ComputerKeyInput
    name: Literal["key"]


class ComputerHoldKeyToolUseBlock(_ComputerBlock):
    input: ComputerHoldKeyInput
    name: Literal["hold_key"]


class ComputerTypeToolUseBlock(_ComputerBlock):
    input: ComputerTypeInput
    name: Literal["type"]


class ComputerCursorPositionToolUseBlock(_ComputerBlock):
    input: ComputerCursorPositionInput
    name: Literal["cursor_position"]


class ComputerMouseMoveToolUseBlock(_ComputerBlock):
    input: ComputerMouseMoveInput
    name: Literal["mouse_move"]


class ComputerLeftMouseDownToolUseBlock(_ComputerBlock):
    input: ComputerLeftMouseDownInput
    name: Literal["left_mouse_down"]


class ComputerLeftMouseUpToolUseBlock(_ComputerBlock):
    input: ComputerLeftMouseUpInput
    name: Literal["left_mouse_up"]


class ComputerLeftClickToolUseBlock(_ComputerBlock):
    input: ComputerLeftClickInput
    name: Literal["left_click"]


class ComputerLeftClickDragToolUseBlock(_ComputerBlock):
    input: ComputerLeftClickDragInput
    name: Literal["left_click_drag"]


class ComputerRightClickToolUseBlock(_ComputerBlock):
    input: ComputerRightClickInput
    name: Literal["right_click"]


class ComputerMiddleClickToolUseBlock(_ComputerBlock):
    input: ComputerMiddleClickInput
    name: Literal["middle_click"]


class ComputerDoubleClickToolUseBlock(_ComputerBlock):
    input: ComputerDoubleClickInput
    name: Literal["double_click"]


class ComputerTripleClickToolUseBlock(_ComputerBlock):
    input: ComputerTripleClickInput
    name: Literal["triple_click"]


class ComputerScrollToolUseBlock(_ComputerBlock):
    input: ComputerScrollInput
    name: Literal["scroll"]


class ComputerWaitToolUseBlock(_ComputerBlock):
    input: ComputerWaitInput
    name: Literal["wait"]


class ComputerScreenshotToolUseBlock(_ComputerBlock):
    input: ComputerScreenshotInput
    name: Literal["screenshot"]


class ComputerZoomToolUseBlock(_ComputerBlock):
    input: ComputerZoomInput
    name: Literal["zoom"]


ComputerToolUseBlock: TypeAlias = (
    ComputerKeyToolUseBlock
    | ComputerHoldKeyToolUseBlock
    | ComputerTypeToolUseBlock
    | ComputerCursorPositionToolUseBlock
    | ComputerMouseMoveToolUseBlock
    | ComputerLeftMouseDownToolUseBlock
    | ComputerLeftMouseUpToolUseBlock
    | ComputerLeftClickToolUseBlock
    | ComputerLeftClickDragToolUseBlock
    | ComputerRightClickToolUseBlock
    | ComputerMiddleClickToolUseBlock
    | ComputerDoubleClickToolUseBlock
    | ComputerTripleClickToolUseBlock
    | ComputerScrollToolUseBlock
    | ComputerWaitToolUseBlock
    | ComputerScreenshotToolUseBlock
    | ComputerZoomToolUseBlock
)
ResponseComputerToolUseBlock: TypeAlias = ComputerToolUseBlock
ResponseComputerKeyToolUseBlock: TypeAlias = ComputerKeyToolUseBlock
ResponseComputerTypeToolUseBlock: TypeAlias = ComputerTypeToolUseBlock
ResponseComputerWaitToolUseBlock: TypeAlias = ComputerWaitToolUseBlock
ResponseComputerZoomToolUseBlock: TypeAlias = ComputerZoomToolUseBlock
ResponseComputerScrollToolUseBlock: TypeAlias = ComputerScrollToolUseBlock
ResponseComputerHoldKeyToolUseBlock: TypeAlias = ComputerHoldKeyToolUseBlock
ResponseComputerLeftClickToolUseBlock: TypeAlias = ComputerLeftClickToolUseBlock
ResponseComputerMouseMoveToolUseBlock: TypeAlias = ComputerMouseMoveToolUseBlock
ResponseComputerScreenshotToolUseBlock: TypeAlias = ComputerScreenshotToolUseBlock
ResponseComputerRightClickToolUseBlock: TypeAlias = ComputerRightClickToolUseBlock
ResponseComputerDoubleClickToolUseBlock: TypeAlias = ComputerDoubleClickToolUseBlock
ResponseComputerMiddleClickToolUseBlock: TypeAlias = ComputerMiddleClickToolUseBlock
ResponseComputerTripleClickToolUseBlock: TypeAlias = ComputerTripleClickToolUseBlock
ResponseComputerLeftMouseUpToolUseBlock: TypeAlias = ComputerLeftMouseUpToolUseBlock
ResponseComputerCursorPositionToolUseBlock: TypeAlias = ComputerCursorPositionToolUseBlock
ResponseComputerLeftClickDragToolUseBlock: TypeAlias = ComputerLeftClickDragToolUseBlock
ResponseComputerLeftMouseDownToolUseBlock: TypeAlias = ComputerLeftMouseDownToolUseBlock


COMPUTER_MEMBER_NAME_VALUES: tuple[ComputerMemberName, ...] = get_args(ComputerMemberName)


ToolsetToolUseBlock: TypeAlias = BrowserToolUseBlock | ComputerToolUseBlock | ToolUseBlock
ResponseToolUseBlockUnion: TypeAlias = ToolsetToolUseBlock
