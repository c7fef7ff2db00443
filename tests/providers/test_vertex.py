"""Claude on Vertex AI: what it is sent there. See also test_vertex_replies.py and test_vertex_gemini.py."""

import json
from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Any

import pytest
from asking import CLAUDE_CODE_BETAS, claude_code_body
from fake_vertex_rules import check, check_count, signature
from translating_cases import SECRET, Json, body_of

from dragoman.errors import ApiError, InvalidRequest, NotFound
from dragoman.providers.base import Operation, Target, UpstreamRequest
from dragoman.providers.vertex import RawPredict, is_claude
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers

BASE = "https://us-east5-aiplatform.test/v1/projects/p/locations/us-east5"
NEW, OLD = "claude-opus-4-8@20260101", "claude-haiku-4-5@20251001"
HI: Json = {"role": "user", "content": "hi"}
EDITING, SEARCH = "context-management-2025-06-27", "web-search-2025-03-05"
TOOL_SEARCH = "tool-search-tool-2025-10-19"
TOOL: Json = {"name": "t", "input_schema": {"type": "object"}}


def target(model: str = NEW, **fields: Any) -> Target:
    return Target(**{"provider": "p", "model": model, "base_url": BASE, "api_key": None, "auth": "google"} | fields)


def prepared(
    body: Json | bytes,
    *betas: str,
    model: str = NEW,
    operation: Operation = Operation.MESSAGES,
    version: str = "2023-06-01",
    **fields: Any,
) -> UpstreamRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = Headers([("anthropic-version", version), *([("anthropic-beta", ", ".join(betas))] if betas else [])])
    return RawPredict().prepare(operation, Envelope(raw), headers, target=target(model, **fields))


def request(**fields: Any) -> Json:
    return {"model": "claude-opus-4-8", "max_tokens": 100, "messages": [HI], **fields}


def sent(*betas: str, model: str = NEW, **fields: Any) -> Json:
    return body_of(prepared(request(**fields), *betas, model=model).body)


def lost(*betas: str, model: str = NEW, **fields: Any) -> list[str]:
    return list(prepared(request(**fields), *betas, model=model).lost)


def named(request: UpstreamRequest) -> list[str]:
    value = dict(request.headers).get("anthropic-beta")
    return [] if value is None else value.split(",")


# -- Claude: where and how it is asked --


@pytest.mark.parametrize(
    ("operation", "stream", "path"),
    [
        (Operation.MESSAGES, False, f"{NEW}:rawPredict"),
        (Operation.MESSAGES, True, f"{NEW}:streamRawPredict"),
        (Operation.COUNT_TOKENS, False, "count-tokens:rawPredict"),
    ],
)
def test_the_address_tells_model_and_verb(operation: Operation, stream: bool, path: str) -> None:
    asked = prepared(request(stream=True) if stream else request(), operation=operation)
    assert asked.url == f"{BASE}/publishers/anthropic/models/{path}"
    assert dict(asked.headers)["accept"] == ("text/event-stream" if stream else "application/json")


def test_the_model_goes_out_of_the_body_the_version_comes_in_and_stream_stays() -> None:
    asked = body_of(prepared(request(stream=True)).body)
    expected = {name: value for name, value in request(stream=True).items() if name != "model"}
    assert asked == {**expected, "anthropic_version": "vertex-2023-10-16"}


@pytest.mark.parametrize(
    ("version", "theirs"),
    [("2023-06-01", "vertex-2023-10-16"), ("2026-10-21", "2026-10-21"), ("2030-01-01", "vertex-2023-10-16")],
)
def test_the_callers_version_is_that_of_the_reply(version: str, theirs: str) -> None:
    """MSG-3: the newer one is available there, by its own name."""
    assert body_of(prepared(request(), version=version).body)["anthropic_version"] == theirs


def test_what_stays_keeps_its_bytes() -> None:
    """Pain 6, 10: caches and signatures depend on them."""
    turns = (
        '[ {"role":"user", "content":"M\\u00e4lm\\u00f6 1.0e2"},{"content":[{"type":"thinking","thinking":"\\/",'
        '"signature":"Eq+/="},{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}],"role":"assistant"} ]'
    )
    system = '[{"type" : "text","text":"\\ud83d\\ude00", "cache_control": {"ttl":"1h","type":"ephemeral"} }]'
    raw = (
        f'{{ "model":"claude-opus-4-8",\n  "system":{system} ,"max_tokens" : 10, "messages" : {turns},"speed":"fast" }}'
    )
    body = prepared(raw.encode()).body
    assert turns.encode() in body
    assert system.encode() in body
    assert b'"max_tokens" : 10' in body
    assert body_of(body) == {
        **{name: value for name, value in json.loads(raw).items() if name not in ("model", "speed")},
        "anthropic_version": "vertex-2023-10-16",
    }


@pytest.mark.parametrize("model", ["claude/../x", "claude x", "claude:rawPredict", "claude-x?alt=sse", "", "@claude"])
def test_what_is_no_name_of_a_model_is_not_asked(model: str) -> None:
    with pytest.raises(NotFound):
        prepared(request(), model=model)


def test_claude_is_told_by_its_name() -> None:
    assert is_claude(NEW)
    assert not is_claude("gemini-3-flash-preview")


@pytest.mark.parametrize(
    ("auth", "header"), [("bearer", ("authorization", f"Bearer {SECRET}")), ("x-api-key", ("x-goog-api-key", SECRET))]
)
def test_a_key_that_was_configured_is_shown(auth: str, header: tuple[str, str]) -> None:
    assert header in prepared(request(), api_key=SECRET, auth=auth).headers


def test_a_token_of_googles_is_left_to_the_gateway() -> None:
    assert {name for name, _ in prepared(request()).headers} == {"content-type", "accept"}


# -- what Vertex refuses --


def test_claude_codes_whole_request_is_taken() -> None:
    """Pain 14: its headers and its body, by new models and old ones; what went is told."""
    for model in (NEW, OLD, "claude-opus-4-6", "claude-sonnet-5", "claude-opus-5-5"):
        thinking = (
            {"thinking": {"type": "enabled", "budget_tokens": 4000}, "max_tokens": 32_000} if model == OLD else {}
        )
        body = json.loads(json.dumps(claude_code_body() | thinking).replace("c2lnbmF0dXJl", signature("", model)))
        asked = prepared(body, *CLAUDE_CODE_BETAS, "of-a-later-version-2027-01-01", model=model)
        check(body_of(asked.body), named(asked), model)
        assert named(asked) == ["claude-code-20250219", "interleaved-thinking-2025-05-14", EDITING, TOOL_SEARCH]
        assert "betas.of-a-later-version-2027-01-01" in asked.lost
        assert "betas.per-turn-control-2026-07-01" in asked.lost
        assert ("output_config.effort" in asked.lost) == (model == OLD)


def blocks_of(message: Json) -> list[Json]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cache_control", {"type": "ephemeral"}),
        ("container", "c"),
        ("mcp_servers", []),
        ("service_tier", "auto"),
        ("inference_geo", "us"),
        ("speed", "fast"),
        ("fallbacks", []),
        ("diagnostics", {"previous_message_id": "m"}),
        ("thread", {}),
        ("of_a_later_version", 1),
    ],
)
def test_a_field_that_vertex_refuses_goes_and_is_told(name: str, value: Any) -> None:
    """Pain 10, 14: also one that nobody knows yet. A null asks for nothing, and goes in silence."""
    assert sent(**{name: value}) == sent()
    assert lost(**{name: value}) == [name]
    assert lost(**{name: None}) == []


@pytest.mark.parametrize(
    ("beta", "goes_as"),
    [
        ("interleaved-thinking-2025-05-14", "interleaved-thinking-2025-05-14"),
        ("context-1m-2025-08-07", "context-1m-2025-08-07"),
        ("advanced-tool-use-2025-11-20", TOOL_SEARCH),
        (TOOL_SEARCH, TOOL_SEARCH),
        ("effort-2025-11-24", None),  # needs no name from 4.6 on, and is refused before
        ("prompt-caching-2024-07-31", None),
    ],
)
def test_a_beta_goes_by_the_name_that_vertex_has_for_it(beta: str, goes_as: str | None) -> None:
    asked = prepared(request(), beta)
    assert named(asked) == ([] if goes_as is None else [goes_as])
    assert asked.lost == ()


def test_a_beta_that_vertex_does_not_know_goes_and_is_told() -> None:
    asked = prepared(
        request(), "skills-2025-10-02", "interleaved-thinking-2025-05-14", "prompt-caching-scope-2026-01-05"
    )
    assert named(asked) == ["interleaved-thinking-2025-05-14"]
    assert asked.lost == ("betas.skills-2025-10-02", "betas.prompt-caching-scope-2026-01-05")


def test_names_that_a_caller_made_up_cannot_fill_a_header_or_break_it() -> None:
    many = {f"f{number}": 1 for number in range(500)}
    told = lost(**many)
    assert len(told) == 41
    assert told[-1] == "others"
    for name in ("a,b", "a\r\nx-y: z", "ä", "x" * 65, ""):
        assert lost(**{name: 1}) == ["others"]


def test_claude_codes_stamp_is_taken_out() -> None:
    """Pain 11: requests that differ in nothing else are the same to the byte."""
    stamps = [f"x-anthropic-billing-header: cc_version=2.1; cch={each};" for each in ("a1", "b2")]
    bodies = [
        prepared(request(system=[{"type": "text", "text": each}, {"type": "text", "text": "Be brief."}])).body
        for each in stamps
    ]
    assert bodies[0] == bodies[1]
    assert body_of(bodies[0])["system"] == [{"type": "text", "text": "Be brief."}]
    assert "system" not in sent(system=[{"type": "text", "text": stamps[0]}])


def test_marks_for_the_cache_stay_and_their_scope_goes() -> None:
    """Pain 10: wherever they stand; what a tool was called with is not ours to change."""
    scoped = {"type": "ephemeral", "scope": "global", "ttl": "1h"}
    plain = {"type": "ephemeral", "ttl": "1h"}
    inputs = {"cache_control": {"scope": "global"}}

    def marked(mark: Json) -> Json:
        text = {"type": "text", "text": "x", "cache_control": mark}
        return {
            "system": [text],
            "tools": [{**TOOL, "cache_control": mark}],
            "messages": [
                {"role": "user", "content": [text]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "t", "input": inputs}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": [text]}]},
            ],
        }

    assert sent(**marked(scoped)) == sent(**marked(plain))
    assert lost(**marked(scoped)) == ["cache_control.scope"]
    assert lost(**marked(plain)) == []


@pytest.mark.parametrize(
    ("model", "thinking", "left", "told"),
    [
        (OLD, {"type": "adaptive", "display": "updates"}, {"type": "adaptive"}, ["thinking.display"]),
        ("claude-opus-5-5", {"type": "adaptive", "display": "updates"}, {"type": "adaptive", "display": "updates"}, []),
        (OLD, {"type": "adaptive", "display": "omitted"}, {"type": "adaptive", "display": "omitted"}, []),
        (NEW, {"type": "adaptive", "block_binding": "x"}, {"type": "adaptive"}, ["thinking.block_binding"]),
    ],
)
def test_what_a_model_does_not_know_of_thinking_goes(model: str, thinking: Json, left: Json, told: list[str]) -> None:
    assert sent(model=model, thinking=thinking)["thinking"] == left
    assert lost(model=model, thinking=thinking) == told


def test_output_config_is_what_vertex_knows_of_it() -> None:
    config = {"effort": "high", "task_budget": {"total": 1}, "format": {"type": "json_schema", "schema": {}}}
    assert sent(output_config=config)["output_config"].keys() == {"effort", "format"}
    assert lost(output_config=config) == ["output_config.task_budget"]
    assert sent(model=OLD, output_config=config)["output_config"].keys() == {"format"}
    assert "output_config" not in sent(model=OLD, output_config={"effort": "low"})


@pytest.mark.parametrize("betas", [(), ("compact-2026-01-12",), (EDITING,)])
def test_edits_of_the_context_have_a_beta(betas: tuple[str, ...]) -> None:
    asked = prepared(request(context_management={"edits": []}), *betas)
    assert named(asked) == list(betas or (EDITING,))
    assert asked.lost == ()


# -- tools --


@pytest.mark.parametrize(
    ("kind", "beta"),
    [
        ("bash_20250124", None),
        ("text_editor_20250728", None),
        ("memory_20250818", EDITING),
        ("computer_20250124", "computer-use-2025-01-24"),
        ("web_search_20250305", SEARCH),
        ("tool_search_tool_regex_20251119", TOOL_SEARCH),
    ],
)
def test_a_tool_brings_the_beta_that_it_needs_there(kind: str, beta: str | None) -> None:
    """Pain 48: web search runs on Vertex, with a beta that Anthropic's own API no longer asks for."""
    asked = prepared(request(tools=[{"type": kind, "name": "x"}]))
    assert named(asked) == ([] if beta is None else [beta])
    assert body_of(asked.body)["tools"] == [{"type": kind, "name": "x"}]
    assert asked.lost == ()


def test_tools_that_vertex_does_not_run_go_with_what_chooses_them() -> None:
    """Pain 47, 48."""
    fetch = {"type": "web_fetch_20250910", "name": "web_fetch"}
    choice = {"type": "tool", "name": "web_fetch"}
    assert sent(tools=[fetch, TOOL])["tools"] == [TOOL]
    assert lost(tools=[fetch, TOOL], tool_choice=choice) == ["tools.web_fetch_20250910", "tool_choice"]
    assert sent(tools=[fetch, TOOL], tool_choice={"type": "any"})["tool_choice"] == {"type": "any"}
    assert sent(tools=[fetch], tool_choice={"type": "any"}) == sent()
    assert "tools.mcp_toolset" in lost(tools=[{"type": "mcp_toolset", "mcp_server_name": "x"}])


def test_options_of_tools_that_vertex_does_not_know_go() -> None:
    """Pain 14: `defer_loading` is known, with a beta."""
    tool = {
        **TOOL,
        "input_examples": [{}],
        "allowed_callers": ["code_execution_20250825"],
        "of_later": 1,
        "strict": True,
    }
    assert sent(tools=[tool])["tools"] == [{**TOOL, "strict": True}]
    assert lost(tools=[tool]) == ["tools.input_examples", "tools.allowed_callers", "tools.of_later"]
    says_nothing = {**TOOL, "allowed_callers": ["direct"], "eager_input_streaming": False}
    assert sent(tools=[says_nothing])["tools"] == [TOOL]
    assert lost(tools=[says_nothing]) == []
    deferred = prepared(request(tools=[{**TOOL, "defer_loading": True}]))
    assert named(deferred) == [TOOL_SEARCH]
    assert body_of(deferred.body)["tools"] == [{**TOOL, "defer_loading": True}]


# -- messages --

SYSTEM: Json = {"role": "system", "content": "Be brief."}


def test_system_turns_stay_where_the_model_knows_them() -> None:
    """Pain 12, 13: otherwise they are the user's, in their place."""
    turns = [HI, SYSTEM, {"role": "assistant", "content": "ok"}, HI, {**SYSTEM, "content": blocks_of(SYSTEM)}]
    for model in (NEW, "claude-opus-5", "claude-fable-5-2", "claude-sonnet-5-5", "claude-of-the-future"):
        assert sent(model=model, messages=turns)["messages"] == turns
    for model in (OLD, "claude-3-5-haiku@20241022", "claude-opus-4@20250514", "claude-sonnet-5", "claude-opus-4-7"):
        after = sent(model=model, messages=turns)["messages"]
        assert [each["role"] for each in after] == ["user", "user", "assistant", "user", "user"]
        assert after[1]["content"] == "<system>\nBe brief.\n</system>"
        assert [block["text"] for block in after[4]["content"]] == ["<system>", "Be brief.", "</system>"]
        assert (after[0], after[2]) == (turns[0], turns[2])


def test_fields_of_a_message_and_changes_of_tools_go() -> None:
    """Pain 14: betas that Vertex does not know would be needed. A turn of nothing else goes too."""
    change = {"type": "tool_addition", "tool": {}}
    turns = [
        HI,
        {**SYSTEM, "output_config": {"effort": "low"}, "clear_at": None},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": [{"type": "text", "text": "x"}, change]},
        {"role": "system", "content": [change]},
    ]
    after = sent(messages=turns)["messages"]
    assert after == [HI, SYSTEM, turns[2], {"role": "user", "content": [{"type": "text", "text": "x"}]}]
    assert lost(messages=turns) == ["messages.output_config", "messages.tool_addition"]


@pytest.mark.parametrize("kind", ["url", "file"])
@pytest.mark.parametrize("block", ["image", "document"])
def test_what_vertex_would_have_to_fetch_is_refused_with_its_place(kind: str, block: str) -> None:
    """Pain 49: "URL sources are not supported" there, with a path that misleads."""
    file = {"type": block, "source": {"type": kind, "url": "https://x.test/a", "file_id": "f"}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "x"}, file]}
    for content, path in (([file], "messages.1.content.0"), ([result], "messages.1.content.0.content.1")):
        with pytest.raises(InvalidRequest, match="the model that answers takes images") as refused:
            sent(messages=[HI, {"role": "user", "content": content}])
        assert refused.value.message.startswith(f"{path}.source.type: ")


def test_a_tools_input_may_hold_addresses() -> None:
    call = {"type": "tool_use", "id": "a", "name": "t", "input": {"source": {"type": "url", "url": "https://x.test"}}}
    assert sent(messages=[HI, {"role": "assistant", "content": [call]}])["messages"][1]["content"] == [call]


# -- counts --


def test_a_count_asks_what_the_endpoint_takes() -> None:
    """Pain 16: without the version of the model, betas of tools, and tools that need them."""
    tools = [TOOL, {"type": "web_search_20250305", "name": "web_search"}, {**TOOL, "name": "d", "defer_loading": True}]
    thinking = {"type": "enabled", "budget_tokens": 2000, "display": "summarized"}
    body = request(tools=tools, thinking=thinking, context_management={"edits": []})
    del body["max_tokens"]
    headers = Headers([("anthropic-version", "2023-06-01"), ("anthropic-beta", ",".join(CLAUDE_CODE_BETAS))])
    count = RawPredict().count(Envelope(json.dumps(body).encode()), headers, target=target("claude-opus-4-6@default"))
    asked = body_of(count.request.body)
    assert count.field == "input_tokens"
    assert asked["model"] == "claude-opus-4-6"
    assert asked["tools"] == [TOOL, {**TOOL, "name": "d"}]
    assert asked["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    check_count(asked, named(count.request))


# -- anything --

OTHERS: tuple[Any, ...] = (None, True, 7, -1, 2.5, "", "text", [], {}, [None], [[]], {"a": {}}, ["x"], [{}])


def changed(value: Any) -> Iterator[Any]:
    """The value with each part of it gone, or another, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {name: item for name, item in value.items() if name != key}
            for other in (*OTHERS, *changed(inner)):
                yield {**value, key: other}
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield value[:at] + value[at + 1 :]
            for other in (*OTHERS, *changed(inner)):
                yield [*value[:at], other, *value[at + 1 :]]


def test_no_request_whatever_makes_more_than_an_error() -> None:
    """Pain 57: a request is not parsed before it comes here."""
    scoped = {"type": "ephemeral", "scope": "g"}
    text = {"type": "text", "text": "x-anthropic-billing-header: 1", "cache_control": scoped}
    image = {"type": "image", "source": {"type": "base64", "data": "x"}}
    body = request(
        system=[text],
        tools=[{**TOOL, "type": "custom", "allowed_callers": [], "cache_control": scoped}],
        tool_choice={"type": "tool", "name": "t"},
        output_config={"effort": "low"},
        thinking={"type": "adaptive", "display": "updates"},
        context_management={"edits": []},
        messages=[
            {"role": "user", "content": [{"type": "tool_result", "content": [text, image]}, {"type": "tool_addition"}]},
            {"role": "system", "content": [text], "clear_at": 1},
        ],
    )
    rng = Random("requests")
    variants = list(changed(body))
    for variant, model, operation in product(rng.sample(variants, 600), (NEW, OLD), Operation):
        try:
            asked = prepared(variant, model=model, operation=operation)
        except ApiError:
            continue
        assert isinstance(json.loads(asked.body), dict)


def test_a_request_that_is_nested_deeply_goes_out_or_is_refused() -> None:
    for depth in (300, 900, 100_000):
        deep = b'[{"content":' * depth + b"1" + b"}]" * depth
        raw = b'{"model":"m","messages":[{"role":"user","content":[{"type":"url","content":' + deep + b"}]}]}"
        try:
            assert deep in prepared(raw).body
        except ApiError:
            assert depth > 300
