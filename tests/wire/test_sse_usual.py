"""`SSEDecoder.usual`: the quick reading of usual events tells what `feed` tells, and never reads too far."""

from itertools import groupby
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import chunks, frames, legal_stream

from dragoman.wire import sse
from dragoman.wire.sse import ServerEvent, SSEDecoder

REPEATABLE = settings(derandomize=True, database=None, deadline=None, max_examples=300)
DELTA = b'event: content_block_delta\ndata: {"index":0}\n\n'
PING = b"event: ping\ndata: {}\n\n"

# Usual events, nearly usual ones, and what pulls them apart.
PARTS = (
    DELTA, DELTA, DELTA * 3, PING, b"event: message_stop\ndata: {}\n\n", b"event: x\ndata: \n\n",
    b"event: a__b\ndata:  two\n\n", b"event: Big\ndata: 1\n\n", b"event: v2\ndata: 1\n\n", b"event: a-b\ndata: 1\n\n",
    b"event: content_block_delta2\ndata: 1\n\n", b"event: content_block_delt\ndata: 1\n\n", b"event:ping\ndata: 1\n\n",
    b"event: ping\ndata:1\n\n", b"event: ping \ndata: 1\n\n", b"event: \ndata: 1\n\n", b"data: 1\n\n",
    b"data: 1\nevent: late\n\n", b"event: none\n\n", b"event: a\ndata: 1\ndata: 2\n\n", b": comment\n\n",
    b"event: ping\n: c\ndata: 1\n\n", b"event: ping\nid: 7\ndata: 1\n\n", b"event: ping\ndata: 1\nretry: 1\n\n",
    b"event: content_block_delta\ndata: {}\nevent: message_stop\n\n", b"event: \xc3\xa9\ndata: 1\n\n",
    b"event: x\ndata: a\xe2\x80\xa8b\x0b\x85\x00\n\n", b"event: x\ndata: event: message_stop\n\n", PING[:-1], PING[:9],
    PING.replace(b"\n", b"\r\n"), PING.replace(b"\n", b"\r"), b"event: x\ndata: a\rb\n\n",
    b"\xef\xbb\xbf", b"\n", b"\r",
)  # fmt: skip
STREAM = st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join)


class Quick:
    """Reads as a stream's reader does: the usual events at once, the rest by `feed`."""

    def __init__(self) -> None:
        self.decoder = SSEDecoder()
        self.events: list[ServerEvent] = []
        self.read_at_once = 0

    def feed(self, chunk: bytes) -> None:
        size = 0
        if not self.decoder.pending:
            told, size = self.decoder.usual(chunk)
            assert 0 <= size <= len(chunk)
            assert self.decoder.pending == 0  # never into an event that has no end yet
            self.events += told
        self.read_at_once += size
        self.events += self.decoder.feed(chunk[size:])


def runs_joined(events: list[ServerEvent]) -> list[Any]:
    """The events, adjoining deltas as one without data: how many `usual` tells as one depends on the cuts."""
    joined: list[Any] = []
    for is_delta, group in groupby(events, key=lambda event: event.name == "content_block_delta"):
        if not is_delta:
            joined += group
            continue
        for event in group:
            if joined and joined[-1][0] == "deltas" and joined[-1][2] == event.start:
                joined[-1] = ("deltas", joined[-1][1], event.end)
            else:
                joined.append(("deltas", event.start, event.end))
    return joined


def plainly(stream: bytes) -> tuple[SSEDecoder, list[ServerEvent]]:
    decoder = SSEDecoder()
    return decoder, decoder.feed(stream)


@REPEATABLE
@given(STREAM, st.randoms(use_true_random=False))
def test_what_is_read_at_once_is_what_is_read_line_by_line(stream: bytes, rng: Random) -> None:
    """STR-2, STR-5: each event with its name, data and place, wherever the network cuts."""
    quick, decoder = Quick(), SSEDecoder()
    expected: list[ServerEvent] = []
    for piece in chunks(rng, stream, most=60):
        quick.feed(piece)
        expected += decoder.feed(piece)
        assert (quick.decoder.boundary, quick.decoder.pending) == (decoder.boundary, decoder.pending)
    assert runs_joined(quick.events) == runs_joined(expected)


@REPEATABLE
@given(STREAM, STREAM)
def test_a_decoder_that_has_read_at_once_goes_on_as_any_other(before: bytes, after: bytes) -> None:
    """What it remembers of line ends and of the first line must be up to date."""
    decoder = SSEDecoder()
    _, size = decoder.usual(before)
    told = decoder.feed(before[size:] + after)
    _, expected = plainly(before + after)
    assert told == [event for event in expected if event.start >= size]


@pytest.mark.parametrize("before", [PING, b"data: 1\r\n\r" + PING.replace(b"\n", b"\r")])
@pytest.mark.parametrize("after", [b"\xef\xbb\xbf" + PING, b"\n" + PING, b"\n", b"\r\n" + PING])
def test_what_only_the_first_line_may_have_is_past(before: bytes, after: bytes) -> None:
    """A mark of the byte order, and the second half of a line end that an earlier piece began."""
    decoder, slow = SSEDecoder(), SSEDecoder()
    assert decoder.feed(before) == slow.feed(before)
    assert decoder.usual(PING)[0] == slow.feed(PING)
    assert decoder.feed(after) == slow.feed(after)
    assert (decoder.boundary, decoder.pending) == (slow.boundary, slow.pending)
    if before == PING:
        quick = SSEDecoder()
        assert quick.usual(PING)[1] == len(PING)
        assert quick.feed(after) == SSEDecoder().feed(PING + after)[1:]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_streams_of_messages_are_read_at_once(newline: str) -> None:
    """All of it where the line ends are usual; nothing of it where they are not."""
    rng = Random(f"usual {newline!r}")
    for _ in range(60):
        body = frames(legal_stream(rng), newline)
        quick = Quick()
        quick.feed(body)
        assert quick.read_at_once == (len(body) if newline == "\n" else 0)
        assert runs_joined(quick.events) == runs_joined(plainly(body)[1])


@pytest.mark.parametrize(
    "unusual",
    [
        b"", b"\n", b": comment\n\n", b"data: 1\n\n", b"event: ping\n\n", b"event:ping\ndata: 1\n\n",
        b"event: ping\ndata:1\n\n", b"event: Ping\ndata: 1\n\n", b"event: v2\ndata: 1\n\n", b"event: \ndata: 1\n\n",
        b"event: ping\ndata: 1\ndata: 2\n\n", b"event: ping\ndata: 1\nid: 1\n\n", b"id: 1\nevent: ping\ndata: 1\n\n",
        b"event: content_block_delta\ndata: {}\nevent: message_stop\n\n", b"data: 1\nevent: ping\n\n",
        b"event: ping\r\ndata: 1\r\n\r\n", b"event: ping\ndata: a\rb\n\n", b"\xef\xbb\xbfevent: ping\ndata: 1\n\n",
        b"event: ping\ndata: 1\n", b"event: ping\ndata: 1", b"event: content_block_delta\ndata: 1\n", b"event: ping\n",
    ],
)  # fmt: skip
def test_what_is_not_usual_is_left_alone(unusual: bytes) -> None:
    decoder = SSEDecoder()
    assert decoder.usual(unusual) == ([], 0)
    told, size = SSEDecoder().usual(DELTA + PING + unusual) if b"\r" not in unusual else ([], 0)
    assert size in (0, len(DELTA + PING))
    assert [event.name for event in told] == ["content_block_delta", "ping"][: len(told)]
    after = b"\n\nevent: ping\ndata: {}\n\n"
    assert decoder.feed(unusual + after) == SSEDecoder().feed(unusual + after)  # and nothing is remembered of it


def test_a_run_of_deltas_is_told_as_one() -> None:
    told, size = SSEDecoder().usual(PING + DELTA * 3 + PING + DELTA)
    ends = [len(PING), len(PING + DELTA * 3), len(PING + DELTA * 3 + PING), size]
    assert [(event.name, event.end) for event in told] == [
        (name, end) for name, end in zip(["ping", "content_block_delta"] * 2, ends, strict=True)
    ]
    assert [event.start for event in told] == [0, *ends[:-1]]
    assert size == len(PING + DELTA * 3 + PING + DELTA)


class CountingRun:
    """Stands in for the regular expression, and notes where it is asked to begin and how far it gets."""

    def __init__(self) -> None:
        self.matches: list[tuple[int, int]] = []
        self._pattern = sse.RUN

    def match(self, chunk: bytes, at: int) -> Any:
        found = self._pattern.match(chunk, at)
        self.matches.append((at, at if found is None else found.end()))
        return found


@pytest.mark.parametrize("tail", [b"", b": comment\n\n" + DELTA, DELTA[:-1]])
def test_no_byte_is_read_at_once_twice(monkeypatch: pytest.MonkeyPatch, tail: bytes) -> None:
    run = CountingRun()
    monkeypatch.setattr(sse, "RUN", run)
    SSEDecoder().usual((DELTA * 10 + PING) * 1000 + tail)
    assert all(end == start for (_, end), (start, _) in zip(run.matches, run.matches[1:], strict=False))
    assert len(run.matches) <= 1002  # one for each run, and one that finds no more


# A regular expression that went back would need minutes for each of these, or hours.
HOSTILE = {
    "open deltas": b"event: content_block_delta\ndata: x\n" * 30_000,
    "deltas and an open one": DELTA * 20_000 + DELTA[:-1],
    "deltas and a name": DELTA * 20_000 + b"event: " + b"a" * 1_000_000,
    "a long name": b"event: " + b"a_" * 500_000 + b"\ndata: ",
    "a long line": b"event: content_block_delta\ndata: " + b"event: a\\ndata: " * 60_000,
    "two data lines": b"event: content_block_delta\ndata: " + b"x" * 1_000_000 + b"\ndata: x\n\n",
    "blank lines": b"\n" * 1_000_000,
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_expression_does_not_go_back(hostile: bytes) -> None:
    """In pieces such as the network's, each tried anew, and in one."""
    decoder = SSEDecoder()
    for at in range(0, len(hostile), 65_536):
        decoder.usual(hostile[at : at + 65_536])
    told, size = SSEDecoder().usual(hostile)
    assert size == (20_000 * len(DELTA) if hostile.startswith(DELTA) else 0)
    assert len(told) == (1 if size else 0)
