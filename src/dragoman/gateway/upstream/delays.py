"""How long a provider asks to be left alone. Pure."""

import math
from collections.abc import Iterable
from email.utils import parsedate_to_datetime

__all__ = ["told_delay_s"]


def told_delay_s(headers: Iterable[tuple[str, str]], *, wall: float) -> float | None:
    """By `retry-after-ms`, else by `retry-after`: seconds, or a date, which `wall` (Unix seconds) is told for. None
    where neither is there, or says anything that makes sense. Source: RFC 9110, section 10.2.3."""
    found = dict(headers)
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (number := _number(found.get(name, ""))) is not None:
            return number * unit_s
    try:
        return max(0.0, parsedate_to_datetime(found.get("retry-after", "")).timestamp() - wall)
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
