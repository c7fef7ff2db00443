"""The bytes of uploaded files in memory: for a gateway that leaves nothing on the disk, not even for a while."""

from pathlib import Path

from .files import FileFolder, UploadedFile

__all__ = ["MemoryFolder"]


class MemoryFolder(FileFolder):
    """As FileFolder, until `close`."""

    def __init__(self) -> None:
        super().__init__(None)
        self._kept: dict[str, bytes] = {}

    def close(self) -> None:
        self._kept.clear()

    def create(self) -> UploadedFile:
        return _MemoryFile()

    def keep(self, upload: UploadedFile, file_id: str) -> None:
        assert isinstance(upload, _MemoryFile)
        self._kept[file_id] = bytes(upload.content)

    def read(self, file_id: str) -> bytes | None:
        return self._kept.get(file_id)

    def erase(self, file_id: str) -> None:
        self._kept.pop(file_id, None)

    def erase_all_but(self, file_ids: frozenset[str], *, older_than: float) -> None:
        """Nothing is left of an earlier process."""


class _MemoryFile(UploadedFile):
    path = Path()  # nowhere

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, data: bytes) -> None:
        self.content += data

    def finish(self) -> None:
        """It is whole; there is no disk to wait for."""

    def discard(self) -> None:
        self.content = bytearray()
