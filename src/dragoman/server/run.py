"""Runs the server: our protocol and application on a loop, until it is told to stop."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from typing import Any, TextIO, TypeVar

from dragoman.gateway.config.config import Config
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.open import open_gateway

from .app import App
from .doors import Doors
from .greeting import greeting
from .listening import BACKLOG, bind, url_of
from .protocol import Connections
from .rows import RowLog
from .worker import Place, Word

__all__ = ["serve", "serve_while"]

T = TypeVar("T")

log = logging.getLogger("dragoman.server")

DESCRIPTORS = 65_536
# Looking for cycles as often as Python does costs one in twenty cycles of the processor; more rarely than this, what
# failed requests leave behind (their tracebacks) adds up. What start-up made is frozen, so a full look is cheap.
GC_THRESHOLDS = (5_000, 10, 2)
TURNS = 3  # of the loop, in which connections are made that were taken before the stop
LAST_WORDS_S = 1.0  # for the requests that a stop has cut to tell their callers
# A worker whose place is taken answers what still comes on kept connections, and tells that they end: for longer than
# clients keep one that is idle (5 s in the SDKs), so that none sends a request into one that is just being closed.
LINGER_S = 6.0
WORD_S = 0.1  # for the parent's word, where a signal went to a worker: is it all who are to stop, or this one alone?
FIRST_REQUEST_S = 1.0  # for who has just connected: the request is on its way


def serve(config: Config, env: Mapping[str, str], *, out: TextIO = sys.stdout, place: Place | None = None) -> None:
    """Serve until SIGINT or SIGTERM; then take no new request and let running ones end.

    `place`: this process is one of several workers, with sockets and a parent. Raises ConfigError or StoreError for
    what stands in the way of a start: the address is taken, the database cannot be opened, DRAGOMAN_API_KEY is not
    fit to be a key.
    """
    _allow_many_descriptors()
    sockets = place.sockets if place is not None else [bind(config.server.listen)]
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(config, env, sockets, out, place))
    finally:
        for sock in sockets:
            sock.close()


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
            return await work(gateway, url_of(sock))
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


async def _serve(
    config: Config, env: Mapping[str, str], sockets: list[socket.socket], out: TextIO, place: Place | None
) -> None:
    async with AsyncExitStack() as opened:
        rows = RowLog(sys.stderr, asyncio.get_running_loop())
        opened.callback(rows.flush)  # the last of them come while the gateway closes
        gateway = await opened.enter_async_context(open_gateway(config, env))
        first_key = await _first_key(gateway, env)
        if logging.getLogger("dragoman.requests").isEnabledFor(logging.INFO):
            gateway.ledger.write = rows
        connections = Connections(App(gateway))
        doors = Doors(connections, sockets, own=0 if place is None else place.number)
        told = greeting(config, url_of(sockets[0]), first_key, env)
        with _stop_signals(is_worker=place is not None) as stop:
            await doors.open()
            gc.freeze()  # what start-up made stays; a full collection with it in would hold all streams up for 50 ms
            gc.set_threshold(*GC_THRESHOLDS)
            if place is None:
                print(told, file=out, flush=True)
            else:
                place.tell(Word(state="ready", first_key=first_key))
                attending = asyncio.create_task(_attend(place, doors, stop))
                opened.callback(attending.cancel)
            await stop.wait()
            if place is not None and not stop.is_told:
                place.tell(Word(state="leaving"))
                await asyncio.sleep(WORD_S)
                stop.is_replaced |= not stop.is_told
            await _leave(config, gateway, connections, doors, stop)


async def _attend(place: Place, doors: Doors, stop: "_Stop") -> None:
    """Do what the parent says."""
    async for word, number in place.words():
        if word == "cover":
            await doors.cover(number)
        elif word == "uncover":
            doors.uncover(number)
        elif word == "hurry":
            stop.hurry()
        else:
            stop.is_told = True
            stop.is_replaced |= word == "finish"
            stop.is_orphan |= word == "orphan"
            stop.ask()


async def _leave(config: Config, gateway: Gateway, connections: Connections, doors: Doors, stop: "_Stop") -> None:
    """Stop taking requests, so that nobody who is told of it in time is refused, and let those at work end."""
    grace_s, delay_s = max(1.0, config.server.shutdown_grace_s), config.server.shutdown_delay_s
    connections.leave()
    if stop.is_replaced:
        log.info("another worker has this one's place: requests at work have %g s", grace_s)
        doors.leave()
        await stop.hurried(LINGER_S, connections.is_empty.wait())
    else:
        gateway.readiness.stop()
        if delay_s and not stop.is_orphan:
            log.info("stopping: not ready any more; requests are still taken for %g s", delay_s)
            await stop.hurried(delay_s)
        log.info("stopping: no new requests; those at work have %g s", grace_s)
        if stop.is_orphan:  # another parent may want the address
            doors.leave()
        else:
            await doors.shut()
        connections.close_idle()
        if connections.open:
            await stop.hurried(FIRST_REQUEST_S, connections.is_empty.wait())
    await _finish(connections, stop, grace_s=grace_s)


async def _finish(connections: Connections, stop: "_Stop", *, grace_s: float) -> None:
    """Let requests at work end within `grace_s`, or until a second signal; then cut them, and give them time to say so.

    They are waited for: what they hold of the gateway is closed after this.
    """
    connections.finish()
    if connections.at_work:
        await stop.hurried(grace_s, _all_ended(connections))
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
    """What SIGINT and SIGTERM ask for: the first to stop, the second to hurry.

    A worker is told by its parent to hurry: signals may reach it twice, by the parent and past it.
    """

    def __init__(self, *, is_worker: bool) -> None:
        self.is_told = False  # by the parent, not by a signal
        self.is_replaced = False  # another worker has this one's place
        self.is_orphan = False  # the parent was killed
        self._loop = asyncio.get_running_loop()
        self._is_worker = is_worker
        self._asked = asyncio.Event()
        self._hurry = asyncio.Event()
        self.wait = self._asked.wait
        self.hurry = self._hurry.set
        self.ask = self._asked.set

    def handle(self, *_: object) -> None:
        """In a signal handler: only the loop may touch its events."""
        self._loop.call_soon_threadsafe(self._note)

    async def hurried(self, within_s: float, ended: Coroutine[Any, Any, object] | None = None) -> None:
        """Wait until somebody is in a hurry, the time is over, or `ended` is."""
        awaited = {asyncio.ensure_future(each) for each in (self._hurry.wait(), ended) if each is not None}
        await asyncio.wait(awaited, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        for each in awaited:
            each.cancel()

    def _note(self) -> None:
        if not self._asked.is_set():
            self._asked.set()
        elif not self._is_worker:
            self._hurry.set()


@contextmanager
def _stop_signals(*, is_worker: bool) -> Iterator[_Stop]:
    stop = _Stop(is_worker=is_worker)
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
