"""Unpacks compressed replies, in bounded pieces. Pure: bytes in, bytes out."""

import zlib
from collections.abc import Iterator

from dragoman.http.base import ReplyBroken

__all__ = ["INFLATE_BYTES", "Inflate"]

INFLATE_BYTES = 256 * 1024  # the largest piece that a compressed piece is unpacked to at a time


class Inflate:
    """Unpacks gzip and deflate, in bounded pieces and as soon as the sender has flushed.

    httpx2's own decoder takes a compressed stream that is cut short for a whole one.
    """

    def __init__(self, encoding: str, host: str) -> None:
        self._encoding = encoding
        self._host = host
        self._zlib = _either_format()
        self._is_empty = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises ReplyBroken, also for encodings that are not known: we ask for none."""
        if self._encoding not in ("gzip", "x-gzip", "deflate"):
            raise ReplyBroken(self._host, "sent a content-encoding that nobody asked for")
        self._is_empty = False
        while True:
            if self._zlib.eof and data:  # gzip: one member may follow another
                self._zlib = _either_format()
            try:
                piece = self._zlib.decompress(data, INFLATE_BYTES)
            except zlib.error as exc:
                raise ReplyBroken(self._host, f"sent a body that is not {self._encoding}") from exc
            if piece:
                yield piece
            data = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
            if not data and len(piece) < INFLATE_BYTES:
                return

    def finish(self) -> None:
        if not self._is_empty and not self._zlib.eof:
            raise ReplyBroken(self._host, f"ended the reply in the middle of its {self._encoding} data")


def _either_format() -> "zlib._Decompress":
    return zlib.decompressobj(zlib.MAX_WBITS | 32)  # looks at the header: gzip or zlib, and "deflate" means the latter
