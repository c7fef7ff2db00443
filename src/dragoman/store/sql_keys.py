"""The KeyStore in a SQL database. A method is one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, exists, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from .database import Run
from .keys import KeyRecord, KeyStore
from .locks import alone
from .tables import API_KEYS

__all__ = ["SQLKeys"]

JSON = ("models", "addresses", "tags")  # fields that are kept as JSON


class SQLKeys(KeyStore):
    """`run` does a piece of work in a transaction (`SQLStore`)."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def add(self, record: KeyRecord) -> bool:
        def add(connection: Connection) -> bool:
            try:
                connection.execute(insert(API_KEYS).values(_values(record)))
            except IntegrityError:  # which ends the transaction in PostgreSQL: nothing may follow
                return False
            return True

        return await self._run(add)

    async def add_first(self, record: KeyRecord) -> bool:
        values = _values(record)
        row = select(*(literal(values[column.name], column.type) for column in API_KEYS.c))
        only_first = row.where(~exists(select(API_KEYS.c.id)))

        def add(connection: Connection) -> bool:
            alone(connection, "first key")
            result = connection.execute(insert(API_KEYS).from_select(list(API_KEYS.c), only_first))
            return result.rowcount == 1

        return await self._run(add)

    async def find(self, key_hash: bytes) -> KeyRecord | None:
        def find(connection: Connection) -> KeyRecord | None:
            found = connection.execute(
                select(API_KEYS).where(or_(API_KEYS.c.hash == key_hash, API_KEYS.c.previous_hash == key_hash))
            )
            return _record(found.one_or_none())

        return await self._run(find)

    async def list(self) -> Sequence[KeyRecord]:
        newest_first = select(API_KEYS).order_by(API_KEYS.c.created_at.desc(), API_KEYS.c.id.desc())

        def read(connection: Connection) -> list[KeyRecord]:
            return [_read(row._asdict()) for row in connection.execute(newest_first)]

        return await self._run(read)

    async def revoke(self, key_id: str, at: datetime) -> KeyRecord | None:
        this = API_KEYS.c.id == key_id

        def revoke(connection: Connection) -> KeyRecord | None:
            still_open = update(API_KEYS).where(this, API_KEYS.c.revoked_at.is_(None))
            connection.execute(still_open.values(revoked_at=at))
            found = connection.execute(select(API_KEYS).where(this))
            return _record(found.one_or_none())

        return await self._run(revoke)


def _record(row: Row[tuple[object, ...]] | None) -> KeyRecord | None:
    return None if row is None else _read(row._asdict())


def _values(record: KeyRecord) -> dict[str, Any]:
    values = msgspec.structs.asdict(record)
    return values | {name: msgspec.json.encode(values[name]).decode() for name in JSON if values[name] is not None}


def _read(row: Mapping[str, Any]) -> KeyRecord:
    parsed = {name: msgspec.json.decode(row[name]) for name in JSON if row[name] is not None}
    for name in ("models", "addresses"):
        if name in parsed:
            parsed[name] = tuple(parsed[name])
    return KeyRecord(**{**row, **parsed})
