"""What is the same for each request to one provider. Names none."""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from dragoman.errors import UpstreamFailed
from dragoman.gateway.config.config import ProviderConfig, Secret
from dragoman.gateway.config.hosts import capabilities_of
from dragoman.gateway.credentials.signer import Renewable, Signer
from dragoman.gateway.routing.routing import LONGEST_KEPT
from dragoman.http.base import Request, Response, Timeouts, Transport
from dragoman.providers.base import Dialect, Target, UpstreamRequest

from .counting import Counting
from .delays import told_delay_s
from .estimates import Estimates
from .keyring import Keyring

__all__ = ["Provider"]

REFUSED = 401  # for its credentials
TARGETS_KEPT = 1000  # models of one provider whose target is kept
COUNT_S = 5.0  # for a count: whoever asks for one can do with an estimate
COUNT_LIMIT_BYTES = 1024 * 1024  # of the reply to a request to count


class Provider:
    """A provider's transport, dialect, credentials and counts."""

    def __init__(
        self,
        config: ProviderConfig,
        transport: Transport,
        *,
        dialect: Dialect,
        signer: Signer | None,
        new_id: Callable[[str], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.speaker = dialect.speaker
        self.transport = transport
        self.is_strict = config.strict  # what its dialect cannot carry is refused
        self.signer = signer
        self.new_id = new_id
        self.estimates = Estimates()
        self.counting = Counting(self._fetch, self.estimates)
        self.timeouts = Timeouts(
            connect_s=config.connect_timeout_s,
            first_byte_s=config.first_byte_timeout_s,
            idle_s=config.idle_timeout_s,
            total_s=config.total_timeout_s,
        )
        total_s = config.total_timeout_s
        self._count_timeouts = msgspec.structs.replace(
            self.timeouts, total_s=COUNT_S if total_s is None else min(COUNT_S, total_s)
        )
        self._kept = lru_cache(TARGETS_KEPT)(self._target)
        self._config = config
        self._ring: Keyring | None = None  # of several keys
        self._key = config.api_key
        self._is_locked_out = False  # there are keys of it in the store, and none of them can be read
        self._can = capabilities_of(config.host)

    def use_keys(self, keys: Sequence[Secret] | None) -> None:
        """The store's, the newest first: from now on they are shown in place of the configured one, while there are
        any; several take turns. None: there are some, but none can be read."""
        self._key = keys[0] if keys else self._config.api_key
        self._ring = Keyring(keys) if keys and len(keys) > 1 else None
        self._is_locked_out = keys is None and self._key is None
        self._kept.cache_clear()

    async def signed(self, prepared: UpstreamRequest) -> UpstreamRequest:
        """As it is to be sent. Raises UpstreamFailed where there are no credentials to sign it."""
        return prepared if self.signer is None else await self.signer.signed(prepared)

    async def send(
        self, signed: UpstreamRequest, timeouts: Timeouts | None = None, *, is_sent_once: bool = False
    ) -> Response:
        """Raises TransportError."""
        request = Request("POST", signed.url, signed.headers, signed.body, timeouts or self.timeouts, is_sent_once)
        response = await self.transport.send(request)
        if response.status == REFUSED and isinstance(self.signer, Renewable):
            self.signer.discard(signed)
        return response

    async def _fetch(self, prepared: UpstreamRequest) -> tuple[int, bytes]:
        response = await self.send(await self.signed(prepared), self._count_timeouts)
        try:
            return response.status, await response.read(COUNT_LIMIT_BYTES)
        finally:
            await response.aclose()

    def target(self, model: str) -> Target:
        """Raises UpstreamFailed where nobody can read its key."""
        key = self._key if self._ring is None else self._ring.next(self._clock())
        return self._kept(model, key) if len(model) <= LONGEST_KEPT else self._target(model, key)

    @property
    def has_several_keys(self) -> bool:
        return self._ring is not None

    @property
    def has_fresh_key(self) -> bool:
        """One of several, that the provider has not just refused."""
        return self._ring is not None and self._ring.is_ready(self._clock())

    def told(self, target: Target, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """What it answered a request with that target's key."""
        if self._ring is not None and target.api_key is not None:
            delay_s = told_delay_s(headers, wall=time.time())
            self._ring.answered(target.api_key, self._clock(), status=status, retry_after_s=delay_s)

    def _target(self, model: str, key: Secret | None) -> Target:
        config = self._config
        if self._is_locked_out:
            raise UpstreamFailed("The upstream cannot be asked: its key cannot be read. Tell who runs this server.")
        return Target(
            provider=config.name,
            model=model,
            base_url=config.base_url,
            api_key=None if key is None else key.reveal(),
            auth=config.auth,
            can=self._can,
        )
