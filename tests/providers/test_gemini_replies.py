"""Gemini: what comes back, streamed and whole, and errors."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from gemini_cases import G3, chunks_of, message_of, recording, reply_of, stream_of, translated
from translating_cases import FIXTURES, SECRET, Json, body_of, events_of, folded, read_stream, stream_bytes

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
from dragoman.wire.sse import SSEDecoder

SEARCH: Json = {"type": "web_search_20250305", "name": "web_search"}
TWO_CITIES = [("thinking", ""), ("tool_use", {"city": "Paris"}), ("tool_use", {"city": "London"})]
EURO = {"query": "euro 2024 winner", "queries": ["euro 2024 winner", "who won euro 2024"]}
PAGES = ["uefa.com", "wikipedia.org"]
EXPECTED: dict[str, tuple[list[tuple[str, Any]], str]] = {
    "text": ([("text", "The Danube rises in the Black Forest.")], "end_turn"),
    "thinking": ([("thinking", "**Counting**\n\nI add the two numbers."), ("text", "It is 5.")], "end_turn"),
    "thinking_signed_between": ([("thinking", "Let me see."), ("text", "Done.")], "end_turn"),
    "call": ([("thinking", ""), ("tool_use", {"flight": "AA100"})], "tool_use"),
    "thinking_then_call": ([("thinking", "I need the flight first."), ("tool_use", {"flight": "AA100"})], "tool_use"),
    "parallel_calls": (TWO_CITIES, "tool_use"),
    "parallel_calls_in_chunks": (TWO_CITIES, "tool_use"),
    "calls_without_ids": (
        [
            ("text", "I look it up. "), ("tool_use", {}),
            ("tool_use", {"path": 'a "b".txt', "lines": [1, 2], "deep": {"x": None}}),
        ], "tool_use"
    ),
    "max_tokens_while_thinking": ([("thinking", "A long way to go")], "max_tokens"),
    "safety": ([("text", "First you ")], "refusal"),
    "prompt_blocked": ([], "refusal"),
    "cached": ([("text", "Ja, 你好 🌊.")], "end_turn"),
    "code_execution": ([("text", "```\nprint(6*7)\n```\n```\n42\n\n```\nIt is 42.")], "end_turn"),
    "unknown_fields": ([("text", "Hi")], "end_turn"),
    "grounded": (
        [("text", "Spain won Euro 2024."), ("server_tool_use", EURO), ("web_search_tool_result", PAGES)], "end_turn"
    ),
    "search_beside_functions": (
        [
            ("thinking", "Which city?"), ("thinking", ""), ("thinking", ""), ("tool_use", {"city": "Utqiaġvik"}),
            ("server_tool_use", {"query": "northernmost city of the USA"}),
            ("web_search_tool_result", ["wikipedia.org"]),
        ], "tool_use"
    ),
    "stop_sequence": ([("text", "a ")], "stop_sequence"),
}  # fmt: skip
FAILING = {
    "malformed_call": UpstreamFailed,
    "error_in_stream": Overloaded,
    "error_first": RateLimited,
    "truncated": UpstreamFailed,
}


def test_every_recorded_stream_is_tested() -> None:
    streams = sorted(path.stem for path in (FIXTURES / "gemini" / "streams").iterdir())
    assert sorted([*EXPECTED, *FAILING]) == streams
    assert len(streams) >= 12
    assert not any("AIza" in path.read_text("utf-8") for path in (FIXTURES / "gemini").rglob("*.json"))


def asked(name: str) -> Json:
    fields: Json = recording("streams", name).get("asked", {})
    return fields


def shown(message: Json) -> list[tuple[str, Any]]:
    return [(block["type"], _gist(block)) for block in message["content"]]


def _gist(block: Json) -> Any:
    if block["type"] == "web_search_tool_result":
        return [each["title"] for each in block["content"]]
    return block["input"] if "input" in block else block[block["type"]]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_stream_becomes_a_message(name: str) -> None:
    """Pain 1, 2, 3, 5, 19: blocks in order, none empty that need not be, `tool_use` whenever a tool is called."""
    message = message_of(name, **asked(name))
    assert (shown(message), message["stop_reason"]) == EXPECTED[name]
    assert message["model"] == "claude-opus-4-8"  # pain 40: as it was asked for


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("size", [1, 7])
def test_a_stream_may_be_cut_anywhere(name: str, size: int) -> None:
    """Pain 43; and lines may end as Google ends them."""
    data, reader = stream_of(name), translated(stream=True, **asked(name)).stream()
    out = b"".join(reader.feed(data[at : at + size]) for at in range(0, len(data), size))
    assert folded(out if reader.is_done else out + reader.close()) == message_of(name, **asked(name))


@pytest.mark.parametrize(("name", "error"), FAILING.items())
def test_a_stream_that_fails_says_so(name: str, error: type[ApiError]) -> None:
    """Pain 24, 25."""
    reader = translated(stream=True).stream()
    with pytest.raises(error):
        read_stream(reader, stream_of(name))
    assert not reader.is_done


def test_an_error_before_content_has_its_delay() -> None:
    with pytest.raises(RateLimited) as raised:
        translated(stream=True).stream().feed(stream_of("error_first"))
    assert raised.value.retry_after == 7


def test_no_stream_ends_well_that_was_cut_before_its_end() -> None:
    """Pain 24: whatever the byte."""
    data = stream_of("thinking_then_call")
    for cut in range(0, data.index(b'"finishReason"'), 5):
        reader = translated(stream=True).stream()
        reader.feed(data[:cut])
        with pytest.raises(UpstreamFailed):
            reader.close()


def test_usage_is_in_disjoint_parts() -> None:
    """Pain 15, 32."""
    message = message_of("cached")
    usage = message["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]) == (207, 800, 5)
    usage = message_of("thinking")["usage"]
    assert (usage["output_tokens"], usage["output_tokens_details"]) == (34, {"thinking_tokens": 30})
    start = json.loads(SSEDecoder().feed(read_stream(translated(stream=True).stream(), stream_of("text")))[0].data)
    assert start["message"]["usage"]["input_tokens"] == 9


def test_a_stop_sequence_is_reported() -> None:
    """Pain 42: it stands across two chunks; what follows it is not shown."""
    message = message_of("stop_sequence", **asked("stop_sequence"))
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    body = {"candidates": [{"content": {"parts": [{"text": "a END b"}]}, "finishReason": "STOP"}]}
    reply = translated(stop_sequences=["END"]).read(Operation.MESSAGES, json.dumps(body).encode())
    assert body_of(reply.body)["content"] == message["content"] == [{"type": "text", "text": "a "}]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("text", [("text", "The Danube.")], "end_turn"),
        ("thinking", [("thinking", "I add."), ("text", "5.")], "end_turn"),
        ("call", [("thinking", ""), ("tool_use", {"flight": "AA100"})], "tool_use"),
        ("call_without_id", [("tool_use", {})], "tool_use"),
        ("max_tokens", [("text", "One, two, th")], "max_tokens"),
        ("empty_max_tokens", [], "max_tokens"),
        ("recitation", [], "refusal"),
        ("prompt_blocked", [], "refusal"),
        ("cached", [("text", "Yes.")], "end_turn"),
        ("structured", [("text", '{"name": "Ada", "age": 36}')], "end_turn"),
        ("image", [("text", "Here:[image/png: cannot be shown here]")], "end_turn"),
        (
            "parallel_calls",
            [("text", "Both."), ("thinking", ""), ("tool_use", {"city": "Paris"}), ("tool_use", {"city": "London"})],
            "tool_use",
        ),
    ],
)
def test_a_reply_becomes_a_message(name: str, content: list[tuple[str, Any]], reason: str) -> None:
    message = reply_of(name)
    assert (shown(message), message["stop_reason"]) == (content, reason)
    if reason == "refusal":
        assert message["stop_details"]["type"] == "refusal"


@pytest.mark.parametrize("name", ["text", "call", "parallel_calls", "recitation", "cached"])
def test_whole_and_streamed_are_one(name: str) -> None:
    """Issue 6, done when 4: the two give the same message."""
    data = stream_bytes([recording("replies", name)["reply"]])
    assert folded(read_stream(translated(stream=True).stream(), data)) == reply_of(name)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("error_400", InvalidRequest, "contents is not specified"),
        ("error_400_key", Unauthenticated, "API key not valid"),
        ("error_400_too_long", InvalidRequest, "prompt is too long: 1091639 tokens > 1048576 maximum"),
        ("error_403", PermissionDenied, "permission"),
        ("error_404", NotFound, "is not found"),
        ("error_429", RateLimited, "exceeded your current quota"),
        ("error_500", UpstreamFailed, "internal error"),
        ("error_503", Overloaded, "overloaded"),
        ("error_504", UpstreamTimeout, "Deadline"),
    ],
)
def test_errors(name: str, error: type[ApiError], message: str) -> None:
    """Pain 17, 28, 70."""
    told_so = recording("replies", name)
    told = translated().refusal(told_so["status"], json.dumps(told_so["reply"]).encode())
    assert type(told) is error
    assert message in told.message
    if name == "error_429":
        assert isinstance(told, RateLimited)
        assert told.retry_after == 37


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("The input token count (9) exceeds the maximum number of tokens allowed (8).", "9 tokens > 8 maximum"),
        ("The input token count exceeds the maximum number of tokens allowed 8.", "The input token count exceeds"),
        ("The input token count (9) exceeds the maximum number of tokens allowed for this model.", "The input token"),
    ],
)
def test_a_prompt_that_is_too_long_is_called_so(words: str, message: str) -> None:
    """Pain 70: in every wording that users quote."""
    error = translated().refusal(400, json.dumps({"error": {"code": 400, "message": words}}).encode())
    assert isinstance(error, InvalidRequest)
    assert error.message.startswith(f"prompt is too long: {message}")


def whole(*parts: Json, finish: Any = "STOP") -> Json:
    """The message that a reply with these parts becomes."""
    told = {"candidates": [{"content": {"parts": list(parts)}, "finishReason": finish}]}
    return body_of(translated().read(Operation.MESSAGES, json.dumps(told).encode()).body)


def test_thinking_behind_a_call_is_a_block_of_its_own() -> None:
    """Pain 58: the order is kept."""
    call = {"functionCall": {"name": "f", "args": {}}}
    message = whole(call, {"text": "hm", "thought": True}, {"text": "So."})
    assert shown(message) == [("tool_use", {}), ("thinking", "hm"), ("text", "So.")]
    assert message["stop_reason"] == "tool_use"


@pytest.mark.parametrize("name", [None, "", 5])
def test_a_call_without_a_name_is_no_message(name: Any) -> None:
    """Pain 46: Gemini tells calls whole, so the name will not come; one made up would poison the history."""
    with pytest.raises(UpstreamFailed):
        whole({"functionCall": {"name": name, "args": {}}})


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("OTHER", "end_turn"), ("NOVEL", "end_turn"), ("stop", "end_turn"), ("LANGUAGE", "refusal"), ("SPII", "refusal"),
     ("CONTINUATION", "max_tokens")],
)  # fmt: skip
def test_reasons_that_nobody_knows_are_an_end(finish: str, reason: str) -> None:
    """Pain 71."""
    assert whole({"text": "x"}, finish=finish)["stop_reason"] == reason


@pytest.mark.parametrize("finish", [None, 5, "", "FINISH_REASON_UNSPECIFIED"])
def test_without_a_reason_there_is_no_end(finish: Any) -> None:
    """Pain 24, 71: null means that it goes on."""
    with pytest.raises(UpstreamFailed):
        whole({"text": "x"}, finish=finish)


def test_an_error_that_names_the_key_does_not() -> None:
    """Pain 79: Google does so, for a key that was suspended."""
    body = {"error": {"code": 403, "message": f"Permission denied: Consumer 'api_key:{SECRET}' has been suspended."}}
    assert SECRET not in translated().refusal(403, json.dumps(body).encode()).message


def test_an_error_may_stand_in_a_list() -> None:
    """So it comes where a stream was asked for without alt=sse."""
    told = translated().refusal(429, b'[{"error":{"code":429,"message":"Resource exhausted."}}]')
    assert (type(told), told.message) == (RateLimited, "Resource exhausted.")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"error":5}', b'{"error":{"details":5}}', b"[[]]"])
def test_a_broken_error_is_an_error(body: bytes) -> None:
    assert isinstance(translated().refusal(500, body), UpstreamFailed)


def without_one_key(value: Any) -> Iterator[Any]:
    """The value with each key, at any depth, gone or null in turn."""
    if isinstance(value, dict):
        for key in value:
            yield {other: item for other, item in value.items() if other != key}
            yield {**value, key: None}
            for changed in without_one_key(value[key]):
                yield {**value, key: changed}
    elif isinstance(value, list):
        for at, item in enumerate(value):
            for changed in without_one_key(item):
                yield [*value[:at], changed, *value[at + 1 :]]


@pytest.mark.parametrize("name", [*EXPECTED, *FAILING])
def test_any_key_may_be_missing(name: str) -> None:
    """Pain 57: never a traceback, and what comes out is a legal beginning."""
    chunks = chunks_of(name)
    reply = translated(stream=True)
    for at, chunk in enumerate(chunks):
        for changed in without_one_key(chunk):
            data = stream_bytes([*chunks[:at], changed, *chunks[at + 1 :]])
            try:
                events_of(read_stream(reply.stream(), data))
            except ApiError:
                continue


def test_an_id_that_an_earlier_call_has_is_not_given_again() -> None:
    """Pain 45: there are servers that number anew in each reply, and the next request would be refused for it."""
    call = {"functionCall": {"id": "call_0", "name": "get_weather", "args": {}}}
    body = {"candidates": [{"content": {"parts": [call]}, "finishReason": "STOP"}]}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_0", "name": "get_weather", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_0", "content": "sun"}]},
    ]
    read = translated(messages=turns).read(Operation.MESSAGES, json.dumps(body).encode())
    assert [block["id"] for block in json.loads(read.body)["content"]] == ["toolu_1"]


# -- when a stream is over, and what other servers make of it --

USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 9}


def chunk(*parts: Json, usage: Json | None = None, **candidate: Any) -> Json:
    told = {"content": {"role": "model", "parts": list(parts)}, **candidate}
    return {"candidates": [told], **({} if usage is None else {"usageMetadata": usage})}


def test_a_message_ends_with_the_chunk_that_says_so() -> None:
    """Pain 24: whatever becomes of the connection then, open or broken."""
    reader = translated(stream=True).stream()
    out = reader.feed(stream_bytes([chunk({"text": "Hi"}), chunk({"text": "."}, usage=USAGE, finishReason="STOP")]))
    assert reader.is_done
    message = folded(out)
    assert (shown(message), message["stop_reason"]) == ([("text", "Hi.")], "end_turn")
    assert message["usage"]["output_tokens"] == 2


@pytest.mark.parametrize(
    ("model", "first", "fields"),
    [
        (G3, chunk(usage=USAGE, finishReason="STOP"), {}),  # Chevey339/kelivo#1003: before the first word
        (G3, chunk({"text": "a"}, finishReason="STOP"), {}),  # usage may come later
        (G3, chunk({"text": "a"}, usage={"trafficType": "ON_DEMAND"}, finishReason="STOP"), {}),
        ("gemini-1.5-pro", chunk({"text": "a"}, usage=USAGE, finishReason="STOP"), {}),  # BerriAI/litellm#2195
        (G3, chunk({"text": "a"}, usage=USAGE, finishReason="STOP"), {"tools": [SEARCH]}),  # found may come later
    ],
)
def test_where_more_may_come_a_stream_is_read_on(model: str, first: Json, fields: Json) -> None:
    reader = translated(model, stream=True, **fields).stream()
    begun = reader.feed(stream_bytes([first]))
    assert not reader.is_done
    rest = reader.feed(stream_bytes([chunk({"text": "b"}, usage=USAGE, finishReason="STOP")]))
    message = folded(begun + rest + (b"" if reader.is_done else reader.close()))
    assert message["content"][0]["text"].endswith("b")
    assert message["usage"]["output_tokens"] == 2


def test_a_chunk_of_another_candidate_is_passed_over() -> None:
    """One answer was asked for."""
    stream = [
        chunk({"text": "mine"}, index=0),
        chunk({"text": "other"}, index=1, finishReason="STOP"),
        {"candidates": [*chunk({"text": "x"}, index=1)["candidates"], *chunk({"text": " too"}, index=0)["candidates"]]},
        chunk(usage=USAGE, finishReason="STOP"),
    ]
    message = folded(read_stream(translated(stream=True).stream(), stream_bytes(stream)))
    assert shown(message) == [("text", "mine too")]


@pytest.mark.parametrize(
    ("told", "arguments"),
    [('{"city": "Rome"}', {"city": "Rome"}), ("", {}), ("{}", {}), (None, {}), ({"city": "Rome"}, {"city": "Rome"})],
)
def test_the_input_of_a_call_may_be_told_in_a_text(told: Any, arguments: Json) -> None:
    """Pain 46."""
    assert shown(whole({"functionCall": {"name": "f", "args": told}})) == [("tool_use", arguments)]


@pytest.mark.parametrize("told", ["Rome", "[1]", '{"city": ', "5", [], ["Rome"], 5, True])
def test_an_input_that_is_no_object_is_no_message(told: Any) -> None:
    """Pain 46: it is asked again, as a malformed call is."""
    with pytest.raises(UpstreamFailed):
        whole({"functionCall": {"name": "f", "args": told}})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("default_api.get_weather", "get_weather"),
        ("default_api:get_weather", "get_weather"),
        ("get_weather", "get_weather"),
        ("default_api.nothing", "default_api_nothing"),
        ("default_api.9lives", "default_api_9lives"),
    ],
)
def test_a_tool_that_is_called_by_its_module_is_meant(name: str, meant: str) -> None:
    """Pain 44: a habit of Gemini's; a name that nobody offered is only made legal."""
    tools = [{"name": each, "input_schema": {"type": "object"}} for each in ("get_weather", "9lives")]
    body = chunk({"functionCall": {"name": name, "args": {}}}, finishReason="STOP")
    read = translated(tools=tools).read(Operation.MESSAGES, json.dumps(body).encode())
    assert [block["name"] for block in body_of(read.body)["content"]] == [meant]


LISTED = b'[{"error": {"code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED"}}]'


def test_an_error_in_a_list_with_status_200_is_that_error() -> None:
    """Pain 17, 25."""
    with pytest.raises(RateLimited, match="exhausted"):
        translated().read(Operation.MESSAGES, LISTED)
    for size in (1, len(LISTED)):
        reader = translated(stream=True).stream()
        for at in range(0, len(LISTED), size):
            assert reader.feed(LISTED[at : at + size]) == b""
        with pytest.raises(RateLimited, match="exhausted"):
            reader.close()
