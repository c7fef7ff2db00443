"""Transports over a client of httpx or httpx2 that a caller hands in, or that a proxy in the environment asks for.

The module of the client's class says which of the two it is: names of exceptions are the same in both.
"""

import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from types import ModuleType, TracebackType
from typing import Any, Self

from dragoman.http.base import (
    ConnectFailed,
    ConnectTimeout,
    FirstByteTimeout,
    IdleTimeout,
    ReplyBroken,
    ReplyTooLarge,
    Request,
    RequestInvalid,
    SendTimeout,
    encoded_header,
    host_of,
)

from .timeouts import Limits

__all__ = ["ForeignSyncTransport", "ForeignTransport", "limits_of"]


def _module(client: Any) -> ModuleType:
    """httpx or httpx2. Raises TypeError for an object of neither."""
    for cls in type(client).__mro__:
        module = sys.modules.get(cls.__module__.partition(".")[0])
        if module is not None and hasattr(module, "TransportError") and hasattr(module, "Timeout"):
            return module
    raise TypeError(f"http_client must be a client of httpx2 or httpx, not a {type(client).__name__}")


def limits_of(client: Any) -> Any:
    """The time-outs that a client of httpx or httpx2 was made with; None for the 5 seconds that it has by itself."""
    limits = getattr(client, "timeout", None)
    return None if limits is None or limits == type(limits)(5.0) else limits


def _request(module: ModuleType, client: Any, request: Request) -> Any:
    """Raises RequestInvalid for a header that HTTP does not allow: their error would show it, and it may be a key."""
    host = host_of(request.url)
    limits = request.timeouts
    pool_s = limits.pool_s if isinstance(limits, Limits) else limits.connect_s
    return client.build_request(
        request.method,
        request.url,
        headers=[encoded_header(name, value, host) for name, value in request.headers],
        content=request.body,
        timeout=module.Timeout(connect=limits.connect_s, read=limits.first_byte_s, write=limits.write_s, pool=pool_s),
    )


@contextmanager
def _translated(module: ModuleType, host: str, *, has_begun: bool) -> Generator[None, None, None]:
    """Their exceptions as ours."""
    try:
        yield
    except module.ConnectTimeout as error:
        raise ConnectTimeout(host, "no connection in time") from error
    except module.PoolTimeout as error:
        raise ConnectTimeout(host, "no free connection in time") from error
    except module.WriteTimeout as error:
        raise SendTimeout(host, "has taken nothing of the request for too long") from error
    except module.TimeoutException as error:
        late = IdleTimeout if has_begun else FirstByteTimeout
        raise late(host, "the reply stood still for too long") from error
    except module.ConnectError as error:
        raise ConnectFailed(host, f"cannot connect: {error}") from error
    except (module.UnsupportedProtocol, module.LocalProtocolError, module.InvalidURL) as error:
        raise RequestInvalid(host, f"cannot be asked: {type(error).__name__}") from error
    except module.RequestError as error:
        raise ReplyBroken(host, f"{type(error).__name__}: {error}") from error
    except RuntimeError as error:  # the client was closed
        if "closed" not in str(error):
            raise
        raise ConnectFailed(host, "the http_client has been closed") from error


class ForeignSyncTransport:
    """SyncTransport over a `Client`; with None, over one of our own. Closing it closes the client."""

    def __init__(self, client: Any = None) -> None:
        if client is None:
            import httpx2

            client = httpx2.Client(timeout=None, limits=httpx2.Limits(max_connections=1000))
        self._client = client
        self._module = _module(client)
        if not hasattr(client, "close"):
            raise TypeError("http_client must be a `Client`; an `AsyncClient` is for AsyncAnthropic")

    def send(self, request: Request) -> "_SyncReply":
        host = host_of(request.url)
        with _translated(self._module, host, has_begun=False):
            reply = self._client.send(
                _request(self._module, self._client, request), stream=True, follow_redirects=False
            )
        return _SyncReply(self._module, host, reply)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Reply:
    def __init__(self, module: ModuleType, host: str, reply: Any) -> None:
        self._module = module
        self._host = host
        self._reply = reply
        self.status: int = reply.status_code
        self.headers: list[tuple[str, str]] = [(name.lower(), value) for name, value in reply.headers.multi_items()]

    @property
    def is_complete(self) -> bool:
        complete: bool = self._reply.is_stream_consumed
        return complete

    def _must_fit(self, body: bytes, limit_bytes: int) -> None:
        if len(body) > limit_bytes:
            raise ReplyTooLarge(self._host, f"the reply is larger than {limit_bytes} bytes")


class _SyncReply(_Reply):
    def pieces(self) -> Iterator[bytes]:
        with _translated(self._module, self._host, has_begun=True):
            yield from (piece for piece in self._reply.iter_bytes() if piece)

    def read(self, limit_bytes: int) -> bytes:
        try:
            body = b"".join(self.pieces())
        finally:
            self.close()
        self._must_fit(body, limit_bytes)
        return body

    def close(self) -> None:
        self._reply.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ForeignTransport:
    """Transport over an `AsyncClient`; with None, over one of our own."""

    def __init__(self, client: Any = None) -> None:
        if client is None:
            import httpx2

            client = httpx2.AsyncClient(timeout=None, limits=httpx2.Limits(max_connections=1000))
        self._client = client
        self._module = _module(client)
        if not hasattr(client, "aclose"):
            raise TypeError("http_client must be an `AsyncClient`; a `Client` is for Anthropic")

    async def send(self, request: Request) -> "_AsyncReply":
        host = host_of(request.url)
        with _translated(self._module, host, has_begun=False):
            reply = await self._client.send(
                _request(self._module, self._client, request), stream=True, follow_redirects=False
            )
        return _AsyncReply(self._module, host, reply)

    async def aclose(self) -> None:
        await self._client.aclose()


class _AsyncReply(_Reply):
    async def pieces(self) -> AsyncIterator[bytes]:
        with _translated(self._module, self._host, has_begun=True):
            async for piece in self._reply.aiter_bytes():
                if piece:
                    yield piece

    async def read(self, limit_bytes: int) -> bytes:
        try:
            body = b"".join([piece async for piece in self.pieces()])
        finally:
            await self.aclose()
        self._must_fit(body, limit_bytes)
        return body

    async def aclose(self) -> None:
        await self._reply.aclose()
