"""Pass-through: errors that an upstream tells, and replies that are none.

What a caller gets is always the API's: an error status before the first content, one `error` event after it (STR-6,
STR-40).
"""

import asyncio
import gzip
import json
from typing import Any

import pytest
from canned import BLOCK, DELTA, END, MESSAGE, START, STREAM, UPSTREAM_ID, envelope, sse, then, well_behaved
from misbehaving import (
    LAST_CHUNK,
    Conn,
    Misbehaving,
    chunk,
    head,
    json_reply,
    reply,
    replying,
    sse_head,
)
from rawhttp import HELLO, Wire, error, events, exchange, post
from relaying import ASKING, BEGUN, ask, relay

# -- errors of the upstream's own -------------------------------------------------------------------------------------


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


# -- replies that are none --------------------------------------------------------------------------------------------


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
        reply(gzip.compress(b"x" * 1000, mtime=0)[:-12], ("content-encoding", "gzip")),
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


# -- errors as events -------------------------------------------------------------------------------------------------


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
