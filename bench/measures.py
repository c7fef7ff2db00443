"""Measures of requests: what they cost, how long they take, how that grows with bodies and with concurrency."""

import time
from collections.abc import Callable
from functools import partial

from .load import Result, body, finished, load, started
from .quick import PACED, Cost, slice_of
from .report import Outcome, Table, Target, middle, ratio
from .rounds import Bench, Measured, column, interleaved
from .systems import Server, direct

__all__ = ["MEASURES"]

PACE_US = 5000
SHORT = "[mock paced interval_us=2000 deltas=2]"  # a stream that is over soon
MB = 1 << 20
SIZES = (1 << 10, 100 << 10, MB, 5 * MB, 10 * MB, 20 * MB)


def json_requests(bench: Bench) -> Outcome:
    measured = costs(bench, "json", rounds=5)
    about = "A body of 1 KB, a reply of 700 bytes, 32 kept connections (wrk)."
    return Outcome(
        [cost_table(bench, "JSON", about, measured)],
        [
            cost_target(bench, "JSON, CPU a request, x nginx", 2.0, measured),
            cost_target(bench, "JSON, translated, CPU a request, x nginx", 5.0, measured, of=bench.translating),
            routed_target(bench, "JSON, routed, CPU a request, x not routed", measured),
        ],
    )


def sse_at_once(bench: Bench) -> Outcome:
    measured = costs(bench, "sse", rounds=5)
    about = "60 events (8 KB) that the upstream writes at once, 32 kept connections (wrk)."
    targets = [
        cost_target(bench, "SSE of 60 events at once, CPU a reply, x nginx", 1.3, measured),
        cost_target(bench, "SSE at once, translated, CPU a reply, x nginx", 8.0, measured, of=bench.translating),
        routed_target(bench, "SSE at once, routed, CPU a reply, x not routed", measured),
    ]
    return Outcome([cost_table(bench, "SSE at once", about, measured)], targets)


def sse_paced(bench: Bench) -> Outcome:
    measured = costs(bench, "paced", rounds=3)
    cpu = column(measured, lambda one: one.cpu_us)
    rows = [
        [
            server.name,
            middle(cpu[server.name]),
            ratio(cpu, server.name, bench.nginx.name),
            *(middle([read(one.saw) for one in measured[server.name]]) for read in PACED_COLUMNS.values()),
        ]
        for server in bench.that_do("paced")
    ]
    about = (
        "64 streams of 100 deltas, one every 5 ms each (12,800 events/s offered). A gap is the time between two reads "
        "of one stream that brought events."
    )
    columns = ("", "CPU us an event", "x nginx", *PACED_COLUMNS)
    targets = [
        cost_target(bench, "SSE paced, 64 streams, CPU an event, x nginx", 1.0, measured),
        cost_target(bench, "SSE paced, translated, CPU an event, x nginx", 2.0, measured, of=bench.translating),
        routed_target(bench, "SSE paced, routed, CPU an event, x not routed", measured),
    ]
    return Outcome([Table("SSE paced", about, columns, rows)], targets)


PACED_COLUMNS: dict[str, Callable[[Result], float]] = {
    "events/s": lambda saw: saw.events / saw.seconds,
    "reply p50 ms": lambda saw: saw.p50 / 1e3,
    "gap p50 ms": lambda saw: saw.gap_p50 / 1e3,
    "gap p99 ms": lambda saw: saw.gap_p99 / 1e3,
    "errors": lambda saw: saw.errors,
}
COST_COLUMNS: dict[str, Callable[[Result], float]] = {
    "replies/s": lambda saw: saw.requests / saw.seconds,
    "p50 ms": lambda saw: saw.p50 / 1e3,
    "p99 ms": lambda saw: saw.p99 / 1e3,
    "errors": lambda saw: saw.errors,
}


def costs(bench: Bench, kind: str, *, rounds: int) -> dict[str, list[Cost]]:
    servers = bench.that_do(kind)
    for server in servers:
        slice_of(kind, server, bench.folder)
        server.settle()
    return interleaved(servers, bench.rounds(rounds), partial(bench.cost, kind))


def cost_table(bench: Bench, title: str, about: str, measured: Measured[Cost]) -> Table:
    cpu = column(measured, lambda one: one.cpu_us)
    rows = [
        [
            name,
            middle(cpu[name]),
            ratio(cpu, name, bench.nginx.name),
            *(middle([read(one.saw) for one in found]) for read in COST_COLUMNS.values()),
        ]
        for name, found in measured.items()
    ]
    return Table(title, about, ("", "CPU us a reply", "x nginx", *COST_COLUMNS), rows)


def cost_target(
    bench: Bench,
    what: str,
    bound: float,
    measured: Measured[Cost],
    *,
    of: Server | None = None,
    to: Server | None = None,
) -> Target:
    """`of` one server, by default dragoman, `to` another, by default nginx. Not measured, if more than one in a hundred
    requests of either failed: a refusal is cheap."""
    ours, other = of or bench.dragoman, to or bench.nginx
    for server in (other, ours):
        saw = [one.saw for one in measured[server.name]]
        if sum(one.errors for one in saw) * 100 > sum(one.requests for one in saw):
            return Target(what, bound, None)
    cpu = column(measured, lambda one: one.cpu_us)
    return Target(what, bound, ratio(cpu, ours.name, other.name))


def routed_target(bench: Bench, what: str, measured: Measured[Cost]) -> Target:
    """What a choice of targets adds."""
    return cost_target(bench, what, 1.1, measured, of=bench.routed, to=bench.dragoman)


# ---- Time that is added ----


def latency(bench: Bench) -> Outcome:
    """One connection, one request after another; what is added to the mock's own answer."""
    content = {server.model: body(model=server.model) for server in bench.all}

    def once(server: Server) -> Result:
        return load(server, content[server.model], bench.folder, connections=1, seconds=0.7)

    measured = interleaved([direct(bench.upstream), *bench.that_do("json")], bench.rounds(7), once)
    added = over_direct(column(measured, lambda one: one.p50))
    p99 = column(measured, lambda one: one.p99)
    rows = [[name, middle(added[name]), ratio(added, name, bench.nginx.name), middle(p99[name])] for name in measured]
    about = "One kept connection, JSON, one request after another: p50 less the p50 of asking the mock directly."
    columns = ("", "added us (direct: whole)", "x nginx", "p99 us, whole")
    rows[0][1:3] = [middle(column(measured, lambda one: one.p50)["direct"]), None]
    value = ratio(added, bench.dragoman.name, bench.nginx.name)
    return Outcome(
        [Table("Latency added", about, columns, rows)], [Target("Latency added at one connection, x nginx", 1.4, value)]
    )


def over_direct(p50: dict[str, list[float]]) -> dict[str, list[float]]:
    """Round by round, what each is slower than the mock alone."""
    return {
        name: [value - alone for value, alone in zip(values, p50["direct"], strict=False)]
        for name, values in p50.items()
    }


def first_event(bench: Bench) -> Outcome:
    """The time to the first event of a stream, over that of the mock alone."""
    found = []
    servers = [direct(bench.upstream), *bench.that_do("paced")]
    for new in (0, 1):

        def once(server: Server, new: int = new) -> Result:
            content = body(SHORT, stream=True, model=server.model)
            return load(server, content, bench.folder, connections=1, seconds=0.6, new=new)

        found.append(column(interleaved(servers, bench.rounds(5), once), lambda one: one.first_p50))
    kept, fresh = (over_direct(one) for one in found)
    rows = [
        [
            name,
            middle(kept[name]),
            ratio(kept, name, bench.nginx.name),
            middle(fresh[name]),
            ratio(fresh, name, bench.nginx.name),
        ]
        for name in kept
    ]
    rows[0][1:] = [middle(found[0]["direct"]), None, middle(found[1]["direct"]), None]
    about = "From the request to the first event of a stream that trickles, one at a time: p50 less that of the mock."
    columns = (
        "",
        "kept connection, added us (direct: whole)",
        "x nginx",
        "new connection, added us (direct: whole)",
        "x nginx",
    )
    return Outcome([Table("First event", about, columns, rows)])


# ---- Large bodies ----


def body_growth(bench: Bench) -> Outcome:
    """CPU a request as the body grows."""
    rows = []
    per_mb: dict[int, float | None] = {}
    for size in SIZES:
        content = body(size=size)

        def once(server: Server, content: bytes = content) -> tuple[float, Result]:
            before = server.cpu_s()
            saw = load(server, content, bench.folder, connections=1, seconds=0.6)
            server.settle()
            return (server.cpu_s() - before) * 1e3 / max(1, saw.requests), saw

        measured = interleaved(bench.pair, bench.rounds(3), once)
        cpu = column(measured, lambda one: one[0])
        p50 = column(measured, lambda one: one[1].p50 / 1e3)
        errors = sum(one[1].errors for values in measured.values() for one in values)
        ours, theirs = (middle(cpu[one.name]) for one in (bench.dragoman, bench.nginx))
        per_mb[size] = ours * MB / size if ours else None
        rows.append(
            [
                size_name(size),
                ours,
                theirs,
                ratio(cpu, bench.dragoman.name, bench.nginx.name),
                per_mb[size],
                middle(p50[bench.dragoman.name]),
                middle(p50[bench.nginx.name]),
                errors,
            ]
        )
    columns = (
        "body", "dragoman CPU ms", "nginx CPU ms", "x nginx", "dragoman CPU ms a MB",
        "dragoman p50 ms", "nginx p50 ms", "errors",
    )  # fmt: skip
    about = "JSON requests of one connection. In linear time the cost of a MB stays the same from 1 MB on."
    small, large = per_mb[MB], per_mb[20 * MB]
    growth = large / small if small and large else None
    return Outcome(
        [Table("Growth with the body", about, columns, rows)],
        [Target("A MB of a 20 MB body over a MB of a 1 MB body (linear: 1), CPU", 1.5, growth, "times")],
    )


def size_name(size: int) -> str:
    return f"{size // MB} MB" if size >= MB else f"{size >> 10} KB"


def large_beside_streams(bench: Bench) -> Outcome:
    """What three requests of 20 MB, one after another, do to 50 running streams."""
    content, big = body(PACED, stream=True), body(size=20 * MB)

    def once(server: Server, disturb: bool) -> float:
        with started(server, content, bench.folder, connections=50, seconds=2.5, ramp_ms=300) as streams:
            time.sleep(0.9)
            if disturb:
                load(server, big, bench.folder, connections=1, seconds=20, requests=3)
            return finished(streams, 30).gap_max / 1e3 - PACE_US / 1e3

    servers = [direct(bench.upstream), *bench.pair]
    calm = interleaved(servers, 1, partial(once, disturb=False))
    late = interleaved(servers, bench.rounds(3), partial(once, disturb=True))
    rows = [[name, middle(late[name]), max(late[name]), calm[name][0]] for name in late]
    about = (
        "50 streams with an event every 5 ms, meanwhile three requests of 20 MB one after another: by how much the "
        "latest event of all was late. Sending and taking 20 MB keeps the load's core busy too: see the line `direct`."
    )
    columns = ("", "latest event ms late (median of the rounds)", "worst round", "undisturbed")
    value = middle(late[bench.dragoman.name])
    return Outcome(
        [Table("Large requests beside streams", about, columns, rows)],
        [Target("A 20 MB request delays 50 running streams by at most", 100, value, "ms")],
    )


MEASURES: dict[str, Callable[[Bench], Outcome]] = {
    "json": json_requests,
    "sse": sse_at_once,
    "paced": sse_paced,
    "latency": latency,
    "first": first_event,
    "bodies": body_growth,
    "beside": large_beside_streams,
}
"""name -> the measure; each takes servers that run."""
