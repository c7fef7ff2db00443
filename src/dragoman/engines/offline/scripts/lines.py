"""On which line of a TOML text a value stands. Asked only when something is wrong, so it may take its time.

tomllib tells no positions. A text that is cut off between two statements is TOML still, so the statement of a value
is the last one of the shortest beginning that holds it. Imports nothing of this package.
"""

import tomllib
from typing import Any, TypeAlias

__all__ = ["KeyPath", "Lines", "holds"]

KeyPath: TypeAlias = tuple[str | int, ...]  # ("rule", 0, "text")


def holds(values: object, path: KeyPath) -> bool:
    """Whether there is a value at `path`."""
    for part in path:
        if isinstance(part, int):
            if not isinstance(values, list) or part >= len(values):
                return False
            values = values[part]
        elif isinstance(values, dict) and part in values:
            values = values[part]
        else:
            return False
    return True


class Lines:
    """A valid TOML text, asked for lines."""

    def __init__(self, text: str) -> None:
        self._lines = text.replace("\r\n", "\n").split("\n")
        self._begun: dict[int, dict[str, Any] | None] = {}

    def of(self, path: KeyPath) -> int:
        """The first line, counted from 1, of the statement that sets `path` or the nearest table around it."""
        while path and not holds(self._beginning(len(self._lines)), path):
            path = path[:-1]
        if not path:
            return 1
        end = self._shortest_with(path)
        start = end - 1
        while start > 0 and self._beginning(start) is None:  # inside of a statement of several lines
            start -= 1
        return start + 1

    def _shortest_with(self, path: KeyPath) -> int:
        """How many lines the shortest beginning has that is TOML and holds `path`."""
        low, high, best = 0, len(self._lines), len(self._lines)
        while low < high:
            middle = end = (low + high) // 2
            while self._beginning(end) is None:
                end += 1
            if holds(self._beginning(end), path):
                high, best = middle, end
            else:
                low = end + 1
        return best

    def _beginning(self, count: int) -> dict[str, Any] | None:
        """The values of the first `count` lines; None when they end within a statement."""
        if count not in self._begun:
            try:
                self._begun[count] = tomllib.loads("\n".join(self._lines[:count]) + "\n")
            except tomllib.TOMLDecodeError:
                self._begun[count] = None
        return self._begun[count]
