"""Batches of the beta's messages."""

from typing import TYPE_CHECKING, Any

from dragoman.types.batches import DeletedMessageBatch as BetaDeletedMessageBatch
from dragoman.types.batches import MessageBatch as BetaMessageBatch
from dragoman.types.batches import MessageBatchCanceledResult as BetaMessageBatchCanceledResult
from dragoman.types.batches import MessageBatchErroredResult as BetaMessageBatchErroredResult
from dragoman.types.batches import MessageBatchExpiredResult as BetaMessageBatchExpiredResult
from dragoman.types.batches import MessageBatchRequestCounts as BetaMessageBatchRequestCounts
from dragoman.types.beta.batches import (
    BetaMessageBatchIndividualResponse,
    BetaMessageBatchResult,
    BetaMessageBatchSucceededResult,
)

if TYPE_CHECKING:
    from dragoman.types.params.batches import BetaBatchCreateParams as BatchCreateParams
    from dragoman.types.params.batches import BetaBatchListParams as BatchListParams

__all__ = [
    "BatchCreateParams",
    "BatchListParams",
    "BetaDeletedMessageBatch",
    "BetaMessageBatch",
    "BetaMessageBatchCanceledResult",
    "BetaMessageBatchErroredResult",
    "BetaMessageBatchExpiredResult",
    "BetaMessageBatchIndividualResponse",
    "BetaMessageBatchRequestCounts",
    "BetaMessageBatchResult",
    "BetaMessageBatchSucceededResult",
]


def __getattr__(name: str) -> Any:
    if name not in ("BatchCreateParams", "BatchListParams"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dragoman.types.params import batches

    return getattr(batches, f"Beta{name}")
