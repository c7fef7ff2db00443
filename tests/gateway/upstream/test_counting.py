"""Counts of tokens for models of other makers: the provider's own where it has one, kept and bounded; else ours."""

import asyncio
import base64
import json
from random import Random
from typing import Any

import msgspec
import pytest
from misbehaving import Conn, Misbehaving

from dragoman.errors import InvalidRequest
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Answer, Asked, Call
from dragoman.gateway.config.config import load
from dragoman.gateway.open import open_gateway
from dragoman.gateway.upstream.checked import counted, foreign
from dragoman.gateway.upstream.counting import KEPT, MOST_AT_ONCE, Counting
from dragoman.gateway.upstream.estimates import Estimates, rough_tokens
from dragoman.http.base import ConnectFailed
from dragoman.providers.base import Count, Operation, Question, Target, UpstreamRequest
from dragoman.wire.headers import Headers
from dragoman.wire.types import Usage

TARGET = Target(provider="p", model="m", base_url="http://p", api_key=None, auth="bearer")
HEADERS = Headers([("anthropic-version", "2023-06-01")])
ANYONE = Principal(key_id="k", key_name="k", organization_id="o", workspace_id="w")


class Counter:
    """A translator that asks `/count`, with the first message for a body; `has` says whether it counts at all."""

    name = "counter"
    url = "http://p/count"

    def __init__(self, *, has: bool = True) -> None:
        self.has = has

    def translate(self, question: Question) -> Any:
        raise NotImplementedError

    def count(self, question: Question) -> Count | None:
        if not self.has:
            return None
        text = str(question.request.messages[0].content)
        return Count(request=UpstreamRequest(url=self.url, headers=[], body=text.encode()), field="tokens")


class Provider:
    """Answers as told, and remembers what it was asked."""

    def __init__(self, status: int = 200, body: Any = None) -> None:
        self.asked: list[bytes] = []
        self.status, self.body = status, {"tokens": 77} if body is None else body
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, request: UpstreamRequest) -> tuple[int, bytes]:
        self.asked.append(request.body)
        await self.gate.wait()
        return self.status, self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def asked(text: str = "Hello there", **fields: Any) -> Asked:
    body = {"model": "claude-opus-4-8", "messages": [{"role": "user", "content": text}], **fields}
    call = Call(
        operation=Operation.COUNT_TOKENS, headers=HEADERS, body=json.dumps(body).encode(), request_id="r", arrived=0.0
    )
    return Asked.read(call, ANYONE, refuse_unknown_betas=False)


async def count(counting: Counting, text: str = "Hello there", *, has: bool = True) -> tuple[int, str]:
    answer: Answer = await counting.count(asked(text), Counter(has=has), TARGET, None)
    return json.loads(answer.body)["input_tokens"], dict(answer.headers)["dragoman-count"]


async def test_the_provider_counts() -> None:
    """Pain 16: its own number, and who counted is told."""
    assert await count(Counting(Provider(), Estimates())) == (77, "provider")


async def test_what_was_counted_is_not_asked_again() -> None:
    """Pain 67: bursts of the same texts cost one call each."""
    provider = Provider()
    counting = Counting(provider, Estimates())
    for _ in range(50):
        assert await count(counting, "a") == (77, "provider")
    await count(counting, "b")
    assert provider.asked == [b"a", b"b"]


async def test_what_is_kept_is_bounded() -> None:
    provider = Provider()
    counting = Counting(provider, Estimates())
    for number in range(KEPT + 1):
        await count(counting, str(number))
    assert len(provider.asked) == KEPT + 1
    await count(counting, str(KEPT))
    assert len(provider.asked) == KEPT + 1
    await count(counting, "0")  # the oldest has made room
    assert len(provider.asked) == KEPT + 2


async def test_a_burst_asks_for_a_few_and_estimates_the_rest() -> None:
    """Pain 67: 200 at once."""
    provider = Provider()
    provider.gate.clear()
    counting = Counting(provider, Estimates())
    tasks = [asyncio.create_task(count(counting, f"text {number}")) for number in range(200)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(provider.asked) == MOST_AT_ONCE
    provider.gate.set()
    told = [how for _, how in await asyncio.gather(*tasks)]
    assert (told.count("provider"), told.count("estimate")) == (MOST_AT_ONCE, 200 - MOST_AT_ONCE)
    assert await count(counting, "afterwards") == (77, "provider")


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_provider_without_such_a_path_is_asked_once(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one model: it may be that which is not there, so it is asked for another all the same."""
    provider = Provider(status, {"error": "no"})
    counting = Counting(provider, Estimates())
    assert (await count(counting, "a"))[1] == (await count(counting, "b"))[1] == "estimate"
    assert len(provider.asked) == 1
    provider.status, provider.body = 200, {"tokens": 77}
    other = msgspec.structs.replace(TARGET, model="other")
    found = await counting.count(asked("a"), Counter(), other, None)
    assert json.loads(found.body) == {"input_tokens": 77}
    assert len(provider.asked) == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {}),
        (429, {}),
        *((200, body) for body in (b"<html>", b"[" * 9999, [], {})),
        *((200, {"tokens": value}) for value in ("7", -1, True, None, 2.5)),
    ],
)
async def test_what_is_no_count_is_an_estimate_and_the_next_is_asked(status: int, body: Any) -> None:
    provider = Provider(status, body)
    counting = Counting(provider, Estimates())
    tokens, how = await count(counting)
    assert (how, 1 < tokens < 30) == ("estimate", True)
    provider.status, provider.body = 200, {"tokens": 5}
    assert await count(counting) == (5, "provider")


async def test_a_provider_that_cannot_be_reached_is_no_error() -> None:
    async def fetch(request: UpstreamRequest) -> tuple[int, bytes]:
        raise ConnectFailed("p", "no")

    counting = Counting(fetch, Estimates())
    for _ in range(MOST_AT_ONCE + 1):  # a failure takes no place for good
        assert (await count(counting))[1] == "estimate"


async def test_without_a_way_to_count_it_is_an_estimate() -> None:
    provider = Provider()
    assert (await count(Counting(provider, Estimates()), has=False))[1] == "estimate"
    assert provider.asked == []


async def test_a_request_that_breaks_the_rules_is_refused() -> None:
    """TOK-3: as it would be for a message."""
    counting = Counting(Provider(), Estimates())
    with pytest.raises(InvalidRequest, match="messages"):
        await counting.count(asked(messages=[]), Counter(), TARGET, None)


async def test_a_count_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within its own limit, whatever the provider may take for a message; then it is an estimate."""
    monkeypatch.setattr("dragoman.gateway.upstream.provider.COUNT_S", 0.05)
    async with Misbehaving(Conn.wait_closed) as server:
        text = f'[providers.p]\nhost = "llamacpp"\nbase_url = "{server.url}/v1"\n[server]\ndatabase = "sqlite://"'
        async with open_gateway(load(None, {}, text=text), {}) as gateway:
            route = gateway.router.route("p/model")
            found = await gateway.upstream.ask(asked(), route, gateway.ledger.open("r", "count", arrived=0.0))
    assert dict(found.headers)["dragoman-count"] == "estimate"


# -- estimates --


def usage(input_tokens: int, *, read: int = 0, written: int = 0) -> Usage:
    return Usage(
        input_tokens=input_tokens, cache_read_input_tokens=read, cache_creation_input_tokens=written, output_tokens=1
    )


def test_an_estimate_learns_how_far_off_it_is() -> None:
    """Pain 15: a target that counts a third more than we do is told within 10 % from the second reply on."""
    estimates = Estimates()
    assert estimates.of("m", 3000) == 3000
    for rough in (3000, 500, 12_000):
        estimates.learn("m", rough, usage(rough, read=rough // 3))
        assert abs(estimates.of("m", 9000) / 12_000 - 1) < 0.01
    assert estimates.of("other", 3000) == 3000


def test_a_short_prompt_does_not_spoil_what_long_ones_taught() -> None:
    """A few tokens are mostly what the provider puts around them."""
    estimates = Estimates()
    estimates.learn("m", 20_000, usage(20_000))
    estimates.learn("m", 5, usage(60))
    assert abs(estimates.of("m", 10_000) / 10_000 - 1) < 0.01


def test_it_follows_a_provider_that_changes() -> None:
    estimates = Estimates()
    for _ in range(50):
        estimates.learn("m", 1000, usage(1000))
    for _ in range(30):
        estimates.learn("m", 1000, usage(1500))
    assert abs(estimates.of("m", 1000) - 1500) < 50


@pytest.mark.parametrize("told", [None, usage(0), usage(10**9), usage(1)])
def test_nonsense_bends_it_only_so_far(told: Usage | None) -> None:
    estimates = Estimates()
    estimates.learn("m", 100, told)
    assert 25 <= estimates.of("m", 100) <= 400
    estimates.learn("m", 0, usage(7))
    assert estimates.of("m", 1) >= 1


def test_only_so_many_targets_are_kept() -> None:
    estimates = Estimates()
    for number in range(3000):
        estimates.learn(str(number), 10, usage(20))
    assert len(estimates._seen) <= 1000
    assert estimates.of("2999", 10) == 20


def test_of_a_long_request_samples_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a tenth of the whole count, at the price of sixteen short texts, wherever the text is."""
    rng = Random("long")
    words = 'the path of a file to be read, absolute; def main(): return 42 größe 東京 {"a": [1, 2]}\n'.split(" ")
    for size in (3_000, 30_000, 100_000):
        turns = [{"role": "user", "content": " ".join(rng.choices(words, k=size // 20))} for _ in range(20)]
        request = counted(asked(messages=turns), foreign("m"))
        sampled = rough_tokens(request)
        monkeypatch.setattr("dragoman.gateway.upstream.estimates.COUNTED_CHARACTERS", 10**9)
        assert abs(sampled / rough_tokens(request) - 1) < 0.1
        monkeypatch.undo()


@pytest.mark.parametrize("words", [10, 10_000])
def test_a_picture_is_no_text(words: int) -> None:
    """Pain 21: base64 counts as a picture, not as hundreds of thousands of tokens."""
    picture = base64.b64encode(Random("picture").randbytes(600_000)).decode()
    source = {"type": "base64", "media_type": "image/png", "data": picture}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this? " * words}]
    request = counted(asked(messages=[{"role": "user", "content": content}]), foreign("m"))
    assert 1000 + 3 * words < rough_tokens(request) < 1100 + 6 * words
