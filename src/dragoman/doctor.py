"""`dragoman doctor`: looks at the configuration and what surrounds it, and says what is wrong and how to mend it.

It makes no file (though opening a database brings its schema up to date), and sends no provider a request.
Prints nothing either; that is the command's.
"""

import asyncio
import os
import platform
import socket
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Thread
from typing import Literal, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from dragoman import __version__
from dragoman.errors import ConfigError, StoreError
from dragoman.gateway.auth.secret import load_secret, secret_file
from dragoman.gateway.config.config import OFFLINE, Config, Listen, ProviderConfig, describe, load, why_no_start
from dragoman.gateway.credentials.master_key import load_master_keys, master_key_file
from dragoman.gateway.open import open_auth, open_credentials
from dragoman.server.listening import bind
from dragoman.store.base import KeyRecord
from dragoman.store.urls import database_file, database_name, is_in_memory

__all__ = ["Answer", "Finding", "Report", "examine"]

PATIENCE_S = 2.0  # for a connection, the look-up of its host's name included
LEDGER_DAYS = 7  # whose requests are counted
SHOWN_CHARACTERS = 60  # of what a stranger at our address says
PACKAGES = ("msgspec", "httptools", "httpx2", "sqlalchemy", "typer")


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. `remedy` is a sentence; None where there is nothing to do, or `text` tells it."""

    status: Literal["ok", "warn", "fail"]
    subject: str
    text: str
    remedy: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """A row of what answers what."""

    subject: str
    says: str


class Report(msgspec.Struct, frozen=True):
    """`ok` is False if any finding is a failure; `answers` is empty if the configuration cannot be read."""

    ok: bool
    findings: tuple[Finding, ...]
    answers: tuple[Answer, ...]


def examine(
    path: Path | None,
    env: Mapping[str, str],
    *,
    listen: str | None = None,
    database: str | None = None,
    reach: bool = True,
) -> Report:
    """Look at everything. `reach`: also try to connect to the providers, at most PATIENCE_S seconds."""
    findings = [_versions()]
    answers: tuple[Answer, ...] = ()
    try:
        config = load(path, env, listen=listen, database=database)
    except ConfigError as error:
        findings += [Finding("fail", "configuration", line) for line in str(error).splitlines()]
    else:
        findings += _surroundings(config, env)
        findings += _reach_all([each for each in config.providers.values() if each.dialect != OFFLINE and reach])
        rows = describe(config)
        answers = tuple(Answer(subject, says) for subject, says in rows if subject != "note")
    is_ok = all(finding.status != "fail" for finding in findings)
    return Report(is_ok, tuple(findings), answers)


def _versions() -> Finding:
    said = f"dragoman {__version__}, Python {platform.python_version()}"
    try:
        return Finding("ok", "versions", ", ".join([said, *(f"{each} {version(each)}" for each in PACKAGES)]))
    except PackageNotFoundError as error:
        return Finding("fail", "versions", f"{said}, but {error.name} is missing", "Install dragoman again.")


def _surroundings(config: Config, env: Mapping[str, str]) -> Iterator[Finding]:
    yield Finding("ok", "configuration", config.source or "no file: defaults and the environment")
    for note in config.notes:
        yield Finding("warn", "configuration", note)
    yield _address(config.server.listen)
    url = config.server.database
    if is_in_memory(url):
        yield Finding(
            "warn",
            "database",
            "in memory: keys are forgotten when the server ends",
            "Name a file, as in sqlite:///dragoman.db, or preset a key with DRAGOMAN_API_KEY.",
        )
        return
    file = database_file(url)
    yield (database := Finding("ok", "database", database_name(url)) if file is None else _database(file))
    if database.status == "fail":
        return
    yield (secret := _secret(file, config, env))
    if secret.status == "fail":
        return
    yield (keys := _keys(file, config, env))
    if keys.status == "fail":  # what follows would say the same
        return
    if (master_key := _master_key(config, env)) is not None:
        yield master_key
    yield from _provider_keys(file, config, env)
    if file is None or (file.exists() and file.stat().st_size):
        yield _ledger(config)


# The address


def _address(listen: Listen) -> Finding:
    if listen.port == 0:
        return Finding("ok", "address", f"{listen}: a free port is taken at start")
    try:
        bind(listen).close()
    except ConfigError as error:
        who = _who_listens(listen)
        if who is None:
            return Finding("fail", "address", str(error))
        remedy = "Stop it before you start a server, or choose another address with --listen."
        is_ours = who.startswith("dragoman ")
        return Finding("warn" if is_ours else "fail", "address", f"{who} already listens on {listen}", remedy)
    return Finding("ok", "address", f"{listen} is free")


def _who_listens(listen: Listen) -> str | None:
    """What is already there, by what it answers to `GET /`; None if nothing takes a connection."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    connection = HTTPConnection(host, listen.port, timeout=PATIENCE_S)
    try:
        connection.connect()
    except (OSError, UnicodeError):
        return None
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read(10_000)
    except (OSError, HTTPException):
        return "something that answers no HTTP"
    finally:
        connection.close()
    try:
        said = msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError:
        said = {}
    if said.get("service") == "dragoman":
        return f"dragoman {said.get('version')}"
    name = response.headers.get("server", "a server without a name")[:SHOWN_CHARACTERS]
    return f"something (HTTP {response.status}, {name})"


# The database and the keys in it


def _database(file: Path) -> Finding:
    folder = file.parent
    if not os.path.isdir(folder):  # unlike Path.is_dir never raises, whoever may look
        return Finding("fail", "database", f"{folder} is not a folder", f"Make it: mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding("fail", "database", f"the folder {folder} cannot be written", "Let this user write there.")
    if not file.exists():
        return Finding("ok", "database", f"{file} is not there yet: the first start makes it")
    if not file.is_file():
        return Finding("fail", "database", f"{file} is not a file", "Name another one with DRAGOMAN_DATABASE.")
    if not os.access(file, os.R_OK | os.W_OK):
        return Finding("fail", "database", f"{file} cannot be read and written", "Let this user do so.")
    return _privacy("database", file)


def _secret(file: Path | None, config: Config, env: Mapping[str, str]) -> Finding:
    """The secret that keys the stored hashes: without it no key is known again."""
    try:
        path = secret_file(config.server.database, env)
    except ConfigError as error:
        return Finding("fail", "secret", str(error))
    if file is not None and path is not None and not path.exists():
        if not file.exists():
            return Finding("ok", "secret", f"{path} is not there yet: the first start makes it")
        return Finding(
            "fail",
            "secret",
            f"{path} is missing, so that no key in the database would be known again",
            "Restore it from a copy, or set DRAGOMAN_SECRET if the server had it. A server started now makes a new "
            "one, and every caller needs a new key.",
        )
    try:
        load_secret(config.server.database, env, wait_s=0)
    except ConfigError as error:
        return Finding("fail", "secret", str(error))
    return Finding("ok", "secret", "DRAGOMAN_SECRET") if path is None else _privacy("secret", path)


def _privacy(subject: str, path: Path) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        return Finding(
            "warn", subject, f"{path} is open to other users of this machine (mode {mode:o})", f"chmod 600 {path}"
        )
    return Finding("ok", subject, str(path))


def _keys(file: Path | None, config: Config, env: Mapping[str, str]) -> Finding:
    preset = " and the one in DRAGOMAN_API_KEY" if env.get("DRAGOMAN_API_KEY") else ""
    if file is not None and (not file.exists() or not file.stat().st_size):
        if preset:
            return Finding("ok", "keys", "none yet but the one in DRAGOMAN_API_KEY")
        return Finding("ok", "keys", "none yet: the first start makes one and shows it")
    try:
        records = asyncio.run(_list_keys(config, env))
    except (ConfigError, StoreError) as error:
        return Finding("fail", "keys", str(error))
    now = datetime.now(UTC)
    live = sum(record.status(now) != "archived" for record in records)
    said = f"{live} live, {len(records) - live} revoked{preset}"
    if live or preset or not records:  # of a database without any key, the first start makes one
        return Finding("ok", "keys", said)
    return Finding("warn", "keys", f"{said}: nobody can call the server", "Make one with `dragoman keys create`.")


async def _list_keys(config: Config, env: Mapping[str, str]) -> Sequence[KeyRecord]:
    store, auth, _ = open_auth(config, env)
    await store.open()
    try:
        return await auth.list()
    finally:
        await store.close()


def _master_key(config: Config, env: Mapping[str, str]) -> Finding | None:
    """Where one is given: without it no key of a provider in the database can be read."""
    try:
        path = master_key_file(config.server.database, env)
        origin = load_master_keys(config.server.database, env, b"").origin
    except ConfigError as error:
        return Finding("fail", "master key", str(error))
    if path is not None and path.exists():
        return _privacy("master key", path)
    return Finding("ok", "master key", origin) if env.get("DRAGOMAN_MASTER_KEY") else None


def _provider_keys(file: Path | None, config: Config, env: Mapping[str, str]) -> Iterator[Finding]:
    """Those in the database, and the providers that cannot do without one. Never a key itself."""
    is_there = file is None or (file.exists() and file.stat().st_size)
    try:
        kept, troubles = asyncio.run(_stored_keys(config, env)) if is_there else ([], [])
    except (ConfigError, StoreError) as error:
        yield Finding("fail", "provider keys", str(error))
        return
    for trouble in troubles:
        yield Finding("fail", "provider keys", trouble)
    if kept and not troubles:
        yield Finding("ok", "provider keys", f"{len(kept)} live, for {', '.join(sorted(set(kept)))}")
    for provider in config.providers.values():
        if provider.name not in kept and (why := why_no_start(provider)):
            yield Finding("fail", "provider keys", why)


async def _stored_keys(config: Config, env: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The providers that have live keys, one for each key; and a sentence for each that cannot be read."""
    store, _, secret = open_auth(config, env)
    credentials = open_credentials(store, config, env, secret)
    await store.open()
    try:
        records = await store.credentials.live()
    finally:
        await store.close()
    return [each.provider for each in records], [why for each in records if (why := credentials.trouble(each))]


def _ledger(config: Config) -> Finding:
    if not config.ledger.enabled:
        return Finding("ok", "ledger", "off: no request is recorded")
    try:
        requests, unpriced = asyncio.run(_last_requests(config))
    except (ConfigError, StoreError) as error:
        return Finding("fail", "ledger", str(error))
    said = f"{requests:,} requests in the last {LEDGER_DAYS} days"
    if not unpriced:
        return Finding("ok", "ledger", said)
    remedy = "`dragoman usage` tells of which models. Set their prices in [prices] (docs/prices.md)."
    return Finding("warn", "ledger", f"{said}, {unpriced:,} of them at a cost that is not known", remedy)


async def _last_requests(config: Config) -> tuple[int, int]:
    """How many, and how many of them have no known price."""
    from dragoman.store.sql import SQLStore
    from dragoman.store.usage import HOUR_S

    store = SQLStore(config.server.database)
    await store.open()
    try:
        end = int(time.time()) + HOUR_S
        start = end - LEDGER_DAYS * 24 * HOUR_S
        sums = await store.usage.sums(width_s=HOUR_S, start=start, end=end, in_buckets=False)
    finally:
        await store.close()
    return sum(each.requests for each in sums), sum(each.unpriced for each in sums)


# The providers


class Way(NamedTuple):
    """Where a request would connect to, and how to call that: the provider, or a proxy."""

    host: str
    port: int
    shown: str


def _reach_all(providers: Sequence[ProviderConfig]) -> list[Finding]:
    """Try all at once. A name look-up cannot be given a time limit nor be ended, so it is left behind in its thread."""
    found: dict[str, Finding] = {}
    threads = [
        Thread(target=lambda each: found.update({each.name: _reach(each)}), args=[each], daemon=True)
        for each in providers
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    late = f"no connection within {PATIENCE_S:g} s"
    return [found.get(each.name) or _unreachable(each, late) for each in providers]


def _reach(provider: ProviderConfig) -> Finding:
    try:
        way = _way_to(provider)
        socket.create_connection((way.host, way.port), timeout=PATIENCE_S).close()
    except socket.gaierror:
        return _unreachable(provider, f"{way.shown}: the name cannot be resolved")
    except OSError as error:
        return _unreachable(provider, f"{way.shown}: {error.strerror or error}")
    except ValueError as error:  # a proxy that is no URL, a name that IDNA does not take
        return _unreachable(provider, str(error))
    return Finding("ok", f"provider {provider.name}", f"{way.shown} takes connections")


def _unreachable(provider: ProviderConfig, why: str) -> Finding:
    remedy = "Check base_url, the network and the proxy; --offline leaves this check out."
    return Finding("fail", f"provider {provider.name}", f"{provider.base_url} cannot be reached: {why}", remedy)


def _way_to(provider: ProviderConfig) -> Way:
    """Raises ValueError for a proxy that is no URL."""
    url = urlsplit(provider.base_url)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return Way(host, port, str(Listen(host, port)))
    url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    return Way(host, port, f"the proxy {Listen(host, port)}")  # not its URL: that may hold a password
