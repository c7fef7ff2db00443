"""Calls of tools as Chat Completions tells them: in fragments, of several calls in turns, numbered well or badly.

Blocks of a message never overlap, so one call is written at a time: the first that is not whole, while the others wait.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from dragoman.wire.events import Event
from dragoman.wire.writer import BlockWriter

__all__ = ["Calls"]

UNNAMED = "unknown"  # a call that has arguments and never a name: a client answers it with an error


class Calls:
    """The calls of one reply. `tool_use_id` makes of the provider's id one that is legal here, `inward` of a name."""

    def __init__(self, writer: BlockWriter, *, tool_use_id: Callable[[str], str], inward: Callable[[str], str]) -> None:
        self.written = 0  # blocks
        self.characters = 0  # of names and arguments
        self._writer = writer
        self._tool_use_id = tool_use_id
        self._inward = inward
        self._waiting: list[_Call] = []  # the first may be open, the rest is not written yet
        self._at: dict[int, _Call] = {}  # by the provider's number: the last that had it

    @property
    def is_underway(self) -> bool:
        """Something of a call may still come: what else is said must wait."""
        return any(not call.arguments.is_whole for call in self._waiting)

    @property
    def is_waiting(self) -> bool:
        """A call is not written to its end."""
        return bool(self._waiting)

    def take(self, told: Mapping[str, Any], at: int) -> list[Event]:
        """An entry of `tool_calls`, the one in place `at`."""
        function = told.get("function")
        function = function if isinstance(function, dict) else {}
        call_id, name, arguments = _text(told.get("id")), _text(function.get("name")), function.get("arguments")
        if isinstance(arguments, dict):  # servers that send an object
            arguments = msgspec.json.encode(arguments).decode()
        self.characters += len(name) + len(_text(arguments))
        call = self._call(told.get("index"), at, call_id, name, _text(arguments))
        call.id = call.id or call_id
        call.name = call.name or name
        call.arguments.take(_text(arguments))
        return self._advanced()

    def ended(self, number: int) -> list[Event]:
        """The call of this number is whole, whatever came of it: for dialects that tell where one ends."""
        call = self._at.pop(number, None)
        if call is None:
            return []
        call.arguments.end()
        if call.arguments.ready:
            call.name = call.name or UNNAMED
        if not call.name and call in self._waiting:  # it was nothing
            self._waiting.remove(call)
        return self._advanced()

    def flush(self) -> list[Event]:
        """All calls so far, whole or not: nothing more comes of them."""
        events: list[Event] = []
        for call in self._waiting:
            call.arguments.end()
            if call.name or call.arguments.ready:
                call.name = call.name or UNNAMED
                events += self._write(call)
        self._waiting.clear()
        return events

    def _call(self, number: Any, at: int, call_id: str, name: str, arguments: str) -> "_Call":
        key = number if isinstance(number, int) else at
        call = self._at.get(key)
        if call is None or _begins_another(call, call_id, name, arguments):
            call = self._at[key] = _Call()
            self._waiting.append(call)
        return call

    def _advanced(self) -> list[Event]:
        """Write what may be written: of the first call that is not whole, and of those before it all."""
        events: list[Event] = []
        while self._waiting and self._waiting[0].name:
            call = self._waiting[0]
            events += self._write(call)
            if not call.arguments.is_whole:
                break
            del self._waiting[0]
        return events

    def _write(self, call: "_Call") -> list[Event]:
        events: list[Event] = []
        if not call.is_open:
            call.is_open = True
            self.written += 1
            events += self._writer.tool_use(self._tool_use_id(call.id), self._inward(call.name))
        for fragment in call.arguments.ready:
            events += self._writer.input_json(fragment)
        call.arguments.ready.clear()
        return events


class _Call:
    """A call, as far as it was told."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.is_open = False  # its block was begun
        self.arguments = _Arguments()


def _begins_another(call: _Call, call_id: str, name: str, arguments: str) -> bool:
    """Whether it is another call under a number that was used: Gemini's and Ollama's servers say 0 for all of them.

    A name must come with it: there are servers that say another id with each fragment.
    """
    if not name:
        return False
    if call_id and call.id:
        return call_id != call.id
    return call.arguments.is_whole and bool(arguments)


class _Arguments:
    """The input of a call, in fragments, that is to be an object: what else comes is made one, or left out.

    `null`, an empty text or a list are no input, and a text that holds an object is that object. What follows the
    object's end is dropped.
    """

    def __init__(self) -> None:
        self.ready: list[str] = []  # to be written
        self.is_whole = False
        self._is_object = False
        self._other = ""  # what does not begin as an object
        self._depth = 0
        self._in_text = self._escaped = False

    def take(self, fragment: str) -> None:
        if self.is_whole or not fragment:
            return
        if not self._is_object:
            self._other = (self._other + fragment).lstrip()
            if not self._other.startswith("{"):
                return
            fragment, self._other, self._is_object = self._other, "", True
        self.ready.append(fragment[: self._end(fragment)])

    def end(self) -> None:
        if self._other and not self.is_whole:
            self.ready = _object_in(self._other)
        self.is_whole = True

    def _end(self, fragment: str) -> int:
        """Where the object ends in the fragment, or the fragment's end."""
        for at, char in enumerate(fragment):
            if self._escaped:
                self._escaped = False
            elif self._in_text:
                self._escaped = char == "\\"
                self._in_text = char != '"'
            elif char == '"':
                self._in_text = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                if self._depth <= 0:
                    self.is_whole = True
                    return at + 1
        return len(fragment)


def _object_in(text: str) -> list[str]:
    """The object that a text of JSON in a text of JSON is."""
    try:
        inner = msgspec.json.decode(text)
        value = msgspec.json.decode(inner) if isinstance(inner, str) else None
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return []
    return [msgspec.json.encode(value).decode()] if isinstance(value, dict) and value else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
