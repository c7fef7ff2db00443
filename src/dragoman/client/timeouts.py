"""How long a call may take."""

from typing import Any

from dragoman.http.base import Timeouts

from .given import NOT_GIVEN, NotGiven

__all__ = ["DEFAULT_TIMEOUT", "Timeout", "for_transport", "timeout_of"]


class Timeout:
    """Limits in seconds, None for no limit: SDK-20.

    `connect` is until a request can be written, `read` the longest silence of the other side, `write` the longest it
    may take nothing of the request. `timeout` is the value of those that are not given; one of the two is needed.
    `pool` is taken for the sake of programs that give it: waiting for a connection counts as connecting.
    """

    __slots__ = ("connect", "pool", "read", "write")

    def __init__(
        self,
        timeout: float | NotGiven | None = NOT_GIVEN,
        *,
        connect: float | NotGiven | None = NOT_GIVEN,
        read: float | NotGiven | None = NOT_GIVEN,
        write: float | NotGiven | None = NOT_GIVEN,
        pool: float | NotGiven | None = NOT_GIVEN,
    ) -> None:
        parts = (connect, read, write, pool)
        if isinstance(timeout, NotGiven) and any(isinstance(part, NotGiven) for part in parts):
            raise ValueError("Timeout needs a default, or all of connect, read, write and pool")
        default = None if isinstance(timeout, NotGiven) else timeout
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


LONGEST_S = 1e9  # and more, even infinity, is no limit: clocks and sockets cannot count so far

DEFAULT_TIMEOUT = Timeout(600.0, connect=5.0)


def for_transport(limits: Timeout) -> Timeouts:
    connect_s, read_s, write_s, _ = (
        None if each is not None and each > LONGEST_S else each for each in limits._parts()
    )
    return Timeouts(connect_s=connect_s, write_s=write_s, first_byte_s=read_s, idle_s=read_s)


def timeout_of(value: Any, default: Timeout) -> Timeout:
    """A number of seconds, None for no limit, a `Timeout` or httpx's, or not given. Raises TypeError."""
    if isinstance(value, Timeout):
        return value
    if isinstance(value, NotGiven) or type(value).__name__ in ("NotGiven", "Omit", "UseClientDefault"):
        return default
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return Timeout(value)
    if all(hasattr(value, name) for name in Timeout.__slots__):
        return Timeout(**{name: getattr(value, name) for name in Timeout.__slots__})
    raise TypeError(f"a timeout is a number of seconds, None or a Timeout, not {value!r}")
