"""The block writer: the only thing that may emit the events of a message.

Whoever answers (an engine, an adapter of a translated provider) says what there is to say, text, thinking, a tool
call; the writer opens, numbers and closes the blocks. No order of its calls makes an illegal stream: that is its
law (ARCHITECTURE, principle 3), and a test drives it at random. Imports only this folder.
"""

from collections.abc import Sequence
from typing import Any

from .events import (
    BlockDelta,
    BlockStart,
    BlockStop,
    CitationsDelta,
    CompactionDelta,
    Delta,
    DeltaUsage,
    ErrorBody,
    ErrorEvent,
    Event,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    SignatureDelta,
    Stop,
    TextDelta,
    ThinkingDelta,
    encode_events,
    encode_text_deltas,
)
from .surrogates import WholeCharacters
from .tools import JsonObject
from .types import (
    Caller,
    Compaction,
    Message,
    OutputBlock,
    RedactedThinking,
    ServerToolUse,
    StopDetails,
    StopReason,
    Text,
    Thinking,
    ToolUse,
    Usage,
)

__all__ = ["BlockWriter", "WriterClosed"]

DIRECT = Caller(type="direct")


class WriterClosed(RuntimeError):
    """A call after the end: a fault of the code that calls, never of a request."""


class BlockWriter:
    """Emits the events of one message.

    Each method returns the events that its call makes due, perhaps none. Blocks open at their first content: an
    empty text opens nothing (clients store empty blocks and are refused them ever after). The message starts with
    the first call. `usage` is what message_start tells; its `output_tokens` is 1 there, as the API's is (STR-10).
    `also` are fields of the message that only some requests ask for, such as `diagnostics` (CCH-40). `unsigned` is
    the signature of thinking that nobody signs: another maker's, by which it is known as that when it comes back.
    `begins_thinking`: the first block is one of thinking, an empty one where there is none.
    """

    def __init__(
        self,
        message_id: str,
        *,
        model: str,
        usage: Usage,
        also: JsonObject | None = None,
        unsigned: str = "",
        begins_thinking: bool = False,
    ) -> None:
        self._start = MessageStart(
            message=Message(
                id=message_id,
                role="assistant",
                model=model,
                content=[],
                stop_reason=None,
                stop_sequence=None,
                stop_details=None,
                usage=usage,
                extra=also or {},
            )
        )
        self._unsigned = unsigned
        self._begins_thinking = begins_thinking
        self._started = False
        self._index = 0
        self._open: str | None = None  # type of the open block
        self._signature: str | None = None  # of the open thinking block, emitted when it closes
        self._input = WholeCharacters()  # of the open call
        self._citations: list[JsonObject] = []  # held until the text that they belong to
        self._blank = ""  # white space at the beginning of a text
        self._is_done = False

    @property
    def is_done(self) -> bool:
        return self._is_done

    @property
    def is_in_text(self) -> bool:
        """Whether a text block is open: a piece of text is one delta then."""
        return self._open == "text"

    def start(self) -> list[Event]:
        """message_start, once."""
        self._must_be_open()
        if self._started:
            return []
        self._started = True
        return [self._start]

    def ping(self) -> list[Event]:
        return [*self.start(), Ping()]

    def text(self, text: str) -> list[Event]:
        """A piece of text, into the open text block or a new one.

        A block of nothing but white space is none: sent back, the API refuses it (pain 3). So what is blank at the
        beginning waits for what is not.
        """
        if self._open == "text" and text and not self._citations:
            return [self._delta(TextDelta(text=text))]  # nearly every call
        if self._open != "text":
            text = self._blank + text
            self._blank = text if not text or text.isspace() else ""
        if not text or self._blank:
            return self.start()
        citations, self._citations = self._citations, []
        opened = self._within("text", Text(text="", citations=[] if citations else None))
        cited = [self._delta(CitationsDelta(citation=citation)) for citation in citations]
        return [*opened, *cited, self._delta(TextDelta(text=text))]

    def texts(self, pieces: Sequence[str]) -> list[Event]:
        """Pieces of text that are there at the same time, at least one: what `text` returns for each in turn."""
        events = self.text(pieces[0])
        if self._open != "text":  # all before it were empty, or blank
            return [*events, *(event for piece in pieces[1:] for event in self.text(piece))]
        index = self._index
        events += [BlockDelta(index=index, delta=TextDelta(text=piece)) for piece in pieces[1:] if piece]
        return events

    def encoded_texts(self, pieces: Sequence[str]) -> bytes:
        """What `texts` returns, as the bytes of a stream, at a tenth of the price while a text block is open."""
        if self._open != "text" or self._citations:
            return encode_events(self.texts(pieces))
        return encode_text_deltas(self._index, [piece for piece in pieces if piece])

    def citation(self, citation: JsonObject) -> list[Event]:
        """A citation for the open text block; with none open, for the text that comes next (STR-20).

        One that no text follows is dropped: it cites nothing, and a block with no text may not be sent back.
        """
        started = self.start()
        if self._open == "text":
            return [self._delta(CitationsDelta(citation=citation))]
        self._citations.append(citation)
        return started

    def thinking(self, thinking: str) -> list[Event]:
        """A piece of thinking, into the open thinking block if it is not yet signed, or a new one."""
        if not thinking:
            return self.start()
        self._blank = ""
        closed = self.end_block() if self._signature is not None else []
        opened = self._within("thinking", Thinking(thinking="", signature=""))
        return [*closed, *opened, self._delta(ThinkingDelta(thinking=thinking))]

    def signature(self, signature: str) -> list[Event]:
        """Signs the thinking block and closes it. With none open it signs an empty one (display omitted, STR-24)."""
        opened = self._within("thinking", Thinking(thinking="", signature=""))
        self._signature = signature
        return [*opened, *self.end_block()]

    def tool_use(self, tool_use_id: str, name: str, *, toolset_name: str | None = None) -> list[Event]:
        """Opens a call of a client's tool; `input_json` fills it."""
        block = ToolUse(id=tool_use_id, name=name, input={}, caller=DIRECT, toolset_name=toolset_name)
        return [*self.end_block(), *self._begin("tool_use", block)]

    def server_tool_use(self, tool_use_id: str, name: str) -> list[Event]:
        """Opens a call of a tool that the server runs; `input_json` fills it (STR-22)."""
        block = ServerToolUse(id=tool_use_id, name=name, input={}, caller=DIRECT)
        return [*self.end_block(), *self._begin("server_tool_use", block)]

    def input_json(self, fragment: str) -> list[Event]:
        """A fragment of the open call's input, cut anywhere (STR-30). Raises WriterClosed when no call is open."""
        self._must_be_open()
        if self._open not in ("tool_use", "server_tool_use"):
            raise WriterClosed("no tool call is open")
        whole = self._input.take(fragment)
        return [self._delta(InputJsonDelta(partial_json=whole))] if whole or not fragment else []

    def whole(self, block: OutputBlock) -> list[Event]:
        """A block that goes out in one piece: redacted thinking, the result of a server tool (STR-25)."""
        if isinstance(block, Text | Thinking | ToolUse | ServerToolUse):
            raise TypeError(f"{type(block).__name__} is written by its own method")
        return [*self.end_block(), *self._begin("whole", block), *self.end_block()]

    def redacted_thinking(self, data: str) -> list[Event]:
        return self.whole(RedactedThinking(data=data))

    def compaction(self, content: str) -> list[Event]:
        """A summary of what came before, in one delta (STR-26)."""
        opened = [*self.end_block(), *self._begin("compaction", Compaction())]
        return [*opened, self._delta(CompactionDelta(content=content)), *self.end_block()]

    def end_block(self) -> list[Event]:
        """Closes the open block, if there is one; the next content opens another."""
        events = self.start()
        self._citations.clear()
        self._blank = ""
        if self._open is None:
            return events
        if rest := self._input.end():
            events.append(self._delta(InputJsonDelta(partial_json=rest)))
        if self._open == "thinking":
            events.append(self._delta(SignatureDelta(signature=self._signature or self._unsigned)))
        events.append(BlockStop(index=self._index))
        self._index += 1
        self._open = self._signature = None
        return events

    def finish(
        self,
        stop_reason: StopReason,
        *,
        usage: DeltaUsage,
        stop_sequence: str | None = None,
        stop_details: StopDetails | None = None,
        context_management: JsonObject | None = None,
    ) -> list[Event]:
        """Closes what is open and ends the message."""
        events = self.end_block()
        self._is_done = True
        stop = Stop(stop_reason=stop_reason, stop_sequence=stop_sequence, stop_details=stop_details)
        return [*events, MessageDelta(delta=stop, usage=usage, context_management=context_management), MessageStop()]

    def fail(self, body: dict[str, Any]) -> list[Event]:
        """Ends the stream with an error (STR-40); `body` is the envelope. What is open stays open: it never came."""
        self._must_be_open()
        self._is_done = True
        self._open = None
        error = body["error"]
        return [
            ErrorEvent(
                error=ErrorBody(type=error["type"], message=error["message"], details=error.get("details")),
                request_id=body.get("request_id"),
            )
        ]

    def _must_be_open(self) -> None:
        if self._is_done:
            raise WriterClosed("the message has ended")

    def _within(self, kind: str, block: OutputBlock) -> list[Event]:
        """The events that make `kind` the open block."""
        self._must_be_open()
        if self._open == kind:
            return []
        return [*self.end_block(), *self._begin(kind, block)]

    def _begin(self, kind: str, block: OutputBlock) -> list[Event]:
        before: list[Event] = []
        if self._begins_thinking:
            self._begins_thinking = False
            if not isinstance(block, Thinking | RedactedThinking):
                before = [*self._begin("thinking", Thinking(thinking="", signature="")), *self.end_block()]
        self._open = kind
        return [*before, BlockStart(index=self._index, content_block=block)]

    def _delta(self, delta: Delta) -> BlockDelta:
        return BlockDelta(index=self._index, delta=delta)
