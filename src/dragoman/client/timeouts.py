"""How long a call may take."""

from collections.abc import Sequence
from typing import Any, cast

from dragoman.http.base import Timeouts

from .given import NOT_GIVEN, NotGiven
from .guards import is_list

__all__ = ["DEFAULT_TIMEOUT", "Timeout", "for_transport", "timeout_of"]


class Timeout:
    """Limits in seconds, None for no limit: SDK-20.

    `connect` is until a request can be written, `read` the longest silence of the other side, `write` the longest it
    may take nothing of the request. `timeout` is the value of those that are not given; one of the two is needed.
    `pool` is for an `http_client` that is handed in: our own transport counts waiting for a connection as connecting.
    As httpx's, `timeout` may also be a `Timeout`, or a tuple of connect and read, and of write and pool if they follow.
    """

    __slots__ = ("connect", "pool", "read", "write")

    def __init__(
        self,
        timeout: "float | tuple[float | None, ...] | Timeout | NotGiven | None" = NOT_GIVEN,
        *,
        connect: float | NotGiven | None = NOT_GIVEN,
        read: float | NotGiven | None = NOT_GIVEN,
        write: float | NotGiven | None = NOT_GIVEN,
        pool: float | NotGiven | None = NOT_GIVEN,
    ) -> None:
        parts = (connect, read, write, pool)
        if isinstance(timeout, tuple) or _is_whole(timeout):
            if not all(isinstance(part, NotGiven) for part in parts):
                raise ValueError("Timeout takes a tuple or another Timeout alone, or parts by their names")
            self.connect, self.read, self.write, self.pool = _four(timeout)
            return
        if isinstance(timeout, NotGiven) and any(isinstance(part, NotGiven) for part in parts):
            raise ValueError("Timeout needs a default, or all of connect, read, write and pool")
        default = None if isinstance(timeout, NotGiven) else cast("float | None", timeout)
        self.connect, self.read, self.write, self.pool = (
            default if isinstance(part, NotGiven) else part for part in parts
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timeout) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def __repr__(self) -> str:
        return f"Timeout(connect={self.connect}, read={self.read}, write={self.write}, pool={self.pool})"

    def _parts(self) -> tuple[Any, ...]:
        return (self.connect, self.read, self.write, self.pool)

    def as_dict(self) -> dict[str, float | None]:
        return {"connect": self.connect, "read": self.read, "write": self.write, "pool": self.pool}


def _is_whole(value: object) -> bool:
    """A `Timeout`, or httpx's."""
    return all(hasattr(value, name) for name in Timeout.__slots__)


def _four(value: Any) -> Sequence[float | None]:
    """Connect, read, write and pool of a `Timeout`, of httpx's, or of a tuple. Raises ValueError for a tuple of
    another length."""
    if not is_list(value):
        return (value.connect, value.read, value.write, value.pool)
    if not 2 <= len(value) <= 4:
        raise ValueError("a tuple for Timeout has two to four parts: connect, read, write, pool")
    return (*value, None, None)[:4]


class Limits(Timeouts, frozen=True, kw_only=True):
    """What a transport over an `http_client` is told too."""

    pool_s: float | None = None  # until a connection is free


LONGEST_S = 1e9  # and more, even infinity, is no limit: clocks and sockets cannot count so far

DEFAULT_TIMEOUT = Timeout(600.0, connect=5.0)


def for_transport(limits: Timeout) -> Limits:
    connect_s, read_s, write_s, pool_s = (
        None if each is not None and each > LONGEST_S else each for each in limits._parts()
    )
    return Limits(connect_s=connect_s, write_s=write_s, first_byte_s=read_s, idle_s=read_s, pool_s=pool_s)


def timeout_of(value: Any, default: Timeout) -> Timeout:
    """A number of seconds, None for no limit, a `Timeout` or httpx's, or not given. Raises TypeError."""
    if isinstance(value, Timeout):
        return value
    if isinstance(value, NotGiven) or type(value).__name__ in ("NotGiven", "Omit", "UseClientDefault"):
        return default
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return Timeout(value)
    if _is_whole(value):
        return Timeout(value)
    raise TypeError(f"a timeout is a number of seconds, None or a Timeout, not {value!r}")
