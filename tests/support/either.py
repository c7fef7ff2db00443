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

__all__ = ["Client", "connect", "each", "entered", "first", "listed", "settled"]

Client = Anthropic | AsyncAnthropic


def connect(face: str, url: str, key: str, **options: Any) -> Client:
    """The "sync" or the "async" client. It never tries a request twice, so that a fault is seen."""
    kind = {"sync": Anthropic, "async": AsyncAnthropic}[face]
    return kind(base_url=url, api_key=key, max_retries=0, timeout=20, **options)


async def settled(value: Any) -> Any:
    """What a call gave, waited for where it must be."""
    return await value if inspect.isawaitable(value) else value


async def each(source: Any) -> AsyncIterator[Any]:
    """What a stream or a page gives, one after the other."""
    if hasattr(source, "__aiter__"):
        async for item in source:
            yield item
    else:
        for item in source:
            yield item


async def listed(source: Any) -> list[Any]:
    """All that a stream or a page gives."""
    return [item async for item in each(source)]


async def first(stream: Any) -> Any:
    """The next thing that a stream gives."""
    return await anext(stream) if hasattr(stream, "__anext__") else next(stream)


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    """The block of a `with` or an `async with`."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value
