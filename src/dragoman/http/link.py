"""One socket of the fast transport: an asyncio.Protocol around a Connection, with its time limits and back-pressure.

Written for few steps: one future for each wait, no task and no timer for each request. A link has a single timer,
which is set anew only when it rings or when a nearer limit comes; at that moment it looks at `_deadline`.
"""

import asyncio
import math
import select
import ssl
from collections.abc import Callable

from dragoman.http.base import (
    FirstByteTimeout,
    IdleTimeout,
    SendTimeout,
    TimedOut,
    TotalTimeout,
)
from dragoman.http.connection import BODY_AHEAD_BYTES, Connection
from dragoman.http.heads import RequestHead
from dragoman.http.pool import Pool

__all__ = ["ONE_WRITE_BYTES", "Link"]

ONE_WRITE_BYTES = 64 * 1024  # a body up to here goes out together with its head
WRITE_BYTES = 256 * 1024  # a larger one in such pieces, each with `write_s` of its own
CONTINUE_S = 1.0  # how long a body waits for the 100 that the caller asked for. RFC 9110, section 10.1.1: not for ever

_SEND, _CONTINUE, _FIRST_BYTE, _IDLE = "send", "continue", "first byte", "idle"


class Link(asyncio.Protocol):
    """`pool` gets it back by `release`, and is told when it closes. `kept_s` and `max_age_s`: how long it may lie
    idle, and how old it may be when another request takes it."""

    __slots__ = (
        "_deadline",
        "_is_paused",
        "_is_unsent",
        "_kept_s",
        "_limit_s",
        "_loop",
        "_old_at",
        "_on_close",
        "_phase",
        "_poll",
        "_pool",
        "_take",
        "_timer",
        "_timer_at",
        "_transport",
        "_waiter",
        "connection",
        "is_busy",
        "is_closed",
        "is_full",
        "is_reused",
        "total_at",
    )

    def __init__(
        self,
        name: str,
        pool: "Pool[Link]",
        *,
        kept_s: float,
        max_age_s: float,
        on_close: "Callable[[Link], None]",
    ) -> None:
        self.connection = Connection(name)
        self.is_busy = True  # until it is released: data that comes is a reply's
        self.is_closed = False
        self.is_reused = False
        self.total_at: float | None = None  # the loop's time at which the whole exchange is over
        self._loop = asyncio.get_running_loop()
        self._pool = pool
        self._kept_s = kept_s
        self._old_at = self._loop.time() + max_age_s
        self._on_close = on_close
        self._transport: asyncio.Transport | None = None
        self._poll: Callable[[int], object] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._take: Callable[[bytes], bool] | None = None  # where what comes goes, as long as there is a waiter
        self.is_full = False  # what was written waits for the other side
        self._is_paused = False  # what has come waits for the caller
        self._is_unsent = False  # a part of the request was held back
        self._phase = _IDLE
        self._limit_s: float | None = None
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    # -- for the pool --

    def is_fit(self, now: float) -> bool:
        """Nothing came since it was released, and it is not too old. Asks the system too (0.5 us): what came in the
        loop's present turn is not yet told to `data_received`, and would be taken for the next request's reply."""
        return not (self.is_closed or now >= self._deadline or (self._poll is not None and self._poll(0)))

    def abort(self) -> None:
        """Close at once, whatever is under way; a waiting task gets ReplyBroken."""
        if self.is_closed:
            return
        self.is_closed = True
        self._take = None
        self.connection.feed_lost()
        if self._transport is not None:
            self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._poll = None
        self._pool.forget(self)
        self._on_close(self)
        self._wake()

    def release(self) -> None:
        """The reply was read to its end."""
        if self._is_unsent or self.is_full or self.is_closed or not self.connection.is_reusable:
            self.abort()
            return
        self.is_busy = False
        self._take = None  # while it is idle, the link holds nothing of the exchange
        self.is_reused = True
        self.go_on()  # what has come may have paused it, and the next reply would never be heard
        self.total_at = None
        idle_until = self._loop.time() + self._kept_s
        self._set_deadline(idle_until if idle_until < self._old_at else self._old_at)
        self._pool.give_back(self)

    # -- for the transport --

    def begin(self, method: str) -> None:
        """What comes from now on is the reply to a request of this method: before the connection is made, or when a
        kept one is used again. A reply may come before its request has left."""
        self.connection.start(method)
        self.is_busy = True

    def write(self, data: bytes) -> None:
        """All of a request, up to ONE_WRITE_BYTES of a body with its head."""
        assert self._transport is not None
        self._transport.write(data)

    async def send(self, head: RequestHead, body: bytes, write_s: float | None) -> None:
        """Send a request that is too long for `write`, or whose body waits for a word of the other side. Raises
        SendTimeout, TotalTimeout; errors of the connection are found when the reply is waited for."""
        self.write(head.data)
        if head.awaits_continue:
            await self._send_after_continue(body, write_s)
        else:
            await self._send_body(body, write_s)

    def wait_for_head(self, limit_s: float | None, until: float | None) -> asyncio.Future[None]:
        """Until something came that tells of the reply, or it cannot come. Raises FirstByteTimeout, TotalTimeout."""
        return self._expect(_FIRST_BYTE, limit_s, until)

    def wait_for_body(self, limit_s: float | None) -> asyncio.Future[None]:
        """Until more has come of the body, or it cannot come. Raises IdleTimeout, TotalTimeout."""
        if self._is_paused:
            self.go_on()
        return self._expect(_IDLE, limit_s, None if limit_s is None else self._loop.time() + limit_s)

    def forward(self, take: Callable[[bytes], bool], limit_s: float | None) -> asyncio.Future[None]:
        """As `wait_for_body`, but what comes is given to `take` at once and goes on being waited for. Done when `take`
        says no, fails with what it raises; done too when the body is at its end or cannot come: that is not given."""
        waiter = self.wait_for_body(limit_s)
        self._take = take
        return waiter

    def go_on(self) -> None:
        """Read again, if that was paused: what had come has been taken."""
        if self._is_paused and self._transport is not None and not self.is_closed:
            self._is_paused = False
            self._transport.resume_reading()

    def check_total(self) -> None:
        """Raises TotalTimeout when the time for the whole exchange is over."""
        if self.total_at is not None and self._loop.time() >= self.total_at:
            raise self._late(TotalTimeout)

    # -- sending --

    @property
    def _is_answered(self) -> bool:
        """Is there no sense in sending more? A reply that is no error may be one that goes with the request."""
        return self.connection.status >= 300 or self.connection.error is not None or self.is_closed

    async def _send_body(self, body: bytes, write_s: float | None) -> None:
        transport = self._transport
        assert transport is not None
        view = memoryview(body)
        for start in range(0, len(body), WRITE_BYTES):
            if self._is_answered:
                self._is_unsent = True
                return
            transport.write(view[start : start + WRITE_BYTES])
            await self.drain(write_s)

    async def drain(self, write_s: float | None) -> None:
        """Until the other side has taken most of what was written, or there is no sense in that any more."""
        until = None if write_s is None else self._loop.time() + write_s
        while self.is_full and not self._is_answered:
            await self._expect(_SEND, write_s, until)

    async def _send_after_continue(self, body: bytes, write_s: float | None) -> None:
        connection = self.connection
        until = self._loop.time() + CONTINUE_S
        while not (connection.was_continued or connection.status or connection.error is not None):
            if self._loop.time() >= until:
                break
            await self._expect(_CONTINUE, CONTINUE_S, until)
        if connection.status or connection.error is not None:
            self._is_unsent = True
            return
        await self._send_body(body, write_s)

    # -- waiting --

    def _expect(self, phase: str, limit_s: float | None, until: float | None) -> asyncio.Future[None]:
        """A future that is done when something came or left, and fails at the time `until`."""
        waiter = self._waiter = self._loop.create_future()
        self._take = None
        self._phase = phase
        self._limit_s = limit_s
        if until is None:
            until = math.inf
        if self.total_at is not None and self.total_at < until:
            until = self.total_at
        self._deadline = until
        if until < self._timer_at:
            self._set_deadline(until)
        return waiter

    def _set_deadline(self, at: float) -> None:
        self._deadline = at
        if at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(at, self._ring)
            self._timer_at = at

    def _ring(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        now = self._loop.time()
        if now < self._deadline:
            self._set_deadline(self._deadline)
        elif not self.is_busy:
            self.abort()  # idle for so long that the other side may close it just when it is used
        elif self._waiter is not None:
            self._expire(now)

    def _expire(self, now: float) -> None:
        waiter = self._waiter
        if self._phase == _CONTINUE and not (self.total_at is not None and now >= self.total_at):
            self._wake()
        elif waiter is not None and not waiter.done():
            self._waiter = None
            waiter.set_exception(self._timed_out(now))

    def _timed_out(self, now: float) -> TimedOut:
        if self.total_at is not None and now >= self.total_at:
            return self._late(TotalTimeout)
        return self._late({_SEND: SendTimeout, _FIRST_BYTE: FirstByteTimeout}.get(self._phase, IdleTimeout))

    def _late(self, kind: type[TimedOut]) -> TimedOut:
        what = {
            SendTimeout: f"has taken nothing of the request for {self._limit_s} s",
            FirstByteTimeout: f"no reply within {self._limit_s} s of the request",
            IdleTimeout: f"the reply stood still for {self._limit_s} s",
            TotalTimeout: "the whole exchange took longer than it may",
        }
        return kind(self.connection.host, what[kind])

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    # -- what the loop calls --

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if self.is_closed:  # while it was being made
            transport.abort()
            return
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None and hasattr(select, "poll"):
            poll = select.poll()
            poll.register(sock.fileno(), select.POLLIN)
            self._poll = poll.poll

    def data_received(self, data: bytes) -> None:
        if not self.is_busy:
            self.abort()  # nobody asked for it
            return
        connection = self.connection
        connection.feed(data)
        waiter = self._waiter
        if waiter is not None and self._take is not None and self._is_passed_on(waiter, self._take):
            return
        if waiter is not None and (connection.status or connection.error is not None or connection.was_continued):
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        if connection.buffered > BODY_AHEAD_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _is_passed_on(self, waiter: "asyncio.Future[None]", take: Callable[[bytes], bool]) -> bool:
        """Give what has come to `take`; False when the waiter has to be woken instead, or as well."""
        now = self._loop.time()
        total_at = self.total_at
        if waiter.done() or not self.connection.is_flowing or (total_at is not None and now >= total_at):
            return False
        if self._limit_s is not None:
            until = now + self._limit_s
            self._deadline = until if total_at is None or until < total_at else total_at
        piece = self.connection.take()
        try:
            return not piece or take(piece)
        except Exception as exc:
            waiter.set_exception(exc)
            return True

    def eof_received(self) -> None:
        if self._is_cut():
            self.connection.feed_lost()
        else:
            self.connection.feed_eof()
        if self.is_busy:
            self._wake()
        else:
            self.abort()

    def _is_cut(self) -> bool:
        """Over TLS: did it end without close_notify? asyncio tells of both alike (uvloop only of a proper end)."""
        tls = None if self._transport is None else self._transport.get_extra_info("ssl_object")
        if tls is None:
            return False
        try:
            return bool(tls.read(1))  # b"" after close_notify
        except ssl.SSLZeroReturnError:
            return False
        except ssl.SSLError:  # SSLWantReadError: it would wait for more
            return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.abort()
        self._transport = None

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        self._wake()
