"""What a hint is, and what it is worth to a parameter. Imports nothing of this package."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["BLANK", "STRONG", "Candidate", "Hint", "blank"]

STRONG = 60  # a score from which on the user can be said to have meant this parameter


@dataclass(frozen=True, slots=True)
class Hint:
    """Something in a text that could be a value. `start` and `end` are where it stands, its quotes included."""

    kind: str  # "path", "number", "place" ...: the readers of this folder give them
    text: str  # as the user wrote it, without quotes
    start: int
    end: int
    before: tuple[str, ...] = ()  # stems of the last two words before it that say something
    after: str = ""  # stem of the word behind it
    lead: str = ""  # the word right before it
    key: str = ""  # of a pair: "city" in "city: Tokyo"
    number: int | float | None = None
    is_context: bool = False  # said elsewhere: it counts for less


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value for one parameter, and how well it fits (see STRONG)."""

    score: int
    value: object
    kind: str
    start: int
    end: int


BLANK = "\x00"  # neither a word nor space, and in no pattern


def blank(text: str, hints: Iterable[Hint]) -> str:
    """The text with these hints' places made BLANK, so that nothing else is read there."""
    characters = list(text)
    for hint in hints:
        characters[hint.start : hint.end] = BLANK * (hint.end - hint.start)
    return "".join(characters)
