"""Rate limits as callers meet them: the official Python SDK and raw sockets against a real server whose clock we move.

The arithmetic is settled in tests/gateway/test_limits.py.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient
from canned import MESSAGE, START, UPSTREAM_ID, envelope, sse, well_behaved
from either import connect
from misbehaving import Conn, Handler, Misbehaving, chunk, json_reply, sse_head
from rawhttp import HELLO, KEY, Wire, error, exchange, post
from running import Running
from serving import Serving, wait_until

from dragoman.gateway.config.limits import LimitsConfig, TierConfig
from dragoman.gateway.limits.limits import Limits
from dragoman.gateway.limits.model_groups import ModelGroups
from dragoman.store.buckets import Buckets
from dragoman.store.memory import MemoryCounters

FAMILY = "anthropic-ratelimit-"
ASKING: dict[str, Any] = {"model": "claude-opus-4-8", "max_tokens": 64, "messages": HELLO["messages"]}
STREAMED = {**HELLO, "stream": True}


class Clock:
    """Time for the limits alone: the sockets keep their own."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Client(AsyncAnthropic):
    """The official client, whose waits move the server's clock instead."""

    def __init__(self, url: str, clock: Clock, **options: Any) -> None:
        super().__init__(
            base_url=url,
            api_key=KEY,
            http_client=DefaultAsyncHttpxClient(trust_env=False),
            **{"max_retries": 0, **options},
        )
        self.clock = clock
        self.waits: list[float] = []

    def _calculate_retry_timeout(self, *args: Any, **kwargs: Any) -> float:
        self.waits.append(super()._calculate_retry_timeout(*args, **kwargs))
        self.clock.now += self.waits[-1]
        return 0.0


@asynccontextmanager
async def limiting(*, upstream: str | None = None, **limits: int) -> AsyncIterator[tuple[Serving, Clock]]:
    """A server that limits everybody together to so many. It must have let go of every request in the end."""
    clock = Clock()
    server = Serving(upstream=upstream)
    config = LimitsConfig(organization="t", tiers={"t": TierConfig(name="t", origin="the test", **limits)})
    gateway = server.gateway
    counters = MemoryCounters()
    groups = ModelGroups(gateway.router, gateway.config)
    gateway.limits = Limits(config, groups=groups, counters=counters, clock=clock, wall=clock)
    async with server:
        yield server, clock
        await server.settled()
        assert counters.gates == {}


def buckets_of(server: Serving) -> Buckets:
    counters = server.gateway.limits.counters
    assert isinstance(counters, MemoryCounters)
    return counters.buckets


def told(headers: Any) -> dict[str, str]:
    """The rate-limit headers, without their common beginning."""
    return {name.removeprefix(FAMILY): value for name, value in headers.items() if name.startswith(FAMILY)}


async def test_the_sdk_sees_a_rate_limit_and_what_is_left_of_it() -> None:
    """ERR-17, ERR-51, HDR-33, 37, 38, 39, SDK-23: a RateLimitError with everything in it."""
    async with limiting(rpm=2) as (server, clock), Client(server.url, clock) as client:
        for remaining in ("1", "0"):
            raw = await client.messages.with_raw_response.create(**ASKING)
            assert told(raw.headers)["requests-limit"] == "2"
            assert told(raw.headers)["requests-remaining"] == remaining
        with pytest.raises(anthropic.RateLimitError) as caught:
            await client.messages.create(**ASKING)
        reply = caught.value.response
        assert caught.value.type == "rate_limit_error"
        assert "your organization's rate limit of 2 requests per minute" in caught.value.message
        assert "model: claude-opus-4-8" in caught.value.message
        assert (reply.headers["retry-after"], reply.headers["x-should-retry"]) == ("30", "true")
        assert told(reply.headers) == {
            "requests-limit": "2",
            "requests-remaining": "0",
            "requests-reset": "1970-01-01T00:17:40Z",  # the clock's 1000 and a minute
        }
        await server.settled()
        assert [row["status"] for row in server.rows] == ["200", "200", "429"]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_sdk_waits_as_long_as_it_is_told_and_then_succeeds(stream: bool) -> None:
    """LIM-10, SDK-24: one try more, not two."""
    async with limiting(rpm=3) as (server, clock), Client(server.url, clock, max_retries=1) as client:
        for _ in range(5):
            if stream:
                async with client.messages.stream(**ASKING) as streamed:
                    assert (await streamed.get_final_message()).stop_reason == "end_turn"
            else:
                assert (await client.messages.create(**ASKING)).stop_reason == "end_turn"
        assert client.waits == [20.0, 20.0]
        await server.settled()
        assert [row["status"] for row in server.rows] == ["200"] * 3 + ["429", "200"] * 2


async def test_a_stream_is_limited_and_told_as_a_reply_is() -> None:
    """HDR-34, HDR-35, LIM-4: and what it wrote is counted at its end."""
    async with limiting(itpm=20_000, otpm=5) as (server, clock), Client(server.url, clock) as client:
        async with client.messages.stream(**ASKING) as stream:
            assert told(stream.response.headers)["input-tokens-limit"] == "20000"
            assert told(stream.response.headers)["output-tokens-remaining"] == "5"
            assert told(stream.response.headers)["tokens-limit"] == "20005"
            written = (await stream.get_final_message()).usage.output_tokens
        await server.settled()
        assert written > 5
        with pytest.raises(anthropic.RateLimitError, match="5 output tokens per minute") as caught:
            await client.messages.create(**ASKING)
        assert float(caught.value.response.headers["retry-after"]) == pytest.approx((written - 4) * 12, abs=1)
        assert told(caught.value.response.headers)["output-tokens-remaining"] == "0"


async def test_the_real_usage_takes_the_place_of_the_estimate() -> None:
    """LIM-3: cached input is free, so the same long prompt passes again and again."""
    long = [{"type": "text", "text": "word " * 8000, "cache_control": {"type": "ephemeral"}}]
    async with limiting(itpm=17_000) as (server, clock), Client(server.url, clock) as client:
        first = await client.messages.create(**ASKING, system=long)
        assert first.usage.cache_creation_input_tokens
        await server.settled()
        clock.now += 60.0
        for _ in range(8):
            again = await client.messages.create(**ASKING, system=long)
            assert again.usage.cache_read_input_tokens == first.usage.cache_creation_input_tokens
            await server.settled()


async def test_counting_tokens_is_limited_by_itself() -> None:
    """LIM-6."""
    count = {"model": ASKING["model"], "messages": ASKING["messages"]}
    async with limiting(rpm=1, count_rpm=2) as (server, clock), Client(server.url, clock) as client:
        await client.messages.create(**ASKING)
        for _ in range(2):
            await client.messages.count_tokens(**count)
        with pytest.raises(anthropic.RateLimitError, match="2 requests per minute"):
            await client.messages.count_tokens(**count)


async def test_many_at_once_get_exactly_what_there_is() -> None:
    """LIM-1, LIM-7: as an agent with its sub-agents asks; the refused ones took nothing."""
    async with limiting(rpm=10, itpm=1_000_000) as (server, clock), Client(server.url, clock) as client:
        asked = (client.messages.create(**ASKING, stream=bool(number % 2)) for number in range(40))
        replies = await asyncio.gather(*asked, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, anthropic.AsyncStream):
                async for _ in reply:
                    pass
        refused = [reply for reply in replies if isinstance(reply, BaseException)]
        assert len(refused) == 30
        assert {type(each) for each in refused} == {anthropic.RateLimitError}
        await server.settled()
        clock.now += 6.0
        await client.messages.create(**ASKING)
        with pytest.raises(anthropic.RateLimitError):
            await client.messages.create(**ASKING)


async def test_no_limits_no_headers() -> None:
    """HDR-39."""
    async with Serving() as server:
        answered = await exchange(server.url, post(HELLO))
    assert [name for name, _ in answered.headers if name.startswith(FAMILY)] == []


async def test_who_is_refused_before_the_limits_pays_nothing_and_is_told_nothing() -> None:
    """HDR-39, LIM-7."""
    async with limiting(rpm=1) as (server, _):
        for raw in (post(HELLO, key="wrong"), post(b"{"), post({**HELLO, "stream": 1})):
            answered = await exchange(server.url, raw)
            assert answered.status in (400, 401)
            assert [name for name, _ in answered.headers if name.startswith(FAMILY)] == []
        assert (await exchange(server.url, post(HELLO))).status == 200
        assert error(await exchange(server.url, post(HELLO)), 429)["type"] == "rate_limit_error"


# -- connections ------------------------------------------------------------------------------------------------------


async def stalling(conn: Conn) -> None:
    """Answers the beginning of a stream, or nothing, and then stands still."""
    request = await conn.read_request()
    if request is not None and b'"stream": true' in request.body:
        await conn.send(sse_head(("request-id", UPSTREAM_ID)) + chunk(sse(*BEGUN)))
    await conn.wait_closed()


BEGUN = [
    START,
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    *(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "some more words "}}
        for _ in range(50)
    ),
]


@asynccontextmanager
async def relaying(handler: Handler, **limits: int) -> AsyncIterator[tuple[Serving, Clock]]:
    async with Misbehaving(handler) as upstream, limiting(upstream=upstream.url, **limits) as opened:
        yield opened


@pytest.mark.parametrize("body", [HELLO, STREAMED], ids=["json", "stream"])
async def test_a_caller_who_hangs_up_frees_the_place(body: dict[str, Any]) -> None:
    """ERR-52: and until then one more is too many, without a `retry-after` that nobody could keep."""
    async with relaying(stalling, concurrent=2) as (server, _):
        wires = [await Wire.connect(server.url) for _ in range(2)]
        for wire in wires:
            await wire.send(post(body))
            if body is STREAMED:
                await wire.head()
        await wait_until(lambda: server.running == 2)
        answered = await exchange(server.url, post(HELLO))
        assert error(answered, 429)["message"].startswith(
            "Number of concurrent connections has exceeded your rate limit."
        )
        assert (answered.header("retry-after"), answered.header("x-should-retry")) == (None, "true")
        wires[0].close()
        await wait_until(lambda: server.running == 1)
        async with await Wire.connect(server.url) as third:
            await third.send(post(body))
            await wait_until(lambda: server.running == 2)
        wires[1].reset()


async def test_a_stream_that_is_hung_up_on_counts_what_it_sent() -> None:
    """LIM-4: fifty deltas came, though no usage was told but the first."""
    async with relaying(stalling, otpm=200) as (server, clock):
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(STREAMED))
            await wire.head()
            await wire.until(b"some more words")
        await server.settled()
        (share,) = [at - clock.now for at in buckets_of(server)._full_at.values()]
        assert 50 <= share * 200 / 60 <= 400


# -- upstreams --------------------------------------------------------------------------------------------------------

THEIRS = [(f"{FAMILY}requests-limit", "77"), (f"{FAMILY}tokens-limit", "88"), ("request-id", UPSTREAM_ID)]
PRIORITY = ("anthropic-priority-input-tokens-limit", "99")


def always(raw: bytes) -> Handler:
    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await conn.send(raw)

    return handler


async def test_our_limits_are_told_in_place_of_an_upstreams() -> None:
    """HDR-36, HDR-39: its own are of the key that dragoman shows it, but for tiers that only an upstream has."""
    async with relaying(always(json_reply(MESSAGE, *THEIRS, PRIORITY)), rpm=50) as (server, _):
        answered = await exchange(server.url, post(HELLO))
    names = {name: value for name, value in answered.headers if name.startswith(FAMILY)}
    assert (names[f"{FAMILY}requests-limit"], names[f"{FAMILY}requests-remaining"]) == ("50", "49")
    assert f"{FAMILY}tokens-limit" not in names
    assert answered.header("request-id") == UPSTREAM_ID
    assert [name for name, _ in answered.headers if "priority" in name or "fast" in name] == [PRIORITY[0]]


@pytest.mark.parametrize(("status", "kind"), [(429, "rate_limit_error"), (529, "overloaded_error"), (500, "api_error")])
async def test_what_an_upstream_refuses_is_not_counted(status: int, kind: str) -> None:
    """ERR-22, LIM-7, HDR-39: so a caller's tries again are not what uses the limit up."""
    raw = json_reply(envelope(kind), *THEIRS, ("retry-after", "3"), status=status)
    async with relaying(always(raw), rpm=1, itpm=10) as (server, _):
        for _ in range(4):
            answered = await exchange(server.url, post(HELLO))
            await server.settled()
            assert error(answered, status)["type"] == kind
            assert answered.header(f"{FAMILY}requests-limit") == ("77" if status == 429 else "1")
        buckets, now = buckets_of(server), server.gateway.clock()
        assert all(buckets.full_at(key, now) <= now for key in buckets._full_at)


async def test_an_answer_of_an_upstream_counts_by_its_usage() -> None:
    """LIM-3, LIM-4."""
    async with relaying(well_behaved, itpm=1000, otpm=1000) as (server, clock):
        for body in (HELLO, STREAMED):
            await exchange(server.url, post(body))
            await server.settled()
        seconds = sorted(at - clock.now for at in buckets_of(server)._full_at.values())
    assert seconds == pytest.approx([2 * 5 * 0.06, 2 * 7 * 0.06])


# -- the process ------------------------------------------------------------------------------------------------------

CONFIG = """
[tiers.two]
rpm = 2

[tiers.two.groups."haiku"]
rpm = 1

[limits]
organization = "start"
keys = {"*" = "two"}
"""


def test_a_configured_server_limits(tmp_path: Path) -> None:
    """LIM-2, LIM-5, LIM-9: from the file to the header."""
    with Running(tmp_path, CONFIG) as server, connect("sync", server.url, server.key) as client:
        for model, limit in (("claude-haiku-4-5", 1), ("claude-opus-4-8", 2)):
            for _ in range(limit):
                raw = client.messages.with_raw_response.create(**{**ASKING, "model": model})
                assert told(raw.headers)["requests-limit"] == str(limit)
                assert told(raw.headers)["tokens-limit"] == "2400000"
            with pytest.raises(anthropic.RateLimitError, match=f"your API key's rate limit of {limit} requests"):
                client.messages.create(**{**ASKING, "model": model})
