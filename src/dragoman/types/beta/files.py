"""Files, as the beta tells of them."""

from __future__ import annotations

from typing import Literal

from dragoman.client.record import Record
from dragoman.types.files import FileMetadata


class BetaFileScope(Record):
    id: str
    type: Literal["session"]


class BetaFileMetadata(FileMetadata):
    scope: BetaFileScope | None = None
