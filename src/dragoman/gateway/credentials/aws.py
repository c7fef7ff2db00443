"""Who signs what goes to AWS: with credentials out of the configuration, else of the environment, else as AWS's own
tools find them (profiles, single sign-on, roles of machines and containers), which botocore does, in a thread.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from dragoman.errors import ConfigError, UpstreamFailed
from dragoman.gateway.config.config import ProviderConfig
from dragoman.providers.base import UpstreamRequest
from dragoman.providers.signing import AwsCredentials, signed

__all__ = ["AwsSigner", "open_signer"]

log = logging.getLogger("dragoman.upstream")

KEPT_S = 60.0  # what botocore gave; it begins to renew credentials 15 minutes before their end
FAILED_S = 5.0  # after which it is asked once more
LOOK_UP_S = 30.0
LARGE_BODY_BYTES = 1024 * 1024  # above, the digest is taken in a thread, off the event loop
AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
REGION = re.compile(r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.")
SERVICES = ("bedrock-mantle", "aws-external-anthropic")  # by their names in a host; all others are SERVICE
SERVICE = "bedrock"
INSTALL = "pip install 'dragoman[bedrock]'"

Source = Callable[[], Awaitable[AwsCredentials]]


class AwsSigner:
    """Signature Version 4, for one region and service. `clock` tells seconds since 1970."""

    def __init__(self, source: Source, *, region: str, service: str, clock: Callable[[], float] = time.time) -> None:
        self.region = region
        self.service = service
        self._source = source
        self._clock = clock

    async def signed(self, request: UpstreamRequest) -> UpstreamRequest:
        credentials = await self._source()

        def work() -> UpstreamRequest:
            return signed(request, credentials, region=self.region, service=self.service, now=self._clock())

        return work() if len(request.body) <= LARGE_BODY_BYTES else await asyncio.to_thread(work)


def open_signer(provider: ProviderConfig, env: Mapping[str, str]) -> AwsSigner:
    """Raises ConfigError where it is clear already that nothing can be signed."""
    host = urlsplit(provider.base_url).hostname or ""
    found = REGION.search(host) if host.endswith(AWS) else None
    region = (found[1] if found else provider.region) or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    if not region:
        raise ConfigError(f'provider {provider.name}: region is missing. Add region = "...", or set AWS_REGION.')
    service = next((each for each in SERVICES if each in host), SERVICE)
    return AwsSigner(_source(provider, env), region=region, service=service)


def _source(provider: ProviderConfig, env: Mapping[str, str]) -> Source:
    key_id, secret, token = (
        None if each is None else each.reveal()
        for each in (provider.access_key_id, provider.secret_access_key, provider.session_token)
    )
    if key_id or secret or token:
        if not key_id or not secret:
            raise ConfigError(f"provider {provider.name}: access_key_id and secret_access_key are needed together.")
        return _given(AwsCredentials(access_key_id=key_id, secret_access_key=secret, session_token=token))
    key_id, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    if provider.profile is None and key_id and secret:
        token = env.get("AWS_SESSION_TOKEN") or None
        return _given(AwsCredentials(access_key_id=key_id, secret_access_key=secret, session_token=token))
    if find_spec("botocore") is None:
        raise ConfigError(
            f"provider {provider.name}: there are no AWS credentials. Set access_key_id and secret_access_key, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or api_key; for profiles, single sign-on and the roles of "
            f"machines: {INSTALL}."
        )
    return _Chain(provider.name, provider.profile)


def _given(credentials: AwsCredentials) -> Source:
    async def source() -> AwsCredentials:
        return credentials

    return source


class _Chain:
    """AWS's own search for credentials: one at a time, and what comes of it is kept for a moment."""

    def __init__(self, provider: str, profile: str | None) -> None:
        self._provider = provider
        self._profile = profile
        self._session: Any = None  # botocore's credentials: they renew themselves
        self._kept: AwsCredentials | None = None
        self._until = 0.0  # seconds, monotonic
        self._lock = asyncio.Lock()

    async def __call__(self) -> AwsCredentials:
        """Raises UpstreamFailed."""
        if time.monotonic() >= self._until:
            async with self._lock:
                if time.monotonic() >= self._until:
                    self._kept = await self._found()
                    self._until = time.monotonic() + (FAILED_S if self._kept is None else KEPT_S)
        if self._kept is None:
            raise UpstreamFailed("The upstream cannot be asked: no AWS credentials were found for it.")
        return self._kept

    async def _found(self) -> AwsCredentials | None:
        try:
            async with asyncio.timeout(LOOK_UP_S):
                found, why = await asyncio.to_thread(self._look_up)
        except TimeoutError:
            found, why = None, f"nothing was found within {LOOK_UP_S:.0f} s"
        if found is None:
            log.warning(
                "provider %s: no AWS credentials: %s. Set access_key_id and secret_access_key, a profile, or the"
                " environment's variables, or give the machine a role.",
                self._provider,
                why,
            )
        return found

    def _look_up(self) -> tuple[AwsCredentials | None, str]:
        """Or why there are none. In a thread: it reads files, may run programs and ask the network."""
        # Imported here, for it takes 0.1 s.
        import botocore.session  # type: ignore[import-untyped]
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

        try:
            if self._session is None:
                self._session = botocore.session.Session(profile=self._profile).get_credentials()
            if self._session is None:
                return None, "none of AWS's usual places holds any"
            frozen = self._session.get_frozen_credentials()
        except (BotoCoreError, ClientError, OSError, ValueError) as error:
            return None, f"{type(error).__name__}: {error}"
        if not frozen.access_key or not frozen.secret_key:
            return None, "those that were found are not whole"
        credentials = AwsCredentials(
            access_key_id=frozen.access_key, secret_access_key=frozen.secret_key, session_token=frozen.token or None
        )
        return credentials, ""
