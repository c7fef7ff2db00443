"""May this request go ahead: what is reserved before a request, and settled after it.

Three things are held: a place in this process, the request's part of the rate limits that are in force for its
organization, workspace and key, each of which has buckets of its own (LIM-2, LIM-5), and what it may cost out of their
budgets. It takes all of them in one step of the counters, or nothing. Who is in which tier is configuration, and what
an administrator sets while the server runs (`policies.py`); the arithmetic is in `store/buckets.py`.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from msgspec import Struct

from dragoman.errors import ApiError, ConfigError, Overloaded, RateLimited, StoreError, Unavailable
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Asked
from dragoman.gateway.config.limits import EVERY, GroupConfig, LimitsConfig, TierConfig
from dragoman.gateway.ledger.input_estimate import DELTA, estimate_input_tokens, estimate_output_tokens, seen_text_bytes
from dragoman.gateway.routing.routing import Route
from dragoman.providers.base import Operation
from dragoman.store.buckets import ROUNDING_S
from dragoman.store.counters import Counters, Demand, Order, Purse, Taking
from dragoman.store.memory import MemoryCounters
from dragoman.wire.ratelimits import FAMILY, rate_limit_headers
from dragoman.wire.types import Usage

from .model_groups import LINES, OTHER, Group, ModelGroups
from .plans import KINDS, NO_PLAN, Kind, Line, Plan, Scope, windows

__all__ = ["Hold", "LimitReached", "Limits", "Spending"]

MAX_RUNNING = 10_000  # far above what one process serves well: a guard, not a quota. Bodies are in memory by then
TOKENS_LIMIT = 10_000_000  # of one request, whatever an upstream says
PLANS_KEPT = 10_000
NAME_SHOWN = 256  # characters of a model's name
AWAY = "The limits of this request cannot be looked up right now. Please try again shortly."
ASKED_AGAIN = 3  # times, when the counters do not know yet what was spent of a budget

_UNITS: Mapping[Kind, str] = {
    "requests": "requests per minute",
    "input": "input tokens per minute",
    "output": "output tokens per minute",
    "tokens": "tokens per minute",
    "day": "tokens per day",
}
_WHOSE = {"organization": "your organization's", "workspace": "your workspace's", "key": "your API key's"}


class Spending(Protocol):
    """What limits need of budgets (`budgets/budgets.py`)."""

    is_on: bool  # there is a budget at all

    def purses(self, asked: Asked, route: Route) -> Sequence[Purse]:
        """Of each budget that the request counts for, its window of now and what the request may cost at most."""

    async def spent(self, purse: Purse) -> int:
        """What the ledger says, for counters that do not know. Raises Unavailable."""

    def refusal(self, purse: Purse, spent_nano: int) -> ApiError:
        """What a caller is told whose request does not fit: so much has been spent and reserved by others."""

    def settled(self, purses: Sequence[Purse]) -> None:
        """A request has ended that took of these."""


class LimitReached(RateLimited):
    """A limit of ours is used up (ERR-51, 52); told with the state of all of them (HDR-39)."""

    def __init__(self, message: str, *, retry_after: int | None, told: list[tuple[str, str]]) -> None:
        super().__init__(message, retry_after=retry_after)
        self._told = told

    def headers(self) -> list[tuple[str, str]]:
        return [*super().headers(), *self._told]


class Held(Struct):
    """What one request has taken of the limits, and of budgets."""

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
    def spends(self) -> Sequence[tuple[str, int]]:
        """(budget id, start of its window) of each budget that its cost counts for."""
        if self._held is None or not self._held.taking.order.purses:
            return ()
        return [(purse.budget_id, purse.window_start) for purse in self._held.taking.order.purses]

    def seen_tokens(self) -> int:
        """Of output, that went out: an estimate, for a stream that broke off."""
        return estimate_output_tokens(self._bytes, self._deltas) if self._deltas else 0

    def saw(self, piece: bytes) -> None:
        """Whole events of a stream on their way out: counted, in case the stream breaks off."""
        if deltas := piece.count(DELTA):
            self._bytes += seen_text_bytes(piece, deltas)
            self._deltas += deltas

    def release(
        self, usage: Usage | None = None, *, status: int = 0, is_whole: bool = True, cost_nano: int | None = None
    ) -> None:
        """Settle: the limits get what was really used, and the place is free. A second call does nothing.

        `status` is that of the reply, 0 where there was none; `is_whole` is False for a stream that broke off.
        `cost_nano`: None where it is not known.
        """
        limits, self._limits = self._limits, None
        if limits is None:
            return
        limits.running -= 1
        if self._held is not None:
            seen = 0 if is_whole else estimate_output_tokens(self._bytes, self._deltas)
            limits.settle(self._held, usage, status=status, output_seen=seen, cost_nano=cost_nano)


class Limits:
    """The limits as this process sees them. `clock` gives monotonic seconds, `wall` those of Unix.

    Without `counters` they are this process's own; without `spending` there are no budgets.
    """

    def __init__(
        self,
        config: LimitsConfig | None = None,
        *,
        groups: ModelGroups | None = None,
        default_workspace_id: str | None = None,
        counters: Counters | None = None,
        spending: Spending | None = None,
        max_running: int = MAX_RUNNING,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Raises ConfigError for a tier that tells of models which there are not, or twice of the same ones."""
        self.running = 0
        self.counters: Counters = counters or MemoryCounters()
        self._spending = spending
        self._groups = groups
        self._default_workspace_id = default_workspace_id
        self._max_running = max_running
        self._clock = clock
        self._wall = wall
        self._learning: dict[str, asyncio.Future[None]] = {}  # by the key of a purse
        self.use(config or LimitsConfig())

    def use(self, config: LimitsConfig) -> None:
        """From the next request on, these tiers hold, for those who are in them now. Raises ConfigError as above.

        What has been taken of a limit stays taken, of as much as the limit is from now on.
        """
        groups = self._groups
        special = {name: _by_group(tier, groups) if groups else {} for name, tier in config.tiers.items()}
        self.config, self._special = config, special
        self._is_on = groups is not None and any(config.named())
        self._plan = lru_cache(PLANS_KEPT)(self._plan_of)

    async def reserve(self, asked: Asked | None = None, route: Route | None = None) -> Hold:
        """Reserve what a request needs; without `asked` a place in this process only.

        Requests of batches have no rate limits (LIM-6), but budgets count for them. Raises Overloaded: no capacity is
        not a used-up quota (ERR-22). Raises LimitReached for that, or what budgets say, and then nothing was taken
        (LIM-7). Raises Unavailable where counters are away that must be asked.
        """
        if self.running >= self._max_running:
            raise Overloaded("Overloaded")
        held = None
        if asked is not None:
            plan = self._plan_for(asked)
            spending = self._spending
            if spending is not None and spending.is_on and route is not None:
                held = await self._take(asked, plan, spending.purses(asked, route))
            elif plan.lines or plan.gates:
                held = await self._take(asked, plan, ())
        self.running += 1
        return Hold(self, held)

    def told(self, held: Held) -> list[tuple[str, str]]:
        """The headers that tell the state of these limits."""
        offset = self._wall() - held.now
        return rate_limit_headers(windows(held.plan, held.taking.full_at, held.now, offset))

    def settle(
        self, held: Held, usage: Usage | None, *, status: int, output_seen: int, cost_nano: int | None = None
    ) -> None:
        """Correct what was taken by what was used, and leave the gates."""
        actual = _actual(held, usage, status, output_seen)
        self.counters.settle(held.taking, actual, cost_nano, self._clock())
        if held.taking.order.purses and self._spending is not None:
            self._spending.settled(held.taking.order.purses)

    def _plan_for(self, asked: Asked) -> Plan:
        principal = asked.principal
        if not (self._is_on or principal.tier is not None or principal.workspace_tier is not None):
            return NO_PLAN
        if self._groups is None or asked.call.batched_for is not None:
            return NO_PLAN
        is_count = asked.call.operation is Operation.COUNT_TOKENS
        return self._plan(principal, None if is_count else self._groups.of(asked.model))

    async def _take(self, asked: Asked, plan: Plan, purses: Sequence[Purse]) -> Held | None:
        if not (plan.lines or plan.gates or purses):
            return None
        demands = plan.demands
        order = Order(
            asked.call.request_id,
            _demands(plan.lines, asked.call.body) if demands is None else demands,
            plan.gates,
            purses,
        )
        now = self._clock()
        taking = await self._ask(order, now)
        held = Held(plan, taking, now)
        if not taking.is_taken:
            raise self._refusal(held, asked)
        return held

    async def _ask(self, order: Order, now: float) -> Taking:
        """What the counters say, once they know what was spent. Raises Unavailable."""
        try:
            taking = await self.counters.take(order, now)
            for _ in range(ASKED_AGAIN):
                if not taking.unknown:
                    return taking
                for place in taking.unknown:
                    await self._learn(order.purses[place])
                taking = await self.counters.take(order, now)
        except StoreError as error:
            raise Unavailable(AWAY) from error
        if taking.unknown:
            raise Unavailable(AWAY)
        return taking

    async def _learn(self, purse: Purse) -> None:
        """Have the counters told what was spent. When a window begins, all requests ask: the ledger is asked once."""
        learning = self._learning.get(purse.key)
        if learning is None:
            learning = asyncio.ensure_future(self._tell_spent(purse))
            learning.add_done_callback(lambda done: done.cancelled() or done.exception())  # also if nobody waits for it
            self._learning[purse.key] = learning
        await asyncio.shield(learning)

    async def _tell_spent(self, purse: Purse) -> None:
        assert self._spending is not None
        try:
            await self.counters.set_spent(purse, await self._spending.spent(purse))
        finally:
            del self._learning[purse.key]

    def _refusal(self, held: Held, asked: Asked) -> ApiError:
        """What a budget refuses no waiting helps, so it is told first."""
        taking = held.taking
        if taking.broke is not None and self._spending is not None:
            return self._spending.refusal(taking.order.purses[taking.broke], taking.spent_nano[taking.broke])
        return self._crowded(held) if taking.crowded is not None else self._used_up(held, asked)

    def _used_up(self, held: Held, asked: Asked) -> LimitReached:
        """Names the limit that has the longest wait: when it is over, the others let the request pass too."""
        waits = held.taking.wait_s
        longest = max(waits)
        line = held.plan.lines[waits.index(longest)]
        return LimitReached(
            f"This request would exceed {_WHOSE[line.scope.kind]} rate limit of {line.limit:,} "
            f"{_UNITS[line.kind]} (org: {asked.principal.organization_id}, model: "
            f"{asked.model[:NAME_SHOWN]}). You can see the response headers for current usage. Please reduce the "
            "prompt length or the maximum tokens requested, or try again later.",
            retry_after=math.ceil(longest - ROUNDING_S / 2),  # or a hair would make it a second too long
            told=self.told(held),
        )

    def _crowded(self, held: Held) -> LimitReached:
        """Too many at once (ERR-52). When one of them will end nobody knows, so there is no `retry-after` (LIM-10)."""
        message = "Number of concurrent connections has exceeded your rate limit. Please try again later."
        return LimitReached(message, retry_after=None, told=self.told(held))

    def _plan_of(self, principal: Principal, group: Group | None) -> Plan:
        """What limits a caller's requests to a group of models; to `count_tokens`, without one."""
        scopes = self._scopes_of(principal)
        return Plan.of(scopes, self._lines_of(scopes, group), group)

    def _scopes_of(self, principal: Principal) -> tuple[Scope, ...]:
        """Whose limits hold for this caller: all of them at once, so the lowest decides (LIM-5).

        A tier that the key or the workspace was given by itself goes before what the configuration says of it, unless
        there is none of that name any more.
        """
        config = self.config
        workspace = self._own(principal.workspace_tier) or config.workspaces.get(principal.workspace_id)
        if workspace is None and principal.workspace_id == self._default_workspace_id:
            workspace = config.default_workspace
        if workspace is None:
            workspace = config.workspaces.get(EVERY)
        keys = config.keys
        key = self._own(principal.tier) or keys.get(principal.key_id) or keys.get(principal.key_name) or keys.get(EVERY)
        tiers = (
            ("organization", principal.organization_id, config.organization),
            ("workspace", principal.workspace_id, workspace),
            ("key", principal.key_id, key),
        )
        return tuple(
            Scope(kind, id_, tier, config.tiers[tier].concurrent) for kind, id_, tier in tiers if tier is not None
        )

    def _own(self, tier: str | None) -> str | None:
        return tier if tier is not None and tier in self.config.tiers else None

    def _lines_of(self, scopes: tuple[Scope, ...], group: Group | None) -> tuple[Line, ...]:
        """Counting tokens has its own, independent of Messages, and one for all models (LIM-6)."""
        part = "counts" if group is None else group.name
        return tuple(
            Line.of(scope, KINDS[name], limit, part=part)
            for scope in scopes
            for name, limit in self.rates(scope.tier, group).items()
        )

    def rates(self, tier: str, group: Group | None) -> dict[str, int]:
        """What a tier limits requests for a group of models to, by the names of its settings; without one, counting.

        Its own, but for what it says of this group, or of the line that the group is of.
        """
        own = self.config.tiers[tier]
        if group is None:
            return {} if own.count_rpm is None else {"rpm": own.count_rpm}
        special = self._special[tier]
        of_group = special.get(group.name) or special.get(group.line or "")
        given = {name: (of_group and getattr(of_group, name)) or getattr(own, name) for name in KINDS}
        return {name: limit for name, limit in given.items() if limit is not None}

    def check(self, tier: TierConfig) -> None:
        """Raises ConfigError for one that tells of models which there are not, or twice of the same ones."""
        if self._groups is not None:
            _by_group(tier, self._groups)


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
    return [line.fixed or Demand(line.key, line.limit, estimate, estimate, line.period_s) for line in lines]


def _actual(held: Held, usage: Usage | None, status: int, output_seen: int) -> list[int]:
    """What a request has really used of each limit.

    A request that failed by no fault of its caller (5xx, or an upstream's 429) was none (ERR-22, LIM-7). One that was
    refused has no tokens; where an answer did not tell its usage, or was not waited for, the estimate stands.
    """
    lines = held.plan.lines
    requests = 0 if status >= 500 or status == 429 else 1
    if usage is None:
        return [
            requests if line.kind == "requests" else 0 if status >= 400 else share.taken + output_seen * line.is_output
            for line, share in zip(lines, held.taking.shares, strict=True)
        ]
    read = _bounded(usage.input_tokens) + _bounded(usage.cache_creation_input_tokens or 0)
    if held.plan.counts_cache_reads:
        read += _bounded(usage.cache_read_input_tokens or 0)
    written = max(_bounded(usage.output_tokens), output_seen)
    both = read + written
    used: Mapping[Kind, int] = {"requests": requests, "input": read, "output": written, "tokens": both, "day": both}
    return [used[line.kind] for line in lines]


def _bounded(tokens: int) -> int:
    return max(0, min(tokens, TOKENS_LIMIT))
