"""What a request needs of whoever answers it, told from its bytes and its envelope. Pure.

Nothing here refuses a request: what is wrong with it, whoever answers says.
"""

import re
from collections.abc import Mapping

import msgspec

from dragoman.errors import InvalidRequest
from dragoman.gateway.call import Asked
from dragoman.gateway.config.routes import ConditionConfig
from dragoman.gateway.ledger.input_estimate import estimate_input_tokens
from dragoman.providers.base import Operation
from dragoman.wire.types import CacheCreation, Usage

from .affinity import LONG_TTL, conversation
from .choosing import Need

__all__ = ["brings_tools", "conversation_of", "expected_usage", "holds", "is_long", "max_tokens_of", "need_of"]

MOST_TOKENS = 10_000_000  # of one reply, whatever a caller says

# With these quotes it stands in no string of JSON; but a tool may be called "image", so its key is looked at as well.
_IMAGE = re.compile(rb'"type"\s*:\s*"image"')
_DOCUMENT = re.compile(rb'"type"\s*:\s*"document"')


def need_of(asked: Asked, output_tokens: float = 0.0) -> Need:
    body = asked.call.body
    return Need(
        tokens=estimate_input_tokens(body),
        images=b'"image"' in body and _IMAGE.search(body) is not None,
        documents=b'"document"' in body and _DOCUMENT.search(body) is not None,
        tools=brings_tools(asked),
        output_tokens=output_tokens,
    )


def brings_tools(asked: Asked) -> bool:
    tools = asked.envelope.fields.get("tools")
    return tools is not None and (len(memoryview(tools)) > len(b"null") or bytes(tools) not in (b"[]", b"null"))


def is_long(asked: Asked) -> bool:
    """Its prompt is to be cached for an hour."""
    return LONG_TTL in asked.call.body


def expected_usage(asked: Asked, need: Need, output_tokens: float, *, warm_tokens: int | None, caches: bool) -> Usage:
    """Of a target that has `warm_tokens` of the prompt (None: it has never seen the conversation). What it has is read,
    what is marked is written. `caches`: it does all that by itself, and takes no more for writing."""
    is_marked = b'"cache_control"' in asked.call.body
    read = min(warm_tokens or 0, need.tokens) if is_marked or caches else 0
    written = need.tokens - read if is_marked and not caches else 0
    long = written if is_long(asked) else 0
    return Usage(
        input_tokens=need.tokens - read - written,
        cache_creation_input_tokens=written,
        cache_read_input_tokens=read,
        cache_creation=CacheCreation(ephemeral_5m_input_tokens=written - long, ephemeral_1h_input_tokens=long),
        output_tokens=round(output_tokens),
    )


def holds(condition: ConditionConfig, need: Need, asked: Asked) -> bool:
    """All that it says is true of the request."""
    if condition.over_tokens is not None and need.tokens <= condition.over_tokens:
        return False
    for said, is_so in (
        (condition.images, need.images),
        (condition.documents, need.documents),
        (condition.tools, need.tools),
    ):
        if said is not None and said != is_so:
            return False
    if condition.tag is None:
        return True
    name, wanted = condition.tag
    tags = msgspec.json.decode(asked.principal.tags) if asked.principal.tags else {}
    return isinstance(tags, Mapping) and tags.get(name) == wanted


def conversation_of(asked: Asked) -> bytes | None:
    """Its key; None where there is none."""
    if asked.call.operation is not Operation.MESSAGES:
        return None
    messages = asked.envelope.fields.get("messages")
    workspace_id = asked.principal.workspace_id
    return None if messages is None else conversation(bytes(messages), workspace_id=workspace_id, model=asked.model)


def max_tokens_of(asked: Asked) -> int:
    """0 where it says none that makes sense."""
    try:
        value = asked.envelope.value("max_tokens")
    except InvalidRequest:
        return 0
    return min(value, MOST_TOKENS) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
