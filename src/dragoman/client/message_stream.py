"""`messages.stream(...)`: events with what has grown so far, text alone, and the message at the end. STR-56 to 60."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from .fold import PLAIN, Fold, Shapes
from .given import omit
from .reply import Response
from .stream import AsyncStream, Stream

__all__ = ["AsyncMessageStream", "AsyncMessageStreamManager", "MessageStream", "MessageStreamManager"]

T = TypeVar("T")
FINE_GRAINED = "fine-grained-tool-streaming-2025-05-14"


class _Stream(Generic[T]):
    """What both show. `response` is the reply, `request_id` its id."""

    def __init__(self, raw: Any, output_format: Any = omit, *, shapes: Shapes = PLAIN) -> None:
        self._raw_stream = raw
        betas = raw.response.request.headers.get("anthropic-beta", "")
        self._fold = Fold(shapes, output_format=output_format, keep_cut_text=FINE_GRAINED in betas)

    @property
    def response(self) -> Response:
        response: Response = self._raw_stream.response
        return response

    @property
    def request_id(self) -> str | None:
        return self.response.headers.get("request-id")

    @property
    def workspace_id(self) -> str | None:
        return self.response.headers.get("anthropic-workspace-id")

    @property
    def current_message_snapshot(self) -> Any:
        """The message as far as it has come. Raises AssertionError before it has begun."""
        message = self._fold.message
        assert message is not None, "the stream has not begun a message yet"
        return message

    def _text(self) -> str:
        """Raises RuntimeError when the message has no text."""
        message = self.current_message_snapshot
        texts = [block.text for block in message.content if block.type == "text"]
        if not texts:
            kinds = ", ".join(block.type for block in message.content) or "none"
            raise RuntimeError(f"the message has no text; its content blocks: {kinds}")
        return "".join(texts)


class MessageStream(_Stream[T], Generic[T]):
    """Iterate over its events, or over `text_stream`; or ask for the end at once. One pass, whoever makes it."""

    text_stream: Iterator[str]

    def __init__(self, raw: Stream[Any], output_format: Any = omit, *, shapes: Shapes = PLAIN) -> None:
        super().__init__(raw, output_format, shapes=shapes)
        self._events = self._all_events()
        self.text_stream = self._texts()

    def __next__(self) -> Any:
        return next(self._events)

    def __iter__(self) -> Iterator[Any]:
        return self._events

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection, which ends the reply on the server's side too if it is not over."""
        self._raw_stream.close()

    def until_done(self) -> None:
        """Read to the end."""
        for _ in self._events:
            pass

    def get_final_message(self) -> Any:
        """The whole message, once it is there."""
        self.until_done()
        return self.current_message_snapshot

    def get_final_text(self) -> str:
        """The text of all its text blocks, once it is there. Raises RuntimeError when there is none."""
        self.until_done()
        return self._text()

    def _all_events(self) -> Iterator[Any]:
        for event in self._raw_stream:
            yield from self._fold.take(event)

    def _texts(self) -> Iterator[str]:
        for event in self._events:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                yield event.delta.text


class AsyncMessageStream(_Stream[T], Generic[T]):
    """As MessageStream, for asyncio."""

    text_stream: AsyncIterator[str]

    def __init__(self, raw: AsyncStream[Any], output_format: Any = omit, *, shapes: Shapes = PLAIN) -> None:
        super().__init__(raw, output_format, shapes=shapes)
        self._events = self._all_events()
        self.text_stream = self._texts()

    async def __anext__(self) -> Any:
        return await anext(self._events)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._events

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._raw_stream.close()

    async def until_done(self) -> None:
        async for _ in self._events:
            pass

    async def get_final_message(self) -> Any:
        await self.until_done()
        return self.current_message_snapshot

    async def get_final_text(self) -> str:
        await self.until_done()
        return self._text()

    async def _all_events(self) -> AsyncIterator[Any]:
        async for event in self._raw_stream:
            for each in self._fold.take(event):
                yield each

    async def _texts(self) -> AsyncIterator[str]:
        async for event in self._events:
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                yield event.delta.text


class MessageStreamManager(Generic[T]):
    """To be entered: the request goes out then. Leaving the block closes the stream."""

    def __init__(self, ask: Callable[[], Stream[Any]], *, output_format: Any = omit, shapes: Shapes = PLAIN) -> None:
        self._ask = ask
        self._shapes = shapes
        self._output_format = output_format
        self._stream: MessageStream[T] | None = None

    def __enter__(self) -> MessageStream[T]:
        self._stream = MessageStream(self._ask(), self._output_format, shapes=self._shapes)
        return self._stream

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()


class AsyncMessageStreamManager(Generic[T]):
    """As MessageStreamManager, for asyncio."""

    def __init__(
        self, ask: Callable[[], Awaitable[AsyncStream[Any]]], *, output_format: Any = omit, shapes: Shapes = PLAIN
    ) -> None:
        self._ask = ask
        self._shapes = shapes
        self._output_format = output_format
        self._stream: AsyncMessageStream[T] | None = None

    async def __aenter__(self) -> AsyncMessageStream[T]:
        self._stream = AsyncMessageStream(await self._ask(), self._output_format, shapes=self._shapes)
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            await self._stream.close()
