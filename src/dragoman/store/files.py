"""Uploaded files: what a store keeps about each, and the folder that holds their bytes.

Imports no SQL library; the records in SQL are in `sql_files.py`. A file is a record and, under its id, the bytes: a
record is there only when its bytes are, until they are erased (`erased_at`).
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime
from io import BufferedWriter
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

__all__ = ["FileFolder", "FileRecord", "FileStore", "Position", "UploadedFile"]

UPLOAD_SUFFIX = ".part"
ID_PREFIX = "file_"


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one file. Times are aware and UTC."""

    id: str  # "file_..."
    workspace_id: str  # "wrkspc_...": who may use it (FIL-7)
    filename: str
    mime_type: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime | None = None
    erased_at: datetime | None = None  # its bytes are gone; the record stays to say that it has expired
    downloadable: bool = False  # only what a tool made is (FIL-4)


class Position(NamedTuple):
    """A place in the list of files, which is ordered newest first."""

    created_at: datetime
    id: str


class FileStore(Protocol):
    """What is known of files. Every method raises StoreError for any trouble with the database."""

    async def add(self, record: FileRecord, *, limit_bytes: int) -> bool:
        """Keep `record`. False, and nothing done, when the workspace's files would then take more than `limit_bytes`.

        Test and insertion are one step.
        """

    async def find(self, workspace_id: str, file_id: str) -> FileRecord | None:
        """The record of a file of this workspace, expired or not."""

    async def find_all(self, workspace_id: str, file_ids: Sequence[str]) -> Sequence[FileRecord]:
        """Those of these files that this workspace has, expired or not, newest first."""

    async def page(
        self,
        workspace_id: str,
        *,
        now: datetime,
        limit: int,
        after: Position | None = None,
        before: Position | None = None,
    ) -> Sequence[FileRecord]:
        """At most `limit` files that have not expired, newest first.

        `after`: those behind this place. `before`: the last of those in front of it.
        """

    async def used_bytes(self, workspace_id: str) -> int:
        """What the files of a workspace take."""

    async def remove(self, workspace_id: str, file_id: str) -> bool:
        """Forget a file. False when there is none."""

    async def list_expired(self, now: datetime) -> Sequence[str]:
        """The ids of files that have expired and whose bytes are not noted as erased."""

    async def note_erased(self, file_ids: Sequence[str], at: datetime, *, forget_before: datetime) -> None:
        """Their bytes are erased. Records of files that were erased before `forget_before` go too."""

    async def ids(self) -> frozenset[str]:
        """The ids of all files whose bytes should be there."""


class UploadedFile:
    """Bytes on their way in, in a file under no id yet. Not for two threads at once."""

    def __init__(self, path: Path, file: BufferedWriter) -> None:
        self.path = path
        self._file = file

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def finish(self) -> None:
        """What was written is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        """Harmless when it was kept or discarded before."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class FileFolder:
    """The bytes of files, one file an id, for the owner of the process alone (0600).

    Several machines on one database share it. `path` None is a temporary folder, which goes at close. Made when the
    first file comes. Every method may raise OSError, and waits for the disk: call it in a thread.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._temporary: Path | None = None

    def close(self) -> None:
        """A temporary folder goes, with all that is in it."""
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def create(self) -> UploadedFile:
        """An empty file to write to."""
        descriptor, name = tempfile.mkstemp(suffix=UPLOAD_SUFFIX, dir=self._made())  # its mode is 0600
        return UploadedFile(Path(name), os.fdopen(descriptor, "wb"))

    def keep(self, upload: UploadedFile, file_id: str) -> None:
        """The bytes of a finished upload, from now on under this id."""
        upload.path.replace(self._made() / file_id)

    def read(self, file_id: str) -> bytes | None:
        """The bytes; None when they are not there (any more)."""
        try:
            return (self._made() / file_id).read_bytes()
        except FileNotFoundError:
            return None

    def erase(self, file_id: str) -> None:
        """Harmless when they are not there."""
        (self._made() / file_id).unlink(missing_ok=True)

    def erase_all_but(self, file_ids: frozenset[str], *, older_than: float) -> None:
        """Erase what belongs to no file and was last written before `older_than` (seconds since the epoch).

        Such is what a process left that was killed in the middle of an upload. A younger one may be at work still.
        What bears none of our names stays: whoever configured the folder may have other files in it.
        """
        folder = self._temporary or self._path
        if folder is None or not folder.is_dir():
            return
        for path in folder.iterdir():
            is_ours = path.name.startswith(ID_PREFIX) or path.suffix == UPLOAD_SUFFIX
            if is_ours and path.name not in file_ids and path.stat().st_mtime < older_than:
                path.unlink(missing_ok=True)

    def _made(self) -> Path:
        if self._path is not None:
            self._path.mkdir(mode=0o700, exist_ok=True)
            return self._path
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="dragoman-files-"))
        return self._temporary
