"""The upstream of the soak test, in a process of its own: each request is answered as its `model` says.

    with Upstream() as upstream:
        ... upstream.url ...

A model is `WHAT.TAG`: WHAT is a name of BEHAVIOURS, TAG comes back in the reply's text, id and `request-id`, so that a
reply cannot be taken for another's. `GET /state` tells what is open; to `GET /stalled` the tags of requests are
written, a line each, that have come whole and get no reply: their callers may then hang up while they wait for one.
"""

import asyncio
import json
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Self

__all__ = ["DELTAS", "LARGE_BYTES", "PACED", "STATUSES", "Upstream", "input_tokens"]

DELTAS = 20  # content deltas of a stream
PACED, PACE_S = 4, 0.003
LONG_BYTES = 8_000  # of each delta of a long stream
LARGE_BYTES = 1_000_000  # of the text of a large reply
LATE_S = 0.02
STATUSES = {429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}

MODEL = re.compile(rb'"model": "(?:\w+/)?([a-z0-9-]+)\.(\w+)"')
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
LAST_CHUNK = b"0\r\n\r\n"


def input_tokens(body: bytes) -> int:
    """What the upstream tells of a request: how long its body is."""
    return len(body)


# -- what is sent ----------------------------------------------------------------------------------------------------


def head(tag: str, *fields: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"request-id: req_{tag}", "server: soak", *fields, "", ""]
    return "\r\n".join(lines).encode()


def whole(tag: str, body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    return head(tag, "content-type: application/json", f"content-length: {len(body)}", *fields, status=status) + body


def stream_head(tag: str) -> bytes:
    return head(tag, "content-type: text/event-stream", "transfer-encoding: chunked")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def message(tag: str, *, text: str = "", tokens: int = 7, content: bool = True) -> dict[str, Any]:
    return {
        "id": f"msg_{tag}",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-8",
        "content": [{"type": "text", "text": tag + text}] if content else [],
        "stop_reason": "end_turn" if content else None,
        "stop_sequence": None,
        "usage": {"input_tokens": tokens, "output_tokens": 5},
    }


def event(value: dict[str, Any]) -> bytes:
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()


def delta(text: str) -> bytes:
    return event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})


def error(kind: str, tag: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": f"of {tag}"}, "request_id": f"req_{tag}"}


def start(tag: str) -> bytes:
    return event({"type": "message_start", "message": message(tag, content=False)})


def begun(tag: str) -> bytes:
    """A stream up to its first content."""
    block = event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    return start(tag) + block + delta(tag)


DELTA = delta(" and so on")
LONG_DELTA = delta("x" * LONG_BYTES)
END = event({"type": "content_block_stop", "index": 0}) + event(
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 5},
    }
)
STOP = event({"type": "message_stop"})


# -- the upstream ----------------------------------------------------------------------------------------------------


class State:
    """What is open at the moment."""

    def __init__(self) -> None:
        self.open: set[Peer] = set()
        self.stalled: set[Peer] = set()  # with a request that is not answered to its end until the peer hangs up
        self.listeners: list[Peer] = []
        self.asked = 0

    def tell(self, but: "Peer") -> bytes:
        others = self.open.difference(self.listeners, [but])
        return json.dumps({"open": len(others), "stalled": len(self.stalled), "asked": self.asked}).encode()


class Peer(asyncio.Protocol):
    """One connection; the requests on it come one after another."""

    transport: asyncio.Transport

    def __init__(self, state: State) -> None:
        self.state = state
        self._unread = bytearray()
        self._flood = b""
        self._is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.state.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.state.open.discard(self)
        self.state.stalled.discard(self)
        self._flood = b""

    def data_received(self, data: bytes) -> None:
        self._unread += data
        end = self._unread.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        length = LENGTH.search(self._unread, 0, end)
        size = end + (int(length[1]) if length else 0)
        if len(self._unread) < size:
            return
        path = self._unread.split(b" ", 2)[1]
        body = bytes(self._unread[end:size])
        del self._unread[:size]
        self._answer(path, body)

    def _answer(self, path: bytes, body: bytes) -> None:
        if path == b"/state":
            self.write(whole("state", self.state.tell(self)))
            return
        if path == b"/stalled":
            self.state.listeners.append(self)
            return
        self.state.asked += 1
        named = MODEL.search(body, 0, 300)
        assert named is not None, body[:300]
        what, tag = named[1].decode(), named[2].decode()
        if path.endswith(b"count_tokens") and what == "count":
            self.write(whole(tag, b'{"input_tokens": %d}' % input_tokens(body)))
        else:
            BEHAVIOURS[what](self, tag, body)

    def write(self, *data: bytes) -> None:
        self.transport.write(b"".join(data))

    def reset(self) -> None:
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def stall(self) -> None:
        """Say no more until the peer hangs up."""
        self.state.stalled.add(self)

    def flood(self, data: bytes) -> None:
        """Send it again and again until the peer hangs up."""
        self.stall()
        self._flood = data
        self._pour()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._pour()

    def _pour(self) -> None:
        if self._flood and not self._is_full:
            self.transport.write(self._flood)
            asyncio.get_running_loop().call_soon(self._pour)

    def pace(self, pieces: list[bytes]) -> None:
        """Send pieces, one every PACE_S seconds."""
        if self.transport.is_closing():
            return
        self.write(pieces[0])
        if pieces[1:]:
            asyncio.get_running_loop().call_later(PACE_S, self.pace, pieces[1:])

    def later(self, delay_s: float, data: bytes) -> None:
        asyncio.get_running_loop().call_later(delay_s, self.transport.write, data)


Behaviour = Callable[[Peer, str, bytes], None]


def _json(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(whole(tag, json.dumps(message(tag, tokens=input_tokens(body))).encode()))


def _chunked(peer: Peer, tag: str, body: bytes) -> None:
    told = json.dumps(message(tag)).encode()
    first = head(tag, "content-type: application/json", "transfer-encoding: chunked") + chunk(told[:30])
    peer.write(first, chunk(told[30:99]))
    peer.later(0, chunk(told[99:]) + LAST_CHUNK)


def _last(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(whole(tag, json.dumps(message(tag)).encode(), "connection: close"))
    peer.transport.close()


def _unsized(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(head(tag, "content-type: application/json"), json.dumps(message(tag)).encode())
    peer.transport.close()


def _large(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(whole(tag, json.dumps(message(tag, text="x" * LARGE_BYTES)).encode()))


def _sse(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(stream_head(tag), chunk(begun(tag) + DELTA * (DELTAS - 1) + END + STOP), LAST_CHUNK)


def _paced(peer: Peer, tag: str, body: bytes) -> None:
    last = chunk(END + STOP) + LAST_CHUNK
    peer.pace([stream_head(tag) + chunk(begun(tag)), *[chunk(DELTA)] * (PACED - 1), last])


def _long(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(stream_head(tag), chunk(begun(tag)), chunk(LONG_DELTA) * (DELTAS - 1), chunk(END + STOP), LAST_CHUNK)


def _late(peer: Peer, tag: str, body: bytes) -> None:
    """The message is complete before its body is."""
    peer.write(stream_head(tag), chunk(begun(tag) + END + STOP))
    peer.later(LATE_S, LAST_CHUNK)


def _unended(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(stream_head(tag), chunk(begun(tag) + END + STOP))
    peer.stall()


def _cut(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(stream_head(tag), chunk(begun(tag)))
    peer.transport.close()


def _reset(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(stream_head(tag), chunk(begun(tag)))
    asyncio.get_running_loop().call_later(PACE_S, peer.reset)


def _error(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(stream_head(tag), chunk(begun(tag)))
    peer.later(PACE_S, chunk(event(error("overloaded_error", tag))) + LAST_CHUNK)


def _early(peer: Peer, tag: str, body: bytes) -> None:
    """An error before there is content: still an HTTP status for the caller."""
    peer.write(stream_head(tag), chunk(start(tag) + event(error("overloaded_error", tag))), LAST_CHUNK)


def _refusing(status: int) -> Behaviour:
    def refuse(peer: Peer, tag: str, body: bytes) -> None:
        told = json.dumps(error(STATUSES[status], tag)).encode()
        peer.write(whole(tag, told, "retry-after: 7", status=f"{status} Refused"))

    return refuse


def _then_close(data: Callable[[str], bytes]) -> Behaviour:
    def broken(peer: Peer, tag: str, body: bytes) -> None:
        peer.write(data(tag))
        peer.transport.close()

    return broken


def _page(peer: Peer, tag: str, body: bytes) -> None:
    page = b"<html>Bad Gateway</html>"
    peer.write(head(tag, "content-type: text/html", f"content-length: {len(page)}", status="502 Bad Gateway"), page)


def _no_stream(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(whole(tag, b'{"type": "message"}'))


def _stall(peer: Peer, tag: str, body: bytes) -> None:
    peer.stall()
    for listener in peer.state.listeners:
        listener.write(tag.encode() + b"\n")


def _begun(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(stream_head(tag), chunk(begun(tag)))
    peer.stall()


def _flood(peer: Peer, tag: str, body: bytes) -> None:
    peer.write(stream_head(tag), chunk(begun(tag)))
    peer.flood(chunk(LONG_DELTA))


BEHAVIOURS: dict[str, Behaviour] = {
    "json": _json,
    "chunked": _chunked,
    "last": _last,
    "unsized": _unsized,
    "large": _large,
    "sse": _sse,
    "paced": _paced,
    "long": _long,
    "late": _late,
    "unended": _unended,
    "cut": _cut,
    "reset": _reset,
    "error": _error,
    "early": _early,
    **{f"status-{status}": _refusing(status) for status in STATUSES},
    "page": _page,
    "silent": _then_close(lambda tag: b""),
    "garbage": _then_close(lambda tag: b"\x15\x03\x01\x00\x02\x02\x16"),
    "short": _then_close(lambda tag: whole(tag, json.dumps(message(tag)).encode())[:-9]),
    "bad-chunk": _then_close(lambda tag: stream_head(tag) + b"nothing\r\n" + LAST_CHUNK),
    "two-lengths": _then_close(lambda tag: whole(tag, b"{}", "content-length: 3")),
    "no-json": _then_close(lambda tag: whole(tag, b"null")),
    "no-stream": _no_stream,
    "stall": _stall,
    "begun": _begun,
    "flood": _flood,
}


# -- the process -----------------------------------------------------------------------------------------------------


class Upstream:
    """The process, on a free port of 127.0.0.1."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url, "the upstream did not start"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdout is not None
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()


async def _serve() -> None:
    state = State()
    server = await asyncio.get_running_loop().create_server(lambda: Peer(state), "127.0.0.1", 0, backlog=1024)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
