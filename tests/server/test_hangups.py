"""Callers who hang up, in each phase, and callers who are slow.

When a caller is gone the work stops within a second (`hang_up` waits no longer), and the ledger says so, once.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from canned import BLOCK, DELTA, END, MESSAGE, START, STREAM, sse, then, well_behaved
from misbehaving import LAST_CHUNK, Conn, Misbehaving, chunk, json_reply, sse_head
from rawhttp import HELLO, KEY, Wire, chunks, events, exchange, json_bytes, post, request
from serving import Serving, wait_until

from dragoman.engines.base import Generation
from dragoman.wire.events import Event
from dragoman.wire.types import Usage
from dragoman.wire.writer import BlockWriter

ASKING = {**HELLO, "stream": True}
BEGUN = sse_head() + chunk(sse(START, BLOCK, DELTA))
LARGE_DELTA = {**DELTA, "delta": {"type": "text_delta", "text": "x" * 60_000}}


async def hang_up(wire: Wire, how: str) -> None:
    if how == "reset":
        wire.reset()
    else:
        wire.close()


@pytest.fixture(params=["close", "reset"])
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# -- before the request is there ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"PO",
        b"POST /v1/messages HTTP/1.1\r\nx-api-k",
        post(HELLO)[:-20],
        request("POST", "/v1/messages", b"", ("content-length", "30000000")),
        request("POST", "/v1/messages", b"", ("content-length", "40000000")) + b"x" * 300_000,
        request("POST", "/v1/messages", chunks(json_bytes(HELLO), size=9)[:-9], ("transfer-encoding", "chunked")),
        request("POST", "/v1/messages", b"", ("content-length", "9"), ("expect", "100-continue")),
    ],
    ids=["nothing", "method", "headers", "body", "no body", "too large", "chunks", "expect"],
)
async def test_a_caller_who_leaves_before_the_request_is_there_leaves_nothing(sent: bytes, how: str) -> None:
    """There was no request, so the ledger has nothing to say."""
    async with Serving() as server:
        async with await Wire.connect(server.url) as wire:
            await wire.send(sent)
            await wait_until(lambda: server.connections == 1)
            await hang_up(wire, how)
        await wait_until(lambda: server.connections == 0, within_s=1)
        await server.settled()
        assert server.rows == []
        assert (await exchange(server.url, post(HELLO))).status == 200


# -- while the model works ------------------------------------------------------------------------------------------

PHASES = {
    "no headers": b"",
    "half the headers": sse_head()[:30],
    "no content": sse_head(),
    "message_start": sse_head() + chunk(sse(START)),
    "mid-stream": BEGUN,
    "mid-event": BEGUN + chunk(sse(DELTA)[:20]),
    "mid-chunk": BEGUN + chunk(sse(DELTA))[:20],
}


@pytest.mark.parametrize("phase", PHASES)
async def test_a_caller_of_a_stream_who_leaves_stops_the_upstream(phase: str, how: str) -> None:
    """STR-7, SDK-51."""
    sent = PHASES[phase]
    async with Misbehaving(then(sent)) as upstream, Serving(upstream=upstream.url) as server:
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(ASKING))
            await upstream.request()
            if sent.startswith(BEGUN):
                await wire.until(sse(DELTA))
            await hang_up(wire, how)
        await upstream.hang_up()
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["abandoned"]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\n", json_reply(MESSAGE)[:-9]], ids=["nothing", "head", "body"]
)
async def test_a_caller_of_a_reply_who_leaves_stops_the_upstream(sent: bytes, path: str, how: str) -> None:
    async with Misbehaving(then(sent)) as upstream, Serving(upstream=upstream.url) as server:
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(HELLO, path=path))
            await upstream.request()
            await hang_up(wire, how)
        await upstream.hang_up()
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["abandoned"]


@pytest.mark.parametrize("sent", [b"", sse_head() + chunk(sse(START)), BEGUN])
async def test_a_caller_who_leaves_amid_pings_stops_the_upstream(sent: bytes, how: str) -> None:
    async with Misbehaving(then(sent)) as upstream, Serving(upstream=upstream.url, ping_after_s=0.05) as server:
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(ASKING))
            await wire.until(b"event: ping\n")
            await hang_up(wire, how)
        await upstream.hang_up()
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["abandoned"]


async def test_a_caller_who_leaves_while_connecting_stops_the_attempt() -> None:
    """The upstream's queue of connections is full, so ours is never accepted."""
    async with Misbehaving(then(b"")) as upstream, Serving(upstream="http://127.0.0.1:9", provider={}) as server:
        never = asyncio.Event()

        async def stuck(*_: Any) -> Any:
            never.set()
            await asyncio.Event().wait()

        transport = server.gateway.upstream._providers[server.config.route_provider.name].transport
        transport.send = stuck  # type: ignore[method-assign]
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(ASKING))
            await never.wait()
        await wait_until(lambda: server.running == 0, within_s=1)
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["abandoned"]
        assert upstream.conns == []


async def flood(conn: Conn) -> None:
    """A stream without end, as fast as it is taken."""
    await conn.read_request()
    await conn.send(BEGUN)
    while True:
        await conn.send(chunk(sse(LARGE_DELTA)))


async def test_a_caller_who_does_not_read_and_leaves_stops_the_upstream(how: str) -> None:
    async with Misbehaving(flood) as upstream, Serving(upstream=upstream.url) as server:
        async with await Wire.connect(server.url, receive_bytes=4096) as wire:
            await wire.send(post(ASKING))
            conn = await upstream.conn()
            await standstill(conn)
            await hang_up(wire, how)
        await upstream.hang_up()
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["abandoned"]


@pytest.mark.parametrize("asked", [HELLO, ASKING], ids=["json", "stream"])
@pytest.mark.parametrize("behind", [1, 3, 40])
async def test_a_caller_who_pipelines_and_leaves_stops_the_upstream(asked: Any, behind: int) -> None:
    """The requests that wait were never begun."""
    async with Misbehaving(then(BEGUN[:20])) as upstream, Serving(upstream=upstream.url) as server:
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(asked) * (1 + behind))
            await upstream.request()
        await upstream.hang_up()
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["abandoned"]
        assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "more", [post(HELLO), post({**HELLO, "x": "y" * 500_000})[:-9], b"GARBAGE\r\n\r\n", b"\r\n" * 300_000]
)
async def test_whatever_comes_behind_a_request_a_hang_up_is_seen(more: bytes) -> None:
    async with Misbehaving(then(BEGUN)) as upstream, Serving(upstream=upstream.url) as server:
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(ASKING))
            await wire.until(sse(DELTA))
            await wire.send(more)
        await upstream.hang_up()
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["abandoned"]


@pytest.mark.parametrize("kept", [json_reply({**MESSAGE, "content": [{"type": "text", "text": "x" * 9_000_000}]})])
async def test_a_caller_who_leaves_before_the_stream_has_been_begun_stops_the_upstream(kept: bytes) -> None:
    """Its head cannot be written: the caller has not taken the reply before. So nothing of the stream was read."""

    async def handler(conn: Conn) -> None:
        while (asked := await conn.read_request()) is not None:
            await conn.send(BEGUN if asked.json().get("stream") else kept)

    async with Misbehaving(handler) as upstream, Serving(upstream=upstream.url) as server:
        async with await Wire.connect(server.url, receive_bytes=4096) as wire:
            await wire.send(post(HELLO) + post(ASKING))
            await upstream.request(1)
            await wait_until(lambda: [row["outcome"] for row in server.rows] == ["answered"])
            await asyncio.sleep(0.05)  # until the stream's first events are here: nothing announces it
        await upstream.hang_up(len(upstream.conns) - 1)
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["answered", "abandoned"]


class SlowEngine:
    """Says a word, then nothing. Notes when it is closed."""

    name = "slow"

    def __init__(self, *, says: bool) -> None:
        self.says = says
        self.is_asked = asyncio.Event()
        self.is_closed = asyncio.Event()

    async def generate(self, generation: Generation) -> AsyncIterator[list[Event]]:
        usage = Usage(input_tokens=1, output_tokens=1)
        writer = BlockWriter("msg_1", model=generation.model.id, usage=usage)
        try:
            self.is_asked.set()
            if self.says:
                yield [*writer.start(), *writer.text("word")]
            await asyncio.Event().wait()
        finally:
            self.is_closed.set()


@pytest.mark.parametrize("says", [False, True])
@pytest.mark.parametrize("asked", [HELLO, ASKING], ids=["json", "stream"])
async def test_a_caller_who_leaves_stops_the_engine(asked: Any, says: bool, how: str) -> None:
    """STR-7."""
    engine = SlowEngine(says=says)
    async with Serving(engine=engine) as server:
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(asked))
            await engine.is_asked.wait()
            if says and asked is ASKING:
                await wire.until(b"word")
            await hang_up(wire, how)
        async with asyncio.timeout(1):
            await engine.is_closed.wait()
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["abandoned"]


async def test_two_hundred_callers_who_leave_at_any_moment_leave_nothing() -> None:
    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await conn.send(sse_head())
            for event in STREAM:
                await asyncio.sleep(0)
                await conn.send(chunk(sse(event)))
            await conn.send(LAST_CHUNK)

    async with Misbehaving(handler) as upstream, Serving(upstream=upstream.url) as server:

        async def leave_after(turns: int) -> None:
            async with await Wire.connect(server.url) as wire:
                await wire.send(post(ASKING))
                for _ in range(turns):
                    await asyncio.sleep(0)
                wire.reset() if turns % 2 else wire.close()

        for turns in range(0, 200, 20):
            await asyncio.gather(*(leave_after(turns + more) for more in range(20)))
        await server.settled()
        await wait_until(lambda: server.connections == 0)
        assert len(server.rows) <= 200
        assert {row["outcome"] for row in server.rows} <= {"abandoned", "answered"}
        assert len({row["request_id"] for row in server.rows}) == len(server.rows)


# -- slow callers ---------------------------------------------------------------------------------------------------


async def standstill(conn: Conn, *, for_s: float = 0.3) -> None:
    """Wait until the upstream gets nothing more rid of."""
    loop = asyncio.get_running_loop()
    seen, since = -1, loop.time()
    while loop.time() - since < for_s:
        if conn.sent_bytes != seen:
            seen, since = conn.sent_bytes, loop.time()
        await asyncio.sleep(0.01)


async def test_a_caller_who_does_not_read_slows_the_upstream_down_and_misses_nothing() -> None:
    """Bounded: what lies between is the systems' buffers (some megabytes each on Linux), and little of ours."""
    count = 1500  # of 60 KB: 90 MB

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(BEGUN)
        for _ in range(count):
            await conn.send(chunk(sse(LARGE_DELTA)))
        await conn.send(chunk(sse(*END)) + LAST_CHUNK)

    async with Misbehaving(handler) as upstream, Serving(upstream=upstream.url) as server:
        async with await Wire.connect(server.url, receive_bytes=4096) as wire:
            await wire.send(post(ASKING))
            conn = await upstream.conn()
            await standstill(conn)
            assert conn.sent_bytes < 30_000_000
            await wire.head()
            size = 0
            tail = b""
            while piece := (await wire.chunk())[0]:
                size += len(piece)
                tail = piece
        assert size == len(sse(START, BLOCK, DELTA, *END)) + count * len(sse(LARGE_DELTA))
        assert tail.endswith(sse(END[-1]))
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["answered"]


async def test_a_caller_who_does_not_read_gets_no_pile_of_pings() -> None:
    """Pings are for silence; a caller who takes nothing is not silent but slow."""
    async with Misbehaving(flood) as upstream, Serving(upstream=upstream.url, ping_after_s=0.02) as server:
        async with await Wire.connect(server.url, receive_bytes=4096) as wire:
            await wire.send(post(ASKING))
            await standstill(await upstream.conn())
            got = b""
            while len(got) < 5_000_000:
                got += (await wire.chunk())[0] if got else (await wire.head(), b"-")[1]
            assert got.count(b"event: ping") <= 1
        await upstream.hang_up()


@pytest.mark.parametrize("asked", [HELLO, ASKING], ids=["json", "stream"])
async def test_a_caller_who_speaks_and_listens_byte_by_byte_misses_nothing(asked: Any) -> None:
    async with (
        Misbehaving(well_behaved) as upstream,
        Serving(upstream=upstream.url) as server,
        await Wire.connect(server.url, receive_bytes=1) as wire,
    ):
        await wire.send_slowly(post(asked))
        status, headers = await wire.head()
        assert status == 200
        if asked is HELLO:
            assert await wire.exactly(int(dict(headers)["content-length"])) == json_bytes(MESSAGE)
            return
        loop, got = asyncio.get_running_loop(), b""
        while not got.endswith(LAST_CHUNK):
            got += bytes(wire._unread) or await loop.sock_recv(wire.sock, 1)
            wire._unread.clear()
    assert sse(*STREAM) in got


async def test_a_chunked_request_in_single_bytes_is_read() -> None:
    async with Serving() as server:
        async with await Wire.connect(server.url) as wire:
            body = chunks(json_bytes(ASKING), size=1)
            await wire.send_slowly(request("POST", "/v1/messages", body, ("transfer-encoding", "chunked")), step=3)
            reply = await wire.reply()
        assert events(reply.body)[-1][0] == "message_stop"


async def test_a_large_reply_reaches_a_slow_caller_whole() -> None:
    body = json_bytes({**MESSAGE, "content": [{"type": "text", "text": "y" * 20_000_000}]})
    async with (
        Misbehaving(then(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)) as upstream,
        Serving(upstream=upstream.url) as server,
        await Wire.connect(server.url, receive_bytes=4096) as wire,
    ):
        await wire.send(post(HELLO, ("connection", "close")))
        await server.settled()
        assert (await wire.reply()).body == body


async def test_a_caller_who_half_closes_counts_as_gone() -> None:
    """It cannot be told from one who hung up; nginx takes it for that too."""
    import socket

    async with (
        Misbehaving(then(b"")) as upstream,
        Serving(upstream=upstream.url) as server,
        await Wire.connect(server.url) as wire,
    ):
        await wire.send(post(HELLO, key=KEY))
        await upstream.request()
        wire.sock.shutdown(socket.SHUT_WR)
        await upstream.hang_up()
        assert await wire.is_closed()
