"""Who is to answer a request, in which order, and why: with all that is known of targets at hand.

What is chosen by what is in `choosing.py`, and pure; here it gets its facts. `dispatch.py` asks them in that order.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from dragoman.errors import InvalidRequest, NotFound
from dragoman.gateway.call import Asked
from dragoman.gateway.config.routes import RouteConfig

from .affinity import Homes, Warm
from .choosing import AFFINE, Choice, Need, Reason, Standing, choose
from .health import Breaker, State
from .needs import conversation_of, expected_usage, holds, is_long, max_tokens_of, need_of
from .places import Places
from .plans import Explained, Plan
from .routing import Candidates, Route, Router
from .speeds import Expected, Lengths, Speeds

if TYPE_CHECKING:
    from dragoman.gateway.prices.prices import Prices

__all__ = ["Planner", "context_of"]

# Of names that one target alone answers, where more is to be done than to ask it: it has places, or several keys.
LONE = RouteConfig(name="", origin="", targets=())

MEASURED = frozenset({"cheapest", "fastest"})  # policies that ask how much a model will write
SMALL_BYTES = 64 * 1024  # a body up to here fits every context


class _Facts(Struct, frozen=True):
    """What is chosen by."""

    rule: RouteConfig
    condition: int | None  # the place of the one that holds
    need: Need
    routes: tuple[Route, ...]
    standings: tuple[Standing, ...]
    conversation: bytes | None  # its key


class Planner:
    """Of one process. `clock` gives monotonic seconds, `wall` those of Unix, `lot` numbers from 0 up to 1; `caches`
    tells whether whoever answers a route caches prompts by itself."""

    def __init__(
        self,
        router: Router,
        *,
        prices: "Prices | None",
        caches: Callable[[Route], bool],
        has_several_keys: Callable[[Route], bool] = lambda _: False,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
        lot: Callable[[], float] = random.random,
    ) -> None:
        self.router = router
        self.speeds = Speeds()
        self.lengths = Lengths()
        self.homes = Homes()
        self.places = Places()
        self._prices = prices
        self._caches = caches
        self._has_several_keys = has_several_keys
        self._clock = clock
        self._wall = wall
        self._lot = lot
        self._breakers: dict[str, Breaker] = {}
        self._running: dict[str, int] = {}

    def state(self, target: str) -> State:
        """How a target is, by its name in the configuration."""
        breaker = self._breakers.get(target)
        return "closed" if breaker is None else breaker.state(self._clock())

    def breaker(self, route: Route) -> Breaker:
        found = self._breakers.get(route.target)
        if found is None:
            found = self._breakers[route.target] = Breaker()
        return found

    def plan(self, asked: Asked) -> Plan:
        """Raises NotFound for a model that nobody answers, InvalidRequest for a request that none of them can take."""
        candidates = self.router.candidates(asked.model)
        if (only := candidates.only) is not None:
            said = candidates.rule
            has_keys = self._has_several_keys(only)
            rule = said or LONE if has_keys or self.places.are_bounded(only) else None
            return Plan(routes=(only,), rule=rule, cache_s=_cache_s(asked, said), has_several_keys=has_keys)
        rule = candidates.rule
        if rule is not None and rule.policy == "ordered" and self._are_all_fit(candidates, asked):
            return Plan(routes=candidates.routes, rule=rule, cache_s=_cache_s(asked, rule))
        facts = self._facts(asked, candidates, are_all_wanted=False)
        order = self._choose(facts, asked, with_reasons=False).order
        key = facts.conversation
        return Plan(
            routes=tuple(facts.routes[at] for at in order),
            rule=facts.rule,
            key=key,
            is_long=key is not None and is_long(asked),
            cache_s=_cache_s(asked, facts.rule),
        )

    def explain(self, asked: Asked) -> Explained:
        """What `plan` would say, with its reasons. Raises as that does."""
        candidates = self.router.candidates(asked.model)
        facts = self._facts(asked, candidates, are_all_wanted=True)
        if (only := candidates.only) is not None:  # it is asked whatever is known of it
            chosen = Choice((0,), (Reason(name=only.name, place=0, why="the only one that answers this name"),))
        else:
            chosen = self._choose(facts, asked, with_reasons=True)
        return Explained(
            policy=facts.rule.policy,
            condition=facts.condition,
            need=facts.need,
            standings=facts.standings,
            reasons=chosen.reasons,
            order=tuple(facts.routes[at].name for at in chosen.order),
        )

    def _are_all_fit(self, candidates: Candidates, asked: Asked) -> bool:
        """Nothing puts a target out of its place: so it is for most requests, and then there is nothing to choose."""
        body = asked.call.body
        if candidates.conditions or len(body) > SMALL_BYTES or b'"image"' in body or b'"document"' in body:
            return False
        now = self._clock()
        return all(self.breaker(each).allows(now) and self.places.room(each) != 0 for each in candidates.routes)

    def _facts(self, asked: Asked, candidates: Candidates, *, are_all_wanted: bool) -> "_Facts":
        """What there is to choose by: no more than the policy asks for, unless `are_all_wanted`. Raises NotFound."""
        rule = candidates.rule
        if rule is None:
            rule = RouteConfig(name=asked.model, origin="", targets=())
        policy, now, need = rule.policy, self._clock(), need_of(asked)
        held = next((at for at, (each, _) in enumerate(candidates.conditions) if holds(each, need, asked)), None)
        routes = candidates.routes if held is None else candidates.conditions[held][1]
        if not routes:
            raise NotFound(f"model: {asked.model}")
        lengths: Sequence[float] = (0.0,) * len(routes)
        costs: Sequence[int | None] = (None,) * len(routes)
        speeds: Sequence[Expected | None] = (None,) * len(routes)
        key, home = None, None
        warm: dict[str, Warm] = {}
        if are_all_wanted or policy in AFFINE:
            key = conversation_of(asked)
            warm = {each.target: each for each in self.homes.warm(key, now)} if key is not None else {}
            home = next(iter(warm), None)
        if are_all_wanted or policy in MEASURED:
            max_tokens = max_tokens_of(asked)
            lengths = [self.lengths.expected(each.model_name, max_tokens) for each in routes]
            need = msgspec.structs.replace(need, output_tokens=sum(lengths) / len(lengths))
            if are_all_wanted or policy == "cheapest":
                costs = [
                    self._cost(each, asked, need, warm.get(each.name), length)
                    for each, length in zip(routes, lengths, strict=True)
                ]
            if are_all_wanted or policy == "fastest":
                speeds = [self.speeds.expected((each.target, asked.stream), now) for each in routes]
        weights = candidates.weights if held is None and candidates.weights else (1.0,) * len(routes)
        standings = [
            self._standing(
                each,
                now,
                weight=weight,
                output_tokens=length,
                warm=warm.get(each.name),
                is_home=each.name == home,
                cost_nano=cost,
                speed=speed,
            )
            for each, weight, length, cost, speed in zip(routes, weights, lengths, costs, speeds, strict=True)
        ]
        return _Facts(rule, held, need, routes, tuple(standings), key)

    def _choose(self, facts: "_Facts", asked: Asked, *, with_reasons: bool) -> Choice:
        """Raises InvalidRequest where none of them can take the request."""
        rule = facts.rule
        chosen = choose(
            rule.policy,
            facts.need,
            facts.standings,
            random=self._lot,
            refuse_unpriced=rule.unpriced == "refuse",
            with_reasons=with_reasons,
        )
        if not chosen.order:
            reasons = "; ".join(f"{each.name}: {each.why}" for each in chosen.reasons)
            raise InvalidRequest(f"model: no target of {asked.model} can take this request ({reasons})")
        return chosen

    def _standing(
        self,
        route: Route,
        now: float,
        *,
        weight: float,
        output_tokens: float,
        warm: Warm | None,
        is_home: bool,
        cost_nano: int | None,
        speed: Expected | None,
    ) -> Standing:
        breaker = self.breaker(route)
        is_well = breaker.allows(now)
        return Standing(
            name=route.name,
            weight=weight,
            is_well=is_well,
            wait_s=0.0 if is_well else breaker.wait_s(now),
            running=self._running.get(route.target, 0),
            room=self.places.room(route),
            context_tokens=context_of(route),
            images=_can(route, "image_input"),
            documents=_can(route, "pdf_input"),
            output_tokens=output_tokens,
            warm_tokens=None if warm is None else warm.tokens,
            is_home=is_home,
            cost_nano=cost_nano,
            speed=speed,
        )

    def _cost(self, route: Route, asked: Asked, need: Need, warm: Warm | None, output_tokens: float) -> int | None:
        """In nano-dollars, as expected."""
        if self._prices is None:
            return None
        warm_tokens = None if warm is None else warm.tokens
        usage = expected_usage(asked, need, output_tokens, warm_tokens=warm_tokens, caches=self._caches(route))
        return self._prices.cost(route.provider.name, route.model_name, usage, at=self._wall()).nano_usd


def _cache_s(asked: Asked, rule: RouteConfig | None) -> int:
    """As the route says, else as the caller's key does."""
    if rule is not None and rule.cache_s is not None:
        return rule.cache_s
    return asked.principal.cache_s or 0


def context_of(route: Route) -> int | None:
    return None if route.model is None else route.model.max_input_tokens


def _can(route: Route, capability: str) -> bool | None:
    """What the catalogue knows."""
    return None if route.model is None else capability in route.model.capabilities
