"""Callers who hang up while several targets are behind a name, in each phase: what was begun upstream ends within a
second, hedged and queued requests too, and nothing stays taken (pain 27).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from canned import BLOCK, DELTA, START, envelope, sse, then
from misbehaving import Conn, Handler, Misbehaving, chunk, json_reply, sse_head
from rawhttp import HELLO, Wire, events, exchange, post
from relaying import BEGUN
from routed import answers, breaks_off, named, routed, stored
from serving import Serving, wait_until

ASKING = {**HELLO, "model": "m"}
STALLS = then(b"")
BUSY = then(json_reply(envelope(), ("retry-after", "4"), status=529), and_then="close")
LONG_S = 20.0  # no time-out of ours helps


class Books:
    """What the journal was told: which requests have begun upstream, and which have ended."""

    def __init__(self, server: Serving) -> None:
        self.open: set[str] = set()
        journal = server.gateway.journal
        assert journal is not None
        begin, end = journal.begin, journal.end

        def noted_begin(begun: Any) -> None:
            self.open.add(begun[0])
            begin(begun)

        def noted_end(request_id: str, values: tuple[object, ...]) -> None:
            self.open.discard(request_id)
            end(request_id, values)

        setattr(journal, "begin", noted_begin)  # noqa: B010 (a method)
        setattr(journal, "end", noted_end)  # noqa: B010


@asynccontextmanager
async def left_clean(
    rule: str, *, settings: str = "", each: str = "", keeps: str = "", **handlers: Handler
) -> AsyncIterator[tuple[Serving, dict[str, Misbehaving]]]:
    """When the body has ended all that was begun ends within a second, and nothing of it is left. To the upstream
    `keeps`, which answers well, connections are kept open."""
    async with routed(rule, settings=settings, each=each, timeout_s=LONG_S, **handlers) as (server, upstreams):
        books = Books(server)
        yield server, upstreams
        left = [each for name, each in upstreams.items() if name != keeps]
        await wait_until(lambda: all(each.open_conns == 0 for each in left), within_s=1.0)
        await wait_until(lambda: server.running == 0, within_s=1.0)
        await server.settled()
        dispatch = server.gateway.dispatch
        assert not any(dispatch._running.values())
        assert not any(each.running or each._waiting for each in dispatch.places._capacities.values())
        assert not server.gateway.replies._flights
        assert books.open == set()
        ids = [row["request_id"] for row in server.rows]
        assert len(ids) == len(set(ids)), "one row each"


def asking(**more: Any) -> bytes:
    return post({**ASKING, **more})


def leave(wire: Wire, how: str) -> None:
    wire.reset() if how == "reset" else wire.close()


@pytest.fixture(params=["close", "reset"])
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[False, True], ids=["whole", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


PHASES = {
    "no headers": b"",
    "half the headers": sse_head()[:30],
    "no content": sse_head(),
    "message_start": sse_head() + chunk(sse(START)),
    "mid-stream": BEGUN,
}
RULES = ["", "hedge = true", "continue_cut = true", "cache_s = 60", "hedge = true\ncontinue_cut = true\ncache_s = 60"]


@pytest.mark.parametrize("rule", RULES, ids=["plain", "hedge", "continue", "cache", "all"])
@pytest.mark.parametrize("phase", PHASES)
async def test_a_stream_of_the_first_target(phase: str, rule: str, how: str) -> None:
    sent = PHASES[phase]
    async with left_clean(rule, a=then(sent), b=answers("b")) as (server, upstreams):
        async with await Wire.connect(server.url) as wire:
            await wire.send(asking(stream=True))
            await upstreams["a"].request()
            if sent is BEGUN:
                await wire.until(sse(DELTA))
            leave(wire, how)
        await upstreams["a"].hang_up()
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["abandoned"]
        assert upstreams["b"].requests == []


async def test_the_second_target_after_the_first_has_failed(stream: bool, how: str) -> None:
    async with left_clean("", a=BUSY, b=STALLS) as (server, upstreams):
        async with await Wire.connect(server.url) as wire:
            await wire.send(asking(stream=stream))
            await upstreams["b"].request()
            leave(wire, how)
        await upstreams["b"].hang_up()


@pytest.mark.parametrize("settings", ["", "ping_after_s = 0.05"], ids=["held", "pings"])
async def test_the_pause_between_attempts(settings: str, stream: bool, how: str) -> None:
    """Both ask to come again in four seconds: nobody is asked when the caller has gone."""
    async with left_clean("attempts = 4", settings=settings, a=BUSY, b=BUSY) as (server, upstreams):
        async with await Wire.connect(server.url) as wire:
            await wire.send(asking(stream=stream))
            await upstreams["b"].request()
            if settings and stream:
                await wire.until(b"event: ping")
            await wait_until(lambda: upstreams["b"].open_conns == 0)
            leave(wire, how)
        await wait_until(lambda: len(server.rows) == 1, within_s=1.0)
        assert server.rows[0]["outcome"] == "abandoned"
        assert sum(len(each.requests) for each in upstreams.values()) == 2


@pytest.mark.parametrize("sent", [b"", sse_head() + chunk(sse(START))], ids=["nothing", "message_start"])
async def test_a_stream_that_has_begun_with_pings(sent: bytes, how: str) -> None:
    async with left_clean("", settings="ping_after_s = 0.05", a=then(sent), b=answers("b")) as (server, upstreams):
        async with await Wire.connect(server.url) as wire:
            await wire.send(asking(stream=True))
            await wire.until(b"event: ping")
            leave(wire, how)
        await upstreams["a"].hang_up()
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["abandoned"]


def quick(server: Serving, name: str) -> None:
    now = server.gateway.clock()
    for stream in (False, True) * 5:
        pace = f"{name}/claude-opus-4-8", stream
        server.gateway.dispatch.speeds.note(pace, now, first_s=0.01, output_tokens=1, rest_s=None)


async def test_both_of_a_race(stream: bool, how: str) -> None:
    async with left_clean("hedge = true", a=STALLS, b=STALLS) as (server, upstreams):
        quick(server, "a")
        async with await Wire.connect(server.url) as wire:
            await wire.send(asking(stream=stream))
            await upstreams["b"].request()
            leave(wire, how)
        await asyncio.gather(upstreams["a"].hang_up(), upstreams["b"].hang_up())
        await server.settled()
        assert [row["outcome"] for row in server.rows] == ["abandoned"] * 2


async def test_the_winner_of_a_race(how: str) -> None:
    async with left_clean("hedge = true", a=STALLS, b=then(BEGUN)) as (server, upstreams):
        quick(server, "a")
        async with await Wire.connect(server.url) as wire:
            await wire.send(asking(stream=True))
            await wire.until(sse(DELTA))
            await upstreams["a"].hang_up()
            leave(wire, how)
        await upstreams["b"].hang_up()


async def test_who_goes_on_has_not_begun(how: str) -> None:
    async with left_clean("continue_cut = true", a=breaks_off("One"), b=STALLS) as (server, upstreams):
        async with await Wire.connect(server.url) as wire:
            await wire.send(asking(stream=True))
            await upstreams["b"].request()
            leave(wire, how)
        await upstreams["b"].hang_up()
        await server.settled()
        rows = {row["request_id"].partition(".")[2]: row for row in server.rows}
        assert (rows["2"]["outcome"], rows["2"]["error"]) == ("abandoned", "continued")
        assert rows[""]["outcome"] == "abandoned"


async def test_the_pause_before_another_goes_on(how: str) -> None:
    rule = "continue_cut = true\nattempts = 4"
    async with left_clean(rule, a=breaks_off("One"), b=BUSY) as (server, upstreams):
        server.gateway.dispatch._sleep = never_when_paused
        async with await Wire.connect(server.url) as wire:
            await wire.send(asking(stream=True))
            await upstreams["b"].request()
            await wait_until(lambda: upstreams["b"].open_conns == 0)
            leave(wire, how)
        await wait_until(lambda: server.running == 0, within_s=1.0)


async def never_when_paused(pause_s: float) -> None:
    if pause_s:
        await asyncio.Event().wait()


async def test_who_goes_on_has_begun(how: str) -> None:
    begun = sse_head() + chunk(sse(START, BLOCK, {**DELTA, "delta": {"type": "text_delta", "text": " two"}}))
    async with left_clean("continue_cut = true", a=breaks_off("One"), b=then(begun)) as (server, upstreams):
        async with await Wire.connect(server.url) as wire:
            await wire.send(asking(stream=True))
            await wire.until(b" two")
            leave(wire, how)
        await upstreams["b"].hang_up()
        await server.settled()
        rows = {row["request_id"].partition(".")[2]: row for row in server.rows}
        assert (rows["2"]["target"], rows["2"]["outcome"]) == ("a/claude-opus-4-8", "cut")
        assert (rows[""]["target"], rows[""]["outcome"]) == ("b/claude-opus-4-8", "abandoned")


# A place of the provider, of its model, and of both, where those of the model are fewer.
PLACES = {
    "provider": ("a", "max_concurrent = 1\nqueue = 2", ""),
    "model": ("a/claude-opus-4-8", "", '[providers.a.models."claude-opus-4-8"]\nmax_concurrent = 1\nqueue = 2'),
    "both": (
        "a/claude-opus-4-8",
        "max_concurrent = 2\nqueue = 2",
        '[providers.a.models."claude-opus-4-8"]\nmax_concurrent = 1\nqueue = 2',
    ),
}


@pytest.mark.parametrize(("name", "each", "rule"), PLACES.values(), ids=PLACES)
async def test_a_place_in_the_queue(stream: bool, how: str, name: str, each: str, rule: str) -> None:
    async with left_clean(rule, each=each, a=STALLS) as (server, upstreams):
        async with await Wire.connect(server.url) as first:
            await first.send(asking(stream=stream))
            await upstreams["a"].request()
            capacity = server.gateway.dispatch.places._capacities[name]
            async with await Wire.connect(server.url) as second:
                await second.send(asking(stream=stream))
                await wait_until(lambda: len(capacity._waiting) == 1)
                leave(second, how)
            await wait_until(lambda: not capacity._waiting, within_s=1.0)
            async with await Wire.connect(server.url) as third:  # and who comes next gets the place
                await third.send(asking(stream=stream))
                await wait_until(lambda: len(capacity._waiting) == 1)
                leave(first, how)
                await upstreams["a"].request(1)
                leave(third, how)
        rows = await stored(server)
        assert [row.outcome for row in rows] == ["abandoned"] * 3
        waited = [row for row in rows if row.queue_us]  # also in vain
        assert len(waited) == 2
        assert sorted(row.attempts for row in waited) == [0, 1]


async def test_what_was_continued_gives_its_place_to_who_goes_on() -> None:
    """Both targets are of one provider, which has one place."""
    texts = ["One"]

    async def handler(conn: Conn) -> None:
        await (breaks_off(texts.pop()) if texts else answers("a"))(conn)

    rule = 'continue_cut = true\ntargets = ["a/claude-opus-4-8", "a/claude-sonnet-4-6"]'
    async with left_clean(rule, each="max_concurrent = 1\nqueue = 0", keeps="a", a=handler) as (server, _):
        answered = await exchange(server.url, asking(stream=True))
        told = events(answered.body)
        assert "".join(data["delta"]["text"] for name, data in told if name == "content_block_delta") == "OneI am a"


async def test_the_wait_for_anothers_reply(stream: bool, how: str) -> None:
    """Who waits for the reply to the very same request leaves alone; the other one goes on, and is heard."""
    go = asyncio.Event()

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await go.wait()
        await conn.send(json_reply(named("a"), ("connection", "close")) if not stream else BEGUN)
        await conn.wait_closed()

    async with left_clean("cache_s = 60", a=handler) as (server, upstreams):
        async with await Wire.connect(server.url) as first, await Wire.connect(server.url) as second:
            await first.send(asking(stream=stream))
            await upstreams["a"].request()
            await second.send(asking(stream=stream))
            await wait_until(lambda: server.running == 2)
            leave(second, how)
            await wait_until(lambda: server.running == 1, within_s=1.0)
            go.set()
            await first.until(b"I am a" if not stream else sse(DELTA))
        assert len(upstreams["a"].requests) == 1


async def test_who_waits_for_anothers_stream_gets_pings() -> None:
    async with left_clean("cache_s = 60", settings="ping_after_s = 0.05", a=then(BEGUN)) as (server, upstreams):
        async with await Wire.connect(server.url) as first, await Wire.connect(server.url) as second:
            await first.send(asking(stream=True))
            await upstreams["a"].request()
            await second.send(asking(stream=True))
            await second.until(b"event: ping")
        assert len(upstreams["a"].requests) == 1


@pytest.mark.parametrize("rule", RULES, ids=["plain", "hedge", "continue", "cache", "all"])
async def test_eighty_callers_who_leave_at_any_moment_leave_nothing(rule: str) -> None:
    async def slow(conn: Conn) -> None:
        while await conn.read_request() is not None:
            for piece in (sse_head(), chunk(sse(START, BLOCK)), chunk(sse(DELTA)), b""):
                await asyncio.sleep(0.001)
                await conn.send(piece)
            return

    async with left_clean(rule, keeps="c", a=slow, b=slow, c=answers("c")) as (server, _):
        quick(server, "a")

        async def leave_after(turns: int) -> None:
            async with await Wire.connect(server.url) as wire:
                await wire.send(asking(stream=turns % 3 > 0, max_tokens=10 + turns % 7))
                for _ in range(turns):
                    await asyncio.sleep(0.0005)
                leave(wire, "reset" if turns % 2 else "close")

        for turns in range(0, 80, 20):
            await asyncio.gather(*(leave_after(turns + more) for more in range(20)))
        await server.settled()
        assert len([row for row in server.rows if "." not in row["request_id"]]) <= 80
