"""Canaries: texts that can come from nowhere else, and the search for them in whatever a server leaves behind.

Also what the whole suite is watched for (`conftest.py`): no test may log a whole key of dragoman's form, or a key of a
provider as the tests have them.
"""

import re
import secrets
import sqlite3
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg

__all__ = [
    "KEY_FORM",
    "Canary",
    "database_rows",
    "files_below",
    "found_in",
    "keys_in",
    "new_canary",
    "note_log",
    "take_leaks",
]

# A whole key as `dragoman keys create` makes it. Hints ("sk-dgm-abc...wxyz") and the fixed keys of tests are shorter.
KEY_FORM = re.compile(r"sk-dgm-(?:admin-)?[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
PROVIDERS_KEYS = ("sk-upstream-key-of-ours",)  # serving.UPSTREAM_KEY; test_canary.py holds the two together
CORE_CHARS = 16  # in the midst of a canary: a text that was cut is found as well


class Canary:
    """A secret text, and the forms in which it would be one still."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        raw = text.encode()
        middle = (len(text) - CORE_CHARS) // 2
        core = text[middle : middle + CORE_CHARS].encode()
        shifted = (b64encode(b"\0" * shift + raw)[4:-4] for shift in range(3))  # wherever it stood in what was encoded
        forms = [core, raw.hex().encode()[8:-8], core[::-1], quote(core.decode(), safe="").encode(), *shifted]
        self.forms: tuple[bytes, ...] = tuple(dict.fromkeys(forms))

    def is_in(self, data: bytes) -> bool:
        return any(form in data for form in self.forms)

    def __repr__(self) -> str:
        return f"Canary({self.name})"


def new_canary(name: str, prefix: str = "") -> Canary:
    return Canary(name, prefix + secrets.token_urlsafe(32).replace("-", "x").replace("_", "y"))


def found_in(places: Iterable[tuple[str, bytes]], canaries: Sequence[Canary]) -> list[str]:
    """Which canary is where, a line each."""
    return [f"{canary.name} in {place}" for place, data in places for canary in canaries if canary.is_in(data)]


def files_below(folder: Path, *, but: Sequence[str] = ()) -> Iterator[tuple[str, bytes]]:
    """The bytes of every file, but those of some names."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in but:
            yield f"the file {path.relative_to(folder)}", path.read_bytes()


def database_rows(url: str) -> Iterator[tuple[str, bytes]]:
    """Every table of a database: its name, and the values of all of its rows, bytes as they are."""
    if url.startswith("sqlite:///"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        try:
            for (name,) in names:
                yield name, _joined(connection.execute(f'SELECT * FROM "{name}"').fetchall())
        finally:
            connection.close()
        return
    with psycopg.connect(url) as connected:
        found = connected.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        for (name,) in found.fetchall():
            yield name, _joined(connected.execute(f'SELECT * FROM "{name}"').fetchall())  # type: ignore[arg-type]


def _joined(rows: Iterable[Sequence[object]]) -> bytes:
    values = (value for row in rows for value in row)
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


def note_log(text: str, own_key: str) -> None:
    """Of a server that was a process: `take_leaks` tells what keys were in it. `own_key` is the one that it was given.

    At its start it shows the first key that it made, once, in two lines.
    """
    shown = ("First key: ", "curl ")
    log = "\n".join(line for line in text.splitlines() if not line.startswith(shown))
    _LEAKS.extend(keys_in(log))
    if len(own_key) > len("sk-dgm-") and own_key in log:
        _LEAKS.append(f"{own_key[:12]}...")


def take_leaks() -> list[str]:
    """Keys in logs since the last time that this was asked, each without its end."""
    found = list(_LEAKS)
    _LEAKS.clear()
    return found


_LEAKS: list[str] = []


def keys_in(text: str) -> list[str]:
    """Whole keys in a text, each without its end."""
    found = [match[0] for match in KEY_FORM.finditer(text)]
    found += [key for key in PROVIDERS_KEYS if key in text]
    return [f"{key[:12]}..." for key in found]
