"""Server-sent events: bytes to events and back. Linear in the bytes, bounded, indifferent to where a chunk ends.

Source: WHATWG HTML, section 9.2, "Parsing an event stream"; spec STR-2, STR-5. Pure; imports nothing of this package.
"""

import re
from typing import NamedTuple

__all__ = ["DEFAULT_EVENT_LIMIT_BYTES", "EventTooLarge", "SSEDecoder", "ServerEvent", "encode_sse"]

# No other line ends: U+2028 inside JSON text is data, so never str.splitlines().
LINE_END = re.compile(rb"\r\n|\r|\n")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
RUN = re.compile(  # possessive: linear, whatever comes
    rb"((?:event: content_block_delta\ndata: .*+\n\n)*+)(?:event: ([a-z_]++)\ndata: (.*+)\n\n)?+"
)
# An event as it is nearly always written; the name first where there is one.
WHOLE = re.compile(rb"(?:event: ([a-z_.]++)\r?\n)?+data: ([^\r\n]*+)\r?\n\r?\n")
DEFAULT_EVENT_LIMIT_BYTES = 64 * 1024 * 1024  # one event may hold a whole tool result of a server tool


class EventTooLarge(ValueError):
    """An event, or what might become one, has more bytes than the limit."""


class ServerEvent(NamedTuple):
    name: str  # the `event:` field; where there was none "message", as the standard has it, unless told otherwise
    data: bytes  # the `data:` lines, joined by \n
    end: int  # bytes of the stream up to and with the blank line that ended this event
    start: int = 0  # and those before it


class SSEDecoder:
    """Turns body chunks, cut anywhere, into whole events.

    `boundary` is the number of bytes up to the end of the last blank line: what may be handed on without ever
    leaving a half-written event behind. Comments count as whole at the line's end followed by a blank one too.
    """

    def __init__(self, *, limit_bytes: int = DEFAULT_EVENT_LIMIT_BYTES, nameless: str = "message") -> None:
        """`nameless`: what an event without a name is told as."""
        self.boundary = 0
        self._limit = limit_bytes
        self._nameless = nameless
        self._seen = 0  # bytes fed so far
        self._line: list[bytes] = []  # pieces of the open line: joined once, never rescanned
        self._after_cr = False
        self._name = ""
        self._data: list[bytes] = []
        self._first_line = True

    @property
    def pending(self) -> int:
        """Bytes after the last boundary."""
        return self._seen - self.boundary

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """The events that this chunk completes. Raises EventTooLarge."""
        events: list[ServerEvent] = []
        if self.boundary == self._seen and not self._after_cr:
            taken = self._whole_events(chunk, events)
            if taken == len(chunk):
                return events
            chunk = chunk[taken:]
        start = 0
        if self._after_cr and chunk[:1] == b"\n":  # a CRLF that the network cut in two
            start = 1
            if not self._line and self.boundary == self._seen:
                self.boundary += 1
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        for ending in LINE_END.finditer(chunk, start):
            self._line.append(chunk[start : ending.start()])
            start = ending.end()
            line = b"".join(self._line)
            self._line.clear()
            if self._first_line:
                self._first_line = False
                line = line.removeprefix(BYTE_ORDER_MARK)
            if line:
                self._field(line)
                continue
            end = self._seen + start
            self._must_fit(end - self.boundary)
            before, self.boundary = self.boundary, end
            if self._data:
                events.append(ServerEvent(self._name or self._nameless, b"\n".join(self._data), end, before))
            self._name = ""
            self._data.clear()
        if start < len(chunk):
            self._line.append(chunk[start:])
        self._seen += len(chunk)
        self._must_fit(self.pending)
        return events

    def datas(self, chunk: bytes) -> list[bytes]:
        """The data of the events that this chunk completes, for streams whose names tell nothing. Raises EventTooLarge.

        Events without a name that come whole, as they nearly always do, are cut apart and no more.
        """
        if self.boundary == self._seen and chunk[:6] == b"data: " and chunk[-2:] == b"\n\n" and not self._after_cr:
            found = chunk[6:-2].split(b"\n\ndata: ")
            if chunk.count(b"\n") == 2 * len(found) and b"\r" not in chunk and len(chunk) <= self._limit:
                self._first_line = False
                self._seen += len(chunk)
                self.boundary = self._seen
                return found
        return [event.data for event in self.feed(chunk)]

    def _whole_events(self, chunk: bytes, events: list[ServerEvent]) -> int:
        """Take events at the front of a chunk that are written as usual, at a fifth of the price: how far they go."""
        at, before, nameless = 0, self._seen, self._nameless
        match = WHOLE.match  # never a search: that would try each place of a body that holds no event
        while (found := match(chunk, at)) is not None:
            end = found.end()
            self._must_fit(end - at)
            name, data = found.groups()
            events.append(ServerEvent(nameless if name is None else name.decode(), data, before + end, before + at))
            at = end
        if at:
            self._first_line = False
            self._seen += at
            self.boundary = self._seen
        return at

    def usual(self, chunk: bytes) -> tuple[list[ServerEvent], int]:
        """As `feed`, at a tenth of its price, for whole events as they are nearly always written: an `event:` line, a
        `data:` line, an empty one. Reads as far as they go, and returns how far; no further than an event's end.

        A run of deltas is told as one event without data, the last of them. Call it only while nothing is pending.
        """
        events: list[ServerEvent] = []
        if b"\r" in chunk:
            return events, 0
        at, before = 0, self._seen
        while at < len(chunk) and (found := RUN.match(chunk, at)) is not None and found.end() > at:
            if (deltas := found.end(1)) > at:
                events.append(ServerEvent("content_block_delta", b"", before + deltas, before + at))
            at = found.end()
            if found[2] is not None:
                events.append(ServerEvent(found[2].decode(), found[3], before + at, before + deltas))
        if at:
            self._first_line = self._after_cr = False
            self._seen += at
            self.boundary = self._seen
        return events, at

    def _must_fit(self, size: int) -> None:
        if size > self._limit:
            raise EventTooLarge(f"an event has more than {self._limit} bytes")

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")


def encode_sse(name: str, data: bytes) -> bytes:
    """One event (STR-2). `data` must be one line, as JSON encoded here always is."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
