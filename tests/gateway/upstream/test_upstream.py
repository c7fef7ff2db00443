"""Pass-through: what goes to an upstream, and what comes back from one that behaves.

What a caller gets is the upstream's own bytes, while they are whole.
"""

import gzip
import json
from typing import Any

import pytest
from canned import BLOCK, COUNT, DELTA, END, MESSAGE, START, STREAM, UPSTREAM_ID, envelope, sse, then, well_behaved
from misbehaving import (
    LAST_CHUNK,
    Conn,
    chunk,
    head,
    in_turn,
    json_reply,
    reply,
    replying,
    sse_head,
)
from rawhttp import HELLO, KEY, Wire, error, exchange, post
from relaying import ASKING, BEGUN, ask, relay, without_pings
from serving import UPSTREAM_KEY

# -- the bytes of a good reply ----------------------------------------------------------------------------------------


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


# -- what the upstream sees -------------------------------------------------------------------------------------------

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
