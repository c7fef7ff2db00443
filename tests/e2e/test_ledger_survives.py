"""What providers charged is in the ledger, whatever happens to the process or to the database (pain 35, 36, 61)."""

import asyncio
import signal
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from charging import Callers, Charge, ChargingUpstream, charge_of
from postgres import Postgres
from psycopg.rows import dict_row
from running import Running

KEY = "sk-dgm-e2e-ledger-key"
ROUNDS = 20
AWAY_S = 3.0
PATIENCE_S = 30.0  # generous: the machine may be busy
TOKENS = ("input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens", "output_tokens")
CONFIG = """
[providers.up]
base_url = "{url}"
api_key = "sk-ant-nothing"

[prices."up/*"]
input = 1.0
output = 5.0
cache_read = 0.1
"""

Row = dict[str, Any]


def read(database: Path, query: str) -> list[Row]:
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]


def tokens_of(row: Row) -> Charge:
    return Charge(*(row[name] for name in TOKENS))


def sum_of(charges: Iterable[Charge]) -> Charge:
    return Charge(*map(sum, zip(Charge(0, 0, 0, 0, 0), *charges, strict=True)))


async def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def check(rows: list[Row], sums: list[Row], *, charged: list[str], got: Iterable[str]) -> None:
    """What the upstream charged for is in the ledger: each request once, exactly where its usage was told whole."""
    of_name = {row["model"].removeprefix("up/"): row for row in rows}
    assert len(of_name) == len(rows)
    assert len(set(charged)) == len(charged)
    assert not set(charged) - of_name.keys()
    never_there = [row for name, row in of_name.items() if name not in set(charged)]
    assert all(row["outcome"] in ("interrupted", "refused", "abandoned") for row in never_there)
    assert all(row["is_estimated"] or sum(tokens_of(row)) == 0 for row in never_there)

    whole = {name: row for name, row in of_name.items() if not row["is_estimated"] and sum(tokens_of(row))}
    assert not set(got) - whole.keys()
    assert {name: tokens_of(row) for name, row in whole.items()} == {name: charge_of(name) for name in whole}
    # To the token: what was charged is what the ledger has, but for requests whose reply nobody read to its end.
    cut = [name for name in charged if name not in whole]
    assert all(of_name[name]["is_estimated"] for name in cut)
    assert sum_of(map(charge_of, charged)) == sum_of([*map(tokens_of, whole.values()), *map(charge_of, cut)])
    for name in cut:  # of these, the beginning: of a stream the input, once it had begun, else an estimate of it
        told, true = tokens_of(of_name[name]), charge_of(name)
        assert told[1:4] in ((0, 0, 0), true[1:4])
        assert told.input in (0, true.input) or 20 < told.input < 40, "a quarter of the bytes of the request"
        assert told.output <= true.output
        assert (of_name[name]["cost_nano"] is None) == (told[:4] == (0, 0, 0, 0))

    for width_s in (3600, 86_400):
        of_width = [row for row in sums if row["width_s"] == width_s]
        assert sum_of(map(tokens_of, of_width)) == sum_of(map(tokens_of, rows))
        assert sum(row["requests"] for row in of_width) == len(rows)
        assert sum(row["cost_nano"] for row in of_width) == sum(row["cost_nano"] or 0 for row in rows)
        assert sum(row["unpriced"] for row in of_width) == sum(row["cost_nano"] is None for row in rows)


async def test_killed_twenty_times(tmp_path: Path) -> None:
    """Pain 35: kill -9 under load; what providers charged and dragoman read is in the ledger once, to the token.

    What an upstream served that was never read, or not to its end, stands there too: as `interrupted`, once.
    """
    got: list[str] = []
    database = tmp_path / "dragoman.db"
    async with ChargingUpstream() as upstream:
        config = CONFIG.format(url=upstream.url)
        for number in range(ROUNDS):
            with Running(tmp_path, config, key=KEY) as server:
                async with Callers(server.url, KEY, names=f"r{number}") as callers:
                    await callers.answered(60 + 7 * number)
                    assert server.process is not None
                    server.process.send_signal(signal.SIGKILL)
                    server.process.wait()
                    await asyncio.sleep(0.02)  # for what is still on its way
                got += callers.got
                assert callers.statuses == []
        folder = tmp_path / "dragoman.db.journal"
        with Running(tmp_path, config, key=KEY) as server:
            await until(lambda: len(list(folder.glob("*.lock"))) == 1)  # its own
            assert "Traceback" not in server.log()
        assert list(folder.iterdir()) == []
    rows, sums = read(database, "SELECT * FROM ledger"), read(database, "SELECT * FROM usage_sums")
    check(rows, sums, charged=upstream.charged, got=got)
    assert len(got) > ROUNDS * 60
    assert {"answered", "interrupted"} <= {row["outcome"] for row in rows}
    answered = [row for row in rows if row["outcome"] == "answered"]
    assert {row["stop_reason"] for row in answered} == {"end_turn"}
    assert all(row["overhead_us"] <= row["total_us"] for row in answered)


async def test_the_database_away_under_load(postgres: Postgres, tmp_path: Path) -> None:
    """Pain 35, 36 and 61: PostgreSQL is stopped for a while. Known keys go on; unknown ones get 503, not 401; no row is
    lost or doubled."""
    url = postgres.new_database()
    env = {"DRAGOMAN_DATABASE": url, "DRAGOMAN_SECRET": "a secret of sixteen letters or more"}
    async with ChargingUpstream() as upstream:
        with Running(tmp_path, CONFIG.format(url=upstream.url), key=KEY, env=env) as server:
            async with Callers(server.url, KEY) as callers:
                await callers.answered(50)
                postgres.stop()
                try:
                    await asyncio.sleep(AWAY_S)
                    async with Callers(server.url, "sk-dgm-of-somebody-else", count=2) as strangers:
                        await until(lambda: len(strangers.statuses) >= 2)
                    await callers.answered(50)
                finally:
                    postgres.start()  # not in a thread of another life: the server ends with the thread that began it
                await callers.answered(50)
            assert callers.statuses == []
            assert set(strangers.statuses) == {503}
            with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
                await until(lambda: _count(connection) >= len(upstream.charged))
                rows = connection.execute("SELECT * FROM ledger WHERE key_id <> ''").fetchall()
                sums = connection.execute("SELECT * FROM usage_sums WHERE key_id <> ''").fetchall()
            log = server.log()
        assert log.count("rows of the ledger wait in the journal") == 1
        assert log.count("rows of the ledger are stored again") == 1
        assert "Traceback" not in log
    postgres.drop(url)
    check(rows, sums, charged=upstream.charged, got=callers.got)
    assert "interrupted" not in {row["outcome"] for row in rows}


def _count(connection: psycopg.Connection[Row]) -> int:
    found = connection.execute("SELECT count(*) AS number FROM ledger WHERE key_id <> ''").fetchone()
    return found["number"] if found else 0


async def test_a_locked_database_under_load(tmp_path: Path) -> None:
    """Pain 35: another program keeps SQLite's file locked for writing. Rows wait, and come in afterwards, each once."""
    database = tmp_path / "dragoman.db"
    async with ChargingUpstream() as upstream:
        with Running(tmp_path, CONFIG.format(url=upstream.url), key=KEY) as server:
            async with Callers(server.url, KEY) as callers:
                await callers.answered(50)
                with closing(sqlite3.connect(database, isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    before = other.execute("SELECT count(*) FROM ledger").fetchone()
                    await callers.answered(200)
                    await asyncio.sleep(AWAY_S)
                    assert other.execute("SELECT count(*) FROM ledger").fetchone() == before
                    other.execute("ROLLBACK")
                await callers.answered(50)
            assert callers.statuses == []
            await until(lambda: len(read(database, "SELECT id FROM ledger")) >= len(upstream.charged))
            assert "Traceback" not in server.log()
    rows, sums = read(database, "SELECT * FROM ledger"), read(database, "SELECT * FROM usage_sums")
    check(rows, sums, charged=upstream.charged, got=callers.got)
