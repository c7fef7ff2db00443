"""One request to the admin API as its endpoints get it, and what most of them need.

Endpoints are functions of an `Asking`; they return what is to be the reply's body, and raise ApiError. Knows no HTTP
framework and no SQL. Source: spec ADM-1 to 13.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from dragoman.errors import InvalidRequest, PermissionDenied
from dragoman.gateway.auth.auth import Principal
from dragoman.wire.headers import Version

from .roles import is_above
from .types import OrganizationInfo, Page

if TYPE_CHECKING:
    from dragoman.gateway.gateway import Gateway

__all__ = [
    "Asking",
    "Work",
    "cursors",
    "must_be_above",
    "page_of",
    "parsed_time",
    "show_organization",
    "texts",
]

ORGANIZATION_NAME = "dragoman"

R = TypeVar("R")


class Asking(Struct, frozen=True, kw_only=True):
    """One request: who asks, and what, checked. `given` has the names of the body's fields that were sent."""

    gateway: "Gateway"
    principal: Principal
    version: Version
    request_id: str
    ids: Mapping[str, str]  # out of the path
    query: Any = None
    body: Any = None
    given: frozenset[str] = frozenset()

    @property
    def is_of_old(self) -> bool:
        """Replies take the shapes of API version 2023-06-01."""
        return self.version == "2023-06-01"

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @property
    def default_workspace_id(self) -> str:
        return self.gateway.auth.workspace_id

    @property
    def bound_to(self) -> str | None:
        """The workspace that the admin key is bound to: it sees no other. None: all of them."""
        bound = self.principal.workspace_id
        return None if bound == self.default_workspace_id else bound

    def sees(self, workspace_id: str | None) -> bool:
        """Of a record's workspace, where None is the default one."""
        return self.bound_to in (None, workspace_id)


Work = Callable[[Asking], Awaitable[object]]


async def cursors(asking: Asking, find: Callable[[str], Awaitable[R | None]], what: str) -> tuple[R | None, R | None]:
    """The records that `after_id` and `before_id` name. Raises InvalidRequest."""
    after_id, before_id = asking.query.after_id, asking.query.before_id
    if after_id is not None and before_id is not None:
        raise InvalidRequest("before_id: cannot be given together with after_id")
    found: list[R | None] = []
    for parameter, id_ in (("after_id", after_id), ("before_id", before_id)):
        record = None if id_ is None else await find(id_)
        if id_ is not None and record is None:
            raise InvalidRequest(f"{parameter}: no {what} has the id {id_[:100]!r}")
        found.append(record)
    return found[0], found[1]


def page_of(asking: Asking, found: Sequence[R], show: Callable[[R], object], id_of: Callable[[R], str]) -> Page[Any]:
    """A page (ADM-7) out of one record more than was asked for. `has_more` looks where the page goes."""
    limit = asking.query.limit
    shown = found[-limit:] if asking.query.before_id is not None else found[:limit]
    return Page(
        data=[show(record) for record in shown],
        has_more=len(found) > limit,
        first_id=id_of(shown[0]) if shown else None,
        last_id=id_of(shown[-1]) if shown else None,
    )


def parsed_time(field: str, text: str | None) -> datetime | None:
    """RFC 3339, with a zone. Raises InvalidRequest."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            raise InvalidRequest(f"{field}: Input should have timezone info")
        return time.astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: no year of the calendar in UTC
        raise InvalidRequest(f"{field}: Input should be a valid datetime") from None


def texts(field: str, given: Mapping[str, object] | None, *, with_null: bool = False) -> None:
    """Raises InvalidRequest unless every value is a text, short enough to be kept beside many others."""
    for name, value in (given or {}).items():
        if value is None and with_null:
            continue
        if not isinstance(value, str):
            raise InvalidRequest(f"{field}.{name[:100]}: Input should be a valid string")
        if not 0 < len(name) <= 128 or len(value) > 256:
            raise InvalidRequest(
                f"{field}.{name[:100]}: a tag has a name of 1 to 128 and a value of at most 256 characters"
            )
    if given is not None and len(given) > 50:
        raise InvalidRequest(f"{field}: Dictionary should have at most 50 items after validation, not {len(given)}")


def must_be_above(asking: Asking, role: str | None, what: str) -> None:
    """Raises PermissionDenied for what only an owner, or an owner and admins, may do."""
    if not is_above(asking.principal.role, role):
        raise PermissionDenied(f"An admin key of the role {asking.principal.role} cannot {what}.")


async def show_organization(asking: Asking) -> OrganizationInfo:
    return OrganizationInfo(id=asking.principal.organization_id, name=ORGANIZATION_NAME)
