"""Transactions that must not run beside each other, in any process on the database."""

from hashlib import blake2b

from sqlalchemy import Connection, func, select

__all__ = ["alone", "beside_each_other", "lock_number"]


def alone(connection: Connection, subject: str) -> None:
    """From here to the end of its transaction, no other one is that called this with the same `subject`.

    Comes first in a transaction: what is read after it, others have committed. For what tests and then writes: in
    PostgreSQL two transactions may pass the same test at once. SQLite has one lock for all subjects.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(select(func.pg_advisory_xact_lock(lock_number(subject))))


def beside_each_other(connection: Connection, subject: str) -> None:
    """From here to the end of its transaction, none that is `alone` with the same `subject`; others like this one may
    be. For many that write, of which somebody at times wants to see none in the middle. Comes first, as `alone` does.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(select(func.pg_advisory_xact_lock_shared(lock_number(subject))))


def lock_number(subject: str) -> int:
    """PostgreSQL knows such locks by a signed number of 64 bits, the same for all programs that use the database."""
    return int.from_bytes(blake2b(f"dragoman {subject}".encode(), digest_size=8).digest(), "big", signed=True)
