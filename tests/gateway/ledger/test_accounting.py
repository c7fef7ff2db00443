"""What becomes a row of the ledger, field by field: of requests over sockets, and of entries as they are."""

import asyncio
from typing import Any

import pytest
from canned import DELTA, MESSAGE, START, UPSTREAM_ID, envelope, sse, then, well_behaved
from fake_openai import FakeOpenAI
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import LAST_CHUNK, chunk, json_reply, refused_url, sse_head
from msgspec.structs import fields
from rawhttp import HELLO, exchange, json_bytes, post
from relaying import ASKING, BEGUN, relay
from serving import Serving
from sqlalchemy import select

from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.config.config import load
from dragoman.gateway.ledger.accounting import Entry, Ledger, price_row
from dragoman.gateway.ledger.journal import Journal
from dragoman.gateway.prices.prices import Prices
from dragoman.gateway.routing.routing import Route
from dragoman.store.ledger import LedgerRow
from dragoman.store.tables import LEDGER
from dragoman.wire.types import CacheCreation, Usage

TOML = """
[providers.up]
base_url = "{url}"
api_key = "sk-nothing"
first_byte_timeout_s = 0.15
idle_timeout_s = 0.15

[prices."up/*"]
input = 1.0
cache_write_5m = 1.25
cache_write_1h = 2.0
cache_read = 0.1
output = 5.0
search = 0.01
date = 2026-11-01
"""
Row = dict[str, Any]


async def rows_of(server: Serving) -> list[Row]:
    await server.settled()
    assert server.gateway.journal is not None
    await server.gateway.journal.flush()
    store: Any = server.gateway.store
    found = await store._run(lambda connection: connection.execute(select(LEDGER)).mappings().all())
    return [dict(each) for each in found]


async def row_of(handler: Any, body: Any = HELLO, *, path: str = "/v1/messages", toml: str = TOML) -> Row:
    """Of one request to such an upstream."""
    async with relay(handler) as (_, upstream), Serving(toml=toml.format(url=upstream.url)) as server:
        await exchange(server.url, post(body, path=path))
        (found,) = await rows_of(server)
        return found


async def test_a_whole_reply() -> None:
    row = await row_of(well_behaved)
    assert row["outcome"] == "answered"
    assert (row["status"], row["is_stream"], row["attempts"], row["is_estimated"]) == (200, 0, 1, 0)
    assert (row["model"], row["provider"], row["answered_model"]) == (HELLO["model"], "up", HELLO["model"])
    assert (row["input_tokens"], row["output_tokens"], row["stop_reason"]) == (7, 5, "end_turn")
    assert (row["cost_nano"], row["price_source"], row["price_date"]) == (32_000, "configuration", "2026-11-01")
    assert row["upstream_request_id"] == UPSTREAM_ID
    assert row["key_id"].startswith("apikey_")
    assert row["workspace_id"].startswith("wrkspc_")
    assert 0 < row["overhead_us"] < row["total_us"]
    assert 0 < row["first_us"] <= row["total_us"]
    assert row["queue_us"] is None


async def test_a_stream() -> None:
    row = await row_of(well_behaved, ASKING)
    assert (row["outcome"], row["status"], row["is_stream"], row["is_estimated"]) == ("answered", 200, 1, 0)
    assert (row["input_tokens"], row["output_tokens"], row["stop_reason"]) == (7, 5, "end_turn")
    assert row["cost_nano"] == 32_000
    assert 0 < row["first_us"] <= row["total_us"]


async def test_the_buckets_of_a_usage_are_disjoint() -> None:
    """Pain 31 and 32: cache writes of both lifetimes, cache reads and searches stand and cost apart."""
    told = {
        "input_tokens": 10, "cache_creation_input_tokens": 300, "cache_read_input_tokens": 4000,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}, "output_tokens": 5,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 7}, "service_tier": "standard",
        "inference_geo": "not_available",
    }  # fmt: skip
    row = await row_of(then(json_reply({**MESSAGE, "usage": told})))
    assert [row[name] for name in ("input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")] == [10, 100, 200]
    assert [row[name] for name in ("cache_read_tokens", "output_tokens", "web_searches")] == [4000, 5, 2]
    assert (row["service_tier"], row["inference_geo"], row["speed"]) == ("standard", "not_available", None)
    assert row["cost_nano"] == 10 * 1000 + 100 * 1250 + 200 * 2000 + 4000 * 100 + 5 * 5000 + 2 * 10_000_000


async def test_writes_whose_lifetime_is_not_told_are_of_five_minutes() -> None:
    told = {"input_tokens": 1, "cache_creation_input_tokens": 300, "cache_creation": None, "output_tokens": 1}
    row = await row_of(then(json_reply({**MESSAGE, "usage": told})))
    assert (row["cache_write_5m_tokens"], row["cache_write_1h_tokens"]) == (300, 0)


async def test_a_price_that_is_not_known_is_none() -> None:
    """Pain 31: never 0, and counted."""
    bare = TOML.partition("[prices")[0]
    async with relay(well_behaved) as (_, upstream), Serving(toml=bare.format(url=upstream.url)) as server:
        await exchange(server.url, post(HELLO))
        (row,) = await rows_of(server)
        assert row["cost_nano"] is None
        assert row["price_source"] == "unknown"
        assert server.gateway.ledger.unpriced == 1


async def test_a_stream_that_breaks_off_is_billed_by_what_was_seen() -> None:
    """Pain 68: the input as its beginning told it, the output as it was seen; marked as an estimate."""
    delta = chunk(sse(*[DELTA] * 30))
    row = await row_of(then(BEGUN + delta, and_then="reset"), ASKING)
    assert (row["outcome"], row["status"], row["error"]) == ("cut", 200, "api_error")
    assert row["is_estimated"] == 1
    assert row["input_tokens"] == 7
    assert 31 <= row["output_tokens"] <= 31 * 10
    assert row["cost_nano"] == 7 * 1000 + row["output_tokens"] * 5000


async def test_a_stream_whose_caller_hangs_up() -> None:
    """Pain 68."""
    handler = then(BEGUN + chunk(sse(*[DELTA] * 10)))
    async with relay(handler) as (_, upstream), Serving(toml=TOML.format(url=upstream.url)) as server:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(post(ASKING))
        await reader.readuntil(b"content_block_delta")
        writer.close()
        (row,) = await rows_of(server)
    assert (row["outcome"], row["is_estimated"], row["input_tokens"]) == ("abandoned", 1, 7)
    assert row["output_tokens"] >= 10
    assert row["cost_nano"] > 7000


async def test_an_error_of_the_provider_costs_nothing() -> None:
    row = await row_of(then(json_reply(envelope(), status=529)))
    assert (row["outcome"], row["status"], row["error"]) == ("refused", 529, "overloaded_error")
    assert (row["attempts"], row["cost_nano"], row["is_estimated"]) == (1, 0, 0)


async def test_an_error_in_place_of_a_streams_content_costs_nothing() -> None:
    data = sse_head() + chunk(sse(START)) + chunk(sse({**envelope(), "type": "error"})) + LAST_CHUNK
    row = await row_of(then(data), ASKING)
    assert (row["outcome"], row["cost_nano"], row["output_tokens"]) == ("refused", 0, 0)


async def test_a_reply_that_never_came_may_have_cost_something() -> None:
    """The provider had the request: it is taken to charge for the prompt, which is estimated."""
    row = await row_of(then(b""))
    assert (row["outcome"], row["status"], row["attempts"]) == ("refused", 504, 1)
    asked = len(json_bytes(HELLO)) // 4
    assert (row["cost_nano"], row["is_estimated"], row["input_tokens"]) == (asked * 1000, 1, asked)
    assert row["output_tokens"] == 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_caller_who_hangs_up_before_anything_was_told(stream: bool) -> None:
    body = {**HELLO, "stream": stream}
    async with relay(then(b"")) as (_, upstream), Serving(toml=TOML.format(url=upstream.url)) as server:
        waiting = asyncio.create_task(exchange(server.url, post(body)))
        await upstream.request()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        (row,) = await rows_of(server)
    asked = len(json_bytes(body)) // 4
    assert (row["outcome"], row["is_estimated"], row["input_tokens"]) == ("abandoned", 1, asked)
    assert row["cost_nano"] == asked * 1000


async def test_an_estimate_without_a_price_is_not_known() -> None:
    row = await row_of(then(b""), toml=TOML.partition("[prices")[0])
    assert (row["cost_nano"], row["is_estimated"], row["price_source"]) == (None, 1, "unknown")
    assert row["input_tokens"] == len(json_bytes(HELLO)) // 4


async def test_a_provider_that_was_never_reached_costs_nothing() -> None:
    async with Serving(toml=TOML.format(url=refused_url())) as server:
        await exchange(server.url, post(HELLO))
        (row,) = await rows_of(server)
    assert (row["outcome"], row["status"], row["cost_nano"], row["is_estimated"]) == ("refused", 502, 0, 0)


async def test_a_reply_without_usage_is_marked() -> None:
    """Its output is estimated by its length."""
    told = {name: value for name, value in MESSAGE.items() if name != "usage"}
    row = await row_of(then(json_reply(told)))
    assert (row["outcome"], row["is_estimated"], row["stop_reason"]) == ("answered", 1, "end_turn")
    asked, seen = len(json_bytes(HELLO)) // 4, row["output_tokens"]
    assert len("Half of it") // 4 < seen <= len(json_bytes(told))
    assert (row["input_tokens"], row["cost_nano"]) == (asked, asked * 1000 + seen * 5000)


async def test_counting_tokens_costs_nothing() -> None:
    asked = {name: value for name, value in HELLO.items() if name != "max_tokens"}
    row = await row_of(well_behaved, asked, path="/v1/messages/count_tokens")
    assert (row["operation"], row["status"]) == ("/v1/messages/count_tokens", 200)
    assert (row["cost_nano"], row["input_tokens"], row["is_estimated"]) == (0, 0, 0)


async def test_requests_that_dragoman_refuses_are_rows_too() -> None:
    async with Serving() as server:
        await exchange(server.url, post(HELLO, key="sk-dgm-nobodys"))
        await exchange(server.url, post({**HELLO, "max_tokens": "many"}))
        await exchange(server.url, post(b"{"))
        found = await rows_of(server)
    assert sorted(row["status"] for row in found) == [400, 400, 401]
    assert all(row["outcome"] == "refused" and row["cost_nano"] == 0 for row in found)
    assert [row["key_id"] for row in found if row["status"] == 401] == [""]
    assert all(row["key_id"] for row in found if row["status"] == 400)


@pytest.mark.parametrize("body", [HELLO, ASKING], ids=["whole", "stream"])
async def test_the_offline_engine_tells_all_and_costs_nothing(body: Any) -> None:
    async with Serving() as server:
        await exchange(server.url, post(body))
        (row,) = await rows_of(server)
    assert (row["outcome"], row["stop_reason"], row["is_estimated"]) == ("answered", "end_turn", 0)
    assert (row["cost_nano"], row["price_source"]) == (0, "local")
    assert row["input_tokens"] > 0
    assert row["output_tokens"] > 0
    assert row["overhead_us"] is None


@pytest.mark.parametrize("body", [HELLO, ASKING], ids=["whole", "stream"])
async def test_a_translated_reply(body: Any) -> None:
    """Pain 2: why it stopped is known of translated replies as well."""
    with FakeOpenAI() as fake:
        toml = f'[providers.up]\ndialect = "openai_chat"\nbase_url = "{fake.url}"\napi_key = "{fake.key}"\n'
        async with Serving(toml=toml) as server:
            await exchange(server.url, post({**body, "model": "gpt-5-mini", "top_k": 3}))
            (row,) = await rows_of(server)
    assert (row["outcome"], row["stop_reason"], row["is_estimated"]) == ("answered", "end_turn", 0)
    assert row["cache_read_tokens"] > 0
    assert row["output_tokens"] > 0
    assert "top_k" in row["lost"].split(",")


async def test_a_ledger_that_is_off_has_no_rows() -> None:
    async with Serving(toml="[ledger]\nenabled = false\n") as server:
        await exchange(server.url, post(HELLO))
        await server.settled()
        assert server.gateway.journal is None
        assert len(server.rows) == 1
        assert (await server.gateway.store.ledger.totals())["requests"] == 0


# -- entries --


class Kept:
    """A journal's store that keeps rows."""

    def __init__(self) -> None:
        self.rows: list[LedgerRow] = []

    async def add(self, rows: Any) -> int:
        self.rows += rows
        return len(rows)


CONFIG = load(None, {}, text=TOML.format(url="http://127.0.0.1:9"))
PRICES = Prices(CONFIG, None)
ROUTE = Route(
    provider=CONFIG.providers["up"], model_name="m-1", model=None, name="up/m-1", target="up/m-1", is_local=False
)
WHO = Principal(key_id="k", key_name="key", workspace_id="w", organization_id="o", tags='{"team":"red"}')


def entry_of(journal: Any, clock: list[float]) -> Entry:
    ledger = Ledger(clock=lambda: clock[0], now=lambda: 1000.0 + clock[0], prices=PRICES, journal=journal)
    entry = ledger.open("req_1", "/v1/messages", arrived=1.0)
    entry.principal, entry.route, entry.model, entry.status = WHO, ROUTE, "mine", 200
    return entry


async def kept_row(entry: Entry, journal: Journal, store: Kept, **settled: Any) -> LedgerRow:
    entry.settle(**settled)
    await journal.flush()
    (row,) = store.rows
    return row


async def test_what_was_not_spent_waiting_for_a_provider_is_overhead() -> None:
    store, clock = Kept(), [1.5]
    journal: Any = Journal(store, None)  # type: ignore[arg-type]
    entry = entry_of(journal, clock)
    for sent, received in ((2.0, 3.0), (3.5, 5.0)):  # two attempts
        clock[0] = sent
        entry.note_sent(b"")
        clock[0] = received
        entry.note_received()
    entry.note_usage(Usage(input_tokens=1, output_tokens=1), "tool_use")
    entry.spends = [("budget_1", 86_400)]
    clock[0] = 5.25
    row = await kept_row(entry, journal, store)
    assert (row.at_us, row.total_us, row.overhead_us) == (1_001_000_000, 4_250_000, 1_750_000)
    assert (row.attempts, row.stop_reason, row.tags, row.spent) == (2, "tool_use", WHO.tags, (("budget_1", 86_400),))


async def test_settling_tells_the_cost_once() -> None:
    store = Kept()
    journal: Any = Journal(store, None)  # type: ignore[arg-type]
    entry = entry_of(journal, [1.0])
    entry.note_sent(b"")
    entry.note_usage(Usage(input_tokens=2, output_tokens=3))
    assert entry.settle() == 17_000
    assert entry.settle() is None
    await journal.flush()
    assert [row.cost_nano for row in store.rows] == [17_000]


@given(st.text(max_size=300), st.lists(st.text(max_size=50), max_size=3), st.integers(), st.integers())
def test_whatever_callers_and_upstreams_say_fits_any_database(word: str, lost: list[str], some: int, more: int) -> None:
    """A row that no database takes would keep back all others."""

    async def run() -> LedgerRow:
        store = Kept()
        journal: Any = Journal(store, None)  # type: ignore[arg-type]
        entry = entry_of(journal, [1.0])
        entry.model = entry.upstream_request_id = entry.error = word + "\0\ud800"
        entry.lost = lost
        entry.note_sent(b"")
        creation = CacheCreation(ephemeral_5m_input_tokens=some, ephemeral_1h_input_tokens=more)
        usage = Usage(input_tokens=some, output_tokens=more, cache_creation=creation, service_tier=word, speed=word,
                      server_tool_use={"web_search_requests": word})  # fmt: skip
        entry.note_usage(usage, word)
        return await kept_row(entry, journal, store)

    row = asyncio.run(run())
    for field in fields(LedgerRow):
        value = getattr(row, field.name)
        if isinstance(value, str):
            assert "\0" not in value
            value.encode()
            assert len(value) <= 1000
        elif isinstance(value, int) and field.name not in ("cost_nano",):
            assert 0 <= value < 2**53
    assert row.cost_nano is None or 0 <= row.cost_nano < 2**62


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
def test_the_price_of_a_request_whose_process_died(told: bool) -> None:
    row = LedgerRow(
        id="req_1", at_us=1, operation="/v1/messages", provider="up", answered_model="m-1",
        input_tokens=10 * told, cache_write_5m_tokens=100 * told, cache_write_1h_tokens=200 * told,
        cache_read_tokens=4000 * told, output_tokens=5 * told, web_searches=2 * told, is_estimated=True,
    )  # fmt: skip
    price_row(PRICES, row)
    whole = 10 * 1000 + 100 * 1250 + 200 * 2000 + 4000 * 100 + 5 * 5000 + 2 * 10_000_000
    assert row.cost_nano == (whole if told else None)
    assert row.price_source == ("configuration" if told else "unknown")


def test_a_count_whose_process_died_costs_nothing() -> None:
    row = LedgerRow(id="req_1", at_us=1, operation="/v1/messages/count_tokens", provider="up", is_estimated=True)
    price_row(PRICES, row)
    assert (row.cost_nano, row.is_estimated) == (0, False)
