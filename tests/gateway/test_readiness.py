"""Is this process to be sent requests?"""

import asyncio
from typing import Any, cast

import pytest

from dragoman.errors import StoreError
from dragoman.gateway.readiness import AWAY_S, FRESH_S, PATIENCE_S, Readiness, checks
from dragoman.store.memory import MemoryCounters


class Part:
    """One that may be away; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.trouble: BaseException | None = None

    async def check(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_it_is_ready_while_all_parts_are_there() -> None:
    one, other, clock = Part(), Part(), Clock()
    ready = Readiness({"database": one.check, "counters": other.check}, clock=clock)
    assert await ready.missing() == {}
    other.trouble = StoreError("redis at 10.0.0.7 is away")
    clock.now += FRESH_S
    assert await ready.missing() == {"counters": "redis at 10.0.0.7 is away"}
    other.trouble = None
    clock.now += AWAY_S
    assert await ready.missing() == {}


async def test_probes_cost_next_to_nothing() -> None:
    """Pain 62: whoever asks, and however often, the database is asked once a second."""
    part, clock = Part(), Clock()
    ready = Readiness({"database": part.check}, clock=clock)
    assert await asyncio.gather(*(ready.missing() for _ in range(100))) == [{}] * 100
    for _ in range(100):
        await ready.missing()
    assert part.asked == 1
    clock.now += FRESH_S
    await ready.missing()
    assert part.asked == 2


async def test_a_probe_that_is_given_up_costs_the_others_nothing() -> None:
    part = Part()
    ready = Readiness({"database": part.check}, clock=Clock())
    first = asyncio.ensure_future(ready.missing())
    await asyncio.sleep(0)
    first.cancel()
    assert await ready.missing() == {}
    assert part.asked == 1


async def test_a_part_that_does_not_answer_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.gateway.readiness.PATIENCE_S", 0.01)

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    assert PATIENCE_S < 5, "probes give up after a few seconds"
    assert await Readiness({"database": never}).missing() == {"database": "no answer within 0.01 s"}


async def test_a_server_that_stops_is_not_ready_at_once_and_asks_nobody() -> None:
    part = Part()
    ready = Readiness({"database": part.check}, clock=Clock())
    assert await ready.missing() == {}
    ready.stop()
    assert list(await ready.missing()) == ["server"]
    assert part.asked == 1


@pytest.mark.parametrize(("needs", "missing"), [(True, ["counters"]), (False, [])])
async def test_counters_that_are_away_count_where_requests_are_refused_without_them(
    needs: bool, missing: list[str]
) -> None:
    class Away(MemoryCounters):
        is_away = True
        place = "Redis at 10.0.0.7"

    class Store:
        ping = Part().check

    found = checks(cast("Any", Store), Away(), needs_counters=needs)
    assert [*await Readiness(found).missing()] == missing
    found = checks(cast("Any", Store), MemoryCounters(), needs_counters=needs)
    assert await Readiness(found).missing() == {}


async def test_the_log_tells_each_change_once(caplog: pytest.LogCaptureFixture) -> None:
    part, clock = Part(), Clock()
    ready = Readiness({"database": part.check}, clock=clock)
    for trouble in (None, StoreError("gone"), StoreError("gone"), None, None):
        part.trouble = trouble
        clock.now += FRESH_S
        await ready.missing()
    assert [record.getMessage() for record in caplog.records] == ["not ready: gone", "ready again"]
