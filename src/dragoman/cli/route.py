"""`dragoman route explain`: who would answer a request, and why."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dragoman.errors import ApiError, ConfigError

from .options import AsJSON, ConfigPath, option
from .output import echo_json, show, table_of

if TYPE_CHECKING:
    from dragoman.gateway.config.config import Config

__all__ = ["route"]

PROMPT = "Hello"
MAX_TOKENS = 1024

route = typer.Typer(
    help="See who answers which model, and why.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@route.callback()
def _route() -> None:
    """So that its one command has a name."""


@route.command("explain")
def explain(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="As a program would name it.")],
    body: Annotated[
        Path | None,
        option("--body", "FILE", "A request as JSON, `-` for standard input. Default: a prompt of one word."),
    ] = None,
    config: ConfigPath = None,
    url: Annotated[
        str | None,
        option("--url", "URL", "Ask the server that runs there, which knows how its targets are. It needs a key."),
    ] = None,
    key: Annotated[str | None, option("--key", "KEY", "A key of that server. Default: $DRAGOMAN_API_KEY.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Tell which target would be asked first, which next, and why; and ask none.

    Without --url the configuration alone is looked at: nothing is known then of times, of caches or of what fails now.
    """
    request = _request(model, body)
    found = _asked_there(url, key, request) if url else _looked_up(config, request)
    if as_json:
        echo_json(found)
        return
    typer.echo(f"{model}: {found['policy']}, about {found['request']['input_tokens']:,} tokens")
    table = table_of("", "target", "why", "cost in USD", "first token", "tokens/s", numbers=("cost in USD",))
    for row in sorted(found["targets"], key=lambda row: (row["place"] is None, row["place"] or 0)):
        table.add_row(
            "-" if row["place"] is None else str(row["place"] + 1),
            row["target"],
            row["why"],
            row["expected_cost_usd"] or "unknown",
            _number(row["expected_first_token_s"], " s"),
            _number(row["expected_tokens_per_s"], ""),
        )
    show(table)


def _number(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.2f}{unit}"


def _request(model: str, body: Path | None) -> bytes:
    import msgspec

    if body is None:
        messages = [{"role": "user", "content": PROMPT}]
        return msgspec.json.encode({"model": model, "max_tokens": MAX_TOKENS, "messages": messages})
    try:
        text = sys.stdin.buffer.read() if str(body) == "-" else body.read_bytes()
        request: Any = msgspec.json.decode(text)
    except OSError as error:
        raise ConfigError(f"{body}: cannot be read: {error.strerror}. Give the path of a request as JSON.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{body}: this is not JSON ({error}). Give a request as it would be sent.") from error
    if not isinstance(request, dict):
        raise ConfigError(f"{body}: this is no request. Give a JSON object as it would be sent.")
    return msgspec.json.encode({**request, "model": model})


def _looked_up(config: Path | None, request: bytes) -> dict[str, Any]:
    import datetime
    import time

    from dragoman.gateway.auth.auth import Principal
    from dragoman.gateway.catalogue import Catalogue
    from dragoman.gateway.config.config import load
    from dragoman.gateway.open import caches_itself
    from dragoman.gateway.prices.prices import Prices
    from dragoman.gateway.routing.dispatch import Dispatch
    from dragoman.gateway.routing.report import explain as explained
    from dragoman.gateway.routing.routing import Router
    from dragoman.wire.headers import Headers

    settings: Config = load(config, os.environ)
    prices = Prices.load(settings, today=datetime.datetime.now(datetime.UTC).date())
    router = Router(settings, Catalogue.load())
    dispatch = Dispatch(router, prices=prices, caches=caches_itself, clock=time.monotonic)
    headers = Headers([("anthropic-version", "2023-06-01")])
    try:
        return explained(dispatch, Principal("", "", "", ""), headers, request)
    except ApiError as error:
        raise ConfigError(error.message) from error


def _asked_there(url: str, key: str | None, request: bytes) -> dict[str, Any]:
    import msgspec

    from dragoman import APIError, Client

    presented = key or os.environ.get("DRAGOMAN_API_KEY")
    if not presented:
        raise ConfigError("a key is missing: give one with --key, or set DRAGOMAN_API_KEY")
    try:
        with Client(base_url=url, api_key=presented, max_retries=1) as client:
            found = client.post("/v1/dragoman/route", body=msgspec.json.decode(request), cast_to=object)
    except APIError as error:
        raise ConfigError(f"{url}: {error}") from error
    assert isinstance(found, dict)
    return found
