"""What is counted quickly and may be lost: rate limits, requests at once, and what budgets have left.

`Counters` is the protocol; `memory.py` keeps them for one process, `redis.py` for many. A request takes from all that
it needs in one step or from nothing. The arithmetic of a bucket is in `buckets.py`.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from .buckets import Demand, Share

__all__ = ["LEASE_S", "Counters", "Demand", "Gate", "Order", "Purse", "Share", "Taking"]

LEASE_S = 75  # a process says three times in it that it is still there


class Gate(Struct, frozen=True):
    """At most `limit` requests at once."""

    key: str
    limit: int


class Purse(Struct, frozen=True):
    """What a request may cost at most, out of a budget in one of its windows. Money in nano-dollars.

    A `limit_nano` of None never refuses: the budget only warns, or the price is not known. Nor does a cost of 0.
    """

    budget_id: str
    window_start: int  # Unix seconds; 0: it has no end
    window_end: int  # Unix seconds; 0: never
    limit_nano: int | None
    cost_nano: int

    @property
    def key(self) -> str:
        return f"{self.budget_id}\n{self.window_start}"


class Order(Struct, frozen=True):
    """What one request wants. `id` is the request's: what it holds (gates, purses) is held under this name."""

    id: str
    demands: Sequence[Demand] = ()
    gates: Sequence[Gate] = ()
    purses: Sequence[Purse] = ()


class Taking(Struct, frozen=True):
    """What became of an order. It was taken whole if `is_taken`, else not at all, and one of the rest says why."""

    order: Order
    wait_s: Sequence[float]  # of each demand, until it could be met; 0 where it is
    full_at: Sequence[float]  # of each demand, when its bucket is full (the caller's monotonic seconds)
    shares: Sequence[Share] = ()  # of each demand, when taken
    crowded: int | None = None  # the place of a gate that is full
    broke: int | None = None  # the place of a purse that has not enough left
    spent_nano: Sequence[int] = ()  # of each purse: spent and reserved, this order's included when it was taken
    unknown: Sequence[int] = ()  # places of purses whose spending nobody has said yet: `set_spent`, and ask again

    @property
    def is_taken(self) -> bool:
        if self.crowded is not None or self.broke is not None or self.unknown:
            return False
        return not any(self.wait_s)


class Counters(Protocol):
    """`now` is in monotonic seconds of the caller's clock.

    What nobody has settled after `LEASE_S` is given back where a process may die and the counters live on: gates and
    what purses have reserved, not what was taken of buckets.
    """

    async def open(self) -> None: ...

    async def aclose(self) -> None:
        """Let what has been settled get through."""

    async def take(self, order: Order, now: float) -> Taking:
        """Take all, or nothing. Raises StoreError when the counters are away and the policy is to refuse then."""

    def settle(self, taking: Taking, actual: Sequence[int], spent_nano: int | None, now: float) -> None:
        """Correct what was taken by what was used: of each demand, and the money of all its purses (None: not known,
        so what was reserved is spent). Leaves the gates. Once for each taking that was taken. Never waits or raises."""

    async def set_spent(self, purse: Purse, spent_nano: int) -> None:
        """What the ledger says was spent of a budget in a window; nothing changes if it is known already.

        Raises as `take` does.
        """
