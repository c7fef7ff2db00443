"""A request in its typed form, checked by the rules: for whoever translates it or answers it himself.

Names no provider. For models of other makers, which the catalogue does not know, only the rules of the form hold.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec

from dragoman.wire.envelope import Envelope
from dragoman.wire.models import CAPABILITIES, EFFORTS, Model, ThinkingRules
from dragoman.wire.provenance import MARKED, without_marked
from dragoman.wire.types import CountTokensRequest, MessagesRequest
from dragoman.wire.validate import validate_count, validate_messages

from .call import Asked

__all__ = ["counted", "foreign", "off_loop", "validated", "without_foreign_thinking"]

T = TypeVar("T")

LARGE_BODY_BYTES = 256 * 1024  # above this, a body is parsed and checked in a thread, off the event loop
NO_LIMIT = 100_000_000  # tokens: what a foreign model takes is its provider's to say


def validated(asked: Asked, model: Model) -> MessagesRequest:
    """Raises InvalidRequest."""
    return validate_messages(asked.envelope.parse(), model, version=asked.version, betas=asked.betas)


def counted(asked: Asked, model: Model) -> CountTokensRequest:
    """As `validated`, of a request to count tokens."""
    return validate_count(asked.envelope.parse(), model, version=asked.version, betas=asked.betas)


async def without_foreign_thinking(asked: Asked) -> Asked:
    """The request without the thinking that other models signed, for one that would refuse it (pain 7)."""
    if MARKED not in asked.call.body or "messages" not in asked.envelope.fields:
        return asked

    def work() -> Asked:
        messages = asked.envelope.value("messages")
        if not isinstance(messages, list) or (kept := without_marked(messages)) == messages:
            return asked
        envelope = Envelope(asked.envelope.encode(messages=kept))
        call = msgspec.structs.replace(asked.call, body=envelope.body)
        return msgspec.structs.replace(asked, call=call, envelope=envelope)

    return await off_loop(asked, work)


async def off_loop(asked: Asked, work: Callable[[], T]) -> T:
    """Do the work, in a thread when the body is large: other requests must not wait for it."""
    if len(asked.call.body) <= LARGE_BODY_BYTES:
        return work()
    return await asyncio.to_thread(work)


def foreign(name: str) -> Model:
    """A model that takes all that the API has, within no limits of ours."""
    return Model(
        id=name,
        display_name=name,
        line=None,
        created_at="1970-01-01T00:00:00Z",
        lifecycle="active",
        max_input_tokens=NO_LIMIT,
        max_tokens=NO_LIMIT,
        context_overflow="stop",
        tokenizer="claude-3",
        cache_minimum_tokens=1024,
        tool_prompt_tokens=(0, 0),
        thinking=ThinkingRules(
            default="off",
            enabled=True,
            adaptive=True,
            disabled="yes",
            between_tools=True,
            display="summarized",
            manual_interleaved=True,
            keeps_earlier_turns=True,
        ),
        effort=EFFORTS,
        sampling="any",
        prefill=True,
        system_turns=True,
        forced_tools=True,
        inference_geo=True,
        fast=True,
        high_resolution_images=True,
        capabilities=CAPABILITIES,
    )
