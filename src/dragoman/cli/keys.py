"""`dragoman keys`: the API keys of callers and administrators."""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from dragoman.errors import ConfigError

from .options import AsJSON, ConfigPath, DatabaseURL, absent_database, option, with_database
from .output import echo_json, show, table_of

if TYPE_CHECKING:
    from dragoman.gateway.auth.auth import Auth
    from dragoman.gateway.config.config import Config
    from dragoman.store.base import KeyRecord
    from dragoman.store.keys import KeyChanges
    from dragoman.store.sql import SQLStore

__all__ = ["keys"]

T = TypeVar("T")

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
# What `--json` tells of a key, in this order: all but its hashes.
PUBLIC = (
    "id", "name", "hint", "created_at", "revoked_at", "workspace_id", "is_test", "role", "disabled_at", "expires_at",
    "created_by", "tier", "models", "addresses", "tags", "cache_s", "previous_until",
)  # fmt: skip

keys = typer.Typer(
    help="Make, list, change and revoke the API keys that callers of this server use.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


# What several of them take

IdOrHint = Annotated[
    str,
    typer.Argument(metavar="ID_OR_HINT", help="What `dragoman keys list` shows of the key in its first columns."),
]
Workspace = Annotated[str | None, option("--workspace", "ID", "The workspace that it belongs to.")]
Expires = Annotated[
    str | None,
    option("--expires", "WHEN", "When it ends: in a while, as in 12h or 90d, or at a time, as in 2027-01-31T12:00Z."),
]
Tier = Annotated[str | None, option("--tier", "NAME", "The tier of its rate limits.")]
Models = Annotated[
    list[str] | None,
    option("--model", "PATTERN", "A model that it may ask, as in claude-haiku-*. May be given several times."),
]
Addresses = Annotated[
    list[str] | None,
    option("--address", "NETWORK", "A network that it may be used from, as in 10.0.0.0/8. Several times too."),
]
Tags = Annotated[
    list[str] | None,
    option("--tag", "NAME=VALUE", "A tag for the ledger. Several times too."),
]
Cache = Annotated[
    str | None,
    option("--cache", "DURATION", "How long its replies are given again to the very same request, as in 10m."),
]


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the key is for.")] = "unnamed",
    is_test: Annotated[
        bool, typer.Option("--test", help="A key for tests: its requests may ask for faults with dragoman-fault.")
    ] = False,
    admin: Annotated[
        str | None,
        option("--admin", "ROLE", "An admin key, for the admin API alone: owner, admin, developer, billing or reader."),
    ] = None,
    workspace: Workspace = None,
    expires: Expires = None,
    tier: Tier = None,
    models: Models = None,
    addresses: Addresses = None,
    tags: Tags = None,
    cache: Cache = None,
    as_json: AsJSON = False,
    config: ConfigPath = None,
    database: DatabaseURL = None,
) -> None:
    """Make an API key and show it, this once: only a hash of it is kept.

    The key alone goes to standard output, what is to be said about it to standard error.
    """
    settings = with_database(config, database)

    async def create(auth: "Auth", store: "SQLStore") -> "tuple[str, KeyRecord]":
        terms = await _terms(settings, auth, store, workspace, expires, tier, models, addresses, tags, cache)
        needed = _needed_tier(settings, terms)
        return await auth.create(name, is_test=is_test, role=admin, terms=terms, needs_tier=needed)

    _tell_key(*_with_keys(settings, create), as_json=as_json)


@keys.command("list")
def list_keys(as_json: AsJSON = False, config: ConfigPath = None, database: DatabaseURL = None) -> None:
    """List all API keys, newest first, those revoked too; a key itself is never shown again.

    Of what keys may have besides, the table has a column where any of them has it.
    """
    settings = with_database(config, database)
    absent = absent_database(settings)
    records = () if absent else _with_keys(settings, lambda auth, _: auth.list())
    if as_json:
        echo_json([_public(record) for record in records])
    elif not records:
        where = f"the database {absent} is not there yet" if absent else "the database holds none"
        typer.echo(f"No keys: {where}. `dragoman keys create` makes one, and so does the first `dragoman serve`.")
    else:
        now = datetime.now(UTC)
        rows = [_row(record, now) for record in records]
        headings = [heading for heading in rows[0] if any(row[heading] for row in rows)]
        table = table_of(*headings)
        for row in rows:
            table.add_row(*(row[heading] for heading in headings))
        show(table)


@keys.command("update")
def update_key(
    id_or_hint: IdOrHint,
    name: Annotated[str | None, option("--name", "NAME", "What the key is for.")] = None,
    workspace: Workspace = None,
    expires: Expires = None,
    tier: Tier = None,
    models: Models = None,
    addresses: Addresses = None,
    tags: Tags = None,
    cache: Cache = None,
    as_json: AsJSON = False,
    config: ConfigPath = None,
    database: DatabaseURL = None,
) -> None:
    """Change what an API key is for and may do. What is given takes the place of what was there.

    An empty text takes it away, as in --expires "". Servers that are running heed it within five seconds.
    """
    settings = with_database(config, database)

    async def change(auth: "Auth", store: "SQLStore") -> "KeyChanges":
        from msgspec.structs import replace

        terms = await _terms(settings, auth, store, workspace, expires, tier, models, addresses, tags, cache)
        return terms if name is None else replace(terms, name=name)

    _update(settings, id_or_hint, change, told="Changed", as_json=as_json)


@keys.command("disable")
def disable_key(
    id_or_hint: IdOrHint, as_json: AsJSON = False, config: ConfigPath = None, database: DatabaseURL = None
) -> None:
    """Make an API key inactive, until it is enabled. Servers that are running refuse it within five seconds."""
    _set_status(id_or_hint, "inactive", config, database, told="Disabled", as_json=as_json)


@keys.command("enable")
def enable_key(
    id_or_hint: IdOrHint, as_json: AsJSON = False, config: ConfigPath = None, database: DatabaseURL = None
) -> None:
    """Make an API key active again that was disabled. One that was revoked stays so."""
    _set_status(id_or_hint, "active", config, database, told="Enabled", as_json=as_json)


@keys.command("rotate")
def rotate_key(
    id_or_hint: IdOrHint,
    overlap: Annotated[
        str, typer.Option("--overlap", metavar="DURATION", help="How long the old one works on, as in 24h or 7d.")
    ] = "24h",
    as_json: AsJSON = False,
    config: ConfigPath = None,
    database: DatabaseURL = None,
) -> None:
    """Replace an API key by a new one, which is shown this once. Its id and all of its terms stay.

    Both work until the overlap is over; --overlap 0s ends the old one within five seconds.
    """
    settings = _there(with_database(config, database))
    try:
        lasts = _duration(overlap)
    except OverflowError:
        lasts = timedelta.max
    if lasts is None:
        raise ConfigError(f"--overlap: {overlap!r} is no duration: write one such as 24h or 7d")

    async def rotate(auth: "Auth", _: "SQLStore") -> "tuple[str, KeyRecord]":
        found = await auth.find(id_or_hint)
        rotated = await auth.rotate(found.id, overlap=lasts)
        if rotated is None:
            raise ConfigError(f"the key {found.id} was revoked, and stays so: make a new one")
        return rotated

    key, record = _with_keys(settings, rotate)
    _tell_key(key, record, as_json=as_json)
    if as_json:
        return
    until = record.previous_works_until(datetime.now(UTC))
    ends = "works no more" if until is None else f"works until {until:%Y-%m-%d %H:%M:%S} UTC"
    typer.echo(f"The old one {ends}.", err=True)


@keys.command("revoke")
def revoke_key(
    id_or_hint: IdOrHint, as_json: AsJSON = False, config: ConfigPath = None, database: DatabaseURL = None
) -> None:
    """Revoke an API key, for good. Servers that are running refuse it within five seconds."""
    settings = _there(with_database(config, database))
    record = _with_keys(settings, lambda auth, _: auth.revoke(id_or_hint))
    _tell(record, "Revoked", as_json=as_json)


# The work


def _there(settings: "Config") -> "Config":
    """Raises ConfigError where there is no database."""
    if absent := absent_database(settings):
        raise ConfigError(f"the database {absent} is not there. Name the server's with --config or --database.")
    return settings


def _with_keys(settings: "Config", work: "Callable[[Auth, SQLStore], Awaitable[T]]") -> T:
    from dragoman.gateway.open import open_auth

    async def run() -> T:
        store, auth, _ = open_auth(settings, os.environ)
        await store.open()
        try:
            return await work(auth, store)
        finally:
            await store.close()

    return asyncio.run(run())


def _set_status(id_or_hint: str, status: Any, config: Any, database: str | None, *, told: str, as_json: bool) -> None:
    async def change(auth: "Auth", store: "SQLStore") -> "KeyChanges":
        from dragoman.store.keys import KeyChanges

        return KeyChanges(status=status)

    _update(with_database(config, database), id_or_hint, change, told=told, as_json=as_json)


def _update(
    settings: "Config",
    id_or_hint: str,
    change: "Callable[[Auth, SQLStore], Awaitable[KeyChanges]]",
    *,
    told: str,
    as_json: bool,
) -> None:
    async def update(auth: "Auth", store: "SQLStore") -> "KeyRecord":
        found = await auth.find(id_or_hint)
        if found.status(datetime.now(UTC)) == "archived":
            raise ConfigError(f"the key {found.id} was revoked, and stays so")
        changes = await change(auth, store)
        return await auth.update(found.id, changes, needs_tier=_needed_tier(settings, changes)) or found

    _tell(_with_keys(_there(settings), update), told, as_json=as_json)


async def _terms(
    settings: "Config",
    auth: "Auth",
    store: "SQLStore",
    workspace: str | None,
    expires: str | None,
    tier: str | None,
    models: list[str] | None,
    addresses: list[str] | None,
    tags: list[str] | None,
    cache: str | None,
) -> "KeyChanges":
    """What was given, of options; what was not given stays, and an empty text stands for none. Raises ConfigError."""
    from dragoman.store.keys import KeyChanges

    given: dict[str, Any] = {}
    if workspace is not None:
        await _must_be_workspace(workspace, auth, store)
        given["workspace_id"] = workspace or None
    if expires is not None:
        given["expires_at"] = _moment(expires, datetime.now(UTC)) if expires else None
    if tier is not None:
        known = {
            *settings.limits.tiers,
            *(row.name for row in await store.organization.settings() if row.kind == "tier"),
        }
        if tier and tier not in known:
            raise ConfigError(f"--tier: there is no tier {tier!r}. There are {', '.join(sorted(known))}")
        given["tier"] = tier or None
    if models is not None:
        given["models"] = tuple(each for each in models if each)
    if addresses is not None:
        given["addresses"] = tuple(each for each in addresses if each)
    if tags is not None:
        given["tags"] = _tags(tags)
    if cache is not None:
        lasts = _duration(cache or "0s")
        if lasts is None:
            raise ConfigError(f"--cache: {cache!r} is no duration: write one such as 10m or 1h")
        given["cache_s"] = int(lasts.total_seconds())
    return KeyChanges(**given)


def _needed_tier(settings: "Config", changes: "KeyChanges") -> str | None:
    """The tier that it is put into, if it may be deleted in this moment: not one of the file's."""
    tier = changes.tier
    return tier if isinstance(tier, str) and tier not in settings.limits.tiers else None


async def _must_be_workspace(workspace_id: str, auth: "Auth", store: "SQLStore") -> None:
    if workspace_id in ("", auth.workspace_id):
        return
    found = await store.organization.find_workspace(workspace_id)
    if found is None:
        raise ConfigError(f"--workspace: there is none with the id {workspace_id!r}")
    if found.archived_at is not None:
        raise ConfigError(f"--workspace: {workspace_id} was archived, so its keys work no more")


def _duration(text: str) -> timedelta | None:
    found = DURATION.fullmatch(text)
    return timedelta(seconds=int(found[1]) * UNITS_S[found[2]]) if found else None


def _moment(text: str, now: datetime) -> datetime:
    """A time to come, in UTC unless it says otherwise."""
    try:
        lasts = _duration(text)
        at = now + lasts if lasts is not None else datetime.fromisoformat(text)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(
            f"--expires: {text!r} is no time: write one such as 90d, 2027-01-31 or 2027-01-31T12:00Z"
        ) from None
    if at <= now:
        raise ConfigError(f"--expires: {text} is over; `dragoman keys revoke` ends a key now")
    return at


def _tags(given: Sequence[str]) -> dict[str, str]:
    tags = {}
    for each in given:
        name, has_value, value = each.partition("=")
        if each and not (name and has_value):
            raise ConfigError(f"--tag: {each!r} is no NAME=VALUE")
        if each:
            tags[name] = value
    return tags


# What is told


def _tell(record: "KeyRecord", what: str, *, as_json: bool) -> None:
    if as_json:
        echo_json(_public(record))
    else:
        typer.echo(f'{what} {record.id}, "{record.name}" ({record.hint}).')


def _tell_key(key: str, record: "KeyRecord", *, as_json: bool) -> None:
    if as_json:
        echo_json({"key": key, **_public(record)})
        return
    typer.echo(key)
    kind = "test key" if record.is_test else "key" if record.role is None else f"admin key ({record.role})"
    typer.echo(f'This is the {kind} {record.id}, "{record.name}". It is shown this once: keep it.', err=True)


def _public(record: "KeyRecord") -> dict[str, object]:
    return {name: getattr(record, name) for name in PUBLIC} | {"status": record.status(datetime.now(UTC))}


def _row(record: "KeyRecord", now: datetime) -> Mapping[str, str]:
    tags = record.tags or {}
    return {
        "id": record.id,
        "hint": record.hint,
        "name": record.name,
        "workspace": record.workspace_id or "",
        "created": f"{record.created_at:%Y-%m-%d}",
        "expires": f"{record.expires_at:%Y-%m-%d}" if record.expires_at else "",
        "tier": record.tier or "",
        "models": "\n".join(record.models or ()),
        "addresses": "\n".join(record.addresses or ()),
        "tags": "\n".join(f"{name}={value}" for name, value in tags.items()),
        "cache": f"{record.cache_s} s" if record.cache_s else "",
        "state": _state(record, now),
    }


def _state(record: "KeyRecord", now: datetime) -> str:
    status = record.status(now)
    state: str = "live" if status == "active" else status
    if record.workspace_archived_at is not None and record.revoked_at in (None, record.workspace_archived_at):
        state = f"archived with its workspace {record.workspace_archived_at:%Y-%m-%d}"
    elif record.revoked_at is not None:
        state = f"revoked {record.revoked_at:%Y-%m-%d}"
    if (until := record.previous_works_until(now)) is not None:
        state += f", old one until {until:%Y-%m-%d %H:%M}"
    if record.role is not None:
        state += f", admin ({record.role})"
    return state + (", test" if record.is_test else "")
