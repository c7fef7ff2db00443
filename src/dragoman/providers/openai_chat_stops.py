"""Stop sequences, looked for in the text that comes: for upstreams that take too few, or do not tell which it was. And
text that is not to come again.

Pure; imports nothing of this package.
"""

from collections.abc import Sequence

__all__ = ["Echo", "StopWatch"]


class StopWatch:
    """Text in, the text that may be shown out, until a sequence is complete.

    What is told does not hang on how the text is cut: the sequence that ends first counts, of two that end together the
    longer. The end of the text so far is held back while a sequence may begin there.
    """

    def __init__(self, sequences: Sequence[str]) -> None:
        self._sequences = [sequence for sequence in sequences if sequence]
        self._held = ""
        self.matched: str | None = None

    @property
    def is_watching(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._sequences)

    def take(self, text: str) -> str:
        """What may be shown now. Nothing is to follow once `matched` is set."""
        if not self._sequences:
            return text
        text = self._held + text
        self._held = ""
        found = self._first_in(text)
        if found is not None:
            start, self.matched = found
            return text[:start]
        held = max(_begun(text, sequence) for sequence in self._sequences)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """What was held back: no more text comes here."""
        held, self._held = self._held, ""
        return held

    def _first_in(self, text: str) -> tuple[int, str] | None:
        found = [(at + len(each), at, each) for each in self._sequences if (at := text.find(each)) >= 0]
        if not found:
            return None
        _, start, sequence = min(found)
        return start, sequence


def _begun(text: str, sequence: str) -> int:
    """How many characters at the end of `text` begin `sequence`."""
    for length in range(min(len(text), len(sequence) - 1), 0, -1):
        if sequence.startswith(text[-length:]):
            return length
    return 0


class Echo:
    """Text in, text out, without what it begins with: the message that the assistant had begun, which some hosts
    repeat. A text that begins otherwise comes out as it is."""

    def __init__(self, begun: str) -> None:
        self._begun = begun
        self._held = ""

    def take(self, text: str) -> str:
        if not self._begun:
            return text
        text = self._held + text
        if self._begun.startswith(text) and text != self._begun:
            self._held = text
            return ""
        self._held, begun, self._begun = "", self._begun, ""
        return text.removeprefix(begun)

    def rest(self) -> str:
        """What was held back: no more text comes here."""
        if self._held:
            self._begun = ""
        held, self._held = self._held, ""
        return held
