"""Lets one test drive the sync and the async client of the Python SDK, in the SDK's own words.

message = await settled(client.messages.create(...))
async with entered(client.messages.stream(...)) as stream:
    texts = await listed(stream.text_stream)
"""

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anthropic import Anthropic, AsyncAnthropic

__all__ = ["Client", "connect", "entered", "listed", "settled"]

Client = Anthropic | AsyncAnthropic


def connect(face: str, url: str, key: str, **options: Any) -> Client:
    """The "sync" or the "async" client. It never tries a request twice, so that a fault is seen."""
    kind = {"sync": Anthropic, "async": AsyncAnthropic}[face]
    return kind(base_url=url, api_key=key, max_retries=0, timeout=20, **options)


async def settled(value: Any) -> Any:
    """What a call gave, waited for where it must be."""
    return await value if inspect.isawaitable(value) else value


async def listed(source: Any) -> list[Any]:
    """Everything that a stream or a page gives, in order."""
    if hasattr(source, "__aiter__"):
        return [item async for item in source]
    return list(source)


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    """The block of a `with` or an `async with`."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value
