"""Budgets before a real gateway: which hold for whom, what they reserve, when they refuse, and by how much they may be
exceeded. Pain 34."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from canned import MESSAGE, envelope
from hypothesis import given, settings
from hypothesis import strategies as st
from misbehaving import Conn, Misbehaving, json_reply
from rawhttp import KEY, json_bytes
from serving import wait_until

from dragoman.errors import StoreError
from dragoman.gateway.auth import Principal
from dragoman.gateway.budget_costs import highest_cost
from dragoman.gateway.budget_scopes import actives_of
from dragoman.gateway.call import Asked, Call
from dragoman.gateway.catalogue import Catalogue
from dragoman.gateway.config import load
from dragoman.gateway.open import open_gateway
from dragoman.gateway.pipeline import Gateway, Reply, answer, new_id
from dragoman.gateway.prices import Prices
from dragoman.gateway.routing import Route, Router
from dragoman.providers.base import Operation
from dragoman.store.budgets import BudgetChanges, BudgetRecord
from dragoman.store.ledger import LedgerRow
from dragoman.wire.headers import Headers
from dragoman.wire.types import CacheCreation, Usage

NANO = 1_000_000_000
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
# Dollars a million tokens: 3000 and 15_000 nano-dollars a token, and 1 nano-dollar.
PROVIDERS = """\
[providers.up]
base_url = "{url}"
[prices."up/dear"]
input = 3
output = 15
[prices."up/cheap"]
input = 0.001
output = 0.001
[providers.offline]
dialect = "offline"
"""
USAGE = {"input_tokens": 20, "output_tokens": 100}  # of a request for "dear": 60_000 + 1_500_000
COST = 1_560_000


class Upstream:
    """Reports `usage`, and holds its replies back while it is told to."""

    def __init__(self) -> None:
        self.usage: Mapping[str, Any] = USAGE
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.asked = 0
        self.status = 200  # 0: it hangs up

    async def __call__(self, conn: Conn) -> None:
        while await conn.read_request() is not None:
            self.asked += 1
            await self.goes_on.wait()
            if not self.status:
                conn.close()
                return
            told = {**MESSAGE, "usage": self.usage} if self.status == 200 else envelope("invalid_request_error")
            await conn.send(json_reply(told, status=self.status))


class Bench:
    """A gateway, its upstream, and a clock that stands still: `now`, Unix seconds."""

    def __init__(self, gateway: Gateway, upstream: Upstream) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.now = NOON
        gateway.budgets._wall = gateway.ledger.now = lambda: self.now
        self.told: list[Any] = []

    async def ask(self, model: str = "up/dear", *, max_tokens: object = 100, key: str = KEY, **more: Any) -> Reply:
        arrived = self.gateway.clock()
        reply = await answer(self.gateway, call(model, max_tokens=max_tokens, key=key, arrived=arrived, **more))
        await reply.aclose()
        return reply

    async def stored(self) -> None:
        """Wait until the ledger has all rows."""
        journal = self.gateway.journal
        assert journal is not None
        await wait_until(lambda: journal.waiting == 0)

    async def spent(self) -> dict[str, int]:
        """Of each budget, what the ledger says: of the window that is now."""
        await self.stored()
        purses = self.gateway.budgets.purses(await self.read(), self.gateway.router.route("up/dear"))
        return {purse.budget_id: await self.gateway.budgets.spent(purse) for purse in purses}

    async def read(self, model: str = "up/dear", **more: Any) -> Asked:
        principal = await self.gateway.auth.identify(KEY, None)
        return Asked.read(call(model, **more), principal, refuse_unknown_betas=False)


def call(
    model: str,
    *,
    max_tokens: object = 100,
    key: str = KEY,
    operation: Operation = Operation.MESSAGES,
    arrived: float = 0.0,
    **more: Any,
) -> Call:
    body = {"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": "Hi"}], **more}
    return Call(
        operation=operation,
        headers=Headers([("x-api-key", key), ("anthropic-version", "2023-06-01")]),
        body=json_bytes(body),
        request_id=new_id("req"),
        arrived=arrived,
    )


@asynccontextmanager
async def bench(budgets: str, *, database: str = "sqlite://", folder: Path | None = None) -> AsyncIterator[Bench]:
    upstream = Upstream()
    async with Misbehaving(upstream) as server:
        env = {"DRAGOMAN_DATABASE": database, "DRAGOMAN_SECRET": "0123456789abcdef"}
        config = load(None, env, text=PROVIDERS.format(url=server.url) + budgets)
        async with open_gateway(config, env) as gateway:
            await gateway.auth.preset(KEY)
            yield Bench(gateway, upstream)


def budget(usd: float = 1.0, scope: str = "organization", period: str = "day", **more: Any) -> str:
    values = {"scope": scope, "usd": usd, "period": period, "alerts": [], **more}
    return "[[budgets]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def told(reply: Reply) -> str:
    envelope = json.loads(reply.body)
    assert envelope["error"]["type"] == "billing_error", envelope
    return str(envelope["error"]["message"])


# -- what a request may cost at most ---------------------------------------------------------------------------------


async def test_no_budget_asks_for_nothing() -> None:
    async with bench("") as at:
        assert not at.gateway.budgets.is_on
        reply = await at.ask()
        assert reply.status == 200


async def test_a_request_reserves_its_prompt_and_all_of_max_tokens() -> None:
    """A quarter of the body's bytes at 3000, and 100 tokens at 15_000."""
    async with bench(budget()) as at:
        asked = await at.read()
        (purse,) = at.gateway.budgets.purses(asked, at.gateway.router.route("up/dear"))
        assert purse.cost_nano == len(asked.call.body) // 4 * 3000 + 1_500_000
        assert (purse.limit_nano, purse.window_end - purse.window_start) == (NANO, 86_400)
        assert purse.window_start <= NOON < purse.window_end


@pytest.mark.parametrize(
    ("more", "highest"),
    [
        ({}, 100),
        ({"max_tokens": 0}, 0),
        ({"max_tokens": -5}, 0),
        ({"max_tokens": 10**30}, 10_000_000),
        ({"max_tokens": "many"}, 128_000),
        ({"max_tokens": None}, 128_000),
        ({"max_tokens": True}, 128_000),
    ],
    ids=["said", "none", "below", "absurd", "text", "null", "bool"],
)
async def test_whatever_max_tokens_is_has_a_cost(more: dict[str, Any], highest: int) -> None:
    async with bench(budget()) as at:
        asked = await at.read(**more)
        cost = highest_cost(at.gateway.prices, asked, at.gateway.router.route("up/dear"), at=NOON)
        assert cost == len(asked.call.body) // 4 * 3000 + highest * 15_000


@cache
def of_claude() -> tuple[Prices, Route]:
    config = load(None, {"ANTHROPIC_API_KEY": "sk-ant-x"}, text="")
    prices = Prices.load(config, today=datetime(2026, 11, 20, tzinfo=UTC).date())
    return prices, Router(config, Catalogue.load()).route("claude-opus-4-8")


def claude(body: dict[str, Any]) -> tuple[Prices, int | None, Asked]:
    """What a request to Claude reserves, at the prices of the list."""
    prices, route = of_claude()
    whole = {"model": "claude-opus-4-8", "max_tokens": 100, "messages": [], **body}
    principal = Principal(key_id="k", key_name="n", workspace_id="w", organization_id="o")
    made = Call(
        operation=Operation.MESSAGES,
        headers=Headers([("anthropic-version", "2023-06-01")]),
        body=json_bytes(whole),
        request_id="req_1",
        arrived=0.0,
    )
    asked = Asked.read(made, principal, refuse_unknown_betas=False)
    return prices, highest_cost(prices, asked, route, at=NOON), asked


HOUR = {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}


@pytest.mark.parametrize(
    ("body", "a_token", "beside"),
    [
        ({}, 6250, 0),  # any of it may be written to a cache for 5 minutes
        (HOUR, 10_000, 0),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]}, 6250, 30_000_000),
        ({"tools": [{"type": "web_search_20260209", "name": "web_search"}]}, 6250, 100_000_000),
        ({"tools": [{"name": "web_search", "input_schema": {}}]}, 6250, 0),
        ({"tools": "web_search"}, 6250, 0),
    ],
    ids=["plain", "hour", "searches", "searches without end", "a tool of that name", "no tools"],
)
def test_the_dearest_that_may_become_of_a_token_counts(body: dict[str, Any], a_token: int, beside: int) -> None:
    _, cost, asked = claude(body)
    assert cost == len(asked.call.body) // 4 * a_token + 100 * 25_000 + beside


def test_what_nobody_has_a_price_of_costs_as_usual() -> None:
    """A caller must not get past a budget by a word that makes the price unknown."""
    _, cost, asked = claude({"inference_geo": "the moon"})
    assert cost == len(asked.call.body) // 4 * 6250 + 100 * 25_000
    assert claude({"inference_geo": "us"})[1] == (len(asked.call.body) - len("the moon") + 2) // 4 * 6875 + 100 * 27_500


@settings(deadline=None)
@given(
    st.integers(0, 4000), st.lists(st.integers(0, 1000), min_size=4, max_size=4), st.integers(0, 100), st.integers(0, 3)
)
def test_what_is_reserved_is_enough_for_all_that_fits_the_estimate(
    words: int, shares: list[int], output: int, searches: int
) -> None:
    """Pain 34: the stated bound of what can go over is 0, as long as the prompt is not longer than estimated."""
    tools = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]
    prices, cost, asked = claude({**HOUR, "tools": tools, "messages": [{"role": "user", "content": "word" * words}]})
    prompt, total = len(asked.call.body) // 4, max(1, sum(shares))
    plain, read, write_5m, write_1h = (prompt * share // total for share in shares)
    usage = Usage(
        input_tokens=plain,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=write_5m + write_1h,
        cache_creation=CacheCreation(ephemeral_5m_input_tokens=write_5m, ephemeral_1h_input_tokens=write_1h),
        output_tokens=output,
        server_tool_use={"web_search_requests": searches},
    )
    real = prices.cost("anthropic", "claude-opus-4-8", usage, at=NOON).nano_usd
    assert cost is not None
    assert real is not None
    assert 0 <= real <= cost


SEVERAL = """
[models.some]
targets = ["offline/claude-opus-4-8", "up/cheap"]
[[models.some.when]]
tools = true
targets = ["up/dear"]
[models.strange]
targets = ["up/cheap", "up/unheard-of"]
"""


async def test_of_several_who_may_answer_the_dearest_counts() -> None:
    """Whichever condition holds: before the request is read nobody knows."""
    async with bench(SEVERAL + budget(1.0) + budget(1.0, "key:*")) as at:
        asked = await at.read("some")
        purses = at.gateway.budgets.purses(asked, at.gateway.router.route("some"))
        assert [purse.cost_nano for purse in purses] == [len(asked.call.body) // 4 * 3000 + 1_500_000] * 2
        asked = await at.read("strange")
        purses = at.gateway.budgets.purses(asked, at.gateway.router.route("strange"))
        assert [purse.cost_nano for purse in purses] == [len(asked.call.body) // 4 + 100] * 2
    async with bench(SEVERAL + budget(1.0, unknown_price="refuse")) as at:
        assert (await at.ask("strange")).status == 402
        assert (await at.ask("some")).status == 200


async def test_requests_of_batches_count_too() -> None:
    """They have no rate limits (LIM-6), but somebody pays for them."""
    async with bench(budget(0.002, "key:*")) as at:
        principal = await at.gateway.auth.identify(KEY, None)
        statuses = []
        for _ in range(2):
            of_batch = msgspec.structs.replace(call("up/dear"), batched_for=principal)
            reply = await answer(at.gateway, of_batch)
            await reply.aclose()
            statuses.append(reply.status)
        assert statuses == [200, 402]


async def test_counting_tokens_and_models_of_ones_own_cost_nothing() -> None:
    async with bench(budget(0.0)) as at:
        route = at.gateway.router.route
        count = await at.read(operation=Operation.COUNT_TOKENS)
        assert not at.gateway.budgets.purses(count, route("up/dear"))
        assert not at.gateway.budgets.purses(await at.read(), route("offline/claude-opus-4-8"))
        assert (await at.ask("offline/claude-opus-4-8")).status == 200
        assert (await at.ask()).status == 402


# -- whose budgets ---------------------------------------------------------------------------------------------------


def recorded(scope: str, scope_id: str, period: str = "day", **more: Any) -> BudgetRecord:
    id_ = f"{scope}:{scope_id}:{period}"
    told: dict[str, Any] = {"scope": scope, "scope_id": scope_id, "period": period, "limit_nano": NANO, **more}
    return BudgetRecord(id=id_, **told)


PRINCIPAL = Principal(key_id="apikey_1", key_name="nightly", workspace_id="wrkspc_d", organization_id="org_1")


@pytest.mark.parametrize(
    ("budgets", "ids"),
    [
        ([], []),
        ([recorded("organization", "")], ["organization::day"]),
        ([recorded("workspace", "wrkspc_d"), recorded("workspace", "wrkspc_2")], ["workspace:wrkspc_d:day"]),
        ([recorded("workspace", "default")], ["workspace:default:day"]),
        ([recorded("workspace", "*")], ["workspace:*:day/wrkspc_d"]),
        ([recorded("key", "apikey_1"), recorded("key", "apikey_2")], ["key:apikey_1:day"]),
        ([recorded("key", "nightly"), recorded("key", "other")], ["key:nightly:day/apikey_1"]),
        ([recorded("key", "*"), recorded("key", "apikey_1")], ["key:apikey_1:day"]),
        ([recorded("key", "*"), recorded("key", "nightly")], ["key:nightly:day/apikey_1"]),
        ([recorded("key", "*"), recorded("key", "apikey_1", "month")], ["key:apikey_1:month", "key:*:day/apikey_1"]),
        (
            [recorded("key", "*"), recorded("key", "apikey_1", is_hard=False)],
            ["key:apikey_1:day", "key:*:day/apikey_1"],
        ),
        (
            [recorded("key", "*"), recorded("workspace", "default"), recorded("organization", "")],
            ["workspace:default:day", "organization::day", "key:*:day/apikey_1"],
        ),
        ([recorded("workspace", "nightly"), recorded("key", "default"), recorded("key", "wrkspc_d")], []),
    ],
    ids=[
        "none", "organization", "workspace", "default workspace", "each workspace", "key", "key by name",
        "its own and not that of each", "by name and not that of each", "another period", "another hardness", "all",
        "names of others",
    ],
)  # fmt: skip
def test_which_budgets_hold_for_a_caller(budgets: list[BudgetRecord], ids: list[str]) -> None:
    assert [each.id for each in actives_of(PRINCIPAL, budgets, "wrkspc_d")] == ids


async def test_each_key_has_a_budget_of_its_own() -> None:
    async with bench(budget(0.003, "key:*")) as at:
        other, _ = await at.gateway.auth.create("other")
        assert [(await at.ask()).status for _ in range(3)] == [200, 402, 402]
        assert [(await at.ask(key=other)).status for _ in range(2)] == [200, 402]


# -- refusals --------------------------------------------------------------------------------------------------------


async def test_a_used_up_budget_is_told_as_the_api_tells_it() -> None:
    """ERR-12, ERR-48 to 50: whose, how much, and when it is over; waiting does not help, so nobody should try again."""
    async with bench(budget(0.002, "key:*", "month", zone="Europe/Berlin")) as at:
        assert (await at.ask()).status == 200
        refused = await at.ask()
        assert refused.status == 402
        headers = dict(refused.headers)
        assert headers["x-should-retry"] == "false"
        assert "retry-after" not in headers
        assert told(refused) == (
            "You have reached your API key's API budget of $0.002 a month: $0.0016 of it is spent or reserved by "
            "requests under way, and this request may cost up to $0.0016. You will regain access on 2026-11-30 at "
            "23:00 UTC (2026-12-01 00:00 in Europe/Berlin)."
        )
        assert at.upstream.asked == 1


@pytest.mark.parametrize(
    ("given", "begins", "ends"),
    [
        (
            budget(0.001),
            "This request may cost up to $0.0016, which is more than your organization's API budget of",
            ".",
        ),
        (
            budget(0, period="total"),
            "You have reached your organization's API budget of $0.00 in all: $0.00",
            "server.",
        ),
        (
            budget(0, "workspace:default", "week"),
            "You have reached your workspace's API budget of $0.00 a week",
            "UTC.",
        ),
    ],
    ids=["too dear at all", "nothing, for ever", "nothing, for a week"],
)
async def test_what_else_is_told(given: str, begins: str, ends: str) -> None:
    async with bench(given) as at:
        message = told(await at.ask())
        assert message.startswith(begins)
        assert message.endswith(ends)


async def test_a_soft_budget_never_refuses() -> None:
    async with bench(budget(0.000_001, hard=False)) as at:
        assert [(await at.ask()).status for _ in range(3)] == [200] * 3
        assert list((await at.spent()).values()) == [3 * COST]


async def test_what_is_left_can_be_spent_by_who_asks_for_less() -> None:
    async with bench(budget(0.002)) as at:
        assert [(await at.ask(max_tokens=tokens)).status for tokens in (100, 100, 10)] == [200, 402, 200]


async def test_of_several_budgets_each_must_have_enough_left() -> None:
    async with bench(budget(1.0) + budget(0.002, "workspace:default", "week") + budget(5.0, "key:*", "total")) as at:
        assert [(await at.ask()).status for _ in range(2)] == [200, 402]
        assert list((await at.spent()).values()) == [COST] * 3


# -- a price that nobody knows ---------------------------------------------------------------------------------------


async def test_what_has_no_known_price_passes_while_anything_is_left() -> None:
    """Pain 31: it is not free, and not counted either; docs/budgets.md says so."""
    async with bench(budget(0.002)) as at:
        assert [(await at.ask("up/unheard-of")).status for _ in range(3)] == [200] * 3
        assert list((await at.spent()).values()) == [0]
        at.upstream.usage = {"input_tokens": 1000, "output_tokens": 100}
        assert (await at.ask()).status == 200  # and spent it all
        assert (await at.ask("up/unheard-of")).status == 402


async def test_a_budget_may_refuse_what_has_no_known_price() -> None:
    async with bench(budget(1.0, unknown_price="refuse")) as at:
        assert told(await at.ask("up/unheard-of")) == (
            "No price is known for the model up/unheard-of, and your organization's API budget is only for models "
            "whose price is known."
        )
        assert (await at.ask()).status == 200
        assert (await at.ask("offline/claude-opus-4-8")).status == 200
    async with bench(budget(1.0, hard=False, unknown_price="refuse")) as at:
        assert (await at.ask("up/unheard-of")).status == 200


# -- many at once, and the bound -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "over"),
    [
        ({"input_tokens": 20, "output_tokens": 1000}, False),
        ({"input_tokens": 2000, "output_tokens": 1000}, True),  # a prompt far longer than it was estimated
    ],
    ids=["as estimated", "more than estimated"],
)
async def test_fifty_long_requests_at_once_exceed_a_budget_by_no_more_than_is_stated(
    usage: dict[str, int], over: bool
) -> None:
    """Pain 34: by what those that were let in cost above what they had reserved, and nothing else."""
    limit = 100_000_000
    async with bench(budget(limit / NANO)) as at:
        reserved = at.gateway.budgets.purses(await at.read(max_tokens=1000), at.gateway.router.route("up/dear"))[
            0
        ].cost_nano
        let_in = limit // reserved
        assert 2 < let_in < 50
        at.upstream.usage = usage
        at.upstream.goes_on.clear()
        asking = [asyncio.create_task(at.ask(max_tokens=1000)) for _ in range(50)]
        await wait_until(lambda: sum(task.done() for task in asking) == 50 - let_in)
        at.upstream.goes_on.set()
        statuses = sorted([reply.status for reply in await asyncio.gather(*asking)])
        assert statuses == [200] * let_in + [402] * (50 - let_in)
        real = usage["input_tokens"] * 3000 + usage["output_tokens"] * 15_000
        (spent,) = (await at.spent()).values()
        assert spent == let_in * real
        assert (spent > limit) == over
        assert spent <= limit + let_in * max(0, real - reserved)
        assert (await at.ask(max_tokens=1000)).status == 402


async def test_what_is_not_used_comes_back() -> None:
    """Pain 33: nothing leaks, also of requests that fail."""
    async with bench(budget(0.004)) as at:
        at.upstream.usage = {"input_tokens": 1, "output_tokens": 1}
        assert [(await at.ask(max_tokens=200)).status for _ in range(30)] == [200] * 30
        assert list((await at.spent()).values()) == [30 * 18_000]


async def test_a_request_that_was_refused_upstream_costs_nothing() -> None:
    async with bench(budget(0.002)) as at:
        at.upstream.status = 400
        assert [(await at.ask()).status for _ in range(3)] == [400] * 3
        at.upstream.status = 200
        assert [(await at.ask()).status for _ in range(2)] == [200, 402]


async def test_where_nobody_can_say_what_a_request_cost_its_reserve_is_spent() -> None:
    """Pain 68: the upstream was asked, and broke off before it told of any usage."""
    async with bench(budget(0.002)) as at:
        at.upstream.status = 0
        assert [(await at.ask()).status for _ in range(2)] == [502, 402]
        assert list((await at.spent()).values()) == [0]
        totals = await at.gateway.store.ledger.totals()
        assert (totals["requests"], totals["unpriced"]) == (2, 1)


# -- windows ---------------------------------------------------------------------------------------------------------


async def test_a_budget_is_whole_again_exactly_at_the_end_of_its_window() -> None:
    """Pain 34."""
    async with bench(budget(0.002, zone="Europe/Berlin")) as at:
        midnight = datetime(2026, 11, 20, 23, tzinfo=UTC).timestamp()
        assert [(await at.ask()).status for _ in range(2)] == [200, 402]
        at.now = midnight - 0.001
        assert (await at.ask()).status == 402
        at.now = midnight
        assert [(await at.ask()).status for _ in range(2)] == [200, 402]
        at.now = midnight + 86_400 - 0.001
        assert (await at.ask()).status == 402
        at.now = midnight + 86_400
        assert (await at.ask()).status == 200


async def test_a_request_counts_in_the_window_in_which_it_began() -> None:
    """Pain 34: however long it takes."""
    async with bench(budget(0.002)) as at:
        at.now = datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC).timestamp()
        at.upstream.goes_on.clear()
        long = asyncio.create_task(at.ask())
        await wait_until(lambda: at.upstream.asked == 1)
        at.now += 3600
        at.upstream.goes_on.set()
        assert (await long).status == 200
        assert list((await at.spent()).values()) == [0]
        assert [(await at.ask()).status for _ in range(2)] == [200, 402]
        at.now -= 3600
        assert list((await at.spent()).values()) == [COST]


async def test_a_budget_for_all_time_does_not_reset() -> None:
    async with bench(budget(0.002, period="total")) as at:
        assert [(await at.ask()).status for _ in range(2)] == [200, 402]
        at.now += 100 * 365 * 86_400
        assert (await at.ask()).status == 402


# -- of the database, and restarts -----------------------------------------------------------------------------------


async def test_what_was_spent_is_known_after_a_restart(tmp_path: Path) -> None:
    """Pain 33, 35."""
    database = f"sqlite:///{tmp_path}/dragoman.db"
    small = budget(0.004, period="total")
    async with bench(small, database=database) as at:
        assert [(await at.ask()).status for _ in range(2)] == [200, 200]
    async with bench(small, database=database) as at:
        assert [(await at.ask()).status for _ in range(2)] == [402, 402]
    async with bench(budget(0.005, period="total"), database=database) as at:  # raised: what is spent stays spent
        assert [(await at.ask()).status for _ in range(2)] == [200, 402]


async def test_a_budget_made_later_has_what_was_spent_before(tmp_path: Path) -> None:
    """Pain 35: out of the rows of the ledger, which knew nothing of it."""
    database = f"sqlite:///{tmp_path}/dragoman.db"
    async with bench("", database=database) as at:
        assert [(await at.ask()).status for _ in range(2)] == [200, 200]
        await at.stored()
    for made, spent in ((budget(0.004, period="total"), 2 * COST), (budget(0.004, period="week"), 0)):
        async with bench(made, database=database) as at:  # which lies in a week long before that of the rows
            at.now = datetime(2040, 1, 1, tzinfo=UTC).timestamp()
            assert list((await at.spent()).values()) == [spent]


async def test_budgets_of_the_database_come_change_and_go_while_the_server_runs() -> None:
    async with bench("") as at:
        budgets, store = at.gateway.budgets, at.gateway.store.budgets
        made = BudgetRecord(
            id="budget_1",
            scope="organization",
            scope_id=at.gateway.auth.organization_id,
            period="total",
            limit_nano=1_000_000,
            alerts=(),
            created_at=datetime.now(UTC),
        )
        assert (await at.ask()).status == 200
        await store.add(made)
        assert (await at.ask()).status == 200  # until it is read; it counts all the same
        await budgets.refresh()
        assert budgets.is_on
        assert (await at.ask()).status == 402
        await store.update("budget_1", BudgetChanges(limit_nano=5_000_000))
        await budgets.refresh()
        assert [(await at.ask()).status for _ in range(2)] == [200, 402]
        await store.update("budget_1", BudgetChanges(is_hard=False))
        await budgets.refresh()
        assert (await at.ask()).status == 200
        await store.end("budget_1", datetime.now(UTC))
        await budgets.refresh()
        assert not budgets.is_on
        assert (await at.ask()).status == 200


async def test_the_ledger_is_waited_for_when_a_budget_is_first_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pain 35: of a process that was killed, its journal alone has the last rows; but nobody waits for ever."""
    async with bench(budget(0.002)) as at:

        async def take_over() -> None:
            await asyncio.sleep(0)
            row = LedgerRow(id="req_1", at_us=int(NOON * 1_000_000), operation="messages", cost_nano=1_000_000)
            await at.gateway.store.ledger.add([row])

        at.gateway.budgets._catch_up = take_over
        assert (await at.ask()).status == 402
    monkeypatch.setattr("dragoman.gateway.budgets.CATCH_UP_S", 0.001)
    async with bench(budget(0.002)) as at:
        at.gateway.budgets._catch_up = asyncio.Event().wait  # type: ignore[assignment]
        assert (await at.ask()).status == 200


class Away:
    """A store of budgets that is away, but for what it has."""

    def __init__(self, store: Any, *lost: str) -> None:
        self._store = store
        self._lost = lost

    def __getattr__(self, name: str) -> Any:
        if name in self._lost:
            raise StoreError("the database is away")
        return getattr(self._store, name)


async def test_a_database_that_is_away_stops_nobody_whose_budget_is_known() -> None:
    """Pain 36: it is 503 where a hard budget cannot be checked, and never 402; known budgets go on."""
    async with bench(budget(1.0) + budget(1.0, "key:*", hard=False)) as at:
        store = at.gateway.budgets._store
        other, _ = await at.gateway.auth.create("other")
        at.gateway.budgets._store = Away(store, "first_spent", "list", "spending")
        assert (await at.ask()).status == 503
        at.gateway.budgets._store = store
        assert (await at.ask()).status == 200
        at.gateway.budgets._store = Away(store, "first_spent", "list", "spending")
        assert (await at.ask()).status == 200
        assert (await at.ask(key=other)).status == 200  # its own is soft, and nothing known of it
        at.now = at.gateway.budgets._began + 100 * 86_400  # nothing can have been spent of a day that has just begun
        assert (await at.ask()).status == 200
        with pytest.raises(StoreError):
            await at.gateway.budgets.refresh()
        assert at.gateway.budgets.is_on


async def test_budgets_are_read_again_after_trouble() -> None:
    """It goes on every few seconds, whatever happens."""
    async with bench(budget()) as at:
        budgets = at.gateway.budgets
        await budgets.aclose()
        pauses: list[float] = []
        store, read = budgets._store, []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            budgets._store = Away(store, "list") if len(pauses) == 1 else store
            read.append(budgets._recorded)
            await asyncio.sleep(0)
            if len(pauses) == 4:
                await asyncio.Event().wait()

        budgets._sleep = sleep
        await budgets.open()
        await wait_until(lambda: len(pauses) == 4)
        assert pauses == [5.0] * 4
