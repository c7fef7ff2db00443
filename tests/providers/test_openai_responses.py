"""Requests of the Messages API -> OpenAI's Responses API. `pain N` is a case of shared/pain.md; what holds for every
dialect is in test_contract.py."""

import json
from typing import Any

import pytest
from translating_cases import SECRET, Json, asked, body_of, question, stream_bytes

from dragoman.errors import InvalidRequest, Overloaded
from dragoman.gateway.upstream.checked import foreign
from dragoman.providers.base import Capabilities, Operation, Question, Target
from dragoman.providers.openai_chat import ChatCompletions
from dragoman.providers.openai_responses import Responses
from dragoman.providers.openai_responses_reply import ResponsesReply
from dragoman.wire.validate import validate_messages

SAID: list[Json] = [{"role": "user", "content": "hi"}]
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}}


def translated(messages: list[Json] | None = None, *, model: str = "gpt-5.2", **fields: Any) -> ResponsesReply:
    return Responses().translate(question(model, messages=messages or SAID, **{"max_tokens": 4096, **fields}))


def sent(reply: ResponsesReply) -> Json:
    return body_of(reply.request.body)


def test_a_request_is_stateless_and_says_whose_it_is() -> None:
    reply = translated(stream=True)
    assert reply.request.url == "https://p.test/v1/responses"
    assert ("authorization", f"Bearer {SECRET}") in reply.request.headers
    assert ("accept", "text/event-stream") in reply.request.headers
    assert sent(reply) == {
        "model": "gpt-5.2",
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "max_output_tokens": 4096,
        "stream": True,
    }
    assert SECRET not in repr(reply.request.body)


def test_models_that_do_not_reason_are_not_asked_for_reasoning() -> None:
    """They refuse `include` ("Encrypted content is not supported with this model", hermes-agent#24234) and effort."""
    reply = translated(model="gpt-4.1", thinking={"type": "adaptive"}, temperature=1, output_config={"effort": "low"})
    body = sent(reply)
    assert "include" not in body
    assert "reasoning" not in body
    assert body["temperature"] == 1
    assert reply.lost == ("output_config.effort",)


def test_models_that_reason_take_no_sampling() -> None:
    """Pain 22."""
    reply = translated(model="o3", temperature=0.5, top_p=0.9)
    assert not {"temperature", "top_p", "max_tokens"} & sent(reply).keys()
    assert reply.lost == ("temperature", "top_p")


@pytest.mark.parametrize(
    ("base_url", "model", "fields", "path"),
    [
        ("https://api.openai.com/v1", "gpt-5.4", {"tools": [TOOL], "output_config": {"effort": "high"}}, "/responses"),
        ("https://api.openai.com/v1", "gpt-5.4", {"tools": [TOOL], "thinking": {"type": "adaptive"}}, "/responses"),
        ("https://api.openai.com/v1", "gpt-5.4", {"tools": [TOOL]}, "/chat/completions"),
        ("https://api.openai.com/v1", "gpt-5.4", {"output_config": {"effort": "high"}}, "/chat/completions"),
        (
            "https://api.openai.com/v1",
            "gpt-4.1",
            {"tools": [TOOL], "thinking": {"type": "adaptive"}},
            "/chat/completions",
        ),
        ("https://p.test/v1", "gpt-5.4", {"tools": [TOOL], "output_config": {"effort": "high"}}, "/chat/completions"),
    ],
)
def test_the_other_dialect_hands_over_what_openai_refuses_there(
    base_url: str, model: str, fields: Json, path: str
) -> None:
    """Pain 23."""
    target = Target(provider="p", model=model, base_url=base_url, api_key=None, auth="bearer")
    asking = Question(
        request=asked(**fields), target=target, message_id="m", input_tokens=1, new_tool_id=lambda: "toolu_1"
    )
    assert ChatCompletions().translate(asking).request.url == base_url + path


def test_tools_and_effort_go_together() -> None:
    """Pain 23: the pair that Chat Completions refuses."""
    body = sent(translated(output_config={"effort": "high"}, tools=[TOOL]))
    assert (body["reasoning"]["effort"], len(body["tools"])) == ("high", 1)


@pytest.mark.parametrize(
    ("model", "fields", "reasoning"),
    [
        ("gpt-5.2", {"output_config": {"effort": "max"}}, {"effort": "xhigh"}),
        ("gpt-5.6", {"output_config": {"effort": "max"}}, {"effort": "max"}),
        ("gpt-5.1", {"output_config": {"effort": "xhigh"}}, {"effort": "high"}),
        ("o4-mini", {"output_config": {"effort": "max"}}, {"effort": "high"}),
        ("gpt-5.1", {"thinking": {"type": "adaptive"}}, {"effort": "medium", "summary": "auto"}),
        ("gpt-5.1", {"thinking": {"type": "adaptive", "display": "omitted"}}, {"effort": "medium"}),
        ("gpt-5", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"effort": "low", "summary": "auto"}),
        ("gpt-5.1", {"thinking": {"type": "disabled"}}, {"effort": "none"}),
        ("gpt-5", {"thinking": {"type": "disabled"}}, None),
        ("gpt-5.1", {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, {"effort": "none"}),
        ("o3", {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, {"effort": "low"}),
        ("gpt-5-pro", {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, None),
        ("gpt-5", {}, None),
        ("grok-4", {"thinking": {"type": "adaptive"}}, {"summary": "auto"}),
        ("openai/gpt-oss-120b", {"output_config": {"effort": "low"}}, {"effort": "low"}),
    ],
)
def test_effort_is_what_the_model_takes(model: str, fields: Json, reasoning: Json | None) -> None:
    """Source: openai-agents-python#2089, anomalyco/opencode#36141, and the API reference."""
    assert sent(translated(model=model, **fields)).get("reasoning") == reasoning


def test_thinking_that_cannot_be_turned_off_is_reported() -> None:
    assert translated(model="o3", thinking={"type": "disabled"}).lost == ("thinking",)
    assert translated(model="gpt-5.1", thinking={"type": "disabled"}).lost == ()


def test_an_effort_beside_disabled_thinking_is_reported() -> None:
    """Disabled wins: nobody who turns thinking off is to pay for it."""
    asked: Json = {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}
    assert translated(model="gpt-5.1", **asked).lost == ("output_config.effort",)
    assert translated(model="o3", **asked).lost == ("output_config.effort", "thinking")


def test_a_system_prompt_becomes_instructions_without_the_changing_line() -> None:
    """Pain 11."""
    nonce = "x-anthropic-billing-header: cc_version=2; cch={};"
    bodies = [
        translated(
            system=[{"type": "text", "text": nonce.format(cch)}, {"type": "text", "text": "Be brief."}]
        ).request.body
        for cch in ("a1", "b2")
    ]
    assert bodies[0] == bodies[1]
    assert json.loads(bodies[0])["instructions"] == "Be brief."


@pytest.mark.parametrize(("model", "role"), [("gpt-5.2", "developer"), ("gpt-4.1", "system")])
def test_a_system_message_stays_in_its_place(model: str, role: str) -> None:
    """Pain 12, 13."""
    history = [*SAID, {"role": "assistant", "content": "a"}, *SAID, {"role": "system", "content": "Be brief."}]
    first, second = sent(translated(history[:3], model=model)), sent(translated(history, model=model))
    assert second["input"][:3] == first["input"]
    assert second["input"][3] == {"type": "message", "role": role, "content": "Be brief."}


def test_results_follow_their_calls_and_then_what_the_user_says() -> None:
    """Pain 19, 20."""
    history = [
        *SAID,
        {"role": "assistant", "content": [
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
            {"type": "tool_use", "id": "call_2", "name": "g", "input": {"a": [1, "é"]}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "x"}]},
            {"type": "tool_result", "tool_use_id": "call_2", "content": "no", "is_error": True},
            {"type": "text", "text": "and?"},
        ]},
    ]  # fmt: skip
    assert sent(translated(history))["input"][1:] == [
        {"type": "message", "role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "call_2", "name": "g", "arguments": '{"a":[1,"é"]}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "x"},
        {"type": "function_call_output", "call_id": "call_2", "output": "Error:\nno"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and?"}]},
    ]


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
SENT_IMAGE = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PNG}"}


def test_images_in_results_are_images() -> None:
    """Pain 21: never base64 as text."""
    call = {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "seen"}, IMAGE]}
    history = [*SAID, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    assert sent(translated(history))["input"][2] == {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": [{"type": "input_text", "text": "seen"}, SENT_IMAGE],
    }


PDF = "JVBERi0xLjQKJSVFT0Y="


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        (IMAGE, [SENT_IMAGE]),
        (
            {"type": "image", "source": {"type": "url", "url": "https://i.test/a.png"}},
            [{"type": "input_image", "detail": "auto", "image_url": "https://i.test/a.png"}],
        ),
        (
            {
                "type": "document",
                "title": "Plan",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            },
            [
                {"type": "input_text", "text": "Plan"},
                {"type": "input_file", "filename": "Plan.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
            ],
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://i.test/a.pdf"}},
            [{"type": "input_file", "file_url": "https://i.test/a.pdf"}],
        ),
        (
            {
                "type": "document",
                "context": "c",
                "source": {"type": "text", "media_type": "text/plain", "data": "the word"},
            },
            [{"type": "input_text", "text": "c\nthe word"}],
        ),
        (
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "text", "text": "the word"}, IMAGE]},
            },
            [{"type": "input_text", "text": "the word"}, SENT_IMAGE],
        ),
        (
            {
                "type": "search_result",
                "source": "s",
                "title": "t",
                "content": [{"type": "text", "text": "the word"}],
            },
            [{"type": "input_text", "text": "t\ns\nthe word"}],
        ),
    ],
)
def test_what_a_user_shows_is_seen(block: Json, parts: list[Json]) -> None:
    """Pain 49, 50."""
    reply = translated([{"role": "user", "content": [block]}])
    assert sent(reply)["input"] == [{"type": "message", "role": "user", "content": parts}]
    assert reply.lost == ()


def test_functions_are_flat_and_say_that_they_are_not_strict() -> None:
    """Pain 69. Without `strict` the dialect takes a function for strict, and refuses most schemas."""
    tools = [TOOL, {"name": "g", "input_schema": {"type": "object"}}]
    assert sent(translated(tools=tools))["tools"] == [
        {"type": "function", "name": "f", "description": "d", "parameters": TOOL["input_schema"], "strict": False},
        {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": False},
    ]


@pytest.mark.parametrize(("required", "strict", "lost"), [(["a"], True, ()), ([], False, ("tools.strict",))])
def test_strict_holds_where_the_schema_is_of_its_kind(required: list[str], strict: bool, lost: tuple[str, ...]) -> None:
    """Strict mode takes closed objects alone, with every property required (Structured Outputs guide)."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "string"}}},
        "required": required,
        "additionalProperties": False,
    }
    reply = translated(tools=[{"name": "f", "strict": True, "input_schema": schema}])
    assert sent(reply)["tools"][0]["strict"] is strict
    assert reply.lost == lost
    config = {"format": {"type": "json_schema", "schema": schema}}
    found = sent(translated(output_config=config))["text"]["format"]
    assert found == {"type": "json_schema", "name": "output", "schema": schema, "strict": strict}


@pytest.mark.parametrize(
    ("choice", "fields"),
    [
        ({"type": "auto"}, {}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "name": "f"}}),
        ({"type": "auto", "disable_parallel_tool_use": True}, {"parallel_tool_calls": False}),
    ],
)
def test_every_choice_of_tools(choice: Json, fields: Json) -> None:
    """Pain 47."""
    body = sent(translated(tools=[TOOL], tool_choice=choice))
    assert {name: body[name] for name in ("tool_choice", "parallel_tool_calls") if name in body} == fields


def test_long_names_and_ids_are_shortened_and_come_back() -> None:
    """Pain 44: both names have the same first 70 characters."""
    names = ["n" * 70 + "a", "n" * 70 + "b"]
    long_id = "toolu_" + "x" * 90
    history = [
        *SAID,
        {"role": "assistant", "content": [{"type": "tool_use", "id": long_id, "name": names[0], "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": long_id, "content": "y"}]},
    ]
    reply = translated(history, tools=[{**TOOL, "name": name} for name in names])
    body = sent(reply)
    short = [tool["name"] for tool in body["tools"]]
    assert len(set(short)) == 2
    assert all(len(name) <= 64 for name in short)
    assert body["input"][1]["name"] == short[0]
    assert body["input"][1]["call_id"] == body["input"][2]["call_id"]
    assert len(body["input"][1]["call_id"]) <= 64
    call = {"type": "function_call", "call_id": "call_1", "name": short[1], "arguments": "{}"}
    answered = reply.read(Operation.MESSAGES, json.dumps({"status": "completed", "output": [call]}).encode())
    assert json.loads(answered.body)["content"][0]["name"] == names[1]


def test_what_is_lost_is_told() -> None:
    """Pain 10, 14, 48."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    reply = translated(
        [
            {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
            {"role": "assistant", "content": "{"},
        ],
        tools=[search],
        top_k=3,
        metadata={"user_id": "u" * 100},
        service_tier="standard_only",
    )
    assert set(reply.lost) == {"cache_control", "prefill", "top_k", "tools.web_search_20250305"}
    body = sent(reply)
    assert "cache_control" not in reply.request.body.decode()
    assert "tools" not in body
    assert len(body["safety_identifier"]) <= 64
    assert body["service_tier"] == "default"


def test_the_smallest_limit_is_what_the_dialect_takes() -> None:
    """Clients ask for one token to see whether a key works; below 16 the dialect answers 400."""
    assert sent(translated(max_tokens=1))["max_output_tokens"] == 16


@pytest.mark.parametrize("kind", ["image", "document"])
def test_uploaded_files_are_refused(kind: str) -> None:
    block = {"type": kind, "source": {"type": "file", "file_id": "file_1"}}
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [block]}]}
    betas = frozenset({"files-api-2025-04-14"})
    question = Question(
        request=validate_messages(body, foreign("m"), version="2023-06-01", betas=betas),
        target=Target(provider="p", model="gpt-5.2", base_url="https://p.test", api_key=None, auth="bearer"),
        message_id="msg_1",
        input_tokens=1,
        new_tool_id=lambda: "toolu_1",
    )
    with pytest.raises(InvalidRequest, match=f"{kind}.source"):
        Responses().translate(question)


# -- what else the models and hosts take --


def test_messages_say_whether_they_are_the_answer() -> None:
    """Newer models take what was said on the way for the answer otherwise (`phase`; pydantic-ai#5229)."""
    call = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
    history = [
        *SAID,
        {"role": "assistant", "content": [{"type": "text", "text": "I look."}, call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "x"}]},
        {"role": "assistant", "content": "It is x."},
        *SAID,
    ]
    for model, phases in (("gpt-5.4", ["commentary", "final_answer"]), ("gpt-5.2", [None, None])):
        items = sent(translated(history, model=model, tools=[TOOL]))["input"]
        assert [item.get("phase") for item in items if item.get("role") == "assistant"] == phases
        assert all("phase" not in item for item in items if item.get("role") != "assistant")


@pytest.mark.parametrize(
    ("model", "effort", "told"),
    [("gpt-5-pro", "low", "high"), ("gpt-5.4-pro", "low", "medium"), ("gpt-5.4-pro", "max", "xhigh")],
)
def test_effort_is_at_least_what_the_model_takes(model: str, effort: str, told: str) -> None:
    """Source: models.dev#331, where `medium` is refused by gpt-5-pro."""
    assert sent(translated(model=model, output_config={"effort": effort}))["reasoning"] == {"effort": told}


def test_what_combines_schemas_at_the_top_is_said_in_words() -> None:
    """Refused there: "schema must have type 'object' and not have 'anyOf' at the top level"."""
    schema = {**TOOL["input_schema"], "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    reply = translated(tools=[{**TOOL, "input_schema": schema}, {"name": "g", "input_schema": {**schema, "not": {}}}])
    first, second = sent(reply)["tools"]
    assert first["parameters"] == second["parameters"] == TOOL["input_schema"]
    assert first["description"].startswith("d\n")
    assert '{"anyOf":[{"required":["a"]},{"required":["b"]}]}' in first["description"]
    assert '"not":{}' in second["description"]


@pytest.mark.parametrize(
    ("schema", "lost"),
    [
        ({"type": "array", "items": {"type": "string"}}, ("output_config.format",)),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
            ("output_config.format.strict",),
        ),
    ],
)
def test_a_format_that_is_refused_is_told_as_lost(schema: Json, lost: tuple[str, ...]) -> None:
    reply = translated(output_config={"format": {"type": "json_schema", "schema": schema}})
    assert reply.lost == lost
    assert ("text" in sent(reply)) == (lost == ("output_config.format.strict",))


def test_empty_texts_are_not_sent() -> None:
    """Pain 3: they are refused."""
    empty = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": ""}}
    turn = {"role": "user", "content": [empty, {"type": "text", "text": "hi"}]}
    assert sent(translated([turn]))["input"][0]["content"] == [{"type": "input_text", "text": "hi"}]
    with pytest.raises(InvalidRequest, match="the model that answers"):
        translated([{"role": "user", "content": [empty]}])


def test_hosts_without_users_and_tiers_are_told_of_none() -> None:
    can = Capabilities(user=False, service_tier="")
    asking = question("m", can=can, metadata={"user_id": "u"}, service_tier="auto")
    reply = Responses().translate(asking)
    assert reply.lost == ("metadata.user_id", "service_tier")
    assert not {"safety_identifier", "service_tier"} & sent(reply).keys()


# -- counts --


def test_a_count_asks_for_the_same_prompt() -> None:
    """Pain 16: what counting does not take is left out (types of the package, `InputTokenCountParams`)."""
    fields: Json = {
        "system": "s",
        "tools": [TOOL],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "thinking": {"type": "adaptive"},
        "max_tokens": 4096,
        "temperature": 1,
        "metadata": {"user_id": "u"},
        "stream": True,
    }
    asking = question("gpt-5.2", can=Capabilities(count="input_tokens"), **fields)
    count = Responses().count(asking)
    assert count is not None
    assert (count.request.url, count.field) == ("https://p.test/v1/responses/input_tokens", "input_tokens")
    assert ("authorization", f"Bearer {SECRET}") in count.request.headers
    body = body_of(count.request.body)
    assert body.keys() == {"model", "input", "instructions", "tools", "parallel_tool_calls", "reasoning"}
    whole = body_of(Responses().translate(asking).request.body)
    assert body == {name: whole[name] for name in body}


def test_a_host_that_is_not_known_to_count_is_not_asked() -> None:
    assert Responses().count(question("gpt-5.2")) is None


# -- errors --


@pytest.mark.parametrize("code", ["server_is_overloaded", "slow_down"])
@pytest.mark.parametrize("form", ["event", "failed", "status"])
def test_a_server_that_is_overloaded_says_so_in_every_form(code: str, form: str) -> None:
    """Types of the package, `ResponseError`: the code alone tells it in a stream; as a reply it is 503. Ours is 529."""
    reply = translated(stream=True)
    error = {"code": code, "message": "m"}
    told: Json = {"type": "response.failed", "response": {"status": "failed", "error": error}}
    if form == "event":
        told = {"type": "error", **error}
    if form == "status":
        refusal = reply.refusal(503, json.dumps({"error": error}).encode())
    else:
        with pytest.raises(Overloaded) as failed:
            reply.stream().feed(stream_bytes([told]))
        refusal = failed.value
    assert (refusal.status, refusal.kind, refusal.message) == (529, "overloaded_error", "m")
