"""`messages.stream(...)`: events with what has grown so far, text alone, and the message at the end. STR-56 to 60."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

from dragoman.types.events import ParsedMessageStreamEvent
from dragoman.types.generic import T
from dragoman.types.replies import ParsedMessage

from .exceptions import APIResponseValidationError
from .fold import PLAIN, Fold, Shapes
from .given import omit
from .reply import Response
from .stream import AsyncStream, Stream

__all__ = [
    "AsyncFollowed",
    "AsyncManager",
    "AsyncMessageStream",
    "AsyncMessageStreamManager",
    "Followed",
    "Manager",
    "MessageStream",
    "MessageStreamManager",
]

M = TypeVar("M")  # the message that grows
E = TypeVar("E")  # what is iterated over
S = TypeVar("S", bound="Followed[Any, Any]")
A = TypeVar("A", bound="AsyncFollowed[Any, Any]")
FINE_GRAINED = "fine-grained-tool-streaming-2025-05-14"


class _Stream(Generic[M]):
    """What both show. `response` is the reply, `request_id` its id."""

    _shapes: ClassVar[Shapes] = PLAIN

    def __init__(self, raw: Any, output_format: Any = omit) -> None:
        self._raw_stream = raw
        betas = raw.response.request.headers.get("anthropic-beta", "")
        self._fold = Fold(self._shapes, output_format=output_format, keep_cut_text=FINE_GRAINED in betas)

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
    def current_message_snapshot(self) -> M:
        """The message as far as it has come. Raises AssertionError before it has begun."""
        message: M | None = self._fold.message
        assert message is not None, "the stream has not begun a message yet"
        return message

    def _whole(self) -> M:
        """To be asked for at the end. Raises APIResponseValidationError when no message has begun until then."""
        message: M | None = self._fold.message
        if message is None:
            raise APIResponseValidationError(self.response, None, message="The stream ended before any message.")
        return message

    def _text(self) -> str:
        """Raises RuntimeError when the message has no text."""
        message: Any = self._whole()
        kinds = [getattr(block, "type", None) for block in message.content]
        texts = [block.text for block, kind in zip(message.content, kinds, strict=True) if kind == "text"]
        if not texts:
            raise RuntimeError(f"the message has no text; its content blocks: {', '.join(map(str, kinds)) or 'none'}")
        return "".join(texts)


def _text_of(event: Any) -> str | None:
    """What a `text_delta` brings; None for any other event."""
    if getattr(event, "type", None) != "content_block_delta":
        return None
    delta = getattr(event, "delta", None)
    return getattr(delta, "text", None) if getattr(delta, "type", None) == "text_delta" else None


class Followed(_Stream[M], Generic[M, E]):
    """Iterate over its events, or over `text_stream`; or ask for the end at once. One pass, whoever makes it."""

    text_stream: Iterator[str]

    def __init__(self, raw: Stream[Any], output_format: Any = omit) -> None:
        super().__init__(raw, output_format)
        self._events = self._all_events()
        self.text_stream = self._texts()

    def __next__(self) -> E:
        return next(self._events)

    def __iter__(self) -> Iterator[E]:
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

    def get_final_message(self) -> M:
        """The whole message, once it is there. Raises APIResponseValidationError when there is none."""
        self.until_done()
        return self._whole()

    def get_final_text(self) -> str:
        """The text of all its text blocks, once it is there. Raises RuntimeError when there is none."""
        self.until_done()
        return self._text()

    def _all_events(self) -> Iterator[E]:
        for event in self._raw_stream:
            yield from self._fold.take(event)

    def _texts(self) -> Iterator[str]:
        for event in self._events:
            if (text := _text_of(event)) is not None:
                yield text


class AsyncFollowed(_Stream[M], Generic[M, E]):
    """As Followed, for asyncio."""

    text_stream: AsyncIterator[str]

    def __init__(self, raw: AsyncStream[Any], output_format: Any = omit) -> None:
        super().__init__(raw, output_format)
        self._events = self._all_events()
        self.text_stream = self._texts()

    async def __anext__(self) -> E:
        return await anext(self._events)

    def __aiter__(self) -> AsyncIterator[E]:
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

    async def get_final_message(self) -> M:
        await self.until_done()
        return self._whole()

    async def get_final_text(self) -> str:
        await self.until_done()
        return self._text()

    async def _all_events(self) -> AsyncIterator[E]:
        async for event in self._raw_stream:
            for each in self._fold.take(event):
                yield each

    async def _texts(self) -> AsyncIterator[str]:
        async for event in self._events:
            if (text := _text_of(event)) is not None:
                yield text


class Manager(Generic[S]):
    """To be entered: the request goes out then. Leaving the block closes the stream."""

    _makes: ClassVar[Any]

    def __init__(self, ask: Callable[[], Stream[Any]], *, output_format: Any = omit) -> None:
        self._ask = ask
        self._output_format = output_format
        self._stream: S | None = None

    def __enter__(self) -> S:
        stream: S = self._makes(self._ask(), self._output_format)
        self._stream = stream
        return stream

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()


class AsyncManager(Generic[A]):
    """As Manager, for asyncio."""

    _makes: ClassVar[Any]

    def __init__(self, ask: Callable[[], Awaitable[AsyncStream[Any]]], *, output_format: Any = omit) -> None:
        self._ask = ask
        self._output_format = output_format
        self._stream: A | None = None

    async def __aenter__(self) -> A:
        stream: A = self._makes(await self._ask(), self._output_format)
        self._stream = stream
        return stream

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            await self._stream.close()


class MessageStream(Followed[ParsedMessage[T], ParsedMessageStreamEvent[T]], Generic[T]):
    """What `with client.messages.stream(...)` gives. T is the type of `output_format`, None without one."""


class AsyncMessageStream(AsyncFollowed[ParsedMessage[T], ParsedMessageStreamEvent[T]], Generic[T]):
    """As MessageStream, for asyncio."""


class MessageStreamManager(Manager[MessageStream[T]], Generic[T]):
    _makes = MessageStream


class AsyncMessageStreamManager(AsyncManager[AsyncMessageStream[T]], Generic[T]):
    _makes = AsyncMessageStream
