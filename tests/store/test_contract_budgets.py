"""The rules that every BudgetStore keeps, over each kind of database; and what the ledger adds to what is spent."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import count

import msgspec
import pytest

from dragoman.store.budgets import BudgetChanges, BudgetRecord, ScopeKind, Spending
from dragoman.store.ledger import LedgerRow
from dragoman.store.sql import SQLStore

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
MIDNIGHT = 1_795_132_800  # 2026-11-20 00:00 UTC, Unix seconds
HOUR = 3600
DAY = 86_400
numbers = count()


@pytest.fixture
async def stores(shared_url: str) -> AsyncIterator[list[SQLStore]]:
    """Four on one database, as of four processes."""
    opened = [SQLStore(shared_url) for _ in range(4)]
    await asyncio.gather(*(each.open() for each in opened))
    yield opened
    await asyncio.gather(*(each.close() for each in opened))


def record(number: int = 1, **changes: object) -> BudgetRecord:
    first = BudgetRecord(
        id=f"budget_{number}",
        scope="key",
        scope_id="apikey_1",
        period="day",
        limit_nano=20_000_000_000,
        created_at=NOON + timedelta(seconds=number),
    )
    return msgspec.structs.replace(first, **changes)


def row(cost_nano: int | None, at: float = MIDNIGHT + HOUR, **fields: object) -> LedgerRow:
    """A row of a request at `at`, Unix seconds."""
    told: dict[str, object] = {"workspace_id": "wrkspc_1", "key_id": "apikey_1", **fields}
    return LedgerRow(
        id=f"req_{next(numbers)}", at_us=int(at * 1_000_000), operation="messages", cost_nano=cost_nano, **told
    )


async def begun(store: SQLStore, start: int = MIDNIGHT, end: int | None = None) -> int:
    """Of the key of all these rows: a day, where nothing else is said."""
    window = (start, start + DAY if end is None else end)
    return await store.budgets.first_spent("budget_1", window, "key", "apikey_1")


def test_midnight_is_what_it_says() -> None:
    assert datetime.fromtimestamp(MIDNIGHT, UTC) == datetime(2026, 11, 20, tzinfo=UTC)


# -- records --


async def test_a_budget_comes_back_as_it_was_kept(sql_store: SQLStore) -> None:
    whole = record(
        scope="workspace",
        scope_id="wrkspc_'; DROP TABLE budgets; --",
        period="total",
        limit_nano=5_000_000_000_000_000,
        zone="Europe/Berlin",
        is_hard=False,
        alerts=(50, 80, 100),
        webhook="https://hooks.example/☂?a=1",
        unknown_price="refuse",
        ended_at=NOON,
    )
    assert await sql_store.budgets.add(whole)
    assert await sql_store.budgets.find(whole.id) == whole
    assert not await sql_store.budgets.add(record(period="week"))
    assert await sql_store.budgets.find(whole.id) == whole
    assert await sql_store.budgets.find("budget_2") is None


async def test_times_come_back_aware_and_in_utc(sql_store: SQLStore) -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    await sql_store.budgets.add(record(created_at=tokyo))
    (kept,) = await sql_store.budgets.list()
    assert kept.created_at == NOON
    assert kept.created_at.utcoffset() == timedelta(0)


async def test_budgets_are_listed_by_scope_newest_first_and_without_those_that_have_ended(sql_store: SQLStore) -> None:
    budgets = sql_store.budgets
    for each in (
        record(1),
        record(2, scope_id="apikey_2"),
        record(3, scope="workspace", scope_id="apikey_1"),
        record(4),
        record(5, ended_at=NOON),
    ):
        await budgets.add(each)
    ids = [[each.id[-1] for each in listed] for listed in (
        await budgets.list(),
        await budgets.list(with_ended=True),
        await budgets.list("key"),
        await budgets.list("key", "apikey_1"),
        await budgets.list("organization"),
    )]  # fmt: skip
    assert ids == [["4", "3", "2", "1"], ["5", "4", "3", "2", "1"], ["4", "2", "1"], ["4", "1"], []]


async def test_only_what_is_given_changes(sql_store: SQLStore) -> None:
    budgets, first = sql_store.budgets, record(webhook="https://a.example/")
    await budgets.add(first)
    raised = msgspec.structs.replace(first, limit_nano=1, alerts=())
    assert await budgets.update("budget_1", BudgetChanges(limit_nano=1, alerts=())) == raised
    silent = msgspec.structs.replace(raised, webhook=None, is_hard=False, unknown_price="refuse")
    changes = BudgetChanges(webhook=None, is_hard=False, unknown_price="refuse")
    assert await budgets.update("budget_1", changes) == silent
    assert await budgets.update("budget_1", BudgetChanges()) == silent == await budgets.find("budget_1")
    assert await budgets.update("budget_2", BudgetChanges(limit_nano=1)) is None


async def test_a_budget_ends_once_and_for_good(sql_store: SQLStore) -> None:
    budgets = sql_store.budgets
    await budgets.add(record())
    ended = msgspec.structs.replace(record(), ended_at=NOON)
    assert await budgets.end("budget_1", NOON) == ended
    assert await budgets.end("budget_1", NOON + timedelta(days=1)) == ended
    assert await budgets.update("budget_1", BudgetChanges(limit_nano=1)) == ended
    assert await budgets.end("budget_2", NOON) is None


def test_no_webhook_is_shown() -> None:
    """Pain 79: the path of one may be a secret."""
    assert "s3cret" not in repr(record(webhook="https://hooks.example/s3cret"))


# -- what is spent --


async def test_rows_add_to_what_is_spent(sql_store: SQLStore) -> None:
    """Pain 35."""
    budgets = sql_store.budgets
    assert await budgets.spent("budget_1", MIDNIGHT) is None
    assert [await begun(sql_store), await begun(sql_store, 0, 0)] == [0, 0]
    spent = (("budget_1", MIDNIGHT), ("budget_2", MIDNIGHT))
    await sql_store.ledger.add([row(3, spent=spent), row(4, spent=spent[:1]), row(None, spent=spent), row(0)])
    await sql_store.ledger.add([row(10, spent=(*spent, ("budget_1", 0)))])
    assert await budgets.spent("budget_1", MIDNIGHT) == 17
    assert await begun(sql_store) == 17
    assert await budgets.spent("budget_2", MIDNIGHT) is None
    assert await budgets.spending([*spent, ("budget_1", 1)]) == {("budget_1", MIDNIGHT): Spending(17)}
    assert await budgets.spending([]) == {}


async def test_a_row_counts_where_it_says_and_not_by_its_time_as_well(sql_store: SQLStore) -> None:
    """Pain 34: a request that had to wait at the end of a window."""
    await begun(sql_store)
    await begun(sql_store, MIDNIGHT + DAY)
    late = row(1, MIDNIGHT + DAY - 0.5, spent=(("budget_1", MIDNIGHT + DAY),))
    await sql_store.ledger.add([late, row(10, MIDNIGHT + DAY - 0.5)])
    assert [await begun(sql_store), await begun(sql_store, MIDNIGHT + DAY)] == [10, 1]


async def test_rows_of_those_who_knew_of_no_budget_count_by_whose_and_of_when_they_are(sql_store: SQLStore) -> None:
    """Pain 35: they were under way when the budget was made, or in a process that had not heard of it."""
    scopes: list[tuple[ScopeKind, str]] = [
        ("organization", "any"), ("workspace", "wrkspc_1"), ("workspace", "wrkspc_2"), ("key", "apikey_1"),
        ("key", "apikey_2"), ("key", "wrkspc_1"),
    ]  # fmt: skip
    for scope, scope_id in scopes:
        for end in (MIDNIGHT + DAY, 0):
            window = (MIDNIGHT if end else 0, end)
            assert await sql_store.budgets.first_spent(f"{scope} {scope_id}", window, scope, scope_id) == 0
    await sql_store.ledger.add(
        [
            row(1, MIDNIGHT - 0.000_001),
            row(10, MIDNIGHT),
            row(100, MIDNIGHT + DAY - 0.000_001, key_id="apikey_2"),
            row(1000, MIDNIGHT + DAY),
            row(10_000, workspace_id="wrkspc_2", key_id="apikey_3"),
            row(100_000, workspace_id="", key_id=""),
        ]
    )
    windows = [(f"{scope} {scope_id}", start) for scope, scope_id in scopes for start in (MIDNIGHT, 0)]
    found = await sql_store.budgets.spending(windows)
    assert [found[window].spent_nano for window in windows] == [
        110_110, 111_111, 110, 1111, 10_000, 10_000, 10, 1011, 100, 100, 0, 0,
    ]  # fmt: skip


async def test_rows_of_many_windows_at_once(sql_store: SQLStore) -> None:
    """As of a budget that each key has one of."""
    budgets = sql_store.budgets
    windows = [(f"budget_1/apikey_{number}", MIDNIGHT) for number in range(1200)]
    for number in range(0, 1200, 7):
        await budgets.first_spent(windows[number][0], (MIDNIGHT, MIDNIGHT + DAY), "key", f"apikey_{number}")
    named = [row(1, spent=(window,), key_id=f"apikey_{number}") for number, window in enumerate(windows)]
    await sql_store.ledger.add([*named, *(row(10, key_id=f"apikey_{number}") for number in range(1200))])
    found = await budgets.spending(windows)
    assert found == {windows[number]: Spending(11) for number in range(0, 1200, 7)}


async def test_a_budget_made_in_mid_window_has_what_was_spent_since_its_start(sql_store: SQLStore) -> None:
    rows = [
        row(1, MIDNIGHT - DAY),
        row(10, MIDNIGHT - 0.000_001),
        row(100, MIDNIGHT),
        row(1000, MIDNIGHT + 5 * HOUR, key_id="apikey_2"),
        row(10_000, MIDNIGHT + 23 * HOUR + 3599.999_999, workspace_id="wrkspc_2"),
        row(100_000, MIDNIGHT + DAY),
        row(None, MIDNIGHT + DAY),
    ]
    await sql_store.ledger.add(rows)
    two_days, ever = (MIDNIGHT, MIDNIGHT + 2 * DAY), (0, 0)
    wanted: list[tuple[tuple[int, int], ScopeKind, str, int]] = [
        (two_days, "key", "apikey_1", 110_100),
        (two_days, "key", "apikey_2", 1000),
        (two_days, "key", "apikey_3", 0),
        (two_days, "workspace", "wrkspc_1", 101_100),
        (two_days, "organization", "", 111_100),
        ((MIDNIGHT, MIDNIGHT + DAY), "organization", "", 11_100),
        (ever, "organization", "", 111_111),
        (ever, "key", "apikey_1", 110_111),
    ]
    for number, (window, scope, scope_id, spent) in enumerate(wanted):
        assert await sql_store.budgets.first_spent(f"budget_{number}", window, scope, scope_id) == spent, number


@pytest.mark.parametrize("length_s", [1, HOUR, HOUR + 1, DAY, DAY + HOUR, 31 * DAY + HOUR])
@pytest.mark.parametrize("offset_s", [0, 1, 1800, 3600, 5 * HOUR + 1800, 23 * HOUR, DAY - 1])
async def test_the_first_sum_is_exact_wherever_the_window_begins(
    sql_store: SQLStore, offset_s: int, length_s: int
) -> None:
    """Zones are off by half hours too, so a window may begin within an hour of UTC, of which there is but a sum."""
    start = MIDNIGHT + offset_s
    end = start + length_s
    within = [start, start + length_s / 2, end - 0.000_001, *(start + step for step in range(0, length_s, 7 * HOUR))]
    without = [start - 40 * DAY, start - HOUR, start - 0.000_001, end, end + 0.5, end + HOUR, end + DAY]
    await sql_store.ledger.add([row(1, at) for at in within] + [row(1_000_000, at) for at in without])
    assert await begun(sql_store, start, end) == len(within)


async def test_a_row_that_is_replayed_is_not_spent_again(sql_store: SQLStore) -> None:
    """Pain 35."""
    await begun(sql_store)
    spent = (("budget_1", MIDNIGHT),)
    once, twice = row(1, spent=spent), row(10, spent=spent)
    await sql_store.ledger.add([once])
    await sql_store.ledger.add([once, twice])
    await sql_store.ledger.add([twice, once])
    assert await sql_store.budgets.spent("budget_1", MIDNIGHT) == 11


@pytest.mark.parametrize("spent", [(("budget_1", MIDNIGHT),), ()], ids=["named", "not named"])
async def test_of_rows_added_while_a_sum_begins_none_is_lost_nor_counted_twice(
    stores: list[SQLStore], spent: tuple[tuple[str, int], ...]
) -> None:
    """Pain 33, 35: four processes write, and each begins the sum at a time of its own."""

    async def work(store: SQLStore, number: int) -> int:
        for turn in range(12):
            if turn == 2 + number:
                await begun(store)
            await store.ledger.add([row(1, spent=spent), row(1, spent=spent)])
        return await begun(store)

    await asyncio.gather(*(work(store, number) for number, store in enumerate(stores)))
    assert await stores[0].budgets.spent("budget_1", MIDNIGHT) == 4 * 12 * 2


# -- alerts --


async def test_an_alert_is_claimed_once_in_all_processes(stores: list[SQLStore]) -> None:
    await begun(stores[0])

    async def claims(at_nano: int) -> int:
        told = [each.budgets.claim_alert("budget_1", MIDNIGHT, at_nano) for each in stores * 3]
        return sum(await asyncio.gather(*told))

    assert [await claims(at_nano) for at_nano in (50, 50, 80, 50, 100)] == [1, 0, 1, 0, 1]
    refusals = [each.budgets.claim_refusal("budget_1", MIDNIGHT, 100) for each in stores * 3]
    assert sum(await asyncio.gather(*refusals)) == 1
    spending = await stores[1].budgets.spending([("budget_1", MIDNIGHT)])
    assert spending == {("budget_1", MIDNIGHT): Spending(0, 100, 100)}


async def test_there_is_an_alert_for_each_window_and_for_a_limit_that_was_raised(sql_store: SQLStore) -> None:
    budgets = sql_store.budgets
    await begun(sql_store)
    assert not await budgets.claim_alert("budget_1", MIDNIGHT + DAY, 80)  # nobody has spent of it yet
    assert not await budgets.claim_refusal("budget_1", MIDNIGHT + DAY, 100)
    await begun(sql_store, MIDNIGHT + DAY)
    for start in (MIDNIGHT, MIDNIGHT + DAY):
        assert await budgets.claim_refusal("budget_1", start, 0)
        assert await budgets.claim_refusal("budget_1", start, 100)
        assert not await budgets.claim_refusal("budget_1", start, 100)
        assert await budgets.claim_alert("budget_1", start, 80)
        assert await budgets.claim_alert("budget_1", start, 160)
