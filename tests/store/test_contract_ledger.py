"""The ledger's writing side: the same rules over SQLite and PostgreSQL."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import astuple, fields
from sqlalchemy import select

from dragoman.errors import StoreError
from dragoman.store.ledger import LedgerRow
from dragoman.store.sql import SQLStore
from dragoman.store.tables import LEDGER, USAGE_SUMS

NOON_US = 1_795_262_400_000_000  # 2026-11-21T12:00:00Z
HOUR_US = 3600 * 1_000_000


def row(number: int, **changes: Any) -> LedgerRow:
    return LedgerRow(
        **{
            "id": f"req_{number:06}",
            "at_us": NOON_US + number,
            "organization_id": "org",
            "workspace_id": "wrkspc_1",
            "key_id": "apikey_1",
            "operation": "/v1/messages",
            "model": "sonnet",
            "provider": "anthropic",
            "answered_model": "claude-sonnet-5",
            "status": 200,
            "input_tokens": number,
            "cache_write_5m_tokens": 2,
            "cache_write_1h_tokens": 3,
            "cache_read_tokens": 4,
            "output_tokens": 5,
            "web_searches": 1,
            "cost_nano": 1000 + number,
            "total_us": 7,
            **changes,
        }
    )


async def all_of(store: SQLStore, table: Any) -> list[dict[str, Any]]:
    found = await store._run(lambda connection: connection.execute(select(table)).mappings().all())
    return [dict(each) for each in found]


@pytest.fixture
async def stores(shared_url: str) -> AsyncIterator[list[SQLStore]]:
    opened = [SQLStore(shared_url) for _ in range(4)]
    await asyncio.gather(*(each.open() for each in opened))
    yield opened
    await asyncio.gather(*(each.close() for each in opened))


def test_a_row_has_the_columns_of_its_table() -> None:
    """In their order: rows are inserted as tuples."""
    assert [field.name for field in fields(LedgerRow)] == [*LEDGER.c.keys(), "spent"]


async def test_a_row_comes_back_as_it_was_added(sql_store: SQLStore) -> None:
    whole = row(
        1, attempts=2, outcome="cut", error="api_error", stop_reason="end_turn", is_stream=True, is_estimated=True,
        service_tier="standard", inference_geo="us", speed="fast", price_source="list 1", price_date="2026-11-01",
        queue_us=1, first_us=2, overhead_us=3, upstream_request_id="req_theirs", lost="top_k,thinking",
        tags='{"team":"Ä\u2028"}',
    )  # fmt: skip
    least = LedgerRow(id="req_2", at_us=1, operation="/v1/messages")
    assert await sql_store.ledger.add([whole, least]) == 2
    found = {each["id"]: tuple(each.values()) for each in await all_of(sql_store, LEDGER)}
    assert found == {each.id: astuple(each)[:-1] for each in (whole, least)}


async def test_rows_are_added_up_by_hour_and_by_day(sql_store: SQLStore) -> None:
    rows = [row(number) for number in range(100)]
    rows += [row(100 + number, at_us=NOON_US + HOUR_US) for number in range(10)]
    rows += [row(110, status=529), row(111, outcome="cut"), row(112, outcome="interrupted", status=0)]
    rows += [row(113, cost_nano=None, input_tokens=0)]
    assert await sql_store.ledger.add(rows[:60]) == 60
    assert await sql_store.ledger.add(rows[60:]) == len(rows) - 60
    sums = {(each["width_s"], each["start"]): each for each in await all_of(sql_store, USAGE_SUMS)}
    noon = NOON_US // 1_000_000
    midnight = noon - 12 * 3600
    assert set(sums) == {(3600, noon), (3600, noon + 3600), (86_400, midnight), (-86_400, midnight)}
    day = sums[86_400, midnight]
    assert {**sums[-86_400, midnight], "width_s": 86_400, "key_id": day["key_id"]} == day, "all keys together"
    assert day["requests"] == len(rows)
    assert day["errors"] == 3
    assert day["unpriced"] == 1
    assert day["cost_nano"] == sum(each.cost_nano or 0 for each in rows)
    for name in ("input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens",
                 "output_tokens", "web_searches", "total_us"):  # fmt: skip
        assert day[name] == sum(getattr(each, name) for each in rows)
        assert sums[3600, noon][name] + sums[3600, noon + 3600][name] == day[name]
    assert sums[3600, noon + 3600]["requests"] == 10
    totals = await sql_store.ledger.totals()
    assert totals["requests"] == len(rows)
    assert totals["input_tokens"] == day["input_tokens"]
    assert totals["cost_nano"] == day["cost_nano"]
    assert totals["unpriced"] == 1


async def test_totals_of_an_empty_ledger(sql_store: SQLStore) -> None:
    assert set((await sql_store.ledger.totals()).values()) == {0}
    assert await sql_store.ledger.add([]) == 0


async def test_what_differs_has_sums_of_its_own(sql_store: SQLStore) -> None:
    names = ("workspace_id", "key_id", "operation", "model", "provider", "answered_model", "service_tier", "speed")
    rows = [row(0), *(row(1 + at, **{name: "other"}) for at, name in enumerate(names))]
    await sql_store.ledger.add(rows)
    hours = [each for each in await all_of(sql_store, USAGE_SUMS) if each["width_s"] == 3600]
    assert len(hours) == len(rows)
    assert all(each["requests"] == 1 for each in hours)


async def test_a_replayed_row_counts_once(sql_store: SQLStore) -> None:
    """Pain 35: a batch that is added again, in part or whole, changes nothing."""
    first = [row(number) for number in range(100)]
    assert await sql_store.ledger.add(first) == 100
    once = await sql_store.ledger.totals(), await all_of(sql_store, USAGE_SUMS)
    assert await sql_store.ledger.add(first) == 0
    assert (await sql_store.ledger.totals(), await all_of(sql_store, USAGE_SUMS)) == once
    assert await sql_store.ledger.add([*first[50:], row(100), row(101)]) == 2
    totals = await sql_store.ledger.totals()
    assert totals["requests"] == 102
    assert totals["input_tokens"] == sum(range(102))
    day = [each for each in await all_of(sql_store, USAGE_SUMS) if each["width_s"] == 86_400]
    assert [each["requests"] for each in day] == [102]


async def test_of_two_rows_with_one_id_the_first_counts(sql_store: SQLStore) -> None:
    assert await sql_store.ledger.add([row(1, input_tokens=10), row(2), row(1, input_tokens=99)]) == 2
    assert (await sql_store.ledger.totals())["input_tokens"] == 12


async def test_a_row_that_the_database_does_not_take_adds_nothing_of_its_batch(sql_store: SQLStore) -> None:
    broken: Any = row(2, operation=None)
    with pytest.raises(StoreError):
        await sql_store.ledger.add([row(1), broken])
    assert set((await sql_store.ledger.totals()).values()) == {0}
    assert await all_of(sql_store, USAGE_SUMS) == []


async def test_many_processes_add_at_once(stores: list[SQLStore]) -> None:
    """Four processes, with rows of their own and rows that another adds as well: all end, each row counts once."""
    shared = [row(number) for number in range(300)]
    own = [[row(1000 * at + number) for number in range(300)] for at in range(1, 5)]

    async def add(store: SQLStore, mine: list[LedgerRow]) -> int:
        both = [*mine, *shared]
        return sum([await store.ledger.add(both[at : at + 100]) for at in range(0, len(both), 100)])

    new = await asyncio.gather(*map(add, stores, own))
    assert sum(new) == 300 * 5
    totals = await stores[0].ledger.totals()
    assert totals["requests"] == 300 * 5
    sums = await all_of(stores[0], USAGE_SUMS)
    for width_s in (3600, 86_400):
        assert sum(each["requests"] for each in sums if each["width_s"] == width_s) == totals["requests"]
        assert sum(each["cost_nano"] for each in sums if each["width_s"] == width_s) == totals["cost_nano"]


async def test_a_database_in_memory_keeps_the_newest_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pain 37: it would grow for ever."""
    monkeypatch.setattr("dragoman.store.sql.ROWS_IN_MEMORY", 100)
    store = SQLStore("sqlite://")
    await store.open()
    for at in range(0, 1000, 50):
        await store.ledger.add([row(number) for number in range(at, at + 50)])
    rows, sums = await all_of(store, LEDGER), await all_of(store, USAGE_SUMS)
    await store.close()
    assert 100 <= len(rows) <= 150
    assert sorted(each["id"] for each in rows)[0] == f"req_{1000 - len(rows):06}"
    assert {each["requests"] for each in sums} == {1000}


async def test_trouble_whose_caller_has_gone_is_no_fault(tmp_path: Path) -> None:
    """A request may be cancelled while it waits for a database that then turns out to be away."""
    store = SQLStore(f"sqlite:///{tmp_path}/dragoman.db")
    await store.open()
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    may_fail = threading.Event()

    def fail(_: Any) -> None:
        may_fail.wait()
        raise StoreError("away")

    waiting = asyncio.create_task(store._run(fail))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    may_fail.set()
    await store.close()
    del waiting
    gc.collect()
    assert told == []
