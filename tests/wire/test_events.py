"""Stream events and their fold: spec STR-10 to 54, and the official SDK's own accumulation of the same bytes."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic
from streams import chunks, frame, frames, json_object, legal_stream, words

from dragoman.wire.codec import Unknown, WireError, encode, plain
from dragoman.wire.events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    CitationsDelta,
    ErrorEvent,
    Fold,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    TextDelta,
    decode_event,
    encode_event,
    encode_events,
)
from dragoman.wire.sse import ServerEvent, SSEDecoder
from dragoman.wire.types import Message, Text

Json = dict[str, Any]


def fold(events: list[Json]) -> Fold:
    """The fold of events that went over the wire."""
    folded = Fold()
    for event in SSEDecoder().feed(frames(events)):
        folded.add(decode_event(event))
    return folded


def message(events: list[Json]) -> Json:
    value = plain(fold(events).message())
    assert isinstance(value, dict)
    return value


def start(**fields: Any) -> Json:
    usage = {
        "input_tokens": 25, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0},
    }  # fmt: skip
    empty = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-8", "content": [],
        "stop_reason": None, "stop_sequence": None, "stop_details": None, "usage": usage,
    }  # fmt: skip
    return {"type": "message_start", "message": empty | fields}


def block(content_block: Json, *deltas: Json, index: int = 0) -> list[Json]:
    return [
        {"type": "content_block_start", "index": index, "content_block": content_block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def end(stop_reason: str | None = "end_turn", usage: Json | None = None, **delta: Any) -> list[Json]:
    stop = {"stop_reason": stop_reason, "stop_sequence": None, **delta}
    return [
        {"type": "message_delta", "delta": stop, "usage": usage or {"output_tokens": 8}},
        {"type": "message_stop"},
    ]


TEXT = {"type": "text", "text": ""}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}


def text_delta(text: str) -> Json:
    return {"type": "text_delta", "text": text}


def json_delta(text: str) -> Json:
    return {"type": "input_json_delta", "partial_json": text}


# ---------------------------------------------------------------- the captured shapes of section 6


def test_the_recorded_tool_call() -> None:
    """Section 6: text, then a call whose input came in fragments."""
    pieces = ["", '{"locati', 'on": "P', "ar", 'is"}']
    folded = message(
        [
            start(),
            *block(TEXT, text_delta("I'll"), text_delta(" check.")),
            *block(CALL, *map(json_delta, pieces), index=1),
            *end("tool_use", {"output_tokens": 65}),
        ]
    )
    assert folded["content"] == [
        {"type": "text", "text": "I'll check."},
        CALL | {"input": {"location": "Paris"}},
    ]
    assert (folded["stop_reason"], folded["stop_sequence"]) == ("tool_use", None)
    assert folded["usage"]["output_tokens"] == 65


def test_the_recorded_web_search() -> None:
    """Section 6: a server tool, its result in one piece, text whose citation comes first."""
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    found = {"type": "web_search_result", "url": "https://a.test", "title": "A", "encrypted_content": "opaque"}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found]}
    citation = {"type": "web_search_result_location", "url": "https://a.test", "encrypted_index": "opaque"}
    searched = {"web_search_requests": 1, "web_fetch_requests": 0}
    folded = message(
        [
            start(),
            *block(search, json_delta(""), json_delta('{"query": "x"}')),
            *block(result, index=1),
            *block(
                {"citations": [], "type": "text", "text": ""},
                {"type": "citations_delta", "citation": citation},
                text_delta("a"),
                text_delta("b"),
                index=2,
            ),
            *end(usage={"output_tokens": 8, "server_tool_use": searched}),
        ]
    )
    assert folded["content"] == [
        search | {"input": {"query": "x"}},
        result,
        {"type": "text", "text": "ab", "citations": [citation]},
    ]
    assert folded["usage"]["server_tool_use"] == searched


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "input_tokens": 40,
                "cache_creation_input_tokens": 12,
                "cache_read_input_tokens": 7,
                "output_tokens": 8,
            },
            (40, 12, 7, 8),
        ),
        ({"output_tokens": 8}, (25, 10, 5, 8)),
        ({"output_tokens": 8, "input_tokens": None, "cache_read_input_tokens": 0}, (25, 10, 0, 8)),
    ],
)
def test_the_usage_of_message_delta_replaces_what_it_names(usage: Json, expected: tuple[int, ...]) -> None:
    """STR-13, and the two recorded cases of section 6."""
    folded = message([start(), *end(usage=usage)])["usage"]
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    assert tuple(folded[name] for name in names) == expected
    assert folded["cache_creation"] == {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0}


def test_the_last_message_delta_counts() -> None:
    """STR-13: cumulative, never added up."""
    first, second = end(usage={"output_tokens": 5})[0], end(usage={"output_tokens": 9})[0]
    folded = message([start(), first, second, {"type": "message_stop"}])
    assert folded["usage"]["output_tokens"] == 9


def test_a_refusal_in_mid_stream() -> None:
    """STR-41."""
    details = {"type": "refusal", "category": "cyber", "explanation": "no"}
    folded = message([start(), *block(TEXT), *end("refusal", {"output_tokens": 0}, stop_details=details)])
    assert (folded["stop_reason"], folded["stop_details"]) == ("refusal", details)
    assert folded["content"] == [TEXT]


def test_no_blocks_at_all() -> None:
    """STR-12."""
    assert message([start(), *end()])["content"] == []


def test_thinking_shown_and_omitted_and_redacted() -> None:
    """STR-23, 24, 25."""
    empty = {"type": "thinking", "thinking": "", "signature": ""}
    redacted = {"type": "redacted_thinking", "data": "opaque=="}
    pieces = [{"type": "thinking_delta", "thinking": piece} for piece in ("Let ", "me")]
    signed = {"type": "signature_delta", "signature": "sig=="}
    events = [start(), *block(empty, *pieces, signed), *block(empty, signed, index=1), *block(redacted, index=2)]
    assert message([*events, *end()])["content"] == [
        {"type": "thinking", "thinking": "Let me", "signature": "sig=="},
        {"type": "thinking", "thinking": "", "signature": "sig=="},
        redacted,
    ]


def test_a_compaction_is_replaced_by_its_delta() -> None:
    """STR-26."""
    events = block({"type": "compaction", "content": None}, {"type": "compaction_delta", "content": "summary"})
    assert message([start(), *events, *end("compaction")])["content"] == [{"type": "compaction", "content": "summary"}]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([], {}),
        ([""], {}),
        (["", "{}"], {}),
        (["", '{"city": "Par'], {"city": "Par"}),
        (["", '{"city": "Paris", "un'], {"city": "Paris"}),
    ],
)
def test_a_call_without_or_with_half_its_input(pieces: list[str], expected: Json) -> None:
    """STR-31, STR-14, TOOL-23: the last stop may be missing too."""
    events = [start(), *block(CALL, *map(json_delta, pieces))[:-1], *end("max_tokens")]
    assert message(events)["content"] == [CALL | {"input": expected}]


def test_the_input_of_the_start_stays_when_no_fragment_says_anything() -> None:
    whole = CALL | {"input": {"city": "Paris"}}
    assert message([start(), *block(whole, json_delta("")), *end()])["content"] == [whole]


# ---------------------------------------------------------------- leniency, as STR-50 to 54 have it


def test_pings_and_unknown_events_change_nothing_anywhere() -> None:
    plain_stream = [start(), *block(TEXT, text_delta("a")), *end()]
    noise: list[Json] = [{"type": "ping"}, {"type": "later_event", "index": 99, "x": [1]}]
    noisy = [part for event in plain_stream for part in (*noise, event, *noise)]
    assert message(noisy) == message(plain_stream)


def test_events_before_the_start_are_ignored() -> None:
    """STR-53: even a stray content_block_stop."""
    early = [*block(TEXT, text_delta("lost")), *end("max_tokens")]
    assert message([*early, start(), *block(TEXT, text_delta("a")), *end()])["content"] == [TEXT | {"text": "a"}]


def test_a_second_start_is_ignored() -> None:
    """As the SDK does."""
    events = [start(), *block(TEXT, text_delta("a")), start(id="msg_2"), *end()]
    assert (message(events)["id"], message(events)["content"]) == ("msg_1", [TEXT | {"text": "a"}])


def test_a_delta_that_does_not_fit_its_block_is_ignored() -> None:
    """As the SDK does: it looks at the type of both."""
    wrong = [
        text_delta("x"),
        {"type": "thinking_delta", "thinking": "x"},
        {"type": "signature_delta", "signature": "x"},
    ]
    events = [start(), *block(CALL, *wrong), *block(TEXT, json_delta("{"), text_delta("a"), index=1), *end()]
    assert message(events)["content"] == [CALL, TEXT | {"text": "a"}]


def test_a_stream_that_ends_early_has_no_stop_reason() -> None:
    """STR-52."""
    folded = fold([start(), *block(TEXT, text_delta("a"))])
    assert not folded.is_complete
    assert folded.message().stop_reason is None
    assert fold([start(), *end()]).is_complete


def test_an_error_is_kept_and_what_came_before_it_too() -> None:
    """STR-40."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}
    folded = fold([start(), *block(TEXT, text_delta("a")), error])
    assert folded.error is not None
    assert plain(folded.error) == error
    assert folded.message().content == [Text(text="a")]
    assert not folded.is_complete
    assert fold([start(), *end()]).error is None


def test_a_message_is_not_there_before_its_start() -> None:
    with pytest.raises(WireError, match="no message_start"):
        fold([{"type": "ping"}]).message()


@pytest.mark.parametrize("index", [1, -1, 7, "0", None])
def test_a_delta_for_a_block_that_never_began_is_an_error(index: object) -> None:
    with pytest.raises(WireError, match="never started"):
        fold(
            [start(), *block(TEXT), {"type": "content_block_delta", "index": index, "delta": {**text_delta("a")}}]
        ).message()


@pytest.mark.parametrize(
    "event",
    [
        {"type": "message_start"},
        {"type": "message_start", "message": None},
        {"type": "message_start", "message": {"id": "msg_1"}},
        start(content={}),
        start(content=[5]),
        start(content=[{"text": "no type"}]),
        start(usage=None),
        start(usage={"output_tokens": 1}),
        {"type": "content_block_start", "index": 0},
        {"type": "content_block_start", "index": 0, "content_block": "text"},
        {"type": "content_block_start", "index": 0, "content_block": {"text": ""}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}},
        {"type": "content_block_delta", "index": 0, "delta": None},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_stop"},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
        {"type": "error"},
        {"type": "error", "error": {"type": "api_error"}},
    ],
)
def test_an_event_without_its_parts_is_an_error(event: Json) -> None:
    with pytest.raises(WireError):
        decode_event(ServerEvent(event["type"], json.dumps(event).encode(), 0))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff", b'{"a":\xff}', b"{} {}", b"[" * 100_000]
)
def test_data_that_is_no_json_object_is_an_error(data: bytes) -> None:
    for name in ("message_start", "ping", "later_event"):
        with pytest.raises(WireError, match="holds no JSON"):
            decode_event(ServerEvent(name, data, 0))


@pytest.mark.parametrize(
    "events",
    [
        block(TEXT, text_delta(5)),  # type: ignore[arg-type]
        block(CALL, json_delta(None)),  # type: ignore[arg-type]
        block({"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": []}),
        block({"type": "text", "text": None}, text_delta("a")),
    ],
)
def test_text_that_is_no_text_is_an_error(events: list[Json]) -> None:
    with pytest.raises(WireError):
        fold([start(), *events]).message()


# ---------------------------------------------------------------- events of our own and foreign ones


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (start(), MessageStart),
        (block(TEXT)[0], BlockStart),
        (block(TEXT, text_delta("a"))[1], BlockDelta),
        (block(TEXT)[1], BlockStop),
        (end()[0], MessageDelta),
        (end()[1], MessageStop),
        ({"type": "ping"}, Ping),
        ({"type": "error", "error": {"type": "api_error", "message": "x"}}, ErrorEvent),
        ({"type": "later_event", "x": 1}, Unknown),
    ],
)
def test_each_event_has_its_type(event: Json, kind: type) -> None:
    assert type(decode_event(ServerEvent(event["type"], json.dumps(event).encode(), 0))) is kind


def test_the_type_in_the_data_wins_and_the_name_fills_in() -> None:
    assert isinstance(decode_event(ServerEvent("other", b'{"type":"ping"}', 0)), Ping)
    assert isinstance(decode_event(ServerEvent("ping", b"{}", 0)), Ping)


FOREIGN: list[Json] = [
    start(later={"a": [1]}, usage={"input_tokens": 1, "output_tokens": 1, "later_tokens": 4}),
    {"type": "content_block_start", "index": 0, "content_block": {"type": "later_block", "x": {"type": "y"}}},
    {"type": "content_block_start", "index": 0, "content_block": TEXT | {"later": 1}, "also": 2},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "later_delta"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "later_delta", "kind": 1, "extra": {"extra": 2}}},
    {"type": "content_block_delta", "index": 0, "delta": text_delta("a") | {"later": 1}},
    {"type": "content_block_delta", "index": 0, "delta": text_delta("a"), "later": 1},
    {"type": "content_block_stop", "index": 0, "later": 1},
    {"type": "ping", "later": 1},
    {"type": "message_stop", "later": 1},
    {"type": "later_event", "kind": "x", "extra": 1, "data": None},
    {"type": "later_event"},
]


@pytest.mark.parametrize("event", FOREIGN, ids=lambda event: event["type"])
def test_what_no_one_knows_is_encoded_as_it_came(event: Json) -> None:
    (first,) = SSEDecoder().feed(frame(event))
    (again,) = SSEDecoder().feed(encode_event(decode_event(first)))
    assert (again.name, json.loads(again.data)) == (event["type"], event)


def test_what_no_one_knows_is_in_the_folded_message() -> None:
    """Blocks, fields and deltas of a later version come through decode_event, Fold and encode."""
    later = {"type": "later_block", "x": {"type": "y"}, "kind": "z", "extra": [None]}
    filled = {"type": "later_block", "text": "a"}
    events = [
        start(later={"a": [1]}),
        *block(later, {"type": "later_delta", "x": 1}),
        *block(filled, text_delta("b"), index=1),
        *block(TEXT | {"later": True}, text_delta("a"), index=2),
        *end("later_reason", {"output_tokens": 8, "later_tokens": 3}, later_stop="x"),
    ]
    folded = json.loads(encode(fold(events).message()))
    assert folded["content"] == [later, filled | {"text": "ab"}, {"type": "text", "text": "a", "later": True}]
    assert (folded["later"], folded["later_stop"], folded["stop_reason"]) == ({"a": [1]}, "x", "later_reason")
    assert folded["usage"]["later_tokens"] == 3


def test_events_of_a_random_stream_are_encoded_as_they_came() -> None:
    rng = Random("encode")
    for _ in range(100):
        events = legal_stream(rng)
        decoded = [decode_event(event) for event in SSEDecoder().feed(frames(events))]
        again = SSEDecoder().feed(b"".join(map(encode_event, decoded)))
        assert [json.loads(event.data) for event in again] == [without_nulls(event) for event in events]


OPTIONAL = ("stop_details", "container", "skills")  # `null` and missing are the same


def without_nulls(event: Json) -> Json:
    """A message_delta always says `stop_details`; an optional null need not be said."""
    event = json.loads(json.dumps(event))
    if event["type"] == "message_delta":
        event["delta"].setdefault("stop_details", None)
        if container := event["delta"].get("container"):
            container.pop("skills")
    return event


# ---------------------------------------------------------------- against the official SDK


class Replay(httpx2.SyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


@pytest.fixture(scope="module")
def sdk() -> Iterator["Sdk"]:
    client = Sdk()
    yield client
    client.close()


class Sdk:
    """The official client, fed bytes instead of a network."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._http = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        self._client = Anthropic(api_key="key", base_url="http://sdk.test", http_client=self._http)

    def message(self, pieces: list[bytes]) -> Json:
        self._pieces = pieces
        asked = [{"role": "user", "content": "hi"}]
        with self._client.messages.stream(model="claude-opus-4-8", max_tokens=5, messages=asked) as stream:
            return stream.get_final_message().to_dict(mode="json", warnings=False)

    def close(self) -> None:
        self._client.close()

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=Replay(self._pieces))


def comparable(value: Any) -> Any:
    """Without nulls: `"citations": null` and no citations are the same to every reader."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return value


def without_parsed_nulls(value: Json) -> Json:
    """`input` is the model's own JSON, where null is a value."""
    inputs = [block.get("input") for block in value["content"]]
    return comparable(value) | {"inputs": inputs}


@pytest.mark.parametrize("batch", range(4))
def test_the_fold_is_what_the_official_sdk_makes_of_the_stream(sdk: Sdk, batch: int) -> None:
    """STR-54, on 200 legal streams with pings, in chunks cut anywhere."""
    rng = Random(f"sdk {batch}")
    for _ in range(50):
        events = legal_stream(rng)
        theirs = sdk.message(chunks(rng, frames(events)))
        assert without_parsed_nulls(message(events)) == without_parsed_nulls(theirs)


@pytest.mark.parametrize(
    "events",
    [
        [start(), *end(usage={"output_tokens": 8, "input_tokens": 40, "cache_read_input_tokens": 7})],
        [start(), *block(TEXT, text_delta("a"))],
        [start(), *block(CALL, json_delta("")), *end("tool_use")],
        [start(), *block(CALL | {"input": {"a": 1}}, json_delta("")), *end("tool_use")],
        [start(), *block(CALL, json_delta('{"a": 1, "b": [1, 2'))[:-1], *end("max_tokens")],
        [start(), *block(CALL, text_delta("x")), *end()],
        [start(), start(id="msg_2"), *block(TEXT, text_delta("a")), *end()],
        [start(container={"id": "c", "expires_at": "2026-11-20T00:00:00Z"}), *end()],
        [start(stop_details={"type": "refusal", "category": None, "explanation": "x"}), *end("refusal")],
        [start(), *end("refusal", stop_details={"type": "refusal", "category": "cyber", "explanation": "x"}), *end()],
        [start(content=[{"type": "text", "text": "kept "}]), *block(TEXT, text_delta("a"), index=0), *end()],
        [start(), {"type": "later_event"}, *block({"type": "later_block", "x": 1}), *end()],
    ],
    ids=lambda events: f"{len(events)} events",
)
def test_the_fold_is_what_the_official_sdk_makes_of_odd_streams(sdk: Sdk, events: list[Json]) -> None:
    assert without_parsed_nulls(message(events)) == without_parsed_nulls(sdk.message([frames(events)]))


# ---------------------------------------------------------------- cost


def test_a_long_stream_is_joined_once() -> None:
    """Linear: 200,000 deltas, and as many citations, keep their pieces until the message is asked for."""
    many = 200_000
    folded = Fold()
    for event in SSEDecoder().feed(frames([start(), block(TEXT)[0]])):
        folded.add(decode_event(event))
    (piece,) = [decode_event(event) for event in SSEDecoder().feed(frames(block(TEXT, text_delta("ab"))[1:2]))]
    citation = {"type": "citations_delta", "citation": {"cited_text": "x"}}
    (cited,) = [decode_event(event) for event in SSEDecoder().feed(frames(block(TEXT, citation)[1:2]))]
    for _ in range(many):
        folded.add(piece)
        folded.add(cited)
    (content,) = folded.message().content
    assert isinstance(content, Text)
    assert content.text == "ab" * many
    assert len(content.citations or ()) == many


def test_a_message_may_be_asked_for_again_and_again() -> None:
    """Asking changes nothing, and what was given does not change afterwards."""
    events = [start(), *block(CALL, json_delta('{"a": [1]}')), *block(TEXT, text_delta("a"), index=1), *end()]
    folded = Fold()
    seen: list[tuple[Message, Json]] = []
    for event in SSEDecoder().feed(frames(events)):
        folded.add(decode_event(event))
        current = folded.message()
        seen.append((current, json.loads(encode(current))))
        assert folded.message() == current
    assert all(json.loads(encode(message)) == then for message, then in seen)
    assert len({json.dumps(then) for _, then in seen}) > 3


def test_the_helpers_make_what_they_say() -> None:
    """The generator of streams is the ground of many tests: it makes every kind of block and both kinds of text."""
    rng = Random("helpers")
    kinds = {
        event["content_block"]["type"]
        for _ in range(100)
        for event in legal_stream(rng)
        if event["type"] == "content_block_start"
    }
    assert kinds >= {"text", "tool_use", "server_tool_use", "thinking", "redacted_thinking", "web_search_tool_result"}
    assert all(words(rng) for _ in range(50))
    assert len({len(json_object(rng)) for _ in range(50)}) > 2


# Many at a time.

LINE_ENDS = "a\n\nb\r\nc\u2028d\u0085\n"
DELTAS = (
    BlockDelta(index=0, delta=TextDelta(text=LINE_ENDS)),
    BlockDelta(index=1, delta=InputJsonDelta(partial_json='{"a": "\n\\n')),
    BlockDelta(index=1, delta=CitationsDelta(citation={"cited_text": LINE_ENDS, "\n": [None, {"type": "x"}]})),
    BlockDelta(index=2, delta=TextDelta(text="b", extra={"later": "\n"})),
    BlockDelta(index=2, delta=TextDelta(text=""), extra={"later": [1]}),
    BlockDelta(index=3, delta=Unknown(kind="new_delta", extra={"text": "\n"})),
    BlockStop(index=3),
    Ping(),
)


@pytest.mark.parametrize("seed", range(30))
def test_events_that_leave_together_are_those_that_leave_one_by_one(seed: int) -> None:
    """STR-2: byte for byte, what no one knows included."""
    rng = Random(seed)
    stream = [decode_event(event) for event in SSEDecoder().feed(frames(legal_stream(rng)))]
    events = [*stream, *rng.choices(DELTAS, k=rng.randint(0, 40))]
    assert encode_events(events) == b"".join(map(encode_event, events))


def test_no_events_are_no_bytes() -> None:
    assert encode_events([]) == b""
