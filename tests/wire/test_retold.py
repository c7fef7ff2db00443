"""What of a history only the API reads is told to other models in text, and none is refused for it (issue 6)."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from changing import OTHERS, changed
from passing_cases import PASSING, passed
from translating_cases import asked

from dragoman.errors import InvalidRequest
from dragoman.wire.envelope import MAX_DEPTH
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


def noted(words: str, **more: Any) -> dict[str, Any]:
    return text(f"\n[{words}]\n", **more)


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
        ([CALL, RESULT, YES], [noted(f"{CALLED} and answered: Yes."), YES], MCP),
        ([CALL, {**RESULT, "content": "Oh", "is_error": True}], [noted(f"{CALLED} and failed: Oh")], MCP),
        ([CALL, {**RESULT, "content": []}], [noted(f"{CALLED} and answered: nothing that can be read here")], MCP),
        ([YES, CALL], [YES, noted(f"{CALLED}.")], MCP[:1]),
        ([RESULT], [noted("A tool was called and answered: Yes.")], MCP[1:]),
        ([CALL, {**RESULT, "cache_control": MARK}], [noted(f"{CALLED} and answered: Yes.", cache_control=MARK)], MCP),
        (
            [CALL, {**CALL, "id": "mcptoolu_2", "input": {}}, {**RESULT, "tool_use_id": "mcptoolu_2"}, RESULT],
            [
                noted("The tool echo of the server maps was called with {} and answered: Yes."),
                noted(f"{CALLED} and answered: Yes."),
            ],
            MCP,
        ),
        (
            [
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "advisor", "input": {}},
                {"type": "advisor_tool_result", "tool_use_id": "srvtoolu_1",
                 "content": {"type": "advisor_tool_result_error", "error_code": "overloaded"}},
            ],
            [noted("The tool advisor was called with {} and answered: error overloaded")],
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


def ran(name: str, given: Any = None) -> dict[str, Any]:
    return {"type": "server_tool_use", "id": "srvtoolu_1", "name": name, "input": given or {}}


def came(kind: str, content: Any) -> dict[str, Any]:
    return {"type": f"{kind}_tool_result", "tool_use_id": "srvtoolu_1", "content": content}


OAK = {"type": "web_search_result", "title": "Oak", "url": "https://x.test/oak", "page_age": "1 day"}
OF_OAK = "title: Oak\nurl: https://x.test/oak\npage_age: 1 day"
PRINTED = {"type": "bash_code_execution_result", "stdout": "a\nb\n", "stderr": "", "return_code": 0, "content": []}
PAGE = {"type": "document", "title": "Oak", "citations": {"enabled": True}}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0"}
REFERENCE = {"type": "tool_reference", "tool_name": "get_weather"}


@pytest.mark.parametrize(
    ("name", "kind", "content", "answer", "is_lost"),
    [
        # what is sealed is lost: titles and addresses are not
        ("web_search", "web_search", [OAK | {"encrypted_content": "EqgB"}, OAK], f"{OF_OAK}\n{OF_OAK}", True),
        ("web_search", "web_search", [], "nothing that can be read here", False),
        (
            "web_search", "web_search", {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
            "error max_uses_exceeded", False,
        ),
        (
            "web_fetch", "web_fetch",
            {"type": "web_fetch_result", "url": "https://x.test", "retrieved_at": "2026", "content": PAGE | {
                "source": {"type": "text", "media_type": "text/plain", "data": "Of oak."}}},
            "url: https://x.test\ntitle: Oak\nOf oak.", False,
        ),
        (
            "web_fetch", "web_fetch",
            {"type": "web_fetch_result", "url": "https://x.test", "content": PAGE | {"source": PDF}},
            "url: https://x.test\ntitle: Oak", True,
        ),
        ("bash_code_execution", "bash_code_execution", PRINTED, "stdout:\na\nb\n\nreturn_code: 0", False),
        (
            "bash_code_execution", "bash_code_execution",
            PRINTED | {"stdout": "", "stderr": "no", "return_code": 1,
                       "content": [{"type": "bash_code_execution_output", "file_id": "file_1"}]},
            "stderr: no\nreturn_code: 1\nfile_id: file_1", False,
        ),
        (
            "code_execution", "code_execution",
            {"type": "encrypted_code_execution_result", "encrypted_stdout": "x", "stderr": "", "return_code": 0},
            "return_code: 0", True,
        ),
        (
            "text_editor_code_execution", "text_editor_code_execution",
            {"type": "text_editor_code_execution_view_result", "file_type": "text", "content": "a", "total_lines": 9},
            "file_type: text\na\ntotal_lines: 9", False,
        ),
        (
            "tool_search_tool_regex", "tool_search",
            {"type": "tool_search_tool_search_result", "tool_references": [REFERENCE]},
            "tool_name: get_weather", False,
        ),
        (
            "tool_search_tool_regex", "tool_search",
            {"type": "tool_search_tool_result_error", "error_code": "unavailable", "error_message": "Not now."},
            "error unavailable: Not now.", False,
        ),
    ],
)  # fmt: skip
def test_what_can_be_read_of_a_result_is_in_its_note(
    name: str, kind: str, content: Any, answer: str, is_lost: bool
) -> None:
    """The rest is told as lost, by the type of the result."""
    expected = noted(f'The tool {name} was called with {{"a": "ö"}} and answered: {answer}')
    told, lost = retold([HI, said(ran(name, {"a": "ö"}), came(kind, content), YES), GO])
    assert told == [HI, said(expected, YES), GO]
    assert lost == ([f"{kind}_tool_result"] if is_lost else [])
    assert asked(messages=told).messages


def test_an_answer_that_came_turns_later_stands_where_it_came() -> None:
    """What the API began beside a caller's call it ends when that is answered."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}]}
    begun = [HI, said(ran("web_search"), call), result]
    later = said(came("web_search", [OAK]), YES)
    note = noted(f"The tool web_search was called with {{}} and answered: {OF_OAK}")
    assert retold([*begun, later, GO]) == ([HI, said(call), result, said(note, YES), GO], [])
    waiting = noted("The tool web_search was called with {}.")
    assert retold(begun) == ([HI, said(waiting, call), result], ["server_tool_use"])


@pytest.mark.parametrize(
    "blocks", [[ran("web_search")], [YES, ran("web_search"), came("web_search", [])], [CALL, RESULT]]
)
def test_a_turn_that_stood_still_is_gone_on_with(blocks: list[Any]) -> None:
    """For the API it is enough to send it back; for others it would be a message that the assistant has begun."""
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    options = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    told, _ = retold([HI, said(*blocks)])
    assert told[-1] == {"role": "user", "content": "Go on."}
    assert asked(messages=[HI, said(*blocks)], **options).messages[-1].content == "Go on."
    note = {"role": "system", "content": "Be brief."}
    assert [each.role for each in asked(messages=[HI, said(*blocks), note]).messages] == [
        "user", "assistant", "user", "system",
    ]  # fmt: skip
    assert retold([HI, said(*blocks), GO])[0][2:] == [GO]


def test_what_another_maker_found_is_for_the_dialects() -> None:
    """Searches go back to the model that made them."""
    found = came("web_search", [OAK | {"encrypted_content": "dragoman:openai_responses/p/m:{}"}])
    messages = [HI, said(ran("web_search"), found, YES), GO]
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


@pytest.mark.parametrize("content", ["", "\n ", [], [text("")], [text(" "), text("\n")]])
def test_a_turn_in_which_nothing_was_said_is_left_out(content: Any) -> None:
    """Pain 3: other gateways leave such turns in a history, and it would be refused for ever."""
    silent = {"role": "assistant", "content": content}
    assert retold([HI, silent, GO]) == ([HI, GO], [])
    assert retold([HI, said(text(""), CALL, text("\n"), YES), GO])[0][1:] == [said(noted(f"{CALLED}."), YES), GO]
    assert [message.content for message in asked(messages=[HI, silent, GO]).messages] == ["hi", "go on"]
    for other in ([{"role": "user", "content": content}], [HI, {"role": "user", "content": [text("")]}]):
        assert retold(other)[0] is other


@pytest.mark.parametrize("nest", [lambda value: [value], lambda value: {"a": value}])
def test_a_result_may_be_as_deep_as_a_body(nest: Callable[[Any], Any]) -> None:
    deep: Any = "x"
    for _ in range(MAX_DEPTH):
        deep = nest(deep)
    assert retold([HI, said(came("web_search", deep))])[1] == ["web_search_tool_result"]


def test_no_history_of_any_form_breaks_it() -> None:
    """Pain 57."""
    found = {"type": "mcp_tool_listing", "tools": []}
    printed = came("bash_code_execution", PRINTED | {"content": [{"source": PDF}]})
    pages = came("web_search", [OAK | {"encrypted_content": "dragoman:x:y"}])
    for history in changed([said(SUMMED, CALL, RESULT, found, ran("web_search"), pages, printed)], *OTHERS):
        told, lost = retold(history)
        assert isinstance(told, list)
        assert all(isinstance(name, str) for name in lost)
