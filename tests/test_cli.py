"""The command line. Run as a program, `python tests/test_cli.py --write` renews the help texts in docs/cli.md."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner, Result

from dragoman import __version__
from dragoman.cli import main, plain_serve
from dragoman.cli.commands import app
from dragoman.errors import ConfigError, StoreError

DOCUMENT = Path(__file__).parents[1] / "docs" / "cli.md"
HELP = re.compile(r"<!-- help: ([a-z -]+) -->\n(.*?)<!-- end of help -->\n", re.DOTALL)
SCRIPT = Path(sys.executable).with_name("dragoman")
ID = re.compile(r"apikey_[0-9A-Za-z]{24}")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that commands are run in: empty, and nothing in the environment that they read."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("ANTHROPIC_", "DRAGOMAN_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DRAGOMAN_LISTEN", "127.0.0.1:0")  # the usual port may be taken
    return tmp_path


def run(*arguments: str, program: tuple[str, ...] = (sys.executable, "-m", "dragoman"), **env: str) -> Any:
    """A process of its own: what comes out of it, and its exit code."""
    return subprocess.run(
        [*program, *arguments], env={**os.environ, **env}, capture_output=True, encoding="utf-8", timeout=30
    )


def invoke(*arguments: str, **env: str) -> Result:
    """The same in this process, without what `main` adds."""
    return CliRunner().invoke(app, arguments, env=env, prog_name="dragoman")


def output(*arguments: str, **env: str) -> str:
    """Standard output of a command that succeeds and writes nothing else."""
    result = invoke(*arguments, **env)
    assert (result.exit_code, result.stderr) == (0, ""), result.exception
    return result.stdout


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Standard error of a command line that is refused with exit code 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    return err


def write(text: str) -> None:
    Path("dragoman.toml").write_text(text, "utf-8")


# The help and its document


def commands() -> Iterator[tuple[str, ...]]:
    """The path of each command and group."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, (*path, name))

    yield from walk(typer.main.get_command(app), ())


def help_of(path: tuple[str, ...]) -> str:
    """The help text, 100 characters wide, as a block of the document."""
    result = CliRunner().invoke(app, [*path, "--help"], prog_name="dragoman", terminal_width=100, color=False)
    assert result.exit_code == 0
    return f"```text\n{result.stdout.strip()}\n```\n"


def test_the_document_holds_the_help_of_each_command() -> None:
    """If this fails: python tests/test_cli.py --write"""
    blocks = dict(HELP.findall(DOCUMENT.read_text("utf-8")))
    assert blocks == {" ".join(("dragoman", *path)): help_of(path) for path in commands()}


@pytest.mark.parametrize("path", [*commands()], ids=" ".join)
def test_help_is_whole_sentences_and_plain(path: tuple[str, ...]) -> None:
    text = output(*path, "--help", FORCE_COLOR="1")
    assert text == output(*path, "-h")
    assert "\x1b" not in text
    assert text.isascii()
    command: Any = typer.main.get_command(app)
    for name in path:
        command = command.commands[name]
    for said in [command.help, *(parameter.help for parameter in command.params if parameter.name != "help")]:
        assert said, path
        assert said[0].isupper(), said
        assert said.endswith("."), said


def test_without_a_command_the_help_is_shown() -> None:
    for path in ((), ("keys",)):
        result = invoke(*path)
        assert result.exit_code == 2
        assert f"Usage: {' '.join(('dragoman', *path))} [OPTIONS] COMMAND" in result.output


@pytest.mark.parametrize("program", [(sys.executable, "-m", "dragoman"), (str(SCRIPT),)])
def test_the_version_is_told_by_module_and_script(program: tuple[str, ...]) -> None:
    result = run("--version", program=program)
    assert (result.stdout, result.stderr, result.returncode) == (f"dragoman {__version__}\n", "", 0)


def test_nothing_is_imported_before_it_is_needed() -> None:
    """Start-up speed is a feature."""
    for module, there in (("dragoman.cli", False), ("dragoman.cli.commands", True)):
        code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
        loaded = set(run("-c", code, program=(sys.executable,)).stdout.split())
        assert ("typer" in loaded) == there
        assert loaded.isdisjoint(
            "rich pydantic httpx2 uvloop httptools sqlalchemy msgspec jsonschema_rs PIL alembic anthropic".split()
        )


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["serve", "--nonsense"], ["keys", "revoke"], ["chat", "--max-tokens", "0", "Hi"]]
)
def test_a_wrong_command_line_is_told_without_a_box(arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: dragoman")
    assert result.stderr.isascii()


# serve


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The configurations that would have been served."""
    configurations: list[Any] = []
    monkeypatch.setattr("dragoman.server.run.serve", lambda config, env: configurations.append(config))
    monkeypatch.setattr("dragoman.server.greeting.set_up_logging", lambda: None)
    return configurations


def test_serve_reads_the_configuration_and_starts(served: list[Any]) -> None:
    Path("other.toml").write_text('[server]\nlisten = "127.0.0.1:1"\ndatabase = "sqlite:///a.db"\nbody_limit_mb = 1')
    options = ["--config", "other.toml", "--listen", "[::1]:9000", "--database", "sqlite:///b.db"]
    assert output("serve", *options) == ""
    (config,) = served
    assert (config.source, str(config.server.listen), config.server.database, config.server.body_limit_mb) == (
        "other.toml",
        "[::1]:9000",
        "sqlite:///b.db",
        1,
    )


def test_serve_leaves_to_the_environment_what_the_command_line_does_not_say(served: list[Any]) -> None:
    assert output("serve", DRAGOMAN_LISTEN="127.0.0.1:9", DRAGOMAN_DATABASE="sqlite:///c.db") == ""
    assert (str(served[0].server.listen), served[0].server.database) == ("127.0.0.1:9", "sqlite:///c.db")


VALUES = {
    "--config": "other.toml",
    "--listen": "[::1]:9000",
    "--database": "sqlite:///b.db",
    "--workers": "4",
    "--script": "a script",
}


@pytest.mark.parametrize("form", ["{0} {1}", "{0}={1}"])
def test_plain_options_of_serve_are_read_without_typer_and_as_typer_reads_them(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails for a new option of `serve`: it is missing in SERVE_OPTIONS."""
    command: Any = typer.main.get_command(app)
    parameters = [each for each in command.commands["serve"].params if each.name != "help"]
    assert [each.opts for each in parameters] == [[name] for name in VALUES]
    started: list[Any] = []
    for module in ("dragoman.cli.start_server", "dragoman.cli.commands.start_server"):
        monkeypatch.setattr(module, lambda config, **options: started.append((config, options)))
    for count in range(len(VALUES) + 1):
        given = [
            part
            for name, value in [*VALUES.items()][:count]
            for part in ([f"{name}={value}"] if "=" in form else [name, value])
        ]
        assert plain_serve(["serve", *given]) == dict([*VALUES.items()][:count])
        main(["serve", *given])
        output("serve", *given)
        by_us, by_typer = started[-2:]
        assert by_us == by_typer


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["models"],
        ["--version"],
        ["--help", "serve"],
        ["serve", "--help"],
        ["serve", "-h"],
        ["serve", "--listen"],
        ["serve", "--listen="],
        ["serve", "--listen", ""],
        ["serve", "--listen", "--database"],
        ["serve", "--listen", "1:1", "more"],
        ["serve", "--", "--listen", "1:1"],
        ["serve", "--nonsense", "x"],
        ["serve", "--lis", "1:1"],
    ],
    ids=" ".join,
)
def test_what_is_not_plain_is_left_to_typer(arguments: list[str]) -> None:
    assert plain_serve(arguments) is None


def test_a_server_loads_no_typer() -> None:
    """typer and pydantic would take 11 MB for as long as it runs."""
    code = (
        "import sys; from dragoman import cli; from dragoman.server import run\n"
        "run.serve = lambda *_: print(*{name.partition('.')[0] for name in sys.modules})\n"
        "cli.main(['serve', '--listen', '127.0.0.1:0'])"
    )
    loaded = run("-c", code, program=(sys.executable,)).stdout.split()
    assert "dragoman" in loaded
    assert {"typer", "rich", "pydantic"}.isdisjoint(loaded)


def test_an_interrupt_is_the_way_to_end_the_server(monkeypatch: pytest.MonkeyPatch, served: list[Any]) -> None:
    def interrupted(config: object, env: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dragoman.server.run.serve", interrupted)
    assert output("serve") == ""


# Errors


@pytest.mark.parametrize(
    "command", [["serve"], ["keys", "list"], ["keys", "create"], ["keys", "revoke", "x"], ["models"]]
)
def test_a_configuration_error_is_told_with_file_line_and_remedy(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write("[server]\nlisen = 1\n")
    told = 'error: dragoman.toml:2: server.lisen: there is no such setting here. Did you mean "listen"?\n'
    assert refusal(capsys, *command) == told


def test_a_program_is_told_by_exit_code_and_standard_error() -> None:
    result = run("keys", "list", "--json", "--config", "absent.toml")
    assert (result.stdout, result.returncode) == ("", 2)
    assert result.stderr.startswith("error: absent.toml: there is no such file.")
    assert "Traceback" not in result.stderr


def test_trouble_with_the_database_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    Path("dragoman.db").write_bytes(b"this is no database, and long enough to see it" * 100)
    told = refusal(capsys, "keys", "list")
    assert told.startswith("error: the database ")
    assert "not a SQLite database" in told


@pytest.mark.parametrize("error", [ConfigError("what is wrong"), StoreError("what is wrong")])
def test_errors_of_ours_end_in_one_message(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("dragoman.gateway.config.config.load", fail)
    assert refusal(capsys, "models") == "error: what is wrong\n"


def test_a_reader_that_has_seen_enough_ends_the_command_quietly() -> None:
    for command in ("models", "serve"):
        result = run("-c", f"{sys.executable} -m dragoman {command} | true", program=("sh",))
        assert (result.stdout, result.stderr) == ("", "")


# keys


def test_a_key_s_life_by_the_console_script(folder: Path) -> None:
    """The key alone on standard output; a secret never again."""
    made = run("keys", "create", "--name", "ci", program=(str(SCRIPT),))
    key = made.stdout.removesuffix("\n")
    assert made.returncode == 0
    assert re.fullmatch(r"sk-dgm-[\w-]{43}", key)
    (id_,) = ID.findall(made.stderr)
    assert '"ci"' in made.stderr

    listed = run("keys", "list", "--json", program=(str(SCRIPT),))
    assert key not in listed.stdout
    (row,) = json.loads(listed.stdout)
    assert (row["id"], row["name"], row["revoked_at"]) == (id_, "ci", None)
    assert row["hint"] == f"{key[:10]}...{key[-4:]}"

    revoked = run("keys", "revoke", row["hint"], program=(str(SCRIPT),))
    assert (revoked.returncode, revoked.stderr) == (0, "")
    assert revoked.stdout == f'Revoked {id_}, "ci" ({row["hint"]}).\n'
    assert sorted(path.name for path in folder.iterdir()) == ["dragoman.db", "dragoman.db.secret"]


def test_keys_as_json() -> None:
    made = json.loads(output("keys", "create", "--json", "--name", "Jürgen [red]"))
    assert list(made)[:8] == ["key", "id", "name", "hint", "created_at", "revoked_at", "workspace_id", "is_test"]
    assert not {"hash", "previous_hash"} & made.keys()
    assert made["name"] == "Jürgen [red]"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", made["created_at"])
    unnamed = json.loads(output("keys", "create", "--json"))
    assert unnamed["name"] == "unnamed"

    revoked = json.loads(output("keys", "revoke", made["id"], "--json"))
    assert revoked["revoked_at"] is not None
    again = json.loads(output("keys", "revoke", made["key"], "--json"))
    assert again == revoked
    first, second = json.loads(output("keys", "list", "--json"))
    assert second == revoked
    assert first == {name: value for name, value in unnamed.items() if name != "key"}


def test_a_terminal_that_lacks_a_letter_is_no_reason_to_fail_and_json_is_always_utf_8() -> None:
    made = run("keys", "create", "--name", "世界", "--json", PYTHONIOENCODING="cp437")
    assert json.loads(made.stdout)["name"] == "世界"
    table = run("keys", "list", PYTHONIOENCODING="latin-1")
    assert (table.returncode, table.stderr) == (0, "")
    assert " ?? " in table.stdout


def test_keys_as_a_table() -> None:
    made = json.loads(output("keys", "create", "--json", "--name", "Jürgen [red]"))
    live = json.loads(output("keys", "create", "--json"))
    output("keys", "revoke", made["id"])
    heading, _, second, first = output("keys", "list").splitlines()
    assert heading.split() == ["id", "hint", "name", "created", "state"]
    day = made["created_at"][:10]
    assert first.split() == [made["id"], made["hint"], "Jürgen", "[red]", day, "revoked", day]
    assert second.split() == [live["id"], live["hint"], "unnamed", day, "live"]


def test_a_test_key_is_told_apart_from_the_others() -> None:
    """`is_test` is what `dragoman-fault` asks for (docs/faults.md)."""
    made = json.loads(output("keys", "create", "--json", "--test", "--name", "chaos"))
    assert made["is_test"] is True
    assert json.loads(output("keys", "create", "--json"))["is_test"] is False
    _, _, plain, test = output("keys", "list").splitlines()
    assert plain.endswith(" live")
    assert test.endswith(" live, test")
    output("keys", "revoke", made["id"])
    assert output("keys", "list").splitlines()[-1].endswith(f" revoked {made['created_at'][:10]}, test")
    told = run("keys", "create", "--test")
    assert told.stderr.startswith("This is the test key apikey_")


def test_to_look_at_keys_makes_no_database(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(output("keys", "list", "--json")) == []
    assert output("keys", "list").startswith(f"No keys: the database {folder}/dragoman.db is not there yet.")
    assert refusal(capsys, "keys", "revoke", "x").startswith(f"error: the database {folder}/dragoman.db is not there.")
    assert list(folder.iterdir()) == []


def test_keys_are_made_where_the_options_say(folder: Path) -> None:
    write('[server]\ndatabase = "sqlite:///a.db"')
    made = json.loads(output("keys", "create", "--json", "--database", "sqlite:///b.db"))
    assert not (folder / "a.db").exists()
    assert json.loads(output("keys", "list", "--json", "--config", "dragoman.toml")) == []
    assert json.loads(output("keys", "list", "--json", DRAGOMAN_DATABASE="sqlite:///b.db"))[0]["id"] == made["id"]


def test_a_key_in_memory_would_be_lost(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["create"], ["list"], ["revoke", "x"]):
        assert "DRAGOMAN_API_KEY" in refusal(capsys, "keys", *command, "--database", "sqlite://")


def test_a_key_that_is_not_there_cannot_be_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    output("keys", "create", "--json")
    assert refusal(capsys, "keys", "revoke", "apikey_x", "--json").startswith(
        "error: no key has the id or hint apikey_x"
    )
    assert refusal(capsys, "keys", "create", "--name", "a\nb").startswith("error: a key's name takes")


# models


def listed(*arguments: str) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in json.loads(output("models", "--json", *arguments))}


def test_models_are_those_that_the_server_lists() -> None:
    rows = listed()
    assert rows["claude-opus-4-8"] == {
        "id": "claude-opus-4-8",
        "display_name": "Claude Opus 4.8",
        "lifecycle": "active",
        "retires_at": None,
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
        "aliases": [],
        "target": "offline/claude-opus-4-8",
    }
    assert rows["claude-haiku-4-5-20251001"]["aliases"] == ["claude-haiku-4-5"]
    assert "claude-3-opus-20240229" not in rows


def test_retired_models_are_listed_on_request_and_refused_if_the_configuration_says_so() -> None:
    assert listed("--all")["claude-3-opus-20240229"]["target"] == "offline/claude-3-opus-20240229"
    assert " 2026-01-05 (retired) " in output("models", "--all")
    write('retired = "refuse"')
    assert listed("--all")["claude-3-opus-20240229"]["target"] is None
    assert listed()["claude-opus-4-8"]["target"] == "offline/claude-opus-4-8"
    assert "nothing (404)" in output("models", "--all")


def test_configured_names_are_listed_with_what_answers_them() -> None:
    """An alias that the configuration gives away is no longer one of its old model."""
    write(
        """
        [providers.gpu-box]
        base_url = "https://10.0.0.5"
        [models.mine]
        targets = ["gpu-box/qwen3-32b"]
        [models.claude-haiku-4-5]
        targets = ["gpu-box/qwen3-4b"]
        """
    )
    rows = listed()
    assert (rows["mine"]["target"], rows["mine"]["max_tokens"]) == ("gpu-box/qwen3-32b", None)
    assert rows["claude-haiku-4-5"]["target"] == "gpu-box/qwen3-4b"
    assert rows["claude-haiku-4-5-20251001"]["aliases"] == []
    table = output("models")
    assert re.search(r"^mine +unknown +unknown +gpu-box/qwen3-32b$", table, re.MULTILINE)
    assert re.search(r"^claude-opus-4-8 +1,000,000 +128,000 +gpu-box$", table, re.MULTILINE)


def test_more_models_than_fit_a_page_are_all_listed() -> None:
    names = [f"model-{number}" for number in range(1200)]
    write(
        "".join(f'[models.{name}]\ntargets = ["offline/claude-opus-4-8"]\n' for name in names) + "[providers.offline]"
    )
    assert set(names) < set(listed())


def test_a_narrow_terminal_cuts_nothing_off() -> None:
    table = output("models", COLUMNS="40", FORCE_COLOR="1", NO_COLOR="1")
    assert "\x1b[3" not in table  # bold headings, but no colour
    lines = re.sub(r"\x1b\[[0-9;]*m", "", table).splitlines()
    assert max(map(len, lines)) <= 40
    assert "…" not in table
    assert "".join(line[:6].strip() for line in lines).count("claude-haiku-4-5-20251001") == 1


# chat (the rest is in test_chat.py)


def test_chat_is_wired_to_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("dragoman.chat.answer_once", lambda *given: seen.append(given) or 1)
    options = ["--base-url", "http://host/", "--model", "m", "--system", "s", "--max-tokens", "3"]
    assert invoke("chat", *options, "Hi").exit_code == 1
    ((conversation, server, prompt),) = seen
    assert (conversation.model, conversation.system, conversation.max_tokens) == ("m", "s", 3)
    assert (server.base_url, prompt) == ("http://host", "Hi")


def test_chat_with_a_wrong_address_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, "chat", "--base-url", "ftp://host", "Hi").startswith(
        'error: --base-url: "ftp://host" begins'
    )


# doctor


def examined(*arguments: str, code: int = 0, **env: str) -> dict[str, Any]:
    """Subject -> (status, text, remedy); and "answers"."""
    result = invoke("doctor", "--json", *arguments, **env)
    assert (result.exit_code, result.stderr) == (code, ""), result.exception
    report = json.loads(result.stdout)
    assert report["ok"] == (code == 0)
    assert report["ok"] == all(finding["status"] != "fail" for finding in report["findings"])
    found = {each["subject"]: (each["status"], each["text"], each["remedy"]) for each in report["findings"]}
    return {**found, "answers": {each["subject"]: each["says"] for each in report["answers"]}}


def test_a_fresh_directory_is_in_order_and_stays_fresh(folder: Path) -> None:
    found = examined()
    assert {value[0] for subject, value in found.items() if subject != "answers"} == {"ok"}
    assert set(found) == {"versions", "configuration", "address", "database", "secret", "keys", "answers"}
    assert f"dragoman {__version__}, Python 3." in found["versions"][1]
    assert found["answers"]["every model of the catalogue"] == "answered by offline"
    assert list(folder.iterdir()) == []


def test_the_report_for_people() -> None:
    text = output("doctor")
    assert re.search(r"^ok +database +\S+/dragoman.db is not there yet", text, re.MULTILINE)
    assert re.search(r"^provider offline +the built-in offline engine", text, re.MULTILINE)
    assert text.endswith("\nAll is well.\n")
    assert all(line == line.rstrip() for line in text.splitlines())


def test_all_mistakes_of_the_configuration_are_findings() -> None:
    write("[server]\nlisen = 1\nping_after_s = 0\n")
    result = invoke("doctor")
    assert (result.exit_code, result.stderr) == (1, "")
    assert (
        'configuration  dragoman.toml:2: server.lisen: there is no such setting here. Did you mean "listen"?'
        in result.stdout
    )
    assert "configuration  dragoman.toml:3: server.ping_after_s: " in result.stdout
    assert result.stdout.endswith("\n2 failed, 0 to look at.\n")
    assert examined(code=1)["answers"] == {}


def test_no_secret_is_shown() -> None:
    write('[providers.gpu-box]\nbase_url = "https://10.0.0.5"\napi_key = "${KEY}"')
    secrets = {"KEY": "sk-hidden-1", "DRAGOMAN_API_KEY": "sk-hidden-2", "DRAGOMAN_SECRET": "hidden-secret-0123456789"}
    assert "hidden" not in output("doctor", "--offline", **secrets)
    assert "hidden" not in output("doctor", "--offline", "--json", **secrets)


def test_a_variable_that_is_not_used_is_a_warning() -> None:
    env = {"ANTHROPIC_API_KEY": "sk-1", "ANTHROPIC_BASE_URL": "http://127.0.0.1:8000"}
    status, text, _ = examined(**env)["configuration"]
    assert status == "warn"
    assert text.startswith("ANTHROPIC_API_KEY is not used")


def test_an_address_that_cannot_be_had_fails() -> None:
    status, text, _ = examined("--listen", "192.0.2.1:8000", code=1)["address"]
    assert status == "fail"
    assert text.startswith("cannot listen on 192.0.2.1:8000")


def answering(answer: bytes) -> "tuple[int, Callable[[], None]]":
    """A port on which something answers every request, and how to end that."""
    from threading import Thread

    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                if not connection.recv(4096):
                    return
                connection.sendall(answer)

    thread = Thread(target=serve)
    thread.start()
    port = listener.getsockname()[1]

    def stop() -> None:
        socket.create_connection(("127.0.0.1", port)).close()
        thread.join()
        listener.close()

    return port, stop


HTTP = b"HTTP/1.1 %d OK\r\ncontent-length: %d\r\n%b\r\n%b"
OURS = b'{"service":"dragoman","version":"9.9"}'


@pytest.mark.parametrize(
    ("answer", "status", "shown"),
    [
        (HTTP % (200, len(OURS), b"", OURS), "warn", "dragoman 9.9 already listens on "),
        (HTTP % (404, 2, b"server: nginx\r\n", b"no"), "fail", "something (HTTP 404, nginx) already listens on "),
        (HTTP % (200, 2, b"", b"[]"), "fail", "something (HTTP 200, a server without a name) already listens on "),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "fail", "something that answers no HTTP already listens on "),
    ],
)
def test_what_already_listens_is_told(answer: bytes, status: str, shown: str) -> None:
    port, stop = answering(answer)
    try:
        found = examined("--listen", f"127.0.0.1:{port}", code=0 if status == "warn" else 1)["address"]
    finally:
        stop()
    assert (found[0], found[1]) == (status, f"{shown}127.0.0.1:{port}")
    assert "--listen" in found[2]


def test_a_free_address_is_ok() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert examined("--listen", f"127.0.0.1:{port}")["address"][:2] == ("ok", f"127.0.0.1:{port} is free")


def test_keys_are_counted() -> None:
    made = json.loads(output("keys", "create", "--json"))
    assert examined()["keys"][:2] == ("ok", "1 live, 0 revoked")
    output("keys", "revoke", made["id"])
    assert examined()["keys"][0] == "warn"
    preset = examined(DRAGOMAN_API_KEY="sk-preset-key")["keys"]
    assert preset[:2] == ("ok", "0 live, 1 revoked and the one in DRAGOMAN_API_KEY")


def test_files_that_others_may_read_are_a_warning_with_the_remedy(folder: Path) -> None:
    output("keys", "create", "--json")
    for name in ("dragoman.db", "dragoman.db.secret"):
        (folder / name).chmod(0o644)
    found = examined()
    for subject, name in (("database", "dragoman.db"), ("secret", "dragoman.db.secret")):
        path = folder / name
        assert found[subject] == (
            "warn",
            f"{path} is open to other users of this machine (mode 644)",
            f"chmod 600 {path}",
        )


def test_a_database_without_its_secret_fails(folder: Path) -> None:
    output("keys", "create", "--json")
    (folder / "dragoman.db.secret").unlink()
    found = examined(code=1)
    assert found["secret"][0] == "fail"
    assert "keys" not in found
    assert not (folder / "dragoman.db.secret").exists()
    assert examined(DRAGOMAN_SECRET="0123456789abcdef")["secret"] == ("ok", "DRAGOMAN_SECRET", None)
    assert examined(DRAGOMAN_SECRET="short", code=1)["secret"][0] == "fail"


def test_a_damaged_secret_fails(folder: Path) -> None:
    output("keys", "create", "--json")
    (folder / "dragoman.db.secret").write_text("")
    assert examined(code=1)["secret"][0] == "fail"


def test_a_damaged_database_fails(folder: Path) -> None:
    output("keys", "create", "--json")
    (folder / "dragoman.db").write_bytes(b"this is no database, and long enough to see it" * 100)
    assert examined(code=1)["keys"][0] == "fail"


@pytest.mark.parametrize("url", ["sqlite:///absent/a.db", "sqlite:///folder"])
def test_a_place_where_no_database_can_be_fails_with_the_remedy(url: str) -> None:
    Path("folder").mkdir()
    status, _, remedy = examined("--database", url, code=1)["database"]
    assert status == "fail"
    assert remedy


def test_a_database_in_memory_is_a_warning() -> None:
    found = examined("--database", "sqlite://")
    assert found["database"][0] == "warn"
    assert "keys" not in found


def test_providers_are_reached_without_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as gone:
        port, refused = listener.getsockname()[1], gone.getsockname()[1]
        gone.close()
        write(
            f'[providers.here]\nbase_url = "http://127.0.0.1:{port}"\n'
            f'[providers.gone]\nbase_url = "http://127.0.0.1:{refused}"\n[providers.offline]\n'
        )
        found = examined(code=1)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1) == b""  # closed, and nothing was sent
    assert found["provider here"] == ("ok", f"127.0.0.1:{port} takes connections", None)
    status, text, remedy = found["provider gone"]
    assert (status, text) == (
        "fail",
        f"http://127.0.0.1:{refused} cannot be reached: 127.0.0.1:{refused}: Connection refused",
    )
    assert "--offline" in remedy
    assert "provider offline" not in found
    assert "provider gone" not in examined("--offline")


def test_a_provider_whose_name_is_unknown_or_slow_to_look_up_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    asked, may_end = Event(), Event()

    def look_up(host: str, *_: object, **__: object) -> list[Any]:
        if host == "slow.test":
            asked.set()
            may_end.wait(30)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    monkeypatch.setattr("dragoman.doctor.PATIENCE_S", 0.05)
    write('[providers.slow]\nbase_url = "https://slow.test"\n[providers.unknown]\nbase_url = "http://unknown.test"')
    found = examined(code=1)
    may_end.set()
    assert asked.is_set()
    assert found["provider slow"][:2] == ("fail", "https://slow.test cannot be reached: no connection within 0.05 s")
    assert found["provider unknown"][1].endswith(" cannot be reached: unknown.test:80: the name cannot be resolved")


def test_a_provider_is_reached_through_the_proxy() -> None:
    write('[providers.far]\nbase_url = "https://far.test"')
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        port = proxy.getsockname()[1]
        found = examined(HTTPS_PROXY=f"http://user:hidden@127.0.0.1:{port}")
    assert found["provider far"] == ("ok", f"the proxy 127.0.0.1:{port} takes connections", None)


def test_a_provider_or_proxy_that_can_never_be_reached_is_a_finding_too() -> None:
    write('[providers.far]\nbase_url = "https://a..b"')
    assert examined(code=1)["provider far"][0] == "fail"
    assert examined(code=1, HTTPS_PROXY="http://[x")["provider far"][0] == "fail"


if __name__ == "__main__" and "--write" in sys.argv:
    DOCUMENT.write_text(
        HELP.sub(
            lambda found: f"<!-- help: {found[1]} -->\n{help_of(tuple(found[1].split()[1:]))}<!-- end of help -->\n",
            DOCUMENT.read_text("utf-8"),
        ),
        "utf-8",
    )
