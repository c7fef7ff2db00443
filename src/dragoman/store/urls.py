"""What the URL of a database says, and how it is called in messages. Imports nothing heavy: no SQL library, no driver.

Two kinds are known: SQLite, in a file or in memory, and PostgreSQL. The URL of the latter may hold a password, so no
message repeats it: `database_name` and `shown_url` are what may be shown.
"""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from dragoman.errors import ConfigError

__all__ = [
    "POSTGRES_FORM",
    "DatabaseURL",
    "check_postgres",
    "database_file",
    "database_name",
    "is_in_memory",
    "shown_url",
]

SQLITE_FORM = 'write "sqlite:///relative.db", "sqlite:////absolute/path.db", or "sqlite://" for one in memory'
POSTGRES_FORM = (
    '"postgresql://user:password@host:5432/name", with %40 for @, %3A for :, %2F for / and %25 for % in a name or '
    "password"
)
IN_MEMORY = ("sqlite://", "sqlite:///:memory:", ":memory:")
POSTGRES = ("postgresql", "postgres")  # schemes; libpq knows both

# As libpq reads it (PostgreSQL documentation, "Connection URIs", read 2026-11-21): several hosts, each with its port,
# or the folder of a socket; what is not said comes out of the PG... variables and files that every client of it reads.
_POSTGRES = re.compile(
    r"(?:postgresql|postgres)://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/]*))?@)?"
    r"(?P<hosts>[^/?#@]*)(?:/(?P<name>[^/?#@]*))?(?:\?(?P<query>[^#]*))?"
)
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::(?P<port>[0-9]*))?")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")


class DatabaseURL(str):
    """A URL that shows no password where its owner is shown, as in the repr of a configuration."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(shown_url(self))


class _Parts(NamedTuple):
    hosts: str
    name: str


def is_in_memory(url: str) -> bool:
    """The database is the process's own, and forgotten at its end."""
    return url in IN_MEMORY


def database_file(url: str) -> Path | None:
    """The absolute path of the file that a database URL names; None for a database that is no file.

    Paths are taken as they stand, not percent-decoded (as SQLAlchemy does). Raises ConfigError.
    """
    if is_in_memory(url):
        return None
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigError(f"database: this is not a URL; {SQLITE_FORM}, or {POSTGRES_FORM}")
    if scheme in POSTGRES:
        if why := check_postgres(url):
            raise ConfigError(f"database: this URL {why}; write {POSTGRES_FORM}")
        return None
    if scheme != "sqlite":  # the rest is not repeated: it may hold a password
        raise ConfigError(
            f"database: {scheme!r} is not a kind of database that is known here; {SQLITE_FORM}, or {POSTGRES_FORM}"
        )
    if len(rest) < 2 or rest[0] != "/" or "\0" in rest or "?" in rest:
        raise ConfigError(f"database: {url!r} does not name a file; {SQLITE_FORM}")
    return Path(rest[1:]).absolute()


def database_name(url: str) -> str:
    """What messages call it, without user and password: "the PostgreSQL database NAME at HOST:PORT". Never raises."""
    if is_in_memory(url):
        return "the database in memory"
    if url.partition("://")[0] not in POSTGRES:
        return f"the database {Path(url.partition(':///')[2]).absolute()}"
    parts = _parts(url)
    name = f" {parts.name}" if parts.name else ""
    where = f" at {parts.hosts}" if parts.hosts else ""
    return _printable(f"the PostgreSQL database{name}{where}")


def shown_url(url: str) -> str:
    """The URL without user, password and what is behind its `?`. Never raises."""
    if url.partition("://")[0] not in POSTGRES:
        return url
    parts = _parts(url)
    return _printable(f"postgresql://{parts.hosts}/{parts.name}")


def check_postgres(url: str) -> str | None:
    """What is wrong with the form of a PostgreSQL URL, to go on from "this URL"; None if nothing is.

    Looks closer than libpq, which would take a slash in a password for the end of the port and quote what is before.
    """
    if any(letter.isspace() or not letter.isprintable() for letter in url):
        return "has a space or a control character in it"
    found = _POSTGRES.fullmatch(url)
    if found is None:
        return "has an @, / or # where none can be"
    if _BAD_PERCENT.search(url):
        return "has a % that begins no %XX"
    hosts = [_HOST.fullmatch(host) for host in found["hosts"].split(",")]
    if not all(host and int(host["port"] or 1) in range(1, 65536) for host in hosts):
        return "has no port from 1 to 65535 after its host"
    if any("=" not in setting for setting in (found["query"] or "x=").split("&")):
        return "has no name=value behind its ?"
    return None


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _parts(url: str) -> _Parts:
    found = _POSTGRES.fullmatch(url)
    if found is None:
        return _Parts("", "")
    query = dict(setting.partition("=")[::2] for setting in (found["query"] or "").split("&"))
    hosts, name = found["hosts"] or query.get("host", ""), found["name"] or query.get("dbname", "")
    return _Parts(unquote(hosts), unquote(name))
