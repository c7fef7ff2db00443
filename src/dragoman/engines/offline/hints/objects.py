"""What is said of something by name: pairs ("city: Tokyo"), and what a verb is about ("search for cats").

Readers of text, pure. Imports only what stands beside it.
"""

import re
from collections.abc import Iterator

from .types import BLANK, Hint
from .words import LANGUAGES

__all__ = ["objects", "pairs"]

_PAIR = re.compile(
    r"(?<![\w/.@-])[\"'`]?([A-Za-z_][\w-]{0,40})[\"'`]?\s{0,2}([=:])(?![/\\])\s{0,3}"
    r"(?:\"([^\"\n]{1,2000})\"|'([^'\n]{1,500})'|`([^`\n]{1,500})`"
    r"|[\u201e\u201c\u201d\u00ab\u00bb]([^\u201e\u201c\u201d\u00ab\u00bb\n]{1,500})[\u201c\u201d\u00ab\u00bb\"]"
    r"|([^\s,;\"'`{}\[\]][^,;\n{}\[\]]{0,300}))"
)
_NEXT_PAIR = re.compile(r"\s+(?:and\s+)?[A-Za-z_][\w-]{0,40}\s?[:=](?!/)")


def pairs(text: str) -> Iterator[Hint]:
    position = 0
    while match := _PAIR.search(text, position):
        number = next(group for group in (3, 4, 5, 6, 7) if match[group] is not None)
        value, (start, end) = match[number], match.span(number)
        if number == 7:
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
        ("search", r"google|search|find|look\sup"),
        ("run", r"(?:run|execute|exec)(?:\s(?:the\s|this\s)?(?:following\s)?(?:(?:shell|bash|terminal)\s)?command)?"),
        ("said", r"say(?:s|ing)?|with\sthe\s(?:text|message|body|content|words?)"),
        ("said", r"remind\sme\sto|(?:note|remember)\sthat|translate|echo|repeat|tweet|summari[sz]e|paraphrase"),
        ("calc", r"calculate|compute|evaluate|solve|what(?:'s|\sis)(?=\s[\d(\-])"),
        ("named", r"named|called|titled|entitled|name\sis|name's"),
        ("about", r"about|regarding|concerning|on\sthe\stopic\sof|on\sthe\ssubject\sof"),
        ("type", r"type|enter"),
    )
)
_OBJECT_END = re.compile(
    r"[.!?](?=\s|$)|;\s|\n|,?\s(?:and|then)\s(?:then\s)?(?:tell|show|give|report|explain|print|let|see)\b"
    r"|,?\s(?:limit(?:ed\sto)?|max(?:imum)?|saying|with\sthe\s(?:text|message|body|subject))\s"
)
_POLITE = re.compile(r"[\s,]+(?:please|for me|thanks|thank you|now)$", re.IGNORECASE)
_NAMED_END = re.compile(r"\s(?:with|and|in|for|to|that|who|which|on|at|from|of|as|is)\s|,|\.\s")
_TRANSLATED_END = re.compile(r"\s(?:to|into|in)\s[A-Za-z]+$")
_PREAMBLE = re.compile(
    r"(?:me\s|us\s)?(?:some\s|any\s|all\s|the\s)?"
    r"(?:information|info|articles?|papers?|news|documents?|facts?)\s(?:about|on)\s",
    re.IGNORECASE,
)
_SQL = re.compile(
    r"\b(?:SELECT\s|INSERT\sINTO\s|UPDATE\s\w+\sSET\s|DELETE\sFROM\s|CREATE\sTABLE\s|WITH\s\w+\sAS\s)[^;`]{1,2000};?"
)
_PRONOUNS = frozenset("it this that them these those him her me you us".split())
_NOT_A_COMMAND = frozenset("the a an my our your this that these those some any all it".split())


def objects(text: str, rest: str) -> list[Hint]:
    """What a verb is about: "search for cats" says cats. `rest` has quotes and paths blanked, so none is cut."""
    found: dict[tuple[str, int], Hint] = {}
    for kind, pattern in _OBJECTS:
        for match in pattern.finditer(rest):
            hint = _object(kind, match.end(), text, rest)
            if hint is None:
                continue
            # "search for cats" is read as "for cats" too: of two with one end, the shorter is meant.
            known = found.get((kind, hint.end))
            if known is None or (known.start < hint.start and kind != "said"):
                found[kind, hint.end] = hint
    statements = (Hint("sql", match[0].strip(), *match.span()) for match in _SQL.finditer(text))
    return [*found.values(), *statements]


def _object(kind: str, start: int, text: str, rest: str) -> Hint | None:
    end = _OBJECT_END.search(rest, start, start + 600)
    stop = end.start() if end else min(len(rest), start + 600)
    if kind == "search" and (preamble := _PREAMBLE.match(text, start, stop)):
        start = preamble.end()
    value = _trimmed(kind, text[start:stop], rest[start:stop])
    if not value or value[0] in "\"'`\u201c\u201d\u201e\u00ab\u00bb\u2018\u201a\u2039" or value[0] == BLANK:
        return None  # a quoted string is a hint already
    if value.lower() in _PRONOUNS:
        return None
    if kind == "run" and value.lower().split()[0] in _NOT_A_COMMAND:
        return None
    return Hint(kind, value, start, start + len(value))


def _trimmed(kind: str, value: str, rest: str) -> str:
    """Without what is said of how, where or to whom."""
    if kind == "named" and (end := _NAMED_END.search(rest)):
        value = value[: end.start()]
    if kind == "said" and (end := _TRANSLATED_END.search(value)) and end[0].split()[-1].lower() in LANGUAGES:
        value = value[: end.start()]
    if kind == "search" and (end := re.search(r"\s(?:in|on|from|at|inside)\s\x00+$", rest)):
        value = value[: end.start()]
    return _POLITE.sub("", value.rstrip(" .,!?")).strip()
