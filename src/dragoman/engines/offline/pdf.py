"""PDF files of a request: the text of each page, read by PDFium in a process of its own.

In its own, because a file of 2 KB can make any reader take gigabytes or minutes, native code cannot be interrupted,
and PDFium ends its process when memory ends. The process ends with its request, also when the caller hangs up. What
was read is kept for a while: a conversation sends its files again with every turn. Imports only the error tree and
this folder.
"""

import asyncio
import binascii
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from dragoman.errors import InvalidRequest, Overloaded

from .offloading import Threads

__all__ = ["PAGE_IMAGE_TOKENS", "Pages", "PdfFile", "PdfReader"]

# A model sees each page as an image too (MSG-97): a letter page at 200 dpi, 1700x2200, in the standard tier of MSG-95.
PAGE_IMAGE_TOKENS = 1_496

Pages = tuple[str, ...]

PLACES = 2  # processes at a time, of up to 0.8 GB each
# For the files of one request; 600 dense pages take 0.3 s. Beyond it a machine is busy: a file that takes too much
# time of a processor ends at `pdf_child.CPU_S` before.
TIME_LIMIT_S = 20.0
WAIT_LIMIT_S = 30.0
KEPT_CHARACTERS = 16_000_000
KEPT_FILES = 256
_CHILD = Path(__file__).with_name("pdf_child.py")
# What a Python needs to start. The rest may hold keys, and a process that reads hostile files has no use for them.
_ENVIRONMENT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT", "TEMP", "TMPDIR")
# Ends that no file brings about: an operator, a system short of memory. A limit of its own ends it otherwise.
_FROM_OUTSIDE = [
    -int(number)
    for name in ("SIGHUP", "SIGINT", "SIGKILL", "SIGQUIT", "SIGTERM")
    if (number := getattr(signal, name, None)) is not None  # not each system has each
]

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


class PdfReader:
    """Reads PDFs, those of two requests at a time, and keeps what it read. `child` is the program that reads."""

    def __init__(self, threads: Threads, *, child: Path = _CHILD) -> None:
        self._threads = threads
        self._child = child
        self._places = asyncio.Semaphore(PLACES)
        self._shelf = _Shelf()

    async def read(self, files: Sequence[PdfFile], *, workspace_id: str | None, most_pages: int) -> list[Pages]:
        """The text of each page of each file, "" for a page that has none (a scan).

        `most_pages` is of all files together (MSG-97). What was read is kept for its workspace alone, for the time
        that an answer takes tells whether it was; without a workspace nothing is kept. Raises InvalidRequest, in the
        API's words, for a file that is no PDF, is broken, empty or protected by a password, takes too much to read,
        or has too many pages; Overloaded when the machine, or other requests' files, kept this one waiting.
        """
        if len(files) > most_pages:
            raise _too_many_pages(files[most_pages], most_pages)
        keys = await self._threads.heavy(lambda: [_digest(file) for file in files])
        found = {key: pages for key in keys if (pages := self._shelf.get(workspace_id, key)) is not None}
        missing = {key: file for key, file in zip(keys, files, strict=True) if key not in found}
        if missing:
            read = await self._read_anew(missing, most_pages=most_pages)
            for key, pages in read.items():
                self._shelf.put(workspace_id, key, pages)
            found |= read
        left = most_pages
        for key, file in zip(keys, files, strict=True):
            left -= len(found[key])
            if left < 0:
                raise _too_many_pages(file, most_pages)
        return [found[key] for key in keys]

    async def _read_anew(self, files: Mapping[bytes, PdfFile], *, most_pages: int) -> dict[bytes, Pages]:
        parcel = await self._threads.heavy(lambda: _parcel(files.values(), most_pages=most_pages))
        told = await self._told_in_time(parcel)
        return await self._threads.heavy(lambda: _understood(told, files, most_pages=most_pages))

    async def _told_in_time(self, parcel: bytes) -> bytes:
        try:
            async with asyncio.timeout(WAIT_LIMIT_S):
                await self._places.acquire()
        except TimeoutError as error:
            raise Overloaded("Too many PDF files are being read. Please try again.") from error
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                return await self._told(parcel)
        except (TimeoutError, OSError) as error:
            raise _cannot_read_now() from error
        finally:
            self._places.release()

    async def _told(self, parcel: bytes) -> bytes:
        """What the child told of the files, perhaps of fewer than there are. It has ended, however this ends."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            str(self._child),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,  # Ctrl-C in a terminal is for the server, which goes on until it has answered
        )
        try:
            told, _ = await process.communicate(parcel)
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()  # its pipes close only when they are read to the end
        if process.returncode in _FROM_OUTSIDE:
            raise _cannot_read_now()
        return told


def _cannot_read_now() -> Overloaded:
    return Overloaded("PDF files cannot be read right now. Please try again.")


def _too_many_pages(file: PdfFile, most: int) -> InvalidRequest:
    return InvalidRequest(f"{file.path}.data: A maximum of {most} PDF pages may be provided.")


def _digest(file: PdfFile) -> bytes:
    return hashlib.sha256(file.data.encode(errors="replace")).digest()


def _parcel(files: Iterable[PdfFile], *, most_pages: int) -> bytes:
    """What the child reads."""
    parts = [most_pages.to_bytes(4)]
    for file in files:
        data = _decoded(file)
        parts += [len(data).to_bytes(4), data]
    return b"".join(parts)


def _decoded(file: PdfFile) -> bytes:
    if not file.data:
        raise InvalidRequest(f"{file.path}: PDF cannot be empty")
    if file.data[:5].lower() == "data:":
        raise InvalidRequest(f"{file.path}: invalid base64 data: remove the 'data:...;base64,' before the data itself")
    try:
        return binascii.a2b_base64(file.data, strict_mode=True)
    except ValueError as error:
        raise InvalidRequest(f"{file.path}: invalid base64 data") from error


def _understood(told: bytes, files: Mapping[bytes, PdfFile], *, most_pages: int) -> dict[bytes, Pages]:
    *lines, _ = told.split(b"\n")  # the last one is empty, or was cut off
    found: dict[bytes, Pages] = {}
    for (key, file), line in zip(files.items(), lines, strict=False):
        outcome: dict[str, Any] = msgspec.json.decode(line)
        if "fault" in outcome:
            raise _refusal(file, str(outcome["fault"]), most_pages)
        found[key] = tuple(_cleaned(page) for page in outcome["pages"])
    for key, file in files.items():
        if key not in found:  # the process ended in this one
            raise _refusal(file, "unreadable", most_pages)
    return found


def _refusal(file: PdfFile, fault: str, most_pages: int) -> InvalidRequest:
    if fault == "too_many_pages":
        return _too_many_pages(file, most_pages)
    return InvalidRequest(f"{file.path}{_FAULTS[fault]}")


def _environment() -> dict[str, str]:
    return {name: value for name in _ENVIRONMENT if (value := os.environ.get(name)) is not None}


def _cleaned(text: str) -> str:
    """Lines that end in LF, words that a line's end cut in two made whole, no control characters."""
    joined = _END_OF_LINE.sub(lambda found: "\n" if found[0][0] == "\r" else "", text)
    return _CONTROL.sub("", joined)


class _Shelf:
    """What was read lately, by the workspace and the digest of the file. Without a workspace it keeps nothing."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, bytes], Pages] = OrderedDict()
        self._characters = 0

    def get(self, workspace_id: str | None, digest: bytes) -> Pages | None:
        if workspace_id is None or (workspace_id, digest) not in self._kept:
            return None
        self._kept.move_to_end((workspace_id, digest))
        return self._kept[workspace_id, digest]

    def put(self, workspace_id: str | None, digest: bytes, pages: Pages) -> None:
        if workspace_id is None or (workspace_id, digest) in self._kept:
            return
        self._kept[workspace_id, digest] = pages
        self._characters += sum(map(len, pages))
        while self._characters > KEPT_CHARACTERS or len(self._kept) > KEPT_FILES:
            _, dropped = self._kept.popitem(last=False)
            self._characters -= sum(map(len, dropped))
