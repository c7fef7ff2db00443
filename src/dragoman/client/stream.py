"""Streams: the events of a reply as they come. STR-50, 51, 59; SDK-26, 50."""

from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec

from dragoman.wire.sse import EventTooLarge, SSEDecoder

from .exceptions import APIResponseValidationError, status_error
from .reply import Response

__all__ = ["AsyncStream", "Stream"]

T = TypeVar("T")


class _Reader(Generic[T]):
    """Pieces of a body -> events. Raises APIStatusError where the stream says `error`, which ends it."""

    def __init__(self, response: Response, read: Callable[[Any], T]) -> None:
        self._response = response
        self._read = read
        self._decoder = SSEDecoder()

    def feed(self, piece: bytes) -> Iterator[T]:
        try:
            events = self._decoder.feed(piece)
        except EventTooLarge as error:
            raise APIResponseValidationError(self._response, None, message=str(error)) from error
        for name, data, _, _ in events:
            if name == "error":
                raise _stream_error(self._response, data)
            if name in ("ping", "message") or not data:  # "message" is an event without a name
                continue
            yield self._read(self._json(name, data))

    def _json(self, name: str, data: bytes) -> Any:
        try:
            return msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            text = data.decode("utf-8", "replace")
            raise APIResponseValidationError(
                self._response, text, message=f"the event {name!r} holds no JSON: {error}"
            ) from error


def _stream_error(response: Response, data: bytes) -> Exception:
    """The status is that of the reply, 200: STR-51."""
    try:
        body = msgspec.json.decode(data)
        return status_error(response, message=str(body), body=body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
    finally:
        await response.aclose()
