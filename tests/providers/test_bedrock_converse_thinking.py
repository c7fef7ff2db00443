"""Converse: thinking, asked for and given back, and cache points."""

import json

import pytest
from converse_cases import (
    CLAUDE,
    DEEPSEEK,
    GPT,
    GPT_OSS,
    KIMI,
    LLAMA,
    MARK,
    MINIMAX,
    NOVA,
    NOVA_2,
    OLD_CLAUDE,
    PDF,
    POINT,
    QWEN,
    UNKNOWN,
    history,
    lost,
    sent,
    text,
    turn,
)
from message_forms import EVERYTHING
from translating_cases import TOOLS, Json

from dragoman.wire.provenance import UNSIGNED, wrap

# -- thinking --

ADAPTIVE, OFF, BUDGET = {"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled", "budget_tokens": 20_000}


@pytest.mark.parametrize(
    ("model", "thinking", "effort", "expected", "is_lost"),
    [
        (CLAUDE, BUDGET, None, {"thinking": BUDGET}, []),
        (CLAUDE, ADAPTIVE, "max", {"thinking": ADAPTIVE, "output_config": {"effort": "max"}}, []),
        (CLAUDE, OFF, None, {"thinking": OFF}, []),
        # "high" is refused beside a limit of tokens (UKGovernmentBEIS/inspect_ai#3767)
        (NOVA_2, BUDGET, None, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}, []),
        (NOVA_2, None, "low", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, []),
        (NOVA_2, OFF, None, None, []),
        (NOVA_2, OFF, "low", None, ["output_config.effort"]),
        (NOVA, ADAPTIVE, None, None, ["thinking"]),
        (NOVA, OFF, None, None, []),
        (NOVA, None, "high", None, ["output_config.effort"]),
        (GPT, None, "xhigh", {"reasoning": {"effort": "xhigh"}}, []),
        (GPT, BUDGET, None, {"reasoning": {"effort": "high"}}, []),
        (GPT, ADAPTIVE, None, {"reasoning": {"effort": "medium"}}, []),
        (GPT, OFF, "high", {"reasoning": {"effort": "none"}}, ["output_config.effort"]),
        (GPT, None, "max", {"reasoning": {"effort": "max"}}, []),
        # what these do not take: opencode#26268, The-PR-Agent/pr-agent#3259, #3271
        ("us.openai.gpt-5.5", None, "max", {"reasoning": {"effort": "xhigh"}}, []),
        ("openai.gpt-5.1", None, "max", {"reasoning": {"effort": "high"}}, []),
        ("openai.gpt-5-pro", None, "low", {"reasoning": {"effort": "high"}}, []),
        ("us.openai.gpt-6-astra", OFF, "low", {"reasoning": {"effort": "low"}}, ["thinking"]),
        (GPT, OFF, None, {"reasoning": {"effort": "none"}}, []),
        ("us.openai.gpt-6-astra", OFF, None, None, ["thinking"]),
        (GPT_OSS, ADAPTIVE, "max", {"reasoning_effort": "high"}, []),
        (GPT_OSS, OFF, None, None, ["thinking"]),
        (GPT_OSS, OFF, "low", {"reasoning_effort": "low"}, ["thinking"]),
        (DEEPSEEK, ADAPTIVE, None, {"reasoning_config": "medium"}, []),
        (DEEPSEEK, OFF, None, None, []),
        (KIMI, ADAPTIVE, "low", {"thinking": {"type": "enabled"}}, ["output_config.effort"]),
        (KIMI, OFF, None, {"thinking": {"type": "disabled"}}, []),
        (KIMI, OFF, "max", {"thinking": {"type": "disabled"}}, ["output_config.effort"]),
        (KIMI, BUDGET, None, {"thinking": {"type": "enabled"}}, ["thinking.budget_tokens"]),
        (MINIMAX, BUDGET, None, None, ["thinking.budget_tokens"]),
        (MINIMAX, BUDGET, "low", None, ["output_config.effort", "thinking.budget_tokens"]),
        (MINIMAX, ADAPTIVE, None, None, []),
        (MINIMAX, OFF, None, None, ["thinking"]),
        (MINIMAX, ADAPTIVE, "low", None, ["output_config.effort"]),
        (UNKNOWN, BUDGET, None, None, ["thinking"]),
    ],
)
def test_thinking_is_asked_for_as_each_family_wants_it(
    model: str, thinking: Json | None, effort: str | None, expected: Json | None, is_lost: list[str]
) -> None:
    """Pain 14, 60: by the field that the model has, or told as lost."""
    fields: Json = {"max_tokens": 30_000}
    fields |= {} if thinking is None else {"thinking": thinking}
    fields |= {} if effort is None else {"output_config": {"effort": effort}}
    assert sent(model, **fields).get("additionalModelRequestFields") == expected
    assert lost(model, **fields) == is_lost


def thought(model: str, opaque: str, thinking: str = "Hm.") -> Json:
    """As the reply of that model gave it to a client."""
    signature = wrap(f"bedrock_converse/p/{model}", opaque)
    return {"type": "thinking", "thinking": thinking, "signature": signature}


def reasoning_in(model: str, *blocks: Json) -> list[Json]:
    content = sent(model, **history(*blocks, text("So.")))["messages"][1]["content"]
    return [block["reasoningContent"] for block in content if "reasoningContent" in block]


@pytest.mark.parametrize(
    ("model", "block", "expected"),
    [
        (GPT, thought(GPT, "rcnNu", ""), {"redactedContent": "cnNu"}),
        (GPT_OSS, thought(GPT_OSS, "sig+/="), {"reasoningText": {"text": "Hm.", "signature": "ig+/="}}),
        (GPT_OSS, thought(GPT_OSS, "t"), {"reasoningText": {"text": "Hm."}}),
        (NOVA_2, thought(NOVA_2, "t", "[REDACTED]"), {"reasoningText": {"text": "[REDACTED]"}}),
        (CLAUDE, {"type": "thinking", "thinking": "Hm.", "signature": "Eqo="},
         {"reasoningText": {"text": "Hm.", "signature": "Eqo="}}),
        (CLAUDE, {"type": "thinking", "thinking": "", "signature": "Eqo="},
         {"reasoningText": {"text": "", "signature": "Eqo="}}),
        (CLAUDE, {"type": "redacted_thinking", "data": "EmwK"}, {"redactedContent": "EmwK"}),
    ],
)  # fmt: skip
def test_a_models_thinking_goes_back_to_it_as_it_came(model: str, block: Json, expected: Json) -> None:
    """Pain 6."""
    assert reasoning_in(model, block) == [expected]
    assert lost(model, **history(block, text("So."))) == []


@pytest.mark.parametrize(
    ("model", "block"),
    [
        (GPT, thought("us.openai.gpt-5.6-luna", "rcnNu", "")),
        (GPT, thought(GPT, "t", "Hm.")),
        (GPT, thought(GPT, "r{}", "")),
        (GPT, thought(GPT, "")),
        (GPT, {"type": "thinking", "thinking": "Hm.", "signature": "Eqo="}),
        (GPT, {"type": "redacted_thinking", "data": "EmwK"}),
        ("us.deepseek.r1-v1:0", thought("us.deepseek.r1-v1:0", "t")),
        (GPT_OSS, thought(GPT_OSS, "t", " ")),
        (GPT_OSS, {"type": "thinking", "thinking": "Hm.", "signature": UNSIGNED}),
        (CLAUDE, thought(GPT, "rcnNu", "")),
        (CLAUDE, {"type": "thinking", "thinking": "Hm.", "signature": UNSIGNED}),
        (CLAUDE, {"type": "thinking", "thinking": "Hm.", "signature": ""}),
        (CLAUDE, {"type": "redacted_thinking", "data": "{not base64}"}),
        (CLAUDE, {"type": "thinking", "thinking": "Hm.", "signature": "dragoman:gemini/gemini-3-pro:cAbc"}),
        (UNKNOWN, {"type": "thinking", "thinking": "Hm.", "signature": "Eqo="}),
    ],
)
def test_thinking_that_a_model_would_refuse_is_left_out_and_told(model: str, block: Json) -> None:
    """Pain 7: of another model, of another provider, unsigned where it must be signed."""
    assert reasoning_in(model, block) == []
    assert lost(model, **history(block, text("So."))) == ["thinking"]


def test_a_turn_of_nothing_but_lost_thinking_goes_with_it() -> None:
    """Pain 7, 20: and the turns alternate all the same."""
    body = sent(NOVA, **history({"type": "thinking", "thinking": "Hm.", "signature": "Eqo="}))
    assert body["messages"] == [{"role": "user", "content": [{"text": "hi"}, {"text": "go on"}]}]


# -- cache points --


def test_cache_control_is_a_point_behind_its_block() -> None:
    """Pain 10: mapped where there is a mapping."""
    fields: Json = {
        "system": [text("a"), text("b", **MARK)],
        "tools": [TOOLS[0], {**TOOLS[1], **MARK}],
        "messages": [turn("user", text("c", **MARK), text("d"))],
    }
    body = sent(CLAUDE, **fields)
    assert body["system"] == [{"text": "a"}, {"text": "b"}, POINT]
    assert body["toolConfig"]["tools"][2] == POINT
    assert body["messages"][0]["content"] == [{"text": "c"}, POINT, {"text": "d"}]
    assert lost(CLAUDE, **fields) == []


def test_nova_caches_no_tools() -> None:
    """Pain 10: its guide says so, and it refuses points behind calls and results too."""
    result = {"type": "tool_result", "tool_use_id": "toolu_c", "content": "noon", **MARK}
    fields: Json = {
        "system": [text("b", **MARK)],
        "tools": [{**TOOLS[0], **MARK}],
        "messages": [*EVERYTHING["messages"][:2], turn("user", result)],
    }
    body = sent(NOVA, **fields)
    assert body["system"] == [{"text": "b"}, POINT]
    assert json.dumps(body).count("cachePoint") == 1
    assert lost(NOVA, **fields) == ["cache_control"]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "document", "source": PDF, **MARK},
        {"type": "document", "source": {"type": "content", "content": [text("a"), text("b", **MARK)]}},
        {"type": "search_result", "source": "s", "title": "t", "content": [text("a", **MARK)]},
    ],
)
def test_a_mark_where_no_point_can_stand_is_told(block: Json) -> None:
    """Pain 10: Nova caches text alone, and of no model can a point stand within a block."""
    fields: Json = {"messages": [turn("user", text("a"), block)]}
    assert "cachePoint" not in json.dumps(sent(NOVA, **fields))
    assert lost(NOVA, **fields) == ["cache_control"]


def test_a_mark_behind_a_text_stays_whatever_the_text_was() -> None:
    found = {"type": "search_result", "source": "s", "title": "t", "content": [text("a")], **MARK}
    body = sent(NOVA, messages=[turn("user", found)])
    assert body["messages"][0]["content"] == [{"text": "t\ns\na"}, POINT]
    paper = {"type": "document", "source": PDF, "title": "p", **MARK}
    assert sent(CLAUDE, messages=[turn("user", text("a"), paper)])["messages"][0]["content"][-1] == POINT


def test_a_mark_within_a_result_is_told() -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_c", "content": [text("noon", **MARK)]}
    fields: Json = {"messages": [*EVERYTHING["messages"][:2], turn("user", result)]}
    for model in (NOVA, CLAUDE):
        assert "cache_control" in lost(model, **fields)


def test_no_point_stands_behind_reasoning() -> None:
    """Refused: anomalyco/opencode#36517."""
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "Eqo="}
    gone = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}, **MARK}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    thought = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "Eqo="}}}
    note = {
        "text": '\n[The tool web_search was called with {"query": "x"} and answered: nothing that can be read here]\n'
    }
    content = sent(CLAUDE, **history(thinking, gone, found, text("So.")))["messages"][1]["content"]
    assert content == [thought, note, POINT, {"text": "So."}]
    lost = {"type": "compaction", "encrypted_content": "x", **MARK}
    content = sent(CLAUDE, **history(thinking, lost, text("So.")))["messages"][1]["content"]
    assert content == [thought, {"text": "So."}]


@pytest.mark.parametrize("model", [GPT, LLAMA, QWEN, UNKNOWN])
def test_no_point_goes_where_it_would_be_refused(model: str) -> None:
    """Pain 10: others answer 403, "You invoked an unsupported model" (BerriAI/litellm#39210)."""
    fields = {"system": [text("b", **MARK)], "cache_control": {"type": "ephemeral"}}
    assert "cachePoint" not in json.dumps(sent(model, **fields))
    assert lost(model, **fields) == ["cache_control"]


def test_an_hour_is_asked_for_only_where_it_is_kept() -> None:
    hour = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert sent(CLAUDE, system=[text("b", **hour)])["system"][1] == point
    assert sent(OLD_CLAUDE, system=[text("b", **hour)])["system"][1] == POINT
    assert lost(OLD_CLAUDE, system=[text("b", **hour)]) == ["cache_control.ttl"]


def test_the_mark_of_a_whole_request_stands_at_its_end() -> None:
    body = sent(CLAUDE, cache_control={"type": "ephemeral"}, messages=[turn("user", text("a"), text("b", **MARK))])
    assert body["messages"][0]["content"] == [{"text": "a"}, {"text": "b"}, POINT]


def test_points_of_blocks_that_are_not_there_are_left_out() -> None:
    """A point with nothing before it is refused: "There is nothing available to cache"."""
    attribution = text("x-anthropic-billing-header: cch=1", **MARK)
    assert sent(CLAUDE, system=[attribution, text("b", **MARK)])["system"] == [{"text": "b"}, POINT]
    assert "system" not in sent(CLAUDE, system=[attribution])
