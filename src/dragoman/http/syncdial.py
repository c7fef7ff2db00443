"""TCP connections by name for the blocking transport: in the caller's thread, all addresses of a host raced (RFC 8305).

Nothing here waits longer than a slice of time without looking whether the connection is still wanted.
"""

import errno
import os
import selectors
import socket
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from dragoman.http.addresses import HEAD_START_S, Address, literal, taking_turns
from dragoman.http.base import ConnectFailed, ConnectTimeout, TotalTimeout, late

__all__ = ["Patience", "dial"]

SLICE_S = 0.1  # how soon a closed transport is noticed where nothing can end the wait
_UNDER_WAY = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR})


class Patience:
    """How long it may take until a request can be written, and whether that is still wanted.

    `total_at`: the monotonic time at which the whole exchange is over. `is_closed`: of the transport, from now on.
    """

    __slots__ = ("_connect_s", "_is_closed", "_name", "_total_at", "_until")

    def __init__(
        self, name: str, connect_s: float | None, total_at: float | None, is_closed: Callable[[], bool]
    ) -> None:
        self._name = name
        self._connect_s = connect_s
        self._total_at = total_at
        self._is_closed = is_closed
        ends = [] if connect_s is None else [monotonic() + connect_s]
        if total_at is not None:
            ends.append(total_at)
        self._until = min(ends, default=None)

    def left_s(self) -> float | None:
        """Raises ConnectFailed when the transport was closed, ConnectTimeout and TotalTimeout when time is over."""
        if self._is_closed():
            raise ConnectFailed(self._name, "the transport has been closed")
        if self._until is None:
            return None
        left = self._until - monotonic()
        if left > 0:
            return left
        if self._until == self._total_at:
            raise late(TotalTimeout, self._name)
        raise late(ConnectTimeout, self._name, self._connect_s)

    def slice_s(self) -> float:
        """As `left_s`, and no longer than one may wait without asking again."""
        left = self.left_s()
        return SLICE_S if left is None else min(left, SLICE_S)


def dial(host: str, port: int, patience: Patience) -> socket.socket:
    """A connected socket that does not block, which the caller owns.

    Raises OSError, that of the first address that failed, UnicodeError for a name that is none, and what `patience`
    raises.
    """
    return _race(literal(host, port) or _resolved(host, port, patience), patience)


def _resolved(host: str, port: int, patience: Patience) -> list[Address]:
    """In a thread of its own: the system may take minutes, and cannot be interrupted."""
    answer: SimpleQueue[list[tuple[Any, ...]] | Exception] = SimpleQueue()

    def look_up() -> None:
        try:
            answer.put([*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except Exception as exc:  # whatever it is, the thread that waits raises it
            answer.put(exc)

    try:
        threading.Thread(target=look_up, name="dragoman-lookup", daemon=True).start()
    except RuntimeError:  # no thread can be had, as at the end of the interpreter
        look_up()
    while True:
        try:
            found = answer.get(timeout=patience.slice_s())
        except Empty:
            continue
        if isinstance(found, Exception):
            raise found
        return taking_turns(host, found)


def _race(addresses: list[Address], patience: Patience) -> socket.socket:
    failure: OSError | None = None
    waiting = addresses[::-1]
    next_at = 0.0
    with selectors.DefaultSelector() as trying:
        try:
            while True:
                patience_s = patience.slice_s()
                if waiting and (monotonic() >= next_at or not trying.get_map()):
                    next_at = monotonic() + HEAD_START_S
                    try:
                        trying.register(_begin(waiting.pop()), selectors.EVENT_WRITE)
                    except OSError as exc:
                        failure = failure or exc
                if not trying.get_map():
                    if not waiting:
                        raise failure or OSError("no address")
                    continue
                if waiting:
                    patience_s = max(0.0, min(patience_s, next_at - monotonic()))
                for key, _ in trying.select(patience_s):
                    sock: socket.socket = key.fileobj  # type: ignore[assignment]
                    trying.unregister(sock)
                    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not error:
                        return sock
                    sock.close()
                    failure = failure or OSError(error, os.strerror(error))
        finally:
            for key in list(trying.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]


def _begin(address: Address) -> socket.socket:
    """A socket that is about to be connected. Raises OSError."""
    family, where = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = sock.connect_ex(where)
        if error not in _UNDER_WAY:
            raise OSError(error, os.strerror(error))
    except BaseException:
        sock.close()
        raise
    return sock
