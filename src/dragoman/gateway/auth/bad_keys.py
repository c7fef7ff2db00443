"""How many wrong keys an address may try before it has to wait. No I/O; time comes in, in monotonic seconds.

Counted are keys for which the store had to be asked in vain: those that cannot be right, or were found wrong a moment
ago, are refused at no cost, however often they come.
"""

import ipaddress
import math
from collections import OrderedDict
from functools import lru_cache

__all__ = ["BadKeys", "place_of"]

ALLOWED = 20  # wrong keys
WINDOW_S = 60.0
ADDRESSES_LIMIT = 10_000  # beyond it, who has been quiet for longest is forgotten
IPV6_PREFIX = 64  # what one customer has, at least


class BadKeys:
    """Of each address one number: when all of its wrong keys will be forgotten. One is forgotten every 3 s."""

    def __init__(self) -> None:
        self._forgotten_at: OrderedDict[str, float] = OrderedDict()

    def note(self, address: str | None, now: float) -> None:
        """A key from there was wrong. One without an address comes from this machine or process."""
        if address is None:
            return
        place = place_of(address)
        at = max(self._forgotten_at.get(place, now), now) + WINDOW_S / ALLOWED
        self._forgotten_at[place] = min(at, now + WINDOW_S)
        self._forgotten_at.move_to_end(place)
        if len(self._forgotten_at) > ADDRESSES_LIMIT:
            self._forgotten_at.popitem(last=False)

    def wait_s(self, address: str | None, now: float) -> int:
        """Whole seconds until a key from there may be looked at; 0: now."""
        if not self._forgotten_at or address is None:
            return 0
        left_s = self._forgotten_at.get(place_of(address), now) - now
        return max(0, math.ceil(left_s - WINDOW_S + WINDOW_S / ALLOWED - 1e-6))


@lru_cache(ADDRESSES_LIMIT)
def place_of(address: str) -> str:
    """The address itself; of IPv6 the network of its owner."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, IPV6_PREFIX), strict=False))
