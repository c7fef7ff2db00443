"""Replies of Gemini -> events of a message. Source: as gemini.py, and recordings of streams in public tests.

What Gemini does, and is right here: calls tools and ends with STOP; gives calls no id; ends a stream with nothing but
the end of the body; tells usage in every chunk, each time the whole; signs a part with no text in it; refuses a prompt
by `promptFeedback` in place of a candidate; breaks off with MALFORMED_FUNCTION_CALL; calls a tool by the name of the
module that it believes it to be in (`default_api.get_weather`).

When a stream is over. By the reference a `finishReason` says that the model has stopped, and the chunk that holds it
tells the usage of it all; so the message ends there, whatever becomes of the connection. It is read on to the end of
the body where that may be untrue: before 2.5 each chunk told STOP (litellm#2195), there are proxies that say so before
the first word (kelivo#1003), and what was searched for may come later.

Citations of training data (`citationMetadata`) are left out: what they point at is not in the request.
"""

import math
import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from dragoman.errors import (
    ApiError,
    BillingProblem,
    Conflict,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    RateLimited,
    RequestTooLarge,
    Unauthenticated,
    UpstreamFailed,
    UpstreamTimeout,
)
from dragoman.wire.events import DeltaUsage, Event
from dragoman.wire.provenance import wrap
from dragoman.wire.tools import WebSearch
from dragoman.wire.types import StopDetails, StopReason, Usage

from .base import Answered, Operation, Question, UpstreamRequest
from .gemini_models import GeminiModel
from .gemini_search import Grounding
from .openai_chat_stops import StopWatch
from .openai_common import Ids
from .translating import Names, TranslatedStream, new_writer, whole_reply

__all__ = ["OF_CALL", "OF_NOTHING", "OF_THOUGHT", "OF_TOOLS", "FunctionNames", "GeminiReply", "retry_after"]

ENDS_AT_ONCE = (2, 5)  # from this version on a reason to stop stands in the last chunk only
WHOLE_USAGE = frozenset({"candidatesTokenCount", "totalTokenCount"})  # one of them is in the last chunk
MODULES = ("default_api.", "default_api:")  # where Gemini believes that functions are
TOKEN_CHARACTERS = 4  # about, of output whose tokens nobody tells
NO_OBJECT = "The model's message is broken: the input of a call is no object."
CUT = "The upstream's stream ended before its message did."

# Which part a signature was on: the first letter of what a thinking block's signature holds.
OF_CALL, OF_THOUGHT, OF_NOTHING = "c", "t", "n"  # the last: a part of its own, with an empty text
OF_TOOLS = "s"  # no signature but whole parts, of tools that Google runs beside functions

# `finishReason` -> `stop_reason`. A message that calls a tool stops for that, whatever is said, unless it was cut.
STOP_REASONS: Mapping[str, StopReason] = {
    "STOP": "end_turn",
    "MAX_TOKENS": "max_tokens",
    "CONTINUATION": "max_tokens",
    "SAFETY": "refusal",
    "RECITATION": "refusal",
    "LANGUAGE": "refusal",
    "BLOCKLIST": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "SPII": "refusal",
    "IMAGE_SAFETY": "refusal",
    "IMAGE_PROHIBITED_CONTENT": "refusal",
    "IMAGE_RECITATION": "refusal",
    "MODEL_ARMOR": "refusal",
    "ESCALATION": "refusal",
    "PUP_LIMITED_DISABLED": "refusal",
}
# The model's message is no message: an error, so that it is asked again.
FAULTS = frozenset(
    {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"}
    | {"MISSING_THOUGHT_SIGNATURE"}
)


class FunctionNames(Names):
    """Names of tools as the dialect takes them: the first character is a letter or an underscore."""

    def outward(self, name: str) -> str:
        if not name.startswith(tuple("0123456789-")):
            return super().outward(name)
        digest = blake2b(name.encode(), digest_size=3).hexdigest()  # there may be a tool of the name with a mere _
        legal = super().outward(f"_{digest}_{name}")
        self._inward[legal] = name
        return legal


class GeminiReply:
    """Translated: a request, and how its reply is read."""

    def __init__(
        self, question: Question, request: UpstreamRequest, *, origin: str, lost: Sequence[str], names: Names
    ) -> None:
        self.request = request
        self.lost = lost
        self._question = question
        self._origin = origin
        self._names = names

    def read(self, operation: Operation, body: bytes) -> Answered:
        return whole_reply(self._machine(), body)

    def refusal(self, status: int, body: bytes) -> ApiError:
        return _error(status, body, secret=self._question.target.api_key)

    def stream(self) -> TranslatedStream:
        return TranslatedStream(self._machine())

    def _machine(self) -> "_Machine":
        return _Machine(self._question, self._names, origin=self._origin)


class _Machine:
    """One reply. A chunk of a stream has the form of a whole reply, so there is one way for both."""

    def __init__(self, question: Question, names: Names, *, origin: str) -> None:
        usage = Usage(
            input_tokens=question.input_tokens,
            cache_creation_input_tokens=0,
            cache_read_input_tokens=0,
            output_tokens=1,
            service_tier="standard",
        )
        self._writer = new_writer(question, usage)
        self._question = question
        self._names = names
        self._origin = origin
        self._thinks = False  # a thinking block is open, not signed
        self._signed = ""  # and yet Gemini has signed it: on which part, and the signature
        self._called = self._has_text = False
        self._ids = Ids(question)  # Gemini's where they are legal and new, for both sides to speak of the same call
        self._finish: str | None = None
        self._said_why: str | None = None
        self._usage: dict[str, int] = {}
        self._stops = StopWatch(question.request.stop_sequences or ())
        self._characters = 0  # of all that was said
        self._grounding = Grounding(origin=origin, new_id=question.new_tool_id)
        self._searches = any(isinstance(tool, WebSearch) for tool in question.request.tools or ())
        self._offered = frozenset(
            names.outward(name) for tool in question.request.tools or () if (name := getattr(tool, "name", None))
        )
        self._ends_at_once = GeminiModel.of(question.target.model).version >= ENDS_AT_ONCE
        self._ran: list[Mapping[str, Any]] = []  # parts of Google's tools that are to go back

    def event(self, data: Mapping[str, Any]) -> Sequence[Event]:
        if self._writer.is_done:  # a stop sequence has ended it
            return []
        if data.get("error") is not None:
            secret = self._question.target.api_key
            raise _error(_status_in(data["error"]), msgspec.json.encode(data), secret=secret)
        self._note_usage(data.get("usageMetadata"))
        events: list[Event] = list(self._writer.start())
        if (candidate := _first(data.get("candidates"))) is not None:
            events += self._candidate(candidate)
            if self._is_last(candidate, data.get("usageMetadata")):
                events += self.end()
        elif isinstance(feedback := data.get("promptFeedback"), dict) and feedback.get("blockReason"):
            self._finish = "SAFETY"
            self._said_why = _text(feedback, "blockReasonMessage") or f"blocked: {feedback['blockReason']}"
        return events

    def _is_last(self, candidate: Mapping[str, Any], usage: Any) -> bool:
        """Whether nothing can follow the chunk that this is of: see above."""
        if not (self._ends_at_once and candidate.get("finishReason") and self._finish is not None):
            return False
        tells = isinstance(usage, dict) and WHOLE_USAGE & usage.keys()
        found = not self._searches or "groundingMetadata" in candidate
        return bool(tells and found and (self._called or self._has_text))

    def whole(self, reply: Mapping[str, Any]) -> Sequence[Event]:
        return [*self.event(reply), *self.end()]

    def end(self) -> Sequence[Event]:
        if self._writer.is_done:
            return []
        if self._finish is None:
            raise UpstreamFailed(CUT)
        return self._finished(self._stop_reason(self._finish))

    def _finished(self, reason: StopReason) -> list[Event]:
        events = [*self._writer.start(), *self._circulated(), *self._thought_ends()]
        events += self._writer.text(self._stops.rest())
        events += [*self._grounding.citations(self._writer), *self._grounding.blocks(self._writer)]
        details = None
        if reason == "refusal":
            details = StopDetails(type="refusal", category=None, explanation=self._said_why)
        usage, matched = self._told_usage(), self._stops.matched
        return [*events, *self._writer.finish(reason, usage=usage, stop_sequence=matched, stop_details=details)]

    # -- what is told --

    def _candidate(self, candidate: Mapping[str, Any]) -> list[Event]:
        events: list[Event] = []
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict) and not self._writer.is_done:
                events += self._part(part)
        if self._writer.is_done:
            return events
        if self._searches:
            self._grounding.note(candidate.get("groundingMetadata"))
        finish = candidate.get("finishReason")
        if isinstance(finish, str) and finish not in ("", "FINISH_REASON_UNSPECIFIED"):
            self._finish = finish
            self._said_why = _text(candidate, "finishMessage") or self._said_why or f"stopped: {finish}"
            if finish in FAULTS:
                raise UpstreamFailed(f"The model's message is broken: {self._said_why}")
        return events

    def _part(self, part: Mapping[str, Any]) -> list[Event]:
        if "toolCall" in part or "toolResponse" in part:
            self._ran.append(part)
            return []
        return [*self._circulated(), *self._said(part)]

    def _said(self, part: Mapping[str, Any]) -> list[Event]:
        signature = _text(part, "thoughtSignature")
        if isinstance(call := part.get("functionCall"), dict):
            return self._call(call, signature)
        if isinstance(text := part.get("text"), str):
            if part.get("thought") is True:
                return self._thought(text, signature)
            if not text and signature and self._thinks and not self._signed:
                self._signed = OF_NOTHING + signature  # of the thinking before it: there was no other text yet
            return self._text(text)
        return self._text(_shown(part))

    def _thought(self, text: str, signature: str | None) -> list[Event]:
        if not text and signature is None:
            return []
        events = self._writer.text(self._stops.rest()) + (self._thought_ends() if self._signed else [])
        self._characters += len(text)
        self._thinks = True
        self._signed = OF_THOUGHT + signature if signature else ""
        return [*events, *self._writer.thinking(text)]

    def _text(self, text: str) -> list[Event]:
        """A signature on it has no place to go: see gemini.py."""
        if not text:
            return []
        self._characters += len(text)
        self._has_text = True
        events = [*self._thought_ends(), *self._writer.text(self._stops.take(text))]
        return events if self._stops.matched is None else [*events, *self._finished("stop_sequence")]

    def _call(self, call: Mapping[str, Any], signature: str | None) -> list[Event]:
        name = _text(call, "name")
        if name is None:
            raise UpstreamFailed("The model's message is broken: a call without a name.")
        arguments = _arguments(call.get("args"))
        events = [*self._writer.text(self._stops.rest()), *self._before_call(signature)]
        self._called = True
        events += self._writer.tool_use(self._ids.legal(_text(call, "id") or ""), self._named(name))
        if arguments:
            written = msgspec.json.encode(arguments).decode()
            self._characters += len(written)
            events += self._writer.input_json(written)
        return [*events, *self._writer.end_block()]

    def _named(self, name: str) -> str:
        """The tool that is called, without the module that there is not."""
        for module in MODULES:
            if name not in self._offered and name.removeprefix(module) in self._offered:
                return self._names.inward(name.removeprefix(module))
        return self._names.inward(name)

    # -- what is written --

    def _before_call(self, signature: str | None) -> list[Event]:
        """A call's signature goes into the thinking before it, or an empty block of thinking."""
        if signature is None:
            return self._thought_ends()
        events = self._thought_ends() if self._signed else []
        self._thinks, self._signed = False, ""
        return [*events, *self._writer.signature(wrap(self._origin, OF_CALL + signature))]

    def _circulated(self) -> list[Event]:
        """What Google's tools did, in a block of thinking of its own: see gemini_search.py."""
        if not self._ran:
            return []
        told, self._ran = msgspec.json.encode(self._ran).decode(), []
        events = [*self._writer.text(self._stops.rest()), *self._thought_ends()]
        return [*events, *self._writer.signature(wrap(self._origin, OF_TOOLS + told))]

    def _thought_ends(self) -> list[Event]:
        """Sign open thinking: with Gemini's signature of it, or none; it is known by its origin all the same."""
        if not self._thinks:
            return []
        opaque, self._thinks, self._signed = self._signed, False, ""
        return self._writer.signature(wrap(self._origin, opaque))

    def _stop_reason(self, finish: str) -> StopReason:
        reason = STOP_REASONS.get(finish, "end_turn")  # what no one knows is an end like any other
        return "tool_use" if self._called and reason == "end_turn" else reason

    def _note_usage(self, told: Any) -> None:
        """Each chunk tells the whole so far; what a later one leaves out has not changed."""
        for name, value in told.items() if isinstance(told, dict) else ():
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                self._usage[name] = value

    def _told_usage(self) -> DeltaUsage:
        """In disjoint parts: what was read from a cache is no input, what was thought is output."""
        told = self._usage
        cached = told.get("cachedContentTokenCount", 0)
        prompt = told.get("promptTokenCount")
        thought = told.get("thoughtsTokenCount")
        said = told.get("candidatesTokenCount", 0) + (thought or 0)
        ours = self._question.input_tokens
        return DeltaUsage(
            input_tokens=ours if prompt is None else max(0, prompt - cached) + told.get("toolUsePromptTokenCount", 0),
            cache_creation_input_tokens=0,
            cache_read_input_tokens=cached,
            output_tokens=said or -(-self._characters // TOKEN_CHARACTERS),
            output_tokens_details=None if thought is None else {"thinking_tokens": thought},
            server_tool_use=self._grounding.requests,
        )


def _text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) and value else None


def _first(candidates: Any) -> Mapping[str, Any] | None:
    """The one that was asked for; of others, which some proxies ask for, a chunk may tell alone."""
    for candidate in candidates if isinstance(candidates, list) else ():
        if isinstance(candidate, dict) and not _is_another(candidate.get("index")):
            return candidate
    return None


def _is_another(index: Any) -> bool:
    return isinstance(index, int) and index != 0


def _arguments(told: Any) -> Mapping[str, Any]:
    """Of a call; some proxies tell the object in a text. Raises UpstreamFailed for what is none."""
    if isinstance(told, str):
        try:
            told = msgspec.json.decode(told) if told.strip() else None
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise UpstreamFailed(NO_OBJECT) from error
    if told is None:
        return {}
    if not isinstance(told, dict):
        raise UpstreamFailed(NO_OBJECT)
    return told


def _shown(part: Mapping[str, Any]) -> str:
    """What only Gemini's own tools and image models send, as text: a message has no blocks for it."""
    if isinstance(code := part.get("executableCode"), dict):
        return f"```\n{_text(code, 'code') or ''}\n```\n"
    if isinstance(result := part.get("codeExecutionResult"), dict):
        return f"```\n{_text(result, 'output') or ''}\n```\n"
    for name in ("inlineData", "fileData"):
        if isinstance(data := part.get(name), dict):
            return f"[{_text(data, 'mimeType') or 'a file'}: {_text(data, 'fileUri') or 'cannot be shown here'}]"
    return ""


# -- errors --

TOO_LONG = re.compile(r"input token count(?: \((\d+)\))? exceeds the maximum number of tokens allowed(?: \(?(\d+))?")
BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthenticated,
    402: BillingProblem,
    403: PermissionDenied,
    404: NotFound,
    408: UpstreamTimeout,
    409: Conflict,
    413: RequestTooLarge,
    503: Overloaded,
    504: UpstreamTimeout,
    529: Overloaded,
}


def _status_in(error: Any) -> int:
    """Of an error that came in place of a reply: its code where that is a status."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code <= 599 else 500


def _error(status: int, body: bytes, *, secret: str | None) -> ApiError:
    """An error in the tree of ours, in Gemini's words (google.rpc.Status), but for the key, which some of them name."""
    error = _told(body)
    message = _text(error, "message") or f"The upstream answered with status {status}."
    message = message.replace(secret, "[key]") if secret else message
    told = error.get("details")
    details = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    if status == 429:
        return RateLimited(message, retry_after=retry_after(details))
    if found := TOO_LONG.search(message):
        tokens = f"{found[1]} tokens > {found[2]} maximum" if found[1] and found[2] else message
        return InvalidRequest(f"prompt is too long: {tokens}")
    if any(each.get("reason") == "API_KEY_INVALID" for each in details):  # comes with status 400
        return Unauthenticated(message)
    if (cls := BY_STATUS.get(status)) is not None:
        return cls(message)
    return UpstreamFailed(message) if status >= 498 else InvalidRequest(message)  # 499: cancelled, not by us


def _told(body: bytes) -> Mapping[str, Any]:
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}  # a proxy's page: its text is not the caller's business
    if isinstance(told, list) and told:  # of a stream that is asked for without alt=sse, and of some proxies
        told = told[0]
    error = told.get("error") if isinstance(told, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def retry_after(details: Sequence[Mapping[str, Any]]) -> int | None:
    """Whole seconds of a google.rpc.RetryInfo, such as "37s" or "3.957525076s"."""
    for each in details:
        delay = each.get("retryDelay")
        if isinstance(delay, str) and (found := re.fullmatch(r"(\d{1,8}(?:\.\d{1,12})?)s", delay)):
            return math.ceil(float(found[1]))
    return None
