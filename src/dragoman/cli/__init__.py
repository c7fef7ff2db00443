"""The command line. `main` runs it; the commands are in `commands.py`.

Start-up speed and memory are features. `dragoman serve` with plain options is read here, because typer (whose arguments
are checked by pydantic) takes 0.1 s to import and 11 MB that the server would hold for as long as it runs. Every
other command line is typer's, the help and the errors of `serve` among them.
"""

import gc
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dragoman.errors import ConfigError, StoreError

__all__ = ["main", "plain_serve", "start_server"]

SERVE_OPTIONS = ("--config", "--listen", "--database", "--script")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line (that of the process by default) and exit. What we refuse is one message, no traceback."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character is no reason to end
    try:
        options = plain_serve(given)
        if options is None:
            _run_command(given)
        else:
            _serve(options)
    except (ConfigError, StoreError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # whoever read our output has gone, which typer answers in the same way
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python would complain when it writes the rest at exit
        sys.exit(1)


def plain_serve(arguments: Sequence[str]) -> dict[str, str] | None:
    """The options of `serve`, each with a value: {"--listen": "[::1]:0"}. None: it takes typer to read this."""
    if not arguments or arguments[0] != "serve":
        return None
    options = {}
    rest = iter(arguments[1:])
    for argument in rest:
        name, has_value, value = argument.partition("=")
        if not has_value:
            value = next(rest, "")
        if name not in SERVE_OPTIONS or not value or value.startswith("-"):
            return None
        options[name] = value
    return options


def _run_command(arguments: list[str]) -> None:
    from .commands import app

    app(args=arguments, prog_name="dragoman")


def _serve(options: dict[str, str]) -> None:
    config = options.get("--config")
    with suppress(KeyboardInterrupt):
        start_server(
            None if config is None else Path(config),
            listen=options.get("--listen"),
            database=options.get("--database"),
            script=options.get("--script"),
        )


def start_server(config: Path | None, *, listen: str | None, database: str | None, script: str | None) -> None:
    """What `dragoman serve` does. Raises ConfigError, StoreError."""
    gc.disable()  # what is imported here stays: to look for garbage in it takes a fifth of the time
    try:
        from dragoman.gateway.config import load
        from dragoman.server.run import serve, set_up_logging

        set_up_logging()
        settings = load(config, os.environ, listen=listen, database=database, script=script)
        gc.freeze()
    finally:
        gc.enable()
    with suppress(KeyboardInterrupt):  # raised again once everything has ended: the way to stop a server, no failure
        serve(settings, os.environ)
