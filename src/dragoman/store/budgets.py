"""Budgets: so much money for somebody in a stretch of the calendar. What is spent of them the ledger keeps."""

from datetime import datetime
from typing import Literal

import msgspec

__all__ = ["BudgetRecord", "Period", "ScopeKind"]

ScopeKind = Literal["organization", "workspace", "key"]
Period = Literal["day", "week", "month", "total"]


class BudgetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A budget, of the database or of the configuration file (then its id is made of what it says)."""

    id: str  # "budget_..."
    scope: ScopeKind
    scope_id: str  # the id of an organization, a workspace or a key
    period: Period
    limit_nano: int  # nano-dollars
    zone: str = "UTC"  # of the calendar; weeks begin on Monday
    is_hard: bool = True
    alerts: tuple[int, ...] = (80, 100)  # percentages of it, each told once a window
    webhook: str | None = None
    created_at: datetime | None = None
    ended_at: datetime | None = None
