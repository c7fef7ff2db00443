"""What all translated dialects share: their replies as events of a message, streamed or whole, from one machine.

A dialect has one state machine, its `Machine`, which is fed what the provider says and writes with a `BlockWriter`. A
whole reply is given to the same machine and its events are folded, so that the two ways cannot differ. Pure.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

import msgspec

from dragoman.errors import ApiError, UpstreamFailed
from dragoman.wire.codec import plain, read
from dragoman.wire.events import (
    BlockDelta,
    BlockStart,
    Event,
    Fold,
    MessageDelta,
    MessageStart,
    MessageStop,
    encode_events,
)
from dragoman.wire.provenance import UNSIGNED
from dragoman.wire.sse import EventTooLarge, SSEDecoder
from dragoman.wire.surrogates import WholeCharacters
from dragoman.wire.types import MessagesRequest, ThinkingDisabled, ThinkingEnabled, Usage
from dragoman.wire.writer import BlockWriter

from .base import Answered, Question

__all__ = [
    "Machine",
    "Names",
    "QuickMachine",
    "TranslatedStream",
    "json_object",
    "keeps_thinking",
    "legal_id",
    "new_writer",
    "shows_thinking",
    "whole_reply",
]

BROKEN = "The upstream's reply cannot be read."
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SAY_NOTHING = frozenset({b"", b"null", b"[DONE]"})  # data of events that some servers send between others, or behind
LARGEST_WHOLE = 64 * 1024 * 1024  # bytes of a reply that should have been streamed
LONGEST_OWN_NAME = LONGEST_OWN_ID = 128  # of a tool, and of a call, in the Messages API
ID = re.compile(r"[a-zA-Z0-9_-]+")
HALF = re.compile(rb"\\u[dD][89a-fA-F]")  # of a character, perhaps: an escape
NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


def shows_thinking(request: MessagesRequest) -> bool:
    """Did the caller ask to read what the model thinks?"""
    if request.thinking is None or isinstance(request.thinking, ThinkingDisabled):
        return False
    return getattr(request.thinking, "display", None) != "omitted"


def keeps_thinking(request: MessagesRequest) -> bool:
    """May thinking blocks stand in the reply, if only empty ones? Where nobody asked for thinking, programs take the
    first block for text; those that offer tools know better, and for them it must survive the round trip."""
    if request.thinking is None:
        return bool(request.tools)
    return not isinstance(request.thinking, ThinkingDisabled)


class Names:
    """Names of tools as a dialect takes them, at most `longest` characters, and back. The same for the same name."""

    def __init__(self, longest: int = 64) -> None:
        self._longest = longest
        self._inward: dict[str, str] = {}

    def outward(self, name: str) -> str:
        if len(name) <= self._longest:
            return name
        digest = blake2b(name.encode(), digest_size=6).hexdigest()
        short = f"{name[: self._longest - len(digest) - 1]}_{digest}"
        self._inward[short] = name
        return short

    def inward(self, name: str) -> str:
        """A name that a model made up is made legal: the call goes into the history, where it would be refused."""
        return self._inward.get(name) or NOT_IN_NAMES.sub("_", name)[:LONGEST_OWN_NAME]


def legal_id(call_id: str) -> bool:
    """Whether the Messages API takes it as the id of a call."""
    return len(call_id) <= LONGEST_OWN_ID and ID.fullmatch(call_id) is not None


def new_writer(question: Question, usage: Usage) -> BlockWriter:
    """For a reply of another's model. Its thinking is marked as that.

    With thinking by budget, Claude wants to see it in front of calls (MSG-58): a turn that calls without a thought
    begins with an empty one, so that it is known as another's when the conversation moves there.
    """
    request = question.request
    return BlockWriter(
        question.message_id,
        model=request.model,
        usage=usage,
        unsigned=UNSIGNED,
        begins_thinking=isinstance(request.thinking, ThinkingEnabled) and bool(request.tools),
    )


class Machine(Protocol):
    """One reply of a provider, told piece by piece -> events of the message that it is."""

    def event(self, data: Mapping[str, Any]) -> Sequence[Event]:
        """One JSON object of a stream. Raises UpstreamFailed for what is none of this dialect, and for an error that
        stands in its place ApiError."""
        ...

    def whole(self, reply: Mapping[str, Any]) -> Sequence[Event]:
        """A reply that was not streamed, with its end. Raises as `event` does."""
        ...

    def end(self) -> Sequence[Event]:
        """The stream is over: what closes the message. Raises UpstreamFailed where it was cut short."""
        ...


class QuickMachine(Machine, Protocol):
    """A machine that has a shorter way for what nearly all events of a stream are, and that does as `event` would."""

    @property
    def hands_text_on(self) -> bool:
        """Whether a piece of text that comes now is one delta, and changes nothing else."""
        ...

    def plain_text(self, data: bytes) -> str | None:
        """What an event says, where that is a piece of text and nothing else."""
        ...

    def encoded_texts(self, pieces: Sequence[str]) -> bytes:
        """The events of such pieces, as the bytes of a stream, while text is handed on."""
        ...


class TranslatedStream:
    """StreamReader over a machine, for providers that stream server-sent events; for others, override `_take`.

    `last` is the data of an event that ends the stream, such as Chat Completions' [DONE]; without one the end of the
    body does, which the gateway tells by `close`. `on_last` is what is called for it, where not the machine's `end`.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        last: bytes | None = None,
        on_last: Callable[[], Sequence[Event]] | None = None,
        quick: QuickMachine | None = None,
    ) -> None:
        self.has_content = False
        self.is_done = False
        self.error: bytes | None = None
        self.failed_first = False
        self.stop_reason: str | None = None
        self.failure: ApiError | None = None
        self._machine = machine
        self._quick = quick  # the same machine, if it is one
        self._last = last
        self._on_last = on_last or machine.end
        self._decoder = SSEDecoder()
        self._is_new = True
        self._front = b""  # of a body that may be either
        self._whole: bytearray | None = None  # the body so far, where it is a whole reply and no stream
        self._usage: Usage | None = None

    @property
    def usage(self) -> Usage | None:
        return self._usage

    def feed(self, chunk: bytes) -> bytes:
        if self.is_done:
            return b""
        if self.failure is not None:
            raise self.failure
        events: list[Event] = []
        out: list[bytes] = []
        try:
            if (self._is_new or self._whole is not None) and self._is_whole(chunk):
                return b""
            if self._quick is not None:
                self._take_quickly(self._quick, chunk, out)
            else:
                self._take(chunk, events)
        except EventTooLarge as error:
            self.failure = UpstreamFailed(f"The upstream's stream cannot be read: {error}.")
        except ApiError as error:
            self.failure = error
        out.append(self._noted(events))
        if self.failure is not None and not self.has_content:
            raise self.failure
        return b"".join(out)

    def _take(self, chunk: bytes, events: list[Event]) -> None:
        """Add the events that a piece makes. Raises ApiError or EventTooLarge behind those that came before."""
        for data in self._decoder.datas(chunk):
            if data == self._last:
                events += self._on_last()
                return
            if data.strip() not in SAY_NOTHING:
                events += self._machine.event(json_object(data))

    def _take_quickly(self, quick: QuickMachine, chunk: bytes, out: list[bytes]) -> None:
        """As `_take`, for a machine that has a shorter way: adds their bytes."""
        datas = self._decoder.datas(chunk)
        at = 0
        while at < len(datas):
            if quick.hands_text_on and (texts := _first_texts(quick, datas, at)):
                out.append(quick.encoded_texts(texts))
                at += len(texts)
                continue
            data = datas[at]
            at += 1
            if data == self._last:
                out.append(self._noted(self._on_last()))
                return
            if data.strip() in SAY_NOTHING:
                continue
            out.append(self._noted(self._machine.event(json_object(data))))

    def close(self) -> bytes:
        if self.failure is not None:
            raise self.failure
        if self._whole is not None:
            return self._noted(self._machine.whole(json_object(self._whole)))
        return self._noted(self._machine.end())

    def _is_whole(self, chunk: bytes) -> bool:
        """There are servers that do not stream what they are asked to: no stream begins so."""
        if self._whole is not None:
            self._whole += chunk
        else:
            self._front = (self._front + chunk).removeprefix(BYTE_ORDER_MARK).lstrip()
            if BYTE_ORDER_MARK.startswith(self._front):  # nothing yet
                return False
            self._is_new = False
            if not self._front.startswith((b"{", b"[")):
                return False
            self._whole = bytearray(self._front)
        if len(self._whole) > LARGEST_WHOLE:
            raise EventTooLarge(f"it has more than {LARGEST_WHOLE} bytes")
        return True

    def _noted(self, events: Sequence[Event]) -> bytes:
        for event in events:
            match event:
                case BlockDelta():
                    continue
                case BlockStart():
                    self.has_content = True
                case MessageStart(message=message):
                    self._usage = message.usage
                case MessageDelta(usage=usage, delta=delta):
                    self.has_content = True
                    self.stop_reason = delta.stop_reason
                    self._usage = _with(self._usage, plain(usage))
                case MessageStop():
                    self.is_done = True
                case _:
                    continue
        return encode_events(events)


def _first_texts(quick: QuickMachine, datas: Sequence[bytes], at: int) -> list[str]:
    """Of the events from `at` on, as many as are nothing but text."""
    texts = []
    plain_text = quick.plain_text
    for place in range(at, len(datas)):
        if (text := plain_text(datas[place])) is None:
            break
        texts.append(text)
    return texts


def _with(usage: Usage | None, told: dict[str, Any]) -> Usage | None:
    if usage is None:
        return None
    return read(Usage, {**plain(usage), **{name: value for name, value in told.items() if value is not None}})


def whole_reply(
    machine: Machine, body: bytes, *, last: bytes | None = None, on_last: Callable[[], Sequence[Event]] | None = None
) -> Answered:
    """A reply that was not streamed, as the message that it is; or one that was though nobody asked for it, with what
    TranslatedStream is told of it. Raises UpstreamFailed; for an error in it, ApiError."""
    fold = Fold(keep_cut_text=False)
    body = body.removeprefix(BYTE_ORDER_MARK)
    is_stream = body.lstrip().startswith((b"data:", b"event:", b":"))
    for event in (
        _streamed(machine, body, last, on_last or machine.end) if is_stream else machine.whole(json_object(body))
    ):
        fold.add(event)
    message = fold.value()
    return Answered(
        body=msgspec.json.encode(message),
        usage=read(Usage, message["usage"]),
        stop_reason=message["stop_reason"],
    )


def _streamed(
    machine: Machine, body: bytes, last: bytes | None, on_last: Callable[[], Sequence[Event]]
) -> Iterator[Event]:
    """The events of a whole stream."""
    try:
        told = SSEDecoder().feed(body)
    except EventTooLarge as error:
        raise UpstreamFailed(f"The upstream's reply cannot be read: {error}.") from error
    for said in told:
        if said.data == last:
            yield from on_last()
            return
        if said.data.strip() not in SAY_NOTHING:
            yield from machine.event(json_object(said.data))
    yield from machine.end()


def json_object(data: bytes | bytearray) -> dict[str, Any]:
    """Raises UpstreamFailed for anything else.

    Half a character, as servers write it that cut a text between the two (pain 43), becomes U+FFFD: no strict parser
    reads it, and the whole message would be lost for it.
    """
    try:
        value = _decoded(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamFailed(BROKEN) from error
    if isinstance(value, list) and len(value) == 1:  # so Google tells errors to those who ask without alt=sse
        value = value[0]
    if not isinstance(value, dict):
        raise UpstreamFailed(BROKEN)
    return value


def _decoded(data: bytes | bytearray) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        if HALF.search(data) is None:
            raise
    whole = WholeCharacters()
    text = data.decode()
    return msgspec.json.decode(whole.take(text) + whole.end())
