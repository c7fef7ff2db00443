"""The rules for providers' keys in a store, over each kind of database."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dragoman.errors import StoreError
from dragoman.store.credentials import CredentialRecord, Rewrapped
from dragoman.store.sql import SQLStore

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)


def record(number: int, **changes: object) -> CredentialRecord:
    first = CredentialRecord(
        id=f"cred_{number:024}",
        provider="cloud",
        name=f"key {number}",
        hint="sk-a...wxyz",
        master_key_id="0011223344556677",
        envelope=b"\0\xffenvelope %d" % number,
        created_at=NOON + timedelta(seconds=number),
    )
    return msgspec.structs.replace(first, **changes)


def rewrapped(before: CredentialRecord, envelope: bytes) -> Rewrapped:
    return Rewrapped(id=before.id, before=before.envelope, envelope=envelope, master_key_id="8899aabbccddeeff")


async def test_a_credential_comes_back_as_it_was_kept(sql_store: SQLStore) -> None:
    whole = record(1, name="Zoë's ☂ '; DROP TABLE provider_credentials; --")
    assert await sql_store.credentials.add(whole)
    assert await sql_store.credentials.list() == await sql_store.credentials.live() == [whole]
    assert not await sql_store.credentials.add(record(2, id=whole.id))
    assert await sql_store.credentials.list() == [whole]


async def test_they_are_listed_newest_first(sql_store: SQLStore) -> None:
    for number in (2, 3, 1):
        await sql_store.credentials.add(record(number))
    assert await sql_store.credentials.list() == [record(3), record(2), record(1)]
    assert await sql_store.credentials.live() == [record(3), record(2), record(1)]


async def test_what_is_ended_has_no_envelope_and_stays_ended(sql_store: SQLStore) -> None:
    for number in (1, 2):
        await sql_store.credentials.add(record(number))
    ended = record(1, ended_at=NOON, envelope=b"")
    assert await sql_store.credentials.end(ended.id, NOON) == ended
    assert await sql_store.credentials.end(ended.id, NOON + timedelta(days=1)) == ended
    assert await sql_store.credentials.list() == [record(2), ended]
    assert await sql_store.credentials.live() == [record(2)]
    assert await sql_store.credentials.end("cred_none", NOON) is None
    assert await sql_store.credentials.end("a\0b\ud800c", NOON) is None


async def test_envelopes_are_replaced_where_they_are_as_they_were_read(sql_store: SQLStore) -> None:
    kept = [record(number) for number in range(4)]
    for each in kept:
        await sql_store.credentials.add(each)
    await sql_store.credentials.end(kept[3].id, NOON)
    changes = [rewrapped(each, b"new %d" % number) for number, each in enumerate(kept)]
    changes[1] = rewrapped(msgspec.structs.replace(kept[1], envelope=b"of before"), b"of nobody")
    assert await sql_store.credentials.replace(changes) == 2
    assert await sql_store.credentials.replace(changes) == 0
    found = {each.id: each for each in await sql_store.credentials.list()}
    assert [found[each.id].envelope for each in kept] == [b"new 0", kept[1].envelope, b"new 2", b""]
    assert found[kept[0].id] == record(0, envelope=b"new 0", master_key_id="8899aabbccddeeff")
    assert await sql_store.credentials.replace([]) == 0


async def test_of_two_that_replace_one_does(shared_url: str) -> None:
    stores = [SQLStore(shared_url) for _ in range(4)]
    await asyncio.gather(*(each.open() for each in stores))
    kept = [record(number) for number in range(10)]
    for each in kept:
        await stores[0].credentials.add(each)
    counts = await asyncio.gather(
        *(
            store.credentials.replace([rewrapped(each, b"by %d" % number) for each in (kept, kept[::-1])[number % 2]])
            for number, store in enumerate(stores)
        )
    )
    assert sorted(counts) == [0, 0, 0, 10]
    assert len({each.envelope for each in await stores[0].credentials.live()}) == 1
    await asyncio.gather(*(each.close() for each in stores))


async def test_a_store_that_is_closed_says_so(sql_store: SQLStore) -> None:
    await sql_store.close()
    with pytest.raises(StoreError, match="not open"):
        await sql_store.credentials.live()


def test_no_repr_shows_an_envelope() -> None:
    assert repr(record(1)) == "CredentialRecord(cred_000000000000000000000001, cloud)"
    assert "envelope" not in repr(rewrapped(record(1), b"new"))
