"""A stream that follows another: how it is rewritten, and when nothing may follow."""

from typing import Any

import msgspec
import pytest
from canned import BLOCK, DELTA, END, START, envelope, sse
from rawhttp import events

from dragoman.gateway.routing.continuing import Join, Progress, continued_body
from dragoman.wire.envelope import Envelope

STOP = {"type": "content_block_stop", "index": 0}


def text(said: str, index: int = 0) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": said}}


def block(index: int, **more: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": more or {"type": "text", "text": ""}}


TOOL = block(1, type="tool_use", id="t", name="t", input={})


def progress(*told: dict[str, Any]) -> Progress:
    found = Progress()
    assert found.feed(sse(*told)) is None
    return found


def joined(before: Progress, *told: dict[str, Any], skip: str = "") -> list[tuple[str, Any]]:
    return [(name, data) for name, data in events(Join(before, skip=skip).feed(sse(*told)))]


def test_text_goes_on_in_the_open_block() -> None:
    before = progress(START, BLOCK, text("Hello, "))
    told = joined(before, START, BLOCK, text("world"), *END)
    assert [name for name, _ in told] == [
        "content_block_delta", "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    assert told[0][1] == text("world")
    assert told[2][1]["usage"]["output_tokens"] == END[1]["usage"]["output_tokens"] + before.tokens


def test_blocks_are_counted_on() -> None:
    before = progress(START, block(0, type="thinking", thinking="", signature=""), STOP, block(1), text("So", 1))
    tool = block(1, type="tool_use", id="toolu_1", name="t", input={})
    told = joined(before, START, block(0), text(" it is"), STOP, tool, {**STOP, "index": 1}, *END[1:])
    assert [(name, data.get("index")) for name, data in told[:4]] == [
        ("content_block_delta", 1), ("content_block_stop", 1), ("content_block_start", 2), ("content_block_stop", 2),
    ]  # fmt: skip


def test_what_does_not_begin_with_text_closes_the_block_first() -> None:
    before = progress(START, BLOCK, text("So"))
    told = joined(before, START, block(0, type="thinking", thinking="", signature=""), STOP, block(1), text("it", 1))
    assert [(name, data["index"]) for name, data in told] == [
        ("content_block_stop", 0), ("content_block_start", 1), ("content_block_stop", 1), ("content_block_start", 2),
        ("content_block_delta", 2),
    ]  # fmt: skip


def test_between_two_blocks_the_next_one_is_new() -> None:
    told = joined(progress(START, BLOCK, text("So"), STOP), START, BLOCK, text("it"), *END)
    assert [(name, data.get("index")) for name, data in told[:3]] == [
        ("content_block_start", 1), ("content_block_delta", 1), ("content_block_stop", 1),
    ]  # fmt: skip


def test_nothing_more_to_say_still_ends_in_order() -> None:
    told = joined(progress(START, BLOCK, text("All")), START, *END[1:])
    assert [name for name, _ in told] == ["content_block_stop", "message_delta", "message_stop"]


def test_white_space_is_not_doubled() -> None:
    before = progress(START, BLOCK, text("One\n\n"))
    assert joined(before, START, BLOCK, text("\n\nTwo"), skip="\n\n")[0][1]["delta"]["text"] == "Two"
    assert joined(before, START, BLOCK, text("\n\n"), text("\n\n"), skip="\n\n")[0][1]["delta"]["text"] == "\n\n"
    assert joined(before, START, BLOCK, text("Two"), skip="\n\n")[0][1]["delta"]["text"] == "Two"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([START], False),
        ([START, BLOCK], False),
        ([START, BLOCK, text("  \n")], False),
        ([START, BLOCK, DELTA], True),
        ([START, BLOCK, DELTA, STOP], True),
        ([START, BLOCK, DELTA, *END], False),
        ([START, BLOCK, DELTA, STOP, block(1, type="thinking", thinking="", signature="")], False),
        ([START, BLOCK, DELTA, STOP, block(1, type="thinking", thinking="", signature=""), {**STOP, "index": 1}], True),
        ([START, BLOCK, DELTA, STOP, TOOL], False),
        ([START, BLOCK, DELTA, STOP, TOOL, {**STOP, "index": 1}], False),
        ([START, BLOCK, DELTA, STOP, block(1, type="server_tool_use", id="t", name="w", input={})], False),
    ],
    ids=map(str, range(11)),
)  # fmt: skip
def test_when_another_may_go_on(told: list[dict[str, Any]], expected: bool) -> None:
    assert progress(*told).can_continue is expected


def test_an_error_is_found_where_it_begins() -> None:
    found, before = Progress(), sse(START, BLOCK, DELTA)
    assert found.feed(before) is None
    assert found.feed(sse(DELTA) + sse(envelope())) == len(sse(DELTA))


@pytest.mark.parametrize(
    ("more", "prefills"), [({}, True), ({"thinking": {"type": "adaptive"}}, False), ({"output_config": {}}, False)]
)
def test_the_request_that_goes_on(more: dict[str, Any], prefills: bool) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    said = msgspec.json.encode({"model": "m", "max_tokens": 20, "messages": messages, **more})
    before = progress(START, BLOCK, text("x" * 40 + " "))
    for can_prefill in (True, False):
        body = msgspec.json.decode(continued_body(Envelope(said), before, can_prefill=can_prefill))
        assert (body["max_tokens"], body["messages"][0]) == (10, messages[0])
        assert body["messages"][1]["content"] == [{"type": "text", "text": "x" * 40}]
        assert (len(body["messages"]) == 2) is (prefills and can_prefill)
