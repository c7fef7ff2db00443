"""`client.models` and `client.beta.models`. SDK-55."""

# What a call becomes is known to its `Result`, at run time.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from dragoman.client.pages import AsyncPage, AsyncPages, SyncPage
from dragoman.client.raw import async_raw, async_streaming, raw, streaming
from dragoman.client.results import Into, Page
from dragoman.types import ModelInfo

from . import calls
from .base import AsyncResource, SyncResource

if TYPE_CHECKING:
    from typing import Unpack

    from dragoman.client.call import Call
    from dragoman.types.arguments import BetaModelListArguments, BetaOptions

__all__ = ["AsyncModels", "Models"]

PATH = "/v1/models"
MODEL = Into(ModelInfo)
MODELS = Page(SyncPage, AsyncPage, ModelInfo)


def _retrieve(model_id: str, given: Any) -> Call:
    return calls.by_id("GET", f"{PATH}/{calls.required(model_id, 'model_id')}", MODEL, given)


class Models(SyncResource):
    def retrieve(self, model_id: str, **options: Unpack[BetaOptions]) -> ModelInfo:
        """A model, by its id or an alias."""
        return self._perform(_retrieve(model_id, options))

    def list(self, **arguments: Unpack[BetaModelListArguments]) -> SyncPage[ModelInfo]:
        """The newest first."""
        return self._perform(calls.listing(PATH, MODELS, arguments, arguments="BetaModelListArguments"))

    @cached_property
    def with_raw_response(self) -> ModelsWithRawResponse:
        return ModelsWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> ModelsWithStreamingResponse:
        return ModelsWithStreamingResponse(self)


class ModelsWithRawResponse:
    def __init__(self, models: Models) -> None:
        self.retrieve = raw(models.retrieve)
        self.list = raw(models.list)


class ModelsWithStreamingResponse:
    def __init__(self, models: Models) -> None:
        self.retrieve = streaming(models.retrieve)
        self.list = streaming(models.list)


class AsyncModels(AsyncResource):
    """As Models, for asyncio."""

    async def retrieve(self, model_id: str, **options: Unpack[BetaOptions]) -> ModelInfo:
        return await self._perform(_retrieve(model_id, options))

    def list(self, **arguments: Unpack[BetaModelListArguments]) -> AsyncPages[ModelInfo, AsyncPage[ModelInfo]]:
        return self._pages(calls.listing(PATH, MODELS, arguments, arguments="BetaModelListArguments"))

    @cached_property
    def with_raw_response(self) -> AsyncModelsWithRawResponse:
        return AsyncModelsWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> AsyncModelsWithStreamingResponse:
        return AsyncModelsWithStreamingResponse(self)


class AsyncModelsWithRawResponse:
    def __init__(self, models: AsyncModels) -> None:
        self.retrieve = async_raw(models.retrieve)
        self.list = async_raw(models.list)


class AsyncModelsWithStreamingResponse:
    def __init__(self, models: AsyncModels) -> None:
        self.retrieve = async_streaming(models.retrieve)
        self.list = async_streaming(models.list)
