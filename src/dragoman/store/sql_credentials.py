"""The credentials in a SQL database. A method is one transaction."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from .credentials import CredentialRecord, CredentialStore, Rewrapped
from .database import Run
from .tables import CREDENTIALS

__all__ = ["SQLCredentials"]

NEWEST_FIRST = CREDENTIALS.c.created_at.desc(), CREDENTIALS.c.id.desc()


class SQLCredentials(CredentialStore):
    """`run` does a piece of work in a transaction (`SQLStore`)."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def add(self, record: CredentialRecord) -> bool:
        def add(connection: Connection) -> bool:
            try:
                connection.execute(insert(CREDENTIALS).values(msgspec.structs.asdict(record)))
            except IntegrityError:  # which ends the transaction in PostgreSQL: nothing may follow
                return False
            return True

        return await self._run(add)

    async def list(self) -> Sequence[CredentialRecord]:
        everything = select(CREDENTIALS).order_by(*NEWEST_FIRST)
        return await self._run(lambda connection: [_record(row) for row in connection.execute(everything)])

    async def live(self) -> Sequence[CredentialRecord]:
        not_ended = select(CREDENTIALS).where(CREDENTIALS.c.ended_at.is_(None)).order_by(*NEWEST_FIRST)
        return await self._run(lambda connection: [_record(row) for row in connection.execute(not_ended)])

    async def end(self, credential_id: str, at: datetime) -> CredentialRecord | None:
        this = CREDENTIALS.c.id == credential_id

        def end(connection: Connection) -> CredentialRecord | None:
            still_live = update(CREDENTIALS).where(this, CREDENTIALS.c.ended_at.is_(None))
            connection.execute(still_live.values(ended_at=at, envelope=b""))
            row = connection.execute(select(CREDENTIALS).where(this)).one_or_none()
            return None if row is None else _record(row)

        return await self._run(end)

    async def replace(self, changes: Sequence[Rewrapped]) -> int:
        def replace(connection: Connection) -> int:
            # Always in the same order: two that do this at once wait for one another, and never in a circle.
            return sum(_replace(connection, each) for each in sorted(changes, key=lambda each: each.id))

        return await self._run(replace)


def _replace(connection: Connection, change: Rewrapped) -> int:
    as_read = update(CREDENTIALS).where(CREDENTIALS.c.id == change.id, CREDENTIALS.c.envelope == change.before)
    values = {"envelope": change.envelope, "master_key_id": change.master_key_id}
    return connection.execute(as_read.values(values)).rowcount


def _record(row: Row[tuple[object, ...]]) -> CredentialRecord:
    return CredentialRecord(**row._asdict())
