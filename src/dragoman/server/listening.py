"""The address that a server listens on, taken before anything else starts. Imports nothing that serves requests."""

import ctypes
import socket
import struct
import sys
from contextlib import ExitStack, suppress

from dragoman.errors import ConfigError
from dragoman.gateway.config.values import Listen

__all__ = ["BACKLOG", "bind", "bind_several", "refuse_new", "url_of"]

BACKLOG = 2048  # connections that wait to be taken

# Of Linux: <asm-generic/socket.h>, and a program of the classic packet filter (<linux/filter.h>) over a TCP header: it
# drops a SYN that is no answer to one, and lets all else through.
SO_ATTACH_FILTER = 26
NO_SYN = (
    (0x30, 0, 0, 13),  # load the byte of flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # then nothing of it
    (0x06, 0, 0, 0xFFFF_FFFF),  # else all
)


def bind(listen: Listen) -> socket.socket:
    """A listening socket. Raises ConfigError."""
    sock = _socket(listen)
    try:
        sock.bind((listen.host, listen.port))
        sock.listen(BACKLOG)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
        sock.close()
        raise _refusal(listen, error) from error
    return sock


def bind_several(listen: Listen, count: int) -> list[socket.socket]:
    """Sockets of one address, between which the system shares out what connects; only the first listens yet.

    One a worker, because workers that share a socket race for what comes: of 400 connections that came at once, four
    of them took 111, 62, 5 and 222, with a socket each 89, 96, 98 and 117 (Linux 6.18, 2026-11-21). Where only Linux's
    SO_REUSEPORT shares out evenly, all get the same socket elsewhere. The option is set once the first socket has the
    address: so a second server is refused it, as ever. Raises ConfigError.
    """
    first = bind(listen)
    if not sys.platform.startswith("linux"):
        return [first] * count
    with ExitStack() as undone:
        undone.enter_context(first)
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found = [first]
        for _ in range(count - 1):
            sock = undone.enter_context(_socket(listen))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            try:
                sock.bind(first.getsockname())
            except OSError as error:
                raise _refusal(listen, error) from error
            found.append(sock)
        undone.pop_all()
    return found


def refuse_new(sock: socket.socket) -> None:
    """Let nothing more connect to a socket that is to be closed soon, but let be taken what has connected.

    Closing it resets what waits in it, and a balancer does not send again what it has sent. Whoever is held back tries
    again, a second later, and finds the socket closed. Does nothing where the system is not Linux, or cannot.
    """
    if not sys.platform.startswith("linux"):
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in NO_SYN))
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(NO_SYN), ctypes.addressof(program)))


def url_of(sock: socket.socket) -> str:
    """The base URL under which this machine's programs reach the server."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _socket(listen: Listen) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    # The protocol is named because asyncio's own loop (on Windows) asks for it before it switches Nagle's delay off.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setblocking(False)
    return sock


def _refusal(listen: Listen, error: Exception) -> ConfigError:
    reason = getattr(error, "strerror", None) or error
    return ConfigError(
        f"cannot listen on {listen}: {reason}. Stop what listens there, or choose another address "
        "with --listen (port 0 takes a free one)."
    )
