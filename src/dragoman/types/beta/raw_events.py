"""Events of the beta's streams, as the API sends them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from dragoman.client.record import Record
from dragoman.types.raw_events import (
    CitationsDelta,
    InputJSONDelta,
    RawContentBlockStopEvent,
    RawMessageStopEvent,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
)
from dragoman.types.replies import Container

from .content import BetaContentBlock
from .replies import (
    BetaContextManagementResponse,
    BetaInputTransformation,
    BetaMessage,
    BetaMessageDeltaUsage,
    BetaRefusalStopDetails,
    BetaStopReason,
)


class BetaRawMessageStartEvent(Record):
    message: BetaMessage
    type: Literal["message_start"]


class BetaMessageDelta(Record):
    container: Container | None = None
    stop_details: BetaRefusalStopDetails | None = None
    stop_reason: BetaStopReason | None = None
    stop_sequence: str | None = None


class BetaRawMessageDeltaEvent(Record):
    delta: BetaMessageDelta
    type: Literal["message_delta"]
    usage: BetaMessageDeltaUsage
    context_management: BetaContextManagementResponse | None = None
    input_transformations: list[BetaInputTransformation] | None = None


class BetaRawContentBlockStartEvent(Record):
    content_block: BetaContentBlock
    index: int
    type: Literal["content_block_start"]


class BetaThinkingDelta(ThinkingDelta):
    estimated_tokens: int | None = None


class BetaCompactionContentBlockDelta(Record):
    type: Literal["compaction_delta"]
    content: str | None = None
    encrypted_content: str | None = None


BetaRawContentBlockDelta: TypeAlias = (
    TextDelta | InputJSONDelta | CitationsDelta | BetaThinkingDelta | SignatureDelta | BetaCompactionContentBlockDelta
)


class BetaRawContentBlockDeltaEvent(Record):
    delta: BetaRawContentBlockDelta
    index: int
    type: Literal["content_block_delta"]


BetaRawMessageStreamEvent: TypeAlias = (
    BetaRawMessageStartEvent
    | BetaRawMessageDeltaEvent
    | RawMessageStopEvent
    | BetaRawContentBlockStartEvent
    | BetaRawContentBlockDeltaEvent
    | RawContentBlockStopEvent
)
