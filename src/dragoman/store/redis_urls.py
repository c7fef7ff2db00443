"""What the URL of a Redis says, and how it is called in messages. It may hold a password, so no message repeats it."""

import re
from urllib.parse import unquote

__all__ = ["REDIS_FORM", "RedisURL", "check_redis", "redis_name", "shown_redis"]

REDIS_FORM = (
    '"redis://host:6379", "redis://user:password@host:6379/0", "rediss://..." for TLS, or "unix:///path/of/the.sock", '
    "with %40 for @, %3A for :, %2F for / and %25 for % in a name or password"
)
_NETWORK = re.compile(
    r"(?P<scheme>rediss?)://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/?#@\[\]]+)(?::(?P<port>[0-9]+))?(?:/(?P<db>[0-9]*))?(?:\?(?P<query>[^#]*))?"
)
_SOCKET = re.compile(
    r"(?P<scheme>unix)://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?(?P<path>/[^?#]+)(?:\?(?P<query>[^#]*))?"
)
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")


class RedisURL(str):
    """A URL that shows no password where its owner is shown, as in the repr of a configuration."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(shown_redis(self))


def check_redis(url: str) -> str | None:
    """What is wrong with the form of a Redis URL, to go on from "this URL"; None if nothing is."""
    if any(letter.isspace() or not letter.isprintable() for letter in url):
        return "has a space or a control character in it"
    if url.partition("://")[0] not in ("redis", "rediss", "unix"):
        return "is not one of a Redis"
    found = _parts(url)
    if found is None:
        return "has no host, or an @, : or / where none can be"
    if _BAD_PERCENT.search(url):
        return "has a % that begins no %XX"
    port = found.groupdict().get("port")
    if port is not None and not (len(port) <= 5 and 0 < int(port) < 65_536):
        return "has no port from 1 to 65535 after its host"
    for setting in (found["query"] or "db=").split("&"):  # others would change what is answered, or when
        name, equals, _ = setting.partition("=")
        if not equals or not (name == "db" or name.startswith("ssl_")):
            return "has something behind its ? that is neither db=NUMBER nor ssl_...="
    return None


def shown_redis(url: str) -> str:
    """The URL without user, password and what is behind its `?`. Never raises."""
    found = _parts(url)
    if found is None:
        return "redis://"
    if found["scheme"] == "unix":
        return f"unix://{found['path']}"
    port = f":{found['port']}" if found["port"] else ""
    db = f"/{found['db']}" if found["db"] else ""
    return f"{found['scheme']}://{found['host']}{port}{db}"


def redis_name(url: str) -> str:
    """What messages call it: "Redis at HOST:PORT"."""
    return f"Redis at {unquote(shown_redis(url).partition('://')[2])}"


def _parts(url: str) -> re.Match[str] | None:
    return _NETWORK.fullmatch(url) or _SOCKET.fullmatch(url)
