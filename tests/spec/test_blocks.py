"""Blocks and fields that no engine of ours makes yet, but whose form the wire types must keep. Pure."""

from typing import Any

from dragoman.wire.codec import encode, plain, read
from dragoman.wire.events import BlockDelta, BlockStart, BlockStop, DeltaUsage, Fold, MessageDelta, Stop
from dragoman.wire.types import Container, Message, Usage, WebSearchResult
from dragoman.wire.writer import BlockWriter

Json = dict[str, Any]

MESSAGE: Json = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-8", "content": []}
MESSAGE |= {"stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 7, "output_tokens": 5}}


def new_writer() -> BlockWriter:
    return BlockWriter("msg_1", model="claude-opus-4-8", usage=Usage(input_tokens=1, output_tokens=1))


def test_a_call_of_a_servers_own_tool_streams_as_other_calls_do() -> None:
    """STR-22, MSG-102, TOOL-62: and its result comes whole (STR-25), in the same message."""
    writer = new_writer()
    found = read(WebSearchResult, {"tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result", "x": "y"}]})
    written = [*writer.server_tool_use("srvtoolu_1", "web_search")]
    for fragment in ("", '{"query":', '"x"}'):
        written += writer.input_json(fragment)
    written += writer.whole(found)
    written += writer.redacted_thinking("opaque")
    written += writer.finish("end_turn", usage=DeltaUsage(output_tokens=3))
    call = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "caller": {"type": "direct"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": plain(found)["content"]}
    redacted = {"type": "redacted_thinking", "data": "opaque"}
    assert [plain(event)["content_block"] for event in written if isinstance(event, BlockStart)] == [
        call | {"input": {}},
        result,
        redacted,
    ]
    deltas = [(event.index, plain(event.delta)) for event in written if isinstance(event, BlockDelta)]
    fragments = [{"type": "input_json_delta", "partial_json": part} for part in ("", '{"query":', '"x"}')]
    assert deltas == [(0, fragment) for fragment in fragments]
    assert [event.index for event in written if isinstance(event, BlockStop)] == [0, 1, 2]
    fold = Fold()
    for event in written:
        fold.add(event)
    assert plain(fold.message())["content"] == [call | {"input": {"query": "x"}}, result, redacted]


def test_a_container_is_part_of_the_message() -> None:
    """MSG-105: also where a stream tells it at its end."""
    stop = Stop(
        stop_reason="end_turn",
        stop_sequence=None,
        stop_details=None,
        container=read(Container, {"id": "container_1", "expires_at": "2026-11-21T00:00:00Z"}),
    )
    fold = Fold()
    for event in [*new_writer().start(), MessageDelta(delta=stop, usage=DeltaUsage(output_tokens=1))]:
        fold.add(event)
    container = plain(fold.message())["container"]
    assert (container["id"], container["expires_at"]) == ("container_1", "2026-11-21T00:00:00Z")
    whole = {**MESSAGE, "container": container, "diagnostics": {"cache_miss_reason": None}}
    assert encode(read(Message, whole)).count(b'"cache_miss_reason":null') == 1
