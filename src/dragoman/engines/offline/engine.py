"""The built-in engine: no model, no network, the same answer to the same request, and honest about it.

It answers with what was asked, so that tests can assert on it; calls tools when they fit, with input that their
schema allows; ends every tool loop with the results. Everything around the words is the API's: thinking, stop
sequences, `max_tokens` to the token, usage that agrees with count_tokens. Imports only `wire` and this folder.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from dragoman.engines.base import Generation
from dragoman.engines.offline.examples.fill import fill
from dragoman.engines.offline.hints.hints import Hints
from dragoman.engines.offline.tools.builtin import builtin_schema, toolset_members
from dragoman.engines.offline.tools.plan import Call, ToolView, plan
from dragoman.errors import InvalidRequest
from dragoman.wire.events import DeltaUsage, Event
from dragoman.wire.modelrules import thinks
from dragoman.wire.models import Capability, Model
from dragoman.wire.tools import CustomTool
from dragoman.wire.types import (
    CacheCreation,
    CountTokensRequest,
    MessagesRequest,
    StopReason,
    ThinkingAdaptive,
    ThinkingEnabled,
    ToolChoiceAny,
    ToolChoiceNone,
    ToolChoiceTool,
    Usage,
)
from dragoman.wire.writer import BlockWriter

from . import tokens
from .prompt import Prompt, read_prompt, shortened

__all__ = ["OfflineEngine"]

FRAGMENT_CHARACTERS = 12  # of a tool's input in one event
QUOTED_CHARACTERS = 4_000  # of the prompt, in a reply
READ_CHARACTERS = 10_000  # of the prompt, searched for values and for the tools that fit


class Reply(Struct, frozen=True, kw_only=True):
    """What the engine has to say, before limits cut it."""

    thinking: str | None  # None: it does not think
    text: str
    calls: list[Call]
    stopped_by: str | None = None  # the stop sequence that the text would have gone on with


class OfflineEngine:
    """Stands in for any model of the catalogue. `secret` keys the signatures of its thinking."""

    name = "offline"
    supports: frozenset[Capability] = frozenset({"effort", "image_input", "structured_outputs", "thinking"})

    def __init__(self, *, secret: bytes) -> None:
        self._secret = secret

    async def count(self, request: CountTokensRequest, model: Model) -> int:
        return (await _prompt(request, model)).tokens

    async def generate(self, generation: Generation) -> AsyncGenerator[list[Event], None]:
        request, model = generation.request, generation.model
        prompt = await _prompt(request, model)
        limit, at_limit = _output_limit(request, model, prompt)
        writer = BlockWriter(generation.message_id, model=model.id, usage=_usage(request, prompt))
        output = _Output(writer, model=model, limit=limit, at_limit=at_limit)
        if request.max_tokens > 0:
            reply = await _composed(request, model, prompt)
            for events in output.write(reply, request, sign=self._sign, new_tool_id=generation.new_tool_id):
                yield events
        yield output.finish(prompt)

    def _sign(self, thinking: str) -> str:
        """An opaque signature of a thinking block, such as the API's are: it can be verified, and nothing else."""
        digest = hmac.digest(self._secret, b"thinking\0" + thinking.encode(), hashlib.sha512)
        return base64.b64encode(b"\x0adragoman-offline-1\0" + digest).decode()


async def _composed(request: MessagesRequest, model: Model, prompt: Prompt) -> Reply:
    """Compose; in a thread where that takes long: many tools with large schemas, formats, many stop sequences."""
    if _is_quick(request) and request.output_config is None and len(request.stop_sequences or ()) <= 10:
        return compose(request, model, prompt)
    return await asyncio.to_thread(compose, request, model, prompt)


async def _prompt(request: CountTokensRequest, model: Model) -> Prompt:
    """Read the request; in a thread where that takes long: images are decoded, long texts are counted."""
    if _is_quick(request):
        return read_prompt(request, model)
    return await asyncio.to_thread(read_prompt, request, model)


def _is_quick(request: CountTokensRequest) -> bool:
    """A few plain messages, which take less time than the way to a thread."""
    if request.tools or len(request.messages) > 20:
        return False
    texts = [message.content for message in request.messages]
    return all(isinstance(text, str) and len(text) < 10_000 for text in [*texts, request.system or ""])


def _output_limit(
    request: MessagesRequest, model: Model, prompt: Prompt
) -> tuple[int, Literal["max_tokens", "model_context_window_exceeded"]]:
    """How many tokens may come out, and what it is called when they do. Raises InvalidRequest (MSG-50, 51)."""
    window = model.max_input_tokens
    if prompt.tokens > window:
        raise InvalidRequest(f"prompt is too long: {prompt.tokens} tokens > {window} maximum")
    if prompt.tokens + request.max_tokens <= window:
        return request.max_tokens, "max_tokens"
    if model.context_overflow == "refuse":
        raise InvalidRequest(
            f"input length and `max_tokens` exceed context limit: {prompt.tokens} + {request.max_tokens} > {window}, "
            "decrease input length or `max_tokens` and try again"
        )
    return window - prompt.tokens, "model_context_window_exceeded"


def _usage(request: MessagesRequest, prompt: Prompt) -> Usage:
    return Usage(
        input_tokens=prompt.tokens,
        cache_creation_input_tokens=0,
        cache_read_input_tokens=0,
        cache_creation=CacheCreation(ephemeral_5m_input_tokens=0, ephemeral_1h_input_tokens=0),
        output_tokens=1 if request.max_tokens else 0,
        service_tier="standard",
        inference_geo=request.inference_geo or "not_available",
        speed=request.speed,
    )


# What it says.


def compose(request: MessagesRequest, model: Model, prompt: Prompt) -> Reply:
    """The answer, its text up to the first stop sequence."""
    reply = _decided(request, model, prompt)
    found = [(at, stop) for stop in request.stop_sequences or () if (at := reply.text.find(stop)) >= 0]
    if not found:
        return reply
    at, stop = min(found)
    return Reply(thinking=reply.thinking, text=reply.text[:at], calls=[], stopped_by=stop)


def _decided(request: MessagesRequest, model: Model, prompt: Prompt) -> Reply:
    """Decide on the answer: tool calls, a formatted value, or text."""
    calls = _calls(request, prompt)
    if calls:
        names = " and ".join(dict.fromkeys(call.name for call in calls))
        # A forced call comes without a word before it (TOOL-14).
        text = "" if isinstance(request.tool_choice, ToolChoiceAny | ToolChoiceTool) else f"I will use {names}."
        return Reply(thinking=_thinking(request, model, f"{names} can help here."), text=text, calls=calls)
    config = request.output_config
    if config is not None and config.format is not None:
        value = fill(config.format.schema, Hints.of(prompt.asked[:READ_CHARACTERS]))
        text = msgspec.json.encode(value).decode()
        return Reply(thinking=_thinking(request, model, "The answer has a fixed format."), text=text, calls=[])
    return Reply(
        thinking=_thinking(request, model, f"The user said {shortened(prompt.said)}. No model is here to think."),
        text=_text(model, prompt),
        calls=[],
    )


def _thinking(request: MessagesRequest, model: Model, thought: str) -> str | None:
    return thought if thinks(request, model) else None


def _calls(request: MessagesRequest, prompt: Prompt) -> list[Call]:
    choice = request.tool_choice
    if not request.tools or isinstance(choice, ToolChoiceNone) or prompt.prefill is not None:
        return []
    forced = isinstance(choice, ToolChoiceAny | ToolChoiceTool)
    if prompt.results and not forced:
        return []  # the results are the answer: so every tool loop ends
    return plan(
        _views(request),
        prompt.asked[:READ_CHARACTERS],
        choice=choice.__struct_config__.tag if choice is not None else "auto",  # type: ignore[arg-type]
        forced=choice.name if isinstance(choice, ToolChoiceTool) else None,
        parallel=not (choice is not None and choice.disable_parallel_tool_use),
    )


def _views(request: MessagesRequest) -> list[ToolView]:
    """The tools that the engine can call: custom ones, and those whose input the API has fixed."""
    views: list[ToolView] = []
    forced = request.tool_choice.name if isinstance(request.tool_choice, ToolChoiceTool) else None
    for tool in request.tools or ():
        kind = str(tool.__struct_config__.tag)
        if isinstance(tool, CustomTool):
            if not tool.defer_loading or tool.name == forced:
                views.append(ToolView(tool.name, tool.description or "", tool.input_schema))
        elif (schema := builtin_schema(kind)) is not None:
            views.append(ToolView(str(getattr(tool, "name", "")), "", schema))
        elif (members := toolset_members(kind)) is not None:
            views += [ToolView(name, "", member) for name, member in members.items()]
    return views


def _toolset_of(request: MessagesRequest, name: str) -> str | None:
    """The toolset that a call belongs to, which the call must name (TOOL-54)."""
    for tool in request.tools or ():
        kind = str(tool.__struct_config__.tag)
        if name in (toolset_members(kind) or ()):
            return kind.partition("_toolset_")[0]
    return None


def _text(model: Model, prompt: Prompt) -> str:
    """Words that say what they are, and hold what was asked."""
    if prompt.prefill is not None:
        return f" [dragoman's offline engine goes on from here] You said: {_quoted(prompt.said)}"
    if prompt.results:
        told = [
            f"{result.call} {'failed with' if result.is_error else 'returned'}: {_quoted(result.text)}"
            for result in prompt.results
        ]
        said = [f"You said: {_quoted(prompt.said)}"] if prompt.said else []
        return "\n".join(["Here is what the tools gave (told by dragoman's offline engine):", *told, *said])
    parts = [f"This is dragoman's offline engine in place of {model.id}: no model was asked."]
    if prompt.said:
        parts.append(f"You said: {_quoted(prompt.said)}")
    if prompt.attachments:
        parts.append(f"You sent {', '.join(prompt.attachments)}.")
    if prompt.system:
        parts.append(f"The system prompt is: {shortened(prompt.system)}")
    return "\n".join(parts)


def _quoted(text: str) -> str:
    return text if len(text) <= QUOTED_CHARACTERS else f"{text[:QUOTED_CHARACTERS]}..."


# How it comes out.


class _Output:
    """Writes a reply within its limits, and knows why it ended."""

    def __init__(
        self,
        writer: BlockWriter,
        *,
        model: Model,
        limit: int,
        at_limit: Literal["max_tokens", "model_context_window_exceeded"],
    ) -> None:
        self._writer = writer
        self._tokenizer = model.tokenizer
        self._default_display = model.thinking.display if model.thinking else "summarized"
        self._limit = self._left = limit
        self._at_limit: StopReason = at_limit
        self._used = 0
        self._thought = 0
        self._stop: StopReason | None = None
        self._stop_sequence: str | None = None

    def write(
        self, reply: Reply, request: MessagesRequest, *, sign: Callable[[str], str], new_tool_id: Callable[[], str]
    ) -> Iterator[list[Event]]:
        """The events of thinking, text and calls, until something stops them."""
        if reply.thinking is not None:
            yield self._thinking(reply.thinking, request, sign)
        if self._stop is None:
            yield from self._text(reply)
        for call in reply.calls:
            if self._stop is None:
                yield self._call(call, new_tool_id(), toolset_name=_toolset_of(request, call.name))
        if self._stop is None:
            self._stop = "tool_use" if reply.calls else "end_turn"

    def finish(self, prompt: Prompt) -> list[Event]:
        usage = DeltaUsage(
            input_tokens=prompt.tokens,
            cache_creation_input_tokens=0,
            cache_read_input_tokens=0,
            output_tokens=max(self._used, 1) if self._limit else 0,  # even an empty text costs one (MSG-122)
            output_tokens_details={"thinking_tokens": self._thought} if self._thought else None,
        )
        return self._writer.finish(self._stop or self._at_limit, usage=usage, stop_sequence=self._stop_sequence)

    def _take(self, text: str, limit: int | None = None) -> str:
        """As much of `text` as the limit leaves; stops the reply when that is not all."""
        room = self._left if limit is None else min(limit, self._left)
        taken, used = tokens.cut(text, room, self._tokenizer)
        self._left -= used
        self._used += used
        if len(taken) < len(text) and self._left == 0:
            self._stop = self._at_limit
        return taken

    def _thinking(self, thought: str, request: MessagesRequest, sign: Callable[[str], str]) -> list[Event]:
        config = request.thinking
        budget = config.budget_tokens if isinstance(config, ThinkingEnabled) else None
        taken = self._take(thought, budget)
        self._thought = self._used
        display = config.display if isinstance(config, ThinkingEnabled | ThinkingAdaptive) else None
        events: list[Event] = []
        if (display or self._default_display) == "summarized":
            for piece in tokens.streamed(taken, self._tokenizer):
                events += self._writer.thinking(piece)
        return events + self._writer.signature(sign(taken))

    def _text(self, reply: Reply) -> Iterator[list[Event]]:
        for piece in tokens.streamed(self._take(reply.text), self._tokenizer):
            yield self._writer.text(piece)
        if self._stop is None and reply.stopped_by is not None:
            self._stop, self._stop_sequence = "stop_sequence", reply.stopped_by

    def _call(self, call: Call, tool_use_id: str, *, toolset_name: str | None) -> list[Event]:
        """A call, its input in fragments cut anywhere. Without room for its name it is not begun."""
        name_tokens = tokens.count(call.name, self._tokenizer)
        if name_tokens >= self._left:
            self._used += self._left
            self._left = 0
            self._stop = self._at_limit
            return []
        self._left -= name_tokens
        self._used += name_tokens
        taken = self._take(msgspec.json.encode(call.input).decode())
        events = self._writer.tool_use(tool_use_id, call.name, toolset_name=toolset_name)
        events += self._writer.input_json("")
        for start in range(0, len(taken), FRAGMENT_CHARACTERS):
            events += self._writer.input_json(taken[start : start + FRAGMENT_CHARACTERS])
        return events + self._writer.end_block()
