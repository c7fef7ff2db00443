"""The HTTP/1.1 side of a connection: uvicorn's, with refusals in the API's envelope, bounds, and a few repairs.

What cannot be read as HTTP never reaches the application, so its refusal is written here: the same JSON, the same
`request-id` header, then the connection ends. Read in uvicorn's source (0.54) and httptools' (0.9), and mended here:

- Of pipelined requests only the newest is told of a hang-up, though an older one is at work; and while any wait
  nothing is read, so a hang-up is not seen at all.
- A request that offers an upgrade (JDK clients offer h2c with every first request) loses its body.
- A client of HTTP/1.0 is sent chunks (RFC 9112, section 6.1: it must not be).
- The trailers of a chunked body are kept, without limit.
- A connection that never sends a whole head is kept for ever.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from dragoman.errors import ApiError, HeadersTooLarge, InvalidRequest
from dragoman.gateway.pipeline import error_answer, new_id

from .replies import CUT

__all__ = ["Protocol"]

HEAD_LIMIT_BYTES = 256 * 1024  # of the request line and all headers; Claude Code's need about 2 KB
WAITING_LIMIT = 16  # pipelined requests behind the one that is answered; hardly any client sends one
NOT_HTTP = "Invalid HTTP request received."


class Protocol(HttpToolsProtocol):
    """One connection. `cycle` is its newest request, `_running` the one that is at work."""

    _running: RequestResponseCycle | None = None
    _head_bytes = 0  # since the message began, or since the last piece of its body: so trailers count too
    _in_head = True
    _is_deaf = False

    # -- bytes in --

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._is_deaf:
            return
        self._head_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError:  # raised by our own callbacks too
            self._refuse(InvalidRequest(NOT_HTTP))
            return
        if self._head_bytes > HEAD_LIMIT_BYTES:
            self._refuse(HeadersTooLarge(f"The request's headers have more than {HEAD_LIMIT_BYTES} bytes."))
        elif self._in_head and (self._running is None or self._running.response_complete):
            self._close_when_idle()  # the rest of a head is waited for no longer than the next request

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._close_when_idle()

    def _close_when_idle(self) -> None:
        """uvicorn does so after a reply only: a connection that never asks would stay for ever."""
        if not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def connection_lost(self, exc: Exception | None) -> None:
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Let the request at work end; those behind it were not begun."""
        if self._running is not None and not self._running.response_complete:
            self.pipeline.clear()
            self.cycle = self._running
        super().shutdown()

    def _feed(self, data: bytes) -> None:
        """Offers of an upgrade are declined (RFC 9110, section 7.8: a server may ignore them).

        The parser takes such a request for the last one and skips its body, so the request is put before a new
        parser as it would be without the offer.
        """
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as stop:
                data = data[stop.args[0] :]
                head = self._head_without_upgrade()
                self.parser = httptools.HttpRequestParser(self)
                self.parser.feed_data(head)

    def _head_without_upgrade(self) -> bytes:
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        fields = [b"%b: %b\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        return b"".join([line, *fields, b"\r\n"])

    # -- the parser's callbacks; what they raise comes out of `feed_data` as HttpParserError --

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("no tunnels here")
            return
        super().on_headers_complete()
        if self._is_waiting:
            if len(self.pipeline) > WAITING_LIMIT:
                raise ValueError("too many requests at once")
            self.flow.resume_reading()  # or a hang-up would not be seen

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        if self._is_waiting and len(self.cycle.body) + len(body) > HIGH_WATER_LIMIT:
            raise ValueError("too much at once")
        super().on_body(body)

    def on_chunk_complete(self) -> None:
        self._head_bytes = 0

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    # -- requests --

    @property
    def _is_waiting(self) -> bool:
        """Is the newest request still behind another?"""
        return bool(self.pipeline) and self.pipeline[0][0] is self.cycle

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        cycle.scope[CUT] = self.cut  # type: ignore[literal-required]  # an extension of ours
        super()._start_asgi_task(cycle, _unchunked(app, cycle) if cycle.scope["http_version"] == "1.0" else app)

    def cut(self) -> None:
        """End the connection in the middle of the reply, once what was written is out: no last chunk, no more bytes.

        A caller cannot tell it from a lost connection. Of an application that just returned, uvicorn would complain.
        """
        assert self._running is not None
        self._running.disconnected = True
        self.transport.close()

    def _refuse(self, error: ApiError) -> None:
        """Refuse what cannot be read, and close; but first let requests that came whole have their replies."""
        running = self._running
        if running is not None and not running.response_complete and not running.more_body:
            self._close_when_answered()
            return
        if running is None or running.response_complete or not running.response_started:
            self.transport.write(_refusal(error))
        self.transport.close()

    def _close_when_answered(self) -> None:
        """Throw away what else comes. A client that pipelines has to expect this (RFC 9112, section 9.3.2)."""
        if self._is_waiting and self.cycle.more_body:
            self.pipeline.popleft()
        assert self._running is not None
        self.cycle = self.pipeline[0][0] if self.pipeline else self._running
        self.cycle.keep_alive = False
        self._is_deaf = True
        self.flow.resume_reading()


def _refusal(error: ApiError) -> bytes:
    request_id = new_id("req")
    answered = error_answer(error, request_id)
    fields = [
        *answered.headers,
        ("request-id", request_id),
        ("content-type", "application/json"),
        ("content-length", str(len(answered.body))),
        ("connection", "close"),
    ]
    lines = [f"HTTP/1.1 {answered.status} {HTTPStatus(answered.status).phrase}", *map(": ".join, fields), "", ""]
    return "\r\n".join(lines).encode() + answered.body


Send = Callable[[Any], Awaitable[None]]


def _unchunked(app: Any, cycle: RequestResponseCycle) -> Any:
    """The application for an HTTP/1.0 client: a body of unknown length ends where the connection does."""

    async def wrapped(scope: Any, receive: Any, send: Send) -> None:
        async def send_plain(message: Any) -> None:
            # uvicorn's own account, made to hold: not chunked, and as long as it is. It looks at the end only.
            cycle.chunked_encoding = False
            cycle.expected_content_length = sys.maxsize if message.get("more_body") else len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plain)

    return wrapped
