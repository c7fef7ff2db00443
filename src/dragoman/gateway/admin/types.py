"""What goes over the admin API's wires in the shapes of the official one: bodies, queries and replies.

These declarations check the requests and make the OpenAPI document, so neither can say what the other does not.
Bodies are `Wire`: their checks are worded as the API's. Source: spec ADM-1 to 11 and the SDKs' own types.
"""

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct

from dragoman.wire.codec import Wire

__all__ = [
    "APIKey",
    "APIKeyOfOld",
    "APIKeyUpdate",
    "Actor",
    "AddWorkspaceMember",
    "CostReportQuery",
    "CountLimitGroup",
    "DataResidency",
    "DataResidencyCreate",
    "DataResidencyUpdate",
    "InviteCreate",
    "InviteDeleted",
    "InviteQuery",
    "KeyQuery",
    "LimitEntry",
    "LimitEntryOfOld",
    "LimitPage",
    "LimitQuery",
    "LimitValue",
    "ModelLimitGroup",
    "OrganizationInfo",
    "OrganizationInvite",
    "OrganizationUser",
    "Page",
    "PageQuery",
    "UsageReportQuery",
    "UserDeleted",
    "UserQuery",
    "UserUpdate",
    "WorkspaceCreate",
    "WorkspaceLimitEntry",
    "WorkspaceLimitEntryOfOld",
    "WorkspaceLimitQuery",
    "WorkspaceLimitSource",
    "WorkspaceLimitValue",
    "WorkspaceLimitValueOfOld",
    "WorkspaceMember",
    "WorkspaceMemberDeleted",
    "WorkspaceMemberUpdate",
    "WorkspaceObject",
    "WorkspaceQuery",
    "WorkspaceScope",
    "WorkspaceUpdate",
]

T = TypeVar("T")

Name = Annotated[str, Meta(min_length=1, max_length=200)]
KeyName = Annotated[str, Meta(min_length=1, max_length=500)]
Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Color = Annotated[str, Meta(pattern=r"^#[0-9A-Fa-f]{6}$")]
Limit = Annotated[int, Meta(ge=1, le=1000)]
KeyStatus = Literal["active", "inactive", "archived", "expired"]
WireRole = Literal["user", "developer", "billing", "admin", "claude_code_user"]
GivenRole = Literal["user", "developer", "billing", "claude_code_user"]  # an admin cannot be made here (ADM-6)
InviteStatus = Literal["pending", "accepted", "expired"]
WorkspaceRole = Literal[
    "workspace_user", "workspace_developer", "workspace_restricted_developer", "workspace_admin", "workspace_billing"
]
GivenWorkspaceRole = Literal[
    "workspace_user", "workspace_developer", "workspace_restricted_developer", "workspace_admin"
]
Geo = Literal["global", "us"]
GroupType = Literal["model_group", "batch", "token_count", "files", "skills", "web_search"]


class Page(Struct, Generic[T], frozen=True):
    """One page of a list (ADM-7), newest first."""

    data: list[T]
    has_more: bool
    first_id: str | None
    last_id: str | None


class PageQuery(Struct, frozen=True, kw_only=True):
    limit: Limit = 20
    after_id: str | None = None
    before_id: str | None = None


class OrganizationInfo(Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["organization"] = "organization"
    name: str


# -- API keys (ADM-3, 4) --


class Actor(Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["user", "service_account"] = "user"


class WorkspaceScope(Struct, frozen=True, kw_only=True):
    type: Literal["workspace"] = "workspace"
    workspace_id: str


class APIKey(Struct, frozen=True, kw_only=True):
    """A key, as of API version 2026-10-21. Its secret is never told."""

    id: str
    type: Literal["api_key"] = "api_key"
    name: str
    status: KeyStatus
    created_at: datetime
    created_by: Actor | None
    expires_at: datetime | None
    partial_key_hint: str | None
    principal: None = None
    scope: WorkspaceScope


class APIKeyOfOld(Struct, frozen=True, kw_only=True):
    """A key, as of API version 2023-06-01. `workspace_id` is null for the default workspace."""

    id: str
    type: Literal["api_key"] = "api_key"
    name: str
    status: KeyStatus
    created_at: datetime
    created_by: Actor | None
    expires_at: datetime | None
    partial_key_hint: str | None
    principal: None = None
    workspace_id: str | None


class APIKeyUpdate(Wire, frozen=True, kw_only=True):
    name: KeyName | None = None
    status: Literal["active", "inactive", "archived"] | None = None


class KeyQuery(PageQuery, frozen=True, kw_only=True):
    status: KeyStatus | None = None
    workspace_id: str | None = None
    created_by_user_id: str | None = None


# -- workspaces (ADM-5) --


class DataResidency(Struct, frozen=True, kw_only=True):
    """Kept and shown; dragoman itself sends a request where its routes say."""

    workspace_geo: Literal["us"] = "us"
    allowed_inference_geos: list[Geo] | Literal["unrestricted"] = "unrestricted"
    default_inference_geo: Geo = "global"


class WorkspaceObject(Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["workspace"] = "workspace"
    name: str
    display_color: str
    created_at: datetime
    archived_at: datetime | None
    data_residency: DataResidency
    tags: dict[str, str]
    compartment_id: str
    external_key_id: None = None
    user_profile_id: None = None


class DataResidencyUpdate(Wire, frozen=True, kw_only=True):
    allowed_inference_geos: list[Geo] | Literal["unrestricted"] | None = None
    default_inference_geo: Geo | None = None


class DataResidencyCreate(Wire, frozen=True, kw_only=True):
    workspace_geo: Literal["us"] | None = None
    allowed_inference_geos: list[Geo] | Literal["unrestricted"] | None = None
    default_inference_geo: Geo | None = None


class WorkspaceCreate(Wire, frozen=True, kw_only=True):
    name: Name
    data_residency: DataResidencyCreate | None = None
    display_color: Color | None = None
    external_key_id: str | None = None
    tags: dict[str, str] | None = None
    user_profile_id: str | None = None


class WorkspaceUpdate(Wire, frozen=True, kw_only=True):
    """What is not given stays. A tag that is null goes."""

    name: Name | None = None
    data_residency: DataResidencyUpdate | None = None
    display_color: Color | None = None
    external_key_id: str | None = None
    tags: dict[str, str | None] | None = None
    user_profile_id: str | None = None


class WorkspaceQuery(PageQuery, frozen=True, kw_only=True):
    ids: Annotated[list[str], Meta(max_length=100)] | None = None
    include_archived: bool = False
    include_default: bool = False


class WorkspaceMember(Struct, frozen=True, kw_only=True):
    type: Literal["workspace_member"] = "workspace_member"
    user_id: str
    workspace_id: str
    workspace_role: WorkspaceRole


class AddWorkspaceMember(Wire, frozen=True, kw_only=True):
    user_id: str
    workspace_role: GivenWorkspaceRole


class WorkspaceMemberUpdate(Wire, frozen=True, kw_only=True):
    workspace_role: WorkspaceRole


class WorkspaceMemberDeleted(Struct, frozen=True, kw_only=True):
    type: Literal["workspace_member_deleted"] = "workspace_member_deleted"
    user_id: str
    workspace_id: str


# -- users and invites (ADM-6) --


class OrganizationUser(Struct, frozen=True, kw_only=True):
    """A member. Our role reader shows as "user", owner as "admin"."""

    id: str
    type: Literal["user"] = "user"
    email: str
    name: str
    role: WireRole
    added_at: datetime


class UserUpdate(Wire, frozen=True, kw_only=True):
    role: GivenRole


class UserQuery(PageQuery, frozen=True, kw_only=True):
    email: str | None = None
    roles: list[WireRole] | None = None


class UserDeleted(Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["user_deleted"] = "user_deleted"


class OrganizationInvite(Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["invite"] = "invite"
    email: str
    role: WireRole
    status: InviteStatus
    invited_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    rbac_group_ids: list[str] = []


class InviteCreate(Wire, frozen=True, kw_only=True):
    email: Email
    role: GivenRole
    rbac_group_ids: Annotated[list[str], Meta(max_length=0)] | None = None


class InviteQuery(PageQuery, frozen=True, kw_only=True):
    email: str | None = None
    roles: list[WireRole] | None = None
    statuses: list[InviteStatus] | None = None


class InviteDeleted(Struct, frozen=True, kw_only=True):
    id: str
    type: Literal["invite_deleted"] = "invite_deleted"


# -- rate limits (ADM-8) --


class ModelLimitGroup(Struct, frozen=True, kw_only=True, tag_field="type", tag="model_group"):
    id: str
    display_name: str


class CountLimitGroup(Struct, frozen=True, kw_only=True, tag_field="type", tag="token_count"):
    id: str


class LimitValue(Struct, frozen=True, kw_only=True):
    type: str
    value: int


class LimitEntry(Struct, frozen=True, kw_only=True):
    """Limits of a group of models, or of another part of the API, as of API version 2026-10-21."""

    id: str
    type: Literal["rate_limit"] = "rate_limit"
    group: ModelLimitGroup | CountLimitGroup
    models: list[str] | None
    limits: list[LimitValue]


class LimitEntryOfOld(Struct, frozen=True, kw_only=True):
    """The same, as of API version 2023-06-01."""

    id: str
    type: Literal["rate_limit"] = "rate_limit"
    group_type: GroupType
    models: list[str] | None
    limits: list[LimitValue]


class LimitPage(Struct, Generic[T], frozen=True):
    data: list[T]
    next_page: str | None


class LimitQuery(Struct, frozen=True, kw_only=True):
    limit: Limit | None = None
    page: str | None = None
    group_type: GroupType | None = None
    model: str | None = None


class WorkspaceLimitQuery(Struct, frozen=True, kw_only=True):
    limit: Limit | None = None
    page: str | None = None
    group_type: GroupType | None = None
    include_inherited: bool = False


class WorkspaceLimitSource(Struct, frozen=True, kw_only=True):
    type: Literal["workspace", "organization"]


class WorkspaceLimitValue(Struct, frozen=True, kw_only=True):
    type: str
    value: int
    org_limit: int | None
    source: WorkspaceLimitSource


class WorkspaceLimitValueOfOld(Struct, frozen=True, kw_only=True):
    type: str
    value: int
    org_limit: int | None


class WorkspaceLimitEntry(Struct, frozen=True, kw_only=True):
    """Limits of a workspace, as of API version 2026-10-21."""

    rate_limit_id: str
    type: Literal["workspace_rate_limit"] = "workspace_rate_limit"
    workspace_id: str
    group: ModelLimitGroup | CountLimitGroup
    models: list[str] | None
    limits: list[WorkspaceLimitValue]


class WorkspaceLimitEntryOfOld(Struct, frozen=True, kw_only=True):
    """The same, as of API version 2023-06-01."""

    rate_limit_id: str
    type: Literal["workspace_rate_limit"] = "workspace_rate_limit"
    workspace_id: str
    group_type: GroupType
    models: list[str] | None
    limits: list[WorkspaceLimitValueOfOld]


# -- reports (ADM-9 to 11): what `usage_reports.py` reads, for the document; it checks them itself --


class UsageReportQuery(Struct, frozen=True, kw_only=True):
    """Times are RFC 3339. By default a page has 7 days, 24 hours or 60 minutes. `group_by` may hold `tag:NAME`, a tag
    of the keys; `tags` are written `NAME=VALUE`, or `NAME=` for keys without it."""

    starting_at: str
    ending_at: str | None = None
    bucket_width: Literal["1d", "1h", "1m"] = "1d"
    limit: Annotated[int, Meta(ge=1, le=1440)] | None = None
    page: str | None = None
    group_by: list[str] | None = None
    account_ids: list[str] | None = None
    api_key_ids: list[str] | None = None
    service_account_ids: list[str] | None = None
    workspace_ids: list[str] | None = None
    models: list[str] | None = None
    service_tiers: list[str] | None = None
    context_window: list[str] | None = None
    inference_geos: list[str] | None = None
    speeds: list[str] | None = None
    tags: list[str] | None = None


class CostReportQuery(Struct, frozen=True, kw_only=True):
    starting_at: str
    ending_at: str | None = None
    bucket_width: Literal["1d"] = "1d"
    limit: Annotated[int, Meta(ge=1, le=31)] | None = None
    page: str | None = None
    group_by: list[str] | None = None
    tags: list[str] | None = None
