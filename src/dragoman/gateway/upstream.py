"""The only place that talks to providers: sends what an adapter prepared, and hands on what comes back.

A streamed reply is held until its first content (or for `hold_s` at most): until then a failure is still an error
status, after it an `error` event (ARCHITECTURE, principle 4). Names no provider.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing

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
VISIBLE = re.compile(r"[\t\x20-\x7e\x80-\xff]+")  # what a value may hold; a control character cannot be sent on


class Upstream:
    """Asks providers. Their transports are made by `open`, at start: that takes a tenth of a second and may fail."""

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
        self._drains: set[asyncio.Task[None]] = set()

    def open(self, providers: Iterable[ProviderConfig]) -> None:
        """Raises ConfigError, for certificates or a proxy that cannot be used."""
        self._transports = {provider.name: self._transport_of(provider) for provider in providers}

    async def aclose(self) -> None:
        for drain in self._drains:
            drain.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)
        for transport in self._transports.values():
            await transport.aclose()

    async def ask(self, asked: Asked, route: Route, entry: Entry) -> Answer:
        """The provider's answer, errors of its own included. Raises ApiError where there is none."""
        adapter = self._adapters[route.provider.dialect]
        exchange = _Exchange(adapter, self._transports[route.provider.name], asked, route, entry, drain=self._drain)
        if asked.stream:
            return await _held(exchange, hold_s=self._hold_s)
        try:
            return await exchange.whole()
        finally:
            await exchange.aclose()

    def _drain(self, response: Response, pieces: AsyncIterator[bytes]) -> None:
        """Read the end of a stream whose message is complete, while its caller is already told of the end."""
        drain = asyncio.create_task(_drained(response, pieces))
        self._drains.add(drain)
        drain.add_done_callback(self._drains.discard)


async def _held(exchange: "_Exchange", *, hold_s: float) -> Answer:
    """The streamed answer, once it has content or `hold_s` has passed: by then the caller needs a sign of life."""
    stream = exchange.events()
    first = asyncio.ensure_future(anext(stream, None))
    try:
        await asyncio.wait({first}, timeout=hold_s)
        if first.done():
            first.result()  # raises what failed before the first content
            early = b""
        else:
            early = exchange.commit()
        resumed = _resumed(early, first, stream)
        await anext(resumed)  # now it has begun, and closing it closes what is behind it
        return Answer(headers=exchange.headers, stream=resumed)
    except _Refused as refused:
        return refused.answer
    except BaseException:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await stream.aclose()
        raise


async def _resumed(
    early: bytes, first: "asyncio.Future[bytes | None]", rest: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """An empty piece; what was held back; the piece that is being waited for; the rest."""
    try:
        yield b""
        if early:
            yield early
        if (piece := await first) is not None:
            yield piece
        async for piece in rest:
            yield piece
    finally:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await rest.aclose()


class _Refused(Exception):
    """The upstream answered with an error status; `answer` hands it on as it came."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Exchange:
    """One request to an upstream and its reply on the way through."""

    def __init__(
        self,
        adapter: Adapter,
        transport: Transport,
        asked: Asked,
        route: Route,
        entry: Entry,
        *,
        drain: Callable[[Response, AsyncIterator[bytes]], None],
    ) -> None:
        self.headers: list[tuple[str, str]] = []  # of the reply, for the caller; empty until it begins
        self._adapter = adapter
        self._transport = transport
        self._asked = asked
        self._route = route
        self._entry = entry
        self._drain = drain
        self._response: Response | None = None
        self._request_id = asked.call.request_id  # that the reply's headers tell
        self._is_committed = False
        self._early: list[bytes] = []  # events from before the first content

    async def aclose(self) -> None:
        if self._response is not None:
            await self._response.aclose()

    def commit(self) -> bytes:
        """From now on failures are events. Returns what was held back."""
        self._is_committed = True
        self._request_id = dict(self.headers).get("request-id", self._request_id)
        early = b"".join(self._early)
        self._early.clear()
        return early

    async def whole(self) -> Answer:
        """The reply to a request that is not streamed. Raises ApiError."""
        try:
            response = await self._open()
        except _Refused as refused:
            return refused.answer
        answered = self._adapter.read(self._asked.call.operation, await self._body(response, REPLY_LIMIT_BYTES))
        self._entry.note_content()
        self._entry.usage = answered.usage
        return Answer(headers=self.headers, body=answered.body)

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Whole events as they come; the first piece when there is content.

        Ends in message_stop or an `error` event. Raises ApiError and _Refused, but only before the commit.
        """
        reader = self._adapter.stream()
        try:
            response = await self._open()
            kind = dict(response.headers).get("content-type", "").lower()
            if not kind.startswith("text/event-stream"):
                raise UpstreamFailed("The upstream answered a streamed request with something that is no event stream.")
            async with aclosing(self._read(response, reader)) as read:
                async for ready in read:
                    if not self._is_committed:
                        self._early.append(ready)
                        if not reader.has_content:
                            continue
                        if reader.error is not None:
                            # As it would have been a moment earlier (STR-6).
                            raise _Refused(self._refused(status_of(self._entry.error or ""), reader.error))
                        ready = self.commit()
                    if ready:
                        yield ready
        except _Refused as refused:
            if not self._is_committed:
                raise
            self._entry.outcome = "cut"
            await self.aclose()  # first: while that takes its time, no ping may follow the last event
            yield encode_sse("error", msgspec.json.format(refused.answer.body, indent=-1))  # on one line
        except ApiError as error:
            if not self._is_committed:
                raise
            self._entry.outcome, self._entry.error = "cut", error.kind
            await self.aclose()
            yield encode_sse("error", msgspec.json.encode(error.body(self._request_id)))
        finally:
            self._entry.usage = reader.usage
            await self.aclose()

    async def _open(self) -> Response:
        """Send the request; the reply, when it is one. Raises ApiError, or _Refused for an error of the upstream."""
        asked, provider = self._asked, self._route.provider
        prepared = self._adapter.prepare(
            asked.call.operation, asked.envelope, asked.call.headers, target=_target(self._route)
        )
        request = Request("POST", prepared.url, prepared.headers, prepared.body, _timeouts(provider))
        try:
            response = self._response = await self._transport.send(request)
        except TransportError as error:
            raise _failure(error, self._asked.call.request_id) from error
        self.headers = _passed_back(response)
        self._entry.upstream_request_id = dict(response.headers).get("request-id")
        if response.status != 200:
            raise _Refused(await self._error(response))
        return response

    async def _error(self, response: Response) -> Answer:
        if response.status < 400:
            raise UpstreamFailed(
                f"The upstream answered with status {response.status}, which no reply of its kind has."
            )
        request_id = dict(self.headers).get("request-id", self._asked.call.request_id)
        body = await self._body(response, ERROR_LIMIT_BYTES)
        envelope = self._adapter.read_error(response.status, body, request_id=request_id)
        self._entry.error = str(msgspec.json.decode(envelope)["error"]["type"])
        return self._refused(response.status, envelope)

    async def _body(self, response: Response, limit_bytes: int) -> bytes:
        try:
            return await response.read(limit_bytes)
        except TransportError as error:
            raise _failure(error, self._asked.call.request_id) from error

    def _refused(self, status: int, envelope: bytes) -> Answer:
        """An error of the upstream as a reply: its bytes, and the request id that they name (ERR-2)."""
        self._entry.outcome = "refused"
        told = msgspec.json.decode(envelope).get("request_id")
        has_id = any(name == "request-id" for name, _ in self.headers)
        if has_id or not isinstance(told, str) or not VISIBLE.fullmatch(told):
            return Answer(status=status, headers=self.headers, body=envelope)
        self._entry.upstream_request_id = told
        return Answer(status=status, headers=[*self.headers, ("request-id", told)], body=envelope)

    async def _read(self, response: Response, reader: StreamReader) -> AsyncGenerator[bytes, None]:
        """What the reader makes of the body. Raises UpstreamFailed for one that ends before its message does."""
        pieces = response.pieces()
        try:
            async for piece in pieces:
                ready = reader.feed(piece)
                if reader.has_content:
                    self._entry.note_content()
                if reader.is_done:
                    if reader.error is not None:
                        self._entry.outcome = "cut"
                        self._entry.error = str(msgspec.json.decode(reader.error)["error"]["type"])
                    yield ready
                    self._response = None  # closed when drained
                    self._drain(response, pieces)
                    return
                if ready:
                    yield ready
        except TransportError as error:
            raise _failure(error, self._asked.call.request_id) from error
        raise UpstreamFailed("The upstream's stream ended before its message did.")


async def _drained(response: Response, pieces: AsyncIterator[bytes]) -> None:
    """Read the few bytes that end the body; a body that goes on is not waited for."""
    try:
        async with asyncio.timeout(DRAIN_S):
            async for _ in pieces:
                continue
    except (TimeoutError, TransportError) as error:
        log.debug("the end of a finished stream did not come: %s", error)
    finally:
        await response.aclose()


def _failure(error: TransportError, request_id: str) -> ApiError:
    """What the caller is told. The host stays in the log: it is the operator's business."""
    log.warning("request %s: %s: %s", request_id, type(error).__name__, error)
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
        if (name in PASSED_BACK or name.startswith(PASSED_BACK_FAMILIES)) and VISIBLE.fullmatch(value)
    ]
