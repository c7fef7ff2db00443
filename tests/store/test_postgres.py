"""What holds for PostgreSQL alone: a server that goes away, is silent or refuses, and errors that tell the remedy."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import quote

import psycopg
import pytest
import pytest_asyncio
from postgres import PASSWORD, Postgres
from sqlalchemy import Connection, text
from tests.store.test_contract import execute
from tests.store.test_migrations import older

from dragoman.errors import ConfigError, StoreError
from dragoman.store import postgres as store_postgres
from dragoman.store.base import KeyRecord
from dragoman.store.migrations import HEAD
from dragoman.store.sql import SQLStore

RECORD = KeyRecord(
    id="apikey_1", name="one", hash=b"\1" * 32, hint="...", created_at=datetime(2026, 11, 20, 12, tzinfo=UTC)
)


@pytest_asyncio.fixture
async def store(postgres_url: str) -> AsyncIterator[SQLStore]:
    store = SQLStore(postgres_url)
    await store.open()
    yield store
    await store.close()


def with_options(url: str, options: str) -> str:
    return f"{url}?options={quote(options)}"


async def trouble_of_opening(url: str) -> str:
    with pytest.raises(StoreError) as caught:
        await SQLStore(url).open()
    told = f"{caught.value} {caught.value.__cause__!r} {caught.value.__cause__}"
    assert PASSWORD not in told
    assert quote(PASSWORD, safe="") not in told
    return str(caught.value)


def setting(name: str) -> str:
    return f"SELECT current_setting('{name}')"


async def asked(store: SQLStore, statement: str) -> object:
    return await store._run(lambda connection: connection.execute(text(statement)).scalar())


# A server that is not there


async def test_a_server_that_is_stopped_is_an_error_and_one_that_is_back_is_used(
    store: SQLStore, postgres: Postgres
) -> None:
    """Pain 36. No request fails once it is back, whatever connections there were."""
    await store.keys.add(RECORD)
    await asyncio.gather(*(store.ping() for _ in range(8)))  # so that there are several
    postgres.stop()
    try:
        for _ in range(6):
            with pytest.raises(StoreError, match=r"cannot be reached: .*refused"):
                await store.keys.find(RECORD.hash)
    finally:
        postgres.start()
    assert await asyncio.gather(*(store.keys.find(RECORD.hash) for _ in range(8))) == [RECORD] * 8


async def test_a_server_that_is_restarted_between_two_requests_is_not_noticed(
    store: SQLStore, postgres: Postgres
) -> None:
    await asyncio.gather(*(store.ping() for _ in range(8)))
    postgres.stop()
    postgres.start()
    assert await store.keys.add(RECORD)
    assert await asyncio.gather(*(store.keys.find(RECORD.hash) for _ in range(8))) == [RECORD] * 8


async def test_a_server_that_stops_in_the_middle_ends_what_runs(store: SQLStore, postgres: Postgres) -> None:
    sleeping = asyncio.create_task(asked(store, "SELECT pg_sleep(5)"))
    await is_running(store, "pg_sleep")
    postgres.stop()
    try:
        with pytest.raises(StoreError, match=r"broke off|crashed|is being stopped"):
            await sleeping
    finally:
        postgres.start()
    await store.ping()


async def is_running(store: SQLStore, what: str) -> None:
    query = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{what}%' AND query NOT LIKE '%activity%'"
    for _ in range(1000):
        if await asked(store, query):
            return
        await asyncio.sleep(0.005)
    pytest.fail(f"{what} never ran")


async def test_a_session_that_is_ended_is_replaced(store: SQLStore, postgres_url: str) -> None:
    pid = await asked(store, "SELECT pg_backend_pid()")
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert await asked(store, "SELECT pg_backend_pid()") != pid


async def test_a_silent_server_ends_nobody_s_patience(store: SQLStore, postgres: Postgres) -> None:
    """Pain 36: as when it is frozen, or the network cut; neither the caller nor the thread waits on."""
    await store.ping()
    store._database.deadline_s = 0.1
    postgres.freeze()
    try:
        with pytest.raises(StoreError, match=r"no answer came within 0\.1 s: try again"):
            await store.ping()
        assert not store._running
    finally:
        postgres.thaw()
        store._database.deadline_s = 20.0
    assert await store.keys.add(RECORD)


async def test_a_silent_server_does_not_keep_a_store_open(postgres_url: str, postgres: Postgres) -> None:
    store = SQLStore(postgres_url)
    await store.open()
    store._database.deadline_s = 0.1
    postgres.freeze()
    try:
        caller = asyncio.create_task(store.ping())
        await asyncio.sleep(0)
        caller.cancel()
        await store.close()
    finally:
        postgres.thaw()


async def test_a_deadline_that_has_passed_before_there_is_a_connection_holds_too(store: SQLStore) -> None:
    store._database.deadline_s = 0.0
    with pytest.raises(StoreError, match="no answer came"):
        await asked(store, "SELECT pg_sleep(5)")


async def test_a_statement_that_is_too_long_is_ended(store: SQLStore) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("SET LOCAL statement_timeout = 1"))
        connection.execute(text("SELECT pg_sleep(5)"))

    with pytest.raises(StoreError, match="took longer than"):
        await store._run(work)
    await store.ping()


async def test_few_connections_are_made(store: SQLStore, postgres_url: str) -> None:
    """Pain 36."""
    await asyncio.gather(*(store.ping() for _ in range(50)))
    with psycopg.connect(postgres_url) as other:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dragoman' AND datname = current_database()"
        )
        found = other.execute(query).fetchone()
    assert found is not None
    assert 1 <= found[0] <= 4


# Its sessions


async def test_sessions_are_set_up_whatever_the_server_s_defaults_are(store: SQLStore) -> None:
    assert await asked(store, setting("statement_timeout")) == "10s"
    assert await asked(store, setting("idle_in_transaction_session_timeout")) == "1min"
    assert await asked(store, setting("transaction_isolation")) == "read committed"
    assert await asked(store, setting("client_encoding")) == "UTF8"
    assert await asked(store, setting("TimeZone")) == "Asia/Tokyo", "the server's, which the store must not lean on"


async def test_what_the_url_says_of_a_session_wins(postgres_url: str) -> None:
    store = SQLStore(with_options(postgres_url, "-c statement_timeout=7s -c timezone=UTC") + "&application_name=mine")
    await store.open()
    assert await asked(store, setting("statement_timeout")) == "7s"
    assert await asked(store, setting("idle_in_transaction_session_timeout")) == "1min"
    assert await asked(store, setting("application_name")) == "mine"
    await store.close()


async def test_what_the_environment_says_of_a_session_holds(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with every client of libpq."""
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=7s")
    monkeypatch.setenv("PGAPPNAME", "mine")
    store = SQLStore(postgres_url)
    await store.open()
    assert await asked(store, setting("statement_timeout")) == "7s"
    assert await asked(store, setting("application_name")) == "mine"
    await store.close()


async def test_a_pooler_that_takes_no_options_gets_none(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=7s")
    store = SQLStore(f"{postgres_url}?options=")
    await store.open()
    assert await asked(store, setting("statement_timeout")) == "0"
    await store.close()


async def test_the_database_is_reached_by_a_socket_too(postgres: Postgres, postgres_url: str) -> None:
    store = SQLStore(postgres.url(postgres_url.rpartition("/")[2], by_socket=True))
    await store.open()
    assert await asked(store, "SELECT inet_server_addr() IS NULL")
    assert store.place.startswith("the PostgreSQL database test_")
    await store.close()


async def test_a_schema_of_its_own_may_lie_in_a_database_of_others(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
        other.execute("CREATE SCHEMA ours")
    store = SQLStore(with_options(postgres_url, "-c search_path=ours"))
    assert await store.migrate() == (None, HEAD)
    assert await store.keys.add(RECORD)
    await store.close()
    assert await store.migrate() == (HEAD, HEAD)
    await store.close()


# What is told


async def test_what_cannot_be_connected_to_is_told(postgres: Postgres, postgres_url: str) -> None:
    here = f"127.0.0.1:{postgres.port}"
    wrong = postgres_url.replace("hunter2", "hunter3")
    assert "refuses user or password: check them in the URL" in await trouble_of_opening(wrong)
    assert "asks for a password" in await trouble_of_opening(f"postgresql://dragoman@{here}/postgres")
    said = await trouble_of_opening(postgres.url("nowhere"))
    assert f'the PostgreSQL database nowhere at {here}: it cannot be reached: connection to server at "127' in said
    assert 'database "nowhere" does not exist' in said
    assert "cannot be reached: failed to resolve" in await trouble_of_opening("postgresql://me:x@host.invalid/d")
    assert "No such file or directory" in await trouble_of_opening("postgresql://me:x@/d?host=/nowhere")


async def test_too_many_connections_are_told(postgres: Postgres, postgres_url: str) -> None:
    """Pain 36."""
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("CREATE ROLE few LOGIN PASSWORD 'x' CONNECTION LIMIT 0")
        other.execute(f"GRANT ALL ON DATABASE {other.info.dbname} TO few")
        said = await trouble_of_opening(f"postgresql://few:x@127.0.0.1:{postgres.port}/{other.info.dbname}")
        other.execute(f"REVOKE ALL ON DATABASE {other.info.dbname} FROM few")
        other.execute("DROP ROLE few")
    assert "its server has no connection left: raise max_connections" in said


async def test_missing_rights_are_told(postgres: Postgres, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("CREATE ROLE guest LOGIN PASSWORD 'x'")
        said = await trouble_of_opening(f"postgresql://guest:x@127.0.0.1:{postgres.port}/{other.info.dbname}")
        other.execute("DROP ROLE guest")
    assert "may not do this: let it own the database, or give it CREATE" in said


async def test_a_standby_is_told(store: SQLStore, postgres_url: str) -> None:
    reader = SQLStore(with_options(postgres_url, "-c default_transaction_read_only=on"))
    await reader.open()
    with pytest.raises(StoreError, match="cannot be written: this server is a standby or read-only"):
        await reader.keys.add(RECORD)
    assert await reader.keys.list() == []
    await reader.close()


async def test_a_search_path_to_nowhere_is_told(postgres_url: str) -> None:
    said = await trouble_of_opening(with_options(postgres_url, "-c search_path=nowhere"))
    assert "its search_path names no schema" in said


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("connection timeout expired", "it cannot be reached: connection timeout expired"),
        ("connection failed: FATAL:  the database system is starting up", "try again in a moment"),
        ("connection failed: FATAL:  sorry, too many clients already", "has no connection left"),
        ("connection failed: FATAL:  unsupported startup parameter: options", r"add \?options= to the URL"),
        ("connection failed: FATAL:  no pg_hba.conf entry for host", "see its pg_hba.conf"),
        ("server closed the connection unexpectedly\n\tThis probably means", r"broke off \(server closed .*ly\): try"),
    ],
)
def test_what_libpq_says_is_given_a_meaning(said: str, meaning: str) -> None:
    database = store_postgres.Postgres("postgresql://h/d")
    told = database.meaning(psycopg.OperationalError(said))
    assert "\n" not in told
    assert re.search(meaning, told), told


async def test_an_error_of_the_server_quotes_no_row(store: SQLStore) -> None:
    """Pain 79: PostgreSQL's DETAIL holds the row."""
    row = "INSERT INTO files (id, workspace_id, filename) VALUES ('f', 'w', 'verysecret')"
    with pytest.raises(StoreError, match='null value in column "mime_type"') as caught:
        await asked(store, row)
    cause = caught.value.__cause__
    assert cause is not None
    told = [str(caught.value), str(getattr(cause, "orig", "")), str(cause.__cause__)]
    assert "verysecret" not in "".join(told)
    assert "DETAIL" not in f"{told} {cause}"


def test_a_missing_driver_is_told_with_the_remedy() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from dragoman.store.sql import SQLStore\n"
        "from dragoman.errors import ConfigError\n"
        "try: SQLStore('postgresql://me:hunter2@h/d')\n"
        "except ConfigError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "pip install 'dragoman[postgres]'" in run.stdout
    assert "hunter2" not in run.stdout + run.stderr


def test_neither_engine_nor_store_shows_the_password() -> None:
    """Pain 79."""
    store = SQLStore("postgresql://me:hunter2@h/d?sslpassword=hunter2")
    engine = store._database.engine()
    assert "hunter2" not in f"{engine!r} {engine.url!r} {store!r} {store.place} {store._database!r}"


# Migrations


async def test_a_migration_does_not_wait_for_a_table_and_hold_up_others(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(postgres_url, "0001")
    monkeypatch.setattr(store_postgres, "TABLE_LOCK_TIMEOUT_S", 0.01)
    with psycopg.connect(postgres_url) as backup:
        backup.execute("LOCK TABLE api_keys IN ACCESS SHARE MODE")
        assert "another session (a backup?) held a table" in await trouble_of_opening(postgres_url)
    store = SQLStore(postgres_url)
    assert await store.migrate() == ("0001", HEAD)
    await store.close()


async def test_a_migration_waits_for_another_one_as_long_as_it_takes(
    store: SQLStore, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    execute(postgres_url, "UPDATE alembic_version SET version_num = '0000'")
    other = SQLStore(postgres_url)
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Task[object]] = []
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

    def migrate(connection: Connection) -> None:
        store._database.begin_migration(connection)
        assert connection.scalar(text(setting("statement_timeout"))) == "0"
        loop.call_soon_threadsafe(lambda: waiting.append(loop.create_task(other.migrate())))
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{HEAD}'"))
        for _ in range(100_000):
            if connection.scalar(text(waits)):
                return
        pytest.fail("the other one did not wait")

    with caplog.at_level("INFO", logger="dragoman.store"):
        await store._run(migrate)
        assert await waiting[0] == (HEAD, HEAD)
    assert "waiting for another process that brings it up to date" in caplog.text
    await other.close()


def test_a_url_that_libpq_does_not_take_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigError, match="colour"):
        store_postgres.Postgres("postgresql://h/d?colour=red")
