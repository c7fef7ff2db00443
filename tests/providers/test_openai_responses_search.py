"""Web search: the API's tool as OpenAI's, its calls as blocks, and blocks as the calls they were. `pain N` is a case of
shared/pain.md; requests and replies without a search are in test_openai_responses.py and ..._reply.py."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from translating_cases import Json, asked, body_of, events_of, folded, question, read_stream, recorded, stream_bytes

from dragoman.errors import ApiError
from dragoman.providers.base import Capabilities, Operation, Question, Target
from dragoman.providers.openai_chat import ChatCompletions
from dragoman.providers.openai_responses import Responses
from dragoman.providers.openai_responses_reply import ResponsesReply
from dragoman.wire.provenance import wrap

STREAMS = {each.name: each for each in recorded("openai_responses", "streams")}
REPLIES = {each.name: each for each in recorded("openai_responses", "replies")}
SEARCHES = Capabilities(web_search=True)
MODEL = "gpt-5.4"
SAID: list[Json] = [{"role": "user", "content": "hi"}]
SEARCH: Json = {"type": "web_search_20250305", "name": "web_search"}
TOOL: Json = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
FETCH: Json = {"type": "web_fetch_20250910", "name": "web_fetch"}
FORCED = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}
THINKS: Json = {"thinking": {"type": "adaptive"}}


def translated(
    messages: list[Json] | None = None, *, model: str = MODEL, can: Capabilities = SEARCHES, **fields: Any
) -> ResponsesReply:
    return Responses().translate(question(model, can=can, messages=messages or SAID, **{"max_tokens": 4096, **fields}))


def sent(reply: ResponsesReply) -> Json:
    return body_of(reply.request.body)


def read(reply: ResponsesReply, body: bytes) -> Json:
    return json.loads(reply.read(Operation.MESSAGES, body).body)


# -- the tool --


def test_a_search_is_offered_where_it_can_be_run() -> None:
    """Pain 48: it is OpenAI's own, and what it finds is asked for."""
    reply = translated(tools=[TOOL, SEARCH])
    body = sent(reply)
    assert [tool["type"] for tool in body["tools"]] == ["function", "web_search"]
    assert "web_search_call.action.sources" in body["include"]
    assert reply.lost == ()


@pytest.mark.parametrize(
    ("model", "can"),
    [(MODEL, Capabilities())]
    + [(model, SEARCHES) for model in ("gpt-4.1-nano", "o3-mini", "o1", "gpt-5-chat-latest", "grok-4", "some-model")],
)
def test_a_search_that_nobody_runs_is_told_as_lost(model: str, can: Capabilities) -> None:
    """Pain 48: neither refused nor declared as a function. Sources: the guide's limitations, and what users quote."""
    reply = translated(tools=[SEARCH], model=model, can=can, tool_choice={"type": "any"})
    assert reply.lost == ("tools.web_search_20250305", "tool_choice")
    assert not {"tools", "tool_choice"} & sent(reply).keys()
    assert "web_search" not in reply.request.body.decode()


def test_only_one_that_may_be_called_directly_is_offered() -> None:
    assert translated(tools=[{**SEARCH, "allowed_callers": ["direct"]}]).lost == ()
    by_code = {**SEARCH, "allowed_callers": ["code_execution_20250825"]}
    assert translated(tools=[by_code]).lost == ("tools.web_search_20250305",)


@pytest.mark.parametrize(
    ("fields", "told", "lost"),
    [
        ({}, {}, ()),
        ({"allowed_domains": ["a.test", "b.test"]}, {"filters": {"allowed_domains": ["a.test", "b.test"]}}, ()),
        (
            {"allowed_domains": ["a.test/blog", "a.test"]},
            {"filters": {"allowed_domains": ["a.test"]}},
            ("tools.allowed_domains",),
        ),
        (
            {"allowed_domains": [f"d{number}.test" for number in range(101)]},
            {"filters": {"allowed_domains": [f"d{number}.test" for number in range(100)]}},
            ("tools.allowed_domains",),
        ),
        ({"blocked_domains": ["a.test"]}, {}, ("tools.blocked_domains",)),
        (
            {"user_location": {"type": "approximate", "city": "Malmö", "country": "SE", "timezone": None}},
            {"user_location": {"type": "approximate", "city": "Malmö", "country": "SE"}},
            (),
        ),
        ({"cache_control": {"type": "ephemeral"}}, {}, ("cache_control",)),
        ({"type": "web_search_20260318", "response_inclusion": "excluded"}, {}, ("tools.response_inclusion",)),
        ({"type": "web_search_20260318", "response_inclusion": "full"}, {}, ()),
    ],
)
def test_what_a_search_is_told(fields: Json, told: Json, lost: tuple[str, ...]) -> None:
    reply = translated(tools=[{**SEARCH, **fields}])
    assert sent(reply)["tools"] == [{"type": "web_search", **told}]
    assert reply.lost == lost


def test_a_limit_of_uses_is_one_of_calls() -> None:
    assert sent(translated(tools=[{**SEARCH, "max_uses": 3}]))["max_tool_calls"] == 3


@pytest.mark.parametrize("others", [[], [TOOL], [FETCH], [TOOL, FETCH]])
@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"type": "auto"}, None),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "web_search"}, FORCED),
    ],
)
def test_every_choice_with_a_search(others: list[Json], choice: Json, told: Any) -> None:
    """Pain 47, 48. A choice has no form of its own for a search (cc-switch#7365, where it was refused)."""
    reply = translated(tools=[*others, SEARCH], tool_choice=choice)
    assert sent(reply).get("tool_choice") == told
    assert "tool_choice" not in reply.lost


def test_a_choice_beside_a_search() -> None:
    """Pain 47: of a function, and of a tool that is lost."""
    chosen = translated(tools=[TOOL, SEARCH], tool_choice={"type": "tool", "name": "f"})
    assert sent(chosen)["tool_choice"] == {"type": "function", "name": "f"}
    lost = translated(tools=[FETCH, SEARCH], tool_choice={"type": "tool", "name": "web_fetch"})
    assert "tool_choice" not in sent(lost)
    assert lost.lost == ("tools.web_fetch_20250910", "tool_choice")
    one = translated(tools=[SEARCH], tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert sent(one)["parallel_tool_calls"] is False


def test_the_other_dialect_hands_searches_over() -> None:
    """Pain 48: at OpenAI, only here are they run."""
    target = Target(
        provider="p", model="gpt-4o", base_url="https://api.openai.com/v1", api_key="k", auth="bearer", can=SEARCHES
    )
    asking = Question(
        request=asked(tools=[SEARCH]), target=target, message_id="m", input_tokens=1, new_tool_id=lambda: "toolu_1"
    )
    assert ChatCompletions().translate(asking).request.url.endswith("/responses")


# -- what it did --


def results(tool_use_id: str, *urls: str) -> Json:
    content = [
        {"type": "web_search_result", "url": url, "title": url, "page_age": None, "encrypted_content": ...}
        for url in urls
    ]
    return {
        "type": "web_search_tool_result",
        "tool_use_id": tool_use_id,
        "content": content,
        "caller": {"type": "direct"},
    }


def call(tool_use_id: str, **told: Any) -> Json:
    caller = {"type": "direct"}
    return {"type": "server_tool_use", "id": tool_use_id, "name": "web_search", "input": told, "caller": caller}


def unsealed(block: Json) -> Json:
    """Without what only its maker reads."""
    if block["type"] != "web_search_tool_result" or not isinstance(block["content"], list):
        return block
    assert all(each["encrypted_content"].startswith("dragoman:openai_responses/p/") for each in block["content"])
    return {**block, "content": [{**each, "encrypted_content": ...} for each in block["content"]]}


URL = "https://smhi.test/malmo"
DEEP = [
    "thinking",
    call("srvtoolu_ws_1", query="weather Malmö", queries=["weather Malmö", "väder Malmö"]),
    results("srvtoolu_ws_1", URL, "https://yr.test/malmo"),
    "thinking",
    call("srvtoolu_ws_2", url=URL),
    results("srvtoolu_ws_2", URL),
    call("srvtoolu_ws_3", url=URL, pattern="rain"),
    results("srvtoolu_ws_3", URL),
    "thinking",
    call("srvtoolu_ws_4", query="coats"),
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_ws_4",
        "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"},
        "caller": {"type": "direct"},
    },
]


@pytest.mark.parametrize("stream", [True, False])
def test_searches_are_blocks_in_their_order(stream: bool) -> None:
    """Pain 48, 58, 59: contiguous, lawful, reasoning where it stood; the same streamed and not."""
    reply = translated(tools=[SEARCH], stream=stream, **THINKS)
    case = (STREAMS if stream else REPLIES)["web_search_reasoning"]
    message = folded(read_stream(reply.stream(), case.body)) if stream else read(reply, case.body)
    *before, text = message["content"]
    assert [block["type"] if block["type"] == "thinking" else unsealed(block) for block in before] == DEEP
    assert text["citations"] == [
        {
            "type": "web_search_result_location",
            "cited_text": "",
            "url": f"{URL}?utm_source=openai",
            "title": "Weather in Malmö",
            "encrypted_index": wrap(f"openai_responses/p/{MODEL}", ""),
        }
    ]
    assert text["text"].startswith("It rains in Malmö.")
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}


def test_both_ways_give_the_same() -> None:
    """STR-15."""
    for name in ("web_search", "web_search_reasoning"):
        reply = translated(tools=[SEARCH], **THINKS)
        whole = read(reply, REPLIES[name].body)
        assert folded(read_stream(reply.stream(), STREAMS[name].body)) == whole
        assert whole == read(reply, REPLIES[name].body)


def test_feeds_that_have_no_address_are_told_by_name() -> None:
    """OpenAI's own: `oai-weather`."""
    content = read(translated(tools=[SEARCH]), REPLIES["web_search"].body)["content"]
    assert [(each["url"], each["title"]) for each in content[1]["content"]] == [
        (URL, URL),
        ("https://yr.test/malmo", "https://yr.test/malmo"),
        ("", "oai-weather"),
    ]


def test_nothing_of_it_is_told_to_those_who_offer_no_search() -> None:
    content = read(translated(), REPLIES["web_search"].body)["content"]
    assert [(block["type"], block.get("citations")) for block in content] == [("text", None)]


def search_item(**fields: Any) -> Json:
    return {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}, **fields}


def told(*items: Json) -> bytes:
    return json.dumps({"status": "completed", "output": items}).encode()


@pytest.mark.parametrize("item_id", ["ws-1", "", None, "ü"])
def test_an_id_that_the_api_would_refuse_is_another(item_id: str | None) -> None:
    content = read(translated(tools=[SEARCH]), told(search_item(id=item_id)))["content"]
    assert [block.get("id") or block["tool_use_id"] for block in content] == ["srvtoolu_1", "srvtoolu_1"]


def test_citations_stand_at_their_text_and_come_once() -> None:
    """Told as they come, in the part, in the item and in the response: each is one citation."""
    chunks = STREAMS["web_search"].chunks
    assert sum("annotation.added" in chunk["type"] for chunk in chunks) == 1
    silent = [chunk for chunk in chunks if "annotation.added" not in chunk["type"]]
    for body in (stream_bytes(chunks), stream_bytes(silent)):
        text = folded(read_stream(translated(tools=[SEARCH], stream=True).stream(), body))["content"][-1]
        assert len(text["citations"]) == 1


def test_a_citation_of_anything_but_an_address_is_left_out() -> None:
    part = {"type": "output_text", "text": "x", "annotations": [{"type": "file_citation", "file_id": "f"}, None, {}]}
    content = read(translated(tools=[SEARCH]), told({"type": "message", "content": [part]}))["content"]
    assert content == [{"type": "text", "text": "x"}] or content == [{"type": "text", "text": "x", "citations": None}]


def variants(value: Any) -> Iterator[Any]:
    """With each key deleted in turn, and each value another."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {name: item for name, item in value.items() if name != key}
            for other in (None, 7, "x", [], {}, [None], [{}], *variants(inner)):
                yield {**value, key: other}
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            for other in variants(inner):
                yield [*value[:at], other, *value[at + 1 :]]


def test_no_change_of_a_chunk_breaks_a_search() -> None:
    """Pain 57, where a search is offered; the rest is in test_contract.py."""
    rng = Random("searches")
    chunks = STREAMS["web_search_reasoning"].chunks
    outcomes = set()
    for at, chunk in enumerate(chunks):
        changed = list(variants(chunk))
        for variant in rng.sample(changed, min(len(changed), 60)):
            reader = translated(tools=[SEARCH], stream=True, **THINKS).stream()
            out = b""
            try:
                out = reader.feed(stream_bytes([*chunks[:at], variant, *chunks[at + 1 :]]))
                out += b"" if reader.is_done else reader.close()
                outcomes.add("done")
            except ApiError:
                outcomes.add("failed")
            events_of(out)
    assert outcomes == {"done", "failed"}


# -- and back --


def history(name: str = "web_search_reasoning", *, tools: list[Json] | None = None) -> list[Json]:
    content = read(translated(tools=tools or [SEARCH], **THINKS), REPLIES[name].body)["content"]
    return [*SAID, {"role": "assistant", "content": content}, {"role": "user", "content": "go on"}]


def test_searches_go_back_as_they_came() -> None:
    """Pain 6, 48: with the reasoning that led to them; a search that failed has no place to hold what it was."""
    reply = translated(history(), tools=[SEARCH], **THINKS)
    made = json.loads(REPLIES["web_search_reasoning"].body)["output"]
    back = sent(reply)["input"][1:-1]
    assert back[:5] == made[:5]
    assert [item["type"] for item in back[5:]] == ["message", "message"]
    assert "answered: error unavailable]" in back[5]["content"]
    assert reply.lost == ("thinking",)


@pytest.mark.parametrize(("model", "provider"), [("gpt-5.5", "p"), (MODEL, "q")])
def test_searches_of_another_origin_are_notes(model: str, provider: str) -> None:
    """Pain 7: without the reasoning that led to them; what was said of them stays."""
    target = Target(provider=provider, model=model, base_url="https://o.test", api_key="k", auth="bearer", can=SEARCHES)
    asking = Question(
        request=asked(messages=history(), tools=[SEARCH]),
        target=target,
        message_id="m",
        input_tokens=1,
        new_tool_id=lambda: "t",
    )
    reply = Responses().translate(asking)
    items = sent(reply)["input"]
    assert {item["type"] for item in items} == {"message"}
    called = "The tool web_search was called with"
    assert [each["content"].count(called) for each in items[1:-1]] == [1] * 4 + [0]
    assert "https://" in items[1]["content"]
    assert set(reply.lost) == {"thinking", "web_search_tool_result"}


def test_a_search_without_its_reasoning_is_a_note() -> None:
    """Refused otherwise: "provided without its required 'reasoning' item". Programs may drop thinking blocks."""
    turns = history()
    turns[1]["content"] = [block for block in turns[1]["content"] if block["type"] != "thinking"]
    items = sent(translated(turns, tools=[SEARCH]))["input"]
    assert [item.get("id") for item in items] == [None, None, None, "ws_3", None, None, None]


def test_reasoning_without_its_search_is_left_out() -> None:
    """Refused otherwise: "provided without its required following item". Programs may drop blocks of tools."""
    turns = history()
    kept = ("thinking", "text")
    turns[1]["content"] = [block for block in turns[1]["content"] if block["type"] in kept]
    reply = translated(turns, tools=[SEARCH])
    assert [item["type"] for item in sent(reply)["input"]] == ["message", "message", "message"]
    assert reply.lost == ("thinking",)


def test_a_search_goes_back_to_models_that_do_not_reason() -> None:
    content = read(translated(tools=[SEARCH], model="gpt-4o"), REPLIES["web_search"].body)["content"]
    turns = [*SAID, {"role": "assistant", "content": content}, *SAID]
    reply = translated(turns, tools=[SEARCH], model="gpt-4o")
    assert sent(reply)["input"][1] == json.loads(REPLIES["web_search"].body)["output"][0]
    assert reply.lost == ()


@pytest.mark.parametrize(
    "opaque",
    ["EqgB", wrap(f"openai_responses/p/{MODEL}", ""), wrap(f"openai_responses/p/{MODEL}", '{"id":"ws_1"}'),
     wrap(f"openai_responses/p/{MODEL}", "[1"), wrap("gemini/p/m", "{}")],
)  # fmt: skip
def test_results_that_hold_no_call_are_notes(opaque: str) -> None:
    """Claude's, forged ones, and those of others."""
    found = {"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": opaque}
    content = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found]},
        {"type": "text", "text": "So it is."},
    ]
    reply = translated([*SAID, {"role": "assistant", "content": content}, *SAID], tools=[SEARCH])
    items = sent(reply)["input"]
    assert [item["type"] for item in items] == ["message"] * 4
    called = 'The tool web_search was called with {"query": "q"} and answered'
    assert items[1]["content"] == f"\n[{called}: url: u\ntitle: t]\n"
    assert reply.lost == (() if opaque == "EqgB" else ("web_search_tool_result",))  # of the API's: wire/retold.py
