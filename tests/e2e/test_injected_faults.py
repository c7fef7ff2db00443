"""Faults on demand as their users meet them: the official Python SDK and raw sockets against a real server.

What strikes whom, and where in a stream, is settled in tests/gateway/test_faults.py; here is what a client makes of it.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient
from canned import MESSAGE, well_behaved
from either import connect
from misbehaving import Conn, Misbehaving, json_reply
from rawhttp import HELLO, KEY, Wire, error, events, exchange, post
from running import Running
from serving import Serving, ledger_rows, wait_until

from dragoman.gateway.config.faults import FaultConfig
from dragoman.gateway.faults.faults import Faults

TEST_KEY = "sk-dgm-test-key-that-may-ask-for-faults"
STREAMED = {**HELLO, "stream": True}
ASKING: dict[str, Any] = {"model": "claude-opus-4-8", "max_tokens": 64, "messages": HELLO["messages"]}
LONG_MS = 600_000  # nobody waits for it


class Client(AsyncAnthropic):
    """The official client with its own rules for retries, but for the waits: they are written down instead."""

    def __init__(self, url: str, **options: Any) -> None:
        transport = DefaultAsyncHttpxClient(trust_env=False)
        super().__init__(base_url=url, api_key=TEST_KEY, http_client=transport, **options)
        self.waits: list[float] = []

    def _calculate_retry_timeout(self, *args: Any, **kwargs: Any) -> float:
        self.waits.append(super()._calculate_retry_timeout(*args, **kwargs))
        return 0.0


@pytest.fixture
async def server() -> AsyncIterator[Serving]:
    async with Serving() as running:
        await running.gateway.auth.create("tests", key=TEST_KEY, is_test=True)
        yield running


@pytest.fixture
async def client(server: Serving) -> AsyncIterator[Client]:
    async with Client(server.url) as opened:
        yield opened


def faulty(header: str) -> dict[str, Any]:
    return {**ASKING, "extra_headers": {"dragoman-fault": header}}


def asking(header: str, body: Any = HELLO, *, key: str = TEST_KEY, path: str = "/v1/messages") -> bytes:
    headers = (("x-api-key", key), ("anthropic-version", "2023-06-01"), ("dragoman-fault", header))
    return post(body, *headers, path=path, key=None)


async def ended(server: Serving) -> list[tuple[str, str, str | None]]:
    """Outcome, status and error of each request so far, in the order of their ends."""
    await server.settled()
    return [(row["outcome"], row["status"], row.get("error")) for row in server.rows]


# -- errors ---------------------------------------------------------------------------------------------------------


async def test_a_429_is_retried_after_its_time_and_then_succeeds(client: Client, server: Serving) -> None:
    """ERR-17, HDR-37, HDR-38, SDK-23, SDK-24."""
    message = await client.messages.create(**faulty("429; retry-after=2; times=1"))
    assert message.stop_reason == "end_turn"
    assert client.waits == [2.0]
    assert await ended(server) == [("refused", "429", "rate_limit_error"), ("answered", "200", None)]


@pytest.mark.parametrize("stream", [False, True])
async def test_two_retries_overcome_two_faults_but_not_three(client: Client, server: Serving, stream: bool) -> None:
    """ERR-20, SDK-22, SDK-24: three attempts, and without retry-after the SDK's own waits."""
    await client.messages.create(**faulty("529; times=2"), stream=stream)
    assert len(client.waits) == 2
    assert all(0 < wait <= 1 for wait in client.waits)
    with pytest.raises(anthropic.OverloadedError) as caught:
        await client.messages.create(**faulty("529; times=3"), stream=stream)
    assert caught.value.api_message == "Overloaded"
    assert caught.value.request_id == caught.value.body["request_id"]
    assert [status for _, status, _ in await ended(server)] == ["529", "529", "200", "529", "529", "529"]


async def test_attempts_are_told_apart_by_the_sdk_s_own_count(client: Client, server: Serving) -> None:
    """SDK-25: so a proxy or a log behind a fault sees which attempt came through."""
    seen: list[str | None] = []
    plan = server.gateway.faults.plan

    async def noted(asked: Any) -> Any:
        seen.append(asked.call.headers.get("x-stainless-retry-count"))
        return await plan(asked)

    server.gateway.faults.plan = noted  # type: ignore[method-assign]
    await client.messages.create(**faulty("500; times=2"))
    assert seen == ["0", "1", "2"]


# Status -> the SDK's class, and how often it asks.
STATUSES: dict[str, tuple[type[anthropic.APIStatusError], int]] = {
    "400": (anthropic.BadRequestError, 1),
    "401": (anthropic.AuthenticationError, 1),
    "402": (anthropic.PaymentRequiredError, 1),
    "403": (anthropic.PermissionDeniedError, 1),
    "404": (anthropic.NotFoundError, 1),
    "409": (anthropic.ConflictError, 3),
    "413": (anthropic.ContentTooLargeError, 1),
    "429": (anthropic.RateLimitError, 3),
    "500": (anthropic.InternalServerError, 3),
    "504": (anthropic.GatewayTimeoutError, 3),
    "529": (anthropic.OverloadedError, 3),
}


@pytest.mark.parametrize("status", STATUSES)
async def test_each_status_is_the_sdk_s_exception(client: Client, server: Serving, status: str) -> None:
    """ERR-10 to 20; SDK-23: which of them are tried again."""
    kind, attempts = STATUSES[status]
    with pytest.raises(kind) as caught:
        await client.messages.create(**faulty(status))
    assert type(caught.value) is kind
    assert await ended(server) == [("refused", status, caught.value.type)] * attempts


async def test_a_fault_comes_after_the_envelope_is_read_and_the_model_is_looked_up(server: Serving) -> None:
    """A broken body is a 400 whatever the header says, and an unknown model a 404."""
    error(await exchange(server.url, asking("529", {**HELLO, "model": "nobody"})), 404)
    error(await exchange(server.url, asking("529", b"{")), 400)
    error(await exchange(server.url, asking("slow; ms=0", {**HELLO, "model": "nobody"})), 404)
    error(
        await exchange(server.url, asking("529", {"model": "claude-opus-4-8"}, path="/v1/messages/count_tokens")), 529
    )


async def test_a_header_that_cannot_be_read_is_a_400_that_names_the_part(server: Serving) -> None:
    told = error(await exchange(server.url, asking("cut; after=soon")), 400)
    assert told["message"].startswith('dragoman-fault: cut: after: "soon" is not a whole number')


async def test_any_other_key_that_asks_for_faults_is_refused(server: Serving) -> None:
    """ERR-13."""
    for header in ("529", "nonsense"):
        told = error(await exchange(server.url, asking(header, key=KEY)), 403)
        assert told["type"] == "permission_error"
        assert told["message"].startswith("dragoman-fault: only test keys may ask for faults")
        assert "dragoman keys create --test" in told["message"]


async def test_a_caller_who_hangs_up_ends_the_wait_for_an_error(server: Serving) -> None:
    async with await Wire.connect(server.url) as wire:
        await wire.send(asking(f"504; ms={LONG_MS}"))
        await wait_until(lambda: server.running == 1)
    await wait_until(lambda: server.running == 0, within_s=1)
    assert await ended(server) == [("abandoned", "0", None)]


async def test_a_rate_is_kept_over_many_requests_and_the_same_each_time(server: Serving) -> None:
    async def run(name: str) -> list[int]:
        async with await Wire.connect(server.url) as wire:
            statuses = []
            for _ in range(200):
                await wire.send(asking(f"500; rate=0.3; seed=11; run={name}"))
                statuses.append((await wire.reply()).status)
            return statuses

    first = await run("a")
    assert first == await run("b")
    assert 45 <= first.count(500) <= 75
    assert first.count(200) == 200 - first.count(500)


# -- slow and stalled -----------------------------------------------------------------------------------------------


async def test_a_slow_whole_reply_runs_into_the_client_s_timeout(client: Client, server: Serving) -> None:
    """SDK-20, SDK-23: a timeout is tried again."""
    with pytest.raises(anthropic.APITimeoutError):
        await client.messages.create(**faulty(f"slow; ms={LONG_MS}"), timeout=0.1)
    assert len(client.waits) == 2
    assert await ended(server) == [("abandoned", "0", None)] * 3


async def test_a_slow_stream_begins_and_is_silent(client: Client, server: Serving) -> None:
    """The headers and message_start come at once, the first content does not."""
    stream = await client.messages.create(**faulty(f"slow; ms={LONG_MS}"), stream=True, timeout=0.2)
    assert (await anext(stream)).type == "message_start"
    with pytest.raises(httpx2.ReadTimeout):
        await anext(stream)
    assert await ended(server) == [("abandoned", "200", None)]


async def test_a_slow_stream_comes_whole(client: Client) -> None:
    async with client.messages.stream(**faulty("slow; ms=20")) as stream:
        assert (await stream.get_final_message()).stop_reason == "end_turn"


async def test_a_stalled_stream_runs_into_the_client_s_timeout(client: Client, server: Serving) -> None:
    """SDK-26: what has begun is not tried again."""
    stream = await client.messages.create(**faulty("stall; after=3"), stream=True, timeout=0.2)
    seen = [(await anext(stream)).type for _ in range(4)]
    assert seen == ["message_start", "content_block_start", "content_block_delta", "content_block_delta"]
    with pytest.raises(httpx2.ReadTimeout):
        await anext(stream)
    assert client.waits == []
    assert await ended(server) == [("abandoned", "200", None)]


async def test_pings_go_on_during_a_stall_and_a_hang_up_ends_it() -> None:
    """STR-7: to the caller it is an upstream that stands still."""
    async with Serving(ping_after_s=0.02) as pinging:
        await pinging.gateway.auth.create("tests", key=TEST_KEY, is_test=True)
        async with await Wire.connect(pinging.url) as wire:
            await wire.send(asking("stall; after=1", STREAMED))
            await wire.until(b"event: content_block_start\n")
            for _ in range(3):
                await wire.until(b"event: ping\n")
        await wait_until(lambda: pinging.running == 0, within_s=1)
        assert await ended(pinging) == [("abandoned", "200", None)]


# -- cut off --------------------------------------------------------------------------------------------------------


async def test_a_cut_stream_is_a_lost_connection(client: Client, server: Serving) -> None:
    """SDK-26: not tried again; the caller has what came before."""
    stream = await client.messages.create(**faulty("cut; after=3"), stream=True)
    seen = [(await anext(stream)).type for _ in range(4)]
    assert seen == ["message_start", "content_block_start", "content_block_delta", "content_block_delta"]
    with pytest.raises(httpx2.RemoteProtocolError):
        await anext(stream)
    assert client.waits == []
    assert await ended(server) == [("cut", "200", None)]


async def test_a_cut_whole_reply_is_a_connection_error_and_tried_again(client: Client, server: Serving) -> None:
    """SDK-23."""
    with pytest.raises(anthropic.APIConnectionError):
        await client.messages.create(**faulty("cut"))
    assert await ended(server) == [("cut", "0", None)] * 3
    message = await client.messages.create(**faulty("cut; times=1"))
    assert message.stop_reason == "end_turn"


async def test_on_the_wire_a_cut_ends_between_two_events_without_the_last_chunk(server: Serving) -> None:
    """STR-40, STR-42: neither message_stop nor an `error` event; the requests behind it are not answered either."""
    async with await Wire.connect(server.url) as wire:
        await wire.send(asking("cut; after=2", STREAMED) + asking("slow; ms=0"))
        status, headers = await wire.head()
        assert (status, dict(headers)["transfer-encoding"]) == (200, "chunked")
        body = b""
        while b"content_block_delta" not in body:
            body += (await wire.chunk())[0]
        assert [name for name, _ in events(body)] == ["message_start", "content_block_start", "content_block_delta"]
        assert await wire.rest() == b""
    await wait_until(lambda: server.connections == 0, within_s=1)


async def test_on_the_wire_a_cut_whole_reply_is_no_reply(server: Serving) -> None:
    async with await Wire.connect(server.url) as wire:
        await wire.send(asking("cut"))
        assert await wire.rest() == b""
    assert await ended(server) == [("cut", "0", None)]


# -- an error in mid-stream -----------------------------------------------------------------------------------------


async def test_an_error_event_in_mid_stream_is_raised_and_not_tried_again(client: Client, server: Serving) -> None:
    """STR-40, SDK-26."""
    with pytest.raises(anthropic.APIStatusError) as caught:
        async with client.messages.stream(**faulty("error; after=3; type=overloaded_error")) as stream:
            await stream.until_done()
    assert caught.value.type == "overloaded_error"
    assert caught.value.body["request_id"] == caught.value.request_id
    assert client.waits == []
    assert await ended(server) == [("cut", "200", "overloaded_error")]


async def test_an_error_event_on_the_wire_is_the_last(server: Serving) -> None:
    """STR-40: and the body ends as HTTP has it, so the connection can be used again."""
    async with await Wire.connect(server.url) as wire:
        await wire.send(asking("error; after=1; type=api_error; times=1", STREAMED))
        reply = await wire.reply()
        found = events(reply.body)
        assert [name for name, _ in found] == ["message_start", "content_block_start", "error"]
        assert found[-1][1]["error"] == {"type": "api_error", "message": "Internal server error"}
        assert found[-1][1]["request_id"] == reply.header("request-id")
        await wire.send(asking("error; after=1; type=api_error; times=1", STREAMED))
        assert events((await wire.reply()).body)[-1][0] == "message_stop"


# -- in front of an upstream ----------------------------------------------------------------------------------------


async def test_the_fault_is_ours_the_upstream_sees_a_plain_request() -> None:
    """Its bytes come through up to the cut; its connection is let go."""
    seen: list[bytes] = []

    async def handler(conn: Conn) -> None:
        while (request := await conn.read_request()) is not None:
            seen.append(repr(request).lower().encode())
            await conn.send(json_reply(MESSAGE))

    async with Misbehaving(handler) as upstream, Serving(upstream=upstream.url) as server:
        await server.gateway.auth.create("tests", key=TEST_KEY, is_test=True)
        assert (await exchange(server.url, asking("slow; ms=1"))).status == 200
        assert len(seen) == 1
        assert b"dragoman-fault" not in seen[0]
        error(await exchange(server.url, asking("529")), 529)
        assert len(seen) == 1  # an error costs the upstream nothing


async def test_an_upstream_s_stream_is_cut() -> None:
    async with Misbehaving(well_behaved) as upstream, Serving(upstream=upstream.url) as server:
        await server.gateway.auth.create("tests", key=TEST_KEY, is_test=True)
        async with await Wire.connect(server.url) as wire:
            await wire.send(asking("cut; after=2", STREAMED))
            await wire.head()
            body = b""
            while b"content_block_delta" not in body:
                body += (await wire.chunk())[0]
            assert await wire.rest() == b""
        assert await ended(server) == [("cut", "200", None)]


# -- configured -----------------------------------------------------------------------------------------------------


async def test_configured_faults_strike_keys_that_ask_for_nothing(server: Serving) -> None:
    server.gateway.faults = Faults([FaultConfig(origin="the test", kind="529", times=1)])
    assert [(await exchange(server.url, post(HELLO))).status for _ in range(2)] == [529, 200]


CONFIG = """
[[faults]]
kind = 429
retry_after = 3
key = "chaos"
times = 1

[[faults]]
kind = "error"
type = "api_error"
after = 1
model = "claude-haiku-*"
"""


@pytest.mark.asyncio(loop_scope="function")
async def test_the_process_with_a_configuration_and_a_key_of_the_command_line(tmp_path: Path) -> None:
    """From `dragoman keys create --test` and a file to what the sync client sees."""

    def told(status: int, **headers: str) -> Any:
        with pytest.raises(anthropic.APIStatusError) as caught:
            client.messages.create(**ASKING, extra_headers=headers)
        assert caught.value.status_code == status
        return caught.value

    with Running(tmp_path, CONFIG) as server:
        command = [sys.executable, "-m", "dragoman", "keys", "create", "--test", "--name", "chaos", "--json"]
        url = f"sqlite:///{tmp_path}/dragoman.db"
        made = await asyncio.to_thread(
            subprocess.run, [*command, "--database", url], cwd=tmp_path, capture_output=True, check=True
        )
        with connect("sync", server.url, json.loads(made.stdout)["key"]) as client:
            assert told(429).response.headers["retry-after"] == "3"
            assert told(529, **{"dragoman-fault": "529"}).api_message == "Overloaded"
            assert client.messages.create(**ASKING).stop_reason == "end_turn"
            haiku = {**ASKING, "model": "claude-haiku-4-5"}
            with pytest.raises(anthropic.InternalServerError):
                client.messages.create(**haiku)
            with pytest.raises(anthropic.APIStatusError) as caught, client.messages.stream(**haiku) as stream:
                stream.until_done()
            assert caught.value.type == "api_error"
            cut = client.messages.create(**ASKING, stream=True, extra_headers={"dragoman-fault": "cut; after=1"})
            assert [next(cut).type, next(cut).type] == ["message_start", "content_block_start"]
            with pytest.raises(httpx2.RemoteProtocolError):
                next(cut)
        with connect("sync", server.url, server.key) as client:
            told(403, **{"dragoman-fault": "529"})
        assert server.stop() == 0  # a reply is out a moment before its row
        rows = ledger_rows(server.log())
        assert [row["status"] for row in rows] == ["429", "529", "200", "500", "200", "200", "403"]
        assert [row["outcome"] for row in rows].count("cut") == 2
        assert "Exception" not in server.log()
        assert server.log().count("a fault is injected on purpose: ") == 2
