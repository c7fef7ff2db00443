"""Events of a stream, as the API sends them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from dragoman.client.record import Record

from .content import ContentBlock, TextCitation
from .names import StopReason
from .replies import Container, Message, MessageDeltaUsage, RefusalStopDetails


class RawMessageStartEvent(Record):
    message: Message
    type: Literal["message_start"]


class MessageDelta(Record):
    container: Container | None = None
    stop_details: RefusalStopDetails | None = None
    stop_reason: StopReason | None = None
    stop_sequence: str | None = None


class RawMessageDeltaEvent(Record):
    delta: MessageDelta
    type: Literal["message_delta"]
    usage: MessageDeltaUsage


class RawMessageStopEvent(Record):
    type: Literal["message_stop"]


class RawContentBlockStartEvent(Record):
    content_block: ContentBlock
    index: int
    type: Literal["content_block_start"]


class TextDelta(Record):
    text: str
    type: Literal["text_delta"]


class InputJSONDelta(Record):
    partial_json: str
    type: Literal["input_json_delta"]


class CitationsDelta(Record):
    citation: TextCitation
    type: Literal["citations_delta"]


class ThinkingDelta(Record):
    thinking: str
    type: Literal["thinking_delta"]


class SignatureDelta(Record):
    signature: str
    type: Literal["signature_delta"]


RawContentBlockDelta: TypeAlias = TextDelta | InputJSONDelta | CitationsDelta | ThinkingDelta | SignatureDelta


class RawContentBlockDeltaEvent(Record):
    delta: RawContentBlockDelta
    index: int
    type: Literal["content_block_delta"]


class RawContentBlockStopEvent(Record):
    index: int
    type: Literal["content_block_stop"]


RawMessageStreamEvent: TypeAlias = (
    RawMessageStartEvent
    | RawMessageDeltaEvent
    | RawMessageStopEvent
    | RawContentBlockStartEvent
    | RawContentBlockDeltaEvent
    | RawContentBlockStopEvent
)
MessageStreamEvent: TypeAlias = RawMessageStreamEvent
MessageStartEvent: TypeAlias = RawMessageStartEvent
MessageDeltaEvent: TypeAlias = RawMessageDeltaEvent
ContentBlockStartEvent: TypeAlias = RawContentBlockStartEvent
ContentBlockDeltaEvent: TypeAlias = RawContentBlockDeltaEvent
MessageStopEvent: TypeAlias = RawMessageStopEvent
ContentBlockStopEvent: TypeAlias = RawContentBlockStopEvent
