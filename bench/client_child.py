"""`python -m bench.client_child MODULE URL`: one client, told by lines what to do. See `clients.py`.

Takes "KIND COUNT" a line, does it, and answers with a line of JSON: the process's CPU seconds and memory.
"""

import asyncio
import importlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

PACED = "[mock paced interval_us=5000 deltas=200]"


def asked(text: str = "What is the capital of France?") -> dict[str, Any]:
    return {"model": "claude-opus-4-8", "max_tokens": 1024, "messages": [{"role": "user", "content": text}]}


class Work:
    """The slices: each does its thing `count` times."""

    def __init__(self, module: Any, url: str) -> None:
        options = {"api_key": "bench", "base_url": url, "max_retries": 0, "timeout": 60.0}
        self._client = module.Anthropic(**options)
        self._loop = asyncio.new_event_loop()
        self._async_client = module.AsyncAnthropic(**options)

    def create(self, count: int) -> None:
        for _ in range(count):
            assert self._client.messages.create(**asked()).content[0].text

    def events(self, count: int) -> None:
        for _ in range(count):
            for event in self._client.messages.create(stream=True, **asked()):
                assert event.type

    def helper(self, count: int) -> None:
        for _ in range(count):
            with self._client.messages.stream(**asked()) as stream:
                for event in stream:
                    assert event.type

    def large(self, count: int, kb: int) -> None:
        for _ in range(count):
            for event in self._client.messages.create(stream=True, **asked(f"[mock large kb={kb} each={kb}]")):
                assert event.type

    def asynchronous(self, once: Callable[[], Awaitable[None]], count: int) -> None:
        async def all_of_them() -> None:
            for _ in range(count):
                await once()

        self._loop.run_until_complete(all_of_them())

    async def create_async(self) -> None:
        message = await self._async_client.messages.create(**asked())
        assert message.content[0].text

    async def events_async(self) -> None:
        async for event in await self._async_client.messages.create(stream=True, **asked()):
            assert event.type

    def streams(self, count: int) -> None:
        """That many at once, each slow."""

        async def one() -> None:
            async for event in await self._async_client.messages.create(stream=True, **asked(PACED)):
                assert event.type

        async def all_of_them() -> None:
            await asyncio.gather(*(one() for _ in range(count)))

        self._loop.run_until_complete(all_of_them())

    def do(self, kind: str, count: int) -> None:
        match kind.split("-"):
            case ["create", "async"]:
                self.asynchronous(self.create_async, count)
            case ["events", "async"]:
                self.asynchronous(self.events_async, count)
            case ["event", kb]:
                self.large(count, int(kb))
            case [name]:
                getattr(self, name)(count)


def memory_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    name, url = sys.argv[1:]
    work = Work(importlib.import_module(name), url)
    for line in sys.stdin:
        kind, count = line.split()
        start = time.process_time()
        work.do(kind, int(count))
        print(json.dumps({"cpu_s": time.process_time() - start, "memory_mb": memory_mb()}), flush=True)


if __name__ == "__main__":
    main()
