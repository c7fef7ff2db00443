"""Replies as they came over the wire, beside what they mean: `with_raw_response`, `with_streaming_response`. SDK-42."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from functools import wraps
from os import PathLike
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from .call import Call, Raw
from .reply import Headers, Response, SentRequest
from .results import Binary, Into

__all__ = [
    "APIResponse",
    "AsyncAPIResponse",
    "AsyncBinaryAPIResponse",
    "AsyncOpenResponse",
    "BinaryAPIResponse",
    "OpenResponse",
    "async_raw",
    "async_seen",
    "async_streaming",
    "raw",
    "seen",
    "streaming",
]

T = TypeVar("T")
S = TypeVar("S")
P = ParamSpec("P")


class _Seen(Generic[T]):
    """What all of them show."""

    def __init__(self, call: Call, response: Response, client: Any) -> None:
        self.http_response = response
        self._call = call
        self._client = client
        self._parsed: dict[Any, Any] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [{self.status_code} {self.http_response.reason_phrase}]>"

    @property
    def headers(self) -> Headers:
        return self.http_response.headers

    @property
    def status_code(self) -> int:
        return self.http_response.status_code

    @property
    def request_id(self) -> str | None:
        return self.http_response.headers.get("request-id")

    @property
    def workspace_id(self) -> str | None:
        return self.http_response.headers.get("anthropic-workspace-id")

    @property
    def retries_taken(self) -> int:
        return self.http_response.retries_taken

    @property
    def http_request(self) -> SentRequest:
        return self.http_response.request

    @property
    def http_version(self) -> str:
        return self.http_response.http_version

    @property
    def url(self) -> str:
        return self.http_response.url

    @property
    def method(self) -> str:
        return self.http_response.request.method

    @property
    def elapsed(self) -> timedelta:
        return self.http_response.elapsed

    @property
    def is_closed(self) -> bool:
        return self.http_response.is_closed

    def _result(self, to: Any) -> Any:
        """Made once for each `to`, from a body that has been read, or by reading it for a stream."""
        if to not in self._parsed:
            result = self._call.result if to is None else Into(to)
            self._parsed[to] = result(self._call, self.http_response, self._client)
        return self._parsed[to]


class APIResponse(_Seen[T]):
    """A reply of a blocking client."""

    @overload
    def parse(self) -> T: ...
    @overload
    def parse(self, *, to: type[S]) -> S: ...
    def parse(self, *, to: Any = None) -> Any:
        """What the call without `with_raw_response` would have returned; or the JSON as `to`, a record class."""
        if not self._call.is_stream:
            self.read()
        return self._result(to)

    def read(self) -> bytes:
        return self.http_response.read()

    def text(self) -> str:
        self.read()
        return self.http_response.text

    def json(self) -> Any:
        self.read()
        return self.http_response.json()

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        return self.http_response.iter_bytes(chunk_size)

    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]:
        return self.http_response.iter_text(chunk_size)

    def iter_lines(self) -> Iterator[str]:
        return self.http_response.iter_lines()

    def close(self) -> None:
        self.http_response.close()


class AsyncAPIResponse(_Seen[T]):
    """As APIResponse, for asyncio: what reads the body is awaited."""

    @overload
    async def parse(self) -> T: ...
    @overload
    async def parse(self, *, to: type[S]) -> S: ...
    async def parse(self, *, to: Any = None) -> Any:
        if not self._call.is_stream:
            await self.read()
        return self._result(to)

    async def read(self) -> bytes:
        return await self.http_response.aread()

    async def text(self) -> str:
        await self.read()
        return self.http_response.text

    async def json(self) -> Any:
        await self.read()
        return self.http_response.json()

    def iter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        return self.http_response.aiter_bytes(chunk_size)

    def iter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        return self.http_response.aiter_text(chunk_size)

    def iter_lines(self) -> AsyncIterator[str]:
        return self.http_response.aiter_lines()

    async def close(self) -> None:
        await self.http_response.aclose()


class BinaryAPIResponse(APIResponse[bytes]):
    """A download, read already."""

    @property
    def content(self) -> bytes:
        return self.http_response.content

    def write_to_file(self, file: str | PathLike[str]) -> None:
        with open(file, "wb") as target:
            for piece in self.iter_bytes():
                target.write(piece)

    def stream_to_file(self, file: str | PathLike[str], *, chunk_size: int | None = None) -> None:
        self.write_to_file(file)


class AsyncBinaryAPIResponse(AsyncAPIResponse[bytes]):
    """As BinaryAPIResponse, for asyncio; files are written in a thread."""

    @property
    def content(self) -> bytes:
        return self.http_response.content

    async def write_to_file(self, file: str | PathLike[str]) -> None:
        import asyncio

        with await asyncio.to_thread(open, file, "wb") as target:
            async for piece in self.iter_bytes():
                await asyncio.to_thread(target.write, piece)

    async def stream_to_file(self, file: str | PathLike[str], *, chunk_size: int | None = None) -> None:
        await self.write_to_file(file)


class OpenResponse(Generic[T]):
    """To be entered: `with client.messages.with_streaming_response.create(...) as response`."""

    def __init__(self, ask: Callable[[], APIResponse[T]]) -> None:
        self._ask = ask
        self._response: APIResponse[T] | None = None

    def __enter__(self) -> APIResponse[T]:
        self._response = self._ask()
        return self._response

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._response is not None:
            self._response.close()


class AsyncOpenResponse(Generic[T]):
    """As OpenResponse, for asyncio."""

    def __init__(self, ask: Callable[[], Awaitable[AsyncAPIResponse[T]]]) -> None:
        self._ask = ask
        self._response: AsyncAPIResponse[T] | None = None

    async def __aenter__(self) -> AsyncAPIResponse[T]:
        self._response = await self._ask()
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._response is not None:
            await self._response.close()


def seen(call: Call, response: Response, client: Any) -> APIResponse[Any]:
    """What a caller of `with_raw_response` gets."""
    cls: type[APIResponse[Any]] = BinaryAPIResponse if isinstance(call.result, Binary) else APIResponse
    return cls(call, response, client)


def async_seen(call: Call, response: Response, client: Any) -> AsyncAPIResponse[Any]:
    cls: type[AsyncAPIResponse[Any]] = AsyncBinaryAPIResponse if isinstance(call.result, Binary) else AsyncAPIResponse
    return cls(call, response, client)


def _in(mode: int, method: Any) -> Any:
    """The same method of the same resource, in another mode."""
    return getattr(method.__self__._in_mode(mode), method.__name__)


def raw(method: Callable[P, T]) -> Callable[P, APIResponse[T]]:
    return cast("Callable[P, APIResponse[T]]", _in(Raw.READ, method))


def async_raw(method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[AsyncAPIResponse[T]]]:
    return cast("Callable[P, Awaitable[AsyncAPIResponse[T]]]", _in(Raw.READ, method))


def streaming(method: Callable[P, T]) -> Callable[P, OpenResponse[T]]:
    opened = _in(Raw.OPEN, method)

    @wraps(method)
    def to_be_entered(*args: P.args, **kwargs: P.kwargs) -> OpenResponse[T]:
        return OpenResponse(lambda: opened(*args, **kwargs))

    return to_be_entered


def async_streaming(method: Callable[P, Awaitable[T]]) -> Callable[P, AsyncOpenResponse[T]]:
    opened = _in(Raw.OPEN, method)

    @wraps(method)
    def to_be_entered(*args: P.args, **kwargs: P.kwargs) -> AsyncOpenResponse[T]:
        return AsyncOpenResponse(lambda: opened(*args, **kwargs))

    return to_be_entered
