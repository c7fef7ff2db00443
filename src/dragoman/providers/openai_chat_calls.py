"""Calls of tools as Chat Completions tells them: in fragments, of several calls in turns, numbered well or badly.

Blocks of a message never overlap, so one call is written at a time: the first that is not whole, while the others wait.
"""

from collections.abc import Callable, Mapping
from typing import Any

from dragoman.wire.events import Event
from dragoman.wire.writer import BlockWriter

from .call_arguments import CallArguments, no_object, text_of

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
        self._cut: str | None = None  # name of a call whose arguments ended before their end
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
        """An entry of `tool_calls`, the one in place `at`. Raises UpstreamFailed where its arguments are no object."""
        function = told.get("function")
        function = function if isinstance(function, dict) else {}
        call_id, name, arguments = (
            _text(told.get("id")),
            _text(function.get("name")),
            text_of(function.get("arguments")),
        )
        self.characters += len(name) + len(arguments)
        call = self._call(told.get("index"), at, call_id, name, arguments)
        call.id = call.id or call_id
        call.name = call.name or name
        call.arguments.take(arguments)
        return self._advanced()

    def ended(self, number: int) -> list[Event]:
        """The call of this number is whole, whatever came of it: for dialects that tell where one ends."""
        call = self._at.pop(number, None)
        if call is None:
            return []
        call.arguments.end()
        if call.has_arguments:
            call.name = call.name or UNNAMED
        if not call.name and call in self._waiting:  # it was nothing
            self._waiting.remove(call)
        return self._advanced()

    def flush(self) -> list[Event]:
        """All calls so far, whole or not: nothing more comes of them."""
        events: list[Event] = []
        for call in self._waiting:
            call.arguments.end()
            if call.name or call.has_arguments:
                call.name = call.name or UNNAMED
                events += self._write(call)
        self._waiting.clear()
        return events

    def must_be_whole(self) -> None:
        """Raises UpstreamFailed where a call was cut. For replies that say nothing of that."""
        if self._cut is not None:
            raise no_object(self._cut)

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
        name = self._inward(call.name)
        if call.arguments.is_broken:
            raise no_object(name)
        if call.arguments.is_cut:
            self._cut = name
        if not call.is_open:
            call.is_open = True
            self.written += 1
            events += self._writer.tool_use(self._tool_use_id(call.id), name)
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
        self.arguments = CallArguments()

    @property
    def has_arguments(self) -> bool:
        return bool(self.arguments.ready or self.arguments.is_broken or self.arguments.is_cut)


def _begins_another(call: _Call, call_id: str, name: str, arguments: str) -> bool:
    """Whether it is another call under a number that was used: Gemini's and Ollama's servers say 0 for all of them.

    A name must come with it: there are servers that say another id with each fragment.
    """
    if not name:
        return False
    if call_id and call.id:
        return call_id != call.id
    return call.arguments.is_whole and bool(arguments)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
