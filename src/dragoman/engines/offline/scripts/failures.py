"""Errors that a script answers with, in the API's envelope. Imports the error tree and this folder only."""

import re
from typing import ClassVar, cast

from msgspec import Struct

from dragoman.errors import (
    ApiError,
    BillingProblem,
    Conflict,
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

from .blocks import Compile
from .reading import Refused, Table
from .template import Lookup, Tree, rendered, rendered_text

__all__ = ["Failure", "ScriptedError", "read_failure"]

STATUS_OF: dict[str, int] = {
    error.kind: error.status
    for error in (
        InvalidRequest, Unauthenticated, BillingProblem, PermissionDenied, NotFound, Conflict,
        RequestTooLarge, RateLimited, InternalError, UpstreamTimeout, Overloaded,
    )
}  # fmt: skip
KIND_OF = {status: kind for kind, status in STATUS_OF.items()}
MESSAGES = {
    429: "This request would exceed your rate limit.",
    500: "Internal server error",
    529: "Overloaded",
}  # ERR-51
KIND = re.compile(r"[a-z][a-z0-9_]{0,99}")
MOST_SECONDS = 86_400


class ScriptedError(ApiError):
    """An error of a script's own status and type; `raised` makes one."""

    retry_after: ClassVar[float | None] = None

    def headers(self) -> list[tuple[str, str]]:
        return [] if self.retry_after is None else [("retry-after", f"{self.retry_after:g}")]


class Failure(Struct, frozen=True, kw_only=True):
    """An error as it is written. `after`: content events that come before it; None: it comes instead of a reply."""

    kind: type[ScriptedError]
    message: Tree
    details: Tree | None = None
    after: int | None = None

    def raised(self, lookup: Lookup) -> ScriptedError:
        details = None if self.details is None else rendered(self.details, lookup)
        return self.kind(rendered_text(self.message, lookup), details=details)


def read_failure(table: Table, compiled: Compile, *, most_events: int) -> Failure:
    """`error = { status, type, message, details, retry_after, after }`."""
    status, kind = table.whole("status", least=400, most=599), table.text("type")
    if kind is not None and not KIND.fullmatch(kind):
        table.refuse("type", "is no type of an error", 'Write one as "overloaded_error".')
    elif status is None and "status" not in table and kind not in STATUS_OF:
        what = "an error needs `status` or a known `type`" if kind is None else f'no status is known for "{kind}"'
        table.note(None, what, f"Write status = 529, or type, one of {', '.join(STATUS_OF)}.")
    status = status or STATUS_OF.get(kind or "", 500)
    kind = kind or _kind_of(status)
    failure = Failure(
        kind=_class_of(status, kind, table.number("retry_after", most=MOST_SECONDS, may_be_zero=True)),
        message=_compiled(table, "message", compiled) or MESSAGES.get(status, f"An error of the script: {kind}"),
        details=_compiled(table, "details", compiled),
        after=table.whole("after", least=1, most=most_events),
    )
    table.close()
    return failure


def _kind_of(status: int) -> str:
    """The type that belongs to a status; other 4xx are `invalid_request_error` (ERR-10)."""
    return KIND_OF.get(status) or ("invalid_request_error" if status < 500 else "api_error")


def _class_of(status: int, kind: str, retry_after: float | None) -> type[ScriptedError]:
    """Status and type of an error belong to its class, so each error of a script is a class, made once."""
    fields = {"status": status, "kind": kind, "retry_after": retry_after}
    return cast(type[ScriptedError], type("ScriptedError", (ScriptedError,), fields))


def _compiled(table: Table, name: str, compiled: Compile) -> Tree | None:
    given = table.text(name) if name == "message" else table.table(name)
    if given is None:
        return None
    try:
        return compiled(given if isinstance(given, str) else given.values)
    except Refused as refused:
        table.note(name, refused.what, refused.remedy)
        return None
