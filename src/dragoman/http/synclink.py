"""One socket of the blocking transport: a Connection driven by the thread that has it, with its time limits.

The socket does not block; waits are for reading and writing at once where a reply may come before its request has
left. Another thread may end a wait by `abort`: it shuts the socket down, and the thread that has it closes it.
"""

import selectors
import socket
import ssl
import threading
from contextlib import suppress
from time import monotonic

from dragoman.http.base import (
    ConnectFailed,
    FirstByteTimeout,
    IdleTimeout,
    ReplyBroken,
    Request,
    SendTimeout,
    TimedOut,
    TotalTimeout,
    late,
)
from dragoman.http.connection import BODY_AHEAD_BYTES, Connection
from dragoman.http.heads import Origin, RequestHead
from dragoman.http.syncdial import Patience
from dragoman.http.syncpool import SyncPool

__all__ = ["SyncLink"]

READ_BYTES = 64 * 1024  # the most that is read ahead of the caller
TLS_RECORDS = 4  # in such a read; a record has 16 KiB at most
ONE_WRITE_BYTES = 64 * 1024  # a body up to here goes out together with its head
WRITE_BYTES = 256 * 1024  # a larger one in such pieces
CONTINUE_S = 1.0  # how long a body waits for the 100 that the caller asked for. RFC 9110, section 10.1.1: not for ever

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
# The default one needs a descriptor of its own for each link.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)


class SyncLink:
    """`pool` gets it back when a reply was read to its end, and is told when it closes.

    A thread that is at it, from its making, `enter` or `enter_idle` on, says `leave` when it is done. `turn` counts
    exchanges: who comes with the number of an earlier one has nothing to do with the link.
    """

    def __init__(self, name: str, origin: Origin, pool: SyncPool, *, kept_s: float, max_age_s: float) -> None:
        self.origin = origin
        self.connection = Connection(name)
        self.turn = 0
        self.is_closed = False
        self.is_reused = False
        self.idle_from = self._made_at = monotonic()
        self._total_at: float | None = None  # the monotonic time at which the whole exchange is over
        self._pool = pool
        self._kept_s = kept_s
        self._max_age_s = max_age_s
        self._lock = threading.Lock()  # for `turn`, `is_closed`, `_is_inside`, and what hangs on them
        self._is_inside = True  # a thread is at it
        self._is_unsent = False  # a part of the request was held back
        self._sock: socket.socket | None = None
        self._is_tls = False
        self._selector = _Selector()
        self._events = _READ

    # -- who has it --

    def enter(self, turn: int) -> None:
        """Raises ReplyBroken when it was closed, or let go of."""
        with self._lock:
            if self.is_closed or self.turn != turn:
                raise self._closed()
            self._is_inside = True

    def enter_idle(self) -> bool:
        """For another exchange; False if it is too old, or if anything has come since the last one, as its end."""
        now = monotonic()
        with self._lock:
            if self.is_closed or now - self.idle_from >= self._kept_s or now - self._made_at >= self._max_age_s:
                return False
            self._is_inside = True
        self._watch(_READ)
        if self._selector.select(0):
            self.leave()
            return False
        return True

    def leave(self, *, is_over: bool = False) -> None:
        """`is_over`: the reply has been read to its end."""
        with self._lock:
            self._is_inside = False
            if not is_over and not self.is_closed:
                return
            is_kept = self._end_turn()
        self._put_away(is_kept=is_kept)

    def let_go(self, turn: int) -> None:
        """The reply of exchange `turn` is not wanted any more; may be called by any thread, at any time."""
        with self._lock:
            if self.is_closed or self.turn != turn:
                return
            if self._is_inside:
                self._interrupt()
                return
            self.connection.discard()
            is_kept = self._end_turn()
        self._put_away(is_kept=is_kept)

    def abort(self) -> None:
        """Close it at once; a thread that is at it gets ReplyBroken. May be called by any thread."""
        with self._lock:
            if self.is_closed:
                return
            if self._is_inside:
                self._interrupt()
                return
            self.is_closed = True
        self._put_away(is_kept=False)

    def abandon(self) -> None:
        """In a process that was forked: the socket goes on in the other one, which must not notice."""
        self._lock = threading.Lock()
        self.is_closed = True
        if self._sock is not None:
            self._sock.close()

    def _interrupt(self) -> None:
        self.is_closed = True
        if self._sock is not None:
            with suppress(OSError):  # the other side was faster
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)  # not that of SSLSocket: it takes the TLS away

    def _end_turn(self) -> bool:
        """Whether it may be kept, under the lock."""
        self.turn += 1
        if self._is_unsent or not self.connection.is_reusable:
            self.is_closed = True
        if self.is_closed:
            return False
        self.idle_from = monotonic()
        self.is_reused = True
        return True

    def _put_away(self, *, is_kept: bool) -> None:
        if is_kept:
            self._pool.give_back(self)
            return
        self._selector.close()
        if self._sock is not None:
            self._sock.close()
        self._pool.forget(self)

    def _closed(self) -> ReplyBroken:
        return ReplyBroken(self.connection.host, "the reply was closed before its end was read")

    # -- what its thread does: to connect, an exchange, pieces --

    def attach(self, sock: socket.socket, tls: ssl.SSLContext | None, patience: Patience) -> None:
        """Take over `sock`, and greet by `tls`. Raises OSError, and what `patience` raises."""
        try:
            if tls is not None:
                sock = tls.wrap_socket(
                    sock,
                    server_hostname=self.origin.host,
                    do_handshake_on_connect=False,
                    suppress_ragged_eofs=False,  # an end without close_notify is to be told from one in order
                )
            with self._lock:
                if self.is_closed:
                    raise ConnectFailed(self.connection.host, "the transport was closed before the reply began")
                self._sock = sock
        except BaseException:
            sock.close()
            raise
        self._selector.register(sock.fileno(), self._events)
        if isinstance(sock, ssl.SSLSocket):
            self._is_tls = True
            self._greet(sock, patience)

    def _greet(self, sock: ssl.SSLSocket, patience: Patience) -> None:
        while True:
            try:
                return sock.do_handshake()
            except ssl.SSLWantReadError:
                events = _READ
            except ssl.SSLWantWriteError:
                events = _WRITE
            except OSError:
                patience.left_s()  # was it the transport that was closed?
                raise
            self._watch(events)
            self._selector.select(patience.left_s())

    def exchange(self, request: Request, head: RequestHead, total_at: float | None) -> None:
        """Send `request`, wait for the reply's head. Raises TransportError; the caller then aborts."""
        connection, timeouts, body = self.connection, request.timeouts, request.body
        connection.start(request.method)
        self._total_at = total_at
        if head.awaits_continue:
            self._send(head.data, timeouts.write_s)
            self._wait_for_continue()
            if connection.status or connection.error is not None:
                self._is_unsent = True
            else:
                self._send(body, timeouts.write_s)
        elif len(body) <= ONE_WRITE_BYTES:
            self._send(head.data + body, timeouts.write_s)
        else:
            self._send(head.data, timeouts.write_s)
            self._send(body, timeouts.write_s)
        until = _after(timeouts.first_byte_s)
        while not connection.status:
            if connection.error is not None:
                raise connection.error
            self._receive(FirstByteTimeout, timeouts.first_byte_s, until)

    def next_piece(self, idle_s: float | None) -> bytes | None:
        """What has arrived of the body, after a wait if nothing has; None at its end. Raises TransportError."""
        while True:
            if self._total_at is not None and monotonic() >= self._total_at:
                raise late(TotalTimeout, self.connection.host)
            piece = self.connection.take()
            if piece or piece is None:
                return piece
            self._receive(IdleTimeout, idle_s, _after(idle_s))

    # -- sending --

    def _send(self, data: bytes, write_s: float | None) -> None:
        """Reads too while the other side takes nothing, and leaves the rest unsent where there is no sense in it."""
        assert self._sock is not None
        connection = self.connection
        view = memoryview(data)
        until = _after(write_s)
        while view:
            if self._is_unsent or connection.status >= 300 or connection.error is not None:
                self._is_unsent = True  # a reply that is no error may be one that goes with the request
                return
            try:
                view = view[self._sock.send(view[:WRITE_BYTES]) :]
                until = _after(write_s)
                continue
            except (BlockingIOError, ssl.SSLWantWriteError):
                events = _WRITE
            except ssl.SSLWantReadError:
                events = _READ
            except OSError:  # what came before it is the reply; if nothing did, that shows when it is waited for
                self._is_unsent = True
                return
            may_read = not connection.is_done and connection.buffered <= BODY_AHEAD_BYTES
            ready = self._wait(events | _READ if may_read else events, SendTimeout, write_s, until)
            if may_read and ready & _READ:
                self._try_receive()

    def _wait_for_continue(self) -> None:
        connection = self.connection
        until = monotonic() + CONTINUE_S
        with suppress(FirstByteTimeout):
            while not (connection.was_continued or connection.status or connection.error is not None):
                self._receive(FirstByteTimeout, CONTINUE_S, until)

    # -- reading --

    def _receive(self, kind: type[TimedOut], limit_s: float | None, until: float | None) -> None:
        """Wait until something comes, or it shows that nothing can come, and tell the Connection."""
        while events := self._try_receive():
            self._wait(events, kind, limit_s, until)
        if self._is_tls:
            for _ in range(TLS_RECORDS - 1):
                if self.connection.is_done or self._try_receive():
                    break

    def _try_receive(self) -> int:
        """0, or what to wait for before trying again."""
        assert self._sock is not None
        try:
            data = self._sock.recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return _READ
        except ssl.SSLWantWriteError:
            return _WRITE
        except OSError:  # reset; or TLS that ended without close_notify
            self._raise_if_closed()
            self.connection.feed_lost()
            return 0
        if data:
            self.connection.feed(data)
        else:
            self._raise_if_closed()
            self.connection.feed_eof()
        return 0

    # -- waiting --

    def _wait(self, events: int, kind: type[TimedOut], limit_s: float | None, until: float | None) -> int:
        """The events that are there, 0 for none. Raises `kind` at the time `until`, TotalTimeout, and ReplyBroken."""
        if self._total_at is not None and (until is None or self._total_at < until):
            kind, until = TotalTimeout, self._total_at
        left = None
        if until is not None:
            left = until - monotonic()
            if left <= 0:
                raise late(kind, self.connection.host, limit_s)
        self._watch(events)
        ready = self._selector.select(left)
        self._raise_if_closed()
        return ready[0][1] if ready else 0

    def _watch(self, events: int) -> None:
        if events != self._events:
            assert self._sock is not None
            self._selector.modify(self._sock.fileno(), events)
            self._events = events

    def _raise_if_closed(self) -> None:
        if self.is_closed:
            raise self._closed()


def _after(limit_s: float | None) -> float | None:
    return None if limit_s is None else monotonic() + limit_s
