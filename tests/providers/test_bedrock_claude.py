"""What Claude takes on Bedrock: fields and betas go out where the model takes them, and are lost, told, elsewhere."""

import json
import re
from contextlib import nullcontext
from random import Random
from typing import Any

import pytest
from bedrock_cases import (
    ASK,
    HAIKU,
    MODELS,
    OPUS_45,
    OPUS_46,
    OPUS_48,
    OPUS_55,
    SONNET,
    prepared,
    sent,
    tool,
)
from fake_bedrock_claude import check_claude
from fake_provider import Refused
from message_forms import FORMS

from dragoman.errors import InvalidRequest
from dragoman.providers.base import Operation

Json = dict[str, Any]

BY_REFERENCE = re.compile(r'"type": "(?:url|file)"')


def turn_of(*blocks: Json) -> Json:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def test_every_other_byte_goes_out_as_it_came() -> None:
    """DESIGN, principle 1: prompt caches and signatures live on bytes."""
    messages = b'[ {"role":"user","content":"\\u00e9 \xc3\xa9"} ]'
    tools = b'[ {"name": "t" , "input_schema":{"type":"object"}} ]'
    body = b'{ "model" : "m","max_tokens":1e3,"stream":true,"messages":%b,  "temperature":1.0,"tools" : %b}'
    assert prepared(body % (messages, tools)).body == (
        b'{"max_tokens":1e3,"messages":%b,  "temperature":1.0,"tools" : %b,"anthropic_version":"bedrock-2023-05-31"}'
        % (messages, tools)
    )


def test_fields_that_bedrock_does_not_know_are_lost() -> None:
    """Pain 14: "Extra inputs are not permitted" for any of them, so none goes out; null says nothing."""
    names = (
        "service_tier inference_geo container mcp_servers thread speed fallbacks diagnostics cache_control "
        "output_format anthropic_version anthropic_beta whatever"
    )
    unknown = dict.fromkeys(names.split(), "x")
    body, lost = sent({**unknown, "user_profile_id": None, "metadata": {"user_id": "u"}})
    assert sorted(lost) == sorted(unknown)
    assert body == {
        "max_tokens": 100,
        "messages": ASK["messages"],
        "metadata": {"user_id": "u"},
        "anthropic_version": "bedrock-2023-05-31",
    }


def test_what_is_lost_may_stand_in_a_header() -> None:
    fields = {"a, b": 1, "x\r\nset-cookie: y": 1, "é": 1, "long" * 50: 1, **{f"field_{n}": n for n in range(200)}}
    body, lost = sent(fields)
    assert body.keys() == {"max_tokens", "messages", "anthropic_version"}
    assert "others" in lost
    assert 30 < len(lost) <= 41
    assert all(name.isascii() and name.isprintable() and "," not in name for name in lost)


def test_newer_models_cache_by_themselves() -> None:
    """Pain 10: the top-level form is refused by models with a version in their ids only."""
    mark = {"cache_control": {"type": "ephemeral"}}
    assert sent(mark, model=OPUS_46)[1] == ["cache_control"]
    assert sent(mark, model=OPUS_48) == (
        {"max_tokens": 100, "messages": ASK["messages"], **mark, "anthropic_version": "bedrock-2023-05-31"},
        [],
    )


@pytest.mark.parametrize(
    ("model", "betas", "goes", "lost"),
    [
        (OPUS_46, "claude-code-20250219,prompt-caching-2024-07-31", [], []),
        (OPUS_46, "interleaved-thinking-2025-05-14", ["interleaved-thinking-2025-05-14"], []),
        (OPUS_48, "interleaved-thinking-2025-05-14", [], []),  # it does so unasked
        (OPUS_46, "context-1m-2025-08-07", ["context-1m-2025-08-07"], []),
        (OPUS_55, "context-1m-2025-08-07", [], []),
        (HAIKU, "context-1m-2025-08-07", [], ["betas.context-1m-2025-08-07"]),
        (HAIKU, "output-128k-2025-02-19", [], []),
        (SONNET, "fine-grained-tool-streaming-2025-05-14", ["fine-grained-tool-streaming-2025-05-14"], []),
        (OPUS_46, "fine-grained-tool-streaming-2025-05-14", [], ["betas.fine-grained-tool-streaming-2025-05-14"]),
        (OPUS_46, "thinking-token-count-2026-05-13, x-2027-01-01", [],
         ["betas.thinking-token-count-2026-05-13", "betas.x-2027-01-01"]),
        (OPUS_46, "files-api-2025-04-14,mcp-client-2025-11-20,skills-2025-10-02", [], []),  # fields tell of these
        (OPUS_46, "context-management-2025-06-27,effort-2025-11-24,advanced-tool-use-2025-11-20", [], []),
        (OPUS_46, "a b(c)", [], ["others"]),
    ],
)  # fmt: skip
def test_betas(model: str, betas: str, goes: list[str], lost: list[str]) -> None:
    """Pain 14: one that Bedrock does not take, or the model, is a 400 for the whole request."""
    body, told = sent({}, model=model, betas=betas)
    assert body.get("anthropic_beta", []) == goes
    assert told == lost


@pytest.mark.parametrize(
    ("model", "config", "left", "betas", "lost"),
    [
        (OPUS_46, {"effort": "high"}, {"effort": "high"}, [], []),
        (OPUS_45, {"effort": "high"}, {"effort": "high"}, ["effort-2025-11-24"], []),
        (HAIKU, {"effort": "high"}, None, [], ["output_config.effort"]),
        (HAIKU, {"effort": None, "format": None}, None, [], []),
        (HAIKU, {"format": {"type": "json_schema"}}, {"format": {"type": "json_schema"}}, [], []),
        (OPUS_48, {"effort": "low", "format": {}}, {"effort": "low"}, [], ["output_config.format"]),
        (OPUS_55, {"task_budget": {}, "effort": "max"}, {"effort": "max"}, [], ["output_config.task_budget"]),
    ],
)
def test_output_config(model: str, config: Json, left: Json | None, betas: list[str], lost: list[str]) -> None:
    body, told = sent({"output_config": config}, model=model)
    assert body.get("output_config") == left
    assert body.get("anthropic_beta", []) == betas
    assert told == lost


CLEAR = {"type": "clear_thinking_20251015", "keep": "all"}
COMPACT = {"type": "compact_20260112"}


@pytest.mark.parametrize(
    ("model", "edits", "left", "betas", "lost"),
    [
        (OPUS_46, [CLEAR], [CLEAR], ["context-management-2025-06-27"], []),
        (OPUS_46, [COMPACT], [COMPACT], ["compact-2026-01-12"], []),
        (HAIKU, [CLEAR, COMPACT], [CLEAR], ["context-management-2025-06-27"], ["context_management.compact_20260112"]),
        (OPUS_48, [{"type": "new_2027"}], None, [], ["context_management.new_2027"]),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", [CLEAR], None, [],
         ["context_management.clear_thinking_20251015"]),
        (OPUS_46, [], None, [], []),
        (OPUS_46, [7, {}], None, [], ["context_management."]),
    ],
)  # fmt: skip
def test_context_management_goes_with_its_beta(
    model: str, edits: list[Any], left: Any, betas: list[str], lost: list[str]
) -> None:
    """Pain 14: "context_management: Extra inputs are not permitted", where the beta is missing."""
    body, told = sent({"context_management": {"edits": edits}}, model=model)
    assert body.get("context_management") == (None if left is None else {"edits": left})
    assert body.get("anthropic_beta", []) == betas
    assert told == lost


@pytest.mark.parametrize(
    ("model", "thinking", "left", "betas", "lost"),
    [
        (OPUS_46, {"type": "adaptive", "display": "updates"}, {"type": "adaptive"}, [], ["thinking.display"]),
        (OPUS_55, {"type": "adaptive", "display": "updates"}, {"type": "adaptive", "display": "updates"},
         ["thinking-display-updates-2026-08-18"], []),
        (OPUS_46, {"type": "adaptive", "display": "omitted"}, {"type": "adaptive", "display": "omitted"}, [], []),
        (OPUS_48, {"type": "adaptive", "block_binding": {}}, {"type": "adaptive"}, [], ["thinking.block_binding"]),
        (OPUS_55, {"type": "adaptive", "block_binding": {}}, {"type": "adaptive", "block_binding": {}},
         ["thinking-binding-controls-2026-08-01"], []),
    ],
)  # fmt: skip
def test_thinking(model: str, thinking: Json, left: Json, betas: list[str], lost: list[str]) -> None:
    body, told = sent({"thinking": thinking}, model=model)
    assert (body["thinking"], body.get("anthropic_beta", []), told) == (left, betas, lost)


@pytest.mark.parametrize(
    ("model", "given", "left", "betas", "lost"),
    [
        (OPUS_46, tool(defer_loading=True), tool(defer_loading=True), ["tool-search-tool-2025-10-19"], []),
        (HAIKU, tool(defer_loading=True), tool(), [], ["tools.defer_loading"]),
        (HAIKU, tool(defer_loading=False, allowed_callers=["direct"]), tool(), [], []),
        (HAIKU, tool(strict=True), tool(strict=True), [], []),
        (OPUS_48, tool(strict=True), tool(), [], ["tools.strict"]),
        (OPUS_45, tool(input_examples=[{}]), tool(input_examples=[{}]), ["tool-examples-2025-10-29"], []),
        (OPUS_46, tool(input_examples=[{}]), tool(), [], ["tools.input_examples"]),
        (SONNET, tool(eager_input_streaming=True), tool(), [], ["tools.eager_input_streaming"]),
        (OPUS_48, tool(eager_input_streaming=True), tool(eager_input_streaming=True), [], []),
        (OPUS_48, tool(allowed_callers=["code_execution_20250825"]), tool(), [], ["tools.allowed_callers"]),
        (OPUS_46, {"type": "bash_20250124", "name": "bash"}, {"type": "bash_20250124", "name": "bash"}, [], []),
        (OPUS_46, {"type": "memory_20250818", "name": "memory"}, {"type": "memory_20250818", "name": "memory"},
         ["context-management-2025-06-27"], []),
        (OPUS_46, {"type": "computer_20251124", "name": "computer"}, {"type": "computer_20251124", "name": "computer"},
         ["computer-use-2025-11-24"], []),
        (OPUS_46, {"type": "computer_20250124", "name": "computer"}, None, [], ["tools.computer_20250124"]),
        (HAIKU, {"type": "computer_20250124", "name": "computer"}, {"type": "computer_20250124", "name": "computer"},
         ["computer-use-2025-01-24"], []),
        (SONNET, {"type": "tool_search_tool_bm25_20251119", "name": "s"},
         {"type": "tool_search_tool_bm25_20251119", "name": "s"}, ["tool-search-tool-2025-10-19"], []),
        (HAIKU, {"type": "tool_search_tool_bm25_20251119", "name": "s"}, None, [],
         ["tools.tool_search_tool_bm25_20251119"]),
        (OPUS_46, {"type": "web_search_20250305", "name": "web_search"}, None, [], ["tools.web_search_20250305"]),
        (OPUS_48, {"type": "computer_toolset_20260801"}, None, [], ["tools.computer_toolset_20260801"]),
    ],
)  # fmt: skip
def test_tools(model: str, given: Json, left: Json | None, betas: list[str], lost: list[str]) -> None:
    """Pain 14, 48: "tools.0.custom.defer_loading: Extra inputs are not permitted"; tools that Bedrock cannot run go."""
    other = {"name": "other", "input_schema": {"type": "object"}}
    body, told = sent({"tools": [other, given]}, model=model)
    assert body["tools"] == [other, *([] if left is None else [left])]
    assert body.get("anthropic_beta", []) == betas
    assert told == lost


@pytest.mark.parametrize(
    ("choice", "lost"),
    [
        ({"type": "auto"}, []),
        ({"type": "none"}, []),
        ({"type": "any"}, ["tool_choice"]),
        ({"type": "tool", "name": "web_search"}, ["tool_choice"]),
    ],
)
def test_a_choice_of_tools_goes_with_the_last_of_them(choice: Json, lost: list[str]) -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    body, told = sent({"tools": [search], "tool_choice": choice})
    assert body.keys() == {"max_tokens", "messages", "anthropic_version"}
    assert told == ["tools.web_search_20250305", *lost]
    body, told = sent({"tools": [search, tool()], "tool_choice": choice})
    assert ("tool_choice" in body) == (choice["type"] != "tool")
    assert body["tools"] == [tool()]
    assert (
        sent({"tools": [search, tool()], "tool_choice": {"type": "tool", "name": "t"}})[0]["tool_choice"]["name"] == "t"
    )


def test_claude_codes_stamp_does_not_go_out() -> None:
    """Pain 11: Bedrock refuses it, and it may be new in every request."""
    stamp = "x-anthropic-billing-header: cc_version=2.1.197; cch=12345;"
    blocks = [
        {"type": "text", "text": stamp},
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
    ]
    assert sent({"system": blocks})[0]["system"] == blocks[1:]
    assert sent({"system": f"{stamp}\nBe brief."})[0]["system"] == "Be brief."
    assert "system" not in sent({"system": blocks[:1]})[0]
    body, lost = sent({"system": "What is x-anthropic-billing-header: about?"})
    assert body["system"].startswith("What is")
    assert lost == []


def test_marks_for_the_cache_stay_without_their_scope() -> None:
    """Pain 10: no mark is lost, and every byte around them stays."""
    for scoped, plain_mark in (
        (b'{"type":"ephemeral","scope":"global"}', b'{"type":"ephemeral"}'),
        (b'{"scope":"global" , "type":"ephemeral","ttl":"1h"}', b'{ "type":"ephemeral","ttl":"1h"}'),
        (b'{ "type":"ephemeral" , "scope" : "organization", "ttl":"1h"}', b'{ "type":"ephemeral" , "ttl":"1h"}'),
    ):
        body = (
            b'{"model":"m","max_tokens":1,"system":[ {"type":"text","text":"s","cache_control":%b}],"messages":['
            b'{"role":"user","content":[{"type":"text",'
            b'"text":"\\"cache_control\\":{\\"scope\\":1}","cache_control": %b}]}],'
            b'"tools":[{"name":"t","input_schema":{"type":"object","properties":{"scope":{}}},"cache_control":%b}]}'
        )
        request = prepared(body % (scoped, scoped, scoped))
        after = (body % (plain_mark, plain_mark, plain_mark)).replace(b'"model":"m",', b"")
        assert json.loads(request.body) == {**json.loads(after), "anthropic_version": "bedrock-2023-05-31"}
        assert b'[ {"type":"text","text":"s"' in request.body
        assert list(request.lost) == ["cache_control.scope"]


TURNS = [
    {"role": "user", "content": "hi"},
    {"role": "system", "content": "Be brief."},
    {"role": "assistant", "content": [{"type": "text", "text": "Hm."}]},
    {"role": "user", "content": "go on"},
    {"role": "system", "content": [{"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}}]},
]


def test_system_turns_are_the_users_for_models_that_know_none() -> None:
    """Pain 12: in their place; the two forms of one text come out alike, for clients change between them."""
    body, lost = sent({"messages": TURNS}, model=OPUS_46)
    assert [message["role"] for message in body["messages"]] == ["user", "user", "assistant", "user", "user"]
    assert body["messages"][1]["content"] == "<system>\nBe brief.\n</system>"
    assert body["messages"][4]["content"] == [
        {"type": "text", "text": "<system>\nA\n</system>", "cache_control": {"type": "ephemeral"}}
    ]
    assert lost == []
    assert sent({"messages": TURNS}, model=OPUS_48)[0]["messages"] == TURNS
    several = [*TURNS[:1], {"role": "system", "content": [{"type": "text", "text": each} for each in "abc"]}]
    marked = sent({"messages": several}, model="us.anthropic.claude-sonnet-5")[0]["messages"][1]["content"]
    assert [block["text"] for block in marked] == ["<system>\na", "b", "c\n</system>"]


def test_system_turns_that_change_effort_and_tools() -> None:
    """What Claude Code 2.1.329 says in them."""
    effort = {"role": "system", "content": [], "output_config": {"effort": "low"}}
    removal = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "t"}}
    change = {"role": "system", "content": [removal, {"type": "text", "text": "A"}], "clear_at": "next_user_message"}
    turns = [*TURNS[:1], effort, change]
    body, lost = sent({"messages": turns}, model=OPUS_55)
    assert body["messages"] == turns
    assert sorted(body["anthropic_beta"]) == [
        "mid-conversation-output-config-2026-07-01",
        "mid-conversation-system-clear-at-2026-08-21",
        "mid-conversation-tool-changes-2026-07-01",
    ]
    assert lost == []
    body, lost = sent({"messages": turns}, model=OPUS_48)
    assert body["messages"] == [turns[0], change]
    assert lost == ["messages.output_config"]
    body, lost = sent({"messages": turns}, model=OPUS_46)
    assert body["messages"] == [
        turns[0],
        {"role": "user", "content": [{"type": "text", "text": "<system>\nA\n</system>"}]},
    ]
    assert lost == ["messages.output_config", "messages.tool_removal"]


def test_turns_that_need_no_change_keep_their_bytes() -> None:
    raw = b'[ {"role":"user","content":"\\u00e9"} , {"content":"a","role":"assistant"},{"role":"user", "content":[] } ]'
    changed = raw[:-2] + b', {"role":"system","content":"s"} ]'
    body = b'{"model":"m","max_tokens":1,"messages":%b}'
    assert raw in prepared(body % raw).body
    out = prepared(body % changed).body
    for turn in (
        b'{"role":"user","content":"\\u00e9"}',
        b'{"content":"a","role":"assistant"}',
        b'{"role":"user", "content":[] }',
    ):
        assert turn in out


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        (turn_of({"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}),
         "messages.0.content.0.source"),
        (turn_of({"type": "text", "text": "a"}, {"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
         "messages.0.content.1.source"),
        (turn_of({"type": "tool_result", "tool_use_id": "t", "content": [
            {"type": "image", "source": {"type": "url"}}]}),
         "messages.0.content.0.content.0.source"),
        (turn_of({"type": "document", "source": {"type": "content", "content": [
            {"type": "image", "source": {"type" : "url"}}]}}), "messages.0.content.0.content.0.source"),
    ],
)  # fmt: skip
def test_what_bedrock_would_have_to_fetch_is_refused(fields: Json, path: str) -> None:
    """Its documentation: no URL sources, and no Files API."""
    with pytest.raises(InvalidRequest, match=f"^{path}: the model that answers takes no files"):
        prepared(fields)


def test_calls_may_speak_of_urls_and_files() -> None:
    given = {"type": "url", "source": {"type": "file"}, "role": "system", "cache_control": {"type": "x"}}
    call = {"type": "tool_use", "id": "t", "name": "n", "input": given}
    turns = [ASK["messages"][0], {"role": "assistant", "content": [call]}]
    assert sent({"messages": turns}) == (
        {"max_tokens": 100, "messages": turns, "anthropic_version": "bedrock-2023-05-31"},
        [],
    )


OLD_CODE = (
    "claude-code-20250219,context-1m-2025-08-07,interleaved-thinking-2025-05-14,thinking-token-count-2026-05-13,"
    "context-management-2025-06-27,prompt-caching-scope-2026-01-05,mid-conversation-system-2026-04-07,effort-2025-11-24"
)
NEW_CODE = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,per-turn-control-2026-07-01,"
    "mid-conversation-tool-changes-2026-07-01,thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,"
    "effort-2025-11-24,thinking-display-updates-2026-08-18"
)
# What Claude Code 2.1.197 and 2.1.329 send, recorded on 2026-11-21, with the texts cut short.
CODE: Json = {
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1"},
        {"type": "text", "text": "You are", "cache_control": {"type": "ephemeral"}},
    ],
    "metadata": {"user_id": '{"device_id":"c0e4"}'},
    "context_management": {"edits": [CLEAR]},
    "output_config": {"effort": "high"},
    "stream": True,
}
CODES = {
    "old": (
        {**CODE, "thinking": {"type": "adaptive"}, "messages": TURNS[:2], "tools": [tool()]},
        OLD_CODE,
    ),
    "new": (
        {
            **CODE,
            "thinking": {"type": "adaptive", "display": "updates"},
            "messages": [*TURNS[:1], {**TURNS[1], "output_config": {"effort": "low"}}],
            "tools": [tool(), {**tool(defer_loading=True), "name": "u"}],
        },
        NEW_CODE,
    ),
}


# Refused for what it is, and not for a field: files that are somewhere else, and a signature that no Claude made.
NOT_OF_FIELDS = {
    name: pytest.raises(InvalidRequest, match="the model that answers")
    for name, (fields, _) in FORMS.items()
    if BY_REFERENCE.search(json.dumps(fields))
} | {"thinking of before": pytest.raises(Refused, match="Invalid `signature`")}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", [*CODES, *FORMS])
def test_what_goes_out_is_what_the_model_takes(model: str, name: str) -> None:
    """Pain 14: whatever the generation, no field and no beta is refused. The fake has a table of its own."""
    fields, betas = CODES[name] if name in CODES else (FORMS[name][0], "")
    if "adaptive" in str(fields) and any(each in model for each in ("sonnet-4-2", "opus-4-1", "4-5-2")):
        fields = {**fields, "thinking": {"type": "enabled", "budget_tokens": 1024}}  # a wish that no edit can mend
    with NOT_OF_FIELDS.get(name, nullcontext()):
        check_claude(json.loads(prepared(fields, model=model, betas=betas).body), model)


def test_any_json_at_all_is_prepared_or_refused() -> None:
    """No form of a field is more than the caller's mistake."""
    rng = Random("any JSON")
    values: tuple[Any, ...] = (
        None, 1, "x", [], {}, [None], ["system"], [[]], [{}], {"type": 7}, [{"type": []}], {"edits": 5},
        {"type": "url"},
        [{"role": "system", "content": 5, "output_config": 3}], [{"content": [{"source": {"type": "url"}}]}],
        [{"role": ["system"]}, "output_config"], [{"type": "custom", "defer_loading": []}],
        {"cache_control": {"scope": 5}},
    )  # fmt: skip
    names = (
        "messages",
        "tools",
        "tool_choice",
        "system",
        "thinking",
        "output_config",
        "context_management",
        "max_tokens",
    )
    prepared_ones = 0
    for _ in range(1500):
        fields = {name: rng.choice(values) for name in rng.sample(names, rng.randint(1, len(names)))}
        for operation in Operation:
            try:
                request = prepared(
                    fields, model=rng.choice(MODELS), betas=rng.choice(("", NEW_CODE)), operation=operation
                )
            except InvalidRequest:
                continue
            prepared_ones += 1
            assert isinstance(json.loads(request.body), dict)
    assert prepared_ones > 1000
