"""Replies of Converse, whole and streamed in AWS's frames -> events of a message.

Source: the service model bedrock-runtime 2023-09-30 (botocore 1.44), Bedrock's user guide ("Prompt caching": what a
cache gave or took is not in `inputTokens`), and streams quoted in public issues (BerriAI/litellm#24767,
vercel/ai#11410, anomalyco/opencode#38712), read 2026-11-21.

What Bedrock does, and is right here: opens no block for text and reasoning, and for some models none at all; tells
usage behind the end, in `metadata`, or in several of them; breaks off a stream with a frame that is an exception; tells
the stop sequence only where it was asked to, in a stream within `delta`; cuts redacted reasoning into blobs of base64.

What models cite, and what system tools of Bedrock did, is left out: neither is ever asked for.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from typing import Any

from dragoman.errors import ApiError, UpstreamFailed
from dragoman.wire.events import DeltaUsage, Event
from dragoman.wire.provenance import wrap
from dragoman.wire.types import StopDetails, StopReason

from .base import Answered, Operation, Question, UpstreamRequest
from .bedrock_converse_content import REDACTED, SIGNED, UNSIGNED_TEXT, hidden
from .bedrock_converse_models import traits_of
from .bedrock_errors import error_in_frame, error_of
from .call_arguments import CUT_REASONS
from .eventstream import EventStreamDecoder, Frame, FrameBroken
from .openai_chat_calls import Calls
from .openai_chat_stops import StopWatch
from .openai_common import Ids, count, first_usage
from .translating import (
    Names,
    TranslatedStream,
    json_object,
    keeps_thinking,
    new_writer,
    shows_thinking,
    whole_reply,
)

__all__ = ["ConverseReply"]

TOKEN_CHARACTERS = 4  # about, of output whose tokens nobody tells
CUT = "The upstream's stream ended before its message did."

# `stopReason` -> `stop_reason`. A message that calls a tool stops for that, whatever is said, unless it was cut.
STOP_REASONS: Mapping[str, StopReason] = {
    "end_turn": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "incomplete": "max_tokens",  # not in the service model, but seen
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "refusal",
    "content_filtered": "refusal",
    "model_context_window_exceeded": "model_context_window_exceeded",
}
# Of a stream. What comes later than this is passed over, whatever it holds.
EVENTS = frozenset(
    {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}
)
# The model's message is no message: an error, so that it is asked again.
FAULTS = frozenset({"malformed_model_output", "malformed_tool_use"})


class ConverseReply:
    """Translated: a request, and how its reply is read."""

    def __init__(
        self,
        question: Question,
        request: UpstreamRequest,
        *,
        lost: Sequence[str],
        names: Names,
        origin: str,
        sent_stops: Sequence[str],
    ) -> None:
        self.request = request
        self.lost = lost
        self._question = question
        self._names = names
        self._origin = origin
        self._sent_stops = sent_stops

    def read(self, operation: Operation, body: bytes) -> Answered:
        return whole_reply(self._machine(), body)

    def refusal(self, status: int, body: bytes) -> ApiError:
        return error_of(status, body, secret=self._question.target.api_key)

    def stream(self) -> TranslatedStream:
        return _FramedStream(self._machine(), secret=self._question.target.api_key)

    def _machine(self) -> "_Machine":
        return _Machine(self._question, self._names, origin=self._origin, sent_stops=self._sent_stops)


class _FramedStream(TranslatedStream):
    """Of AWS's frames: each holds one event, or the error that ends the stream. Or of a whole reply, where a model does
    not stream."""

    def __init__(self, machine: "_Machine", *, secret: str | None) -> None:
        super().__init__(machine)
        self._frames = EventStreamDecoder()
        self._secret = secret

    def _take(self, chunk: bytes, events: list[Event]) -> None:
        try:
            for frame in self._frames.feed(chunk):
                failure = error_in_frame(frame, secret=self._secret)
                if failure is not None:
                    raise failure
                events += self._machine.event(_told(frame))
        except FrameBroken as error:
            raise UpstreamFailed(f"The upstream's stream cannot be read: {error}.") from error


def _told(frame: Frame) -> Mapping[str, Any]:
    """The event as the service model has it: its name, and what it tells; of one that it has not, nothing."""
    name = frame.headers.get(":event-type", "")
    return {name: json_object(frame.payload)} if name in EVENTS and frame.payload else {}


class _Machine:
    """One reply. A whole one is told as the events of a stream would be, so there is one way for both."""

    def __init__(self, question: Question, names: Names, *, origin: str, sent_stops: Sequence[str]) -> None:
        self._writer = new_writer(question, first_usage(question))
        self._question = question
        self._is_claude = traits_of(question.target.model).is_claude
        is_unasked = self._is_claude and question.request.thinking is None  # it never thinks then
        self._shows = is_unasked or shows_thinking(question.request)
        self._keeps = is_unasked or keeps_thinking(question.request)
        self._origin = origin
        self._calls = Calls(self._writer, tool_use_id=Ids(question).legal, inward=names.inward)
        self._later: list[tuple[str, Any]] = []  # said while a call was not whole
        self._reasoning: _Reasoning | None = None  # the block that is being told
        self._unread: set[Any] = set()  # indices of blocks that are not for the caller
        self._sent_stops = sent_stops
        self._stops = StopWatch([each for each in question.request.stop_sequences or () if each not in sent_stops])
        self._finish: str | None = None
        self._stop_sequence: str | None = None
        self._usage: Mapping[str, Any] | None = None
        self._characters = 0  # of all that was said

    # -- what is told --

    def event(self, data: Mapping[str, Any]) -> Sequence[Event]:
        if self._writer.is_done:  # a stop sequence has ended it
            return []
        events: list[Event] = list(self._writer.start())
        for kind, told in data.items():
            if not isinstance(told, dict) or self._writer.is_done:
                continue
            match kind:
                case "contentBlockStart":
                    events += self._block_starts(told)
                case "contentBlockDelta":
                    events += self._delta(told)
                case "contentBlockStop":
                    events += self._block_ends(told.get("contentBlockIndex"))
                case "messageStop":
                    self._stopped(told)
                case "metadata":
                    self._note_usage(told)
        if self._finish is not None and self._usage is not None and not self._writer.is_done:
            events += self._finished()
        return events

    def whole(self, reply: Mapping[str, Any]) -> Sequence[Event]:
        output = reply.get("output")
        message = output.get("message") if isinstance(output, dict) else None
        if not isinstance(message, dict):
            raise UpstreamFailed("The upstream's reply has no message.")
        self._note_usage(reply)
        events: list[Event] = list(self._writer.start())
        content = message.get("content")
        for index, block in enumerate(content if isinstance(content, list) else ()):
            if isinstance(block, dict) and not self._writer.is_done:
                events += self._block(index, block)
        if self._writer.is_done:
            return events
        self._stopped(reply)
        return [*events, *self._finished()]

    def end(self) -> Sequence[Event]:
        if self._writer.is_done:
            return []
        if self._finish is None:
            raise UpstreamFailed(CUT)
        return self._finished()  # without `metadata`: nobody told the usage

    def _block(self, index: int, block: Mapping[str, Any]) -> list[Event]:
        """One of a whole reply."""
        events: list[Event] = []
        if isinstance(call := block.get("toolUse"), dict):
            events += self._call_starts(index, call)
            if index not in self._unread:
                events += self._call(index, {"arguments": call.get("input")})
        if isinstance(text := block.get("text"), str):
            events += self._say("text", text)
        if isinstance(cited := block.get("citationsContent"), dict):
            parts = cited.get("content")
            for part in parts if isinstance(parts, list) else ():
                events += self._say("text", _text(part, "text"))
        if isinstance(reasoning := block.get("reasoningContent"), dict):
            told = reasoning.get("reasoningText")
            events += self._say("reasoning", {**reasoning, **(told if isinstance(told, dict) else {})})
        if isinstance(image := block.get("image"), dict):
            events += self._say("text", _shown(image))
        return [*events, *self._block_ends(index)]

    def _block_starts(self, told: Mapping[str, Any]) -> list[Event]:
        start, index = told.get("start"), told.get("contentBlockIndex")
        if not isinstance(start, dict):
            return []
        if isinstance(call := start.get("toolUse"), dict):
            return self._call_starts(index, call)
        if isinstance(image := start.get("image"), dict):
            return self._say("text", _shown(image))
        return []

    def _delta(self, told: Mapping[str, Any]) -> list[Event]:
        delta, index = told.get("delta"), told.get("contentBlockIndex")
        if not isinstance(delta, dict) or _key(index) in self._unread:
            return []
        if isinstance(call := delta.get("toolUse"), dict):
            return self._call(index, {"arguments": call.get("input")})
        if isinstance(reasoning := delta.get("reasoningContent"), dict):
            return self._say("reasoning", reasoning)
        return self._say("text", _text(delta, "text"))

    def _call_starts(self, index: Any, call: Mapping[str, Any]) -> list[Event]:
        if call.get("type") == "server_tool_use":  # Bedrock runs it, and goes on
            self._unread.add(_key(index))
            return []
        return self._call(index, {"name": call.get("name")}, call_id=call.get("toolUseId"))

    def _block_ends(self, index: Any) -> list[Event]:
        events = [*self._calls.ended(_key(index)), *self._reasoning_ends()]
        if self._calls.is_underway or self._writer.is_done:
            return events
        return [*events, *self._writer.text(self._stops.rest()), *self._writer.end_block(), *self._said_later()]

    def _stopped(self, told: Mapping[str, Any]) -> None:
        """Raises UpstreamFailed where what came is no message."""
        reason = _text(told, "stopReason") or "end_turn"
        if reason in FAULTS:
            raise UpstreamFailed(f"The model's message is broken: {reason}")
        self._finish = reason
        fields = told.get("additionalModelResponseFields")
        for holder in (fields, fields.get("delta") if isinstance(fields, dict) else None):
            self._stop_sequence = _text(holder, "stop_sequence") or self._stop_sequence

    def _note_usage(self, told: Mapping[str, Any]) -> None:
        """A later one may tell nothing of it."""
        if isinstance(usage := told.get("usage"), dict):
            self._usage = usage

    # -- what is written --

    def _say(self, kind: str, said: Any) -> list[Event]:
        if self._writer.is_done or not said:
            return []
        if self._calls.is_underway:
            self._later.append((kind, said))
            return []
        events = self._calls.flush()
        if kind == "reasoning":
            events += self._writer.text(self._stops.rest())
            self._reasoning = self._reasoning or _Reasoning()
            text = self._reasoning.take(said)
            self._characters += len(text)
            return [*events, *self._writer.thinking(text)] if self._shows else events
        self._characters += len(said)
        events += [*self._reasoning_ends(), *self._writer.text(self._stops.take(said))]
        return events if self._stops.matched is None else [*events, *self._finished()]

    def _reasoning_ends(self) -> list[Event]:
        """Sign what was thought: Claude's signatures are the API's own, those of others are marked as theirs, and
        bear what the caller does not see."""
        reasoning, self._reasoning = self._reasoning, None
        if reasoning is None or not self._keeps:
            return []
        signature, redacted = reasoning.signature, reasoning.redacted()
        if self._is_claude:
            events = self._writer.signature(signature) if signature else self._writer.end_block()
            return [*events, *self._writer.redacted_thinking(redacted)] if redacted else events
        events = []
        if signature or reasoning.text:
            opaque = SIGNED + signature if signature else UNSIGNED_TEXT
            opaque = opaque if self._shows or not reasoning.text else hidden(reasoning.text, signature)
            events += self._writer.signature(wrap(self._origin, opaque))
        if redacted:
            events += self._writer.signature(wrap(self._origin, REDACTED + redacted))
        return events

    def _call(self, index: Any, function: Mapping[str, Any], *, call_id: Any = None) -> list[Event]:
        told = {"index": _key(index), "id": call_id, "function": function}
        before = [*self._writer.text(self._stops.rest()), *self._reasoning_ends()]
        return [*before, *self._calls.take(told, 0)]

    def _said_later(self) -> list[Event]:
        later, self._later = self._later, []
        return [event for kind, said in later for event in self._say(kind, said)]

    def _finished(self) -> list[Event]:
        events = [*self._writer.start(), *self._calls.flush()]
        if STOP_REASONS.get(self._finish or "end_turn") not in CUT_REASONS:
            self._calls.must_be_whole()
        events += self._said_later()
        if self._writer.is_done:  # by a stop sequence in what was said later
            return events
        events += [*self._reasoning_ends(), *self._writer.text(self._stops.rest())]
        reason = self._stop_reason()
        details = None
        if reason == "refusal":
            details = StopDetails(type="refusal", category=None, explanation=f"stopped: {self._finish}")
        sequence = self._matched() if reason == "stop_sequence" else None
        usage = self._told_usage()
        return [*events, *self._writer.finish(reason, usage=usage, stop_sequence=sequence, stop_details=details)]

    def _stop_reason(self) -> StopReason:
        if self._stops.matched is not None:
            return "stop_sequence"
        reason = STOP_REASONS.get(self._finish or "end_turn", "end_turn")  # what no one knows is an end like any other
        if reason in ("end_turn", "tool_use", "stop_sequence") and self._calls.written:
            return "tool_use"
        return "end_turn" if reason == "tool_use" else reason

    def _matched(self) -> str | None:
        """The sequence; None where it is not told, and may be any of several."""
        known = self._stops.matched or self._stop_sequence
        return known or (self._sent_stops[0] if len(self._sent_stops) == 1 else None)

    def _told_usage(self) -> DeltaUsage:
        """As told: in disjoint parts, for what a cache gave or took is not in `inputTokens`."""
        told = self._usage or {}
        prompt, output = count(told, "inputTokens"), count(told, "outputTokens")
        if output is None:
            output = -(-(self._characters + self._calls.characters) // TOKEN_CHARACTERS)
        return DeltaUsage(
            input_tokens=self._question.input_tokens if prompt is None else prompt,
            cache_creation_input_tokens=count(told, "cacheWriteInputTokens") or 0,
            cache_read_input_tokens=count(told, "cacheReadInputTokens") or 0,
            output_tokens=output,
        )


class _Reasoning:
    """A block of reasoning, as far as it was told. Text goes on as it comes; the rest is for its end."""

    def __init__(self) -> None:
        self.signature = ""
        self._texts: list[str] = []
        self._blobs: list[str] = []

    def take(self, told: Mapping[str, Any]) -> str:
        """Its text."""
        self.signature += _text(told, "signature")
        if blob := _text(told, "redactedContent"):
            self._blobs.append(blob)
        text = _text(told, "text")
        self._texts.append(text)
        return text

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def redacted(self) -> str:
        """As it came; of several pieces the base64 of the whole."""
        if len(self._blobs) < 2:
            return "".join(self._blobs)
        try:
            return b64encode(b"".join(b64decode(blob, validate=True) for blob in self._blobs)).decode()
        except (Base64Error, ValueError):
            return "".join(self._blobs)


def _key(index: Any) -> int:
    """Of a block; models that number none have but one at a time."""
    return index if isinstance(index, int) and not isinstance(index, bool) else -1


def _text(told: Any, name: str) -> str:
    value = told.get(name) if isinstance(told, dict) else None
    return value if isinstance(value, str) else ""


def _shown(image: Mapping[str, Any]) -> str:
    """A message of the API has no place for an image that a model made."""
    return f"[image/{_text(image, 'format') or 'unknown'}: cannot be shown here]"
