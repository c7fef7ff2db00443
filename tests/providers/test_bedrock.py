"""Claude on Bedrock by InvokeModel: who is asked and where, and events that come back to the byte."""

import json
from base64 import b64decode
from random import Random
from typing import Any

import pytest
from bedrock_cases import ADAPTER, ARN, ASK, HAIKU, METRICS, chunk, chunks_of, exception, prepared, unmodeled
from streams import frames, legal_stream

from dragoman.errors import ApiError, NotFound, UpstreamFailed
from dragoman.providers.base import Operation, Target
from dragoman.providers.bedrock import is_claude_on_bedrock
from dragoman.providers.eventstream import encode_frame
from dragoman.wire.codec import plain
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers

Json = dict[str, Any]

# ---------------------------------------------------------------- who is asked, and where


@pytest.mark.parametrize(
    ("model", "is_claude"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", True),
        ("us.anthropic.claude-opus-4-8", True),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        (ARN, True),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1", True),
        ("amazon.nova-pro-v1:0", False),
        ("openai.gpt-oss-120b-1:0", False),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123def456", False),
        ("claude-opus-4-8", False),
        ("notanthropic.claude-x", False),
    ],
)
def test_ids_of_claude(model: str, is_claude: bool) -> None:
    assert is_claude_on_bedrock(model) is is_claude


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (HAIKU, "us.anthropic.claude-haiku-4-5-20251001-v1%3A0"),
        (
            ARN,
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.anthropic.claude-opus-4-6-v1",
        ),
    ],
)
def test_the_model_and_the_way_of_answering_stand_in_the_url(model: str, path: str) -> None:
    whole, streamed = prepared({}, model=model), prepared({"stream": True}, model=model)
    assert whole.url == f"https://b.test/model/{path}/invoke"
    assert streamed.url == f"https://b.test/model/{path}/invoke-with-response-stream"
    assert whole.body == streamed.body
    assert dict(whole.headers) == {"content-type": "application/json", "accept": "application/json"}
    assert dict(streamed.headers)["accept"] == "application/vnd.amazon.eventstream"
    assert json.loads(whole.body).keys() == {"max_tokens", "messages", "anthropic_version"}


@pytest.mark.parametrize("model", ["..", "a b", "x?y", "x#y", "é", "a\nb", "/x", "%2e", ""])
def test_what_cannot_be_a_model_is_not_found(model: str) -> None:
    with pytest.raises(NotFound, match="model: "):
        prepared({}, model=model)


def test_a_key_goes_as_a_bearers_and_not_beside_a_signature() -> None:
    assert ("authorization", "Bearer k") in prepared({}, api_key="k", auth="bearer").headers
    assert "k" not in dict(prepared({}, api_key="k").headers).values()


# ---------------------------------------------------------------- counts


@pytest.mark.parametrize(
    ("model", "counted"),
    [
        (HAIKU, "anthropic.claude-haiku-4-5-20251001-v1%3A0"),
        (ARN, "anthropic.claude-opus-4-6-v1"),
        ("anthropic.claude-opus-4-8", "anthropic.claude-opus-4-8"),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-8",
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A%3Afoundation-model%2Fanthropic.claude-opus-4-8",
        ),
    ],
)
def test_tokens_are_counted_of_the_model_itself(model: str, counted: str) -> None:
    """Pain 16: of the body that would be sent, with the fewest tokens that may be asked for."""
    body = b'{"model":"m","messages":[ {"role":"user","content":"hi"} ],"speed":"fast"}'
    request = prepared(body, model=model, operation=Operation.COUNT_TOKENS)
    assert request.url == f"https://b.test/model/{counted}/count-tokens"
    inner = b64decode(json.loads(request.body)["input"]["invokeModel"]["body"])
    assert b'"messages":[ {"role":"user","content":"hi"} ]' in inner
    assert json.loads(inner)["max_tokens"] == 1
    assert "speed" not in json.loads(inner)
    count = ADAPTER.count(
        Envelope(body),
        Headers(),
        target=Target(provider="p", model=model, base_url="https://b.test", api_key=None, auth="aws"),
    )
    assert (count.request, count.field) == (request, "inputTokens")


def test_a_budget_for_thinking_stays_within_the_tokens() -> None:
    fields = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    body = json.dumps({"model": "m", "messages": ASK["messages"], **fields}).encode()
    request = prepared(body, operation=Operation.COUNT_TOKENS)
    assert json.loads(b64decode(json.loads(request.body)["input"]["invokeModel"]["body"]))["max_tokens"] == 2001


def test_a_count_is_read() -> None:
    assert ADAPTER.read(Operation.COUNT_TOKENS, b'{"inputTokens": 42}').body == b'{"input_tokens":42}'
    for body in (b"{}", b'{"inputTokens":"x"}', b"[]", b""):
        with pytest.raises(UpstreamFailed):
            ADAPTER.read(Operation.COUNT_TOKENS, body)


# ---------------------------------------------------------------- replies


def test_a_reply_is_handed_on_without_what_bedrock_adds() -> None:
    usage = b'{"input_tokens":1,"output_tokens":2}'
    message = b'{"id":"msg_bdrk_1", "type":"message","role":"assistant","content":[ ],"usage":%b}' % usage
    assert ADAPTER.read(Operation.MESSAGES, message).body == message
    added = message[:-1] + b',"amazon-bedrock-guardrailAction":"NONE","amazon-bedrock-trace":{"a":1}}'
    answered = ADAPTER.read(Operation.MESSAGES, added)
    assert json.loads(answered.body) == json.loads(message)
    assert b'"content":[ ]' in answered.body
    assert plain(answered.usage)["output_tokens"] == 2


def test_a_stream_comes_out_as_the_api_would_have_sent_it() -> None:
    """To the byte, whatever is in the events; what Bedrock adds is taken out."""
    rng = Random("to the byte")
    for _ in range(50):
        events = legal_stream(rng)
        last = {**events[-1], "amazon-bedrock-invocationMetrics": METRICS, "amazon-bedrock-guardrailAction": "NONE"}
        body = b"".join(map(chunk, [*events[:-1], last]))
        reader = ADAPTER.stream()
        assert reader.feed(body) == frames(events[:-1]) + b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
        assert reader.is_done


def test_an_event_is_one_line_whatever_its_json_is_written_like() -> None:
    reader = ADAPTER.stream()
    assert (
        reader.feed(chunk(b'{\r\n "type" : "ping",\n "x": "\\n"}'))
        == b'event: ping\ndata: {"type":"ping","x":"\\n"}\n\n'
    )


def test_what_caches_gave_is_known_from_the_metrics_too() -> None:
    """In some regions nothing else tells it: the ledger wants to know."""
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 25, "output_tokens": 1}}}
    stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}
    reader = ADAPTER.stream()
    reader.feed(chunks_of([start, stop, {"type": "message_stop"}]))
    assert reader.usage is not None
    told = {name: value for name, value in plain(reader.usage).items() if value is not None}
    assert told == {
        "input_tokens": 25, "output_tokens": 7, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 10,
    }  # fmt: skip


START = {"type": "message_start", "message": {"usage": {"input_tokens": 1, "output_tokens": 1}}}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}


@pytest.mark.parametrize(
    ("frame", "status", "kind"),
    [
        (exception("throttlingException", "Too many tokens, please wait"), 429, "rate_limit_error"),
        (exception("modelStreamErrorException", "The model broke"), 502, "api_error"),
        (exception("internalServerException", "Oh"), 502, "api_error"),
        (exception("modelTimeoutException", "Slow"), 504, "timeout_error"),
        (exception("serviceUnavailableException", "Busy"), 529, "overloaded_error"),
        (exception("validationException", "No"), 400, "invalid_request_error"),
        (exception("validationException", "Input is too long for requested model."), 400, "invalid_request_error"),
        (unmodeled("InternalFailure", "Oh"), 502, "api_error"),
    ],
)
def test_an_exception_in_a_stream_is_an_error(frame: bytes, status: int, kind: str) -> None:
    """Pain 17, 25: before content it is a reply's status, and behind it what follows the events."""
    early = ADAPTER.stream()
    assert early.feed(chunk(START)) == frames([START])
    with pytest.raises(ApiError) as failed:
        early.feed(frame)
    assert (failed.value.status, failed.value.kind) == (status, kind)
    late = ADAPTER.stream()
    assert late.feed(chunk(START) + chunk(TEXT) + frame + chunk(TEXT)) == frames([START, TEXT])
    assert late.has_content
    assert not late.is_done
    assert late.failure is not None
    with pytest.raises(ApiError):
        late.feed(b"")
    with pytest.raises(ApiError) as closed:
        late.close()
    assert (closed.value.status, closed.value.kind) == (status, kind)


def test_an_error_event_in_a_frame_is_the_apis_own() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reader = ADAPTER.stream()
    assert reader.feed(chunk(START) + chunk(error)) == frames([START, error])
    assert reader.failed_first
    assert reader.is_done


@pytest.mark.parametrize(
    "frame",
    [
        b"data: {}\n\n" * 20,
        chunk(b"[]"),
        chunk(b"{"),
        chunk(b'{"type":5}'),
        chunk(b"{}"),
        chunk(b'{"type":"a\\nb"}'),
        chunk(b'{"type":"message_start","message":[]}'),
    ],
)
def test_a_stream_of_something_else_fails(frame: bytes) -> None:
    reader = ADAPTER.stream()
    with pytest.raises(UpstreamFailed, match="cannot be read"):
        reader.feed(frame)
    with pytest.raises(UpstreamFailed, match="cannot be read"):
        reader.close()


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"\xff", b'{"bytes":"e30="}'])
def test_a_frame_of_a_later_time_is_passed_over_whatever_it_holds(payload: bytes) -> None:
    """Pain 43."""
    later = encode_frame({":message-type": "event", ":event-type": "music"}, payload)
    empty = encode_frame({":message-type": "event", ":event-type": "chunk"}, b"")
    reader = ADAPTER.stream()
    assert reader.feed(later) == b""
    assert reader.feed(chunk(START) + later + empty + chunk(TEXT) + empty) == frames([START, TEXT])


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"message": "max_tokens: Field required"}, (400, "invalid_request_error", "max_tokens: Field required")),
        (400, {"message": "Input is too long for requested model."},
         (400, "invalid_request_error", "prompt is too long: Input is too long for requested model.")),
        (400, {"message": "prompt is too long: 210000 tokens > 200000 maximum"},
         (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum")),
        (400, {"message": "The provided model identifier is invalid."},
         (404, "not_found_error", "The provided model identifier is invalid.")),
        (403, {"message": "You don't have access to the model with the specified model ID."},
         (403, "permission_error", "You don't have access to the model with the specified model ID.")),
        (403, {"Message": "The security token included in the request is expired"},
         (401, "authentication_error", "The security token included in the request is expired")),
        (424, {"message": "The model broke", "originalStatusCode": 500}, (502, "api_error", "The model broke")),
        (429, {"message": "Too many tokens, please wait before trying again."},
         (429, "rate_limit_error", "Too many tokens, please wait before trying again.")),
        (503, {"message": "Busy"}, (529, "overloaded_error", "Busy")),
        (402, {"message": "Pay"}, (402, "billing_error", "Pay")),
        (503, "<html>", (529, "overloaded_error", "The upstream answered with status 503.")),
        (502, "<html>", (502, "api_error", "The upstream answered with status 502.")),
        (500, "<html>", (502, "api_error", "The upstream answered with status 500.")),
    ],
)  # fmt: skip
def test_errors_of_aws_are_put_into_the_envelope(status: int, body: Any, expected: tuple[int, str, str]) -> None:
    """Pain 17, 70."""
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    reply = ADAPTER.read_error(status, raw, request_id="req_1")
    envelope = json.loads(reply.body)
    assert (reply.status, envelope["error"]["type"], envelope["error"]["message"]) == expected
    assert (envelope["type"], envelope["request_id"]) == ("error", "req_1")


def test_an_envelope_of_the_api_is_handed_on_as_it_came() -> None:
    """So newer models answer: anthropics/claude-code#49370."""
    body = b'{"type":"error","error":{"type":"invalid_request_error","message":"invalid beta flag"}}'
    assert ADAPTER.read_error(400, body, request_id="req_1") == (400, body)
    long = body.replace(b"invalid beta flag", b"Input is too long for requested model.")
    told = json.loads(ADAPTER.read_error(400, long, request_id="req_1").body)
    assert told["error"]["message"].startswith("prompt is too long: ")
