"""An upstream of the Messages API that keeps books of what it charged for, and callers who know what they got.

Each request has a name of its own as its model. The upstream charges for a request as soon as it has read it, in tokens
that the name decides, as a provider does whose reply is lost on the way.
"""

import asyncio
import hashlib
import json
import re
from types import TracebackType
from typing import Any, NamedTuple, Self

from dragoman.http.aio import FastTransport
from dragoman.http.base import Request, Timeouts, TransportError

__all__ = ["Callers", "Charge", "ChargingUpstream", "charge_of"]

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
MODEL = re.compile(rb'"model": ?"(?:\w+/)?([\w-]+)"')
PAUSE_S = 0.002  # between two pieces of a stream
DELTAS = 4


class Charge(NamedTuple):
    input: int
    write_5m: int
    write_1h: int
    read: int
    output: int


def charge_of(name: str) -> Charge:
    """What the request of this name costs: numbers that no other has."""
    digest = hashlib.sha256(name.encode()).digest()
    numbers = [int.from_bytes(digest[at : at + 2], "big") for at in range(0, 10, 2)]
    return Charge(numbers[0] + 1, numbers[1] % 500, numbers[2] % 500, numbers[3], numbers[4] + 10)


def usage(charge: Charge, *, output: int | None = None) -> dict[str, Any]:
    return {
        "input_tokens": charge.input,
        "cache_creation_input_tokens": charge.write_5m + charge.write_1h,
        "cache_read_input_tokens": charge.read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": charge.write_5m,
            "ephemeral_1h_input_tokens": charge.write_1h,
        },
        "output_tokens": charge.output if output is None else output,
    }


def _message(name: str, *, is_begun: bool = False) -> dict[str, Any]:
    return {
        "id": f"msg_{name}", "type": "message", "role": "assistant", "model": "claude-opus-4-8",
        "content": [] if is_begun else [{"type": "text", "text": name}],
        "stop_reason": None if is_begun else "end_turn", "stop_sequence": None,
        "usage": usage(charge_of(name), output=1 if is_begun else None),
    }  # fmt: skip


def _event(value: dict[str, Any]) -> bytes:
    data = f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


class ChargingUpstream:
    """`charged` holds the names of all requests that were read whole, in their order."""

    def __init__(self) -> None:
        self.charged: list[str] = []
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in list(self._writers)), return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                assert length is not None
                body = await reader.readexactly(int(length[1]))
                model = MODEL.search(body)
                assert model is not None
                name = model[1].decode()
                self.charged.append(name)
                await asyncio.sleep(PAUSE_S)
                await (self._stream if name.startswith("stream") else self._whole)(writer, name)
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the caller has gone
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _whole(self, writer: asyncio.StreamWriter, name: str) -> None:
        body = json.dumps(_message(name)).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter, name: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(_event({"type": "message_start", "message": _message(name, is_begun=True)}))
        block = {"type": "text", "text": ""}
        writer.write(_event({"type": "content_block_start", "index": 0, "content_block": block}))
        for _ in range(DELTAS):
            delta = {"type": "text_delta", "text": name}
            writer.write(_event({"type": "content_block_delta", "index": 0, "delta": delta}))
            await writer.drain()
            await asyncio.sleep(PAUSE_S)
        writer.write(_event({"type": "content_block_stop", "index": 0}))
        stop = {"stop_reason": "end_turn", "stop_sequence": None}
        told = {"output_tokens": charge_of(name).output}
        writer.write(_event({"type": "message_delta", "delta": stop, "usage": told}))
        writer.write(_event({"type": "message_stop"}) + b"0\r\n\r\n")
        await writer.drain()


class Callers:
    """So many at once, who ask one thing after another until they are left; the half of it streamed.

    `got` holds the names of requests whose reply came whole, `statuses` what came of the others.
    """

    def __init__(self, url: str, key: str, *, count: int = 8, names: str = "x") -> None:
        self.got: list[str] = []
        self.statuses: list[int] = []  # of replies that were not 200
        self.broken = 0  # replies that did not come whole
        self._url = url + "/v1/messages"
        self._key = key
        self._names = names
        self._count = count
        self._number = 0
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._transport = FastTransport()
        self._tasks = [asyncio.create_task(self._ask_on()) for _ in range(self._count)]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._news.set())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._transport.aclose()
        for each in ended:
            if isinstance(each, Exception):
                raise each

    async def answered(self, more: int) -> None:
        """Returns when so many more have been."""
        wanted = len(self.got) + more
        while len(self.got) < wanted and not all(task.done() for task in self._tasks):
            self._news.clear()
            await self._news.wait()

    async def _ask_on(self) -> None:
        while True:
            self._number += 1
            kind = "stream" if self._number % 2 else "whole"
            try:
                await self._ask(f"{kind}-{self._names}-{self._number}")
            except TransportError:
                self.broken += 1
                await asyncio.sleep(0.01)

    async def _ask(self, name: str) -> None:
        asked = {"model": f"up/{name}", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
        body = json.dumps(asked | {"stream": name.startswith("stream")}).encode()
        headers = [("x-api-key", self._key), ("anthropic-version", "2023-06-01"), ("content-type", "application/json")]
        response = await self._transport.send(Request("POST", self._url, headers, body, Timeouts(total_s=20)))
        try:
            reply = await response.read(10_000_000)
        finally:
            await response.aclose()
        if response.status != 200:
            self.statuses.append(response.status)
            self._news.set()
        elif name.encode() in reply and (b"message_stop" in reply or name.startswith("whole")):
            self.got.append(name)
            self._news.set()
        else:
            self.broken += 1
