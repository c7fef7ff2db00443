"""HTTP as nobody should send it: whatever comes, the answer is the API's envelope, or the right reply.

Never a 5xx, a traceback, a hang, or a connection that ends without a word.
"""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from canned import BLOCK, DELTA, MESSAGE, START, STREAM, sse, then, well_behaved
from misbehaving import Misbehaving, chunk, sse_head
from rawhttp import HELLO, KEY, Wire, chunks, error, events, exchange, json_bytes, post, request
from serving import Serving, wait_until

ASKING = {**HELLO, "stream": True}
HELLO_BYTES = json_bytes(HELLO)
UPGRADES = {
    "h2c": [
        ("connection", "Upgrade, HTTP2-Settings"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
    ],
    "websocket": [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")],
    "tls": [("Connection", "upgrade"), ("Upgrade", "TLS/1.0, HTTP/1.1")],
}


# -- paths and methods ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "status", "kind"),
    [
        ("GET", "/v1/message", 404, "not_found_error"),
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("HEAD", "/v1/messages", 405, "invalid_request_error"),
        ("PUT", "/v1/messages", 405, "invalid_request_error"),
        ("PATCH", "/v1/messages/count_tokens", 405, "invalid_request_error"),
        ("DELETE", "/v1/models", 405, "invalid_request_error"),
        ("POST", "/v1/models/claude-opus-4-8", 405, "invalid_request_error"),
        ("OPTIONS", "/v1/messages", 405, "invalid_request_error"),
        ("OPTIONS", "*", 404, "not_found_error"),
        ("TRACE", "/", 405, "invalid_request_error"),
        ("PROPFIND", "/", 405, "invalid_request_error"),
        ("BREW", "/", 400, "invalid_request_error"),
        ("get", "/", 400, "invalid_request_error"),
        ("CONNECT", "dragoman.test:443", 400, "invalid_request_error"),
        ("CONNECT", "/v1/messages", 400, "invalid_request_error"),
        ("GET", "http://dragoman.test", 400, "invalid_request_error"),
        ("GET", "http://dragoman.test/v1/nothing", 404, "not_found_error"),
        ("GET", "//v1/models", 404, "not_found_error"),
        ("GET", "/v1//models", 404, "not_found_error"),
        ("GET", "/v1/models/", 404, "not_found_error"),
        ("GET", "/v1/models/../models", 404, "not_found_error"),
        ("GET", "/v1/models/%ff%00", 404, "not_found_error"),
        ("GET", "/v1/models/a%2Fb", 404, "not_found_error"),
        ("GET", "/v1/models/%", 404, "not_found_error"),
        ("GET", "/v1/models/%zz%1", 404, "not_found_error"),
        ("GET", "/v1/models/%ed%a0%80", 404, "not_found_error"),
        ("GET", "/v1/models/claude%0d%0ax-injected:%20yes", 404, "not_found_error"),
        ("GET", "/v1/models/caf\xe9", 400, "invalid_request_error"),
        ("GET", "/v1/models/\x00", 400, "invalid_request_error"),
        ("GET", "/v1/mo dels", 400, "invalid_request_error"),
        ("GET", "v1/models", 400, "invalid_request_error"),
        ("GET", "", 400, "invalid_request_error"),
        ("GET", "/v1/models/" + "a" * 60_000, 404, "not_found_error"),
        ("GET", "/" + "a" * 65_535, 400, "invalid_request_error"),
        ("POST", "/v1/messages" + "a" * 65_536, 400, "invalid_request_error"),
        ("GET", "/" + "a" * 600_000, 431, "invalid_request_error"),
        ("GET", "/v1/models?limit=" + "9" * 5_000, 400, "invalid_request_error"),
        ("GET", "/v1/models?limit=%ff", 400, "invalid_request_error"),
        ("GET", "/v1/models?after_id=a&before_id=b", 400, "invalid_request_error"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
async def test_a_wrong_target_is_refused_in_the_envelope(method: str, target: str, status: int, kind: str) -> None:
    """ERR-1, ERR-14, ERR-23."""
    async with Serving() as server, await Wire.connect(server.url) as wire:
        try:
            await wire.send(request(method, target))
        except ConnectionError:
            assert status == 431  # refused long before its end
        reply = await wire.reply(method)
        if method == "HEAD":
            assert (reply.status, reply.body) == (status, b"")
            assert int(reply.header("content-length") or 0) > 0
        else:
            assert error(reply, status)["type"] == kind
        if status == 405:
            assert reply.header("allow") in ("POST", "GET, HEAD")
        assert reply.header("x-injected") is None
        if reply.header("connection") != "close":  # then the connection must be as good as new
            await wire.send(request("GET", "/"))
            assert (await wire.reply()).status == 200


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/?x=1"),
        ("GET", "http://elsewhere.test/healthz"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("HEAD", "/readyz"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models?limit=1000&beta=true&beta=false&&=&a"),
        ("GET", "/v1/models?" + "a=b&" * 10_000),
        ("GET", "/v1/models?%ff=%00"),
        ("GET", "/v1/models/claude-opus-4-8"),
        ("GET", "/v1/models/claude%2Dopus%2d4-8?beta=true"),
        ("HEAD", "/v1/models"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_known_target_is_answered(method: str, target: str) -> None:
    async with Serving() as server:
        reply = await exchange(server.url, request(method, target), method=method)
        assert reply.status == 200
        assert reply.header("content-type") == "application/json"
        assert (reply.header("request-id") or "").startswith("req_")
        assert bool(reply.body) == (method == "GET")


@pytest.mark.parametrize("query", ["?beta=true", "?beta=true&beta=%ff", "?", "?/v1/models#x", "?" + "x" * 50_000])
async def test_a_query_changes_nothing_for_messages(query: str) -> None:
    async with Serving() as server:
        assert (await exchange(server.url, post(HELLO, path="/v1/messages" + query))).status == 200


# -- what is not HTTP -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00" * 100,
        b"\xff" * 100,
        b"{}\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / FTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
        b"GET / HTTP/1.1\r\na b: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: a\x01b\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: a\r\n  folded\r\n\r\n",
        b"GET / HTTP/1.1\nhost: a\n\n",
        b"GET / HTTP/1.1\r\nx: a\rb\r\n\r\n",
        request("POST", "/v1/messages", HELLO_BYTES, ("content-length", "5"), ("content-length", "6")),
        request("POST", "/v1/messages", HELLO_BYTES, ("content-length", "5, 5")),
        request("POST", "/v1/messages", HELLO_BYTES, ("content-length", "-1")),
        request("POST", "/v1/messages", HELLO_BYTES, ("content-length", "+5")),
        request("POST", "/v1/messages", HELLO_BYTES, ("content-length", "0x5")),
        request("POST", "/v1/messages", HELLO_BYTES, ("content-length", "9" * 5_000)),
        request("POST", "/v1/messages", HELLO_BYTES, ("content-length", "18446744073709551617")),
        request("POST", "/v1/messages", HELLO_BYTES, ("transfer-encoding", "gzip")),
        request("POST", "/v1/messages", HELLO_BYTES, ("transfer-encoding", "chunked, gzip")),
        request("POST", "/v1/messages", b"0\r\n\r\n", ("transfer-encoding", "chunked"), ("content-length", "5")),
        request("POST", "/v1/messages", b"zz\r\nabc\r\n", ("transfer-encoding", "chunked")),
        request("POST", "/v1/messages", b"-5\r\nabc\r\n", ("transfer-encoding", "chunked")),
        request("POST", "/v1/messages", b"5\r\nabcdefgh\r\n", ("transfer-encoding", "chunked")),
        request("POST", "/v1/messages", b"f" * 17 + b"\r\nabc\r\n", ("transfer-encoding", "chunked")),
        request("POST", "/v1/messages", b"\r\n\r\n", ("transfer-encoding", "chunked")),
    ],
    ids=lambda raw: repr(raw[:40] + raw[-40:]),
)
async def test_what_is_not_http_is_refused_in_the_envelope(raw: bytes) -> None:
    async with Serving() as server:
        async with await Wire.connect(server.url) as wire:
            await wire.send(raw)
            reply = await wire.reply()
            assert error(reply, 400)["type"] == "invalid_request_error"
            assert reply.header("connection") == "close"
            assert await wire.is_closed()
        await wait_until(lambda: server.connections == 0)
        assert server.rows == []


@pytest.mark.parametrize(
    "flood",
    [
        b"GET / HTTP/1.1\r\nx: " + b"a" * 2_000_000,
        b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: %b\r\n" % (number, b"a" * 100) for number in range(20_000)),
        b"GET / HTTP/1.1\r\n" + b"x:\r\n" * 500_000,
        b"GET / HTTP/1.1\r\n" + b"x" * 2_000_000,
        b"GET /" + b"x" * 2_000_000,
        b"\r\n" * 1_000_000,
        request("POST", "/v1/messages", b"5;" + b"x" * 2_000_000, ("transfer-encoding", "chunked")),
        request("POST", "/v1/messages", b"0\r\n" + b"x-y: z\r\n" * 250_000, ("transfer-encoding", "chunked")),
        request("POST", "/v1/messages", b"0\r\nx: " + b"y" * 2_000_000, ("transfer-encoding", "chunked")),
    ],
    ids=["value", "headers", "empty headers", "name", "path", "line ends", "extension", "trailers", "trailer"],
)
async def test_a_flood_where_no_body_is_is_refused(flood: bytes) -> None:
    async with Serving() as server:
        async with await Wire.connect(server.url) as wire:
            with suppress(ConnectionError):  # refused long before its end
                await wire.send(flood)
            error(await wire.reply(), 431)
        await wait_until(lambda: server.connections == 0)


async def test_headers_below_the_limit_are_read() -> None:
    many = [(f"x-{number}", "a" * 100) for number in range(1_500)]
    async with Serving() as server:
        assert (await exchange(server.url, post(HELLO, *many))).status == 200


async def test_trailers_are_no_headers() -> None:
    body = chunks(HELLO_BYTES, size=50)[:-2] + f"x-api-key: {KEY}\r\nanthropic-version: 2023-06-01\r\n\r\n".encode()
    async with Serving() as server:
        raw = request("POST", "/v1/messages", body, ("transfer-encoding", "chunked"), key=None)
        error(await exchange(server.url, raw), 401)
        raw = request("POST", "/v1/messages", body, ("transfer-encoding", "chunked"))
        assert (await exchange(server.url, raw)).status == 200


VALUES = ["", " ", "\xff\xfe", "a" * 100_000, ",,,", "\t", "a\tb", "\x7f", "a\x7fb"]
NAMES = [
    "x-api-key",
    "anthropic-version",
    "anthropic-beta",
    "content-type",
    "content-encoding",
    "expect",
    "te",
    "accept",
]


@pytest.mark.parametrize("through", ["offline", "upstream"])
async def test_no_header_value_does_harm(through: str) -> None:
    """Nor is a caller's header that cannot be sent on the upstream's fault."""
    async with (
        Misbehaving(well_behaved) as upstream,
        Serving(upstream=upstream.url if through == "upstream" else None) as server,
    ):
        for name in [*NAMES, "idempotency-key"]:
            for value in VALUES:
                given = {"x-api-key": KEY, "anthropic-version": "2023-06-01", name: value}
                reply = await exchange(server.url, post(HELLO, *given.items(), key=None))
                assert reply.status == 200 or error(reply, 400, 401), (name, value)


# -- upgrades -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", UPGRADES)
@pytest.mark.parametrize("step", [1, 100_000])
async def test_an_upgrade_that_is_offered_is_declined_and_the_request_answered(kind: str, step: int) -> None:
    """RFC 9110, section 7.8. Every first request of a JDK client to a plain http address offers h2c."""
    async with Serving() as server:
        async with await Wire.connect(server.url) as wire:
            for _ in range(2):
                await wire.send_slowly(post(HELLO, *UPGRADES[kind]), step=step)
                assert (await wire.reply()).status == 200
                raw = request(
                    "POST", "/v1/messages", chunks(json_bytes(ASKING), size=9), ("transfer-encoding", "chunked")
                )
                await wire.send_slowly(raw.replace(b"\r\n", b"\r\nconnection: upgrade\r\nupgrade: x\r\n", 1), step=step)
                assert events((await wire.reply()).body)[-1][0] == "message_stop"
                await wire.send_slowly(request("GET", "/v1/models", None, *UPGRADES[kind]), step=step)
                assert (await wire.reply()).status == 200
        await server.settled()
        assert len(server.rows) == 4


async def test_upgrades_in_a_pipeline_are_declined() -> None:
    async with Serving() as server, await Wire.connect(server.url) as wire:
        await wire.send(post(HELLO, *UPGRADES["h2c"]) * 5 + request("GET", "/", None, *UPGRADES["websocket"]) * 5)
        for _ in range(5):
            assert (await wire.reply()).json()["type"] == "message"
        for _ in range(5):
            assert (await wire.reply()).json()["service"] == "dragoman"


# -- versions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [HELLO, ASKING], ids=["json", "stream"])
async def test_a_client_of_http_1_0_gets_no_chunks(asked: Any) -> None:
    """RFC 9112, section 6.1."""
    async with Misbehaving(well_behaved) as upstream, Serving(upstream=upstream.url) as server:
        reply = await exchange(server.url, request("POST", "/v1/messages", json_bytes(asked), version="1.0"))
        assert reply.status == 200
        assert reply.header("transfer-encoding") is None
        assert reply.header("connection") == "close"
        assert reply.body == (sse(*STREAM) if asked is ASKING else json_bytes(MESSAGE))


async def test_a_client_of_http_1_0_gets_pings_and_errors_too() -> None:
    """Pain 54: pings flow, and the upstream's silence ends all the same."""
    async with (
        Misbehaving(then(sse_head() + chunk(sse(START, BLOCK, DELTA)))) as upstream,
        Serving(upstream=upstream.url, ping_after_s=0.05, provider={"idle_timeout_s": 0.3}) as server,
    ):
        reply = await exchange(server.url, request("POST", "/v1/messages", json_bytes(ASKING), version="1.0"))
        names = [name for name, _ in events(reply.body)]
        assert "ping" in names
        assert names[-1] == "error"
        for raw in (request("GET", "/nothing", version="1.0"), b"GET / HTTP/1.0\r\nx\r\n\r\n"):
            error(await exchange(server.url, raw), 404, 400)
        reply = await exchange(server.url, request("HEAD", "/", version="1.0"), method="HEAD")
        assert reply.status == 200


# -- connections ----------------------------------------------------------------------------------------------------


async def test_a_connection_is_kept_after_every_reply_that_allows_it() -> None:
    async with (
        Misbehaving(well_behaved) as upstream,
        Serving(upstream=upstream.url) as server,
        await Wire.connect(server.url) as wire,
    ):
        for _ in range(3):
            for raw, status in [
                (post(HELLO), 200),
                (post(ASKING), 200),
                (post(b"{"), 400),
                (post(HELLO, key=None), 401),
                (post(HELLO, path="/v1/nothing"), 404),
                (request("GET", "/v1/messages", b"a body"), 405),
                (post(HELLO, path="/v1/messages/count_tokens"), 200),
                (post(b"x", ("content-encoding", "gzip")), 400),
                (
                    request("POST", "/v1/messages", chunks(HELLO_BYTES, size=7), ("transfer-encoding", "chunked")),
                    200,
                ),
            ]:
                await wire.send(raw)
                assert (await wire.reply()).status == status
        assert server.connections == 1


async def test_pipelined_requests_are_answered_in_order() -> None:
    asked = [
        {**HELLO, "stream": bool(number % 2), "messages": [{"role": "user", "content": f"number {number}"}]}
        for number in range(10)
    ]
    async with Serving() as server:
        async with await Wire.connect(server.url) as wire:
            await wire.send(b"".join(map(post, asked)))
            for number in range(10):
                assert f"number {number}".encode() in (await wire.reply()).body
        await server.settled()
        assert len(server.rows) == 10


async def test_of_a_long_pipeline_what_is_answered_is_right_and_then_the_connection_ends() -> None:
    """RFC 9112, section 9.3.2: the client asks again for what it has had no answer to."""
    async with Serving() as server:
        async with await Wire.connect(server.url) as wire:
            for number in range(300):
                await wire.send(post({**HELLO, "messages": [{"role": "user", "content": f"number {number}."}]}))
            answered = 0
            try:
                while answered < 300:
                    assert f"number {answered}.".encode() in (await wire.reply()).body
                    answered += 1
            except EOFError:
                pass
        assert answered >= 16
        await server.settled()
        assert len(server.rows) >= answered


@pytest.mark.parametrize("garbage", [b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"a" * 500_000, b"\x00"])
async def test_garbage_behind_a_request_does_not_cost_it_its_reply(garbage: bytes) -> None:
    go_on = asyncio.Event()

    async def handler(conn: Any) -> None:
        await conn.read_request()
        await go_on.wait()
        await conn.send(sse_head() + chunk(sse(*STREAM)))
        await conn.wait_closed()

    async with Misbehaving(handler) as upstream, Serving(upstream=upstream.url) as server:
        async with await Wire.connect(server.url) as wire:
            await wire.send(post(ASKING) + garbage)
            await upstream.request()
            go_on.set()
            assert (await wire.reply()).body == sse(*STREAM)
            assert await wire.is_closed()
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["answered"]


async def test_a_client_that_asks_for_the_end_gets_it() -> None:
    async with Serving() as server:
        for asked in (HELLO, ASKING):
            async with await Wire.connect(server.url) as wire:
                await wire.send(post(asked, ("connection", "close")))
                reply = await wire.reply()
                assert (reply.status, reply.header("connection")) == (200, "close")
                assert await wire.is_closed()


async def test_every_reply_has_a_request_id_of_its_own() -> None:
    """ERR-2, HDR-30."""
    async with Serving() as server:
        raws = [post(HELLO), post(ASKING), post(b""), b"GARBAGE\r\n\r\n", request("GET", "/x"), request("GET", "/")]
        seen = [(await exchange(server.url, raw)).header("request-id") for raw in raws]
        assert all(name and name.startswith("req_01") for name in seen)
        assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nhost: x\r\n"])
async def test_a_connection_without_a_whole_head_is_closed(sent: bytes) -> None:
    """As one that is idle after a reply is."""
    async with Serving() as server:
        server.server.keep_alive_s = 0.05
        async with await Wire.connect(server.url) as wire:
            await wire.send(sent)
            assert await wire.is_closed()
