"""What `messages.batches.create` takes."""

from dragoman.types.params.batches import BatchCreateParams, Request

__all__ = ["BatchCreateParams", "Request"]
