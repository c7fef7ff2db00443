"""The connections of a blocking transport, of all origins: who may have which, and which thread waits for one."""

import threading
from collections import deque
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from dragoman.http.heads import Origin
from dragoman.http.syncdial import Patience

if TYPE_CHECKING:
    from dragoman.http.synclink import SyncLink

__all__ = ["SyncPool"]

_Turn = SimpleQueue["SyncLink | None"]  # what a waiting thread gets: a connection, or a place, which is then taken


class _Place:
    """One origin's."""

    __slots__ = ("idle", "open", "origin", "waiting")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.open = 0  # connections, and places on which one is being made
        self.idle: list[SyncLink] = []  # that used last is the last
        self.waiting: deque[_Turn] = deque()  # only when `open` has come to its limit, and none is idle


class SyncPool:
    """At most `limit` connections to an origin, `max_idle` of them kept for `kept_s` seconds. The one used last is used
    next, so that those not needed grow old; who waits is served in the order of coming.

    There is no timer: what has been idle for too long is closed when a connection is made, or given back to the same
    origin. Everything holds one lock, under which no method of a link is called: links have locks of their own.
    """

    def __init__(self, limit: int, *, max_idle: int, kept_s: float) -> None:
        self.is_closed = False
        self._limit = limit
        self._max_idle = max_idle
        self._kept_s = kept_s
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[Origin, _Place] = {}
        self._links: set[SyncLink] = set()
        self._returned: deque[tuple[SyncLink, bool]] = deque()  # and whether it may be kept

    def acquire(self, origin: Origin, patience: Patience, *, fresh: bool) -> "SyncLink | None":
        """A connection that was kept, unless `fresh`, entered; or None: a place to make one on, which is left by
        `forget`. Raises what `patience` raises."""
        while True:
            turn: _Turn | None = None
            with self:
                patience.left_s()
                place = self._places.get(origin)
                if place is None:
                    place = self._places[origin] = _Place(origin)
                if place.open < self._limit and (fresh or not place.idle):
                    place.open += 1
                    expired = self._expired()
                    break
                if place.idle:
                    link = place.idle.pop(0 if fresh else -1)  # to be `fresh`, the oldest gives way
                else:
                    turn = SimpleQueue()
                    place.waiting.append(turn)
            if turn is not None:
                given = self._wait(place, turn, patience)
                if given is None:
                    return None
                link = given
            if not fresh and link.enter_idle():
                return link
            link.abort()
        for link in expired:
            link.abort()
        return None

    def join(self, link: "SyncLink") -> None:
        """It is being made, on a place that was taken."""
        with self:
            self._links.add(link)

    def give_back(self, link: "SyncLink") -> None:
        """It may be fit for another request."""
        self._returned.append((link, True))
        self._take_returned()

    def forget(self, link: "SyncLink") -> None:
        """It has been closed, idle or in use."""
        self._returned.append((link, False))
        self._take_returned()

    def close(self) -> None:
        with self:
            self.is_closed = True
            links = list(self._links)
            turns = [turn for place in self._places.values() for turn in place.waiting]
            self._places.clear()
        for turn in turns:
            turn.put(None)  # who then finds that all is closed
        for link in links:
            link.abort()

    def retire(self) -> None:
        """Nobody can ask for a connection any more: what is idle is closed, what is in use with the end of its reply.

        For the finalizer of a transport that nobody closed. That runs in any thread, in the middle of anything, and so
        must not wait for the lock: who has it may be interrupted by this very call.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            self.is_closed = True
            idle = [link for place in self._places.values() for link in place.idle]
            for place in self._places.values():
                place.idle.clear()
        finally:
            self._lock.release()
        for link in idle:
            link.abort()

    def abandon(self) -> None:
        """In a process that was forked: the connections are the parent's, and so may have been the lock."""
        links = self._links
        self._begin()
        for link in links:
            link.abandon()

    # -- inside --

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        self._take_returned()

    def _take_returned(self) -> None:
        """Connections come back by finalizers too: in any thread, in the middle of anything, even of what is done here
        under the lock. So nobody waits for the lock with one in hand: who has the lock takes it, on leaving."""
        while self._returned and self._lock.acquire(blocking=False):
            rest: list[SyncLink] = []
            try:
                while self._returned:
                    link, is_kept = self._returned.popleft()
                    if is_kept:
                        rest += self._keep(link)
                    else:
                        self._drop(link)
            finally:
                self._lock.release()
            for link in rest:
                link.abort()

    def _keep(self, link: "SyncLink") -> "list[SyncLink]":
        """What is too much then, or was idle for too long."""
        place = self._places.get(link.origin)
        if place is None or self.is_closed:
            return [link]
        if place.waiting:
            place.waiting.popleft().put(link)
            return []
        place.idle.append(link)
        if len(place.idle) > self._max_idle or self._is_expired(place.idle[0], link.idle_from):
            return [place.idle.pop(0)]
        return []

    def _drop(self, link: "SyncLink") -> None:
        self._links.discard(link)
        place = self._places.get(link.origin)
        if place is not None:
            if link in place.idle:
                place.idle.remove(link)
            self._leave(place)

    def _wait(self, place: _Place, turn: _Turn, patience: Patience) -> "SyncLink | None":
        while True:
            try:
                return turn.get(timeout=patience.left_s())
            except Empty:
                continue  # `left_s` says which time is over
            except BaseException:
                self._withdraw(place, turn)
                raise

    def _withdraw(self, place: _Place, turn: _Turn) -> None:
        with self:
            if turn in place.waiting:
                place.waiting.remove(turn)
                return
        given = turn.get()  # in the same moment: the next one has it
        if given is not None:
            self.give_back(given)
            return
        with self:
            if not self.is_closed:
                self._leave(place)

    def _leave(self, place: _Place) -> None:
        """A place is free, under the lock."""
        if place.waiting:
            place.waiting.popleft().put(None)
            return
        place.open -= 1
        if not place.open:
            del self._places[place.origin]

    def _is_expired(self, link: "SyncLink", now: float) -> bool:
        return now - link.idle_from >= self._kept_s

    def _expired(self) -> "list[SyncLink]":
        """Taken out of all that is idle, under the lock."""
        now = monotonic()
        expired = [link for place in self._places.values() for link in place.idle if self._is_expired(link, now)]
        for link in expired:
            self._places[link.origin].idle.remove(link)
        return expired
