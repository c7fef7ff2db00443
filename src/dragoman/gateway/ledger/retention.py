"""Erases what the ledger is not to keep any longer: in the background, in transactions of a few rows each.

Several processes may do so at once: what one has erased, the next finds gone.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from dragoman.errors import StoreError
from dragoman.gateway.config.ledger import LedgerConfig
from dragoman.store.base import UsageStore

__all__ = ["Retention"]

log = logging.getLogger("dragoman.ledger")

EVERY_S: Final = 3600.0
FIRST_S: Final = 60.0  # after the start, at least
AT_ONCE: Final = (
    200  # rows: some 0.03 s of a large SQLite, ten times that from a cold disk, in which nobody else writes
)
PAUSE_S: Final = 0.2  # between two transactions, for those who wait
DAY_S: Final = 86_400


class Retention:
    """`now` gives Unix seconds. Sums are never erased."""

    def __init__(self, store: UsageStore, config: LedgerConfig, *, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._config = config
        self._now = now
        self._work: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._work = asyncio.create_task(self._erase_for_ever(), name="dragoman retention")

    async def aclose(self) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def erase(self, *, pause_s: float = PAUSE_S) -> tuple[int, int]:
        """Erase all that is due; how many rows and contents. Raises StoreError.

        Contents of former days are erased even where none are kept any more.
        """
        rows = 0
        if self._config.keep_days is not None:
            rows = await self._erase(self._store.erase, self._config.keep_days, pause_s)
        return rows, await self._erase(self._store.erase_contents, self._config.contents_keep_days, pause_s)

    async def _erase(self, erase: "Callable[..., Awaitable[int]]", days: int, pause_s: float) -> int:
        before_us = int((self._now() - days * DAY_S) * 1_000_000)
        erased = 0
        while (some := await erase(before_us=before_us, limit=AT_ONCE)) > 0:
            erased += some
            if some < AT_ONCE:
                break
            await asyncio.sleep(pause_s)
        return erased

    async def _erase_for_ever(self) -> None:
        await asyncio.sleep(FIRST_S * (1 + random.random()))  # noqa: S311 (so that processes do not do it in step)
        while True:
            try:
                rows, contents = await self.erase()
            except StoreError as error:
                log.warning("what the ledger is not to keep is still there, until the next try: %s", error)
            else:
                if rows or contents:
                    log.info("erased %d rows of the ledger and contents of %d requests: they were old", rows, contents)
            await asyncio.sleep(EVERY_S)
