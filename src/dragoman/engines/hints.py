"""What a request says that a tool could use: quoted strings, paths, places, numbers, dates, expressions, pairs.

Pure reading of text, in linear time, by rules and tables; which of it fits which parameter is decided in
`hint_roles`. Imports only the tables and rules beside it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from .hint_roles import STRONG, Candidate, Hint, Param, candidates
from .hint_words import (
    ACTIONS,
    COUNTRIES,
    CURRENCIES,
    DATE_WORDS,
    FORMATS,
    GENERIC,
    LANGUAGES,
    NUMBER_WORDS,
    STOP,
    UNITS,
    kin,
    stem,
)

__all__ = ["STRONG", "Candidate", "Hint", "Hints", "Param", "is_separator"]

MAX_TEXT = 8_000  # characters that are read: of a longer text its two ends
MAX_HINTS = 400
Span = tuple[int, int]


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
        self._length = len(text)

    @classmethod
    def of(cls, prompt: str, *, context: str = "") -> "Hints":
        """Read `prompt`. What only `context` (the rest of the conversation's words) says counts for less."""
        text = _shortened(prompt)
        found = _read(text)
        if context:
            behind = len(text) + 1  # spans of the context lie behind those of the text
            found += [
                replace(hint, start=hint.start + behind, end=hint.end + behind, is_context=True)
                for hint in _read(_shortened(context))
            ]
        return cls(text, found[:MAX_HINTS])

    @classmethod
    def none(cls) -> "Hints":
        """Nothing was said."""
        return cls("", ())

    def candidates(self, param: Param) -> list[Candidate]:
        """Everything that could be this parameter's value, best first, used or not."""
        return candidates(param, self.found, self.text)

    def take(self, param: Param, *, least: int = 1, fits: Callable[[Candidate], bool] | None = None) -> Candidate | None:
        """The best unused value of at least that score, which is now used; None when there is none."""
        offers = [c for c in self.candidates(param) if c.score >= least and (fits is None or fits(c))]
        chosen = next((c for c in offers if self.is_free(c)), None)
        if chosen is not None:
            self.use(param, chosen, offers)
        return chosen

    def use(self, param: Param, chosen: Candidate, offers: Iterable[Candidate] = ()) -> None:
        self.taken.append(Taken(param, chosen, tuple(offers)))

    def is_free(self, candidate: Candidate) -> bool:
        """Is no part of it used? The whole text is always free: it is what one falls back on."""
        return candidate.kind == "whole" or not any(
            candidate.start < used.candidate.end and used.candidate.start < candidate.end for used in self.taken
        )

    def fresh(self) -> "Hints":
        """The same hints, none of them used."""
        return Hints(self.text, self.found)


def _shortened(text: str) -> str:
    """A long text's two ends: what is asked stands at the beginning or at the end."""
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[: MAX_TEXT // 2]}\n{text[-MAX_TEXT // 2 :]}"


_SEPARATOR = re.compile(
    r"\s{0,3}(?:,|;|&|\band\b|\bor\b|\bthen\b|\bplus\b|\bas well as\b|,\s?and\b|,\s?or\b|,\s?then\b|\band then\b)"
    r"(?:\s(?:also|then|another))?(?:\s(?:in|at|for|from|of|to|on|near|with|about))?(?:\s(?:the|a|an|file))?\s{0,3}",
    re.IGNORECASE,
)


def is_separator(between: str) -> bool:
    """Does this text join the items of a list: a comma, "and", "and in"?"""
    return len(between) < 40 and _SEPARATOR.fullmatch(between) is not None


# Reading. Each reader takes the text, with what earlier ones have claimed blanked out, and gives hints.


def _read(text: str) -> list[Hint]:
    quotes = list(_quoted(text))
    unquoted = _blank(text, quotes)
    dated = list(_by_pattern(unquoted, _DATES))
    tokens = [*_by_pattern(unquoted, _ADDRESSES), *(h for quote in quotes for h in _inside(quote))]
    rest = _blank(unquoted, tokens)
    dated = [hint for hint in dated if rest[hint.start] != _BLANK]
    rest = _blank(rest, dated)
    words = list(_tokens(rest))
    rest = _blank(rest, words)
    values = [*quotes, *tokens, *dated, *words, *_numbers(rest), *_names(rest), *_phrases(rest), *_date_words(rest)]
    expressions = _expressions(_blank(_blank(text, tokens), [*dated, *(w for w in words if w.kind != "ident")]))
    everything = [*values, *expressions, *_pairs(text), *_objects(text, rest)]
    return sorted((_in_place(text, hint) for hint in everything), key=lambda hint: (hint.start, hint.end))


_BLANK = "\x00"  # neither a word nor space, and in no pattern


def _blank(text: str, hints: Iterable[Hint]) -> str:
    characters = list(text)
    for hint in hints:
        characters[hint.start : hint.end] = _BLANK * (hint.end - hint.start)
    return "".join(characters)


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
    content = [stem(word) for word in words if word.lower() not in _LINKS]
    following = _WORDS.findall(after)
    follow = stem(following[0]) if following else ""
    if follow == "of" and len(following) > 1:
        follow = stem(following[1])
    return replace(hint, before=tuple(content[-2:]), after=follow, lead=lead)


# Quotes, and addresses of all kinds.

_QUOTES = (
    ("code", re.compile(r"```[\w+-]*\n(.{1,4000}?)\n?```", re.DOTALL)),
    ("code", re.compile(r"`([^`\n]{1,2000})`")),
    ("quoted", re.compile(r'"([^"\n]{1,2000})"(?!\s{0,2}:)')),
    ("quoted", re.compile(r"[\u201c\u00ab]([^\u201c\u201d\u00ab\u00bb]{1,2000})[\u201d\u00bb]")),
    ("quoted", re.compile(r"(?<!\w)'([^'\n]{1,500})'(?!\w)")),
)


def _quoted(text: str) -> Iterator[Hint]:
    for kind, pattern in _QUOTES:
        found = [Hint(kind, match[1].strip(), *match.span()) for match in pattern.finditer(text)]
        yield from (hint for hint in found if hint.text)
        text = _blank(text, found)


_ADDRESSES = (
    ("url", re.compile(r"\bhttps?://[^\s<>\"'`]+[^\s<>\"'`.,;:!?)\]}]")),
    ("email", re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")),
    ("uuid", re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")),
    ("ip", re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")),
)
_MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
_DATES = (
    (
        "datetime",
        re.compile(r"\b\d{4}-\d\d-\d\d(?:T|\s(?:at\s)?)\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?\b"),
    ),
    ("date", re.compile(r"\b\d{4}-\d\d-\d\d\b")),
    ("date", re.compile(r"\b\d{1,2}/\d{1,2}/\d{4}\b")),
    ("date", re.compile(rf"\b{_MONTH}\.?\s\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s\d{{4}})?\b", re.IGNORECASE)),
    ("date", re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?:,?\s\d{{4}})?\b", re.IGNORECASE)),
    ("time", re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?(?:\s?[ap]\.?m\b\.?)?", re.IGNORECASE)),
    ("time", re.compile(r"\b\d{1,2}\s?[ap]\.?m\b", re.IGNORECASE)),
)


def _by_pattern(text: str, patterns: tuple[tuple[str, re.Pattern[str]], ...]) -> Iterator[Hint]:
    for kind, pattern in patterns:
        found = [Hint(kind, match[0], *match.span()) for match in pattern.finditer(text)]
        yield from found
        text = _blank(text, found)


def _date_words(text: str) -> Iterator[Hint]:
    pattern = r"\b(?:(?:next|this|last|coming)\s)?(?:[a-z]{3,9})\b"
    for match in re.finditer(pattern, text, re.IGNORECASE):
        word = match[0].lower().split()[-1]
        lonely = word in {"week", "month", "year", "right", "soon", "currently", "now", "march", "may"}
        if word in DATE_WORDS and not (lonely and " " not in match[0]):
            yield Hint("date_word", match[0], *match.span())


def _inside(quote: Hint) -> Iterator[Hint]:
    """A quoted path is a path as well as a quoted string."""
    if not (kind := _kind_of(quote.text)):
        kind = next((kind for kind, pattern in _ADDRESSES if pattern.fullmatch(quote.text)), "")
    if kind:
        yield replace(quote, kind=kind)


_TOKEN = re.compile(r"[^\s,;\x00]+")
_FILE_NAMES = frozenset("Makefile Dockerfile README LICENSE CHANGELOG Procfile Vagrantfile Gemfile Rakefile".split())
_DOMAINS = frozenset("com org net edu gov io ai dev co uk de".split())
_PATHS = re.compile(
    r"(?:~|\.{1,2})?/[\w.@+\-/~%*]+|~|[A-Za-z]:[\\/]\S*|\\\\\S+|[\w.@+\-/*]*/[\w.\-*]*\.\w{1,8}|[\w.\-/]+/|\.[a-z]\w+"
    r"|(?:\*|[\w\-.]*[\w\-*])\.[A-Za-z]\w{0,7}"
)
_ABBREVIATION = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]?")
_IDENT = re.compile(r"(?=[^a-zA-Z]*[a-zA-Z])(?=\D*\d)#?\w[\w\-#:]*")
_QUANTITY = re.compile(r"[-+]?\d[\d.]*(?:[A-Za-z\u00b0%]{1,3}|bytes|days|hours|min|sec)")


def _tokens(text: str) -> Iterator[Hint]:
    """Words that are something for what they look like: paths, hosts, identifiers."""
    for match in _TOKEN.finditer(text):
        opening = len(match[0]) - len(match[0].lstrip("([{<"))
        token = match[0].lstrip("([{<").rstrip(".:!?)]}>'")
        start = match.start() + opening
        if kind := _kind_of(token):
            yield Hint(kind, token, start, start + len(token))
        elif token == "/" and not re.search(r"[\d)]\s*$", text[:start][-8:]):
            yield Hint("path", token, start, start + 1)


def _kind_of(token: str) -> str:
    if not token or len(token) > 400 or _ABBREVIATION.fullmatch(token):
        return ""
    if _PATHS.fullmatch(token) and any(character.isalpha() or character in "~*" for character in token):
        ending = token.rpartition(".")[2]
        return "host" if ending in _DOMAINS and "/" not in token else "path"
    if token in _FILE_NAMES:
        return "path"
    if "/" in token[1:-1] and re.fullmatch(r"[\w.\-]+(?:/[\w.\-]+){1,20}", token) and not token[0].isdigit():
        return "pathish"
    if _IDENT.fullmatch(token) and not _QUANTITY.fullmatch(token):
        return "ident"
    return ""


# Numbers and arithmetic.

_NUMBER = re.compile(
    r"(?<![\w.])(?:(?<![^\s(,:=\[$])-)?\d{1,300}(?:,\d{3})*(?:\.\d{1,300})?(?:e[+-]?\d{1,3}\b)?", re.IGNORECASE
)


def _numbers(text: str) -> Iterator[Hint]:
    for match in _NUMBER.finditer(text):
        digits = match[0].replace(",", "")
        number = float(digits) if re.search(r"[.eE]", digits) else int(digits)
        if abs(number) != float("inf"):
            yield Hint("number", match[0], *match.span(), number=number)
    for match in _WORDS.finditer(text):
        if (value := NUMBER_WORDS.get(match[0].lower())) is not None:
            yield Hint("number_word", match[0], *match.span(), number=value)


_OPERATORS = {
    "plus": "+", "minus": "-", "times": "*", "multiplied by": "*", "divided by": "/", "over": "/", "modulo": "%",
    "mod": "%", "to the power of": "**", "raised to": "**", "\u00d7": "*", "\u00f7": "/", "x": "*", "\u2212": "-",
}  # fmt: skip
_OPERATOR = r"(?:\*\*|[-+*/%^\u00d7\u00f7\u2212x]|" + "|".join(k for k in _OPERATORS if len(k) > 1) + ")"
_OPERAND = r"(?:(?:sqrt|sin|cos|tan|log|ln|exp|abs)?\(\s?|-){0,4}\d[\d.,]{0,40}%?\s?\){0,4}"
_ARITHMETIC = re.compile(rf"(?<![\w.]){_OPERAND}(?:\s{{0,2}}{_OPERATOR}\s{{0,2}}{_OPERAND}){{1,50}}", re.IGNORECASE)
_N = r"(-?\d[\d.,]{0,40})"
_SPOKEN = tuple(
    (re.compile(rf"\b{pattern}", re.IGNORECASE), template)
    for pattern, template in (
        (rf"(?:square root of|sqrt)\s?\(?{_N}\)?", "sqrt({0})"),
        (rf"{_N}\s?(?:%|percent)\sof\s{_N}", "{0} / 100 * {1}"),
        (rf"(?:add|sum(?: of)?)\s(?:up\s)?{_N}(?:,?\s(?:and|to|with|plus)\s){_N}", "{0} + {1}"),
        (rf"subtract\s{_N}\sfrom\s{_N}", "{1} - {0}"),
        (rf"difference\s(?:between|of)\s{_N}\sand\s{_N}", "{0} - {1}"),
        (rf"(?:multiply|product of)\s{_N}\s(?:by|and|with)\s{_N}", "{0} * {1}"),
        (rf"divide\s{_N}\sby\s{_N}", "{0} / {1}"),
        (rf"{_N}\ssquared", "{0} ** 2"),
        (rf"{_N}\scubed", "{0} ** 3"),
    )
)


def _expressions(text: str) -> Iterator[Hint]:
    for match in _ARITHMETIC.finditer(text):
        yield Hint("math", _in_symbols(match[0]), *match.span())
    for pattern, template in _SPOKEN:
        for match in pattern.finditer(text):
            numbers = [number.rstrip(".,").replace(",", "") for number in match.groups()]
            yield Hint("math", template.format(*numbers), *match.span())


def _in_symbols(expression: str) -> str:
    expression = expression.strip().rstrip(".,")
    for word, symbol in _OPERATORS.items():
        expression = re.sub(rf"(?<![a-z]){re.escape(word)}(?![a-z])", symbol, expression, flags=re.IGNORECASE)
    expression = re.sub(r"(?<=\d),(?=\d{3})", "", expression)
    while expression.count(")") > expression.count("(") and expression.endswith(")"):
        expression = expression[:-1].rstrip()
    return expression


# Names and places.

_NAME_WORD = re.compile(r"[^\W\d_](?:[\w'\u2019&-]|\.(?=\w))*")
_PARTICLES = frozenset("of de del da di la le du van von der den el al".split())
_TITLES = frozenset("St Mt Ft Dr Mr Mrs Ms Prof".split())
_LOCATING = frozenset("in at near around inside outside within for of visiting visit across over".split())
_TWO_WORD_COUNTRIES = frozenset(
    ("united states", "united kingdom", "south korea", "north korea", "new zealand", "south africa", "saudi arabia")
)
_BELONGING = re.compile(r",\s([A-Z]{2}\b|[A-Z][a-z]+(?:\s[A-Z][a-z]+)?)")


def _names(text: str) -> list[Hint]:
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
            found.append(_joined(text, found[-1], hint) if found else hint)
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
    return begins and (lower in GENERIC or lower in ACTIONS or len(kin(stem(lower))) > 1)


def _begins_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 12) : start].rstrip(" \t\"'([*-")
    return not before.strip() or before[-1] in ".!?:\n"


def _named(text: str, words: list[re.Match[str]]) -> Hint:
    start, end = words[0].start(), words[-1].end()
    name = re.sub(r"['\u2019]s?$", "", text[start:end])
    end = start + len(name)
    lower = name.lower()
    belonging = _BELONGING.match(text, end)
    if belonging and lower not in COUNTRIES:
        land = belonging[1].lower()
        if belonging[1].isupper() or land in _TWO_WORD_COUNTRIES or land.split()[0] in COUNTRIES:
            if land not in _TWO_WORD_COUNTRIES:
                end = belonging.end(1) - len(belonging[1]) + len(belonging[1].split()[0])
            else:
                end = belonging.end()
            name = text[start:end]
    return Hint(_name_kind(text, start, name, lower), name, start, end)


def _name_kind(text: str, start: int, name: str, lower: str) -> str:
    for kind, table in (("language", LANGUAGES), ("unit", UNITS)):
        if lower in table:
            return kind
    if name in CURRENCIES:
        return "currency"
    if name in FORMATS:
        return "format"
    before = re.search(r"([A-Za-z]+)\s(?:the\s)?(?:city\sof\s)?$", text[max(0, start - 30) : start])
    lead = before[1].lower() if before else ""
    if lead in _LOCATING:
        return "place"
    if lead in {"from", "between"}:
        return "from"
    if lead in {"to", "into", "towards", "toward"}:
        return "to"
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


def _journeys(text: str, names: list[Hint]) -> list[Hint]:
    """In "Paris to Rome" the first is where it begins, though nothing before it says so."""
    for index, (first, second) in enumerate(zip(names, names[1:], strict=False)):
        if re.fullmatch(r"\s(?:to|->|\u2192|-|\u2013)\s", text[first.end : second.start]):
            if first.kind in {"place", "proper", "initial", "caps"}:
                names[index] = replace(first, kind="from")
            if second.kind in {"place", "proper", "caps"}:
                names[index + 1] = replace(second, kind="to")
    return names


# What is said in small letters: "weather in tokyo", "from here to there".

_PHRASE_KINDS = {
    **dict.fromkeys(("in", "at", "near", "around", "for", "inside", "outside"), "spot"),
    "from": "from",
    "to": "to",
    **dict.fromkeys(("of", "on", "with", "about", "by", "into"), "thing"),
}
_DETERMINERS = frozenset("the a an my our your this that these those some any his her their".split())
_NOT_A_PLACE = frozenset(
    """general detail details total advance case order particular short free example exactly least bed bulk charge
    full json csv xml text words common danger doubt fact front reverse stock""".split()
)


def _phrases(text: str) -> Iterator[Hint]:
    lower = text.lower() if text.isupper() else text
    words = list(_NAME_WORD.finditer(lower))
    for index, word in enumerate(words):
        kind = _PHRASE_KINDS.get(word[0])
        if kind is None:
            continue
        position = index + 1
        while position < len(words) and (length := _phrase(lower, words, position)):
            first, last = words[position], words[position + length - 1]
            if first[0] in _DETERMINERS:
                kind, first = "thing", words[position + 1]
            yield Hint(kind, text[first.start() : last.end()], first.start(), last.end())
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


_VERBS = frozenset(stem(word) for word in (*ACTIONS, "get", "show", "tell", "find", "fetch", "read", "search", "give", "run"))


# Pairs, and what stands behind a verb.

_PAIR = re.compile(
    r"(?<![\w/.@-])[\"'`]?([A-Za-z_][\w-]{0,40})[\"'`]?\s{0,2}([=:])(?![/\\])\s{0,3}"
    r"(?:\"([^\"\n]{1,2000})\"|'([^'\n]{1,500})'|`([^`\n]{1,500})`|([^\s,;\"'`{}\[\]][^,;\n{}\[\]]{0,300}))"
)
_NEXT_PAIR = re.compile(r"\s+(?:and\s+)?[A-Za-z_][\w-]{0,40}\s?[:=](?!/)")


def _pairs(text: str) -> Iterator[Hint]:
    position = 0
    while match := _PAIR.search(text, position):
        number = next(group for group in (3, 4, 5, 6) if match[group] is not None)
        value, (start, end) = match[number], match.span(number)
        if number == 6:
            value = value.split()[0] if match[2] == "=" and value.split() else value
            if following := _NEXT_PAIR.search(value):
                value = value[: following.start()]
            value = value.rstrip(" .!?")
            end = start + len(value)
        if value:
            yield Hint("pair", value, start, end, key=match[1])
        position = max(end, match.end(2))


_OBJECTS = tuple(
    (kind, re.compile(rf"\b(?:{pattern})\s*:?\s+(?=\S)", re.IGNORECASE))
    for kind, pattern in (
        ("search", r"(?:search|look|browse|query|google)(?:ing)?(?:\s(?!for\b|up\b)\w{1,20}){0,4}\s(?:for|up)"),
        ("search", r"google|look\sup|search(?:\sthe\s(?:web|internet|docs|documentation)\s(?:for|about))?|find"),
        ("run", r"(?:run|execute|exec)(?:\s(?:the|this))?(?:\s(?:shell|bash|terminal))?(?:\scommand)?"),
        ("said", r"say(?:s|ing)?|with\sthe\s(?:text|message|body|content|words?)|remind\sme\sto|note\sthat|remember\sthat"),
        ("said", r"translate|echo|repeat|tweet|summari[sz]e|paraphrase"),
        ("calc", r"calculate|compute|evaluate|solve|what(?:'s|\sis)(?=\s[\d(\-])"),
        ("named", r"named|called|titled|entitled|name\sis|name's"),
        ("about", r"about|regarding|concerning|on\sthe\stopic\sof|on\sthe\ssubject\sof"),
        ("type", r"type|enter"),
    )
)  # fmt: skip
_OBJECT_END = re.compile(r"[.!?](?=\s|$)|;\s|\n|,?\s(?:and|then)\s(?:then\s)?(?:tell|show|give|report|explain|print|let|see)\b")
_POLITE = re.compile(r"[\s,]+(?:please|for me|thanks|thank you|now)$", re.IGNORECASE)
_NAMED_END = re.compile(r"\s(?:with|and|in|for|to|that|who|which|on|at|from|of|as|is)\s|,|\.\s")
_TRANSLATED_END = re.compile(r"\s(?:to|into|in)\s[A-Za-z]+$")
_PREAMBLE = re.compile(
    r"(?:me\s|us\s)?(?:some\s|any\s|all\s|the\s)?(?:information|info|articles?|papers?|news|documents?|facts?)\s(?:about|on)\s",
    re.IGNORECASE,
)


def _objects(text: str, rest: str) -> Iterator[Hint]:
    """What a verb is about: "search for cats" says cats. `rest` has quotes and paths blanked, so none is cut."""
    for kind, pattern in _OBJECTS:
        for match in pattern.finditer(rest):
            start = match.end()
            end = _OBJECT_END.search(rest, start, start + 600)
            stop = end.start() if end else min(len(rest), start + 600)
            if kind == "search" and (preamble := _PREAMBLE.match(text, start, stop)):
                start = preamble.end()
            value = _object(kind, text[start:stop], rest[start:stop])
            if value and not (kind == "run" and value.lower().split()[0] in _DETERMINERS | {"all", "it"}):
                yield Hint(kind, value, start, start + len(value))


def _object(kind: str, value: str, rest: str) -> str:
    if kind == "named" and (end := _NAMED_END.search(rest)):
        value = value[: end.start()]
    if kind == "said" and (end := _TRANSLATED_END.search(value)) and end[0].split()[-1].lower() in LANGUAGES:
        value = value[: end.start()]
    if kind == "search" and (end := re.search(r"\s(?:in|on|from|at|inside)\s\x00+$", rest)):
        value = value[: end.start()]
    value = _POLITE.sub("", value.rstrip(" .,!?")).strip()
    if value[:1] in "\"'`\u201c" or value[:1] == _BLANK:
        return ""  # the quoted string is a hint already
    return value
