"""What a client is set to: its arguments, and the environment where they leave something open. SDK-1 to 7, 20, 22."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from dragoman import __version__

from .given import NOT_GIVEN, NotGiven, Omit
from .guards import is_list, is_mapping
from .timeouts import DEFAULT_TIMEOUT, Timeout, timeout_of

__all__ = ["API_VERSION", "DEFAULT_MAX_RETRIES", "Settings", "query_text"]

API_VERSION = "2026-10-21"
DEFAULT_BASE_URL = "https://api.anthropic.com"
DEFAULT_MAX_RETRIES = 2
NO_CREDENTIALS = (
    "Could not resolve authentication method: give `api_key` or `auth_token`, set ANTHROPIC_API_KEY or "
    "ANTHROPIC_AUTH_TOKEN, or pass an `authorization` or `x-api-key` header (`omit` for none at all)"
)

HeaderValue = str | Omit
Credentials = Callable[..., Any]  # () -> a token, or an object with `token`; called again when the API answers 401


class Settings:
    """One client's settings. `base_url` has no slash at its end, `shown_url` is as the client tells it; headers and
    query are what the caller set."""

    def __init__(
        self,
        *,
        api_key: str | None,
        auth_token: str | None,
        base_url: str,
        timeout: Timeout,
        max_retries: int,
        headers: dict[str, HeaderValue],
        query: dict[str, Any],
        is_async: bool,
    ) -> None:
        self.api_key = api_key
        self.auth_token = auth_token
        self.base_url = base_url.rstrip("/")
        self.shown_url = base_url
        self.timeout = timeout
        self.max_retries = max_retries
        self.headers = headers
        self.query = query
        self.is_async = is_async

    @classmethod
    def of(
        cls,
        *,
        api_key: str | None,
        auth_token: str | None,
        base_url: Any,
        timeout: Any,
        max_retries: int,
        default_headers: Mapping[str, Any] | None,
        default_query: Mapping[str, Any] | None,
        is_async: bool,
        env: Mapping[str, str] = os.environ,
    ) -> Self:
        """Arguments first; the environment is asked for a credential only where no argument is one.

        Raises TypeError and ValueError for what cannot be meant.
        """
        if api_key is not None and auth_token is not None:
            raise ValueError("`api_key` and `auth_token` exclude each other: both say who calls")
        if api_key is None and auth_token is None:
            api_key = env.get("ANTHROPIC_API_KEY") or None
            auth_token = None if api_key else env.get("ANTHROPIC_AUTH_TOKEN") or None
        if base_url is None:
            base_url = env.get("ANTHROPIC_BASE_URL") or DEFAULT_BASE_URL
        return cls(
            api_key=api_key,
            auth_token=auth_token,
            base_url=_checked_url(str(base_url)),
            timeout=timeout_of(timeout, DEFAULT_TIMEOUT),
            max_retries=checked_retries(max_retries),
            headers=_layered(_header_lines(env.get("ANTHROPIC_CUSTOM_HEADERS", "")), default_headers or {}),
            query=dict(default_query or {}),
            is_async=is_async,
        )

    def but(
        self,
        *,
        api_key: str | None = None,
        auth_token: str | None = None,
        base_url: Any = None,
        timeout: Any = NOT_GIVEN,
        max_retries: int | NotGiven = NOT_GIVEN,
        default_headers: Mapping[str, Any] | None = None,
        set_default_headers: Mapping[str, Any] | None = None,
        default_query: Mapping[str, Any] | None = None,
        set_default_query: Mapping[str, Any] | None = None,
    ) -> "Settings":
        """These settings with some others: `default_...` adds to what is there, `set_default_...` replaces it."""
        if default_headers is not None and set_default_headers is not None:
            raise ValueError("`default_headers` and `set_default_headers` exclude each other")
        if default_query is not None and set_default_query is not None:
            raise ValueError("`default_query` and `set_default_query` exclude each other")
        other_key = api_key is not None or auth_token is not None
        headers = self.headers if set_default_headers is None else set_default_headers
        query = self.query if set_default_query is None else set_default_query
        return Settings(
            api_key=api_key if other_key else self.api_key,
            auth_token=auth_token if other_key else self.auth_token,
            base_url=self.shown_url if base_url is None else _checked_url(str(base_url)),
            timeout=timeout_of(timeout, self.timeout),
            max_retries=self.max_retries if isinstance(max_retries, NotGiven) else checked_retries(max_retries),
            headers=_layered(headers, default_headers or {}),
            query={**query, **(default_query or {})},
            is_async=self.is_async,
        )

    # -- what goes out --

    def url(self, path: str, query: Mapping[str, Any] | None = None) -> str:
        """`path` below the base URL, or an absolute URL as it is. SDK-4."""
        url = path if "://" in path else f"{self.base_url}/{path.removeprefix('/')}"
        if not query and not self.query:
            return url
        text = query_text({**self.query, **(query or {})})
        if not text:
            return url
        return f"{url}{'&' if '?' in url else '?'}{text}"

    def request_headers(self, extra: Mapping[str, Any] | None, *, retries_taken: int) -> list[tuple[str, str]]:
        """Ours, then the client's, then the call's: a later one wins, whatever its case, and `omit` removes.

        Raises TypeError when nothing says who calls: SDK-3.
        """
        headers = {
            "accept": "application/json",
            "content-type": "application/json",
            "user-agent": self.user_agent(),
            "anthropic-version": API_VERSION,
            "x-stainless-retry-count": str(retries_taken),
        }
        token = self.auth_token if self.api_key is None else self.api_key
        if token is not None:
            headers["authorization"] = _header_text(f"Bearer {token}")
        if not self.headers and not extra:
            if token is None:
                raise TypeError(NO_CREDENTIALS)
            return list(headers.items())
        return _merged(headers, self.headers, extra or {})

    def user_agent(self) -> str:
        name = "AsyncDragoman" if self.is_async else "Dragoman"
        return f"{name}/Python {__version__} (Python {sys.version_info[0]}.{sys.version_info[1]})"


def _layered(*layers: Mapping[str, Any]) -> dict[str, HeaderValue]:
    """The headers of all layers, named as they were given. A later one wins, whatever its case."""
    named: dict[str, str] = {}
    headers: dict[str, HeaderValue] = {}
    for name, value in ((name, value) for layer in layers for name, value in layer.items() if value is not None):
        headers.pop(named.get(name.lower(), ""), None)
        named[name.lower()] = name
        headers[name] = value
    return headers


def _header_text(value: Any) -> str:
    """The value as it is handed to a transport: a character for each byte. What is not ASCII goes out as UTF-8."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    text = value if isinstance(value, str) else str(value)
    return text if text.isascii() else text.encode().decode("latin-1")


def _merged(ours: dict[str, str], *layers: Mapping[str, Any]) -> list[tuple[str, str]]:
    headers = dict(ours)
    omitted: set[str] = set()
    for layer in layers:
        for name, value in layer.items():
            name = name.lower()
            if value is None or isinstance(value, NotGiven):
                continue
            if isinstance(value, Omit) or type(value).__name__ == "Omit":
                headers.pop(name, None)
                omitted.add(name)
            else:
                headers[name] = _header_text(value)
                omitted.discard(name)
    known = ("authorization", "x-api-key")
    if not any(headers.get(name) for name in known) and not omitted.intersection(known):
        raise TypeError(NO_CREDENTIALS)
    return list(headers.items())


def query_text(query: Mapping[str, Any]) -> str:
    """A query: lists as `name[]=`, objects as `name[key]=`, spaces as %20; what is not given is left out. SDK-44."""
    from urllib.parse import quote, urlencode

    return urlencode([pair for name, value in query.items() for pair in _pairs(name, value)], quote_via=quote)


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    if value is None or isinstance(value, NotGiven | Omit):
        return []
    if is_mapping(value):
        return [pair for key, item in value.items() for pair in _pairs(f"{name}[{key}]", item)]
    if is_list(value):
        return [pair for item in value for pair in _pairs(f"{name}[]", item)]
    if isinstance(value, bool):
        return [(name, "true" if value else "false")]
    return [(name, str(value))]


def checked_retries(value: Any) -> int:
    """SDK-22. Raises TypeError for None, which might be meant as any number, and for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # the last is NaN
        raise TypeError("max_retries must be a number: 0 for no retries, math.inf for no end of them")
    return value  # type: ignore[return-value]


def _checked_url(url: str) -> str:
    """With a slash at the end of a path, as the official client shows it; a bare host is as it was given."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        shown = "what was given holds a password" if "@" in url else repr(url)
        raise ValueError(f"base_url must begin with http:// or https:// and name a host: {shown}")
    return url if url.endswith("/") or not parts.path else f"{url}/"


def _header_lines(text: str) -> dict[str, HeaderValue]:
    """The lines `Name: value` of ANTHROPIC_CUSTOM_HEADERS."""
    parted = (line.partition(":") for line in text.split("\n"))
    return {name.strip(): value.strip() for name, colon, value in parted if colon}
