"""Targets that cannot take a request which others can, over real sockets: their dialect, their model, their name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from canned import then
from fakes import FAKES
from misbehaving import Handler, Misbehaving
from rawhttp import HELLO, Reply, error, exchange, post
from routed import FAILURES, answers, routed, stored
from serving import Serving

URL_IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
URL_PDF = {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}
BY_URL = {"messages": [{"role": "user", "content": [URL_PDF, {"type": "text", "text": "What is it?"}]}]}
NO_PDF = "document.source.url: the model that answers takes no documents by URL."
WRONG = {"messages": [{"role": "user", "content": 7}]}


@asynccontextmanager
async def before(
    targets: str, dialect: str = "openai_chat", rule: str = "", **handlers: Handler
) -> AsyncIterator[tuple[Serving, Any, dict[str, Misbehaving]]]:
    """Behind the name m: `targets`, of which `fake` speaks another dialect."""
    with FAKES[dialect].make() as fake:
        table = FAKES[dialect].table.format(fake=fake)
        named = f"targets = [{targets}]\n{rule}\n[providers.fake]\n{table}\n[providers.offline]\n"
        async with routed(named, **handlers) as (server, upstreams):
            yield server, fake, upstreams


async def ask(server: Serving, *headers: tuple[str, str], path: str = "/v1/messages", **more: Any) -> Reply:
    answered = await exchange(server.url, post({**HELLO, "model": "m", **more}, *headers, path=path))
    await server.settled()
    return answered


def is_good(answered: Reply) -> bool:
    return answered.status == 200 and b"I am good" in answered.body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_what_a_dialect_cannot_carry_the_next_one_gets(stream: bool) -> None:
    targets = '"fake/gpt-4o", "good/claude-opus-4-8"'
    async with before(targets, good=answers("good")) as (server, fake, upstreams):
        answered = await ask(server, stream=stream, **BY_URL)
        assert is_good(answered)
        assert answered.header("dragoman-attempts") == "1", "nothing was sent to the first one"
        assert fake.bodies == []
        assert upstreams["good"].requests[0].json()["messages"] == BY_URL["messages"]
        (row,) = await stored(server)
        assert (row.provider, row.attempts, row.outcome, row.error) == ("good", 1, "answered", None)
        assert (await ask(server)).header("dragoman-lost") is None
        assert len(fake.bodies) == 1, "it answers what it can"


# By what one of ours cannot do, and the API can.
UNABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "an image by URL": ("offline/claude-opus-4-8", {"messages": [{"role": "user", "content": [URL_IMAGE]}]}),
    "a server tool": (
        "offline/claude-opus-4-8",
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    ),
    "max_tokens": ("offline/claude-3-haiku-20240307", {"max_tokens": 8000}),
    "thinking": (
        "offline/claude-3-haiku-20240307",
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000},
    ),
}


@pytest.mark.parametrize(("first", "more"), UNABLE.values(), ids=UNABLE)
async def test_what_a_model_cannot_do_the_next_one_does(first: str, more: dict[str, Any]) -> None:
    async with before(f'"{first}", "good/claude-opus-4-8"', good=answers("good")) as (server, _, upstreams):
        assert error(await exchange(server.url, post({**HELLO, "model": first, **more})), 400)
        assert is_good(await ask(server, **more))
        assert len(upstreams["good"].requests) == 1


@pytest.mark.parametrize("dialect", ["gemini", "bedrock"])
async def test_a_name_that_can_be_no_model_is_passed_over(dialect: str) -> None:
    targets = '"fake/no?model", "good/claude-opus-4-8"'
    async with before(targets, dialect, good=answers("good")) as (server, _, _2):
        answered = await ask(server)
        assert is_good(answered)
        assert answered.header("dragoman-attempts") == "1"


async def test_what_is_wrong_everywhere_ends_it() -> None:
    targets = '"fake/gpt-4o", "good/claude-opus-4-8"'
    async with before(targets, good=answers("good")) as (server, fake, upstreams):
        answered = await ask(server, **WRONG)
        assert error(answered, 400)["message"].startswith("messages.0.content")
        assert answered.header("dragoman-attempts") == "0"
        assert fake.bodies == []
        assert upstreams["good"].requests == []


async def test_when_none_can_the_first_one_tells_why() -> None:
    targets = '"fake/gpt-4o", "offline/claude-opus-4-8"'
    async with before(targets) as (server, _, _2):
        answered = await ask(server, **BY_URL)
        assert error(answered, 400)["message"] == NO_PDF
        assert (answered.header("dragoman-attempts"), answered.header("x-should-retry")) == ("0", "false")
        (row,) = await stored(server)
        assert (row.status, row.attempts, row.cost_nano, row.outcome) == (400, 0, 0, "refused")
        assert row.error == "invalid_request_error"


@pytest.mark.parametrize("targets", ['"bad/claude-opus-4-8", "fake/gpt-4o"', '"fake/gpt-4o", "bad/claude-opus-4-8"'])
@pytest.mark.parametrize("failure", ["529", "reset", "429 with retry-after"])
async def test_what_failed_at_another_goes_before_what_one_cannot(targets: str, failure: str) -> None:
    """A caller who may try again must not be told that the request is wrong."""
    async with before(targets, rule="attempts = 2", bad=FAILURES[failure]) as (server, _, upstreams):
        answered = await ask(server, **BY_URL)
        assert answered.status == {"529": 529, "reset": 502}.get(failure, 429)
        assert answered.header("dragoman-attempts") == str(len(upstreams["bad"].requests)) == "2"
        (row,) = await stored(server)
        assert (row.status, row.outcome, row.attempts) == (answered.status, "refused", 2)
        assert row.error == answered.json()["error"]["type"]


async def test_it_is_no_fault_of_the_target_and_its_place_is_free() -> None:
    targets = '"fake/gpt-4o", "good/claude-opus-4-8"'
    places = '[providers.fake.models."gpt-4o"]\nmax_concurrent = 1\n'
    with FAKES["openai_chat"].make() as fake:
        table = FAKES["openai_chat"].table.format(fake=fake)
        rule = f"targets = [{targets}]\n[providers.fake]\n{table}\n{places}"
        async with routed(rule, good=answers("good")) as (server, _):
            for _ in range(8):
                assert is_good(await ask(server, **BY_URL))
            dispatch, (first, _) = server.gateway.dispatch, server.gateway.router.candidates("m").routes
            now = server.gateway.clock()
            assert (dispatch.breaker(first).state(now), dispatch.breaker(first)._faults) == ("closed", 0.0)
            assert not any(dispatch._running.values())
            assert (await ask(server)).status == 200
            assert len(fake.bodies) == 1


async def test_a_race_is_not_run_with_one_that_cannot() -> None:
    """And one that is run with it is won by the other."""
    targets = '"slow/claude-opus-4-8", "fake/gpt-4o", "good/claude-opus-4-8"'
    async with before(targets, rule="hedge = true", slow=then(b""), good=answers("good")) as (server, fake, upstreams):
        now = server.gateway.clock()
        for _ in range(5):
            pace = "slow/claude-opus-4-8", False
            server.gateway.dispatch.speeds.note(pace, now, first_s=0.01, output_tokens=1, rest_s=None)
        answered = await ask(server, **BY_URL)
        assert is_good(answered)
        assert fake.bodies == []
        assert answered.header("dragoman-attempts") == "2"
    async with before(
        '"fake/gpt-4o", "slow/claude-opus-4-8", "good/claude-opus-4-8"', rule="hedge = true", slow=then(b""),
        good=answers("good"),
    ) as (server, fake, upstreams):  # fmt: skip
        now = server.gateway.clock()
        for _ in range(5):
            pace = "slow/claude-opus-4-8", False
            server.gateway.dispatch.speeds.note(pace, now, first_s=0.01, output_tokens=1, rest_s=None)
        assert is_good(await ask(server, **BY_URL))
        assert [len(upstreams[name].requests) for name in ("slow", "good")] == [1, 1]


async def test_tokens_are_counted_by_whoever_can() -> None:
    async with before('"fake/no?model", "offline/claude-opus-4-8"', "gemini") as (server, _, _2):
        body = {"model": "m", "messages": HELLO["messages"]}
        counted = await exchange(server.url, post(body, path="/v1/messages/count_tokens"))
        assert counted.status == 200, counted.body
