"""Token buckets with continuous refill: the arithmetic, and the buckets of one process. Imports nothing of ours.

A bucket holds a minute's worth and refills evenly. All there is to keep of one is a single number, `full_at`: when it
will be full again if nobody takes any more (monotonic seconds). So a full bucket need not be kept at all, and a store
shared by many machines needs one expiring number each.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from msgspec import Struct

__all__ = ["Buckets", "Demand", "Share", "Taking", "level", "wait_s"]

MINUTE_S = 60.0
ROUNDING_S = 1e-6  # what floating point may be off by; it must not make a wait of whole seconds too short
KEPT_LIMIT = 100_000  # buckets; beyond it one that was not used for long is forgotten, which makes it full
SWEPT = 2  # buckets looked at for each one that is new, so those that have filled up go as quickly as others come


def level(full_at: float, limit: int, now: float) -> float:
    """What is in a bucket of `limit` a minute; below 0 for one in debt."""
    return limit - (full_at - now) * limit / MINUTE_S if full_at > now else float(limit)


def wait_s(full_at: float, limit: int, need: int, now: float) -> float:
    """Seconds until `need` is in the bucket; 0 when it is. More than fits counts as a full one."""
    if full_at <= now:
        return 0.0
    missing_s = full_at - now - (MINUTE_S * (1 - need / limit) if need < limit else 0.0)
    return missing_s if missing_s > ROUNDING_S else 0.0


class Demand(Struct, frozen=True):
    """What a request wants of one bucket of `limit` a minute: `need` must be in it, `cost` is taken.

    A cost above the limit counts as the limit: such a request passes when the bucket is full, and what it really
    used is a debt in the end.
    """

    key: Hashable
    limit: int
    need: int
    cost: int


class Share(Struct, frozen=True):
    """What was taken out of one bucket, and from when on the bucket refills it."""

    demand: Demand
    taken: int
    began: float


class Taking(Struct, frozen=True):
    """What became of demands: `wait_s` of each, and when its bucket is full. No shares where one has to wait."""

    wait_s: list[float]
    full_at: list[float]
    shares: list[Share]


class Buckets:
    """The buckets of one process. `now` is in monotonic seconds everywhere."""

    def __init__(self, *, kept: int = KEPT_LIMIT) -> None:
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()
        self._kept = kept

    def __len__(self) -> int:
        return len(self._full_at)

    def full_at(self, key: Hashable, now: float) -> float:
        return self._full_at.get(key, now)

    def take(self, demands: Sequence[Demand], now: float) -> Taking:
        """Take them all, or nothing at all when one has to wait (LIM-7)."""
        kept_at = self._full_at.get
        full_at = [kept_at(demand.key, now) for demand in demands]
        waits = [
            wait_s(at, each.limit, each.need, now) if at > now else 0.0
            for at, each in zip(full_at, demands, strict=True)
        ]
        if any(waits):
            return Taking(waits, full_at, [])
        shares = []
        for index, demand in enumerate(demands):
            began = full_at[index] if full_at[index] > now else now
            taken = demand.cost if demand.cost < demand.limit else demand.limit
            shares.append(Share(demand, taken, began))
            if taken:
                full_at[index] = began + taken * MINUTE_S / demand.limit
                self._put(demand.key, full_at[index], now)
        return Taking(waits, full_at, shares)

    def settle(self, share: Share, actual: int, now: float) -> None:
        """Correct what was taken by what was used.

        Less: only what the bucket would still lack is given back. If it would have been full for a while without the
        request, that while has refilled it already, and giving it back again would count it twice.
        """
        if actual == share.taken:
            return
        second = MINUTE_S / share.demand.limit  # of refill, for one
        full_at = self._full_at.get(share.demand.key, now)
        if actual > share.taken:
            full_at = (full_at if full_at > now else now) + (actual - share.taken) * second
        else:
            idle = now - (share.began + actual * second)
            back = (share.taken - actual) * second - (idle if idle > 0 else 0.0)
            full_at -= back if back > 0 else 0.0
        self._put(share.demand.key, full_at, now)

    def _put(self, key: Hashable, full_at: float, now: float) -> None:
        """One that is full may stay until its turn comes to be swept: mostly it is soon taken from again."""
        kept = self._full_at
        if full_at <= now and key not in kept:
            return
        size = len(kept)
        kept[key] = full_at
        kept.move_to_end(key)
        if len(kept) > size:
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        kept = self._full_at
        for _ in range(SWEPT):
            oldest = next(iter(kept))
            if kept[oldest] <= now or len(kept) > self._kept:
                del kept[oldest]
            else:
                kept.move_to_end(oldest)  # its turn comes again: one deep in debt must not hide those behind it
