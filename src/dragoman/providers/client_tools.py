"""Tools that the API defines and a client runs, as functions: what another model must be told to call them rightly.

Anthropic's models know them by heart; here each has a description and a schema of its input, in the plain form that
every provider takes (no `anyOf`). Source: Anthropic's documentation, "Bash tool", "Text editor tool", "Memory tool" and
"Computer use tool", read 2026-11-21; spec TOOL-50 to 55. Imports only `wire`.
"""

from typing import Any, NamedTuple

from dragoman.wire.tools import (
    AnyTool,
    Bash,
    Computer20250124,
    Computer20251124,
    Memory,
    TextEditor20250124,
    TextEditor20250429,
    TextEditor20250728,
)

__all__ = ["Function", "as_function"]

Schema = dict[str, Any]


class Function(NamedTuple):
    name: str
    description: str
    schema: Schema


def as_function(tool: AnyTool) -> Function | None:
    """None for a tool that the caller defines, that the API runs itself, or that is a set of several."""
    match tool:
        case Bash():
            return Function(tool.name, _BASH_SAID, _BASH)
        case TextEditor20250124():
            return Function(tool.name, _EDITOR_SAID, _editor("new_str", undo=True))
        case TextEditor20250429():
            return Function(tool.name, _EDITOR_SAID, _editor("new_str"))
        case TextEditor20250728():
            return Function(tool.name, _EDITOR_SAID, _editor("insert_text"))
        case Memory():
            return Function(tool.name, _MEMORY_SAID, _MEMORY)
        case Computer20250124() | Computer20251124():
            return _computer(tool)
        case _:
            return None


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _whole(description: str) -> Schema:
    return {"type": "integer", "description": description}


def _numbers(description: str, count: int) -> Schema:
    items = {"type": "integer"}
    return {"type": "array", "description": description, "items": items, "minItems": count, "maxItems": count}


def _choice(description: str, values: list[str]) -> Schema:
    return {"type": "string", "description": description, "enum": values}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


_BASH_SAID = "Runs commands in a bash shell that stays open from call to call. Give `command`, or `restart` alone."
_BASH = _object(
    [],
    command=_text("The command to run."),
    restart={"type": "boolean", "description": "True to start the shell anew."},
)

_EDITOR_SAID = "Shows, creates and edits text files, and lists directories."


def _editing(inserted: str) -> dict[str, Schema]:
    """What the commands of the editors and of the memory take; `inserted` is what the text to insert is called."""
    insert = "the text to insert" if inserted == "insert_text" else "the text to put in its place, or to insert"
    return {
        "path": _text("The file or directory, as an absolute path."),
        "file_text": _text("For create: the whole content of the file."),
        "old_str": _text("For str_replace: the text to replace, which must stand in the file exactly once."),
        "new_str": _text("For str_replace: the text to put in its place."),
        "insert_line": _whole("For insert: the line after which to insert; 0 is the beginning of the file."),
        inserted: _text(
            f"For insert: {insert}." if inserted == "insert_text" else f"For str_replace, insert: {insert}."
        ),
        "view_range": _numbers("For view: the first and the last line to show, from 1; -1 is the end of the file.", 2),
    }


def _editor(inserted: str, *, undo: bool = False) -> Schema:
    commands = ["view", "create", "str_replace", "insert", *(["undo_edit"] if undo else [])]
    return _object(["command", "path"], command=_choice("What to do.", commands), **_editing(inserted))


_MEMORY_SAID = (
    "Keeps notes in files below /memories, which outlast the conversation. View /memories before you begin a task."
)
_MEMORY = _object(
    ["command"],
    command=_choice("What to do.", ["view", "create", "str_replace", "insert", "delete", "rename"]),
    **{**_editing("insert_text"), "path": _text("The file or directory, from /memories on; not for rename.")},
    old_path=_text("For rename: the path as it is."),
    new_path=_text("For rename: the path as it shall be."),
)

_ACTIONS = [
    "screenshot", "cursor_position", "key", "hold_key", "type", "mouse_move", "left_mouse_down", "left_mouse_up",
    "left_click", "left_click_drag", "right_click", "middle_click", "double_click", "triple_click", "scroll", "wait",
]  # fmt: skip


def _computer(tool: Computer20250124 | Computer20251124) -> Function:
    zooms = isinstance(tool, Computer20251124) and bool(tool.enable_zoom)
    said = (
        f"Uses a computer's mouse and keyboard, and shows its screen, which is {tool.display_width_px} pixels wide and "
        f"{tool.display_height_px} high. Take a screenshot first, to see where things are."
    )
    properties = {
        "action": _choice("What to do.", [*_ACTIONS, "zoom"] if zooms else _ACTIONS),
        "coordinate": _numbers("Where to click, move, scroll or drag to: x and y in pixels, from the top left.", 2),
        "start_coordinate": _numbers("For left_click_drag: where to begin.", 2),
        "text": _text(
            "For type: the text. For key and hold_key: the keys, as in ctrl+s. Else: keys held down meanwhile."
        ),
        "duration": {"type": "number", "description": "For hold_key and wait: seconds."},
        "scroll_direction": _choice("For scroll.", ["up", "down", "left", "right"]),
        "scroll_amount": _whole("For scroll: clicks of the wheel."),
    }
    if zooms:
        properties["region"] = _numbers("For zoom: left, top, right and bottom in pixels.", 4)
    return Function(tool.name, said, _object(["action"], **properties))
