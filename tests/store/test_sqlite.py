"""What holds for SQLite alone: files, locks, and errors that say how to mend them."""
# ruff: noqa: ASYNC240 - files of a temporary folder: nothing else waits for this loop

import os
import sqlite3
import stat
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dragoman.errors import StoreError
from dragoman.store import sql, sqlite
from dragoman.store.base import KeyRecord
from dragoman.store.sql import SQLStore

RECORD = KeyRecord(
    id="apikey_1", name="one", hash=b"\1" * 32, hint="...", created_at=datetime(2026, 11, 20, tzinfo=UTC)
)
OTHER = KeyRecord(id="apikey_2", name="two", hash=b"\2" * 32, hint="...", created_at=RECORD.created_at)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a folder #1 100%" / "dragoman.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLStore]:
    path.parent.mkdir()
    store = SQLStore(f"sqlite:///{path}")
    await store.open()
    yield store
    await store.close()


async def trouble_of_opening(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        await SQLStore(f"sqlite:///{path}").open()
    assert str(path) in str(caught.value)
    return str(caught.value)


async def test_only_the_owner_may_read_the_files(store: SQLStore, path: Path) -> None:
    await store.keys.add(RECORD)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(["dragoman.db", "dragoman.db-shm", "dragoman.db-wal"], 0o600)


async def test_the_file_is_in_wal_mode_and_connections_hold_foreign_keys(store: SQLStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._engine is not None
    with store._engine.connect() as connection:
        for pragma, value in (("foreign_keys", 1), ("busy_timeout", sqlite.BUSY_TIMEOUT_S * 1000)):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


async def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    store = SQLStore(f"sqlite:///{path}")
    await store.open()
    assert await store.keys.add(RECORD)
    await store.close()


async def test_a_missing_folder_is_named(path: Path) -> None:
    assert "its folder does not exist: make it, or name another file" in await trouble_of_opening(path)


async def test_a_folder_in_place_of_the_file_is_named(path: Path) -> None:
    path.mkdir(parents=True)
    assert "it is a folder" in await trouble_of_opening(path)


async def test_a_link_to_nowhere_is_named_and_leaves_no_thread(path: Path) -> None:
    path.parent.mkdir()
    path.symlink_to("nowhere")
    before = set(threading.enumerate())
    assert "it cannot be opened: check who may read and write it" in await trouble_of_opening(path)
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("denied", "said"), [("folder", "its folder cannot be written"), ("file", "it cannot be read and written")]
)
async def test_missing_permissions_are_named(
    path: Path, monkeypatch: pytest.MonkeyPatch, denied: str, said: str
) -> None:
    path.parent.mkdir()
    path.touch()
    closed = path.parent if denied == "folder" else path
    monkeypatch.setattr(os, "access", lambda asked, _: Path(asked) != closed)  # root may do everything
    assert said in await trouble_of_opening(path)


async def test_a_file_that_cannot_be_made_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    path.parent.mkdir()
    monkeypatch.setattr(os, "open", full)
    assert "cannot be made: No space left on device" in await trouble_of_opening(path)


async def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("Dear diary, " * 1000)
    assert "it is not a SQLite database: move it away" in await trouble_of_opening(path)
    assert path.read_text() == "Dear diary, " * 1000


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE recipes (name TEXT)",
        "CREATE TABLE alembic_version (version_num VARCHAR(32)); INSERT INTO alembic_version VALUES ('ae1027a6acf')",
    ],
)
async def test_a_database_of_another_program_is_left_alone(path: Path, script: str) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other:
        other.executescript(script)
    before = path.read_bytes()
    assert "belongs to another program" in await trouble_of_opening(path)
    assert path.read_bytes() == before


async def test_a_database_deleted_meanwhile_is_an_error_and_not_a_new_one(store: SQLStore, path: Path) -> None:
    await store.close()
    store._engine = sqlite.SQLite(path).engine()
    for file in path.parent.iterdir():
        file.unlink()
    with pytest.raises(StoreError, match="it cannot be opened"):
        await store.ping()
    assert not path.exists()
    await store.close()


async def test_a_write_behind_a_lock_fails_in_time_and_reads_go_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.05)
    path.parent.mkdir()
    store = SQLStore(f"sqlite:///{path}")
    await store.open()
    await store.keys.add(RECORD)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process kept it locked"):
            await store.keys.add(OTHER)
        assert await store.keys.find(RECORD.hash) == RECORD
    assert await store.keys.add(OTHER)
    await store.close()


def test_a_file_that_others_hold_while_it_is_made_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of processes that start at once SQLite refuses some the change to WAL, without any wait."""
    path.parent.mkdir()
    path.touch()
    database = sqlite.SQLite(path)
    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.0)
        engine = database.engine()
    with closing(sqlite3.connect(path)) as other, engine.connect() as connection:
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(time, "sleep", lambda _: other.rollback())
        database.begin_migration(connection)
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()


async def test_a_transaction_that_gets_no_turn_in_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when every thread of the store waits for a lock."""
    store = SQLStore("sqlite://")
    await store.open()
    with monkeypatch.context() as patch:
        patch.setattr(sql, "TURN_S", -1.0)
        with pytest.raises(StoreError, match="too busy, no turn came"):
            await store.keys.add(RECORD)
    assert await store.keys.list() == []
    await store.close()
