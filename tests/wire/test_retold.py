"""What of a history only the API reads is told to other models in text, and none is refused for it (issue 6)."""

import copy
from typing import Any

import pytest
from changing import OTHERS, changed
from passing_cases import PASSING, passed
from translating_cases import asked

from dragoman.errors import InvalidRequest
from dragoman.wire.retold import retold

HI = {"role": "user", "content": "hi"}
GO = {"role": "user", "content": "go on"}
YES = {"type": "text", "text": "Yes."}
SUMMED = {"type": "compaction", "content": "They build a bridge."}
CALL = {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "echo", "server_name": "maps", "input": {"a": "ö"}}
RESULT = {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": False, "content": [YES]}
CALLED = 'The tool echo of the server maps was called with {"a": "ö"}'
MARK = {"type": "ephemeral"}


def said(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def summary(words: str = "They build a bridge.", **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": [text(f"Summary of the conversation so far:\n\n{words}", **more)]}


@pytest.mark.parametrize(
    ("messages", "expected", "lost"),
    [
        ([HI], [HI], []),
        ([HI, said(SUMMED, YES), GO], [summary(), said(YES), GO], []),
        ([said(SUMMED, YES), GO], [summary(), said(YES), GO], []),  # its client has cut off what came before
        ([HI, said(SUMMED), GO], [summary(), GO], []),
        ([HI, said(SUMMED)], [summary()], []),
        (
            [HI, said(SUMMED, YES), GO, said({**SUMMED, "content": "Two pillars stand.", "cache_control": MARK}), GO],
            [summary("Two pillars stand.", cache_control=MARK), GO],
            [],
        ),
        # one that failed says nothing; one that is sealed, nothing that could be read: the history is all there is
        ([HI, said({**SUMMED, "content": None}, YES), GO], [HI, said(YES), GO], []),
        ([HI, said({"type": "compaction", "encrypted_content": "x"}, YES)], [HI, said(YES)], ["compaction"]),
        ([HI, said(SUMMED, {**SUMMED, "content": None}, YES)], [summary(), said(YES)], []),
        ([HI, said({**SUMMED, "tool_changes": [{}]})], [summary()], ["compaction.tool_changes"]),
    ],
)
def test_a_summary_stands_for_what_came_before_it(messages: list[Any], expected: list[Any], lost: list[str]) -> None:
    before = copy.deepcopy(messages)
    assert retold(messages) == (expected, lost)
    assert messages == before


MCP = ["mcp_tool_use", "mcp_tool_result"]


@pytest.mark.parametrize(
    ("blocks", "expected", "lost"),
    [
        ([CALL, RESULT, YES], [text(f"[{CALLED} and answered: Yes.]"), YES], MCP),
        ([CALL, {**RESULT, "content": "Oh", "is_error": True}], [text(f"[{CALLED} and failed: Oh]")], MCP),
        ([CALL, {**RESULT, "content": []}], [text(f"[{CALLED} and answered: nothing that can be read here]")], MCP),
        ([YES, CALL], [YES, text(f"[{CALLED}.]")], MCP[:1]),
        ([RESULT], [text("[A tool was called and answered: Yes.]")], MCP[1:]),
        ([CALL, {**RESULT, "cache_control": MARK}], [text(f"[{CALLED} and answered: Yes.]", cache_control=MARK)], MCP),
        (
            [CALL, {**CALL, "id": "mcptoolu_2", "input": {}}, {**RESULT, "tool_use_id": "mcptoolu_2"}, RESULT],
            [
                text("[The tool echo of the server maps was called with {} and answered: Yes.]"),
                text(f"[{CALLED} and answered: Yes.]"),
            ],
            MCP,
        ),
        (
            [
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "advisor", "input": {}},
                {"type": "advisor_tool_result", "tool_use_id": "srvtoolu_1",
                 "content": {"type": "advisor_tool_result_error", "error_code": "overloaded"}},
            ],
            [text("[The tool advisor was called with {} and answered: error overloaded]")],
            ["server_tool_use", "advisor_tool_result"],
        ),
        ([{"type": "fallback", "from": {}, "to": {}}, YES], [YES], []),
        ([{"type": "mcp_tool_listing", "mcp_server_name": "maps", "tools": []}, YES], [YES], ["mcp_tool_listing"]),
    ],
)  # fmt: skip
def test_what_the_apis_tools_did_is_a_note(blocks: list[Any], expected: list[Any], lost: list[str]) -> None:
    assert retold([HI, said(*blocks), GO]) == ([HI, said(*expected), GO], lost)


def test_a_message_of_nothing_else_goes() -> None:
    change = {"role": "system", "content": [{"type": "tool_removal", "tool": {"type": "tool_reference", "name": "t"}}]}
    assert retold([HI, said(YES), change, GO]) == ([HI, said(YES), GO], ["tool_removal"])


def test_what_each_dialect_tells_itself_stays() -> None:
    """Searches go back to the model that made them; what is legal of the API's own tools is for the dialects."""
    call = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    messages = [HI, said(call, found, YES), GO]
    assert retold(messages) == (messages, [])
    assert retold(messages)[0] is messages
    typo = [HI, said({"type": "txt", "text": "x"}), GO]
    assert retold(typo)[0] is typo
    with pytest.raises(InvalidRequest):
        asked(messages=typo)


def test_every_message_that_the_api_is_known_to_send_may_go_to_any_other_model() -> None:
    """Done when 5: none of them is refused for what it holds, also not while its work stands still."""
    for folder in PASSING:
        for case in (*passed(folder, "streams"), *passed(folder, "replies")):
            content = (case.message or case.reply or {}).get("content") if case.error is None else None
            if not content or case.name in ("unknown_fields", "paused"):
                continue
            results = [
                {"type": "tool_result", "tool_use_id": block["id"], "content": "x"}
                for block in content
                if block["type"] == "tool_use"
            ]
            after = {"role": "user", "content": [*results, text("go on")]}
            assert asked(messages=[HI, said(*content), after]).messages, case.name


def test_no_history_of_any_form_breaks_it() -> None:
    """Pain 57."""
    found = {"type": "mcp_tool_listing", "tools": []}
    for history in changed([said(SUMMED, CALL, RESULT, found)], *OTHERS):
        told, lost = retold(history)
        assert isinstance(told, list)
        assert all(isinstance(name, str) for name in lost)
