"""The only place that talks to providers: sends what an adapter prepared, and hands on what comes back.

A streamed reply is held until its first content (or for `hold_s` at most): until then a failure is still an error
status, after it an `error` event (ARCHITECTURE, principle 4). Names no provider.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

import msgspec

from dragoman.errors import ApiError, UpstreamFailed, status_of
from dragoman.gateway.call import Answer, Asked, Write
from dragoman.gateway.config.config import ProviderConfig, Secret
from dragoman.gateway.credentials.signer import Signer
from dragoman.gateway.ledger.accounting import Entry
from dragoman.gateway.routing.routing import Route
from dragoman.http.base import Response, Transport, TransportError
from dragoman.providers.base import (
    STREAM_TYPES,
    CountsApart,
    Dialect,
    Operation,
    StreamReader,
)
from dragoman.wire.sse import SSEDecoder, encode_sse

from .exchange import Exchange, Refused, failure, kind_of
from .provider import Provider

__all__ = ["Upstream"]

log = logging.getLogger("dragoman.upstream")

DRAIN_S = 0.5  # how long the end of a finished stream is waited for, so that its connection can be used again


class Upstream:
    """Asks providers. Their transports are made by `open`, at start: that takes a tenth of a second and may fail."""

    def __init__(
        self,
        dialects: Mapping[str, Dialect],
        *,
        transport_of: Callable[[ProviderConfig], Transport],
        signer_of: Callable[[ProviderConfig], Signer | None],
        hold_s: float,
        new_id: Callable[[str], str],
    ) -> None:
        self._dialects = dialects
        self._new_id = new_id
        self._transport_of = transport_of
        self._signer_of = signer_of
        self._providers: dict[str, Provider] = {}
        self._hold_s = hold_s
        self._drains: set[asyncio.Task[None]] = set()

    def open(self, providers: Iterable[ProviderConfig]) -> None:
        """Raises ConfigError, for certificates, a proxy or credentials that cannot be used."""
        self._loop = asyncio.get_running_loop()
        for each in providers:
            self._providers[each.name] = Provider(
                each,
                self._transport_of(each),
                dialect=self._dialects[each.dialect],
                signer=self._signer_of(each),
                new_id=self._new_id,
            )

    def use_keys(self, provider: str, keys: Sequence[Secret] | None) -> None:
        """As `Provider.use_keys`."""
        self._providers[provider].use_keys(keys)

    def has_several_keys(self, route: Route) -> bool:
        return not route.is_local and self._providers[route.provider.name].has_several_keys

    def has_fresh_key(self, route: Route) -> bool:
        """As `Provider.has_fresh_key`."""
        return not route.is_local and self._providers[route.provider.name].has_fresh_key

    async def aclose(self) -> None:
        for drain in self._drains:
            drain.cancel()
        await asyncio.gather(*self._drains, return_exceptions=True)
        for provider in self._providers.values():
            await provider.transport.aclose()

    def translates(self, route: Route) -> bool:
        """Does a dialect of others answer? It makes of a history's thinking what it can."""
        dialect = self._dialects.get(route.provider.dialect)
        return dialect is not None and dialect.speaker(route.model_name)[1] is not None

    async def ask(self, asked: Asked, route: Route, entry: Entry, *, hold_s: float | None = None) -> Answer:
        """The provider's answer, errors of its own included. `hold_s`: how long a stream is held back, where it is not
        as long as usual. Raises ApiError where there is none."""
        provider = self._providers[route.provider.name]
        if asked.call.operation is Operation.COUNT_TOKENS:
            adapter, translator = provider.speaker(route.model_name)
            target = provider.target(route.model_name)
            if translator is not None:
                return await provider.counting.count(asked, translator, target, route.model)
            if isinstance(adapter, CountsApart):
                count = adapter.count(asked.envelope, asked.call.headers, target=target)
                return await provider.counting.passed(asked, count, target, route.model)
        exchange = Exchange(provider, asked, route, entry)
        try:
            if asked.stream:
                return await _Relay(exchange, loop=self._loop, drain=self._drain).begun(within_s=hold_s or self._hold_s)
            return await exchange.whole()
        except Refused as refused:
            return refused.answer
        except ApiError as error:
            exchange.redaction.hide(error)
            raise

    def _drain(self, response: Response) -> None:
        """Read the end of a stream whose message is complete, while its caller is already told of the end."""
        drain = asyncio.create_task(_drained(response))
        self._drains.add(drain)
        drain.add_done_callback(self._drains.discard)


class _Relay:
    """A streamed reply on its way through: whole events, as they come, the first piece when there is content.

    `begun` decides whether it is a stream at all. From then on nothing is raised: what fails is an `error` event, and
    the last one.
    """

    __slots__ = (
        "_drain", "_early", "_exchange", "_first", "_is_committed", "_loop", "_pieces", "_reader",
        "_request_id", "_response", "_untaken", "is_over", "write",
    )  # fmt: skip

    def __init__(
        self, exchange: Exchange, *, loop: asyncio.AbstractEventLoop, drain: Callable[[Response], None]
    ) -> None:
        self._exchange = exchange
        self._loop = loop
        self._reader: StreamReader | None = None  # until the reply begins
        self._drain = drain
        self._response: Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._early: list[bytes] = []  # events from before the first content
        self._first: asyncio.Task[bytes] | None = None  # the wait for it
        self._is_committed = False
        self._untaken = b""  # events for the task to send: the last, or what `write` did not take
        self.write: Write | None = None  # where events may go in the step in which they come
        self.is_over = False  # nothing follows what is handed out, or waits to be
        self._request_id = exchange.asked.call.request_id  # that the reply's headers tell

    async def begun(self, *, within_s: float) -> Answer:
        """The answer, once it has content or `within_s` has passed: by then the caller needs a sign of life.

        Raises ApiError, or Refused.
        """
        self._first = first = self._loop.create_task(self._until_content())
        try:
            if await _is_done(first, self._loop, within_s=within_s):
                first.result()  # raises what failed before the first content
            self._is_committed = True
            self._request_id = self._exchange.request_id
            return self._exchange.answer(stream=self)
        except BaseException:
            await self.aclose()
            raise

    def __aiter__(self) -> "_Relay":
        return self

    async def __anext__(self) -> bytes:
        try:
            if self._early:
                return self._taken()
            if self._first is not None:
                first, self._first = self._first, None
                return await first
            if self.is_over:
                raise StopAsyncIteration
            return await self._next() if self.write is None else await self._flow(self.write)
        except Refused as refused:
            self._exchange.entry.outcome = "cut"
            await self.aclose()  # first: while that takes its time, no ping may follow the last event
            return encode_sse("error", msgspec.json.format(refused.answer.body, indent=-1))  # on one line
        except ApiError as error:
            self._exchange.entry.outcome, self._exchange.entry.error = "cut", error.kind
            await self.aclose()
            self._exchange.redaction.hide(error)
            return encode_sse("error", msgspec.json.encode(error.body(self._request_id)))

    async def aclose(self) -> None:
        if not self.is_over and self._reader is not None:
            self._exchange.entry.note_usage(self._reader.usage, self._reader.stop_reason, is_whole=False)
        self.is_over = True
        self._early.clear()
        if self._first is not None:
            first, self._first = self._first, None
            first.cancel()
            try:
                await asyncio.gather(first, return_exceptions=True)
            finally:  # a second cancellation may come here
                await self._exchange.aclose()
            return
        await self._exchange.aclose()

    async def _until_content(self) -> bytes:
        """Open the reply, and read on until there is content; all that came so far."""
        response = self._response = await self._exchange.open()
        kind = next((value for name, value in response.headers if name == "content-type"), "")
        # A translated reply may come whole, or under another type: whoever reads it sees what it is.
        if not (kind.lower().startswith(STREAM_TYPES) or self._exchange.is_translated):
            raise UpstreamFailed("The upstream answered a streamed request with something that is no event stream.")
        self._pieces = response.pieces()
        assert self._exchange.reading is not None
        reader, entry = self._exchange.reading.stream(), self._exchange.entry
        self._reader = reader
        while True:
            self._early.append(await self._next())
            if not reader.has_content and not self._is_committed:
                continue
            if reader.error is not None and reader.failed_first and not self._is_committed:
                # As it would have been a moment earlier (STR-6).
                entry.note_free()
                raise Refused(self._exchange.refused(status_of(kind_of(reader.error)), reader.error))
            if not reader.is_done:  # then what it costs so far is noted, in case this process dies
                entry.note_usage(reader.usage, is_whole=False)
            return self._taken()

    def _taken(self) -> bytes:
        early = b"".join(self._early)
        self._early.clear()
        return early

    async def _next(self) -> bytes:
        """Whole events, as soon as there are any. Raises UpstreamFailed for a stream that ends before its message."""
        reader, entry = self._reader, self._exchange.entry
        assert self._pieces is not None
        assert reader is not None
        if reader.failure is not None:
            raise reader.failure
        try:
            async for piece in self._pieces:
                ready = reader.feed(piece)
                if reader.has_content:
                    entry.note_content()
                if reader.is_done:
                    return self._ended(ready)
                if ready:
                    return ready
                if reader.failure is not None:
                    raise reader.failure
        except TransportError as error:
            raise failure(error, self._exchange.asked.call.request_id) from error
        return self._ended(reader.close())

    async def _flow(self, write: Write) -> bytes:
        """As `_next`, of a stream that runs: events go to `write` as long as it takes them and nothing has ended."""
        forward = getattr(self._pieces, "forward", None)
        reader = self._reader
        assert reader is not None
        if forward is None or not reader.has_content or reader.failure is not None:
            return await self._next()

        def take(piece: bytes) -> bool:
            ready = reader.feed(piece)
            is_last = reader.is_done or reader.failure is not None
            if is_last or (ready and not write(ready)):
                self._untaken = ready
                return False
            return True

        try:
            await forward(take)
        except TransportError as error:
            raise failure(error, self._exchange.asked.call.request_id) from error
        if not self._untaken:
            return await self._next()
        ready, self._untaken = self._untaken, b""
        return self._ended(ready) if reader.is_done else ready

    def _ended(self, ready: bytes) -> bytes:
        """The message is complete, or has failed: nothing of what may still come is handed on. The last events."""
        self.is_over = True
        entry, response, reader = self._exchange.entry, self._response, self._reader
        assert reader is not None
        entry.note_received()
        if reader.error is None:
            self._exchange.note_usage(reader.usage, reader.stop_reason)
        else:
            entry.note_usage(reader.usage, reader.stop_reason, is_whole=False)
            entry.outcome, entry.error = "cut", kind_of(reader.error)
        if response is not None and not response.is_complete:
            self._exchange.let_go()
            self._drain(response)
        return ready if reader.error is None else self._without_keys(ready, reader.error)

    def _without_keys(self, ready: bytes, error: bytes) -> bytes:
        """The last of these events is an error of the upstream's own."""
        clean = self._exchange.redaction.envelope(error)
        if clean is error:
            return ready
        return ready[: SSEDecoder().feed(ready)[-1].start] + encode_sse("error", clean)


async def _is_done(task: "asyncio.Task[bytes]", loop: asyncio.AbstractEventLoop, *, within_s: float) -> bool:
    """Wait for a task; whether it ended in time. As asyncio.wait, for one task at a third of the price."""
    waiter = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_later(within_s, wake)
    task.add_done_callback(wake)
    try:
        await waiter
    finally:
        timer.cancel()
        task.remove_done_callback(wake)
    return task.done()


async def _drained(response: Response) -> None:
    """Read the few bytes that end the body; a body that goes on is not waited for."""
    try:
        async with asyncio.timeout(DRAIN_S):
            async for _ in response.pieces():
                continue
    except (TimeoutError, TransportError) as error:
        log.debug("the end of a finished stream did not come: %s", error)
    finally:
        await response.aclose()
