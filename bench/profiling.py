"""Where the CPU of dragoman goes, by py-spy: self time by function, by file and by library, under JSON and SSE load."""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from .children import LOAD_CORE, Child
from .load import body, finished, started
from .quick import PACED
from .report import Outcome, Table, Value
from .rounds import Bench
from .systems import Server

__all__ = ["NoProfiler", "profile", "self_times"]

PYSPY = "py-spy==0.4.2"
RATE = 400  # samples a second
SECONDS = 4
LINES = 28
KINDS: Mapping[str, tuple[bytes, int]] = {
    "JSON": (body(), 32),
    "SSE at once": (body(stream=True), 32),
    "SSE paced": (body(PACED, stream=True), 64),
}


class NoProfiler(Exception):
    """py-spy cannot be installed, or may not look into the process."""


def profile(bench: Bench) -> Outcome:
    """Raises NoProfiler."""
    spy = installed()
    tables = [table(kind, sampled(spy, bench.dragoman, bench.folder, *load)) for kind, load in KINDS.items()]
    return Outcome(tables)


def installed() -> Path:
    """py-spy in an environment of its own, made on demand."""
    home = Path(tempfile.gettempdir()) / f"dragoman-bench-{PYSPY.replace('==', '-')}"
    spy = home / "bin" / "py-spy"
    if not spy.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, capture_output=True)  # noqa: S603
            pip = [str(home / "bin" / "python"), "-m", "pip", "install", "-q", "--only-binary", ":all:", PYSPY]
            subprocess.run(pip, check=True, capture_output=True, timeout=120)  # noqa: S603
        except (subprocess.SubprocessError, OSError) as error:
            raise NoProfiler(f"{PYSPY} could not be installed: {error}") from error
    return spy


def sampled(spy: Path, server: Server, folder: Path, content: bytes, connections: int) -> str:
    """Stacks under load, a line each: frames from the outside in, separated by ';', and how often."""
    out = folder / "stacks.txt"
    command: list[str | Path] = [spy, "record", "--native", "-f", "raw", "-r", str(RATE), "-d", str(SECONDS)]
    command += ["-o", out, "--pid", str(server.pid)]
    log = folder / "py-spy.log"
    with started(server, content, folder, connections=connections, seconds=SECONDS + 2) as load:
        with Child.started(command, core=LOAD_CORE, log=log) as recording:
            code = recording.process.wait(SECONDS + 30)
        finished(load, 30)
    if code != 0 or not out.exists():
        raise NoProfiler(f"py-spy: {log.read_text(errors='replace')[-500:]}")
    return out.read_text()


class Frame(NamedTuple):
    """`name (place:line)`, as py-spy writes it; the place is a Python file, a C file or a library."""

    name: str
    place: str

    @classmethod
    def read(cls, text: str) -> Self:
        name, _, place = text.partition(" (")
        return cls(name, re.sub(r":\d+$", "", place.rstrip(")")))

    @property
    def is_python(self) -> bool:
        return self.place.endswith(".py")

    @property
    def is_libc(self) -> bool:
        return self.place.startswith(("libc.", "libc-", "libpthread"))

    @property
    def short_place(self) -> str:
        return re.sub(r"\.(cpython|so\.).*", "", "/".join(Path(self.place).parts[-2:]))


def self_times(stacks: str) -> tuple[Counter[str], Counter[str]]:
    """Samples by the innermost Python function, and by the innermost file or library.

    Threads that wait count as running here (py-spy cannot tell while it reads native frames), so what is known to
    wait is left out: a pool's threads without work, and the loop's poll.
    """
    functions: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [Frame.read(part) for part in stack.split(";")]
        python = next((frame for frame in reversed(frames) if frame.is_python), None)
        if not count.isdigit() or python is None or waits(frames, python):
            continue
        functions[f"{python.name}  {python.short_place}"] += int(count)
        files[where(frames)] += int(count)
    return functions, files


def waits(frames: Sequence[Frame], python: Frame) -> bool:
    if python.name == "_worker" and python.place.endswith("futures/thread.py"):
        return True
    return frames[-1].is_libc and any(frame.name == "uv__io_poll" for frame in frames)


def where(frames: Sequence[Frame]) -> str:
    """libc's own names are wrong where it has no symbols: what called it says more, as `write` from `uv__write`."""
    outside = next((frame for frame in reversed(frames) if not frame.is_libc), frames[-1])
    return f"libc, from {outside.name}" if frames[-1].is_libc else outside.short_place


def table(kind: str, stacks: str) -> Table:
    functions, files = self_times(stacks)
    total = max(1, sum(functions.values()))
    rows: list[list[Value]] = []
    for left, right in zip(padded(functions), padded(files), strict=True):
        rows.append([left[0], percent(left[1], total), right[0], percent(right[1], total)])
    about = (
        f"py-spy, {total:,} samples, without the loop's poll. On the left the time of native code counts with the "
        "Python function that called it; on the right each sample with the file or library that it was in (libc: "
        "mostly system calls)."
    )
    return Table(f"Profile: {kind}", about, ("function", "%", "file or library", "%"), rows)


def padded(counts: Counter[str]) -> list[tuple[str, int]]:
    found = counts.most_common(LINES)
    return found + [("", 0)] * (LINES - len(found))


def percent(count: int, total: int) -> Value:
    return f"{100 * count / total:.1f}" if count else ""
