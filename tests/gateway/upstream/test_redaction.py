"""Keys that an upstream repeats in an error: the caller sees none, whichever dialect it is and whenever it comes."""

import json
from typing import Any

import pytest
from bedrock_cases import HAIKU, exception
from bedrock_cases import chunk as claude_frame
from canned import BLOCK, DELTA, START, sse, then
from misbehaving import LAST_CHUNK, chunk, head, reply
from rawhttp import HELLO, Reply, error, exchange, post
from relaying import cut, relay
from translating_cases import stream_bytes

from dragoman.errors import RateLimited
from dragoman.gateway.config.config import Secret
from dragoman.gateway.upstream.redaction import Redaction

KEY = "up/Key+0123456789=="
SENT = [("content-type", "application/json"), ("Authorization", f"Bearer {KEY}"), ("x-amz-security-token", "token/5")]
BEGUN = [START, BLOCK, DELTA]
SLOW = f"slow {KEY}"
ENVELOPE = {
    "type": "error",
    "error": {"type": "rate_limit_error", "message": SLOW, "details": {"said": [KEY]}},
    "request_id": "req_1",
}
FRAMES = "application/vnd.amazon.eventstream"
GOOGLE = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": SLOW}}
SPOKEN = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Half of it"}}]}
NOVA_SAYS = [{"messageStart": {"role": "assistant"}}, {"contentBlockDelta": {"delta": {"text": "Half of it"}}}]
CHAT_ERROR = {"error": {"message": SLOW, "code": 429, "type": "rate_limit"}}


def framed(*events: dict[str, Any]) -> bytes:
    return b"".join(claude_frame(event) for event in events)


def lines(*events: Any) -> bytes:
    return b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in events)


STREAMS: dict[str, tuple[dict[str, Any], str, str, bytes, bytes]] = {  # settings, model, type, what is said, an error
    "messages": ({"auth": "x-api-key"}, "claude-opus-4-8", "text/event-stream", sse(*BEGUN), sse(ENVELOPE)),
    "messages, in several lines": (
        {"dialect": "messages", "auth": "x-api-key"}, "claude-opus-4-8", "text/event-stream", sse(*BEGUN),
        b"event:error\r\n" + b"".join(b"data:" + line + b"\r\n" for line in json.dumps(ENVELOPE, indent=1).encode()
                                      .replace(b"/", b"\\/").splitlines()) + b"\r\n",
    ),
    "bedrock": (
        {"auth": "bearer", "region": "us-east-1"}, HAIKU, FRAMES, framed(*BEGUN), exception("throttlingException", SLOW)
    ),
    "bedrock, the API's own": (
        {"dialect": "bedrock", "auth": "bearer", "region": "us-east-1"}, HAIKU, FRAMES, framed(*BEGUN), framed(ENVELOPE)
    ),
    "bedrock, Converse": (
        {"dialect": "bedrock", "auth": "bearer", "region": "us-east-1"}, "us.amazon.nova-pro-v1:0", FRAMES,
        stream_bytes(NOVA_SAYS, "bedrock_converse"),
        exception("throttlingException", SLOW),
    ),
    "vertex": (
        {"auth": "bearer", "project": "p", "region": "us-east5"}, "claude-opus-4-8", "text/event-stream", sse(*BEGUN),
        f"event: error\ndata: {json.dumps(GOOGLE)}\n\n".encode(),
    ),
    "openai_chat": ({"auth": "bearer"}, "gpt-4o", "text/event-stream", lines(SPOKEN), lines(CHAT_ERROR)),
}  # fmt: skip


async def told(name: str, *pieces: bytes) -> Reply:
    settings, model, kind, _, _ = STREAMS[name]
    settings = {"dialect": name, "api_key": Secret(KEY), **settings}
    body = head(200, ("content-type", kind), ("transfer-encoding", "chunked"))
    handler = then(body + b"".join(map(chunk, pieces)) + LAST_CHUNK)
    async with relay(handler, provider=settings) as (server, _):
        answered = await exchange(server.url, post({**HELLO, "model": model, "stream": True}))
        await server.settled()
        assert KEY not in server.log
        return answered


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("at_once", [True, False])
async def test_an_error_behind_what_was_said_holds_no_key(name: str, at_once: bool) -> None:
    """Pain 79: whether it comes with the last words or after them; and those come as they were said."""
    *_, said, failed = STREAMS[name]
    answered = await told(name, said + failed) if at_once else await told(name, said, failed)
    assert answered.status == 200, answered.body
    assert b"Half of it" in answered.body
    assert KEY not in answered.body.decode().replace("\\/", "/")
    found = json.loads(answered.body.rpartition(b"event: error\ndata: ")[2])["error"]
    assert (found["type"], found["message"]) == ("rate_limit_error", "slow [key]")


@pytest.mark.parametrize("name", STREAMS)
async def test_an_error_in_the_place_of_a_reply_holds_no_key(name: str) -> None:
    """Pain 79: before any content it is a status."""
    answered = await told(name, STREAMS[name][-1])
    found = error(answered, 429)
    assert (found["type"], found["message"]) == ("rate_limit_error", "slow [key]")


async def test_an_error_without_a_key_comes_as_it_was_written() -> None:
    own = b'event: error\ndata: { "type":"error", "error":{"type":"overloaded_error","message":"a\\/b"}}\n\n'
    answered = await told("messages", sse(*BEGUN) + own)
    assert answered.body == sse(*BEGUN) + own
    assert "message" in cut(await told("bedrock", framed(*BEGUN)))


@pytest.mark.parametrize("asked", [HELLO, {**HELLO, "stream": True}])
async def test_a_refusal_holds_no_key(asked: dict[str, Any]) -> None:
    """Pain 79: nor where JSON has another way to write it."""
    body = json.dumps(ENVELOPE).replace("/", "\\/").encode()
    provider = {"dialect": "messages", "auth": "x-api-key", "api_key": Secret(KEY)}
    async with relay(then(reply(body, ("content-type", "application/json"), status=429)), provider=provider) as (
        server,
        _,
    ):
        found = error(await exchange(server.url, post(asked)), 429)
        assert (found["message"], found["details"]) == ("slow [key]", {"said": ["[key]"]})


# -- what is hidden --


def test_what_was_sent_is_hidden_wherever_it_came_from() -> None:
    """Pain 79: AWS quotes the whole request, session token and all, where it finds a signature wrong."""
    failed = RateLimited(f"{KEY}, token/5", details={"said": ["token/5"]})
    Redaction(SENT).hide(failed)
    assert (failed.message, str(failed), failed.details) == ("[key], [key]", "[key], [key]", {"said": ["[key]"]})
    signed = [("authorization", "AWS4-HMAC-SHA256 Credential=AKIA/x, Signature=0a"), ("x-goog-api-key", "AIza")]
    assert Redaction(signed).envelope(b'{"a":"AIza AWS4-HMAC-SHA256"}') == b'{"a":"[key] AWS4-HMAC-SHA256"}'


@pytest.mark.parametrize("key", ["error", "type", "message", "e", "rate_limit_error"])
def test_an_envelope_stays_one_whatever_the_key_is(key: str) -> None:
    body = json.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": f"<{key}>"}}).encode()
    found = json.loads(Redaction([("x-api-key", key)]).envelope(body))
    assert (found["type"], found["error"]["type"]) == ("error", "rate_limit_error")
    assert found["error"]["message"] == "<[key]>"


def test_a_key_in_the_name_of_a_field_is_hidden_where_it_is_no_word() -> None:
    told = {"type": "error", "error": {"type": "api_error", KEY: [{f"x {KEY}": 1}], "message": "no"}}
    clean = Redaction(SENT).envelope(json.dumps(told).encode())
    assert KEY.encode() not in clean
    assert json.loads(clean)["error"]["[key]"] == [{"x [key]": 1}]


def test_a_key_within_a_key_and_a_body_that_is_nested_deeply() -> None:
    headers = [("x-api-key", "abc"), ("authorization", "Bearer abcdef")]
    assert Redaction(headers).envelope(b'["abcdef abc"]') == b'["[key] [key]"]'
    deep = b"[" * 900 + b'"abc"' + b"]" * 900
    assert b"abc" not in Redaction(headers).envelope(deep)
    assert Redaction(headers).envelope(b"<abc>") == b"<[key]>"
    body = b'{ "a": 1 }'
    assert Redaction(headers).envelope(body) is body
    assert Redaction().envelope(body) is body
