"""deploy/nginx.conf, with a real nginx in front of two real servers on one PostgreSQL and one Redis."""

import asyncio
import random
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from nginx import Nginx
from rawhttp import HELLO, Wire, exchange, post, request
from running import Running
from steady_load import SteadyLoad

KEY = "sk-dgm-deployed-key"
PATIENCE_S = 60.0  # generous: the machine may be busy
DELAY_S = 7.0  # as in deploy/dragoman.toml
CONFIG = f"""
[server]
files_folder = "{{folder}}/files"
shutdown_delay_s = {DELAY_S}
shutdown_grace_s = 60.0
trusted_proxies = ["127.0.0.0/8"]
[providers.offline]
"""


def lasting_port() -> int:
    """A free one that the system gives to nobody by itself: of others, a connection may get it while nobody listens."""
    while True:
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", random.randrange(10_000, 32_000)))
            return int(sock.getsockname()[1])


def environment(postgres_url: str, redis_url: str) -> dict[str, str]:
    return {
        "DRAGOMAN_DATABASE": postgres_url,
        "DRAGOMAN_COUNTERS": redis_url,
        "DRAGOMAN_SECRET": "one secret for both of them",
        "DRAGOMAN_LISTEN": f"127.0.0.1:{lasting_port()}",  # it comes back at the same place
    }


class Deployed:
    """Two servers and the balancer in front of them."""

    def __init__(self, folder: Path, postgres_url: str, redis_url: str) -> None:
        config = CONFIG.format(folder=folder)
        self.servers = [
            Running(folder / name, config, key=KEY, env=environment(postgres_url, redis_url)) for name in ("a", "b")
        ]
        self._folder = folder

    def __enter__(self) -> "Deployed":
        for server in self.servers:
            server.__enter__()
        names = ("dragoman-a:8000", "dragoman-b:8000")
        urls = [server.url for server in self.servers]
        self.balancer = Nginx(self._folder, dict(zip(names, urls, strict=True))).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.balancer.__exit__()
        for server in self.servers:
            if server.process is not None and server.process.poll() is None:
                server.process.kill()  # its delay would take its time
            server.__exit__()

    def log(self) -> str:
        return "".join(server.log() for server in self.servers)


@pytest.fixture
def deployed(tmp_path: Path, postgres_url: str, redis_url: str) -> Iterator[Deployed]:
    with Deployed(tmp_path, postgres_url, redis_url) as both:
        yield both
    assert "Traceback" not in both.log()


def answered(server: Running) -> int:
    """Requests, since its last start."""
    return server.log().count("outcome=answered")


def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    servers = {"dragoman-a:8000": "http://127.0.0.1:1", "dragoman-b:8000": "http://127.0.0.1:2"}
    assert "test is successful" in Nginx(tmp_path, servers).check()


def test_a_rolling_restart_behind_the_balancer_fails_no_request(deployed: Deployed) -> None:
    """One server after the other is stopped and comes back, under a constant load of replies and streams: none fails.
    Both are in use before, and both again after."""

    async def run() -> SteadyLoad:
        async with SteadyLoad(deployed.balancer.url, KEY) as load:
            await load.wait_for(100)
            for server in deployed.servers:
                process = server.process
                assert process is not None
                process.send_signal(signal.SIGTERM)
                while process.poll() is None and not load.failed:
                    await load.wait_for(20)
                assert load.failed == [], deployed.balancer.log()
                await load.wait_for(20)  # with one of the two
                await asyncio.to_thread(server.__enter__)
                while answered(server) < 20 and not load.failed:  # the balancer has seen that it is back
                    await load.wait_for(10)
            await load.wait_for(50)
        return load

    load = asyncio.run(asyncio.wait_for(run(), 4 * PATIENCE_S))
    assert load.failed == []
    assert load.replies >= 200
    assert all(answered(server) >= 20 for server in deployed.servers)


def test_a_server_that_is_killed_costs_only_what_it_had(deployed: Deployed) -> None:
    """kill -9: what it was answering is lost, and is not asked a second time by the balancer; all else is answered."""

    async def run() -> SteadyLoad:
        async with SteadyLoad(deployed.balancer.url, KEY) as load:
            await load.wait_for(100)
            assert deployed.servers[0].process is not None
            deployed.servers[0].process.kill()
            await load.wait_for_each(2)  # nginx hears of it a moment later than we
            load.failed.clear()  # those that it had
            await load.wait_for(200)
        return load

    assert asyncio.run(run()).failed == []


def test_streams_are_not_held_back(tmp_path: Path, postgres_url: str, redis_url: str) -> None:
    """Each event leaves as it comes: the first is there long before the last."""

    async def run(url: str) -> list[float]:
        async with await Wire.connect(url) as wire:
            await wire.send(post({**HELLO, "stream": True, "max_tokens": 20}, key=KEY))
            status, headers = await wire.head()
            assert status == 200
            assert dict(headers)["content-type"].startswith("text/event-stream")
            times = []
            while (await wire.chunk())[0]:
                times.append(time.monotonic())
            return times

    both = Deployed(tmp_path, postgres_url, redis_url)
    for server in both.servers:
        config = tmp_path / ("a", "b")[both.servers.index(server)] / "dragoman.toml"
        config.write_text(config.read_text() + "tokens_per_second = 10\n")
    with both:
        times = asyncio.run(run(both.balancer.url))
    assert len(times) >= 5, "pieces of their own"
    assert times[-1] - times[0] > 0.5


def test_what_the_balancer_says_of_a_caller_reaches_us(deployed: Deployed) -> None:
    """The API's headers and errors pass as they are, and large requests too."""
    url = deployed.balancer.url
    reply = asyncio.run(exchange(url, post(HELLO, key="sk-dgm-nobody")))
    assert reply.status == 401
    assert reply.json()["error"]["type"] == "authentication_error"
    assert re.fullmatch(r"req_\w+", reply.header("request-id") or "")
    large = {**HELLO, "messages": [{"role": "user", "content": "word " * 1_000_000}], "max_tokens": 1}
    reply = asyncio.run(exchange(url, post(large, key=KEY)))
    assert reply.body.startswith(b"{"), (reply.body[:300], deployed.balancer.log())
    assert reply.json().get("type") in ("message", "error")
    assert asyncio.run(exchange(url, request("GET", "/readyz", key=None), method="GET")).json() == {"status": "ready"}
