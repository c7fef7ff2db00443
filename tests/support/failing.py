"""A Messages-speaking upstream that fails as it is told: the `model` of the request names the fault.

fail-529          that status, with the envelope, a request id, and what belongs to it (`retry-after` with 429)
page-502          a proxy's page instead of an envelope
cut-overloaded    a stream that has begun, then an `error` event
cut-silent        a stream that has begun, then the end of the body
early-overloaded  a stream whose first event after message_start is an `error`
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from misbehaving import Conn, Handler, Misbehaving, json_reply, reply, sse_reply

__all__ = ["KINDS", "RETRY_AFTER_S", "UPSTREAM_ID", "Failing", "Loop", "served"]

T = TypeVar("T")

UPSTREAM_ID = "req_011CUpstreamsOwn"
RETRY_AFTER_S = 17

# HTTP status -> `error.type` (spec ERR-10 to 20).
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

MESSAGE: dict[str, Any] = {
    "id": "msg_01FromUpstream",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-8",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 1},
}
START = {"type": "message_start", "message": MESSAGE}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Half of"}}


class Failing:
    """The handler."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()

    async def __call__(self, conn: Conn) -> None:
        while (request := await conn.read_request()) is not None:
            await conn.send(self._reply(request.json()["model"]))

    def _reply(self, model: str) -> bytes:
        self._asked[model] += 1
        match model.split("-"):
            case "fail", status:
                own = [("retry-after", str(RETRY_AFTER_S))] if status == "429" else []
                return _error(int(status), *own)
            case "page", status:
                return reply(b"<html>Bad gateway</html>", ("content-type", "text/html"), status=int(status))
            case "busy", status, _:
                if self._asked[model] <= 2:
                    return _error(int(status), ("retry-after-ms", "1"))
                return json_reply(
                    MESSAGE | {"content": [{"type": "text", "text": "At last"}], "stop_reason": "end_turn"}
                )
            case "cut", "overloaded":
                return _stream(START, BLOCK, DELTA, envelope("overloaded_error"))
            case "cut", "silent":
                return _stream(START, BLOCK, DELTA)
            case "early", "overloaded":
                return _stream(START, envelope("overloaded_error"))
        raise AssertionError(f"no fault is named {model!r}")


def _error(status: int, *headers: tuple[str, str]) -> bytes:
    return json_reply(envelope(KINDS[status]), ("request-id", UPSTREAM_ID), *headers, status=status)


def _stream(*events: dict[str, Any]) -> bytes:
    return sse_reply(((event["type"], event) for event in events), ("request-id", UPSTREAM_ID))


def envelope(kind: str) -> dict[str, Any]:
    """An error in the API's form."""
    return {"type": "error", "error": {"type": kind, "message": f"a {kind} of the upstream"}, "request_id": UPSTREAM_ID}


class Loop:
    """An event loop in a thread of its own, for servers that outlive a test's loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Awaitable[T]) -> T:
        """Run it there, wait here."""

        async def wait() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(wait(), self._loop).result(20)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


@contextmanager
def served(handler: Handler) -> Iterator[Misbehaving]:
    """The handler's server, in a thread of its own."""
    loop = Loop()
    server = Misbehaving(handler)
    loop.run(server.__aenter__())
    try:
        yield server
    finally:
        loop.run(server.__aexit__(None, None, None))
        loop.close()
