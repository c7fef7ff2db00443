"""What the offline engine does with a toolset: which members it calls, with what, and how the calls come out."""

from typing import Any

import pytest
from offline import Json, calls_of, run, said

from dragoman.engines.offline.tools.builtin import toolset_members
from dragoman.engines.offline.tools.plan import ToolView, plan
from dragoman.wire.codec import plain
from dragoman.wire.events import BlockDelta, BlockStart, InputJsonDelta
from dragoman.wire.types import ToolUse

COMPUTER, BROWSER = "computer_toolset_20260801", "browser_toolset_20260801"
MEMBERS = {kind: list(toolset_members(kind) or ()) for kind in (COMPUTER, BROWSER)}
OFF, LATER, ANY = {"enabled": False}, {"defer_loading": True}, {"type": "any"}
MODEL = "claude-opus-4-8"
ZOOM = {"name": "zoom", "description": "Zoom a map", "input_schema": {"type": "object", "properties": {}}}


def toolset(kind: str, configs: dict[str, Any]) -> Json:
    return {"type": kind, "configs": configs}


async def called(prompt: str, *tools: Json, **fields: Any) -> list[tuple[str, str | None]]:
    """Each call's name and toolset."""
    _, message = await run(MODEL, messages=said(prompt), tools=list(tools), **fields)
    return [(use.name, use.toolset_name) for use in message.content if isinstance(use, ToolUse)]


@pytest.mark.parametrize("kind", [COMPUTER, BROWSER])
async def test_a_disabled_member_is_never_called(kind: str) -> None:
    """TOOL-54: each one named, and forced, and yet another one is called."""
    for name in MEMBERS[kind]:
        tools = toolset(kind, {name: OFF})
        assert name not in dict(await called(f"Use the {name} tool", tools)), name
        assert name not in dict(await called(f"Use the {name} tool", tools, tool_choice=ANY)), name
    only = toolset(kind, {name: OFF for name in MEMBERS[kind] if name != "wait"})
    assert await called("Take a screenshot", only, tool_choice=ANY) == [("wait", kind.partition("_")[0])]


async def test_a_tool_with_the_name_of_a_disabled_member_belongs_to_no_toolset() -> None:
    """TOOL-4, TOOL-54."""
    assert await called("Use the zoom tool", toolset(COMPUTER, {"zoom": OFF}), ZOOM) == [("zoom", None)]
    assert await called("Use the zoom tool", toolset(COMPUTER, {})) == [("zoom", "computer")]


async def test_what_is_loaded_later_is_not_called() -> None:
    """TOOL-7: nor a toolset whose members all are."""
    later = toolset(COMPUTER, dict.fromkeys(MEMBERS[COMPUTER], LATER))
    bash = {"type": "bash_20250124", "name": "bash", "defer_loading": True}
    at_once = ZOOM | {"name": "magnify"}
    assert await called("Take a screenshot", later, at_once) == []
    assert await called("Use the bash tool", bash, at_once) == []


@pytest.mark.parametrize("kinds", [(COMPUTER, BROWSER), (BROWSER, COMPUTER)])
async def test_a_name_of_both_toolsets_is_the_first_one_s(kinds: tuple[str, str]) -> None:
    """TOOL-54: input and `toolset_name` are of the same toolset."""
    fields = {"messages": said("click at 100, 200"), "tools": [{"type": kind} for kind in kinds]}
    _, message = await run(MODEL, **fields)
    (use,) = [block for block in message.content if isinstance(block, ToolUse)]
    of_the_computer = ("computer", {"coordinate": [100, 200]})
    of_the_browser = ("browser", {"target": {"type": "coordinate", "x": 100, "y": 200}})
    assert (use.toolset_name, use.input) == (of_the_computer if kinds[0] == COMPUTER else of_the_browser)


async def test_members_that_are_disabled_cost_nothing() -> None:
    """TOOL-54, TOK-1: the schema that is served has them not."""
    every, without_zoom = await counted({}), await counted({"zoom": OFF})
    fewest = await counted({name: OFF for name in MEMBERS[COMPUTER] if name != "screenshot"})
    assert fewest < without_zoom < every
    assert await counted({"zoom": {"enabled": True}}) == every, "what is so anyhow costs nothing"


async def counted(configs: Json) -> int:
    """Input tokens, which `run` holds against those of count_tokens."""
    _, message = await run(MODEL, messages=said("Hi"), tools=[toolset(COMPUTER, configs)])
    return message.usage.input_tokens


@pytest.mark.parametrize("limit", [1000, 14])
async def test_a_member_s_input_is_one_delta(limit: int) -> None:
    """STR-33: not an empty one and another, also where there is no room for it."""
    events, message = await run(
        MODEL, messages=said("click at 100, 200"), tools=[{"type": BROWSER}], tool_choice=ANY, max_tokens=limit
    )
    opened = [event for event in events if isinstance(event, BlockStart)]
    deltas = [e.delta for e in events if isinstance(e, BlockDelta) and isinstance(e.delta, InputJsonDelta)]
    assert len(opened) == len(deltas) == 1
    assert calls_of(message)[0][0] == "left_click"
    assert bool(deltas[0].partial_json) == (message.stop_reason == "tool_use") == (limit == 1000)


async def test_other_calls_begin_with_an_empty_delta() -> None:
    """STR-30."""
    events, _ = await run(MODEL, messages=said("Use the zoom tool"), tools=[ZOOM])
    deltas = [e.delta for e in events if isinstance(e, BlockDelta) and isinstance(e.delta, InputJsonDelta)]
    assert [delta.partial_json for delta in deltas] == ["", "{}"]


def point(x: int, y: int) -> Json:
    return {"type": "coordinate", "x": x, "y": y}


ASKED: list[tuple[str, str, Json]] = [
    ("click at 100, 200", "left_click", {"target": point(100, 200)}),
    ("left_click at 100, 200", "left_click", {"target": point(100, 200)}),
    ("click at 100, 200 in this tab", "left_click", {"target": point(100, 200)}),
    ("click at 100, 200 in tab 7", "left_click", {"target": point(100, 200), "tab_id": "7"}),
    ("drag from 1,2 to 3,4", "left_click_drag", {"from": point(1, 2), "target": point(3, 4)}),
    ("double click 5 6", "double_click", {"target": point(5, 6)}),
    ("hover over 12, 13", "hover", {"target": point(12, 13)}),
    ("move the mouse to x=4 y=9", "mouse_move", {"target": point(4, 9)}),
    ("zoom into 10, 20, 300, 400", "zoom", {"region": [10, 20, 300, 400]}),
    (
        "scroll down 5 at 30, 40",
        "scroll",
        {"scroll_direction": "down", "target": point(30, 40), "scroll_amount": 5},
    ),
    ("wait 3 seconds", "wait", {"duration": 3}),
    ("take a screenshot of tab 4", "screenshot", {"tab_id": "4"}),
    ("go to https://a.test in tab 2", "navigate", {"url": "https://a.test", "tab_id": "2"}),
    ("go to https://a.test/5", "navigate", {"url": "https://a.test/5"}),
    ("switch to tab 3", "switch_tab", {"tab_id": "3"}),
    ("close tab 2", "close_tab", {"tab_id": "2"}),
]


@pytest.mark.parametrize(("prompt", "name", "value"), ASKED, ids=[row[0] for row in ASKED])
def test_a_browser_is_told_the_numbers_that_were_said(prompt: str, name: str, value: Json) -> None:
    """TOOL-54: those of a point are the point's; a tab is named only where one is spoken of."""
    views = [ToolView(member, "", schema) for member, schema in (toolset_members(BROWSER) or {}).items()]
    assert [(call.name, call.input) for call in plan(views, prompt)] == [(name, value)]


def test_a_tool_of_the_caller_s_may_have_a_tab_id_of_its_own() -> None:
    """TOOL-54: only the toolset's `tab_id` is held back, whatever the shape of a schema."""
    schema = {"type": "object", "properties": {"tab_id": {"type": "string"}}}
    (call,) = plan([ToolView("open_page", "Open a page", schema)], "open page 12")
    assert call.input == {"tab_id": "12"}
    empty = {"type": "object", "properties": None, "required": None}
    assert [call.input for call in plan([ToolView("ping", "", empty)], "use ping", choice="any")] == [{}]


async def test_a_call_and_its_result_go_round() -> None:
    """MSG-75, TOOL-54: what the engine said is taken back with a result that names its toolset, the tools gone."""
    _, message = await run(MODEL, messages=said("Take a screenshot"), tools=[{"type": COMPUTER}])
    (use,) = [block for block in message.content if isinstance(block, ToolUse)]
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "seen", "toolset_name": "computer"}
    turns = [*said("Take a screenshot"), {"role": "assistant", "content": [plain(use)]}]
    _, after = await run(MODEL, messages=[*turns, {"role": "user", "content": [result]}])
    assert after.stop_reason == "end_turn"
