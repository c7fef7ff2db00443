"""The log of a client, `logging.getLogger("dragoman.client")`: a line for each attempt (debug) and each retry (info).

Neither keys nor bodies are in it, nor the query of a URL. ANTHROPIC_LOG, `debug` or `info`, turns it on (SDK-2), and so
does a program that sets the level. Where nobody has loaded `logging`, nobody listens, and it stays unloaded.
"""

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dragoman.http.base import Request, TransportError

if TYPE_CHECKING:
    from logging import Logger

    from .reply import Response

__all__ = ["Watch", "turn_on", "watch"]

NAME = "dragoman.client"
LEVELS = ("debug", "info")
FORMAT = "[%(asctime)s - %(name)s - %(levelname)s] %(message)s"

INFO = 20  # logging.INFO

_logger: Any = None  # a Logger, once somebody has loaded `logging`
_turned_on: set[str] = set()


def turn_on(env: Mapping[str, str] = os.environ) -> None:
    """As the environment says, once: what a program sets after that stays."""
    level = env.get("ANTHROPIC_LOG")
    if level not in LEVELS or level in _turned_on:
        return
    _turned_on.add(level)
    import logging

    logging.basicConfig(format=FORMAT, datefmt="%Y-%m-%d %H:%M:%S")  # no more than the first to do so
    logging.getLogger(NAME).setLevel(level.upper())


def watch() -> "Watch | None":
    """None where nobody listens, which is nearly always."""
    global _logger
    logger = _logger
    if logger is None:
        logging: Any = sys.modules.get("logging")
        if logging is None or not hasattr(logging, "getLogger"):  # in the middle of its import
            return None
        logger = _logger = logging.getLogger(NAME)
    return Watch(logger) if logger.isEnabledFor(INFO) else None


class Watch:
    """Tells of one call."""

    def __init__(self, logger: "Logger") -> None:
        self._logger = logger

    def sending(self, request: Request, taken: int) -> None:
        self._logger.debug("%s, attempt %d", _named(request), taken + 1)

    def came(self, request: Request, response: "Response") -> None:
        request_id = response.headers.get("request-id", "none")
        self._logger.debug("%s: %d, request-id %s", _named(request), response.status_code, request_id)

    def failed(self, request: Request, error: TransportError) -> None:
        self._logger.debug("%s: %s, %s", _named(request), type(error).__name__, error)

    def retrying(self, request: Request, delay_s: float, left: float) -> None:
        self._logger.info("%s: again in %.2f s, retries left: %s", _named(request), delay_s, left)


def _named(request: Request) -> str:
    """Method and URL, without a user, a password and a query."""
    parts = urlsplit(request.url)
    return f"{request.method} {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
