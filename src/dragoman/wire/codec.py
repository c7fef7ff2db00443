"""Wire objects to and from plain JSON values, keeping every field and tag that this package does not know.

msgspec decodes known fields fast but drops the rest; what comes from an upstream may hold fields and block types
newer than this code, and a program that sends them back must get through unchanged. So each wire type has `extra`,
and an object with an unknown `type` becomes `Unknown`. Must not import anything of this package but errors.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

__all__ = ["Unknown", "Wire", "WireError", "encode", "plain", "read", "struct_info"]

T = TypeVar("T", bound="Wire")


class WireError(ValueError):
    """Bytes or values that are no legal wire object. The message names the place."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every wire type: optional fields default to None and are then left out on the wire."""

    extra: dict[str, Any] = {}
    """Fields that this version does not know, as they came."""


class Unknown(Wire, frozen=True, kw_only=True, tag_field="type", tag="\x00"):
    """A block, delta or event whose `type` this version does not know; all its fields are in `extra`."""

    kind: str


def encode(value: Any) -> bytes:
    """One line of JSON for a wire object, foreign fields included."""
    return msgspec.json.encode(plain(value))


def plain(value: Any) -> Any:
    """A wire object as dicts, lists and scalars; fields at their default are left out.

    Dicts, and lists in lists, are JSON of the caller's (a tool's input, a schema): they hold no wire object and are
    handed on as they are, not walked, for they may be as deep as the decoder lets them.
    """
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Wire):
        return _plain_object(value)
    if isinstance(value, list | tuple):
        return [_plain_object(item) if isinstance(item, Wire) else item for item in value]
    return value


_SCALARS = frozenset({str, int, float, bool, type(None)})


def _plain_object(value: "Wire") -> dict[str, Any]:
    if isinstance(value, Unknown):
        return {"type": value.kind, **value.extra}
    tag, fields, nested = _layout(type(value))
    if not value.extra:
        for name in nested:
            if getattr(value, name):
                break
        else:
            flat: dict[str, Any] = msgspec.to_builtins(value)  # of scalars alone: the same, ten times as quick
            return flat
    out: dict[str, Any] = {} if tag is None else {"type": tag}
    for name, default, required in fields:
        item = getattr(value, name)
        if type(item) in _SCALARS:
            if required or (item is not default and item != default):
                out[name] = item
        elif required or item != default:
            out[name] = plain(item)
    if value.extra:
        out.update(value.extra)
    return out


def read(kind: type[T], value: Any) -> T:
    """A wire object from a plain JSON value. Raises WireError where a required field is missing or not of its shape.

    Scalars are taken as they are: this reads what an upstream answered, and is no validation.
    """
    result = _reader(kind)(value)
    if not isinstance(result, kind):
        raise WireError(f"expected {kind.__name__}, got {type(value).__name__}")
    return result


@cache
def _layout(kind: type[Wire]) -> tuple[Any, list[tuple[str, Any, bool]], list[str]]:
    """The tag of a type; (name, default, is required) of each of its wire fields, in order; those that hold more than a
    scalar."""
    fields = [field for field in msgspec.structs.fields(kind) if field.name != "extra"]
    rows = [(field.name, field.default, field.required) for field in fields]
    infos = {field.name: field.type for field in struct_info(kind).fields}
    return kind.__struct_config__.tag, rows, [field.name for field in fields if not _is_scalar(infos[field.name])]


def _is_scalar(info: inspect.Type) -> bool:
    if isinstance(info, inspect.Metadata):
        return _is_scalar(info.type)
    if isinstance(info, inspect.UnionType):
        return all(map(_is_scalar, info.types))
    return isinstance(info, _SCALAR_TYPES)


_SCALAR_TYPES = (
    inspect.StrType,
    inspect.IntType,
    inspect.FloatType,
    inspect.BoolType,
    inspect.NoneType,
    inspect.LiteralType,
)


_INFOS: dict[type, inspect.StructType] = {}


def struct_info(kind: type[Wire]) -> inspect.StructType:
    """What msgspec says of a type's fields.

    To say it, it goes through every type within, so all of those are kept: asked for one by one, the 69 types of the
    first request to an engine take 13 ms more.
    """
    pending: list[inspect.Type] = [] if kind in _INFOS else [inspect.type_info(kind)]
    while pending:
        match pending.pop():
            case inspect.StructType(cls=cls, fields=fields) as info if cls not in _INFOS:
                _INFOS[cls] = info
                pending += (field.type for field in fields)
            case inspect.UnionType(types=types):
                pending += types
            case inspect.ListType(item_type=inner) | inspect.Metadata(type=inner):
                pending.append(inner)
    return _INFOS[kind]


Reader = Callable[[Any], Any]


@cache
def _reader(kind: type[Wire]) -> Reader:
    info = struct_info(kind)
    # Built at first use, not now: types may contain themselves (a tool result holds blocks). Only ever set whole:
    # other threads read at the same time.
    plan: dict[str, tuple[Reader, bool, bool]] | None = None

    def build() -> dict[str, tuple[Reader, bool, bool]]:
        nonlocal plan
        rows = {}
        for field in info.fields:
            if field.name != "extra":
                nullable = isinstance(field.type, inspect.UnionType) and field.type.includes_none
                rows[field.encode_name] = (_value_reader(field.type), field.required, nullable)
        plan = rows
        return rows

    def reader(value: Any) -> Wire:
        if not isinstance(value, dict):
            raise WireError(f"expected {kind.__name__}, got {type(value).__name__}")
        rows = build() if plan is None else plan
        known: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for key, item in value.items():
            if row := rows.get(key):
                known[key] = row[0](item)
            elif key != info.tag_field:
                extra[key] = item
        for name, (_, required, nullable) in rows.items():
            if required and name not in known:
                if not nullable:
                    raise WireError(f"{kind.__name__}: `{name}` is missing")
                known[name] = None
        return kind(**known, extra=extra) if extra else kind(**known)

    return reader


def _value_reader(info: inspect.Type) -> Reader:
    if isinstance(info, inspect.Metadata):
        return _value_reader(info.type)
    if isinstance(info, inspect.StructType):
        return _reader(info.cls)
    if isinstance(info, inspect.ListType):
        return _list_reader(_value_reader(info.item_type))
    if isinstance(info, inspect.UnionType):
        return _union_reader(info)
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _list_reader(item: Reader) -> Reader:
    def reader(value: Any) -> Any:
        if not isinstance(value, list):
            raise WireError(f"expected a list, got {type(value).__name__}")
        return [item(entry) for entry in value]

    return reader


def _union_reader(info: inspect.UnionType) -> Reader:
    members = [member for member in info.types if isinstance(member, inspect.StructType)]
    structs = [member for member in members if member.cls is not Unknown]
    lists = [member for member in info.types if isinstance(member, inspect.ListType)]
    by_tag: dict[Any, Reader] = {member.tag: _reader(member.cls) for member in structs}
    for member in structs:
        if getattr(member.cls, "is_default", False):
            by_tag[None] = by_tag[member.tag]
    as_list = _value_reader(lists[0]) if lists else _as_it_is

    only_objects = len(members) == len(info.types)  # neither null nor text may stand here

    def reader(value: Any) -> Any:
        if not isinstance(value, dict) or not structs:
            if only_objects:
                raise WireError(f"expected an object, got {type(value).__name__}")
            return as_list(value) if isinstance(value, list) else value
        tag = value.get("type")
        if not isinstance(tag, str):
            tag = None
        if found := by_tag.get(tag) or by_tag.get(None):
            return found(value)
        if tag is None:
            raise WireError("an object without its `type`")
        return Unknown(kind=tag, extra={key: item for key, item in value.items() if key != "type"})

    return reader
