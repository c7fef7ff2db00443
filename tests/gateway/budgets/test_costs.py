"""What a request reserves of budgets: the most that it can cost; and which budgets hold for whom. Pain 34."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
import pytest
from budgeted import NANO, NOON, bench, budget, call
from hypothesis import given
from hypothesis import strategies as st
from rawhttp import KEY, json_bytes

from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.budgets.costs import highest_cost
from dragoman.gateway.budgets.scopes import Scopes, actives_of
from dragoman.gateway.call import Asked, Call
from dragoman.gateway.catalogue import Catalogue
from dragoman.gateway.config.config import load
from dragoman.gateway.pipeline import answer
from dragoman.gateway.prices.prices import Prices
from dragoman.gateway.routing.routing import Route, Router
from dragoman.providers.base import Operation
from dragoman.store.budgets import BudgetRecord
from dragoman.wire.headers import Headers
from dragoman.wire.types import CacheCreation, Usage


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
    others = [recorded("key", f"apikey_{number}") for number in range(10, 20)]
    near = Scopes([*budgets, *others]).near(PRINCIPAL)
    assert [each.id for each in actives_of(PRINCIPAL, near, "wrkspc_d")] == ids
    assert [each.id for each in actives_of(PRINCIPAL, [*budgets, *others], "wrkspc_d")] == ids
