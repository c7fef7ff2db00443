"""The error tree: one type for each thing a caller can do about it, and the wire's envelope of each.

    DragomanError
    ├── ApiError                     answered to the caller in the API's envelope
    │   ├── InvalidRequest      400  the request is wrong; the message names the field
    │   │   ├── BodyTimedOut         its body stood still
    │   │   └── CannotCarry          this target cannot take it; another may
    │   ├── Unauthenticated     401  no key, or not one of ours
    │   ├── BillingProblem      402
    │   ├── PermissionDenied    403
    │   ├── NotFound            404  unknown path, id or model
    │   │   └── NoSuchModel          this target cannot have such a model; another may
    │   ├── MethodNotAllowed    405
    │   ├── Conflict            409
    │   ├── RequestTooLarge     413
    │   ├── HeadersTooLarge     431
    │   ├── RateLimited         429  a limit of ours or of the provider is used up
    │   ├── InternalError       500  our own fault
    │   ├── UpstreamFailed      502  the provider refused the connection, broke off, or sent garbage
    │   ├── Unavailable         503  a part of ours (the store) is away
    │   ├── UpstreamTimeout     504  the provider took too long
    │   └── Overloaded          529  no capacity
    ├── ConfigError                  the configuration is wrong: said at start, never over the wire
    └── StoreError                   the database cannot be reached or read

    CutOff                           no error: the connection is to break here, because somebody asked for it

Imports nothing of this package. Source of statuses and types: spec ERR-10 to ERR-25.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = [
    "ApiError",
    "BillingProblem",
    "BodyTimedOut",
    "CannotCarry",
    "ConfigError",
    "Conflict",
    "CutOff",
    "DragomanError",
    "HeadersTooLarge",
    "InternalError",
    "InvalidRequest",
    "MethodNotAllowed",
    "NoSuchModel",
    "NotFound",
    "Overloaded",
    "PermissionDenied",
    "RateLimited",
    "RequestTooLarge",
    "StoreError",
    "Unauthenticated",
    "Unavailable",
    "UpstreamFailed",
    "UpstreamTimeout",
    "status_of",
]


class DragomanError(Exception):
    """Base of every error that this package raises on purpose."""


class ApiError(DragomanError):
    """An error that the caller is told in the API's own envelope.

    `details` becomes `error.details` (clients key on its `error_code`, ERR-3, ERR-30).
    """

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "api_error"  # the wire's `error.type`
    is_of_target: ClassVar[bool] = False  # raised before anything is sent: another target may take the request

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def body(self, request_id: str | None) -> dict[str, Any]:
        """The envelope of ERR-1: the same for a JSON reply and for an `error` event (STR-40)."""
        error: dict[str, Any] = {"type": self.kind, "message": self.message}
        if self.details is not None:
            error["details"] = dict(self.details)
        return {"type": "error", "error": error, "request_id": request_id}

    def headers(self) -> list[tuple[str, str]]:
        """Response headers that belong to this error alone."""
        return []


class InvalidRequest(ApiError):
    """The request breaks a rule; the message begins with the path of the wrong field."""

    status, kind = 400, "invalid_request_error"


class BodyTimedOut(InvalidRequest):
    """The body of a request stood still too long. The API answers 400 with this `error_code` too."""

    def __init__(self) -> None:
        super().__init__(
            "The request body did not finish arriving in time.", details={"error_code": "request_body_timeout"}
        )

    def headers(self) -> list[tuple[str, str]]:
        # The rest of the body may still be on its way; sent anew, it may arrive.
        return [("connection", "close"), ("x-should-retry", "true")]


class CannotCarry(InvalidRequest):
    """The request is right, but not for this target: its dialect has no word for what cannot be left out, or is wanted
    by the caller, or its model does not do what is asked."""

    is_of_target = True


class Unauthenticated(ApiError):
    """No key was given, or it is not one of ours."""

    status, kind = 401, "authentication_error"


class BillingProblem(ApiError):
    status, kind = 402, "billing_error"


class PermissionDenied(ApiError):
    """The key is ours but may not do this."""

    status, kind = 403, "permission_error"


class NotFound(ApiError):
    """Unknown path, id or model."""

    status, kind = 404, "not_found_error"


class NoSuchModel(NotFound):
    """The name is none that this target's provider could give to a model."""

    is_of_target = True


class MethodNotAllowed(ApiError):
    """A known path, another method (ERR-23)."""

    status, kind = 405, "invalid_request_error"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow

    def headers(self) -> list[tuple[str, str]]:
        return [("allow", self.allow)]


class Conflict(ApiError):
    status, kind = 409, "conflict_error"


class RequestTooLarge(ApiError):
    """The body has more bytes than the endpoint takes (ERR-24)."""

    status, kind = 413, "request_too_large"

    def headers(self) -> list[tuple[str, str]]:
        return [("connection", "close")]  # the rest of the body may still be on its way


class HeadersTooLarge(ApiError):
    status, kind = 431, "invalid_request_error"


class RateLimited(ApiError):
    """A limit is used up; the same request would pass after `retry_after` seconds (LIM-10)."""

    status, kind = 429, "rate_limit_error"

    def __init__(
        self, message: str, *, retry_after: int | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, details=details)
        self.retry_after = retry_after

    def headers(self) -> list[tuple[str, str]]:
        return [] if self.retry_after is None else [("retry-after", str(self.retry_after))]


class InternalError(ApiError):
    """A fault of ours: nothing that a client sends may cause one."""

    status, kind = 500, "api_error"


class UpstreamFailed(ApiError):
    """The provider refused the connection, broke off, or sent what is not a reply."""

    status, kind = 502, "api_error"


class Unavailable(ApiError):
    """A part of ours, such as the store, is away for now: not the caller's fault, so never a 401."""

    status, kind = 503, "api_error"


class UpstreamTimeout(ApiError):
    """The provider took longer than the configuration allows."""

    status, kind = 504, "timeout_error"


class Overloaded(ApiError):
    """No capacity; not a used-up quota, which is RateLimited (ERR-22)."""

    status, kind = 529, "overloaded_error"


class ConfigError(DragomanError):
    """The configuration is wrong. The message names file, line and remedy."""


class StoreError(DragomanError):
    """The database cannot be reached, read or written."""


class CutOff(BaseException):
    """The connection to the caller is to end here, in the middle of the reply, as one does that the network loses.

    No Exception, as each of those becomes an error reply or an `error` event on its way out (STR-42), and this one is
    there to be seen as neither. Only the edge, which holds the connection, takes it.
    """


# `error.type` -> HTTP status: what an error event would have been as a plain reply.
_STATUS = {
    error.kind: error.status
    for error in (
        InvalidRequest, Unauthenticated, BillingProblem, PermissionDenied, NotFound, Conflict,
        RequestTooLarge, RateLimited, InternalError, UpstreamTimeout, Overloaded,
    )
}  # fmt: skip


def status_of(kind: str) -> int:
    """The HTTP status of an `error.type`; 500 for one that we do not know (clients retry it, ERR-18)."""
    return _STATUS.get(kind, 500)
