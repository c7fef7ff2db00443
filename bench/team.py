"""`python -m bench.team`: what keys, limits and the ledger add to a passed-through request, in CPU of the server.

The same server several times, with more and more switched on, asked in turns. Everything that a request causes is
counted, the storing of its row included: each slice of load is measured from rest to rest.
"""

import argparse
import os
import sqlite3
import statistics
import tempfile
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path

from .children import raise_file_limit, signals_as_exit
from .quick import KINDS, cost, slice_of
from .systems import LIMITED_TOML, Server, dragoman, mock
from .tools import all_needed

__all__ = ["main"]

BOUND = 1.25  # with everything on, as a share of what it costs with nothing on
ONE_SCOPE = '[tiers.wide]\nrpm = 1000000\nitpm = 1000000000\notpm = 1000000000\n\n[limits.keys]\n"*" = "wide"\n'
# What is written below the bench's own configuration.
SYSTEMS = {
    "nothing": "[ledger]\nenabled = false\n",
    "ledger": "",
    "ledger, limits of a key": ONE_SCOPE,
    "ledger, limits of three scopes": LIMITED_TOML,
    "limits of three scopes": "[ledger]\nenabled = false\n" + LIMITED_TOML,
}
MANY = "nothing, many keys"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.team", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, default="json")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keys", type=int, help="how many keys another server has in its database")
    options = parser.parse_args()
    signals_as_exit()
    all_needed("wrk", "cc")
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as place, ExitStack() as stack:
        folder = Path(place)
        upstream = stack.enter_context(mock())
        servers = [
            stack.enter_context(dragoman(upstream, folder, name=name, more=more)) for name, more in SYSTEMS.items()
        ]
        if options.keys:
            servers.append(stack.enter_context(with_keys(upstream, folder, options.keys)))
        found = measured(options.kind, servers, upstream, folder, rounds=options.rounds)
    plain = found["nothing"]
    print(f"{'':32} {'us a request':>12} {'x nothing':>9}")
    for name, costs in found.items():
        ratio = statistics.median(one / other for one, other in zip(costs, plain, strict=True))
        print(f"{name:32} {statistics.median(costs):12.1f} {ratio:9.2f}")
    worst = statistics.median(
        one / other for one, other in zip(found["ledger, limits of three scopes"], plain, strict=True)
    )
    print(f"bound {BOUND}: {'held' if worst <= BOUND else 'not held'}")
    return 0


def with_keys(upstream: Server, folder: Path, number: int) -> AbstractContextManager[Server]:
    """One more server, with so many other keys in its database."""
    with dragoman(upstream, folder, name=MANY, more=SYSTEMS["nothing"]):
        pass  # now there is a database, with one key
    (database,) = (folder / MANY.replace(", ", "-").replace(" ", "-")).glob("*.db")
    with closing(sqlite3.connect(database)) as connection, connection:
        (created_at,) = connection.execute("SELECT created_at FROM api_keys").fetchone()
        connection.executemany(
            "INSERT INTO api_keys (id, name, hash, hint, created_at, is_test) VALUES (?, 'one of many', ?, '', ?, 0)",
            ((f"apikey_{at:024}", os.urandom(32), created_at) for at in range(number)),
        )
    return dragoman(upstream, folder, name=MANY, more=SYSTEMS["nothing"])


def measured(
    kind: str, servers: list[Server], upstream: Server, folder: Path, *, rounds: int
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {server.name: [] for server in servers}
    for server in servers:
        slice_of(kind, server, folder)  # warm
    for _ in range(rounds):
        for server in servers:
            found[server.name].append(cost(kind, server, upstream, folder, seconds=2).cpu_us)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
