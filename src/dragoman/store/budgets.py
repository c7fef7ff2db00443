"""Budgets: so much money for somebody in a stretch of the calendar; and what is spent of them.

What is spent is a sum of the ledger, kept by budget and window. A window's sum begins when somebody first asks for it
(`first_spent`), with all that the ledger has of the window by then; from there on `LedgerStore.add` adds to it what
each row cost, in the transaction that adds the row. A row counts in the windows that its `spent` names, and in those of
all other budgets of its key, workspace and organization by the time at which it arrived: it may come from a process
that knew nothing of the budget yet. Where a window has no sum, the row is in the ledger, and so in the sum when that
begins. So nothing is counted twice, nor lost.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec
from msgspec import UNSET, UnsetType

__all__ = ["EVERY", "BudgetChanges", "BudgetRecord", "BudgetStore", "Period", "ScopeKind", "Spending", "UnknownPrice"]

ScopeKind = Literal["organization", "workspace", "key"]
Period = Literal["day", "week", "month", "total"]
UnknownPrice = Literal["allow", "refuse"]

EVERY = "*"  # as a scope's id: each workspace or key has such a budget of its own


class BudgetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A budget, of the database or of the configuration file (then its id is made of what it says)."""

    id: str  # "budget_..."
    scope: ScopeKind
    scope_id: str  # the id of an organization, a workspace or a key, or EVERY
    period: Period
    limit_nano: int  # nano-dollars
    zone: str = "UTC"  # of the calendar; weeks begin on Monday
    is_hard: bool = True
    alerts: tuple[int, ...] = (80, 100)  # percentages of it, each told once a window
    webhook: str | None = None
    unknown_price: UnknownPrice = "allow"  # what becomes of a request whose price nobody knows; of a hard one
    created_at: datetime | None = None
    ended_at: datetime | None = None

    def __repr__(self) -> str:
        """Without the webhook: its path may be a secret."""
        shown = {**msgspec.structs.asdict(self), "webhook": self.webhook and "***"}
        return f"BudgetRecord({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class BudgetChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different about a budget; what is UNSET stays."""

    limit_nano: int | UnsetType = UNSET
    is_hard: bool | UnsetType = UNSET
    alerts: tuple[int, ...] | UnsetType = UNSET
    webhook: str | UnsetType | None = UNSET
    unknown_price: UnknownPrice | UnsetType = UNSET

    def __repr__(self) -> str:  # as BudgetRecord
        return f"BudgetChanges(limit_nano={self.limit_nano!r}, ...)"


class Spending(msgspec.Struct, frozen=True):
    """What there is to know of one window of a budget."""

    spent_nano: int
    told_nano: int = 0  # of its alerts that were told, the highest amount
    refused_nano: int = -1  # the limit at which it was told that it refuses; below 0: it was not


class BudgetStore(Protocol):
    """Every method raises StoreError for any trouble with the database. A window is told by its start, Unix seconds;
    0 for one that has no end."""

    async def add(self, record: BudgetRecord) -> bool:
        """Keep `record`. False, and nothing done, when its id is there already."""

    async def list(
        self, scope: ScopeKind | None = None, scope_id: str | None = None, *, with_ended: bool = False
    ) -> Sequence[BudgetRecord]:
        """Those of a scope, or all; newest first."""

    async def find(self, budget_id: str) -> BudgetRecord | None:
        """The budget with this id, ended or not."""

    async def update(self, budget_id: str, changes: BudgetChanges) -> BudgetRecord | None:
        """The budget as it is now; None when there is none with this id. One that has ended stays as it was."""

    async def end(self, budget_id: str, at: datetime) -> BudgetRecord | None:
        """End a budget and return it; None when there is none with this id. A second call keeps the first time."""

    async def first_spent(self, budget_id: str, window: tuple[int, int], scope: ScopeKind, scope_id: str) -> int:
        """Nano-dollars spent of a budget in a window (start, end). Its sum begins with this call, if it has not begun.

        `scope_id` is the id of one workspace or key, whatever the budget's own says.
        """

    async def spent(self, budget_id: str, window_start: int) -> int | None:
        """Nano-dollars; None where the window has no sum yet."""

    async def spending(self, windows: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], Spending]:
        """Of these (budget id, window start) those whose sums have begun."""

    async def claim_alert(self, budget_id: str, window_start: int, at_nano: int) -> bool:
        """Whether the caller is the one to tell that `at_nano` is spent: of all that ask, in any process, one is.

        Never, when as much was claimed in this window, or when the window has no sum yet. By amounts and not by
        percentages, so that after a limit was raised the same percentages are told again.
        """

    async def claim_refusal(self, budget_id: str, window_start: int, limit_nano: int) -> bool:
        """As `claim_alert`, to tell that requests are refused for want of more than `limit_nano`."""
