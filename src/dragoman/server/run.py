"""Runs the server: our protocol and application on a loop, and a few lines for the person who started it."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from typing import TextIO, TypeVar

from dragoman.errors import ConfigError
from dragoman.gateway.config import OFFLINE, Config, Listen
from dragoman.gateway.open import open_gateway
from dragoman.gateway.pipeline import Gateway

from .app import App
from .protocol import Connections
from .rows import RowLog

__all__ = ["bind", "serve", "serve_while", "set_up_logging", "what_answers"]

T = TypeVar("T")

log = logging.getLogger("dragoman.server")

BACKLOG = 2048
DESCRIPTORS = 65_536
# Looking for cycles as often as Python does costs one in twenty cycles of the processor; more rarely than this, what
# failed requests leave behind (their tracebacks) adds up. What start-up made is frozen, so a full look is cheap.
GC_THRESHOLDS = (5_000, 10, 2)
TURNS = 3  # of the loop, in which connections are made that were taken before the stop
LAST_WORDS_S = 1.0  # for the requests that a stop has cut to tell their callers


def serve(config: Config, env: Mapping[str, str], *, out: TextIO = sys.stdout) -> None:
    """Serve until SIGINT or SIGTERM; then take no new request and let running ones end.

    Raises ConfigError or StoreError for what stands in the way of a start: the address is taken, the database cannot
    be opened, DRAGOMAN_API_KEY is not fit to be a key.
    """
    _allow_many_descriptors()
    with closing(bind(config.server.listen)) as sock, asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(config, env, sock, out))


def serve_while(
    config: Config, env: Mapping[str, str], work: Callable[[Gateway, str], Awaitable[T]], *, rows: TextIO | None = None
) -> T:
    """Serve, silently, until `work` is done, which gets the gateway and the base URL; then cut whatever is still asked.

    `rows` is where the ledger's lines go. Signals are left to `work`. Raises as `serve` does, and what `work` raises.
    """
    with closing(bind(config.server.listen)) as sock, asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve_while(config, env, sock, work, rows))


async def _serve_while(
    config: Config,
    env: Mapping[str, str],
    sock: socket.socket,
    work: Callable[[Gateway, str], Awaitable[T]],
    rows: TextIO | None,
) -> T:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as opened:
        row_log = None if rows is None else RowLog(rows, loop)
        if row_log is not None:
            opened.callback(row_log.flush)
        gateway = await opened.enter_async_context(open_gateway(config, env))
        if row_log is not None:
            gateway.ledger.write = row_log
        connections = Connections(App(gateway))
        server = await loop.create_server(connections, sock=sock, backlog=BACKLOG)
        try:
            return await work(gateway, _address(sock))
        finally:
            server.close()
            connections.finish()
            await _cut(connections)


def _allow_many_descriptors() -> None:
    """As many open files as the system lets us have: a stream that is passed through takes two of them."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # a system that says one thing and means another: then it stays as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


async def _serve(config: Config, env: Mapping[str, str], sock: socket.socket, out: TextIO) -> None:
    async with AsyncExitStack() as opened:
        rows = RowLog(sys.stderr, asyncio.get_running_loop())
        opened.callback(rows.flush)  # the last of them come while the gateway closes
        gateway = await opened.enter_async_context(open_gateway(config, env))
        first_key = await _first_key(gateway, env)
        if logging.getLogger("dragoman.requests").isEnabledFor(logging.INFO):
            gateway.ledger.write = rows
        connections = Connections(App(gateway))
        greeting = _greeting(config, _address(sock), first_key, env)
        with _stop_signals() as stop:
            server = await asyncio.get_running_loop().create_server(connections, sock=sock, backlog=BACKLOG)
            gc.freeze()  # what start-up made stays; a full collection with it in would hold all streams up for 50 ms
            gc.set_threshold(*GC_THRESHOLDS)
            print(greeting, file=out, flush=True)
            await stop.wait()
            log.info("stopping: no new requests; those at work have %g s", config.server.shutdown_grace_s)
            server.close()
            await _finish(connections, stop, grace_s=max(1.0, config.server.shutdown_grace_s))


async def _finish(connections: Connections, stop: "_Stop", *, grace_s: float) -> None:
    """Let requests at work end within `grace_s`, or until a second signal; then cut them, and give them time to say so.

    They are waited for: what they hold of the gateway is closed after this.
    """
    connections.finish()
    if connections.at_work:
        hurry = asyncio.ensure_future(stop.wait_again())
        ended = asyncio.ensure_future(_all_ended(connections))
        await asyncio.wait({hurry, ended}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        ended.cancel()
    await _cut(connections)


async def _cut(connections: Connections) -> None:
    """End what is still at work."""
    for task in connections.at_work:
        task.cancel()
    if connections.at_work:
        await asyncio.wait(set(connections.at_work), timeout=LAST_WORDS_S)
    connections.abort()  # of a client that does not read it would never end
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def _all_ended(connections: Connections) -> None:
    while connections.at_work:
        await asyncio.wait(set(connections.at_work))


class _Stop:
    """What SIGINT and SIGTERM ask for: the first to stop, the second to hurry."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        self._again = asyncio.Event()
        self.wait = self._asked.wait
        self.wait_again = self._again.wait

    def handle(self, *_: object) -> None:
        """In a signal handler: only the loop may touch its events."""
        self._loop.call_soon_threadsafe(self._note)

    def _note(self) -> None:
        (self._again if self._asked.is_set() else self._asked).set()


@contextmanager
def _stop_signals() -> Iterator[_Stop]:
    stop = _Stop()
    before = {number: signal.signal(number, stop.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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


def _greeting(config: Config, address: str, first_key: str | None, env: Mapping[str, str]) -> str:
    """What answers, where, the first key (once), and a line to try."""
    lines = [f"dragoman listens on {address}", *what_answers(config)]
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


def what_answers(config: Config) -> list[str]:
    """Lines for a person: who answers the models that nothing else is configured for, and what to know of that."""
    default = config.route_provider
    if default.dialect == OFFLINE:
        what = f"the built-in offline engine ({default.origin})"
    else:
        what = f"{default.name} at {default.base_url} ({default.origin})"
    return [f"Answering:  {what}", *(f"Note:       {note}" for note in config.notes)]


def _curl(address: str, key: str) -> str:
    body = '{"model": "claude-opus-4-8", "max_tokens": 200, "messages": [{"role": "user", "content": "Hello, Claude"}]}'
    quote = '"' if key.startswith("$") else "'"
    return (
        f"curl '{address}/v1/messages' -H {quote}x-api-key: {key}{quote} "
        f"-H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' -d '{body}'"
    )


def set_up_logging(level: int = logging.INFO, *, out: TextIO | None = None) -> None:
    """One line an event, to standard error or to `out`; the ledger's lines among them."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=out)
    logging.getLogger("dragoman").setLevel(level)
