"""What the offline engine has to say, before limits and stop sequences cut it. Data only."""

from typing import Any

from msgspec import Struct

from dragoman.wire.tools import JsonObject
from dragoman.wire.types import OutputBlock, StopDetails, StopReason

__all__ = ["Part", "Reply", "Say", "Sum", "Think", "Use", "Whole", "is_refused"]


class Think(Struct, frozen=True):
    """A thinking block; `redacted`: one whose text nobody may read (MSG-77)."""

    text: str
    redacted: bool = False


class Say(Struct, frozen=True):
    """A text block of its own, with what it cites (MSG-99)."""

    text: str
    citations: tuple[JsonObject, ...] = ()


class Use(Struct, frozen=True, kw_only=True):
    """A call of a tool. `raw` is what streams instead of `input` where that is to be broken JSON (TOOL-40)."""

    name: str
    input: dict[str, Any]
    id: str | None = None  # None: a new one
    raw: str | None = None
    on_server: bool = False  # a `server_tool_use`, which the server itself has answered (TOOL-62)


class Whole(Struct, frozen=True):
    """A block that comes in one piece: the result of a server tool, a container upload (STR-25)."""

    block: OutputBlock


class Sum(Struct, frozen=True):
    """A compaction block: the summary that stands for the conversation from now on (MSG-117)."""

    text: str


Part = Think | Say | Use | Whole | Sum


class Reply(Struct, frozen=True, kw_only=True):
    """Blocks in order. Without a `stop_reason` it is `tool_use` when a client's tool is called, else `end_turn`."""

    parts: tuple[Part, ...]
    stop_reason: StopReason | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


def is_refused(reply: Reply) -> bool:
    """Refused before a word was said, which is not billed (MSG-115)."""
    return reply.stop_reason == "refusal" and not reply.parts
