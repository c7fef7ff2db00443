"""The loop of a tool runner: what to do next, as a generator of steps; a driver does them and says what came. Pure.

SDK-61 to 66. `runner.py` has the two drivers.
"""

import logging
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dragoman.client.exceptions import AnthropicError, APIStatusError
from dragoman.client.given import is_given
from dragoman.client.guards import is_mapping

from . import changes
from .conversation import Conversation, is_same, to_param
from .eager import EagerCalls
from .results import not_found

__all__ = ["Ask", "Finish", "Loop", "Run", "Show", "Step", "Steps", "Walk", "is_runnable"]

logger = logging.getLogger(__name__)

Json = dict[str, Any]
OPTIONS = frozenset({"extra_headers", "extra_query", "extra_body", "timeout"})
HELPER = "x-stainless-helper"  # SDK-6

# What a turn's end means. All others end the run, those too that nobody knows yet; their tool calls are not run.
NEXT = {"tool_use": "run tools", "pause_turn": "resume", "compaction": "resume"}


# -- what a driver does --


@dataclass(frozen=True, slots=True)
class Ask:
    """Make this call. Comes back: the message, or its stream. APIStatusError is to be thrown in."""

    arguments: Json


@dataclass(frozen=True, slots=True)
class Show:
    """Hand it to whoever iterates over the runner. Nothing comes back."""

    item: Any


@dataclass(frozen=True, slots=True)
class Finish:
    """Read what is left of it. Comes back: the message, and how many of its blocks are whole if it broke off."""

    item: Any


@dataclass(frozen=True, slots=True)
class Run:
    """Call a tool. Its result block comes back, whatever happens."""

    tool: Any
    tool_use: Any


Step = Ask | Show | Finish | Run
Steps = Generator[Step, Any, Any]


class Walk:
    """A way through steps: `step` is the next one to do; at the end it is None, and `result` is what they return."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.step: Step | None = None
        self.result: Any = None
        self.done(None)

    def done(self, came: Any) -> None:
        self._go(lambda: self._steps.send(came))

    def failed(self, error: Exception) -> None:
        """Raises it, if the steps have no answer to it."""
        self._go(lambda: self._steps.throw(error))

    def _go(self, on: Callable[[], Step]) -> None:
        try:
            self.step = on()
        except StopIteration as end:
            self.step, self.result = None, end.value


class Loop:
    """One run. `tools` are functions as tools, and definitions; `params` the arguments of the calls otherwise."""

    def __init__(
        self,
        params: Mapping[str, Any],
        tools: Iterable[Any],
        *,
        options: Mapping[str, Any] | None = None,
        max_iterations: int | None = None,
    ) -> None:
        """Raises ValueError and TypeError for what a runner sets itself, AnthropicError for two output formats."""
        given = {name: value for name, value in {**params, **(options or {})}.items() if is_given(value)}
        is_threaded = given.pop("thread", None) is not False
        _refuse(params)
        tools = list(tools)
        fields = {name: value for name, value in given.items() if name not in OPTIONS}
        self._conversation = Conversation(fields, tools, is_threaded=is_threaded)
        self._options = _options(given, is_threaded=is_threaded)
        self._tools = {tool.name: tool for tool in tools if is_runnable(tool)}
        self._max_iterations = max_iterations
        self._iterations = 0
        self.is_closed = False
        self.eager: EagerCalls | None = None  # of the reply that streams, where calls run before its end
        self.last_message: Any = None

        # While a reply is handled: the history as the caller may change it, without that reply.
        self._sent: Sequence[Any] = ()
        self._edited: Sequence[Any] | None = None
        self._is_appended_to = False  # then the history is the caller's: neither reply nor results are added
        self._response: Json | None = None

        self._compaction: Any = None  # wanted before the next turn
        self._is_compacting = False
        self._changes: list[Json] = []  # of tools, which the model is still to be told

    # -- the steps of a run --

    def steps(self) -> Steps:
        stop_reason = None
        while not self._should_stop():
            if stop_reason != "pause_turn":  # such a turn is sent back as it is, with nothing after it
                self._tell_changes()
            if self._compaction is not None and NEXT.get(stop_reason or "") != "resume":
                yield from self._compact()
                continue
            self._sent = self._edited = self._conversation.messages
            message = yield from self._turn(self._conversation)
            stop_reason = message.stop_reason
            goes_on = yield from self._handle(message)
            self._iterations += 1
            if not goes_on:
                if self._may_compact(message):
                    yield from self._compact()
                return
            self._is_appended_to = False
            self._response = None

    def _should_stop(self) -> bool:
        is_last = self._max_iterations is not None and self._iterations >= self._max_iterations
        return self.is_closed or is_last

    def _turn(self, conversation: Conversation) -> Steps:
        conversation.begin()
        item = yield from self._ask(conversation)
        yield Show(item)
        self.last_message, finished_blocks = yield Finish(item)
        if finished_blocks is None:
            conversation.replied(self.last_message)
        else:
            conversation.broke_off(self.last_message, finished_blocks)
        return self.last_message

    def _ask(self, conversation: Conversation) -> Steps:
        while True:
            try:
                return (yield Ask(conversation.request(self._options)))
            except APIStatusError as error:
                if not conversation.recovers_from(error):
                    raise

    def _handle(self, message: Any) -> Steps:
        """Whether the run goes on."""
        next_step = NEXT.get(message.stop_reason or "")
        if next_step is not None:
            self._conversation.check_next()
        self._take_over(message)
        if next_step != "run tools":
            return next_step == "resume"
        if self._is_appended_to:  # the caller has answered
            return _has_calls(message)
        response = yield from self.answer(message)
        if response is not None:
            self._conversation.add_results(response)
        return response is not None

    def _take_over(self, reply: Any) -> None:
        """The history as the caller left it becomes the conversation's."""
        messages, self._edited = self._edited, None
        if messages is None or messages is self._sent:
            return
        self._conversation.set_messages(messages if self._is_appended_to else [*messages, to_param(reply)])

    # -- tools --

    def answer(self, message: Any) -> Steps:
        """The turn of tool results for a message, None where it calls no tool. Made once."""
        if self._response is None and message is not None and _has_calls(message):
            calls = [block for block in message.content if block.type == "tool_use"]
            results: list[Json] = []
            for call in calls:
                results.append((yield from self._result(call)))  # noqa: PERF401 (what comes back is awaited)
            self._response = {"role": "user", "content": results}
        return self._response

    def _result(self, tool_use: Any) -> Steps:
        if self.eager is not None and tool_use.id in self.eager.results:
            return self.eager.results[tool_use.id]
        tool = self._tool(tool_use)
        if tool is None:
            _warn_of(tool_use, self._tools)
            result = not_found(tool_use)
        else:
            result = yield Run(tool, tool_use)
        if self.eager is not None:
            self.eager.record(tool_use, result)
        return result

    def run_early(self, tool_use: Any) -> Steps:
        """A call of a reply that is not over yet. A tool that is not there is answered for at the end."""
        assert self.eager is not None
        tool = self._tool(tool_use)
        if tool is not None and not self.eager.is_held(tool_use):
            self.eager.record(tool_use, (yield Run(tool, tool_use)))

    def _tool(self, tool_use: Any) -> Any:
        if getattr(tool_use, "toolset_name", None) is not None or tool_use.name not in self._available():
            return None
        return self._tools.get(tool_use.name)

    def _available(self) -> set[str]:
        messages = self._conversation.messages if self._edited is None else self._edited
        return changes.available(self._tools, [*messages, {"role": "system", "content": self._changes}])

    def add_tools(self, tools: Iterable[Any]) -> None:
        for tool in tools:
            if is_mapping(tool):  # the API's own, or the caller's to run
                self._tools.pop(str(tool.get("name")), None)
                self._changes.append(changes.addition(dict(tool)))
            else:
                self._tools[tool.name] = tool
                self._changes.append(changes.addition(tool.to_dict()))

    def remove_tools(self, tools: Iterable[Any]) -> None:
        for tool in tools:
            name = tool if isinstance(tool, str) else tool.name
            self._tools.pop(name, None)
            self._changes.append(changes.removal(name))

    def _tell_changes(self) -> None:
        if self._changes:
            self._conversation.append([{"role": "system", "content": self._changes}])
            self._changes = []

    # -- what the caller changes --

    @property
    def params(self) -> Json:
        """The arguments of one call for all of the conversation; without the reply that is being handled."""
        params = self._conversation.params
        return params if self._edited is None else params | {"messages": list(self._edited)}

    def set_params(self, params: Mapping[str, Any] | Callable[[Json], Mapping[str, Any]]) -> None:
        """Raises TypeError and ValueError for what a runner sets itself."""
        current = self.params
        given = params(current) if callable(params) else params
        new = {**_kept(current, given), **given}
        _refuse(new)
        if self._is_compacting and not _are_same(new["messages"], self._conversation.messages):
            raise ValueError(_WHILE_COMPACTING)
        if self._is_compacting or self._compaction is not None:
            _check_can_compact(new)
        if self._edited is not None:
            self._edited = list(new["messages"])
            new["messages"] = self._conversation.messages
        before = _names(self._conversation.definitions)
        self._conversation.set_params(new)
        if "tools" in new:
            withdrawn = before - _names(self._conversation.definitions)
            self._tools = {name: tool for name, tool in self._tools.items() if name not in withdrawn}

    def append(self, messages: Iterable[Any]) -> None:
        """Raises ValueError while the conversation is being compacted."""
        if self._is_compacting:
            raise ValueError(_WHILE_COMPACTING)
        self._response = None
        if self._edited is None:
            self._conversation.append(messages)
        else:
            self._edited = [*self._edited, *map(to_param, messages)]
            self._is_appended_to = True

    # -- compaction --

    def compact_next(self, compaction: Any) -> None:
        """Raises ValueError where the API's own compaction is on."""
        if not self._is_compacting:
            _check_can_compact(self.params)
            self._compaction = compaction

    def _compact(self) -> Steps:
        """Asks for a summary, in a conversation apart, and goes on from it."""
        _check_can_compact(self.params)
        apart, compaction = self._conversation.fork(), self._compaction
        apart.fields = _for_compaction(apart.fields) | {"compaction": compaction}
        apart.output_format = None
        self._compaction, self._is_compacting = None, True
        last = self.last_message
        try:
            message = yield from self._turn(apart)
        finally:
            self._is_compacting = False
        if not apart.is_threaded:
            self._conversation.stop_threading()
        if not any(block.type == "compaction" and block.content for block in message.content):
            self.last_message = last  # there is no summary: the conversation stays as it is
            return
        self._tools = {name: tool for name, tool in self._tools.items() if name in self._available()}
        self._conversation.set_messages([to_param(message)])

    def _may_compact(self, message: Any) -> bool:
        """A conversation that ends with calls nobody answered cannot be compacted."""
        if self._compaction is not None and not self._is_appended_to and _has_calls(message):
            logger.warning("not compacted: the last turn calls tools, and nobody answered them")
            self._compaction = None
        return self._compaction is not None


_WHILE_COMPACTING = "the messages are being compacted, and what comes takes their place: change them afterwards"


def is_runnable(tool: Any) -> bool:
    """A function as a tool, of this package or of another Messages client."""
    return hasattr(tool, "to_dict") and callable(getattr(tool, "call", None))


def _options(given: Mapping[str, Any], *, is_threaded: bool) -> Json:
    options = {name: given[name] for name in OPTIONS & given.keys() if name == "timeout" or given[name] is not None}
    mark = "BetaToolRunner, message-thread" if is_threaded else "BetaToolRunner"
    return options | {"extra_headers": {HELPER: mark, **(options.get("extra_headers") or {})}}


def _refuse(params: Mapping[str, Any]) -> None:
    compaction, thread = params.get("compaction"), params.get("thread")
    if compaction is not None and is_given(compaction):
        raise ValueError(
            "`compaction` in a runner's params would compact each request: call compact_before_next_turn()"
        )
    if thread is not None and thread is not False and is_given(thread):
        raise TypeError(f"`thread` is set by the runner itself; pass thread=False to do without, not {thread!r}")
    config, output_format = params.get("output_config"), params.get("output_format")
    if output_format is not None and is_given(output_format) and is_mapping(config) and config.get("format"):
        raise AnthropicError("give output_format or output_config['format'], not both")


def _kept(current: Mapping[str, Any], given: Mapping[str, Any]) -> Json:
    """What stays although new params do not have it: it says for whom the calls are."""
    names = {"betas", "user_profile_id", "workspace_id"}
    if "billing_policy" in current and "billing_policy" not in given:
        names.discard("user_profile_id")
    return {name: current[name] for name in names & current.keys()}


def _are_same(some: Iterable[Any], others: Sequence[Any]) -> bool:
    some = list(some)
    return len(some) == len(others) and all(is_same(*pair) for pair in zip(some, others, strict=True))


def _names(definitions: Iterable[Any]) -> set[str]:
    return {str(definition.get("name")) for definition in definitions if definition.get("name")}


def _has_calls(message: Any) -> bool:
    return any(block.type == "tool_use" for block in message.content)


def _warn_of(tool_use: Any, tools: Iterable[str]) -> None:
    warnings.warn(
        f"the model called {tool_use.name!r}, which is none of the runner's tools ({', '.join(tools) or 'none'}). "
        "It is told so. Pass the tool as a function with @beta_tool, or answer by append_messages().",
        UserWarning,
        stacklevel=4,
    )


def _check_can_compact(params: Mapping[str, Any]) -> None:
    management = params.get("context_management")
    edits = management.get("edits") if is_mapping(management) else None
    if any(edit["type"].startswith("compact_") for edit in edits or ()):
        raise ValueError("compact_before_next_turn() cannot stand beside a compaction edit in `context_management`")


def _for_compaction(fields: Mapping[str, Any]) -> Json:
    """A summary is no reply, so the API refuses with it what says how a reply is to be."""
    kept = {name: value for name, value in fields.items() if name not in ("context_management", "stop_sequences")}
    choice = kept.get("tool_choice")
    if isinstance(choice, Mapping) and choice["type"] in ("any", "tool"):
        del kept["tool_choice"]
    if kept.get("output_config"):
        kept["output_config"] = _without_format(kept["output_config"])
    fallbacks = kept.get("fallbacks")
    if fallbacks and not isinstance(fallbacks, str):
        kept["fallbacks"] = [
            {**each, "output_config": _without_format(each["output_config"])} if each.get("output_config") else each
            for each in fallbacks
        ]
    return kept


def _without_format(config: Mapping[str, Any]) -> Json:
    return {name: value for name, value in config.items() if name != "format"}
