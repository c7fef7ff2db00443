"""Results of the beta's batches: those of `..batches`, with the beta's messages."""

from __future__ import annotations

from typing import Literal, TypeAlias

from dragoman.client.record import Record
from dragoman.types.batches import MessageBatchCanceledResult, MessageBatchErroredResult, MessageBatchExpiredResult

from .replies import BetaMessage


class BetaMessageBatchSucceededResult(Record):
    message: BetaMessage
    type: Literal["succeeded"]


BetaMessageBatchResult: TypeAlias = (
    BetaMessageBatchSucceededResult | MessageBatchErroredResult | MessageBatchCanceledResult | MessageBatchExpiredResult
)


class BetaMessageBatchIndividualResponse(Record):
    custom_id: str
    result: BetaMessageBatchResult
