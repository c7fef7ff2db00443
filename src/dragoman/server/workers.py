"""`dragoman serve --workers N`: the parent, which has the sockets, starts the workers and looks after them.

A worker is the same command again, in a process of its own, so that a rolling restart (SIGHUP) finds a new version
and a new configuration. Each has a listening socket (`listening.py`), which stays the parent's: what waits in it waits
for whoever takes the place of a worker that is gone, and while nobody is there another worker takes it. The parent
serves nothing, opens no database, and waits in one place, `select`, so that no worker can hold it up.
"""

import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Literal, TextIO

import msgspec

from dragoman.errors import ConfigError, DragomanError, StoreError
from dragoman.gateway.config.config import Config

from .greeting import greeting
from .listening import bind_several, url_of
from .worker import VARIABLE, Word

__all__ = ["Parent", "check_several", "serve_with_workers"]

log = logging.getLogger("dragoman.workers")

STEADY_S = 10.0  # a worker that ends sooner is started again after a pause, which grows
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
START_S = 120.0  # how long a worker may take to start while others serve: it may wait for the database
KILL_S = 15.0  # beyond its grace, for a worker to end that was told to
READ_BYTES = 65_536

State = Literal["starting", "serving", "leaving", "ended"]


def serve_with_workers(
    config: Config, env: Mapping[str, str], command: Sequence[str], *, out: TextIO = sys.stdout
) -> None:
    """Serve with as many workers as are configured, until SIGINT or SIGTERM. `command` starts one of them.

    Raises ConfigError and StoreError for what stands in the way of a start, the first worker's reasons too.
    """
    check_several(config)
    with ExitStack() as opened:
        sockets = bind_several(config.server.listen, config.server.workers)
        for sock in sockets:
            opened.enter_context(sock)
        Parent(config, env, command, sockets, out=out).run()


def check_several(config: Config) -> None:
    """Raises ConfigError for what several processes cannot do; warns of what each would do for itself."""
    workers = config.server.workers
    if sys.platform == "win32":
        raise ConfigError(f"workers = {workers}: there are no workers on Windows: start one server, without workers")
    if config.server.is_in_memory:
        raise ConfigError(
            f"workers = {workers}: the database is in memory, where no process knows the keys of another. Name one "
            "that they share, as in sqlite:///dragoman.db, or start one process"
        )
    if config.server.counters is not None:
        return
    remedy = 'Set counters = "redis://..." in [server], or start one process'
    if counted := _counted(config):
        raise ConfigError(
            f"workers = {workers}: {counted} are configured, and each process would count for itself, so that "
            f"{workers} times as much could pass. {remedy}"
        )
    log.warning(
        "%d workers count for themselves: limits and budgets that are set while they run would let through up to %d "
        "times as much. %s.",
        workers,
        workers,
        remedy,
    )


def _counted(config: Config) -> str:
    counted = {"limits": any(config.limits.named()), "budgets": bool(config.budgets)}
    return " and ".join(name for name, is_there in counted.items() if is_there)


class Worker:
    """One process, and the line to it."""

    def __init__(self, number: int, command: Sequence[str], env: Mapping[str, str], sockets: Sequence[int]) -> None:
        self.number = number
        self.state: State = "starting"
        self.failed: Word | None = None
        self.began = time.monotonic()
        self.end_by: float | None = None  # when it is killed
        self.line, theirs = socket.socketpair()
        self.line.setblocking(False)
        self._unread = b""
        with theirs:
            inherited = (theirs.fileno(), *sockets)
            place = ":".join(map(str, (number, *inherited)))
            # A group of its own: what a terminal sends is the parent's to hand on.
            self.process = subprocess.Popen(  # noqa: S603 (our own command)
                command, env={**env, VARIABLE: place}, pass_fds=set(inherited), process_group=0
            )

    def __str__(self) -> str:
        return f"worker {self.number + 1} (process {self.process.pid})"

    def say(self, word: str) -> None:
        with suppress(OSError):  # it is gone, or hears nothing any more
            self.line.send(word.encode() + b"\n")

    def words(self) -> list[Word] | None:
        """What it has told since. None: its line has ended."""
        try:
            data = self.line.recv(READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            return None
        *lines, self._unread = (self._unread + data).split(b"\n")
        return [msgspec.json.decode(line, type=Word) for line in lines]

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


class Slot:
    """The place of one worker: who has it, who is to take it, and when the next one starts."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.has: Worker | None = None  # it serves
        self.next: Worker | None = None  # it starts
        self.due: float | None = None  # monotonic seconds
        self.pause_s = 0.0  # before the next start
        self.covered_by: Worker | None = None


class Parent:
    """The workers of one address, from the first start to the last end."""

    def __init__(
        self,
        config: Config,
        env: Mapping[str, str],
        command: Sequence[str],
        sockets: Sequence[socket.socket],
        *,
        out: TextIO,
    ) -> None:
        self._config = config
        self._env = env
        self._command = command
        self._sockets = sockets
        self._out = out
        self._slots = [Slot(number) for number in range(len(sockets))]
        self._workers: set[Worker] = set()  # whose process has not been seen to end
        self._selector = selectors.DefaultSelector()
        self._is_up = False  # a worker was ready once
        self._is_stopping = False
        self._shut_at: float | None = None
        self._to_replace: list[Slot] = []  # by a rolling restart, the next one last
        self._replaced: Worker | None = None  # who leaves in it
        is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as `nohup` has it
        self._had_terminal = _has_terminal() and not is_ignored

    def run(self) -> None:
        """Raises what the first worker could not start for."""
        with self._selector, _signals() as arrived:
            self._selector.register(arrived, selectors.EVENT_READ)
            try:
                self._start(self._slots[0])  # alone: it may have to bring the database up to date
                while self._workers or not self._is_stopping:
                    for key, _ in self._selector.select(self._pause_s()):
                        if key.data is None:
                            self._heed(arrived.recv(READ_BYTES))
                        else:
                            self._hear(key.data)
                    self._look()
            finally:
                for worker in self._workers:
                    worker.signal(signal.SIGKILL)
                    worker.process.wait()
                    worker.line.close()

    # -- what comes in --

    def _heed(self, signals: bytes) -> None:
        for number in signals:
            if number == signal.SIGHUP and (_has_terminal() or not self._had_terminal):
                self._restart()
            elif number != signal.SIGCHLD:
                self._stop()

    def _hear(self, worker: Worker) -> None:
        words = worker.words()
        if words is None:
            self._selector.unregister(worker.line)
        for word in words or ():
            if word.state == "failed":
                worker.failed = word
            elif word.state == "leaving" and worker.state == "serving" and not self._is_stopping:
                log.info("%s was told to stop by somebody else", worker)
                self._dismiss(worker)
            elif word.state == "ready" and worker.state == "starting":
                self._take_over(worker, word)

    def _take_over(self, worker: Worker, word: Word) -> None:
        slot = self._slots[worker.number]
        worker.state, worker.end_by = "serving", None
        before, slot.has, slot.next = slot.has, worker, None
        if not self._is_up:
            self._is_up = True
            print(
                greeting(self._config, url_of(self._sockets[0]), word.first_key, self._env), file=self._out, flush=True
            )
            for other in self._slots[1:]:
                self._start(other)
        if before is not None:
            before.say("finish")
            self._dismiss(before)
            self._replaced = before
        log.info("%s is ready", worker)

    # -- what is to be done --

    def _look(self) -> None:
        """See to everything that is due."""
        now = time.monotonic()
        for worker in [each for each in self._workers if each.process.poll() is not None]:
            self._bury(worker, now)
        if self._shut_at is not None and now >= self._shut_at:
            for sock in self._sockets:  # with those of the workers: while one has it, connections come to it
                sock.close()
        for worker in self._workers:
            if worker.end_by is not None and now >= worker.end_by:
                log.error("%s does not end, and is killed", worker)
                worker.end_by = None
                worker.signal(signal.SIGKILL)
        if self._is_stopping:
            return
        for slot in self._slots:
            if slot.due is not None and now >= slot.due:
                self._start(slot)
        self._roll_on()
        self._cover()

    def _pause_s(self) -> float | None:
        """Until something is due; None: for as long as nothing happens."""
        times = [slot.due for slot in self._slots] if not self._is_stopping else [self._open_shut()]
        times += [worker.end_by for worker in self._workers]
        due = [each for each in times if each is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _open_shut(self) -> float | None:
        return self._shut_at if any(sock.fileno() >= 0 for sock in self._sockets) else None

    def _start(self, slot: Slot) -> None:
        slot.due = None
        descriptors = [sock.fileno() for sock in self._sockets]
        try:
            worker = Worker(slot.number, self._command, self._env, descriptors)
        except OSError as error:
            if not self._is_up:
                raise ConfigError(f"no worker can be started: {error.strerror or error}") from error
            log.error("no worker can be started: %s", error.strerror or error)
            self._start_later(slot)
            return
        slot.next = worker
        if self._is_up:
            worker.end_by = worker.began + START_S
        self._workers.add(worker)
        self._selector.register(worker.line, selectors.EVENT_READ, worker)

    def _bury(self, worker: Worker, now: float) -> None:
        """It has ended: what follows from that."""
        self._hear_last(worker)
        self._workers.discard(worker)
        was, worker.state = worker.state, "ended"
        slot = self._slots[worker.number]
        how = _how_it_ended(worker.process.returncode)
        if self._is_stopping:
            return
        if not self._is_up:
            raise _reason(worker, how)
        if was == "leaving":
            log.info("%s has ended", worker)
            return
        why = f": {worker.failed.failed}" if worker.failed is not None else ""
        log.error("%s %s%s", worker, how, why)
        if was == "starting":
            slot.next = None
            if slot.has is not None:
                log.error("the restart is given up: those that serve go on")
                self._to_replace.clear()
                return
        else:
            slot.has = None
        if slot.next is None:
            slot.pause_s = 0.0 if now - worker.began >= STEADY_S else slot.pause_s
            self._start_later(slot)

    def _hear_last(self, worker: Worker) -> None:
        """What it told before it ended, and then its line is closed."""
        while worker.line in self._selector.get_map():
            self._hear(worker)
        worker.line.close()

    def _start_later(self, slot: Slot) -> None:
        slot.due = time.monotonic() + slot.pause_s
        if slot.pause_s:
            log.info("the next worker %d is started in %g s", slot.number + 1, slot.pause_s)
        slot.pause_s = min(max(FIRST_PAUSE_S, 2 * slot.pause_s), LONGEST_PAUSE_S)

    def _dismiss(self, worker: Worker) -> None:
        """It leaves, and has its time for that."""
        worker.state = "leaving"
        worker.end_by = time.monotonic() + self._leave_s + KILL_S
        slot = self._slots[worker.number]
        if slot.has is worker:
            slot.has = None
            if slot.next is None and not self._is_stopping:
                slot.due = time.monotonic()

    @property
    def _leave_s(self) -> float:
        server = self._config.server
        return server.shutdown_delay_s + max(1.0, server.shutdown_grace_s)

    def _cover(self) -> None:
        """Of every worker that is not there, another takes the connections."""
        serving = [slot.has for slot in self._slots if slot.has is not None]
        for slot in self._slots:
            if slot.covered_by is not None and slot.covered_by.state != "serving":
                slot.covered_by = None
            if slot.has is not None:
                if slot.covered_by is not None:
                    slot.covered_by.say(f"uncover {slot.number}")
                    slot.covered_by = None
            elif slot.covered_by is None and serving:
                slot.covered_by = serving[slot.number % len(serving)]
                slot.covered_by.say(f"cover {slot.number}")

    def _restart(self) -> None:
        if self._is_up and not self._is_stopping:
            log.info("SIGHUP: each worker is replaced by a new one, one after the other")
            self._to_replace = self._slots[::-1]

    def _roll_on(self) -> None:
        """Replace the next one, if no other is being replaced."""
        is_busy = any(slot.next is not None for slot in self._slots)
        if self._replaced is not None and self._replaced.state == "ended":
            self._replaced = None
            if not self._to_replace:
                log.info("each worker has been replaced")
        if self._to_replace and not is_busy and self._replaced is None:
            slot = self._to_replace.pop()
            if slot.has is not None:  # else a new one is due anyway
                self._start(slot)

    def _stop(self) -> None:
        """The first time to stop, the second to hurry."""
        word = "hurry" if self._is_stopping else "stop"
        if not self._is_stopping:
            self._is_stopping = True
            self._shut_at = time.monotonic() + self._config.server.shutdown_delay_s
            log.info("stopping: %d workers end, and have %g s", len(self._workers), self._leave_s)
        else:
            self._shut_at = time.monotonic()
        for worker in self._workers:
            if worker.state == "starting":
                worker.signal(signal.SIGTERM)
            worker.say(word)
            worker.end_by = time.monotonic() + self._leave_s + KILL_S


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def _reason(worker: Worker, how: str) -> DragomanError:
    if worker.failed is None:
        return ConfigError(f"the first worker {how} while it started: what it wrote above says why")
    kind = ConfigError if worker.failed.is_config else StoreError
    return kind(worker.failed.failed or how)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket out of which come the numbers of the signals that have arrived."""
    ours, theirs = socket.socketpair()
    with ours, theirs, ExitStack() as put_back:
        for end in (ours, theirs):
            end.setblocking(False)
        put_back.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            put_back.callback(signal.signal, number, signal.signal(number, lambda *_: None))
        yield ours


def _has_terminal() -> bool:
    """A SIGHUP of one that is closed is no wish for a restart."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
