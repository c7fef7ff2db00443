"""The checker of shapes: wording, order, depth, threads."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from asking import HI, TOOL, Json, Row, claude_code_body, messages, outcome, refusal, says, tools

from dragoman.errors import InvalidRequest
from dragoman.wire import schema
from dragoman.wire.codec import read
from dragoman.wire.schema import check, choices
from dragoman.wire.types import MessagesRequest, Usage
from dragoman.wire.validate import validate_messages


@pytest.mark.parametrize("field", ["messages", "thinking", "tools", "tool_choice", "source"])
def test_a_type_that_is_no_text_is_not_repeated(field: str) -> None:
    """It may be of any size, and as deep as the decoder takes: writing it out could fail."""
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    wrong = {"type": deep}
    fields: dict[str, Json] = {
        "messages": messages(says(wrong)),
        "thinking": {"thinking": wrong},
        "tools": tools(wrong),
        "tool_choice": tools(TOOL, tool_choice=wrong),
        "source": messages(says({"type": "image", "source": wrong})),
    }
    said = outcome("claude-sonnet-4-5", **fields[field])
    assert said.endswith("type: Input should be a valid string")


def test_choices_are_written_as_the_api_writes_them() -> None:
    """MSG-34."""
    assert choices(["a"]) == "'a'"
    assert choices(["a", "b"]) == "'a' or 'b'"
    assert choices(["a", "b", "c"]) == "'a', 'b' or 'c'"


def test_one_error_at_a_time_in_the_order_of_the_fields() -> None:
    """MSG-32: required before extra, model before messages before the rest."""
    row = Row("MSG-32", "", {})
    assert refusal(validate_messages, row, {}) == "model: Field required"
    assert refusal(validate_messages, row, {"model": "m", "foo": 1}) == "messages: Field required"
    assert refusal(validate_messages, row, {"model": "m", "foo": 1, "messages": [HI]}) == "max_tokens: Field required"


def test_a_request_is_checked_whole_by_a_second_thread_while_the_first_still_looks_up_its_types(
    monkeypatch: pytest.MonkeyPatch, fresh_checks: None
) -> None:
    """Large requests are checked in threads: nobody may see half the rules of a type."""
    original = schema._checker
    halfway, go_on = threading.Event(), threading.Event()
    looked_up = 0

    def slow(*args: Any) -> Any:
        nonlocal looked_up
        if threading.current_thread() is worker:
            looked_up += 1
            if looked_up == 5:
                halfway.set()
                assert go_on.wait(10)
        return original(*args)

    value = {"input_tokens": 1, "output_tokens": 2, "service_tier": "standard", "speed": None}
    fits = schema._struct(Usage)
    monkeypatch.setattr(schema, "_checker", slow)
    worker = threading.Thread(target=lambda: fits(value))
    worker.start()
    try:
        assert halfway.wait(10)
        check(Usage, value)  # raised "service_tier: Extra inputs are not permitted"
        with pytest.raises(InvalidRequest, match="output_tokens: Field required"):
            check(Usage, {"input_tokens": 1})
    finally:
        go_on.set()
        worker.join()


@pytest.fixture
def fresh_checks() -> Iterator[None]:
    schema._struct.cache_clear()
    yield
    schema._struct.cache_clear()


def test_what_was_checked_can_be_read() -> None:
    """The reader takes what the checker passed, field for field."""
    sent = claude_code_body()
    check(MessagesRequest, sent)
    assert read(MessagesRequest, sent).max_tokens == 128_000
