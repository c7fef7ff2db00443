"""How a reply's events leave the offline engine: at a pace, and broken off where a script wants that.

Imports only `wire`, the error tree and this folder.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence

from msgspec import Struct

from dragoman.errors import ApiError, CutOff
from dragoman.wire.events import BlockDelta, BlockStart, BlockStop, Event, InputJsonDelta, TextDelta, ThinkingDelta

from . import tokens

__all__ = ["Break", "Pace", "paced"]


TURNS = 100  # lists of events after which other requests get their turn


class Pace(Struct, frozen=True):
    """How quickly replies come: a model takes its time, and programs that wait for one want to be tested."""

    ttft_s: float = 0.0  # before the first event
    tokens_per_second: float | None = None  # None: as fast as they can be written
    between_s: float = 0.0  # between the events of blocks


class Break(Struct, frozen=True):
    """Where a reply breaks off, and how."""

    after: int  # events of blocks, counted from 1; a shorter reply breaks before its end
    error: ApiError | None  # None: the connection is cut


async def paced(
    ready: Iterable[list[Event]], pace: Pace, *, tokenizer: str, broken: Break | None = None
) -> AsyncGenerator[list[Event], None]:
    """The events when they are due. Raises ApiError or CutOff where they break off."""
    if pace.ttft_s:
        await asyncio.sleep(pace.ttft_s)
    walk = _Walk(pace, tokenizer)
    left = broken.after if broken else None
    for number, events in enumerate(ready):
        if number % TURNS == TURNS - 1:
            await asyncio.sleep(0)  # a long reply without a pace: others want their turn
        for part in _split(events, pace):
            await walk.keep_up(part)
            if broken is not None and left is not None:
                head = _head(part, left)
                left -= sum(map(_is_content, head))
                if head:
                    yield head
                if len(head) < len(part) or (left == 0 and not _is_open(part)):
                    raise broken.error or CutOff
            else:
                yield part
    if broken is not None:
        raise broken.error or CutOff


def _split(events: list[Event], pace: Pace) -> Iterable[list[Event]]:
    return [[event] for event in events] if pace.between_s else [events]


def _head(events: Sequence[Event], limit: int) -> list[Event]:
    """The events up to the `limit`th that belongs to a block."""
    head: list[Event] = []
    for event in events:
        if _is_content(event):
            if limit == 0:
                break
            limit -= 1
        head.append(event)
    return head


def _is_content(event: Event) -> bool:
    return isinstance(event, BlockStart | BlockDelta | BlockStop)


def _is_open(events: Sequence[Event]) -> bool:
    """Whether nothing of a block was among these yet."""
    return not any(map(_is_content, events))


class _Walk:
    """Keeps a reply to its pace."""

    def __init__(self, pace: Pace, tokenizer: str) -> None:
        self._pace = pace
        self._tokenizer = tokenizer
        self._due = asyncio.get_running_loop().time()  # when the events so far may be out

    async def keep_up(self, events: Sequence[Event]) -> None:
        """Wait until what these events hold may be out."""
        self._due += self._pace.between_s * sum(map(_is_content, events))
        if self._pace.tokens_per_second is not None:
            size = sum(tokens.count(_words(event), self._tokenizer) for event in events)
            self._due += size / self._pace.tokens_per_second
        ahead = self._due - asyncio.get_running_loop().time()
        if ahead > 0:
            await asyncio.sleep(ahead)


def _words(event: Event) -> str:
    """What a model would have had to write for this event."""
    match event:
        case BlockDelta(delta=TextDelta(text=text)):
            return text
        case BlockDelta(delta=ThinkingDelta(thinking=text)):
            return text
        case BlockDelta(delta=InputJsonDelta(partial_json=text)):
            return text
        case _:
            return ""
