"""`client.with_raw_response` and `client.with_streaming_response`: those of all resources. SDK-42."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dragoman.client.aio import AsyncClient
    from dragoman.client.sync import Client
    from dragoman.types import FileMetadata, ModelInfo

    from .beta import (
        AsyncBetaWithRawResponse,
        AsyncBetaWithStreamingResponse,
        BetaWithRawResponse,
        BetaWithStreamingResponse,
    )
    from .files import (
        AsyncFilesWithRawResponse,
        AsyncFilesWithStreamingResponse,
        FilesWithRawResponse,
        FilesWithStreamingResponse,
    )
    from .messages import (
        AsyncMessagesWithRawResponse,
        AsyncMessagesWithStreamingResponse,
        MessagesWithRawResponse,
        MessagesWithStreamingResponse,
    )
    from .models import (
        AsyncModelsWithRawResponse,
        AsyncModelsWithStreamingResponse,
        ModelsWithRawResponse,
        ModelsWithStreamingResponse,
    )

__all__ = [
    "AsyncClientWithRawResponse",
    "AsyncClientWithStreamingResponse",
    "ClientWithRawResponse",
    "ClientWithStreamingResponse",
]


class ClientWithRawResponse:
    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def messages(self) -> MessagesWithRawResponse:
        return self._client.messages.with_raw_response

    @property
    def models(self) -> ModelsWithRawResponse[ModelInfo]:
        return self._client.models.with_raw_response

    @property
    def files(self) -> FilesWithRawResponse[FileMetadata]:
        return self._client.files.with_raw_response

    @property
    def beta(self) -> BetaWithRawResponse:
        return self._client.beta.with_raw_response


class ClientWithStreamingResponse:
    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def messages(self) -> MessagesWithStreamingResponse:
        return self._client.messages.with_streaming_response

    @property
    def models(self) -> ModelsWithStreamingResponse[ModelInfo]:
        return self._client.models.with_streaming_response

    @property
    def files(self) -> FilesWithStreamingResponse[FileMetadata]:
        return self._client.files.with_streaming_response

    @property
    def beta(self) -> BetaWithStreamingResponse:
        return self._client.beta.with_streaming_response


class AsyncClientWithRawResponse:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    @property
    def messages(self) -> AsyncMessagesWithRawResponse:
        return self._client.messages.with_raw_response

    @property
    def models(self) -> AsyncModelsWithRawResponse[ModelInfo]:
        return self._client.models.with_raw_response

    @property
    def files(self) -> AsyncFilesWithRawResponse[FileMetadata]:
        return self._client.files.with_raw_response

    @property
    def beta(self) -> AsyncBetaWithRawResponse:
        return self._client.beta.with_raw_response


class AsyncClientWithStreamingResponse:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    @property
    def messages(self) -> AsyncMessagesWithStreamingResponse:
        return self._client.messages.with_streaming_response

    @property
    def models(self) -> AsyncModelsWithStreamingResponse[ModelInfo]:
        return self._client.models.with_streaming_response

    @property
    def files(self) -> AsyncFilesWithStreamingResponse[FileMetadata]:
        return self._client.files.with_streaming_response

    @property
    def beta(self) -> AsyncBetaWithStreamingResponse:
        return self._client.beta.with_streaming_response
