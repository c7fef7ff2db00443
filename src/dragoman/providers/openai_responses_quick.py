"""The event of the Responses API that nearly every event is, a piece of text, read in a fraction of the time.

An event with anything else in it, known or not, is none: then it is read in full, by openai_responses_reply.py. Pure.
"""

from typing import Any, Literal

import msgspec

__all__ = ["Piece", "piece_of_text"]


class Piece(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A piece of text, and the item that it belongs to."""

    type: Literal["response.output_text.delta"]
    delta: str
    item_id: str
    output_index: int
    content_index: Any = None
    logprobs: Any = None
    obfuscation: Any = None  # noise against guessing from lengths
    sequence_number: Any = None


_decode = msgspec.json.Decoder(Piece).decode


def piece_of_text(data: bytes) -> Piece | None:
    """None for an event that is anything but a piece of text."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
