"""Message threads with the official Python SDK, sync and async: the runner, the conversation object, and the replay.

The servers run in the test's own loop, so that their ledger can be counted and their clock set. "offline": the engine
answers. "relayed": one dragoman in front of another, with a recording wire between them.
"""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from anthropic import AsyncAnthropic, BadRequestError, NotFoundError, beta_async_tool, beta_tool
from either import Client, connect, settled
from rawhttp import KEY
from serving import Serving
from tap import Tap

from dragoman.gateway.config.config import Secret

RUN: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 1000,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "What is the weather in Tokyo?"}],
}
TALK: dict[str, Any] = {"model": "claude-opus-4-8", "max_tokens": 1000, "system": "Be brief."}
HELLO = {"role": "user", "content": "Hello, Claude"}
MORE = {"role": "user", "content": "Say more."}


@dataclass
class Served:
    """One client, what it talks to, and what it sent."""

    client: Client
    server: Serving
    upstream: Tap | None = None
    now: float = 1000.0
    sent: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.gateway.threads.store._clock = lambda: self.now

        def note(request: Any) -> None:
            self.sent.append(json.loads(request.content))

        async def note_too(request: Any) -> None:
            note(request)

        self.client._client.event_hooks = {"request": [note_too if self.is_async else note]}

    @property
    def is_async(self) -> bool:
        return isinstance(self.client, AsyncAnthropic)

    @property
    def threads(self) -> list[str | None]:
        """The `thread` of each request: its type, None where there is none."""
        return [(body.get("thread") or {}).get("type") for body in self.sent]

    async def statuses(self) -> list[str]:
        """Of each HTTP request to the server, as its ledger has it."""
        await self.server.settled()
        target = f"{self.server.config.route_provider.name}/"
        return [row["status"] for row in self.server.rows if row.get("target", "").startswith(target)]

    async def do(self, call: Callable[[], Any]) -> Any:
        """What a call gives; a sync one must not stand in the servers' way."""
        return await settled(call()) if self.is_async else await asyncio.to_thread(call)

    async def run(self, runner: Any, *, stream: bool = False) -> list[Any]:
        """The messages of a runner."""
        if self.is_async:
            return [await item.get_final_message() if stream else item async for item in runner]
        return await asyncio.to_thread(lambda: [item.get_final_message() if stream else item for item in runner])

    def tool(self, report: Callable[[str], str]) -> Any:
        def get_weather(city: str) -> str:
            """Get the current weather of a city.

            Args:
                city: The city's name
            """
            return report(city)

        @functools.wraps(get_weather)
        async def get_weather_too(city: str) -> str:
            return report(city)

        return beta_async_tool(get_weather_too) if self.is_async else beta_tool(get_weather)


@pytest.fixture(params=["offline", "relayed"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sync", "async"])
async def served(request: pytest.FixtureRequest, kind: str) -> AsyncIterator[Served]:
    async with AsyncExitStack() as opened:
        server = await opened.enter_async_context(Serving())
        tap = None
        if kind != "offline":
            tap = await asyncio.to_thread(Tap(server.url).__enter__)
            opened.push_async_callback(asyncio.to_thread, tap.__exit__)
            provider = {"api_key": Secret(KEY), "threads": "upstream" if kind == "handed on" else "ours"}
            server = await opened.enter_async_context(Serving(upstream=tap.url, provider=provider))
        client = connect(request.param, server.url, KEY)
        opened.push_async_callback(lambda: Served.do(one, client.close))
        one = Served(client, server, tap)
        yield one


def fine(city: str) -> str:
    return f"It is 18 degrees in {city}."


def said(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def assert_ran(messages: list[Any]) -> None:
    assert [message.stop_reason for message in messages] == ["tool_use", "end_turn"]
    assert "It is 18 degrees in Tokyo." in said(messages[1])


each_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@each_way
async def test_the_runner_needs_two_calls_and_sends_nothing_twice(served: Served, stream: bool) -> None:
    """SDK-63, 64 a, 68."""
    runner = served.client.beta.messages.tool_runner(tools=[served.tool(fine)], stream=stream, **RUN)
    messages = await served.run(runner, stream=stream)
    assert_ran(messages)
    assert await served.statuses() == ["200", "200"]
    first, second = served.sent
    assert first["thread"] == {"type": "create"}
    assert second["thread"] == {"type": "continue", "previous_message_id": messages[0].id}
    assert not {"system", "tools"} & second.keys()
    assert len(second["messages"]) == 1
    if served.upstream is not None:
        assert_whole(served.upstream, first, second, messages[0])


def assert_whole(upstream: Tap, first: dict[str, Any], second: dict[str, Any], reply: Any) -> None:
    """The upstream saw two plain requests: the second holds all of the first, the reply, and what is new."""
    plain_first, plain_second = (json.loads(exchange.body) for exchange in upstream.exchanges)
    assert plain_first == {name: value for name, value in first.items() if name != "thread"}
    turns = plain_second.pop("messages")
    assert plain_second == {
        **{name: value for name, value in second.items() if name not in ("thread", "messages")},
        "system": first["system"],
        "tools": first["tools"],
    }
    assert turns[0] == first["messages"][0]
    assert turns[2:] == second["messages"]
    (block,) = turns[1]["content"][-1:]
    assert (turns[1]["role"], block["type"], block["id"]) == ("assistant", "tool_use", reply.content[-1].id)
    assert block["input"] == reply.content[-1].input
    for exchange in upstream.exchanges:
        assert "message-threads" not in exchange.headers.get("anthropic-beta", "")


@each_way
async def test_the_runner_without_threads_needs_two_calls(served: Served, stream: bool) -> None:
    """SDK-66, 68."""
    runner = served.client.beta.messages.tool_runner(tools=[served.tool(fine)], stream=stream, thread=False, **RUN)
    assert_ran(await served.run(runner, stream=stream))
    assert await served.statuses() == ["200", "200"]
    assert served.threads == [None, None]


@each_way
async def test_the_runner_replays_a_thread_that_expired(served: Served, stream: bool) -> None:
    """SDK-64 c, 65: the tool took longer than five minutes."""

    def slow(city: str) -> str:
        served.now += 301
        return fine(city)

    runner = served.client.beta.messages.tool_runner(tools=[served.tool(slow)], stream=stream, **RUN)
    assert_ran(await served.run(runner, stream=stream))
    assert await served.statuses() == ["200", "404", "200"]
    assert served.threads == ["create", "continue", "create"]
    assert len(served.sent[2]["messages"]) == 3


@pytest.mark.parametrize("kind", ["handed on"])
async def test_a_runner_at_a_server_that_keeps_threads_itself(served: Served) -> None:
    """SDK-64 a: the one in front hands on what came, and the one behind keeps the thread."""
    runner = served.client.beta.messages.tool_runner(tools=[served.tool(fine)], **RUN)
    assert_ran(await served.run(runner))
    assert served.upstream is not None
    assert [json.loads(exchange.body) for exchange in served.upstream.exchanges] == served.sent
    assert served.threads == ["create", "continue"]
    assert len(served.server.gateway.threads.store) == 0


async def test_a_conversation_is_held_by_the_server(served: Served) -> None:
    """SDK-67: each turn sends what is new."""
    thread = served.client.beta.messages.thread(**TALK)
    first = await served.do(lambda: thread.send(HELLO))
    assert thread.previous_message_id == first.id
    second = await served.do(lambda: thread.send(MORE))
    assert second.usage.input_tokens > first.usage.input_tokens
    third = await served.do(lambda: thread.send({"role": "user", "content": "Thanks."}, max_tokens=3))
    assert third.stop_reason == "max_tokens"  # of the request, not of the thread
    assert served.threads == ["create", "continue", "continue"]
    assert [len(body["messages"]) for body in served.sent] == [1, 1, 1]
    assert await served.statuses() == ["200"] * 3


async def test_a_conversation_may_be_streamed(served: Served) -> None:
    """SDK-67, STR-52: one that was left in the middle is sent again as a whole."""
    thread = served.client.beta.messages.thread(**TALK)
    if served.is_async:
        async with thread.stream(HELLO) as stream:
            message = await stream.get_final_message()
        async with thread.stream(MORE) as stream:
            await anext(stream)
    else:

        def talk() -> Any:
            with thread.stream(HELLO) as stream:
                found = stream.get_final_message()
            with thread.stream(MORE) as stream:
                next(stream)
            return found

        message = await asyncio.to_thread(talk)
    assert served.sent[1]["thread"] == {"type": "continue", "previous_message_id": message.id}
    assert thread.previous_message_id is None
    await served.do(lambda: thread.send())
    assert served.threads == ["create", "continue", "create"]
    assert [each["role"] for each in served.sent[2]["messages"]] == ["user", "assistant", "user"]


async def test_what_was_continued_elsewhere_is_replayed(served: Served) -> None:
    """SDK-65: one continuation a reply."""
    thread = served.client.beta.messages.thread(**TALK)
    first = await served.do(lambda: thread.send(HELLO))
    await served.do(
        lambda: served.client.beta.messages.create(
            **{name: TALK[name] for name in ("model", "max_tokens")},
            messages=[MORE],
            thread={"type": "continue", "previous_message_id": first.id},
            betas=["message-threads-2026-08-12"],
        )
    )
    await served.do(lambda: thread.send(MORE))
    assert await served.statuses() == ["200", "200", "400", "200"]
    assert served.threads == ["create", "continue", "continue", "create"]
    assert len(served.sent[3]["messages"]) == 3


async def test_the_sdk_knows_the_errors(served: Served) -> None:
    """SDK-65, ERR-30: by their codes."""

    def go_on(message_id: str, **more: Any) -> Any:
        return served.client.beta.messages.create(
            model="claude-opus-4-8",
            max_tokens=100,
            messages=[HELLO],
            thread={"type": "continue", "previous_message_id": message_id},
            **{"betas": ["message-threads-2026-08-12"], **more},
        )

    thread = served.client.beta.messages.thread(**TALK)
    first = await served.do(lambda: thread.send(HELLO))
    with pytest.raises(BadRequestError) as error:
        await served.do(lambda: go_on(first.id, system="Be long."))
    assert type(error.value).__name__ == "ThreadFingerprintMismatchError"
    with pytest.raises(NotFoundError) as lost:
        await served.do(lambda: go_on("msg_01NoSuchMessage"))
    assert type(lost.value).__name__ == "ThreadNotFoundError"
    with pytest.raises(BadRequestError) as error:
        await served.do(lambda: go_on(first.id, betas=[]))
    assert type(error.value).__name__ == "ThreadUnsupportedRequestError"
    await served.do(lambda: go_on(first.id))
    with pytest.raises(BadRequestError) as error:
        await served.do(lambda: go_on(first.id))
    assert type(error.value).__name__ == "ThreadAlreadyContinuedError"


@pytest.mark.parametrize("kind", ["offline"])
async def test_thinking_and_cache_breakpoints_go_with_a_thread(served: Served) -> None:
    """SDK-65, CCH-4: neither is among what a thread cannot have here, however long it grows."""
    thread = served.client.beta.messages.thread(
        **TALK, thinking={"type": "adaptive"}, cache_control={"type": "ephemeral"}
    )
    marked = {"type": "text", "text": "Hello again", "cache_control": {"type": "ephemeral"}}
    for _ in range(6):
        await served.do(lambda: thread.send({"role": "user", "content": [marked, {"type": "text", "text": "and?"}]}))
    assert served.threads == ["create", *["continue"] * 5]
    assert await served.statuses() == ["200"] * 6
