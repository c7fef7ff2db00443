"""Thousands of requests, whole and streamed, at 64 connections against four targets of which three fail in every way.

Every request gets a legal reply; with one healthy target nearly all of them succeed; no request is asked more often
than its attempts allow; and nothing is left behind. `ROUTING_SOAK_REQUESTS` in the environment makes the run longer.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from rawhttp import KEY, Wire, events, exchange, post, request
from running import Running
from serving import ledger_rows
from soak_failing import NAMES, FailingUpstreams

REQUESTS = int(os.environ.get("ROUTING_SOAK_REQUESTS", "4000"))
WARM_UP = 1000
CONNECTIONS = 64
TIMEOUT_S = 0.4
SHARE = 0.999  # of them that succeed
GROWTH_KB = 8192
LEGAL = {"api_error", "overloaded_error", "rate_limit_error", "timeout_error"}

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads /proc")


@pytest.fixture
def upstreams() -> Iterator[FailingUpstreams]:
    with FailingUpstreams() as started:
        yield started


def config(upstreams: FailingUpstreams) -> str:
    providers = "".join(
        f'[providers.{name}]\nbase_url = "{url}"\napi_key = "sk-{name}"\nconnect_timeout_s = {TIMEOUT_S}\n'
        f"first_byte_timeout_s = {TIMEOUT_S}\nidle_timeout_s = {TIMEOUT_S}\n"
        for name, url in upstreams.urls.items()
    )
    targets = ", ".join(f'"{name}/*"' for name in NAMES)
    return f'{providers}\n[models."soak.*"]\npolicy = "weighted"\ncontinue_cut = true\ntargets = [{targets}]\n'


async def test_three_of_four_fail_and_the_callers_hardly_notice(upstreams: FailingUpstreams, tmp_path: Path) -> None:
    with Running(tmp_path, config(upstreams), key=KEY) as server:
        assert server.process is not None
        fates: Counter[str] = Counter()
        await run(server.url, range(WARM_UP), Counter())
        before = Path(f"/proc/{server.process.pid}")
        descriptors, half = len(list((before / "fd").iterdir())), WARM_UP + REQUESTS // 2
        await run(server.url, range(WARM_UP, half), fates)
        memory_kb = private_kb(before)  # what is bounded, such as conversations, has filled up by then in a long run
        await run(server.url, range(half, WARM_UP + REQUESTS), fates)
        assert fates["answered"] >= SHARE * REQUESTS, fates
        state = (await exchange(upstreams.urls["d"], request("GET", "/state", key=None))).json()
        assert state["most"] <= len(NAMES), "no request is asked more often than its attempts allow"
        assert len(list((before / "fd").iterdir())) <= descriptors + CONNECTIONS * 2
        assert private_kb(before) - memory_kb < GROWTH_KB
        rows = ledger_rows(server.log())
        assert len([row for row in rows if "." not in row["request_id"]]) == WARM_UP + REQUESTS
        assert "Traceback" not in server.log()


async def run(url: str, numbers: range, fates: "Counter[str]") -> None:
    left = iter(numbers)
    async with asyncio.TaskGroup() as callers:
        for _ in range(CONNECTIONS):
            callers.create_task(call(url, left, fates))


async def call(url: str, numbers: Iterator[int], fates: "Counter[str]") -> None:
    wire = await Wire.connect(url)
    try:
        for number in numbers:
            is_stream = number % 2 == 1
            hello = [{"role": "user", "content": f"Hello {number}"}]
            body = {"model": f"soak.t{number}", "max_tokens": 100, "messages": hello, "stream": is_stream}
            await wire.send(post(body))
            fates[fate(await wire.reply(), is_stream=is_stream, tag=f"t{number}")] += 1
    finally:
        wire.close()


def fate(answered: object, *, is_stream: bool, tag: str) -> str:
    """A legal reply is "answered", or the type of its error."""
    from rawhttp import Reply

    assert isinstance(answered, Reply)
    assert int(answered.header("dragoman-attempts") or 0) <= len(NAMES)
    if answered.status != 200:
        kind = str(answered.json()["error"]["type"])
        assert kind in LEGAL
        return kind
    if not is_stream:
        assert answered.json()["content"][0]["text"] == tag
        return "answered"
    told = [(name, data) for name, data in events(answered.body) if name != "ping"]
    assert told[0][0] == "message_start"
    if told[-1][0] == "error":
        return str(told[-1][1]["error"]["type"])
    assert [name for name, _ in told if name != "content_block_delta"] == [
        "message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    assert told[2][1]["delta"]["text"] == tag
    return "answered"


def private_kb(process: Path) -> int:
    lines = (process / "smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))
