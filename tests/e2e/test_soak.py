"""A long run of everything at once: mixed requests at 64 connections, a tenth of them hung up by the client.

Every reply is checked, every request has its one ledger row, and nothing is left behind: no socket, task or
descriptor, and memory stays flat. `SOAK_REQUESTS` in the environment makes the run shorter or longer.
"""

import asyncio
import gc
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from rawhttp import KEY
from running import Running
from serving import Serving, wait_until
from soak_upstream import Upstream
from soaking import Control, Load, jobs

from dragoman.gateway.config.config import OFFLINE, ProviderConfig
from dragoman.gateway.open import open_gateway
from dragoman.server.app import App
from dragoman.server.protocol import Connections

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "18000"))
WARM_UP = 2000  # fills what is bounded: targets that are kept by model, threads, database connections
INSIDE = 2000  # requests to a server in this process
PARTS = 6  # after each, memory is looked at
GROWTH_KB = 5120  # of memory, from the middle of the run to its end: some 3,900 come and go, and on a busy machine,
# where more requests are at work at once, what is kept for them grows for longer; a leak of 900 bytes a request is more
SLOW_PER_S = 20.0  # tokens
KEPT_IDLE = 100  # connections to a provider
DATABASE_CONNECTIONS = 4  # with two or three descriptors each
THREADS = 64  # asyncio's 32, the store's, two engines'; the number depends on the machine

linux_only = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads /proc")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as started:
        yield started


# -- from outside ----------------------------------------------------------------------------------------------------


@linux_only
async def test_a_long_mixed_run_leaves_nothing_behind(upstream: Upstream, tmp_path: Path) -> None:
    config = f"""
[server]
shutdown_grace_s = 600  # so a stop that is quick has found no request at work

[providers.up]
base_url = "{upstream.url}"
api_key = "sk-upstream"
price_list = "local"  # or it would say of each model that its price is not known

[providers.engine]
dialect = "offline"

[providers.slow]
dialect = "offline"
tokens_per_second = {SLOW_PER_S}
"""
    with Running(tmp_path, config, key=KEY) as server:
        assert server.process is not None
        process = Process(server.process.pid)
        async with Control(upstream.url) as control:
            load = Load(server.url, control)
            fresh = process.descriptors()["socket"]
            await load.run(jobs(0, WARM_UP))
            await settled(process, control, fresh=fresh)
            before = process.descriptors()
            part = REQUESTS // PARTS
            memory_kb = []
            for number in range(PARTS):
                await load.run(jobs(WARM_UP + number * part, part))
                await settled(process, control, fresh=fresh)
                memory_kb.append(process.memory_kb())
            after = process.descriptors()
        must_be_as_before(before, after)
        assert process.threads() <= THREADS
        assert min(memory_kb[4:]) - min(memory_kb[2:4]) < GROWTH_KB, memory_kb
        assert server.stop() == 0
        load.settle(server.log())
        assert odd_lines(server.log()) == []


async def settled(process: "Process", control: Control, *, fresh: int) -> None:
    """Wait until the upstream has been hung up on where it still speaks, and every socket of the server but the first
    `fresh` is a connection to it."""
    state = {"open": -1}
    try:
        async with asyncio.timeout(30):
            while state.get("stalled") or process.descriptors()["socket"] != fresh + state["open"]:
                await asyncio.sleep(0.05)
                state = await control.state()
    except TimeoutError:
        pytest.fail(f"sockets are left over: {process.descriptors()}, {fresh} at start; the upstream has {state}")
    assert state["open"] <= KEPT_IDLE


class Process:
    """What Linux tells of a process."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def descriptors(self) -> Counter[str]:
        """How many there are of each kind: "socket", "pipe", or a file's path."""
        found: Counter[str] = Counter()
        for each in (self._folder / "fd").iterdir():
            try:
                found[each.readlink().as_posix().partition(":[")[0]] += 1
            except FileNotFoundError:  # closed in this moment
                continue
        return found

    def threads(self) -> int:
        return len(list((self._folder / "task").iterdir()))

    def memory_kb(self) -> int:
        found = re.search(r"^Rss:\s+(\d+) kB", (self._folder / "smaps_rollup").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1])


def must_be_as_before(before: Counter[str], after: Counter[str]) -> None:
    """But for sockets, which were counted, and connections to the database, of which there may be a few more."""
    for kind in before.keys() | after.keys():
        if ".db" in kind:
            assert after[kind] <= DATABASE_CONNECTIONS, (kind, after)
        elif kind != "socket":
            assert after[kind] == before[kind], (kind, before, after)


def odd_lines(log: str) -> list[str]:
    """What the log holds beside the greeting, the ledger, an upstream's failures and the stop."""
    expected = re.compile(r"\S+ \S+ (INFO dragoman\.(requests|server)|WARNING dragoman\.upstream): ")
    _, *dated = re.split(r"^(?=\d{4}-)", log, maxsplit=1, flags=re.MULTILINE)
    return [line for line in "".join(dated).splitlines() if not expected.match(line)]


# -- from inside -----------------------------------------------------------------------------------------------------


async def test_a_mixed_run_leaves_no_task_and_no_object_behind(upstream: Upstream) -> None:
    """The same load on a server in this process."""
    kept = ("thread",)  # conversations are kept for minutes
    async with with_engines(Serving(upstream=upstream.url)) as server, Control(upstream.url) as control:
        load = Load(server.url, control)
        tasks = asyncio.all_tasks()
        await load.run(jobs(0, WARM_UP, without=kept))
        await wait_until(lambda: asyncio.all_tasks() == tasks)
        before = objects()
        await load.run(jobs(WARM_UP, INSIDE, without=kept))
        await wait_until(lambda: asyncio.all_tasks() == tasks)
        assert (server.running, server.connections) == (0, 0)
        grown = objects() - before
        assert not {name: more for name, more in grown.items() if more > INSIDE // 20}
        load.settle(server.log)


def with_engines(serving: Serving) -> Serving:
    """With the offline engine as a second provider and a third."""
    engines = [
        ProviderConfig(name="engine", origin="the test", dialect=OFFLINE),
        ProviderConfig(name="slow", origin="the test", dialect=OFFLINE, tokens_per_second=SLOW_PER_S),
    ]
    providers = {**serving.config.providers, **{each.name: each for each in engines}}
    serving.config = msgspec.structs.replace(serving.config, providers=providers)
    serving.gateway = open_gateway(serving.config, {})
    serving.server = Connections(App(serving.gateway))
    return serving


def objects() -> Counter[str]:
    """How many there are of each of dragoman's types."""
    gc.collect()
    names = (f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    return Counter(name for name in names if name.startswith("dragoman."))
