"""What tools that the API knows have in common."""

from __future__ import annotations

from collections.abc import Iterable

from dragoman.types.names import AllowedCaller

from .content import CacheControlEphemeralParam
from .typed import TypedDict


class BuiltInParam(TypedDict, total=False):
    allowed_callers: list[AllowedCaller]
    cache_control: CacheControlEphemeralParam | None
    defer_loading: bool
    strict: bool


class ClientSideParam(BuiltInParam, total=False):
    input_examples: Iterable[dict[str, object]]
