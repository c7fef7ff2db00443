"""Events of the beta's stream helpers."""

from __future__ import annotations

from typing import Generic, TypeAlias

from dragoman.types.events import (
    CitationEvent,
    CompactionEvent,
    InputJsonEvent,
    SignatureEvent,
    TextEvent,
    ThinkingEvent,
)
from dragoman.types.generic import T
from dragoman.types.raw_events import RawContentBlockStopEvent, RawMessageStopEvent

from .raw_events import (
    BetaRawContentBlockDeltaEvent,
    BetaRawContentBlockStartEvent,
    BetaRawMessageDeltaEvent,
    BetaRawMessageStartEvent,
)
from .replies import ParsedBetaContentBlock, ParsedBetaMessage


class ParsedBetaMessageStopEvent(RawMessageStopEvent, Generic[T]):
    message: ParsedBetaMessage[T]


class ParsedBetaContentBlockStopEvent(RawContentBlockStopEvent, Generic[T]):
    content_block: ParsedBetaContentBlock[T]


BetaCitationEvent: TypeAlias = CitationEvent
BetaCompactionEvent: TypeAlias = CompactionEvent
BetaInputJsonEvent: TypeAlias = InputJsonEvent
BetaSignatureEvent: TypeAlias = SignatureEvent
BetaTextEvent: TypeAlias = TextEvent
BetaThinkingEvent: TypeAlias = ThinkingEvent
ParsedBetaTextEvent: TypeAlias = TextEvent
BetaMessageStopEvent: TypeAlias = ParsedBetaMessageStopEvent[object]
BetaContentBlockStopEvent: TypeAlias = ParsedBetaContentBlockStopEvent[object]

ParsedBetaMessageStreamEvent: TypeAlias = (
    TextEvent
    | CitationEvent
    | ThinkingEvent
    | SignatureEvent
    | InputJsonEvent
    | CompactionEvent
    | BetaRawMessageStartEvent
    | BetaRawMessageDeltaEvent
    | ParsedBetaMessageStopEvent[T]
    | BetaRawContentBlockStartEvent
    | BetaRawContentBlockDeltaEvent
    | ParsedBetaContentBlockStopEvent[T]
)
BetaMessageStreamEvent: TypeAlias = ParsedBetaMessageStreamEvent[T]
