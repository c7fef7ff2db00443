"""The command line. `main` runs it; the commands are in `commands.py`, `run.py` is what `dragoman run` does.

Start-up speed and memory are features. `dragoman serve` and `dragoman run` with plain options are read here, because
typer (whose arguments are checked by pydantic) takes 0.1 s to import and 11 MB that the server would hold for as long
as it runs. Every other command line is typer's, the help and the errors of these two among them.
"""

import gc
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dragoman.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from dragoman.server.worker import Place

__all__ = ["main", "plain_run", "plain_serve", "run_program", "start_server"]

SERVE_OPTIONS = ("--config", "--listen", "--database", "--workers", "--script")
RUN_OPTIONS = ("--config", "--database", "--script", "--model", "--log", "--url", "--key")
INTERRUPTED = 130  # an exit code, as a shell's


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line (that of the process by default) and exit. What we refuse is one message, no traceback."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character is no reason to end
    try:
        if (options := plain_serve(given)) is not None:
            _serve(options)
        elif (plain := plain_run(given)) is not None:
            sys.exit(_run_program(*plain))
        else:
            _run_command(given)
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
    return _plain_options(arguments[1:], SERVE_OPTIONS)


def plain_run(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]] | None:
    """The options of `run`, and the command behind `--`. None: it takes typer to read this."""
    if not arguments or arguments[0] != "run" or "--" not in arguments:
        return None
    end = arguments.index("--")
    options, command = _plain_options(arguments[1:end], RUN_OPTIONS), list(arguments[end + 1 :])
    return None if options is None or not command else (options, command)


def _plain_options(arguments: Sequence[str], known: Sequence[str]) -> dict[str, str] | None:
    options = {}
    rest = iter(arguments)
    for argument in rest:
        name, has_value, value = argument.partition("=")
        if not has_value:
            value = next(rest, "")
        if name not in known or not value or value.startswith("-"):
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
            workers=options.get("--workers"),
            script=options.get("--script"),
        )


def start_server(
    config: Path | None, *, listen: str | None, database: str | None, workers: str | None, script: str | None
) -> None:
    """What `dragoman serve` does. Raises ConfigError, StoreError."""
    with _no_garbage():
        from dragoman.gateway.config.config import load
        from dragoman.server.greeting import set_up_logging
        from dragoman.server.worker import Place

        set_up_logging()
        place = Place.take(os.environ)  # before all that may fail, which it tells
    with suppress(KeyboardInterrupt), _told_to(place):
        settings = load(config, os.environ, listen=listen, database=database, workers=workers, script=script)
        if place is None and settings.server.workers > 1:
            from dragoman.server.workers import serve_with_workers

            serve_with_workers(settings, os.environ, [sys.executable, *sys.orig_argv[1:]])
            return
        with _no_garbage():
            from dragoman.server.run import serve
        # A KeyboardInterrupt is raised again once everything has ended: the way to stop a server, no failure.
        if place is None:
            serve(settings, os.environ)
        else:
            serve(settings, os.environ, place=place)


@contextmanager
def _told_to(place: "Place | None") -> Iterator[None]:
    """A worker tells its parent why it cannot start, who writes it once for all. Raises SystemExit then."""
    try:
        yield
    except (ConfigError, StoreError) as error:
        if place is None:
            raise
        from dragoman.server.worker import Word

        place.tell(Word(state="failed", failed=str(error), is_config=isinstance(error, ConfigError)))
        sys.exit(2)
    finally:
        if place is not None:
            place.close()


def _run_program(options: dict[str, str], command: list[str]) -> int:
    config = options.get("--config")
    return run_program(
        command,
        None if config is None else Path(config),
        database=options.get("--database"),
        script=options.get("--script"),
        model=options.get("--model"),
        log=options.get("--log"),
        url=options.get("--url"),
        key=options.get("--key"),
    )


def run_program(
    command: Sequence[str],
    config: Path | None,
    *,
    database: str | None,
    script: str | None,
    model: str | None,
    log: str | None,
    url: str | None,
    key: str | None,
) -> int:
    """What `dragoman run` does: the exit code. Raises ConfigError, StoreError."""
    from .run import run_with_server, run_with_url

    if url is None:
        if key is not None:
            raise ConfigError("--key is the key of a server that runs already: name that with --url")
        try:
            return run_with_server(command, config, database=database, script=script, model=model, log=log)
        except KeyboardInterrupt:  # before there was a program to get it
            return INTERRUPTED
    for name, value in (("config", config), ("database", database), ("script", script), ("log", log)):
        if value is not None:
            raise ConfigError(f"--{name} is for a server that is started; with --url none is")
    return run_with_url(command, url, key=key, model=model)


@contextmanager
def _no_garbage() -> Iterator[None]:
    """What is imported in here stays: to look for garbage in it takes a fifth of the time."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
