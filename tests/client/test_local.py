"""A gateway in the same process: what comes from it is what comes over HTTP, and when it is closed nothing is left."""

import asyncio
import gc
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from running import Running
from threaded import THREADS, Threaded, in_thread

from dragoman.client.home import Home, Tenancy
from dragoman.client.local import BASE_URL, offline, open_async, open_sync
from dragoman.errors import ConfigError, StoreError
from dragoman.gateway.config.config import Config, load
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.handle import OFFLINE_SECRET, GatewayHandle
from dragoman.http.aio import FastTransport
from dragoman.http.base import (
    ConnectFailed,
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

LIMIT = 1 << 30  # bytes
SHORT = 0.05  # seconds, for a limit that is to be reached
LONG = 15.0  # for one that is not: the machine may be busy
HELLO = {"model": "claude-opus-4-8", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello, Claude"}]}
Json = dict[str, Any]


def within(**timeouts: float | None) -> Timeouts:
    return Timeouts(**{"connect_s": LONG, "write_s": LONG, "first_byte_s": LONG, "idle_s": LONG} | timeouts)


def request(
    method: str, path: str, body: bytes = b"", *headers: tuple[str, str], key: str = "", **limits: float | None
) -> Request:
    given = [("x-api-key", key), ("anthropic-version", "2023-06-01"), ("accept-encoding", "identity"), *headers]
    return Request(method, f"{BASE_URL}{path}", given, body, within(**limits))


def ask(handle: GatewayHandle, value: Json = HELLO, *headers: tuple[str, str], **limits: float | None) -> Request:
    json_type = ("content-type", "application/json")
    body = json.dumps(value).encode()
    return request("POST", "/v1/messages", body, json_type, *headers, key=handle.api_key, **limits)


def text_of(body: bytes) -> str:
    """Of a message, or of the events of one."""
    if body.startswith(b"event: "):
        datas = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: ")]
        return "".join(each["delta"]["text"] for each in datas if each["type"] == "content_block_delta")
    return str(json.loads(body)["content"][0]["text"])


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(LONG):
        while not is_so():  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.001)


async def collected(response: Response) -> tuple[bytes, TransportError | None]:
    """What came, and the error that ended it."""
    pieces: list[bytes] = []
    try:
        async for piece in response.pieces():
            pieces.append(piece)  # noqa: PERF401 (what came before an error counts)
    except TransportError as error:
        return b"".join(pieces), error
    return b"".join(pieces), None


OTHERS: set[threading.Thread] = set()  # of engines that other files' tests have left behind


@pytest.fixture(scope="module", autouse=True)
def threads_of_others() -> None:
    OTHERS.update(ours())


def ours() -> set[threading.Thread]:
    """Threads that a gateway or its loop has begun."""
    return {each for each in threading.enumerate() if each.name.startswith("dragoman")} - OTHERS


def other_tasks() -> set[Any]:
    return asyncio.all_tasks() - {asyncio.current_task()}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert ours() == set()


OPENERS: dict[str, Callable[[GatewayHandle], Transport]] = {
    "async": open_async,
    "sync": lambda handle: Threaded(open_sync(handle)),
}
BEGINNINGS = {"async": Home.begin_here, "sync": Home.begin_in_thread}


@pytest.fixture(params=OPENERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opener(kind: str) -> Callable[[GatewayHandle], Transport]:
    return OPENERS[kind]


@pytest.fixture
def handle() -> GatewayHandle:
    return offline()


@pytest.fixture
async def transport(opener: Callable[[GatewayHandle], Transport], handle: GatewayHandle) -> AsyncIterator[Transport]:
    """After the test, the proof that no task is left."""
    before = other_tasks()
    transport = opener(handle)
    yield transport
    await transport.aclose()
    await until(lambda: other_tasks() <= before)


def lodge(handle: GatewayHandle, kind: str, app: Any) -> None:
    """Have `app` answer in place of the gateway's."""
    tenancy = Tenancy.of(handle)
    tenancy.home = Home(handle, wrap=lambda _: app)
    BEGINNINGS[kind](tenancy.home)


# -- the same bytes ------------------------------------------------------------------------------------------------

TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
WEATHER = [{"role": "user", "content": "What is the weather in Tokyo?"}]
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
JSON_TYPE = ("content-type", "application/json")
FORM = (
    b"--limit\r\n"
    b'content-disposition: form-data; name="file"; filename="notes.txt"\r\n'
    b"content-type: text/plain\r\n\r\nThe Rhine is long.\r\n--limit--\r\n"
)
FORM_TYPE = ("content-type", "multipart/form-data; boundary=limit")
PREFLIGHT = [("origin", "http://localhost"), ("access-control-request-method", "POST")]
FILES_BETA = ("anthropic-beta", "files-api-2025-04-14")


def posted(value: Any, *headers: tuple[str, str], path: str = "/v1/messages") -> tuple[str, str, bytes, list[Any]]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return "POST", path, body, [JSON_TYPE, *headers]


REQUESTS: dict[str, tuple[str, str, bytes, list[Any]]] = {
    "a message": posted(HELLO),
    "a stream": posted({**HELLO, "stream": True}),
    "a tool call": posted({**HELLO, "messages": WEATHER, "tools": [TOOL]}),
    "a tool call in a stream": posted({**HELLO, "messages": WEATHER, "tools": [TOOL], "stream": True}),
    "signed thinking": posted({**HELLO, "max_tokens": 2000, "thinking": {"type": "adaptive"}, "stream": True}),
    "a count": posted({**HELLO, "max_tokens": None}, path="/v1/messages/count_tokens"),
    "a true count": posted({"model": HELLO["model"], "messages": WEATHER}, path="/v1/messages/count_tokens"),
    "the models": ("GET", "/v1/models?limit=3", b"", []),
    "a model": ("GET", "/v1/models/claude-opus-4-8", b"", []),
    "no such model": ("GET", "/v1/models/nobody", b"", []),
    "no such path": ("GET", "/v1/nothing", b"", []),
    "no such method": ("DELETE", "/v1/messages", b"", []),
    "a head without a body": ("HEAD", "/", b"", []),
    "a preflight": ("OPTIONS", "/v1/messages", b"", PREFLIGHT),
    "no JSON": posted(b'{"model": '),
    "no messages": posted({"model": HELLO["model"]}),
    "a wrong key": posted(HELLO, ("x-api-key", "sk-wrong")),
    "no version": posted(HELLO, ("anthropic-version", "")),
    "a large body": posted({**HELLO, "messages": [{"role": "user", "content": "x" * 3_000_000}]}),
    "a body that is too large": posted(b" " * (32 * 1024 * 1024 + 1)),
    "the list of files": ("GET", "/v1/files", b"", [FILES_BETA]),
    "no such file": ("GET", "/v1/files/file_011CNha8iCJcU1wXNR6q4V8w", b"", [FILES_BETA]),
    "no form": ("POST", "/v1/files", b"nothing", [FORM_TYPE, FILES_BETA]),
    "no such batch": ("GET", "/v1/messages/batches/msgbatch_1", b"", []),
}  # fmt: skip

MADE_UP = re.compile(rb"\b(req|msg|toolu|file|msgbatch)_01[A-Za-z0-9]{22}\b")
TIME = re.compile(rb"\b20\d\d-\d\d-\d\dT[\d:.]+(Z|\+00:00)")
OF_NOW = ("request-id", "date", "content-length")


def same(reply: Response, body: bytes, base_url: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """A reply without what no two replies have in common: new ids, the time, and the address that was asked."""
    length = dict(reply.headers).get("content-length")
    assert not body or length in (None, str(len(body)))
    headers = [(name, "..." if name in OF_NOW else value) for name, value in reply.headers]
    body = TIME.sub(b"<time>", MADE_UP.sub(rb"\1_...", body)).replace(base_url.encode(), b"<base>")
    return reply.status, headers, body


class Beside:
    """Asks the same of a gateway in this process and of a real server, and holds the replies against each other."""

    def __init__(self, local: Transport, handle: GatewayHandle, remote: Transport, server: Running) -> None:
        self._sides = [(local, handle.api_key, BASE_URL), (remote, server.key, server.url)]

    async def ask(self, method: str, paths: str | list[str], body: bytes, headers: list[Any]) -> list[bytes]:
        """The bodies of the two, which differ in no more than `same` says."""
        bodies, replies = [], []
        for side, (transport, key, base_url) in enumerate(self._sides):
            path = paths if isinstance(paths, str) else paths[side]
            names = {name for name, _ in headers}
            given = [("x-api-key", key), ("anthropic-version", "2023-06-01")]
            given = [each for each in given if each[0] not in names] + headers
            reply = await transport.send(Request(method, base_url + path, given, body, within()))
            bodies.append(await reply.read(LIMIT))
            replies.append(same(reply, bodies[-1], base_url))
        assert replies[0] == replies[1]
        assert "date" in dict(replies[0][1])
        return bodies


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("server"), env={"DRAGOMAN_SECRET": OFFLINE_SECRET}) as server:
        yield server


@pytest.fixture
async def beside(transport: Transport, handle: GatewayHandle, server: Running) -> AsyncIterator[Beside]:
    remote = FastTransport()
    yield Beside(transport, handle, remote, server)
    await remote.aclose()


@pytest.mark.parametrize("name", REQUESTS)
async def test_the_reply_is_that_of_a_server(beside: Beside, name: str) -> None:
    """Status, all headers but the time and the request's id, and the body."""
    await beside.ask(*REQUESTS[name])


async def test_files_and_batches_are_those_of_a_server(beside: Beside) -> None:
    uploads = await beside.ask("POST", "/v1/files", FORM, [FORM_TYPE, FILES_BETA])
    ids = [json.loads(body)["id"] for body in uploads]
    await beside.ask("GET", [f"/v1/files/{each}" for each in ids], b"", [FILES_BETA])
    await beside.ask(*REQUESTS["the list of files"])
    await beside.ask("GET", [f"/v1/files/{each}/content" for each in ids], b"", [FILES_BETA])
    await beside.ask("DELETE", [f"/v1/files/{each}" for each in ids], b"", [FILES_BETA])
    asked = [{"custom_id": f"number-{each}", "params": HELLO} for each in range(3)]
    made = await beside.ask(*posted({"requests": asked}, path="/v1/messages/batches"))
    paths = [f"/v1/messages/batches/{json.loads(body)['id']}" for body in made]
    await until_ended(beside, paths)
    ended = await beside.ask("GET", paths, b"", [])
    assert json.loads(ended[0])["results_url"] == f"{BASE_URL}{paths[0]}/results"
    results = await beside.ask("GET", [f"{each}/results" for each in paths], b"", [])
    assert len(results[0].splitlines()) == 3
    await beside.ask("DELETE", paths, b"", [])


async def until_ended(beside: Beside, paths: list[str]) -> None:
    async with asyncio.timeout(LONG):
        for (transport, key, base_url), path in zip(beside._sides, paths, strict=True):
            status = "in_progress"
            while status != "ended":
                headers = [("x-api-key", key), ("anthropic-version", "2023-06-01")]
                reply = await transport.send(Request("GET", base_url + path, headers, b"", within()))
                status = json.loads(await reply.read(LIMIT))["processing_status"]
                await asyncio.sleep(0.002)


async def test_a_connection_that_is_cut_is_seen(transport: Transport, handle: GatewayHandle) -> None:
    """And the key of a handle may ask for that."""
    reply = await transport.send(ask(handle, {**HELLO, "stream": True}, ("dragoman-fault", "cut; after=4")))
    came, error = await collected(reply)
    assert b"message_start" in came
    assert b"message_stop" not in came
    assert isinstance(error, ReplyBroken)


async def test_a_request_that_cannot_be_written_is_refused(transport: Transport, handle: GatewayHandle) -> None:
    with pytest.raises(RequestInvalid):
        await transport.send(ask(handle, HELLO, ("x-two\nlines", "")))
    with pytest.raises(RequestInvalid):
        await transport.send(Request("GET", "dragoman.local"))


# -- streams -------------------------------------------------------------------------------------------------------

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}


def piece(body: bytes, *, more: bool = True) -> Json:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def test_a_piece_is_there_when_the_application_sent_it(
    transport: Transport, handle: GatewayHandle, kind: str
) -> None:
    gate = threading.Event()

    async def app(scope: Json, receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"first"))
        await asyncio.to_thread(gate.wait, LONG)
        await send(piece(b"last", more=False))

    lodge(handle, kind, app)
    reply = await transport.send(ask(handle))
    pieces = aiter(reply.pieces())
    assert await anext(pieces) == b"first"
    assert not gate.is_set()
    gate.set()
    assert await anext(pieces) == b"last"
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)
    assert reply.is_complete


async def test_a_slow_reader_holds_the_application_back(transport: Transport, handle: GatewayHandle, kind: str) -> None:
    size, count = 64 * 1024, 200
    sent: list[int] = []

    async def app(scope: Json, receive: Any, send: Any) -> None:
        await send(START)
        for number in range(count):
            sent.append(number)
            await send(piece(bytes([number]) * size))
        await send(piece(b"", more=False))

    lodge(handle, kind, app)
    reply = await transport.send(ask(handle))
    pieces = aiter(reply.pieces())
    came = await anext(pieces)
    before = -1
    while before != len(sent):  # until it stands still
        before = len(sent)
        await asyncio.sleep(0.01)
    assert len(sent) * size < 2 * 1024 * 1024  # what lies in buffers: bounded, whatever the reply's length
    async for each in pieces:
        came += each
    assert came == b"".join(bytes([number]) * size for number in range(count))


async def test_a_large_piece_comes_whole(transport: Transport, handle: GatewayHandle, kind: str) -> None:
    whole = os.urandom(1024) * (16 * 1024)

    async def app(scope: Json, receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(whole, more=False))

    lodge(handle, kind, app)
    assert await (await transport.send(ask(handle))).read(LIMIT) == whole


async def test_a_reply_that_is_too_large_is_not_read_on(transport: Transport, handle: GatewayHandle) -> None:
    reply = await transport.send(ask(handle))
    with pytest.raises(ReplyTooLarge):
        await reply.read(10)


class Watched:
    """An application that says when it was asked, and when it was told that its client is gone."""

    def __init__(self, *messages: Json, takes_body: bool = True) -> None:
        self.asked = threading.Event()
        self.left = threading.Event()
        self.told: list[str] = []
        self.messages = messages
        self._takes_body = takes_body

    async def __call__(self, scope: Json, receive: Any, send: Any) -> None:
        exchange = scope["extensions"]["dragoman"]
        exchange.on_hang_up = lambda: self.told.append("on_hang_up")
        if self._takes_body:
            while (await receive())["more_body"]:
                continue
        self.asked.set()
        for message in self.messages:
            await send(message)
        while not exchange.is_gone:
            if self._takes_body:
                self.told.append((await receive())["type"])
            else:
                await asyncio.sleep(0.001)
        self.left.set()


async def test_closing_a_reply_early_is_a_hang_up(transport: Transport, handle: GatewayHandle, kind: str) -> None:
    app = Watched(START, piece(b"first"))
    lodge(handle, kind, app)
    reply = await transport.send(ask(handle))
    await anext(aiter(reply.pieces()))
    await reply.aclose()
    await reply.aclose()
    await until(app.left.is_set)
    assert app.told == ["on_hang_up", "http.disconnect"]
    assert not reply.is_complete
    with pytest.raises(ReplyBroken):
        await reply.read(LIMIT)


async def test_the_gateway_stops_working_for_who_hung_up(opener: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The ledger has it as abandoned."""
    caplog.set_level("INFO", logger="dragoman.requests")
    handle = offline([{"text": "Slow", "wait_ms": 1, "between_ms": 60_000}])
    transport = opener(handle)
    reply = await transport.send(ask(handle, {**HELLO, "stream": True}))
    await anext(aiter(reply.pieces()))
    await reply.aclose()
    await until(lambda: "outcome=abandoned" in caplog.text)
    await transport.aclose()


async def test_a_cancelled_request_is_a_hang_up(handle: GatewayHandle) -> None:
    app = Watched()
    lodge(handle, "async", app)
    transport = open_async(handle)
    asking = asyncio.create_task(transport.send(ask(handle)))
    await until(app.asked.is_set)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(app.left.is_set)
    await transport.aclose()


@pytest.mark.parametrize("phase", ["before the reply", "in the reply"])
def test_an_interrupted_request_is_a_hang_up(handle: GatewayHandle, phase: str) -> None:
    """Ctrl-C while a thread waits."""
    app = Watched(*([START, piece(b"first")] if phase == "in the reply" else []))
    lodge(handle, "sync", app)

    came: list[bytes] = []

    def interrupt() -> None:
        assert app.asked.wait(LONG)
        times = 0
        while times < 3:  # in which the main thread is seen to wait: between two waits a signal finds no exchange
            frame = sys._current_frames()[threading.main_thread().ident or 0]
            is_there = frame.f_code.co_name == "_get" and len(came) == len(app.messages[1:])
            times = times + 1 if is_there else 0
            sleep(0.002)
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    with open_sync(handle) as transport:
        interrupting.start()
        with pytest.raises(KeyboardInterrupt):
            came.extend(transport.send(ask(handle)).pieces())
        assert app.left.wait(LONG)
    interrupting.join()


async def test_a_forgotten_reply_is_a_hang_up(handle: GatewayHandle) -> None:
    app = Watched(START, piece(b"first"))
    lodge(handle, "sync", app)
    with open_sync(handle) as transport:
        reply = await in_thread(transport.send, ask(handle))
        assert next(reply.pieces()) == b"first"
        del reply
        gc.collect()
        await until(app.left.is_set)


async def test_closing_a_reply_while_another_reads_it(transport: Transport, handle: GatewayHandle, kind: str) -> None:
    lodge(handle, kind, Watched(START, piece(b"first")))
    reply = await transport.send(ask(handle))
    pieces = aiter(reply.pieces())
    await anext(pieces)
    reading = asyncio.ensure_future(anext(pieces))  # type: ignore[arg-type]
    await asyncio.sleep(0.01)
    await reply.aclose()
    with pytest.raises(ReplyBroken):
        await reading


# -- limits of time ------------------------------------------------------------------------------------------------


async def test_no_reply_in_time(transport: Transport, handle: GatewayHandle, kind: str) -> None:
    app = Watched()
    lodge(handle, kind, app)
    with pytest.raises(FirstByteTimeout, match=r"dragoman\.local: no reply within 0\.05 s"):
        await transport.send(ask(handle, first_byte_s=SHORT))
    await until(app.left.is_set)


async def test_a_reply_that_stands_still(transport: Transport, handle: GatewayHandle, kind: str) -> None:
    app = Watched(START, piece(b"first"))
    lodge(handle, kind, app)
    came, error = await collected(await transport.send(ask(handle, idle_s=SHORT)))
    assert came == b"first"
    assert isinstance(error, IdleTimeout)
    assert "the reply stood still for 0.05 s" in str(error)
    await until(app.left.is_set)


async def test_time_in_which_nobody_asks_is_not_the_replys(
    transport: Transport, handle: GatewayHandle, kind: str
) -> None:
    """A reader may take longer over a piece than the reply may over the next."""
    gate, is_sent = threading.Event(), threading.Event()

    async def app(scope: Json, receive: Any, send: Any) -> None:
        await send(START)
        await send(piece(b"first"))
        await asyncio.to_thread(gate.wait, LONG)
        await send(piece(b"last", more=False))
        is_sent.set()

    lodge(handle, kind, app)
    reply = await transport.send(ask(handle, idle_s=SHORT))
    pieces = aiter(reply.pieces())
    await anext(pieces)
    await asyncio.sleep(2 * SHORT)
    gate.set()
    await until(is_sent.is_set)
    assert await anext(pieces) == b"last"


@pytest.mark.parametrize("messages", [[], [START, piece(b"first")]], ids=["before the reply", "in the reply"])
async def test_the_whole_takes_too_long(
    transport: Transport, handle: GatewayHandle, kind: str, messages: list[Json]
) -> None:
    app = Watched(*messages)
    lodge(handle, kind, app)

    async def whole() -> None:
        await (await transport.send(ask(handle, total_s=SHORT))).read(LIMIT)

    with pytest.raises(TotalTimeout):
        await whole()
    await until(app.left.is_set)


async def test_the_whole_takes_too_long_between_two_pieces(
    transport: Transport, handle: GatewayHandle, kind: str
) -> None:
    """The reader's time counts in this one."""
    lodge(handle, kind, Watched(START, piece(b"first"), piece(b"second")))
    reply = await transport.send(ask(handle, total_s=3 * SHORT))
    pieces = aiter(reply.pieces())
    await anext(pieces)
    await asyncio.sleep(4 * SHORT)
    _, error = await collected(reply)
    assert isinstance(error, TotalTimeout)


async def test_a_request_that_is_not_taken(transport: Transport, handle: GatewayHandle, kind: str) -> None:
    app = Watched(takes_body=False)
    lodge(handle, kind, app)
    with pytest.raises(SendTimeout):
        await transport.send(ask(handle, {"x": "y" * 4_000_000}, write_s=SHORT))
    await until(app.left.is_set)


# -- many at once --------------------------------------------------------------------------------------------------


async def test_many_at_once(transport: Transport, handle: GatewayHandle) -> None:
    """200, half of them streams; each gets the answer to its own question."""

    async def one(number: int) -> None:
        said = [{"role": "user", "content": f"I am number {number}."}]
        reply = await transport.send(ask(handle, {**HELLO, "messages": said, "stream": number % 2 == 0}))
        assert f"I am number {number}." in text_of(await reply.read(LIMIT))

    await asyncio.gather(*(one(number) for number in range(200)))


def test_many_threads(handle: GatewayHandle) -> None:
    """All of them at the beginning, too: one gateway is begun."""
    together = threading.Barrier(32)

    def one(number: int) -> set[threading.Thread]:
        together.wait(LONG)
        said = [{"role": "user", "content": f"I am number {number}."}]
        for stream in (True, False):
            reply = transport.send(ask(handle, {**HELLO, "messages": said, "stream": stream}))
            assert f"I am number {number}." in text_of(reply.read(LIMIT))
        return {each for each in ours() if each.name == "dragoman-gateway"}

    with open_sync(handle) as transport:
        gateways = set().union(*THREADS.map(one, range(32)))
        assert len(gateways) == 1


# -- beginning and ending ------------------------------------------------------------------------------------------


async def test_a_blocking_client_works_in_a_running_loop(handle: GatewayHandle) -> None:
    """As in a notebook: the call blocks the loop, and the gateway does not need it."""
    with open_sync(handle) as transport:
        assert "Hello, Claude" in text_of(transport.send(ask(handle)).read(LIMIT))


async def test_a_blocking_call_to_this_very_loop_is_refused(handle: GatewayHandle) -> None:
    asynchronous, blocking = open_async(handle), open_sync(handle)
    await (await asynchronous.send(ask(handle))).read(LIMIT)
    with pytest.raises(RuntimeError, match="ask it with AsyncClient, or in another thread"):
        blocking.send(ask(handle))
    reply = await in_thread(blocking.send, ask(handle))
    assert "Hello, Claude" in text_of(await in_thread(reply.read, LIMIT))
    blocking.close()
    await asynchronous.aclose()


@pytest.mark.parametrize("order", [("sync", "async"), ("async", "sync"), ("async", "async"), ("sync", "sync")])
async def test_several_clients_have_one_gateway(handle: GatewayHandle, order: tuple[str, str]) -> None:
    """It lives until the last of them is closed, whichever began it, in its thread or in this loop."""
    first, second = (OPENERS[each](handle) for each in order)
    upload = request("POST", "/v1/files", FORM, FORM_TYPE, FILES_BETA, key=handle.api_key)
    look = request("GET", "/v1/files", b"", FILES_BETA, key=handle.api_key)
    await (await first.send(upload)).read(LIMIT)
    await (await second.send(upload)).read(LIMIT)
    assert len(json.loads(await (await first.send(look)).read(LIMIT))["data"]) == 2
    await first.aclose()
    assert len(json.loads(await (await second.send(look)).read(LIMIT))["data"]) == 2
    await second.aclose()
    third = OPENERS[order[0]](handle)  # begins it anew: what was in memory is gone
    assert json.loads(await (await third.send(look)).read(LIMIT))["data"] == []
    await third.aclose()


async def test_a_client_of_another_loop(handle: GatewayHandle) -> None:
    """Two loops in two threads, each with its async client: one gateway, in the loop of the first."""
    transport = open_async(handle)
    await (await transport.send(ask(handle))).read(LIMIT)

    def elsewhere() -> str:
        async def main() -> str:
            other = open_async(handle)
            streamed = await other.send(ask(handle, {**HELLO, "stream": True}))
            await streamed.read(LIMIT)
            large = await other.send(
                ask(handle, {**HELLO, "messages": [{"role": "user", "content": "Hello! " * 100_000}]})
            )
            text = text_of(await large.read(LIMIT))
            await other.aclose()
            return text

        return asyncio.run(main())

    assert "Hello!" in await in_thread(elsewhere)
    await transport.aclose()


def test_one_client_in_two_loops_one_after_the_other(handle: GatewayHandle) -> None:
    """Nobody closes it in the first: the gateway ends with the loop, and begins anew in the second."""
    transport = open_async(handle)

    async def main(*, closes: bool) -> str:
        text = text_of(await (await transport.send(ask(handle))).read(LIMIT))
        if closes:
            await transport.aclose()
        return text

    first = asyncio.run(main(closes=False))
    assert ours() == set()
    assert asyncio.run(main(closes=True)) == first


def test_one_client_in_two_loops_with_the_gateway_in_a_thread(handle: GatewayHandle) -> None:
    """Its connections were of the first loop."""
    with open_sync(handle) as blocking:
        blocking.send(ask(handle)).read(LIMIT)
        transport = open_async(handle)

        async def main() -> str:
            return text_of(await (await transport.send(ask(handle))).read(LIMIT))

        assert asyncio.run(main()) == asyncio.run(main())
        asyncio.run(transport.aclose())  # type: ignore[arg-type]


async def test_a_closed_transport_takes_nothing(opener: Any, handle: GatewayHandle) -> None:
    transport, other = opener(handle), opener(handle)
    reply = await transport.send(ask(handle, {**HELLO, "stream": True}))
    await reply.read(LIMIT)
    await transport.aclose()
    await transport.aclose()
    with pytest.raises(ConnectFailed, match="the transport has been closed"):
        await transport.send(ask(handle))
    assert (await other.send(ask(handle))).status == 200
    await other.aclose()


async def test_closing_ends_what_is_under_way(opener: Any, handle: GatewayHandle, kind: str) -> None:
    """A request without a reply, and a reply that is being read."""
    app = Watched()
    lodge(handle, kind, app)
    transport = opener(handle)
    asking = asyncio.ensure_future(transport.send(ask(handle)))
    await until(app.asked.is_set)
    await transport.aclose()
    with pytest.raises(ReplyBroken):
        await asking

    lodge(handle, kind, Watched(START, piece(b"first")))
    transport = opener(handle)
    reply = await transport.send(ask(handle))
    pieces = aiter(reply.pieces())
    await anext(pieces)
    await transport.aclose()
    with pytest.raises(ReplyBroken):
        await anext(pieces)


def test_a_forgotten_client_ends_its_thread(handle: GatewayHandle) -> None:
    """A stream that somebody still reads is read to its end first."""
    script = [{"text": "One two three four five six seven", "between_ms": 1}]
    scripted = offline(script)
    transport = open_sync(scripted)
    reply = transport.send(ask(scripted, {**HELLO, "stream": True}))
    (thread,) = (each for each in ours() if each.name == "dragoman-gateway")
    del transport
    gc.collect()
    assert b"message_stop" in reply.read(LIMIT)
    gc.collect()
    thread.join(LONG)
    assert not thread.is_alive()


async def test_a_forgotten_async_client_ends_its_gateway(handle: GatewayHandle) -> None:
    before = other_tasks()
    transport = open_async(handle)
    await (await transport.send(ask(handle))).read(LIMIT)
    assert other_tasks() > before
    del transport
    gc.collect()
    await until(lambda: other_tasks() <= before)


FORGOTTEN = """
    import asyncio, contextlib, json, os, sys, threading
    from dragoman.client.local import BASE_URL, offline, open_async, open_sync
    from dragoman.http.base import Request, TransportError

    handle = offline([{"text": "slow", "wait_ms": 1, "between_ms": 60_000}])
    def ask(stream=True):
        body = {"model": "claude-opus-4-8", "max_tokens": 9, "stream": stream,
                "messages": [{"role": "user", "content": "x"}]}
        headers = [("x-api-key", handle.api_key), ("anthropic-version", "2023-06-01")]
        return Request("POST", BASE_URL + "/v1/messages", headers, json.dumps(body).encode())
"""
PROGRAMS = {
    "a thread": """
        transport = open_sync(handle)
        reply = transport.send(ask())
        print(len(next(reply.pieces())) > 0)
    """,
    "a loop": """
        transport = open_async(handle)
        async def main():
            reply = await transport.send(ask())
            print(len(await anext(aiter(reply.pieces()))) > 0)
        asyncio.run(main())
    """,
    "a thread that waits": """
        transport = open_sync(handle)
        def wait():
            with contextlib.suppress(TransportError):
                transport.send(ask(stream=False))
        threading.Thread(target=wait, daemon=True).start()
        while not any(each.name == "dragoman-gateway" for each in threading.enumerate()):
            pass
        next(transport.send(ask()).pieces())
        print(True)
    """,
    "a child": """
        transport = open_sync(handle)
        next(transport.send(ask()).pieces())
        child = os.fork()
        if not child:
            print(len(next(transport.send(ask()).pieces())) > 0, len(threading.enumerate()) > 1, flush=True)
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        next(transport.send(ask()).pieces())
        transport.close()
        print(threading.enumerate() == [threading.main_thread()])
    """,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_said_at_the_end_of_a_program_that_closes_nothing(name: str) -> None:
    """No warning, no traceback, and it ends at once, though a reply is under way."""
    if name == "a child" and not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    # Python 3.12 warns of every fork of a process with threads.
    forks = ["-W", "ignore:This process:DeprecationWarning"]
    program = textwrap.dedent(FORGOTTEN) + textwrap.dedent(PROGRAMS[name])
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", *forks, "-c", program], capture_output=True, text=True, timeout=60
    )
    # Development mode has asyncio tell of slow steps, and the first of a gateway is.
    told = [line for line in done.stderr.splitlines() if not re.fullmatch(r"Executing .* took [\d.]+ seconds", line)]
    assert (told, done.returncode) == ([], 0)
    assert set(done.stdout.split()) == {"True"}


# -- what a gateway is made of -------------------------------------------------------------------------------------


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place to begin in where nothing is configured."""
    for name in os.environ:
        if name.startswith(("ANTHROPIC_", "DRAGOMAN_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer_of(handle: GatewayHandle, value: Json = HELLO) -> tuple[int, Json]:
    with open_sync(handle) as transport:
        reply = transport.send(ask(handle, value))
        return reply.status, json.loads(reply.read(LIMIT))


@pytest.mark.parametrize("form", ["nothing", "a dictionary", "a file", "a file's name", "a Config"])
def test_a_gateway_is_opened(empty: Path, form: str) -> None:
    """A file of TOML, a dictionary like it, or neither. Without a database in it, nothing is left on the disk."""
    file = empty / "some.toml"
    if "file" in form:
        file.write_text('[models.nickname]\ntargets = ["offline/claude-haiku-4-5"]\n')
    configs: dict[str, Any] = {
        "nothing": None,
        "a dictionary": {"models": {"nickname": {"targets": ["offline/claude-haiku-4-5"]}}, "retired": None},
        "a file": file,
        "a file's name": str(file),
        "a Config": load(None, {}, database="sqlite://"),
    }
    before = set(empty.iterdir())
    handle = Gateway.open(configs[form])
    model = "claude-opus-4-8" if form in ("nothing", "a Config") else "nickname"
    status, reply = answer_of(handle, {**HELLO, "model": model})
    assert (status, reply["role"]) == (200, "assistant")
    assert isinstance(handle.config, Config)
    assert set(empty.iterdir()) == before


def test_a_database_that_is_named_is_kept(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured = {"server": {"database": f"sqlite:///{empty}/some.db"}}
    handle = Gateway.open(configured)
    with open_sync(handle) as transport:
        transport.send(request("POST", "/v1/files", FORM, FORM_TYPE, FILES_BETA, key=handle.api_key)).read(LIMIT)
    again = Gateway.open(configured)
    with open_sync(again) as transport:
        reply = transport.send(request("GET", "/v1/files", b"", FILES_BETA, key=again.api_key))
        assert len(json.loads(reply.read(LIMIT))["data"]) == 1
    monkeypatch.setenv("DRAGOMAN_DATABASE", "sqlite:///other.db")
    assert Gateway.open().config.server.database == "sqlite:///other.db"


def test_what_is_wrong_is_said_where_it_was_given(empty: Path) -> None:
    with pytest.raises(ConfigError, match=r'^servr: there is no such setting here\. Did you mean "server"\?$'):
        Gateway.open({"servr": {}})
    with pytest.raises(ConfigError, match=r"missing\.toml: there is no such file"):
        Gateway.open("missing.toml")
    with pytest.raises(ConfigError, match=r"is no value that can stand here"):
        Gateway.open({"server": {"listen": object()}})
    with pytest.raises(ConfigError, match=r"missing\.toml: the script cannot be read"):
        offline("missing.toml")
    with pytest.raises(ConfigError, match=r"the script:1: rule\[0\]\.reply\[0\]\.txt: there is no such setting here"):
        offline([{"txt": "?"}])
    with pytest.raises(TypeError, match="a script is a path, a text, a dictionary or a list of replies, not int"):
        offline(1)


async def test_a_gateway_that_cannot_begin(opener: Any, empty: Path) -> None:
    """Each request says so, and the transport can be closed."""
    (empty / "no.db").write_bytes(b"no database at all, but a text of some length" * 100)
    (empty / "no.db.secret").write_text("00" * 32)
    handle = Gateway.open({"server": {"database": f"sqlite:///{empty}/no.db"}})
    transport = opener(handle)
    for _ in range(2):
        with pytest.raises(StoreError, match="is not a SQLite database"):
            await transport.send(ask(handle))
    await transport.aclose()


def test_its_key_is_its_own(handle: GatewayHandle) -> None:
    """In memory only: it is in no list of keys, in no text, and other handles do not take it."""
    other = offline()
    assert handle.api_key != other.api_key
    assert handle.api_key not in repr(handle)
    with open_sync(other) as transport:
        assert transport.send(ask(handle)).status == 401
        assert transport.send(ask(other)).status == 200

    async def keys() -> list[Any]:
        async with handle.make() as gateway:
            await gateway.auth.identify(handle.api_key, None)
            return list(await gateway.auth.list())

    assert asyncio.run(keys()) == []


SCRIPTS: dict[str, Any] = {
    "a text": '[[rule]]\nreply = "Good day"',
    "a dictionary": {"rule": [{"text": {"contains": "Claude"}, "reply": {"text": "Good day"}}], "otherwise": "error"},
    "a list": ["Good day"],
    "a list of dictionaries": [{"text": "Good day"}],
    "a tuple": ("Good day", {"error": {"status": 529}}),
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_in_its_forms(script: Any) -> None:
    assert answer_of(offline(script))[1]["content"] == [{"type": "text", "text": "Good day"}]


def test_a_script_in_a_file(empty: Path) -> None:
    (empty / "replies.toml").write_text(SCRIPTS["a text"])
    for script in ("replies.toml", empty / "replies.toml"):
        assert answer_of(offline(script))[1]["content"][0]["text"] == "Good day"


def test_replies_in_a_list_come_one_after_the_other() -> None:
    """Whoever asks, in whatever conversation; the last is repeated."""
    nothing = {"answer": None, "list": [1, None, "x"]}
    handle = offline(["First", {"json": nothing}, {"error": {"status": 529, "retry_after": 1}}, "Last"])
    with open_sync(handle) as transport:
        replies = []
        for number in range(5):
            said = [{"role": "user", "content": f"Question {number}"}]
            reply = transport.send(ask(handle, {**HELLO, "messages": said}))
            replies.append((reply.status, reply.read(LIMIT)))
    assert [status for status, _ in replies] == [200, 200, 529, 200, 200]
    assert [text_of(replies[number][1]) for number in (0, 3, 4)] == ["First", "Last", "Last"]
    assert json.loads(text_of(replies[1][1])) == nothing


def test_offline_is_the_same_every_time() -> None:
    """But for the ids of messages: signatures, organization and workspace too."""
    thinking = {**HELLO, "max_tokens": 2000, "thinking": {"type": "adaptive"}}
    first, second = (answer_of(offline(), thinking)[1] for _ in range(2))
    assert first.pop("id") != second.pop("id")
    assert first == second
    assert first["content"][0]["signature"]


def test_offline_leaves_no_trace_and_asks_no_one(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on the disk, not even of uploaded files, nor in what it takes from the environment."""
    monkeypatch.setenv("TMPDIR", str(empty))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-the-user")
    monkeypatch.setenv("DRAGOMAN_DATABASE", "sqlite:///made.db")
    monkeypatch.setenv("DRAGOMAN_SECRET", "short")
    (empty / "dragoman.toml").write_text("this is no TOML")
    before = set(empty.iterdir())
    handle = offline()
    with open_sync(handle) as transport:
        upload = transport.send(request("POST", "/v1/files", FORM, FORM_TYPE, FILES_BETA, key=handle.api_key))
        file_id = json.loads(upload.read(LIMIT))["id"]
        document = {"type": "document", "source": {"type": "file", "file_id": file_id}, "citations": {"enabled": True}}
        content = [document, {"type": "text", "text": "How long is the Rhine?"}]
        asked = ask(handle, {**HELLO, "messages": [{"role": "user", "content": content}]}, FILES_BETA)
        assert b"The Rhine is long." in transport.send(asked).read(LIMIT)
        gone = transport.send(request("DELETE", f"/v1/files/{file_id}", b"", FILES_BETA, key=handle.api_key))
        assert gone.status == 200
        assert set(empty.iterdir()) == before
        asked = ask(handle, {**HELLO, "messages": [{"role": "user", "content": content}]}, FILES_BETA)
        assert transport.send(asked).status == 404
    assert set(empty.iterdir()) == before
