"""The terms of a key: which models it may ask, from where, its tags, its cache. What may be written, what it means.

Pure. What is not fit raises ConfigError, whose text names the field and not who asked.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import UNSET

from dragoman.errors import ConfigError
from dragoman.store.keys import KeyChanges

__all__ = ["ROLES", "checked_changes", "checked_name", "checked_role", "encode_tags", "is_from", "matches_any"]

ROLES: Final = ("owner", "admin", "developer", "billing", "reader")  # of admin keys
STATUSES: Final = ("active", "inactive", "archived")  # that a key may be given
NAME_LIMIT_CHARS = 500  # as at the API
WORD_LIMIT_CHARS = 200
PATTERNS_LIMIT = 100
PATTERN_LIMIT_CHARS = 256
NETWORKS_LIMIT = 100
TAGS_LIMIT = 50
TAG_LIMIT_CHARS = 256
CACHE_LIMIT_S = 30 * 86_400  # as of a route
CALLERS_KEPT = 10_000  # of whom it is remembered whether their address will do

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


# What it means


def matches_any(patterns: Iterable[str], names: Iterable[str]) -> bool:
    """Whether one of `names` is as one of `patterns` says, in which `*` stands for any characters, also for none."""
    return any(_matches(pattern, name) for pattern in patterns for name in names)


def _matches(pattern: str, name: str) -> bool:
    """In linear time: names come from callers, and may be megabytes long."""
    head, *middle = pattern.split("*")
    if not middle:
        return name == pattern
    tail = middle.pop()
    if len(name) < len(head) + len(tail) or not name.startswith(head) or not name.endswith(tail):
        return False
    at, end = len(head), len(name) - len(tail)
    for piece in middle:
        found = name.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


@lru_cache(CALLERS_KEPT)
def is_from(networks: tuple[str, ...], address: str | None) -> bool:
    """Whether `address` is in one of `networks`; one that is not known, or is none, is in none."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in network for network in _parsed(networks))


@lru_cache(1000)
def _parsed(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(each) for each in networks)


def encode_tags(tags: Mapping[str, str] | None) -> str | None:
    """As the ledger keeps them: a JSON object, in the order of its names."""
    return msgspec.json.encode(dict(sorted(tags.items()))).decode() if tags else None


# What may be written


def checked_name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= NAME_LIMIT_CHARS or not name.isprintable():
        raise ConfigError(f"a key's name takes 1 to {NAME_LIMIT_CHARS} printable characters")
    return name


def checked_role(role: str | None) -> str | None:
    if role is not None and role not in ROLES:
        raise ConfigError(f"role: {role!r} is none: choose of {', '.join(ROLES)}")
    return role


def checked_changes(changes: KeyChanges) -> KeyChanges:
    """The same, each value in the one form in which it is kept. An empty list or object, and 0, count as none."""
    given = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
    return KeyChanges(**{name: _CHECKS[name](value) for name, value in given.items()})


def _status(status: str) -> str:
    if status not in STATUSES:
        raise ConfigError(f"status: {status!r} is none: choose of {', '.join(STATUSES)}")
    return status


def _moment(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise ConfigError("expires_at: a time needs its zone, as in 2027-01-31T12:00:00Z")
    try:
        return None if moment is None else moment.astimezone(UTC)
    except OverflowError:  # in UTC it is of a year that no calendar has
        raise ConfigError("expires_at: is out of the years 1 to 9999 in UTC") from None


def _word(field: str) -> Callable[[str | None], str | None]:
    def checked(value: str | None) -> str | None:
        if value is not None and (not 0 < len(value) <= WORD_LIMIT_CHARS or not value.isprintable()):
            raise ConfigError(f"{field}: takes 1 to {WORD_LIMIT_CHARS} printable characters")
        return value

    return checked


def _models(patterns: Iterable[str] | None) -> tuple[str, ...] | None:
    given = tuple(dict.fromkeys(patterns or ()))
    if len(given) > PATTERNS_LIMIT:
        raise ConfigError(f"models: {len(given)} patterns are too many, {PATTERNS_LIMIT} are the most")
    for pattern in given:
        if not 0 < len(pattern) <= PATTERN_LIMIT_CHARS or not pattern.isprintable() or " " in pattern:
            raise ConfigError(
                f"models: a pattern takes 1 to {PATTERN_LIMIT_CHARS} printable characters without spaces, as in "
                "claude-haiku-*, or NAME/* for all models of a provider"
            )
    return given or None


def _addresses(networks: Iterable[str] | None) -> tuple[str, ...] | None:
    given = dict.fromkeys(networks or ())
    if len(given) > NETWORKS_LIMIT:  # before they are read, which takes 6 us each
        raise ConfigError(f"addresses: {len(given)} networks are too many, {NETWORKS_LIMIT} are the most")
    return tuple(dict.fromkeys(_network(each) for each in given)) or None


def _network(text: str) -> str:
    """As in 10.0.0.0/8. Bits behind the prefix are a slip, of which nobody knows what was meant."""
    try:
        return str(ipaddress.ip_network(text.strip()))
    except ValueError:
        raise ConfigError(
            f"addresses: {text[:60]!r} is neither an address nor a network such as 10.0.0.0/8 or 2001:db8::/32"
        ) from None


def _tags(tags: Mapping[str, str] | None) -> dict[str, str] | None:
    if len(tags or ()) > TAGS_LIMIT:
        raise ConfigError(f"tags: {len(tags or ())} are too many, {TAGS_LIMIT} are the most")
    for name, value in (tags or {}).items():
        for text in (name, value):
            if not 0 < len(text) <= TAG_LIMIT_CHARS or not text.isprintable():
                raise ConfigError(f"tags: names and values take 1 to {TAG_LIMIT_CHARS} printable characters")
    return dict(tags) if tags else None


def _cache_s(seconds: int | None) -> int | None:
    if seconds is not None and not 0 <= seconds <= CACHE_LIMIT_S:
        raise ConfigError(f"cache_s: takes 0 to {CACHE_LIMIT_S} seconds")
    return seconds or None


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": checked_name,
    "status": _status,
    "workspace_id": _word("workspace_id"),
    "expires_at": _moment,
    "tier": _word("tier"),
    "models": _models,
    "addresses": _addresses,
    "tags": _tags,
    "cache_s": _cache_s,
}
assert {*_CHECKS} == {*KeyChanges.__struct_fields__}
