"""The KeyStore in a SQL database. A method is one transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Update,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from .database import Run
from .keys import KeyChanges, KeyFilter, KeyRecord, KeyStatus, KeyStore
from .locks import alone
from .sql_tiers import hold_tier
from .tables import API_KEYS, WORKSPACES

__all__ = ["SQLKeys"]

JSON = ("models", "addresses", "tags")  # fields that are kept as JSON
IDS_AT_ONCE = 1000  # in one statement: databases take a few ten thousand values
OF_WORKSPACE = ("workspace_tier", "workspace_archived_at")  # fields that are kept elsewhere
KEYS = API_KEYS.c
WITH_WORKSPACE = API_KEYS.outerjoin(WORKSPACES, WORKSPACES.c.id == KEYS.workspace_id)
WHOLE = select(
    *KEYS, WORKSPACES.c.tier.label("workspace_tier"), WORKSPACES.c.archived_at.label("workspace_archived_at")
).select_from(WITH_WORKSPACE)


def _by_hash() -> Select[Any]:
    """By the one unique index, and where that has nothing by the other: an OR over both would leave it to the planner
    whether all keys are read. Made once: to build it takes longer than SQLite takes to answer it.
    """
    wanted = bindparam("key_hash", type_=LargeBinary)
    has, had = (select(KEYS.id).where(column == wanted).scalar_subquery() for column in (KEYS.hash, KEYS.previous_hash))
    return WHOLE.where(KEYS.id == func.coalesce(has, had))


class SQLKeys(KeyStore):
    """`run` does a piece of work in a transaction (`SQLStore`)."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def add(self, record: KeyRecord, *, needs_tier: str | None = None) -> bool:
        def add(connection: Connection) -> bool:
            hold_tier(connection, needs_tier)
            try:
                connection.execute(insert(API_KEYS).values(_values(record)))
            except IntegrityError:  # which ends the transaction in PostgreSQL: nothing may follow
                return False
            return True

        return await self._run(add)

    async def add_first(self, record: KeyRecord) -> bool:
        values = _values(record)
        row = select(*(literal(values[column.name], column.type) for column in KEYS))
        only_first = row.where(~exists(select(KEYS.id)))

        def add(connection: Connection) -> bool:
            alone(connection, "first key")
            result = connection.execute(insert(API_KEYS).from_select(list(KEYS), only_first))
            return result.rowcount == 1

        return await self._run(add)

    async def find(self, key_hash: bytes) -> KeyRecord | None:
        def find(connection: Connection) -> KeyRecord | None:
            return _record(connection.execute(BY_HASH, {"key_hash": key_hash}).one_or_none())

        return await self._run(find)

    async def get(self, key_id: str) -> KeyRecord | None:
        def get(connection: Connection) -> KeyRecord | None:
            return _get(connection, key_id)

        return await self._run(get)

    async def named(self, id_or_hint: str, key_hash: bytes) -> Sequence[KeyRecord]:
        is_meant = or_(KEYS.id == id_or_hint, KEYS.hint == id_or_hint, KEYS.hash == key_hash)
        return await self._newest_first(WHOLE.where(is_meant))

    async def tags(
        self, key_ids: Collection[str], *, workspace_id: str | None = None
    ) -> Mapping[str, Mapping[str, str]]:
        ids = sorted(key_ids)
        wanted = select(KEYS.id, KEYS.tags).where(KEYS.tags.is_not(None))
        if workspace_id is not None:
            wanted = wanted.where(KEYS.workspace_id == workspace_id)

        def read(connection: Connection) -> Mapping[str, Mapping[str, str]]:
            parts = [ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE)]
            rows = (row for part in parts for row in connection.execute(wanted.where(KEYS.id.in_(part))))
            return {row.id: msgspec.json.decode(row.tags) for row in rows}

        return await self._run(read)

    async def list(self) -> Sequence[KeyRecord]:
        return await self._newest_first(WHOLE)

    async def page(
        self,
        limit: int,
        *,
        now: datetime,
        where: KeyFilter | None = None,
        after: KeyRecord | None = None,
        before: KeyRecord | None = None,
    ) -> Sequence[KeyRecord]:
        query = WHOLE.where(*_conditions(where or KeyFilter(), now)).limit(limit)
        if after is not None:
            older = and_(KEYS.created_at == after.created_at, KEYS.id < after.id)
            query = query.where(or_(KEYS.created_at < after.created_at, older))
        if before is None:
            return await self._newest_first(query)
        newer = and_(KEYS.created_at == before.created_at, KEYS.id > before.id)
        query = query.where(or_(KEYS.created_at > before.created_at, newer))
        return (await self._read(query.order_by(KEYS.created_at, KEYS.id)))[::-1]

    async def update(
        self, key_id: str, changes: KeyChanges, at: datetime, *, needs_tier: str | None = None
    ) -> KeyRecord | None:
        change = update(API_KEYS).where(KEYS.id == key_id)
        if changes.status in ("active", "inactive"):
            change = change.where(KEYS.revoked_at.is_(None))
        values = _changed(changes, at)

        def change_it(connection: Connection) -> KeyRecord | None:
            hold_tier(connection, needs_tier)
            if values:
                connection.execute(_end_with_workspace(key_id))
                connection.execute(change.values(values))
            return _get(connection, key_id)

        return await self._run(change_it)

    async def rotate(self, key_id: str, *, key_hash: bytes, hint: str, previous_until: datetime) -> KeyRecord | None:
        is_this = KEYS.id == key_id
        change = update(API_KEYS).where(is_this, KEYS.revoked_at.is_(None))
        change = change.values(hash=key_hash, hint=hint, previous_hash=KEYS.hash, previous_until=previous_until)

        # Of a preset key that was rotated away, preset again as another one, and rotated again: the last one has it.
        current = select(KEYS.hash).where(is_this).scalar_subquery()
        others = update(API_KEYS).where(KEYS.previous_hash == current)

        def rotate(connection: Connection) -> KeyRecord | None:
            connection.execute(_end_with_workspace(key_id))
            connection.execute(others.values(previous_hash=None, previous_until=None))
            is_there = connection.execute(change).rowcount == 1
            return _get(connection, key_id) if is_there else None

        return await self._run(rotate)

    async def revoke(self, key_id: str, at: datetime) -> KeyRecord | None:
        return await self.update(key_id, KeyChanges(status="archived"), at)

    async def _newest_first(self, query: Select[Any]) -> Sequence[KeyRecord]:
        return await self._read(query.order_by(KEYS.created_at.desc(), KEYS.id.desc()))

    async def _read(self, query: Select[Any]) -> Sequence[KeyRecord]:
        def read(connection: Connection) -> Sequence[KeyRecord]:
            return [_read(row._asdict()) for row in connection.execute(query)]

        return await self._run(read)


def _get(connection: Connection, key_id: str) -> KeyRecord | None:
    return _record(connection.execute(WHOLE.where(KEYS.id == key_id)).one_or_none())


def _end_with_workspace(key_id: str) -> Update:
    """A key that came into a workspace while it was archived, or of one that an older version archived, is archived,
    and so stays that when it is put elsewhere.
    """
    archived_at = select(WORKSPACES.c.archived_at).where(WORKSPACES.c.id == KEYS.workspace_id).scalar_subquery()
    is_late = and_(KEYS.id == key_id, KEYS.revoked_at.is_(None), archived_at.is_not(None))
    return update(API_KEYS).where(is_late).values(revoked_at=archived_at)


def _conditions(where: KeyFilter, now: datetime) -> list[ColumnElement[bool]]:
    conditions = [] if where.status is None else [_has_status(where.status, now)]
    if where.workspace_id is None:
        conditions.append(KEYS.workspace_id.is_(None))
    elif where.workspace_id is not UNSET:
        conditions.append(KEYS.workspace_id == where.workspace_id)
    if where.created_by is not None:
        conditions.append(KEYS.created_by == where.created_by)
    if where.is_admin is not None:
        conditions.append(KEYS.role.is_not(None) if where.is_admin else KEYS.role.is_(None))
    return conditions


def _has_status(status: KeyStatus, now: datetime) -> ColumnElement[bool]:
    """As `KeyRecord.status` says, of `WHOLE`."""
    if status == "archived":
        return or_(KEYS.revoked_at.is_not(None), WORKSPACES.c.archived_at.is_not(None))
    is_kept = and_(KEYS.revoked_at.is_(None), WORKSPACES.c.archived_at.is_(None))
    if status == "expired":
        return and_(is_kept, KEYS.expires_at <= now)
    is_open = and_(is_kept, or_(KEYS.expires_at.is_(None), KEYS.expires_at > now))
    return and_(is_open, KEYS.disabled_at.is_(None) if status == "active" else KEYS.disabled_at.is_not(None))


def _changed(changes: KeyChanges, at: datetime) -> dict[str, Any]:
    given = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
    status = given.pop("status", None)
    values: dict[str, Any] = _with_json(given)
    if status == "archived":
        values["revoked_at"] = func.coalesce(KEYS.revoked_at, literal(at, KEYS.revoked_at.type))
    elif status == "inactive":
        values["disabled_at"] = func.coalesce(KEYS.disabled_at, literal(at, KEYS.disabled_at.type))
    elif status == "active":
        values["disabled_at"] = None
    return values


def _record(row: Any | None) -> KeyRecord | None:
    return None if row is None else _read(row._asdict())


def _values(record: KeyRecord) -> dict[str, Any]:
    values = msgspec.structs.asdict(record)
    return _with_json({name: value for name, value in values.items() if name not in OF_WORKSPACE})


def _with_json(values: Mapping[str, Any]) -> dict[str, Any]:
    as_json = {name: msgspec.json.encode(values[name]).decode() for name in JSON if values.get(name) is not None}
    return {**values, **as_json}


def _read(row: Mapping[str, Any]) -> KeyRecord:
    parsed = {name: msgspec.json.decode(row[name]) for name in JSON if row[name] is not None}
    for name in ("models", "addresses"):
        if name in parsed:
            parsed[name] = tuple(parsed[name])
    return KeyRecord(**{**row, **parsed})


BY_HASH = _by_hash()
