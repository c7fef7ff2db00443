"""The chunk of Chat Completions that nearly every chunk is, a piece of text, read in a third of the time.

A chunk with anything else in it, known or not, is none: then it is read in full, by openai_chat_reply.py. Pure.
"""

from typing import Any, Literal

import msgspec

__all__ = ["piece_of_text"]


class _Delta(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    content: str
    role: Literal["assistant"] | None = None
    refusal: None = None
    reasoning_content: None = None
    reasoning: None = None
    tool_calls: None = None
    function_call: None = None


class _Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    delta: _Delta
    index: Literal[0] = 0
    finish_reason: None = None
    native_finish_reason: None = None  # OpenRouter
    logprobs: None = None


class _Chunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    choices: tuple[_Choice]
    id: Any = None
    object: Literal["chat.completion.chunk"] | None = None
    created: Any = None
    model: Any = None
    system_fingerprint: Any = None
    service_tier: Any = None
    provider: Any = None  # OpenRouter
    obfuscation: Any = None  # OpenAI: noise against guessing from lengths
    usage: None = None


_decode = msgspec.json.Decoder(_Chunk).decode


def piece_of_text(data: bytes) -> str | None:
    """The text of a chunk that is nothing but text, perhaps an empty one."""
    try:
        return _decode(data).choices[0].delta.content
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
