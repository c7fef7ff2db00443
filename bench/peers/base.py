"""What every peer gateway of `make bench-peers` offers: install, start, how to ask it; and what they share in doing so.

A peer is installed on demand into a scratch folder, never into this project's environment, and none is a dependency.
"""

import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

KEY = "sk-bench"  # the key that clients send, where the peer checks one
UPSTREAM_KEY = "sk-upstream"  # the key that the peer sends on; the mock takes any
MODEL = "claude-sonnet-4-5"  # one id for all peers, known to those that price requests
CHAT_MODEL = "gpt-4o"
INSTALL_LIMIT = 900.0  # seconds for one client command; LiteLLM takes about 50


class PeerFailed(Exception):
    """A peer cannot be installed or started here; the message says what is missing or what the installer said."""


class Peer(ABC):
    """One gateway: what it is called, how a client asks it, and how it comes to run.

    `folder` is everywhere the same scratch folder of the caller's; each peer keeps to `folder / name` inside it.
    """

    name: ClassVar[str]
    notes: ClassVar[str]
    """Conditions and quirks that belong under a table with this peer in it."""
    path: ClassVar[str] = "/v1/messages"
    ready_path: ClassVar[str]
    """A GET of it answers 200 as soon as requests can be served; nothing listens, or not 200, before."""
    ready_within: ClassVar[float]
    """Seconds from `start`; a peer not ready by then will not be. The first start compiles and is the slowest."""
    supports: ClassVar[frozenset[str]] = frozenset({"json", "sse", "paced"})
    upstreams: ClassVar[Mapping[str, str]]
    """Upstream format (`messages`, `chat_completions`) -> the `model` a request must name to be sent there."""
    headers: dict[str, str]
    """What a client must send. Read it after `start`: Portkey learns of its upstream by a header."""

    def __init__(self) -> None:
        self.headers = {"content-type": "application/json", "anthropic-version": "2023-06-01", "x-api-key": KEY}

    @abstractmethod
    def version(self, folder: Path) -> str:
        """The version found in `folder`, "" if the peer is not installed there."""

    @abstractmethod
    def install(self, folder: Path) -> None:
        """Install the pinned version into `folder`, unless it is there. Raises PeerFailed."""

    @abstractmethod
    def start(self, port: int, upstream_url: str, folder: Path, wrap: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start one worker on 127.0.0.1:`port`, in a process group of its own, and return at once.

        `upstream_url` is the base of the mock, "http://127.0.0.1:PORT". `wrap` comes before the command, as in
        ("taskset", "-c", "0"). What the peer prints goes to `folder / name / "log"`. End it with `stop`.
        Raises PeerFailed.
        """

    def home(self, folder: Path) -> Path:
        """This peer's own folder, also its HOME: nothing is read from or left in the user's."""
        home = folder.absolute() / self.name
        home.mkdir(parents=True, exist_ok=True)
        return home

    def launch(
        self, command: Sequence[str], folder: Path, env: Mapping[str, str], wrap: Sequence[str]
    ) -> subprocess.Popen[bytes]:
        """Run `command` with a bare environment: no proxy, key or log level of the user's changes what is measured."""
        if not self.version(folder):
            raise PeerFailed(f"{self.name} is not installed in {folder}")
        home = self.home(folder)
        base = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"}
        with (home / "log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603  our own command
                [*wrap, *command],
                cwd=home,
                env={**base, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def stop(process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """End a peer with its whole process group and reap it: asked first, after `patience` seconds made to."""
    signal_group(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    signal_group(process, signal.SIGKILL)  # whoever is left: the peer itself, or children that it left
    process.wait()


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """The group outlives its leader: as long as one member is there, no other group can have its id."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # all gone


def run_installer(command: Sequence[str], hint: str) -> None:
    """Run a package client with the user's own settings. Raises PeerFailed with the end of what it said."""
    try:
        done = subprocess.run(  # noqa: S603  our own command
            command, capture_output=True, text=True, timeout=INSTALL_LIMIT, check=False
        )
    except FileNotFoundError as absent:
        raise PeerFailed(f"{hint}: {command[0]} is not on this machine") from absent
    except subprocess.TimeoutExpired as late:
        raise PeerFailed(f"{hint}: {command[0]} took longer than {INSTALL_LIMIT:.0f} s") from late
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise PeerFailed(f"{hint}: {Path(command[0]).name} ended with {done.returncode}:\n{said}")


def is_installed(home: Path, want: str) -> bool:
    """Whether an install of exactly `want` got to its end in `home`."""
    mark = home / "installed"
    return mark.is_file() and mark.read_text() == want


def mark_installed(home: Path, want: str) -> None:
    (home / "installed").write_text(want)


def node(least: int) -> str:
    """The path of a Node.js of at least major version `least`. Raises PeerFailed."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        raise PeerFailed(f"needs node (version {least} or later) and npm on the PATH")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout  # noqa: S603
    if int(said.strip().lstrip("v").split(".")[0]) < least:
        raise PeerFailed(f"needs node {least} or later, {said.strip()} is on the PATH")
    return found
