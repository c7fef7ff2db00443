"""One contract for all counters: those in memory and those in a real Redis (issue 7, point 1). Time is a number.

That the two do the same sums is a property of its own below. What only Redis has to keep (leases, a server that goes
away) is in test_redis_counters.py.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_server import RedisServer

from dragoman.store.buckets import DAY_S, level
from dragoman.store.counters import Counters, Demand, Gate, Order, Purse, Taking
from dragoman.store.memory import MemoryCounters
from dragoman.store.redis import RedisCounters

START = 1000.0
DOLLAR = 1_000_000_000  # nano-dollars
HUGE = 2**53 + 1  # what a floating-point number cannot hold


class Clock:
    """One for Redis and for the caller, so that both begin alike and neither moves by itself."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Counted:
    """Counters on a clock that is moved by hand; ids of requests are made up."""

    def __init__(self, counters: Counters, clock: Clock) -> None:
        self.counters = counters
        self.clock = clock
        self.asked = 0

    async def take(
        self, *, demands: Iterable[Demand] = (), gates: Iterable[Gate] = (), purses: Iterable[Purse] = ()
    ) -> Taking:
        self.asked += 1
        order = Order(f"req_{self.asked}", list(demands), list(gates), list(purses))
        return await self.counters.take(order, self.clock.now)

    def settle(self, taking: Taking, *actual: int, spent: int | None = 0) -> None:
        self.counters.settle(taking, actual, spent, self.clock.now)

    async def left(self, key: str, limit: int, period_s: int = 60) -> float:
        taking = await self.take(demands=[Demand(key, limit, 0, 0, period_s)])
        return level(taking.full_at[0], limit, self.clock.now, period_s)

    async def spent(self, each: Purse) -> int:
        """Spent and reserved."""
        taking = await self.take(purses=[purse(0, each.budget_id, limit=None, start=each.window_start)])
        assert taking.is_taken
        self.settle(taking)
        return taking.spent_nano[0]


def purse(cost: int, budget: str = "budget_1", *, limit: int | None = DOLLAR, start: int = 86_400) -> Purse:
    return Purse(budget, start, start + 86_400 if start else 0, limit, cost)


def one(key: str = "k", limit: int = 60, cost: int = 1, period_s: int = 60) -> Demand:
    return Demand(key, limit, max(1, cost), cost, period_s)


@pytest.fixture(params=["memory", "redis"])
async def counted(request: pytest.FixtureRequest) -> AsyncIterator[Counted]:
    clock = Clock()
    counters: Counters = MemoryCounters()
    if request.param == "redis":
        counters = RedisCounters(request.getfixturevalue("redis_url"), clock=clock, wall=clock, answer_s=30.0)
    await counters.open()
    yield Counted(counters, clock)
    await counters.aclose()


# -- buckets --


async def test_a_bucket_gives_what_it_holds_and_refills_evenly(counted: Counted) -> None:
    """LIM-1."""
    assert [(await counted.take(demands=[one()])).is_taken for _ in range(61)] == [True] * 60 + [False]
    assert (await counted.take(demands=[one()])).wait_s == [pytest.approx(1.0)]
    counted.clock.now += 0.4
    assert (await counted.take(demands=[one()])).wait_s == [pytest.approx(0.6)]
    counted.clock.now += 0.6
    assert (await counted.take(demands=[one()])).is_taken
    assert not (await counted.take(demands=[one()])).is_taken


async def test_a_day_is_a_bucket_of_a_days_worth(counted: Counted) -> None:
    """LIM-9: tokens a day."""
    taking = await counted.take(demands=[one(limit=86_400, cost=86_000, period_s=DAY_S)])
    assert taking.is_taken
    assert taking.full_at == [pytest.approx(START + 86_000)]
    refused = await counted.take(demands=[one(limit=86_400, cost=1_000, period_s=DAY_S)])
    assert refused.wait_s == [pytest.approx(600)]
    counted.clock.now += 600
    assert (await counted.take(demands=[one(limit=86_400, cost=1_000, period_s=DAY_S)])).is_taken


async def test_all_or_nothing(counted: Counted) -> None:
    """LIM-7: whatever refuses, the rest has paid nothing."""
    await counted.counters.set_spent(purse(1), 0)
    await counted.take(demands=[one("small", 1)], gates=[Gate("narrow", 1)])
    whole: dict[str, Any] = {"demands": [one("large", 100)], "gates": [Gate("wide", 5)]}
    whole["purses"] = [purse(DOLLAR // 10)]
    for refusing in (
        {**whole, "demands": [one("large", 100), one("small", 1)]},
        {**whole, "gates": [Gate("wide", 5), Gate("narrow", 1)]},
        {**whole, "purses": [purse(DOLLAR // 10), purse(1, "budget_unknown")]},
        {**whole, "purses": [purse(DOLLAR + 1)]},
    ):
        for _ in range(6):
            assert not (await counted.take(**refusing)).is_taken
    assert await counted.left("large", 100) == 100
    assert await counted.spent(purse(0)) == 0
    assert [(await counted.take(gates=[Gate("wide", 5)])).is_taken for _ in range(6)] == [True] * 5 + [False]


async def test_each_reason_is_told_in_its_place(counted: Counted) -> None:
    await counted.counters.set_spent(purse(0, "low"), 7)
    await counted.take(demands=[one("empty", 1)], gates=[Gate("full", 1)])
    refused = await counted.take(
        demands=[one("other"), one("empty", 1)],
        gates=[Gate("wide", 9), Gate("full", 1)],
        purses=[purse(1, "unknown"), purse(2, "low", limit=8)],
    )
    assert not refused.is_taken
    assert refused.wait_s == [0, pytest.approx(60)]
    assert refused.full_at == [pytest.approx(START), pytest.approx(START + 60)]
    assert (refused.crowded, refused.broke, list(refused.unknown), list(refused.shares)) == (1, 1, [0], [])
    assert list(refused.spent_nano) == [0, 7]


@pytest.mark.parametrize(
    ("actual", "after_s", "left"),
    [(40, 0, 60), (100, 0, 0), (160, 0, -60), (0, 0, 100), (0, 6, 100), (10, 6, 100), (40, 6, 70), (300, 6, -190)],
)
async def test_an_estimate_is_corrected(counted: Counted, actual: int, after_s: float, left: float) -> None:
    """LIM-3: as though the real number had been taken in the first place; more than there is becomes a debt."""
    taking = await counted.take(demands=[one(limit=100, cost=40)])
    counted.clock.now += after_s
    counted.settle(taking, actual)
    assert await counted.left("k", 100) == pytest.approx(left)


async def test_a_small_part_of_a_large_limit_is_not_lost(counted: Counted) -> None:
    """One of a thousand million a minute is 60 nanoseconds of refill."""
    for _ in range(100):
        await counted.take(demands=[one(limit=1_000_000_000)])
    assert await counted.left("k", 1_000_000_000) == pytest.approx(999_999_900, abs=10)


# -- gates --


async def test_so_many_at_once(counted: Counted) -> None:
    """ERR-52."""
    inside = [await counted.take(gates=[Gate("a", 3), Gate("b", 9)]) for _ in range(3)]
    assert [each.is_taken for each in inside] == [True] * 3
    assert (await counted.take(gates=[Gate("a", 3), Gate("b", 9)])).crowded == 0
    assert (await counted.take(gates=[Gate("b", 4), Gate("a", 3)])).crowded == 1
    counted.settle(inside[1])
    assert (await counted.take(gates=[Gate("a", 3)])).is_taken
    assert (await counted.take(gates=[Gate("a", 3)])).crowded == 0
    assert (await counted.take(gates=[Gate("a", 4)])).is_taken  # a limit that was raised meanwhile


# -- purses --


async def test_a_purse_is_unknown_until_the_ledger_has_told(counted: Counted) -> None:
    taking = await counted.take(purses=[purse(5)])
    assert (taking.is_taken, list(taking.unknown)) == (False, [0])
    await counted.counters.set_spent(purse(5), 100)
    await counted.counters.set_spent(purse(5), 999)  # of two that ask at once the first one tells
    taking = await counted.take(purses=[purse(5)])
    assert (taking.is_taken, list(taking.spent_nano)) == (True, [105])
    assert list((await counted.take(purses=[purse(5, start=2 * 86_400)])).unknown) == [0]  # tomorrow's is another one


async def test_a_purse_is_never_overdrawn_by_what_is_reserved(counted: Counted) -> None:
    await counted.counters.set_spent(purse(0), DOLLAR // 2)
    takings = [await counted.take(purses=[purse(DOLLAR // 10)]) for _ in range(7)]
    assert [each.is_taken for each in takings] == [True] * 5 + [False] * 2
    assert takings[5].broke == 0
    assert list(takings[5].spent_nano) == [DOLLAR]
    counted.settle(takings[0], spent=DOLLAR // 20)  # half of what it might have cost
    assert not (await counted.take(purses=[purse(DOLLAR // 10)])).is_taken
    assert (await counted.take(purses=[purse(DOLLAR // 20)])).is_taken
    assert await counted.spent(purse(0)) == DOLLAR


async def test_what_a_request_really_cost_takes_the_place_of_its_reservation(counted: Counted) -> None:
    await counted.counters.set_spent(purse(0), 0)
    for spent, total in ((0, 0), (70, 70), (None, 170), (250, 420)):
        taking = await counted.take(purses=[purse(100)])
        assert await counted.spent(purse(0)) == total - (100 if spent is None else spent) + 100
        counted.settle(taking, spent=spent)
        assert await counted.spent(purse(0)) == total


async def test_a_budget_that_only_warns_never_refuses(counted: Counted) -> None:
    await counted.counters.set_spent(purse(0), 10 * DOLLAR)
    taking = await counted.take(purses=[purse(DOLLAR, limit=None)])
    assert (taking.is_taken, list(taking.spent_nano)) == (True, [11 * DOLLAR])
    assert (await counted.take(purses=[purse(0, limit=DOLLAR)])).is_taken  # as does what costs nothing
    assert not (await counted.take(purses=[purse(1, limit=DOLLAR)])).is_taken


async def test_large_sums_are_exact(counted: Counted) -> None:
    """Nine million dollars are more nano-dollars than a floating-point number holds."""
    await counted.counters.set_spent(purse(0), HUGE)
    taking = await counted.take(purses=[purse(0, limit=None)])
    counted.settle(taking, spent=HUGE)
    await asyncio.sleep(0)
    if isinstance(counted.counters, MemoryCounters):
        assert counted.counters.purses[purse(0).key].spent == 2 * HUGE
    else:
        assert await counted.spent(purse(0)) == pytest.approx(2 * HUGE, abs=4)


async def test_a_window_that_is_over_is_settled_where_it_began(counted: Counted) -> None:
    today, tomorrow = purse(100), purse(100, start=2 * 86_400)
    await counted.counters.set_spent(today, 0)
    late = await counted.take(purses=[today])
    await counted.counters.set_spent(tomorrow, 0)
    assert (await counted.take(purses=[tomorrow])).is_taken
    counted.settle(late, spent=70)
    assert await counted.spent(tomorrow) == 100


async def test_of_many_at_once_exactly_those_pass_that_fit(counted: Counted) -> None:
    await counted.counters.set_spent(purse(0), 0)

    async def passing(ask: Callable[[], Awaitable[Taking]]) -> int:
        return sum(each.is_taken for each in await asyncio.gather(*(ask() for _ in range(300))))

    assert await passing(lambda: counted.take(demands=[one(limit=100)])) == 100
    assert await passing(lambda: counted.take(demands=[one("t", limit=1000, cost=7)])) == 142
    assert await passing(lambda: counted.take(gates=[Gate("g", 100)])) == 100
    assert await passing(lambda: counted.take(purses=[purse(DOLLAR // 100)])) == 100


# -- the same sums --

KEYS = st.sampled_from(["a", "b"])
LIMITS = {"a": 100, "b": 7_000_000}
DEMANDS = st.builds(
    lambda key, cost, period: Demand(f"{key}{period}", LIMITS[key], max(1, cost), cost, period),
    KEYS,
    st.integers(0, 250),
    st.sampled_from([60, DAY_S]),
)
PURSES = st.builds(lambda key, cost, limit: purse(cost, key, limit=limit), KEYS, st.integers(0, 90), st.just(200))
ORDERS = st.fixed_dictionaries(
    {
        "demands": st.lists(DEMANDS, max_size=3, unique_by=lambda each: each.key),
        "gates": st.lists(KEYS, max_size=2, unique=True).map(lambda keys: [Gate(key, 3) for key in keys]),
        "purses": st.lists(PURSES, max_size=2, unique_by=lambda each: each.key),
    }
)
STEPS = st.one_of(
    st.tuples(st.just("take"), ORDERS),
    st.tuples(st.just("wait"), st.floats(0, 40)),
    st.tuples(st.just("settle"), st.tuples(st.integers(0, 50), st.integers(0, 300), st.none() | st.integers(0, 90))),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=5, max_size=40))
def test_redis_does_the_same_sums_as_memory(redis_server: RedisServer, steps: list[Any]) -> None:
    """Issue 7, point 4: so what is shown of the one holds for the other."""
    redis_server.empty()
    asyncio.run(_compare(redis_server.url, steps))


async def _compare(url: str, steps: list[Any]) -> None:
    clock = Clock()
    shared = RedisCounters(url, clock=clock, wall=clock, answer_s=30.0, lease_s=100_000)
    await shared.open()
    try:
        await _walk(steps, shared, clock)
    finally:
        await shared.aclose()


async def _walk(steps: list[Any], shared: RedisCounters, clock: Clock) -> None:
    both = [Counted(MemoryCounters(), clock), Counted(shared, clock)]
    for each in both:
        for key in "ab":
            await each.counters.set_spent(purse(0, key), 0)
    running: list[list[Taking]] = []
    for what, how in steps:
        if what == "wait":
            clock.now += how
        elif what == "take":
            ours, theirs = [await each.take(**how) for each in both]
            assert theirs.wait_s == pytest.approx(list(ours.wait_s), abs=2e-6)
            full_at = [[max(at, clock.now) for at in each.full_at] for each in (ours, theirs)]  # what is full stays so
            assert full_at[1] == pytest.approx(full_at[0], abs=2e-6)
            for name in ("is_taken", "crowded", "broke"):
                assert getattr(ours, name) == getattr(theirs, name), name
            assert list(ours.spent_nano) == list(theirs.spent_nano)
            assert [each.taken for each in ours.shares] == [each.taken for each in theirs.shares]
            if ours.is_taken:
                running.append([ours, theirs])
        elif running:
            which, actual, spent = how
            for each, taking in zip(both, running.pop(which % len(running)), strict=True):
                each.settle(taking, *[actual] * len(taking.shares), spent=spent)
