"""The command line on PostgreSQL, and `dragoman migrate` on both kinds of database."""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from postgres import PASSWORD
from tests.store.test_migrations import older
from typer.testing import CliRunner, Result

from dragoman.cli import main
from dragoman.cli.commands import app
from dragoman.store.migrations import HEAD

SECRET = {"DRAGOMAN_SECRET": "a secret of sixteen letters or more"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that commands are run in: empty, and nothing in the environment that they read."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("ANTHROPIC_", "DRAGOMAN_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DRAGOMAN_LISTEN", "127.0.0.1:0")
    return tmp_path


@pytest.fixture(params=["file", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("postgres_url")) if request.param == "postgres" else "sqlite:///dragoman.db"


def place(url: str) -> str:
    """As messages call the database."""
    if url.startswith("sqlite"):
        return f"the database {Path.cwd()}/dragoman.db"
    return f"the PostgreSQL database {urlsplit(url).path[1:]} at 127.0.0.1:{urlsplit(url).port}"


def invoke(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(app, arguments, env=env, prog_name="dragoman")


def output(*arguments: str, **env: str) -> str:
    result = invoke(*arguments, **env)
    assert (result.exit_code, result.stderr) == (0, ""), result.exception
    return result.stdout


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    return err


def test_migrate_makes_the_database_and_says_what_it_did(url: str) -> None:
    assert output("migrate", "--database", url) == f"Made the schema {HEAD} in {place(url)}, which was empty.\n"
    said = f"Nothing to do: {place(url)} has schema {HEAD}, the newest of this version.\n"
    assert output("migrate", DRAGOMAN_DATABASE=url) == said
    assert {path.name for path in Path().iterdir()} <= {"dragoman.db"}, "no secret is made"


def test_migrate_brings_an_older_database_up_to_date(url: str) -> None:
    older(url, "0001")
    assert output("migrate", "--database", url) == f"Brought {place(url)} from schema 0001 to {HEAD}.\n"
    assert "old" in output("keys", "list", "--database", url, **SECRET)


def test_migrate_as_json(url: str) -> None:
    older(url, "0002")
    shown = url if url.startswith("sqlite") else f"postgresql://127.0.0.1:{urlsplit(url).port}{urlsplit(url).path}"
    said = [json.loads(output("migrate", "--json", "--database", url)) for _ in range(2)]
    assert said == [{"database": shown, "before": before, "after": HEAD} for before in ("0002", HEAD)]


def test_a_database_in_memory_is_none_to_migrate(capsys: pytest.CaptureFixture[str]) -> None:
    assert "is a database in memory" in refusal(capsys, "migrate", "--database", "sqlite://")


def test_trouble_is_told_in_a_line_and_without_the_password(capsys: pytest.CaptureFixture[str]) -> None:
    """Pain 79."""
    said = refusal(capsys, "migrate", "--database", "postgresql://me:hunter2@127.0.0.1:1/d")
    assert said.startswith("error: the PostgreSQL database d at 127.0.0.1:1: it cannot be reached: ")
    assert "hunter2" not in said
    assert len(said.splitlines()) == 1


def test_keys_live_in_postgresql(postgres_url: str) -> None:
    env = {"DRAGOMAN_DATABASE": postgres_url, **SECRET}
    made = json.loads(output("keys", "create", "--name", "ci", "--json", **env))
    assert [key["id"] for key in json.loads(output("keys", "list", "--json", **env))] == [made["id"]]
    assert output("keys", "revoke", made["hint"], **env).startswith(f"Revoked {made['id']}")
    assert "revoked" in output("keys", "list", **env)
    assert list(Path().iterdir()) == []


def test_keys_in_postgresql_need_a_secret_that_is_given(postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, "keys", "list", "--database", postgres_url)
    assert "DRAGOMAN_SECRET_FILE to the path of a file" in said
    assert "hunter2" not in said


def test_the_doctor_looks_at_postgresql(postgres_url: str) -> None:
    env = {"DRAGOMAN_DATABASE": postgres_url, **SECRET}
    output("keys", "create", "--json", **env)
    found = json.loads(output("doctor", "--json", "--offline", **env))
    findings = {each["subject"]: (each["status"], each["text"]) for each in found["findings"]}
    assert findings["database"] == ("ok", place(postgres_url))
    assert findings["secret"] == ("ok", "DRAGOMAN_SECRET")
    assert findings["keys"] == ("ok", "1 live, 0 revoked")
    assert PASSWORD not in json.dumps(found)
    assert "hunter2" not in json.dumps(found)


@pytest.mark.parametrize(
    ("url", "env", "subject", "said"),
    [
        ("postgresql://me:hunter2@127.0.0.1:1/d", SECRET, "keys", "cannot be reached"),
        ("postgresql://me:hunter2@127.0.0.1:1/d", {}, "secret", "need a secret"),
        ("postgresql://me:hunter2@h:1/d", {**SECRET, "DRAGOMAN_SECRET_FILE": "x"}, "secret", "both set"),
        ("postgresql://me:hunter2@h:x/d", SECRET, "configuration", "has no port"),
    ],
)
def test_the_doctor_tells_what_is_wrong_with_postgresql(url: str, env: dict[str, str], subject: str, said: str) -> None:
    result = invoke("doctor", "--json", "--offline", DRAGOMAN_DATABASE=url, **env)
    assert result.exit_code == 1
    (failed,) = [each for each in json.loads(result.stdout)["findings"] if each["status"] == "fail"]
    assert failed["subject"] == subject
    assert said in failed["text"]
    assert "hunter2" not in result.output
