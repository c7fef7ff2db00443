"""About how many tokens a request is for a model whose tokenizer is not here, better with every reply that tells.

The first event of a reply must tell the input's tokens (pain 15), and a provider tells them with its last. So what we
count with a tokenizer of our own is set right by how far off it was for this target before. Names no provider.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from dragoman.engines.offline import tokens
from dragoman.wire.codec import plain
from dragoman.wire.types import CountTokensRequest, Document, Image, PlainText, Text, ToolResult, ToolUse, Usage

__all__ = ["Estimates", "rough_tokens"]

IMAGE_TOKENS = 1000
FILE_TOKENS = 1600
TURN_TOKENS = 4  # what stands around a message

TARGETS_KEPT = 1000  # names of models come from callers
KEPT = 0.9  # of what was learned, with each new reply
SMALLEST, LARGEST = 0.25, 4.0  # how far off we can be: more is a provider that counts something else


class _Seen(NamedTuple):
    """Sums over replies, each weighing less than the next; long prompts weigh more than short ones."""

    rough: float
    told: float


class Estimates:
    """Of one provider's models."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}  # oldest first

    def of(self, model: str, rough: int) -> int:
        """The tokens that the model will most likely tell for what `rough_tokens` counts."""
        seen = self._seen.get(model)
        if seen is None:
            return rough
        return max(1, round(rough * min(max(seen.told / seen.rough, SMALLEST), LARGEST)))

    def learn(self, model: str, rough: int, usage: Usage | None) -> None:
        """What it told in the end."""
        if usage is None or rough <= 0:
            return
        told = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        if told <= 0:
            return
        before = self._seen.get(model, _Seen(0, 0))
        self._seen[model] = _Seen(before.rough * KEPT + rough, before.told * KEPT + told)
        if len(self._seen) > TARGETS_KEPT:
            del self._seen[next(iter(self._seen))]


def rough_tokens(request: CountTokensRequest) -> int:
    """Of the input, with a tokenizer that is not the model's. Linear in its text."""
    total = _of_content(request.system) + _of_values(request.tools or ())
    for message in request.messages:
        total += TURN_TOKENS + _of_content(message.content)
    return max(1, total)


def _of_values(values: Iterable[Any]) -> int:
    return sum(_of_text(msgspec.json.encode(plain(value)).decode()) for value in values)


def _of_text(text: str) -> int:
    return tokens.count(text, "claude-3")


def _of_content(content: Any) -> int:
    if content is None or isinstance(content, str):
        return _of_text(content or "")
    return sum(_of_block(block) for block in content)


def _of_block(block: Any) -> int:
    match block:
        case Text(text=text):
            return _of_text(text)
        case ToolUse(name=name, input=value):
            return _of_text(name) + _of_values([value])
        case ToolResult(content=content):
            return TURN_TOKENS + _of_content(content)
        case Image():
            return IMAGE_TOKENS
        case Document(source=source):
            return _of_text(source.data) if isinstance(source, PlainText) else FILE_TOKENS
        case _:
            return _of_values([block])
