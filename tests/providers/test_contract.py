"""The rules that every adapter keeps, whatever its dialect. A new adapter adds one row to ADAPTERS, or TRANSLATORS.

Recordings of those that are the Messages API itself (ADAPTERS) keep the same rules in test_contract_passing.py.
"""

import json
from collections.abc import Callable, Iterable
from itertools import zip_longest
from random import Random
from typing import Any, NamedTuple

import pytest
from bedrock_cases import METRICS, chunks_of
from changing import OTHERS, changed
from message_forms import EVERYTHING, FORMS
from streams import chunks, frames, legal_stream
from translating_cases import (
    SECRET,
    TOOLS,
    Json,
    Recorded,
    as_told,
    folded,
    question,
    read_stream,
    recorded,
    stream_bytes,
    usage_of,
)

from dragoman.errors import ApiError, InvalidRequest, UpstreamFailed
from dragoman.providers.anthropic import Messages
from dragoman.providers.base import Adapter, Operation, StreamReader, Target, Translated, Translator
from dragoman.providers.bedrock import InvokeModel
from dragoman.providers.bedrock_converse import Converse
from dragoman.providers.gemini import Gemini
from dragoman.providers.openai_chat import ChatCompletions
from dragoman.providers.openai_responses import Responses
from dragoman.providers.vertex import RawPredict, VertexGemini
from dragoman.wire.codec import plain
from dragoman.wire.envelope import Envelope
from dragoman.wire.events import Event, StreamLaw, decode_event
from dragoman.wire.headers import Headers
from dragoman.wire.sse import SSEDecoder


class Dialect(NamedTuple):
    """An adapter, and what its provider answers."""

    adapter: Adapter
    reply: bytes  # to POST /v1/messages
    stream: Callable[[Random], bytes]  # some legal stream, from its first byte to its end
    is_sealed: bool = False  # with checksums, so that no byte of it can change unseen


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
    "vertex": Dialect(
        adapter=RawPredict(),
        reply=json.dumps(MESSAGES_REPLY).encode(),
        stream=lambda rng: frames(legal_stream(rng)),
    ),
    "bedrock": Dialect(
        adapter=InvokeModel(),
        reply=json.dumps({**MESSAGES_REPLY, "amazon-bedrock-invocationMetrics": METRICS}).encode(),
        stream=lambda rng: chunks_of(legal_stream(rng)),
        is_sealed=True,
    ),
}

BODY: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "hi"}],
}
CALLERS = "sk-callers-0123456789"
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
    """Pain 79, 84: the caller's key and headers never leave; ours is in a header, never in a URL or a body."""
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


def test_nothing_that_a_caller_says_leads_elsewhere(dialect: Dialect) -> None:
    """Pain 77: an address is the configuration's alone."""
    plainly = dialect.adapter.prepare(Operation.MESSAGES, Envelope(json.dumps(BODY).encode()), HEADERS, target=target())
    elsewhere = dict.fromkeys(("api_base", "base_url", "endpoint", "region"), "http://169.254.169.254")
    headers = Headers([("anthropic-version", "2023-06-01"), *((f"x-{name}", url) for name, url in elsewhere.items())])
    body = json.dumps({**BODY, **elsewhere}).encode()
    asked = dialect.adapter.prepare(Operation.MESSAGES, Envelope(body), headers, target=target())
    assert asked.url == plainly.url
    assert "169.254" not in str(asked.headers)


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
    assert answered.stop_reason == message["stop_reason"]


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
        envelope = json.loads(dialect.adapter.read_error(status, body, request_id="req_1").body)
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
        assert reader.stop_reason is not None
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
        assert reader.stop_reason == whole.stop_reason


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
    assert outcomes == {"UpstreamFailed"} | (set() if dialect.is_sealed else {"done", "cut"})


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


# -- translated dialects: a new one adds a row to TRANSLATORS, and its recordings to fixtures/NAME --

TRANSLATORS: dict[str, Translator] = {
    "openai_chat": ChatCompletions(),
    "openai_responses": Responses(),
    "gemini": Gemini(),
    "bedrock_converse": Converse(),
    "vertex": VertexGemini(),
}
STREAMS = [(name, each) for name in TRANSLATORS for each in recorded(name, "streams")]
REPLIES = [(name, each) for name in TRANSLATORS for each in recorded(name, "replies")]


def ids(cases: list[tuple[str, Recorded]]) -> list[str]:
    return [f"{dialect}-{case.name}" for dialect, case in cases]


each_translator = pytest.mark.parametrize("translator", TRANSLATORS.values(), ids=TRANSLATORS)
each_stream = pytest.mark.parametrize(("dialect", "case"), STREAMS, ids=ids(STREAMS))
each_reply = pytest.mark.parametrize(("dialect", "case"), REPLIES, ids=ids(REPLIES))


def reading(dialect: str, case: Recorded, *, stream: bool) -> Translated:
    return TRANSLATORS[dialect].translate(question(case.model, stream=stream, **{"tools": TOOLS, **case.asked}))


def essence(message: Json) -> Json:
    return {name: message[name] for name in ("content", "stop_reason", "stop_sequence", "stop_details", "usage")}


@pytest.mark.parametrize("name", TRANSLATORS)
def test_a_dialect_has_recordings_enough(name: str) -> None:
    assert TRANSLATORS[name].name == name
    assert len(recorded(name, "streams")) >= 12
    assert len(recorded(name, "replies")) >= 12


@each_stream
def test_a_recorded_stream_becomes_its_message(dialect: str, case: Recorded) -> None:
    """Pain 1, 24, 25: lawful events, in the end the message, or the error and no end."""
    reader = reading(dialect, case, stream=True).stream()
    if case.error is not None:
        with pytest.raises(ApiError) as failed:
            fed(reader, case.body)
        assert (failed.value.status, failed.value.kind) == (case.error["status"], case.error["kind"])
        assert not reader.is_done
        return
    message = folded(read_stream(reader, case.body))
    assert essence(message) == case.message
    assert (message["id"], message["model"]) == ("msg_1", "claude-opus-4-8")
    assert reader.is_done
    assert reader.has_content
    assert usage_of(reader) == message["usage"]
    assert reader.stop_reason == message["stop_reason"]
    assert message["usage"]["input_tokens"] >= 0


def fed(reader: StreamReader, body: bytes) -> None:
    """Feed all, as the gateway does: what failed is raised when it feeds again, or closes."""
    reader.feed(body)
    reader.close()


@each_stream
def test_a_stream_cut_at_every_byte_gives_the_same_events(dialect: str, case: Recorded) -> None:
    """Pain 43: characters and events too are cut anywhere."""
    expected = pieces(dialect, case, [case.body])
    assert pieces(dialect, case, [bytes([byte]) for byte in case.body]) == expected
    rng = Random(case.name)
    for cut in rng.sample(range(len(case.body)), 40):
        assert pieces(dialect, case, [case.body[:cut], case.body[cut:]]) == expected
    for _ in range(20):
        assert pieces(dialect, case, chunks(rng, case.body)) == expected


def pieces(dialect: str, case: Recorded, cut: Iterable[bytes]) -> tuple[list[Event], str]:
    """The events that come of a body in pieces, each piece's whole, and the error that ends them."""
    return read_in_pieces(reading(dialect, case, stream=True), cut)


def read_in_pieces(translated: Translated, cut: Iterable[bytes]) -> tuple[list[Event], str]:
    reader, decoder, law = translated.stream(), SSEDecoder(), StreamLaw()
    events: list[Event] = []
    try:
        for piece in (*cut, None):
            ready = b"" if reader.is_done else reader.close() if piece is None else reader.feed(piece)
            events += map(decode_event, decoder.feed(ready))
            assert decoder.pending == 0
    except ApiError as error:
        return events if reader.has_content else [], str(error)
    finally:
        for event in events:
            law.check(event)
    return events, ""


@each_reply
def test_a_recorded_reply_becomes_its_message(dialect: str, case: Recorded) -> None:
    translated = reading(dialect, case, stream=False)
    if case.error is not None:
        with pytest.raises(ApiError) as failed:
            translated.read(Operation.MESSAGES, case.body)
        assert (failed.value.status, failed.value.kind) == (case.error["status"], case.error["kind"])
        return
    answered = translated.read(Operation.MESSAGES, case.body)
    message = json.loads(answered.body)
    assert essence(message) == case.message
    assert (message["id"], message["model"], message["type"]) == ("msg_1", "claude-opus-4-8", "message")
    assert answered.usage is not None
    assert plain(answered.usage) == message["usage"]
    assert answered.stop_reason == message["stop_reason"]


@each_reply
def test_with_a_budget_a_message_begins_with_a_thought(dialect: str, case: Recorded) -> None:
    """Pain 7, MSG-58: Claude refuses a call without one when the conversation moves there."""
    if case.error is not None or case.message is None:
        return
    budget = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}
    told = case._replace(asked={**case.asked, **budget})
    message = json.loads(reading(dialect, told, stream=False).read(Operation.MESSAGES, case.body).body)
    kinds = [block["type"] for block in message["content"]]
    assert not kinds or kinds[0] in ("thinking", "redacted_thinking")
    before = [block["type"] for block in case.message["content"]]
    assert [kind for kind in kinds if kind != "thinking"] == [kind for kind in before if kind != "thinking"]


@each_reply
def test_a_whole_reply_to_a_request_that_was_to_be_streamed_is_streamed(dialect: str, case: Recorded) -> None:
    """There are servers that do not stream what they are asked to, or not with tools; cut anywhere, it is the same."""
    if not case.body.startswith(b"{"):
        return
    reader = reading(dialect, case, stream=True).stream()
    if case.error is not None:
        with pytest.raises(ApiError) as failed:
            fed(reader, case.body)
        assert (failed.value.status, failed.value.kind) == (case.error["status"], case.error["kind"])
        return
    message = folded(read_stream(reader, b" \n" + case.body))
    assert essence(message) == case.message
    assert reader.is_done
    whole, _ = pieces(dialect, case, [case.body])
    assert whole
    assert pieces(dialect, case, [bytes([byte]) for byte in case.body]) == (whole, "")


@each_stream
def test_a_stream_to_a_request_that_was_not_to_be_streamed_is_folded(dialect: str, case: Recorded) -> None:
    if not case.body.startswith((b"data:", b"event:", b":")):  # AWS's frames are never a mistake
        return
    translated = reading(dialect, case, stream=False)
    if case.error is not None:
        with pytest.raises(ApiError) as failed:
            translated.read(Operation.MESSAGES, case.body)
        assert (failed.value.status, failed.value.kind) == (case.error["status"], case.error["kind"])
        return
    answered = translated.read(Operation.MESSAGES, case.body)
    assert essence(json.loads(answered.body)) == case.message
    assert answered.usage is not None


@each_stream
def test_no_change_of_a_chunk_is_more_than_an_error(dialect: str, case: Recorded) -> None:
    """Pain 57: keys that are missing, null, or of another type; what comes out is lawful."""
    rng = Random(case.name)
    translated = reading(
        dialect, case, stream=True
    )  # once: to check and translate the request takes longer than the reply
    for at, chunk in enumerate(case.chunks):
        if not isinstance(chunk, dict):
            continue
        before, after = (stream_bytes(part, dialect) for part in (case.chunks[:at], case.chunks[at + 1 :]))
        variants = [*changed(chunk, *OTHERS), *OTHERS]
        for variant in [*changed(chunk), *rng.sample(variants, min(len(variants), 40))]:
            read_in_pieces(translated, [before + as_told(variant, dialect) + after])


@each_reply
def test_no_change_of_a_reply_is_more_than_an_error(dialect: str, case: Recorded) -> None:
    """Pain 57."""
    translated = reading(dialect, case, stream=False)
    outcomes = {"failed": 0, "read": 0}
    for variant in [*changed(json.loads(case.body), *OTHERS), *OTHERS]:
        try:
            answered = translated.read(Operation.MESSAGES, json.dumps(variant).encode())
        except ApiError:
            outcomes["failed"] += 1
            continue
        outcomes["read"] += 1
        message = json.loads(answered.body)
        assert all(isinstance(block["input"], dict) for block in message["content"] if block["type"] == "tool_use")
        assert all(block.get("text") != "" for block in message["content"])
        assert message["stop_reason"]
    assert outcomes["failed"]
    assert outcomes["read"] or case.error is not None


@each_translator
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 413, 418, 422, 429, 498, 500, 502, 503, 529])
def test_every_error_of_a_provider_has_its_place_in_our_tree(translator: Translator, status: int) -> None:
    """Pain 17: whatever the body is; a client's fault stays one, and so does an upstream's."""
    refusal = translator.translate(question()).refusal
    bodies = [b"", b"<html>", b"{}", b"[]", b"null", b"7", b'{"error":"x"}', b'{"error":{"message":null}}', b"\xff"]
    for body in [*bodies, b"[" * 9999, b'[{"error":{"message":"m","code":[]}}]', b'{"error":{"code":400}}']:
        error = refusal(status, body)
        assert isinstance(error, ApiError)
        assert error.message
        assert (error.status < 500) == (status < 500 and status not in (408, 498))
        assert "<html>" not in error.message
    assert refusal(429, b"").kind == "rate_limit_error"
    assert refusal(401, b"").kind == "authentication_error"
    assert refusal(529, b"").kind == refusal(503, b"").kind == "overloaded_error"


@each_translator
def test_the_key_is_in_a_header_and_nowhere_else(translator: Translator) -> None:
    """Pain 79: neither in the URL, the body, a repr, nor in an error that repeats it."""
    asked = question()
    translated = translator.translate(asked)
    assert SECRET in str(translated.request.headers)
    assert SECRET not in translated.request.url + translated.request.body.decode()
    for each in (asked.target, translated, translated.stream(), translator):
        assert SECRET not in repr(each)
    error = translated.refusal(401, json.dumps({"error": {"message": f"Incorrect API key: {SECRET}."}}).encode())
    assert SECRET not in error.message


@each_translator
def test_translating_changes_nothing_and_gives_the_same_again(translator: Translator) -> None:
    """Pain 11, 13: providers cache by the prefix, so the same must be the same to the byte."""
    asked = question(**EVERYTHING)
    before = json.dumps(plain(asked.request.messages[1].content[0]))
    assert translator.translate(asked).request == translator.translate(asked).request
    assert json.dumps(plain(asked.request.messages[1].content[0])) == before


# Has no stop sequences, or does not tell of them: they are looked for in what comes (recorded: stop_sequence).
STOPS_HERE = {"openai_chat", "openai_responses", "gemini", "bedrock_converse", "vertex"}


@each_translator
@pytest.mark.parametrize(("fields", "needle"), FORMS.values(), ids=FORMS)
def test_every_form_arrives_or_is_told_as_lost(translator: Translator, fields: Json, needle: str) -> None:
    """Nothing is dropped in silence: it is in the provider's request, or in `lost`, or refused with a 400."""
    try:
        translated = translator.translate(question(**fields))
    except InvalidRequest:
        return
    assert len(set(translated.lost)) == len(translated.lost)
    stops_here = "stop_sequences" in fields and translator.name in STOPS_HERE
    assert stops_here or needle in translated.request.body.decode() or translated.lost
    assert all(part.isprintable() and "," not in part for part in translated.lost)  # they stand in a header
