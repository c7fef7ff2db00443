"""The schema: one constant, one folder of steps and one set of tables that say the same."""

import re
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, Engine

from dragoman.errors import StoreError
from dragoman.store import sql
from dragoman.store.migrations import HEAD, upgrade
from dragoman.store.sql import METADATA, SQLStore

NEXT = f"{int(HEAD) + 1:04}"  # a version to come


def steps() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "dragoman.store:migrations")
    return ScriptDirectory.from_config(config)


def schema(connection: Connection) -> set[tuple[str, str]]:
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return {(name, re.sub(r"\s+", " ", statement)) for name, statement in rows}


@pytest.fixture
def engine() -> Engine:
    engine = create_engine("sqlite://")
    yield engine
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
    with engine.begin() as connection:
        upgrade(connection)
        migrated = schema(connection)
        version = connection.scalar(text("SELECT version_num FROM alembic_version"))
    fresh_engine = create_engine("sqlite://")
    with fresh_engine.begin() as connection:
        METADATA.create_all(connection)
        fresh = schema(connection)
    fresh_engine.dispose()
    assert migrated == fresh
    assert version == HEAD


def test_steps_run_in_the_callers_transaction(engine: Engine) -> None:
    """So that a step that fails halfway, or a process that is killed, leaves the database as it was."""
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        upgrade(connection)
        assert schema(connection)
        connection.rollback()
        assert not schema(connection)


async def test_an_older_database_is_migrated_at_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SQLStore(f"sqlite:///{tmp_path}/dragoman.db")
    await store.open()
    await store.close()

    def step(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE ledger (id INTEGER)"))
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{NEXT}'"))

    monkeypatch.setattr(sql, "HEAD", NEXT)
    monkeypatch.setattr(sql, "upgrade", step)
    await store.open()
    await store.close()
    monkeypatch.setattr(sql, "upgrade", None)  # not called again
    await store.open()
    await store.ping()
    await store.close()


async def test_keys_from_before_there_were_test_keys_are_none(tmp_path: Path) -> None:
    """0001 to 0002: whoever has a key from before may not suddenly ask for faults."""
    path = tmp_path / "dragoman.db"
    older = create_engine(f"sqlite:///{path}")
    with older.begin() as connection:
        upgrade(connection, to="0001")
        values = "'apikey_1', 'old', x'01', 'sk-...', '2026-11-20 12:00:00.000000'"
        connection.execute(text(f"INSERT INTO api_keys (id, name, hash, hint, created_at) VALUES ({values})"))
    older.dispose()
    store = SQLStore(f"sqlite:///{path}")
    await store.open()
    found = await store.find_key(b"\x01")
    await store.close()
    assert found is not None
    assert (found.id, found.is_test) == ("apikey_1", False)


async def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SQLStore(f"sqlite:///{tmp_path}/dragoman.db")
    await store.open()
    await store.close()

    def broken(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE ledger (id INTEGER)"))
        connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    with monkeypatch.context() as patch:
        patch.setattr(sql, "HEAD", NEXT)
        patch.setattr(sql, "upgrade", broken)
        with pytest.raises(StoreError, match="nowhere"):
            await store.open()
    await store.open()
    assert store._engine is not None
    with store._engine.connect() as connection:
        assert "ledger" not in {name for name, _ in schema(connection)}
    await store.close()
