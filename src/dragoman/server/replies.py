"""Sends replies over ASGI: JSON or a stream, with pings in silence and an eye on the caller who may hang up.

Source: spec STR-1, STR-7, STR-8, HDR-30 to 32.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any

import msgspec

from dragoman.errors import Overloaded
from dragoman.gateway.reply import Reply
from dragoman.wire.events import Ping, encode_event
from dragoman.wire.sse import encode_sse

from .body import ClientGone, Receive
from .exchange import Exchange

__all__ = ["Send", "Watch", "send_farewell", "send_reply"]

Send = Callable[[dict[str, Any]], Awaitable[None]]

PING = encode_event(Ping())
STREAM_HEADERS = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    ("x-accel-buffering", "no"),  # asks a proxy in front of us not to hold events back
]
STALLED_S = 300.0  # a client that takes no byte for so long is taken for gone
FAREWELL_S = 0.5


class Watch:
    """Watches one request's connection while it is worked on.

    `async with watch:` around the work: when the client hangs up, the work is cancelled and ClientGone is raised in its
    place. Between `start_pings` and `stop_pings`, a stream that was silent for `ping_after_s` (seconds, from the
    request's arrival on) gets a ping. `exchange` tells of a hang-up at once; without one, a task waits for ASGI to.
    """

    def __init__(self, exchange: Exchange | None, receive: Receive, send: Send, *, ping_after_s: float) -> None:
        self.has_started = False  # something was sent
        self.has_ended = False  # everything was
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._ping_after_s = ping_after_s
        # In Python 3.11 to ask for the running loop or task is a system call.
        self._loop = asyncio.get_running_loop() if exchange is None else exchange.loop
        self._work: asyncio.Task[Any] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._is_gone = False
        self._is_ending = False  # the last piece goes out, or is out
        self._has_pings = True
        self._last_piece = self._loop.time()
        self._sending_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        if self._exchange is None:
            self._work = asyncio.current_task()
            self._watching = self._loop.create_task(self._wait_until_hung_up())
        elif self._exchange.is_gone:
            raise ClientGone
        else:
            self._work = self._exchange.task
            self._exchange.on_hang_up = self._give_up

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        work, self._work = self._work, None
        if self._exchange is not None:
            self._exchange.on_hang_up = None
        # Ours to swallow only when it was we who cancelled, and no one else did as well.
        is_ours = kind is asyncio.CancelledError and self._is_gone and work is not None and work.uncancel() == 0
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._timer is not None or self._ping is not None:
            await self.stop_pings()
        if is_ours:
            raise ClientGone from None

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message; waits while the client takes nothing."""
        self._sending_since = self._loop.time()
        self.has_started = True
        self._is_ending = message["type"] == "http.response.body" and not message.get("more_body")
        try:
            await self._send(message)
            self.has_ended = self._is_ending
        finally:
            self._sending_since = None
            self._last_piece = self._loop.time()

    def pass_on(self, piece: bytes) -> bool:
        """Send a piece of a stream at once; False where it would have to wait: then it is still to be sent."""
        if self._exchange is None or self._sending_since is not None or not self._exchange.pass_on(piece):
            return False
        self._last_piece = self._loop.time()
        return True

    async def send_whole(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send a reply that is no stream."""
        self.has_started = True
        headers.append(("content-type", "application/json"))
        if self._exchange is not None:
            await self._exchange.answer(status, headers, body)
        else:
            headers.append(("content-length", str(len(body))))
            await self._send(_start(status, headers))
            self._is_ending = True
            await self._send({"type": "http.response.body", "body": body})
        self.has_ended = True

    def start_pings(self, *, are_sent: bool = True) -> None:
        """One timer a stream, moved on when it fires: events that flow cost nothing.

        Where `are_sent` is false, it only looks after a client who takes no byte.
        """
        self._has_pings = are_sent
        self._timer = self._loop.call_at(self._last_piece + self._ping_after_s, self._tick)

    async def stop_pings(self) -> None:
        """Afterwards no ping is on its way any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ping is not None:
            await asyncio.gather(self._ping, return_exceptions=True)

    async def _wait_until_hung_up(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue
        if not self._is_ending:  # behind the end of a reply ASGI says the same of a client that is there
            self._give_up()

    async def _send_ping(self, last_piece: float) -> None:
        """Unless a piece has gone out since `last_piece`, or goes out now: it may have been the last."""
        if self._last_piece == last_piece and self._sending_since is None:
            await self.send({"type": "http.response.body", "body": PING, "more_body": True})

    def _give_up(self) -> None:
        if not self._is_gone and self._work is not None:
            self._is_gone = True
            self._work.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        due = self._last_piece + self._ping_after_s
        if self._sending_since is not None:
            if now - self._sending_since > STALLED_S:
                self._give_up()
                return
            due = now + self._ping_after_s
        elif now >= due:
            if self._has_pings:
                self._ping = self._loop.create_task(self._send_ping(self._last_piece))
            due = now + self._ping_after_s
        self._timer = self._loop.call_at(due, self._tick)


async def send_farewell(reply: Reply | None, watch: Watch, *, request_id: str) -> None:
    """End a request that the server's stop has cut: an error where none was due, so that clients try again."""
    error = Overloaded("The server is shutting down. Please try again.")
    if reply is not None:
        request_id = reply.request_id
    body = msgspec.json.encode(error.body(request_id))
    with suppress(TimeoutError):  # a caller who takes nothing cannot be told either
        async with asyncio.timeout(FAREWELL_S):
            if not watch.has_started:
                await watch.send_whole(error.status, [("request-id", request_id)], body)
            elif reply is not None and reply.is_stream and reply.media_type is None:
                await watch.send({"type": "http.response.body", "body": encode_sse("error", body)})


async def send_reply(reply: Reply, watch: Watch) -> None:
    """Send the reply to its end."""
    if not reply.is_stream:
        await watch.send_whole(reply.status, reply.headers, reply.body)
        return
    is_events = reply.media_type is None
    watch.start_pings(are_sent=is_events)  # before the first byte, so that silence before it counts
    headers = STREAM_HEADERS if reply.media_type is None else [("content-type", reply.media_type)]
    await watch.send(_start(reply.status, [*reply.headers, *headers]))
    piece = await reply.next_piece()
    reply.pass_to(watch.pass_on)
    while piece is not None and reply.has_more:
        await watch.send({"type": "http.response.body", "body": piece, "more_body": True})
        piece = await reply.next_piece()
    await watch.stop_pings()
    await watch.send({"type": "http.response.body", "body": piece or b""})


def _start(status: int, headers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    raw = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
    return {"type": "http.response.start", "status": status, "headers": raw}
