"""PDF files of a request: the text of each page, read by PDFium in a process of its own.

In its own, because a file of 2 KB can make any reader take gigabytes or minutes, native code cannot be interrupted,
and PDFium ends its process when memory ends. What was read is kept for a while: a conversation sends its files again
with every turn. Synchronous, 0.1 s and more, so the caller decides about threads. Imports only the error tree.
"""

import binascii
import hashlib
import os
import re
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from dragoman.errors import InvalidRequest, Overloaded

__all__ = ["PAGE_IMAGE_TOKENS", "Pages", "PdfFile", "read_pdfs"]

# A model sees each page as an image too (MSG-97): a letter page at 200 dpi, 1700x2200, in the standard tier of MSG-95.
PAGE_IMAGE_TOKENS = 1_496

Pages = tuple[str, ...]

TIME_LIMIT_S = 10.0  # for the files of one request; 600 dense pages take 0.3 s
WAIT_LIMIT_S = 30.0
KEPT_CHARACTERS = 16_000_000
KEPT_FILES = 256
_CHILD = Path(__file__).with_name("pdf_child.py")
_PLACES = threading.BoundedSemaphore(2)  # processes at a time, of up to 0.8 GB each
# What a Python needs to start. The rest may hold keys, and a process that reads hostile files has no use for them.
_ENVIRONMENT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT", "TEMP", "TMPDIR")

_FAULTS = {
    "invalid": ".data: The PDF specified was not valid.",
    "password": ".data: The PDF specified is password protected.",
    "unreadable": ".data: Could not process PDF",
}
_END_OF_LINE = re.compile("(?:[\x02\ufffe]\r?\n|\r\n?)")  # PDFium's mark of a hyphen at the end of a line
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")


class PdfFile(Struct, frozen=True):
    """The base64 source of a document, and its path: `messages.0.content.0.pdf.source.base64`."""

    path: str
    data: str


def read_pdfs(files: Sequence[PdfFile], *, most_pages: int) -> list[Pages]:
    """The text of each page of each file, "" for a page that has none (a scan).

    `most_pages` is of all files together (MSG-97). Raises InvalidRequest, in the API's words, for a file that is no
    PDF, is broken, empty or protected by a password, takes too long, or has too many pages; Overloaded when other
    requests' files kept this one waiting.
    """
    if len(files) > most_pages:
        raise _too_many_pages(files[most_pages], most_pages)
    keys = [hashlib.sha256(file.data.encode(errors="replace")).digest() for file in files]
    found = {key: pages for key in keys if (pages := _SHELF.get(key)) is not None}
    missing = {key: file for key, file in zip(keys, files, strict=True) if key not in found}
    if missing:
        found |= _read_anew(missing, most_pages=most_pages)
    left = most_pages
    for key, file in zip(keys, files, strict=True):
        left -= len(found[key])
        if left < 0:
            raise _too_many_pages(file, most_pages)
    return [found[key] for key in keys]


def _too_many_pages(file: PdfFile, most: int) -> InvalidRequest:
    return InvalidRequest(f"{file.path}.data: A maximum of {most} PDF pages may be provided.")


def _read_anew(files: dict[bytes, PdfFile], *, most_pages: int) -> dict[bytes, Pages]:
    outcomes = _outcomes([_decoded(file) for file in files.values()], most_pages=most_pages)
    found: dict[bytes, Pages] = {}
    for (key, file), outcome in zip(files.items(), outcomes, strict=False):
        if "fault" in outcome:
            raise _refusal(file, str(outcome["fault"]), most_pages)
        pages = tuple(_cleaned(page) for page in outcome["pages"])
        _SHELF.put(key, pages)
        found[key] = pages
    for key, file in files.items():
        if key not in found:  # the process ended, or was ended, in this one
            raise _refusal(file, "unreadable", most_pages)
    return found


def _refusal(file: PdfFile, fault: str, most_pages: int) -> InvalidRequest:
    if fault == "too_many_pages":
        return _too_many_pages(file, most_pages)
    return InvalidRequest(f"{file.path}{_FAULTS[fault]}")


def _decoded(file: PdfFile) -> bytes:
    if not file.data:
        raise InvalidRequest(f"{file.path}: PDF cannot be empty")
    if file.data[:5].lower() == "data:":
        raise InvalidRequest(f"{file.path}: invalid base64 data: remove the 'data:...;base64,' before the data itself")
    try:
        return binascii.a2b_base64(file.data, strict_mode=True)
    except ValueError as error:
        raise InvalidRequest(f"{file.path}: invalid base64 data") from error


def _outcomes(files: Sequence[bytes], *, most_pages: int) -> list[dict[str, Any]]:
    """What `pdf_child.py` told of the files, perhaps of fewer than there are."""
    parts = [most_pages.to_bytes(4)]
    for data in files:
        parts += [len(data).to_bytes(4), data]
    if not _PLACES.acquire(timeout=WAIT_LIMIT_S):
        raise Overloaded("Too many PDF files are being read. Please try again.")
    try:
        told = _run(b"".join(parts))
    finally:
        _PLACES.release()
    *lines, _ = told.split(b"\n")  # the last one is empty, or was cut off
    return [msgspec.json.decode(line) for line in lines]


def _run(data: bytes) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - our own file, no shell
            [sys.executable, "-P", str(_CHILD)],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIME_LIMIT_S,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired as expired:
        return expired.stdout or b""
    except OSError as error:
        raise Overloaded("No PDF file can be read right now. Please try again.") from error
    return done.stdout


def _environment() -> dict[str, str]:
    return {name: value for name in _ENVIRONMENT if (value := os.environ.get(name)) is not None}


def _cleaned(text: str) -> str:
    """Lines that end in LF, words that a line's end cut in two made whole, no control characters."""
    joined = _END_OF_LINE.sub(lambda found: "\n" if found[0][0] == "\r" else "", text)
    return _CONTROL.sub("", joined)


class _Shelf:
    """What was read lately, by the digest of the file. Threads share it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Pages] = OrderedDict()
        self._characters = 0
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Pages | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: bytes, pages: Pages) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = pages
            self._characters += sum(map(len, pages))
            while self._characters > KEPT_CHARACTERS or len(self._kept) > KEPT_FILES:
                _, dropped = self._kept.popitem(last=False)
                self._characters -= sum(map(len, dropped))


_SHELF = _Shelf()
