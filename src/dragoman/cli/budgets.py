"""`dragoman budgets`: how much may be spent, by whom, and how much is."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import urlsplit

import typer

from dragoman.errors import ConfigError

from .options import AsJSON, ConfigPath, DatabaseURL, absent_database, option, with_database
from .output import echo_json, show, table_of

if TYPE_CHECKING:
    from dragoman.gateway.auth.auth import Auth
    from dragoman.gateway.config.config import Config
    from dragoman.store.budgets import BudgetRecord
    from dragoman.store.sql import SQLStore

__all__ = ["budgets"]

T = TypeVar("T")

Row = tuple["BudgetRecord", int | None]  # with what is spent of it now: None where each has one of its own

budgets = typer.Typer(
    help="List, make and end budgets: how much may be spent, by whom.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@budgets.command("list")
def list_budgets(
    with_ended: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    as_json: AsJSON = False,
    config: ConfigPath = None,
    database: DatabaseURL = None,
) -> None:
    """List the budgets, those of the configuration file first, and what is spent of each.

    What is spent comes from the ledger, which is some seconds behind.
    """
    settings = with_database(config, database)
    absent = absent_database(settings)

    async def read(store: "SQLStore", auth: "Auth") -> "list[Row]":
        recorded = await store.budgets.list(with_ended=with_ended)
        return [(each, await _spent(store, auth, each)) for each in (*settings.budgets, *recorded)]

    rows: Sequence[Row] = [(each, None) for each in settings.budgets] if absent else _with_store(settings, read)
    if as_json:
        echo_json([_public(*row) for row in rows])
    elif not rows:
        typer.echo(
            "No budgets: `dragoman budgets create` makes one, and so do tables [[budgets]] in the configuration."
        )
    else:
        table = table_of("id", "of", "spent", "budget", numbers=("spent",))
        for record, spent in rows:
            table.add_row(*_cells(record, spent))
        show(table)


@budgets.command("create")
def create_budget(
    scope: Annotated[
        str,
        typer.Argument(
            metavar="SCOPE",
            help="Whose: organization, workspace:ID, workspace:default, workspace:*, key:ID, key:NAME or key:*.",
        ),
    ],
    usd: Annotated[str, option("--usd", "AMOUNT", "How many US dollars, as in 20 or 0.50.")],
    period: Annotated[str, option("--period", "PERIOD", "In which time: day, week, month or total.")],
    zone: Annotated[
        str, typer.Option("--zone", metavar="NAME", help="Whose calendar counts, as in Europe/Berlin.")
    ] = "UTC",
    is_soft: Annotated[bool, typer.Option("--soft", help="Refuse nothing when it is spent: alerts only.")] = False,
    alerts: Annotated[
        list[int] | None,
        option("--alert", "PERCENT", "Tell when so much is spent. May be given several times. Default: 80 and 100."),
    ] = None,
    webhook: Annotated[
        str | None, option("--webhook", "URL", "Where alerts are posted to. They are in the log, too.")
    ] = None,
    refuses_unpriced: Annotated[
        bool, typer.Option("--refuse-unpriced", help="Refuse requests whose price is not known.")
    ] = False,
    as_json: AsJSON = False,
    config: ConfigPath = None,
    database: DatabaseURL = None,
) -> None:
    """Make a budget. Servers that are running heed it within five seconds.

    What was spent since its day, week or month began counts; of one in total, all that was ever spent.
    """
    from dragoman.gateway.config import budgets as read
    from dragoman.gateway.config.values import choice
    from dragoman.gateway.ids import new_id
    from dragoman.store.budgets import BudgetRecord

    settings = with_database(config, database)
    kind, id_ = _read("SCOPE", read.scope, scope)
    given: dict[str, Any] = {
        "limit_nano": _read("--usd", read.dollars, usd),
        "period": _read("--period", choice("day", "week", "month", "total"), period),
        "zone": _read("--zone", read.zone, zone),
        "alerts": _read("--alert", read.alerts, [80, 100] if alerts is None else alerts),
        "webhook": None if webhook is None else _read("--webhook", read.webhook, webhook),
    }

    async def create(store: "SQLStore", auth: "Auth") -> "BudgetRecord":
        record = BudgetRecord(
            id=new_id("budget"),
            scope=kind,
            scope_id=await _scope_id(store, auth, kind, id_),
            is_hard=not is_soft,
            unknown_price="refuse" if refuses_unpriced else "allow",
            created_at=datetime.now(UTC),
            **given,
        )
        await store.budgets.add(record)
        return record

    _tell("Made", _with_store(settings, create), as_json=as_json)


@budgets.command("end")
def end_budget(
    budget_id: Annotated[str, typer.Argument(metavar="ID", help="What `dragoman budgets list` shows of it first.")],
    as_json: AsJSON = False,
    config: ConfigPath = None,
    database: DatabaseURL = None,
) -> None:
    """End a budget, for good. Servers that are running forget it within five seconds.

    One of the configuration file ends when it is taken out there.
    """
    settings = with_database(config, database)
    if any(each.id == budget_id for each in settings.budgets):
        raise ConfigError(f"{budget_id} is of the configuration file: take it out there, and start the server again")
    absent = absent_database(settings)
    if absent is not None:
        raise ConfigError(f"the database {absent} is not there yet, and so no budget is")
    found = _with_store(settings, lambda store, _: store.budgets.end(budget_id, datetime.now(UTC)))
    if found is None:
        raise ConfigError(f"there is no budget {budget_id[:100]!r}: `dragoman budgets list` shows them all")
    _tell("Ended", found, as_json=as_json)


@budgets.command("webhook-key")
def show_webhook_key(config: ConfigPath = None, database: DatabaseURL = None) -> None:
    """Print the key that posted alerts are signed with.

    It is for whoever receives them, follows from the installation's secret, and stays the same as long as that does.
    """
    from dragoman.gateway.auth.secret import load_secret
    from dragoman.gateway.budgets.webhooks import shown_key

    settings = with_database(config, database)
    typer.echo(shown_key(load_secret(settings.server.database, os.environ)))


def _read(name: str, reader: Callable[[object], T], value: object) -> T:
    from dragoman.gateway.config.values import Refused, shown

    try:
        return reader(value)
    except Refused as refused:
        subject = "the value" if refused.hidden else shown(value)
        raise ConfigError(f"{name}: {subject} {refused.why}. {refused.remedy}") from None


async def _scope_id(store: "SQLStore", auth: "Auth", kind: str, id_: str) -> str:
    """Whose it is. Raises ConfigError for somebody whom nobody knows."""
    if kind == "organization":
        return auth.organization_id
    if id_ == "*":
        return id_
    if kind == "workspace":
        if id_ in ("default", auth.workspace_id):
            return auth.workspace_id
        if await store.organization.find_workspace(id_) is None:
            raise ConfigError(f"there is no workspace {id_!r}: budgets are for those that are there, or workspace:*")
        return id_
    now = datetime.now(UTC)
    found = [key for key in await store.keys.list() if id_ in (key.id, key.hint)]
    found = found or [key for key in await store.keys.list() if key.name == id_ and key.status(now) != "archived"]
    if len(found) != 1:
        why = "there is no key" if not found else "there are several keys"
        raise ConfigError(f"{why} {id_!r}: `dragoman keys list` shows their ids")
    return found[0].id


async def _spent(store: "SQLStore", auth: "Auth", record: "BudgetRecord") -> int | None:
    """Nano-dollars in the window of now; None of one that each has of its own, and of what nobody has spent yet."""
    from dragoman.gateway.budgets.windows import window_of

    if record.scope_id == "*" or record.ended_at is not None:
        return None
    scope_id = record.scope_id
    if record.scope == "key" and not scope_id.startswith("apikey_"):  # by its name: a key may get another one
        return None
    if record.scope == "workspace" and scope_id == "default":
        scope_id = auth.workspace_id
    window = window_of(record.period, record.zone, time.time())
    return await store.budgets.first_spent(record.id, window, record.scope, scope_id)


def _with_store(settings: "Config", work: "Callable[[SQLStore, Auth], Awaitable[T]]") -> T:
    from dragoman.gateway.open import open_auth

    async def run() -> T:
        store, auth, _ = open_auth(settings, os.environ)
        await store.open()
        try:
            return await work(store, auth)
        finally:
            await store.close()

    return asyncio.run(run())


def _tell(what: str, record: "BudgetRecord", *, as_json: bool) -> None:
    from dragoman.gateway.budgets.words import describe_budget, whose

    if as_json:
        echo_json(_public(record, None))
    else:
        typer.echo(f"{what} {record.id}, of {whose(record)}: {describe_budget(record)}.")


def _cells(record: "BudgetRecord", spent: int | None) -> Sequence[str]:
    from dragoman.gateway.budgets.words import describe_budget, dollars, whose

    ended = "" if record.ended_at is None else "ended; "
    return record.id, whose(record), "" if spent is None else dollars(spent), ended + describe_budget(record)


def _public(record: "BudgetRecord", spent: int | None) -> dict[str, object]:
    """As the admin API shows it. The path of a webhook may be a secret."""
    from dragoman.gateway.budgets.words import usd

    return {
        "id": record.id,
        "scope": record.scope,
        "scope_id": record.scope_id,
        "period": record.period,
        "zone": record.zone,
        "limit_usd": usd(record.limit_nano),
        "spent_usd": None if spent is None else usd(spent),
        "is_hard": record.is_hard,
        "unknown_price": record.unknown_price,
        "alerts": record.alerts,
        "webhook_host": None if record.webhook is None else urlsplit(record.webhook).hostname,
        "origin": "file" if record.created_at is None else "api",
        "created_at": record.created_at,
        "ended_at": record.ended_at,
    }
