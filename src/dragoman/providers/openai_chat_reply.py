"""Replies of Chat Completions -> events of a message. Source: as openai_chat.py, and recordings of compatible servers.

What an OpenAI-compatible server may do, and is right here: call tools and end with `stop`; begin with empty text; think
in `reasoning_content`, `reasoning`, `reasoning_details` or parts of the content; send a call's name late, or fragments
of several calls in turns; begin with what the assistant had begun; tell usage in a last chunk, with each chunk, in a
place of its own, or not at all; put an error where a chunk should be; end without [DONE], or without a reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dragoman.errors import ApiError, InvalidRequest, Overloaded, UpstreamFailed
from dragoman.wire.events import DeltaUsage, Event
from dragoman.wire.provenance import UNSIGNED
from dragoman.wire.types import StopDetails, StopReason, ThinkingDisabled

from .base import Answered, Operation, Question, UpstreamRequest
from .call_arguments import CUT_REASONS
from .openai_chat_calls import Calls
from .openai_chat_errors import error_in_place, error_of
from .openai_chat_quick import piece_of_text
from .openai_chat_stops import Echo, StopWatch
from .openai_chat_thinking import Details, origin_of, shows_thinking, signed, texts_of
from .openai_common import Ids, count, first_usage
from .translating import Names, TranslatedStream, new_writer, whole_reply

__all__ = ["ChatReply"]

DONE = b"[DONE]"
CUT = "The upstream's stream ended before its message did."
TOKEN_CHARACTERS = 4  # about: for replies that tell no usage
LEAST_READ = 1024  # tokens: half of Ollama's smallest usual window. Less is what its cache did not have

# `finish_reason` -> `stop_reason`. A message that calls a tool stops for that, whatever is said, unless it was cut.
STOP_REASONS: Mapping[str, StopReason] = {
    "stop": "end_turn",
    "eos": "end_turn",
    "end": "end_turn",
    "length": "max_tokens",
    "max_tokens": "max_tokens",
    "model_length": "max_tokens",  # Mistral
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
    "sensitive": "refusal",  # Z.AI
}
# Reasons that are failures: the message is not what the model would have said.
FAILURES: Mapping[str, ApiError] = {
    "error": UpstreamFailed("The upstream broke off its reply with an error."),
    "abort": UpstreamFailed("The upstream aborted its reply."),
    "network_error": UpstreamFailed("The upstream broke off its reply."),  # Z.AI
    "insufficient_system_resource": Overloaded("The upstream has not the capacity to end its reply."),  # DeepSeek
}


class ChatReply:
    """Translated: a request, and how its reply is read.

    `echo` is what the assistant had begun, where the reply repeats it; `cuts` says that the host may have read less of
    the prompt than it was given.
    """

    def __init__(
        self,
        question: Question,
        request: UpstreamRequest,
        *,
        lost: Sequence[str],
        names: Names,
        echo: str = "",
        cuts: bool = False,
    ) -> None:
        self.request = request
        self.lost = lost
        self._question = question
        self._names = names
        self._echo = echo
        self._cuts = cuts

    def read(self, operation: Operation, body: bytes) -> Answered:
        machine = self._machine()
        return whole_reply(machine, body, last=DONE, on_last=machine.last)

    def refusal(self, status: int, body: bytes) -> ApiError:
        return error_of(status, body, secret=self._question.target.api_key)

    def stream(self) -> TranslatedStream:
        machine = self._machine()
        return TranslatedStream(machine, last=DONE, on_last=machine.last, quick=machine)

    def _machine(self) -> "_Machine":
        return _Machine(self._question, self._names, echo=self._echo, cuts=self._cuts)


class _Machine:
    """One reply. Text and thinking are written as they come, unless a call is not whole yet: then they wait for it."""

    def __init__(self, question: Question, names: Names, *, echo: str, cuts: bool) -> None:
        self._writer = new_writer(question, first_usage(question))
        self._question = question
        self._calls = Calls(self._writer, tool_use_id=Ids(question).legal, inward=names.inward)
        self._stops = StopWatch(question.request.stop_sequences or ())
        self._echo = Echo(echo)
        self._cuts = cuts
        # Thinking goes back only to hosts that take it: to them it must come signed, by whoever made it.
        self._origin = None if question.target.can.thinking_back is None else origin_of(question.target)
        self._hides = isinstance(question.request.thinking, ThinkingDisabled)  # a model that thinks all the same
        self._shows = shows_thinking(question.request)
        self._thought: list[str] = []  # of the thinking that is not signed yet
        self._details = Details()
        self._later: list[tuple[str, str]] = []  # said while a call was not whole
        self._finish: str | None = None
        self._stop_sequence: str | None = None
        self._refusal: list[str] = []
        self._usage: Mapping[str, Any] | None = None
        self._characters = 0  # of all that was said

    # -- what is told --

    def event(self, data: Mapping[str, Any]) -> Sequence[Event]:
        self._note_usage(data)
        choice = _choice_in(data)
        self._must_be_no_error(data, choice)
        if self._writer.is_done:  # a stop sequence has ended it
            return []
        if choice is None:
            return self._writer.start() if "choices" in data else []
        return self._choice(choice, choice.get("delta"))

    @property
    def hands_text_on(self) -> bool:
        waits = self._calls.is_waiting or self._stops.is_watching or bool(self._details)
        return self._writer.is_in_text and not waits

    def plain_text(self, data: bytes) -> str | None:
        return piece_of_text(data)

    def encoded_texts(self, pieces: Sequence[str]) -> bytes:
        self._characters += sum(map(len, pieces))
        return self._writer.encoded_texts(pieces)

    def whole(self, reply: Mapping[str, Any]) -> Sequence[Event]:
        self._note_usage(reply)
        choice = _choice_in(reply)
        self._must_be_no_error(reply, choice)
        if choice is None:
            raise UpstreamFailed("The upstream's reply has no choices.")
        if not isinstance(choice.get("message"), dict):
            raise UpstreamFailed("The upstream's reply has no message.")
        events = self._choice(choice, choice["message"])
        self._finish = self._finish or "stop"
        return [*events, *self.end()]

    def last(self) -> Sequence[Event]:
        """[DONE]: a message that has something and no reason to end has ended all the same."""
        if self._finish is None and (self._characters or self._calls.written or self._details):
            self._finish = "stop"
        return self.end()

    def end(self) -> Sequence[Event]:
        if self._writer.is_done:
            return []
        if self._finish is None:
            raise UpstreamFailed(CUT)
        return self._finished()

    def _must_be_no_error(self, data: Mapping[str, Any], choice: Mapping[str, Any] | None) -> None:
        error = data.get("error")
        if error is None and data.get("object") == "error":  # vLLM
            error = data
        if error is None and choice is not None:  # OpenRouter
            error = choice.get("error")
        if error is not None:
            raise error_in_place(error, secret=self._question.target.api_key)
        reason = _reason_in(choice)
        failure = None if reason is None else FAILURES.get(reason)
        if failure is not None:
            raise type(failure)(failure.message)

    def _note_usage(self, data: Mapping[str, Any]) -> None:
        """In the chunk, in Groq's place for it, or in the choice, as Moonshot says it."""
        if isinstance(verbose := data.get("__verbose"), dict):
            self._note_stop(verbose.get("stopping_word"))
        for holder in (data, data.get("x_groq"), _choice_in(data)):
            if isinstance(holder, dict) and isinstance(usage := holder.get("usage"), dict):
                self._usage = usage
                return

    def _choice(self, choice: Mapping[str, Any], said: Any) -> list[Event]:
        events: list[Event] = list(self._writer.start())
        if isinstance(said, dict):
            if self._origin is not None:
                self._details.take(said.get("reasoning_details"))
            for kind, text in _pieces(said):
                events += self._say(kind, text)
            if isinstance(refusal := said.get("refusal"), str) and refusal:
                self._refusal.append(refusal)
            for at, call in enumerate(_calls_in(said)):
                events += self._call(call, at)
        reason = _reason_in(choice)
        if reason is not None:
            self._finish = reason
            self._note_stop(choice.get("stop_reason"), choice.get("matched_stop"))
        return events

    def _note_stop(self, *told: Any) -> None:
        """vLLM and SGLang tell the sequence that they stopped at, or the number of a token; llama.cpp if asked."""
        for matched in told:
            if isinstance(matched, str) and matched in (self._question.request.stop_sequences or ()):
                self._stop_sequence = matched

    # -- what is written --

    def _say(self, kind: str, text: str) -> list[Event]:
        if self._writer.is_done:
            return []
        if self._calls.is_underway:
            self._later.append((kind, text))
            return []
        events = self._calls.flush()
        self._characters += len(text)
        if kind == "thinking":
            return [*events, *self._writer.text(self._rest_of_text()), *self._think(text)]
        events += self._signed()
        events += self._writer.text(self._stops.take(self._echo.take(text)))
        if self._stops.matched is not None:
            self._stop_sequence = self._stops.matched
            events += self._finished()
        return events

    def _think(self, text: str) -> list[Event]:
        if self._hides:
            return []
        self._thought.append(text)
        return self._writer.thinking(text) if self._shows else []

    def _signed(self) -> list[Event]:
        """What was thought is over. Where the caller does not see it, or there is no text, its block is empty."""
        if not self._thought and not self._details:
            return []
        text = "".join(self._thought)
        self._thought.clear()
        if self._origin is not None:
            hidden = None if self._shows else text
            return self._writer.signature(signed(self._origin, hidden=hidden, details=self._details.told()))
        return [] if self._shows else self._writer.signature(UNSIGNED)

    def _rest_of_text(self) -> str:
        rest = self._stops.take(self._echo.rest()) + self._stops.rest()
        self._stop_sequence = self._stops.matched or self._stop_sequence
        return rest

    def _call(self, told: Mapping[str, Any], at: int) -> list[Event]:
        if self._writer.is_done:
            return []
        before = [] if self._calls.is_waiting else [*self._writer.text(self._rest_of_text()), *self._signed()]
        events = [*before, *self._calls.take(told, at)]
        return events if self._calls.is_underway else [*events, *self._said_later()]

    def _said_later(self) -> list[Event]:
        later, self._later = self._later, []
        return [event for kind, text in later for event in self._say(kind, text)]

    def _finished(self) -> list[Event]:
        events = [*self._writer.start(), *self._calls.flush()]
        if STOP_REASONS.get(self._finish or "stop") not in CUT_REASONS:
            self._calls.must_be_whole()
        events += self._said_later()
        if self._writer.is_done:  # by a stop sequence in what was said later
            return events
        events += [*self._writer.text(self._rest_of_text()), *self._signed()]
        self._must_be_read()
        refusal = "".join(self._refusal)
        events += self._writer.text(refusal)
        reason = self._stop_reason()
        details = None
        if reason == "refusal":
            details = StopDetails(type="refusal", category=None, explanation=refusal or None)
        sequence = self._stop_sequence if reason == "stop_sequence" else None
        usage = self._told_usage()
        return [*events, *self._writer.finish(reason, usage=usage, stop_sequence=sequence, stop_details=details)]

    def _must_be_read(self) -> None:
        """Ollama drops the beginning of a prompt that is longer than its window, and answers the rest: the system
        prompt and the tools are what goes first. It reads half a window then, so the prompt was twice as long at least.
        An older one tells only the tokens that were not in its cache: few, where a conversation goes on.
        """
        told, ours = count(self._usage, "prompt_tokens") or 0, self._question.input_tokens
        if self._cuts and told >= LEAST_READ and told * 2 <= ours:
            raise InvalidRequest(
                f"prompt is too long: {ours} tokens > {told} maximum; the host read the end of it only. Give its model "
                "a larger context window."
            )

    def _stop_reason(self) -> StopReason:
        reason = STOP_REASONS.get(self._finish or "stop", "end_turn")  # what no one knows is an end like any other
        if self._refusal:
            return "refusal"
        if self._stops.matched is not None:  # found here: the message ends there, though it calls a tool before
            return "stop_sequence"
        if reason in ("max_tokens", "refusal"):
            return reason
        if self._calls.written:
            return "tool_use"
        if self._stop_sequence is not None:
            return "stop_sequence"
        return "end_turn" if reason == "tool_use" else reason

    def _told_usage(self) -> DeltaUsage:
        """In disjoint parts: what a cache gave or took is no input, what was thought is output."""
        told = self._usage or {}
        details = told.get("prompt_tokens_details")
        prompt, output = count(told, "prompt_tokens"), count(told, "completion_tokens")
        thought = count(told.get("completion_tokens_details"), "reasoning_tokens")
        # DeepSeek and Moonshot have names of their own
        read = count(details, "cached_tokens") or count(told, "prompt_cache_hit_tokens") or count(told, "cached_tokens")
        read = read or 0
        written = count(details, "cache_write_tokens") or 0  # OpenRouter's
        if prompt is None:
            prompt, read, written = self._question.input_tokens, 0, 0
        read = min(read, prompt)
        written = min(written, prompt - read)
        if output is None:
            output = -(-(self._characters + self._calls.characters) // TOKEN_CHARACTERS)
        elif thought and count(told, "total_tokens") == prompt + output + thought:  # xAI counts thinking apart
            output += thought
        return DeltaUsage(
            input_tokens=prompt - read - written,
            cache_creation_input_tokens=written,
            cache_read_input_tokens=read,
            output_tokens=output,
            output_tokens_details=None if thought is None else {"thinking_tokens": min(thought, output)},
        )


def _choice_in(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first: more than one is never asked for."""
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else None


def _reason_in(choice: Mapping[str, Any] | None) -> str | None:
    reason = None if choice is None else choice.get("finish_reason")
    return reason.strip().lower() or None if isinstance(reason, str) else None


def _pieces(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was said, as (thinking or text, some of it)."""
    for field in ("reasoning_content", "reasoning"):
        if isinstance(thought := said.get(field), str) and thought:
            yield "thinking", thought
            break
    else:
        for thought in texts_of(said.get("reasoning_details")):
            yield "thinking", thought
    content = said.get("content")
    if isinstance(content, str) and content:
        yield "text", content
    for part in content if isinstance(content, list) else ():  # Mistral, and servers that answer as one asks
        if isinstance(part, dict):
            yield from _of_part(part)


def _of_part(part: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kind = "thinking" if part.get("type") == "thinking" else "text"
    value = part.get(kind)
    inner = value if isinstance(value, list) else [{"text": value}]
    for each in inner:
        text = each.get("text") if isinstance(each, dict) else None
        if isinstance(text, str) and text:
            yield kind, text


def _calls_in(said: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Its calls, and the one of the older form."""
    calls = said.get("tool_calls")
    found = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    if not found and isinstance(said.get("function_call"), dict):
        return [{"index": 0, "function": said["function_call"]}]
    return found
