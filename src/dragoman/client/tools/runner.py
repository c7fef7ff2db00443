"""Tool runners: they ask, run the tools that the model calls, answer with the results, and so on to the end. SDK-61.

    BetaToolRunner(client=, params=, tools=, max_iterations=None, options=None, run_tools_eagerly=False)

and so BetaStreamingToolRunner and the async two. `client` is asked by `client.beta.messages.parse(**arguments)`, or by
`.stream(**arguments)`. `params` are the arguments of `create` but `tools`; with `output_format` and `thread=False`,
where these are wanted. `extra_headers`, `extra_query`, `extra_body` and `timeout` may stand in them or in `options`.
`tools` are functions as tools, and definitions.

The decisions are in `loop.py`; here is what waits.
"""

from __future__ import annotations

import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from . import results
from .eager import EagerCalls
from .functions import ToolError
from .loop import Ask, Finish, Loop, Run, Show, Step, Steps, Walk, is_runnable

if TYPE_CHECKING:
    from dragoman.client.beta_message_stream import BetaAsyncMessageStream, BetaMessageStream  # noqa: F401 (in quotes)
    from dragoman.types.beta.replies import ParsedBetaMessage

__all__ = ["BetaAsyncStreamingToolRunner", "BetaAsyncToolRunner", "BetaStreamingToolRunner", "BetaToolRunner"]

logger = logging.getLogger(__name__)

Json = dict[str, Any]
T = TypeVar("T")  # the type of `output_format`, None without one
I = TypeVar("I")  # noqa: E741 (item: what is shown)
Params = Mapping[str, Any] | Callable[[Json], Mapping[str, Any]]


class _Runner(ABC, Generic[T, I]):
    """What all four have that waits for nothing."""

    _wants_async: bool
    _streams = False

    def __init__(
        self,
        *,
        client: Any,
        params: Mapping[str, Any],
        tools: Iterable[Any],
        max_iterations: int | None = None,
        options: Mapping[str, Any] | None = None,
        run_tools_eagerly: bool = False,
    ) -> None:
        """Raises TypeError for a tool of the other flavour; ValueError, AnthropicError for params that cannot be."""
        if run_tools_eagerly and not self._streams:
            raise ValueError("run_tools_eagerly needs stream=True")
        tools = list(tools)
        for tool in tools:
            _check_flavour(tool, self._wants_async)
        self._client = client
        self._runs_early = run_tools_eagerly
        self._is_running_early = False
        self._loop = Loop(params, tools, options=options, max_iterations=max_iterations)
        self._item: Any = None  # what was shown last
        self._items: Any = self._run()  # a generator

    @abstractmethod
    def _run(self) -> Any: ...

    def set_messages_params(self, params: Params) -> None:
        """New params for the requests that follow, or a function that makes them of those there are.

        They take the place of the old ones, but for `betas`, `user_profile_id` and `workspace_id`, which stay. On a
        message thread `system` and `tools` cannot change: the run then ends with AnthropicError.
        """
        self._loop.set_params(params)

    def append_messages(self, *messages: Any) -> None:
        """Messages, given or received, to go on with. While a reply is handled, they are what follows it.

        Then the runner adds neither the reply itself nor the results of its tools: the history is yours.
        """
        self._loop.append(messages)

    def add_tools(self, *tools: Any) -> None:
        """More tools, which the model is told of in the conversation; `tools` stays as it is, and so does its cache.

        Functions are run at once, definitions are the API's to run. Needs the beta inline-tools-2026-09-15.
        """
        for tool in tools:
            _check_flavour(tool, self._wants_async)
        self._loop.add_tools(tools)

    def remove_tools(self, *tools: Any) -> None:
        """Tools, or names of tools, that are run no more; the model is told so in the conversation."""
        self._loop.remove_tools(tools)

    def compact_before_next_turn(self, compaction: Mapping[str, Any] | None = None) -> None:
        """Have the conversation summed up when the turn is over. The summary is shown as a message of its own.

        Without `compaction` it is `{"type": "summarize"}`. Needs the beta compact-2026-09-04.
        """
        self._loop.compact_next({"type": "summarize"} if compaction is None else compaction)

    # -- tools that run before the end of a reply --

    def _defer(self, tool_use: Any) -> None:
        if self._loop.eager is not None:
            self._loop.eager.hold(tool_use)

    def _deferred(self) -> list[Any]:
        return [] if self._loop.eager is None else self._loop.eager.held

    def _last(self) -> ParsedBetaMessage[T]:
        """Raises RuntimeError for a run that had no turn."""
        message: ParsedBetaMessage[T] | None = self._loop.last_message
        if message is None:
            raise RuntimeError("there is no message: the runner asked for none")
        return message


class _Watch:
    """How far a stream has come."""

    def __init__(self) -> None:
        self.finished_blocks = 0
        self.is_whole = False

    def take(self, event: Any) -> None:
        self.finished_blocks += event.type == "content_block_stop"
        self.is_whole |= event.type == "message_stop"

    @property
    def broke_off_after(self) -> int | None:
        """How many blocks are whole of a stream that broke off; None for a whole one."""
        return None if self.is_whole else self.finished_blocks


def _check_flavour(tool: Any, wants_async: bool) -> None:
    if not is_runnable(tool):
        return
    is_async = inspect.iscoroutinefunction(tool.call)
    if is_async and not wants_async:
        raise TypeError(f"{tool.name} is an async tool: it needs an AsyncClient's runner")
    if wants_async and not is_async:
        raise TypeError(f"{tool.name} is no async tool: make it with beta_async_tool, or use a Client's runner")


def _failed(run: Run, error: Exception) -> Json:
    if not isinstance(error, ToolError):
        logger.error("the tool %s failed", run.tool.name, exc_info=error)
    return results.failed(run.tool_use, error)


# -- for threads --


class _SyncRunner(_Runner[T, I]):
    _wants_async = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> I:
        item: I = next(self._items)
        return item

    def close(self) -> None:
        """End the run; no more is asked. A tool may call it too: the run then ends after the tool."""
        self._loop.is_closed = True
        if not (self._is_running_early or self._items.gi_running):
            self._items.close()

    def until_done(self) -> ParsedBetaMessage[T]:
        """Run to the end, if it is not over. The last message. Raises what a call does, RuntimeError without any."""
        for _ in self._items:
            pass
        return self._last()

    def generate_tool_call_response(self) -> Json | None:
        """The turn of tool results for the reply that is being handled, None where it calls no tool.

        The tools are run for it once; the runner sends these results if `append_messages()` is not called.
        """
        message = None if self._item is None else self._whole(self._item)
        response: Json | None = self._perform(self._loop.answer(message))
        return response

    def _run(self) -> Iterator[Any]:
        walk = Walk(self._loop.steps())
        try:
            while walk.step is not None:
                if isinstance(walk.step, Show):
                    self._item = walk.step.item
                    yield self._item
                    walk.done(None)
                else:
                    self._take(walk)
        finally:
            self._leave()

    def _perform(self, steps: Steps) -> Any:
        """Steps that show nothing; what they return."""
        walk = Walk(steps)
        while walk.step is not None:
            self._take(walk)
        return walk.result

    def _take(self, walk: Walk) -> None:
        try:
            came = self._do(walk.step)
        except Exception as error:
            walk.failed(error)
        else:
            walk.done(came)

    def _do(self, step: Step | None) -> Any:
        match step:
            case Ask(arguments):
                return self._ask(arguments)
            case Finish(item):
                return self._finish(item)
            case Run():
                return self._call(step)
            case _:
                raise AssertionError(step)

    def _call(self, run: Run) -> Json:
        try:
            return results.succeeded(run.tool_use, run.tool.call(run.tool_use.input))
        except Exception as error:
            return _failed(run, error)

    @abstractmethod
    def _ask(self, arguments: Json) -> Any:
        """What is shown: a message, or a stream of one."""

    @abstractmethod
    def _whole(self, item: Any) -> Any:
        """The message of what was shown."""

    @abstractmethod
    def _finish(self, item: Any) -> tuple[Any, int | None]: ...

    def _leave(self) -> None:
        """Let go of what is open."""


class BetaToolRunner(_SyncRunner[T, "ParsedBetaMessage[T]"]):
    """Iterate over it for each message, or let it run `until_done()`."""

    def _ask(self, arguments: Json) -> Any:
        return self._client.beta.messages.parse(**arguments)

    def _whole(self, item: Any) -> Any:
        return item

    def _finish(self, item: Any) -> tuple[Any, int | None]:
        return item, None


class BetaStreamingToolRunner(_SyncRunner[T, "BetaMessageStream[T]"]):
    """Iterate over it for the stream of each message; it reads what you leave of one."""

    _streams = True
    _manager: Any = None
    _watch: _Watch

    def defer_tool_call(self, tool_use: Any) -> None:
        """With `run_tools_eagerly`: hold a call back, by block or id, until you are done with the reply."""
        self._defer(tool_use)

    @property
    def deferred_tool_calls(self) -> list[Any]:
        """The calls that are held back, of those whose input is whole."""
        return self._deferred()

    def _ask(self, arguments: Json) -> Any:
        manager = self._client.beta.messages.stream(**arguments)
        stream = manager.__enter__()
        self._manager, self._watch = manager, _Watch()
        self._loop.eager = EagerCalls() if self._runs_early else None
        stream._events = self._watched(stream._events)
        return stream

    def _watched(self, events: Iterator[Any]) -> Iterator[Any]:
        """The events of a stream; between them, the calls that may run early."""
        may_run = None
        for event in events:  # read before the call is run, so that none runs where reading fails
            if may_run is not None:
                self._run_early(may_run)
            self._watch.take(event)
            may_run = self._loop.eager.take(event) if self._loop.eager is not None else None
            yield event

    def _run_early(self, tool_use: Any) -> None:
        self._is_running_early = True
        try:
            self._perform(self._loop.run_early(tool_use))
        finally:
            self._is_running_early = False

    def _whole(self, item: Any) -> Any:
        return item.get_final_message()

    def _finish(self, item: Any) -> tuple[Any, int | None]:
        message = item.get_final_message()
        self._leave()
        return message, self._watch.broke_off_after

    def _leave(self) -> None:
        manager, self._manager = self._manager, None
        if manager is not None:
            manager.__exit__(None, None, None)


# -- for asyncio --


class _AsyncRunner(_Runner[T, I]):
    _wants_async = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> I:
        if self._loop.is_closed and self._items.ag_running:
            raise StopAsyncIteration  # another task is closing it
        item: I = await anext(self._items)
        return item

    async def close(self) -> None:
        """End the run; no more is asked. A tool may call it too: the run then ends after the tool."""
        self._loop.is_closed = True
        if not (self._is_running_early or self._items.ag_running):
            await self._items.aclose()

    async def until_done(self) -> ParsedBetaMessage[T]:
        """Run to the end, if it is not over. The last message. Raises what a call does, RuntimeError without any."""
        async for _ in self._items:
            pass
        return self._last()

    async def generate_tool_call_response(self) -> Json | None:
        """The turn of tool results for the reply that is being handled, None where it calls no tool.

        The tools are run for it once; the runner sends these results if `append_messages()` is not called.
        """
        message = None if self._item is None else await self._whole(self._item)
        response: Json | None = await self._perform(self._loop.answer(message))
        return response

    async def _run(self) -> AsyncIterator[Any]:
        walk = Walk(self._loop.steps())
        try:
            while walk.step is not None:
                if isinstance(walk.step, Show):
                    self._item = walk.step.item
                    yield self._item
                    walk.done(None)
                else:
                    await self._take(walk)
        finally:
            await self._leave()

    async def _perform(self, steps: Steps) -> Any:
        """Steps that show nothing; what they return."""
        walk = Walk(steps)
        while walk.step is not None:
            await self._take(walk)
        return walk.result

    async def _take(self, walk: Walk) -> None:
        try:
            came = await self._do(walk.step)
        except Exception as error:
            walk.failed(error)
        else:
            walk.done(came)

    async def _do(self, step: Step | None) -> Any:
        match step:
            case Ask(arguments):
                return await self._ask(arguments)
            case Finish(item):
                return await self._finish(item)
            case Run():
                return await self._call(step)
            case _:
                raise AssertionError(step)

    async def _call(self, run: Run) -> Json:
        try:
            return results.succeeded(run.tool_use, await run.tool.call(run.tool_use.input))
        except Exception as error:
            return _failed(run, error)

    @abstractmethod
    async def _ask(self, arguments: Json) -> Any:
        """What is shown: a message, or a stream of one."""

    @abstractmethod
    async def _whole(self, item: Any) -> Any:
        """The message of what was shown."""

    @abstractmethod
    async def _finish(self, item: Any) -> tuple[Any, int | None]: ...

    async def _leave(self) -> None:
        """Let go of what is open."""


class BetaAsyncToolRunner(_AsyncRunner[T, "ParsedBetaMessage[T]"]):
    """Iterate over it for each message, or let it run `until_done()`."""

    async def _ask(self, arguments: Json) -> Any:
        return await self._client.beta.messages.parse(**arguments)

    async def _whole(self, item: Any) -> Any:
        return item

    async def _finish(self, item: Any) -> tuple[Any, int | None]:
        return item, None


class BetaAsyncStreamingToolRunner(_AsyncRunner[T, "BetaAsyncMessageStream[T]"]):
    """Iterate over it for the stream of each message; it reads what you leave of one."""

    _streams = True
    _manager: Any = None
    _watch: _Watch

    def defer_tool_call(self, tool_use: Any) -> None:
        """With `run_tools_eagerly`: hold a call back, by block or id, until you are done with the reply."""
        self._defer(tool_use)

    @property
    def deferred_tool_calls(self) -> list[Any]:
        """The calls that are held back, of those whose input is whole."""
        return self._deferred()

    async def _ask(self, arguments: Json) -> Any:
        manager = self._client.beta.messages.stream(**arguments)
        stream = await manager.__aenter__()
        self._manager, self._watch = manager, _Watch()
        self._loop.eager = EagerCalls() if self._runs_early else None
        stream._events = self._watched(stream._events)
        return stream

    async def _watched(self, events: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The events of a stream; between them, the calls that may run early."""
        may_run = None
        async for event in events:  # read before the call is run, so that none runs where reading fails
            if may_run is not None:
                await self._run_early(may_run)
            self._watch.take(event)
            may_run = self._loop.eager.take(event) if self._loop.eager is not None else None
            yield event

    async def _run_early(self, tool_use: Any) -> None:
        self._is_running_early = True
        try:
            await self._perform(self._loop.run_early(tool_use))
        finally:
            self._is_running_early = False

    async def _whole(self, item: Any) -> Any:
        return await item.get_final_message()

    async def _finish(self, item: Any) -> tuple[Any, int | None]:
        message = await item.get_final_message()
        await self._leave()
        return message, self._watch.broke_off_after

    async def _leave(self) -> None:
        manager, self._manager = self._manager, None
        if manager is not None:
            await manager.__aexit__(None, None, None)
