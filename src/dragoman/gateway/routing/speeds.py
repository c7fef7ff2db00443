"""How quick targets are, and how much models write: from real traffic, what is recent counting most. Pure.

Kept of each is a bounded number of samples; their weight halves with every `HALF_LIFE_S`. `now` is monotonic seconds.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from msgspec import Struct

__all__ = ["Expected", "Lengths", "Sample", "Speeds"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

HALF_LIFE_S = 300.0
KEPT = 64  # samples of one target
KEPT_NAMES = 2000  # targets and models; names of models come from callers
SHORTEST_S = 0.001  # of a time in which tokens came: they may all come at once
PRIOR_SHARE = 0.25  # of `max_tokens`, that a model is expected to write of which nothing is known
PRIOR_LIMIT = 1000
FRESH_S = 0.1  # what is expected of a target with all its samples is worked out no more often
LENGTHS_FADE = 0.9  # the weight of all earlier replies, with each new one


class Sample(Struct, frozen=True):
    """One reply: seconds to its first content, and output tokens a second from then on (None: it was not streamed, or
    was too short to tell). A time-out is one, too: with the time that was waited."""

    at: float
    first_s: float
    per_s: float | None


class Expected(Struct, frozen=True):
    """What is to be expected of a target. `weight` is how much is known: the samples, faded."""

    first_s: float
    first_p95_s: float
    per_s: float | None
    weight: float

    def total_s(self, output_tokens: float) -> float:
        """Until a reply of so many tokens is whole."""
        return self.first_s + (output_tokens / self.per_s if self.per_s else 0.0)


class _Known:
    """Of one target."""

    __slots__ = ("at", "expected", "samples")

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self.expected: Expected | None = None
        self.at = 0.0  # when that was worked out


class Speeds:
    """Of all targets."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _Known] = {}

    def note(self, target: Hashable, now: float, *, first_s: float, output_tokens: int, rest_s: float | None) -> None:
        """A reply that began after `first_s` and took `rest_s` more (None: it came whole)."""
        per_s = None if rest_s is None or output_tokens < 2 else (output_tokens - 1) / max(rest_s, SHORTEST_S)
        _kept(self._known, target, _Known).samples.append(Sample(now, first_s, per_s))

    def note_failure(self, target: Hashable, now: float, *, waited_s: float) -> None:
        """It was waited for in vain: that long at least is how slow it was."""
        _kept(self._known, target, _Known).samples.append(Sample(now, waited_s, None))

    def expected(self, target: Hashable, now: float) -> Expected | None:
        """None where nothing is known. It may leave out what came within the last `FRESH_S`, where much is known."""
        known = self._known.get(target)
        if known is None:
            return None
        if known.expected is None or len(known.samples) < KEPT or not 0 <= now - known.at < FRESH_S:
            known.expected, known.at = _expected(known.samples, now), now
        return known.expected


class Lengths:
    """How many tokens each model writes, on the average of late."""

    def __init__(self) -> None:
        self._means: dict[str, tuple[float, float]] = {}  # model -> mean, weight

    def note(self, model: str, output_tokens: int) -> None:
        mean, weight = _kept(self._means, model, lambda: (0.0, 0.0))
        weight = weight * LENGTHS_FADE + 1.0
        self._means[model] = (mean + (output_tokens - mean) / weight, weight)

    def expected(self, model: str, max_tokens: int) -> float:
        """Never more than it may write."""
        mean, weight = self._means.get(model, (0.0, 0.0))
        prior = min(PRIOR_SHARE * max_tokens, PRIOR_LIMIT)
        return min(float(max_tokens), (mean * weight + prior) / (weight + 1.0))


def _expected(samples: Iterable[Sample], now: float) -> Expected:
    weighed = [(each, 0.5 ** (max(0.0, now - each.at) / HALF_LIFE_S)) for each in samples]
    firsts = sorted((each.first_s, weight) for each, weight in weighed)
    rates = sorted((each.per_s, weight) for each, weight in weighed if each.per_s is not None)
    return Expected(
        first_s=_quantile(firsts, 0.5),
        first_p95_s=_quantile(firsts, 0.95),
        per_s=_quantile(rates, 0.5) if rates else None,
        weight=sum(weight for _, weight in weighed),
    )


def _quantile(weighed: list[tuple[float, float]], share: float) -> float:
    """Of sorted values with weights: the smallest that has `share` of all weight at or below it."""
    wanted = share * sum(weight for _, weight in weighed)
    seen = 0.0
    for value, weight in weighed:
        seen += weight
        if seen >= wanted:
            return value
    return weighed[-1][0]


def _kept(table: dict[K, V], key: K, new: Callable[[], V]) -> V:
    """The entry of a key, made where there is none; the oldest goes when there are too many."""
    if key not in table:
        if len(table) >= KEPT_NAMES:
            del table[next(iter(table))]
        table[key] = new()
    return table[key]
