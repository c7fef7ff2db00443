"""What an adapter is: the translation between the Messages format and one dialect, as pure functions of bytes.

An adapter never sends, retries, logs or counts. Imports only `wire` and the error tree.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from msgspec import Struct

from dragoman.errors import ApiError
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers
from dragoman.wire.types import MessagesRequest, Usage

__all__ = [
    "STREAM_TYPES",
    "Adapter",
    "Answered",
    "Capabilities",
    "Count",
    "CountsApart",
    "Dialect",
    "ErrorReply",
    "Operation",
    "Question",
    "Reading",
    "StreamReader",
    "Target",
    "TellsDelay",
    "Translated",
    "Translator",
    "UpstreamRequest",
]


# What a streamed reply is declared to be: server-sent events, or AWS's frames.
STREAM_TYPES = ("text/event-stream", "application/vnd.amazon.eventstream")


class Operation(Enum):
    """What is asked of a model; the value is the path that asks it."""

    MESSAGES = "/v1/messages"
    COUNT_TOKENS = "/v1/messages/count_tokens"


class Capabilities(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a host takes of its dialect, beyond what all take or short of it: data, a row of hosts.toml.

    The defaults are for a server of which nothing is known. A pattern is looked for in a model's name; the empty one
    is in none.
    """

    # -- fields of a request --
    top_k: bool = False  # beside temperature
    user: bool = True
    service_tier: str = "default"  # what `standard_only` is called there; empty: there are no tiers
    stream_usage: bool = True  # knows `stream_options`
    only_streams: bool = False  # is asked for whole replies as a stream too: else it works on when the caller has gone
    parallel_calls: bool = True  # knows `parallel_tool_calls`
    strict: bool = True  # knows `strict` of functions and formats
    # Whether it tells the stop sequence that it met, or at a word (`verbose`); None: they are looked for in what comes.
    tells_stop: Literal["yes", "verbose"] | None = None
    # The one field for the limit; None: by the model's name.
    limit: Literal["max_tokens", "max_completion_tokens"] | None = None
    fixed_sampling: str = ""  # models that refuse temperature and top_p, beside those that are known by name
    # Which forms of `tool_choice`: all, those that are a word, or none, so that nothing can be forced or forbidden.
    tool_choice: Literal["all", "words", "none"] = "all"
    # The forms of `response_format`: a schema, or only "some JSON", with the schema in the system prompt.
    formats: Literal["json_schema", "json_object"] = "json_schema"
    format_beside_tools: bool = True
    responses: bool = False  # has OpenAI's other dialect at the same address, where tools and effort go together
    web_search: bool = False  # has a tool in its dialect with which it searches the web itself

    # -- messages --
    names: str = "[a-zA-Z0-9_-]{1,64}"  # what the whole name of a tool must be
    short_ids: bool = False  # ids of calls are nine letters or digits
    files: bool = True  # PDFs, as parts of a message
    image_urls: bool = True  # images by address
    system_turns: bool = False  # a system message may stand between others
    alternates: bool = False  # two messages of the user's side by side are refused
    user_after_results: bool = True  # a user's message may follow a tool's
    cache_control: str = ""  # models whose texts may bear the marks of the Messages API

    # -- thinking --
    # How thinking is asked for; None: as OpenAI's models are, those that are known by name; "none": in no way.
    effort: (
        Literal[
            "reasoning_effort", "reasoning", "enabled", "thinking", "enable_thinking", "chat_template_kwargs", "none"
        ]
        | None
    ) = None
    reasons: str = "."  # models that may be asked so; the rest is as it is
    efforts: tuple[str, ...] = ()  # values of `reasoning_effort`, the least first; empty: it takes none
    budget: str = ""  # the field for a budget of tokens; empty: there is none
    forced_thinking: bool = True  # a model that thinks may be made to call a tool
    parsed_thinking: str = ""  # models that tell thinking apart from text only if asked (`reasoning_format`)
    # Where in an assistant's message thinking goes back to the model that made it; None: nowhere.
    thinking_back: Literal["reasoning_content", "reasoning", "reasoning_details", "parts"] | None = None
    keep_thinking: bool = False  # what goes back is read if `clear_thinking: false` says so
    thinking_missed: bool = False  # an assistant's message with no thinking is refused

    # -- a message that the assistant has begun --
    # How it is gone on with; None: it is not.
    prefill: Literal["plain", "prefix", "partial", "continue_final_message"] | None = None
    prefill_path: str = ""  # what stands before the path then
    prefill_echoed: bool = False  # the reply begins with it again

    # -- counts --
    # A path that counts the tokens of a request, and how it is asked; None: there is none.
    count: Literal["input_tokens", "tokenize"] | None = None
    truncates: bool = False  # reads the end of a prompt that is too long for it, and says nothing


class Target(Struct, frozen=True, kw_only=True):
    """Who answers: a provider, a model of its, and the key for it."""

    provider: str  # its name in the configuration
    model: str  # as the provider calls it
    base_url: str  # without a slash at the end
    api_key: str | None
    auth: Literal["x-api-key", "bearer", "aws", "google"]  # the last two: the gateway signs what an adapter prepared
    can: Capabilities = Capabilities()

    def __repr__(self) -> str:  # never with the key
        return f"Target({self.provider}/{self.model})"


class UpstreamRequest(Struct, frozen=True, kw_only=True):
    """One HTTP POST to a provider."""

    url: str
    headers: list[tuple[str, str]]
    body: bytes
    lost: Sequence[str] = ()  # what an adapter left out, by the names of the Messages API, each once
    # The reply comes as a stream, of which no more is to be read than its message, also for a caller who wants it whole
    streamed: bool = False

    def __repr__(self) -> str:  # never with the key
        return f"UpstreamRequest({self.url}, {len(self.body)} bytes)"


class Answered(Struct, frozen=True, kw_only=True):
    """A whole reply, read: the bytes for the caller, and what the ledger wants to know."""

    body: bytes
    usage: Usage | None
    stop_reason: str | None = None


class ErrorReply(NamedTuple):
    """A reply that is an error, in the API's envelope."""

    status: int
    body: bytes


class StreamReader(Protocol):
    """Reads one streamed reply: provider's bytes in, SSE bytes of whole Messages events out.

    Never hands out half an event: what is out can always be followed by another event.
    """

    has_content: bool  # an event that commits us has been seen: content, the end, or an error
    is_done: bool  # message_stop or an error has been seen
    error: bytes | None  # the envelope of the error event, if one was seen
    failed_first: bool  # it came before any content
    stop_reason: str | None  # once it was told
    failure: (
        ApiError | None
    )  # what follows the events that were handed out last: no stream of this dialect, or an error

    @property
    def usage(self) -> Usage | None:
        """As far as it was told."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Raises UpstreamFailed for bytes that are no stream of this dialect, ApiError for an error in its place."""
        ...

    def close(self) -> bytes:
        """The body has ended: what there is still to say. Raises UpstreamFailed when the message is not whole."""
        ...


class Reading(Protocol):
    """What is made of the reply to one request."""

    def read(self, operation: Operation, body: bytes) -> Answered:
        """A whole reply of status 200. Raises UpstreamFailed for bytes that are none."""
        ...

    def stream(self) -> StreamReader:
        """A reader for one streamed reply."""
        ...


class Adapter(Reading, Protocol):
    """A dialect that is the Messages API itself: requests go through it unparsed, and any reply is read alike."""

    name: str

    def prepare(self, operation: Operation, envelope: Envelope, headers: Headers, *, target: Target) -> UpstreamRequest:
        """The provider's request. Raises CannotCarry for one that the dialect cannot carry."""
        ...

    def read_error(self, status: int, body: bytes, *, request_id: str) -> ErrorReply:
        """A reply that is an error, as the caller gets it; `request_id` is for an envelope that has none."""
        ...


class Question(Struct, frozen=True, kw_only=True):
    """A request that was parsed and checked, and what the reply to it needs."""

    request: MessagesRequest
    target: Target
    message_id: str
    input_tokens: int  # our estimate: message_start tells it, the provider's own count corrects it at the end
    new_tool_id: Callable[[], str]


class Translated(Reading, Protocol):
    """A request in another dialect."""

    @property
    def request(self) -> UpstreamRequest: ...

    @property
    def lost(self) -> Sequence[str]:
        """What the dialect cannot carry, by the names of the Messages API, each once."""
        ...

    def refusal(self, status: int, body: bytes) -> ApiError:
        """What a reply with an error status means."""
        ...


class Count(Struct, frozen=True, kw_only=True):
    """How a provider is asked for the tokens of a request: the answer is a JSON object with the number in `field`."""

    request: UpstreamRequest
    field: str


@runtime_checkable
class CountsApart(Protocol):
    """An adapter whose provider counts tokens in a way of its own, and not those of every model."""

    def count(self, envelope: Envelope, headers: Headers, *, target: Target) -> Count:
        """Raises as `prepare` does."""
        ...


@runtime_checkable
class TellsDelay(Protocol):
    """An adapter whose provider tells in an error's body, and in no header, when to ask again."""

    def retry_after(self, body: bytes) -> int | None:
        """In whole seconds; None where it does not say."""
        ...


class Translator(Protocol):
    """Another dialect: requests are translated, and the reply to each is read in its own way."""

    name: str

    def translate(self, question: Question) -> Translated:
        """Raises CannotCarry for what can neither be carried nor left out."""
        ...

    def count(self, question: Question) -> Count | None:
        """None where the provider counts nothing before it answers. Raises as `translate` does."""
        ...


class Dialect(Struct, frozen=True, kw_only=True):
    """What a provider speaks: with all its models the same, or with some the Messages API and with others its own."""

    name: str
    adapter: Adapter | None = None
    translator: Translator | None = None
    passes: Callable[[str], bool] | None = None  # whether a model is asked through `adapter`, where there are both

    def speaker(self, model: str) -> "tuple[Adapter | None, Translator | None]":
        """One of the two for a model, by the provider's name for it."""
        if self.adapter is None or self.translator is None or self.passes is None:
            return self.adapter, self.translator
        return (self.adapter, None) if self.passes(model) else (None, self.translator)
