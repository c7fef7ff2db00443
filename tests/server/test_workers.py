"""`dragoman serve --workers N`: a parent and its workers, as real processes on one address."""

import asyncio
import io
import os
import re
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from rawhttp import HELLO, Wire, exchange, post
from running import Running
from steady_load import SteadyLoad

from dragoman.errors import ConfigError
from dragoman.gateway.config.config import Config, Listen, load
from dragoman.server.listening import bind, bind_several
from dragoman.server.worker import VARIABLE, Place, Word
from dragoman.server.workers import Parent, check_several

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

PATIENCE_S = 30.0  # generous: the machine may be busy
WORKERS = 2
SLOW = "[providers.offline]\ntokens_per_second = 20\n[server]\nshutdown_grace_s = 20\n"


def wait_until(is_so: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def children(pid: int) -> set[int]:
    """The processes that `pid` has started and not buried, the dead ones too."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return {int(each) for each in found.read_text().split()} if found.exists() else set()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def once(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The server is a process of its own: whose loop asks it does not matter, so one will do."""

    def in_one_loop(several: "Several") -> None:
        asyncio.run(test(several))

    in_one_loop.__name__, in_one_loop.__doc__ = test.__name__, test.__doc__
    return in_one_loop


class Several(Running):
    """A parent with its workers."""

    def __init__(self, folder: Path, config: str = "", *, env: dict[str, str] | None = None) -> None:
        super().__init__(folder, config, env={"DRAGOMAN_WORKERS": str(WORKERS), **(env or {})})
        self.config = folder / "dragoman.toml"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def workers(self) -> set[int]:
        return {pid for pid in children(self.pid) if is_alive(pid)}

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def said(self, pattern: str, times: int = 1) -> bool:
        return len(re.findall(pattern, self.log())) >= times

    def wait_until_said(self, pattern: str, times: int = 1) -> None:
        wait_until(lambda: self.said(pattern, times), f"{pattern} is not in the log:\n{self.log()}")

    def wait_until_all_serve(self, starts: int = WORKERS) -> None:
        """`starts`: as many workers as have become ready since the start."""
        self.wait_until_said(r"worker \d \(process \d+\) is ready", starts)


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Several]:
    with Several(tmp_path) as server:
        server.wait_until_all_serve()
        yield server
    assert "Traceback" not in server.log(), server.log()


# -- what can be had at all -------------------------------------------------------------------------------------------


def config_of(text: str, database: str = "sqlite:///a.db") -> Config:
    return load(None, {}, database=database, workers="4", text=text)


def test_limits_that_each_process_would_count_for_itself_are_refused() -> None:
    """Pain 33: with N workers N times the limit would pass."""
    with pytest.raises(ConfigError, match=r"limits are configured.*4 times.*counters = \"redis://"):
        check_several(config_of('[limits]\norganization = "free"'))


def test_budgets_that_each_process_would_count_for_itself_are_refused() -> None:
    text = '[[budgets]]\nscope = "organization"\nperiod = "day"\nusd = 5\n'
    with pytest.raises(ConfigError, match=r"budgets are configured"):
        check_several(config_of(text))


def test_without_limits_several_processes_are_warned_of_them(caplog: pytest.LogCaptureFixture) -> None:
    check_several(config_of(""))
    assert "4 workers count for themselves" in caplog.text
    assert 'counters = "redis://' in caplog.text


def test_with_shared_counters_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    text = '[server]\ncounters = "redis://127.0.0.1:6379"\n[limits]\norganization = "free"'
    check_several(config_of(text))
    assert caplog.text == ""


def test_a_database_in_memory_cannot_be_shared() -> None:
    with pytest.raises(ConfigError, match=r"workers = 4: the database is in memory.*sqlite:///dragoman\.db"):
        check_several(config_of("", database="sqlite://"))


@pytest.mark.parametrize("given", ["0", "257", "two", "-1", "1.5", "9" * 5000])
def test_a_number_of_workers_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match=r"--workers: .*whole number from 1 to 256"):
        load(None, {}, text="", workers=given)


def test_workers_come_from_the_file_the_environment_or_the_command_line() -> None:
    text = "[server]\nworkers = 2"
    assert load(None, {}, text=text).server.workers == 2
    assert load(None, {"DRAGOMAN_WORKERS": "3"}, text=text).server.workers == 3
    assert load(None, {"DRAGOMAN_WORKERS": "3"}, text=text, workers="4").server.workers == 4


# -- the address ------------------------------------------------------------------------------------------------------


def test_connections_are_shared_out_evenly() -> None:
    """By chance, for which each must have at least a quarter of its half: that misses once in 10**12."""
    sockets = bind_several(Listen("127.0.0.1", 0), 2)
    callers = []
    try:
        sockets[1].listen(500)
        for _ in range(200):
            callers.append(caller := socket.create_connection(sockets[0].getsockname()))
            caller.setblocking(False)
        taken = Counter(at for at, sock in enumerate(sockets) for _ in _taken(sock))
    finally:
        for sock in (*sockets, *callers):
            sock.close()
    assert sum(taken.values()) == 200
    assert min(taken.values()) >= 50


def _taken(sock: socket.socket) -> Iterator[None]:
    while True:
        try:
            sock.accept()[0].close()
        except BlockingIOError:
            return
        yield


@pytest.mark.parametrize("count", [1, 4])
def test_an_address_that_several_workers_have_is_taken(count: int) -> None:
    """Sockets that share an address must not let a second server in."""
    sockets = bind_several(Listen("127.0.0.1", 0), count)
    try:
        listen = Listen(*sockets[0].getsockname())
        assert {sock.getsockname() for sock in sockets} == {listen}
        with pytest.raises(ConfigError, match="cannot listen"):
            bind_several(listen, 2)
        with pytest.raises(ConfigError, match="cannot listen"):
            bind(listen)
    finally:
        for sock in sockets:
            sock.close()


# -- start and stop ---------------------------------------------------------------------------------------------------


def test_the_start_is_told_once_and_one_first_key_is_made(tmp_path: Path) -> None:
    with Running(tmp_path, key=None, env={"DRAGOMAN_WORKERS": "3"}) as server:
        wait_until(lambda: server.log().count("is ready") == 3, server.log())
        assert server.log().count("dragoman listens on") == 1
        (first,) = re.findall(r"First key:  (\S+)", server.log())
        for _ in range(12):
            assert asyncio.run(exchange(server.url, post(HELLO, key=first))).status == 200
        assert server.stop() == 0
    assert server.log().count("outcome=answered") == 12


def test_a_stop_lets_end_what_is_at_work_and_leaves_nobody(tmp_path: Path) -> None:
    async def stopped_amid() -> None:
        async with await Wire.connect(server.url) as wire:
            await wire.send(post({**HELLO, "stream": True}, key=server.key))
            status, _ = await wire.head()
            await wire.chunk()
            server.signal(signal.SIGTERM)
            body = await asyncio.wait_for(wire.rest(), PATIENCE_S)
            assert status == 200
            assert b'data: {"type":"message_stop"}' in body

    with Several(tmp_path, SLOW) as server:
        server.wait_until_all_serve()
        workers = server.workers
        assert len(workers) == WORKERS
        asyncio.run(stopped_amid())
        assert server.process is not None
        assert server.process.wait(PATIENCE_S) == 0
        assert not any(map(is_alive, workers))


def test_a_second_signal_cuts_what_is_at_work(tmp_path: Path) -> None:
    async def stopped_amid() -> bytes:
        async with await Wire.connect(server.url) as wire:
            await wire.send(post({**HELLO, "stream": True}, key=server.key))
            await wire.head()
            server.signal(signal.SIGINT)
            await asyncio.to_thread(server.wait_until_said, "those at work have")
            server.signal(signal.SIGINT)
            return await wire.rest()

    config = SLOW.replace("20\n", "1\n", 1).replace("grace_s = 20", "grace_s = 600")
    with Several(tmp_path, config) as server:
        server.wait_until_all_serve()
        assert b"shutting down" in asyncio.run(asyncio.wait_for(stopped_amid(), PATIENCE_S))
        assert server.process is not None
        assert server.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"DRAGOMAN_API_KEY": "short"}, "error: DRAGOMAN_API_KEY is not fit to be a key"),
        ({"DRAGOMAN_DATABASE": "sqlite:////nowhere/a.db"}, "error: cannot make the secret file"),
        ({"DRAGOMAN_DATABASE": "sqlite://"}, "error: workers = 2: the database is in memory"),
    ],
    ids=["a key that is none", "no database", "a database in memory"],
)
def test_where_no_worker_can_start_the_parent_says_why_once_and_ends(
    tmp_path: Path, env: dict[str, str], said: str
) -> None:
    with pytest.raises(RuntimeError, match="did not start") as caught:
        Several(tmp_path, env=env).__enter__()
    assert str(caught.value).count(said) == 1
    assert "Traceback" not in str(caught.value)


def test_a_parent_that_is_killed_leaves_no_worker_and_no_address_behind(several: Several) -> None:
    workers = several.workers
    several.signal(signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, workers)), "workers live on")
    host, port = several.url.removeprefix("http://").split(":")
    bind(Listen(host, int(port))).close()


# -- workers that end -------------------------------------------------------------------------------------------------


def test_a_worker_that_dies_is_replaced(several: Several) -> None:
    before = several.workers
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    several.wait_until_all_serve(WORKERS + 1)
    assert victim not in several.workers
    assert len(several.workers) == WORKERS
    assert several.said(rf"worker \d \(process {victim}\) was ended by SIGKILL")
    for _ in range(10):
        assert asyncio.run(exchange(several.url, post(HELLO, key=several.key))).status == 200


def test_a_worker_that_somebody_stops_is_replaced_and_nobody_waits(several: Several) -> None:
    os.kill(min(several.workers), signal.SIGTERM)
    for _ in range(20):
        assert asyncio.run(exchange(several.url, post(HELLO, key=several.key))).status == 200
    several.wait_until_all_serve(WORKERS + 1)


def test_while_a_worker_cannot_come_back_others_take_its_connections(several: Several) -> None:
    """Of 20 connections half would be the dead one's: nobody may wait for it. It is tried again after pauses that grow,
    and comes back when it can."""
    several.config.write_text("[server]\nlisen = 1\n")
    os.kill(min(several.workers), signal.SIGKILL)
    several.wait_until_said(r"lisen", 2)  # two that could not start
    for _ in range(20):
        assert asyncio.run(exchange(several.url, post(HELLO, key=several.key))).status == 200
    several.config.write_text("")
    several.wait_until_all_serve(WORKERS + 1)
    pauses = [float(each) for each in re.findall(r"is started in (\S+) s", several.log())]
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.5
    for _ in range(20):
        assert asyncio.run(exchange(several.url, post(HELLO, key=several.key))).status == 200


# -- rolling restart --------------------------------------------------------------------------------------------------


@once
async def test_a_rolling_restart_fails_no_request(several: Several) -> None:
    """SIGHUP under a constant load of whole replies and streams, on kept connections; twice."""
    before = several.workers
    async with SteadyLoad(several.url, several.key) as load:
        await load.wait_for(50)
        for turn in (1, 2):
            several.signal(signal.SIGHUP)
            while not several.said("each worker has been replaced", turn) and not load.failed:
                await load.wait_for(10)
        await load.wait_for(50)
    assert load.failed == []
    assert load.replies > 200
    assert load.told >= 8, "each connection was told that it ends"
    assert len(several.workers) == WORKERS
    assert not several.workers & before


def test_a_rolling_restart_reads_the_configuration_anew(several: Several) -> None:
    several.config.write_text('[models.renamed]\ntargets = ["offline/claude-opus-4-8"]\n')
    several.signal(signal.SIGHUP)
    several.wait_until_said("each worker has been replaced")
    for _ in range(8):
        assert asyncio.run(exchange(several.url, post(HELLO | {"model": "renamed"}, key=several.key))).status == 200


def test_a_rolling_restart_that_cannot_be_is_given_up(several: Several) -> None:
    """The old ones go on as they are."""
    before = several.workers
    several.config.write_text("[server]\nlisen = 1\n")
    several.signal(signal.SIGHUP)
    several.wait_until_said("the restart is given up")
    assert several.said("lisen")
    assert several.workers == before
    assert asyncio.run(exchange(several.url, post(HELLO, key=several.key))).status == 200
    several.config.write_text("")
    several.signal(signal.SIGHUP)
    several.wait_until_said("each worker has been replaced")
    assert not several.workers & before


@once
async def test_an_idle_connection_is_told_that_it_ends(several: Several) -> None:
    """One that a client keeps is not cut under its next request: that is answered, and says so."""
    wires = [await Wire.connect(several.url) for _ in range(6)]
    try:
        for wire in wires:
            await wire.send(post(HELLO, key=several.key))
            assert (await wire.reply()).header("connection") is None
        several.signal(signal.SIGHUP)
        await asyncio.to_thread(several.wait_until_said, "another worker has this one's place")
        told = 0
        for wire in wires:
            await wire.send(post(HELLO, key=several.key))
            reply = await wire.reply()
            assert reply.status == 200
            told += reply.header("connection") == "close"
        assert told >= 1
    finally:
        for wire in wires:
            wire.close()


# -- what is one process's ------------------------------------------------------------------------------------------


@once
async def test_a_thread_that_another_worker_has_is_not_found(several: Several) -> None:
    """SDK-65: then clients send the whole conversation again. Never another error, and never another's thread."""
    beta = ("anthropic-beta", "message-threads-2026-07-17")
    first = await exchange(several.url, post({**HELLO, "thread": {"type": "create"}}, beta, key=several.key))
    assert first.status == 200, first.body
    after = {"type": "continue", "previous_message_id": first.json()["id"]}
    for _ in range(20):
        reply = await exchange(several.url, post({**HELLO, "thread": after}, beta, key=several.key))
        told = reply.json().get("error", {})
        code = (told.get("details") or {}).get("error_code")
        assert (reply.status, code) in {(200, None), (404, "thread_not_found"), (400, "thread_already_continued")}


def test_a_worker_hands_its_place_to_nobody() -> None:
    """What it starts itself must not take it for its parent."""
    ours, theirs = socket.socketpair()
    (listening,) = bind_several(Listen("127.0.0.1", 0), 1)
    env = {VARIABLE: f"0:{theirs.detach()}:{listening.detach()}", "PATH": "/bin"}
    place = Place.take(env)
    assert env == {"PATH": "/bin"}
    assert place is not None
    assert not any(sock.get_inheritable() for sock in place.sockets)
    place.tell(Word(state="ready"))
    assert b'"ready"' in ours.recv(1000)
    place.close()
    assert ours.recv(1000) == b""
    ours.close()
    assert Place.take(env) is None


def test_a_worker_that_is_ready_is_not_killed_for_taking_long_to_start(tmp_path: Path) -> None:
    """While others serve, a start has a limit, which ends with it."""
    config = config_of("")
    sockets = bind_several(Listen("127.0.0.1", 0), 2)
    ready = (
        "import os, socket; socket.socket(fileno=int(os.environ['%s'].split(':')[1])).send(b'{\"state\":\"ready\"}\\n')"
    )
    sleeper = f"{ready % VARIABLE}; import signal; signal.pause()"
    parent = Parent(config, os.environ, [sys.executable, "-c", sleeper], sockets, out=io.StringIO())
    try:
        parent._start(parent._slots[0])
        (first,) = parent._workers
        wait_until(lambda: parent._hear(first) or first.state == "serving", "the first is not ready")
        (other,) = parent._workers - {first}
        assert other.end_by is not None
        wait_until(lambda: parent._hear(other) or other.state == "serving", "the other is not ready")
        assert (first.end_by, other.end_by) == (None, None)
    finally:
        for worker in parent._workers:
            worker.process.kill()
            worker.process.wait()
            worker.line.close()
        parent._selector.close()
        for sock in sockets:
            sock.close()


def test_lines_of_the_log_are_whole(several: Several) -> None:
    async def ask() -> None:
        async with SteadyLoad(several.url, several.key) as load:
            await load.wait_for(200)
        assert load.failed == []

    asyncio.run(ask())
    rows = [line for line in several.log().splitlines() if "outcome=" in line]
    assert len(rows) >= 200
    assert all(re.match(r"\d{4}-\d\d-\d\d \S+ INFO dragoman.requests: request_id=", line) for line in rows)
    assert all(line.count("request_id=") == 1 for line in rows)
