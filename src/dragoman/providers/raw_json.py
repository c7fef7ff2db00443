"""JSON that is looked into piece by piece, each piece with the bytes that it came in. Pure.

A piece of another type than the one asked for is None: whoever answers the request says what is wrong with it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from dragoman.wire.envelope import Envelope

__all__ = ["edited", "encoded", "items", "members", "spliced", "string", "value"]


def items(raw: Raw | None) -> list[Raw] | None:
    """Of an array."""
    try:
        return None if raw is None else msgspec.json.decode(raw, type=list[Raw])
    except (msgspec.DecodeError, RecursionError):
        return None


def members(raw: Raw | None) -> dict[str, Raw] | None:
    """Of an object."""
    try:
        return None if raw is None else msgspec.json.decode(raw, type=dict[str, Raw])
    except (msgspec.DecodeError, RecursionError):
        return None


def string(raw: Raw | None) -> str | None:
    try:
        return None if raw is None else msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        return None


def value(raw: Raw | None) -> Any:
    """All of it, parsed; None also where it is nested too deeply."""
    try:
        return None if raw is None else msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def encoded(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))


def edited(raw: Raw, dropped: Collection[str], replaced: Mapping[str, Any]) -> Raw:
    """An object without some of its members and with others replaced, every other byte as it came."""
    return Raw(Envelope(bytes(raw)).edited(dropped, replaced))


def spliced(raw: Raw, before: Sequence[Raw], after: Sequence[Raw]) -> Raw:
    """An array, whose items were `before`, with those of `after` in their places, every other byte as it came."""
    data, pieces, last = bytes(raw), [], 0
    for old, new in zip(before, after, strict=True):
        at = data.index(bytes(old), last)  # before it there are only a comma and space
        pieces += [data[last:at], bytes(new)]
        last = at + len(bytes(old))
    return Raw(b"".join((*pieces, data[last:])))
