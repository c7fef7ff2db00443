"""`python -m bench.ledger`: how long the questions take that are asked of a large ledger. See README.md.

Makes a month of rows, of keys and models that are used as unevenly as in life, and their sums; asks each question
once with nothing in memory, then some times more, through the store as the server has it. SQLite in a file and a
PostgreSQL of its own, one after the other; all of it is removed at the end.
"""

import argparse
import asyncio
import os
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from dragoman.store.sql import SQLStore
from dragoman.store.tables import LEDGER, USAGE_SUMS
from dragoman.store.usage import (
    DAY_OF_ALL_S,
    DAY_S,
    DIMENSIONS,
    HOUR_S,
    LONG,
    LONG_CONTEXT,
    MINUTE_S,
    SHORT,
    RequestFilter,
    RequestPosition,
)
from dragoman.wire.headers import base58

__all__ = ["END", "START", "fill_postgres", "fill_sqlite", "ledger_rows"]

START, DAYS = 1_793_491_200, 30  # 2026-11-01, UTC
END = START + DAYS * DAY_S
KEYS, WORKSPACES = 200, 10
MODELS = [f"claude-{name}" for name in ("opus-4-8", "sonnet-4-6", "haiku-4-5", "opus-4-5", "sonnet-4-5", "fable-1")] + [
    "gpt-5.5", "gpt-5.5-mini", "gemini-3-pro", "gemini-3-flash", "llama-4", "retired-model",
]  # fmt: skip
PROVIDERS = {  # by the first word of a model's name; nine in ten requests go to the first
    "claude": ["anthropic", "bedrock"],
    "gpt": ["openai"],
    "gemini": ["gemini"],
    "llama": ["local"],
    "retired": ["local"],
}
KINDS = 20_000  # of rows that differ in more than id and time; each comes again and again
AT_ONCE = 50_000
LIMIT_MS = 300.0
COLUMNS = [column.name for column in LEDGER.c]
SUMMED = [column.name for column in USAGE_SUMS.c if not column.primary_key]

Row = tuple[Any, ...]
Question = tuple[str, Callable[[SQLStore], Awaitable[object]]]


def key_name(number: int) -> str:
    return f"apikey_{number:024}"


def workspace_name(number: int) -> str:
    return f"wrkspc_{number:024}"


def ledger_rows(count: int, *, seed: int = 7) -> Iterator[Row]:
    """Rows in the order of their arrival, as the table's columns have them; the same for the same `seed`."""
    chance = random.Random(seed)  # noqa: S311
    kinds = [_kind(chance) for _ in range(KINDS)]
    step = DAYS * DAY_S * 1_000_000 / count
    for number in range(count):
        kind = kinds[int(chance.random() * KINDS)]
        at_us = START * 1_000_000 + int((number + chance.random()) * step)
        yield (f"req_01{base58(chance.randbytes(22))}", at_us, *kind)


def _kind(chance: random.Random) -> Row:
    """All of a row but id and time. Few keys and models make most of the requests."""
    key = chance.choices(range(KEYS), [1 / (number + 1) for number in range(KEYS)])[0]
    model = chance.choices(MODELS, [2.0**-n for n in range(len(MODELS))])[0]
    providers = PROVIDERS[model.partition("-")[0]]
    provider = providers[chance.random() > 0.9 and len(providers) > 1]
    status = chance.choices([200, 400, 429, 500, 529], [960, 12, 18, 6, 4])[0]
    is_answered = status == 200
    tokens = [int(chance.lognormvariate(mean, 1.0)) if is_answered else 0 for mean in (7, 5, 3, 8, 6)]
    values = {
        "organization_id": "6f1e9e9e-6c5d-4b6f-9a5d-7a0f5c1d2e3f",
        "workspace_id": workspace_name(key % WORKSPACES),
        "key_id": key_name(key),
        "operation": "messages",
        "model": model,
        "provider": provider,
        "answered_model": model,
        "attempts": 1,
        "status": status,
        "outcome": "answered" if is_answered else "refused",
        "error": None if is_answered else "overloaded_error",
        "stop_reason": "end_turn" if is_answered else None,
        "is_stream": chance.randrange(2),
        "input_tokens": tokens[0],
        "cache_write_5m_tokens": tokens[1],
        "cache_write_1h_tokens": tokens[2],
        "cache_read_tokens": tokens[3],
        "output_tokens": tokens[4],
        "web_searches": 0,
        "is_estimated": 0,
        "service_tier": "standard" if is_answered else None,
        "inference_geo": "global" if is_answered else None,
        "cost_nano": sum(tokens) * 3000 if model != "retired-model" else None,
        "price_source": "catalogue",
        "price_date": "2026-11-01",
        "first_us": 400_000,
        "total_us": int(chance.lognormvariate(15, 0.8)),
        "overhead_us": 500,
        "upstream_request_id": f"req_01{base58(chance.randbytes(22))}",
        "tags": '{"team":"search"}' if key % 3 == 0 else None,
    }
    return tuple(values.get(name) for name in COLUMNS[2:])


def sums_statement(width_s: int) -> str:
    """The sums of all rows, as `SQLLedger.add` keeps them."""
    start = f"at_us / 1000000 - at_us / 1000000 % {abs(width_s)}"
    read = "input_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens"
    window = f"CASE WHEN {read} > {LONG_CONTEXT} THEN '{LONG}' ELSE '{SHORT}' END"
    special = {"context_window": window, **({"key_id": "''"} if width_s == DAY_OF_ALL_S else {})}
    keys = [special.get(name, f"coalesce({name}, '')") for name in DIMENSIONS]
    own = {
        "requests": "count(*)",
        "errors": "sum(CASE WHEN status >= 400 OR outcome = 'cut' THEN 1 ELSE 0 END)",
        "cost_nano": "sum(coalesce(cost_nano, 0))",
        "unpriced": "sum(CASE WHEN cost_nano IS NULL THEN 1 ELSE 0 END)",
    }
    counts = [own.get(name, f"sum({name})") for name in SUMMED]
    names = ", ".join(column.name for column in USAGE_SUMS.c)
    grouped = ", ".join(str(number) for number in range(2, 3 + len(keys)))
    values = ", ".join([str(width_s), start, *keys, *counts])
    return f"INSERT INTO usage_sums ({names}) SELECT {values} FROM ledger GROUP BY {grouped}"  # noqa: S608


def fill_sqlite(file: Path, count: int) -> None:
    """Rows and sums in a database file that has the schema."""
    marks = ", ".join("?" * len(COLUMNS))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -1000000")  # KiB
        for rows in _portions(count):
            connection.executemany(f"INSERT INTO ledger ({', '.join(COLUMNS)}) VALUES ({marks})", rows)  # noqa: S608
            connection.commit()
        for width_s in (HOUR_S, DAY_S, DAY_OF_ALL_S):
            connection.execute(sums_statement(width_s))
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def fill_postgres(url: str, count: int) -> None:
    """The same in PostgreSQL, by COPY."""
    import psycopg

    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for rows in _portions(count):
            with cursor.copy(f"COPY ledger ({', '.join(COLUMNS)}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            connection.commit()
        cursor.execute("SET work_mem = '1GB'")  # or it sorts all rows, by the rules of a language
        for width_s in (HOUR_S, DAY_S, DAY_OF_ALL_S):
            cursor.execute(sums_statement(width_s))
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE ledger")
        cursor.execute("VACUUM ANALYZE usage_sums")
        cursor.execute("CHECKPOINT")


def _portions(count: int) -> Iterator[list[Row]]:
    portion: list[Row] = []
    for row in ledger_rows(count):
        portion.append(row)
        if len(portion) == AT_ONCE:
            yield portion
            portion = []
    yield portion


# -- the questions --


def questions() -> list[Question]:
    middle = RequestPosition((START + END) // 2 * 1_000_000, "")

    def page(after: RequestPosition | None = None, **wanted: Any) -> Callable[[SQLStore], Awaitable[object]]:
        return lambda store: store.usage.page(RequestFilter(**wanted), limit=100, after=after)

    def sums(width_s: int, days: int, *by: str, is_whole: bool = False, **where: Sequence[str]) -> Any:
        span = {"width_s": width_s, "start": END - days * DAY_S, "end": END}
        return lambda store: store.usage.sums(**span, by=by, where=where, in_buckets=not is_whole)

    return [
        ("page, all", page()),
        ("page, all, from the middle of the month", page(middle)),
        ("page, a workspace", page(workspace_id=workspace_name(0))),
        ("page, the busiest key", page(key_id=key_name(0))),
        ("page, a key that is hardly used", page(key_id=key_name(KEYS - 2))),
        ("page, the first model", page(model=MODELS[0])),
        ("page, a model of one row in 2,000", page(model=MODELS[-2])),
        ("page, a model that nobody asks (a slice)", page(model="none")),
        ("page, errors of callers (4xx)", page(status=4)),
        ("page, 529 of a workspace", page(workspace_id=workspace_name(1), status=529)),
        ("a month by model", sums(DAY_S, DAYS, "model", is_whole=True)),
        ("a month by model and day", sums(DAY_S, DAYS, "model")),
        ("a month by key, model and day", sums(DAY_S, DAYS, "key_id", "model")),
        (
            "a month of a workspace by model",
            sums(DAY_S, DAYS, "model", is_whole=True, workspace_id=[workspace_name(0)]),
        ),
        ("a week by model and hour", sums(HOUR_S, 7, "model")),
        ("a day by model and minute, out of the rows", sums(MINUTE_S, 1, "model")),
        ("an hour's worth of erasing: 1,000 rows", lambda store: store.usage.erase(before_us=2**62, limit=1000)),
    ]


async def measure(url: str, forget: Callable[[], None], *, again: int = 5) -> list[tuple[str, float, float]]:
    """Name, ms with nothing in memory, median ms after that."""
    found = []
    for name, ask in questions():
        forget()
        store = SQLStore(url)
        await store.open()
        times = []
        for _ in range(1 + again):
            began = time.perf_counter()
            await ask(store)
            times.append((time.perf_counter() - began) * 1000)
        await store.close()
        found.append((name, times[0], statistics.median(times[1:])))
    return found


def show(title: str, found: Sequence[tuple[str, float, float]]) -> bool:
    print(f"\n{title}\n{'':48}{'cold ms':>10}{'warm ms':>10}")
    for name, cold, warm in found:
        print(f"{name:48}{cold:10.1f}{warm:10.1f}{'  over the limit' if max(cold, warm) > LIMIT_MS else ''}")
    return all(max(cold, warm) <= LIMIT_MS for _, cold, warm in found)


def drop_from_memory(folder: Path) -> None:
    """Ask the system to forget what it holds of these files."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def on_sqlite(folder: Path, count: int) -> bool:
    file = folder / "ledger.db"
    url = f"sqlite:///{file}"
    asyncio.run(_make_schema(url))
    began = time.perf_counter()
    fill_sqlite(file, count)
    took = time.perf_counter() - began
    found = asyncio.run(measure(url, lambda: drop_from_memory(folder)))
    size = file.stat().st_size / 2**20
    return show(f"SQLite {sqlite3.sqlite_version}, {count:,} rows, {size:,.0f} MB, filled in {took:.0f} s", found)


def on_postgres(count: int) -> bool | None:
    """None where there is none on this machine. With its defaults (128 MB of shared buffers)."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
    from postgres import Postgres, find_programs

    programs = find_programs()
    if programs is None:
        print("\nthere is no PostgreSQL on this machine")
        return None
    with Postgres(programs) as server:
        url = server.new_database()
        asyncio.run(_make_schema(url))
        began = time.perf_counter()
        fill_postgres(url, count)
        took = time.perf_counter() - began

        def forget() -> None:
            server.stop()
            drop_from_memory(server._folder)
            server.start()

        return show(f"PostgreSQL, {count:,} rows, filled in {took:.0f} s", asyncio.run(measure(url, forget)))


async def _make_schema(url: str) -> None:
    store = SQLStore(url)
    await store.open()
    await store.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    parser.add_argument("--folder", type=Path, help="where SQLite's file goes for the time; 3 GB for 5 million rows")
    options = parser.parse_args()
    results: list[bool | None] = []
    folder = Path(tempfile.mkdtemp(prefix="dragoman-ledger-", dir=options.folder))
    try:
        if options.only != "postgres":
            results.append(on_sqlite(folder, options.rows))
    finally:
        shutil.rmtree(folder)
    if options.only != "sqlite":
        results.append(on_postgres(options.rows))
    return 0 if all(each is not False for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
