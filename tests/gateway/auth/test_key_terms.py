"""What the terms of a key mean, and what may be written there."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import ConfigError
from dragoman.gateway.auth.key_terms import checked_changes, encode_tags, is_from, matches_any
from dragoman.store.keys import KeyChanges


@pytest.mark.parametrize(
    ("pattern", "name", "does"),
    [
        ("fast", "fast", True),
        ("fast", "faster", False),
        ("fast", "Fast", False),
        ("*", "", True),
        ("*", "any/thing", True),
        ("a*", "a", True),
        ("a*", "ba", False),
        ("*a", "ba", True),
        ("*a", "ab", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("a*bc*c", "abc", False),
        ("a**c", "abc", True),
        ("claude-[ab]*", "claude-a", False),
        ("claude-?", "claude-1", False),
        ("a.b", "axb", False),
    ],
)
def test_a_star_stands_for_any_characters_and_nothing_else_does(pattern: str, name: str, does: bool) -> None:
    assert matches_any([pattern], [name]) is does


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_patterns_mean_what_a_plain_search_says(pattern: str, name: str) -> None:
    def plain(pattern: str, name: str) -> bool:
        if not pattern:
            return not name
        if pattern[0] == "*":
            return any(plain(pattern[1:], name[at:]) for at in range(len(name) + 1))
        return name[:1] == pattern[0] and plain(pattern[1:], name[1:])

    assert matches_any([pattern], [name]) == plain(pattern, name)


def test_many_stars_and_a_long_name_are_no_trouble() -> None:
    """Pain 81: what a caller makes up costs linear time. A search that tries all would not end at all."""
    assert not matches_any(["a*" * 100 + "b"] * 100, ["a" * 1_000_000])


@pytest.mark.parametrize(
    ("network", "address", "is_in"),
    [
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("10.0.0.1/32", "10.0.0.1", True),
        ("2001:db8::/32", "2001:db8:1::5", True),
        ("2001:db8::/32", "2001:db9::5", False),
        ("2001:db8::/32", "10.0.0.1", False),
        ("0.0.0.0/0", "::1", False),
        ("0.0.0.0/0", None, False),
        ("::/0", "", False),
        ("::/0", "unix", False),
        ("fe80::/10", "fe80::1%eth0", True),
    ],
)
def test_an_address_is_in_a_network_or_not(network: str, address: str | None, is_in: bool) -> None:
    assert is_from((network,), address) is is_in
    assert is_from(("192.0.2.0/24", network), address) is is_in


def test_no_network_has_no_address() -> None:
    assert not is_from((), "10.0.0.1")


def test_tags_are_written_in_one_order() -> None:
    assert encode_tags({"b": "2", "a": "ö"}) == encode_tags({"a": "ö", "b": "2"}) == '{"a":"ö","b":"2"}'
    assert encode_tags({}) is encode_tags(None) is None


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ({"name": " a "}, {"name": "a"}),
        ({"models": ("a", "b", "a")}, {"models": ("a", "b")}),
        ({"models": ()}, {"models": None}),
        ({"addresses": (" 10.0.0.1 ", "2001:DB8::/32")}, {"addresses": ("10.0.0.1/32", "2001:db8::/32")}),
        ({"addresses": ()}, {"addresses": None}),
        ({"tags": {}}, {"tags": None}),
        ({"workspace_id": None, "tier": None}, {"workspace_id": None, "tier": None}),
        ({"cache_s": 0}, {"cache_s": None}),
        ({"cache_s": 60}, {"cache_s": 60}),
        (
            {"expires_at": datetime(2027, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))},
            {"expires_at": datetime(2027, 1, 1, tzinfo=UTC)},
        ),
    ],
    ids=["name", "models", "no models", "addresses", "no addresses", "no tags", "none", "no cache", "cache", "time"],
)
def test_each_value_has_one_form(given_: dict[str, Any], kept: dict[str, Any]) -> None:
    assert checked_changes(KeyChanges(**given_)) == KeyChanges(**kept)


@pytest.mark.parametrize(
    "unfit",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"status": "expired"},
        {"status": ""},
        {"workspace_id": ""},
        {"workspace_id": "a\0b"},
        {"tier": "x" * 201},
        {"cache_s": -1},
        {"cache_s": 30 * 86_400 + 1},
        {"expires_at": datetime(2027, 1, 1)},
        {"models": ("",)},
        {"models": ("a b",)},
        {"models": ("x" * 257,)},
        {"models": tuple(map(str, range(101)))},
        {"addresses": ("10.0.0.1/8",)},
        {"addresses": ("localhost",)},
        {"addresses": ("10.0.0.0/33",)},
        {"addresses": tuple(f"10.0.0.{number}" for number in range(101))},
        {"tags": {"": "x"}},
        {"tags": {"x": ""}},
        {"tags": {"x": "a\nb"}},
        {"tags": {"x" * 257: "y"}},
        {"tags": {str(number): "x" for number in range(51)}},
    ],
    ids=lambda unfit: next(iter(unfit)),
)
def test_what_is_unfit_is_refused_by_the_name_of_its_field(unfit: dict[str, Any]) -> None:
    (field,) = unfit
    with pytest.raises(ConfigError, match=f"^{field}: |^a key's name "):
        checked_changes(KeyChanges(**unfit))


def test_networks_beyond_the_limit_are_not_read() -> None:
    """A million of them would hold up everybody else."""
    with pytest.raises(ConfigError, match="101 networks are too many, 100 are the most"):
        checked_changes(KeyChanges(addresses=tuple(f"no network {number}" for number in range(101))))
    spelt_twice = ("10.0.0.0/8", " 10.0.0.0/8")
    assert checked_changes(KeyChanges(addresses=spelt_twice)).addresses == ("10.0.0.0/8",)
