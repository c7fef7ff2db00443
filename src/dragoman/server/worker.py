"""One worker's end of `dragoman serve --workers N`: the sockets that it was given, and the line to its parent.

A line is a pair of connected sockets. The parent says words, each on a line of its own: "stop", "hurry", "finish" (for
another one has taken this one's place), "cover 3" and "uncover 3" (take the connections of worker 3 too, which is not
there, and no more). The worker says what `Word` holds. A line that ends tells that the parent is gone.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, MutableMapping
from contextlib import suppress
from typing import Literal

import msgspec

__all__ = ["VARIABLE", "Place", "Word"]

VARIABLE = "DRAGOMAN_WORKER_PLACE"  # set by the parent: number, line, sockets, as descriptors
READ_BYTES = 4096


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker tells. `failed`: why it could not start. `first_key`: it made that, and it is shown once."""

    state: Literal["ready", "leaving", "failed"]
    first_key: str | None = None
    failed: str | None = None
    is_config: bool = False  # the reason is the configuration's

    def __repr__(self) -> str:  # never with the key
        return f"Word({self.state})"


class Place:
    """Which of the workers this process is: `number` is also that of its own socket among `sockets`."""

    def __init__(self, number: int, line: socket.socket, sockets: list[socket.socket]) -> None:
        self.number = number
        self.sockets = sockets
        self._line = line

    @classmethod
    def take(cls, env: MutableMapping[str, str]) -> "Place | None":
        """The place that the parent has given to this process, and to none that it starts; None: it has none."""
        given = env.pop(VARIABLE, "")
        if not given:
            return None
        number, line, *listening = map(int, given.split(":"))
        for descriptor in (line, *listening):
            os.set_inheritable(descriptor, False)
        opened = {each: socket.socket(fileno=each) for each in (line, *listening)}
        opened[line].setblocking(False)
        return cls(number, opened[line], [opened[each] for each in listening])

    def tell(self, word: Word) -> None:
        """What is told fits the line's buffer; nobody may be there any more."""
        with suppress(OSError):
            self._line.send(msgspec.json.encode(word) + b"\n")

    async def words(self) -> AsyncIterator[tuple[str, int]]:
        """The parent's words, each with its number (0 where it has none); at its end "orphan", once."""
        loop = asyncio.get_running_loop()
        unread = b""
        while data := await self._read(loop):
            *words, unread = (unread + data).split(b"\n")
            for word in words:
                name, _, number = word.decode().partition(" ")
                yield name, int(number or 0)
        yield "orphan", 0

    async def _read(self, loop: asyncio.AbstractEventLoop) -> bytes:
        try:
            return await loop.sock_recv(self._line, READ_BYTES)
        except OSError:
            return b""

    def close(self) -> None:
        self._line.close()
        for sock in self.sockets:
            sock.close()
