"""The `error` event that ends a stream names the request as the reply's header does (ERR-2). Pure."""

from typing import Any

import msgspec

from dragoman.wire.sse import SSEDecoder, encode_sse

__all__ = ["renamed"]

ERROR = b"event: error"


def renamed(piece: bytes, request_id: str) -> bytes:
    """Whole events; where the last of them is an error, it names that request, whoever it came from."""
    if ERROR not in piece:
        return piece
    last = SSEDecoder().feed(piece)[-1]
    if last.name != "error":
        return piece
    try:
        told: Any = msgspec.json.decode(last.data)
    except msgspec.DecodeError:
        return piece
    if not isinstance(told, dict) or told.get("request_id") == request_id:
        return piece
    return piece[: last.start] + encode_sse("error", msgspec.json.encode({**told, "request_id": request_id}))
