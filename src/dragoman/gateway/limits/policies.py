"""Tiers, and who is in which, as they are set while the server runs: they go before what the configuration says.

Each process reads them every few seconds, and at once what was set through it. What is read and cannot be is left out
and told, never in the way of a start: an older process, or a changed configuration, may not know a model or a tier.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from dragoman.errors import ConfigError, StoreError
from dragoman.gateway.config.limits import GroupConfig, LimitsConfig, TierConfig
from dragoman.store.organization import OrganizationStore, SettingRecord

from .limits import Limits

__all__ = ["ORIGIN", "Policies", "read_tier"]

log = logging.getLogger("dragoman.policies")

REFRESH_S = 4.0  # what is set is in force everywhere within 5 s
ORIGIN = "api"  # of a tier that was set while the server runs
ASSIGNED = ("organization", "default_workspace")


class Policies:
    """Keeps `limits` to what is set in `store`, over `configured`."""

    def __init__(
        self,
        limits: Limits,
        configured: LimitsConfig,
        *,
        store: OrganizationStore,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limits = limits
        self._configured = configured
        self._store = store
        self._sleep = sleep
        self._seen: Sequence[SettingRecord] = ()
        self._refreshing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises StoreError."""
        await self.refresh()
        self._refreshing = asyncio.create_task(self._keep_refreshing(), name="dragoman-policies")

    async def aclose(self) -> None:
        refreshing, self._refreshing = self._refreshing, None
        if refreshing is not None:
            refreshing.cancel()
            await asyncio.gather(refreshing, return_exceptions=True)

    def is_configured(self, tier: str) -> bool:
        """By the file, or built in: whatever was set besides."""
        return tier in self._configured.tiers

    async def refresh(self) -> None:
        """Read what is set now; nothing is done when it is what it was. Raises StoreError."""
        records = [each for each in await self._store.settings() if each.kind in ("tier", "assignment")]
        if records != list(self._seen):
            self._seen = records
            self._limits.use(self._merged(records))

    async def _keep_refreshing(self) -> None:
        is_away = False
        while True:
            await self._sleep(REFRESH_S)
            try:
                await self.refresh()
                is_away = False
            except StoreError as error:
                if not is_away:
                    log.warning("tiers cannot be read, those known stay in force: %s", error)
                is_away = True
            except Exception:
                log.exception("tiers could not be refreshed by a fault of dragoman's")

    def _merged(self, records: Sequence[SettingRecord]) -> LimitsConfig:
        tiers = dict(self._configured.tiers)
        for record in records:
            if record.kind == "tier":
                try:
                    tier = read_tier(record.name, msgspec.json.decode(record.value))
                    self._limits.check(tier)
                except (ConfigError, msgspec.DecodeError) as error:
                    log.warning("tier %r, which was set while the server runs, is left out: %s", record.name, error)
                else:
                    tiers[tier.name] = tier
        assigned: dict[str, Any] = {}
        for record in records:
            if record.kind == "assignment" and record.name in ASSIGNED:
                name = msgspec.json.decode(record.value)
                if name is None or name in tiers:
                    assigned[record.name] = name
                else:
                    log.warning("%s was put into tier %r, which there is not", record.name.replace("_", " "), name)
        return msgspec.structs.replace(self._configured, tiers=tiers, **assigned)


def read_tier(name: str, value: Any) -> TierConfig:
    """A tier out of its JSON: the settings of a table [tiers.NAME]. Raises msgspec.ValidationError."""
    return msgspec.convert({**value, "name": name, "origin": ORIGIN, "groups": _groups(value)}, TierConfig)


def _groups(value: Any) -> dict[str, GroupConfig]:
    return {
        model: msgspec.convert({**limits, "origin": ORIGIN}, GroupConfig)
        for model, limits in (value.get("groups") or {}).items()
    }
