"""A real PostgreSQL of this machine, for tests: started by the first one that asks, stopped at the end of the session.

It lies in a temporary folder, takes connections on 127.0.0.1 and a unix socket, and is never fsynced. Sorting and times
are those of somebody else's machine (ICU's English, from version 15 on; Tokyo), so that nothing leans on ours. Where
there is no PostgreSQL its tests are skipped, but on CI (CI=true) that is a failure.
"""

import asyncio
import getpass
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dragoman.store.sql import SQLStore

__all__ = ["Postgres", "find_programs", "postgres", "postgres_url"]

START_S = 60.0  # generous: the machine may be busy
USER, PASSWORD = "dragoman", "hunter2:@/%"  # with every letter that a URL has to escape
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "timezone": "Asia/Tokyo",
    "default_transaction_isolation": "serializable",  # which the store must not lean on
}
# Runs in place of PostgreSQL, which does not run as root: takes another user's rights, and asks to be stopped with us.
LAUNCHER = """
import ctypes, os, signal, sys
uid, gid, *command = sys.argv[1:]
if os.getuid() == 0:
    os.setgroups([]); os.setgid(int(gid)); os.setuid(int(uid))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG
os.execv(command[0], command)
"""


def find_programs() -> Path | None:
    """The folder of `initdb` and `postgres`: of PATH, else the newest of a Debian."""
    folders = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _number(path.parent.name), reverse=True)
    return next((each for each in (*folders, *debian) if _has_programs(each)), None)


def _number(text: str) -> int:
    """The first whole number in a text: a version."""
    found = re.search("[0-9]+", text)
    return int(found[0]) if found else 0


def _has_programs(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres"))


class Postgres:
    """One server. `start` after `stop` takes the same port, and finds the same databases."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="dragoman-pg-"))  # not pytest's: others may not look into that
        self._owner = _owner()
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._kept = ""  # the URL of a database with our tables, of which others are copied

    def __enter__(self) -> "Postgres":
        try:
            os.chown(self._folder, self._owner.pw_uid, self._owner.pw_gid)
            (self._folder / "password").write_text(PASSWORD)
            os.chown(self._folder / "password", self._owner.pw_uid, self._owner.pw_gid)
            self._init()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, name: str, *, by_socket: bool = False) -> str:
        """The URL of a database."""
        user = f"{USER}:{PASSWORD.replace('%', '%25').replace(':', '%3A').replace('@', '%40').replace('/', '%2F')}"
        if by_socket:
            return f"postgresql://{user}@/{name}?host={self._folder}&port={self.port}"
        return f"postgresql://{user}@127.0.0.1:{self.port}/{name}"

    def new_database(self, like: str = "template1") -> str:
        """The URL of a fresh database, empty or a copy of another, which nobody uses."""
        self._made += 1
        name = f"test_{self._made}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")
        return self.url(name)

    def new_store(self) -> str:
        """The URL of a fresh database with the tables of a store, which takes half as long as to make them."""
        if not self._kept:
            self._kept = self.new_database()
            asyncio.run(_open_once(self._kept))
        return self.new_database(self._kept.rpartition("/")[2])

    def drop(self, url: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def start(self) -> None:
        """Returns when it takes connections."""
        assert self._process is None
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        place = ["-D", str(self._folder / "data"), "-p", str(self.port), "-k", str(self._folder), "-h", "127.0.0.1"]
        with (self._folder / "log").open("ab") as log:
            command = self._launched("postgres", *place, *settings)
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise RuntimeError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text(errors='replace')}")

    def stop(self) -> None:
        """At once, as in a crash: connections break."""
        process, self._process = self._process, None
        if process is not None:
            self.thaw(process)
            process.send_signal(signal.SIGQUIT)
            process.wait(START_S)

    def freeze(self) -> None:
        """From now on it takes no more notice of anything, its connections stay."""
        assert self._process is not None
        for pid in (self._process.pid, *_children(self._process.pid)):
            os.kill(pid, signal.SIGSTOP)

    def thaw(self, process: "subprocess.Popen[bytes] | None" = None) -> None:
        process = process or self._process
        assert process is not None
        for pid in (process.pid, *_children(process.pid)):
            os.kill(pid, signal.SIGCONT)

    def _init(self) -> None:
        version = subprocess.run([self._programs / "postgres", "--version"], capture_output=True, text=True, check=True)
        icu = ("--locale-provider", "icu", "--icu-locale", "en-US") if _number(version.stdout) >= 15 else ()
        command = self._launched(
            "initdb",
            *("-D", str(self._folder / "data"), "-U", USER, "--pwfile", str(self._folder / "password")),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"),
            *("--locale", "C.UTF-8", *icu),
        )
        made = subprocess.run(command, capture_output=True, text=True, cwd=self._folder)
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stdout}\n{made.stderr}")

    def _launched(self, program: str, *arguments: str) -> list[str]:
        owner = self._owner
        command = [str(self._programs / program), *arguments]
        return [sys.executable, "-I", "-S", "-c", LAUNCHER, str(owner.pw_uid), str(owner.pw_gid), *command]


async def _open_once(url: str) -> None:
    store = SQLStore(url)
    await store.open()
    await store.close()


def _owner() -> pwd.struct_passwd:
    """Who runs it: us, or for root somebody else."""
    if os.getuid() != 0:
        return pwd.getpwnam(getpass.getuser())
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A test that stops it has to start it again."""
    programs = find_programs()
    if programs is None:
        why = "there is no PostgreSQL on this machine (looked for initdb and postgres)"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{why}: .ci/run installs it")
        pytest.skip(why)
    with Postgres(programs) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database on it; for a test that only uses `sql_store`, of one that has its tables."""
    url = postgres.new_store() if "sql_store" in request.fixturenames else postgres.new_database()
    yield url
    postgres.drop(url)
