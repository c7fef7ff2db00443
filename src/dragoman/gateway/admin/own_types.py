"""What goes over the wires of `/v1/dragoman`: what the official API has no endpoints for. See `types.py`.

Money is in dollars as a decimal text, "12.5", as JSON numbers would lose nano-dollars.
"""

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct

from dragoman.wire.codec import Wire

from .types import Email, KeyName, KeyStatus, Name, PageQuery
from .usage_types import RequestReply

__all__ = [
    "Assignment",
    "AssignmentSet",
    "Budget",
    "BudgetCreate",
    "BudgetQuery",
    "BudgetUpdate",
    "Credential",
    "CredentialCreate",
    "CredentialDeleted",
    "GroupLimits",
    "GroupLimitsPut",
    "InviteAccept",
    "Key",
    "KeyCreate",
    "KeyFilterQuery",
    "KeyRotate",
    "KeyUpdate",
    "KeyWithSecret",
    "Limits",
    "List",
    "Member",
    "MemberCreate",
    "MemberUpdate",
    "Provider",
    "RequestQuery",
    "RequestWithContents",
    "RequestWithContentsQuery",
    "Route",
    "RouteTarget",
    "Tier",
    "TierDeleted",
    "TierPut",
]

T = TypeVar("T")

OurRole = Literal["owner", "admin", "developer", "billing", "reader"]
MemberRole = Literal["owner", "admin", "developer", "billing", "reader", "claude_code_user"]
PerMinute = Annotated[int, Meta(ge=1, le=1_000_000_000)]
PerDay = Annotated[int, Meta(ge=1, le=1_000_000_000_000)]
Dollars = Annotated[str, Meta(pattern=r"^[0-9]{1,7}(\.[0-9]{1,9})?$")]


class List(Struct, Generic[T], frozen=True):
    """All there are."""

    data: list[T]


# -- keys --


class Key(Struct, frozen=True, kw_only=True):
    """A key and all of its terms. `role`: of an admin key; null: it is for models. Null terms: no bound."""

    id: str
    type: Literal["key"] = "key"
    name: str
    status: KeyStatus
    role: OurRole | None
    workspace_id: str
    partial_key_hint: str
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    models: list[str] | None
    addresses: list[str] | None
    tags: dict[str, str]
    tier: str | None
    cache_s: int | None
    is_test: bool
    previous_works_until: datetime | None


class KeyWithSecret(Key, frozen=True, kw_only=True):
    """The same with the key itself, which is told this once."""

    key: str

    def __repr__(self) -> str:  # never with the key
        return f"KeyWithSecret({self.id})"


class KeyCreate(Wire, frozen=True, kw_only=True):
    """`expires_at`: RFC 3339. `models`: patterns of names. `addresses`: networks. `cache_s`: seconds for which
    replies are given again to the very same request. `role`: makes an admin key."""

    name: KeyName
    workspace_id: str | None = None
    expires_at: str | None = None
    models: list[str] | None = None
    addresses: list[str] | None = None
    tags: dict[str, str] | None = None
    tier: str | None = None
    cache_s: int | None = None
    role: OurRole | None = None
    is_test: bool | None = None
    created_by: str | None = None


class KeyUpdate(Wire, frozen=True, kw_only=True):
    """What is not given stays; null takes a bound away."""

    name: KeyName | None = None
    status: Literal["active", "inactive", "archived"] | None = None
    workspace_id: str | None = None
    expires_at: str | None = None
    models: list[str] | None = None
    addresses: list[str] | None = None
    tags: dict[str, str] | None = None
    tier: str | None = None
    cache_s: int | None = None


class KeyRotate(Wire, frozen=True, kw_only=True):
    """`overlap_seconds`: how long the key of before works on; a day, if it is not given."""

    overlap_seconds: Annotated[int, Meta(ge=0)] | None = None


class KeyFilterQuery(PageQuery, frozen=True, kw_only=True):
    status: KeyStatus | None = None
    workspace_id: str | None = None
    created_by: str | None = None
    kind: Literal["model", "admin"] | None = None


# -- members --


class Member(Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["member"] = "member"
    email: str
    name: str
    role: MemberRole
    added_at: datetime


class MemberCreate(Wire, frozen=True, kw_only=True):
    email: Email
    name: Name
    role: OurRole


class MemberUpdate(Wire, frozen=True, kw_only=True):
    name: Name | None = None
    role: OurRole | None = None


class InviteAccept(Wire, frozen=True, kw_only=True):
    name: Name | None = None


# -- limits --


class GroupLimits(Struct, frozen=True, kw_only=True):
    rpm: int | None
    itpm: int | None
    otpm: int | None
    tpm: int | None
    tpd: int | None


class Tier(Struct, frozen=True, kw_only=True):
    """What is null is not limited. `origin`: "built in", "file" or "api"; only the last can be changed here."""

    name: str
    type: Literal["tier"] = "tier"
    origin: Literal["built in", "file", "api"]
    rpm: int | None
    itpm: int | None
    otpm: int | None
    tpm: int | None
    tpd: int | None
    count_rpm: int | None
    concurrent: int | None
    groups: dict[str, GroupLimits]


class GroupLimitsPut(Wire, frozen=True, kw_only=True):
    rpm: PerMinute | None = None
    itpm: PerMinute | None = None
    otpm: PerMinute | None = None
    tpm: PerMinute | None = None
    tpd: PerDay | None = None


class TierPut(Wire, frozen=True, kw_only=True):
    """The whole of a tier: what is not given is not limited."""

    rpm: PerMinute | None = None
    itpm: PerMinute | None = None
    otpm: PerMinute | None = None
    tpm: PerMinute | None = None
    tpd: PerDay | None = None
    count_rpm: PerMinute | None = None
    concurrent: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    groups: dict[str, GroupLimitsPut] | None = None


class TierDeleted(Struct, frozen=True, kw_only=True):
    name: str
    type: Literal["tier_deleted"] = "tier_deleted"


class Assignment(Struct, frozen=True, kw_only=True):
    """Who is in which tier; null: none of its own. `id` is null for the organization."""

    type: Literal["limit_assignment"] = "limit_assignment"
    scope: Literal["organization", "workspace", "key"]
    id: str | None
    tier: str | None


class AssignmentSet(Wire, frozen=True, kw_only=True):
    """Null: what the configuration file says holds again."""

    tier: Annotated[str, Meta(min_length=1, max_length=200)] | None


class Limits(Struct, frozen=True, kw_only=True):
    """What is in force for the organization and for the default workspace, and for those that the file names; those
    of workspaces and keys that were set here stand with them."""

    type: Literal["limits"] = "limits"
    organization: str | None
    default_workspace: str | None
    workspaces: dict[str, str]
    keys: dict[str, str]


# -- budgets --


class Budget(Struct, frozen=True, kw_only=True):
    """`scope_id` "*": each workspace or key has one of its own. `spent_usd`: in the window that runs now; null for
    those that each has of its own. A webhook may hold a secret, so only its host is shown."""

    id: str
    type: Literal["budget"] = "budget"
    scope: Literal["organization", "workspace", "key"]
    scope_id: str
    period: Literal["day", "week", "month", "total"]
    zone: str
    limit_usd: str
    spent_usd: str | None
    is_hard: bool
    unknown_price: Literal["allow", "refuse"]
    alerts: list[int]
    webhook_host: str | None
    origin: Literal["file", "api"]
    created_at: datetime | None
    ended_at: datetime | None


class BudgetCreate(Wire, frozen=True, kw_only=True):
    """`scope_id` is not needed for the organization. `limit_usd` in dollars, "12.50"; `alerts` in percent of it."""

    scope: Literal["organization", "workspace", "key"]
    period: Literal["day", "week", "month", "total"]
    limit_usd: Dollars
    scope_id: str | None = None
    zone: str | None = None
    is_hard: bool | None = None
    unknown_price: Literal["allow", "refuse"] | None = None
    alerts: list[int] | None = None
    webhook: str | None = None

    def __repr__(self) -> str:  # without the webhook, whose path may be a secret
        return f"BudgetCreate({self.scope}, {self.limit_usd}, ...)"


class BudgetUpdate(Wire, frozen=True, kw_only=True):
    """What is not given stays; a null webhook goes."""

    limit_usd: Dollars | None = None
    is_hard: bool | None = None
    unknown_price: Literal["allow", "refuse"] | None = None
    alerts: list[int] | None = None
    webhook: str | None = None

    def __repr__(self) -> str:  # without the webhook, whose path may be a secret
        return f"BudgetUpdate({self.limit_usd}, ...)"


class BudgetQuery(Struct, frozen=True, kw_only=True):
    include_ended: bool = False


# -- providers and routes --


class Provider(Struct, frozen=True, kw_only=True):
    """`has_key`: the configuration has one for it. `credentials`: how many are stored here besides. `state`
    "lacks_key": it needs one of them and has none."""

    name: str
    type: Literal["provider"] = "provider"
    dialect: str
    host: str | None
    base_url: str | None
    is_default: bool
    has_key: bool
    credentials: int
    state: Literal["ready", "lacks_key"]


class Credential(Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["provider_credential"] = "provider_credential"
    provider: str
    name: str
    partial_key_hint: str
    created_at: datetime


class CredentialCreate(Wire, frozen=True, kw_only=True):
    name: Name
    key: Annotated[str, Meta(min_length=1, max_length=10_000)]

    def __repr__(self) -> str:  # never with the key
        return f"CredentialCreate({self.name})"


class CredentialDeleted(Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["provider_credential_deleted"] = "provider_credential_deleted"


class RouteTarget(Struct, frozen=True, kw_only=True):
    """`breaker`: how it is, as the process sees it that was asked; "open": it failed too often and is left alone."""

    target: str
    breaker: Literal["closed", "open", "half-open"]


class Route(Struct, frozen=True, kw_only=True):
    """What answers a model name, or names that fit a pattern, where nothing else is said of the request.

    `model`: null stands for every other name, which goes to the provider as it is.
    """

    type: Literal["route"] = "route"
    model: str | None
    policy: str
    targets: list[RouteTarget]
    origin: str


# -- the log of requests: what `request_log.py` reads, for the document; it checks it itself --


class RequestQuery(Struct, frozen=True, kw_only=True):
    """`status`: "429", or a class of them, "4xx". `workspace_id` "default": the one that has no id."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 20
    page: str | None = None
    starting_at: str | None = None
    ending_at: str | None = None
    workspace_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    provider: str | None = None
    status: str | None = None
    outcome: Literal["answered", "refused", "cut", "abandoned", "interrupted"] | None = None
    upstream_request_id: str | None = None


class RequestWithContentsQuery(Struct, frozen=True, kw_only=True):
    """`contents`: also what was asked and replied, where that is kept; for owners and admins."""

    contents: bool = False


class RequestContents(Struct, frozen=True, kw_only=True):
    request: str
    reply: str


class RequestWithContents(RequestReply, frozen=True, kw_only=True):
    contents: RequestContents | None
