"""What counters in Redis have to keep besides the sums: leases, a server that goes away and comes back, secrets.

On a real Redis. Where time matters it is a number, on Redis's side too; a wait is for something that happens.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis_server import ESCAPED, PASSWORD, RedisServer

from dragoman.errors import ConfigError, StoreError
from dragoman.store import redis_pump
from dragoman.store.buckets import DAY_S
from dragoman.store.counters import Demand, Gate, Order, Purse, Taking
from dragoman.store.redis import RedisCounters
from dragoman.store.redis_urls import RedisURL, check_redis, redis_name, shown_redis

TURNS = 5000  # of a few milliseconds: what is waited for comes long before
CENT = 10_000_000  # nano-dollars


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def until(is_so: Callable[[], bool]) -> None:
    for _ in range(TURNS):
        if is_so():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never was so")


@asynccontextmanager
async def counters(url: str, **options: Any) -> AsyncIterator[RedisCounters]:
    opened = RedisCounters(url, **{"answer_s": 30.0, **options})
    await opened.open()
    yield opened
    await opened.aclose()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs of life are given, and a lost server is tried for, without much ado."""
    monkeypatch.setattr(redis_pump, "BEAT_S", 0.02)
    monkeypatch.setattr(redis_pump, "RETRY_S", (0.01,))


@pytest.fixture
def mended(redis_server: RedisServer) -> Iterator[RedisServer]:
    """One that a test may stop or freeze: afterwards it runs."""
    yield redis_server
    redis_server.stop()
    redis_server.start()


def purse(cost: int = CENT, limit: int | None = 10 * CENT) -> Purse:
    return Purse("budget_1", 0, 0, limit, cost)


def order(number: int, **wants: Any) -> Order:
    return Order(f"req_{number}", **wants)


def one(limit: int = 100) -> Demand:
    """So slowly refilled that nothing comes back in a test."""
    return Demand("k", limit, 1, 1, DAY_S)


async def passing(shared: RedisCounters, orders: list[Order]) -> list[Taking]:
    return [taking for each in orders if (taking := await shared.take(each, 0.0)).is_taken]


# -- leases --


async def test_what_a_dead_process_held_is_given_back(redis_url: str) -> None:
    """Issue 7: places and reserved money, not what was taken of buckets."""
    clock = Clock()
    wants: dict[str, Any] = {"demands": [one(3)], "gates": [Gate("g", 2)], "purses": [purse(5 * CENT)]}
    async with counters(redis_url, clock=clock) as living, counters(redis_url, clock=clock) as dying:
        await dying.set_spent(purse(), 0)
        assert len(await passing(dying, [order(number, **wants) for number in range(3)])) == 2
        refused = await living.take(order(9, **wants), 0.0)
        assert (refused.crowded, refused.broke) == (0, 0)
        clock.now += 60
        for command in dying._renewals():
            await dying._pump.ask(command)
        clock.now += 60  # after its last sign of life
        assert not (await living.take(order(10, **wants), 0.0)).is_taken
        clock.now += 20
        taking = await living.take(order(11, **wants), 0.0)
        assert (taking.is_taken, list(taking.spent_nano)) == (True, [5 * CENT])
        assert not any((await living.take(order(12, demands=[one(3)]), 0.0)).shares)


async def test_what_comes_back_to_life_settles_what_it_spent(redis_url: str) -> None:
    """Its lease is over, but the money is gone all the same."""
    clock = Clock()
    async with counters(redis_url, clock=clock) as shared:
        await shared.set_spent(purse(), 0)
        taking = await shared.take(order(1, gates=[Gate("g", 1)], purses=[purse()]), 0.0)
        clock.now += 100
        other = await shared.take(order(2, gates=[Gate("g", 1)], purses=[purse()]), 0.0)
        assert (other.is_taken, list(other.spent_nano)) == (True, [CENT])
        shared.settle(taking, [], 7, 0.0)
        seen = await shared.take(order(3, purses=[purse(0)]), 0.0)
        assert list(seen.spent_nano) == [CENT + 7]
        assert (await shared.take(order(4, gates=[Gate("g", 1)]), 0.0)).crowded == 0


async def test_kill_9_gives_places_and_money_back(redis_url: str) -> None:
    """Issue 7, with a real process and Redis's own clock."""
    program = """
import asyncio, sys
from dragoman.store.counters import Gate, Order, Purse
from dragoman.store.redis import RedisCounters

async def main():
    counters = RedisCounters(sys.argv[1], answer_s=30.0, lease_s=1)
    await counters.open()
    await counters.set_spent(Purse("budget_1", 0, 0, 100, 100), 0)
    taking = await counters.take(Order("req_1", gates=[Gate("g", 1)], purses=[Purse("budget_1", 0, 0, 100, 100)]), 0.0)
    print(taking.is_taken, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, redis_url, stdout=PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"True\n"
    process.kill()
    await process.wait()
    wants: dict[str, Any] = {"gates": [Gate("g", 1)], "purses": [Purse("budget_1", 0, 0, 100, 100)]}
    async with counters(redis_url) as shared:
        for number in range(TURNS):
            if (await shared.take(order(number + 2, **wants), 0.0)).is_taken:
                return
            await asyncio.sleep(0.005)
    raise AssertionError("it was never given back")


async def test_who_does_not_wait_for_the_answer_holds_nothing(redis_url: str) -> None:
    """A caller who hangs up while his request is asked for."""
    async with counters(redis_url) as shared:
        await shared.set_spent(purse(), 0)
        wants: dict[str, Any] = {"demands": [one(1)], "gates": [Gate("g", 1)], "purses": [purse(10 * CENT)]}
        for number in range(30):
            asking = asyncio.create_task(shared.take(order(number, **wants), 0.0))
            for _ in range(number % 10):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            if not asking.cancelled() and asking.result().is_taken:
                shared.settle(asking.result(), [0], 0, 0.0)
        for number in range(30, 40):  # the first of them may have gone out together with the last of those
            if (await shared.take(order(number, **wants), 0.0)).is_taken:
                return
        raise AssertionError("somebody holds it")


# -- Redis is away --


@pytest.mark.usefixtures("quick")
async def test_without_redis_each_process_gives_its_part(
    redis_url: str, mended: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Issue 7, point 3: it goes on, at 1/N of each limit, says so once, and comes back by itself."""
    async with counters(redis_url) as shared, counters(redis_url) as other:
        await until(lambda: shared.processes == 2)
        mended.stop()
        wants: dict[str, Any] = {"demands": [one()], "gates": [Gate("g", 60)]}
        takings = await passing(shared, [order(number, **wants) for number in range(200)])
        assert len(takings) == 30  # of the gate
        for each in takings:
            shared.settle(each, [1], None, 0.0)
        takings += await passing(shared, [order(number, demands=[one()]) for number in range(200, 400)])
        assert len(takings) == 50
        assert (shared.is_away, shared.times_away, shared.taken_locally) == (True, 1, 400)
        await until(lambda: other.is_away)
        mended.start()
        await until(lambda: not (shared.is_away or other.is_away))
        assert len(await passing(shared, [order(number, demands=[one()]) for number in range(150)])) == 100
        assert not await passing(other, [order(500, demands=[one()])])
        said = [each.message for each in caplog.records if each.name == "dragoman.counters"]
    for counted in (shared, other):
        assert counted.times_away == 1
    assert [sum(what in each for each in said) for what in ("is away: ", f"{mended.port} is back")] == [2, 2]
    assert "Until it is back, this process gives 1/2 of each limit" in said[0]
    assert not any(secret in each for each in said for secret in (PASSWORD, ESCAPED))


async def test_one_that_says_nothing_any_more_is_away_too(redis_url: str, mended: RedisServer) -> None:
    """A stopped machine keeps its connections: nobody waits for it but those who were asking."""
    async with counters(redis_url, answer_s=1.0) as shared:
        assert len(await passing(shared, [order(1, demands=[one()])])) == 1
        mended.freeze()
        takings = await asyncio.gather(*(shared.take(order(n, demands=[one(10)]), 0.0) for n in range(20)))
        assert sum(each.is_taken for each in takings) == 10
        assert shared.is_away
        mended.thaw()
        await until(lambda: not shared.is_away)


async def test_requests_may_be_refused_instead(redis_url: str, mended: RedisServer) -> None:
    """`without_counters = "refuse"`."""
    async with counters(redis_url, when_away="refuse") as shared:
        mended.stop()
        for _ in range(3):
            with pytest.raises(StoreError, match=r"^Redis at 127\.0\.0\.1:[0-9]+ is away$"):
                await shared.take(order(1, demands=[one()]), 0.0)
        with pytest.raises(StoreError):
            await shared.set_spent(purse(), 0)
        assert shared.refused == 4
        mended.start()
        await until(lambda: not shared.is_away)
        assert (await shared.take(order(2, demands=[one()]), 0.0)).is_taken


async def test_a_start_without_redis(redis_url: str, mended: RedisServer) -> None:
    mended.stop()
    async with counters(redis_url) as shared:
        assert shared.is_away
        assert (await shared.take(order(1, demands=[one()]), 0.0)).is_taken
        mended.start()
        await until(lambda: not shared.is_away)


@pytest.mark.usefixtures("quick")
async def test_a_redis_that_comes_back_empty_asks_for_what_was_spent(redis_url: str, mended: RedisServer) -> None:
    """The ledger knows what was spent; what runs on has reserved its part again."""
    async with counters(redis_url) as shared:
        await shared.set_spent(purse(), 3 * CENT)
        running = await shared.take(order(1, gates=[Gate("g", 1)], purses=[purse(2 * CENT)]), 0.0)
        mended.stop()
        away = await shared.take(order(2, purses=[purse()]), 0.0)
        assert list(away.unknown) == [0]
        await shared.set_spent(purse(), 3 * CENT)
        away = await shared.take(order(2, purses=[purse()]), 0.0)
        shared.settle(away, [], CENT, 0.0)  # and is in the ledger
        mended.start()
        await until(lambda: not shared.is_away)
        assert list((await shared.take(order(3, purses=[purse()]), 0.0)).unknown) == [0]
        await shared.set_spent(purse(), 4 * CENT)
        assert (await shared.take(order(4, gates=[Gate("g", 1)]), 0.0)).crowded == 0
        spent: list[int] = []
        for number in range(TURNS):
            seen = await shared.take(order(5 + number, purses=[purse(0)]), 0.0)
            shared.settle(seen, [], 0, 0.0)
            spent = list(seen.spent_nano)
            if spent == [6 * CENT]:
                break
            await asyncio.sleep(0.005)
        assert spent == [6 * CENT]
        shared.settle(running, [], CENT, 0.0)
        seen = await shared.take(order(TURNS + 9, purses=[purse(0)]), 0.0)
        assert list(seen.spent_nano) == [5 * CENT]


@pytest.mark.usefixtures("quick")
async def test_what_was_settled_meanwhile_is_told_to_a_redis_that_has_forgotten_nothing(
    redis_url: str, mended: RedisServer
) -> None:
    """A network that was cut: once, and not twice."""
    async with counters(redis_url, answer_s=1.0) as shared:
        await shared.set_spent(purse(), 0)
        held = [await shared.take(order(n, gates=[Gate("g", 9)], purses=[purse()]), 0.0) for n in range(4)]
        mended.freeze()
        shared.settle(held[0], [], CENT, 0.0)  # sent, and nobody says what came of it
        await until(lambda: shared.is_away)
        shared.settle(held[1], [], CENT, 0.0)
        await shared.set_spent(purse(), CENT)
        local = await shared.take(order(9, purses=[purse()]), 0.0)
        shared.settle(local, [], CENT, 0.0)
        mended.thaw()
        await until(lambda: not shared.is_away)
        shared.settle(held[2], [], CENT, 0.0)
        seen = await shared.take(order(10, purses=[purse(0)]), 0.0)
        assert list(seen.spent_nano) == [5 * CENT]  # four have spent theirs, one is running
        gate = await asyncio.gather(*(shared.take(order(20 + n, gates=[Gate("g", 9)]), 0.0) for n in range(9)))
        assert sum(each.is_taken for each in gate) == 8  # those that have left are out
        shared.settle(held[3], [], 0, 0.0)
        seen = await shared.take(order(11, purses=[purse(0)]), 0.0)
        assert list(seen.spent_nano) == [4 * CENT]


async def test_what_is_settled_last_gets_through_before_the_end(redis_url: str) -> None:
    async with counters(redis_url) as ending:
        await ending.set_spent(purse(), 0)
        for number in range(50):
            taking = await ending.take(order(number, gates=[Gate("g", 1)], purses=[purse()]), 0.0)
            ending.settle(taking, [], 1, 0.0)
    async with counters(redis_url) as shared:
        seen = await shared.take(order(99, gates=[Gate("g", 1)], purses=[purse(0)]), 0.0)
        assert (seen.is_taken, list(seen.spent_nano)) == (True, [50])
        assert (ending.dropped, shared.processes) == (0, 1)


async def test_scripts_that_redis_has_forgotten_are_loaded_again(redis_url: str, redis_server: RedisServer) -> None:
    async with counters(redis_url) as shared:
        assert redis_server.command("SCRIPT", "FLUSH") == b"+OK\r\n"
        takings = await asyncio.gather(*(shared.take(order(n, demands=[one(5)]), 0.0) for n in range(9)))
        assert sum(each.is_taken for each in takings) == 5
        assert shared.times_away == 0


async def test_one_that_takes_nothing_is_away(redis_url: str, redis_server: RedisServer) -> None:
    """Out of memory, or read-only: it answers, but does not do its work."""
    async with counters(redis_url) as shared:
        try:
            redis_server.command("CONFIG", "SET", "maxmemory", "1")
            taking = await shared.take(order(1, demands=[one()]), 0.0)
            assert (taking.is_taken, shared.times_away) == (True, 1)
        finally:
            redis_server.command("CONFIG", "SET", "maxmemory", "0")
        await until(lambda: not shared.is_away)


async def test_keys_expire_by_themselves_and_lie_in_one_slot(redis_url: str, redis_server: RedisServer) -> None:
    async with counters(redis_url) as shared:
        await shared.set_spent(purse(), 0)
        await shared.take(order(1, demands=[one()], gates=[Gate("g", 1)], purses=[purse()]), 0.0)
        script = (
            "local bad = {} for _, key in ipairs(redis.call('KEYS', '*')) do "
            "if redis.call('TTL', key) < 0 or key:sub(1, 11) ~= '{dragoman}:' then bad[#bad + 1] = key end end "
            "return table.concat(bad, ' ') .. ' of ' .. #redis.call('KEYS', '*')"
        )
        assert redis_server.command("EVAL", script, "0").split(b"\r\n")[1] == b"{dragoman}:born of 6"


# -- URLs and secrets --


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://cache", "redis://cache"),
        ("redis://cache:6380/3", "redis://cache:6380/3"),
        ("rediss://user:secret@cache.example:6380/0?ssl_cert_reqs=none", "rediss://cache.example:6380/0"),
        ("redis://:secret@[::1]:6379", "redis://[::1]:6379"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("unix://user:secret@/run/redis.sock?db=2", "unix:///run/redis.sock"),
    ],
)
def test_urls_are_shown_without_what_is_secret(url: str, shown: str) -> None:
    assert check_redis(url) is None
    assert shown_redis(url) == shown
    assert "secret" not in repr(RedisURL(url))
    assert redis_name(url) == f"Redis at {shown.partition('://')[2]}"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("cache:6379", "is not one of a Redis"),
        ("postgresql://cache", "is not one of a Redis"),
        ("redis://", "has no host"),
        ("redis://user:p@ss@cache", "has no host, or an @"),
        ("redis://:p/w@cache", "has no host, or an @"),
        ("redis://:p%zz@cache", "has a % that begins"),
        ("redis://cache:0", "has no port from 1"),
        ("redis://cache:99999", "has no port from 1"),
        ("redis://cache/x", "has no host, or an @"),
        ("redis://cache?ssl_ca_certs", "has something behind its ? that"),
        ("redis://cache?db=1&decode_responses=yes", "has something behind its ? that"),
        ("redis://ca che", "has a space"),
    ],
)
def test_what_is_wrong_with_a_url_is_told(url: str, why: str) -> None:
    assert (check_redis(url) or "").startswith(why)


async def test_a_wrong_password_is_told_at_start(redis_server: RedisServer) -> None:
    refused = RedisCounters(f"redis://:not-the-secret@127.0.0.1:{redis_server.port}", answer_s=30.0)
    with pytest.raises(ConfigError, match="it refuses the user or the password") as caught:
        await refused.open()
    assert "secret" not in str(caught.value)
    nobody = RedisCounters(f"redis://127.0.0.1:{redis_server.port}", answer_s=30.0)
    with pytest.raises(ConfigError, match="it refuses the user or the password"):
        await nobody.open()


def test_without_the_package_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigError, match=r"pip install 'dragoman\[redis\]'"):
        RedisCounters("redis://cache")


def test_a_url_that_the_package_refuses_is_not_repeated() -> None:
    with pytest.raises(ConfigError, match="this URL cannot be used") as caught:
        RedisCounters("redis://:secret@cache?socket_timeout=soon")
    assert "secret" not in str(caught.value)
