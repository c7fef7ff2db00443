"""Content blocks of a scripted reply: how they are written, and what they are in an answer to one request.

Imports `wire`, the error tree, the engine's reply, and this folder.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from dragoman.engines.offline.reply import Part, Say, Think, Use, Whole
from dragoman.errors import InvalidRequest
from dragoman.wire.codec import Wire, WireError, read
from dragoman.wire.types import OutputBlock

from .reading import Refused, Table
from .template import Lookup, Tree, rendered, rendered_text

__all__ = ["Compile", "PartSpec", "Parts", "UseSpec", "parts_of", "read_blocks", "read_shorthand"]

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")  # TOOL-3
TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_-]+")
SERVER_TOOL_USE_ID = re.compile(r"srvtoolu_[a-zA-Z0-9_]+")
ONLY_FROM_USER = ("document", "image", "search_result", "tool_result")
SHORTHAND = ("redacted_thinking", "thinking", "text", "json", "tools")

Compile: TypeAlias = Callable[[object], Tree]  # with the templates of the rule, or literally; raises Refused


class ThinkSpec(Struct, frozen=True):
    text: Tree
    redacted: bool = False
    only_when_asked: bool = False  # left out where the request does not think


class SaySpec(Struct, frozen=True):
    text: Tree
    citations: Tree = ()
    is_json: bool = False  # `text` is a value, to be written as JSON


class UseSpec(Struct, frozen=True, kw_only=True):
    name: str
    input: Tree
    raw: Tree | None = None
    id: str | None = None
    on_server: bool = False


class WholeSpec(Struct, frozen=True):
    block: Tree
    answers_last: bool = False  # its `tool_use_id` is that of the server_tool_use before it


PartSpec: TypeAlias = ThinkSpec | SaySpec | UseSpec | WholeSpec
Parts: TypeAlias = tuple[PartSpec, ...]


class _Holder(Wire, frozen=True, kw_only=True):
    """Reads a block of any type."""

    block: OutputBlock


# In an answer.


def parts_of(specs: Parts, lookup: Lookup, *, thinks: bool, new_tool_id: Callable[[], str]) -> tuple[Part, ...]:
    """The parts of a reply; `thinks`: whether the request lets the model think.

    A call of a server tool gets its id here, for its result has to name it (TOOL-62).
    """
    parts: list[Part] = []
    server_id = ""
    for spec in specs:
        match spec:
            case ThinkSpec(text=text, redacted=redacted, only_when_asked=only_when_asked):
                if thinks or not only_when_asked:
                    parts.append(Think(rendered_text(text, lookup), redacted))
            case SaySpec():
                parts.append(_say(spec, lookup))
            case UseSpec(on_server=True, id=given):
                server_id = given or "srvtoolu_" + new_tool_id().removeprefix("toolu_")
                parts.append(_use(spec, lookup, server_id))
            case UseSpec(id=given):
                parts.append(_use(spec, lookup, given))
            case WholeSpec(block=block, answers_last=answers_last):
                told = {"tool_use_id": server_id} if answers_last else {}
                parts.append(_whole(rendered(block, lookup) | told))
    return tuple(parts)


def _say(spec: SaySpec, lookup: Lookup) -> Say:
    if spec.is_json:
        return Say(msgspec.json.encode(rendered(spec.text, lookup)).decode())
    return Say(rendered_text(spec.text, lookup), tuple(rendered(list(spec.citations), lookup)))


def _use(spec: UseSpec, lookup: Lookup, given_id: str | None) -> Use:
    raw = None if spec.raw is None else rendered_text(spec.raw, lookup)
    return Use(name=spec.name, input=rendered(spec.input, lookup), id=given_id, raw=raw, on_server=spec.on_server)


def _whole(block: dict[str, Any]) -> Whole:
    """Raises InvalidRequest when what a template put in, an object where a text was, leaves no such block."""
    try:
        return Whole(read(_Holder, {"block": block}).block)
    except WireError as error:
        raise InvalidRequest(f"the script cannot make a {block['type']} of this request: {error}") from error


# As they are written.


def read_shorthand(table: Table, compiled: Compile) -> Parts:
    """`redacted_thinking`, `thinking`, `text` or `json`, and `tools`, which come out in this order."""
    table.exclusive("text", "json")
    parts: list[PartSpec] = []
    for name, redacted in (("redacted_thinking", True), ("thinking", False)):
        thoughts = [_compiled(table, name, text, compiled) for text in table.texts(name) or ()]
        parts += [ThinkSpec(thought, redacted, only_when_asked=True) for thought in thoughts]
    parts += [SaySpec(_compiled(table, "text", text, compiled)) for text in table.texts("text") or ()]
    value = table.value("json")
    if value is not None:
        parts.append(SaySpec(_compiled(table, "json", value, compiled), is_json=True))
    for call in table.tables("tools"):
        parts.append(_read_use(call, compiled, on_server=False))
        call.close()
    return tuple(parts)


def read_blocks(table: Table, compiled: Compile) -> Parts:
    """`blocks`: content blocks as on the wire, in order."""
    parts: list[PartSpec] = []
    for block in table.tables("blocks"):
        has_call = any(isinstance(part, UseSpec) and part.on_server for part in parts)
        parts += _read_block(block, compiled, has_call=has_call)
    return tuple(parts)


def _read_block(table: Table, compiled: Compile, *, has_call: bool) -> Iterator[PartSpec]:
    kind = table.text("type")
    if kind is None:
        table.note(None, "a block needs its `type`", 'Write type = "text", or another block of the API.')
        return
    if kind in ONLY_FROM_USER:
        table.refuse("type", "never comes out of a model", "Only callers send it.")
        return
    reader = READERS.get(kind)
    if reader is None and not (kind == "redacted_thinking" and "thinking" in table):
        yield _read_whole(table, compiled, has_call=has_call)
        return
    yield (reader or _read_thinking)(table, compiled)
    table.close()


def _read_text(table: Table, compiled: Compile) -> SaySpec:
    citations = [_compiled(table, "citations", each.values, compiled) for each in table.tables("citations")]
    return SaySpec(_required(table, "text", compiled), citations)


def _read_thinking(table: Table, compiled: Compile) -> ThinkSpec:
    if "signature" in table.values:
        table.value("signature")
        table.note("signature", "the engine signs thinking itself", "Take it out.")
    return ThinkSpec(_required(table, "thinking", compiled), redacted=table.value("type") == "redacted_thinking")


def _read_client_use(table: Table, compiled: Compile) -> UseSpec:
    return _read_use(table, compiled, on_server=False)


def _read_server_use(table: Table, compiled: Compile) -> UseSpec:
    return _read_use(table, compiled, on_server=True)


READERS: Mapping[str, Callable[[Table, Compile], PartSpec]] = {
    "server_tool_use": _read_server_use,
    "text": _read_text,
    "thinking": _read_thinking,
    "tool_use": _read_client_use,
}


def _read_use(table: Table, compiled: Compile, *, on_server: bool) -> UseSpec:
    name, given_id = table.text("name"), table.text("id")
    if name is None:
        table.note(None, "a call needs the `name` of its tool", 'Write name = "...".')
    elif not TOOL_NAME.fullmatch(name):
        table.refuse("name", "is no name of a tool", "Write up to 128 letters, digits, _ and -.")
    pattern = SERVER_TOOL_USE_ID if on_server else TOOL_USE_ID
    if given_id is not None and not pattern.fullmatch(given_id):
        kind = "srvtoolu_ and letters, digits and _" if on_server else "letters, digits, _ and -"
        table.refuse("id", "is no id of a call", f"Write {kind}, or take it out for a new one.")
    table.exclusive("input", "raw")
    given = table.table("input")
    raw = table.text("raw")
    return UseSpec(
        name=name or "",
        input={} if given is None else _compiled(table, "input", given.values, compiled),
        raw=None if raw is None else _compiled(table, "raw", raw, compiled),
        id=given_id,
        on_server=on_server,
    )


def _read_whole(table: Table, compiled: Compile, *, has_call: bool) -> WholeSpec:
    """Any other block: what the API knows must have its fields, what it does not may have any."""
    values = table.values
    answers_last = str(values["type"]).endswith("_tool_result") and "tool_use_id" not in values
    if answers_last and not has_call:
        remedy = "Write its tool_use_id, or the server_tool_use before it."
        table.note(None, "there is no server_tool_use that this result answers", remedy)
    try:
        read(_Holder, {"block": values | ({"tool_use_id": "srvtoolu_1"} if answers_last else {})})
    except WireError as error:
        table.note(None, f"this is no such block: {error}", "See the API's reference for its fields.")
    names = ("type", "tool_use_id", "id")  # what they say is taken as it is
    fixed = {name: value for name, value in values.items() if name in names}
    rest = {name: _compiled(table, name, value, compiled) for name, value in values.items() if name not in names}
    return WholeSpec(fixed | rest, answers_last)


def _required(table: Table, name: str, compiled: Compile) -> Tree:
    value = table.text(name)
    if value is None and name not in table:
        table.note(None, f"this block needs `{name}`", f'Write {name} = "...".')
    return _compiled(table, name, value or "", compiled)


def _compiled(table: Table, name: str, value: Any, compiled: Compile) -> Tree:
    try:
        return compiled(value)
    except Refused as refused:
        table.note(name, refused.what, refused.remedy)
        return ""
