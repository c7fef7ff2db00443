"""The built-in engine: no model, no network, the same answer to the same request, and honest about it.

It answers with what was asked, so that tests can assert on it; calls tools when they fit, with input that their
schema allows; ends every tool loop with the results. A script may answer in its place. Everything around the words
is the API's: thinking, caching, stop sequences, `max_tokens` to the token, usage that agrees with count_tokens.
Imports only `wire` and this folder.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from itertools import chain
from typing import Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from dragoman.engines.base import Counted, Generation
from dragoman.errors import ApiError, CannotCarry, InvalidRequest
from dragoman.wire.contexts import Compact
from dragoman.wire.events import Event
from dragoman.wire.modelrules import thinks
from dragoman.wire.models import Capability, Model
from dragoman.wire.toolrules import check_server_tools
from dragoman.wire.tools import JsonObject
from dragoman.wire.types import CacheCreation, CountTokensRequest, MessagesRequest, Usage
from dragoman.wire.writer import BlockWriter

from .answer import answer, may_call
from .caching import CacheUse, Diagnoses, Fingerprint, PromptCache
from .context import manage, since_compaction, summary
from .documents import pdf_files
from .offloading import LIGHT_CHARACTERS, QUICK, Threads, weight
from .output import Limit, Output, cut_at_stop_sequence
from .pace import AT_ONCE, Break, Pace, paced
from .pdf import Pages, PdfFile, PdfReader
from .prompt import Prompt, Reading, read_prompt
from .reply import Reply, Sum, is_refused
from .scripts import Script, Scripted, ScriptedReply, UsageOverrides
from .thinking import Signer

__all__ = ["OfflineEngine", "Pace"]

Request = TypeVar("Request", bound=CountTokensRequest)

NOT_HERE = ("mcp_servers", "fallbacks", "container")  # fields that ask for what this engine has not


class OfflineEngine:
    """Stands in for any model of the catalogue.

    `secret` keys the signatures of its thinking; `clock` gives monotonic seconds, for what the prompt cache keeps;
    `script` answers before the engine does.
    """

    name = "offline"
    supports: frozenset[Capability] = frozenset(
        {
            "batch",
            "citations",
            "context_management.clear_thinking_20251015",
            "context_management.clear_tool_uses_20250919",
            "context_management.compact_20260112",
            "effort",
            "image_input",
            "pdf_input",
            "structured_outputs",
            "thinking",
        }
    )

    def __init__(
        self,
        *,
        secret: bytes,
        pace: Pace | None = None,
        script: Script | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._signer = Signer(secret)
        self._pace = pace or Pace()
        self._scripted = None if script is None else Scripted(script)
        self._cache = PromptCache(clock=clock)
        self._diagnoses = Diagnoses(clock=clock)
        self._threads = Threads()
        self._pdfs = PdfReader(self._threads)

    async def aclose(self) -> None:
        """To be called when no request is under way: ends the threads."""
        await self._threads.aclose()

    async def count(self, request: CountTokensRequest, model: Model, *, workspace_id: str | None = None) -> Counted:
        """Without a workspace, PDFs are read anew each time."""
        read = await self._read(request, model, workspace_id=workspace_id)
        return Counted(read.prompt.tokens, None if read.applied is None else read.original_tokens)

    async def generate(self, generation: Generation) -> AsyncGenerator[list[Event], None]:
        model = generation.model
        read = await self._read(generation.request, model, workspace_id=generation.workspace_id)
        limit = _output_limit(read.request, model, read.prompt)
        plan = await self._plan(generation, read)
        pace = plan.pace
        if plan.refusal is not None:
            await asyncio.sleep(pace.ttft_s)
            raise plan.refusal
        output = Output(
            BlockWriter(generation.message_id, model=model.id, usage=plan.usage, also=plan.also),
            request=read.request,
            model=model,
            betas=generation.betas,
            limit=limit,
            signer=self._signer,
            new_tool_id=generation.new_tool_id,
            in_pieces=read.request.stream or pace.between_s > 0,
            at_once=1 if pace.is_timed else AT_ONCE,
        )

        def end() -> list[Event]:
            return output.finish(plan.reply, plan.usage, applied_edits=read.applied, overrides=plan.overrides)

        events = paced(chain(output.write(plan.reply), _late(end)), pace, tokenizer=model.tokenizer, broken=plan.broken)
        has_begun = False
        async with aclosing(events):
            async for ready in events:
                if not has_begun:
                    self._remember(generation, plan)
                    has_begun = True
                yield ready

    def _remember(self, generation: Generation, plan: "_Plan") -> None:
        """The response has begun: from now on its prefix can be read (CCH-25), and it can be compared with."""
        plan.cached.commit()
        if plan.fingerprint is not None:
            self._diagnoses.remember(generation.message_id, plan.fingerprint, workspace_id=generation.workspace_id)

    async def _read(self, request: Request, model: Model, *, workspace_id: str | None) -> "_Read[Request]":
        """Read the request: at once where that is quicker than the way to a thread; else in one, a heavy request
        behind other heavy ones, and its PDFs in a process."""
        weighed = weight(request)
        if weighed <= QUICK:
            return self._read_now(self._current(request, model), model, Reading(), weight=weighed)
        if weighed <= LIGHT_CHARACTERS:
            return await self._threads.light(
                lambda: self._read_now(self._current(request, model), model, Reading(), weight=weighed)
            )
        current, files = await self._threads.heavy(lambda: self._current_with_files(request, model))
        reading = Reading(await self._pages(files, model, workspace_id) if files else None)
        return await self._threads.heavy(
            lambda: self._read_now(current, model, reading, weight=weighed), abandon=reading.abandon
        )

    def _current(self, request: Request, model: Model) -> Request:
        """What is left of the request when its last compaction stands for what was before it."""
        if thinks(request, model):  # else thinking that is sent is ignored (MSG-64)
            self._signer.check(request.messages)
        return since_compaction(request)

    def _current_with_files(self, request: Request, model: Model) -> tuple[Request, dict[int, PdfFile]]:
        current = self._current(request, model)
        return current, pdf_files(current.messages)

    async def _pages(self, files: dict[int, PdfFile], model: Model, workspace_id: str | None) -> dict[int, Pages]:
        pages = await self._pdfs.read(list(files.values()), workspace_id=workspace_id, most_pages=model.max_pdf_pages)
        return dict(zip(files, pages, strict=True))

    def _read_now(self, request: Request, model: Model, reading: Reading, *, weight: int) -> "_Read[Request]":
        prompt = read_prompt(request, model, reading)
        if request.context_management is None:
            return _Read(request=request, prompt=prompt, original_tokens=prompt.tokens, weight=weight)
        managed = manage(
            request, measure=lambda messages: read_prompt(replace(request, messages=messages), model, reading).tokens
        )
        edited = replace(request, messages=managed.messages)
        return _Read(
            request=edited,
            prompt=read_prompt(edited, model, reading) if managed.applied else prompt,
            original_tokens=prompt.tokens,
            weight=weight,
            applied=managed.applied,
            compact=managed.compact,
        )

    async def _plan(self, generation: Generation, read: "_Read[MessagesRequest]") -> "_Plan":
        """Decide on the answer; in a thread where that takes long: tools, formats, citations, many stop sequences."""
        if self._scripted is None and _is_planned_quickly(read):
            return self._planned(generation, read)
        run = self._threads.light if read.weight <= LIGHT_CHARACTERS else self._threads.heavy
        return await run(lambda: self._planned(generation, read))

    def _planned(self, generation: Generation, read: "_Read[MessagesRequest]") -> "_Plan":
        request, workspace_id = read.request, generation.workspace_id
        played = self._played(generation, read.prompt)
        reply = _composed(generation, read) if played is None else played.reply
        cached = self._cache.begin(request, generation.model, read.prompt, workspace_id=workspace_id)
        says_nothing = request.max_tokens == 0 or is_refused(reply)
        usage = _usage(request, cached, says_nothing=says_nothing, service_tier=generation.service_tier)
        plan = _Plan(
            reply=cut_at_stop_sequence(reply, request.stop_sequences or ()),
            usage=usage,
            cached=cached,
            pace=self._pace,
        )
        if request.diagnostics is not None:
            diagnosis, fingerprint = self._diagnoses.diagnose(
                request, generation.model, read.prompt, workspace_id=workspace_id, betas=generation.betas
            )
            plan = replace(plan, also={"diagnostics": diagnosis}, fingerprint=fingerprint)
        return plan if played is None else _as_scripted(plan, played)

    def _played(self, generation: Generation, prompt: Prompt) -> ScriptedReply | None:
        if self._scripted is None or generation.request.max_tokens == 0:
            return None
        return self._scripted.answer(generation, prompt)


class _Read(Struct, Generic[Request], frozen=True, kw_only=True):
    """A request that has been read, after `context_management` cleared what it asked to have cleared."""

    request: Request
    prompt: Prompt
    original_tokens: int  # before that
    weight: int  # of the whole request: planning takes the longer too
    applied: list[JsonObject] | None = None  # None: nothing was asked to be cleared
    compact: Compact | None = None  # the conversation is to be summed up now


class _Plan(Struct, frozen=True, kw_only=True):
    """All that is decided before the first event."""

    reply: Reply
    usage: Usage  # that message_start tells
    cached: CacheUse
    pace: Pace
    refusal: ApiError | None = None  # what a script answers in place of a reply
    broken: Break | None = None
    overrides: UsageOverrides | None = None
    also: JsonObject | None = None  # fields of the message that were asked for
    fingerprint: Fingerprint | None = None  # what a later request is compared with


def _as_scripted(plan: _Plan, played: ScriptedReply) -> _Plan:
    """The plan with what the script says of pace, breaks and usage."""
    overrides = played.usage
    broken: Break | None = None
    if played.cut_after is not None:
        broken = Break(played.cut_after, None)
    elif played.error is not None and played.error_after is not None:
        broken = Break(played.error_after, played.error)
    return replace(
        plan,
        usage=overrides.of_start(plan.usage) if overrides else plan.usage,
        overrides=overrides,
        broken=broken,
        refusal=played.error if broken is None else None,
        pace=Pace(
            ttft_s=played.wait_s or plan.pace.ttft_s,
            tokens_per_second=played.tokens_per_second or plan.pace.tokens_per_second,
            between_s=played.between_s,
        ),
    )


def _composed(generation: Generation, read: _Read[MessagesRequest]) -> Reply:
    request = read.request
    _check_is_possible(request)
    if request.max_tokens == 0:
        return Reply(parts=(), stop_reason="max_tokens")  # the prompt is read, and nothing said (MSG-35)
    summed = () if read.compact is None else (Sum(summary(request.messages, read.compact)),)
    if read.compact is not None and read.compact.pause_after_compaction:
        return Reply(parts=summed, stop_reason="compaction")
    reply = answer(request, generation.model, read.prompt, betas=generation.betas)
    return replace(reply, parts=(*summed, *reply.parts))


def _check_is_possible(request: MessagesRequest) -> None:
    """What is asked for and is not here is refused, never accepted and ignored (TOOL-71)."""
    check_server_tools(request.tools or ())
    for name in NOT_HERE:
        if getattr(request, name):
            raise CannotCarry(f"{name}: is not supported by the model that answers here")


def _late(make: Callable[[], list[Event]]) -> Iterator[list[Event]]:
    yield make()


def _is_planned_quickly(read: _Read[MessagesRequest]) -> bool:
    """Words only, and not many: less work than the way to a thread. To choose one tool can take a second."""
    request = read.request
    return (
        read.weight <= QUICK
        and not may_call(request, read.prompt)
        and not read.prompt.passages
        and request.output_config is None
        and request.context_management is None
        and len(request.stop_sequences or ()) <= 10
    )


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


def _usage(request: MessagesRequest, cached: CacheUse, *, says_nothing: bool, service_tier: str) -> Usage:
    """What message_start tells (MSG-120 to 123, CCH-31 to 33)."""
    return Usage(
        input_tokens=cached.plain_tokens,
        cache_creation_input_tokens=cached.write_tokens,
        cache_read_input_tokens=cached.read_tokens,
        cache_creation=CacheCreation(
            ephemeral_5m_input_tokens=cached.write_5m_tokens,
            ephemeral_1h_input_tokens=cached.write_1h_tokens,
        ),
        output_tokens=0 if says_nothing else 1,
        service_tier=service_tier,
        inference_geo=request.inference_geo or "not_available",
        speed=request.speed,
    )
