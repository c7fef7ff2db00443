"""Where a gateway runs that clients of the same process ask: an event loop, with the server's connections in it.

For an async client the loop that it is used in; for a blocking one a loop in a thread of its own. `server/` is imported
when a gateway begins.
"""

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401 (its threads must end after ours) # pyright: ignore[reportUnusedImport]
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from dragoman.http.base import ConnectFailed

from .pipe import End, join

if TYPE_CHECKING:
    import socket

    from dragoman.gateway.handle import GatewayHandle

__all__ = ["HOST", "Home", "Tenancy", "post"]

HOST = "dragoman.local"  # never looked up
LAST_S = 5.0  # for the gateways that nobody has closed, when the interpreter ends

App = Callable[[dict[str, Any], Any, Any], Any]  # ASGI's


class Home:
    """A gateway at work, in an event loop. Begun once, by `begin_here` or `begin_in_thread`, and ended once.

    `wrap` puts something around the application; `listener`, a socket that listens, is served beside the pipes.
    """

    def __init__(
        self,
        handle: "GatewayHandle",
        *,
        wrap: Callable[[App], App] | None = None,
        listener: "socket.socket | None" = None,
    ) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread_id: int | None = None  # of the loop
        self._handle = handle
        self._wrap = wrap
        self._listener = listener
        self._ready: Future[None] = Future()
        self._ended: Future[None] = Future()
        for future in (self._ready, self._ended):
            future.set_running_or_notify_cancel()  # who waits for them and is cancelled cancels nothing here
        self._stop: asyncio.Event | None = None
        self._is_stopping = False
        self._is_over = False
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None
        self._connections: Any = None  # server.protocol.Connections
        self._waiting: set[Callable[[], None]] = set()

    # -- beginning --

    def begin_here(self) -> None:
        """In the running loop."""
        self.loop = asyncio.get_running_loop()
        self._task = self.loop.create_task(self._live(), name="dragoman gateway")
        self._task.add_done_callback(self._note_end)

    def begin_in_thread(self) -> None:
        self._thread = threading.Thread(target=self._run, name="dragoman-gateway", daemon=True)
        _in_threads.add(self)
        self._thread.start()

    def wait_until_ready(self) -> None:
        """Raises what prevented it."""
        self._ready.result()

    async def until_ready(self) -> None:
        """Raises what prevented it."""
        if not self._ready.done() or self._ready.exception() is not None:
            await asyncio.shield(asyncio.wrap_future(self._ready))

    @property
    def is_alive(self) -> bool:
        """It works, or is about to."""
        return not (self._is_stopping or self._is_over or self._is_stranded)

    @property
    def _is_stranded(self) -> bool:
        """Its loop was closed before it could end: somebody did not use `asyncio.run`."""
        return self.loop is not None and self.loop.is_closed() and self._thread is None

    # -- ending --

    def stop(self) -> None:
        """Have it end soon: requests at work are hung up. From any thread, more than once, and while it begins."""
        self._is_stopping = True
        loop, stop = self.loop, self._stop
        if loop is not None and stop is not None:
            post(loop, stop.set)

    def end(self) -> None:
        """`stop`, and wait for it, unless this is the thread that would have to do it."""
        self.stop()
        if self.thread_id != threading.get_ident() and not self._is_stranded:
            self._ended.result()
            self._join()

    async def aend(self) -> None:
        """As `end`."""
        self.stop()
        # A loop of this thread, but not the one that runs, does not run as long as that does.
        can_end = self.thread_id != threading.get_ident() or self.loop is asyncio.get_running_loop()
        if can_end and not self._is_stranded:
            await asyncio.shield(asyncio.wrap_future(self._ended))
            self._join()

    def _join(self, timeout_s: float | None = None) -> None:
        """The thread has little or nothing left to do."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    # -- connections --

    def connect(self, protocol: asyncio.Protocol, loop: asyncio.AbstractEventLoop) -> None:
        """A new connection, whose client side is `protocol` in the running `loop`. Raises RuntimeError when the home's
        own has been closed."""
        assert self.loop is not None
        here, there = End(loop), End(self.loop)
        join(here, there)
        if self.loop is loop:
            self._accept(there)
        else:
            self.loop.call_soon_threadsafe(self._accept, there)  # before whatever comes through it
        here.begin(protocol)

    def _accept(self, end: End) -> None:
        if self._is_stopping:
            end.abort()
        else:
            end.begin(self._connections())

    # -- threads that wait for it --

    def expect(self, give_up: Callable[[], None]) -> None:
        """Have `give_up` called when it ends, in any thread; at once if it has. What a loop was told to do is not done
        when it ends before, and who waits for that would wait for ever."""
        self._waiting.add(give_up)
        if self._is_over:
            give_up()

    def no_longer_expect(self, give_up: Callable[[], None]) -> None:
        self._waiting.discard(give_up)

    # -- living --

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            self._settle(error)
        else:
            self._settle(None)

    def _note_end(self, task: "asyncio.Task[None]") -> None:
        self._settle(None if task.cancelled() else task.exception())

    def _settle(self, error: BaseException | None) -> None:
        """What prevented the beginning is told to those who wait for it, what went wrong at the end to who ended it."""
        self._is_over = True
        for give_up in list(self._waiting):
            give_up()
        _in_threads.discard(self)
        if not self._ready.done():
            self._ready.set_exception(error or ConnectFailed(HOST, "the gateway was closed as it began"))
            error = None
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)

    async def _live(self) -> None:
        from dragoman.server.app import App as Application
        from dragoman.server.protocol import Connections

        self.loop, self.thread_id = asyncio.get_running_loop(), threading.get_ident()
        self._stop = asyncio.Event()
        async with self._handle.make() as gateway:
            app: App = Application(gateway)
            self._connections = Connections(app if self._wrap is None else self._wrap(app))
            async with self._open():
                if not self._is_stopping:
                    self._ready.set_result(None)
                    await self._stop.wait()

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[None, None]:
        """Connections come in. In the end requests at work are hung up, and waited for: what they hold of the gateway
        is closed after this."""
        server = None
        if self._listener is not None:
            server = await asyncio.get_running_loop().create_server(self._connections, sock=self._listener)
        try:
            yield
        finally:
            self._is_stopping = True
            if server is not None:
                server.close()
            self._connections.abort()
            while self._connections.at_work:
                await asyncio.wait(set(self._connections.at_work))


class Tenancy:
    """The home of one handle, and how many transports lead there."""

    def __init__(self, handle: "GatewayHandle") -> None:
        self.home: Home | None = None
        self._handle = handle
        self._count = 0
        # The collector may end a transport, and so call `leave`, in the middle of another method here.
        self.lock = threading.RLock()

    @classmethod
    def of(cls, handle: "GatewayHandle") -> "Tenancy":
        with _lock:
            if handle.tenancy is None:
                handle.tenancy = cls(handle)
                _tenancies.add(handle.tenancy)
            return handle.tenancy  # type: ignore[no-any-return]

    def enter(self) -> None:
        with self.lock:
            self._count += 1

    def leave(self) -> Home | None:
        """The home that nobody needs any more, if it is that; it has been told to stop."""
        with self.lock:
            self._count -= 1
            if self._count or self.home is None:
                return None
            home, self.home = self.home, None
        home.stop()
        return home

    def at_home(self, begin: Callable[[Home], None]) -> Home:
        """The home; a new one, which has begun, when there is none."""
        with self.lock:
            if self.home is None or not self.home.is_alive:
                self.home = Home(self._handle)
                begin(self.home)
            return self.home

    def forget(self) -> None:
        """After a fork: home is where the parent is."""
        self.home = None
        self.lock = threading.RLock()


_lock = threading.RLock()
_tenancies: "weakref.WeakSet[Tenancy]" = weakref.WeakSet()
_in_threads: set[Home] = set()


def post(loop: asyncio.AbstractEventLoop, what: Callable[..., object], *arguments: object) -> bool:
    """Have `loop` do something, from any thread. False when it has been closed."""
    try:
        loop.call_soon_threadsafe(what, *arguments)
    except RuntimeError:
        return False
    return True


def _forget_all() -> None:
    global _lock
    _lock = threading.RLock()
    _in_threads.clear()
    for tenancy in list(_tenancies):
        tenancy.forget()


def _end_all() -> None:
    """What nobody has closed is closed with the interpreter."""
    homes = list(_in_threads)
    for home in homes:
        home.stop()
    for home in homes:
        home._join(LAST_S)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
# `atexit` comes too late: by then the threads have ended in which a gateway closes its files and its database.
getattr(threading, "_register_atexit", atexit.register)(_end_all)
