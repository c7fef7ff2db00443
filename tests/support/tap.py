"""A recording wire: stands between a client and a server, hands every byte on, and keeps what went each way.

with Tap(server.url) as tap:
    ... a client that talks to tap.url ...
    tap.exchanges[-1].body, tap.exchanges[-1].reply_body
"""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import httptools
from failing import Loop

__all__ = ["Exchange", "Tap"]

READ_BYTES = 64 * 1024
PATIENCE_S = 5.0


@dataclass
class Exchange:
    """One request and its reply, without their framing: chunks are joined. Header names are in lower case."""

    method: str = ""
    target: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 0
    reply_headers: dict[str, str] = field(default_factory=dict)
    reply_body: bytes = b""
    raw_request: bytes = b""
    is_complete: threading.Event = field(default_factory=threading.Event)  # the reply has come to its end


class _Requests:
    """Reads the requests of one connection."""

    def __init__(self, exchanges: list[Exchange], own: list[Exchange]) -> None:
        self._all, self._own = exchanges, own
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)
        self._own[-1].raw_request += data

    def on_message_begin(self) -> None:
        self._own.append(Exchange())
        self._all.append(self._own[-1])

    def on_url(self, url: bytes) -> None:
        self._own[-1].target += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._own[-1].headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self._own[-1].body += data

    def on_message_complete(self) -> None:
        self._own[-1].method = self._parser.get_method().decode()


class _Replies:
    """Reads the replies of the same connection: they come in the order of the requests."""

    def __init__(self, own: list[Exchange]) -> None:
        self._own = own
        self._number = -1
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._number += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        self._own[self._number].reply_headers[name.decode().lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._own[self._number].status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        self._own[self._number].reply_body += data

    def on_message_complete(self) -> None:
        self._own[self._number].is_complete.set()


class Tap:
    """Listens on a free port of 127.0.0.1 while the `with` block runs, in a thread of its own."""

    def __init__(self, target_url: str) -> None:
        self.exchanges: list[Exchange] = []  # in the order in which the requests began
        self.url = ""
        self._target = urlsplit(target_url)
        self._loop = Loop()
        self._tasks: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        self._loop.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._stop())
        self._loop.close()

    def last(self) -> Exchange:
        """The newest exchange, whole: a client may know its reply before the last bytes of its framing have come."""
        assert self.exchanges[-1].is_complete.wait(PATIENCE_S), "the reply was not read to its end"
        return self.exchanges[-1]

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        own: list[Exchange] = []
        try:
            upstream = await asyncio.open_connection(self._target.hostname, self._target.port)
            try:
                await asyncio.gather(
                    _pump(reader, upstream[1], _Requests(self.exchanges, own)),
                    _pump(upstream[0], writer, _Replies(own)),
                )
            finally:
                upstream[1].close()
        except (ConnectionError, asyncio.CancelledError):
            return  # either side hung up, or the tap is closed: both ends close below
        finally:
            writer.close()
            self._tasks.discard(task)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, record: _Requests | _Replies) -> None:
    """Note each piece, then hand it on: what a client has seen is in the record."""
    while data := await source.read(READ_BYTES):
        record.feed(data)
        sink.write(data)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
