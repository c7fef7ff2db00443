"""An async face over a blocking transport, each call in a thread, so that it passes the tests of the others.

A call that is cancelled goes on in its thread: tests of cancellation are not for it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from dragoman.http.base import Request, SyncResponse, SyncTransport

__all__ = ["Threaded"]

THREADS = ThreadPoolExecutor(64, thread_name_prefix="threaded")  # shared: to start one takes 100 us

T = TypeVar("T")


class Threaded:
    def __init__(self, transport: SyncTransport) -> None:
        self.transport = transport

    async def send(self, request: Request) -> "ThreadedResponse":
        return ThreadedResponse(await in_thread(self.transport.send, request))

    async def aclose(self) -> None:
        self.transport.close()


class ThreadedResponse:
    def __init__(self, response: SyncResponse) -> None:
        self.response = response

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def headers(self) -> list[tuple[str, str]]:
        return self.response.headers

    @property
    def is_complete(self) -> bool:
        return self.response.is_complete

    async def pieces(self) -> AsyncIterator[bytes]:
        pieces = self.response.pieces()
        while (piece := await in_thread(next, pieces, None)) is not None:
            yield piece

    async def read(self, limit_bytes: int) -> bytes:
        return await in_thread(self.response.read, limit_bytes)

    async def aclose(self) -> None:
        self.response.close()


async def in_thread(call: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(THREADS, call, *arguments)
