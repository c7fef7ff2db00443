"""Reads a multipart/form-data body piece by piece: bytes in, parts out, no I/O. Source: RFC 7578, spec FIL-1.

The grammar is python-multipart's; here are its bounds, and its errors in the API's words.
"""

import logging
import re
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from dragoman.errors import InvalidRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

__all__ = ["MultipartReader", "Part", "PartEnd"]

MAX_PARTS = 16  # a form of ours has two
MAX_PART_HEADERS = 16
MAX_HEADER_BYTES = 8192
FORM = b"multipart/form-data"

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # its warnings are of callers, who are told


class Part(Struct, frozen=True):
    """A part begins."""

    name: str
    filename: str | None
    content_type: str | None


class PartEnd(Struct, frozen=True):
    """It ends."""


_WINDOWS_PATH = re.compile(rb'(?i);\s*filename\s*=\s*"?([a-z]:\\|\\\\)')
UNCODED = (b"binary", b"7bit", b"8bit")  # transfer encodings that change nothing


class MultipartReader:
    """One body. `feed` gives what became known: a Part, bytes of it, PartEnd. All raise InvalidRequest."""

    def __init__(self, content_type: str | None) -> None:
        self.is_complete = False
        self._ready: list[Part | bytes | PartEnd] = []
        self._parts = 0
        self._header = (bytearray(), bytearray())  # name and value of the one that is being read
        self._headers: dict[bytes, bytes] = {}
        callbacks = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._announce,
            "on_part_data": lambda data, start, end: self._ready.append(bytes(data[start:end])),
            "on_part_end": lambda: self._ready.append(PartEnd()),
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(
                _boundary(content_type),
                cast("MultipartCallbacks", callbacks),
                max_header_count=MAX_PART_HEADERS,
                max_header_size=MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise InvalidRequest(f"content-type: {error}") from error

    def feed(self, data: bytes) -> list[Part | bytes | PartEnd]:
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise InvalidRequest(f"The request body is not valid multipart/form-data: {error}") from error
        ready, self._ready = self._ready, []
        return ready

    def close(self) -> None:
        """The body is over. Raises InvalidRequest where it should have gone on."""
        if not self.is_complete:
            raise InvalidRequest("The request body is not valid multipart/form-data: it ends before its last boundary")

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidRequest(f"The request body has more than {MAX_PARTS} parts")
        self._headers = {}

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _announce(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        kind, options = parse_options_header(disposition.decode("latin-1"))
        if kind != b"form-data" or b"name" not in options:
            raise InvalidRequest("The request body has a part without a `content-disposition: form-data` with a name")
        encoding = self._headers.get(b"content-transfer-encoding", b"binary").strip().lower()
        if encoding not in UNCODED:
            shown = encoding[:100].decode("latin-1")
            raise InvalidRequest(f"content-transfer-encoding: {shown!r} is not supported. Send the part as it is.")
        content_type = self._headers.get(b"content-type")
        self._ready.append(
            Part(
                name=_text(options[b"name"]),
                filename=_drive(disposition) + _text(options[b"filename"]) if b"filename" in options else None,
                content_type=None if content_type is None else content_type.decode("latin-1"),
            )
        )

    def _end(self) -> None:
        self.is_complete = True


def _drive(disposition: bytes) -> str:
    """What the parser takes off a Windows path: the name is judged as it was sent (FIL-2)."""
    found = _WINDOWS_PATH.search(disposition)
    return found[1].decode("latin-1") if found else ""


def _boundary(content_type: str | None) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != FORM:
        given = "none was given" if content_type is None else f"not {content_type[:100]!r}"
        raise InvalidRequest(f"content-type: must be multipart/form-data; {given}")
    boundary = options.get(b"boundary")
    if not boundary:
        raise InvalidRequest("content-type: multipart/form-data needs a boundary")
    return boundary


def _text(value: bytes) -> str:
    """Names are UTF-8 (RFC 7578, section 5.1)."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The request body has a part whose name or filename is not UTF-8") from None
