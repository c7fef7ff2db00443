"""What Bedrock's errors mean in the tree of ours, in its words: of replies, and of frames within a stream. Pure.

A prompt that is too long is worded as the API words it, for clients know by those words that they must compact.
Source: service model bedrock-runtime 2023-09-30 (botocore 1.44), "Troubleshooting Amazon Bedrock API error codes" of
the user guide, the Smithy specification of event streams, and messages quoted in public issues
(strands-agents/harness-sdk#1663 and #3969, charmbracelet/crush#946), read 2026-11-21.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from dragoman.errors import (
    ApiError,
    BillingProblem,
    Conflict,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    RateLimited,
    RequestTooLarge,
    Unauthenticated,
    UpstreamFailed,
    UpstreamTimeout,
)

from .eventstream import Frame

__all__ = ["error_in_frame", "error_of"]

_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthenticated,
    402: BillingProblem,
    403: PermissionDenied,
    404: NotFound,
    408: UpstreamTimeout,  # ModelTimeoutException
    409: Conflict,
    413: RequestTooLarge,
    424: UpstreamFailed,  # ModelErrorException, ModelStreamErrorException: the model's fault, though the status is 4xx
    429: RateLimited,
    498: UpstreamFailed,
    499: UpstreamFailed,
    503: Overloaded,
    504: UpstreamTimeout,
    529: Overloaded,
}
# Names of exceptions in small letters -> what they are, whatever the status. In a stream there is no other.
_BY_NAME: Mapping[str, type[ApiError]] = {
    "validationexception": InvalidRequest,
    "accessdeniedexception": PermissionDenied,
    "resourcenotfoundexception": NotFound,
    "throttlingexception": RateLimited,
    "servicequotaexceededexception": RateLimited,  # comes with status 400
    "modelnotreadyexception": Overloaded,  # comes with status 429, and says nothing of the caller's limits
    "serviceunavailableexception": Overloaded,
    "modeltimeoutexception": UpstreamTimeout,
    "modelerrorexception": UpstreamFailed,
    "modelstreamerrorexception": UpstreamFailed,
    "internalserverexception": UpstreamFailed,
    "conflictexception": Conflict,
    "expiredtokenexception": Unauthenticated,
    "unrecognizedclientexception": Unauthenticated,
    "invalidsignatureexception": Unauthenticated,
    "missingauthenticationtokenexception": Unauthenticated,
    "incompletesignatureexception": Unauthenticated,
}
# 403 is also what wrong or expired credentials get; their names stand in a header of the reply only.
_CREDENTIALS = re.compile(
    r"security token|signature|authentication (?:failed|token)|api key|bearer token|credential", re.IGNORECASE
)
_NO_MODEL = re.compile(r"model identifier is invalid", re.IGNORECASE)  # comes with status 400
_BOTH = re.compile(
    r"maximum context length is (?P<window>\d+) tokens.* requested (?P<output>\d+) output tokens"
    r".* (?P<input>\d+) input tokens",
    re.DOTALL,
)
_TOLD = re.compile(r"prompt is too long: \d+ tokens > \d+ maximum|input length and `max_tokens` exceed context limit.*")
_TOO_LONG = re.compile(
    r"input is too long|prompt is too long|too many total text bytes|input tokens exceeded|maximum context length"
    r"|model's context (?:length|limit|window)|exceeds? (?:the )?(?:model's )?(?:maximum )?context",
    re.IGNORECASE,
)


def error_of(status: int, body: bytes, *, secret: str | None = None, name: str | None = None) -> ApiError:
    """`secret` is the key that was sent, should an error repeat it; `name` the exception's, where another place tells
    it than the body: the header x-amzn-errortype, or a frame's."""
    told = _told(body)
    message = _message(told) or f"The upstream answered with status {status}."
    return _error(status, name or _name(told), message.replace(secret, "[key]") if secret else message)


def error_in_frame(frame: Frame, *, secret: str | None = None) -> ApiError | None:
    """None for a frame that is an event. One that the service model knows is an exception; others tell code and text
    in headers."""
    kind = frame.headers.get(":message-type", "event")
    if kind == "event":
        return None
    name = frame.headers.get(":exception-type") or frame.headers.get(":error-code") or ""
    message = _message(_told(frame.payload)) or frame.headers.get(":error-message") or ""
    message = message or f"The upstream's stream broke off: {name or kind}."
    return _error(500, name, message.replace(secret, "[key]") if secret else message)


def _error(status: int, name: str, message: str) -> ApiError:
    by_name = _BY_NAME.get(name.rpartition("#")[2].partition(":")[0].lower())
    cls = by_name or _BY_STATUS.get(status) or (InvalidRequest if 400 <= status < 500 else UpstreamFailed)
    if cls in (InvalidRequest, RequestTooLarge, UpstreamFailed) and (too_long := _too_long(message)) is not None:
        return InvalidRequest(too_long)
    if cls is InvalidRequest and _NO_MODEL.search(message):
        return NotFound(message)
    if cls is PermissionDenied and _CREDENTIALS.search(message):
        return Unauthenticated(message)
    return cls(message)


def _too_long(message: str) -> str | None:
    """In the words that clients look for; None for another error."""
    if found := _TOLD.search(message):  # of Claude, behind words of Bedrock's
        return found[0]
    if found := _BOTH.search(message):
        return (
            f"input length and `max_tokens` exceed context limit: {found['input']} + {found['output']} > "
            f"{found['window']}, decrease input length or `max_tokens` and try again"
        )
    return f"prompt is too long: {message}" if _TOO_LONG.search(message) else None


def _told(body: bytes) -> Mapping[str, Any]:
    """The error object; empty for a proxy's page, which is not the caller's business."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    for name in ("error", "Error", "Output"):  # of proxies, and of AWS where it knows no such operation
        if isinstance(inner := told.get(name), dict):
            return inner
    return told


def _message(told: Mapping[str, Any]) -> str:
    for name in ("message", "Message", "originalMessage", "errorMessage", "error"):
        if isinstance(message := told.get(name), str) and message:
            return message
    return ""


def _name(told: Mapping[str, Any]) -> str:
    for name in ("__type", "code", "type"):
        if isinstance(value := told.get(name), str) and value:
            return value
    return ""
