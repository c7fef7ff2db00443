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

    from .beta_messages import (
        AsyncBetaMessagesWithRawResponse,
        AsyncBetaMessagesWithStreamingResponse,
        BetaMessagesWithRawResponse,
        BetaMessagesWithStreamingResponse,
    )
    from .files import (
        AsyncFilesWithRawResponse,
        AsyncFilesWithStreamingResponse,
        FilesWithRawResponse,
        FilesWithStreamingResponse,
    )
    from .models import (
        AsyncModelsWithRawResponse,
        AsyncModelsWithStreamingResponse,
        ModelsWithRawResponse,
        ModelsWithStreamingResponse,
    )

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

    @cached_property
    def with_raw_response(self) -> BetaWithRawResponse:
        return BetaWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> BetaWithStreamingResponse:
        return BetaWithStreamingResponse(self)


class BetaWithRawResponse:
    def __init__(self, beta: Beta) -> None:
        self._beta = beta

    @property
    def messages(self) -> BetaMessagesWithRawResponse:
        return self._beta.messages.with_raw_response

    @property
    def models(self) -> ModelsWithRawResponse:
        return self._beta.models.with_raw_response

    @property
    def files(self) -> FilesWithRawResponse:
        return self._beta.files.with_raw_response


class BetaWithStreamingResponse:
    def __init__(self, beta: Beta) -> None:
        self._beta = beta

    @property
    def messages(self) -> BetaMessagesWithStreamingResponse:
        return self._beta.messages.with_streaming_response

    @property
    def models(self) -> ModelsWithStreamingResponse:
        return self._beta.models.with_streaming_response

    @property
    def files(self) -> FilesWithStreamingResponse:
        return self._beta.files.with_streaming_response


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

    @cached_property
    def with_raw_response(self) -> AsyncBetaWithRawResponse:
        return AsyncBetaWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> AsyncBetaWithStreamingResponse:
        return AsyncBetaWithStreamingResponse(self)


class AsyncBetaWithRawResponse:
    def __init__(self, beta: AsyncBeta) -> None:
        self._beta = beta

    @property
    def messages(self) -> AsyncBetaMessagesWithRawResponse:
        return self._beta.messages.with_raw_response

    @property
    def models(self) -> AsyncModelsWithRawResponse:
        return self._beta.models.with_raw_response

    @property
    def files(self) -> AsyncFilesWithRawResponse:
        return self._beta.files.with_raw_response


class AsyncBetaWithStreamingResponse:
    def __init__(self, beta: AsyncBeta) -> None:
        self._beta = beta

    @property
    def messages(self) -> AsyncBetaMessagesWithStreamingResponse:
        return self._beta.messages.with_streaming_response

    @property
    def models(self) -> AsyncModelsWithStreamingResponse:
        return self._beta.models.with_streaming_response

    @property
    def files(self) -> AsyncFilesWithStreamingResponse:
        return self._beta.files.with_streaming_response
