"""What an engine is: a model in our own hands. It yields the same events that an adapter does.

Imports only `wire` and the error tree.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from msgspec import Struct

from dragoman.wire.events import Event
from dragoman.wire.headers import Headers
from dragoman.wire.models import Capability, Model
from dragoman.wire.types import CountTokensRequest, MessagesRequest

__all__ = ["Counted", "Engine", "Generation"]


class Generation(Struct, frozen=True, kw_only=True):
    """One request to an engine, validated, with what it needs to answer."""

    request: MessagesRequest
    model: Model
    message_id: str
    new_tool_id: Callable[[], str]  # `toolu_...`, never the same twice
    workspace_id: str = ""  # whose request it is: what is remembered between requests is never shared across them
    betas: Sequence[str] = ()
    headers: Headers = Headers()
    service_tier: str = "standard"  # "batch" for a request of a batch (BAT-13)


class Counted(Struct, frozen=True):
    """Input tokens of a request."""

    input_tokens: int
    original_input_tokens: int | None = None  # before `context_management` cleared some, where that was asked for


class Engine(Protocol):
    """A model of our own."""

    name: str
    supports: frozenset[Capability]  # what it can do, whatever the model it stands in for could (MOD-8, TOOL-72)

    async def count(self, request: CountTokensRequest, model: Model, *, workspace_id: str | None = None) -> Counted:
        """Input tokens of a request, exactly those that `generate` will report. Raises InvalidRequest."""
        ...

    def generate(self, generation: Generation) -> AsyncGenerator[list[Event], None]:
        """The events of the reply, through the block writer, in the lists in which they become ready.

        Raises ApiError, behind the first list only where somebody asked for that (a script), and CutOff likewise.
        Closing the iterator stops the work.
        """
        ...

    async def aclose(self) -> None:
        """Leave nothing behind, no thread and no process. Called once, when no request is under way."""
        ...
