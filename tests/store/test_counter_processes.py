"""Four real processes on one Redis: of a thousand requests at once exactly those pass that a limit has room for.

Issue 7, point 2, for the counters alone; tests/e2e/test_counters.py has whole servers. The limits refill so slowly
that nothing comes back meanwhile.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping

import pytest

PROCESSES = 4
ASKED = 250  # by each
TAKER = """
import asyncio, json, sys
from dragoman.store.buckets import DAY_S
from dragoman.store.counters import Demand, Gate, Order, Purse
from dragoman.store.redis import RedisCounters

WANTS = {
    "requests": lambda: {"demands": [Demand("requests", 100, 1, 1, DAY_S)]},
    "tokens": lambda: {"demands": [Demand("tokens", 100_000, 770, 770, DAY_S), Demand("r", 10_000, 1, 1, DAY_S)]},
    "at once": lambda: {"gates": [Gate("gate", 100)]},
    "money": lambda: {"purses": [Purse("budget_1", 0, 0, 10_000_000_000, 99_000_000)]},
}

async def main(url, process, asked):
    counters = RedisCounters(url, answer_s=60.0)
    await counters.open()
    for what, wants in WANTS.items():
        print("ready", flush=True)
        sys.stdin.readline()

        async def ask(number):
            order = Order(f"req_{process}_{what}_{number}", **wants())
            taking = await counters.take(order, 0.0)
            while taking.unknown:
                await counters.set_spent(order.purses[0], 0)
                taking = await counters.take(order, 0.0)
            if taking.is_taken and what == "money":  # it cost a part of what was reserved, in the end
                await asyncio.sleep(0)
                counters.settle(taking, [], 90_000_000, 0.0)
            return taking.is_taken

        print(json.dumps(sum(await asyncio.gather(*(ask(number) for number in range(asked))))), flush=True)
    print(json.dumps(counters.times_away), flush=True)
    sys.stdin.readline()
    await counters.aclose()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def _line(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def _go(processes: list[Process]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        await process.stdin.drain()


@pytest.fixture
async def passed(redis_url: str) -> Mapping[str, int]:
    """How many have passed of each kind, of all processes together."""
    arguments = (sys.executable, "-W", "error", "-c", TAKER, redis_url)
    processes = [
        await asyncio.create_subprocess_exec(*arguments, str(number), str(ASKED), stdin=PIPE, stdout=PIPE)
        for number in range(PROCESSES)
    ]
    found = {}
    for what in ("requests", "tokens", "at once", "money"):
        assert [await _line(each) for each in processes] == ["ready"] * PROCESSES
        await _go(processes)
        found[what] = sum([json.loads(await _line(each)) for each in processes])
    assert [await _line(each) for each in processes] == ["0"] * PROCESSES  # Redis was never away
    await _go(processes)
    assert [await each.wait() for each in processes] == [0] * PROCESSES
    return found


async def test_exactly_as_many_pass_as_there_is_room_for(passed: Mapping[str, int], redis_url: str) -> None:
    """Pain 33: of 1,000 that ask at once. Money comes back when a request cost less than it had reserved, so more may
    pass than if none did, and never more than have cost as much as there was."""
    assert passed["requests"] == 100
    assert passed["tokens"] == 100_000 // 770
    assert passed["at once"] == 100
    assert 10_000_000_000 // 99_000_000 <= passed["money"] <= 10_000_000_000 // 90_000_000
