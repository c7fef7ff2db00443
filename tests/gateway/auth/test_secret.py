"""Where the secret and the bytes of files lie when the database is no file: several machines may share it."""

import stat
from pathlib import Path

import pytest

from dragoman.errors import ConfigError
from dragoman.gateway.auth.secret import load_secret, secret_file
from dragoman.gateway.config.config import OFFLINE, Config, ProviderConfig, ServerConfig
from dragoman.gateway.open import _file_folder

SHARED = "postgresql://me:hunter2@db.example/dragoman"
HEX = "ab" * 32


def test_a_shared_database_takes_its_secret_from_the_environment() -> None:
    assert load_secret(SHARED, {"DRAGOMAN_SECRET": HEX}) == HEX.encode()
    assert secret_file(SHARED, {"DRAGOMAN_SECRET": HEX}) is None


def test_or_from_a_file_that_the_environment_names(tmp_path: Path) -> None:
    """The form is that of the file beside a SQLite database, which may be taken along."""
    file = tmp_path / "secret"
    file.write_text(f"{HEX}\n")
    file.chmod(0o400)
    env = {"DRAGOMAN_SECRET_FILE": str(file)}
    assert secret_file(SHARED, env) == file
    assert load_secret(SHARED, env) == bytes.fromhex(HEX)
    assert load_secret(f"sqlite:///{tmp_path}/x.db", env) == bytes.fromhex(HEX)
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("env", [{}, {"DRAGOMAN_SECRET_FILE": ""}, {"DRAGOMAN_SECRET_FILE": "absent"}])
def test_none_is_made_for_a_shared_database(
    env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each machine would make its own, and know no key of the others."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="set DRAGOMAN_SECRET to it, or DRAGOMAN_SECRET_FILE") as caught:
        load_secret(SHARED, env)
    said = str(caught.value)
    assert "the PostgreSQL database dragoman at db.example" in said
    assert "hunter2" not in said
    assert (f"{tmp_path}/absent, which DRAGOMAN_SECRET_FILE names, is not there" in said) == ("absent" in env.values())
    assert list(tmp_path.iterdir()) == []


def test_for_a_database_file_the_named_one_is_made(tmp_path: Path) -> None:
    env = {"DRAGOMAN_SECRET_FILE": str(tmp_path / "elsewhere")}
    url = f"sqlite:///{tmp_path}/x.db"
    secret = load_secret(url, env)
    assert (tmp_path / "elsewhere").read_text() == f"{secret.hex()}\n"
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o600
    assert load_secret(url, env) == secret


@pytest.mark.parametrize("url", [SHARED, "sqlite://", "sqlite:///x.db"])
def test_two_secrets_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="both set: unset one of them"):
        load_secret(url, {"DRAGOMAN_SECRET": HEX, "DRAGOMAN_SECRET_FILE": "x"})


@pytest.mark.parametrize(
    ("database", "configured", "folder"),
    [
        ("sqlite:///data/x.db", None, "data/x.db.files"),
        (SHARED, None, "dragoman.files"),
        (SHARED, "shared/files", "shared/files"),
        ("sqlite:///data/x.db", "/srv/files", "/srv/files"),
        ("sqlite://", "kept", "kept"),
        ("sqlite://", None, None),
    ],
)
def test_files_lie_where_the_configuration_says(
    database: str, configured: str | None, folder: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = ProviderConfig(name=OFFLINE, origin="the test", dialect=OFFLINE)
    server = ServerConfig(database=database, files_folder=configured)
    found = _file_folder(Config(server=server, providers={OFFLINE: engine}, models={}))
    assert found._path == (None if folder is None else tmp_path / folder)
