"""What every Transport does with an upstream that behaves and with one that does not. No transport is named below
`TRANSPORTS`: a new one is added there and passes the same rules.
"""

import asyncio
import functools
import gzip
import os
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from misbehaving import (
    LAST_CHUNK,
    Conn,
    Handler,
    Misbehaving,
    chunk,
    chunked_head,
    head,
    in_turn,
    json_reply,
    refused_url,
    reply,
    replying,
)
from threaded import Threaded
from wrong_replies import LEGAL, WRONG, Legal

from dragoman.http.aio import FastTransport
from dragoman.http.base import (
    ConnectFailed,
    ConnectTimeout,
    FirstByteTimeout,
    IdleTimeout,
    ReplyBroken,
    ReplyTooLarge,
    Request,
    RequestInvalid,
    Response,
    SendTimeout,
    Timeouts,
    TotalTimeout,
    Transport,
    TransportError,
)
from dragoman.http.foreign import HttpxTransport
from dragoman.http.sync import BlockingTransport

TRANSPORTS = {
    "fast": FastTransport,
    "blocking": lambda: Threaded(BlockingTransport()),
    "httpx": lambda: HttpxTransport(trust_env=False),
}
LIMIT = 1 << 20  # bytes, for `Response.read`
SHORT = 0.05  # seconds, for a limit that is to be reached
SECRET = "sk-never-in-a-message"


@pytest.fixture(autouse=True)
def one_trust_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """To read the system's takes 20 ms, and there are 300 tests."""
    monkeypatch.setattr("httpx2.create_ssl_context", one_context)


@functools.cache
def one_context(**settings: bool) -> ssl.SSLContext:
    return ssl.create_default_context()


@pytest.fixture(params=TRANSPORTS.values(), ids=TRANSPORTS.keys())
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    """A transport, and after the test the proof that it left no socket open."""
    before = open_sockets()
    transport: Transport = request.param()
    yield transport
    await transport.aclose()
    await until(lambda: open_sockets() <= before)  # the loop closes a socket one turn later


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(1):
        while not is_so():  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0)


def open_sockets() -> int:
    """Sockets of this process, where the system tells; 0 elsewhere."""
    if not os.path.isdir("/proc/self/fd"):
        return 0
    count = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{number}").startswith("socket:")
        except FileNotFoundError:  # the one that lists the folder
            continue
    return count


def get(url: str, **timeouts: float) -> Request:
    return Request("GET", f"{url}/path?key={SECRET}", [("x-api-key", SECRET)], timeouts=within(**timeouts))


def post(url: str, body: bytes = b'{"a":1}', **timeouts: float) -> Request:
    return Request(
        "POST", f"{url}/v1/messages?key={SECRET}", [("x-api-key", SECRET)], body, timeouts=within(**timeouts)
    )


def within(**timeouts: float) -> Timeouts:
    """`timeouts`, and for the rest what fails a test rather than hangs it."""
    return Timeouts(**{"connect_s": 3, "write_s": 3, "first_byte_s": 3, "idle_s": 3} | timeouts)


async def fetch(transport: Transport, request: Request) -> tuple[int, bytes]:
    response = await transport.send(request)
    return response.status, await response.read(LIMIT)


async def collect(response: Response) -> tuple[list[bytes], TransportError | None]:
    """The pieces that came, and the error that ended them."""
    pieces: list[bytes] = []
    try:
        async for piece in response.pieces():
            pieces.append(piece)  # noqa: PERF401 (what came before an error counts)
    except TransportError as exc:
        return pieces, exc
    return pieces, None


def saying(*parts: bytes | Callable[[Conn], Awaitable[None] | None]) -> Handler:
    """Reads one request, then sends bytes and does things in order."""

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        for part in parts:
            if isinstance(part, bytes):
                await conn.send(part)
            elif (waiting := part(conn)) is not None:
                await waiting

    return handler


UNTIL_CLOSED = Conn.wait_closed


# -- what goes out -------------------------------------------------------------------------------------------------


async def test_a_request_is_sent_as_given(transport: Transport) -> None:
    async with Misbehaving(replying(reply(b"ok"))) as server:
        headers = [("x-api-key", SECRET), ("Anthropic-Beta", "a"), ("anthropic-beta", "b"), ("x-latin", "é")]
        request = Request("POST", f"{server.url}/v1/messages?beta=true&q=a%20b", headers, b'{"model": "m"}')
        assert await fetch(transport, request) == (200, b"ok")
        (seen,) = server.requests
        assert (seen.method, seen.target, seen.version) == ("POST", "/v1/messages?beta=true&q=a%20b", "HTTP/1.1")
        assert seen.body == b'{"model": "m"}'
        assert seen.header("content-length") == "14"
        assert seen.header("transfer-encoding") is None
        assert seen.header("host") == f"127.0.0.1:{server.port}"
        assert seen.header("anthropic-beta") == "a, b"
        assert seen.header("x-latin") == "é"


async def test_no_header_is_made_up_but_these(transport: Transport) -> None:
    async with Misbehaving(replying(reply(b"ok"))) as server:
        await fetch(transport, Request("POST", server.url, [("accept", "text/event-stream")], b"x"))
        (seen,) = server.requests
        names = {name for name, _ in seen.headers}
        assert names <= {"host", "user-agent", "accept", "accept-encoding", "content-length", "connection"}
        assert seen.header("accept") == "text/event-stream"
        assert seen.header("accept-encoding") == "identity"
        assert (seen.header("user-agent") or "").startswith("dragoman/")


async def test_the_callers_user_agent_and_accept_encoding_win(transport: Transport) -> None:
    async with Misbehaving(replying(reply(b"ok"))) as server:
        headers = [("User-Agent", "curl/8"), ("Accept-Encoding", "gzip")]
        await fetch(transport, Request("GET", server.url, headers))
        assert server.requests[0].header("user-agent") == "curl/8"
        assert server.requests[0].header("accept-encoding") == "gzip"


async def test_framing_headers_of_the_caller_are_replaced(transport: Transport) -> None:
    async with Misbehaving(replying(reply(b"ok"))) as server:
        headers = [("content-length", "999"), ("transfer-encoding", "chunked")]
        await fetch(transport, Request("POST", server.url, headers, b"four"))
        (seen,) = server.requests
        assert (seen.header("content-length"), seen.header("transfer-encoding")) == ("4", None)


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("POST", "0")])
async def test_an_empty_body_has_a_length_only_where_one_is_expected(
    transport: Transport, method: str, length: str | None
) -> None:
    async with Misbehaving(replying(reply(b"ok"))) as server:
        await fetch(transport, Request(method, server.url))
        assert server.requests[0].header("content-length") == length


async def test_a_large_body_arrives_whole(transport: Transport) -> None:
    body = os.urandom(1 << 16) * 48  # 3 MiB
    async with Misbehaving(replying(reply(b"ok"))) as server:
        assert await fetch(transport, post(server.url, body)) == (200, b"ok")
        assert server.requests[0].body == body


@pytest.mark.parametrize(
    "header", [("x-api-key", f"{SECRET}\n"), ("x", "a\r\nb: c"), ("x", "\0"), ("a b", "c"), ("", "c"), ("x", "日本")]
)
async def test_a_header_that_http_forbids_is_refused_before_anything_is_sent(
    transport: Transport, header: tuple[str, str]
) -> None:
    async with Misbehaving(replying(reply(b"ok"))) as server:
        with pytest.raises(RequestInvalid) as caught:
            await transport.send(Request("POST", server.url, [header], b"x"))
        assert SECRET not in str(caught.value)
        assert not server.conns


@pytest.mark.parametrize(
    "url", ["", "/v1/messages", "ftp://127.0.0.1/", "http://", "http://h:port/", "http://user:hunter2@127.0.0.1/"]
)
async def test_a_url_that_cannot_be_used_is_refused(transport: Transport, url: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        await transport.send(Request("GET", url))
    assert "hunter2" not in str(caught.value)


# -- whole replies -------------------------------------------------------------------------------------------------


async def test_status_and_headers_come_as_sent(transport: Transport) -> None:
    answer = reply(b"{}", ("X-One", "1"), ("Set-Cookie", "a=1"), ("x-two", "é"), ("set-cookie", "b=2"), status=429)
    async with Misbehaving(replying(answer)) as server:
        response = await transport.send(get(server.url))
        assert response.status == 429
        assert response.headers == [
            ("x-one", "1"), ("set-cookie", "a=1"), ("x-two", "é"), ("set-cookie", "b=2"), ("content-length", "2"),
        ]  # fmt: skip
        assert await response.read(LIMIT) == b"{}"


async def test_an_unknown_status_is_handed_on(transport: Transport) -> None:
    async with Misbehaving(replying(reply(b"{}", status=529))) as server:
        assert await fetch(transport, get(server.url)) == (529, b"{}")


async def test_cookies_are_not_kept(transport: Transport) -> None:
    async with Misbehaving(replying(reply(b"", ("set-cookie", "a=1; Path=/")))) as server:
        await fetch(transport, get(server.url))
        await fetch(transport, get(server.url))
        assert server.requests[1].header("cookie") is None


@pytest.mark.parametrize(
    "location", ["/elsewhere", "http://127.0.0.1:1/", "http://[", "\x80\xff", "http://é:99999/", ""]
)
async def test_redirects_are_not_followed(transport: Transport, location: str) -> None:
    async with Misbehaving(replying(reply(b"moved", ("location", location), status=307))) as server:
        response = await transport.send(post(server.url))
        assert response.status == 307
        assert await response.read(LIMIT) == b"moved"
        assert ("location", location) in response.headers
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("POST", head(204)),
        ("POST", head(304, ("content-length", "5"))),
        ("HEAD", head(200, ("content-length", "5"))),
        ("POST", reply(b"")),
        ("POST", chunked_head() + LAST_CHUNK),
    ],
)
async def test_a_reply_without_body_ends_at_once_and_keeps_the_connection(
    transport: Transport, method: str, answer: bytes
) -> None:
    async with Misbehaving(replying(answer, reply(b"next"))) as server:
        response = await transport.send(Request(method, server.url))
        assert await collect(response) == ([], None)
        assert await fetch(transport, get(server.url)) == (200, b"next")
        assert len(server.conns) == 1


async def test_a_body_without_length_ends_with_the_connection(transport: Transport) -> None:
    async with Misbehaving(saying(head(200), b"all there is")) as server:
        assert await fetch(transport, get(server.url)) == (200, b"all there is")


async def test_http_1_0_is_understood(transport: Transport) -> None:
    async with Misbehaving(saying(b"HTTP/1.0 200 OK\r\n\r\nold")) as server:
        assert await fetch(transport, get(server.url)) == (200, b"old")


async def test_chunk_extensions_and_trailers_are_no_body(transport: Transport) -> None:
    body = b'3;a=b\r\nabc\r\n2;c="d"\r\nde\r\n0\r\nx-trailer: 1\r\n\r\n'
    async with Misbehaving(replying(chunked_head() + body)) as server:
        assert await fetch(transport, get(server.url)) == (200, b"abcde")


@pytest.mark.parametrize("first", [head(100), head(103, ("link", "</a>")), head(102) * 20])
async def test_informational_replies_are_skipped(transport: Transport, first: bytes) -> None:
    async with Misbehaving(replying(first + reply(b"ok"))) as server:
        assert await fetch(transport, post(server.url)) == (200, b"ok")


async def test_a_continue_may_come_long_before_the_reply(transport: Transport) -> None:
    go_on = asyncio.Event()
    async with Misbehaving(saying(head(100), lambda conn: go_on.wait(), reply(b"ok"))) as server:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(fetch(transport, post(server.url)))
            await server.request()
            go_on.set()
        assert task.result() == (200, b"ok")


async def test_every_byte_may_come_alone(transport: Transport) -> None:
    answer = chunked_head(("x", "y")) + chunk(b"one") + chunk(b"two") + LAST_CHUNK
    async with Misbehaving(saying(lambda conn: conn.trickle(answer))) as server:
        response = await transport.send(get(server.url))
        pieces, error = await collect(response)
        assert error is None
        assert b"".join(pieces) == b"onetwo"
        assert all(pieces)


@pytest.mark.parametrize(
    ("start", "wrap", "end"),
    [
        (chunked_head(), chunk, LAST_CHUNK),
        (head(200, ("content-length", "15")), bytes, b""),
        (head(200), bytes, b""),
    ],
    ids=["chunked", "content-length", "until close"],
)
async def test_what_has_arrived_is_handed_on_at_once(
    transport: Transport, start: bytes, wrap: Callable[[bytes], bytes], end: bytes
) -> None:
    """The server sends the next piece only when the last one was received."""
    received = asyncio.Queue[None]()
    pieces = [b"%05d" % number for number in range(3)]

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(start)
        for piece in pieces:
            await received.get()
            await conn.send(wrap(piece))
        await conn.send(end)

    async with Misbehaving(handler) as server:
        response = await transport.send(get(server.url, idle_s=2))
        received.put_nowait(None)
        got = []
        async for piece in response.pieces():
            got.append(piece)
            received.put_nowait(None)
        assert got == pieces


async def test_a_reply_may_come_before_the_request_was_read(transport: Transport) -> None:
    """The server answers on the headers alone, and reads the rest later, as servers do that want the reply read."""

    async def handler(conn: Conn) -> None:
        await conn.read_head()
        await conn.send(reply(b"too large", ("connection", "close"), status=413))
        await conn.wait_closed()

    async with Misbehaving(handler) as server:
        assert await fetch(transport, post(server.url, bytes(4 << 20))) == (413, b"too large")
        await server.hang_up()


@pytest.mark.parametrize("then", [Conn.stall, Conn.reset, Conn.close], ids=["stalls", "resets", "closes"])
async def test_an_early_reply_without_reading_on_ends_in_time(
    transport: Transport, then: Callable[[Conn], Awaitable[None] | None]
) -> None:
    """With the reply, where the transport reads while it sends, or else with an error."""

    async def handler(conn: Conn) -> None:
        await conn.read_head()
        await conn.send(reply(b"too large", ("connection", "close"), status=413))
        if (waiting := then(conn)) is not None:
            await waiting

    async with Misbehaving(handler) as server:
        try:
            assert await fetch(transport, post(server.url, bytes(32 << 20), write_s=SHORT)) == (413, b"too large")
        except (SendTimeout, ReplyBroken):
            assert len(server.conns) == 1


async def test_a_small_request_need_never_be_read(transport: Transport) -> None:
    async def handler(conn: Conn) -> None:
        await conn.send(reply(b"early"))
        await conn.stall()

    async with Misbehaving(handler) as server:
        assert await fetch(transport, post(server.url)) == (200, b"early")


async def test_read_takes_exactly_its_limit(transport: Transport) -> None:
    async with Misbehaving(replying(reply(b"12345"))) as server:
        assert await (await transport.send(get(server.url))).read(5) == b"12345"


@pytest.mark.parametrize("answer", [reply(b"123456"), chunked_head() + chunk(b"1234") + chunk(b"56")])
async def test_read_stops_at_its_limit_and_hangs_up(transport: Transport, answer: bytes) -> None:
    async with Misbehaving(saying(answer, UNTIL_CLOSED)) as server:
        response = await transport.send(get(server.url))
        with pytest.raises(ReplyTooLarge, match="larger than 5 bytes"):
            await response.read(5)
        await transport.aclose()
        await server.hang_up()


# -- compressed replies --------------------------------------------------------------------------------------------

PLAIN = b"event: ping\n\n" * 1000
RAW_DEFLATE = zlib.compress(PLAIN)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(PLAIN, mtime=0)),
        ("GZIP", gzip.compress(PLAIN[:500], mtime=0) + gzip.compress(PLAIN[500:], mtime=0)),
        ("x-gzip", gzip.compress(PLAIN, mtime=0)),
        ("deflate", RAW_DEFLATE),
    ],
)
async def test_a_compressed_reply_is_unpacked(transport: Transport, encoding: str, body: bytes) -> None:
    async with Misbehaving(replying(reply(body, ("content-encoding", encoding), ("x", "y")))) as server:
        response = await transport.send(get(server.url))
        assert response.headers == [("x", "y")]
        assert await response.read(LIMIT) == PLAIN


async def test_an_identity_encoding_is_left_alone(transport: Transport) -> None:
    async with Misbehaving(replying(reply(b"abc", ("content-encoding", "identity")))) as server:
        response = await transport.send(get(server.url))
        assert ("content-length", "3") in response.headers
        assert await response.read(LIMIT) == b"abc"


async def test_compressed_pieces_are_handed_on_as_they_are_flushed(transport: Transport) -> None:
    received = asyncio.Queue[None]()
    packer = zlib.compressobj(wbits=31)

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(chunked_head(("content-encoding", "gzip")))
        for piece in (b"one", b"two"):
            await conn.send(chunk(packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)))
            await received.get()
        await conn.send(chunk(packer.flush()) + LAST_CHUNK)

    async with Misbehaving(handler) as server:
        response = await transport.send(get(server.url, idle_s=2))
        got = []
        async for piece in response.pieces():
            got.append(piece)
            received.put_nowait(None)
        assert got == [b"one", b"two"]


async def test_a_small_reply_that_unpacks_to_much_comes_in_bounded_pieces(transport: Transport) -> None:
    bomb = gzip.compress(bytes(50 << 20))
    async with Misbehaving(replying(reply(bomb, ("content-encoding", "gzip")))) as server:
        response = await transport.send(get(server.url))
        async for piece in response.pieces():
            assert len(piece) <= LIMIT
            break
        await response.aclose()
        with pytest.raises(ReplyTooLarge):
            await (await transport.send(get(server.url))).read(LIMIT)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(PLAIN, mtime=0)[:-9]),
        ("gzip", b"not gzip at all"),
        ("br", b"\x0b\x02\x80abc\x03"),
        ("gzip, gzip", gzip.compress(gzip.compress(PLAIN, mtime=0), mtime=0)),
    ],
    ids=["cut", "garbage", "unknown", "twice"],
)
async def test_a_reply_that_cannot_be_unpacked_is_broken(transport: Transport, encoding: str, body: bytes) -> None:
    async with Misbehaving(replying(reply(body, ("content-encoding", encoding)))) as server:
        response = await transport.send(get(server.url))
        with pytest.raises(ReplyBroken):
            await response.read(LIMIT)


# -- no reply ------------------------------------------------------------------------------------------------------


async def test_a_refused_connection_is_connect_failed(transport: Transport) -> None:
    url = refused_url()
    with pytest.raises(ConnectFailed, match="refused") as caught:
        await transport.send(post(url))
    assert str(caught.value).startswith(f"127.0.0.1:{url.rpartition(':')[2]}: ")


async def test_an_unknown_name_is_connect_failed(transport: Transport) -> None:
    with pytest.raises(ConnectFailed, match=r"no-such-host\.invalid: "):
        await transport.send(post("http://no-such-host.invalid"))


async def test_tls_to_a_server_without_tls_is_connect_failed(transport: Transport) -> None:
    async def handler(conn: Conn) -> None:
        await conn.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await conn.wait_closed()

    async with Misbehaving(handler) as server:
        with pytest.raises(ConnectFailed):
            await transport.send(post(server.url.replace("http:", "https:")))
        await server.hang_up()


async def test_a_handshake_that_stalls_is_connect_timeout(transport: Transport) -> None:
    async with Misbehaving(Conn.wait_closed) as server:
        with pytest.raises(ConnectTimeout, match=r"127\.0\.0\.1:\d+: no connection within 0.05 s"):
            await transport.send(post(server.url.replace("http:", "https:"), connect_s=SHORT))
        await server.hang_up()


async def test_a_request_that_is_not_taken_is_send_timeout(transport: Transport) -> None:
    async with Misbehaving(Conn.stall) as server:
        with pytest.raises(SendTimeout):
            await transport.send(post(server.url, bytes(32 << 20), write_s=SHORT))
        assert len(server.conns) == 1


async def test_a_request_that_is_taken_slowly_is_no_send_timeout(transport: Transport) -> None:
    """`write_s` limits a standstill, not the whole: the whole takes twice as long."""
    body = bytes(24 << 20)

    async def handler(conn: Conn) -> None:
        await conn.read_head()
        rest = len(body)
        while rest:
            await asyncio.sleep(SHORT / 2)
            for _ in range(32):
                rest -= len(await conn.read_some()) if rest else 0
        await conn.send(reply(b"ok"))

    async with Misbehaving(handler) as server:
        started = asyncio.get_running_loop().time()
        assert await fetch(transport, post(server.url, body, write_s=3 * SHORT)) == (200, b"ok")
        assert asyncio.get_running_loop().time() - started > 3 * SHORT


async def without_end(conn: Conn, data: bytes) -> None:
    while True:
        await conn.send(data)


NO_REPLY: dict[str, Handler] = {
    "accepts and closes": saying(Conn.close),
    "accepts and resets": saying(Conn.reset),
    "closes without reading": lambda conn: asyncio.sleep(0),
    "dies in the status line": saying(b"HTTP/1.1 2", Conn.close),
    "dies in the headers": saying(b"HTTP/1.1 200 OK\r\ncontent-le", Conn.close),
    "resets in the headers": saying(b"HTTP/1.1 200 OK\r\ncontent-le", Conn.reset),
    "dies after 100": saying(head(100), Conn.close),
    "garbage": saying(b"\x16\x03\x01\x02\x00garbage\r\n\r\n", UNTIL_CLOSED),
    "text": saying(b"hello\r\n\r\n", UNTIL_CLOSED),
    "another protocol": saying(b"SSH-2.0-OpenSSH_9.6\r\n", Conn.close),
    "status is no number": saying(b"HTTP/1.1 abc OK\r\n\r\n", UNTIL_CLOSED),
    "header without colon": saying(b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n", UNTIL_CLOSED),
    "two lengths": saying(head(200, ("content-length", "3"), ("content-length", "4")) + b"abcd", UNTIL_CLOSED),
    "length is no number": saying(head(200, ("content-length", "3x")) + b"abc", UNTIL_CLOSED),
    "length is negative": saying(head(200, ("content-length", "-1")) + b"abc", UNTIL_CLOSED),
    "protocol switched": saying(head(101, ("upgrade", "x"), ("connection", "upgrade")), UNTIL_CLOSED),
    "huge header": saying(b"HTTP/1.1 200 OK\r\nx: " + b"a" * (1 << 20) + b"\r\n\r\n", UNTIL_CLOSED),
    "huge status line": saying(b"HTTP/1.1 200 " + b"a" * (1 << 20), UNTIL_CLOSED),
    "many headers": saying(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200_000 + b"\r\n", UNTIL_CLOSED),
    "1xx without end": saying(lambda conn: without_end(conn, head(103, ("link", "</a>; rel=preload")) * 100)),
    "headers without end": saying(b"HTTP/1.1 200 OK\r\n", lambda conn: without_end(conn, b"x: y\r\n" * 100)),
}


@pytest.mark.parametrize("handler", NO_REPLY.values(), ids=NO_REPLY.keys())
async def test_what_is_no_reply_is_reply_broken_and_not_sent_again(transport: Transport, handler: Handler) -> None:
    """On a new connection: whatever happens there, the request may have been acted on."""
    async with Misbehaving(handler) as server:
        with pytest.raises(ReplyBroken) as caught:
            await transport.send(post(server.url))
        assert str(caught.value).startswith(f"127.0.0.1:{server.port}: ")
        assert SECRET not in str(caught.value)
        assert len(server.conns) == 1


NO_HEADERS: dict[str, Handler] = {
    "silence": saying(UNTIL_CLOSED),
    "half a head": saying(b"HTTP/1.1 200 OK\r\ncontent-", UNTIL_CLOSED),
    "100 and silence": saying(head(100), UNTIL_CLOSED),
}


@pytest.mark.parametrize("handler", NO_HEADERS.values(), ids=NO_HEADERS.keys())
async def test_a_stall_before_the_headers_is_first_byte_timeout(transport: Transport, handler: Handler) -> None:
    async with Misbehaving(handler) as server:
        with pytest.raises(FirstByteTimeout, match=r"no reply within 0\.05 s"):
            await transport.send(post(server.url, first_byte_s=SHORT, idle_s=0.01))
        await server.hang_up()


async def test_headers_that_trickle_do_not_extend_the_first_byte_limit(transport: Transport) -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await conn.send(b"x: y\r\n")
            await asyncio.sleep(SHORT / 10)

    async with Misbehaving(handler) as server:
        with pytest.raises(FirstByteTimeout):
            await transport.send(post(server.url, first_byte_s=SHORT))
        await server.hang_up()


async def playing(transport: Transport, data: bytes, cut: int, *, ends: bool, method: str = "GET") -> tuple[int, bytes]:
    """The reply in two packets; the server then waits, or closes if that `ends` the reply."""

    async def handler(conn: Conn) -> None:
        conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await conn.read_request()
        await conn.send(data[:cut])
        await asyncio.sleep(0)
        await conn.send(data[cut:])
        if not ends:
            await conn.wait_closed()

    async with Misbehaving(handler) as server:
        try:
            return await fetch(transport, Request(method, server.url, timeouts=within(idle_s=1, first_byte_s=1)))
        finally:
            assert len(server.conns) == 1


def cuts_of(data: bytes) -> list[int]:
    """Where to cut: test_connection.py does it at every byte, without the network."""
    return [0, len(data) // 3, data.find(b"\r\n\r\n") + 3, len(data) - 2]


@pytest.mark.parametrize("case", LEGAL.values(), ids=LEGAL.keys())
async def test_a_legal_reply_is_read_in_whatever_packets_it_comes(transport: Transport, case: Legal) -> None:
    for cut in cuts_of(case.data):
        got = await playing(transport, case.data, cut, ends=case.ends, method=case.method)
        assert got == (case.status, case.body)


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_reply_is_broken_in_whatever_packets_it_comes(transport: Transport, name: str) -> None:
    for cut in cuts_of(WRONG[name]):
        with pytest.raises(ReplyBroken) as caught:
            await playing(transport, WRONG[name], cut, ends=False)
        assert str(caught.value).startswith("127.0.0.1:")


# -- half a reply --------------------------------------------------------------------------------------------------

CUT: dict[str, Handler] = {
    "length short": saying(head(200, ("content-length", "9")) + b"abc", Conn.close),
    "length reset": saying(head(200, ("content-length", "9")) + b"abc", Conn.reset),
    "between chunks": saying(chunked_head() + chunk(b"abc"), Conn.close),
    "in a chunk": saying(chunked_head() + b"9\r\nabc", Conn.close),
    "in a chunk size": saying(chunked_head() + chunk(b"abc") + b"1", Conn.close),
    "before the last line end": saying(chunked_head() + chunk(b"abc") + b"0\r\n", Conn.close),
    "chunks reset": saying(chunked_head() + chunk(b"abc"), Conn.reset),
    "no length, reset": saying(head(200) + b"abc", Conn.reset),
}


@pytest.mark.parametrize("handler", CUT.values(), ids=CUT.keys())
async def test_a_body_that_is_cut_is_reply_broken(transport: Transport, handler: Handler) -> None:
    async with Misbehaving(handler) as server:
        response = await transport.send(post(server.url))
        pieces, error = await collect(response)
        assert isinstance(error, ReplyBroken)
        assert b"abc".startswith(b"".join(pieces))  # a reset may overtake what was sent before it
        assert len(server.conns) == 1


BAD_CHUNKS = {
    "size is no number": b"xyz\r\nabc\r\n",
    "size is negative": b"-3\r\nabc\r\n",
    "size is empty": b"\r\nabc\r\n",
    "size is too large": b"f" * 40 + b"\r\nabc",
    "longer than said": b"3\r\nabcdef\r\n",
    "size without end": b"1" * 200_000,
}


@pytest.mark.parametrize("garbage", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
async def test_illegal_chunks_are_reply_broken(transport: Transport, garbage: bytes) -> None:
    async with Misbehaving(saying(chunked_head() + chunk(b"good") + garbage, UNTIL_CLOSED)) as server:
        response = await transport.send(post(server.url))
        pieces, error = await collect(response)
        assert b"".join(pieces).startswith(b"good")
        assert isinstance(error, ReplyBroken)
        await server.hang_up()


async def test_a_stall_in_the_body_is_idle_timeout(transport: Transport) -> None:
    async with Misbehaving(saying(chunked_head() + chunk(b"abc"), UNTIL_CLOSED)) as server:
        response = await transport.send(post(server.url, idle_s=SHORT))
        pieces, error = await collect(response)
        assert pieces == [b"abc"]
        assert isinstance(error, IdleTimeout)
        await server.hang_up()


async def test_a_stall_between_headers_and_body_is_idle_timeout(transport: Transport) -> None:
    async with Misbehaving(saying(chunked_head(), UNTIL_CLOSED)) as server:
        response = await transport.send(post(server.url, idle_s=SHORT))
        with pytest.raises(IdleTimeout, match=r"stood still for 0\.05 s"):
            await response.read(LIMIT)
        await server.hang_up()


async def test_the_idle_limit_is_for_each_piece(transport: Transport) -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(chunked_head())
        for _ in range(8):
            await asyncio.sleep(SHORT / 2)
            await conn.send(chunk(b"."))
        await conn.send(LAST_CHUNK)

    async with Misbehaving(handler) as server:
        assert await fetch(transport, post(server.url, idle_s=3 * SHORT, first_byte_s=3 * SHORT)) == (200, b"." * 8)


async def test_the_idle_limit_does_not_run_while_nobody_reads(transport: Transport) -> None:
    async with Misbehaving(replying(chunked_head() + chunk(b"abc") + LAST_CHUNK)) as server:
        response = await transport.send(post(server.url, idle_s=SHORT))
        await asyncio.sleep(1.5 * SHORT)
        assert await response.read(LIMIT) == b"abc"


# -- the whole exchange --------------------------------------------------------------------------------------------


async def dripping(conn: Conn) -> None:
    """Takes requests of any size, and answers without ever standing still."""
    await conn.read_request()
    await conn.send(chunked_head())
    while True:
        await conn.send(chunk(b"."))
        await asyncio.sleep(SHORT / 10)


TOTAL: dict[str, tuple[Handler, str, bytes]] = {
    "handshake": (Conn.wait_closed, "https", b""),
    "request": (Conn.stall, "http", bytes(32 << 20)),
    "headers": (saying(UNTIL_CLOSED), "http", b""),
    "body": (saying(chunked_head(), UNTIL_CLOSED), "http", b""),
    "a body that moves": (dripping, "http", b""),
}


@pytest.mark.parametrize("phase", TOTAL)
async def test_the_limit_of_the_whole_holds_in_every_phase(transport: Transport, phase: str) -> None:
    handler, scheme, body = TOTAL[phase]
    async with Misbehaving(handler) as server:
        with pytest.raises(TotalTimeout):
            await fetch(transport, post(server.url.replace("http", scheme), body, total_s=SHORT))
        if phase != "request":
            await server.hang_up()


async def test_a_nearer_limit_wins_over_that_of_the_whole(transport: Transport) -> None:
    async with Misbehaving(saying(UNTIL_CLOSED)) as server:
        with pytest.raises(FirstByteTimeout):
            await transport.send(post(server.url, first_byte_s=SHORT, total_s=3))


async def test_the_limit_of_the_whole_begins_anew_with_each_request(transport: Transport) -> None:
    async with Misbehaving(replying(reply(b"ok"))) as server:
        for _ in range(4):
            assert await fetch(transport, post(server.url, total_s=2 * SHORT)) == (200, b"ok")
            await asyncio.sleep(SHORT)
        assert len(server.conns) == 1


# -- kept connections ----------------------------------------------------------------------------------------------


async def test_a_connection_is_used_again(transport: Transport) -> None:
    async with Misbehaving(replying(json_reply({}))) as server:
        for _ in range(5):
            assert await fetch(transport, post(server.url)) == (200, b"{}")
        assert (len(server.conns), len(server.requests)) == (1, 5)


async def test_a_connection_is_not_used_again_after_connection_close(transport: Transport) -> None:
    async with Misbehaving(replying(reply(b"", ("connection", "close")))) as server:
        await fetch(transport, post(server.url))
        await fetch(transport, post(server.url))
        assert len(server.conns) == 2
        await server.hang_up(0)


async def test_a_large_reply_that_waits_to_be_read_leaves_its_connection_fit(transport: Transport) -> None:
    """Reading was paused as it waited: the next reply must be heard all the same."""
    large = b"x" * 300_000
    async with Misbehaving(replying(reply(large))) as server:
        for _ in range(5):
            response = await transport.send(post(server.url, first_byte_s=5))
            await asyncio.sleep(0.02)  # nothing tells that all which fits has come
            assert await response.read(LIMIT) == large


async def test_a_kept_connection_that_was_closed_meanwhile_is_not_used(transport: Transport) -> None:
    async with Misbehaving(in_turn(saying(reply(b"one")), replying(reply(b"two")))) as server:
        assert await fetch(transport, post(server.url)) == (200, b"one")
        assert await fetch(transport, post(server.url)) == (200, b"two")
        assert len(server.requests) == 2


@pytest.mark.parametrize("end", [Conn.close, Conn.reset])
@pytest.mark.parametrize("body", [b"small", bytes(2 << 20)], ids=["small", "large"])
async def test_a_kept_connection_that_dies_as_the_request_comes_is_replaced_unseen(
    transport: Transport, end: Callable[[Conn], None], body: bytes
) -> None:
    """Not one byte of a reply was seen, so the request is sent again, also a POST."""

    async def dying(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(reply(b"one"))
        await conn.read_head()
        end(conn)

    async with Misbehaving(in_turn(dying, replying(reply(b"two")))) as server:
        assert await fetch(transport, post(server.url)) == (200, b"one")
        assert await fetch(transport, post(server.url, body)) == (200, b"two")
        assert [request.method for request in server.requests] == ["POST"] * 3
        assert server.requests[2].body == body


async def test_it_is_sent_again_only_once(transport: Transport) -> None:
    dying = saying(reply(b"one"), Conn.read_request)
    async with Misbehaving(in_turn(dying, saying(Conn.close))) as server:
        assert await fetch(transport, post(server.url)) == (200, b"one")
        with pytest.raises(ReplyBroken):
            await transport.send(post(server.url))
        assert len(server.requests) == 3


async def test_it_is_sent_again_on_a_new_connection(transport: Transport) -> None:
    """Several kept connections may be dead at once, after a silence that a router did not survive."""
    together = asyncio.Barrier(3)

    async def handler(conn: Conn) -> None:
        if conn.number >= 3:
            return await replying(reply(b"new"))(conn)
        await conn.read_request()
        await together.wait()
        await conn.send(reply(b"old"))
        await conn.read_request()
        return None

    async with Misbehaving(handler) as server:
        await asyncio.gather(*(fetch(transport, post(server.url)) for _ in range(3)))
        assert await fetch(transport, post(server.url)) == (200, b"new")


@pytest.mark.parametrize("part", [b"H", b"HTTP/1.1 200 OK\r\n", head(100)])
async def test_it_is_not_sent_again_once_a_byte_was_seen(transport: Transport, part: bytes) -> None:
    dying = saying(reply(b"one"), Conn.read_request, part, Conn.close)
    async with Misbehaving(in_turn(dying, replying(reply(b"two")))) as server:
        assert await fetch(transport, post(server.url)) == (200, b"one")
        with pytest.raises(ReplyBroken):
            await transport.send(post(server.url))
        assert len(server.requests) == 2


async def test_it_is_not_sent_again_after_a_timeout(transport: Transport) -> None:
    async with Misbehaving(saying(reply(b"one"), Conn.read_request, UNTIL_CLOSED)) as server:
        assert await fetch(transport, post(server.url)) == (200, b"one")
        with pytest.raises(FirstByteTimeout):
            await transport.send(post(server.url, first_byte_s=SHORT))
        assert len(server.conns) == 1


async def test_a_reply_that_nobody_asked_for_answers_no_request(transport: Transport) -> None:
    """A second reply behind the first, in the same packet: it must not reach whoever is next."""
    twice = reply(b"one") + reply(b"for somebody else")
    async with Misbehaving(in_turn(replying(twice), replying(reply(b"two")))) as server:
        assert await fetch(transport, post(server.url)) == (200, b"one")
        assert await fetch(transport, post(server.url)) == (200, b"two")


async def test_bytes_that_nobody_asked_for_spoil_an_idle_connection(transport: Transport) -> None:
    go_on = asyncio.Event()
    chatty = saying(reply(b"one"), lambda conn: go_on.wait(), reply(b"for somebody else"), UNTIL_CLOSED)
    async with Misbehaving(in_turn(chatty, replying(reply(b"two")))) as server:
        assert await fetch(transport, post(server.url)) == (200, b"one")
        go_on.set()
        await until(lambda: server.conns[0].sent_bytes == len(reply(b"one") + reply(b"for somebody else")))
        assert await fetch(transport, post(server.url)) == (200, b"two")


async def test_fifty_requests_at_a_time_each_get_their_own_reply(transport: Transport) -> None:
    together = asyncio.Barrier(50)

    async def handler(conn: Conn) -> None:
        while (request := await conn.read_request()) is not None:
            await together.wait()
            await conn.send(chunked_head() + chunk(request.target.encode()) + LAST_CHUNK)

    async with Misbehaving(handler) as server:
        for _ in range(2):
            requests = [Request("POST", f"{server.url}/{number}", body=b"x") for number in range(50)]
            replies = await asyncio.gather(*(fetch(transport, request) for request in requests))
            assert replies == [(200, b"/%d" % number) for number in range(50)]
        assert len(server.conns) == 50


# -- hanging up ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def cancelled(work: Awaitable[object]) -> AsyncIterator[None]:
    """Run `work` during the block, and cancel it at its end."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_cancelled_handshake_is_hung_up(transport: Transport) -> None:
    async with Misbehaving(Conn.wait_closed) as server:
        async with cancelled(transport.send(post(server.url.replace("http:", "https:")))):
            await server.conn()
            await asyncio.sleep(0.02)  # into the handshake, of which the server says nothing
        await server.hang_up()


async def test_a_cancelled_connect_leaves_nothing_behind(transport: Transport) -> None:
    async with Misbehaving(Conn.wait_closed) as server:
        async with cancelled(transport.send(post(server.url))):
            await asyncio.sleep(0)
        await transport.aclose()
        if server.conns:
            await server.hang_up()


async def test_a_cancelled_upload_is_hung_up(transport: Transport) -> None:
    go_on = asyncio.Event()

    async def handler(conn: Conn) -> None:
        await conn.read_head()
        await go_on.wait()
        await conn.wait_closed()

    async with Misbehaving(handler) as server:
        async with cancelled(transport.send(post(server.url, bytes(32 << 20)))):
            await server.request()
        go_on.set()
        await server.hang_up()


async def test_a_cancelled_wait_for_the_headers_is_hung_up(transport: Transport) -> None:
    async with Misbehaving(saying(UNTIL_CLOSED)) as server:
        async with cancelled(transport.send(post(server.url))):
            await server.request()
        await server.hang_up()


async def test_a_cancelled_wait_for_the_body_is_hung_up(transport: Transport) -> None:
    async with Misbehaving(saying(chunked_head() + chunk(b"abc"), UNTIL_CLOSED)) as server:
        response = await transport.send(post(server.url))
        pieces = response.pieces()
        assert await anext(pieces) == b"abc"
        async with cancelled(anext(pieces)):
            await asyncio.sleep(0)
        await server.hang_up()
        await response.aclose()


async def test_a_cancelled_read_is_hung_up(transport: Transport) -> None:
    async with Misbehaving(saying(chunked_head() + chunk(b"abc"), UNTIL_CLOSED)) as server:
        async with cancelled(fetch(transport, post(server.url))):
            await server.request()
            await asyncio.sleep(0.02)  # into the body
        await server.hang_up()


async def test_closing_before_the_body_is_read_hangs_up(transport: Transport) -> None:
    async with Misbehaving(saying(chunked_head(), UNTIL_CLOSED)) as server:
        response = await transport.send(post(server.url))
        await response.aclose()
        await server.hang_up()


async def test_closing_in_the_body_hangs_up(transport: Transport) -> None:
    async with Misbehaving(saying(chunked_head() + chunk(b"abc"), UNTIL_CLOSED)) as server:
        response = await transport.send(post(server.url))
        async for _ in response.pieces():
            break
        await response.aclose()
        await response.aclose()
        await server.hang_up()
        with pytest.raises(ReplyBroken):  # a closed reply never looks like a whole one
            await response.read(LIMIT)


async def test_closing_while_another_task_reads_ends_that_task(transport: Transport) -> None:
    async with Misbehaving(saying(chunked_head() + chunk(b"abc"), UNTIL_CLOSED)) as server:
        response = await transport.send(post(server.url))
        reading = asyncio.create_task(collect(response))
        await asyncio.sleep(0.02)
        await response.aclose()
        pieces, error = await reading
        assert pieces == [b"abc"]
        assert isinstance(error, ReplyBroken)
        await server.hang_up()


async def test_closing_after_the_end_keeps_the_connection(transport: Transport) -> None:
    async with Misbehaving(replying(reply(b"one"))) as server:
        for _ in range(2):
            response = await transport.send(post(server.url))
            assert await response.read(LIMIT) == b"one"
            await response.aclose()
            assert await collect(response) == ([], None)
        assert len(server.conns) == 1


async def test_a_cancelled_request_does_not_disturb_the_next(transport: Transport) -> None:
    async with Misbehaving(in_turn(saying(UNTIL_CLOSED), replying(reply(b"two")))) as server:
        async with cancelled(transport.send(post(server.url))):
            await server.request()
        assert await fetch(transport, post(server.url)) == (200, b"two")


async def test_closing_the_transport_ends_everything(transport: Transport) -> None:
    headers_only = saying(chunked_head(), UNTIL_CLOSED)
    async with Misbehaving(in_turn(headers_only, saying(UNTIL_CLOSED), saying(reply(b""), UNTIL_CLOSED))) as server:
        streaming = await transport.send(post(server.url))
        waiting = asyncio.create_task(transport.send(post(server.url)))
        await server.request(1)
        await fetch(transport, post(server.url))  # leaves an idle connection
        await transport.aclose()
        for number in range(3):
            await server.hang_up(number)
        with pytest.raises(ReplyBroken):
            await streaming.read(LIMIT)
        with pytest.raises(TransportError):
            await waiting
        with pytest.raises(ConnectFailed):
            await transport.send(post(server.url))


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("turns", range(12))
async def test_the_transport_may_be_closed_at_any_moment_of_a_request(
    transport: Transport, turns: int, scheme: str
) -> None:
    """`turns` of the loop after it was begun; to https the server never says a word of TLS."""
    handler = replying(reply(b"ok")) if scheme == "http" else Conn.wait_closed
    async with Misbehaving(handler) as server:
        task = asyncio.create_task(fetch(transport, post(server.url.replace("http", scheme))))
        for _ in range(turns):
            await asyncio.sleep(0)
        await transport.aclose()
        async with asyncio.timeout(1):
            (result,) = await asyncio.gather(task, return_exceptions=True)
        assert result == (200, b"ok") or isinstance(result, (ConnectFailed, ReplyBroken))


# -- back-pressure -------------------------------------------------------------------------------------------------


async def test_a_caller_that_does_not_read_stops_the_sender(transport: Transport) -> None:
    """What is on the way is bounded by the system's socket buffers and one piece."""
    total, most = 64 << 20, 24 << 20
    piece = bytes(1 << 20)

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(head(200, ("content-length", str(total))))
        for _ in range(total // len(piece)):
            await conn.send(piece)

    async with Misbehaving(handler) as server:
        response = await transport.send(get(server.url))
        pieces = response.pieces()
        size = len(await anext(pieces))
        before = -1
        while before != (before := server.conns[0].sent_bytes):  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # until the sender stands still
        assert before < most
        async for got in pieces:
            assert len(got) <= LIMIT
            size += len(got)
        assert size == total
