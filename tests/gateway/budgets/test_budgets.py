"""Budgets before a real gateway: when they refuse, by how much they may be exceeded, and when they are whole again.

Pain 34. What a request reserves is in test_budget_costs.py.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from budgeted import COST, NANO, NOON, bench, budget, call, told
from serving import wait_until

from dragoman.errors import StoreError
from dragoman.gateway.budgets.words import refusal
from dragoman.store.budgets import BudgetChanges, BudgetRecord
from dragoman.store.counters import Purse
from dragoman.store.ledger import LedgerRow


async def test_no_budget_asks_for_nothing() -> None:
    async with bench("") as at:
        assert not at.gateway.budgets.is_on
        reply = await at.ask()
        assert reply.status == 200


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
            "You have reached your organization's API budget of $0.00 in all: nothing that costs",
            "server.",
        ),
        (
            budget(0, "workspace:default", "week"),
            "You have reached your workspace's API budget of $0.00 a week: nothing that costs",
            "server.",
        ),
    ],
    ids=["too dear at all", "nothing, for ever", "nothing, which no new week changes"],
)
async def test_what_else_is_told(given: str, begins: str, ends: str) -> None:
    async with bench(given) as at:
        message = told(await at.ask())
        assert message.startswith(begins)
        assert message.endswith(ends)


def refused(limit_nano: int, spent_nano: int, cost_nano: int) -> str:
    record = BudgetRecord(
        id="b", scope="key", scope_id="*", period="total", limit_nano=limit_nano, zone="UTC", is_hard=True,
        alerts=(), webhook=None, unknown_price="allow",
    )  # fmt: skip
    purse = Purse(budget_id="b", window_start=0, window_end=0, limit_nano=limit_nano, cost_nano=cost_nano)
    return refusal(record, purse, spent_nano).message


def test_amounts_are_told_as_exactly_as_it_takes() -> None:
    """Or the text would say that 0.0001 is more than 0.0001."""
    said = refused(100_000, 0, 104_000)
    assert said.startswith(
        "This request may cost up to $0.000104, which is more than your API key's API budget of $0.0001"
    )
    said = refused(1_000_000, 891_000, 131_000)
    assert "budget of $0.001 in all: $0.000891 of it is spent" in said
    assert "and this request may cost up to $0.000131." in said
    assert "budget of $20.00 in all: $19.88 of it is spent" in refused(20 * 10**9, 19_876_543_210, 480_000_000)


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


async def test_where_nobody_tells_what_a_request_cost_the_estimate_of_its_prompt_is_spent() -> None:
    """Pain 68: the upstream was asked, and broke off before it told of any usage."""
    async with bench(budget(0.002)) as at:
        at.upstream.status = 0
        assert [(await at.ask()).status for _ in range(2)] == [502, 502]
        prompt = len(call("up/dear").body) // 4
        assert list((await at.spent()).values()) == [2 * prompt * 3000]
        totals = await at.gateway.store.ledger.totals()
        assert (totals["requests"], totals["unpriced"]) == (2, 0)


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


async def test_a_clock_that_goes_back_over_midnight_gives_nobody_a_day_twice() -> None:
    """Each day counts what was spent in it, however often it comes."""
    async with bench(budget(0.002, "key:*")) as at:
        midnight = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
        statuses = []
        for second in (-60, 1, -30, 2, -1, 86_399, -86_401):
            at.now = midnight + second
            statuses.append((await at.ask()).status)
        assert statuses == [200, 200, 402, 402, 402, 402, 200]


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
    monkeypatch.setattr("dragoman.gateway.budgets.budgets.CATCH_UP_S", 0.001)
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
