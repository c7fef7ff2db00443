"""Asks an engine of our own: validates the request, and turns the engine's events into the reply."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing

import msgspec

from dragoman.engines.base import Engine, Generation
from dragoman.errors import ApiError
from dragoman.providers.base import Operation
from dragoman.wire.codec import plain, read
from dragoman.wire.events import BlockDelta, BlockStart, Event, Fold, MessageDelta, MessageStart, encode_events
from dragoman.wire.models import Model
from dragoman.wire.sse import encode_sse
from dragoman.wire.types import Usage

from .call import Answer, Asked
from .files.files import Files
from .ledger.accounting import Entry
from .routing.routing import Route
from .upstream.checked import counted, off_loop, validated

__all__ = ["Local"]


class Local:
    """Answers from our engines, by the names of their providers. `new_id` makes ids: "msg" -> "msg_01..."."""

    def __init__(self, engines: Mapping[str, Engine], *, files: Files, new_id: Callable[[str], str]) -> None:
        self._engines = engines
        self._files = files
        self._new_id = new_id

    async def ask(self, asked: Asked, route: Route, entry: Entry) -> Answer:
        """The engine's answer. Raises ApiError."""
        model, engine = route.model, self._engines[route.provider.name]
        assert model is not None
        if asked.call.operation is Operation.COUNT_TOKENS:
            return await self._count(asked, model, engine)
        request = await off_loop(asked, lambda: validated(asked, model))
        request = await self._files.in_request(request, asked)
        generation = Generation(
            request=request,
            model=model,
            message_id=self._new_id("msg"),
            new_tool_id=lambda: self._new_id("toolu"),
            workspace_id=asked.principal.workspace_id,
            betas=asked.betas,
            headers=asked.call.headers,
            service_tier="standard" if asked.call.batched_for is None else "batch",
        )
        events = engine.generate(generation)
        if asked.stream:
            # The engine refuses before its first event or not at all: so it is awaited before the status is said.
            first = await anext(events)
            stream = self._streamed(first, events, asked, entry)
            await anext(stream)  # now it has begun, and closing it closes the engine's
            return Answer(stream=stream)
        return Answer(body=await self._folded(events, entry))

    async def _count(self, asked: Asked, model: Model, engine: Engine) -> Answer:
        checked = await off_loop(asked, lambda: counted(asked, model))
        request = await self._files.in_request(checked, asked)
        count = await engine.count(request, model, workspace_id=asked.principal.workspace_id)
        told: dict[str, object] = {"input_tokens": count.input_tokens}
        if count.original_input_tokens is not None:
            told["context_management"] = {"original_input_tokens": count.original_input_tokens}
        return Answer(body=msgspec.json.encode(told))

    async def _folded(self, events: AsyncGenerator[list[Event], None], entry: Entry) -> bytes:
        fold = Fold()
        async with aclosing(events):
            async for ready in events:
                for event in ready:
                    fold.add(event)
        message = fold.value()
        entry.note_content()
        entry.note_usage(read(Usage, message["usage"]), message["stop_reason"])
        return msgspec.json.encode(message)

    async def _streamed(
        self, first: list[Event], events: AsyncGenerator[list[Event], None], asked: Asked, entry: Entry
    ) -> AsyncGenerator[bytes, None]:
        """An empty piece, then the events. An error that comes this late is the last of them (STR-40)."""
        try:
            async with aclosing(events):
                yield b""
                _note(first, entry)
                yield encode_events(first)
                async for ready in events:
                    _note(ready, entry)
                    yield encode_events(ready)
        except ApiError as error:
            entry.outcome, entry.error = "cut", error.kind
            yield encode_sse("error", msgspec.json.encode(error.body(asked.call.request_id)))


def _note(events: Sequence[Event], entry: Entry) -> None:
    for event in events:
        match event:
            case BlockDelta():  # nearly all of them
                continue
            case BlockStart():
                entry.note_content()
            case MessageStart(message=message):
                entry.note_usage(message.usage, is_whole=False)
            case MessageDelta(usage=usage, delta=delta) if entry.usage is not None:
                entry.note_usage(read(Usage, {**plain(entry.usage), **plain(usage)}), delta.stop_reason)
            case _:
                continue
