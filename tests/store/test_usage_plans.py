"""P7, Pain 39: no page of the log and no report scans the ledger. Each database is asked how it would find the rows.

The times themselves are measured by `python -m bench.ledger`, with 5 million rows.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # the bench lies beside the tests

from bench.ledger import END, START, fill_postgres, fill_sqlite, key_name, workspace_name
from sqlalchemy import Engine, event

from dragoman.store.sql import SQLStore
from dragoman.store.usage import DAY_S, HOUR_S, MINUTE_S, RequestFilter, RequestPosition

ROWS = 20_000
MIDDLE = RequestPosition((START + END) // 2 * 1_000_000, "req_m")
PAGES: dict[str, tuple[dict[str, Any], str]] = {
    "all": ({}, "ix_ledger_at"),
    "workspace": ({"workspace_id": workspace_name(1)}, "ix_ledger_workspace_at"),
    "key": ({"key_id": key_name(1)}, "ix_ledger_key_at"),
    "key and workspace": ({"key_id": key_name(1), "workspace_id": workspace_name(1)}, "ix_ledger_key_at"),
    "model": ({"model": "llama-4"}, "ix_ledger_at"),
    "status": ({"status": 5}, "ix_ledger_at"),
    "status of a workspace": ({"status": 529, "workspace_id": workspace_name(1)}, "ix_ledger_workspace_at"),
    "time": ({"since_us": (START + DAY_S) * 1_000_000, "until_us": (START + 2 * DAY_S) * 1_000_000}, "ix_ledger_at"),
}
SUMS: dict[str, tuple[int, int, dict[str, Any], str]] = {
    "a month by model": (DAY_S, 30, {"by": ["model"], "in_buckets": False}, "pk_usage_sums"),
    "a week by key": (HOUR_S, 7, {"by": ["key_id"]}, "pk_usage_sums"),
    "a day of a workspace": (HOUR_S, 1, {"where": {"workspace_id": [workspace_name(1)]}}, "pk_usage_sums"),
    "minutes": (MINUTE_S, 1, {"by": ["model"]}, "ix_ledger_at"),
}


class Plans:
    """How a store's database would do what the store asks of it."""

    def __init__(self, store: SQLStore) -> None:
        self.store = store
        self._asked: list[tuple[str, Any]] = []

    async def of(self, question: Any) -> list[str]:
        """The plans of all statements of a question to the store."""
        engine = self.store._engine
        assert isinstance(engine, Engine)
        event.listen(engine, "before_cursor_execute", self._note)
        try:
            await question
        finally:
            event.remove(engine, "before_cursor_execute", self._note)
        asked, self._asked = self._asked, []
        explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "

        def plans(connection: Any) -> list[str]:
            if (
                engine.dialect.name == "postgresql"
            ):  # which, where it may, reads a small table from end to end, or sorts
                connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
                connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
            found = [connection.exec_driver_sql(explain + text, given) for text, given in asked]
            return ["\n".join(str(row[-1]) for row in rows) for rows in found]

        return await self.store._run(plans)

    def _note(self, connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        self._asked.append((statement, parameters))


@pytest.fixture(scope="module", params=["file", "postgres"])
def filled_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "file":
        file = tmp_path_factory.mktemp("plans") / "ledger.db"
        _make(f"sqlite:///{file}")
        fill_sqlite(Path(file), ROWS)
        yield f"sqlite:///{file}"
        return
    postgres = request.getfixturevalue("postgres")
    url = postgres.new_database()
    _make(url)
    fill_postgres(url, ROWS)
    yield url
    postgres.drop(url)


def _make(url: str) -> None:
    import asyncio

    async def make() -> None:
        store = SQLStore(url)
        await store.open()
        await store.close()

    asyncio.run(make())


@pytest.fixture
async def plans(filled_url: str) -> Any:
    store = SQLStore(filled_url)
    await store.open()
    yield Plans(store)
    await store.close()


def must_use(plan: str, index: str) -> None:
    """SQLite calls the primary key of a table without row ids so, and an index by its name only."""
    if "SEARCH usage_sums USING PRIMARY KEY" in plan:
        plan = plan.replace("PRIMARY KEY", "pk_usage_sums")
    assert index in plan, plan
    assert "Seq Scan" not in plan, plan
    assert not any("SCAN" in line and "INDEX" not in line for line in plan.splitlines()), plan


@pytest.mark.parametrize("after", [None, MIDDLE], ids=["first", "middle"])
@pytest.mark.parametrize("name", PAGES)
async def test_a_page_goes_along_an_index(plans: Plans, name: str, after: RequestPosition | None) -> None:
    wanted, index = PAGES[name]
    asked = plans.store.usage.page(RequestFilter(**wanted), limit=100, after=after)
    found = await plans.of(asked)
    assert found
    for plan in found:
        must_use(plan, index)
        assert "TEMP B-TREE" not in plan
        assert "Sort" not in plan


@pytest.mark.parametrize("name", SUMS)
async def test_a_report_goes_along_an_index(plans: Plans, name: str) -> None:
    width_s, days, asked, index = SUMS[name]
    (plan,) = await plans.of(plans.store.usage.sums(width_s=width_s, start=END - days * DAY_S, end=END, **asked))
    must_use(plan, index)


async def test_what_is_erased_is_found_by_an_index(plans: Plans) -> None:
    (plan,) = await plans.of(plans.store.usage.erase(before_us=START * 1_000_000, limit=500))
    must_use(plan, "ix_ledger_at")
