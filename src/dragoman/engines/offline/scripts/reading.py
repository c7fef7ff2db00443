"""Reads a script table by table: hands out checked values, and collects everything that is wrong.

Knows no setting. A problem is told as `FILE:LINE: PATH: what is wrong. Remedy.`, like those of the configuration.
Imports the error tree and this folder only.
"""

import difflib
import json
import math
import re
import tomllib
from collections.abc import Sequence
from typing import Any

from dragoman.errors import ConfigError

from .lines import KeyPath, Lines

__all__ = ["Refused", "Sheet", "Table"]

LONGEST_SHOWN = 60  # characters of a value
MOST_TOLD = 30  # problems
POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Refused(ValueError):
    """A value that is not taken: what is wrong with it, and what to do, a sentence."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class Sheet:
    """One file and the problems found in it so far. Raises ConfigError at once when it is not TOML."""

    def __init__(self, text: str, *, source: str) -> None:
        self._source = source
        self._lines = Lines(text)
        self._problems: list[tuple[KeyPath, str]] = []
        self.values = self._parsed(text)

    def _parsed(self, text: str) -> dict[str, Any]:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{self._source}:{_explained(str(error), text)}") from error
        except ValueError as error:  # int() of more than 4300 digits, which tomllib lets through
            raise ConfigError(f"{self._source}: a number is too long to read. Shorten it.") from error

    def note(self, path: KeyPath, what: str, remedy: str) -> None:
        self._problems.append((path, f"{dotted(path)}: {what}. {remedy}"))

    def raise_problems(self) -> None:
        """Raises ConfigError with every problem, one a line, in the order of the file."""
        if not self._problems:
            return
        told = sorted(((self._lines.of(path), what) for path, what in self._problems[:MOST_TOLD]), key=lambda t: t[0])
        messages = [f"{self._source}:{line}: {what}" for line, what in told]
        if len(self._problems) > MOST_TOLD:
            messages.append(f"{self._source}: and {len(self._problems) - MOST_TOLD} problems more.")
        raise ConfigError("\n".join(messages))


class Table:
    """One table of the sheet. What was asked for is known; `close` takes down what nobody asked for.

    A value that is missing or wrong is None, the latter with a problem noted.
    """

    def __init__(self, sheet: Sheet, path: KeyPath, values: dict[str, Any]) -> None:
        self.sheet = sheet
        self.path = path
        self.values = values
        self._known: dict[str, None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def note(self, name: str | None, what: str, remedy: str) -> None:
        """A problem with the value of `name`, or with the table itself."""
        self.sheet.note(self.path if name is None else (*self.path, name), what, remedy)

    def refuse(self, name: str, what: str, remedy: str) -> None:
        """A problem that begins with the value itself: `"often" is no count`."""
        self.note(name, f"{shown(self.values.get(name))} {what}", remedy)

    def value(self, name: str) -> Any:
        """The value, unchecked."""
        self._known[name] = None
        return self.values.get(name)

    def text(self, name: str) -> str | None:
        value = self.value(name)
        if value is None or isinstance(value, str):
            return value
        self.refuse(name, "is no text", "Put it in quotes.")
        return None

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A text, or a list of texts that is not empty."""
        value = self.value(name)
        given = value if isinstance(value, list) else [value]
        if value is None or (given and all(isinstance(each, str) for each in given)):
            return None if value is None else tuple(given)
        self.refuse(name, "is no text and no list of texts", "Put each text in quotes.")
        return None

    def flag(self, name: str) -> bool | None:
        value = self.value(name)
        if value is None or isinstance(value, bool):
            return value
        self.refuse(name, "is neither true nor false", "Write true or false, without quotes.")
        return None

    def whole(self, name: str, *, least: int, most: int) -> int | None:
        value = self.value(name)
        if value is None or (type(value) is int and least <= value <= most):
            return value
        self.refuse(name, f"is not a whole number from {least} to {most}", "Write one, without quotes.")
        return None

    def number(self, name: str, *, most: float, may_be_zero: bool) -> float | None:
        """A finite number up to `most`, not below zero."""
        value = self.value(name)
        if value is None:
            return None
        is_number = type(value) in (int, float) and math.isfinite(value)
        if is_number and value <= most and (value > 0 or (may_be_zero and value == 0)):
            return float(value)
        least = "from 0" if may_be_zero else "above 0 and"
        self.refuse(name, f"is not a number {least} to {most:,.0f}", "Write one, without quotes.")
        return None

    def choice(self, name: str, options: Sequence[str]) -> str | None:
        value = self.value(name)
        if value is None or (isinstance(value, str) and value in options):
            return value
        self.refuse(name, "is not known here", f"Write one of {', '.join(options)}.")
        return None

    def table(self, name: str) -> "Table | None":
        value = self.value(name)
        if value is None:
            return None
        if isinstance(value, dict):
            return Table(self.sheet, (*self.path, name), value)
        self.refuse(name, "is no table", f"Write {name} = {{ ... }}, or a table of its own below.")
        return None

    def tables(self, name: str) -> "list[Table]":
        """A list of tables; empty when it is missing or wrong."""
        value = self.value(name)
        if value is None:
            return []
        if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            return [Table(self.sheet, (*self.path, name, at), each) for at, each in enumerate(value)]
        self.refuse(name, "is no list of tables", f"Write {name} = [{{ ... }}].")
        return []

    def exclusive(self, *names: str) -> None:
        """Notes the second of these that is there: only one may be."""
        given = [name for name in names if name in self.values]
        if len(given) > 1:
            self.note(given[1], f"it cannot stand together with `{given[0]}`", "Keep one of the two.")

    def close(self) -> None:
        """Note every value that nobody asked for."""
        for name in self.values:
            if name not in self._known:
                near = difflib.get_close_matches(name, self._known, n=1)
                known = f"Known here: {', '.join(sorted(self._known))}."
                self.note(name, "there is no such setting here", f'Did you mean "{near[0]}"?' if near else known)


def dotted(path: KeyPath) -> str:
    """`path` as one would write it in the file: `rule[0].header."x y"`."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
            continue
        quoted = part if BARE_KEY.fullmatch(part) else json.dumps(part)
        written += f".{quoted}" if written else quoted
    return written


def shown(value: object) -> str:
    """The value as in the file, more or less, its end cut off where it is long."""
    written = json.dumps(value, ensure_ascii=False, default=str)
    return written if len(written) <= LONGEST_SHOWN else f"{written[:LONGEST_SHOWN]}..."


def _explained(error: str, text: str) -> str:
    """`LINE:COLUMN: what is wrong. Remedy.` out of tomllib's message."""
    found = POSITION.search(error)
    what = error[: found.start()] if found else error
    line, column = (found[1], found[2]) if found and found[1] else (text.count("\n") + 1, 1)
    remedy = "Put text in quotes, one with a \\ in single quotes, and keep { ... } on one line; see https://toml.io."
    return f"{line}:{column}: this is not TOML: {what}. {remedy}"
