"""The rules of reading the ledger, over each kind of database: pages, sums, retention, contents."""

import msgspec
import pytest

from dragoman.store.ledger import LedgerRow
from dragoman.store.sql import SQLStore
from dragoman.store.usage import (
    DAY_S,
    DIMENSIONS,
    HOUR_S,
    MINUTE_S,
    Contents,
    RequestFilter,
    RequestPosition,
    UsageSum,
    context_window,
)

START = 1_793_491_200  # 2026-11-01, UTC
US = 1_000_000
PLAIN = LedgerRow(
    id="req_0",
    at_us=START * US,
    workspace_id="wrkspc_a",
    key_id="apikey_a",
    operation="messages",
    model="claude-opus-4-8",
    provider="anthropic",
    answered_model="claude-opus-4-8",
    attempts=1,
    status=200,
    input_tokens=100,
    cache_write_5m_tokens=20,
    cache_write_1h_tokens=3,
    cache_read_tokens=4000,
    output_tokens=50,
    web_searches=1,
    service_tier="standard",
    cost_nano=1_234_567,
    total_us=2_500_000,
)


def row(number: int, *, after_s: float = 0.0, **changes: object) -> LedgerRow:
    at_us = int((START + after_s) * US)
    return msgspec.structs.replace(PLAIN, id=f"req_{number:03}", at_us=at_us, **changes)


async def ids_of_pages(store: SQLStore, limit: int, **wanted: object) -> list[str]:
    """Of all pages; no page is longer than it may be, and no row comes twice."""
    ids: list[str] = []
    after = None
    while True:
        page = await store.usage.page(RequestFilter(**wanted), limit=limit, after=after)  # type: ignore[arg-type]
        assert len(page.rows) <= limit
        ids += [each.id for each in page.rows]
        if page.after is None:
            assert len(ids) == len(set(ids))
            return ids
        after = page.after


async def sums(store: SQLStore, **asked: object) -> list[tuple[int | None, tuple[str, ...], int]]:
    """Start (from START on), group and requests."""
    given = {"width_s": HOUR_S, "start": START, "end": START + DAY_S, **asked}
    found = await store.usage.sums(**given)  # type: ignore[arg-type]
    return [(None if each.start is None else each.start - START, each.group, each.requests) for each in found]


# -- pages --


async def test_an_empty_log_is_one_empty_page(sql_store: SQLStore) -> None:
    assert await ids_of_pages(sql_store, 10) == []
    assert await ids_of_pages(sql_store, 10, model="claude-opus-4-8") == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_pages_go_from_the_newest_to_the_oldest(sql_store: SQLStore, limit: int) -> None:
    """Several rows of one microsecond lose none of them between two pages."""
    rows = [row(number, after_s=number // 3) for number in range(10)]
    await sql_store.ledger.add(rows)
    assert await ids_of_pages(sql_store, limit) == [f"req_{number:03}" for number in reversed(range(10))]


async def test_a_row_comes_back_as_it_went_in(sql_store: SQLStore) -> None:
    whole = row(
        7, organization_id="o", error="overloaded_error", outcome="cut", stop_reason="end_turn", is_stream=True,
        is_estimated=True, inference_geo="us", speed="fast", cost_nano=None, price_source="file",
        price_date="2026-11-01", queue_us=1, first_us=2, overhead_us=3, upstream_request_id="req_u", lost="top_k",
        tags='{"team":"a"}',
    )  # fmt: skip
    await sql_store.ledger.add([whole])
    page = await sql_store.usage.page(RequestFilter(), limit=5)
    assert list(page.rows) == [whole]
    assert await sql_store.usage.find("req_007") == whole
    assert page.rows[0].is_stream is True


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"workspace_id": "wrkspc_b"}, [1, 5]),
        ({"key_id": "apikey_b"}, [2, 5]),
        ({"key_id": "apikey_b", "workspace_id": "wrkspc_a"}, [2]),
        ({"model": "gpt-5.5"}, [3]),
        ({"provider": "bedrock"}, [4]),
        ({"outcome": "refused"}, [5, 6]),
        ({"upstream_request_id": "req_up"}, [7]),
        ({"status": 429}, [5]),
        ({"status": 4}, [5, 6]),
        ({"status": 2}, [0, 1, 2, 3, 4, 7]),
        ({"since_us": (START + 4) * US}, [4, 5, 6, 7]),
        ({"until_us": (START + 4) * US}, [0, 1, 2, 3]),
        ({"since_us": (START + 2) * US, "until_us": (START + 6) * US, "workspace_id": "wrkspc_a"}, [2, 3, 4]),
        ({"status": 4, "workspace_id": "wrkspc_b"}, [5]),
        ({"model": "x'; DROP TABLE ledger; --"}, []),
        ({"key_id": "a\0b\ud800"}, []),
    ],
    ids=str,
)
@pytest.mark.parametrize("limit", [1, 10])
async def test_pages_are_filtered(sql_store: SQLStore, wanted: dict[str, object], found: list[int], limit: int) -> None:
    await sql_store.ledger.add(
        [
            row(0),
            row(1, after_s=1, workspace_id="wrkspc_b"),
            row(2, after_s=2, key_id="apikey_b"),
            row(3, after_s=3, model="gpt-5.5"),
            row(4, after_s=4, provider="bedrock"),
            row(5, after_s=5, workspace_id="wrkspc_b", key_id="apikey_b", status=429, outcome="refused"),
            row(6, after_s=6, status=400, outcome="refused"),
            row(7, after_s=7, upstream_request_id="req_up"),
        ]
    )
    assert await ids_of_pages(sql_store, limit, **wanted) == [f"req_{number:03}" for number in reversed(found)]


async def test_a_filter_without_an_index_looks_at_a_bounded_number_of_rows(
    sql_store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may be short, even empty, and go on: nobody waits for a scan of millions of rows."""
    monkeypatch.setattr("dragoman.store.sql_usage.SLICE", 4)
    monkeypatch.setattr("dragoman.store.sql_usage.LOOK_S", -1.0)
    await sql_store.ledger.add(
        [row(number, after_s=number, status=500 if number == 3 else 200) for number in range(12)]
    )
    first = await sql_store.usage.page(RequestFilter(status=500), limit=10)
    assert first.rows == []
    assert first.after == RequestPosition((START + 8) * US, "req_008")
    second = await sql_store.usage.page(RequestFilter(status=500), limit=10, after=first.after)
    third = await sql_store.usage.page(RequestFilter(status=500), limit=10, after=second.after)
    assert (second.rows, [each.id for each in third.rows]) == ([], ["req_003"])
    assert await ids_of_pages(sql_store, 1, status=500) == ["req_003"]


async def test_slices_are_gone_through_until_a_page_is_full(
    sql_store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dragoman.store.sql_usage.SLICE", 3)
    await sql_store.ledger.add([row(number, after_s=number, status=200 + number % 2) for number in range(20)])
    page = await sql_store.usage.page(RequestFilter(status=201), limit=7)
    assert [each.id for each in page.rows] == [f"req_{number:03}" for number in range(19, 5, -2)]
    assert page.after == RequestPosition((START + 7) * US, "req_007")


async def test_a_page_goes_on_where_a_row_was_erased(sql_store: SQLStore) -> None:
    await sql_store.ledger.add([row(number, after_s=number) for number in range(4)])
    page = await sql_store.usage.page(RequestFilter(), limit=2)
    assert page.after is not None
    await sql_store.usage.erase(before_us=page.after.at_us, limit=1)
    rest = await sql_store.usage.page(RequestFilter(), limit=2, after=page.after)
    assert [each.id for each in rest.rows] == ["req_001"]


async def test_a_row_of_another_workspace_is_not_found(sql_store: SQLStore) -> None:
    await sql_store.ledger.add([row(1)])
    assert await sql_store.usage.find("req_001", workspace_id="wrkspc_a") is not None
    assert await sql_store.usage.find("req_001", workspace_id="wrkspc_b") is None
    assert await sql_store.usage.find("req_002") is None
    assert await sql_store.usage.find("req\0\ud800") is None


# -- sums --

VARIED = [
    row(0, status=429, outcome="refused", cost_nano=0),
    row(1, after_s=61, workspace_id="wrkspc_b", service_tier=None, cost_nano=None),
    row(2, after_s=62, key_id="apikey_b", input_tokens=200_001),
    row(3, after_s=3599.999999, model="gpt-5.5", provider="openai", answered_model="gpt-5.5-2026", speed="fast"),
    row(4, after_s=3600, operation="batch", inference_geo="us"),
    row(5, after_s=3600, outcome="cut", cost_nano=2**60),
    row(6, after_s=7200, outcome="interrupted", status=0),
]


@pytest.mark.parametrize("by", [(), *((name,) for name in DIMENSIONS), ("model", "key_id"), DIMENSIONS], ids=str)
async def test_sums_out_of_rows_and_kept_sums_are_the_same(sql_store: SQLStore, by: tuple[str, ...]) -> None:
    """Dimensions that a row does not have are empty in both."""
    await sql_store.ledger.add(VARIED)
    asked = {"start": START, "end": START + DAY_S, "by": by, "in_buckets": False}
    minutes, hours, days = [
        list(await sql_store.usage.sums(width_s=width, **asked))  # type: ignore[arg-type]
        for width in (MINUTE_S, HOUR_S, DAY_S)
    ]
    assert sorted(minutes, key=str) == sorted(hours, key=str) == sorted(days, key=str)
    assert sum(each.requests for each in days) == len(VARIED)
    assert sum(each.cost_nano for each in days) == sum(each.cost_nano or 0 for each in VARIED)
    assert sum(each.errors for each in days) == 3
    assert sum(each.unpriced for each in days) == 1
    for name in ("input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens"):
        assert sum(getattr(each, name) for each in days) == sum(getattr(each, name) for each in VARIED)


async def test_sums_of_one_group_hold_every_column(sql_store: SQLStore) -> None:
    await sql_store.ledger.add([row(1), row(2, status=500)])
    (found,) = await sql_store.usage.sums(width_s=DAY_S, start=START, end=START + DAY_S, by=["service_tier", "speed"])
    assert found == UsageSum(
        start=START, group=("standard", ""), requests=2, errors=1, input_tokens=200, cache_write_5m_tokens=40,
        cache_write_1h_tokens=6, cache_read_tokens=8000, output_tokens=100, web_searches=2, cost_nano=2_469_134,
        unpriced=0, total_us=5_000_000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("width_s", "starts"),
    [
        (MINUTE_S, [(0, 1), (60, 2), (3540, 1), (3600, 2), (7200, 1)]),
        (HOUR_S, [(0, 4), (3600, 2), (7200, 1)]),
        (DAY_S, [(0, 7)]),
    ],
    ids=["minute", "hour", "day"],
)
async def test_buckets_begin_at_multiples_of_their_width(
    sql_store: SQLStore, width_s: int, starts: list[tuple[int, int]]
) -> None:
    """ADM-10: the oldest first, the end exclusive."""
    await sql_store.ledger.add(VARIED)
    assert [(start, n) for start, _, n in await sums(sql_store, width_s=width_s)] == starts


async def test_a_span_ends_before_its_end(sql_store: SQLStore) -> None:
    await sql_store.ledger.add(VARIED)
    for width_s in (MINUTE_S, HOUR_S):
        found = await sums(sql_store, width_s=width_s, start=START + 3600, end=START + 7200)
        assert found == [(3600, (), 2)]
    assert await sums(sql_store, start=START + DAY_S, end=START + 2 * DAY_S) == []
    assert await sums(sql_store, in_buckets=False, start=START + DAY_S, end=START + 2 * DAY_S) == []


@pytest.mark.parametrize("width_s", [MINUTE_S, HOUR_S, DAY_S], ids=["minute", "hour", "day"])
async def test_sums_are_filtered(sql_store: SQLStore, width_s: int) -> None:
    await sql_store.ledger.add(VARIED)

    async def count(**where: list[str]) -> int:
        return sum(n for *_, n in await sums(sql_store, width_s=width_s, where=where))

    assert await count(workspace_id=["wrkspc_b"]) == 1
    assert await count(key_id=["apikey_a", "apikey_b"]) == 7
    assert await count(model=["gpt-5.5"], provider=["openai"]) == 1
    assert await count(model=["gpt-5.5"], provider=["anthropic"]) == 0
    assert await count(service_tier=[""]) == 1
    assert await count(inference_geo=["us", ""]) == 7
    assert await count(speed=["fast"]) == 1
    assert await count(context_window=["200k-1M"]) == 1
    assert await count(operation=[]) == 0
    assert await count(model=["x' OR 1=1 --", "\0\ud800"]) == 0


async def test_minutes_of_more_than_a_day_are_not_asked_for(sql_store: SQLStore) -> None:
    with pytest.raises(ValueError, match="1440 minutes at most"):
        await sums(sql_store, width_s=MINUTE_S, end=START + DAY_S + 1)
    with pytest.raises(ValueError, match="sums are split by"):
        await sums(sql_store, by=["tags"])


@pytest.mark.parametrize(
    ("tokens", "window"),
    [
        ({"input_tokens": 200_000, "cache_read_tokens": 0}, "0-200k"),
        ({"input_tokens": 200_001, "cache_read_tokens": 0}, "200k-1M"),
        ({"input_tokens": 1, "cache_read_tokens": 200_000}, "200k-1M"),
        ({"input_tokens": 1, "cache_read_tokens": 0, "output_tokens": 900_000}, "0-200k"),
    ],
    ids=str,
)
def test_the_context_window_counts_what_was_read_of_caches(tokens: dict[str, int], window: str) -> None:
    """ADM-9."""
    assert context_window(row(1, cache_write_5m_tokens=0, cache_write_1h_tokens=0, **tokens)) == window


# -- retention and contents --


async def test_the_oldest_rows_are_erased_and_their_sums_stay(sql_store: SQLStore) -> None:
    """The issue: retention. What was used and what it cost is known after that."""
    await sql_store.ledger.add([row(number, after_s=number) for number in range(6)])
    before = (START + 4) * US
    assert await sql_store.usage.erase(before_us=before, limit=3) == 3
    assert await ids_of_pages(sql_store, 10) == ["req_005", "req_004", "req_003"]
    assert await sql_store.usage.erase(before_us=before, limit=3) == 1
    assert await sql_store.usage.erase(before_us=before, limit=3) == 0
    assert await sums(sql_store, in_buckets=False) == [(None, (), 6)]


async def test_contents_are_kept_found_and_erased(sql_store: SQLStore) -> None:
    kept = [
        Contents(id=f"req_{n}", at_us=n, workspace_id="wrkspc_a", request=b"asked \0\xff", reply=b"") for n in range(3)
    ]
    await sql_store.usage.add_contents(kept[:2])
    changed = [msgspec.structs.replace(each, reply=b"other") for each in kept]
    await sql_store.usage.add_contents([*changed, changed[2]])
    await sql_store.usage.add_contents([])
    assert await sql_store.usage.contents("req_1") == kept[1]
    assert await sql_store.usage.contents("req_2", workspace_id="wrkspc_a") == changed[2]
    assert await sql_store.usage.contents("req_2", workspace_id="wrkspc_b") is None
    assert await sql_store.usage.contents("\0\ud800") is None
    assert await sql_store.usage.erase_contents(before_us=2, limit=10) == 2
    assert await sql_store.usage.contents("req_1") is None
    assert await sql_store.usage.contents("req_2") is not None
