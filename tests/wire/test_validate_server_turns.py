"""The API's own tools in a history, and turns that wait for them: spec MSG-78, MSG-87, TOOL-62 to 65."""

from typing import Any

import pytest
from asking import (
    HI,
    OK,
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
    text,
)

SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
RUN = {"type": "server_tool_use", "id": "srvtoolu_2", "name": "bash_code_execution", "input": {"command": "ls"}}
RAN = {"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_2", "content": {}}
WEB = {"type": "web_search_20250305", "name": "web_search"}
CODE = {"type": "code_execution_20250825", "name": "code_execution"}
BY_CODE = call("a", caller={"type": "code_execution_20260120", "tool_id": "srvtoolu_2"})
NOT_FOUND = (
    "`web_search` tool use with id `srvtoolu_1` was found without a corresponding `web_search_tool_result` block"
)

BROKEN = [
    Row("TOOL-64", f"messages.1: {NOT_FOUND}", messages(HI, assistant(SEARCH), HI)),
    Row("TOOL-64", f"messages.1: {NOT_FOUND}", messages(HI, assistant(SEARCH, text("a")), HI, assistant(RUN), HI)),
    Row(
        "TOOL-64",
        "messages.1: `bash_code_execution` tool use with id `srvtoolu_2` was found without a corresponding "
        "`bash_code_execution_tool_result` block",
        messages(HI, assistant(RUN), HI),
    ),
    Row("TOOL-64", f"messages.1: {NOT_FOUND}", messages(HI, assistant(SEARCH, RUN, RAN)) | {"tools": [WEB, CODE]}),
    Row(
        "TOOL-64",
        "messages.1: the turn to be continued holds a `web_search` tool use, but no `web_search` tool was provided",
        messages(HI, assistant(SEARCH, FOUND)),
    ),
    Row(
        "TOOL-64",
        "messages.1: the turn to be continued holds a `bash_code_execution` tool use, but no `code_execution` tool was "
        "provided",
        messages(HI, assistant(RUN)) | {"tools": [WEB]},
    ),
    Row(
        "TOOL-62",
        "messages.1.content.0: unexpected `tool_use_id` found in `web_search_tool_result` blocks: srvtoolu_1. Each "
        "`web_search_tool_result` block must have a corresponding `server_tool_use` block before it.",
        messages(HI, assistant(FOUND), HI),
    ),
    Row(
        "TOOL-64",
        f"messages.1: {NOT_FOUND}",
        messages(HI, assistant(SEARCH, FOUND | {"type": "web_fetch_tool_result"}), HI),
    ),
    Row(
        "MSG-87",
        "messages.2.content.1: the turn before waits for the results of its client tools, so this one may hold only "
        "`tool_result` blocks, but found `text`.",
        messages(HI, assistant(SEARCH, call("a")), says(result("a"), text("and this"))),
    ),
    Row(
        "TOOL-65",
        "messages.2.content.1: the turn before waits for the results of its client tools, so this one may hold only "
        "`tool_result` blocks, but found `text`.",
        messages(HI, assistant(RUN, BY_CODE), says(result("a"), text("and this"))),
    ),
]

LEGAL: dict[str, dict[str, Any]] = {
    "MSG-78: answered within the turn": messages(HI, assistant(SEARCH, FOUND, text("so")), HI),
    "MSG-114: a paused turn goes on": messages(HI, assistant(SEARCH, FOUND)) | {"tools": [WEB]},
    "TOOL-64: paused in the middle of a call": messages(HI, assistant(SEARCH)) | {"tools": [WEB]},
    "MSG-87: the server's call waits for the client's": messages(HI, assistant(SEARCH, call("a")), says(result("a"))),
    "MSG-87: and ends in the turn behind": messages(
        HI, assistant(SEARCH, call("a")), says(result("a")), assistant(FOUND, text("so")), HI
    ),
    "MSG-87: text may follow where nothing waits": messages(
        HI, assistant(SEARCH, FOUND, call("a")), says(result("a"), text("go on"))
    ),
    "TOOL-65: code's own call is answered alone": messages(HI, assistant(RUN, BY_CODE), says(result("a"))),
}


@pytest.mark.parametrize("row", BROKEN, ids=name_of)
def test_a_history_with_broken_server_calls_is_refused(row: Row) -> None:
    """TOOL-62, TOOL-64, TOOL-65, MSG-87."""
    must_refuse(row)
    must_refuse_to_count(row)


@pytest.mark.parametrize("fields", LEGAL.values(), ids=LEGAL)
def test_a_history_with_server_calls_is_taken(fields: dict[str, Any]) -> None:
    """MSG-78, MSG-87, MSG-114, TOOL-64, TOOL-65."""
    assert outcome("claude-sonnet-4-5", **fields) == OK


@pytest.mark.parametrize(
    ("name", "fields", "betas", "said"),
    [
        ("claude-opus-4-8", {"speed": "fast"}, (), "speed: Extra inputs are not permitted"),
        ("claude-opus-4-8", {"speed": "fast"}, ("fast-mode-2026-02-01",), OK),
        ("claude-opus-4-8", {"speed": "standard"}, (), OK),
        (
            "claude-sonnet-4-6",
            {"speed": "fast"},
            ("fast-mode-2026-02-01",),
            "'claude-sonnet-4-6' does not support the `speed` parameter.",
        ),
    ],
)
def test_fast_mode_has_a_beta_and_is_for_some_models(
    name: str, fields: dict[str, Any], betas: tuple[str, ...], said: str
) -> None:
    """MSG-28."""
    assert outcome(name, betas=betas, **messages(HI), **fields) == said


@pytest.mark.parametrize(
    ("name", "place", "said"),
    [
        ("claude-opus-4-8", "us", OK),
        ("claude-opus-4-8", "global", OK),
        ("claude-opus-4-8", None, OK),
        ("claude-opus-4-8", "mars", "inference_geo: Input should be 'us' or 'global'"),
        ("claude-opus-4-5", "us", "inference_geo: is not supported for this model"),
    ],
)
def test_inference_geo_is_one_of_two_places(name: str, place: str | None, said: str) -> None:
    """MSG-26."""
    assert outcome(name, **messages(HI), inference_geo=place) == said
