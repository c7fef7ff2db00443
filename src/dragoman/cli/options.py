"""The options that several commands take, and the configuration that they lead to."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dragoman.errors import ConfigError

if TYPE_CHECKING:
    from dragoman.gateway.config.config import Config

__all__ = [
    "AsJSON",
    "ConfigPath",
    "DatabaseURL",
    "ListenAddress",
    "ScriptPath",
    "absent_database",
    "option",
    "with_database",
]


def option(name: str, metavar: str, text: str) -> Any:
    """An option whose default is too long for `[default: ...]`, and so part of `text`."""
    return typer.Option(name, metavar=metavar, show_default=False, help=text)


ConfigPath = Annotated[
    Path | None,
    option(
        "--config",
        "PATH",
        "The configuration file. Default: $DRAGOMAN_CONFIG, else dragoman.toml in this directory, else none.",
    ),
]
ListenAddress = Annotated[
    str | None,
    option(
        "--listen",
        "HOST:PORT",
        "Where to listen; port 0 takes a free one. Default: $DRAGOMAN_LISTEN, else the configuration's.",
    ),
]
DatabaseURL = Annotated[
    str | None,
    option(
        "--database",
        "URL",
        "Where keys are kept, as in sqlite:///dragoman.db or postgresql://user@host/name. "
        "Default: $DRAGOMAN_DATABASE, else the configuration's.",
    ),
]
ScriptPath = Annotated[
    str | None,
    option("--script", "FILE", "A TOML file of replies: the offline engine answers by it, for tests of programs."),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Write JSON to standard output, and nothing else.")]


def with_database(config: Path | None, database: str | None) -> "Config":
    """The configuration, for a command that works on the database. Raises ConfigError."""
    from dragoman.gateway.config.config import load
    from dragoman.store.urls import is_in_memory

    settings = load(config, os.environ, database=database)
    if is_in_memory(settings.server.database):
        raise ConfigError(
            f"{settings.server.database} is a database in memory, which only the server that made it can see. "
            "Preset its key with DRAGOMAN_API_KEY, or name a database that is kept."
        )
    return settings


def absent_database(settings: "Config") -> Path | None:
    """The database file if it is not there: to look at keys is no reason to make one, maybe in the wrong place."""
    from dragoman.store.urls import database_file

    file = database_file(settings.server.database)
    with suppress(OSError):  # of any other kind: the store says it better
        if file is not None and not file.exists():
            return file
    return None
