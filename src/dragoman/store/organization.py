"""The organization: its workspaces and members, who is invited, and what is set while the server runs.

Times are aware and UTC. Nothing is deleted that a ledger row, a key or another record may name: it gets a time of end.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

import msgspec

__all__ = [
    "InviteRecord",
    "InviteStatus",
    "MemberRecord",
    "OrganizationStore",
    "SettingRecord",
    "TierUse",
    "WorkspaceMemberRecord",
    "WorkspaceRecord",
]

InviteStatus = Literal["pending", "accepted", "expired", "deleted"]


class WorkspaceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace. The default one has no record (ADM-5)."""

    id: str  # "wrkspc_..."
    name: str
    display_color: str
    created_at: datetime
    archived_at: datetime | None = None
    data_residency: Mapping[str, object] | None = None
    tags: Mapping[str, str] | None = None
    tier: str | None = None


class MemberRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str  # "user_..."
    email: str
    name: str
    role: str
    added_at: datetime
    removed_at: datetime | None = None


class InviteRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str  # "invite_..."
    email: str
    role: str
    invited_at: datetime
    expires_at: datetime
    accepted_at: datetime | None = None
    deleted_at: datetime | None = None


class WorkspaceMemberRecord(msgspec.Struct, frozen=True, kw_only=True):
    workspace_id: str
    member_id: str
    role: str
    added_at: datetime


class SettingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What an administrator has set while the server runs; it goes before what the configuration file says."""

    kind: str  # "tier": a tier of limits; "assignment": who is in which tier
    name: str
    value: str  # JSON
    updated_at: datetime


class TierUse(NamedTuple):
    """Who is in a tier: keys, workspaces, and "organization" or "default workspace"."""

    users: Sequence[str]  # the first of them
    others: int  # how many more there are


class OrganizationStore(Protocol):
    """Every method raises StoreError for any trouble with the database.

    Pages are newest first. `after` and `before` are records, of which one may be given: then a page has the nearest
    ones behind it or in front of it, newest first all the same.
    """

    # -- workspaces --

    async def add_workspace(self, record: WorkspaceRecord) -> bool:
        """False, and nothing done, when its id is there, or its name at one that is not archived."""

    async def find_workspace(self, workspace_id: str) -> WorkspaceRecord | None:
        """Archived or not."""

    async def page_workspaces(
        self,
        limit: int,
        *,
        after: WorkspaceRecord | None = None,
        before: WorkspaceRecord | None = None,
        with_archived: bool = False,
        ids: Collection[str] | None = None,
    ) -> Sequence[WorkspaceRecord]:
        """Only those of `ids`, where they are given."""

    async def update_workspace(
        self,
        workspace_id: str,
        change: Callable[[WorkspaceRecord], WorkspaceRecord],
        *,
        needs_tier: str | None = None,
    ) -> WorkspaceRecord | Literal["name taken"] | None:
        """Put what `change` makes of it in its place, in one step, and return it; ids and times stay as they are.

        None when there is none of this id that is not archived. What `change` raises is raised, and nothing done.
        `needs_tier`: only if the settings have this tier. Raises ConfigError where they have not.
        """

    async def archive_workspace(self, workspace_id: str, at: datetime) -> WorkspaceRecord | None:
        """And its keys with it. None when there is none of this id. A second call keeps the first time."""

    # -- members --

    async def add_member(self, record: MemberRecord) -> bool:
        """False, and nothing done, when its id is there, or its address at a member who has not been removed."""

    async def find_member(self, member_id: str) -> MemberRecord | None:
        """None of one who has been removed."""

    async def page_members(
        self,
        limit: int,
        *,
        after: MemberRecord | None = None,
        before: MemberRecord | None = None,
        email: str | None = None,
        roles: Collection[str] | None = None,
    ) -> Sequence[MemberRecord]:
        """Those who have not been removed."""

    async def update_member(self, member_id: str, *, name: str | None = None, role: str | None = None) -> bool:
        """False when there is none of this id, or he has been removed."""

    async def remove_member(self, member_id: str, at: datetime) -> bool:
        """And his places in workspaces. False, and nothing done, for the only one and for one who is none."""

    # -- invites --

    async def add_invite(self, record: InviteRecord) -> bool:
        """False, and nothing done, when its address is a member's or has an invite that is pending at that time."""

    async def find_invite(self, invite_id: str) -> InviteRecord | None:
        """None of one that has been deleted."""

    async def page_invites(
        self,
        limit: int,
        *,
        now: datetime,
        after: InviteRecord | None = None,
        before: InviteRecord | None = None,
        email: str | None = None,
        roles: Collection[str] | None = None,
        statuses: Collection[InviteStatus] | None = None,
    ) -> Sequence[InviteRecord]:
        """`statuses`: none of them means all but deleted ones."""

    async def delete_invite(self, invite_id: str, at: datetime) -> bool:
        """False, and nothing done, for one that is not pending at that time."""

    async def accept_invite(self, invite_id: str, member: MemberRecord, at: datetime) -> bool:
        """Keep the member, and that the invite is accepted. False, and nothing done, for one that is not pending, and
        when the address is a member's."""

    # -- members of workspaces --

    async def add_workspace_member(self, record: WorkspaceMemberRecord) -> bool:
        """False, and nothing done, when he is one already."""

    async def find_workspace_member(self, workspace_id: str, member_id: str) -> WorkspaceMemberRecord | None: ...

    async def page_workspace_members(
        self,
        workspace_id: str,
        limit: int,
        *,
        after: WorkspaceMemberRecord | None = None,
        before: WorkspaceMemberRecord | None = None,
    ) -> Sequence[WorkspaceMemberRecord]: ...

    async def update_workspace_member(self, workspace_id: str, member_id: str, role: str) -> bool:
        """False when he is none."""

    async def remove_workspace_member(self, workspace_id: str, member_id: str) -> bool:
        """False when he is none."""

    # -- settings --

    async def settings(self) -> Sequence[SettingRecord]:
        """All of them, by kind and name."""

    async def put_setting(self, record: SettingRecord, *, needs_tier: str | None = None) -> None:
        """In place of the one of its kind and name, if there is one. `needs_tier`: as of `update_workspace`."""

    async def delete_setting(self, kind: str, name: str) -> bool:
        """False when there is none."""

    async def delete_tier(self, name: str, *, told: int = 10) -> TierUse | None:
        """Delete the setting of a tier, unless somebody is in it: look and delete in one step. Archived keys and
        workspaces do not count. None when it is deleted, or is not there; `told`: how many users are named."""
