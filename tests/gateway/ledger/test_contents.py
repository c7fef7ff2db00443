"""Contents where they are asked for, and what becomes of old rows: behind the requests, in the gateway as it runs."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dragoman.errors import StoreError
from dragoman.gateway.call import Call
from dragoman.gateway.config.config import Config, load
from dragoman.gateway.config.ledger import LedgerConfig
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.ledger import contents
from dragoman.gateway.ledger.contents import Contents
from dragoman.gateway.ledger.contents_text import HIDDEN
from dragoman.gateway.ledger.retention import Retention
from dragoman.gateway.open import open_gateway
from dragoman.gateway.pipeline import answer
from dragoman.providers.base import Operation
from dragoman.store.ledger import LedgerRow
from dragoman.store.sql import SQLStore
from dragoman.store.usage import DAY_S, RequestFilter
from dragoman.store.usage import Contents as Kept
from dragoman.wire.headers import Headers

SECRET = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789"
KEY = "sk-dgm-0123456789012345678901234567890123456789012"


def config_of(text: str) -> Config:
    return load(None, {}, text=f'[server]\ndatabase = "sqlite://"\n{text}')


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with open_gateway(
        config_of("[ledger]\ncontents = true"), {"DRAGOMAN_SECRET": "a secret of tests"}
    ) as gateway:
        gateway.auth.admit(KEY, "test")
        yield gateway


def call(request_id: str, *, key: str = KEY, **body: Any) -> Call:
    asked = {
        "model": "claude-opus-4-8",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": f"Say again: {SECRET}"}],
        **body,
    }
    headers = Headers([("x-api-key", key), ("anthropic-version", "2023-06-01"), ("content-type", "application/json")])
    return Call(
        operation=Operation.MESSAGES,
        headers=headers,
        body=json.dumps(asked).encode(),
        request_id=request_id,
        arrived=0.0,
    )


async def asked(gateway: Gateway, call: Call) -> bytes:
    """The reply as it went out, whole or as a stream."""
    reply = await answer(gateway, call)
    sent = [reply.body]
    while (piece := await reply.next_piece()) is not None:
        sent.append(piece)
    await reply.aclose()
    return b"".join(sent)


async def written(gateway: Gateway, request_id: str) -> Kept:
    assert gateway.contents is not None
    await gateway.contents.aclose()
    kept = await gateway.store.usage.contents(request_id)
    assert kept is not None
    return kept


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_contents_are_kept_without_their_secrets(gateway: Gateway, stream: bool) -> None:
    """The issue: contents only where asked, redacted. The caller's own bytes are not touched."""
    sent = await asked(gateway, call("req_1", stream=stream))
    kept = await written(gateway, "req_1")
    assert json.loads(kept.request)["messages"][0]["content"] == f"Say again: {HIDDEN}"
    assert SECRET.encode() not in kept.request + kept.reply
    assert kept.workspace_id == gateway.auth.workspace_id
    shape = sent.partition(b'"content"')[0][:40] if not stream else b"event: message_start"
    assert shape[:20] in kept.reply
    assert (b"event: message_stop" in kept.reply) is stream


async def test_a_refusal_is_kept_with_what_was_refused(gateway: Gateway) -> None:
    await asked(gateway, call("req_2", max_tokens=-1))
    kept = await written(gateway, "req_2")
    assert json.loads(kept.request)["max_tokens"] == -1
    assert json.loads(kept.reply)["error"]["type"] == "invalid_request_error"


async def test_nothing_is_kept_of_callers_without_a_key(gateway: Gateway) -> None:
    await asked(gateway, call("req_3", key="sk-dgm-wrong"))
    assert gateway.contents is not None
    await gateway.contents.aclose()
    assert await gateway.store.usage.contents("req_3") is None


async def test_nothing_is_kept_unless_it_was_asked_for() -> None:
    async with open_gateway(config_of(""), {"DRAGOMAN_SECRET": "a secret of tests"}) as gateway:
        gateway.auth.admit(KEY, "test")
        await asked(gateway, call("req_4"))
        assert gateway.contents is None
        assert await gateway.store.usage.contents("req_4") is None


class Slow:
    """A store that takes contents when it is let."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.trouble: Exception | None = None
        self.kept: list[str] = []

    async def add_contents(self, contents: list[Kept]) -> None:
        await self.may.wait()
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble
        self.kept += [each.id for each in contents]


async def test_what_is_more_than_may_wait_is_left_out_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A slow database takes no memory without bounds, and holds up no request."""
    monkeypatch.setattr(contents, "WAITING_BYTES", 250)
    store = Slow()
    keeper = Contents(store)  # type: ignore[arg-type]
    keeper.start()
    for number in range(4):
        recording = keeper.begin(f"req_{number}", "w", b"x" * 100)
        recording.end(b"")
        recording.end(b"")  # as when a reply is closed twice
    store.may.set()
    await keeper.aclose()
    assert store.kept == ["req_0", "req_1"]
    assert "contents of 2 requests were not kept: more came than could be written" in caplog.text
    assert keeper._waiting_bytes == 0


async def test_trouble_with_the_database_costs_contents_only(caplog: pytest.LogCaptureFixture) -> None:
    store = Slow()
    store.may.set()
    store.trouble = StoreError("the database x: away")
    keeper = Contents(store)  # type: ignore[arg-type]
    keeper.start()
    keeper.begin("req_0", "w", b"{}").end(b"{}")
    for _ in range(1000):
        if store.trouble is None:
            break
        await asyncio.sleep(0.001)
    keeper.begin("req_1", "w", b"{}").end(b"{}")
    await keeper.aclose()
    assert store.kept == ["req_1"]
    assert "contents of 1 requests were not kept: the database x: away" in caplog.text


async def test_a_stream_is_recorded_up_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not more of it is held in memory than is kept, and the margin for a secret across the limit."""
    monkeypatch.setattr(contents, "LIMIT_BYTES", 100)
    monkeypatch.setattr(contents, "MARGIN_BYTES", 50)
    recording = Contents(Slow()).begin("req_0", "w", b"")  # type: ignore[arg-type]
    write = recording.over(lambda piece: piece != b"refused")
    for _ in range(10):
        assert write(b'data: {"a":1}\n\n' * 2) is True
    assert write(b"refused") is False
    assert recording.size_bytes == 150
    assert recording.read(b"").reply.endswith(b"[cut here: 300 bytes in all]")


# -- retention --

NOW = 1_793_491_200.0


@pytest_asyncio.fixture
async def store() -> AsyncIterator[SQLStore]:
    store = SQLStore("sqlite://")
    await store.open()
    yield store
    await store.close()


async def fill(store: SQLStore, days: int) -> None:
    """A row and contents for each of so many days, the last of them now."""
    times = [int((NOW - day * DAY_S) * 1_000_000) for day in range(days)]
    await store.ledger.add(
        [LedgerRow(id=f"req_{day}", at_us=at_us, operation="messages") for day, at_us in enumerate(times)]
    )
    await store.usage.add_contents(
        [
            Kept(id=f"req_{day}", at_us=at_us, workspace_id="w", request=b"", reply=b"")
            for day, at_us in enumerate(times)
        ]
    )


async def left(store: SQLStore) -> tuple[list[str], list[str]]:
    rows = (await store.usage.page(RequestFilter(), limit=1000)).rows
    contents = [each for each in range(100) if await store.usage.contents(f"req_{each}") is not None]
    return [row.id for row in rows], [f"req_{each}" for each in contents]


async def test_what_is_old_is_erased_in_small_batches(store: SQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is kept to the last moment of its days; its sums for good."""
    monkeypatch.setattr("dragoman.gateway.ledger.retention.AT_ONCE", 2)
    await fill(store, 12)
    retention = Retention(store.usage, LedgerConfig(keep_days=5, contents_keep_days=3), now=lambda: NOW)
    assert await retention.erase(pause_s=0) == (6, 8)
    assert await left(store) == ([f"req_{day}" for day in range(6)], [f"req_{day}" for day in range(4)])
    assert await retention.erase(pause_s=0) == (0, 0)
    (total,) = await store.usage.sums(width_s=DAY_S, start=0, end=2**40, in_buckets=False)
    assert total.requests == 12


async def test_rows_are_kept_for_good_unless_days_are_said(store: SQLStore) -> None:
    """Contents are not, even where none are kept any more."""
    await fill(store, 12)
    retention = Retention(store.usage, LedgerConfig(contents=False), now=lambda: NOW)
    assert await retention.erase(pause_s=0) == (0, 4)
    assert len((await left(store))[0]) == 12


async def test_it_goes_on_by_itself_and_survives_trouble(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dragoman.gateway.ledger.retention.FIRST_S", 0.0)
    monkeypatch.setattr("dragoman.gateway.ledger.retention.EVERY_S", 0.0)
    await fill(store, 12)
    asked = 0

    class Shaky:
        erase = store.usage.erase

        async def erase_contents(self, *, before_us: int, limit: int) -> int:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise StoreError("away")
            return await store.usage.erase_contents(before_us=before_us, limit=limit)

    retention = Retention(Shaky(), LedgerConfig(), now=lambda: NOW)  # type: ignore[arg-type]
    retention.start()
    for _ in range(1000):
        if len((await left(store))[1]) < 12:
            break
        await asyncio.sleep(0.001)
    await retention.aclose()
    assert "still there, until the next try: away" in caplog.text
    assert await left(store) == ([f"req_{day}" for day in range(12)], [f"req_{day}" for day in range(8)])
