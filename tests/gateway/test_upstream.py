"""Pass-through against upstreams that misbehave, over real sockets on both sides.

What a caller gets is always the API's: the upstream's own bytes while they are whole, an error status before the
first content, one `error` event after it (STR-40, STR-42).
"""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from canned import BLOCK, COUNT, DELTA, END, MESSAGE, START, STREAM, UPSTREAM_ID, envelope, sse, then, well_behaved
from misbehaving import (
    LAST_CHUNK,
    Conn,
    Handler,
    Misbehaving,
    chunk,
    head,
    in_turn,
    json_reply,
    refused_url,
    reply,
    replying,
    sse_event,
    sse_head,
)
from rawhttp import HELLO, KEY, Reply, Wire, error, events, exchange, post
from serving import UPSTREAM_KEY, Serving

ASKING = {**HELLO, "stream": True}
SHORT = {"first_byte_timeout_s": 0.15, "idle_timeout_s": 0.15}
BEGUN = sse_head(("request-id", UPSTREAM_ID)) + chunk(sse(START, BLOCK, DELTA))
PING = b'event: ping\ndata: {"type":"ping"}\n\n'


@asynccontextmanager
async def relay(handler: Handler, **settings: Any) -> AsyncIterator[tuple[Serving, Misbehaving]]:
    async with Misbehaving(handler) as upstream, Serving(upstream=upstream.url, **settings) as server:
        yield server, upstream


async def ask(handler: Handler, body: Any = HELLO, *, path: str = "/v1/messages", **settings: Any) -> Reply:
    """One request through dragoman to such an upstream. The ledger must hold one row of it."""
    async with relay(handler, **settings) as (server, _):
        answered = await exchange(server.url, post(body, path=path))
        await server.settled()
        assert len(server.rows) == 1, server.rows
        assert server.rows[0]["status"] == str(answered.status)
        return answered


def cut(answered: Reply) -> dict[str, Any]:
    """The error that ends a stream which had begun: exactly one, and no message_stop."""
    assert answered.status == 200
    told = events(answered.body)
    names = [name for name, _ in told]
    assert names.count("error") == 1, names
    assert names[-1] == "error", names
    assert "message_stop" not in names
    assert told[-1][1]["request_id"] == answered.header("request-id")
    return dict(told[-1][1]["error"])


def without_pings(body: bytes) -> bytes:
    return body.replace(PING, b"")


# -- the bytes of a good reply --------------------------------------------------------------------------------------


async def test_a_reply_is_handed_on_byte_for_byte() -> None:
    body = json.dumps(MESSAGE, indent=3).encode() + b"\n"
    answered = await ask(replying(reply(body, ("content-type", "application/json"), ("request-id", UPSTREAM_ID))))
    assert (answered.status, answered.body) == (200, body)
    assert answered.header("request-id") == UPSTREAM_ID


async def test_a_count_is_handed_on_byte_for_byte() -> None:
    body = b'{ "input_tokens" : 7 , "new": [1] }'
    answered = await ask(replying(reply(body)), path="/v1/messages/count_tokens")
    assert (answered.status, answered.body) == (200, body)


@pytest.mark.parametrize(
    "stream",
    [
        sse(*STREAM),
        sse(*STREAM).replace(b"\n", b"\r\n"),
        sse(*STREAM).replace(b"\n", b"\r"),
        b": hello\n\n" + sse(*STREAM).replace(b"data: ", b"data:"),
        sse(START, {"type": "ping"}, {"type": "of_a_later_version", "deep": [[{}]]}, BLOCK, DELTA, *END),
        sse(START, {**BLOCK, "content_block": {"type": "new_kind", "x": "é\u2028"}}, *END),
        sse(START, *END[1:]),
    ],
    ids=["lf", "crlf", "cr", "comment", "unknown event", "unknown block", "no blocks"],
)
@pytest.mark.parametrize("step", [1, 7, 100_000])
async def test_a_stream_is_handed_on_byte_for_byte_however_it_is_cut(stream: bytes, step: int) -> None:
    """STR-4, STR-5, STR-8, STR-12: nothing in it is dragoman's business."""
    pieces = [chunk(stream[at : at + step]) for at in range(0, len(stream), step)]
    answered = await ask(replying(sse_head() + b"".join(pieces) + LAST_CHUNK), ASKING)
    assert answered.status == 200
    # Cut at each byte, the very last line feed of a CRLF comes when the message is complete, and is not waited for.
    assert answered.body.rstrip(b"\r\n") == stream.rstrip(b"\r\n")
    assert answered.header("content-type") == "text/event-stream; charset=utf-8"
    assert answered.header("cache-control") == "no-cache"


async def test_a_stream_that_trickles_comes_whole() -> None:
    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.trickle(sse_head() + chunk(sse(*STREAM)) + LAST_CHUNK)

    assert (await ask(handler, ASKING)).body == sse(*STREAM)


async def test_an_event_of_five_megabytes_comes_whole() -> None:
    large = {**DELTA, "delta": {"type": "text_delta", "text": "x" * 5_000_000}}
    stream = sse(START, BLOCK, large, *END)
    pieces = b"".join(chunk(stream[at : at + 1000]) for at in range(0, len(stream), 1000))
    answered = await ask(then(sse_head() + pieces + LAST_CHUNK), ASKING)
    assert answered.body == stream


async def test_a_compressed_reply_that_nobody_asked_for_is_unpacked() -> None:
    packed = reply(gzip.compress(json.dumps(MESSAGE).encode()), ("content-encoding", "gzip"))
    answered = await ask(replying(packed))
    assert (answered.status, answered.json()) == (200, MESSAGE)
    assert answered.header("content-encoding") is None
    squeezed = gzip.compress(sse(*STREAM))
    stream = sse_head(("content-encoding", "gzip")) + chunk(squeezed[:40]) + chunk(squeezed[40:]) + LAST_CHUNK
    assert (await ask(then(stream), ASKING)).body == sse(*STREAM)


async def test_a_stream_whose_end_never_comes_ends_with_its_message() -> None:
    """The upstream neither ends the body nor closes; pings are short, and none may come behind the end."""
    answered = await ask(then(sse_head() + chunk(sse(*STREAM))), ASKING, ping_after_s=0.05)
    assert without_pings(answered.body) == sse(*STREAM)
    assert answered.body.endswith(sse(END[-1]))


async def test_what_comes_after_message_stop_is_not_handed_on() -> None:
    answered = await ask(then(sse_head() + chunk(sse(*STREAM, *STREAM, DELTA)) + chunk(sse(*STREAM))), ASKING)
    assert answered.body == sse(*STREAM)


async def test_a_caller_who_leaves_after_message_stop_has_been_answered() -> None:
    """Many clients close at message_stop; that the upstream has not yet ended its body is nothing to them."""
    async with relay(then(sse_head() + chunk(sse(*STREAM)))) as (server, upstream):
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(ASKING))
            await wire.until(sse(END[-1]))
        await upstream.hang_up()
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["answered"]


# -- errors of the upstream's own -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "headers"),
    [
        (400, "invalid_request_error", {"x-should-retry": "false"}),
        (401, "authentication_error", {}),
        (403, "permission_error", {}),
        (404, "not_found_error", {}),
        (413, "request_too_large", {}),
        (
            429,
            "rate_limit_error",
            {
                "retry-after": "17",
                "retry-after-ms": "16999",
                "x-should-retry": "true",
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-09-01T00:00:00Z",
                "anthropic-priority-input-tokens-limit": "5",
            },
        ),
        (500, "api_error", {}),
        (529, "overloaded_error", {"x-should-retry": "true"}),
        (418, "of_a_later_version", {}),
    ],
)
@pytest.mark.parametrize("asked", [HELLO, ASKING, "count"], ids=["json", "stream", "count"])
async def test_an_error_of_the_upstream_is_handed_on_as_it_came(
    status: int, kind: str, headers: dict[str, str], asked: Any
) -> None:
    body = json.dumps(envelope(kind, details={"error_code": "x"}), indent=1).encode()
    told = [("request-id", UPSTREAM_ID), ("content-type", "application/json"), *headers.items()]
    async with relay(replying(reply(body, *told, status=status))) as (server, _):
        path = "/v1/messages/count_tokens" if asked == "count" else "/v1/messages"
        answered = await exchange(server.url, post(HELLO if asked == "count" else asked, path=path))
        await server.settled()
        (row,) = server.rows
        ours = server.gateway.auth.organization_id
    assert (answered.status, answered.body) == (status, body)
    error(answered, status)
    assert {name: answered.header(name) for name in headers} == headers
    assert (row["outcome"], row["error"], row["upstream_request_id"]) == ("refused", kind, UPSTREAM_ID)
    assert answered.header("anthropic-organization-id") == ours


async def test_only_headers_that_are_the_callers_business_come_back() -> None:
    theirs = [
        ("anthropic-organization-id", "00000000-0000-0000-0000-000000000000"),
        ("set-cookie", "session=1"),
        ("server", "cloudflare"),
        ("cf-ray", "1"),
        ("via", "1.1 proxy"),
        ("strict-transport-security", "max-age=1"),
        ("connection", "keep-alive"),
        ("keep-alive", "timeout=1"),
    ]
    for handler, body in [
        (replying(json_reply(MESSAGE, *theirs)), HELLO),
        (then(sse_head(*theirs) + chunk(sse(*STREAM)) + LAST_CHUNK), ASKING),
        (replying(json_reply(envelope(), *theirs, status=529)), HELLO),
    ]:
        answered = await ask(handler, body)
        names = {name for name, _ in answered.headers}
        assert names.isdisjoint({"set-cookie", "server", "cf-ray", "via", "strict-transport-security", "keep-alive"})
        assert answered.header("anthropic-organization-id") != theirs[0][1]


@pytest.mark.parametrize(
    "body", [b"<html>Bad gateway</html>", b"", b"[]", b'{"error": "no"}', b"\xff\xfe", b"[" * 5000]
)
@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (502, "api_error"), (429, "rate_limit_error")]
)
@pytest.mark.parametrize("asked", [HELLO, ASKING], ids=["json", "stream"])
async def test_an_error_that_is_no_envelope_is_put_into_one(body: bytes, status: int, kind: str, asked: Any) -> None:
    answered = await ask(replying(reply(body, ("content-type", "text/html"), status=status)), asked)
    assert error(answered, status)["type"] == kind
    assert b"html" not in answered.body


async def test_an_error_envelope_that_is_nested_deeply_does_no_harm() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    body = b'{"type":"error","error":{"type":"api_error","message":"m","details":' + deep + b'},"request_id":"r"}'
    error(await ask(replying(reply(body, status=500))), 500)
    stream = sse_head() + chunk(b"event: error\ndata: " + body + b"\n\n")
    error(await ask(then(stream), ASKING), 502)
    start = b'event: message_start\ndata: {"type":"message_start","message":' + deep + b"}\n\n"
    error(await ask(then(sse_head() + chunk(start)), ASKING), 502)


@pytest.mark.parametrize("status", [201, 204, 301, 302, 304, 307])
@pytest.mark.parametrize("asked", [HELLO, ASKING], ids=["json", "stream"])
async def test_a_status_that_no_reply_has_is_a_bad_gateway(status: int, asked: Any) -> None:
    """Above all no redirect is followed: our key would go to wherever it points."""
    async with Misbehaving(well_behaved) as elsewhere:
        body = b"" if status in (204, 304) else b"moved"
        raw = head(status, ("location", f"{elsewhere.url}/v1/messages"), ("content-length", str(len(body)))) + body
        assert error(await ask(replying(raw), asked), 502)["type"] == "api_error"
        assert elsewhere.requests == []


# -- replies that are none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        reply(b"<html>Welcome</html>", ("content-type", "text/html")),
        reply(b"", ("content-type", "application/json")),
        reply(b"[" * 100_000, ("content-type", "application/json")),
        json_reply([MESSAGE]),
        json_reply({**MESSAGE, "type": "completion"}),
        json_reply(envelope()),
        reply(json.dumps(MESSAGE).encode()[:-5], ("content-type", "application/json")),
        reply(json.dumps(MESSAGE).encode() + b"\xff", ("content-type", "application/json")),
        sse_head() + chunk(sse(*STREAM)) + LAST_CHUNK,
        reply(b"zzz", ("content-encoding", "br")),
        reply(b"zzz", ("content-encoding", "gzip")),
        reply(gzip.compress(b"x" * 1000)[:-12], ("content-encoding", "gzip")),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\nabcdefg",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 1_000_000,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)  # fmt: skip
async def test_garbage_is_a_bad_gateway(raw: bytes) -> None:
    assert error(await ask(then(raw, and_then="close")), 502)["type"] == "api_error"


@pytest.mark.parametrize(
    "raw",
    [
        reply(b"<html>Welcome</html>", ("content-type", "text/html")),
        json_reply(MESSAGE),
        reply(sse(*STREAM), ("content-type", "text/plain")),
        sse_head() + LAST_CHUNK,
        sse_head() + chunk(b"what is this\n\n") + LAST_CHUNK,
        sse_head() + chunk(sse(START)) + LAST_CHUNK,
        sse_head() + chunk(sse(START)[:-1]) + LAST_CHUNK,
        sse_head() + chunk(b"event: message_start\ndata: {}\n\n") + LAST_CHUNK,
        sse_head() + chunk(b"event: message_start\ndata: []\n\n") + LAST_CHUNK,
        sse_head() + chunk(b"event: message_start\ndata: \xff\n\n") + LAST_CHUNK,
        sse_head() + chunk(sse({"type": "error", "error": "no"})) + LAST_CHUNK,
        sse_head() + chunk(sse({"type": "error", "error": {"type": "x"}})) + LAST_CHUNK,
        sse_head() + chunk(b"<html>" * 100_000) + LAST_CHUNK,
        sse_head() + b"zz\r\n",
    ],
)  # fmt: skip
async def test_a_stream_that_is_none_is_a_bad_gateway(raw: bytes) -> None:
    assert error(await ask(then(raw, and_then="close"), ASKING), 502)["type"] == "api_error"


@pytest.mark.parametrize(
    "bad",
    [
        b"event: message_delta\ndata: []\n\n",
        b"event: message_delta\ndata: " + b"[" * 100_000 + b"\n\n",
        b"event: message_delta\ndata: {\n\n",
        sse({"type": "error", "error": {"type": 5, "message": [], "details": "x"}}),
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"\\ud800"}}\n\n',
    ],
)
async def test_an_event_that_cannot_be_read_ends_the_stream_with_an_error(bad: bytes) -> None:
    """Never with a fault of ours: what an upstream sends is its fault."""
    answered = await ask(then(BEGUN + chunk(bad) + LAST_CHUNK), ASKING)
    told = events(answered.body)
    assert answered.body.startswith(sse(START, BLOCK, DELTA))
    assert [name for name, _ in told[3:]] == ["error"]


@pytest.mark.parametrize("usage", [None, "none", [], {}, {"input_tokens": "many", "output_tokens": [1]}])
async def test_usage_that_makes_no_sense_is_no_fault_of_ours(usage: Any) -> None:
    """Such a reply is handed on or refused; the ledger stays readable."""
    delta = {**END[1], "usage": usage}
    for raw, asked in [
        (json_reply({**MESSAGE, "usage": usage}), HELLO),
        (sse_head() + chunk(sse(START, BLOCK, DELTA, END[0], delta, END[2])) + LAST_CHUNK, ASKING),
        (sse_head() + chunk(sse({**START, "message": {**MESSAGE, "usage": usage}}, *END)) + LAST_CHUNK, ASKING),
    ]:
        answered = await ask(then(raw), asked)
        assert answered.status in (200, 502)


async def test_a_reply_without_end_is_not_kept() -> None:
    """Bounded in bytes; here a body of 129 MB, of zeros so that it is quick to make."""

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(head(200, ("content-type", "application/json")))
        for _ in range(129 * 4):
            await conn.send(b" " * (256 * 1024))

    assert error(await ask(handler), 502)["type"] == "api_error"


# -- connections that fail ------------------------------------------------------------------------------------------


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


# -- time-outs ------------------------------------------------------------------------------------------------------


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
    assert cut(await ask(then(BEGUN), ASKING, provider=SHORT))["type"] == "timeout_error"
    assert cut(await ask(then(BEGUN + chunk(sse(DELTA)[:30])), ASKING, provider=SHORT))["type"] == "timeout_error"


# -- silence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent", [b"", sse_head(), sse_head() + chunk(sse(START)), BEGUN], ids=["", "head", "start", "delta"]
)
async def test_in_silence_the_caller_gets_pings(sent: bytes) -> None:
    """STR-8. Before the first content too: what lies between may close a connection that stands still."""
    async with relay(then(sent), ping_after_s=0.1) as (server, upstream):
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(ASKING))
            status, headers = await wire.head()
            assert (status, dict(headers)["content-type"]) == (200, "text/event-stream; charset=utf-8")
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


# -- errors as events -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[], [START], [{"type": "ping"}, START, {"type": "ping"}]])
@pytest.mark.parametrize(
    ("kind", "status"),
    [("overloaded_error", 529), ("rate_limit_error", 429), ("invalid_request_error", 400), ("new_error", 500)],
)
async def test_an_error_event_before_content_is_an_error_status(before: list[Any], kind: str, status: int) -> None:
    """STR-6: what can be told as a status is."""
    stream = sse_head(("request-id", UPSTREAM_ID)) + chunk(sse(*before, envelope(kind, details={"error_code": "c"})))
    told = error(await ask(then(stream + LAST_CHUNK), ASKING), status)
    assert told == {"type": kind, "message": f"a {kind} of the upstream", "details": {"error_code": "c"}}


@pytest.mark.parametrize("details", ["x", [1], 5, None, {}])
async def test_an_error_event_may_hold_any_details(details: Any) -> None:
    stream = sse_head() + chunk(sse(START, envelope("overloaded_error", details=details))) + LAST_CHUNK
    answered = await ask(then(stream), ASKING)
    error(answered, 529, 502)


async def test_an_error_event_in_mid_stream_is_handed_on_and_is_the_end() -> None:
    go_on = asyncio.Event()

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(BEGUN)
        await go_on.wait()
        await conn.send(chunk(sse(envelope("overloaded_error"), *END)))
        await conn.wait_closed()

    async with relay(handler) as (server, _):
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(ASKING))
            await wire.head()
            got = (await wire.chunk())[0]
            go_on.set()
            while piece := (await wire.chunk())[0]:
                got += piece
        assert got == sse(START, BLOCK, DELTA, envelope("overloaded_error"))
        await server.settled()
        assert [(row["outcome"], row["error"]) for row in server.rows] == [("cut", "overloaded_error")]


# -- what the upstream sees -----------------------------------------------------------------------------------------

OURS = (
    "x-forwarded-for",
    "forwarded",
    "cookie",
    "via",
    "x-real-ip",
    "proxy-authorization",
    "x-stainless-lang",
    "user-agent",
    "referer",
)


@pytest.mark.parametrize("auth", ["x-api-key", "bearer"])
async def test_the_upstream_sees_our_key_and_nothing_of_the_caller(auth: str) -> None:
    """HDR-8: betas, version and what bears on the reply go on; who the caller is does not."""
    canary = "canary-of-the-caller"
    headers = [(name, canary) for name in OURS] + [
        ("authorization", f"Bearer {KEY}"),
        ("anthropic-beta", "pdfs-2024-09-25, files-api-2025-04-14"),
        ("anthropic-beta", "my-own-beta"),
        ("idempotency-key", "once"),
        ("accept", "application/json"),
    ]
    async with relay(well_behaved, provider={"auth": auth}) as (server, upstream):
        for path, body in [("/v1/messages", HELLO), ("/v1/messages", ASKING), ("/v1/messages/count_tokens", HELLO)]:
            assert (await exchange(server.url, post(body, *headers, path=path))).status == 200
    for seen in upstream.requests:
        names = {name for name, _ in seen.headers}
        told = repr(seen)
        assert KEY not in told
        assert canary not in told
        assert seen.header("authorization") == (f"Bearer {UPSTREAM_KEY}" if auth == "bearer" else None)
        assert seen.header("x-api-key") == (UPSTREAM_KEY if auth == "x-api-key" else None)
        assert seen.header("anthropic-version") == "2023-06-01"
        assert seen.header("anthropic-beta") == "pdfs-2024-09-25, files-api-2025-04-14, my-own-beta"
        assert seen.header("idempotency-key") == "once"
        assert seen.header("accept-encoding") == "identity"
        assert seen.header("host") == upstream.url.removeprefix("http://")
        assert not names & {"expect", "te", "upgrade", "transfer-encoding", "content-encoding"}


async def test_the_callers_bytes_are_the_upstreams() -> None:
    """Order, spaces, numbers and escapes: caches and signatures depend on them."""
    body = (
        b'{ "messages" : [{"content":"\\u00e9 \\/ \xc3\xa9","role":"user"}],\n"max_tokens":6.40E1,'
        b'"model": "claude-opus-4-8", "x_new":{"b":1,"a":[1.0, 1e2]} }\n'
    )
    async with relay(well_behaved) as (server, upstream):
        for packed in (body, gzip.compress(body)):
            headers = [("content-encoding", "gzip")] if packed != body else []
            assert (await exchange(server.url, post(packed, *headers))).status == 200
    assert [seen.body for seen in upstream.requests] == [body, body]


async def test_a_key_in_a_body_or_query_is_nobodys_business() -> None:
    async with relay(well_behaved) as (server, upstream):
        await exchange(server.url, post(HELLO, path="/v1/messages?beta=true&key=secret"))
    assert upstream.requests[0].target == "/v1/messages"


VALUES = ["a\x01b", "\x7f", "é", "a\tb", "", " " * 50, "x" * 60_000, "\x1b[31m", "a b"]


@pytest.mark.parametrize("name", ["request-id", "retry-after", "x-should-retry", "anthropic-ratelimit-requests-limit"])
@pytest.mark.parametrize("asked", [HELLO, ASKING], ids=["json", "stream"])
async def test_no_header_of_an_upstream_breaks_the_reply(name: str, asked: Any) -> None:
    """The API has no such values; but what an upstream sends must not become a fault of ours."""
    good = json_reply if asked is HELLO else _stream
    raws = [good(MESSAGE, (name, value)) for value in VALUES]
    raws += [json_reply(envelope(), (name, value), status=529) for value in VALUES]
    async with relay(in_turn(*(then(raw, and_then="close") for raw in raws))) as (server, _):
        for number in range(len(raws)):
            answered = await exchange(server.url, post(asked))
            if answered.status == 502:
                error(answered, 502)  # a reply that could not be read
            else:
                assert answered.status == (200 if number < len(VALUES) else 529)
            assert answered.header("request-id")


def _stream(_: Any, *headers: tuple[str, str]) -> bytes:
    return sse_head(*headers) + chunk(sse(*STREAM)) + LAST_CHUNK


async def test_request_ids_that_come_twice_come_once() -> None:
    answered = await ask(replying(json_reply(MESSAGE, ("request-id", "req_1"), ("Request-Id", "req_2"))))
    assert answered.header("request-id") in ("req_1", "req_2")


async def test_informational_replies_are_passed_over() -> None:
    hints = head(103, ("link", "</x>; rel=preload")) + head(100)
    assert (await ask(then(hints + json_reply(MESSAGE)))).json() == MESSAGE
    assert (await ask(then(hints + sse_head() + chunk(sse(*STREAM)) + LAST_CHUNK), ASKING)).body == sse(*STREAM)


async def test_usage_reaches_the_ledger_also_of_a_stream_that_was_cut() -> None:
    async with relay(then(BEGUN, and_then="close")) as (server, _):
        await exchange(server.url, post(ASKING))
        await server.settled()
        assert server.rows[0]["input_tokens"] == "7"
    async with relay(well_behaved) as (server, _):
        await exchange(server.url, post(ASKING))
        await exchange(server.url, post(HELLO))
        assert (await exchange(server.url, post(HELLO, path="/v1/messages/count_tokens"))).json() == COUNT
        await server.settled()
        assert [row.get("output_tokens") for row in server.rows] == ["5", "5", None]


async def test_a_line_of_the_ledger_cannot_be_forged_by_an_upstream() -> None:
    kind = "x outcome=answered\n2026-01-01 INFO dragoman.requests: request_id=req_forged operation=x outcome=answered"
    for raw, asked in [
        (json_reply(envelope(kind), ("request-id", "a b=c"), status=400), HELLO),
        (BEGUN + chunk(sse(envelope(kind))) + LAST_CHUNK, ASKING),
        (sse_head() + chunk(sse(envelope(kind))) + LAST_CHUNK, ASKING),
        (json_reply({**MESSAGE, "usage": {"input_tokens": kind, "output_tokens": [kind]}}), HELLO),
    ]:
        async with relay(then(raw)) as (server, _):
            await exchange(server.url, post(asked))
            await server.settled()
            assert "req_forged" not in [row["request_id"] for row in server.rows]
            assert len(server.rows) == 1


def test_canned_stream_is_legal() -> None:
    assert sse_event("x", {}) == b"event: x\ndata: {}\n\n"
