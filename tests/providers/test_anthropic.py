"""Pass-through to a Messages-speaking server: bytes out and back as they came, usage read on the way."""

import json
from random import Random
from typing import Any

import pytest
from streams import chunks, frame, frames, legal_stream

from dragoman.errors import InvalidRequest, UpstreamFailed
from dragoman.providers.anthropic import Messages
from dragoman.providers.base import Answered, Operation, Target
from dragoman.wire.codec import plain
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers
from dragoman.wire.sse import SSEDecoder

Json = dict[str, Any]

ADAPTER = Messages()
BODY = b'{ "model" : "claude-opus-4-8",\n "max_tokens":1e3, "messages":[{"role":"user","content":"\\u00e9 \xc3\xa9"}] }'
CALLER = Headers(
    [
        ("Anthropic-Version", "2023-06-01"),
        ("anthropic-beta", "files-api-2025-04-14"),
        ("anthropic-beta", "context-1m-2025-08-07,unknown-2027-01-01"),
        ("Accept", "text/event-stream"),
        ("idempotency-key", "abc"),
        ("x-api-key", "the caller's"),
        ("authorization", "Bearer the caller's"),
        ("cookie", "session=secret"),
        ("host", "gateway.test"),
        ("content-length", "5"),
        ("content-encoding", "gzip"),
        ("transfer-encoding", "chunked"),
        ("accept-encoding", "gzip, br"),
        ("connection", "keep-alive"),
        ("x-forwarded-for", "10.0.0.1"),
        ("user-agent", "anthropic-sdk"),
        ("x-stainless-lang", "python"),
        ("content-type", "text/plain"),
    ]
)


def target(**fields: Any) -> Target:
    values = {
        "provider": "anthropic", "model": "claude-opus-4-8", "base_url": "https://api.test", "api_key": "ours",
        "auth": "x-api-key",
    }  # fmt: skip
    return Target(**values | fields)


def prepared(body: bytes = BODY, *, operation: Operation = Operation.MESSAGES, **fields: Any) -> Any:
    return ADAPTER.prepare(operation, Envelope(body), CALLER, target=target(**fields))


# ---------------------------------------------------------------- the request


def test_the_body_is_the_callers_own_bytes() -> None:
    """DESIGN, principle 1: prompt caches and signatures live on bytes."""
    assert prepared().body == BODY


def test_only_the_model_changes_where_it_is_renamed() -> None:
    body = prepared(model="anthropic.claude-opus-4-8-v1:0").body
    assert body == BODY.replace(b'"claude-opus-4-8"', b'"anthropic.claude-opus-4-8-v1:0"')


def test_a_doubled_key_does_not_go_out_doubled() -> None:
    """What was routed is what is asked: an upstream may read the first of two, we read the last."""
    doubled = b'{"model":"expensive","max_tokens":1,"model":"claude-opus-4-8","messages":[ {} ]}'
    pairs = json.loads(prepared(doubled).body, object_pairs_hook=list)
    assert [name for name, _ in pairs] == ["model", "max_tokens", "messages"]
    assert dict(pairs)["model"] == "claude-opus-4-8"
    assert b"[ {} ]" in prepared(doubled).body


@pytest.mark.parametrize(
    ("operation", "url"),
    [
        (Operation.MESSAGES, "https://api.test/base/v1/messages"),
        (Operation.COUNT_TOKENS, "https://api.test/base/v1/messages/count_tokens"),
    ],
)
def test_each_operation_has_its_path(operation: Operation, url: str) -> None:
    assert prepared(operation=operation, base_url="https://api.test/base").url == url


def test_only_the_headers_of_the_api_go_out_and_never_the_callers_key() -> None:
    """HDR-5, 6: version and betas as the caller sent them, repeats joined; nothing of a proxy, no cookies."""
    assert sorted(prepared().headers) == [
        ("accept", "text/event-stream"),
        ("anthropic-beta", "files-api-2025-04-14, context-1m-2025-08-07,unknown-2027-01-01"),
        ("anthropic-version", "2023-06-01"),
        ("content-type", "application/json"),
        ("idempotency-key", "abc"),
        ("x-api-key", "ours"),
    ]


def test_headers_that_the_caller_did_not_send_are_not_made_up() -> None:
    headers = Headers([("anthropic-version", "2026-10-21")])
    request = ADAPTER.prepare(Operation.MESSAGES, Envelope(BODY), headers, target=target())
    assert sorted(request.headers) == [
        ("anthropic-version", "2026-10-21"),
        ("content-type", "application/json"),
        ("x-api-key", "ours"),
    ]


@pytest.mark.parametrize(
    ("fields", "credentials"),
    [
        ({"auth": "x-api-key"}, [("x-api-key", "ours")]),
        ({"auth": "bearer"}, [("authorization", "Bearer ours")]),
        ({"auth": "x-api-key", "api_key": None}, []),
        ({"auth": "bearer", "api_key": None}, []),
    ],
)
def test_the_key_goes_where_the_target_says(fields: Json, credentials: list[tuple[str, str]]) -> None:
    """HDR-1, 2. A local server may need none."""
    headers = prepared(**fields).headers
    assert [pair for pair in headers if pair[0] in ("x-api-key", "authorization")] == credentials


def test_a_target_does_not_show_its_key() -> None:
    assert repr(target()) == "Target(anthropic/claude-opus-4-8)"


def test_a_request_without_a_model_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="model: Field required"):
        prepared(b'{"max_tokens":1}')


# ---------------------------------------------------------------- a whole reply

REPLY = (
    b'{"model":"claude-opus-4-8", "id":"msg_1","type":"message","later":[1.50],"content":[{"text":"\\u00e9 \xc3\xa9"}],'
    b'"usage":{"input_tokens":12,"cache_read_input_tokens":null,"output_tokens":6,"later_tokens":3}}\n'
)


def test_a_reply_is_handed_on_byte_for_byte_and_its_usage_is_read() -> None:
    answered = ADAPTER.read(Operation.MESSAGES, REPLY)
    assert answered.body == REPLY
    assert answered.usage is not None
    assert (answered.usage.input_tokens, answered.usage.output_tokens) == (12, 6)
    assert answered.usage.extra == {"later_tokens": 3}


def test_a_count_is_handed_on_and_has_no_usage() -> None:
    """TOK-1."""
    body = b'{"input_tokens": 14, "later": 1}'
    answered = ADAPTER.read(Operation.COUNT_TOKENS, body)
    assert (answered.body, answered.usage) == (body, None)


GARBAGE = [
    b"", b"{", b"[]", b"null", b"5", b'"x"', b"<html></html>", b"\xff\xfe", b"{}", REPLY[:-3], b"[" * 100_000,
    b'{"a":' * 100_000, b'{"type":"error","error":{"type":"api_error","message":"x"}}', b"data: {}\n\n",
]  # fmt: skip


@pytest.mark.parametrize("body", GARBAGE, ids=lambda body: repr(body[:20]))
@pytest.mark.parametrize("operation", list(Operation))
def test_a_reply_that_is_none_is_the_upstreams_failure(operation: Operation, body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        ADAPTER.read(operation, body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"usage":{"input_tokens":1,"output_tokens":1}}',
        b'{"type":"completion","usage":{"input_tokens":1,"output_tokens":1}}',
        b'{"type":5,"usage":{"input_tokens":1,"output_tokens":1}}',
        b'{"type":"message","usage":{"input_tokens":1,"output_tokens":1},"content":"\xff"}',
    ],
)
def test_a_reply_of_another_type_is_no_message(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        ADAPTER.read(Operation.MESSAGES, body)


@pytest.mark.parametrize(
    "usage",
    ["null", "[]", '{"input_tokens":1}', '{"output_tokens":1}', '{"input_tokens":"1","output_tokens":1}',
     '{"input_tokens":1,"output_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":1}}'],
)  # fmt: skip
def test_usage_that_makes_no_sense_is_no_reason_to_refuse_a_reply(usage: str) -> None:
    """Not every server that speaks Messages counts as the API does."""
    body = f'{{"type":"message","usage":{usage}}}'.encode()
    assert ADAPTER.read(Operation.MESSAGES, body) == Answered(body=body, usage=None)
    start = f'event: message_start\ndata: {{"type":"message_start","message":{{"usage":{usage}}}}}\n\n'.encode()
    reader = ADAPTER.stream()
    assert reader.feed(start) == start
    assert reader.usage is None


@pytest.mark.parametrize(
    "body", [b'{"input_tokens":"14"}', b'{"input_tokens":1.5}', b'{"tokens":1}', b'{"input_tokens":null}']
)
def test_a_count_without_a_number_is_none(body: bytes) -> None:
    with pytest.raises(UpstreamFailed):
        ADAPTER.read(Operation.COUNT_TOKENS, body)


# ---------------------------------------------------------------- an error

KINDS = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 409: "conflict_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error",
    502: "api_error", 503: "api_error", 504: "timeout_error", 529: "overloaded_error", 418: "invalid_request_error",
    422: "invalid_request_error", 499: "invalid_request_error", 599: "api_error",
}  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"},"request_id":"req_1"}',
        b'{ "error" : {"message":"x","type":"later_error","details":{"error_code":"y"}}, "type":"error", "later": 1}\n',
    ],
)
def test_an_envelope_is_handed_on_as_it_came(body: bytes) -> None:
    """ERR-4: unknown types too."""
    assert ADAPTER.read_error(429, body, request_id="req_ours") == (429, body)


NO_ENVELOPES = [
    *GARBAGE[:-2],
    b'{"error":"x"}',
    b'{"error":{"type":"api_error","message":"x"}}',
    b'{"type":"error","error":{"message":"x"}}',
    b'{"type":"error","error":{"type":5,"message":"x"}}',
    b'{"type":"error","error":{"type":"api_error","message":"x","details":"\xff"}}',
    b'{"type":"error","error":{"type":"api_error","message":"x"}} trailing',
]


@pytest.mark.parametrize("status", KINDS)
@pytest.mark.parametrize("body", NO_ENVELOPES, ids=lambda body: repr(body[:20]))
def test_what_is_no_envelope_is_put_into_one_without_its_text(status: int, body: bytes) -> None:
    """ERR-1, ERR-10 to 21: a proxy's page may hold anything; its status says enough."""
    envelope = json.loads(ADAPTER.read_error(status, body, request_id="req_ours").body)
    assert envelope == {
        "type": "error",
        "error": {
            "type": KINDS[status],
            "message": f"The upstream answered with status {status} and no error of the Messages API.",
        },
        "request_id": "req_ours",
    }


# ---------------------------------------------------------------- a stream


def streamed(pieces: list[bytes]) -> tuple[Any, list[bytes]]:
    """A reader that was fed these pieces, and what it handed out for each."""
    reader = ADAPTER.stream()
    return reader, [reader.feed(piece) for piece in pieces]


def is_whole(out: bytes) -> bool:
    """Whether the bytes are whole events and nothing behind them."""
    decoder = SSEDecoder()
    decoder.feed(out)
    return decoder.pending == 0


def final_usage(events: list[Json]) -> Json:
    """STR-13, by hand."""
    usage = dict(events[0]["message"]["usage"])
    for event in events:
        if event["type"] == "message_delta":
            usage |= event["usage"]
    return usage


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_stream_is_handed_on_byte_for_byte_in_whole_events(newline: str) -> None:
    """Any chunking: what is out is whole at every moment, all is out at the end, usage is right."""
    rng = Random(f"stream {newline!r}")
    for _ in range(60):
        events = legal_stream(rng)
        body = frames(events, newline)
        pieces = chunks(rng, body)
        reader = ADAPTER.stream()
        out = fed = b""
        for piece in pieces:
            out += reader.feed(piece)
            fed += piece
            assert body.startswith(out)
            assert is_whole(out)
            decoder = SSEDecoder()
            decoder.feed(fed)
            assert len(out) == decoder.boundary  # nothing that is whole is held back
        # After the end no byte is read: of a last CRLF that was cut in two, the LF stays out.
        assert out == body or (newline == "\r\n" and pieces[-1] == b"\n" and out + b"\n" == body)
        assert reader.is_done
        assert reader.has_content
        assert reader.error is None
        assert plain(reader.usage) == final_usage(events)


def test_every_cut_of_one_stream() -> None:
    rng = Random("cuts")
    body = frames([event for event in legal_stream(rng, pings=False) if "delta" not in event.get("type", "")][:1])
    body += b": comment\n\n" + frame({"type": "ping"}, "\r\n") + frame({"type": "message_stop"})
    for cut in range(len(body) + 1):
        reader, out = streamed([body[:cut], body[cut:]])
        assert b"".join(out) == body
        assert is_whole(out[0])
        assert reader.is_done


@pytest.mark.parametrize("cut", [1, 10, 100, 1000])
def test_a_stream_that_breaks_off_leaves_whole_events_only(cut: int) -> None:
    """STR-42: an error event can be put behind what is out."""
    rng = Random("cut off")
    for _ in range(30):
        body = frames(legal_stream(rng))
        reader, out = streamed(chunks(rng, body[:-cut]))
        handed_out = b"".join(out)
        assert is_whole(handed_out)
        assert body.startswith(handed_out)
        assert not reader.is_done
        assert reader.error is None


def test_usage_is_known_from_the_start_on() -> None:
    """A caller that hangs up is accounted with what was told so far (STR-10)."""
    rng = Random("usage")
    events = legal_stream(rng, pings=False)
    reader = ADAPTER.stream()
    assert reader.usage is None
    reader.feed(frame(events[0]))
    assert plain(reader.usage) == events[0]["message"]["usage"]


def test_the_start_and_pings_do_not_commit_and_content_does() -> None:
    """DESIGN, principle 5: before the first content a failure may still fall back."""
    start, *_, stop = legal_stream(Random("commit"), pings=False)
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for committing in (block, stop, {"type": "error", "error": {"type": "api_error", "message": "x"}}):
        reader = ADAPTER.stream()
        reader.feed(b": hello\n\n" + frame({"type": "ping"}) + frame(start) + frame({"type": "ping"}) + b": hi\n\n")
        assert not reader.has_content
        reader.feed(frame(committing)[:-1])
        assert not reader.has_content
        reader.feed(b"\n")
        assert reader.has_content


@pytest.mark.parametrize("at_once", [True, False])
def test_nothing_behind_the_end_is_handed_on(at_once: bool) -> None:
    """STR-3: the end is message_stop."""
    body = frames(legal_stream(Random("end")))
    for more in (b"data: [DONE]\n\n", frame({"type": "ping"}), b"garbage", b"\n\n", frame({"type": "error"})):
        reader, out = streamed([body + more] if at_once else [body, more])
        assert b"".join(out) == body
        assert reader.is_done
        assert reader.error is None
        assert reader.feed(more) == b""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_an_error_event_ends_the_stream_and_is_kept(newline: str) -> None:
    """STR-40."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}
    events = legal_stream(Random("error"))[:3]
    body = frames(events, newline) + frame(error, newline)
    reader, out = streamed([*chunks(Random(1), body), b"more"])
    assert b"".join(out) == body
    assert reader.is_done
    assert json.loads(reader.error) == error
    assert reader.usage is not None


def test_events_of_later_versions_and_padding_pass_through() -> None:
    """STR-4, STR-50."""
    start, *rest = legal_stream(Random("later"))
    padded = b'event: ping\ndata: {"type": "ping"      }   \n\n'
    later = frame({"type": "later_event", "x": 1}) + b"event: later\nid: 5\nretry: 1\ndata: not json\n\n"
    body = frame(start) + padded + later + frames(rest)
    reader, out = streamed([body])
    assert b"".join(out) == body
    assert reader.is_done


def test_content_is_not_looked_into() -> None:
    """What it holds is between the caller and the model."""
    start, *_, stop = legal_stream(Random("content"), pings=False)
    broken = b'event: content_block_delta\ndata: {"type":"content_block_delta",\xff\n\n'
    body = frame(start) + broken + frame(stop)
    _, out = streamed([body])
    assert b"".join(out) == body


@pytest.mark.parametrize(
    "event",
    [
        b"event: message_start\ndata: nothing\n\n",
        b"event: message_delta\ndata: [1]\n\n",
        b"event: error\ndata: \xff\n\n",
        b'event: error\ndata: {"type":"error"}\n\n',
    ],
)
def test_a_start_end_or_error_that_cannot_be_read_is_the_upstreams_failure(event: bytes) -> None:
    start = frame(legal_stream(Random("broken"))[0])
    reader = ADAPTER.stream()
    reader.feed(start)
    with pytest.raises(UpstreamFailed, match="cannot be read"):
        reader.feed(event)


def test_an_event_without_end_is_the_upstreams_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: one event may have 64 MB."""
    reader = ADAPTER.stream()
    monkeypatch.setattr(reader._decoder, "_limit", 1000)
    with pytest.raises(UpstreamFailed, match="more than 1000 bytes"):
        [reader.feed(b"data: " + b"x" * 100) for _ in range(11)]


class Chunk(bytes):
    """A chunk that may not be copied into another by `+`: that would copy what is held anew with each chunk."""

    def __add__(self, other: bytes) -> bytes:  # type: ignore[override]
        raise AssertionError("held bytes are copied with each chunk")

    __radd__ = __add__


def test_a_large_event_in_small_chunks_is_put_together_once() -> None:
    """20 MB in 1 KB chunks; holding them was quadratic once: 200 GB copied."""
    start, *_, stop = legal_stream(Random("large"), pings=False)
    text = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x" * 20_000_000}}
    body = frame(start) + frame(text) + frame(stop)
    reader, out = streamed([Chunk(body[at : at + 1024]) for at in range(0, len(body), 1024)])
    assert b"".join(out) == body
    assert reader.is_done
