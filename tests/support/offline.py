"""Asks the offline engine without a server: the events, checked against the law, and the message they make."""

import itertools
from collections.abc import Sequence
from typing import Any

from dragoman.engines.base import Generation
from dragoman.engines.offline.engine import OfflineEngine
from dragoman.errors import InvalidRequest
from dragoman.gateway.catalogue import Catalogue
from dragoman.wire.events import Event, Fold, MessageStart, StreamLaw
from dragoman.wire.types import Message, Text, ToolUse
from dragoman.wire.validate import validate_count, validate_messages

__all__ = ["ENGINE", "Json", "calls_of", "refusal", "run", "said", "text_of"]

Json = dict[str, Any]

CATALOGUE = Catalogue.load()
ENGINE = OfflineEngine(secret=b"secret of the tests")
NOT_COUNTED = {
    "max_tokens", "stop_sequences", "stream", "temperature", "metadata", "service_tier", "top_p", "top_k",
    "inference_geo", "diagnostics", "container",
}  # fmt: skip


def said(text: str) -> list[Json]:
    return [{"role": "user", "content": text}]


async def run(
    model: str = "claude-haiku-4-5", *, engine: OfflineEngine = ENGINE, betas: Sequence[str] = (), **fields: Any
) -> tuple[list[Event], Message]:
    """Events and message. Their order is checked, and that counting gives what the reply tells (TOK-10)."""
    known = CATALOGUE.resolve(model)
    assert known is not None
    body = {"model": model, "max_tokens": 1000, "stream": fields.get("max_tokens") != 0, **fields}
    request = validate_messages(body, known, version="2023-06-01", betas=betas)
    ids = itertools.count()
    generation = Generation(
        request=request,
        model=known,
        message_id="msg_1",
        new_tool_id=lambda: f"toolu_{next(ids)}",
        workspace_id="wrkspc_test",
        betas=betas,
    )
    events = [event async for ready in engine.generate(generation) for event in ready]
    law, fold = StreamLaw(), Fold()
    for event in events:
        law.check(event)
        fold.add(event)
    assert law.is_done
    counted = {name: value for name, value in body.items() if name not in NOT_COUNTED}
    count = await engine.count(validate_count(counted, known, version="2023-06-01", betas=betas), known)
    assert isinstance(events[0], MessageStart)
    for usage in (events[0].message.usage, fold.message().usage):
        total = usage.input_tokens
        total += (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
        assert total == count.input_tokens, "TOK-10: one prompt, one count"
    return events, fold.message()


async def refusal(model: str = "claude-haiku-4-5", **fields: Any) -> str:
    """What a request is refused with."""
    try:
        _, message = await run(model, **fields)
    except InvalidRequest as error:
        return error.message
    raise AssertionError(f"not refused: {message}")


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if isinstance(block, Text))


def calls_of(message: Message) -> list[tuple[str, Json]]:
    return [(block.name, block.input) for block in message.content if isinstance(block, ToolUse)]
