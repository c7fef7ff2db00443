"""What may be wrong with a JSON value: each key of it missing, and each value of another type."""

from collections.abc import Iterator
from typing import Any

__all__ = ["OTHERS", "changed", "with_more"]

OTHERS: tuple[Any, ...] = (None, True, 7, -1, 2.5, "", "text", [], {}, [None], [[]], {"a": {}}, ["x"], [{}])


def changed(value: Any, *others: Any) -> Iterator[Any]:
    """The value with each key deleted in turn, and with each value of it, at any depth, one of the others in turn."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {name: item for name, item in value.items() if name != key}
            for other in (*others, *changed(inner, *others)):
                yield {**value, key: other}
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield value[:at] + value[at + 1 :]
            for other in (*others, *changed(inner, *others)):
                yield [*value[:at], other, *value[at + 1 :]]


def with_more(value: Any, **more: Any) -> Any:
    """The value with more fields in each of its objects, as a later version may send it."""
    if isinstance(value, dict):
        return {**{key: with_more(inner, **more) for key, inner in value.items()}, **more}
    return [with_more(inner, **more) for inner in value] if isinstance(value, list) else value
