"""Listening: the address that is taken before anything else starts."""

import errno
import select
import socket
import sys

import pytest
from rawhttp import Wire, request
from serving import Serving

from dragoman.errors import ConfigError
from dragoman.gateway.config.config import Listen
from dragoman.server.listening import bind, refuse_new


def test_port_0_takes_a_free_one() -> None:
    with bind(Listen("127.0.0.1", 0)) as one, bind(Listen("127.0.0.1", 0)) as other:
        assert one.getsockname()[1] != other.getsockname()[1]
        assert not one.getblocking()


@pytest.mark.parametrize("host", ["127.0.0.1", "203.0.113.1", "x" * 300])
def test_an_address_that_cannot_be_had_is_told_with_the_remedy(host: str) -> None:
    """203.0.113.0/24 is for documentation: no machine has it."""
    with (
        bind(Listen("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigError, match=r"cannot listen on .*--listen"),
    ):
        bind(Listen(host, taken.getsockname()[1]))


async def test_replies_do_not_wait_for_acknowledgements() -> None:
    """Head and body are two writes: with Nagle's delay the second waits 40 ms and more on a kept connection."""
    async with Serving() as server, await Wire.connect(server.url) as wire:
        await wire.send(request("GET", "/"))
        assert (await wire.reply()).status == 200
        (connection,) = server.server.open
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a packet filter of Linux")
def test_before_a_socket_is_closed_nothing_new_connects_and_nothing_is_lost() -> None:
    """What has connected is taken, goes on, and gets its reply; a new one is held back, to find the socket closed."""
    with bind(Listen("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as early:
        early.sendall(b"request")
        refuse_new(listening)
        with socket.socket() as late:
            late.setblocking(False)
            assert late.connect_ex(listening.getsockname()) == errno.EINPROGRESS
            assert select.select([], [late], [], 0.05) == ([], [], [])
        taken, _ = listening.accept()
        with taken:
            assert taken.recv(100) == b"request"
            taken.sendall(b"reply")
            assert early.recv(100) == b"reply"
            early.sendall(b"more")
            assert taken.recv(100) == b"more"
        with pytest.raises(BlockingIOError):
            listening.accept()
