"""A real Redis of this machine, for tests: started by the first one that asks, stopped at the end of the session.

It listens on 127.0.0.1 alone, wants a password, and keeps nothing on the disk. Where there is no redis-server its
tests are skipped, but on CI (CI=true) that is a failure.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["RedisServer", "redis_server", "redis_url"]

START_S = 60.0  # generous: the machine may be busy
PASSWORD = "hunter2:@/%"  # with every letter that a URL has to escape
ESCAPED = "hunter2%3A%40%2F%25"


class RedisServer:
    """One server. `start` after `stop` takes the same port, and it is empty then."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix="dragoman-redis-"))
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"redis://:{ESCAPED}@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when it answers."""
        assert self._process is None
        settings = {
            "port": self.port, "bind": "127.0.0.1", "requirepass": PASSWORD, "save": "", "appendonly": "no",
            "dir": self._folder, "maxclients": 500,
        }  # fmt: skip
        arguments = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *arguments], stdout=log, stderr=log, cwd=self._folder)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                assert self.command("PING") == b"+PONG\r\n"
            except OSError:
                time.sleep(0.01)
            else:
                return
        self.stop()
        raise RuntimeError(f"Redis did not start:\n{(self._folder / 'log').read_text(errors='replace')}")

    def stop(self) -> None:
        """At once, as in a crash: what it had is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(START_S)

    def freeze(self) -> None:
        """From now on it takes no more notice of anything, its connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        assert self.command("FLUSHALL") == b"+OK\r\n"

    def command(self, *words: str) -> bytes:
        """What it answers, as it stands on the wire; for short answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as wire:
            for each in (("AUTH", PASSWORD), words):
                parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in each)
                wire.sendall(f"*{len(each)}\r\n{parts}".encode())
                answer = wire.recv(65536)
            return answer


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A test that stops or freezes it has to start or thaw it again."""
    program = shutil.which("redis-server")
    if program is None:
        why = "there is no redis-server on this machine"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{why}: .ci/run installs it")
        pytest.skip(why)
    with RedisServer(program) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty one."""
    redis_server.empty()
    return redis_server.url
