"""The counters of several processes, kept in one Redis: each step is one script there (redis_scripts.py).

Gates and what purses have reserved are leases: this process renews those that it holds, so one that was killed gives
its places and its money back when `LEASE_S` are over. How commands get there is in `redis_pump.py`.

When Redis is away nobody waits for it, until it has answered this process again: either each process gives its part
of the limits by itself (redis_away.py), or every request that has a limit is refused. What was settled meanwhile is
told to Redis when it is back, of gates and purses, if it still has what it had; what it would have corrected of
buckets, time has refilled. A Redis that comes back empty asks for each budget what the ledger says (`Taking.unknown`).
"""

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from dragoman.errors import StoreError

from .counters import LEASE_S, Counters, Order, Purse, Share, Taking
from .redis_away import LocalShare, LocalTaking
from .redis_link import ANSWER_S, Link, LinkBroken
from .redis_pump import Pump, Settlement
from .redis_scripts import BEAT, BORN, PREFIX, PROCESSES, RENEW, SET_SPENT, SETTLE, TAKE, call, command, named

__all__ = ["RedisCounters"]

log = logging.getLogger("dragoman.counters")

RENEWED_EVERY = 5  # beats, of 5 s: three times in LEASE_S
ALIVE_S = 15  # a process that has given no sign of life for so long is not counted any more
OWED_KEPT = 100_000  # kept for when Redis is back
HELD_AT_ONCE = 500  # leases renewed by one command
PURSE_KEPT_S = 7 * 86_400  # since it was last used, of a window that has no end
PURSE_SPARE_S = 3600  # beyond the end of another


class Owed(NamedTuple):
    """What Redis must be told: which gates were left, by their names, and what was spent of purses.

    `is_again`: it was sent before, and who knows what came of it.
    """

    id: str
    gates: Sequence[bytes]
    purses: Sequence[Purse]
    spent_nano: int | None
    is_again: bool = False


class RedisCounters(Counters):
    """The Redis at `url`. `when_away` says what becomes of requests without it.

    `clock` takes the place of Redis's own (seconds of any epoch), for tests. Raises ConfigError for a wrong URL, or
    when the package for Redis is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        when_away: Literal["local", "refuse"] = "local",
        answer_s: float = ANSWER_S,
        lease_s: int = LEASE_S,
        clock: Callable[[], float] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.times_away = 0
        self.taken_locally = 0  # requests that went by this process's own part of the limits
        self.refused = 0  # requests that were refused for want of Redis
        self.processes = 1  # that share the limits, as far as is known
        self._when_away = when_away
        self._lease_s = lease_s
        self._clock = clock
        self._wall = wall
        self._id = secrets.token_hex(8)
        self._born: str | None = None  # the name of what Redis has kept
        self._was_away = False
        self._local = LocalShare(1)
        self._owed: deque[Owed] = deque()
        self._held: dict[str, Order] = {}  # what has leases, by its id
        self._beats = 0
        self._pump = Pump(
            Link(url, answer_s=answer_s), beat=self._beat, on_beat=self._note_beat, on_away=self._note_away
        )

    @property
    def place(self) -> str:
        """What messages call it; never with a password."""
        return self._pump.place

    @property
    def is_away(self) -> bool:
        return not self._pump.is_up

    @property
    def dropped(self) -> int:
        """Settlements that never got through."""
        return self._pump.dropped

    async def open(self) -> None:
        """Raises ConfigError when Redis refuses us; one that cannot be reached is away."""
        await self._pump.open()

    async def aclose(self) -> None:
        await self._pump.aclose([command("ZREM", f"{PREFIX}processes", self._id)])

    async def take(self, order: Order, now: float) -> Taking:
        try:
            text = await self._pump.ask(self._take(order), unwanted=lambda late: self._give_back(order, late, now))
        except LinkBroken:
            self._refuse_if_so_set()
            self.taken_locally += 1
            return self._local.take(order, now)
        taking = _read(order, text, now)
        if taking.is_taken and (order.gates or order.purses):
            self._held[order.id] = order
        return taking

    def settle(self, taking: Taking, actual: Sequence[int], spent_nano: int | None, now: float) -> None:
        order = taking.order
        shares = [(each, used) for each, used in zip(taking.shares, actual, strict=True) if used != each.taken]
        gates = [named("g", gate.key) for gate in order.gates]
        if isinstance(taking, LocalTaking):
            taking.share.settle(taking, actual, spent_nano, now)
            shares, gates = [], []
        self._held.pop(order.id, None)
        owed = Owed(order.id, gates, order.purses, spent_nano)
        if self.is_away:
            self._owe(owed)
        elif shares or gates or order.purses:
            self._pump.send(self._settlement(shares, owed))

    async def set_spent(self, purse: Purse, spent_nano: int) -> None:
        told = {"spent": str(spent_nano), "kept_s": self._kept_s(purse)}
        try:
            await self._pump.ask(call(SET_SPENT, [named("p", purse.key)], told))
        except LinkBroken:
            self._refuse_if_so_set()
            await self._local.set_spent(purse, spent_nano)

    # -- commands --

    def _take(self, order: Order) -> bytes:
        names = [named("b", each.key) for each in order.demands]
        names += [named("g", each.key) for each in order.gates]
        for purse in order.purses:
            names += _purse(purse)
        asked: dict[str, object] = {
            "id": order.id,
            "lease_s": self._lease_s,
            "demands": [(each.limit, each.need, each.cost, each.period_s) for each in order.demands],
            "gates": [each.limit for each in order.gates],
            "purses": [
                (-1 if each.limit_nano is None else each.limit_nano, each.cost_nano, self._kept_s(each))
                for each in order.purses
            ],
        }
        return call(TAKE, names, self._timed(asked))

    def _settlement(self, shares: Sequence[tuple[Share, int]], owed: Owed) -> Settlement:
        names = [named("b", share.demand.key) for share, _ in shares]
        names += owed.gates
        for purse in owed.purses:
            names += _purse(purse)
        asked: dict[str, object] = {
            "id": owed.id,
            "shares": [
                (share.taken, share.began, used, share.demand.limit, share.demand.period_s) for share, used in shares
            ],
            "gates": len(owed.gates),
            "spent": [str(each.cost_nano if owed.spent_nano is None else owed.spent_nano) for each in owed.purses],
            "is_again": owed.is_again,
        }
        return Settlement(call(SETTLE, names, self._timed(asked)), owed)

    def _give_back(self, order: Order, text: bytes, now: float) -> None:
        """Of one who has not waited for the answer."""
        taking = _read(order, text, now)
        if taking.is_taken:
            self.settle(taking, [0] * len(taking.shares), 0, now)

    def _timed(self, asked: dict[str, object]) -> dict[str, object]:
        if self._clock is not None:
            asked["now"] = self._clock()
        return asked

    def _kept_s(self, purse: Purse) -> int:
        if not purse.window_end:
            return PURSE_KEPT_S
        return max(0, purse.window_end - int(self._wall())) + PURSE_SPARE_S

    # -- signs of life --

    def _beat(self) -> list[bytes]:
        """That this process is there; and every fifth time, or over a new connection, that it holds what it holds."""
        asked: dict[str, object] = {"id": self._id, "lease_s": ALIVE_S, "born": secrets.token_hex(8)}
        commands = [call(BEAT, [PROCESSES, BORN], self._timed(asked))]
        if self.is_away or self._beats % RENEWED_EVERY == 0:
            commands += self._renewals()
        self._beats += 1
        return commands

    def _renewals(self) -> Iterator[bytes]:
        held: dict[tuple[bytes, ...], list[tuple[str, int]]] = {}
        for order in self._held.values():
            for gate in order.gates:
                held.setdefault((named("g", gate.key),), []).append((order.id, 0))
            for purse in order.purses:
                kept, leases = _purse(purse)
                held.setdefault((leases, kept), []).append((order.id, purse.cost_nano))
        for keys, those in held.items():
            for at in range(0, len(those), HELD_AT_ONCE):
                asked: dict[str, object] = {"lease_s": self._lease_s, "held": those[at : at + HELD_AT_ONCE]}
                yield call(RENEW, keys, self._timed(asked))

    def _note_beat(self, answers: Sequence[Any]) -> list[Settlement]:
        """Returns what is owed to a Redis that is back, unless it has forgotten: then the ledger tells it all."""
        processes, name = answers[0]
        born = name.decode()
        self.processes = max(1, processes)
        if self._born not in (None, born):
            self._owed.clear()
        self._born = born
        owed, self._owed = self._owed, deque()
        if self._was_away:
            self._was_away = False
            log.warning("%s is back", self.place)
        return [self._settlement((), each) for each in owed]

    def _note_away(self, why: str, sent: Sequence[Settlement], unsent: Sequence[Settlement]) -> None:
        """What was settled, and did not get there for sure, is owed."""
        self._was_away = True
        self.times_away += 1
        self._local = LocalShare(self.processes)
        for settlement in sent:
            self._owe(settlement.owed._replace(is_again=True))
        for settlement in unsent:
            self._owe(settlement.owed)
        policy = f"this process gives 1/{self.processes} of each limit"
        if self._when_away == "refuse":
            policy = "requests that have limits are refused"
        log.warning("%s is away: %s. Until it is back, %s", self.place, why, policy)

    def _owe(self, owed: Owed) -> None:
        if not (owed.gates or owed.purses):  # the rest time has refilled
            return
        if len(self._owed) >= OWED_KEPT:
            self._owed.popleft()
            self._pump.dropped += 1
        self._owed.append(owed)

    def _refuse_if_so_set(self) -> None:
        if self._when_away == "refuse":
            self.refused += 1
            raise StoreError(f"{self.place} is away")


def _purse(purse: Purse) -> tuple[bytes, bytes]:
    """What is kept of it, and its leases."""
    return named("p", purse.key), named("l", purse.key)


def _read(order: Order, text: bytes, now: float) -> Taking:
    """What TAKE answers. Times come back on the clock of the caller, for whom it is `now`; `began` stays on Redis's."""
    redis_now, crowded, broke, *rest = text.split()
    size = len(order.demands)
    offset = now - float(redis_now)
    waits, full_at, began = ([float(each) for each in rest[at * size : (at + 1) * size]] for at in range(3))
    spent = rest[3 * size :]
    unknown = [place for place, each in enumerate(spent) if each == b"-"]
    taking = Taking(
        order,
        waits,
        [at + offset for at in full_at],
        crowded=None if crowded == b"-1" else int(crowded),
        broke=None if broke == b"-1" else int(broke),
        spent_nano=[0 if each == b"-" else int(each) for each in spent],
        unknown=unknown,
    )
    if not taking.is_taken:
        return taking
    shares = [Share(each, each.taken, at) for each, at in zip(order.demands, began, strict=True)]
    return msgspec.structs.replace(taking, shares=shares)
