"""`beta.messages.stream(...)`: as `message_stream.py`, with the messages and events of the beta."""

from typing import Generic

from dragoman.types.beta.events import (
    ParsedBetaContentBlockStopEvent,
    ParsedBetaMessageStopEvent,
    ParsedBetaMessageStreamEvent,
)
from dragoman.types.beta.replies import ParsedBetaContentBlock, ParsedBetaMessage
from dragoman.types.generic import T

from .fold import Shapes
from .message_stream import AsyncFollowed, AsyncManager, Followed, Manager

__all__ = [
    "BetaAsyncMessageStream",
    "BetaAsyncMessageStreamManager",
    "BetaMessageStream",
    "BetaMessageStreamManager",
]

BETA = Shapes(ParsedBetaMessage, ParsedBetaContentBlock, ParsedBetaMessageStopEvent, ParsedBetaContentBlockStopEvent)


class BetaMessageStream(Followed[ParsedBetaMessage[T], ParsedBetaMessageStreamEvent[T]], Generic[T]):
    _shapes = BETA


class BetaAsyncMessageStream(AsyncFollowed[ParsedBetaMessage[T], ParsedBetaMessageStreamEvent[T]], Generic[T]):
    _shapes = BETA


class BetaMessageStreamManager(Manager[BetaMessageStream[T]], Generic[T]):
    _makes = BetaMessageStream


class BetaAsyncMessageStreamManager(AsyncManager[BetaAsyncMessageStream[T]], Generic[T]):
    _makes = BetaAsyncMessageStream
