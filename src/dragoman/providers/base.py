"""What an adapter is: the translation between the Messages format and one dialect, as pure functions of bytes.

An adapter never sends, retries, logs or counts. Imports only `wire` and the error tree.
"""

from enum import Enum
from typing import Literal, Protocol

from msgspec import Struct

from dragoman.errors import UpstreamFailed
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers
from dragoman.wire.types import Usage

__all__ = ["Adapter", "Answered", "Operation", "StreamReader", "Target", "UpstreamRequest"]


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
    failure: UpstreamFailed | None  # what is behind the events that were handed out last is no stream of this dialect

    @property
    def usage(self) -> Usage | None:
        """As far as it was told."""
        ...

    def feed(self, chunk: bytes) -> bytes:
        """Raises UpstreamFailed for bytes that are no stream of this dialect."""
        ...


class Adapter(Protocol):
    """One dialect."""

    name: str

    def prepare(self, operation: Operation, envelope: Envelope, headers: Headers, *, target: Target) -> UpstreamRequest:
        """The provider's request. Raises InvalidRequest for one that the dialect cannot carry."""
        ...

    def read(self, operation: Operation, body: bytes) -> Answered:
        """A whole reply of status 200. Raises UpstreamFailed for bytes that are none."""
        ...

    def read_error(self, status: int, body: bytes, *, request_id: str) -> bytes:
        """The envelope of a reply that is an error; `request_id` is for one that has none."""
        ...

    def stream(self) -> StreamReader:
        """A reader for one streamed reply."""
        ...
