"""The Store in a SQL database: SQLAlchemy Core over SQLite, or over PostgreSQL for several machines.

A transaction is a plain function that runs in a thread of the store's own. SQLAlchemy's asyncio face is not used: it
hands each statement to a thread singly, and its import brings the ORM with it (0.05 s and 7 MB). Import this module
only where a store is opened: SQLAlchemy's Core alone takes about 0.1 s and 13 MB. What differs between the databases
is in `sqlite.py` and `postgres.py`, one of which is imported.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, select

from dragoman.errors import StoreError
from dragoman.store.base import Store
from dragoman.store.database import Database, Deadline
from dragoman.store.schema import Migrated, bring_up_to_date
from dragoman.store.sql_batches import SQLBatches
from dragoman.store.sql_budgets import SQLBudgets
from dragoman.store.sql_credentials import SQLCredentials
from dragoman.store.sql_files import SQLFiles
from dragoman.store.sql_keys import SQLKeys
from dragoman.store.sql_ledger import SQLLedger
from dragoman.store.sql_organization import SQLOrganization
from dragoman.store.sql_usage import SQLUsage
from dragoman.store.tables import METADATA, VERSION
from dragoman.store.urls import database_file, is_in_memory

__all__ = ["METADATA", "SQLStore"]

T = TypeVar("T")

ROWS_IN_MEMORY = 10_000  # of the ledger: some 10 MB
TURN_S = 5.0  # how long a transaction waits for a thread


class SQLStore(Store):
    """Keeps `store.base.Store` in the database that `url` names (forms: `store.urls`).

    A database in memory lives from open() to close() of this object. Raises ConfigError for a wrong URL.
    """

    def __init__(self, url: str) -> None:
        self._database = _database(url)
        self._engine: Engine | None = None
        self._threads: ThreadPoolExecutor | None = None  # from the first transaction to close()
        self._running: set[asyncio.Future[Any]] = set()
        self.batches = SQLBatches(self._run)
        self.budgets = SQLBudgets(self._run)
        self.credentials = SQLCredentials(self._run)
        self.files = SQLFiles(self._run)
        self.keys = SQLKeys(self._run)
        self.ledger = SQLLedger(self._run, keep_rows=ROWS_IN_MEMORY if is_in_memory(url) else None)
        self.organization = SQLOrganization(self._run)
        self.usage = SQLUsage(self._run)

    @property
    def place(self) -> str:
        """What messages call the database; never with a password."""
        return self._database.place

    async def open(self) -> None:
        await self.migrate()

    async def migrate(self) -> Migrated:
        """As `open`; tells what became of the schema."""
        database = self._database
        database.check()
        self._engine = engine = database.engine()
        try:
            return await self._in_thread(lambda: bring_up_to_date(engine, database))
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

    async def _run(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a transaction, in a thread of ours."""
        engine, asked = self._engine, time.monotonic()
        if engine is None:
            raise StoreError(f"{self.place} is not open")
        deadline = Deadline(self._database)

        def transact() -> T:
            if time.monotonic() - asked > TURN_S:  # while all threads waited for the database
                raise StoreError(f"{self.place}: too busy, no turn came within {TURN_S:g} s: try again")
            with engine.connect() as connection, deadline.over(connection), connection.begin():
                return work(connection)

        return await self._in_thread(transact, deadline)

    async def _in_thread(self, work: Callable[[], T], deadline: Deadline | None = None) -> T:
        """What `work` returns. It ends even when the caller is cancelled, and close() awaits it."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._database.threads, thread_name_prefix="dragoman-store")
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._threads, self._translate, work, deadline)
        self._running.add(running)
        running.add_done_callback(self._note_end)
        if deadline is not None and self._database.deadline_s is not None:
            end = loop.call_later(self._database.deadline_s, deadline.pass_by)
            running.add_done_callback(lambda _: end.cancel())
        return await asyncio.shield(running)

    def _note_end(self, running: "asyncio.Future[Any]") -> None:
        """Whoever waited may have gone; then nobody else asks how it ended, and asyncio would complain of that."""
        self._running.discard(running)
        if not running.cancelled():
            running.exception()

    def _translate(self, work: Callable[[], T], deadline: Deadline | None) -> T:
        """SQLAlchemy's and the driver's exceptions become StoreError, without the statement and its values."""
        try:
            return work()
        except self._database.errors as error:
            meaning = self._database.meaning(error)
            if deadline is not None and deadline.has_passed:
                meaning = f"no answer came within {self._database.deadline_s:g} s: try again"
            raise StoreError(f"{self.place}: {meaning}") from error


def _database(url: str) -> Database:
    """Each is imported only where it is used."""
    path = database_file(url)
    if path is None and not is_in_memory(url):
        from dragoman.store.postgres import Postgres

        return Postgres(url)
    from dragoman.store.sqlite import SQLite

    return SQLite(path)
