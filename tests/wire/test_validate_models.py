"""What differs from model to model: spec MSG-53 to 66."""

from typing import NamedTuple

import pytest
from asking import (
    HI,
    MANUAL,
    NEW,
    OK,
    TOOL,
    WEB_SEARCH,
    Row,
    assistant,
    call,
    counted,
    is_said,
    messages,
    must_refuse,
    must_refuse_to_count,
    name_of,
    outcome,
    result,
    says,
    tools,
)

THINKING = [
    Row(
        "MSG-53",
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        {"thinking": {"type": "enabled", "budget_tokens": 1023}},
    ),
    Row("MSG-53", "thinking.enabled.budget_tokens: Field required", {"thinking": {"type": "enabled"}}),
    *(
        Row(
            "MSG-54",
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at …",
            {"max_tokens": max_tokens, "thinking": {"type": "enabled", "budget_tokens": 2000}},
            name,
            betas=betas,
            counts=False,
        )
        for name, max_tokens, betas in (
            ("claude-sonnet-4-5", 2000, ()),
            ("claude-sonnet-4-5", 1, ("context-1m-2025-08-07",)),
            ("claude-haiku-4-5", 2000, ("interleaved-thinking-2025-05-14",)),  # MSG-65: not on Haiku 4.5
        )
    ),
    Row(
        "MSG-55",
        "thinking.adaptive.effort: Extra inputs are not permitted",
        {"thinking": {"type": "adaptive", "effort": "high"}},
        "claude-opus-4-8",
    ),
    Row(
        "5.",
        "thinking.disabled.display: Extra inputs are not permitted",
        {"thinking": {"type": "disabled", "display": "omitted"}},
    ),
    Row(
        "5.",
        "thinking.enabled.display: Input should be 'summarized' or 'omitted'",
        {"thinking": MANUAL | {"display": "full"}},
    ),
    Row("5.", "thinking: Input should be an object", {"thinking": "enabled"}),
    Row("5.", "thinking.type: Field required", {"thinking": {}}),
    Row(
        "MSG-34",
        "thinking: Input tag 'auto' found using 'type' does not match any of the expected tags: "
        "'adaptive', 'between_tools', 'disabled', 'enabled'",
        {"thinking": {"type": "auto"}},
    ),
    *(
        Row(
            "MSG-56, TOOL-18",
            "Thinking may not be enabled when tool_choice forces tool use.",
            tools(TOOL, tool_choice=choice, thinking=MANUAL),
        )
        for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather"})
    ),
    *(
        Row(
            "MSG-57",
            "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode. …",
            {"temperature": 0.5, "thinking": thinking},
            name,
        )
        for name, thinking in (("claude-sonnet-4-5", MANUAL), ("claude-opus-4-6", {"type": "adaptive"}))
    ),
    Row("MSG-57", "`top_p` must be greater than or equal to 0.95 …", {"top_p": 0.9, "thinking": MANUAL}),
    Row("MSG-57", "`top_k` must be unset …", {"top_k": 5, "thinking": MANUAL}),
    *(
        Row(
            "MSG-58",
            f"messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{found}`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block …",
            messages(HI, assistant(*first, call("a")), says(result("a"))) | {"thinking": MANUAL},
        )
        for found, first in (("tool_use", []), ("text", ["Let me look."]))
    ),
    Row(
        "MSG-58",
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`. …",
        messages(HI, assistant("The answer is")) | {"thinking": MANUAL},
    ),
]


@pytest.mark.parametrize("row", THINKING, ids=name_of)
def test_wrong_thinking_is_refused_in_the_words_of_the_api(row: Row) -> None:
    must_refuse(row)


@pytest.mark.parametrize("row", counted(THINKING), ids=name_of)
def test_wrong_thinking_is_refused_when_tokens_are_counted_too(row: Row) -> None:
    """TOK-3, CCH-6."""
    must_refuse_to_count(row)


NO_MANUAL = (
    '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" '
    "to control thinking behavior."
)
NO_ADAPTIVE = "adaptive thinking is not supported on this model"
NO_DISABLED = '"thinking.type.disabled" is not supported for this model. …'
NO_EFFORT = "This model does not support the effort parameter."


class Line(NamedTuple):
    """One row of MSG-60."""

    enabled: str
    adaptive: str
    disabled: str
    efforts: str
    sampling: str
    prefill: bool


MSG_60 = {
    "claude-fable-5-1": Line(NO_MANUAL, OK, NO_DISABLED, "low medium high xhigh max", "default", False),
    "claude-fable-5": Line(NO_MANUAL, OK, NO_DISABLED, "low medium high xhigh max", "default", False),
    "claude-mythos-5": Line(NO_MANUAL, OK, NO_DISABLED, "low medium high xhigh max", "default", False),
    "claude-opus-5-5": Line(NO_MANUAL, OK, NO_DISABLED, "low medium high xhigh max", "default", False),
    "claude-opus-5": Line(NO_MANUAL, OK, OK, "low medium high xhigh max", "default", False),
    "claude-opus-4-8": Line(NO_MANUAL, OK, OK, "low medium high xhigh max", "default", False),
    "claude-opus-4-7": Line(NO_MANUAL, OK, OK, "low medium high xhigh max", "default", False),
    "claude-sonnet-5": Line(NO_MANUAL, OK, OK, "low medium high xhigh max", "default", False),
    "claude-opus-4-6": Line(OK, OK, OK, "low medium high max", "any", False),
    "claude-sonnet-4-6": Line(OK, OK, OK, "low medium high max", "any", False),
    "claude-opus-4-5": Line(OK, NO_ADAPTIVE, OK, "low medium high", "either", True),
    "claude-sonnet-4-5": Line(OK, NO_ADAPTIVE, OK, "", "either", True),
    "claude-haiku-4-5": Line(OK, NO_ADAPTIVE, OK, "", "either", True),
}


@pytest.mark.parametrize("name", MSG_60)
def test_which_thinking_a_model_takes(name: str) -> None:
    line = MSG_60[name]
    assert is_said(outcome(name, thinking=MANUAL), line.enabled)
    assert is_said(outcome(name, thinking={"type": "adaptive", "display": "omitted"}), line.adaptive)
    assert is_said(outcome(name, thinking={"type": "disabled"}), line.disabled)
    assert outcome(name, thinking=None) == OK
    assert "between_tools" in outcome(name, thinking={"type": "between_tools"})


@pytest.mark.parametrize("name", MSG_60)
def test_which_effort_a_model_takes(name: str) -> None:
    """MSG-66."""
    taken = MSG_60[name].efforts.split()
    for effort in ("low", "medium", "high", "xhigh", "max"):
        said = outcome(name, output_config={"effort": effort})
        assert (said == OK) == (effort in taken), said
        if not taken:
            assert said == NO_EFFORT
    assert outcome(name, output_config={}) == OK


@pytest.mark.parametrize("name", MSG_60)
def test_which_sampling_a_model_takes(name: str) -> None:
    """MSG-60, MSG-61: under 2023-06-01 exact defaults pass everywhere."""
    sampling = MSG_60[name].sampling
    for field, value in (("temperature", 0.5), ("top_p", 0.9), ("top_k", 40)):
        refused = f"`{field}` is deprecated for this model." if sampling == "default" else OK
        assert outcome(name, **{field: value}) == refused
    for field, value in (
        ("temperature", 1),
        ("temperature", 1.0),
        ("top_p", 1),
        ("temperature", None),
        ("top_k", None),
    ):
        assert outcome(name, **{field: value}) == OK
    both = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    assert outcome(name, temperature=1, top_p=1) == (both if sampling == "either" else OK)
    assert outcome(name, version=NEW, temperature=None, top_p=None, top_k=None) == OK  # MSG-31


@pytest.mark.parametrize("name", MSG_60)
def test_which_model_takes_a_prefill(name: str) -> None:
    """MSG-47, MSG-48; the resumption of a paused turn is none."""
    line = MSG_60[name]
    refused = "This model does not support assistant message prefill. The conversation must end with a user message."
    assert outcome(name, messages=[HI, assistant("The answer is")]) == (OK if line.prefill else refused)
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    assert outcome(name, messages=[HI, assistant("a", search, found)], tools=[WEB_SEARCH]) == OK
    assert outcome(name, messages=[HI, assistant("a", search)], tools=[WEB_SEARCH]) == OK
    if line.prefill:
        assert outcome(name, messages=[HI, assistant()]) == OK  # MSG-43: the optional final one


def test_thinking_may_be_turned_off_on_opus_5_up_to_high_effort() -> None:
    for effort in ("low", "medium", "high"):
        assert outcome("claude-opus-5", thinking={"type": "disabled"}, output_config={"effort": effort}) == OK
    for effort in ("xhigh", "max"):
        said = outcome("claude-opus-5", thinking={"type": "disabled"}, output_config={"effort": effort})
        assert said.startswith('"thinking.type.disabled" is not supported for this model')


def test_sampling_that_goes_with_thinking() -> None:
    """MSG-57: temperature 1, top_p from 0.95 on; without thinking all goes."""
    for fields in ({"temperature": 1}, {"top_p": 0.95}, {"top_p": 1}, {"top_k": 0}):
        assert outcome("claude-sonnet-4-5", thinking=MANUAL, **fields) == OK
    for fields in ({"temperature": 0}, {"top_p": 0.5}, {"top_k": 5}):
        assert outcome("claude-sonnet-4-5", thinking=MANUAL, **fields) != OK
        assert outcome("claude-sonnet-4-5", thinking={"type": "disabled"}, **fields) == OK


def test_thinking_between_tools_is_for_the_newest_models_below_xhigh_effort() -> None:
    """Section 5."""
    between = {"type": "between_tools"}
    assert outcome("claude-sonnet-5-5", thinking=between) == OK
    assert outcome("claude-sonnet-5-5", thinking=between, output_config={"effort": "high"}) == OK
    for effort in ("xhigh", "max"):
        assert "between_tools" in outcome("claude-sonnet-5-5", thinking=between, output_config={"effort": effort})


def test_a_model_that_does_not_think_takes_disabled_only() -> None:
    assert outcome("claude-3-haiku-20240307", thinking={"type": "disabled"}) == OK
    assert "thinking" in outcome("claude-3-haiku-20240307", thinking=MANUAL)


def test_adaptive_thinking_goes_with_a_forced_tool() -> None:
    """MSG-56: only manual thinking does not."""
    fields = tools(TOOL, tool_choice={"type": "any"}, thinking={"type": "adaptive"})
    assert outcome("claude-opus-4-8", **fields) == OK


def test_a_budget_may_exceed_max_tokens_where_thinking_is_interleaved() -> None:
    """MSG-54, MSG-65."""
    betas = ("interleaved-thinking-2025-05-14",)
    fields = {"max_tokens": 1500, "thinking": {"type": "enabled", "budget_tokens": 10_000}}
    assert outcome("claude-sonnet-4-5", betas=betas, **fields) == OK
    assert outcome("claude-sonnet-4-5", **fields).startswith("`max_tokens` must be greater")
