"""Judges one event stream by its bytes, as they leave: what is illegal in it is a `Fault`. Pure; reads no clock.

Of any stream (STR-2, 3, 8, 10 to 14, 20 to 26, 40): whole frames with equal names, the law of the order, texts that are
text, one end and nothing after it. Of a stream that our own engine made also what is in it: usage, ids, signatures,
tool inputs, stop reasons. A stream that was passed on may hold what its upstream pleased to put there.

    judge = Judge(is_ours=lambda message_id: True)
    judge.feed(piece)   # for each piece, raises Fault
    judge.end()         # when the body has ended as bodies do
    judge.oddity        # what is illegal in a stream that was passed on
"""

import json
from collections.abc import Callable
from typing import Any

from dragoman.wire.codec import WireError, plain
from dragoman.wire.events import Fold, IllegalStream, StreamLaw, decode_event
from dragoman.wire.sse import ServerEvent, SSEDecoder

__all__ = ["Fault", "Judge"]

Json = dict[str, Any]

TERMINAL = ("message_stop", "error")
CUT = ("max_tokens", "model_context_window_exceeded")  # stop reasons that may leave half a tool input (STR-14, 32)
# Delta -> where its text is.
TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
CALLS = {"tool_use": "toolu_", "server_tool_use": "srvtoolu_"}
TOLD = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


class Fault(Exception):
    """What a stream must not do."""


def must(is_so: object, what: str) -> None:
    if not is_so:
        raise Fault(what)


class Judge:
    """One stream. `is_ours` says of a message id whether our engine made the message.

    `oddity`: what is illegal in a stream that is not ours, once; whether that is the upstream's doing is for others to
    say. Framing and end are dragoman's in any stream.
    """

    def __init__(self, *, is_ours: Callable[[str], bool]) -> None:
        self.oddity: str | None = None
        self._is_ours = is_ours
        self._decoder = SSEDecoder()
        self._law = StreamLaw()
        self._end: str | None = None
        self._content: _Content | None = None  # of a message of ours

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body. Each ends with an event, as a ping may follow it at any time."""
        must(self._end is None or not piece, f"bytes after `{self._end}`: {piece[:100]!r}")
        for event in self._decoder.feed(piece):
            self._take(event)
        must(self._decoder.pending == 0, f"a piece ends in half an event: {piece[-100:]!r}")
        if self._content is not None:
            _must_be_framed(piece)

    def end(self) -> None:
        must(self._end, "the body ended without `message_stop` or `error`")
        if self._content is not None and self._end == "message_stop":
            self._content.end()

    def _take(self, event: ServerEvent) -> None:
        must(self._end is None, f"`{event.name}` after `{self._end}`")
        if self.oddity is None:
            try:
                self._read(event)
            except (Fault, LookupError, TypeError) as fault:  # the latter: values of no expected shape
                if self._content is not None:
                    raise
                self.oddity = repr(fault)
        if event.name in TERMINAL:
            self._end = event.name

    def _read(self, event: ServerEvent) -> None:
        value = _json_of(event)
        if event.name == "content_block_delta":
            _must_be_text(value["delta"])
        try:
            typed = decode_event(event)
            self._law.check(typed)
        except (IllegalStream, WireError) as error:
            raise Fault(f"{error}, in {event.data[:200]!r}") from error
        if event.name == "message_start" and self._is_ours(value["message"]["id"]):
            self._content = _Content()
        if self._content is not None:
            self._content.take(value)
            self._content.fold.add(typed)


def _json_of(event: ServerEvent) -> Json:
    """The event's data. Parsed by the standard library: not everything should hang on the code under test."""
    try:
        value = json.loads(event.data.decode())
    except ValueError as error:
        raise Fault(f"`{event.name}` holds no JSON: {event.data[:200]!r}") from error
    must(isinstance(value, dict), f"`{event.name}` holds no JSON object")
    must(value.get("type") == event.name, f"an event named `{event.name}` has type {value.get('type')!r}")
    return dict(value)


def _must_be_framed(piece: bytes) -> None:
    """`event:` line, `data:` line, blank line, and nothing else (STR-2)."""
    *blocks, rest = piece.split(b"\n\n")
    must(rest == b"", f"a piece ends in half an event: {piece[-100:]!r}")
    for block in blocks:
        lines = block.split(b"\n")
        is_framed = len(lines) == 2 and lines[0].startswith(b"event: ") and lines[1].startswith(b"data: ")
        must(is_framed, f"a frame that is not `event:` and `data:`: {block[:200]!r}")


def _must_be_text(delta: Json) -> None:
    """Each delta's text is a string of whole characters (STR-5)."""
    field = TEXTS.get(delta["type"])
    if field is None:
        return
    must(isinstance(delta.get(field), str), f"a `{delta['type']}` without its text")
    try:
        delta[field].encode()
    except UnicodeEncodeError as error:
        raise Fault(f"a `{delta['type']}` that cuts a character in two: {delta[field]!r}") from error


class _Content:
    """What is in a message that our engine made. The order of its events is legal: the law has seen to it."""

    def __init__(self) -> None:
        self.fold = Fold()
        self._usage: Json = {}
        self._stop: Json = {}
        self._ids: set[str] = set()
        self._kinds: list[str] = []
        self._block: Json = {}
        self._parts: list[str] = []  # of the open block's text or input
        self._has_empty_text = False
        self._half: int | None = None  # the first call whose input is no JSON object

    def take(self, event: Json) -> None:
        match event["type"]:
            case "message_start":
                self._begin(event["message"])
            case "content_block_start":
                self._open(event["content_block"])
            case "content_block_delta":
                self._extend(event["delta"])
            case "content_block_stop":
                self._close()
            case "message_delta":
                self._finish(event["delta"], event["usage"])
            case _:
                return

    def end(self) -> None:
        reason = self._stop["stop_reason"]
        must(reason, "the message ends without a stop_reason")
        has_sequence = self._stop["stop_sequence"] is not None
        must(has_sequence == (reason == "stop_sequence"), f"stop_sequence does not fit stop_reason: {self._stop}")
        must(("tool_use" in self._kinds) or reason != "tool_use", "stop_reason tool_use without a call")
        must(reason == "refusal" or not self._has_empty_text, "an empty text block")  # a refusal may leave one (STR-41)
        if self._half is not None:
            is_cut = reason in CUT and self._half == len(self._kinds) - 1
            must(is_cut, f"the input of call {self._half} is no JSON object, and was not cut off ({reason})")
        message = self.fold.message()
        must([plain(block)["type"] for block in message.content] == self._kinds, "the fold has other blocks")

    def _begin(self, message: Json) -> None:
        """STR-10."""
        empty = {"type": "message", "role": "assistant", "content": [], "stop_reason": None, "stop_sequence": None}
        must(empty.items() <= message.items(), f"message_start holds {message}")
        must(message["id"].startswith("msg_") and message.get("model"), f"message_start names {message}")
        usage = message["usage"]
        must(all(_is_count(usage.get(name)) for name in TOLD), f"usage without its counts: {usage}")
        created = usage.get("cache_creation")
        must(isinstance(created, dict) and all(map(_is_count, created.values())), f"cache_creation: {usage}")
        must(sum(created.values()) == usage["cache_creation_input_tokens"], f"cache_creation does not add up: {usage}")
        must(usage["output_tokens"] <= 1, f"output_tokens before any output: {usage}")
        must(all(isinstance(usage.get(name), str) for name in ("service_tier", "inference_geo")), f"usage: {usage}")
        self._usage = usage

    def _open(self, block: Json) -> None:
        """STR-20 to 25."""
        kind = block["type"]
        self._kinds.append(kind)
        self._block, self._parts = block, []
        if kind == "text":
            must(block["text"] == "", f"a text block starts full: {block}")
        elif kind == "thinking":
            must(block["thinking"] == block["signature"] == "", f"a thinking block starts full: {block}")
        elif prefix := CALLS.get(kind):
            must(block["input"] == {}, f"a call starts full: {block}")
            must(block["id"].startswith(prefix) and block["id"] not in self._ids, f"not an id of its own: {block}")
            self._ids.add(block["id"])

    def _extend(self, delta: Json) -> None:
        if field := TEXTS.get(delta["type"]):
            self._parts.append(delta[field])
        elif delta["type"] == "signature_delta":
            must(delta["signature"], "an empty signature")
        elif delta["type"] == "citations_delta":
            must(isinstance(delta["citation"].get("type"), str), f"a citation without its type: {delta}")

    def _close(self) -> None:
        whole = "".join(self._parts)
        if self._block["type"] == "text":
            self._has_empty_text |= not whole
        elif self._block["type"] in CALLS and self._half is None and not _is_json_object(whole or "{}"):
            self._half = len(self._kinds) - 1

    def _finish(self, stop: Json, usage: Json) -> None:
        """Cumulative (STR-13): no count may ever be less than it was."""
        must({"stop_reason", "stop_sequence"} <= stop.keys(), f"a message_delta without its stop: {stop}")
        self._stop |= stop
        for name in TOLD:
            if name in usage:
                must(_is_count(usage[name]) and usage[name] >= self._usage[name], f"{name} fell: {self._usage} {usage}")
        must(_is_count(usage.get("output_tokens")), f"message_delta without output_tokens: {usage}")
        thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens", 0)
        must(_is_count(thought) and thought <= usage["output_tokens"], f"more thought than said: {usage}")
        self._usage = self._usage | usage


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
