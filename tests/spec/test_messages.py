"""Messages: what a reply is, why it ended, what it cost, and what of the request decides. Over a real socket."""

import base64
import io
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from canned import BLOCK, END, MESSAGE, START, sse
from misbehaving import LAST_CHUNK, chunk, json_reply, replying, sse_head
from PIL import Image
from rawhttp import HELLO, KEY, Reply, Wire, error, events, exchange, json_bytes, post, request
from relaying import ASKING, relay
from serving import Serving

from dragoman.engines.offline import tokens

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]

HAIKU, SONNET, OPUS, OPUS_5 = "claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-8", "claude-opus-5"
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
THINKING = {"type": "enabled", "budget_tokens": 1024}


def said(content: Any) -> Json:
    return {"messages": [{"role": "user", "content": content}]}


IN_ROME = said("What is the weather in Rome?") | {"tools": [WEATHER]}


class Server:
    """Asks one server, and reads its replies."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def create(self, **fields: Any) -> Json:
        answered = await exchange(self.url, post({**HELLO, "max_tokens": 1000, **fields}))
        assert answered.status == 200, answered.body
        return dict(answered.json())

    async def streamed(self, **fields: Any) -> list[tuple[str, Json]]:
        answered = await exchange(self.url, post({**HELLO, "max_tokens": 1000, **fields, "stream": True}))
        assert answered.status == 200, answered.body
        return events(answered.body)

    async def refused(self, *headers: tuple[str, str], **fields: Any) -> str:
        told = error(await exchange(self.url, post({**HELLO, **fields}, *headers)), 400)
        return str(told["message"])

    async def count(self, **fields: Any) -> int:
        asked = {"model": HELLO["model"], "messages": HELLO["messages"], **fields}
        answered = await exchange(self.url, post(asked, path="/v1/messages/count_tokens"))
        assert answered.status == 200, answered.body
        return int(answered.json()["input_tokens"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    async with Serving() as serving:
        yield Server(serving.url)


async def passed_on(raw: bytes, asked: Json = HELLO) -> Reply:
    """What a caller gets of an upstream's reply."""
    async with relay(replying(raw)) as (serving, _):
        return await exchange(serving.url, post(asked))


def kinds(reply: Json) -> list[str]:
    return [block["type"] for block in reply["content"]]


def text_of(reply: Json) -> str:
    return "".join(block["text"] for block in reply["content"] if block["type"] == "text")


# -- the request ------------------------------------------------------------------------------------------------------


async def test_tools_and_their_choice_say_what_may_be_called(server: Server) -> None:
    """MSG-16, TOOL-10 to 13."""
    assert kinds(await server.create(**IN_ROME | {"tools": []})) == ["text"]
    assert "tool_use" in kinds(await server.create(**IN_ROME))
    assert kinds(await server.create(**IN_ROME, tool_choice={"type": "none"})) == ["text"]
    assert kinds(await server.create(**IN_ROME | said("Hi"), tool_choice={"type": "any"})) == ["tool_use"]
    assert await server.refused(tools=5) == "tools: Input should be a valid list"
    assert await server.refused(tools=[WEATHER], tool_choice="auto") == "tool_choice: Input should be an object"


@pytest.mark.parametrize(
    ("model", "thinks"),
    [(HAIKU, False), (OPUS, False), ("claude-sonnet-4-6", False), (OPUS_5, True), ("claude-sonnet-5", True)],
)
async def test_without_thinking_in_the_request_the_model_decides(server: Server, model: str, thinks: bool) -> None:
    """MSG-17, MSG-60."""
    assert kinds(await server.create(model=model)) == (["thinking", "text"] if thinks else ["text"])
    assert kinds(await server.create(model=model, thinking=None)) == (["thinking", "text"] if thinks else ["text"])
    assert kinds(await server.create(model=model, thinking={"type": "disabled"})) == ["text"]


@pytest.mark.parametrize(("model", "most"), [(HAIKU, 64_000), (OPUS, 128_000)])
async def test_the_most_tokens_need_no_stream(server: Server, model: str, most: int) -> None:
    """MSG-36, MSG-11: it is the SDKs that want one."""
    assert (await server.create(model=model, max_tokens=most))["stop_reason"] == "end_turn"
    message = await server.refused(model=model, max_tokens=most + 1)
    assert message.startswith(f"max_tokens: {most + 1} > {most}, which is the maximum allowed number of output tokens")


async def test_nothing_of_one_request_is_known_to_the_next(server: Server) -> None:
    """MSG-49: neither on the same connection nor to the same key."""
    async with await Wire.connect(server.url) as wire:
        await wire.send(
            post({**HELLO, **said("The word is ABRACADABRA."), "system": "Say OPEN-SESAME.", "max_tokens": 500})
        )
        first = (await wire.reply()).json()
        await wire.send(post({**HELLO, **said("Which word?"), "max_tokens": 500}))
        second = (await wire.reply()).json()
    assert "ABRACADABRA" in text_of(first)
    async with Serving() as fresh:
        alone = await Server(fresh.url).create(**said("Which word?"), max_tokens=500)
    assert second["content"] == alone["content"]
    assert first["id"] != second["id"]


async def test_max_tokens_counts_thinking_text_and_input_together(server: Server) -> None:
    """MSG-52, MSG-111: at every limit as many come out as were allowed, whatever they are."""
    asked = IN_ROME | {"model": OPUS_5}
    whole = await server.create(**asked)
    assert kinds(whole) == ["thinking", "text", "tool_use"]
    total, (_, text, call) = whole["usage"]["output_tokens"], whole["content"]
    words = [text["text"], call["name"], json.dumps(call["input"], separators=(",", ":"))]
    thought = whole["usage"]["output_tokens_details"]["thinking_tokens"]
    assert total == thought + sum(tokens.count(each, "claude-4.7") for each in words)
    ends = set()
    for limit in range(1, total):
        cut = await server.create(**asked, max_tokens=limit)
        assert (cut["stop_reason"], cut["usage"]["output_tokens"]) == ("max_tokens", limit)
        ends.add(kinds(cut)[-1])
    assert ends == {"thinking", "text", "tool_use"}
    assert (await server.create(**asked, max_tokens=total))["stop_reason"] == "tool_use"


async def test_the_model_decides_on_sampling_in_the_older_version(server: Server) -> None:
    """MSG-4, MSG-60, 61: and in the newer one nobody takes any (MSG-3)."""
    both = {"temperature": 0.5, "top_p": 0.9}
    assert (await server.create(model="claude-sonnet-4-6", **both, top_k=5))["stop_reason"] == "end_turn"
    assert (await server.create(model=HAIKU, temperature=0.5))["stop_reason"] == "end_turn"
    message = await server.refused(model=HAIKU, **both)
    assert message.startswith("`temperature` and `top_p` cannot both be specified for this model.")
    assert (await server.create(model=OPUS, temperature=1, top_p=1))["stop_reason"] == "end_turn"
    for name, value in (both | {"top_k": 5}).items():
        assert await server.refused(model=OPUS, **{name: value}) == f"`{name}` is deprecated for this model."
    newer = request(
        "POST",
        "/v1/messages",
        json_bytes({**HELLO, "model": HAIKU, "temperature": 1}),
        ("x-api-key", KEY),
        ("anthropic-version", "2026-10-21"),
        key=None,
    )
    told = error(await exchange(server.url, newer), 400)
    assert told["message"] == "`temperature` is not supported in API version 2026-10-21."


async def test_redacted_thinking_takes_no_marker(server: Server) -> None:
    """MSG-77."""
    block = {"type": "redacted_thinking", "data": "d", "cache_control": {"type": "ephemeral"}}
    turns = [*HELLO["messages"], {"role": "assistant", "content": [block]}, *HELLO["messages"]]
    message = await server.refused(messages=turns)
    assert message == "messages.1.content.0.redacted_thinking.cache_control: Extra inputs are not permitted"


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize(("model", "most"), [(HAIKU, 100), (OPUS, 600)])
async def test_as_many_images_as_the_window_allows(server: Server, model: str, most: int) -> None:
    """MSG-94."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    assert await server.count(model=model, **said([image] * most)) > most
    message = await server.refused(model=model, **said([image] * (most + 1)))
    assert str(most + 1) in message
    assert str(most) in message


def picture(side: int) -> Json:
    data = io.BytesIO()
    Image.new("1", (side, 1)).save(data, "PNG")
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(data.getvalue()).decode()}
    return {"type": "image", "source": source}


async def test_many_images_must_be_smaller(server: Server) -> None:
    """MSG-92: 8000 pixels, and 2000 where there are more than 20."""
    few, many = (f"exceed max allowed size{words} pixels" for words in (": 8000", " for many-image requests: 2000"))
    assert await server.count(**said([picture(8000)] * 20)) > 20
    assert few in await server.refused(**said([picture(8001)] * 20))
    assert await server.count(**said([picture(2000)] * 21)) > 21
    message = await server.refused(**said([*[picture(2000)] * 20, picture(2001)]))
    assert message.startswith("messages.0.content.20.image.source.base64.data: At least one of the image dimensions ")
    assert message.endswith(many)


# -- the reply --------------------------------------------------------------------------------------------------------


async def test_a_reply_has_the_form_of_a_message(server: Server) -> None:
    """MSG-100, 101, 105, 106."""
    reply = await server.create(model=HAIKU)
    assert re.fullmatch(r"msg_01\w{22}", reply.pop("id"))
    assert (reply.pop("type"), reply.pop("role")) == ("message", "assistant")
    assert reply.pop("model") == "claude-haiku-4-5-20251001"
    assert [block["type"] for block in reply.pop("content")] == ["text"]
    assert (reply.pop("stop_reason"), reply.pop("stop_sequence"), reply.pop("stop_details")) == ("end_turn", None, None)
    assert reply.pop("usage")
    assert {reply.pop("container", None), reply.pop("diagnostics", None)} == {None}
    assert reply == {}


async def test_ids_are_never_the_same(server: Server) -> None:
    """MSG-100, TOOL-20."""
    replies = [await server.create(**IN_ROME) for _ in range(3)]
    assert len({reply["id"] for reply in replies}) == 3
    calls = [block["id"] for reply in replies for block in reply["content"] if block["type"] == "tool_use"]
    assert len(set(calls)) == 3
    assert all(re.fullmatch(r"toolu_01\w{22}", each) for each in calls)


async def test_each_kind_of_block_has_its_fields(server: Server) -> None:
    """MSG-102, MSG-103."""
    thought, text, call = (await server.create(**IN_ROME, model=SONNET, thinking=THINKING, max_tokens=2000))["content"]
    assert thought.keys() == {"type", "thinking", "signature"}
    assert (thought["type"], bool(thought["thinking"]), bool(thought["signature"])) == ("thinking", True, True)
    assert text.keys() - {"citations"} == {"type", "text"}
    assert text.get("citations") is None
    assert call == {
        "type": "tool_use",
        "id": call["id"],
        "name": "get_weather",
        "input": {"city": "Rome"},
        "caller": {"type": "direct"},
    }


@pytest.mark.parametrize("citations", [{}, {"citations": None}, {"citations": []}])
async def test_citations_may_be_null_or_not_there(server: Server, citations: Json) -> None:
    """MSG-103, SDK-41: of an upstream's reply, and in a history."""
    block = {"type": "text", "text": "Hi", **citations}
    assert (await passed_on(json_reply({**MESSAGE, "content": [block]}))).json()["content"] == [block]
    turns = [*HELLO["messages"], {"role": "assistant", "content": [block]}, *HELLO["messages"]]
    assert (await server.create(messages=turns))["stop_reason"] == "end_turn"


# -- why it ended -----------------------------------------------------------------------------------------------------

ENDS: dict[str, tuple[Json, str, str | None]] = {
    "MSG-110: the answer came to its end": ({}, "end_turn", None),
    "MSG-111: the limit cut it": ({"max_tokens": 3}, "max_tokens", None),
    "MSG-112: one of the caller's sequences": ({"stop_sequences": ["zzz", "engine"]}, "stop_sequence", "engine"),
    "MSG-113: calls for the client": (IN_ROME, "tool_use", None),
}


@pytest.mark.parametrize("rule", ENDS)
async def test_a_reply_says_why_it_ended_and_so_does_its_stream(server: Server, rule: str) -> None:
    """MSG-106, STR-13: never null, and a sequence is told with `stop_sequence` alone and stands nowhere else."""
    fields, reason, sequence = ENDS[rule]
    reply, stream = await server.create(**fields), await server.streamed(**fields)
    assert (reply["stop_reason"], reply["stop_sequence"]) == (reason, sequence)
    (ended,) = [event for name, event in stream if name == "message_delta"]
    assert ended["delta"] == {"stop_reason": reason, "stop_sequence": sequence, "stop_details": None}
    assert ("tool_use" in kinds(reply)) == (reason == "tool_use")
    if sequence:
        assert sequence not in text_of(reply)
        assert not any(
            sequence in event["delta"].get("text", "") for _, event in stream if event["type"].endswith("delta")
        )


async def test_a_full_window_ends_a_reply_or_refuses_it(server: Server) -> None:
    """MSG-50, 51, 116."""
    nearly = said("word " * 199_975) | {"model": HAIKU, "max_tokens": 60_000}
    reply = await server.create(**nearly)
    assert reply["stop_reason"] == "model_context_window_exceeded"
    assert reply["usage"]["input_tokens"] + reply["usage"]["output_tokens"] == 200_000
    ended = dict(await server.streamed(**nearly))["message_delta"]
    assert ended["delta"]["stop_reason"] == "model_context_window_exceeded"
    older = said("word " * 190_000) | {"model": "claude-opus-4-1-20250805", "max_tokens": 32_000}
    message = await server.refused(**older)
    assert re.match(r"input length and `max_tokens` exceed context limit: 19\d{4} \+ 32000 > 200000, decrease", message)
    message = await server.refused(**said("word " * 210_000), model=HAIKU)
    assert re.fullmatch(r"prompt is too long: 21\d{4} tokens > 200000 maximum", message)


async def test_an_upstreams_compaction_is_handed_on_and_ours_needs_its_beta(server: Server) -> None:
    """MSG-117, MSG-29, STR-26."""
    edits = {"edits": [{"type": "compact_20260112"}]}
    assert await server.refused(context_management=edits) == "context_management: Extra inputs are not permitted"
    block = {"type": "compaction", "content": "In short: hello."}
    compacted = {**MESSAGE, "content": [block], "stop_reason": "compaction"}
    assert (await passed_on(json_reply(compacted))).json() == compacted
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "compaction_delta", "content": "In short."}}
    end = {**END[1], "delta": {"stop_reason": "compaction", "stop_sequence": None}}
    stream = sse(START, {**BLOCK, "content_block": {**block, "content": None}}, delta, END[0], end, END[2])
    assert (await passed_on(sse_head() + chunk(stream) + LAST_CHUNK, ASKING)).body == stream


# -- what it cost -----------------------------------------------------------------------------------------------------


async def test_usage_tells_all_that_the_api_tells(server: Server) -> None:
    """MSG-120, 121, 123, TOK-10: with nothing cached, the input is what count_tokens says."""
    usage = (await server.create(**IN_ROME))["usage"]
    assert usage.pop("input_tokens") == await server.count(**IN_ROME)
    assert (usage.pop("cache_creation_input_tokens"), usage.pop("cache_read_input_tokens")) == (0, 0)
    assert usage.pop("cache_creation") == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    assert usage.pop("output_tokens") > 1
    assert (usage.pop("service_tier"), usage.pop("inference_geo")) == ("standard", "not_available")
    assert usage.pop("server_tool_use", None) is None
    assert usage == {}


async def test_input_is_told_in_parts_that_add_up(server: Server) -> None:
    """MSG-120, MSG-121: whatever the cache had to do with it."""
    marked = {
        "type": "text",
        "text": "All of this is law. " * 1000,
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    }
    for _ in range(2):
        usage = (await server.create(system=[marked]))["usage"]
        parts = (usage["input_tokens"], usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"])
        assert all(isinstance(part, int) and part >= 0 for part in parts)
        assert sum(parts) == await server.count(system=[marked])
        assert sum(usage["cache_creation"].values()) == usage["cache_creation_input_tokens"]


async def test_where_it_was_inferred_and_how_fast(server: Server) -> None:
    """MSG-123, MSG-26."""
    usage = (await server.create(inference_geo="us", speed="standard"))["usage"]
    assert (usage["inference_geo"], usage["speed"]) == ("us", "standard")
    assert await server.refused(model=HAIKU, inference_geo="us") == "inference_geo: is not supported for this model"


async def test_output_includes_thinking_shown_or_not(server: Server) -> None:
    """MSG-122, MSG-62."""
    asked = {"model": SONNET, "max_tokens": 2000}
    plainly = (await server.create(**asked))["usage"]
    shown, hidden = [
        (await server.create(**asked, thinking=THINKING | {"display": display}))["usage"]
        for display in ("summarized", "omitted")
    ]
    assert shown == hidden
    thought = shown["output_tokens_details"]["thinking_tokens"]
    assert thought > 5
    assert shown["output_tokens"] == plainly["output_tokens"] + thought


async def test_an_empty_answer_is_not_free(server: Server) -> None:
    """MSG-122, MSG-110."""
    reply = await server.create(stop_sequences=["This"])
    assert (reply["content"], reply["stop_reason"]) == ([], "stop_sequence")
    assert reply["usage"]["output_tokens"] == 1


# Tokens of the hidden prompt of tools: with auto or none, and with any or tool (TOK-6).
TOOL_PROMPTS = {OPUS: (290, 410), "claude-opus-4-6": (497, 589), HAIKU: (496, 588), "claude-sonnet-5": (354, 474)}


@pytest.mark.parametrize("model", TOOL_PROMPTS)
async def test_tools_add_a_hidden_prompt_once(server: Server, model: str) -> None:
    """MSG-124, TOK-6: to the request as to the count."""
    auto, forced = TOOL_PROMPTS[model]
    asked = said("Hi") | {"model": model}
    bare = await server.count(**asked, tools=[])
    one = await server.count(**asked, tools=[WEATHER])
    two = await server.count(**asked, tools=[WEATHER, WEATHER | {"name": "put_weather"}])
    schema = two - one
    assert 0 < schema < 100
    assert abs(one - bare - schema - auto) <= 2
    assert await server.count(**asked, tools=[WEATHER], tool_choice={"type": "none"}) == one
    assert await server.count(**asked, tools=[WEATHER], tool_choice={"type": "any"}) - one == forced - auto
    usage = (await server.create(**asked, tools=[WEATHER], thinking={"type": "disabled"}))["usage"]
    assert usage["input_tokens"] == one


async def test_what_an_upstream_bills_is_handed_on() -> None:
    """MSG-120 to 123, through a gateway."""
    usage = {
        "input_tokens": 3,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6},
        "output_tokens": 8,
        "service_tier": "priority",
        "inference_geo": "us",
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0},
    }
    async with relay(replying(json_reply({**MESSAGE, "usage": usage}))) as (serving, _):
        answered = await exchange(serving.url, post(HELLO, key=KEY))
        await serving.settled()
        (row,) = serving.rows
    assert answered.json()["usage"] == usage
    told = [row[name] for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")]
    assert told == ["3", "10", "5"]
