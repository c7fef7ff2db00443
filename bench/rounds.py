"""How measures are taken: in rounds that go from server to server, so that what disturbs the machine disturbs all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from .quick import Cost, cost
from .systems import Server

__all__ = ["Bench", "Measured", "column", "interleaved"]

T = TypeVar("T")
Measured = Mapping[str, Sequence[T]]


class Bench(NamedTuple):
    """The running servers: nginx, dragoman, dragoman with limits, routes or other dialects, and the peers."""

    upstream: Server
    nginx: Server
    dragoman: Server
    others: Sequence[Server]  # the next two among them
    routed: Server  # dragoman, with a choice of targets
    translating: Server  # dragoman before Chat Completions
    folder: Path
    scale: float = 1.0  # of the number of rounds

    @property
    def pair(self) -> list[Server]:
        return [self.nginx, self.dragoman]

    @property
    def all(self) -> list[Server]:
        return [*self.pair, *self.others]

    def that_do(self, kind: str) -> list[Server]:
        return [one for one in self.all if kind in one.supports]

    def rounds(self, usual: int) -> int:
        return max(1, round(usual * self.scale))

    def cost(self, kind: str, server: Server) -> Cost:
        """Peers take far fewer requests in a second: they get more seconds."""
        return cost(kind, server, self.upstream, self.folder, seconds=3 if server.is_peer else 1)


def interleaved(servers: Iterable[Server], rounds: int, once: Callable[[Server], T]) -> dict[str, list[T]]:
    """`once` of each server in each round, in another order each time: name -> what it gave, round by round.

    Peers are asked in two rounds at most: their slices are long.
    """
    servers = list(servers)
    found: dict[str, list[T]] = {server.name: [] for server in servers}
    for number in range(rounds):
        turn = number % len(servers)
        for server in servers[turn:] + servers[:turn]:
            if server.is_peer and number >= PEER_ROUNDS:
                continue
            found[server.name].append(once(server))
    return found


PEER_ROUNDS = 2


def column(measured: Measured[T], of: Callable[[T], float]) -> dict[str, list[float]]:
    """One figure of what was measured."""
    return {name: [of(one) for one in values] for name, values in measured.items()}
