"""Where a host's name leads: its addresses, in the order in which they are tried. Names are looked up elsewhere."""

import socket
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

__all__ = ["HEAD_START_S", "Address", "literal", "taking_turns"]

HEAD_START_S = 0.25  # RFC 8305, section 5: how long one address is tried before the next joins in

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]


def literal(host: str, port: int) -> list[Address]:
    """The one address, if `host` is one and no name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return [(family, (host, port) if family == socket.AF_INET else (host, port, 0, 0))]
    return []


def taking_turns(host: str, found: Sequence[tuple[Any, ...]]) -> list[Address]:
    """What `getaddrinfo` found, in the order of the system, families taking turns. Raises OSError for nothing."""
    if not found:
        raise OSError(f"no address for {host}")
    first = [(family, address) for family, _, _, _, address in found if family == found[0][0]]
    others = [(family, address) for family, _, _, _, address in found if family != found[0][0]]
    return [each for each in chain.from_iterable(zip_longest(first, others)) if each is not None]
