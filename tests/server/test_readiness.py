"""The probes of a load balancer, over HTTP, and what they are told of a server that stops."""

import asyncio
import signal
from pathlib import Path

from rawhttp import HELLO, Wire, error, exchange, post, request
from running import Running
from serving import Serving

from dragoman.errors import StoreError

GET_READY = request("GET", "/readyz", key=None)
GET_HEALTH = request("GET", "/healthz", key=None)


async def test_the_part_that_is_away_is_named_and_nothing_else_is_told() -> None:
    async with Serving() as server:
        assert (await exchange(server.url, GET_READY, method="GET")).json() == {"status": "ready"}

        async def away() -> None:
            raise StoreError("the PostgreSQL database secret at 10.1.2.3 is away")

        server.gateway.readiness = type(server.gateway.readiness)({"database": away})
        reply = await exchange(server.url, GET_READY, method="GET")
        assert error(reply, 503)["message"] == "Not ready: database."
        assert b"10.1.2.3" not in reply.body
        assert (await exchange(server.url, GET_HEALTH, method="GET")).status == 200


async def test_probes_reach_no_provider() -> None:
    """Pain 62: an hour of them, and nothing was asked and nothing accounted."""
    async with Serving(upstream="http://127.0.0.1:9") as server, await Wire.connect(server.url) as wire:
        for _ in range(200):
            for probe in (GET_READY, GET_HEALTH):
                await wire.send(probe)
                assert (await wire.reply("GET")).status == 200
        assert server.rows == []


def test_a_server_that_stops_says_so_before_it_takes_no_more(tmp_path: Path) -> None:
    """`shutdown_delay_s`: a balancer has time to see it. Until then requests are answered, on kept connections and new
    ones, and each is told that its connection ends."""

    async def ask() -> None:
        async with await Wire.connect(server.url) as kept, await Wire.connect(server.url) as idle:
            await kept.send(post(HELLO, key=server.key))
            assert (await kept.reply()).header("connection") is None
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            while (await exchange(server.url, GET_READY, method="GET")).status == 200:
                pass
            assert (await exchange(server.url, GET_HEALTH, method="GET")).status == 200
            for wire in (kept, idle):
                await wire.send(post(HELLO, key=server.key))
                reply = await wire.reply()
                assert (reply.status, reply.header("connection")) == (200, "close")
                assert await wire.is_closed()
            async with await Wire.connect(server.url) as new:
                await new.send(post({**HELLO, "stream": True}, key=server.key))
                reply = await new.reply()
                assert (reply.status, reply.header("connection")) == (200, "close")
            server.process.send_signal(signal.SIGTERM)  # no need to wait for the rest

    with Running(tmp_path, "[server]\nshutdown_delay_s = 600\n") as server:
        asyncio.run(ask())
        assert server.process is not None
        assert server.process.wait(30) == 0


def test_without_a_delay_a_stop_is_quick(tmp_path: Path) -> None:
    async def ask() -> None:
        async with await Wire.connect(server.url) as idle:
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            assert await idle.is_closed()

    with Running(tmp_path) as server:
        asyncio.run(ask())
        assert server.process is not None
        assert server.process.wait(30) == 0
