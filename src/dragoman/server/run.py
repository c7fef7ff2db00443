"""Runs the server: uvicorn with our protocol and application, and a few lines for the person who started it."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
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
KEEP_ALIVE_S = 75  # longer than clients (5 s in the SDKs) and load balancers keep theirs: so it is they who close
LAST_WORDS_S = 1.0  # for the requests that a stop has cut to tell their callers


def serve(config: Config, env: Mapping[str, str], *, out: TextIO = sys.stdout) -> None:
    """Serve until SIGINT or SIGTERM; then take no new request and let running ones end.

    Raises ConfigError or StoreError for what stands in the way of a start: the address is taken, the database cannot
    be opened, DRAGOMAN_API_KEY is not fit to be a key.
    """
    with closing(bind(config.server.listen)) as sock, asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(config, env, sock, out))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


async def _serve(config: Config, env: Mapping[str, str], sock: socket.socket, out: TextIO) -> None:
    async with open_gateway(config, env) as gateway:
        first_key = await _first_key(gateway, env)
        settings = uvicorn.Config(
            App(gateway),
            http=Protocol,
            lifespan="off",  # the gateway is opened and closed here, where its errors can be told
            log_config=None,
            access_log=False,  # the ledger says more, and is written whatever happens
            proxy_headers=False,  # nobody asks for the client's address
            timeout_keep_alive=KEEP_ALIVE_S,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=max(1, round(config.server.shutdown_grace_s)),
        )
        greeting = _greeting(config, _address(sock), first_key, env)
        await _Server(settings, on_started=lambda: print(greeting, file=out, flush=True)).serve(sockets=[sock])


async def _first_key(gateway: Gateway, env: Mapping[str, str]) -> str | None:
    """The key that is shown once: made when there is none, unless the environment presets one."""
    if preset := env.get("DRAGOMAN_API_KEY"):
        await gateway.auth.preset(preset)
        return None
    return await gateway.auth.ensure_first()


def bind(listen: Listen) -> socket.socket:
    """A listening socket's address, taken before anything else starts. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    # The protocol is named because asyncio's own loop (on Windows) asks for it before it switches Nagle's delay off.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((listen.host, listen.port))
        sock.listen(BACKLOG)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
        sock.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"cannot listen on {listen}: {reason}. Stop what listens there, or choose another address "
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
    """Says when it listens, and ends without raising the signal that ended it: what is open is still to be closed."""

    def __init__(self, config: uvicorn.Config, *, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn cancels what has not ended in its time, and leaves it; here it is waited for, and cut off."""
        await super().shutdown(sockets)
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=LAST_WORDS_S)
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # of a client that does not read it would never end

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _greeting(config: Config, address: str, first_key: str | None, env: Mapping[str, str]) -> str:
    """What answers, where, the first key (once), and a line to try."""
    default = config.route_provider
    if default.dialect == OFFLINE:
        what = f"the built-in offline engine ({default.origin})"
    else:
        what = f"{default.name} at {default.base_url} ({default.origin})"
    lines = [
        f"dragoman listens on {address}",
        f"Answering:  {what}",
        *(f"Note:       {note}" for note in config.notes),
    ]
    shown = first_key or "$YOUR_KEY"
    if first_key is not None:
        lines.append(f"First key:  {first_key}  (shown this once; `dragoman keys create` makes more)")
    elif env.get("DRAGOMAN_API_KEY"):
        shown = "$DRAGOMAN_API_KEY"
    else:
        lines.append("Keys:       those made before; `dragoman keys create` makes another")
    try_it = ["Try it:"]
    if shown == "$YOUR_KEY":
        try_it = ["Try it, with a key of yours in place of the dots:", "export YOUR_KEY=sk-dgm-..."]
    return "\n".join([*lines, "", *try_it, _curl(address, shown), ""])


def _curl(address: str, key: str) -> str:
    body = '{"model": "claude-opus-4-8", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello, Claude"}]}'
    quote = '"' if key.startswith("$") else "'"
    return (
        f"curl '{address}/v1/messages' -H {quote}x-api-key: {key}{quote} "
        f"-H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' -d '{body}'"
    )


def set_up_logging(level: int = logging.INFO) -> None:
    """One line an event, to standard error; the ledger's lines among them."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("dragoman").setLevel(level)
