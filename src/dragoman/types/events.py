"""Events of the stream helpers: those of the wire, some with more in them, and some that only we make. STR-57.

`MessageStopEvent` and `ContentBlockStopEvent` are these in `dragoman`; in `dragoman.types`, as in the official package,
they are other names of the wire's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeAlias

from dragoman.client.record import Record, build

from .content import ContentBlock, TextCitation
from .generic import T
from .raw_events import (
    RawContentBlockDeltaEvent,
    RawContentBlockStartEvent,
    RawContentBlockStopEvent,
    RawMessageDeltaEvent,
    RawMessageStartEvent,
    RawMessageStopEvent,
)
from .replies import Message, ParsedContentBlock, ParsedMessage

_fields_of = Record.__dict__["__dict__"]  # the slot of that name


class _Growing(Record):
    """Has a `snapshot` of all that has come, made when somebody looks: who does not look pays nothing for it."""

    __slots__ = ("_later",)

    _later: Callable[[], Any]

    @property
    def __dict__(self) -> dict[str, Any]:
        fields: dict[str, Any] = _fields_of.__get__(self)
        if hasattr(self, "_later"):
            fields.setdefault("snapshot", self._later())
            del self._later
        return fields

    @__dict__.setter
    def __dict__(self, fields: dict[str, Any]) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]  # pyright: ignore[reportIncompatibleVariableOverride]
        _fields_of.__set__(self, fields)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name == "snapshot" and hasattr(self, "_later"):
                return self.__dict__["snapshot"]
            return super().__getattr__(name)

    def __getstate__(self) -> object:
        """What a copy or a pickle is made of: the snapshot, and not what makes it."""
        _ = self.__dict__
        return super().__getstate__()

    @classmethod
    def _made(cls, later: Callable[[], Any], **fields: Any) -> Self:
        event = build(cls, fields)
        event._later = later
        return event


class TextEvent(_Growing):
    """`snapshot` is the whole text of the block so far."""

    type: Literal["text"]
    text: str
    snapshot: str

    @classmethod
    def growing(cls, text: str, snapshot: Callable[[], str]) -> Self:
        return cls._made(snapshot, type="text", text=text)

    def parsed_snapshot(self) -> dict[str, Any]:
        """The text so far as JSON, as far as it goes. Raises ValueError where no JSON begins so."""
        from dragoman.client.partial import partial_json

        found: dict[str, Any] = partial_json(self.snapshot, keep_cut_text=True)
        return found


class CitationEvent(Record):
    type: Literal["citation"]
    citation: TextCitation
    snapshot: list[TextCitation]


class ThinkingEvent(_Growing):
    type: Literal["thinking"]
    thinking: str
    snapshot: str

    @classmethod
    def growing(cls, thinking: str, snapshot: Callable[[], str]) -> Self:
        return cls._made(snapshot, type="thinking", thinking=thinking)


class SignatureEvent(Record):
    type: Literal["signature"]
    signature: str


class InputJsonEvent(_Growing):
    """`snapshot` is a tool's input so far: what of the object can be told."""

    type: Literal["input_json"]
    partial_json: str
    snapshot: object

    @classmethod
    def growing(cls, partial_json: str, snapshot: Callable[[], object]) -> Self:
        return cls._made(snapshot, type="input_json", partial_json=partial_json)


class CompactionEvent(Record):
    type: Literal["compaction"]
    content: str | None
    encrypted_content: str | None


class MessageStopEvent(RawMessageStopEvent):
    message: Message


class ContentBlockStopEvent(RawContentBlockStopEvent):
    content_block: ContentBlock


class ParsedMessageStopEvent(RawMessageStopEvent, Generic[T]):
    message: ParsedMessage[T]


class ParsedContentBlockStopEvent(RawContentBlockStopEvent, Generic[T]):
    content_block: ParsedContentBlock[T]


MessageStreamEvent: TypeAlias = (
    TextEvent
    | CitationEvent
    | ThinkingEvent
    | SignatureEvent
    | InputJsonEvent
    | RawMessageStartEvent
    | RawMessageDeltaEvent
    | MessageStopEvent
    | RawContentBlockStartEvent
    | RawContentBlockDeltaEvent
    | ContentBlockStopEvent
)
ParsedMessageStreamEvent: TypeAlias = (
    TextEvent
    | CitationEvent
    | ThinkingEvent
    | SignatureEvent
    | InputJsonEvent
    | RawMessageStartEvent
    | RawMessageDeltaEvent
    | ParsedMessageStopEvent[T]
    | RawContentBlockStartEvent
    | RawContentBlockDeltaEvent
    | ParsedContentBlockStopEvent[T]
)
