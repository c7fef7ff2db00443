"""Batches of messages, and what came of each request in them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from dragoman.client.record import Record

from .errors import ErrorResponse
from .replies import Message


class MessageBatchRequestCounts(Record):
    canceled: int
    errored: int
    expired: int
    processing: int
    succeeded: int


class MessageBatch(Record):
    id: str
    created_at: datetime
    expires_at: datetime
    processing_status: Literal["in_progress", "canceling", "ended"]
    request_counts: MessageBatchRequestCounts
    type: Literal["message_batch"]
    archived_at: datetime | None = None
    cancel_initiated_at: datetime | None = None
    ended_at: datetime | None = None
    results_url: str | None = None


class MessageBatchSucceededResult(Record):
    message: Message
    type: Literal["succeeded"]


class MessageBatchErroredResult(Record):
    error: ErrorResponse
    type: Literal["errored"]


class MessageBatchCanceledResult(Record):
    type: Literal["canceled"]


class MessageBatchExpiredResult(Record):
    type: Literal["expired"]


MessageBatchResult: TypeAlias = (
    MessageBatchSucceededResult | MessageBatchErroredResult | MessageBatchCanceledResult | MessageBatchExpiredResult
)


class DeletedMessageBatch(Record):
    id: str
    type: Literal["message_batch_deleted"]


class MessageBatchIndividualResponse(Record):
    custom_id: str
    result: MessageBatchResult
