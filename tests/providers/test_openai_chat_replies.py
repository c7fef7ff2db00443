"""Chat Completions: what becomes of replies. Cases of pain.md are cited by their number."""

import json
from random import Random
from typing import Any

import pytest
from message_forms import EVERYTHING
from translating_cases import (
    TOOLS,
    Json,
    Recorded,
    events_of,
    folded,
    question,
    read_stream,
    recorded,
    stream_bytes,
    translated_body,
)

from dragoman.errors import ApiError, UpstreamFailed
from dragoman.providers.base import Operation
from dragoman.providers.openai_chat import ChatCompletions
from dragoman.providers.openai_chat_stops import StopWatch
from dragoman.wire.events import BlockDelta, BlockStart, InputJsonDelta

CHAT = ChatCompletions()
LONG = "mcp__a_server_with_a_long_name__a_tool_with_a_name_that_goes_on_and_on_"


def body(model: str = "some-model", **fields: Any) -> Json:
    return translated_body(CHAT, model, **fields)


def lost(model: str = "some-model", **fields: Any) -> list[str]:
    return list(CHAT.translate(question(model, **fields)).lost)


def choice(delta: Json, finish: str | None = None, **more: Any) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def call(index: int | None, name: str | None = None, arguments: Any = None, id: str | None = None) -> Json:  # noqa: A002
    told = {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}
    return {"tool_calls": [{key: value for key, value in told.items() if value is not None}]}


def streamed(*chunks: Any, end: str | None = "data: [DONE]", **fields: Any) -> Json:
    """The message that a client makes of a stream of these chunks. The pieces of each input are legal JSON together."""
    reader = CHAT.translate(question(stream=True, tools=TOOLS, **fields)).stream()
    out = read_stream(reader, stream_bytes([*chunks, *([end] if end else [])]))
    message = folded(out)
    inputs: dict[int, str] = {}
    for event in events_of(out):
        if isinstance(event, BlockDelta) and isinstance(event.delta, InputJsonDelta):
            inputs[event.index] = inputs.get(event.index, "") + event.delta.partial_json
    for index, text in inputs.items():
        assert json.loads(text) == message["content"][index]["input"]
    return message


def kinds(message: Json) -> list[str]:
    return [block["type"] for block in message["content"]]


@pytest.mark.parametrize("blank", ["", "\n", " \n\n"])
def test_no_block_is_opened_for_blank_text(blank: str) -> None:
    """Pain 2, 3: one call at index 0, and the message stops for it though the server says `stop`."""
    message = streamed(
        choice({"content": blank}),
        choice({"content": blank}),
        choice(call(0, "get_time", "{}", "call_1")),
        choice({}, "stop"),
    )
    assert kinds(message) == ["tool_use"]
    assert message["stop_reason"] == "tool_use"


def test_parallel_calls_in_any_order_of_their_fragments() -> None:
    """Pain 4."""
    first, second = '{"city": "{Rome}"}', '{"city": "\\"}"}'
    rng = Random("parallel")
    for _ in range(60):
        parts = [*((0, part) for part in cut(rng, first)), *((1, part) for part in cut(rng, second))]
        chunks = [choice(call(parts[at][0], arguments=parts[at][1])) for at in merged(rng, parts)]
        begin = [choice(call(at, "get_weather", "", f"call_{at}")) for at in (0, 1)]
        message = streamed(*begin, *chunks, choice({}, "tool_calls"))
        assert [block["input"] for block in message["content"]] == [json.loads(first), json.loads(second)]


def cut(rng: Random, text: str) -> list[str]:
    at = sorted(rng.sample(range(1, len(text)), 3))
    return [text[start:end] for start, end in zip([0, *at], [*at, len(text)], strict=True)]


def merged(rng: Random, parts: list[tuple[int, str]]) -> list[int]:
    """Indices of the parts, those of each call in their order."""
    queues = [[at for at, (index, _) in enumerate(parts) if index == number] for number in (0, 1)]
    found = []
    while any(queues):
        queue = rng.choice([queue for queue in queues if queue])
        found.append(queue.pop(0))
    return found


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thinking_and_text_are_never_mixed(field: str) -> None:
    """Pain 5: wherever they are cut, and both in one chunk."""
    thought, text = [{field: "a"}, {field: "b"}], [{"content": "c"}, {"content": "d"}]
    whole = [{field: "ab"}], [{"content": "cd"}]
    for told in (
        [*thought, *text],
        [*whole[0], *text],
        [*thought, *whole[1]],
        [thought[0], {field: "b", "content": "cd"}],
    ):
        message = streamed(*(choice(each) for each in told), choice({}, "stop"))
        assert kinds(message) == ["thinking", "text"]
        assert (message["content"][0]["thinking"], message["content"][1]["text"]) == ("ab", "cd")


def test_thinking_after_a_call_is_a_block_of_its_own() -> None:
    """Pain 58."""
    message = streamed(
        choice(call(0, "get_time", "{}", "call_1")),
        choice({"reasoning_content": "hm"}),
        choice({"content": "so"}),
        choice({}, "stop"),
    )
    assert kinds(message) == ["tool_use", "thinking", "text"]


def test_text_within_a_call_waits_for_it() -> None:
    """Pain 4: no fragment is lost to what is said in between."""
    message = streamed(
        choice(call(0, "get_weather", '{"city":', "call_1")),
        choice({"content": "\nOne moment"}),
        choice(call(0, arguments='"Rome"}')),
        choice({"content": "."}),
        choice({}, "tool_calls"),
    )
    assert kinds(message) == ["tool_use", "text"]
    assert message["content"][0]["input"] == {"city": "Rome"}
    assert message["content"][1]["text"] == "\nOne moment."


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        (None, {}),
        ("", {}),
        ("null", {}),
        ("{}", {}),
        ("[]", {}),
        ('""', {}),
        (" {} ", {}),
        (' {"a": 1} ', {"a": 1}),
        ('{"a": "\\\\"}', {"a": "\\"}),
        ({}, {}),
        ({"a": 1}, {"a": 1}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('{"a": 1}}', {"a": 1}),
        ('{"a": "}"}', {"a": "}"}),
        ([], {}),
        ('"null"', {}),
    ],
)
def test_an_input_is_always_an_object(arguments: Any, read: Json) -> None:
    """Pain 19."""
    message = streamed(choice(call(0, "get_time", arguments, "call_1")), choice({}, "tool_calls"))
    assert message["content"][0]["input"] == read
    whole = {"choices": [{"message": call(None, "get_time", arguments, "call_1"), "finish_reason": "stop"}]}
    answered = CHAT.translate(question(tools=TOOLS)).read(Operation.MESSAGES, json.dumps(whole).encode())
    assert json.loads(answered.body)["content"] == message["content"]


def test_a_name_may_come_late() -> None:
    """Pain 46."""
    message = streamed(
        choice(call(0, id="call_1")),
        choice(call(0, name="get_time")),
        choice(call(0, arguments='{"a":')),
        choice(call(0, arguments="1}")),
        choice({}, "tool_calls"),
    )
    (block,) = message["content"]
    assert (block["id"], block["name"], block["input"]) == ("call_1", "get_time", {"a": 1})


@pytest.mark.parametrize("told_id", ["functions.x:0", "", "ü", "x" * 200, "toolu_c"])
def test_ids_that_are_not_legal_or_not_new_are_replaced(told_id: str) -> None:
    """Pain 45: and a conversation never holds one twice, though a server counts from call_0 in each reply."""
    fields = {**EVERYTHING, "stream": True}
    reader = CHAT.translate(question(**fields)).stream()
    chunks = [choice(call(at, "get_time", "{}", told_id)) for at in (0, 1)]
    message = folded(read_stream(reader, stream_bytes([*chunks, choice({}, "tool_calls"), "data: [DONE]"])))
    assert [block["id"] for block in message["content"]] == ["toolu_1", "toolu_2"]


def test_a_name_that_the_model_made_up_is_made_legal() -> None:
    """It goes into the history, which would be refused for it."""
    message = streamed(choice(call(0, "functions.get time", "{}", "call_1")), choice({}, "tool_calls"))
    assert message["content"][0]["name"] == "functions_get_time"


@pytest.mark.parametrize("end", ["data: [DONE]", None])
@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_a_stream_that_is_cut_is_no_message(chunks: int, end: str | None) -> None:
    """Pain 24: without a reason to end nor [DONE] it is an error, whatever came."""
    told = [choice({"role": "assistant", "content": ""}), choice({"content": "a"}), choice({"content": "b"})]
    reader = CHAT.translate(question(stream=True)).stream()
    with_text = chunks > 1
    body_ = stream_bytes([*told[:chunks], *([end] if end else [])])
    if end and with_text:
        assert folded(read_stream(reader, body_))["stop_reason"] == "end_turn"
        return
    with pytest.raises(UpstreamFailed):
        read_stream(reader, body_)
    assert not reader.is_done


def test_an_error_in_place_of_a_chunk_is_an_error() -> None:
    """Pain 25: before any content at once; after it, once what was said is out."""
    error = {"error": {"message": "overloaded", "code": 503}}
    reader = CHAT.translate(question(stream=True)).stream()
    with pytest.raises(ApiError) as failed:
        reader.feed(stream_bytes([choice({"content": ""}), error]))
    assert failed.value.status == 529

    reader = CHAT.translate(question(stream=True)).stream()
    out = reader.feed(stream_bytes([choice({"content": "a"}), error, choice({"content": "b"})]))
    assert sum(isinstance(event, BlockStart) for event in events_of(out)) == 1
    assert b"message_stop" not in out
    with pytest.raises(ApiError, match="overloaded"):
        reader.feed(stream_bytes([choice({"content": "c"})]))


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("eos", "end_turn"),
        ("length", "max_tokens"),
        ("length ", "max_tokens"),
        ("LENGTH", "max_tokens"),
        ("content_filter", "refusal"),
        ("tool_calls", "end_turn"),
        ("who knows", "end_turn"),
    ],
)
def test_reasons_to_end(finish: str, reason: str) -> None:
    """Pain 71."""
    assert streamed(choice({"content": "a"}), choice({}, finish))["stop_reason"] == reason


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"prompt_tokens": 1000, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 800}},
            (200, 800, 5),
        ),
        ({"prompt_tokens": 1000, "completion_tokens": 5, "prompt_tokens_details": None}, (1000, 0, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 80}}, (0, 10, 5)),
        ({"prompt_tokens": 10, "completion_tokens": None}, (10, 0, 1)),
        ({}, (9, 0, 1)),
        ({"prompt_tokens": -3, "completion_tokens": "7"}, (9, 0, 1)),
    ],
)
def test_usage_is_whole_and_disjoint(usage: Json, expected: tuple[int, int, int]) -> None:
    """Pain 32: cached input is no input. Pain 15: without figures of the provider, estimates."""
    told = streamed(choice({"content": "abcd"}), choice({}, "stop"), {"choices": [], "usage": usage})["usage"]
    assert (told["input_tokens"], told["cache_read_input_tokens"], told["output_tokens"]) == expected


def test_the_first_event_tells_input_tokens() -> None:
    """Pain 15."""
    reader = CHAT.translate(question(stream=True)).stream()
    (start,) = events_of(reader.feed(stream_bytes([choice({"role": "assistant", "content": ""})])))
    assert start.message.usage.input_tokens == 9


# -- streaming and not --


def as_stream(reply: Json) -> list[Any]:
    """A whole reply as the chunks that would have told it."""
    message, finish = reply["choices"][0]["message"], reply["choices"][0]["finish_reason"]
    told = {name: value for name, value in reply["choices"][0].items() if name not in ("message", "finish_reason")}
    order = ("role", "reasoning_content", "reasoning")  # thinking comes first
    fields = sorted(message.items(), key=lambda item: item[0] not in order)
    chunks = [choice({name: value}) for name, value in fields]
    chunks.append({"choices": [{**told, "index": 0, "delta": {}, "finish_reason": finish}]})
    return [*chunks, {"choices": [], "usage": reply.get("usage")}, "data: [DONE]"]


COMPLETE = [case for case in recorded("openai_chat", "replies") if case.message and case.name != "bare"]


@pytest.mark.parametrize("case", COMPLETE, ids=lambda case: case.name)
def test_streamed_or_whole_it_is_the_same_message(case: Recorded) -> None:
    assert streamed(*as_stream(json.loads(case.body)), **case.asked) == json.loads(
        CHAT.translate(question(tools=TOOLS, **case.asked)).read(Operation.MESSAGES, case.body).body
    )


# -- stop sequences --


@pytest.mark.parametrize(
    ("sequences", "text", "shown", "matched"),
    [
        (["END"], "a END b", "a ", "END"),
        (["END"], "a EN", "a EN", None),
        (["END"], "EENDX", "E", "END"),
        (["aab"], "aaab", "a", "aab"),
        (["ab", "xaby"], "xaby", "x", "ab"),
        (["b", "ab"], "cab", "c", "ab"),
        (["\n\n"], "one\ntwo\n\nthree", "one\ntwo", "\n\n"),
        ([""], "abc", "abc", None),
        (["日本"], "こ日日本", "こ日", "日本"),
    ],
)
def test_stop_sequences_are_found_however_the_text_is_cut(
    sequences: list[str], text: str, shown: str, matched: str | None
) -> None:
    """Pain 42."""
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            watch, out = StopWatch(sequences), ""
            for piece in (text[:first], text[first:second], text[second:]):
                out += watch.take(piece) if watch.matched is None else ""
            out += watch.rest()
            assert (out, watch.matched) == (shown, matched)


def test_text_that_might_have_been_a_stop_sequence_is_shown() -> None:
    message = streamed(
        choice({"content": "a E"}),
        choice(call(0, "get_time", "{}", "call_1")),
        choice({}, "stop"),
        stop_sequences=["END"],
    )
    assert message["content"][0]["text"] == "a E"
    assert message["stop_reason"] == "tool_use"


def test_a_stop_sequence_behind_a_call_is_told() -> None:
    """Pain 42: the message ends where it was found, streamed or whole."""
    fields: Json = {"stop_sequences": ["END"]}
    message = streamed(
        choice(call(0, "get_time", "{}", "call_1")), choice({"content": "a EN"}), choice({"content": "D b"}), **fields
    )
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    assert message["content"][1]["text"] == "a "


def test_events_that_say_nothing_are_skipped() -> None:
    message = streamed("data:", choice({"content": "a"}), "data: null", choice({"content": "b"}, "stop"), "data: ")
    assert message["content"][0]["text"] == "ab"


@pytest.mark.parametrize(
    "said", [r'{"content":"a \ud83d"}', r'{"content":"a "},"b":"\udca9\uD83D"', r'{"content":"a \udfff"}']
)
def test_half_a_character_spoils_no_message(said: str) -> None:
    """Pain 43: servers that cut a text between its halves write them as escapes that no strict parser reads."""
    chunk = '{"choices":[{"index":0,"delta":' + said + "}]}"
    message = streamed(f"data: {chunk}", choice({"content": "b \N{PILE OF POO}"}), choice({}, "stop"))
    assert message["content"][0]["text"].replace("\ufffd", "") == "a b \N{PILE OF POO}"
    whole = '{"choices":[{"index":0,"finish_reason":"stop","message":' + said + "}]}"
    (block,) = json.loads(CHAT.translate(question()).read(Operation.MESSAGES, whole.encode()).body)["content"]
    assert block["text"].startswith("a ")


def test_an_escaped_backslash_is_no_half_character() -> None:
    chunk = r'{"choices":[{"index":0,"delta":{"content":"\\ud83d \ud83d\ude00 \ud83d"},"finish_reason":"stop"}]}'
    assert streamed(f"data: {chunk}")["content"][0]["text"] == "\\ud83d \N{GRINNING FACE} \ufffd"
