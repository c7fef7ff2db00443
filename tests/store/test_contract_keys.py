"""The rules of KeyStore beyond `test_contract.py`: changes, rotation, pages, and what comes with a key's workspace."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from sqlalchemy import Connection, insert
from tests.store.memory import MemoryStore

from dragoman.store.base import KeyRecord, Store
from dragoman.store.keys import KeyChanges, KeyFilter
from dragoman.store.organization import WorkspaceRecord
from dragoman.store.sql import SQLStore
from dragoman.store.sql_keys import BY_HASH
from dragoman.store.tables import API_KEYS, WORKSPACES

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
NEW_HASH = b"n" * 32


@pytest.fixture(params=["fake", "memory", "file", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    urls = {"memory": "sqlite://", "file": f"sqlite:///{tmp_path}/dragoman.db"}
    if request.param == "postgres":
        urls["postgres"] = request.getfixturevalue("postgres_url")
    opened = MemoryStore() if request.param == "fake" else SQLStore(urls[request.param])
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def stores(shared_url: str) -> AsyncIterator[list[SQLStore]]:
    """Four on one database, as of four processes."""
    opened = [SQLStore(shared_url) for _ in range(4)]
    await asyncio.gather(*(each.open() for each in opened))
    yield opened
    await asyncio.gather(*(each.close() for each in opened))


def record(number: int, **changes: object) -> KeyRecord:
    first = KeyRecord(
        id=f"apikey_{number:024}",
        name=f"key {number}",
        hash=number.to_bytes(32, "big"),
        hint=f"sk-dgm-{number:03}...wxyz",
        created_at=NOON + timedelta(seconds=number),
    )
    return msgspec.structs.replace(first, **changes)


TERMS: dict[str, Any] = {
    "name": "Zoë's ☂ '; DROP TABLE api_keys; --",
    "workspace_id": "wrkspc_1",
    "expires_at": LATER,
    "tier": "pro",
    "models": ("claude-*", "fast"),
    "addresses": ("10.0.0.0/8", "2001:db8::/32"),
    "tags": {"team": "blue", "Öl": "☂"},
    "cache_s": 600,
}


async def test_all_of_a_key_comes_back_as_it_was_kept(store: Store) -> None:
    whole = record(
        1, **TERMS, role="owner", created_by="user_1", disabled_at=NOON, previous_hash=b"p" * 32, previous_until=LATER
    )
    assert await store.keys.add(whole)
    assert await store.keys.find(whole.hash) == await store.keys.get(whole.id) == whole
    assert await store.keys.named(whole.id, b"") == await store.keys.list() == [whole]


async def test_each_term_is_changed_alone_and_taken_back(store: Store) -> None:
    """ADM-3, and what a gateway has beyond it."""
    key = record(1)
    await store.keys.add(key)
    for name, value in TERMS.items():
        key = msgspec.structs.replace(key, **{name: value})
        assert await store.keys.update(key.id, KeyChanges(**{name: value}), NOON) == key
    for name in TERMS.keys() - {"name"}:
        key = msgspec.structs.replace(key, **{name: None})
        assert await store.keys.update(key.id, KeyChanges(**{name: None}), NOON) == key
    assert await store.keys.find(key.hash) == key


async def test_a_change_of_nothing_changes_nothing(store: Store) -> None:
    await store.keys.add(record(1))
    assert await store.keys.update(record(1).id, KeyChanges(), NOON) == record(1)


async def test_a_change_is_of_one_key(store: Store) -> None:
    for number in range(3):
        await store.keys.add(record(number))
    await store.keys.update(record(1).id, KeyChanges(name="other", status="inactive"), NOON)
    assert await store.keys.list() == [record(2), record(1, name="other", disabled_at=NOON), record(0)]


async def test_an_inactive_key_is_made_active_again(store: Store) -> None:
    """ADM-3. The time of the first call stays."""
    await store.keys.add(record(1))
    off = record(1, disabled_at=NOON)
    assert await store.keys.update(off.id, KeyChanges(status="inactive"), NOON) == off
    assert await store.keys.update(off.id, KeyChanges(status="inactive"), LATER) == off
    assert await store.keys.update(off.id, KeyChanges(status="active"), LATER) == record(1)


@pytest.mark.parametrize("status", ["active", "inactive"])
async def test_an_archived_key_cannot_be_revived(store: Store, status: Any) -> None:
    """ADM-3. Nor is anything else done of that change; what does not touch its status is."""
    await store.keys.add(record(1, disabled_at=NOON))
    ended = record(1, disabled_at=NOON, revoked_at=NOON)
    assert await store.keys.update(ended.id, KeyChanges(status="archived"), NOON) == ended
    assert await store.keys.update(ended.id, KeyChanges(status=status, name="risen"), LATER) == ended
    assert await store.keys.update(ended.id, KeyChanges(status="archived"), LATER) == ended
    renamed = msgspec.structs.replace(ended, name="of old")
    assert await store.keys.update(ended.id, KeyChanges(name="of old"), LATER) == renamed


async def test_of_an_unknown_key_nothing_is_changed(store: Store) -> None:
    await store.keys.add(record(1))
    for key_id in ("apikey_none", "", "a\0b\ud800c", "' OR 1=1 --"):
        assert await store.keys.get(key_id) is None
        assert await store.keys.update(key_id, KeyChanges(name="other"), NOON) is None
        assert await store.keys.rotate(key_id, key_hash=NEW_HASH, hint="h", previous_until=LATER) is None
        assert list(await store.keys.named(key_id, b"")) == []
    assert await store.keys.list() == [record(1)]


async def test_a_rotated_key_is_found_by_both_hashes(store: Store) -> None:
    """Whether the old one still counts is told by `previous_until`."""
    first = record(1, **TERMS)
    await store.keys.add(first)
    rotated = await store.keys.rotate(first.id, key_hash=NEW_HASH, hint="new", previous_until=LATER)
    expected = msgspec.structs.replace(first, hash=NEW_HASH, hint="new", previous_hash=first.hash, previous_until=LATER)
    assert rotated == expected
    assert await store.keys.find(first.hash) == await store.keys.find(NEW_HASH) == expected
    again = await store.keys.rotate(first.id, key_hash=b"2" * 32, hint="2", previous_until=LATER)
    assert await store.keys.find(first.hash) is None
    assert await store.keys.find(NEW_HASH) == await store.keys.find(b"2" * 32) == again


async def test_an_archived_key_is_not_rotated(store: Store) -> None:
    ended = record(1, revoked_at=NOON)
    await store.keys.add(ended)
    assert await store.keys.rotate(ended.id, key_hash=NEW_HASH, hint="new", previous_until=LATER) is None
    assert await store.keys.list() == [ended]


async def test_who_has_a_hash_comes_before_who_had_it(store: Store) -> None:
    """A preset key that was rotated away, and preset again."""
    old, new = record(1, hash=NEW_HASH, previous_hash=record(2).hash, previous_until=LATER), record(2)
    await store.keys.add(old)
    await store.keys.add(new)
    assert await store.keys.find(new.hash) == new
    rotated = await store.keys.rotate(new.id, key_hash=b"2" * 32, hint="2", previous_until=LATER)
    assert await store.keys.find(new.hash) == rotated  # and of those who had it, who had it last
    assert await store.keys.get(old.id) == record(1, hash=NEW_HASH)


async def test_keys_are_found_by_id_hint_or_hash(store: Store) -> None:
    for number in range(3):
        await store.keys.add(record(number, hint="same" if number else "other"))
    assert [key.id for key in await store.keys.named("same", b"")] == [record(2).id, record(1).id]
    assert [key.id for key in await store.keys.named(record(1).id, b"")] == [record(1).id]
    assert [key.id for key in await store.keys.named("", record(0).hash)] == [record(0).id]


# Pages


def ids(keys: Sequence[KeyRecord]) -> list[int]:
    return [int(key.id.removeprefix("apikey_")) for key in keys]


async def test_pages_go_through_all_keys_newest_first(store: Store) -> None:
    """ADM-3, ADM-7. Keys of one moment are told apart by their ids."""
    same = [record(number, created_at=NOON) for number in range(5)]
    for key in (*same, record(5), record(6)):
        await store.keys.add(key)
    found: list[int] = []
    after = None
    while page := await store.keys.page(2, now=NOON, after=after):
        found += ids(page)
        after = page[-1]
    assert found == [6, 5, 4, 3, 2, 1, 0]
    assert ids(await store.keys.page(2, now=NOON, before=same[1])) == [3, 2]
    assert ids(await store.keys.page(9, now=NOON, before=same[3])) == [6, 5, 4]
    assert ids(await store.keys.page(9, now=NOON, before=record(6))) == []
    assert ids(await store.keys.page(9, now=NOON, after=record(6), before=same[2])) == [5, 4, 3]


async def test_pages_hold_what_was_asked_for(store: Store) -> None:
    """ADM-3: status, workspace and who made it. A key has one status at a time (ADM-4)."""
    past, future = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)
    keys = [
        record(0, expires_at=future),
        record(1, disabled_at=past, workspace_id="wrkspc_1"),
        record(2, expires_at=past, disabled_at=past),
        record(3, expires_at=NOON, created_by="user_1"),
        record(4, revoked_at=past, expires_at=past, disabled_at=past),
        record(5, workspace_id="wrkspc_1", created_by="user_1", disabled_at=past, expires_at=future),
    ]
    for key in keys:
        await store.keys.add(key)
    expected: dict[str, list[int]] = {"active": [0], "inactive": [5, 1], "expired": [3, 2], "archived": [4]}
    for status, wanted in expected.items():
        assert ids(await store.keys.page(9, now=NOON, where=KeyFilter(status=status))) == wanted
        assert ids([key for key in keys[::-1] if key.status(NOON) == status]) == wanted
    for where, wanted in (
        (KeyFilter(workspace_id="wrkspc_1"), [5, 1]),
        (KeyFilter(workspace_id=None), [4, 3, 2, 0]),
        (KeyFilter(created_by="user_1"), [5, 3]),
        (KeyFilter(created_by="user_1", workspace_id=None), [3]),
        (KeyFilter(workspace_id="a\0b", status="active"), []),
        (KeyFilter(created_by="' OR 1=1 --"), []),
    ):
        assert ids(await store.keys.page(9, now=NOON, where=where)) == wanted
    assert ids(await store.keys.page(1, now=NOON, where=KeyFilter(workspace_id="wrkspc_1"), after=keys[5])) == [1]
    assert ids(await store.keys.page(1, now=NOON, where=KeyFilter(status="inactive"), before=keys[1])) == [5]


async def test_tags_are_told_of_the_keys_that_are_asked_for(store: Store) -> None:
    keys = [
        record(0),
        record(1, tags={"team": "a"}, workspace_id="wrkspc_1"),
        record(2, tags={"team": "b", "\u00e9": "x,y"}, revoked_at=NOON),
        record(3, tags={"team": "c"}),
    ]
    for key in keys:
        await store.keys.add(key)
    asked = {*(key.id for key in keys[:3]), "", "apikey_none", "a\0b\ud800c", *(f"apikey_x{n}" for n in range(2500))}
    assert await store.keys.tags(asked) == {keys[1].id: keys[1].tags, keys[2].id: keys[2].tags}
    assert await store.keys.tags(asked, workspace_id="wrkspc_1") == {keys[1].id: keys[1].tags}
    assert await store.keys.tags(()) == {}


# What SQL adds


async def test_a_key_comes_with_what_counts_of_its_workspace(sql_store: SQLStore) -> None:
    """In one question: an archived workspace ends its keys, its tier is theirs."""

    def add(connection: Connection) -> None:
        row = {"name": "n", "display_color": "#fff", "created_at": NOON, "tier": "pro"}
        connection.execute(insert(WORKSPACES), [{**row, "id": "wrkspc_1", "archived_at": LATER}])
        connection.execute(insert(WORKSPACES), [{**row, "id": "wrkspc_2"}])

    await sql_store._run(add)
    for number, workspace_id in enumerate((None, "wrkspc_1", "wrkspc_2", "wrkspc_unknown")):
        await sql_store.keys.add(record(number, workspace_id=workspace_id))
    found = [await sql_store.keys.find(record(number).hash) for number in range(4)]
    assert [(key.workspace_tier, key.workspace_archived_at) for key in found if key] == [
        (None, None),
        ("pro", LATER),
        ("pro", None),
        (None, None),
    ]
    moved = await sql_store.keys.update(record(0).id, KeyChanges(workspace_id="wrkspc_2"), NOON)
    assert moved == record(0, workspace_id="wrkspc_2", workspace_tier="pro")
    assert [key.workspace_tier for key in await sql_store.keys.page(9, now=NOON)] == [None, "pro", "pro", "pro"]


async def with_archived_workspace(store: SQLStore) -> None:
    """Keys 0 and 1 of one that is archived at LATER, and 2 that came into it thereafter; 3 of no such."""
    one = WorkspaceRecord(id="wrkspc_1", name="one", display_color="#000000", created_at=NOON)
    await store.organization.add_workspace(one)
    await store.keys.add(record(0, workspace_id="wrkspc_1", disabled_at=NOON))
    await store.keys.add(record(1, workspace_id="wrkspc_1", revoked_at=NOON))
    await store.keys.add(record(3))
    await store.organization.archive_workspace("wrkspc_1", LATER)
    await store.keys.add(record(2, workspace_id="wrkspc_1"))


async def test_keys_of_an_archived_workspace_are_archived(sql_store: SQLStore) -> None:
    """ADM-3, ADM-5: also in lists by status. Their end is that of the workspace, or what it was before."""
    await with_archived_workspace(sql_store)
    assert [key.revoked_at for key in await sql_store.keys.list()] == [None, None, NOON, LATER]
    assert [key.status(LATER) for key in await sql_store.keys.list()] == ["active", *["archived"] * 3]
    for status, wanted in (("active", [3]), ("archived", [2, 1, 0]), ("inactive", []), ("expired", [])):
        assert ids(await sql_store.keys.page(9, now=LATER, where=KeyFilter(status=cast(Any, status)))) == wanted


@pytest.mark.parametrize("number", [0, 2])
async def test_a_key_of_an_archived_workspace_cannot_be_revived(sql_store: SQLStore, number: int) -> None:
    """ADM-3: nor by putting it elsewhere, nor by rotation."""
    await with_archived_workspace(sql_store)
    key = record(number)
    changed = await sql_store.keys.update(key.id, KeyChanges(status="active"), LATER)
    assert changed is not None
    assert (changed.status(LATER), changed.revoked_at) == ("archived", LATER)
    moved = await sql_store.keys.update(key.id, KeyChanges(workspace_id=None), LATER)
    assert moved is not None
    assert (moved.workspace_id, moved.status(LATER)) == (None, "archived")
    assert await sql_store.keys.rotate(key.id, key_hash=NEW_HASH, hint="h", previous_until=LATER) is None


async def test_a_key_among_many_is_found_by_indexes_alone(sql_store: SQLStore) -> None:
    """P8: a million keys must cost a request no more than ten. No plan may read them all, nor one that is made before
    the database has looked what there is."""

    def plan(connection: Connection) -> str:
        connection.execute(insert(API_KEYS), [many(number) for number in range(20_000)])
        is_sqlite = connection.dialect.name == "sqlite"
        compiled = BY_HASH.compile(connection, compile_kwargs={"literal_binds": False})
        statement = ("EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN ") + str(compiled)
        values = {**compiled.params, "key_hash": many(777)["hash"]}
        if is_sqlite:
            assert compiled.positiontup is not None
            rows = connection.exec_driver_sql(statement, tuple(values[name] for name in compiled.positiontup))
        else:
            rows = connection.exec_driver_sql(statement, values)
        return "\n".join(str(row[-1]) for row in rows)

    def many(number: int) -> dict[str, object]:
        key = record(number)
        return {"id": key.id, "name": "n", "hash": key.hash, "hint": "h", "created_at": key.created_at}

    said = await sql_store._run(plan)
    for index in ("ix_api_keys_previous_hash", "uq_api_keys_hash", "pk_api_keys"):
        assert index in said or "sqlite_autoindex_api_keys" in said, said
    for scan in ("SCAN api_keys", "Seq Scan on api_keys"):
        assert scan not in said, said
    assert await sql_store.keys.find(record(777).hash) == record(777, name="n", hint="h")


async def test_what_one_process_changes_others_find(stores: list[SQLStore]) -> None:
    """The issue: revocation effective everywhere. Here at once; within 5 s where a key is remembered."""
    one, other = stores[:2]
    await one.keys.add(record(1))
    await one.keys.update(record(1).id, KeyChanges(status="inactive"), NOON)
    assert await other.keys.find(record(1).hash) == record(1, disabled_at=NOON)
    await other.keys.rotate(record(1).id, key_hash=NEW_HASH, hint="new", previous_until=LATER)
    found = await one.keys.find(NEW_HASH)
    assert found is not None
    assert found.previous_hash == record(1).hash


async def test_a_key_that_is_archived_while_others_revive_it_stays_archived(stores: list[SQLStore]) -> None:
    """ADM-3, whatever the order."""
    await stores[0].keys.add(record(1))
    active, archived = KeyChanges(status="active"), KeyChanges(status="archived")
    changes = [archived if number == 7 else active for number in range(20)]
    await asyncio.gather(*(stores[n % 4].keys.update(record(1).id, each, NOON) for n, each in enumerate(changes)))
    assert await stores[0].keys.list() == [record(1, revoked_at=NOON)]
