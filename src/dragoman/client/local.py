"""Transports to a gateway in this process: the same server, the same bytes, and no socket between.

The client's side is that of `http/aio.py`, the gateway's that of `server/protocol.py` (home.py runs it), and pipe.py
stands where the network would; so there is nothing here that could answer differently.
"""

import asyncio
import math
import threading
import weakref
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from dragoman.http.aio import FastTransport
from dragoman.http.base import (
    ConnectFailed,
    IdleTimeout,
    ReplyBroken,
    ReplyTooLarge,
    Request,
    Response,
    SyncTransport,
    TotalTimeout,
    Transport,
    host_of,
    late,
)
from dragoman.http.heads import RequestHead
from dragoman.http.link import Link
from dragoman.http.pool import Pool

from .home import HOST, Home, Tenancy, post

if TYPE_CHECKING:
    from dragoman.gateway.handle import GatewayHandle

__all__ = ["BASE_URL", "LocalSyncTransport", "LocalTransport", "offline", "open_async", "open_sync"]

BASE_URL = f"http://{HOST}"
AHEAD_BYTES = 256 * 1024  # of a reply, fetched for a thread that has not asked for them yet
CLOSED = "the transport has been closed"


def open_sync(gateway: "GatewayHandle") -> SyncTransport:
    """A transport to `gateway` for any number of threads. To be closed: the last that is ends the gateway.

    Send with the key `gateway.api_key`, to BASE_URL. The first request starts the gateway, and raises ConfigError or
    StoreError when that fails.
    """
    return LocalSyncTransport(gateway)


def open_async(gateway: "GatewayHandle") -> Transport:
    """As `open_sync`, for the event loop of its first request. When that loop ends by `asyncio.run`, and the gateway
    runs in it, the gateway is closed properly even if nobody did so."""
    return LocalTransport(gateway)


def offline(script: Any = None) -> "GatewayHandle":
    """A gateway that has the offline engine and nothing else; `script` as of `Client.offline`. Raises ConfigError."""
    from dragoman.gateway.handle import open_offline

    return open_offline(script)


class _PipedLink(Link):
    """Keeps the transport it belongs to alive while an exchange is under way: a stream may outlive its client."""

    __slots__ = ("_kept", "_owner")

    def __init__(self, name: str, pool: "Pool[Link]", owner: "weakref.ref[Any]", **rest: Any) -> None:
        super().__init__(name, pool, **rest)
        self._owner = owner
        self._kept: object = None

    def begin(self, method: str) -> None:
        self._kept = self._owner()
        super().begin(method)

    def release(self) -> None:
        self._kept = None
        super().release()

    def abort(self) -> None:
        self._kept = None
        super().abort()


class _Piped(FastTransport):
    """From one event loop to one home. `owner` is the transport that it works for."""

    def __init__(self, home: Home, loop: asyncio.AbstractEventLoop, owner: object) -> None:
        super().__init__()
        self.home = home
        self.loop = loop
        self.fetches: set[asyncio.Task[None]] = set()
        self._owner = weakref.ref(owner)

    def hang_up(self) -> None:
        """As `aclose`, in the loop."""
        self._is_closed = True
        for link in list(self._links):
            link.abort()
        for fetch in self.fetches:
            fetch.cancel()

    async def _open(self, method: str, head: RequestHead, pool: "Pool[Link]") -> Link:
        link = _PipedLink(
            head.name, pool, self._owner, kept_s=self._idle_expiry_s, max_age_s=math.inf, on_close=self._links.discard
        )
        link.begin(method)
        self._links.add(link)
        try:
            self.home.connect(link, self.loop)
        except RuntimeError as error:
            link.abort()
            raise ConnectFailed(head.name, "the event loop of the gateway has ended") from error
        return link


class LocalTransport:
    """Transport to a gateway in this process; what it does of its own is to find or begin the gateway's home.

    A limit of time begins when the gateway has begun, which takes half a second in the first of a process.
    """

    def __init__(self, gateway: "GatewayHandle") -> None:
        self._tenancy = Tenancy.of(gateway)
        self._tenancy.enter()
        self._leave = weakref.finalize(self, self._tenancy.leave)
        self._leave.atexit = False
        self._piped: _Piped | None = None
        self._is_closed = False

    async def send(self, request: Request) -> Response:
        """Raises ConfigError and StoreError too, when the gateway cannot begin."""
        piped = self._piped
        if piped is None or not self._leads_home(piped):
            piped = await self._open(request)
        return await piped.send(request)

    async def aclose(self) -> None:
        self._is_closed = True
        piped, self._piped = self._piped, None
        if piped is not None and piped.loop is asyncio.get_running_loop():
            await piped.aclose()
        home = self._leave()
        if home is not None:
            await home.aend()

    def _leads_home(self, piped: _Piped) -> bool:
        home = self._tenancy.home
        return home is not None and piped.home is home and home.is_alive and piped.loop is asyncio.get_running_loop()

    async def _open(self, request: Request) -> _Piped:
        self._must_be_open(request)
        home = self._tenancy.at_home(Home.begin_here)
        await home.until_ready()
        self._must_be_open(request)
        piped = self._piped
        if piped is not None and self._leads_home(piped):  # another task was quicker
            return piped
        loop = asyncio.get_running_loop()
        if piped is not None and piped.loop is not loop and piped.loop.is_running():
            raise RuntimeError("an async client belongs to the event loop of its first request, and that one runs")
        self._piped = _Piped(home, loop, self)
        return self._piped

    def _must_be_open(self, request: Request) -> None:
        if self._is_closed:
            raise ConnectFailed(host_of(request.url), CLOSED)


class LocalSyncTransport:
    """SyncTransport to a gateway in this process. What it sends is sent by the gateway's loop, which it waits for; a
    child that is forked begins a gateway of its own (a database in memory is empty there)."""

    def __init__(self, gateway: "GatewayHandle") -> None:
        self._tenancy = Tenancy.of(gateway)
        self._tenancy.enter()
        self._leave = weakref.finalize(self, self._tenancy.leave)
        self._leave.atexit = False
        self._piped: _Piped | None = None
        self._is_closed = False

    def send(self, request: Request) -> "_SyncReply":
        """Raises ConfigError and StoreError too, when the gateway cannot begin."""
        piped = self._piped
        if piped is None or not self._leads_home(piped):
            piped = self._open(request)
        return _SyncReply(piped, request)

    def close(self) -> None:
        self._is_closed = True
        piped, self._piped = self._piped, None
        if piped is not None and self._leads_home(piped):
            post(piped.loop, piped.hang_up)
        home = self._leave()
        if home is not None:
            home.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _leads_home(self, piped: _Piped) -> bool:
        home = self._tenancy.home
        return home is not None and piped.home is home and home.is_alive

    def _open(self, request: Request) -> _Piped:
        self._must_be_open(request)
        home = self._tenancy.at_home(Home.begin_in_thread)
        if home.thread_id == threading.get_ident():
            raise RuntimeError(
                "the gateway runs in the event loop of this very thread, which a blocking call would stop: "
                "ask it with AsyncClient, or in another thread"
            )
        home.wait_until_ready()
        assert home.loop is not None
        with self._tenancy.lock:  # several threads may come at once
            self._must_be_open(request)
            if self._piped is None or not self._leads_home(self._piped):
                self._piped = _Piped(home, home.loop, self)
            return self._piped

    def _must_be_open(self, request: Request) -> None:
        if self._is_closed:
            raise ConnectFailed(host_of(request.url), CLOSED)


class _Fetch:
    """One exchange that a thread waits for, done in the loop: which fetches ahead of the thread, up to AHEAD_BYTES.

    `arrived` gives the Response, then pieces, each with whether it is the last, then None; or the error in place of
    what would be next.
    """

    def __init__(self, piped: _Piped, request: Request) -> None:
        self.arrived: SimpleQueue[Any] = SimpleQueue()
        self._piped = piped
        self._request = request
        self._given = 0  # bytes: counted in the loop
        self._taken = 0  # and in the thread
        self._is_full = False
        self._room: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        piped.home.expect(self._give_up)
        if not post(piped.loop, self._begin):
            raise ConnectFailed(host_of(request.url), "the event loop of the gateway has ended")

    # -- in the thread --

    def take(self, size: int) -> None:
        self._taken += size
        if self._is_full and not self._is_ahead:
            post(self._piped.loop, self._go_on)

    def cancel(self) -> None:
        post(self._piped.loop, self._cancel)

    def _give_up(self) -> None:
        """What has arrived in full is not spoilt by it."""
        self.arrived.put(ReplyBroken(host_of(self._request.url), "the transport was closed before the reply ended"))

    # -- in the loop --

    @property
    def _is_ahead(self) -> bool:
        return self._given - self._taken > AHEAD_BYTES

    def _begin(self) -> None:
        self._task = self._piped.loop.create_task(self._run())
        self._piped.fetches.add(self._task)
        self._task.add_done_callback(self._end)

    def _end(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():  # said here: a task that is cancelled before its first step never gets to run
            self._give_up()
        self._piped.fetches.discard(task)
        self._piped.home.no_longer_expect(self._give_up)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            reply = await self._piped.send(self._request)
            self.arrived.put(reply)
            try:
                async for piece in reply.pieces():
                    self._given += len(piece)
                    self.arrived.put((piece, reply.is_complete))
                    await self._until_wanted()
            finally:
                await reply.aclose()
            self.arrived.put(None)
        except Exception as error:  # whatever it is, the thread raises it
            self.arrived.put(error)

    async def _until_wanted(self) -> None:
        while self._is_ahead:
            self._room = self._piped.loop.create_future()
            self._is_full = True
            if self._is_ahead:  # still: the thread, which now sees that it has to say so, took nothing in between
                await self._room
            self._is_full = False

    def _go_on(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


class _SyncReply:
    """SyncResponse over a fetch; its own iterator of pieces."""

    def __init__(self, piped: _Piped, request: Request) -> None:
        self._is_ended, self._is_closed = False, True  # until there is something to close
        self._host = host_of(request.url)
        limits = request.timeouts
        self._idle_s = limits.idle_s
        self._total_at = None if limits.total_s is None else monotonic() + limits.total_s
        # The time in which the thread does not ask is not the reply's: so idleness is measured here.
        limits = msgspec.structs.replace(limits, idle_s=None)
        self._fetch = _Fetch(piped, msgspec.structs.replace(request, timeouts=limits))
        self._is_closed = False
        head = self._get(None)
        self.status: int = head.status
        self.headers: list[tuple[str, str]] = head.headers

    @property
    def is_complete(self) -> bool:
        return self._is_ended

    def pieces(self) -> Iterator[bytes]:
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = self._next()
        if piece is None:
            raise StopIteration
        return piece

    def read(self, limit_bytes: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while (piece := self._next()) is not None:
            size += len(piece)
            if size > limit_bytes:
                self.close()
                raise ReplyTooLarge(self._host, f"the reply is larger than {limit_bytes} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        if self._is_ended or self._is_closed:
            return
        self._is_closed = True
        self._fetch.cancel()
        self._fetch.arrived.put(ReplyBroken(self._host, "the reply was closed while it was read"))

    def __del__(self) -> None:
        """A reply that nobody can read any more would stay under way."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self) -> bytes | None:
        """The next piece, None at the end. What has arrived is there without a wait."""
        if self._is_ended:
            return None
        if self._is_closed:
            raise ReplyBroken(self._host, "the reply was closed before its end was read")
        if self._total_at is not None and monotonic() >= self._total_at:
            self.close()
            raise late(TotalTimeout, self._host)
        arrived = self._get(self._idle_s)
        if arrived is None:
            self._is_ended = True
            return None
        piece: bytes
        piece, self._is_ended = arrived
        self._fetch.take(len(piece))
        return piece

    def _get(self, limit_s: float | None) -> Any:
        try:
            arrived = self._fetch.arrived.get(timeout=limit_s)
        except Empty:
            self.close()
            raise late(IdleTimeout, self._host, limit_s) from None
        except BaseException:  # KeyboardInterrupt
            self.close()
            raise
        if isinstance(arrived, BaseException):
            self._is_closed = True
            raise arrived
        return arrived
