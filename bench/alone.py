"""Measures that start servers of their own: start-up, memory, concurrency, imports, and the offline engine."""

import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from .children import SERVER_CORE, Child
from .load import Result, body, finished, held, load, started
from .report import Outcome, Table, Target, Value, middle
from .rounds import Bench, interleaved
from .systems import Server, clean_environment, dragoman, mock_stats, nginx

__all__ = ["ALONE"]

IDLE = "[mock idle seconds=120]"
HELD = (100, 500, 1000)  # the first warms up: what is only taken once is no stream's
STREAMS = (1, 10, 100, 1000, 5000)
PACE_US = 5000
OFFERED = 12_800  # events a second over all streams, from 64 streams on
OPEN_WITHIN_S = 15.0
SERVER_MODULE = "dragoman.server.run"


def start_up(bench: Bench) -> Outcome:
    """From the start of the process to the first whole Messages request answered through the mock."""
    fresh: list[float] = []
    again: list[float] = []
    limit: list[float] = []
    for number in range(bench.rounds(5)):
        place = bench.folder / f"start-{number}"
        place.mkdir()
        for times in (fresh, again):
            with dragoman(bench.upstream, place) as server:
                times.append(server.started_s)
        with nginx(bench.upstream, place) as server:
            limit.append(server.started_s)
    rows: list[list[Value]] = [
        ["dragoman, new database", middle(fresh), max(fresh)],
        ["dragoman, database of an earlier start", middle(again), max(again)],
        ["nginx", middle(limit), max(limit)],
        *([one.name, one.started_s, None] for one in bench.others if one.is_peer),
    ]
    about = (
        "From the start of the process to the first Messages request answered through the upstream, asked every 2 ms."
    )
    return Outcome(
        [Table("Start", about, ("", "median s", "slowest s"), rows)],
        [Target("`dragoman serve` to its first answer", 0.7, middle(fresh), "s")],
    )


def memory(bench: Bench) -> Outcome:
    """Of servers just started, with idle open streams; and of those that have been through the rest of the bench."""
    place = bench.folder / "memory"
    place.mkdir()
    with nginx(bench.upstream, place) as limit, dragoman(bench.upstream, place) as ours:
        servers = {server.name: held_memory(server, bench.folder) for server in (limit, ours)}
    rows: list[list[Value]] = []
    for name, found in servers.items():
        loaded = bench.nginx if name == bench.nginx.name else bench.dragoman
        per_stream = (found[HELD[-1]] - found[0]) * 1024 / HELD[-1]
        between = (found[HELD[-1]] - found[HELD[-2]]) * 1024 / (HELD[-1] - HELD[-2])
        rows.append([name, found[0], *(found[count] for count in HELD[1:]), per_stream, between, loaded.memory_mb()])
    rows += [[one.name, one.idle_mb, None, None, None, None, one.memory_mb()] for one in bench.others]
    about = (
        "RSS of all processes of a server (pages that nginx's two share count twice), without the kernel's socket "
        "buffers. Idle: started and asked once. A stream: what 1,000 take over idle; a further one: what the last 500 "
        "take over the 500 before. Loaded: a server that has been through the measures above."
    )
    columns = (
        "",
        "idle MB",
        *(f"{count:,} idle streams MB" for count in HELD[1:]),
        "a stream KB",
        "a further one KB",
        "loaded MB",
    )
    own = servers[bench.dragoman.name]
    return Outcome(
        [Table("Memory", about, columns, rows)],
        [
            Target("Idle memory (RSS)", 60, own[0], "MB"),
            Target("An idle open stream", 40, (own[HELD[-1]] - own[0]) * 1024 / HELD[-1], "KB"),
        ],
    )


def held_memory(server: Server, folder: Path) -> dict[int, float]:
    """RSS in MB by the number of idle streams that are open."""
    found = {0: server.idle_mb}
    for count in HELD:
        with started(server, body(IDLE, stream=True), folder, connections=count, hold=1, ramp_ms=count) as child:
            if (opened := held(child)) != count:
                raise RuntimeError(f"{server.name} opened {opened} streams of {count}")
            time.sleep(0.3)
            found[count] = server.memory_mb()
            finished(child, 30)
        server.settle()
    return found


# ---- Concurrency ----


def concurrency(bench: Bench) -> Outcome:
    """CPU an event and memory as the number of open streams grows, at one rate of events over all of them."""
    place = bench.folder / "concurrency"
    place.mkdir()
    with nginx(bench.upstream, place) as limit, dragoman(bench.upstream, place) as ours:
        rows = [concurrent_row(bench, server, streams) for streams in STREAMS for server in (limit, ours)]
    about = (
        "Streams that are all open at once, an event every 5 ms each, from 64 streams on so many that "
        f"{OFFERED:,} events/s are offered over all; on servers just started. Late: the longest gap of any stream over "
        "the pace."
    )
    columns = ("streams", "", "opened", "CPU us an event", "events/s", "latest event ms late", "RSS MB")
    return Outcome([Table("Growth with concurrency", about, columns, rows)])


def concurrent_row(bench: Bench, server: Server, streams: int) -> list[Value]:
    pace_us = max(PACE_US, streams * 1_000_000 // OFFERED)
    content = body(f"[mock paced interval_us={pace_us} deltas=1000000]", stream=True)
    ramp_ms = min(2000, streams)
    with started(server, content, bench.folder, connections=streams, hold=1, ramp_ms=ramp_ms) as child:
        try:
            opened = held(child, OPEN_WITHIN_S)
        except TimeoutError:
            return [
                f"{streams:,}",
                server.name,
                mock_stats(bench.upstream)["open"],
                None,
                None,
                None,
                server.memory_mb(),
            ]
        time.sleep(0.2)
        events, cpu, start = mock_stats(bench.upstream)["events"], server.cpu_s(), time.monotonic()
        time.sleep(1.5)
        events = mock_stats(bench.upstream)["events"] - events
        cpu, seconds = server.cpu_s() - cpu, time.monotonic() - start
        memory = server.memory_mb()
        saw = finished(child, 30)
    server.settle(3.0)
    late = saw.gap_max / 1e3 - pace_us / 1e3 if saw.gap_max else None
    return [f"{streams:,}", server.name, opened, cpu * 1e6 / max(1, events), events / seconds, late, memory]


# ---- Imports ----

RSS = "import re; print(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read())[1])"


def imports(bench: Bench) -> Outcome:
    rows: list[list[Value]] = []
    for what in ("nothing", "dragoman", "dragoman.cli", SERVER_MODULE):
        code = "pass" if what == "nothing" else f"import {what}"
        times = [run_python("-c", code)[0] for _ in range(bench.rounds(5))]
        rows.append([what, middle([one * 1e3 for one in times]), int(run_python("-c", f"{code}; {RSS}")[1]) / 1024])
    about = "A Python that imports this and ends, and its memory (RSS) at the end."
    _, listing = run_python("-X", "importtime", "-c", f"import {SERVER_MODULE}")
    per_package = sorted(own_import_ms(listing).items(), key=lambda item: -item[1])[:12]
    return Outcome(
        [
            Table("Import", about, ("import of", "wall ms", "RSS MB"), rows),
            Table(
                f"Where the import of {SERVER_MODULE} goes",
                "`python -X importtime`, own time, added up by package (it costs time itself).",
                ("package", "ms"),
                [[name, took] for name, took in per_package],
            ),
        ],
        [],
    )


def run_python(*options: str) -> tuple[float, str]:
    """How long it took, in seconds, and all that it said."""
    start = time.monotonic()
    with Child.started(
        [sys.executable, *options],
        core=SERVER_CORE,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as child:
        out, _ = child.process.communicate(timeout=60)
    return time.monotonic() - start, out.decode()


def own_import_ms(listing: str) -> dict[str, float]:
    """`-X importtime` -> own milliseconds of each top-level package; the standard library's are one."""
    total: dict[str, float] = defaultdict(float)
    for found in re.finditer(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", listing, re.M):
        top = found[2].split(".")[0]
        if top in sys.stdlib_module_names or top.startswith("_"):
            top = "the standard library"
        total[top] += int(found[1]) / 1e3
    return dict(total)


# ---- The offline engine ----

USUAL = (1024, 8)  # size of the question, connections


def offline(bench: Bench) -> Outcome:
    """Events of the built-in engine, out of HTTP."""
    place = bench.folder / "offline"
    place.mkdir()
    rows: list[list[Value]] = []
    usual = None
    with dragoman(None, place) as server:
        for size, connections in ((1024, 1), USUAL, (16 * 1024, 8), (64 * 1024, 8)):
            content = body(stream=True, size=size)
            seen = interleaved([server], bench.rounds(2), offline_slice(content, bench.folder, connections))[
                server.name
            ]
            wall = middle([one.events / one.seconds for one, _ in seen])
            cpu = middle([one.events / used for one, used in seen if used])
            usual = wall if (size, connections) == USUAL else usual
            per_reply = middle([one.events / max(1, one.requests) for one, _ in seen])
            rows.append(
                [f"{size_kb(size)}, {connections} at once", per_reply, wall, cpu, sum(one.errors for one, _ in seen)]
            )
        rss = server.memory_mb()
    about = (
        "Streams of the engine that repeats what it was told, without a pace: events read by a client over HTTP. "
        f"A larger question has a longer answer. RSS afterwards: {rss:.0f} MB."
    )
    columns = ("question", "events a reply", "events/s, wall", "events a CPU second", "errors")
    return Outcome(
        [Table("Offline engine", about, columns, rows)],
        [Target("Offline engine, streamed (1 KB, 8 at once)", 100_000, usual, "events/s", at_least=True)],
    )


def offline_slice(content: bytes, folder: Path, connections: int) -> Callable[[Server], tuple[Result, float]]:
    def once(server: Server) -> tuple[Result, float]:
        before = server.cpu_s()
        saw = load(server, content, folder, connections=connections, seconds=1.2)
        return saw, server.cpu_s() - before

    return once


def size_kb(size: int) -> str:
    return f"{size // 1024} KB"


ALONE: dict[str, Callable[[Bench], Outcome]] = {
    "start": start_up,
    "memory": memory,
    "concurrency": concurrency,
    "imports": imports,
    "offline": offline,
}
"""name -> the measure."""
