"""Converse: tools, calls and results."""

from typing import Any

import pytest
from converse_cases import CLAUDE, GPT, GROK, LLAMA, MISTRAL, NOVA, PDF, QWEN, UNKNOWN, lost, sent, text, turn
from message_forms import CALL, EVERYTHING, PNG, document, told
from translating_cases import TOOLS, Json

# -- tools --


def test_calls_and_results() -> None:
    """Pain 19, 20: results first, directly behind the calls, and text after them."""
    call = {"type": "tool_use", "id": "toolu_d", "name": "get_date", "input": {}}
    results = [{"type": "tool_result", "tool_use_id": name, "content": "noon"} for name in ("toolu_c", "toolu_d")]
    body = sent(NOVA, tools=TOOLS, messages=[
        turn("user", text("What time?")),
        turn("assistant", text("I look."), CALL, call),
        turn("user", *results, text("also")),
        turn("user", text("and")),
    ])  # fmt: skip
    assert body["messages"][1]["content"][2] == {"toolUse": {"toolUseId": "toolu_d", "name": "get_date", "input": {}}}
    assert [next(iter(block)) for block in body["messages"][2]["content"]] == [
        "toolResult",
        "toolResult",
        "text",
        "text",
    ]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (NOVA, {"toolUseId": "toolu_c", "status": "error", "content": [{"text": "no"}]}),
        (QWEN, {"toolUseId": "toolu_c", "content": [{"text": "Error:"}, {"text": "no"}]}),
    ],
)
def test_a_failed_result_says_so(model: str, expected: Json) -> None:
    """`status` is for Nova and Claude alone: the service model's own note."""
    assert sent(model, **told("no", is_error=True))["messages"][2]["content"] == [{"toolResult": expected}]


@pytest.mark.parametrize("content", ["", None, [], " "])
def test_an_empty_result_holds_a_word(content: Any) -> None:
    """Pain 3, 19: an empty text is refused, and so is white space (NousResearch/hermes-agent#55092, #67978)."""
    fields = told(content) if content is not None else told("x")
    if content is None:
        fields["messages"][2]["content"][0].pop("content")
    assert sent(NOVA, **fields)["messages"][2]["content"][0]["toolResult"]["content"] == [{"text": "(empty)"}]


@pytest.mark.parametrize("model", [CLAUDE, NOVA, LLAMA])
def test_an_image_in_a_result_is_seen_there(model: str) -> None:
    """Pain 21."""
    (result,) = sent(model, **told([text("see"), {"type": "image", "source": PNG}]))["messages"][2]["content"]
    assert [next(iter(part)) for part in result["toolResult"]["content"]] == ["text", "image"]


@pytest.mark.parametrize("model", [GPT, QWEN, GROK, UNKNOWN])
def test_an_image_in_a_result_stands_beside_it_where_it_would_be_refused(model: str) -> None:
    """Pain 21: "This model doesn't support the image field for user messages" (anomalyco/opencode#49443)."""
    content = sent(model, **told([{"type": "image", "source": PNG}, document(PDF)]))["messages"][2]["content"]
    assert [next(iter(block)) for block in content] == ["toolResult", "text", "image", "document"]
    assert content[0]["toolResult"]["content"] == [{"text": "[2 attachment(s) of this result follow]"}]
    assert PNG["data"] not in content[1]["text"]


def test_names_and_ids_are_made_short_the_same_way_each_time() -> None:
    """Pain 44, 45."""
    names = [f"mcp__{'x' * 80}_{end}" for end in "ab"]
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
    call = {"type": "tool_use", "id": "toolu_" + "y" * 90, "name": names[0], "input": {}}
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "x"}
    fields: Json = {
        "tools": tools,
        "messages": [turn("user", text("hi")), turn("assistant", call), turn("user", result)],
    }
    body = sent(NOVA, **fields)
    outward = [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]]
    assert len(set(outward)) == 2
    assert max(map(len, outward)) <= 64
    assert body["messages"][1]["content"][0]["toolUse"]["name"] == outward[0]
    assert body == sent(NOVA, **fields)


def test_nova_knows_three_words_at_the_root_of_a_schema() -> None:
    """Nova's guide, "Troubleshooting tool calls": others are refused there, such as $schema and description, and
    definitions (zed-industries/zed#28521). Pain 9, 69: the meaning is kept."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "title": "T",
        "description": "Takes it.",
        "properties": {"at": {"$ref": "#/$defs/place"}}, "required": ["at"], "additionalProperties": False,
        "$defs": {"place": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }  # fmt: skip
    (spec,) = sent(NOVA, tools=[{"name": "t", "description": "Goes.", "input_schema": schema}])["toolConfig"]["tools"]
    told = spec["toolSpec"]["inputSchema"]["json"]
    assert set(told) == {"type", "properties", "required"}
    assert told["properties"]["at"]["properties"] == {"city": {"type": "string"}}
    assert spec["toolSpec"]["description"] == "Goes.\nTakes it."
    (as_it_is,) = sent(QWEN, tools=[{"name": "t", "input_schema": schema}])["toolConfig"]["tools"]
    assert as_it_is["toolSpec"]["inputSchema"]["json"] == schema


@pytest.mark.parametrize("model", [NOVA, QWEN])
def test_a_tool_that_takes_nothing_takes_an_object(model: str) -> None:
    """Pain 69."""
    (spec,) = sent(model, tools=[{"name": "t", "input_schema": {"type": "object"}}])["toolConfig"]["tools"]
    assert spec["toolSpec"]["inputSchema"]["json"] == {"type": "object", "properties": {}}


ANY, ONE, NEVER = {"type": "any"}, {"type": "tool", "name": "get_time"}, {"type": "none"}


@pytest.mark.parametrize(
    ("model", "choice", "expected", "is_lost"),
    [
        (CLAUDE, ANY, {"any": {}}, []),
        (CLAUDE, ONE, {"tool": {"name": "get_time"}}, []),
        (CLAUDE, {"type": "auto"}, None, []),
        (MISTRAL, ANY, {"any": {}}, []),
        (MISTRAL, ONE, {"any": {}}, ["tool_choice"]),
        (LLAMA, ANY, None, ["tool_choice"]),
        (LLAMA, ONE, None, ["tool_choice"]),
        (UNKNOWN, ONE, {"tool": {"name": "get_time"}}, []),
        (NOVA, {**ANY, "disable_parallel_tool_use": True}, {"any": {}}, ["disable_parallel_tool_use"]),
    ],
)
def test_a_choice_of_tools(model: str, choice: Json, expected: Json | None, is_lost: list[str]) -> None:
    """Pain 47."""
    assert sent(model, tools=TOOLS, tool_choice=choice)["toolConfig"].get("toolChoice") == expected
    assert lost(model, tools=TOOLS, tool_choice=choice) == is_lost


def test_the_only_tool_is_forced_by_any() -> None:
    fields = {"tools": [{"name": "get_time", "input_schema": {"type": "object"}}], "tool_choice": ONE}
    assert sent(MISTRAL, **fields)["toolConfig"]["toolChoice"] == {"any": {}}
    assert lost(MISTRAL, **fields) == []


def test_no_tools_are_declared_for_a_choice_of_none() -> None:
    """Pain 47: Converse has no such choice (boto/boto3#4687)."""
    assert "toolConfig" not in sent(NOVA, tools=TOOLS, tool_choice=NEVER)
    assert lost(NOVA, tools=TOOLS, tool_choice=NEVER) == []


def test_a_choice_of_none_is_lost_where_the_history_needs_the_tools() -> None:
    """Pain 47: without them calls in the history are refused."""
    fields = {**EVERYTHING, "tool_choice": NEVER}
    assert len(sent(NOVA, **fields)["toolConfig"]["tools"]) == len(TOOLS)
    assert lost(NOVA, **fields) == ["tool_choice"]


def test_tools_that_were_called_are_declared_though_they_are_gone() -> None:
    """ "The toolConfig field must be defined when using toolUse and toolResult content blocks"."""
    body = sent(NOVA, messages=EVERYTHING["messages"])
    (spec,) = body["toolConfig"]["tools"]
    assert spec["toolSpec"]["name"] == "get_time"
    assert "do not call it" in spec["toolSpec"]["description"]


def test_a_choice_among_lost_tools_is_lost() -> None:
    """Pain 48: a tool that the API runs is told, and nothing stands in its place."""
    fields: Json = {"tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": ANY}
    assert "toolConfig" not in sent(NOVA, **fields)
    assert lost(NOVA, **fields) == ["tools.web_search_20250305", "tool_choice"]


def test_strict_tools() -> None:
    tool = {
        "name": "t", "strict": True,
        "input_schema": {"type": "object", "properties": {}, "additionalProperties": False},
    }  # fmt: skip
    assert sent(CLAUDE, tools=[tool])["toolConfig"]["tools"][0]["toolSpec"]["strict"] is True
    assert "strict" not in sent(NOVA, tools=[tool])["toolConfig"]["tools"][0]["toolSpec"]
    assert lost(NOVA, tools=[tool]) == ["tools.strict"]


def test_results_come_first_though_a_system_message_stands_between() -> None:
    """Pain 12, 20."""
    call, result = EVERYTHING["messages"][1:]
    messages = [EVERYTHING["messages"][0], call, {"role": "system", "content": "Now."}, result]
    content = sent(NOVA, tools=TOOLS, messages=messages)["messages"][2]["content"]
    assert [next(iter(block)) for block in content] == ["toolResult", "text"]
