"""The prompt cache of the offline engine: which prefixes were written, and until when they can be read.

Nothing is kept but hashes and times, and a reply is the same with and without it (CCH-26). Source: spec CCH-20 to 35,
MSG-120, 121. Imports only `wire` and this engine; the clock comes in.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct

from dragoman.engines.offline.prompt import Prompt
from dragoman.wire.models import Model
from dragoman.wire.toolrules import breakpoints
from dragoman.wire.types import CountTokensRequest

from .prefix import Layout, Running, Settings, laid_out, settings_of

__all__ = ["CacheUse", "PromptCache"]

Ttl = Literal["5m", "1h"]
TTL_S: dict[Ttl, float] = {"5m": 300.0, "1h": 3600.0}
LOOK_BACK = 20  # positions that a breakpoint looks at, itself included (CCH-22)
MAX_ENTRIES = 50_000  # about 12 MB of hashes


class Entry(Struct, frozen=True):
    """A prefix that can be read."""

    ttl: Ttl
    expires_at: float  # by the clock of the cache


class Place(Struct, frozen=True):
    """A position that the cache is asked for."""

    tokens: int  # of the prefix that ends here
    key: bytes
    ttl: Ttl | None  # of the breakpoint here; None: only looked at


class CacheUse(Struct, frozen=True, kw_only=True):
    """What a request reads and writes, in tokens; the four make up the prompt (CCH-31, 32)."""

    read_tokens: int
    write_5m_tokens: int
    write_1h_tokens: int
    plain_tokens: int  # behind the last breakpoint: what the wire calls `input_tokens`
    entries: tuple[tuple[bytes, Ttl], ...] = ()  # written or read: what `commit` makes visible or refreshes
    cache: "PromptCache | None" = None
    begun_at: float = 0.0

    @property
    def write_tokens(self) -> int:
        """What the wire calls `cache_creation_input_tokens` (CCH-33)."""
        return self.write_5m_tokens + self.write_1h_tokens

    def commit(self) -> None:
        """The response has begun: others may read what this request wrote (CCH-25). Twice is as once."""
        if self.cache is not None:
            self.cache.keep(self.entries, self.begun_at)


class PromptCache:
    """Prefixes of all workspaces, none of which can be read from another (CCH-27).

    `clock` gives seconds. At most `max_entries` are kept; the one that was used longest ago goes first. `begin` only
    looks, so it may run in a thread; `commit` changes, and belongs on the thread of the event loop.
    """

    def __init__(self, *, clock: Callable[[], float], max_entries: int = MAX_ENTRIES) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def begin(self, request: CountTokensRequest, model: Model, prompt: Prompt, *, workspace_id: str) -> CacheUse:
        """What a validated request reads and writes. Hashes its whole prefix, but only if it has a breakpoint."""
        marks = _marks(request)
        if not marks:
            return CacheUse(read_tokens=0, write_5m_tokens=0, write_1h_tokens=0, plain_tokens=prompt.tokens)
        layout = laid_out(request, model, prompt.spans, wanted=frozenset(marks))
        now = self._clock()
        places = list(_places(layout, marks, request, model, workspace_id))
        live = {place.key: entry for place in places if (entry := self._live(place.key, now))}
        read = max((place.tokens for place in places if place.key in live), default=0)
        long_enough = [place for place in places if place.ttl and place.tokens >= model.cache_minimum_tokens]
        last_1h = max((place.tokens for place in long_enough if place.ttl == "1h"), default=0)
        last = max((place.tokens for place in long_enough), default=0)
        in_1h, cached = max(read, last_1h), max(read, last)
        return CacheUse(
            read_tokens=read,
            write_1h_tokens=in_1h - read,
            write_5m_tokens=cached - in_1h,
            plain_tokens=layout.total - cached,
            entries=tuple(_used(places, live, long_enough)),
            cache=self,
            begun_at=now,
        )

    def _live(self, key: bytes, now: float) -> Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and now < entry.expires_at else None

    def keep(self, entries: Iterable[tuple[bytes, Ttl]], begun_at: float) -> None:
        """Make entries, or make them live on, for their time from `begun_at` on (CCH-24)."""
        for key, ttl in entries:
            fresh = Entry(ttl, begun_at + TTL_S[ttl])
            known = self._entries.get(key)
            if known is None or known.expires_at < fresh.expires_at:
                self._entries[key] = fresh
            self._entries.move_to_end(key)
        self._forget()

    def _forget(self) -> None:
        """Drop what is too much, and what has expired at the end that was used longest ago."""
        now = self._clock()
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if len(self._entries) <= self._max_entries and now < entry.expires_at:
                return
            del self._entries[key]


def _marks(request: CountTokensRequest) -> dict[str, Ttl]:
    """Breakpoints by the block that they close; of two on one block the longer-lived counts."""
    marks: dict[str, Ttl] = {}
    for point in breakpoints(request):
        marks[point.block] = "1h" if "1h" in (point.ttl, marks.get(point.block)) else "5m"
    return marks


def _places(
    layout: Layout, marks: dict[str, Ttl], request: CountTokensRequest, model: Model, workspace_id: str
) -> Iterable[Place]:
    """Each breakpoint with the positions that it looks back at, in the order of the prompt (CCH-20, 22)."""
    ttls = _by_number(layout, marks)
    if not ttls:
        return
    wanted = {number for mark in ttls for number in range(max(0, mark - LOOK_BACK + 1), mark + 1)}
    running = Running()
    heads = _heads(layout, settings_of(request, model), model, workspace_id)
    first = 0  # number of the level's first position
    for level, head in zip(layout.levels, heads, strict=True):
        running.add([head])
        behind = first + len(level.ends)
        inside = sorted(number - first for number in wanted if first <= number < behind)
        for position, key in running.through(level, inside, to_end=max(ttls) >= behind).items():
            yield Place(level.tokens[position], key, ttls.get(first + position))
        first = behind
        if max(ttls) < behind:
            return  # nothing is cached behind the last breakpoint


def _heads(layout: Layout, settings: Settings, model: Model, workspace_id: str) -> tuple[object, object, object]:
    """What each level begins with: a change of it loses that level and those behind it (CCH-20, 27, 30)."""
    return (
        ["tools", workspace_id, model.id, settings.form],
        ["system", settings.speed, layout.has_citations],
        ["messages", settings.choice, layout.has_images, settings.thinking, settings.effort],
    )


def _by_number(layout: Layout, marks: dict[str, Ttl]) -> dict[int, Ttl]:
    """Breakpoints by their position, counted through all levels."""
    found: dict[int, Ttl] = {}
    first = 0
    for level in layout.levels:
        found |= {first + position: marks[path] for path, position in level.paths.items()}
        first += len(level.ends)
    return found


def _used(places: list[Place], live: dict[bytes, Entry], long_enough: list[Place]) -> Iterable[tuple[bytes, Ttl]]:
    """Entries to be refreshed, each with its own lifetime, and those to be made.

    Every live entry of this prefix was used, the longest and those that are part of it. A breakpoint before what was
    read makes its entry too: at no cost, as nothing there had to be processed.
    """
    for place in places:
        if place.key in live:
            yield place.key, live[place.key].ttl
    for place in long_enough:
        if place.key not in live and place.ttl is not None:
            yield place.key, place.ttl
