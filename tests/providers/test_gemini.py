"""Gemini: what goes out, and that a thought's signature survives the way to a client and back."""

import json
import re
from typing import Any

import msgspec
import pytest
from gemini_cases import G3, G25, SIGNATURE, WEATHER, calls, chunks_of, lost, message_of, sent, translated
from translating_cases import SECRET, Json, question

from dragoman.errors import (
    NotFound,
)
from dragoman.providers.base import Operation
from dragoman.providers.gemini import BYPASS, Gemini
from dragoman.providers.gemini_request import GIF_LEFT_OUT
from dragoman.wire.provenance import unwrap, wrap

PNG = "iVBORw0KGgo="
BUDGET = {"type": "enabled", "budget_tokens": 2000}


def parts(*blocks: Json) -> list[Json]:
    """Of a user's message with these blocks."""
    found: list[Json] = sent(messages=[{"role": "user", "content": list(blocks)}])["contents"][0]["parts"]
    return found


# -- the request --


def test_the_key_is_in_a_header_and_never_in_the_url() -> None:
    """Pain 79."""
    asked = question(G3, stream=True)
    plain = msgspec.structs.replace(asked, target=msgspec.structs.replace(asked.target, auth="x-api-key"))
    request = Gemini().translate(plain).request
    assert request.url == f"https://p.test/v1/models/{G3}:streamGenerateContent?alt=sse"
    assert ("x-goog-api-key", SECRET) in request.headers
    assert SECRET not in request.url + request.body.decode()
    assert ("authorization", f"Bearer {SECRET}") in translated().request.headers
    assert translated().request.url == f"https://p.test/v1/models/{G3}:generateContent"


@pytest.mark.parametrize(
    "model", ["../v1/files", "m:generateContent?key=1", "a/b", "models/", "x?y", "tunedModels/../a"]
)
def test_what_is_no_model_never_reaches_the_url(model: str) -> None:
    with pytest.raises(NotFound):
        translated(model)


def test_system_messages_and_settings() -> None:
    body = sent(
        system=[{"type": "text", "text": "x-anthropic-billing-header: cch=1"}, {"type": "text", "text": "Be brief."}],
        temperature=0.5, top_p=0.9, top_k=40,
        messages=[
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]},
        ],
    )  # fmt: skip
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert body["generationConfig"] == {"maxOutputTokens": 100, "temperature": 0.5, "topP": 0.9, "topK": 40}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [{"text": "b"}]},
        {"role": "user", "parts": [{"text": "c"}, {"text": "d"}]},
    ]


def test_a_system_message_stays_in_its_place() -> None:
    """Pain 12, 13: seen where it stands, and what is before it does not change."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    before = sent(messages=turns)["contents"]
    after = sent(messages=[*turns, {"role": "system", "content": "Now in French."}])["contents"]
    assert after[:2] == before[:2]
    assert after[2]["parts"] == [{"text": "c"}, {"text": "<system>\nNow in French.\n</system>"}]


def test_files_go_as_parts() -> None:
    """Pain 21, 49, 50."""
    assert parts({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}) == [
        {"inlineData": {"mimeType": "image/png", "data": PNG}}
    ]
    assert parts({"type": "image", "source": {"type": "url", "url": "https://e.test/a.JPG?x=1"}}) == [
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://e.test/a.JPG?x=1"}}
    ]
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
    assert parts({"type": "document", "title": "T", "source": pdf}) == [
        {"text": "T"},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
    ]
    plain = {"type": "text", "media_type": "text/plain", "data": "body"}
    assert parts({"type": "document", "title": "T", "source": plain}) == [{"text": "T\nbody"}]
    found = {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]}
    assert parts(found) == [{"text": "t\ns\nx"}]


def test_a_tool_loop_keeps_ids_names_and_order() -> None:
    """Pain 19, 20, 45: results in the turn behind their calls, the last that it holds, or newer models miss them; no
    input is {}."""
    messages = [
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "call_a", "name": "get_weather", "input": {"city": "Rome"}},
                {"type": "tool_use", "id": "call_b", "name": "get_weather", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_b", "content": "no city", "is_error": True},
                {"type": "tool_result", "tool_use_id": "call_a", "content": [{"type": "text", "text": "mild"}]},
                {"type": "text", "text": "and now?"},
            ],
        },
    ]
    contents = sent(messages=messages, tools=[WEATHER])["contents"]
    assert contents[1]["parts"] == [
        {
            "functionCall": {"id": "call_a", "name": "get_weather", "args": {"city": "Rome"}},
            "thoughtSignature": BYPASS,
        },
        {"functionCall": {"id": "call_b", "name": "get_weather", "args": {}}},
    ]
    assert contents[2]["parts"] == [
        {"text": "and now?"},
        {"functionResponse": {"id": "call_b", "name": "get_weather", "response": {"error": "no city"}}},
        {"functionResponse": {"id": "call_a", "name": "get_weather", "response": {"output": "mild"}}},
    ]
    assert "thoughtSignature" not in json.dumps(sent(G25, messages=messages, tools=[WEATHER]))


def test_tools_that_a_result_names_are_named() -> None:
    """Claude Code's search for tools answers with nothing else."""
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "ToolSearch", "input": {}}]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": [{"type": "tool_reference", "tool_name": "get_weather"}],
                }
            ],
        },
    ]
    (part,) = sent(messages=messages, tools=[WEATHER])["contents"][2]["parts"]
    assert part["functionResponse"]["response"] == {"output": "Tool: get_weather"}


def test_images_in_results_are_seen() -> None:
    """Pain 21: within the result where Gemini takes them there, beside it where not; never as text."""

    def turn(model: str, media_type: str) -> list[Json]:
        image = {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": PNG}}
        call = {"type": "tool_use", "id": "c1", "name": "shot", "input": {}}
        messages = [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [image]}]},
        ]
        return sent(model, messages=messages)["contents"][2]["parts"]  # type: ignore[no-any-return]

    data = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    assert turn(G3, "image/png")[0]["functionResponse"]["parts"] == [data]
    label, beside, result = turn(G25, "image/png")
    assert label == {"text": "Attached to the result of c1:"}
    assert beside == data
    assert "parts" not in result["functionResponse"]
    assert turn(G3, "image/gif")[0]["functionResponse"]["response"] == {"output": GIF_LEFT_OUT}


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (None, None),
        ({"type": "auto"}, None),
        ({"type": "any"}, {"mode": "ANY"}),
        ({"type": "tool", "name": "get_weather"}, {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}),
        ({"type": "none"}, {"mode": "NONE"}),
    ],
)
def test_tool_choice(choice: Json | None, config: Json | None) -> None:
    """Pain 47."""
    fields = {} if choice is None else {"tool_choice": choice}
    body = sent(tools=[WEATHER], **fields)
    assert body.get("toolConfig") == (None if config is None else {"functionCallingConfig": config})
    if choice is None:
        assert "toolConfig" not in sent(tools=[])


def test_strict_tools_are_validated_and_one_call_at_a_time_is_reported() -> None:
    assert sent(
        tools=[{**WEATHER, "strict": True, "input_schema": {**WEATHER["input_schema"], "additionalProperties": False}}]
    )["toolConfig"] == {  # type: ignore[dict-item]
        "functionCallingConfig": {"mode": "VALIDATED"}
    }
    assert lost(tools=[WEATHER], tool_choice={"type": "auto", "disable_parallel_tool_use": True}) == [
        "disable_parallel_tool_use"
    ]


def test_names_go_out_legal_and_come_back() -> None:
    """Pain 44: two long names with a common beginning, and one that begins with a digit."""
    names = [f"mcp__{'x' * 90}__{end}" for end in ("one", "two")] + ["9lives", "_9lives"]
    tools = [{**WEATHER, "name": name} for name in names]
    reply = translated(tools=tools)
    out = [each["name"] for each in json.loads(reply.request.body)["tools"][0]["functionDeclarations"]]
    assert len(set(out)) == 4
    assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}", name) for name in out)
    back = [{"functionCall": {"name": name}} for name in out]
    body = {"candidates": [{"content": {"parts": back}, "finishReason": "STOP"}]}
    message = json.loads(reply.read(Operation.MESSAGES, json.dumps(body).encode()).body)
    assert [call["name"] for call in calls(message)] == names


@pytest.mark.parametrize(
    ("model", "fields", "config"),
    [
        (G3, {}, None),
        (G3, {"thinking": {"type": "adaptive"}}, {"includeThoughts": True}),
        (G3, {"thinking": {"type": "adaptive", "display": "omitted"}}, None),
        (G3, {"thinking": BUDGET}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        (G3, {"thinking": {"type": "disabled"}}, {"thinkingLevel": "LOW"}),
        (G3, {"output_config": {"effort": "medium"}}, {"thinkingLevel": "MEDIUM"}),
        ("gemini-3-pro-preview", {"output_config": {"effort": "medium"}}, {"thinkingLevel": "HIGH"}),
        (G25, {"thinking": BUDGET}, {"thinkingBudget": 2000, "includeThoughts": True}),
        (G25, {"thinking": {"type": "adaptive"}}, {"thinkingBudget": -1, "includeThoughts": True}),
        (G25, {"thinking": {"type": "disabled"}}, {"thinkingBudget": 0}),
        ("gemini-2.5-pro", {"thinking": {"type": "disabled"}}, {"thinkingBudget": 128}),
        ("gemini-2.5-pro", {"output_config": {"effort": "max"}}, {"thinkingBudget": 24576}),
        ("gemini-2.0-flash", {"thinking": {"type": "adaptive"}}, None),
    ],
)  # fmt: skip
def test_thinking(model: str, fields: Json, config: Json | None) -> None:
    assert sent(model, max_tokens=4000, **fields)["generationConfig"].get("thinkingConfig") == config


def test_structured_output_is_json_schema() -> None:
    schema = {"type": "object", "properties": {"n": {"const": 1}}, "required": ["n"], "additionalProperties": False}
    wanted = {"type": "json_schema", "schema": schema}
    config = sent(output_config={"format": wanted})["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseJsonSchema"]["properties"] == {"n": {"enum": [1], "type": "number"}}
    assert lost(G25, output_config={"format": wanted}, tools=[WEATHER]) == ["output_config.format"]


def test_what_is_lost_is_told() -> None:
    """Pain 10, 14, 48."""
    cached = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    reply = translated(
        messages=[{"role": "user", "content": [cached]}],
        tools=[{"type": "web_fetch_20250910", "name": "web_fetch"}],
        metadata={"user_id": "u"},
    )
    assert sorted(reply.lost) == ["cache_control", "metadata.user_id", "tools.web_fetch_20250910"]
    body = json.loads(reply.request.body)
    assert "tools" not in body
    assert "cache_control" not in json.dumps(body)
    assert (
        sent(tools=[{"type": "bash_20250124", "name": "bash"}])["tools"][0]["functionDeclarations"][0]["name"] == "bash"
    )


def test_what_stands_behind_the_line_that_changes_is_kept() -> None:
    """Pain 11: of the block that begins with it only the line goes."""
    line = "x-anthropic-billing-header: cc_version=2; cch=0a1b2;"
    blocks = [{"type": "text", "text": f"{line}\nYou are Claude Code."}, {"type": "text", "text": "Be brief."}]
    assert sent(system=blocks)["systemInstruction"] == {"parts": [{"text": "You are Claude Code.\n\nBe brief."}]}
    assert "systemInstruction" not in sent(system=[{"type": "text", "text": line}])


def test_citations_of_search_results_are_told_as_lost() -> None:
    """Pain 50."""
    found = {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]}
    asked = {**found, "citations": {"enabled": True}}
    assert lost(messages=[{"role": "user", "content": [asked]}]) == ["citations"]
    assert lost(messages=[{"role": "user", "content": [found]}]) == []


# -- signatures --


def test_provenance_gives_back_what_it_was_given() -> None:
    for origin_, opaque in [("gemini/gemini-3-pro", SIGNATURE), ("ollama/qwen3:8b", ""), ("a%b:c", "x:y:z"), ("", "")]:
        assert unwrap(wrap(origin_, opaque)) == (origin_, opaque)
    for foreign_ in ("", "EqQBCkgIARABGAIiQ", "dragoman", "dragoman:none"):
        assert unwrap(foreign_) is None


def again(message: Json, *, model: str = G3, **fields: Any) -> list[Json]:
    """The parts of the model's turn, when a client sends the message back with the results of its calls."""
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "ok"} for call in calls(message)]
    follow = results or [{"type": "text", "text": "go on"}]
    content = [{key: value for key, value in block.items() if key != "citations"} for block in message["content"]]
    turns = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": follow},
    ]
    return sent(model, messages=turns, **fields)["contents"][1]["parts"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["call", "thinking_then_call", "parallel_calls", "parallel_calls_in_chunks"])
@pytest.mark.parametrize("thinking", [{}, {"thinking": {"type": "adaptive"}}])
def test_the_signature_of_a_call_goes_back_byte_equal(name: str, thinking: Json) -> None:
    """Pain 6, 8: the first call has the very signature that it came with, the others have none."""
    signed = [part for part in again(message_of(name, **thinking), **thinking) if "functionCall" in part]
    assert [part.get("thoughtSignature") for part in signed] == [SIGNATURE, *[None] * (len(signed) - 1)]
    told = json.dumps(chunks_of(name))
    assert all(part["functionCall"]["id"] in told for part in signed)


def test_a_signature_between_thinking_and_text_goes_back_to_its_place() -> None:
    assert again(message_of("thinking_signed_between")) == [
        {"text": "", "thoughtSignature": SIGNATURE},
        {"text": "Done."},
    ]


def test_a_signed_thought_goes_back_whole() -> None:
    said = [{"text": "hm", "thought": True, "thoughtSignature": "cw=="}, {"text": "x"}]
    body = {"candidates": [{"content": {"parts": said}, "finishReason": "STOP"}]}
    message = json.loads(translated().read(Operation.MESSAGES, json.dumps(body).encode()).body)
    assert again(message)[0] == {"text": "hm", "thought": True, "thoughtSignature": "cw=="}


@pytest.mark.parametrize("signature", ["EqQBCkgIARABGAIiQ", wrap("gemini/gemini-3-pro-preview", "c" + SIGNATURE)])
def test_what_another_model_signed_is_left_out_and_its_call_goes_through(signature: str) -> None:
    """Pain 7, 8: of Anthropic's, and of another of Gemini's models."""
    thinking = {"type": "thinking", "thinking": "hm", "signature": signature}
    call = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
    message = {"content": [thinking, call]}
    assert again(message) == [
        {"functionCall": {"id": "toolu_1", "name": "get_weather", "args": {}}, "thoughtSignature": BYPASS}
    ]


def test_a_signature_reaches_no_client_as_anything_but_thinking() -> None:
    message = message_of("call")
    assert [block["type"] for block in message["content"]] == ["thinking", "tool_use"]
    assert message["content"][0]["thinking"] == ""
    assert unwrap(message["content"][0]["signature"]) == (f"gemini/{G3}", "c" + SIGNATURE)
