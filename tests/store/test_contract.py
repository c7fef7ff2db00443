"""The rules that every Store keeps: one suite, run over each implementation and each kind of database.

Those for batches and for files, over the same databases, are in `test_batches.py` and `test_files.py`; what holds for
one kind alone is in `test_sqlite.py` and `test_postgres.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text
from tests.store.memory import MemoryStore

from dragoman.errors import StoreError
from dragoman.store.base import KeyRecord, Store
from dragoman.store.batches import Batch, BatchRequest
from dragoman.store.files import FileRecord
from dragoman.store.migrations import HEAD
from dragoman.store.sql import SQLStore

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
ODD = "a\0b\ud800c"  # letters that PostgreSQL, or no database at all, takes


@pytest.fixture(params=["fake", "memory", "file", "postgres"])
def unopened(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "fake":
        return MemoryStore()
    if request.param == "postgres":
        return SQLStore(request.getfixturevalue("postgres_url"))
    return SQLStore("sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/dragoman.db")


@pytest.fixture
async def store(unopened: Store) -> AsyncIterator[Store]:
    await unopened.open()
    yield unopened
    await unopened.close()


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
        hash=bytes([number]) * 32,
        hint=f"sk-dgm-{number:03}...wxyz",
        created_at=NOON + timedelta(seconds=number),
    )
    return msgspec.structs.replace(first, **changes)


async def test_a_key_comes_back_as_it_was_kept(store: Store) -> None:
    whole = record(1, name="Zoë's ☂ '; DROP TABLE api_keys; --", workspace_id="wrkspc_1", revoked_at=NOON, is_test=True)
    assert await store.keys.add(whole)
    assert await store.keys.find(whole.hash) == whole


async def test_times_come_back_aware_and_in_utc(store: Store) -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    await store.keys.add(record(1, created_at=tokyo))
    (kept,) = await store.keys.list()
    assert kept.created_at == NOON
    assert kept.created_at.utcoffset() == timedelta(0)


async def test_an_unknown_hash_finds_nothing(store: Store) -> None:
    await store.keys.add(record(1))
    assert await store.keys.find(b"\0" * 32) is None
    assert await store.keys.find(b"") is None


@pytest.mark.parametrize("change", [{"id": record(1).id}, {"hash": record(1).hash}])
async def test_a_key_with_a_known_id_or_hash_is_not_kept(store: Store, change: dict[str, object]) -> None:
    assert await store.keys.add(record(1))
    assert not await store.keys.add(record(2, **change))
    assert await store.keys.list() == [record(1)]


async def test_keys_are_listed_newest_first(store: Store) -> None:
    for number in (2, 3, 1):
        await store.keys.add(record(number))
    assert await store.keys.list() == [record(3), record(2), record(1)]


async def test_an_empty_store_lists_nothing(store: Store) -> None:
    assert list(await store.keys.list()) == []


async def test_revoking_twice_keeps_the_first_time(store: Store) -> None:
    await store.keys.add(record(1))
    await store.keys.add(record(2))
    ended = record(1, revoked_at=NOON)
    assert await store.keys.revoke(ended.id, NOON) == ended
    assert await store.keys.revoke(ended.id, NOON + timedelta(days=1)) == ended
    assert await store.keys.find(ended.hash) == ended
    assert await store.keys.list() == [record(2), ended]


async def test_revoking_an_unknown_key_finds_nothing(store: Store) -> None:
    assert await store.keys.revoke("apikey_none", NOON) is None


async def test_a_first_key_is_kept_only_when_there_is_none(store: Store) -> None:
    assert await store.keys.add_first(record(1))
    assert not await store.keys.add_first(record(2))
    assert await store.keys.list() == [record(1)]


async def test_a_revoked_key_still_counts_as_a_first_one(store: Store) -> None:
    await store.keys.add(record(1))
    await store.keys.revoke(record(1).id, NOON)
    assert not await store.keys.add_first(record(2))


async def test_of_many_first_keys_at_once_one_is_kept(store: Store) -> None:
    added = await asyncio.gather(*(store.keys.add_first(record(number)) for number in range(20)))
    assert sum(added) == 1
    assert len(await store.keys.list()) == 1


async def test_reads_and_writes_at_once_do_not_disturb_each_other(store: Store) -> None:
    await asyncio.gather(
        *(store.keys.add(record(number)) for number in range(20)),
        *(store.keys.find(record(number).hash) for number in range(20)),
        *(store.keys.revoke(record(number).id, NOON) for number in range(20)),
    )
    assert len(await store.keys.list()) == 20


async def test_an_open_store_answers_a_ping(store: Store) -> None:
    await store.ping()


async def test_a_store_that_is_not_open_says_so(unopened: Store) -> None:
    with pytest.raises(StoreError, match="not open"):
        await unopened.ping()
    await unopened.open()
    await unopened.close()
    await unopened.close()
    with pytest.raises(StoreError, match="not open"):
        await unopened.keys.find(b"\0" * 32)


# Whatever is kept, and whoever looks


@pytest.mark.parametrize(
    "moment", [datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, 999999, tzinfo=UTC)]
)
async def test_times_far_away_are_kept_to_the_microsecond(sql_store: SQLStore, moment: datetime) -> None:
    await sql_store.keys.add(record(1, created_at=moment))
    assert [key.created_at for key in await sql_store.keys.list()] == [moment]


async def test_letters_that_no_database_takes_are_replaced(sql_store: SQLStore) -> None:
    """So that what a caller makes up is never the database's trouble."""
    await sql_store.keys.add(record(1, name=ODD))
    assert [key.name for key in await sql_store.keys.list()] == ["a\ufffdb\ufffdc"]


async def test_what_cannot_be_there_is_looked_for_in_vain(sql_store: SQLStore) -> None:
    assert await sql_store.keys.revoke(ODD, NOON) is None
    assert await sql_store.batches.find(ODD, ODD) is None
    assert await sql_store.batches.pending(ODD, after=-1, limit=9) == []
    assert not await sql_store.batches.delete(ODD)
    assert await sql_store.files.find(ODD, ODD) is None
    assert await sql_store.files.find_all(ODD, [ODD]) == []
    assert not await sql_store.files.remove(ODD, ODD)


async def test_every_byte_is_kept(sql_store: SQLStore) -> None:
    body = bytes(range(256)) * 4096
    made = batch(1, total=1)
    await sql_store.batches.add(made, [[BatchRequest(0, "id", body)]], worker="a")
    assert await sql_store.batches.take(made.id, 0, NOON) == BatchRequest(0, "id", body)
    await sql_store.batches.keep(made.id, 0, "succeeded", body[::-1])
    assert [each.body for each in await sql_store.batches.results(made.id, after=-1, limit=9)] == [body[::-1]]


def batch(number: int, *, total: int) -> Batch:
    return Batch(
        id=f"msgbatch_{number}",
        workspace_id="wrkspc_1",
        caller=b"{}",
        total=total,
        created_at=NOON,
        expires_at=NOON + timedelta(days=1),
    )


async def test_what_one_store_keeps_another_one_finds(stores: list[SQLStore]) -> None:
    one, other = stores[:2]
    await one.keys.add(record(1))
    assert await other.keys.find(record(1).hash) == record(1)
    await other.keys.revoke(record(1).id, NOON)
    assert await one.keys.list() == [record(1, revoked_at=NOON)]


async def test_what_was_kept_is_there_after_a_restart(shared_url: str) -> None:
    store = SQLStore(shared_url)
    await store.open()
    await store.keys.add(record(1))
    await store.close()
    await store.open()
    assert await store.keys.list() == [record(1)]
    await store.close()


# Test and change are one step, also between processes


async def test_of_first_keys_of_many_stores_at_once_one_is_kept(stores: list[SQLStore]) -> None:
    added = await asyncio.gather(*(stores[number % 4].keys.add_first(record(number)) for number in range(40)))
    assert sum(added) == 1
    assert len(await stores[0].keys.list()) == 1


async def test_a_key_that_many_stores_add_at_once_is_kept_once(stores: list[SQLStore]) -> None:
    """As DRAGOMAN_API_KEY is, by every process that starts."""
    added = await asyncio.gather(*(each.keys.add(record(1, id=f"apikey_{n}")) for n, each in enumerate(stores * 5)))
    assert sum(added) == 1


async def test_files_of_many_stores_at_once_stay_within_the_limit(stores: list[SQLStore]) -> None:
    """FIL-2."""

    def file(number: int) -> FileRecord:
        return FileRecord(
            id=f"file_{number}", workspace_id="w", filename="f", mime_type="m", size_bytes=30, created_at=NOON
        )

    adding = (stores[number % 4].files.add(file(number), limit_bytes=100) for number in range(40))
    assert sum(await asyncio.gather(*adding)) == 3
    assert await stores[0].files.used_bytes("w") == 90


async def test_of_many_stores_at_once_one_gets_a_batch(stores: list[SQLStore]) -> None:
    """BAT-1: or its requests would be asked, and paid for, twice."""
    for number in range(20):
        await stores[0].batches.add(batch(number, total=1), [[BatchRequest(0, "id", b"{}")]], worker="a")
    until = NOON + timedelta(hours=1)
    claims = (each.batches.claim(f"worker {n}", NOON, until, 5) for n, each in enumerate(stores))
    claimed = [made.id for page in await asyncio.gather(*claims) for made in page]
    assert sorted(claimed) == sorted(f"msgbatch_{number}" for number in range(20))


async def test_of_many_results_of_a_request_one_is_kept_and_every_reader_sees_the_same(stores: list[SQLStore]) -> None:
    made = batch(1, total=1)
    await stores[0].batches.add(made, [[BatchRequest(0, "id", b"{}")]], worker="a")
    keeping = (each.batches.keep(made.id, 0, "succeeded", b"%d" % n) for n, each in enumerate(stores * 5))
    await asyncio.gather(*keeping, *(each.batches.end(made.id, NOON) for each in stores * 5))
    assert await stores[0].batches.end(made.id, NOON)
    found = [await each.batches.results(made.id, after=-1, limit=9) for each in stores]
    assert found == [found[0]] * 4
    ended = await stores[0].batches.find(made.id, made.workspace_id)
    assert ended is not None
    assert (ended.succeeded, ended.errored, ended.canceled, ended.expired) == (1, 0, 0, 0)


# Whose database it is


def execute(url: str, *statements: str) -> None:
    """Behind the store's back."""
    database = SQLStore(url)._database
    database.check()
    engine = database.engine()
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


async def trouble_of_opening(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        await SQLStore(url).open()
    return str(caught.value)


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TABLE recipes (name TEXT)",),
        ("CREATE TABLE alembic_version (version_num VARCHAR(32))",),
        (
            "CREATE TABLE alembic_version (version_num VARCHAR(32))",
            "INSERT INTO alembic_version VALUES ('ae1027a6acf')",
        ),
    ],
)
async def test_a_database_of_another_program_is_left_alone(shared_url: str, statements: tuple[str, ...]) -> None:
    execute(shared_url, *statements)
    for _ in range(2):
        assert "belongs to another program: name another one" in await trouble_of_opening(shared_url)


async def test_a_database_of_a_newer_version_is_refused(shared_url: str) -> None:
    store = SQLStore(shared_url)
    await store.open()
    await store.close()
    execute(shared_url, "UPDATE alembic_version SET version_num = '9999'")
    said = await trouble_of_opening(shared_url)
    assert f"written by a newer dragoman (schema 9999; this one knows {HEAD}): install that version" in said


# Trouble


async def test_an_error_tells_no_values(sql_store: SQLStore) -> None:
    """Pain 79."""
    await sql_store._run(lambda connection: connection.execute(text("DROP TABLE api_keys")))
    with pytest.raises(StoreError, match="api_keys") as caught:
        await sql_store.keys.find(b"verysecret")
    assert "verysecret" not in f"{caught.value} {caught.value.__cause__!r} {caught.value.__cause__}"


async def test_after_an_error_the_next_one_is_served(sql_store: SQLStore) -> None:
    """Pain 36: no connection is lost."""
    for _ in range(10):
        with pytest.raises(StoreError):
            await sql_store._run(lambda connection: connection.execute(text("SELECT * FROM nowhere")))
    assert await sql_store.keys.add(record(1))


async def test_what_fails_half_way_changes_nothing(sql_store: SQLStore) -> None:
    def half(connection: object) -> None:
        connection.execute(text("DELETE FROM api_keys"))  # type: ignore[attr-defined]
        raise RuntimeError

    await sql_store.keys.add(record(1))
    with pytest.raises(RuntimeError):
        await sql_store._run(half)
    assert await sql_store.keys.list() == [record(1)]


async def test_callers_who_hang_up_at_any_moment_break_nothing(sql_store: SQLStore) -> None:
    await sql_store.keys.add(record(1))
    for turns in range(30):
        caller = asyncio.create_task(sql_store.keys.find(record(1).hash))
        for _ in range(turns):
            await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait([caller])
        assert await sql_store.keys.find(record(1).hash) == record(1)


async def test_a_write_whose_caller_hangs_up_is_done_before_the_store_closes(shared_url: str) -> None:
    store = SQLStore(shared_url)
    await store.open()
    caller = asyncio.create_task(store.keys.add(record(1)))
    await asyncio.sleep(0)
    caller.cancel()
    await store.close()
    await store.open()
    assert await store.keys.list() == [record(1)]
    await store.close()
