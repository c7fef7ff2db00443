"""What a well-behaved Messages upstream sends: one reply and one stream, and the pieces of them to misbehave with."""

from typing import Any

from misbehaving import LAST_CHUNK, Conn, Handler, chunk, json_reply, sse_event, sse_head

__all__ = [
    "BLOCK",
    "COUNT",
    "DELTA",
    "END",
    "MESSAGE",
    "START",
    "STREAM",
    "UPSTREAM_ID",
    "envelope",
    "sse",
    "then",
    "well_behaved",
]

UPSTREAM_ID = "req_011CUpstreamsOwn"
MESSAGE: dict[str, Any] = {
    "id": "msg_01FromUpstream",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-8",
    "content": [{"type": "text", "text": "Half of it"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 5},
}
COUNT = {"input_tokens": 7}
START: dict[str, Any] = {
    "type": "message_start",
    "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 7, "output_tokens": 1}},
}
BLOCK: dict[str, Any] = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
DELTA: dict[str, Any] = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "text_delta", "text": "Half of it"},
}
END: list[dict[str, Any]] = [
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 5},
    },
    {"type": "message_stop"},
]
STREAM = [START, BLOCK, DELTA, *END]


def sse(*events: dict[str, Any]) -> bytes:
    """The bytes of events, as they stand in a body."""
    return b"".join(sse_event(event["type"], event) for event in events)


def envelope(kind: str = "overloaded_error", **more: Any) -> dict[str, Any]:
    """An error in the API's form."""
    told = {"type": kind, "message": f"a {kind} of the upstream", **more}
    return {"type": "error", "error": told, "request_id": UPSTREAM_ID}


async def well_behaved(conn: Conn) -> None:
    """The handler of an upstream that does all it should."""
    while (request := await conn.read_request()) is not None:
        if request.target.endswith("count_tokens"):
            await conn.send(json_reply(COUNT, ("request-id", UPSTREAM_ID)))
        elif b'"stream": true' in request.body:  # not parsed: it may be what only msgspec reads
            await conn.send(sse_head(("request-id", UPSTREAM_ID)) + chunk(sse(*STREAM)) + LAST_CHUNK)
        else:
            await conn.send(json_reply(MESSAGE, ("request-id", UPSTREAM_ID)))


def then(data: bytes, *, and_then: str = "stall") -> Handler:
    """Reads one request, sends `data` as it is, and then: "stall" (until the peer hangs up), "close" or "reset"."""

    async def handler(conn: Conn) -> None:
        if await conn.read_request() is None:
            return
        await conn.send(data)
        if and_then == "stall":
            await conn.wait_closed()
        elif and_then == "reset":
            conn.reset()

    return handler
