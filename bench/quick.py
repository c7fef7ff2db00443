"""The quick mode: CPU a request of dragoman and of nginx, interleaved, and their ratio. To steer by, not to publish."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .load import Result, body, load, wrk
from .systems import Server, dragoman, mock, mock_stats, nginx

__all__ = ["KINDS", "PACED", "Cost", "cost", "quick", "slice_of"]

PACED = "[mock paced interval_us=5000 deltas=100]"
KINDS = ("json", "sse", "paced")


def slice_of(kind: str, server: Server, folder: Path, *, seconds: float = 1) -> Result:
    """Load of a kind for about `seconds`: 32 connections, or 64 paced streams."""
    if kind == "paced":
        content = body(PACED, stream=True, model=server.model)
        return load(server, content, folder, connections=64, seconds=max(seconds, 2), ramp_ms=200)
    return wrk(server, body(stream=kind == "sse", model=server.model), folder, seconds=round(seconds))


class Cost(NamedTuple):
    """What a slice of load cost the server, and what the load saw."""

    cpu_us: float  # a request; of paced streams, an event
    saw: Result


def cost(kind: str, server: Server, upstream: Server, folder: Path, *, seconds: float = 1) -> Cost:
    """A slice, from rest to rest: what it cut off is counted by what reached the mock."""
    requests, used = mock_stats(upstream)["requests"], server.cpu_s()
    saw = slice_of(kind, server, folder, seconds=seconds)
    server.settle()
    used = server.cpu_s() - used
    requests = mock_stats(upstream)["requests"] - requests
    return Cost(used * 1e6 / max(1, saw.events if kind == "paced" else requests), saw)


def quick(kinds: Sequence[str], folder: Path, *, rounds: int = 3, dialect: str = "messages") -> None:
    with mock() as upstream, nginx(upstream, folder) as limit, dragoman(upstream, folder, dialect=dialect) as ours:
        print(f"{'':6} {'nginx':>8} {'dragoman':>9} {'ratio':>6}   CPU us a request (paced: an event)", flush=True)
        for kind in kinds:
            for server in (limit, ours):
                slice_of(kind, server, folder)  # warm
            costs: list[tuple[float, float]] = []
            for _ in range(rounds):
                (theirs, saw_theirs), (own, saw_own) = (cost(kind, one, upstream, folder) for one in (limit, ours))
                costs.append((theirs, own))
                failed = saw_theirs.errors + saw_own.errors
                notes = f"   {failed} errors" if failed else ""
                rates = f"{saw_theirs.requests / saw_theirs.seconds:8.0f} {saw_own.requests / saw_own.seconds:8.0f} /s"
                print(f"{kind:6} {theirs:8.1f} {own:9.1f} {own / theirs:6.2f}   {rates}{notes}", flush=True)
            theirs, own = (statistics.median(column) for column in zip(*costs, strict=True))
            ratio = statistics.median(own / theirs for theirs, own in costs)
            print(f"{kind:6} {theirs:8.1f} {own:9.1f} {ratio:6.2f}   median", flush=True)
