"""Pass-through: upstreams that refuse, break off, stall or say nothing.

A caller gets whole events only, then one `error` event and no message_stop (STR-42); in silence pings (STR-8).
"""

import asyncio
import json
from typing import Any

import pytest
from canned import BLOCK, DELTA, END, MESSAGE, START, STREAM, UPSTREAM_ID, envelope, sse, then, well_behaved
from misbehaving import (
    LAST_CHUNK,
    Conn,
    chunk,
    in_turn,
    json_reply,
    refused_url,
    reply,
    sse_head,
)
from rawhttp import HELLO, Reply, Wire, error, events, exchange, post
from relaying import ASKING, BEGUN, PING, SHORT, ask, cut, relay, without_pings
from serving import Serving

# -- connections that fail --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [HELLO, ASKING, "count"], ids=["json", "stream", "count"])
async def test_an_upstream_that_refuses_is_a_bad_gateway(asked: Any) -> None:
    path = "/v1/messages/count_tokens" if asked == "count" else "/v1/messages"
    async with Serving(upstream=refused_url()) as server:
        answered = await exchange(server.url, post(HELLO if asked == "count" else asked, path=path))
        assert error(answered, 502)["type"] == "api_error"
        assert b"127.0.0.1" not in answered.body  # where the upstream lives is the operator's business
        await server.settled()
        assert [(row["outcome"], row["error"]) for row in server.rows] == [("refused", "api_error")]


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("asked", [HELLO, ASKING], ids=["json", "stream"])
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stre",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n",
        b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{"type": "mess',
        sse_head(),
        sse_head() + chunk(sse(START)),
        sse_head() + chunk(sse(START, BLOCK)[:-9])[:-2],
    ],
    ids=["nothing", "status", "headers", "length", "body", "stream head", "message_start", "half an event"],
)
async def test_an_upstream_that_dies_before_content_is_a_bad_gateway(how: str, asked: Any, sent: bytes) -> None:
    assert error(await ask(then(sent, and_then=how), asked), 502)["type"] == "api_error"


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("tail", [b"", chunk(sse(DELTA)), chunk(sse(DELTA)[:-1]), chunk(sse(DELTA)[:20]), b"5\r\nev"])
async def test_an_upstream_that_dies_in_mid_stream_leaves_whole_events_and_an_error(how: str, tail: bytes) -> None:
    """STR-42. An upstream may be cut within an event, and within a chunk."""

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(BEGUN)
        await conn.send(tail)
        await go_on.wait()
        if how == "reset":
            conn.reset()

    go_on = asyncio.Event()
    async with relay(handler) as (server, _), await Wire.connect(server.url) as wire:
        await wire.send(post(ASKING))
        status, headers = await wire.head()
        first, _ = await wire.chunk()
        go_on.set()
        rest = b""
        while piece := (await wire.chunk())[0]:
            rest += piece
    answered = Reply(status, headers, first + rest)
    whole = sse(START, BLOCK, DELTA) + (sse(DELTA) if tail == chunk(sse(DELTA)) else b"")
    assert answered.body.startswith(whole)
    assert answered.body[len(whole) :].startswith(b"event: error\n")
    assert cut(answered)["type"] == "api_error"
    assert [row["outcome"] for row in server.rows] == ["cut"]


async def test_a_body_that_ends_before_its_message_is_cut_even_if_it_ends_properly() -> None:
    for ending in (LAST_CHUNK, chunk(sse(END[0])) + LAST_CHUNK):
        assert cut(await ask(then(BEGUN + ending), ASKING))["type"] == "api_error"


async def test_a_kept_connection_that_has_died_meanwhile_is_replaced() -> None:
    """Upstreams close idle connections; the caller must not feel it."""

    async def once(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(json_reply(MESSAGE))
        await conn.read_some(1)
        conn.reset()

    async with relay(in_turn(once, well_behaved)) as (server, upstream):
        for _ in range(2):
            assert (await exchange(server.url, post(HELLO))).status == 200
        assert len(upstream.conns) == 2


# -- time-outs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [HELLO, ASKING, "count"], ids=["json", "stream", "count"])
@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-ty",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
        sse_head() + chunk(sse(START)),
    ],
)
async def test_an_upstream_that_stalls_before_content_is_a_timeout(asked: Any, sent: bytes) -> None:
    if asked == ASKING and b"content-length" in sent:
        sent = sse_head()
    path = "/v1/messages/count_tokens" if asked == "count" else "/v1/messages"
    answered = await ask(then(sent), HELLO if asked == "count" else asked, path=path, provider=SHORT)
    assert error(answered, 504)["type"] == "timeout_error"


async def test_an_upstream_that_stalls_in_mid_stream_ends_the_stream_with_an_error() -> None:
    """Pain 54: the upstream's silence is measured apart from what the caller gets meanwhile."""
    assert cut(await ask(then(BEGUN), ASKING, provider=SHORT))["type"] == "timeout_error"
    assert cut(await ask(then(BEGUN + chunk(sse(DELTA)[:30])), ASKING, provider=SHORT))["type"] == "timeout_error"


# -- silence ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent", [b"", sse_head(), sse_head() + chunk(sse(START)), BEGUN], ids=["", "head", "start", "delta"]
)
async def test_in_silence_the_caller_gets_pings(sent: bytes) -> None:
    """STR-8, pain 18, 72. Before the first content too: what lies between may close a connection that stands still, or
    hold events back if it is not asked not to."""
    async with relay(then(sent), ping_after_s=0.1) as (server, upstream):
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(ASKING))
            status, headers = await wire.head()
            assert (status, dict(headers)["content-type"]) == (200, "text/event-stream; charset=utf-8")
            assert (dict(headers)["x-accel-buffering"], "content-encoding" in dict(headers)) == ("no", False)
            got = b""
            while got.count(PING) < 3:
                got += (await wire.chunk())[0]
        await upstream.hang_up()
    assert without_pings(got) == sse(
        *{b"": [], sse_head(): []}.get(sent, [START, BLOCK, DELTA] if sent == BEGUN else [START])
    )


@pytest.mark.parametrize("held", [[], [START]], ids=["nothing", "message_start"])
async def test_a_stream_that_begins_late_comes_whole_after_the_pings(held: list[dict[str, Any]]) -> None:
    go_on = asyncio.Event()

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        if held:
            await conn.send(sse_head() + chunk(sse(*held)))
        await go_on.wait()
        if not held:
            await conn.send(sse_head())
        await conn.send(chunk(sse(*STREAM[len(held) :])) + LAST_CHUNK)

    async with relay(handler, ping_after_s=0.05) as (server, _), await Wire.connect(server.url) as wire:
        await wire.send(post(ASKING))
        await wire.head()
        got = b""
        while PING not in got:
            got += (await wire.chunk())[0]
        go_on.set()
        while piece := (await wire.chunk())[0]:
            got += piece
    assert without_pings(got) == sse(*STREAM)


# An envelope on several lines, as no event may be.
LIMITED = reply(json.dumps(envelope("rate_limit_error"), indent=2).encode(), ("request-id", UPSTREAM_ID), status=429)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (LIMITED, "rate_limit_error"),
        (reply(b"<html>\n\n</html>", status=502), "api_error"),
        (json_reply(MESSAGE), "api_error"),
        (sse_head(("request-id", UPSTREAM_ID)) + chunk(sse(START)) + LAST_CHUNK, "api_error"),
        (sse_head() + chunk(sse(envelope("overloaded_error"))) + LAST_CHUNK, "overloaded_error"),
        (b"garbage\r\n\r\n", "api_error"),
        (b"", "api_error"),
    ],
    ids=["429", "page", "json", "cut", "event", "garbage", "close"],
)  # fmt: skip
async def test_what_fails_after_the_first_ping_is_an_error_event(raw: bytes, kind: str) -> None:
    """A status has been sent by then; the event is one line of JSON, however the upstream wrote its own (STR-2)."""
    go_on = asyncio.Event()

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await go_on.wait()
        await conn.send(raw)

    async with relay(handler, ping_after_s=0.05) as (server, _):
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(ASKING))
            status, headers = await wire.head()
            got = (await wire.chunk())[0]
            go_on.set()
            while piece := (await wire.chunk())[0]:
                got += piece
        await server.settled()
        (row,) = server.rows
    answered = Reply(status, headers, got)
    told = events(without_pings(got))
    assert told[-1][0] == "error"
    assert told[-1][1]["error"]["type"] == kind
    assert [name for name, _ in told].count("error") == 1
    assert (row["outcome"], row["error"]) == ("cut", kind)
    if kind == "api_error":  # ours, so it bears the id that the reply's header told
        assert told[-1][1]["request_id"] == answered.header("request-id")


async def test_events_that_flow_are_not_interrupted_by_pings() -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(BEGUN)
        for _ in range(20):
            await asyncio.sleep(0.01)
            await conn.send(chunk(sse(DELTA)))
        await conn.send(chunk(sse(*END)) + LAST_CHUNK)

    assert PING not in (await ask(handler, ASKING, ping_after_s=5)).body
