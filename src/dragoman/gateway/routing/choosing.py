"""In which order the targets of a route are asked, and why. Pure: facts and numbers in, an order and reasons out.

What cannot answer at all is left out. What is not well, or full, comes behind everything else, but stays: the last
target is never taken away in silence (pain 30). Among the rest the route's policy decides, and where prompts are cached
a conversation stays where its prefix is warm, unless moving is worth it (pain 51).
"""

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from .speeds import Expected

__all__ = ["AFFINE", "POLICIES", "Choice", "Need", "Policy", "Reason", "Standing", "choose"]

Policy = Literal["ordered", "weighted", "cheapest", "fastest", "least_busy"]
POLICIES: tuple[Policy, ...] = ("ordered", "weighted", "cheapest", "fastest", "least_busy")

AFFINE: frozenset[Policy] = frozenset({"weighted", "cheapest", "fastest", "least_busy"})  # keep a conversation together

WORTH_MOVING = 0.7  # `fastest` leaves a warm prefix for a target that takes less than this share of the time
EXPLORED = 0.05  # of requests, that `fastest` spends on the target of which it knows least
KNOWN = 3.0  # samples, faded: less than that is worth exploring
SURE = 1.25  # the count of a prompt is an estimate: by so much it must be over a context to be too long for sure


class Need(Struct, frozen=True, kw_only=True):
    """What a request needs of whoever answers it."""

    tokens: int = 0  # of the prompt, as far as it has been counted
    images: bool = False
    documents: bool = False
    tools: bool = False
    output_tokens: float = 0.0  # to be expected


class Standing(Struct, frozen=True, kw_only=True):
    """A target as it is now. What nobody knows is None, and stands in nobody's way."""

    name: str  # provider/model
    weight: float = 1.0
    is_well: bool = True  # its breaker lets requests through
    wait_s: float = 0.0  # until it does
    running: int = 0  # requests that it answers now
    room: int | None = None  # how many more it takes
    context_tokens: int | None = None
    images: bool | None = None
    documents: bool | None = None
    tools: bool | None = None
    output_tokens: float = 0.0  # that its model is expected to write
    warm_tokens: int | None = None  # of the prompt, that are likely to be cached there
    is_home: bool = False  # the conversation's prefix is warm there
    cost_nano: int | None = None  # expected, of this request
    speed: Expected | None = None


class Reason(Struct, frozen=True, kw_only=True):
    """Why a target has its place; None: it is left out."""

    name: str
    place: int | None
    why: str
    score: float | None = None  # by the policy: nano-dollars, seconds or requests; less is better


class Choice(Struct, frozen=True):
    """Places of targets, in the order in which they are asked; and a reason for each target, if they are asked for or
    if there is no order."""

    order: tuple[int, ...]
    reasons: tuple[Reason, ...]


def choose(
    policy: Policy,
    need: Need,
    standings: Sequence[Standing],
    *,
    random: Callable[[], float],
    refuse_unpriced: bool = False,
    with_reasons: bool = True,
) -> Choice:
    """`random` gives numbers from 0 up to 1. `refuse_unpriced`: without a price `cheapest` leaves a target out."""
    out: dict[int, str] = {}
    ready: list[int] = []
    full: list[int] = []
    sick: list[int] = []
    for place, each in enumerate(standings):
        if why := _why_not(need, each):
            out[place] = why
        elif refuse_unpriced and policy == "cheapest" and each.cost_nano is None:
            out[place] = "its price is not known"
        else:
            (sick if not each.is_well else full if each.room == 0 else ready).append(place)
    if len(sick) > 1:
        sick.sort(key=lambda at: standings[at].wait_s)
    ranked = _RANKS[policy](need, [standings[place] for place in ready], random)
    order = (*[ready[at] for at, _, _ in ranked], *full, *sick)
    if order and not with_reasons:
        return Choice(order, ())
    notes = {ready[at]: (why, score) for at, why, score in ranked}
    notes |= dict.fromkeys(full, ("it has no room now", None))
    notes |= {place: (f"it is left alone for {standings[place].wait_s:.1f} s more", None) for place in sick}
    reasons = []
    for place, each in enumerate(standings):
        why, score = (out[place], None) if place in out else notes[place]
        at = None if place in out else order.index(place)
        reasons.append(Reason(name=each.name, place=at, why=why, score=score))
    return Choice(order, tuple(reasons))


def _why_not(need: Need, target: Standing) -> str | None:
    """Why a target cannot answer; None: it can, for all that is known."""
    if need.images and target.images is False:
        return "it sees no images"
    if need.documents and target.documents is False:
        return "it reads no documents"
    if need.tools and target.tools is False:
        return "it calls no tools"
    if target.context_tokens is not None and need.tokens > SURE * target.context_tokens:
        return f"about {need.tokens:,} tokens are more than its {target.context_tokens:,}"
    return None


Ranked = list[tuple[int, str, float | None]]  # place, why, score


def _ordered(need: Need, targets: Sequence[Standing], random: Callable[[], float]) -> Ranked:
    return [(at, "in the order of the route", None) for at in range(len(targets))]


def _weighted(need: Need, targets: Sequence[Standing], random: Callable[[], float]) -> Ranked:
    """By lot: the first, then among the rest. Efraimidis and Spirakis, Information Processing Letters 97 (2006)."""
    keys = [random() ** (1 / each.weight) if each.weight > 0 else -1.0 for each in targets]
    order = sorted(range(len(targets)), key=lambda at: (not targets[at].is_home, -keys[at]))
    return [(at, _home(targets[at]) or f"by lot, weight {targets[at].weight:g}", None) for at in order]


def _least_busy(need: Need, targets: Sequence[Standing], random: Callable[[], float]) -> Ranked:
    lots = [random() for _ in targets]

    def load(each: Standing) -> float:
        return (each.running + 1) / each.weight if each.weight > 0 else float("inf")

    order = sorted(range(len(targets)), key=lambda at: (not targets[at].is_home, load(targets[at]), lots[at]))
    return [(at, _home(targets[at]) or f"{targets[at].running} at work", load(targets[at])) for at in order]


def _cheapest(need: Need, targets: Sequence[Standing], random: Callable[[], float]) -> Ranked:
    """What is cached where is in the expected costs already. One without a price comes last, and says so."""

    def key(at: int) -> tuple[bool, int, bool]:
        cost = targets[at].cost_nano
        return cost is None, cost or 0, not targets[at].is_home

    ranked: Ranked = []
    for at in sorted(range(len(targets)), key=key):
        cost = targets[at].cost_nano
        why = "its price is not known" if cost is None else f"{cost / 1e9:.6f} USD expected"
        ranked.append((at, why, None if cost is None else float(cost)))
    return ranked


def _fastest(need: Need, targets: Sequence[Standing], random: Callable[[], float]) -> Ranked:
    """By the time until a reply of the expected length is whole."""
    home = next((at for at, each in enumerate(targets) if each.is_home), None)
    times = [each.speed.total_s(need.output_tokens) if each.speed else None for each in targets]
    known = [time for time in times if time is not None]

    def key(at: int) -> tuple[float, int]:
        time = times[at]
        if time is None:  # nobody knows: the first request finds out, the next ones do not wait for it
            return (0.0 if targets[at].running == 0 else max(known, default=0.0)), at
        if home is not None and at != home:
            return time / WORTH_MOVING, at
        return time, at

    order = sorted(range(len(targets)), key=key)
    explored = _to_explore(targets, random) if home is None else None
    if explored is not None:
        order.remove(explored)
        order.insert(0, explored)
    ranked: Ranked = []
    for at in order:
        time = times[at]
        why = "nothing is known of it yet" if time is None else f"{time:.2f} s expected"
        if at == explored:
            why += ", asked to know it better"
        elif at == home:
            why += ", the conversation is warm there"
        ranked.append((at, why, time))
    return ranked


def _to_explore(targets: Sequence[Standing], random: Callable[[], float]) -> int | None:
    if random() >= EXPLORED or len(targets) < 2:
        return None
    weight = [each.speed.weight if each.speed else 0.0 for each in targets]
    least = min(range(len(targets)), key=weight.__getitem__)
    return least if weight[least] < KNOWN else None


def _home(target: Standing) -> str | None:
    return "the conversation is warm there" if target.is_home else None


_RANKS: dict[Policy, Callable[[Need, Sequence[Standing], Callable[[], float]], Ranked]] = {
    "ordered": _ordered,
    "weighted": _weighted,
    "cheapest": _cheapest,
    "fastest": _fastest,
    "least_busy": _least_busy,
}
