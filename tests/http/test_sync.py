"""What is the blocking transport's own: threads that share it, its pool, its clock, forks, and TLS. What it has in
common with the others is in test_contract.py.
"""

import asyncio
import selectors
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from misbehaving import LAST_CHUNK, Conn, Handler, Misbehaving, chunk, chunked_head, head, in_turn, reply, replying
from threaded import in_thread

from dragoman.errors import ConfigError
from dragoman.http import syncdial
from dragoman.http.addresses import literal
from dragoman.http.base import (
    ConnectFailed,
    ConnectTimeout,
    FirstByteTimeout,
    ReplyBroken,
    Request,
    SyncResponse,
    SyncTransport,
    Timeouts,
    TotalTimeout,
    TransportError,
)
from dragoman.http.heads import Origin
from dragoman.http.sync import BlockingTransport
from dragoman.http.syncdial import Patience, dial
from dragoman.http.synclink import SyncLink
from dragoman.http.syncpool import SyncPool

LIMIT = 1 << 20  # bytes
SHORT = 0.05  # seconds


@pytest.fixture
def transport() -> Iterator[BlockingTransport]:
    with BlockingTransport() as transport:
        yield transport


def post(url: str, body: bytes = b"{}", *headers: tuple[str, str], **timeouts: float) -> Request:
    limits = {"connect_s": 3.0, "write_s": 3.0, "first_byte_s": 3.0, "idle_s": 3.0} | timeouts
    return Request("POST", url, list(headers), body, Timeouts(**limits))


def ask(transport: SyncTransport, request: Request) -> tuple[int, bytes]:
    with transport.send(request) as response:
        return response.status, response.read(LIMIT)


async def fetch(transport: SyncTransport, url: str, **timeouts: float) -> tuple[int, bytes]:
    return await in_thread(ask, transport, post(url, **timeouts))


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(2):
        while not is_so():  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.001)


def streaming(*parts: bytes) -> Handler:
    """A reply that begins and does not go on."""

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        for part in parts:
            await conn.send(part)
        await conn.wait_closed()

    return handler


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)


def test_asyncio_is_not_loaded() -> None:
    """It takes 40 ms, which programs without a loop need not pay."""
    code = "import sys, dragoman.http.sync; sys.exit(bool({'httpx2', 'asyncio', 'anyio'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


# -- the pool ------------------------------------------------------------------------------------------------------


async def test_an_expired_connection_is_not_used_again() -> None:
    with BlockingTransport(idle_expiry_s=SHORT) as transport:
        async with Misbehaving(replying(reply(b"ok"))) as server:
            for count in (1, 1, 2):
                if count == 2:
                    await asyncio.sleep(1.2 * SHORT)
                assert await fetch(transport, server.url) == (200, b"ok")
                assert len(server.conns) == count
            await server.hang_up(0)


async def test_a_new_connection_closes_the_expired_of_every_origin() -> None:
    with BlockingTransport(idle_expiry_s=SHORT) as transport:
        async with Misbehaving(replying(reply(b"a"))) as one, Misbehaving(replying(reply(b"b"))) as other:
            await fetch(transport, one.url)
            await asyncio.sleep(1.2 * SHORT)
            await fetch(transport, other.url)
            await one.hang_up(0)


async def test_a_connection_may_be_too_old_for_another_request() -> None:
    with BlockingTransport(max_age_s=SHORT) as transport:
        async with Misbehaving(replying(reply(b"ok"))) as server:
            await fetch(transport, server.url)
            await fetch(transport, server.url)
            assert len(server.conns) == 1
            await asyncio.sleep(1.2 * SHORT)
            await fetch(transport, server.url)
            assert len(server.conns) == 2


async def test_no_more_idle_connections_are_kept_than_wished() -> None:
    together = asyncio.Barrier(4)

    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await together.wait()
            await conn.send(reply(b"ok"))

    with BlockingTransport(max_idle=2) as transport:
        async with Misbehaving(handler) as server:
            await asyncio.gather(*(fetch(transport, server.url) for _ in range(4)))
            await until(lambda: sum(conn.gone.is_set() for conn in server.conns) == 2)


async def test_many_threads_share_few_connections_and_get_their_own_replies() -> None:
    async def handler(conn: Conn) -> None:
        while (request := await conn.read_request()) is not None:
            await conn.send(chunked_head() + chunk(request.target.encode()) + LAST_CHUNK)

    with BlockingTransport(max_connections=4) as transport:
        async with Misbehaving(handler) as server:
            replies = await asyncio.gather(*(fetch(transport, f"{server.url}/{number}") for number in range(400)))
            assert replies == [(200, b"/%d" % number) for number in range(400)]
            assert len(server.conns) <= 4
            assert not any(conn.gone.is_set() for conn in server.conns)


async def test_who_waits_for_a_connection_is_served_in_the_order_of_coming() -> None:
    go_on = asyncio.Event()

    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await go_on.wait()
            await conn.send(reply(b"ok"))

    with BlockingTransport(max_connections=1) as transport:
        async with Misbehaving(handler) as server:
            tasks = []
            for number in range(10):
                tasks.append(asyncio.create_task(fetch(transport, f"{server.url}/{number}")))
                await (until(lambda: len(waiting(transport)) == number) if number else server.request(0))  # noqa: B023
            go_on.set()
            await asyncio.gather(*tasks)
            assert [request.target for request in server.requests] == [f"/{number}" for number in range(10)]
            assert len(server.conns) == 1


def waiting(transport: BlockingTransport) -> list[object]:
    return [turn for place in transport._pool._places.values() for turn in place.waiting]


async def test_the_wait_for_a_place_counts_as_connecting_and_leaves_the_queue() -> None:
    with BlockingTransport(max_connections=1) as transport:
        async with Misbehaving(streaming(chunked_head())) as server:
            first = await in_thread(transport.send, post(server.url))
            with pytest.raises(ConnectTimeout, match=r"no connection within 0\.05 s"):
                await fetch(transport, server.url, connect_s=SHORT)
            with pytest.raises(TotalTimeout):
                await fetch(transport, server.url, total_s=SHORT)
            assert waiting(transport) == []
            first.close()
            second = await in_thread(transport.send, post(server.url))
            assert second.status == 200


class Told(Patience):
    """Runs out when the test says so."""

    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        super().__init__("host", None, None, lambda: False)
        self.calls = 0
        self.then = then

    def left_s(self) -> float | None:
        self.calls += 1
        if self.calls == 2:  # in the wait
            self.then()
            raise KeyboardInterrupt
        return None


@pytest.mark.parametrize("kind", ["connection", "place"])
def test_what_is_given_to_a_thread_in_the_moment_of_its_end_goes_to_the_next(kind: str) -> None:
    pool = SyncPool(1, max_idle=1, kept_s=9)
    origin = Origin("http", "host", 80)
    link, other = linked(pool, origin)
    assert pool.acquire(origin, patient(), fresh=False) is None
    pool.join(link)
    with pytest.raises(KeyboardInterrupt):
        pool.acquire(origin, Told(lambda: end(link, is_over=kind == "connection")), fresh=False)
    assert pool.acquire(origin, patient(), fresh=False) is (link if kind == "connection" else None)
    pool.close()
    link.abort()
    link.leave()
    other.close()


def patient() -> Patience:
    return Patience("host", SHORT, None, lambda: False)


def linked(pool: SyncPool, origin: Origin) -> tuple[SyncLink, socket.socket]:
    ours, other = socket.socketpair()
    ours.setblocking(False)
    link = SyncLink("host", origin, pool, kept_s=9, max_age_s=9)
    link.attach(ours, None, patient())
    return link, other


def end(link: SyncLink, *, is_over: bool) -> None:
    if not is_over:
        link.abort()
    link.leave(is_over=is_over)


# -- closing from another thread -----------------------------------------------------------------------------------

CLOSED_IN: dict[str, tuple[Handler, str, bytes, type[TransportError]]] = {
    "handshake": (Conn.wait_closed, "https", b"", ConnectFailed),
    "request": (Conn.stall, "http", bytes(32 << 20), ReplyBroken),
    "headers": (streaming(b"HTTP/1.1 200 OK\r\n"), "http", b"", ReplyBroken),
    "body": (streaming(chunked_head(), chunk(b"abc")), "http", b"", ReplyBroken),
}


@pytest.mark.parametrize("phase", CLOSED_IN)
async def test_closing_the_transport_ends_the_wait_of_every_thread(phase: str) -> None:
    handler, scheme, body, error = CLOSED_IN[phase]
    async with Misbehaving(handler) as server:
        transport = BlockingTransport(max_connections=2)
        request = post(server.url.replace("http", scheme), body)
        tasks = [asyncio.create_task(in_thread(ask, transport, request)) for _ in range(3)]
        await server.conn(1)
        await until(lambda: len(waiting(transport)) == 1)
        await asyncio.sleep(0.02)  # into the phase
        transport.close()
        async with asyncio.timeout(1):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == sorted(
            kind.__name__ for kind in (error, error, ConnectFailed)
        )
        with pytest.raises(ConnectFailed, match="the transport has been closed"):
            await fetch(transport, server.url)


async def test_a_name_that_is_looked_up_for_ever_costs_no_more_than_its_time(
    transport: BlockingTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: go_on.wait() and [])
    with pytest.raises(ConnectTimeout):
        await fetch(transport, "http://slow.invalid", connect_s=SHORT)
    with pytest.raises(TotalTimeout):
        await fetch(transport, "http://slow.invalid", total_s=SHORT)
    task = asyncio.create_task(fetch(transport, "http://slow.invalid"))
    await asyncio.sleep(0.01)
    transport.close()
    with pytest.raises(ConnectFailed, match="the transport has been closed"):
        await task
    go_on.set()


async def test_a_reply_that_is_closed_late_does_not_disturb_the_next(transport: BlockingTransport) -> None:
    async with Misbehaving(replying(reply(b"one"), chunked_head() + chunk(b"two") + LAST_CHUNK)) as server:
        first = await in_thread(transport.send, post(server.url))
        assert await in_thread(first.read, LIMIT) == b"one"
        second = await in_thread(transport.send, post(server.url))
        first.close()
        assert await in_thread(second.read, LIMIT) == b"two"
        assert len(server.conns) == 1


async def test_replies_may_be_closed_at_any_moment_by_any_thread() -> None:
    """Whoever wins, the reader or who closes, the connection goes to one request at a time, and none is lost."""

    async def handler(conn: Conn) -> None:
        while (request := await conn.read_request()) is not None:
            target = request.target.encode()
            await conn.send(chunked_head() + chunk(target))
            await conn.send(chunk(target) + LAST_CHUNK)

    def race(number: int) -> bytes | None:
        response = transport.send(post(f"{server.url}/{number}"))
        closer = threading.Thread(target=response.close)
        closer.start()
        try:
            return response.read(LIMIT)
        except ReplyBroken:
            return None
        finally:
            closer.join()

    with BlockingTransport(max_connections=3) as transport:
        async with Misbehaving(handler) as server:
            results = await asyncio.gather(*(in_thread(race, number) for number in range(200)))
            assert all(result in (None, b"/%d" % number * 2) for number, result in enumerate(results))
            assert await fetch(transport, f"{server.url}/x") == (200, b"/x/x")
            await until(lambda: sum(not conn.gone.is_set() for conn in server.conns) <= 3)


async def test_an_interrupt_in_a_wait_hangs_up_and_leaves_the_place(
    transport: BlockingTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KeyboardInterrupt, in the main thread of a program."""
    async with Misbehaving(streaming(chunked_head())) as server:
        response = await in_thread(transport.send, post(server.url))
        monkeypatch.setattr(selectors.PollSelector, "select", interrupted)
        with pytest.raises(KeyboardInterrupt):
            response.read(LIMIT)
        monkeypatch.undo()
        await server.hang_up()
        assert not transport._pool._places
        with pytest.raises(ReplyBroken):
            response.read(LIMIT)


def interrupted(*_: object) -> object:
    raise KeyboardInterrupt


# -- processes -----------------------------------------------------------------------------------------------------

FORKING = """
import os, signal, sys
from dragoman.http.base import ReplyBroken, Request
from dragoman.http.sync import BlockingTransport

url = sys.argv[1]
transport = BlockingTransport(max_connections=2)
ask = lambda path: transport.send(Request("GET", url + path)).read(99)
assert ask("/parent") == b"ok"
streaming = transport.send(Request("GET", url + "/stream"))
assert next(streaming.pieces()) == b"abc"
transport.send(Request("GET", url + "/parent")).read(99)  # both places are used
lock = transport._pool._lock
lock.acquire()  # as another thread may hold it in the moment of the fork
child = os.fork()
if child:
    lock.release()
else:
    signal.alarm(5)
    try:
        assert ask("/child") == b"ok"
        assert ask("/child") == b"ok"
        try:
            streaming.read(99)
        except ReplyBroken:
            streaming.close()
            transport.close()
            os._exit(0)
    finally:
        os._exit(1)
assert os.waitpid(child, 0)[1] == 0
assert ask("/parent") == b"ok"
assert streaming.read(99) == b"def"
transport.close()
"""


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no fork here")
async def test_a_forked_process_has_connections_of_its_own() -> None:
    parent_again = asyncio.Event()

    async def handler(conn: Conn) -> None:
        while (request := await conn.read_request()) is not None:
            if request.target == "/stream":
                await conn.send(chunked_head() + chunk(b"abc"))
                await parent_again.wait()
                await conn.send(chunk(b"def") + LAST_CHUNK)
            else:
                if len(server.requests) == 6:
                    parent_again.set()
                await conn.send(reply(b"ok"))

    async with Misbehaving(handler) as server:
        result = await in_thread(run, FORKING, server.url)
        assert (result.returncode, result.stderr) == (0, "")
        targets = [request.target for request in server.requests]
        assert targets == ["/parent", "/stream", "/parent", "/child", "/child", "/parent"]
        assert len(server.conns) == 3  # two of the parent, one of the child


HOLDING = """
import os, sys
from dragoman.http.base import Request
from dragoman.http.sync import BlockingTransport

with BlockingTransport() as transport:
    transport.send(Request("GET", sys.argv[1])).read(99)
    child = os.fork()
    if not child:
        sys.stdin.read()
        os._exit(0)
print("closed", flush=True)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no fork here")
async def test_a_forked_process_does_not_hold_its_parents_connections_open() -> None:
    async with Misbehaving(replying(reply(b"ok"))) as server:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOLDING, server.url, stdin=pipe, stdout=pipe
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"closed\n"
        await server.hang_up()
        await process.communicate(b"")


LEAVING = """
import sys, threading
from dragoman.http.base import ReplyBroken, Request
from dragoman.http.sync import BlockingTransport

url = sys.argv[1]
transport = BlockingTransport()
transport.send(Request("GET", url)).read(99)
begun = transport.send(Request("GET", url + "/begun"))
read = transport.send(Request("GET", url + "/begun"))
def reading():
    try:
        read.read(99)
    except ReplyBroken:
        print("ended")
thread = threading.Thread(target=reading)
thread.start()
transport.close()
thread.join()
"""


async def test_a_program_that_ends_after_closing_its_transport_leaves_no_warning() -> None:
    async def handler(conn: Conn) -> None:
        while (request := await conn.read_request()) is not None:
            await conn.send(chunked_head() if request.target == "/begun" else reply(b"ok"))

    async with Misbehaving(handler) as server:
        result = await in_thread(run, LEAVING, server.url)
        assert (result.returncode, result.stdout, result.stderr) == (0, "ended\n", "")


# -- expect: 100-continue ------------------------------------------------------------------------------------------

EXPECT = ("expect", "100-continue")
BODY = b"b" * 100


async def test_the_body_waits_for_100(transport: BlockingTransport) -> None:
    early = []

    async def handler(conn: Conn) -> None:
        await conn.read_head()
        await asyncio.sleep(SHORT)
        early.append(len(conn._unread))
        await conn.send(head(100))
        assert await conn._read_exactly(len(BODY)) == BODY
        await conn.send(reply(b"ok"))
        await conn.wait_closed()

    async with Misbehaving(handler) as server:
        assert await in_thread(ask, transport, post(server.url, BODY, EXPECT)) == (200, b"ok")
        assert early == [0]


async def test_a_final_status_instead_of_100_leaves_the_body_unsent_and_hangs_up(transport: BlockingTransport) -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_head()
        await conn.send(reply(b"no", status=417))
        assert await conn.read_some() == b""

    async with Misbehaving(in_turn(handler, replying(reply(b"ok")))) as server:
        assert await in_thread(ask, transport, post(server.url, BODY, EXPECT)) == (417, b"no")
        await server.hang_up(0)
        assert await fetch(transport, server.url) == (200, b"ok")


async def test_without_a_100_the_body_goes_out_after_a_while(
    transport: BlockingTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dragoman.http.synclink.CONTINUE_S", SHORT)
    async with Misbehaving(replying(reply(b"ok"))) as server:
        assert await in_thread(ask, transport, post(server.url, BODY, EXPECT)) == (200, b"ok")
        assert server.requests[0].body == BODY


async def test_a_wait_for_100_is_no_wait_for_the_reply(
    transport: BlockingTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dragoman.http.synclink.CONTINUE_S", 0.01)
    async with Misbehaving(Conn.wait_closed) as server:
        with pytest.raises(FirstByteTimeout, match=r"no reply within 0\.05 s"):
            await in_thread(ask, transport, post(server.url, BODY, EXPECT, first_byte_s=SHORT))
        await server.hang_up()


# -- a large request -----------------------------------------------------------------------------------------------


async def test_a_reply_on_the_headers_alone_ends_the_sending(transport: BlockingTransport) -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_head()
        await conn.send(reply(b"too large", status=413))
        await conn.stall()

    async with Misbehaving(handler) as server:
        assert await in_thread(ask, transport, post(server.url, bytes(32 << 20))) == (413, b"too large")
        assert not transport._pool._places  # half a request is on the way: nothing else may follow it


async def test_a_reply_that_comes_while_the_request_is_sent_stays_bounded(transport: BlockingTransport) -> None:
    """A server that echoes as it reads: what it says is read, but only so much of it, and the request goes on."""
    size = 32 << 20

    async def handler(conn: Conn) -> None:
        await conn.read_head()
        await conn.send(head(200, ("content-length", str(size))))
        left = size
        while left:
            data = await conn.read_some()
            left -= len(data)
            await conn.send(data)

    async with Misbehaving(handler) as server:
        with pytest.raises(TransportError, match="has taken nothing of the request"):
            await in_thread(transport.send, post(server.url, bytes(size), write_s=4 * SHORT))
        await server.hang_up()
        assert server.conns[0].sent_bytes < 24 << 20  # the system's buffers, and ours


# -- names and addresses -------------------------------------------------------------------------------------------


async def test_a_dead_address_is_passed_over_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305: the second address joins in before the first has failed."""
    monkeypatch.setattr(syncdial, "HEAD_START_S", 0.01)
    begin = syncdial._begin
    ours, other = socket.socketpair()
    fill(ours)  # it cannot be written to, as if it were still being connected
    sockets = [ours]
    monkeypatch.setattr(syncdial, "_begin", lambda address: sockets.pop() if sockets else begin(address))
    async with Misbehaving(Conn.wait_closed) as server:
        addresses = literal("127.0.0.1", server.port) * 2
        with other, await in_thread(syncdial._race, addresses, Patience("host", 1, None, lambda: False)) as sock:
            assert sock.getpeername()[1] == server.port
        await server.hang_up()
        assert ours.fileno() == -1  # who lost the race is closed


def fill(sock: socket.socket) -> None:
    sock.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            sock.send(bytes(1 << 16))


async def test_the_first_failure_is_told_when_no_address_answers() -> None:
    async with Misbehaving(Conn.wait_closed) as server:
        port = server.port
    patience = Patience("host", 1, None, lambda: False)
    with pytest.raises(ConnectionRefusedError):
        syncdial._race(literal("127.0.0.1", port) * 2, patience)
    with pytest.raises(ConnectionRefusedError):
        dial("127.0.0.1", port, patience)


async def test_a_name_leads_to_the_server(transport: BlockingTransport) -> None:
    async with Misbehaving(replying(reply(b"ok"))) as server:
        assert await fetch(transport, server.url.replace("127.0.0.1", "localhost")) == (200, b"ok")


async def test_a_name_is_looked_up_here_where_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Misbehaving(Conn.wait_closed) as server:
        monkeypatch.setattr(syncdial.threading, "Thread", no_thread)
        dial("localhost", server.port, Patience("localhost", 1, None, lambda: False)).close()
        await server.hang_up()


def no_thread(**_: object) -> object:
    raise RuntimeError("can't start new thread")


# -- TLS -----------------------------------------------------------------------------------------------------------


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
            while True:
                await reader.readuntil(b"{}")
                if (waiting := answer(writer)) is not None:
                    await waiting
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone: the test looks at what it says
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context, limit=8 << 20)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()  # without `wait_closed`, which from 3.12 on waits for connections that the client keeps
    for _ in range(3):  # the loop closes sockets some turns later
        await asyncio.sleep(0)


@pytest.mark.parametrize("files", [("both.pem", None), ("cert.pem", "key.pem")])
async def test_a_client_certificate_is_shown(files: tuple[str, str | None], identity: Path) -> None:
    cert, key = identity / files[0], None if files[1] is None else identity / files[1]
    with BlockingTransport(ca_file=identity / "cert.pem", client_cert_file=cert, client_key_file=key) as transport:
        async with tls_server(identity, lambda w: w.write(reply(b"known")), asks=True) as url:
            assert await fetch(transport, url) == (200, b"known")
            assert await fetch(transport, url) == (200, b"known")


async def test_a_server_that_asks_for_a_certificate_refuses_who_has_none(identity: Path) -> None:
    with BlockingTransport(ca_file=identity / "cert.pem") as transport:
        async with tls_server(identity, lambda w: w.write(reply(b"known")), asks=True) as url:
            with pytest.raises((ConnectFailed, ReplyBroken)):
                await fetch(transport, url)


def test_a_certificate_that_cannot_be_used_is_a_config_error(identity: Path) -> None:
    with pytest.raises(ConfigError, match=r"client_cert_file '.*none\.pem'"):
        BlockingTransport(client_cert_file=identity / "none.pem")


async def test_trust_names_and_large_bodies_over_tls(identity: Path) -> None:
    body = bytes(3 << 20)
    with BlockingTransport(ca_file=identity / "cert.pem") as transport, BlockingTransport() as stranger:
        async with tls_server(identity, lambda w: w.write(reply(body))) as url:
            response: SyncResponse = await in_thread(transport.send, post(url, body + b"{}"))
            assert await in_thread(response.read, 4 << 20) == body
            with pytest.raises(ConnectFailed, match=r"self.signed certificate"):
                await fetch(stranger, url)
            with pytest.raises(ConnectFailed, match="localhost"):
                await fetch(transport, url.replace("127.0.0.1", "localhost"))


async def test_a_kept_connection_is_used_again_over_tls(identity: Path) -> None:
    made: list[object] = []

    def answer(writer: asyncio.StreamWriter) -> None:
        made.append(writer.transport)
        writer.write(reply(b"ok"))

    with BlockingTransport(ca_file=identity / "cert.pem") as transport:
        async with tls_server(identity, answer) as url:
            for _ in range(3):
                assert await fetch(transport, url) == (200, b"ok")
    assert len(set(made)) == 1


async def test_what_came_in_several_tls_records_is_one_piece(identity: Path) -> None:
    """A record holds 16 KiB, and OpenSSL hands on one at a time."""
    body = bytes(40_000)

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(chunked_head())
        await writer.drain()
        writer.write(chunk(body) + LAST_CHUNK)

    def pieces(url: str) -> list[int]:
        response = transport.send(post(url))
        loop.call_soon_threadsafe(there.set)
        go_on.wait()
        return [len(piece) for piece in response.pieces()]

    loop, there, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    with BlockingTransport(ca_file=identity / "cert.pem") as transport:
        async with tls_server(identity, answer) as url:
            task = asyncio.create_task(in_thread(pieces, url))
            await there.wait()
            await asyncio.sleep(SHORT)
            go_on.set()
            sizes = await task
            assert sum(sizes) == len(body)
            assert len(sizes) <= 2  # the head may have brought a part of it along


@pytest.mark.parametrize("data", [head(200) + b"abc", chunked_head() + chunk(b"abc")], ids=["until close", "chunks"])
async def test_tls_that_is_cut_without_a_word_is_broken(data: bytes, identity: Path) -> None:
    def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.transport.abort()

    with BlockingTransport(ca_file=identity / "cert.pem") as transport:
        async with tls_server(identity, answer) as url:
            with pytest.raises(ReplyBroken):
                await fetch(transport, url)


async def test_tls_that_ends_in_order_ends_a_body_without_length(identity: Path) -> None:
    def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head(200) + b"abc")
        writer.close()

    with BlockingTransport(ca_file=identity / "cert.pem") as transport:
        async with tls_server(identity, answer) as url:
            assert await fetch(transport, url) == (200, b"abc")


async def test_closing_ends_a_wait_over_tls(identity: Path) -> None:
    with BlockingTransport(ca_file=identity / "cert.pem") as transport:
        async with tls_server(identity, lambda w: w.write(chunked_head() + chunk(b"abc"))) as url:
            response = await in_thread(transport.send, post(url))
            task = asyncio.create_task(in_thread(response.read, LIMIT))
            await asyncio.sleep(0.02)
            response.close()
            with pytest.raises(ReplyBroken, match="closed before its end"):
                await task
