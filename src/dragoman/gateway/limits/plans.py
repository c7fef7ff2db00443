"""What limits a caller's requests, worked out once for each caller and group of models, and how he is told of it.

Pure: who is in which tier is asked in `limits.py`, what is left of a limit in the counters.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from dragoman.store.buckets import DAY_S, MINUTE_S
from dragoman.store.counters import Demand, Gate
from dragoman.wire.ratelimits import Family, Window

from .model_groups import Group

__all__ = ["KINDS", "NO_PLAN", "Kind", "Line", "Plan", "Scope", "windows"]

Kind = Literal["requests", "input", "output", "tokens", "day"]
_FAMILIES: Mapping[Kind, Family] = {
    "requests": "requests",
    "input": "input-tokens",
    "output": "output-tokens",
    "tokens": "tokens",
    "day": "tokens",  # of all that is in force the one that has the least left
}
KINDS: Mapping[str, Kind] = {"rpm": "requests", "itpm": "input", "otpm": "output", "tpm": "tokens", "tpd": "day"}
_TOLD = tuple(dict.fromkeys(_FAMILIES.values()))  # in this order


class Scope(Struct, frozen=True, cache_hash=True):
    """Whose limits: what it is, its id, the name of its tier, and how many requests it may have at once."""

    kind: str  # organization, workspace or key
    id: str
    tier: str
    concurrent: int | None


class Line(Struct, frozen=True):
    """One limit that is in force for a caller: so many a period, in the bucket `key`."""

    scope: Scope
    kind: Kind
    limit: int
    period_s: int
    key: str
    fixed: Demand | None  # what any request wants of it, unless its input counts

    @classmethod
    def of(cls, scope: Scope, kind: Kind, limit: int, *, part: str) -> "Line":
        """`part` names the models that share it. A request needs itself, and room for any output (LIM-3, LIM-4)."""
        key = f"{scope.kind}\n{scope.id}\n{part}\n{kind}"  # a text keeps its hash
        period_s = DAY_S if kind == "day" else MINUTE_S
        cost = {"requests": 1, "output": 0}.get(kind)
        fixed = None if cost is None else Demand(key, limit, 1, cost, period_s)
        return cls(scope, kind, limit, period_s, key, fixed)

    @property
    def is_output(self) -> bool:
        """Output counts towards it."""
        return self.kind in ("output", "tokens", "day")


class Plan(Struct, frozen=True):
    """What limits a caller's requests to a group of models: which limits, and what a caller is told of them.

    `families`: of each the places of its limits among `lines`, the smallest first: of two with as much left it is the
    one that is told. `sums`: those of input and output of one scope.
    """

    lines: tuple[Line, ...] = ()
    gates: tuple[Gate, ...] = ()
    demands: tuple[Demand, ...] | None = None  # of any request, where they do not depend on its input
    counts_cache_reads: bool = False
    refills: tuple[tuple[int, float], ...] = ()  # of each limit how much it is, and how much of it comes in a second
    families: tuple[tuple[Family, tuple[int, ...]], ...] = ()
    sums: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, scopes: Iterable[Scope], lines: tuple[Line, ...], group: Group | None) -> "Plan":
        families: dict[Family, list[int]] = {}
        sums: dict[Scope, list[int]] = {}
        for at, line in enumerate(lines):
            families.setdefault(_FAMILIES[line.kind], []).append(at)
            if line.kind in ("input", "output"):
                sums.setdefault(line.scope, []).append(at)
        if sums:
            families.setdefault("tokens", [])

        def smallest(place: int) -> tuple[int, int]:
            return lines[place].limit, place

        fixed = [line.fixed for line in lines if line.fixed is not None]
        return cls(
            lines,
            tuple(Gate(f"{each.kind}\n{each.id}", each.concurrent) for each in scopes if each.concurrent is not None),
            tuple(fixed) if len(fixed) == len(lines) else None,
            group is not None and group.counts_cache_reads,
            tuple((line.limit, line.limit / line.period_s) for line in lines),
            tuple((name, tuple(sorted(families[name], key=smallest))) for name in _TOLD if name in families),
            tuple(map(tuple, sums.values())),
        )


NO_PLAN = Plan()


def windows(plan: Plan, full_at: Sequence[float], now: float, offset: float) -> list[Window]:
    """One window a family, of the limit that has the least left. `offset`: from monotonic seconds to Unix'."""
    refills = plan.refills
    left = [
        limit if at <= now else limit - (at - now) * a_second
        for at, (limit, a_second) in zip(full_at, refills, strict=True)
    ]
    told = []
    for family, places in plan.families:
        least, limit, at = math.inf, 0, now
        if places:
            place = places[0] if len(places) == 1 else min(places, key=left.__getitem__)
            least, limit, at = left[place], refills[place][0], full_at[place]
        if family == "tokens":  # HDR-35: input and output of one scope together, unless something is tighter
            for together in plan.sums:
                place = together[0]
                both, of, until = left[place], refills[place][0], full_at[place]
                if len(together) == 2:
                    place = together[1]
                    other, other_until = left[place], full_at[place]
                    both = (both if both > 0 else 0.0) + (other if other > 0 else 0.0)
                    of += refills[place][0]
                    until = until if until > other_until else other_until
                if both < least:
                    least, limit, at = both, of, until
        told.append(Window(family, limit, least, (at if at > now else now) + offset))
    return told
