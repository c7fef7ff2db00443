"""What `beta.messages.batches.create` takes."""

from dragoman.types.params.batches import BetaBatchCreateParams as BatchCreateParams
from dragoman.types.params.batches import BetaRequest as Request

__all__ = ["BatchCreateParams", "Request"]
