"""Token buckets with continuous refill: the arithmetic, and the buckets of one process. Imports nothing of ours.

A bucket holds one period's worth (a minute's, a day's) and refills evenly. All there is to keep of one is a single
number, `full_at`: when it will be full again if nobody takes any more (seconds). So a full bucket need not be kept at
all, and a store shared by many machines needs one expiring number each: redis_scripts.py does the same sums in Lua.

The bound that follows: what is taken of a bucket in any stretch of T seconds is at most `limit * (1 + T / period_s)`,
and what running requests use beyond what was taken for them comes on top, once, as a debt that is waited for.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from msgspec import Struct

__all__ = ["DAY_S", "MINUTE_S", "ROUNDING_S", "Buckets", "Demand", "Share", "corrected", "level", "wait_s"]

MINUTE_S = 60
DAY_S = 86_400
ROUNDING_S = 1e-6  # what floating point may be off by; it must not make a wait of whole seconds too short
KEPT_LIMIT = 100_000  # buckets; beyond it one that was not used for long is forgotten, which makes it full
SWEPT = 2  # buckets looked at for each one that is new, so those that have filled up go as quickly as others come


def level(full_at: float, limit: int, now: float, period_s: int = MINUTE_S) -> float:
    """What is in a bucket of `limit` a period; below 0 for one in debt."""
    return limit - (full_at - now) * limit / period_s if full_at > now else float(limit)


def wait_s(full_at: float, limit: int, need: int, now: float, period_s: int = MINUTE_S) -> float:
    """Seconds until `need` is in the bucket; 0 when it is. More than fits counts as a full one."""
    if full_at <= now:
        return 0.0
    missing_s = full_at - now - (period_s * (1 - need / limit) if need < limit else 0.0)
    return missing_s if missing_s > ROUNDING_S else 0.0


def corrected(share: "Share", actual: int, full_at: float, now: float) -> float:
    """When a bucket is full once what was taken of it is corrected by what was used.

    Less: only what the bucket would still lack is given back. If it would have been full for a while without the
    request, that while has refilled it already, and giving it back again would count it twice.
    """
    second = share.demand.period_s / share.demand.limit  # of refill, for one
    if actual > share.taken:
        return (full_at if full_at > now else now) + (actual - share.taken) * second
    idle = now - (share.began + actual * second)
    back = (share.taken - actual) * second - (idle if idle > 0 else 0.0)
    return full_at - back if back > 0 else full_at


class Demand(Struct, frozen=True):
    """What a request wants of one bucket of `limit` a period: `need` must be in it, `cost` is taken.

    A cost above the limit counts as the limit: such a request passes when the bucket is full, and what it really
    used is a debt in the end.
    """

    key: str
    limit: int
    need: int
    cost: int
    period_s: int = MINUTE_S

    @property
    def taken(self) -> int:
        return self.cost if self.cost < self.limit else self.limit


class Share(Struct, frozen=True):
    """What was taken out of one bucket, and from when on the bucket refills it (on the clock of its counters)."""

    demand: Demand
    taken: int
    began: float


class Buckets:
    """The buckets of one process. `now` is in monotonic seconds everywhere."""

    def __init__(self, *, kept: int = KEPT_LIMIT) -> None:
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()
        self._kept = kept

    def __len__(self) -> int:
        return len(self._full_at)

    def full_at(self, key: Hashable, now: float) -> float:
        return self._full_at.get(key, now)

    def look(self, demands: Sequence[Demand], now: float) -> tuple[list[float], list[float] | None]:
        """When the bucket of each demand is full; and how long each has to wait, None where none has."""
        kept_at = self._full_at.get
        full_at = [kept_at(demand.key, now) for demand in demands]
        waits = None
        for index, at in enumerate(full_at):
            if at > now:
                each = demands[index]
                if wait := wait_s(at, each.limit, each.need, now, each.period_s):
                    waits = waits or [0.0] * len(full_at)
                    waits[index] = wait
        return full_at, waits

    def take(self, demands: Sequence[Demand], full_at: list[float], now: float) -> list[Share]:
        """Take them all. `full_at` is as `look` says; afterwards, as it is then."""
        shares = []
        for index, demand in enumerate(demands):
            at = full_at[index]
            began = at if at > now else now
            taken = demand.cost if demand.cost < demand.limit else demand.limit
            shares.append(Share(demand, taken, began))
            if taken:
                full_at[index] = at = began + taken * demand.period_s / demand.limit
                self._put(demand.key, at, now)
        return shares

    def settle(self, share: Share, actual: int, now: float) -> None:
        """Correct what was taken by what was used."""
        if actual != share.taken:
            key = share.demand.key
            self._put(key, corrected(share, actual, self._full_at.get(key, now), now), now)

    def _put(self, key: Hashable, full_at: float, now: float) -> None:
        """One that is full may stay until its turn comes to be swept: mostly it is soon taken from again."""
        kept = self._full_at
        if key in kept:
            kept[key] = full_at
            kept.move_to_end(key)
        elif full_at > now:
            kept[key] = full_at
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        kept = self._full_at
        for _ in range(SWEPT):
            oldest = next(iter(kept))
            if kept[oldest] <= now or len(kept) > self._kept:
                del kept[oldest]
            else:
                kept.move_to_end(oldest)  # its turn comes again: one deep in debt must not hide those behind it
