"""The only place that talks to providers: sends what an adapter prepared, and hands on what comes back.

A streamed reply is held until its first content (or for `hold_s` at most): until then a failure is still an error
status, after it an `error` event (DESIGN, principle 5). Names no provider.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping

import msgspec

from dragoman.errors import ApiError, UpstreamFailed, UpstreamTimeout, status_of
from dragoman.http.base import Request, Response, TimedOut, Timeouts, Transport, TransportError
from dragoman.providers.base import Adapter, StreamReader, Target
from dragoman.wire.sse import encode_sse

from .accounting import Entry
from .call import Answer, Asked
from .config import ProviderConfig
from .routing import Route

__all__ = ["Upstream"]

log = logging.getLogger("dragoman.upstream")

REPLY_LIMIT_BYTES = 128 * 1024 * 1024  # of a whole reply
ERROR_LIMIT_BYTES = 10 * 1024 * 1024  # of an error's body
DRAIN_S = 0.5  # how long the end of a finished stream is waited for, so that its connection can be used again

# Headers of a reply that are the caller's business; the rest is between the provider and us.
PASSED_BACK = frozenset({"request-id", "retry-after", "retry-after-ms", "x-should-retry"})
PASSED_BACK_FAMILIES = ("anthropic-ratelimit-", "anthropic-priority-", "anthropic-fast-")


class Upstream:
    """Asks providers. `transport_of` makes a provider's transport at its first request."""

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        *,
        transport_of: Callable[[ProviderConfig], Transport],
        hold_s: float,
    ) -> None:
        self._adapters = adapters
        self._transport_of = transport_of
        self._transports: dict[str, Transport] = {}
        self._hold_s = hold_s

    async def aclose(self) -> None:
        for transport in self._transports.values():
            await transport.aclose()

    async def ask(self, asked: Asked, route: Route, entry: Entry) -> Answer:
        """The provider's answer, errors of its own included. Raises ApiError where there is none."""
        adapter = self._adapters[route.provider.dialect]
        prepared = adapter.prepare(asked.call.operation, asked.envelope, asked.call.headers, target=_target(route))
        request = Request("POST", prepared.url, prepared.headers, prepared.body, _timeouts(route.provider))
        response = await self._send(request, route.provider)
        try:
            headers = _passed_back(response)
            entry.upstream_request_id = dict(response.headers).get("request-id")
            if response.status != 200:
                return await _error(response, adapter, headers, asked.call.request_id, entry)
            if asked.stream:
                return Answer(headers=headers, stream=await self._stream(response, adapter, entry, asked))
            answered = adapter.read(asked.call.operation, await _body(response, REPLY_LIMIT_BYTES))
            entry.has_content()
            entry.usage = answered.usage
            return Answer(headers=headers, body=answered.body)
        except BaseException:
            await response.aclose()
            raise

    async def _send(self, request: Request, provider: ProviderConfig) -> Response:
        if provider.name not in self._transports:
            self._transports[provider.name] = self._transport_of(provider)
        try:
            return await self._transports[provider.name].send(request)
        except TransportError as error:
            raise _failure(error) from error

    async def _stream(
        self, response: Response, adapter: Adapter, entry: Entry, asked: Asked
    ) -> AsyncGenerator[bytes, None]:
        """The stream, once it has content or `hold_s` has passed. Raises ApiError for a failure before that."""
        kind = dict(response.headers).get("content-type", "")
        if not kind.startswith("text/event-stream"):
            raise UpstreamFailed("The upstream answered a streamed request with something that is no event stream.")
        relay = _Relay(response, adapter.stream(), entry, request_id=asked.call.request_id)
        stream = relay.pieces()
        first = asyncio.ensure_future(anext(stream, None))
        try:
            await asyncio.wait({first}, timeout=self._hold_s)
            held = relay.commit() if not first.done() else b""
            if first.done():
                first.result()  # raises what failed before the first content
        except BaseException:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await stream.aclose()
            raise
        return _resumed(held, first, stream)


async def _resumed(
    held: bytes, first: "asyncio.Future[bytes | None]", rest: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """What was held back, then the piece that is being waited for, then the rest."""
    try:
        if held:
            yield held
        if (piece := await first) is not None:
            yield piece
        async for piece in rest:
            yield piece
    finally:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await rest.aclose()


class _Relay:
    """One streamed reply on its way through."""

    def __init__(self, response: Response, reader: StreamReader, entry: Entry, *, request_id: str) -> None:
        self._response = response
        self._reader = reader
        self._entry = entry
        self._request_id = request_id
        self._is_committed = False
        self._held: list[bytes] = []

    def commit(self) -> bytes:
        """From now on failures are events. Returns what was held back."""
        self._is_committed = True
        held = b"".join(self._held)
        self._held.clear()
        return held

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Whole events as they come; the first piece when there is content, or an error before there is any.

        Ends in message_stop or an `error` event. Raises ApiError only before the commit.
        """
        try:
            async for ready in self._read():
                if not self._is_committed:
                    self._held.append(ready)
                    if not self._reader.has_content:
                        continue
                    self._raise_early_error()
                    ready = self.commit()
                if ready:
                    yield ready
        except ApiError as error:
            if not self._is_committed:
                raise
            self._entry.outcome, self._entry.error = "cut", error.kind
            yield encode_sse("error", msgspec.json.encode(error.body(self._request_id)))
        finally:
            self._entry.usage = self._reader.usage
            await self._response.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        """What the reader makes of the body. Raises UpstreamFailed for one that ends before its message does."""
        pieces = self._response.pieces()
        try:
            async for piece in pieces:
                ready = self._reader.feed(piece)
                if self._reader.has_content:
                    self._entry.has_content()
                if self._reader.is_done:
                    self._note_error()
                    yield ready
                    await _drain(pieces)
                    return
                if ready:
                    yield ready
        except TransportError as error:
            raise _failure(error) from error
        raise UpstreamFailed("The upstream's stream ended before its message did.")

    def _raise_early_error(self) -> None:
        """An error before any content becomes a plain error reply, as it would have been a moment earlier (STR-6)."""
        if self._reader.error is not None:
            raise _RelayedError(self._reader.error)

    def _note_error(self) -> None:
        if self._reader.error is not None:
            self._entry.outcome = "cut"
            self._entry.error = str(msgspec.json.decode(self._reader.error)["error"]["type"])


class _RelayedError(ApiError):
    """An error that an upstream told in an event before any content: its status is that of its type."""

    def __init__(self, envelope: bytes) -> None:
        error = msgspec.json.decode(envelope)["error"]
        super().__init__(str(error["message"]), details=error.get("details"))
        self.kind = str(error["type"])  # type: ignore[misc]  # of this one error, not of a class of them
        self.status = status_of(self.kind)  # type: ignore[misc]


async def _drain(pieces: object) -> None:
    """Read the few bytes that end the body; a body that goes on is not waited for."""
    try:
        async with asyncio.timeout(DRAIN_S):
            async for _ in pieces:  # type: ignore[attr-defined]
                continue
    except (TimeoutError, TransportError) as error:
        log.debug("the end of a finished stream did not come: %s", error)


async def _error(
    response: Response, adapter: Adapter, headers: list[tuple[str, str]], request_id: str, entry: Entry
) -> Answer:
    if response.status < 400:
        raise UpstreamFailed(f"The upstream answered with status {response.status}, which no reply of its kind has.")
    given = dict(headers).get("request-id", request_id)
    body = adapter.read_error(response.status, await _body(response, ERROR_LIMIT_BYTES), request_id=given)
    entry.outcome = "refused"
    entry.error = str(msgspec.json.decode(body)["error"]["type"])
    return Answer(status=response.status, headers=headers, body=body)


async def _body(response: Response, limit_bytes: int) -> bytes:
    try:
        return await response.read(limit_bytes)
    except TransportError as error:
        raise _failure(error) from error


def _failure(error: TransportError) -> ApiError:
    """What the caller is told. The host stays in the log: it is the operator's business."""
    log.warning("%s: %s", type(error).__name__, error)
    if isinstance(error, TimedOut):
        return UpstreamTimeout("The upstream did not answer in time. Please try again.")
    return UpstreamFailed("The upstream could not be reached, or broke off its reply. Please try again.")


def _target(route: Route) -> Target:
    provider = route.provider
    return Target(
        provider=provider.name,
        model=route.model_name,
        base_url=provider.base_url,
        api_key=None if provider.api_key is None else provider.api_key.reveal(),
        auth=provider.auth,
    )


def _timeouts(provider: ProviderConfig) -> Timeouts:
    return Timeouts(
        connect_s=provider.connect_timeout_s,
        first_byte_s=provider.first_byte_timeout_s,
        idle_s=provider.idle_timeout_s,
    )


def _passed_back(response: Response) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, value in response.headers
        if name in PASSED_BACK or name.startswith(PASSED_BACK_FAMILIES)
    ]
