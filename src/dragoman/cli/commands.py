"""The commands: each reads its arguments, calls what does the work, and writes the outcome.

Start-up speed is a feature: of all libraries only typer is imported with this module, and without Rich's help pages;
what a command needs beyond that it imports when it runs.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dragoman import __version__
from dragoman.errors import NotFound

from . import run_program, start_server
from .budgets import budgets
from .keys import keys
from .options import AsJSON, ConfigPath, DatabaseURL, ListenAddress, ScriptPath, option, with_database
from .output import echo_json, grid, show, table_of
from .providers import providers, rotate_master_key
from .route import route
from .usage import requests, usage

if TYPE_CHECKING:
    from dragoman.doctor import Report
    from dragoman.gateway.config.config import Config
    from dragoman.store.schema import Migrated

__all__ = ["app"]

DEFAULT_MODEL = "claude-opus-4-8"  # as in the line that `dragoman serve` prints
DEFAULT_MAX_TOKENS = 4096  # every model of the catalogue takes as many


app = typer.Typer(
    name="dragoman",
    help="A self-hosted server that is the Claude API, in front of any model.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.add_typer(keys, name="keys")
app.add_typer(budgets, name="budgets")
app.add_typer(providers, name="providers")
app.add_typer(route, name="route")
app.command("rotate-master-key")(rotate_master_key)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dragoman {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options in front of the command; the help text is the application's."""


@app.command()
def serve(
    config: ConfigPath = None,
    listen: ListenAddress = None,
    database: DatabaseURL = None,
    workers: Annotated[
        str | None,
        option("--workers", "N", "Processes that serve. Default: $DRAGOMAN_WORKERS, else the configuration's, else 1."),
    ] = None,
    script: ScriptPath = None,
) -> None:
    """Start the server.

    It needs no configuration: without one the built-in offline engine answers, or Anthropic if ANTHROPIC_API_KEY is
    set. At start it prints what answers, its address, the first key (once) and a line to try. DRAGOMAN_API_KEY
    presets a key. Ctrl-C stops it; replies that have begun may end first. With several workers, SIGHUP replaces one
    after the other by a new one, and no request fails.
    """
    start_server(config, listen=listen, database=database, workers=workers, script=script)


@app.command(context_settings={"allow_interspersed_args": False})
def run(
    command: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND", show_default=False, help="The program and its arguments."),
    ],
    config: ConfigPath = None,
    database: Annotated[
        str | None,
        option(
            "--database", "URL", "As for `serve`; where nothing names one, it is in memory and gone with the program."
        ),
    ] = None,
    script: ScriptPath = None,
    model: Annotated[
        str | None,
        option("--model", "NAME", "The model that the program asks, if it reads ANTHROPIC_MODEL as Claude Code does."),
    ] = None,
    log: Annotated[
        str | None, option("--log", "FILE", "Append the server's log to it. Default: it is not kept.")
    ] = None,
    url: Annotated[str | None, option("--url", "URL", "Use the server that runs there, and start none.")] = None,
    key: Annotated[
        str | None,
        option(
            "--key",
            "KEY",
            "A key of that server. A variable is better, as others can see command lines. Default: $DRAGOMAN_API_KEY.",
        ),
    ] = None,
) -> None:
    """Run a program against a server that is started for it, as in `dragoman run -- claude`.

    The server listens on a free port of 127.0.0.1, is configured as `serve` is, and ends with the program. The program
    gets its address and a key of its own in ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY; variables that would lead it
    elsewhere are taken out. The terminal, the signals and the exit code are the program's.
    """
    raise typer.Exit(
        run_program(command, config, database=database, script=script, model=model, log=log, url=url, key=key)
    )


app.command()(usage)
app.command()(requests)


@app.command()
def migrate(as_json: AsJSON = False, config: ConfigPath = None, database: DatabaseURL = None) -> None:
    """Bring the database up to date with this version, or make it, and say what was done.

    `serve` and `keys` do so too; this is for those who want it done before several servers start. Servers of an older
    version that run meanwhile go on, but do not start again on what a newer one has brought up to date.
    """
    from dragoman.store.sql import SQLStore
    from dragoman.store.urls import shown_url

    url = with_database(config, database).server.database
    store = SQLStore(url)

    async def run() -> "Migrated":
        done = await store.migrate()
        await store.close()
        return done

    place, (before, after) = store.place, asyncio.run(run())
    if as_json:
        echo_json({"database": shown_url(url), "before": before, "after": after})
    elif before == after:
        typer.echo(f"Nothing to do: {place} has schema {after}, the newest of this version.")
    elif before is None:
        typer.echo(f"Made the schema {after} in {place}, which was empty.")
    else:
        typer.echo(f"Brought {place} from schema {before} to {after}.")


@app.command()
def models(
    everything: Annotated[bool, typer.Option("--all", help="With the models that are retired.")] = False,
    as_json: AsJSON = False,
    config: ConfigPath = None,
) -> None:
    """List the models that the server with this configuration lists, and what answers each.

    Limits are in tokens. A retired model is answered too, unless the configuration says otherwise.
    """
    from dragoman.gateway.config.config import load

    rows = list(_models(load(config, os.environ), everything=everything))
    if as_json:
        echo_json(rows)
        return
    table = table_of("id", "context", "max output", "until", "also called", "answered by")
    for row in rows:
        table.add_row(*_cells(row))
    show(table)


def _models(settings: "Config", *, everything: bool) -> Iterator[dict[str, object]]:
    """A row for each model, in the order of `GET /v1/models`."""
    from dragoman.gateway.catalogue import Catalogue
    from dragoman.gateway.routing.routing import Router, aliases

    known = Catalogue.load()
    catalogue = known.with_aliases(aliases(settings, known))
    router = Router(settings, known)
    for info in _pages(catalogue.page, ["active", "deprecated", "retired"] if everything else ["active", "deprecated"]):
        name = str(info["id"])
        model = catalogue.resolve(name)
        try:
            target = str(router.route(name))
        except NotFound:
            target = None
        yield {
            "id": name,
            "display_name": info["display_name"],
            "lifecycle": info["lifecycle"],
            "retires_at": info["retires_at"],
            "max_input_tokens": info["max_input_tokens"],
            "max_tokens": info["max_tokens"],
            # An alias may have been given to another target by the configuration.
            "aliases": [each for each in model.aliases if catalogue.retrieve(each)["id"] == name] if model else [],
            "target": target,
        }


def _pages(
    page: Callable[[dict[str, list[str]]], dict[str, object]], lifecycles: list[str]
) -> Iterator[dict[str, object]]:
    """The rows of all pages of a list."""
    query = {"limit": ["1000"], "lifecycle[]": lifecycles}
    while True:
        found = page(query)
        rows = found["data"]
        assert isinstance(rows, list)
        yield from rows
        if not found["has_more"]:
            return
        query["after_id"] = [str(found["last_id"])]


def _cells(row: dict[str, object]) -> list[str]:
    """A model as the table shows it."""
    until = str(row["retires_at"] or "")[:10]
    also = row["aliases"]
    assert isinstance(also, list)
    return [
        str(row["id"]),
        _number(row["max_input_tokens"]),
        _number(row["max_tokens"]),
        f"{until} (retired)" if row["lifecycle"] == "retired" else until,
        "\n".join(also),
        str(row["target"] or "nothing (404)").removesuffix(f"/{row['id']}"),
    ]


def _number(tokens: object) -> str:
    return f"{tokens:,}" if isinstance(tokens, int) else "unknown"


@app.command()
def chat(
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="[PROMPT]", show_default=False, help="Answer this, print the text and exit."),
    ] = None,
    base_url: Annotated[
        str | None,
        option(
            "--base-url",
            "URL",
            "Any server of the Messages API. Default: $ANTHROPIC_BASE_URL, else http://127.0.0.1:8000.",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        option(
            "--api-key",
            "KEY",
            "A variable is better, as others can see command lines. Default: $DRAGOMAN_API_KEY, else "
            "$ANTHROPIC_API_KEY; at Anthropic's own address the latter only.",
        ),
    ] = None,
    model: Annotated[str, typer.Option("--model", metavar="MODEL", help="The model that is asked.")] = DEFAULT_MODEL,
    system: Annotated[str | None, option("--system", "TEXT", "The system prompt.")] = None,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", metavar="N", min=1, help="The most tokens that a reply may have.")
    ] = DEFAULT_MAX_TOKENS,
) -> None:
    """Talk to a model, in a terminal or in a pipe.

    In a terminal replies are printed as they come, thinking is dim, and the model is shown the whole conversation
    each time. Ctrl-C stops a reply, Ctrl-D ends the chat, and /help lists the commands.

    With PROMPT, or when standard input is no terminal and holds the prompt, only the text of the one reply is
    printed; the exit code is 1 if it is not a whole one.
    """
    from dragoman.chat import Conversation, answer_once, connect, talk

    conversation = Conversation(model=model, system=system, max_tokens=max_tokens)
    with connect(base_url, api_key, os.environ) as server:
        if prompt is None and sys.stdin.isatty():
            talk(conversation, server)
        else:
            raise typer.Exit(answer_once(conversation, server, prompt))


@app.command()
def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Do not try to reach the providers.")] = False,
    as_json: AsJSON = False,
    config: ConfigPath = None,
    listen: ListenAddress = None,
    database: DatabaseURL = None,
) -> None:
    """Check the configuration and its surroundings, and say what is wrong and how to mend it.

    Shows what answers what; looks at the address, the database and the keys; opens (and closes) a connection to each
    provider, but sends no request, so nothing is paid for. It changes nothing. The exit code is 1 if anything fails.
    """
    from dragoman.doctor import examine

    report = examine(config, os.environ, listen=listen, database=database, reach=not offline)
    if as_json:
        echo_json(report)
    else:
        _show_report(report)
    if not report.ok:
        raise typer.Exit(1)


def _show_report(report: "Report") -> None:
    from rich.text import Text

    colours = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    findings, answers = grid(3), grid(2)
    for finding in report.findings:
        text = finding.text + (f"\n-> {finding.remedy}" if finding.remedy else "")
        findings.add_row(Text(finding.status, colours[finding.status]), finding.subject, text)
    for answer in report.answers:
        answers.add_row(answer.subject, answer.says)
    show(findings)
    if report.answers:
        typer.echo()
        show(answers)
    failed, doubtful = (sum(finding.status == status for finding in report.findings) for status in ("fail", "warn"))
    typer.echo(f"\n{failed} failed, {doubtful} to look at." if failed or doubtful else "\nAll is well.")
