"""The FileStore in a SQL database. A method is one transaction."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, func, insert, literal, or_, select, update

from .database import Run
from .files import FileRecord, FileStore, Position
from .locks import alone
from .tables import FILES

__all__ = ["SQLFiles"]

AT_ONCE = 500  # ids in one statement; SQLite takes some thousands


class SQLFiles(FileStore):
    """`run` does a piece of work in a transaction (`SQLStore`)."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def add(self, record: FileRecord, *, limit_bytes: int) -> bool:
        values = msgspec.structs.asdict(record)
        row = select(*(literal(values[column.name], column.type) for column in FILES.c))
        fits = _used(record.workspace_id).scalar_subquery() + record.size_bytes <= limit_bytes

        def add(connection: Connection) -> bool:
            alone(connection, f"files of {record.workspace_id}")
            result = connection.execute(insert(FILES).from_select(list(FILES.c), row.where(fits)))
            return result.rowcount == 1

        return await self._run(add)

    async def find(self, workspace_id: str, file_id: str) -> FileRecord | None:
        found = await self._read(select(FILES).where(FILES.c.workspace_id == workspace_id, FILES.c.id == file_id))
        return found[0] if found else None

    async def find_all(self, workspace_id: str, file_ids: Sequence[str]) -> Sequence[FileRecord]:
        found: list[FileRecord] = []
        for start in range(0, len(file_ids), AT_ONCE):
            these = FILES.c.id.in_(file_ids[start : start + AT_ONCE])
            found += await self._read(select(FILES).where(FILES.c.workspace_id == workspace_id, these))
        return sorted(found, key=lambda record: (record.created_at, record.id), reverse=True)

    async def page(
        self,
        workspace_id: str,
        *,
        now: datetime,
        limit: int,
        after: Position | None = None,
        before: Position | None = None,
    ) -> Sequence[FileRecord]:
        wanted = select(FILES).where(_visible(workspace_id, now)).limit(limit)
        if before is not None:  # the nearest ones first, to be turned round
            newer = wanted.where(_is_beyond(before, newer=True))
            return (await self._read(newer.order_by(FILES.c.created_at, FILES.c.id)))[::-1]
        if after is not None:
            wanted = wanted.where(_is_beyond(after, newer=False))
        return await self._read(wanted.order_by(FILES.c.created_at.desc(), FILES.c.id.desc()))

    async def used_bytes(self, workspace_id: str) -> int:
        def read(connection: Connection) -> int:
            return int(connection.scalar(_used(workspace_id)) or 0)

        return await self._run(read)

    async def remove(self, workspace_id: str, file_id: str) -> bool:
        this = delete(FILES).where(FILES.c.workspace_id == workspace_id, FILES.c.id == file_id)

        def remove(connection: Connection) -> bool:
            return connection.execute(this).rowcount == 1

        return await self._run(remove)

    async def list_expired(self, now: datetime) -> Sequence[str]:
        expired = select(FILES.c.id).where(FILES.c.expires_at <= now, FILES.c.erased_at.is_(None))

        def read(connection: Connection) -> list[str]:
            return list(connection.scalars(expired))

        return await self._run(read)

    async def note_erased(self, file_ids: Sequence[str], at: datetime, *, forget_before: datetime) -> None:
        def note(connection: Connection) -> None:
            for start in range(0, len(file_ids), AT_ONCE):
                these = FILES.c.id.in_(file_ids[start : start + AT_ONCE])
                connection.execute(update(FILES).where(these).values(erased_at=at))
            connection.execute(delete(FILES).where(FILES.c.erased_at < forget_before))

        await self._run(note)

    async def ids(self) -> frozenset[str]:
        def read(connection: Connection) -> frozenset[str]:
            return frozenset(connection.scalars(select(FILES.c.id).where(FILES.c.erased_at.is_(None))))

        return await self._run(read)

    async def _read(self, wanted: Select[tuple[object, ...]]) -> list[FileRecord]:
        def read(connection: Connection) -> list[FileRecord]:
            return [FileRecord(**row._mapping) for row in connection.execute(wanted)]

        return await self._run(read)


def _used(workspace_id: str) -> Select[tuple[int]]:
    taken = func.coalesce(func.sum(FILES.c.size_bytes), 0)
    return select(taken).where(FILES.c.workspace_id == workspace_id, FILES.c.erased_at.is_(None))


def _visible(workspace_id: str, now: datetime) -> ColumnElement[bool]:
    lives = or_(FILES.c.expires_at.is_(None), FILES.c.expires_at > now)
    return and_(FILES.c.workspace_id == workspace_id, lives)


def _is_beyond(place: Position, *, newer: bool) -> ColumnElement[bool]:
    time, id_ = FILES.c.created_at, FILES.c.id
    same = time == place.created_at
    if newer:
        return or_(time > place.created_at, and_(same, id_ > place.id))
    return or_(time < place.created_at, and_(same, id_ < place.id))
