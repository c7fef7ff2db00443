"""Templates: `{{ name }}` in the texts of a reply, replaced by something of the request.

Only names are replaced: there is no code, no condition and no loop, and what was put in is not looked at again, so
a caller's text can do nothing in it; a library for templates would bring all that only to have it forbidden. Which
names there are is known when a script is loaded, and a wrong one is found there. Imports this folder only.
"""

import datetime
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from .reading import Refused

__all__ = ["PLACEHOLDERS", "Known", "Lookup", "Template", "Tree", "compiled", "literal", "rendered", "rendered_text"]

INSERTED_CHARACTERS = 10_000  # of one value: a reply is never longer than its script and a few of these
MOST_LEVELS = 100
OPEN = "{{"
PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
PART = re.compile(r"[A-Za-z0-9_-]+")

# First part of a name -> how many parts may follow (least, most).
PLACEHOLDERS: dict[str, tuple[int, int]] = {
    "call": (0, 0),
    "header": (1, 1),
    "match": (1, 1),
    "metadata": (1, 1),
    "model": (0, 0),
    "null": (0, 0),
    "rule": (0, 0),
    "state": (1, 1),
    "system": (0, 0),
    "text": (0, 0),
    "tool_input": (1, 20),
    "tool_result": (0, 1),
    "turn": (0, 0),
    "turn_text": (0, 0),
}

Lookup: TypeAlias = Callable[[tuple[str, ...]], Any]  # a name's value in one request; None where it has none


class Name(Struct, frozen=True):
    """What stands between `{{` and `}}`."""

    parts: tuple[str, ...]


class Template(Struct, frozen=True):
    """A text with at least one placeholder."""

    pieces: tuple[str | Name, ...]


Tree: TypeAlias = Any  # JSON of dicts, lists and scalars, in which a text may be a Template


class Known(Struct, frozen=True):
    """What a rule's templates may name, besides what every request has."""

    groups: frozenset[str] = frozenset()  # named groups of its regexes
    variables: frozenset[str] = frozenset()  # that some rule sets


def compiled(value: object, known: Known) -> Tree:
    """A value of TOML as JSON with its templates. Raises Refused: an unknown name, what JSON has not."""
    return _tree(value, partial(_template, known=known))


def literal(value: object) -> Tree:
    """A value of TOML as JSON, its texts as they are. Raises Refused for what JSON has not."""
    return _tree(value, lambda text: text)


def _tree(value: object, read: Callable[[str], Tree], depth: int = 0) -> Tree:
    if depth > MOST_LEVELS:
        raise Refused(f"it is nested deeper than {MOST_LEVELS} levels", "Nest less.")
    match value:
        case str():
            return read(value)
        case dict():
            return {key: _tree(item, read, depth + 1) for key, item in value.items()}
        case list():
            return [_tree(item, read, depth + 1) for item in value]
        case _:
            return _scalar(value)


def rendered(tree: Tree, lookup: Lookup) -> Any:
    """The JSON value. A text that is nothing but one placeholder becomes its value, be it a number or an object."""
    match tree:
        case Template(pieces=(Name(parts=parts),)):
            return _bounded(lookup(parts), is_null=parts == ("null",))
        case Template(pieces=pieces):
            return "".join(piece if isinstance(piece, str) else _as_text(lookup(piece.parts)) for piece in pieces)
        case dict():
            return {key: rendered(item, lookup) for key, item in tree.items()}
        case list():
            return [rendered(item, lookup) for item in tree]
        case _:
            return tree


def rendered_text(tree: Tree, lookup: Lookup) -> str:
    return _as_text(rendered(tree, lookup), limit=None)


def _bounded(value: Any, *, is_null: bool) -> Any:
    """The value itself where it is small; of a large one the beginning of its text."""
    if value is None:
        return None if is_null else ""
    if isinstance(value, bool | int | float):
        return value
    text = _as_text(value)
    return text if isinstance(value, str) or len(text) == INSERTED_CHARACTERS else value


def _as_text(value: Any, limit: int | None = INSERTED_CHARACTERS) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text[:limit]


def _scalar(value: object) -> Any:
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(f"JSON has no {value}", "Write a number, or the word as a text.")
    return value


def _template(text: str, known: Known) -> str | Template:
    pieces: list[str | Name] = []
    end = 0
    for found in PLACEHOLDER.finditer(text):
        pieces += [text[end : found.start()], _name(found[1].strip(), known)]
        end = found.end()
    rest = text[end:]
    if OPEN in rest:
        raise Refused("a `{{` is not closed", "Close it with `}}`, or set literal = true in this reply.")
    if not pieces:
        return text
    return Template(tuple(piece for piece in [*pieces, rest] if piece != ""))


def _name(written: str, known: Known) -> Name:
    parts = tuple(written.split("."))
    least, most = PLACEHOLDERS.get(parts[0], (0, -1))
    if not all(PART.fullmatch(part) for part in parts) or not least <= len(parts) - 1 <= most:
        names = ", ".join(name + ".NAME" * least for name, (least, _) in PLACEHOLDERS.items())
        remedy = f"Known: {names}. Set literal = true in this reply if it is no placeholder."
        raise Refused(f"there is nothing called `{written[:100]}` to put in", remedy)
    match parts:
        case ("match", group) if group not in known.groups:
            raise Refused(f"no regex of this rule has a group `{group}`", f"Write one as (?P<{group}>...).")
        case ("state", name) if name not in known.variables:
            raise Refused(f"no rule sets `{name}`", f"Set it in a rule: set = {{ {name} = ... }}.")
        case ("metadata", field) if field != "user_id":
            raise Refused(f"metadata has no `{field}`", "Write metadata.user_id.")
        case ("header", name):
            parts = ("header", name.lower())
    return Name(parts)
