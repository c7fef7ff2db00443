"""Places at providers and at their models, over real sockets: who waits, who is sent elsewhere, who is shed."""

import asyncio
from collections.abc import Callable

import pytest
from misbehaving import Conn, json_reply
from rawhttp import HELLO, Reply, error, exchange, post
from routed import answers, named, routed, stored
from serving import Serving, wait_until

PLACES = '[providers.a.models."{}"]\nmax_concurrent = {}\nqueue = {}\nqueue_timeout_s = {}\n'


class Busy:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.most = self._now = 0

    async def __call__(self, conn: Conn) -> None:
        while await conn.read_request() is not None:
            self._now += 1
            self.most = max(self.most, self._now)
            await self.go.wait()
            self._now -= 1
            await conn.send(json_reply(named("a")))


def places(model: str = "claude-opus-4-8", *, at_once: int = 1, queue: int = 0, wait_s: float = 5.0) -> str:
    return PLACES.format(model, at_once, queue, wait_s)


def asking(server: Serving, model: str, **more: object) -> "asyncio.Task[Reply]":
    return asyncio.create_task(exchange(server.url, post({**HELLO, "model": model, **more})))


async def finished(*tasks: "asyncio.Task[Reply]") -> list[int]:
    return [each.status for each in await asyncio.gather(*tasks)]


def asked_of(upstream: object, count: int) -> Callable[[], bool]:
    return lambda: len(upstream.requests) == count  # type: ignore[attr-defined]


async def test_a_full_model_sheds_load_and_the_others_of_its_provider_do_not() -> None:
    """ERR-22: no capacity is 529, with a time to come again."""
    busy = Busy()
    async with routed(places(queue=1), timeout_s=5.0, a=busy) as (server, upstreams):
        first = asking(server, "m")
        await wait_until(asked_of(upstreams["a"], 1))
        second = asking(server, "a/claude-opus-4-8")  # it is the same target, whatever name it goes by
        await wait_until(lambda: server.running == 2)
        refused = await asking(server, "claude-opus-4-8")
        assert error(refused, 529)["type"] == "overloaded_error"
        assert int(refused.header("retry-after") or "") >= 1
        other = asking(server, "a/claude-sonnet-4-6")
        await wait_until(asked_of(upstreams["a"], 2))
        busy.go.set()
        assert await finished(first, second, other) == [200] * 3
        assert not any(each.running for each in server.gateway.dispatch.places._capacities.values())


@pytest.mark.parametrize(
    ("of_provider", "of_model", "most"),
    [("", 2, 2), ("max_concurrent = 3", 2, 2), ("max_concurrent = 2", 3, 2)],
    ids=["of the model", "fewer of the model", "fewer of the provider"],
)
async def test_both_bounds_hold(of_provider: str, of_model: int, most: int) -> None:
    busy = Busy()
    rule = places(at_once=of_model, queue=9)
    async with routed(rule, timeout_s=5.0, each=of_provider, a=busy) as (server, upstreams):
        tasks = [asking(server, "m") for _ in range(6)]
        await wait_until(lambda: server.running == 6 and len(upstreams["a"].requests) == most)
        busy.go.set()
        assert await finished(*tasks) == [200] * 6
        assert busy.most == most


async def test_who_waits_at_a_model_takes_none_of_the_providers_places() -> None:
    busy = Busy()
    async with routed(places(queue=9), timeout_s=5.0, each="max_concurrent = 2\nqueue = 0", a=busy) as (server, up):
        tasks = [asking(server, "m") for _ in range(3)]
        await wait_until(lambda: server.running == 3 and len(up["a"].requests) == 1)
        tasks.append(asking(server, "a/claude-sonnet-4-6"))
        await wait_until(asked_of(up["a"], 2))
        busy.go.set()
        assert await finished(*tasks) == [200] * 4


async def test_what_the_provider_has_no_place_for_gives_the_models_back() -> None:
    busy = Busy()
    rule = places(at_once=2)
    async with routed(rule, timeout_s=5.0, each="max_concurrent = 1\nqueue = 0", a=busy) as (server, upstreams):
        first = asking(server, "a/claude-sonnet-4-6")
        await wait_until(asked_of(upstreams["a"], 1))
        assert [(await asking(server, "m")).status for _ in range(3)] == [529] * 3
        busy.go.set()
        assert await finished(first, asking(server, "m")) == [200, 200]


async def test_a_full_one_is_passed_over() -> None:
    """It comes behind the others, and is well."""
    busy = Busy()
    async with routed(places(), timeout_s=5.0, a=busy, b=answers("b")) as (server, upstreams):
        first = asking(server, "m")
        await wait_until(asked_of(upstreams["a"], 1))
        answered = await asking(server, "m")
        assert answered.json()["content"][0]["text"] == "I am b"
        assert answered.header("dragoman-attempts") == "1"
        explained = await exchange(server.url, post({**HELLO, "model": "m"}, path="/v1/dragoman/route"))
        full, _ = explained.json()["targets"]
        assert (full["place"], full["why"], full["room"], full["is_well"]) == (1, "it has no room now", 0, True)
        busy.go.set()
        assert await finished(first) == [200]


async def test_nobody_waits_for_ever_and_the_wait_is_in_the_ledger() -> None:
    busy = Busy()
    async with routed(places(queue=2, wait_s=0.05), timeout_s=5.0, a=busy) as (server, upstreams):
        first = asking(server, "m")
        await wait_until(asked_of(upstreams["a"], 1))
        shed = await asking(server, "m")
        assert error(shed, 529)["type"] == "overloaded_error"
        busy.go.set()
        await first
        in_vain, answered = sorted(await stored(server), key=lambda row: row.status, reverse=True)
        assert (in_vain.status, in_vain.attempts, in_vain.cost_nano) == (529, 0, 0)
        assert in_vain.queue_us is not None
        assert in_vain.queue_us >= 50_000
        assert answered.queue_us is None


async def test_the_wait_for_a_place_is_in_the_ledger() -> None:
    busy = Busy()
    async with routed(places(queue=1), timeout_s=5.0, a=busy) as (server, upstreams):
        first = asking(server, "m")
        await wait_until(asked_of(upstreams["a"], 1))
        second = asking(server, "m", stream=False)
        await wait_until(lambda: server.running == 2)
        await asyncio.sleep(0.02)
        busy.go.set()
        assert await finished(first, second) == [200, 200]
        waited = [row.queue_us for row in await stored(server) if row.queue_us is not None]
        assert len(waited) == 1
        assert waited[0] >= 15_000
