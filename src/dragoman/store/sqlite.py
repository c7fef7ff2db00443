"""SQLite: one file that several processes share, or a database in memory."""

import os
import sqlite3
import time
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from dragoman.errors import StoreError

from .database import Database

__all__ = ["SQLite"]

BUSY_TIMEOUT_S = 5.0  # how long a statement waits for another process to let go of the file
POOL_SIZE = 4  # connections to a file
PAGE_BYTES = 16 * 1024  # a row of the ledger is half a kilobyte in four trees: a sixth less work than in pages of 4 KiB
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


class SQLite(Database):
    """The database in a file, or in memory where `path` is None: then it lives as long as the engine."""

    errors = (SQLAlchemyError, sqlite3.Error)
    deadline_s = None  # the busy time-out ends every wait

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.place = "the database in memory" if path is None else f"the database {path}"
        self.threads = POOL_SIZE if path else 1  # in memory one connection is the database, so it is the only one

    def check(self) -> None:
        if self._path is not None:
            _check_file(self._path)

    def engine(self) -> Engine:
        """`mode=rw`, so that a file deleted behind our back is an error and not a new, empty database.

        A connection is used by one thread at a time, but not always by the same one, which SQLite allows and sqlite3
        must be told.
        """
        file = None if self._path is None else self._path.as_uri()
        engine = create_engine(
            URL.create("sqlite", database=file, query={"mode": "rw", "uri": "true"} if file else {}),
            poolclass=QueuePool,
            pool_size=self.threads,
            max_overflow=0,
            connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},  # seconds: SQLite's busy_timeout
            execution_options={"preserve_rowcount": True},  # of an INSERT too, whatever the driver
            hide_parameters=True,  # no hashes in the text of an exception
        )
        event.listen(engine, "connect", _set_up)
        return engine

    def begin_migration(self, connection: Connection) -> None:
        """SQLite's own write lock is the one that is needed."""
        _to_wal(connection)
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def meaning(self, error: Exception) -> str:
        said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        return next((text for sign, text in TROUBLES.items() if sign in said), said)

    def break_off(self, connection: DBAPIConnection) -> None:
        """There is no deadline at which to do so, but it can be done."""
        assert isinstance(connection, sqlite3.Connection)
        connection.interrupt()


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


def _to_wal(connection: Connection) -> None:
    """Lasts as long as the file: readers then never wait for a writer.

    Of several processes that do so at once SQLite refuses some at once, whatever their busy time-out is.
    """
    end = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.exec_driver_sql(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        except OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > end:
                raise
            time.sleep(0.005)
        else:
            return


def _set_up(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
