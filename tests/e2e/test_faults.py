"""The real process, `dragoman serve`, when things go wrong: stopped while it works, crowded, leant upon.

What is seen from outside only: its replies, its log, its exit status, its open files and its memory.
"""

import asyncio
import gzip
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from anthropic import APIStatusError, AsyncAnthropic
from canned import BLOCK, DELTA, END, START, STREAM, envelope, sse, well_behaved
from misbehaving import LAST_CHUNK, Conn, Handler, Misbehaving, chunk, json_reply, sse_head
from rawhttp import HELLO, Reply, Wire, error, events, exchange, json_bytes, post, request
from running import Running
from serving import ledger_rows, wait_until

KEY = "sk-dgm-canary-key-of-a-caller"
ASKING = {**HELLO, "stream": True}
OFFLINE = {**HELLO, "model": "offline/claude-opus-4-8"}
BEGUN = sse_head() + chunk(sse(START, BLOCK, DELTA))
ON_LINUX = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into /proc")

CONFIG = """
[server]
{server}
[providers.upstream]
base_url = "{url}"
api_key = "sk-canary-key-of-upstream"
{provider}
[providers.offline]
"""


def asking(body: Any, *headers: tuple[str, str], path: str = "/v1/messages") -> bytes:
    return post(body, ("x-api-key", KEY), ("anthropic-version", "2023-06-01"), *headers, path=path, key=None)


@asynccontextmanager
async def serving(
    handler: Handler, folder: Path, *, server: str = "", provider: str = ""
) -> AsyncIterator[tuple[Running, Misbehaving]]:
    """The process, in front of such an upstream and of the offline engine. Its log must show no fault."""
    async with Misbehaving(handler) as upstream:
        config = CONFIG.format(url=upstream.url, server=server, provider=provider)
        running = Running(folder, config, key=KEY)
        await asyncio.to_thread(running.__enter__)
        try:
            yield running, upstream
        finally:
            await asyncio.to_thread(running.stop)
        log = running.log()
        assert "Traceback" not in log, log
        assert "Exception" not in log, log


async def ended(server: Running) -> int:
    """The exit status, once the process has ended."""
    assert server.process is not None
    return await asyncio.to_thread(server.process.wait, 20)


def tell(server: Running, number: int = signal.SIGTERM) -> None:
    assert server.process is not None
    server.process.send_signal(number)


async def refuses_connections(server: Running) -> None:
    async def is_refused() -> bool:
        try:
            (await Wire.connect(server.url)).close()
        except ConnectionRefusedError:
            return True
        return False

    async with asyncio.timeout(10):
        while not await is_refused():  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0.01)


# -- the end --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_lets_running_streams_end_and_takes_no_new_ones(number: int, tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(BEGUN)
        await go_on.wait()
        await conn.send(chunk(sse(*END)) + LAST_CHUNK)

    async with serving(handler, tmp_path) as (server, _):
        async with await Wire.connect(server.url) as wire, await Wire.connect(server.url) as idle:
            await idle.send(asking(OFFLINE))
            assert (await idle.reply()).status == 200
            await wire.send(asking(ASKING))
            await wire.until(sse(DELTA))
            tell(server, number)
            assert await idle.is_closed()
            await refuses_connections(server)
            go_on.set()
            assert await wire.until(b"0\r\n\r\n") == b"\r\n" + chunk(sse(*END)) + LAST_CHUNK
        assert await ended(server) == 0
        assert [row["outcome"] for row in ledger_rows(server.log())] == ["answered", "answered"]


async def test_a_stop_ends_in_time_whatever_still_runs(tmp_path: Path) -> None:
    """When the grace is over, a stream ends in an error event, and a request without a reply gets one (529).

    A caller who does not read, one who has not yet sent all, and one with another request behind hold up nothing.
    """

    async def handler(conn: Conn) -> None:
        asked = await conn.read_request()
        if asked is None:
            return
        what = asked.json()["messages"][0]["content"]
        if what != "silence":
            await conn.send(BEGUN)
        while what == "flood":
            await conn.send(chunk(sse(DELTA) * 1000))
        await conn.wait_closed()

    def about(what: str) -> dict[str, Any]:
        return {**ASKING, "messages": [{"role": "user", "content": what}]}

    async with serving(handler, tmp_path, server="shutdown_grace_s = 1") as (server, upstream):
        wires = [await Wire.connect(server.url, receive_bytes=4096) for _ in range(5)]
        silent, begun, crowded, flooded, half = wires
        await silent.send(asking(about("silence")))
        await begun.send(asking(about("begin")))
        await crowded.send(asking(about("begin")) + asking(about("behind")))
        await flooded.send(asking(about("flood")))
        await half.send(asking(HELLO)[:-10])
        for number in range(4):
            await upstream.request(number)
        await begun.until(sse(DELTA))
        tell(server)
        async with asyncio.timeout(10):
            assert await ended(server) == 0
        assert error(await silent.reply(), 529)["type"] == "overloaded_error"
        told = b"event: error\ndata: " + (await begun.until(b"0\r\n\r\n")).partition(b"event: error\ndata: ")[2]
        assert events(told.partition(b"\r\n")[0])[0][1]["error"]["type"] == "overloaded_error"
        error(await half.reply(), 529)
        outcomes = Counter(row["outcome"] for row in ledger_rows(server.log()))
        assert outcomes.total() == 4
        assert outcomes["cut"] >= 3
        for wire in wires:
            wire.close()


async def test_a_stop_with_nothing_to_wait_for_is_quick(tmp_path: Path) -> None:
    async with (
        serving(well_behaved, tmp_path) as (server, _),
        await Wire.connect(server.url),
        await Wire.connect(server.url) as halfway,
    ):
        await halfway.send(b"POST /v1/mess")
        tell(server)
        async with asyncio.timeout(5):
            assert await ended(server) == 0


# -- the ledger -----------------------------------------------------------------------------------------------------

CANARIES = {name: f"canary-{name}-7f3a" for name in ("prompt", "system", "header", "key", "tool", "query", "model-key")}


def mixed() -> list[tuple[bytes, int | None]]:
    """Requests of every kind that reach the pipeline, and the status that is due (None: the caller hangs up)."""
    said = {"messages": [{"role": "user", "content": CANARIES["prompt"]}], "system": CANARIES["system"]}
    good = {**HELLO, **said}
    local = {**OFFLINE, **said}
    count = {name: value for name, value in local.items() if name != "max_tokens"}
    tool = {"name": "look", "description": CANARIES["tool"], "input_schema": {"type": "object"}}
    header = ("x-note", CANARIES["header"])
    return [
        (asking(good, header), 200),
        (asking({**good, "stream": True}, header), 200),
        (asking(good, path="/v1/messages/count_tokens?x=" + CANARIES["query"]), 200),
        (asking(local), 200),
        (asking({**local, "stream": True}), 200),
        (asking({**local, "tools": [tool], "tool_choice": {"type": "any"}}), 200),
        (asking(count, path="/v1/messages/count_tokens"), 200),
        (asking(gzip.compress(json_bytes(local)), ("content-encoding", "gzip")), 200),
        (asking(b"{" + CANARIES["prompt"].encode()), 400),
        (asking({**local, "max_tokens": 0.5}), 400),
        (asking({**local, CANARIES["prompt"]: 1}), 400),
        (asking(json_bytes(local), ("content-encoding", "gzip")), 400),
        (post(local, ("x-api-key", CANARIES["key"]), key=None), 401),
        (post(local, ("authorization", f"Bearer {CANARIES['key']}"), key=None), 401),
        (post(local, ("authorization", f"Basic {CANARIES['key']}"), key=None), 401),
        (post(local, ("x-api-key", KEY), key=None), 400),
        (asking({**local, "model": "offline/no-such-model"}), 404),
        (asking(json_bytes(local) + b" " * 1_100_000), 413),
        (asking({**good, "model": "fail"}), 529),
        (asking({**good, "model": "die"}), 502),
        (asking({**good, "stream": True, "model": "die"}), 502),
        (asking({**good, "stream": True, "model": "cut"}), 200),
        (asking({**good, "model": "stall"}), None),
        (asking({**good, "stream": True, "model": "stall"}), None),
        (asking({**good, "stream": True, "model": "begin"}), None),
    ]  # fmt: skip


async def by_model(conn: Conn) -> None:
    """An upstream whose fault the model names."""
    asked = await conn.read_request()
    if asked is None:
        return
    model = asked.json()["model"]
    if model == "fail":
        await conn.send(json_reply(envelope(), status=529))
    elif model in ("cut", "begin"):
        await conn.send(BEGUN)
    if model in ("stall", "begin"):
        await conn.wait_closed()
    if model.startswith("claude"):
        whole = sse_head() + chunk(sse(*STREAM)) + LAST_CHUNK
        body = {"input_tokens": 5} if "count" in asked.target else {**START["message"], "content": []}
        await conn.send(whole if asked.json().get("stream") else json_reply(body))


async def test_every_request_has_one_line_in_the_ledger_and_no_line_tells_a_secret(tmp_path: Path) -> None:
    async with serving(by_model, tmp_path, server="body_limit_mb = 1") as (server, upstream):

        async def ask(raw: bytes, status: int | None) -> Reply | None:
            async with await Wire.connect(server.url) as wire:
                await wire.send(raw)
                if status is not None:
                    reply = await wire.reply()
                    assert reply.status == status, (raw[-300:], reply)
                    return reply
                await wait_until(lambda: any(raw.endswith(seen.body) for seen in upstream.requests))
                return None

        kinds = mixed()
        replies: list[Reply | None] = []
        for _ in range(12):  # 300 in all, 25 at a time
            upstream.requests.clear()
            replies += await asyncio.gather(*(ask(raw, status) for raw, status in kinds))
        for raw in (asking({**OFFLINE, "stream": True}) * 5, request("GET", "/v1/models"), b"GARBAGE\r\n\r\n"):
            async with await Wire.connect(server.url) as wire:
                await wire.send(raw)
                for _ in range(5 if raw.startswith(b"POST") else 1):
                    await wire.reply()
        await wait_until(lambda: len(ledger_rows(server.log())) >= 305)
    rows = ledger_rows(server.log())
    assert len(rows) == 305
    assert len({row["request_id"] for row in rows}) == 305
    told = {reply.header("request-id"): reply.status for reply in replies if reply is not None}
    # A reply that was passed on carries the upstream's id, which stands beside ours.
    names = ("request_id", "upstream_request_id")
    assert told.items() <= {(row[name], int(row["status"])) for row in rows for name in names if name in row}
    hung_up = sum(status is None for _, status in kinds)
    refused = sum(status is not None and status >= 400 for _, status in kinds)
    answered = len(kinds) - hung_up - refused - 1
    assert Counter(row["outcome"] for row in rows) == {
        "answered": 12 * answered + 5,
        "refused": 12 * refused,
        "abandoned": 12 * hung_up,
        "cut": 12,
    }
    for place in tmp_path.rglob("*"):  # noqa: ASYNC240
        if place.is_dir():
            continue
        kept = place.read_bytes()
        for secret in [*CANARIES.values(), KEY, *([] if place.suffix == ".toml" else ["sk-canary-key-of-upstream"])]:
            assert secret.encode() not in kept, (secret, place.name)


# -- the official client --------------------------------------------------------------------------------------------


async def test_the_official_client_is_told_when_a_stream_breaks(tmp_path: Path) -> None:
    """STR-42, STR-51: an exception, not a message that looks finished."""
    async with serving(by_model, tmp_path, provider="idle_timeout_s = 0.3") as (server, _):
        client = AsyncAnthropic(base_url=server.url, api_key=KEY, max_retries=0)
        for model, kind in [("cut", "api_error"), ("begin", "timeout_error")]:
            with pytest.raises(APIStatusError) as caught:
                async with client.messages.stream(**{**HELLO, "model": model}) as stream:
                    assert [text async for text in stream.text_stream] == ["never"]
            assert caught.value.body["error"]["type"] == kind  # type: ignore[index]
        await client.close()


# -- crowds ---------------------------------------------------------------------------------------------------------


def open_files(server: Running) -> int:
    assert server.process is not None
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def memory_mb(server: Running) -> float:
    assert server.process is not None
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


@ON_LINUX
async def test_two_hundred_streams_at_once_and_fifty_hang_ups_leave_no_connection(tmp_path: Path) -> None:
    together = asyncio.Barrier(250)

    async def handler(conn: Conn) -> None:
        if await conn.read_request() is None:
            return
        await conn.send(sse_head(("connection", "close")) + chunk(sse(START, BLOCK, DELTA)))
        await together.wait()  # so all of them run at once
        for _ in range(20):
            await conn.send(chunk(sse(DELTA)))
            await asyncio.sleep(0)
        await conn.send(chunk(sse(*END)) + LAST_CHUNK)

    async def listen(wire: Wire) -> int:
        await wire.send(asking(ASKING))
        reply = await wire.reply()
        wire.close()
        return len(events(reply.body))

    async def leave(wire: Wire, number: int) -> None:
        await wire.send(asking(ASKING))
        await wire.until(sse(DELTA))
        await asyncio.sleep(number / 1000)
        wire.reset() if number % 2 else wire.close()

    async with serving(handler, tmp_path) as (server, _):
        await exchange(server.url, asking(OFFLINE))
        before = open_files(server)
        wires = [await Wire.connect(server.url) for _ in range(250)]
        work = [leave(wire, number) if number % 5 == 4 else listen(wire) for number, wire in enumerate(wires)]
        found = await asyncio.gather(*work)
        assert Counter(found) == {26: 200, None: 50}
        await wait_until(lambda: len(ledger_rows(server.log())) == 251)
        await wait_until(lambda: open_files(server) <= before)
        outcomes = Counter(row["outcome"] for row in ledger_rows(server.log()))
        assert outcomes["answered"] >= 201
        assert outcomes["answered"] + outcomes["abandoned"] == 251


@ON_LINUX
async def test_memory_stays_bounded_by_what_is_read_not_by_what_is_sent(tmp_path: Path) -> None:
    """A caller who does not read, and callers who send 200 MB where 32 are the limit."""

    async def flood(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(BEGUN)
        for _ in range(200):
            await conn.send(chunk(sse({**DELTA, "delta": {"type": "text_delta", "text": "x" * 1_000_000}})))
        await conn.wait_closed()

    async with serving(flood, tmp_path) as (server, upstream):
        await exchange(server.url, asking(OFFLINE))
        before = memory_mb(server)
        async with await Wire.connect(server.url, receive_bytes=4096) as wire:
            await wire.send(asking(ASKING))
            conn = await upstream.conn()
            sent = -1
            while sent != conn.sent_bytes:
                sent = conn.sent_bytes
                await asyncio.sleep(0.3)
            assert sent < 60_000_000
            assert memory_mb(server) - before < 40
        async with await Wire.connect(server.url) as wire:
            await wire.send(asking(b"", ("transfer-encoding", "chunked")).replace(b"content-length: 0\r\n", b""))
            piece = b"x" * 1_000_000
            most = 0.0
            for _ in range(200):
                await wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                most = max(most, memory_mb(server) - before)
            await wire.send(LAST_CHUNK)
            error(await wire.reply(), 413)
            assert most < 100


@ON_LINUX
async def test_connections_that_never_say_anything_are_no_reason_to_fail(tmp_path: Path) -> None:
    async with serving(well_behaved, tmp_path) as (server, _):
        before = open_files(server)
        mute = [await Wire.connect(server.url) for _ in range(300)]
        for number, wire in enumerate(mute):
            await wire.send(b"POST /v1/messages HTTP/1.1\r\nx-api-key: "[: number % 40])
        assert (await exchange(server.url, asking(HELLO))).status == 200
        for wire in mute:
            wire.close()
        await wait_until(lambda: open_files(server) <= before + 1)  # one upstream connection is kept
