"""Is this process to be sent requests: what a load balancer asks, as often as it likes. Asks no provider."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from dragoman.errors import StoreError
from dragoman.store.base import Store
from dragoman.store.counters import Counters

__all__ = ["Readiness", "checks"]

log = logging.getLogger("dragoman.readiness")

FRESH_S = 1.0  # so long an answer stands: probes cost the database at most a question a second,
AWAY_S = 0.25  # and four where something was missing
PATIENCE_S = 3.0  # a part that takes longer to answer is away

Check = Callable[[], Awaitable[None]]


def checks(store: Store, counters: Counters, *, needs_counters: bool) -> dict[str, Check]:
    """Counters count where requests are refused without them; else each process helps itself, and is ready."""

    async def ask_counters() -> None:
        """Costs nothing: they notice by themselves."""
        if getattr(counters, "is_away", False):
            raise StoreError(f"{getattr(counters, 'place', 'the counters')}: away")

    found: dict[str, Check] = {"database": store.ping}
    return found | {"counters": ask_counters} if needs_counters else found


class Readiness:
    """Of the parts that requests need. A check raises StoreError where its part is away. `clock`: monotonic seconds."""

    def __init__(self, checks: Mapping[str, Check], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._is_stopping = False
        self._found: dict[str, str] = {}
        self._asked: float | None = None
        self._asking: asyncio.Future[dict[str, str]] | None = None

    def stop(self) -> None:
        """From here on it is not ready: no new requests are wanted."""
        self._is_stopping = True

    async def missing(self) -> Mapping[str, str]:
        """What is not ready, and why: nothing, if it is. The reasons are not for whoever asks: they name places."""
        if self._is_stopping:
            return {"server": "it is being stopped"}
        if self._asked is not None and self._clock() - self._asked < (AWAY_S if self._found else FRESH_S):
            return self._found
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> dict[str, str]:
        try:
            found = dict(zip(self._checks, await asyncio.gather(*map(_trouble, self._checks.values())), strict=True))
            missing = {name: why for name, why in found.items() if why is not None}
            self._note(missing)
            self._found, self._asked = missing, self._clock()
            return missing
        finally:
            self._asking = None

    def _note(self, missing: Mapping[str, str]) -> None:
        """One line when it changes, not one a probe."""
        if missing.keys() != self._found.keys():
            log.warning("not ready: %s", "; ".join(missing.values())) if missing else log.warning("ready again")


async def _trouble(check: Check) -> str | None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await check()
    except StoreError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {PATIENCE_S:g} s"
    return None
