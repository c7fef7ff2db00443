"""Counters in memory: any order of requests that come and end, against what a plain model of them says."""

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dragoman.store.counters import Gate, Order, Purse, Taking
from dragoman.store.memory import MemoryCounters

GATE, LIMIT = Gate("g", 4), 1000


def purse(cost: int, budget: str = "b", window: int = 0, limit: int | None = LIMIT) -> Purse:
    return Purse(budget, window, window + 1, limit, cost)


@hypothesis.settings(max_examples=60, stateful_step_count=40)
class Traffic(RuleBasedStateMachine):
    """Requests with a gate and a purse. The model is two numbers and those that run."""

    def __init__(self) -> None:
        super().__init__()
        self.counters = MemoryCounters()
        self.running: list[Taking] = []
        self.spent = 0
        self.over = 0  # what requests have cost beyond what they had reserved
        self.is_known = False

    @property
    def reserved(self) -> int:
        return sum(taking.order.purses[0].cost_nano for taking in self.running)

    @rule(cost=st.integers(0, 400), warns=st.booleans())
    def ask(self, cost: int, warns: bool) -> None:
        wanted = purse(cost, limit=None if warns else LIMIT)
        taking = self.counters.take_now(Order("r", gates=[GATE], purses=[wanted]), 0.0)
        fits = warns or cost == 0 or self.spent + self.reserved + cost <= LIMIT
        assert taking.is_taken == (self.is_known and len(self.running) < GATE.limit and fits)
        assert (taking.crowded is None) == (len(self.running) < GATE.limit)
        assert bool(taking.unknown) == (not self.is_known)
        if taking.is_taken:
            if warns:
                self.over += cost
            self.running.append(taking)
            assert taking.spent_nano == [self.spent + self.reserved]

    @rule(told=st.integers(0, 300))
    def tell(self, told: int) -> None:
        with pytest.raises(StopIteration):  # it has nothing to wait for
            self.counters.set_spent(purse(0), told).send(None)
        if not self.is_known:
            self.is_known, self.spent = True, told

    @precondition(lambda self: self.running)
    @rule(data=st.data(), cost=st.none() | st.integers(0, 600))
    def end(self, data: st.DataObject, cost: int | None) -> None:
        taking = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.counters.settle(taking, [], cost, 0.0)
        reserved = taking.order.purses[0].cost_nano
        self.spent += reserved if cost is None else cost
        self.over += max(0, (cost or 0) - reserved)

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        assert self.counters.gates == ({"g": len(self.running)} if self.running else {})
        if self.is_known:
            kept = self.counters.purses[purse(0).key]
            assert (kept.spent, kept.reserved, kept.holders) == (self.spent, self.reserved, len(self.running))
            assert self.spent + self.reserved <= LIMIT + self.over


test_traffic_keeps_gates_and_purses = Traffic.TestCase


async def test_windows_that_are_over_take_no_memory() -> None:
    """But those that requests are still held in: they go with the last of these."""
    counters = MemoryCounters()
    late: list[Taking] = []
    for day in range(500):
        await counters.set_spent(purse(1, window=day), 0)
        taking = await counters.take(Order("r", purses=[purse(1, window=day)]), 0.0)
        if day in (3, 5):
            late.append(taking)
        else:
            counters.settle(taking, [], 1, 0.0)
    assert len(counters.purses) == 3
    for taking in late:
        counters.settle(taking, [], 1, 0.0)
    assert list(counters.purses) == [purse(1, window=499).key]


async def test_budgets_without_end_take_no_memory_without_end() -> None:
    counters = MemoryCounters(purses_kept=100)
    held = None
    for number in range(1000):
        await counters.set_spent(purse(1, f"b{number}"), 0)
        taking = await counters.take(Order("r", purses=[purse(1, f"b{number}")]), 0.0)
        if number == 7:
            held = taking
        else:
            counters.settle(taking, [], 1, 0.0)
    assert len(counters.purses) <= 101
    assert purse(1, "b7").key in counters.purses
    assert held is not None
    counters.settle(held, [], 9, 0.0)
    assert counters.purses[purse(1, "b7").key].spent == 9
