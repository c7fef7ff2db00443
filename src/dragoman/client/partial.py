"""JSON that is still being written: what can be said of it so far, and whether it can still become JSON. Pure.

Unlike `wire/partial.py`, which makes the best of anything, this one refuses text that no JSON begins with: STR-55.
"""

import re
from typing import Any, NamedTuple

import msgspec

__all__ = ["Mark", "PartialJsonError", "WrittenJson", "partial_json"]

SPACE = re.compile(r"[ \t\n\r]*+")
# Inside a string: characters and whole escapes, a surrogate pair being one. Half of a pair is no JSON.
STRING = re.compile(
    r"""(?:[^"\\\x00-\x1f\ud800-\udfff]++|\\["\\/bfnrt]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}
    |\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+""",
    re.VERBOSE,
)
CUT_ESCAPE = re.compile(
    r"""(?:\\(?:u(?:(?![dD][89a-fA-F])[0-9a-fA-F]{0,3}|[dD](?:[89abAB][0-9a-fA-F]?)?
    |[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?)?)?)?\Z""",
    re.VERBOSE,
)
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
CUT_NUMBER = re.compile(r"-?(?:(?:0|[1-9][0-9]*+)(?:\.(?![0-9])|(?:\.[0-9]++)?(?:[eE][+-]?[0-9]*+)?))?")
WORDS = {"t": "true", "f": "false", "n": "null"}
CLOSERS = {"{": "}", "[": "]"}
DEPTH = 200  # the official client's: what is deeper is refused


class PartialJsonError(ValueError):
    """No JSON begins so."""


class Mark(NamedTuple):
    """What can be told of a text: its first `end` characters, made whole by `tail`."""

    end: int
    tail: str

    def value(self, text: str) -> Any:
        whole = text[: self.end] + self.tail
        try:
            return msgspec.json.decode(whole)
        except msgspec.DecodeError:  # a number that no float holds
            import json

            return json.loads(whole)


class WrittenJson:
    """Takes JSON text in pieces, each character once, however the pieces are cut.

    Where neither comma nor closing bracket follows a whole value, the rest is not looked at. The official client does
    the same, but that it goes on where the bracket is an outer one's. After a PartialJsonError it takes no more.
    """

    def __init__(self) -> None:
        self._taken = 0  # characters before `_rest`
        self._rest = ""  # the front of a number, a word or an escape
        self._in_string = False
        self._due = "value"  # or: "key or end", "key", "colon", "value or end", "more", "nothing"
        self._closers: list[str] = []
        self._whole: tuple[int, int] | None = None  # where all was whole last, and how many brackets were open there

    def feed(self, piece: str) -> None:
        """Raises PartialJsonError as soon as no JSON begins so."""
        text = self._rest + piece
        at, before = 0, -1
        while before < at < len(text):
            before, at = at, self._string(text, at) if self._in_string else self._lexeme(text, at)
        self._rest = text[at:]
        self._taken += at

    def mark(self, *, keep_cut_text: bool) -> Mark | None:
        """What can be told so far: members and items that are whole; None where nothing can be.

        A string that is being written is left out, or with `keep_cut_text` has what there is of it.
        """
        closing = "".join(reversed(self._closers))
        if self._in_string and keep_cut_text and self._due.startswith("value"):
            return Mark(self._taken, '"' + closing)
        if not self._in_string and NUMBER.fullmatch(self._rest):
            return Mark(self._taken + len(self._rest), closing)
        if self._whole is None:
            return None
        end, depth = self._whole
        return Mark(end, closing[len(closing) - depth :])

    # Each of these reads one thing at `at`, and returns where it ends; `at` where its end is yet to come.

    def _string(self, text: str, at: int) -> int:
        end = STRING.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty text
        if text[end : end + 1] == '"':
            self._in_string = False
            return self._took("string", text, end, 1)
        if CUT_ESCAPE.match(text, end) is None:
            raise self._wrong(text, end)
        return end

    def _lexeme(self, text: str, at: int) -> int:
        first = text[at]
        if first in " \t\n\r":
            return SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty text
        if self._due == "more" and not (self._closers and first in (",", self._closers[-1])):
            self._due = "nothing"
        if self._due == "nothing":
            return len(text)
        if first in "{}[],:":
            return self._took(first, text, at, 1)
        if not self._due.startswith("key" if first == '"' and "key" in self._due else "value"):
            raise self._wrong(text, at)
        if first == '"':
            self._must_not_be_deep(text, at)
            self._in_string = True
            return at + 1
        return self._number(text, at) if first in "-0123456789" else self._word(text, at)

    def _number(self, text: str, at: int) -> int:
        found = CUT_NUMBER.match(text, at)
        assert found is not None  # it matches "-" and any digit
        front: str = found[0]
        end = at + len(front)
        if end == len(text):
            self._must_not_be_deep(text, at)
            return at
        if not NUMBER.fullmatch(front) or (front in ("0", "-0") and text[end].isdigit()):
            raise self._wrong(text, end)
        return self._took("number", text, at, len(front))

    def _word(self, text: str, at: int) -> int:
        word = WORDS.get(text[at])
        if word is None or not word.startswith(text[at : at + len(word)]):
            raise self._wrong(text, at)
        return self._took("word", text, at, len(word)) if text.startswith(word, at) else at

    def _took(self, kind: str, text: str, at: int, size: int) -> int:
        """A lexeme is whole: what is due after it, and what is whole with it."""
        self._due = self._next(kind, text, at)
        if self._due in ("more", "key or end", "value or end"):
            self._whole = self._taken + at + size, len(self._closers)
        return at + size

    def _next(self, kind: str, text: str, at: int) -> str:
        due = self._due
        if kind in "]}":
            if due in ("key or end", "value or end", "more") and self._closers[-1:] == [kind]:
                self._closers.pop()
                return "more"
        elif due.startswith("value") and kind not in ",:":
            self._must_not_be_deep(text, at)
            if kind not in CLOSERS:
                return "more"
            self._closers.append(CLOSERS[kind])
            return "key or end" if kind == "{" else "value or end"
        elif due.startswith("key") and kind == "string":
            return "colon"
        elif due == "colon" and kind == ":":
            return "value"
        elif due == "more" and kind == ",":
            return "key" if self._closers[-1] == "}" else "value"
        raise self._wrong(text, at)

    def _must_not_be_deep(self, text: str, at: int) -> None:
        if self._due.startswith("value") and len(self._closers) > DEPTH:
            raise PartialJsonError(f"more than {DEPTH} levels at position {self._taken + at}")

    def _wrong(self, text: str, at: int) -> PartialJsonError:
        return PartialJsonError(f"{text[at : at + 1]!r} may not stand at position {self._taken + at}")


def partial_json(text: str, *, keep_cut_text: bool) -> Any:
    """The value that `text` is the front of, None where nothing can be told yet. Raises PartialJsonError."""
    written = WrittenJson()
    written.feed(text)
    mark = written.mark(keep_cut_text=keep_cut_text)
    return None if mark is None else mark.value(text)
