"""What an adapter is: the translation between the Messages format and one dialect, as pure functions of bytes.

An adapter never sends, retries, logs or counts. Imports only `wire` and the error tree.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Literal, Protocol

from msgspec import Struct

from dragoman.errors import ApiError
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers
from dragoman.wire.types import MessagesRequest, Usage

__all__ = [
    "Adapter",
    "Answered",
    "Operation",
    "Question",
    "Reading",
    "StreamReader",
    "Target",
    "Translated",
    "Translator",
    "UpstreamRequest",
]


class Operation(Enum):
    """What is asked of a model; the value is the path that asks it."""

    MESSAGES = "/v1/messages"
    COUNT_TOKENS = "/v1/messages/count_tokens"


class Target(Struct, frozen=True, kw_only=True):
    """Who answers: a provider, a model of its, and the key for it."""

    provider: str  # its name in the configuration
    model: str  # as the provider calls it
    base_url: str  # without a slash at the end
    api_key: str | None
    auth: Literal["x-api-key", "bearer"]

    def __repr__(self) -> str:  # never with the key
        return f"Target({self.provider}/{self.model})"


class UpstreamRequest(Struct, frozen=True, kw_only=True):
    """One HTTP POST to a provider."""

    url: str
    headers: list[tuple[str, str]]
    body: bytes

    def __repr__(self) -> str:  # never with the key
        return f"UpstreamRequest({self.url}, {len(self.body)} bytes)"


class Answered(Struct, frozen=True, kw_only=True):
    """A whole reply, read: the bytes for the caller, and what the ledger wants to know."""

    body: bytes
    usage: Usage | None


class StreamReader(Protocol):
    """Reads one streamed reply: provider's bytes in, SSE bytes of whole Messages events out.

    Never hands out half an event: what is out can always be followed by another event.
    """

    has_content: bool  # an event that commits us has been seen: content, the end, or an error
    is_done: bool  # message_stop or an error has been seen
    error: bytes | None  # the envelope of the error event, if one was seen
    failed_first: bool  # it came before any content
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
        """The provider's request. Raises InvalidRequest for one that the dialect cannot carry."""
        ...

    def read_error(self, status: int, body: bytes, *, request_id: str) -> bytes:
        """The envelope of a reply that is an error; `request_id` is for one that has none."""
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


class Translator(Protocol):
    """Another dialect: requests are translated, and the reply to each is read in its own way."""

    name: str

    def translate(self, question: Question) -> Translated:
        """Raises InvalidRequest for what can neither be carried nor left out."""
        ...
