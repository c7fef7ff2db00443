"""Lets one test drive the sync and the async client of the Python SDK, in the SDK's own words.

message = await settled(client.messages.create(...))
async with entered(client.messages.stream(...)) as stream:
    texts = await listed(stream.text_stream)
"""

import inspect
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

from anthropic import Anthropic, AsyncAnthropic, DefaultAsyncHttpxClient, DefaultHttpxClient

__all__ = ["Client", "connect", "each", "entered", "first", "listed", "settled"]

TIMEOUT_S = 20

Client = Anthropic | AsyncAnthropic


def connect(face: str, url: str, key: str) -> Client:
    """The "sync" or the "async" client. It never tries a request twice, so that a fault is seen.

    Nothing of the machine's environment reaches it: no key, no headers, no proxy.
    """
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith("ANTHROPIC_")]:
            del os.environ[name]
        given: Any = {"base_url": url, "api_key": key, "max_retries": 0, "timeout": TIMEOUT_S}
        if face == "sync":
            return Anthropic(**given, http_client=DefaultHttpxClient(trust_env=False))
        return AsyncAnthropic(**given, http_client=DefaultAsyncHttpxClient(trust_env=False))


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
