"""PostgreSQL, through psycopg and libpq: the URL goes to libpq as it stands, which finds what it does not say.

That is the variables and files of every client of it: PGPASSWORD, ~/.pgpass, PGSSLMODE, services. Import this module
only where such a URL is given: SQLAlchemy's dialect and psycopg take 0.1 s.
"""

import logging
import os
import selectors
import socket
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, func, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError

from dragoman.errors import ConfigError

from .database import Database
from .locks import alone, lock_number
from .urls import POSTGRES_FORM, database_file, database_name

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError as missing:  # psycopg itself, or the libpq that it needs
    raise ConfigError(
        "database: PostgreSQL needs the driver psycopg, which is not installed here: pip install 'dragoman[postgres]'"
    ) from missing

__all__ = ["Postgres"]

log = logging.getLogger("dragoman.store")

POOL_SIZE = 4  # connections of a process, and threads that use them; a server takes 100 by default (pain 36)
CONNECT_TIMEOUT_S = 5  # to each host
STATEMENT_TIMEOUT_S = 10.0  # the server ends a longer one
IDLE_TIMEOUT_S = 60.0  # and a transaction of which it hears nothing any more
TRANSACTION_TIMEOUT_S = 20.0  # after that the connection is broken: the server may be frozen, or the network cut
TABLE_LOCK_TIMEOUT_S = 10.0  # how long a migration waits for a table, and holds up all others who want it

MIGRATION = "migration"  # subject of the lock

# SQLSTATE -> what it means and what to do about it. Source: PostgreSQL documentation, appendix A, read 2026-11-21.
TROUBLES = {
    "25006": "it cannot be written: this server is a standby or read-only; name the primary",
    "3F000": "its search_path names no schema that exists: make one, or leave search_path out of the URL",
    "40P01": "two transactions waited for each other: try again",
    "42501": "the user of its URL may not do this: let it own the database, or give it CREATE and USAGE on the schema",
    "53100": "the disk of its server is full: make room",
    "53300": "its server has no connection left: raise max_connections, or end who holds them",
    "55P03": f"another session (a backup?) held a table for {TABLE_LOCK_TIMEOUT_S:g} s: try again when it has ended",
    "57014": f"a statement took longer than {STATEMENT_TIMEOUT_S:g} s: try again",
    "57P01": "its server is being stopped: try again when it is back",
    "57P02": "its server crashed: try again when it is back",
    "57P03": "its server is starting or stopping: try again in a moment",
    "57P04": "it was dropped",
    "57P05": "its server ended the connection, which was idle: try again",
    "25P03": "its server ended the transaction, of which it had heard nothing: try again",
    "22P05": "it is not in UTF-8: make one with ENCODING 'UTF8'",
}
# What a server says to one who connects has no SQLSTATE here; these are its English texts.
REFUSALS = {
    "authentication failed": "its server refuses user or password: check them in the URL",
    "no password supplied": "its server asks for a password: put one in the URL, PGPASSWORD or ~/.pgpass",
    "no pg_hba.conf entry": "its server lets this user or machine not in: see its pg_hba.conf",
    "too many clients": TROUBLES["53300"],
    "remaining connection slots": TROUBLES["53300"],
    "too many connections": TROUBLES["53300"],
    "is starting up": TROUBLES["57P03"],
    "is shutting down": TROUBLES["57P03"],
    "not accepting connections": TROUBLES["57P03"],
    "unsupported startup parameter": 'a pooler in front of it takes no "options": add ?options= to the URL',
}


class Postgres(Database):
    """The database that a URL names. Raises ConfigError for one that libpq does not take."""

    threads = POOL_SIZE
    errors = (SQLAlchemyError, psycopg.Error)

    def __init__(self, url: str) -> None:
        database_file(url)  # looks at its form
        self.place = database_name(url)
        self._parameters = _parameters(url)
        self.deadline_s: float | None = TRANSACTION_TIMEOUT_S

    def check(self) -> None:
        """Nothing can be told before it is asked."""

    def engine(self) -> Engine:
        """Its own URL tells nothing: what is secret goes past it.

        Statements are not prepared: a pooler between us and the server may hand the next one to another session.
        """
        engine = create_engine(
            "postgresql+psycopg://",
            connect_args={**self._parameters, "prepare_threshold": None},
            poolclass=QueuePool,
            pool_size=POOL_SIZE,
            max_overflow=0,
            isolation_level="READ COMMITTED",  # whatever the server's default is
            use_native_hstore=False,  # spares a question
            execution_options={"preserve_rowcount": True},  # of an INSERT too
            hide_parameters=True,
        )
        event.listen(engine, "checkout", _must_be_alive)
        return engine

    def begin_migration(self, connection: Connection) -> None:
        """Migrations may be long, but not hold up others for long: who waits for a table holds up all behind it."""
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        if not connection.scalar(select(func.pg_try_advisory_xact_lock(lock_number(MIGRATION)))):
            log.info("%s: waiting for another process that brings it up to date", self.place)
            alone(connection, MIGRATION)
        connection.execute(text(f"SET LOCAL lock_timeout = {int(TABLE_LOCK_TIMEOUT_S * 1000)}"))

    def meaning(self, error: Exception) -> str:
        said = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(said, psycopg.Error):
            return str(error)
        if said.sqlstate is None:
            return _without_state(said)
        primary = f"{said.diag.message_primary} (SQLSTATE {said.sqlstate})"
        for each in (error, said):  # the rest of its text may quote a row
            each.args = (primary,)
        return TROUBLES.get(said.sqlstate, primary)

    def break_off(self, connection: DBAPIConnection) -> None:
        """By its socket: libpq, which waits there in another thread, is told that the server has gone."""
        assert isinstance(connection, psycopg.Connection)
        with suppress(OSError, psycopg.Error), socket.socket(fileno=connection.fileno()) as wire:
            try:
                wire.shutdown(socket.SHUT_RDWR)
            finally:
                wire.detach()  # it stays libpq's to close


def _parameters(url: str) -> dict[str, Any]:
    """For libpq. What the URL says wins, then the environment; an empty `options` in the URL keeps all others back."""
    try:
        given: dict[str, Any] = conninfo_to_dict(url)
    except psycopg.Error as error:
        said = str(error).strip()  # which may quote from the password
        why = said if said.startswith("invalid URI query parameter") else "is none that libpq reads"
        raise ConfigError(f"database: this URL: {why}; write {POSTGRES_FORM}") from None
    if (options := given.pop("options", os.environ.get("PGOPTIONS") or None)) != "":
        limits = {"statement_timeout": STATEMENT_TIMEOUT_S, "idle_in_transaction_session_timeout": IDLE_TIMEOUT_S}
        ours = " ".join(f"-c {name}={_ms(limit)}" for name, limit in limits.items())
        options = f"{ours} {options or ''}".strip()
    return {
        "connect_timeout": os.environ.get("PGCONNECT_TIMEOUT") or CONNECT_TIMEOUT_S,
        "fallback_application_name": "dragoman",
        "client_encoding": "utf8",
        # A connection that nobody uses must be kept open, and be known as broken, by the system.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": _ms(TRANSACTION_TIMEOUT_S),
        **given,
        "options": options,  # an empty one too, or libpq would take that of the environment
    }


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _must_be_alive(connection: DBAPIConnection, *_: object) -> None:
    """A connection that has something to say between transactions says that it has ended; the pool makes another.

    Asks the system and not the server, which would take a turn over the network and, with a server that is frozen, no
    end.
    """
    assert isinstance(connection, psycopg.Connection)
    if connection.closed:
        raise DisconnectionError("closed")
    with selectors.DefaultSelector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        if selector.select(timeout=0):
            raise DisconnectionError("its server has ended it")


def _without_state(error: psycopg.Error) -> str:
    """Of trouble that libpq tells: nobody answers, or no more."""
    said = str(error).strip()
    if meaning := next((text for sign, text in REFUSALS.items() if sign in said), None):
        return meaning
    first = said.partition("\n")[0]
    for sign in ("connection failed: ", "connection is bad: ", "failed to resolve", "connection timeout"):
        if first.startswith(sign):
            why = first.removeprefix(sign) if sign.endswith(": ") else first
            return f"it cannot be reached: {why}"
    return f"the connection broke off ({first}): try again"
