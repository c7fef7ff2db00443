"""Writes the ledger's rows into the log of a server: the lines that `logging` would write, at a tenth of its price.

A row a request is most of what is ever logged, and `logging` takes more time over it than the request's way through
the gateway does.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

__all__ = ["RowLog"]

# What a pipe takes in one piece, whoever else writes into it (PIPE_BUF of Linux): several workers have one log.
PIECE_BYTES = 4096


class RowLog:
    """Takes rows, and writes those of one turn of the loop together. `now` gives Unix seconds."""

    def __init__(
        self,
        out: TextIO,
        loop: asyncio.AbstractEventLoop,
        name: str = "dragoman.requests",
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._out = out
        self._loop = loop
        self._now = now
        self._label = f" INFO {name}: "
        self._lines: list[str] = []
        self._second = -1
        self._stamp = ""

    def __call__(self, row: str) -> None:
        now = self._now()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        if not self._lines:
            self._loop.call_soon(self.flush)
        self._lines.append(f"{self._stamp},{int((now - second) * 1000):03d}{self._label}{row}\n")

    def flush(self) -> None:
        """Write what has been taken. To be called at the end, too: then no turn of the loop follows."""
        lines, self._lines = self._lines, []
        text = "".join(lines)
        for piece in (text,) if len(text) <= PIECE_BYTES // 4 else _pieces(lines):
            self._out.write(piece)
            self._out.flush()


def _pieces(lines: Iterable[str]) -> Iterator[str]:
    """Whole lines, as many as a pipe takes in one piece; a longer one alone."""
    piece: list[str] = []
    size = 0
    for line in lines:
        length = len(line.encode(errors="replace"))
        if piece and size + length > PIECE_BYTES:
            yield "".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += length
    if piece:
        yield "".join(piece)
