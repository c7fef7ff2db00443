"""The calendar of budgets: when the day, week or month began that it is, and when it ends. Pure: `now` is passed in.

Days are those of a zone, so they have 23 or 25 hours where its clocks change; weeks begin on Monday (ISO 8601).
"""

import datetime
from functools import lru_cache

from dragoman.store.budgets import Period

__all__ = ["FOREVER", "Window", "instant", "window_of", "zone_of"]

Window = tuple[int, int]  # Unix seconds: its start, and its end, which is not in it

FOREVER: Window = (0, 0)  # of a budget for all time: no end


def window_of(period: Period, zone: str, now: float) -> Window:
    """The window that `now` (Unix seconds) is in. Raises KeyError, ValueError or OSError for no zone."""
    if period == "total":
        return FOREVER
    place = zone_of(zone)
    today = datetime.datetime.fromtimestamp(now, place).date()
    tomorrow = today + datetime.timedelta(days=1)
    if _midnight(tomorrow, place) <= now:  # clocks went back over midnight: that day has begun, and stays
        today = tomorrow
    first, after = _span(period, today)
    return _midnight(first, place), _midnight(after, place)


@lru_cache(64)
def zone_of(name: str) -> datetime.tzinfo:
    """Raises KeyError, ValueError or OSError for what is no zone."""
    if name == "UTC":
        return datetime.UTC  # without the files of the time zone database
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def instant(at: int, zone: str) -> str:
    """A moment (Unix seconds) for people: in UTC, and in its zone."""
    there = f"{datetime.datetime.fromtimestamp(at, datetime.UTC):%Y-%m-%d at %H:%M} UTC"
    if zone == "UTC":
        return there
    return f"{there} ({datetime.datetime.fromtimestamp(at, zone_of(zone)):%Y-%m-%d %H:%M} in {zone})"


def _span(period: Period, today: datetime.date) -> tuple[datetime.date, datetime.date]:
    """The first day of a period and the first one after it."""
    if period == "day":
        return today, today + datetime.timedelta(days=1)
    if period == "week":
        monday = today - datetime.timedelta(days=today.weekday())
        return monday, monday + datetime.timedelta(days=7)
    first = today.replace(day=1)
    return first, (first + datetime.timedelta(days=31)).replace(day=1)


def _midnight(day: datetime.date, place: datetime.tzinfo) -> int:
    """When a day begins: at the first of two midnights, and where clocks skip midnight, when they do."""
    return int(datetime.datetime.combine(day, datetime.time(), place).timestamp())
