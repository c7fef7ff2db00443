"""May this request go ahead: what is reserved before a request, and settled after it.

Two things are held: a place in this process, and the request's part of the rate limits that are configured for its
organization, workspace and key, each of which has buckets of its own (LIM-2, LIM-5). Nothing here waits, so a request
takes from all its buckets or from none. Who is in which tier is configuration; the arithmetic is in `buckets.py`.
"""

import math
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from dragoman.errors import ConfigError, Overloaded, RateLimited
from dragoman.providers.base import Operation
from dragoman.wire.ratelimits import FAMILY, Window, rate_limit_headers
from dragoman.wire.types import Usage

from .auth import Principal
from .buckets import Buckets, Demand, Share, Taking, level
from .call import Asked
from .config_limits import EVERY, GroupConfig, LimitsConfig, TierConfig
from .input_estimate import DELTA, estimate_input_tokens, estimate_output_tokens
from .model_groups import LINES, OTHER, Group, ModelGroups

__all__ = ["Hold", "LimitReached", "Limits"]

MAX_RUNNING = 10_000  # far above what one process serves well: a guard, not a quota. Bodies are in memory by then
TOKENS_LIMIT = 10_000_000  # of one request, whatever an upstream says
PLANS_KEPT = 10_000
NAME_SHOWN = 256  # characters of a model's name

Kind = Literal["requests", "input", "output", "tokens"]
_FAMILIES: Mapping[Kind, Literal["requests", "input-tokens", "output-tokens", "tokens"]] = {
    "requests": "requests",
    "input": "input-tokens",
    "output": "output-tokens",
    "tokens": "tokens",
}
_UNITS: Mapping[Kind, str] = {
    "requests": "requests",
    "input": "input tokens",
    "output": "output tokens",
    "tokens": "tokens",
}
_WHOSE = {"organization": "your organization's", "workspace": "your workspace's", "key": "your API key's"}


# Of a limit: what is left, of how much a minute, its place among the lines, when it is full (monotonic seconds).
State = tuple[float, int, int, float]
AFTER_LINES = 1000


class LimitReached(RateLimited):
    """A limit of ours is used up (ERR-51, 52); told with the state of all of them (HDR-39)."""

    def __init__(self, message: str, *, retry_after: int | None, told: list[tuple[str, str]]) -> None:
        super().__init__(message, retry_after=retry_after)
        self._told = told

    def headers(self) -> list[tuple[str, str]]:
        return [*super().headers(), *self._told]


class Scope(Struct, frozen=True, cache_hash=True):
    """Whose limits: what it is, its id, the name of its tier, and how many requests it may have at once."""

    kind: str  # of _WHOSE
    id: str
    tier: str
    concurrent: int | None


class Line(Struct, frozen=True):
    """One limit that is in force for a caller: so many a minute, in the bucket `key`."""

    scope: Scope
    kind: Kind
    per_minute: int
    key: Hashable
    fixed: Demand | None  # what any request wants of it, unless its input counts

    @classmethod
    def of(cls, scope: Scope, kind: Kind, per_minute: int, *, part: str) -> "Line":
        """`part` names the models that share it. A request needs itself, and room for any output (LIM-3, LIM-4)."""
        key = f"{scope.kind}\n{scope.id}\n{part}\n{kind}"  # a text keeps its hash
        cost = {"requests": 1, "output": 0}.get(kind)
        return cls(scope, kind, per_minute, key, None if cost is None else Demand(key, per_minute, 1, cost))

    @property
    def is_output(self) -> bool:
        """Output counts towards it."""
        return self.kind in ("output", "tokens")


class Plan(Struct, frozen=True):
    """What limits a caller's requests to a group of models: whose limits, which, and what a caller is told of them.

    `families`: of each the places of its limits among `lines`. `sums`: those of input and output of one scope.
    """

    scopes: tuple[Scope, ...]
    lines: tuple[Line, ...]
    families: tuple[tuple[Kind, tuple[int, ...]], ...]
    sums: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, scopes: tuple[Scope, ...], lines: tuple[Line, ...]) -> "Plan":
        places: dict[Kind, list[int]] = {}
        sums: dict[Scope, list[int]] = {}
        for at, line in enumerate(lines):
            places.setdefault(line.kind, []).append(at)
            if line.kind in ("input", "output"):
                sums.setdefault(line.scope, []).append(at)
        if sums:
            places.setdefault("tokens", [])
        families = tuple((kind, tuple(places[kind])) for kind in _FAMILIES if kind in places)
        return cls(scopes, lines, families, tuple(map(tuple, sums.values())))


class Held(Struct):
    """What one request has taken of the limits."""

    plan: Plan
    taking: Taking
    now: float  # monotonic seconds, as of `taking`


class Hold:
    """What one request has reserved. Given back once, however the request ends."""

    def __init__(self, limits: "Limits", held: Held | None = None) -> None:
        self._limits: Limits | None = limits
        self._held = held
        self._told = limits.told(held) if held is not None else []
        self._bytes = 0
        self._deltas = 0

    def tell(self, headers: list[tuple[str, str]], *, status: int) -> list[tuple[str, str]]:
        """A reply's headers with our limits in them (HDR-33 to 35, 39), in place of an upstream's.

        An upstream's own 429 keeps what the upstream told of it: that limit is none of ours.
        """
        if not self._told or (status == 429 and any(name.startswith(FAMILY) for name, _ in headers)):
            return headers
        return [*((name, value) for name, value in headers if not name.startswith(FAMILY)), *self._told]

    @property
    def counts(self) -> bool:
        """What goes out counts towards a limit."""
        return self._held is not None

    def saw(self, piece: bytes) -> None:
        """Whole events of a stream on their way out: counted, in case the stream breaks off."""
        if self._held is not None:
            self._bytes += len(piece)
            self._deltas += piece.count(DELTA)

    def release(self, usage: Usage | None = None, *, status: int = 0, is_whole: bool = True) -> None:
        """Settle: the limits get what was really used, and the place is free. A second call does nothing.

        `status` is that of the reply, 0 where there was none; `is_whole` is False for a stream that broke off.
        """
        limits, self._limits = self._limits, None
        if limits is None:
            return
        limits.running -= 1
        if self._held is not None:
            seen = 0 if is_whole else estimate_output_tokens(self._bytes, self._deltas)
            limits.settle(self._held, usage, status=status, output_seen=seen)


class Limits:
    """The limits of this process. `clock` gives monotonic seconds, `wall` those of Unix."""

    def __init__(
        self,
        config: LimitsConfig | None = None,
        *,
        groups: ModelGroups | None = None,
        default_workspace_id: str | None = None,
        max_running: int = MAX_RUNNING,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Raises ConfigError for a tier that tells of models which there are not, or twice of the same ones."""
        self.running = 0
        self.buckets = Buckets()
        self._config = config or LimitsConfig()
        self._groups = groups
        self._is_on = groups is not None and any(self._config.named())
        self._default_workspace_id = default_workspace_id
        self._max_running = max_running
        self._clock = clock
        self._wall = wall
        self._connected: dict[Scope, int] = {}  # requests under way; those above 0
        self._special = {name: _by_group(tier, groups) for name, tier in self._config.tiers.items()} if groups else {}
        self._plan = lru_cache(PLANS_KEPT)(self._plan_of)

    def reserve(self, asked: Asked | None = None) -> Hold:
        """Reserve what a request needs; without `asked`, or for one of a batch, a place in this process only (LIM-6).

        Raises Overloaded: no capacity is not a used-up quota (ERR-22). Raises LimitReached for that, and then nothing
        was taken (LIM-7).
        """
        if self.running >= self._max_running:
            raise Overloaded("Overloaded")
        held = self._take(asked) if self._is_on and asked is not None and asked.call.batched_for is None else None
        self.running += 1
        return Hold(self, held)

    def told(self, held: Held) -> list[tuple[str, str]]:
        """The headers that tell the state of these limits."""
        offset = self._wall() - held.now
        return rate_limit_headers(_windows(held.plan, held.taking.full_at, held.now, offset))

    def settle(self, held: Held, usage: Usage | None, *, status: int, output_seen: int) -> None:
        """Correct what was taken by what was used, and leave the connections."""
        for scope in held.plan.scopes:
            self._leave(scope)
        now = self._clock()
        shares = held.taking.shares
        for share, actual in zip(
            shares, _actual(zip(held.plan.lines, shares, strict=True), usage, status, output_seen), strict=True
        ):
            self.buckets.settle(share, actual, now)

    def _take(self, asked: Asked) -> Held | None:
        assert self._groups is not None
        is_count = asked.call.operation is Operation.COUNT_TOKENS
        plan = self._plan(asked.principal, None if is_count else self._groups.of(asked.model))
        if not plan.scopes:
            return None
        now = self._clock()
        for scope in plan.scopes:
            if scope.concurrent is not None and self._connected.get(scope, 0) >= scope.concurrent:
                raise self._crowded(plan, now)
        taking = self.buckets.take(_demands(plan.lines, asked.call.body), now)
        held = Held(plan, taking, now)
        if any(taking.wait_s):
            raise self._refusal(held, asked)
        for scope in plan.scopes:
            self._connected[scope] = self._connected.get(scope, 0) + 1
        return held

    def _refusal(self, held: Held, asked: Asked) -> LimitReached:
        """Names the limit that has the longest wait: when it is over, the others let the request pass too."""
        longest = max(held.taking.wait_s)
        line = held.plan.lines[held.taking.wait_s.index(longest)]
        return LimitReached(
            f"This request would exceed {_WHOSE[line.scope.kind]} rate limit of {line.per_minute:,} "
            f"{_UNITS[line.kind]} per minute (org: {asked.principal.organization_id}, model: "
            f"{asked.model[:NAME_SHOWN]}). You can see the response headers for current usage. Please reduce the "
            "prompt length or the maximum tokens requested, or try again later.",
            retry_after=math.ceil(longest),
            told=self.told(held),
        )

    def _crowded(self, plan: Plan, now: float) -> LimitReached:
        """Too many at once (ERR-52). When one of them will end nobody knows, so there is no `retry-after` (LIM-10)."""
        seen = Taking([], [self.buckets.full_at(line.key, now) for line in plan.lines], [])
        message = "Number of concurrent connections has exceeded your rate limit. Please try again later."
        return LimitReached(message, retry_after=None, told=self.told(Held(plan, seen, now)))

    def _leave(self, scope: Scope) -> None:
        if self._connected[scope] == 1:
            del self._connected[scope]
        else:
            self._connected[scope] -= 1

    def _plan_of(self, principal: Principal, group: Group | None) -> Plan:
        """What limits a caller's requests to a group of models; to `count_tokens`, without one."""
        scopes = self._scopes_of(principal)
        return Plan.of(scopes, self._lines_of(scopes, group))

    def _scopes_of(self, principal: Principal) -> tuple[Scope, ...]:
        """Whose limits hold for this caller: all of them at once, so the lowest decides (LIM-5)."""
        config = self._config
        workspace = config.workspaces.get(principal.workspace_id)
        if workspace is None and principal.workspace_id == self._default_workspace_id:
            workspace = config.default_workspace
        if workspace is None:
            workspace = config.workspaces.get(EVERY)
        keys = config.keys
        key = keys.get(principal.key_id) or keys.get(principal.key_name) or keys.get(EVERY)
        tiers = (
            ("organization", principal.organization_id, config.organization),
            ("workspace", principal.workspace_id, workspace),
            ("key", principal.key_id, key),
        )
        return tuple(
            Scope(kind, id_, tier, config.tiers[tier].concurrent) for kind, id_, tier in tiers if tier is not None
        )

    def _lines_of(self, scopes: tuple[Scope, ...], group: Group | None) -> tuple[Line, ...]:
        found: list[Line] = []
        for scope in scopes:
            tier = self._config.tiers[scope.tier]
            if group is None:  # LIM-6: independent of Messages, and one for all models
                given: Mapping[Kind, int | None] = {"requests": tier.count_rpm}
                part = "counts"
            else:
                given = self._rates(tier, group)
                part = group.name
            found += [Line.of(scope, kind, limit, part=part) for kind, limit in given.items() if limit is not None]
        return tuple(found)

    def _rates(self, tier: TierConfig, group: Group) -> Mapping[Kind, int | None]:
        """A tier's own, but for what it says of this group, or of the line that the group is of."""
        special = self._special[tier.name]
        of_group = special.get(group.name) or special.get(group.line or "")
        given: Mapping[Kind, str] = {"requests": "rpm", "input": "itpm", "output": "otpm", "tokens": "tpm"}
        return {
            kind: getattr(tier, name)
            if of_group is None or getattr(of_group, name) is None
            else getattr(of_group, name)
            for kind, name in given.items()
        }


def _by_group(tier: TierConfig, groups: ModelGroups) -> dict[str, GroupConfig]:
    """What a tier says of groups: by the group's name, or a line's."""
    found: dict[str, GroupConfig] = {}
    for name, special in tier.groups.items():
        group = name if name in LINES else groups.of(name).name
        if group == OTHER:
            raise ConfigError(f"{special.origin}: tiers.{tier.name}.groups.{name}: no model answers to this name.")
        if group in found:
            raise ConfigError(
                f"{special.origin}: tiers.{tier.name}.groups.{name}: these models share their limits with others that "
                "have a table already. Keep one of the two."
            )
        found[group] = special
    return found


def _demands(lines: Sequence[Line], body: bytes) -> list[Demand]:
    """What a request needs of each."""
    estimate = max(1, estimate_input_tokens(body))
    return [line.fixed or Demand(line.key, line.per_minute, estimate, estimate) for line in lines]


def _actual(shares: Iterable[tuple[Line, Share]], usage: Usage | None, status: int, output_seen: int) -> list[int]:
    """What a request has really used of each limit.

    A request that failed by no fault of its caller (5xx, or an upstream's 429) was none (ERR-22, LIM-7). One that was
    refused has no tokens; where an answer did not tell its usage, or was not waited for, the estimate stands.
    """
    requests = 0 if status >= 500 or status == 429 else 1
    if usage is None:
        return [
            requests if line.kind == "requests" else 0 if status >= 400 else share.taken + output_seen * line.is_output
            for line, share in shares
        ]
    read = _bounded(usage.input_tokens) + _bounded(usage.cache_creation_input_tokens or 0)
    written = max(_bounded(usage.output_tokens), output_seen)
    used: Mapping[Kind, int] = {"requests": requests, "input": read, "output": written, "tokens": read + written}
    return [used[line.kind] for line, _ in shares]


def _bounded(tokens: int) -> int:
    return max(0, min(tokens, TOKENS_LIMIT))


def _windows(plan: Plan, full_at: Sequence[float], now: float, offset: float) -> list[Window]:
    """One window a family, of the limit that has the least left. `offset`: from monotonic seconds to Unix'."""
    states = [
        (level(at, line.per_minute, now), line.per_minute, place, at if at > now else now)
        for place, (line, at) in enumerate(zip(plan.lines, full_at, strict=True))
    ]
    windows = []
    for kind, places in plan.families:
        family = [states[place] for place in places]
        if kind == "tokens":  # HDR-35: input and output of one scope together, unless something is tighter
            family += [_sum([states[place] for place in together]) for together in plan.sums]
        left, limit, _, at = min(family)
        windows.append(Window(_FAMILIES[kind], limit, left, at + offset))
    return windows


def _sum(states: Sequence[State]) -> State:
    """Of one limit or of two; of equals a sum is told last."""
    if len(states) == 1:
        left, limit, place, at = states[0]
        return left, limit, AFTER_LINES + place, at
    one, other = states
    left = max(0.0, one[0]) + max(0.0, other[0])
    return left, one[1] + other[1], AFTER_LINES + one[2], max(one[3], other[3])
