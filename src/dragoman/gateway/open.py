"""Puts a gateway together out of a configuration: the one place that chooses store, engine, adapters and transport.

Kept apart from `gateway.py` so that a gateway can be read, and tested, without the parts. The parts of a gateway
are imported when one is opened: `dragoman keys` needs only the store.
"""

import logging
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dragoman.store.base import Store
from dragoman.store.counters import Counters
from dragoman.store.files import FileFolder
from dragoman.store.sql import SQLStore
from dragoman.store.urls import database_file, is_in_memory

from .auth.auth import Auth
from .auth.secret import load_secret
from .config.config import OFFLINE, Config, ProviderConfig

if TYPE_CHECKING:
    from dragoman.engines.base import Engine
    from dragoman.engines.offline.scripts import Script
    from dragoman.http.base import Transport
    from dragoman.providers.base import Dialect

    from .credentials.master_key import MasterKeys
    from .credentials.signer import Signer
    from .credentials.stored import Credentials
    from .gateway import Gateway
    from .ledger.journal import Journal
    from .prices.prices import Prices
    from .routing.routing import Route

__all__ = ["caches_itself", "open_auth", "open_credentials", "open_gateway"]

log = logging.getLogger("dragoman")


def open_auth(config: Config, env: Mapping[str, str] = os.environ) -> tuple[SQLStore, Auth, bytes]:
    """The key store, not yet opened, and the keys in it. Raises ConfigError."""
    secret = load_secret(config.server.database, env)
    store = SQLStore(config.server.database)
    return store, Auth(store, secret), secret


def open_credentials(store: Store, config: Config, env: Mapping[str, str], secret: bytes) -> "Credentials":
    """The keys of providers in a store. Raises ConfigError for a master key that is none."""
    from .credentials.master_key import load_master_keys
    from .credentials.stored import Credentials

    def master_keys() -> "MasterKeys":
        return load_master_keys(config.server.database, env, secret)

    master_keys()  # what is wrong is said now, not when it is first needed
    return Credentials(store.credentials, master_keys)


def open_gateway(
    config: Config,
    env: Mapping[str, str] = os.environ,
    *,
    script: "Script | None" = None,
    file_folder: FileFolder | None = None,
) -> "Gateway":
    """A gateway to be entered: `async with open_gateway(config) as gateway`. Raises ConfigError.

    `script` is for the offline engine, in place of what is configured; `file_folder` in place of the database's.
    """
    from .budgets.webhooks import Webhooks
    from .credentials.stored import ProviderKeys
    from .gateway import Gateway
    from .ids import new_id
    from .prices.prices import Prices

    store, auth, secret = open_auth(config, env)
    prices = Prices.load(config, today=datetime.now(UTC).date())

    return Gateway(
        config,
        store=store,
        file_folder=file_folder or _file_folder(config),
        auth=auth,
        provider_keys=ProviderKeys(
            open_credentials(store, config, env, secret),
            [each for each in config.providers.values() if each.dialect != OFFLINE],
        ),
        prices=prices,
        journal=_journal(config, store, prices) if config.ledger.enabled else None,
        counters=_counters(config),
        webhooks=Webhooks(secret, transport_of=_webhook_transport, new_id=new_id),
        engines={
            each.name: _engine(each, secret, script) for each in config.providers.values() if each.dialect == OFFLINE
        },
        dialects=[DIALECTS[name]() for name in {each.dialect for each in config.providers.values()} - {OFFLINE}],
        transport_of=_transport,
        signer_of=lambda provider: _signer(provider, env),
    )


# -- dialects: each is imported where a provider speaks it --


def _messages() -> "Dialect":
    from dragoman.providers.anthropic import Messages
    from dragoman.providers.base import Dialect

    return Dialect(name=Messages.name, adapter=Messages())


def _openai_chat() -> "Dialect":
    from dragoman.providers.base import Dialect
    from dragoman.providers.openai_chat import ChatCompletions

    return Dialect(name=ChatCompletions.name, translator=ChatCompletions())


def _openai_responses() -> "Dialect":
    from dragoman.providers.base import Dialect
    from dragoman.providers.openai_responses import Responses

    return Dialect(name=Responses.name, translator=Responses())


def _gemini() -> "Dialect":
    from dragoman.providers.base import Dialect
    from dragoman.providers.gemini import Gemini

    return Dialect(name=Gemini.name, translator=Gemini())


def _bedrock() -> "Dialect":
    from dragoman.providers.base import Dialect
    from dragoman.providers.bedrock import InvokeModel, is_claude_on_bedrock
    from dragoman.providers.bedrock_converse import Converse

    return Dialect(name=InvokeModel.name, adapter=InvokeModel(), translator=Converse(), passes=is_claude_on_bedrock)


def _vertex() -> "Dialect":
    from dragoman.providers.base import Dialect
    from dragoman.providers.vertex import RawPredict, VertexGemini, is_claude

    return Dialect(name=RawPredict.name, adapter=RawPredict(), translator=VertexGemini(), passes=is_claude)


DIALECTS: Mapping[str, "Callable[[], Dialect]"] = {
    "messages": _messages,
    "openai_chat": _openai_chat,
    "openai_responses": _openai_responses,
    "gemini": _gemini,
    "bedrock": _bedrock,
    "vertex": _vertex,
}


def caches_itself(route: "Route") -> bool:
    """Does whoever answers cache prompts without being asked to? Those of other dialects do."""
    make = DIALECTS.get(route.provider.dialect)
    return make is not None and make().speaker(route.model_name)[1] is not None


# -- the other parts --


def _signer(provider: ProviderConfig, env: Mapping[str, str]) -> "Signer | None":
    """Who signs what goes to the provider, where a key in a header is not enough. Raises ConfigError."""
    if provider.auth == "google":
        from .credentials.google import google_signer

        return google_signer(provider)
    if provider.auth == "aws":
        from .credentials.aws import open_signer

        return open_signer(provider, env)
    return None


def _engine(provider: ProviderConfig, secret: bytes, script: "Script | None") -> "Engine":
    """Imported only where one is configured: it takes 40 ms and 6 MB."""
    from dragoman.engines.offline.engine import OfflineEngine, Pace
    from dragoman.engines.offline.scripts import Script

    if script is None and provider.script is not None:
        script = Script.load(Path(provider.script))
    return OfflineEngine(
        secret=secret,
        pace=Pace(ttft_s=provider.ttft_ms / 1000, tokens_per_second=provider.tokens_per_second),
        script=script,
    )


def _journal(config: Config, store: Store, prices: "Prices") -> "Journal":
    """In the configured folder; else "<database file>.journal", or "dragoman.journal" here for a database that is no
    file. In none for a database in memory."""
    from .ledger.accounting import price_row
    from .ledger.journal import Journal

    folder: Path | None = None
    if config.ledger.journal_folder is not None:
        folder = Path(config.ledger.journal_folder).absolute()
    elif not is_in_memory(config.server.database):
        database = database_file(config.server.database) or Path("dragoman").absolute()
        folder = database.with_name(database.name + ".journal")
    return Journal(store.ledger, folder, price=partial(price_row, prices))


def _file_folder(config: Config) -> FileFolder:
    """The configured one; else "<database file>.files", or "dragoman.files" here for a database that is no file.

    A temporary one for a database in memory, which forgets what it held.
    """
    if config.server.files_folder is not None:
        return FileFolder(Path(config.server.files_folder).absolute())
    if is_in_memory(config.server.database):
        return FileFolder(None)
    database = database_file(config.server.database) or Path("dragoman").absolute()
    return FileFolder(database.with_name(database.name + ".files"))


def _transport(provider: ProviderConfig) -> "Transport":
    """Our own, unless the provider is set to httpx2 or the environment names a proxy for it, which only that knows.

    Each is imported where it is used: httpx2 takes 80 ms and 15 MB.
    """
    is_proxied = _is_proxied(provider.base_url)
    if provider.transport == "fast" and not is_proxied:
        from dragoman.http.aio import FastTransport

        return FastTransport(
            ca_file=provider.ca_file,
            client_cert_file=provider.client_cert_file,
            client_key_file=provider.client_key_file,
        )
    if provider.transport == "fast":
        log.warning(
            'provider %s: the environment names a proxy, so it is reached with transport "httpx"', provider.name
        )
    from dragoman.http.foreign import HttpxTransport

    return HttpxTransport(
        ca_file=provider.ca_file,
        client_cert_file=provider.client_cert_file,
        client_key_file=provider.client_key_file,
    )


def _counters(config: Config) -> "Counters | None":
    """Those in Redis, where one is configured. Raises ConfigError. Imported only then."""
    if config.server.counters is None:
        return None
    from dragoman.store.redis import RedisCounters

    return RedisCounters(
        config.server.counters,
        when_away=config.limits.without_counters,
        answer_s=config.server.counters_timeout_s,
    )


def _webhook_transport(origin: str) -> "Transport":
    return _transport(ProviderConfig(name="webhooks", origin="an alert", base_url=origin))


def _is_proxied(url: str) -> bool:
    """Do HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case, send `url` through a proxy?"""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return False
    from urllib.request import getproxies_environment, proxy_bypass  # 20 ms, so not at the top

    parts = urlsplit(url)
    proxies = getproxies_environment()
    named = proxies.get(parts.scheme) or proxies.get("all")
    return bool(named) and not proxy_bypass(parts.netloc)
