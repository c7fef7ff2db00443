"""Runs the contract on asyncio's own loop and on uvloop, which the server uses where it exists."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

try:
    import uvloop
except ImportError:
    uvloop = None


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories = {"asyncio": asyncio.new_event_loop}
    if uvloop is not None and item.path.name == "test_contract.py":
        factories["uvloop"] = uvloop.new_event_loop
    return factories
