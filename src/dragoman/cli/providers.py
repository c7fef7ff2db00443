"""`dragoman providers` and `dragoman rotate-master-key`: keys of providers, kept in the database."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from dragoman.errors import ConfigError

from .options import AsJSON, ConfigPath, DatabaseURL, absent_database, with_database
from .output import echo_json, show, table_of

if TYPE_CHECKING:
    from dragoman.gateway.config.config import Config, ProviderConfig
    from dragoman.gateway.credentials.master_key_rotation import Rotated
    from dragoman.gateway.credentials.stored import Credentials
    from dragoman.store.credentials import CredentialRecord

__all__ = ["providers", "rotate_master_key"]

T = TypeVar("T")

KEY_LIMIT_CHARS = 64 * 1024  # read from a pipe: more is no key but a file given by mistake

providers = typer.Typer(
    help="List the providers, and keep keys for them in the database, encrypted.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@providers.command("list")
def list_providers(as_json: AsJSON = False, config: ConfigPath = None, database: DatabaseURL = None) -> None:
    """List the providers of the configuration, what each is asked with, and the keys that are kept for them.

    The keys themselves are never shown again. One that is "unreadable" is under a master key that is not known here.
    """
    settings = with_database(config, database)

    async def read(credentials: "Credentials") -> list[dict[str, object]]:
        return [_public(record, credentials) for record in await credentials.list()]

    absent = absent_database(settings)
    kept = [] if absent else _with_credentials(settings, read)
    rows = [_provider(each, kept) for each in settings.providers.values()]
    if as_json:
        echo_json({"providers": rows, "keys": kept})
        return
    table = table_of("provider", "dialect", "address", "asked with")
    for row in rows:
        table.add_row(*(str(row[name] or "") for name in ("name", "dialect", "base_url", "asked_with")))
    show(table)
    if kept:
        typer.echo()
        table = table_of("id", "provider", "hint", "name", "added", "master key", "state")
        for each in kept:
            table.add_row(*_cells(each))
        show(table)


@providers.command("add-key")
def add_key(
    provider: Annotated[str, typer.Argument(metavar="PROVIDER", help="Its name in the configuration.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the key is for.")] = "unnamed",
    as_json: AsJSON = False,
    config: ConfigPath = None,
    database: DatabaseURL = None,
) -> None:
    """Keep a key for a provider. It is read from standard input, or asked for in a terminal; no argument holds it.

    A provider is shown the keys that are kept for it, in turns, in place of the configuration's. Servers that are
    running take a new one within five seconds.
    """
    settings = with_database(config, database)
    if provider not in settings.providers:
        known = ", ".join(settings.providers)
        raise ConfigError(f"no provider has this name: the configuration has {known}. Add a table [providers.NAME].")
    chosen, key = settings.providers[provider], _read_key(provider)
    record = _with_credentials(settings, lambda credentials: credentials.add(chosen, key, name=name))
    if as_json:
        echo_json(_public(record))
    else:
        typer.echo(f"Kept {record.id}, a key for {record.provider} ({record.hint}).")


@providers.command("end-key")
def end_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="What `dragoman providers list` shows of it first.")],
    as_json: AsJSON = False,
    config: ConfigPath = None,
    database: DatabaseURL = None,
) -> None:
    """End a key of a provider, for good: it is erased. Servers that are running let go of it within five seconds."""
    settings = with_database(config, database)
    _must_be_there(settings)
    record = _with_credentials(settings, lambda credentials: credentials.end(key_id))
    if as_json:
        echo_json(_public(record))
    else:
        typer.echo(f"Ended {record.id}, a key for {record.provider} ({record.hint}).")


def rotate_master_key(
    in_output: Annotated[
        bool, typer.Option("--print", help="Make a new master key and print it, this once, in place of a file.")
    ] = False,
    as_json: AsJSON = False,
    config: ConfigPath = None,
    database: DatabaseURL = None,
) -> None:
    """Put all keys of providers in the database under a new master key.

    The new one is DRAGOMAN_MASTER_KEY, with the old one in DRAGOMAN_MASTER_KEY_PREVIOUS. Where that is not set, one is
    made and put into DRAGOMAN_MASTER_KEY_FILE, or into a file beside a database that is a file, in place of the old
    one. Servers may run meanwhile. If it is broken off, run it again. The exit code is 1 if anything stays as it was.
    """
    settings = with_database(config, database)
    _must_be_there(settings)
    done = _rotate(settings, tell=(_tell_as_json if as_json else _tell) if in_output else None)
    if as_json:
        echo_json(done)
    else:
        typer.echo(_told(done), err=in_output)
    for trouble in done.troubles:
        typer.echo(f"error: {trouble}", err=True)
    if done.troubles:
        raise typer.Exit(1)


def _rotate(settings: "Config", *, tell: Callable[[str], None] | None) -> "Rotated":
    from dragoman.gateway.credentials.master_key_rotation import rotate
    from dragoman.gateway.open import open_auth

    async def run() -> "Rotated":
        url = settings.server.database
        store, _, secret = open_auth(settings, os.environ)
        await store.open()
        try:
            return await rotate(store.credentials, url, os.environ, secret, tell=tell)
        finally:
            await store.close()

    return asyncio.run(run())


def _tell(written: str) -> None:
    """The new master key, which whoever asked for it has when this returns."""
    typer.echo(written)
    sys.stdout.flush()


def _tell_as_json(written: str) -> None:
    """On a line before that of the outcome."""
    echo_json({"master_key": written})
    sys.stdout.flush()


def _told(done: "Rotated") -> str:
    lines = [f"{done.envelopes} put under the master key {done.master_key_id}: {done.place}."]
    if done.is_new and done.place.startswith("DRAGOMAN_MASTER_KEY"):
        lines.append("It is shown this once. Set DRAGOMAN_MASTER_KEY to it for every server, and start them anew.")
    elif done.still_in_file:
        lines.append(f"Old master keys are still in {done.place}: take out all lines but the first when all is well.")
    elif not done.troubles:
        lines.append("No other master key is needed any more.")
    return "\n".join(lines)


def _read_key(provider: str) -> str:
    """Raises ConfigError."""
    if sys.stdin.isatty():
        return str(typer.prompt(f"Key for {provider}", hide_input=True, err=True))
    text = sys.stdin.read(KEY_LIMIT_CHARS + 1)
    if len(text) > KEY_LIMIT_CHARS:
        raise ConfigError("standard input holds more than a key")
    return text


def _must_be_there(settings: "Config") -> None:
    if absent := absent_database(settings):
        raise ConfigError(f"the database {absent} is not there. Name the server's with --config or --database.")


def _with_credentials(settings: "Config", work: "Callable[[Credentials], Awaitable[T]]") -> T:
    from dragoman.gateway.open import open_auth, open_credentials

    async def run() -> T:
        store, _, secret = open_auth(settings, os.environ)
        credentials = open_credentials(store, settings, os.environ, secret)
        await store.open()
        try:
            return await work(credentials)
        finally:
            await store.close()

    return asyncio.run(run())


def _public(record: "CredentialRecord", credentials: "Credentials | None" = None) -> dict[str, object]:
    """All of a credential but its envelope; with `credentials`, whether it can be read."""
    state = "ended" if record.ended_at else "live"
    if credentials is not None and record.ended_at is None and credentials.trouble(record):
        state = "unreadable"
    return {
        "id": record.id,
        "provider": record.provider,
        "hint": record.hint,
        "name": record.name,
        "created_at": record.created_at,
        "ended_at": record.ended_at,
        "master_key_id": record.master_key_id,
        "state": state,
    }


def _cells(each: Mapping[str, object]) -> Iterator[str]:
    for name in ("id", "provider", "hint", "name"):
        yield str(each[name])
    yield str(each["created_at"])[:10]
    yield str(each["master_key_id"])
    yield f"ended {str(each['ended_at'])[:10]}" if each["ended_at"] else str(each["state"])


def _provider(provider: "ProviderConfig", kept: Sequence[Mapping[str, object]]) -> dict[str, object]:
    return {
        "name": provider.name,
        "dialect": provider.dialect,
        "base_url": provider.base_url or None,
        "asked_with": _asked_with(provider, kept),
    }


def _asked_with(provider: "ProviderConfig", kept: Sequence[Mapping[str, object]]) -> str | None:
    """Which keys are shown to a provider, as a person is told."""
    from dragoman.gateway.config.config import OFFLINE
    from dragoman.gateway.credentials.stored import SIGNED

    if provider.dialect == OFFLINE:
        return None
    if provider.auth in SIGNED:
        return f"credentials of {provider.auth}"
    live = [each for each in kept if each["provider"] == provider.name and each["state"] == "live"]
    if live:
        return ", ".join(str(each["id"]) for each in live)
    return "the key of the configuration" if provider.api_key else "no key"
