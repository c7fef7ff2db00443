"""Ids of requests, messages and calls, as the API's are: a prefix, "_01", and 22 characters without a meaning."""

import os
import time

from dragoman.wire.headers import ALPHABET, base58

__all__ = ["new_id"]

ID_CHARS = 22
IDS_AT_ONCE = 200
REQUEST = "req"
STAMP_CHARS = 6  # enough for seconds until the year 3175


def new_id(prefix: str) -> str:
    """An opaque id: "msg" -> "msg_01" and 22 characters.

    Those of requests begin with the second in which they were made, so that they come in the order of their ids: an
    index of the ledger's rows then grows at its end, which makes them a third cheaper to insert. 16 characters (93
    bits) are left to chance.
    """
    try:
        random = _random.pop()
    except IndexError:
        fetched = os.urandom(ID_CHARS * IDS_AT_ONCE)
        _random.extend(fetched[at : at + ID_CHARS] for at in range(ID_CHARS, len(fetched), ID_CHARS))
        random = fetched[:ID_CHARS]
    if prefix == REQUEST:
        return f"req_01{_stamp.now()}{base58(random[STAMP_CHARS:])}"
    return f"{prefix}_01{base58(random)}"


class _Stamp:
    """The second as text that sorts as it does, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def now(self) -> str:
        second = int(time.time())
        if second != self._second:
            rest, digits = second, ""
            for _ in range(STAMP_CHARS):
                rest, digit = divmod(rest, len(ALPHABET))
                digits = ALPHABET[digit] + digits
            self._second, self._text = second, digits
        return self._text


_stamp = _Stamp()

# Random bytes for the next ids: to ask the system for each costs as much as all the rest. A list gives each item to one
# thread only; and two processes must not give the same ids.
_random: list[bytes] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.clear)
