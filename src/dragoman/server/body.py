"""Reads a request's body: bounded, and unpacked where it came compressed. Source: spec ERR-24, ERR-25."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from dragoman.errors import BodyTimedOut, InvalidRequest, RequestTooLarge
from dragoman.wire.headers import Headers

__all__ = ["DRAIN_BYTES", "TOO_LARGE", "ClientGone", "Receive", "body_pieces", "read_body"]

Receive = Callable[[], Awaitable[dict[str, Any]]]

TOO_LARGE = "Request exceeds the maximum size"
# A body that is refused is still read for a while: a client that is sending does not look for a reply.
DRAIN_BYTES = 512 * 1024 * 1024
STANDSTILL_S = 60.0  # the longest wait for the next piece
WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 47}


class ClientGone(Exception):
    """The client hung up; there is nobody to answer."""


async def read_body(receive: Receive, headers: Headers, *, limit_bytes: int, whole: bytes | None = None) -> bytes:
    """The whole body: `whole`, where it is there already.

    Raises RequestTooLarge, BodyTimedOut, InvalidRequest (an encoding that cannot be undone), or ClientGone.
    """
    length = headers.get("content-length")
    is_too_large = length is not None and length.isdecimal() and int(length) > limit_bytes
    if is_too_large and "expect" in headers:  # the client waits for leave to send, and this is the answer
        raise RequestTooLarge(TOO_LARGE)
    if whole is not None:
        return await _plain(whole, headers, limit_bytes)
    pieces: list[bytes] = []
    size = 0
    async for piece in body_pieces(receive):
        size += len(piece)
        if size > limit_bytes:
            is_too_large = True
            pieces.clear()
        if is_too_large and size > DRAIN_BYTES:
            break
        if not is_too_large:
            pieces.append(piece)
    if is_too_large:
        raise RequestTooLarge(TOO_LARGE)
    return await _plain(b"".join(pieces), headers, limit_bytes)


async def _plain(body: bytes, headers: Headers, limit_bytes: int) -> bytes:
    """The body as it was before the client packed it."""
    if len(body) > limit_bytes:
        raise RequestTooLarge(TOO_LARGE)
    encoding = (headers.get("content-encoding") or "identity").strip().lower()
    if encoding in ("", "identity"):
        return body
    return await asyncio.to_thread(_unpacked, body, encoding, limit_bytes)  # a few KB may hold all that is allowed


async def body_pieces(receive: Receive) -> AsyncGenerator[bytes, None]:
    """The body as it comes. Raises BodyTimedOut and ClientGone."""
    while True:
        try:
            async with asyncio.timeout(STANDSTILL_S):
                message = await receive()
        except TimeoutError:
            raise BodyTimedOut from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        if piece := message.get("body", b""):
            yield piece
        if not message.get("more_body", False):
            return


def _unpacked(body: bytes, name: str, limit_bytes: int) -> bytes:
    if name not in WINDOW_BITS:
        raise InvalidRequest(
            f"content-encoding: {name!r} is not supported. Send the body as it is, or packed with gzip.",
            details={"error_code": "request_body_encoding_unsupported"},
        )
    plain = b""
    is_whole = False
    try:
        while body and not (is_whole and name == "deflate") and len(plain) <= limit_bytes:
            unpacker = zlib.decompressobj(WINDOW_BITS[name])  # gzip may have several members (RFC 1952, section 2.2)
            plain += unpacker.decompress(body, limit_bytes + 1 - len(plain))
            is_whole, body = unpacker.eof, unpacker.unused_data
    except zlib.error:
        is_whole = False
    if len(plain) > limit_bytes:
        raise RequestTooLarge(TOO_LARGE, details={"error_code": "request_body_too_large_after_decoding"})
    if not is_whole or body:
        raise InvalidRequest(
            f"content-encoding: the body is not valid {name}",
            details={"error_code": "request_body_encoding_invalid"},
        )
    return plain
