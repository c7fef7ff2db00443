"""The rules of the OrganizationStore, over each kind of database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from dragoman.errors import ConfigError, StoreError
from dragoman.store.keys import KeyChanges, KeyRecord
from dragoman.store.organization import (
    InviteRecord,
    MemberRecord,
    SettingRecord,
    WorkspaceMemberRecord,
    WorkspaceRecord,
)
from dragoman.store.sql import SQLStore
from dragoman.store.sql_organization import SQLOrganization

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
ODD = "a\0b\ud800c"  # letters that PostgreSQL, or no database at all, takes


@pytest.fixture
def store(sql_store: SQLStore) -> SQLOrganization:
    return sql_store.organization


@pytest.fixture
async def stores(shared_url: str) -> AsyncIterator[list[SQLOrganization]]:
    """Four on one database, as of four processes."""
    opened = [SQLStore(shared_url) for _ in range(4)]
    await asyncio.gather(*(each.open() for each in opened))
    yield [each.organization for each in opened]
    await asyncio.gather(*(each.close() for each in opened))


def workspace(number: int, **changes: Any) -> WorkspaceRecord:
    first = WorkspaceRecord(
        id=f"wrkspc_{number}", name=f"w{number}", display_color="#000000", created_at=NOON + number * DAY
    )
    return msgspec.structs.replace(first, **changes)


def member(number: int, **changes: Any) -> MemberRecord:
    first = MemberRecord(
        id=f"user_{number}",
        email=f"u{number}@example.com",
        name=f"U {number}",
        role="reader",
        added_at=NOON + number * DAY,
    )
    return msgspec.structs.replace(first, **changes)


def invite(number: int, **changes: Any) -> InviteRecord:
    first = InviteRecord(
        id=f"invite_{number}",
        email=f"i{number}@example.com",
        role="reader",
        invited_at=NOON + number * DAY,
        expires_at=NOON + (number + 21) * DAY,
    )
    return msgspec.structs.replace(first, **changes)


def place(number: int, workspace_id: str = "wrkspc_1") -> WorkspaceMemberRecord:
    return WorkspaceMemberRecord(
        workspace_id=workspace_id, member_id=f"user_{number}", role="workspace_user", added_at=NOON + number * DAY
    )


# -- workspaces --


async def test_a_workspace_comes_back_as_it_was_kept(store: SQLOrganization) -> None:
    whole = workspace(
        1,
        name="Zoë's ☂ '; DROP TABLE workspaces; --",
        data_residency={"workspace_geo": "us", "allowed_inference_geos": ["us"]},
        tags={"a": "1", "ü": ""},
        tier="free",
        created_at=NOON.astimezone(timezone(timedelta(hours=9))),
    )
    assert await store.add_workspace(whole)
    found = await store.find_workspace(whole.id)
    assert found == msgspec.structs.replace(whole, created_at=NOON)
    assert found.created_at.utcoffset() == timedelta(0)
    assert await store.find_workspace("wrkspc_none") is None
    assert await store.find_workspace(ODD) is None


async def test_a_name_is_taken_until_its_workspace_is_archived(store: SQLOrganization) -> None:
    assert await store.add_workspace(workspace(1, name="one"))
    assert not await store.add_workspace(workspace(2, name="one"))
    assert not await store.add_workspace(workspace(1, name="two"))
    await store.archive_workspace("wrkspc_1", NOON)
    assert await store.add_workspace(workspace(2, name="one"))


async def test_workspaces_are_paged_newest_first(store: SQLOrganization) -> None:
    for number in (2, 4, 1, 5, 3):
        await store.add_workspace(workspace(number))
    assert await store.page_workspaces(2) == [workspace(5), workspace(4)]
    assert await store.page_workspaces(2, after=workspace(4)) == [workspace(3), workspace(2)]
    assert await store.page_workspaces(2, before=workspace(2)) == [workspace(4), workspace(3)]
    assert await store.page_workspaces(9, before=workspace(5)) == []
    assert await store.page_workspaces(9, ids=["wrkspc_1", "wrkspc_4", "x"]) == [workspace(4), workspace(1)]
    await store.archive_workspace("wrkspc_4", NOON)
    assert [each.id for each in await store.page_workspaces(2)] == ["wrkspc_5", "wrkspc_3"]
    assert [each.id for each in await store.page_workspaces(2, with_archived=True)] == ["wrkspc_5", "wrkspc_4"]


async def test_those_of_one_time_are_paged_by_their_ids(store: SQLOrganization) -> None:
    records = [workspace(number, created_at=NOON) for number in range(5)]
    for record in records:
        await store.add_workspace(record)
    paged = [await store.page_workspaces(2)]
    while paged[-1]:
        paged.append(await store.page_workspaces(2, after=paged[-1][-1]))
    assert [record for page in paged for record in page] == records[::-1]


async def test_an_update_keeps_id_and_times(store: SQLOrganization) -> None:
    await store.add_workspace(workspace(1))
    await store.add_workspace(workspace(2))
    changed = workspace(1, name="new", tags={"a": "b"}, data_residency={"x": [1]}, tier="pro", created_at=NOON)
    expected = msgspec.structs.replace(changed, created_at=NOON + DAY)
    assert await store.update_workspace("wrkspc_1", lambda _: changed) == expected
    assert await store.find_workspace("wrkspc_1") == expected
    assert await store.update_workspace("wrkspc_1", lambda _: workspace(1, name="w2")) == "name taken"
    assert await store.update_workspace("wrkspc_3", lambda record: record) is None
    await store.archive_workspace("wrkspc_1", NOON)
    assert await store.update_workspace("wrkspc_1", lambda record: record) is None


async def test_an_update_that_fails_changes_nothing(store: SQLOrganization) -> None:
    await store.add_workspace(workspace(1))

    def fail(record: WorkspaceRecord) -> WorkspaceRecord:
        raise ValueError(record.id)

    with pytest.raises(ValueError, match="wrkspc_1"):
        await store.update_workspace("wrkspc_1", fail)
    assert await store.find_workspace("wrkspc_1") == workspace(1)


async def test_updates_at_once_lose_nothing(stores: list[SQLOrganization]) -> None:
    """Each is made of what the one before has left."""
    await stores[0].add_workspace(workspace(1))

    def tag(name: str) -> Callable[[WorkspaceRecord], WorkspaceRecord]:
        return lambda record: msgspec.structs.replace(record, tags={**(record.tags or {}), name: "x"})

    await asyncio.gather(
        *(
            store.update_workspace("wrkspc_1", tag(f"{at} {turn}"))
            for turn in range(5)
            for at, store in enumerate(stores)
        )
    )
    found = await stores[0].find_workspace("wrkspc_1")
    assert found is not None
    assert len(found.tags or {}) == 20


async def test_archiving_twice_keeps_the_first_time(store: SQLOrganization) -> None:
    await store.add_workspace(workspace(1))
    archived = workspace(1, archived_at=NOON)
    assert await store.archive_workspace("wrkspc_1", NOON) == archived
    assert await store.archive_workspace("wrkspc_1", NOON + DAY) == archived
    assert await store.archive_workspace("wrkspc_2", NOON) is None


async def test_of_processes_that_take_one_name_one_succeeds(stores: list[SQLOrganization]) -> None:
    """Test and insertion are one step."""
    took = await asyncio.gather(
        *(store.add_workspace(workspace(number, name="one")) for number, store in enumerate(stores))
    )
    assert sum(took) == 1


# -- members --


async def test_members_are_kept_changed_and_removed(store: SQLOrganization) -> None:
    assert await store.add_member(member(1))
    assert await store.add_member(member(2))
    assert not await store.add_member(member(3, email="U1@EXAMPLE.com"))
    assert not await store.add_member(member(1, email="other@example.com"))
    assert await store.find_member("user_1") == member(1)
    assert await store.update_member("user_1", role="billing")
    assert await store.update_member("user_1", name="New")
    assert await store.update_member("user_1")
    assert await store.find_member("user_1") == member(1, role="billing", name="New")
    assert await store.remove_member("user_1", NOON)
    assert await store.find_member("user_1") is None
    assert not await store.update_member("user_1", role="reader")
    assert not await store.update_member("user_1")
    assert not await store.remove_member("user_1", NOON)
    assert await store.add_member(member(3, email="u1@example.com"))


async def test_the_only_member_stays(store: SQLOrganization) -> None:
    await store.add_member(member(1))
    assert not await store.remove_member("user_1", NOON)
    await store.add_member(member(2))
    assert await store.remove_member("user_1", NOON)
    assert not await store.remove_member("user_2", NOON)


async def test_of_the_last_two_members_one_stays(stores: list[SQLOrganization]) -> None:
    """Whoever removes them, at once."""
    await stores[0].add_member(member(1))
    await stores[0].add_member(member(2))
    removed = await asyncio.gather(
        *(store.remove_member(f"user_{1 + number % 2}", NOON) for number, store in enumerate(stores))
    )
    assert sum(removed) == 1
    assert len(await stores[0].page_members(9)) == 1


async def test_members_are_paged_by_address_and_role(store: SQLOrganization) -> None:
    for number, role in enumerate(("owner", "admin", "reader", "reader")):
        await store.add_member(member(number, role=role))
    assert [each.id for each in await store.page_members(2)] == ["user_3", "user_2"]
    assert [each.id for each in await store.page_members(9, after=member(2))] == ["user_1", "user_0"]
    assert [each.id for each in await store.page_members(1, before=member(0))] == ["user_1"]
    assert [each.id for each in await store.page_members(9, roles=["owner", "admin"])] == ["user_1", "user_0"]
    assert [each.id for each in await store.page_members(9, email="U2@example.COM")] == ["user_2"]
    assert await store.page_members(9, email=ODD) == []
    await store.remove_member("user_3", NOON)
    assert [each.id for each in await store.page_members(2)] == ["user_2", "user_1"]


# -- invites --


async def test_an_address_has_one_pending_invite(store: SQLOrganization) -> None:
    await store.add_member(member(1))
    assert await store.add_invite(invite(1))
    assert not await store.add_invite(invite(2, email="I1@example.com"))
    assert not await store.add_invite(invite(2, email="u1@EXAMPLE.com"))
    assert await store.add_invite(invite(22, email="i1@example.com"))  # the first one has expired by then
    assert await store.find_invite("invite_1") == invite(1)
    assert await store.find_invite("invite_9") is None


async def test_invites_are_listed_by_their_status(store: SQLOrganization) -> None:
    for number in range(4):
        await store.add_invite(invite(number))
    now = NOON + 21 * DAY  # as the first one expires
    assert await store.accept_invite("invite_1", member(1, email="i1@example.com"), now)
    assert await store.delete_invite("invite_2", now)

    async def listed(**wanted: Any) -> list[str]:
        return [each.id for each in await store.page_invites(9, now=now, **wanted)]

    assert await listed() == ["invite_3", "invite_1", "invite_0"]
    assert await listed(statuses=["pending"]) == ["invite_3"]
    assert await listed(statuses=["accepted"]) == ["invite_1"]
    assert await listed(statuses=["expired"]) == ["invite_0"]
    assert await listed(statuses=["deleted"]) == ["invite_2"]
    assert await listed(statuses=["expired", "pending"]) == ["invite_3", "invite_0"]
    assert await listed(email="I3@example.com") == ["invite_3"]
    assert await listed(roles=["owner"]) == []
    assert await listed(after=invite(3)) == ["invite_1", "invite_0"]
    assert await listed(before=invite(0)) == ["invite_3", "invite_1"]
    assert await store.find_invite("invite_2") is None


async def test_only_a_pending_invite_can_be_accepted_or_deleted(store: SQLOrganization) -> None:
    await store.add_invite(invite(1))
    late = NOON + 22 * DAY
    assert not await store.accept_invite("invite_1", member(1), late)
    assert not await store.delete_invite("invite_1", late)
    assert await store.find_member("user_1") is None
    assert await store.accept_invite("invite_1", member(1), NOON)
    assert await store.find_member("user_1") == member(1)
    assert not await store.accept_invite("invite_1", member(2), NOON)
    assert not await store.delete_invite("invite_1", NOON)
    found = await store.find_invite("invite_1")
    assert found is not None
    assert found.accepted_at == NOON


async def test_an_invite_is_accepted_once(stores: list[SQLOrganization]) -> None:
    """Of four processes that accept it at once."""
    await stores[0].add_invite(invite(1))
    accepted = await asyncio.gather(
        *(store.accept_invite("invite_1", member(number), NOON) for number, store in enumerate(stores))
    )
    assert sum(accepted) == 1
    assert len(await stores[0].page_members(9)) == 1


# -- members of workspaces --


async def test_places_in_workspaces(store: SQLOrganization) -> None:
    for number in (1, 2, 3):
        assert await store.add_workspace_member(place(number))
    assert not await store.add_workspace_member(place(1))
    assert await store.add_workspace_member(place(1, "wrkspc_2"))
    assert await store.find_workspace_member("wrkspc_1", "user_1") == place(1)
    assert await store.find_workspace_member("wrkspc_3", "user_1") is None
    assert await store.page_workspace_members("wrkspc_1", 2) == [place(3), place(2)]
    assert await store.page_workspace_members("wrkspc_1", 2, after=place(3)) == [place(2), place(1)]
    assert await store.page_workspace_members("wrkspc_1", 1, before=place(1)) == [place(2)]
    assert await store.update_workspace_member("wrkspc_1", "user_1", "workspace_admin")
    assert not await store.update_workspace_member("wrkspc_3", "user_1", "workspace_admin")
    found = await store.find_workspace_member("wrkspc_1", "user_1")
    assert found is not None
    assert found.role == "workspace_admin"
    assert await store.remove_workspace_member("wrkspc_1", "user_1")
    assert not await store.remove_workspace_member("wrkspc_1", "user_1")
    assert await store.find_workspace_member("wrkspc_2", "user_1") == place(1, "wrkspc_2")


async def test_a_removed_member_leaves_the_workspaces(store: SQLOrganization) -> None:
    await store.add_member(member(1))
    await store.add_member(member(2))
    await store.add_workspace_member(place(1))
    await store.add_workspace_member(place(2))
    await store.remove_member("user_1", NOON)
    assert await store.page_workspace_members("wrkspc_1", 9) == [place(2)]


# -- settings --


async def test_a_setting_takes_the_place_of_the_one_before(store: SQLOrganization) -> None:
    tier = SettingRecord(kind="tier", name="gold", value='{"rpm": 7}', updated_at=NOON)
    other = msgspec.structs.replace(tier, kind="assignment", name="organization", value='"gold"')
    await store.put_setting(tier)
    await store.put_setting(other)
    assert await store.settings() == [other, tier]
    changed = msgspec.structs.replace(tier, value='{"rpm": 8}', updated_at=NOON + DAY)
    await store.put_setting(changed)
    assert await store.settings() == [other, changed]
    assert await store.delete_setting("assignment", "organization")
    assert not await store.delete_setting("assignment", "organization")
    assert await store.settings() == [changed]


async def test_a_tier_that_somebody_is_in_stays(sql_store: SQLStore) -> None:
    """Who that is, is told; who is archived is not in it any more."""
    store = sql_store.organization
    gold = SettingRecord(kind="tier", name="gold", value="{}", updated_at=NOON)
    given = SettingRecord(kind="assignment", name="default_workspace", value='"gold"', updated_at=NOON)
    for setting in (gold, given, msgspec.structs.replace(gold, name="gol_")):
        await store.put_setting(setting)
    for number, tier in enumerate(("gold", None, "gold")):
        await store.add_workspace(workspace(number, tier=tier))
    for number in range(4):
        key = KeyRecord(id=f"apikey_{number}", name="k", hash=bytes([number]), hint="", created_at=NOON, tier="gold")
        await sql_store.keys.add(msgspec.structs.replace(key, workspace_id="wrkspc_2" if number == 3 else None))
    await store.archive_workspace("wrkspc_2", NOON)
    keys = ["apikey_0", "apikey_1", "apikey_2"]
    assert await store.delete_tier("gold") == (["default workspace", "wrkspc_0", *keys], 0)
    assert await store.delete_tier("gold", told=2) == (["default workspace", "wrkspc_0"], 3)
    await store.delete_setting("assignment", "default_workspace")
    await store.archive_workspace("wrkspc_0", NOON)
    assert await store.delete_tier("gold", told=1) == (keys[:1], 2)
    for key_id in keys:
        await sql_store.keys.update(key_id, KeyChanges(tier="gol_"), NOON)
    assert await store.delete_tier("gold") is None
    assert [each.name for each in await store.settings()] == ["gol_"]
    assert await store.delete_tier("gold") is None


async def test_nobody_is_put_into_a_tier_that_is_gone(sql_store: SQLStore) -> None:
    """And nothing else is done of that change."""
    store = sql_store.organization
    key = KeyRecord(id="apikey_1", name="k", hash=b"1", hint="", created_at=NOON)
    await sql_store.keys.add(key)
    await store.add_workspace(workspace(1))
    given = SettingRecord(kind="assignment", name="organization", value='"gold"', updated_at=NOON)
    gold = msgspec.structs.replace(given, kind="tier", name="gold", value="{}")

    def work() -> list[Any]:
        new = msgspec.structs.replace(key, id="apikey_2", hash=b"2", tier="gold")
        return [
            sql_store.keys.add(new, needs_tier="gold"),
            sql_store.keys.update(key.id, KeyChanges(tier="gold", name="new"), NOON, needs_tier="gold"),
            store.update_workspace("wrkspc_1", lambda it: msgspec.structs.replace(it, tier="gold"), needs_tier="gold"),
            store.put_setting(given, needs_tier="gold"),
        ]

    for each in work():
        with pytest.raises(ConfigError, match="tier: there is no tier 'gold' any more"):
            await each
    assert (await sql_store.keys.list(), await store.settings()) == ([key], [])
    assert await store.find_workspace("wrkspc_1") == workspace(1)
    await store.put_setting(gold)
    for each in work():
        await each
    assert await store.delete_tier("gold") == (["organization", "wrkspc_1", "apikey_1", "apikey_2"], 0)


async def test_a_tier_that_is_deleted_while_others_are_put_into_it_has_nobody_in_it(
    shared_url: str, stores: list[SQLOrganization]
) -> None:
    sql_store = SQLStore(shared_url)
    await sql_store.open()
    gold = SettingRecord(kind="tier", name="gold", value="{}", updated_at=NOON)

    async def put(number: int) -> None:
        key = KeyRecord(
            id=f"apikey_{number}", name="k", hash=number.to_bytes(4, "big"), hint="", created_at=NOON, tier="gold"
        )
        with suppress(ConfigError):
            await sql_store.keys.add(key, needs_tier="gold")

    for turn in range(8):
        await stores[0].put_setting(gold)
        numbers = range(8 * turn, 8 * turn + 8)
        *_, use = await asyncio.gather(*(put(number) for number in numbers), stores[1].delete_tier("gold"))
        is_there = any(each.kind == "tier" for each in await stores[2].settings())
        assert is_there == (use is not None)
        inside = [key.id for key in await sql_store.keys.list() if key.tier == "gold"]
        assert is_there or not inside
        for key_id in inside:
            await sql_store.keys.update(key_id, KeyChanges(tier=None), NOON)
        await stores[0].delete_tier("gold")
    await sql_store.close()


async def test_a_setting_put_by_four_at_once_is_there_once(stores: list[SQLOrganization]) -> None:
    await asyncio.gather(
        *(
            store.put_setting(SettingRecord(kind="tier", name="gold", value=str(number), updated_at=NOON))
            for number, store in enumerate(stores)
        )
    )
    assert len(await stores[0].settings()) == 1


async def test_a_store_that_is_not_open_says_so(url: str) -> None:
    store = SQLStore(url).organization
    with pytest.raises(StoreError, match="is not open"):
        await store.settings()
    with pytest.raises(StoreError, match="is not open"):
        await store.page_members(1)
