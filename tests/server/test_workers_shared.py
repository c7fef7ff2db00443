"""Several workers on one PostgreSQL and one Redis: what is counted is counted once for all."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from rawhttp import HELLO, Wire, post
from redis_server import redis_server, redis_url  # noqa: F401 - fixtures
from running import Running

WORKERS = 4
RPM = 100
CONFIG = f"""
[tiers.narrow]
rpm = {RPM}
[limits]
organization = "narrow"
"""


@pytest.fixture
def limited(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[Running]:  # noqa: F811
    env = {
        "DRAGOMAN_DATABASE": postgres_url,
        "DRAGOMAN_COUNTERS": redis_url,
        "DRAGOMAN_SECRET": "one secret for all of them",
        "DRAGOMAN_WORKERS": str(WORKERS),
    }
    with Running(tmp_path, CONFIG, env=env) as server:
        deadline = time.monotonic() + 60
        while server.log().count("is ready") < WORKERS and time.monotonic() < deadline:
            time.sleep(0.02)
        yield server
    assert "Traceback" not in server.log(), server.log()


def test_a_limit_holds_for_all_workers_together(limited: Running) -> None:
    """Pain 33: of 1000 requests, over 50 connections to four workers, as many pass as the limit has, and what flows
    into it meanwhile; not one more, and not N times as many."""

    async def ask(count: int) -> list[int]:
        async with await Wire.connect(limited.url) as wire:
            found = []
            for _ in range(count):
                await wire.send(post({**HELLO, "max_tokens": 1}, key=limited.key))
                found.append((await wire.reply()).status)
            return found

    async def ask_all() -> Counter[int]:
        return Counter(status for found in await asyncio.gather(*(ask(20) for _ in range(50))) for status in found)

    began = time.monotonic()
    statuses = asyncio.run(ask_all())
    refilled = (time.monotonic() - began) * RPM / 60
    assert statuses.keys() == {200, 429}
    assert statuses.total() == 1000
    assert RPM <= statuses[200] <= RPM + refilled + 1
