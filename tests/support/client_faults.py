"""One fault, four clients: the official Python SDK and ours, sync and async, against the same misbehaving server.

    @every_client
    async def test_refused(face: Face) -> None:
        async with trial(face, handler, max_retries=1) as t:
            with pytest.raises(t.sdk.APIConnectionError):
                await create(t.client)
            assert t.server.requests ...
            assert t.slept == [...]

A trial owns server, client and environment. No client waits between attempts: `slept` holds what it would have waited.
When the trial is left, every socket that was opened must be closed again.

The official SDK is the measure. Where ours does something else on purpose, `DIFFERENCES` says why, and the test asks
`face.either(...)` for what is expected of whom.
"""

import asyncio
import gc
import importlib
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch

import anthropic
import anyio
import pytest
from canned import BLOCK, COUNT, DELTA, MESSAGE, START, STREAM, sse
from either import each, settled
from failing import served
from misbehaving import LAST_CHUNK, Conn, Handler, Misbehaving, chunk, head, json_reply, sse_head

__all__ = [
    "BACKOFF_S",
    "BEGUN",
    "BEGUN_TYPES",
    "DIFFERENCES",
    "FACES",
    "FINE",
    "HALF_BODY",
    "HALF_HEAD",
    "JSON",
    "KEY",
    "PARAMS",
    "Face",
    "Trial",
    "answering",
    "clean_environment",
    "collected",
    "create",
    "each_of",
    "every_async_client",
    "every_client",
    "every_sync_client",
    "every_way",
    "only_new_garbage",
    "open_sockets",
    "stream",
    "trial",
    "types_until_the_end",
    "until",
    "well_behaved",
]

KEY = "sk-ant-of-the-test"
PATIENCE_S = 5.0  # for what must come soon
HANG_S = 30.0  # a client that waits for longer waits for ever
PARAMS: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Hello"}],
}
JSON = ("content-type", "application/json")
FINE = json_reply(MESSAGE)
HALF_HEAD = b"HTTP/1.1 200 OK\r\ncontent-ty"
HALF_BODY = head(200, JSON, ("content-length", "500")) + b'{"id": "msg'
BEGUN = sse_head() + chunk(sse(START, BLOCK, DELTA))  # of a stream
BEGUN_TYPES = ["message_start", "content_block_start", "content_block_delta"]
BACKOFF_S = [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]  # SDK-24, before the jitter

# What ours does otherwise than the official SDK 2.11, and why. The tests name these where they differ.
DIFFERENCES: dict[str, str] = {
    "a fault amid a stream": (
        "The official stream lets httpx2's exceptions through, so that `except anthropic.APIError` misses them. Ours "
        "raises APIConnectionError or APITimeoutError, as before the stream began."
    ),
    "JSON that is none": (
        "The official client raises a bare JSONDecodeError or UnicodeDecodeError. Ours raises "
        "APIResponseValidationError, which is an APIError and holds the response."
    ),
    "a reply that is no object": (
        "The official client returns a page's text, a list or None where a Message is promised; the program fails "
        "later, with an AttributeError. Ours raises APIResponseValidationError."
    ),
    "a stream that is none": (
        "The official stream of a page or of plain JSON is simply empty. Ours raises APIResponseValidationError."
    ),
    "the user agent": "A server's log shall show which client it was.",
    "what the machine is": (
        "The official client tells system, architecture and versions with every call (`x-stainless-os` and so on). No "
        "server needs them, and they are the user's own business."
    ),
    "compressed replies": (
        "Compression holds the events of a stream back and costs more than it saves for the rest. What comes "
        "compressed all the same is read."
    ),
    "a request that cannot be written": "It cannot be written the next time either: ours does not wait and try again.",
    "a key for a stranger": "The official client takes `authorization` away; `x-api-key` is a key too.",
    "a key in the cause": "The error's foreign cause shows what could not be sent: a key, for instance.",
    "a date of no calendar": "The official client lets a ValueError through. Ours waits as if none had been named.",
    "a kept connection that dies": (
        "Closed by the server while the request was on its way, before a byte of the reply: ours sends it again on a "
        "new connection at once, as part of the same attempt. The official client waits and counts a retry."
    ),
}

T = TypeVar("T")


@dataclass(frozen=True)
class Face:
    """One of the four clients."""

    is_ours: bool
    is_async: bool
    is_lent: bool = False  # ours over a client of httpx2 that was handed in

    def __str__(self) -> str:
        whose = "lent" if self.is_lent else "ours" if self.is_ours else "official"
        return f"{whose}-{'async' if self.is_async else 'sync'}"

    @property
    def sdk(self) -> ModuleType:
        return importlib.import_module("dragoman" if self.is_ours else "anthropic")

    @property
    def client_class(self) -> Any:
        return self.sdk.AsyncAnthropic if self.is_async else self.sdk.Anthropic

    def either(self, difference: str, *, official: T, ours: T) -> T:
        """What is expected of this one, where the two differ by the entry `difference` of DIFFERENCES."""
        assert difference in DIFFERENCES, f"the difference {difference!r} has no reason"
        return ours if self.is_ours else official

    def client(self, **options: Any) -> Any:
        """A client that reads nothing of the machine; to be closed by the caller.

        `http_client=None` leaves the official one to make its own, which costs the time to read the certificates.
        """
        if (self.is_lent or not self.is_ours) and "http_client" not in options:
            kind = anthropic.DefaultAsyncHttpxClient if self.is_async else anthropic.DefaultHttpxClient
            options["http_client"] = kind(trust_env=False, verify=_TRUST)
        return self.client_class(**options)


FACES = [Face(is_ours, is_async) for is_ours in (False, True) for is_async in (False, True)]
_TRUST = ssl.create_default_context()  # once: to read the system's certificates takes 20 ms

LENT = [Face(True, is_async, is_lent=True) for is_async in (False, True)]

every_client = pytest.mark.parametrize("face", FACES, ids=str)
every_way = pytest.mark.parametrize("face", FACES + LENT, ids=str)  # where the transport counts
every_sync_client = pytest.mark.parametrize("face", [face for face in FACES if not face.is_async], ids=str)
every_async_client = pytest.mark.parametrize("face", [face for face in FACES if face.is_async], ids=str)


@dataclass
class Trial:
    """One client and the server it talks to."""

    face: Face
    client: Any
    server: Misbehaving
    slept: list[float] = field(default_factory=list)  # seconds asked for between attempts, in order

    @property
    def sdk(self) -> ModuleType:
        return self.face.sdk

    @property
    def attempts(self) -> int:
        return len(self.server.requests)

    async def hung_up(self, number: int = 0) -> None:
        """The server sees that the client has closed connection `number`; its handler must be reading."""
        await until(lambda: len(self.server.conns) > number and self.server.conns[number].gone.is_set())

    async def asked(self, number: int = 0) -> None:
        """The server has read request `number`."""
        await until(lambda: len(self.server.requests) > number)


@asynccontextmanager
async def trial(
    face: Face,
    handler: Handler | None = None,
    *,
    env: dict[str, str] | None = None,
    jitter: float | None = None,
    on_sleep: Callable[[float], None] = lambda delay: None,
    **options: Any,
) -> AsyncIterator[Trial]:
    """`options` are those of the client; one given as `...` is left to the client's default.

    `jitter` is what the random source gives, from 0 to 1. `on_sleep` is called instead of sleeping.
    """
    before = open_sockets()
    with no_hanging(), clean_environment(env or {}), served(handler or well_behaved) as server:
        given = {"api_key": KEY, "base_url": server.url, "timeout": PATIENCE_S} | options
        client = face.client(**{name: value for name, value in given.items() if value is not ...})
        t = Trial(face, client, server)
        with _awake(face, t.slept, on_sleep), _random(face, jitter):
            try:
                yield t
            finally:
                await settled(client.close())
    await until(lambda: open_sockets() <= before)  # a loop closes its sockets one turn later


async def create(client: Any, **params: Any) -> Any:
    """`messages.create`, with what it needs filled in."""
    return await settled(client.messages.create(**PARAMS | params))


async def stream(client: Any, **params: Any) -> Any:
    """The stream of `messages.create(stream=True)`."""
    return await create(client, stream=True, **params)


def answering(*answers: bytes) -> Handler:
    """A handler that gives out `answers` in turn, over whatever connections, the last one for all that follow."""
    left = list(answers)

    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await conn.send(left.pop(0) if len(left) > 1 else left[0])

    return handler


async def well_behaved(conn: Conn) -> None:
    """The handler of a server that does all it should: a message, a stream or a count, as was asked."""
    while (request := await conn.read_request()) is not None:
        if request.target.endswith("count_tokens"):
            await conn.send(json_reply(COUNT))
        elif request.body and request.json().get("stream"):
            await conn.send(sse_head() + chunk(sse(*STREAM)) + LAST_CHUNK)
        else:
            await conn.send(json_reply(MESSAGE))


async def types_until_the_end(events: Any, got: list[str]) -> None:
    """Reads a stream, noting in `got` what came, even if it fails then."""
    async for event in each(events):
        got.append(event.type)  # noqa: PERF401 (it may fail)


def each_of(values: dict[str, Any]) -> Any:
    """Parametrise over `values` as `name`, `value`."""
    return pytest.mark.parametrize("value", list(values.values()), ids=list(values))


# -- sleeping and chance -------------------------------------------------------------------------------------------


@contextmanager
def _awake(face: Face, slept: list[float], on_sleep: Callable[[float], None]) -> Iterator[None]:
    """The client's pauses are noted and left out. Its other uses of the clock stay as they are."""

    def sleep(delay: float) -> None:
        slept.append(delay)
        on_sleep(delay)

    async def asleep(delay: float) -> None:
        sleep(delay)

    if face.is_ours:
        with patch("dragoman.client.sync.sleep", sleep), patch("dragoman.client.aio.sleep", asleep):
            yield
    else:
        with (
            patch("anthropic._base_client.time", _but(time, sleep=sleep)),
            patch("anthropic._base_client.anyio", _but(anyio, sleep=asleep)),
        ):
            yield


def _but(module: ModuleType, **changed: Any) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(module), **changed})


@contextmanager
def _random(face: Face, jitter: float | None) -> Iterator[None]:
    """Ours takes its dice as an argument, which the drivers leave at its default."""
    if jitter is None:
        yield
    elif face.is_ours:
        from dragoman.client import flow

        with patch.dict(flow.perform.__kwdefaults__, {"dice": lambda: jitter}):
            yield
    else:
        with patch("anthropic._base_client.random", lambda: jitter):
            yield


@contextmanager
def no_hanging() -> Iterator[None]:
    """A blocking client that hangs would hold the whole run up: it gets a TimeoutError. Where there is no such signal
    (Windows), it hangs."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"the client has been waiting for {HANG_S} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    old = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


# -- the machine ---------------------------------------------------------------------------------------------------


@contextmanager
def clean_environment(env: dict[str, str]) -> Iterator[None]:
    """Nothing that a client could read but `env`: no key, no headers, no proxy, no profile on disk."""
    with patch.dict(os.environ):
        for name in list(os.environ):
            if name.startswith(("ANTHROPIC_", "DRAGOMAN_", "OTEL_")) or name.lower().endswith("_proxy"):
                del os.environ[name]
        os.environ["HOME"] = os.environ["XDG_CONFIG_HOME"] = "/dev/null/no-such-folder"
        os.environ |= env
        yield


async def until(is_so: Callable[[], bool]) -> None:
    """Polls: what is waited for happens in another thread, or in the system."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.001)


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


@contextmanager
def only_new_garbage() -> Iterator[None]:
    """Within, garbage is looked for among what was made within: a hundred times quicker in a process so full."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def collected() -> None:
    """Garbage is gone, and what its finalizers put into the loop has had its turn."""
    gc.collect()
    await asyncio.sleep(0)
    gc.collect()
