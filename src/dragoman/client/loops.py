"""The transport of an AsyncClient: a connection belongs to one event loop, and a program may run several."""

import asyncio
import threading

from dragoman.http.aio import FastTransport
from dragoman.http.base import Request, Response

__all__ = ["LoopTransport"]


class LoopTransport:
    """A FastTransport for each event loop that asks. What a closed loop leaves behind is forgotten."""

    def __init__(self) -> None:
        self._latest = FastTransport()
        self._seat: tuple[asyncio.AbstractEventLoop | None, FastTransport] = (None, self._latest)
        self._seats: dict[asyncio.AbstractEventLoop, FastTransport] = {}
        self._moving = threading.Lock()
        self._is_closed = False

    async def send(self, request: Request) -> Response:
        loop = asyncio.get_running_loop()
        seat = self._seat  # one attribute: threads with loops of their own may share a client
        if seat[0] is not loop:
            seat = self._seat = (loop, self._transport_of(loop))
        return await seat[1].send(request)

    async def aclose(self) -> None:
        self._is_closed = True
        current = asyncio.get_running_loop()
        for loop, transport in list(self._seats.items()):
            if loop is not current and not loop.is_closed():
                loop.call_soon_threadsafe(transport.abort)
        await self._transport_of(current).aclose()

    def _transport_of(self, loop: asyncio.AbstractEventLoop) -> FastTransport:
        with self._moving:
            found = self._seats.get(loop)
            if found is None:
                found = self._latest.another() if self._seats else self._latest
                open_ones = {each: transport for each, transport in self._seats.items() if not each.is_closed()}
                self._seats, self._latest = {**open_ones, loop: found}, found
                if self._is_closed:
                    found.abort()
            return found

    def __del__(self) -> None:
        """A client that nobody closed: its idle connections go with it, as long as their loop can close them."""
        for loop, transport in self._seats.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(transport.abandon)
