"""What is tried after a failure: which target, after which pause, and when it is enough. Pure.

A request has one number of attempts for everything that is done for it, and it is small (pain 29): callers try again as
well. Nothing is tried again after an error that is the caller's own, or when content has gone out.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from .health import is_upstream_fault

__all__ = ["ATTEMPTS", "Attempts", "Failure", "Step", "Verdict", "is_too_long", "verdict"]

ATTEMPTS = 3
TOO_LONG = ("prompt is too long", "exceed context limit")  # MSG-50, 51: a larger context would do
BACKOFF_S = 0.2  # before the second attempt at one target; doubled each time, and then by lot between half and all
LONGEST_BACKOFF_S = 2.0
PATIENCE_S = 5.0  # how long a provider's `retry-after` is waited for; beyond, the caller is told it

# another: whoever else answers. larger: one with more context. none: the error is the caller's.
Verdict = Literal["another", "larger", "none"]

OPERATORS = frozenset({401, 402, 403, 404})  # the provider's key, its account, the model of a route: not the caller's

OF_KEYS = frozenset({401, 403, 429})


class Failure(Struct, frozen=True, kw_only=True):
    """How an attempt failed. `status` is that of the reply, or that which no reply amounts to (502, 504)."""

    status: int
    message: str = ""
    retry_after_s: float | None = None
    is_of_caller: bool = False  # the request was refused before it was sent
    is_of_target: bool = False  # likewise, but another target may take it


class Step(Struct, frozen=True):
    """The next attempt: the place of its target, and seconds to wait first."""

    place: int
    pause_s: float


def is_too_long(message: str) -> bool:
    """Whether an error says that the prompt, or what it leaves room for, does not fit the model's context."""
    return any(each in message for each in TOO_LONG)


def verdict(failure: Failure) -> Verdict:
    """What a failure says about trying again."""
    if failure.is_of_caller:
        return "none"
    if failure.is_of_target:
        return "another"
    if failure.status == 400 and is_too_long(failure.message):
        return "larger"
    if failure.status == 429 or failure.status in OPERATORS or is_upstream_fault(failure.status):
        return "another"
    return "another" if failure.status >= 500 else "none"


class Attempts:
    """The attempts of one request. `order` are places of targets, the best first, of which `context_of` tells the
    tokens that it takes (None: not known), and `has_other_key` whether it has a key that was not refused; `random`
    gives numbers from 0 up to 1. Without `asks_again` a target is asked a second time only with another key, after what
    was the first key's."""

    def __init__(
        self,
        order: Sequence[int],
        *,
        limit: int = ATTEMPTS,
        asks_again: bool = True,
        context_of: Callable[[int], int | None] = lambda _: None,
        has_other_key: Callable[[int], bool] = lambda _: False,
        random: Callable[[], float],
    ) -> None:
        self.made = 0
        self._left = list(order)
        self._tried: list[int] = []  # that may be tried again
        self._limit = limit
        self._asks_again = asks_again
        self._context_of = context_of
        self._has_other_key = has_other_key
        self._random = random
        self._rounds: dict[int, int] = {}
        self._ready_at: dict[int, float] = {}

    @property
    def next(self) -> int | None:
        """The place of the target whose turn is next, if there is one that has not been asked."""
        return self._left[0] if self._left else None

    def first(self) -> Step | None:
        """None: there is nobody to ask."""
        return self._go(0.0) if self._left else None

    def after(self, place: int, failure: Failure, now: float) -> Step | None:
        """What follows when an attempt at `place` has failed at `now`; None: the failure is the answer."""
        self.failed(place, failure, now)
        if verdict(failure) == "none" or self.made >= self._limit:
            return None
        if self._left:
            return self._go(0.0)
        if not self._tried:
            return None
        soonest = min(self._tried, key=lambda at: self._ready_at[at])
        pause_s = max(0.0, self._ready_at[soonest] - now)
        if pause_s > PATIENCE_S:
            return None
        self._tried.remove(soonest)
        self._left = [soonest]
        return self._go(pause_s)

    def also(self, place: int) -> None:
        """Another one is asked beside the attempt under way: that is one of them, too."""
        self.made += 1
        self._left.remove(place)

    def failed(self, place: int, failure: Failure, now: float) -> None:
        """An attempt at `place` has failed at `now`, while another one is under way; see `after`."""
        said = verdict(failure)
        if failure.is_of_target or failure.is_of_caller:  # nothing was sent
            self.made -= 1
        elif failure.status in OF_KEYS and self._has_other_key(place):
            self._left.insert(0, place)
        elif said == "larger":
            self._keep_larger_than(self._context_of(place))
        elif self._asks_again and said == "another" and failure.status not in OPERATORS:  # else it would fail again
            self._tried.append(place)
            self._ready_at[place] = now + max(self._backoff_s(place), failure.retry_after_s or 0.0)

    def _go(self, pause_s: float) -> Step:
        self.made += 1
        return Step(self._left.pop(0), pause_s)

    def _keep_larger_than(self, tokens: int | None) -> None:
        def is_larger(place: int) -> bool:
            context = self._context_of(place)
            return tokens is None or context is None or context > tokens

        self._left = [place for place in self._left if is_larger(place)]
        self._tried = [place for place in self._tried if is_larger(place)]

    def _backoff_s(self, place: int) -> float:
        rounds = self._rounds[place] = self._rounds.get(place, -1) + 1
        return min(LONGEST_BACKOFF_S, BACKOFF_S * 2.0**rounds) * (0.5 + self._random() / 2)
