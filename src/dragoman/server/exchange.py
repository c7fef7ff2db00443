"""One request and its reply on a connection: ASGI's `receive` and `send`, and what ASGI has no word for.

ASGI 3 with one extension, `scope["extensions"]["dragoman"]`: the `Exchange` itself. An application may do without.
"""

import asyncio
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Protocol

from dragoman.wire.headers import Headers

from .date import DateLine

__all__ = ["EXTENSION", "HIGH_WATER_BYTES", "Exchange", "Line", "response_head"]

EXTENSION = "dragoman"
HIGH_WATER_BYTES = 256 * 1024  # of a body that nobody takes: then no more is read
JOINED_BYTES = 64 * 1024  # what is longer is written beside its frame, not copied into it

_STATUS_LINES = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}
_NO_BODY = frozenset({204, 304})
CLOSE = ("connection", "close")
_date = DateLine()


class Line(Protocol):
    """What an exchange needs of its connection."""

    can_write: bool  # the client takes what is written

    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...
    def resume_reading(self) -> None: ...
    def end(self, exchange: "Exchange") -> None: ...
    def close(self) -> None: ...


class Exchange:
    """One request and its reply.

    `on_hang_up` is called once, when the client goes before the reply is complete.
    """

    __slots__ = (
        "_body", "_can_chunk", "_head", "_is_chunked", "_is_told", "_left", "_line", "_waiter", "has_begun", "headers",
        "is_answered", "is_gone", "is_head", "is_whole", "keeps", "loop", "on_hang_up", "scope", "size", "task",
        "wants_leave",
    )  # fmt: skip

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop, scope: dict[str, Any], *, keeps: bool) -> None:
        self.scope = scope
        self.headers: Headers | None = None  # those of the scope, where they have been read before
        self.is_head = scope["method"] == "HEAD"
        self.keeps = keeps  # the connection, behind the reply
        self.wants_leave = False  # to send its body: it sent `expect: 100-continue`
        self.size = 0  # bytes of the body that came and were not taken
        self.is_whole = False  # the whole request is there
        self.has_begun = False  # the reply has
        self.is_answered = False  # all of it is written
        self.is_gone = False
        self.on_hang_up: Callable[[], None] | None = None
        self.loop = loop
        self.task: asyncio.Task[None] | None = None  # of the application
        self._line = line
        self._can_chunk = scope["http_version"] != "1.0"
        self._body: list[bytes] = []
        self._is_told = False  # the application has had the whole body
        self._waiter: asyncio.Future[None] | None = None
        self._head: bytes | None = None  # of the reply: waits for the first piece of its body, to leave with it
        self._is_chunked = False
        self._left = 0  # bytes that the reply's content-length still promises

    # -- the request --

    def feed(self, piece: bytes) -> None:
        self._body.append(piece)
        self.size += len(piece)
        self._wake()

    def finish(self) -> None:
        self.is_whole = True
        self._wake()

    def hang_up(self) -> None:
        """The client is gone."""
        if self.is_gone or self.is_answered:
            return
        self.is_gone = True
        self._wake()
        if self.on_hang_up is not None:
            self.on_hang_up()

    def whole_body(self) -> bytes | None:
        """The body, if all of it is there and none was taken: then there is nothing to `receive`."""
        if not self.is_whole or self._is_told or self.is_gone:
            return None
        return self._take()

    async def receive(self) -> dict[str, Any]:
        if self.wants_leave and not self.has_begun and not self.is_gone:
            self.wants_leave = False
            self._line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self.is_gone or self.is_answered or self._body or (self.is_whole and not self._is_told)):
            self._waiter = self.loop.create_future()
            await self._waiter
        if self.is_gone or self.is_answered:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self._take(), "more_body": not self.is_whole}

    def _take(self) -> bytes:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self.size = 0
        self._is_told = self.is_whole
        self._line.resume_reading()
        return body

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- the reply --

    @property
    def _waits_for_leave(self) -> bool:
        """The client may send its body or not: what would come next on the connection cannot be told."""
        return self.wants_leave and not self.is_whole

    async def send(self, message: dict[str, Any]) -> None:
        if not self._line.can_write and not self.is_gone:
            await self._line.drain()
        if self.is_gone:
            return
        if message["type"] == "http.response.start":
            self._begin(message["status"], message.get("headers", ()))
        elif self.is_answered or not self.has_begun:
            raise RuntimeError("a piece of a body outside a reply")
        else:
            self._go_on(message.get("body", b""), has_more=message.get("more_body", False))

    def pass_on(self, piece: bytes) -> bool:
        """One more piece of a reply that has begun, as `send` would, but at once. False where that would have to wait,
        or the client is gone: then nothing was done."""
        if self.is_gone or not self._line.can_write:
            return False
        self._go_on(piece, has_more=True)
        return True

    async def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """A whole reply at once, as `send` would in two steps; `content-length` is added."""
        if not self._line.can_write and not self.is_gone:
            await self._line.drain()
        if self.is_gone:
            return
        if self.has_begun:
            raise RuntimeError("the reply has begun")
        self.has_begun = True
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1", "replace")
        ours = b"" if status in _NO_BODY else b"content-length: %d\r\n" % len(body)
        says_close = CLOSE in headers
        if says_close or self._waits_for_leave:
            self.keeps = False
        if not self.keeps and not says_close:
            ours += b"connection: close\r\n"
        self._head = _head(status, lines + ours, len(headers) + ours.count(b"\n"))
        self._flush(b"" if self.is_head or status in _NO_BODY else body)
        self.is_answered = True
        self._wake()
        self._line.end(self)

    def cut(self) -> None:
        """End the connection in the middle of the reply, once what was written is out: no last chunk, no more bytes.

        A caller cannot tell it from a lost connection.
        """
        self._flush()
        self.is_gone = True
        self._line.close()

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        if self.has_begun:
            raise RuntimeError("the reply has begun")
        self.has_begun = True
        length: bytes | None = None
        says_close = False
        fields = list(headers)
        for name, value in fields:
            if name == b"content-length":
                length = value
            elif name == b"connection":
                says_close = value.lower() == b"close"
        if length is not None:
            self._left = 0 if self.is_head else int(length)
        elif not self.is_head and status not in _NO_BODY:
            self._is_chunked = self._can_chunk
            self._left = -1
            if self._can_chunk:
                fields.append((b"transfer-encoding", b"chunked"))
            self.loop.call_soon(self._flush)  # a stream's first event may be some way off
        if says_close or self._waits_for_leave:
            self.keeps = False
        if not self.keeps and not says_close:
            fields.append((b"connection", b"close"))
        self._head = response_head(status, fields)

    def _go_on(self, body: bytes, *, has_more: bool) -> None:
        if self.is_head:
            body = b""
        elif self._is_chunked:
            body = _chunk(body, is_last=not has_more)
        elif self._left >= 0:
            if len(body) > self._left or (not has_more and len(body) < self._left):
                raise RuntimeError("the reply's body is not as long as its content-length says")
            self._left -= len(body)
        self._flush(body)
        if not has_more:
            self.is_answered = True
            self._wake()
            self._line.end(self)

    def _flush(self, body: bytes = b"") -> None:
        """Write the head, if it is still here, and what follows it: in one piece, so that it leaves in one packet."""
        head, self._head = self._head, None
        if head is not None and len(body) < JOINED_BYTES:
            body = head + body
        elif head is not None:
            self._line.write(head)
        if body and not self.is_gone:
            self._line.write(body)


def response_head(status: int, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Raises ValueError for a field that holds a line end: it would be more than one."""
    lines = [b"%b: %b\r\n" % field for field in fields]
    return _head(status, b"".join(lines), len(lines))


def _head(status: int, lines: bytes, count: int) -> bytes:
    if lines.count(b"\n") != count or lines.count(b"\r") != count:
        raise ValueError("a header of the reply holds a line end")
    return b"%b%b%b\r\n" % (_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status, lines, _date.line())


def _chunk(piece: bytes, *, is_last: bool) -> bytes:
    if not piece:
        return b"0\r\n\r\n" if is_last else b""
    return b"%x\r\n%b\r\n%b" % (len(piece), piece, b"0\r\n\r\n" if is_last else b"")
