"""Several keys of one provider: which is shown next, and which rests. Pure; `now` is monotonic seconds.

They take turns. One that the provider refuses (401, 403) is benched, longer each time: it may be back one day, and
asking costs a request. One whose limits are used up (429) cools down for as long as the provider says. Where all of
them rest, the one that is ready first is shown all the same: the provider's own word is better than none of ours.
"""

from collections.abc import Sequence

from msgspec import Struct

from dragoman.gateway.config.values import Secret

__all__ = ["Keyring"]

BENCH_S = 60.0
LONGEST_BENCH_S = 3600.0
COOLING_S = 1.0  # after a 429 that does not say for how long
LONGEST_COOLING_S = 600.0


class _Slot(Struct):
    key: Secret
    ready_at: float = 0.0
    bench_s: float = 0.0  # how long it was benched the last time


class Keyring:
    """At least one key."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        self._slots = [_Slot(key) for key in keys]
        self._turn = 0

    def __len__(self) -> int:
        return len(self._slots)

    def next(self, now: float) -> Secret:
        """The key for the next request."""
        slots = self._slots
        for step in range(len(slots)):
            at = (self._turn + step) % len(slots)
            if slots[at].ready_at <= now:
                self._turn = at + 1
                return slots[at].key
        return min(slots, key=lambda slot: slot.ready_at).key

    def is_ready(self, now: float) -> bool:
        """Some key does not rest: another attempt need not wait."""
        return any(slot.ready_at <= now for slot in self._slots)

    def answered(self, key: str, now: float, *, status: int, retry_after_s: float | None = None) -> None:
        """What the provider said to a request with this key."""
        slot = next((slot for slot in self._slots if slot.key.reveal() == key), None)
        if slot is None:  # it was taken off the ring meanwhile
            return
        if status in (401, 403) and slot.bench_s and now < slot.ready_at:
            return  # one of several requests that were under way with it
        if status in (401, 403):
            slot.bench_s = min(LONGEST_BENCH_S, slot.bench_s * 2 or BENCH_S)
            slot.ready_at = now + slot.bench_s
        elif status == 429:
            cooling_s = COOLING_S if retry_after_s is None else retry_after_s
            slot.ready_at = max(slot.ready_at, now + min(LONGEST_COOLING_S, max(0.0, cooling_s)))
        elif status < 400:
            slot.bench_s = 0.0
            slot.ready_at = min(slot.ready_at, now)
