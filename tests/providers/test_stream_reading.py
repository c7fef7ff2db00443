"""Pass-through of a stream: reading usual events at once hands out what reading line by line does, for any bytes.

What a caller gets depends on the stream alone, never on where the network cut it.
"""

import json
from itertools import count
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest
from streams import chunks, frames, legal_stream

from dragoman.errors import UpstreamFailed
from dragoman.providers.anthropic import Messages
from dragoman.wire.sse import SSEDecoder
from dragoman.wire.types import Usage

STREAMS = 1200
NEWLINES = ("\n",) * 6 + ("\r\n", "\r")


class Told(NamedTuple):
    """What a reader made of a stream."""

    out: bytes
    is_done: bool
    error: bytes | None
    usage: Usage | None
    has_content: bool
    has_failed: bool  # by `failure`, or raised


def told(pieces: list[bytes], *, quickly: bool = True) -> Told:
    """Feeds a reader until it is done or has failed; checks after each piece that no half event is out."""
    reader: Any = Messages().stream()
    if not quickly:
        reader._decoder.usual = lambda chunk: ([], 0)
    out = b""
    has_failed = False
    for piece in pieces:
        try:
            out += reader.feed(piece)
        except UpstreamFailed:
            has_failed = True
        has_failed = has_failed or reader.failure is not None
        assert is_whole(out), out[-80:]
        if has_failed or reader.is_done:
            break
    return Told(out, reader.is_done, reader.error, reader.usage, reader.has_content, has_failed)


def is_whole(out: bytes) -> bool:
    decoder = SSEDecoder()
    decoder.feed(out)
    return decoder.pending == 0


# ---------------------------------------------------------------- random streams


def written(name: str, data: bytes, newline: str = "\n") -> bytes:
    return f"event: {name}{newline}data: ".encode() + data + (newline * 2).encode()


def usual(rng: Random) -> bytes:
    """One event as the API writes it."""
    tokens = rng.randint(0, 99)
    return written(
        *rng.choice(
            (
                ("content_block_delta", b'{"type":"content_block_delta","index":0}'),
                ("content_block_delta", '{"a":"\u2028\u2029\x85 event: message_stop"}'.encode()),
                ("content_block_delta", b""),
                ("content_block_start", b"{}"),
                ("ping", b'{"type":"ping"}'),
                ("message_start", b'{"message":{"usage":{"input_tokens":%d,"output_tokens":1}}}' % tokens),
                ("message_delta", b'{"usage":{"output_tokens":%d}}' % tokens),
                ("message_delta", b'{"usage":{"output_tokens":"none"}}'),
                ("of_a_later_version", b"[]"),
            )
        ),
        newline=rng.choice(NEWLINES),
    )


def unusual(rng: Random) -> bytes:
    """Legal, but nothing that the API has sent so far."""
    tokens = rng.randint(0, 99)
    return rng.choice(
        (
            b": comment\n\n",
            b":\r\n\r\n",
            b"\n",
            b"\r",
            b"\r\n",
            b"id: 7\nretry: 10\n\n",
            b"event: ping\n: amid\ndata: {}\n\n",
            b"event: ping\nid: 7\ndata: {}\n\n",
            b"event: ping\ndata: {}\nretry: 1\n\n",
            b'event: message_delta\ndata: {"usage":\ndata: {"output_tokens":%d}}\n\n' % tokens,
            b'event:message_delta\ndata:{"usage":{"output_tokens":%d}}\n\n' % tokens,
            b'data: {"usage":{"output_tokens":%d}}\nevent: message_delta\n\n' % tokens,
            b"data: {}\n\n",
            b"data\n\n",
            b"event: message_stop\n\n",  # no data: no event
            b"event: message_stop\nevent: ping\ndata: {}\n\n",
            b"event: message_stop \ndata: {}\n\n",
            b"event: Message_Stop\ndata: {}\n\n",
            b"event: message_stop2\ndata: {}\n\n",
            b"event: \xff\ndata: {}\n\n",
            b"event: content_block_delta\ndata: {}\rjunk\n\n",
            b"event: content_block_delta\ndata: {\x00\x0b\x0c\x1c\xff}\n\n",
            b"event: \ndata: x\n\n",
        )
    )


ERROR = b'{"type":"error","error":{"type":"overloaded_error","message":"later"}}'
ENDS = (
    b"event: message_stop\ndata: {}\n\n",
    b"event: message_stop\r\ndata: {}\r\n\r\n",
    b"event: content_block_delta\ndata: {}\nevent: message_stop\n\n",  # hides behind a delta's data
    b"event: error\ndata: " + ERROR + b"\n\n",
    b'event: error\ndata: {"type":"error",\ndata: ' + ERROR[16:] + b"\n\n",
)
UNREADABLE = (
    b"event: message_delta\ndata: {broken\n\n",
    b'event: message_delta\ndata: {"usage":1,}\n\n',
    b"event: message_start\ndata: []\n\n",
    b"event: error\ndata: {}\n\n",
    b"event: error\ndata: \xff\n\n",
    b"event: message_delta\n: comment\ndata: {broken\n\n",
    b"event: error\r\ndata: {\r\n\r\n",
)


def random_stream(rng: Random, *, unreadable: bool) -> bytes:
    """Some events, an end or none, and something behind it; it may break off anywhere."""
    share = rng.choice((0, 0.1, 0.5))
    parts = [b"\xef\xbb\xbf"] * (rng.random() < 0.1)
    parts += [unusual(rng) if rng.random() < share else usual(rng) for _ in range(rng.randint(0, 12))]
    if unreadable:
        parts.append(rng.choice(UNREADABLE))
    if rng.random() < 0.7:
        parts.append(rng.choice(ENDS))
    parts += [usual(rng) for _ in range(rng.randint(0, 2))]
    stream = b"".join(parts)
    return stream[: rng.randint(0, len(stream))] if rng.random() < 0.2 else stream


def cuts(rng: Random, stream: bytes) -> list[list[bytes]]:
    """In one piece, in pieces as large as some events, in small ones, and between two line feeds."""
    blank = [at + 1 for at in range(len(stream)) if stream[at : at + 2] == b"\n\n"]
    places = sorted(rng.sample(blank, min(len(blank), 3)))
    between = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]
    return [[stream], chunks(rng, stream, most=200), chunks(rng, stream, most=5), between]


def expected(stream: bytes) -> Told:
    """By one reading of the whole stream, event by event; written apart from the reader."""
    decoder = SSEDecoder()
    events = decoder.feed(stream)
    usage: dict[str, Any] = {}
    has_content = False
    for event in events:
        if event.name in ("message_start", "message_delta", "error"):
            try:
                value = json.loads(event.data)
                given = value["message"]["usage"] if event.name == "message_start" else value.get("usage", {})
                usage.update(given)
                if event.name == "error":
                    assert value["error"]["type"]
            except (ValueError, KeyError, TypeError):
                return Told(stream[: event.start], False, None, usage_of(usage), has_content, True)
        has_content = has_content or event.name not in ("message_start", "ping")
        if event.name in ("message_stop", "error"):
            error = event.data if event.name == "error" else None
            return Told(stream[: event.end], True, error, usage_of(usage), has_content, False)
    return Told(stream[: decoder.boundary], False, None, usage_of(usage), has_content, False)


def usage_of(fields: dict[str, Any]) -> Usage | None:
    try:
        return msgspec.convert(fields, Usage)
    except msgspec.ValidationError:
        return None


def settled(found: Told) -> Told:
    """Without the line feed of a last CRLF: it may come when the reader is done, and is not waited for then."""
    return found._replace(out=found.out.removesuffix(b"\n")) if found.is_done else found


@pytest.mark.parametrize("batch", range(4))
def test_quick_and_slow_reading_hand_out_what_the_stream_holds(batch: int) -> None:
    """STR-4, STR-5, STR-12."""
    rng = Random(f"readable {batch}")
    ends = 0
    for _ in range(STREAMS // 4):
        stream = random_stream(rng, unreadable=False)
        wanted = settled(expected(stream))
        ends += wanted.is_done
        for pieces in cuts(rng, stream):
            assert settled(told(pieces)) == wanted, pieces
            assert settled(told(pieces, quickly=False)) == wanted, pieces
    assert STREAMS // 12 < ends < STREAMS // 4  # of both kinds


@pytest.mark.parametrize("quickly", [True, False], ids=["quickly", "slowly"])
def test_what_stands_before_an_unreadable_event_is_handed_out_however_it_is_cut(quickly: bool) -> None:
    """STR-42: whole events, then the failure; of an unreadable event and what follows it, nothing."""
    rng = Random("unreadable")
    for _ in range(STREAMS // 3):
        stream = random_stream(rng, unreadable=True)
        wanted = settled(expected(stream))
        for pieces in cuts(rng, stream):
            assert settled(told(pieces, quickly=quickly)) == wanted, pieces


DELTA = b"event: content_block_delta\ndata: {}\n\n"
START = b'event: message_start\ndata: {"message":{"usage":{"input_tokens":3,"output_tokens":1}}}\n\n'


def test_a_delta_is_not_lost_for_the_event_behind_it() -> None:
    """STR-42. The delta is usual, or was cut by the network; what follows it cannot be read."""
    for broken in UNREADABLE:
        for cut in (0, 9, len(DELTA) - 1):
            pieces = [piece for piece in (START, DELTA[:cut], DELTA[cut:] + broken) if piece]
            found = told(pieces)
            assert (found.out, found.has_failed, found.is_done) == (START + DELTA, True, False), pieces


def test_an_unreadable_event_is_no_content() -> None:
    """Nothing has committed the reply, so its failure is still a status, in however many pieces it came."""
    for broken in UNREADABLE:
        assert not told([START + broken]).has_content
        assert not told([START, broken]).has_content


@pytest.mark.parametrize("quickly", [True, False], ids=["quickly", "slowly"])
def test_nothing_is_read_behind_the_end_in_the_same_piece(quickly: bool) -> None:
    """STR-4: an event that could not be read, or tells other usage, does not matter any more."""
    more = b'event: message_delta\ndata: {"usage":{"output_tokens":99}}\n\n'
    for end in ENDS:
        for behind in (more, DELTA, *UNREADABLE, *ENDS, b"event: half"):
            found = told([START + DELTA + end + behind], quickly=quickly)
            assert found == told([START + DELTA, end], quickly=quickly)
            assert (found.out, found.is_done, found.has_failed) == (START + DELTA + end, True, False)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_streams_of_messages_are_read_alike(newline: str) -> None:
    """STR-13: their usage too."""
    rng = Random(f"alike {newline!r}")
    for _ in range(40):
        body = frames(legal_stream(rng), newline)
        for pieces in cuts(rng, body):
            assert told(pieces) == told(pieces, quickly=False)


# ---------------------------------------------------------------- work


class CountingDecoder(SSEDecoder):
    """Counts the bytes that are read line by line, and those that were offered to be read at once."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = self.offered = 0

    def feed(self, chunk: bytes) -> Any:
        self.slow += len(chunk)
        return super().feed(chunk)

    def usual(self, chunk: bytes) -> Any:
        self.offered += len(chunk)
        return super().usual(chunk)


HOSTILE = {
    "one event": (b"event: content_block_delta\ndata: " + b"x" * 5_000_000 + b"\n\n", 1024),
    "line feeds": (b"\n" * 500_000, 1024),
    "no line feed": (b"x" * 1_000_000, 1024),
    "carriage returns": (b"\r" * 500_000, 1024),
    "open names": (b"event: a\n" * 100_000, 1024),
    "open data": (b"event: content_block_delta\ndata: x\n" * 30_000, 1024),
    "deltas and comments": ((DELTA + b": c\n\n") * 20_000, 1024),
    "a comment a piece": ((DELTA + b": c\n\n") * 20_000, len(DELTA) + 5),
    "small pieces": (DELTA * 10_000, 7),
    "cut between line feeds": (DELTA * 10_000, len(DELTA) - 1),
}


@pytest.mark.parametrize(("stream", "step"), HOSTILE.values(), ids=HOSTILE.keys())
def test_each_byte_is_looked_at_twice_at_most(stream: bytes, step: int) -> None:
    """Once to see whether it is usual, and once line by line where it is not. Nothing is joined again and again."""
    reader: Any = Messages().stream()
    decoder = reader._decoder = CountingDecoder()
    out = 0
    for at in range(0, len(stream), step):
        out += len(reader.feed(stream[at : at + step]))
    assert out == decoder.boundary
    assert decoder.slow <= len(stream)
    assert decoder.offered <= len(stream)
    assert sum(map(len, reader._held)) == len(stream) - out


def test_pieces_of_an_open_event_are_joined_once() -> None:
    """Kept as they came until it ends: a copy at each would be a copy of gigabytes."""
    reader: Any = Messages().stream()
    for number in count(1):
        assert reader.feed(b"x" * 1000) == b""
        assert len(reader._held) == number
        if number == 2000:
            break
    assert len(reader.feed(b"\n\n")) == 2_000_002
    assert reader._held == []
