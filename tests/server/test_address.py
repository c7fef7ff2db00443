"""Whose address counts: behind proxies that are trusted, and those that are not."""

import pytest

from dragoman.errors import ConfigError
from dragoman.gateway.config.config import load
from dragoman.server.address import caller_address
from dragoman.wire.headers import Headers

PROXIES = ("10.0.0.0/8", "2001:db8::/32")
PROXY = "10.0.0.1"


def told(forwarded: str | None, *, peer: str | None = PROXY, trusted: tuple[str, ...] | None = PROXIES) -> str | None:
    headers = Headers([] if forwarded is None else [("x-forwarded-for", forwarded)])
    return caller_address({"client": None if peer is None else (peer, 1234)}, headers, trusted)


@pytest.mark.parametrize("trusted", [None, ()])
def test_nobody_is_trusted_unless_configured(trusted: tuple[str, ...] | None) -> None:
    assert told("192.0.2.1", trusted=trusted) == PROXY


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (None, PROXY),
        ("", PROXY),
        ("192.0.2.1", "192.0.2.1"),
        ("  192.0.2.1\t", "192.0.2.1"),
        ("1.1.1.1, 192.0.2.1", "192.0.2.1"),
        ("1.1.1.1, 192.0.2.1, 10.9.9.9", "192.0.2.1"),
        ("1.1.1.1, 192.0.2.1, 2001:db8::7, 10.9.9.9", "192.0.2.1"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:beef::1]:4711", "2001:beef::1"),
        ("2001:BEEF::1", "2001:beef::1"),
        ("192.0.2.1, unknown", PROXY),
        ("192.0.2.1, unknown, 10.2.2.2", "10.2.2.2"),
        ("192.0.2.1,", PROXY),
        ("' OR 1=1 --", PROXY),
        ("\x00", PROXY),
        ("192.0.2.1, " * 1000 + "198.51.100.7", "198.51.100.7"),
        ("x" * 5000, PROXY),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_the_last_address_that_is_no_proxys_counts(forwarded: str | None, address: str) -> None:
    """What a caller wrote in front of it does not: anybody may write that."""
    assert told(forwarded) == address
    assert told(forwarded) == address  # what was worked out once is kept


def test_who_is_no_proxy_is_not_believed() -> None:
    assert told("192.0.2.1", peer="203.0.113.5") == "203.0.113.5"
    assert told("192.0.2.1", peer="2001:db8::1") == "192.0.2.1"
    assert told("192.0.2.1", peer="::ffff:10.0.0.1") == "192.0.2.1"


def test_within_a_process_there_is_no_address() -> None:
    assert told("192.0.2.1", peer=None) is None
    assert caller_address({}, Headers(), PROXIES) is None


def test_header_lines_are_read_as_one() -> None:
    headers = Headers([("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "192.0.2.1")])
    assert caller_address({"client": (PROXY, 1)}, headers, PROXIES) == "192.0.2.1"


def test_proxies_are_configured_as_networks() -> None:
    text = '[server]\ntrusted_proxies = ["10.0.0.0/8", "192.0.2.7", "2001:DB8::/32"]'
    assert load(None, {}, text=text).server.trusted_proxies == ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32")
    assert load(None, {}, text="").server.trusted_proxies is None


@pytest.mark.parametrize(
    "value",
    ['"10.0.0.0/8"', '["10.0.0.1/8"]', '["proxy.local"]', "[10]", '[""]'],
    ids=["text", "bits", "name", "number", "nothing"],
)
def test_what_is_no_network_is_told_at_start(value: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.trusted_proxies"):
        load(None, {}, text=f"[server]\ntrusted_proxies = {value}")
