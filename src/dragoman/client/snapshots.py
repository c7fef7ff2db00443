"""What grows while a message streams, kept in pieces and put together when somebody looks. Pure."""

from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["GrowingInput", "GrowingText", "Snapshot"]

Snapshot = Callable[[], Any]  # what had come when the snapshot was taken
LOOK_EVERY = 1.25  # a tool's input is parsed again when it has grown by this factor


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
        self._start = start
        self._pieces: list[str] = []
        self._keep_cut_text = keep_cut_text
        self._size = 0
        self._next_look = 0.0

    def add(self, piece: str) -> Snapshot:
        """Raises ValueError where no JSON begins so; for a long input, a little later than it could be known."""
        self._pieces.append(piece)
        self._size += len(piece)
        count = len(self._pieces)
        if self._size >= self._next_look:
            self._next_look = self._size * LOOK_EVERY if self._size > 4096 else 0.0
            value = self._parsed(count)
            return lambda: value
        return lambda: self._parsed(count)

    def put_into(self, block: Any) -> None:
        block.input = self._parsed(len(self._pieces))

    def _parsed(self, count: int) -> Any:
        text = "".join(self._pieces[:count])
        if not text:
            return self._start
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return _partial(text, keep_cut_text=self._keep_cut_text)


def _partial(text: str, *, keep_cut_text: bool) -> Any:
    from .partial import PartialJsonError, partial_json

    try:
        return partial_json(text, keep_cut_text=keep_cut_text)
    except PartialJsonError as error:
        raise ValueError(
            f"Unable to parse tool parameter JSON from model. Please retry your request or adjust your prompt. "
            f"Error: {error}. JSON: {text}"
        ) from error
