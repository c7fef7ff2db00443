"""A real nginx in front of servers, with the configuration of deploy/nginx.conf.

    with Nginx(tmp_path, {"dragoman-a:8000": one.url, "dragoman-b:8000": other.url}) as balancer:
        ... balancer.url ...

Where there is no nginx its tests are skipped, but on CI (CI=true) that is a failure.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pytest

__all__ = ["CONFIG", "Nginx", "find_nginx"]

CONFIG = Path(__file__).parents[2] / "deploy" / "nginx.conf"
START_S = 15.0  # generous: the machine may be busy


def find_nginx() -> str:
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        why = "there is no nginx on this machine"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{why}: .ci/run installs it")
        pytest.skip(why)
    return program


class Nginx:
    """What is ours in the configuration stays as it is: only addresses and paths are replaced, each of which must be
    there."""

    def __init__(self, folder: Path, servers: Mapping[str, str]) -> None:
        self._program = find_nginx()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._file = folder / "nginx.conf"
        text = CONFIG.read_text()
        replaced = {"listen 8000;": f"listen 127.0.0.1:{self.port};", "/tmp/nginx.pid": f"{folder}/nginx.pid"}
        replaced |= {"/dev/stderr": f"{folder}/error.log", "worker_processes auto": "worker_processes 1"}
        replaced |= {f"server {name} ": f"server {url.removeprefix('http://')} " for name, url in servers.items()}
        for old, new in replaced.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        temporary = "".join(
            f"    {name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        if os.geteuid() == 0:  # its workers are to write in our folder
            text = f"user root;\n{text}"
        self._file.write_text(text.replace("http {\n", f"http {{\n{temporary}", 1))

    def check(self) -> str:
        """What `nginx -t` says. Raises CalledProcessError."""
        done = subprocess.run([*self._command, "-t"], capture_output=True, text=True, check=True, timeout=START_S)
        return done.stderr

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([*self._command, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.01)
        self.__exit__()
        raise RuntimeError(f"nginx did not start:\n{self.log()}")

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(START_S)

    def log(self) -> str:
        log = self._folder / "error.log"
        return log.read_text() if log.exists() else ""

    @property
    def _command(self) -> list[str]:
        return [self._program, "-p", str(self._folder), "-e", str(self._folder / "error.log"), "-c", str(self._file)]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
