"""A conversation as a tool runner holds it: the history, what the server holds of it, and what to send next. Pure.

By a message thread the server keeps the history, and a request brings only what is new (SDK-63 to 65). Where the server
has no threads, or has lost this one, everything is sent again; the runner's user sees no difference.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from dragoman.client.exceptions import AnthropicError, APIStatusError
from dragoman.client.given import is_given
from dragoman.client.guards import is_list, is_mapping, is_object
from dragoman.client.record import encode

__all__ = ["Conversation", "as_sent", "is_same", "to_param"]

Json = dict[str, Any]
THREADS_BETA = "message-threads-2026-08-12"
FIXED = ("system", "tools")  # what a thread keeps from its first request: later ones must not bring it
LOST = frozenset({"thread_not_found", "thread_already_continued", "thread_continue_in_flight"})
UNSUPPORTED = "thread_unsupported_request"
NO_FIELDS = frozenset({"messages", "tools", "output_format", "thread", "stream"})


# -- where the next request stands on a thread --


@dataclass(frozen=True, slots=True)
class Off:
    """There is no thread, and there was none."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The server cannot keep this conversation: everything is sent each time."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """The next request begins a thread, with all of the history."""

    after_loss: bool = False  # the server did not find the one before


@dataclass(frozen=True, slots=True)
class Begun:
    """A request has gone out that begins a thread; it is begun when the reply comes."""

    fixed: Json
    after_loss: bool


@dataclass(frozen=True, slots=True)
class At:
    """The server holds all up to a reply; the next request brings what follows."""

    message_id: str
    fixed: Json
    after_loss: bool  # this is the first request on the thread that took a lost one's place


Position = Off | GivenUp | Fresh | Begun | At


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A message of the history."""

    param: Any
    reply: Any = None  # the message that came from the server, where it is one
    is_partial: bool = False  # its stream broke off


class Conversation:
    """`fields` are the request's, without messages and tools. `tools` are as given: functions, or definitions."""

    def __init__(self, params: Mapping[str, Any], tools: Iterable[Any], *, is_threaded: bool) -> None:
        self.fields: Json = {}
        self.tools: list[Any] | None = None
        self.output_format: Any = None
        self._stored: list[Entry] = []  # a request brought them, and a reply came
        self._staged: list[Entry] = []  # for the next request
        self._position: Position = Fresh() if is_threaded else Off()
        self.set_params({**params, "tools": tools})

    # -- history --

    @property
    def messages(self) -> tuple[Any, ...]:
        return tuple(entry.param for entry in (*self._stored, *self._staged))

    def append(self, messages: Iterable[Any]) -> None:
        """For the next request."""
        self._staged += [Entry(to_param(message)) for message in messages]

    def _repeats_reply(self, param: Any) -> bool:
        """Whether this is a copy of the reply that it would follow."""
        entries = self._staged or self._stored
        return bool(entries) and entries[-1].reply is not None and is_same(param, entries[-1].param)

    @property
    def _last_reply(self) -> Any:
        return next(
            (entry.reply for entry in reversed((*self._stored, *self._staged)) if entry.reply is not None), None
        )

    def set_messages(self, messages: Iterable[Any]) -> None:
        """A history that goes on from what the server holds is staged; any other begins a new thread.

        A reply that is there already may stand in it once more.
        """
        params = [to_param(message) for message in messages]
        if not _begins_with(params, [entry.param for entry in self._stored]):
            self._stored = []
            if self.is_threaded:
                self._position = Fresh()
        self._staged = []
        for param in params[len(self._stored) :]:
            if not self._repeats_reply(param):
                self._staged.append(Entry(param))

    def add_results(self, results: Any) -> None:
        """The turn of tool results stands right after the last reply, where the API wants it."""
        messages = list(self.messages)
        last = max(number for number, message in enumerate(messages) if message["role"] == "assistant")
        self.set_messages([*messages[: last + 1], results, *messages[last + 1 :]])

    # -- parameters --

    @property
    def params(self) -> Json:
        """As arguments of one request for everything. A new dictionary each time."""
        params: Json = {**self.fields, "messages": list(self.messages)}
        if self.tools is not None:
            params["tools"] = self.definitions
        if self.output_format is not None:
            params["output_format"] = self.output_format
        return params

    @property
    def definitions(self) -> list[Any]:
        """The `tools` to send; read again for each request, so that a change of a tool is seen."""
        return [tool.to_dict() if hasattr(tool, "to_dict") else tool for tool in self.tools or ()]

    def set_params(self, params: Mapping[str, Any]) -> None:
        """What `params` does not have is sent no more, but for the container that the last reply ran in."""
        given = {name: value for name, value in params.items() if is_given(value)}
        self.fields = {name: value for name, value in given.items() if name not in NO_FIELDS}
        self._stay_in_container(self._last_reply)
        self.tools = list(given["tools"]) if "tools" in given else None
        self.output_format = given.get("output_format")
        self.set_messages(given["messages"])

    def fork(self) -> "Conversation":
        """A conversation of its own with the same history, which no thread of the server holds yet."""
        new = Conversation.__new__(Conversation)
        new.fields, new.tools, new.output_format = dict(self.fields), self.tools, self.output_format
        new._stored, new._staged = list(self._stored), list(self._staged)
        new._position = Fresh() if self.is_threaded else self._position
        return new

    # -- threads --

    @property
    def is_threaded(self) -> bool:
        return not isinstance(self._position, Off | GivenUp)

    def stop_threading(self) -> None:
        if self.is_threaded:
            self._position = GivenUp()

    def recovers_from(self, error: APIStatusError) -> bool:
        """Whether to ask again, after a refusal that has to do with the thread alone. SDK-64."""
        code = error.error_code
        if code in LOST and isinstance(self._position, At):
            if code == "thread_not_found" and self._position.after_loss:
                self._position = GivenUp()  # lost twice: this server keeps none
            else:
                self._position = Fresh(after_loss=code == "thread_not_found")
            return True
        if code == UNSUPPORTED and self.is_threaded:
            self._position = GivenUp()
            return True
        return False

    def check_next(self) -> None:
        """Raises AnthropicError for what the next request would be refused for: before any tool is run."""
        if isinstance(self._position, At):
            self._check_fixed(self._position)

    def _check_fixed(self, position: At) -> None:
        now = self._fixed()
        changed = [name for name in FIXED if now.get(name) != position.fixed.get(name)]
        if changed:
            raise AnthropicError(
                f"{' and '.join(changed)} cannot change during a run: the server keeps what its message thread began "
                "with. Use add_tools() and remove_tools(), or a runner with thread=False."
            )

    def _fixed(self) -> Json:
        """As it is sent: a copy, so that a change in place is seen."""
        params = self.fields | ({"tools": self.definitions} if self.tools is not None else {})
        return {name: as_sent(params[name]) for name in FIXED if name in params}

    # -- requests and replies --

    def begin(self) -> None:
        """A reply that broke off, with nothing after it, is asked for again: what it answered is staged once more."""
        if self._staged or not self._stored:
            return
        last = self._stored[-1]
        if last.reply is not None and not last.is_partial:
            return
        if last.is_partial:
            self._stored.pop()
        answered = self._answered
        self._staged = self._stored[answered:]
        del self._stored[answered:]

    @property
    def _answered(self) -> int:
        """How many stored messages there are up to the last reply."""
        return max((number for number, entry in enumerate(self._stored, 1) if entry.reply is not None), default=0)

    def request(self, options: Mapping[str, Any]) -> Json:
        """The arguments of a call. Raises AnthropicError where `system` or `tools` changed on a thread."""
        arguments: Json = {**self.fields, **options}
        if self.output_format is not None:
            arguments["output_format"] = self.output_format
        if self.tools is not None:
            arguments["tools"] = self.definitions
        staged = [entry.param for entry in self._staged]
        if not self.is_threaded:
            return arguments | {"messages": [*self._stored_again(), *staged]}
        _with_beta(arguments)
        if isinstance(self._position, At):
            self._check_fixed(self._position)
            for name in FIXED:
                arguments.pop(name, None)
            thread = {"type": "continue", "previous_message_id": self._position.message_id}
            return arguments | {"messages": staged, "thread": thread}
        assert isinstance(self._position, Fresh | Begun)
        self._position = Begun(self._fixed(), self._position.after_loss)
        return arguments | {"messages": [*self._stored_again(), *staged], "thread": {"type": "create"}}

    def _stored_again(self) -> list[Any]:
        """What a server without the thread must be told.

        `cache_control` was set for the request that brought it first, and a request takes but four: so it goes.
        """
        messages = [entry.param for entry in self._stored]
        if isinstance(self._position, Off):
            return messages
        answered = self._answered
        return [*(_without_cache_control(as_sent(each)) for each in messages[:answered]), *messages[answered:]]

    def replied(self, message: Any) -> None:
        """A whole reply has come. On a thread, a refused turn is no part of the history."""
        if message.stop_reason == "refusal" and not isinstance(self._position, Off):
            return
        self._store(Entry(to_param(message), reply=message))
        position = self._position
        if isinstance(position, Begun):
            self._position = At(message.id, position.fixed, position.after_loss)
        elif isinstance(position, At):
            self._position = At(message.id, position.fixed, after_loss=False)
        if isinstance(self._position, At) and _is_by_fallback(message):
            self._position = Fresh()  # the server keeps no turn that another model wrote
        self._stay_in_container(message)

    def broke_off(self, message: Any, finished_blocks: int) -> None:
        """A stream ended before its message did. The server holds all of it or nothing, so a new thread begins."""
        content = _usable(message.content, finished_blocks)
        if content:
            partial = message.model_copy(update={"content": content})
            self._store(Entry(to_param(partial), reply=partial, is_partial=True))
        else:
            self._store()
        if isinstance(self._position, At):
            self._position = Fresh()

    def _store(self, *replies: Entry) -> None:
        self._stored += [*self._staged, *replies]
        self._staged = []

    def _stay_in_container(self, reply: Any) -> None:
        """Server tools go on in the container that they ran in, unless the caller names one."""
        ran_in = getattr(reply, "container", None)
        if ran_in is None:
            return
        wanted = self.fields.get("container")
        if wanted is None:
            self.fields["container"] = ran_in.id
        elif is_mapping(wanted) and not wanted.get("id"):
            self.fields["container"] = {**wanted, "id": ran_in.id}


def _is_by_fallback(message: Any) -> bool:
    iterations = getattr(message.usage, "iterations", None)
    return any(getattr(each, "type", None) == "fallback_message" for each in iterations or ())


def _usable(content: Sequence[Any], finished: int) -> list[Any]:
    """The blocks of a broken stream that can be sent back: a tool's input or a signature cut short cannot."""
    usable = list(content[:finished])
    if finished < len(content) and content[finished].type == "text" and content[finished].text:
        usable.append(content[finished])
    return usable


def _with_beta(arguments: Json) -> None:
    """Ask for threads: in `betas`, and in the caller's own header, which would take its place."""
    betas: list[Any] = list(arguments.get("betas") or ())
    if THREADS_BETA not in betas:
        arguments["betas"] = [*betas, THREADS_BETA]
    headers: Mapping[str, Any] = arguments.get("extra_headers") or {}
    own = next((name for name in headers if name.lower() == "anthropic-beta" and isinstance(headers[name], str)), None)
    if own is not None and THREADS_BETA not in headers[own]:
        arguments["extra_headers"] = {**headers, own: f"{headers[own]},{THREADS_BETA}"}


# -- messages --


def to_param(message: Any) -> Any:
    """A message as it is sent back."""
    if is_mapping(message):
        return message
    return {"role": message.role, "content": list(message.content)}


def as_sent(value: Any) -> Any:
    """As it stands in a request's body: plain values, a copy."""
    return msgspec.json.decode(encode(value))


def is_same(one: Any, other: Any) -> bool:
    """Whether two messages are sent as the same: as records or dictionaries, given or received."""
    return one is other or (one["role"] == other["role"] and as_sent(one) == as_sent(other))


def _begins_with(messages: Sequence[Any], start: Sequence[Any]) -> bool:
    return len(messages) >= len(start) and all(is_same(*pair) for pair in zip(messages, start, strict=False))


# Keys under which blocks hold blocks; the others hold data of the caller's, such as a tool's input.
NESTED = frozenset({"content", "source", "tool", "definition", "tool_references"})


def _without_cache_control(value: Any) -> Any:
    if is_list(value):
        return [_without_cache_control(item) for item in value]
    if not is_object(value):
        return value
    kept = {name: item for name, item in value.items() if name != "cache_control"}
    return {name: _without_cache_control(item) if name in NESTED else item for name, item in kept.items()}
