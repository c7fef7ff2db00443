"""The `date` header of replies: made once a second. Source: RFC 9110, section 6.6.1."""

import time
from collections.abc import Callable
from email.utils import formatdate

__all__ = ["DateLine"]


class DateLine:
    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._second = -1
        self._line = b""

    def line(self) -> bytes:
        now = self._now()
        if int(now) != self._second:
            self._second = int(now)
            self._line = f"date: {formatdate(now, usegmt=True)}\r\n".encode()
        return self._line
