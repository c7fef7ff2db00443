"""Where the prompt of a request parts from that of the one before (CCH-40).

What is kept of a request is hashes and numbers, for a short time, and only if it asked. The comparison is of what was
sent, whether a cache was hit or not. Source: spec CCH-40; the documentation page "Cache diagnostics", read 2026-11-21.
Imports only `wire` and this engine; the clock comes in.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from msgspec import Struct

from dragoman.engines.offline.prompt import Prompt
from dragoman.wire.models import Model
from dragoman.wire.tools import JsonObject
from dragoman.wire.types import MessagesRequest

from .prefix import DIGEST_BYTES, Layout, Level, Running, laid_out, settings_of

__all__ = ["Diagnoses", "Fingerprint"]

KEPT_S = 3600.0  # as long as the longest-lived cache entry
MAX_KEPT = 1_000  # of all workspaces: at most 50 MB, some 1 MB where conversations are short
HORIZON = 1_000  # positions of a level whose hashes are kept; behind them a difference is not located


class Trail(Struct, frozen=True):
    """A level, as the hashes of its beginnings."""

    count: int  # positions
    digests: bytes  # of the first HORIZON positions, DIGEST_BYTES each: of all the level up to there
    whole: bytes  # of all of it

    def digest(self, position: int) -> bytes:
        return self.digests[position * DIGEST_BYTES : (position + 1) * DIGEST_BYTES]

    def parts_from(self, other: "Trail") -> int | None:
        """First position where the two differ; None when that lies beyond the horizon, or nowhere."""
        for position in range(min(self.count, other.count, HORIZON)):
            if self.digest(position) != other.digest(position):
                return position
        return None if min(self.count, other.count) >= HORIZON else min(self.count, other.count)


class Fingerprint(Struct, frozen=True):
    """All that is kept of a request."""

    model: bytes  # of the model and the speed
    parameters: bytes  # of what else shapes the prompt
    tools: Trail
    system: Trail
    messages: Trail
    tokens: int  # of the whole prompt


class Diagnoses:
    """Fingerprints of requests that asked for diagnostics, by workspace and id of the reply.

    `clock` gives seconds. `diagnose` only looks, so it may run in a thread; `remember` belongs on the event loop's.
    """

    def __init__(self, *, clock: Callable[[], float], max_kept: int = MAX_KEPT) -> None:
        self._clock = clock
        self._max_kept = max_kept
        self._kept: OrderedDict[tuple[str, str], tuple[float, Fingerprint]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def diagnose(
        self, request: MessagesRequest, model: Model, prompt: Prompt, *, workspace_id: str, betas: Sequence[str] = ()
    ) -> tuple[JsonObject | None, Fingerprint]:
        """The `diagnostics` of the reply to a request that has asked for them, and what `remember` is to keep.

        None is null on the wire: a first turn, or no divergence.
        """
        assert request.diagnostics is not None
        layout = laid_out(request, model, prompt.spans)
        previous_id = request.diagnostics.previous_message_id
        if previous_id is None:
            return None, _fingerprint(request, model, layout, betas)
        previous = self._found(workspace_id, previous_id)
        if previous is None:
            return _missed("previous_message_not_found"), _fingerprint(request, model, layout, betas)
        fingerprint, is_continued = _compared(request, model, layout, betas, previous)
        return _difference(previous, fingerprint, layout, is_continued=is_continued), fingerprint

    def remember(self, message_id: str, fingerprint: Fingerprint, *, workspace_id: str) -> None:
        """Keep the fingerprint of the request that this reply answers, once it has begun."""
        self._kept[workspace_id, message_id] = (self._clock() + KEPT_S, fingerprint)
        while len(self._kept) > self._max_kept or self._is_first_expired():
            self._kept.popitem(last=False)

    def _found(self, workspace_id: str, message_id: str) -> Fingerprint | None:
        expires_at, fingerprint = self._kept.get((workspace_id, message_id), (0.0, None))
        return fingerprint if self._clock() < expires_at else None

    def _is_first_expired(self) -> bool:
        return next(iter(self._kept.values()))[0] <= self._clock()


def _fingerprint(
    request: MessagesRequest, model: Model, layout: Layout, betas: Sequence[str], *, messages: Trail | None = None
) -> Fingerprint:
    settings = settings_of(request, model)
    shape = [settings.choice, settings.thinking, settings.effort, settings.form, request.context_management]
    return Fingerprint(
        model=Running(model.id, settings.speed).digest(),
        parameters=Running(*shape, sorted(set(betas))).digest(),
        tools=_trail(layout.tools)[0],
        system=_trail(layout.system)[0],
        messages=messages or _trail(layout.messages)[0],
        tokens=layout.total,
    )


def _compared(
    request: MessagesRequest, model: Model, layout: Layout, betas: Sequence[str], previous: Fingerprint
) -> tuple[Fingerprint, bool]:
    """The fingerprint, and whether the messages begin with those of the request before."""
    messages, beginning = _trail(layout.messages, previous.messages.count - 1)
    fingerprint = _fingerprint(request, model, layout, betas, messages=messages)
    return fingerprint, beginning == previous.messages.whole


def _trail(level: Level, position: int = -1) -> tuple[Trail, bytes | None]:
    """A level's trail, and its hash at the end of a position, if it has that."""
    count = len(level.ends)
    kept = range(min(count, HORIZON))
    wanted = [*kept, position] if HORIZON <= position < count else kept
    running = Running()
    found = running.through(level, wanted, to_end=True)
    digests = b"".join(found[at] for at in kept)
    return Trail(count, digests, running.digest()), found.get(position)


def _difference(
    previous: Fingerprint, current: Fingerprint, layout: Layout, *, is_continued: bool
) -> JsonObject | None:
    """The earliest difference, in the order of the prompt. Later ones may hide behind it."""
    if current.model != previous.model:
        return _changed("model_changed", previous, current, shared=0)
    if current.tools.whole != previous.tools.whole:
        return _changed("tools_changed", previous, current, shared=_shared(layout, 0, previous.tools, current.tools))
    if current.system.whole != previous.system.whole:
        shared = _shared(layout, 1, previous.system, current.system)
        return _changed("system_changed", previous, current, shared=shared)
    if current.parameters != previous.parameters:
        return _missed("unavailable")
    if is_continued:
        return None
    if current.messages.parts_from(previous.messages) is None:
        return _missed("unavailable")  # too far on to be located
    shared = _shared(layout, 2, previous.messages, current.messages)
    return _changed("messages_changed", previous, current, shared=shared)


def _shared(layout: Layout, number: int, previous: Trail, current: Trail) -> int:
    """Tokens before the first difference in a level: where it is too far on, up to the horizon."""
    parted = current.parts_from(previous)
    position = HORIZON if parted is None else parted
    ends = [tokens for level in layout.levels[: number + 1] for tokens in level.tokens]
    before = sum(len(level.tokens) for level in layout.levels[:number]) + position
    return ends[before - 1] if before else 0


def _changed(kind: str, previous: Fingerprint, current: Fingerprint, *, shared: int) -> JsonObject:
    """`cache_missed_input_tokens`: what could have been read, had the prompts not parted after `shared` tokens."""
    missed = max(0, min(previous.tokens, current.tokens) - shared)
    return {"cache_miss_reason": {"type": kind, "cache_missed_input_tokens": missed}}


def _missed(kind: str) -> JsonObject:
    return {"cache_miss_reason": {"type": kind}}
