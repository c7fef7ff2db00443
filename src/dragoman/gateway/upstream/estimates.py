"""About how many tokens a request is for a model whose tokenizer is not here, better with every reply that tells.

The first event of a reply must tell the input's tokens (pain 15), and a provider tells them with its last. So what we
count with a tokenizer of our own is set right by how far off it was for this target before. Names no provider.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import msgspec

from dragoman.engines.offline import tokens
from dragoman.gateway.ledger.input_estimate import FILE_TOKENS
from dragoman.wire.codec import plain
from dragoman.wire.types import CountTokensRequest, Document, Image, PlainText, Text, ToolResult, ToolUse, Usage

__all__ = ["Estimates", "rough_tokens"]

IMAGE_TOKENS = 1000
COUNTED_CHARACTERS = 16 * 1024  # up to here all text is counted
SAMPLES, SAMPLE_CHARACTERS = 16, 512  # of more
TEXTS_KEPT = 10_000  # whose count is known
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
    """Of the input, with a tokenizer that is not the model's.

    Of a long one some samples are counted: a program's requests are a megabyte of text soon, and each stream's first
    event waits for this.
    """
    texts: list[str] = []
    rest = _take(request.system, texts) + sum(map(_take_value, request.tools or (), repeat(texts)))
    for message in request.messages:
        rest += TURN_TOKENS + _take(message.content, texts)
    return max(1, rest + _of_texts(texts))


def _of_texts(texts: Sequence[str]) -> int:
    length = sum(map(len, texts))
    if length <= COUNTED_CHARACTERS:
        return sum(_of_text(text) for text in texts)
    seen = "".join(_samples(texts, length // SAMPLES))
    return _of_text(seen) * length // len(seen)


def _samples(texts: Iterable[str], step: int) -> Iterator[str]:
    """A piece after each `step` characters, wherever they stand."""
    due = 0  # characters until the next
    for text in texts:
        while due < len(text):
            yield text[due : due + SAMPLE_CHARACTERS]
            due += step
        due -= len(text)


def _of_text(text: str) -> int:
    """A conversation comes again with each turn, so what was counted is kept: by the hash, never the text."""
    key = hash(text)
    if (kept := _counts.get(key)) is not None:
        return kept
    if len(_counts) >= TEXTS_KEPT:
        _counts.clear()  # all at once: other threads count at the same time
    counted = _counts[key] = tokens.count(text, "claude-3")
    return counted


_counts: dict[int, int] = {}


def _take(content: Any, texts: list[str]) -> int:
    """Add the texts of content; the tokens of what is none."""
    if content is None or isinstance(content, str):
        texts.append(content or "")
        return 0
    return sum(map(_take_block, content, repeat(texts)))


def _take_block(block: Any, texts: list[str]) -> int:
    match block:
        case Text(text=text):
            texts.append(text)
            return 0
        case ToolUse(name=name, input=value):
            texts.append(name)
            return _take_value(value, texts)
        case ToolResult(content=content):
            return TURN_TOKENS + _take(content, texts)
        case Image():
            return IMAGE_TOKENS
        case Document(source=PlainText(data=text)):
            texts.append(text)
            return 0
        case Document():
            return FILE_TOKENS
        case _:
            return _take_value(block, texts)


def _take_value(value: Any, texts: list[str]) -> int:
    texts.append(msgspec.json.encode(plain(value)).decode())
    return 0
