"""Who signs requests where a key in a header is not enough: the clouds, whose credentials change in time."""

from typing import Protocol

from dragoman.providers.base import UpstreamRequest

__all__ = ["Signer"]


class Signer(Protocol):
    """Puts credentials on requests, and keeps them fresh."""

    async def signed(self, request: UpstreamRequest) -> UpstreamRequest:
        """The request with its authorization. Raises UpstreamFailed where no credentials are to be had."""
        ...
