"""The input of a call, of the dialects that tell it as text: an object, or no message, as the official
client reads it."""

import json
from typing import Any

import anthropic
import httpx2 as httpx
import msgspec
import pytest
from anthropic import APIStatusError
from translating_cases import TOOLS, Json, folded, question, read_stream, stream_bytes

from dragoman.errors import UpstreamFailed
from dragoman.providers.base import Operation, Translator
from dragoman.providers.bedrock_converse import Converse
from dragoman.providers.call_arguments import DEEPEST, CallArguments, text_of
from dragoman.providers.eventstream import encode_frame
from dragoman.providers.openai_chat import ChatCompletions
from dragoman.providers.openai_responses import Responses

DIALECTS: list[Translator] = [ChatCompletions(), Responses(), Converse()]
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
NO_OBJECT = "The upstream's model called get_weather with arguments that are no JSON object."

CUT = ['{"city":"A', "{", '{"a":[1,"x', '{"a":1', '"{\\"a', '{"a":tru']
ILLEGAL = [
    '{"city":"A",}',
    "{'city':'A'}",
    "city=A",
    "[1]",
    "5",
    "true",
    '"text"',
    '{"a":1]',
    '{"a":None}',
    '{"a":nul}',
    '{"a":01}',
    '{"a" "b"}',
    '{"a":"\n"}',
    '{"a":"\\x"}',
    '{"a":"\\u12"}',
    '{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1),
    '"{\\"a\\":1"',
]
READ: list[tuple[Any, Json]] = [
    ({"a": 1}, {"a": 1}),
    ({}, {}),
    ([], {}),
    ('"{\\"a\\": 1}"', {"a": 1}),
    ('{"a":1}{"x":1}', {"a": 1}),
    (' {"a": [true, -1.5e3, {"b": null}, []], "c": {}} ', {"a": [True, -1500.0, {"b": None}, []], "c": {}}),
    ('{"a":"\\ud83d"}', {"a": "\ufffd"}),
    ('{"a":"\\"}\\u00e9"}', {"a": '"}é'}),
    ('{"a":' * DEEPEST + "1" + "}" * DEEPEST, msgspec.json.decode('{"a":' * DEEPEST + "1" + "}" * DEEPEST)),
]


# -- each dialect's way to tell a call --


def pieces_of(arguments: Any, size: int) -> list[Any]:
    if not isinstance(arguments, str):
        return [arguments]
    return [arguments[at : at + size] for at in range(0, len(arguments), size)]


def stream_of(dialect: Translator, pieces: list[Any], *, is_cut: bool) -> bytes:
    if isinstance(dialect, ChatCompletions):
        calls = [{"index": 0, "id": "c1", "function": {"name": "get_weather"}}]
        calls += [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
        chunks = [{"choices": [{"delta": {"tool_calls": [call]}}]} for call in calls]
        end = {"choices": [{"delta": {}, "finish_reason": "length" if is_cut else "tool_calls"}]}
        return stream_bytes([*chunks, end, "data: [DONE]"])
    if isinstance(dialect, Responses):
        item = {"type": "function_call", "id": "i", "call_id": "c1", "name": "get_weather"}
        told: list[Json] = [
            {"type": "response.output_item.added", "output_index": 0, "item": {**item, "arguments": ""}}
        ]
        about = {"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "i"}
        told += [{**about, "delta": piece} for piece in pieces if isinstance(piece, str)]
        whole = "".join(pieces) if all(isinstance(piece, str) for piece in pieces) else pieces[0]
        told.append({"type": "response.output_item.done", "output_index": 0, "item": {**item, "arguments": whole}})
        return stream_bytes([*told, response_end(is_cut)])
    frames = [("contentBlockStart", {"start": {"toolUse": {"toolUseId": "c1", "name": "get_weather"}}})]
    frames += [("contentBlockDelta", {"delta": {"toolUse": {"input": piece}}}) for piece in pieces]
    frames.append(("contentBlockStop", {}))
    named = [(name, {"contentBlockIndex": 0, **body}) for name, body in frames]
    named.append(("messageStop", {"stopReason": "max_tokens" if is_cut else "tool_use"}))
    return b"".join(
        encode_frame({":message-type": "event", ":event-type": name}, json.dumps(body).encode()) for name, body in named
    )


def response_end(is_cut: bool) -> Json:
    if not is_cut:
        return {"type": "response.completed", "response": {"status": "completed"}}
    details = {"reason": "max_output_tokens"}
    return {"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": details}}


def whole_of(dialect: Translator, arguments: Any, *, is_cut: bool) -> bytes:
    reply: Json
    if isinstance(dialect, ChatCompletions):
        call = {"id": "c1", "function": {"name": "get_weather", "arguments": arguments}}
        reason = "length" if is_cut else "tool_calls"
        reply = {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": reason}]}
    elif isinstance(dialect, Responses):
        item = {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": arguments}
        reply = {**response_end(is_cut)["response"], "output": [item]}
    else:
        block = {"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": arguments}}
        reply = {"output": {"message": {"content": [block]}}, "stopReason": "max_tokens" if is_cut else "tool_use"}
    return msgspec.json.encode(reply)


def read_whole(dialect: Translator, arguments: Any, *, is_cut: bool = False) -> Json:
    body = whole_of(dialect, arguments, is_cut=is_cut)
    answered: Json = json.loads(dialect.translate(question(tools=TOOLS)).read(Operation.MESSAGES, body).body)
    return answered


def by_the_official_client(dialect: Translator, arguments: Any, *, size: int, is_cut: bool = False) -> Any:
    """The message that the official client makes of the stream, whose error is told as the gateway does."""
    reader = dialect.translate(question(stream=True, tools=TOOLS)).stream()
    out = b""
    try:
        out += reader.feed(stream_bytes([]) + stream_of(dialect, pieces_of(arguments, size), is_cut=is_cut))
        out += b"" if reader.is_done else reader.close()
    except UpstreamFailed as failure:
        out += b"event: error\ndata: " + msgspec.json.encode(failure.body(None)) + b"\n\n"
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=out)
    with httpx.Client(transport=httpx.MockTransport(lambda _: answer)) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://127.0.0.1", http_client=http, max_retries=0)
        said: Any = [{"role": "user", "content": "hi"}]
        with client.messages.stream(model="m", max_tokens=9, messages=said) as stream:
            return stream.get_final_message()


# -- what holds for all of them --


@each_dialect
@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("arguments", [*CUT, *ILLEGAL])
def test_a_call_without_an_object_fails_its_message(dialect: Translator, arguments: str, size: int) -> None:
    """Pain 19: a tool never runs with an input that the model did not give; the client is told why, streamed or not."""
    with pytest.raises(UpstreamFailed, match=NO_OBJECT):
        read_whole(dialect, arguments)
    with pytest.raises(APIStatusError, match=NO_OBJECT):
        by_the_official_client(dialect, arguments, size=size)


@each_dialect
@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("arguments", CUT)
def test_what_max_tokens_cut_is_told_as_cut(dialect: Translator, arguments: str, size: int) -> None:
    """TOOL-23: and the official client reads the same out of the stream and out of the whole reply."""
    whole = read_whole(dialect, arguments, is_cut=True)
    streamed = by_the_official_client(dialect, arguments, size=size, is_cut=True)
    assert whole["stop_reason"] == streamed.stop_reason == "max_tokens"
    assert whole["content"][0]["input"] == streamed.content[0].input


@each_dialect
@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize(("arguments", "read"), READ)
def test_what_holds_an_object_is_that_object(dialect: Translator, arguments: Any, read: Json, size: int) -> None:
    """Pain 19, in each dialect alike."""
    assert read_whole(dialect, arguments)["content"][0]["input"] == read
    streamed = by_the_official_client(dialect, arguments, size=size)
    assert (streamed.content[0].input, streamed.stop_reason) == (read, "tool_use")


def test_what_goes_out_before_the_failure_is_legal_so_far() -> None:
    """Its text and the legal part of its input have gone out; the client reads no error of its own making."""
    arguments = CallArguments()
    for char in '{"city": "A",}':
        arguments.take(char)
    assert ("".join(arguments.ready), arguments.is_broken) == ('{"city": "A",', True)


def test_a_long_input_is_read_once() -> None:
    """Whatever its pieces: what does not begin as an object is not joined anew with each."""
    arguments = CallArguments()
    for _ in range(200_000):
        arguments.take("x")
    arguments.end()
    assert arguments.is_broken


def test_values_in_place_of_a_text() -> None:
    assert [text_of(each) for each in (None, "a", {"b": 1}, [1])] == ["", "a", '{"b":1}', "[1]"]


@pytest.mark.parametrize("placeholder", ["{}", {}])
def test_an_empty_object_in_the_announcement_is_not_yet_the_input(placeholder: Any) -> None:
    """The input of a call comes behind it, where a server announces one that is empty."""
    item = {"type": "function_call", "id": "i", "call_id": "c1", "name": "get_weather"}
    about = {"output_index": 0, "item_id": "i"}
    told = [
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "arguments": placeholder}},
        {"type": "response.function_call_arguments.delta", **about, "delta": '{"a":1}'},
        response_end(False),
    ]
    reader = Responses().translate(question(stream=True, tools=TOOLS)).stream()
    assert folded(read_stream(reader, stream_bytes(told)))["content"][0]["input"] == {"a": 1}
