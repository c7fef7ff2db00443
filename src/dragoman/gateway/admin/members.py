"""Members of the organization and invites (ADM-6). No mail is sent: an invite is accepted by an admin's request."""

from datetime import timedelta
from typing import Any

import msgspec

from dragoman.errors import InvalidRequest, NotFound
from dragoman.gateway.ids import new_id
from dragoman.store.organization import InviteRecord, MemberRecord

from .asking import Asking, cursors, must_be_above, page_of
from .own_types import Member
from .roles import our_role, wire_role
from .types import InviteDeleted, OrganizationInvite, OrganizationUser, Page, UserDeleted

__all__ = [
    "accept_invite",
    "create_invite",
    "create_member",
    "delete_invite",
    "list_invites",
    "list_members",
    "list_users",
    "remove_user",
    "retrieve_invite",
    "retrieve_user",
    "update_member",
    "update_user",
]

LASTS = timedelta(days=21)  # an invite (ADM-6)


async def list_users(asking: Asking) -> Page[OrganizationUser]:
    query, store = asking.query, asking.gateway.store.organization
    after, before = await cursors(asking, store.find_member, "user")
    found = await store.page_members(
        query.limit + 1, after=after, before=before, email=query.email, roles=_roles(query.roles)
    )
    return page_of(asking, found, _user, lambda record: record.id)


async def retrieve_user(asking: Asking) -> OrganizationUser:
    return _user(await _find_member(asking, asking.ids["user_id"]))


async def update_user(asking: Asking) -> OrganizationUser:
    member = await _find_member(asking, asking.ids["user_id"])
    must_be_above(asking, member.role, "change an owner")
    role = our_role(asking.body.role)
    await asking.gateway.store.organization.update_member(member.id, role=role)
    return _user(msgspec.structs.replace(member, role=role))


async def remove_user(asking: Asking) -> UserDeleted:
    """The keys that a member made stay: a key belongs to its workspace."""
    member = await _find_member(asking, asking.ids["user_id"])
    must_be_above(asking, member.role, "remove an owner")
    if not await asking.gateway.store.organization.remove_member(member.id, asking.now):
        raise InvalidRequest(
            f"User {member.id} is the organization's only member. Add another one first.",
            details={"error_code": "cannot_remove_last_member"},
        )
    return UserDeleted(id=member.id)


# -- invites --


async def list_invites(asking: Asking) -> Page[OrganizationInvite]:
    query, store, now = asking.query, asking.gateway.store.organization, asking.now
    after, before = await cursors(asking, store.find_invite, "invite")
    found = await store.page_invites(
        query.limit + 1,
        now=now,
        after=after,
        before=before,
        email=query.email,
        roles=_roles(query.roles),
        statuses=query.statuses,
    )
    return page_of(asking, found, lambda record: _invite(asking, record), lambda record: record.id)


async def create_invite(asking: Asking) -> OrganizationInvite:
    store, body, now = asking.gateway.store.organization, asking.body, asking.now
    record = InviteRecord(
        id=new_id("invite"), email=body.email, role=our_role(body.role), invited_at=now, expires_at=now + LASTS
    )
    if not await store.add_invite(record):
        pending = await store.page_invites(1, now=now, email=body.email, statuses=["pending"])
        if pending:
            raise InvalidRequest(
                f"email: there is a pending invite for this address: {pending[0].id}",
                details={"error_code": "invite_already_exists"},
            )
        raise already_member("email")
    return _invite(asking, record)


async def retrieve_invite(asking: Asking) -> OrganizationInvite:
    return _invite(asking, await _find_invite(asking))


async def delete_invite(asking: Asking) -> InviteDeleted:
    invite = await _find_invite(asking)
    if not await asking.gateway.store.organization.delete_invite(invite.id, asking.now):
        raise _not_pending(invite)
    return InviteDeleted(id=invite.id)


async def accept_invite(asking: Asking) -> Member:
    """Whoever was invited becomes a member. There is no sign-in here, so whoever may invite says so."""
    invite, body, now = await _find_invite(asking), asking.body, asking.now
    member = MemberRecord(
        id=new_id("user"),
        email=invite.email,
        name=body.name or invite.email.partition("@")[0],
        role=invite.role,
        added_at=now,
    )
    if not await asking.gateway.store.organization.accept_invite(invite.id, member, now):
        if invite.accepted_at is None and invite.expires_at > now:
            raise already_member("email")
        raise _not_pending(invite)
    return _member(member)


# -- members, with our own roles --


async def list_members(asking: Asking) -> Page[Member]:
    store = asking.gateway.store.organization
    after, before = await cursors(asking, store.find_member, "member")
    found = await store.page_members(asking.query.limit + 1, after=after, before=before)
    return page_of(asking, found, _member, lambda record: record.id)


async def create_member(asking: Asking) -> Member:
    body = asking.body
    must_be_above(asking, body.role, "make an owner")
    record = MemberRecord(id=new_id("user"), email=body.email, name=body.name, role=body.role, added_at=asking.now)
    if not await asking.gateway.store.organization.add_member(record):
        raise already_member("email")
    return _member(record)


async def update_member(asking: Asking) -> Member:
    body, member = asking.body, await _find_member(asking, asking.ids["member_id"])
    must_be_above(asking, member.role, "change an owner")
    must_be_above(asking, body.role, "make an owner")
    if not await asking.gateway.store.organization.update_member(member.id, name=body.name, role=body.role):
        raise _no_user(member.id)
    return _member(await _find_member(asking, member.id))


# -- what they share --


def already_member(field: str) -> InvalidRequest:
    return InvalidRequest(
        f"{field}: this address is a member's of the organization already", details={"error_code": "already_member"}
    )


def _roles(wire: list[str] | None) -> list[str] | None:
    """Of ours, those that the classic endpoints call so."""
    if wire is None:
        return None
    ours = {"admin": ["owner", "admin"], "user": ["reader"]}
    return [role for name in wire for role in ours.get(name, [name])]


async def _find_member(asking: Asking, member_id: str) -> MemberRecord:
    found = await asking.gateway.store.organization.find_member(member_id)
    if found is None:
        raise _no_user(member_id)
    return found


def _no_user(member_id: str) -> NotFound:
    return NotFound(f"User {member_id[:100]} not found.")


async def _find_invite(asking: Asking) -> InviteRecord:
    invite_id = asking.ids["invite_id"]
    found = await asking.gateway.store.organization.find_invite(invite_id)
    if found is None:
        raise NotFound(f"Invite {invite_id[:100]} not found.")
    return found


def _not_pending(invite: InviteRecord) -> InvalidRequest:
    return InvalidRequest(f"Invite {invite.id} is not pending any more.")


def _user(record: MemberRecord) -> OrganizationUser:
    role: Any = wire_role(record.role)
    return OrganizationUser(id=record.id, email=record.email, name=record.name, role=role, added_at=record.added_at)


def _member(record: MemberRecord) -> Member:
    return msgspec.convert(
        {name: getattr(record, name) for name in ("id", "email", "name", "role", "added_at")}, Member
    )


def _invite(asking: Asking, record: InviteRecord) -> OrganizationInvite:
    is_over = record.expires_at <= asking.now
    role: Any = wire_role(record.role)
    return OrganizationInvite(
        id=record.id,
        email=record.email,
        role=role,
        status="accepted" if record.accepted_at is not None else "expired" if is_over else "pending",
        invited_at=record.invited_at,
        expires_at=record.expires_at,
        accepted_at=record.accepted_at,
    )
