"""Callers who ask without a pause, on kept connections, and take each failure for one: nobody sends a request again.

    async with SteadyLoad(url, key) as load:
        await load.wait_for(100)   # more replies from now on
        ...
    assert load.failed == []

Half of the requests are streams. What a decent client does is done: a connection that the server says it ends is left.
"""

import asyncio
import json
from typing import Any, Self

from rawhttp import HELLO, Wire, post

__all__ = ["SteadyLoad"]

PATIENCE_S = 60.0  # generous: the machine may be busy


class SteadyLoad:
    """`told` counts the replies that said that their connection ends; `dials` the connections."""

    def __init__(self, url: str, key: str, *, callers: int = 8, body: dict[str, Any] | None = None) -> None:
        self.replies = 0
        self.told = 0
        self.dials = 0
        self.failed: list[str] = []
        self._ended = [0] * callers  # requests of each caller, answered or failed
        self._url = url
        self._key = key
        self._callers = callers
        self._body = body or HELLO
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._call(number)) for number in range(self._callers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let what is asked be answered."""
        self._is_over = True
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*self._tasks)

    async def wait_for(self, more: int) -> None:
        goal = self.replies + more
        async with asyncio.timeout(PATIENCE_S):
            while self.replies < goal and not self.failed:  # noqa: ASYNC110 (nothing announces it)
                await asyncio.sleep(0.005)

    async def wait_for_each(self, more: int) -> None:
        """Until each caller has ended so many, whether they were answered or failed."""
        goals = [ended + more for ended in self._ended]
        async with asyncio.timeout(PATIENCE_S):
            while any(ended < goal for ended, goal in zip(self._ended, goals, strict=True)):  # noqa: ASYNC110 (as above)
                await asyncio.sleep(0.005)

    async def _call(self, caller: int) -> None:
        wire: Wire | None = None
        number = caller
        while not self._is_over:
            number += 1
            try:
                if wire is None:
                    wire = await Wire.connect(self._url)
                    self.dials += 1
                is_kept = await self._ask(wire, is_stream=number % 2 == 0)
            except Exception as error:
                self.failed.append(f"{type(error).__name__}: {error}")
                is_kept = False
            self._ended[caller] += 1
            if not is_kept and wire is not None:
                wire.close()
                wire = None
        if wire is not None:
            wire.close()

    async def _ask(self, wire: Wire, *, is_stream: bool) -> bool:
        await wire.send(post({**self._body, "stream": is_stream}, key=self._key))
        reply = await wire.reply()
        self.replies += 1
        is_whole = reply.body.endswith(b'data: {"type":"message_stop"}\n\n') if is_stream else _is_message(reply.body)
        if reply.status != 200 or not is_whole:
            self.failed.append(f"{reply.status}: {reply.body[-300:]!r}")
        is_kept = reply.header("connection") != "close"
        self.told += not is_kept
        return is_kept


def _is_message(body: bytes) -> bool:
    try:
        return json.loads(body)["type"] == "message"
    except (ValueError, KeyError):
        return False
