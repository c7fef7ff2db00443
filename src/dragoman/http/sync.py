"""The blocking SyncTransport: our own HTTP/1.1 over sockets, in the threads of its callers. Loads no asyncio.

Proxies are not supported: whoever needs one takes a transport that knows them (foreign.py).
"""

import math
import os
import ssl
import weakref
from collections.abc import Iterator
from time import monotonic
from types import TracebackType
from typing import Self

from dragoman.http.base import ConnectFailed, ReplyBroken, ReplyTooLarge, Request
from dragoman.http.heads import RequestHead, request_head
from dragoman.http.reasons import reason_of
from dragoman.http.syncdial import Patience, dial
from dragoman.http.synclink import SyncLink
from dragoman.http.syncpool import SyncPool
from dragoman.http.tls import FilePath, client_context

__all__ = ["BlockingTransport"]


class BlockingTransport:
    """May be shared by any number of threads.

    `max_connections` and `max_idle` are for each origin. A kept connection takes no further request after
    `idle_expiry_s` seconds of idleness, nor when it is `max_age_s` old. `ca_file` (PEM) is trusted besides the system's
    store, which SSL_CERT_FILE and SSL_CERT_DIR replace; `client_cert_file` is shown to servers that ask, its key is in
    the same file or in `client_key_file`. Raises ConfigError when a file cannot be used.

    A process that is forked from this one keeps none of the connections, and may use the transport with new ones.
    """

    def __init__(
        self,
        *,
        max_connections: int = 1000,
        max_idle: int = 100,
        idle_expiry_s: float = 60.0,
        max_age_s: float = math.inf,
        ca_file: FilePath | None = None,
        client_cert_file: FilePath | None = None,
        client_key_file: FilePath | None = None,
    ) -> None:
        self._idle_expiry_s = idle_expiry_s
        self._max_age_s = max_age_s
        self._tls: ssl.SSLContext | None = None  # without files of its own it is made for the first https request
        if ca_file is not None or client_cert_file is not None or client_key_file is not None:
            self._tls = client_context(
                ca_file=ca_file, client_cert_file=client_cert_file, client_key_file=client_key_file
            )
        self._pool = SyncPool(max_connections, max_idle=max_idle, kept_s=idle_expiry_s)
        _pools.add(self._pool)
        weakref.finalize(self, self._pool.retire)

    def send(self, request: Request) -> "_Reply":
        head = request_head(request)
        total_s = request.timeouts.total_s
        total_at = None if total_s is None else monotonic() + total_s
        link = self._take(request, head, total_at, fresh=False)
        try:
            return _exchange(link, request, head, total_at)
        except ReplyBroken:
            if not link.is_reused or link.connection.received:
                raise
        # A server may close an idle connection while a request is on its way there; see foreign.py for why a POST is
        # sent again too. Not on another kept connection, which may be as dead.
        link = self._take(request, head, total_at, fresh=True)
        return _exchange(link, request, head, total_at)

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- connecting --

    def _take(self, request: Request, head: RequestHead, total_at: float | None, *, fresh: bool) -> SyncLink:
        """A link that this thread has entered: one that was kept, unless `fresh`, or a new one.

        Raises ConnectFailed and the two time-outs.
        """
        pool = self._pool
        patience = Patience(head.name, request.timeouts.connect_s, total_at, lambda: pool.is_closed)
        return pool.acquire(head.origin, patience, fresh=fresh) or self._open(head, patience)

    def _open(self, head: RequestHead, patience: Patience) -> SyncLink:
        """A new connection, on a place that was taken."""
        scheme, host, port = head.origin
        link = SyncLink(head.name, head.origin, self._pool, kept_s=self._idle_expiry_s, max_age_s=self._max_age_s)
        self._pool.join(link)
        try:
            tls = self._context() if scheme == "https" else None
            link.attach(dial(host, port, patience), tls, patience)
        except BaseException as exc:
            link.abort()
            link.leave()
            if isinstance(exc, (OSError, UnicodeError)):  # ssl.SSLError is one; a name may be none that IDNA takes
                raise ConnectFailed(head.name, f"cannot connect: {reason_of(exc)}") from exc
            raise
        return link

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = client_context()
        return self._tls


def _exchange(link: SyncLink, request: Request, head: RequestHead, total_at: float | None) -> "_Reply":
    """On a link that this thread has entered, which it leaves. Raises TransportError."""
    is_over = False
    try:
        link.exchange(request, head, total_at)
        is_over = link.connection.is_drained
        return _Reply(link, request.timeouts.idle_s, is_ended=is_over)
    except BaseException:  # an error or KeyboardInterrupt
        link.abort()
        raise
    finally:
        link.leave(is_over=is_over)


class _Reply:
    """SyncResponse over a link; its own iterator of pieces."""

    __slots__ = ("_host", "_idle_s", "_is_ended", "_link", "_turn", "headers", "status")

    def __init__(self, link: SyncLink, idle_s: float | None, *, is_ended: bool) -> None:
        connection = link.connection
        self.status = connection.status
        self.headers = connection.headers
        self._host = connection.host
        self._idle_s = idle_s
        self._is_ended = is_ended  # the body is whole and was handed on
        self._link = link
        self._turn = link.turn

    @property
    def is_complete(self) -> bool:
        return self._is_ended

    def pieces(self) -> Iterator[bytes]:
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self._next()
        if piece is None:
            raise StopIteration
        return piece

    def read(self, limit_bytes: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while (piece := self._next()) is not None:
            size += len(piece)
            if size > limit_bytes:
                self.close()
                raise ReplyTooLarge(self._host, f"the reply is larger than {limit_bytes} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        self._link.let_go(self._turn)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self) -> bytes | None:
        """The next piece, None at the end. What has arrived is there without a wait."""
        if self._is_ended:
            return None
        link = self._link
        link.enter(self._turn)
        is_over = False
        try:
            piece = link.next_piece(self._idle_s)
            is_over = self._is_ended = piece is None or link.connection.is_drained
            return piece
        except BaseException:  # an error or KeyboardInterrupt
            link.abort()
            raise
        finally:
            link.leave(is_over=is_over)


_pools: "weakref.WeakSet[SyncPool]" = weakref.WeakSet()


def _abandon_all() -> None:
    for pool in list(_pools):
        pool.abandon()


if hasattr(os, "register_at_fork"):
    # At once rather than by the process's id at the next request: a child that holds its parent's sockets would keep
    # connections open that the parent has closed.
    os.register_at_fork(after_in_child=_abandon_all)
