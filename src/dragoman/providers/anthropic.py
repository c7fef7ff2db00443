"""Pass-through to a server that speaks the Messages API itself: Anthropic, or any other such server.

Nothing is translated, so nothing is lost: the caller's bytes go out with our key in place of theirs and, where the
configuration renames it, another `model`. Replies come back byte for byte; usage is read on the way.
Source: spec HDR-1 to 8, STR-1 to 42.
"""

from typing import Any

import msgspec

from dragoman.errors import ApiError, UpstreamFailed, status_of
from dragoman.wire.codec import WireError, read
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers
from dragoman.wire.sse import EventTooLarge, ServerEvent, SSEDecoder
from dragoman.wire.types import Usage

from .base import Answered, ErrorReply, Operation, StreamReader, Target, UpstreamRequest

__all__ = ["Messages", "MessagesStream"]

# The only headers of the caller that an upstream sees: no cookies, no keys, nothing of a proxy in front of us.
PASSED_ON = {name.encode(): name for name in ("anthropic-version", "anthropic-beta", "accept", "idempotency-key")}

# Events that do not commit us to a reply: after any other, the caller must have the stream.
NOT_CONTENT = frozenset({"message_start", "ping"})


def _passed_on(headers: Headers) -> list[tuple[str, str]]:
    return [*headers.pick(PASSED_ON), ("content-type", "application/json")]


class _Reply(msgspec.Struct):
    """What is read of a whole reply."""

    type: str
    usage: Any = None
    stop_reason: Any = None


class _EventData(msgspec.Struct):
    """What is read of an event."""

    message: dict[str, Any] | None = None
    usage: Any = None
    delta: Any = None


class _Count(msgspec.Struct):
    input_tokens: int


class _Error(msgspec.Struct):
    type: str
    message: str


class _ErrorReply(msgspec.Struct):
    error: _Error
    type: str


_decode_reply = msgspec.json.Decoder(_Reply).decode


class Messages:
    """The adapter of the Messages API to itself."""

    name = "messages"

    def prepare(self, operation: Operation, envelope: Envelope, headers: Headers, *, target: Target) -> UpstreamRequest:
        """The caller's bytes, but for the model where it is renamed."""
        same_model = envelope.model() == target.model
        out = headers.once(_passed_on).copy()
        if target.api_key is not None:
            if target.auth == "bearer":
                out.append(("authorization", f"Bearer {target.api_key}"))
            else:
                out.append(("x-api-key", target.api_key))
        return UpstreamRequest(
            url=target.base_url + operation.value,
            headers=out,
            body=envelope.encode() if same_model else envelope.encode(model=target.model),
        )

    def read(self, operation: Operation, body: bytes) -> Answered:
        """Checks that the bytes are a reply, and hands them on."""
        try:
            if operation is Operation.COUNT_TOKENS:
                msgspec.json.decode(body, type=_Count)
                return Answered(body=body, usage=None)
            reply = _decode_reply(body)
            if not body.isascii():
                body.decode()  # fields that are skipped are not decoded, so their UTF-8 must be checked here
            if reply.type != "message":
                raise UpstreamFailed("The upstream answered with something that is not a message.")
            return Answered(
                body=body,
                usage=_usage(reply.usage) if isinstance(reply.usage, dict) else None,
                stop_reason=_word(reply.stop_reason),
            )
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamFailed("The upstream's reply is not a message of the Messages API.") from error

    def read_error(self, status: int, body: bytes, *, request_id: str) -> ErrorReply:
        """An envelope as it came; anything else (a proxy's page) is put into one, without its text."""
        if _is_error(body):
            return ErrorReply(status, body)
        kind = _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        message = f"The upstream answered with status {status} and no error of the Messages API."
        envelope = {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
        return ErrorReply(status, msgspec.json.encode(envelope))

    def stream(self) -> StreamReader:
        return MessagesStream()


_KINDS = {
    status_of(kind): kind
    for kind in (
        "invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error",
        "conflict_error", "request_too_large", "rate_limit_error", "api_error", "timeout_error", "overloaded_error",
    )
}  # fmt: skip


class MessagesStream:
    """Hands on whole events as they came, and reads usage and errors out of them."""

    def __init__(self) -> None:
        self.has_content = False
        self.is_done = False
        self.error: bytes | None = None
        self.failed_first = False
        self.stop_reason: str | None = None
        self.failure: ApiError | None = None
        self._told: dict[str, Any] = {}  # usage, field by field
        self._decoder = SSEDecoder()
        self._held: list[bytes] = []  # pieces of an event that has not ended yet: joined once, however many
        self._out = 0  # bytes of the stream handed out

    @property
    def usage(self) -> Usage | None:
        return _usage(self._told) if self._told else None

    def feed(self, chunk: bytes) -> bytes:
        ready = b"" if self.is_done or self.failure is not None else self._read(chunk)
        if self.failure is not None and not ready:
            raise self.failure
        return ready

    def close(self) -> bytes:
        raise self.failure or UpstreamFailed("The upstream's stream ended before its message did.")

    def _read(self, chunk: bytes) -> bytes:
        if not self._decoder.pending:
            return self._quickly(chunk)
        end = chunk.find(b"\n\n") + 2  # of an event that the network has cut
        if end < 2 or end == len(chunk):
            return self._slowly(chunk)
        ready, rest = self._slowly(chunk[:end]), chunk[end:]
        return ready + (self._slowly(rest) if self._decoder.pending else self._quickly(rest))

    def _quickly(self, chunk: bytes) -> bytes:
        if self.is_done or self.failure is not None:
            return b""
        events, size = self._decoder.usual(chunk)
        if size == len(chunk):
            return self._handed_on(chunk, events)
        ready = self._handed_on(chunk[:size], events) if size else b""
        return ready + self._slowly(chunk[size:])

    def _slowly(self, chunk: bytes) -> bytes:
        if self.is_done or self.failure is not None or not chunk:
            return b""
        try:
            events = self._decoder.feed(chunk)
        except EventTooLarge as error:
            self.failure = UpstreamFailed(f"The upstream's stream cannot be read: {error}.")
            self.failure.__cause__ = error
            return b""
        return self._handed_on(chunk, events)

    def _handed_on(self, chunk: bytes, events: list[ServerEvent]) -> bytes:
        """What is whole now. Nothing after the end is handed on: the API sends nothing there, so whatever it is, it is
        not the API's. Nor is an event that cannot be read, nor what follows it: `failure` tells of it."""
        end = self._decoder.boundary
        for event in events:
            try:
                self._notice(event)
            except UpstreamFailed as failure:
                self.failure, end = failure, max(event.start, self._out)
                break
            if self.is_done:
                end = event.end
                break
        if not self._held and end - self._out == len(chunk):
            self._out = end
            return chunk
        self._held.append(chunk)
        if end == self._out:
            return b""
        held = b"".join(self._held)
        ready, rest = held[: end - self._out], held[end - self._out :]
        self._held = [rest] if rest else []
        self._out = end
        return ready

    def _notice(self, event: ServerEvent) -> None:
        name = event.name
        if name in ("message_start", "message_delta", "error"):
            self._look_into(event)
        if name not in NOT_CONTENT:
            self.has_content = True
        if name == "message_stop":
            self.is_done = True

    def _look_into(self, event: ServerEvent) -> None:
        try:
            value = msgspec.json.decode(event.data, type=_EventData)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamFailed(f"The upstream's stream cannot be read: its `{event.name}` holds no JSON.") from error
        if event.name == "error":
            if not _is_error(event.data):
                raise UpstreamFailed("The upstream's stream ended in an error that cannot be read.")
            self.error = event.data
            self.failed_first = not self.has_content
            self.is_done = True
            return
        # Cumulative: a field that is there replaces the one before it (STR-13, STR-54).
        told = value.usage if event.name == "message_delta" else (value.message or {}).get("usage")
        if isinstance(told, dict):
            self._told.update(told)
        if event.name == "message_delta" and isinstance(value.delta, dict):
            self.stop_reason = _word(value.delta.get("stop_reason")) or self.stop_reason


_USAGE = frozenset(Usage.__struct_encode_fields__) - {"extra"}


def _usage(told: dict[str, Any]) -> Usage | None:
    """The usage that an upstream told; None where it told none that makes sense: no reason to refuse its reply."""
    if not isinstance(told.get("input_tokens"), int) or not isinstance(told.get("output_tokens"), int):
        return None
    try:
        return msgspec.convert(told, Usage) if told.keys() <= _USAGE else read(Usage, told)
    except (msgspec.ValidationError, WireError):
        return None


def _word(told: object) -> str | None:
    return told if isinstance(told, str) else None


def _is_error(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=_ErrorReply)
        msgspec.json.decode(data)  # all of it: others will read more than these fields
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
