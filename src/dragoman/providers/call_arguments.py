"""The input of a call, as models and servers write it -> the text of a JSON object. For all dialects whose inputs come
as text. Pure.

A tool must never run with an input that its model did not give. So what is no object fails the message, and nothing
goes out of it that a strict parser of a front part would refuse (the official client has one, and dies of it).
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from dragoman.errors import UpstreamFailed
from dragoman.wire.surrogates import WholeCharacters

__all__ = ["CUT_REASONS", "CallArguments", "no_object", "text_of"]

# Levels of nesting. The official client's parser (jiter 0.15, of anthropic 2.11) takes 200, tried on 2026-11-21.
DEEPEST = 190
# Reasons to stop that may cut an input: the caller is told that the message is not whole.
CUT_REASONS = frozenset({"max_tokens", "model_context_window_exceeded", "refusal"})

SPACE = " \t\r\n"
WORDS = ("true", "false", "null")
LONGEST_BEGINNING = 6  # characters of a word that are looked at as it comes: the parser reads all of it at the end
NUMBER_BEGINS = re.compile(r"-?(?!0\d)\d|-\Z")
IN_NUMBER = frozenset("+-.0123456789eE")
ESCAPES = frozenset('"\\/bfnrtu')
TEXT_STOPS = re.compile(r'["\\\x00-\x1f]')
# What may come next: a mark -> the state that it is legal in -> the state behind it.
FOLLOWS: Mapping[str, Mapping[str, str]] = {
    '"': {"first key": "colon", "key": "colon", "first value": "behind", "value": "behind"},
    ":": {"colon": "value"},
    "{": {"begin": "first key", "first value": "first key", "value": "first key"},
    "[": {"first value": "first value", "value": "first value"},
    "}": {"first key": "behind", "behind": "behind", "word": "behind"},
    "]": {"first value": "behind", "behind": "behind", "word": "behind"},
    ",": {"behind": "next", "word": "next"},
}
OPENED_BY = {"}": "{", "]": "["}


def no_object(name: str) -> UpstreamFailed:
    """What a message fails with that calls the tool of this name so."""
    return UpstreamFailed(f"The upstream's model called {name} with arguments that are no JSON object.")


def text_of(arguments: Any) -> str:
    """Arguments as they should have come, for servers that send a value in place of its text."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return msgspec.json.encode(arguments).decode()


class CallArguments:
    """The input of a call, in fragments.

    `null`, an empty text or an empty list are no input, and a text that holds an object is that object. What follows
    the object's end is dropped. Linear in the text.
    """

    def __init__(self) -> None:
        self.ready: list[str] = []  # to be written
        self.is_whole = False  # nothing more comes of it
        self.is_cut = False  # it ended before its end
        self.is_broken = False  # it is no object, whatever comes
        self._told: list[str] = []
        self._object: _Object | None = None

    def take(self, fragment: str) -> None:
        if self.is_whole or not fragment:
            return
        if self._object is None and not self._told:
            fragment = fragment.lstrip()
            if not fragment:
                return
            self._object = _Object() if fragment.startswith("{") else None
        if self._object is None:
            self._told.append(fragment)
            return
        fragment = fragment[: self._object.take(fragment)]
        self._told.append(fragment)
        if self._object.is_whole:
            self.is_whole = True
            self.is_broken = not _is_json("".join(self._told))
        elif self._object.is_broken:
            self.is_whole = self.is_broken = True
        if not self.is_broken:
            self.ready.append(fragment)

    def end(self) -> None:
        """Nothing more comes."""
        if self.is_whole:
            return
        self.is_whole = True
        if self._object is not None:
            self.is_cut = True
        elif self._told:
            self._end_other("".join(self._told))

    def _end_other(self, text: str) -> None:
        """What does not begin as an object."""
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            self.is_cut = "truncated" in str(error)
            self.is_broken = not self.is_cut
            return
        if isinstance(value, str):
            value = _value_in(value)
        if isinstance(value, dict):
            inner = CallArguments()
            inner.take(msgspec.json.encode(value).decode() if value else "")
            self.ready, self.is_broken = inner.ready, inner.is_broken
        else:
            self.is_broken = value is not None and value != []


def _value_in(text: str) -> Any:
    """The value that a text of JSON in a text of JSON is; what is none as it came."""
    if not text.strip():
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text


def _is_json(text: str) -> bool:
    """Whether a parser reads it. Halves of characters are mended on their way out."""
    whole = WholeCharacters()
    try:
        msgspec.json.decode(whole.take(text) + whole.end())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    return True


class _Object:
    """How far an object has come; it begins with its brace."""

    def __init__(self) -> None:
        self.is_whole = False
        self.is_broken = False
        self._open: list[str] = []
        self._state = "begin"
        self._word = ""  # how a number, or true, false or null, begins
        self._in_text = self._escaped = False

    def take(self, fragment: str) -> int:
        """Where the object ends in the fragment, or is broken, or the fragment's end."""
        at = 0
        while at < len(fragment):
            if self._in_text:
                at = self._text_to(fragment, at)
            else:
                self.is_broken = not self._takes(fragment[at])
                at += 1
            if self.is_broken or not self._open:
                break
        self.is_whole = not self._open and not self.is_broken
        return at

    def _text_to(self, fragment: str, at: int) -> int:
        """Behind the next place in a text where something may happen."""
        if self._escaped:
            self._escaped = False
            self.is_broken = fragment[at] not in ESCAPES
            return at + 1
        found = TEXT_STOPS.search(fragment, at)
        if found is None:
            return len(fragment)
        self._in_text = found[0] != '"'
        self._escaped = found[0] == "\\"
        self.is_broken = self._in_text and not self._escaped
        return found.end()

    def _takes(self, char: str) -> bool:
        """Whether what is no text may go on so."""
        if char in SPACE:
            self._state = "behind" if self._state == "word" else self._state
            return True
        if (follows := FOLLOWS.get(char)) is None:
            return self._takes_word(char)
        state = follows.get(self._state)
        if state is None or (char in OPENED_BY and self._open.pop() != OPENED_BY[char]):
            return False
        if char in "{[":
            self._open.append(char)
        self._in_text = char == '"'
        self._state = state if state != "next" else "key" if self._open[-1] == "{" else "value"
        return len(self._open) <= DEEPEST

    def _takes_word(self, char: str) -> bool:
        if self._state != "word":
            if self._state not in ("value", "first value"):
                return False
            self._state, self._word = "word", ""
        self._word = (self._word + char)[:LONGEST_BEGINNING]
        if self._word[0] in "tfn":
            return any(word.startswith(self._word) for word in WORDS)
        return char in IN_NUMBER and NUMBER_BEGINS.match(self._word) is not None
