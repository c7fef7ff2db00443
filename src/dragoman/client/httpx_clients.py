"""Clients of httpx2 with the limits of ours, to be changed and handed in as `http_client`. This loads httpx2."""

from typing import Any

import httpx2

from .timeouts import DEFAULT_TIMEOUT

__all__ = ["DEFAULT_CONNECTION_LIMITS", "DefaultAsyncHttpxClient", "DefaultHttpxClient"]

DEFAULT_CONNECTION_LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)


class DefaultHttpxClient(httpx2.Client):
    """Takes what httpx2's takes; what is not given is as long and as many as here."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**(_defaults() | options))


class DefaultAsyncHttpxClient(httpx2.AsyncClient):
    """As DefaultHttpxClient, for asyncio."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**(_defaults() | options))


def _defaults() -> dict[str, Any]:
    return {
        "timeout": httpx2.Timeout(**DEFAULT_TIMEOUT.as_dict()),
        "limits": DEFAULT_CONNECTION_LIMITS,
        "follow_redirects": True,
    }
