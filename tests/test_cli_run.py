"""`dragoman run`: real programs in processes of their own, against a server that is started for each."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from claude_code import NEW, missing, program
from running import Running

from dragoman.cli import main, plain_run
from dragoman.cli.commands import app
from dragoman.cli.run import ELSEWHERE, MODELS, program_environment

PATIENCE_S = 30
# What a program does with its environment: with the official package, or without its weight.
SDK = """
import anthropic
def ask(text):
    turns = [{"role": "user", "content": text}]
    with anthropic.Anthropic(max_retries=0) as client:
        return client.messages.create(model="claude-opus-4-8", max_tokens=100, messages=turns).content[0].text
"""
ASK = """
import json, os, urllib.request
def ask(text, key=os.environ["ANTHROPIC_API_KEY"], model="claude-opus-4-8"):
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}]}
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as reply:
        return json.load(reply)["content"][0]["text"]
"""
VARIABLES = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that commands are run in: empty, and nothing in the environment that they read."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("ANTHROPIC_", "CLAUDE", "DRAGOMAN_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return tmp_path


def line(*options: str, command: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "dragoman", "run", *options, "--", *command]


def run(*options: str, code: str = "", command: tuple[str, ...] = (), stdin: str = "", **env: str) -> Any:
    """A program under `dragoman run`: `code` is Python."""
    return subprocess.run(
        line(*options, command=command or (sys.executable, "-c", code)),
        env={**os.environ, **env},
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
    )


def seen(*options: str, **env: str) -> dict[str, str]:
    """The environment that a program sees."""
    result = run(*options, code=VARIABLES, **env)
    assert (result.returncode, result.stderr) == (0, "")
    return dict(json.loads(result.stdout))


class Started:
    """A program under `dragoman run` that goes on: `says` waits for a line of it."""

    def __init__(self, code: str, **options: Any) -> None:
        self.process = subprocess.Popen(
            line(command=(sys.executable, "-uc", f"import signal; signal.alarm({PATIENCE_S})\n{code}")),
            stdout=subprocess.PIPE,
            encoding="utf-8",
            **options,
        )

    def says(self) -> str:
        assert self.process.stdout is not None
        return str(self.process.stdout.readline()).removesuffix("\n")

    def end(self) -> int:
        with self.process:
            return self.process.wait(PATIENCE_S)


# What the program gets


def test_a_program_asks_a_server_of_its_own_and_leaves_nothing(folder: Path) -> None:
    """Its output and its exit code are all that there is."""
    code = f"{SDK}\nimport sys; print(ask('ahoy')); print('to the side', file=sys.stderr); sys.exit(7)"
    result = run(code=code)
    assert result.stdout.endswith("You said: ahoy\n")
    assert (result.stderr, result.returncode) == ("to the side\n", 7)
    assert [*folder.iterdir()] == []


def test_standard_input_is_the_programs() -> None:
    result = run(command=("cat",), stdin="one\ntwo\n")
    assert (result.stdout, result.returncode) == ("one\ntwo\n", 0)


def test_arguments_reach_the_program_as_they_are() -> None:
    command = ("sh", "-c", 'printf "%s|" "$@"', "-", "--model", "x y", "--", "--help", "")
    assert run(command=command).stdout == "--model|x y|--|--help||"
    bare = subprocess.run(
        [sys.executable, "-m", "dragoman", "run", *command], capture_output=True, encoding="utf-8", timeout=PATIENCE_S
    )
    assert bare.stdout == "--model|x y|--|--help||"  # without -- in front of it, too


def test_the_server_ends_with_the_program() -> None:
    address = seen()["ANTHROPIC_BASE_URL"]
    host, port = address.removeprefix("http://").split(":")
    assert host == "127.0.0.1"
    with socket.socket() as sock:
        assert sock.connect_ex((host, int(port))) != 0


SERVERS = {
    "DRAGOMAN_SECRET": "canary-2-of-sixteen-and-more",
    "DRAGOMAN_API_KEY": "sk-dgm-canary-5",
    "DRAGOMAN_WORKERS": "1",
}


def test_a_program_sees_nothing_of_the_servers(folder: Path) -> None:
    """Pain 79: it may be one that runs what a model says. Neither with a server of its own nor with another's."""
    given = SERVERS | {"DRAGOMAN_DATABASE": f"sqlite:///{folder}/canary-1.db"}
    for options in ((), ("--url", "http://127.0.0.1:9", "--key", "sk-dgm-shown")):
        found = seen(*options, **given)
        assert not [name for name in found if name.startswith("DRAGOMAN_")]
        assert "canary" not in str(found)


@pytest.mark.parametrize("name", ["MASTER_KEY", "MASTER_KEY_PREVIOUS", "COUNTERS", "CONFIG", "SECRET_FILE", "LATER"])
def test_a_program_sees_no_variable_that_bears_our_name(name: str) -> None:
    env = {f"DRAGOMAN_{name}": "canary", "PATH": "/bin"}
    found = program_environment(env, "program", url="http://x", key="k", model=None)
    assert found == {"PATH": "/bin", "ANTHROPIC_BASE_URL": "http://x", "ANTHROPIC_API_KEY": "k"}


def test_the_key_is_of_this_run_alone_and_nowhere_else(folder: Path) -> None:
    """Neither on the disk, though the database is, nor in a command line, nor in the log."""
    code = (
        f"{ASK}\nimport os, pathlib; ask('hi'); print(os.environ['ANTHROPIC_API_KEY'])\n"
        "lines = [*pathlib.Path('/proc').glob('[0-9]*/cmdline')]\n"
        "key = os.environ['ANTHROPIC_API_KEY'].encode()\n"
        "def has(path):\n"
        "    try: return key in path.read_bytes()\n"
        "    except OSError: return False\n"
        "print(any(map(has, lines)), len(lines) > 1)"
    )
    options = ("--database", "sqlite:///kept.db", "--log", "server.log")
    first, second = (run(*options, code=code).stdout.split() for _ in range(2))
    assert first[0] != second[0]
    assert re.fullmatch(r"sk-dgm-[\w-]{43}", first[0])
    assert first[1:] == ["False", str(Path("/proc/self").exists())]
    names = {path.name for path in folder.iterdir()}
    assert names >= {"kept.db", "kept.db.secret", "server.log"}
    for path in folder.rglob("*"):
        assert path.is_dir() or first[0].encode() not in path.read_bytes(), path
    listed = subprocess.run(
        [sys.executable, "-m", "dragoman", "keys", "list", "--json", "--database", "sqlite:///kept.db"],
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert json.loads(listed.stdout) == []


def test_the_log_goes_to_a_file_or_nowhere() -> None:
    """Not even what only a fault would write goes into the program's terminal."""
    code = f"{ASK}\nask('hi')\ntry: ask('hi', key='sk-dgm-' + 'x' * 43)\nexcept urllib.error.HTTPError: pass"
    silent = run(code=code)
    assert (silent.stdout, silent.stderr) == ("", "")
    for times in (1, 2):
        assert run("--log", "server.log", code=code).stderr == ""
        log = Path("server.log").read_text()
        assert log.count("outcome=answered") == log.count("outcome=refused") == times  # appended


def test_the_environments_key_is_the_servers_and_not_the_programs(tmp_path: Path) -> None:
    with Running(tmp_path / "upstream", key="sk-of-the-provider") as upstream:
        table = f'[providers.anthropic]\nbase_url = "{upstream.url}"\napi_key = "${{ANTHROPIC_API_KEY}}"\n'
        Path("dragoman.toml").write_text(table)
        code = f"{ASK}\nprint(ask('ahoy'), os.environ['ANTHROPIC_API_KEY'])"
        result = run(code=code, ANTHROPIC_API_KEY=upstream.key)
        assert "You said: ahoy" in result.stdout, result.stderr
        assert upstream.key not in result.stdout
        assert upstream.log().count("outcome=answered") == 1


def test_a_script_and_a_configuration_are_for_the_server_as_those_of_serve_are() -> None:
    Path("replies.toml").write_text('[[rule]]\nreply = "As it was written."\n')
    Path("other.toml").write_text(
        '[server]\nlisten = "127.0.0.1:1"\n[models.mine]\ntargets = ["offline/claude-opus-4-8"]'
    )
    code = f"{ASK}\nprint(ask('hi', model='mine'))"
    result = run("--config", "other.toml", "--script", "replies.toml", code=code)
    assert (result.stdout, result.stderr) == ("As it was written.\n", "")


def test_a_proxy_is_not_asked_for_this_machine() -> None:
    gone = "http://127.0.0.1:9"
    result = run(code=f"{SDK}\nprint(ask('ahoy'))", HTTP_PROXY=gone, HTTPS_PROXY=gone, ALL_PROXY=gone)
    assert "You said: ahoy" in result.stdout, result.stderr


# What cannot be started


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        (("no-such-command",), 127, "error: no-such-command: there is no such command\n"),
        (("/",), 126, "error: / cannot be started: Permission denied\n"),
    ],
)
def test_a_command_that_is_none_is_told(command: tuple[str, ...], code: int, told: str) -> None:
    for options in ((), ("--url", "http://127.0.0.1:9", "--key", "sk-dgm-some-key")):
        result = run(*options, command=command)
        assert (result.stdout, result.stderr, result.returncode) == ("", told, code)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--config", "absent.toml"], "absent.toml: there is no such file."),
        (["--script", "absent.toml"], "absent.toml"),
        (["--database", "sqlite:///absent/x.db"], "absent/x.db.secret"),
        (["--log", "absent/log"], "--log: absent/log cannot be written: No such file or directory"),
        (["--key", "x"], "--key is the key of a server that runs already: name that with --url"),
        (["--url", "http://x", "--log", "y"], "--log is for a server that is started; with --url none is"),
        (["--url", "http://x", "--config", "y"], "--config is for a server that is started; with --url none is"),
        (["--url", "http://x"], "--url needs a key of that server: set DRAGOMAN_API_KEY, or give --key"),
        (["--url", "nowhere", "--key", "sk-dgm-some-key"], '--url: "nowhere"'),
        (["--url", "http://x/v1/messages", "--key", "sk-dgm-some-key"], "/v1/messages"),
        (["--url", "http://x", "--key", "two words"], "the key for --url"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_stands_in_the_way_is_told_and_no_program_started(options: list[str], told: str) -> None:
    result = run(*options, code="print('started')")
    assert (result.stdout, result.returncode) == ("", 2)
    assert result.stderr.startswith("error: ")
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_an_interrupt_before_the_program_is_there_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dragoman.server.run.serve_while", interrupted)
    with pytest.raises(SystemExit) as stop:
        main(["run", "--", "true"])
    assert stop.value.code == 130


# How it ends, and signals


@pytest.mark.parametrize("code", [0, 1, 130, 255])
def test_the_exit_code_is_the_programs(code: int) -> None:
    assert run(command=("sh", "-c", f"exit {code}")).returncode == code


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGINT"])
def test_a_signal_that_ends_the_program_is_an_exit_code_as_in_a_shell(name: str) -> None:
    result = run(command=("sh", "-c", f"kill -{name.removeprefix('SIG')} $$"))
    assert (result.returncode, result.stderr) == (128 + signal.Signals[name], "")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"])
def test_a_signal_is_handed_on_and_the_server_stays(name: str) -> None:
    """To us alone, as `kill` sends it: the program decides what it means, and is still answered."""
    code = f"""{ASK}
import signal, time
caught = []
signal.signal(signal.{name}, lambda *_: caught.append(print("caught")))
print("ready")
while not caught:
    time.sleep(0.005)
print(ask("ahoy").partition(": ")[2].splitlines()[-1])
raise SystemExit(5)
"""
    started = Started(code, start_new_session=True)
    assert started.says() == "ready"
    started.process.send_signal(signal.Signals[name])
    assert started.says() == "caught"
    assert "ahoy" in started.says()
    assert started.end() == 5


def test_a_signal_that_is_ignored_stays_ignored_by_the_program() -> None:
    """As `nohup` has it."""
    code = "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "-", *line(command=(sys.executable, "-c", code))]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE_S)
    assert done.stdout == "True\n"


def test_a_program_that_stops_itself_stops_us_and_goes_on_with_us() -> None:
    """Ctrl-Z in a program that reads keys: the shell waits for us, not for it."""
    code = f"{ASK}\nimport os, signal; print('ready'); os.kill(os.getpid(), signal.SIGSTOP); print(ask('ahoy')[-4:])"
    started = Started(code, start_new_session=True)
    assert started.says() == "ready"
    _, status = os.waitpid(started.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    started.process.send_signal(signal.SIGCONT)
    assert started.says() == "ahoy"
    assert started.end() == 0


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """Our end of a terminal, and the name of the other."""
    ours, theirs = os.openpty()
    yield ours, os.ttyname(theirs)
    os.close(theirs)
    os.close(ours)


def read_until(terminal: int, word: bytes) -> bytes:
    found = b""
    deadline = time.monotonic() + PATIENCE_S
    while word not in found:
        assert time.monotonic() < deadline, found
        found += os.read(terminal, 4096)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="opens a terminal as Linux does")
def test_an_interrupt_from_the_keyboard_reaches_the_program_once(terminal: tuple[int, str]) -> None:
    """In a terminal it is said what answers, before the program has it to itself."""
    code = f"""{ASK}
import signal, sys, time
count = 0
def note(*_):
    global count
    count += 1
signal.signal(signal.SIGINT, note)
print("ready", sys.stdin.isatty(), sys.stdout.isatty())
while not count:
    time.sleep(0.005)
print(ask("ahoy")[-4:], "count", count, "end")
raise SystemExit(9)
"""
    ours, name = terminal
    command = line(command=(sys.executable, "-uc", code))
    # The first terminal that the leader of a session opens is the one that controls it.
    process = subprocess.Popen(["sh", "-c", f'exec "$@" <{name} >{name} 2>&1', "-", *command], start_new_session=True)
    assert b"the built-in offline engine" in read_until(ours, b"ready True True")
    os.write(ours, b"\x03")
    assert b"ahoy count 1 end" in read_until(ours, b"end")
    assert process.wait(PATIENCE_S) == 9


# The environment


def test_what_would_lead_elsewhere_is_taken_out() -> None:
    given = dict.fromkeys(ELSEWHERE, "elsewhere") | {"OPENAI_API_KEY": "k", "ANTHROPIC_LOG": "debug", "PATH": "/bin"}
    kept = {"OPENAI_API_KEY": "k", "ANTHROPIC_LOG": "debug", "PATH": "/bin"}
    ours = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1", "ANTHROPIC_API_KEY": "sk-dgm-1"}
    assert program_environment(given, "aider", url="http://127.0.0.1:1", key="sk-dgm-1", model=None) == kept | ours
    for name in ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "ANTHROPIC_BEDROCK_BASE_URL"):
        assert name in ELSEWHERE


@pytest.mark.parametrize("name", ["claude", "/usr/local/bin/claude", "claude.exe"])
def test_claude_code_gets_a_token_for_it_asks_about_keys(name: str) -> None:
    url = "https://models.example"
    given = {"ANTHROPIC_API_KEY": "sk-other", "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "0"}
    assert program_environment(given, name, url=url, key="sk-dgm-1", model=None) == {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": "sk-dgm-1",
        "CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST": "1",
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "0",  # a person's own choice
    }


def test_a_model_is_the_one_for_small_tasks_too() -> None:
    found = seen("--model", "gpu-box/qwen3-32b", ANTHROPIC_MODEL="other", ANTHROPIC_DEFAULT_HAIKU_MODEL="other")
    assert {found[name] for name in MODELS} == {"gpu-box/qwen3-32b"}
    assert {"ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "ANTHROPIC_DEFAULT_SONNET_MODEL"} <= {*MODELS}
    kept = seen(ANTHROPIC_MODEL="other")
    assert kept["ANTHROPIC_MODEL"] == "other"
    assert "ANTHROPIC_SMALL_FAST_MODEL" not in kept


@pytest.mark.parametrize(
    ("url", "env", "direct"),
    [
        ("http://127.0.0.1:1", {"HTTP_PROXY": "http://p", "NO_PROXY": "a.test"}, "a.test,127.0.0.1,localhost,::1"),
        ("http://localhost:1", {"https_proxy": "http://p"}, "127.0.0.1,localhost,::1"),
        ("https://models.example", {"HTTP_PROXY": "http://p"}, None),
        ("http://127.0.0.1:1", {}, None),
    ],
)
def test_proxies_are_for_other_machines(url: str, env: dict[str, str], direct: str | None) -> None:
    found = program_environment(env, "x", url=url, key="k", model=None)
    assert (found.get("NO_PROXY"), found.get("no_proxy")) == (direct, direct)


# A server that runs already


def test_with_a_url_nothing_is_started(tmp_path: Path) -> None:
    with Running(tmp_path / "server") as server:
        result = run("--url", server.url, "--key", server.key, code=f"{ASK}\nprint(ask('ahoy'))\nraise SystemExit(3)")
        assert result.stdout.endswith("You said: ahoy\n")
        assert result.returncode == 3
        found = seen("--url", f"{server.url}/", DRAGOMAN_API_KEY=server.key)
        assert (found["ANTHROPIC_BASE_URL"], found["ANTHROPIC_API_KEY"]) == (server.url, server.key)
        assert server.log().count("outcome=answered") == 1


def test_with_a_url_signals_are_handed_on_too() -> None:
    code = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(6)); print('ready'); signal.pause()"
    command = line("--url", "http://127.0.0.1:9", "--key", "sk-dgm-some-key", command=(sys.executable, "-uc", code))
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.wait(PATIENCE_S) == 6


# Claude Code


@pytest.mark.parametrize("is_led_elsewhere", [False, True])
def test_claude_code_runs(tmp_path: Path, is_led_elsewhere: bool) -> None:
    """Whatever its environment and the settings of its user say of addresses and keys."""
    if why := missing(NEW):
        pytest.skip(why)
    home, env = tmp_path / "home", {"PATH": os.environ["PATH"], "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    (home / ".claude").mkdir(parents=True)
    if is_led_elsewhere:
        elsewhere = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "ANTHROPIC_API_KEY": "sk-other"}
        env |= elsewhere | {"CLAUDE_CODE_USE_BEDROCK": "1"}
        (home / ".claude/settings.json").write_text(json.dumps({"env": elsewhere}))
    link = tmp_path / "claude"
    link.symlink_to(program(NEW))
    done = subprocess.run(
        line("--log", "server.log", command=(str(link), "-p", "ahoy there", "--output-format", "json")),
        env=env | {"HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    assert "ahoy there" in json.loads(done.stdout)["result"]
    assert "outcome=answered" in Path("server.log").read_text()


# The command line is read twice


VALUES = {
    "--config": "other.toml",
    "--database": "sqlite:///b.db",
    "--script": "a script",
    "--model": "gpu-box/qwen3",
    "--log": "server.log",
    "--url": "http://127.0.0.1:1",
    "--key": "sk-dgm-1",
}
COMMANDS = [
    ["true"],
    ["claude", "--model", "x", "--config=y"],
    ["npm", "run", "x", "--", "-f"],
    ["sh", "-c", "a b", ""],
]


@pytest.mark.parametrize("form", ["{0} {1}", "{0}={1}"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_plain_options_of_run_are_read_without_typer_and_as_typer_reads_them(
    form: str, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails for a new option of `run`: it is missing in RUN_OPTIONS."""
    typed: Any = typer.main.get_command(app)
    parameters = [each for each in typed.commands["run"].params if each.name not in ("help", "command")]
    assert [each.opts for each in parameters] == [[name] for name in VALUES]
    started: list[Any] = []

    def note(*arguments: Any, **options: Any) -> int:
        started.append((arguments, options))
        return 0

    for module in ("dragoman.cli.run_program", "dragoman.cli.commands.run_program"):
        monkeypatch.setattr(module, note)
    for count in range(len(VALUES) + 1):
        options = [
            part
            for name, value in [*VALUES.items()][:count]
            for part in ([f"{name}={value}"] if "=" in form else [name, value])
        ]
        assert plain_run(["run", *options, "--", *command]) == (dict([*VALUES.items()][:count]), command)
        for arguments in (["run", *options, "--", *command], ["run", *options, *command]):
            with pytest.raises(SystemExit):
                main(arguments)
        by_us, by_typer = started[-2:]
        assert by_us == by_typer


@pytest.mark.parametrize(
    "arguments",
    [[], ["run"], ["run", "--"], ["run", "true"], ["run", "--help"], ["run", "--nonsense", "x", "--", "true"],
     ["run", "--model", "--", "true"], ["run", "--model=", "--", "true"], ["serve", "--", "true"],
     ["run", "true", "--", "x"]],
    ids=" ".join,
)  # fmt: skip
def test_what_is_not_plain_is_left_to_typer(arguments: list[str]) -> None:
    assert plain_run(arguments) is None


def test_a_server_for_a_program_loads_no_typer() -> None:
    code = (
        "import sys; from dragoman import cli; from dragoman.server import run\n"
        "run.serve_while = lambda *_, **__: print(*{name.partition('.')[0] for name in sys.modules}) or 0\n"
        "cli.main(['run', '--', 'true'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=PATIENCE_S)
    assert "dragoman" in done.stdout.split()
    assert {"typer", "rich", "pydantic"}.isdisjoint(done.stdout.split())
