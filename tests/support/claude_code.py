"""Claude Code, headless, as a process of its own with nothing of this machine but PATH, and what it said and asked."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from running import Running
from serving import ledger_rows
from tap import Exchange, Tap

__all__ = ["MODELS", "NEW", "OLD", "ClaudeCode", "Json", "Run", "missing", "program"]

FOLDER = Path(__file__).parent.parent / "e2e" / "claude-code"
OLD, NEW = "2.1.197", "2.1.329"
MODELS = {OLD: "claude-opus-4-8", NEW: "claude-opus-5-5"}  # that they ask for, told nothing
TIMEOUT_S = 30  # of one run, which takes one second

Json = dict[str, Any]


def missing(version: str) -> str | None:
    """Why it cannot be run here."""
    how = "run `npm ci` in tests/e2e/claude-code"
    if not program(version).is_file():
        return f"Claude Code {version} is not installed: {how}"
    try:
        done = subprocess.run([program(version), "--version"], capture_output=True, timeout=TIMEOUT_S, text=True)
    except OSError as error:
        return f"Claude Code {version} does not run here ({error}): {how}"
    return None if version in done.stdout else f"Claude Code {version} does not run here: {done.stdout}{done.stderr}"


def program(version: str) -> Path:
    return FOLDER / f"node_modules/claude-code-{version}/bin/claude.exe"  # so called on every system


class Run(NamedTuple):
    """One run: what it printed, one JSON object a line, what it asked, and what the server's ledger says of that."""

    told: list[Json]
    asked: list[Exchange]
    rows: list[dict[str, str]]

    @property
    def result(self) -> Json:
        """The last word. A run that is over in good order says so."""
        result = self.told[-1]
        assert (result["type"], result["subtype"], result["is_error"]) == ("result", "success", False), result
        return result

    @property
    def bodies(self) -> list[Json]:
        """Of the requests to the model that were answered."""
        posts = [each for each in self.asked if each.method == "POST" and each.status == 200]
        return [json.loads(each.body) for each in posts]

    @property
    def blocks(self) -> list[Json]:
        """What assistant and user said in turn, as the program shows it."""
        turns = [line["message"]["content"] for line in self.told if line["type"] in ("assistant", "user")]
        return [block for turn in turns for block in turn]

    def kinds(self, kind: str) -> list[Json]:
        return [block for block in self.blocks if block["type"] == kind]


class ClaudeCode:
    """One version on a machine of its own: an empty home, a working folder, and a network with one server in it."""

    def __init__(self, version: str, folder: Path, server: Running, tap: Tap, nowhere: str) -> None:
        self.version = version
        self.work = folder / "work"
        self.key = {"ANTHROPIC_API_KEY": server.key}
        self._server = server
        self._tap = tap
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "ANTHROPIC_BASE_URL": tap.url,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_AUTOUPDATER": "1",
        }
        # Whatever it may still ask of the world goes there. Behind a proxy it does not begin with HEAD / (CC-1).
        self._trap = {"HTTPS_PROXY": nowhere, "NO_PROXY": "127.0.0.1"}
        self.work.mkdir(parents=True)
        (folder / "home").mkdir()

    def ask(self, prompt: str, *options: str, env: dict[str, str] | None = None, is_trapped: bool = True) -> Run:
        """Run it once. It must end well; `env` takes the place of the key."""
        asked, logged = len(self._tap.exchanges), len(self._server.log())
        done = subprocess.run(
            [program(self.version), "-p", prompt, "--output-format", "stream-json", "--verbose", *options],
            env=self._env | (env or self.key) | (self._trap if is_trapped else {}),
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
        exchanges = self._tap.exchanges[asked:]
        rows = self._rows(logged, sum(each.method == "POST" for each in exchanges))
        assert {row["outcome"] + row["status"] for row in rows} <= {"answered200"}, rows
        return Run([json.loads(line) for line in done.stdout.splitlines()], exchanges, rows)

    def _rows(self, logged: int, count: int) -> list[dict[str, str]]:
        """The ledger's rows of the run: the last may be written a moment after the reply has ended."""
        deadline = time.monotonic() + 5
        while len(rows := ledger_rows(self._server.log()[logged:].rpartition("\n")[0])) < count:
            assert time.monotonic() < deadline, rows
            time.sleep(0.01)
        return rows
