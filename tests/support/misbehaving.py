"""A scriptable HTTP/1.1 server on raw sockets: it plays an upstream that answers, stalls, lies, breaks off or hangs up.

    async def handler(conn: Conn) -> None:
        request = await conn.read_request()
        await conn.send(json_reply({"ok": True}))
        await conn.send(b"HTTP/1.1 2")
        conn.reset()

    async with Misbehaving(handler) as server:
        ... server.url, server.requests, server.conns ...

The handler runs once for each connection, which is closed when it returns. A client that hangs up while the handler
sends ends the handler quietly; any other exception of a handler is raised when the server is left.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Self, TypeVar

__all__ = [
    "LAST_CHUNK",
    "Conn",
    "Handler",
    "Misbehaving",
    "Received",
    "chunk",
    "chunked_head",
    "head",
    "in_turn",
    "json_reply",
    "refused_url",
    "reply",
    "replying",
    "sse_event",
    "sse_head",
    "sse_reply",
]

LAST_CHUNK = b"0\r\n\r\n"
PATIENCE_S = 1.0  # how long the server's waiting methods wait
SEND_BYTES = 64 * 1024  # `Conn.sent_bytes` grows in such steps

T = TypeVar("T")


@dataclass(frozen=True)
class Received:
    """A request as it came; header names in lower case, repeats kept."""

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """All values of `name`, joined as HTTP allows; None when there is none."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    def json(self) -> Any:
        return json.loads(self.body)


class Conn:
    """One accepted connection, as the handler sees it."""

    def __init__(self, sock: socket.socket, number: int, record: Callable[[Received], None]) -> None:
        self.sock = sock
        self.number = number  # from 0, in the order of arrival
        self.sent_bytes = 0  # handed to the system so far
        self.gone = asyncio.Event()  # the peer was seen to have hung up
        self._record = record
        self._unread = bytearray()

    # -- reading --

    async def read_request(self) -> Received | None:
        """The next request with its whole body; None when the peer hangs up first."""
        request = await self._read_head()
        body = None if request is None else await self._read_body(request)
        if request is None or body is None:
            return None
        request = replace(request, body=body)
        self._record(request)
        return request

    async def read_head(self) -> Received | None:
        """The next request without its body, which stays unread."""
        request = await self._read_head()
        if request is not None:
            self._record(request)
        return request

    async def read_some(self, limit_bytes: int = 64 * 1024) -> bytes:
        """Up to `limit_bytes` of what has come and was not read; empty when the peer has hung up."""
        if not self._unread:
            await self._fill()
        return self._take(min(limit_bytes, len(self._unread)))

    async def wait_closed(self) -> None:
        """Read, and throw away, until the peer hangs up or resets."""
        while await self._fill():
            self._unread.clear()

    async def stall(self) -> None:
        """Neither read nor write, until the server is left."""
        await asyncio.Event().wait()

    # -- writing --

    async def send(self, data: bytes) -> None:
        """Returns when the system has taken all of `data`. Raises ConnectionError when the peer is gone."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(data), SEND_BYTES):
            piece = data[start : start + SEND_BYTES]
            try:
                await loop.sock_sendall(self.sock, piece)
            except ConnectionError:
                self.gone.set()
                raise
            self.sent_bytes += len(piece)

    async def trickle(self, data: bytes) -> None:
        """Send each byte alone, in a packet of its own."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            await self.send(bytes([byte]))
            await asyncio.sleep(0)

    def close(self) -> None:
        """Send FIN (the system sends RST instead when there are bytes that were not read)."""
        self.sock.close()

    def reset(self) -> None:
        """Send RST, now."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- inside --

    async def _read_head(self) -> Received | None:
        end = await self._read_until(b"\r\n\r\n")
        if end is None:
            return None
        line, *fields = self._take(end + 4)[:-4].decode("latin-1").split("\r\n")
        method, target, version = line.split(" ")
        headers = [(name.lower(), value.strip()) for name, _, value in (f.partition(":") for f in fields)]
        return Received(method, target, version, headers)

    async def _read_body(self, request: Received) -> bytes | None:
        if "chunked" in (request.header("transfer-encoding") or ""):
            return await self._read_chunks()
        return await self._read_exactly(int(request.header("content-length") or 0))

    async def _read_chunks(self) -> bytes | None:
        body = b""
        while True:
            end = await self._read_until(b"\r\n")
            if end is None:
                return None
            size = int(self._take(end + 2), 16)
            piece = await self._read_exactly(size + 2)
            if piece is None or size == 0:
                return None if piece is None else body
            body += piece[:-2]

    async def _read_exactly(self, count: int) -> bytes | None:
        while len(self._unread) < count:
            if not await self._fill():
                return None
        return self._take(count)

    async def _read_until(self, mark: bytes) -> int | None:
        while (at := self._unread.find(mark)) < 0:
            if not await self._fill():
                return None
        return at

    def _take(self, count: int) -> bytes:
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken

    async def _fill(self) -> bool:
        try:
            data = await asyncio.get_running_loop().sock_recv(self.sock, 256 * 1024)
        except ConnectionError:
            data = b""
        if not data:
            self.gone.set()
        self._unread += data
        return bool(data)


Handler = Callable[[Conn], Awaitable[None]]


class Misbehaving:
    """The server: listens on a free port of 127.0.0.1 while the `async with` block runs."""

    def __init__(self, handler: Handler) -> None:
        self.requests: list[Received] = []  # in the order in which they were read
        self.conns: list[Conn] = []
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._news = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def open_conns(self) -> int:
        """How many handlers have not returned."""
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        # Not sock_accept: cancelled in the moment in which a connection comes, it forgets that.
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for conn in self.conns:  # of a task that was cancelled before its first step, too
            conn.close()
        self._listener.close()
        if self._failures and exc_info[0] is None:
            raise self._failures[0]

    async def conn(self, number: int = 0) -> Conn:
        """Connection `number`, from 0, as soon as it is there. Raises TimeoutError after a second."""
        return await self._item(self.conns, number)

    async def request(self, number: int = 0) -> Received:
        """Request `number`, from 0, as soon as it has been read. Raises TimeoutError after a second."""
        return await self._item(self.requests, number)

    async def hang_up(self, number: int = 0) -> None:
        """Wait until the client of connection `number` has hung up. Raises TimeoutError after a second.

        Only seen by a handler that reads or sends, as `wait_closed` does.
        """
        conn = await self.conn(number)
        async with asyncio.timeout(PATIENCE_S):
            await conn.gone.wait()

    async def _item(self, items: list[T], number: int) -> T:
        async with asyncio.timeout(PATIENCE_S):
            while len(items) <= number:
                self._news.clear()
                await self._news.wait()
        return items[number]

    def _record(self, request: Received) -> None:
        self.requests.append(request)
        self._news.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):  # it is gone already
            return
        sock.setblocking(False)
        conn = Conn(sock, len(self.conns), self._record)
        self.conns.append(conn)
        self._news.set()
        self._start(self._serve(conn))

    async def _serve(self, conn: Conn) -> None:
        try:
            await self._handler(conn)
        except ConnectionError:
            conn.gone.set()
        except Exception as exc:
            self._failures.append(exc)
        finally:
            conn.close()


# -- handlers ------------------------------------------------------------------------------------------------------


def in_turn(*handlers: Handler) -> Handler:
    """The first connection gets the first handler, and so on; the last one stays for all that follow."""

    async def handler(conn: Conn) -> None:
        await handlers[min(conn.number, len(handlers) - 1)](conn)

    return handler


def replying(*replies: bytes) -> Handler:
    """Answers requests on a kept-alive connection with `replies` in turn, the last one for all that follow."""

    async def handler(conn: Conn) -> None:
        answered = 0
        while await conn.read_request() is not None:
            await conn.send(replies[min(answered, len(replies) - 1)])
            answered += 1

    return handler


def refused_url() -> str:
    """A URL on whose port nobody listens (so far: the system may give the port to somebody else)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


# -- replies -------------------------------------------------------------------------------------------------------


def head(status: int = 200, *headers: tuple[str, str]) -> bytes:
    """Status line and headers, as given: nothing is added."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def reply(body: bytes = b"", *headers: tuple[str, str], status: int = 200) -> bytes:
    """A whole reply, with its content-length."""
    return head(status, *headers, ("content-length", str(len(body)))) + body


def json_reply(value: Any, *headers: tuple[str, str], status: int = 200) -> bytes:
    return reply(json.dumps(value).encode(), ("content-type", "application/json"), *headers, status=status)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunked_head(*headers: tuple[str, str], status: int = 200) -> bytes:
    """The head of a reply whose body is sent as `chunk`s, then `LAST_CHUNK`."""
    return head(status, *headers, ("transfer-encoding", "chunked"))


def sse_head(*headers: tuple[str, str]) -> bytes:
    """The head of an event stream, chunked."""
    return chunked_head(("content-type", "text/event-stream; charset=utf-8"), *headers)


def sse_event(name: str, data: Any) -> bytes:
    """One event in the form of the Messages API; to be sent in a `chunk`."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def sse_reply(events: Iterable[tuple[str, Any]], *headers: tuple[str, str]) -> bytes:
    """A whole event stream, one chunk for each event."""
    chunks = b"".join(chunk(sse_event(name, data)) for name, data in events)
    return sse_head(*headers) + chunks + LAST_CHUNK
