"""An HTTP/1.1 client on a raw socket, for requests that no decent client would send, and replies read to the letter.

    async with await Wire.connect(url) as wire:
        await wire.send(post(HELLO))
        reply = await wire.reply()
        error(reply, 413)

Reads no more than it is asked to, so it can play a slow client. Knows nothing of the server but its address.
"""

import asyncio
import json
import socket
import struct
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

__all__ = ["HELLO", "KEY", "Reply", "Wire", "chunks", "error", "events", "exchange", "json_bytes", "post", "request"]

KEY = "sk-dgm-test-key-of-raw-client"
PATIENCE_S = 15.0  # generous: the machine may be busy
HELLO: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Hello, Claude"}],
}


@dataclass(frozen=True)
class Reply:
    """A reply as it came; header names in lower case, repeats kept."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    interim: list[int] = field(default_factory=list)  # statuses of 1xx replies before it
    raw_body: bytes = b""  # with its chunk sizes

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"{name} came twice: {values}"
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection. Every wait raises TimeoutError after PATIENCE_S, so a server that hangs fails the test."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._unread = bytearray()

    @classmethod
    async def connect(cls, url: str, *, receive_bytes: int | None = None) -> Self:
        """`receive_bytes` makes the system's buffer small, so that a client which does not read is felt soon."""
        address = urlsplit(url)
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.get_running_loop().sock_connect(sock, (address.hostname, address.port))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def send_slowly(self, data: bytes, *, step: int = 1) -> None:
        """In pieces of `step` bytes, each in a packet of its own; the server gets a turn between them."""
        for start in range(0, len(data), step):
            await self.send(data[start : start + step])
            await asyncio.sleep(0)

    async def reply(self, method: str = "POST") -> Reply:
        """The next whole reply. Raises EOFError when the connection ends before it does."""
        interim: list[int] = []
        while True:
            status, headers = await self.head()
            if status >= 200:
                break
            interim.append(status)
        given = dict(headers)
        if method == "HEAD" or status in (204, 304):
            return Reply(status, headers, interim=interim)
        if given.get("transfer-encoding") == "chunked":
            body, raw = await self._chunked()
            return Reply(status, headers, body, interim, raw)
        if "content-length" in given:
            return Reply(status, headers, await self.exactly(int(given["content-length"])), interim)
        return Reply(status, headers, await self.rest(), interim)

    async def head(self) -> tuple[int, list[tuple[str, str]]]:
        """Status and headers; the body stays unread."""
        raw = await self.until(b"\r\n\r\n")
        line, *fields = raw[:-4].decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1", line
        headers = [(name.lower(), value.strip()) for name, _, value in (item.partition(":") for item in fields)]
        return int(status), headers

    async def chunk(self) -> tuple[bytes, bytes]:
        """The next chunk of a body, and its bytes on the wire; empty for the last."""
        line = await self.until(b"\r\n")
        piece = await self.exactly(int(line, 16) + 2)
        assert piece.endswith(b"\r\n"), piece
        return piece[:-2], line + piece

    async def until(self, mark: bytes) -> bytes:
        while (at := self._unread.find(mark)) < 0:
            await self._fill()
        return self._take(at + len(mark))

    async def exactly(self, count: int) -> bytes:
        while len(self._unread) < count:
            await self._fill()
        return self._take(count)

    async def rest(self) -> bytes:
        """Everything to the end of the connection. Raises ConnectionError when that end is a reset."""
        while True:
            try:
                await self._fill()
            except EOFError:
                return self._take(len(self._unread))

    async def is_closed(self) -> bool:
        """Wait until the server ends the connection; False when it sends something first."""
        try:
            await self._fill()
        except (EOFError, ConnectionError):
            return True
        return False

    def close(self) -> None:
        """Hang up (the system sends a reset where something was left unread)."""
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def _chunked(self) -> tuple[bytes, bytes]:
        body, raw = bytearray(), bytearray()
        while True:
            piece, on_wire = await self.chunk()
            body += piece
            raw += on_wire
            if not piece:
                return bytes(body), bytes(raw)

    async def _fill(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            data = await asyncio.get_running_loop().sock_recv(self.sock, 256 * 1024)
        if not data:
            raise EOFError(f"the server closed; unread: {bytes(self._unread[:200])!r}")
        self._unread += data

    def _take(self, count: int) -> bytes:
        taken = bytes(self._unread[:count])
        del self._unread[:count]
        return taken


async def exchange(url: str, data: bytes, *, method: str = "POST") -> Reply:
    """One request on a connection of its own."""
    async with await Wire.connect(url) as wire:
        await wire.send(data)
        return await wire.reply(method)


# -- requests ------------------------------------------------------------------------------------------------------


def request(
    method: str,
    target: str,
    body: bytes | None = None,
    *headers: tuple[str, str],
    key: str | None = KEY,
    version: str = "1.1",
) -> bytes:
    """A request as its bytes. Adds host, content-length, and with a `key` what every caller of the API sends."""
    given = [("host", "dragoman.test")]
    if key is not None:
        given += [("x-api-key", key), ("anthropic-version", "2023-06-01")]
    if body is not None and not {"content-length", "transfer-encoding"} & {name for name, _ in headers}:
        given.append(("content-length", str(len(body))))
    lines = [f"{method} {target} HTTP/{version}", *(f"{name}: {value}" for name, value in [*given, *headers]), "", ""]
    return "\r\n".join(lines).encode("latin-1") + (body or b"")


def json_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def post(body: Any, *headers: tuple[str, str], path: str = "/v1/messages", key: str | None = KEY) -> bytes:
    """A POST of JSON (or of bytes, as they are)."""
    return request("POST", path, json_bytes(body), ("content-type", "application/json"), *headers, key=key)


def chunks(body: bytes, *, size: int) -> bytes:
    """A body in the chunked encoding."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


# -- replies -------------------------------------------------------------------------------------------------------


def error(reply: Reply, *statuses: int) -> dict[str, Any]:
    """The `error` of a reply that must be the API's envelope (ERR-1, ERR-2), with one of these statuses."""
    assert reply.status in statuses if statuses else reply.status >= 400, (reply.status, reply.body[:500])
    assert (reply.header("content-type") or "").startswith("application/json"), reply.headers
    envelope = reply.json()
    assert envelope["type"] == "error"
    assert envelope["request_id"] == reply.header("request-id")
    told = envelope["error"]
    assert all(isinstance(told[name], str) and told[name] for name in ("type", "message")), told
    return dict(told)


def events(body: bytes) -> list[tuple[str, Any]]:
    """The events of a stream, each of which must be whole and in the API's form (STR-2)."""
    assert body.endswith(b"\n\n"), f"the stream ends in half an event: {body[-200:]!r}"
    found = []
    for block in body[:-2].split(b"\n\n"):
        name, data = block.split(b"\n")
        assert name.startswith(b"event: "), block
        assert data.startswith(b"data: "), block
        value = json.loads(data[6:])
        assert value["type"] == name[7:].decode(), block
        found.append((value["type"], value))
    return found
