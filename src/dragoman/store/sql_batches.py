"""The BatchStore in a SQL database. A method is one transaction; `add` is one a page, so as not to keep others out."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from dragoman.errors import StoreError
from dragoman.store.batches import Batch, BatchRequest, BatchResult, BatchStore, Outcome
from dragoman.store.database import Run
from dragoman.store.locks import alone
from dragoman.store.tables import BATCH_REQUESTS, BATCHES

__all__ = ["SQLBatches"]

FIELDS = [BATCHES.c[name] for name in Batch.__struct_fields__]
NUMBER, OUTCOME = BATCH_REQUESTS.c.number, BATCH_REQUESTS.c.outcome


class SQLBatches(BatchStore):
    """`run` does a piece of work in a transaction (`SQLStore`)."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def add(self, batch: Batch, pages: Iterable[Sequence[BatchRequest]], *, worker: str) -> None:
        values = msgspec.structs.asdict(batch)
        this = BATCHES.c.id == batch.id
        await self._do(insert(BATCHES).values(**values, is_whole=False, worker=worker))
        try:
            for page in pages:
                await self._do(insert(BATCH_REQUESTS), [_row(batch.id, request) for request in page])
            await self._do(update(BATCHES).where(this).values(is_whole=True, worker=None))
        except Exception:
            with suppress(StoreError):  # then it goes with the next `erase`
                await self._do(delete(BATCHES).where(this, BATCHES.c.is_whole.is_(False)))
            raise

    async def find(self, batch_id: str, workspace_id: str) -> Batch | None:
        found = await self._batches(_is_shown(workspace_id), BATCHES.c.id == batch_id, limit=1)
        return found[0] if found else None

    async def page(
        self, workspace_id: str, limit: int, *, after: Batch | None = None, before: Batch | None = None
    ) -> Sequence[Batch]:
        wanted = [_is_shown(workspace_id)]
        if after is not None:
            wanted.append(_is_older(after))
        if before is None:
            return await self._batches(*wanted, limit=limit)
        found = await self._batches(*wanted, _is_newer(before), limit=limit, oldest_first=True)
        return found[::-1]

    async def cancel(self, batch_id: str, at: datetime) -> None:
        is_open = and_(BATCHES.c.ended_at.is_(None), BATCHES.c.cancel_initiated_at.is_(None))
        await self._do(update(BATCHES).where(BATCHES.c.id == batch_id, is_open).values(cancel_initiated_at=at))

    async def delete(self, batch_id: str) -> bool:
        deleted = await self._do(delete(BATCHES).where(BATCHES.c.id == batch_id, BATCHES.c.ended_at.is_not(None)))
        return deleted == 1

    async def claim(self, worker: str, now: datetime, until: datetime, limit: int) -> Sequence[Batch]:
        is_open = and_(BATCHES.c.ended_at.is_(None), BATCHES.c.is_whole.is_(True))
        is_ours = BATCHES.c.worker == worker
        is_free = or_(BATCHES.c.leased_until.is_(None), BATCHES.c.leased_until <= now)
        is_over = or_(BATCHES.c.cancel_initiated_at.is_not(None), BATCHES.c.expires_at <= now)
        ids = select(BATCHES.c.id).where(is_open, or_(is_ours, is_free))
        ids = ids.order_by(BATCHES.c.created_at, BATCHES.c.id).limit(limit)
        wanted = or_(BATCHES.c.id.in_(ids), BATCHES.c.id.in_(ids.where(is_over)))
        change = update(BATCHES).where(wanted).values(worker=worker, leased_until=until)

        def claim(connection: Connection) -> int:
            alone(connection, "claims of batches")
            return connection.execute(change).rowcount

        taken = await self._run(claim)
        return await self._batches(is_open, is_ours, limit=2 * limit, oldest_first=True) if taken else []

    async def release(self, worker: str) -> None:
        await self._do(update(BATCHES).where(BATCHES.c.worker == worker).values(worker=None, leased_until=None))

    async def workers(self) -> Sequence[str]:
        held = select(BATCHES.c.worker).where(BATCHES.c.ended_at.is_(None), BATCHES.c.worker.is_not(None))
        return [row.worker for row in await self._rows(held.distinct())]

    async def bury(self, worker: str) -> None:
        await self._do(delete(BATCHES).where(BATCHES.c.worker == worker, BATCHES.c.is_whole.is_(False)))
        await self.release(worker)

    async def pending(self, batch_id: str, *, after: int, limit: int) -> Sequence[int]:
        query = select(NUMBER).where(BATCH_REQUESTS.c.batch_id == batch_id, after < NUMBER, OUTCOME.is_(None))
        return [row.number for row in await self._rows(query.order_by(NUMBER).limit(limit))]

    async def take(self, batch_id: str, number: int, now: datetime) -> BatchRequest | None:
        columns = [BATCH_REQUESTS.c[name] for name in ("number", "custom_id", "params")]
        query = select(*columns).join(BATCHES, BATCHES.c.id == BATCH_REQUESTS.c.batch_id)
        query = query.where(_is(batch_id, number), BATCHES.c.cancel_initiated_at.is_(None), BATCHES.c.expires_at > now)
        rows = await self._rows(query)
        return BatchRequest(**rows[0]._mapping) if rows else None

    async def keep(self, batch_id: str, number: int, outcome: Outcome, body: bytes) -> None:
        change = update(BATCH_REQUESTS).where(_is(batch_id, number))
        await self._do(change.values(outcome=outcome, body=body, params=None))

    async def end(self, batch_id: str, at: datetime) -> bool:
        this = BATCHES.c.id == batch_id
        of_this = BATCH_REQUESTS.c.batch_id == batch_id

        def end(connection: Connection) -> bool:
            found = connection.execute(select(*FIELDS).where(this)).one_or_none()
            if found is None:
                return False
            batch = Batch(**found._mapping)
            if (left := _left_over(batch, at)) is not None:
                rest = update(BATCH_REQUESTS).where(of_this, OUTCOME.is_(None))
                connection.execute(rest.values(outcome=left, params=None))
            counted = connection.execute(select(OUTCOME, func.count()).where(of_this).group_by(OUTCOME))
            counts = {str(outcome): count for outcome, count in counted.all()}
            if "None" in counts:
                return False
            ended = update(BATCHES).where(this, BATCHES.c.ended_at.is_(None))
            connection.execute(ended.values(**counts, ended_at=at, worker=None, leased_until=None))
            return True

        return bool(await self._run(end))

    async def results(self, batch_id: str, *, after: int, limit: int) -> Sequence[BatchResult]:
        columns = [BATCH_REQUESTS.c[name] for name in BatchResult.__struct_fields__]
        query = select(*columns).where(BATCH_REQUESTS.c.batch_id == batch_id, after < NUMBER, OUTCOME.is_not(None))
        return [BatchResult(**row._mapping) for row in await self._rows(query.order_by(NUMBER).limit(limit))]

    async def erase(self, *, results_before: datetime, broken_before: datetime) -> None:
        old = select(BATCHES.c.id).where(BATCHES.c.created_at <= results_before, BATCHES.c.ended_at.is_not(None))
        await self._do(delete(BATCH_REQUESTS).where(BATCH_REQUESTS.c.batch_id.in_(old)))
        await self._do(delete(BATCHES).where(BATCHES.c.is_whole.is_(False), BATCHES.c.created_at <= broken_before))

    async def _batches(self, *wanted: ColumnElement[bool], limit: int, oldest_first: bool = False) -> list[Batch]:
        order = [BATCHES.c.created_at, BATCHES.c.id]
        query = select(*FIELDS).where(*wanted).limit(limit)
        query = query.order_by(*(order if oldest_first else [column.desc() for column in order]))
        return [Batch(**row._mapping) for row in await self._rows(query)]

    async def _rows(self, query: Any) -> list[Any]:
        def read(connection: Connection) -> list[Any]:
            return list(connection.execute(query).all())

        return list(await self._run(read))

    async def _do(self, statement: Any, rows: Sequence[dict[str, object]] | None = None) -> int:
        """The number of rows that it changed."""

        def write(connection: Connection) -> int:
            return connection.execute(statement, rows).rowcount

        return int(await self._run(write))


def _row(batch_id: str, request: BatchRequest) -> dict[str, object]:
    is_refused = request.error is not None
    return {
        "batch_id": batch_id,
        "number": request.number,
        "custom_id": request.custom_id,
        "params": None if is_refused else request.params,
        "outcome": "errored" if is_refused else None,
        "body": request.error,
    }


def _is(batch_id: str, number: int) -> ColumnElement[bool]:
    """The request, while it has no result."""
    return and_(BATCH_REQUESTS.c.batch_id == batch_id, BATCH_REQUESTS.c.number == number, OUTCOME.is_(None))


def _is_shown(workspace_id: str) -> ColumnElement[bool]:
    return and_(BATCHES.c.workspace_id == workspace_id, BATCHES.c.is_whole.is_(True))


def _is_older(than: Batch) -> ColumnElement[bool]:
    same = and_(BATCHES.c.created_at == than.created_at, BATCHES.c.id < than.id)
    return or_(BATCHES.c.created_at < than.created_at, same)


def _is_newer(than: Batch) -> ColumnElement[bool]:
    same = and_(BATCHES.c.created_at == than.created_at, BATCHES.c.id > than.id)
    return or_(BATCHES.c.created_at > than.created_at, same)


def _left_over(batch: Batch, at: datetime) -> Outcome | None:
    """What becomes of requests without a result; None: they are still to be answered."""
    if batch.cancel_initiated_at is not None:
        return "canceled"
    return "expired" if batch.expires_at <= at else None
