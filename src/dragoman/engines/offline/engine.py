"""The built-in engine: no model, no network, the same answer to the same request, and honest about it.

It answers with what was asked, so that tests can assert on it; calls tools when they fit, with input that their
schema allows; ends every tool loop with the results. Everything around the words is the API's: thinking, stop
sequences, `max_tokens` to the token, usage that agrees with count_tokens. Imports only `wire` and this folder.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from dragoman.engines.base import Counted, Generation
from dragoman.errors import InvalidRequest
from dragoman.wire.contexts import Compact
from dragoman.wire.events import BlockDelta, Event, InputJsonDelta, TextDelta, ThinkingDelta
from dragoman.wire.modelrules import thinks
from dragoman.wire.models import Capability, Model
from dragoman.wire.toolrules import check_server_tools
from dragoman.wire.tools import JsonObject
from dragoman.wire.types import CacheCreation, CountTokensRequest, MessagesRequest, Usage
from dragoman.wire.writer import BlockWriter

from . import tokens
from .answer import answer
from .context import manage, since_compaction, summary
from .output import Limit, Output, cut_at_stop_sequence
from .prompt import Prompt, read_prompt
from .reply import Reply, Sum, is_refused
from .thinking import Signer

__all__ = ["OfflineEngine", "Pace"]

Request = TypeVar("Request", bound=CountTokensRequest)

NOT_HERE = ("mcp_servers", "fallbacks", "container")  # fields that ask for what this engine has not


class Pace(Struct, frozen=True):
    """How quickly replies come: a model takes its time, and programs that wait for one want to be tested."""

    ttft_s: float = 0.0  # before the first event
    tokens_per_second: float | None = None  # None: as fast as they can be written


class OfflineEngine:
    """Stands in for any model of the catalogue. `secret` keys the signatures of its thinking."""

    name = "offline"
    supports: frozenset[Capability] = frozenset({"effort", "image_input", "structured_outputs", "thinking"})

    def __init__(self, *, secret: bytes, pace: Pace | None = None) -> None:
        self._signer = Signer(secret)
        self._pace = pace or Pace()

    async def count(self, request: CountTokensRequest, model: Model) -> Counted:
        read = await self._read(request, model)
        return Counted(read.prompt.tokens, None if read.applied is None else read.original_tokens)

    async def generate(self, generation: Generation) -> AsyncGenerator[list[Event], None]:
        model = generation.model
        read = await self._read(generation.request, model)
        request, prompt = read.request, read.prompt
        limit = _output_limit(request, model, prompt)
        reply = await self._reply(generation, read)
        usage = _usage(request, prompt, says_nothing=request.max_tokens == 0 or is_refused(reply))
        writer = BlockWriter(generation.message_id, model=model.id, usage=usage)
        output = Output(
            writer,
            request=request,
            model=model,
            betas=generation.betas,
            limit=limit,
            signer=self._signer,
            new_tool_id=generation.new_tool_id,
        )
        walk = _Walk(self._pace, model.tokenizer)
        await walk.begin()
        for events in output.write(reply):
            await walk.keep_up(events)
            yield events
        yield output.finish(reply, usage, applied_edits=read.applied)

    async def _read(self, request: Request, model: Model) -> "_Read[Request]":
        """Read the request; in a thread where that takes long: images are decoded, long texts are counted."""
        if _is_quick(request):
            return self._read_now(request, model)
        return await asyncio.to_thread(self._read_now, request, model)

    def _read_now(self, request: Request, model: Model) -> "_Read[Request]":
        if thinks(request, model):  # else thinking that is sent is ignored (MSG-64)
            self._signer.check(request.messages)
        request = since_compaction(request)
        prompt = read_prompt(request, model)
        if request.context_management is None:
            return _Read(request=request, prompt=prompt, original_tokens=prompt.tokens)
        managed = manage(
            request, measure=lambda messages: read_prompt(replace(request, messages=messages), model).tokens
        )
        edited = replace(request, messages=managed.messages)
        return _Read(
            request=edited,
            prompt=read_prompt(edited, model) if managed.applied else prompt,
            original_tokens=prompt.tokens,
            applied=managed.applied,
            compact=managed.compact,
        )

    async def _reply(self, generation: Generation, read: "_Read[MessagesRequest]") -> Reply:
        """Compose; in a thread where that takes long: many tools with large schemas, formats, many stop sequences."""
        request = generation.request
        if _is_quick(request) and request.output_config is None and len(request.stop_sequences or ()) <= 10:
            return _composed(generation, read)
        return await asyncio.to_thread(_composed, generation, read)


class _Read(Struct, Generic[Request], frozen=True, kw_only=True):
    """A request that has been read, after `context_management` cleared what it asked to have cleared."""

    request: Request
    prompt: Prompt
    original_tokens: int  # before that
    applied: list[JsonObject] | None = None  # None: nothing was asked to be cleared
    compact: Compact | None = None  # the conversation is to be summed up now


def _composed(generation: Generation, read: _Read[MessagesRequest]) -> Reply:
    request = read.request
    _check_is_possible(request)
    if request.max_tokens == 0:
        return Reply(parts=(), stop_reason="max_tokens")  # the prompt is read, and nothing said (MSG-35)
    if read.compact is not None and read.compact.pause_after_compaction:
        return Reply(parts=(Sum(summary(request.messages, read.compact)),), stop_reason="compaction")
    reply = answer(request, generation.model, read.prompt, betas=generation.betas)
    if read.compact is not None:
        reply = replace(reply, parts=(Sum(summary(request.messages, read.compact)), *reply.parts))
    return cut_at_stop_sequence(reply, request.stop_sequences or ())


def _check_is_possible(request: MessagesRequest) -> None:
    """What is asked for and is not here is refused, never accepted and ignored (TOOL-71)."""
    check_server_tools(request.tools or ())
    for name in NOT_HERE:
        if getattr(request, name):
            raise InvalidRequest(f"{name}: is not supported by the model that answers here")


class _Walk:
    """Keeps a reply to its pace."""

    def __init__(self, pace: Pace, tokenizer: str) -> None:
        self._pace = pace
        self._tokenizer = tokenizer
        self._due = 0.0  # when the events so far may be out

    async def begin(self) -> None:
        if self._pace.ttft_s:
            await asyncio.sleep(self._pace.ttft_s)
        self._due = asyncio.get_running_loop().time()

    async def keep_up(self, events: Sequence[Event]) -> None:
        """Wait until what these events hold may be out."""
        if self._pace.tokens_per_second is None:
            return
        size = sum(tokens.count(_words(event), self._tokenizer) for event in events)
        self._due += size / self._pace.tokens_per_second
        ahead = self._due - asyncio.get_running_loop().time()
        if ahead > 0:
            await asyncio.sleep(ahead)


def _words(event: Event) -> str:
    """What a model would have had to write for this event."""
    match event:
        case BlockDelta(delta=TextDelta(text=text)):
            return text
        case BlockDelta(delta=ThinkingDelta(thinking=text)):
            return text
        case BlockDelta(delta=InputJsonDelta(partial_json=text)):
            return text
        case _:
            return ""


def _is_quick(request: CountTokensRequest) -> bool:
    """A few plain messages, which take less time than the way to a thread."""
    if request.tools or len(request.messages) > 20:
        return False
    texts = [message.content for message in request.messages]
    return all(isinstance(text, str) and len(text) < 10_000 for text in [*texts, request.system or ""])


def _output_limit(request: MessagesRequest, model: Model, prompt: Prompt) -> Limit:
    """Raises InvalidRequest for a prompt that leaves no room (MSG-50, 51)."""
    window, asked = model.max_input_tokens, prompt.tokens
    if asked > window:
        raise InvalidRequest(f"prompt is too long: {asked} tokens > {window} maximum")
    if asked + request.max_tokens <= window:
        return Limit(request.max_tokens, "max_tokens")
    if model.context_overflow == "refuse":
        raise InvalidRequest(
            f"input length and `max_tokens` exceed context limit: {asked} + {request.max_tokens} > {window}, "
            "decrease input length or `max_tokens` and try again"
        )
    return Limit(window - asked, "model_context_window_exceeded")


def _usage(request: MessagesRequest, prompt: Prompt, *, says_nothing: bool) -> Usage:
    return Usage(
        input_tokens=prompt.tokens,
        cache_creation_input_tokens=0,
        cache_read_input_tokens=0,
        cache_creation=CacheCreation(ephemeral_5m_input_tokens=0, ephemeral_1h_input_tokens=0),
        output_tokens=0 if says_nothing else 1,
        service_tier="standard",
        inference_geo=request.inference_geo or "not_available",
        speed=request.speed,
    )
