"""Where a conversation was answered last, as long as its prefix is likely to be cached there (pain 51). Pure.

A conversation is known by its first message, in one workspace and under one name of a model: that is the same in all of
its turns, while marks of caches move, and system prompts may tell the time. Nothing of a message is kept but a digest.
`now` is monotonic seconds.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct

from dragoman.wire.types import Usage

__all__ = ["Homes", "Warm", "conversation"]

KEPT = 10_000  # conversations, some 500 bytes each
SHORT_S = 300.0  # that a cache lives after its last use, unless an hour was asked for
LONG_S = 3600.0
LONG_TTL = b'"1h"'


class Warm(Struct, frozen=True):
    """A target that has a conversation's prefix, of so many tokens, until then."""

    target: str  # provider/model
    tokens: int
    until: float


class Homes:
    """Of all conversations of late. A conversation may be warm at several targets; the last one is its home."""

    def __init__(self, *, kept: int = KEPT) -> None:
        self._homes: OrderedDict[bytes, tuple[Warm, ...]] = OrderedDict()
        self._kept = kept

    def warm(self, key: bytes, now: float) -> tuple[Warm, ...]:
        """Targets where the prefix is warm, the home first."""
        return tuple(each for each in self._homes.get(key, ()) if now < each.until)

    def note(self, key: bytes, target: str, usage: Usage, now: float, *, is_long: bool = False) -> None:
        """A target has answered, so it has seen the prompt and what it wrote itself."""
        tokens = (
            usage.input_tokens
            + (usage.cache_read_input_tokens or 0)
            + (usage.cache_creation_input_tokens or 0)
            + usage.output_tokens
        )
        others = (each for each in self.warm(key, now) if each.target != target)
        self._homes[key] = (Warm(target, tokens, now + (LONG_S if is_long else SHORT_S)), *others)
        self._homes.move_to_end(key)
        if len(self._homes) > self._kept:
            self._homes.popitem(last=False)

    def forget(self, key: bytes, target: str) -> None:
        """It failed: what it has cached is of no use."""
        left = tuple(each for each in self._homes.get(key, ()) if each.target != target)
        if left:
            self._homes[key] = left
        else:
            self._homes.pop(key, None)


def conversation(messages: bytes | None, *, workspace_id: str, model: str) -> bytes | None:
    """The key of the conversation that raw `messages` belong to; None where it cannot be told."""
    if messages is None:
        return None
    try:
        first = _decode_first(messages)[0]
        texts = _texts(msgspec.json.decode(first))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError):
        return None  # whoever answers says what is wrong with them
    digest = blake2b(digest_size=16)
    for part in (workspace_id, model, *texts):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.digest()


_decode_first = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _texts(message: Any) -> list[str]:
    """What is the same in each turn."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    found = []
    for block in content:
        if isinstance(block, dict):
            text = block.get("text")
            found.append(text if isinstance(text, str) else _plain(block))
    return found


def _plain(block: dict[str, Any]) -> str:
    kept = {name: value for name, value in block.items() if name != "cache_control"}
    return ascii(kept)
