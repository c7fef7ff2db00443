"""Lists that come in pages. Iterating one asks for the next when it is due. SDK-43."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any, Generic, Self, TypeVar

from .call import Call
from .given import NOT_GIVEN
from .record import Record

__all__ = ["AsyncPage", "AsyncPageCursor", "AsyncPages", "PageInfo", "SyncPage", "SyncPageCursor"]

T = TypeVar("T")


class PageInfo:
    """What to ask for the next page: query parameters over those of this one. (`url` and `json` are never given.)"""

    def __init__(self, *, url: Any = NOT_GIVEN, json: Any = NOT_GIVEN, params: Any = NOT_GIVEN) -> None:
        self.url = url
        self.json = json
        self.params = params

    def __repr__(self) -> str:
        return f"PageInfo(params={self.params!r})"


class _Page(Record, Generic[T]):
    __slots__ = ("_next",)

    _next: tuple[Any, Call]  # the client and the call that it came from
    data: list[T]

    def next_page_info(self) -> PageInfo | None:
        raise NotImplementedError

    def has_next_page(self) -> bool:
        return bool(self.data) and self.next_page_info() is not None

    def _next_call(self) -> Call:
        """Raises RuntimeError on the last page."""
        info = self.next_page_info()
        if info is None:
            raise RuntimeError("this is the last page; ask has_next_page() before")
        _, call = self._next
        query: dict[str, Any] = {**(call.query or {}), **info.params}
        return Call(
            call.method,
            call.path,
            call.result,
            query=query,
            headers=call.headers,
            timeout=call.timeout,
            max_retries=call.max_retries,
        )


class _ById(_Page[T], Generic[T]):
    """Pages that are cut at ids: forward from the last one, or back from the first if one asked for what is before."""

    has_more: bool | None = None
    first_id: str | None = None
    last_id: str | None = None

    def has_next_page(self) -> bool:
        return self.has_more is not False and super().has_next_page()

    def next_page_info(self) -> PageInfo | None:
        _, call = self._next
        if (call.query or {}).get("before_id"):
            return PageInfo(params={"before_id": self.first_id}) if self.first_id else None
        return PageInfo(params={"after_id": self.last_id}) if self.last_id else None


class _ByCursor(_Page[T], Generic[T]):
    next_page: str | None = None

    def has_next_page(self) -> bool:
        return self.next_page_info() is not None

    def next_page_info(self) -> PageInfo | None:
        return PageInfo(params={"page": self.next_page}) if self.next_page else None


class _Sync(_Page[T], Generic[T]):
    def __iter__(self) -> Iterator[T]:  # type: ignore[override]
        """The items of this page and of all that follow."""
        for page in self.iter_pages():
            yield from page.data

    def iter_pages(self) -> Iterator[Self]:
        page = self
        while True:
            yield page
            if not page.has_next_page():
                return
            page = page.get_next_page()

    def get_next_page(self) -> Self:
        client, _ = self._next
        page: Self = client.perform(self._next_call())
        return page


class _Async(_Page[T], Generic[T]):
    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.iter_pages():
            for item in page.data:
                yield item

    async def iter_pages(self) -> AsyncIterator[Self]:
        page = self
        while True:
            yield page
            if not page.has_next_page():
                return
            page = await page.get_next_page()

    async def get_next_page(self) -> Self:
        client, _ = self._next
        page: Self = await client.perform(self._next_call())
        return page


class SyncPage(_Sync[T], _ById[T], Generic[T]):
    pass


class AsyncPage(_Async[T], _ById[T], Generic[T]):
    pass


class SyncPageCursor(_Sync[T], _ByCursor[T], Generic[T]):
    pass


class AsyncPageCursor(_Async[T], _ByCursor[T], Generic[T]):
    pass


P = TypeVar("P", bound=_Async[Any])


class AsyncPages(Generic[T, P]):
    """What a list of an asyncio client returns: await it for the first page, or iterate over all items."""

    def __init__(self, client: Any, call: Call, mode: int) -> None:
        self._client = client
        self._call = call
        self._mode = mode

    def __await__(self) -> Generator[Any, None, P]:
        page: Generator[Any, None, P] = self._client.perform(self._call, self._mode).__await__()
        return page

    async def __aiter__(self) -> AsyncIterator[T]:
        page = await self
        async for item in page:
            yield item
