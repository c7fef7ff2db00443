"""The inputs of the tools that the API defines and a client runs: their fixed schemas, by the tool's `type`.

They are written so that `examples.fill` makes of them what a client can carry out without harm when the prompt says
nothing better: an echo, a look at a directory, a screenshot. Source: spec TOOL-50 to 55 and TOOL-61; the models of
the `anthropic` SDK 2.11 (`computer_*_input`, `browser_*_input`, `beta_memory_tool_20250818_*_command`); for the
editors, which the SDK has no models of, Anthropic's documentation, "Text editor tool". Imports nothing of
this package.
"""

import re
from typing import Any

__all__ = ["acts_in_a_tab", "as_said", "builtin_schema", "toolset_members", "without_place"]

Schema = dict[str, Any]


def builtin_schema(type: str) -> Schema | None:  # noqa: A002 - the wire's word for it
    """The schema of the input of a tool of this type; None for one that is not run by the client, or not known."""
    return _SCHEMAS.get(type)


def toolset_members(type: str) -> dict[str, Schema] | None:  # noqa: A002
    """The calls of a toolset (TOOL-54), name -> schema of its input; None for what is no toolset."""
    return _TOOLSETS.get(type)


def as_said(schema: Schema, text: str) -> Schema:
    """The schema for a call that `text` asks for: with the optional `tab_id` only where a certain tab is spoken of.

    Any number would do for it, so it would take those of a point.
    """
    if not acts_in_a_tab(schema) or _A_TAB.search(text):
        return schema
    return {**schema, "properties": {name: part for name, part in schema["properties"].items() if name != "tab_id"}}


def acts_in_a_tab(schema: Schema) -> bool:
    """Whether it is the schema of a member that does something in a tab, and not with the tab itself."""
    properties = schema.get("properties")
    return isinstance(properties, dict) and properties.get("tab_id") is _TAB["tab_id"]


def without_place(text: str) -> str:
    """The text with "in tab 3" or "in this tab" blanked out, which says where something is to be done, and not what."""
    return _IN_A_TAB.sub(lambda match: " " * len(match[0]), text)


def _object(description: str, required: str, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def _text(description: str, **more: Any) -> Schema:
    return {"type": "string", "description": description, **more}


def _whole(description: str, **more: Any) -> Schema:
    return {"type": "integer", "description": description, **more}


def _numbers(description: str, count: int) -> Schema:
    return {
        "type": "array", "description": description, "items": {"type": "integer", "minimum": 0},
        "minItems": count, "maxItems": count,
    }  # fmt: skip


def _one_of(description: str, by: str, variants: dict[str, Schema]) -> Schema:
    """An object whose property `by` names one of the variants, each with its own properties."""
    branches = []
    for name, variant in variants.items():
        mark = {by: {"const": name, "description": variant["description"]}}
        branches.append(
            {**variant, "properties": {**mark, **variant["properties"]}, "required": [by, *variant["required"]]}
        )
    return {"type": "object", "description": description, "anyOf": branches}


_BASH = {
    **_object(
        "Run a command in a bash shell.", "",
        command=_text("The bash command to run."),
        restart={"type": "boolean", "description": "Restart the shell."},
    ),
    "anyOf": [{"required": ["command"]}, {"required": ["restart"]}],
}  # fmt: skip

_PATH = _text("Path to the file or directory.", default=".")
_FILE = _text("Path to the file.", default="example.txt")
_RANGE = {
    "type": "array", "description": "First and last line to show.", "items": {"type": "integer"},
    "minItems": 2, "maxItems": 2,
}  # fmt: skip


def _editor(*, path: Schema, file: Schema, inserted: str) -> dict[str, Schema]:
    """The commands that the editors and the memory share; `inserted` is what the text to insert is called."""
    text = _text("Text.")
    return {
        "view": _object("Show a file or a directory.", "path", path=path, view_range=_RANGE),
        "create": _object("Create a file.", "path file_text", path=file, file_text=_text("Content of the file.")),
        "str_replace": _object(
            "Replace a string in a file.", "path old_str new_str", path=file, old_str=text, new_str=text
        ),
        "insert": _object(
            "Insert text in a file, behind a line.", f"path insert_line {inserted}",
            path=file, insert_line=_whole("Line number.", minimum=0), **{inserted: text},
        ),
    }  # fmt: skip


# The text to insert was once called new_str, as in str_replace.
_EARLIER = _editor(path=_PATH, file=_FILE, inserted="new_str")
_UNDO = {"undo_edit": _object("Undo the last edit of a file.", "path", path=_FILE)}
_EDITING = "View and edit text files."
_EDITOR = _one_of(_EDITING, "command", _editor(path=_PATH, file=_FILE, inserted="insert_text"))
_MIDDLE_EDITOR = _one_of(_EDITING, "command", _EARLIER)
_OLDER_EDITOR = _one_of(_EDITING, "command", {**_EARLIER, **_UNDO})
_MEMORY_PATH = _text("Path below /memories.", default="/memories", pattern="^/memories")
_MEMORY_FILE = _text("Path of a file below /memories.", default="/memories/notes.md", pattern="^/memories/")
_MEMORY = _one_of(
    "Keep notes in files below /memories.", "command",
    {
        **_editor(path=_MEMORY_PATH, file=_MEMORY_FILE, inserted="insert_text"),
        "delete": _object("Delete a file.", "path", path=_MEMORY_FILE),
        "rename": _object("Rename a file.", "old_path new_path", old_path=_MEMORY_FILE, new_path=_MEMORY_FILE),
    },
)  # fmt: skip

_POINT = _numbers("x and y in pixels.", 2)
_HELD = _text("Keys to hold down meanwhile, such as ctrl+shift.")
_CHORD = _text("A key or keys to press together.", default="Escape")
_SECONDS = _whole("Seconds.", minimum=0, maximum=100, default=1)
_DIRECTION = {"enum": ["down", "up", "left", "right"]}


def _click(what: str) -> Schema:
    return _object(f"{what} at a point, or where the cursor is.", "", coordinate=_POINT, text=_HELD)


# The actions of `computer_20250124`; the harmless one first, for it is taken when nothing is said.
_COMPUTER = {
    "screenshot": _object("Take a screenshot.", ""),
    "cursor_position": _object("Say where the cursor is.", ""),
    "key": _object("Press a key.", "text", text=_CHORD, repeat=_whole("How often.", minimum=1, maximum=100)),
    "hold_key": _object("Hold a key down.", "text duration", text=_CHORD, duration=_SECONDS),
    "type": _object("Type text on the keyboard.", "text", text=_text("The text to type.")),
    "mouse_move": _object("Move the cursor.", "coordinate", coordinate=_POINT),
    "left_mouse_down": _object("Press the left mouse button.", ""),
    "left_mouse_up": _object("Release the left mouse button.", ""),
    "left_click": _click("Click"),
    "left_click_drag": _object(
        "Drag from one point to another.", "start_coordinate coordinate",
        start_coordinate=_POINT, coordinate=_POINT, text=_HELD,
    ),
    "right_click": _click("Click the right button"),
    "middle_click": _click("Click the middle button"),
    "double_click": _click("Double-click"),
    "triple_click": _click("Triple-click"),
    "scroll": _object(
        "Scroll.", "scroll_direction scroll_amount",
        coordinate=_POINT, scroll_direction=_DIRECTION, text=_HELD,
        scroll_amount=_whole("Clicks of the wheel.", minimum=0, default=3),
    ),
    "wait": _object("Wait.", "duration", duration=_SECONDS),
}  # fmt: skip
_ZOOM = _object("Take a screenshot of a region.", "region", region=_numbers("x0, y0, x1 and y1 in pixels.", 4))

_TAB = {"tab_id": _text("The tab to act on.")}
# "tab 3", "tab_id: t3", "the tab number 3", "the tab 'main'"; not "this tab".
_TAB_NAMED = r"\btab(?:[\s_]?(?:id|number|no|called|named))?\b[\s:=#.]{0,4}(?:is\s)?(?:\w{0,40}\d|[\"'`]\w)"
_A_TAB = re.compile(_TAB_NAMED, re.IGNORECASE)
_THIS_TAB = r"(?:this|that|the(?:\s(?:current|active|same))?)\stab\b"
_IN_A_TAB = re.compile(
    rf"\b(?:in|on|of|inside|within)\s(?:(?:the\s)?{_TAB_NAMED}[\w\"'`]{{0,40}}|{_THIS_TAB})", re.IGNORECASE
)
_AT = _object("A point of the page.", "type x y", type={"const": "coordinate"},
              x=_whole("Pixels from the left."), y=_whole("Pixels from the top."))  # fmt: skip
_REF = _object("An element of the page.", "type ref", type={"const": "ref"},
               ref=_text("Its reference.", default="ref_1"))  # fmt: skip
_TARGET = {"anyOf": [_AT, _REF]}
_CHORDS = _text("Keys to hold down meanwhile, such as ctrl+shift.")
_SHORT = {"type": "number", "description": "Seconds.", "minimum": 0, "maximum": 30, "default": 1}


def _in_tab(description: str, required: str = "", **properties: Schema) -> Schema:
    return _object(description, required, **properties, **_TAB)


def _click_on(what: str) -> Schema:
    return _in_tab(f"{what} a point or an element.", "target", target=_TARGET, modifiers=_CHORDS)


_BROWSER = {
    "screenshot": _in_tab("Take a screenshot of the page."),
    "navigate": _in_tab("Go to a URL.", "url", url=_text("The URL, or back, forward or reload.")),
    "list_tabs": _object("List the open tabs.", ""),
    "new_tab": _object("Open an empty tab.", ""),
    "switch_tab": _object("Switch to a tab.", "tab_id", tab_id=_text("The tab.", default="1")),
    "close_tab": _object("Close a tab.", "tab_id", tab_id=_text("The tab.", default="1")),
    "read_page": _in_tab(
        "Read the page as a tree of elements.",
        filter={"enum": ["all", "interactive"]}, ref=_text("The element to begin at."),
        depth=_whole("How deep.", minimum=1),
    ),
    "get_page_text": _in_tab("Read the page's text."),
    "read_console": _in_tab("Read what the console has shown."),
    "read_network": _in_tab("Read which requests were made."),
    "find": _in_tab("Find elements of the page.", "query", query=_text("What they look like.")),
    "form_input": _in_tab(
        "Fill in a field of a form.", "target value",
        target=_REF, value={"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]},
    ),
    "file_upload": _in_tab(
        "Choose files in a form.", "target paths",
        target=_REF, paths={"type": "array", "items": _FILE, "minItems": 1},
        document_ids={"type": "array", "items": {"type": "string"}},
    ),
    "zoom": {**_ZOOM, "properties": {**_ZOOM["properties"], **_TAB}},
    "left_click": _click_on("Click"),
    "right_click": _click_on("Click with the right button"),
    "middle_click": _click_on("Click with the middle button"),
    "double_click": _click_on("Double-click"),
    "triple_click": _click_on("Triple-click"),
    "hover": _in_tab("Move the pointer over a point or an element.", "target", target=_TARGET),
    "left_click_drag": _in_tab("Drag from one point to another.", "from target", **{"from": _AT}, target=_AT),
    "left_mouse_down": _in_tab("Press the left mouse button.", "target", target=_AT),
    "left_mouse_up": _in_tab("Release the left mouse button.", "target", target=_AT),
    "mouse_move": _in_tab("Move the pointer.", "target", target=_AT),
    "scroll": _in_tab(
        "Scroll.", "scroll_direction target",
        scroll_direction=_DIRECTION, target=_AT, scroll_amount=_whole("Notches.", minimum=1, maximum=10),
    ),
    "scroll_to": _in_tab("Scroll an element into view.", "target", target=_REF),
    "type": _in_tab("Type text.", "text", text=_text("The text to type.")),
    "key": _in_tab("Press a key.", "text", text=_CHORD, repeat=_whole("How often.", minimum=1)),
    "hold_key": _in_tab("Hold a key down.", "text duration", text=_CHORD, duration=_SHORT),
    "wait": _in_tab("Wait.", "duration", duration=_SHORT),
    "javascript_exec": _in_tab(
        "Run JavaScript in the page.", "text", text=_text("The expression.", default="document.title")
    ),
}  # fmt: skip

_SCHEMAS: dict[str, Schema] = {
    "bash_20250124": _BASH,
    "text_editor_20250124": _OLDER_EDITOR,
    "text_editor_20250429": _MIDDLE_EDITOR,
    "text_editor_20250728": _EDITOR,
    "memory_20250818": _MEMORY,
    "computer_20250124": _one_of("Use a computer's screen, mouse and keyboard.", "action", _COMPUTER),
    "computer_20251124": _one_of(
        "Use a computer's screen, mouse and keyboard.", "action", {**_COMPUTER, "zoom": _ZOOM}
    ),
}  # fmt: skip
_TOOLSETS: dict[str, dict[str, Schema]] = {
    "computer_toolset_20260801": {**_COMPUTER, "zoom": _ZOOM},
    "browser_toolset_20260801": _BROWSER,
}
