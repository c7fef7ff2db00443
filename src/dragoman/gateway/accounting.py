"""One entry for each request, written once however the request ends: answered, refused, cut off, or abandoned.

For now a ledger row is a log line. It never holds a key, a prompt or a reply.
"""

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

from dragoman.wire.types import Usage

__all__ = ["Entry", "Ledger", "Outcome"]

log = logging.getLogger("dragoman.requests")

WORD_CHARS = 200  # of a row's words, at most

# answered: the whole reply went out. refused: an error did. cut: a stream broke off, by the upstream's fault or by the
# server's stop. abandoned: the caller hung up, or the server stopped, before the reply was complete.
Outcome = Literal["answered", "refused", "cut", "abandoned"]


class Entry:
    """What is known of one request so far. Whoever learns more writes it here; `settle` writes the row."""

    __slots__ = (
        "_arrived",
        "_clock",
        "_first_content",
        "_is_settled",
        "_write",
        "error",
        "key_id",
        "lost",
        "model",
        "operation",
        "outcome",
        "request_id",
        "status",
        "stream",
        "target",
        "upstream_request_id",
        "usage",
    )  # fmt: skip

    def __init__(
        self,
        request_id: str,
        operation: str,
        *,
        arrived: float,
        clock: Callable[[], float],
        write: Callable[[str], None] = log.info,
    ) -> None:
        self.request_id = request_id
        self.operation = operation
        self.key_id: str | None = None
        self.model: str | None = None  # as the caller named it
        self.target: str | None = None
        self.lost: Sequence[str] = ()  # what the target did not get, by the names of the Messages API
        self.upstream_request_id: str | None = None
        self.stream = False
        self.status = 0
        self.usage: Usage | None = None
        self.outcome: Outcome = "answered"
        self.error: str | None = None  # the wire's `error.type`
        self._arrived = arrived
        self._first_content: float | None = None
        self._clock = clock
        self._write = write
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
        self._write(self._row())

    def _row(self) -> str:
        """The fields that are known, `name=value`, in this order."""
        row = f"request_id={self.request_id} operation={self.operation} outcome={self.outcome} status={self.status}"
        if self.error is not None:
            row += f" error={_word(self.error)}"
        if self.key_id is not None:
            row += f" key={self.key_id}"
        if self.model is not None:
            row += f" model={_known_word(self.model)}"
        if self.target is not None:
            row += f" target={_known_word(self.target)}"
        if self.upstream_request_id is not None:
            row += f" upstream_request_id={_word(self.upstream_request_id)}"
        if self.lost:
            row += f" lost={_word(','.join(self.lost))}"
        row += " stream=yes" if self.stream else " stream=no"
        if (usage := self.usage) is not None:
            row += f" input_tokens={_word(usage.input_tokens)}"
            if usage.cache_creation_input_tokens is not None:
                row += f" cache_creation_input_tokens={_word(usage.cache_creation_input_tokens)}"
            if usage.cache_read_input_tokens is not None:
                row += f" cache_read_input_tokens={_word(usage.cache_read_input_tokens)}"
            row += f" output_tokens={_word(usage.output_tokens)}"
        if self._first_content is not None:
            row += f" first_ms={(self._first_content - self._arrived) * 1000:.1f}"
        return f"{row} ms={(self._clock() - self._arrived) * 1000:.1f}"


def _word(value: object) -> str:
    """One word of a log line, whatever a caller or an upstream put into it: a number may turn out to be none."""
    word = str(value)[:WORD_CHARS]
    if type(value) is int:
        return word
    if word and word.isascii() and word.isprintable() and " " not in word:
        return word
    return ascii(word).replace(" ", "\\x20")


_kept_word = lru_cache(1000)(_word)


def _known_word(value: str) -> str:
    """Of what comes again and again, and is as long as a caller likes."""
    return _kept_word(value) if len(value) <= WORD_CHARS else _word(value)


class Ledger:
    """Opens entries. `clock` gives monotonic seconds; `write` takes one row, a line of text without its end."""

    def __init__(self, *, clock: Callable[[], float], write: Callable[[str], None] = log.info) -> None:
        self.write = write
        self._clock = clock

    def open(self, request_id: str, operation: str, *, arrived: float) -> Entry:
        return Entry(request_id, operation, arrived=arrived, clock=self._clock, write=self.write)
