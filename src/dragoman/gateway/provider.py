"""What is the same for each request to one provider. Names none."""

from collections.abc import Callable
from functools import lru_cache

import msgspec

from dragoman.http.base import Request, Response, Timeouts, Transport
from dragoman.providers.base import Dialect, Target, UpstreamRequest

from .config import ProviderConfig
from .counting import Counting
from .credentials import Renewable, Signer
from .estimates import Estimates
from .hosts import capabilities_of
from .routing import LONGEST_KEPT

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
    ) -> None:
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
        self._can = capabilities_of(config.host)

    async def signed(self, prepared: UpstreamRequest) -> UpstreamRequest:
        """As it is to be sent. Raises UpstreamFailed where there are no credentials to sign it."""
        return prepared if self.signer is None else await self.signer.signed(prepared)

    async def send(self, signed: UpstreamRequest, timeouts: Timeouts | None = None) -> Response:
        """Raises TransportError."""
        request = Request("POST", signed.url, signed.headers, signed.body, timeouts or self.timeouts)
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
        return self._kept(model) if len(model) <= LONGEST_KEPT else self._target(model)

    def _target(self, model: str) -> Target:
        config = self._config
        return Target(
            provider=config.name,
            model=model,
            base_url=config.base_url,
            api_key=None if config.api_key is None else config.api_key.reveal(),
            auth=config.auth,
            can=self._can,
        )
