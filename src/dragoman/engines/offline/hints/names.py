"""Names and places: what is capitalised, what stands behind a preposition, words of known lists.

Readers of text, pure. Imports only what stands beside it.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from .types import Hint
from .words import (
    ACTIONS,
    COUNTRIES,
    CURRENCIES,
    DATE_WORDS,
    FORMATS,
    GENERIC,
    IMPERATIVES,
    LANGUAGES,
    NOUNS,
    OPENERS,
    STOP,
    UNITS,
    is_separator,
    kin,
    stem,
)  # fmt: skip

__all__ = ["known_words", "names", "phrases"]

_NAME_WORD = re.compile(r"[^\W\d_](?:[\w'\u2019&-]|\.(?=\w))*")
_PARTICLES = frozenset("of de del da di la le du van von der den el al".split())
_TITLES = frozenset("St Mt Ft Dr Mr Mrs Ms Prof".split())
_LOCATING = frozenset(
    """in at near around inside outside within for of visiting visit across over
    f\u00fcr bei \u00e0 en dans chez""".split()
)
_ARTICLE = r"(?:the|der|die|dem|den|la|le|el|il|lo)"
_CITY_OF = r"(?:city\sof|Stadt|ville\sde|ciudad\sde|citt\u00e0\sdi)"
_LEAD = re.compile(rf"([^\W\d_]+)\s(?:{_ARTICLE}\s)?(?:{_CITY_OF}\s)?$")
_TWO_WORD_COUNTRIES = frozenset(
    ("united states", "united kingdom", "south korea", "north korea", "new zealand", "south africa", "saudi arabia")
)
_BELONGING = re.compile(r",\s([A-Z]{2}\b|[A-Z][a-z]+(?:\s[A-Z][a-z]+)?)")


def names(text: str) -> list[Hint]:
    """Capitalised words in a row, by what stands before them: places, ends of a journey, or just names."""
    if text.isupper():  # everything is capitalised: nothing can be told by it
        return []
    found: list[Hint] = []
    words = list(_NAME_WORD.finditer(text))
    index = 0
    while index < len(words):
        length = _run(text, words, index)
        if length:
            hint = _named(text, words[index : index + length])
            if hint.kind:
                if found and found[-1].kind == "initial" and is_separator(text[found[-1].end : hint.start]):
                    found[-1] = replace(found[-1], kind="proper")  # the first of a list of names is one, too
                found.append(_joined(text, found[-1], hint) if found else hint)
            while index + length < len(words) and words[index + length].start() < hint.end:
                length += 1  # the land that belongs to a place is no name of its own
        index += max(1, length)
    return _journeys(text, found)


def _run(text: str, words: list[re.Match[str]], index: int) -> int:
    """How many words from here on belong to one name; 0 when none begins here."""
    first = words[index]
    if not first[0][0].isupper() or _is_common(text, first):
        return 0
    length = 1
    while index + length < len(words) and length < 8:
        last, following = words[index + length - 1], words[index + length]
        gap = text[last.end() : following.start()]
        if gap != " " and not (gap == ". " and last[0] in _TITLES):
            break
        if following[0][0].isupper() and not _is_common(text, following):
            length += 1
        elif following[0] in _PARTICLES and index + length + 1 < len(words):
            beyond = words[index + length + 1]
            if not beyond[0][0].isupper() or text[following.end() : beyond.start()] != " ":
                break
            length += 2
        else:
            break
    return length


def _is_common(text: str, word: re.Match[str]) -> bool:
    """Is it capitalised only for standing at the beginning of a sentence, or as "I" and "The" are?"""
    lower = word[0].lower().removesuffix("'s").removesuffix("\u2019s")
    begins = _begins_sentence(text, word.start())
    if word[0].isupper() and len(word[0]) > 1 and not begins:
        return False
    if lower in DATE_WORDS or (lower in STOP and not (lower == "the" and not begins)):
        return True
    if lower in NOUNS:
        return True
    return begins and (lower in OPENERS or lower in GENERIC | ACTIONS | IMPERATIVES or len(kin(stem(lower))) > 1)


def _begins_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 12) : start].rstrip(" \t\"'([*-\u00a1\u00bf\u201e\u201c\u00ab")
    return not before.strip() or before[-1] in ".!?:\n"


def _named(text: str, words: list[re.Match[str]]) -> Hint:
    start, end = words[0].start(), words[-1].end()
    name = text[start:end]
    if not re.search(r"\bat\s$", text[max(0, start - 4) : start]):  # "at Luigi's" is called so
        name = re.sub(r"['\u2019]s?$", "", name)
    end = start + len(name)
    lower = name.lower()
    if lower not in COUNTRIES and (land := _land(text, end)):
        end += len(land)
        name += land
    return Hint(_name_kind(text, start, name, lower), name, start, end)


def _land(text: str, end: int) -> str:
    """ ", France" of "Paris, France", and ", CA": what belongs to the place before it."""
    match = _BELONGING.match(text, end)
    if match is None:
        return ""
    if match[1].isupper() or match[1].lower() in _TWO_WORD_COUNTRIES:
        return match[0]
    first = match[1].split()[0]
    return f", {first}" if first.lower() in COUNTRIES else ""


def _name_kind(text: str, start: int, name: str, lower: str) -> str:
    if lower in LANGUAGES or lower in UNITS or name in CURRENCIES or name in FORMATS:
        return ""  # `known_words` has it, or it is no name
    before = _LEAD.search(text[max(0, start - 30) : start])
    lead = before[1].lower() if before else ""
    if lead in _LOCATING:
        return "place"
    if lead in {"from", "between"}:
        return "from"
    if lead in {"to", "into", "towards", "toward", "nach", "vers", "hacia"}:
        return "to"
    if lead == "by":
        return "by"
    if name.isupper() and 2 <= len(name) <= 5:
        return "caps"
    return "initial" if _begins_sentence(text, start) and " " not in name else "proper"


def _joined(text: str, last: Hint, hint: Hint) -> Hint:
    """The later names of a list are what the first is."""
    if last.kind not in {"place", "from", "to"} or hint.kind not in {"proper", "place", "caps", "to"}:
        return hint
    between = text[last.end : hint.start]
    if not is_separator(between) or (hint.kind == "to" and " to" in between):
        return hint
    if last.kind == "from" and text[: last.start].rstrip().lower().endswith("between"):
        return replace(hint, kind="to")
    return replace(hint, kind=last.kind)


def _journeys(text: str, found: list[Hint]) -> list[Hint]:
    """In "Paris to Rome" the first is where it begins, though nothing before it says so."""
    for index, (first, second) in enumerate(pairwise(found)):
        if match := re.fullmatch(r"\s(?:to|(nach|\u00e0)|->|\u2192|-|\u2013)\s", text[first.end : second.start]):
            if match[1] and first.kind == "initial":
                continue  # "M\u00e9t\u00e9o \u00e0 Rome": the first word of a sentence goes nowhere
            if first.kind in {"place", "proper", "initial", "caps"}:
                found[index] = replace(first, kind="from")
            if second.kind in {"place", "proper", "caps"}:
                found[index + 1] = replace(second, kind="to")
    return found


# What is said in small letters: "weather in tokyo", "from here to there".

_PHRASE_KINDS = {
    **dict.fromkeys(("in", "at", "near", "around", "for", "inside", "outside"), "spot"),  # "inside" with an article
    "from": "from",
    "to": "to",
    **dict.fromkeys(("of", "on", "with", "about", "by", "into"), "thing"),
}
_DETERMINERS = frozenset("the a an my our your this that these those some any his her their der dem".split())
_NOT_A_PLACE = frozenset(
    """general detail details total advance case order particular short free example exactly least bed bulk charge
    full json csv xml text words common danger doubt fact front reverse stock""".split()
)


def phrases(text: str) -> Iterator[Hint]:
    lower = text.lower() if text.isupper() and len(text.lower()) == len(text) else text
    words = list(_NAME_WORD.finditer(lower))
    for index, word in enumerate(words):
        kind = _PHRASE_KINDS.get(word[0])
        if kind is None:
            continue
        position = index + 1
        if position == len(words) or lower[word.end() : words[position].start()] != " ":
            continue
        while position < len(words) and (length := _phrase(lower, words, position)):
            first, last = words[position], words[position + length - 1]
            found = kind
            if first[0] in _DETERMINERS:
                found, first = "inside" if word[0] in {"in", "at", "inside"} else "thing", words[position + 1]
            if not re.match(r"\s[\d\x00]", text[last.end() : last.end() + 2]):  # "for zip code 94105" is no place
                yield Hint(found, text[first.start() : last.end()], first.start(), last.end())
            position += length
            if position >= len(words) or not is_separator(lower[last.end() : words[position].start()]):
                # "and" is a word of its own
                if position + 1 < len(words) and is_separator(lower[last.end() : words[position + 1].start()]):
                    position += 1
                else:
                    break


def _phrase(text: str, words: list[re.Match[str]], position: int) -> int:
    """How many words from here on make a phrase of small letters: at most three, and a determiner."""
    length = 0
    most = 4 if words[position][0] in _DETERMINERS else 3
    while position + length < len(words) and length < most:
        word = words[position + length]
        if length and text[words[position + length - 1].end() : word.start()] != " ":
            break
        if length == 0 and word[0] in _DETERMINERS:
            length = 1
            continue
        if not word[0].islower() or word[0] in STOP | DATE_WORDS | UNITS | LANGUAGES or word[0] in _PHRASE_KINDS:
            break
        if length == 0 and (word[0] in _NOT_A_PLACE or stem(word[0]) in _VERBS):
            break
        length += 1
    return 0 if length == 1 and words[position][0] in _DETERMINERS else length


_VERBS = frozenset(
    stem(word) for word in (*ACTIONS, *"get show tell find fetch read search give run check list".split())
)


_MONEY = frozenset("dollars euros yen yuan rupees pesos francs bitcoin".split())
_DATE_WORD = re.compile(r"(?:\b(next|this|last|coming)\s)?\b([a-z]{3,10})\b", re.IGNORECASE)
_ONLY_WITH_NEXT = frozenset("week month year right soon currently now march may".split())


def known_words(text: str) -> Iterator[Hint]:
    """Days, languages, units and currencies: words of lists, however they are spelled."""
    for match in _DATE_WORD.finditer(text):
        word, span = match[2].lower(), match.span(2)
        if word in DATE_WORDS and (match[1] or word not in _ONLY_WITH_NEXT):
            yield Hint("date_word", match[0], *match.span())
        elif word in LANGUAGES:
            yield Hint("language", match[2], *span)
        elif word.upper() in CURRENCIES or word in _MONEY:
            yield Hint("currency", match[2], *span)
        elif word in UNITS:
            yield Hint("unit", match[2], *span)
