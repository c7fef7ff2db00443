"""Replies of the Responses API -> events of a message. Source: as openai_responses.py; its streaming events.

A reply is a list of items: reasoning, messages, calls. Each becomes a block. Items come one after another; where a
server mixes them, those behind the first that is not done wait: blocks of a message never overlap. What a server may
leave out, and is right here: the announcement of an item, its deltas, or its end, as long as one of the others tells
the same.
"""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from dragoman.errors import ApiError, UpstreamFailed
from dragoman.wire.events import DeltaUsage, Event
from dragoman.wire.provenance import UNSIGNED, unwrap, wrap
from dragoman.wire.types import MessagesRequest, StopDetails, StopReason, ThinkingDisabled
from dragoman.wire.writer import BlockWriter

from .base import Answered, Operation, Question, UpstreamRequest
from .openai_chat_errors import error_in_place, error_of
from .openai_chat_stops import StopWatch
from .openai_common import JSON, Ids, count, first_usage
from .translating import Names, TranslatedStream, whole_reply

__all__ = ["ResponsesReply", "reasoning_item", "shows_thinking"]

DONE = b"[DONE]"  # some servers send it, as in the other dialect
CUT = "The upstream's stream ended before its message did."
CHARACTERS_A_TOKEN = 4  # about: of a message that was stopped here, whose usage nobody tells

# What a delta adds to: (type of the item, what is said). "summary" and "raw" are both thinking; an item tells one.
DELTAS = {
    "response.output_text.delta": ("message", "text"),
    "response.refusal.delta": ("message", "refusal"),
    "response.function_call_arguments.delta": ("function_call", "arguments"),
    "response.reasoning_summary_text.delta": ("reasoning", "summary"),
    "response.reasoning_text.delta": ("reasoning", "raw"),
}
# The same in one piece: the field that holds all of it, for servers that send no deltas.
WHOLES = {
    "response.function_call_arguments.done": ("function_call", "arguments", "arguments"),
    "response.refusal.done": ("message", "refusal", "refusal"),
}
WRITTEN = ("message", "function_call", "reasoning")  # types of items that blocks stand for
ENDS = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
INDEX_OF = {"summary": "summary_index", "raw": "content_index"}  # parts of thinking, which stand apart

# Codes of errors that come with no status. Source: the types of OpenAI's package 3.51.0, `ResponseError`.
STATUS_OF_CODE = {
    "too_many_requests": 429,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "data_residency_mismatch": 403,
    "bio_policy": 400,
    "misalignment_policy_violation": 400,
    "failed_to_download_image": 400,
    "empty_image_file": 400,
    "unsupported_image_media_type": 400,
}
OF_THE_REQUEST = re.compile(r"(?:invalid|image)_(?!api_key)")


class ResponsesReply:
    """Translated: a request, and how its reply is read."""

    def __init__(
        self, question: Question, request: UpstreamRequest, *, lost: Sequence[str], names: Names, origin: str
    ) -> None:
        self.request = request
        self.lost = lost
        self._question = question
        self._names = names
        self._origin = origin

    def read(self, operation: Operation, body: bytes) -> Answered:
        return whole_reply(self._machine(), body)

    def refusal(self, status: int, body: bytes) -> ApiError:
        return error_of(status, body, secret=self._question.target.api_key)

    def stream(self) -> TranslatedStream:
        return TranslatedStream(self._machine(), last=DONE)

    def _machine(self) -> "_Machine":
        return _Machine(self._question, self._names, self._origin)


# -- reasoning, there and back --


def reasoning_item(signature: str, origin: str) -> JSON | None:
    """The item that a thinking block of an earlier turn stands for; None where `origin` did not make it."""
    found = unwrap(signature)
    if found is None or found[0] != origin:
        return None
    try:
        told = msgspec.json.decode(found[1])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return _carried(told) if isinstance(told, dict) else None


def _carried(told: Mapping[str, Any]) -> JSON | None:
    """Of a reasoning item, what goes back; None for one that would not be understood.

    `content`, the thinking itself, is refused beside `encrypted_content`; servers that do not encrypt have only that.
    `status` is refused. An item with neither is looked for by its id in a store, and nothing is stored.
    """
    item: JSON = {"type": "reasoning", "summary": _texts(told.get("summary"), "summary_text")}
    if isinstance(told.get("id"), str) and told["id"]:
        item["id"] = told["id"]
    encrypted, content = told.get("encrypted_content"), _texts(told.get("content"), "reasoning_text")
    if isinstance(encrypted, str) and encrypted:
        return {**item, "encrypted_content": encrypted}
    return {**item, "content": content} if content else None


def _texts(parts: Any, kind: str) -> list[JSON]:
    if not isinstance(parts, list):
        return []
    return [
        {"type": kind, "text": part["text"]}
        for part in parts
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    ]


def shows_thinking(request: MessagesRequest) -> bool:
    """Did the caller ask to read what the model thinks?"""
    thinking = request.thinking
    if thinking is None or isinstance(thinking, ThinkingDisabled):
        return False
    return getattr(thinking, "display", None) != "omitted"


def _keeps_thinking(request: MessagesRequest) -> bool:
    """May thinking blocks stand in the reply? Where nobody asked for thinking, programs take the first block for text;
    those that offer tools know better, and for them it must survive the round trip."""
    if request.thinking is None:
        return bool(request.tools)
    return not isinstance(request.thinking, ThinkingDisabled)


# -- the machine --


class _Item:
    """An item of the reply, as far as it was told."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.id = ""  # of a call: the one that its result names
        self.name = ""
        self.heard: dict[str, list[str]] = {}
        self.part: int | None = None  # of thinking, the last that was heard of
        self.waiting: list[tuple[str, str]] = []  # what is said, and its text, not written yet
        self.is_open = False  # its block is being written; of calls only
        self.is_object = False  # what is said begins one; of calls only
        self.is_done = False
        self.reasoning: JSON | None = None  # what goes back to its maker

    def hear(self, how: str, text: str) -> None:
        if not text:
            return
        self.heard.setdefault(how, []).append(text)
        if how == "arguments" and not self.is_object:  # `null`, a list or a text are no input
            text = text.lstrip()
            self.is_object = text.startswith("{")
        if how != "arguments" or self.is_object:
            self.waiting.append((how, text))

    def hear_whole(self, how: str, text: str) -> None:
        """All of it: what was not heard yet is new."""
        heard = "".join(self.heard.get(how, ()))
        if text.startswith(heard):
            self.hear(how, text[len(heard) :])

    def hear_thought(self, how: str, text: str, index: Any) -> None:
        other = "raw" if how == "summary" else "summary"
        if other in self.heard:
            return
        if isinstance(index, int) and how in self.heard and index != self.part:
            text = f"\n\n{text}"
        self.part = index if isinstance(index, int) else self.part
        self.hear(how, text)


class _Machine:
    """One reply."""

    def __init__(self, question: Question, names: Names, origin: str) -> None:
        self._writer = BlockWriter(
            question.message_id, model=question.request.model, usage=first_usage(question), unsigned=UNSIGNED
        )
        self._question = question
        self._names = names
        self._ids = Ids(question)
        self._origin = origin
        self._shows = shows_thinking(question.request)
        self._keeps = _keeps_thinking(question.request)
        self._items: dict[int | str, _Item] = {}  # by index, and by id
        self._queue: deque[_Item] = deque()  # whose blocks are not closed yet, in order
        self._stops = StopWatch(question.request.stop_sequences or ())
        self._refusal: list[str] = []
        self._has_called = False
        self._usage: Any = None
        self._said = 0  # characters

    # -- what is told --

    def event(self, data: Mapping[str, Any]) -> Sequence[Event]:
        if self._writer.is_done:  # stopped here, at a sequence
            return []
        kind = data.get("type")
        kind = kind if isinstance(kind, str) else ""
        if kind == "error" or (data.get("error") is not None and kind not in ENDS):
            raise self._failure(data.get("error") or data)
        if kind in ENDS:
            return self._ended(ENDS[kind], data.get("response"))
        return [*self._writer.start(), *self._event(kind, data)]

    def _event(self, kind: str, data: Mapping[str, Any]) -> list[Event]:
        if kind == "response.output_item.added":
            self._announced(data)
        elif kind == "response.output_item.done":
            self._finished(data)
        elif kind in DELTAS:
            self._delta(data, *DELTAS[kind])
        elif kind in WHOLES:
            of, how, field = WHOLES[kind]
            if isinstance(text := data.get(field), str) and not self._is_over(data):
                self._item_of(data, of).hear_whole(how, text)
        return self._advanced()

    def whole(self, reply: Mapping[str, Any]) -> Sequence[Event]:
        if reply.get("error") is not None:
            raise self._failure(reply["error"])
        if not isinstance(reply.get("output"), list):
            raise UpstreamFailed("The upstream's reply has no output.")
        status = reply.get("status")
        return self._ended(status if isinstance(status, str) else "completed", reply)

    def end(self) -> Sequence[Event]:
        if not self._writer.is_done:
            raise UpstreamFailed(CUT)
        return []

    def _announced(self, data: Mapping[str, Any]) -> None:
        told = data.get("item")
        if isinstance(told, dict):
            self._note(self._added(data.get("output_index"), told), told)

    def _finished(self, data: Mapping[str, Any]) -> None:
        told = data.get("item")
        if not isinstance(told, dict):
            told = {}
        item = self._known(data.get("output_index"), told.get("id")) or self._added(data.get("output_index"), told)
        if not item.is_done:
            self._note(item, told)
            item.reasoning = _carried(told)  # from here alone: before, what is encrypted may not be whole
            item.is_done = True

    def _delta(self, data: Mapping[str, Any], kind: str, how: str) -> None:
        text = data.get("delta")
        item = self._item_of(data, kind)
        if not isinstance(text, str) or not text or item.is_done:
            return
        if kind == "reasoning":
            item.hear_thought(how, text, data.get(INDEX_OF[how]))
        else:
            item.hear(how, text)

    def _item_of(self, data: Mapping[str, Any], kind: str) -> _Item:
        index, item_id = data.get("output_index"), data.get("item_id")
        item = self._known(index, item_id)
        if item is None or (item.kind != kind and item.kind in WRITTEN):  # servers whose indexes do not fit
            item = self._added(index, {"id": item_id})
        item.kind = kind
        return item

    def _known(self, index: Any, item_id: Any) -> _Item | None:
        """By its id, or where that is another in each event, as some servers have it, by its place."""
        if (item := self._at(item_id)) is not None:
            return item
        item = self._at(index)
        return None if item is None or item.is_done else item

    def _is_over(self, data: Mapping[str, Any]) -> bool:
        """Has the item that an event speaks of been done?"""
        item = self._at(data.get("item_id")) or self._at(data.get("output_index"))
        return item is not None and item.is_done

    def _at(self, key: Any) -> _Item | None:
        return self._items.get(key) if isinstance(key, int | str) else None

    def _added(self, index: Any, told: Mapping[str, Any]) -> _Item:
        kind = told.get("type")
        item = _Item(kind if isinstance(kind, str) else "")
        self._queue.append(item)
        for key in (index, told.get("id")):
            if isinstance(key, int | str) and key != "":
                self._items[key] = item
        return item

    def _note(self, item: _Item, told: Mapping[str, Any]) -> None:
        """What an item says of itself: little when it is announced, all when it is done."""
        if not item.kind and isinstance(kind := told.get("type"), str):
            item.kind = kind
        if item.kind == "function_call":
            for field in ("call_id", "id"):
                if not item.id and isinstance(told.get(field), str):
                    item.id = told[field]
            if not item.name and isinstance(told.get("name"), str):
                item.name = told["name"]
            if isinstance(arguments := told.get("arguments"), str):
                item.hear_whole("arguments", arguments)
        elif item.kind == "message":
            _note_message(item, told.get("content"))
        elif item.kind == "reasoning":
            _note_reasoning(item, told)

    # -- what is written --

    def _advanced(self) -> list[Event]:
        """Write the first item, as far as it is told; once that is done, the next."""
        events: list[Event] = []
        while self._queue and not self._writer.is_done:
            item = self._queue[0]
            events += self._written(item)
            if not item.is_done or self._writer.is_done:
                break
            events += self._closed(item)
            self._queue.popleft()
        return events

    def _written(self, item: _Item) -> list[Event]:
        events: list[Event] = []
        if item.kind == "function_call":
            if not item.name and not item.is_done:
                return events
            events += self._opened(item)
        waiting, item.waiting = item.waiting, []
        for how, text in waiting:
            events += self._say(how, text)
            if self._writer.is_done:
                break
        return events

    def _opened(self, item: _Item) -> list[Event]:
        if item.is_open:
            return []
        item.is_open = self._has_called = True
        return self._writer.tool_use(self._ids.legal(item.id), self._names.inward(item.name or "unknown"))

    def _say(self, how: str, text: str) -> list[Event]:
        if how == "text":
            return self._text(text)
        self._said += len(text)
        match how:
            case "refusal":
                self._refusal.append(text)
                return self._writer.text(text)
            case "arguments":
                return self._writer.input_json(text)
            case _:
                return self._writer.thinking(text) if self._shows else []

    def _text(self, text: str) -> list[Event]:
        sure = self._stops.take(text)
        self._said += len(sure)
        events = self._writer.text(sure) if sure else []
        if self._stops.matched is not None:
            events += self._finish("end_turn")
        return events

    def _closed(self, item: _Item) -> list[Event]:
        if item.kind == "message":
            rest = self._stops.rest()
            return [*(self._writer.text(rest) if rest else []), *self._writer.end_block()]
        if item.kind == "function_call":
            return self._writer.end_block()
        if item.kind != "reasoning" or not self._keeps:
            return []
        if item.reasoning is None:
            return self._writer.end_block()
        return self._writer.signature(wrap(self._origin, msgspec.json.encode(item.reasoning).decode()))

    # -- the end --

    def _ended(self, status: str, response: Any) -> list[Event]:
        response = response if isinstance(response, dict) else {}
        if status == "failed" or response.get("error") is not None:
            raise self._failure(response.get("error") or {})
        if status not in ("completed", "incomplete"):
            raise UpstreamFailed(f"The upstream's response is {status!r}, not completed.")
        events = list(self._writer.start())
        self._usage = response.get("usage")
        self._take_output(response.get("output"))
        for item in self._queue:
            item.is_done = True
        events += self._advanced()
        if not self._writer.is_done:
            events += self._finish(_reason(status, response))
        return events

    def _failure(self, error: Any) -> ApiError:
        """Codes of this dialect that the other does not know tell the status too."""
        code = error.get("code") if isinstance(error, dict) else None
        status = None
        if isinstance(code, str):
            status = STATUS_OF_CODE.get(code) or (400 if OF_THE_REQUEST.match(code) else None)
        key = self._question.target.api_key
        if status is None:
            return error_in_place(error, secret=key)
        return error_of(status, msgspec.json.encode({"error": error}), secret=key)

    def _take_output(self, output: Any) -> None:
        """The items once more, all of them: those that were not told, or not to their end."""
        is_new = not self._items and not self._queue
        for index, told in enumerate(output if isinstance(output, list) else ()):
            if isinstance(told, dict) and (is_new or self._known(index, told.get("id")) is not None):
                self._finished({"output_index": index, "item": told})

    def _finish(self, reason: StopReason) -> list[Event]:
        """Of a stop at a sequence a stream tells no usage: it is not waited for."""
        sequence = self._stops.matched
        if self._refusal:
            reason = "refusal"
        elif reason == "end_turn" and self._has_called:
            reason, sequence = "tool_use", None
        elif sequence is not None:
            reason = "stop_sequence"
        details = None
        if reason == "refusal":
            details = StopDetails(type="refusal", category=None, explanation="".join(self._refusal) or None)
        return self._writer.finish(reason, usage=self._told_usage(), stop_sequence=sequence, stop_details=details)

    def _told_usage(self) -> DeltaUsage:
        """In disjoint parts: what a cache held or took in is no input, what was thought is output."""
        told = self._usage if isinstance(self._usage, dict) else {}
        details = told.get("input_tokens_details")
        prompt, output = count(told, "input_tokens"), count(told, "output_tokens")
        thought = count(told.get("output_tokens_details"), "reasoning_tokens")
        if prompt is None:
            prompt, details = self._question.input_tokens, None
        cached = min(count(details, "cached_tokens") or 0, prompt)
        written = min(count(details, "cache_write_tokens") or 0, prompt - cached)
        return DeltaUsage(
            input_tokens=prompt - cached - written,
            cache_creation_input_tokens=written,
            cache_read_input_tokens=cached,
            output_tokens=-(-self._said // CHARACTERS_A_TOKEN) if output is None else output,
            output_tokens_details=None if thought is None else {"thinking_tokens": thought},
        )


def _note_message(item: _Item, content: Any) -> None:
    said: dict[str, list[str]] = {"text": [], "refusal": []}
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            for field, texts in said.items():
                if isinstance(text := part.get(field), str):
                    texts.append(text)
    for how, texts in said.items():
        item.hear_whole(how, "".join(texts))


def _note_reasoning(item: _Item, told: Mapping[str, Any]) -> None:
    for how, kind in (("summary", "summary_text"), ("raw", "reasoning_text")):
        text = "\n\n".join(
            part["text"] for part in _texts(told.get("summary" if how == "summary" else "content"), kind)
        )
        if text and ({"summary": "raw", "raw": "summary"}[how] not in item.heard):
            item.hear_whole(how, text)


def _reason(status: str, response: Mapping[str, Any]) -> StopReason:
    if status == "completed":
        return "end_turn"
    details = response.get("incomplete_details")
    why = details.get("reason") if isinstance(details, dict) else None
    return "refusal" if why == "content_filter" else "max_tokens"  # what no one knows: it is not whole, that is sure
