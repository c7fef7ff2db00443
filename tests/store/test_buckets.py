"""The arithmetic of buckets, as properties (issue 7, point 4). Time is a number."""

import math

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dragoman.store.buckets import DAY_S, MINUTE_S, Buckets, Demand, Share, level, wait_s
from dragoman.store.counters import Order, Taking


def take(buckets: Buckets, demands: list[Demand], now: float) -> Taking:
    full_at, waits = buckets.look(demands, now)
    if waits:
        return Taking(Order("req_1", demands), waits, full_at)
    shares = buckets.take(demands, full_at, now)
    return Taking(Order("req_1", demands), [0.0] * len(demands), full_at, shares)


def test_a_bucket_holds_a_minute_and_refills_all_the_time() -> None:
    """LIM-1: 60 a minute is one a second, and no minute begins anew."""
    buckets, one = Buckets(), Demand("k", 60, 1, 1)
    assert [any(take(buckets, [one], 0.0).wait_s) for _ in range(61)] == [False] * 60 + [True]
    assert take(buckets, [one], 0.0).wait_s == [pytest.approx(1.0)]
    assert take(buckets, [one], 0.4).wait_s == [pytest.approx(0.6)]
    assert not any(take(buckets, [one], 1.0).wait_s)
    assert any(take(buckets, [one], 1.5).wait_s)
    assert [any(take(buckets, [one], 11.0).wait_s) for _ in range(11)] == [False] * 10 + [True]


def test_all_buckets_or_none() -> None:
    """LIM-7: what one bucket refuses, another has not paid for."""
    buckets = Buckets()
    large, small = Demand("large", 100, 10, 10), Demand("small", 1, 1, 1)
    assert not any(take(buckets, [large, small], 0.0).wait_s)
    before = buckets.full_at("large", 0.0)
    for _ in range(50):
        assert take(buckets, [large, small], 0.0).shares == ()
    assert buckets.full_at("large", 0.0) == before


@pytest.mark.parametrize(
    ("actual", "settled", "left"),
    [
        (40, 0.0, 60.0),  # as estimated
        (100, 0.0, 0.0),
        (160, 0.0, -60.0),  # a debt
        (0, 0.0, 100.0),
        (0, 6.0, 100.0),
        (10, 6.0, 100.0),  # without the estimate's surplus it would have been full at 6 s
        (40, 6.0, 70.0),
    ],
)
def test_an_estimate_is_corrected(actual: int, settled: float, left: float) -> None:
    """LIM-3: as though the real number had been taken in the first place."""
    buckets = Buckets()
    (share,) = take(buckets, [Demand("k", 100, 40, 40)], 0.0).shares
    buckets.settle(share, actual, settled)
    assert level(buckets.full_at("k", settled), 100, settled) == pytest.approx(left)


def test_what_time_has_refilled_is_not_given_back_once_more() -> None:
    """LIM-1: without the first request, the bucket would be as full as it can be, not fuller."""
    buckets = Buckets()
    (first,) = take(buckets, [Demand("k", 60, 60, 60)], 0.0).shares
    take(buckets, [Demand("k", 60, 50, 50)], 90.0)
    buckets.settle(first, 0, 90.0)
    assert level(buckets.full_at("k", 90.0), 60, 90.0) == pytest.approx(10.0)


def test_more_than_the_limit_passes_a_full_bucket_and_leaves_a_debt() -> None:
    """LIM-10: else no time would be long enough."""
    buckets, huge = Buckets(), Demand("k", 60, 1000, 1000)
    (share,) = take(buckets, [huge], 0.0).shares
    buckets.settle(share, 120, 0.0)
    assert take(buckets, [Demand("k", 60, 1, 1)], 0.0).wait_s == [pytest.approx(61.0)]
    assert take(buckets, [huge], 0.0).wait_s == [pytest.approx(120.0)]
    assert not any(take(buckets, [huge], 120.0).wait_s)


LIMIT = st.integers(1, 10_000_000)
TIME = st.floats(0, 1e7)


PERIOD = st.sampled_from([MINUTE_S, DAY_S])


@given(limit=LIMIT, period=PERIOD, now=TIME, debt=st.floats(0, 1e5), need=st.integers(1, 20_000_000))
def test_after_the_wait_it_is_there(limit: int, period: int, now: float, debt: float, need: int) -> None:
    """LIM-10: for every state of a bucket, after the seconds of `retry-after` the same request passes; before, not."""
    full_at = now + debt
    wait = wait_s(full_at, limit, need, now, period)
    assert wait_s(full_at, limit, need, now + math.ceil(wait), period) == 0
    if wait > 1:
        assert wait_s(full_at, limit, need, now + math.ceil(wait) - 1.01, period) > 0


@given(
    limit=st.integers(1, 1000),
    period=PERIOD,
    asked=st.lists(st.tuples(st.floats(0, 100), st.integers(1, 1200)), min_size=1, max_size=40),
)
def test_never_more_than_the_limit_in_any_window(limit: int, period: int, asked: list[tuple[float, int]]) -> None:
    """LIM-1, issue 7: of any stretch of T seconds, the limit and what T refills, `limit * (1 + T / period)`: for a
    period, twice the limit at most, and from a bucket that was empty at its beginning once. Never below nothing."""
    buckets, now = Buckets(), 0.0
    taken: list[tuple[float, int]] = []
    left = [float(limit)]
    for after, cost in asked:
        now += after * period / 60
        began = level(buckets.full_at("k", now), limit, now, period)
        taking = take(buckets, [Demand("k", limit, cost, cost, period)], now)
        after_it = level(buckets.full_at("k", now), limit, now, period)
        assert -1e-3 <= after_it <= limit
        if taking.shares:
            taken.append((now, taking.shares[0].taken))
            left.append(began)
        else:
            assert after_it == began  # LIM-7
    for first, (start, _) in enumerate(taken):
        total = 0
        for end, cost in taken[first:]:
            total += cost
            refilled = (end - start) * limit / period
            assert total <= left[first + 1] + refilled + 1e-3 <= limit + refilled + 1e-3


@given(limit=LIMIT, period=PERIOD, now=TIME, back=st.integers(0, 100), cost=st.integers(0, 20_000_000), data=st.data())
def test_what_is_corrected_is_as_though_it_had_been_known(
    limit: int, period: int, now: float, back: int, cost: int, data: st.DataObject
) -> None:
    """LIM-3: at once, nothing has been refilled meanwhile; the bucket may end below nothing, by what was too much."""
    buckets = Buckets()
    take(buckets, [Demand("k", limit, 1, min(limit, back), period)], now)
    before = level(buckets.full_at("k", now), limit, now, period)
    (share,) = take(buckets, [Demand("k", limit, 0, cost, period)], now).shares
    actual = data.draw(st.integers(0, 2 * share.taken + 1))
    buckets.settle(share, actual, now)
    after = level(buckets.full_at("k", now), limit, now, period)
    assert after == pytest.approx(before - actual, abs=limit * 1e-6)


def test_memory_is_for_those_that_are_not_full() -> None:
    buckets = Buckets()
    for caller in range(5000):
        take(buckets, [Demand(caller, 60, 1, 1)], float(caller))  # full again a second later
    assert len(buckets) < 10
    buckets = Buckets(kept=100)
    for caller in range(5000):
        take(buckets, [Demand(caller, 1, 1, 1)], 0.0)
    assert len(buckets) <= 100


@hypothesis.settings(max_examples=60, stateful_step_count=40)
class Traffic(RuleBasedStateMachine):
    """Requests that come, end and are refused at any time, against one limit."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.limit = 100
        self.buckets = Buckets()
        self.running: list[Share] = []
        self.debts = 0.0  # the most that running requests ever used beyond what was taken
        self.spent = 0.0  # really used by requests that have ended

    @property
    def left(self) -> float:
        return level(self.buckets.full_at("k", self.now), self.limit, self.now)

    @rule(seconds=st.floats(0, 90))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(tokens=st.integers(0, 250))
    def ask(self, tokens: int) -> None:
        before = self.left
        taking = take(self.buckets, [Demand("k", self.limit, max(1, tokens), tokens)], self.now)
        if taking.shares:
            self.running += taking.shares
            assert before + 1e-3 >= min(max(1, tokens), self.limit)
        else:
            assert self.left == before  # LIM-7
            later = self.now + math.ceil(taking.wait_s[0])
            again = wait_s(self.buckets.full_at("k", later), self.limit, max(1, tokens), later)
            assert again == 0  # LIM-10

    @precondition(lambda self: self.running)
    @rule(data=st.data(), actual=st.integers(0, 300))
    def end(self, data: st.DataObject, actual: int) -> None:
        share = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        before = self.left
        self.buckets.settle(share, actual, self.now)
        self.debts += max(0, actual - share.taken)
        self.spent += actual
        if actual < share.taken:
            assert before - 1e-6 <= self.left <= before + share.taken - actual + 1e-6
        else:
            assert self.left == pytest.approx(before - (actual - share.taken))

    @invariant()
    def never_more_than_the_limit_nor_below_the_debts(self) -> None:
        assert -self.debts - 1e-3 <= self.left <= self.limit

    @invariant()
    def no_more_is_used_than_refilled(self) -> None:
        """LIM-1: over any time, a minute's worth at first and the refill, but for debts."""
        assert self.spent <= self.limit + self.now * self.limit / 60 + self.debts + 1e-3


test_traffic_keeps_the_limit = Traffic.TestCase
