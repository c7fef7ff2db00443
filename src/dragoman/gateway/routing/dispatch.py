"""Which candidate is asked, and what after it has failed; and what is remembered of how they did.

The decisions are pure and elsewhere: `attempts.py` what is tried after a failure, `health.py` who is left alone; the
order is of `planning.py`. Here their word is done. A name that one target alone answers passes through untouched.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from dragoman.errors import ApiError
from dragoman.gateway.call import Answer, Asked, Stream
from dragoman.gateway.config.routes import RouteConfig
from dragoman.gateway.upstream.exchange import kind_of
from dragoman.wire.envelope import Envelope
from dragoman.wire.types import Usage

from .attempts import Attempts, Failure, Step
from .continuing import Progress, continued, continued_body
from .failures import failure_of
from .health import is_upstream_fault
from .planning import Planner, context_of
from .plans import Plan
from .racing import raced
from .routing import Route, Router

if TYPE_CHECKING:
    from dragoman.gateway.ledger.accounting import Entry, Outcome
    from dragoman.gateway.prices.prices import Prices

__all__ = ["Attempt", "Dispatch"]

COOLING_S = 1.0  # after a 429 that does not say for how long
HEDGE_S = 5.0  # until a second target is asked as well, where nothing is known of the first
LEAST_HEDGE_S = 0.05
TIMED_OUT = frozenset({408, 504})
CONTINUED = "continued"  # the ledger's `error` of what others went on from
MOST_TOKENS = 10_000_000  # that a reply is believed to have


class Ask(Protocol):
    """Asks one target once."""

    def __call__(self, asked: Asked, route: Route, entry: "Entry") -> Awaitable[Answer]: ...


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


class Dispatch(Planner):
    """Plans, and asks. `has_fresh_key` tells whether a route's provider has a key that was not refused."""

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
        super().__init__(
            router, prices=prices, caches=caches, has_several_keys=has_several_keys, clock=clock, wall=wall, lot=lot
        )
        self._has_fresh_key = has_fresh_key
        self._sleep = sleep

    async def ask(self, asked: Asked, plan: Plan, entry: "Entry", ask: Ask) -> Answer:
        """The answer of the first target that gives one, as far as the attempts go. Raises ApiError.

        What a target says that cannot take the request is told only where no other one has said anything else.
        """
        if plan.rule is None:
            return await ask(asked, plan.first, entry)
        routes = plan.routes
        attempts = Attempts(
            range(len(routes)),
            limit=plan.rule.limit,
            asks_again=len(routes) > 1,
            context_of=lambda at: context_of(routes[at]),
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
                    return plan.counted(answered, attempts.made)
                how = answered
            except ApiError as raised:
                how = raised
            failure = failure_of(how, wall=self._wall())
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
                entry.tries = attempts.made if plan.is_counted else None
                raise told
            if told is not how:  # an earlier one
                entry.outcome, entry.error = "refused", kind_of(told.body)
            return plan.counted(told, attempts.made)

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
            failure = failure_of(how, wall=self._wall())
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
                    failure = failure_of(error, wall=self._wall())
                except BaseException:  # the caller has left
                    if part.attempt is not None:
                        part.lose(entry, part.request_id, CONTINUED)
                    raise
                else:
                    if following.stream is not None and following.status < 400:
                        entry.follow(part)
                        broken.lose(entry, part.request_id, CONTINUED, "cut", seen_tokens=progress.tokens)
                        return following.stream
                    failure = failure_of(following, wall=self._wall())
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
