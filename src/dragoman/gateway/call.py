"""What goes into the pipeline and what comes out of it: a call, its reading, an answer. Data only."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from dragoman.providers.base import Operation
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers, Version, betas, refuse_unknown, version

from .auth.auth import Principal

__all__ = ["Answer", "Asked", "Call", "Stream", "Write"]

Write = Callable[[bytes], bool]  # sends a piece of a stream without waiting; False: it did not take it


class Call(Struct, frozen=True, kw_only=True):
    """One HTTP request that asks something of a model, as the edge has read it."""

    operation: Operation
    headers: Headers
    body: bytes
    request_id: str
    arrived: float  # monotonic seconds
    address: str | None = None  # of the caller, as far as it is known
    batched_for: Principal | None = None  # whose request it is, of a batch: known since the batch was made

    @property
    def kind(self) -> str:
        """What the ledger calls it."""
        return self.operation.value if self.batched_for is None else "batch"


class Asked(Struct, frozen=True, kw_only=True):
    """A call whose headers and envelope have been read, and who makes it."""

    call: Call
    principal: Principal
    version: Version
    betas: tuple[str, ...]
    envelope: Envelope
    model: str
    stream: bool
    left_out: tuple[str, ...] = ()  # types of blocks that were taken out of it, for the model that answers

    @classmethod
    def read(cls, call: Call, principal: Principal, *, refuse_unknown_betas: bool) -> "Asked":
        """Raises InvalidRequest, in the order of MSG-32: version, betas, JSON, model."""
        asked_version = call.headers.once(version)
        asked_betas = call.headers.once(betas)
        if refuse_unknown_betas:
            refuse_unknown(asked_betas)
        envelope = Envelope(call.body)
        return cls(
            call=call,
            principal=principal,
            version=asked_version,
            betas=asked_betas,
            envelope=envelope,
            model=envelope.model(),
            stream=call.operation is Operation.MESSAGES and envelope.stream(),
        )


class Stream(Protocol):
    """What an async generator of bytes is, too: pieces to be iterated once, and closed whether or not they were."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    def __anext__(self) -> Awaitable[bytes]: ...
    def aclose(self) -> Awaitable[None]: ...


class Answer(Struct, kw_only=True):
    """What a target answered: bytes, or a stream of them that has begun and cannot turn into an error status.

    Each piece of `stream` is whole events, so a ping may go between any two.
    """

    status: int = 200
    headers: list[tuple[str, str]] = []
    request_id: str | None = None  # an upstream's own, which takes the place of ours: its support asks for it
    body: bytes = b""
    stream: Stream | None = None
    media_type: str | None = None  # of a `stream` that is no event stream: then it is sent as it is, without pings
    lost: Callable[[], None] | None = None  # called when it did not reach the caller whole
