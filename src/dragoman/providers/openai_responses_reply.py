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
from dragoman.wire.tools import JsonObject
from dragoman.wire.types import StopDetails, StopReason

from .base import Answered, Operation, Question, UpstreamRequest
from .call_arguments import CUT_REASONS, no_object, text_of
from .openai_chat_errors import error_in_place, error_of
from .openai_chat_stops import StopWatch
from .openai_common import Ids, count, first_usage
from .openai_responses_items import Item, signature_of
from .openai_responses_quick import piece_of_text
from .openai_responses_search import NAME, citation_of, found, offered
from .translating import Names, TranslatedStream, keeps_thinking, new_writer, shows_thinking, whole_reply

__all__ = ["ResponsesReply"]

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
ANNOTATED = "response.output_text.annotation.added"
WRITTEN = ("message", "function_call", "reasoning", "web_search_call")  # types of items that blocks stand for
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
        machine = self._machine()
        return TranslatedStream(machine, last=DONE, quick=machine)

    def _machine(self) -> "_Machine":
        return _Machine(self._question, self._names, self._origin)


class _Machine:
    """One reply."""

    def __init__(self, question: Question, names: Names, origin: str) -> None:
        self._writer = new_writer(question, first_usage(question))
        self._question = question
        self._names = names
        self._ids = Ids(question)
        self._origin = origin
        self._shows = shows_thinking(question.request)
        self._keeps = keeps_thinking(question.request)
        self._items: dict[int | str, Item] = {}  # by index, and by id
        self._all: list[Item] = []
        self._cut: str | None = None  # name of a call whose arguments ended before their end
        self._queue: deque[Item] = deque()  # whose blocks are not closed yet, in order
        self._stops = StopWatch(question.request.stop_sequences or ())
        self._refusal: list[str] = []
        self._has_called = False
        self._searches = offered(question) is not None
        self._searched = 0  # times
        self._is_ending = False  # nothing else is told after this event
        self._before = ""  # type of the item whose blocks were closed last
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
            if (text := text_of(data.get(field))) and not self._is_over(data):
                self._item_of(data, of).hear_whole(how, text)
        elif kind == ANNOTATED and isinstance(annotation := data.get("annotation"), dict) and not self._is_over(data):
            self._item_of(data, "message").hear_annotation(annotation)
        return self._advanced()

    @property
    def hands_text_on(self) -> bool:
        is_alone = len(self._queue) == 1 and self._queue[0].kind == "message"
        return is_alone and self._writer.is_in_text and not self._stops.is_watching

    def plain_text(self, data: bytes) -> str | None:
        piece = piece_of_text(data)
        if piece is None or self._known(piece.output_index, piece.item_id) is not self._queue[0]:
            return None
        return piece.delta

    def encoded_texts(self, pieces: Sequence[str]) -> bytes:
        self._queue[0].heard.setdefault("text", []).extend(pieces)
        self._said += sum(map(len, pieces))
        return self._writer.encoded_texts(pieces)

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
            self._added(data.get("output_index"), told).note(told)

    def _finished(self, data: Mapping[str, Any]) -> None:
        told = data.get("item")
        if not isinstance(told, dict):
            told = {}
        index, kind = data.get("output_index"), told.get("type")
        item = self._known(index, told.get("id")) or self._nameless(kind, index, told.get("id"))
        self._complete(item or self._added(index, told), told)

    def _complete(self, item: Item, told: Mapping[str, Any]) -> None:
        if not item.is_done:
            item.note(told)
            item.whole = told  # from here alone: before, what is encrypted may not be whole
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

    def _item_of(self, data: Mapping[str, Any], kind: str) -> Item:
        index, item_id = data.get("output_index"), data.get("item_id")
        item = self._known(index, item_id) or self._nameless(kind, index, item_id)
        if item is None or (item.kind != kind and item.kind in WRITTEN):  # servers whose indexes do not fit
            item = self._added(index, {"id": item_id})
        item.kind = kind
        return item

    def _known(self, index: Any, item_id: Any) -> Item | None:
        """By its id, or where that is another in each event, as some servers have it, by its place."""
        if (item := self._at(item_id)) is not None:
            return item
        item = self._at(index)
        return None if item is None or item.is_done else item

    def _nameless(self, kind: Any, index: Any, item_id: Any) -> Item | None:
        """The item that is being told, where the server does not say which; or did not until now."""
        item = self._queue[-1] if self._queue else None
        if item is None or item.is_done or item.kind != kind:
            return None
        is_told = isinstance(index, int) or _is_key(item_id)
        return None if is_told and (item.key or item.place is not None) else item

    def _is_over(self, data: Mapping[str, Any]) -> bool:
        """Has the item that an event speaks of been done?"""
        item = self._at(data.get("item_id")) or self._at(data.get("output_index"))
        return item is not None and item.is_done

    def _at(self, key: Any) -> Item | None:
        return self._items.get(key) if isinstance(key, int | str) else None

    def _added(self, index: Any, told: Mapping[str, Any]) -> Item:
        kind = told.get("type")
        item = Item(kind if isinstance(kind, str) else "")
        self._queue.append(item)
        self._all.append(item)
        item.place = index if isinstance(index, int) else None
        item.key = told["id"] if _is_key(told.get("id")) else ""
        for key in (item.place, item.key):
            if key is not None and key != "":
                self._items[key] = item
        return item

    # -- what is written --

    def _advanced(self) -> list[Event]:
        """Write the first item, as far as it is told; once that is done, the next."""
        events: list[Event] = []
        while self._queue and not self._writer.is_done:
            item = self._queue[0]
            events += self._written(item)
            if not item.is_done or self._writer.is_done:
                break
            if item.kind == "reasoning" and len(self._queue) == 1 and not self._is_ending:
                break  # what it led to comes next
            events += self._closed(item)
            self._before = self._queue.popleft().kind
        return events

    def _written(self, item: Item) -> list[Event]:
        events: list[Event] = []
        if item.kind == "function_call":
            if item.is_done:
                item.end()
            if not item.name and not item.is_done:
                return events
            name = self._names.inward(item.name or "unknown")
            if item.arguments.is_broken:
                raise no_object(name)
            if item.arguments.is_cut:
                self._cut = name
            events += self._opened(item, name)
        waiting, item.waiting = item.waiting, []
        for how, text in waiting:
            events += self._say(how, text)
            if self._writer.is_done:
                break
        return events

    def _opened(self, item: Item, name: str) -> list[Event]:
        if item.is_open:
            return []
        item.is_open = self._has_called = True
        return self._writer.tool_use(self._ids.legal(item.id), name)

    def _say(self, how: str, text: Any) -> list[Event]:
        if how == "text":
            return self._text(text)
        if how == "annotation":
            citation = citation_of(text, self._origin) if self._searches else None
            return [] if citation is None else self._writer.citation(citation)
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

    def _closed(self, item: Item) -> list[Event]:
        match item.kind:
            case "message":
                rest = self._stops.rest()
                return [*(self._writer.text(rest) if rest else []), *self._writer.end_block()]
            case "function_call":
                return self._writer.end_block()
            case "reasoning" if self._keeps:
                signature = signature_of(item.whole, self._next_kind(), self._origin)
                return self._writer.end_block() if signature is None else self._writer.signature(signature)
            case "web_search_call" if self._searches and item.whole:
                return self._search(item.whole)
            case _:
                return []

    def _next_kind(self) -> str:
        return self._queue[1].kind if len(self._queue) > 1 else ""

    def _search(self, told: Mapping[str, Any]) -> list[Event]:
        """Once it is done: before that, what was searched for is not told."""
        thought = self._before == "reasoning"
        call = found(told, origin=self._origin, thought=thought, new_id=self._question.new_tool_id)
        self._searched += call.counts
        asked = msgspec.json.encode(call.input).decode()
        return [
            *self._writer.server_tool_use(call.id, NAME),
            *self._writer.input_json(asked),
            *self._writer.whole(call.result),
        ]

    # -- the end --

    def _ended(self, status: str, response: Any) -> list[Event]:
        response = response if isinstance(response, dict) else {}
        if status == "failed" or response.get("error") is not None:
            raise self._failure(response.get("error") or {})
        if status not in ("completed", "incomplete"):
            raise UpstreamFailed(f"The upstream's response is {status!r}, not completed.")
        events = list(self._writer.start())
        self._usage = response.get("usage")
        self._is_ending = True
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
        told = dict(enumerate(output)) if isinstance(output, list) else {}
        items = list(self._all)
        for fits in (_is_same, _stands_there, _is_alike):
            for index, each in list(told.items()):
                item = next((item for item in items if isinstance(each, dict) and fits(item, index, each)), None)
                if item is not None:
                    items.remove(item)
                    self._complete(item, told.pop(index))
        for index, each in told.items():
            if isinstance(each, dict):
                self._complete(self._added(index, each), each)

    def _finish(self, reason: StopReason) -> list[Event]:
        """Of a stop at a sequence a stream tells no usage: it is not waited for."""
        if self._cut is not None and reason not in CUT_REASONS:
            raise no_object(self._cut)
        sequence = self._stops.matched
        if self._refusal:
            reason = "refusal"
        elif sequence is not None:  # the message ends there, though it calls a tool before
            reason = "stop_sequence"
        elif reason == "end_turn" and self._has_called:
            reason = "tool_use"
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
        if output is None:
            output = -(-self._said // CHARACTERS_A_TOKEN)
        cached = min(count(details, "cached_tokens") or 0, prompt)
        written = min(count(details, "cache_write_tokens") or 0, prompt - cached)
        return DeltaUsage(
            input_tokens=prompt - cached - written,
            cache_creation_input_tokens=written,
            cache_read_input_tokens=cached,
            output_tokens=output,
            output_tokens_details=None if thought is None else {"thinking_tokens": min(thought, output)},
            server_tool_use=self._told_searches(),
        )

    def _told_searches(self) -> JsonObject | None:
        """Pages that were opened are no searches, there and here."""
        return {"web_search_requests": self._searched, "web_fetch_requests": 0} if self._searched else None


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and value != ""


# Which of the items that were told one of the end is.


def _is_same(item: Item, _: int, told: Mapping[str, Any]) -> bool:
    return item.key != "" and item.key == told.get("id") and _is_alike(item, _, told)


def _stands_there(item: Item, index: int, told: Mapping[str, Any]) -> bool:
    return item.place == index and _is_alike(item, index, told)


def _is_alike(item: Item, _: int, told: Mapping[str, Any]) -> bool:
    return item.kind in ("", told.get("type"))


def _reason(status: str, response: Mapping[str, Any]) -> StopReason:
    if status == "completed":
        return "end_turn"
    details = response.get("incomplete_details")
    why = details.get("reason") if isinstance(details, dict) else None
    return "refusal" if why == "content_filter" else "max_tokens"  # what no one knows: it is not whole, that is sure
