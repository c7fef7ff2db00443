"""`client.messages.batches` and `client.beta.messages.batches`. SDK-54."""

# What a call becomes is known to its `Result`, at run time.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dragoman.client.exceptions import AnthropicError
from dragoman.client.guards import is_mapping
from dragoman.client.pages import AsyncPage, AsyncPages, SyncPage
from dragoman.client.raw import async_raw, async_streaming, raw, streaming
from dragoman.client.results import AsyncLines, Into, JsonLines, Lines, Page
from dragoman.types.beta.messages import BetaMessageBatchIndividualResponse
from dragoman.types.messages import DeletedMessageBatch, MessageBatch, MessageBatchIndividualResponse

from . import calls
from .base import AsyncResource, SyncResource

if TYPE_CHECKING:
    from typing import Unpack

    from dragoman.client.aio import AsyncClient
    from dragoman.client.call import Call
    from dragoman.client.sync import Client
    from dragoman.types.arguments import BetaBatchCreateArguments, BetaBatchListArguments, BetaOptions

__all__ = ["AsyncBatches", "Batches"]

E = TypeVar("E")  # an entry of the results, which the beta has of its own
PATH = "/v1/messages/batches"
BATCH = Into(MessageBatch)
DELETED = Into(DeletedMessageBatch)
BATCHES = Page(SyncPage, AsyncPage, MessageBatch)
RESULTS = JsonLines(MessageBatchIndividualResponse)
BETA_RESULTS = JsonLines(BetaMessageBatchIndividualResponse)


def _create(client: Any, given: Any) -> Call:
    calls.checked("create", "BetaBatchCreateArguments", given)
    requests = given["requests"] = list(given["requests"])
    body = calls.body_of(given, given.get("extra_body"), leave_out=calls.NOT_IN_BODY)
    params = [each["params"] for each in requests if is_mapping(each) and "params" in each]
    headers = calls.version_for(params, client._settings)
    return calls.call("POST", PATH, BATCH, given, body=body, headers=headers)


def _one(method: str, batch_id: str, given: Any, name: str, suffix: str = "") -> Call:
    path = f"{PATH}/{calls.required(batch_id, 'message_batch_id')}{suffix}"
    return calls.by_id(method, path, DELETED if name == "delete" else BATCH, given, name=name)


def _results(batch: MessageBatch, given: Any, *, is_beta: bool) -> Call:
    """Where the batch says that its results are. Raises AnthropicError as long as it says nothing."""
    if not batch.results_url:
        raise AnthropicError(f"the batch {batch.id} has no `results_url` yet: it is {batch.processing_status!r}")
    result = BETA_RESULTS if is_beta else RESULTS
    headers = {"accept": "application/binary"}
    call = calls.by_id("GET", batch.results_url, result, given, name="results", headers=headers)
    call.is_stream = True  # read as it comes
    return call


def _for_batch(given: Any) -> Any:
    """Options that the look at the batch before its results takes too."""
    return {name: given[name] for name in ("workspace_id", "betas", "extra_headers", "timeout") if name in given}


class Batches(SyncResource, Generic[E]):
    def __init__(self, client: Client, *, is_beta: bool = False) -> None:
        super().__init__(client)
        self._is_beta = is_beta

    def create(self, **arguments: Unpack[BetaBatchCreateArguments]) -> MessageBatch:
        """Hand over many requests, to be answered in the background."""
        return self._perform(_create(self._client, arguments))

    def retrieve(self, message_batch_id: str, **options: Unpack[BetaOptions]) -> MessageBatch:
        """How it stands."""
        return self._perform(_one("GET", message_batch_id, options, "retrieve"))

    def list(self, **arguments: Unpack[BetaBatchListArguments]) -> SyncPage[MessageBatch]:
        """The newest first."""
        return self._perform(calls.listing(PATH, BATCHES, arguments, arguments="BetaBatchListArguments"))

    def cancel(self, message_batch_id: str, **options: Unpack[BetaOptions]) -> MessageBatch:
        """Requests that are being answered are still answered."""
        return self._perform(_one("POST", message_batch_id, options, "cancel", "/cancel"))

    def delete(self, message_batch_id: str, **options: Unpack[BetaOptions]) -> DeletedMessageBatch:
        """Only once it has ended."""
        return self._perform(_one("DELETE", message_batch_id, options, "delete"))

    def results(self, message_batch_id: str, **options: Unpack[BetaOptions]) -> Lines[E]:
        """Results one by one, as they are read, in no order. Raises AnthropicError as long as there are none."""
        batch = Batches[Any](self._client).retrieve(message_batch_id, **_for_batch(options))
        return self._perform(_results(batch, options, is_beta=self._is_beta))

    @cached_property
    def with_raw_response(self) -> BatchesWithRawResponse[E]:
        return BatchesWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> BatchesWithStreamingResponse[E]:
        return BatchesWithStreamingResponse(self)


class BatchesWithRawResponse(Generic[E]):
    def __init__(self, batches: Batches[E]) -> None:
        self.create = raw(batches.create)
        self.retrieve = raw(batches.retrieve)
        self.list = raw(batches.list)
        self.cancel = raw(batches.cancel)
        self.delete = raw(batches.delete)
        self.results = raw(batches.results)


class BatchesWithStreamingResponse(Generic[E]):
    def __init__(self, batches: Batches[E]) -> None:
        self.create = streaming(batches.create)
        self.retrieve = streaming(batches.retrieve)
        self.list = streaming(batches.list)
        self.cancel = streaming(batches.cancel)
        self.delete = streaming(batches.delete)
        self.results = streaming(batches.results)


class AsyncBatches(AsyncResource, Generic[E]):
    """As Batches, for asyncio."""

    def __init__(self, client: AsyncClient, *, is_beta: bool = False) -> None:
        super().__init__(client)
        self._is_beta = is_beta

    async def create(self, **arguments: Unpack[BetaBatchCreateArguments]) -> MessageBatch:
        return await self._perform(_create(self._client, arguments))

    async def retrieve(self, message_batch_id: str, **options: Unpack[BetaOptions]) -> MessageBatch:
        return await self._perform(_one("GET", message_batch_id, options, "retrieve"))

    def list(self, **arguments: Unpack[BetaBatchListArguments]) -> AsyncPages[MessageBatch, AsyncPage[MessageBatch]]:
        return self._pages(calls.listing(PATH, BATCHES, arguments, arguments="BetaBatchListArguments"))

    async def cancel(self, message_batch_id: str, **options: Unpack[BetaOptions]) -> MessageBatch:
        return await self._perform(_one("POST", message_batch_id, options, "cancel", "/cancel"))

    async def delete(self, message_batch_id: str, **options: Unpack[BetaOptions]) -> DeletedMessageBatch:
        return await self._perform(_one("DELETE", message_batch_id, options, "delete"))

    async def results(self, message_batch_id: str, **options: Unpack[BetaOptions]) -> AsyncLines[E]:
        batch = await AsyncBatches[Any](self._client).retrieve(message_batch_id, **_for_batch(options))
        return await self._perform(_results(batch, options, is_beta=self._is_beta))

    @cached_property
    def with_raw_response(self) -> AsyncBatchesWithRawResponse[E]:
        return AsyncBatchesWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> AsyncBatchesWithStreamingResponse[E]:
        return AsyncBatchesWithStreamingResponse(self)


class AsyncBatchesWithRawResponse(Generic[E]):
    def __init__(self, batches: AsyncBatches[E]) -> None:
        self.create = async_raw(batches.create)
        self.retrieve = async_raw(batches.retrieve)
        self.list = async_raw(batches.list)
        self.cancel = async_raw(batches.cancel)
        self.delete = async_raw(batches.delete)
        self.results = async_raw(batches.results)


class AsyncBatchesWithStreamingResponse(Generic[E]):
    def __init__(self, batches: AsyncBatches[E]) -> None:
        self.create = async_streaming(batches.create)
        self.retrieve = async_streaming(batches.retrieve)
        self.list = async_streaming(batches.list)
        self.cancel = async_streaming(batches.cancel)
        self.delete = async_streaming(batches.delete)
        self.results = async_streaming(batches.results)
