"""One request to a provider and its reply, up to where a stream begins: prepared, sent, read, refused. Names none."""

import logging
import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import msgspec

from dragoman.errors import ApiError, CannotCarry, InvalidRequest, UpstreamFailed, UpstreamTimeout
from dragoman.gateway.call import Answer, Asked, Stream
from dragoman.gateway.ledger.accounting import Entry
from dragoman.gateway.ledger.input_estimate import estimate_input_tokens, estimate_output_tokens
from dragoman.gateway.routing.routing import Route
from dragoman.http.base import ConnectFailed, ConnectTimeout, RequestInvalid, Response, TimedOut, TransportError
from dragoman.providers.base import (
    Question,
    Reading,
    Target,
    TellsDelay,
    Translator,
    UpstreamRequest,
)
from dragoman.wire.types import Usage

from .checked import LARGE_BODY_BYTES, foreign, off_loop, validated_for_others
from .estimates import rough_tokens
from .provider import Provider
from .redaction import Redaction

__all__ = ["Exchange", "Refused", "failure", "kind_of"]

log = logging.getLogger("dragoman.upstream")

REPLY_LIMIT_BYTES = 128 * 1024 * 1024  # of a whole reply
ERROR_LIMIT_BYTES = 10 * 1024 * 1024  # of an error's body

# Headers of a reply that are the caller's business; the rest is between the provider and us.
PASSED_BACK = frozenset({"retry-after", "retry-after-ms", "x-should-retry"})
PASSED_BACK_FAMILIES = ("anthropic-ratelimit-", "anthropic-priority-", "anthropic-fast-")
YES, NO = {"true", "1", "yes"}, {"false", "0", "no"}
NOT_SENT = (RequestInvalid, ConnectFailed, ConnectTimeout)  # nothing has reached the provider
VISIBLE = re.compile(r"[\t\x20-\x7e\x80-\xff]+")  # what a value may hold; a control character cannot be sent on


class Refused(Exception):
    """The upstream answered with an error status; `answer` hands it on as it came."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Exchange:
    """One request to an upstream and its reply on the way through."""

    __slots__ = (
        "_adapter", "_is_streamed", "_own_id", "_provider", "_refusal", "_response", "_rough", "_route", "_translator",
        "asked", "entry", "headers", "reading", "redaction",
    )  # fmt: skip

    def __init__(self, provider: Provider, asked: Asked, route: Route, entry: Entry) -> None:
        self.asked = asked
        self._adapter, self._translator = provider.speaker(route.model_name)
        self.reading: Reading | None = self._adapter  # of a translated request: once it is translated
        self._refusal: Callable[[int, bytes], ApiError] | None = None  # what a translated reply's error means
        self.entry = entry
        self.headers: list[tuple[str, str]] = []  # of the reply, for the caller; empty until it begins
        self.redaction = Redaction()  # of errors that the upstream tells
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
        """The reply to a request that is not streamed. Raises ApiError, or Refused."""
        try:
            response = await self.open()
            assert self.reading is not None
            body = await (self._until_done if self._is_streamed else self._body)(response, REPLY_LIMIT_BYTES)
            self.entry.note_received()
            answered = self.reading.read(self.asked.call.operation, body)
        except BaseException:
            await self.aclose()
            raise
        self.entry.note_content()
        self.note_usage(answered.usage, answered.stop_reason)
        if answered.usage is None:
            self.entry.seen_tokens = estimate_output_tokens(len(answered.body), 0)
        return self.answer(answered.body)

    def note_usage(self, usage: Usage | None, stop_reason: str | None) -> None:
        self.entry.note_usage(usage, stop_reason)
        if self._rough:
            self._provider.estimates.learn(self._route.model_name, self._rough, usage)

    def answer(self, body: bytes = b"", *, stream: Stream | None = None) -> Answer:
        return Answer(headers=self.headers, request_id=self._own_id, body=body, stream=stream)

    async def open(self) -> Response:
        """Send the request; the reply, when it is one. Raises ApiError, or Refused for an error of the upstream."""
        provider, asked = self._provider, self.asked
        target = provider.target(self._route.model_name)
        if self._adapter is not None:
            prepare = partial(
                self._adapter.prepare, asked.call.operation, asked.envelope, asked.call.headers, target=target
            )
            is_small = len(asked.call.body) <= LARGE_BODY_BYTES  # a cloud's adapter looks into all of it
            prepared = prepare() if is_small else await off_loop(asked, prepare)
            if lost := (*asked.left_out, *prepared.lost):
                self._tell(lost)
        else:
            assert self._translator is not None
            prepared = await self._translated(self._translator, target)
        try:
            signed = await provider.signed(prepared)
            self.redaction = Redaction(signed.headers)
            self.entry.route = self._route
            self.entry.note_sent(asked.call.body)
            response = self._response = await provider.send(signed, is_sent_once=self.entry.is_counted)
            if provider.has_several_keys:
                provider.told(target, response.status, response.headers)
        except TransportError as error:
            if isinstance(error, NOT_SENT):
                self.entry.note_free()
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
            self.entry.note_free()
            raise Refused(await self._error(response))
        return response

    async def _translated(self, translator: Translator, target: Target) -> UpstreamRequest:
        """The request in the provider's dialect; what it loses stands in a header. Raises InvalidRequest."""
        provider, asked, route = self._provider, self.asked, self._route

        def work() -> tuple[Question, list[str]]:
            request, left_out = validated_for_others(asked, route.model or foreign(route.model_name))
            # A stream's first event tells the tokens; and a reply that is ended at a stop sequence found here, as there
            # is no end of it in which the provider would tell them.
            if asked.stream or request.stop_sequences:
                self._rough = rough_tokens(request)
                input_tokens = provider.estimates.of(target.model, self._rough)
            else:  # told only where the provider tells none
                input_tokens = estimate_input_tokens(asked.call.body)
            question = Question(
                request=request,
                target=target,
                message_id=provider.new_id("msg"),
                input_tokens=input_tokens,
                new_tool_id=lambda: provider.new_id("toolu"),
            )
            return question, left_out

        question, left_out = await off_loop(asked, work)
        translated = await off_loop(asked, lambda: translator.translate(question))
        self.reading = translated
        self._refusal = translated.refusal
        self._is_streamed = translated.request.streamed
        if lost := tuple(dict.fromkeys((*left_out, *translated.lost))):
            self._tell(lost)
        return translated.request

    def _tell(self, lost: Sequence[str]) -> None:
        """What the provider will not see, in a header and the ledger. Raises InvalidRequest where all is wanted."""
        names = ", ".join(lost)
        self.entry.lost = lost
        if self._provider.is_strict or _is_strict(self.asked.call.headers.get("dragoman-strict")):
            raise CannotCarry(f"dragoman-strict: {self._route.provider.name} cannot carry: {names}")
        self.headers.append(("dragoman-lost", names))

    def refused(self, status: int, envelope: bytes) -> Answer:
        """An error of the upstream as a reply: its bytes, and the request id that they name (ERR-2)."""
        envelope = self.redaction.envelope(envelope)
        self.entry.outcome = "refused"
        self.entry.error = kind_of(envelope)
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
            self.redaction.hide(error)
            self.entry.outcome, self.entry.error = "refused", error.kind
            if all(name != "retry-after" for name, _ in self.headers):  # as the provider said it there, or in the body
                self.headers += error.headers()
            return Answer(
                status=error.status, headers=self.headers, body=msgspec.json.encode(error.body(self.request_id))
            )
        assert self._adapter is not None
        status, envelope = self._adapter.read_error(response.status, body, request_id=self.request_id)
        delay_s = self._adapter.retry_after(body) if isinstance(self._adapter, TellsDelay) else None
        if delay_s is not None and all(name != "retry-after" for name, _ in self.headers):
            self.headers.append(("retry-after", str(delay_s)))
        return self.refused(status, envelope)

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


def _is_strict(told: str | None) -> bool:
    """What the header says. Raises InvalidRequest for what is neither yes nor no."""
    word = (told or "false").strip().lower()
    if word not in YES | NO:
        raise InvalidRequest("dragoman-strict: write true or false")
    return word in YES


@lru_cache(1000)
def _is_passed_back(name: str) -> bool:
    return name in PASSED_BACK or name.startswith(PASSED_BACK_FAMILIES)


def failure(error: TransportError, request_id: str) -> ApiError:
    """What the caller is told. The host stays in the log: it is the operator's business."""
    log.warning("request %s: %s: %s", request_id, type(error).__name__, error)
    if isinstance(error, TimedOut):
        return UpstreamTimeout("The upstream did not answer in time. Please try again.")
    return UpstreamFailed("The upstream could not be reached, or broke off its reply. Please try again.")


def kind_of(envelope: bytes) -> str:
    return str(msgspec.json.decode(envelope)["error"]["type"])
