"""Tools: what is called, what comes back, and what is refused. Over real sockets."""

import json
from collections.abc import AsyncIterator
from typing import Any

import jsonschema
import pytest
import pytest_asyncio
from canned import MESSAGE, START, sse
from misbehaving import LAST_CHUNK, chunk, json_reply, replying, sse_head
from rawhttp import HELLO, Reply, error, events, exchange, post
from relaying import ASKING, relay
from serving import Serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"name": "get_weather", "description": "The weather in a city", "input_schema": CITY}
ANY = {"type": "any"}


def turns(*contents: Any) -> Json:
    """A conversation, the user first."""
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[at % 2], "content": content} for at, content in enumerate(contents)]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    async with Serving() as serving:
        yield serving.url


async def create(url: str, *headers: tuple[str, str], **fields: Any) -> Json:
    answered = await exchange(url, post({**HELLO, "max_tokens": 3000, **fields}, *headers))
    assert answered.status == 200, answered.body
    return dict(answered.json())


async def passed_on(raw: bytes, asked: Json) -> tuple[Reply, Json]:
    """What a caller gets of an upstream's reply, and what the upstream got."""
    async with relay(replying(raw)) as (serving, upstream):
        answered = await exchange(serving.url, post(asked))
        return answered, upstream.requests[0].json()


def calls_of(reply: Json) -> list[Json]:
    return [block for block in reply["content"] if block["type"] == "tool_use"]


# -- tools that a client runs -----------------------------------------------------------------------------------------

COMPUTER = {"name": "computer", "display_width_px": 800, "display_height_px": 600}
CLIENT_TOOLS: dict[str, tuple[Json, set[str]]] = {
    "TOOL-50": ({"type": "bash_20250124", "name": "bash"}, {"command", "restart"}),
    "TOOL-51": ({"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}, {"command", "path"}),
    "TOOL-52": ({"type": "text_editor_20250124", "name": "str_replace_editor"}, {"command", "path"}),
    "TOOL-53": ({"type": "memory_20250818", "name": "memory"}, {"command", "path"}),
    "TOOL-54": ({"type": "computer_toolset_20260801"}, set()),
    "TOOL-55": ({"type": "computer_20251124", **COMPUTER}, {"action"}),
}


@pytest.mark.parametrize("rule", CLIENT_TOOLS)
async def test_tools_that_a_client_runs_are_supported_whole(url: str, rule: str) -> None:
    """TOOL-61, TOOL-70: without a schema of the caller's they are called with input of theirs, and answered."""
    tool, keys = CLIENT_TOOLS[rule]
    asked = {"tools": [tool], "model": "claude-opus-4-8"}
    beta = ("anthropic-beta", "computer-use-2025-11-24")  # TOOL-55
    reply = await create(url, beta, **asked, **turns("Please go ahead."), tool_choice=ANY)
    (call,) = calls_of(reply)
    assert reply["stop_reason"] == "tool_use"
    if "name" in tool:
        assert call["name"] == tool["name"]
        assert "toolset_name" not in call
        assert keys & call["input"].keys()
    else:
        assert call["toolset_name"] == "computer"
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "it went well"}
    if "toolset_name" in call:
        result["toolset_name"] = call["toolset_name"]
    after = await create(url, beta, **asked, **turns("Please go ahead.", reply["content"], [result]))
    assert (after["stop_reason"], calls_of(after)) == ("end_turn", [])
    assert "it went well" in after["content"][0]["text"]


# -- calls ------------------------------------------------------------------------------------------------------------


async def test_calls_in_parallel_are_one_turn_with_ids_of_their_own(url: str) -> None:
    """TOOL-19, TOOL-20, MSG-113."""
    reply = await create(url, **turns("The weather in Rome and in Oslo?"), tools=[WEATHER])
    calls = calls_of(reply)
    assert [call["input"] for call in calls] == [{"city": "Rome"}, {"city": "Oslo"}]
    assert len({call["id"] for call in calls}) == 2
    assert all(call["id"].startswith("toolu_") for call in calls)
    assert reply["stop_reason"] == "tool_use"


@pytest.mark.parametrize("choice", [ANY, {"type": "tool", "name": "get_weather"}])
async def test_a_forced_call_comes_without_a_word(url: str, choice: Json) -> None:
    """TOOL-11, 12, 14: though the prompt asks for nothing of the kind."""
    reply = await create(url, **turns("Tell me a joke."), tools=[WEATHER], tool_choice=choice)
    assert [block["type"] for block in reply["content"]] == ["tool_use"]
    assert reply["stop_reason"] == "tool_use"


@pytest.mark.parametrize("eager", [None, False, True])
async def test_the_fragments_of_an_input_join_to_it(url: str, eager: bool | None) -> None:
    """TOOL-41, STR-21: buffered or eager, to what the plain reply holds."""
    asked = {**turns("The weather in Rome?"), "tools": [WEATHER | {"eager_input_streaming": eager}]}
    answered = await exchange(url, post({**ASKING, **asked, "max_tokens": 500}))
    parts = [
        event["delta"]["partial_json"]
        for name, event in events(answered.body)
        if name == "content_block_delta" and event["delta"]["type"] == "input_json_delta"
    ]
    (call,) = calls_of(await create(url, **asked))
    assert json.loads("".join(parts)) == call["input"] == {"city": "Rome"}


@pytest.mark.parametrize("limit", [10, 12, 14, 15, 16, 17])
async def test_a_call_that_is_cut_keeps_its_block(url: str, limit: int) -> None:
    """TOOL-23, MSG-111: its input is what could be parsed, and it says that it was cut."""
    tool = WEATHER | {"input_schema": {"type": "object", "properties": {"a_long_name_of_a_city": {"type": "string"}}}}
    asked = {"tools": [tool], "tool_choice": ANY}
    reply = await create(url, **turns("The weather in Rome?"), **asked, max_tokens=limit)
    assert reply["stop_reason"] == "max_tokens"
    assert [block["type"] for block in reply["content"]] in (["tool_use"], [])
    assert all(isinstance(call["input"], dict) for call in calls_of(reply))
    answered = await exchange(url, post({**ASKING, **turns("The weather in Rome?"), **asked, "max_tokens": limit}))
    names = [name for name, _ in events(answered.body)]
    assert names.count("content_block_start") == names.count("content_block_stop") == len(reply["content"])


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
PAPER = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a paper"}}
RESULTS: list[tuple[Json, str]] = [
    ({"content": "18 degrees"}, "returned: 18 degrees"),
    ({"content": [{"type": "text", "text": "18"}, {"type": "text", "text": "degrees"}]}, "returned: 18\ndegrees"),
    ({"content": [IMAGE]}, "returned: a 1x1 PNG image"),
    ({"content": [PAPER]}, 'returned: a document (7 characters: "a paper")'),
    ({"content": []}, "returned: "),
    ({"content": ""}, "returned: "),
    ({}, "returned: "),
    ({"content": "no such city", "is_error": True}, "failed with: no such city"),
    ({"is_error": True}, "failed with: "),
    ({"content": "fine", "is_error": False}, "returned: fine"),
]


@pytest.mark.parametrize(("fields", "told"), RESULTS, ids=[told for _, told in RESULTS])
async def test_a_result_may_be_text_blocks_nothing_or_an_error(url: str, fields: Json, told: str) -> None:
    """TOOL-22, MSG-86: and it is what the answer is about."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", **fields}
    reply = await create(url, **turns("Weather?", [call], [result]), tools=[WEATHER])
    assert reply["stop_reason"] == "end_turn"
    assert f'get_weather({{"city":"Rome"}}) {told}' in reply["content"][0]["text"]


BROKEN = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"town": ["Rome"], "more": None}}


async def test_an_input_that_breaks_its_schema_is_not_mended(url: str) -> None:
    """TOOL-21: neither on its way from an upstream nor in a history."""
    reply = {**MESSAGE, "content": [BROKEN], "stop_reason": "tool_use"}
    asked = {**HELLO, **turns("Weather?"), "tools": [WEATHER]}
    answered, _ = await passed_on(json_reply(reply), asked)
    assert answered.json()["content"] == [BROKEN]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no such town", "is_error": True}
    after = await create(url, **turns("Weather?", [BROKEN], [result]), tools=[WEATHER])
    assert 'get_weather({"town":["Rome"],"more":null}) failed with: no such town' in after["content"][0]["text"]


STRICT: dict[str, Json] = {
    "required": CITY,
    "nested": {
        "type": "object",
        "properties": {
            "who": {"anyOf": [{"$ref": "#/$defs/person"}, {"type": "null"}]},
            "when": {"type": "string", "format": "date-time"},
            "size": {"enum": ["small", "large"]},
            "count": {"type": "integer"},
            "names": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        },
        "required": ["size", "count", "names", "who"],
        "additionalProperties": False,
        "$defs": {
            "person": {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
                "additionalProperties": False,
            }
        },
    },
}


@pytest.mark.parametrize("kind", STRICT)
@pytest.mark.parametrize("prompt", ["Hi", "Rome, 17 large ones for Ann at noon", "x" * 300])
async def test_strict_is_kept(url: str, kind: str, prompt: str) -> None:
    """TOOL-32: whatever is said, the input fits the schema."""
    tool = WEATHER | {"strict": True, "input_schema": STRICT[kind]}
    (call,) = calls_of(await create(url, **turns(prompt), tools=[tool], tool_choice=ANY))
    jsonschema.validate(call["input"], STRICT[kind])


# -- tools that a server runs -----------------------------------------------------------------------------------------

SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [
        {"type": "web_search_result", "url": "https://a.test", "title": "A", "encrypted_content": "b3BhcXVl=="}
    ],
}
FAILED = FOUND | {"content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}}
CITED = {
    "type": "text",
    "text": "So it is.",
    "citations": [
        {
            "type": "web_search_result_location",
            "url": "https://a.test",
            "title": "A",
            "cited_text": "it is",
            "encrypted_index": "aW5kZXg=",
        }
    ],
}
SEARCHED = {"server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0}}


@pytest.mark.parametrize("result", [FOUND, FAILED], ids=["found", "failed"])
async def test_a_server_tool_of_an_upstream_works_through_a_gateway(result: Json) -> None:
    """TOOL-62, TOOL-63, TOOL-71: call, result and count come back, and all that is encrypted goes there again."""
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}
    content = [SEARCH, result, CITED]
    reply = {**MESSAGE, "content": content, "usage": {"input_tokens": 1, "output_tokens": 1, **SEARCHED}}
    answered, seen = await passed_on(json_reply(reply), {**HELLO, "tools": [tool]})
    assert answered.status == 200
    assert answered.json() == reply
    assert seen["tools"] == [tool]
    again = {**HELLO, **turns("?", answered.json()["content"], "And?"), "tools": [tool]}
    _, seen = await passed_on(json_reply(MESSAGE), again)
    assert seen["messages"][1]["content"] == content


async def test_the_result_of_a_server_tool_comes_whole_in_a_stream() -> None:
    """TOOL-62, STR-25, through a gateway."""
    stream = sse(
        START,
        {"type": "content_block_start", "index": 0, "content_block": SEARCH | {"input": {}}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": FOUND},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": SEARCHED | {"output_tokens": 5},
        },
        {"type": "message_stop"},
    )
    answered, _ = await passed_on(sse_head() + chunk(stream) + LAST_CHUNK, ASKING)
    assert answered.body == stream


SERVER_TOOLS: dict[str, Json] = {
    "TOOL-56": {"type": "web_search_20260318", "name": "web_search", "allowed_domains": ["a.test"]},
    "TOOL-57": {"type": "web_fetch_20250910", "name": "web_fetch", "max_content_tokens": 5},
    "TOOL-58": {"type": "code_execution_20260120", "name": "code_execution"},
    "TOOL-59": {"type": "tool_search_tool_bm25", "name": "tool_search_tool_bm25"},
    "TOOL-60": {"type": "advisor_20260301", "name": "advisor"},
}


@pytest.mark.parametrize("rule", SERVER_TOOLS)
async def test_a_server_tool_is_never_taken_and_ignored(url: str, rule: str) -> None:
    """TOOL-71."""
    tool = SERVER_TOOLS[rule]
    told = error(await exchange(url, post({**HELLO, "tools": [WEATHER, tool]})), 400)
    assert told["message"].startswith(f"tools.1: Input tag '{tool['type']}' found using 'type' does not match any of")
    assert "'bash_20250124'" in told["message"]
