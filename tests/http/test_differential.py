"""Two thousand random replies that are legal, read the same by both transports and as they were meant; two thousand
that are not, refused. A failing reply is named by its seed: `legal(seed)`, `broken(seed)`.

Where httpx2 (h11 0.16) and ours part; each was decided by RFC 9112 and has its test at the end:

- Ours refuses more. What it refuses it may or must; whoever reads such bytes otherwise than the next on the way can be
  made to take one reply for another's.
- Ours reads heads up to 256 KiB, h11 up to 100; and chunk sizes behind any number of zeros, h11 up to 20 digits.
- HTTP/1.0 with `keep-alive`: section 9.3 lets a client keep the connection; ours does, h11 never. Either is accepted.
- h11 writes the names of transfer codings in lower case; they mean the same in any case (section 7).
"""

import asyncio
import functools
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from random import Random

import pytest
from replies_broken import KINDS, Broken, broken, overfull
from replies_http import Legal, cut_at, legal, random_cuts

from dragoman.http.aio import FastTransport
from dragoman.http.base import ReplyBroken, Request, Timeouts, Transport
from dragoman.http.connection import Connection
from dragoman.http.foreign import HttpxTransport

COUNT = 2000
LIMIT = 1 << 20  # bytes, for `Response.read`
TIMEOUTS = Timeouts(connect_s=10, write_s=10, first_byte_s=10, idle_s=10)  # to fail a test rather than hang it

Result = tuple[int, list[tuple[str, str]], bytes]


@functools.cache
def legals() -> list[Legal]:
    return [legal(seed) for seed in range(COUNT)]


@functools.cache
def brokens() -> list[Broken]:
    return [broken(seed) for seed in range(COUNT)]


def meant(reply: Legal) -> Result:
    return reply.status, reply.headers, reply.body


# -- the machine ---------------------------------------------------------------------------------------------------


class Standing(Exception):
    """All was fed, and the reply is neither whole nor refused."""


def read(connection: Connection, pieces: list[bytes], *, closes: bool, take_at: Callable[[], bool]) -> Result:
    """What comes out of `connection`, which may be fed several pieces before one is taken. Raises ReplyBroken."""
    body = []
    for piece in pieces:
        connection.feed(piece)
        if take_at():
            body.append(connection.take() or b"")
    if closes:
        connection.feed_eof()
    while (taken := connection.take()) is not None:
        if not taken:
            raise Standing
        body.append(taken)
    return connection.status, connection.headers, b"".join(body)


def read_legal(connection: Connection, reply: Legal, pieces: list[bytes], rng: Random | None = None) -> None:
    connection.start(reply.method)
    take_at = (lambda: True) if rng is None else (lambda: rng.random() < 0.5)
    assert read(connection, pieces, closes=reply.ends_by_close, take_at=take_at) == meant(reply), reply
    assert reply.is_kept in (None, connection.is_reusable), reply
    assert connection.error is None


def test_legal_replies_one_after_the_other_at_random_cuts() -> None:
    """On one connection, as long as it may be used again."""
    rng = Random(1)
    connection = Connection("test")
    for reply in legals():
        for pieces in ([reply.data], random_cuts(rng, reply.data), random_cuts(rng, reply.data)):
            if not connection.is_reusable:
                connection = Connection("test")
            read_legal(connection, reply, pieces, rng)


def test_short_legal_replies_byte_by_byte() -> None:
    short = [reply for reply in legals() if len(reply.data) < 1000]
    assert len(short) > COUNT / 4
    for reply in short:
        read_legal(Connection("test"), reply, cut_at(reply.data, *range(1, len(reply.data))))


def test_legal_replies_at_every_single_cut() -> None:
    short = [reply for reply in legals() if len(reply.data) < 800][:80]
    connection = Connection("test")
    for reply in short:
        for at in range(1, len(reply.data)):
            if not connection.is_reusable:
                connection = Connection("test")
            read_legal(connection, reply, [reply.data[:at], reply.data[at:]])


def test_what_comes_behind_a_reply_is_no_part_of_it_and_the_connection_is_given_up() -> None:
    rng = Random(2)
    for seed in range(COUNT // 4):
        reply = overfull(seed)
        for pieces in ([reply.data], random_cuts(rng, reply.data), random_cuts(rng, reply.data)):
            read_legal(Connection("test"), reply, pieces, rng)


@pytest.mark.parametrize("kind", KINDS)
def test_illegal_replies_are_refused_at_random_cuts(kind: str) -> None:
    """By what came alone: but for those that were cut short, nobody has to hang up first."""
    rng = Random(3)
    of_this_kind = [reply for reply in brokens() if reply.kind == kind]
    assert len(of_this_kind) >= COUNT // len(KINDS)
    for reply in of_this_kind:
        for pieces in ([reply.data], random_cuts(rng, reply.data), random_cuts(rng, reply.data)):
            refuse(reply, pieces, lambda: rng.random() < 0.5)


def test_short_illegal_replies_byte_by_byte() -> None:
    short = [reply for reply in brokens() if len(reply.data) < 700]
    assert len(short) > COUNT / 4
    for reply in short:
        refuse(reply, cut_at(reply.data, *range(1, len(reply.data))), lambda: True)


def refuse(reply: Broken, pieces: list[bytes], take_at: Callable[[], bool]) -> None:
    connection = Connection("test")
    connection.start("GET")
    try:
        result = read(connection, pieces, closes=reply.closes, take_at=take_at)
    except ReplyBroken:
        if connection.error is not None:  # else it was the content-encoding: then it is for the driver to hang up
            assert connection.is_done
            assert not connection.is_reusable
    except Standing:
        pytest.fail(f"is waited for: {reply}")
    else:
        pytest.fail(f"was read as {result}: {reply}")


# -- the transports ------------------------------------------------------------------------------------------------


class Answering(asyncio.Protocol):
    """Answers `/7` with the pieces of `answers[7]`, each in a turn of its own, and notes which connection asked."""

    def __init__(self, script: "Script") -> None:
        self._script = script
        self._heads = b""
        script.connections += 1
        self._number = script.connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._script.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._script.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._heads = (self._heads + data).split(b"\r\n\r\n")
        for head in heads:
            asked = re.match(rb"[A-Z]+ /([0-9]+) ", head)
            assert asked is not None
            at = int(asked[1])
            self._script.asked.append((at, self._number))
            pieces, closes = self._script.answers[at]
            self._send(iter(pieces), closes=closes)

    def _send(self, pieces: Iterator[bytes], *, closes: bool) -> None:
        if self._transport.is_closing():
            return
        if (piece := next(pieces, None)) is None:
            if closes:
                self._transport.close()
            return
        self._transport.write(piece)
        asyncio.get_running_loop().call_soon(functools.partial(self._send, pieces, closes=closes))


class Script:
    def __init__(self, answers: list[tuple[list[bytes], bool]]) -> None:
        """`answers`: the pieces of each, and whether the server hangs up behind them."""
        self.answers = answers
        self.asked: list[tuple[int, int]] = []  # answer and connection
        self.connections = 0
        self.open: set[asyncio.Transport] = set()


@asynccontextmanager
async def answering(script: Script, transport: Transport) -> AsyncIterator[str]:
    """The server's URL. `transport` is closed behind it."""
    server = await asyncio.get_running_loop().create_server(lambda: Answering(script), "127.0.0.1", 0)
    async with server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            await transport.aclose()
            while script.open:
                for conn in script.open:
                    conn.abort()
                await asyncio.sleep(0)


@functools.cache
def one_trust_store(**settings: bool) -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture(params=["fast", "httpx"])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Transport:
    monkeypatch.setattr("httpx2.create_ssl_context", one_trust_store)
    return FastTransport() if request.param == "fast" else HttpxTransport(trust_env=False)


async def fetch(transport: Transport, url: str, *, method: str = "GET") -> Result:
    response = await transport.send(Request(method, url, timeouts=TIMEOUTS))
    return response.status, response.headers, await response.read(LIMIT)


@pytest.mark.parametrize("blocks", range(4))
async def test_each_transport_reads_legal_replies_as_they_were_meant(transport: Transport, blocks: int) -> None:
    """And so both the same; on one connection, as long as it may be used again."""
    rng = Random(blocks)
    replies = legals()[blocks::4]
    script = Script([(random_cuts(rng, reply.data), reply.ends_by_close) for reply in replies])
    async with answering(script, transport) as url:
        for at, reply in enumerate(replies):
            status, headers, body = await fetch(transport, f"{url}/{at}", method=reply.method)
            assert (status, folded(headers), body) == (reply.status, folded(reply.headers), reply.body), reply
    assert [at for at, _ in script.asked] == list(range(len(replies)))
    for (at, connection), (_, next_connection) in zip(script.asked, script.asked[1:], strict=False):
        assert replies[at].is_kept in (None, connection == next_connection), replies[at]


def folded(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value.lower() if name == "transfer-encoding" else value) for name, value in headers]


@pytest.mark.parametrize("blocks", range(4))
async def test_an_illegal_reply_is_refused_and_the_next_request_gets_its_own(blocks: int) -> None:
    """On another connection: nothing of an illegal reply is left for the next."""
    rng = Random(blocks)
    transport = FastTransport()
    replies = brokens()[blocks::4]
    script = Script([])
    for at, reply in enumerate(replies):
        script.answers.append((random_cuts(rng, reply.data), reply.closes))
        script.answers.append(([own_reply(at)], False))
    async with answering(script, transport) as url:
        for at, reply in enumerate(replies):
            try:
                got = await fetch(transport, f"{url}/{2 * at}")
            except ReplyBroken:
                pass
            else:
                pytest.fail(f"was read as {got}: {reply}")
            assert await fetch(transport, f"{url}/{2 * at + 1}") == (200, [("content-length", "6")], b"%06d" % at), (
                reply
            )
    assert [at for at, _ in script.asked] == list(range(2 * len(replies)))  # none was sent again
    connections = [number for _, number in script.asked]
    assert all(connections[at] != connections[at + 1] for at in range(0, len(connections), 2))


async def test_what_comes_behind_a_reply_does_not_reach_the_next_request() -> None:
    rng = Random(4)
    transport = FastTransport()
    replies = [overfull(seed) for seed in range(COUNT // 4)]
    script = Script([])
    for at, reply in enumerate(replies):
        script.answers.append((random_cuts(rng, reply.data), False))
        script.answers.append(([own_reply(at)], False))
    async with answering(script, transport) as url:
        for at, reply in enumerate(replies):
            assert await fetch(transport, f"{url}/{2 * at}", method=reply.method) == meant(reply), reply
            assert await fetch(transport, f"{url}/{2 * at + 1}") == (200, [("content-length", "6")], b"%06d" % at), (
                reply
            )


OK = b"HTTP/1.1 200 OK\r\n"
ONLY_HTTPX = {
    "bare LF in the head": OK + b"x: y\ncontent-length: 3\r\n\r\nabc",  # section 2.2: may be read
    "obs-fold": OK + b"x: y\r\n z\r\ncontent-length: 3\r\n\r\nabc",  # section 5.2: a gateway may refuse it
    "controls in a value": OK + b"x: \x01\r\ncontent-length: 3\r\n\r\nabc",  # RFC 9110, section 5.5: invalid
    "space behind a chunk size": OK + b"transfer-encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",  # section 7.1
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",  # 6.1: faulty
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\ncontent-length: 3\r\n\r\nabc",  # section 2.3: not said in these bytes
    "1001 headers": OK + b"x:\r\n" * 1000 + b"content-length: 3\r\n\r\nabc",  # a limit of ours
}
ONLY_OURS = {
    "a head of 200 KiB": OK + b"x: " + b"y" * 200 * 1024 + b"\r\ncontent-length: 3\r\n\r\nabc",
    "a chunk size of 30 digits": OK + b"transfer-encoding: chunked\r\n\r\n" + b"0" * 29 + b"3\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", [*ONLY_HTTPX.values(), *ONLY_OURS.values()], ids=[*ONLY_HTTPX, *ONLY_OURS])
async def test_where_the_transports_differ(transport: Transport, data: bytes) -> None:
    is_read = (data in ONLY_OURS.values()) is isinstance(transport, FastTransport)
    async with answering(Script([([data], False)]), transport) as url:
        if is_read:
            status, _, body = await fetch(transport, f"{url}/0")
            assert (status, body) == (200, b"abc")
        else:
            with pytest.raises(ReplyBroken):
                await fetch(transport, f"{url}/0")


def own_reply(at: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n%06d" % at
