"""TCP connections by name: all addresses of a host, raced as RFC 8305 says ("happy eyeballs"), and no socket leaked.

The loops' own `create_connection` is not used for that: uvloop's knows no race and waits minutes for a dead IPv6
address, and asyncio's (3.11) forgets a socket when it is cancelled in the moment in which that is connected.
"""

import asyncio
import socket

from dragoman.http.addresses import HEAD_START_S, Address, literal, taking_turns

__all__ = ["dial"]


async def dial(host: str, port: int) -> socket.socket:
    """A connected socket, which the caller owns. Raises OSError, that of the first address that failed."""
    addresses = literal(host, port) or await _resolved(host, port)
    if len(addresses) == 1:
        return await _connect(addresses[0])
    return await _race(addresses)


async def _resolved(host: str, port: int) -> list[Address]:
    return taking_turns(host, await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))


async def _connect(address: Address) -> socket.socket:
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


async def _race(addresses: list[Address]) -> socket.socket:
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
