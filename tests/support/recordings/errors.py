"""Errors inside a stream."""

from typing import Any

from .making import (
    END,
    HALF,
    HELLO,
    Event,
    Recording,
    as_bytes,
    call,
    compact,
    frame,
    message_delta,
    recording,
    start,
    stopped,
    text,
    text_delta,
)

__all__ = ["RECORDINGS"]

TYPES = """
    api_error overloaded_error timeout_error rate_limit_error invalid_request_error authentication_error
    permission_error not_found_error request_too_large billing_error conflict_error
""".split()


def error(kind: str = "overloaded_error", message: str = "Overloaded", **fields: Any) -> Event:
    """STR-40."""
    return {
        "type": "error",
        "error": {"type": kind, "message": message, **fields},
        "request_id": "req_01Recorded",
    }


def odd(data: bytes) -> Recording:
    """An error whose data is not what it ought to be."""
    return recording("STR-51", HALF, frame(data, "error"))


RECORDINGS = {
    **{kind: recording("STR-40, 51: midway", HALF, error(kind, "Something.")) for kind in TYPES},
    "an unknown type": recording("STR-40", HALF, error("flux_error", "The flux.", extra={"a": 1})),
    "details": recording("STR-40", HALF, error(details={"error_code": "thread_not_found", "x": 1})),
    "before anything": recording("STR-40", error()),
    "behind message_start": recording("STR-40", start(), error()),
    "inside a call": recording("STR-40", start(), call(0, '{"a": 1')[:-1], error()),
    "behind message_delta": recording("STR-40", start(), text(0, "x"), message_delta(), error()),
    "behind message_stop": recording("STR-40", HELLO, error()),
    "before more": recording("STR-51: which is not read", HALF, error(), text_delta(0, "more"), stopped(0), END),
    "not JSON": odd(b"upstream connect error"),
    "empty": odd(b""),
    "no data": recording("STR-51", HALF, b"event: error\n\n"),
    "a string": odd(b'"boom"'),
    "a number": odd(b"5"),
    "null": odd(b"null"),
    "a list": odd(b'["boom"]'),
    "an empty object": odd(b"{}"),
    "a number as type": odd(b'{"type":"error","error":{"type":7}}'),
    "a string inside": odd(b'{"type":"error","error":"boom"}'),
    "two lines of data": odd(b'{"type":"error",\ndata: "error":{"type":"api_error","message":"a\\nb \xc3\xa9"}}'),
    "another name": recording("STR-51: no error", HALF, frame(error(), "message"), stopped(0), END),
    "no name": recording("STR-2, 51: dropped", HALF, b"data: %b\n\n" % compact(error()), stopped(0), END),
    "cut off": recording("STR-52", as_bytes(HALF, error())[:-1]),
}
