"""Toolsets and other tools of the API: legal settings, names that may stand together, and whose result is whose."""

from typing import Any

import pytest
from asking import (
    EPHEMERAL,
    HI,
    OK,
    TOOL,
    Json,
    Row,
    assistant,
    call,
    messages,
    must_refuse,
    must_refuse_to_count,
    name_of,
    outcome,
    result,
    says,
    tools,
)

from dragoman.wire.codec import read
from dragoman.wire.tools import BrowserToolset, ComputerToolset
from dragoman.wire.toolsets import is_deferred, offered

COMPUTER, BROWSER = "computer_toolset_20260801", "browser_toolset_20260801"
OFF: Json = {"enabled": False}
LATER: Json = {"defer_loading": True}
AT = f"tools.0.{COMPUTER}.configs"
MEMBERS = {"computer": offered(ComputerToolset()), "browser": offered(BrowserToolset())}
NOT_UNIQUE = "tools: Tool names must be unique."
SAME_DEFERRAL = "`defer_loading` must have the same value on every enabled member"
AGAIN: Json = {"type": "tool_use", "id": "a", "name": "zoom", "input": {}}
DISPLAY: Json = {"name": "computer", "display_width_px": 800, "display_height_px": 600}
RESULT_AT = "messages.2.content.0.tool_result.toolset_name"


def toolset(kind: str = COMPUTER, **configs: Any) -> Json:
    return {"type": kind, "configs": configs}


def named(name: str) -> Json:
    return TOOL | {"name": name}


def answered(call_: Json, **fields: Any) -> Json:
    """A call in the history and its result."""
    return messages(HI, assistant(call_), says(result(call_["id"], **fields)))


WRONG = [
    Row("TOOL-54", f"{AT}.foo: Extra inputs are not permitted", tools(toolset(foo={}))),
    Row("TOOL-54", f"{AT}.navigate: Extra inputs are not permitted", tools(toolset(navigate={}))),
    Row("TOOL-54", f"{AT}.zoom.foo: Extra inputs are not permitted", tools(toolset(zoom={"foo": 1}))),
    Row("TOOL-54", f"{AT}.zoom.enabled: Input should be a valid boolean", tools(toolset(zoom={"enabled": "x"}))),
    Row(
        "TOOL-54",
        f"{AT}.type.defer_loading: Input should be a valid boolean",
        tools(toolset(type={"defer_loading": 1})),
    ),
    Row("TOOL-54", f"{AT}.zoom: Input should be an object", tools(toolset(zoom=True))),
    Row("TOOL-54", f"{AT}: Input should be an object", tools({"type": COMPUTER, "configs": []})),
    Row(
        "TOOL-54",
        f"{AT}: at least one member must be enabled",
        tools(toolset(**dict.fromkeys(MEMBERS["computer"], OFF))),
    ),
    Row("TOOL-54", f"{AT}: {SAME_DEFERRAL}", tools(toolset(zoom=LATER))),
    Row("TOOL-54", f"tools.0.{COMPUTER}.name: Extra inputs are not permitted", tools({"type": COMPUTER, "name": "x"})),
    Row(
        "TOOL-54",
        f"tools.0.{COMPUTER}.strict: Extra inputs are not permitted",
        tools({"type": COMPUTER, "strict": True}),
    ),
    Row(
        "TOOL-54",
        f"tools.0.{BROWSER}.input_examples: Extra inputs are not permitted",
        tools({"type": BROWSER, "input_examples": []}),
    ),
    Row(
        "TOOL-54",
        "Tool 'left_click' not found in provided tools",
        tools(toolset(), tool_choice={"type": "tool", "name": "left_click"}),
    ),
    Row(
        "TOOL-7",
        "tools: at least one tool must not set `defer_loading`",
        tools(toolset(**dict.fromkeys(MEMBERS["computer"], LATER))),
    ),
    Row(
        "CCH-28",
        f"Tool '{COMPUTER}' cannot have both defer_loading=true and cache_control set. Tools with defer_loading cannot "
        "use prompt caching.",
        tools(TOOL, toolset(**dict.fromkeys(MEMBERS["computer"], LATER)) | {"cache_control": EPHEMERAL}),
    ),
    *(
        Row("TOOL-4", NOT_UNIQUE, tools(*definitions))
        for definitions in (
            (toolset(), toolset()),
            (toolset(zoom=OFF), toolset(BROWSER), toolset(type=OFF)),
            (toolset(), named("zoom")),
            (named("navigate"), toolset(BROWSER)),
            (named("a"), named("a")),
        )
    ),
    *(
        Row(
            "TOOL-54",
            f"{RESULT_AT}: must be 'computer', as in the `tool_use` block with id `a`",
            answered(given, **said),
        )
        for given in (AGAIN | {"toolset_name": "computer"}, call("a", toolset_name="computer"))
        for said in ({}, {"toolset_name": None}, {"toolset_name": "browser"}, {"toolset_name": ""})
    ),
    Row(
        "MSG-75",
        f"{RESULT_AT}: the `tool_use` block with id `a` has no `toolset_name`, so its result must have none",
        answered(AGAIN, toolset_name="computer") | tools(toolset()),
    ),
    *(
        Row(
            rule,
            f"tools.0.{kind}: Cannot specify both allowed_domains and blocked_domains.",
            tools({"type": kind, "name": name, "allowed_domains": ["a.test"], "blocked_domains": ["b.test"]}),
        )
        for rule, name, days in (
            ("TOOL-56", "web_search", ("20250305", "20260209", "20260318")),
            ("TOOL-57", "web_fetch", ("20250910", "20260209", "20260309", "20260318")),
        )
        for kind in (f"{name}_{day}" for day in days)
    ),
    Row(
        "TOOL-56",
        "tools.0.web_search_20250305.blocked_domains: Empty list of domains is ambiguous. Provide at least one domain "
        "or null.",
        tools({"type": "web_search_20250305", "name": "web_search", "blocked_domains": []}),
    ),
]


@pytest.mark.parametrize("row", WRONG, ids=name_of)
def test_what_breaks_a_rule_of_toolsets_is_refused(row: Row) -> None:
    """TOOL-4, TOOL-54, TOOL-56, TOOL-57, MSG-75, CCH-28."""
    must_refuse(row)


@pytest.mark.parametrize("row", WRONG, ids=name_of)
def test_it_is_refused_when_tokens_are_counted_too(row: Row) -> None:
    """TOK-3."""
    must_refuse_to_count(row)


LEGAL: dict[str, Json] = {
    "null and {} are as nothing (TOOL-54)": tools(
        {"type": COMPUTER, "configs": None}, {"type": BROWSER, "configs": {}}
    ),
    "each member has a config": tools(toolset(**{name: {"enabled": True} for name in MEMBERS["computer"]})),
    "a config may say nothing": tools(toolset(zoom=None, type={"enabled": None, "defer_loading": None})),
    "disabled members need not be deferred": tools(
        TOOL, toolset(**dict.fromkeys(MEMBERS["computer"], LATER) | {"zoom": OFF})
    ),
    "both families have a zoom (TOOL-4)": tools(toolset(), toolset(BROWSER)),
    "the name of a disabled member is free (TOOL-4)": tools(toolset(zoom=OFF), named("zoom")),
    "the name of a member of the other family": tools(toolset(), named("navigate")),
    "a result names its toolset, though the tools are gone (MSG-75)": answered(
        AGAIN | {"toolset_name": "browser"}, toolset_name="browser"
    ),
    "a call of a tool of one's own, though a member has its name": answered(AGAIN, toolset_name=None)
    | tools(toolset()),
    "one list of domains (TOOL-56)": tools(
        {"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a.test"], "blocked_domains": None}
    ),
}


@pytest.mark.parametrize("fields", LEGAL.values(), ids=LEGAL)
def test_what_keeps_the_rules_passes(fields: Json) -> None:
    assert outcome("claude-opus-4-8", **fields) == OK


def test_a_toolset_offers_what_is_not_disabled() -> None:
    """TOOL-54."""
    every = MEMBERS["computer"]
    assert (len(every), len(MEMBERS["browser"])) == (17, 31)
    some = read(ComputerToolset, toolset(zoom=OFF, type={"enabled": True}, key=LATER | OFF))
    assert offered(some) == [name for name in every if name not in ("zoom", "key")]
    assert not is_deferred(some), "only what is disabled is deferred"
    assert is_deferred(read(ComputerToolset, toolset(**dict.fromkeys(every, LATER))))


@pytest.mark.parametrize("kind", ["computer_20250124", "computer_20251124"])
def test_a_computer_needs_its_beta(kind: str) -> None:
    """TOOL-55, MSG-34: without it the type is not known. A date of the beta that nobody knows yet will do."""
    tool = {"type": kind, **DISPLAY}
    message = outcome("claude-opus-4-8", **tools(TOOL, tool))
    beginning, _, expected = message.partition(" does not match any of the expected tags: ")
    assert beginning == f"tools.1: Input tag '{kind}' found using 'type'"
    tags = expected.split(", ")
    assert tags == sorted(tags)
    assert {"'custom'", "'bash_20250124'", "'computer_toolset_20260801'"} < set(tags)
    assert not any(tag.startswith("'computer_2025") for tag in tags)
    for beta in ("computer-use-2025-01-24", "computer-use-2025-11-24", "computer-use-2030-01-01"):
        assert outcome("claude-opus-4-8", betas=("x", beta), **tools(TOOL, tool)) == OK
    assert outcome("claude-opus-4-8", betas=("computer",), **tools(tool)) != OK
