"""Values of the simple types: numbers within limits, strings of a kind; plain ones first, then others.

Pure; imports only what stands beside it.
"""

import math
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import permutations
from typing import Any

from dragoman.wire.jsonschema import JsonValue

from .automata import common_samples
from .formats import expressions_of, is_typical
from .strings import FILLER, format_sample, padded, pattern_sample

__all__ = ["described", "number_sample", "role_sample", "string_samples"]

LARGEST = 10**4000  # nearly the longest integer that can be read and written as JSON here
SHOWN_CHARACTERS = 60  # of the prompt, in a command made of it
MAX_SEARCH = 1_000  # steps of a search for a string of several expressions
SPLICED = 100  # characters of a string whose beginning or end is exchanged
GUESSES = 60  # strings of one regular expression that are tried where the plain ones do not fit
# What to say where nothing was said. None of these does harm, or reaches anybody.
_SAMPLES = {
    "email": "user@example.com", "recipient": "user@example.com", "url": "https://example.com/", "host": "example.com",
    "path": ".", "ip": "192.0.2.1", "expression": "1 + 1", "pattern": "example", "timezone": "UTC", "currency": "USD",
    "language": "English", "symbol": "EXMP", "unit": "metric", "place": "San Francisco, CA",
    "origin": "San Francisco, CA", "destination": "New York, NY", "to": "user@example.com",
    "datetime": "2025-01-01T09:00:00Z",
    "date": "2025-01-01", "time": "09:00", "id": "1", "code": "print('hello')", "person": "Alex",
}  # fmt: skip
_EXAMPLE_OF = re.compile(
    r"(?:\be\.g\.,?|\bfor example,?|\bsuch as|\bexample:)\s*(?:[\"'`]([^\"'`\n]{1,80})|([^;)\n]{1,80}))", re.I
)


def role_sample(role: str, said: str) -> str:
    """A harmless value for a parameter of that role. A command only says again what was said."""
    if role == "command":
        return f"echo {shlex.quote(' '.join(said.split())[:SHOWN_CHARACTERS] or 'hello')}"
    return _SAMPLES.get(role, "example")


def described(description: str) -> str | None:
    """The example that a description gives: "The city, e.g. Paris"."""
    match = _EXAMPLE_OF.search(description[:1000])
    if match is None:
        return None
    return match[1] or re.split(r"\.(?:\s|$)|\sor\s", match[2])[0].strip() or None


def string_samples(
    flat: dict[str, Any], role: str, *, variant: int, said: str, spend: Callable[[int], bool]
) -> Iterator[str]:
    """Strings to try, the plain ones first, none of them out of the user's words; `variant` asks for other ones.

    Each fits some of what the schema says of the string. There is always one; where none fits all, take the first.
    `spend` takes steps of work, and says whether there are more.
    """
    shortest, longest = int(flat.get("minLength", 0)), flat.get("maxLength")
    longest = None if longest is None else int(longest)
    patterns: Sequence[str] = flat.get("patterns", ())
    written = [text for pattern in patterns if (text := pattern_sample(pattern, variant, shortest)) is not None]
    name = flat.get("format", "")
    formatted = format_sample(name, variant, shortest)
    if formatted is not None:
        yield formatted
        yield from (text for text in _spliced([] if variant else written, formatted) if is_typical(text, name))
    else:
        for made in written if not variant else _new(patterns, variant, shortest):
            yield made
            yield made[:longest]
    if patterns:
        guide = written[0] if formatted is None and written else formatted or ""
        for whole in expressions_of(name) or (None,):
            yield from common_samples(
                patterns, whole, guide=guide, variant=variant, lengths=(shortest, longest), spend=_at_most(spend)
            )
    yield from written
    plain = role_sample(role, said)
    if variant:
        plain = f"{plain}-{variant}" if longest is None or len(plain) + 4 <= longest else _counted(variant)
    for text in (plain, _counted(variant), "0", "A", ""):  # the others for what must not be as the plain one is
        yield padded(text, shortest, longest)
    yield from _combined(written, formatted, shortest)
    for pattern in patterns:
        yield from _guessed(pattern, variant, shortest)


def _new(patterns: Sequence[str], variant: int, shortest: int) -> Iterator[str]:
    """Strings of each pattern that no smaller variant gives."""
    for pattern in patterns:
        if (made := pattern_sample(pattern, variant, shortest, is_new=True)) is not None:
            yield made


def _at_most(spend: Callable[[int], bool]) -> Callable[[int], bool]:
    """Lets one search have MAX_SEARCH steps, so that no string uses up what is there for all."""
    left = MAX_SEARCH

    def spent(steps: int) -> bool:
        nonlocal left
        left -= steps
        return spend(steps) and left > 0

    return spent


def _spliced(written: Sequence[str], formatted: str) -> Iterator[str]:
    """A string of a format with another beginning or end: most expressions beside a format ask for one.

    As much of the format's string is kept as may be, and its parts whole: so a domain is still one kept for examples.
    """
    if len(formatted) > SPLICED:
        return
    for text in written:
        whole = _DOMAIN.sub("host.example.com", formatted) if text[-1:].isalnum() else formatted
        places = sorted(range(len(whole) + 1), key=lambda at: at > 0 and whole[at - 1].isalnum())
        yield from (text + whole[at:] for at in places)
        yield from (formatted[:at] + text for at in range(len(formatted), -1, -1))


_DOMAIN = re.compile(r"(?:(?<=//)|(?<=@)|^)example\.com")  # a whole one, that a letter put before would change


def _combined(written: Sequence[str], formatted: str | None, shortest: int) -> Iterator[str]:
    """Strings put together: most expressions that are not of a whole string want it to begin, end or go on somehow."""
    texts = [*written, *("".join(order) for order in permutations(written[:3]) if len(order) > 1)]
    for text in texts:
        others = [FILLER[: max(1, min(shortest - len(text), len(FILLER)))], "1", *([formatted] if formatted else [])]
        for other in others:
            yield other + text
            yield text + other
    if len(written) > 1:
        yield padded(written[0], max(shortest - len(written[1]), 0), None) + written[1]
        yield padded(written[1], max(shortest - len(written[0]), 0), None) + written[0]


def _guessed(pattern: str, variant: int, shortest: int) -> Iterator[str]:
    """Strings of `pattern` that differ in every choice, for what it says by looking ahead. Always the same ones."""
    for guess in range(GUESSES):
        choices = pow(3, 97 * (variant * GUESSES + guess) + 331, 2**521 - 1)  # as good as random
        made = pattern_sample(pattern, choices, shortest + guess % 4 * 4)
        if made is None:
            return
        yield made


def _counted(number: int) -> str:
    """a, b ... z, aa, ab: a short string for each number."""
    letters = ""
    while number >= 0:
        number, index = divmod(number, 26)
        letters = chr(ord("a") + index) + letters
        number -= 1
    return letters


def number_sample(flat: dict[str, Any], *, whole: bool, variant: int) -> JsonValue:
    """The `variant`-th number that the schema allows, beginning with 1 where it may be 1.

    Exact: computed as fractions of the decimals that the schema writes. Best effort where nothing is allowed.
    """
    low, high, step = _limits(flat, whole=whole)
    if step is None and not whole and (variant or not _within(Fraction(1), low, high)):
        number = _between(low, high, variant)
    else:
        number = _on_grid(low, high, step or Fraction(1), variant)
    return _as_json(number, whole=whole)


Limit = tuple[Fraction, bool] | None  # a bound, and whether the number may be equal to it


def _limits(flat: dict[str, Any], *, whole: bool) -> tuple[Limit, Limit, Fraction | None]:
    low, high = _limit(flat, "minimum", "exclusiveMinimum", max), _limit(flat, "maximum", "exclusiveMaximum", min)
    step = _fraction(flat["multipleOf"]) if "multipleOf" in flat else None
    if whole:  # whole multiples of p/q are the multiples of p
        step = Fraction(step.numerator if step else 1)
    return low, high, step


def _limit(flat: dict[str, Any], inclusive: str, exclusive: str, tighter: Any) -> Limit:
    bounds = [(_fraction(flat[key]), key == inclusive) for key in (inclusive, exclusive) if key in flat]
    if not bounds:
        return None
    value = tighter(bound for bound, _ in bounds)
    return value, all(allowed for bound, allowed in bounds if bound == value)


def _fraction(number: float) -> Fraction:
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


def _within(number: Fraction, low: Limit, high: Limit) -> bool:
    above = low is None or number > low[0] or (low[1] and number == low[0])
    below = high is None or number < high[0] or (high[1] and number == high[0])
    return above and below


def _on_grid(low: Limit, high: Limit, step: Fraction, variant: int) -> Fraction:
    """The allowed multiples of `step`: from 1 or the least one upwards; else from the greatest one downwards."""
    if low is None and high is not None and not _within(step, low, high):
        index = math.floor(high[0] / step)
        index -= 0 if _within(index * step, low, high) else 1
        return (index - variant) * step
    first = 1 if step > 1 else math.ceil(1 / step)
    if low is not None and not _within(first * step, low, high):
        first = math.ceil(low[0] / step)
        first += 0 if _within(first * step, low, None) else 1
    numbers = [(first + variant) * step, (first - 1 - variant) * step, first * step]  # there may be some below, or one
    return next((number for number in numbers if _within(number, low, high)), numbers[0])


def _between(low: Limit, high: Limit, variant: int) -> Fraction:
    if low is None and high is None:
        return Fraction(variant) + Fraction(3, 2)
    if low is None or high is None:
        edge = low or high
        assert edge is not None
        away = 1 if low is not None else -1
        return edge[0] if edge[1] and not variant else edge[0] + away * (Fraction(variant) + Fraction(1, 2))
    if low[1] and not variant:
        return low[0]
    return low[0] + (high[0] - low[0]) * Fraction(variant + 1, variant + 2)


def _as_json(number: Fraction, *, whole: bool) -> int | float:
    if abs(number) > LARGEST:
        return 0  # best effort: it could not be sent
    if whole or number.denominator == 1:
        return int(number)
    try:
        return float(number)
    except OverflowError:
        return int(number)
