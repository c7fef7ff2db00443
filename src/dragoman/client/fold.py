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
from .guards import LIST, is_object
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
    """Takes the events of one stream, in order. Events and parts that nobody knows change nothing and go on, and so do
    those of a lawless stream: deltas for no block, or without what their type promises.

    `message` is None until message_start. `keep_cut_text`: does a tool's input that is not whole yet show the string
    that is just being written? (The API's fine-grained tool streaming does.)
    """

    def __init__(self, shapes: Shapes = PLAIN, *, output_format: Any = omit, keep_cut_text: bool = False) -> None:
        self._shapes = shapes
        self._message: Any = None
        self._blocks: dict[int, Any] = {}  # by the index of their start: a gateway may have taken out those between
        self._growing: dict[int, GrowingText | GrowingInput] = {}
        self._output_format = output_format
        self._keep_cut_text = keep_cut_text

    @property
    def message(self) -> Any:
        """The message as it stands."""
        for index, growing in self._growing.items():
            growing.put_into(self._blocks[index])
        return self._message

    def take(self, event: Any) -> list[Any]:
        """What a caller sees for an event: itself, changed where it ends something, and what helpers add.

        Raises ValueError for a tool's input that no JSON begins with (STR-55), and what parsing an output format does.
        """
        kind = getattr(event, "type", None)
        if kind == "content_block_delta":
            return self._delta(event)
        if self._message is None:
            if kind == "message_start":
                self._begin(event)
        elif kind == "content_block_start":
            self._start(event)
        elif kind == "content_block_stop":
            return [self._stop(event)]
        elif kind == "message_delta":
            self._ending(event)
        elif kind == "message_stop":
            return [build(self._shapes.message_stop, {**event.__dict__, "message": self.message})]
        return [event]

    def _begin(self, event: Any) -> None:
        told = getattr(event, "message", None)
        if not isinstance(told, Record):
            return
        self._message = build(self._shapes.message, Record.to_dict(told))
        content: list[Any] | None = self._message.__dict__.get("content")
        if not isinstance(content, list):
            content = self._message.content = []
        self._blocks = dict(enumerate(content))

    def _start(self, event: Any) -> None:
        told = getattr(event, "content_block", None)
        if not isinstance(told, Record):
            return
        block = read_as(self._shapes.block, Record.to_dict(told))
        self._message.content.append(block)
        if isinstance(index := getattr(event, "index", None), int):
            self._settle(index)
            self._blocks[index] = block
        if block.__dict__.get("type") == "fallback":  # another model goes on from here
            self._message.model = _model_of(block, self._message.model)

    def _block(self, event: Any) -> Any:
        """The block that an event is about, None where none was started."""
        index = getattr(event, "index", None)
        block = self._blocks.get(index) if isinstance(index, int) else None
        return block if isinstance(block, Record) else None

    def _delta(self, event: Any) -> list[Any]:
        block = self._block(event)
        delta = getattr(event, "delta", None)
        if block is None or not isinstance(delta, Record):
            return [event]
        told = delta.__dict__
        kind = block.__dict__.get("type")
        match told.get("type"), kind if isinstance(kind, str) else None:
            case "text_delta", "text" if isinstance(piece := told.get("text"), str):
                return [event, TextEvent.growing(piece, self._grow(event.index, block, "text", piece))]
            case "thinking_delta", "thinking" if isinstance(piece := told.get("thinking"), str):
                return [event, ThinkingEvent.growing(piece, self._grow(event.index, block, "thinking", piece))]
            case "input_json_delta", kind if kind in TOOL_INPUTS and isinstance(told.get("partial_json"), str):
                return [event, self._input(event.index, block, told["partial_json"])]
            case "citations_delta", "text" if "citation" in told:
                before = block.__dict__.get("citations")
                block.citations = citations = [*(before if type(before) is LIST else ()), told["citation"]]
                grown = CitationEvent.model_construct(type="citation", citation=told["citation"], snapshot=citations)
                return [event, grown]
            case "signature_delta", "thinking" if "signature" in told:
                block.signature = told["signature"]
                return [event, build(SignatureEvent, {"type": "signature", "signature": told["signature"]})]
            case "compaction_delta", "compaction":
                fields = {name: told.get(name) for name in ("content", "encrypted_content")}
                block.__dict__.update(fields)
                return [event, build(CompactionEvent, {"type": "compaction", **fields})]
            case _:
                return [event]

    def _grow(self, index: int, block: Any, field: str, piece: str) -> Any:
        growing = self._growing.get(index)
        if not isinstance(growing, GrowingText):
            start = block.__dict__.get(field)
            growing = self._growing[index] = GrowingText(field, start if isinstance(start, str) else "")
        return growing.add(piece)

    def _input(self, index: int, block: Any, piece: str) -> Any:
        growing = self._growing.get(index)
        if not isinstance(growing, GrowingInput):
            start = block.__dict__.get("input")
            growing = self._growing[index] = GrowingInput(start, keep_cut_text=self._keep_cut_text)
        return InputJsonEvent.growing(piece, growing.add(piece))

    def _settle(self, index: int) -> None:
        """Nothing grows there any more."""
        growing = self._growing.pop(index, None)
        if growing is not None:
            growing.put_into(self._blocks[index])

    def _stop(self, event: Any) -> Any:
        block = self._block(event)
        if block is None:
            return event
        self._settle(event.index)
        if block.__dict__.get("type") == "text" and self._output_format is not None and is_given(self._output_format):
            block.parsed_output = parse_text(block.text, self._output_format)
        return build(self._shapes.block_stop, {**event.__dict__, "content_block": block})

    def _ending(self, event: Any) -> None:
        message = self._message
        told = event.__dict__
        if isinstance(told.get("delta"), Record):
            delta = told["delta"].__dict__
            for name in ("stop_reason", "stop_sequence", "stop_details"):
                setattr(message, name, delta.get(name))
            if delta.get("container") is not None:
                message.container = delta["container"]
        for name in ("context_management", "input_transformations"):
            if told.get(name) is not None:
                setattr(message, name, told[name])
        if isinstance(told.get("usage"), Record):
            self._count(told["usage"].__dict__)

    def _count(self, counts: dict[str, Any]) -> None:
        message = self._message
        if not isinstance(message.__dict__.get("usage"), Record):
            message.usage = build(self._shapes.message, {"usage": {}}).usage
        message.usage.__dict__.update({name: counts[name] for name in USAGE if counts.get(name) is not None})


def _model_of(block: Any, model: Any) -> Any:
    """The model that a `fallback` block names; `model` where it names none."""
    to = getattr(block, "to", None)
    return (to.get("model") if is_object(to) else getattr(to, "model", None)) or model
