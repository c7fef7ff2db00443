"""Streams: their bytes, their order, and that they say what the plain reply says. Over a real socket."""

import json
from collections.abc import AsyncIterator
from itertools import groupby
from typing import Any

import pytest
import pytest_asyncio
from canned import BLOCK, DELTA, START, sse
from misbehaving import chunk, sse_head
from rawhttp import HELLO, Reply, Wire, error, events, exchange, post
from relaying import ASKING, relay
from serving import Serving

from dragoman.engines.offline import tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]

WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
NO_INPUT = {"name": "ring_the_bell", "description": "Ring the bell", "input_schema": {"type": "object"}}


def said(content: Any) -> Json:
    return {"messages": [{"role": "user", "content": content}]}


KINDS: dict[str, Json] = {
    "text": {},
    "text of many characters": said("Zażółć gęślą jaźń, 日本語, 👩‍👩‍👧 and \u2028 too"),
    "a stop sequence": said("one two END three") | {"stop_sequences": ["END"]},
    "cut": {"max_tokens": 5},
    "empty": {"stop_sequences": ["This"]},
    "calls": said("Weather in Rome and in Oslo?") | {"tools": [WEATHER]},
    "a call that is cut": said("Weather in Rome?") | {"tools": [WEATHER], "max_tokens": 17},
    "a call without input": {"tools": [NO_INPUT], "tool_choice": {"type": "any"}},
    "thinking": {"model": "claude-sonnet-4-5", "thinking": {"type": "enabled", "budget_tokens": 1024}},
    "thinking omitted": {"model": "claude-opus-5"},
    "a format": {
        "output_config": {
            "format": {
                "type": "json_schema",
                "schema": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}},
                    "required": ["city"],
                    "additionalProperties": False,
                },
            }
        }
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    async with Serving() as serving:
        yield serving.url


async def create(url: str, **fields: Any) -> Reply:
    asked = {**HELLO, "max_tokens": 2000, **fields}
    answered = await exchange(url, post(asked))
    assert answered.status == 200, answered.body
    return answered


def without_ids(message: Json) -> Json:
    """A message but for its own id and those of its calls, which are new each time."""
    blocks = [{key: value for key, value in block.items() if key != "id"} for block in message["content"]]
    return {key: value for key, value in message.items() if key != "id"} | {"content": blocks}


def folded(told: list[tuple[str, Json]]) -> Json:
    """The message of a stream, put together by hand, not by our own code (STR-54)."""
    message: Json = {}
    inputs: dict[int, str] = {}
    for name, event in told:
        if name == "message_start":
            message = event["message"]
        elif name == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append(event["content_block"])
        elif name == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] = delta["signature"]
                case "input_json_delta":
                    inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
        elif name == "message_delta":
            message |= event["delta"]
            message["usage"] |= event["usage"]
    for at, text in inputs.items():
        try:
            message["content"][at]["input"] = json.loads(text or "{}")
        except json.JSONDecodeError:
            assert message["stop_reason"] == "max_tokens"
            message["content"][at]["input"] = "cut"
    return message


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_adds_up_to_the_plain_reply(url: str, kind: str) -> None:
    """STR-15, STR-13, STR-31, TOOL-41, MSG-106: block by block, and to the token."""
    reply = (await create(url, **KINDS[kind])).json()
    streamed = folded(events((await create(url, **KINDS[kind], stream=True)).body))
    if kind == "a call that is cut":
        # What a stream has sent of it may be no JSON yet, of which a plain reply keeps what could be read (TOOL-23).
        streamed["content"][-1].pop("input")
        assert isinstance(reply["content"][-1].pop("input"), dict)
    assert without_ids(streamed) == without_ids(reply)


@pytest.mark.parametrize("kind", KINDS)
async def test_events_come_in_their_order_and_form(url: str, kind: str) -> None:
    """STR-2, 3, 5, 10, 11, 12, 14, 20, 21, 23, 24, 30, CC-7: names, indexes and payloads, to the last byte."""
    answered = await create(url, **KINDS[kind], stream=True)
    told = events(answered.body)
    assert b"[DONE]" not in answered.body
    assert answered.body.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    names = [name for name, _ in told if name != "ping"]
    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    started = told[0][1]["message"]
    assert (started["content"], started["stop_reason"], started["stop_sequence"]) == ([], None, None)
    assert started["usage"]["input_tokens"] > 0
    assert started["usage"]["output_tokens"] == 1
    inside = [event for name, event in told if name.startswith("content_block")]
    blocks = [list(group) for _, group in groupby(inside, lambda event: event["index"])]
    assert [block[0]["index"] for block in blocks] == list(range(len(blocks)))
    for first, *deltas, last in blocks:
        assert (first["type"], last["type"]) == ("content_block_start", "content_block_stop")
        assert {each["type"] for each in deltas} == {"content_block_delta"}
        types = [each["delta"]["type"] for each in deltas]
        match first["content_block"]:
            case {"type": "text"} as block:
                assert block == {"type": "text", "text": ""}
                assert set(types) == {"text_delta"}
            case {"type": "thinking"} as block:
                assert block == {"type": "thinking", "thinking": "", "signature": ""}
                shown = ["thinking_delta"] * (len(types) - 1)
                assert types == [*shown, "signature_delta"]
                assert bool(shown) == (kind != "thinking omitted")
            case {"type": "tool_use"} as block:
                assert (block["input"], block["caller"]) == ({}, {"type": "direct"})
                assert set(types) == {"input_json_delta"}
                assert deltas[0]["delta"]["partial_json"] == ""
            case block:
                raise AssertionError(block)


async def test_the_last_usage_is_of_the_whole_message(url: str) -> None:
    """STR-13, STR-10, MSG-122: message_start tells one token, message_delta all of them, and the input once more."""
    told = dict(events((await create(url, stream=True)).body))
    reply = (await create(url)).json()
    started, ended = told["message_start"]["message"]["usage"], told["message_delta"]["usage"]
    assert started["output_tokens"] == 1
    assert ended["output_tokens"] == tokens.count(reply["content"][0]["text"], "claude-4.7")
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    assert [ended[name] for name in names] == [started[name] for name in names]


async def test_characters_are_whole_in_every_delta(url: str) -> None:
    """STR-5: each text of an event can stand alone, and together they are what was said."""
    words = "👩‍👩‍👧日本語é" * 30
    told = events((await create(url, **said(words), stream=True)).body)
    texts = [event["delta"]["text"] for name, event in told if name == "content_block_delta"]
    assert len(texts) > 10
    assert all(text.encode().decode() == text for text in texts)  # a half of a pair could not be encoded
    assert words in "".join(texts)


async def test_no_part_of_a_stop_sequence_leaks(url: str) -> None:
    """STR-16: nor its beginning, though it comes in several pieces."""
    stop = "And that, dear reader, is the end"
    told = events((await create(url, **said(f"Once. {stop} of it."), stop_sequences=[stop], stream=True)).body)
    texts = [event["delta"]["text"] for name, event in told if name == "content_block_delta"]
    assert "".join(texts).endswith("You said: Once. ")
    assert len(texts) > 3


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"max_tokens": -1}, 400), ({"model": "nobody"}, 404), ({"messages": []}, 400), ({"thread": {}}, 400)],
)
async def test_what_is_known_before_is_no_stream(url: str, fields: Json, status: int) -> None:
    """STR-6, ERR-1: though a stream was asked for."""
    answered = await exchange(url, post({**HELLO, **fields, "stream": True}))
    error(answered, status)
    assert answered.header("transfer-encoding") is None


async def test_pings_fill_silence_and_change_nothing() -> None:
    """STR-8: a caller of a slow upstream gets them, and a message all the same."""

    async def handler(conn: Any) -> None:
        await conn.read_request()
        await conn.send(sse_head() + chunk(sse(START, BLOCK, DELTA)))
        await conn.wait_closed()

    async with relay(handler, ping_after_s=0.02) as (server, _), await Wire.connect(server.url) as wire:
        await wire.send(post(ASKING))
        seen = await wire.until(b'event: ping\ndata: {"type":"ping"}\n\n')
    assert b"message_start" in seen


async def test_a_broken_answer_can_be_taken_up(url: str) -> None:
    """STR-43, MSG-47, 48: older models go on from a prefill, newer ones in a new turn of the user's."""
    said_so_far = (await create(url, model="claude-haiku-4-5", max_tokens=12)).json()
    assert said_so_far["stop_reason"] == "max_tokens"
    partial = {"role": "assistant", "content": said_so_far["content"]}
    turns = [*HELLO["messages"], partial]
    told = events((await create(url, model="claude-haiku-4-5", messages=turns, stream=True)).body)
    text = "".join(event["delta"]["text"] for name, event in told if name == "content_block_delta")
    assert text
    assert not text.startswith(said_so_far["content"][0]["text"])
    refused = error(await exchange(url, post({**ASKING, "messages": turns})), 400)
    assert refused["message"].startswith("This model does not support assistant message prefill.")
    again = [*turns, {"role": "user", "content": "Go on from where you were."}]
    assert (await create(url, messages=again)).json()["stop_reason"] == "end_turn"
