"""Docstrings: what a function does, and what its parameters mean. Pure.

Four styles are known: reST (`:param x:`), Google (`Args:`), NumPy (underlined headings) and Epydoc (`@param x:`). The
one that finds the most entries in a text is taken to be its style; sections about anything but parameters are left out.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from inspect import cleandoc
from textwrap import dedent
from typing import NamedTuple

__all__ = ["Docstring", "read_docstring"]


class Docstring(NamedTuple):
    description: str  # "" where there is none
    parameters: dict[str, str]  # the first that is said about each
    entries: int = 0  # parameters, results, errors and so on that were found


class Broken(Exception):
    """The text is not of this style."""


def read_docstring(text: str | None) -> Docstring:
    """Never fails: a text of no known style is all description."""
    if not text or not text.strip():
        return Docstring("", {})
    clean = cleandoc(text)
    return max(_readings(clean), key=lambda docstring: docstring.entries)


def _readings(text: str) -> Iterator[Docstring]:
    for style in (_rest, _google, _numpy, _epydoc):
        with suppress(Broken):
            yield style(text)


def _split_at(text: str, heading: re.Pattern[str]) -> tuple[str, str]:
    """What stands before the first heading, as a description, and the rest."""
    match = heading.search(text)
    end = match.start() if match is not None else len(text)
    first, _, more = text[:end].partition("\n")
    more = more.strip()
    if not first:  # the text begins with a heading
        return "", text[end:]
    return f"{first}\n\n{more}" if more else first, text[end:]


def _parts(text: str, heading: re.Pattern[str]) -> Iterator[tuple[re.Match[str], str]]:
    """Each heading, and what stands below it."""
    headings = list(heading.finditer(text))
    for number, each in enumerate(headings, 1):
        end = headings[number].start() if number < len(headings) else len(text)
        yield each, text[each.end() : end]


class _Found:
    """Entries as they are met."""

    def __init__(self) -> None:
        self.parameters: dict[str, str] = {}
        self.entries = 0

    def add(self, name: str | None = None, about: str | None = None) -> None:
        self.entries += 1
        if name is not None and about:
            self.parameters.setdefault(name, about)

    def beside(self, description: str) -> Docstring:
        return Docstring(description, self.parameters, self.entries)


def _unindented(text: str) -> str:
    """Lines after the first lose the indentation that they share."""
    first, _, more = text.partition("\n")
    return f"{first}\n{cleandoc(more)}" if more else first


# -- reST --

PARAMETER_WORDS = frozenset({"param", "parameter", "arg", "argument", "attribute", "key", "keyword"})
RESULT_WORDS = frozenset({"return", "returns", "yield", "yields"})
ERROR_WORDS = frozenset({"raises", "raise", "except", "exception"})


def _rest(text: str) -> Docstring:
    description, fields = _split_at(text, re.compile("^:", re.MULTILINE))
    found = _Found()
    has_result = False
    result_types: set[tuple[str, ...]] = set()
    for chunk in _chunks(fields, ":"):
        head, colon, about = chunk.lstrip(":").partition(":")
        word, *names = head.split() or [""]
        if not colon or not word:
            raise Broken
        if word == "rtype" and len(names) <= 1:
            result_types.add(tuple(names))
        elif word in PARAMETER_WORDS:
            if len(names) not in (1, 2):
                raise Broken
            found.add(names[-1], _unindented(about.strip()))  # a type may stand before the name
        elif not (word == "type" and len(names) == 1):
            if word in RESULT_WORDS | ERROR_WORDS and len(names) > 1:
                raise Broken
            has_result |= word in RESULT_WORDS
            found.add()
    for _ in () if has_result else result_types:
        found.add()
    return found.beside(description)


def _chunks(text: str, mark: str) -> Iterator[str]:
    """The parts that begin with this mark at the beginning of a line."""
    for match in re.finditer(rf"(^{mark}.*?)(?=^{mark}|\Z)", text, re.DOTALL | re.MULTILINE):
        yield match.group(0)


# -- Google --

GOOGLE_PARAMETERS = frozenset({"Arguments", "Args", "Parameters", "Params", "Attributes"})
GOOGLE_LISTS = GOOGLE_PARAMETERS | {"Raises", "Exceptions", "Except"}
GOOGLE_TEXTS = frozenset({"Example", "Examples", "Returns", "Yields"})
GOOGLE_HEADING = re.compile(rf"^({'|'.join(sorted(GOOGLE_LISTS | GOOGLE_TEXTS))}):[ \t\r\f\v]*$", re.MULTILINE)
GOOGLE_TYPED = re.compile(r"\s*(.+?)\s*\(\s*(.*[^\s]+)\s*\)")


def _google(text: str) -> Docstring:
    description, sections = _split_at(text, GOOGLE_HEADING)
    found = _Found()
    for title, body in _google_sections(sections).items():
        if title in GOOGLE_TEXTS:
            found.add()
            continue
        for item in _google_items(body):
            head, colon, about = item.partition(":")
            if not colon:
                raise Broken
            first, _, more = head.partition("\n")
            name = first + cleandoc(more)
            typed = GOOGLE_TYPED.match(name)
            told = _unindented(about.removeprefix(" ")).strip("\n")
            if title in GOOGLE_PARAMETERS:
                found.add(typed.group(1) if typed is not None else name, told)
            else:
                found.add()
    return found.beside(description)


def _google_sections(text: str) -> dict[str, str]:
    """Bodies by their titles; a later one of the same title takes an earlier one's place."""
    sections: dict[str, str] = {}
    for heading, body in _parts(text, GOOGLE_HEADING):
        unindented = re.search(r"\n\S", body)  # a section that is not known here
        sections[heading.group(1)] = (body if unindented is None else body[: unindented.start()]).strip("\n")
    return sections


def _google_items(body: str) -> list[str]:
    """Each begins on a line that is indented as the first is, and has deeper ones below it."""
    indent = body[: len(body) - len(body.lstrip())]
    items = [item.strip("\n") for _, item in _parts(body, re.compile(rf"^{indent}(?=\S)", re.MULTILINE))]
    if not items:
        raise Broken
    return items


# -- NumPy --

NUMPY_PARAMETERS = (
    *("Parameters", "Params", "Arguments", "Args"),
    *("Other Parameters", "Other Params", "Other Arguments", "Other Args"),
    *("Receives", "Receive", "Attributes", "Attribute"),
)
NUMPY_LISTS = ("Raises", "Raise", "Warns", "Warn", "Returns", "Return", "Yields", "Yield")
NUMPY_EXAMPLES = ("Examples", "Example")
NUMPY_TEXTS = ("Warnings", "Warning", "See Also", "Related", "Notes", "Note", "References", "Reference")
NUMPY_HEADING = re.compile(
    "|".join(
        [
            *(
                rf"^({t})\s*?\n{'-' * len(t)}\s*$"
                for t in (*NUMPY_PARAMETERS, *NUMPY_LISTS, *NUMPY_EXAMPLES, *NUMPY_TEXTS)
            ),
            r"^\.\.\s*(deprecated)\s*::",
        ]
    ),
    re.MULTILINE,
)
NUMPY_ITEM = re.compile(r"^[^\s].*$", re.MULTILINE)
NUMPY_TYPE = re.compile(r"\s*:.*$")


def _numpy(text: str) -> Docstring:
    description, sections = _split_at(text, NUMPY_HEADING)
    found = _Found()
    for heading, body in _parts(sections, NUMPY_HEADING):
        title = next(group for group in heading.groups() if group is not None)
        if title in NUMPY_PARAMETERS or title in NUMPY_LISTS:
            for head, about in _numpy_items(body):
                found.add(NUMPY_TYPE.sub("", head, count=1) if title in NUMPY_PARAMETERS else None, about)
        elif title in NUMPY_EXAMPLES:
            for _ in range(_numpy_examples(body)):
                found.add()
        else:
            found.add()
    return found.beside(description)


def _numpy_items(body: str) -> Iterator[tuple[str, str]]:
    for head, about in _parts(body, NUMPY_ITEM):
        yield head.group(), cleandoc(about).strip()


def _numpy_examples(body: str) -> int:
    """How many: each is code and what follows it."""
    lines = dedent(body).strip().splitlines()
    codes = [line.startswith(">>>") for line in lines]
    begins = sum(is_code and (number == 0 or not codes[number - 1]) for number, is_code in enumerate(codes))
    return begins + bool(codes and not codes[0])


# -- Epydoc --

EPYDOC_TAG = re.compile(r"@(\w+)((?:\s+\w+\??)*):")
EPYDOC_PARAMETERS = frozenset({"param", "keyword", "type", "ivar", "cvar", "var"})
EPYDOC_RESULTS = frozenset({"return", "rtype", "yield", "ytype"})


def _epydoc(text: str) -> Docstring:
    description, tags = _split_at(text, re.compile("^@", re.MULTILINE))
    found = _Found()
    names: set[str] = set()
    told: dict[str, str] = {}
    for chunk in _chunks(tags, "@"):
        tag = EPYDOC_TAG.match(chunk)
        if tag is None:
            raise Broken
        word, rest = tag.group(1), tag.group(2).split()
        about = _unindented(chunk[tag.end() :].strip())
        if word in EPYDOC_PARAMETERS:
            if len(rest) != 1:
                raise Broken
            names.add(rest[0])
            if word != "type":
                told[rest[0]] = about  # the last that is said
        elif word in EPYDOC_RESULTS:
            names.add(" return")
        else:
            found.add()
    found.entries += len(names)
    for name, about in told.items():
        if about:
            found.parameters[name] = about
    return found.beside(description)
