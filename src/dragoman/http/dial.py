"""TCP connections by name: all addresses of a host, raced as RFC 8305 says ("happy eyeballs"), and no socket leaked.

The loops' own `create_connection` is not used for that: uvloop's knows no race and waits minutes for a dead IPv6
address, and asyncio's (3.11) forgets a socket when it is cancelled in the moment in which that is connected.
"""

import asyncio
import socket
from itertools import chain, zip_longest

__all__ = ["dial"]

HEAD_START_S = 0.25  # RFC 8305, section 5: how long one address is tried before the next joins in

_Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


async def dial(host: str, port: int) -> socket.socket:
    """A connected socket, which the caller owns. Raises OSError, that of the first address that failed."""
    addresses = _literal(host, port) or await _resolved(host, port)
    if len(addresses) == 1:
        return await _connect(addresses[0])
    return await _race(addresses)


def _literal(host: str, port: int) -> list[_Address]:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return [(family, (host, port) if family == socket.AF_INET else (host, port, 0, 0))]
    return []


async def _resolved(host: str, port: int) -> list[_Address]:
    """The addresses in the order of the system, families taking turns."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not found:
        raise OSError(f"no address for {host}")
    first = [(family, address) for family, _, _, _, address in found if family == found[0][0]]
    others = [(family, address) for family, _, _, _, address in found if family != found[0][0]]
    return [each for each in chain.from_iterable(zip_longest(first, others)) if each is not None]  # type: ignore[misc]


async def _connect(address: _Address) -> socket.socket:
    family, where = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


async def _race(addresses: list[_Address]) -> socket.socket:
    trying: set[asyncio.Task[socket.socket]] = set()
    failure: OSError | None = None
    rest = iter(addresses)
    try:
        while True:
            if (address := next(rest, None)) is not None:
                trying.add(asyncio.create_task(_connect(address)))
            elif not trying:
                raise failure or OSError("no address")
            head_start = HEAD_START_S if address is not None else None
            done, _ = await asyncio.wait(trying, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                trying.discard(task)
                error = task.exception()
                if error is None:
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                failure = failure or error
    finally:
        for task in trying:
            task.add_done_callback(_close_unused)  # one may have connected in this moment
            task.cancel()


def _close_unused(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
