"""The rules that every Store keeps: one suite, run over each implementation."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from tests.store.memory import MemoryStore

from dragoman.errors import StoreError
from dragoman.store.base import KeyRecord, Store
from dragoman.store.sql import SQLStore

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def unopened(kind: str, folder: Path) -> Store:
    if kind == "fake":
        return MemoryStore()
    return SQLStore("sqlite://" if kind == "memory" else f"sqlite:///{folder}/dragoman.db")


@pytest.fixture(params=["fake", "memory", "file"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def store(kind: str, tmp_path: Path) -> AsyncIterator[Store]:
    store = unopened(kind, tmp_path)
    await store.open()
    yield store
    await store.close()


def record(number: int, **changes: object) -> KeyRecord:
    first = KeyRecord(
        id=f"apikey_{number:024}",
        name=f"key {number}",
        hash=bytes([number]) * 32,
        hint=f"sk-dgm-{number:03}...wxyz",
        created_at=NOON + timedelta(seconds=number),
    )
    return msgspec.structs.replace(first, **changes)


async def test_a_key_comes_back_as_it_was_kept(store: Store) -> None:
    whole = record(1, name="Zoë's ☂ '; DROP TABLE api_keys; --", workspace_id="wrkspc_1", revoked_at=NOON, is_test=True)
    assert await store.add_key(whole)
    assert await store.find_key(whole.hash) == whole


async def test_times_come_back_aware_and_in_utc(store: Store) -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    await store.add_key(record(1, created_at=tokyo))
    (kept,) = await store.list_keys()
    assert kept.created_at == NOON
    assert kept.created_at.utcoffset() == timedelta(0)


async def test_an_unknown_hash_finds_nothing(store: Store) -> None:
    await store.add_key(record(1))
    assert await store.find_key(b"\0" * 32) is None
    assert await store.find_key(b"") is None


@pytest.mark.parametrize("change", [{"id": record(1).id}, {"hash": record(1).hash}])
async def test_a_key_with_a_known_id_or_hash_is_not_kept(store: Store, change: dict[str, object]) -> None:
    assert await store.add_key(record(1))
    assert not await store.add_key(record(2, **change))
    assert await store.list_keys() == [record(1)]


async def test_keys_are_listed_newest_first(store: Store) -> None:
    for number in (2, 3, 1):
        await store.add_key(record(number))
    assert await store.list_keys() == [record(3), record(2), record(1)]


async def test_an_empty_store_lists_nothing(store: Store) -> None:
    assert list(await store.list_keys()) == []


async def test_revoking_twice_keeps_the_first_time(store: Store) -> None:
    await store.add_key(record(1))
    await store.add_key(record(2))
    ended = record(1, revoked_at=NOON)
    assert await store.revoke_key(ended.id, NOON) == ended
    assert await store.revoke_key(ended.id, NOON + timedelta(days=1)) == ended
    assert await store.find_key(ended.hash) == ended
    assert await store.list_keys() == [record(2), ended]


async def test_revoking_an_unknown_key_finds_nothing(store: Store) -> None:
    assert await store.revoke_key("apikey_none", NOON) is None


async def test_a_first_key_is_kept_only_when_there_is_none(store: Store) -> None:
    assert await store.add_first_key(record(1))
    assert not await store.add_first_key(record(2))
    assert await store.list_keys() == [record(1)]


async def test_a_revoked_key_still_counts_as_a_first_one(store: Store) -> None:
    await store.add_key(record(1))
    await store.revoke_key(record(1).id, NOON)
    assert not await store.add_first_key(record(2))


async def test_of_many_first_keys_at_once_one_is_kept(store: Store) -> None:
    added = await asyncio.gather(*(store.add_first_key(record(number)) for number in range(20)))
    assert sum(added) == 1
    assert len(await store.list_keys()) == 1


async def test_reads_and_writes_at_once_do_not_disturb_each_other(store: Store) -> None:
    await asyncio.gather(
        *(store.add_key(record(number)) for number in range(20)),
        *(store.find_key(record(number).hash) for number in range(20)),
        *(store.revoke_key(record(number).id, NOON) for number in range(20)),
    )
    assert len(await store.list_keys()) == 20


async def test_an_open_store_answers_a_ping(store: Store) -> None:
    await store.ping()


async def test_a_store_that_is_not_open_says_so(kind: str, tmp_path: Path) -> None:
    store = unopened(kind, tmp_path)
    with pytest.raises(StoreError, match="not open"):
        await store.ping()
    await store.open()
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="not open"):
        await store.find_key(b"\0" * 32)
