"""Files, as the API tells of them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from dragoman.client.record import Record


class FileMetadata(Record):
    id: str
    created_at: datetime
    filename: str
    mime_type: str
    size_bytes: int
    type: Literal["file"]
    downloadable: bool | None = None
    expires_at: datetime | None = None


class DeletedFile(Record):
    id: str
    type: Literal["file_deleted"] | None = None
