"""May this request go ahead: what is reserved before a request, and given back after it.

For now one limit: how many requests run at once in this process. Rate limits and budgets will stand here too, each
as one more thing that a `Hold` holds. Arithmetic only.
"""

from dragoman.errors import Overloaded

__all__ = ["Hold", "Limits"]

MAX_RUNNING = 10_000  # far above what one process serves well: a guard, not a quota. Bodies are in memory by then


class Hold:
    """What one request has reserved. Given back once, however the request ends."""

    def __init__(self, limits: "Limits") -> None:
        self._limits: Limits | None = limits

    def release(self) -> None:
        """A second call does nothing."""
        if self._limits is not None:
            self._limits.running -= 1
            self._limits = None


class Limits:
    """The limits of this process."""

    def __init__(self, *, max_running: int = MAX_RUNNING) -> None:
        self.running = 0
        self._max_running = max_running

    def reserve(self) -> Hold:
        """Reserve what a request needs. Raises Overloaded: no capacity is not a used-up quota (ERR-22)."""
        if self.running >= self._max_running:
            raise Overloaded("Overloaded")
        self.running += 1
        return Hold(self)
