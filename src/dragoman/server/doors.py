"""Where a server takes connections: at its own socket, and for a while at those of workers that are not there."""

import asyncio
import socket

from .listening import BACKLOG, refuse_new
from .protocol import Connections

__all__ = ["Doors"]

SETTLE_S = 0.1  # a way there and back over the network


class Doors:
    """The listening sockets of this process, by the numbers of the workers that they are of."""

    def __init__(self, connections: Connections, sockets: list[socket.socket], own: int = 0) -> None:
        self._connections = connections
        self._sockets = sockets
        self._own = own
        self._open: dict[int, asyncio.Server] = {}
        self._is_shut = False

    async def open(self) -> None:
        await self._listen(self._own)

    async def cover(self, number: int) -> None:
        if number not in self._open:
            await self._listen(number)

    def uncover(self, number: int) -> None:
        if number != self._own and number in self._open:
            self._open.pop(number).close()

    async def shut(self) -> None:
        """Take no more connections, but those that have come. For a stop of all who have these sockets: they are of no
        use any more."""
        for number in self._open:
            refuse_new(self._sockets[number])
        await asyncio.sleep(SETTLE_S)  # what is on its way comes to be taken
        self.leave()

    def leave(self) -> None:
        """Take no more connections. Other processes that have the same sockets go on."""
        self._is_shut = True
        while self._open:
            self._open.popitem()[1].close()
        for sock in self._sockets:
            sock.close()

    async def _listen(self, number: int) -> None:
        """With a descriptor of its own, which the loop closes."""
        server = await asyncio.get_running_loop().create_server(
            self._connections, sock=self._sockets[number].dup(), backlog=BACKLOG
        )
        if self._is_shut:
            server.close()
        else:
            self._open[number] = server
