"""Answers the requests of batches, behind those of callers who wait: a few at a time, each like a call of its own.

A failure that may pass is no result: the request is tried again, as clients do with calls of their own. What is done
stands in the store, so a batch goes on after a restart, and no request whose result is there is asked again. One that
was under way when the server stopped is. Several processes on one database share the batches: each holds those that it
answers by a lease, which ends by itself where a process is killed; one that starts on the same machine need not wait
for that.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from dragoman.errors import ApiError, CutOff, InternalError, StoreError, UpstreamTimeout
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Call
from dragoman.gateway.faults.header import HEADER as FAULT
from dragoman.gateway.workers import worker_name
from dragoman.providers.base import Operation
from dragoman.store.batches import BatchRequest, BatchStore, Outcome
from dragoman.wire.headers import Headers

from .turns import Job, Slots, Stopped

__all__ = ["KEPT", "Ask", "BatchWork", "Caller"]

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
IN_HAND = 3 * AT_ONCE  # requests of one batch that run, or wait for a slot or their next try
REQUEST_S = 600.0  # how long one may run
PASSING = frozenset({429, 500, 502, 503, 504, 529})  # statuses that the same request may not get again
TRIES = 8
LONGEST_PAUSE_S = 60.0  # between tries, where no `retry-after` says more

# Makes a call: status, body and `retry-after` in seconds of its reply.
Ask = Callable[[Call], Awaitable[tuple[int, bytes, int | None]]]


class Caller(msgspec.Struct, frozen=True):
    """Whose batch it is and the headers of its creation that matter to its requests. Never with a key."""

    principal: Principal
    headers: list[tuple[str, str]]


class BatchWork:
    """The work of this process. `now` gives the aware UTC time, `clock` monotonic seconds; `sleep` waits so many
    seconds. `is_gone` tells whether the process of a worker's name has surely ended."""

    def __init__(
        self,
        store: BatchStore,
        *,
        ask: Ask,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        new_id: Callable[[str], str],
        sleep: Callable[[float], Awaitable[None]],
        is_gone: Callable[[str], bool],
    ) -> None:
        self.worker = worker_name(new_id("worker"))  # no other process has this name
        self._store = store
        self._ask = ask
        self._now = now
        self._clock = clock
        self._new_id = new_id
        self._sleep = sleep
        self._is_gone = is_gone
        self._slots = Slots(AT_ONCE)
        self._wake = asyncio.Event()
        self._jobs: dict[str, Job] = {}  # by batch
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
            await self._store.release(self.worker)
        except StoreError as error:
            log.warning("batches are held for %d s more: %s", LEASE.total_seconds(), error)

    def look(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def _work(self) -> None:
        await self._bury()
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
                    async with asyncio.timeout(self._pause_s()):
                        await self._wake.wait()

    async def _bury(self) -> None:
        """Free what processes held that have ended without a word."""
        try:
            for worker in await self._store.workers():
                if self._is_gone(worker):
                    await self._store.bury(worker)
        except StoreError as error:
            log.warning("what another process held waits for the end of its lease: %s", error)

    async def _take_up(self, group: asyncio.TaskGroup) -> None:
        now = self._now()
        for batch in await self._store.claim(self.worker, now, now + LEASE, BATCHES_LIMIT):
            job = self._jobs.get(batch.id)
            if job is None:
                job = self._jobs[batch.id] = Job(batch)
                group.create_task(self._answer_batch(job))
            job.batch = batch  # it may have been canceled, by this process or another one
            job.heed(now)

    def _pause_s(self) -> float:
        """Until the next look: the usual time, or when something is to be cut."""
        now = self._now()
        cuts = [left.total_seconds() for job in self._jobs.values() if (left := job.cut_in(now)) is not None]
        return min([LOOK_S, *(max(1.0, each) for each in cuts)])

    async def _erase_in_time(self) -> None:
        if self._clock() >= self._erase_at:
            self._erase_at = self._clock() + ERASE_S
            now = self._now()
            await self._store.erase(results_before=now - KEPT, broken_before=now - BROKEN_AFTER)

    async def _answer_batch(self, job: Job) -> None:
        """Answer what is left of a batch, and end it. Where that fails, it is taken up again some time later."""
        batch_id = job.batch.id
        try:
            await self._answer_requests(job)
            if await self._store.end(batch_id, self._now()):
                self._wake.set()  # there may be one that waited for its turn
        except* StoreError as trouble:
            log.warning("batch %s waits: %s", batch_id, trouble.exceptions[0])
        except* Exception:
            log.exception("batch %s waits because of a fault of dragoman's", batch_id)
        finally:
            del self._jobs[batch_id]

    async def _answer_requests(self, job: Job) -> None:
        """Answer all; those of a batch that is stopped until then, as far as they run."""
        caller = msgspec.json.decode(job.batch.caller, type=Caller)
        room = asyncio.Semaphore(IN_HAND)
        done = -1
        async with asyncio.TaskGroup() as group:
            while numbers := await self._store.pending(job.batch.id, after=done, limit=PAGE):
                for number in numbers:
                    try:
                        async with job.waiting():
                            await room.acquire()
                    except Stopped:
                        return
                    task = group.create_task(self._answer(job, caller, number))
                    task.add_done_callback(lambda _: room.release())
                done = numbers[-1]

    async def _answer(self, job: Job, caller: Caller, number: int) -> None:
        """Try a request until it has a result, or its batch is stopped."""
        tries = 0
        with suppress(Stopped):
            while (wait_s := await self._in_turn(job, caller, number, tries)) is not None:
                tries += 1
                async with job.waiting():
                    await self._sleep(wait_s)

    async def _in_turn(self, job: Job, caller: Caller, number: int, tries: int) -> float | None:
        async with job.waiting():
            await self._slots.acquire(job.batch.id)
        try:
            request = await self._store.take(job.batch.id, number, self._now())
            if request is None:  # the batch was canceled, or its time is over
                job.stop()
                return None
            return await self._try(job, caller, request, tries)
        finally:
            self._slots.release(job.batch.id)

    async def _try(self, job: Job, caller: Caller, request: BatchRequest, tries: int) -> float | None:
        """Ask, and store the result. After so many `tries` that failed: in how many seconds to try again, if at all.
        Raises Stopped."""
        call = Call(
            operation=Operation.MESSAGES,
            headers=Headers(caller.headers),
            body=request.params,
            request_id=self._new_id("req"),
            arrived=self._clock(),
            batched_for=caller.principal,
        )
        try:
            async with job.running(REQUEST_S):
                status, body, retry_after = await self._ask(call)
        except TimeoutError:  # no second try: it would hold a slot as long again
            late = UpstreamTimeout(f"The request took longer than {REQUEST_S:g} seconds.")
            await self._keep(job.batch.id, request.number, "errored", _envelope(late, call))
            return None
        except CutOff:  # a fault on demand: a caller of its own would see the connection break
            status, body, retry_after = 500, _envelope(InternalError("Connection error."), call), None
        wait_s = _pause_s(status, retry_after, tries)
        # A fault that the caller asked for strikes each try.
        if wait_s is not None and FAULT not in call.headers and self._is_open(job, wait_s):
            return wait_s
        outcome: Outcome = "succeeded" if status == 200 else "errored"
        await self._keep(job.batch.id, request.number, outcome, _on_one_line(body))
        return None

    def _is_open(self, job: Job, in_s: float) -> bool:
        return (job.batch.expires_at - self._now()).total_seconds() > in_s

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


def _pause_s(status: int, retry_after: int | None, tries: int) -> float | None:
    """How long to wait before the next try, after `tries` and one more that ended so; None: it is the result."""
    if status not in PASSING or tries + 1 >= TRIES:
        return None
    return float(retry_after or min(2.0**tries, LONGEST_PAUSE_S))


def _envelope(error: ApiError, call: Call) -> bytes:
    return msgspec.json.encode(error.body(call.request_id))
