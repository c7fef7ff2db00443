"""What is the fast transport's own: its pool, its clock, `expect: 100-continue`, and TLS as both transports do it."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from misbehaving import LAST_CHUNK, Conn, Misbehaving, chunk, chunked_head, head, in_turn, json_reply, reply, replying

from dragoman.errors import ConfigError
from dragoman.http import dial as dialling
from dragoman.http.aio import FastTransport
from dragoman.http.base import (
    ConnectFailed,
    ConnectTimeout,
    FirstByteTimeout,
    IdleTimeout,
    ReplyBroken,
    Request,
    RequestInvalid,
    Timeouts,
    TotalTimeout,
    Transport,
)
from dragoman.http.dial import dial
from dragoman.http.foreign import HttpxTransport

LIMIT = 1 << 20  # bytes
SHORT = 0.05  # seconds


@asynccontextmanager
async def opened(transport: Any) -> AsyncIterator[Any]:
    try:
        yield transport
    finally:
        await transport.aclose()


async def fetch(transport: Transport, url: str, **timeouts: float) -> tuple[int, bytes]:
    limits = {"connect_s": 3.0, "write_s": 3.0, "first_byte_s": 3.0, "idle_s": 3.0} | timeouts
    response = await transport.send(Request("POST", url, body=b"{}", timeouts=Timeouts(**limits)))
    return response.status, await response.read(LIMIT)


def test_httpx_is_not_loaded() -> None:
    """httpx2 takes 80 ms and 15 MB; whoever does not use it does not pay."""
    code = "import sys, dragoman.http.aio; sys.exit(bool({'httpx2', 'httpcore2', 'anyio'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


# -- the pool ------------------------------------------------------------------------------------------------------


async def test_an_idle_connection_is_closed_without_another_request() -> None:
    async with opened(FastTransport(idle_expiry_s=SHORT)) as transport, Misbehaving(replying(reply(b"ok"))) as server:
        await fetch(transport, server.url)
        await server.hang_up(0)


async def test_a_connection_may_be_too_old_for_another_request() -> None:
    age_s = 6 * SHORT  # two requests have to fit in
    async with opened(FastTransport(max_age_s=age_s)) as transport, Misbehaving(replying(reply(b"ok"))) as server:
        await fetch(transport, server.url)
        await fetch(transport, server.url)
        assert len(server.conns) == 1
        await asyncio.sleep(1.2 * age_s)
        await fetch(transport, server.url)
        assert len(server.conns) == 2


async def test_an_idle_connection_that_the_server_closes_is_dropped_at_once() -> None:
    go_on = asyncio.Event()

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(reply(b"ok"))
        await go_on.wait()

    async with opened(FastTransport()) as transport, Misbehaving(handler) as server:
        await fetch(transport, server.url)
        assert len(transport._links) == 1
        go_on.set()
        async with asyncio.timeout(1):
            while transport._links:  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0)


async def test_no_more_idle_connections_are_kept_than_wished() -> None:
    together = asyncio.Barrier(4)

    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await together.wait()
            await conn.send(reply(b"ok"))

    async with opened(FastTransport(max_idle=2)) as transport, Misbehaving(handler) as server:
        await asyncio.gather(*(fetch(transport, server.url) for _ in range(4)))
        assert len(transport._links) == 2


async def test_who_waits_for_a_connection_is_served_in_the_order_of_coming() -> None:
    """On one connection: what goes over two at once may be read by the server in either order."""
    async with opened(FastTransport(max_connections=1)) as transport, Misbehaving(replying(json_reply({}))) as server:
        async with asyncio.timeout(20):
            await asyncio.gather(*(fetch(transport, f"{server.url}/{number}") for number in range(20)))
        assert [request.target for request in server.requests] == [f"/{number}" for number in range(20)]
        assert len(server.conns) == 1


@pytest.mark.parametrize("turns", range(8))
async def test_a_waiting_request_may_be_cancelled_and_loses_no_place(turns: int) -> None:
    async with opened(FastTransport(max_connections=1)) as transport, Misbehaving(replying(reply(b"ok"))) as server:
        tasks = [asyncio.create_task(fetch(transport, server.url)) for _ in range(5)]
        await server.request(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks[1:4]:
            task.cancel()
        async with asyncio.timeout(2):
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert results[0] == results[4] == (200, b"ok")
            assert await fetch(transport, server.url) == (200, b"ok")


async def test_the_wait_for_a_place_counts_as_connecting() -> None:
    async with opened(FastTransport(max_connections=1)) as transport, Misbehaving(Conn.wait_closed) as server:
        first = asyncio.create_task(fetch(transport, server.url))
        await server.conn()
        with pytest.raises(ConnectTimeout):
            await fetch(transport, server.url, connect_s=SHORT)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_many_requests_need_one_timer() -> None:
    async with opened(FastTransport()) as transport, Misbehaving(replying(reply(b"ok"))) as server:
        await fetch(transport, server.url)
        (link,) = transport._links
        timer = link._timer
        for _ in range(20):
            await fetch(transport, server.url, first_byte_s=600, idle_s=300)
        assert link._timer is timer


# -- what is written -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/a b", "/a\r\nx: y", "/a\tb", "/a\x00", "/\x7f"])
async def test_a_url_with_a_space_or_a_line_end_is_refused(path: str) -> None:
    async with opened(FastTransport()) as transport, Misbehaving(replying(reply(b"ok"))) as server:
        with pytest.raises(RequestInvalid):
            await transport.send(Request("GET", server.url + path))
        with pytest.raises(RequestInvalid):
            await transport.send(Request("GET /x", server.url))
        assert not server.conns


async def test_the_target_is_sent_as_written() -> None:
    async with opened(FastTransport()) as transport, Misbehaving(replying(reply(b"ok"))) as server:
        for path, target in [
            ("", "/"), ("?a=b", "/?a=b"), ("/a%2Fb//c?d=%20{}|'\"#top", "/a%2Fb//c?d=%20{}|'\""), ("/é", "/%C3%A9"),
        ]:  # fmt: skip
            await fetch(transport, server.url + path)
            assert server.requests[-1].target == target


async def test_the_same_headers_with_another_body_have_another_length() -> None:
    async with opened(FastTransport()) as transport, Misbehaving(replying(reply(b"ok"))) as server:
        for body in (b"one", b"three", b"", b"one"):
            response = await transport.send(Request("POST", server.url, [("x", "y")], body))
            await response.read(LIMIT)
            assert server.requests[-1].body == body
            assert server.requests[-1].header("content-length") == str(len(body))


# -- pieces in the step in which they come -------------------------------------------------------------------------


@asynccontextmanager
async def forwarding(*pieces: bytes, more: bytes = LAST_CHUNK, **timeouts: float) -> AsyncIterator[Any]:
    """The pieces of a chunked reply, one after another once the one before was taken: `said` is set for that."""
    said = asyncio.Event()

    async def handler(conn: Conn) -> None:
        while await conn.read_request():
            await conn.send(chunked_head())
            for piece in pieces:
                await conn.send(chunk(piece))
                await said.wait()
                said.clear()
            await conn.send(more)

    async with opened(FastTransport()) as transport, Misbehaving(handler) as server:
        request = Request("POST", server.url, timeouts=Timeouts(**{"idle_s": 3.0} | timeouts))
        response = await transport.send(request)
        yield SimpleNamespace(
            transport=transport, response=response, pieces=response.pieces(), said=said, server=server, request=request
        )


async def test_pieces_are_given_as_they_come_and_the_end_is_told_as_ever() -> None:
    async with forwarding(b"one", b"two", b"three") as it:
        got = []

        def take(piece: bytes) -> bool:
            got.append(piece)
            it.said.set()
            return True

        await asyncio.wait_for(it.pieces.forward(take), 5)
        assert got == [b"one", b"two", b"three"]
        assert not it.response.is_complete
        assert [piece async for piece in it.pieces] == []
        assert it.response.is_complete
        await it.pieces.forward(take)  # there is nothing more
        await it.transport.send(it.request)
        assert len(it.server.conns) == 1


async def test_who_takes_no_more_gets_the_rest_piece_by_piece() -> None:
    async with forwarding(b"one", b"two", b"three") as it:
        got = []

        def take(piece: bytes) -> bool:
            got.append(piece)
            it.said.set()
            return len(got) < 2

        await asyncio.wait_for(it.pieces.forward(take), 5)
        assert got == [b"one", b"two"]
        assert await anext(it.pieces) == b"three"
        it.said.set()
        assert [piece async for piece in it.pieces] == []


@pytest.mark.parametrize("at", [1, 2], ids=["the first piece", "a later one"])
async def test_what_the_taker_raises_comes_out_and_gives_the_reply_up(at: int) -> None:
    async with forwarding(b"one", b"two", b"three") as it:
        got = []

        def take(piece: bytes) -> bool:
            got.append(piece)
            it.said.set()
            if len(got) == at:
                raise LookupError(piece)
            return True

        with pytest.raises(LookupError):
            await asyncio.wait_for(it.pieces.forward(take), 5)
        assert len(got) == at
        with pytest.raises(ReplyBroken):
            await anext(it.pieces)


@pytest.mark.parametrize(
    ("limits", "expected"), [({"idle_s": SHORT}, IdleTimeout), ({"total_s": 2 * SHORT}, TotalTimeout)]
)
async def test_limits_of_time_hold_while_pieces_are_given(limits: dict[str, float], expected: type[Exception]) -> None:
    async with forwarding(b"one", b"two", **limits) as it:
        got = []

        def take(piece: bytes) -> bool:
            got.append(piece)
            if len(got) == 1:
                it.said.set()
            return True

        with pytest.raises(expected):
            await asyncio.wait_for(it.pieces.forward(take), 5)
        assert got == [b"one", b"two"]


async def test_a_reply_that_breaks_off_while_pieces_are_given_is_broken() -> None:
    async with forwarding(b"one", more=b"no chunk\r\n") as it:
        got = []

        def take(piece: bytes) -> bool:
            got.append(piece)
            it.said.set()
            return True

        await asyncio.wait_for(it.pieces.forward(take), 5)
        with pytest.raises(ReplyBroken):
            await anext(it.pieces)
        assert got == [b"one"]


@pytest.mark.parametrize("how", ["cancelled", "closed"])
async def test_nothing_is_given_to_who_has_left(how: str) -> None:
    async with forwarding(b"one", more=chunk(b"two")) as it:
        got = []
        has_one = asyncio.Event()

        def take(piece: bytes) -> bool:
            got.append(piece)
            has_one.set()
            return True

        task = asyncio.create_task(it.pieces.forward(take))
        await asyncio.wait_for(has_one.wait(), 5)
        if how == "cancelled":
            task.cancel()
        else:
            await it.response.aclose()
        it.said.set()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled() == (how == "cancelled")
        await it.server.hang_up(0)
        assert got == [b"one"]


# -- expect: 100-continue ------------------------------------------------------------------------------------------

BODY = b"b" * 100


def expecting(url: str) -> Request:
    return Request("POST", url, [("expect", "100-continue")], BODY, Timeouts(connect_s=3, first_byte_s=3, idle_s=3))


async def test_the_body_waits_for_100() -> None:
    early = []

    async def handler(conn: Conn) -> None:
        await conn.read_head()
        await asyncio.sleep(SHORT)
        early.append(len(conn._unread))
        await conn.send(head(100))
        assert await conn._read_exactly(len(BODY)) == BODY
        await conn.send(reply(b"ok"))
        await conn.wait_closed()

    async with opened(FastTransport()) as transport, Misbehaving(handler) as server:
        response = await transport.send(expecting(server.url))
        assert (response.status, await response.read(LIMIT), early) == (200, b"ok", [0])


async def test_a_final_status_instead_of_100_leaves_the_body_unsent_and_hangs_up() -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_head()
        await conn.send(reply(b"no", status=417))
        assert await conn.read_some() == b""

    async with opened(FastTransport()) as transport, Misbehaving(in_turn(handler, replying(reply(b"ok")))) as server:
        response = await transport.send(expecting(server.url))
        assert (response.status, await response.read(LIMIT)) == (417, b"no")
        await server.hang_up(0)
        assert await fetch(transport, server.url) == (200, b"ok")


async def test_without_a_100_the_body_goes_out_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.http.link.CONTINUE_S", SHORT)
    async with opened(FastTransport()) as transport, Misbehaving(replying(reply(b"ok"))) as server:
        response = await transport.send(expecting(server.url))
        assert (response.status, await response.read(LIMIT)) == (200, b"ok")
        assert server.requests[0].body == BODY


async def test_a_wait_for_100_is_no_wait_for_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.http.link.CONTINUE_S", 0.01)
    async with opened(FastTransport()) as transport, Misbehaving(Conn.wait_closed) as server:
        request = expecting(server.url)
        with pytest.raises(FirstByteTimeout):
            await transport.send(
                Request("POST", request.url, request.headers, BODY, Timeouts(connect_s=3, first_byte_s=SHORT))
            )
        await server.hang_up()


# -- names and addresses -------------------------------------------------------------------------------------------


async def test_a_dead_address_is_passed_over_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305: the second address joins in before the first has failed."""
    monkeypatch.setattr(dialling, "HEAD_START_S", 0.01)
    attempts: list[object] = []
    connect = dialling._connect

    async def slow_first(address: Any) -> Any:
        attempts.append(address)
        if len(attempts) == 1:
            await asyncio.Event().wait()
        return await connect(address)

    monkeypatch.setattr(dialling, "_connect", slow_first)
    async with Misbehaving(Conn.wait_closed) as server:
        address = (dialling.socket.AF_INET, ("127.0.0.1", server.port))
        async with asyncio.timeout(1):
            sock = await dialling._race([address, address])
        assert sock.getpeername()[1] == server.port
        sock.close()
        assert len(attempts) == 2


async def test_the_first_failure_is_told_when_no_address_answers() -> None:
    async with Misbehaving(Conn.wait_closed) as server:
        port = server.port
    with pytest.raises(ConnectionRefusedError):
        await dialling._race([(dialling.socket.AF_INET, ("127.0.0.1", port))] * 2)
    with pytest.raises(ConnectionRefusedError):
        await dial("127.0.0.1", port)


# -- TLS, with both transports -------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("make", [FastTransport, HttpxTransport])


@asynccontextmanager
async def tls_server(
    identity: Path, answer: Callable[[asyncio.StreamWriter], Awaitable[None] | None], *, asks: bool = False
) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(identity / "both.pem")
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(identity / "cert.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"{}")
            answer(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone: the test looks at what it says
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context, limit=8 << 20)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@BOTH
@pytest.mark.parametrize("files", [("both.pem", None), ("cert.pem", "key.pem")])
async def test_a_client_certificate_is_shown(make: Any, files: tuple[str, str | None], identity: Path) -> None:
    cert, key = identity / files[0], None if files[1] is None else identity / files[1]
    transport = make(ca_file=identity / "cert.pem", client_cert_file=cert, client_key_file=key)
    async with opened(transport), tls_server(identity, lambda w: w.write(reply(b"known")), asks=True) as url:
        assert await fetch(transport, url) == (200, b"known")


@BOTH
async def test_a_server_that_asks_for_a_certificate_refuses_who_has_none(make: Any, identity: Path) -> None:
    transport = make(ca_file=identity / "cert.pem")
    async with opened(transport), tls_server(identity, lambda w: w.write(reply(b"known")), asks=True) as url:
        with pytest.raises((ConnectFailed, ReplyBroken)):
            await fetch(transport, url)


@BOTH
@pytest.mark.parametrize("files", [("none.pem", None), ("cert.pem", None), ("key.pem", "cert.pem"), (None, "key.pem")])
def test_a_certificate_that_cannot_be_used_is_a_config_error(
    make: Any, files: tuple[str | None, str | None], identity: Path
) -> None:
    cert, key = (None if name is None else identity / name for name in files)
    with pytest.raises(ConfigError, match=r"client_(cert|key)_file '.*pem'"):
        make(client_cert_file=cert, client_key_file=key)


async def test_trust_names_and_large_bodies_over_tls(identity: Path) -> None:
    body = bytes(3 << 20)
    async with (
        opened(FastTransport(ca_file=identity / "cert.pem")) as transport,
        opened(FastTransport()) as stranger,
        tls_server(identity, lambda writer: writer.write(reply(body))) as url,
    ):
        response = await transport.send(Request("POST", url, body=body + b"{}"))
        assert await response.read(4 << 20) == body
        with pytest.raises(ConnectFailed, match=r"self.signed certificate"):
            await fetch(stranger, url)
        with pytest.raises(ConnectFailed, match="localhost"):
            await fetch(transport, url.replace("127.0.0.1", "localhost"))


@pytest.mark.parametrize("data", [head(200) + b"abc", chunked_head() + chunk(b"abc")], ids=["until close", "chunks"])
async def test_tls_that_is_cut_without_a_word_is_broken(data: bytes, identity: Path) -> None:
    def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.transport.abort()

    async with opened(FastTransport(ca_file=identity / "cert.pem")) as transport, tls_server(identity, answer) as url:
        with pytest.raises(ReplyBroken):
            await fetch(transport, url)


async def test_tls_that_ends_in_order_ends_a_body_without_length(identity: Path) -> None:
    async with opened(FastTransport(ca_file=identity / "cert.pem")) as transport:
        async with tls_server(identity, lambda w: w.write(head(200) + b"abc")) as url:
            assert await fetch(transport, url) == (200, b"abc")
        async with tls_server(identity, lambda w: w.write(chunked_head() + chunk(b"abc") + LAST_CHUNK)) as url:
            assert await fetch(transport, url) == (200, b"abc")
