"""The schema: one constant, one folder of steps and one set of tables that say the same, in each kind of database."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection, Engine

from dragoman.errors import StoreError
from dragoman.store import schema
from dragoman.store.locks import alone
from dragoman.store.migrations import HEAD, upgrade
from dragoman.store.sql import METADATA, SQLStore

NEXT = f"{int(HEAD) + 1:04}"  # a version to come
OLDER = [f"{number:04}" for number in range(1, int(HEAD))]


def steps() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "dragoman.store:migrations")
    return ScriptDirectory.from_config(config)


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def schema_of(connection: Connection) -> set[tuple[str, ...]]:
    """Every table, column, constraint and index, as the database itself writes them."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return {(name, re.sub(r"\s+", " ", statement)) for name, statement in rows}
    queries = (
        "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default, collation_name, "
        "character_maximum_length FROM information_schema.columns WHERE table_schema = current_schema()",
        "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = current_schema()::regnamespace",
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()",
    )
    return {tuple(map(str, row)) for query in queries for row in connection.execute(text(query))}


def schema_made_anew(connection: Connection) -> set[tuple[str, ...]]:
    """That of a fresh database, in place of what is there."""
    METADATA.drop_all(connection)
    assert not tables(connection)
    METADATA.create_all(connection)
    return schema_of(connection)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    database = SQLStore(url)._database
    database.check()
    engine = database.engine()
    yield engine
    engine.dispose()


def older(url: str, version: str) -> None:
    """Make a database of an older version, with a key in it."""
    database = SQLStore(url)._database
    database.check()
    engine = database.engine()
    with engine.begin() as connection:
        upgrade(connection, to=version)
        values = {"hash": b"\x01", "at": "2026-11-20 12:00:00.000000+00:00"}
        if connection.dialect.name == "sqlite":
            values["at"] = "2026-11-20 12:00:00.000000"
        names = "id, name, hash, hint, created_at"
        made = text(f"INSERT INTO api_keys ({names}) VALUES ('apikey_1', 'old', :hash, 'sk-...', :at)")
        connection.execute(made, values)
    engine.dispose()


def test_head_is_the_newest_step() -> None:
    assert steps().get_heads() == [HEAD]


def test_steps_are_numbered_by_four_digits_and_only_go_forward() -> None:
    revisions = list(steps().walk_revisions(base="base", head="heads"))[::-1]
    assert [step.revision for step in revisions] == [f"{number + 1:04}" for number in range(len(revisions))]
    for step in revisions:
        assert Path(step.path).name.startswith(f"{step.revision}_")
        assert not hasattr(step.module, "downgrade")


def test_the_steps_lead_to_the_schema_that_a_fresh_database_gets(engine: Engine) -> None:
    with engine.connect() as connection:
        upgrade(connection)
        migrated = schema_of(connection)
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == HEAD
        connection.commit()
        fresh = schema_made_anew(connection)
    assert len(fresh) >= 8
    assert migrated == fresh


def test_steps_run_in_the_callers_transaction(engine: Engine) -> None:
    """So that a step that fails halfway, or a process that is killed, leaves the database as it was."""
    with engine.connect() as connection:
        alone(connection, "this test")
        upgrade(connection)
        assert tables(connection)
        connection.rollback()
        assert not tables(connection)


@pytest.mark.parametrize("version", OLDER)
async def test_a_database_of_each_older_version_is_migrated_at_open(shared_url: str, version: str) -> None:
    """0001 to 0002: whoever has a key from before there were test keys may not suddenly ask for faults."""
    older(shared_url, version)
    store = SQLStore(shared_url)
    assert await store.migrate() == (version, HEAD)
    found = await store.keys.find(b"\x01")
    await store.close()
    assert found is not None
    assert (found.id, found.is_test, found.created_at.isoformat()) == ("apikey_1", False, "2026-11-20T12:00:00+00:00")
    engine = store._database.engine()
    with engine.connect() as connection:
        assert schema_of(connection) == schema_made_anew(connection)
    engine.dispose()


async def test_what_is_up_to_date_is_left_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SQLStore(url)
    assert await store.migrate() == (None, HEAD)
    database, engine = store._database, store._engine
    assert engine is not None
    monkeypatch.setattr(schema, "_migrate", None)
    monkeypatch.setattr(type(database), "begin_migration", None)
    assert schema.bring_up_to_date(engine, database) == (HEAD, HEAD)
    await store.close()


async def test_a_step_to_come_is_run_once(shared_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SQLStore(shared_url)
    await store.open()
    await store.close()

    def step(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE notes (id INTEGER)"))
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{NEXT}'"))

    monkeypatch.setattr(schema, "HEAD", NEXT)
    monkeypatch.setattr(schema, "upgrade", step)
    assert await store.migrate() == (HEAD, NEXT)
    await store.close()
    monkeypatch.setattr(schema, "upgrade", None)  # not called again
    await store.open()
    await store.ping()
    await store.close()


async def test_a_step_that_fails_leaves_the_database_as_it_was(
    shared_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SQLStore(shared_url)
    await store.open()
    await store.close()

    def broken(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE notes (id INTEGER)"))
        connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    with monkeypatch.context() as patch:
        patch.setattr(schema, "HEAD", NEXT)
        patch.setattr(schema, "upgrade", broken)
        with pytest.raises(StoreError, match="nowhere"):
            await store.open()
    assert await store.migrate() == (HEAD, HEAD)
    assert store._engine is not None
    with store._engine.connect() as connection:
        assert "notes" not in tables(connection)
    await store.close()
