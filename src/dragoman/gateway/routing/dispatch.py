"""Which candidate is asked, and what after it has failed; and what is remembered of how they did.

The decisions are pure and elsewhere: `choosing.py` the order, `attempts.py` what is tried after a failure, `health.py`
who is left alone, `speeds.py` and `affinity.py` what is known. Here they are given facts, and their word is done. A
name that one target alone answers passes through untouched.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Struct

from dragoman.errors import ApiError, InvalidRequest, NotFound
from dragoman.gateway.call import Answer, Asked, Stream
from dragoman.gateway.config.routes import RouteConfig
from dragoman.gateway.upstream.exchange import kind_of
from dragoman.wire.envelope import Envelope
from dragoman.wire.types import Usage

from .affinity import Homes, Warm
from .attempts import Attempts, Failure, Step
from .choosing import AFFINE, Choice, Need, Reason, Standing, choose
from .continuing import Progress, continued, continued_body
from .failures import failure_of
from .health import Breaker, State, is_upstream_fault
from .needs import conversation_of, expected_usage, holds, is_long, max_tokens_of, need_of
from .places import Places
from .racing import raced
from .routing import Candidates, Route, Router
from .speeds import Expected, Lengths, Speeds

if TYPE_CHECKING:
    from dragoman.gateway.ledger.accounting import Entry, Outcome
    from dragoman.gateway.prices.prices import Prices

__all__ = ["ATTEMPTS_HEADER", "Attempt", "Dispatch", "Explained", "Plan"]

# Of names that one target alone answers, where more is to be done than to ask it.
ONCE = RouteConfig(name="", origin="", targets=(), attempts=1)
SEVERAL_KEYS = RouteConfig(name="", origin="", targets=(), attempts=3)

ATTEMPTS_HEADER = "dragoman-attempts"
COOLING_S = 1.0  # after a 429 that does not say for how long
HEDGE_S = 5.0  # until a second target is asked as well, where nothing is known of the first
LEAST_HEDGE_S = 0.05
MEASURED = frozenset({"cheapest", "fastest"})  # policies that ask how much a model will write
TIMED_OUT = frozenset({408, 504})
CONTINUED = "continued"  # the ledger's `error` of what others went on from
SMALL_BYTES = 64 * 1024  # a body up to here fits every context
MOST_TOKENS = 10_000_000  # that a reply is believed to have


class Ask(Protocol):
    """Asks one target once."""

    def __call__(self, asked: Asked, route: Route, entry: "Entry") -> Awaitable[Answer]: ...


class Plan(Struct, frozen=True, kw_only=True):
    """Who is asked, the first one first. `rule` is None where there is nothing to do but ask."""

    routes: tuple[Route, ...]
    rule: RouteConfig | None = None
    key: bytes | None = None  # of the conversation
    is_long: bool = False  # its cache is to live for an hour
    cache_s: int = 0  # how long its reply may be given again

    @property
    def first(self) -> Route:
        return self.routes[0]

    @property
    def for_threads(self) -> Route:
        """One that keeps no threads itself, if there is one: then they are kept here, whoever answers."""
        return next((each for each in self.routes if each.provider.threads != "upstream"), self.first)

    @property
    def scope(self) -> str:
        """The same for requests that the same ones may answer."""
        return " ".join(sorted(route.name for route in self.routes))


class _Facts(Struct, frozen=True):
    """What is chosen by."""

    rule: RouteConfig
    condition: int | None  # the place of the one that holds
    need: Need
    routes: tuple[Route, ...]
    standings: tuple[Standing, ...]
    key: bytes | None


class Explained(Struct, frozen=True, kw_only=True):
    """What would be done with a request, and why: for `dragoman route explain`."""

    policy: str
    condition: int | None  # the place of the [[models."NAME".when]] that holds
    need: Need
    standings: tuple[Standing, ...]
    reasons: tuple[Reason, ...]
    order: tuple[str, ...]


class Attempt:
    """One request under way at one target. Whoever began it says how it ended, once."""

    __slots__ = ("_dispatch", "began", "plan", "route", "stream")

    def __init__(self, dispatch: "Dispatch", route: Route, plan: Plan, began: float, *, stream: bool) -> None:
        self._dispatch: Dispatch | None = dispatch
        self.route = route
        self.plan = plan
        self.began = began
        self.stream = stream

    def failed(self, failure: Failure) -> None:
        dispatch, self._dispatch = self._dispatch, None
        if dispatch is not None:
            dispatch.failed(self, failure)

    def ended(self, entry: "Entry", outcome: "Outcome | None") -> None:
        """With what the entry holds; `outcome` overrules it."""
        dispatch, self._dispatch = self._dispatch, None
        if dispatch is not None:
            dispatch.ended(self, entry, outcome or entry.outcome)


class Dispatch:
    """Of one process. `clock` gives monotonic seconds, `wall` those of Unix, `lot` numbers from 0 up to 1; `caches`
    tells whether whoever answers a route caches prompts by itself."""

    def __init__(
        self,
        router: Router,
        *,
        prices: "Prices | None",
        caches: Callable[[Route], bool],
        has_several_keys: Callable[[Route], bool] = lambda _: False,
        has_fresh_key: Callable[[Route], bool] = lambda _: False,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
        lot: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.router = router
        self.speeds = Speeds()
        self.lengths = Lengths()
        self.homes = Homes()
        self.places = Places()
        self._prices = prices
        self._caches = caches
        self._has_several_keys = has_several_keys
        self._has_fresh_key = has_fresh_key
        self._clock = clock
        self._wall = wall
        self._lot = lot
        self._sleep = sleep
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
            rule = None
            if self.places.are_bounded(only):
                rule = ONCE
            if self._has_several_keys(only):
                rule = SEVERAL_KEYS if said is None else said
            return Plan(routes=(only,), rule=rule, cache_s=_cache_s(asked, said))
        rule = candidates.rule
        if rule is not None and rule.policy == "ordered" and self._are_all_fit(candidates, asked):
            return Plan(routes=candidates.routes, rule=rule, cache_s=_cache_s(asked, rule))
        facts = self._facts(asked, candidates, are_all_wanted=False)
        order = self._choose(facts, asked, with_reasons=False).order
        key = facts.key
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

    async def ask(self, asked: Asked, plan: Plan, entry: "Entry", ask: Ask) -> Answer:
        """The answer of the first target that gives one, as far as the attempts go. Raises ApiError.

        What a target says that cannot take the request is told only where no other one has said anything else.
        """
        if plan.rule is None:
            return await ask(asked, plan.first, entry)
        routes = plan.routes
        is_lone = len(routes) == 1 and not self._has_several_keys(routes[0])
        attempts = Attempts(
            range(len(routes)),
            limit=1 if is_lone else plan.rule.limit,
            context_of=lambda at: _context(routes[at]),
            has_other_key=lambda at: self._has_fresh_key(routes[at]),
            random=self._lot,
        )
        step = attempts.first()
        assert step is not None
        told: Answer | ApiError | None = None
        while True:
            await self._pause(step, entry)
            place, attempt = step.place, None
            how: Answer | ApiError
            other = attempts.next if plan.rule.hedge and attempts.made == 1 < plan.rule.limit else None
            try:
                attempt = await self._begin(routes[step.place], plan, entry)
                if other is None:
                    answered = await ask(asked, attempt.route, self._account(entry, attempt, plan.rule))
                else:
                    answered = await self._hedged(asked, attempt, other, entry, ask, attempts)
                if answered.status < 400:
                    if plan.rule.continue_cut and answered.stream is not None:
                        await self._continue(answered, asked, plan, entry, ask, attempts)
                    return answered if is_lone else _counted(answered, attempts.made)
                how = answered
            except ApiError as raised:
                how = raised
            failure = failure_of(how)
            if attempt is not None and entry.attempt is not None:
                place = routes.index(entry.attempt.route)  # of two at once, the last one that failed
                entry.attempt.failed(failure)
            if told is None or not failure.is_of_target:
                told = how
            next_step = attempts.after(place, failure, self._clock())
            if next_step is not None:
                step = next_step
                continue
            if isinstance(told, ApiError):
                entry.tries = None if is_lone else attempts.made
                raise told
            if told is not how:  # an earlier one
                entry.outcome, entry.error = "refused", kind_of(told.body)
            return told if is_lone else _counted(told, attempts.made)

    async def _hedged(
        self, asked: Asked, attempt: Attempt, place: int, entry: "Entry", ask: Ask, attempts: Attempts
    ) -> Answer:
        """The answer of an attempt or, when that takes its time to begin, of the target at `place`. Raises ApiError
        when both fail."""
        plan = attempt.plan
        first, other = entry.fork(""), plan.routes[place]
        first.attempted(attempt)

        def second() -> "tuple[Entry, Awaitable[Answer]] | None":
            now = self._clock()
            if not (self.breaker(other).allows(now) and self.places.enter_at_once(other)):
                return None
            attempts.also(place)
            fork = entry.fork(".2")
            self._started(other, plan, fork)
            return fork, ask(asked, other, fork)

        def failed(fork: "Entry", how: Answer | ApiError) -> None:
            assert fork.attempt is not None
            failure = failure_of(how)
            attempts.failed(plan.routes.index(fork.attempt.route), failure, self._clock())
            fork.attempt.failed(failure)

        racing = first, ask(asked, attempt.route, first)
        patience_s = self._patience_s(attempt.route, stream=asked.stream)
        return await raced(entry, racing, within_s=patience_s, second=second, failed=failed)

    def _account(self, entry: "Entry", attempt: Attempt, rule: RouteConfig) -> "Entry":
        """Where an attempt is accounted for: apart, if another one may follow in the same answer."""
        if not rule.continue_cut:
            return entry
        fork = entry.fork("")
        fork.attempted(attempt)
        entry.follow(fork)
        return fork

    async def _continue(
        self, answered: Answer, asked: Asked, plan: Plan, entry: "Entry", ask: Ask, attempts: Attempts
    ) -> None:
        """See to it that others go on where the answer's stream breaks off, as far as the attempts go."""

        async def go_on(progress: Progress) -> Stream | None:
            broken = entry.followed
            assert broken is not None
            assert broken.attempt is not None
            failure, route = Failure(status=502), broken.attempt.route
            broken.attempt.failed(failure)  # its place is free
            if broken.outcome == "answered":  # what it sent could not be read
                broken.outcome, broken.error = "cut", "api_error"
            if not progress.can_continue:
                return None
            while (step := attempts.after(plan.routes.index(route), failure, self._clock())) is not None:
                route = plan.routes[step.place]
                rest = _rest(asked, progress, can_prefill=self._prefills(route))
                if rest is None:
                    return None
                part = entry.fork(f".{attempts.made}")
                try:
                    await self._pause(step, part)
                    await self._begin(route, plan, part)
                    following = await ask(rest, route, part)
                except ApiError as error:
                    failure = failure_of(error)
                except BaseException:  # the caller has left
                    if part.attempt is not None:
                        part.lose(entry, part.request_id, CONTINUED)
                    raise
                else:
                    if following.stream is not None and following.status < 400:
                        entry.follow(part)
                        broken.lose(entry, part.request_id, CONTINUED, "cut", seen_tokens=progress.tokens)
                        return following.stream
                    failure = failure_of(following)
                if part.attempt is not None:
                    part.attempt.failed(failure)
                    part.lose(entry, part.request_id, CONTINUED, "refused")
            return None

        assert answered.stream is not None
        stream = answered.stream = continued(answered.stream, go_on, request_id=answered.request_id or entry.request_id)
        await anext(stream)  # now it has begun, and closing it closes what is behind it

    def _prefills(self, route: Route) -> bool:
        """Whether it goes on from an assistant's last turn, as far as is known."""
        return route.model is not None and route.model.prefill and not self._caches(route)

    def _patience_s(self, route: Route, *, stream: bool) -> float:
        """How long its first content nearly always takes at most."""
        known = self.speeds.expected((route.target, stream), self._clock())
        return HEDGE_S if known is None else max(LEAST_HEDGE_S, known.first_p95_s)

    def failed(self, attempt: Attempt, failure: Failure) -> None:
        """Noted for those who come later."""
        now = self._clock()
        route, breaker = attempt.route, self.breaker(attempt.route)
        self._leave(attempt)
        if failure.is_of_caller or failure.is_of_target:
            breaker.dismissed(now)
        elif failure.status == 429:
            if self._has_fresh_key(route):  # then it is that key's limit alone
                breaker.dismissed(now)
            else:
                breaker.cool(now, COOLING_S if failure.retry_after_s is None else failure.retry_after_s)
        elif is_upstream_fault(failure.status):
            breaker.failed(now)
            if failure.status in TIMED_OUT:  # to fail at once is not to be quick
                self.speeds.note_failure((route.target, attempt.stream), now, waited_s=now - attempt.began)
            if attempt.plan.key is not None:
                self.homes.forget(attempt.plan.key, route.name)
        else:
            breaker.succeeded(now)

    def ended(self, attempt: Attempt, entry: "Entry", outcome: str) -> None:
        now = self._clock()
        route, usage = attempt.route, entry.usage
        if outcome in ("cut", "refused"):  # cut: in mid-stream
            self.failed(attempt, Failure(status=502 if outcome == "cut" else entry.status))
            return
        self._leave(attempt)
        if outcome == "abandoned":
            self.breaker(route).dismissed(now)
        else:
            self.breaker(route).succeeded(now)
        first = entry.first_content
        if usage is None or first is None or not _is_sane(usage):
            return
        if outcome == "answered":
            self.speeds.note(
                (route.target, attempt.stream),
                now,
                first_s=first - attempt.began,
                output_tokens=usage.output_tokens,
                rest_s=now - first if attempt.stream else None,
            )
            self.lengths.note(route.model_name, usage.output_tokens)
        if attempt.plan.key is not None:
            self.homes.note(attempt.plan.key, route.name, usage, now, is_long=attempt.plan.is_long)

    async def _pause(self, step: Step, entry: "Entry") -> None:
        if step.pause_s:
            await self._waited(self._sleep(step.pause_s), entry)

    async def _begin(self, route: Route, plan: Plan, entry: "Entry") -> Attempt:
        """Raises Shed where there is no place."""
        if not self.places.enter_at_once(route):
            await self._waited(self.places.enter(route), entry)
        return self._started(route, plan, entry)

    async def _waited(self, waiting: Awaitable[None], entry: "Entry") -> None:
        """It is accounted for also where it is in vain."""
        came = self._clock()
        try:
            await waiting
        finally:
            entry.note_queued(self._clock() - came)

    def _started(self, route: Route, plan: Plan, entry: "Entry") -> Attempt:
        """It has its place."""
        now = self._clock()
        self.breaker(route).begun(now)
        self._running[route.target] = self._running.get(route.target, 0) + 1
        attempt = Attempt(self, route, plan, now, stream=entry.stream)
        entry.attempted(attempt)
        return attempt

    def _leave(self, attempt: Attempt) -> None:
        self._running[attempt.route.target] -= 1
        self.places.leave(attempt.route, self._clock() - attempt.began)

    # -- facts --

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
            self._standing(each, now, weight=weight, cost_nano=cost, speed=speed, is_home=each.name == home)
            for each, weight, cost, speed in zip(routes, weights, costs, speeds, strict=True)
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
        self, route: Route, now: float, *, weight: float, cost_nano: int | None, speed: Expected | None, is_home: bool
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
            context_tokens=_context(route),
            images=_can(route, "image_input"),
            documents=_can(route, "pdf_input"),
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


def _rest(asked: Asked, progress: Progress, *, can_prefill: bool) -> Asked | None:
    """The request for what is missing; None where the upstream has taken what cannot be told apart."""
    if not isinstance(asked.envelope.value("messages"), list):
        return None
    body = continued_body(asked.envelope, progress, can_prefill=can_prefill)
    call = msgspec.structs.replace(asked.call, body=body)
    return msgspec.structs.replace(asked, call=call, envelope=Envelope(body))


def _is_sane(usage: Usage) -> bool:
    """An upstream may have told anything."""
    for told in (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens or 0,
        usage.cache_creation_input_tokens or 0,
    ):
        if type(told) is not int or not 0 <= told <= MOST_TOKENS:
            return False
    return True


def _context(route: Route) -> int | None:
    return None if route.model is None else route.model.max_input_tokens


def _can(route: Route, capability: str) -> bool | None:
    """What the catalogue knows."""
    return None if route.model is None else capability in route.model.capabilities


def _counted(answered: Answer, made: int) -> Answer:
    answered.headers = [*answered.headers, (ATTEMPTS_HEADER, str(made))]
    return answered
