"""One reader for each kind of value that the configuration holds: it returns the value, or raises Refused.

Imports nothing of this folder. A reader never puts a value into its text: `Refused` goes on from the value
("... is not a port"), and who reports it decides whether the value may be shown.
"""

import datetime
import difflib
import ipaddress
import math
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from dragoman.store.redis_urls import REDIS_FORM, RedisURL, check_redis
from dragoman.store.urls import POSTGRES_FORM, DatabaseURL, check_postgres

__all__ = [
    "Listen",
    "Refused",
    "Secret",
    "TargetName",
    "base_url",
    "ca_file",
    "choice",
    "count",
    "counters_url",
    "database_url",
    "expand",
    "listen_address",
    "messages_url",
    "nearest",
    "networks",
    "path",
    "per_second",
    "readable_file",
    "seconds",
    "secret",
    "shown",
    "targets",
    "whole",
    "why_no_identity",
    "word",
    "yes_or_no",
]

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|(\$)|)")
_BEFORE_AT = re.compile(r"^([a-z][a-z0-9+.]*://)?.*@", re.DOTALL | re.IGNORECASE)
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_ONLY_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")
_LONGEST_SHOWN = 60  # characters
TARGETS_LIMIT = 20
_LONGEST_WAIT_S = 86_400  # a day: longer is a slip of the unit


class Refused(ValueError):
    """A value that is not taken: `why` is the rest of a sentence that the value begins, `remedy` a sentence.

    `index` names the element of a list that is meant. `hidden`: the value must not be shown.
    """

    def __init__(self, why: str, remedy: str, *, index: int | None = None, hidden: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy
        self.index = index
        self.hidden = hidden


class Secret:
    """A text that no log, repr or dump shows; `reveal()` gives it to the one place that sends it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


class Listen(NamedTuple):
    """Where the server listens. Port 0: the system picks a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class TargetName(NamedTuple):
    """A model of a provider, by their names."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


def expand(value: str, env: Mapping[str, str]) -> str:
    """`value` with each ${NAME} replaced out of `env`, once, and $$ by a dollar sign.

    A `$` of any other kind is refused: taken literally, a typing error would travel on as part of a key.
    """
    names = [match[1] for match in _VARIABLE.finditer(value) if not match[2]]
    if None in names:
        raise Refused("has a $ that begins no ${NAME}", "Write $$ for a dollar sign.", hidden=True)
    if unset := sorted({name for name in names if name not in env}):
        which = ", ".join(unset)
        raise Refused(
            f"needs {which}, which the environment does not have",
            f"Set {which}, or write the value here in its place.",
            hidden=True,
        )
    return _VARIABLE.sub(lambda match: env[match[1]] if match[1] else "$", value)


def shown(value: object) -> str:
    """`value` as a message may quote it: short, and without what looks like a credential."""
    if isinstance(value, str):
        masked = re.sub(r"sk-[\w-]+", "***", _BEFORE_AT.sub(r"\1***@", value))
        cut = masked if len(masked) <= _LONGEST_SHOWN else masked[:_LONGEST_SHOWN] + "..."
        return '"' + "".join(letter if letter.isprintable() else "?" for letter in cut) + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "so large a number" if abs(value) > 1e18 else str(value)
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    assert isinstance(value, datetime.date | datetime.time), "TOML has no other types"
    return str(value)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` may be a slip of."""
    close = difflib.get_close_matches(word.lower().replace("-", "_"), list(known), n=1, cutoff=0.62)
    return close[0] if close else None


def choice(*words: str) -> Callable[[object], str]:
    either = " or ".join(f'"{word}"' for word in words)

    def read(value: object) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise Refused("is not one of the words it takes", f"Write {either}.")

    return read


def yes_or_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise Refused("is neither true nor false", "Write true or false, without quotes.")


def word(value: object) -> str:
    """A name without space or control characters."""
    if isinstance(value, str) and re.fullmatch(r"[!-~]{1,256}", value):
        return value
    raise Refused("is not a name", "Write it in quotes, without spaces.")


def whole(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise Refused(f"is not a whole number from {low} to {high}", f"Write one, without quotes: {low} to {high}.")

    return read


def count(low: int, high: int) -> Callable[[object], int]:
    """As `whole`; a text of digits too, as the environment and the command line have it."""
    of_number = whole(low, high)

    def read(value: object) -> int:
        is_text = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10
        return of_number(int(str(value)) if is_text else value)

    return read


def seconds(low: float) -> Callable[[object], float]:
    """Seconds from `low` to a day."""

    def read(value: object) -> float:
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        if low <= number <= _LONGEST_WAIT_S:  # not true of nan
            return float(number)
        raise Refused(
            f"is not a number of seconds from {low:g} to {_LONGEST_WAIT_S}",
            "Write the seconds as a number without quotes or unit, such as 30.0.",
        )

    return read


def listen_address(value: object) -> Listen:
    """`host:port`, `[IPv6]:port`, or `:port` for every IPv4 address of the machine."""
    remedy = 'Write "host:port", such as "127.0.0.1:8000", "[::1]:8000", or ":8000" for all interfaces.'
    if not isinstance(value, str):
        raise Refused("is not text", remedy)
    if "//" in value:
        raise Refused("is a URL, not an address", remedy)
    host, colon, port = value.rpartition(":")
    if not colon:
        raise Refused("names no port", remedy)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535):
        raise Refused("has no port from 0 to 65535 after its last colon", remedy)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ip(host, ipaddress.IPv6Address):
            raise Refused("has no IPv6 address between its brackets", remedy)
    elif ":" in host:
        raise Refused("has an IPv6 address without brackets, or two ports", remedy)
    elif _ONLY_DIGITS_AND_DOTS.fullmatch(host) and not _is_ip(host, ipaddress.IPv4Address):
        raise Refused("has no IPv4 address before its port", remedy)
    elif host and not _HOST_NAME.fullmatch(host):
        raise Refused("has no host name or address before its port", remedy)
    return Listen(host or "0.0.0.0", int(port))  # noqa: S104


def _is_ip(host: str, kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]) -> bool:
    try:
        kind(host)
    except ValueError:
        return False
    return True


def database_url(value: object) -> str:
    """A `sqlite:///` URL; what follows the third slash is the file's path. `sqlite://` alone is in memory.

    Or a PostgreSQL URL as libpq takes it.
    """
    remedy = (
        'Write "sqlite:///dragoman.db", "sqlite:////srv/dragoman.db" for an absolute path, '
        'or "postgresql://user:password@host/name".'
    )
    if not isinstance(value, str):
        raise Refused("is not text", remedy)
    scheme, separator, rest = value.partition("://")
    if not separator:
        raise Refused("is not a database URL", remedy)
    if scheme.startswith(("postgresql+", "postgres+")):
        raise Refused("names a driver", f"Write {POSTGRES_FORM}.", hidden=True)
    if scheme in ("postgresql", "postgres"):
        if why := check_postgres(value):
            raise Refused(why, f"Write {POSTGRES_FORM}.", hidden=True)
        return DatabaseURL(value)
    if scheme != "sqlite":
        raise Refused("is not the URL of a database that dragoman knows", remedy)
    remedy = 'Write "sqlite:///dragoman.db", or "sqlite:////srv/dragoman.db" for an absolute path.'
    if rest and not rest.startswith("/"):
        raise Refused("has two slashes after sqlite:, where a path needs three", remedy)
    if rest == "/":
        raise Refused("names no file", remedy)
    if "?" in rest or "\0" in rest:
        raise Refused("has a ? or a NUL in its path", remedy)
    return value


def counters_url(value: object) -> str:
    """The URL of a Redis. It may hold a password, so it is never shown."""
    if not isinstance(value, str):
        raise Refused("is not text", f"Write {REDIS_FORM}.", hidden=True)
    if why := check_redis(value):
        raise Refused(why, f"Write {REDIS_FORM}.", hidden=True)
    return RedisURL(value)


def base_url(value: object) -> str:
    """The URL that a dialect's paths are appended to: scheme in lower case, no slash at its end."""
    remedy = 'Write "http://host:port" or "https://host/prefix".'
    if not isinstance(value, str):
        raise Refused("is not text", remedy)
    if any(letter.isspace() or not letter.isprintable() for letter in value):  # urlsplit drops some in silence
        raise Refused("has a space or a control character in it", remedy)
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise Refused("has a broken host or port", remedy) from error
    if parts.scheme not in ("http", "https"):
        raise Refused("begins with neither http:// nor https://", remedy)
    if not parts.hostname or port == 0:
        raise Refused("names no host" if port != 0 else "names port 0", remedy)
    if "@" in parts.netloc:
        raise Refused("has credentials in it", "Take them out and set api_key.", hidden=True)
    if parts.query or parts.fragment or value.endswith(("?", "#")):
        raise Refused("has a ? or # in it, but a path follows", "Keep what stands before it.", hidden=True)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def messages_url(value: object) -> str:
    """As `base_url`, of a server that speaks the Messages API: the URL that `/v1/messages` is appended to."""
    url = base_url(value)
    if url.endswith(("/v1", "/v1/messages")):
        raise Refused("ends in a path that dragoman adds by itself (/v1/messages)", "Remove /v1 and what follows it.")
    return url


def secret(value: object) -> Secret:
    """A key that can stand in an HTTP header."""
    if not isinstance(value, str):
        raise Refused("is not text", 'Write api_key = "${SOME_VARIABLE}".', hidden=True)
    if not value:
        raise Refused("is empty", "Give it a value, or leave the setting out if no key is needed.", hidden=True)
    if not all("!" <= letter <= "~" for letter in value):
        raise Refused(
            "has a space, a line break or a letter beyond ASCII in it, which no key has",
            "Copy the key again, without what stands around it.",
            hidden=True,
        )
    return Secret(value)


def ca_file(value: object) -> str:
    """The path of a file of certificates in PEM form; it is opened here, so that a wrong one is told at start."""
    remedy = "Give the path of a readable file of certificates in PEM form, in quotes."
    if not isinstance(value, str) or not value or "\0" in value:
        raise Refused("is not a path", remedy)
    try:
        ssl.create_default_context(cafile=value)
    except OSError as error:  # SSLError is one: a file without a certificate
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
        raise Refused(f"cannot be used ({reason})", remedy) from error
    return value


def readable_file(value: object) -> str:
    """The path of a file that can be opened now; what is in it is looked at by who knows the files beside it."""
    remedy = "Give the path of a readable file, in quotes."
    if not isinstance(value, str) or not value or "\0" in value:
        raise Refused("is not a path", remedy)
    try:
        with open(value, "rb"):
            return value
    except (OSError, ValueError) as error:  # ValueError: letters that no file system takes
        raise Refused(f"cannot be used ({getattr(error, 'strerror', None) or error})", remedy) from error


def why_no_identity(cert_file: str, key_file: str | None) -> str | None:
    """Why a client cannot show the certificate of these files, or None when it can."""
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert_file, key_file, password="")
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else None
        said = {
            "KEY_VALUES_MISMATCH": "the key belongs to another certificate",
            "BAD_DECRYPT": "the key is locked by a passphrase",
            "BAD_PASSWORD_READ": "the key is locked by a passphrase",
        }
        return said.get(reason or "", "there is no certificate with its key in it")
    return None


def path(value: object) -> str:
    """The path of a file; whether it can be read is told by who reads it, at start."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise Refused("is not a path", "Give the path of a file, in quotes.")
    return value


def per_second(value: object) -> float:
    """A rate above nothing."""
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if 0.01 <= number <= 1_000_000:  # not true of nan
        return float(number)
    raise Refused("is not a number from 0.01 to 1000000", "Write it without quotes or unit, such as 50.")


def networks(value: object) -> tuple[str, ...]:
    """Addresses and networks, each as `10.0.0.0/8`."""
    remedy = 'Write a list such as ["10.0.0.0/8", "2001:db8::/32"].'
    if not isinstance(value, list):
        raise Refused("is not a list", remedy)
    found = []
    for index, each in enumerate(value):
        try:
            found.append(str(ipaddress.ip_network(each if isinstance(each, str) else "")))
        except ValueError:
            raise Refused("is neither an address nor a network without bits behind it", remedy, index=index) from None
    return tuple(found)


def targets(value: object) -> tuple[TargetName, ...]:
    """The `provider/model` texts of a list; whether the providers exist is not asked here."""
    remedy = 'Write targets = ["provider/model"].'
    if not isinstance(value, list):
        raise Refused("is not a list", remedy)
    if not value:
        raise Refused("is empty", remedy)
    if len(value) > TARGETS_LIMIT:
        raise Refused(f"has more than {TARGETS_LIMIT} targets", "Keep the best of them.")
    found: list[TargetName] = []
    for index, each in enumerate(value):
        provider, slash, model = each.partition("/") if isinstance(each, str) else ("", "", "")
        if not slash:
            raise Refused("has no / between provider and model", remedy, index=index)
        if not provider or not model or any(not "!" <= letter <= "~" for letter in model):
            raise Refused("lacks a provider before its / or a model after it", remedy, index=index)
        if TargetName(provider, model) in found:
            raise Refused("is there twice", "Keep one of the two; weights tell how much each gets.", index=index)
        found.append(TargetName(provider, model))
    return tuple(found)
