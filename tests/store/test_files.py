"""Uploaded files: the rules for their records, over each kind of database, and the folder of their bytes."""

import asyncio
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from dragoman.store.files import FileFolder, FileRecord, Position
from dragoman.store.sql import SQLStore

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
OURS, THEIRS = "wrkspc_ours", "wrkspc_theirs"
ROOM = 10_000


def record(number: int, **changes: object) -> FileRecord:
    first = FileRecord(
        id=f"file_{number:03}",
        workspace_id=OURS,
        filename=f"{number}.txt",
        mime_type="text/plain",
        size_bytes=number,
        created_at=NOON + timedelta(seconds=number),
    )
    return msgspec.structs.replace(first, **changes)


@pytest.fixture
def store(sql_store: SQLStore) -> SQLStore:
    return sql_store


async def fill(store: SQLStore, *records: FileRecord) -> None:
    for each in records:
        assert await store.files.add(each, limit_bytes=ROOM)


async def test_a_record_comes_back_as_it_was_kept(store: SQLStore) -> None:
    whole = record(
        1, filename="Zoë's ☂ '; DROP TABLE files; --", expires_at=NOON + timedelta(days=1), downloadable=True
    )
    await fill(store, whole)
    assert await store.files.find(OURS, whole.id) == whole


async def test_a_file_is_found_in_its_workspace_only(store: SQLStore) -> None:
    """FIL-7."""
    await fill(store, record(1), record(2, workspace_id=THEIRS))
    assert await store.files.find(OURS, "file_002") is None
    assert await store.files.find_all(OURS, ["file_001", "file_002", "file_003"]) == [record(1)]
    assert await store.files.page(OURS, now=NOON, limit=10) == [record(1)]
    assert not await store.files.remove(OURS, "file_002")
    assert await store.files.find(THEIRS, "file_002") is not None


async def test_what_would_go_beyond_the_limit_is_not_kept(store: SQLStore) -> None:
    """FIL-2: counted for each workspace by itself."""
    assert await store.files.add(record(1, size_bytes=60), limit_bytes=100)
    assert not await store.files.add(record(2, size_bytes=41), limit_bytes=100)
    assert await store.files.find(OURS, "file_002") is None
    assert await store.files.add(record(3, size_bytes=40), limit_bytes=100)
    assert await store.files.add(record(4, size_bytes=100, workspace_id=THEIRS), limit_bytes=100)
    assert await store.files.used_bytes(OURS) == 100


async def test_of_many_at_once_only_those_are_kept_that_fit(store: SQLStore) -> None:
    """FIL-2: test and insertion are one step."""
    adding = [store.files.add(record(number, size_bytes=30), limit_bytes=100) for number in range(1, 11)]
    assert sum(await asyncio.gather(*adding)) == 3
    assert await store.files.used_bytes(OURS) == 90


async def test_pages_go_on_and_back(store: SQLStore) -> None:
    """FIL-3: newest first; files of one moment by their ids."""
    same = record(3, created_at=record(2).created_at)
    await fill(store, record(1), record(2), same, record(4))

    async def ids(**place: Position) -> list[str]:
        return [each.id for each in await store.files.page(OURS, now=NOON, limit=2, **place)]

    assert await ids() == ["file_004", "file_003"]
    assert await ids(after=Position(same.created_at, same.id)) == ["file_002", "file_001"]
    assert await ids(after=Position(NOON, "file_000")) == []
    assert await ids(before=Position(record(1).created_at, "file_001")) == ["file_003", "file_002"]
    assert await ids(before=Position(record(4).created_at, "file_004")) == []


async def test_more_ids_than_one_statement_takes_are_looked_up(store: SQLStore) -> None:
    await fill(store, record(1), record(2))
    wanted = [*(f"file_x{number}" for number in range(1200)), "file_002", "file_001"]
    assert [each.id for each in await store.files.find_all(OURS, wanted)] == ["file_002", "file_001"]


async def test_an_expired_file_is_not_listed_and_takes_no_room_once_erased(store: SQLStore) -> None:
    """FIL-4: its record stays to tell that it has expired, and goes in the end."""
    soon = record(50, expires_at=NOON)
    await fill(store, soon, record(1), record(2, expires_at=NOON + timedelta(seconds=1)))
    assert [each.id for each in await store.files.page(OURS, now=NOON, limit=10)] == ["file_002", "file_001"]
    assert await store.files.list_expired(NOON) == ["file_050"]
    assert await store.files.list_expired(NOON - timedelta(microseconds=1)) == []
    await store.files.note_erased(["file_050"], NOON, forget_before=NOON)
    assert await store.files.list_expired(NOON) == []
    assert await store.files.used_bytes(OURS) == 3
    assert await store.files.ids() == {"file_001", "file_002"}
    assert await store.files.find(OURS, "file_050") == msgspec.structs.replace(soon, erased_at=NOON)
    await store.files.note_erased([], NOON, forget_before=NOON + timedelta(seconds=1))
    assert await store.files.find(OURS, "file_050") is None


# -- bytes ------------------------------------------------------------------------------------------------------------


def written(folder: FileFolder, data: bytes, file_id: str) -> None:
    upload = folder.create()
    upload.write(data)
    upload.finish()
    folder.keep(upload, file_id)
    upload.discard()  # harmless


def test_bytes_lie_under_their_id_for_the_owner_alone(tmp_path: Path) -> None:
    folder = FileFolder(tmp_path / "dragoman.db.files")
    written(folder, b"some bytes", "file_1")
    (file,) = (tmp_path / "dragoman.db.files").iterdir()
    assert (file.name, file.read_bytes()) == ("file_1", b"some bytes")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert folder.read("file_1") == b"some bytes"
    folder.erase("file_1")
    folder.erase("file_1")
    assert folder.read("file_1") is None


def test_a_discarded_upload_leaves_nothing(tmp_path: Path) -> None:
    folder = FileFolder(tmp_path / "files")
    upload = folder.create()
    upload.write(b"half of")
    upload.discard()
    upload.discard()
    assert list((tmp_path / "files").iterdir()) == []


def test_no_folder_is_made_before_the_first_file(tmp_path: Path) -> None:
    folder = FileFolder(tmp_path / "files")
    folder.erase_all_but(frozenset(), older_than=0)
    folder.close()
    assert not (tmp_path / "files").exists()


def test_a_temporary_folder_goes_at_close() -> None:
    folder = FileFolder(None)
    upload = folder.create()
    assert upload.path.parent.is_dir()
    upload.finish()
    folder.keep(upload, "file_1")
    folder.close()
    assert not upload.path.parent.exists()


def test_what_a_killed_process_left_is_erased_when_it_is_old(tmp_path: Path) -> None:
    folder = FileFolder(tmp_path / "files")
    for file_id in ("file_known", "file_orphan", "file_young"):
        written(folder, b"x", file_id)
    for name in ("half.part", "somebody else's"):
        (tmp_path / "files" / name).touch()
    for file_id in ("file_known", "file_orphan", "half.part", "somebody else's"):
        os.utime(tmp_path / "files" / file_id, (1000, 1000))
    os.utime(tmp_path / "files" / "file_young", (3000, 3000))
    folder.erase_all_but(frozenset({"file_known"}), older_than=2000)
    assert {path.name for path in (tmp_path / "files").iterdir()} == {"file_known", "file_young", "somebody else's"}
