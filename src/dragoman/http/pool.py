"""The connections to one origin: who may have which, and who waits. No I/O: what a connection is, its user says."""

import asyncio
from collections import deque
from typing import Generic, Protocol, TypeVar

__all__ = ["Pool", "Pooled"]


class Pooled(Protocol):
    def is_fit(self, now: float) -> bool:
        """May it carry one more request? `now` is the loop's time, in seconds."""
        ...

    def abort(self) -> None:
        """Close it; that calls `Pool.forget`."""
        ...


P = TypeVar("P", bound=Pooled)


class Pool(Generic[P]):
    """At most `limit` connections. The one used last is used next, so that those not needed grow old; who waits is
    served in the order of coming. All methods but `wait` are plain: nothing can be cancelled half way.
    """

    __slots__ = ("_idle", "_limit", "_max_idle", "_open", "_waiting")

    def __init__(self, limit: int, *, max_idle: int) -> None:
        self._limit = limit
        self._max_idle = max_idle
        self._open = 0  # connections, and places on which one is being made
        self._idle: list[P] = []
        self._waiting: deque[asyncio.Future[P | None]] = deque()

    @property
    def is_empty(self) -> bool:
        return not self._open and not self._waiting

    def take_idle(self, now: float) -> P | None:
        """A connection that is fit, if there is one; the others that it meets on the way are closed."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.is_fit(now):
                return connection
            connection.abort()
        return None

    def take_place(self) -> bool:
        """A place to make a new connection on; an idle one gives way. False: `wait`."""
        if self._open >= self._limit and self._idle:
            self._idle.pop(0).abort()
        if self._open >= self._limit:
            return False
        self._open += 1
        return True

    async def wait(self) -> P | None:
        """A connection that was given back, or None: a place, which is then taken."""
        turn: asyncio.Future[P | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                given = turn.result()  # cancelled in the same moment: the next one has it
                if given is None:
                    self.leave_place()
                else:
                    self.give_back(given)
            raise

    def give_back(self, connection: P) -> None:
        """It is fit for another request."""
        if self._waiting and (turn := self._next_turn()) is not None:
            turn.set_result(connection)
        elif len(self._idle) < self._max_idle:
            self._idle.append(connection)
        else:
            connection.abort()

    def keep_none(self) -> None:
        """From now on, a connection that nobody uses or waits for is closed."""
        self._max_idle = 0
        while self._idle:
            self._idle.pop().abort()

    def forget(self, connection: P) -> None:
        """It has been closed, idle or in use."""
        if connection in self._idle:
            self._idle.remove(connection)
        self.leave_place()

    def leave_place(self) -> None:
        if (turn := self._next_turn()) is not None:
            turn.set_result(None)
        else:
            self._open -= 1

    def _next_turn(self) -> asyncio.Future[P | None] | None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                return turn
        return None
