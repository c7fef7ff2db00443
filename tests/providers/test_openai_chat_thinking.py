"""Thinking over Chat Completions: how it is asked for, how it goes back. Cases of pain.md are cited by number."""

import json
from typing import Any

import pytest
from message_forms import CALL
from translating_cases import SECRET, TOOLS, Json, folded, question, read_stream, stream_bytes

from dragoman.providers.base import Capabilities, Operation
from dragoman.providers.openai_chat import ChatCompletions
from dragoman.wire.provenance import UNSIGNED, unwrap

CHAT = ChatCompletions()
HI = [{"role": "user", "content": "hi"}]
ON: Json = {"thinking": {"type": "adaptive"}}
OFF: Json = {"thinking": {"type": "disabled"}}
BUDGET: Json = {"thinking": {"type": "enabled", "budget_tokens": 10_000}, "max_tokens": 20_000}
HARD: Json = {"output_config": {"effort": "max"}}
USUAL = ("model", "messages", "max_tokens", "max_completion_tokens")


def asked(model: str = "some-model", *, can: Json, **fields: Any) -> tuple[Json, list[str]]:
    """What is sent beyond the usual, and what is lost."""
    translated = CHAT.translate(question(model, can=Capabilities(**can), **fields))
    body = json.loads(translated.request.body)
    return {name: value for name, value in body.items() if name not in USUAL}, list(translated.lost)


TEMPLATE = "chat_template_kwargs"


@pytest.mark.parametrize(
    ("can", "fields", "sent", "is_lost"),
    [
        # OpenRouter
        ({"effort": "reasoning"}, {}, {}, []),
        ({"effort": "reasoning"}, ON, {"reasoning": {"enabled": True}}, []),
        ({"effort": "reasoning"}, OFF, {"reasoning": {"effort": "none"}}, []),
        ({"effort": "reasoning"}, BUDGET, {"reasoning": {"max_tokens": 10_000}}, []),
        (
            {"effort": "reasoning", "efforts": ("low", "high", "xhigh")},
            {**ON, **HARD},
            {"reasoning": {"effort": "xhigh"}},
            [],
        ),
        # DeepSeek
        ({"effort": "thinking"}, {}, {}, []),
        ({"effort": "thinking"}, ON, {"thinking": {"type": "enabled"}}, []),
        ({"effort": "thinking"}, OFF, {"thinking": {"type": "disabled"}}, []),
        (
            {"effort": "thinking", "efforts": ("low", "high", "max")},
            HARD,
            {"thinking": {"type": "enabled"}, "reasoning_effort": "max"},
            [],
        ),
        (
            {"effort": "thinking", "efforts": ("low", "high", "max")},
            BUDGET,
            {"thinking": {"type": "enabled"}, "reasoning_effort": "low"},
            [],
        ),
        # Z.AI, Moonshot: no efforts
        ({"effort": "thinking"}, HARD, {"thinking": {"type": "enabled"}}, ["output_config.effort"]),
        ({"effort": "thinking"}, BUDGET, {"thinking": {"type": "enabled"}}, ["thinking.budget_tokens"]),
        ({"effort": "thinking", "reasons": "^glm"}, ON, {}, ["thinking"]),
        ({"effort": "thinking", "reasons": "^glm"}, HARD, {}, ["output_config.effort"]),
        ({"effort": "thinking", "reasons": "^glm"}, OFF, {}, []),
        # vLLM, SGLang, llama.cpp
        ({"effort": TEMPLATE}, ON, {TEMPLATE: {"enable_thinking": True}}, []),
        ({"effort": TEMPLATE}, OFF, {TEMPLATE: {"enable_thinking": False}}, []),
        (
            {"effort": TEMPLATE, "budget": "reasoning_budget_tokens"},
            BUDGET,
            {TEMPLATE: {"enable_thinking": True}, "reasoning_budget_tokens": 10_000},
            [],
        ),
        (
            {"effort": TEMPLATE, "efforts": ("low", "medium", "high")},
            HARD,
            {TEMPLATE: {"enable_thinking": True}, "reasoning_effort": "high"},
            [],
        ),
        # Model Studio, Together
        ({"effort": "enable_thinking", "budget": "thinking_budget"}, OFF, {"enable_thinking": False}, []),
        (
            {"effort": "enable_thinking", "budget": "thinking_budget"},
            BUDGET,
            {"enable_thinking": True, "thinking_budget": 10_000},
            [],
        ),
        ({"effort": "enabled"}, ON, {"reasoning": {"enabled": True}}, []),
        # Groq, Cerebras, Ollama: an effort alone
        ({"effort": "reasoning_effort", "efforts": ("low", "high")}, ON, {}, []),
        ({"effort": "reasoning_effort", "efforts": ("low", "high")}, OFF, {}, ["thinking"]),
        ({"effort": "reasoning_effort", "efforts": ("low", "high")}, BUDGET, {"reasoning_effort": "low"}, []),
        # xAI, Mistral: one that rests by itself, or at a word
        ({"effort": "reasoning_effort", "efforts": ("none", "high")}, ON, {"reasoning_effort": "high"}, []),
        ({"effort": "reasoning_effort", "efforts": ("none", "high")}, OFF, {"reasoning_effort": "none"}, []),
        ({"effort": "none"}, {**ON, **HARD}, {}, ["thinking"]),
        ({"effort": "none"}, OFF, {}, []),
        # thinking in a field of its own, where it must be asked for
        ({"parsed_thinking": "^some"}, {}, {"reasoning_format": "parsed"}, []),
        ({"parsed_thinking": "^other"}, {}, {}, []),
    ],
)
def test_how_thinking_is_asked_for(can: Json, fields: Json, sent: Json, is_lost: list[str]) -> None:
    """Pain 60: as the caller wants it, in the host's own words."""
    assert asked(can=can, **fields) == (sent, is_lost)


def test_openais_models_may_rest() -> None:
    assert asked("gpt-5.2", can={}, **OFF) == ({"reasoning_effort": "none"}, [])
    assert asked("gpt-5", can={}, **OFF) == ({}, [])


@pytest.mark.parametrize(
    ("model", "can", "sent", "is_lost"),
    [
        ("m", {"effort": "thinking"}, {"thinking": {"type": "disabled"}, "tool_choice": "required"}, []),
        ("m", {"effort": "enable_thinking"}, {"enable_thinking": False, "tool_choice": "required"}, []),
        ("kimi-k3", {"effort": "thinking", "reasons": "k2"}, {}, ["tool_choice"]),
    ],
)
def test_a_model_that_is_made_to_call_a_tool_may_not_think(
    model: str, can: Json, sent: Json, is_lost: list[str]
) -> None:
    """Pain 47: hosts that refuse the pair; one that cannot but think is not made to."""
    fields: Json = {"tools": TOOLS, "tool_choice": {"type": "any"}}
    got, lost = asked(model, can={**can, "forced_thinking": False}, **fields)
    del got["tools"]
    assert (got, lost) == (sent, is_lost)
    asked_to_think, lost = asked(model, can={**can, "forced_thinking": False}, tools=TOOLS, **ON)
    assert asked_to_think.get("thinking", {}).get("type") != "disabled"
    assert "tool_choice" not in lost


def test_what_is_begun_is_gone_on_with_without_thinking() -> None:
    """llama.cpp and vLLM's templates would begin to think in the middle of the answer."""
    can: Json = {"effort": TEMPLATE, "prefill": "plain"}
    begun = [*HI, {"role": "assistant", "content": "The"}]
    assert asked(can=can, messages=begun) == ({TEMPLATE: {"enable_thinking": False}}, [])
    assert asked(can={**can, "prefill": None}, messages=begun)[0] == {}


# -- what goes back --

FIELDS = {
    "reasoning_content": lambda message: message["reasoning_content"],
    "reasoning": lambda message: message["reasoning"],
    "reasoning_details": lambda message: message["reasoning"],
    "parts": lambda message: message["content"][0]["thinking"][0]["text"],
}


def chunk(finish: str | None = None, **delta: Any) -> Json:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def replied(*chunks: Json, can: Json, model: str = "thinker", **fields: Any) -> list[Json]:
    reader = CHAT.translate(question(model, can=Capabilities(**can), stream=True, tools=TOOLS, **fields)).stream()
    return list(folded(read_stream(reader, stream_bytes([*chunks, chunk("stop")])))["content"])


CALLED = chunk(tool_calls=[{"index": 0, "id": "c_1", "function": {"name": "get_time", "arguments": "{}"}}])


def answered(content: list[Json]) -> list[Json]:
    """The next request of a client that sends a message back as it came."""
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "r"}
        for block in content
        if block["type"] == "tool_use"
    ]
    return [*HI, {"role": "assistant", "content": content}, {"role": "user", "content": results or "go on"}]


def sent_back(content: list[Json], *, can: Json, model: str = "thinker", **fields: Any) -> tuple[Json, list[str]]:
    """The assistant's message as it goes out, and what is lost."""
    turns = answered(content)
    target = question(model, can=Capabilities(**can), tools=TOOLS, messages=turns, **fields)
    translated = CHAT.translate(target)
    (message,) = [each for each in json.loads(translated.request.body)["messages"] if each["role"] == "assistant"]
    return message, list(translated.lost)


@pytest.mark.parametrize("how", FIELDS)
def test_thinking_goes_back_to_the_model_that_made_it(how: str) -> None:
    """Pain 6: in a tool loop, to the letter; pain 7: and to no other, nor to a host with no place for it."""
    can = {"thinking_back": how}
    content = replied(chunk(reasoning_content="Hm 🤔"), chunk(reasoning_content=", so"), CALLED, can=can)
    assert [block["type"] for block in content] == ["thinking", "tool_use"]
    assert content[0]["thinking"] == "Hm 🤔, so"
    message, lost = sent_back(content, can=can)
    assert FIELDS[how](message) == "Hm 🤔, so"
    assert lost == []
    for other, model in (({}, "thinker"), (can, "another")):
        message, lost = sent_back(content, can=other, model=model)
        assert "Hm" not in json.dumps(message, ensure_ascii=False)
        assert message["tool_calls"]
        assert lost == ["thinking"]


def test_thinking_that_nobody_takes_back_is_not_signed() -> None:
    (thought, _) = replied(chunk(reasoning="Hm"), chunk(content="so"), can={})
    assert thought["signature"] == UNSIGNED


def test_thinking_that_the_caller_does_not_see_goes_back_all_the_same() -> None:
    """Pain 60: display "omitted" is an empty block; what was thought is in its signature."""
    hidden: Json = {"thinking": {"type": "adaptive", "display": "omitted"}}
    can = {"thinking_back": "reasoning_content"}
    content = replied(chunk(reasoning_content="Hm"), CALLED, can=can, **hidden)
    assert [block["type"] for block in content] == ["thinking", "tool_use"]
    assert content[0]["thinking"] == ""
    assert sent_back(content, can=can)[0]["reasoning_content"] == "Hm"
    assert replied(chunk(reasoning_content="Hm"), chunk(content="so"), can={}, **hidden)[0] == {
        "type": "thinking",
        "thinking": "",
        "signature": UNSIGNED,
    }


def test_thinking_that_was_switched_off_is_not_shown() -> None:
    (text,) = replied(chunk(reasoning_content="Hm"), chunk(content="so"), can={}, **OFF)
    assert text == {"type": "text", "text": "so"}


DETAILS = [
    {"type": "reasoning.text", "text": "Let ", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.text", "text": "me see.", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.text", "signature": "sig==", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "format": "openai-responses-v1", "index": 1},
]
TOGETHER = [
    {
        "type": "reasoning.text",
        "text": "Let me see.",
        "signature": "sig==",
        "format": "anthropic-claude-v1",
        "index": 0,
    },
    DETAILS[3],
]


@pytest.mark.parametrize("told_too", [True, False])
def test_details_of_thinking_go_back_whole_and_in_their_order(told_too: bool) -> None:
    """Pain 6: OpenRouter's, with signatures and encrypted data; in a stream they come in pieces."""
    can = {"thinking_back": "reasoning_details"}
    chunks = [
        chunk(reasoning_details=[each], **({"reasoning": each["text"]} if told_too and "text" in each else {}))
        for each in DETAILS
    ]
    content = replied(*chunks, chunk(content="So:"), CALLED, can=can)
    assert [block["type"] for block in content] == ["thinking", "text", "tool_use"]
    assert content[0]["thinking"] == "Let me see."
    message, lost = sent_back(content, can=can)
    assert message["reasoning_details"] == TOGETHER
    assert "reasoning" not in message
    assert lost == []
    reply = {
        "choices": [
            {"message": {"content": "So:", "reasoning_details": TOGETHER}, "finish_reason": "stop"},
        ]
    }
    read = CHAT.translate(question("thinker", can=Capabilities(**can))).read(
        Operation.MESSAGES, json.dumps(reply).encode()
    )
    whole = json.loads(read.body)["content"]
    assert [block["type"] for block in whole] == ["thinking", "text"]
    assert sent_back(whole, can=can)[0]["reasoning_details"] == TOGETHER


def test_thinking_that_is_only_encrypted_is_an_empty_block() -> None:
    can = {"thinking_back": "reasoning_details"}
    content = replied(chunk(reasoning_details=[DETAILS[3]]), CALLED, can=can)
    assert [block["type"] for block in content] == ["thinking", "tool_use"]
    assert sent_back(content, can=can)[0]["reasoning_details"] == [DETAILS[3]]


def test_details_that_come_within_a_text() -> None:
    """What is thought is a block of its own, and nothing of the text is lost, however its chunks are written."""
    can = {"thinking_back": "reasoning_details"}
    content = replied(chunk(content="a"), chunk(reasoning_details=[DETAILS[3]]), chunk(content="b"), can=can)
    assert [block["type"] for block in content] == ["text", "thinking", "text"]
    assert sent_back(content, can=can)[0]["content"] == "ab"


def test_details_that_come_behind_a_call_are_kept() -> None:
    """Gemini's signatures come with the calls that they sign."""
    can = {"thinking_back": "reasoning_details"}
    content = replied(CALLED, chunk(reasoning_details=[DETAILS[3]]), can=can)
    assert sorted(block["type"] for block in content) == ["thinking", "tool_use"]
    message, _ = sent_back(content, can=can)
    assert message["reasoning_details"] == [DETAILS[3]]
    assert message["tool_calls"]


@pytest.mark.parametrize(
    "details", [None, {}, [None], ["x"], [{}], [{"type": 7}], [{"type": "reasoning.text", "text": 3}]]
)
def test_odd_details_are_no_more_than_odd(details: Any) -> None:
    """Pain 57."""
    can = {"thinking_back": "reasoning_details"}
    content = replied(chunk(reasoning_details=details), chunk(content="so"), can=can)
    assert content[-1]["text"] == "so"
    assert sent_back(content, can=can)[0]["content"] == "so"


def test_a_host_that_misses_thinking_gets_something() -> None:
    """Pain 7: DeepSeek refuses a conversation in which another model has called tools."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "another's"}
    can = {"thinking_back": "reasoning_content", "thinking_missed": True}
    message, lost = sent_back([thought, {**CALL}], can=can)
    assert message["reasoning_content"] == " "
    assert lost == ["thinking"]
    own = replied(chunk(reasoning_content="mine"), CALLED, can=can)
    assert sent_back(own, can=can)[0]["reasoning_content"] == "mine"


def test_what_goes_back_is_kept_where_a_host_would_clear_it() -> None:
    can: Json = {"thinking_back": "reasoning_content", "keep_thinking": True, "effort": "thinking"}
    content = replied(chunk(reasoning_content="mine"), CALLED, can=can)
    kept = {"thinking": {"type": "enabled", "clear_thinking": False}}
    turns = answered(content)
    for fields, expected in (({}, kept), (ON, kept), (OFF, {"thinking": {"type": "disabled"}})):
        sent, _ = asked("thinker", can=can, messages=turns, tools=TOOLS, **fields)
        assert {"thinking": sent["thinking"]} == expected
    assert "thinking" not in asked("thinker", can=can, messages=HI)[0]


def test_thinking_that_nothing_followed_is_left_out() -> None:
    """Pain 3: it was cut off; a message of nothing else is refused."""
    can = {"thinking_back": "reasoning_content"}
    content = replied(chunk(reasoning_content="Hm"), can=can)
    turns = [*HI, {"role": "assistant", "content": content}, {"role": "user", "content": "go on"}]
    translated = CHAT.translate(question("thinker", can=Capabilities(**can), messages=turns))
    assert [each["role"] for each in json.loads(translated.request.body)["messages"]] == ["user", "user"]
    assert list(translated.lost) == ["thinking"]


def test_a_signature_that_somebody_changed_is_anothers() -> None:
    can = {"thinking_back": "reasoning_content"}
    content = replied(chunk(reasoning_content="Hm"), chunk(content="so"), can=can)
    origin, opaque = unwrap(content[0]["signature"]) or ("", "")
    assert origin == "openai_chat/p/thinker"
    for broken in ("{", "[]", '{"text": 7}', '{"details": 1}'):
        changed = {**content[0], "signature": content[0]["signature"].removesuffix(opaque) + broken}
        message, lost = sent_back([changed, content[1]], can=can)
        assert "reasoning_content" not in message
        assert lost == ["thinking"]
    assert SECRET not in json.dumps(content)
