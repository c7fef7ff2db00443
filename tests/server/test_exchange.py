"""One connection of the server, without the gateway behind it: what it reads, writes, holds back, and when it ends.

Most tests drive `Connection` over a transport that only notes what is asked of it, so each byte may come alone and a
client may be as slow as we like. What depends on the system's sockets runs on real ones.
"""

import asyncio
import gc
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from rawhttp import HELLO, Wire, json_bytes
from serving import Serving, wait_until

from dragoman.server.app import App
from dragoman.server.exchange import EXTENSION, HIGH_WATER_BYTES, Exchange
from dragoman.server.protocol import HEAD_LIMIT_BYTES, Connection, Connections

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
GET = b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def post_head(*fields: bytes, line: bytes = b"POST /p HTTP/1.1\r\n") -> bytes:
    return line + b"host: a\r\n" + b"".join(fields) + b"\r\n"


def post(body: bytes, *fields: bytes) -> bytes:
    return post_head(*fields, b"Content-Length: %d\r\n" % len(body)) + body


# -- applications ---------------------------------------------------------------------------------------------------


async def body_of(receive: Receive) -> bytes | None:
    """The whole body; None where the client left before its end."""
    pieces = []
    while (message := await receive())["type"] == "http.request":
        pieces.append(message["body"])
        if not message["more_body"]:
            return b"".join(pieces)
    return None


async def say(send: Send, body: bytes, *, status: int = 200) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    body = await body_of(receive)
    if body is not None:
        await say(send, b"%b %b?%b %b;" % (scope["method"].encode(), scope["raw_path"], scope["query_string"], body))


async def tell(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """All that an application is told of a request."""
    del scope["extensions"]
    await say(send, f"{sorted(scope.items())} {await body_of(receive)!r};".encode())


class Stepwise:
    """An application whose request is in the test's hands."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}
        self.receive: Receive
        self.send: Send
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.has_begun.set()
        await self.may_end.wait()

    @property
    def exchange(self) -> Exchange:
        exchange = self.scope["extensions"][EXTENSION]
        assert isinstance(exchange, Exchange)
        return exchange


# -- a transport of glass -------------------------------------------------------------------------------------------


class Glass(asyncio.Transport):
    """A transport that notes. With `is_stuck` the client takes no byte: what is written waits, past `high` bytes of it
    the connection is told to pause, and after `close` it still waits, as with asyncio's and uvloop's."""

    def __init__(self, connection: Connection) -> None:
        super().__init__({"sockname": ("127.0.0.1", 8000), "peername": ("127.0.0.1", 50_000)})
        self.connection = connection
        self.sent = b""  # what the client has
        self.unsent = b""
        self.high = 64 * 1024
        self.is_stuck = False
        self.reads = True
        self.is_closed = False
        self.is_lost = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        if self.is_lost or (self.is_closed and not self.unsent):
            return
        if not self.is_stuck:
            self.sent += data
            return
        self.unsent += data
        if len(self.unsent) > self.high:
            self.connection.pause_writing()

    def take(self, count: int | None = None) -> None:
        """The client takes so much of what waits."""
        taken, self.unsent = (self.unsent, b"") if count is None else (self.unsent[:count], self.unsent[count:])
        self.sent += taken
        if len(self.unsent) <= self.high // 4:
            self.connection.resume_writing()
        if self.is_closed and not self.unsent:
            self.lose()

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        assert self.reads
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.reads
        self.reads = True

    def close(self) -> None:
        self.is_closed = True
        if not self.unsent:
            asyncio.get_running_loop().call_soon(self.lose)

    def abort(self) -> None:
        self.is_closed = True
        self.unsent = b""
        asyncio.get_running_loop().call_soon(self.lose)

    def lose(self, error: Exception | None = None) -> None:
        if not self.is_lost:
            self.is_closed = self.is_lost = True
            self.connection.connection_lost(error)


class Line:
    """A connection over a `Glass`."""

    def __init__(self, app: Any, *, keep_alive_s: float = 75.0) -> None:
        self.server = Connections(app, keep_alive_s=keep_alive_s)
        self.connection = self.server()
        self.glass = Glass(self.connection)
        self.connection.connection_made(self.glass)

    def feed(self, data: bytes, *, step: int = 1 << 20) -> None:
        for start in range(0, len(data), step):
            self.connection.data_received(data[start : start + step])

    async def feed_in_turns(self, data: bytes, *, step: int = 1 << 20) -> None:
        """With a turn of the loop between pieces, and some behind the last."""
        for start in range(0, len(data), step):
            self.connection.data_received(data[start : start + step])
            await asyncio.sleep(0)
        await turns()

    @property
    def sent(self) -> bytes:
        return self.glass.sent

    @property
    def statuses(self) -> list[int]:
        return [int(part[:3]) for part in self.sent.split(b"HTTP/1.1 ")[1:]]


async def turns(count: int = 12) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@asynccontextmanager
async def on_glass(app: Any, **options: Any) -> AsyncIterator[Line]:
    """Leaving it hangs up, and looks that no task is left."""
    before = asyncio.all_tasks()
    line = Line(app, **options)
    try:
        yield line
    finally:
        line.glass.lose()
        await turns()
        left = asyncio.all_tasks() - before
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
    assert not line.server.at_work
    assert not line.server.open


@asynccontextmanager
async def on_sockets(app: Any, **options: Any) -> AsyncIterator[tuple[Connections, str]]:
    server = Connections(app, **options)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    try:
        yield server, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        server.abort()
        await wait_until(lambda: not server.open)


# -- framing --------------------------------------------------------------------------------------------------------

ABC = b"3\r\nabc\r\n0\r\n\r\n"
ILLEGAL = {
    "two lengths": post_head(b"content-length: 3\r\n", b"content-length: 4\r\n") + b"abcd",
    "equal lengths": post_head(b"content-length: 3\r\n", b"content-length: 3\r\n") + b"abc",
    "list of lengths": post_head(b"content-length: 3, 3\r\n") + b"abc",
    "empty length": post_head(b"content-length: \r\n") + b"abc",
    "length with an underscore": post_head(b"content-length: 1_0\r\n") + b"a" * 10,
    "two numbers": post_head(b"content-length: 3 0\r\n") + b"abc",
    "length, chunked": post_head(b"content-length: 3\r\n", CHUNKED) + ABC,
    "chunked, length": post_head(CHUNKED, b"content-length: 3\r\n") + ABC,
    "length before colon": post_head(b"content-length : 3\r\n") + b"abc",
    "coding before colon": post_head(b"transfer-encoding : chunked\r\n") + ABC,
    "tab before colon": post_head(b"transfer-encoding\t: chunked\r\n") + ABC,
    "chunked twice": post_head(b"transfer-encoding: chunked, chunked\r\n") + ABC,
    "chunked in two fields": post_head(CHUNKED, CHUNKED) + ABC,
    "chunked, then another": post_head(CHUNKED, b"transfer-encoding: gzip\r\n") + ABC,
    "identity": post_head(b"transfer-encoding: identity\r\n", b"content-length: 3\r\n") + b"abc",
    "xchunked": post_head(b"transfer-encoding: xchunked\r\n") + ABC,
    "chunkedx": post_head(b"transfer-encoding: chunkedx\r\n") + ABC,
    "chunked with a parameter": post_head(b"transfer-encoding: chunked;a=b\r\n") + ABC,
    "quoted chunked": post_head(b'transfer-encoding: "chunked"\r\n') + ABC,
    "vertical tab": post_head(b"transfer-encoding:\x0bchunked\r\n") + ABC,
    "empty coding": post_head(b"transfer-encoding: \r\n", b"content-length: 3\r\n") + b"abc",
    "folded coding": post_head(b"transfer-encoding:\r\n chunked\r\n") + ABC,
    "folded length": post_head(b"content-length:\r\n 3\r\n") + b"abc",
    "folded value": post_head(b"x: a\r\n\tb\r\n"),
    "folded first line": b"GET / HTTP/1.1\r\n x: a\r\n\r\n",
    "bare LF behind the line": b"GET / HTTP/1.1\nhost: a\r\n\r\n",
    "bare LF behind a field": b"GET / HTTP/1.1\r\nhost: a\nx: b\r\n\r\n",
    "bare LF at the end": b"GET / HTTP/1.1\r\nhost: a\r\n\n",
    "bare CR": b"GET / HTTP/1.1\r\nhost: a\rx: b\r\n\r\n",
    "two CR": b"GET / HTTP/1.1\r\nhost: a\r\r\n\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\nho\x00st: a\r\n\r\n",
    "space before the size": post_head(CHUNKED) + b" 3\r\nabc\r\n0\r\n\r\n",
    "space behind the size": post_head(CHUNKED) + b"3 \r\nabc\r\n0\r\n\r\n",
    "size in C": post_head(CHUNKED) + b"0x3\r\nabc\r\n0\r\n\r\n",
    "size with a sign": post_head(CHUNKED) + b"+3\r\nabc\r\n0\r\n\r\n",
    "size with an underscore": post_head(CHUNKED) + b"0_3\r\nabc\r\n0\r\n\r\n",
    "size with a letter": post_head(CHUNKED) + b"3g\r\nabc\r\n0\r\n\r\n",
    "size that wraps": post_head(CHUNKED) + b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "LF behind the size": post_head(CHUNKED) + b"3\nabc\r\n0\r\n\r\n",
    "LF behind an extension": post_head(CHUNKED) + b"3;a\nabc\r\n0\r\n\r\n",
    "CR in an extension": post_head(CHUNKED) + b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "LF behind a chunk": post_head(CHUNKED) + b"3\r\nabc\n0\r\n\r\n",
    "nothing behind a chunk": post_head(CHUNKED) + b"3\r\nabc0\r\n\r\n",
    "more behind a chunk": post_head(CHUNKED) + b"3\r\nabcXX0\r\n\r\n",
    "LF at the end of chunks": post_head(CHUNKED) + b"0\r\n\n",
    "trailer without a colon": post_head(CHUNKED) + b"0\r\nx\r\n\r\n",
    "folded trailer": post_head(CHUNKED) + b"0\r\nx: a\r\n b\r\n\r\n",
    "a length in the trailers": post_head(CHUNKED) + b"3\r\nabc\r\n0\r\ncontent-length: 50\r\n\r\n",
    "a coding in the trailers": post_head(CHUNKED) + b"3\r\nabc\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
    "upgrade, two lengths": post_head(
        b"connection: upgrade\r\nupgrade: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n"
    ),
    "upgrade, length, chunked": post_head(b"connection: upgrade\r\nupgrade: x\r\ncontent-length: 3\r\n", CHUNKED),
    "no version": b"GET /next HTTP/\r\nhost: a\r\n\r\n",
    "version in small": b"GET /next http/1.1\r\nhost: a\r\n\r\n",
}


@pytest.mark.parametrize("step", [1, 1 << 20])
@pytest.mark.parametrize("name", ILLEGAL)
async def test_an_illegal_framing_is_refused_once_and_ends_the_connection(name: str, step: int) -> None:
    """RFC 9112, sections 2.2, 5.1, 5.2, 6.1, 6.3, 7.1. What follows is never taken for a request."""
    async with on_glass(echo) as line:
        await line.feed_in_turns(ILLEGAL[name] + GET * 2, step=step)
        assert line.statuses == [400]
        assert b"connection: close\r\n" in line.sent
        assert line.glass.is_closed


CL3 = b"content-length: 3\r\n"
LEGAL = {
    "length": (post_head(CL3) + b"abc", [b"POST /p? abc;"]),
    "length 003": (post_head(b"content-length: 003\r\n") + b"abc", [b"POST /p? abc;"]),
    "space around the length": (post_head(b"content-length: \t3 \t\r\n") + b"abc", [b"POST /p? abc;"]),
    "chunked": (post_head(CHUNKED) + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", [b"POST /p? abc;"]),
    "Chunked": (post_head(b"Transfer-Encoding: Chunked\r\n") + ABC, [b"POST /p? abc;"]),
    "extensions": (post_head(CHUNKED) + b'3;a=b;c="d e"\r\nabc\r\n0;z\r\n\r\n', [b"POST /p? abc;"]),
    "zeros": (post_head(CHUNKED) + b"0003\r\nabc\r\n000\r\n\r\n", [b"POST /p? abc;"]),
    "trailers": (post_head(CHUNKED) + b"3\r\nabc\r\n0\r\nx: y\r\nhost: b\r\n\r\n", [b"POST /p? abc;"]),
    "a body of GET": (b"GET /g HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc", [b"GET /g? abc;"]),
    "chunks of GET": (b"GET /g HTTP/1.1\r\nhost: a\r\n" + CHUNKED + b"\r\n" + ABC, [b"GET /g? abc;"]),
    "no body of POST": (post_head(), [b"POST /p? ;"]),
    "another's length": (post_head(b"content_length: 3\r\nx-content-length: 3\r\n"), [b"POST /p? ;"]),
    "a request for a body": (post_head(b"content-length: %d\r\n" % len(GET)) + GET, [b"POST /p? " + GET + b";"]),
    "empty lines before": (b"\r\n\r\n" + post_head(CL3) + b"abc", [b"POST /p? abc;"]),
    "absolute": (b"GET http://b:1/x?y=/z HTTP/1.1\r\nhost: a\r\n\r\n", [b"GET /x?y=/z ;"]),
    "two slashes": (b"GET //x?http://b/ HTTP/1.1\r\nhost: a\r\n\r\n", [b"GET //x?http://b/ ;"]),
    "fragment": (b"GET /x?y#/z?a HTTP/1.1\r\nhost: a\r\n\r\n", [b"GET /x?y ;"]),
    "upgrade": (post_head(b"connection: Upgrade\r\nupgrade: h2c\r\n", CL3) + b"abc", [b"POST /p? abc;"]),
    "two upgrades": (post_head(b"upgrade:a\r\nconnection:upgrade\r\nupgrade:b\r\n", CHUNKED) + ABC, [b"POST /p? abc;"]),
    "upgrade named only": (post_head(b"upgrade: h2c\r\n", CL3) + b"abc", [b"POST /p? abc;"]),
    "pipeline": (GET * 3 + post_head(CL3) + b"abc", [b"GET /next? ;"] * 3 + [b"POST /p? abc;"]),
}  # fmt: skip


@pytest.mark.parametrize("name", LEGAL)
async def test_a_legal_framing_is_read_alike_at_every_cut(name: str) -> None:
    """And the connection is as good as new behind it."""
    raw, wanted = LEGAL[name]
    ways = [[raw[:cut], raw[cut:]] for cut in range(len(raw))] + [[raw[at : at + 1] for at in range(len(raw))]]
    for pieces in ways:
        async with on_glass(echo) as line:
            for piece in pieces:
                line.feed(piece)
            await turns(4 * len(wanted))
            line.feed(GET)
            await turns(4)
            bodies = [part.partition(b"\r\n\r\n")[2] for part in line.sent.split(b"HTTP/1.1 200 OK\r\n")[1:]]
            assert bodies == [*wanted, b"GET /next? ;"], pieces
            assert not line.glass.is_closed


@pytest.mark.parametrize("raw", [b"GET /\r\n\r\n", b"GET / HTTP/0.9\r\n\r\n", b"GET / HTTP/2.0\r\nhost: a\r\n\r\n"])
async def test_a_version_that_we_do_not_speak_is_refused(raw: bytes) -> None:
    """RFC 9110, section 15.6.6, and nginx: 505 for HTTP/2.0, 400 for HTTP/0.9."""
    async with on_glass(echo) as line:
        await line.feed_in_turns(raw)
        assert line.statuses in ([400], [505])


@pytest.mark.parametrize("hosts", [b"", b"host: a\r\nhost: b\r\n", b"host: a\r\nHost: a\r\n"])
async def test_a_request_names_one_host(hosts: bytes) -> None:
    """RFC 9112, section 3.2: "MUST respond with a 400"; nginx does."""
    async with on_glass(echo) as line:
        await line.feed_in_turns(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")
        assert line.statuses == [400]


async def test_a_client_of_http_1_0_needs_no_host() -> None:
    async with on_glass(echo) as line:
        await line.feed_in_turns(b"GET / HTTP/1.0\r\n\r\n")
        assert line.statuses == [200]


# -- the end of a connection ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "keeps"),
    [
        (b"", True),
        (b"connection:\r\n", True),
        (b"connection: keep-alive\r\n", True),
        (b"connection: closed\r\n", True),
        (b"connection: x\r\n", True),
        (b"x-connection: close\r\n", True),
        (b"proxy-connection: x\r\n", True),
        (b"connection: close\r\n", False),
        (b"Connection: CLOSE\r\n", False),
        (b"connection: keep-alive, close\r\n", False),
        (b"connection: close, keep-alive\r\n", False),
        (b"connection: x , close\r\n", False),
        (b"connection: close\r\nconnection: keep-alive\r\n", False),
        (b"connection: keep-alive\r\nconnection: close\r\n", False),
        (b"connection: close, upgrade\r\nupgrade: h2c\r\n", False),
        (b"connection: upgrade\r\nconnection: close\r\nupgrade: h2c\r\n", False),
    ],
)
async def test_connection_close_in_any_case_ends_the_connection(fields: bytes, keeps: bool) -> None:
    """RFC 9112, section 9.3. What a client sends behind it costs the reply nothing, and is not read."""
    async with on_glass(echo) as line:
        await line.feed_in_turns(post_head(fields, CL3) + b"abc" + GET)
        assert line.statuses == ([200, 200] if keeps else [200])
        assert (b"connection: close\r\n" in line.sent) is not keeps
        assert line.glass.is_closed is not keeps


@pytest.mark.parametrize("fields", [b"", b"connection: keep-alive\r\n", b"connection: close\r\n"])
async def test_a_connection_of_http_1_0_is_not_kept(fields: bytes) -> None:
    async with on_glass(echo) as line:
        await line.feed_in_turns(b"GET / HTTP/1.0\r\n" + fields + b"\r\n" + GET)
        assert line.statuses == [200]
        assert b"connection: close\r\n" in line.sent
        assert line.glass.is_closed


async def test_connection_close_in_a_trailer_does_not_make_the_server_deaf() -> None:
    """The parser takes it for the message's own. Answer what follows, as nginx does, or close: but do not hang."""
    async with on_glass(echo) as line:
        await line.feed_in_turns(post_head(CHUNKED) + b"3\r\nabc\r\n0\r\nconnection: close\r\n\r\n")
        await line.feed_in_turns(GET)
        assert line.statuses == [200, 200] or line.glass.is_closed


async def test_connection_close_in_a_trailer_behind_the_reply_does_not_either() -> None:
    async def hasty(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await say(send, b"early")

    async with on_glass(hasty) as line:
        await line.feed_in_turns(post_head(CHUNKED) + b"3\r\nabc\r\n")
        await line.feed_in_turns(b"0\r\nconnection: close\r\n\r\n")
        await line.feed_in_turns(GET)
        assert line.statuses == [200, 200] or line.glass.is_closed


async def test_a_connection_is_closed_when_nothing_comes() -> None:
    async with on_glass(echo, keep_alive_s=0.02) as line:
        await wait_until(lambda: line.glass.is_lost)
        assert line.sent == b""


async def test_a_head_that_trickles_does_not_hold_the_connection() -> None:
    async with on_glass(echo, keep_alive_s=0.05) as line:
        for byte in b"GET / HTTP/1.1\r\nx: " + b"a" * 1_000:
            if line.glass.is_closed:
                break
            line.feed(bytes([byte]))
            await asyncio.sleep(0.002)
        assert line.glass.is_closed
        assert line.sent == b""


async def test_a_connection_at_work_is_not_idle() -> None:
    app = Stepwise()
    async with on_glass(app, keep_alive_s=0.01) as line:
        line.feed(GET)
        await asyncio.sleep(0.05)
        assert not line.glass.is_closed
        await say(app.send, b"late")
        app.may_end.set()
        assert line.sent.endswith(b"late")
        await wait_until(lambda: line.glass.is_lost)


@pytest.mark.parametrize("fields", [b"", b"connection: close\r\n"], ids=["kept", "close"])
async def test_a_client_who_takes_nothing_of_a_reply_does_not_hold_it_for_ever(fields: bytes) -> None:
    """`Transport.close` waits until all is written. nginx's `send_timeout` is 60 s."""
    async with on_glass(echo, keep_alive_s=0.02) as line:
        line.glass.is_stuck = True
        await line.feed_in_turns(b"GET / HTTP/1.1\r\nhost: a\r\n" + fields + b"\r\n")
        assert line.glass.unsent
        await wait_until(lambda: line.glass.is_lost, within_s=0.3)


async def test_a_client_who_pipelines_and_takes_nothing_does_not_keep_a_request_at_work_for_ever() -> None:
    async with on_glass(echo, keep_alive_s=0.02) as line:
        line.glass.is_stuck = True
        line.glass.high = 10
        await line.feed_in_turns(GET * 2)
        assert line.server.at_work
        await wait_until(lambda: line.glass.is_lost, within_s=0.3)
        await turns()
        assert not line.server.at_work


async def test_a_client_who_takes_a_long_reply_slowly_gets_all_of_it() -> None:
    async with on_glass(echo, keep_alive_s=0.02) as line:
        line.glass.is_stuck = True
        body = b"x" * 100
        await line.feed_in_turns(post_head(b"connection: close\r\ncontent-length: 100\r\n") + body)
        for _ in range(20):
            assert not line.glass.is_lost
            line.glass.take(5)
            await asyncio.sleep(0.01)
        line.glass.take()
        assert line.sent.endswith(body + b";")
        assert line.glass.is_lost


# -- expect ---------------------------------------------------------------------------------------------------------

EXPECT = b"expect: 100-continue\r\n"


@pytest.mark.parametrize("fields", [EXPECT, b"Expect: 100-Continue\r\n"])
async def test_leave_to_send_is_given_when_the_body_is_asked_for(fields: bytes) -> None:
    """RFC 9110, section 10.1.1."""
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(post_head(fields, CL3))
        await app.has_begun.wait()
        assert line.sent == b""
        asking = asyncio.ensure_future(app.receive())
        await turns()
        assert line.sent == CONTINUE
        line.feed(b"abc")
        assert await asking == {"type": "http.request", "body": b"abc", "more_body": False}
        await say(app.send, b"ok")
        app.may_end.set()
        assert line.statuses == [100, 200]


@pytest.mark.parametrize("fields", [b"expect: x\r\n", b"expect:\r\n", b"expect: 100-continue, x\r\n"])
async def test_another_expectation_is_ignored(fields: bytes) -> None:
    async with on_glass(echo) as line:
        await line.feed_in_turns(post_head(fields, CL3) + b"abc")
        assert line.statuses == [200]


async def test_an_expectation_of_http_1_0_is_ignored() -> None:
    """RFC 9110, section 10.1.1: "MUST ignore that expectation"; such a client takes the 100 for the reply."""
    async with on_glass(echo) as line:
        await line.feed_in_turns(post_head(EXPECT, CL3, line=b"POST /p HTTP/1.0\r\n") + b"abc")
        assert line.statuses == [200]


@pytest.mark.parametrize("framing", [b"content-length: 30\r\n", CHUNKED])
async def test_who_is_refused_leave_may_not_use_the_connection_again(framing: bytes) -> None:
    """The client may send the body or not (RFC 9110, section 10.1.1): what comes next cannot be told."""

    async def refuse(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await say(send, b"no", status=413)

    async with on_glass(refuse) as line:
        await line.feed_in_turns(post_head(EXPECT, framing))
        assert line.statuses == [413]
        assert b"connection: close\r\n" in line.sent
        assert line.glass.is_closed


# -- the request's body ---------------------------------------------------------------------------------------------


async def test_a_body_that_nobody_takes_is_held_back() -> None:
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(post_head(b"content-length: 10000000\r\n"))
        await app.has_begun.wait()
        fed = 0
        while line.glass.reads:
            line.feed(b"x" * 50_000)
            fed += 50_000
        assert HIGH_WATER_BYTES < fed <= HIGH_WATER_BYTES + 50_000
        message = await app.receive()
        assert (len(message["body"]), message["more_body"]) == (fed, True)
        assert line.glass.reads


async def test_a_reply_before_the_end_of_the_body_leaves_the_connection_in_order() -> None:
    """What is left of the body is thrown away, whatever there is of it."""
    for framing, rest in [
        (b"content-length: 600000\r\n", b"x" * 600_000),
        (CHUNKED, b"493e0\r\n" + b"x" * 300_000 + b"\r\n0\r\n\r\n"),
    ]:

        async def hasty(scope: dict[str, Any], receive: Receive, send: Send) -> None:
            await say(send, b"early")

        async with on_glass(hasty) as line:
            await line.feed_in_turns(post_head(framing) + rest[:280_000])
            assert line.statuses == [200]
            await line.feed_in_turns(rest[280_000:] + GET)
            assert line.statuses == [200, 200]
            assert line.glass.reads


async def test_garbage_behind_a_reply_to_half_a_request_ends_the_connection() -> None:
    async def hasty(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await say(send, b"early")

    async with on_glass(hasty) as line:
        await line.feed_in_turns(post_head(CHUNKED) + b"1\r\na\r\n")
        await line.feed_in_turns(b"zz\r\n")
        assert line.statuses[0] == 200
        assert line.glass.is_closed


@pytest.mark.parametrize("count", [17, 18, 40])
async def test_what_is_pipelined_has_a_bound(count: int) -> None:
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(GET * count)
        await app.has_begun.wait()
        await say(app.send, b"first")
        app.may_end.set()
        await turns(80)
        assert line.sent.startswith(b"HTTP/1.1 200 ")
        assert line.glass.is_closed or count == 17


async def test_the_body_of_a_pipelined_request_has_a_bound() -> None:
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(GET + post_head(b"content-length: 100000\r\n") + b"x" * 70_000)
        await app.has_begun.wait()
        await say(app.send, b"first")
        assert line.statuses == [200]
        assert line.glass.is_closed


async def test_a_head_of_just_the_limit_is_read_and_one_byte_more_is_not() -> None:
    frame = b"GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n"
    for more in (0, 1):
        async with on_glass(echo) as line:
            raw = frame.replace(b"x: ", b"x: " + b"a" * (HEAD_LIMIT_BYTES - len(frame) + more))
            await line.feed_in_turns(raw, step=4096)
            assert line.statuses[0] in ((200, 431) if more else (200,))
            line.feed(b"GET / HTTP/1.1\r\nx: " + b"a" * (HEAD_LIMIT_BYTES + 4096), step=4096)
            await turns()
            assert line.statuses[-1] == 431


# -- what ASGI says (spec 2.3) --------------------------------------------------------------------------------------


async def test_the_scope_is_asgis() -> None:
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(b"PUT http://b/a%20b%2F/%c3%a9?q=%20 HTTP/1.1\r\nHost: A\r\nX-Y: \t z\r\nx-y: \xff\r\n\r\n")
        await app.has_begun.wait()
        scope = {name: value for name, value in app.scope.items() if name != "extensions"}
        assert scope == {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "PUT",
            "scheme": "http",
            "path": "/a b//\xe9",
            "raw_path": b"/a%20b%2F/%c3%a9",
            "query_string": b"q=%20",
            "root_path": "",
            "headers": [(b"host", b"A"), (b"x-y", b"z"), (b"x-y", b"\xff")],
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50_000),
        }
        app.may_end.set()


FIRST = post(b"first", b"X-Api-Key:  k \r\n", b"accept: a, b\r\n")
SECONDS = {
    "the same": FIRST,
    "of another length": post(b"another body", b"X-Api-Key:  k \r\n", b"accept: a, b\r\n"),
    "without a body": post(b"", b"X-Api-Key:  k \r\n", b"accept: a, b\r\n"),
    "with another value": post(b"first", b"X-Api-Key:  j \r\n", b"accept: a, b\r\n"),
    "with another field": post(b"first", b"X-Api-Key:  k \r\n", b"accept: a, b\r\n", b"d: e\r\n"),
    "with a field less": post(b"first", b"X-Api-Key:  k \r\n"),
    "with the length before": FIRST.replace(b"host: a\r\n", b"content-length: 5\r\nhost: a\r\n").replace(
        b"Content-Length: 5\r\n", b""
    ),
    "with two lengths": FIRST.replace(b"Content-Length: 5", b"Content-Length: 5\r\nContent-Length: 5"),
    "another method": b"PUT" + FIRST[4:],
    "another path": FIRST.replace(b"/p ", b"/p?q=1 "),
    "HTTP/1.0": FIRST.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "the last": FIRST.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"),
    "chunked": post_head(b"X-Api-Key:  k \r\n", b"accept: a, b\r\n", CHUNKED) + b"5\r\nfirst\r\n0\r\n\r\n",
    "with zeros before the length": FIRST.replace(b": 5\r", b": 005\r"),
    "with a sign before the length": FIRST.replace(b": 5\r", b": +5\r"),
    "with a length of other digits": FIRST.replace(b": 5\r", ": \u0665\r".encode()),
    "without a length": FIRST.replace(b": 5\r", b": \r"),
    "of an endless length": FIRST.replace(b": 5\r", b": 99999999999999999999999\r"),
    "of a length of thousands of digits": FIRST.replace(b": 5\r", b": %b5\r" % (b"0" * 5000)),
    "longer than it says": FIRST + b"and more",
    "with the next": FIRST + FIRST,
    "not whole": FIRST[:-1],
    "a head that is not whole": FIRST[:-6],
    "behind an empty line": b"\r\n" + FIRST,
    "waits for leave": FIRST.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"),
    "offers an upgrade": FIRST.replace(b"\r\n\r\n", b"\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"),
}


def without_chance(sent: bytes) -> bytes:
    return re.sub(rb"req_01\w+|date: [^\r]+", b"", sent)


@pytest.mark.parametrize("second", SECONDS.values(), ids=SECONDS.keys())
async def test_a_request_reads_as_on_a_connection_of_its_own(second: bytes) -> None:
    """Of a head that comes again only the length is read."""
    async with on_glass(tell) as line:
        await line.feed_in_turns(second)
        alone = without_chance(line.sent)
        is_closed = line.glass.is_closed
    for before in SECONDS.values():
        async with on_glass(tell) as line:
            await line.feed_in_turns(before)
            if line.glass.is_closed or line.statuses != [200] or not before.endswith(b"first"):
                continue  # nothing can follow
            seen = len(line.sent)
            await line.feed_in_turns(second)
            assert without_chance(line.sent[seen:]) == alone
            assert line.glass.is_closed == is_closed


async def test_a_request_whose_head_came_before_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """And of one that came in parts, or while another is at work, nothing is lost."""
    parsed = []
    begin = Connection.on_message_begin
    monkeypatch.setattr(Connection, "on_message_begin", lambda self: (parsed.append(1), begin(self)))
    async with on_glass(echo) as line:
        for body in (b"one", b"", b"three", b"x" * 1000):
            await line.feed_in_turns(post(body))
        assert len(parsed) == 1
        await line.feed_in_turns(post(b"five"), step=50)
        line.feed(post(b"six"))
        line.feed(post(b"seven"))
        await turns()
        assert len(parsed) == 3
        assert [reply.rpartition(b"\n")[2] for reply in line.sent.split(b";")] == [
            b"POST /p? one", b"POST /p? ", b"POST /p? three", b"POST /p? " + b"x" * 1000, b"POST /p? five",
            b"POST /p? six", b"POST /p? seven", b"",
        ]  # fmt: skip


@pytest.mark.parametrize("space", [b" ", b"\t", b" \t "])
async def test_the_space_around_a_value_is_not_of_it(space: bytes) -> None:
    """RFC 9112, section 5.1: a key with a space behind it is a good key, and such an expectation one to be met."""
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(post_head(b"x-api-key:" + space + b"k" + space + b"\r\nexpect: 100-continue" + space + b"\r\n", CL3))
        await app.has_begun.wait()
        app.may_end.set()
        assert (b"x-api-key", b"k") in app.scope["headers"]
        assert app.exchange.wants_leave


async def test_receive_behind_the_body_waits_for_the_hang_up() -> None:
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(GET)
        await app.has_begun.wait()
        assert await app.receive() == {"type": "http.request", "body": b"", "more_body": False}
        waiting = asyncio.ensure_future(app.receive())
        await turns()
        assert not waiting.done()
        line.glass.lose()
        assert await waiting == {"type": "http.disconnect"}
        assert await app.receive() == {"type": "http.disconnect"}
        await say(app.send, b"to nobody")  # a no-op, as before spec 2.4
        assert line.sent == b""
        app.may_end.set()


async def test_receive_behind_the_reply_is_a_disconnect() -> None:
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(post_head(CL3) + b"ab")
        await app.has_begun.wait()
        waiting = asyncio.ensure_future(app.receive())
        await turns()
        assert (await waiting)["body"] == b"ab"
        waiting = asyncio.ensure_future(app.receive())
        await turns()
        await say(app.send, b"ok")
        assert await waiting == {"type": "http.disconnect"}
        assert await app.receive() == {"type": "http.disconnect"}
        app.may_end.set()


async def test_a_hang_up_is_told_once_and_only_of_a_reply_that_is_not_complete() -> None:
    for is_complete in (False, True):
        app = Stepwise()
        async with on_glass(app) as line:
            line.feed(GET)
            await app.has_begun.wait()
            told: list[bool] = []
            exchange = app.exchange
            exchange.on_hang_up = lambda told=told: told.append(True)
            if is_complete:
                await say(app.send, b"ok")
            line.glass.lose()
            exchange.hang_up()
            assert len(told) == (0 if is_complete else 1)
            app.may_end.set()


async def test_head_and_statuses_without_a_body_have_none() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        status = int(scope["raw_path"][1:])
        await send({"type": "http.response.start", "status": status, "headers": []})
        body = b"" if status in (204, 304) else b"body"
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})

    async with on_glass(app) as line:
        await line.feed_in_turns(b"HEAD /200 HTTP/1.1\r\nhost: a\r\n\r\n")
        await line.feed_in_turns(b"GET /204 HTTP/1.1\r\nhost: a\r\n\r\nGET /304 HTTP/1.1\r\nhost: a\r\n\r\n")
        assert line.statuses == [200, 204, 304]
        assert b"body" not in line.sent
        assert b"chunked" not in line.sent
        await line.feed_in_turns(b"GET /200 HTTP/1.1\r\nhost: a\r\n\r\n")
        assert line.sent.endswith(b"\r\n\r\n4\r\nbody\r\n0\r\n\r\n")


async def test_an_empty_piece_does_not_end_a_chunked_reply() -> None:
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(GET)
        await app.has_begun.wait()
        await app.send({"type": "http.response.start", "status": 200, "headers": []})
        await turns()
        assert line.sent.endswith(b"\r\n\r\n")  # the head does not wait for a first event that is far off
        for piece in (b"", b"a", b"", b"b" * 100_000):
            await app.send({"type": "http.response.body", "body": piece, "more_body": True})
        await app.send({"type": "http.response.body", "body": b"c"})
        assert (
            line.sent.partition(b"\r\n\r\n")[2] == b"1\r\na\r\n186a0\r\n" + b"b" * 100_000 + b"\r\n1\r\nc\r\n0\r\n\r\n"
        )
        app.may_end.set()


@pytest.mark.parametrize("pieces", [[b"four"], [b"123456"], [b"123", b"456"], [b"123", b""], []])
async def test_a_reply_whose_length_is_wrong_ends_the_connection(
    pieces: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """The client sees that it is not whole; no byte of it is taken for the next reply."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        for number, piece in enumerate(pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces) - 1})

    async with on_glass(app) as line:
        await line.feed_in_turns(GET + GET)
        assert len(line.sent.partition(b"\r\n\r\n")[2]) < 5
        assert line.statuses in ([200], [])
        assert line.glass.is_closed
    assert bool(caplog.records) is bool(pieces)


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.body", "body": b"x"}],
        [{"type": "http.response.start", "status": 200}, {"type": "http.response.start", "status": 200}],
    ],
)
async def test_a_reply_out_of_order_is_a_fault(
    messages: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    async with on_glass(app) as line:
        await line.feed_in_turns(GET)
        assert line.glass.is_closed
    assert "outside the application's own handling" in caplog.text


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\rb"])
async def test_a_line_end_in_a_field_never_leaves(value: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def by_send(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", value)]})

    async def by_answer(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await scope["extensions"][EXTENSION].answer(200, [("a", value.decode())], b"")

    for app in (by_send, by_answer):
        async with on_glass(app) as line:
            await line.feed_in_turns(GET)
            assert line.sent == b""
            assert line.glass.is_closed


async def test_another_field_that_ends_like_connection_says_nothing_of_the_connection() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await scope["extensions"][EXTENSION].answer(200, [("x-connection", "close")], b"ok")

    async with on_glass(app) as line:
        await line.feed_in_turns(GET)
        await line.feed_in_turns(GET)
        assert line.statuses == [200, 200]


@pytest.mark.parametrize("status", [204, 304])
async def test_a_whole_reply_without_a_body_has_none(status: int) -> None:
    """RFC 9110, sections 8.6 and 15.3.5. A body would be taken for the next reply."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await scope["extensions"][EXTENSION].answer(status, [], b"body")

    async with on_glass(app) as line:
        await line.feed_in_turns(GET)
        assert line.sent.endswith(b"\r\n\r\n")
        assert b"content-length" not in line.sent


# -- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "amid", "behind"])
async def test_a_fault_in_the_application_is_told_and_touches_no_other_reply(
    when: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if when == "before":
            raise LookupError("a fault")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if when == "amid":
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise LookupError("a fault")
        await send({"type": "http.response.body", "body": b"whole"})
        raise LookupError("a fault")

    async with on_glass(app) as line:
        await line.feed_in_turns(GET + GET)
        assert not line.sent.endswith(b"0\r\n\r\n") or when == "behind"
        assert line.glass.is_closed is (when != "behind")
        assert line.statuses == {"before": [], "amid": [200], "behind": [200, 200]}[when]
    assert "LookupError: a fault" in caplog.text


async def test_a_request_whose_task_was_cancelled_does_not_leave_a_connection_that_answers_nothing() -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await say(send, b"ok")
        raise asyncio.CancelledError

    async with on_glass(app) as line:
        await line.feed_in_turns(GET)
        await line.feed_in_turns(GET)
        assert line.statuses == [200, 200] or line.glass.is_closed


async def test_cut_ends_the_connection_in_the_middle_once_what_was_written_is_out() -> None:
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(GET + GET)
        await app.has_begun.wait()
        await app.send({"type": "http.response.start", "status": 200, "headers": []})
        await app.send({"type": "http.response.body", "body": b"half", "more_body": True})
        line.glass.is_stuck = True
        await app.send({"type": "http.response.body", "body": b"more", "more_body": True})
        app.exchange.cut()
        await app.send({"type": "http.response.body", "body": b"never"})
        assert line.glass.is_closed
        line.glass.take()
        app.may_end.set()
        await turns()
        assert line.sent.endswith(b"4\r\nhalf\r\n4\r\nmore\r\n")
        assert line.statuses == [200]


async def test_cut_before_the_first_piece_sends_the_head_alone() -> None:
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(GET)
        await app.has_begun.wait()
        await app.send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        app.exchange.cut()
        app.may_end.set()
        await turns()
        assert line.statuses == [200]
        assert line.sent.endswith(b"\r\n\r\n")


# -- back-pressure --------------------------------------------------------------------------------------------------


async def test_send_waits_while_the_client_takes_nothing_and_goes_on_when_it_does() -> None:
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(GET)
        await app.has_begun.wait()
        line.glass.is_stuck = True
        await app.send({"type": "http.response.start", "status": 200, "headers": []})
        piece = {"type": "http.response.body", "body": b"x" * 70_000, "more_body": True}
        await app.send(piece)
        waiting = [asyncio.ensure_future(app.send(piece)) for _ in range(2)]
        await turns()
        assert not any(task.done() for task in waiting)
        held = line.glass.get_write_buffer_size()
        assert held < 71_000
        line.glass.is_stuck = False
        line.glass.take()
        await asyncio.gather(*waiting)
        assert line.sent.count(b"x") == 210_000
        app.may_end.set()


async def test_a_piece_is_passed_on_only_to_who_takes_it() -> None:
    """At once or not at all: what is refused has left nothing behind."""
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(GET)
        await app.has_begun.wait()
        await app.send({"type": "http.response.start", "status": 200, "headers": []})
        assert app.exchange.pass_on(b"one")
        assert line.sent.endswith(b"\r\n\r\n3\r\none\r\n")
        line.glass.is_stuck = True
        assert app.exchange.pass_on(b"x" * 100_000)  # it fits no more only now
        assert not app.exchange.pass_on(b"two")
        line.glass.is_stuck = False
        line.glass.take()
        assert line.sent.endswith(b"x\r\n")
        assert app.exchange.pass_on(b"three")
        line.glass.lose()
        assert not app.exchange.pass_on(b"four")
        assert line.sent.endswith(b"5\r\nthree\r\n")
        app.may_end.set()


async def test_a_hang_up_wakes_who_waits_to_send() -> None:
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(GET)
        await app.has_begun.wait()
        line.glass.is_stuck = True
        line.glass.high = 1
        await app.send({"type": "http.response.start", "status": 200, "headers": []})
        await app.send({"type": "http.response.body", "body": b"x", "more_body": True})
        waiting = asyncio.ensure_future(app.send({"type": "http.response.body", "body": b"y"}))
        await turns()
        assert not waiting.done()
        line.glass.lose(ConnectionResetError())
        await waiting
        app.may_end.set()


# -- stopping -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_request_that_has_been_read_is_at_work_at_once(is_first: bool) -> None:
    """A stop in the same turn of the loop must wait for it: `Connections.at_work` is what it looks at."""
    async with on_glass(echo) as line:
        if not is_first:
            await line.feed_in_turns(GET)
        line.feed(GET)
        assert line.server.at_work


async def test_finish_lets_requests_end_and_takes_no_others() -> None:
    app = Stepwise()
    async with on_glass(app) as line:
        line.feed(GET + GET)
        await app.has_begun.wait()
        line.server.finish()
        line.feed(GET)
        await app.send({"type": "http.response.start", "status": 200, "headers": []})
        await app.send({"type": "http.response.body", "body": b"last"})
        app.may_end.set()
        await turns()
        assert line.statuses == [200]
        assert b"connection: close\r\n" in line.sent
        assert line.glass.is_closed


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET])
async def test_finish_closes_what_is_idle(sent: bytes) -> None:
    async with on_glass(echo) as line:
        await line.feed_in_turns(sent)
        line.server.finish()
        await turns()
        assert line.glass.is_lost


async def test_a_request_leaves_nothing_for_the_collector() -> None:
    """Else its headers, and all that hangs on them, stay until the collector's next look."""
    async with on_glass(echo) as line:
        await line.feed_in_turns(GET * 2)
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                await line.feed_in_turns(GET)
            assert gc.collect() < 20
        finally:
            gc.enable()


async def test_an_idle_connection_holds_nothing_of_its_last_request() -> None:
    async with on_glass(echo) as line:
        await line.feed_in_turns(GET)
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, Exchange)]


# -- real sockets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["close", "reset", "half"])
@pytest.mark.parametrize("sent", [b"", GET[:9], post_head(CL3), post_head(CL3) + b"ab", GET, GET * 3])
async def test_a_client_may_leave_in_any_phase(sent: bytes, leave: str) -> None:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "http.request":
            pass

    async with on_sockets(app) as (server, url), await Wire.connect(url) as wire:
        await wire.send(sent)
        await wait_until(lambda: len(server.open) == 1)
        if leave == "half":
            wire.sock.shutdown(socket.SHUT_WR)
            assert await wire.is_closed()
        else:
            wire.reset() if leave == "reset" else wire.close()
        await wait_until(lambda: not server.open and not server.at_work, within_s=2)


async def test_two_hundred_connections_at_once_are_answered_in_turn() -> None:
    async with on_sockets(echo) as (server, url):
        wires = await asyncio.gather(*(Wire.connect(url) for _ in range(200)))
        try:
            for _ in range(2):
                await asyncio.gather(*(wire.send(GET) for wire in wires))
                replies = await asyncio.gather(*(wire.reply("GET") for wire in wires))
                assert {reply.body for reply in replies} == {b"GET /next? ;"}
            assert len(server.open) == 200
        finally:
            for wire in wires:
                wire.close()
        await wait_until(lambda: not server.open)


# -- the application elsewhere --------------------------------------------------------------------------------------


class Foreign:
    """Another ASGI server, of one request: as strict as the specification allows, and with nothing that is optional."""

    def __init__(self, method: str, path: str, body: bytes, *headers: tuple[bytes, bytes], **optional: Any) -> None:
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": list(headers),
            **optional,
        }
        self.messages: list[dict[str, Any]] = []
        self._body = [body[:3], body[3:]]
        self._ended = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self._body:
            piece = self._body.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self._body)}
        await self._ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._ended.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


CALLER = [(b"x-api-key", b"sk-dgm-test-key-of-raw-client"), (b"anthropic-version", b"2023-06-01")]


@pytest.mark.parametrize("asked", [HELLO, {**HELLO, "stream": True}], ids=["json", "stream"])
async def test_the_application_runs_under_another_asgi_server(asked: Any) -> None:
    async with Serving() as server:
        there = Foreign("POST", "/v1/messages", json_bytes(asked), *CALLER, raw_path=b"/v1/messages")
        await App(server.gateway)(there.scope, there.receive, there.send)
        assert there.messages[0]["status"] == 200
        assert not there.messages[-1].get("more_body")


async def test_under_another_asgi_server_the_end_of_the_reply_is_no_hang_up() -> None:
    """Its `receive` says `http.disconnect` once the reply is complete, which may be before the last `send` returns."""
    async with Serving() as server:
        asked = json_bytes({**HELLO, "stream": True})
        there = Foreign("POST", "/v1/messages", asked, *CALLER, raw_path=b"/v1/messages")
        await App(server.gateway)(there.scope, there.receive, there.send)
        assert [row["outcome"] for row in server.rows] == ["answered"]


@pytest.mark.parametrize("optional", [{}, {"raw_path": None, "extensions": None}])
async def test_the_application_needs_nothing_that_is_optional(optional: dict[str, Any]) -> None:
    async with Serving() as server:
        there = Foreign("GET", "/healthz", b"", **optional)
        await App(server.gateway)(there.scope, there.receive, there.send)
        assert there.messages[0]["status"] == 200


def test_the_server_is_imported_without_uvloop() -> None:
    """Windows has none."""
    code = "import sys; sys.modules['uvloop'] = None; import dragoman.server.run, dragoman.cli"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


async def test_a_connection_that_is_made_behind_the_stop_is_closed() -> None:
    """The system had taken it before: nobody would ever answer it, and it would hold the server's end up."""

    class Late(asyncio.Transport):
        aborted = 0

        def get_extra_info(self, name: str, default: object = None) -> object:
            return ("127.0.0.1", 1)

        def abort(self) -> None:
            self.aborted += 1

    connections = Connections(echo)
    connections.finish()
    late, connection = Late(), connections()
    connection.connection_made(late)
    connection.data_received(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert late.aborted == 1
    assert not connections.at_work
    connection.connection_lost(None)
