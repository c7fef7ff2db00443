"""Answers the requests of batches, behind those of callers who wait: a few at a time, each like a call of its own.

What is done stands in the store, so a batch goes on after a restart, and no request whose result is there is asked
again. One that was under way when the server stopped is. Several processes on one database share the batches: each
holds those that it answers by a lease, which ends by itself where a process is killed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from dragoman.errors import CutOff, InternalError, StoreError
from dragoman.providers.base import Operation
from dragoman.store.batches import Batch, BatchRequest, BatchStore, Outcome
from dragoman.wire.headers import Headers

from .auth import Principal
from .call import Call

__all__ = ["KEPT", "BatchWork", "Caller"]

log = logging.getLogger("dragoman.batches")

KEPT = timedelta(days=29)  # how long results are, from the batch's creation on (BAT-10)
BROKEN_AFTER = timedelta(hours=1)  # a batch whose requests have not all come by then never will be whole
LEASE = timedelta(seconds=60)
LOOK_S = 20.0  # for batches to answer; also renews the leases
ERASE_S = 3600.0
AT_ONCE = 8  # requests of all batches that run at once
BATCHES_LIMIT = 100  # that are answered at once; they take turns
PAGE = 1000  # numbers of requests that are read at once
AGAIN_AFTER_S = (0.5, 2.0, 8.0)  # when a result could not be stored


class Caller(msgspec.Struct, frozen=True):
    """Whose batch it is and the headers of its creation that matter to its requests. Never with a key."""

    principal: Principal
    headers: list[tuple[str, str]]


class BatchWork:
    """The work of this process. `ask` makes a call: status and body of its reply. `now` gives the aware UTC time,
    `clock` monotonic seconds. `worker` is a name that no other process has."""

    def __init__(
        self,
        store: BatchStore,
        *,
        ask: Callable[[Call], Awaitable[tuple[int, bytes]]],
        now: Callable[[], datetime],
        clock: Callable[[], float],
        new_id: Callable[[str], str],
    ) -> None:
        self._store = store
        self._ask = ask
        self._now = now
        self._clock = clock
        self._new_id = new_id
        self._worker = new_id("worker")
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._wake = asyncio.Event()
        self._at_work: set[str] = set()
        self._erase_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._work())

    async def aclose(self) -> None:
        """Stop. Requests under way are cancelled, and are asked again by whoever goes on with their batch."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            await self._store.release(self._worker)
        except StoreError as error:
            log.warning("batches are held for %d s more: %s", LEASE.total_seconds(), error)

    def look(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    await self._take_up(group)
                    await self._erase_in_time()
                except StoreError as error:
                    log.warning("batches wait: %s", error)
                except Exception:  # all batches hang on this loop
                    log.exception("batches wait because of a fault of dragoman's")
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._wake.wait()

    async def _take_up(self, group: asyncio.TaskGroup) -> None:
        now = self._now()
        for batch in await self._store.claim(self._worker, now, now + LEASE, BATCHES_LIMIT):
            if batch.id not in self._at_work:
                self._at_work.add(batch.id)
                group.create_task(self._answer_batch(batch))

    async def _erase_in_time(self) -> None:
        if self._clock() >= self._erase_at:
            self._erase_at = self._clock() + ERASE_S
            now = self._now()
            await self._store.erase(results_before=now - KEPT, broken_before=now - BROKEN_AFTER)

    async def _answer_batch(self, batch: Batch) -> None:
        """Answer what is left of a batch, and end it. Where that fails, it is taken up again some time later."""
        try:
            await self._answer_requests(batch)
            if await self._store.end(batch.id, self._now()):
                self._wake.set()  # there may be one that waited for its turn
        except* StoreError as trouble:
            log.warning("batch %s waits: %s", batch.id, trouble.exceptions[0])
        except* Exception:
            log.exception("batch %s waits because of a fault of dragoman's", batch.id)
        finally:
            self._at_work.discard(batch.id)

    async def _answer_requests(self, batch: Batch) -> None:
        caller = msgspec.json.decode(batch.caller, type=Caller)
        done = -1
        async with asyncio.TaskGroup() as group:
            while numbers := await self._store.pending(batch.id, after=done, limit=PAGE):
                for number in numbers:
                    await self._slots.acquire()  # in turns with the other batches
                    try:
                        request = await self._store.take(batch.id, number, self._now())
                    except BaseException:
                        self._slots.release()
                        raise
                    if request is None:  # the batch was canceled, or its time is over
                        self._slots.release()
                        return
                    task = group.create_task(self._answer(batch.id, caller, request))
                    task.add_done_callback(self._give_back)  # also where it is cancelled before it began
                done = numbers[-1]

    def _give_back(self, _: asyncio.Task[None]) -> None:
        self._slots.release()

    async def _answer(self, batch_id: str, caller: Caller, request: BatchRequest) -> None:
        call = Call(
            operation=Operation.MESSAGES,
            headers=Headers(caller.headers),
            body=request.params,
            request_id=self._new_id("req"),
            arrived=self._clock(),
            batched_for=caller.principal,
        )
        try:
            status, body = await self._ask(call)
        except CutOff:  # a fault on demand: a caller of its own would see the connection break
            status, body = 500, msgspec.json.encode(InternalError("Connection error.").body(call.request_id))
        outcome: Outcome = "succeeded" if status == 200 else "errored"
        await self._keep(batch_id, request.number, outcome, _on_one_line(body))

    async def _keep(self, batch_id: str, number: int, outcome: Outcome, body: bytes) -> None:
        """Store a result; a database that is busy for a moment must not cost a second request."""
        for wait_s in AGAIN_AFTER_S:
            try:
                await self._store.keep(batch_id, number, outcome, body)
                return
            except StoreError as error:
                log.warning("a result of batch %s is stored again in %g s: %s", batch_id, wait_s, error)
                await asyncio.sleep(wait_s)
        await self._store.keep(batch_id, number, outcome, body)


def _on_one_line(body: bytes) -> bytes:
    """JSON without line ends between its values, as one line of the results holds it. An upstream may indent."""
    return msgspec.json.format(body, indent=-1) if b"\n" in body or b"\r" in body else body
