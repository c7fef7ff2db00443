"""The application without a server: what it says when it is stopped, or when its caller takes nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from canned import BLOCK, DELTA, END, START, sse
from rawhttp import HELLO, KEY, events, json_bytes
from serving import Serving, wait_until

from dragoman.gateway.call import Answer
from dragoman.server import replies
from dragoman.server.app import App

Message = dict[str, Any]
HEADERS = [(b"x-api-key", KEY.encode()), (b"anthropic-version", b"2023-06-01")]


class Asked:
    """One request to the application, run as a task; what it sent so far. `on_send` may wait, or interfere."""

    def __init__(
        self, server: Serving, body: Any, *, on_send: Callable[[Message], Awaitable[None]] | None = None
    ) -> None:
        self.sent: list[Message] = []
        self.is_gone = asyncio.Event()
        self._pieces = [json_bytes(body)]
        self._on_send = on_send
        scope = {"type": "http", "method": "POST", "raw_path": b"/v1/messages", "query_string": b"", "headers": HEADERS}
        self.task = asyncio.create_task(App(server.gateway)(scope, self._receive, self._send))

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def has_ended(self) -> bool:
        return bool(self.sent) and "body" in self.sent[-1] and not self.sent[-1].get("more_body")

    async def _receive(self) -> Message:
        if self._pieces:
            return {"type": "http.request", "body": self._pieces.pop(), "more_body": False}
        await self.is_gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        assert not self.has_ended, message
        self.sent.append(message)
        if self._on_send is not None:
            await self._on_send(message)


class Paused:
    """An answerer whose stream pauses after its first content until it is told to go on."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.is_closed = asyncio.Event()

    async def ask(self, *_: Any) -> Answer:
        stream = self._run()
        await anext(stream)
        return Answer(stream=stream)

    async def _run(self) -> Any:
        try:
            yield b""
            yield sse(START, BLOCK, DELTA)
            await self.go_on.wait()
            yield sse(*END)
        finally:
            self.is_closed.set()


@pytest.fixture
async def server() -> AsyncIterator[Serving]:
    async with Serving() as running:
        yield running


@pytest.fixture
def paused(server: Serving) -> Paused:
    server.gateway.local = answerer = Paused()  # type: ignore[assignment]
    return answerer


async def test_a_stop_in_mid_stream_is_told_as_an_event(server: Serving, paused: Paused) -> None:
    asked = Asked(server, {**HELLO, "stream": True})
    await wait_until(lambda: sse(DELTA) in asked.body)
    asked.task.cancel()
    await asked.task  # not raised: the server has nothing to do about it
    assert events(asked.body)[-1][1]["error"]["type"] == "overloaded_error"
    assert asked.has_ended
    assert paused.is_closed.is_set()
    assert [row["outcome"] for row in server.rows] == ["cut"]


async def test_a_stop_before_the_reply_is_told_as_a_status(server: Serving) -> None:
    class Never:
        async def ask(self, *_: Any) -> Answer:
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    server.gateway.local = Never()  # type: ignore[assignment]
    asked = Asked(server, HELLO)
    await wait_until(lambda: server.running == 1)
    asked.task.cancel()
    await asked.task
    assert asked.status == 529
    assert json.loads(asked.body)["request_id"] == dict(asked.sent[0]["headers"])[b"request-id"].decode()
    assert json.loads(asked.body)["request_id"] == server.rows[0]["request_id"]


@pytest.mark.parametrize("body", [HELLO, {**HELLO, "stream": True}], ids=["json", "stream"])
async def test_a_stop_right_after_the_reply_says_nothing_more(server: Serving, body: Any) -> None:
    """What came whole is answered, whatever the server does in the same moment."""

    async def stop_at_the_end(message: Message) -> None:
        if "body" in message and not message.get("more_body"):
            asked.task.cancel()

    asked = Asked(server, body, on_send=stop_at_the_end)
    await asked.task
    assert asked.status == 200
    assert [row["outcome"] for row in server.rows] == ["answered"]


async def test_a_stop_does_not_wait_for_a_caller_who_takes_nothing(
    server: Serving, paused: Paused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "FAREWELL_S", 0.05)

    async def never(message: Message) -> None:
        if message.get("body"):
            await asyncio.get_running_loop().create_future()

    asked = Asked(server, {**HELLO, "stream": True}, on_send=never)
    await wait_until(lambda: sse(DELTA) in asked.body)
    asked.task.cancel()
    await asked.task
    assert paused.is_closed.is_set()
    assert [row["outcome"] for row in server.rows] == ["cut"]


async def test_a_caller_who_takes_nothing_for_long_counts_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """He may have gone without a word: a machine that lost its network sends no FIN."""
    monkeypatch.setattr(replies, "STALLED_S", 0.1)

    async def never(message: Message) -> None:
        if message.get("body"):
            await asyncio.get_running_loop().create_future()

    async with Serving(ping_after_s=0.02) as server:
        server.gateway.local = answerer = Paused()  # type: ignore[assignment]
        asked = Asked(server, {**HELLO, "stream": True}, on_send=never)
        await asked.task
        assert answerer.is_closed.is_set()
        assert [row["outcome"] for row in server.rows] == ["abandoned"]


async def test_a_hang_up_and_a_stop_in_one_moment_do_no_harm(server: Serving, paused: Paused) -> None:
    asked = Asked(server, {**HELLO, "stream": True})
    await wait_until(lambda: sse(DELTA) in asked.body)
    asked.is_gone.set()
    await asyncio.sleep(0)
    asked.task.cancel()
    await asyncio.gather(asked.task, return_exceptions=True)
    assert paused.is_closed.is_set()
    assert [row["outcome"] for row in server.rows] in (["cut"], ["abandoned"])
    assert server.running == 0
