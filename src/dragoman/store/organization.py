"""The organization: its workspaces and members, who is invited, and what is set while the server runs.

Times are aware and UTC. Nothing is deleted that a ledger row, a key or another record may name: it gets a time of end.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

__all__ = ["InviteRecord", "MemberRecord", "WorkspaceMemberRecord", "WorkspaceRecord"]


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
