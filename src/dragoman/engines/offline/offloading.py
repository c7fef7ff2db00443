"""Where the engine does what would hold up the event loop: two small pools of threads, so that light work never waits
behind heavy.

A caller who goes takes its work along: what has not begun never begins, what has begun is told to stop, and only when
it has stopped does the caller's task end. So nothing works on that no limit counts. Imports only `wire`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import astuple

from dragoman.wire.types import Base64Pdf, CountTokensRequest, Image

__all__ = ["Threads", "is_heavy"]

HEAVY_THREADS = 2
LIGHT_THREADS = 4  # they share the interpreter, so that more would be no faster
LIGHT_CHARACTERS = 250_000  # read and planned in tens of milliseconds
VALUE_CHARACTERS = 32  # what each value counts for besides its text: it takes time to look at too

T = TypeVar("T")


class Threads:
    """Does work in threads of its own. It has none before its first work; `aclose` ends them."""

    def __init__(self) -> None:
        self._heavy = ThreadPoolExecutor(HEAVY_THREADS, "dragoman-heavy")
        self._light = ThreadPoolExecutor(LIGHT_THREADS, "dragoman-light")

    async def light(self, work: Callable[[], T]) -> T:
        """What `work` returns, which takes no longer than a request that is not heavy can make it."""
        return await _done(self._light, work, None)

    async def heavy(self, work: Callable[[], T], *, abandon: Callable[[], None] | None = None) -> T:
        """What `work` returns, when its turn has come. `abandon` makes work end soon that nobody waits for any more."""
        return await _done(self._heavy, work, abandon)

    async def aclose(self) -> None:
        """Wait for what has begun; the rest never begins."""
        for pool in (self._heavy, self._light):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)


async def _done(pool: ThreadPoolExecutor, work: Callable[[], T], abandon: Callable[[], None] | None) -> T:
    future = pool.submit(work)
    doing = asyncio.wrap_future(future)
    doing.add_done_callback(lambda done: done.cancelled() or done.exception())  # what nobody waits for is no fault
    try:
        await asyncio.wait([doing])
    except asyncio.CancelledError:
        if abandon is not None:
            abandon()
        future.cancel()
        await asyncio.wait([doing])
        raise
    return doing.result()


def is_heavy(request: CountTokensRequest) -> bool:
    """Whether reading it may take long: it holds an image or a PDF, or is large.

    Stops at the first reason, so it takes some milliseconds at most.
    """
    left = LIGHT_CHARACTERS
    values: list[object] = [request]
    while values and left >= 0:
        value = values.pop()
        left -= VALUE_CHARACTERS
        if isinstance(value, str):
            left -= len(value)
        elif isinstance(value, list | dict):
            if len(value) * VALUE_CHARACTERS > left:
                return True
            values.extend(value)
            if isinstance(value, dict):
                values.extend(value.values())
        elif isinstance(value, Image | Base64Pdf):
            return True
        elif isinstance(value, Struct):
            values.extend(astuple(value))
    return left < 0
