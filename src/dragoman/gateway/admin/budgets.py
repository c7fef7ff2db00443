"""Budgets over the admin API: those of the database can be made, changed and ended; those of the file are shown."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from msgspec import UNSET

from dragoman.errors import InvalidRequest, NotFound, PermissionDenied
from dragoman.gateway.budgets.scopes import DEFAULT_WORKSPACE
from dragoman.gateway.budgets.windows import window_of
from dragoman.gateway.budgets.words import usd
from dragoman.gateway.config import budgets as readers
from dragoman.gateway.config.values import Refused
from dragoman.gateway.ids import new_id
from dragoman.store.budgets import EVERY, BudgetChanges, BudgetRecord

from .asking import Asking
from .own_types import Budget, List

__all__ = ["create_budget", "end_budget", "list_budgets", "retrieve_budget", "update_budget"]

T = TypeVar("T")

ALERTS = (80, 100)


async def list_budgets(asking: Asking) -> List[Budget]:
    """Those of the file first, then those of the database, newest first."""
    recorded = await asking.gateway.store.budgets.list(with_ended=asking.query.include_ended)
    return List(data=await _shown(asking, [*_configured(asking), *recorded]))


async def retrieve_budget(asking: Asking) -> Budget:
    return await _one(asking, await _find(asking))


MAY_SET_WEBHOOKS = frozenset({"owner", "admin"})


async def create_budget(asking: Asking) -> Budget:
    body = asking.body
    record = BudgetRecord(
        id=new_id("budget"),
        scope=body.scope,
        scope_id=await _scope_id(asking),
        period=body.period,
        limit_nano=_read("limit_usd", readers.dollars, body.limit_usd),
        zone="UTC" if body.zone is None else _read("zone", readers.zone, body.zone),
        is_hard=True if body.is_hard is None else body.is_hard,
        alerts=ALERTS if body.alerts is None else _read("alerts", readers.alerts, body.alerts),
        webhook=None if body.webhook is None else _url(asking),
        unknown_price=body.unknown_price or "allow",
        created_at=asking.now,
    )
    await asking.gateway.store.budgets.add(record)
    await asking.gateway.budgets.refresh()
    return await _one(asking, record)


async def update_budget(asking: Asking) -> Budget:
    record, body = await _find(asking), asking.body
    _must_be_ours(record)
    if record.ended_at is not None:
        raise InvalidRequest(f"Budget {record.id} has ended and cannot be changed.")
    changes = BudgetChanges(
        limit_nano=UNSET if body.limit_usd is None else _read("limit_usd", readers.dollars, body.limit_usd),
        is_hard=UNSET if body.is_hard is None else body.is_hard,
        alerts=UNSET if body.alerts is None else _read("alerts", readers.alerts, body.alerts),
        webhook=_webhook(asking),
        unknown_price=UNSET if body.unknown_price is None else body.unknown_price,
    )
    changed = await asking.gateway.store.budgets.update(record.id, changes)
    await asking.gateway.budgets.refresh()
    return await _one(asking, changed or record)


async def end_budget(asking: Asking) -> Budget:
    """For good. Twice is harmless."""
    record = await _find(asking)
    _must_be_ours(record)
    ended = await asking.gateway.store.budgets.end(record.id, asking.now)
    await asking.gateway.budgets.refresh()
    return await _one(asking, ended or record)


def _configured(asking: Asking) -> Sequence[BudgetRecord]:
    return asking.gateway.config.budgets


async def _find(asking: Asking) -> BudgetRecord:
    budget_id = asking.ids["budget_id"]
    found = next((each for each in _configured(asking) if each.id == budget_id), None)
    found = found or await asking.gateway.store.budgets.find(budget_id)
    if found is None:
        raise NotFound(f"Budget {budget_id[:100]} not found.")
    return found


def _must_be_ours(record: BudgetRecord) -> None:
    if record.created_at is None:
        raise InvalidRequest(f"Budget {record.id} is of the configuration file, and cannot be changed here.")


async def _scope_id(asking: Asking) -> str:
    """Whose it is. Raises InvalidRequest for somebody whom nobody knows."""
    body, store = asking.body, asking.gateway.store
    given: str = body.scope_id or ""
    if body.scope == "organization":
        if given not in ("", asking.principal.organization_id):
            raise InvalidRequest("scope_id: is not this organization's id")
        return asking.principal.organization_id
    if given == EVERY:
        return EVERY
    if body.scope == "workspace":
        is_there = given == asking.default_workspace_id or await store.organization.find_workspace(given) is not None
    else:
        is_there = await store.keys.get(given) is not None
    if not is_there:
        raise InvalidRequest(f"scope_id: no {body.scope} has the id {given[:100]!r}")
    return given


def _webhook(asking: Asking) -> Any:
    if "webhook" not in asking.given:
        return UNSET
    return None if asking.body.webhook is None else _url(asking)


def _url(asking: Asking) -> str:
    """The server will post to it, from where it stands: so it is not for everybody who may set budgets to choose."""
    if asking.principal.role not in MAY_SET_WEBHOOKS:
        raise PermissionDenied("webhook: Your role may set budgets, but not where their alerts are sent.")
    return _read("webhook", readers.webhook, asking.body.webhook)


def _read(field: str, reader: Callable[[object], T], value: object) -> T:
    """What the configuration's own reader makes of it. Raises InvalidRequest, which does not show the value."""
    try:
        return reader(value)
    except Refused as refused:
        raise InvalidRequest(f"{field}: {refused.why}") from None


async def _one(asking: Asking, record: BudgetRecord) -> Budget:
    return (await _shown(asking, [record]))[0]


async def _shown(asking: Asking, records: Sequence[BudgetRecord]) -> list[Budget]:
    now = asking.now.timestamp()
    starts = {record.id: window_of(record.period, record.zone, now)[0] for record in records}
    begun = await asking.gateway.store.budgets.spending(list(starts.items()))
    shown = []
    for record in records:
        window = (record.id, starts[record.id])
        spent = begun[window].spent_nano if window in begun else await _first_spent(asking, record)
        shown.append(_budget(asking, record, spent))
    return shown


async def _first_spent(asking: Asking, record: BudgetRecord) -> int | None:
    """Of a window that nobody has asked for yet. None where it is not of one."""
    scope_id = record.scope_id
    if record.scope == "organization":
        scope_id = asking.principal.organization_id
    elif record.scope == "workspace" and scope_id == DEFAULT_WORKSPACE:
        scope_id = asking.default_workspace_id
    is_of_one = scope_id != EVERY and (record.scope != "key" or scope_id.startswith("apikey_"))
    if not is_of_one or record.ended_at is not None:
        return None
    window = window_of(record.period, record.zone, asking.now.timestamp())
    return await asking.gateway.store.budgets.first_spent(record.id, window, record.scope, scope_id)


def _budget(asking: Asking, record: BudgetRecord, spent_nano: int | None) -> Budget:
    is_whole = record.scope == "organization"
    return Budget(
        id=record.id,
        scope=record.scope,
        scope_id=asking.principal.organization_id if is_whole else record.scope_id,
        period=record.period,
        zone=record.zone,
        limit_usd=usd(record.limit_nano),
        spent_usd=None if spent_nano is None else usd(spent_nano),
        is_hard=record.is_hard,
        unknown_price=record.unknown_price,
        alerts=list(record.alerts),
        webhook_host=None if record.webhook is None else urlsplit(record.webhook).hostname,
        origin="file" if record.created_at is None else "api",
        created_at=record.created_at,
        ended_at=record.ended_at,
    )
