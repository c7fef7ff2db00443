"""The databases that every test of the stores runs over."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from dragoman.store.sql import SQLStore


@pytest.fixture(params=["memory", "file", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database that is empty: SQLite's in memory and in a file, and a real PostgreSQL's."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/dragoman.db"


@pytest.fixture(params=["file", "postgres"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database that several may use."""
    return str(request.getfixturevalue("postgres_url")) if request.param == "postgres" else f"sqlite:///{tmp_path}/x.db"


@pytest_asyncio.fixture
async def sql_store(url: str) -> AsyncIterator[SQLStore]:
    store = SQLStore(url)
    await store.open()
    yield store
    await store.close()
