"""Which options of an enum, and which switches, a text speaks of. Pure; imports only the tables beside it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from .types import Candidate, Hint
from .words import kin, split_name, stem

__all__ = ["flag", "mentions"]

Span = tuple[int, int]

MAX_OPTIONS = 500  # of one enum that are looked for
PAIR, SAID, ALIKE = 100, 90, 75

# Other ways to say an option, besides the kin of its words.
_SIGNS = {
    "celsius": (r"\u00b0\s?c\b", r"(?<=\d)\s?c\b", "centigrade", "metric"),
    "fahrenheit": (r"\u00b0\s?f\b", r"(?<=\d)\s?f\b", "imperial"),
    "metric": ("celsius", "centigrade"),
    "imperial": ("fahrenheit",),
    "c": (r"\u00b0\s?c\b", r"(?<=\d)\s?c\b", "celsius"),
    "f": (r"\u00b0\s?f\b", r"(?<=\d)\s?f\b", "fahrenheit"),
    "add": (r"\d\s?\+\s?\d",),
    "subtract": (r"\d\s-\s?\d",),
    "multiply": (r"\d\s?[*\u00d7]\s?\d", r"\d\s?x\s?\d"),
    "divide": (r"\d\s?[/\u00f7]\s?\d",),
    "power": (r"\d\s?(?:\^|\*\*)\s?\d", "to the power"),
    "asc": ("ascending",),
    "desc": ("descending",),
    "high": ("urgent", "important"),
    "str_replace": ("replace", "change"),
    "rename": ("move",),
    "left_click": ("click",),
    "left_click_drag": ("drag",),
    "mouse_move": ("move", "hover"),
    "key": ("press",),
}
_SIGNS |= {"+": _SIGNS["add"], "-": _SIGNS["subtract"], "*": _SIGNS["multiply"], "/": _SIGNS["divide"]}
_SIGNS |= {"addition": _SIGNS["add"], "subtraction": _SIGNS["subtract"]}
_SIGNS |= {"multiplication": _SIGNS["multiply"], "division": _SIGNS["divide"]}
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?")
_NEGATIONS = frozenset("no not non without dont don't disable exclude skip never off false hide omit except".split())
# Words of a switch's name that only say that it is one.
_SWITCHING = frozenset(
    stem(w) for w in "is has should enable enabled include use with allow do show set only be can wants".split()
)


def mentions(
    options: Sequence[object], hints: Sequence[Hint], text: str, *, names: frozenset[str], direction: str
) -> Iterator[Candidate]:
    """Where the text speaks of an option: by its own words, by words that mean the same, as a number or a pair."""
    words, lower = _words(text), text.lower()
    for option in options[:MAX_OPTIONS]:
        if isinstance(option, str):
            yield from _pairs(option, hints, names)
            yield from (
                Candidate(score + _way(direction, text, start), option, "option", start, end)
                for score, start, end in _places(option, words, text, lower)
            )
        elif isinstance(option, int | float) and not isinstance(option, bool):
            same = (h for h in hints if h.number == option)
            yield from (Candidate(SAID if not h.is_context else 45, option, "option", h.start, h.end) for h in same)


@lru_cache(maxsize=8)
def _words(text: str) -> Mapping[str, list[Span]]:
    """Where each word of the text stands, by its stem."""
    words: dict[str, list[Span]] = {}
    for match in _WORD.finditer(text):
        words.setdefault(stem(match[0]), []).append(match.span())
    return words


def _pairs(option: str, hints: Iterable[Hint], names: frozenset[str]) -> Iterator[Candidate]:
    for hint in hints:
        is_option = hint.kind == "pair" and hint.text.lower() == option.lower()
        if is_option and names & {stem(word) for word in split_name(hint.key)}:
            yield Candidate(PAIR, option, "option", hint.start, hint.end)


def _places(option: str, words: Mapping[str, list[Span]], text: str, lower: str) -> Iterator[tuple[int, int, int]]:
    """(score, start, end) of each mention."""
    if len(option) > 100 or not option.strip():
        return
    if len(option) == 1 and option.isalpha():
        found = [] if option in "aI" else list(re.finditer(rf"(?<![\w']){option}(?![\w'])", text))
    elif option[0].isalnum() and re.split(r"[\s_-]", option.lower())[0] in lower:  # quick, for long lists
        spaced = r"[\s_-]".join(re.escape(part) for part in re.split(r"[\s_-]+", option) if part)
        found = list(re.finditer(rf"(?<![\w]){spaced}(?![\w])", text, re.IGNORECASE))
    else:
        found = []
    yield from ((SAID, *match.span()) for match in found[:20])
    if found:
        return
    parts = [stem(word) for word in split_name(option)]
    if parts and all(part in words for part in parts):
        yield SAID - 5, *words[parts[0]][0]
        return
    for sign in _SIGNS.get(option.lower(), ()):
        if match := re.search(sign if not sign.isalpha() else rf"\b{sign}\b", text, re.IGNORECASE):
            yield ALIKE, match.start(), match.start()  # "15 * 23" is still to be read as two numbers
            return
    if len(parts) == 1:
        alike = [words[other][0] for other in sorted(kin(parts[0])) if other in words]
        yield from ((ALIKE, *span) for span in sorted(alike)[:1])


def _way(direction: str, text: str, start: int) -> int:
    """ "20 celsius to fahrenheit": what stands behind "to" is where it goes."""
    if not direction:
        return 0
    is_target = re.search(r"\b(?:to|into|in|as)\s(?:the\s)?$", text[max(0, start - 12) : start], re.IGNORECASE)
    return 5 if (direction == "to") == (is_target is not None) else -20


def flag(names: frozenset[str], hints: Iterable[Hint], text: str) -> Iterator[Candidate]:
    """Is a switch spoken of: by a pair, or by all the words of its name, perhaps behind a negation?"""
    for hint in hints:
        if hint.kind == "pair" and {stem(word) for word in split_name(hint.key)} & names:
            value = hint.text.lower()
            if value in {"true", "yes", "on", "false", "no", "off"}:
                yield Candidate(PAIR, value in {"true", "yes", "on"}, "flag", hint.start, hint.end)
                return
    wanted = names - _SWITCHING
    words = _words(text)
    if not wanted or not wanted <= words.keys():
        return
    start = min(words[word][0] for word in wanted)[0]
    near = {word.lower() for word in _WORD.findall(text[max(0, start - 30) : start])[-2:]}
    # A word may be part of several switches and of a name: nothing is used up.
    yield Candidate(SAID, near.isdisjoint(_NEGATIONS), "flag", start, start)
