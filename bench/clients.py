"""Our client beside the official one: what a program pays to load it, to call, and to follow a stream.

Each client lives in a process of its own (`client_child.py`), which does a slice of work when told to and says what CPU
time it took; slices of the two alternate.
"""

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from .alone import RSS, run_python
from .children import SERVER_CORE, Child
from .report import Outcome, Table, Target, Value, middle, ratio
from .rounds import Bench
from .systems import Server, clean_environment

__all__ = ["clients"]

OFFICIAL = "anthropic"
OURS = "dragoman"
BOTH = (OFFICIAL, OURS)
EVENTS = 65  # of the mock's stream: 60 deltas and what is around them
STREAMS = 1000
PACED = 200  # events of each of those
FIRST_USE = "import {name}; {name}.Anthropic(api_key='k').messages; {name}.types.Message"


class Figures(NamedTuple):
    """One slice of one client."""

    kind: str
    cpu_us: float  # of one call
    memory_mb: float


class Client:
    """A child process with one client in it."""

    def __init__(self, child: Child, name: str) -> None:
        self._child = child
        self.name = name

    def slice(self, kind: str, count: int) -> Figures:
        pipe, said = self._child.process.stdin, self._child.process.stdout
        assert pipe is not None
        assert said is not None
        pipe.write(f"{kind} {count}\n".encode())
        pipe.flush()
        line = said.readline()
        if not line:
            raise RuntimeError(f"the {self.name} client ended")
        figures = json.loads(line)
        return Figures(kind, figures["cpu_s"] / count * 1e6, figures["memory_mb"])


def clients(bench: Bench) -> Outcome:
    """Targets: a tenth of the import's time, a quarter of its memory, a fifth of the CPU of a call and of an event."""
    try:
        version = importlib.metadata.version(OFFICIAL)
    except importlib.metadata.PackageNotFoundError as missing:
        raise RuntimeError("the official client is not installed: make .venv/.dev") from missing
    imported, first_use = imports(bench.rounds(5)), imports(bench.rounds(5), FIRST_USE)
    with children(bench.upstream) as running:
        slices = {kind: alternating(running, kind, count, bench.rounds(5)) for kind, count in COUNTS.items()}
        sizes = {kb: alternating(running, f"event-{kb}", 3, bench.rounds(3)) for kb in (1024, 16384)}
    with children(bench.upstream) as fresh:
        held = {one.name: [one.slice("streams", count) for count in (1, STREAMS, STREAMS)] for one in fresh}
    rows: list[list[Value]] = [import_row("import", imported), import_row("import and first use", first_use)]
    rows += [cpu_row(KINDS[kind], slices[kind]) for kind in COUNTS]
    about = f"Beside anthropic {version}. CPU time of the client's process alone; the server is the mock. Medians."
    growth = middle([big / 16 / small for big, small in zip(*(sizes[kb][OURS] for kb in (16384, 1024)), strict=True)])
    return Outcome(
        [
            Table("Client", about, ("", OFFICIAL, OURS, "anthropic / ours"), rows),
            Table(
                "One large event",
                "CPU ms to read a stream whose text comes in one event.",
                ("size", OFFICIAL, OURS),
                [
                    [f"{kb // 1024} MiB", *(middle([us / 1e3 for us in sizes[kb][name]]) for name in BOTH)]
                    for kb in sizes
                ],
            ),
            Table(
                f"{STREAMS:,} streams at once",
                f"One event loop, {STREAMS:,} open streams of {PACED} events each, twice.",
                ("", "CPU us an event", "memory MB after one stream", "after the first time", "after the second"),
                [[name, held[name][-1].cpu_us / PACED, *(one.memory_mb for one in held[name])] for name in BOTH],
            ),
        ],
        [
            Target("import dragoman over import anthropic, time", 0.1, over(imported, 0), "times"),
            Target("and memory, over a bare Python's", 0.25, over(imported, 1), "times"),
            Target("import and first use of dragoman over anthropic's, memory", 0.25, over(first_use, 1), "times"),
            *(
                Target(f"{KINDS[kind]}, CPU over anthropic's", 0.2, ratio(slices[kind], OURS, OFFICIAL), "times")
                for kind in COUNTS
            ),
            Target("A MB of an event of 16 MiB over one of 1 MiB (linear: 1), CPU", 1.5, growth, "times"),
            Target(
                f"{STREAMS:,} streams a second time: memory that they add",
                2,
                held[OURS][2].memory_mb - held[OURS][1].memory_mb,
                "MB",
            ),
        ],
    )


KINDS = {
    "create": "create, a call",
    "create-async": "create, a call, asyncio",
    "events": "stream=True, an event",
    "events-async": "stream=True, an event, asyncio",
    "helper": "messages.stream, an event",
}
COUNTS = {"create": 300, "create-async": 300, "events": 60, "events-async": 60, "helper": 40}


def import_row(what: str, measured: dict[str, list[tuple[float, float]]]) -> list[Value]:
    """Milliseconds and MB as one cell each: "800 ms, 68 MB"."""
    cells: list[Value] = []
    for name in BOTH:
        took, memory = (middle([one[n] for one in measured[name]]) or 0 for n in (0, 1))
        cells.append(f"{took * 1e3:,.0f} ms, {memory:.1f} MB")
    share = over(measured, 0)
    return [f"{what}: time and memory over a bare Python's", *cells, None if not share else 1 / share]


def over(measured: dict[str, list[tuple[float, float]]], figure: int) -> float | None:
    return ratio({name: [one[figure] for one in values] for name, values in measured.items()}, OURS, OFFICIAL)


def imports(rounds: int, code: str = "import {name}") -> dict[str, list[tuple[float, float]]]:
    """Seconds and MB over those of a Python that imports nothing, round by round."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in BOTH}
    for _ in range(rounds):
        bare_s, said = run_python("-c", RSS)
        for name in BOTH:
            took_s, memory = run_python("-c", f"{code.format(name=name)}; {RSS}")
            found[name].append((max(0.0, took_s - bare_s), max(0.0, (int(memory) - int(said)) / 1024)))
    return found


@contextmanager
def children(upstream: Server) -> Iterator[list[Client]]:
    """A process for each client, pinned to the core that is measured."""
    command = [sys.executable, "-m", "bench.client_child"]
    running: list[Child] = []
    try:
        for name in BOTH:
            child = Child.started(
                [*command, name, f"http://127.0.0.1:{upstream.port}"],
                core=SERVER_CORE,
                env=clean_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None,
            )
            running.append(child)
        yield [Client(child, name) for child, name in zip(running, BOTH, strict=True)]
    finally:
        for child in running:
            child.stop()


def alternating(running: list[Client], kind: str, count: int, rounds: int) -> dict[str, list[float]]:
    """CPU us of a call, or of an event where the kind is a stream, round by round."""
    for one in running:
        one.slice(kind, 3)  # what a first call loads is not counted
    found: dict[str, list[float]] = {one.name: [] for one in running}
    events = EVENTS if kind.startswith(("events", "helper")) else 1
    for number in range(rounds):
        for one in running if number % 2 == 0 else reversed(running):
            found[one.name].append(one.slice(kind, count).cpu_us / events)
    return found


def cpu_row(what: str, measured: dict[str, list[float]]) -> list[Value]:
    share = ratio(measured, OURS, OFFICIAL)
    return [f"{what}: CPU us", *(middle(measured[name]) for name in BOTH), None if not share else 1 / share]
