"""`client.beta.messages`. SDK-50 to 53, 56, 61."""

# What a call becomes is known to its `Result`, at run time.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from dragoman.client.beta_message_stream import BetaAsyncMessageStreamManager, BetaMessageStreamManager
from dragoman.client.given import Omit, omit
from dragoman.client.parsing import into_parsed
from dragoman.client.raw import async_raw, async_streaming, raw, streaming
from dragoman.client.results import Events, Into
from dragoman.client.stream import AsyncStream, Stream
from dragoman.types.beta import BetaMessage, BetaMessageTokensCount, BetaRawMessageStreamEvent, ParsedBetaMessage
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
    from dragoman.client.tools.runner import (
        BetaAsyncStreamingToolRunner,
        BetaAsyncToolRunner,
        BetaStreamingToolRunner,
        BetaToolRunner,
    )
    from dragoman.types.arguments import (
        BetaMessageCountTokensArguments,
        BetaMessageCreateArguments,
        BetaMessageStreamArguments,
        ToolRunnerArguments,
    )
    from dragoman.types.beta.messages import BetaMessageBatchIndividualResponse
    from dragoman.types.params.request import JSONOutputFormatParam

    Format: TypeAlias = JSONOutputFormatParam | Omit | None

__all__ = ["AsyncBetaMessages", "BetaMessages"]


MESSAGE = Into(BetaMessage)
EVENTS = Events(BetaRawMessageStreamEvent)
COUNT = Into(BetaMessageTokensCount)
ARGUMENTS = "BetaMessageCreateArguments"
PARSE_HELPER = {"x-stainless-helper": "beta.messages.parse"}  # SDK-6


def _create(client: Any, given: Any, output_format: Any, *, stream: bool) -> Call:
    result = EVENTS if stream else MESSAGE
    return calls.create_message(given, result, client._settings, ARGUMENTS, output_format=output_format, stream=stream)


def _stream(client: Any, given: Any, output_format: Any) -> Call:
    return calls.message_stream(given, EVENTS, client._settings, ARGUMENTS, output_format=output_format)


def _parse(client: Any, given: Any, output_format: Any) -> Call:
    return calls.create_message(
        given,
        into_parsed(ParsedBetaMessage, output_format),
        client._settings,
        ARGUMENTS,
        output_format=output_format,
        stream=False,
        method="parse",
        headers=PARSE_HELPER,
    )


def _count_tokens(given: Any, output_format: Any) -> Call:
    return calls.count_tokens(
        given, COUNT, "BetaMessageCountTokensArguments", output_format=output_format, is_beta=True
    )


class BetaMessages(SyncResource):
    @cached_property
    def batches(self) -> Batches[BetaMessageBatchIndividualResponse]:
        return Batches(self._client, is_beta=True)

    @overload
    def create(
        self,
        *,
        stream: Literal[False] | Omit = omit,
        output_format: Format = omit,
        **arguments: Unpack[BetaMessageCreateArguments],
    ) -> BetaMessage: ...
    @overload
    def create(
        self, *, stream: Literal[True], output_format: Format = omit, **arguments: Unpack[BetaMessageCreateArguments]
    ) -> Stream[BetaRawMessageStreamEvent]: ...
    @overload
    def create(
        self, *, stream: bool, output_format: Format = omit, **arguments: Unpack[BetaMessageCreateArguments]
    ) -> BetaMessage | Stream[BetaRawMessageStreamEvent]: ...
    def create(self, *, stream: bool | Omit = omit, output_format: Any = omit, **arguments: Any) -> Any:
        """Ask for a message; with `stream=True` for its events as they come.

        Raises APIStatusError, APIConnectionError and APITimeoutError; ValueError where a whole reply may take longer
        than ten minutes and no `timeout` is given (SDK-21).
        """
        return self._perform(_create(self._client, arguments, output_format, stream=bool(stream)))

    def stream(
        self, *, output_format: type[T] | Omit = omit, **arguments: Unpack[BetaMessageStreamArguments]
    ) -> BetaMessageStreamManager[T]:
        """Ask for a message and follow it: `with client.beta.messages.stream(...) as stream`. See `MessageStream`."""
        call = _stream(self._client, arguments, output_format)
        return BetaMessageStreamManager(lambda: self._client.perform(call), output_format=output_format)

    def parse(
        self, *, output_format: type[T] | Omit = omit, **arguments: Unpack[BetaMessageStreamArguments]
    ) -> ParsedBetaMessage[T]:
        """Ask for a message whose text is JSON of a type, and read it: `message.parsed_output`. SDK-53."""
        return self._perform(_parse(self._client, arguments, output_format))

    def count_tokens(
        self, *, output_format: Any = omit, **arguments: Unpack[BetaMessageCountTokensArguments]
    ) -> BetaMessageTokensCount:
        """How many tokens of input a message would have."""
        return self._perform(_count_tokens(arguments, output_format))

    @overload
    def tool_runner(
        self,
        *,
        tools: Iterable[Any],
        max_iterations: int | Omit = omit,
        run_tools_eagerly: bool = False,
        output_format: type[T] | Omit = omit,
        stream: Literal[False] | Omit = omit,
        **arguments: Unpack[ToolRunnerArguments],
    ) -> BetaToolRunner[T]: ...
    @overload
    def tool_runner(
        self,
        *,
        tools: Iterable[Any],
        max_iterations: int | Omit = omit,
        run_tools_eagerly: bool = False,
        output_format: type[T] | Omit = omit,
        stream: Literal[True],
        **arguments: Unpack[ToolRunnerArguments],
    ) -> BetaStreamingToolRunner[T]: ...
    @overload
    def tool_runner(
        self,
        *,
        tools: Iterable[Any],
        max_iterations: int | Omit = omit,
        run_tools_eagerly: bool = False,
        output_format: type[T] | Omit = omit,
        stream: bool,
        **arguments: Unpack[ToolRunnerArguments],
    ) -> BetaToolRunner[T] | BetaStreamingToolRunner[T]: ...
    def tool_runner(
        self,
        *,
        tools: Iterable[Any],
        max_iterations: int | Omit = omit,
        run_tools_eagerly: bool = False,
        output_format: Any = omit,
        stream: bool | Omit = omit,
        **arguments: Any,
    ) -> Any:
        """Ask, run the tools that the model calls, answer with their results, and so on to the end. SDK-61.

        Iterate over it for each message, or with `stream=True` for each message's stream; `until_done()` gives the
        last one. `max_iterations` bounds the number of requests.
        """
        from dragoman.client.tools import runner

        calls.checked("tool_runner", "ToolRunnerArguments", arguments)
        cls: type[Any] = runner.BetaStreamingToolRunner if stream else runner.BetaToolRunner
        return cls(
            client=self._client,
            params=arguments if output_format is omit else {**arguments, "output_format": output_format},
            tools=tools,
            max_iterations=None if isinstance(max_iterations, Omit) else max_iterations,
            run_tools_eagerly=run_tools_eagerly,
        )

    @cached_property
    def with_raw_response(self) -> BetaMessagesWithRawResponse:
        return BetaMessagesWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> BetaMessagesWithStreamingResponse:
        return BetaMessagesWithStreamingResponse(self)


class BetaMessagesWithRawResponse:
    def __init__(self, messages: BetaMessages) -> None:
        self._messages = messages
        self.create = raw(messages.create)
        self.parse = raw(messages.parse)
        self.count_tokens = raw(messages.count_tokens)

    @property
    def batches(self) -> BatchesWithRawResponse[BetaMessageBatchIndividualResponse]:
        return self._messages.batches.with_raw_response


class BetaMessagesWithStreamingResponse:
    def __init__(self, messages: BetaMessages) -> None:
        self._messages = messages
        self.create = streaming(messages.create)
        self.parse = streaming(messages.parse)
        self.count_tokens = streaming(messages.count_tokens)

    @property
    def batches(self) -> BatchesWithStreamingResponse[BetaMessageBatchIndividualResponse]:
        return self._messages.batches.with_streaming_response


class AsyncBetaMessages(AsyncResource):
    """As BetaMessages, for asyncio."""

    @cached_property
    def batches(self) -> AsyncBatches[BetaMessageBatchIndividualResponse]:
        return AsyncBatches(self._client, is_beta=True)

    @overload
    async def create(
        self,
        *,
        stream: Literal[False] | Omit = omit,
        output_format: Format = omit,
        **arguments: Unpack[BetaMessageCreateArguments],
    ) -> BetaMessage: ...
    @overload
    async def create(
        self, *, stream: Literal[True], output_format: Format = omit, **arguments: Unpack[BetaMessageCreateArguments]
    ) -> AsyncStream[BetaRawMessageStreamEvent]: ...
    @overload
    async def create(
        self, *, stream: bool, output_format: Format = omit, **arguments: Unpack[BetaMessageCreateArguments]
    ) -> BetaMessage | AsyncStream[BetaRawMessageStreamEvent]: ...
    async def create(self, *, stream: bool | Omit = omit, output_format: Any = omit, **arguments: Any) -> Any:
        return await self._perform(_create(self._client, arguments, output_format, stream=bool(stream)))

    def stream(
        self, *, output_format: type[T] | Omit = omit, **arguments: Unpack[BetaMessageStreamArguments]
    ) -> BetaAsyncMessageStreamManager[T]:
        call = _stream(self._client, arguments, output_format)
        return BetaAsyncMessageStreamManager(lambda: self._client.perform(call), output_format=output_format)

    async def parse(
        self, *, output_format: type[T] | Omit = omit, **arguments: Unpack[BetaMessageStreamArguments]
    ) -> ParsedBetaMessage[T]:
        return await self._perform(_parse(self._client, arguments, output_format))

    async def count_tokens(
        self, *, output_format: Any = omit, **arguments: Unpack[BetaMessageCountTokensArguments]
    ) -> BetaMessageTokensCount:
        return await self._perform(_count_tokens(arguments, output_format))

    @overload
    def tool_runner(
        self,
        *,
        tools: Iterable[Any],
        max_iterations: int | Omit = omit,
        run_tools_eagerly: bool = False,
        output_format: type[T] | Omit = omit,
        stream: Literal[False] | Omit = omit,
        **arguments: Unpack[ToolRunnerArguments],
    ) -> BetaAsyncToolRunner[T]: ...
    @overload
    def tool_runner(
        self,
        *,
        tools: Iterable[Any],
        max_iterations: int | Omit = omit,
        run_tools_eagerly: bool = False,
        output_format: type[T] | Omit = omit,
        stream: Literal[True],
        **arguments: Unpack[ToolRunnerArguments],
    ) -> BetaAsyncStreamingToolRunner[T]: ...
    @overload
    def tool_runner(
        self,
        *,
        tools: Iterable[Any],
        max_iterations: int | Omit = omit,
        run_tools_eagerly: bool = False,
        output_format: type[T] | Omit = omit,
        stream: bool,
        **arguments: Unpack[ToolRunnerArguments],
    ) -> BetaAsyncToolRunner[T] | BetaAsyncStreamingToolRunner[T]: ...
    def tool_runner(
        self,
        *,
        tools: Iterable[Any],
        max_iterations: int | Omit = omit,
        run_tools_eagerly: bool = False,
        output_format: Any = omit,
        stream: bool | Omit = omit,
        **arguments: Any,
    ) -> Any:
        from dragoman.client.tools import runner

        calls.checked("tool_runner", "ToolRunnerArguments", arguments)
        cls: type[Any] = runner.BetaAsyncStreamingToolRunner if stream else runner.BetaAsyncToolRunner
        return cls(
            client=self._client,
            params=arguments if output_format is omit else {**arguments, "output_format": output_format},
            tools=tools,
            max_iterations=None if isinstance(max_iterations, Omit) else max_iterations,
            run_tools_eagerly=run_tools_eagerly,
        )

    @cached_property
    def with_raw_response(self) -> AsyncBetaMessagesWithRawResponse:
        return AsyncBetaMessagesWithRawResponse(self)

    @cached_property
    def with_streaming_response(self) -> AsyncBetaMessagesWithStreamingResponse:
        return AsyncBetaMessagesWithStreamingResponse(self)


class AsyncBetaMessagesWithRawResponse:
    def __init__(self, messages: AsyncBetaMessages) -> None:
        self._messages = messages
        self.create = async_raw(messages.create)
        self.parse = async_raw(messages.parse)
        self.count_tokens = async_raw(messages.count_tokens)

    @property
    def batches(self) -> AsyncBatchesWithRawResponse[BetaMessageBatchIndividualResponse]:
        return self._messages.batches.with_raw_response


class AsyncBetaMessagesWithStreamingResponse:
    def __init__(self, messages: AsyncBetaMessages) -> None:
        self._messages = messages
        self.create = async_streaming(messages.create)
        self.parse = async_streaming(messages.parse)
        self.count_tokens = async_streaming(messages.count_tokens)

    @property
    def batches(self) -> AsyncBatchesWithStreamingResponse[BetaMessageBatchIndividualResponse]:
        return self._messages.batches.with_streaming_response
