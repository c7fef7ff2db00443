"""A group of methods of a client, in one of three modes: parsed replies, raw ones, or open ones (SDK-42)."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Self

from dragoman.client.call import Raw
from dragoman.client.pages import AsyncPages

if TYPE_CHECKING:
    from dragoman.client.aio import AsyncClient
    from dragoman.client.sync import Client

__all__ = ["AsyncResource", "SyncResource"]


class SyncResource:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._mode = Raw.PARSED

    def _in_mode(self, mode: int) -> Self:
        """The same methods, whose replies come raw."""
        twin = copy(self)
        twin._mode = mode
        return twin

    def _perform(self, call: Any) -> Any:
        return self._client.perform(call, self._mode)


class AsyncResource:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._mode = Raw.PARSED

    def _in_mode(self, mode: int) -> Self:
        twin = copy(self)
        twin._mode = mode
        return twin

    async def _perform(self, call: Any) -> Any:
        return await self._client.perform(call, self._mode)

    def _pages(self, call: Any) -> AsyncPages[Any, Any]:
        return AsyncPages(self._client, call, self._mode)
