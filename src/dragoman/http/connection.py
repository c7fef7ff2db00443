"""One HTTP/1.1 client connection as a machine over bytes: no socket, no clock, no waiting.

    head = request_head(request)         # heads.py: the origin to connect to, and the bytes to write
    connection = Connection(head.name)   # one for each socket; kept with it
    connection.start(request.method)     # before each request is written
    connection.feed(data)                # all that the socket gives, in order; never raises
    connection.feed_eof()                # the other side ended in order (over TLS: with close_notify)
    connection.feed_lost()               # reset, or ended without saying so

    connection.status                    # 0 until the final head is there; then also `headers`
    connection.error                     # None, or what will be raised; a head before it may be there
    connection.was_continued             # a 100 came
    connection.received                  # bytes since `start`: 0 on a kept connection that dies means stale
    connection.take()                    # -> bytes: the body that has arrived, in one piece, unpacked
                                         #    b"": nothing yet, feed more; None: the body is whole, and was taken
                                         #    raises ReplyBroken, after the pieces before it were taken
    connection.take_whole()              # all of the body, if it is there; None: `take` it
    connection.buffered                  # bytes that were not taken: above a bound the driver stops reading
    connection.is_done                   # the message has come to its end, or to its error
    connection.is_drained                # whole, and all of it taken
    connection.is_reusable               # whole, and the next request may follow

The head is read by heads.py, strictly; a body with a length or without needs no parser; chunks go through llhttp, which
is strict about them, and three times as fast as any way to cut them in Python (httptools 0.9, llhttp 9:
tests/http/test_connection.py tells what it was tried with).
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import httptools

from dragoman.http.base import ReplyBroken, TransportError
from dragoman.http.heads import HeadBroken, ReplyHead, read_head

if TYPE_CHECKING:
    from dragoman.http.inflate import Inflate

__all__ = ["BODY_AHEAD_BYTES", "HEAD_LIMIT_BYTES", "Connection"]

HEAD_LIMIT_BYTES = 256 * 1024  # of all 1xx replies and the final head
BODY_AHEAD_BYTES = 256 * 1024  # a driver stops reading when so much was not taken
OVERHEAD_BYTES = 64 * 1024  # of chunk extensions and trailers, in advance of the body that pays for them
PAID_BYTES = 1024  # of them, by each piece of a body

_HEAD, _LENGTH, _CHUNKS, _TO_THE_END, _DONE = range(5)
_CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"  # what brings llhttp to the first chunk


class Connection:
    """See the module's text. `host` is for messages: "name" or "name:port"."""

    __slots__ = (
        "_chunks",
        "_head_bytes",
        "_inflate",
        "_is_head_request",
        "_keeps_alive",
        "_left",
        "_pieces",
        "_state",
        "_taken",
        "_unpacked",
        "_unread",
        "buffered",
        "error",
        "headers",
        "host",
        "received",
        "status",
        "was_continued",
    )

    def __init__(self, host: str) -> None:
        self.host = host
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.error: TransportError | None = None
        self.was_continued = False
        self.received = 0
        self.buffered = 0
        self._state = _DONE
        self._keeps_alive = True
        self._is_head_request = False
        self._head_bytes = 0  # of 1xx replies that were whole
        self._left = 0  # of a body with a length
        self._taken = 0  # bytes of the body, as sent
        self._pieces: list[bytes] = []  # of the body, not taken
        self._unread = bytearray()  # of a head that is not whole
        self._chunks: _Chunks | None = None  # made once, for the first reply that needs it
        self._inflate: Inflate | None = None
        self._unpacked: Iterator[bytes] | None = None

    def start(self, method: str) -> None:
        """A request is about to be written. Only on a new connection, or one that `is_reusable`."""
        assert self._state == _DONE
        assert self._keeps_alive
        self.status = 0
        self.was_continued = False
        self.received = self._taken = self._head_bytes = 0
        self._is_head_request = method == "HEAD"
        self._inflate = self._unpacked = None
        self._state = _HEAD

    @property
    def is_done(self) -> bool:
        return self._state == _DONE

    @property
    def is_reusable(self) -> bool:
        return self._state == _DONE and self._keeps_alive and self.error is None

    @property
    def is_flowing(self) -> bool:
        """More of the body is to come, and `take` is all that it needs: the head is there, and nothing to unpack."""
        return _HEAD < self._state < _DONE and self._inflate is None

    @property
    def is_drained(self) -> bool:
        """Whole, and all of it taken, so that the next `take` would return None."""
        return self._state == _DONE and not self._pieces and self.error is None and self._inflate is None

    # -- what comes --

    def feed(self, data: bytes) -> None:
        self.received += len(data)
        if self._state == _HEAD:
            self._feed_head(data)
        else:
            self._feed_body(data)

    def feed_eof(self) -> None:
        self._keeps_alive = False
        if self._state == _TO_THE_END:
            self._state = _DONE
        else:
            self.feed_lost()

    def feed_lost(self) -> None:
        self._keeps_alive = False
        if self._state == _HEAD:
            where = "in the middle of the reply's headers" if self.received else "before the reply began"
            self._break(f"closed the connection {where}")
        elif self._state != _DONE:
            self._break(f"broke off the reply after {self._taken + self.buffered} bytes of its body")

    # -- what is handed on --

    def take(self) -> bytes | None:
        """The module's text says what comes back. Raises ReplyBroken."""
        if self._inflate is not None:
            return self._take_unpacked(self._inflate)
        pieces = self._pieces
        if pieces:
            self._taken += self.buffered
            self.buffered = 0
            if len(pieces) == 1:
                return pieces.pop()
            piece = b"".join(pieces)
            pieces.clear()
            return piece
        if self.error is not None:
            raise self.error
        return None if self._state == _DONE else b""

    def take_whole(self) -> bytes | None:
        """The body, if all of it is there, plain and not taken in parts; None otherwise: then `take` tells more."""
        if self._state != _DONE or self._taken or self.error is not None or self._inflate is not None:
            return None
        pieces = self._pieces
        if not pieces:
            return b""
        self._taken = self.buffered
        self.buffered = 0
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def discard(self) -> bool:
        """Forget what was not taken; is the connection free for the next request by that?"""
        self._pieces.clear()
        self.buffered = 0
        return self.is_reusable

    def _take_unpacked(self, inflate: "Inflate") -> bytes | None:
        while True:
            for piece in self._unpacked or ():
                return piece
            packed = b"".join(self._pieces)
            if not packed:
                break
            self._pieces.clear()
            self._taken += self.buffered
            self.buffered = 0
            self._unpacked = inflate.feed(packed)
        if self.error is not None:
            raise self.error
        if self._state != _DONE:
            return b""
        inflate.finish()
        return None

    # -- the head --

    def _feed_head(self, data: bytes) -> None:
        at = 0
        if self._unread:
            seen = len(self._unread)
            self._unread += data
            if self._unread.find(b"\r\n\r\n", seen - 3 if seen > 3 else 0) < 0:
                self._look_at_unread(seen)
                return
            data = bytes(self._unread)
            self._unread.clear()
        while (end := data.find(b"\r\n\r\n", at)) >= 0:
            if self._head_bytes + end > HEAD_LIMIT_BYTES:
                break
            try:
                head = read_head(data[at:end])
            except HeadBroken as exc:
                self._break(f"sent what is not an HTTP reply: {exc}")
                return
            at = end + 4
            if head.status >= 200:
                self._enter(head, data[at:])
                return
            if head.status == 101:
                self._break("switched to a protocol that nobody asked for")
                return
            self.was_continued |= head.status == 100
        self._head_bytes += at
        self._unread += data[at:]
        self._look_at_unread(0)

    def _look_at_unread(self, seen: int) -> None:
        """A part of a head: refuse now what would be waited for in vain. The first `seen` bytes were looked at."""
        unread = self._unread
        if self._head_bytes + len(unread) > HEAD_LIMIT_BYTES:
            self._break("sent headers without end")
        elif not unread.startswith(b"HTTP/1."[: len(unread)]):
            self._break("sent what is not an HTTP reply: no status line of HTTP/1.1")
        elif unread.count(b"\n", seen) > unread.count(b"\r\n", seen - 1 if seen else 0):
            self._break("sent what is not an HTTP reply: a line that ends without CR")

    def _enter(self, head: ReplyHead, rest: bytes) -> None:
        """The final head is there, and `rest` behind it."""
        status = self.status = head.status
        self._keeps_alive = head.keeps_alive
        self.headers = head.headers
        if head.encoding:
            self._unpack(head.encoding)
        if status == 204 or status == 304 or self._is_head_request or head.length == 0:
            self._state = _DONE
        elif head.is_chunked:
            self._state = _CHUNKS
            if self._chunks is None:
                self._chunks = _Chunks()
            self._chunks.start()
        elif head.length is None:
            self._state = _TO_THE_END
            self._keeps_alive = False
        elif head.length == len(rest):  # the most frequent reply: all came in one read
            self._state = _DONE
            self._pieces.append(rest)
            self.buffered = head.length
            return
        else:
            self._state = _LENGTH
            self._left = head.length
        if rest:
            self._feed_body(rest)

    def _unpack(self, encoding: str) -> None:
        from dragoman.http.inflate import Inflate  # zlib is loaded only where it is needed

        self._inflate = Inflate(encoding, self.host)
        self.headers = [header for header in self.headers if header[0] not in ("content-encoding", "content-length")]

    # -- the body --

    def _feed_body(self, data: bytes) -> None:
        state = self._state
        if state == _CHUNKS:
            self._feed_chunks(data)
        elif state == _LENGTH:
            self._feed_length(data)
        elif state == _TO_THE_END:
            self._arrive(data)
        elif data:
            self._keeps_alive = False  # behind the reply: whose is it?

    def _feed_length(self, data: bytes) -> None:
        left = self._left - len(data)
        if left > 0:
            self._left = left
            self._arrive(data)
            return
        self._state = _DONE
        if left < 0:
            self._keeps_alive = False
            data = data[:left]
        self._arrive(data)

    def _feed_chunks(self, data: bytes) -> None:
        chunks = self._chunks
        assert chunks is not None
        piece, wrong = chunks.feed(data)
        if piece:
            self._pieces.append(piece)
            self.buffered += len(piece)
        if wrong:
            self._break(f"sent a body that is not HTTP: {wrong}")
        elif chunks.is_done:
            self._state = _DONE
            self._keeps_alive &= not chunks.has_more

    def _arrive(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self.buffered += len(data)

    def _break(self, what: str) -> None:
        self.error = ReplyBroken(self.host, what)
        self._state = _DONE
        self._keeps_alive = False
        self._unread.clear()


class _Chunks:
    """The chunked bodies of one connection, read by llhttp."""

    __slots__ = ("_append", "_parser", "_pieces", "_purse", "_tail", "has_more", "is_done")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._append = self._pieces.append
        self._parser = httptools.HttpResponseParser(self)
        self._purse = OVERHEAD_BYTES
        self._tail = b""
        self.is_done = self.has_more = False

    @property
    def on_body(self) -> "Callable[[bytes], None]":
        return self._append  # called by the parser without a step through Python: 60 chunks in 4 us

    def on_message_begin(self) -> None:
        if self.is_done:  # stops the parser: the body of another reply must not be added to this one's
            raise HeadBroken("a reply behind the reply")

    def on_message_complete(self) -> None:
        self.is_done = True

    def start(self) -> None:
        self.is_done = False
        self._purse = OVERHEAD_BYTES
        self._tail = b""
        try:
            self._parser.feed_data(_CHUNKED_HEAD)
        except httptools.HttpParserError:  # a trailer of the body before has said "connection: close" to it
            self._parser = httptools.HttpResponseParser(self)
            self._parser.feed_data(_CHUNKED_HEAD)

    def feed(self, data: bytes) -> tuple[bytes, str]:
        """What `data` holds of the body, and what is wrong with what came behind that, or ""."""
        pieces = self._pieces
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            if not self.is_done:
                body = b"".join(pieces)
                pieces.clear()
                return body, str(exc).lower()
            self.has_more = True  # what is broken came behind the body
        body = b"".join(pieces)
        self._purse += PAID_BYTES * len(pieces) + len(body) - len(data)
        pieces.clear()
        if self._purse > OVERHEAD_BYTES:
            self._purse = OVERHEAD_BYTES
        elif self._purse < 0:
            return body, "chunk extensions or trailers without end"
        self._look_at_end(data)
        return body, ""

    def _look_at_end(self, data: bytes) -> None:
        """llhttp passes over line ends behind a body; they are bytes that nobody asked for all the same."""
        tail = self._tail = data[-5:] if len(data) > 4 else (self._tail + data)[-5:]
        if self.is_done and not (tail.endswith(b"\r\n\r\n") and tail[:-4] not in (b"\r", b"\n")):
            self.has_more = True
