"""Which budgets hold for a caller. Pure."""

from collections.abc import Iterable, Sequence

from dragoman.gateway.auth.auth import Principal
from dragoman.store.budgets import EVERY, BudgetRecord, ScopeKind
from dragoman.store.counters import Purse

from .windows import window_of

__all__ = ["DEFAULT_WORKSPACE", "Active", "Scopes", "actives_of"]

DEFAULT_WORKSPACE = "default"  # as a workspace's id: the one of keys that are in none of their own


class Active:
    """A budget that holds for a caller, with the window that it is in.

    `id` is that of its spending: the budget's own, and whose it is where each has one of its own.
    """

    __slots__ = ("_end", "_start", "id", "record", "scope_id")

    def __init__(self, id_: str, scope_id: str, record: BudgetRecord) -> None:
        self.id = id_
        self.scope_id = scope_id  # of one workspace or key
        self.record = record
        self._start = self._end = 0  # of a window: empty, so the first purse looks for it

    @property
    def refuses_unpriced(self) -> bool:
        return self.record.is_hard and self.record.unknown_price == "refuse"

    def purse(self, cost_nano: int, now: float) -> Purse:
        """What to take of it, in the window of `now` (Unix seconds)."""
        record = self.record
        if record.period != "total" and not self._start <= now < self._end:
            self._start, self._end = window_of(record.period, record.zone, now)
        return Purse(self.id, self._start, self._end, record.limit_nano if record.is_hard else None, cost_nano)


class Scopes:
    """Budgets by whose they are: there may be as many as keys."""

    def __init__(self, budgets: Sequence[BudgetRecord]) -> None:
        self._budgets = budgets
        self._places: dict[tuple[ScopeKind, str], list[int]] = {}
        for place, record in enumerate(budgets):
            self._places.setdefault(_place(record.scope, record.scope_id), []).append(place)

    def near(self, principal: Principal) -> list[BudgetRecord]:
        """Those that may hold for a caller, in their order."""
        names = {
            _place("organization", ""),
            *(("workspace", each) for each in (principal.workspace_id, DEFAULT_WORKSPACE, EVERY)),
            *(("key", each) for each in (principal.key_id, principal.key_name, EVERY)),
        }
        places = sorted(place for name in names for place in self._places.get(name, ()))
        return [self._budgets[place] for place in places]


def _place(scope: ScopeKind, scope_id: str) -> tuple[ScopeKind, str]:
    return scope, "" if scope == "organization" else scope_id  # there is one


def actives_of(principal: Principal, budgets: Iterable[BudgetRecord], default_workspace_id: str) -> tuple[Active, ...]:
    """Those that hold for a caller, all at once. One for EVERY workspace or key holds for those that have none of their
    own with the same period, and as hard."""
    own: list[Active] = []
    for_every: list[Active] = []
    for record in budgets:
        scope_id = _whose(principal, record.scope)
        if record.scope == "organization" or record.scope_id == scope_id:
            own.append(Active(record.id, scope_id, record))
        elif record.scope_id == EVERY:
            for_every.append(Active(f"{record.id}/{scope_id}", scope_id, record))
        elif record.scope == "workspace":
            if record.scope_id == DEFAULT_WORKSPACE and scope_id == default_workspace_id:
                own.append(Active(record.id, scope_id, record))
        elif record.scope == "key" and record.scope_id == principal.key_name:
            own.append(Active(f"{record.id}/{scope_id}", scope_id, record))
    taken = {_sort(each.record) for each in own}
    return (*own, *(each for each in for_every if _sort(each.record) not in taken))


def _whose(principal: Principal, scope: ScopeKind) -> str:
    if scope == "organization":
        return principal.organization_id
    return principal.workspace_id if scope == "workspace" else principal.key_id


def _sort(record: BudgetRecord) -> tuple[str, str, bool]:
    return record.scope, record.period, record.is_hard
