"""An HTTP request that was sent, and its reply: what errors and raw responses show of them.

Named and shaped as in httpx, so that programs which look at `error.response` need not know whose it is.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from time import monotonic
from typing import Any

import msgspec

from dragoman.http.base import Request, SyncResponse, TimedOut, TransportError
from dragoman.http.base import Response as AsyncReply

from .exceptions import APIConnectionError, APITimeoutError

__all__ = ["Headers", "Response", "SentRequest", "any_json", "connection_error"]

CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
ANY_SIZE = 1 << 62
SECRETS = frozenset({"authorization", "proxy-authorization", "x-api-key", "cookie", "set-cookie"})  # left out of a repr


class Headers(Mapping[str, str]):
    """Header lines, found by name in any case. A name that came several times has its values joined by commas."""

    __slots__ = ("raw",)

    def __init__(self, lines: list[tuple[str, str]]) -> None:
        self.raw = lines

    def __getitem__(self, name: str) -> str:
        values = self.get_list(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self.raw))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self.raw})

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_list(name))

    def __repr__(self) -> str:
        return f"Headers({[(name, '[secret]' if name.lower() in SECRETS else value) for name, value in self.raw]})"

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:
        """The values of all lines of a name; with `split_commas` of the lists in them too."""
        key = key.lower()
        values = [value for name, value in self.raw if name.lower() == key]
        return [part.strip() for value in values for part in value.split(",")] if split_commas else values

    def multi_items(self) -> list[tuple[str, str]]:
        return list(self.raw)


class SentRequest:
    """What went out. Its headers hold the key; its repr does not."""

    __slots__ = ("content", "headers", "method", "url")

    def __init__(self, request: Request) -> None:
        self.method = request.method
        self.url = request.url
        self.headers = Headers(request.headers)
        self.content = request.body

    def read(self) -> bytes:
        return self.content

    def __repr__(self) -> str:
        return f"<Request({self.method!r}, {self.url!r})>"


class Response:
    """A reply. Its body is read already, or waits to be: by `read` and `iter_bytes` where the client is a blocking
    one, by `aread` and `aiter_bytes` where it is not. Reading raises APIConnectionError and APITimeoutError.
    """

    http_version = "HTTP/1.1"
    _loop: Any = None  # the event loop that an unread body belongs to; None for threads

    def __init__(
        self,
        request: Request,
        reply: "SyncResponse | AsyncReply",
        *,
        started: float,
        retries_taken: int = 0,
    ) -> None:
        self.status_code = reply.status
        self.headers = Headers(reply.headers)
        self.retries_taken = retries_taken
        self.is_closed = False
        self.is_stream_consumed = False
        self._sent = request
        self._reply: Any = reply  # of the kind that the client has; None in a pickled copy
        self._content: bytes | None = None
        self._started = started  # seconds, monotonic
        self._elapsed_s: float | None = None

    def __getstate__(self) -> dict[str, Any]:
        """An error is pickled with its response; a connection stays in its process."""
        return {**self.__dict__, "_reply": None, "_loop": None, "is_closed": True}

    def __del__(self) -> None:
        """A body that nobody can read any more would hold its connection."""
        reply = getattr(self, "_reply", None)
        if reply is None or self.is_closed:
            return
        if not hasattr(reply, "aclose"):
            reply.close()
        elif self._loop is not None:
            with suppress(RuntimeError):  # the loop has been closed, and its connections with it
                self._loop.call_soon_threadsafe(_close_soon, self._loop, reply)

    def __repr__(self) -> str:
        return f"<Response [{self.status_code} {self.reason_phrase}]>"

    @property
    def request(self) -> SentRequest:
        return SentRequest(self._sent)

    @property
    def url(self) -> str:
        return self._sent.url

    @property
    def reason_phrase(self) -> str:
        try:
            return HTTPStatus(self.status_code).phrase
        except ValueError:
            return ""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code <= 299

    @property
    def is_informational(self) -> bool:
        return self.status_code <= 199

    @property
    def is_redirect(self) -> bool:
        return 300 <= self.status_code <= 399

    @property
    def is_error(self) -> bool:
        return self.status_code >= 400

    @property
    def is_client_error(self) -> bool:
        return 400 <= self.status_code <= 499

    @property
    def is_server_error(self) -> bool:
        return self.status_code >= 500

    @property
    def elapsed(self) -> timedelta:
        """From sending to the end of the body. Raises RuntimeError before that."""
        if self._elapsed_s is None:
            raise RuntimeError("the reply has not been read yet")
        return timedelta(seconds=self._elapsed_s)

    # -- the body, once it is here --

    @property
    def content(self) -> bytes:
        """Raises RuntimeError when the body has not been read."""
        if self._content is None:
            raise RuntimeError("the body has not been read; call read(), or aread() of an asynchronous client")
        return self._content

    @property
    def text(self) -> str:
        found = CHARSET.search(self.headers.get("content-type", ""))
        charset = found[1] if found else "utf-8"
        if charset.lower().endswith("escape"):  # of Python's literals: it would warn of the body
            charset = "utf-8"
        try:
            return self.content.decode(charset, "replace")
        except (LookupError, UnicodeError):  # unknown to Python; or one such as "idna", which replaces nothing
            return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        return any_json(self.content)

    def finish(self, content: bytes) -> None:
        """The body is here; the drivers say so."""
        self._content = content
        self._ended()

    def _ended(self) -> None:
        self.is_closed = self.is_stream_consumed = True
        self._elapsed_s = monotonic() - self._started

    # -- the body on its way: threads --

    def read(self) -> bytes:
        if self._content is None:
            self._must_be_unread()
            try:
                self.finish(self._reply.read(ANY_SIZE))
            except TransportError as error:
                self.is_closed = True
                raise connection_error(error, self._sent) from error
        return self.content

    def iter_raw(self) -> Iterator[bytes]:
        """The body as it comes: what has arrived, in one piece."""
        if self._content is not None:
            yield self._content
            return
        self._must_be_unread()
        self.is_stream_consumed = True
        try:
            yield from self._reply.pieces()
        except TransportError as error:
            raise connection_error(error, self._sent) from error
        finally:
            self.close()
        self._ended()

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The body in pieces: of `chunk_size` bytes each but the last, or as they come."""
        if chunk_size is None:
            yield from self.iter_raw()
            return
        cutter = _Cutter(chunk_size)
        for piece in self.iter_raw():
            yield from cutter.feed(piece)
        yield from cutter.rest()

    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]:
        decode = _text_decoder()
        for piece in self.iter_bytes(chunk_size):
            if text := decode(piece):
                yield text
        if text := decode(b"", True):
            yield text

    def iter_lines(self) -> Iterator[str]:
        lines = _Lines()
        for piece in self.iter_raw():
            yield from lines.feed(piece)
        yield from lines.rest()

    def close(self) -> None:
        """Let go of the connection; at once if the body has not been read to its end."""
        self.is_closed = True
        if self._reply is not None:
            self._reply.close()

    # -- the body on its way: asyncio --

    async def aread(self) -> bytes:
        if self._content is None:
            self._must_be_unread()
            try:
                self.finish(await self._reply.read(ANY_SIZE))
            except TransportError as error:
                self.is_closed = True
                raise connection_error(error, self._sent) from error
        return self.content

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        if self._content is not None:
            yield self._content
            return
        self._must_be_unread()
        self.is_stream_consumed = True
        try:
            async for piece in self._reply.pieces():
                yield piece
        except TransportError as error:
            raise connection_error(error, self._sent) from error
        finally:
            await self.aclose()
        self._ended()

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        if chunk_size is None:
            async for piece in self.aiter_raw():
                yield piece
            return
        cutter = _Cutter(chunk_size)
        async for piece in self.aiter_raw():
            for part in cutter.feed(piece):
                yield part
        for part in cutter.rest():
            yield part

    async def aiter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        decode = _text_decoder()
        async for piece in self.aiter_bytes(chunk_size):
            if text := decode(piece):
                yield text
        if text := decode(b"", True):
            yield text

    async def aiter_lines(self) -> AsyncIterator[str]:
        lines = _Lines()
        async for piece in self.aiter_raw():
            for line in lines.feed(piece):
                yield line
        for line in lines.rest():
            yield line

    async def aclose(self) -> None:
        self.is_closed = True
        if self._reply is not None:
            with suppress(TransportError):
                await self._reply.aclose()

    def _must_be_unread(self) -> None:
        if self.is_stream_consumed or self.is_closed:
            raise RuntimeError("the body of this reply has been read or closed already")


def _close_soon(loop: Any, reply: AsyncReply) -> None:
    task = loop.create_task(reply.aclose())
    _closing.add(task)
    task.add_done_callback(_closed)


def _closed(task: Any) -> None:
    _closing.discard(task)
    if not task.cancelled():
        task.exception()  # has been looked at: there is nobody to tell


_closing: set[Any] = set()  # a loop alone does not keep its tasks alive


def any_json(content: bytes) -> Any:
    """JSON, and what other Messages clients read too: a mark of byte order, UTF-16, NaN, half of a surrogate pair.

    Raises ValueError when it is no JSON.
    """
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # what is read below, or refused there
    import json

    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is one
        raise ValueError(str(error)) from error


def connection_error(error: TransportError, request: Request) -> APIConnectionError:
    """What a caller gets for a fault of the connection: our words name the host, and neither path nor key."""
    sent = SentRequest(request)
    if isinstance(error, TimedOut):
        return APITimeoutError(sent, message=f"Request timed out. {error}")
    return APIConnectionError(message=f"Connection error. {error}", request=sent)


class _Cutter:
    """Pieces of any size -> pieces of one size."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        self._kept += piece
        whole = len(self._kept) // self._size * self._size
        ready = bytes(self._kept[:whole])
        del self._kept[:whole]
        for at in range(0, whole, self._size):
            yield ready[at : at + self._size]

    def rest(self) -> Iterator[bytes]:
        if self._kept:
            yield bytes(self._kept)


class _Lines:
    """Pieces of any size -> lines of text without their ends (LF, CRLF)."""

    def __init__(self) -> None:
        self._open: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[str]:
        head, *others = piece.split(b"\n")
        self._open.append(head)
        for other in others:
            yield b"".join(self._open).removesuffix(b"\r").decode("utf-8", "replace")
            self._open = [other]

    def rest(self) -> Iterator[str]:
        if line := b"".join(self._open):
            yield line.decode("utf-8", "replace")


def _text_decoder() -> Any:
    from codecs import getincrementaldecoder

    return getincrementaldecoder("utf-8")("replace").decode
