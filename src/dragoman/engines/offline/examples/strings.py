"""Strings made to order: of a format, matching a regular expression, of a length. Pure; imports nothing of ours.

`variant` picks another string of the same kind: 0 is the plainest, and different numbers give different strings for
as long as there are any.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any

__all__ = [
    "FILLER",
    "MAX_STRING",
    "MORE_CHARACTERS",
    "PRINTABLE",
    "format_sample",
    "padded",
    "parsed",
    "pattern_sample",
]

MAX_STRING = 10_000  # characters: what no schema makes longer
MAX_PATTERN = 2_000  # characters of a regular expression that is read
FILLER = "abcdefghijklmnopqrstuvwxyz"

# Formats of JSON Schema 2020-12, validation, section 7.3. Domains and addresses are those kept for examples (RFC 2606,
# 3849, 5737), so that a call made with them reaches nobody.
_FORMATS: dict[str, Callable[[int], str]] = {
    "date-time": lambda n: f"2025-01-{n % 28 + 1:02}T09:{n // 28 % 60:02}:00Z",
    "date": lambda n: f"{2025 + n // 336 % 900}-{n // 28 % 12 + 1:02}-{n % 28 + 1:02}",
    "time": lambda n: f"{(9 + n // 60) % 24:02}:{n % 60:02}:00Z",
    "duration": lambda n: f"PT{n + 1}H",
    "email": lambda n: f"user{n or ''}@example.com",
    "idn-email": lambda n: f"user{n or ''}@example.com",
    "hostname": lambda n: f"host{n}.example.com" if n else "example.com",
    "idn-hostname": lambda n: f"host{n}.example.com" if n else "example.com",
    "ipv4": lambda n: f"192.0.2.{n % 254 + 1}",
    "ipv6": lambda n: f"2001:db8::{n + 1:x}",
    "uri": lambda n: f"https://example.com/{n or ''}",
    "uri-reference": lambda n: f"https://example.com/{n or ''}",
    "iri": lambda n: f"https://example.com/{n or ''}",
    "iri-reference": lambda n: f"https://example.com/{n or ''}",
    "uri-template": lambda n: f"https://example.com/{n or ''}",
    "url": lambda n: f"https://example.com/{n or ''}",
    "uuid": lambda n: f"00000000-0000-4000-8000-{n:012x}",
    "json-pointer": lambda n: f"/{n}",
    "relative-json-pointer": lambda n: f"{n}",
    "regex": lambda n: "a" * (n % 50 + 1),
}
# Where a string of these formats may be made longer: the rest has one length, or none to choose.
_LENGTHENED: dict[str, Callable[[str, str], str]] = {
    "email": lambda value, more: more[:50] + value,
    "idn-email": lambda value, more: more[:50] + value,
    "hostname": lambda value, more: f"{more[:50]}.{value}" if len(more) > 1 else value,
    **dict.fromkeys(
        ("uri", "uri-reference", "iri", "iri-reference", "uri-template", "url", "json-pointer", "regex"),
        lambda value, more: value + more,
    ),
}


def format_sample(name: str, variant: int, min_length: int = 0) -> str | None:
    """A string of the format `name`; None for a format that nobody asserts."""
    make = _FORMATS.get(name)
    if make is None:
        return None
    value = make(variant)
    missing = min(min_length, MAX_STRING) - len(value)
    if missing > 0 and name in _LENGTHENED:
        return _LENGTHENED[name](value, "a" * missing)
    return value


def padded(text: str, min_length: int, max_length: int | None) -> str:
    """`text` cut or lengthened to fit, never above MAX_STRING."""
    limit = MAX_STRING if max_length is None else min(max_length, MAX_STRING)
    missing = min(min_length, limit) - len(text)
    if missing > 0:
        text += (FILLER * (missing // len(FILLER) + 1))[:missing]
    return text[:limit]


def pattern_sample(pattern: str, variant: int, min_length: int = 0, *, is_new: bool = False) -> str | None:
    """A string that matches the ECMA 262 expression `pattern`; None when it cannot be read.

    With `is_new` also None where it would be the string of a smaller variant, as there are no more.

    Looks ahead and behind are not obeyed, so the result must be checked. Nothing is ever matched here: running a
    client's expression in Python could take for ever.
    """
    operations = parsed(pattern)
    if operations is None:
        return None
    writer = _Writer(variant, min_length)
    try:
        text = writer.write(operations)
    except (_TooLong, RecursionError):
        return None
    if is_new and writer.left:
        return None
    if len(text) < min_length and not pattern.endswith("$"):
        text = padded(text, min_length, None)
    return text if _is_text(text) else None


def parsed(pattern: str) -> Any | None:
    """The operations of an ECMA 262 expression, as Python's `re` parses them; None when they cannot be read."""
    if len(pattern) > MAX_PATTERN:
        return None
    try:
        return sre_parser.parse(_as_python(pattern))
    except (re.error, RecursionError, OverflowError):
        return None


def _as_python(pattern: str) -> str:
    """ECMA 262 as Python's `re` spells it; what has no counterpart becomes something narrower."""
    pattern = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", pattern).replace("[^]", r"[\s\S]")
    written: list[str] = []
    in_set = False
    for piece in _PIECES.findall(pattern):
        if piece.startswith("\\"):
            written.append(_escape(piece, in_set=in_set))
            continue
        if in_set and piece in "[-&|~" and (piece == "[" or written[-1] == piece):
            written.append("\\")  # Python would warn that these may one day mean set operations
        written.append(piece)
        in_set = piece == "[" or (in_set and piece != "]")
    return "".join(written)


# One character, or one escape.
_PIECES = re.compile(r"\\(?:[pP]\{[^}]*\}|u\{[0-9A-Fa-f]{1,6}\}|k<\w+>|.)|.", re.DOTALL)


def _escape(piece: str, *, in_set: bool) -> str:
    if piece.startswith(("\\p{", "\\P{")):
        characters = _property(piece)
        return characters if in_set else f"[{characters}]"
    if piece.startswith("\\u{"):
        return f"\\U{piece[3:-1]:0>8}"
    if piece.startswith("\\k<"):
        return f"(?P={piece[3:-1]})"
    return piece


def _property(piece: str) -> str:
    """Some characters that have a property of Unicode, or have it not."""
    name = re.split(r"[=:]", piece[3:-1])[-1]
    if piece.startswith("\\P"):
        return "0-9" if name[:1] != "N" else "a-zA-Z"
    return _PROPERTIES.get(name) or _PROPERTIES.get(name[:1]) or "a-zA-Z"


# As parts of sets. General categories by their long and short names, and the scripts of most readers.
_PROPERTIES = {
    "Lu": "A-Z", "Uppercase": "A-Z", "Uppercase_Letter": "A-Z", "Ll": "a-z", "Lowercase": "a-z",
    "Lowercase_Letter": "a-z", "Letter": "a-zA-Z", "L": "a-zA-Z", "N": "0-9", "P": "!,.:;?", "S": "+<=>|~", "Z": " ",
    "Symbol": "+<=>|~", "Sc": "$", "Sm": "+<=>", "Sk": "`^", "So": "©®", "Pd": "\\-", "Pc": "_", "Ps": "(", "Pe": ")",
    "Script": "a-zA-Z", "Lo": "ªº", "Lt": "ǅǈ", "Lm": "ʰʱ", "M": "\u0300\u0301", "Cc": "\\t", "C": "\\t",
    "Latin": "a-zA-Z", "Latn": "a-zA-Z", "Han": "一丁", "Hani": "一丁", "Hiragana": "あい", "Katakana": "アイ",
    "Hangul": "가각", "Cyrillic": "бвг", "Cyrl": "бвг", "Greek": "αβγ", "Grek": "αβγ", "Arabic": "ابت", "Hebrew": "אבג",
    "Emoji": "😀😁", "Emoji_Presentation": "😀😁", "Extended_Pictographic": "😀😁",
}  # fmt: skip


def _is_text(text: str) -> bool:
    """Lone surrogates cannot be sent as JSON."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


class _TooLong(Exception):
    """The expression asks for more than MAX_STRING characters."""


_CATEGORIES = {
    sre.CATEGORY_DIGIT: "0123456789",
    sre.CATEGORY_NOT_DIGIT: FILLER,
    sre.CATEGORY_SPACE: " \t",
    sre.CATEGORY_NOT_SPACE: FILLER,
    sre.CATEGORY_WORD: FILLER + "0123456789_",
    sre.CATEGORY_NOT_WORD: " -.",
}
PRINTABLE = FILLER + FILLER.upper() + "0123456789 _-.,:;/+*=#@!?%&()<>[]{}'\"\\|~^$`"
# For sets that hold nothing of the above: letters of several scripts, signs, one beyond 16 bits, white space, controls.
MORE_CHARACTERS = "äßéñøЖλא日本语ひ한€→✓😀\u00a0\u3000\t\n\r\x00\x01\x1f\x7f\x80"
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)


class _Writer:
    """Writes one string that a parsed expression matches."""

    def __init__(self, variant: int, min_length: int) -> None:
        self.left = variant  # what is not spent yet
        self._extra = min(min_length, MAX_STRING)  # characters that repeats may still add beyond the fewest
        self._groups: dict[int, str] = {}
        self._written = 0

    def write(self, operations: Any) -> str:
        self._extra = max(0, self._extra - operations.getwidth()[0])
        return self._sequence(operations)

    def _sequence(self, operations: Any) -> str:
        return "".join(self._one(operation, argument) for operation, argument in operations)

    def _one(self, operation: Any, argument: Any) -> str:
        if operation is sre.LITERAL:
            return self._character([chr(argument)])
        if operation is sre.NOT_LITERAL:
            return self._character([character for character in PRINTABLE if ord(character) != argument])
        if operation is sre.ANY:
            return self._character(PRINTABLE)
        if operation is sre.IN:
            return self._character(_members(argument))
        if operation in _REPEATS:
            return self._repeat(*argument)
        if operation is sre.BRANCH:
            return self._sequence(self._choose(argument[1]))
        if operation is sre.SUBPATTERN:
            text = self._sequence(argument[3])
            if argument[0] is not None:
                self._groups[argument[0]] = text
            return text
        if operation is sre.ATOMIC_GROUP:
            return self._sequence(argument)
        if operation is sre.GROUPREF:
            return self._groups.get(argument, "")
        return ""  # anchors, and looks ahead and behind: they have no width

    def _repeat(self, fewest: int, most: int, operations: Any) -> str:
        parts = []
        for _ in range(int(fewest)):
            parts.append(self._sequence(operations))
            if not parts[-1]:
                break  # repeating nothing
        while self._extra > 0 and len(parts) < int(most):
            parts.append(self._sequence(operations))
            if not parts[-1]:
                break
            self._extra -= len(parts[-1])
        return "".join(parts)

    def _character(self, allowed: Sequence[str]) -> str:
        self._written += 1
        if self._written > MAX_STRING:
            raise _TooLong
        return self._choose(allowed) if allowed else ""

    def _choose(self, options: Sequence[Any]) -> Any:
        """Spends the variant like the digits of a number, so that each gives another string."""
        self.left, index = divmod(self.left, len(options))
        return options[index]


def _members(items: Any) -> list[str]:
    """Some characters of a set, in its own order; at most 64 of a range."""
    found: list[str] = []
    for operation, argument in items:
        if operation is sre.LITERAL:
            found.append(chr(argument))
        elif operation is sre.RANGE:
            found += [chr(code) for code in range(argument[0], min(argument[1], argument[0] + 63) + 1)]
        elif operation is sre.CATEGORY:
            found += _CATEGORIES.get(argument, "")
    if not items or items[0][0] is not sre.NEGATE:
        return found
    return [character for character in PRINTABLE if not _excludes(items, character)] or [
        character for character in (*MORE_CHARACTERS, *_behind(items)) if not _excludes(items, character)
    ]


def _behind(items: Any) -> Iterator[str]:
    """The characters next to what a negated set names: one of them is in it, if any is."""
    for operation, argument in items[1:]:
        if operation is sre.LITERAL or operation is sre.RANGE:
            low, high = (argument, argument) if operation is sre.LITERAL else argument
            yield from (chr(code) for code in (low - 1, high + 1) if 0 <= code <= sys.maxunicode)


def _excludes(items: Any, character: str) -> bool:
    code = ord(character)
    for operation, argument in items[1:]:
        if operation is sre.LITERAL and argument == code:
            return True
        if operation is sre.RANGE and argument[0] <= code <= argument[1]:
            return True
        if operation is sre.CATEGORY and _in_category(argument, character):
            return True
    return False


def _in_category(category: Any, character: str) -> bool:
    wordlike = character.isalnum() or character == "_"
    return {
        sre.CATEGORY_DIGIT: character.isdigit(),
        sre.CATEGORY_NOT_DIGIT: not character.isdigit(),
        sre.CATEGORY_SPACE: character.isspace(),
        sre.CATEGORY_NOT_SPACE: not character.isspace(),
        sre.CATEGORY_WORD: wordlike,
        sre.CATEGORY_NOT_WORD: not wordlike,
    }.get(category, False)
