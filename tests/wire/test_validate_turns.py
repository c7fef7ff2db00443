"""Turns, and tool calls with their results: spec MSG-40 to 48, MSG-80 to 88, CC-5."""

import pytest
from asking import (
    DOCUMENT,
    HI,
    JSON_FORMAT,
    MANUAL,
    OK,
    PNG,
    Row,
    assistant,
    call,
    counted,
    messages,
    must_refuse,
    must_refuse_to_count,
    name_of,
    outcome,
    result,
    says,
)

TURNS = [
    Row(
        "MSG-44",
        "messages: text content blocks must be non-empty",
        messages(HI, assistant(call("a")), says(result("a", content=[{"type": "text", "text": ""}]))),
    ),
    Row("MSG-40", "messages.0.role: Input should be 'user' or 'assistant'", messages(HI | {"role": "tool"})),
    Row("MSG-40", "messages.1.role: Input should be 'user' or 'assistant'", messages(HI, HI | {"role": None})),
    Row("MSG-40", "messages.0.role: Field required", messages({"content": "hi"})),
    Row("MSG-41", 'messages: first message must use the "user" role', messages(assistant("a"), HI)),
    Row(
        "MSG-41",
        'messages: first message must use the "user" role',
        messages({"role": "system", "content": "s"}, assistant("a"), HI),
        betas=("mid-conversation-tool-changes-2026-07-01",),
    ),
    Row(
        "MSG-41",
        'messages: first message must use the "user" role',
        messages({"role": "system", "content": "s"}) | {"thinking": MANUAL},
        betas=("mid-conversation-tool-changes-2026-07-01",),
    ),
    Row("MSG-43", "messages.0.content: Field required", messages({"role": "user"})),
    Row("MSG-43", "messages.0.content: Input should be a valid list", messages({"role": "user", "content": 5})),
    *(
        Row(
            "MSG-43",
            f"messages.{index}: all messages must have non-empty content except for the optional final "
            "assistant message",
            messages(*turns),
        )
        for index, turns in (
            (0, [says()]),
            (0, [{"role": "user", "content": ""}]),
            (1, [HI, assistant(), HI]),
            (2, [HI, assistant("a"), says()]),
        )
    ),
    Row("MSG-44", "messages: text content blocks must be non-empty", messages(says("a", ""))),
    Row("MSG-44", "messages: text content blocks must contain non-whitespace text", messages(says(" \n\t"))),
    Row(
        "MSG-44",
        "messages: text content blocks must contain non-whitespace text",
        messages({"role": "user", "content": " "}),
    ),
    *(
        Row(
            "MSG-45",
            'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, '
            'not "system" as an input message role.',
            messages(*turns),
            name,
        )
        for name in ("claude-sonnet-4-5", "claude-sonnet-5", "claude-opus-4-7")
        for turns in ([HI, {"role": "system", "content": "s"}], [{"role": "system", "content": "s"}, HI])
    ),
    *(
        Row(
            "MSG-46",
            "messages.0: use the top-level 'system' parameter for the initial system prompt; …",
            messages({"role": "system", "content": "s"}, HI),
            name,
        )
        for name in ("claude-opus-4-8", "claude-fable-5-1", "claude-mythos-5", "claude-opus-5")
    ),
    Row(
        "MSG-46",
        "messages.2: role 'system' must follow a 'user' message or an 'assistant' message ending in a server "
        "tool result",
        messages(HI, assistant("a"), says("s", role="system")),
        "claude-opus-4-8",
    ),
    Row(
        "MSG-46",
        "messages.1: role 'system' must precede an 'assistant' message or end the array",
        messages(HI, says("s", role="system"), says("t", role="system"), HI),
        "claude-opus-4-8",
    ),
    Row("MSG-46", "messages.1.content.0: …", messages(HI, says(PNG, role="system")), "claude-opus-4-8"),
    Row(
        "MSG-47",
        "messages: final assistant content cannot end with trailing whitespace",
        messages(HI, {"role": "assistant", "content": "The answer is "}),
        counts=False,
    ),
    Row(
        "MSG-47",
        "messages: final assistant content cannot end with trailing whitespace",
        messages(HI, assistant("a", "b\n")),
        counts=False,
    ),
    *(
        Row(
            "MSG-48",
            "This model does not support assistant message prefill. The conversation must end with a user message.",
            messages(HI, assistant("a")),
            name,
            counts=False,
        )
        for name in (
            "claude-opus-4-6",
            "claude-sonnet-4-6",
            "claude-opus-4-8",
            "claude-opus-5",
            "claude-mythos-preview",
        )
    ),
    Row(
        "MSG-48",
        "output_config.format: …",
        messages(HI, assistant("a")) | {"output_config": JSON_FORMAT},
        counts=False,
    ),
]


UNANSWERED = (
    "`tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a "
    "corresponding `tool_result` block in the next message."
)
PAIRING = [
    *(
        Row("MSG-80", f"messages.{index}: " + UNANSWERED.format(missing), messages(*turns))
        for index, missing, turns in (
            (1, "a", [HI, assistant(call("a"))]),
            (1, "a", [HI, assistant(call("a")), HI]),
            (1, "a, b", [HI, assistant(call("a"), "x", call("b")), says("no")]),
            (1, "b", [HI, assistant(call("a"), call("b")), says(result("a"))]),
            (2, "a, b", [HI, assistant(call("a")), assistant(call("b")), HI]),
            (3, "b", [HI, assistant(call("a")), says(result("a")), assistant(call("b")), HI]),
        )
    ),
    Row(
        "MSG-81",
        "messages.1: " + UNANSWERED.format("a"),
        messages(HI, assistant(call("a")), says("Here it is:", result("a"))),
    ),
    Row(
        "MSG-81",
        "messages.1: " + UNANSWERED.format("b"),
        messages(HI, assistant(call("a"), call("b")), says(result("a"), "and", result("b"))),
    ),
    *(
        Row(
            "MSG-82",
            f"messages.{index}.content.{at}: unexpected `tool_use_id` found in `tool_result` blocks: toolu_X. Each "
            "`tool_result` block must have a corresponding `tool_use` block in the previous message.",
            messages(*turns),
        )
        for index, at, turns in (
            (0, 0, [says(result("toolu_X"))]),
            (2, 1, [HI, assistant(call("a")), says(result("a"), result("toolu_X"))]),
            (4, 0, [HI, assistant(call("toolu_X")), says(result("toolu_X")), assistant("a"), says(result("toolu_X"))]),
        )
    ),
    Row(
        "MSG-83",
        "messages.1.content.1: `tool_use` ids must be unique",
        messages(HI, assistant(call("a"), call("a")), says(result("a"))),
    ),
    Row(
        "MSG-83",
        "messages.3.content.1: `tool_use` ids must be unique",
        messages(HI, assistant(call("a")), says(result("a")), assistant("x", call("a")), says(result("a"))),
    ),
    Row(
        "MSG-84",
        "messages.2.content.1: each tool_use must have a single result. "
        "Found multiple `tool_result` blocks with id: toolu_X",
        messages(HI, assistant(call("toolu_X")), says(result("toolu_X"), result("toolu_X"))),
    ),
    Row(
        "MSG-85",
        "messages.1: `tool_result` blocks can only be in `user` messages",
        messages(HI, assistant(result("a"))),
    ),
    Row("MSG-85", "messages.0: `tool_use` blocks can only be in `assistant` messages", messages(says(call("a")))),
    Row("MSG-71", "messages.1: `image` blocks can only be in `user` messages", messages(HI, assistant(PNG))),
    Row(
        "MSG-76",
        "messages.0: `thinking` blocks can only be in `assistant` messages",
        messages(says({"type": "thinking", "thinking": "t", "signature": "s"})),
    ),
    Row(
        "MSG-98",
        "messages: …",
        messages(says(DOCUMENT | {"citations": {"enabled": True}}, DOCUMENT, "x")),
    ),
    Row(
        "MSG-98",
        "messages: …",
        messages(
            HI,
            assistant(call("a")),
            says(result("a", content=[DOCUMENT | {"citations": {"enabled": True}}]), DOCUMENT),
        ),
    ),
    Row(
        "MSG-98",
        "output_config.format: …",
        messages(says(DOCUMENT | {"citations": {"enabled": True}}, "x")) | {"output_config": JSON_FORMAT},
    ),
]


ROWS = [*TURNS, *PAIRING]


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_broken_conversation_is_refused_in_the_words_of_the_api(row: Row) -> None:
    must_refuse(row)


@pytest.mark.parametrize("row", counted(ROWS), ids=name_of)
def test_a_broken_conversation_is_refused_when_tokens_are_counted_too(row: Row) -> None:
    """TOK-3, CCH-6."""
    must_refuse_to_count(row)


@pytest.mark.parametrize("name", ["claude-opus-4-8", "claude-fable-5-1", "claude-mythos-5", "claude-opus-5-5"])
def test_a_system_turn_is_legal_in_its_place(name: str) -> None:
    """MSG-5, MSG-45, MSG-46."""
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    system = {"role": "system", "content": "Now in French."}
    for turns in (
        [HI, system],
        [HI, system, system],
        [HI, system, says("s", role="system"), assistant("a"), HI],
        [HI, assistant("a"), HI, system, assistant("b"), HI],
        [HI, assistant(search, found), system, assistant("b"), HI],
    ):
        assert outcome(name, messages=turns) == OK


@pytest.mark.parametrize("name", ["claude-opus-4-8", "claude-sonnet-4-5", "claude-sonnet-5"])
def test_a_mid_conversation_beta_lets_system_turns_stand_anywhere_but_first(name: str) -> None:
    """CC-5."""
    system = {"role": "system", "content": "Tools have changed."}
    for turns in ([HI, system, HI], [HI, assistant("a"), system, HI], [HI, system, assistant("a"), system, HI]):
        for beta in ("mid-conversation-tool-changes-2026-07-01", "mid-conversation-output-config-2026-07-01"):
            assert outcome(name, betas=("claude-code-20250219", beta), messages=turns) == OK
        assert outcome(name, betas=("claude-code-20250219",), messages=turns) != OK


def test_a_system_turn_does_not_part_calls_from_their_results() -> None:
    """CC-5: it stands between turns and is none itself."""
    system = {"role": "system", "content": "Tools have changed."}
    betas = ("mid-conversation-tool-changes-2026-07-01",)
    for turns in (
        [HI, assistant(call("a")), system, says(result("a"))],
        [HI, assistant(call("a")), system, assistant(call("b")), says(result("b")), system, says(result("a"))],
    ):
        assert outcome("claude-sonnet-4-5", betas=betas, messages=turns) == OK
    said = outcome("claude-sonnet-4-5", betas=betas, messages=[HI, assistant(call("a")), system, HI])
    assert said == "messages.1: " + UNANSWERED.format("a")


def test_a_hundred_thousand_and_one_messages_are_too_many() -> None:
    """MSG-12."""
    assert outcome("claude-sonnet-4-5", messages=[HI] * 100_001).startswith(
        "messages: List should have at most 100000 items"
    )


def test_long_conversations_are_checked_in_one_pass() -> None:
    """Each of these was quadratic once: half a minute for 3 MB. Here they end."""
    system = {"role": "system", "content": "s"}
    loops = [turn for at in range(20_000) for turn in (assistant(call(f"a{at}")), says(result(f"a{at}")))]
    for turns in (
        [HI, *[system] * 60_000],
        [HI, system, assistant("a")] * 20_000 + [HI],
        [HI, *loops],
    ):
        assert outcome("claude-opus-4-8", messages=turns) == OK
    calls = [call(f"a{at}") for at in range(20_000)]
    results = [says(result(f"a{at}")) for at in range(20_000)]
    assert outcome("claude-sonnet-4-5", messages=[HI, assistant(*calls), *results]) == OK
