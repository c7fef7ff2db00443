"""Whose turn it is among the batches of a process, and what of a batch is to stop. Knows no store and no clock."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from dragoman.store.batches import Batch

__all__ = ["Job", "Slots", "Stopped"]

GRACE = timedelta(seconds=10)  # how long the requests of a canceled batch that run may go on


class Slots:
    """At most `free` requests at once. The next turn is of the batch that holds the fewest, so none takes more than
    its share while others wait; of equals, of the one that has waited longest."""

    def __init__(self, free: int) -> None:
        self.free = free
        self._held: Counter[str] = Counter()  # by batch
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    async def acquire(self, batch_id: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        waiter = (batch_id, turn)
        self._waiting.append(waiter)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif not turn.cancelled():  # it came in the same moment
                self.release(batch_id)
            raise

    def release(self, batch_id: str) -> None:
        self.free += 1
        self._held[batch_id] -= 1
        if not self._held[batch_id]:
            del self._held[batch_id]
        self._grant()

    def _grant(self) -> None:
        while self.free and self._waiting:
            waiter = min(self._waiting, key=lambda each: self._held[each[0]])
            self._waiting.remove(waiter)
            batch_id, turn = waiter
            if turn.done():  # cancelled
                continue
            self.free -= 1
            self._held[batch_id] += 1
            turn.set_result(None)


class Stopped(Exception):
    """Nothing more of this batch is begun."""


class Job:
    """A batch while this process answers it. `batch` is as it was last seen in the store."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.is_stopped = False  # nothing more is begun: canceled or expired
        self.is_cut = False  # nothing more runs
        self._waits: set[asyncio.Timeout] = set()
        self._runs: set[asyncio.Timeout] = set()

    def heed(self, now: datetime) -> None:
        """Stop what is to stop by now."""
        cut_at = self._cut_at()
        if cut_at is not None or self.batch.expires_at <= now:
            self.stop()
        if cut_at is not None and cut_at <= now and not self.is_cut:
            self.is_cut = True
            _end_all(self._runs)

    def stop(self) -> None:
        if not self.is_stopped:
            self.is_stopped = True
            _end_all(self._waits)

    def cut_in(self, now: datetime) -> timedelta | None:
        """How long what runs may still do so, if that is known."""
        cut_at = self._cut_at()
        return None if cut_at is None or self.is_cut else cut_at - now

    @asynccontextmanager
    async def waiting(self) -> AsyncGenerator[None]:
        """Around what is not to be waited for when the batch has stopped. Raises Stopped."""
        if self.is_stopped:
            raise Stopped
        try:
            async with _noted(self._waits, None):
                yield
        except TimeoutError:
            raise Stopped from None

    @asynccontextmanager
    async def running(self, limit_s: float) -> AsyncGenerator[None]:
        """Around a request that runs. Raises TimeoutError when its time is over; Stopped when it was cut."""
        if self.is_cut:
            raise Stopped
        try:
            async with _noted(self._runs, limit_s):
                yield
        except TimeoutError:
            if self.is_cut:
                raise Stopped from None
            raise

    def _cut_at(self) -> datetime | None:
        canceled_at = self.batch.cancel_initiated_at
        return None if canceled_at is None else canceled_at + GRACE


@asynccontextmanager
async def _noted(among: set[asyncio.Timeout], limit_s: float | None) -> AsyncGenerator[None]:
    async with asyncio.timeout(limit_s) as bound:
        among.add(bound)
        try:
            yield
        finally:
            among.discard(bound)


def _end_all(bounds: set[asyncio.Timeout]) -> None:
    """The time of all these is over."""
    now = asyncio.get_running_loop().time()
    for bound in bounds:
        if not bound.expired():
            bound.reschedule(now)
