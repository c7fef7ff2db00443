"""Workspaces and their members (ADM-5). The default workspace has no record: it is there always, with every member."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

from dragoman.errors import ConfigError, InvalidRequest, NotFound, PermissionDenied
from dragoman.gateway.ids import new_id
from dragoman.store.organization import WorkspaceMemberRecord, WorkspaceRecord

from .asking import Asking, cursors, page_of, texts
from .types import (
    DataResidency,
    Page,
    WorkspaceMember,
    WorkspaceMemberDeleted,
    WorkspaceObject,
)

__all__ = [
    "add_workspace_member",
    "archive_workspace",
    "change_workspace",
    "create_workspace",
    "find_workspace",
    "list_workspace_members",
    "list_workspaces",
    "remove_workspace_member",
    "retrieve_workspace",
    "retrieve_workspace_member",
    "update_workspace",
    "update_workspace_member",
]

DEFAULT_NAME = "Default"
DEFAULT_COLOR = "#6C5BB9"
UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)  # as the API says of a date that it does not know
RESERVED = ("anthropic", "dragoman")  # what tags may not begin with
# The organization's role -> the one in the default workspace.
DEFAULT_ROLES: Mapping[str, str] = {
    "owner": "workspace_admin",
    "admin": "workspace_admin",
    "developer": "workspace_developer",
    "billing": "workspace_billing",
}


async def list_workspaces(asking: Asking) -> Page[WorkspaceObject]:
    query = asking.query
    store = asking.gateway.store.organization
    after, before = await cursors(asking, lambda id_: _find(asking, id_), "workspace")
    if asking.bound_to is None:
        ids = query.ids
    else:
        ids = [id_ for id_ in query.ids or [asking.bound_to] if id_ == asking.bound_to]
    default = _default(asking)  # it comes last, as the oldest
    found = (
        []
        if after == default
        else list(
            await store.page_workspaces(
                query.limit + 1, after=after, before=before, with_archived=query.include_archived, ids=ids
            )
        )
    )
    is_asked = query.include_default and asking.sees(default.id) and (query.ids is None or default.id in query.ids)
    if is_asked and query.before_id is None and query.after_id != default.id and len(found) <= query.limit:
        found.append(default)
    return page_of(asking, found, lambda record: _shown(asking, record), lambda record: record.id)


async def create_workspace(asking: Asking) -> WorkspaceObject:
    body = asking.body
    _check(body)
    _check_tags(body.tags)
    record = WorkspaceRecord(
        id=new_id("wrkspc"),
        name=body.name,
        display_color=body.display_color or DEFAULT_COLOR,
        created_at=asking.now,
        data_residency=_residency(DataResidency(), body.data_residency),
        tags=body.tags or None,
    )
    if not await asking.gateway.store.organization.add_workspace(record):
        raise _taken(body.name)
    return _shown(asking, record)


async def retrieve_workspace(asking: Asking) -> WorkspaceObject:
    return _shown(asking, await find_workspace(asking))


async def update_workspace(asking: Asking) -> WorkspaceObject:
    """What is null or not given stays. Raises InvalidRequest for an archived one."""
    body = asking.body
    found = await find_workspace(asking)
    _check(body)
    _refuse_default(asking, found, "changed")

    def change(record: WorkspaceRecord) -> WorkspaceRecord:
        return msgspec.structs.replace(
            record,
            name=body.name or record.name,
            display_color=body.display_color or record.display_color,
            data_residency=_residency(_residency_of(record), body.data_residency),
            tags=_tags(record.tags or {}, body.tags),
        )

    return _shown(asking, await change_workspace(asking, found.id, change))


async def change_workspace(
    asking: Asking,
    workspace_id: str,
    change: Callable[[WorkspaceRecord], WorkspaceRecord],
    *,
    needs_tier: str | None = None,
) -> WorkspaceRecord:
    """Raises InvalidRequest for an archived one, for a name that another one has, and for a tier that is gone."""
    try:
        store = asking.gateway.store.organization
        changed = await store.update_workspace(workspace_id, change, needs_tier=needs_tier)
    except ConfigError as error:
        raise InvalidRequest(str(error)) from error
    if changed == "name taken":
        raise _taken(asking.body.name)
    if changed is None:
        raise InvalidRequest(f"Workspace {workspace_id} is archived and cannot be changed.")
    asking.gateway.auth.forget_workspace(workspace_id)
    return changed


async def archive_workspace(asking: Asking) -> WorkspaceObject:
    """Its keys end with it, within seconds. Twice is harmless."""
    record = await find_workspace(asking)
    _refuse_default(asking, record, "archived")
    archived = await asking.gateway.store.organization.archive_workspace(record.id, asking.now)
    asking.gateway.auth.forget_workspace(record.id)
    return _shown(asking, archived or record)


async def find_workspace(asking: Asking) -> WorkspaceRecord:
    """The one that the path names. Raises NotFound, also for one that this key does not see."""
    workspace_id = asking.ids["workspace_id"]
    found = await _find(asking, workspace_id)
    if found is None:
        raise NotFound(f"Workspace {workspace_id[:100]} not found.")
    return found


# -- members --


async def list_workspace_members(asking: Asking) -> Page[WorkspaceMember]:
    workspace = await find_workspace(asking)
    store, limit = asking.gateway.store.organization, asking.query.limit + 1
    if _is_default(asking, workspace):
        after, before = await cursors(asking, store.find_member, "member")
        members = await store.page_members(limit, after=after, before=before)
        return page_of(
            asking, members, lambda each: _by_default(workspace.id, each.id, each.role), lambda each: each.id
        )
    first, last = await cursors(asking, lambda id_: store.find_workspace_member(workspace.id, id_), "member")
    found = await store.page_workspace_members(workspace.id, limit, after=first, before=last)
    return page_of(asking, found, _member, lambda record: record.member_id)


async def add_workspace_member(asking: Asking) -> WorkspaceMember:
    workspace = await find_workspace(asking)
    _refuse_default(asking, workspace, "given members: every member of the organization is in it")
    if workspace.archived_at is not None:
        raise InvalidRequest(f"Workspace {workspace.id} is archived and cannot be changed.")
    store, body = asking.gateway.store.organization, asking.body
    if await store.find_member(body.user_id) is None:
        raise NotFound(f"User {body.user_id[:100]} not found.")
    record = WorkspaceMemberRecord(
        workspace_id=workspace.id, member_id=body.user_id, role=body.workspace_role, added_at=asking.now
    )
    if not await store.add_workspace_member(record):
        raise InvalidRequest(f"user_id: {body.user_id} is a member of this workspace already")
    return _member(record)


async def retrieve_workspace_member(asking: Asking) -> WorkspaceMember:
    workspace, user_id = await find_workspace(asking), asking.ids["user_id"]
    store = asking.gateway.store.organization
    if _is_default(asking, workspace):
        member = await store.find_member(user_id)
        if member is not None:
            return _by_default(workspace.id, member.id, member.role)
    found = await store.find_workspace_member(workspace.id, user_id)
    if found is None:
        raise _no_member(asking)
    return _member(found)


async def update_workspace_member(asking: Asking) -> WorkspaceMember:
    workspace, user_id, role = await find_workspace(asking), asking.ids["user_id"], asking.body.workspace_role
    _refuse_default(asking, workspace, "changed")
    if not await asking.gateway.store.organization.update_workspace_member(workspace.id, user_id, role):
        raise _no_member(asking)
    return WorkspaceMember(user_id=user_id, workspace_id=workspace.id, workspace_role=role)


async def remove_workspace_member(asking: Asking) -> WorkspaceMemberDeleted:
    workspace, user_id = await find_workspace(asking), asking.ids["user_id"]
    _refuse_default(asking, workspace, "changed")
    if not await asking.gateway.store.organization.remove_workspace_member(workspace.id, user_id):
        raise _no_member(asking)
    return WorkspaceMemberDeleted(user_id=user_id, workspace_id=workspace.id)


# -- what they share --


async def _find(asking: Asking, workspace_id: str) -> WorkspaceRecord | None:
    if not asking.sees(workspace_id):
        return None
    if workspace_id == asking.default_workspace_id:
        return _default(asking)
    return await asking.gateway.store.organization.find_workspace(workspace_id)


def _default(asking: Asking) -> WorkspaceRecord:
    return WorkspaceRecord(
        id=asking.default_workspace_id, name=DEFAULT_NAME, display_color=DEFAULT_COLOR, created_at=UNKNOWN
    )


def _is_default(asking: Asking, record: WorkspaceRecord) -> bool:
    return record.id == asking.default_workspace_id


def _refuse_default(asking: Asking, record: WorkspaceRecord, what: str) -> None:
    if _is_default(asking, record):
        raise PermissionDenied(f"The default workspace cannot be {what}.")


def _check(body: object) -> None:
    """Raises InvalidRequest for what there is nothing of here."""
    for field in ("external_key_id", "user_profile_id"):
        if getattr(body, field) is not None:
            raise InvalidRequest(f"{field}: is not supported by this server")


def _check_tags(tags: Mapping[str, str | None] | None) -> None:
    texts("tags", tags, with_null=True)
    for name in tags or ():
        if name.startswith(RESERVED):
            raise InvalidRequest(f"tags.{name[:100]}: names may not begin with {' or '.join(RESERVED)}")


def _tags(kept: Mapping[str, str], given: Mapping[str, str | None] | None) -> Mapping[str, str] | None:
    _check_tags(given)
    merged = {**kept, **(given or {})}
    left = {name: value for name, value in merged.items() if value is not None}
    texts("tags", left)
    return left or None


def _residency_of(record: WorkspaceRecord) -> DataResidency:
    return msgspec.convert(record.data_residency or {}, DataResidency)


def _residency(kept: DataResidency, given: object) -> Mapping[str, object]:
    """What is kept once `given` is in it. Raises InvalidRequest where the default is not among what is allowed."""
    names = ("allowed_inference_geos", "default_inference_geo")
    sent = {name: value for name in names if (value := getattr(given, name, None)) is not None}
    residency = msgspec.structs.replace(kept, **sent)
    allowed = residency.allowed_inference_geos
    if allowed != "unrestricted" and residency.default_inference_geo not in allowed:
        raise InvalidRequest("data_residency.default_inference_geo: must be one of allowed_inference_geos")
    return msgspec.structs.asdict(residency)


def _taken(name: str) -> InvalidRequest:
    return InvalidRequest(f"name: there is a workspace {name!r} already")


def _no_member(asking: Asking) -> NotFound:
    return NotFound(f"User {asking.ids['user_id'][:100]} is no member of this workspace.")


def _shown(asking: Asking, record: WorkspaceRecord) -> WorkspaceObject:
    return WorkspaceObject(
        id=record.id,
        name=record.name,
        display_color=record.display_color,
        created_at=record.created_at,
        archived_at=record.archived_at,
        data_residency=_residency_of(record),
        tags=dict(record.tags or {}),
        compartment_id=record.id.replace("wrkspc_", "cmpt_", 1),  # nothing is encrypted for one workspace alone
    )


def _member(record: WorkspaceMemberRecord) -> WorkspaceMember:
    return msgspec.convert(
        {"user_id": record.member_id, "workspace_id": record.workspace_id, "workspace_role": record.role},
        WorkspaceMember,
    )


def _by_default(workspace_id: str, member_id: str, role: str) -> WorkspaceMember:
    workspace_role = DEFAULT_ROLES.get(role, "workspace_user")
    return msgspec.convert(
        {"user_id": member_id, "workspace_id": workspace_id, "workspace_role": workspace_role}, WorkspaceMember
    )
