"""A provider that speaks Chat Completions on a real socket, refuses what the reference does not allow, and misbehaves
on demand.

    with FakeOpenAI() as fake:
        ... fake.url, fake.bodies, fake.refused ...

Its model, of any name, thinks when it is called `thinker...`, calls `get_weather` for each city that it is asked the
weather of (all in one turn, in fragments, in turns) and `Read` for a file, and reads results of tools out. Words in the
last user's turn make it misbehave: see FAULTS.
"""

import json
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from fake_openai_rules import Refused, check

__all__ = ["FakeOpenAI"]

Json = dict[str, Any]
KEY = "sk-fake-openai-key"
CITY = re.compile(r"\b(?:Paris|Rome|Tokyo|Malmö)\b")
FILE = re.compile(r"Read the file (/\S+)")
PIECE = 5  # characters of a chunk
PATIENCE_S = 10.0


class FakeOpenAI:
    """What it was asked is in `bodies`; what it refused, beyond the faults that it was told to have, in `refused`."""

    def __init__(self) -> None:
        self.bodies: list[Json] = []
        self.refused: list[str] = []
        self.hung_up = threading.Event()  # a caller has, while it was being answered
        self.streaming = threading.Event()  # the part of a stream that stalls is out
        self.hung_up_at = 0.0  # seconds, monotonic
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.key = KEY
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeOpenAI
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """To nowhere."""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        try:
            body = self._checked(raw)
        except Refused as refused:
            self.fake.refused.append(str(refused))
            self.whole(refused.body, status=refused.status)
            return
        self.fake.bodies.append(body)
        asked = _last_text(body)
        for word, fault in FAULTS.items():
            if word in asked:
                fault(self, body)
                return
        self.answer(body)

    def _checked(self, raw: bytes) -> Json:
        if self.path != "/v1/chat/completions":
            raise Refused(f"Invalid URL (POST {self.path})", status=404)
        if self.headers.get("authorization") != f"Bearer {KEY}":
            raise Refused("Incorrect API key provided.", code="invalid_api_key", status=401)
        if self.headers.get("content-type") != "application/json":
            raise Refused("you must provide a JSON body")
        body = json.loads(raw)
        check(body)
        return dict(body)

    # -- answers --

    def answer(self, body: Json) -> None:
        message, finish, usage = _reply(body)
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
            self.whole({**_base(body, "chat.completion"), "choices": [choice], "usage": usage})
            return
        self.begin()
        for delta in _deltas(message):
            self.chunk({**_base(body), "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        self.chunk({**_base(body), "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        if body.get("stream_options", {}).get("include_usage"):
            self.chunk({**_base(body), "choices": [], "usage": usage})
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def whole(self, value: Json, *, status: int = 200, **headers: str) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"content-type": "application/json", "content-length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(data)

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def chunk(self, value: Json) -> None:
        self.event(json.dumps(value, ensure_ascii=False))

    def event(self, data: str) -> None:
        sent = f"data: {data}\n\n".encode()
        self.wfile.write(f"{len(sent):x}\r\n".encode() + sent + b"\r\n")

    def some(self, body: Json) -> None:
        """The beginning of a stream."""
        self.begin()
        for text in ("", "Half of", " it"):
            delta = {"role": "assistant", "content": text}
            self.chunk({**_base(body), "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})

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


def _too_many(handler: _Handler, body: Json) -> None:
    error = {"message": "Rate limit reached for requests", "type": "requests", "code": "rate_limit_exceeded"}
    handler.whole({"error": {**error, "param": None}}, status=429, retry_after="7")


def _error_chunk(handler: _Handler, body: Json) -> None:
    handler.some(body)
    error = {"message": "The server had an error", "type": "server_error", "param": None, "code": None}
    handler.chunk({"error": error})
    handler.wait_for_the_end()


def _truncated(handler: _Handler, body: Json) -> None:
    handler.some(body)
    handler.cut()


def _ended_early(handler: _Handler, body: Json) -> None:
    handler.some(body)
    handler.wfile.write(b"0\r\n\r\n")


def _stalled(handler: _Handler, body: Json) -> None:
    handler.some(body)
    handler.wait_for_the_end()


def _silent(handler: _Handler, body: Json) -> None:
    handler.wait_for_the_end()


def _status(status: int, message: str, code: str | None = None) -> Callable[[_Handler, Json], None]:
    def fault(handler: _Handler, body: Json) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        handler.whole({"error": error}, status=status)

    return fault


TOO_LONG_SAID = (
    "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens. Please reduce"
    " the length of the messages."
)
FAULTS: dict[str, Callable[[_Handler, Json], None]] = {
    "!429": _too_many,
    "!long": _status(400, TOO_LONG_SAID, "context_length_exceeded"),
    "!401": _status(401, f"Incorrect API key provided: {KEY}.", "invalid_api_key"),
    "!404": _status(404, "The model does not exist", "model_not_found"),
    "!500": _status(500, "The server had an error"),
    "!503": _status(503, "The engine is currently overloaded"),
    "!error": _error_chunk,
    "!truncated": _truncated,
    "!early": _ended_early,
    "!stall": _stalled,
    "!silent": _silent,
}


# -- the model --


def _base(body: Json, kind: str = "chat.completion.chunk") -> Json:
    return {"id": "chatcmpl-fake", "object": kind, "created": 1_790_000_000, "model": body["model"]}


def _reply(body: Json) -> tuple[Json, str, Json]:
    results = _results(body["messages"])
    calls = [] if body.get("tool_choice") == "none" else _calls(body)
    message: Json = {"role": "assistant", "content": None}
    if body["model"].startswith("thinker"):
        message["reasoning_content"] = "Let me think. 🤔"
    if results:
        message["content"] = f"It says: {' | '.join(results)}"
    elif calls:
        message["content"] = "I shall look."
        message["tool_calls"] = calls
    else:
        message["content"] = f"You said: {_last_text(body)}"
    finish = "tool_calls" if "tool_calls" in message else "stop"
    return message, finish, _usage(body, message)


def _calls(body: Json) -> list[Json]:
    """For what the last user's turn speaks of and a tool is there for."""
    names = {tool["function"]["name"] for tool in body.get("tools", [])}
    asked = _last_text(body)
    inputs = [("get_weather", {"city": city}) for city in CITY.findall(asked)]
    inputs += [("Read", {"file_path": path}) for path in FILE.findall(asked)[-1:]]
    turn = len(body["messages"])
    return [_call(f"call_{turn}_{at}", *each) for at, each in enumerate(inputs) if each[0] in names]


def _call(call_id: str, name: str, arguments: Json) -> Json:
    function = {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {"id": call_id, "type": "function", "function": function}


def _usage(body: Json, message: Json) -> Json:
    prompt, output = len(json.dumps(body["messages"])) // 4, len(json.dumps(message)) // 4
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": prompt // 2},
    }


def _deltas(message: Json) -> Iterator[Json]:
    yield {"role": "assistant", "content": ""}
    for field in ("reasoning_content", "content"):
        text = message.get(field) or ""
        for start in range(0, len(text), PIECE):
            yield {field: text[start : start + PIECE]}
    calls = message.get("tool_calls", [])
    for at, call in enumerate(calls):
        yield {"tool_calls": [{**call, "index": at, "function": {**call["function"], "arguments": ""}}]}
    longest = max((len(call["function"]["arguments"]) for call in calls), default=0)
    for start in range(0, longest, PIECE):  # of all calls in turns
        for at, call in enumerate(calls):
            if piece := call["function"]["arguments"][start : start + PIECE]:
                yield {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}


def _results(messages: list[Json]) -> list[str]:
    """Of the tools that were called last, when the model has said nothing since."""
    since = next((at for at in range(len(messages), 0, -1) if messages[at - 1]["role"] == "assistant"), 0)
    return [str(message["content"]) for message in messages[since:] if message["role"] == "tool"]


def _last_text(body: Json) -> str:
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            content = message["content"]
            return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
    return ""
