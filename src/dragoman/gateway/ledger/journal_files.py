"""The files of the ledger's journal: notes that outlive the process, in segments that are mapped into memory.

A note is copied into a mapped page, which the system keeps and writes whatever becomes of the process; nothing is
waited for. So `kill -9` loses no note. Power that fails may lose the last seconds, as nothing is synced.

A writer has a name, a file NAME.lock that it holds locked as long as it lives, and segments NAME.1, NAME.2 and so on.
Whoever gets the lock of another knows that it is dead, and may take over what it left.
"""

import mmap
import os
import secrets
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["CAN_LOCK", "SEGMENT_BYTES", "Left", "Note", "Segment", "Writer", "dead_writers", "read_notes"]

CAN_LOCK = fcntl is not None  # where not, there is no journal

SEGMENT_BYTES = 1024 * 1024  # 3,000 requests or so
MAGIC = b"dragoman1\0\0\0\0\0\0\0"  # the 1 is the version of all that follows
_BEGINNING = struct.Struct("<QQ")  # behind MAGIC: the segment's number, and up to where its notes are stored
_STORED = struct.Struct("<Q")
FIRST = len(MAGIC) + _BEGINNING.size
STORED_AT = FIRST - _STORED.size
# Bytes of the note, their CRC-32, what kind of note. The sum begins with the segment's number: so what stands there
# from an earlier use is no note, and ends the notes.
_HEAD = struct.Struct("<IIB")
LOCK = ".lock"


class Note(NamedTuple):
    kind: int
    data: bytes
    end: int  # its place in the segment


class Segment:
    """One file, as large as it will ever be. Its space is taken beforehand: else a disk that is full would kill the
    process when it writes to a page (SIGBUS). Raises OSError.

    It is used again when all in it is stored: a page that is written to for the first time costs more than all the
    notes that it takes (40 us, on ext4).
    """

    def __init__(self, path: Path, number: int, size: int = SEGMENT_BYTES) -> None:
        self.path = path
        self._size = size
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _allocate(descriptor, size)
            self._bytes = mmap.mmap(descriptor, size)
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise
        finally:
            os.close(descriptor)
        self.begin(number)

    def begin(self, number: int) -> None:
        """Empty, from here on. Of one process' segments a later one has a higher number."""
        self.end = self.stored = FIRST
        self._seed = number & 0xFFFFFFFF
        self._bytes[:FIRST] = MAGIC + _BEGINNING.pack(number, FIRST)

    def append(self, kind: int, data: bytes) -> bool:
        """False: there is no room."""
        start = self.end
        end = start + _HEAD.size + len(data)
        if end > self._size:
            return False
        # The head is part of the copy: where that is broken off the sum is wrong, and there was no note.
        self._bytes[start:end] = _HEAD.pack(len(data), zlib.crc32(data, self._seed), kind) + data
        self.end = end
        return True

    def some(self, kind: int, start: int, limit: int) -> tuple[list[bytes], int]:
        """Notes of a kind from `start` on, which this process wrote itself: so many at most; and where the next is."""
        held, end = self._bytes, self.end
        found: list[bytes] = []
        while start < end and len(found) < limit:
            size, _, is_kind = _HEAD.unpack_from(held, start)
            start += _HEAD.size + size
            if is_kind == kind:
                found.append(held[start - size : start])
        return found, start

    def mark_stored(self, end: int) -> None:
        self.stored = end
        self._bytes[STORED_AT:FIRST] = _STORED.pack(end)

    @property
    def share_used(self) -> float:
        return self.end / self._size

    def close(self) -> None:
        self._bytes.close()

    def remove(self) -> None:
        self.close()
        with suppress(FileNotFoundError):
            self.path.unlink()


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:  # macOS
        os.pwrite(descriptor, bytes(size), 0)


class Writer:
    """Makes the segments of one process. Raises OSError."""

    def __init__(self, folder: Path, descriptor: int, name: str) -> None:
        self._folder = folder
        self._descriptor = descriptor
        self.name = name
        self._made = 0

    @classmethod
    def open(cls, folder: Path) -> Self:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            name = f"{os.getpid()}-{secrets.token_hex(4)}"
            path = folder / (name + LOCK)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            if _lock(descriptor) and _is_same(descriptor, path):
                return cls(folder, descriptor, name)
            os.close(descriptor)  # somebody took it for that of a dead process, in the moment before it was locked

    def new_segment(self) -> Segment:
        number = self.next_number()
        return Segment(self._folder / f"{self.name}.{number}", number)

    def next_number(self) -> int:
        self._made += 1
        return self._made

    def close(self, *, is_empty: bool) -> None:
        """`is_empty`: nothing is left for others to take over."""
        if is_empty:
            with suppress(OSError):
                (self._folder / (self.name + LOCK)).unlink()
        self.let_go()

    def let_go(self) -> None:
        """Of the lock, or in a child of a fork of the parent's."""
        os.close(self._descriptor)


class Left:
    """What a dead process has left. It is ours until `close`."""

    def __init__(self, folder: Path, name: str, descriptor: int) -> None:
        self.name = name
        self._folder = folder
        self._descriptor = descriptor

    def segments(self) -> list[Path]:
        """The oldest first. Raises OSError."""
        found = [path for path in self._folder.glob(self.name + ".*") if path.suffix[1:].isdecimal()]
        return sorted(found, key=_number)

    def remove(self) -> None:
        """All is stored. The oldest go first: a note that ends a request must not go before the one that begins it."""
        for path in self.segments():
            path.unlink(missing_ok=True)
        (self._folder / (self.name + LOCK)).unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self._descriptor)


def dead_writers(folder: Path) -> Iterator[Left]:
    """Each is to be closed. Raises OSError."""
    if fcntl is None:
        return
    for path in sorted(folder.glob("*" + LOCK)):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        if _lock(descriptor) and _is_same(descriptor, path):
            yield Left(folder, path.name.removesuffix(LOCK), descriptor)
        else:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_same(descriptor: int, path: Path) -> bool:
    """Is the file that is locked still the one of that name?"""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _number(path: Path) -> int:
    with path.open("rb") as file:
        beginning = file.read(FIRST)
    return _BEGINNING.unpack_from(beginning, len(MAGIC))[0] if len(beginning) == FIRST else 0


def read_notes(path: Path) -> tuple[list[Note], int]:
    """The notes of a segment of a dead process, and up to where they are stored. One that was not written to its end is
    none. Raises OSError."""
    held = path.read_bytes()
    notes: list[Note] = []
    if not held.startswith(MAGIC) or len(held) < FIRST:  # not begun, or of another version
        return notes, FIRST
    number, stored = _BEGINNING.unpack_from(held, len(MAGIC))
    at = FIRST
    while at + _HEAD.size <= len(held):
        size, checksum, kind = _HEAD.unpack_from(held, at)
        data = held[at + _HEAD.size : at + _HEAD.size + size]
        if not size or len(data) < size or zlib.crc32(data, number & 0xFFFFFFFF) != checksum:
            break
        at += _HEAD.size + size
        notes.append(Note(kind, data, at))
    return notes, stored
