"""Context management: what is cleared of a history before it is read, and what the reply tells of it."""

from typing import Any

import pytest
from offline import CATALOGUE, ENGINE, Json, refusal, run, said, text_of

from dragoman.wire.codec import plain
from dragoman.wire.validate import validate_count

BETA = ("context-management-2025-06-27",)
COMPACT = ("compact-2026-01-12",)
THINKING = {"type": "adaptive", "display": "summarized"}
CLEAR = "clear_tool_uses_20250919"


def loop(count: int, *, size: int = 50) -> list[Json]:
    """A conversation with `count` calls, each with its result."""
    turns = said("Look at the files")
    for number in range(count):
        use = {"type": "tool_use", "id": f"toolu_{number}", "name": f"read_{number % 2}", "input": {"path": "a" * 20}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": f"line {number} " * size}
        turns += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    return turns


async def cleared(messages: list[Json], *edits: Json, **fields: Any) -> tuple[Json, int]:
    """What the reply tells of its edits, and the input tokens that were left."""
    _, message = await run(
        "claude-sonnet-4-5", messages=messages, context_management={"edits": list(edits)}, betas=BETA, **fields
    )
    return plain(message)["context_management"], message.usage.input_tokens


async def tokens(messages: list[Json], **fields: Any) -> int:
    _, message = await run("claude-sonnet-4-5", messages=messages, **fields)
    return message.usage.input_tokens


async def test_old_results_are_cleared_but_the_last_ones_kept() -> None:
    """The reply tells how many, and how many tokens that saved; the answer no longer knows them."""
    whole = await tokens(loop(6))
    told, left = await cleared(loop(6), {"type": CLEAR, "trigger": {"type": "tool_uses", "value": 4}})
    assert told == {"applied_edits": [{"type": CLEAR, "cleared_tool_uses": 3, "cleared_input_tokens": whole - left}]}
    assert left < whole


@pytest.mark.parametrize(
    ("edit", "count"),
    [
        ({"trigger": {"type": "tool_uses", "value": 6}}, None),
        ({"trigger": {"type": "input_tokens", "value": 100_000}}, None),
        ({}, None),
        ({"trigger": {"type": "input_tokens", "value": 100}}, 3),
        ({"trigger": {"type": "tool_uses", "value": 1}, "keep": {"type": "tool_uses", "value": 5}}, 1),
        ({"trigger": {"type": "tool_uses", "value": 1}, "keep": {"type": "tool_uses", "value": 0}}, 6),
        ({"trigger": {"type": "tool_uses", "value": 1}, "keep": {"type": "tool_uses", "value": 9}}, None),
        ({"trigger": {"type": "tool_uses", "value": 1}, "exclude_tools": ["read_0"]}, 1),
        (
            {"trigger": {"type": "tool_uses", "value": 1}, "clear_at_least": {"type": "input_tokens", "value": 90_000}},
            None,
        ),
    ],
)
async def test_when_and_what_is_cleared_is_up_to_the_caller(edit: Json, count: int | None) -> None:
    """`trigger`, `keep`, `exclude_tools`, `clear_at_least`; nothing done is told as nothing."""
    told, left = await cleared(loop(6), {"type": CLEAR, **edit})
    edits = told["applied_edits"]
    assert [each["cleared_tool_uses"] for each in edits] == ([] if count is None else [count])
    assert (left < await tokens(loop(6))) is (count is not None)


async def test_inputs_are_cleared_where_that_is_asked() -> None:
    """`clear_tool_inputs`: all, or those of some tools."""
    edit = {"type": CLEAR, "trigger": {"type": "tool_uses", "value": 1}}
    _, results_only = await cleared(loop(6), edit)
    _, some = await cleared(loop(6), {**edit, "clear_tool_inputs": ["read_1"]})
    _, everything = await cleared(loop(6), {**edit, "clear_tool_inputs": True})
    assert everything < some < results_only


async def test_count_tokens_tells_the_count_before_and_after() -> None:
    """TOK-2, TOK-10."""
    body = {"model": "claude-sonnet-4-5", "messages": loop(6)}
    edits = {"edits": [{"type": CLEAR, "trigger": {"type": "tool_uses", "value": 4}}]}
    model = CATALOGUE.resolve("claude-sonnet-4-5")
    assert model is not None
    request = validate_count({**body, "context_management": edits}, model, version="2023-06-01", betas=BETA)
    counted = await ENGINE.count(request, model)
    assert counted.original_input_tokens == await tokens(loop(6))
    _, left = await cleared(loop(6), *edits["edits"])
    assert counted.input_tokens == left


async def test_thinking_of_earlier_turns_is_cleared() -> None:
    """`clear_thinking_20251015`: the last turn's stays, or as many as are asked for."""
    turns: list[Json] = []
    for question in ("One?", "Two?", "Three?"):
        turns += said(question)
        _, message = await run("claude-opus-4-8", messages=turns, thinking=THINKING)
        turns.append({"role": "assistant", "content": [plain(block) for block in message.content]})
    turns += said("Four?")

    async def told(**edit: Any) -> list[Json]:
        _, message = await run(
            "claude-opus-4-8",
            messages=turns,
            thinking=THINKING,
            betas=BETA,
            context_management={"edits": [{"type": "clear_thinking_20251015", **edit}]},
        )
        return plain(message)["context_management"]["applied_edits"]

    assert [edit["cleared_thinking_turns"] for edit in await told()] == [2]
    assert [edit["cleared_thinking_turns"] for edit in await told(keep={"type": "thinking_turns", "value": 2})] == [1]
    assert await told(keep="all") == []
    assert await told(keep={"type": "all"}) == []


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([{"type": "clear_everything"}], "context_management.edits.0: Input tag 'clear_everything' found using 'type'"),
        ([{"type": CLEAR}, {"type": CLEAR}], f"context_management.edits.1: `{CLEAR}` may be given only once"),
        (
            [{"type": "clear_thinking_20251015"}],
            "context_management.edits.0: `clear_thinking_20251015` strategy requires",
        ),
        ([{"type": CLEAR, "keep": 3}], f"context_management.edits.0.{CLEAR}.keep: Input should be an object"),
        ([{"type": CLEAR, "keep": {"type": "x"}}], f"context_management.edits.0.{CLEAR}.keep.type: Input should be"),
        (
            [{"type": CLEAR, "clear_tool_inputs": 1}],
            f"context_management.edits.0.{CLEAR}.clear_tool_inputs: Input should be a valid list",
        ),
        (
            [{"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 10}}],
            "context_management.edits.0.compact_20260112.trigger.input_tokens.value: Input should be greater than or "
            "equal to 50000",
        ),
    ],
)
async def test_edits_that_cannot_be_made_are_refused(edits: list[Json], expected: str) -> None:
    """MSG-34: the path of the wrong field."""
    said_so = await refusal("claude-opus-4-8", messages=said("Hi"), betas=BETA, context_management={"edits": edits})
    assert said_so.startswith(expected)


async def test_the_order_of_edits_counts() -> None:
    """Thinking is cleared before anything else is."""
    edits = [{"type": CLEAR}, {"type": "clear_thinking_20251015"}]
    said_so = await refusal(
        "claude-opus-4-8", messages=said("Hi"), thinking=THINKING, betas=BETA, context_management={"edits": edits}
    )
    assert said_so == "context_management.edits.1: `clear_thinking_20251015` must be the first of the edits"


LONG = [*said("word " * 60_000), {"role": "assistant", "content": "Yes."}, *said("Go on")]


async def test_a_long_conversation_is_summed_up_and_goes_on_from_there() -> None:
    """MSG-117, STR-26: a compaction block first; sent back, it stands for all that came before it."""
    edit = {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 50_000}}
    events, message = await run(
        "claude-opus-4-8", messages=LONG, betas=COMPACT, context_management={"edits": [edit]}, max_tokens=2000
    )
    assert [plain(block)["type"] for block in message.content] == ["compaction", "text"]
    kinds = [plain(event)["type"] for event in events]
    assert kinds[1:4] == ["content_block_start", "content_block_delta", "content_block_stop"]
    assert message.stop_reason == "end_turn"
    back = [*LONG, {"role": "assistant", "content": [plain(block) for block in message.content]}, *said("And now?")]
    _, shorter = await run("claude-opus-4-8", messages=back, betas=COMPACT, context_management={"edits": [edit]})
    assert shorter.usage.input_tokens < 2_000
    assert [plain(block)["type"] for block in shorter.content] == ["text"]
    assert "And now?" in text_of(shorter)


async def test_it_can_pause_for_the_caller_to_see_the_summary() -> None:
    """MSG-117: `stop_reason` is `compaction`, and nothing else is said."""
    edit = {
        "type": "compact_20260112",
        "trigger": {"type": "input_tokens", "value": 50_000},
        "pause_after_compaction": True,
    }
    _, message = await run("claude-opus-4-8", messages=LONG, betas=COMPACT, context_management={"edits": [edit]})
    assert message.stop_reason == "compaction"
    assert [plain(block)["type"] for block in message.content] == ["compaction"]
    back = [*LONG, {"role": "assistant", "content": [plain(block) for block in message.content]}]
    _, resumed = await run("claude-opus-4-8", messages=back, betas=COMPACT, context_management={"edits": [edit]})
    assert resumed.stop_reason == "end_turn", "sent back as it is, it is gone on from"
    _, short = await run("claude-opus-4-8", messages=said("Hi"), betas=COMPACT, context_management={"edits": [edit]})
    assert short.stop_reason == "end_turn"


async def test_an_edit_is_for_models_that_have_it() -> None:
    """TOOL-72: the same story as the model list."""
    said_so = await refusal(
        "claude-haiku-4-5",
        messages=said("Hi"),
        betas=COMPACT,
        context_management={"edits": [{"type": "compact_20260112"}]},
    )
    assert said_so == "context_management.edits.0: `compact_20260112` is not supported for this model"
