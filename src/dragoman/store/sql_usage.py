"""The UsageStore in a SQL database. A method is one transaction.

No question scans the ledger: pages go along an index of (at_us, id), sums along the primary key of `usage_sums`, and
tests/store/test_usage_plans.py has each database explain that.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    case,
    delete,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)

from .database import Run
from .ledger import LedgerRow
from .sql_ledger import FAILED, FIRST_ERROR_STATUS
from .tables import CONTENTS, LEDGER, USAGE_SUMS
from .usage import (
    DAY_OF_ALL_S,
    DAY_S,
    DIMENSIONS,
    LONG,
    LONG_CONTEXT,
    MAX_MINUTES,
    MINUTE_S,
    SHORT,
    Contents,
    RequestFilter,
    RequestPage,
    RequestPosition,
    UsageStore,
    UsageSum,
)

__all__ = ["SQLUsage"]

US = 1_000_000
# A filter that has no index of its own looks at so many rows, then at twice as many, and so on until it has taken so
# long. Few at first: where they are scattered over a disk, as those of one key are, a row may take 1 ms.
SLICE = 200
MAX_SLICE = 10_000
LOOK_S = 0.1
TRUTHS = ("is_stream", "is_estimated")  # columns of numbers, fields of truth
PLACE = (LEDGER.c.at_us, LEDGER.c.id)
COUNTED = UsageSum.__struct_fields__[2:]


class SQLUsage(UsageStore):
    """`run` does a piece of work in a transaction (`SQLStore`)."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def page(self, wanted: RequestFilter, *, limit: int, after: RequestPosition | None = None) -> RequestPage:
        checks = _without_index(wanted)

        def read(connection: Connection) -> RequestPage:
            if not checks:
                return _page(_rows(connection, _along_index(wanted, after=after).limit(limit + 1)), limit)
            return _filtered(connection, wanted, checks, limit, after)

        return await self._run(read)

    async def find(self, request_id: str, *, workspace_id: str | None = None) -> LedgerRow | None:
        this = select(LEDGER).where(LEDGER.c.id == _plain(request_id))
        if workspace_id is not None:
            this = this.where(LEDGER.c.workspace_id == workspace_id)

        def find(connection: Connection) -> LedgerRow | None:
            return next(iter(_rows(connection, this)), None)

        return await self._run(find)

    async def sums(
        self,
        *,
        width_s: int,
        start: int,
        end: int,
        by: Sequence[str] = (),
        where: Mapping[str, Sequence[str]] | None = None,
        in_buckets: bool = True,
    ) -> Sequence[UsageSum]:
        if not set(by) | set(where or ()) <= set(DIMENSIONS):
            raise ValueError(f"sums are split by {DIMENSIONS}, not by {by} and {where}")
        if width_s == MINUTE_S:
            if end - start > MAX_MINUTES * MINUTE_S:
                raise ValueError(f"{MAX_MINUTES} minutes at most in one question, not {(end - start) / MINUTE_S:g}")
            wanted = _minute_sums(start, end, by, in_buckets=in_buckets)
            wanted = wanted.where(*_only(_value_in_row, where))
        else:
            is_of_all = width_s == DAY_S and "key_id" not in (*by, *(where or ()))
            kept_s = DAY_OF_ALL_S if is_of_all else width_s
            wanted = _kept_sums(kept_s, start, end, by, in_buckets=in_buckets)
            wanted = wanted.where(*_only(lambda name: USAGE_SUMS.c[name], where))

        unit = US if width_s == MINUTE_S else 1

        def read(connection: Connection) -> list[UsageSum]:
            return [_sum(row, len(by), unit) for row in connection.execute(wanted) if row.requests]

        return await self._run(read)

    async def add_contents(self, contents: Sequence[Contents]) -> None:
        values = [msgspec.structs.asdict(each) for each in contents]

        def add(connection: Connection) -> None:
            known = select(CONTENTS.c.id).where(CONTENTS.c.id.in_([each["id"] for each in values]))
            there = set(connection.scalars(known))
            new = {each["id"]: each for each in values if each["id"] not in there}
            if new:
                connection.execute(insert(CONTENTS), list(new.values()))

        await self._run(add)

    async def contents(self, request_id: str, *, workspace_id: str | None = None) -> Contents | None:
        this = select(CONTENTS).where(CONTENTS.c.id == _plain(request_id))
        if workspace_id is not None:
            this = this.where(CONTENTS.c.workspace_id == workspace_id)

        def find(connection: Connection) -> Contents | None:
            row = connection.execute(this).one_or_none()
            return None if row is None else Contents(**row._mapping)

        return await self._run(find)

    async def erase(self, *, before_us: int, limit: int) -> int:
        return await self._erase(LEDGER, before_us, limit)

    async def erase_contents(self, *, before_us: int, limit: int) -> int:
        return await self._erase(CONTENTS, before_us, limit)

    async def _erase(self, table: Table, before_us: int, limit: int) -> int:
        oldest = select(table.c.id).where(table.c.at_us < before_us).order_by(table.c.at_us).limit(limit)

        def erase(connection: Connection) -> int:
            return connection.execute(delete(table).where(table.c.id.in_(oldest))).rowcount

        return await self._run(erase)


def _filtered(
    connection: Connection,
    wanted: RequestFilter,
    checks: Sequence[ColumnElement[bool]],
    limit: int,
    after: RequestPosition | None,
) -> RequestPage:
    """What passes `checks`, slice by slice of the index, until the page is full or this took LOOK_S."""
    rows: list[LedgerRow] = []
    end, size = time.monotonic() + LOOK_S, SLICE
    while True:
        edge = connection.execute(
            _along_index(wanted, after=after).with_only_columns(*PLACE).limit(1).offset(size - 1)
        ).one_or_none()
        last = None if edge is None else RequestPosition(*edge)
        slice_ = _along_index(wanted, after=after, last=last)
        rows += _rows(connection, slice_.where(*checks).limit(limit + 1 - len(rows)))
        if len(rows) > limit:
            return _page(rows, limit)
        after = last
        if after is None or time.monotonic() > end:
            return RequestPage(rows=rows, after=after)
        size = min(2 * size, MAX_SLICE)


def _along_index(
    wanted: RequestFilter, *, after: RequestPosition | None, last: RequestPosition | None = None
) -> Select[Any]:
    """Rows by the index of the narrower owner, newest first: what an index can tell of the filter, and no more.

    `last` is the last of them. The owner stands in each bound, and not by itself: of "its id is X" PostgreSQL may
    conclude that another index will do, and walk through a million rows of others.
    """
    rows = LEDGER.c
    columns: tuple[ColumnElement[Any], ...] = PLACE
    owner: tuple[str, ...] = ()
    if wanted.key_id is not None:
        columns, owner = (rows.key_id, *PLACE), (_plain(wanted.key_id),)
    elif wanted.workspace_id is not None:
        columns, owner = (rows.workspace_id, *PLACE), (_plain(wanted.workspace_id),)
    below = [after] if after is not None else []
    from_ = [last] if last is not None else []
    if wanted.until_us is not None:
        below.append(RequestPosition(wanted.until_us, ""))
    if wanted.since_us is not None:
        from_.append(RequestPosition(wanted.since_us, ""))
    chosen = select(LEDGER).order_by(*(column.desc() for column in columns))
    if below:
        chosen = chosen.where(tuple_(*columns) < _values(*owner, *min(below)))
    elif owner:
        chosen = chosen.where(columns[0] <= owner[0])
    if from_:
        return chosen.where(tuple_(*columns) >= _values(*owner, *max(from_)))
    return chosen.where(columns[0] >= owner[0]) if owner else chosen


def _values(*values: Any) -> ColumnElement[Any]:
    return tuple_(*(literal(_plain(value)) for value in values))


def _without_index(wanted: RequestFilter) -> list[ColumnElement[bool]]:
    """The rest of the filter."""
    rows = LEDGER.c
    given = [(name, getattr(wanted, name)) for name in ("model", "provider", "outcome", "upstream_request_id")]
    checks = [rows[name] == _plain(value) for name, value in given if value is not None]
    if wanted.key_id is not None and wanted.workspace_id is not None:
        checks.append(rows.workspace_id.concat("") == _plain(wanted.workspace_id))  # lest SQLite take its index
    if wanted.status is not None and wanted.status < 10:
        checks.append(rows.status.between(wanted.status * 100, wanted.status * 100 + 99))
    elif wanted.status is not None:
        checks.append(rows.status == wanted.status)
    return checks


def _page(rows: list[LedgerRow], limit: int) -> RequestPage:
    """Of one row more than is wanted, which tells whether there is another page."""
    shown = rows[:limit]
    after = RequestPosition(shown[-1].at_us, shown[-1].id) if len(rows) > limit and shown else None
    return RequestPage(rows=shown, after=after)


def _rows(connection: Connection, wanted: Select[Any]) -> list[LedgerRow]:
    return [_row(found._asdict()) for found in connection.execute(wanted)]


def _row(found: Mapping[str, Any]) -> LedgerRow:
    return LedgerRow(**{**found, **{name: bool(found[name]) for name in TRUTHS}})


def _kept_sums(width_s: int, start: int, end: int, by: Sequence[str], *, in_buckets: bool) -> Select[Any]:
    sums = USAGE_SUMS.c
    keys = [sums[name] for name in by]
    counts = [func.sum(sums[name]).label(name) for name in COUNTED]
    chosen = _grouped(sums.start, keys, counts, in_buckets=in_buckets)
    return chosen.where(sums.width_s == width_s, sums.start >= start, sums.start < end)


def _minute_sums(start: int, end: int, by: Sequence[str], *, in_buckets: bool) -> Select[Any]:
    """Of the rows themselves, counted as `SQLLedger.add` counts them."""
    rows = LEDGER.c
    minute = rows.at_us - rows.at_us % literal_column(str(MINUTE_S * US))
    keys = [_value_in_row(name) for name in by]
    is_error = or_(rows.status >= FIRST_ERROR_STATUS, rows.outcome.in_(sorted(FAILED)))
    counts: dict[str, ColumnElement[Any]] = {
        "requests": func.count(),
        "errors": func.sum(case((is_error, 1), else_=0)),
        "cost_nano": func.sum(func.coalesce(rows.cost_nano, 0)),
        "unpriced": func.sum(case((rows.cost_nano.is_(None), 1), else_=0)),
    }
    sums = [(counts[name] if name in counts else func.sum(rows[name])).label(name) for name in COUNTED]
    chosen = _grouped(minute, keys, sums, in_buckets=in_buckets)
    return chosen.where(rows.at_us >= start * US, rows.at_us < end * US)


def _grouped(
    time: ColumnElement[Any],
    keys: Sequence[ColumnElement[Any]],
    counts: Sequence[ColumnElement[Any]],
    *,
    in_buckets: bool,
) -> Select[Any]:
    if in_buckets:
        return select(time, *keys, *counts).group_by(time, *keys).order_by(time, *keys)
    return select(literal_column("NULL"), *keys, *counts).group_by(*keys).order_by(*keys)


def _only(
    column: Callable[[str], ColumnElement[Any]], where: Mapping[str, Sequence[str]] | None
) -> list[ColumnElement[bool]]:
    return [column(name).in_([_plain(value) for value in values]) for name, values in (where or {}).items()]


def _value_in_row(name: str) -> ColumnElement[Any]:
    """As the sums have it: null is empty."""
    rows = LEDGER.c
    if name == "context_window":
        read = rows.input_tokens + rows.cache_write_5m_tokens + rows.cache_write_1h_tokens + rows.cache_read_tokens
        is_long = read > literal_column(str(LONG_CONTEXT))
        return case((is_long, literal_column(f"'{LONG}'")), else_=literal_column(f"'{SHORT}'"))
    column = rows[name]
    return func.coalesce(column, literal_column("''")) if column.nullable else column


def _sum(row: Any, keys: int, unit: int) -> UsageSum:
    """`unit`: of the start, in a second."""
    start, group, counts = row[0], row[1 : 1 + keys], row[1 + keys :]
    counted = {name: int(count) for name, count in zip(COUNTED, counts, strict=True)}
    return UsageSum(start=None if start is None else start // unit, group=tuple(group), **counted)


def _plain(value: Any) -> Any:
    """Text of callers, as each database takes it; see `tables.PlainText`."""
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode() if isinstance(value, str) else value
