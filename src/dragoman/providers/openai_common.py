"""What the dialects of OpenAI share: what models can do, how a request is put, ids, text of system prompts. Pure.

Sources: OpenAI's API reference, and the types of its Python package 3.51.0, read 2026-11-21.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

from msgspec.structs import replace

from dragoman.wire.codec import Unknown
from dragoman.wire.types import Effort, Text, ToolUse, Usage

from .base import Question
from .translating import Names, legal_id

__all__ = [
    "EFFORTS",
    "JSON",
    "FittingNames",
    "Ids",
    "Traits",
    "count",
    "effort_of",
    "first_usage",
    "headers",
    "is_among",
    "kind_of",
    "nine_letters",
    "shortened",
    "system_blocks",
    "system_text",
    "traits_of",
]

JSON = dict[str, Any]
LONGEST_NAME = 64  # of a tool
NINE_LETTERS = re.compile(r"[a-zA-Z0-9]{9}")
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ATTRIBUTION = "x-anthropic-billing-header:"  # Claude Code's: new in every request, so no prefix would ever be cached


# -- what models can do --


class Traits(NamedTuple):
    """What a model takes. Of a model that no row names, nothing is asked that only some take."""

    reasons: bool = False  # takes an effort
    samples: bool = True  # takes temperature and top_p
    encrypts: bool = False  # gives its reasoning away, encrypted; others refuse to be asked for it
    least: Effort = "low"  # the lowest effort that it takes, beside "none"
    most: Effort = "high"  # the highest
    rests: bool = False  # takes the effort "none"


_FROM_5_6 = Traits(reasons=True, samples=False, encrypts=True, most="max", rests=True)
_FROM_5_2 = Traits(reasons=True, samples=False, encrypts=True, most="xhigh", rests=True)
_FROM_5_1 = Traits(reasons=True, samples=False, encrypts=True, rests=True)
_REASONING = Traits(reasons=True, samples=False, encrypts=True)

# The first row that fits the model's name, without what stands before its last slash. Sources: API reference,
# `reasoning.effort`; for what is refused, the errors that users quote (openai-agents-python#2089, opencode#36141).
_TRAITS: tuple[tuple[re.Pattern[str], Traits], ...] = tuple(
    (re.compile(pattern), traits)
    for pattern, traits in (
        (r"gpt-5[\w.]*-chat", Traits()),
        (r"gpt-5-pro", _REASONING._replace(least="high")),
        (r"gpt-\d\.\d+-pro", _REASONING._replace(least="medium", most="xhigh")),
        (r"gpt-5\.1-codex-max", _REASONING._replace(most="xhigh")),
        (r"gpt-5\.1.*codex|gpt-5-", _REASONING),
        (r"gpt-5\.[2-5](?!\d).*codex", _REASONING._replace(most="xhigh")),
        (r"gpt-5\.1(?!\d)", _FROM_5_1),
        (r"gpt-5\.[2-5](?!\d)", _FROM_5_2),
        (r"gpt-5\.\d|gpt-[6-9]", _FROM_5_6),
        (r"o[1-9]|gpt-5|codex", _REASONING),
        (r"gpt-oss", Traits(reasons=True)),
        (r"grok-4", Traits(encrypts=True)),  # thinks, but takes no effort
    )
)


@lru_cache(1000)
def traits_of(model: str) -> Traits:
    name = model.rpartition("/")[2]
    return next((traits for pattern, traits in _TRAITS if pattern.match(name)), Traits())


EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")


def effort_of(effort: Effort, traits: Traits) -> str:
    """The effort, or the nearest that the model takes."""
    at = min(EFFORTS.index(effort), EFFORTS.index(traits.most))
    return EFFORTS[max(at, EFFORTS.index(traits.least))]


def is_among(pattern: str, model: str) -> bool:
    """Is a model among those that a pattern of Capabilities means?"""
    return bool(pattern) and re.search(pattern, model) is not None


# -- requests --


def headers(question: Question) -> list[tuple[str, str]]:
    accept = "text/event-stream" if question.request.stream else "application/json"
    found = [("content-type", "application/json"), ("accept", accept)]
    if (key := question.target.api_key) is not None:
        found.append(("authorization", f"Bearer {key}") if question.target.auth == "bearer" else ("x-api-key", key))
    return found


def shortened(text: str, longest: int, *, prefix: str = "") -> str:
    """What is longer than the dialect takes, as a digest: the same for the same text."""
    return text if len(text) <= longest else f"{prefix}{blake2b(text.encode(), digest_size=16).hexdigest()}"


def nine_letters(call_id: str) -> str:
    """An id as it is, or a digest of it, for hosts that take no others (Mistral): the same for the same id."""
    if NINE_LETTERS.fullmatch(call_id):
        return call_id
    number = int.from_bytes(blake2b(call_id.encode(), digest_size=8).digest())
    letters = []
    for _ in range(9):
        number, letter = divmod(number, len(LETTERS))
        letters.append(LETTERS[letter])
    return "".join(letters)


class FittingNames(Names):
    """Names of tools that are wholly what `pattern` says, at most 64 characters. The same for the same name."""

    def __init__(self, pattern: str) -> None:
        super().__init__()
        self._pattern = re.compile(pattern)

    def outward(self, name: str) -> str:
        short = super().outward(name)
        if self._pattern.fullmatch(short):
            return short
        digest = blake2b(name.encode(), digest_size=4).hexdigest()
        fitting = f"tool_{digest}_{name}"[:LONGEST_NAME]
        self._inward[fitting] = name
        return fitting


def system_blocks(system: str | Sequence[Text] | None) -> list[Text]:
    """Without the line that Claude Code begins with, and without what is empty then."""
    if system is None or isinstance(system, str):
        return [Text(text=system)] if system else []
    cleaned = [(block, _without_attribution(block.text)) for block in system]
    return [block if block.text == text else replace(block, text=text) for block, text in cleaned if text]


def system_text(system: str | Sequence[Text] | None) -> str:
    """Without the line that Claude Code begins with."""
    if system is None or isinstance(system, str):
        return system or ""
    return "\n\n".join(text for block in system if (text := _without_attribution(block.text)))


def _without_attribution(text: str) -> str:
    return text.partition("\n")[2].lstrip("\n") if text.startswith(ATTRIBUTION) else text


def kind_of(block: Any) -> str:
    return block.kind if isinstance(block, Unknown) else str(type(block).__struct_config__.tag)


# -- replies --


def first_usage(question: Question) -> Usage:
    """What message_start tells: our estimate, which the end of the message corrects."""
    return Usage(
        input_tokens=question.input_tokens,
        cache_creation_input_tokens=0,
        cache_read_input_tokens=0,
        output_tokens=1,
        service_tier="standard",
    )


def count(told: Any, name: str) -> int | None:
    """A number of tokens, where one is told."""
    value = told.get(name) if isinstance(told, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


class Ids:
    """The provider's ids of calls where they are legal and new, so that both sides speak of the same; else ours."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._used: set[str] | None = None

    def legal(self, call_id: str) -> str:
        if self._used is None:
            self._used = set(_calls_before(self._question))
        if not legal_id(call_id) or call_id in self._used:
            call_id = self._question.new_tool_id()
        self._used.add(call_id)
        return call_id


def _calls_before(question: Question) -> Iterator[str]:
    """There are servers that number anew in each reply, and no two calls of a conversation may share an id."""
    for message in question.request.messages:
        if not isinstance(message.content, str):
            yield from (block.id for block in message.content if isinstance(block, ToolUse))
