"""The BudgetStore in a SQL database. A method is one transaction, but for the first of a window's spending."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy import Column, Connection, Row, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from .budgets import BudgetChanges, BudgetRecord, BudgetStore, ScopeKind, Spending
from .database import Run
from .locks import alone
from .sql_spending import SPENDING, spent_before
from .tables import BUDGET_SPENDING, BUDGETS

__all__ = ["SQLBudgets"]

WINDOWS_AT_ONCE = 400  # of a statement


class SQLBudgets(BudgetStore):
    """`run` does a piece of work in a transaction (`SQLStore`)."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def add(self, record: BudgetRecord) -> bool:
        def add(connection: Connection) -> bool:
            try:
                connection.execute(insert(BUDGETS).values(_values(msgspec.structs.asdict(record))))
            except IntegrityError:  # which ends the transaction in PostgreSQL: nothing may follow
                return False
            return True

        return await self._run(add)

    async def list(
        self, scope: ScopeKind | None = None, scope_id: str | None = None, *, with_ended: bool = False
    ) -> Sequence[BudgetRecord]:
        columns = BUDGETS.c
        asked = select(BUDGETS).order_by(columns.created_at.desc(), columns.id.desc())
        if scope is not None:
            asked = asked.where(columns.scope == scope)
        if scope_id is not None:
            asked = asked.where(columns.scope_id == scope_id)
        if not with_ended:
            asked = asked.where(columns.ended_at.is_(None))
        return await self._run(lambda connection: [_read(row._asdict()) for row in connection.execute(asked)])

    async def find(self, budget_id: str) -> BudgetRecord | None:
        return await self._run(lambda connection: _find(connection, budget_id))

    async def update(self, budget_id: str, changes: BudgetChanges) -> BudgetRecord | None:
        given = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
        return await self._change(budget_id, given)

    async def end(self, budget_id: str, at: datetime) -> BudgetRecord | None:
        return await self._change(budget_id, {"ended_at": at})

    async def _change(self, budget_id: str, given: Mapping[str, Any]) -> BudgetRecord | None:
        def change(connection: Connection) -> BudgetRecord | None:
            if given:
                still_open = update(BUDGETS).where(BUDGETS.c.id == budget_id, BUDGETS.c.ended_at.is_(None))
                connection.execute(still_open.values(_values(given)))
            return _find(connection, budget_id)

        return await self._run(change)

    async def first_spent(self, budget_id: str, window: tuple[int, int], scope: ScopeKind, scope_id: str) -> int:
        window_start, window_end = window
        known = await self.spent(budget_id, window_start)
        if known is not None:
            return known

        def begin(connection: Connection) -> int:
            alone(connection, SPENDING)
            known = _spent(connection, budget_id, window_start)
            if known is not None:
                return known
            before = spent_before(connection, window, scope, scope_id)
            row = insert(BUDGET_SPENDING).values(
                budget_id=budget_id,
                window_start=window_start,
                window_end=window_end,
                scope=scope,
                scope_id=scope_id,
                spent_nano=before,
                told_nano=0,
                refused_nano=-1,
            )
            connection.execute(row)
            return before

        return await self._run(begin)

    async def spent(self, budget_id: str, window_start: int) -> int | None:
        return await self._run(lambda connection: _spent(connection, budget_id, window_start))

    async def spending(self, windows: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], Spending]:
        columns = BUDGET_SPENDING.c
        wanted = [*windows]

        def read(connection: Connection) -> dict[tuple[str, int], Spending]:
            found = {}
            for at in range(0, len(wanted), WINDOWS_AT_ONCE):
                some = tuple_(columns.budget_id, columns.window_start).in_(wanted[at : at + WINDOWS_AT_ONCE])
                for row in connection.execute(select(BUDGET_SPENDING).where(some)):
                    window = (row.budget_id, row.window_start)
                    found[window] = Spending(row.spent_nano, row.told_nano, row.refused_nano)
            return found

        return await self._run(read)

    async def claim_alert(self, budget_id: str, window_start: int, at_nano: int) -> bool:
        return await self._claim(budget_id, window_start, BUDGET_SPENDING.c.told_nano, at_nano)

    async def claim_refusal(self, budget_id: str, window_start: int, limit_nano: int) -> bool:
        return await self._claim(budget_id, window_start, BUDGET_SPENDING.c.refused_nano, limit_nano)

    async def _claim(self, budget_id: str, window_start: int, told: Column[int], nano: int) -> bool:
        unclaimed = update(BUDGET_SPENDING).where(*_this(budget_id, window_start), told < nano)
        claim = unclaimed.values({told: nano})
        return await self._run(lambda connection: connection.execute(claim).rowcount == 1)


def _this(budget_id: str, window_start: int) -> tuple[Any, Any]:
    return BUDGET_SPENDING.c.budget_id == budget_id, BUDGET_SPENDING.c.window_start == window_start


def _spent(connection: Connection, budget_id: str, window_start: int) -> int | None:
    found = connection.scalar(select(BUDGET_SPENDING.c.spent_nano).where(*_this(budget_id, window_start)))
    return None if found is None else int(found)


def _find(connection: Connection, budget_id: str) -> BudgetRecord | None:
    found: Row[Any] | None = connection.execute(select(BUDGETS).where(BUDGETS.c.id == budget_id)).one_or_none()
    return None if found is None else _read(found._asdict())


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(given)
    if "alerts" in values:
        values["alerts"] = msgspec.json.encode(values["alerts"]).decode()
    return values


def _read(row: Mapping[str, Any]) -> BudgetRecord:
    return BudgetRecord(**{**row, "alerts": tuple(msgspec.json.decode(row["alerts"]))})
