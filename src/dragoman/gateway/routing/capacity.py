"""How many requests one provider is asked at once, and who waits for a place. Beyond that, load is shed.

First come, first served. A caller who goes away while waiting leaves the queue, and takes no place.
"""

import asyncio
from collections import deque

from dragoman.errors import Overloaded

__all__ = ["Capacity", "Shed"]

OFTEN = 0.2  # the weight of the newest time in the average


class Shed(Overloaded):
    """There is no place, and no room in the queue (ERR-53); told with an estimate of when there will be."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("Overloaded")
        self.retry_after = retry_after

    def headers(self) -> list[tuple[str, str]]:
        return [("retry-after", str(self.retry_after))]


class Capacity:
    """`limit` requests at once (None: any number), `queue` that wait, each `wait_s` at most."""

    def __init__(self, limit: int | None, *, queue: int = 0, wait_s: float = 30.0) -> None:
        self.running = 0
        self._limit = limit
        self._queue = queue
        self._wait_s = wait_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._usual_s = 1.0  # that a request holds its place

    @property
    def room(self) -> int | None:
        """How many more may come, those that would wait included; None: any number."""
        return None if self._limit is None else max(0, self._limit - self.running) + self._queue - len(self._waiting)

    def enter_at_once(self) -> bool:
        """As `enter`, without a wait; False: there is no place now."""
        is_free = self._limit is None or (self.running < self._limit and not self._waiting)
        self.running += is_free
        return is_free

    async def enter(self) -> None:
        """Returns with a place; `leave` gives it back. Raises Shed."""
        if self.enter_at_once():
            return
        if len(self._waiting) >= self._queue:
            raise self._shed()
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._wait_s):
                await turn
        except TimeoutError:
            self._give_up(turn)
            raise self._shed() from None
        except BaseException:
            self._give_up(turn)
            raise

    def leave(self, held_s: float | None = None) -> None:
        """`held_s`: seconds for which it was held, where that tells what is usual."""
        if held_s is not None:
            self._usual_s += (held_s - self._usual_s) * OFTEN
        self.running -= 1
        while self._waiting and (self._limit is None or self.running < self._limit):
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self.running += 1

    def _give_up(self, turn: "asyncio.Future[None]") -> None:
        if turn.done() and not turn.cancelled():  # its place came in the very moment: it goes to the next one
            self.leave()
        elif turn in self._waiting:
            self._waiting.remove(turn)

    def _shed(self) -> Shed:
        rounds = 1 + len(self._waiting) / max(1, self._limit or 1)
        return Shed(max(1, min(60, round(self._usual_s * rounds))))
