"""What is spent of budgets, in a SQL database: sums of the ledger, written by who adds to it (`budgets.py` says which).

Whoever adds rows to the ledger does so beside others (`locks.py`), and whoever begins a sum is alone. So the rows of a
transaction are in the ledger when a sum begins, or find the sum when they are added to it, and never both.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, func, or_, select

from .budgets import ScopeKind
from .ledger import LedgerRow
from .tables import BUDGET_SPENDING, LEDGER, USAGE_SUMS

__all__ = ["SPENDING", "add_spent", "spent_before"]

SPENDING = "spending"  # the subject of those locks
HOUR_S, DAY_S, US = 3600, 86_400, 1_000_000
WINDOWS_AT_ONCE = 40  # of a statement in SQLite
IDS_AT_ONCE = 500

Window = tuple[str, int]  # a budget's id and the start


def add_spent(connection: Connection, rows: Iterable[LedgerRow]) -> None:
    """Add what rows cost to the sums that have begun. The rows must be in the ledger by now."""
    priced = [row for row in rows if row.cost_nano]
    if not priced:
        return
    open_sums = _open_sums(connection, priced)
    spent: dict[Window, int] = {}
    for row in priced:
        for window in chain(row.spent, _untold(row, open_sums)):
            spent[window] = spent.get(window, 0) + (row.cost_nano or 0)
    if spent:
        _add(connection, spent)


def _open_sums(connection: Connection, rows: Sequence[LedgerRow]) -> Mapping[tuple[str, str], Sequence[Any]]:
    """By scope and its id, the sums that rows may count in."""
    sums = BUDGET_SPENDING.c
    first, last = min(row.at_us for row in rows) // US, max(row.at_us for row in rows) // US
    wanted = select(sums.budget_id, sums.window_start, sums.window_end, sums.scope, sums.scope_id).where(
        or_(sums.window_end > first, sums.window_end == 0), sums.window_start <= last
    )
    found: dict[tuple[str, str], list[Any]] = {}
    for scope in _scopes(rows):
        for each in connection.execute(wanted.where(scope)):
            whose = "" if each.scope == "organization" else each.scope_id  # there is one
            found.setdefault((each.scope, whose), []).append(each)
    return found


def _scopes(rows: Sequence[LedgerRow]) -> Iterator[ColumnElement[bool]]:
    sums = BUDGET_SPENDING.c
    keys, workspaces = ({getattr(row, name) for row in rows} for name in ("key_id", "workspace_id"))
    ids = [*sorted(keys)]
    some, *more = [ids[at : at + IDS_AT_ONCE] for at in range(0, len(ids), IDS_AT_ONCE)]
    yield or_(
        sums.scope == "organization",
        and_(sums.scope == "workspace", sums.scope_id.in_(sorted(workspaces))),
        and_(sums.scope == "key", sums.scope_id.in_(some)),
    )
    for some in more:
        yield and_(sums.scope == "key", sums.scope_id.in_(some))


def _untold(row: LedgerRow, open_sums: Mapping[tuple[str, str], Sequence[Any]]) -> Iterator[Window]:
    """The windows of the budgets that a row does not name itself."""
    if not open_sums:
        return
    at, named = row.at_us // US, {budget_id for budget_id, _ in row.spent}
    for scope in (("organization", ""), ("workspace", row.workspace_id), ("key", row.key_id)):
        for each in open_sums.get(scope, ()):
            is_within = each.window_start <= at and (at < each.window_end or not each.window_end)
            if is_within and each.budget_id not in named:
                yield each.budget_id, each.window_start


def _add(connection: Connection, spent: Mapping[Window, int]) -> None:
    rows = [(nano, *window) for window, nano in sorted(spent.items())]  # so two transactions never wait for each other
    if connection.dialect.name != "sqlite":
        this = "budget_id = %s AND window_start = %s"
        connection.exec_driver_sql(f"UPDATE budget_spending SET spent_nano = spent_nano + %s WHERE {this}", rows)  # noqa: S608
        return
    for at in range(0, len(rows), WINDOWS_AT_ONCE):
        some = rows[at : at + WINDOWS_AT_ONCE]
        given = f"(VALUES {','.join(['(?,?,?)'] * len(some))}) AS given"
        this = "budget_id = given.column2 AND window_start = given.column3"
        statement = f"UPDATE budget_spending SET spent_nano = spent_nano + given.column1 FROM {given} WHERE {this}"  # noqa: S608
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(some)))


def spent_before(connection: Connection, window: tuple[int, int], scope: ScopeKind, scope_id: str) -> int:
    """Nano-dollars that the ledger has of a window by now: whole days and hours of it out of the sums of usage."""
    start, end = window
    rows, sums = LEDGER.c, USAGE_SUMS.c

    def cost(table: Table, *where: ColumnElement[bool]) -> int:
        if scope != "organization":
            where = (*where, table.c[f"{scope}_id"] == scope_id)
        return int(connection.scalar(select(func.sum(table.c.cost_nano)).where(*where)) or 0)

    def by_rows(since: int, until: int) -> int:
        return cost(LEDGER, rows.at_us >= since * US, rows.at_us < until * US) if since < until else 0

    def by_sums(width_s: int, since: int, until: int) -> int:
        span = (sums.width_s == width_s, sums.start >= since, sums.start < until)
        return cost(USAGE_SUMS, *span) if since < until else 0

    if not end:
        return cost(USAGE_SUMS, sums.width_s == DAY_S)
    hours = _up(start, HOUR_S), end // HOUR_S * HOUR_S
    if hours[0] >= hours[1]:
        return by_rows(start, end)
    days = _up(start, DAY_S), end // DAY_S * DAY_S
    total = by_rows(start, hours[0]) + by_rows(hours[1], end)
    if days[0] >= days[1]:
        return total + by_sums(HOUR_S, *hours)
    return total + by_sums(HOUR_S, hours[0], days[0]) + by_sums(DAY_S, *days) + by_sums(HOUR_S, days[1], hours[1])


def _up(at: int, width_s: int) -> int:
    return -(-at // width_s) * width_s
