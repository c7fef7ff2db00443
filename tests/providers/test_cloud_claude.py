"""Claude on clouds: what a request holds that a model there does not take, and what is made of it.

See also test_cloud_claude_blocks.py, and test_bedrock_claude.py and test_vertex.py for each cloud's own tables.
"""

import json
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from asking import claude_code_body
from bedrock_cases import HAIKU, MODELS, OPUS_45, OPUS_46, OPUS_48, OPUS_55, SONNET
from cloud_cases import BEDROCK, CLOUDS, HI, VERTEX, VERTEX_MODELS, Cloud, Json, prepared, request, sent, turn

from dragoman.errors import ApiError
from dragoman.providers.base import Operation

OPUS_41, SONNET_37 = MODELS[1], "us.anthropic.claude-3-7-sonnet-20250219-v1:0"


# -- marks for the cache --


def marked(mark: Json) -> Json:
    text = {"type": "text", "text": "x", "cache_control": mark}
    inner = {"type": "document", "source": {"type": "content", "content": [text]}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [text, inner]}
    call = {"type": "tool_use", "id": "a", "name": "t", "input": {"cache_control": {"ttl": "1h", "scope": "global"}}}
    return {
        "system": [text],
        "tools": [{"name": "t", "input_schema": {"type": "object"}, "cache_control": mark}],
        "messages": [HI, turn("assistant", call), turn("user", result)],
    }


HOUR, PLAIN = {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral"}


@pytest.mark.parametrize("model", [*MODELS, SONNET_37, "us.anthropic.claude-3-5-haiku-20241022-v1:0"])
def test_marks_of_an_hour_are_plain_ones_for_models_that_know_no_other(model: str) -> None:
    """Pain 10, 14: on Bedrock, "cache_control.ephemeral.ttl: Extra inputs are not permitted" before Claude 4.5. No mark
    is lost, and what a tool was called with is not ours to change."""
    is_old = model in (MODELS[0], OPUS_41, SONNET_37) or "3-5" in model
    body, lost = sent(BEDROCK, model, **marked(HOUR))
    left = marked(PLAIN if is_old else HOUR)
    assert {name: body[name] for name in left} == left
    assert lost == (["cache_control.ttl"] if is_old else [])
    body, lost = sent(BEDROCK, model, **marked({**PLAIN, "ttl": "5m"}))
    left = marked(PLAIN if is_old else {**PLAIN, "ttl": "5m"})
    assert {name: body[name] for name in left} == left
    assert lost == []  # it is what a plain mark says


@pytest.mark.parametrize("model", ["claude-3-5-haiku@20241022", "claude-sonnet-4@20250514", *VERTEX_MODELS])
def test_on_vertex_marks_of_an_hour_stay(model: str) -> None:
    """Google's page "Prompt caching" knows of no model that takes none."""
    body, lost = sent(VERTEX, model, **marked(HOUR))
    assert {name: body[name] for name in marked(HOUR)} == marked(HOUR)
    assert lost == []


@pytest.mark.parametrize("cloud", CLOUDS)
def test_scopes_go_wherever_marks_stand_and_with_no_byte_around_them(cloud: Cloud) -> None:
    """Pain 10: also in the blocks of a document."""
    scoped = {"type": "ephemeral", "scope": "global"}
    body, lost = sent(cloud, **marked(scoped))
    assert {name: body[name] for name in marked(PLAIN)} == marked(PLAIN)
    assert lost == ["cache_control.scope"]
    mark = b'{ "type" : "ephemeral" , "scope" : {"x":[1]} , "ttl" : "1h" }'
    text = b'{"text" : "\\u00e9", "cache_control" :  %b , "type":"text" }'
    turns = b'[ {"content" : [ {"type" : "text","text":"a"} , %b ] , "role":"user"} ]'
    raw = b'{"model":"m","max_tokens":9,"messages":%b}' % (turns % (text % mark))
    around = turns % (text % b"@")
    start, end = around.split(b"@")
    assert start in (out := prepared(cloud, raw).body)
    assert end in out
    assert json.loads(out)["messages"][0]["content"][1]["cache_control"] == HOUR


def test_the_mark_of_a_whole_request_has_no_scope_either() -> None:
    mark = {"type": "ephemeral", "scope": "global"}
    body, lost = sent(BEDROCK, OPUS_48, cache_control=mark)
    assert (body["cache_control"], lost) == (PLAIN, ["cache_control.scope"])


def test_marks_in_deep_nests_are_left_to_whoever_refuses_them() -> None:
    for depth in (50, 300, 5_000):
        deep = b'[{"content":' * depth + b'[{"cache_control":{"scope":"g"}}]' + b"}]" * depth
        raw = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":' + deep + b"}]}"
        for cloud in (BEDROCK, VERTEX):
            try:
                assert deep in prepared(cloud, raw).body
            except ApiError:
                assert depth > 300


# -- adaptive thinking --

ADAPTIVE: Json = {"type": "adaptive"}


def by_budget(tokens: int, **more: Any) -> Json:
    return {"type": "enabled", **more, "budget_tokens": tokens}


@pytest.mark.parametrize(
    ("model", "fields", "left"),
    [
        (OPUS_46, {}, ADAPTIVE),
        (OPUS_55, {}, ADAPTIVE),
        (SONNET, {"max_tokens": 128_000}, by_budget(32_000)),
        (SONNET, {"max_tokens": 128_000, "output_config": {"effort": "max"}}, by_budget(32_000)),
        (SONNET, {"max_tokens": 128_000, "output_config": {"effort": "medium"}}, by_budget(16_384)),
        (OPUS_45, {"max_tokens": 128_000, "output_config": {"effort": "low"}}, by_budget(4_096)),
        (HAIKU, {"max_tokens": 16_000}, by_budget(8_000)),
        (OPUS_41, {"max_tokens": 2_048}, by_budget(1_024)),
        (SONNET_37, {"thinking": {"type": "adaptive", "display": "omitted"}}, by_budget(8_000, display="omitted")),
        (HAIKU, {"thinking": {"type": "adaptive", "display": "updates"}}, by_budget(8_000)),
        (HAIKU, {"thinking": {"type": "enabled", "budget_tokens": 5_000}}, by_budget(5_000)),
        (HAIKU, {"thinking": {"type": "disabled"}}, {"type": "disabled"}),
    ],
)
def test_adaptive_thinking_is_a_budget_for_models_that_know_no_other(model: str, fields: Json, left: Json) -> None:
    """AWS, "Adaptive thinking": models before 4.6 need a budget. It leaves half of the tokens for the answer."""
    body, lost = sent(BEDROCK, model, **{"thinking": ADAPTIVE, **fields})
    assert body["thinking"] == left
    assert "thinking" not in lost


CALL: Json = {"type": "tool_use", "id": "toolu_a", "name": "t", "input": {}}
RESULT: Json = {"type": "tool_result", "tool_use_id": "toolu_a", "content": "7"}
TOOL: Json = {"name": "t", "input_schema": {"type": "object"}}
THOUGHT: Json = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
LOOP = [HI, turn("assistant", "Hm.", CALL), turn("user", RESULT)]


@pytest.mark.parametrize(
    ("fields", "is_lost"),
    [
        ({"max_tokens": 2_047}, True),  # 1,024 of them would leave next to nothing
        ({"max_tokens": 1}, True),
        ({"tools": [TOOL], "tool_choice": {"type": "any"}}, True),  # MSG-56
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "t"}}, True),
        ({"tools": [TOOL], "tool_choice": {"type": "auto"}}, False),
        ({"messages": LOOP}, True),  # MSG-58
        ({"messages": [*LOOP[:2], turn("user", RESULT), HI]}, True),
        ({"messages": [*LOOP[:2], {"role": "system", "content": "Be brief."}, LOOP[2]]}, True),
        ({"messages": [HI, turn("assistant", THOUGHT, CALL), turn("user", RESULT)]}, False),
        ({"messages": [HI, turn("assistant", THOUGHT), turn("assistant", CALL), turn("user", RESULT)]}, False),
        ({"messages": [*LOOP, turn("assistant", "7."), HI]}, False),
        ({"messages": [HI, {"role": "assistant", "content": "I"}]}, True),  # a prefill
        ({"messages": [{"role": "assistant"}, 7, None]}, False),
        ({"messages": [HI, {"role": "assistant"}]}, True),
        ({"messages": 7}, False),
    ],
)
def test_nothing_is_thought_where_a_budget_would_be_refused(fields: Json, is_lost: bool) -> None:
    """Pain 14: and that is told. To clear thinking takes thinking (anthropics/claude-code#11971)."""
    edits = [{"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"}]
    asked = {"thinking": ADAPTIVE, "context_management": {"edits": edits}, **fields}
    body, lost = sent(BEDROCK, SONNET, **asked)
    assert ("thinking" in body) != is_lost
    assert body["context_management"] == {"edits": edits[1:] if is_lost else edits}
    assert lost == (["thinking", "context_management.clear_thinking_20251015"] if is_lost else [])


def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    body, lost = sent(BEDROCK, "anthropic.claude-3-5-sonnet-20241022-v2:0", thinking=ADAPTIVE)
    assert "thinking" not in body
    assert lost == ["thinking"]


def test_a_count_has_room_for_the_budget() -> None:
    """InvokeModel's body must have `max_tokens`, and more than the budget."""
    body = request(thinking=ADAPTIVE)
    del body["max_tokens"]
    asked = prepared(BEDROCK, body, model=HAIKU, operation=Operation.COUNT_TOKENS)
    inner = json.loads(b64decode(json.loads(asked.body)["input"]["invokeModel"]["body"]))
    assert (inner["thinking"], inner["max_tokens"]) == (by_budget(1_024), 1_025)


@pytest.mark.parametrize("model", MODELS)
def test_claude_codes_whole_request_is_taken_as_it_comes(model: str) -> None:
    """Pain 14: with adaptive thinking and marks of an hour, by old models too. The fake has a table of its own."""
    body = claude_code_body()
    for message in body["messages"]:  # those thoughts are no model's
        if isinstance(message["content"], list):
            message["content"] = [block for block in message["content"] if block["type"] != "thinking"]
    asked = prepared(BEDROCK, body, model=model)
    BEDROCK.must_take(asked, model)


# -- other things --


def test_mythos_preview_knows_no_system_turns() -> None:
    """MSG-45: a name without a version is not always the newest model's."""
    turns = [HI, {"role": "system", "content": "Be brief."}]
    for cloud, model in ((BEDROCK, "anthropic.claude-mythos-preview"), (VERTEX, "claude-mythos-preview")):
        assert [each["role"] for each in sent(cloud, model, messages=turns)[0]["messages"]] == ["user", "user"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_version_is_the_clouds_whatever_the_caller_calls_it(cloud: Cloud) -> None:
    """Clients of a cloud's own put one into the body."""
    body, lost = sent(cloud, anthropic_version="of-another-cloud")
    assert body["anthropic_version"] in ("bedrock-2023-05-31", "vertex-2023-10-16")
    assert lost == ["anthropic_version"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_stamp_goes_from_a_system_prompt_that_is_one_text(cloud: Cloud) -> None:
    """Pain 11."""
    stamp = "x-anthropic-billing-header: cc_version=2.1; cch=a1;"
    assert sent(cloud, system=f"{stamp}\nBe brief.")[0]["system"] == "Be brief."
    assert "system" not in sent(cloud, system=stamp)[0]


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("content", ["", []])
def test_a_system_turn_that_says_nothing_goes(cloud: Cloud, content: Any) -> None:
    """Pain 14: Claude Code's, that set an effort; messages must not be empty (MSG-43)."""
    turns = [HI, {"role": "system", "content": content, "output_config": {"effort": "low"}}]
    model = OPUS_48 if cloud is BEDROCK else VERTEX_MODELS[2]
    assert sent(cloud, model, messages=turns)[0]["messages"] == [HI]


SEARCH: Json = {"type": "code_execution_20250825", "name": "t"}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize(
    ("tools", "choice", "stays", "told"),
    [
        ([SEARCH], {"type": "auto"}, False, False),  # without tools it asks for nothing
        ([SEARCH], {"type": "none"}, False, False),
        ([SEARCH], {"type": "any"}, False, True),
        ([SEARCH], {"type": "tool", "name": "t"}, False, True),
        ([SEARCH, {**TOOL, "name": "u"}], {"type": "tool", "name": "t"}, False, True),
        ([SEARCH, {**TOOL, "name": "u"}], {"type": "tool", "name": "u"}, True, False),
        ([SEARCH, TOOL], {"type": "tool", "name": "t"}, True, False),  # another has the name
        ([SEARCH, TOOL], {"type": "tool", "name": "never there"}, True, False),  # the caller's mistake
    ],
)
def test_a_choice_goes_with_what_it_chooses(
    cloud: Cloud, tools: list[Json], choice: Json, stays: bool, told: bool
) -> None:
    """Pain 47, 48."""
    body, lost = sent(cloud, tools=tools, tool_choice=choice)
    assert ("tool_choice" in body) == stays
    assert lost == ["tools.code_execution_20250825", *(["tool_choice"] if told else [])]


# -- any JSON --

SEARCHED: list[Json] = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    {"type": "text", "text": "x", "citations": [{"type": "web_search_result_location"}]},
]
OTHERS: tuple[Any, ...] = (None, True, 7, 2.5, "", "text", [], {}, [None], [[]], {"a": {}}, ["x"], [{}], {"type": []})


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


def test_no_part_of_a_request_may_be_anything_but_answered() -> None:
    """Pain 57: requests are not parsed before they come here. An odd one goes out, for others to refuse."""
    call = {**CALL, "caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}}
    body = {
        "max_tokens": 9_000,
        "thinking": {"type": "adaptive", "display": "updates"},
        "output_config": {"effort": "low"},
        "tools": [SEARCH, TOOL],
        "tool_choice": {"type": "auto"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
        "messages": [
            turn("user", {**SEARCHED[-1], "cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "g"}}),
            turn("assistant", *SEARCHED, call),
            turn("user", RESULT),
            {"role": "system", "content": [], "clear_at": 1},
        ],
    }
    for at, variant in enumerate(changed(body)):
        cloud = (BEDROCK, VERTEX)[at % 2]
        model = cloud.models[at // 2 % len(cloud.models)]
        asked = prepared(cloud, {**variant, "model": "m"}, model=model, operation=list(Operation)[at // 3 % 2])
        assert isinstance(json.loads(asked.body), dict)
    assert at > 1_000
