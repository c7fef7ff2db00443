"""Tokens of Google's for requests: of a service account's file, or of what Google's own tools find on this machine.

google-auth is loaded when the first token is needed, in a thread, for it takes a tenth of a second and blocks. Here and
nowhere else.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dragoman.errors import ConfigError, UpstreamFailed
from dragoman.providers.base import UpstreamRequest

if TYPE_CHECKING:
    from dragoman.gateway.config.config import ProviderConfig

__all__ = ["GoogleSigner", "Pass", "PassRefused", "google_signer"]

log = logging.getLogger("dragoman.upstream")

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
NEEDED = ("type", "client_email", "private_key", "token_uri")
SERVICE_ACCOUNT = "service_account"
INSTALL = "pip install 'dragoman[vertex]'"
EARLY_S = 300.0  # so long before its end a token is renewed; a short-lived one after half its life
AGAIN_S = 10.0  # when a renewal has failed and the old token is still good, or when a token is refused at once
FETCH_S = 20.0  # for one answer of Google's
UNKNOWN_LIFE_S = 600.0  # of a token whose end nobody tells


class Pass(NamedTuple):
    """What is put on requests, and how long it is good for, in seconds."""

    headers: tuple[tuple[str, str], ...]
    lives_s: float

    def __repr__(self) -> str:  # never with the token
        return f"Pass(lives_s={self.lives_s:.0f})"


class PassRefused(Exception):
    """There is none to be had; the message is for the operator, and holds no secret."""


class GoogleSigner:
    """Keeps a token, and renews it before it ends: once, however many requests wait for it.

    `fetch` blocks, and is called in a thread, by one request at a time; it raises PassRefused.
    """

    def __init__(self, provider: str, fetch: Callable[[], Pass], *, clock: Callable[[], float] = monotonic) -> None:
        self._provider = provider
        self._fetch = fetch
        self._clock = clock
        self._headers: tuple[tuple[str, str], ...] = ()
        self._fetched_at = self._renew_at = self._ends_at = float("-inf")
        self._renewal: asyncio.Task[None] | None = None

    async def signed(self, request: UpstreamRequest) -> UpstreamRequest:
        now = self._clock()
        if now >= self._renew_at:
            renewal = self._renewal or self._begin()
            if now >= self._ends_at:
                await asyncio.shield(renewal)  # who hangs up does not take the token from those who wait with them
        return msgspec.structs.replace(request, headers=[*request.headers, *self._headers])

    def discard(self, refused: UpstreamRequest) -> None:
        """A token that was taken back, say, with its account's key. One that is new is kept: the next one would be
        refused too, and Google is not to be asked with every request."""
        is_ours = bool(self._headers) and all(header in refused.headers for header in self._headers)
        if is_ours and self._clock() - self._fetched_at >= AGAIN_S:
            self._renew_at = self._ends_at = float("-inf")

    def _begin(self) -> "asyncio.Task[None]":
        self._renewal = renewal = asyncio.create_task(self._renewed())
        renewal.add_done_callback(self._ended)
        return renewal

    def _ended(self, renewal: "asyncio.Task[None]") -> None:
        self._renewal = None
        if not renewal.cancelled():
            renewal.exception()  # told already; while the old token is good nobody waits for it

    async def _renewed(self) -> None:
        try:
            fetched = await asyncio.to_thread(self._fetch)
        except PassRefused as error:
            log.warning("provider %s: no token of Google's: %s", self._provider, error)
            self._renew_at = min(self._clock() + AGAIN_S, self._ends_at)
            raise UpstreamFailed("There are no credentials for the upstream at the moment. Please try again.") from None
        now = self._clock()
        self._headers = fetched.headers
        self._fetched_at = now
        self._ends_at = now + fetched.lives_s
        self._renew_at = self._ends_at - min(EARLY_S, fetched.lives_s / 2)


def google_signer(provider: "ProviderConfig") -> GoogleSigner:
    """Raises ConfigError where google-auth is not installed, or the file is no service account's."""
    where = f"{provider.origin}: providers.{provider.name}"
    if find_spec("google") is None or find_spec("google.auth") is None or find_spec("requests") is None:
        raise ConfigError(f'{where}: auth = "google" needs a package that is not installed. {INSTALL}')
    account = None
    if provider.credentials_file is not None:
        account = _account(Path(provider.credentials_file), f"{where}.credentials_file")
    return GoogleSigner(provider.name, _Google(account))


def _account(path: Path, where: str) -> Mapping[str, Any]:
    """A service account's file. What is wrong is told without a word of what is in it."""
    remedy = "Make a key of type JSON for a service account in Google Cloud's console, or leave the setting out."
    try:
        told: Any = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{where}: {path} cannot be read: {error.strerror}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ConfigError(f"{where}: {path} holds no JSON. {remedy}") from None
    kind = told.get("type") if isinstance(told, dict) else None
    if kind != SERVICE_ACCOUNT:
        other = "For credentials of another kind set GOOGLE_APPLICATION_CREDENTIALS to the file instead."
        raise ConfigError(f"{where}: {path} is not the file of a service account. {other}")
    for name in NEEDED:
        if not isinstance(told.get(name), str) or not told[name]:
            raise ConfigError(f"{where}: {path} has no {name}. {remedy}")
    if "-----BEGIN " not in told["private_key"]:
        raise ConfigError(f"{where}: the private_key in {path} is no key in PEM. {remedy}")
    account: dict[str, Any] = told
    return account


class _Google:
    """Asks Google for tokens; in a thread, one call at a time."""

    def __init__(self, account: Mapping[str, Any] | None) -> None:
        self._account = account
        self._credentials: Any = None

    def __call__(self) -> Pass:
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request

        try:
            if self._credentials is None:
                self._credentials = _credentials(self._account)
            credentials = self._credentials
            credentials.refresh(partial(Request(), timeout=FETCH_S))
        except (GoogleAuthError, ValueError, OSError) as error:
            raise PassRefused(f"{type(error).__name__}: {_first_words(error)}") from None
        except Exception as error:  # of what it is made of: a key of another kind is a TypeError of its cryptography
            raise PassRefused(type(error).__name__) from None
        headers: dict[str, str] = {}
        credentials.apply(headers)  # the token, and of people's own credentials the project that pays
        return Pass(tuple((name.lower(), value) for name, value in headers.items()), _lives_s(credentials.expiry))


def _credentials(account: Mapping[str, Any] | None) -> Any:
    if account is None:
        from google.auth import default

        found, _ = default(scopes=[SCOPE])
        return found
    from google.oauth2.service_account import Credentials

    return Credentials.from_service_account_info(account, scopes=[SCOPE])  # type: ignore[no-untyped-call]


def _lives_s(expiry: datetime | None) -> float:
    """google-auth tells it in UTC, without saying so."""
    if expiry is None:
        return UNKNOWN_LIFE_S
    return max(0.0, (expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds())


def _first_words(error: Exception) -> str:
    """The first thing that it says: others hold whole replies."""
    said = str(error.args[0]) if error.args else ""
    return " ".join(said.split())[:300]
