"""Puts a gateway together out of a configuration: the one place that chooses store, engine, adapters and transport.

Kept apart from `pipeline.py` so that the pipeline can be read, and tested, without the parts. The parts of a gateway
are imported when one is opened: `dragoman keys` needs only the store.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dragoman.store.base import database_file
from dragoman.store.files import FileFolder
from dragoman.store.sql import SQLStore

from .auth import Auth
from .config import OFFLINE, Config, ProviderConfig
from .secret import load_secret

if TYPE_CHECKING:
    from dragoman.http.base import Transport

    from .pipeline import Gateway

__all__ = ["open_auth", "open_gateway"]


def open_auth(config: Config, env: Mapping[str, str] = os.environ) -> tuple[SQLStore, Auth, bytes]:
    """The key store, not yet opened, and the keys in it. Raises ConfigError."""
    secret = load_secret(config.server.database, env)
    store = SQLStore(config.server.database)
    return store, Auth(store, secret), secret


def open_gateway(config: Config, env: Mapping[str, str] = os.environ) -> "Gateway":
    """A gateway to be entered: `async with open_gateway(config) as gateway`. Raises ConfigError."""
    from dragoman.engines.offline.engine import OfflineEngine, Pace
    from dragoman.engines.offline.scripts import Script
    from dragoman.providers.anthropic import Messages

    from .pipeline import Gateway

    store, auth, secret = open_auth(config, env)

    def engine_of(provider: ProviderConfig) -> OfflineEngine:
        return OfflineEngine(
            secret=secret,
            pace=Pace(ttft_s=provider.ttft_ms / 1000, tokens_per_second=provider.tokens_per_second),
            script=None if provider.script is None else Script.load(Path(provider.script)),
        )

    return Gateway(
        config,
        store=store,
        file_folder=_file_folder(config.server.database),
        auth=auth,
        engines={each.name: engine_of(each) for each in config.providers.values() if each.dialect == OFFLINE},
        adapters={Messages.name: Messages()},
        transport_of=_transport,
    )


def _file_folder(database_url: str) -> FileFolder:
    """ "<database file>.files"; a temporary folder for a database in memory."""
    database = database_file(database_url)
    return FileFolder(None if database is None else database.with_name(database.name + ".files"))


def _transport(provider: ProviderConfig) -> "Transport":
    from dragoman.http.foreign import HttpxTransport

    return HttpxTransport(ca_file=provider.ca_file)
