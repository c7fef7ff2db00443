"""Providers' keys at the command line: kept, shown by their hints alone, ended, and put under another master key."""

import json
import os
import select
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dragoman.cli import main
from dragoman.cli.commands import app

SECRET = {"DRAGOMAN_SECRET": "a secret of sixteen letters or more"}
KEY = "sk-provider-canary-0123456789abcdef"
PATIENCE_S = 60.0  # the machine may be busy
OLD, NEW = "ab" * 32, "cd" * 32
CONFIG = """
[providers.cloud]
base_url = "https://cloud.example"

[providers.aws]
host = "bedrock"
region = "us-east-1"

[providers.offline]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that commands are run in: a configuration, and nothing in the environment that they read."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("ANTHROPIC_", "DRAGOMAN_", "AWS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    (tmp_path / "dragoman.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture(params=["file", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("postgres_url")) if request.param == "postgres" else "sqlite:///dragoman.db"


def invoke(*arguments: str, stdin: str | None = None, **env: str) -> Result:
    return CliRunner().invoke(app, arguments, input=stdin, env=env, prog_name="dragoman")


def output(*arguments: str, stdin: str | None = None, **env: str) -> str:
    result = invoke(*arguments, stdin=stdin, **env)
    assert (result.exit_code, result.stderr) == (0, ""), (result.exception, result.stderr)
    assert KEY not in result.stdout
    return result.stdout


def rows(shown: str) -> list[str]:
    """Of tables, without what is between them and under their headings."""
    return [line for line in shown.splitlines() if line.strip("─ ")]


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    return err


def test_a_key_is_kept_listed_and_ended(url: str) -> None:
    env = {"DRAGOMAN_DATABASE": url, **SECRET}
    said = output("providers", "add-key", "cloud", "--name", "of the team", stdin=f"{KEY}\n", **env)
    key_id = said.split()[1].rstrip(",")
    assert said == f"Kept {key_id}, a key for cloud (sk-p...cdef).\n"
    shown = rows(output("providers", "list", **env))
    assert [line.split()[0] for line in shown] == ["provider", *"cloud aws offline id".split(), key_id]
    assert shown[1].split() == ["cloud", "messages", "https://cloud.example", key_id]
    assert shown[2].endswith("credentials of aws")
    assert shown[-1].endswith("live")
    listed = json.loads(output("providers", "list", "--json", **env))
    assert [each["state"] for each in listed["keys"]] == ["live"]
    assert "envelope" not in listed["keys"][0]
    assert output("providers", "end-key", key_id, **env) == f"Ended {key_id}, a key for cloud (sk-p...cdef).\n"
    shown = rows(output("providers", "list", **env))
    assert shown[1].endswith("no key")
    assert " ended 20" in shown[-1]


def test_before_there_is_a_database_no_list_makes_one(folder: Path) -> None:
    assert "no key" in output("providers", "list")
    assert [each.name for each in folder.iterdir()] == ["dragoman.toml"]


def test_what_cannot_be_kept_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no provider has this name: the configuration has cloud, aws, offline" in refusal(
        capsys, "providers", "add-key", "clod"
    )
    assert "is not there" in refusal(capsys, "providers", "end-key", "cred_x")
    assert "is not there" in refusal(capsys, "rotate-master-key")
    result = invoke("providers", "add-key", "aws", stdin=KEY, **SECRET)
    assert 'set auth = "bearer"' in str(result.exception)
    result = invoke("providers", "add-key", "cloud", stdin=f"{KEY} {KEY}", **SECRET)
    assert "has a space" in str(result.exception)
    assert KEY not in str(result.exception)
    result = invoke("providers", "add-key", "cloud", stdin="x" * 100_000, **SECRET)
    assert "more than a key" in str(result.exception)
    result = invoke("providers", "add-key", "cloud", KEY, stdin=KEY, **SECRET)
    assert result.exit_code == 2, "a key is no argument: others can see command lines"


def test_under_a_master_key_that_is_gone_it_is_unreadable_and_told(url: str) -> None:
    env = {"DRAGOMAN_DATABASE": url, **SECRET}
    output("providers", "add-key", "cloud", stdin=KEY, DRAGOMAN_MASTER_KEY=OLD, **env)
    shown = rows(output("providers", "list", DRAGOMAN_MASTER_KEY=NEW, **env))
    assert shown[-1].endswith("unreadable")
    assert shown[1].endswith("no key")
    result = invoke("rotate-master-key", DRAGOMAN_MASTER_KEY=NEW, **env)
    assert (result.exit_code, result.stdout[:2]) == (1, "0 ")
    assert "cannot be read: it is under the master key" in result.stderr
    report = invoke("doctor", "--offline", "--json", DRAGOMAN_MASTER_KEY=NEW, DRAGOMAN_LISTEN="127.0.0.1:0", **env)
    found = {each["subject"]: each for each in json.loads(report.stdout)["findings"]}
    assert found["provider keys"]["status"] == "fail"
    assert "which is not known here" in found["provider keys"]["text"]
    assert KEY not in report.output
    report = invoke("doctor", "--offline", "--json", DRAGOMAN_MASTER_KEY=OLD, DRAGOMAN_LISTEN="127.0.0.1:0", **env)
    found = {each["subject"]: each for each in json.loads(report.stdout)["findings"]}
    assert (found["provider keys"]["status"], found["provider keys"]["text"]) == ("ok", "1 live, for cloud")
    assert OLD not in report.output


def test_the_master_key_is_changed(url: str, folder: Path) -> None:
    """Pain 65: there is a command for it, afterwards the old key is useless."""
    env = {"DRAGOMAN_DATABASE": url, "DRAGOMAN_MASTER_KEY_FILE": "keys", **SECRET}
    (folder / "keys").write_text(OLD)
    output("providers", "add-key", "cloud", stdin=KEY, **env)
    said = output("rotate-master-key", **env).splitlines()
    assert said[0].startswith("1 put under the master key ")
    assert said[1] == "No other master key is needed any more."
    assert (folder / "keys").read_text().strip() not in (OLD, "")
    assert len((folder / "keys").read_text().split()) == 1
    assert output("providers", "list", **env).splitlines()[-1].endswith("live")
    (folder / "keys").write_text(OLD)
    assert output("providers", "list", **env).splitlines()[-1].endswith("unreadable")


def test_a_new_master_key_may_be_made_and_shown_once(url: str) -> None:
    env = {"DRAGOMAN_DATABASE": url, **SECRET}
    output("providers", "add-key", "cloud", stdin=KEY, **env)
    result = invoke("rotate-master-key", "--print", **env)
    assert result.exit_code == 0
    master_key = result.stdout.strip()
    assert "Set DRAGOMAN_MASTER_KEY to it for every server" in result.stderr
    assert output("providers", "list", **env).splitlines()[-1].endswith("unreadable")
    assert output("providers", "list", DRAGOMAN_MASTER_KEY=master_key, **env).splitlines()[-1].endswith("live")
    env["DRAGOMAN_MASTER_KEY"] = master_key
    first, second = invoke("rotate-master-key", "--print", "--json", **env).stdout.splitlines()
    assert json.loads(second)["envelopes"] == 1
    env["DRAGOMAN_MASTER_KEY"] = json.loads(first)["master_key"]
    assert output("providers", "list", **env).splitlines()[-1].endswith("live")


def test_the_file_beside_a_database_is_for_its_owner_alone(folder: Path) -> None:
    output("providers", "add-key", "cloud", stdin=KEY)
    output("rotate-master-key")
    assert stat.S_IMODE((folder / "dragoman.db.master-key").stat().st_mode) == 0o600
    (folder / "dragoman.db.master-key").chmod(0o644)
    report = invoke("doctor", "--offline", "--json", DRAGOMAN_LISTEN="127.0.0.1:0")
    found = {each["subject"]: each for each in json.loads(report.stdout)["findings"]}
    assert found["master key"]["status"] == "warn"
    assert "mode 644" in found["master key"]["text"]


def test_in_a_terminal_it_is_asked_for_and_not_echoed(folder: Path) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "dragoman", "providers", "add-key", "cloud"],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    ) as command:  # fmt: skip
        os.close(theirs)
        said, is_asked = b"", False
        try:
            while select.select([ours], [], [], PATIENCE_S)[0]:
                said += os.read(ours, 4096)
                if b"Key for cloud: " in said and not is_asked:  # with the space: before it, what is typed is dropped
                    os.write(ours, KEY.encode() + b"\n")
                    is_asked = True
            command.kill()
        except OSError:  # its end of the terminal is closed
            os.close(ours)
        assert command.wait(PATIENCE_S) == 0, said
    assert b"Kept cred_" in said
    assert KEY.encode() not in said


def test_killed_at_any_moment_a_rotation_loses_nothing_and_goes_on(folder: Path) -> None:
    """Pain 65. Some of the kills come before it has begun, some while it works, some after its end."""
    for number in range(3):
        output("providers", "add-key", "cloud", stdin=f"{KEY}-{number}")
    command = [sys.executable, "-m", "dragoman", "rotate-master-key"]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    took_s = time.monotonic() - began
    for part in (0.5, 0.7, 0.8, 0.9, 0.95):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as rotating:
            with suppress(subprocess.TimeoutExpired):
                rotating.wait(took_s * part)
            rotating.kill()
        kept = json.loads(output("providers", "list", "--json"))["keys"]
        assert [each["state"] for each in kept] == ["live"] * 3
    assert "No other master key is needed any more." in output("rotate-master-key")
    assert len((folder / "dragoman.db.master-key").read_text().split()) == 1
