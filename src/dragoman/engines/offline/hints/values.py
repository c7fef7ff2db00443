"""Values that are known by how they look: quoted strings, addresses, paths, dates, numbers, expressions.

Readers of text: pure, and in linear time, for a client's text may be hostile. Imports only what stands beside it.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from .types import Hint, blank
from .words import NUMBER_WORDS

__all__ = ["ADDRESSES", "DATES", "by_pattern", "expressions", "has_shape", "inside", "numbers", "quoted", "tokens"]

# A name and its value as JSON has them: `objects.pairs` reads these.
_MEMBER = (
    r'"(?:[a-z_][\w-]{0,40}"\s{0,2}:|[^"\n]{1,200}"\s{0,2}:(?=\s{0,3}(?:["\d{\[-]|true\b|false\b|null\b)))'
    r'(?:\s{0,3}"[^"\n]{0,2000}")?'
)
# The marks of many languages, whichever comes first: French opens with what closes in German.
_MARKS = (
    r'\u201e([^\u201e\u201c\u201d"\n]{1,2000})[\u201c\u201d"]',
    r"\u201c([^\u201c\u201d]{1,2000})\u201d",
    r"\u201d([^\u201c\u201d\n]{1,2000})\u201d",
    r"\u00ab([^\u00ab\u00bb]{1,2000})\u00bb",
    r"\u00bb([^\u00ab\u00bb\n]{1,2000})\u00ab",
    r"\u2039([^\u2039\u203a\n]{1,500})\u203a",
    r"\u203a([^\u2039\u203a\n]{1,500})\u2039",
    r"\u201a([^\u201a\u2018\u2019\n]{1,500})[\u2018\u2019]",
    r"(?<!\w)\u2018([^\u2018\n]{1,500}?)\u2019(?!\w)",
    r"\u300c([^\u300c\u300d\n]{1,500})\u300d",
    r"\u300e([^\u300e\u300f\n]{1,500})\u300f",
    r'"([^"\n]{1,2000})"',
    r"(?<!\w)'([^'\n]{1,500})'(?!\w)",
)
_QUOTES = (
    ("code", re.compile(r"```[\w+-]*\n(.{1,4000}?)\n?```", re.DOTALL)),
    ("code", re.compile(r"`([^`\n]{1,2000})`")),
    ("quoted", re.compile("|".join((_MEMBER, *_MARKS)))),
)


def quoted(text: str) -> Iterator[Hint]:
    """What stands in backticks or quotation marks, but for the members of JSON."""
    rest = text
    for kind, pattern in _QUOTES:
        matches = [(match, match.lastindex) for match in pattern.finditer(rest)]
        found = [
            Hint(kind, text[slice(*match.span(group))].strip(), *match.span()) for match, group in matches if group
        ]
        yield from (hint for hint in found if hint.text)
        rest = blank(rest, found)


ADDRESSES = (
    ("url", re.compile(r"\bhttps?://[^\s<>\"'`]+[^\s<>\"'`.,;:!?)\]}]")),
    ("email", re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")),
    ("uuid", re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")),
    ("ip", re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])")),
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
DATES = (
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


def by_pattern(text: str, patterns: tuple[tuple[str, re.Pattern[str]], ...]) -> Iterator[Hint]:
    for kind, pattern in patterns:
        found = [Hint(kind, match[0], *match.span()) for match in pattern.finditer(text)]
        yield from found
        text = blank(text, found)


def inside(quote: Hint) -> Iterator[Hint]:
    """A quoted path is a path as well as a quoted string."""
    if kind := _kind_of(quote.text) or _address(quote.text):
        yield replace(quote, kind=kind)


_FILE = re.compile(r".*[/\\~].*|.*\.[a-z]\w{0,7}")


def has_shape(text: str) -> bool:
    """Is it plainly a path or an address? "AC/DC" and "BRK.B" may be names."""
    kind = _kind_of(text)
    is_path = kind == "path" and (_FILE.fullmatch(text) is not None or text in _FILE_NAMES)
    return is_path or kind in {"glob", "host"} or bool(_address(text))


def _address(text: str) -> str:
    return next((kind for kind, pattern in ADDRESSES if pattern.fullmatch(text)), "")


MAX_WORD = 260  # characters of a path or an identifier
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


def tokens(text: str) -> Iterator[Hint]:
    """Words that are something for what they look like: paths, hosts, identifiers."""
    for match in _TOKEN.finditer(text):
        opening = len(match[0]) - len(match[0].lstrip("([{<"))
        word = match[0].lstrip("([{<").rstrip(".:!?)]}>'")
        start = match.start() + opening
        if kind := _kind_of(word):
            yield Hint(kind, word, start, start + len(word))
            if kind == "pathish" and word.count("/") == 1:
                owner, _, repo = word.partition("/")
                yield Hint("owner", owner, start, start + len(owner))
                yield Hint("repo", repo, start + len(owner) + 1, start + len(word))
        elif word == "/" and not re.search(r"[\d)]\s*$", text[:start][-8:]):
            yield Hint("path", word, start, start + 1)


def _kind_of(word: str) -> str:
    if not word or len(word) > MAX_WORD or _ABBREVIATION.fullmatch(word):
        return ""
    if _PATHS.fullmatch(word) and any(character.isalpha() or character in "~*" for character in word):
        ending = word.rpartition(".")[2]
        if "*" in word:
            return "glob"
        return "host" if ending in _DOMAINS and "/" not in word else "path"
    if word in _FILE_NAMES:
        return "path"
    if "/" in word[1:-1] and re.fullmatch(r"[\w.\-]+(?:/[\w.\-]+){1,20}", word) and not word[0].isdigit():
        return "pathish"
    if _IDENT.fullmatch(word) and not _QUANTITY.fullmatch(word):
        return "ident"
    return ""


# Numbers and arithmetic.

_WORDS = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(
    r"(?<![\w.])(?:(?<![^\s(,:=\[$])-)?\d{1,300}(?:,\d{3})*(?:\.\d{1,300})?(?:e[+-]?\d{1,3}\b)?", re.IGNORECASE
)


def numbers(text: str) -> Iterator[Hint]:
    for match in _NUMBER.finditer(text):
        start = match.start()
        is_point = re.search(r"[(\[]$|\b(?:at|coordinates?|position|point)\s$", text[max(0, start - 14) : start])
        for digits in match[0].split(",") if is_point else [match[0]]:  # "100,200" is one number, but for a point
            number = _number(digits.replace(",", ""))
            if abs(number) != float("inf"):
                is_zip = re.search(r"\b(?:zip|postal)(?:\s?code)?\s$", text[max(0, start - 14) : start], re.IGNORECASE)
                yield Hint("zip" if is_zip else "number", digits, start, start + len(digits), number=number)
            start += len(digits) + 1
    for match in _WORDS.finditer(text):
        if (value := NUMBER_WORDS.get(match[0].lower())) is not None:
            yield Hint("number_word", match[0], *match.span(), number=value)


def _number(digits: str) -> int | float:
    return float(digits) if re.search(r"[.eE]", digits) else int(digits)


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


def expressions(text: str) -> Iterator[Hint]:
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
