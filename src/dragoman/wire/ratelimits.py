"""The response headers that tell the state of rate limits. Source: spec HDR-33 to 35."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil
from typing import Literal, get_args

from msgspec import Struct

__all__ = ["FAMILY", "Window", "rate_limit_headers"]

FAMILY = "anthropic-ratelimit-"
ROUNDED_TO = 1000  # `remaining` of tokens
LATEST = 253_402_300_799  # the last second of the year 9999

Kind = Literal["requests", "input-tokens", "output-tokens", "tokens"]
NAMES = {kind: tuple(f"{FAMILY}{kind}-{part}" for part in ("limit", "remaining", "reset")) for kind in get_args(Kind)}


class Window(Struct, frozen=True):
    """One limit as a caller is told of it. `full_at`: Unix seconds, when all of it is there again."""

    kind: Kind
    limit: int
    remaining: float  # below 0 for a debt
    full_at: float


def rate_limit_headers(windows: Iterable[Window]) -> list[tuple[str, str]]:
    """Limit, remaining and reset of each window."""
    headers = []
    for window in windows:
        limit, remaining, reset = NAMES[window.kind]
        headers.append((limit, str(window.limit)))
        headers.append((remaining, str(_remaining(window))))
        headers.append((reset, _timestamp(ceil(window.full_at))))
    return headers


def _remaining(window: Window) -> int:
    """Requests are whole ones; tokens go to the nearest thousand, but never above the limit or below 0.

    A limit below a thousand is told exactly: rounded, it would look used up while it is nearly full.
    """
    left = max(0, int(window.remaining + 1e-6))  # 49.999999 is what floating point makes of 50
    if window.kind != "requests" and window.limit >= ROUNDED_TO:
        left = (left + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO
    return min(left, window.limit)


@lru_cache(maxsize=4096)
def _timestamp(unix_s: int) -> str:
    return datetime.fromtimestamp(min(unix_s, LATEST), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
