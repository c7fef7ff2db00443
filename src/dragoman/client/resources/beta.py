"""`client.beta`: the same resources, with `betas` and what only they have. SDK-56."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from dragoman.client.pages import AsyncPage, AsyncPageCursor, SyncPage, SyncPageCursor
from dragoman.client.results import Into, Page
from dragoman.types.beta import BetaFileMetadata, BetaModelInfo

from .beta_messages import AsyncBetaMessages, BetaMessages
from .files import AsyncFilesOf, FilesOf
from .models import AsyncModelsOf, ModelsOf

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

__all__ = ["AsyncBeta", "AsyncBetaFiles", "AsyncBetaModels", "Beta", "BetaFiles", "BetaModels"]


class BetaModels(ModelsOf[BetaModelInfo]):
    _one = Into(BetaModelInfo)
    _page = Page(SyncPage, AsyncPage, BetaModelInfo)


class AsyncBetaModels(AsyncModelsOf[BetaModelInfo]):
    """As BetaModels, for asyncio."""

    _one, _page = BetaModels._one, BetaModels._page


class BetaFiles(FilesOf[BetaFileMetadata]):
    _file = Into(BetaFileMetadata)
    _page = Page(SyncPageCursor, AsyncPageCursor, BetaFileMetadata)


class AsyncBetaFiles(AsyncFilesOf[BetaFileMetadata]):
    """As BetaFiles, for asyncio."""

    _file, _page = BetaFiles._file, BetaFiles._page


class Beta:
    def __init__(self, client: Client) -> None:
        self._client = client

    @cached_property
    def messages(self) -> BetaMessages:
        return BetaMessages(self._client)

    @cached_property
    def models(self) -> BetaModels:
        return BetaModels(self._client)

    @cached_property
    def files(self) -> BetaFiles:
        return BetaFiles(self._client)

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
    def models(self) -> ModelsWithRawResponse[BetaModelInfo]:
        return self._beta.models.with_raw_response

    @property
    def files(self) -> FilesWithRawResponse[BetaFileMetadata]:
        return self._beta.files.with_raw_response


class BetaWithStreamingResponse:
    def __init__(self, beta: Beta) -> None:
        self._beta = beta

    @property
    def messages(self) -> BetaMessagesWithStreamingResponse:
        return self._beta.messages.with_streaming_response

    @property
    def models(self) -> ModelsWithStreamingResponse[BetaModelInfo]:
        return self._beta.models.with_streaming_response

    @property
    def files(self) -> FilesWithStreamingResponse[BetaFileMetadata]:
        return self._beta.files.with_streaming_response


class AsyncBeta:
    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    @cached_property
    def messages(self) -> AsyncBetaMessages:
        return AsyncBetaMessages(self._client)

    @cached_property
    def models(self) -> AsyncBetaModels:
        return AsyncBetaModels(self._client)

    @cached_property
    def files(self) -> AsyncBetaFiles:
        return AsyncBetaFiles(self._client)

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
    def models(self) -> AsyncModelsWithRawResponse[BetaModelInfo]:
        return self._beta.models.with_raw_response

    @property
    def files(self) -> AsyncFilesWithRawResponse[BetaFileMetadata]:
        return self._beta.files.with_raw_response


class AsyncBetaWithStreamingResponse:
    def __init__(self, beta: AsyncBeta) -> None:
        self._beta = beta

    @property
    def messages(self) -> AsyncBetaMessagesWithStreamingResponse:
        return self._beta.messages.with_streaming_response

    @property
    def models(self) -> AsyncModelsWithStreamingResponse[BetaModelInfo]:
        return self._beta.models.with_streaming_response

    @property
    def files(self) -> AsyncFilesWithStreamingResponse[BetaFileMetadata]:
        return self._beta.files.with_streaming_response
