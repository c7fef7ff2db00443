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

__all__ = ["QUICK", "Threads", "is_heavy", "weight"]

HEAVY_THREADS = 2
LIGHT_THREADS = 4  # they share the interpreter, so that more would be no faster
LIGHT_CHARACTERS = 250_000  # read and planned in tens of milliseconds
QUICK = 32_000  # read in less than a millisecond, and the way to a thread costs half of one: so on the event loop
VALUE_CHARACTERS = 32  # what each value counts for besides its text: it takes time to look at too

HEAVY = LIGHT_CHARACTERS + 1
CONTAINERS = (list, dict)
FILES = (Image, Base64Pdf)

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
    """Whether reading it may take long: it holds an image or a PDF, or is large."""
    return weight(request) > LIGHT_CHARACTERS


def weight(request: CountTokensRequest) -> int:
    """How much there is to read, in characters. More than LIGHT_CHARACTERS for what is heavy, whatever it weighs.

    Stops at the first reason for that, so it takes some milliseconds at most.
    """
    weighed = 0
    values: list[object] = [request]
    while values and weighed <= LIGHT_CHARACTERS:
        value = values.pop()
        weighed += VALUE_CHARACTERS
        if value is None:  # most fields, and so asked first
            continue
        if isinstance(value, str):
            weighed += len(value)
        elif isinstance(value, CONTAINERS):
            if len(value) * VALUE_CHARACTERS > LIGHT_CHARACTERS - weighed:
                return HEAVY
            values.extend(value)
            if isinstance(value, dict):
                values.extend(value.values())
        elif isinstance(value, FILES):
            return HEAVY
        elif isinstance(value, Struct):
            values.extend(astuple(value))
    return weighed
