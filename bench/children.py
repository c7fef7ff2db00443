"""Processes of the bench: started on a core of their own, ended with it, their CPU time and memory read."""

import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

__all__ = ["LOAD_CORE", "SERVER_CORE", "Child", "cpu_s", "family", "memory_kb", "raise_file_limit", "signals_as_exit"]

SERVER_CORE = 0  # what is measured
LOAD_CORE = 1  # the mock, the load, and the bench itself
STOP_S = 5.0


class Child:
    """A process in a session of its own, so that it and its children are ended together. A context manager."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    @classmethod
    def started(
        cls,
        command: Sequence[str | Path],
        *,
        core: int,
        log: Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Self:
        """Its output goes to `log`, but for stdout and stderr where they say otherwise."""
        out: IO[bytes] | int = log.open("wb") if log else subprocess.DEVNULL
        try:
            process = subprocess.Popen(  # noqa: S603  our own commands
                [str(part) for part in command],
                stdin=stdin,
                stdout=out if stdout is None else stdout,
                stderr=out if stderr is None else stderr,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )
        finally:
            if not isinstance(out, int):
                out.close()
        return cls(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()


def signals_as_exit() -> None:
    """SIGTERM ends the bench as Ctrl-C does: by an exception, so that every child is stopped."""

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)


def family(pid: int) -> list[int]:
    """The process and all that descend from it, as they are now."""
    found = [pid]
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):
                found += [int(child) for child in children.read_text().split()]
    return found


def cpu_s(pids: Sequence[int]) -> float:
    """CPU seconds, user and system, that all threads of these processes have used, in ns steps.

    The clock of another process (clock_getcpuclockid(3)): it counts threads that have ended too, and has none of the
    10 ms steps of /proc/PID/stat.
    """
    total = 0.0
    for pid in pids:
        with suppress(OSError):
            total += time.clock_gettime((~pid << 3) | 2)
    return total


def raise_file_limit() -> int:
    """Thousands of streams need as many sockets: the soft limit becomes the hard one, also for all children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def memory_kb(pids: Sequence[int], kind: str = "Rss") -> int:
    """Memory of these processes by /proc/PID/smaps_rollup. Pss shares out what several have in common."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            found = re.search(rf"^{kind}:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
            total += int(found[1]) if found else 0
    return total
