"""`client.messages`. SDK-50 to 53."""

# What a call becomes is known to its `Result`, at run time.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from dragoman.client.given import Omit, omit
from dragoman.client.message_stream import AsyncMessageStreamManager, MessageStreamManager
from dragoman.client.parsing import into_parsed
from dragoman.client.raw import async_raw, async_streaming, raw, streaming
from dragoman.client.results import Events, Into
from dragoman.client.stream import AsyncStream, Stream
from dragoman.types import Message, MessageTokensCount, ParsedMessage, RawMessageStreamEvent
from dragoman.types.generic import T

from . import calls
from .base import AsyncResource, SyncResource
from .batches import (
    AsyncBatches,
    AsyncBatchesWithRawResponse,
    AsyncBatchesWithStreamingResponse,
    Batches,
    BatchesWithRawResponse,
    BatchesWithStreamingResponse,
)

if TYPE_CHECKING:
    from typing import Unpack

    from dragoman.client.call import Call
    from dragoman.types.arguments import MessageCountTokensArguments, MessageCreateArguments, MessageStreamArguments
    from dragoman.types.messages import MessageBatchIndividualResponse
    from dragoman.types.params.request import JSONOutputFormatParam

    Format: TypeAlias = JSONOutputFormatParam | Omit | None

__all__ = ["AsyncMessages", "Messages"]


MESSAGE = Into(Message)
EVENTS = Events(RawMessageStreamEvent)
COUNT = Into(MessageTokensCount)
ARGUMENTS = "MessageCreateArguments"

PARSE_HELPER = {"x-stainless-helper": "messages.parse"}  # SDK-6


def _create(client: Any, given: Any, output_format: Any, *, stream: bool) -> Call:
    result = EVENTS if stream else MESSAGE
    return calls.create_message(given, result, client._settings, ARGUMENTS, output_format=output_format, stream=stream)


def _stream(client: Any, given: Any, output_format: Any) -> Call:
    return calls.message_stream(given, EVENTS, client._settings, ARGUMENTS, output_format=output_format)


def _parse(client: Any, given: Any, output_format: Any) -> Call:
    return calls.create_message(
        given,
        into_parsed(ParsedMessage, output_format),
        client._settings,
        ARGUMENTS,
        output_format=output_format,
        stream=False,
        method="parse",
        headers=PARSE_HELPER,
    )


def _count_tokens(given: Any, output_format: Any) -> Call:
    return calls.count_tokens(given, COUNT, "MessageCountTokensArguments", output_format=output_format, is_beta=False)


class Messages(SyncResource):
    @cached_property
    def batches(self) -> Batches[MessageBatchIndividualResponse]:
        return Batches(self._client)

    @overload
    def create(
        self,
        *,
        stream: Literal[False] | Omit = omit,
        output_format: Format = omit,
        **arguments: Unpack[MessageCreateArguments],
    ) -> Message: ...
    @overload
    def create(
        self, *, stream: Literal[True], output_format: Format = omit, **arguments: Unpack[MessageCreateArguments]
    ) -> Stream[RawMessageStreamEvent]: ...
    @overload
    def create(
        self, *, stream: bool, output_format: Format = omit, **arguments: Unpack[MessageCreateArguments]
    ) -> Message | Stream[RawMessageStreamEvent]: ...
    def create(self, *, stream: bool | Omit = omit, output_format: Any = omit, **arguments: Any) -> Any:
        """Ask for a message; with `stream=True` for its events as they come.

        Raises APIStatusError, APIConnectionError and APITimeoutError; ValueError where a whole reply may take longer
        than ten minutes and no `timeout` is given (SDK-21).
        """
        return self._perform(_create(self._client, arguments, output_format, stream=bool(stream)))

    def stream(
        self, *, output_format: type[T] | Omit = omit, **arguments: Unpack[MessageStreamArguments]
    ) -> MessageStreamManager[T]:
        """Ask for a message and follow it: `with client.messages.stream(...) as stream`. See `MessageStream`."""
        call = _stream(self._client, arguments, output_format)
        return MessageStreamManager(lambda: self._client.perform(call), output_format=output_format)

    def parse(
        self, *, output_format: type[T] | Omit = omit, **arguments: Unpack[MessageStreamArguments]
    ) -> ParsedMessage[T]:
        """Ask for a message whose text is JSON of a type, and read it: `message.parsed_output`. SDK-53."""
        return self._perform(_parse(self._client, arguments, output_format))

    def count_tokens(
        self, *, output_format: Any = omit, **arguments: Unpack[MessageCountTokensArguments]
    ) -> MessageTokensCount:
        """How many tokens of input a message would have."""
        return self._perform(_count_tokens(arguments, output_format))

    @cached_property
    def with_raw_response(self) -> MessagesWithRawResponse:
        return MessagesWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> MessagesWithStreamingResponse:
        return MessagesWithStreamingResponse(self)


class MessagesWithRawResponse:
    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self.create = raw(messages.create)
        self.parse = raw(messages.parse)
        self.count_tokens = raw(messages.count_tokens)

    @property
    def batches(self) -> BatchesWithRawResponse[MessageBatchIndividualResponse]:
        return self._messages.batches.with_raw_response


class MessagesWithStreamingResponse:
    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self.create = streaming(messages.create)
        self.parse = streaming(messages.parse)
        self.count_tokens = streaming(messages.count_tokens)

    @property
    def batches(self) -> BatchesWithStreamingResponse[MessageBatchIndividualResponse]:
        return self._messages.batches.with_streaming_response


class AsyncMessages(AsyncResource):
    """As Messages, for asyncio."""

    @cached_property
    def batches(self) -> AsyncBatches[MessageBatchIndividualResponse]:
        return AsyncBatches(self._client)

    @overload
    async def create(
        self,
        *,
        stream: Literal[False] | Omit = omit,
        output_format: Format = omit,
        **arguments: Unpack[MessageCreateArguments],
    ) -> Message: ...
    @overload
    async def create(
        self, *, stream: Literal[True], output_format: Format = omit, **arguments: Unpack[MessageCreateArguments]
    ) -> AsyncStream[RawMessageStreamEvent]: ...
    @overload
    async def create(
        self, *, stream: bool, output_format: Format = omit, **arguments: Unpack[MessageCreateArguments]
    ) -> Message | AsyncStream[RawMessageStreamEvent]: ...
    async def create(self, *, stream: bool | Omit = omit, output_format: Any = omit, **arguments: Any) -> Any:
        return await self._perform(_create(self._client, arguments, output_format, stream=bool(stream)))

    def stream(
        self, *, output_format: type[T] | Omit = omit, **arguments: Unpack[MessageStreamArguments]
    ) -> AsyncMessageStreamManager[T]:
        call = _stream(self._client, arguments, output_format)
        return AsyncMessageStreamManager(lambda: self._client.perform(call), output_format=output_format)

    async def parse(
        self, *, output_format: type[T] | Omit = omit, **arguments: Unpack[MessageStreamArguments]
    ) -> ParsedMessage[T]:
        return await self._perform(_parse(self._client, arguments, output_format))

    async def count_tokens(
        self, *, output_format: Any = omit, **arguments: Unpack[MessageCountTokensArguments]
    ) -> MessageTokensCount:
        return await self._perform(_count_tokens(arguments, output_format))

    @cached_property
    def with_raw_response(self) -> AsyncMessagesWithRawResponse:
        return AsyncMessagesWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> AsyncMessagesWithStreamingResponse:
        return AsyncMessagesWithStreamingResponse(self)


class AsyncMessagesWithRawResponse:
    def __init__(self, messages: AsyncMessages) -> None:
        self._messages = messages
        self.create = async_raw(messages.create)
        self.parse = async_raw(messages.parse)
        self.count_tokens = async_raw(messages.count_tokens)

    @property
    def batches(self) -> AsyncBatchesWithRawResponse[MessageBatchIndividualResponse]:
        return self._messages.batches.with_raw_response


class AsyncMessagesWithStreamingResponse:
    def __init__(self, messages: AsyncMessages) -> None:
        self._messages = messages
        self.create = async_streaming(messages.create)
        self.parse = async_streaming(messages.parse)
        self.count_tokens = async_streaming(messages.count_tokens)

    @property
    def batches(self) -> AsyncBatchesWithStreamingResponse[MessageBatchIndividualResponse]:
        return self._messages.batches.with_streaming_response
