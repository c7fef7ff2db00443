"""The calendar of budgets: days, weeks and months of a zone, as properties and at their odd places."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dragoman.gateway.budgets.windows import FOREVER, instant, window_of
from dragoman.store.budgets import Period

HOUR = 3600
BERLIN = "Europe/Berlin"
# With clocks that change at midnight, by half an hour, over a whole day, or by offsets of half hours and seconds.
ZONES = [
    "UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana",
    "America/St_Johns", "Africa/Cairo", "Asia/Beirut", "Pacific/Apia", "America/Asuncion", "Atlantic/Azores",
    "Asia/Tehran", "Africa/Monrovia", "Pacific/Chatham", "America/Sao_Paulo",
]  # fmt: skip
zones = st.sampled_from(ZONES)
periods: st.SearchStrategy[Period] = st.sampled_from(["day", "week", "month"])
moments = st.one_of(
    st.floats(0, 4_102_444_800),  # 1970 to 2100
    st.integers(0, 4_102_444_800 // 1800).map(lambda half: half * 1800.0),
    st.integers(0, 4_102_444_800 // 1800).map(lambda half: half * 1800 - 0.001),
)


def at(text: str, zone: str = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def shown(period: Period, text: str, zone: str = BERLIN) -> list[str]:
    window = window_of(period, zone, at(text, zone))
    return [f"{datetime.fromtimestamp(edge, ZoneInfo(zone)):%Y-%m-%d %H:%M}" for edge in window]


@given(zones, periods, moments)
def test_now_is_in_its_window_and_windows_follow_each_other(zone: str, period: Period, now: float) -> None:
    start, end = window_of(period, zone, now)
    assert start <= now < end
    assert window_of(period, zone, start) == window_of(period, zone, end - 0.001) == (start, end)
    after, before = window_of(period, zone, end), window_of(period, zone, start - 0.001)
    assert after[0] == end < after[1]
    assert before[0] < start == before[1]


@example("America/Asuncion", "month", 273_470_400.0)  # whose first day began at 01:00
@given(zones, periods, moments)
def test_a_window_begins_with_a_day_and_has_as_many_as_its_period(zone: str, period: Period, now: float) -> None:
    first, after = (datetime.fromtimestamp(edge, ZoneInfo(zone)) for edge in window_of(period, zone, now))
    for edge in (first, after):
        just_before = datetime.fromtimestamp(edge.timestamp() - 1, ZoneInfo(zone))
        assert just_before.date() < edge.date()
    if period == "week":
        assert (first.weekday(), after.weekday()) == (0, 0) or zone == "Pacific/Apia"  # which went without a Friday
        assert (after.date() - first.date()).days == 7
    elif period == "month":
        assert (first.day, after.day) == (1, 1)
        assert 28 <= (after.date() - first.date()).days <= 31


@given(st.sampled_from(["UTC", BERLIN, "America/New_York", "Asia/Kolkata"]), moments)
def test_a_day_has_23_24_or_25_hours(zone: str, now: float) -> None:
    start, end = window_of("day", zone, now)
    assert (end - start) / HOUR in ({24} if zone in ("UTC", "Asia/Kolkata") else {23, 24, 25})


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-03-30", 24), ("2026-10-25", 25)]
)
@pytest.mark.parametrize("time", ["00:00", "01:59:59.999", "02:30", "03:00", "12:00", "23:59:59.999"])
def test_days_on_which_clocks_change(day: str, hours: int, time: str) -> None:
    start, end = window_of("day", BERLIN, at(f"{day} {time}"))
    assert end - start == hours * HOUR
    assert start == at(day)


@pytest.mark.parametrize("text", ["2026-11-16", "2026-11-21 13:00", "2026-11-22 23:59:59.999"])
def test_weeks_begin_on_monday(text: str) -> None:
    assert shown("week", text) == ["2026-11-16 00:00", "2026-11-23 00:00"]


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("2026-01-31 12:00", ["2026-01-01 00:00", "2026-02-01 00:00"]),
        ("2026-02-28 23:59", ["2026-02-01 00:00", "2026-03-01 00:00"]),
        ("2028-02-29 12:00", ["2028-02-01 00:00", "2028-03-01 00:00"]),
        ("2026-04-30 12:00", ["2026-04-01 00:00", "2026-05-01 00:00"]),
        ("2026-12-31 23:59:59", ["2026-12-01 00:00", "2027-01-01 00:00"]),
        ("2026-10-25 02:30", ["2026-10-01 00:00", "2026-11-01 00:00"]),
    ],
)
def test_months(text: str, window: list[str]) -> None:
    assert shown("month", text) == window


def test_the_window_is_that_of_the_zone_and_not_of_utc() -> None:
    evening = datetime(2026, 10, 31, 23, 30, tzinfo=UTC).timestamp()
    assert window_of("month", BERLIN, evening)[0] == evening - 30 * 60
    assert window_of("month", "UTC", evening)[1] == evening + 30 * 60


def test_a_midnight_that_clocks_skip_is_when_they_do() -> None:
    """In Beirut the 29th of March 2026 began at one o'clock."""
    start, end = window_of("day", "Asia/Beirut", at("2026-03-29 12:00", "Asia/Beirut"))
    assert shown("day", "2026-03-29 12:00", "Asia/Beirut") == ["2026-03-29 01:00", "2026-03-30 00:00"]
    assert end - start == 23 * HOUR


def test_a_midnight_that_comes_twice_counts_the_first_time() -> None:
    """In St. John's on 2006-10-29 clocks went back from a minute past midnight, into the day before."""
    start, end = window_of("day", "America/St_Johns", at("2006-10-29 12:00", "America/St_Johns"))
    assert end - start == 25 * HOUR
    for now in (start, start + 30, start + 60, start + HOUR, end - 1):
        assert window_of("day", "America/St_Johns", now) == (start, end)


def test_for_all_time_there_is_one_window() -> None:
    assert window_of("total", BERLIN, 0) == window_of("total", "UTC", 4e9) == FOREVER


def test_moments_are_told_in_utc_and_in_the_zone() -> None:
    moment = int(at("2026-12-01"))
    assert instant(moment, BERLIN) == "2026-11-30 at 23:00 UTC (2026-12-01 00:00 in Europe/Berlin)"
    assert instant(moment, "UTC") == "2026-11-30 at 23:00 UTC"
