"""The URLs of databases: which are taken, what they name, and what of them is shown."""

from pathlib import Path

import pytest

from dragoman.errors import ConfigError
from dragoman.store.sql import SQLStore
from dragoman.store.urls import DatabaseURL, check_postgres, database_file, database_name, is_in_memory, shown_url

PASSWORD = "hunter2"


@pytest.mark.parametrize("url", ["sqlite://", ":memory:", "sqlite:///:memory:"])
def test_a_url_may_name_a_database_in_memory(url: str) -> None:
    assert is_in_memory(url)
    assert database_file(url) is None
    assert database_name(url) == "the database in memory"


def test_a_url_may_name_a_relative_or_an_absolute_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert database_file("sqlite:///data/x.db") == tmp_path / "data" / "x.db"
    assert database_file("sqlite:////var/x.db") == Path("/var/x.db")
    assert database_name("sqlite:///data/x.db") == f"the database {tmp_path}/data/x.db"
    assert shown_url("sqlite:///data/x.db") == "sqlite:///data/x.db"


@pytest.mark.parametrize(
    "url",
    ["", "x.db", "/var/x.db", "sqlite:///", "sqlite://x.db", "sqlite:x.db", "sqlite:///x.db?mode=ro", "sqlite:///\0"],
)
def test_a_url_that_names_no_file_is_refused_with_the_right_forms(url: str) -> None:
    with pytest.raises(ConfigError, match=r"sqlite:///relative\.db"):
        database_file(url)


@pytest.mark.parametrize("scheme", ["mysql", "postgresql+psycopg", "PostgreSQL"])
def test_a_url_of_another_kind_is_refused_without_its_password(scheme: str) -> None:
    with pytest.raises(ConfigError, match="is not a kind of database") as caught:
        SQLStore(f"{scheme}://me:{PASSWORD}@host/db")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "name", "shown"),
    [
        ("postgresql://me:hunter2@h:5433/d", "d at h:5433", "h:5433/d"),
        ("postgres://h/d", "d at h", "h/d"),
        ("postgresql://", "", "/"),
        ("postgresql:///d?host=/run/pg", "d at /run/pg", "/run/pg/d"),
        ("postgresql://me:hunter2@%2Frun%2Fpg/d", "d at /run/pg", "/run/pg/d"),
        ("postgresql://?dbname=d&host=h&password=hunter2", "d at h", "h/d"),
        ("postgresql://a:1,b:2/d?sslmode=require", "d at a:1,b:2", "a:1,b:2/d"),
        ("postgresql://[::1]:5432/d", "d at [::1]:5432", "[::1]:5432/d"),
        ("postgresql://me%40home:hunter2%2F@h/d%0A", "d? at h", "h/d?"),
        ("postgresql://me:hunter2?#:@h/d", "d at h", "h/d"),
    ],
)
def test_a_postgresql_url_is_shown_without_user_and_password(url: str, name: str, shown: str) -> None:
    """Pain 79."""
    assert check_postgres(url) is None
    assert database_file(url) is None
    assert not is_in_memory(url)
    assert database_name(url) == f"the PostgreSQL database {name}".strip()
    assert shown_url(url) == f"postgresql://{shown}"
    assert repr(DatabaseURL(url)) == repr(f"postgresql://{shown}")
    assert DatabaseURL(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://me:hunter2/x@h/d", "has an @, / or #"),
        ("postgresql://me:hun@ter2@h/d", "has an @, / or #"),
        ("postgresql://me:12/hunter2@h/d", "has an @, / or #"),
        ("postgresql://me:hunter2@h/d#x", "has an @, / or #"),
        ("postgresql://me:hunter2%@h/d", "has a % that begins no %XX"),
        ("postgresql://me:hunter2%00@h/d", "has a % that begins no %XX"),
        ("postgresql://me:hunter2", "has no port"),
        ("postgresql://me:hunter2@h:0/d", "has no port"),
        ("postgresql://me:hunter2@h:65536/d", "has no port"),
        ("postgresql://me:hunter2@h,i:x/d", "has no port"),
        ("postgresql://me:hunter2@h/d?x", "has no name=value"),
        ("postgresql://me:hunter2@h/d e", "has a space"),
        ("postgresql://me:hunter2@h/d\n", "has a space"),
        ("postgresql://me:hunter2@h/d\0", "has a space"),
    ],
)
def test_a_postgresql_url_with_a_slip_is_refused_without_its_password(url: str, why: str) -> None:
    """libpq would quote the half of a password that it takes for a port."""
    assert (check_postgres(url) or "").startswith(why)
    with pytest.raises(ConfigError, match="%40 for @") as caught:
        SQLStore(url)
    assert PASSWORD not in f"{caught.value} {shown_url(url.replace('me:hunter2', 'h'))}"


@pytest.mark.parametrize("url", ["postgresql://h/d?colour=red", "postgresql://me:hunter2@h/d?port=1&x=hunter2"])
def test_a_setting_that_libpq_does_not_know_is_told(url: str) -> None:
    with pytest.raises(ConfigError, match=r'this URL: invalid URI query parameter: "(colour|x)"') as caught:
        SQLStore(url)
    assert PASSWORD not in str(caught.value)
