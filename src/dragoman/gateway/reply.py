"""What the edge sends, and what is settled when it is closed. An error is a reply like any other."""

import logging

import msgspec

from dragoman.errors import ApiError, BodyTimedOut, InternalError
from dragoman.wire.sse import encode_sse

from .auth.auth import Principal
from .call import Answer, Write
from .ledger.accounting import Entry, Outcome
from .ledger.contents import Recording
from .limits.limits import Hold
from .routing.plans import ATTEMPTS_HEADER

__all__ = ["OUR_FAULT", "Reply", "end", "error_answer", "refusal"]

log = logging.getLogger("dragoman.gateway")

OUR_FAULT = "Internal server error"  # all that a caller is told of it (ERR-54)


class Reply:
    """What the edge sends. It must be closed, sent or not: then the entry is settled and the hold released."""

    def __init__(
        self,
        request_id: str,
        answered: Answer,
        *,
        principal: Principal | None = None,
        entry: Entry | None = None,
        hold: Hold | None = None,
        recording: Recording | None = None,
    ) -> None:
        self.request_id = answered.request_id or request_id
        self.status = answered.status
        self.headers = [*answered.headers, ("request-id", self.request_id)]
        if principal is not None:
            self.headers += principal.headers
        if hold is not None:
            self.headers = hold.tell(self.headers, status=self.status)
        self.body = answered.body
        self.media_type = answered.media_type
        self.is_stream = answered.stream is not None
        self._stream = answered.stream
        self._lost = answered.lost
        self._entry = entry
        self._hold = hold
        self._recording = recording

    @property
    def has_more(self) -> bool:
        """False when it is known that no piece follows: then the last one can end the reply."""
        return not getattr(self._stream, "is_over", False)

    def pass_to(self, write: Write) -> None:
        """Let pieces go to `write` in the step in which they come, where the stream can do that. What it does not take
        comes by `next_piece`, and so does the last piece."""
        stream, hold = self._stream, self._hold
        if stream is None or not hasattr(stream, "write"):
            return
        if self._recording is not None:
            write = self._recording.over(write)

        def counted(piece: bytes) -> bool:
            is_taken = write(piece)
            if is_taken and hold is not None:
                hold.saw(piece)
            return is_taken

        stream.write = write if hold is None else counted

    async def next_piece(self) -> bytes | None:
        """The next piece of a stream, None at its end. A fault of ours becomes an `error` event (STR-40)."""
        if self._stream is None:
            return None
        try:
            piece = await anext(self._stream)
        except StopAsyncIteration:
            return None
        except Exception:
            return await self._failed()
        if self._hold is not None:
            self._hold.saw(piece)
        if self._recording is not None:
            self._recording.saw(piece)
        return piece

    async def _failed(self) -> bytes:
        log.exception("request %s failed in mid-stream by a fault of dragoman's", self.request_id)
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()
        fault = InternalError(OUR_FAULT)
        if self._entry is not None:
            self._entry.outcome, self._entry.error = "cut", fault.kind
        return encode_sse("error", msgspec.json.encode(fault.body(self.request_id)))

    async def aclose(self, outcome: Outcome | None = None) -> None:
        """Stop what still runs, then settle. `outcome`: what became of it, if it did not come to its end."""
        try:
            if self._stream is not None:
                await self._stream.aclose()
        finally:
            if outcome is not None and self._lost is not None:
                self._lost()
            if self._entry is not None:
                end(self._entry, self._hold, outcome)
            if self._recording is not None:
                self._recording.end(self.body)


def end(entry: Entry, hold: Hold | None, outcome: Outcome | None) -> None:
    entry.gather()
    if entry.attempt is not None:
        entry.attempt.ended(entry, "abandoned" if entry.is_spoilt else outcome)
    seen = hold.seen_tokens() if hold is not None else 0
    cost_nano = entry.settle(outcome, seen_tokens=seen)
    if hold is not None:
        is_whole = outcome is None and entry.outcome == "answered"
        cost_nano = None if cost_nano is None or entry.others_nano is None else cost_nano + entry.others_nano
        hold.release(entry.usage, status=entry.status, is_whole=is_whole, cost_nano=cost_nano)


def refusal(
    error: ApiError,
    *,
    principal: Principal | None,
    entry: Entry,
    hold: Hold | None,
    recording: Recording | None = None,
) -> Reply:
    entry.status, entry.outcome, entry.error = error.status, "refused", error.kind
    answered = error_answer(error, entry.request_id)
    if entry.tries is not None:
        answered.headers.append((ATTEMPTS_HEADER, str(entry.tries)))
    return Reply(entry.request_id, answered, principal=principal, entry=entry, hold=hold, recording=recording)


def error_answer(error: ApiError, request_id: str) -> Answer:
    """An error in the API's envelope, with the headers that belong to it (ERR-1, ERR-2, HDR-38)."""
    headers = error.headers()
    if error.status == 429:
        headers.append(("x-should-retry", "true"))
    elif error.status < 500 and error.status != 409 and not isinstance(error, BodyTimedOut):
        headers.append(("x-should-retry", "false"))
    return Answer(status=error.status, headers=headers, body=msgspec.json.encode(error.body(request_id)))
