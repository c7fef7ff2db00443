"""A request in its typed form, checked by the rules: for whoever translates it or answers it himself.

Names no provider. For models of other makers, which the catalogue does not know, only the rules of the form hold.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from dragoman.gateway.call import Asked
from dragoman.wire.envelope import Envelope
from dragoman.wire.models import CAPABILITIES, EFFORTS, Model, ThinkingRules
from dragoman.wire.provenance import MARKED, without_marked
from dragoman.wire.retold import retold
from dragoman.wire.types import CountTokensRequest, MessagesRequest
from dragoman.wire.validate import validate_count, validate_messages

__all__ = [
    "LARGE_BODY_BYTES", "counted", "counted_for_others", "foreign", "off_loop", "validated", "validated_for_others",
    "without_foreign_thinking",
]  # fmt: skip

T = TypeVar("T")

LARGE_BODY_BYTES = 256 * 1024  # above this, a body is parsed and checked in a thread, off the event loop
CLEARS = "clear_thinking_"  # what such an edit's type begins with
NO_LIMIT = 100_000_000  # tokens: what a foreign model takes is its provider's to say


def validated(asked: Asked, model: Model) -> MessagesRequest:
    """Raises InvalidRequest."""
    return validate_messages(asked.envelope.parse(), model, version=asked.version, betas=asked.betas)


def counted(asked: Asked, model: Model) -> CountTokensRequest:
    """As `validated`, of a request to count tokens."""
    return validate_count(asked.envelope.parse(), model, version=asked.version, betas=asked.betas)


def validated_for_others(asked: Asked, model: Model) -> tuple[MessagesRequest, list[str]]:
    """As `validated`, for a model of another maker: what only the API reads in a history is text before any rule would
    refuse it. Beside the request, the types of what is lost by that."""
    body, lost = _for_others(asked)
    return validate_messages(body, model, version=asked.version, betas=asked.betas), lost


def counted_for_others(asked: Asked, model: Model) -> CountTokensRequest:
    """As `validated_for_others`, of a request to count tokens."""
    return validate_count(_for_others(asked)[0], model, version=asked.version, betas=asked.betas)


def _for_others(asked: Asked) -> tuple[dict[str, Any], list[str]]:
    body = asked.envelope.parse()
    if not isinstance(messages := body.get("messages"), list):
        return body, []
    told, lost = retold(messages)
    return {**body, "messages": told}, lost


async def without_foreign_thinking(asked: Asked) -> Asked:
    """The request without the thinking that other models signed, for one that would refuse it (pain 7).

    What is asked for by a budget is turned off where the turn that called tools has lost its thinking: it would be
    refused (MSG-58). `left_out` tells of all that.
    """
    if MARKED not in asked.call.body or "messages" not in asked.envelope.fields:
        return asked

    def work() -> Asked:
        messages = asked.envelope.value("messages")
        if not isinstance(messages, list) or (kept := without_marked(messages)) == messages:
            return asked
        replaced = {"messages": kept, **_without_manual_thinking(asked.envelope, kept)}
        envelope = Envelope(asked.envelope.encode(**replaced))
        call = msgspec.structs.replace(asked.call, body=envelope.body)
        return msgspec.structs.replace(asked, call=call, envelope=envelope, left_out=_left_out(messages, kept))

    return await off_loop(asked, work)


def _left_out(messages: Sequence[Any], kept: Sequence[Any]) -> tuple[str, ...]:
    """The types of the blocks that are gone; of thinking that is not asked for any more they are the same."""
    return tuple(sorted(_types(messages) - _types(kept)))


def _types(messages: Sequence[Any]) -> Counter[str]:
    blocks = (block for message in messages if isinstance(message, dict) for block in _blocks(message))
    return Counter(block["type"] for block in blocks if isinstance(block.get("type"), str))


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _without_manual_thinking(envelope: Envelope, messages: Sequence[Any]) -> dict[str, Any]:
    """What to replace so that nothing is thought, where thinking by a budget would be refused."""
    thinking = envelope.value("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled" or not _wants_thinking(messages):
        return {}
    replaced: dict[str, Any] = {"thinking": {"type": "disabled"}}
    management = envelope.value("context_management")
    if isinstance(management, dict) and isinstance(edits := management.get("edits"), list):
        # To clear thinking takes thinking.
        rest = [edit for edit in edits if not str(isinstance(edit, dict) and edit.get("type")).startswith(CLEARS)]
        replaced["context_management"] = {**management, "edits": rest}
    return replaced


def _wants_thinking(messages: Sequence[Any]) -> bool:
    """Whether the turn that called the tools whose results come last does not begin with thinking (MSG-58)."""
    turns: list[tuple[object, list[dict[str, Any]]]] = []
    for message in messages:
        if not isinstance(message, dict) or (role := message.get("role")) == "system":
            continue
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(_blocks(message))
        else:
            turns.append((role, _blocks(message)))
    if len(turns) < 2 or not any(block.get("type") == "tool_result" for block in turns[-1][1]):
        return False
    called = turns[-2][1]
    return bool(called) and called[0].get("type") not in ("thinking", "redacted_thinking")


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
