"""The rules that every adapter keeps, whatever its dialect. A new adapter adds one row to ADAPTERS."""

import json
from collections.abc import Callable
from itertools import zip_longest
from random import Random
from typing import Any, NamedTuple

import pytest
from streams import chunks, frames, legal_stream

from dragoman.errors import ApiError, InvalidRequest, UpstreamFailed
from dragoman.providers.anthropic import Messages
from dragoman.providers.base import Adapter, Operation, Target
from dragoman.wire.envelope import Envelope
from dragoman.wire.events import StreamLaw, decode_event
from dragoman.wire.headers import Headers
from dragoman.wire.sse import SSEDecoder


class Dialect(NamedTuple):
    """An adapter, and what its provider answers."""

    adapter: Adapter
    reply: bytes  # to POST /v1/messages
    stream: Callable[[Random], bytes]  # some legal stream, from its first byte to its end


MESSAGES_REPLY = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": "end_turn",
    "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 4},
}  # fmt: skip

ADAPTERS = {
    "messages": Dialect(
        adapter=Messages(),
        reply=json.dumps(MESSAGES_REPLY).encode(),
        stream=lambda rng: frames(legal_stream(rng)),
    ),
}

BODY: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hi"}],
}
SECRET, CALLERS = "sk-ours-0123456789", "sk-callers-0123456789"
HEADERS = Headers(
    [
        ("anthropic-version", "2023-06-01"),
        ("x-api-key", CALLERS),
        ("authorization", f"Bearer {CALLERS}"),
        ("cookie", f"key={CALLERS}"),
        ("x-custom", CALLERS),
    ]
)


@pytest.fixture(params=ADAPTERS.values(), ids=ADAPTERS.keys())
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return request.param


def target() -> Target:
    return Target(provider="p", model="other-model", base_url="https://p.test/x", api_key=SECRET, auth="bearer")


def test_an_adapter_goes_by_the_name_of_its_row(dialect: Dialect) -> None:
    assert ADAPTERS[dialect.adapter.name] is dialect


@pytest.mark.parametrize("operation", list(Operation))
def test_a_request_goes_to_the_target_with_its_model_and_key_alone(dialect: Dialect, operation: Operation) -> None:
    """The caller's key never leaves; ours is in a header, never in a URL or a body."""
    fields = BODY if operation is Operation.MESSAGES else {k: v for k, v in BODY.items() if k != "max_tokens"}
    envelope = Envelope(json.dumps(fields).encode())
    request = dialect.adapter.prepare(operation, envelope, HEADERS, target=target())
    assert request.url.startswith("https://p.test/x/")
    assert json.loads(request.body)
    assert b"claude-opus-4-8" not in request.body
    assert "other-model" in request.url + request.body.decode()
    sent = json.dumps(request.headers)
    assert CALLERS not in sent
    assert CALLERS not in request.url + request.body.decode()
    assert SECRET in sent
    assert SECRET not in request.url + request.body.decode()
    assert all(name == name.lower() and "\n" not in value and "\r" not in value for name, value in request.headers)
    assert len({name for name, _ in request.headers}) == len(request.headers)


def test_preparing_changes_nothing_and_gives_the_same_again(dialect: Dialect) -> None:
    envelope = Envelope(json.dumps(BODY).encode())
    first = dialect.adapter.prepare(Operation.MESSAGES, envelope, HEADERS, target=target())
    second = dialect.adapter.prepare(Operation.MESSAGES, envelope, HEADERS, target=target())
    assert first == second
    assert envelope.parse() == BODY
    assert envelope.body == json.dumps(BODY).encode()


@pytest.mark.parametrize("body", [b"{}", b'{"model":5}', b'{"model":""}'])
def test_a_request_that_cannot_be_carried_is_refused(dialect: Dialect, body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        dialect.adapter.prepare(Operation.MESSAGES, Envelope(body), HEADERS, target=target())


def test_a_reply_becomes_a_message_with_usage(dialect: Dialect) -> None:
    answered = dialect.adapter.read(Operation.MESSAGES, dialect.reply)
    message = json.loads(answered.body)
    assert (message["type"], message["role"]) == ("message", "assistant")
    assert message["stop_reason"] is not None
    assert answered.usage is not None
    assert answered.usage.output_tokens == message["usage"]["output_tokens"]


@pytest.mark.parametrize("operation", list(Operation))
def test_no_reply_of_any_bytes_raises_anything_but_upstream_failed(dialect: Dialect, operation: Operation) -> None:
    rng = Random("replies")
    failed = 0
    for number in range(400):
        body = bytearray(dialect.reply if number % 2 else rng.randbytes(rng.randint(0, 40)))
        for _ in range(rng.randint(1, 4) if body else 0):
            body[rng.randrange(len(body))] = rng.choice(b'{}[]",:0x\xff')
        try:
            answered = dialect.adapter.read(operation, bytes(body))
        except UpstreamFailed:
            failed += 1
            continue
        assert isinstance(json.loads(answered.body), dict)
    assert failed > 100


@pytest.mark.parametrize("status", [400, 401, 404, 413, 418, 429, 500, 502, 503, 529, 599])
def test_every_error_becomes_an_envelope(dialect: Dialect, status: int) -> None:
    """ERR-1: type and message are there, whatever the provider sent."""
    rng = Random(status)
    bodies = [
        b"",
        b"<html>",
        b"{}",
        b"[]",
        b"null",
        b'{"error":"x"}',
        b'{"error":{"message":"x"}}',
        b"\xff",
        b"[" * 99_999,
    ]
    for body in [*bodies, *(rng.randbytes(20) for _ in range(50))]:
        envelope = json.loads(dialect.adapter.read_error(status, body, request_id="req_1"))
        assert envelope["type"] == "error"
        assert envelope["error"]["type"]
        assert envelope["error"]["message"]
        assert envelope["request_id"] == "req_1"


def test_a_stream_comes_out_lawful_whole_and_done(dialect: Dialect) -> None:
    """However the provider's bytes are cut: at each moment whole events are out, which break no law."""
    rng = Random("contract")
    for _ in range(40):
        reader = dialect.adapter.stream()
        decoder, law = SSEDecoder(), StreamLaw()
        for piece in chunks(rng, dialect.stream(rng)):
            assert not reader.is_done
            for event in decoder.feed(reader.feed(piece)):
                law.check(decode_event(event))
            assert decoder.pending == 0
        assert reader.is_done
        assert law.is_done
        assert reader.has_content
        assert reader.error is None
        assert reader.usage is not None
        assert reader.feed(b"more") == b""


def test_how_a_stream_is_cut_makes_no_difference(dialect: Dialect) -> None:
    rng = Random("cuts")
    for _ in range(20):
        body = dialect.stream(rng)
        whole = dialect.adapter.stream()
        expected = whole.feed(body)
        reader = dialect.adapter.stream()
        assert b"".join(reader.feed(piece) for piece in chunks(rng, body, most=3)) == expected
        assert (reader.usage, reader.is_done, reader.has_content) == (whole.usage, True, True)


def test_a_stream_that_breaks_off_is_not_done_and_leaves_whole_events(dialect: Dialect) -> None:
    rng = Random("broken off")
    for _ in range(40):
        body = dialect.stream(rng)
        reader, decoder = dialect.adapter.stream(), SSEDecoder()
        for piece in chunks(rng, body[: rng.randrange(len(body) - 2)]):
            decoder.feed(reader.feed(piece))
        assert decoder.pending == 0
        assert not reader.is_done


def test_no_stream_of_any_bytes_raises_anything_but_upstream_failed(dialect: Dialect) -> None:
    rng = Random("streams")
    outcomes = set()
    for _ in range(300):
        body = bytearray(dialect.stream(rng))
        for _ in range(rng.randint(1, 6)):
            body[rng.randrange(len(body))] = rng.choice(b'\r\n{}[]",: dae\xff')
        reader, decoder = dialect.adapter.stream(), SSEDecoder()
        try:
            for piece in chunks(rng, bytes(body)):
                decoder.feed(reader.feed(piece))
                assert decoder.pending == 0
        except ApiError as error:
            outcomes.add(type(error).__name__)
        else:
            outcomes.add("done" if reader.is_done else "cut")
        assert reader.error is None or isinstance(json.loads(reader.error), dict)
    assert outcomes == {"UpstreamFailed", "done", "cut"}


def test_readers_share_nothing(dialect: Dialect) -> None:
    """Two streams read side by side come out as each alone."""
    rng = Random("readers")
    bodies = [dialect.stream(rng), dialect.stream(rng)]
    readers = [dialect.adapter.stream(), dialect.adapter.stream()]
    out = [b"", b""]
    for pieces in zip_longest(*(chunks(rng, body) for body in bodies), fillvalue=b""):
        for number, piece in enumerate(pieces):
            out[number] += readers[number].feed(piece)
    for number, body in enumerate(bodies):
        alone = dialect.adapter.stream()
        assert out[number] == alone.feed(body)
        assert readers[number].usage == alone.usage
    assert out[0] != out[1]
