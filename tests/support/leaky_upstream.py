"""An upstream that tells what it should not: its errors quote the key, and all headers, that it was shown.

    with LeakyUpstream() as upstream:
        ... upstream.url, upstream.shown ...

Speaks the Messages API, and Chat Completions under /v1/chat/completions. A word in the prompt says how it answers:
see FAULTS; else it says what it was told. Also takes webhooks, under /hook.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

__all__ = ["FAULTS", "LeakyUpstream"]

FAULTS = ("refuse-key", "refuse-request", "overload", "page", "garbage", "hang-up", "break-off", "late-error")
USAGE = {"input_tokens": 7, "output_tokens": 5}


class LeakyUpstream:
    """`shown` is what each request had in the headers that hold keys; `hooks` the bodies of webhooks."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.hooks: list[bytes] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("_Bound", (_Handler,), {"upstream": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    upstream: LeakyUpstream
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 10.0

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.startswith("/hook"):
            self.upstream.hooks.append(raw)
            self._send(200, b"{}")
            return
        key = self.headers.get("x-api-key") or self.headers.get("authorization") or ""
        self.upstream.shown.append(key.removeprefix("Bearer "))
        body = json.loads(raw)
        said = json.dumps(body["messages"][-1], ensure_ascii=False)
        fault = next((fault for fault in FAULTS if fault in said), "")
        leak = f"it does not like {key!r}; it got {dict(self.headers)!r}"
        if self.path.endswith("/count_tokens"):
            self._send_json({"input_tokens": 7})
        elif fault in ("refuse-key", "refuse-request", "overload"):
            status = {"refuse-key": 401, "refuse-request": 400, "overload": 529}[fault]
            kind = {401: "authentication_error", 400: "invalid_request_error", 529: "overloaded_error"}[status]
            error = {"type": kind, "message": leak, "code": leak, "param": key, "details": {"key": [key], key: key}}
            self._send_json({"type": "error", "error": error, "request_id": "req_1"}, status=status)
        elif fault == "page":
            self._send(502, f"<html>{leak}</html>".encode(), kind="text/html")
        elif fault == "garbage":
            self._send(200, f"{{{leak}".encode())
        elif fault == "hang-up":
            self.close_connection = True
        else:
            self._answer(body, said, fault, leak)

    def _answer(self, body: dict[str, Any], said: str, fault: str, leak: str) -> None:
        is_chat = self.path.endswith("/chat/completions")
        if not body.get("stream"):
            if fault:  # of a stream only
                self._send(500, leak.encode(), kind="text/plain")
                return
            self._send_json(_chat(body, said) if is_chat else _message(body, said))
            return
        events = [*(_chat_chunks if is_chat else _events)(body, said)]
        if fault:
            events = events[:3]
        error = {"type": "error", "error": {"type": "api_error", "message": leak, "code": None}}
        if fault == "late-error":
            events.append(b"data: %s\n\n" % json.dumps(error).encode() if is_chat else _sse(error))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(b"".join(events))
        self.close_connection = True

    def _send_json(self, value: object, *, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode())

    def _send(self, status: int, body: bytes, *, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: what the upstream logs is its own business."""


def _message(body: dict[str, Any], said: str) -> dict[str, Any]:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "stop_reason": "end_turn",
        "stop_sequence": None, "content": [{"type": "text", "text": said}], "usage": USAGE,
    }  # fmt: skip


def _events(body: dict[str, Any], said: str) -> list[bytes]:
    return [
        _sse({"type": "message_start", "message": {**_message(body, said), "content": [], "stop_reason": None}}),
        _sse({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        _sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": said}}),
        _sse({"type": "content_block_stop", "index": 0}),
        _sse({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": USAGE}),
        _sse({"type": "message_stop"}),
    ]


def _sse(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _chat(body: dict[str, Any], said: str, *, delta: bool = False) -> dict[str, Any]:
    part = {"role": "assistant", "content": said}
    choice = {"index": 0, "delta" if delta else "message": part, "finish_reason": None if delta else "stop"}
    usage = None if delta else {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    kind = "chat.completion.chunk" if delta else "chat.completion"
    return {"id": "c1", "object": kind, "created": 1, "model": body["model"], "choices": [choice], "usage": usage}


def _chat_chunks(body: dict[str, Any], said: str) -> list[bytes]:
    begun = [_chat(body, piece, delta=True) for piece in (said[:1], said[1:2], said[2:])]
    last = _chat(body, "")
    last["object"], last["choices"] = "chat.completion.chunk", [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    return [*(b"data: %s\n\n" % json.dumps(each).encode() for each in (*begun, last)), b"data: [DONE]\n\n"]
