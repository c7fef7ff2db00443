"""Chat Completions: what requests become. Cases of pain.md are cited by their number."""

import json
from typing import Any

import pytest
from message_forms import PNG, document, said, told
from translating_cases import (
    TOOLS,
    Json,
    folded,
    question,
    read_stream,
    stream_bytes,
    translated_body,
)

from dragoman.errors import InvalidRequest
from dragoman.providers.base import Capabilities, Operation
from dragoman.providers.openai_chat import ChatCompletions

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
    """The message that a client makes of a stream of these chunks."""
    reader = CHAT.translate(question(stream=True, tools=TOOLS, **fields)).stream()
    return folded(read_stream(reader, stream_bytes([*chunks, *([end] if end else [])])))


def kinds(message: Json) -> list[str]:
    return [block["type"] for block in message["content"]]


# -- requests --


def test_a_plain_request() -> None:
    asked = question("qwen", system="Be brief.", temperature=0.5, top_p=0.9, stream=True)
    request = CHAT.translate(asked).request
    assert request.url == "https://p.test/v1/chat/completions"
    assert ("accept", "text/event-stream") in request.headers
    assert json.loads(request.body) == {
        "model": "qwen",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "max_tokens": 100,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "top_p": 0.9,
    }


def test_cache_control_is_left_out_and_told() -> None:
    """Pain 10."""
    mark = {"cache_control": {"type": "ephemeral"}}
    text = {"type": "text", "text": "x", **mark}
    for fields in (
        {"system": [text]},
        said(text),
        {"tools": [{**TOOLS[0], **mark}]},
        {"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": [text]}]},
    ):
        assert "cache_control" not in json.dumps(body(**fields))
        assert lost(**fields) == ["cache_control"]


def test_the_changing_attribution_line_does_not_change_the_prompt() -> None:
    """Pain 11: what stands with it in its block stays."""
    sent = [
        body(
            system=[
                {"type": "text", "text": f"x-anthropic-billing-header: cc_version=2; cch={nonce};{tail}"},
                {"type": "text", "text": "You are."},
            ]
        )
        for nonce in ("aaaaa", "bbbbb")
        for tail in ("", "\nKeep me.")
    ]
    assert sent[0] == sent[2]
    assert sent[1] == sent[3]
    assert sent[0]["messages"][0] == {"role": "system", "content": "You are."}
    assert sent[1]["messages"][0]["content"] == "Keep me.\n\nYou are."


def test_a_system_turn_stays_in_its_place() -> None:
    """Pain 12, 13: as a note that the user shows, for many templates refuse it; what is before it stays as it is."""
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "system", "content": "note"},
    ]
    with_note, without = body(messages=turns)["messages"], body(messages=turns[:3])["messages"]
    assert with_note == [*without, {"role": "user", "content": "<system>\nnote\n</system>"}]
    kept = translated_body(CHAT, can=Capabilities(system_turns=True), messages=turns)["messages"]
    assert kept == [*without, {"role": "system", "content": "note"}]


def test_an_empty_turn_is_left_out() -> None:
    """Pain 3: empty texts of a history are nothing; a turn of nothing but another's thinking neither."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [thought]},
        {"role": "user", "content": "b"},
    ]
    assert body(messages=turns)["messages"] == [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    assert lost(messages=turns) == ["thinking"]


def test_a_conversation_of_nothing_that_can_be_seen_is_refused() -> None:
    """Rather than sent as an empty list, which the server would refuse with words that the caller cannot use."""
    with pytest.raises(InvalidRequest, match=r"messages: .* the model that answers"):
        body(**said({"type": "container_upload", "file_id": "file_1"}))


def test_results_of_tools_come_first_and_directly_behind_their_calls() -> None:
    """Pain 20: whatever stands before them in the user's turn."""
    calls = [{"type": "tool_use", "id": f"toolu_{n}", "name": "get_time", "input": {}} for n in (1, 2)]
    results = [{"type": "tool_result", "tool_use_id": f"toolu_{n}", "content": f"r{n}"} for n in (1, 2)]
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "text", "text": "let me"}, *calls]},
        {"role": "user", "content": [*results, {"type": "text", "text": "and?"}]},
    ]
    sent = body(messages=turns, tools=TOOLS)["messages"]
    assert [each["role"] for each in sent] == ["user", "assistant", "tool", "tool", "user"]
    assert [each["id"] for each in sent[1]["tool_calls"]] == [each["tool_call_id"] for each in sent[2:4]]
    assert sent[1]["content"] == "let me"
    assert sent[4] == {"role": "user", "content": "and?"}


def test_an_empty_input_goes_out_as_an_object() -> None:
    """Pain 19."""
    call_ = {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1"}
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [call_]},
        {"role": "user", "content": [result]},
    ]
    sent = body(messages=turns, tools=TOOLS)["messages"]
    assert sent[1] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "toolu_1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}],
    }
    assert sent[2] == {"role": "tool", "tool_call_id": "toolu_1", "content": ""}


def test_an_image_in_a_result_is_seen() -> None:
    """Pain 21: as an image behind the results, and nowhere as text."""
    sent = body(**told([{"type": "text", "text": "screen"}, {"type": "image", "source": PNG}]))["messages"]
    result, attached = sent[2:]
    assert result["role"] == "tool"
    assert result["content"].startswith("screen\n")
    (name, image) = attached["content"]
    assert (name["type"], image["type"]) == ("text", "image_url")
    assert image["image_url"]["url"] == f"data:image/png;base64,{PNG['data']}"
    assert PNG["data"] not in json.dumps([result, name])


def test_a_failed_result_says_so() -> None:
    assert body(**told("no such file", is_error=True))["messages"][2]["content"] == "Error: no such file"
    assert body(**told("", is_error=True))["messages"][2]["content"] == "Error"


@pytest.mark.parametrize("model", ["o3", "o4-mini", "gpt-5", "gpt-5.2-codex", "openai/o3", "codex-mini-latest"])
def test_models_that_reason_refuse_what_others_take(model: str) -> None:
    """Pain 22."""
    fields: Json = {"temperature": 0.5, "top_p": 0.5, "stop_sequences": ["END"], "output_config": {"effort": "low"}}
    sent = body(model, **fields, max_tokens=2000)
    assert sent.keys().isdisjoint({"temperature", "top_p", "max_tokens", "stop"})
    assert sent["max_completion_tokens"] == 2000
    assert sent["reasoning_effort"] == "low"
    assert lost(model, **fields) == ["temperature", "top_p"]


@pytest.mark.parametrize("model", ["gpt-4o", "qwen3-32b", "olmo-2", "openrouter/o-something", "llama-gpt-5ish"])
def test_other_models_take_them(model: str) -> None:
    sent = body(model, temperature=0.5, stop_sequences=["END"])
    assert (sent["temperature"], sent["max_tokens"]) == (0.5, 100)


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"output_config": {"effort": "low"}}, "low"),
        ({"output_config": {"effort": "max"}}, "high"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10_000}, "max_tokens": 20_000}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 40_000}, "max_tokens": 50_000}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}, "medium"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "disabled"}}, None),
    ],
)
def test_efforts_and_budgets(fields: Json, effort: str | None) -> None:
    assert body("gpt-5", **fields).get("reasoning_effort") == effort
    assert "reasoning_effort" not in body("gpt-4o", **fields)
    assert lost("gpt-5", **fields) == []
    assert bool(lost("gpt-4o", **fields)) is (fields != {"thinking": {"type": "disabled"}})


@pytest.mark.parametrize("stream", [False, True])
def test_stop_sequences_are_looked_for_in_what_comes(stream: bool) -> None:
    """Pain 42: a server that met one would not tell which, or that it did. So the reply is a stream, of which no more
    is read than is wanted, also where the caller wants it whole."""
    five = ["a", "b", "c", "d", "END"]
    translated = CHAT.translate(question(stop_sequences=five, stream=stream))
    sent = json.loads(translated.request.body)
    assert "stop" not in sent
    assert sent["stream"] is translated.request.streamed is True
    chunks = [choice({"content": "1 2 E"}), choice({"content": "ND 3"})]
    if stream:
        message = folded(read_stream(translated.stream(), stream_bytes(chunks)))
    else:
        message = json.loads(translated.read(Operation.MESSAGES, stream_bytes(chunks)).body)
    assert (message["content"][0]["text"], message["stop_sequence"]) == ("1 2 ", "END")
    assert message["stop_reason"] == "stop_sequence"


def test_a_long_user_id_is_shortened() -> None:
    """Claude Code's is longer than the 64 characters that `user` may have."""
    users = [body(metadata={"user_id": f"user_{'a' * 150}{n}"})["user"] for n in (1, 1, 2)]
    assert len(users[0]) <= 64
    assert users[0] == users[1] != users[2]
    assert body(metadata={"user_id": "me"})["user"] == "me"


def test_documents() -> None:
    """Pain 49: a part of their own, or their text, or a clear 400."""
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQ="}
    (message,) = body(**said(document(pdf, title="Report")))["messages"]
    file = {"filename": "Report", "file_data": "data:application/pdf;base64,JVBERi0xLjQ="}
    assert message["content"] == [{"type": "file", "file": file}]
    with pytest.raises(InvalidRequest, match=r"document\.source"):
        body(**said(document({"type": "url", "url": "https://x.test/a.pdf"})))


def test_a_search_result_is_in_the_prompt() -> None:
    """Pain 50."""
    block = {
        "type": "search_result",
        "source": "https://s",
        "title": "T",
        "content": [{"type": "text", "text": "found"}],
    }
    assert body(**said(block))["messages"] == [{"role": "user", "content": "T\nhttps://s\nfound"}]


# -- tools --


def test_a_schema_goes_out_as_it_is() -> None:
    """Pain 9: this dialect takes all of JSON Schema."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"anyOf": [{"type": "string"}, {"const": 3}]}},
        "$defs": {"x": {"type": "integer", "exclusiveMinimum": 0}},
        "additionalProperties": False,
    }
    (tool,) = body(tools=[{"name": "t", "description": "D", "input_schema": schema}])["tools"]
    function = {"name": "t", "description": "D", "parameters": schema}
    assert tool == {"type": "function", "function": function}


@pytest.mark.parametrize("name", ["anyOf", "oneOf", "allOf"])
def test_what_openai_refuses_at_the_top_of_a_schema_is_said_in_words(name: str) -> None:
    """Pain 9: the properties of the alternatives are there, and which of them go together is in the description."""
    parts = [
        {"properties": {"path": {"type": "string"}}, "required": ["path"]},
        {"properties": {"url": {"type": "string"}}, "required": ["url"]},
    ]
    schema = {"type": "object", "properties": {"mode": {"type": "string"}}, "required": ["mode"], name: parts}
    (tool,) = body(tools=[{"name": "t", "description": "D.", "input_schema": schema}])["tools"]
    function = tool["function"]
    assert function["parameters"]["properties"].keys() == {"mode", "path", "url"}
    assert function["parameters"]["required"] == ["mode"]
    assert name not in function["parameters"]
    first, second = function["description"].split("\n")
    assert first == "D."
    assert json.loads(second.partition(": ")[2]) == {name: parts}


@pytest.mark.parametrize("schema", [{"type": "object"}, {"type": "object", "properties": {}}])
def test_a_tool_without_parameters(schema: Json) -> None:
    """Pain 69."""
    (tool,) = body(tools=[{"name": "t", "input_schema": schema}])["tools"]
    assert tool["function"]["parameters"] == {"type": "object", "properties": {}}


def test_long_names_go_out_short_and_come_back_whole() -> None:
    """Pain 44."""
    names = [LONG + "1" * 15, LONG + "2" * 15]
    asked = question(tools=[{"name": name, "input_schema": {"type": "object"}} for name in names])
    translated = CHAT.translate(asked)
    outward = [each["function"]["name"] for each in json.loads(translated.request.body)["tools"]]
    assert len(set(outward)) == 2
    assert all(len(name) <= 64 for name in outward)
    chunks = [choice(call(at, name, "{}", f"call_{at}")) for at, name in enumerate(outward)]
    message = folded(
        read_stream(translated.stream(), stream_bytes([*chunks, choice({}, "tool_calls"), "data: [DONE]"]))
    )
    assert [block["name"] for block in message["content"]] == names
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": message["content"]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": f"call_{at}", "content": "x"} for at in (0, 1)],
        },
    ]
    sent = body(messages=turns, tools=[{"name": name, "input_schema": {"type": "object"}} for name in names])
    assert [each["function"]["name"] for each in sent["messages"][1]["tool_calls"]] == outward


def test_long_ids_of_calls_go_out_short_and_the_same_for_the_result() -> None:
    """Pain 45."""
    long = "toolu_" + "x" * 60
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": long, "name": "get_time", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": long, "content": "x"}]},
    ]
    sent = body(messages=turns, tools=TOOLS)["messages"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"]
    assert len(sent[2]["tool_call_id"]) <= 40


LOST_TOOL = {"type": "web_search_20250305", "name": "web_search"}
NAMED = {"type": "function", "function": {"name": "get_time"}}


@pytest.mark.parametrize(
    ("tool_choice", "sent", "parallel"),
    [
        (None, None, None),
        ({"type": "auto"}, None, None),
        ({"type": "auto", "disable_parallel_tool_use": True}, None, False),
        ({"type": "any"}, "required", None),
        ({"type": "any", "disable_parallel_tool_use": True}, "required", False),
        ({"type": "tool", "name": "get_time"}, NAMED, None),
        ({"type": "none"}, "none", None),
    ],
)
def test_the_choice_of_tools(tool_choice: Json | None, sent: Any, parallel: bool | None) -> None:
    """Pain 47: with tools, with one that is lost beside them, and with none that is left."""
    fields = {} if tool_choice is None else {"tool_choice": tool_choice}
    for tools in (TOOLS, [*TOOLS, LOST_TOOL]):
        request = body(tools=tools, **fields)
        assert (request.get("tool_choice"), request.get("parallel_tool_calls")) == (sent, parallel)
    if tool_choice != {"type": "tool", "name": "get_time"}:
        alone = body(tools=[LOST_TOOL], **fields)
        assert alone.keys().isdisjoint({"tools", "tool_choice", "parallel_tool_calls"})


def test_a_choice_of_a_tool_that_is_lost_is_lost_too() -> None:
    """Pain 47, 48."""
    fields = {"tools": [*TOOLS, LOST_TOOL], "tool_choice": {"type": "tool", "name": "web_search"}}
    assert "tool_choice" not in body(**fields)
    assert lost(**fields) == ["tools.web_search_20250305", "tool_choice"]
    assert lost(tools=[LOST_TOOL], tool_choice={"type": "any"}) == ["tools.web_search_20250305", "tool_choice"]


@pytest.mark.parametrize(
    ("tool", "required", "properties"),
    [
        ({"type": "bash_20250124", "name": "bash"}, set(), {"command", "restart"}),
        (
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
            {"command", "path"},
            {"insert_text", "view_range"},
        ),
        ({"type": "text_editor_20250124", "name": "str_replace_editor"}, {"command", "path"}, {"new_str"}),
        ({"type": "memory_20250818", "name": "memory"}, {"command"}, {"old_path", "new_path", "file_text"}),
        (
            {"type": "computer_20251124", "name": "computer", "display_width_px": 10, "display_height_px": 20}
            | {"enable_zoom": True},
            {"action"},
            {"coordinate", "region"},
        ),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_tools_that_the_api_defines_are_functions(tool: Json, required: set[str], properties: set[str]) -> None:
    """TOOL-70: a client runs them, so another model only needs to be told of them."""
    (sent,) = body(tools=[tool])["tools"]
    assert lost(tools=[tool]) == []
    function = sent["function"]
    assert function["name"] == tool["name"]
    assert function["description"]
    assert set(function["parameters"]["required"]) == required
    assert properties <= set(function["parameters"]["properties"])
    assert function["parameters"].keys() == {"type", "properties", "required"}


OPTIONAL = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
CLOSED = {**OPTIONAL, "required": ["a"]}


def test_strict_is_asked_for_where_the_schema_is_one_that_openai_takes() -> None:
    """It refuses optional properties in strict mode; without it the schema goes out all the same, and that is told."""
    (tool,) = body(tools=[{"name": "t", "input_schema": CLOSED, "strict": True}])["tools"]
    assert tool["function"]["strict"] is True
    fields: Json = {"tools": [{"name": "t", "input_schema": OPTIONAL, "strict": True}]}
    assert "strict" not in body(**fields)["tools"][0]["function"]
    assert lost(**fields) == ["tools.strict"]

    for schema, expected in ((CLOSED, []), (OPTIONAL, ["output_config.format.strict"])):
        fields = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
        form = body(**fields)["response_format"]["json_schema"]
        assert form == {"name": "output", "schema": schema, **({} if expected else {"strict": True})}
        assert lost(**fields) == expected


def test_an_effort_from_a_turn_on_is_lost() -> None:
    turn = {"role": "system", "content": "Harder now.", "output_config": {"effort": "high"}}
    fields: Json = {"messages": [{"role": "user", "content": "hi"}, turn]}
    assert lost("gpt-5", **fields) == ["output_config.effort"]
    assert body("gpt-5", **fields)["messages"][1]["content"] == "<system>\nHarder now.\n</system>"
