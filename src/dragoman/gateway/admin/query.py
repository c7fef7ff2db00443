"""Queries of the admin API: the text behind the `?`, read by the types in `types.py`, in the API's words.

A parameter that is not known is no matter: SDKs send `beta=true`. Pure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from msgspec import Struct, inspect

from dragoman.errors import InvalidRequest
from dragoman.wire.schema import choices

__all__ = ["read_query"]

Q = TypeVar("Q", bound=Struct)

INTEGER = re.compile(r"-?[0-9]{1,18}")
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def read_query(kind: type[Q], query: Mapping[str, Sequence[str]]) -> Q:
    """Of a parameter given twice the last one counts; lists are written `name[]=a&name[]=b` or `name=a&name=b`.

    Raises InvalidRequest.
    """
    values = {}
    for field in _fields(kind):
        given = [*query.get(f"{field.name}[]", ()), *query.get(field.name, ())]
        if given:
            values[field.name] = _value(field.name, field.type, given)
        elif field.required:
            raise InvalidRequest(f"{field.name}: Field required")
    return kind(**values)


@cache
def _fields(kind: type[Struct]) -> tuple[inspect.Field, ...]:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return info.fields


def _value(name: str, kind: inspect.Type, given: Sequence[str]) -> Any:
    if isinstance(kind, inspect.UnionType):  # with None: what is not given
        (kind,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
    if isinstance(kind, inspect.ListType):
        if kind.max_length is not None and len(given) > kind.max_length:
            raise InvalidRequest(
                f"{name}: List should have at most {kind.max_length} items after validation, not {len(given)}"
            )
        return [_READ[type(kind.item_type)](f"{name}.{at}", kind.item_type, text) for at, text in enumerate(given)]
    return _READ[type(kind)](name, kind, given[-1])


def _text(name: str, kind: inspect.StrType, text: str) -> str:
    return text


def _whole(name: str, kind: inspect.IntType, text: str) -> int:
    if not INTEGER.fullmatch(text):
        raise InvalidRequest(f"{name}: Input should be a valid integer, unable to parse string as an integer")
    if kind.ge is not None and int(text) < kind.ge:
        raise InvalidRequest(f"{name}: Input should be greater than or equal to {kind.ge}")
    if kind.le is not None and int(text) > kind.le:
        raise InvalidRequest(f"{name}: Input should be less than or equal to {kind.le}")
    return int(text)


def _yes_or_no(name: str, kind: inspect.BoolType, text: str) -> bool:
    if text.lower() not in (*YES, *NO):
        raise InvalidRequest(f"{name}: Input should be a valid boolean, unable to interpret input")
    return text.lower() in YES


def _word(name: str, kind: inspect.LiteralType, text: str) -> str:
    if text not in kind.values:
        raise InvalidRequest(f"{name}: Input should be {choices([str(value) for value in kind.values])}")
    return text


_READ: Mapping[type, Callable[[str, Any, str], Any]] = {
    inspect.StrType: _text,
    inspect.IntType: _whole,
    inspect.BoolType: _yes_or_no,
    inspect.LiteralType: _word,
}
