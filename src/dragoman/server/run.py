"""Runs the server: uvicorn with our protocol and application, and a few lines for the person who started it."""

import logging
import socket
import sys
from collections.abc import Callable, Mapping
from typing import TextIO

import uvicorn

from dragoman.errors import ConfigError
from dragoman.gateway.config import OFFLINE, Config, Listen
from dragoman.gateway.open import open_gateway
from dragoman.gateway.pipeline import Gateway

from .app import App
from .protocol import Protocol

__all__ = ["bind", "serve"]

BACKLOG = 2048


def serve(config: Config, env: Mapping[str, str], *, out: TextIO = sys.stdout) -> None:
    """Serve until SIGINT or SIGTERM; then take no new request and let running ones end.

    Raises ConfigError for what stands in the way of a start: the address is taken, the database cannot be opened.
    """
    sock = bind(config.server.listen)
    address = _address(sock)
    first_keys: list[str] = []
    failures: list[ConfigError] = []

    async def prepare(gateway: Gateway) -> None:
        try:
            if preset := env.get("DRAGOMAN_API_KEY"):
                await gateway.auth.preset(preset)
            elif first := await gateway.auth.ensure_first():
                first_keys.append(first)
        except ConfigError as error:
            failures.append(error)
            raise

    server = _Server(
        uvicorn.Config(
            App(open_gateway(config, env), on_ready=prepare),
            http=Protocol,
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,  # the ledger says more, and is written whatever happens
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=max(1, round(config.server.shutdown_grace_s)),
        ),
        on_started=lambda: _greet(out, config, address, first_keys[0] if first_keys else None, env),
    )
    try:
        server.run(sockets=[sock])
    except SystemExit as stop:
        raise failures[0] if failures else ConfigError("The server could not start; the lines above say why.") from stop
    finally:
        sock.close()


def bind(listen: Listen) -> socket.socket:
    """A listening socket's address, taken before anything else starts. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((listen.host, listen.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"cannot listen on {listen}: {error.strerror or error}. Stop what listens there, or choose another address "
            "with --listen (port 0 takes a free one)."
        ) from error
    sock.setblocking(False)
    return sock


def _address(sock: socket.socket) -> str:
    """The base URL under which this machine's programs reach the server."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, *, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()


def _greet(out: TextIO, config: Config, address: str, first_key: str | None, env: Mapping[str, str]) -> None:
    """What answers, where, the first key (once), and a line to try."""
    default = config.route_provider
    if default.dialect == OFFLINE:
        what = f"the built-in offline engine ({default.origin})"
    else:
        what = f"{default.name} at {default.base_url} ({default.origin})"
    shown = first_key or ("$DRAGOMAN_API_KEY" if env.get("DRAGOMAN_API_KEY") else "$YOUR_KEY")
    lines = [
        f"dragoman listens on {address}",
        f"Answering:  {what}",
        *(f"Note:       {note}" for note in config.notes),
    ]
    if first_key is not None:
        lines.append(f"First key:  {first_key}  (shown this once; `dragoman keys create` makes more)")
    elif not env.get("DRAGOMAN_API_KEY"):
        lines.append("Keys:       those made before; `dragoman keys create` makes another")
    lines += ["", "Try it:", _curl(address, shown), ""]
    print("\n".join(lines), file=out, flush=True)


def _curl(address: str, key: str) -> str:
    body = '{"model": "claude-opus-4-8", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello, Claude"}]}'
    quote = '"' if key.startswith("$") else "'"
    return (
        f"curl {address}/v1/messages -H {quote}x-api-key: {key}{quote} "
        f"-H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' -d '{body}'"
    )


def set_up_logging(level: int = logging.INFO) -> None:
    """One line an event, to standard error; the ledger's lines among them."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("dragoman").setLevel(level)
