"""Batches of messages."""

from typing import TYPE_CHECKING, Any

from dragoman.types.batches import (
    DeletedMessageBatch,
    MessageBatch,
    MessageBatchCanceledResult,
    MessageBatchErroredResult,
    MessageBatchExpiredResult,
    MessageBatchIndividualResponse,
    MessageBatchRequestCounts,
    MessageBatchResult,
    MessageBatchSucceededResult,
)

if TYPE_CHECKING:
    from dragoman.types.params.batches import BatchCreateParams, BatchListParams

__all__ = [
    "BatchCreateParams",
    "BatchListParams",
    "DeletedMessageBatch",
    "MessageBatch",
    "MessageBatchCanceledResult",
    "MessageBatchErroredResult",
    "MessageBatchExpiredResult",
    "MessageBatchIndividualResponse",
    "MessageBatchRequestCounts",
    "MessageBatchResult",
    "MessageBatchSucceededResult",
]


def __getattr__(name: str) -> Any:
    if name not in ("BatchCreateParams", "BatchListParams"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dragoman.types.params import batches

    return getattr(batches, name)
