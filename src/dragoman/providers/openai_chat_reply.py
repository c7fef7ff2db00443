"""Replies of Chat Completions -> events of a message. Source: as openai_chat.py, and recordings of compatible servers.

What an OpenAI-compatible server may do, and is right here: call tools and end with `stop`; begin with empty text; think
in `reasoning_content` or `reasoning`; send a call's name late, or fragments of several calls in turns; tell usage in a
last chunk, with each chunk, or not at all; put an error where a chunk should be; end without [DONE].
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from dragoman.errors import ApiError, InvalidRequest, Overloaded, RateLimited, UpstreamFailed
from dragoman.wire.events import DeltaUsage, Event
from dragoman.wire.types import StopDetails, StopReason, Usage
from dragoman.wire.writer import BlockWriter

from .base import Answered, Operation, Question, UpstreamRequest
from .translating import TranslatedStream, whole_reply

__all__ = ["ChatReply", "Names"]

LONGEST_NAME = 64
DONE = b"[DONE]"
CUT = "The upstream's stream ended before its message did."

# `finish_reason` -> `stop_reason`. A message that calls a tool stops for that, whatever is said, unless it was cut.
STOP_REASONS: Mapping[str, StopReason] = {
    "stop": "end_turn",
    "eos": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class Names:
    """Names of tools as the dialect takes them, and back."""

    def __init__(self) -> None:
        self._inward: dict[str, str] = {}

    def outward(self, name: str) -> str:
        if len(name) <= LONGEST_NAME:
            return name
        digest = blake2b(name.encode(), digest_size=4).hexdigest()
        short = f"{name[: LONGEST_NAME - len(digest) - 1]}_{digest}"
        self._inward[short] = name
        return short

    def inward(self, name: str) -> str:
        return self._inward.get(name, name)


class ChatReply:
    """Translated: a request, and how its reply is read."""

    def __init__(self, question: Question, request: UpstreamRequest, *, lost: Sequence[str], names: Names) -> None:
        self.request = request
        self.lost = lost
        self._question = question
        self._names = names

    def read(self, operation: Operation, body: bytes) -> Answered:
        return whole_reply(_Machine(self._question, self._names), body)

    def refusal(self, status: int, body: bytes) -> ApiError:
        return _error(status, body)

    def stream(self) -> TranslatedStream:
        return TranslatedStream(_Machine(self._question, self._names), last=DONE)


class _Call:
    """A call of a tool, as far as it was told."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.waiting: list[str] = []  # fragments that are not written yet
        self.is_open = False  # its block is the one that is being written
        self.depth = _Depth()


class _Depth:
    """Is the JSON object that comes in fragments whole yet?"""

    def __init__(self) -> None:
        self._depth = 0
        self._in_text = self._escaped = False
        self.is_whole = False

    def take(self, fragment: str) -> None:
        for char in fragment:
            if self._in_text:
                if self._escaped:
                    self._escaped = False
                elif char == "\\":
                    self._escaped = True
                elif char == '"':
                    self._in_text = False
            elif char == '"':
                self._in_text = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                self.is_whole = self._depth <= 0


class _Machine:
    """One reply. Text and thinking are written as they come; of calls, the first that is not whole, while the others
    wait: blocks of a message never overlap."""

    def __init__(self, question: Question, names: Names) -> None:
        usage = Usage(
            input_tokens=question.input_tokens,
            cache_creation_input_tokens=0,
            cache_read_input_tokens=0,
            output_tokens=1,
            service_tier="standard",
        )
        self._writer = BlockWriter(question.message_id, model=question.request.model, usage=usage)
        self._question = question
        self._names = names
        self._calls: dict[int, _Call] = {}
        self._written = 0  # calls whose block is closed
        self._finish: str | None = None
        self._stop_sequence: str | None = None
        self._refusal: list[str] = []
        self._usage: Mapping[str, Any] | None = None

    # -- what is told --

    def event(self, data: Mapping[str, Any]) -> Sequence[Event]:
        if data.get("error") is not None:
            raise _error(_status_in(data["error"]), msgspec.json.encode(data))
        if isinstance(data.get("usage"), dict):
            self._usage = data["usage"]
        choices = data.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return self._writer.start() if choices is not None else []
        return self._choice(choices[0], choices[0].get("delta"))

    def whole(self, reply: Mapping[str, Any]) -> Sequence[Event]:
        if reply.get("error") is not None:
            raise _error(_status_in(reply["error"]), msgspec.json.encode(reply))
        choices = reply.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise UpstreamFailed("The upstream's reply has no choices.")
        if isinstance(reply.get("usage"), dict):
            self._usage = reply["usage"]
        return [*self._choice(choices[0], choices[0].get("message")), *self.end()]

    def _choice(self, choice: Mapping[str, Any], said: Any) -> list[Event]:
        events: list[Event] = list(self._writer.start())
        if isinstance(said, dict):
            for field in ("reasoning_content", "reasoning"):
                if isinstance(thought := said.get(field), str) and thought:
                    events += self._thought(thought)
                    break
            if isinstance(text := _text_of(said.get("content")), str) and text:
                events += self._text(text)
            if isinstance(refusal := said.get("refusal"), str) and refusal:
                self._refusal.append(refusal)
            for at, call in enumerate(said.get("tool_calls") or ()):
                if isinstance(call, dict):
                    events += self._fragment(call, at)
        if isinstance(finish := choice.get("finish_reason"), str):
            self._finish = finish
            matched = choice.get("stop_reason")  # vLLM: the sequence that it stopped at
            if isinstance(matched, str) and matched in (self._question.request.stop_sequences or ()):
                self._stop_sequence = matched
        return events

    # -- what is written --

    def _thought(self, thought: str) -> list[Event]:
        return [*self._flushed(), *self._writer.thinking(thought)]

    def _text(self, text: str) -> list[Event]:
        return [*self._flushed(), *self._writer.text(text)]

    def _fragment(self, told: Mapping[str, Any], at: int) -> list[Event]:
        index = told.get("index")
        key = index if isinstance(index, int) else at
        call = self._calls.get(key)
        if call is None or (isinstance(told.get("id"), str) and call.id and told["id"] != call.id and index is None):
            key = key if call is None else max(self._calls) + 1  # servers that number nothing
            call = self._calls[key] = _Call()
        function = told.get("function")
        function = function if isinstance(function, dict) else {}
        if not call.id and isinstance(told.get("id"), str):
            call.id = told["id"]
        if not call.name and isinstance(function.get("name"), str):
            call.name = function["name"]
        arguments = function.get("arguments")
        if isinstance(arguments, dict):  # servers that send an object
            arguments = msgspec.json.encode(arguments).decode()
        if isinstance(arguments, str) and arguments:
            call.depth.take(arguments)
            call.waiting.append(arguments)
        return self._advanced()

    def _advanced(self) -> list[Event]:
        """Write what may be written of the calls: the first that is not whole yet, and those before it."""
        events: list[Event] = []
        calls = list(self._calls.values())
        while self._written < len(calls):
            call = calls[self._written]
            if not call.name:
                break
            events += self._of(call)
            if self._written == len(calls) - 1 or not call.depth.is_whole:
                break
            self._written += 1
        return events

    def _of(self, call: _Call) -> list[Event]:
        events: list[Event] = []
        if not call.is_open:
            call.is_open = True
            events += self._writer.tool_use(_tool_use_id(call.id, self._question), self._names.inward(call.name))
        for fragment in call.waiting:
            events += self._writer.input_json(fragment)
        call.waiting.clear()
        return events

    def _flushed(self) -> list[Event]:
        """All calls so far, whole or not: something else follows them."""
        events: list[Event] = []
        for call in list(self._calls.values())[self._written :]:
            if call.name or call.waiting:
                call.name = call.name or "unknown"
                events += self._of(call)
            self._written += 1
        return events

    def end(self) -> Sequence[Event]:
        if self._finish is None:
            raise UpstreamFailed(CUT)
        events = [*self._writer.start(), *self._flushed()]
        if self._refusal:
            events += self._writer.text("".join(self._refusal))
        reason = self._stop_reason()
        details = None
        if reason == "refusal":
            details = StopDetails(type="refusal", category=None, explanation="".join(self._refusal) or None)
        return [
            *events,
            *self._writer.finish(
                reason, usage=self._told_usage(), stop_sequence=self._stop_sequence, stop_details=details
            ),
        ]

    def _stop_reason(self) -> StopReason:
        assert self._finish is not None
        reason = STOP_REASONS.get(self._finish, "end_turn")  # what no one knows is an end like any other
        if self._refusal:
            return "refusal"
        if reason == "max_tokens":
            return reason
        if self._calls:
            return "tool_use"
        if reason == "tool_use":
            return "end_turn"
        return "stop_sequence" if self._stop_sequence is not None else reason

    def _told_usage(self) -> DeltaUsage:
        """In disjoint parts: what was read from a cache is no input, what was thought is output."""
        told = self._usage or {}
        cached = _count(told.get("prompt_tokens_details"), "cached_tokens") or 0
        prompt = _count(told, "prompt_tokens")
        thought = _count(told.get("completion_tokens_details"), "reasoning_tokens")
        return DeltaUsage(
            input_tokens=self._question.input_tokens if prompt is None else max(0, prompt - cached),
            cache_creation_input_tokens=0,
            cache_read_input_tokens=cached,
            output_tokens=_count(told, "completion_tokens") or 0,
            output_tokens_details=None if thought is None else {"thinking_tokens": thought},
        )


def _count(told: Any, name: str) -> int | None:
    value = told.get(name) if isinstance(told, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text_of(content: Any) -> str | None:
    """Text, or the text of parts: some servers answer in the form of a request."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return content if isinstance(content, str) else None


def _tool_use_id(call_id: str, question: Question) -> str:
    """The provider's id where it is legal here, so that both sides speak of the same call; else one of ours."""
    legal = (
        call_id and len(call_id) <= 128 and all(char.isascii() and (char.isalnum() or char in "_-") for char in call_id)
    )
    return call_id if legal else question.new_tool_id()


# -- errors --


def _status_in(error: Any) -> int:
    """Of an error that came in place of a reply: its code where that is a status."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code <= 599 else 500


def _error(status: int, body: bytes) -> ApiError:
    """An error in the tree of ours, in the provider's words."""
    message, code = _said(body)
    message = message or f"The upstream answered with status {status}."
    if status == 429:
        return RateLimited(message)
    if code == "context_length_exceeded" or "maximum context length" in message:
        return InvalidRequest(f"prompt is too long: {message}")
    if status in (503, 529):
        return Overloaded(message)
    cls = _BY_STATUS.get(status)
    if cls is not None:
        return cls(message)
    return UpstreamFailed(message) if status >= 500 else InvalidRequest(message)


def _said(body: bytes) -> tuple[str, str]:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""  # a proxy's page: its text is not the caller's business
    error = told.get("error", told) if isinstance(told, dict) else told
    if isinstance(error, str):
        return error, ""
    if not isinstance(error, dict):
        return "", ""
    message, code = error.get("message"), error.get("code") or error.get("type")
    return (message if isinstance(message, str) else ""), (code if isinstance(code, str) else "")


def _by_status() -> dict[int, type[ApiError]]:
    from dragoman.errors import (
        BillingProblem,
        Conflict,
        NotFound,
        PermissionDenied,
        RequestTooLarge,
        Unauthenticated,
        UpstreamTimeout,
    )

    classes = (Unauthenticated, BillingProblem, PermissionDenied, NotFound, Conflict, RequestTooLarge, UpstreamTimeout)
    return {each.status: each for each in classes}


_BY_STATUS = _by_status()
