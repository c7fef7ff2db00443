"""Which target is asked first, and which next: a table of cases, with all numbers passed in."""

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.gateway.routing.choosing import EXPLORED, POLICIES, SURE, WORTH_MOVING, Need, Policy, Standing, choose
from dragoman.gateway.routing.speeds import Expected


def a(**said: Any) -> Standing:
    return Standing(name="p/a", **said)


def b(**said: Any) -> Standing:
    return Standing(name="p/b", **said)


def c(**said: Any) -> Standing:
    return Standing(name="p/c", **said)


def quick(first_s: float, per_s: float | None = 100.0, weight: float = 20.0) -> Expected:
    return Expected(first_s=first_s, first_p95_s=first_s * 2, per_s=per_s, weight=weight)


def order(policy: Policy, *standings: Standing, need: Need | None = None, lot: float = 0.5, **more: Any) -> str:
    """The last letters of the targets, in order."""
    chosen = choose(policy, need or Need(), standings, random=lambda: lot, **more)
    return "".join(standings[place].name[-1] for place in chosen.order)


LONG = Need(tokens=190_000)
CASES: list[tuple[str, Policy, Need, list[Standing], str]] = [
    ("as written", "ordered", Need(), [a(), b(), c()], "abc"),
    ("a sick one comes last", "ordered", Need(), [a(is_well=False, wait_s=2), b(), c()], "bca"),
    ("of sick ones the soonest", "ordered", Need(), [a(is_well=False, wait_s=9), b(is_well=False, wait_s=1)], "ba"),
    ("a lone sick one stays", "ordered", Need(), [a(is_well=False, wait_s=60)], "a"),
    ("a full one behind those with room", "ordered", Need(), [a(room=0), b(room=1), c()], "bca"),
    ("full before sick", "ordered", Need(), [a(is_well=False, wait_s=1), b(room=0)], "ba"),
    ("home does not change a written order", "ordered", Need(), [a(), b(is_home=True)], "ab"),
    ("images", "ordered", Need(images=True), [a(images=False), b(images=True), c()], "bc"),
    ("documents", "ordered", Need(documents=True), [a(documents=False), b()], "b"),
    ("tools", "ordered", Need(tools=True), [a(tools=False), b(tools=True)], "b"),
    ("what is not needed may be missing", "ordered", Need(), [a(images=False, tools=False), b()], "ab"),
    ("context", "ordered", LONG, [a(context_tokens=128_000), b(context_tokens=200_000)], "b"),
    ("what may fit is tried", "ordered", LONG, [a(context_tokens=160_000), b(context_tokens=200_000)], "ab"),
    ("an unknown context is tried", "ordered", LONG, [a(), b(context_tokens=200_000)], "ab"),
    ("nobody can", "ordered", Need(images=True), [a(images=False), b(images=False)], ""),
    ("all weight on one", "weighted", Need(), [a(weight=0), b(weight=1)], "ba"),
    ("weights by lot", "weighted", Need(), [a(weight=1), b(weight=3)], "ba"),
    ("warm wins over weight", "weighted", Need(), [a(weight=1, is_home=True), b(weight=1000)], "ab"),
    ("a warm one that is sick does not", "weighted", Need(), [a(is_home=True, is_well=False), b()], "ba"),
    ("least busy", "least_busy", Need(), [a(running=3), b(running=1), c(running=2)], "bca"),
    ("busy by weight", "least_busy", Need(), [a(running=3, weight=4), b(running=1)], "ab"),
    ("warm wins over idle", "least_busy", Need(), [a(running=9, is_home=True), b()], "ab"),
    ("cheapest", "cheapest", Need(), [a(cost_nano=300), b(cost_nano=200), c(cost_nano=250)], "bca"),
    ("free is cheapest", "cheapest", Need(), [a(cost_nano=1), b(cost_nano=0)], "ba"),
    ("no price is not free", "cheapest", Need(), [a(), b(cost_nano=10**12)], "ba"),
    ("equal: where it is warm", "cheapest", Need(), [a(cost_nano=5), b(cost_nano=5, is_home=True)], "ba"),
    ("cheaper wins over warm", "cheapest", Need(), [a(cost_nano=5, is_home=True), b(cost_nano=4)], "ba"),
    ("cheapest that can", "cheapest", LONG, [a(cost_nano=1, context_tokens=1000), b(cost_nano=9)], "b"),
    ("fastest", "fastest", Need(), [a(speed=quick(0.5)), b(speed=quick(0.3))], "ba"),
    (
        "long replies want a high rate",
        "fastest",
        Need(output_tokens=1000),
        [a(speed=quick(0.1, 20)), b(speed=quick(2.0, 200))],
        "ba",
    ),
    (
        "short ones want a quick start",
        "fastest",
        Need(output_tokens=10),
        [a(speed=quick(0.1, 20)), b(speed=quick(2.0, 200))],
        "ab",
    ),
    ("unknown and idle is found out", "fastest", Need(), [a(speed=quick(0.2)), b()], "ba"),
    ("but not by everybody", "fastest", Need(), [a(speed=quick(0.2)), b(running=1)], "ab"),
    ("where nothing is warm a little is enough", "fastest", Need(), [a(speed=quick(1)), b(speed=quick(0.8))], "ba"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "need", "standings", "expected"), [each[1:] for each in CASES], ids=[e[0] for e in CASES]
)
def test_the_order(policy: Policy, need: Need, standings: list[Standing], expected: str) -> None:
    assert order(policy, *standings, need=need) == expected


def test_a_warm_conversation_moves_only_for_much() -> None:
    home = a(speed=quick(1.0), is_home=True)
    assert order("fastest", home, b(speed=quick(WORTH_MOVING + 0.01))) == "ab"
    assert order("fastest", home, b(speed=quick(WORTH_MOVING - 0.01))) == "ba"


def test_without_a_price_a_target_may_be_refused() -> None:
    assert order("cheapest", a(), b(cost_nano=9), refuse_unpriced=True) == "b"
    chosen = choose("cheapest", Need(), [a()], random=lambda: 0.5, refuse_unpriced=True)
    assert chosen.order == ()
    assert chosen.reasons[0].why == "its price is not known"


def test_reasons_have_numbers() -> None:
    chosen = choose(
        "cheapest",
        Need(tokens=9000),
        [a(cost_nano=12_345_678), b(context_tokens=7000), c(is_well=False, wait_s=1.5)],
        random=lambda: 0.5,
    )
    assert [(each.name, each.place, each.why) for each in chosen.reasons] == [
        ("p/a", 0, "0.012346 USD expected"),
        ("p/b", None, "about 9,000 tokens are more than its 7,000"),
        ("p/c", 1, "it is left alone for 1.5 s more"),
    ]


def test_lots_are_drawn_by_weight() -> None:
    dice = random.Random(7).random
    first = Counter(choose("weighted", Need(), [a(weight=1), b(weight=3)], random=dice).order[0] for _ in range(4000))
    assert 0.72 < first[1] / 4000 < 0.78


def test_a_little_exploration() -> None:
    known, little = a(speed=quick(0.1, weight=60)), b(speed=quick(5.0, weight=1))
    assert order("fastest", known, little, lot=EXPLORED - 0.001) == "ba"
    assert order("fastest", known, little, lot=EXPLORED) == "ab"
    assert order("fastest", known, b(speed=quick(5.0, weight=40)), lot=0.0) == "ab"


def standings() -> st.SearchStrategy[list[Standing]]:
    maybe = st.one_of(st.none(), st.booleans())
    one = st.builds(
        Standing,
        name=st.sampled_from(["p/a", "p/b"]),
        weight=st.floats(0, 10),
        is_well=st.booleans(),
        wait_s=st.floats(0, 100),
        running=st.integers(0, 100),
        room=st.one_of(st.none(), st.integers(0, 5)),
        context_tokens=st.one_of(st.none(), st.integers(0, 300)),
        images=maybe,
        tools=maybe,
        is_home=st.booleans(),
        cost_nano=st.one_of(st.none(), st.integers(0, 10**12)),
        speed=st.one_of(st.none(), st.builds(quick, st.floats(0.01, 60), st.one_of(st.none(), st.floats(1, 500)))),
    )
    return st.lists(one, max_size=6)


@given(st.sampled_from(POLICIES), standings(), st.integers(0, 400), st.booleans(), st.floats(0, 0.999))
def test_whoever_can_answer_is_in_the_order_once(
    policy: Policy, targets: list[Standing], tokens: int, images: bool, lot: float
) -> None:
    """And whoever cannot is not; those that are well and have room come before all others."""
    chosen = choose(policy, Need(tokens=tokens, images=images), targets, random=lambda: lot)
    able = {
        place
        for place, each in enumerate(targets)
        if not (images and each.images is False)
        and (each.context_tokens is None or tokens <= SURE * each.context_tokens)
    }
    assert sorted(chosen.order) == sorted(able)
    ready = [targets[place].is_well and targets[place].room != 0 for place in chosen.order]
    assert ready == sorted(ready, reverse=True)
    assert [reason.place is not None for reason in chosen.reasons] == [place in able for place in range(len(targets))]
