"""Who is chosen for a request, and at which expected cost: configuration text in, `Dispatch.explain` out.

Router, prices, policies and learned numbers are the real ones. The price lists' dollars for a million tokens, on
2026-11-21, of which one token is a thousandth in nano-dollars:

    model               input   output   cache read   written 5m   written 1h
    claude-opus-4-8         5       25          0.5         6.25           10
    claude-sonnet-4-6       3       15          0.3         3.75            6
    claude-haiku-4-5        1        5          0.1         1.25            2

A request here has exactly 1000 tokens, as they are counted beforehand, and `max_tokens` of 400: of a model that nothing
is known of a quarter of that is expected, 100 tokens.
"""

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dragoman.errors import ApiError, InvalidRequest, NotFound
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Asked, Call
from dragoman.gateway.catalogue import Catalogue
from dragoman.gateway.config.config import load
from dragoman.gateway.open import caches_itself
from dragoman.gateway.prices.prices import Prices
from dragoman.gateway.routing.dispatch import Dispatch
from dragoman.gateway.routing.needs import conversation_of
from dragoman.gateway.routing.report import report
from dragoman.gateway.routing.routing import Router
from dragoman.providers.base import Operation
from dragoman.wire.headers import Headers
from dragoman.wire.types import Usage

NOW, UNIX = 5000.0, 1_795_219_200.0  # 2026-11-21
PROVIDERS = """
[providers.a]
base_url = "http://127.0.0.1:1"
price_list = "anthropic"
[providers.b]
base_url = "http://127.0.0.1:2"
price_list = "anthropic"
[providers.own]
base_url = "http://127.0.0.1:3"
dialect = "openai_chat"
[prices."own/known"]
input = 2
output = 8
cache_read = 0.5
"""
ALL = 'targets = ["a/claude-opus-4-8", "a/claude-sonnet-4-6", "a/claude-haiku-4-5"]\n'
OPUS_HAIKU = 'targets = ["a/claude-opus-4-8", "a/claude-haiku-4-5"]\n'
CHEAPEST = 'policy = "cheapest"\n'
TURNS = [{"role": "user", "content": "Hello"}]
MARKED = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
MARKED_1H = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}
PDF = {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}}
TOOL = {"name": "image", "input_schema": {"type": "object"}}  # a name that must not be taken for a picture

Setup = Callable[[Dispatch, Asked], None]


def dispatch_of(rule: str, *, lot: float = 0.5) -> Dispatch:
    """`rule`: what [models.m] says."""
    text = f"{PROVIDERS}\n[models.m]\n{rule}"
    config = load(None, {}, text=text, database="sqlite://")
    prices = Prices.load(config, today=datetime.date(2026, 11, 21))
    router = Router(config, Catalogue.load())
    return Dispatch(router, prices=prices, caches=caches_itself, clock=lambda: NOW, wall=lambda: UNIX, lot=lambda: lot)


def asked_of(model: str = "m", tokens: int = 1000, tags: str | None = None, **more: Any) -> Asked:
    body = {"model": model, "max_tokens": 400, "messages": TURNS, "metadata": {"user_id": ""}, **more}
    short = 4 * tokens - len(msgspec.json.encode(body))
    assert short >= 0
    body["metadata"] = {"user_id": "u" * short}
    data = msgspec.json.encode(body)
    call = Call(
        operation=Operation.MESSAGES,
        headers=Headers([("anthropic-version", "2023-06-01")]),
        body=data,
        request_id="",
        arrived=NOW,
    )
    principal = Principal("key", "key", "wrkspc", "org", tags=tags)
    return Asked.read(call, principal, refuse_unknown_betas=False)


def warm(target: str, tokens: int, *, age_s: float = 0.0, is_long: bool = False) -> Setup:
    """The conversation was answered there, with so many tokens in all."""

    def set_up(dispatch: Dispatch, asked: Asked) -> None:
        key = conversation_of(asked)
        assert key is not None
        usage = Usage(input_tokens=tokens, output_tokens=0)
        dispatch.homes.note(key, target, usage, NOW - age_s, is_long=is_long)

    return set_up


def wrote(model: str, *tokens: int) -> Setup:
    def set_up(dispatch: Dispatch, asked: Asked) -> None:
        for each in tokens:
            dispatch.lengths.note(model, each)

    return set_up


def took(target: str, first_s: float, per_s: float, *, times: int = 5) -> Setup:
    def set_up(dispatch: Dispatch, asked: Asked) -> None:
        for _ in range(times):  # the rate is of all tokens but the first
            dispatch.speeds.note((target, False), NOW, first_s=first_s, output_tokens=101, rest_s=100 / per_s)

    return set_up


def running(**counts: int) -> Setup:
    def set_up(dispatch: Dispatch, asked: Asked) -> None:
        for route in dispatch.router.candidates("m").every:
            dispatch._running[route.target] = counts.get(route.model_name.split("-")[1], 0)

    return set_up


def failed(target: str, times: int = 5, *, at: float = NOW) -> Setup:
    def set_up(dispatch: Dispatch, asked: Asked) -> None:
        route = next(each for each in dispatch.router.candidates("m").every if each.name == target)
        for _ in range(times):
            dispatch.breaker(route).failed(at)

    return set_up


def cooled(target: str, seconds: float) -> Setup:
    def set_up(dispatch: Dispatch, asked: Asked) -> None:
        route = next(each for each in dispatch.router.candidates("m").every if each.name == target)
        dispatch.breaker(route).cool(NOW, seconds)

    return set_up


def when(said: str) -> str:
    return f'targets = ["a/claude-haiku-4-5"]\n[[models.m.when]]\ntargets = ["a/claude-opus-4-8"]\n{said}\n'


OPUS, SONNET, HAIKU = "a/claude-opus-4-8", "a/claude-sonnet-4-6", "a/claude-haiku-4-5"
# 1000 tokens in, 100 out:
PLAIN_OPUS = "0.007500000"  # 1000 x 5 + 100 x 25 = 7500 thousand nano-dollars
PLAIN_SONNET = "0.004500000"  # 1000 x 3 + 100 x 15
PLAIN_HAIKU = "0.001500000"  # 1000 x 1 + 100 x 5
BOTH = [PLAIN_OPUS, PLAIN_HAIKU]
THREE = [PLAIN_OPUS, PLAIN_SONNET, PLAIN_HAIKU]

# What is tested; the route; the request; what is known; the order; the expected costs, as the targets are written.
Case = tuple[str, str, dict[str, Any], Sequence[Setup], list[str], list[str | None]]
CASES: list[Case] = [
    # cheapest: the prompt alone, and what is written
    ("input and output", ALL + CHEAPEST, {}, [], [HAIKU, SONNET, OPUS], THREE),
    (
        "input only",  # max_tokens 1: a quarter of a token rounds to none. 1000 x 5, 1000 x 1
        OPUS_HAIKU + CHEAPEST, {"max_tokens": 1}, [], [HAIKU, OPUS], ["0.005000000", "0.001000000"],
    ),
    (
        "twice the prompt",  # 2000 x 5 + 100 x 25 = 12500; 2000 x 1 + 100 x 5 = 2500
        OPUS_HAIKU + CHEAPEST, {"tokens": 2000}, [], [HAIKU, OPUS], ["0.012500000", "0.002500000"],
    ),
    (
        "at most a thousand tokens are expected unseen",  # 1000 x 5 + 1000 x 25 = 30000; 1000 x 1 + 1000 x 5 = 6000
        OPUS_HAIKU + CHEAPEST, {"max_tokens": 64_000}, [], [HAIKU, OPUS], ["0.030000000", "0.006000000"],
    ),
    (
        # haiku: one reply of 300, and the guess of 100 counts as another: 200. 1000 x 1 + 200 x 5 = 2000
        "lengths are learned", OPUS_HAIKU + CHEAPEST, {}, [wrote("claude-haiku-4-5", 300)], [HAIKU, OPUS],
        [PLAIN_OPUS, "0.002000000"],
    ),
    (
        # opus: nothing but 1 token, 20 times: weight 8.78 beside the guess of 4000, which is 1000 at most. Of haiku
        # the same number of 4000: (4000 x w + 1000) / (w + 1), w = (1 - 0.9^20) / 0.1 = 8.7842.
        # opus (1 x 8.7842 + 1000) / 9.7842 = 103.10: 103 x 25 + 5000 = 7575
        # haiku (4000 x 8.7842 + 1000) / 9.7842 = 3693.38: 3693 x 5 + 1000 = 19465
        "a model that writes little is cheaper", OPUS_HAIKU + CHEAPEST, {"max_tokens": 16_000},
        [wrote("claude-opus-4-8", *[1] * 20), wrote("claude-haiku-4-5", *[4000] * 20)], [OPUS, HAIKU],
        ["0.007575000", "0.019465000"],
    ),
    (
        # haiku writes 400 at most, though it has written 4000: 1000 x 1 + 400 x 5 = 3000
        "never more than max_tokens", OPUS_HAIKU + CHEAPEST, {}, [wrote("claude-haiku-4-5", *[4000] * 20)],
        [HAIKU, OPUS], [PLAIN_OPUS, "0.003000000"],
    ),
    # cheapest: caches
    (
        # opus 1000 x 6.25 + 2500 = 8750; haiku 1000 x 1.25 + 500 = 1750
        "a marked prompt is written", OPUS_HAIKU + CHEAPEST, {"system": MARKED}, [], [HAIKU, OPUS],
        ["0.008750000", "0.001750000"],
    ),
    (
        # opus 1000 x 10 + 2500 = 12500; haiku 1000 x 2 + 500 = 2500
        "for an hour", OPUS_HAIKU + CHEAPEST, {"system": MARKED_1H}, [], [HAIKU, OPUS],
        ["0.012500000", "0.002500000"],
    ),
    (
        # sonnet has 900: 900 x 0.3 + 100 x 3.75 + 1500 = 270 + 375 + 1500 = 2145; haiku writes all: 1750
        "warm, and not worth staying", 'targets = ["a/claude-sonnet-4-6", "a/claude-haiku-4-5"]\n' + CHEAPEST,
        {"system": MARKED}, [warm(SONNET, 900)], [HAIKU, SONNET], ["0.002145000", "0.001750000"],
    ),
    (
        # of 10000: sonnet has 9900: 9900 x 0.3 + 100 x 3.75 + 1500 = 2970 + 375 + 1500 = 4845
        # haiku writes them all: 10000 x 1.25 + 500 = 13000
        "warm, and worth staying", 'targets = ["a/claude-haiku-4-5", "a/claude-sonnet-4-6"]\n' + CHEAPEST,
        {"system": MARKED, "tokens": 10_000}, [warm(SONNET, 9900)], [SONNET, HAIKU], ["0.013000000", "0.004845000"],
    ),
    (
        # both hold all: opus 1000 x 0.5 + 2500 = 3000, haiku 1000 x 0.1 + 500 = 600
        "warm at both", OPUS_HAIKU + CHEAPEST, {"system": MARKED}, [warm(HAIKU, 5000), warm(OPUS, 5000)],
        [HAIKU, OPUS], ["0.003000000", "0.000600000"],
    ),
    (
        "cold after five minutes", OPUS_HAIKU + CHEAPEST, {"system": MARKED}, [warm(OPUS, 5000, age_s=301)],
        [HAIKU, OPUS], ["0.008750000", "0.001750000"],
    ),
    (
        # 1000 x 0.5 + 2500 = 3000 at opus; haiku writes for an hour: 2500
        "warm for an hour", OPUS_HAIKU + CHEAPEST, {"system": MARKED_1H}, [warm(OPUS, 5000, age_s=301, is_long=True)],
        [HAIKU, OPUS], ["0.003000000", "0.002500000"],
    ),
    (
        # Claude reads no cache for a prompt without marks.
        "unmarked there is nothing to read", OPUS_HAIKU + CHEAPEST, {}, [warm(OPUS, 5000)], [HAIKU, OPUS], BOTH,
    ),
    (
        # It caches by itself: 800 x 0.5 + 200 x 2 + 100 x 8 = 400 + 400 + 800 = 1600
        "others cache unasked", 'targets = ["own/known", "a/claude-haiku-4-5"]\n' + CHEAPEST, {},
        [warm("own/known", 800)], [HAIKU, "own/known"], ["0.001600000", PLAIN_HAIKU],
    ),
    (
        # and takes nothing for writing: 1000 x 2 + 100 x 8 = 2800; haiku writes: 1750
        "others write for nothing", 'targets = ["own/known", "a/claude-haiku-4-5"]\n' + CHEAPEST,
        {"system": MARKED}, [], [HAIKU, "own/known"], ["0.002800000", "0.001750000"],
    ),
    # cheapest: prices
    (
        # 1000 x 2 + 100 x 8 = 2800, below sonnet's 4500
        "a price of the configuration", 'targets = ["a/claude-sonnet-4-6", "own/known"]\n' + CHEAPEST, {}, [],
        ["own/known", SONNET], [PLAIN_SONNET, "0.002800000"],
    ),
    (
        "an unknown price comes last", 'targets = ["own/other", "a/claude-opus-4-8"]\n' + CHEAPEST, {}, [],
        [OPUS, "own/other"], [None, PLAIN_OPUS],
    ),
    (
        "an unknown price is refused",
        'targets = ["own/other", "a/claude-opus-4-8"]\nunpriced = "refuse"\n' + CHEAPEST, {}, [], [OPUS],
        [None, PLAIN_OPUS],
    ),
    (
        "equal costs: where the conversation is", 'targets = ["a/claude-haiku-4-5", "b/claude-haiku-4-5"]\n' + CHEAPEST,
        {}, [warm("b/claude-haiku-4-5", 10)], ["b/claude-haiku-4-5", HAIKU], [PLAIN_HAIKU, PLAIN_HAIKU],
    ),
    # what cannot answer
    (
        # 250,001 tokens: more than haiku's 200,000, though the count be a quarter too high.
        # opus 250001 x 5 + 2500 = 1252505; haiku 250001 + 500
        "a context too small", OPUS_HAIKU + CHEAPEST, {"tokens": 250_001}, [], [OPUS],
        ["1.252505000", "0.250501000"],
    ),
    (
        "it reads no documents", 'targets = ["a/claude-3-haiku-20240307", "own/other", "a/claude-haiku-4-5"]',
        {"messages": [{"role": "user", "content": [PDF]}]}, [], ["own/other", HAIKU],
        # claude-3-haiku: 0.25 and 1.25 a million: 1000 x 0.25 + 100 x 1.25 = 375
        ["0.000375000", None, PLAIN_HAIKU],
    ),
    (
        "a tool called image is none", 'targets = ["a/claude-3-haiku-20240307", "a/claude-haiku-4-5"]',
        {"tools": [TOOL]}, [], ["a/claude-3-haiku-20240307", HAIKU], ["0.000375000", PLAIN_HAIKU],
    ),
    # conditions
    ("no condition holds", when("tools = true"), {}, [], [HAIKU], [PLAIN_HAIKU]),
    ("tools", when("tools = true"), {"tools": [TOOL]}, [], [OPUS], [PLAIN_OPUS]),
    ("an empty list of tools", when("tools = true"), {"tools": []}, [], [HAIKU], [PLAIN_HAIKU]),
    ("no tools", when("tools = false"), {}, [], [OPUS], [PLAIN_OPUS]),
    ("images", when("images = true"), {"messages": [{"role": "user", "content": [IMAGE]}]}, [], [OPUS], [PLAIN_OPUS]),
    ("documents", when("documents = true"), {"messages": [{"role": "user", "content": [PDF]}]}, [], [OPUS],
        [PLAIN_OPUS]),
    ("the very number of tokens", when("over_tokens = 1000"), {}, [], [HAIKU], [PLAIN_HAIKU]),
    # 1001 x 5 + 2500 = 7505
    ("one token more", when("over_tokens = 1000"), {"tokens": 1001}, [], [OPUS], ["0.007505000"]),
    ("a tag", when('tag = "team=blue"'), {"tags": '{"team":"blue"}'}, [], [OPUS], [PLAIN_OPUS]),
    ("another tag", when('tag = "team=blue"'), {"tags": '{"team":"red"}'}, [], [HAIKU], [PLAIN_HAIKU]),
    ("no tags", when('tag = "team=blue"'), {}, [], [HAIKU], [PLAIN_HAIKU]),
    ("both must hold", when('tools = true\ntag = "team=blue"'), {"tools": [TOOL]}, [], [HAIKU], [PLAIN_HAIKU]),
    # names
    (
        "a pattern", 'targets = ["a/x"]\n[models."*-haiku-*"]\ntargets = ["b/claude-haiku-4-5"]',
        {"model": "claude-haiku-4-5"}, [], ["b/claude-haiku-4-5"], [PLAIN_HAIKU],
    ),
    (
        "the name that was asked for", 'targets = ["a/x"]\n[models."claude-*"]\ntargets = ["b/*", "a/*"]',
        {"model": "claude-opus-4-8"}, [], ["b/claude-opus-4-8", OPUS], [PLAIN_OPUS, PLAIN_OPUS],
    ),
    (
        "a name before a pattern",
        'targets = ["a/x"]\n[models."claude-*"]\ntargets = ["b/*"]\n[models.claude-opus-4-8]\ntargets = ["a/*"]',
        {"model": "claude-opus-4-8"}, [], [OPUS], [PLAIN_OPUS],
    ),
    (
        "the first pattern that fits",
        'targets = ["a/x"]\n[models."*opus*"]\ntargets = ["b/*"]\n[models."claude-*"]\ntargets = ["a/*"]',
        {"model": "claude-opus-4-8"}, [], ["b/claude-opus-4-8"], [PLAIN_OPUS],
    ),
    (
        "provider/model is no pattern's", 'targets = ["a/x"]\n[models."*"]\ntargets = ["b/*"]',
        {"model": "a/claude-opus-4-8"}, [], [OPUS], [PLAIN_OPUS],
    ),
    ("an alias", "targets = [\"b/claude-haiku-4-5\"]", {}, [], ["b/claude-haiku-4-5"], [PLAIN_HAIKU]),
    # fastest: to the first token, and 100 tokens more
    (
        # opus 0.5 + 100 / 100 = 1.5 s, haiku 1.0 + 100 / 400 = 1.25 s
        "the whole reply counts", OPUS_HAIKU + 'policy = "fastest"\n', {},
        [took(OPUS, 0.5, 100), took(HAIKU, 1.0, 400)], [HAIKU, OPUS], BOTH,
    ),
    (
        # opus 0.5 + 100 / 100 = 1.5 s, haiku 1.3 + 0.25 = 1.55 s
        "the first token counts", OPUS_HAIKU + 'policy = "fastest"\n', {},
        [took(OPUS, 0.5, 100), took(HAIKU, 1.3, 400)], [OPUS, HAIKU], BOTH,
    ),
    (
        # 1.5 s at home; 1.25 s / 0.7 = 1.79 s
        "warm: not for a little", OPUS_HAIKU + 'policy = "fastest"\n', {},
        [took(OPUS, 0.5, 100), took(HAIKU, 1.0, 400), warm(OPUS, 5000)], [OPUS, HAIKU], BOTH,
    ),
    (
        # 1.5 s at home; (0.5 + 0.25) / 0.7 = 1.07 s
        "warm: for a lot", OPUS_HAIKU + 'policy = "fastest"\n', {},
        [took(OPUS, 0.5, 100), took(HAIKU, 0.5, 400), warm(OPUS, 5000)], [HAIKU, OPUS], BOTH,
    ),
    (
        "what nobody has asked is asked", OPUS_HAIKU + 'policy = "fastest"\n', {}, [took(OPUS, 0.1, 900)],
        [HAIKU, OPUS], BOTH,
    ),
    # least busy: (requests + 1) / weight
    ("the least busy", ALL + 'policy = "least_busy"\n', {}, [running(opus=2, sonnet=0, haiku=1)],
        [SONNET, HAIKU, OPUS], THREE),
    (
        # opus (3 + 1) / 4 = 1, haiku (1 + 1) / 1 = 2
        "by weight", OPUS_HAIKU + 'policy = "least_busy"\nweights = [4, 1]\n', {}, [running(opus=3, haiku=1)],
        [OPUS, HAIKU], BOTH,
    ),
    ("busy at home", OPUS_HAIKU + 'policy = "least_busy"\n', {}, [running(opus=9), warm(OPUS, 10)], [OPUS, HAIKU],
        BOTH),
    # weighted, with a lot of one half for each: 0.5, 0.5 ^ (1/3) = 0.79
    ("by lot", OPUS_HAIKU + 'policy = "weighted"\nweights = [1, 3]\n', {}, [], [HAIKU, OPUS], BOTH),
    ("home before lots", OPUS_HAIKU + 'policy = "weighted"\nweights = [1, 3]\n', {}, [warm(OPUS, 10)], [OPUS, HAIKU],
        BOTH),
    # health
    ("as written", ALL, {}, [], [OPUS, SONNET, HAIKU], THREE),
    ("four failures are not enough", ALL, {}, [failed(OPUS, 4)], [OPUS, SONNET, HAIKU], THREE),
    ("a breaker is open", ALL, {}, [failed(OPUS)], [SONNET, HAIKU, OPUS], THREE),
    ("one is healthy", ALL, {}, [failed(OPUS), failed(SONNET)], [HAIKU, OPUS, SONNET], THREE),
    ("none is: the one that is ready first", ALL, {}, [failed(OPUS), failed(SONNET, at=NOW - 1), failed(HAIKU)],
        [SONNET, OPUS, HAIKU], THREE),
    ("it may be asked again", ALL, {}, [failed(OPUS, at=NOW - 2)], [OPUS, SONNET, HAIKU], THREE),
    ("it has said when to come again", ALL, {}, [cooled(OPUS, 30)], [SONNET, HAIKU, OPUS], THREE),
    ("the cheapest is ill", ALL + CHEAPEST, {}, [failed(HAIKU)], [SONNET, OPUS, HAIKU], THREE),
    ("home is ill", OPUS_HAIKU + 'policy = "weighted"\n', {}, [warm(OPUS, 10), failed(OPUS)], [HAIKU, OPUS], BOTH),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "request_", "known", "order", "costs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_who_is_chosen(
    rule: str, request_: dict[str, Any], known: Sequence[Setup], order: list[str], costs: list[str | None]
) -> None:
    dispatch, asked = dispatch_of(rule), asked_of(**request_)
    for each in known:
        each(dispatch, asked)
    told = report(asked.model, dispatch.explain(asked))
    assert told["order"] == order
    assert [each["expected_cost_usd"] for each in told["targets"]] == costs
    assert [route.name for route in dispatch.plan(asked).routes] == order, "what is told is what is done"


def test_the_numbers_are_those_that_the_cost_is_made_of() -> None:
    dispatch, asked = dispatch_of(OPUS_HAIKU + CHEAPEST), asked_of(system=MARKED)
    warm(OPUS, 900)(dispatch, asked)
    wrote("claude-haiku-4-5", 300)(dispatch, asked)
    told = report(asked.model, dispatch.explain(asked))
    assert told["request"]["input_tokens"] == 1000
    by_name = {each["target"]: each for each in told["targets"]}
    opus, haiku = by_name[OPUS], by_name[HAIKU]
    assert (opus["warm_tokens"], opus["expected_output_tokens"], opus["is_warm"], opus["room"]) == (
        900,
        100,
        True,
        None,
    )
    assert (haiku["warm_tokens"], haiku["expected_output_tokens"], haiku["is_warm"]) == (None, 200, False)
    # Opus: 900 x 0.5 read, 100 x 6.25 written, 100 x 25. Haiku: 1000 x 1.25 written, 200 x 5.
    assert opus["expected_cost_usd"] == f"0.{900 * 500 + 100 * 6250 + 100 * 25_000:09d}"
    assert haiku["expected_cost_usd"] == f"0.{1000 * 1250 + 200 * 5000:09d}"


def test_every_number_is_in_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs/routing.md").read_text()
    dispatch, asked = dispatch_of(OPUS_HAIKU), asked_of()
    (first, _) = report(asked.model, dispatch.explain(asked))["targets"]
    left = {"target", "weight", *(name for name in first if f"`{name}`" in page)}
    assert first.keys() <= left


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 30
    assert len({case[0] for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("rule", "request_", "error", "told"),
    [
        (
            'targets = ["a/claude-haiku-4-5", "b/claude-haiku-4-5"]',
            {"tokens": 250_001},
            InvalidRequest,
            "model: no target of m can take this request (a/claude-haiku-4-5: about 250,001 tokens are more than its "
            "200,000; b/claude-haiku-4-5: about 250,001 tokens are more than its 200,000)",
        ),
        (
            'targets = ["own/x", "own/y"]\npolicy = "cheapest"\nunpriced = "refuse"',
            {},
            InvalidRequest,
            "model: no target of m can take this request (own/x: its price is not known; own/y: its price is not "
            "known)",
        ),
        ('targets = ["a/x"]\n[models."*"]\ntargets = ["offline/*"]\n[providers.offline]', {"model": "no"}, NotFound,
            "model: no"),
        (
            'targets = ["a/x"]\n[models."*"]\ntargets = ["a/*"]\n[[models."*".when]]\ntools = true\n'
            'targets = ["offline/*"]\n[providers.offline]',
            {"model": "no", "tools": [TOOL]},
            NotFound,
            "model: no",
        ),
    ],
    ids=["too long for all", "no prices", "no such model", "no such model under a condition"],
)  # fmt: skip
def test_when_nobody_can(rule: str, request_: dict[str, Any], error: type[ApiError], told: str) -> None:
    with pytest.raises(error) as raised:
        dispatch_of(rule).plan(asked_of(**request_))
    assert raised.value.message == told


def test_the_only_one_is_asked_whatever_is_known_of_it() -> None:
    """And so it is told: whether the prompt is too long, the provider says."""
    dispatch, asked = dispatch_of('targets = ["a/claude-haiku-4-5"]'), asked_of(tokens=250_001)
    assert report("m", dispatch.explain(asked))["order"] == [HAIKU]
    assert [route.name for route in dispatch.plan(asked).routes] == [HAIKU]


def test_weights_stay_with_their_targets_where_one_does_not_answer_the_name() -> None:
    """The offline engine answers names of the catalogue alone."""
    rule = 'targets = ["a/x"]\n[models."*"]\npolicy = "least_busy"\ntargets = ["offline/*", "a/*", "b/*"]\n'
    dispatch = dispatch_of(rule + "weights = [5, 1, 9]\n[providers.offline]\n")
    told = report("no", dispatch.explain(asked_of(model="no")))
    assert [(each["target"], each["weight"]) for each in told["targets"]] == [("a/no", 1.0), ("b/no", 9.0)]
    assert told["order"] == ["b/no", "a/no"]


def test_now_and_then_who_is_known_little_is_asked() -> None:
    known = [took(OPUS, 0.5, 100), took(HAIKU, 9.0, 10, times=2)]
    for lot, first in ((0.04, HAIKU), (0.06, OPUS)):
        dispatch, asked = dispatch_of(OPUS_HAIKU + 'policy = "fastest"\n', lot=lot), asked_of()
        for each in known:
            each(dispatch, asked)
        assert dispatch.plan(asked).first.name == first
