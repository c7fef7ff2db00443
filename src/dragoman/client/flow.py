"""What to do for a call, step by step: send, wait, send again. The drivers do it, and say what came of it.

SDK-20 to 26; redirects SDK-4. Pure but for the clock and the dice, which are arguments.
"""

from collections.abc import Callable, Generator
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import random
from time import monotonic, time
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from dragoman.http.base import Request, RequestInvalid, TransportError, host_of

from . import log
from .call import Call
from .exceptions import status_error
from .reply import ANY_SIZE, Headers, Response, connection_error
from .settings import Settings

__all__ = ["ANY_SIZE", "Close", "ReadAll", "Send", "Sleep", "Step", "perform", "retry_delay_s"]

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 8.0
LONGEST_WAIT_S = 4_000_000.0  # of a `retry-after`: what every platform can sleep
MOST_REDIRECTS = 20
REDIRECTS = frozenset({301, 302, 303, 307, 308})
SECRETS = frozenset({"authorization", "proxy-authorization", "x-api-key", "cookie"})


class Send(msgspec.Struct, frozen=True):
    """Send it, and give back the transport's response; or throw its TransportError in."""

    request: Request


class ReadAll(msgspec.Struct, frozen=True):
    """Read the body of a response to its end, and give it back; or throw the TransportError in."""

    reply: Any


class Close(msgspec.Struct, frozen=True):
    """Close a response that nobody reads."""

    reply: Any


class Sleep(msgspec.Struct, frozen=True):
    seconds: float


Step = Send | ReadAll | Close | Sleep


def perform(
    call: Call,
    settings: Settings,
    *,
    whole: bool,
    dice: Callable[[], float] = random,
    now: Callable[[], float] = time,
) -> Generator[Step, Any, Response]:
    """Ends with a reply of a good status; `whole` has its body read, and sends again when that fails.

    Raises APIStatusError, APIConnectionError and APITimeoutError after the last attempt.
    """
    retries = settings.max_retries if call.max_retries is None else call.max_retries
    taken = 0
    watch = log.watch()
    while True:
        request = call.request(settings, retries_taken=taken)
        if watch is not None:
            watch.sending(request, taken)
        try:
            response = yield from _attempt(request, taken, whole=whole)
        except TransportError as error:
            if watch is not None:
                watch.failed(request, error)
            if taken >= retries or isinstance(error, RequestInvalid):
                raise connection_error(error, request) from error
            delay_s = retry_delay_s(taken, None, dice=dice, now=now)
        else:
            if watch is not None:
                watch.came(request, response)
            if response.is_success:
                return response
            if taken >= retries or not is_worth_retrying(response.status_code, response.headers):
                raise status_error(response)
            delay_s = retry_delay_s(taken, response.headers, dice=dice, now=now)
        if watch is not None:
            watch.retrying(request, delay_s, retries - taken)
        yield Sleep(delay_s)
        taken += 1


def _attempt(request: Request, taken: int, *, whole: bool) -> Generator[Step, Any, Response]:
    """One request and its redirects. What is no success is read too. Raises TransportError."""
    started = monotonic()
    for _ in range(MOST_REDIRECTS + 1):
        reply = yield Send(request)
        response = Response(request, reply, started=started, retries_taken=taken)
        target = response.headers.get("location") if reply.status in REDIRECTS else None
        if target is None:
            if whole or not response.is_success:
                response.finish((yield ReadAll(reply)))
            return response
        yield Close(reply)
        request = _redirected(request, reply.status, target)
    raise TransportError(urlsplit(request.url).netloc, f"more than {MOST_REDIRECTS} redirects")


def _redirected(request: Request, status: int, target: str) -> Request:
    """RFC 9110, section 15.4: 307 and 308 keep method and body, 303 asks with GET, and so, by custom, do 301 and 302
    for a POST. Credentials go no further than the origin that they were meant for. Raises RequestInvalid."""
    url = _target(request, target)
    headers = request.headers
    if urlsplit(url)[:2] != urlsplit(request.url)[:2]:
        headers = [(name, value) for name, value in headers if name.lower() not in SECRETS]
    if status == 303 or (status in (301, 302) and request.method == "POST"):
        kept = [(name, value) for name, value in headers if name.lower() != "content-type"]
        return Request("GET", url, kept, b"", request.timeouts)
    return Request(request.method, url, headers, request.body, request.timeouts)


def _target(request: Request, target: str) -> str:
    """The URL that a `location` means. What a URL may not hold is escaped: some servers send letters and spaces."""
    try:
        raw = target.encode("latin-1")  # as headers are read
        raw.decode()  # and as they are mostly written
    except UnicodeError:
        raw = target.encode()
    try:
        return urljoin(request.url, quote(raw, safe="!#$%&'()*+,/:;=?@[]~"))
    except ValueError as error:
        raise RequestInvalid(host_of(request.url), "redirects to what is no URL") from error


def is_worth_retrying(status: int, headers: Headers) -> bool:
    """SDK-23."""
    said = headers.get("x-should-retry")
    if said in ("true", "false"):
        return said == "true"
    return status in (408, 409, 429) or status >= 500


def retry_delay_s(
    taken: int, headers: Headers | None, *, dice: Callable[[], float] = random, now: Callable[[], float] = time
) -> float:
    """Seconds until the next attempt, after `taken` retries: what the API says, else ever longer. SDK-24."""
    told_s = None if headers is None else _told_s(headers, now)
    if told_s is not None and told_s > 0:
        return min(told_s, LONGEST_WAIT_S)
    return float(min(FIRST_DELAY_S * 2.0 ** min(taken, 30), LONGEST_DELAY_S) * (1 - 0.25 * dice()))


def _told_s(headers: Headers, now: Callable[[], float]) -> float | None:
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    if said is None:
        return None
    if (seconds := _number(said)) is not None:
        return seconds
    try:
        date = parsedate_to_datetime(said)
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now()  # RFC 9110, section 5.6.7: always UTC
    except (ValueError, OverflowError):  # neither a number nor a date
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is None or value == value else None  # "nan" is no number of seconds
