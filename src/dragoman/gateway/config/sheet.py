"""A configuration file being read: hands out checked settings table by table, and collects what is wrong with it.

Knows no setting; those are in config.py. Imports nothing of this package but the error tree and the value readers.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from dragoman.errors import ConfigError

from .text import KeyPath, dotted, parse_toml
from .values import Refused, expand, nearest, shown

__all__ = ["Readers", "Sheet"]

Readers: TypeAlias = Mapping[str, Callable[[object], object]]  # a table's settings, each with its check


class Sheet:
    """One file, and the problems found in it so far: all of them are told at once, in the order of the file.

    `file` is its name, None when there is none; `homes` says which settings exist where ("in [server]": ...), for
    the remedy of one that is in the wrong place. Raises ConfigError at once when the text is not TOML.
    """

    def __init__(self, file: str | None, text: str, *, env: Mapping[str, str], homes: Mapping[str, Readers]) -> None:
        self._file = file
        self._env = env
        self._homes = homes
        self._values, self._lines = parse_toml(text, file or "")
        self._problems: list[tuple[int, str]] = []  # line, message; line 0: not of the file

    def table(self, path: KeyPath) -> dict[str, Any]:
        """The unchecked values of a table; empty when it is absent or no table."""
        found: Any = self._values
        for part in path:
            if isinstance(found, list) and isinstance(part, int):
                found = found[part] if part < len(found) else {}
            else:
                found = found.get(part, {}) if isinstance(found, dict) else {}
        return found if isinstance(found, dict) else {}

    def names(self, group: str) -> list[str]:
        """The NAMEs of all tables [group.NAME], in the order of the file; what else stands there is a problem."""
        names = []
        for name, child in self._table_or_note((group,)).items():
            if isinstance(child, dict):
                names.append(name)
            else:
                self._note_no_table((group, name))
        return names

    def rows(self, group: str) -> list[KeyPath]:
        """The paths of all tables [[group]], in the order of the file; what else stands there is a problem."""
        found = self.table(()).get(group, [])
        remedy = f"Write [[{group}]] with two brackets, once for each, and its settings below that line."
        if not isinstance(found, list):
            self.note((group,), "this is not a list of tables", remedy)
            return []
        for index, row in enumerate(found):
            if not isinstance(row, dict):
                self.note((group, index), "this is not a table", remedy)
        return [(group, index) for index, row in enumerate(found) if isinstance(row, dict)]

    def settings(self, path: KeyPath, readers: Readers, *, tables: tuple[str, ...] = ()) -> dict[str, Any]:
        """The settings of one table that are there and right; of all others, a problem is noted.

        `tables` are the names of tables inside this one, which are left alone. The values are of the types that
        their readers return.
        """
        good: dict[str, Any] = {}
        for name, value in self._table_or_note(path).items():
            if name in tables:
                continue
            if name not in readers:
                self._note_unknown(path, name, [*readers, *tables])
                continue
            try:
                good[name] = readers[name](self._expanded(value))
            except Refused as refused:
                self._note_refused((*path, name), value, refused)
        return good

    def override(self, values: dict[str, Any], name: str, text: str, *, readers: Readers, origin: str) -> None:
        """Set `values[name]` to `text`, which came from `origin` (a variable, a flag) and not from the file."""
        try:
            values[name] = readers[name](text)
        except Refused as refused:
            subject = "the value" if refused.hidden else shown(text)
            self._problems.append((0, f"{origin}: {subject} {refused.why}. {refused.remedy}"))

    def note(self, path: KeyPath, what: str, remedy: str) -> None:
        """Take down a problem with what stands at `path`: `FILE:LINE: PATH: WHAT. REMEDY`."""
        line = self._lines.of(path)
        where = f"{self._file}:{line}: {dotted(path)}" if self._file else dotted(path)
        self._problems.append((line, f"{where}: {what}. {remedy}"))

    def check(self, path: KeyPath, value: Any, reader: Callable[[object], object]) -> None:
        """Note a problem with a value that was read, and that a stricter reader refuses."""
        try:
            reader(value)
        except Refused as refused:
            self._note_refused(path, value, refused)

    def origin(self, path: KeyPath) -> str:
        return f"{self._file}:{self._lines.of(path)}" if self._file else dotted(path)

    def raise_problems(self) -> None:
        """Raises ConfigError when something is wrong: one line a problem, the file's first."""
        if self._problems:
            ordered = sorted(self._problems, key=lambda problem: problem[0] or float("inf"))
            raise ConfigError("\n".join(message for _, message in ordered))

    def _table_or_note(self, path: KeyPath) -> dict[str, Any]:
        if path and not isinstance(self.table(path[:-1]).get(str(path[-1]), {}), dict):
            self._note_no_table(path)
        return self.table(path)

    def _note_no_table(self, path: KeyPath) -> None:
        remedy = f"Write [{dotted(path)}], and its settings below that line."
        for home, readers in self._homes.items():
            if path[-1] in readers:
                remedy = f"It belongs {home}."
                break
        self.note(path, "this is a setting, not a table", remedy)

    def _expanded(self, value: object) -> object:
        if isinstance(value, str):
            return expand(value, self._env)
        if isinstance(value, list):
            return [self._expanded(each) for each in value]
        return value

    def _note_refused(self, path: KeyPath, value: Any, refused: Refused) -> None:
        if refused.index is not None:
            path, value = (*path, refused.index), value[refused.index]
        # As the file has it: what a variable was replaced by may be a secret.
        self.note(path, f"{'the value' if refused.hidden else shown(value)} {refused.why}", refused.remedy)

    def _note_unknown(self, path: KeyPath, name: str, known: list[str]) -> None:
        self.note((*path, name), "there is no such setting here", self._remedy_for_unknown(path, name, known))

    def _remedy_for_unknown(self, path: KeyPath, name: str, known: list[str]) -> str:
        if "models" in path[:-1] and isinstance(self.table(path)[name], dict):
            return f"Is the dot a part of the name? Then quote it: [{dotted((*path[:-1], f'{path[-1]}.{name}'))}]."
        for home, readers in self._homes.items():
            if name in readers:
                return f"It belongs {home}."
        if likely := nearest(name, known):
            return f'Did you mean "{likely}"?'
        for home, readers in self._homes.items():
            if likely := nearest(name, readers):
                return f'Did you mean "{likely}", {home}?'
        return f"Known here: {', '.join(known)}."
