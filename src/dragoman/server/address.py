"""From which address a request comes, also through proxies: those that the configuration trusts, and no others.

What stands in `x-forwarded-for` is believed as far as trusted proxies have added to it, each at its end; the rest of it
anybody may have written.
"""

import ipaddress
from functools import lru_cache
from typing import Any

from dragoman.gateway.auth.key_terms import is_from
from dragoman.wire.headers import Headers

__all__ = ["caller_address"]

LONGEST_KEPT = 256  # characters of a header: it may be longer, but is then worked out each time


def caller_address(scope: dict[str, Any], headers: Headers, trusted: tuple[str, ...] | None) -> str | None:
    """The address of who asks, by ASGI's `client`; None where there is none, as within a process.

    Where that is a proxy of the networks `trusted`, the last address in `x-forwarded-for` that is none of theirs. The
    first one where all are; where something is no address, whoever wrote it.
    """
    client = scope.get("client")
    peer: str | None = client[0] if client else None
    if not trusted or peer is None:
        return peer
    forwarded = headers.get("x-forwarded-for")
    if not forwarded:
        return peer
    find = _kept if len(forwarded) <= LONGEST_KEPT else _find
    return find(peer, forwarded, trusted)


def _find(peer: str, forwarded: str, trusted: tuple[str, ...]) -> str:
    address = peer
    for each in reversed(forwarded.split(",")):
        if not is_from(trusted, address):
            break
        told = _told(each.strip())
        if told is None:
            break
        address = told
    return address


_kept = lru_cache(10_000)(_find)


def _told(text: str) -> str | None:
    """The address in one part of the header: some proxies add a port, and then brackets to IPv6."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
