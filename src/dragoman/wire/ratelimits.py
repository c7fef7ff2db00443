"""The response headers that tell the state of rate limits. Source: spec HDR-33 to 35."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil
from typing import Literal, NamedTuple, get_args

__all__ = ["FAMILY", "Family", "Window", "rate_limit_headers"]

FAMILY = "anthropic-ratelimit-"
ROUNDED_TO = 1000  # `remaining` of tokens
LATEST = 253_402_300_799  # the last second of the year 9999

Family = Literal["requests", "input-tokens", "output-tokens", "tokens"]
NAMES: Mapping[Family, tuple[str, str, str]] = {
    family: (f"{FAMILY}{family}-limit", f"{FAMILY}{family}-remaining", f"{FAMILY}{family}-reset")
    for family in get_args(Family)
}


class Window(NamedTuple):
    """One limit as a caller is told of it. `full_at`: Unix seconds, when all of it is there again."""

    kind: Family
    limit: int
    remaining: float  # below 0 for a debt
    full_at: float


def rate_limit_headers(windows: Iterable[Window]) -> list[tuple[str, str]]:
    """Limit, remaining and reset of each window."""
    headers: list[tuple[str, str]] = []
    for kind, limit, left, full_at in windows:
        names = NAMES[kind]
        headers += (
            (names[0], str(limit)),
            (names[1], str(_remaining(kind, limit, left))),
            (names[2], _timestamp(ceil(full_at))),
        )
    return headers


def _remaining(kind: Family, limit: int, left: float) -> int:
    """Requests are whole ones; tokens go to the nearest thousand, but never above the limit or below 0.

    A limit below a thousand is told exactly: rounded, it would look used up while it is nearly full.
    """
    if left <= 0:
        return 0
    whole = int(left + 1e-6)  # 49.999999 is what floating point makes of 50
    if kind != "requests" and limit >= ROUNDED_TO:
        whole = (whole + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO
    return whole if whole < limit else limit


@lru_cache(maxsize=4096)
def _timestamp(unix_s: int) -> str:
    return datetime.fromtimestamp(min(unix_s, LATEST), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
