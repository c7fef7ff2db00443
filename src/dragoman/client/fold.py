"""A stream of events -> the message that grows out of it, and the events that its helpers add. STR-52 to 57. Pure.

Text grows in pieces and is joined when somebody looks: a stream of n pieces costs n, not n squared.
"""

from typing import Any, NamedTuple

from dragoman.types.events import (
    CitationEvent,
    CompactionEvent,
    InputJsonEvent,
    ParsedContentBlockStopEvent,
    ParsedMessageStopEvent,
    SignatureEvent,
    TextEvent,
    ThinkingEvent,
)
from dragoman.types.replies import ParsedContentBlock, ParsedMessage

from .given import is_given, omit
from .parse import parse_text
from .record import Record, build, read_as
from .snapshots import GrowingInput, GrowingText

__all__ = ["PLAIN", "Fold", "Shapes"]


class Shapes(NamedTuple):
    """The classes that a message and its ends are made of: they differ for `client.beta`."""

    message: Any
    block: Any
    message_stop: Any
    block_stop: Any


PLAIN = Shapes(ParsedMessage, ParsedContentBlock, ParsedMessageStopEvent, ParsedContentBlockStopEvent)

TOOL_INPUTS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})

# What a message_delta's usage replaces, where it says it: counts are totals. STR-13, 54.
USAGE = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "server_tool_use",
    "output_tokens_details",
    "iterations",
    "fallback_credit",
)


class Fold:
    """Takes the events of one stream, in order. Events and parts that nobody knows change nothing and go on.

    `message` is None until message_start. `keep_cut_text`: does a tool's input that is not whole yet show the string
    that is just being written? (The API's fine-grained tool streaming does.)
    """

    def __init__(self, shapes: Shapes = PLAIN, *, output_format: Any = omit, keep_cut_text: bool = False) -> None:
        self._shapes = shapes
        self._message: Any = None
        self._growing: dict[int, GrowingText | GrowingInput] = {}
        self._output_format = output_format
        self._keep_cut_text = keep_cut_text

    @property
    def message(self) -> Any:
        """The message as it stands."""
        for index, growing in self._growing.items():
            growing.put_into(self._message.content[index])
        return self._message

    def take(self, event: Any) -> list[Any]:
        """What a caller sees for an event: itself, changed where it ends something, and what helpers add.

        Raises ValueError for a tool's input that no JSON begins with (STR-55), and what parsing an output format does.
        """
        kind = getattr(event, "type", None)
        if kind == "content_block_delta":
            return self._delta(event)
        if kind == "message_start" and self._message is None:
            self._message = build(self._shapes.message, event.message.to_dict())
        elif self._message is None:
            return [event]
        elif kind == "content_block_start":
            self._start(event)
        elif kind == "content_block_stop":
            return [self._stop(event)]
        elif kind == "message_delta":
            self._ending(event)
        elif kind == "message_stop":
            return [build(self._shapes.message_stop, {**event.__dict__, "message": self.message})]
        return [event]

    def _start(self, event: Any) -> None:
        block = read_as(self._shapes.block, event.content_block.to_dict())
        self._message.content.append(block)
        if block.type == "fallback":  # another model goes on from here
            self._message.model = block.to.model

    def _block(self, index: Any) -> Any:
        """The block that an event is about, None where none was started."""
        content = self._message.content
        return content[index] if isinstance(index, int) and 0 <= index < len(content) else None

    def _delta(self, event: Any) -> list[Any]:
        block = None if self._message is None else self._block(event.index)
        if block is None:
            return [event]
        delta = event.delta
        match delta.type, block.type:
            case "text_delta", "text":
                snapshot = self._grow(event.index, block, "text", delta.text)
                return [event, TextEvent.growing(delta.text, snapshot)]
            case "thinking_delta", "thinking":
                snapshot = self._grow(event.index, block, "thinking", delta.thinking)
                return [event, ThinkingEvent.growing(delta.thinking, snapshot)]
            case "input_json_delta", kind if kind in TOOL_INPUTS:
                return [event, self._input(event.index, block, delta.partial_json)]
            case "citations_delta", "text":
                citations = [*(block.citations or ()), delta.citation]
                block.citations = citations
                fields = {"type": "citation", "citation": delta.citation, "snapshot": citations}
                return [event, CitationEvent.model_construct(**fields)]
            case "signature_delta", "thinking":
                block.signature = delta.signature
                return [event, build(SignatureEvent, {"type": "signature", "signature": delta.signature})]
            case "compaction_delta", "compaction":
                for name in ("content", "encrypted_content"):
                    if name in delta.__dict__:
                        block.__dict__[name] = delta.__dict__[name]
                fields = {"type": "compaction", "content": block.content}
                return [event, build(CompactionEvent, {**delta.__dict__, **fields})]
        return [event]

    def _grow(self, index: int, block: Any, field: str, piece: str) -> Any:
        growing = self._growing.get(index)
        if not isinstance(growing, GrowingText):
            growing = self._growing[index] = GrowingText(field, getattr(block, field, "") or "")
        return growing.add(piece)

    def _input(self, index: int, block: Any, piece: str) -> Any:
        growing = self._growing.get(index)
        if not isinstance(growing, GrowingInput):
            growing = self._growing[index] = GrowingInput(block.input, keep_cut_text=self._keep_cut_text)
        return InputJsonEvent.growing(piece, growing.add(piece))

    def _stop(self, event: Any) -> Any:
        block = self._block(event.index)
        if block is None:
            return event
        growing = self._growing.pop(event.index, None)
        if growing is not None:
            growing.put_into(block)
        if block.type == "text" and self._output_format is not None and is_given(self._output_format):
            block.parsed_output = parse_text(block.text, self._output_format)
        return build(self._shapes.block_stop, {**event.__dict__, "content_block": block})

    def _ending(self, event: Any) -> None:
        message = self._message
        delta = event.delta.__dict__
        message.stop_reason = delta.get("stop_reason")
        message.stop_sequence = delta.get("stop_sequence")
        message.stop_details = delta.get("stop_details")
        if delta.get("container") is not None:
            message.container = delta["container"]
        for name in ("context_management", "input_transformations"):
            if event.__dict__.get(name) is not None:
                message.__dict__[name] = event.__dict__[name]
        usage = event.__dict__.get("usage")
        if isinstance(usage, Record) and isinstance(message.__dict__.get("usage"), Record):
            message.usage.__dict__.update(
                {name: usage.__dict__[name] for name in USAGE if usage.__dict__.get(name) is not None}
            )
