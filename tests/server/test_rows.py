"""The rows of the ledger in a server's log: each a whole line, at once, in the form in which `logging` writes."""

import asyncio
import io
import logging
import re

from dragoman.server.date import DateLine
from dragoman.server.rows import RowLog


class Out(io.StringIO):
    """Counts how often it is flushed."""

    flushed = 0

    def flush(self) -> None:
        self.flushed += 1


async def test_rows_of_one_turn_are_written_together_and_before_the_next() -> None:
    out = Out()
    rows = RowLog(out, asyncio.get_running_loop())
    for number in range(5):
        rows(f"request_id=req_{number}")
    await asyncio.sleep(0)
    assert out.flushed == 1
    assert [line.rpartition(" ")[2] for line in out.getvalue().splitlines()] == [
        f"request_id=req_{number}" for number in range(5)
    ]
    rows("request_id=req_5")
    await asyncio.sleep(0)
    assert out.getvalue().endswith("request_id=req_5\n")


async def test_several_processes_may_write_into_one_pipe() -> None:
    """A pipe takes 4096 bytes in one piece: so much at once, and whole lines; a longer one alone."""
    pieces: list[str] = []

    class Pipe(Out):
        def write(self, text: str) -> int:
            pieces.append(text)
            return super().write(text)

    rows = RowLog(Pipe(), asyncio.get_running_loop())
    given = ["short", *["request_id=" + "x" * 300] * 40, "\N{SNOWMAN}" * 1300, "long" * 2000, "end"]
    for row in given:
        rows(row)
    await asyncio.sleep(0)
    assert [line.partition("requests: ")[2] for line in "".join(pieces).splitlines()] == given
    assert all(piece.endswith("\n") for piece in pieces)
    assert all(len(piece.encode()) <= 4096 or piece.count("\n") == 1 for piece in pieces)
    assert len(pieces) < 10


async def test_what_is_left_at_the_end_is_written_by_flush() -> None:
    out = Out()
    rows = RowLog(out, asyncio.get_running_loop())
    rows("request_id=req_1")
    rows.flush()
    assert out.getvalue().count("\n") == 1
    await asyncio.sleep(0)  # the flush that was due finds nothing
    assert out.getvalue().count("\n") == 1


async def test_a_row_looks_like_a_line_of_logging() -> None:
    now = 1_795_000_000.0421
    out = Out()
    RowLog(out, asyncio.get_running_loop(), now=lambda: now)("request_id=req_1")
    await asyncio.sleep(0)
    record = logging.LogRecord("dragoman.requests", logging.INFO, "", 0, "request_id=req_1", (), None)
    record.created, record.msecs = now, now % 1 * 1000
    line = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s").format(record)
    assert out.getvalue() == line + "\n"


async def test_the_time_of_a_row_moves_on() -> None:
    times = [1_795_000_000.0, 1_795_000_000.999, 1_795_000_001.0]
    out = Out()
    rows = RowLog(out, asyncio.get_running_loop(), now=iter(times).__next__)
    for _ in times:
        rows("x")
    await asyncio.sleep(0)
    stamps = [re.match(r"\S+ \S+:(\d\d,\d{3}) ", line) for line in out.getvalue().splitlines()]
    seconds = [stamp[1] for stamp in stamps if stamp]
    assert seconds[0].endswith(",000")
    assert seconds[1] == seconds[0][:2] + ",999"
    assert seconds[2] != seconds[0]


def test_the_date_of_replies_is_of_this_second() -> None:
    """RFC 9110, section 6.6.1."""
    times = iter([784_111_777.0, 784_111_777.9, 784_111_778.0])
    date = DateLine(now=times.__next__)
    assert date.line() == date.line() == b"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    assert date.line() == b"date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"
