"""The organization in a SQL database. A method is one transaction."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)

from .database import Run
from .locks import alone
from .organization import (
    InviteRecord,
    InviteStatus,
    MemberRecord,
    OrganizationStore,
    SettingRecord,
    TierUse,
    WorkspaceMemberRecord,
    WorkspaceRecord,
)
from .sql_tiers import hold_tier
from .tables import API_KEYS, INVITES, MEMBERS, SETTINGS, WORKSPACE_MEMBERS, WORKSPACES

__all__ = ["SQLOrganization"]

T = TypeVar("T", bound=msgspec.Struct)

KEYS = API_KEYS.c
JSON = ("data_residency", "tags")  # fields that are kept as JSON
KEPT = ("id", "created_at", "archived_at")  # of a workspace, what an update leaves


class SQLOrganization(OrganizationStore):
    """`run` does a piece of work in a transaction (`SQLStore`)."""

    def __init__(self, run: Run) -> None:
        self._run = run

    # -- workspaces --

    async def add_workspace(self, record: WorkspaceRecord) -> bool:
        same = or_(WORKSPACES.c.id == record.id, _has_name(record.name))

        def add(connection: Connection) -> bool:
            alone(connection, "workspaces")
            if _is_there(connection, select(WORKSPACES.c.id).where(same)):
                return False
            connection.execute(insert(WORKSPACES).values(_values(record)))
            return True

        return await self._run(add)

    async def find_workspace(self, workspace_id: str) -> WorkspaceRecord | None:
        found = await self._read(WorkspaceRecord, select(WORKSPACES).where(WORKSPACES.c.id == workspace_id))
        return found[0] if found else None

    async def page_workspaces(
        self,
        limit: int,
        *,
        after: WorkspaceRecord | None = None,
        before: WorkspaceRecord | None = None,
        with_archived: bool = False,
        ids: Collection[str] | None = None,
    ) -> Sequence[WorkspaceRecord]:
        wanted: ColumnElement[bool] = true() if with_archived else WORKSPACES.c.archived_at.is_(None)
        if ids is not None:
            wanted = and_(wanted, WORKSPACES.c.id.in_(ids))
        places = [(each.created_at, each.id) if each else None for each in (after, before)]
        return await self._page(WorkspaceRecord, WORKSPACES, wanted, limit, *places)

    async def update_workspace(
        self,
        workspace_id: str,
        change: Callable[[WorkspaceRecord], WorkspaceRecord],
        *,
        needs_tier: str | None = None,
    ) -> WorkspaceRecord | Literal["name taken"] | None:
        this = and_(WORKSPACES.c.id == workspace_id, WORKSPACES.c.archived_at.is_(None))

        def update_it(connection: Connection) -> WorkspaceRecord | Literal["name taken"] | None:
            alone(connection, "workspaces")
            hold_tier(connection, needs_tier)
            found = connection.execute(select(WORKSPACES).where(this)).one_or_none()
            if found is None:
                return None
            before = _record(WorkspaceRecord, found._mapping)
            kept = {name: getattr(before, name) for name in KEPT}
            after = msgspec.structs.replace(change(before), **kept)
            if _is_there(connection, select(WORKSPACES.c.id).where(_has_name(after.name), ~this)):
                return "name taken"
            connection.execute(update(WORKSPACES).where(this).values(_values(after)))
            return after

        return await self._run(update_it)

    async def archive_workspace(self, workspace_id: str, at: datetime) -> WorkspaceRecord | None:
        this = WORKSPACES.c.id == workspace_id

        def archive(connection: Connection) -> WorkspaceRecord | None:
            still_open = update(WORKSPACES).where(this, WORKSPACES.c.archived_at.is_(None))
            if connection.execute(still_open.values(archived_at=at)).rowcount:
                its_keys = update(API_KEYS).where(KEYS.workspace_id == workspace_id, KEYS.revoked_at.is_(None))
                connection.execute(its_keys.values(revoked_at=at))
            found = connection.execute(select(WORKSPACES).where(this)).one_or_none()
            return None if found is None else _record(WorkspaceRecord, found._mapping)

        return await self._run(archive)

    # -- members --

    async def add_member(self, record: MemberRecord) -> bool:
        def add(connection: Connection) -> bool:
            alone(connection, "members")
            return _add_member(connection, record)

        return await self._run(add)

    async def find_member(self, member_id: str) -> MemberRecord | None:
        found = await self._read(MemberRecord, select(MEMBERS).where(_is_member(member_id)))
        return found[0] if found else None

    async def page_members(
        self,
        limit: int,
        *,
        after: MemberRecord | None = None,
        before: MemberRecord | None = None,
        email: str | None = None,
        roles: Collection[str] | None = None,
    ) -> Sequence[MemberRecord]:
        wanted = and_(MEMBERS.c.removed_at.is_(None), _about(MEMBERS, email, roles))
        places = [(each.added_at, each.id) if each else None for each in (after, before)]
        return await self._page(MemberRecord, MEMBERS, wanted, limit, *places)

    async def update_member(self, member_id: str, *, name: str | None = None, role: str | None = None) -> bool:
        given = {column: value for column, value in (("name", name), ("role", role)) if value is not None}

        def change(connection: Connection) -> bool:
            if not given:
                return _is_there(connection, select(MEMBERS.c.id).where(_is_member(member_id)))
            return connection.execute(update(MEMBERS).where(_is_member(member_id)).values(given)).rowcount == 1

        return await self._run(change)

    async def remove_member(self, member_id: str, at: datetime) -> bool:
        others = select(MEMBERS.c.id).where(MEMBERS.c.removed_at.is_(None), MEMBERS.c.id != member_id)

        def remove(connection: Connection) -> bool:
            alone(connection, "members")
            if not _is_there(connection, others):
                return False
            removed = connection.execute(update(MEMBERS).where(_is_member(member_id)).values(removed_at=at))
            connection.execute(delete(WORKSPACE_MEMBERS).where(WORKSPACE_MEMBERS.c.member_id == member_id))
            return removed.rowcount == 1

        return await self._run(remove)

    # -- invites --

    async def add_invite(self, record: InviteRecord) -> bool:
        pending = select(INVITES.c.id).where(_has_email(INVITES, record.email), _is("pending", record.invited_at))

        def add(connection: Connection) -> bool:
            alone(connection, "members")
            if _is_there(connection, _members_with(record.email)) or _is_there(connection, pending):
                return False
            connection.execute(insert(INVITES).values(msgspec.structs.asdict(record)))
            return True

        return await self._run(add)

    async def find_invite(self, invite_id: str) -> InviteRecord | None:
        this = select(INVITES).where(INVITES.c.id == invite_id, INVITES.c.deleted_at.is_(None))
        found = await self._read(InviteRecord, this)
        return found[0] if found else None

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
        wanted = [_is(status, now) for status in statuses or ("pending", "accepted", "expired")]
        places = [(each.invited_at, each.id) if each else None for each in (after, before)]
        return await self._page(
            InviteRecord, INVITES, and_(or_(*wanted), _about(INVITES, email, roles)), limit, *places
        )

    async def delete_invite(self, invite_id: str, at: datetime) -> bool:
        this = update(INVITES).where(INVITES.c.id == invite_id, _is("pending", at))

        def remove(connection: Connection) -> bool:
            return connection.execute(this.values(deleted_at=at)).rowcount == 1

        return await self._run(remove)

    async def accept_invite(self, invite_id: str, member: MemberRecord, at: datetime) -> bool:
        this = and_(INVITES.c.id == invite_id, _is("pending", at))

        def accept(connection: Connection) -> bool:
            alone(connection, "members")
            if not _is_there(connection, select(INVITES.c.id).where(this)) or not _add_member(connection, member):
                return False
            connection.execute(update(INVITES).where(this).values(accepted_at=at))
            return True

        return await self._run(accept)

    # -- members of workspaces --

    async def add_workspace_member(self, record: WorkspaceMemberRecord) -> bool:
        this = _is_in(record.workspace_id, record.member_id)

        def add(connection: Connection) -> bool:
            alone(connection, "members")
            if _is_there(connection, select(WORKSPACE_MEMBERS.c.member_id).where(this)):
                return False
            connection.execute(insert(WORKSPACE_MEMBERS).values(msgspec.structs.asdict(record)))
            return True

        return await self._run(add)

    async def find_workspace_member(self, workspace_id: str, member_id: str) -> WorkspaceMemberRecord | None:
        this = select(WORKSPACE_MEMBERS).where(_is_in(workspace_id, member_id))
        found = await self._read(WorkspaceMemberRecord, this)
        return found[0] if found else None

    async def page_workspace_members(
        self,
        workspace_id: str,
        limit: int,
        *,
        after: WorkspaceMemberRecord | None = None,
        before: WorkspaceMemberRecord | None = None,
    ) -> Sequence[WorkspaceMemberRecord]:
        wanted = WORKSPACE_MEMBERS.c.workspace_id == workspace_id
        places = [(each.added_at, each.member_id) if each else None for each in (after, before)]
        return await self._page(WorkspaceMemberRecord, WORKSPACE_MEMBERS, wanted, limit, *places)

    async def update_workspace_member(self, workspace_id: str, member_id: str, role: str) -> bool:
        this = update(WORKSPACE_MEMBERS).where(_is_in(workspace_id, member_id))

        def change(connection: Connection) -> bool:
            return connection.execute(this.values(role=role)).rowcount == 1

        return await self._run(change)

    async def remove_workspace_member(self, workspace_id: str, member_id: str) -> bool:
        this = delete(WORKSPACE_MEMBERS).where(_is_in(workspace_id, member_id))

        def remove(connection: Connection) -> bool:
            return connection.execute(this).rowcount == 1

        return await self._run(remove)

    # -- settings --

    async def settings(self) -> Sequence[SettingRecord]:
        return await self._read(SettingRecord, select(SETTINGS).order_by(SETTINGS.c.kind, SETTINGS.c.name))

    async def put_setting(self, record: SettingRecord, *, needs_tier: str | None = None) -> None:
        def put(connection: Connection) -> None:
            alone(connection, "settings")
            hold_tier(connection, needs_tier)
            connection.execute(delete(SETTINGS).where(_is_setting(record.kind, record.name)))
            connection.execute(insert(SETTINGS).values(msgspec.structs.asdict(record)))

        await self._run(put)

    async def delete_setting(self, kind: str, name: str) -> bool:
        def remove(connection: Connection) -> bool:
            return connection.execute(delete(SETTINGS).where(_is_setting(kind, name))).rowcount == 1

        return await self._run(remove)

    async def delete_tier(self, name: str, *, told: int = 10) -> TierUse | None:
        def remove(connection: Connection) -> TierUse | None:
            alone(connection, "settings")
            users: list[str] = []
            others = 0
            for ids in _in_tier(name):
                users += connection.scalars(ids.order_by(ids.selected_columns[0]).limit(told - len(users)))
                others += connection.execute(select(func.count()).select_from(ids.subquery())).scalar_one()
            if users:
                return TierUse(users, others - len(users))
            connection.execute(delete(SETTINGS).where(_is_setting("tier", name)))
            return None

        return await self._run(remove)

    async def _page(
        self,
        kind: type[T],
        table: Table,
        wanted: ColumnElement[bool],
        limit: int,
        after: "tuple[datetime, str] | None",
        before: "tuple[datetime, str] | None",
    ) -> list[T]:
        time, id_ = _order(table)
        rows = select(table).where(wanted).limit(limit)
        if before is not None:  # the nearest ones first, to be turned round
            newer = or_(time > before[0], and_(time == before[0], id_ > before[1]))
            return (await self._read(kind, rows.where(newer).order_by(time, id_)))[::-1]
        if after is not None:
            rows = rows.where(or_(time < after[0], and_(time == after[0], id_ < after[1])))
        return await self._read(kind, rows.order_by(time.desc(), id_.desc()))

    async def _read(self, kind: type[T], wanted: Select[Any]) -> list[T]:
        def read(connection: Connection) -> list[T]:
            return [_record(kind, row._mapping) for row in connection.execute(wanted)]

        return await self._run(read)


def _order(table: Table) -> tuple[Column[Any], Column[Any]]:
    """By which a table has pages: a time, and what tells those of one time apart."""
    by = {WORKSPACES: ("created_at", "id"), INVITES: ("invited_at", "id"), MEMBERS: ("added_at", "id")}
    time, id_ = by.get(table, ("added_at", "member_id"))
    return table.c[time], table.c[id_]


def _is_there(connection: Connection, wanted: Select[Any]) -> bool:
    return connection.execute(wanted.limit(1)).first() is not None


def _has_name(name: str) -> ColumnElement[bool]:
    return and_(WORKSPACES.c.name == name, WORKSPACES.c.archived_at.is_(None))


def _has_email(table: Table, email: str) -> ColumnElement[bool]:
    """Letters are compared as the database lowers them: in SQLite the ASCII ones."""
    return func.lower(table.c.email) == func.lower(literal(email, table.c.email.type))


def _members_with(email: str) -> Select[Any]:
    return select(MEMBERS.c.id).where(_has_email(MEMBERS, email), MEMBERS.c.removed_at.is_(None))


def _add_member(connection: Connection, record: MemberRecord) -> bool:
    taken = or_(MEMBERS.c.id == record.id, and_(_has_email(MEMBERS, record.email), MEMBERS.c.removed_at.is_(None)))
    if _is_there(connection, select(MEMBERS.c.id).where(taken)):
        return False
    connection.execute(insert(MEMBERS).values(msgspec.structs.asdict(record)))
    return True


def _is_member(member_id: str) -> ColumnElement[bool]:
    return and_(MEMBERS.c.id == member_id, MEMBERS.c.removed_at.is_(None))


def _is_in(workspace_id: str, member_id: str) -> ColumnElement[bool]:
    columns = WORKSPACE_MEMBERS.c
    return and_(columns.workspace_id == workspace_id, columns.member_id == member_id)


def _is_setting(kind: str, name: str) -> ColumnElement[bool]:
    return and_(SETTINGS.c.kind == kind, SETTINGS.c.name == name)


def _in_tier(name: str) -> Iterator[Select[Any]]:
    """Who is in a tier: by what stands at keys and workspaces that work, and by assignments."""
    assigned = and_(SETTINGS.c.kind == "assignment", SETTINGS.c.value == msgspec.json.encode(name).decode())
    yield select(func.replace(SETTINGS.c.name, "_", " ")).where(assigned)
    yield select(WORKSPACES.c.id).where(WORKSPACES.c.tier == name, WORKSPACES.c.archived_at.is_(None))
    archived = select(WORKSPACES.c.id).where(
        WORKSPACES.c.archived_at.is_not(None), WORKSPACES.c.id == KEYS.workspace_id
    )
    yield select(KEYS.id).where(KEYS.tier == name, KEYS.revoked_at.is_(None), ~archived.exists())


def _is(status: InviteStatus, now: datetime) -> ColumnElement[bool]:
    """An invite has this status at that time."""
    columns = INVITES.c
    if status == "deleted":
        return columns.deleted_at.is_not(None)
    if status == "accepted":
        return and_(columns.deleted_at.is_(None), columns.accepted_at.is_not(None))
    is_open = and_(columns.deleted_at.is_(None), columns.accepted_at.is_(None))
    return and_(is_open, columns.expires_at <= now if status == "expired" else columns.expires_at > now)


def _about(table: Table, email: str | None, roles: Collection[str] | None) -> ColumnElement[bool]:
    of_email = true() if email is None else _has_email(table, email)
    return of_email if roles is None else and_(of_email, table.c.role.in_(roles))


def _values(record: WorkspaceRecord) -> dict[str, Any]:
    values = msgspec.structs.asdict(record)
    return values | {name: msgspec.json.encode(values[name]).decode() for name in JSON if values[name] is not None}


def _record(kind: type[T], row: Mapping[Any, Any]) -> T:
    values = dict(row)
    if kind is WorkspaceRecord:
        values |= {name: msgspec.json.decode(values[name]) for name in JSON if values[name] is not None}
    return kind(**values)
