"""Replies as objects: they give back what came, and are dumped as the official package's models are (SDK-40, 41)."""

import copy
import io
import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import pydantic
import pytest
from anthropic._models import construct_type
from typeshapes import Pair, fields_of, full_examples, is_record, minimal_example, pairs, with_unknown

from dragoman import types
from dragoman.client.record import Record, build, encode, plain, read_as
from dragoman.types import beta
from dragoman.types.events import (
    CitationEvent,
    ContentBlockStopEvent,
    InputJsonEvent,
    MessageStopEvent,
    ParsedMessageStopEvent,
    TextEvent,
    ThinkingEvent,
)

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-test",
    "content": [
        {"type": "text", "text": "Hello", "citations": None},
        {"type": "hologram", "depth": {"cm": 3}},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, None]}, "caller": {"type": "direct"}},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 5, "novelty": [1]},
}


def message(**changes: Any) -> types.Message:
    return build(types.Message, copy.deepcopy(MESSAGE | changes))


# -- every class, beside the official one --

# Our class -> an official one of that shape. `test_types.py` holds that all of them have it.
RECORDS = {pair.ours: pair for pair in pairs() if is_record(pair.ours)}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"mode": "json"},
    {"exclude_unset": True},
    {"exclude_none": True},
    {"exclude_defaults": True},
    {"exclude_unset": True, "exclude_none": True, "mode": "json"},
]


def examples(pair: Pair) -> list[dict[str, Any]]:
    """Objects that have what the official class needs: all fields, few, and each with some that nobody knows."""
    full = list(full_examples(pair.ours))
    needed = {name for name, field in fields_of(pair.theirs).items() if field.is_required}
    few = minimal_example(pair.ours)
    few |= {name: full[0][name] for name in needed - few.keys()}
    known = [*full, few]
    return [*known, *map(with_unknown, known)]


def failing(check: Callable[[Pair, dict[str, Any]], bool]) -> list[str]:
    """Names of the classes of which an example fails."""
    assert len(RECORDS) > 250
    return [pair.name for pair in RECORDS.values() if not all(check(pair, example) for example in examples(pair))]


def test_every_class_gives_back_what_came() -> None:
    """SDK-40, 41."""

    def gives_back(pair: Pair, data: dict[str, Any]) -> bool:
        record = build(pair.ours, copy.deepcopy(data))
        return record.to_dict(mode="json") == data and msgspec.json.decode(encode(record)) == data

    assert failing(gives_back) == []


def test_every_class_is_dumped_as_the_official_one() -> None:
    """SDK-41. By the API's names: see `test_a_field_named_as_a_keyword`."""

    def is_alike(pair: Pair, data: dict[str, Any]) -> bool:
        theirs = construct_type(type_=pair.theirs, value=copy.deepcopy(data))
        ours = build(pair.ours, copy.deepcopy(data))
        return all(
            ours.model_dump(**options) == theirs.model_dump(by_alias=True, warnings=False, **options)
            for options in OPTIONS
        )

    assert failing(is_alike) == []


def test_every_class_is_itself_when_copied_or_made_anew() -> None:
    def is_itself(pair: Pair, data: dict[str, Any]) -> bool:
        record = build(pair.ours, copy.deepcopy(data))
        made = [
            copy.copy(record),
            copy.deepcopy(record),
            pickle.loads(pickle.dumps(record)),
            pair.ours.model_validate(data),
            pair.ours(**data),
        ]
        return all(type(each) is pair.ours and each == record for each in made)

    assert failing(is_itself) == []


def test_every_class_needs_what_has_no_default() -> None:
    for pair in RECORDS.values():
        few = minimal_example(pair.ours)
        for name in few:
            with pytest.raises(TypeError, match=f"{pair.ours.__name__}: missing {name}"):
                pair.ours(**{key: value for key, value in few.items() if key != name})


def test_data_that_a_record_is_made_of_stays_as_it_was() -> None:
    data = copy.deepcopy(MESSAGE)
    for reply in (types.Message(**data), types.Message.model_validate(data), types.Message.construct(**data)):
        reply.content.clear()
        reply.usage.input_tokens = 0
        assert data == MESSAGE


# -- what is made of JSON --


def test_members_of_unions_are_told_by_their_tag() -> None:
    """SDK-40: what nobody knows becomes a bare record, with all that it has."""
    text, unknown, tool = message().content
    assert isinstance(text, types.TextBlock)
    assert isinstance(tool, types.ToolUseBlock)
    assert isinstance(tool.caller, types.DirectCaller)
    assert tool.input == {"a": [1, None]}
    assert type(unknown) is Record
    assert unknown.type == "hologram"
    assert unknown.depth == {"cm": 3}  # type: ignore[union-attr]


def test_the_only_member_is_taken_whatever_its_tag() -> None:
    details = message(stop_details={"type": "of a new kind"}).stop_details
    assert isinstance(details, types.RefusalStopDetails)
    assert (details.type, details.explanation) == ("of a new kind", None)


def test_a_member_whose_tag_may_be_missing() -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}}
    for each in (tool, tool | {"type": "custom"}, tool | {"type": None}):
        assert type(read_as(beta.BetaResponseToolUnion, dict(each))) is beta.BetaResponseTool
    assert type(read_as(beta.BetaResponseToolUnion, {"type": "bash_20250124"})) is beta.BetaToolBash20250124
    assert type(read_as(beta.BetaResponseToolUnion, {"type": "bash_20990124"})) is Record


def test_content_that_is_a_list_or_an_error() -> None:
    block = {"type": "web_search_tool_result", "tool_use_id": "x"}
    error = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    hit = {"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e"}
    assert type(build(types.WebSearchToolResultBlock, block | {"content": error}).content) is (
        types.WebSearchToolResultErrorObject
    )
    content = build(types.WebSearchToolResultBlock, block | {"content": [hit]}).content
    assert isinstance(content, list)
    assert type(content[0]) is types.WebSearchResultBlock


@pytest.mark.parametrize("content", [None, "text", 3, {"not": "a list"}, [None, 3, "text", ["nested"]]])
def test_values_of_another_kind_stay(content: Any) -> None:
    """SDK-40."""
    assert message(content=content).to_dict() == MESSAGE | {"content": content}


def test_what_is_missing_is_none() -> None:
    """SDK-40: as in the official package, also where the field is declared without a default."""
    bare = build(types.Message, {"id": "msg_1"})
    theirs = construct_type(type_=anthropic.types.Message, value={"id": "msg_1"})
    assert bare.usage is None
    assert bare.stop_reason is None
    assert bare.model_dump() == theirs.model_dump(warnings=False)
    assert bare.to_dict() == {"id": "msg_1"}
    with pytest.raises(AttributeError, match="'Message' object has no attribute 'novelty'"):
        _ = bare.novelty
    assert not hasattr(bare, "novelty")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-02-03T04:05:06Z", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2026-02-03T04:05:06.120000Z", datetime(2026, 2, 3, 4, 5, 6, 120000, tzinfo=UTC)),
        ("2026-02-03T04:05:06+02:00", datetime(2026, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2)))),
        ("soon", "soon"),
        (17, 17),
    ],
)
def test_times(text: Any, time: Any) -> None:
    """SDK-41: times are times, and text again in JSON. What is none stays as it came."""
    container = build(types.Container, {"id": "c", "expires_at": text})
    assert container.expires_at == time
    assert container.to_dict()["expires_at"] == time
    assert container.to_dict(mode="json") == {"id": "c", "expires_at": text}
    assert json.loads(container.to_json()) == {"id": "c", "expires_at": text}
    assert msgspec.json.decode(encode(container)) == {"id": "c", "expires_at": text}


def test_read_as_reads_any_annotation() -> None:
    assert read_as(int, "3") == "3"
    assert read_as(list[types.TextBlock], [{"type": "text", "text": "a"}]) == [types.TextBlock(type="text", text="a")]
    assert read_as(dict[str, datetime], {"a": "2026-01-01T00:00:00Z"}) == {"a": datetime(2026, 1, 1, tzinfo=UTC)}
    assert read_as(types.ContentBlock, {"type": "thinking"}) == build(types.ThinkingBlock, {"type": "thinking"})
    assert read_as(types.Message | None, None) is None


def test_a_field_named_as_a_keyword() -> None:
    """`from` is `from_` to Python; by the API's name in dumps, where the official one has either or both."""
    data = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}, "trigger": {"type": "refusal"}}
    block = build(beta.BetaFallbackBlock, copy.deepcopy(data))
    assert block.from_ == beta.BetaFallbackInfo(model="a")
    assert block.to_dict() == data
    assert beta.BetaFallbackBlock.model_validate(data) == block


# -- as an object --


def test_attributes_may_be_changed() -> None:
    reply = message()
    reply.stop_reason = "max_tokens"
    reply.extra = 3  # type: ignore[attr-defined]
    reply.content.pop()
    assert reply.to_dict()["stop_reason"] == "max_tokens"
    assert reply.model_dump()["extra"] == 3
    assert len(reply.to_dict()["content"]) == 2


def test_equality_is_by_class_and_fields() -> None:
    block = types.TextBlock(type="text", text="a")
    assert block == types.TextBlock(type="text", text="a", citations=None)
    assert block != types.TextBlock(type="text", text="b")
    assert block != build(types.TextDelta, {"type": "text", "text": "a"})
    assert block != {"type": "text", "text": "a"}
    with pytest.raises(TypeError, match="unhashable"):
        hash(block)


def test_repr_names_the_class_and_what_came() -> None:
    block = types.TextBlock(type="text", text="a", novelty={"b": 1})
    assert repr(block) == "TextBlock(type='text', text='a', novelty={'b': 1})"
    assert repr(message(content=[block.to_dict()]).content) == f"[{block!r}]"


def test_pairs_of_names_and_values() -> None:
    block = types.TextBlock(type="text", text="a", novelty=1)
    assert dict(block) == {"text": "a", "type": "text", "citations": None, "novelty": 1}
    assert block.model_fields_set == {"type", "text", "novelty"}
    assert block.model_extra == {"novelty": 1}


def test_the_request_id_is_the_outermost_records_and_no_field() -> None:
    """SDK-41."""
    reply = message()
    reply._request_id = "req_1"
    assert reply._request_id == "req_1"
    assert reply.usage._request_id is None
    assert "_request_id" not in reply.model_dump()
    assert reply == message()
    assert "req_1" not in repr(reply)
    assert copy.deepcopy(reply)._request_id == pickle.loads(pickle.dumps(reply))._request_id == "req_1"


def test_a_dump_shares_nothing_with_the_record() -> None:
    reply = message()
    reply.model_dump()["content"][2]["input"]["a"].append("more")
    reply.to_dict()["usage"]["novelty"].append("more")
    assert reply == message()


def test_parts_of_a_dump() -> None:
    reply = message()
    assert reply.model_dump(include={"id", "role"}) == {"id": "msg_1", "role": "assistant"}
    assert reply.dict(exclude={"content"}, exclude_unset=True) == {
        name: value for name, value in MESSAGE.items() if name != "content"
    }


@pytest.mark.parametrize("indent", [None, 2, 4])
def test_json_text_is_the_official_text(indent: int | None) -> None:
    """SDK-41. Fields stand in the order in which they came, defaults after them."""
    data = {"text": 'Grüße "\\\n\u2028', "type": "text"}
    theirs = construct_type(type_=anthropic.types.TextBlock, value=dict(data))
    ours = build(types.TextBlock, dict(data))
    assert ours.to_json(indent=indent) == theirs.to_json(indent=indent)
    assert json.loads(ours.model_dump_json()) == json.loads(theirs.model_dump_json())
    assert ours.json() == ours.model_dump_json()


def test_made_from_json_text() -> None:
    text = json.dumps(MESSAGE)
    assert types.Message.model_validate_json(text) == types.Message.model_validate_json(text.encode()) == message()
    with pytest.raises(ValueError, match="truncated"):
        types.Message.model_validate_json("{")
    with pytest.raises(TypeError, match="needs a dictionary, not list"):
        types.Message.model_validate([])
    reply = message()
    assert types.Message.model_validate(reply) is reply
    assert types.Message.construct(id="x") == types.Message.model_construct(id="x") == build(types.Message, {"id": "x"})


def test_a_copy_with_changes() -> None:
    reply = message()
    other = reply.model_copy(update={"stop_reason": "refusal"})
    assert (other.stop_reason, reply.stop_reason) == ("refusal", "end_turn")
    assert other.content is reply.content
    assert reply.model_copy(deep=True).content is not reply.content


def test_a_pydantic_model_may_hold_records() -> None:
    class Turn(pydantic.BaseModel):
        reply: types.Message
        blocks: list[types.TextBlock]

    turn = Turn(reply=MESSAGE, blocks=[{"type": "text", "text": "a"}])  # type: ignore[arg-type, list-item]
    assert turn.reply == message()
    assert turn.model_dump(exclude_unset=True) == {"reply": MESSAGE, "blocks": [{"type": "text", "text": "a"}]}
    assert Turn.model_validate_json(turn.model_dump_json()) == turn


# -- sent back --


def test_a_reply_is_sent_back_as_it_came() -> None:
    """SDK-41: assistant content can be put straight back in `messages`."""
    reply = message()
    turn = {"role": "assistant", "content": MESSAGE["content"]}
    assert reply.to_param() == {"role": "assistant", "content": reply.content}
    assert msgspec.json.decode(
        encode({"messages": [reply.to_param(), {"role": reply.role, "content": reply.content}]})
    ) == {"messages": [turn, turn]}


def test_what_the_beta_replies_is_sent_back_as_it_came() -> None:
    data = MESSAGE | {"content": list(full_examples(beta.BetaCompactionBlock))}
    reply = build(beta.BetaMessage, copy.deepcopy(data))
    assert type(reply.content[0]) is beta.BetaCompactionBlock
    assert msgspec.json.decode(encode(reply.to_param())) == {"role": "assistant", "content": data["content"]}


def test_parsed_output_is_ours_alone() -> None:
    """SDK-53: it is in no dump and in no request, but counts when two are compared."""
    reply: types.ParsedMessage[Any] = build(types.ParsedMessage, copy.deepcopy(MESSAGE))
    block = reply.content[0]
    assert isinstance(block, types.ParsedTextBlock)
    assert (block.parsed_output, reply.parsed_output) == (None, None)
    block.parsed_output = {"answer": 42}
    assert reply.parsed_output == {"answer": 42}
    assert reply.to_dict() == reply.to_dict(exclude_unset=False, exclude_none=True) | MESSAGE == MESSAGE
    assert "parsed_output" not in reply.model_dump()["content"][0]
    assert "parsed_output" not in block.model_dump()
    assert msgspec.json.decode(encode(reply)) == MESSAGE
    assert reply != build(types.ParsedMessage, copy.deepcopy(MESSAGE))
    assert "parsed_output={'answer': 42}" in repr(reply)
    assert copy.deepcopy(reply).parsed_output == {"answer": 42}


def test_a_parsed_message_is_its_first_output() -> None:
    blocks = [{"type": "thinking"}, {"type": "text", "text": ""}, {"type": "text", "text": "{}"}]
    reply: beta.ParsedBetaMessage[Any] = build(beta.ParsedBetaMessage, MESSAGE | {"content": blocks})
    reply.content[2].parsed_output = [1]  # type: ignore[union-attr]
    assert reply.parsed_output == [1]


class _Tool:
    def to_dict(self) -> dict[str, Any]:
        return {"name": "f", "input_schema": {"type": "object"}}


class _Model(pydantic.BaseModel):
    type: str = "text"
    text: str
    when: datetime | None = None


def test_what_a_request_may_hold(tmp_path: Path) -> None:
    """Blocks of any client, times, tools, iterables; files where `data` is wanted: those are sent as base64."""
    (tmp_path / "image").write_bytes(b"\x00\x01\xff")
    body = {
        "blocks": (each for each in [types.TextBlock(type="text", text="a"), _Model(text="b")]),
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "tools": [_Tool()],
        "stop_sequences": ("a", "b"),
        "files": [tmp_path / "image", io.BytesIO(b"\x00\x01\xff"), io.StringIO("ü")],
        "keys": {"a": 1}.keys(),
        "view": msgspec.structs.asdict(msgspec.defstruct("S", [("a", int)])(a=1)),
    }
    assert msgspec.json.decode(encode(body)) == {
        "blocks": [{"type": "text", "text": "a"}, {"text": "b"}],
        "time": "2026-01-01T00:00:00Z",
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "stop_sequences": ["a", "b"],
        "files": ["AAH/", "AAH/", "w7w="],
        "keys": ["a"],
        "view": {"a": 1},
    }


def test_what_a_request_cannot_hold() -> None:
    with pytest.raises(TypeError, match="a request cannot hold a object"):
        plain(object())
    with pytest.raises(OSError, match="no-such-file"):
        encode({"data": Path("no-such-file")})


# -- events of helpers --


def test_a_snapshot_is_made_when_somebody_looks() -> None:
    """STR-57: a stream that nobody looks at costs nothing for each event."""
    looks: list[int] = []

    def later() -> str:
        looks.append(1)
        return "Hello"

    event = TextEvent.growing("lo", later)
    assert (event.type, event.text) == ("text", "lo")
    assert looks == []
    assert event.snapshot == "Hello"
    assert event.snapshot == "Hello"
    assert looks == [1]
    assert event == TextEvent(type="text", text="lo", snapshot="Hello")


@pytest.mark.parametrize(
    "look",
    [
        lambda event: event.to_dict(),
        lambda event: event.model_dump(),
        lambda event: json.loads(event.to_json()),
        lambda event: dict(event),
        lambda event: copy.deepcopy(event).to_dict(),
        lambda event: copy.copy(event).to_dict(),
        lambda event: pickle.loads(pickle.dumps(event)).to_dict(),
        lambda event: msgspec.json.decode(encode(event)),
        lambda event: vars(event),
    ],
)
def test_every_look_at_an_event_has_its_snapshot(look: Any) -> None:
    events = [
        TextEvent.growing("b", lambda: "ab"),
        ThinkingEvent.growing("b", lambda: "ab"),
        InputJsonEvent.growing('"b"', lambda: {"a": "b"}),
    ]
    assert [look(event) for event in events] == [
        {"type": "text", "text": "b", "snapshot": "ab"},
        {"type": "thinking", "thinking": "b", "snapshot": "ab"},
        {"type": "input_json", "partial_json": '"b"', "snapshot": {"a": "b"}},
    ]


def test_growing_events_are_as_the_official_ones() -> None:
    from anthropic.lib.streaming._types import TextEvent as Theirs

    event = TextEvent.growing('"b', lambda: '{"a": "b')
    theirs = Theirs(type="text", text='"b', snapshot='{"a": "b')
    assert event.model_dump() == theirs.model_dump()
    assert event.parsed_snapshot() == theirs.parsed_snapshot() == {"a": "b"}
    assert repr(event) == "TextEvent(type='text', text='\"b', snapshot='{\"a\": \"b')"
    assert event.model_fields_set == {"type", "text", "snapshot"}
    event.snapshot = "changed"
    assert event.snapshot == "changed"
    with pytest.raises(AttributeError, match="novelty"):
        _ = event.novelty


def test_a_snapshot_that_is_set_before_it_is_made() -> None:
    event = TextEvent.growing("b", lambda: "ab")
    event.snapshot = "mine"
    assert event.to_dict() == {"type": "text", "text": "b", "snapshot": "mine"}
    assert build(TextEvent, {"type": "text", "text": "b"}).snapshot is None


def test_helper_events_hold_what_they_end() -> None:
    """STR-57."""
    reply = message()
    stop = build(MessageStopEvent, {"type": "message_stop", "message": reply})
    assert stop.message is reply
    assert stop.to_dict() == {"type": "message_stop", "message": MESSAGE}
    block = {"type": "content_block_stop", "index": 0, "content_block": {"type": "text", "text": "a"}}
    assert type(build(ContentBlockStopEvent, block).content_block) is types.TextBlock
    parsed = build(ParsedMessageStopEvent, {"type": "message_stop", "message": copy.deepcopy(MESSAGE)})
    assert type(parsed.message) is types.ParsedMessage
    citation = {"type": "page_location", "cited_text": "c"}
    event = build(CitationEvent, {"type": "citation", "citation": citation, "snapshot": [dict(citation)]})
    assert event.snapshot == [event.citation]
    assert type(event.citation) is types.CitationPageLocation
