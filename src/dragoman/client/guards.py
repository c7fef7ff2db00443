"""What JSON is made of, where a type checker is to know more than `dict` and `list`: pyright strict wants to be told of
what, and learns from neither `isinstance(value, dict)` nor an annotation after it."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, TypeGuard

__all__ = ["LIST", "OBJECT", "is_list", "is_mapping", "is_object", "is_set"]

# For code that runs with every event, where a call is dear: `type(value) is OBJECT`.
OBJECT: Final[type[dict[str, Any]]] = dict
LIST: Final[type[list[Any]]] = list


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """An object, or what a program may give in its place."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """A list, or a tuple, which a program may give in its place."""
    return isinstance(value, list | tuple)


def is_set(value: object) -> TypeGuard[Set[Any]]:
    return isinstance(value, set | frozenset)
