"""Budgets: what a request may cost at most, out of which purses, and what is said when one is empty.

`Limits` asks here what a request has to take of the counters, what to say when it does not get it, and tells when it
is over. What was really spent is the ledger's to say. docs/budgets.md is the user's side.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

from dragoman.errors import ApiError, StoreError, Unavailable
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Asked
from dragoman.gateway.prices.prices import Prices
from dragoman.gateway.routing.routing import Candidates, Route
from dragoman.providers.base import Operation
from dragoman.store.budgets import BudgetRecord, BudgetStore
from dragoman.store.counters import Purse

from .alerts import Alerts, Tell
from .costs import highest_cost
from .scopes import Active, Scopes, actives_of
from .words import price_refusal, refusal

__all__ = ["Budgets"]

log = logging.getLogger("dragoman.budgets")

K = TypeVar("K")
V = TypeVar("V")

CATCH_UP_S = 2.0  # that a first request of a budget waits for the ledger at most
REFRESH_S = 5.0  # between two readings of the database's budgets
CALLERS_KEPT = 10_000
ACTIVES_KEPT = 100_000
UNPRICED_NANO = 1  # what a request of unknown price takes: it passes while anything at all is left


class Budgets:
    """The budgets of the file and of the database.

    `wall` gives Unix seconds; `tell` takes alerts; `candidates` says who else may answer a name; `catch_up` returns
    when the ledger has all that has ended by now.
    """

    def __init__(
        self,
        configured: Sequence[BudgetRecord],
        *,
        store: BudgetStore,
        prices: Prices,
        default_workspace_id: str,
        tell: Tell,
        candidates: Callable[[str], Candidates] | None = None,
        catch_up: Callable[[], Awaitable[None]] | None = None,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.is_on = bool(configured)  # there are budgets: else nothing need be asked here
        self._configured = tuple(configured)
        self._store = store
        self._prices = prices
        self._default_workspace_id = default_workspace_id
        self._candidates = candidates
        self._catch_up = catch_up
        self._wall = wall
        self._sleep = sleep
        self._began = wall()
        self._recorded: tuple[BudgetRecord, ...] = ()  # of the database
        self._scopes = Scopes(self._configured)
        self._alerts = Alerts(store, tell, wall=wall)
        self._actives: dict[Principal, tuple[Active, ...]] = {}
        self._by_id: dict[str, Active] = {}
        self._refreshing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read those of the database, and go on doing so. Raises StoreError."""
        await self.refresh()
        self._refreshing = asyncio.create_task(self._keep_refreshing())

    async def aclose(self) -> None:
        refreshing, self._refreshing = self._refreshing, None
        if refreshing is not None:
            refreshing.cancel()
            await asyncio.gather(refreshing, return_exceptions=True)

    def purses(self, asked: Asked, route: Route) -> Sequence[Purse]:
        """What a request needs of budgets: nothing where there are none, and where it costs nothing.

        A window is that of now: the request counts there, however long it takes. Raises BillingProblem where a budget
        is to refuse what has no price.
        """
        if not self.is_on or asked.call.operation is not Operation.MESSAGES:
            return ()
        actives = self._actives.get(asked.principal) or self._actives_of(asked.principal)
        if not actives:
            return ()
        now = self._wall()
        cost = self._highest_cost(asked, route, now, actives)
        return tuple([each.purse(cost, now) for each in actives]) if cost else ()

    def _highest_cost(self, asked: Asked, route: Route, now: float, actives: Iterable[Active]) -> int:
        """Of the dearest one that may answer. Raises BillingProblem."""
        routes: Sequence[Route] = (route,)
        times = 1
        if self._candidates is not None and (all_of_them := self._candidates(asked.model)).only is None:
            routes, times = all_of_them.every, _times(all_of_them, asked)
        costs = [highest_cost(self._prices, asked, each, at=now) for each in routes]
        if None not in costs:
            return times * max(cost or 0 for cost in costs)
        if (strict := next((each for each in actives if each.refuses_unpriced), None)) is not None:
            raise price_refusal(strict.record, asked.model)
        return max(UNPRICED_NANO, *(times * (cost or 0) for cost in costs))

    async def spent(self, purse: Purse) -> int:
        """Nano-dollars, as the ledger has it: for a purse that the counters do not know yet (Counters.set_spent).

        Raises Unavailable when the database is away, except of a window that began after this process did: nothing
        was spent of that before.
        """
        active = self._by_id[purse.budget_id]
        try:
            await self._wait_for_ledger()
            return await self._store.first_spent(
                purse.budget_id, (purse.window_start, purse.window_end), active.record.scope, active.scope_id
            )
        except StoreError as error:
            if purse.window_start > self._began or purse.limit_nano is None:
                return 0
            log.warning("the budget %s cannot be checked: %s", purse.budget_id, error)
            raise Unavailable("Budgets cannot be checked at the moment. Please try again shortly.") from error

    async def _wait_for_ledger(self) -> None:
        """Or what a process has spent that was killed a moment ago would be known to the ledger alone."""
        if self._catch_up is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CATCH_UP_S):
                    await self._catch_up()

    def refusal(self, purse: Purse, spent_nano: int) -> ApiError:
        """The error for a request that `purse` has not enough left for; others have spent or reserved `spent_nano`."""
        active = self._by_id[purse.budget_id]
        self._alerts.note(purse, active, is_refused=True)
        return refusal(active.record, purse, spent_nano)

    def settled(self, purses: Sequence[Purse]) -> None:
        """A request has ended that took of these. Never waits nor raises."""
        for purse in purses:
            if (active := self._by_id.get(purse.budget_id)) is not None:
                self._alerts.note(purse, active)

    async def refresh(self) -> None:
        """Read the budgets of the database. Raises StoreError, and then those known stay in force."""
        recorded = tuple(await self._store.list())
        if recorded != self._recorded:
            self._recorded = recorded
            self._scopes = Scopes([*self._configured, *recorded])
            self.is_on = bool(self._configured or recorded)
            self._actives.clear()  # `_by_id` stays: requests are under way that took of them

    async def _keep_refreshing(self) -> None:
        while True:
            await self._sleep(REFRESH_S)
            try:
                await self.refresh()
                await self._alerts.look()
            except StoreError as error:
                log.warning("budgets cannot be read, those known stay in force: %s", error)
            except Exception:
                log.exception("budgets could not be refreshed by a fault of dragoman's")

    def _actives_of(self, principal: Principal) -> tuple[Active, ...]:
        if (known := self._actives.get(principal)) is not None:
            return known
        found = actives_of(principal, self._scopes.near(principal), self._default_workspace_id)
        _keep(self._actives, principal, found, CALLERS_KEPT)
        for each in found:
            _keep(self._by_id, each.id, each, ACTIVES_KEPT)
        return found


def _times(candidates: Candidates, asked: Asked) -> int:
    """How many of them one request may pay: those that run at once, and those that go on where another broke off."""
    rule = candidates.rule
    if rule is None:
        return 1
    if rule.continue_cut and asked.stream:
        return rule.limit
    return min(2, rule.limit) if rule.hedge else 1


def _keep(kept: dict[K, V], key: K, value: V, limit: int) -> None:
    """The oldest one goes, where there are too many."""
    kept.pop(key, None)
    if len(kept) >= limit:
        del kept[next(iter(kept))]
    kept[key] = value
