"""Checks a plain JSON value against a wire type, and says what is wrong as the API says it.

msgspec could check shapes itself, but its wording and paths are its own. The API's are pydantic's: a dotted path in
which the tag of a union member stands too (`messages.0.content.1.text.text: Field required`). One error at a time,
the first in the order of the fields (MSG-32). Imports only `codec` of this folder and the error tree.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Struct, inspect

from dragoman.errors import InvalidRequest

from .codec import Unknown, Wire, struct_info

__all__ = ["check", "choices"]

Check = Callable[[Any], None]

EXTRA = "Extra inputs are not permitted"
REQUIRED = "Field required"


class _Bad(Exception):
    """A value that does not fit. The path is gathered from the inside out while the exception rises."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message)
        self.message = message
        self.path = list(reversed(path))

    def at(self, *path: str) -> "_Bad":
        self.path.extend(reversed(path))
        return self


def check(kind: type[Wire], value: Any) -> None:
    """Raise InvalidRequest, in the API's words, unless `value` has the shape of `kind`.

    Takes time linear in the value; the depth is bounded by the types, not by the value.
    """
    try:
        _struct(kind)(value)
    except _Bad as bad:
        path = ".".join(reversed(bad.path))
        raise InvalidRequest(f"{path}: {bad.message}" if path else bad.message) from None


def choices(values: Sequence[str]) -> str:
    """`'a', 'b' or 'c'`."""
    quoted = [f"'{value}'" for value in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


@cache
def _struct(kind: type[Wire]) -> Check:
    # Built at first use: types may contain themselves. Only ever set whole: other threads check at the same time.
    plan: list[tuple[str, bool, Check]] | None = None
    known: frozenset[str] = frozenset()

    def build() -> list[tuple[str, bool, Check]]:
        info = struct_info(kind)
        hints = get_type_hints(kind, include_extras=True)
        fields = [field for field in info.fields if field.name != "extra"]
        nonlocal plan, known
        known = frozenset(field.encode_name for field in fields) | ({"type"} if info.tag_field else set())
        plan = [(f.encode_name, f.required, _checker(f.type, _literals(hints[f.name]))) for f in fields]
        return plan

    def fits(value: Any) -> None:
        fields = build() if plan is None else plan
        if not isinstance(value, dict):
            raise _Bad("Input should be an object")
        for name, required, fits_field in fields:
            if name in value:
                try:
                    fits_field(value[name])
                except _Bad as bad:
                    raise bad.at(name) from None
            elif required:
                raise _Bad(REQUIRED, name)
        if value.keys() - known:
            raise _Bad(EXTRA, next(key for key in value if key not in known))

    return fits


def _literals(hint: Any) -> list[str]:
    """The choices of a field in the order in which it names them: msgspec sorts them, the API does not."""
    if get_origin(hint) is Literal:
        return [str(value) for value in get_args(hint)]
    return [value for part in get_args(hint) for value in _literals(part)]


def _checker(info: inspect.Type, order: Sequence[str] = ()) -> Check:
    """`order`: the choices of this field as written, for its message."""
    match info:
        case inspect.Metadata(type=inner, extra=extra):
            return _special(_checker(inner, order), inner, extra or {})
        case inspect.StructType(cls=cls, tag=tag):
            return _struct(cls) if tag is None else _only_tag(cls, str(tag))
        case inspect.UnionType():
            return _union(info, order)
        case inspect.ListType():
            return _list(info, order)
        case inspect.StrType():
            return _string(info)
        case inspect.IntType():
            return _integer(info)
        case inspect.FloatType():
            return _number
        case inspect.BoolType():
            return _boolean
        case inspect.LiteralType(values=values):
            return _literal([str(value) for value in values], named=order)
        case inspect.DictType():
            return _dictionary
        case _:
            return _anything


def _anything(value: Any) -> None:
    """JSON of any kind: what it means is up to the caller's tools or to another server."""


def _special(fits: Check, inner: inspect.Type, extra: dict[str, Any]) -> Check:
    """Fields whose wording the API spells out of line: `range` (MSG-22) and `named` choices (MSG-40)."""
    if named := extra.get("named"):
        members = inner.types if isinstance(inner, inspect.UnionType) else (inner,)
        literal = next(member for member in members if isinstance(member, inspect.LiteralType))
        fits_word = _literal([str(value) for value in literal.values], named=named)
        return fits_word if literal is inner else _nullable(fits_word)
    if span := extra.get("range"):
        assert isinstance(inner, inspect.FloatType)
        low, high = inner.ge, inner.le
        assert low is not None
        assert high is not None

        def within(value: Any) -> None:
            fits(value)
            if not low <= value <= high:
                raise _Bad(f"range: {span}")

        return within
    return fits


def _only_tag(kind: type[Struct], tag: str) -> Check:
    """A tagged object where no other type may stand."""
    fits = _struct(kind)
    path = (tag,) if getattr(kind, "tag_in_path", False) else ()

    def fits_tag(value: Any) -> None:
        if not isinstance(value, dict):
            raise _Bad("Input should be an object")
        if "type" not in value:
            raise _Bad(REQUIRED, "type")
        if value["type"] != tag:
            raise _Bad(f"Input should be '{tag}'", "type")
        try:
            fits(value)
        except _Bad as bad:
            raise bad.at(*path) from None

    return fits_tag


def _union(info: inspect.UnionType, order: Sequence[str]) -> Check:
    members = [member for member in info.types if not isinstance(member, inspect.NoneType)]
    structs = [m for m in members if isinstance(m, inspect.StructType) and m.cls is not Unknown]
    others = [m for m in members if not isinstance(m, inspect.StructType)]
    if not others:
        inner = _checker(structs[0]) if len(structs) == 1 else _tagged(structs)
    elif len(others) == 1 and not structs:
        inner = _checker(others[0], order)
    else:
        inner = _by_look(others, structs)
    return _nullable(inner) if info.includes_none else inner


def _nullable(fits: Check) -> Check:
    def fits_or_null(value: Any) -> None:
        if value is not None:
            fits(value)

    return fits_or_null


def _by_look(others: list[inspect.Type], structs: list[inspect.StructType]) -> Check:
    """`str | list` (content, system), `str | object` (container) and the like: judged by what the value looks like."""
    lists = [_checker(member) for member in others if isinstance(member, inspect.ListType)]
    words = [_checker(member) for member in others if isinstance(member, inspect.LiteralType)]
    flags = any(isinstance(member, inspect.BoolType) for member in others)
    objects = _tagged(structs) if len(structs) > 1 else _checker(structs[0]) if structs else None
    longer = lists[0] if lists else objects
    assert longer is not None

    def fits(value: Any) -> None:
        if isinstance(value, str) and not flags:
            for fits_word in words:
                fits_word(value)
        elif not (flags and isinstance(value, bool)):
            longer(value)

    return fits


def _tagged(structs: list[inspect.StructType]) -> Check:
    by_tag = {str(member.tag): _struct(member.cls) for member in structs}
    default = next((str(m.tag) for m in structs if getattr(m.cls, "is_default", False)), None)
    expected = ", ".join(f"'{tag}'" for tag in sorted(by_tag))

    def fits(value: Any) -> None:
        if not isinstance(value, dict):
            raise _Bad("Input should be an object")
        tag = value.get("type")
        if tag is None and default is not None:
            tag = default
        if not isinstance(tag, str):  # never shown: it may be of any size and depth
            raise _Bad(REQUIRED if "type" not in value else "Input should be a valid string", "type")
        member = by_tag.get(tag)
        if member is None:
            raise _Bad(f"Input tag '{tag}' found using 'type' does not match any of the expected tags: {expected}")
        try:
            member(value)
        except _Bad as bad:
            raise bad.at(tag) from None

    return fits


def _list(info: inspect.ListType, order: Sequence[str]) -> Check:
    fits_item = _checker(info.item_type, order)
    low, high = info.min_length or 0, info.max_length

    def fits(value: Any) -> None:
        if not isinstance(value, list):
            raise _Bad("Input should be a valid list")
        if len(value) < low:
            raise _Bad(f"List should have at least {_items(low)} after validation, not {len(value)}")
        if high is not None and len(value) > high:
            raise _Bad(f"List should have at most {_items(high)} after validation, not {len(value)}")
        for index, item in enumerate(value):
            try:
                fits_item(item)
            except _Bad as bad:
                raise bad.at(str(index)) from None

    return fits


def _items(count: int) -> str:
    return f"{count} item" if count == 1 else f"{count} items"


def _characters(count: int) -> str:
    return f"{count} character" if count == 1 else f"{count} characters"


def _string(info: inspect.StrType) -> Check:
    low, high, pattern = info.min_length or 0, info.max_length, info.pattern
    # `$` would let a line end pass behind the last character.
    matches = re.compile(pattern.removesuffix("$") + r"\Z").match if pattern else None

    def fits(value: Any) -> None:
        if not isinstance(value, str):
            raise _Bad("Input should be a valid string")
        if len(value) < low:
            raise _Bad(f"String should have at least {_characters(low)}")
        if high is not None and len(value) > high:
            raise _Bad(f"String should have at most {_characters(high)}")
        if matches and not matches(value):
            raise _Bad(f"String should match pattern '{pattern}'")

    return fits


def _integer(info: inspect.IntType) -> Check:
    low, high = info.ge, info.le

    def fits(value: Any) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            fraction = isinstance(value, float) and value != int(value)
            raise _Bad(
                "Input should be a valid integer" + (", got a number with a fractional part" if fraction else "")
            )
        if low is not None and value < low:
            raise _Bad(f"Input should be greater than or equal to {low}")
        if high is not None and value > high:
            raise _Bad(f"Input should be less than or equal to {high}")

    return fits


def _number(value: Any) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _Bad("Input should be a valid number")


def _boolean(value: Any) -> None:
    if not isinstance(value, bool):
        raise _Bad("Input should be a valid boolean")


def _literal(values: Sequence[str], *, named: Sequence[str] = ()) -> Check:
    message = f"Input should be {choices(list(named) or list(values))}"

    def fits(value: Any) -> None:
        if value not in values:
            raise _Bad(message)

    return fits


def _dictionary(value: Any) -> None:
    if not isinstance(value, dict):
        raise _Bad("Input should be a valid dictionary")
