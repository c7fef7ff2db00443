"""TOML text with line numbers: the values by tomllib, where each key stands by a small scanner.

tomllib gives values without positions, and a message about a setting is worth little without its line.
Imports nothing of this package but the error tree.
"""

import itertools
import json
import re
import tomllib
from bisect import bisect_left
from collections import Counter
from typing import Any, TypeAlias

from dragoman.errors import ConfigError

__all__ = ["KeyPath", "LineNumbers", "dotted", "parse_toml"]

KeyPath: TypeAlias = tuple[str | int, ...]  # ("models", "my-alias", "targets", 0)

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_STRING = r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\''
_TEXT = re.compile(_STRING, re.DOTALL)
_KEY_PART = re.compile(rf"[ \t]*({_STRING}|[A-Za-z0-9_-]+)[ \t]*(\.?)", re.DOTALL)
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_HEADER = re.compile(r"\[\[?")
_HEADER_END = re.compile(r"[ \t]*\]{1,2}")
_OPEN = re.compile(r"[\[{]")
_CLOSE = re.compile(r"[\]}]")
_COMMA = re.compile(r"(?:[ \t\n]|#[^\n]*)*,?")
_SCALAR = re.compile(r"[^,\]}#\n]*")  # number, boolean, date: what ends it is what it cannot hold
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_POSITION = re.compile(r" \((?:at line (\d+), column (\d+)|at end of document)\)$")

# How a message of tomllib begins -> what usually mends it. The wording is not a promise of Python's; one that
# is not found here gets the last remedy.
_REMEDIES = (
    ("Invalid value", "Put text in quotes, and write true and false in lower case."),
    ("Expected newline", "Put text in quotes, and each setting on its own line."),
    ("Expected '='", "Write name = value."),
    ("Expected ']'", "Close the table name with ]."),
    ("Illegal character", "Close the quotes on the line that opens them."),
    ("Unterminated string", "Close the quotes."),
    ("Expected", "Close the quotes."),
    ("Unclosed array", "Close the list with ] and put commas between its elements."),
    ("Unescaped '\\'", "Put a text that has a \\ in it in single quotes."),
    ("Invalid hex value", "Put a text that has a \\ in it in single quotes."),
    (
        "Invalid statement",
        'A line is name = value or [table]; a name outside A-Z, a-z, 0-9, - and _ needs "quotes".',
    ),
    ("Invalid initial character", 'A name outside A-Z, a-z, 0-9, - and _ needs "quotes".'),
)
_LAST_REMEDY = "See https://toml.io for the format."
_REPEATED = ("Cannot overwrite", "Cannot declare", "Duplicate inline table key", "Cannot mutate")


class LineNumbers:
    """Where the keys of a TOML text stand, counted from 1."""

    def __init__(self, found: list[tuple[KeyPath, int]]) -> None:
        self._written: dict[KeyPath, int] = {}
        self._implied: dict[KeyPath, int] = {}  # `a` and `a.b` of a line `[a.b.c]`
        for path, line in found:
            self._written.setdefault(path, line)
            for length in range(1, len(path)):
                self._implied.setdefault(path[:length], line)

    def of(self, path: KeyPath) -> int:
        """The line of `path`, or of the nearest table around it; 1 when the text names none of them."""
        for length in range(len(path), 0, -1):
            line = self._written.get(path[:length]) or self._implied.get(path[:length])
            if line is not None:
                return line
        return 1


def parse_toml(text: str, name: str) -> tuple[dict[str, Any], LineNumbers]:
    """The values of `text` and where they stand; `name` is the file's name in messages.

    Raises ConfigError with file, line, column and remedy when the text is not TOML.
    """
    text = text.replace("\r\n", "\n")
    try:
        return tomllib.loads(text), LineNumbers(_Scanner(text).scan())
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}:{_explain(str(error), text)}") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: lists or tables are nested too deep. No setting needs more than two.") from error
    except ValueError as error:  # int() of more than 4300 digits, which tomllib lets through
        raise ConfigError(f"{name}: a number is too long to read. Shorten it.") from error


def dotted(path: KeyPath) -> str:
    """`path` as one would write it in the file: `models."gpt 4".targets[0]`."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
            continue
        quoted = part if _BARE_KEY.fullmatch(part) else json.dumps(part)  # which escapes as TOML does
        written += f".{quoted}" if written else quoted
    return written


def _explain(error: str, text: str) -> str:
    """`LINE:COLUMN: what is wrong. Remedy.` out of tomllib's message."""
    position = _POSITION.search(error)
    if position is None or position[1] is None:  # the end of the text
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    else:
        line, column = int(position[1]), int(position[2])
    what = error[: position.start()] if position else error
    if what.startswith(_REPEATED):
        return f"{line}:{column}: {_explain_repeated(text, line, column)}"
    remedy = next((remedy for start, remedy in _REMEDIES if what.startswith(start)), _LAST_REMEDY)
    return f"{line}:{column}: this is not TOML: {what}. {remedy}"


def _explain_repeated(text: str, line: int, column: int) -> str:
    """tomllib stops right after the second one, so it is the last key of the text up to there."""
    start_of_line = sum(len(each) + 1 for each in text.split("\n")[: line - 1])
    *before, (path, _) = _Scanner(text[: start_of_line + column - 1]).scan() or [((), line)]
    first = next((number for earlier, number in before if earlier == path), None)
    where = f" (first on line {first})" if first else ""
    return f"{dotted(path)}: set a second time{where}. Keep one of the two."


class _Scanner:
    """Finds the keys of valid TOML, or of the beginning of one; on anything else it stops where it is."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._found: list[tuple[KeyPath, int]] = []
        self._rows: Counter[KeyPath] = Counter()  # how many tables [[path]] there were
        self._line_ends = [match.start() for match in re.finditer("\n", text)]

    def scan(self) -> list[tuple[KeyPath, int]]:
        """Each key, table and list element with its line, in the order of the text."""
        table: KeyPath = ()
        self._take(_BLANK)
        while self._at < len(self._text):
            start = self._at
            if header := self._take(_HEADER):
                table = self._key(())
                if header[0] == "[[":
                    self._rows[table] += 1
                    table = (*table, self._rows[table] - 1)
                self._note(table, start)
                self._take(_HEADER_END)
            else:
                self._pair(table)
            self._take(_BLANK)
            if self._at == start:
                break
        return self._found

    def _pair(self, table: KeyPath) -> None:
        start = self._at
        path = self._key(table)
        if path != table:
            self._note(path, start)
            self._take(_EQUALS)
            self._value(path)

    def _key(self, path: KeyPath) -> KeyPath:
        while part := self._take(_KEY_PART):
            path = (*path, _unquote(part[1]))
            if not part[2]:
                break
        return path

    def _value(self, path: KeyPath) -> None:
        if self._take(_TEXT):
            return
        if bracket := self._take(_OPEN):
            self._items(path, is_list=bracket[0] == "[")
        else:
            self._take(_SCALAR)

    def _items(self, path: KeyPath, *, is_list: bool) -> None:
        for index in itertools.count():
            self._take(_BLANK)
            start = self._at
            if start >= len(self._text) or self._take(_CLOSE):
                return
            if is_list:
                self._note((*path, index), start)
                self._value((*path, index))
            else:
                self._pair(path)
            self._take(_COMMA)
            if self._at == start:
                return

    def _note(self, path: KeyPath, at: int) -> None:
        self._found.append((path, bisect_left(self._line_ends, at) + 1))

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()
        return match


def _unquote(key: str) -> str:
    if key[0] not in "\"'":
        return key
    try:
        value: str = tomllib.loads(f"key = {key}")["key"]
    except tomllib.TOMLDecodeError:  # only in text that is not TOML, where no key can be said
        return key
    return value
