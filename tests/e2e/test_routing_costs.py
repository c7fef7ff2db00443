"""What is paid for attempts that were not the answer, over real sockets: in the ledger, and in budgets."""

import asyncio
from typing import Any

import pytest
from canned import START, sse, then
from misbehaving import Conn, Handler, chunk, sse_head
from rawhttp import HELLO, error, exchange, json_bytes, post
from routed import answers, breaks_off, routed, stored
from serving import Serving, wait_until

PRICE_OF_A = '[prices."a/*"]\ninput = 2\noutput = 10\n'
PRICES = PRICE_OF_A + '[prices."b/*"]\ninput = 1\noutput = 5\n'
BUDGET = '[[budgets]]\nscope = "organization"\nusd = 1.0\nperiod = "day"\n'
ANSWERED = 7 * 1000 + 5 * 5000  # by b, as it tells
BODY: dict[str, Any] = {**HELLO, "model": "m", "max_tokens": 1000}


def asked_nano(body: dict[str, Any]) -> int:
    """Of a, for the prompt as it is estimated."""
    return len(json_bytes(body)) // 4 * 2000


def known_as_quick(server: Serving, name: str) -> None:
    now = server.gateway.clock()
    for stream in (False, True) * 5:
        pace = f"{name}/claude-opus-4-8", stream
        server.gateway.dispatch.speeds.note(pace, now, first_s=0.01, output_tokens=1, rest_s=None)


async def spent_nano(server: Serving) -> int:
    """Of the budget, as the counters have it; the ledger says the same, and nothing stays reserved."""
    rows = await stored(server)
    (kept,) = server.gateway.limits.counters.purses.values()  # type: ignore[attr-defined]
    assert (kept.reserved, kept.holders) == (0, 0)
    assert kept.spent == sum(row.cost_nano or 0 for row in rows)
    windows = {spent[1] for row in rows for spent in row.spent}
    for window in windows:
        assert await server.gateway.store.ledger.budget_spent(kept.budget_id, window) == kept.spent
    return int(kept.spent)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_who_loses_a_race_is_paid_for_the_prompt(stream: bool) -> None:
    body = {**BODY, "stream": stream}
    rule = f"hedge = true\n{BUDGET}{PRICES}"
    async with routed(rule, timeout_s=5.0, a=then(b""), b=answers("b")) as (server, _):
        known_as_quick(server, "a")
        assert (await exchange(server.url, post(body))).status == 200
        rows = {row.provider: row for row in await stored(server)}
        lost = rows["a"]
        assert (lost.outcome, lost.error, lost.is_estimated, lost.output_tokens) == ("abandoned", "hedged", True, 0)
        assert (lost.input_tokens, lost.cost_nano) == (asked_nano(body) // 2000, asked_nano(body))
        assert lost.price_source
        assert (rows["b"].cost_nano, rows["b"].is_estimated) == (ANSWERED, False)
        assert await spent_nano(server) == ANSWERED + asked_nano(body)
        assert server.gateway.ledger.unpriced == 0


async def test_who_loses_a_race_after_a_beginning_is_paid_for_what_it_told() -> None:
    """Its `message_start` tells the input, and the output so far."""
    begins = then(sse_head() + chunk(sse(START)))
    async with routed(f"hedge = true\n{BUDGET}{PRICES}", timeout_s=5.0, a=begins, b=answers("b")) as (server, _):
        known_as_quick(server, "a")
        assert (await exchange(server.url, post({**BODY, "stream": True}))).status == 200
        (lost,) = [row for row in await stored(server) if row.provider == "a"]
        assert (lost.input_tokens, lost.output_tokens, lost.is_estimated) == (7, 1, True)
        assert lost.cost_nano == 7 * 2000 + 10_000
        assert await spent_nano(server) == ANSWERED + 7 * 2000 + 10_000


async def test_without_a_price_the_cost_of_who_lost_is_not_known() -> None:
    priced = '[prices."b/*"]\ninput = 1\noutput = 5\n'
    async with routed(f"hedge = true\n{priced}", timeout_s=5.0, a=then(b""), b=answers("b")) as (server, _):
        known_as_quick(server, "a")
        await exchange(server.url, post(BODY))
        (lost,) = [row for row in await stored(server) if row.provider == "a"]
        assert (lost.cost_nano, lost.price_source, lost.is_estimated) == (None, "unknown", True)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("rule", ["", "hedge = true"], ids=["plain", "hedge"])
async def test_a_caller_who_leaves_before_anything_came_pays_for_the_prompt(rule: str, stream: bool) -> None:
    body = {**BODY, "stream": stream}
    async with routed(f"{rule}\n{BUDGET}{PRICES}", timeout_s=9.0, a=then(b""), b=then(b"")) as (server, upstreams):
        known_as_quick(server, "a")
        waiting = asyncio.create_task(exchange(server.url, post(body)))
        await upstreams["b" if rule else "a"].request()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await wait_until(lambda: server.running == 0)
        rows = {row.provider: row for row in await stored(server)}
        assert {name: row.cost_nano for name, row in rows.items()} == {
            name: asked_nano(body) // per for name, per in (("a", 1), ("b", 2))[: 2 if rule else 1]
        }
        assert all(row.is_estimated and row.outcome == "abandoned" for row in rows.values())
        assert await spent_nano(server) == sum(row.cost_nano or 0 for row in rows.values())


@pytest.mark.parametrize("failure", [then(b""), then(b"", and_then="reset")], ids=["too slow", "reset"])
async def test_who_never_answers_is_paid_for_the_prompt(failure: Handler) -> None:
    async with routed(f"attempts = 1\n{BUDGET}{PRICES}", a=failure, b=failure) as (server, _):
        error(await exchange(server.url, post(BODY)))
        (row,) = await stored(server)
        assert (row.provider, row.outcome, row.is_estimated, row.attempts) == ("a", "refused", True, 1)
        assert row.cost_nano == await spent_nano(server) == asked_nano(BODY)


async def test_who_was_asked_in_vain_is_paid_and_not_the_one_that_could_not_be_asked() -> None:
    """The second target cannot take it: what may have been charged was by the first."""
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    body = {**BODY, "messages": [{"role": "user", "content": [image]}]}
    rule = 'targets = ["a/claude-opus-4-8", "offline/claude-opus-4-8"]\nattempts = 1\n[providers.offline]\n'
    async with routed(f"{rule}{BUDGET}{PRICE_OF_A}", a=then(b"", and_then="reset")) as (server, _):
        assert (await exchange(server.url, post(body))).status == 502
        (row,) = await stored(server)
        assert (row.provider, row.cost_nano) == ("a", asked_nano(body))


async def test_a_refusal_costs_nothing() -> None:
    failing = {"a", "b"}
    rule = f"{BUDGET}{PRICES}"
    async with routed(rule, a=answers("a", failing=failing), b=answers("b", failing=failing)) as (server, _):
        error(await exchange(server.url, post(BODY)), 529)
        (row,) = await stored(server)
        assert (row.cost_nano, row.is_estimated) == (0, False)
        assert await spent_nano(server) == 0


async def test_the_parts_of_a_continued_answer_are_paid_each() -> None:
    """Also one that was asked to go on and was left before it told anything."""
    asked = asyncio.Event()

    async def never(conn: Conn) -> None:
        await conn.read_request()
        asked.set()
        await conn.wait_closed()

    rule = f"continue_cut = true\n{BUDGET}{PRICES}"
    async with routed(rule, timeout_s=9.0, a=breaks_off("One"), b=never) as (server, _):
        waiting = asyncio.create_task(exchange(server.url, post({**BODY, "stream": True})))
        await asked.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await wait_until(lambda: server.running == 0)
        rows = {row.provider: row for row in await stored(server)}
        assert (rows["a"].input_tokens, rows["a"].is_estimated) == (7, True)
        assert rows["b"].is_estimated
        assert rows["b"].cost_nano
        assert rows["b"].cost_nano > len(json_bytes(BODY)) // 4 * 1000, "it was asked with the text so far"
        assert await spent_nano(server) == sum(row.cost_nano or 0 for row in rows.values())
