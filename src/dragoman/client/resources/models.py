"""`client.models` and `client.beta.models`. SDK-55."""

# What a call becomes is known to its `Result`, at run time.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

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

__all__ = ["AsyncModels", "AsyncModelsOf", "Models", "ModelsOf"]

M = TypeVar("M")  # what a model is told as: the beta tells more
PATH = "/v1/models"


def _retrieve(model_id: str, result: Into, given: Any) -> Call:
    return calls.by_id("GET", f"{PATH}/{calls.required(model_id, 'model_id')}", result, given)


class ModelsOf(SyncResource, Generic[M]):
    """`client.models` and that of the beta: `_one` and `_page` are what replies become."""

    _one: ClassVar[Into]
    _page: ClassVar[Page]

    def retrieve(self, model_id: str, **options: Unpack[BetaOptions]) -> M:
        """A model, by its id or an alias."""
        return self._perform(_retrieve(model_id, self._one, options))

    def list(self, **arguments: Unpack[BetaModelListArguments]) -> SyncPage[M]:
        """The newest first."""
        return self._perform(calls.listing(PATH, self._page, arguments, arguments="BetaModelListArguments"))

    @cached_property
    def with_raw_response(self) -> ModelsWithRawResponse[M]:
        return ModelsWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> ModelsWithStreamingResponse[M]:
        return ModelsWithStreamingResponse(self)


class ModelsWithRawResponse(Generic[M]):
    def __init__(self, models: ModelsOf[M]) -> None:
        self.retrieve = raw(models.retrieve)
        self.list = raw(models.list)


class ModelsWithStreamingResponse(Generic[M]):
    def __init__(self, models: ModelsOf[M]) -> None:
        self.retrieve = streaming(models.retrieve)
        self.list = streaming(models.list)


class AsyncModelsOf(AsyncResource, Generic[M]):
    """As ModelsOf, for asyncio."""

    _one: ClassVar[Into]
    _page: ClassVar[Page]

    async def retrieve(self, model_id: str, **options: Unpack[BetaOptions]) -> M:
        return await self._perform(_retrieve(model_id, self._one, options))

    def list(self, **arguments: Unpack[BetaModelListArguments]) -> AsyncPages[M, AsyncPage[M]]:
        return self._pages(calls.listing(PATH, self._page, arguments, arguments="BetaModelListArguments"))

    @cached_property
    def with_raw_response(self) -> AsyncModelsWithRawResponse[M]:
        return AsyncModelsWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> AsyncModelsWithStreamingResponse[M]:
        return AsyncModelsWithStreamingResponse(self)


class AsyncModelsWithRawResponse(Generic[M]):
    def __init__(self, models: AsyncModelsOf[M]) -> None:
        self.retrieve = async_raw(models.retrieve)
        self.list = async_raw(models.list)


class AsyncModelsWithStreamingResponse(Generic[M]):
    def __init__(self, models: AsyncModelsOf[M]) -> None:
        self.retrieve = async_streaming(models.retrieve)
        self.list = async_streaming(models.list)


class Models(ModelsOf[ModelInfo]):
    _one = Into(ModelInfo)
    _page = Page(SyncPage, AsyncPage, ModelInfo)


class AsyncModels(AsyncModelsOf[ModelInfo]):
    """As Models, for asyncio."""

    _one, _page = Models._one, Models._page
