"""What grows while a message streams, kept in pieces and put together when somebody looks. Pure."""

from collections.abc import Callable
from typing import Any

__all__ = ["GrowingInput", "GrowingText", "Snapshot"]

Snapshot = Callable[[], Any]  # what had come when the snapshot was taken


class GrowingText:
    """A block's field of text."""

    def __init__(self, field: str, text: str) -> None:
        self._field = field
        self._pieces = [text]

    def add(self, piece: str) -> Snapshot:
        self._pieces.append(piece)
        count = len(self._pieces)
        return lambda: "".join(self._pieces[:count])

    def put_into(self, block: Any) -> None:
        text = "".join(self._pieces)
        setattr(block, self._field, text)


class GrowingInput:
    """The input of a tool: JSON that is being written."""

    def __init__(self, start: Any, *, keep_cut_text: bool) -> None:
        from .partial import WrittenJson

        self._start = start
        self._keep_cut_text = keep_cut_text
        self._json = WrittenJson()
        self._pieces: list[str] = []
        self._snapshot: Snapshot = lambda: start

    def add(self, piece: str) -> Snapshot:
        """Raises ValueError where no JSON begins so; then the snapshot stays what it was."""
        if not piece:
            return self._snapshot
        self._pieces.append(piece)
        try:
            self._json.feed(piece)
        except ValueError as error:
            raise ValueError(
                f"Unable to parse tool parameter JSON from model. Please retry your request or adjust your prompt. "
                f"Error: {error}. JSON: {''.join(self._pieces)}"
            ) from error
        mark = self._json.mark(keep_cut_text=self._keep_cut_text)
        count = len(self._pieces)
        self._snapshot = lambda: None if mark is None else mark.value("".join(self._pieces[:count]))
        return self._snapshot

    def put_into(self, block: Any) -> None:
        if self._pieces:
            block.input = self._snapshot()
