"""Two targets at once: the second is asked when the first takes its time, and whichever begins first is the answer.

Who is asked, and what becomes of attempts, is `dispatch.py`'s to say.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from dragoman.errors import ApiError
from dragoman.gateway.call import Answer

if TYPE_CHECKING:
    from dragoman.gateway.ledger.accounting import Entry

__all__ = ["raced", "stop"]

HEDGED = "hedged"  # the ledger's `error` of the one that was not the answer


async def raced(
    entry: "Entry",
    first: "tuple[Entry, Awaitable[Answer]]",
    *,
    within_s: float,
    second: "Callable[[], tuple[Entry, Awaitable[Answer]] | None]",
    failed: "Callable[[Entry, Answer | ApiError], None]",
) -> Answer:
    """The answer of the one that begins first, which the entry follows; the other is stopped, and accounted for.

    `second` is asked for when the first one has not begun `within_s`, and returns nothing where nobody else can be
    asked. `failed` is told of the one that fails while the other runs. Raises ApiError when the last one fails.
    """
    entry.follow(first[0])
    racing = {asyncio.ensure_future(first[1]): first[0]}
    try:
        await asyncio.wait(racing, timeout=within_s)
        if not any(task.done() for task in racing) and (other := second()) is not None:
            racing[asyncio.ensure_future(other[1])] = other[0]
        while True:
            done, _ = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            task = min(done, key=lambda each: _failure(each) is not None)
            failure = _failure(task)
            winner = racing.pop(task)
            if failure is None or not racing:
                entry.follow(winner)
                return task.result()
            failed(winner, failure)
            entry.follow(next(iter(racing.values())))
            winner.lose(entry, f"{entry.request_id}.2", HEDGED, "refused")
    finally:
        for task in racing:  # all at once: a second cancellation may come while they end
            task.cancel()
        try:
            for task in racing:
                await stop(task)
        finally:  # also then
            for fork in racing.values():
                if entry.followed is not fork:
                    fork.lose(entry, f"{entry.request_id}.2", HEDGED)


def _failure(task: "asyncio.Task[Answer] | asyncio.Future[Answer]") -> Answer | ApiError | None:
    """None of one that has begun to answer. Raises what is a fault of ours."""
    error = task.exception()
    if error is None:
        return task.result() if task.result().status >= 400 else None
    if isinstance(error, ApiError):
        return error
    raise error


async def stop(task: "asyncio.Future[Answer]") -> None:
    """Nobody waits for it any more: what it began is closed."""
    task.cancel()
    (answered,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(answered, Answer) and answered.stream is not None:
        await answered.stream.aclose()
