"""A streamed answer that takes its time: held back until it begins, but not for ever.

Until then a failure is an error status, or another target's turn. A caller who has waited long enough gets the head of
a stream and pings; what comes then, of whichever target, follows in the same stream, and a failure is an `error` event.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from dragoman.errors import ApiError
from dragoman.gateway.call import Answer, Stream, Write
from dragoman.gateway.ledger.accounting import Entry
from dragoman.gateway.upstream.error_events import renamed
from dragoman.gateway.upstream.exchange import kind_of
from dragoman.wire.sse import encode_sse

__all__ = ["held"]


async def held(answering: Coroutine[Any, Any, Answer], *, within_s: float, entry: Entry) -> Answer:
    """What `answering` returns or raises, if it does so in time; else a stream that goes on with it."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(answering)
    waiter = loop.create_future()  # asyncio.wait would do, at three times the price

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    task.add_done_callback(wake)
    timer = loop.call_later(within_s, wake)
    try:
        await waiter
    except BaseException:
        await _end(task)
        raise
    finally:
        timer.cancel()
    return task.result() if task.done() else Answer(stream=_Late(task, entry))


class _Late:
    """The stream of an answer that is not there yet."""

    def __init__(self, task: "asyncio.Task[Answer]", entry: Entry) -> None:
        self._task = task
        self._entry = entry
        self._stream: Stream | None = None
        self._write: Write | None = None
        self._is_over = False

    @property
    def is_over(self) -> bool:
        return self._is_over or bool(getattr(self._stream, "is_over", False))

    @property
    def write(self) -> Write | None:
        return self._write

    @write.setter
    def write(self, write: Write) -> None:
        self._write = write
        if self._stream is not None and hasattr(self._stream, "write"):
            self._stream.write = write

    def __aiter__(self) -> "_Late":
        return self

    async def __anext__(self) -> bytes:
        if self._is_over:
            raise StopAsyncIteration
        if self._stream is None:
            try:
                answered = await asyncio.shield(self._task)
            except ApiError as error:
                return self._failed(msgspec.json.encode(error.body(self._entry.request_id)))
            if answered.stream is None:
                return self._failed(msgspec.json.format(answered.body, indent=-1))  # on one line
            self._stream = answered.stream
            if self._write is not None:
                self.write = self._write
        return renamed(await anext(self._stream), self._entry.request_id)

    def _failed(self, envelope: bytes) -> bytes:
        self._is_over = True
        self._entry.outcome, self._entry.error = "cut", kind_of(envelope)
        return renamed(encode_sse("error", envelope), self._entry.request_id)

    async def aclose(self) -> None:
        self._is_over = True
        if self._stream is not None:
            await self._stream.aclose()
            return
        await _end(self._task)


async def _end(task: "asyncio.Task[Answer]") -> None:
    """Stop it, and what it may have begun."""
    task.cancel()
    (answered,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(answered, Answer) and answered.stream is not None:
        await answered.stream.aclose()
