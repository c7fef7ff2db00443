"""docs/offline.md is true: its files are written to a folder as the page says, and run as a reader would run them."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import pytest

PAGE = Path(__file__).parent.parent / "docs/offline.md"
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
NAME = re.compile(r"# ([a-z_]+\.(?:py|toml))\n")
TEST = re.compile(r"^def (test_\w+)\(", re.MULTILINE)
TIME_LIMIT_S = 60.0  # the machine may be busy; it takes some ten seconds


def files() -> dict[str, str]:
    """The files of the page by their names; blocks of one name, one below the other."""
    found: defaultdict[str, str] = defaultdict(str)
    for _, text in BLOCKS:
        if named := NAME.match(text):
            found[named[1]] += ("\n\n" if found[named[1]] else "") + text
    return dict(found)


FILES = files()
TESTS = [(name, test) for name, text in FILES.items() for test in TEST.findall(text)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def reader(**variables: str) -> dict[str, str]:
    """The environment of a reader, who has dragoman installed, and a key that must not be used."""
    kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "TMPDIR")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, **variables}


def run(command: list[str], folder: Path, **variables: str) -> tuple[int, str]:
    """The exit status of a reader's command, and what it printed. Nothing that it started is left behind."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=reader(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=TIME_LIMIT_S)
    finally:
        with suppress(ProcessLookupError):  # as it should be
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return process.returncode, printed


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[tuple[str, str], str]:
    """What pytest said of each test of the page: "" where it passed."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    _, printed = run(
        [*command, f"--junitxml={report}", f"--rootdir={folder}", str(folder)],
        folder,
        ANTHROPIC_API_KEY="sk-ant-of-the-reader",
        HTTPS_PROXY="http://127.0.0.1:9",  # nobody: should the key be used all the same, nothing leaves this machine
    )
    assert report.exists(), printed
    found: dict[tuple[str, str], str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        key = (f"{case.get('classname')}.py", str(case.get("name")).partition("[")[0])
        found[key] = found.get(key, "") + "".join(child.text or child.tag for child in case)
    return found


def test_every_block_is_run_or_compared() -> None:
    """A file that pytest runs or another file uses; the shell's block; and what `hello.py` prints."""
    unnamed = [kind for kind, text in BLOCKS if not NAME.match(text)]
    assert unnamed == ["sh", "text"]
    everything = "\n".join(text for _, text in BLOCKS)
    helpers = [name for name, text in FILES.items() if not TEST.search(text) and name != "conftest.py"]
    assert helpers
    for name in helpers:
        used = (
            rf"import {name.removesuffix('.py')}\b|from {name.removesuffix('.py')} import|[ \"]{re.escape(name)}[ \"\n]"
        )
        assert len(re.findall(used, everything)) > everything.count(f"# {name}\n"), name


@pytest.mark.parametrize(("file", "name"), TESTS, ids=[f"{file}::{name}" for file, name in TESTS])
def test_an_example_passes(outcomes: dict[tuple[str, str], str], file: str, name: str) -> None:
    told = outcomes[file, name]
    assert not told, told


def test_the_shell_lines_run(folder: Path) -> None:
    """As they stand, but for the port: what they print is what the page shows, and they leave nothing behind."""
    if shutil.which("curl") is None and "CI" not in os.environ:
        pytest.skip("curl is not here to wait for the server")
    before = set(folder.iterdir())
    (lines,) = [text for kind, text in BLOCKS if kind == "sh"]
    (shown,) = [text for kind, text in BLOCKS if kind == "text"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = ["bash", "-e", "-c", lines.replace("8000", port)]
    status, printed = run(command, folder, DRAGOMAN_LISTEN=f"127.0.0.1:{port}")
    assert status == 0, printed
    assert shown in printed
    assert set(folder.iterdir()) == before
