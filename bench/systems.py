"""What is measured: dragoman as users run it, nginx as the limit, other gateways; each in front of the mock."""

import http.client
import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from .children import LOAD_CORE, SERVER_CORE, Child, cpu_s, family, memory_kb
from .peers import Peer, stop
from .tools import built, needed

__all__ = [
    "LIMITED_TOML",
    "MODEL",
    "PATHS",
    "ROUTED_TOML",
    "Server",
    "ask",
    "clean_environment",
    "direct",
    "dragoman",
    "mock",
    "mock_stats",
    "nginx",
    "peer",
]

KEY = "sk-dgm-bench-key"
MODEL = "claude-opus-4-8"
START_S = 60.0  # generous: the machine may be busy
ANTHROPIC = {"x-api-key": KEY, "anthropic-version": "2023-06-01", "content-type": "application/json"}
MESSAGES = "/v1/messages"


class Server(NamedTuple):
    """A running server: how it is asked, and what it costs."""

    name: str
    port: int
    pid: int
    started_s: float = 0.0  # from the start of the process to the first request answered
    idle_mb: float = 0.0  # RSS after that
    headers: dict[str, str] = ANTHROPIC
    path: str = MESSAGES
    model: str = MODEL
    supports: frozenset[str] = frozenset({"json", "sse", "paced"})
    is_peer: bool = False

    def cpu_s(self) -> float:
        return cpu_s(family(self.pid))

    def memory_mb(self, kind: str = "Rss") -> float:
        return memory_kb(family(self.pid), kind) / 1024

    def settle(self, within_s: float = 1.0) -> None:
        """Wait until it has stopped working on requests that a load has left behind."""
        deadline = time.monotonic() + within_s
        before = self.cpu_s()
        while time.monotonic() < deadline:
            time.sleep(0.03)
            now = self.cpu_s()
            if now - before < QUIET_S:
                return
            before = now


QUIET_S = 0.001  # of CPU within 30 ms


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def ask(
    port: int, path: str, *, headers: dict[str, str] | None = None, content: bytes | None = None
) -> tuple[int, bytes]:
    """One request on a connection of its own; (0, b"") if there is no answer. Never through a proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST" if content else "GET", path, body=content, headers=headers or {})
        reply = connection.getresponse()
        return reply.status, reply.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def wait_for_first_answer(
    server: Server, process: subprocess.Popen[bytes], log: Path, within_s: float = START_S
) -> None:
    """Ask until a whole Messages request is answered by 200."""
    question = {"model": server.model, "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}
    content = json.dumps(question).encode()
    deadline = time.monotonic() + within_s
    while ask(server.port, server.path, headers=server.headers, content=content)[0] != 200:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{server.name} did not start:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.002)


def at_work(server: Server, start: float) -> Server:
    """As it is after its first answer; its process began at `start`."""
    started_s = time.monotonic() - start
    server.settle()
    return server._replace(started_s=started_s, idle_mb=server.memory_mb())


@contextmanager
def mock() -> Iterator[Server]:
    with Child.started([built("mock"), "0"], core=LOAD_CORE, stdout=subprocess.PIPE) as child:
        assert child.process.stdout is not None
        port = int(child.process.stdout.readline().split()[1])
        yield Server("mock", port, child.pid)


def direct(upstream: Server) -> Server:
    """The mock without anything in front of it: what times are added to."""
    return upstream._replace(name="direct")


def mock_stats(upstream: Server, what: str = "stats") -> dict[str, int]:
    found: dict[str, int] = json.loads(ask(upstream.port, f"/_mock/{what}")[1])
    return found


# ---- nginx ----

NGINX_CONNECTIONS = 12_000  # two for each of 5,000 streams, and some that are just closing
NGINX_CONF = """\
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log crit;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 300s;
  keepalive_requests 100000000;
  client_max_body_size 64m;
  client_body_buffer_size 32m;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream mock {{
    server 127.0.0.1:{upstream};
    keepalive 512;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 600s;
    }}
  }}
}}
"""


@contextmanager
def nginx(upstream: Server, folder: Path) -> Iterator[Server]:
    """One worker, kept connections to the mock, nothing buffered on disk, no log."""
    place = folder / "nginx"
    place.mkdir()
    port = free_port()
    config = place / "nginx.conf"
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    config.write_text(NGINX_CONF.format(upstream=upstream.port, port=port, connections=min(files, NGINX_CONNECTIONS)))
    log = place / "log"
    command: list[str | Path] = [needed("nginx"), "-p", place, "-c", config, "-e", place / "error.log"]
    start = time.monotonic()
    with Child.started(command, core=SERVER_CORE, log=log) as child:
        server = Server("nginx", port, child.pid)
        wait_for_first_answer(server, child.process, log)
        yield at_work(server, start)


# ---- dragoman ----

FORWARDING_TOML = """\
[server]
listen = "127.0.0.1:{port}"
database = "sqlite:///{folder}/dragoman.db"

[providers.mock]
dialect = "{dialect}"
base_url = "http://127.0.0.1:{upstream}{path}"
api_key = "sk-ant-mock-key"
"""
# What stands behind the port in the base URL of each dialect that the mock speaks.
PATHS = {"messages": "", "openai_chat": "/v1", "gemini": "/v1beta"}
# High enough never to be met: what is measured is the counting.
LIMITED_TOML = """
[tiers.wide]
rpm = 1000000000
itpm = 1000000000
otpm = 1000000000
concurrent = 10000

[limits]
organization = "wide"

[limits.workspaces]
"*" = "wide"

[limits.keys]
"*" = "wide"
"""
# Two targets for the model that is asked: each request is planned, and how they are doing is kept.
ROUTED_TOML = f"""
[models."{MODEL}"]
targets = ["mock/{MODEL}", "mock/claude-opus-4-7"]
"""
OFFLINE_TOML = """\
[server]
listen = "127.0.0.1:{port}"
database = "sqlite:///{folder}/dragoman.db"

[providers.offline]
"""


@contextmanager
def dragoman(
    upstream: Server | None, folder: Path, *, name: str = "dragoman", more: str = "", dialect: str = "messages"
) -> Iterator[Server]:
    """`dragoman serve`, one provider, one key, everything on; its ledger goes to a file. Without upstream: offline.

    A second one of the same name and folder finds the database of the first.
    """
    place = folder / re.sub(r"\W+", "-", name)
    place.mkdir(exist_ok=True)
    port = free_port()
    config = place / "dragoman.toml"
    base = FORWARDING_TOML if upstream else OFFLINE_TOML
    behind = upstream.port if upstream else 0
    config.write_text(
        base.format(port=port, folder=place, upstream=behind, dialect=dialect, path=PATHS[dialect]) + more
    )
    log = place / "server.log"
    command: list[str | Path] = [Path(sys.executable).parent / "dragoman", "serve", "--config", config]
    start = time.monotonic()
    with Child.started(command, core=SERVER_CORE, log=log, env=clean_environment(), cwd=place) as child:
        server = Server(name, port, child.pid)
        wait_for_first_answer(server, child.process, log)
        yield at_work(server, start)


def clean_environment() -> dict[str, str]:
    """Nothing of the machine's that would switch on a provider or a proxy."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return kept | {"DRAGOMAN_API_KEY": KEY}


# ---- Peers ----


@contextmanager
def peer(one: Peer, upstream: Server, installed: Path) -> Iterator[Server]:
    """Another gateway, installed before. Raises PeerFailed or RuntimeError when it does not start."""
    port = free_port()
    start = time.monotonic()
    process = one.start(port, f"http://127.0.0.1:{upstream.port}", installed, ("taskset", "-c", str(SERVER_CORE)))
    try:
        server = Server(
            f"{one.name} {one.version(installed)}",
            port,
            process.pid,
            headers=dict(one.headers),
            path=one.path,
            model=one.upstreams["messages"],
            supports=one.supports,
            is_peer=True,
        )
        wait_for_first_answer(server, process, one.home(installed) / "log", one.ready_within)
        yield at_work(server, start)
    finally:
        stop(process)
