"""Query parameters of reports and of the request log, checked in the API's wording. Source: spec ADM-9.

A list comes as `models[]=a&models[]=b`, as SDKs write it, or as `models=a`, as people do.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from dragoman.errors import InvalidRequest
from dragoman.gateway.catalogue import INTEGER, last

__all__ = [
    "Query",
    "alternatives",
    "chosen",
    "listed",
    "money",
    "read_time",
    "rfc3339",
    "time_cursor",
    "time_of_cursor",
    "whole",
]

Query = Mapping[str, list[str]]

CURSOR: Final = "page_"
MAX_VALUES: Final = 100  # of one list
RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def read_time(query: Query, name: str) -> float | None:
    """Unix seconds of a time in RFC 3339. Raises InvalidRequest."""
    text = last(query, name)
    if text is None:
        return None
    text = text.replace(" ", "+") if text[-6:-5] == " " else text  # a + that nobody escaped
    if not RFC3339.fullmatch(text):
        raise InvalidRequest(f"{name}: Input should be a valid datetime with a time zone, in RFC 3339")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise InvalidRequest(f"{name}: Input should be a valid datetime") from None


def whole(query: Query, name: str, *, default: int, most: int) -> int:
    """A number from 1 to `most`. Raises InvalidRequest."""
    text = last(query, name)
    if text is None:
        return default
    if not INTEGER.fullmatch(text):
        raise InvalidRequest(f"{name}: Input should be a valid integer, unable to parse string as an integer")
    number = int(text)
    if number < 1:
        raise InvalidRequest(f"{name}: Input should be greater than or equal to 1")
    if number > most:
        raise InvalidRequest(f"{name}: Input should be less than or equal to {most}")
    return number


def listed(query: Query, name: str, *, among: Sequence[str] | None = None) -> list[str]:
    """The values of a list, each once; empty where it was not given. Raises InvalidRequest."""
    values = list(dict.fromkeys([*query.get(f"{name}[]", ()), *query.get(name, ())]))
    if len(values) > MAX_VALUES:
        raise InvalidRequest(f"{name}: List should have at most {MAX_VALUES} items after validation, not {len(values)}")
    for index, value in enumerate(values):
        if among is not None and value not in among:
            raise InvalidRequest(f"{name}.{index}: Input should be {alternatives(among)}")
    return values


def chosen(query: Query, name: str, among: Sequence[str], *, default: str) -> str:
    value = last(query, name)
    if value is None:
        return default
    if value not in among:
        raise InvalidRequest(f"{name}: Input should be {alternatives(among)}")
    return value


def rfc3339(seconds: float, *, to_us: bool = False) -> str:
    time = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return time.isoformat(timespec="microseconds" if to_us else "seconds") + "Z"  # strftime writes the year 1 as "1"


def time_cursor(seconds: int) -> str:
    """Of the page that begins there. Opaque to callers."""
    return CURSOR + base64.b64encode(rfc3339(seconds).encode()).decode()


def time_of_cursor(query: Query) -> int | None:
    """Unix seconds. Raises InvalidRequest."""
    cursor = last(query, "page")
    if not cursor:
        return None
    packed = cursor.removeprefix(CURSOR)
    try:
        text = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True).decode()
        if not cursor.startswith(CURSOR) or not RFC3339.fullmatch(text):
            raise ValueError(cursor)
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, binascii.Error, OverflowError):
        raise InvalidRequest("page: is not a cursor that came in `next_page`") from None


def money(nano: int, *, units: int) -> str:
    """Nano-dollars as a decimal number without superfluous zeros, exact; `units` of 10 to which power make one.

    9 for dollars, 7 for cents.
    """
    whole_part, rest = divmod(abs(nano), 10**units)
    digits = f"{rest:0{units}}".rstrip("0")
    return f"{'-' if nano < 0 else ''}{whole_part}{'.' if digits else ''}{digits}"


def alternatives(among: Sequence[str]) -> str:
    quoted = [f"'{each}'" for each in among]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
