"""Replies that are given again because the caller's key asks for that, over real sockets, whatever model is asked."""

import asyncio
from typing import Any

import pytest
from canned import then
from fakes import FAKES
from misbehaving import Conn, json_reply
from rawhttp import HELLO, Reply, exchange, post
from routed import FAILURES, answers, named, routed, stored
from serving import Serving, wait_until

from dragoman.store.keys import KeyChanges
from dragoman.store.organization import WorkspaceRecord

PRICES = '[prices."a/*"]\ninput = 1\noutput = 5\n'
DIRECT = "a/claude-opus-4-8"  # no route is configured for it
TOOL = {"name": "t", "input_schema": {"type": "object"}}


async def key_of(server: Serving, cache_s: int | None = 60, **terms: Any) -> str:
    key, _ = await server.gateway.auth.create("cached", terms=KeyChanges(cache_s=cache_s, **terms))
    return key


async def ask(server: Serving, key: str, **more: Any) -> Reply:
    answered = await exchange(server.url, post({**HELLO, "model": DIRECT, **more}, key=key))
    await server.settled()
    return answered


def told(answered: Reply) -> str | None:
    assert answered.status == 200, answered.body
    return answered.header("dragoman-cache")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", [DIRECT, "claude-opus-4-8", "m"], ids=["provider/model", "first provider", "route"])
async def test_a_key_with_a_cache_is_answered_once(model: str, stream: bool) -> None:
    """And the second time it costs nothing."""
    async with routed(PRICES, a=answers("a")) as (server, upstreams):
        key = await key_of(server)
        first, again = [await ask(server, key, model=model, stream=stream) for _ in range(2)]
        assert (told(first), told(again)) == ("miss", "hit")
        assert len(upstreams["a"].requests) == 1
        assert first.header("content-type") == again.header("content-type")
        ids = [each.body.partition(b'"id":')[2].split(b'"')[1] for each in (first, again)]
        assert ids[0] != ids[1]
        assert first.body.replace(ids[0], b"") == again.body.replace(ids[1], b"")
        hit, miss = await stored(server)
        assert (hit.cost_nano, hit.price_source, hit.input_tokens, hit.output_tokens) == (0, "cache", 0, 0)
        assert (miss.cost_nano, miss.input_tokens, miss.output_tokens) == (7 * 1000 + 5 * 5000, 7, 5)


async def test_of_several_targets_the_attempts_are_told_and_are_none() -> None:
    async with routed("", bad=FAILURES["529"], a=answers("a")) as (server, _):
        key = await key_of(server)
        asked = [await ask(server, key, model="m") for _ in range(2)]
        assert [each.header("dragoman-attempts") for each in asked] == ["2", "0"]


async def test_another_dialect_is_kept_too() -> None:
    with FAKES["openai_chat"].make() as fake:
        table = FAKES["openai_chat"].table.format(fake=fake)
        async with routed(f'targets = ["fake/gpt-4o"]\n[providers.fake]\n{table}\n') as (server, _):
            key = await key_of(server)
            assert [told(await ask(server, key, model="fake/gpt-4o")) for _ in range(2)] == ["miss", "hit"]
            assert len(fake.bodies) == 1


async def test_the_engine_is_kept_too() -> None:
    async with Serving(toml="[providers.offline]\n") as server:
        key = await key_of(server)
        asked = [await ask(server, key, model="claude-opus-4-8", stream=stream) for stream in (False, True) * 2]
        assert [told(each) for each in asked] == ["miss", "miss", "hit", "hit"]


@pytest.mark.parametrize(
    ("rule", "cache_s", "expected"),
    [
        ("", None, [None, None]),
        ("cache_s = 0", 60, [None, None]),
        ("cache_s = 60", None, ["miss", "hit"]),
        ("cache_s = 60", 1, ["miss", "hit"]),
    ],
)
async def test_what_a_route_says_goes_before_what_the_key_says(
    rule: str, cache_s: int | None, expected: list[str | None]
) -> None:
    async with routed(rule, a=answers("a")) as (server, _):
        key = await key_of(server, cache_s)
        now = server.gateway.clock()
        first = told(await ask(server, key, model="m"))
        server.gateway.replies._clock = lambda: now + 30.0
        assert [first, told(await ask(server, key, model="m"))] == expected


async def test_a_reply_is_no_older_than_the_key_allows() -> None:
    """Whoever's reply it is."""
    async with routed("", a=answers("a")) as (server, upstreams):
        long, short, none = [await key_of(server, cache_s) for cache_s in (3600, 10, None)]
        assert told(await ask(server, long)) == "miss"
        assert told(await ask(server, short)) == "hit"
        assert told(await ask(server, none)) is None
        later = server.gateway.clock() + 60.0
        server.gateway.replies._clock = lambda: later
        assert told(await ask(server, long)) == "hit"
        assert told(await ask(server, short)) == "miss"
        assert len(upstreams["a"].requests) == 3


async def test_workspaces_share_nothing() -> None:
    async with routed("", a=answers("a")) as (server, upstreams):
        made = server.gateway.auth
        record = WorkspaceRecord(id="wrkspc_other", name="other", display_color="#fff", created_at=made._now())
        await server.gateway.store.organization.add_workspace(record)
        ours, theirs = await key_of(server), await key_of(server, workspace_id="wrkspc_other")
        assert [told(await ask(server, key)) for key in (ours, theirs, ours, theirs)] == ["miss", "miss", "hit", "hit"]
        assert len(upstreams["a"].requests) == 2


async def test_tools_are_asked_each_time() -> None:
    async with routed("", a=answers("a")) as (server, upstreams):
        key = await key_of(server)
        assert [told(await ask(server, key, tools=[TOOL])) for _ in range(2)] == [None, None]
        assert len(upstreams["a"].requests) == 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_of_many_equal_requests_one_is_asked(stream: bool) -> None:
    async with routed("", a=answers("a")) as (server, upstreams):
        body = {**HELLO, "model": DIRECT, "stream": stream}
        key = await key_of(server)
        replies = await asyncio.gather(*(exchange(server.url, post(body, key=key)) for _ in range(20)))
        assert sorted(told(each) or "" for each in replies) == ["hit"] * 19 + ["miss"]
        assert len(upstreams["a"].requests) == 1


async def test_a_failure_is_not_kept_and_nobody_waits_for_it() -> None:
    failing = {"a"}
    async with routed("", a=answers("a", failing=failing)) as (server, _):
        key = await key_of(server)
        assert [(await ask(server, key)).status for _ in range(2)] == [529, 529]
        failing.clear()
        assert [told(await ask(server, key)) for _ in range(2)] == ["miss", "hit"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_who_leaves_closes_the_upstream_and_the_next_one_asks(stream: bool) -> None:
    came = asyncio.Event()

    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            if came.is_set():
                await conn.send(json_reply(named("a")))
            else:
                came.set()
                await conn.wait_closed()

    async with routed("", timeout_s=9.0, a=handler) as (server, upstreams):
        key = await key_of(server)
        waiting = asyncio.create_task(exchange(server.url, post({**HELLO, "model": DIRECT, "stream": stream}, key=key)))
        await came.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await wait_until(lambda: upstreams["a"].open_conns == 0, within_s=1.0)
        assert told(await ask(server, key)) == "miss"
        assert not server.gateway.replies._flights


async def test_a_stalled_stream_that_is_kept_gets_pings() -> None:
    async with routed("", settings="ping_after_s = 0.02", timeout_s=0.2, a=then(b"")) as (server, _):
        answered = await ask(server, await key_of(server), stream=True)
        assert answered.status == 200
        assert b"event: ping" in answered.body
        assert b"event: error" in answered.body


async def test_a_change_is_heeded() -> None:
    async with routed("", a=answers("a")) as (server, _):
        auth = server.gateway.auth
        key, record = await auth.create("one")
        asked = [told(await ask(server, key))]
        for cache_s in (60, None):
            await auth.update(record.id, KeyChanges(cache_s=cache_s))
            asked += [told(await ask(server, key)) for _ in range(2)]
        assert asked == [None, "miss", "hit", None, None]
