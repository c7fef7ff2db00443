"""Stream events: their types, the one law of their order, and the fold of a stream into its message.

The law is a table (`LAW`). The block writer in `writer.py` obeys it, `StreamLaw` checks any stream against it, and
`Fold` turns a stream into the message that the non-streaming reply would have been (STR-15). Source:
spec/streaming.md. Imports only `codec` and `types` of this folder.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from .codec import Unknown, Wire, WireError, encode, plain, read
from .partial import parse_partial
from .sse import ServerEvent, encode_sse
from .tools import JsonObject
from .types import Container, Message, OutputBlock, StopDetails

__all__ = [
    "BlockDelta",
    "BlockStart",
    "BlockStop",
    "CitationsDelta",
    "DeltaUsage",
    "ErrorBody",
    "ErrorEvent",
    "Event",
    "Fold",
    "IllegalStream",
    "InputJsonDelta",
    "MessageDelta",
    "MessageStart",
    "MessageStop",
    "Ping",
    "SignatureDelta",
    "Stop",
    "StreamLaw",
    "TextDelta",
    "ThinkingDelta",
    "decode_event",
    "encode_event",
    "encode_events",
    "encode_text_deltas",
]


class _Tagged(Wire, frozen=True, kw_only=True, tag_field="type"):
    pass


# `gc=False`: JSON holds no cycles, and a stream makes thousands of these. Without it, with 32 streams at once, the
# collector took as long as all the rest.
class TextDelta(_Tagged, frozen=True, kw_only=True, tag="text_delta", gc=False):
    text: str


class InputJsonDelta(_Tagged, frozen=True, kw_only=True, tag="input_json_delta", gc=False):
    partial_json: str


class ThinkingDelta(_Tagged, frozen=True, kw_only=True, tag="thinking_delta", gc=False):
    thinking: str


class SignatureDelta(_Tagged, frozen=True, kw_only=True, tag="signature_delta"):
    signature: str


class CitationsDelta(_Tagged, frozen=True, kw_only=True, tag="citations_delta"):
    citation: JsonObject


class CompactionDelta(_Tagged, frozen=True, kw_only=True, tag="compaction_delta"):
    content: str | None


Delta = TextDelta | InputJsonDelta | ThinkingDelta | SignatureDelta | CitationsDelta | CompactionDelta | Unknown


class MessageStart(_Tagged, frozen=True, kw_only=True, tag="message_start"):
    message: Message


class BlockStart(_Tagged, frozen=True, kw_only=True, tag="content_block_start"):
    index: int
    content_block: OutputBlock


class BlockDelta(_Tagged, frozen=True, kw_only=True, tag="content_block_delta", gc=False):
    index: int
    delta: Delta


class BlockStop(_Tagged, frozen=True, kw_only=True, tag="content_block_stop"):
    index: int


class Stop(Wire, frozen=True, kw_only=True):
    """The `delta` of a message_delta: why the message ended."""

    stop_reason: str | None
    stop_sequence: str | None
    stop_details: StopDetails | None
    container: Container | None = None


class DeltaUsage(Wire, frozen=True, kw_only=True):
    """Cumulative, not incremental; a field that is missing keeps its message_start value (STR-13)."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int
    output_tokens_details: JsonObject | None = None
    server_tool_use: JsonObject | None = None


class MessageDelta(_Tagged, frozen=True, kw_only=True, tag="message_delta"):
    delta: Stop
    usage: DeltaUsage
    context_management: JsonObject | None = None  # what was cleared of the prompt, when that was asked for


class MessageStop(_Tagged, frozen=True, kw_only=True, tag="message_stop"):
    pass


class Ping(_Tagged, frozen=True, kw_only=True, tag="ping"):
    pass


class ErrorBody(Wire, frozen=True, kw_only=True):
    type: str
    message: str
    details: JsonObject | None = None


class ErrorEvent(_Tagged, frozen=True, kw_only=True, tag="error"):
    error: ErrorBody
    request_id: str | None = None


Event = MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop | Ping | ErrorEvent | Unknown

_BY_TAG: dict[str, type[Wire]] = {
    "message_start": MessageStart,
    "content_block_start": BlockStart,
    "content_block_delta": BlockDelta,
    "content_block_stop": BlockStop,
    "message_delta": MessageDelta,
    "message_stop": MessageStop,
    "ping": Ping,
    "error": ErrorEvent,
}


def _name(event: Wire) -> str:
    return event.kind if isinstance(event, Unknown) else str(type(event).__struct_config__.tag)


def encode_event(event: Event) -> bytes:
    """An event as its SSE bytes (STR-2), fields and types that no one knows included."""
    return encode_sse(_name(event), encode(event))


def encode_events(events: Iterable[Event]) -> bytes:
    """Events that leave together, as `encode_event` has each of them.

    Nearly all events are deltas that hold nothing foreign. Those that follow each other are encoded in one go, a line
    each: no JSON encoded here has a line end in it, so the lines only need frames. That takes a fifth of the time.
    """
    encoded: list[bytes] = []
    deltas: list[BlockDelta] = []
    for event in events:
        if type(event) is BlockDelta and type(event.delta) is not Unknown and not (event.extra or event.delta.extra):
            deltas.append(event)
            continue
        if deltas:
            encoded.append(_encode_deltas(deltas))
            deltas = []
        encoded.append(encode_event(event))
    if deltas:
        encoded.append(_encode_deltas(deltas))
    return b"".join(encoded)


_DELTA = b"event: content_block_delta\ndata: "
_END = b"\n\n"
_lines = msgspec.json.Encoder()


def _encode_deltas(deltas: list[BlockDelta]) -> bytes:
    lines = _lines.encode_lines(deltas)  # each with a line end behind it, the last too
    return _DELTA + lines[:-1].replace(b"\n", _END + _DELTA) + _END


def encode_text_deltas(index: int, texts: Sequence[str]) -> bytes:
    """The events of pieces of text for the block `index`."""
    if not texts:
        return b""
    before = _DELTA + b'{"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":' % index
    return before + _lines.encode_lines(texts)[:-1].replace(b"\n", b"}}" + _END + before) + b"}}" + _END


def decode_event(event: ServerEvent) -> Event:
    """One event of a Messages stream. Raises WireError for data that is no JSON object of its type's shape."""
    try:
        value = msgspec.json.decode(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"event {event.name!r} holds no JSON") from error
    if not isinstance(value, dict):
        raise WireError(f"event {event.name!r} holds no JSON object")
    kind = value.get("type", event.name)
    known = _BY_TAG.get(kind) if isinstance(kind, str) else None
    if known is None:
        return Unknown(kind=str(kind), extra={key: item for key, item in value.items() if key != "type"})
    return read(known, value)  # type: ignore[return-value]


# The law (STR-10 to 12): state -> what may come next -> the state after it. `ping`, and events of types that no one
# knows, may come anywhere and change nothing. After "done" nothing else comes.
LAW: dict[str, dict[str, str]] = {
    "begin": {"message_start": "between", "error": "done"},
    "between": {"content_block_start": "inside", "message_delta": "ending", "error": "done"},
    "inside": {"content_block_delta": "inside", "content_block_stop": "between", "error": "done"},
    "ending": {"message_delta": "ending", "message_stop": "done", "error": "done"},
    "done": {},
}

# Block type -> the deltas that fit it (STR-20 to 26). A type that no one knows takes any.
DELTAS: dict[str, frozenset[str]] = {
    "text": frozenset({"text_delta", "citations_delta"}),
    "tool_use": frozenset({"input_json_delta"}),
    "server_tool_use": frozenset({"input_json_delta"}),
    "mcp_tool_use": frozenset({"input_json_delta"}),
    "thinking": frozenset({"thinking_delta", "signature_delta"}),
    "redacted_thinking": frozenset(),
    "container_upload": frozenset(),
    "compaction": frozenset({"compaction_delta"}),
}


class IllegalStream(ValueError):
    """Events in an order, or of a kind, that the law forbids."""


class StreamLaw:
    """Checks a stream of events against the law, one at a time."""

    def __init__(self) -> None:
        self.state = "begin"
        self._blocks = 0
        self._deltas: frozenset[str] | None = None  # None: any
        self._thinking = False
        self._signed = False

    @property
    def is_done(self) -> bool:
        return self.state == "done"

    def check(self, event: Event) -> None:
        """Take the next event. Raises IllegalStream where it may not come now."""
        name = _name(event)
        if isinstance(event, Ping | Unknown):
            if self.is_done:
                raise IllegalStream(f"`{name}` after the end")
            return
        following = LAW[self.state].get(name)
        if following is None:
            raise IllegalStream(f"`{name}` while {self.state}")
        if isinstance(event, BlockStart):
            self._open(event)
        elif isinstance(event, BlockDelta):
            self._delta(event)
        elif isinstance(event, BlockStop):
            self._close(event)
        self.state = following

    def _open(self, event: BlockStart) -> None:
        if event.index != self._blocks:
            raise IllegalStream(f"block {event.index} where {self._blocks} was due")
        kind = _name(event.content_block)
        self._deltas = DELTAS.get(kind, frozenset() if kind.endswith("_tool_result") else None)
        self._thinking = kind == "thinking"
        self._signed = False

    def _delta(self, event: BlockDelta) -> None:
        self._same_block(event.index)
        kind = _name(event.delta)
        if self._deltas is not None and not isinstance(event.delta, Unknown) and kind not in self._deltas:
            raise IllegalStream(f"`{kind}` does not fit the open block")
        if self._signed:
            raise IllegalStream(f"`{kind}` after the signature")
        self._signed = kind == "signature_delta"

    def _close(self, event: BlockStop) -> None:
        self._same_block(event.index)
        if self._thinking and not self._signed:
            raise IllegalStream("a thinking block ends without its signature")
        self._blocks += 1

    def _same_block(self, index: int) -> None:
        if index != self._blocks:
            raise IllegalStream(f"block {index} while {self._blocks} is open")


class Fold:
    """Folds the events of one stream into its message, as the official SDK does (STR-54).

    Lenient where the SDK is: pings and unknown events, a second message_start, deltas that do not fit their block
    change nothing, and a missing stop is survived (STR-14). Works on plain values, so fields and blocks of later
    versions come through. Linear in the stream.

    `keep_cut_text`: of an input that was cut, keeps also the string that was not whole, as the SDK does not.
    """

    def __init__(self, *, keep_cut_text: bool = True) -> None:
        self._keeps_cut_text = keep_cut_text
        self.error: ErrorEvent | None = None
        self.is_complete = False  # message_stop was seen
        self._message: dict[str, Any] | None = None
        self._parts: dict[tuple[int, str], list[str]] = {}  # (block, field) -> fragments, joined once
        self._citations: dict[int, list[JsonObject]] = {}

    @property
    def has_begun(self) -> bool:
        """message_start was seen; what comes before it counts nothing."""
        return self._message is not None

    def add(self, event: Event) -> None:
        """Take the next event. Raises WireError for a delta to a block that is not there, or without its text."""
        if isinstance(event, ErrorEvent):
            self.error = event
        elif self._message is None:
            if isinstance(event, MessageStart):
                self._message = plain(event.message)
        elif isinstance(event, BlockDelta):
            self._extend(event.index, event.delta)
        elif isinstance(event, BlockStart):
            self._message["content"].append(plain(event.content_block))
        elif isinstance(event, MessageDelta):
            self._message.update(plain(event.delta))
            if event.context_management is not None:
                self._message["context_management"] = event.context_management
            self._message["usage"].update(plain(event.usage))
        elif isinstance(event, MessageStop):
            self.is_complete = True

    def message(self) -> Message:
        """The message so far. Raises WireError before message_start, or for a block that is not of its shape."""
        return read(Message, self.value())

    def value(self) -> dict[str, Any]:
        """The message so far, as plain values. Raises WireError as `message` does, but looks at shapes no closer than
        it must."""
        if self._message is None:
            raise WireError("the stream holds no message_start")
        content = [dict(block) for block in self._message["content"]]
        for (index, field), parts in self._parts.items():
            text = "".join(parts)
            if field != "input":
                content[index][field] = _text_of(content[index], field) + text
            elif text:
                content[index]["input"] = parse_partial(text, keep_cut_text=self._keeps_cut_text)
        for index, citations in self._citations.items():
            content[index]["citations"] = [*(content[index].get("citations") or ()), *citations]
        return {**self._message, "content": content}

    def _extend(self, index: int, delta: Delta) -> None:
        assert self._message is not None
        content = self._message["content"]
        if not isinstance(index, int) or not 0 <= index < len(content):
            raise WireError(f"a delta for block {index}, which was never started")
        fitting = DELTAS.get(content[index]["type"])
        if isinstance(delta, Unknown) or (fitting is not None and _name(delta) not in fitting):
            return
        if isinstance(delta, TextDelta) and isinstance(delta.text, str):
            self._parts.setdefault((index, "text"), []).append(delta.text)
            return
        match delta:
            case ThinkingDelta(thinking=str(thinking)):
                self._parts.setdefault((index, "thinking"), []).append(thinking)
            case InputJsonDelta(partial_json=str(part)):
                self._parts.setdefault((index, "input"), []).append(part)
            case SignatureDelta(signature=signature):
                content[index]["signature"] = signature
            case CitationsDelta(citation=citation):
                self._citations.setdefault(index, []).append(citation)
            case CompactionDelta(content=text):
                content[index]["content"] = text
            case _:
                raise WireError(f"a `{_name(delta)}` without its text")


def _text_of(block: dict[str, Any], field: str) -> str:
    text = block.get(field, "")
    if not isinstance(text, str):
        raise WireError(f"{block['type']}: `{field}` is no text")
    return text
