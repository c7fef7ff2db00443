"""What SQLStore asks of a kind of database, and the deadline of a transaction. `sqlite.py` and `postgres.py` answer."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection

__all__ = ["Database", "Deadline", "Run"]

T = TypeVar("T")


class Run(Protocol):
    """Does a piece of work in a transaction (`SQLStore`). Raises StoreError."""

    def __call__(self, work: Callable[[Connection], T]) -> Awaitable[T]: ...


class Database(Protocol):
    """One database, by its URL. Opens nothing before `engine` is used."""

    place: str  # what messages call it; never with a password
    errors: tuple[type[Exception], ...]  # what `meaning` explains
    threads: int  # connections at most, and threads that use them
    deadline_s: float | None  # how long a transaction may take, connecting included; None: it never hangs

    def check(self) -> None:
        """Say what is wrong with the place of the database, where that can be told first. Raises StoreError."""

    def engine(self) -> Engine:
        """Connections as they are to be, none of them made yet."""

    def begin_migration(self, connection: Connection) -> None:
        """Begin a transaction in which no other process migrates; waits for one that does."""

    def meaning(self, error: Exception) -> str:
        """What SQLAlchemy's or the driver's exception means and what to do about it, without the values of a row.

        The exception itself holds none either from then on.
        """

    def break_off(self, connection: DBAPIConnection) -> None:
        """Make a connection fail that another thread waits on."""


class Deadline:
    """The end of a transaction's time, at which its connection is broken: nothing else ends a wait for a silent server.

    `over` is for the thread of the transaction, `pass_by` for any other.
    """

    def __init__(self, database: Database) -> None:
        self.has_passed = False
        self._database = database
        self._lock = threading.Lock()
        self._connection: DBAPIConnection | None = None

    @contextmanager
    def over(self, connection: Connection) -> Iterator[None]:
        """While this lasts `connection` may be broken: not before, nor when others have it again."""
        with self._lock:
            self._connection = connection.connection.dbapi_connection
            self._break_off_in_time()
        try:
            yield
        finally:
            with self._lock:
                self._connection = None

    def pass_by(self) -> None:
        with self._lock:
            self.has_passed = True
            self._break_off_in_time()

    def _break_off_in_time(self) -> None:
        if self.has_passed and self._connection is not None:
            self._database.break_off(self._connection)
