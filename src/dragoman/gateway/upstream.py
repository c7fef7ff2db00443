"""The only place that talks to providers: sends what an adapter prepared, and hands on what comes back.

A streamed reply is held until its first content (or for `hold_s` at most): until then a failure is still an error
status, after it an `error` event (ARCHITECTURE, principle 4). Names no provider.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec

from dragoman.errors import ApiError, InvalidRequest, UpstreamFailed, UpstreamTimeout, status_of
from dragoman.http.base import Response, TimedOut, Transport, TransportError
from dragoman.providers.base import (
    STREAM_TYPES,
    CountsApart,
    Dialect,
    Operation,
    Question,
    Reading,
    StreamReader,
    Target,
    Translator,
    UpstreamRequest,
)
from dragoman.wire.sse import encode_sse
from dragoman.wire.types import Usage

from .accounting import Entry
from .call import Answer, Asked, Stream, Write
from .checked import foreign, off_loop, validated
from .config import ProviderConfig
from .credentials import Signer
from .estimates import rough_tokens
from .input_estimate import estimate_input_tokens
from .provider import Provider
from .routing import Route

__all__ = ["Upstream"]

log = logging.getLogger("dragoman.upstream")

REPLY_LIMIT_BYTES = 128 * 1024 * 1024  # of a whole reply
ERROR_LIMIT_BYTES = 10 * 1024 * 1024  # of an error's body
DRAIN_S = 0.5  # how long the end of a finished stream is waited for, so that its connection can be used again

# Headers of a reply that are the caller's business; the rest is between the provider and us.
PASSED_BACK = frozenset({"retry-after", "retry-after-ms", "x-should-retry"})
PASSED_BACK_FAMILIES = ("anthropic-ratelimit-", "anthropic-priority-", "anthropic-fast-")
VISIBLE = re.compile(r"[\t\x20-\x7e\x80-\xff]+")  # what a value may hold; a control character cannot be sent on


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

    async def ask(self, asked: Asked, route: Route, entry: Entry) -> Answer:
        """The provider's answer, errors of its own included. Raises ApiError where there is none."""
        provider = self._providers[route.provider.name]
        if asked.call.operation is Operation.COUNT_TOKENS:
            adapter, translator = provider.speaker(route.model_name)
            target = provider.target(route.model_name)
            if translator is not None:
                return await provider.counting.count(asked, translator, target, route.model)
            if isinstance(adapter, CountsApart):
                count = adapter.count(asked.envelope, asked.call.headers, target=target)
                return await provider.counting.passed(asked, count, target, route.model)
        exchange = _Exchange(provider, asked, route, entry)
        try:
            if asked.stream:
                return await _Relay(exchange, loop=self._loop, drain=self._drain).begun(within_s=self._hold_s)
            return await exchange.whole()
        except _Refused as refused:
            return refused.answer

    def _drain(self, response: Response) -> None:
        """Read the end of a stream whose message is complete, while its caller is already told of the end."""
        drain = asyncio.create_task(_drained(response))
        self._drains.add(drain)
        drain.add_done_callback(self._drains.discard)


class _Refused(Exception):
    """The upstream answered with an error status; `answer` hands it on as it came."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Exchange:
    """One request to an upstream and its reply on the way through."""

    __slots__ = (
        "_adapter", "_is_streamed", "_own_id", "_provider", "_refusal", "_response", "_rough", "_route", "_translator",
        "asked", "entry", "headers", "reading",
    )  # fmt: skip

    def __init__(self, provider: Provider, asked: Asked, route: Route, entry: Entry) -> None:
        self.asked = asked
        self._adapter, self._translator = provider.speaker(route.model_name)
        self.reading: Reading | None = self._adapter  # of a translated request: once it is translated
        self._refusal: Callable[[int, bytes], ApiError] | None = None  # what a translated reply's error means
        self.entry = entry
        self.headers: list[tuple[str, str]] = []  # of the reply, for the caller; empty until it begins
        self._own_id: str | None = None  # the upstream's own id of the request
        self._is_streamed = False  # a translated reply comes as a stream, whatever the caller wants
        self._rough = 0  # tokens of a translated request's input, as we count
        self._provider = provider
        self._route = route
        self._response: Response | None = None

    @property
    def is_translated(self) -> bool:
        return self._translator is not None

    @property
    def request_id(self) -> str:
        """That the reply's headers tell."""
        return self._own_id or self.asked.call.request_id

    async def aclose(self) -> None:
        if self._response is not None:
            await self._response.aclose()

    def let_go(self) -> None:
        """Somebody else closes the response."""
        self._response = None

    async def whole(self) -> Answer:
        """The reply to a request that is not streamed. Raises ApiError, or _Refused."""
        try:
            response = await self.open()
            assert self.reading is not None
            body = await (self._until_done if self._is_streamed else self._body)(response, REPLY_LIMIT_BYTES)
            answered = self.reading.read(self.asked.call.operation, body)
        except BaseException:
            await self.aclose()
            raise
        self.entry.note_content()
        self.note_usage(answered.usage)
        return self.answer(answered.body)

    def note_usage(self, usage: Usage | None) -> None:
        self.entry.usage = usage
        if self._rough:
            self._provider.estimates.learn(self._route.model_name, self._rough, usage)

    def answer(self, body: bytes = b"", *, stream: Stream | None = None) -> Answer:
        return Answer(headers=self.headers, request_id=self._own_id, body=body, stream=stream)

    async def open(self) -> Response:
        """Send the request; the reply, when it is one. Raises ApiError, or _Refused for an error of the upstream."""
        provider, asked = self._provider, self.asked
        target = provider.target(self._route.model_name)
        if self._adapter is not None:
            prepared = self._adapter.prepare(asked.call.operation, asked.envelope, asked.call.headers, target=target)
            if lost := (*asked.left_out, *prepared.lost):
                self._tell(lost)
        else:
            assert self._translator is not None
            prepared = await self._translated(self._translator, target)
        try:
            response = self._response = await provider.send(prepared)
        except TransportError as error:
            raise failure(error, asked.call.request_id) from error
        for name, value in response.headers:
            if name == "request-id":
                self._own_id = value if VISIBLE.fullmatch(value) else None
                self.entry.upstream_request_id = value
            elif name == "x-amzn-requestid":  # of a cloud's: for its support, not for the caller
                self.entry.upstream_request_id = value
            elif _is_passed_back(name) and VISIBLE.fullmatch(value):
                self.headers.append((name, value))
        if response.status != 200:
            raise _Refused(await self._error(response))
        return response

    async def _translated(self, translator: Translator, target: Target) -> UpstreamRequest:
        """The request in the provider's dialect; what it loses stands in a header. Raises InvalidRequest."""
        provider, asked, route = self._provider, self.asked, self._route

        def work() -> Question:
            request = validated(asked, route.model or foreign(route.model_name))
            if asked.stream:  # its first event tells the tokens
                self._rough = rough_tokens(request)
                input_tokens = provider.estimates.of(target.model, self._rough)
            else:  # told only where the provider tells none
                input_tokens = estimate_input_tokens(asked.call.body)
            return Question(
                request=request,
                target=target,
                message_id=provider.new_id("msg"),
                input_tokens=input_tokens,
                new_tool_id=lambda: provider.new_id("toolu"),
            )

        question = await off_loop(asked, work)
        translated = await off_loop(asked, lambda: translator.translate(question))
        self.reading = translated
        self._refusal = translated.refusal
        self._is_streamed = translated.request.streamed
        if translated.lost:
            self._tell(translated.lost)
        return translated.request

    def _tell(self, lost: Sequence[str]) -> None:
        """What the provider will not see, in a header and the ledger. Raises InvalidRequest where all is wanted."""
        names = ", ".join(lost)
        self.entry.lost = lost
        if self._provider.is_strict or self.asked.call.headers.get("dragoman-strict") == "true":
            raise InvalidRequest(f"dragoman-strict: {self._route.provider.name} cannot carry: {names}")
        self.headers.append(("dragoman-lost", names))

    def refused(self, status: int, envelope: bytes) -> Answer:
        """An error of the upstream as a reply: its bytes, and the request id that they name (ERR-2)."""
        self.entry.outcome = "refused"
        self.entry.error = _kind_of(envelope)
        told = msgspec.json.decode(envelope).get("request_id")
        if self._own_id is None and isinstance(told, str) and VISIBLE.fullmatch(told):
            self._own_id = self.entry.upstream_request_id = told
        return Answer(status=status, headers=self.headers, request_id=self._own_id, body=envelope)

    async def _error(self, response: Response) -> Answer:
        if response.status < 400:
            raise UpstreamFailed(
                f"The upstream answered with status {response.status}, which no reply of its kind has."
            )
        body = await self._body(response, ERROR_LIMIT_BYTES)
        if self._refusal is not None:
            error = self._refusal(response.status, body)
            self.entry.outcome, self.entry.error = "refused", error.kind
            if all(name != "retry-after" for name, _ in self.headers):  # as the provider said it there, or in the body
                self.headers += error.headers()
            return Answer(
                status=error.status, headers=self.headers, body=msgspec.json.encode(error.body(self.request_id))
            )
        assert self._adapter is not None
        status, envelope = self._adapter.read_error(response.status, body, request_id=self.request_id)
        key = self._provider.target(self._route.model_name).api_key
        return self.refused(status, envelope.replace(key.encode(), b"[key]") if key else envelope)

    async def _until_done(self, response: Response, limit_bytes: int) -> bytes:
        """A stream for a caller who wants it whole: read until its message has ended, and no further."""
        assert self.reading is not None
        reader, body = self.reading.stream(), bytearray()
        try:
            async for piece in response.pieces():
                body += piece
                reader.feed(piece)
                if reader.is_done or len(body) > limit_bytes:
                    break
        except TransportError as error:
            raise failure(error, self.asked.call.request_id) from error
        if not response.is_complete:
            await self.aclose()
        return bytes(body)

    async def _body(self, response: Response, limit_bytes: int) -> bytes:
        try:
            return await response.read(limit_bytes)
        except TransportError as error:
            raise failure(error, self.asked.call.request_id) from error


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
        self, exchange: _Exchange, *, loop: asyncio.AbstractEventLoop, drain: Callable[[Response], None]
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

        Raises ApiError, or _Refused.
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
        except _Refused as refused:
            self._exchange.entry.outcome = "cut"
            await self.aclose()  # first: while that takes its time, no ping may follow the last event
            return encode_sse("error", msgspec.json.format(refused.answer.body, indent=-1))  # on one line
        except ApiError as error:
            self._exchange.entry.outcome, self._exchange.entry.error = "cut", error.kind
            await self.aclose()
            return encode_sse("error", msgspec.json.encode(error.body(self._request_id)))

    async def aclose(self) -> None:
        if not self.is_over and self._reader is not None:
            self._exchange.entry.usage = self._reader.usage
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
        reader = self._reader = self._exchange.reading.stream()
        while True:
            self._early.append(await self._next())
            if not reader.has_content and not self._is_committed:
                continue
            if reader.error is not None and reader.failed_first and not self._is_committed:
                # As it would have been a moment earlier (STR-6).
                raise _Refused(self._exchange.refused(status_of(_kind_of(reader.error)), reader.error))
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
                    self._end()
                    return ready
                if ready:
                    return ready
                if reader.failure is not None:
                    raise reader.failure
        except TransportError as error:
            raise failure(error, self._exchange.asked.call.request_id) from error
        ready = reader.close()
        self._end()
        return ready

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
        if reader.is_done:
            self._end()
        return ready

    def _end(self) -> None:
        """The message is complete, or has failed: nothing of what may still come is handed on."""
        self.is_over = True
        entry, response, reader = self._exchange.entry, self._response, self._reader
        assert reader is not None
        self._exchange.note_usage(reader.usage)
        if reader.error is not None:
            entry.outcome, entry.error = "cut", _kind_of(reader.error)
        if response is not None and not response.is_complete:
            self._exchange.let_go()
            self._drain(response)


@lru_cache(1000)
def _is_passed_back(name: str) -> bool:
    return name in PASSED_BACK or name.startswith(PASSED_BACK_FAMILIES)


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


def failure(error: TransportError, request_id: str) -> ApiError:
    """What the caller is told. The host stays in the log: it is the operator's business."""
    log.warning("request %s: %s: %s", request_id, type(error).__name__, error)
    if isinstance(error, TimedOut):
        return UpstreamTimeout("The upstream did not answer in time. Please try again.")
    return UpstreamFailed("The upstream could not be reached, or broke off its reply. Please try again.")


def _kind_of(envelope: bytes) -> str:
    return str(msgspec.json.decode(envelope)["error"]["type"])
