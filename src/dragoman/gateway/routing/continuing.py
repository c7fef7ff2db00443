"""An answer that breaks off in the middle, continued by another target in the same stream, where a route asks for it.

The next target gets the request with the text so far, and goes on from there: what it writes follows in the block that
is open, and its other blocks are counted on. That is possible while nothing but text has come out, thinking apart:
never inside a tool's input or a thought, nor after a tool call. Pure, but for `continued`.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import msgspec

from dragoman.errors import UpstreamFailed
from dragoman.gateway.call import Stream
from dragoman.gateway.upstream.error_events import renamed
from dragoman.wire.envelope import Envelope
from dragoman.wire.sse import SSEDecoder, encode_sse

__all__ = ["Join", "Progress", "continued", "continued_body"]

ASK = (
    "Your reply was cut off by a fault of the network. Go on exactly where it ends, in the middle of the word if need "
    "be. Repeat nothing of it and do not mention the interruption."
)
NONSENSE = "The upstream sent events that cannot be read. Please try again."
CHARS_A_TOKEN = 4

_decode = msgspec.json.Decoder().decode


class Progress:
    """What has come out of a stream so far: fed with whole events."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._chars = 0
        self._is_strange = False  # it says what no stream says
        self.next_index = 0
        self.open_index: int | None = None  # of a text block
        self.is_over = False
        self._is_other_open = False
        self._has_tools = False
        self._decoder = SSEDecoder()
        self._fed = 0

    @property
    def text(self) -> str:
        return "".join(self._texts)

    @property
    def can_continue(self) -> bool:
        is_open = not (self._is_other_open or self._has_tools or self.is_over or self._is_strange)
        return is_open and bool(self.text.strip())

    @property
    def tokens(self) -> int:
        """About so many."""
        return self._chars // CHARS_A_TOKEN

    def feed(self, piece: bytes) -> int | None:
        """Returns where in these whole events an `error` event begins, which is the last; None: there is none."""
        before, self._fed = self._fed, self._fed + len(piece)
        for event in self._decoder.feed(piece):
            if event.name == "error":
                return event.start - before
            if event.name != "ping" and not self._is_strange:
                try:
                    self._note(event.name, _decode(event.data))
                except (KeyError, TypeError, msgspec.DecodeError):
                    self._is_strange = True
        return None

    def _add(self, text: str) -> None:
        self._chars += len(text)
        self._texts.append(text)

    def _note(self, name: str, data: Any) -> None:
        if name == "content_block_start":
            kind = data["content_block"]["type"]
            self.next_index = data["index"] + 1
            self.open_index = data["index"] if kind == "text" else None
            self._is_other_open = kind != "text"
            self._has_tools = self._has_tools or kind not in ("text", "thinking", "redacted_thinking")
            if kind == "text":
                self._add(data["content_block"].get("text") or "")
        elif name == "content_block_delta" and data["delta"]["type"] == "text_delta":
            self._add(data["delta"]["text"])
        elif name == "content_block_stop":
            self.open_index, self._is_other_open = None, False
        elif name in ("message_delta", "message_stop"):
            self.is_over = True


class Join:
    """Rewrites another stream so that it follows: no second start, blocks counted on, text in the open block."""

    def __init__(self, progress: Progress, *, skip: str = "") -> None:
        """`skip`: white space that the text so far ends with, and that the other one may begin with again."""
        self._decoder = SSEDecoder()
        self._open = progress.open_index
        self._shift = progress.next_index
        self._so_far = progress.tokens
        self._skip = skip
        self._is_first = True
        self._merged: int | None = None  # the index, there, of the block whose text goes on in ours

    def feed(self, piece: bytes) -> bytes:
        """Whole events in, whole events out."""
        return b"".join(self._rewritten(event.name, event.data) for event in self._decoder.feed(piece))

    def _rewritten(self, name: str, data: bytes) -> bytes:
        if name == "message_start":
            return b""
        if name in ("ping", "error", "message_stop"):
            return self._closed() + encode_sse(name, data) if name == "message_stop" else encode_sse(name, data)
        event = _decode(data)
        if name == "message_delta":
            usage = event.get("usage")
            if isinstance(usage, dict) and isinstance(usage.get("output_tokens"), int):
                usage["output_tokens"] += self._so_far
            return self._closed() + encode_sse(name, msgspec.json.encode(event))
        if name == "content_block_start" and self._is_first:
            self._is_first = False
            if event["content_block"]["type"] == "text" and self._open is not None:
                self._merged = event["index"]
                self._shift = self._open - event["index"]
                self._open = None
                text = event["content_block"].get("text")
                delta = {"type": "text_delta", "text": text}
                return b"" if not text else self._delta(event["index"], delta)
            before = self._closed()
            event["index"] += self._shift
            return before + encode_sse(name, msgspec.json.encode(event))
        if name == "content_block_delta" and self._skip and event["delta"]["type"] == "text_delta":
            text = event["delta"]["text"]
            event["delta"]["text"] = text.removeprefix(self._skip)
            self._skip = ""
            if not event["delta"]["text"]:
                return b""
        if "index" in event:
            event["index"] += self._shift
        return encode_sse(name, msgspec.json.encode(event))

    def _delta(self, index: int, delta: dict[str, Any]) -> bytes:
        event = {"type": "content_block_delta", "index": index + self._shift, "delta": delta}
        return encode_sse("content_block_delta", msgspec.json.encode(event))

    def _closed(self) -> bytes:
        """The end of the block that was open, where nothing goes on in it."""
        if self._open is None:
            return b""
        event = {"type": "content_block_stop", "index": self._open}
        self._open = None
        return encode_sse("content_block_stop", msgspec.json.encode(event))


def continued_body(envelope: Envelope, progress: Progress, *, can_prefill: bool) -> bytes:
    """The request that goes on from the text so far. `can_prefill`: who answers goes on from an assistant's last turn;
    others are asked to."""
    messages = envelope.value("messages")
    text = progress.text.rstrip()
    turns = [*messages, {"role": "assistant", "content": [{"type": "text", "text": text}]}]
    prefills = can_prefill and not {"thinking", "output_config"} & envelope.fields.keys()
    if not prefills:
        turns.append({"role": "user", "content": ASK})
    replaced: dict[str, Any] = {"messages": turns}
    most = envelope.value("max_tokens")
    if isinstance(most, int) and not isinstance(most, bool):
        replaced["max_tokens"] = max(1, most - progress.tokens)
    return envelope.encode(**replaced)


async def continued(
    stream: Stream, go_on: Callable[[Progress], Awaitable[Stream | None]], *, request_id: str
) -> AsyncGenerator[bytes, None]:
    """An empty piece, then the stream, and those that follow where it breaks off.

    `go_on` returns the next one, which has begun; None: nobody goes on, and the error is the end. It asks
    `Progress.can_continue`.
    """
    current: Stream | None = stream
    join: Join | None = None
    progress = Progress()
    try:
        yield b""
        while current is not None:
            broken: bytes | None = None
            async for piece in current:
                try:
                    ready = piece if join is None else join.feed(piece)
                except (KeyError, TypeError, msgspec.DecodeError):
                    ready = encode_sse("error", msgspec.json.encode(UpstreamFailed(NONSENSE).body(request_id)))
                at = progress.feed(ready)
                if at is not None:
                    ready, broken = ready[:at], ready[at:]
                if ready:
                    yield ready
                if broken is not None:
                    break
            if broken is None:
                return
            await current.aclose()
            current = await go_on(progress)
            if current is None:
                yield renamed(broken, request_id)
                return
            text = progress.text
            join = Join(progress, skip=text[len(text.rstrip()) :])
    finally:
        if current is not None:
            await current.aclose()
