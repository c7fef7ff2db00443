"""What the reply to a call becomes: a record, a page, a stream, lines, bytes. Each is a `Result` of a Call."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, TypeVar, cast

from .call import Call
from .exceptions import APIResponseValidationError
from .guards import is_list
from .record import Reader, Record, read_as, reader_of
from .reply import Response, any_json
from .stream import AsyncStream, Stream

__all__ = ["AsyncLines", "Binary", "Events", "Into", "JsonLines", "Lines", "Page"]

T = TypeVar("T")


def json_of(response: Response) -> Any:
    """The body as JSON, whatever its content-type says. Raises APIResponseValidationError."""
    try:
        return response.json()
    except ValueError as error:
        kind = response.headers.get("content-type", "none")
        raise APIResponseValidationError(
            response, response.text, message=f"The reply is no JSON (content-type: {kind}). {error}"
        ) from error


class Into:
    """The body's JSON as what an annotation says: a record class, a union, a list, or `object` for plain JSON."""

    __slots__ = ("_annotation", "_post")

    def __init__(self, annotation: Any, post: Any = None) -> None:
        self._annotation = annotation
        self._post = post  # record -> record: what parsing an output format adds

    def __call__(self, call: Call, response: Response, client: Any) -> Any:
        annotation = self._annotation
        if annotation is str:
            return response.text
        if annotation is bytes:
            return response.content
        if annotation is type(None):
            return None
        if annotation is Response or _is_of_httpx(annotation):
            return response
        value = json_of(response)
        found = read_as(annotation, value)
        if isinstance(found, Record):
            found._request_id = response.headers.get("request-id")
        elif isinstance(annotation, type) and issubclass(annotation, Record):
            raise APIResponseValidationError(response, value, message="The reply is JSON, but no object.")
        return found if self._post is None else self._post(found)


def _is_of_httpx(annotation: Any) -> bool:
    """The Response of httpx or httpx2: what is asked for is as good as one."""
    return getattr(annotation, "__name__", "") == "Response" and annotation.__module__.startswith("httpx")


def _as_it_is(value: Any) -> Any:
    return value


class Events:
    """A stream of server-sent events, each as what an annotation says."""

    __slots__ = ("_annotation",)

    def __init__(self, annotation: Any) -> None:
        self._annotation = annotation

    def __call__(self, call: Call, response: Response, client: Any) -> Any:
        read: Reader = reader_of(self._annotation) or _as_it_is
        return AsyncStream(response, read) if client._is_async else Stream(response, read)


class Page:
    """A page of a list, which knows how to ask for the next one."""

    __slots__ = ("_async_page", "_item", "_page")

    def __init__(self, page: type[Record], async_page: type[Record], item: Any) -> None:
        self._page = page
        self._async_page = async_page
        self._item = item

    def __call__(self, call: Call, response: Response, client: Any) -> Any:
        page = Into(self._async_page if client._is_async else self._page)(call, response, client)
        read: Reader = reader_of(self._item) or _as_it_is
        items: Any = page.__dict__.get("data") or ()
        if not is_list(items):
            raise APIResponseValidationError(response, page.to_dict(), message="The reply is a page without a list.")
        page.data = [read(item) for item in items]
        page._next = (client, call)
        return page


class JsonLines:
    """A body of JSON Lines, each as what an annotation says, read as they come."""

    __slots__ = ("_annotation",)

    def __init__(self, annotation: Any) -> None:
        self._annotation = annotation

    def __call__(self, call: Call, response: Response, client: Any) -> Any:
        read: Reader = reader_of(self._annotation) or _as_it_is
        cls: type[AsyncLines[Any] | Lines[Any]] = AsyncLines if client._is_async else Lines
        return cls(response, read)


class Lines(Generic[T]):
    """Results, one after another. To its end, or to `close`, it holds a connection."""

    def __init__(self, response: Response, read: Any) -> None:
        self.http_response = response
        self._items = self._read(read)

    def __next__(self) -> T:
        return next(self._items)

    def __iter__(self) -> Iterator[T]:
        return self._items

    def close(self) -> None:
        self.http_response.close()

    def _read(self, read: Any) -> Iterator[T]:
        for line in self.http_response.iter_lines():
            if line.strip():
                yield cast(T, read(_json_line(self.http_response, line)))


class AsyncLines(Generic[T]):
    """As Lines, for asyncio."""

    def __init__(self, response: Response, read: Any) -> None:
        self.http_response = response
        self._items = self._read(read)

    async def __anext__(self) -> T:
        return await anext(self._items)

    def __aiter__(self) -> AsyncIterator[T]:
        return self._items

    async def close(self) -> None:
        await self.http_response.aclose()

    async def _read(self, read: Any) -> AsyncIterator[T]:
        async for line in self.http_response.aiter_lines():
            if line.strip():
                yield cast(T, read(_json_line(self.http_response, line)))


def _json_line(response: Response, line: str) -> Any:
    try:
        return any_json(line.encode())
    except ValueError as error:
        raise APIResponseValidationError(response, line, message=f"A line of the reply is no JSON. {error}") from error


class Binary:
    """The body as bytes: the response itself, with what one does with a download."""

    def __call__(self, call: Call, response: Response, client: Any) -> Any:
        from .raw import AsyncBinaryAPIResponse, BinaryAPIResponse

        cls = AsyncBinaryAPIResponse if client._is_async else BinaryAPIResponse
        return cls(call, response, client)
