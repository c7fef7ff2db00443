"""The HTTP/1.1 side of a connection: bytes to requests, one after another, each a task of the application.

Our own and not a server package's, for two reasons. What cannot be read as HTTP never reaches the application, so its
refusal is written here: the API's envelope, the same `request-id`, then the connection ends. And it is cheaper
(ARCHITECTURE.md). The parser is httptools', which is node's; what it lets through and we do not:

- An upgrade that is offered (JDK clients offer h2c with every first request) is declined, and the request answered.
- Heads, trailers and chunk extensions have a bound, and a head that never ends has a time.
- What a client pipelines has a bound too, but is read on, or its hang-up would not be seen.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

import httptools

from dragoman.errors import ApiError, HeadersTooLarge, InvalidRequest
from dragoman.gateway.ids import new_id
from dragoman.gateway.reply import error_answer
from dragoman.wire.headers import Headers

from .exchange import EXTENSION, HIGH_WATER_BYTES, Exchange, response_head

log = logging.getLogger("dragoman.server")

__all__ = ["KEEP_ALIVE_S", "App", "Connection", "Connections"]

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

KEEP_ALIVE_S = 75.0  # longer than clients (5 s in the SDKs) and load balancers keep theirs: so it is they who close
HEAD_LIMIT_BYTES = 256 * 1024  # of the request line and all headers; Claude Code's need about 2 KB
TARGET_LIMIT_BYTES = 65_535  # of path and query
WAITING_LIMIT = 16  # pipelined requests behind the one that is answered; hardly any client sends one
WAITING_BYTES = 64 * 1024  # of the body of each
VERSIONS = frozenset({"1.0", "1.1"})
REPEATED_BYTES = 8 * 1024  # of a head that is remembered in case that the connection's next request has it too
LENGTH_DIGITS = 18
NOT_HTTP = "Invalid HTTP request received."
ASGI = {"version": "3.0", "spec_version": "2.3"}


class Connections:
    """The connections of one server to `app`, and the requests that are at work. Call it for a new protocol."""

    def __init__(self, app: App, *, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self.app = app
        self.keep_alive_s = keep_alive_s
        self.open: set[Connection] = set()
        self.at_work: set[asyncio.Task[None]] = set()  # the workers of connections whose request is being answered
        self.is_leaving = False  # each connection ends behind the next reply, which says so
        self.is_finishing = False
        self.is_empty = asyncio.Event()  # set where the last connection is gone of a server that leaves

    def __call__(self) -> "Connection":
        return Connection(self)

    def leave(self) -> None:
        """Tell clients that their connections end, each with the next reply on it; so nobody has to find out.

        A reply that has begun cannot say it any more: there the one behind it does.
        """
        self.is_leaving = True
        for connection in self.open:
            connection.leave()
        self.note_lost()

    def close_idle(self) -> None:
        """End connections on which a request was answered and none is asked."""
        for connection in list(self.open):
            connection.close_idle()
        self.note_lost()

    def note_lost(self) -> None:
        if self.is_leaving and not self.open:
            self.is_empty.set()

    def finish(self) -> None:
        """Let requests at work end; take no others, nor connections that the system has taken already."""
        self.is_finishing = True
        for connection in list(self.open):
            connection.finish()

    def abort(self) -> None:
        for connection in list(self.open):
            connection.transport.abort()


class Connection(asyncio.Protocol):
    """One connection. `_running` is the request at work, `_newest` the one that is being read."""

    transport: asyncio.Transport

    def __init__(self, server: Connections) -> None:
        self.can_write = True
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._parser = self._new_parser()
        self._newest: Exchange | None = None
        self._running: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._next: Exchange | None = None  # for the worker to take up
        self._worker: asyncio.Task[None] | None = None
        self._rest: asyncio.Future[None] | None = None  # the worker's, while it has nothing to do
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0  # since the message began, or since the last piece of its body: so trailers count too
        self._is_in_head = True
        self._begun = 0  # requests; `_ended` of them have been read to their end
        self._ended = 0
        self._plain: dict[str, Any] | None = None  # the scope of the newest one, if nothing about it is unusual
        self._last: _Head | None = None
        self._is_deaf = False  # what else comes is thrown away
        self._is_closing = False
        self._is_reading = True
        self._written = 0
        self._taken = 0  # bytes, of those, that the client had when it was last looked
        self._drains: list[asyncio.Future[None]] = []
        self._idle_since = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    # -- the transport's callbacks --

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is one, or uvloop's
        self.transport = transport
        self._addresses = {
            "server": _address(transport.get_extra_info("sockname")),
            "client": _address(transport.get_extra_info("peername")),
        }
        self._server.open.add(self)
        self._timer = self._loop.call_later(self._server.keep_alive_s, self._look)
        if self._server.is_finishing:
            self._is_deaf = self._is_closing = True
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        begun = self._begun
        is_between = begun == self._ended
        if is_between and self._last is not None and self._is_repeated(data, self._last):
            return
        self._head_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:  # raised by our own callbacks too
            self._refuse(InvalidRequest(NOT_HTTP))
            return
        plain, self._plain = self._plain, None
        if self._head_bytes > HEAD_LIMIT_BYTES:
            self._refuse(HeadersTooLarge(f"The request's headers have more than {HEAD_LIMIT_BYTES} bytes."))
        elif is_between and plain is not None and self._begun == begun + 1:
            self._last = _known(data, plain)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.open.discard(self)
        self._server.note_lost()
        self._is_closing = True
        self._is_deaf = True
        self._last = None
        if self._timer is not None:
            self._timer.cancel()
        self.resume_writing()
        self._waiting.clear()
        if self._running is not None:
            self._running.hang_up()
        self._wake()

    def pause_writing(self) -> None:
        self.can_write = False

    def resume_writing(self) -> None:
        self.can_write = True
        for drain in self._drains:
            if not drain.done():
                drain.set_result(None)
        self._drains.clear()

    # -- what exchanges and the server ask for --

    def write(self, data: bytes) -> None:
        self._written += len(data)
        self.transport.write(data)

    async def drain(self) -> None:
        """Wait until the client takes more, or is gone."""
        drain = self._loop.create_future()
        self._drains.append(drain)
        await drain

    def resume_reading(self) -> None:
        if not self._is_reading and not self._is_closing:
            self._is_reading = True
            self.transport.resume_reading()

    def end(self, exchange: Exchange) -> None:
        """The reply is written: on to the next request, or to wait for one."""
        if not exchange.keeps:
            self.close()
        if self._is_closing:
            return
        self.resume_reading()
        if self._waiting:
            self._start(self._waiting.popleft())
        else:
            self._running = None
            self._idle_since = self._loop.time()

    def close(self) -> None:
        self._is_closing = True
        self._is_deaf = True
        self.transport.close()

    def leave(self) -> None:
        """Say with the next reply that the connection ends behind it."""
        for exchange in (self._running, *self._waiting):
            if exchange is not None and not exchange.has_begun:
                exchange.keeps = False
                return

    def close_idle(self) -> None:
        if self._running is None and self._begun:
            self.close()

    def finish(self) -> None:
        """Let the request at work end; those behind it were not begun."""
        self._waiting.clear()
        if self._running is None:
            self.close()
        else:
            self._running.keeps = False

    def _look(self) -> None:
        """Close a connection that is idle, and break one whose client takes nothing of what was written to it.

        One timer a connection, moved on when it fires: a request costs a look at the clock.
        """
        unsent = self.transport.get_write_buffer_size()
        taken = self._written - unsent
        if unsent and taken == self._taken:
            self.transport.abort()  # to close it would wait until all is out
            return
        self._taken = taken
        again_s = self._server.keep_alive_s
        if not unsent and self._running is None:
            again_s += self._idle_since - self._loop.time()
            if again_s <= 0:
                self.close()
                return
        self._timer = self._loop.call_later(again_s, self._look)

    # -- bytes in --

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # Else bytes behind a request with `connection: close` would cost it its reply.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _feed(self, data: bytes) -> None:
        """Offers of an upgrade are declined (RFC 9110, section 7.8: a server may ignore them).

        The parser takes such a request for the last one and skips its body, so the request is put before a new
        parser as it would be without the offer.
        """
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as stop:
                data = data[stop.args[0] :]
                head = self._head_without_upgrade()
                self._parser = self._new_parser()
                self._parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes:
        version = self._parser.get_http_version().encode()
        line = b"%b %b HTTP/%b\r\n" % (self._parser.get_method(), self._url, version)
        fields = [b"%b: %b\r\n" % field for field in self._headers if field[0] != b"upgrade"]
        return b"".join([line, *fields, b"\r\n"])

    def _is_repeated(self, data: bytes, last: "_Head") -> bool:
        """Is it one whole request, with the head of the one before it to the byte, but for the length of its body?
        Clients mostly send such, and then all that the parser would find is known: that takes a fifth of its time."""
        if self._running is not None or not data.startswith(last.before):
            return False
        end = data.find(b"\r", len(last.before), len(last.before) + LENGTH_DIGITS + 1)
        length = data[len(last.before) : end]
        start = end + len(last.after)
        if not (data.startswith(last.after, end) and length.isdigit() and int(length) == len(data) - start):
            return False
        headers = last.headers.copy()
        headers[last.length_at] = (b"content-length", length)
        exchange = Exchange(self, self._loop, {**last.scope, "headers": headers}, keeps=not self._server.is_leaving)
        exchange.headers = last.known.with_length(length)
        exchange.feed(data[start:])
        exchange.finish()
        self._start(exchange)
        return True

    # -- the parser's callbacks; what they raise comes out of `feed_data` as HttpParserError --

    def on_message_begin(self) -> None:
        self._is_in_head = True
        self._begun += 1
        self._plain = None
        self._head_bytes = 0
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if self._is_in_head:
            self._headers.append((name, value.rstrip(b" \t")))
        elif name == b"connection":  # the parser would heed it, and read no further
            raise ValueError("no field of a trailer")

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if self._parser.should_upgrade():
            if self._parser.get_method() == b"CONNECT":
                raise ValueError("no tunnels here")
            return
        self._newest = exchange = self._exchange()
        if self._running is None:
            self._start(exchange)
        else:
            self._waiting.append(exchange)
            if len(self._waiting) > WAITING_LIMIT:
                raise ValueError("too many requests at once")

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        exchange = self._newest
        if exchange is None or exchange.is_answered:
            return
        exchange.feed(body)
        if exchange is self._running:
            if exchange.size > HIGH_WATER_BYTES and self._is_reading:
                self._is_reading = False
                self.transport.pause_reading()
        elif exchange.size > WAITING_BYTES:
            raise ValueError("too much at once")

    def on_chunk_complete(self) -> None:
        self._head_bytes = 0

    def on_message_complete(self) -> None:
        exchange = self._newest
        if self._parser.should_upgrade():
            return
        self._ended = self._begun
        if exchange is None:
            return
        exchange.finish()
        self._newest = None

    # -- requests --

    def _scope(self) -> dict[str, Any]:
        """Raises ValueError and HttpParserInvalidURLError for a request that we do not take."""
        url, query = self._url, b""
        if len(url) > TARGET_LIMIT_BYTES:
            raise ValueError("the target is too long")
        if not url.startswith(b"/") or b"?" in url or b"#" in url:
            parsed = httptools.parse_url(url)
            url, query = parsed.path, parsed.query or b""
        version = self._parser.get_http_version()
        if version not in VERSIONS:
            raise ValueError("another version of HTTP")
        path = url.decode("ascii")
        return {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": url,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            **self._addresses,
        }

    def _exchange(self) -> Exchange:
        """Raises as `_scope` does."""
        scope = self._scope()
        is_old = scope["http_version"] == "1.0"
        keeps = not (is_old or self._server.is_leaving) and self._parser.should_keep_alive()
        exchange = Exchange(self, self._loop, scope, keeps=keeps)
        hosts = 0
        for name, value in self._headers:
            if name == b"expect":
                exchange.wants_leave = not is_old and value.lower() == b"100-continue"
            elif name == b"host":
                hosts += 1
        if hosts != 1 and not (is_old and hosts == 0):  # RFC 9112, section 3.2
            raise ValueError("not one host")
        if exchange.keeps and not exchange.wants_leave:
            self._plain = scope
        self._headers = []
        return exchange

    def _start(self, exchange: Exchange) -> None:
        self._running = self._next = exchange
        if self._worker is None:
            self._worker = self._loop.create_task(self._work())
        else:
            self._wake()
        self._server.at_work.add(self._worker)

    def _wake(self) -> None:
        if self._rest is not None and not self._rest.done():
            self._rest.set_result(None)

    async def _work(self) -> None:
        """Have the requests of this connection answered, one after another: a task for each would cost more."""
        worker = self._worker
        assert worker is not None
        try:
            while self._next is not None or not self._is_closing:
                if self._next is not None:
                    await self._answer(worker)
                    continue
                self._server.at_work.discard(worker)
                self._rest = self._loop.create_future()
                await self._rest
        finally:  # cancelled, too: then nobody would answer what comes next
            self._server.at_work.discard(worker)
            self.close()

    async def _answer(self, worker: "asyncio.Task[None]") -> None:
        """The application answers whatever comes, its own faults too: to leave a reply unfinished is one of ours."""
        exchange, self._next = self._next, None
        assert exchange is not None
        exchange.task = worker
        # The scope is handed over, not kept: it holds the exchange, and such circles only the collector opens.
        scope, exchange.scope = exchange.scope, {}
        scope["extensions"] = {EXTENSION: exchange}
        try:
            await self._server.app(scope, exchange.receive, exchange.send)
        except Exception:
            log.exception("a request failed outside the application's own handling")
        if not exchange.is_answered and not exchange.is_gone:
            self.close()

    def _refuse(self, error: ApiError) -> None:
        """Refuse what cannot be read, and close; but first let requests that came whole have their replies."""
        running = self._running
        if running is not None and running.is_whole:
            self._close_when_answered(running)
            return
        if running is None or not running.has_begun:
            self.write(_refusal(error))
        if running is not None:
            running.hang_up()  # what it waits for will not come, and nothing may be written behind the refusal
        self.close()

    def _close_when_answered(self, running: Exchange) -> None:
        """Throw away what else comes. A client that pipelines has to expect this (RFC 9112, section 9.3.2)."""
        if self._waiting and not self._waiting[-1].is_whole:
            self._waiting.pop()
        last = self._waiting[-1] if self._waiting else running
        last.keeps = False
        self._is_deaf = True
        self.resume_reading()


class _Head(NamedTuple):
    """A request's head, cut around the length of its body, and what was read in it. It holds a caller's key, so it is
    kept no longer than the connection that brought it."""

    before: bytes
    after: bytes  # from the line end behind the length to the empty line
    scope: dict[str, Any]
    headers: list[tuple[bytes, bytes]]
    length_at: int  # where in the headers
    known: Headers  # the same


_CUT = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: ([0-9]+)(?=\r\n)")


def _known(data: bytes, scope: dict[str, Any]) -> _Head | None:
    """The head that `data` begins with, and out of which the parser made `scope`; None if it is not worth knowing."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    end = data.find(b"\r\n\r\n", 0, REPEATED_BYTES) + 4
    cut = _CUT.search(data, 0, end)
    names = [name for name, _ in headers]
    is_plain = b"transfer-encoding" not in names and names.count(b"content-length") == 1
    if cut is None or not is_plain or data.count(b"\n", 0, end) != len(headers) + 2:  # folded lines, say
        return None
    before, after = data[: cut.start(1)], data[cut.end() : end]
    length_at = names.index(b"content-length")
    return _Head(before, after, scope.copy(), headers.copy(), length_at, Headers.from_bytes(headers))


def _address(name: Any) -> tuple[str, int] | None:
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else None


def _refusal(error: ApiError) -> bytes:
    request_id = new_id("req")
    answered = error_answer(error, request_id)
    fields = [
        *answered.headers,
        ("request-id", request_id),
        ("content-type", "application/json"),
        ("content-length", str(len(answered.body))),
        ("connection", "close"),
    ]
    return response_head(answered.status, ((name.encode(), value.encode()) for name, value in fields)) + answered.body
