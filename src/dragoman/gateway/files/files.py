"""Uploaded files: kept, listed, deleted, and put in the place of their ids in what a model is asked.

The bytes lie in a folder beside the database, what is known of them in the store. A file belongs to the workspace of
the key that uploaded it; to every other it does not exist. Source: spec FIL-1 to 7, ERR-24, ERR-30.
"""

import asyncio
import base64
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from dragoman.errors import InvalidRequest, NotFound, RequestTooLarge, StoreError, Unavailable
from dragoman.gateway.call import Asked
from dragoman.store.files import FileFolder, FileRecord, FileStore, UploadedFile
from dragoman.wire.envelope import Envelope
from dragoman.wire.files import (
    FileContent,
    FileUse,
    files_in,
    files_in_json,
    with_files,
    with_files_in_json,
)
from dragoman.wire.types import CountTokensRequest

from .pages import read_page
from .types import HEAD_BYTES, IMAGE_TYPES, check_filename, image_type, mime_type

__all__ = ["MAX_FILE_BYTES", "Files", "Upload"]

log = logging.getLogger("dragoman.files")

MAX_FILE_BYTES = 500 * 1024 * 1024  # FIL-2
LEAST_EXPIRY_S, MOST_EXPIRY_S = 3600, 7_776_000  # FIL-1
TOO_LARGE = "Request exceeds the maximum size"  # ERR-24
REMEMBERED = timedelta(days=30)  # so long after it expired, a file is told from one that never was
SWEEP_S = 60.0  # how often expired files are looked for, at most
ABANDONED_S = 24 * 3600.0  # what belongs to no file is erased at start when it is older than this
WRITE_BYTES = 1024 * 1024  # so much is written at once: a thread is asked for each
LARGE_BODY_BYTES = 256 * 1024  # above this, a body is looked through in a thread
FILE_ID = re.compile(r"file_[A-Za-z0-9]{1,100}")
MARKER = b'"file_id"'

T = TypeVar("T")
Request = TypeVar("Request", bound=CountTokensRequest)


class Files:
    """The files of all workspaces. `now` gives the aware UTC time, `clock` monotonic seconds.

    `limit_bytes` is what the files of one workspace may take, `inline_limit_bytes` how large a request may become when
    the files that it names stand in it.
    """

    def __init__(
        self,
        store: FileStore,
        folder: FileFolder,
        *,
        new_id: Callable[[str], str],
        clock: Callable[[], float],
        limit_bytes: int,
        inline_limit_bytes: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._folder = folder
        self._new_id = new_id
        self._clock = clock
        self._limit_bytes = limit_bytes
        self._inline_limit_bytes = inline_limit_bytes
        self._now = now
        self._swept = -SWEEP_S
        self._keeping: set[asyncio.Task[FileRecord]] = set()

    async def open(self) -> None:
        """Erase what expired while nobody was here, and what a killed process left. The store must be open."""
        await self._sweep()
        known = await self._store.ids()
        oldest = self._now().timestamp() - ABANDONED_S
        try:
            await asyncio.to_thread(self._folder.erase_all_but, known, older_than=oldest)
        except OSError as error:
            log.warning("the folder of uploaded files: %s", error)

    async def aclose(self) -> None:
        """Before the store closes."""
        await asyncio.gather(*self._keeping, return_exceptions=True)
        await asyncio.to_thread(self._folder.close)

    async def begin(self, workspace_id: str) -> "Upload":
        """A file to write to. Raises InvalidRequest when the workspace has no room left, or Unavailable."""
        await self._sweep_in_time()
        room = self._limit_bytes - await _ask(self._store.used_bytes(workspace_id))
        if room <= 0:
            raise _quota_exceeded()
        file = await _on_disk(self._folder.create, undo=UploadedFile.discard)
        return Upload(file, workspace_id, room_bytes=room)

    async def keep(
        self, upload: "Upload", *, filename: str | None, content_type: str | None, expires_in_s: int | None
    ) -> dict[str, Any]:
        """The metadata of an upload that is complete, and now is a file (FIL-1). Raises InvalidRequest."""
        mime = mime_type(content_type, head=bytes(upload.head), filename=filename)
        now = self._now()
        record = FileRecord(
            id=self._new_id("file"),
            workspace_id=upload.workspace_id,
            filename=check_filename(filename, mime),
            mime_type=mime,
            size_bytes=upload.size_bytes,
            created_at=now,
            expires_at=_expiry(now, expires_in_s),
        )
        # A caller who hangs up now has a file all the same, but never half of one.
        upload.is_handed_over = True
        keeping = asyncio.create_task(self._keep(upload, record))
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)
        return _metadata(await asyncio.shield(keeping))

    async def page(self, workspace_id: str, query: Mapping[str, list[str]]) -> dict[str, Any]:
        """The answer to `GET /v1/files`, in the newer and in the older form at once (FIL-3). Raises InvalidRequest."""
        await self._sweep_in_time()
        page = await _ask(read_page(self._store, workspace_id, query, now=self._now()))
        return {
            "data": [_metadata(record) for record in page.records],
            "next_page": page.next_page,
            "has_more": page.has_more,
            "first_id": page.records[0].id if page.records else None,
            "last_id": page.records[-1].id if page.records else None,
        }

    async def retrieve(self, workspace_id: str, file_id: str) -> dict[str, Any]:
        """The answer to `GET /v1/files/{id}`. Raises NotFound."""
        await self._sweep_in_time()
        return _metadata(await self._find(workspace_id, file_id))

    async def download(self, workspace_id: str, file_id: str) -> dict[str, Any]:
        """`GET /v1/files/{id}/content`: refused for every file that was uploaded, and there are no others (FIL-4)."""
        await self._sweep_in_time()
        record = await self._find(workspace_id, file_id)
        raise InvalidRequest(
            f"File `{record.id}` is not downloadable. Only files that were created by a tool can be downloaded.",
            details={"error_code": "file_not_downloadable"},
        )

    async def delete(self, workspace_id: str, file_id: str) -> dict[str, Any]:
        """The answer to `DELETE /v1/files/{id}` (FIL-5). Raises NotFound."""
        is_plausible = FILE_ID.fullmatch(file_id) is not None
        if not is_plausible or not await _ask(self._store.remove(workspace_id, file_id)):
            raise _not_found(file_id)
        await _on_disk(lambda: self._folder.erase(file_id))
        return {"id": file_id, "type": "file_deleted"}

    async def in_request(self, request: Request, asked: Asked) -> Request:
        """A validated request with files in place of their ids (FIL-6).

        Raises NotFound, InvalidRequest for a file that does not fit its block, and RequestTooLarge.
        """
        is_large = len(asked.call.body) > LARGE_BODY_BYTES
        uses = await asyncio.to_thread(files_in, request.messages) if is_large else files_in(request.messages)
        if not uses:
            return request
        contents = await self._contents(uses, asked)
        messages = await asyncio.to_thread(with_files, request.messages, contents)
        return msgspec.structs.replace(request, messages=messages)

    async def in_body(self, asked: Asked) -> Asked:
        """The request for an upstream, with those files that are ours in place of their ids.

        A request without any, or with ids that are not ours, keeps its bytes. Raises as `in_request` does.
        """
        if MARKER not in asked.call.body or "messages" not in asked.envelope.fields:
            return asked
        messages = bytes(asked.envelope.fields["messages"])
        uses = await asyncio.to_thread(files_in_json, messages)
        ours = await self._records(uses, asked.principal.workspace_id)
        contents = await self._contents([use for use in uses if use.file_id in ours], asked)
        if not contents:
            return asked
        changed = await asyncio.to_thread(with_files_in_json, messages, contents)
        envelope = Envelope(asked.envelope.encode(messages=msgspec.Raw(changed)))
        call = msgspec.structs.replace(asked.call, body=envelope.body)
        return msgspec.structs.replace(asked, call=call, envelope=envelope)

    # -- inside --

    async def _keep(self, upload: "Upload", record: FileRecord) -> FileRecord:
        try:
            await upload.finish()
            await _on_disk(lambda: self._folder.keep(upload.file, record.id))
            if not await _ask(self._store.add(record, limit_bytes=self._limit_bytes)):
                raise _quota_exceeded()
        except BaseException:
            await _on_disk(lambda: self._folder.erase(record.id))
            await _on_disk(upload.file.discard)
            raise
        return record

    async def _find(self, workspace_id: str, file_id: str) -> FileRecord:
        record = None
        if FILE_ID.fullmatch(file_id):
            record = await _ask(self._store.find(workspace_id, file_id))
        if record is None:
            raise _not_found(file_id)
        self._must_not_have_expired(record)
        return record

    def _must_not_have_expired(self, record: FileRecord, *, path: str = "") -> None:
        if record.expires_at is not None and record.expires_at <= self._now():
            raise NotFound(f"{path}File `{record.id}` has expired.", details={"error_code": "file_expired"})

    async def _records(self, uses: Sequence[FileUse], workspace_id: str) -> dict[str, FileRecord]:
        """The files that there are, expired ones too, by their ids."""
        ids = sorted({use.file_id for use in uses if FILE_ID.fullmatch(use.file_id)})
        if not ids:
            return {}
        found = await _ask(self._store.find_all(workspace_id, ids))
        return {record.id: record for record in found}

    async def _contents(self, uses: Sequence[FileUse], asked: Asked) -> dict[tuple[Any, str], FileContent]:
        """What is to stand in place of each id, by kind of block and id."""
        records = await self._records(uses, asked.principal.workspace_id)
        room = self._inline_limit_bytes - len(asked.call.body)
        for use in uses:
            record = records.get(use.file_id)
            if record is None:
                raise _not_found(use.file_id, path=f"{use.path}: ")
            self._must_not_have_expired(record, path=f"{use.path}: ")
            _must_fit(use, record)
            room -= _inlined_bytes(record)
            if room < 0:
                raise RequestTooLarge(f"{TOO_LARGE}, with the files that it names in it")
        wanted = {(use.kind, use.file_id): use for use in uses}
        return {key: await self._content(use, records[use.file_id]) for key, use in wanted.items()}

    async def _content(self, use: FileUse, record: FileRecord) -> FileContent:
        data = await _on_disk(lambda: self._folder.read(record.id))
        if data is None:  # deleted a moment ago
            raise _not_found(record.id, path=f"{use.path}: ")
        return await asyncio.to_thread(_as_content, use, record, data)

    async def _sweep_in_time(self) -> None:
        if self._clock() - self._swept >= SWEEP_S:
            await _ask(self._sweep())

    async def _sweep(self) -> None:
        """Erase the bytes of expired files; raises StoreError."""
        self._swept = self._clock()
        now = self._now()
        expired = await self._store.list_expired(now)
        erased = await asyncio.to_thread(self._erased, expired)
        await self._store.note_erased(erased, now, forget_before=now - REMEMBERED)

    def _erased(self, file_ids: Sequence[str]) -> list[str]:
        """Those of them that could be erased; the others are tried again."""
        erased = []
        for file_id in file_ids:
            try:
                self._folder.erase(file_id)
            except OSError as error:
                log.warning("files: %s has expired and cannot be erased: %s", file_id, error)
            else:
                erased.append(file_id)
        return erased


class Upload:
    """A file on its way in: its bytes are on the disk, but it has no id yet. Discard it in every case."""

    def __init__(self, file: UploadedFile, workspace_id: str, *, room_bytes: int) -> None:
        self.file = file
        self.workspace_id = workspace_id
        self.size_bytes = 0
        self.head = bytearray()  # the first bytes, which show what it is
        self.is_handed_over = False  # it is kept, or being kept
        self._room_bytes = room_bytes
        self._waiting = bytearray()

    async def write(self, data: bytes) -> None:
        """Raises RequestTooLarge, InvalidRequest when the workspace has no more room, and Unavailable."""
        self.size_bytes += len(data)
        if self.size_bytes > MAX_FILE_BYTES:
            raise RequestTooLarge(TOO_LARGE)
        if self.size_bytes > self._room_bytes:
            raise _quota_exceeded()
        self.head += data[: HEAD_BYTES - len(self.head)]
        self._waiting += data
        if len(self._waiting) >= WRITE_BYTES:
            await self._flush()

    async def finish(self) -> None:
        await self._flush()
        await _on_disk(self.file.finish)

    async def discard(self) -> None:
        """Leave nothing of it, unless it was kept. The last write has ended by then: `_on_disk` sees to that."""
        if not self.is_handed_over:
            await _on_disk(self.file.discard)

    async def _flush(self) -> None:
        data, self._waiting = self._waiting, bytearray()
        await _on_disk(lambda: self.file.write(bytes(data)))


def _metadata(record: FileRecord) -> dict[str, Any]:
    return {
        "type": "file",
        "id": record.id,
        "filename": record.filename,
        "mime_type": record.mime_type,
        "size_bytes": record.size_bytes,
        "created_at": record.created_at,
        "downloadable": record.downloadable,
        "expires_at": record.expires_at,
    }


def _expiry(now: datetime, expires_in_s: int | None) -> datetime | None:
    if expires_in_s is None:
        return None
    if expires_in_s < LEAST_EXPIRY_S:
        raise InvalidRequest(f"expires_in_seconds: Input should be greater than or equal to {LEAST_EXPIRY_S}")
    if expires_in_s > MOST_EXPIRY_S:
        raise InvalidRequest(f"expires_in_seconds: Input should be less than or equal to {MOST_EXPIRY_S}")
    return now + timedelta(seconds=expires_in_s)


def _quota_exceeded() -> InvalidRequest:
    return InvalidRequest(
        "The file storage quota is exhausted. Delete files to free up space, then try the upload again.",
        details={"error_code": "storage_quota_exceeded"},
    )


def _not_found(file_id: str, *, path: str = "") -> NotFound:
    return NotFound(f"{path}File `{file_id[:120]}` not found.")


def _must_fit(use: FileUse, record: FileRecord) -> None:
    """Raises InvalidRequest for a type of file that the block does not take (FIL-6)."""
    takes = IMAGE_TYPES if use.kind == "image" else ("application/pdf", "text/plain")
    if record.mime_type not in takes:
        raise InvalidRequest(
            f"{use.path}: File `{record.id}` is of type {record.mime_type}; "
            f"{'an image' if use.kind == 'image' else 'a document'} must be one of {', '.join(takes)}"
        )


def _inlined_bytes(record: FileRecord) -> int:
    """About what it takes in a request."""
    return record.size_bytes if record.mime_type == "text/plain" else record.size_bytes * 4 // 3


def _as_content(use: FileUse, record: FileRecord, data: bytes) -> FileContent:
    if use.kind == "image":  # what it is decides, whatever its uploader said
        return FileContent(image_type(data[:HEAD_BYTES]) or record.mime_type, base64.b64encode(data).decode())
    if record.mime_type == "application/pdf":
        return FileContent(record.mime_type, base64.b64encode(data).decode())
    try:
        return FileContent("text/plain", data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"{use.path}: File `{record.id}` is no UTF-8 text: invalid at byte {error.start}"
        ) from None


async def _ask(asking: Awaitable[T]) -> T:
    """Raises Unavailable when the store is away."""
    try:
        return await asking
    except StoreError as error:
        log.warning("files: %s", error)
        raise Unavailable("The file store cannot be reached.") from error


async def _on_disk(work: Callable[[], T], *, undo: Callable[[T], None] | None = None) -> T:
    """Do `work` in a thread, to its end even when the caller is cancelled: no two threads get hold of one file.

    `undo` gets what it made when there is nobody left to take it. Raises Unavailable when the disk fails.
    """
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        if undo is not None and working.exception() is None:
            await asyncio.to_thread(undo, working.result())
        raise
    except OSError as error:
        log.warning("files: %s", error)
        raise Unavailable("The file store cannot be written or read.") from error
