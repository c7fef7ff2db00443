"""Faults on demand: errors, slow, stalled and broken replies, so that callers can test what they do about them.

Asked for by the header `dragoman-fault` of a request with a test key, or by tables [[faults]] in the configuration.
`Faults.plan` stands before routing and raises what is an error; `FaultPlan.apply` stands behind the answer and spoils
it. What strikes is told by counts and seeds alone, so a run can be repeated. docs/faults.md is the user's side.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

import msgspec

from dragoman.errors import (
    ApiError,
    BillingProblem,
    Conflict,
    CutOff,
    InternalError,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    RateLimited,
    RequestTooLarge,
    Unauthenticated,
    UpstreamTimeout,
)
from dragoman.gateway.auth.auth import WRONG_API_KEY
from dragoman.gateway.call import Answer, Asked, Stream
from dragoman.gateway.config.faults import ERROR_KINDS, FaultConfig, describe_fault, model_fits
from dragoman.gateway.ledger.accounting import Entry
from dragoman.wire.headers import Headers
from dragoman.wire.sse import SSEDecoder, encode_sse

from .header import HEADER, parse_header

__all__ = ["FaultPlan", "Faults", "chance"]

log = logging.getLogger("dragoman.faults")

COUNTED_LIMIT = 10_000  # headers whose requests are counted; the one not seen for longest is forgotten
SLOW_MS = 1000  # where `slow` says nothing else
FOREVER_S = 3600.0  # a stall that nobody ends
ENDLESS = 1 << 62  # content events


class Faults:
    """Decides which faults strike a request.

    `sleep` takes seconds; `now` gives the aware UTC time, for the day that a message names.
    """

    def __init__(
        self,
        configured: Sequence[FaultConfig],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._configured = configured
        self._counts = [_Count() for _ in configured]
        self._of_headers: OrderedDict[tuple[str, str], list[_Count]] = OrderedDict()
        self._sleep = sleep
        self._now = now
        for fault in configured:
            log.warning("a fault is injected on purpose: %s", describe_fault(fault))

    async def plan(self, asked: Asked) -> "FaultPlan | None":
        """What is to befall the reply; None, and at once, for nearly every request.

        Raises the ApiError that is asked for, after its wait; PermissionDenied for a header with a key that is no
        test key, InvalidRequest for one that cannot be read. The header's faults come before the configuration's, and
        an error ends the list.
        """
        asked_for = asked.call.headers.once(_asked_for)
        if asked_for is None and not self._configured:
            return None
        striking: list[FaultConfig] = []
        for fault in self._striking(asked, asked_for):
            if fault.is_error:
                slow = sum(_wait_ms(each) for each in striking if each.kind == "slow")
                await self._sleep((slow + (fault.ms or 0)) / 1000)
                raise self._error(fault, asked)
            striking.append(fault)
        if not striking:
            return None
        errors = {fault.type: self._error_of(fault.type, asked) for fault in striking if fault.kind == "error"}
        return FaultPlan(striking, errors=errors, sleep=self._sleep)

    def _striking(self, asked: Asked, asked_for: str | None) -> Iterator[FaultConfig]:
        """The faults that strike, one after the other: those behind an error are neither asked nor counted."""
        if asked_for is not None:
            faults = _permitted(asked, asked_for)
            counts = self._counts_of((asked.principal.key_id, asked_for), len(faults))
            yield from _struck(enumerate(faults), counts)
        meant = ((at, fault) for at, fault in enumerate(self._configured) if _is_meant(fault, asked))
        yield from _struck(meant, self._counts)

    def _counts_of(self, header: tuple[str, str], size: int) -> "list[_Count]":
        counts = self._of_headers.setdefault(header, [_Count() for _ in range(size)])
        self._of_headers.move_to_end(header)
        if len(self._of_headers) > COUNTED_LIMIT:
            self._of_headers.popitem(last=False)
        return counts

    def _error(self, fault: FaultConfig, asked: Asked) -> ApiError:
        if fault.kind == "429":
            return RateLimited(_rate_limit(asked), retry_after=fault.retry_after)
        if fault.kind == "spend_limit":  # ERR-50: without retry-after
            return RateLimited(
                "You have reached your API usage limits: your organization has crossed its monthly API usage "
                f"threshold. You will regain access on {_next_month(self._now())} at 00:00 UTC.",
                details={"error_code": "enforced_spend_limit_reached"},
            )
        return self._error_of(ERROR_KINDS[fault.kind], asked)

    def _error_of(self, kind: str, asked: Asked) -> ApiError:
        """The error of this `error.type`, in the API's words where they are known (ERR-41, 46, 49, 51, 53 to 55)."""
        match kind:
            case "invalid_request_error":
                until = f"You will regain access on {_next_month(self._now())} at 00:00 UTC."
                return InvalidRequest(f"You have reached your specified API usage limits. {until}")
            case "authentication_error":
                return Unauthenticated(WRONG_API_KEY)
            case "billing_error":
                return BillingProblem("There is an issue with your billing or payment information.")
            case "permission_error":
                return PermissionDenied("Your API key does not have permission to use the specified resource.")
            case "not_found_error":
                return NotFound(f"model: {asked.model}")
            case "conflict_error":
                return Conflict("The request conflicts with another one that changes the same resource.")
            case "request_too_large":
                return RequestTooLarge("Request exceeds the maximum size")
            case "rate_limit_error":
                return RateLimited(_rate_limit(asked), retry_after=1)
            case "api_error":
                return InternalError("Internal server error")
            case "timeout_error":
                return UpstreamTimeout("The request timed out while it was being processed.")
            case _:
                return Overloaded("Overloaded")


def _asked_for(headers: Headers) -> str | None:
    return headers.get(HEADER)


class FaultPlan:
    """What befalls one reply. `errors`: what is said, by the type that an `error` fault asks for."""

    def __init__(
        self, faults: Sequence[FaultConfig], *, errors: dict[str, ApiError], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._faults = faults
        self._errors = errors
        self._sleep = sleep

    async def apply(self, answered: Answer, entry: Entry) -> Answer:
        """The answer with its faults: a stream that runs into them, or a whole reply that they delay or prevent.

        An error of the target's own is left as it is. Raises CutOff, or the ApiError that an `error` fault is where
        there are no events.
        """
        if answered.status >= 400:
            return answered
        if answered.stream is None:
            try:
                await self._befall_whole()
            except BaseException:  # also when the caller hangs up meanwhile: there is no Reply yet that could tell
                _tell_lost(answered)
                raise
            return answered
        stream = self._spoilt(answered, answered.stream, entry)
        await anext(stream)  # now it has begun, and closing it closes what is behind it
        return msgspec.structs.replace(answered, stream=stream)

    async def _befall_whole(self) -> None:
        for fault in self._faults:
            if fault.kind == "error":
                raise self._errors[fault.type]
            await self._wait_or_cut(fault)

    async def _spoilt(self, answered: Answer, stream: Stream, entry: Entry) -> AsyncGenerator[bytes, None]:
        """An empty piece, then the events, each fault in its place."""
        pending = deque(sorted(self._faults, key=_place))
        request_id = answered.request_id or entry.request_id
        async with aclosing(stream), aclosing(_counted(stream)) as events:
            yield b""
            async for event, seen in events:
                if event:
                    yield event
                while pending and _place(pending[0]) <= seen:
                    fault = pending.popleft()
                    if fault.kind == "error":
                        error = self._errors[fault.type]
                        entry.outcome, entry.error = "cut", error.kind
                        _tell_lost(answered)  # of the events that were in one piece with these, the last may be one
                        await events.aclose()
                        await stream.aclose()  # first: while that takes its time, no ping may follow the last event
                        yield encode_sse("error", msgspec.json.encode(error.body(request_id)))
                        return
                    try:
                        await self._wait_or_cut(fault)
                    except CutOff:
                        entry.outcome = "cut"
                        raise

    async def _wait_or_cut(self, fault: FaultConfig) -> None:
        """Raises CutOff: for a cut, and in the end for a stall that has no end of its own."""
        if fault.kind == "cut":
            raise CutOff
        if fault.kind == "stall" and fault.ms is None:
            await self._sleep(FOREVER_S)
            raise CutOff
        await self._sleep(_wait_ms(fault) / 1000)


class _Count:
    """How often one fault was in question, and how often it struck."""

    __slots__ = ("seen", "struck")

    def __init__(self) -> None:
        self.seen = 0
        self.struck = 0


def chance(seed: int, fault: int, request: int) -> float:
    """A number from 0 to 1, excluded, that the three settle: what the `request`-th one (from 1) draws for the
    `fault`-th fault (from 0) of its list. No generator, so nothing between two requests can shift it."""
    drawn = hashlib.blake2b(f"{seed}/{fault}/{request}".encode(), digest_size=7).digest()  # 56 bits: a float holds 53
    return (int.from_bytes(drawn) >> 3) / 2**53


def _struck(faults: Iterable[tuple[int, FaultConfig]], counts: Sequence[_Count]) -> Iterator[FaultConfig]:
    """Those of the numbered faults that strike now."""
    for at, fault in faults:
        count = counts[at]
        if fault.times is not None and count.struck >= fault.times:
            continue
        count.seen += 1
        if fault.rate == 1 or chance(fault.seed, at, count.seen) < fault.rate:
            count.struck += 1
            yield fault


def _tell_lost(answered: Answer) -> None:
    if answered.lost is not None:
        answered.lost()


def _is_meant(fault: FaultConfig, asked: Asked) -> bool:
    return fault.key in (None, asked.principal.key_name) and model_fits(fault.model, asked.model)


def _wait_ms(fault: FaultConfig) -> int:
    return SLOW_MS if fault.ms is None else fault.ms


def _place(fault: FaultConfig) -> int:
    """Content events before it: a slow reply is slow before the first."""
    return 0 if fault.kind == "slow" else fault.after


async def _counted(stream: Stream) -> AsyncGenerator[tuple[bytes, int], None]:
    """Each event, with the number of content events up to it; -1 before message_start.

    Before the message's end stands an empty one that counts as endless: what has not struck by then strikes now, so
    that a reply shorter than expected does not hide a fault.
    """
    decoder = SSEDecoder()
    fed, seen = 0, -1
    async for piece in stream:
        start = 0
        for event in decoder.feed(piece):
            if event.name == "message_start":
                seen = max(seen, 0)
            elif event.name.startswith("content_block_"):
                seen += 1
            elif event.name == "message_delta":
                yield b"", ENDLESS
            end = event.end - fed
            yield piece[start:end], seen
            start = end
        if start < len(piece):  # a comment, or the second half of a line end
            yield piece[start:], seen
        fed += len(piece)


def _rate_limit(asked: Asked) -> str:
    return (
        "This request would exceed your organization's rate limit of 50 requests per minute "
        f"(org: {asked.principal.organization_id}, model: {asked.model[:256]}). You can see the response headers for "
        "current usage. Please reduce the prompt length or the maximum tokens requested, or try again later."
    )


def _next_month(now: datetime) -> str:
    year, month = divmod(now.year * 12 + now.month, 12)
    return f"{year}-{month + 1:02}-01"


def _permitted(asked: Asked, text: str) -> Sequence[FaultConfig]:
    if not asked.principal.is_test:
        raise PermissionDenied(
            f"{HEADER}: only test keys may ask for faults, and this key is none. Leave the header out, or make a test "
            "key with `dragoman keys create --test`."
        )
    return parse_header(text)
