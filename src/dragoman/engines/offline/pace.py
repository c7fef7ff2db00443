"""How a reply's events leave the offline engine: at a pace, and broken off where a script wants that.

Imports only `wire`, the error tree and this folder.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence

from msgspec import Struct

from dragoman.errors import ApiError, CutOff
from dragoman.wire.events import BlockDelta, BlockStart, BlockStop, Event, InputJsonDelta, TextDelta, ThinkingDelta

from . import tokens

__all__ = ["Break", "Pace", "paced"]

# Events that leave in one piece at most: about 32 KB, and less than a millisecond's work. Then others get their turn.
TOGETHER = 256
AT_ONCE = 32  # of a text's deltas that are made in one step, where nothing is to be waited for
TICK_S = 0.001  # as exactly as event loops wait


class Pace(Struct, frozen=True):
    """How quickly replies come: a model takes its time, and programs that wait for one want to be tested."""

    ttft_s: float = 0.0  # before the first event
    tokens_per_second: float | None = None  # None: as fast as they can be written
    between_s: float = 0.0  # between the events of blocks

    @property
    def is_timed(self) -> bool:
        """Events are due one after the other."""
        return self.tokens_per_second is not None or self.between_s > 0


class Break(Struct, frozen=True):
    """Where a reply breaks off, and how."""

    after: int  # events of blocks, counted from 1; a shorter reply breaks before its end
    error: ApiError | None  # None: the connection is cut


async def paced(
    ready: Iterable[list[Event]], pace: Pace, *, tokenizer: str, broken: Break | None = None
) -> AsyncGenerator[list[Event], None]:
    """The events when they are due, those that are due at the same time together.

    Raises ApiError or CutOff where they break off.
    """
    if pace.ttft_s:
        await asyncio.sleep(pace.ttft_s)
    walk = _Walk(pace, tokenizer)
    limit = None if broken is None else _Limit(broken.after)
    due: list[Event] = []
    for events in ready if not pace.between_s else _singly(ready):
        ahead_s = walk.step(events)
        if ahead_s > 0 or len(due) >= TOGETHER:
            if due:
                yield due
                due = []
            await asyncio.sleep(max(ahead_s, TICK_S) if ahead_s > 0 else 0)
        if limit is None:
            due += events
            continue
        due += limit.take(events)
        if limit.is_reached:
            break
    if due:
        yield due
    if broken is not None:
        raise broken.error or CutOff


def _singly(ready: Iterable[list[Event]]) -> Iterator[list[Event]]:
    return ([event] for events in ready for event in events)


class _Limit:
    """Lets the events of a reply through up to the `left`th that belongs to a block."""

    def __init__(self, left: int) -> None:
        self.is_reached = False
        self._left = left

    def take(self, events: Sequence[Event]) -> list[Event]:
        head = _head(events, self._left)
        self._left -= sum(map(_is_content, head))
        self.is_reached = len(head) < len(events) or (self._left == 0 and not _is_open(events))
        return head


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
        self._is_timed = pace.is_timed
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()  # when the events so far may be out

    def step(self, events: Sequence[Event]) -> float:
        """Seconds until what these events hold may be out; 0 or less: now."""
        if not self._is_timed:
            return 0.0
        self._due += self._pace.between_s * sum(map(_is_content, events))
        if self._pace.tokens_per_second is not None:
            size = sum(tokens.count(_words(event), self._tokenizer) for event in events)
            self._due += size / self._pace.tokens_per_second
        return self._due - self._loop.time()


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
