"""A name that one target alone answers, with one key and with several, over real sockets: how often it is asked."""

import pytest
from canned import envelope
from misbehaving import Conn, Handler, json_reply
from rawhttp import HELLO, Reply, exchange, post
from routed import FAILURES, named, routed
from serving import Serving

from dragoman.gateway.config.config import Secret

KEYS = [Secret(f"sk-{name}") for name in ("one", "two", "three", "four")]


async def ask(server: Serving, model: str = "m", **more: object) -> Reply:
    answered = await exchange(server.url, post({**HELLO, "model": model, **more}))
    await server.settled()
    return answered


def refusing(status: int, kind: str, *keys: str) -> Handler:
    async def handler(conn: Conn) -> None:
        while (asked := await conn.read_request()) is not None:
            if asked.header("x-api-key") in keys:
                await conn.send(json_reply(envelope(kind), status=status))
            else:
                await conn.send(json_reply(named("a")))

    return handler


@pytest.mark.parametrize("failure", ["500", "503", "529", "reset", "stalled before the head", "408"])
@pytest.mark.parametrize("model", ["m", "a/claude-opus-4-8", "claude-opus-4-8"])
@pytest.mark.parametrize("keys", [0, 3], ids=["one key", "several keys"])
async def test_it_is_asked_once(failure: str, model: str, keys: int) -> None:
    """Pain 29: SDKs try again by themselves, and what is not a key's fault another key does not mend."""
    async with routed("", a=FAILURES[failure]) as (server, upstreams):
        server.gateway.upstream.use_keys("a", KEYS[:keys])
        assert (await ask(server, model)).status >= 408
        assert len(upstreams["a"].requests) == 1


@pytest.mark.parametrize("rule", ["attempts = 3", 'policy = "fastest"\nhedge = true', "continue_cut = true"])
async def test_no_setting_of_its_route_changes_that(rule: str) -> None:
    async with routed(rule, a=FAILURES["529"], each="max_concurrent = 5") as (server, upstreams):
        assert (await ask(server)).status == 529
        assert len(upstreams["a"].requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(401, "authentication_error"), (403, "permission_error"), (429, "rate_limit_error")]
)
@pytest.mark.parametrize("model", ["m", "a/claude-opus-4-8"])
async def test_what_is_a_keys_is_tried_with_the_next_one(status: int, kind: str, model: str) -> None:
    async with routed("", a=refusing(status, kind, "sk-one", "sk-two")) as (server, upstreams):
        server.gateway.upstream.use_keys("a", KEYS)
        answered = await ask(server, model)
        assert (answered.status, answered.header("dragoman-attempts")) == (200, "3")
        shown = [each.header("x-api-key") for each in upstreams["a"].requests]
        assert shown == ["sk-one", "sk-two", "sk-three"]


async def test_with_three_keys_at_most() -> None:
    names = [key.reveal() for key in KEYS]
    async with routed("", a=refusing(429, "rate_limit_error", *names)) as (server, upstreams):
        server.gateway.upstream.use_keys("a", KEYS)
        answered = await ask(server)
        assert (answered.status, answered.header("dragoman-attempts")) == (429, "3")
        assert len(upstreams["a"].requests) == 3


async def test_each_key_is_tried_once_for_one_request() -> None:
    async with routed("", a=refusing(401, "authentication_error", "sk-one", "sk-two")) as (server, upstreams):
        server.gateway.upstream.use_keys("a", KEYS[:2])
        assert (await ask(server)).header("dragoman-attempts") == "2"
        assert [each.header("x-api-key") for each in upstreams["a"].requests] == ["sk-one", "sk-two"]


async def test_a_fault_after_a_refused_key_ends_it() -> None:
    async def handler(conn: Conn) -> None:
        while (asked := await conn.read_request()) is not None:
            is_first = asked.header("x-api-key") == "sk-one"
            kind = "rate_limit_error" if is_first else "overloaded_error"
            await conn.send(json_reply(envelope(kind), status=429 if is_first else 529))

    async with routed("", a=handler) as (server, upstreams):
        server.gateway.upstream.use_keys("a", KEYS[:3])
        answered = await ask(server)
        assert (answered.status, answered.header("dragoman-attempts")) == (529, "2")
        assert len(upstreams["a"].requests) == 2
