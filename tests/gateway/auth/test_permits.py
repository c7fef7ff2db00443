"""Which models a key may ask, by whatever name it asks for them."""

import pytest

from dragoman.errors import NotFound
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.auth.permits import Permits
from dragoman.gateway.catalogue import Catalogue
from dragoman.gateway.config.config import load
from dragoman.gateway.routing.routing import Router

TEXT = """
[providers.big]
base_url = "http://127.0.0.1:1"
[providers.small]
dialect = "openai_chat"
base_url = "http://127.0.0.1:2/v1"
[models.fast]
targets = ["big/claude-haiku-4-5-20251001"]
[models."claude-opus-4-8"]
targets = ["small/gpt-mini"]
[models.careful]
targets = ["big/claude-sonnet-4-5", "small/gpt-mini"]
"""


@pytest.fixture
def permits() -> Permits:
    return Permits(Router(load(None, {}, text=TEXT), Catalogue.load()))


def holder(*patterns: str) -> Principal:
    return Principal("apikey_1", "mine", "wrkspc_1", "org_1", models=patterns or None)


@pytest.mark.parametrize(
    ("pattern", "asked", "may"),
    [
        ("fast", "fast", True),
        ("fast", "claude-haiku-4-5", False),  # a configured name allows itself, not what is behind it
        ("fast", "claude-sonnet-4-5", False),
        ("claude-haiku-*", "fast", True),
        ("claude-haiku-*", "claude-haiku-4-5", True),
        ("claude-haiku-*", "big/claude-haiku-4-5", True),
        ("claude-haiku-*", "claude-sonnet-4-5", False),
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001", True),  # its alias
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5", True),
        ("big/*", "claude-sonnet-4-5", True),
        ("big/*", "fast", True),
        ("big/*", "small/gpt-mini", False),
        ("small/*", "claude-opus-4-8", True),
        ("small/*", "big/claude-opus-4-8", False),
        ("claude-opus-4-8", "claude-opus-4-8", True),
        ("claude-opus-4-8", "big/claude-opus-4-8", False),  # that name leads to the small one here
        ("claude-opus-4-8", "small/gpt-mini", False),
        ("gpt-mini", "small/gpt-mini", False),  # alone it would be asked of the big one
        ("careful", "careful", True),
        ("big/*", "careful", False),  # the small one may answer it
        ("*/*", "careful", True),
        ("*", "whatever", True),
        ("nothing", "whatever", False),
    ],
)
def test_a_model_may_be_asked_by_any_name_that_leads_to_it(
    permits: Permits, pattern: str, asked: str, may: bool
) -> None:
    principal = holder("other", pattern)
    for _ in range(2):  # worked out, then remembered
        assert permits.allows(principal, asked) is may
    if may:
        permits.check(principal, asked)
    else:
        with pytest.raises(NotFound, match=f"^model: {asked}$"):
            permits.check(principal, asked)


def test_without_patterns_all_may_be_asked(permits: Permits) -> None:
    permits.check(holder(), "whatever")
    assert permits.allows(holder(), "x" * 100_000)


def test_a_long_name_is_compared_but_not_remembered(permits: Permits) -> None:
    assert permits.allows(holder("x*"), "x" * 100_000)
    assert not permits.allows(holder("y*"), "x" * 100_000)
    assert permits._kept.cache_info().currsize == 0
