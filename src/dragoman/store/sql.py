"""The Store in a SQL database: SQLAlchemy Core over sqlite3, in one file that several processes share.

A transaction is a plain function that runs in a thread of the store's own. SQLAlchemy's asyncio face is not used: it
hands each statement to a thread singly, and its import brings the ORM with it (0.05 s and 7 MB). Import this module
only where a store is opened: SQLAlchemy's Core alone takes about 0.1 s and 13 MB.
"""

import asyncio
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    URL,
    Connection,
    Engine,
    QueuePool,
    Row,
    create_engine,
    event,
    exists,
    insert,
    inspect,
    literal,
    select,
    update,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from dragoman.errors import StoreError
from dragoman.store.base import KeyRecord, Store, database_file
from dragoman.store.migrations import HEAD, upgrade
from dragoman.store.sql_batches import SQLBatches
from dragoman.store.sql_files import SQLFiles
from dragoman.store.tables import API_KEYS, METADATA, VERSION

__all__ = ["METADATA", "SQLStore"]

T = TypeVar("T")

BUSY_TIMEOUT_S = 5.0  # how long a statement waits for another process to let go of the file
POOL_SIZE = 4  # connections to a file, and threads that use them
REMEDY = "or name another file with DRAGOMAN_DATABASE"

# What SQLite says -> what it means and what to do about it.
TROUBLES = {
    "file is not a database": f"it is not a SQLite database: move it away, {REMEDY}",
    "malformed": f"it is damaged: restore a copy, {REMEDY}",
    "unable to open database file": f"it cannot be opened: check who may read and write it, {REMEDY}",
    "readonly database": f"it cannot be written: let this user write the file and its folder, {REMEDY}",
    "database is locked": f"another process kept it locked for {BUSY_TIMEOUT_S:g} s: try again, or end that one",
    "disk is full": "the disk is full: make room",
}


class SQLStore(Store):
    """Keeps `store.base.Store` in the database that `url` names (forms: `store.base.database_file`).

    A database in memory lives from open() to close() of this object. Raises ConfigError for a wrong URL.
    """

    def __init__(self, url: str) -> None:
        self._path = database_file(url)
        self._engine: Engine | None = None
        self._threads: ThreadPoolExecutor | None = None  # from the first transaction to close()
        self._running: set[asyncio.Future[Any]] = set()
        self.batches = SQLBatches(self._run)
        self.files = SQLFiles(self._run)

    async def open(self) -> None:
        if self._path is not None:
            _check_file(self._path)
        self._engine = engine = _engine(self._path)
        try:
            await self._in_thread(lambda: _bring_up_to_date(engine, self._place()))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await asyncio.gather(*self._running, return_exceptions=True)
        engine, self._engine = self._engine, None
        try:
            if engine is not None:
                await self._in_thread(engine.dispose)
        finally:
            threads, self._threads = self._threads, None
            if threads is not None:
                threads.shutdown()

    async def ping(self) -> None:
        def read(connection: Connection) -> None:
            connection.execute(select(VERSION))  # `SELECT 1` would not touch the file

        await self._run(read)

    async def add_key(self, record: KeyRecord) -> bool:
        def add(connection: Connection) -> bool:
            try:
                connection.execute(insert(API_KEYS).values(msgspec.structs.asdict(record)))
            except IntegrityError:
                return False
            return True

        return await self._run(add)

    async def add_first_key(self, record: KeyRecord) -> bool:
        values = msgspec.structs.asdict(record)
        row = select(*(literal(values[column.name], column.type) for column in API_KEYS.c))
        only_first = row.where(~exists(select(API_KEYS.c.id)))

        def add(connection: Connection) -> bool:
            result = connection.execute(insert(API_KEYS).from_select(list(API_KEYS.c), only_first))
            return result.rowcount == 1

        return await self._run(add)

    async def find_key(self, key_hash: bytes) -> KeyRecord | None:
        def find(connection: Connection) -> KeyRecord | None:
            found = connection.execute(select(API_KEYS).where(API_KEYS.c.hash == key_hash))
            return _record(found.one_or_none())

        return await self._run(find)

    async def list_keys(self) -> Sequence[KeyRecord]:
        newest_first = select(API_KEYS).order_by(API_KEYS.c.created_at.desc(), API_KEYS.c.id.desc())

        def read(connection: Connection) -> list[KeyRecord]:
            return [KeyRecord(**row._mapping) for row in connection.execute(newest_first)]

        return await self._run(read)

    async def revoke_key(self, key_id: str, at: datetime) -> KeyRecord | None:
        this = API_KEYS.c.id == key_id

        def revoke(connection: Connection) -> KeyRecord | None:
            still_open = update(API_KEYS).where(this, API_KEYS.c.revoked_at.is_(None))
            connection.execute(still_open.values(revoked_at=at))
            found = connection.execute(select(API_KEYS).where(this))
            return _record(found.one_or_none())

        return await self._run(revoke)

    async def _run(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a transaction, in a thread of ours."""
        engine, asked = self._engine, time.monotonic()
        if engine is None:
            raise StoreError(f"{self._place()} is not open")

        def transact() -> T:
            if time.monotonic() - asked > BUSY_TIMEOUT_S:  # while all threads waited for a lock
                raise StoreError(f"{self._place()}: too busy, no turn came within {BUSY_TIMEOUT_S:g} s: try again")
            with engine.begin() as connection:
                return work(connection)

        return await self._in_thread(transact)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """What `work` returns. It ends even when the caller is cancelled, and close() awaits it."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(POOL_SIZE if self._path else 1, thread_name_prefix="dragoman-store")
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._translate, work)
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return await asyncio.shield(running)

    def _translate(self, work: Callable[[], T]) -> T:
        with self._translated():
            return work()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLAlchemy's and SQLite's exceptions become StoreError, without the statement and its values."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            meaning = next((text for sign, text in TROUBLES.items() if sign in said), said)
            raise StoreError(f"{self._place()}: {meaning}") from error

    def _place(self) -> str:
        return "the database in memory" if self._path is None else f"the database {self._path}"


def _record(row: Row[tuple[object, ...]] | None) -> KeyRecord | None:
    return None if row is None else KeyRecord(**row._mapping)


def _check_file(path: Path) -> None:
    """Say what is wrong with the place of the database, and make a missing file, for its owner alone (0600).

    SQLite gives the files beside it (-wal, -shm) the same mode. A file that is there is not opened: closing it
    would drop every lock that SQLite holds on it in this process (POSIX locks belong to the process).
    """
    trouble = None
    if not path.parent.is_dir():
        trouble = f"its folder does not exist: make it, {REMEDY}"
    elif path.is_dir():
        trouble = "it is a folder: name a file in it with DRAGOMAN_DATABASE"
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        trouble = f"its folder cannot be written: let this user write there, {REMEDY}"
    elif path.exists() and not os.access(path, os.R_OK | os.W_OK):
        trouble = f"it cannot be read and written: let this user do so, {REMEDY}"
    if trouble is not None:
        raise StoreError(f"the database {path}: {trouble}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(f"the database {path} cannot be made: {error.strerror}") from error


def _engine(path: Path | None) -> Engine:
    """`mode=rw`, so that a file deleted behind our back is an error and not a new, empty database.

    In memory one connection is the database, so it is the only one. A connection is used by one thread at a time, but
    not always by the same one, which SQLite allows and sqlite3 must be told.
    """
    file = None if path is None else path.as_uri()
    engine = create_engine(
        URL.create("sqlite", database=file, query={"mode": "rw", "uri": "true"} if file else {}),
        poolclass=QueuePool,
        pool_size=POOL_SIZE if file else 1,
        max_overflow=0,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},  # seconds: SQLite's busy_timeout
        hide_parameters=True,  # no hashes in the text of an exception
    )
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _bring_up_to_date(engine: Engine, place: str) -> None:
    """Make or migrate the schema under SQLite's own write lock; nothing but two reads when there is no need."""
    with engine.connect() as connection:
        if _version(connection, place) == HEAD:
            return
        connection.rollback()
        # Lasts as long as the file: readers then never wait for a writer.
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        _migrate(connection, place)
        connection.commit()


def _migrate(connection: Connection, place: str) -> None:
    version = _version(connection, place)  # again, under the lock: another process may have been quicker
    if version is None:
        METADATA.create_all(connection, checkfirst=False)  # the same schema without Alembic's import
        connection.execute(insert(VERSION).values(version_num=HEAD))
    elif version != HEAD:
        upgrade(connection)


def _version(connection: Connection, place: str) -> str | None:
    """The schema's version, at most HEAD; None for an empty database. Raises StoreError for one that is not ours."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    version: str | None = connection.scalar(select(VERSION)) if VERSION.name in tables else None
    if version is None or not re.fullmatch(r"[0-9]{4}", version):
        raise StoreError(f"{place} belongs to another program: name another file with DRAGOMAN_DATABASE")
    if version > HEAD:
        raise StoreError(
            f"{place} was written by a newer dragoman (schema {version}; this one knows {HEAD}): "
            f"install that version, {REMEDY}"
        )
    return version
