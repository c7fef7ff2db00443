"""Who signs requests where a key in a header is not enough: the clouds, whose credentials change in time."""

from typing import Protocol, runtime_checkable

from dragoman.providers.base import UpstreamRequest

__all__ = ["Renewable", "Signer"]


class Signer(Protocol):
    """Puts credentials on requests, and keeps them fresh."""

    async def signed(self, request: UpstreamRequest) -> UpstreamRequest:
        """The request with its authorization. Raises UpstreamFailed where no credentials are to be had."""
        ...


@runtime_checkable
class Renewable(Protocol):
    """A signer that keeps what it puts on requests, and can be told that it is good no longer."""

    def discard(self, refused: UpstreamRequest) -> None:
        """What is on a request that was answered with 401 goes on no other, if there is anything newer to be had."""
        ...
