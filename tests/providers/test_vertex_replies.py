"""Claude on Vertex AI: how its streams, its errors and Google's are read. Whole replies: see test_contract.py."""

import json
from random import Random
from typing import Any

import pytest
from canned import BLOCK, DELTA, START, sse
from streams import chunks, frames, legal_stream
from translating_cases import Json

from dragoman.errors import ApiError, UpstreamFailed
from dragoman.providers.base import StreamReader
from dragoman.providers.vertex import RawPredict
from dragoman.wire.sse import encode_sse

# -- errors --


def google(code: int, status: str, message: str) -> Json:
    return {"error": {"code": code, "message": message, "status": status}}


def claudes(kind: str, message: str) -> Json:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_vrtx_1"}


TOO_LONG = "prompt is too long: 204857 tokens > 200000 maximum"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, google(400, "INVALID_ARGUMENT", "no"), (400, "invalid_request_error", "no")),
        (400, google(400, "FAILED_PRECONDITION", "not servable in region"), (400, "invalid_request_error", "not serv")),
        (401, google(401, "UNAUTHENTICATED", "who?"), (401, "authentication_error", "who?")),
        (403, google(403, "PERMISSION_DENIED", "denied"), (403, "permission_error", "denied")),
        (404, google(404, "NOT_FOUND", "no model"), (404, "not_found_error", "no model")),
        (413, {"error": {"code": 413, "message": "Request payload size"}}, (413, "request_too_large", "payload size")),
        (400, google(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 31457280 bytes."),
         (413, "request_too_large", "31457280")),
        (429, google(429, "RESOURCE_EXHAUSTED", "Quota exceeded"), (429, "rate_limit_error", "Quota exceeded")),
        (429, [google(429, "RESOURCE_EXHAUSTED", "in an array")], (429, "rate_limit_error", "in an array")),
        (500, google(500, "INTERNAL", "oh"), (502, "api_error", "oh")),
        (503, google(503, "UNAVAILABLE", "busy"), (529, "overloaded_error", "busy")),
        (504, google(504, "DEADLINE_EXCEEDED", "late"), (504, "timeout_error", "late")),
        (499, google(499, "CANCELLED", "gone"), (502, "api_error", "gone")),
        (400, google(400, "INVALID_ARGUMENT", TOO_LONG), (400, "invalid_request_error", TOO_LONG)),
        (400, claudes("invalid_request_error", TOO_LONG), (400, "invalid_request_error", TOO_LONG)),
        (529, claudes("overloaded_error", "Overloaded"), (529, "overloaded_error", "Overloaded")),
        (400, google(400, "INVALID_ARGUMENT", json.dumps(claudes("invalid_request_error", TOO_LONG))),
         (400, "invalid_request_error", TOO_LONG)),
        (418, google(418, "OF_LATER", ""), (400, "invalid_request_error", "status 418")),
        (502, "<html>", (502, "api_error", "status 502")),
        (500, "<html>", (502, "api_error", "status 500")),
        (503, "<html>", (529, "overloaded_error", "status 503")),
        (404, "<html>", (404, "not_found_error", "status 404")),
        (402, {"error": {"code": 402, "message": "Pay"}}, (402, "billing_error", "Pay")),
        (500, {"message": "not Google's"}, (502, "api_error", "status 500")),
        (429, {"error": {}}, (429, "rate_limit_error", "status 429")),
        (429, {"error": {"code": "x", "status": 5, "message": ["x"]}}, (429, "rate_limit_error", "status 429")),
    ],
)  # fmt: skip
def test_errors_of_google_and_of_claude(status: int, body: Any, expected: tuple[int, str, str]) -> None:
    """Pain 17, 28, 70."""
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    reply = RawPredict().read_error(status, raw, request_id="req_1")
    envelope = json.loads(reply.body)
    assert (reply.status, envelope["error"]["type"]) == expected[:2]
    assert expected[2] in envelope["error"]["message"]
    assert "<html>" not in envelope["error"]["message"]
    is_own = isinstance(body, dict) and body.get("type") == "error"
    assert reply.body == raw if is_own else envelope["request_id"] in ("req_1", "req_vrtx_1")


# -- streams --

OWN: Json = {"type": "vertex_event", "usage": {"input_tokens": 9, "output_tokens": 1, "tiers": {}}}


def with_own_events(rng: Random, *, named: bool) -> tuple[bytes, bytes]:
    """A stream as Vertex sends it, and what is to come of it."""
    events = [part + b"\n\n" for part in frames(legal_stream(rng)).split(b"\n\n")[:-1]]
    own = encode_sse("vertex_event", json.dumps(OWN).encode()) if named else b'data: {"type":"vertex_event"}\n\n'
    mixed = list(events)
    for _ in range(rng.randint(1, 4)):
        mixed.insert(rng.randrange(len(mixed)), own)
    return b"".join(mixed), b"".join(events)


@pytest.mark.parametrize("named", [True, False])
def test_events_of_vertexs_own_are_left_out_however_the_stream_is_cut(named: bool) -> None:
    """Pain 43, 55: no other byte changes; an event of theirs is no content, so an error after it is still a status."""
    rng = Random("own")
    for _ in range(30):
        body, expected = with_own_events(rng, named=named)
        for most in (1, 9, 200):
            reader = RawPredict().stream()
            assert b"".join(reader.feed(piece) for piece in chunks(rng, body, most=most)) == expected
            assert reader.is_done
            assert reader.usage is not None
    reader = RawPredict().stream()
    assert reader.feed(encode_sse("vertex_event", json.dumps(OWN).encode())) == b""
    assert not reader.has_content


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        (
            encode_sse("error", json.dumps(claudes("overloaded_error", "Overloaded")).encode()),
            "overloaded_error",
            "Over",
        ),
    ],
)
def test_an_error_in_a_stream_is_one_error_event(said: bytes, kind: str, message: str) -> None:
    """Pain 25: before any content it is the reply."""
    reader = RawPredict().stream()
    out = reader.feed(said)
    assert out.startswith(b"event: error\n")
    assert reader.failed_first
    assert reader.is_done
    assert reader.error is not None
    error = json.loads(reader.error)["error"]
    assert error["type"] == kind
    assert message in error["message"]


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        (encode_sse("error", json.dumps(google(503, "UNAVAILABLE", "busy")).encode()), "overloaded_error", "busy"),
        (f"data: {json.dumps(google(429, 'RESOURCE_EXHAUSTED', 'quota'))}\n\n".encode(), "rate_limit_error", "quota"),
        (f"data: {json.dumps([google(500, 'INTERNAL', 'oh')])}\r\n\r\n".encode(), "api_error", "oh"),
    ],
)
@pytest.mark.parametrize("most", [1, 9, 10_000])
def test_an_error_of_googles_follows_what_was_said(said: bytes, kind: str, message: str, most: int) -> None:
    """Pain 25: it is told once, by the gateway, as what follows; and nothing behind it is handed on."""
    begun = sse(START, BLOCK, DELTA)
    own = encode_sse("vertex_event", json.dumps(OWN).encode())
    reader = RawPredict().stream()
    out = [reader.feed(piece) for piece in chunks(Random(most), begun + own, most=most)]
    rest = chunks(Random(most), said + begun, most=most)
    with pytest.raises(ApiError) as failed:
        out.extend(map(reader.feed, rest))
    assert reader.failure is failed.value
    assert not reader.is_done
    assert (failed.value.kind, failed.value.message) == (kind, message)
    with pytest.raises(ApiError):
        reader.feed(b"")
    at_once = RawPredict().stream()
    assert at_once.feed(begun + own + said + begun) == begun
    with pytest.raises(ApiError, match=message):
        at_once.close()
    with pytest.raises(ApiError, match=message):
        RawPredict().stream().feed(said)


def fed_without_end(reader: StreamReader, piece: bytes) -> None:
    for _ in range(70):
        reader.feed(piece)


def test_a_stream_that_ends_early_or_never_ends_an_event_has_failed() -> None:
    """Pain 24."""
    reader = RawPredict().stream()
    reader.feed(frames(legal_stream(Random(1)))[:200])
    with pytest.raises(UpstreamFailed, match="ended before its message"):
        reader.close()
    reader = RawPredict().stream()
    with pytest.raises(UpstreamFailed, match="cannot be read"):
        fed_without_end(reader, b"x" * (1024 * 1024))
    assert reader.failure is not None
    with pytest.raises(UpstreamFailed):
        reader.feed(b"\n\n")
    with pytest.raises(UpstreamFailed):
        reader.close()
