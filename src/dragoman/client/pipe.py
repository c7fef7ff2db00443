"""A connection inside the process: two asyncio transports, each of which hands what is written to it to the other's
protocol. No socket, no copy.

Each end belongs to an event loop, of the same thread or of another, and is touched only there: the ends talk by the
callbacks of their loops, which keep their order. It holds a fast writer back as a socket does. Imports nothing of this
package.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["End", "join"]

HIGH_BYTES = 256 * 1024  # written and not taken: then the writer is told to wait
LOW_BYTES = 64 * 1024  # and from here on, to go on
PIECE_BYTES = 256 * 1024  # handed on at once, as a loop reads from a socket


class End(asyncio.Transport):
    """One end. `begin` gives it its protocol; what came before that waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._peer: End | None = None
        self._protocol: asyncio.Protocol | None = None
        self._arrived: deque[bytes] = deque()  # and not yet handed to the protocol
        self._unsent = 0  # bytes that were written here, and the other side has not taken
        self._is_reading = True
        self._is_full = False
        self._is_closing = False
        self._is_lost = False
        self._has_end = False  # the other side writes no more

    def begin(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)
        self._hand_on()

    # -- for the protocol --

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_closing or not data:
            return
        self._unsent += len(data)
        self._tell(_arrive, bytes(data))
        if self._unsent > HIGH_BYTES and not self._is_full and self._protocol is not None:
            self._is_full = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """The other side gets what was written, then the end."""
        self._end(is_reset=False)

    def abort(self) -> None:
        """The other side loses the connection, and what it has not taken yet."""
        self._end(is_reset=True)

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        self._is_reading = False

    def resume_reading(self) -> None:
        if not self._is_reading and not self._is_closing:
            self._is_reading = True
            self._loop.call_soon(self._hand_on)  # not now: the protocol may be in the middle of something

    def is_reading(self) -> bool:
        return self._is_reading and not self._is_closing

    def get_write_buffer_size(self) -> int:
        return self._unsent

    # -- inside --

    def _end(self, *, is_reset: bool) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self._tell(_hear_end, is_reset)
        self._loop.call_soon(self._lose, None)

    def _tell(self, what: "Callable[[End, Any], None]", value: object) -> None:
        """Have `what` done by the other end in its own time."""
        peer = self._peer
        if peer is None:
            return
        if peer._loop is self._loop:
            self._loop.call_soon(what, peer, value)
            return
        try:
            peer._loop.call_soon_threadsafe(what, peer, value)
        except RuntimeError:  # its loop has been closed, and nobody is there any more
            self._peer = None
            self._loop.call_soon(self._lose, ConnectionResetError("the event loop of the other side has ended"))

    def _hand_on(self) -> None:
        while self._arrived and self._is_reading and not self._is_closing and self._protocol is not None:
            data = self._arrived.popleft()
            self._tell(_took, len(data))
            self._protocol.data_received(data)
        if self._has_end and not self._arrived and self._is_reading and self._protocol is not None:
            self._has_end = False
            if not self._is_closing:
                self._protocol.eof_received()
            self.close()

    def _lose(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = self._is_closing = True
        self._arrived.clear()
        self._peer = None
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(error)


def join(here: End, there: End) -> None:
    """Make one connection of two ends, before either has begun."""
    here._peer, there._peer = there, here


# What ends tell each other.


def _arrive(end: End, data: bytes) -> None:
    if len(data) <= PIECE_BYTES:
        end._arrived.append(data)
    else:
        end._arrived.extend(data[start : start + PIECE_BYTES] for start in range(0, len(data), PIECE_BYTES))
    end._hand_on()


def _took(end: End, size: int) -> None:
    end._unsent -= size
    if end._is_full and end._unsent <= LOW_BYTES and end._protocol is not None:
        end._is_full = False
        end._protocol.resume_writing()


def _hear_end(end: End, is_reset: bool) -> None:
    if is_reset:
        end._lose(ConnectionResetError("the other side hung up"))
    else:
        end._has_end = True
        end._hand_on()
