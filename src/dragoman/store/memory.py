"""The counters of one process, in its memory. A start begins anew: budgets are asked of the ledger again.

Nothing here waits, so a step is one by itself. Memory is bounded: buckets that are full go, gates that nobody is in
have no entry, and of a budget's windows those that are over go when a later one begins.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice

from msgspec import Struct

from .buckets import Buckets
from .counters import Counters, Order, Purse, Taking

__all__ = ["MemoryCounters"]

PURSES_KEPT = 100_000  # beyond it one that no request has a part of is forgotten: then the ledger is asked again
PURSES_SWEPT = 2
NO_WAITS: tuple[float, ...] = (0.0,) * 64


class Kept(Struct):
    """A purse's state, in nano-dollars."""

    budget_id: str
    began: int  # what was spent when it was asked for
    spent: int
    reserved: int = 0
    holders: int = 0  # requests that have reserved a part


class MemoryCounters(Counters):
    def __init__(self, *, purses_kept: int = PURSES_KEPT) -> None:
        self.buckets = Buckets()
        self.gates: dict[str, int] = {}  # how many are in; those above 0
        self.purses: OrderedDict[str, Kept] = OrderedDict()
        self._newest: dict[str, str] = {}  # budget -> the key of its purse that was used last
        self._purses_kept = purses_kept

    async def open(self) -> None:
        """There is nothing to open."""

    async def aclose(self) -> None:
        """There is nothing that has to get through."""

    async def take(self, order: Order, now: float) -> Taking:
        return self.take_now(order, now)

    def take_now(self, order: Order, now: float) -> Taking:
        demands = order.demands
        full_at, waits = self.buckets.look(demands, now)
        crowded = self._crowded(order) if order.gates else None
        if not order.purses:
            if waits is not None or crowded is not None:
                return Taking(order, waits or NO_WAITS[: len(demands)], full_at, crowded=crowded)
            if order.gates:
                self._enter(order)
            return Taking(order, NO_WAITS[: len(demands)], full_at, self.buckets.take(demands, full_at, now))
        return self._take_with_purses(order, full_at, waits or [0.0] * len(demands), crowded, now)

    def _take_with_purses(
        self, order: Order, full_at: list[float], waits: list[float], crowded: int | None, now: float
    ) -> Taking:
        kept = [self.purses.get(purse.key) for purse in order.purses]
        unknown = [place for place, each in enumerate(kept) if each is None]
        broke = next((at for at, each in enumerate(kept) if each and self._is_short(order.purses[at], each)), None)
        taking = Taking(
            order,
            waits,
            full_at,
            crowded=crowded,
            broke=broke,
            spent_nano=[each.spent + each.reserved if each else 0 for each in kept],
            unknown=unknown,
        )
        if not taking.is_taken:
            return taking
        self._enter(order)
        shares = self.buckets.take(order.demands, full_at, now)
        for purse, each in zip(order.purses, kept, strict=True):
            assert each is not None
            each.reserved += purse.cost_nano
            each.holders += 1
            self.purses.move_to_end(purse.key)
        spent = [each.spent + each.reserved for each in kept if each is not None]
        return Taking(order, waits, full_at, shares, spent_nano=spent)

    def settle(self, taking: Taking, actual: Sequence[int], spent_nano: int | None, now: float) -> None:
        for share, used in zip(taking.shares, actual, strict=True):
            if used != share.taken:
                self.buckets.settle(share, used, now)
        order = taking.order
        for gate in order.gates:
            self._leave(gate.key)
        for purse in order.purses:
            if kept := self.purses.get(purse.key):
                kept.holders -= 1
                kept.reserved -= purse.cost_nano
                kept.spent += purse.cost_nano if spent_nano is None else spent_nano
                if not kept.holders and self._newest.get(purse.budget_id) != purse.key:
                    del self.purses[purse.key]

    async def set_spent(self, purse: Purse, spent_nano: int) -> None:
        if purse.key in self.purses:
            return
        before = self._newest.get(purse.budget_id)
        self._newest[purse.budget_id] = purse.key
        if before is not None and not self.purses[before].holders:
            del self.purses[before]
        self.purses[purse.key] = Kept(purse.budget_id, spent_nano, spent_nano)
        for key in list(islice(self.purses, PURSES_SWEPT)) if len(self.purses) > self._purses_kept else ():
            self._forget(key)

    def _forget(self, key: str) -> None:
        kept = self.purses[key]
        if kept.holders:
            self.purses.move_to_end(key)
            return
        del self.purses[key]
        if self._newest.get(kept.budget_id) == key:
            del self._newest[kept.budget_id]

    @staticmethod
    def _is_short(purse: Purse, kept: Kept) -> bool:
        """What costs nothing passes always."""
        limit = purse.limit_nano
        return limit is not None and purse.cost_nano > 0 and kept.spent + kept.reserved + purse.cost_nano > limit

    def _crowded(self, order: Order) -> int | None:
        inside = self.gates
        for place, gate in enumerate(order.gates):
            if inside.get(gate.key, 0) >= gate.limit:
                return place
        return None

    def _enter(self, order: Order) -> None:
        for gate in order.gates:
            self.gates[gate.key] = self.gates.get(gate.key, 0) + 1

    def _leave(self, key: str) -> None:
        if self.gates[key] == 1:
            del self.gates[key]
        else:
            self.gates[key] -= 1
