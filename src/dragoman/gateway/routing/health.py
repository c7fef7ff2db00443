"""How the targets of routes are: a circuit breaker for each, fed by faults of the upstream and by nothing else.

closed: it is asked. open: it failed too often, and is left alone for a while, longer each time. half-open: that while
is over, and one request at a time finds out. A target that says 429 is well, but cools down for as long as it says.
Pure: `now` is monotonic seconds everywhere.
"""

from typing import Literal

from msgspec import Struct

__all__ = ["Breaker", "BreakerSettings", "State", "is_upstream_fault"]

State = Literal["closed", "open", "half-open"]

# An upstream's fault, by the status of its reply: nothing that a caller can bring about (pain 30).
FAULTS = frozenset({408, 500, 502, 503, 504, 529})
LONGEST_COOLING_S = 600.0  # whatever a provider says


class BreakerSettings(Struct, frozen=True, kw_only=True):
    """When a breaker opens, and for how long. The numbers of faults and requests fade with `half_life_s`."""

    in_a_row: int = 5  # faults with no success between them
    share: float = 0.5  # of requests that fail
    at_least: float = 10.0  # requests, before the share counts
    half_life_s: float = 30.0
    first_s: float = 2.0  # open for so long at first; doubled each time that a probe fails
    longest_s: float = 60.0
    probe_s: float = 60.0  # a probe that has not ended by then is given up: another one may go


class Breaker:
    """The state of one target. Whoever asks the target says `begun`, then one of `succeeded`, `failed`, `dismissed`."""

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        self._settings = settings or BreakerSettings()
        self._in_a_row = 0
        self._faults = 0.0
        self._requests = 0.0
        self._counted_at = 0.0
        self._open_until: float | None = None  # None: closed
        self._open_s = 0.0
        self._probing_since: float | None = None
        self._cool_until = 0.0

    def state(self, now: float) -> State:
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until else "half-open"

    def allows(self, now: float) -> bool:
        """May it be asked now? Half-open: by one request at a time."""
        if now < self._cool_until:
            return False
        state = self.state(now)
        return state == "closed" or (state == "half-open" and not self._is_probed(now))

    def wait_s(self, now: float) -> float:
        """Seconds until it may be asked, as far as that can be told; 0 now."""
        probe_ends = 0.0 if self._probing_since is None else self._probing_since + self._settings.probe_s
        return max(0.0, self._cool_until - now, (self._open_until or now) - now, probe_ends - now)

    def begun(self, now: float) -> None:
        """A request goes there."""
        if self.state(now) == "half-open" and not self._is_probed(now):
            self._probing_since = now

    def succeeded(self, now: float) -> None:
        """It answered: with a message, or with an error that is the caller's."""
        self._count(now, fault=0.0)
        self._in_a_row = 0
        if self.state(now) != "open":  # a request of before the trouble says nothing of what is now
            if self._open_until is not None:
                self._faults = self._requests = 0.0
            self._open_until = self._probing_since = None
            self._open_s = 0.0

    def failed(self, now: float) -> None:
        """A fault of its own: see `is_upstream_fault`."""
        self._count(now, fault=1.0)
        self._in_a_row += 1
        state = self.state(now)
        if state == "half-open" or (state == "closed" and self._is_too_much()):
            settings = self._settings
            self._open_s = min(settings.longest_s, self._open_s * 2 if self._open_s else settings.first_s)
            self._open_until = now + self._open_s
            self._probing_since = None

    def dismissed(self, now: float) -> None:
        """The request ended without telling anything: its caller went away. A probe makes room for the next."""
        if self.state(now) == "half-open":
            self._probing_since = None

    def cool(self, now: float, seconds: float) -> None:
        """It asked to be left alone (429): no fault."""
        self._cool_until = max(self._cool_until, now + min(max(seconds, 0.0), LONGEST_COOLING_S))
        self.dismissed(now)

    def _is_probed(self, now: float) -> bool:
        return self._probing_since is not None and now - self._probing_since < self._settings.probe_s

    def _is_too_much(self) -> bool:
        settings = self._settings
        is_share = self._requests >= settings.at_least and self._faults >= settings.share * self._requests
        return self._in_a_row >= settings.in_a_row or is_share

    def _count(self, now: float, *, fault: float) -> None:
        faded = 0.5 ** (max(0.0, now - self._counted_at) / self._settings.half_life_s)
        self._requests = self._requests * faded + 1.0
        self._faults = self._faults * faded + fault
        self._counted_at = now


def is_upstream_fault(status: int) -> bool:
    """Of a reply's status. 429 is none: the target is well, and `cool` is for it."""
    return status in FAULTS or status >= 520
