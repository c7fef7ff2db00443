"""Streams: the events of a reply as they come. STR-50, 51, 59; SDK-26, 50."""

from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from dragoman.wire.sse import EventTooLarge, SSEDecoder

from .exceptions import APIResponseValidationError, status_error
from .guards import OBJECT
from .reply import Response, any_json

__all__ = ["AsyncStream", "Stream"]

T = TypeVar("T")

SHOWN_BYTES = 10_000  # of a reply that is no event stream, in its error


class _Reader(Generic[T]):
    """Pieces of a body -> events. Raises APIStatusError where the stream says `error`, which ends it."""

    def __init__(self, response: Response, read: Callable[[Any], T]) -> None:
        self._response = response
        self._read = read
        self._decoder = SSEDecoder(nameless="")  # "message" is a name that gateways give
        self._before = b""  # the beginning of what came while there was no event
        self._has_event = False
        self.is_over = False  # what came last is the end of a message

    def feed(self, piece: bytes) -> Iterator[T]:
        try:
            events = self._decoder.feed(piece)
        except EventTooLarge as error:
            raise APIResponseValidationError(self._response, None, message=str(error)) from error
        if events:
            self._has_event = True
        elif not self._has_event:
            self._before = (self._before + piece)[:SHOWN_BYTES]
        for name, data, _, _ in events:
            if name == "error":
                raise _stream_error(self._response, data)
            if name == "ping" or not name or not data:
                continue
            yield self._read(self._object(name, data))
        if events:
            self.is_over = events[-1][0] == "message_stop"

    def end(self) -> None:
        """The body is over. Raises APIResponseValidationError when it was something else than events."""
        comments_apart = [line for line in self._before.splitlines() if line.strip() and not line.startswith(b":")]
        if comments_apart and not self._has_event:
            kind = self._response.headers.get("content-type", "none")
            text = self._before.decode("utf-8", "replace")
            raise APIResponseValidationError(
                self._response, text, message=f"The reply is no event stream (content-type: {kind})."
            )

    def _object(self, name: str, data: bytes) -> dict[str, Any]:
        try:
            found = any_json(data)
        except ValueError as error:
            raise self._wrong(data, f"the event {name!r} holds no JSON: {error}") from error
        if type(found) is not OBJECT:
            raise self._wrong(data, f"the event {name!r} holds JSON, but no object")
        return found

    def _wrong(self, data: bytes, message: str) -> APIResponseValidationError:
        return APIResponseValidationError(self._response, data.decode("utf-8", "replace"), message=message)


def _stream_error(response: Response, data: bytes) -> Exception:
    """The status is that of the reply, 200: STR-51."""
    try:
        body = any_json(data)
        return status_error(response, message=str(body), body=body)
    except ValueError:
        text = data.decode("utf-8", "replace")
        return status_error(response, message=text or f"Error code: {response.status_code}", body=text)


class Stream(Generic[T]):
    """Events, one after another. Leaving a `with` block, `close`, the end, or an error frees the connection."""

    def __init__(self, response: Response, read: Callable[[Any], T]) -> None:
        self.response = response
        self._events = _events(response, read)

    def __next__(self) -> T:
        return next(self._events)

    def __iter__(self) -> Iterator[T]:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        response = getattr(self, "response", None)
        if response is not None and not response.is_closed:
            response.close()

    @property
    def request_id(self) -> str | None:
        return self.response.headers.get("request-id")

    def close(self) -> None:
        """Let go of the connection, which ends the reply on the server's side too if it is not over."""
        self.response.close()


def _events(response: Response, read: Callable[[Any], T]) -> Iterator[T]:
    reader = _Reader(response, read)
    try:
        for piece in response.iter_raw():
            yield from reader.feed(piece)
            if response.is_closed and reader.is_over:  # by the caller: the connection has no more to say
                return
        reader.end()
    finally:
        response.close()


class AsyncStream(Generic[T]):
    """As Stream, for asyncio."""

    def __init__(self, response: Response, read: Callable[[Any], T]) -> None:
        self.response = response
        self._events = _async_events(response, read)

    async def __anext__(self) -> T:
        return await anext(self._events)

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def request_id(self) -> str | None:
        return self.response.headers.get("request-id")

    async def close(self) -> None:
        await self.response.aclose()


async def _async_events(response: Response, read: Callable[[Any], T]) -> AsyncIterator[T]:
    reader = _Reader(response, read)
    try:
        async for piece in response.aiter_raw():
            for event in reader.feed(piece):
                yield event
        reader.end()
    finally:
        await response.aclose()
