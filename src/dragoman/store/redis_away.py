"""What one of several processes may give by itself while Redis is away: its part of each limit, one in so many.

A budget's part is of what it had left when this process asked the ledger. Begins full: of a limit there may so be
taken as much once more when Redis goes away, and no more after that. Requests that were running then are not counted.
"""

from collections.abc import Sequence

import msgspec

from .buckets import Demand
from .counters import Gate, Order, Purse, Taking
from .memory import MemoryCounters

__all__ = ["LocalShare", "LocalTaking"]


class LocalTaking(Taking, frozen=True, kw_only=True):
    """A taking of this process's part: `scaled` is what was really taken, and `share` whom from."""

    share: "LocalShare"
    scaled: Taking


class LocalShare:
    """One part in `processes` of all limits, in memory."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._memory = MemoryCounters()

    def take(self, order: Order, now: float) -> LocalTaking:
        scaled = Order(
            order.id,
            [self._demand(each) for each in order.demands],
            [Gate(each.key, self._part(each.limit)) for each in order.gates],
            [self._purse(each) for each in order.purses],
        )
        taking = self._memory.take_now(scaled, now)
        told = {name: getattr(taking, name) for name in Taking.__struct_fields__ if name != "order"}
        return LocalTaking(order=order, **told, share=self, scaled=taking)

    def settle(self, taking: LocalTaking, actual: Sequence[int], spent_nano: int | None, now: float) -> None:
        self._memory.settle(taking.scaled, actual, spent_nano, now)

    async def set_spent(self, purse: Purse, spent_nano: int) -> None:
        await self._memory.set_spent(purse, spent_nano)

    def _part(self, limit: int) -> int:
        return max(1, limit // self._processes)

    def _demand(self, demand: Demand) -> Demand:
        return msgspec.structs.replace(demand, limit=self._part(demand.limit))

    def _purse(self, purse: Purse) -> Purse:
        kept = self._memory.purses.get(purse.key)
        if kept is None or purse.limit_nano is None:
            return purse
        part = kept.began + (purse.limit_nano - kept.began) // self._processes
        return msgspec.structs.replace(purse, limit_nano=part)
