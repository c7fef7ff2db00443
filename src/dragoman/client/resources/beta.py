"""`client.beta`: the same resources, with `betas` and what only they have. SDK-56."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from .beta_messages import AsyncBetaMessages, BetaMessages
from .files import AsyncFiles, Files
from .models import AsyncModels, Models

if TYPE_CHECKING:
    from dragoman.client.aio import AsyncClient
    from dragoman.client.sync import Client

__all__ = ["AsyncBeta", "Beta"]


class Beta:
    def __init__(self, client: Client) -> None:
        self._client = client

    @cached_property
    def messages(self) -> BetaMessages:
        return BetaMessages(self._client)

    @cached_property
    def models(self) -> Models:
        return Models(self._client)

    @cached_property
    def files(self) -> Files:
        return Files(self._client)


class AsyncBeta:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    @cached_property
    def messages(self) -> AsyncBetaMessages:
        return AsyncBetaMessages(self._client)

    @cached_property
    def models(self) -> AsyncModels:
        return AsyncModels(self._client)

    @cached_property
    def files(self) -> AsyncFiles:
        return AsyncFiles(self._client)
