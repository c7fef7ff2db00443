"""AWS's binary event streams: frames of headers and a payload, each with two checksums. Pure.

Source: AWS, "Event stream encoding" (Amazon Transcribe developer guide, Smithy specification "Event Stream"), read
2026-11-21. A frame: total length, length of its headers, checksum of these two; headers; payload; checksum of it all.
"""

from binascii import crc32
from collections.abc import Iterator, Mapping
from struct import Struct
from typing import NamedTuple

__all__ = ["EventStreamDecoder", "Frame", "FrameBroken", "encode_frame"]

PRELUDE = Struct(">III")  # lengths of the frame and of its headers, checksum of these eight bytes
CHECKSUM = Struct(">I")
OVERHEAD = PRELUDE.size + CHECKSUM.size
LONGEST = 24 * 1024 * 1024  # bytes of a frame: AWS's own limit is 16 MiB and its headers
TEXT = 7  # the type of a header that is text
# Sizes of the values of other header types: true, false, byte, short, integer, long; bytes and text tell theirs; then
# timestamp and UUID.
SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
COUNTED = (6, TEXT)


class FrameBroken(ValueError):
    """Bytes that are no event stream."""


class Frame(NamedTuple):
    """One message. `headers` holds those that are text: `:message-type`, `:event-type`, `:exception-type` ..."""

    headers: Mapping[str, str]
    payload: bytes


class EventStreamDecoder:
    """Bytes, cut anywhere -> whole frames."""

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._held)

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """The frames that are whole now, to be taken to the end. Raises FrameBroken behind those that are sound."""
        self._held += chunk
        while (frame := self._first()) is not None:
            yield frame

    def _first(self) -> Frame | None:
        """The first frame of what is held, taken out of it if it is whole and sound."""
        held = self._held
        if len(held) < PRELUDE.size:
            return None
        total, headers, checksum = PRELUDE.unpack_from(held)
        if crc32(held[:8]) != checksum:
            raise FrameBroken("a frame's prelude has a wrong checksum")
        if not OVERHEAD + headers <= total <= LONGEST:
            raise FrameBroken("a frame has an impossible length")
        if len(held) < total:
            return None
        frame = _frame(bytes(held[:total]), headers)
        del held[:total]
        return frame


def _frame(data: bytes, headers_size: int) -> Frame:
    if crc32(data[: -CHECKSUM.size]) != CHECKSUM.unpack_from(data, len(data) - CHECKSUM.size)[0]:
        raise FrameBroken("a frame has a wrong checksum")
    end = PRELUDE.size + headers_size
    return Frame(_headers(data[PRELUDE.size : end]), data[end : -CHECKSUM.size])


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(data):
            size = data[at]
            name, kind = data[at + 1 : at + 1 + size].decode(), data[at + 1 + size]
            at += 2 + size
            length = SIZES[kind] if kind not in COUNTED else int.from_bytes(data[at : at + 2])
            at += 2 * (kind in COUNTED)
            if at + length > len(data):
                raise FrameBroken("a frame's headers run over their end")
            if kind == TEXT:
                found[name] = data[at : at + length].decode()
            at += length
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise FrameBroken("a frame's headers cannot be read") from error
    return found


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """The other way: what a server sends, for those who play one."""
    packed = b"".join(
        bytes([len(name.encode())]) + name.encode() + bytes([TEXT]) + len(value.encode()).to_bytes(2) + value.encode()
        for name, value in headers.items()
    )
    lengths = (OVERHEAD + len(packed) + len(payload)).to_bytes(4) + len(packed).to_bytes(4)
    data = lengths + CHECKSUM.pack(crc32(lengths)) + packed + payload
    return data + CHECKSUM.pack(crc32(data))
