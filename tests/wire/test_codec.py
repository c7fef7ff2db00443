"""Wire objects to and from plain JSON: what is not known is kept, what is missing is said."""

import json
import threading
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.wire import codec
from dragoman.wire.codec import Unknown, WireError, encode, plain, read
from dragoman.wire.tools import Bash, CustomTool
from dragoman.wire.types import (
    CountTokensRequest,
    Document,
    Message,
    MessagesRequest,
    RedactedThinking,
    StopDetails,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Usage,
)

Json = dict[str, Any]

MESSAGE: Json = {
    "model": "claude-opus-4-8", "id": "msg_1", "type": "message", "role": "assistant", "content": [],
    "stop_reason": "end_turn", "stop_sequence": None, "stop_details": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}  # fmt: skip

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
REPEATABLE = settings(derandomize=True, database=None, deadline=None, max_examples=150)


def reply(*content: Json, **fields: Any) -> Json:
    return MESSAGE | {"content": list(content)} | fields


BLOCKS: list[Json] = [
    {"type": "text", "text": "a"},
    {"type": "text", "text": "a", "citations": [{"type": "page_location", "x": {"y": [1]}}]},
    {"type": "thinking", "thinking": "", "signature": "s"},
    {"type": "redacted_thinking", "data": "d"},
    {"type": "tool_use", "id": "t", "name": "n", "input": {"extra": {"type": "text"}}, "caller": {"type": "direct"}},
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "later", "x": None}]},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {"type": "web_search_tool_result_error"},
    },
    {"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": {"type": "x"}, "later": 1},
    {"type": "container_upload", "file_id": "f"},
    {"type": "mcp_tool_use", "id": "m", "name": "n", "server_name": "s", "input": {"a": None}},
    {"type": "later_block"},
    {"type": "later_block", "kind": "x", "extra": {"extra": 1}, "content": [{"type": "text", "text": "t"}]},
    {"type": "text", "text": "a", "kind": "x", "extra": [1], "later": None},
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["type"])
def test_a_block_comes_out_as_it_went_in(block: Json) -> None:
    value = reply(block)
    assert plain(read(Message, value)) == value
    assert json.loads(encode(read(Message, value))) == value


def test_known_blocks_have_their_types_and_others_are_unknown() -> None:
    kinds = [
        type(block) for block in read(Message, reply(BLOCKS[0], BLOCKS[2], BLOCKS[3], BLOCKS[4], BLOCKS[11])).content
    ]
    assert kinds == [Text, Thinking, RedactedThinking, ToolUse, Unknown]
    assert Unknown(kind="later_block", extra={"type": 1}).kind == "later_block"


def test_blocks_within_blocks_are_read_too() -> None:
    document = {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "t", "x": 1}]}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [document, {"type": "text", "text": "a"}]}
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [result]}]}
    request = read(MessagesRequest, body)
    (block,) = request.messages[0].content
    assert isinstance(block, ToolResult)
    assert isinstance(block.content, list)
    assert [type(part) for part in block.content] == [Document, Text]
    assert plain(request) == body


def test_keys_stand_in_the_order_that_was_recorded() -> None:
    """Section 7 of messages.md: `type` where a tag is written, then the fields as the type names them."""
    assert list(plain(read(Message, MESSAGE))) == [
        "type", "model", "id", "role", "content", "stop_reason", "stop_sequence", "stop_details", "usage",
    ]  # fmt: skip


def test_an_optional_field_at_its_default_is_left_out_and_a_required_null_is_not() -> None:
    value = reply({"type": "text", "text": "a", "citations": None, "cache_control": None}, container=None)
    out = plain(read(Message, value))
    assert out["content"] == [{"type": "text", "text": "a"}]
    assert "container" not in out
    assert out["stop_details"] is None


def test_a_required_field_that_may_be_null_may_be_missing() -> None:
    """MSG-104: older-shaped servers leave them out."""
    value = {key: item for key, item in MESSAGE.items() if not key.startswith("stop_")}
    assert read(Message, value) == read(
        Message, value | {"stop_reason": None, "stop_sequence": None, "stop_details": None}
    )
    assert read(StopDetails, {"type": "refusal"}).category is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "message",
        5,
        {},
        *({k: v for k, v in MESSAGE.items() if k != gone} for gone in ("model", "id", "role", "content", "usage")),
        MESSAGE | {"usage": None},
        MESSAGE | {"usage": []},
        MESSAGE | {"usage": {"input_tokens": 1}},
        MESSAGE | {"content": None},
        MESSAGE | {"content": "text"},
        MESSAGE | {"content": {}},
        reply(None),  # type: ignore[arg-type]
        reply("text"),  # type: ignore[arg-type]
        reply([]),  # type: ignore[arg-type]
        reply({}),
        reply({"type": None, "text": "a"}),
        reply({"type": ["text"], "text": "a"}),
        reply({"type": "text"}),
        reply({"type": "tool_use", "id": "a", "name": "b"}),
        reply({"type": "thinking", "thinking": "x"}),
    ],
)  # fmt: skip
def test_what_lacks_a_part_is_no_message(value: object) -> None:
    with pytest.raises(WireError):
        read(Message, value)


def test_a_tool_without_a_type_is_a_custom_one() -> None:
    """TOOL-1."""
    schema = {"type": "object"}
    bash = {"type": "bash_20250124", "name": "bash"}
    tools = [{"name": "a", "input_schema": schema}, {"type": None, "name": "b", "input_schema": schema}, bash]
    request = read(CountTokensRequest, {"model": "m", "messages": [], "tools": tools})
    assert [type(tool) for tool in request.tools or ()] == [CustomTool, CustomTool, Bash]


def test_content_may_be_text_or_blocks() -> None:
    contents = ["text", [{"type": "text", "text": "a"}]]
    messages = [{"role": "user", "content": content} for content in contents]
    request = read(CountTokensRequest, {"model": "m", "messages": messages, "system": "s"})
    assert [message.content for message in request.messages] == ["text", [Text(text="a")]]
    assert request.system == "s"


@pytest.mark.parametrize("depth", [100, 600, 900])
def test_json_within_may_be_as_deep_as_the_decoder_lets_it(depth: int) -> None:
    """A tool's input is the caller's: reading and writing do not walk it."""
    deep: Any = 1
    for _ in range(depth):
        deep = {"a": [deep]} if depth < 600 else {"a": deep}
    value = reply({"type": "tool_use", "id": "t", "name": "n", "input": {"deep": deep}}, later=deep)
    out = plain(read(Message, value))
    assert out["content"][0]["input"]["deep"] is deep
    assert out["later"] is deep
    nested: Any = []
    for _ in range(depth):
        nested = [nested]
    result = reply({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": nested})
    assert plain(read(Message, result))["content"][0]["content"] == [nested[0]]


@REPEATABLE
@given(st.dictionaries(st.text(), JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=4), JSON)
def test_fields_that_no_one_knows_are_kept(outer: Json, inner: Json, value: Any) -> None:
    block = {key: item for key, item in inner.items() if key not in ("type", "text", "citations", "cache_control")}
    later = {"type": "later_block"} | {key: item for key, item in inner.items() if key != "type"}
    foreign = {key: item for key, item in outer.items() if key not in {*MESSAGE, "container"}}
    call = {"type": "tool_use", "id": "t", "name": "n", "input": {"value": value}}
    message = foreign | reply({"type": "text", "text": "a", **block}, later, call)
    assert json.loads(encode(read(Message, message))) == message


@REPEATABLE
@given(JSON, st.sampled_from((Message, MessagesRequest, CountTokensRequest, Usage)))
def test_any_json_is_read_or_refused(value: Any, kind: type[codec.Wire]) -> None:
    try:
        result = read(kind, value)
    except WireError:
        return
    assert isinstance(result, kind)


def test_a_type_is_read_whole_by_a_second_thread_while_the_first_still_looks_it_up(
    monkeypatch: pytest.MonkeyPatch, fresh_readers: None
) -> None:
    """Large requests are read in threads: nobody may see half the fields of a type."""
    value = {"input_tokens": 1, "output_tokens": 2, "service_tier": "standard", "later": 3}
    reader = codec._reader(Usage)
    original = codec._value_reader
    halfway, go_on = threading.Event(), threading.Event()
    looked_up = 0

    def slow(info: Any) -> Any:
        nonlocal looked_up
        if threading.current_thread() is worker:
            looked_up += 1
            if looked_up == 5:
                halfway.set()
                assert go_on.wait(10)
        return original(info)

    monkeypatch.setattr(codec, "_value_reader", slow)
    results: list[Any] = []
    worker = threading.Thread(target=lambda: results.append(reader(value)))
    worker.start()
    try:
        assert halfway.wait(10)
        results.append(reader(value))
    finally:
        go_on.set()
        worker.join()
    expected = Usage(input_tokens=1, output_tokens=2, service_tier="standard", extra={"later": 3})
    assert results == [expected, expected]


@pytest.fixture
def fresh_readers() -> Iterator[None]:
    codec._reader.cache_clear()
    yield
    codec._reader.cache_clear()


def test_encoding_gives_one_line() -> None:
    """STR-2: an event's data is one line, whatever its text holds."""
    rng = Random("lines")
    for _ in range(50):
        text = "".join(rng.choice(("\n", "\r", "\u2028", "\x00", "a", "😀")) for _ in range(20))
        data = encode(Text(text=text))
        assert not {b"\n"[0], b"\r"[0]} & set(data)
        assert json.loads(data) == {"type": "text", "text": text}
