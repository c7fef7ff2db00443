"""What the two clients share: their settings, and how one is made from another."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import IO, Any, Final, Self, TypedDict, get_args

from .call import Call, body_of
from .given import NOT_GIVEN, NotGiven, Omit, omit
from .guards import is_mapping
from .log import turn_on
from .record import encode
from .results import Events, Into
from .settings import API_VERSION, DEFAULT_MAX_RETRIES, Settings
from .timeouts import Timeout

__all__ = ["NO_OPTIONS", "BinaryTypes", "Body", "ClientBase", "Headers", "Query", "RequestOptions", "is_proxied"]


BinaryTypes = bytes | bytearray | IO[bytes] | Iterable[bytes]

# What `extra_body`, `extra_headers` and `extra_query` are, for annotations.
Body = object
Headers = Mapping[str, str | Omit]
Query = Mapping[str, object]


class RequestOptions(TypedDict, total=False):
    """How a call by `get`, `post` and the like is made. `params` are the query's; `extra_json` is laid over the body.

    `timeout` is in seconds, None for no limit. `idempotency_key` is taken for the sake of programs that give it.
    """

    headers: Mapping[str, str | Omit]
    max_retries: int
    timeout: "float | Timeout | None"
    params: Mapping[str, object]
    extra_json: Mapping[str, object]
    idempotency_key: str


NO_OPTIONS: Final[RequestOptions] = {}


class ClientBase:
    """Settings may be read and changed as attributes; a change holds for the calls after it."""

    _is_async = False
    _has_own_headers = False  # does a subclass say what `default_headers` or `auth_headers` are?

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._has_own_headers = (
            cls.default_headers is not ClientBase.default_headers or cls.auth_headers is not ClientBase.auth_headers
        )

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
        _strict_response_validation: bool = False,
    ) -> None:
        turn_on()
        self._strict_response_validation = _strict_response_validation  # changes nothing: see docs/client.md
        self._settings = Settings.of(
            api_key=api_key,
            auth_token=auth_token,
            base_url=base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            default_query=default_query,
            is_async=self._is_async,
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
        """With a slash at its end if it has a path."""
        return self._settings.shown_url

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
        token = self.auth_token if self.api_key is None else self.api_key
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    @property
    def default_headers(self) -> dict[str, Any]:
        return {"anthropic-version": API_VERSION, **self.auth_headers, **self._settings.headers}

    @property
    def default_query(self) -> dict[str, Any]:
        return dict(self._settings.query)

    @property
    def user_agent(self) -> str:
        return self._settings.user_agent()

    def _in_force(self) -> Settings:
        """The settings that a call goes by."""
        if not self._has_own_headers:
            return self._settings
        headers = {**self.default_headers, **self.auth_headers}
        if not any(name.lower() == "authorization" for name in headers):
            headers["authorization"] = omit
        return self._settings.but(set_default_headers=headers)

    def _like(self, settings: Settings, transport: Any) -> Self:
        """A client of the same class on another transport, or on this one's: then they share its connections."""
        raise NotImplementedError

    def _twin(self) -> Self:
        """Another with the attributes that a subclass has added. Resources belong to one client: each makes its own."""
        new = type(self).__new__(type(self))
        for name, value in vars(self).items():
            if name != "_is_closed" and not isinstance(getattr(type(self), name, None), cached_property):
                vars(new)[name] = value
        return new

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
        options: RequestOptions,
        *,
        body: object = None,
        content: Any = None,
        is_stream: bool = False,
        stream_cls: Any = None,
    ) -> Call:
        """A call to a path that this client knows nothing of: SDK-45. Raises TypeError for an option that is none."""
        if unknown := options.keys() - RequestOptions.__annotations__.keys():
            raise TypeError(f"`options` has no {min(unknown)!r}; it has {', '.join(RequestOptions.__annotations__)}")
        if body is not None and content is not None:
            raise TypeError("`body`, which is sent as JSON, and `content`, which is sent as it is, exclude each other")
        event = get_args(stream_cls)[0] if get_args(stream_cls) else cast_to
        return Call(
            method,
            path,
            Events(event) if is_stream else Into(cast_to),
            body=_json_bytes(body, options.get("extra_json")) if content is None else _all_bytes(content),
            query=options.get("params"),
            headers=options.get("headers"),
            timeout=options.get("timeout", NOT_GIVEN),
            is_stream=is_stream,
            max_retries=options.get("max_retries"),
        )


def _json_bytes(body: object, extra: Mapping[str, object] | None) -> bytes:
    if body is None and extra is None:
        return b""
    if body is None or is_mapping(body):
        return body_of(body or {}, extra)
    if extra is not None:
        raise TypeError(f"`extra_json` is laid over an object, and the body is a {type(body).__name__}")
    return encode(body)


def _all_bytes(content: Any) -> bytes:
    if isinstance(content, bytes | bytearray):
        return bytes(content)
    return bytes(content.read()) if hasattr(content, "read") else b"".join(content)


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
