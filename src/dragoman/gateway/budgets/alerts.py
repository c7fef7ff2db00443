"""Alerts: who is told, once in all processes, that so much of a budget is spent, or that it refuses requests.

By what the ledger has, not by what is reserved: that is many times of it at times. So an alert comes some seconds
after the request that led to it.
"""

import logging
import time
from collections.abc import Callable

from msgspec import Struct

from dragoman.store.budgets import BudgetRecord, BudgetStore, Spending
from dragoman.store.counters import Purse

from .scopes import Active
from .words import dollars, whose

__all__ = ["Alert", "Alerts", "Tell"]

log = logging.getLogger("dragoman.budgets")

LOOKS = 12  # at a window, after a request that counts there has ended: its row is in the database by then
NOTED_LIMIT = 100_000  # windows; beyond it the one not used for longest is not looked at


class Alert(Struct, frozen=True, kw_only=True):
    """What is to be told of one window of a budget."""

    record: BudgetRecord
    budget_id: str  # of the spending: whose it is, too, where each has one of its own
    scope_id: str
    window_start: int  # Unix seconds; 0: it has no end
    window_end: int
    spent_nano: int
    percent: int | None  # that is reached; None: requests are refused
    at: float  # Unix seconds


Tell = Callable[[Alert], None]


class _Noted(Struct):
    active: Active
    purse: Purse
    is_refused: bool = False
    looks: int = LOOKS


class Alerts:
    """Notes what requests have taken of, and looks at it when asked to."""

    def __init__(self, store: BudgetStore, tell: Tell, *, wall: Callable[[], float] = time.time) -> None:
        self._store = store
        self._tell = tell
        self._wall = wall
        self._noted: dict[tuple[str, int], _Noted] = {}

    def note(self, purse: Purse, active: Active, *, is_refused: bool = False) -> None:
        """A request has ended that took of `purse`, or was refused for it."""
        if not active.record.alerts:
            return
        window = (purse.budget_id, purse.window_start)
        known = self._noted.pop(window, None)
        if known is None and len(self._noted) >= NOTED_LIMIT:
            del self._noted[next(iter(self._noted))]
        was_refused = known is not None and known.is_refused
        self._noted[window] = _Noted(active, purse, is_refused or was_refused)

    async def look(self) -> None:
        """Tell what is to be told of. Raises StoreError, and then looks again another time."""
        if not self._noted:
            return
        noted = dict(self._noted)
        spending = await self._store.spending(noted.keys())
        for window, each in noted.items():
            if (known := spending.get(window)) is not None:
                await self._look_at(each, known)
            each.looks -= 1
            if each.looks <= 0 and self._noted.get(window) is each:
                del self._noted[window]

    async def _look_at(self, noted: _Noted, spending: Spending) -> None:
        window, limit = (noted.purse.budget_id, noted.purse.window_start), noted.active.record.limit_nano
        if noted.is_refused:
            if spending.refused_nano < limit and await self._store.claim_refusal(*window, limit):
                self._say(noted, spending.spent_nano, None)
            noted.is_refused = False
        percent = max(
            (each for each in noted.active.record.alerts if each * limit <= spending.spent_nano * 100), default=0
        )
        at_nano = -(-percent * limit // 100)
        if at_nano > spending.told_nano and await self._store.claim_alert(*window, at_nano):
            self._say(noted, spending.spent_nano, percent)

    def _say(self, noted: _Noted, spent_nano: int, percent: int | None) -> None:
        record, purse = noted.active.record, noted.purse
        what = "requests are refused" if percent is None else f"{percent} % is reached"
        log.warning(
            "budget %s of %s: %s: %s of %s is spent",
            purse.budget_id, whose(record), what, dollars(spent_nano), dollars(record.limit_nano),
        )  # fmt: skip
        self._tell(
            Alert(
                record=record,
                budget_id=purse.budget_id,
                scope_id=noted.active.scope_id,
                window_start=purse.window_start,
                window_end=purse.window_end,
                spent_nano=spent_nano,
                percent=percent,
                at=self._wall(),
            )
        )
