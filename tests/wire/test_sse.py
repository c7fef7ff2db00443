"""Server-sent events: WHATWG HTML, section 9.2, "Parsing an event stream" and "Interpreting an event stream"."""

import json
from itertools import combinations, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import chunks, frames, legal_stream

from dragoman.wire import sse
from dragoman.wire.sse import EventTooLarge, ServerEvent, SSEDecoder, encode_sse

Decoded = list[tuple[str, bytes]]

REPEATABLE = settings(derandomize=True, database=None, deadline=None, max_examples=300)
PARTS = (b"\r", b"\n", b"\r\n", b"\n\n", b":", b" ", b"data", b"data: x", b"event", b"event: e", b"id: 7", b"retry: 1",
         b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xff", b"\x00", b"datax", b"y")  # fmt: skip


def reference(stream: bytes) -> Decoded:
    """The standard's algorithm over the whole stream at once, written apart from the decoder."""
    lines = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    events: Decoded = []
    name, data = "", b""
    for line in lines[:-1]:  # what stands behind the last line end is no line yet
        if not line:
            if data:
                events.append((name or "message", data[:-1]))
            name, data = "", b""
        elif line[:1] != b":":
            field, _, value = line.partition(b":")
            value = value[1:] if value[:1] == b" " else value
            if field == b"data":
                data += value + b"\n"
            elif field == b"event":
                name = value.decode(errors="replace")
    return events


def decode(*pieces: bytes) -> Decoded:
    decoder = SSEDecoder()
    return [(event.name, event.data) for piece in pieces for event in decoder.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"event: ping\ndata: {}\n\n", [("ping", b"{}")]),
        (b"event: ping\r\ndata: {}\r\n\r\n", [("ping", b"{}")]),
        (b"event: ping\rdata: {}\r\r", [("ping", b"{}")]),
        (b"event: ping\rdata: {}\n\r\n", [("ping", b"{}")]),
        (b"event:ping\ndata:{}\n\n", [("ping", b"{}")]),
        (b"data:  two spaces: one goes\n\n", [("message", b" two spaces: one goes")]),
        (b"data: no end", []),
        (b"data: no blank line\n", []),
        (b"data: a\ndata: b\ndata:\n\n", [("message", b"a\nb\n")]),
        (b"data\n\ndata\ndata\n\ndata:", [("message", b""), ("message", b"\n")]),  # an example of the standard
        (b"event: x\n\ndata: y\n\n", [("message", b"y")]),  # no data is no event, and the name is forgotten
        (b"event: x\nevent: y\ndata: 1\n\n", [("y", b"1")]),
        (b"event: x\nevent\ndata: 1\n\n", [("message", b"1")]),
        (b": comment\n\n:\n: data: x\n\n", []),
        (b": comment\ndata: 1\n: comment\n\n", [("message", b"1")]),
        (b"id: 1\nretry: 10\nunknown: x\n data: no field\ndata : no field\nDATA: no\n\n", []),
        (b"data: 1\nid: 1\nretry: soon\n\n", [("message", b"1")]),
        (b"\xef\xbb\xbfdata: bom\n\n", [("message", b"bom")]),
        (b"data: 1\n\n\xef\xbb\xbfdata: no bom here\n\n", [("message", b"1")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: one bom only\n\n", []),
        ("data: a\u2028b\u2029c\x85d\x0be\n\n".encode(), [("message", "a\u2028b\u2029c\x85d\x0be".encode())]),
        (b"data: \xff\n\n", [("message", b"\xff")]),
        (b"event: \xff\ndata: 1\n\n", [("\ufffd", b"1")]),
        (b"\n\n\r\r\r\n\r\n", []),
        (b"", []),
    ],
)
def test_a_stream_is_read_as_the_standard_says(stream: bytes, events: Decoded) -> None:
    """STR-2, STR-5."""
    assert decode(stream) == events
    assert reference(stream) == events  # the tests below lean on it


STREAMS = {
    "lf": b"event: a\ndata: 1\n\n: hi\n\ndata: 2\ndata: 3\n\nevent: b\n\nevent: c\ndata: {}\n\n",
    "crlf": b"event: a\r\ndata: 1\r\n\r\n: hi\r\n\r\ndata: 2\r\ndata: 3\r\n\r\nevent: b\r\n\r\ndata: {}\r\n\r\n",
    "cr": b"event: a\rdata: 1\r\r: hi\r\rdata: 2\rdata: 3\r\revent: b\r\rdata: {}\r\r",
    "mixed": b"\xef\xbb\xbfevent: a\rdata: 1\n\r\n\r\r\ndata: 2\r\ndata: 3\n\n\r\n\rdata: 4\r\n\n",
    "utf-8": "event: ü\ndata: 日本\u2028😀\n\ndata: \u2028\n\n".encode(),
    "unended": b"data: 1\n\nevent: b\ndata: 2\n",
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_chunks_may_end_at_any_two_bytes(stream: bytes) -> None:
    """WHATWG SSE: where the network cuts means nothing."""
    expected = reference(stream)
    assert expected
    for first, second in combinations(range(len(stream) + 1), 2):
        pieces = (stream[:first], stream[first:second], stream[second:])
        assert decode(*pieces) == expected, pieces


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_may_come_byte_by_byte_and_with_empty_chunks(stream: bytes) -> None:
    pieces = [piece for at in range(len(stream)) for piece in (b"", stream[at : at + 1], b"")]
    assert decode(*pieces) == reference(stream)


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_what_lies_before_the_boundary_is_whole_and_what_lies_behind_holds_no_event(stream: bytes) -> None:
    for cut in range(len(stream) + 1):
        for earlier in range(cut + 1):
            decoder = SSEDecoder()
            events = [*decoder.feed(stream[:earlier]), *decoder.feed(stream[earlier:cut])]
            seen = [(event.name, event.data) for event in events]
            assert reference(stream[: decoder.boundary]) == seen
            assert reference(b"\n" + stream[decoder.boundary : cut]) == []
            assert decoder.pending == cut - decoder.boundary
            # Whatever follows a boundary is understood: another event may always be put there.
            more = reference(stream[: decoder.boundary] + b"event: error\ndata: {}\n\n")
            assert more == [*seen, ("error", b"{}")]


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_each_event_says_where_it_ends(stream: bytes) -> None:
    for cut in range(len(stream) + 1):
        decoder = SSEDecoder()
        events = [*decoder.feed(stream[:cut]), *decoder.feed(stream[cut:])]
        ends = [0, *(event.end for event in events)]
        for event, (before, end) in zip(events, pairwise(ends), strict=True):
            own = stream[before:end] if before == 0 else b"\n" + stream[before:end]
            assert reference(own) == [(event.name, event.data)]


def test_a_keep_alive_comment_and_its_blank_line_are_whole() -> None:
    """STR-5: a comment need not wait for the next event."""
    decoder = SSEDecoder()
    assert decoder.feed(b"data: 1\n\n: keep-alive\n\n: half") == [ServerEvent("message", b"1", 9)]
    assert decoder.boundary == len(b"data: 1\n\n: keep-alive\n\n")


def test_a_line_feed_that_comes_late_belongs_to_its_carriage_return() -> None:
    decoder = SSEDecoder()
    assert len(decoder.feed(b"data: 1\r\n\r")) == 1
    assert (decoder.boundary, decoder.pending) == (len(b"data: 1\r\n\r"), 0)
    assert decoder.feed(b"\n") == []
    assert (decoder.boundary, decoder.pending) == (len(b"data: 1\r\n\r\n"), 0)
    assert decoder.feed(b"\n") == []
    assert decoder.pending == 0


@REPEATABLE
@given(st.lists(st.sampled_from(PARTS), max_size=40).map(b"".join), st.randoms(use_true_random=False))
def test_any_bytes_cut_anywhere_are_read_as_the_standard_says(stream: bytes, rng: Random) -> None:
    assert decode(*chunks(rng, stream, most=7)) == decode(stream) == reference(stream)


NAMELESS = (*PARTS, b"data: x\n\n", b"data: \n\n", b"data: y\n\ndata: z\n\n")


@REPEATABLE
@given(st.lists(st.sampled_from(NAMELESS), max_size=12).map(b"".join), st.randoms(use_true_random=False))
def test_data_alone_is_what_events_hold(stream: bytes, rng: Random) -> None:
    """The shorter way, and where it leaves the decoder."""
    pieces = list(chunks(rng, stream, most=20))
    decoder, other = SSEDecoder(), SSEDecoder()
    for piece in pieces:
        ways = (decoder.feed, other.feed) if rng.random() < 0.3 else (decoder.feed, None)
        expected = [event.data for event in ways[0](piece)]
        assert (other.datas(piece) if ways[1] is None else [event.data for event in ways[1](piece)]) == expected
        assert (other.boundary, other.pending) == (decoder.boundary, decoder.pending)


@REPEATABLE
@given(st.lists(st.sampled_from(PARTS), max_size=30).map(b"".join), st.data())
def test_the_boundary_is_right_for_any_bytes(stream: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(stream)))
    decoder = SSEDecoder()
    seen = [(event.name, event.data) for event in decoder.feed(stream[:cut])]
    assert reference(stream[: decoder.boundary]) == seen
    seen += [(event.name, event.data) for event in decoder.feed(stream[cut:])]
    assert reference(stream[: decoder.boundary]) == seen == reference(stream)
    assert decoder.pending == len(stream) - decoder.boundary


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_messages_streams_come_through_any_chunking(newline: str) -> None:
    rng = Random(f"chunking {newline!r}")
    for _ in range(60):
        events = legal_stream(rng)
        decoded = decode(*chunks(rng, frames(events, newline)))
        assert [name for name, _ in decoded] == [event["type"] for event in events]
        assert [json.loads(data) for _, data in decoded] == events


@REPEATABLE
@given(
    st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1),
    st.binary().map(lambda data: data.replace(b"\r", b"").replace(b"\n", b"")),
)
def test_what_is_encoded_is_decoded(name: str, data: bytes) -> None:
    assert decode(encode_sse(name, data) + encode_sse("x", b"1")) == [(name, data), ("x", b"1")]


def test_an_encoded_event_is_two_lines_and_a_blank_one() -> None:
    """STR-2."""
    assert encode_sse("ping", b'{"type":"ping"}') == b'event: ping\ndata: {"type":"ping"}\n\n'


LIMIT = 20
JUST_FITS = b"data: 0123456789ab\n\n"


@pytest.mark.parametrize("cut", range(LIMIT + 1))
def test_an_event_of_just_the_limit_passes(cut: int) -> None:
    assert len(JUST_FITS) == LIMIT
    decoder = SSEDecoder(limit_bytes=LIMIT)
    for _ in range(50):  # the limit is for one event, not for the stream
        assert len([*decoder.feed(JUST_FITS[:cut]), *decoder.feed(JUST_FITS[cut:])]) == 1


@pytest.mark.parametrize(
    "event",
    [
        b"data: 0123456789abc\n\n",
        b"data: 01234\ndata: 56\n\n",
        b": 01234567890123456\n\n",
        b"x" * (LIMIT + 1),
        b": a\n" * 6,
    ],
)
def test_an_event_over_the_limit_is_refused_however_it_is_cut(event: bytes) -> None:
    assert len(event) > LIMIT
    for cut in range(len(event) + 1):
        decoder = SSEDecoder(limit_bytes=LIMIT)
        with pytest.raises(EventTooLarge, match="more than 20 bytes"):
            [decoder.feed(piece) for piece in (JUST_FITS + event[:cut], event[cut:], b"")]


class CountingLineEnd:
    """Stands in for the regular expression and counts the bytes that it looks through."""

    def __init__(self) -> None:
        self.scanned = 0
        self._pattern = sse.LINE_END

    def finditer(self, chunk: bytes, start: int = 0) -> object:
        self.scanned += len(chunk) - start
        return self._pattern.finditer(chunk, start)


@pytest.mark.parametrize(("size", "step"), [(20_000_000, 1024), (200_000, 1)])
def test_each_byte_of_a_large_event_is_looked_at_once(monkeypatch: pytest.MonkeyPatch, size: int, step: int) -> None:
    line_end = CountingLineEnd()
    monkeypatch.setattr(sse, "LINE_END", line_end)
    decoder = SSEDecoder()
    body = b"event: large\ndata: " + b"x" * size + b"\n\n"
    events = [event for at in range(0, len(body), step) for event in decoder.feed(body[at : at + step])]
    assert [(event.name, len(event.data), event.end) for event in events] == [("large", size, len(body))]
    assert line_end.scanned == len(body)


def test_many_data_lines_are_joined_once() -> None:
    lines = 200_000
    (event,) = SSEDecoder().feed(b"data: x\n" * lines + b"\n")
    assert event.data == b"\n".join([b"x"] * lines)
