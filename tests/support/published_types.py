"""A provider's published types of requests, TypedDicts, as checkers that let nothing else pass.

The types are written for those who send: a field that they do not name passes, an `Iterable` may be a generator. Here
nothing but their fields passes, and lists are lists.
"""

import types
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NotRequired, Required, Union, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict, get_type_hints, is_typeddict

__all__ = ["adapter", "first_problem"]

CLOSED = ConfigDict(extra="forbid", strict=True)


@cache
def adapter(typed_dict: Any) -> TypeAdapter[Any]:
    return TypeAdapter(_closed(typed_dict))


@cache
def _closed(kind: Any) -> Any:
    if is_typeddict(kind):
        return _closed_dict(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return Union[tuple(_closed(each) for each in arguments)]  # noqa: UP007
    if origin in (list, Iterable, Sequence) or getattr(origin, "__name__", "") == "SequenceNotStr":
        return list[_closed(arguments[0])]  # type: ignore[misc]
    if origin is dict:
        return dict[str, _closed(arguments[1])]  # type: ignore[misc]
    return kind


def _closed_dict(kind: Any) -> Any:
    fields = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        inner = get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint
        fields[name] = Required[_closed(inner)] if name in kind.__required_keys__ else _closed(inner)
    closed: Any = TypedDict(kind.__name__, fields, total=False)
    closed.__pydantic_config__ = CLOSED
    return closed


def first_problem(error: ValidationError) -> tuple[str, str]:
    """(what, where) of a problem: of a union's members, one of that which has the fewest."""
    problems = error.errors()
    problems = [each for each in problems if each["loc"][-1:] != ("str",)] or problems  # a text, where a list will do
    members = [_member(each["loc"]) for each in problems]
    found = min(range(len(problems)), key=lambda at: (members.count(members[at]), -len(problems[at]["loc"])))
    return problems[found]["type"], _path(problems[found]["loc"])


def _member(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Up to the first name of a type."""
    named = (at for at, part in enumerate(loc) if isinstance(part, str) and part[:1].isupper())
    return loc[: next(named, 0) + 1]


def _path(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.isidentifier() and part == part.lower() and part not in ("str", "int", "bool", "float"):
            path += f".{part}" if path else part
    return path
