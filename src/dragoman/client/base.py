"""What the two clients share: their settings, and how one is made from another."""

from collections.abc import Mapping
from typing import Any, Self

from .call import Call, body_of
from .given import NOT_GIVEN, NotGiven
from .results import Into
from .settings import API_VERSION, DEFAULT_MAX_RETRIES, Settings
from .timeouts import Timeout

__all__ = ["ClientBase", "is_proxied"]


class ClientBase:
    """Settings may be read and changed as attributes; a change holds for the calls after it."""

    is_async = False

    def __init__(
        self,
        *,
        api_key: str | None = None,
        auth_token: str | None = None,
        base_url: Any = None,
        timeout: "float | Timeout | NotGiven | None" = NOT_GIVEN,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
    ) -> None:
        self._settings = Settings.of(
            api_key=api_key,
            auth_token=auth_token,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
            is_async=self.is_async,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._settings.base_url!r})"

    # -- settings --

    @property
    def api_key(self) -> str | None:
        return self._settings.api_key

    @api_key.setter
    def api_key(self, value: str | None) -> None:
        self._settings.api_key = value

    @property
    def auth_token(self) -> str | None:
        return self._settings.auth_token

    @auth_token.setter
    def auth_token(self, value: str | None) -> None:
        self._settings.auth_token = value

    @property
    def base_url(self) -> str:
        """With a slash at its end."""
        return self._settings.base_url + "/"

    @base_url.setter
    def base_url(self, value: Any) -> None:
        self._settings = self._settings.but(base_url=value)

    @property
    def timeout(self) -> Timeout:
        return self._settings.timeout

    @timeout.setter
    def timeout(self, value: Any) -> None:
        self._settings = self._settings.but(timeout=value)

    @property
    def max_retries(self) -> int:
        return self._settings.max_retries

    @max_retries.setter
    def max_retries(self, value: int) -> None:
        self._settings = self._settings.but(max_retries=value)

    @property
    def auth_headers(self) -> dict[str, str]:
        token = self.api_key if self.auth_token is None else self.auth_token
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    @property
    def default_headers(self) -> dict[str, Any]:
        return {"anthropic-version": API_VERSION, **self.auth_headers, **self._settings.headers}

    @property
    def default_query(self) -> dict[str, Any]:
        return dict(self._settings.query)

    def _like(self, settings: Settings, transport: Any) -> Self:
        """A client of the same class on another transport, or on this one's: then they share its connections."""
        raise NotImplementedError

    def copy(
        self,
        *,
        api_key: str | None = None,
        auth_token: str | None = None,
        base_url: Any = None,
        timeout: "float | Timeout | NotGiven | None" = NOT_GIVEN,
        http_client: Any = None,
        max_retries: int | NotGiven = NOT_GIVEN,
        default_headers: Mapping[str, str] | None = None,
        set_default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        set_default_query: Mapping[str, object] | None = None,
    ) -> Self:
        """A client with some settings changed, on the same connections. `default_...` adds, `set_default_...` replaces.

        SDK-7. Raises ValueError when both forms of one are given.
        """
        settings = self._settings.but(
            api_key=api_key,
            auth_token=auth_token,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            set_default_headers=set_default_headers,
            default_query=default_query,
            set_default_query=set_default_query,
        )
        return self._like(settings, http_client)

    with_options = copy

    def _free_call(
        self,
        method: str,
        path: str,
        cast_to: Any,
        body: object,
        options: Mapping[str, Any],
        *,
        is_stream: bool,
    ) -> Call:
        """A call to a path that this client knows nothing of: SDK-45. `options` as of `post`."""
        from .results import Events

        content = body if isinstance(body, bytes) else b""
        if body is not None and not isinstance(body, bytes):
            content = body_of(body, options.get("extra_body")) if isinstance(body, Mapping) else body_of({}, {})
        return Call(
            method,
            path,
            Events(cast_to) if is_stream else Into(cast_to),
            body=content,
            query=options.get("params") or options.get("extra_query"),
            headers=options.get("headers") or options.get("extra_headers"),
            timeout=options.get("timeout", NOT_GIVEN),
            is_stream=is_stream,
            max_retries=options.get("max_retries"),
        )


def is_proxied(base_url: str) -> bool:
    """Does the environment name a proxy for this address? Only httpx2 knows how to speak to one."""
    import os

    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return False
    from urllib.parse import urlsplit
    from urllib.request import getproxies_environment, proxy_bypass

    parts = urlsplit(base_url)
    proxies = getproxies_environment()
    return bool(proxies.get(parts.scheme) or proxies.get("all")) and not proxy_bypass(parts.netloc)
