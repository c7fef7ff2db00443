"""dragoman between a raw client and an upstream that misbehaves: real sockets on both sides."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from canned import BLOCK, DELTA, START, UPSTREAM_ID, sse
from misbehaving import Handler, Misbehaving, chunk, sse_head
from rawhttp import HELLO, Reply, events, exchange, post
from serving import Serving

__all__ = ["ASKING", "BEGUN", "PING", "SHORT", "ask", "cut", "relay", "without_pings"]

ASKING = {**HELLO, "stream": True}
SHORT = {"first_byte_timeout_s": 0.15, "idle_timeout_s": 0.15}
BEGUN = sse_head(("request-id", UPSTREAM_ID)) + chunk(sse(START, BLOCK, DELTA))
PING = b'event: ping\ndata: {"type":"ping"}\n\n'


@asynccontextmanager
async def relay(handler: Handler, **settings: Any) -> AsyncIterator[tuple[Serving, Misbehaving]]:
    async with Misbehaving(handler) as upstream, Serving(upstream=upstream.url, **settings) as server:
        yield server, upstream


async def ask(handler: Handler, body: Any = HELLO, *, path: str = "/v1/messages", **settings: Any) -> Reply:
    """One request through dragoman to such an upstream. The ledger must hold one row of it."""
    async with relay(handler, **settings) as (server, _):
        answered = await exchange(server.url, post(body, path=path))
        await server.settled()
        assert len(server.rows) == 1, server.rows
        assert server.rows[0]["status"] == str(answered.status)
        return answered


def cut(answered: Reply) -> dict[str, Any]:
    """The error that ends a stream which had begun: exactly one, and no message_stop."""
    assert answered.status == 200
    told = events(answered.body)
    names = [name for name, _ in told]
    assert names.count("error") == 1, names
    assert names[-1] == "error", names
    assert "message_stop" not in names
    assert told[-1][1]["request_id"] == answered.header("request-id")
    return dict(told[-1][1]["error"])


def without_pings(body: bytes) -> bytes:
    return body.replace(PING, b"")
