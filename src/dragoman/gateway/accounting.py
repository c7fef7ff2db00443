"""One entry for each request, written once however the request ends: answered, refused, cut off, or abandoned.

For now a ledger row is a log line. It never holds a key, a prompt or a reply.
"""

import logging
from collections.abc import Callable
from typing import Literal

from dragoman.wire.types import Usage

__all__ = ["Entry", "Ledger", "Outcome"]

log = logging.getLogger("dragoman.requests")

# answered: the whole reply went out. refused: an error did. cut: a stream broke off, by the upstream's fault or by the
# server's stop. abandoned: the caller hung up, or the server stopped, before the reply was complete.
Outcome = Literal["answered", "refused", "cut", "abandoned"]


class Entry:
    """What is known of one request so far. Whoever learns more writes it here; `settle` writes the row."""

    def __init__(self, request_id: str, operation: str, *, arrived: float, clock: Callable[[], float]) -> None:
        self.request_id = request_id
        self.operation = operation
        self.key_id: str | None = None
        self.model: str | None = None  # as the caller named it
        self.target: str | None = None
        self.upstream_request_id: str | None = None
        self.stream = False
        self.status = 0
        self.usage: Usage | None = None
        self.outcome: Outcome = "answered"
        self.error: str | None = None  # the wire's `error.type`
        self._arrived = arrived
        self._first_content: float | None = None
        self._clock = clock
        self._is_settled = False

    def note_content(self) -> None:
        """The first content is here: the time to it is taken once."""
        if self._first_content is None:
            self._first_content = self._clock()

    def settle(self, outcome: Outcome | None = None) -> None:
        """Write the row. Only the first call counts; `outcome` overrules what was noted."""
        if self._is_settled:
            return
        self._is_settled = True
        if outcome is not None:
            self.outcome = outcome
        log.info(" ".join(f"{name}={_word(value)}" for name, value in self._fields() if value is not None))

    def _fields(self) -> list[tuple[str, object]]:
        first = self._first_content
        usage = self.usage
        return [
            ("request_id", self.request_id),
            ("operation", self.operation),
            ("outcome", self.outcome),
            ("status", self.status),
            ("error", self.error),
            ("key", self.key_id),
            ("model", self.model),
            ("target", self.target),
            ("upstream_request_id", self.upstream_request_id),
            ("stream", "yes" if self.stream else "no"),
            ("input_tokens", usage and usage.input_tokens),
            ("cache_creation_input_tokens", usage and usage.cache_creation_input_tokens),
            ("cache_read_input_tokens", usage and usage.cache_read_input_tokens),
            ("output_tokens", usage and usage.output_tokens),
            ("first_ms", None if first is None else round((first - self._arrived) * 1000, 1)),
            ("ms", round((self._clock() - self._arrived) * 1000, 1)),
        ]


def _word(value: object) -> str:
    """One word of a log line, whatever a caller or an upstream put into it: a number may turn out to be none."""
    word = str(value)[:200]
    if word and word.isascii() and word.isprintable() and " " not in word:
        return word
    return ascii(word).replace(" ", "\\x20")


class Ledger:
    """Opens entries. `clock` gives monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock

    def open(self, request_id: str, operation: str, *, arrived: float) -> Entry:
        return Entry(request_id, operation, arrived=arrived, clock=self._clock)
