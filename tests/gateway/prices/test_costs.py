"""What requests cost: usage as providers report it, times prices, worked out by hand; from the reply to the ledger.

Pain 31 and 32. A real gateway before a fake provider that reports the usage; the numbers are written out here. Prices
are those of the price list (dollars a million tokens, so a dollar is 1000 nano-dollars a token) but where a test sets
its own.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from canned import BLOCK, DELTA, END, MESSAGE, START, sse
from misbehaving import LAST_CHUNK, Conn, Misbehaving, chunk, json_reply, sse_head
from rawhttp import KEY, json_bytes
from serving import wait_until
from sqlalchemy import Connection, select

from dragoman.gateway.call import Call
from dragoman.gateway.config.config import load
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.ids import new_id
from dragoman.gateway.open import open_gateway
from dragoman.gateway.pipeline import answer
from dragoman.providers.base import Operation
from dragoman.store.sql import SQLStore
from dragoman.store.tables import LEDGER
from dragoman.wire.headers import Headers

HEADERS = Headers([("x-api-key", KEY), ("anthropic-version", "2023-06-01")])
OPUS = "claude-opus-4-8"  # 5 in, 25 out, 0.50 read, 6.25 written for 5 minutes, 10 for an hour; a search 0.01
CONFIG = """\
[providers.claude]
base_url = "{url}"
price_list = "anthropic"
[providers.own]
base_url = "{url}"
[prices."own/priced"]
input = 0.3
output = 1.1
cache_read = 0.07
[prices."own/halves"]
input = 0.0005
output = 0
[providers.translated]
dialect = "openai_chat"
base_url = "{url}"
[prices."translated/*"]
input = 2
output = 8
cache_read = 0.5
"""


class Shape(NamedTuple):
    model: str  # as the caller asks for it
    usage: dict[str, Any]
    cost_nano: int | None


WRITTEN = {"ephemeral_5m_input_tokens": 3000, "ephemeral_1h_input_tokens": 4000}
SHAPES = {
    # 1000 * 5000 + 500 * 25_000
    "no cache": Shape(OPUS, {"input_tokens": 1000, "output_tokens": 500}, 17_500_000),
    # 10 * 5000 + 3000 * 6250 + 1 * 25_000
    "written for 5 minutes": Shape(
        OPUS,
        {
            "input_tokens": 10,
            "cache_creation_input_tokens": 3000,
            "cache_creation": {"ephemeral_5m_input_tokens": 3000, "ephemeral_1h_input_tokens": 0},
            "cache_read_input_tokens": 0,
            "output_tokens": 1,
        },
        18_825_000,
    ),
    # 10 * 5000 + 4000 * 10_000 + 1 * 25_000
    "written for an hour": Shape(
        OPUS,
        {
            "input_tokens": 10,
            "cache_creation_input_tokens": 4000,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 4000},
            "output_tokens": 1,
        },
        40_075_000,
    ),
    # 3000 * 6250 + 4000 * 10_000: 18_750_000 + 40_000_000, and 2 * 25_000
    "written for both": Shape(
        OPUS,
        {"input_tokens": 0, "cache_creation_input_tokens": 7000, "cache_creation": WRITTEN, "output_tokens": 2},
        58_800_000,
    ),
    # as of 5 minutes: 3000 * 6250 + 2 * 25_000
    "written, for how long is not told": Shape(
        OPUS, {"input_tokens": 0, "cache_creation_input_tokens": 3000, "output_tokens": 2}, 18_800_000
    ),
    # 7 * 5000 + 90_000 * 500 + 100 * 25_000: none of what was read counts as input
    "read": Shape(
        OPUS, {"input_tokens": 7, "cache_read_input_tokens": 90_000, "output_tokens": 100}, 47_535_000
    ),
    # 7 * 5000 + 3000 * 6250 + 4000 * 10_000 + 90_000 * 500 + 100 * 25_000 + 2 searches at 10_000_000:
    # 35_000 + 18_750_000 + 40_000_000 + 45_000_000 + 2_500_000 + 20_000_000
    "all at once": Shape(
        OPUS,
        {
            "input_tokens": 7,
            "cache_creation_input_tokens": 7000,
            "cache_creation": WRITTEN,
            "cache_read_input_tokens": 90_000,
            "output_tokens": 100,
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 5},
            "service_tier": "standard",
        },
        126_285_000,
    ),
    # 3 searches at 10_000_000, 1000 * 5000 + 10 * 25_000
    "searches": Shape(
        OPUS,
        {"input_tokens": 1000, "output_tokens": 10, "server_tool_use": {"web_search_requests": 3}},
        35_250_000,
    ),
    # half of (1000 * 5000 + 500 * 25_000), and a search at its full 10_000_000
    "batch tier": Shape(
        OPUS,
        {
            "input_tokens": 1000,
            "output_tokens": 500,
            "service_tier": "batch",
            "server_tool_use": {"web_search_requests": 1},
        },
        18_750_000,
    ),
    # 1.1 * (1000 * 5000 + 500 * 25_000)
    "in one country": Shape(
        OPUS, {"input_tokens": 1000, "output_tokens": 500, "inference_geo": "us"}, 19_250_000
    ),
    "nothing used": Shape(OPUS, {"input_tokens": 0, "output_tokens": 0}, 0),
    "unknown price": Shape("own/unheard-of", {"input_tokens": 1000, "output_tokens": 500}, None),
    # a tier that nobody has a price of
    "unknown tier": Shape(OPUS, {"input_tokens": 1, "output_tokens": 1, "service_tier": "platinum"}, None),
    # 1001 * 300 + 11 * 1100 + 100 * 70; writes without a price of their own are input: 10 * 300
    "price of one's own": Shape(
        "own/priced",
        {"input_tokens": 1001, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 10, "output_tokens": 11},
        322_400,
    ),
    # searches have no price there: the sum is not known, and not without them
    "unknown price of searches": Shape(
        "own/priced", {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 1}}, None
    ),
    # 3 * 0.5 = 1.5 nano-dollars, rounded once at the end
    "half a nano-dollar": Shape("own/halves", {"input_tokens": 3, "output_tokens": 9}, 2),
}  # fmt: skip


def price_paid(usage: dict[str, Any], *, is_stream: bool) -> bytes:
    """A reply that reports `usage`. A stream tells what it has read at its beginning, and all of it at its end."""
    if not is_stream:
        return json_reply({**MESSAGE, "usage": usage})
    told = {**usage, "output_tokens": 1}
    start = {**START, "message": {**START["message"], "usage": told}}
    stop, delta, last = END
    totals = {name: value for name, value in usage.items() if name not in ("cache_creation", "service_tier")}
    return sse_head() + chunk(sse(start, BLOCK, DELTA, stop, {**delta, "usage": totals}, last)) + LAST_CHUNK


@asynccontextmanager
async def gateway_before(reply: bytes) -> AsyncIterator[Gateway]:
    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await conn.send(reply)

    async with Misbehaving(handler) as upstream:
        env = {"DRAGOMAN_DATABASE": "sqlite://"}
        config = load(None, env, text=CONFIG.format(url=upstream.url))
        async with open_gateway(config, env) as gateway:
            await gateway.auth.preset(KEY)
            yield gateway


async def asked(gateway: Gateway, model: str, *, is_stream: bool = False) -> None:
    """Ask once, and read the reply to its end."""
    body = {"model": model, "max_tokens": 9, "stream": is_stream, "messages": [{"role": "user", "content": "Hi"}]}
    call = Call(
        operation=Operation.MESSAGES,
        headers=HEADERS,
        body=json_bytes(body),
        request_id=new_id("req"),
        arrived=gateway.clock(),
    )
    reply = await answer(gateway, call)
    assert reply.status == 200, reply.body
    while reply.is_stream and await reply.next_piece() is not None:
        pass
    await reply.aclose()


async def rows_of(gateway: Gateway) -> list[dict[str, Any]]:
    """The ledger, when all of it is in the database."""
    assert gateway.journal is not None
    journal, store = gateway.journal, gateway.store
    await wait_until(lambda: journal.waiting == 0)
    assert isinstance(store, SQLStore)

    def read(connection: Connection) -> list[dict[str, Any]]:
        return [row._asdict() for row in connection.execute(select(LEDGER).order_by(LEDGER.c.at_us))]

    return await store._run(read)


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", SHAPES)
async def test_a_request_costs_what_its_usage_comes_to(name: str, is_stream: bool) -> None:
    """Pain 31: the row of the ledger, whatever was used; a price that is not known is None, and never 0."""
    shape = SHAPES[name]
    async with gateway_before(price_paid(shape.usage, is_stream=is_stream)) as gateway:
        await asked(gateway, shape.model, is_stream=is_stream)
        (row,) = await rows_of(gateway)
        totals = await gateway.store.ledger.totals()
    assert row["cost_nano"] == shape.cost_nano
    assert (row["price_source"] == "unknown") == (shape.cost_nano is None)
    assert (row["is_stream"], row["is_estimated"], row["status"]) == (is_stream, False, 200)
    assert totals["cost_nano"] == (shape.cost_nano or 0)
    assert totals["unpriced"] == (shape.cost_nano is None)


@pytest.mark.parametrize("name", SHAPES)
async def test_its_buckets_are_disjoint_and_whole(name: str) -> None:
    """Pain 31: what was written for five minutes, for an hour and read is told apart, and is no input."""
    usage = SHAPES[name].usage
    async with gateway_before(price_paid(usage, is_stream=False)) as gateway:
        await asked(gateway, SHAPES[name].model)
        (row,) = await rows_of(gateway)
    parts = usage.get("cache_creation", {})
    written, written_1h = usage.get("cache_creation_input_tokens", 0), parts.get("ephemeral_1h_input_tokens", 0)
    searches = usage.get("server_tool_use", {}).get("web_search_requests", 0)
    assert {name: row[name] for name in row if name.endswith("_tokens") or name == "web_searches"} == {
        "input_tokens": usage["input_tokens"],
        "cache_write_5m_tokens": written - written_1h,
        "cache_write_1h_tokens": written_1h,
        "cache_read_tokens": usage.get("cache_read_input_tokens", 0),
        "output_tokens": usage["output_tokens"],
        "web_searches": searches,
    }


async def test_a_prompt_of_which_a_part_was_cached_is_not_counted_twice() -> None:
    """Pain 32: prompt 1000, cached 800: 200 * 2000 + 800 * 500 + 50 * 8000."""
    completion = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "gpt-x",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": 50,
            "total_tokens": 1050,
            "prompt_tokens_details": {"cached_tokens": 800},
        },
    }
    async with gateway_before(json_reply(completion)) as gateway:
        await asked(gateway, "translated/gpt-x")
        (row,) = await rows_of(gateway)
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (200, 800, 50)
    assert row["cost_nano"] == 1_200_000


async def test_costs_add_up_in_the_sums() -> None:
    """Pain 35: 3 * 17_500_000 beside one that nobody knows, which is counted as such."""
    shape = SHAPES["no cache"]
    async with gateway_before(price_paid(shape.usage, is_stream=False)) as gateway:
        for model in (OPUS, OPUS, "own/unheard-of", OPUS):
            await asked(gateway, model)
        rows = await rows_of(gateway)
        totals = await gateway.store.ledger.totals()
    assert [row["cost_nano"] for row in rows] == [17_500_000, 17_500_000, None, 17_500_000]
    assert (totals["requests"], totals["cost_nano"], totals["unpriced"]) == (4, 52_500_000, 1)
