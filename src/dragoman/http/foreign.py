"""The Transport over httpx2: proxies and the system's trust store come from there.

httpx2 is imported when a transport is built, not with this module: it takes 80 ms (`python -X importtime`).
Read in its sources (2.16) and httpcore2's, and why things here are as they are:

- Its read time-out is for each read and is the same for headers and body; its connect time-out starts anew for TCP,
  for TLS and for the wait in the pool. So its own are off, and one `asyncio.timeout` is moved from phase to phase.
- It tells a `trace` callback where a request stands, and hands over each new network stream. What it does not tell
  is whether any byte of the reply was seen, which decides about sending again: `_watch` counts at the stream.
- A TLS handshake that is cancelled leaves its socket open; `_Exchange.abandon` closes it.
- Bytes behind a reply stay in the connection's buffer. A whole reply there would answer the next request, see
  `_Exchange.is_stale`; less than that breaks the next request, which cannot be helped from here.
- It logs each URL, with the query, at INFO; set to WARNING here.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Coroutine, Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from dragoman.errors import ConfigError
from dragoman.http.base import (
    ConnectFailed,
    ConnectTimeout,
    FirstByteTimeout,
    IdleTimeout,
    ReplyBroken,
    ReplyTooLarge,
    Request,
    RequestInvalid,
    SendTimeout,
    TimedOut,
    TotalTimeout,
    TransportError,
    host_of,
    request_headers,
)
from dragoman.http.inflate import Inflate
from dragoman.http.reasons import reason_of
from dragoman.http.tls import FilePath, add_files

if TYPE_CHECKING:
    import httpcore2
    import httpx2

__all__ = ["HttpxTransport"]

WRITE_BYTES = 256 * 1024  # the request's body is written in such pieces, each with `write_s` of its own
HEAD_LIMIT_BYTES = 256 * 1024  # of all 1xx replies and the final headers; a single header block may have 100 KiB
EARLY_S = 0.002  # a timer may ring so much before its time: uvloop counts in whole milliseconds


class HttpxTransport:
    """Transport over httpx2.AsyncClient; belongs to the event loop of its first request.

    `max_idle` kept-alive connections are held for `idle_expiry_s` seconds; each costs every request a look at its
    socket (3 us). `ca_file` (PEM) is trusted besides the system's store, which SSL_CERT_FILE and SSL_CERT_DIR
    replace; `client_cert_file` is shown to servers that ask, its key is in the same file or in `client_key_file`.
    `trust_env` honours SSL_CERT_* and HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.
    Raises ConfigError when a file or a proxy address cannot be used.
    """

    def __init__(
        self,
        *,
        max_connections: int = 1000,
        max_idle: int = 100,
        idle_expiry_s: float = 60.0,
        ca_file: FilePath | None = None,
        client_cert_file: FilePath | None = None,
        client_key_file: FilePath | None = None,
        trust_env: bool = True,
    ) -> None:
        import httpx2

        logger = logging.getLogger("httpx2")
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
        self._tls = _tls_context(ca_file, client_cert_file, client_key_file, trust_env=trust_env)
        self._trust_env = trust_env
        self._is_closed = False
        self._exchanges: set[_Exchange] = set()  # whose reply has not begun
        self._pooled = self._client(
            httpx2.Limits(
                max_connections=max_connections,
                max_keepalive_connections=max_idle,
                keepalive_expiry=idle_expiry_s,
            )
        )
        # What is sent again must not meet the next dead connection of the same pool: this one keeps none.
        self._unpooled = self._client(httpx2.Limits(max_connections=max_connections, max_keepalive_connections=0))

    def _client(self, limits: "httpx2.Limits") -> "httpx2.AsyncClient":
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx2

        try:
            return httpx2.AsyncClient(  # its jar would fill up, though none of our requests looks into it
                verify=self._tls,
                limits=limits,
                timeout=None,
                trust_env=self._trust_env,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            )
        except (ValueError, ImportError, httpx2.InvalidURL) as exc:
            raise ConfigError(f"the proxy settings in the environment cannot be used: {exc}") from exc

    async def send(self, request: Request) -> "_Reply":
        total_s = request.timeouts.total_s
        total_at = None if total_s is None else asyncio.get_running_loop().time() + total_s
        exchange = _Exchange(request, total_at)
        try:
            return await self._attempt(exchange, self._pooled)
        except ReplyBroken:
            if not exchange.is_stale or request.is_sent_once:
                raise
        # A server may close an idle connection while a request is on its way there: nothing was read, and no byte
        # comes back. Every browser sends again then, a POST too. RFC 9110, section 9.2.2 would rather not, because a
        # server that read the request and died looks the same; that is rare, and costs a provider's call, not data.
        return await self._attempt(_Exchange(request, total_at), self._unpooled)

    async def aclose(self) -> None:
        self._is_closed = True
        for exchange in self._exchanges:  # httpcore2 would let those go on that are still connecting
            exchange.end()
        await self._pooled.aclose()
        await self._unpooled.aclose()

    async def _attempt(self, exchange: "_Exchange", client: "httpx2.AsyncClient") -> "_Reply":
        import httpx2

        if self._is_closed:
            raise ConnectFailed(exchange.host, "the transport has been closed")
        foreign = _foreign_request(exchange)
        listening = _listening.set(exchange)
        try:
            async with asyncio.timeout_at(exchange.until(exchange.timeouts.connect_s)) as exchange.deadline:
                self._exchanges.add(exchange)
                response = await client.send(foreign, stream=True)
        except BaseException as exc:
            await exchange.abandon()
            if isinstance(exc, (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL)):
                raise exchange.failure(exc) from exc
            raise
        finally:
            self._exchanges.discard(exchange)
            _listening.reset(listening)
        if exchange.is_stale:
            await _to_its_end(response.aclose())
            raise ReplyBroken(exchange.host, "had already sent a reply to no request")
        return _Reply(exchange, response)


def _tls_context(
    ca_file: FilePath | None,
    client_cert_file: FilePath | None = None,
    client_key_file: FilePath | None = None,
    *,
    trust_env: bool,
) -> ssl.SSLContext:
    import httpx2

    context = httpx2.create_ssl_context(trust_env=trust_env)
    add_files(context, ca_file=ca_file, client_cert_file=client_cert_file, client_key_file=client_key_file)
    return context


def _foreign_request(exchange: "_Exchange") -> "httpx2.Request":
    import httpx2

    request = exchange.request
    headers = request_headers(request)  # made here: a client's build_request would add httpx2's own
    try:
        return httpx2.Request(
            request.method,
            request.url,
            headers=headers,
            content=exchange.upload() if request.body else None,
            extensions={"timeout": {}, "trace": exchange.trace},
        )
    except httpx2.InvalidURL as exc:
        raise RequestInvalid(exchange.host, "the URL cannot be read") from exc


# -- one attempt ---------------------------------------------------------------------------------------------------


class _Exchange:
    """One attempt: which phase it is in, when that must be over, and what has come back."""

    def __init__(self, request: Request, total_at: float | None) -> None:
        self.request = request
        self.host = host_of(request.url)
        self.timeouts = request.timeouts
        self.total_at = total_at  # the loop's time
        self.deadline: asyncio.Timeout | None = None
        self._phase = "connect"  # then "send", "wait"
        self._connecting: list[httpcore2.AsyncNetworkStream] = []
        self._is_reused = True  # until a connection is made for it
        self._is_ended = False
        self._heard = 0  # bytes of the reply's head, and what came with them

    @property
    def is_stale(self) -> bool:
        """Is it sent on a kept-alive connection that gave not one byte since?

        Such a connection was closed by the other side in the meantime. Or a reply was parsed all the same: out of
        bytes that came behind the reply before, and is not the answer to this request.
        """
        return self._is_reused and self._phase != "connect" and not self._heard and not self._is_ended

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore2's hook; `event` is "layer.step.started", ".complete" or ".failed"."""
        step = event.partition(".")[2]
        if step == "connect_tcp.started":
            self._is_reused = False
        elif step in ("connect_tcp.complete", "start_tls.complete"):
            self._connecting.append(info["return_value"])
            _watch(info["return_value"])
        elif step == "send_request_headers.started" and not _asks_for_tunnel(info):
            self._enter("send")
        elif step == "receive_response_headers.started" and not _asks_for_tunnel(info):
            self._enter("wait")

    async def upload(self) -> AsyncIterator[bytes]:
        body = self.request.body
        for start in range(0, len(body), WRITE_BYTES):
            self._enter("send")
            yield body[start : start + WRITE_BYTES]

    def hear(self, count: int) -> None:
        """Count `count` bytes of the reply's head. Raises httpcore2.RemoteProtocolError when it has no end."""
        import httpcore2

        self._heard += count
        if self._heard > HEAD_LIMIT_BYTES:
            raise httpcore2.RemoteProtocolError("Too many informational replies")

    def until(self, limit_s: float | None) -> float | None:
        """The loop's time at which a wait that begins now has lasted too long."""
        at = None if limit_s is None else asyncio.get_running_loop().time() + limit_s
        return at if self.total_at is None or (at is not None and at < self.total_at) else self.total_at

    def is_over(self) -> bool:
        """Has the whole taken as long as it may?"""
        return self.total_at is not None and asyncio.get_running_loop().time() >= self.total_at - EARLY_S

    def end(self) -> None:
        """The transport is being closed: wait no longer."""
        self._move_deadline(0)
        self._is_ended = True

    async def abandon(self) -> None:
        """Close what was being connected."""
        if self._phase == "connect":
            for stream in self._connecting:
                await stream.aclose()

    def failure(self, exc: Exception) -> TransportError:
        """What to raise for `exc`, of httpx2 or of our own deadline."""
        import httpx2

        if self._is_ended:
            kind = ConnectFailed if self._phase == "connect" else ReplyBroken
            return kind(self.host, "the transport was closed before the reply began")
        if isinstance(exc, (TimeoutError, httpx2.TimeoutException)):
            return self._timed_out()
        if isinstance(exc, (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol)):
            return RequestInvalid(self.host, f"the request cannot be written as HTTP: {reason_of(exc)}")
        if self._phase == "connect":
            return ConnectFailed(self.host, f"cannot connect: {reason_of(exc)}")
        if "disconnected without" in str(exc) or isinstance(exc, httpx2.NetworkError):
            where = "in the middle of the reply's headers" if self._heard else "before the reply began"
            return ReplyBroken(self.host, f"closed the connection {where}")
        return ReplyBroken(self.host, f"sent what is not an HTTP reply: {reason_of(exc)}")

    def _timed_out(self) -> TimedOut:
        if self.is_over():
            return TotalTimeout(self.host, "the whole exchange took longer than it may")
        if self._phase == "connect":
            return ConnectTimeout(self.host, f"no connection within {self.timeouts.connect_s} s")
        if self._phase == "send":
            return SendTimeout(self.host, f"has taken nothing of the request for {self.timeouts.write_s} s")
        return FirstByteTimeout(self.host, f"no reply within {self.timeouts.first_byte_s} s of the request")

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._move_deadline(self.timeouts.write_s if phase == "send" else self.timeouts.first_byte_s)

    def _move_deadline(self, limit_s: float | None) -> None:
        """To `limit_s` from now, unless it has been reached."""
        if self.deadline is not None and not self.deadline.expired() and not self._is_ended:
            self.deadline.reschedule(self.until(limit_s))


def _asks_for_tunnel(info: Mapping[str, Any]) -> bool:
    return bool(info["request"].method == b"CONNECT")  # said to a proxy: belongs to connecting


# The attempt whose reply's head is being read by this task: streams outlive attempts, and httpcore2 tells of a kept
# one to nobody.
_listening: ContextVar[_Exchange | None] = ContextVar("dragoman_http_exchange", default=None)


def _watch(stream: "httpcore2.AsyncNetworkStream") -> None:
    """Have `stream.read` count for the attempt that reads, for as long as the stream lives."""
    read = stream.read

    async def counted(max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 (httpcore2's signature)
        data = await read(max_bytes, timeout)
        if (exchange := _listening.get()) is not None:
            exchange.hear(len(data))
        return data

    stream.read = counted  # type: ignore[method-assign]


# -- the reply -----------------------------------------------------------------------------------------------------


class _Reply:
    """Response over an httpx2.Response; its own iterator of pieces."""

    def __init__(self, exchange: _Exchange, response: "httpx2.Response") -> None:
        assert isinstance(response.stream, AsyncIterable)
        self.status = response.status_code
        self.headers = [
            (name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw
        ]
        self._host = exchange.host
        self._exchange = exchange
        self._idle_s = exchange.timeouts.idle_s
        self._response = response
        # Not aiter_raw(), which closes the response by itself, and is cancelled in the middle of that.
        self._raw = aiter(response.stream)
        self._count = 0  # bytes of the body as sent
        self._is_reading = False
        self._is_closed = False
        self._is_ended = False
        self._inflate: Inflate | None = None
        self._unpacked: Iterator[bytes] = iter(())
        if encoding := _encoding_of(self.headers):
            self._inflate = Inflate(encoding, self._host)
            self.headers = [h for h in self.headers if h[0] not in ("content-encoding", "content-length")]

    @property
    def is_complete(self) -> bool:
        return self._is_ended

    def pieces(self) -> AsyncIterator[bytes]:
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._next()
        except BaseException:  # an error, a cancellation or the end: each lets go of the connection
            await self.aclose()
            raise

    async def read(self, limit_bytes: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for piece in self:
            size += len(piece)
            if size > limit_bytes:
                await self.aclose()
                raise ReplyTooLarge(self._host, f"the reply is larger than {limit_bytes} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        await _to_its_end(self._close())

    async def _close(self) -> None:
        if not self._is_reading and isinstance(self._raw, AsyncGenerator):
            await self._raw.aclose()  # else a chain of suspended generators is left to the garbage collector
        await self._response.aclose()

    async def _next(self) -> bytes:
        while True:
            for piece in self._unpacked:
                return piece
            raw = await self._next_raw()
            if self._inflate is None:
                return raw
            self._unpacked = self._inflate.feed(raw)

    async def _next_raw(self) -> bytes:
        import httpx2

        if self._is_ended:
            raise StopAsyncIteration
        if self._is_closed:
            raise ReplyBroken(self._host, "the reply was closed before its end was read")
        self._is_reading = True
        try:
            async with asyncio.timeout_at(self._exchange.until(self._idle_s)):
                raw = await anext(self._raw)
        except StopAsyncIteration:
            if self._inflate is not None:
                self._inflate.finish()
            self._is_ended = True
            raise
        except TimeoutError as exc:
            if self._exchange.is_over():
                raise TotalTimeout(self._host, "the whole exchange took longer than it may") from exc
            raise IdleTimeout(self._host, f"the reply stood still for {self._idle_s} s") from exc
        except httpx2.HTTPError as exc:
            raise self._broken(exc) from exc
        finally:
            self._is_reading = False
        self._count += len(raw)
        return raw

    def _broken(self, exc: "httpx2.HTTPError") -> ReplyBroken:
        import httpx2

        if self._is_closed:
            return ReplyBroken(self._host, "the reply was closed while it was read")
        if "peer closed" in str(exc) or isinstance(exc, httpx2.NetworkError):
            return ReplyBroken(self._host, f"broke off the reply after {self._count} bytes of its body")
        return ReplyBroken(self._host, f"sent a body that is not HTTP: {reason_of(exc)}")


async def _to_its_end(closing: Coroutine[None, None, None]) -> None:
    """Await `closing` whole, and only then be cancelled: it takes some turns of the loop, never the network.

    Cut in the middle, httpcore2 keeps the request, body and all, in the pool's list for good.
    """
    task = asyncio.create_task(closing)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None:
        raise cancelled
    task.result()


def _encoding_of(headers: list[tuple[str, str]]) -> str:
    encoding = ", ".join(value for name, value in headers if name == "content-encoding").strip().lower()
    return "" if encoding == "identity" else encoding
