"""What a request says that a tool could use: quoted strings, paths, places, numbers, dates, expressions, pairs.

Pure reading of text, in linear time, by rules and tables. The readers are `values`, `names` and
`objects`; what fits which parameter is decided in `roles`. Imports only these.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .marks import MARKED, led_by
from .names import known_words, names, phrases
from .objects import objects, pairs
from .roles import Param, candidates
from .types import BLANK, STRONG, Candidate, Hint, blank
from .values import ADDRESSES, DATES, by_pattern, expressions, inside, numbers, quoted, tokens
from .words import meaning

__all__ = ["STRONG", "Candidate", "Hint", "Hints", "Param", "Taken", "shortened"]

MAX_TEXT = 8_000  # characters that are read: of a longer text its two ends
MAX_HINTS = 120  # of one text: the first and the last


@dataclass(frozen=True, slots=True)
class Taken:
    """A value that a parameter took, and what else it could have taken."""

    param: Param
    candidate: Candidate
    offers: tuple[Candidate, ...]


class Hints:
    """The hints of one text, and which of them are used up: two parameters share a value only when they must."""

    def __init__(self, text: str, found: Iterable[Hint]) -> None:
        self.text = text
        self.found = tuple(found)
        self.taken: list[Taken] = []
        self._candidates: dict[str, list[Candidate]] = {}  # what was found out once, for all copies

    @classmethod
    def of(cls, prompt: str, *, context: str = "") -> "Hints":
        """Read `prompt`. What only `context` (the rest of the conversation's words) says counts for less."""
        text = shortened(prompt)
        hints = cls(text, _read(text))
        return hints.within(context) if context else hints

    @classmethod
    def none(cls) -> "Hints":
        """Nothing was said."""
        return cls("", ())

    def within(self, context: str) -> "Hints":
        """The same hints and those of the words around them, none used."""
        behind = len(self.text) + 1  # spans of the context lie behind those of the text
        around = (
            replace(hint, start=hint.start + behind, end=hint.end + behind, is_context=True)
            for hint in _read(shortened(context))
        )
        return Hints(self.text, (*self.found, *around))

    def candidates(self, param: Param) -> list[Candidate]:
        """Everything that could be this parameter's value, best first, used or not."""
        key = repr(param)
        if key not in self._candidates:
            self._candidates[key] = candidates(param, self.found, self.text)
        return self._candidates[key]

    def take(
        self, param: Param, *, among: Iterable[Candidate] | None = None, least: int = 1, may_share: bool = False
    ) -> Candidate | None:
        """The best value of at least that score, which is now used; None when there is none.

        `among` are the candidates that are allowed. With `may_share` it may be one that another parameter has, if it
        fits well and nothing else does.
        """
        offers = [c for c in (self.candidates(param) if among is None else among) if c.score >= least]
        chosen = next((c for c in offers if self.is_free(c)), None)
        if chosen is None and may_share:
            chosen = next((c for c in offers if c.score >= STRONG), None)
        if chosen is not None:
            self.use(param, chosen, offers)
        return chosen

    def use(self, param: Param, chosen: Candidate, offers: Iterable[Candidate] = ()) -> None:
        self.taken.append(Taken(param, chosen, tuple(offers)))

    def is_free(self, candidate: Candidate) -> bool:
        """Is no part of it used? The whole text is always free: it is what one falls back on. So are mere signs."""
        if candidate.kind in _FALLBACKS or candidate.start == candidate.end:
            return True
        used = (taken.candidate for taken in self.taken if taken.candidate.kind not in _FALLBACKS)
        return not any(_clash(candidate, other) for other in used)

    def fresh(self) -> "Hints":
        """The same hints, none of them used."""
        copy = Hints(self.text, self.found)
        copy._candidates = self._candidates
        return copy


_FALLBACKS = frozenset({"whole", "rest"})
_PHRASES = frozenset({"search", "said", "about"})
_DETAILS = frozenset({"date", "time", "datetime", "date_word", "number", "option"})


def _clash(one: Candidate, other: Candidate) -> bool:
    """Do they share a word? In "call mom tomorrow" the day may be told twice: as a date and in the text."""
    kinds = {one.kind, other.kind}
    if kinds & _PHRASES and kinds & _DETAILS:
        return False
    return one.start < other.end and other.start < one.end and other.start < other.end


def shortened(text: str) -> str:
    """A long text's two ends: what is asked stands at the beginning or at the end."""
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[: MAX_TEXT // 2]}\n{text[-MAX_TEXT // 2 :]}"


# Reading. Each reader takes the text, with what earlier ones have claimed blanked out, and gives hints.


def _read(text: str) -> list[Hint]:
    quotes = list(quoted(text))
    unquoted = blank(text, quotes)
    dated = list(by_pattern(unquoted, DATES))
    addresses = [*by_pattern(unquoted, ADDRESSES), *(hint for quote in quotes for hint in inside(quote))]
    rest = blank(unquoted, addresses)
    dated = [hint for hint in dated if rest[hint.start] != BLANK]
    rest = blank(rest, dated)
    words = list(tokens(rest))
    rest = blank(rest, words)
    values = [*quotes, *addresses, *dated, *words, *numbers(rest), *names(rest), *phrases(rest), *known_words(rest)]
    # Arithmetic may stand in quotes, and "x" in it looks like part of an identifier.
    reckoned = expressions(blank(text, [*addresses, *dated, *(word for word in words if word.kind != "ident")]))
    everything = [*values, *reckoned, *pairs(text), *objects(text, rest)]
    everything.sort(key=lambda hint: (hint.start, hint.end))
    if len(everything) > MAX_HINTS:
        everything = everything[: MAX_HINTS // 2] + everything[-MAX_HINTS // 2 :]
    return [_in_place(text, hint) for hint in everything]


_LINKS = frozenset("is are was be equals as the of to a an at with set should must named called no number nr".split())
_WORDS = re.compile(r"[^\W\d_]+(?:['\u2019][^\W_]+)?")
_SENTENCE_END = re.compile(r"[.!?;]\s|\n")


def _in_place(text: str, hint: Hint) -> Hint:
    """Add the words around it: what a number or a name is of is said right beside it."""
    before = text[max(0, hint.start - 60) : hint.start]
    after = text[hint.end : hint.end + 40]
    if breaks := list(_SENTENCE_END.finditer(before)):
        before = before[breaks[-1].end() :]
    if end := _SENTENCE_END.search(after):
        after = after[: end.start()]
    words = _WORDS.findall(before)
    lead = words[-1].lower() if words and before.rstrip(" \"'`").endswith(words[-1]) else ""
    if hint.kind in MARKED:
        lead = led_by(before, lead)
    content = [meaning(word) for word in words if word.lower() not in _LINKS]
    following = _WORDS.findall(after)
    follow = meaning(following[0]) if following else ""
    if follow == "of" and len(following) > 1:
        follow = meaning(following[1])
    return replace(hint, before=tuple(content[-2:]), after=follow, lead=lead)
