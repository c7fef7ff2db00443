"""Converse: what comes back, in frames and whole, and what errors mean."""

import json
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import EventStreamJSONParser
from translating_cases import (
    FIXTURES,
    SECRET,
    TOOLS,
    Json,
    as_told,
    body_of,
    events_of,
    folded,
    question,
    read_stream,
    recorded,
    stream_bytes,
)

from dragoman.errors import (
    ApiError,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
    UpstreamFailed,
    UpstreamTimeout,
)
from dragoman.providers.base import Operation
from dragoman.providers.bedrock_converse import Converse
from dragoman.providers.bedrock_converse_reply import ConverseReply
from dragoman.providers.bedrock_errors import error_in_frame, error_of
from dragoman.providers.eventstream import Frame, encode_frame
from dragoman.wire.events import BlockStart, MessageStart, MessageStop
from dragoman.wire.provenance import wrap

NOVA = "us.amazon.nova-pro-v1:0"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"
GPT = "us.openai.gpt-5.6-sol"
MINIMAX = "minimax.minimax-m2.5"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
START = {"messageStart": {"role": "assistant"}}
STOP = {"messageStop": {"stopReason": "end_turn"}}
METADATA = {"metadata": {"usage": {"inputTokens": 30, "outputTokens": 4, "totalTokens": 34}, "metrics": {}}}


def asked(model: str = NOVA, **fields: Any) -> ConverseReply:
    return Converse().translate(question(model, stream=True, tools=TOOLS, **fields))


def thinking(model: str, **fields: Any) -> ConverseReply:
    return asked(model, thinking={"type": "adaptive", **fields})


def framed(*chunks: Any) -> bytes:
    return stream_bytes(list(chunks), "bedrock_converse")


def said(text: str, block: int = 0) -> Json:
    return {"contentBlockDelta": {"contentBlockIndex": block, "delta": {"text": text}}}


# -- recordings --


STREAMS = [case for case in recorded("bedrock_converse", "streams") if not isinstance(case.chunks[0], str)]


@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case.name)
def test_recordings_are_streams_as_botocore_reads_them(case: Any) -> None:
    """The bytes of a recording are frames of the service model: its own parser makes of them what was recorded."""
    shape = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2")).shape_for("ConverseStreamOutput")
    buffer, parser = EventStreamBuffer(), EventStreamJSONParser()
    buffer.add_data(case.body)
    for chunk, frame in zip(case.chunks, buffer, strict=True):
        (name,) = chunk
        response = frame.to_response_dict()
        assert (response["status_code"] == 200) is not (name.endswith("Exception") or name == ":error")
        if name in shape.members and response["status_code"] == 200:
            assert _known(parser.parse(response, shape)[name], chunk[name])


def _known(parsed: Any, told: Any) -> bool:
    """Is what botocore understood a part of what was recorded? Blobs are bytes there."""
    if isinstance(parsed, dict):
        assert isinstance(told, dict)
        return all(_known(value, told[name]) for name, value in parsed.items() if name in told)
    if isinstance(parsed, list):
        return all(_known(one, other) for one, other in zip(parsed, told, strict=True))
    return isinstance(parsed, bytes) or parsed == told


def test_recordings_of_a_reply_have_the_fields_of_the_service_model() -> None:
    output = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2")).operation_model("Converse")
    required = set(output.output_shape.required_members)
    for path in sorted((FIXTURES / "bedrock_converse" / "replies").glob("*.json")):
        if path.stem != "error_in_place":
            assert required <= set(json.loads(path.read_text())["reply"]), path.stem


# -- the end --


def test_the_end_waits_for_the_usage_that_comes_behind_it() -> None:
    """Pain 15: `metadata` follows `messageStop`; what was estimated at first is right at the end."""
    reader = asked().stream()
    (start, *_) = events_of(reader.feed(framed(START, said("a"))))
    assert isinstance(start, MessageStart)
    assert start.message.usage.input_tokens == 9
    assert reader.feed(framed(STOP)) == b""
    assert not reader.is_done
    last = reader.feed(framed(METADATA))
    assert reader.is_done
    assert reader.usage is not None
    assert (reader.usage.input_tokens, reader.usage.output_tokens) == (30, 4)
    assert b"message_stop" in last


def test_a_body_that_ends_behind_the_stop_is_whole() -> None:
    """Nobody told the usage: it is estimated, and the message is not lost for that."""
    reader = asked().stream()
    message = folded(reader.feed(framed(START, said("12345678"), STOP)) + reader.close())
    assert message["stop_reason"] == "end_turn"
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (9, 2)


@pytest.mark.parametrize("chunks", [[], [START], [START, said("a")], [START, said("a"), METADATA]])
def test_a_body_that_ends_before_the_stop_is_cut(chunks: list[Json]) -> None:
    """Pain 24: whatever usage was told."""
    reader = asked().stream()
    reader.feed(framed(*chunks))
    with pytest.raises(UpstreamFailed, match="ended before"):
        reader.close()


def test_what_follows_the_end_changes_nothing() -> None:
    reader = asked().stream()
    events_of(reader.feed(framed(START, said("a"), STOP, METADATA, said("b"))))
    assert reader.feed(framed(said("c"))) == b""


def test_a_stop_sequence_ends_the_stream_where_the_model_knows_none() -> None:
    """Pain 42: and nothing that still comes is read."""
    reader = asked(LLAMA, stop_sequences=["END"]).stream()
    message = folded(reader.feed(framed(START, said("a E"), said("ND b"), said("c"))))
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    assert [block["text"] for block in message["content"]] == ["a "]
    assert reader.is_done


def test_which_of_several_sequences_it_was_is_not_made_up() -> None:
    """Pain 42."""
    body = framed(START, said("a"), {"messageStop": {"stopReason": "stop_sequence"}}, METADATA)
    message = folded(read_stream(asked(NOVA, stop_sequences=["x", "y"]).stream(), body))
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", None)


# -- blocks --


def test_a_block_opens_with_its_first_text() -> None:
    """Pain 3."""
    reader = asked().stream()
    events = events_of(reader.feed(framed(START, said(""), said("", 1))))
    assert not any(isinstance(event, BlockStart) for event in events)


def test_a_call_without_input_is_over_where_its_block_is() -> None:
    """Pain 19, 46: what is said behind it does not wait for the end."""
    reader = asked().stream()
    start = {"toolUse": {"toolUseId": "t1", "name": "get_date"}}
    reader.feed(framed(START, {"contentBlockStart": {"contentBlockIndex": 0, "start": start}}))
    assert b"content_block_stop" in reader.feed(framed({"contentBlockStop": {"contentBlockIndex": 0}}))
    assert b"And" in reader.feed(framed(said("And", 1)))


@pytest.mark.parametrize("split", range(5))
def test_reasoning_and_text_stay_apart_however_they_are_cut(split: int) -> None:
    """Pain 5."""
    told = "abcd"
    reasoning, text = told[:2], told[2:]
    thought = [reasoning[:split], reasoning[split:]]
    chunks = [
        {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": each}}}}
        for each in thought
    ]
    message = folded(read_stream(thinking(MINIMAX).stream(), framed(START, *chunks, said(text, 1), STOP, METADATA)))
    assert [block["type"] for block in message["content"]] == ["thinking", "text"]
    assert (message["content"][0]["thinking"], message["content"][1]["text"]) == (reasoning, text)


def test_an_id_that_was_used_before_is_not_given_again() -> None:
    """Pain 45: no two calls of a conversation may share one."""
    call = {"type": "tool_use", "id": "tooluse_1", "name": "get_date", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "tooluse_1", "content": "x"}
    before = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    start = {"toolUse": {"toolUseId": "tooluse_1", "name": "get_date"}}
    body = framed(
        START,
        {"contentBlockStart": {"contentBlockIndex": 0, "start": start}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        STOP,
        METADATA,
    )
    message = folded(read_stream(asked(messages=before).stream(), body))
    assert message["content"][0]["id"] == "toolu_1"


def test_a_long_name_comes_back_as_it_was() -> None:
    """Pain 44."""
    name = "mcp__" + "x" * 80
    reply = Converse().translate(question(NOVA, tools=[{"name": name, "input_schema": {"type": "object"}}]))
    outward = body_of(reply.request.body)["toolConfig"]["tools"][0]["toolSpec"]["name"]
    call = {"toolUse": {"toolUseId": "t1", "name": outward, "input": {}}}
    body = {"output": {"message": {"role": "assistant", "content": [call]}}, "stopReason": "tool_use"}
    answered = json.loads(reply.read(Operation.MESSAGES, json.dumps(body).encode()).body)
    assert (outward, answered["content"][0]["name"]) == (outward[:64], name)


@pytest.mark.parametrize("told", ["{}", None, "", "[]", "null", []])
def test_the_input_of_a_call_is_an_object(told: Any) -> None:
    """Pain 19."""
    call = {"toolUse": {"toolUseId": "t1", "name": "get_date", "input": told}}
    body = {"output": {"message": {"role": "assistant", "content": [call]}}, "stopReason": "tool_use"}
    answered = json.loads(asked().read(Operation.MESSAGES, json.dumps(body).encode()).body)
    assert answered["content"][0]["input"] == {}


# -- there and back --


@pytest.mark.parametrize(
    ("model", "reasoning"),
    [
        (GPT, [{"redactedContent": "cnNu"}]),
        (CLAUDE, [{"reasoningText": {"text": "Hm.", "signature": "Eqo+/="}}, {"redactedContent": "EmwK"}]),
        ("openai.gpt-oss-120b-1:0", [{"reasoningText": {"text": "Hm."}}]),
        (MINIMAX, [{"reasoningText": {"text": "Hm.\n  Ja."}}]),
        ("openai.gpt-oss-120b-1:0", [{"reasoningText": {"text": "Hm.", "signature": "ig+/="}}]),
    ],
)
@pytest.mark.parametrize("display", [None, "omitted", "summarized"])
def test_reasoning_goes_back_as_it_came_and_to_nobody_else(
    model: str, reasoning: list[Json], display: str | None
) -> None:
    """Pain 6, 7: a client that sends back what it got gives the model the bytes that it made, read or unread."""
    content = [*({"reasoningContent": each} for each in reasoning), {"text": "So."}]
    body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn"}
    hides = display == "omitted" and model != CLAUDE  # it does that itself
    reply = asked(model) if display is None else thinking(model, display="omitted" if hides else "summarized")
    message = json.loads(reply.read(Operation.MESSAGES, json.dumps(body).encode()).body)
    if hides:
        assert [block["thinking"] for block in message["content"][:-1]] == [""] * len(reasoning)
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": "go on"},
    ]
    back = body_of(Converse().translate(question(model, messages=history)).request.body)
    assert back["messages"][1]["content"] == content
    other = "us.openai.gpt-5.6-luna" if model != MINIMAX else "minimax.minimax-m2.1"
    elsewhere = Converse().translate(question(other, messages=history))
    assert body_of(elsewhere.request.body)["messages"][1]["content"] == [{"text": "So."}]
    assert list(elsewhere.lost) == ["thinking"]


# -- a reply that was not streamed, for a caller that wants a stream --


def test_a_whole_reply_becomes_a_stream() -> None:
    """earendil-works/pi#3739: of models that do not stream beside tools. Lawful, and the same message."""
    call = {"toolUse": {"toolUseId": "t1", "name": "get_time", "input": {"zone": "CET"}}}
    usage = {"inputTokens": 5, "outputTokens": 6, "totalTokens": 11}
    told = {"output": {"message": {"role": "assistant", "content": [call]}}, "stopReason": "tool_use", "usage": usage}
    body = json.dumps(told).encode()
    translated = asked(LLAMA)
    reader = translated.stream()
    out = b"".join(reader.feed(body[at : at + 7]) for at in range(0, len(body), 7)) + reader.close()
    assert isinstance(events_of(out)[-1], MessageStop)
    assert reader.is_done
    assert folded(out) == json.loads(translated.read(Operation.MESSAGES, body).body)


@pytest.mark.parametrize("body", [b"{", b'{"message": "no"}', b"{}"])
def test_half_a_reply_is_none(body: bytes) -> None:
    """Pain 24."""
    reader = asked(LLAMA).stream()
    reader.feed(body)
    with pytest.raises(UpstreamFailed):
        reader.close()


# -- frames --


def test_an_exception_behind_content_follows_what_was_said() -> None:
    """Pain 25: exactly one error, and what came before it is told."""
    reader = asked().stream()
    out = reader.feed(framed(START, said("a"), {"throttlingException": {"message": "Too many requests"}}, said("b")))
    assert b'"a"' in out
    assert b'"b"' not in out
    with pytest.raises(RateLimited, match="Too many requests"):
        reader.feed(framed(said("c")))


def test_a_frame_with_a_wrong_checksum_is_no_stream() -> None:
    """Pain 24: a byte that the network changed."""
    body = bytearray(framed(START, said("abc"), STOP, METADATA))
    body[-20] ^= 1
    with pytest.raises(UpstreamFailed, match="checksum"):
        read_stream(asked().stream(), bytes(body))


def test_an_event_that_is_no_object_is_no_stream() -> None:
    """Pain 57."""
    with pytest.raises(UpstreamFailed):
        asked().stream().feed(encode_frame({":message-type": "event", ":event-type": "messageStart"}, b"[]"))


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"\xff", b'{"text":"x"}'])
def test_an_event_of_a_later_time_is_passed_over_whatever_it_holds(payload: bytes) -> None:
    """Pain 43."""
    later = encode_frame({":message-type": "event", ":event-type": "contentBlockMusic"}, payload)
    empty = encode_frame({":message-type": "event", ":event-type": "contentBlockDelta"}, b"")
    body = framed(START) + later + framed(said("a")) + empty + later + framed(STOP, METADATA) + later
    assert folded(read_stream(asked().stream(), body))["content"] == [{"type": "text", "text": "a"}]


@pytest.mark.parametrize(
    ("wish", "tools", "expected"),
    [
        ({"type": "adaptive"}, TOOLS, ["Hm.", "So."]),
        ({"type": "adaptive", "display": "omitted"}, TOOLS, ["", "So."]),
        ({"type": "disabled"}, TOOLS, ["So."]),
        (None, TOOLS, ["", "So."]),
        (None, None, ["So."]),
    ],
)
def test_thinking_is_shown_to_those_who_asked_for_it(wish: Json | None, tools: Any, expected: list[str]) -> None:
    """Pain 60: whole or streamed; where it is not shown, but must come back, its block is empty and signed."""
    fields: Json = {"tools": tools} | ({} if wish is None else {"thinking": wish})
    reply = Converse().translate(question(MINIMAX, stream=True, **fields))
    thought = {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Hm."}}}}
    message = folded(read_stream(reply.stream(), framed(START, thought, said("So.", 1), STOP, METADATA)))
    content = [{"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "So."}]
    whole = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn"}
    assert json.loads(reply.read(Operation.MESSAGES, json.dumps(whole).encode()).body)["content"] == message["content"]
    assert [block.get("thinking", block.get("text")) for block in message["content"]] == expected
    assert all(block["signature"] for block in message["content"][:-1])
    if len(expected) == 2:
        turns = [
            {"role": role, "content": said}
            for role, said in zip(("user", "assistant", "user"), ("hi", message["content"], "go on"), strict=True)
        ]
        back = body_of(Converse().translate(question(MINIMAX, messages=turns)).request.body)
        assert back["messages"][1]["content"][0] == content[0]


def test_hidden_thinking_that_somebody_has_changed_stays_out() -> None:
    block = {"type": "thinking", "thinking": "", "signature": wrap(f"bedrock_converse/p/{MINIMAX}", "h{")}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [block, {"type": "text", "text": "So."}]},
        {"role": "user", "content": "go on"},
    ]
    found = Converse().translate(question(MINIMAX, messages=turns))
    assert list(found.lost) == ["thinking"]
    assert body_of(found.request.body)["messages"][1]["content"] == [{"text": "So."}]


def test_a_frame_without_headers_is_passed_over() -> None:
    reader = asked().stream()
    assert events_of(reader.feed(encode_frame({}, b"{}")))
    assert folded(read_stream(asked().stream(), encode_frame({}, b"{}") + framed(said("a"), STOP, METADATA)))


# -- errors --


@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (400, {"message": "The provided model identifier is invalid."}, NotFound),
        (400, {"message": "Malformed input request: #: extraneous key [x] is not permitted"}, InvalidRequest),
        (400, {"__type": "com.amazon.bedrock#ServiceQuotaExceededException", "message": "m"}, RateLimited),
        (403, {"message": "You don't have access to the model with the specified model ID."}, PermissionDenied),
        (403, {"message": "The security token included in the request is expired"}, Unauthenticated),
        (403, {"Message": "Authentication failed: Please make sure your API Key is valid."}, Unauthenticated),
        (403, {"message": "The request signature we calculated does not match the signature"}, Unauthenticated),
        (404, {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}}, NotFound),
        (408, {"message": "Model has timed out in processing the request."}, UpstreamTimeout),
        (424, {"message": "The system encountered an unexpected error during processing."}, UpstreamFailed),
        (429, {"message": "Too many tokens per day, please wait before trying again."}, RateLimited),
        (429, {"__type": "ModelNotReadyException:http://internal.amazon.com/", "message": "m"}, Overloaded),
        (500, {"message": "m"}, UpstreamFailed),
        (503, {"message": "Bedrock is unable to process your request."}, Overloaded),
    ],
)
def test_errors_have_their_place_in_the_tree(status: int, told: Json, kind: type[ApiError]) -> None:
    """Pain 17: by name, status and words."""
    error = asked().refusal(status, json.dumps(told).encode())
    assert type(error) is kind
    assert error.message == told.get("message", told.get("Message", error.message))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "The model returned the following errors: prompt is too long: 200049 tokens > 200000 maximum",
            "prompt is too long: 200049 tokens > 200000 maximum",
        ),
        ("Input is too long for requested model.", "prompt is too long: Input is too long for requested model."),
        (
            "The model returned the following errors: Input Tokens Exceeded: Number of input tokens exceeds maximum",
            "prompt is too long: The model returned the following errors: Input Tokens Exceeded: Number of input tokens"
            " exceeds maximum",
        ),
        (
            "Mantle streaming error: \"This model's maximum context length is 202752 tokens. However, you requested "
            "65536 output tokens and your prompt contains at least 137217 input tokens, for a total of at least "
            '202753 tokens."',
            "input length and `max_tokens` exceed context limit: 137217 + 65536 > 202752, decrease input length or "
            "`max_tokens` and try again",
        ),
    ],
)
def test_a_prompt_that_is_too_long_is_said_in_the_words_that_clients_know(said: str, expected: str) -> None:
    """Pain 70."""
    for error in (
        error_of(400, json.dumps({"message": said}).encode()),
        error_in_frame(Frame({":message-type": "exception", ":exception-type": "validationException"},
                             json.dumps({"message": said}).encode())),
    ):  # fmt: skip
        assert type(error) is InvalidRequest
        assert error.message == expected


def test_a_frame_that_is_an_event_is_no_error() -> None:
    assert error_in_frame(Frame({":message-type": "event", ":event-type": "x"}, b"{}")) is None
    assert error_in_frame(Frame({}, b"{}")) is None


def test_errors_in_frames_tell_what_they_can() -> None:
    """Pain 25, 79."""
    modeled = Frame({":message-type": "exception", ":exception-type": "internalServerException"}, b"<html>")
    error = error_in_frame(modeled)
    assert isinstance(error, UpstreamFailed)
    assert "internalServerException" in error.message
    other = Frame({":message-type": "error", ":error-code": "x", ":error-message": f"key {SECRET}"}, b"")
    told = error_in_frame(other, secret=SECRET)
    assert told is not None
    assert told.message == "key [key]"
    original = json.dumps({"originalMessage": "the model's words", "originalStatusCode": 500}).encode()
    stream_error = Frame({":message-type": "exception", ":exception-type": "modelStreamErrorException"}, original)
    assert str(error_in_frame(stream_error)) == "the model's words"


def test_as_told_is_the_frame_of_a_chunk() -> None:
    """The tests' own framing: what is written by hand is a frame and nothing else."""
    assert framed(START) == as_told(START, "bedrock_converse")
    assert framed("x") == b"x"
