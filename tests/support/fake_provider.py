"""What all fake providers share: a server on a real socket that refuses what the provider's reference does not allow,
and misbehaves on demand.

    with FakeOpenAI() as fake:
        ... fake.url, fake.bodies, fake.refused ...

A subclass of `FakeProvider` names its `handler`, a subclass of `Handler` that says how the provider checks, answers and
fails. Words in the last user's turn make it misbehave: see FAULTS.

Every fake's model, whatever its dialect: thinks when its name holds "thinker" ("Let me think. 🤔"); calls
`get_weather` for each city that it is asked the weather of, all in one turn, and `Read` for a file, if there are such
tools (`wishes`); reads results of tools out ("It says: A | B"); else says "You said: TEXT". Half of its prompt comes
out of a cache.
"""

import json
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self

__all__ = ["PATIENCE_S", "PIECE", "THOUGHT", "FakeProvider", "Handler", "Json", "Refused", "wishes"]

Json = dict[str, Any]
THOUGHT = "Let me think. 🤔"
CITY = re.compile(r"\b(?:Paris|Rome|Tokyo|Malmö)\b")
FILE = re.compile(r"Read the file (/\S+)")
PIECE = 5  # characters of a chunk
PATIENCE_S = 10.0


class Refused(Exception):
    """A request that the provider would answer with an error status; `body` is what it would say."""

    def __init__(self, message: str, *, body: Json, status: int = 400) -> None:
        super().__init__(message)
        self.body = body
        self.status = status


class FakeProvider:
    """What it was asked is in `bodies`; what it refused, beyond the faults that it was told to have, in `refused`."""

    handler: "ClassVar[type[Handler]]"
    key: ClassVar[str]  # that must be shown, and must be found in no log
    path: ClassVar[str] = ""  # what `url` has behind the port

    def __init__(self) -> None:
        self.bodies: list[Json] = []
        self.counted: list[Json] = []  # bodies of requests to count tokens
        self.refused: list[str] = []
        self.hung_up = threading.Event()  # a caller has, while it was being answered
        self.streaming = threading.Event()  # the part of a stream that stalls is out
        self.hung_up_at = 0.0  # seconds, monotonic
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (self.handler,), {"fake": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}{self.path}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def forget(self) -> None:
        """Before the next test."""
        for told in (self.bodies, self.counted, self.refused):
            told.clear()
        self.hung_up.clear()
        self.streaming.clear()


class Handler(BaseHTTPRequestHandler):
    """One connection; a dialect says what stands first."""

    fake: Any  # its FakeProvider
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    # -- what a dialect says --

    def checked(self, raw: bytes) -> Json | None:
        """The body of a request for a message; None where the request was another, and is answered. Raises Refused."""
        raise NotImplementedError

    def last_text(self, body: Json) -> str:
        """What the last user's turn says."""
        raise NotImplementedError

    def answer(self, body: Json) -> None:
        """The message, whole or streamed."""
        raise NotImplementedError

    def fail(self, status: int, message: str, *, kind: str, headers: Mapping[str, str]) -> None:
        """An error with a status; `kind` is the key in FAILURES."""
        raise NotImplementedError

    def some(self, body: Json) -> None:
        """The beginning of a stream: its head, and the text "Half of it"."""
        raise NotImplementedError

    def error_in_stream(self, message: str) -> None:
        """An error where an event of the stream should be."""
        raise NotImplementedError

    # -- what all do --

    def log_message(self, *_: object) -> None:
        """To nowhere."""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        try:
            body = self.checked(raw)
        except Refused as refused:
            self.fake.refused.append(str(refused))
            self.whole(refused.body, status=refused.status)
            return
        if body is None:
            return
        self.fake.bodies.append(body)
        asked = self.last_text(body)
        for word, fault in FAULTS.items():
            if word in asked:
                fault(self, body)
                return
        self.answer(body)

    def whole(self, value: Json, *, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in (("content-type", "application/json"), ("content-length", str(len(data))), *headers):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def begin(self, media_type: str = "text/event-stream; charset=utf-8") -> None:
        self.send_response(200)
        self.send_header("content-type", media_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def piece(self, sent: bytes) -> None:
        """Some bytes of a stream."""
        self.wfile.write(f"{len(sent):x}\r\n".encode() + sent + b"\r\n")

    def event(self, data: str, name: str | None = None) -> None:
        """One server-sent event."""
        head = "" if name is None else f"event: {name}\n"
        self.piece(f"{head}data: {data}\n\n".encode())

    def end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def wait_for_the_end(self) -> None:
        """Until the caller hangs up."""
        self.fake.streaming.set()
        readable, _, _ = select.select([self.connection], [], [], PATIENCE_S)
        if readable and self.connection.recv(1) == b"":
            self.fake.hung_up_at = time.monotonic()
            self.fake.hung_up.set()
        self.close_connection = True

    def cut(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


# -- faults --


def _error_event(handler: Handler, body: Json) -> None:
    handler.some(body)
    handler.error_in_stream("The server had an error")
    handler.wait_for_the_end()


def _truncated(handler: Handler, body: Json) -> None:
    handler.some(body)
    handler.cut()


def _ended_early(handler: Handler, body: Json) -> None:
    handler.some(body)
    handler.end()


def _stalled(handler: Handler, body: Json) -> None:
    handler.some(body)
    handler.wait_for_the_end()


def _silent(handler: Handler, body: Json) -> None:
    handler.wait_for_the_end()


def _status(status: int, message: str, kind: str, **headers: str) -> Callable[[Handler, Json], None]:
    def fault(handler: Handler, body: Json) -> None:
        said = message.replace("KEY", handler.fake.key)
        handler.fail(status, said, kind=kind, headers={name.replace("_", "-"): text for name, text in headers.items()})

    return fault


FAULTS: dict[str, Callable[[Handler, Json], None]] = {
    "!429": _status(429, "Rate limit reached for requests", "rate_limit", retry_after="7"),
    "!long": _status(400, "", "too_long"),  # in the provider's own words: 5000 tokens where it takes 4096
    "!401": _status(401, "Incorrect API key provided: KEY.", "key"),
    "!404": _status(404, "The model does not exist", "no_model"),
    "!500": _status(500, "The server had an error", "server"),
    "!503": _status(503, "The engine is currently overloaded", "overloaded"),
    "!error": _error_event,
    "!truncated": _truncated,
    "!early": _ended_early,
    "!stall": _stalled,
    "!silent": _silent,
}


def wishes(asked: str, tools: Iterable[str]) -> list[tuple[str, Json]]:
    """The calls that the model makes for what the last user's turn speaks of, of tools that are there."""
    inputs: list[tuple[str, Json]] = [("get_weather", {"city": city}) for city in CITY.findall(asked)]
    inputs += [("Read", {"file_path": path}) for path in FILE.findall(asked)[-1:]]
    names = set(tools)
    return [each for each in inputs if each[0] in names]
