"""The fast Transport: our own HTTP/1.1 over asyncio's streams of bytes, on any of its loops.

A small JSON exchange on a kept connection costs 17 us of CPU under uvloop, of which 8 are the loop's and the system's;
a stream of 60 chunks that come at once 24, of which 9 are theirs and 4 llhttp's. No proxies: where the environment
names one, `foreign.py` is used.
"""

import asyncio
import math
import socket
import ssl
from collections.abc import AsyncIterator, Callable

from dragoman.http.base import (
    ConnectFailed,
    ConnectTimeout,
    ReplyBroken,
    ReplyTooLarge,
    Request,
    TotalTimeout,
    TransportError,
)
from dragoman.http.dial import dial
from dragoman.http.heads import Origin, RequestHead, request_head
from dragoman.http.link import ONE_WRITE_BYTES, Link
from dragoman.http.pool import Pool
from dragoman.http.reasons import reason_of
from dragoman.http.tls import FilePath, client_context

__all__ = ["FastTransport"]

ORIGINS = 64  # from here on, pools without a connection are dropped


class FastTransport:
    """Belongs to the event loop of its first request.

    `max_connections` and `max_idle` are for each origin. A kept connection is closed after `idle_expiry_s` seconds of
    idleness, and takes no further request when it is `max_age_s` old. `ca_file` (PEM) is trusted besides the
    system's store, which SSL_CERT_FILE and SSL_CERT_DIR replace; `client_cert_file` is shown to servers that ask, its
    key is in the same file or in `client_key_file`. Raises ConfigError when a file cannot be used.
    """

    def __init__(
        self,
        *,
        max_connections: int = 10_000,
        max_idle: int = 100,
        idle_expiry_s: float = 60.0,
        max_age_s: float = math.inf,
        ca_file: FilePath | None = None,
        client_cert_file: FilePath | None = None,
        client_key_file: FilePath | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._max_idle = max_idle
        self._idle_expiry_s = idle_expiry_s
        self._max_age_s = max_age_s
        self._tls: ssl.SSLContext | None = None  # without files of its own it is made for the first https request
        if ca_file is not None or client_cert_file is not None or client_key_file is not None:
            self._tls = client_context(
                ca_file=ca_file, client_cert_file=client_cert_file, client_key_file=client_key_file
            )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._pools: dict[Origin, Pool[Link]] = {}
        self._links: set[Link] = set()
        self._connecting: set[asyncio.Timeout] = set()

    async def send(self, request: Request) -> "_Reply":
        head = request_head(request)
        if self._is_closed:
            raise ConnectFailed(head.name, "the transport has been closed")
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()  # not each time: it asks for the process's id (1 us)
        now = loop.time()
        total_s = request.timeouts.total_s
        total_at = None if total_s is None else now + total_s
        pool = self._pools.get(head.origin)
        link = None if pool is None else pool.take_idle(now)
        is_again = False
        while True:
            if link is None:
                link = await self._connect(request, head, total_at, fresh=is_again)
            else:
                link.begin(request.method)
            try:
                link.total_at = total_at
                if len(request.body) <= ONE_WRITE_BYTES and not head.awaits_continue:
                    link.write(head.data + request.body)
                else:
                    await link.send(head, request.body, request.timeouts.write_s)
                if link.is_full:
                    await link.drain(request.timeouts.write_s)
                # The wait for the head stands here, not in a coroutine of its own: each costs 0.3 us.
                connection = link.connection
                first_byte_s = request.timeouts.first_byte_s
                until = None if first_byte_s is None else loop.time() + first_byte_s
                while not connection.status:
                    if connection.error is not None:
                        raise connection.error
                    await link.wait_for_head(first_byte_s, until)
                return _Reply(link, request.timeouts.idle_s)
            except BaseException as exc:
                is_stale = link.is_reused and not link.connection.received and isinstance(exc, ReplyBroken)
                link.abort()
                if not is_stale or request.is_sent_once:
                    raise
            # A server may close an idle connection while a request is on its way there; see foreign.py for why a POST
            # is sent again too. Not on another kept connection, which may be as dead: so this happens once.
            link, is_again = None, True

    async def aclose(self) -> None:
        self.abort()
        await asyncio.sleep(0)  # the loop closes sockets one turn later

    def abort(self) -> None:
        """As `aclose`, without waiting for the sockets."""
        self._is_closed = True
        for deadline in self._connecting:
            if not deadline.expired():
                deadline.reschedule(0)
        for link in list(self._links):
            link.abort()

    def abandon(self) -> None:
        """Nobody will send any more: idle connections are closed; a reply that is being read may end."""
        for pool in self._pools.values():
            pool.keep_none()

    def another(self) -> "FastTransport":
        """One with the same settings and trust, and no connection: for another event loop."""
        new = FastTransport(
            max_connections=self._max_connections,
            max_idle=self._max_idle,
            idle_expiry_s=self._idle_expiry_s,
            max_age_s=self._max_age_s,
        )
        new._tls = self._tls
        return new

    # -- connecting --

    async def _connect(self, request: Request, head: RequestHead, total_at: float | None, *, fresh: bool) -> Link:
        """A connection that was kept, unless `fresh`, or a new one. Raises ConnectFailed and the two time-outs."""
        if self._is_closed:
            raise ConnectFailed(head.name, "the transport has been closed")
        connect_s = request.timeouts.connect_s
        until = None if connect_s is None else asyncio.get_running_loop().time() + connect_s
        if total_at is not None and (until is None or total_at < until):
            until = total_at
        deadline = asyncio.timeout_at(until)
        try:
            async with deadline:
                self._connecting.add(deadline)
                return await self._acquire(request.method, head, fresh=fresh)
        except TimeoutError as exc:
            raise self._connect_failure(exc, head, deadline, connect_s, until == total_at) from exc
        except (OSError, UnicodeError) as exc:  # ssl.SSLError is an OSError; a name may be none that IDNA takes
            raise ConnectFailed(head.name, f"cannot connect: {reason_of(exc)}") from exc
        finally:
            self._connecting.discard(deadline)

    def _connect_failure(
        self, exc: TimeoutError, head: RequestHead, deadline: asyncio.Timeout, connect_s: float | None, is_total: bool
    ) -> TransportError:
        if self._is_closed:
            return ConnectFailed(head.name, "the transport was closed before the reply began")
        if not deadline.expired():  # the system's own
            return ConnectFailed(head.name, f"cannot connect: {reason_of(exc)}")
        if is_total:
            return TotalTimeout(head.name, "the whole exchange took longer than it may")
        return ConnectTimeout(head.name, f"no connection within {connect_s} s")

    async def _acquire(self, method: str, head: RequestHead, *, fresh: bool) -> Link:
        pool = self._pools.get(head.origin)
        if pool is None:
            if len(self._pools) >= ORIGINS:
                self._pools = {origin: pool for origin, pool in self._pools.items() if not pool.is_empty}
            pool = self._pools[head.origin] = Pool(self._max_connections, max_idle=self._max_idle)
        if not pool.take_place():
            link = await pool.wait()
            if link is not None:
                if not fresh and link.is_fit(asyncio.get_running_loop().time()):
                    link.begin(method)
                    return link
                link.abort()
                return await self._acquire(method, head, fresh=fresh)
        return await self._open(method, head, pool)

    async def _open(self, method: str, head: RequestHead, pool: Pool[Link]) -> Link:
        """A new connection, on a place that was taken."""
        scheme, host, port = head.origin
        link = Link(
            head.name, pool, kept_s=self._idle_expiry_s, max_age_s=self._max_age_s, on_close=self._links.discard
        )
        link.begin(method)
        self._links.add(link)
        try:
            tls = await self._context() if scheme == "https" else None
            await _attach(await dial(host, port), link, tls, host)
            if link.is_closed:
                raise ConnectionResetError("closed as soon as it was made")
        except BaseException:
            link.abort()
            raise
        return link

    async def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = await asyncio.to_thread(client_context)  # 20 ms
        return self._tls


async def _attach(sock: socket.socket, link: Link, tls: ssl.SSLContext | None, host: str) -> None:
    """Give `sock` to the loop and `link`, after the handshake of `tls`; closes it when that fails or is cancelled."""
    loop = asyncio.get_running_loop()
    plain: asyncio.Transport | None = None
    try:
        if tls is None or not isinstance(loop, asyncio.BaseEventLoop):
            name = None if tls is None else host
            await loop.create_connection(lambda: link, sock=sock, ssl=tls, server_hostname=name)
            return
        # asyncio (3.11) leaves the socket of a `create_connection` with TLS open for a minute when that is cancelled
        # before the handshake's first byte. Its `start_tls` does not; uvloop's misses what was said before it.
        plain, _ = await loop.create_connection(_Unread, sock=sock)
        secure = await loop.start_tls(plain, link, tls, server_hostname=host)
        if secure is None:
            raise ConnectionResetError("closed during the handshake")
        link.connection_made(secure)
    except BaseException:
        if plain is not None:
            plain.abort()
        sock.close()
        raise


class _Unread(asyncio.Protocol):
    """Leaves what the other side says to the TLS that comes next."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.pause_reading()


class _Reply:
    """Response over a link; its own iterator of pieces. A body that came with its head lets go of the link at once."""

    __slots__ = ("_host", "_idle_s", "_is_ended", "_link", "_whole", "headers", "status")

    def __init__(self, link: Link, idle_s: float | None) -> None:
        connection = link.connection
        self.status = connection.status
        self.headers = connection.headers
        self._host = connection.host
        self._idle_s = idle_s
        self._is_ended = False  # the body is whole and was handed on
        self._link: Link | None = link  # None: let go of
        self._whole = connection.take_whole()  # all of the body, until it is handed on
        if self._whole is not None:
            self._is_ended = not self._whole
            self._link = None
            link.release()

    @property
    def is_complete(self) -> bool:
        return self._is_ended

    def pieces(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next piece. What has arrived is there without a wait."""
        if self._whole:
            return self._all()
        link = self._link
        if link is None:
            if self._is_ended:
                raise StopAsyncIteration
            raise ReplyBroken(self._host, "the reply was closed before its end was read")
        connection = link.connection
        try:
            while True:
                if link.total_at is not None:
                    link.check_total()
                piece = connection.take()
                if piece != b"":
                    break
                await link.wait_for_body(self._idle_s)
                if self._link is None:
                    raise ReplyBroken(self._host, "the reply was closed while it was read")
        except BaseException:  # an error or a cancellation
            self._link = None
            link.abort()
            raise
        if piece is None or connection.is_drained:
            self._is_ended = True
            self._link = None
            link.release()
        else:
            link.go_on()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def forward(self, take: Callable[[bytes], bool]) -> None:
        """Give pieces to `take` in the very step in which they come, where a task that waits for each costs three times
        as much. Ends when `take` says no, or before what only `__anext__` can tell: the last piece, the end, a failure.
        Raises what `take` raises, which gives the reply up, and IdleTimeout and TotalTimeout."""
        link = self._link
        if link is None or not link.connection.is_flowing:
            return
        try:
            if link.total_at is not None:
                link.check_total()
            piece = link.connection.take()
            if not piece or take(piece):
                await link.forward(take, self._idle_s)
        except BaseException:
            self._link = None
            link.abort()
            raise

    async def read(self, limit_bytes: int) -> bytes:
        if self._whole and len(self._whole) <= limit_bytes:
            return self._all()
        pieces: list[bytes] = []
        size = 0
        async for piece in self:
            size += len(piece)
            if size > limit_bytes:
                await self.aclose()
                raise ReplyTooLarge(self._host, f"the reply is larger than {limit_bytes} bytes")
            if self._is_ended and not pieces:
                return piece
            pieces.append(piece)
        return b"".join(pieces)

    async def aclose(self) -> None:
        self._whole = None
        link = self._link
        if link is not None:
            self._link = None
            if link.connection.discard():
                link.release()
            else:
                link.abort()

    def _all(self) -> bytes:
        whole, self._whole, self._is_ended = self._whole, None, True
        assert whole is not None
        return whole
