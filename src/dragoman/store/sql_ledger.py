"""The ledger in a SQL database: its writing side. A method is one transaction.

Written often, so past SQLAlchemy's own way of making statements. For SQLite a statement has many rows, as its driver
lets go of Python's lock for each statement and gets it back only after others: with a row each, that would take a busy
server seconds. PostgreSQL gets all rows as one text of JSON, which the driver need not look into.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
from msgspec.structs import asdict, astuple
from sqlalchemy import Connection, delete, func, select, tuple_

from .database import Run
from .ledger import LedgerRow, LedgerStore
from .locks import alone, beside_each_other
from .sql_spending import SPENDING, add_spent
from .tables import BUDGET_SPENDING, LEDGER, USAGE_SUMS
from .usage import DAY_OF_ALL_S, context_window

__all__ = ["SQLLedger"]

T = TypeVar("T")

HOUR_S, DAY_S = 3600, 86_400
# Rows of a statement: more make it no quicker in SQLite. Few sizes, as each is a statement of its own that is kept.
AT_ONCE = (40, 8, 1)
IDS_AT_ONCE = 500
FIRST_ERROR_STATUS = 400
FAILED = frozenset({"cut", "interrupted"})  # outcomes that count as errors whatever the status was

# What tells one row of sums from another, and what is added up in it, in the order of the table's columns.
KEYS = [column.name for column in USAGE_SUMS.primary_key]
ADDED = [column.name for column in USAGE_SUMS.c if column.name not in KEYS]
_alike = attrgetter("workspace_id", "key_id", "operation", "model", "provider", "answered_model")
UNKNOWN = 404  # status of requests for models that there are not
_unnamed = attrgetter("workspace_id", "key_id", "operation")


class _Replayed(Exception):
    """Some rows are there already: nothing was written."""


class SQLLedger(LedgerStore):
    """`run` does a piece of work in a transaction (`SQLStore`). Above `keep_rows` the oldest go: for a database in
    memory, which would grow for ever. Sums stay."""

    def __init__(self, run: Run, *, keep_rows: int | None = None) -> None:
        self._run = run
        self._keep_rows = keep_rows
        self._added = 0  # since rows last went

    async def add(self, rows: Sequence[LedgerRow]) -> int:
        distinct = list({row.id: row for row in reversed(rows)}.values())[::-1]  # of two with one id, the first
        if not distinct:
            return 0

        def add(connection: Connection, *, are_new: bool = True) -> int:
            new: Sequence[LedgerRow] = distinct
            if not _is_sqlite(connection):
                beside_each_other(connection, SPENDING)
                new = _insert_into_postgres(connection, distinct)
            else:
                alone(connection, "ledger")
                new = distinct if are_new else _unknown(connection, distinct)
                if _insert_into_sqlite(connection, new, otherwise=" OR IGNORE" if are_new else "") != len(new):
                    raise _Replayed
            if new:
                _upsert(connection, USAGE_SUMS.name, KEYS, ADDED, list(_sums(new)))
                add_spent(connection, new)
            self._added += len(new)
            if self._keep_rows is not None and self._added > self._keep_rows // 10:
                _keep_newest(connection, self._keep_rows)
                self._added = 0
            return len(new)

        try:
            return await self._run(add)
        except _Replayed:  # rarely; a savepoint, which would spare the first part, takes a third of the time of all
            return await self._run(partial(add, are_new=False))

    async def budget_spent(self, budget_id: str, window_start: int) -> int:
        columns = BUDGET_SPENDING.c
        this = (columns.budget_id == budget_id, columns.window_start == window_start)
        spent = await self._run(lambda connection: connection.scalar(select(columns.spent_nano).where(*this)))
        return spent or 0

    async def totals(self) -> Mapping[str, int]:
        names = [name for name in ADDED if name not in ("requests", "errors", "unpriced")]
        columns = [func.coalesce(func.sum(LEDGER.c[name]), 0).label(name) for name in names]
        unpriced = (func.count() - func.count(LEDGER.c.cost_nano)).label("unpriced")
        asked = select(func.count().label("requests"), *columns, unpriced).select_from(LEDGER)
        row = await self._run(lambda connection: connection.execute(asked).one())
        return {name: int(value) for name, value in row._mapping.items()}


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _keep_newest(connection: Connection, number: int) -> None:
    newest_first = LEDGER.c.at_us.desc(), LEDGER.c.id.desc()
    oldest = connection.execute(select(LEDGER.c.at_us, LEDGER.c.id).order_by(*newest_first).offset(number).limit(1))
    if (found := oldest.one_or_none()) is not None:
        connection.execute(delete(LEDGER).where(tuple_(LEDGER.c.at_us, LEDGER.c.id) <= tuple_(*found)))


def _unknown(connection: Connection, rows: Sequence[LedgerRow]) -> Sequence[LedgerRow]:
    known: set[str] = set()
    for at in range(0, len(rows), IDS_AT_ONCE):
        ids = [row.id for row in rows[at : at + IDS_AT_ONCE]]
        known.update(connection.scalars(select(LEDGER.c.id).where(LEDGER.c.id.in_(ids))))
    return [row for row in rows if row.id not in known]


def _insert_into_sqlite(connection: Connection, rows: Sequence[LedgerRow], *, otherwise: str) -> int:
    """How many were inserted. `OR IGNORE` saves a quarter of the time: nothing need be kept to undo a statement."""
    number = 0
    one = f"({','.join('?' * len(LEDGER.c))})"
    for some in _portions(rows):
        values = [astuple(row)[:-1] for row in some]
        statement = f"INSERT{otherwise} INTO ledger VALUES {','.join([one] * len(values))}"
        number += connection.exec_driver_sql(statement, tuple(chain.from_iterable(values))).rowcount
    return number


def _portions(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    at = 0
    for size in AT_ONCE:
        while len(rows) - at >= size:
            yield rows[at : at + size]
            at += size


_COLUMNS = ", ".join(column.name for column in LEDGER.c)
_VALUES = ", ".join(f"{name}::int" if name.startswith("is_") else name for name in (c.name for c in LEDGER.c))
_TYPES = ", ".join(
    f"{column.name} {'boolean' if column.name.startswith('is_') else column.type.compile()}" for column in LEDGER.c
)
_INTO_POSTGRES = (
    f"INSERT INTO ledger ({_COLUMNS}) SELECT {_VALUES} FROM json_to_recordset(%s::json) AS given ({_TYPES}) "  # noqa: S608
    "ON CONFLICT (id) DO NOTHING RETURNING id"
)


def _insert_into_postgres(connection: Connection, rows: Sequence[LedgerRow]) -> Sequence[LedgerRow]:
    """Those that are new. A transaction that adds one of them meanwhile is waited for."""
    told = msgspec.json.encode([asdict(row) for row in rows]).decode()
    new = set(connection.exec_driver_sql(_INTO_POSTGRES, (told,)).scalars())
    return rows if len(new) == len(rows) else [row for row in rows if row.id in new]


def _sums(rows: Iterable[LedgerRow]) -> Iterator[tuple[object, ...]]:
    """Rows of `usage_sums`, in the order of their keys: then two transactions never wait for each other."""
    hours: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        start = row.at_us // 1_000_000 // HOUR_S * HOUR_S
        served = (row.service_tier or "", row.inference_geo or "", row.speed or "", context_window(row))
        # A name that nobody knows is the caller's invention, of which there may be any number.
        alike = (*_unnamed(row), "", row.provider, "") if row.status == UNKNOWN else _alike(row)
        key = (start, *alike, *served)
        cost_nano = row.cost_nano
        sums = hours.get(key)
        if sums is None:
            sums = hours[key] = [0] * len(ADDED)
        sums[0] += 1
        sums[1] += row.status >= FIRST_ERROR_STATUS or row.outcome in FAILED
        sums[2] += row.input_tokens
        sums[3] += row.cache_write_5m_tokens
        sums[4] += row.cache_write_1h_tokens
        sums[5] += row.cache_read_tokens
        sums[6] += row.output_tokens
        sums[7] += row.web_searches
        if cost_nano is None:
            sums[9] += 1
        else:
            sums[8] += cost_nano
        sums[10] += row.total_us
    days: dict[tuple[Any, ...], list[int]] = {}
    for (start, *rest), sums in hours.items():
        day = (start // DAY_S * DAY_S, *rest)
        days[day] = [one + other for one, other in zip(days[day], sums, strict=True)] if day in days else sums
    together: dict[tuple[Any, ...], list[int]] = {}
    for (start, workspace_id, _, *rest), sums in days.items():
        day = (start, workspace_id, "", *rest)
        there = together.get(day)
        together[day] = sums if there is None else [one + other for one, other in zip(there, sums, strict=True)]
    for width_s, widths in ((HOUR_S, hours), (DAY_S, days), (DAY_OF_ALL_S, together)):
        for each in sorted(widths, key=lambda key: tuple(map(str, key))):
            yield (width_s, *each, *widths[each])


def _upsert(
    connection: Connection, table: str, keys: Sequence[str], added: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> None:
    """Add rows to those that are there. A row has `keys`, what is `added`, and what else the table has, which stays."""
    mark = "?" if _is_sqlite(connection) else "%s"
    sums = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in added)
    into = f"INSERT INTO {table} VALUES "  # noqa: S608
    otherwise = f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sums}"
    for values in _portions(rows):
        one = f"({','.join([mark] * len(values[0]))})"
        statement = into + ",".join([one] * len(values)) + otherwise
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(values)))
