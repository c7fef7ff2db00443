"""What every request needs, put together once at start; `pipeline.py` uses it. The parts are chosen in `open.py`."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dragoman.engines.base import Engine
from dragoman.http.base import Transport
from dragoman.providers.base import Dialect
from dragoman.store.base import Store
from dragoman.store.counters import Counters
from dragoman.store.files import FileFolder

from .auth.auth import Auth
from .auth.permits import Permits
from .batches.batches import Batches
from .budgets.budgets import Budgets
from .budgets.webhooks import Webhooks
from .call import Call
from .catalogue import Catalogue
from .config.config import OFFLINE, Config, ProviderConfig
from .credentials.signer import Signer
from .credentials.stored import ProviderKeys
from .faults.faults import Faults
from .files.files import Files
from .ids import new_id
from .ledger.accounting import Ledger
from .ledger.contents import Contents
from .ledger.journal import Journal
from .ledger.retention import Retention
from .limits.limits import Limits
from .limits.model_groups import ModelGroups
from .limits.policies import Policies
from .local import Local
from .pipeline import answer
from .prices.prices import Prices
from .readiness import Readiness, checks
from .routing.dispatch import Dispatch
from .routing.response_cache import ResponseCache
from .routing.routing import Router, aliases
from .threads.threads import Threads
from .upstream.upstream import Upstream

if TYPE_CHECKING:
    from .handle import GatewayHandle

__all__ = ["Gateway"]


class Gateway:
    """What every request needs, put together once at start."""

    def __init__(
        self,
        config: Config,
        *,
        store: Store,
        file_folder: FileFolder,
        auth: Auth,
        provider_keys: ProviderKeys,
        prices: Prices,
        journal: Journal | None,  # None: the ledger is off
        counters: Counters | None = None,  # None: this process's own
        webhooks: Webhooks,
        engines: Mapping[str, Engine],  # of our own, by the names of their providers
        dialects: Iterable[Dialect],
        transport_of: Callable[[ProviderConfig], Transport],
        signer_of: Callable[[ProviderConfig], Signer | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        first = engines.get(config.route_provider.name)
        known = Catalogue.load(supports=first.supports if first else None)
        self.config = config
        self.clock = clock
        self.store = store
        self.auth = auth
        self.provider_keys = provider_keys
        listed = known.without_retired() if config.retired == "refuse" else known
        self.catalogue = listed.with_aliases(aliases(config, known))
        self.faults = Faults(config.faults)
        self.prices = prices
        self.journal = journal
        self.ledger = Ledger(clock=clock, prices=prices, journal=journal)
        self.contents = Contents(store.usage) if config.ledger.contents else None
        self.retention = Retention(store.usage, config.ledger)
        self.router = Router(config, known)
        self.permits = Permits(self.router)
        self.webhooks = webhooks
        self.budgets = Budgets(
            config.budgets,
            store=store.budgets,
            prices=prices,
            default_workspace_id=auth.workspace_id,
            tell=webhooks.tell,
            candidates=self.router.candidates,
            catch_up=None if journal is None else journal.catch_up,
        )
        groups = ModelGroups(self.router, config)
        self.limits = Limits(
            config.limits,
            groups=groups,
            default_workspace_id=auth.workspace_id,
            counters=counters,
            spending=self.budgets,
            clock=clock,
        )
        self.policies = Policies(self.limits, config.limits, store=store.organization)
        self.threads = Threads(clock=clock, body_limit_bytes=config.server.body_limit_bytes)
        self.files = Files(
            store.files,
            file_folder,
            new_id=new_id,
            clock=clock,
            limit_bytes=config.server.files_limit_bytes,
            inline_limit_bytes=config.server.body_limit_bytes,
        )
        needs_counters = config.limits.without_counters == "refuse"
        self.readiness = Readiness(checks(store, self.limits.counters, needs_counters=needs_counters), clock=clock)
        self._engines = engines
        self.local = Local(engines, files=self.files, new_id=new_id)
        self.batches = Batches(
            store.batches,
            ask=self._ask_for_batch,
            clock=clock,
            new_id=new_id,
            limit_bytes=config.server.body_limit_bytes,
        )
        # An upstream that is silent for `ping_after_s` gets its caller a ping, so from then on it is a stream.
        self.upstream = Upstream(
            {dialect.name: dialect for dialect in dialects},
            transport_of=transport_of,
            signer_of=signer_of,
            hold_s=config.server.ping_after_s,
            new_id=new_id,
        )
        self.replies = ResponseCache(clock=clock, new_id=new_id)
        self.dispatch = Dispatch(
            self.router,
            prices=prices,
            caches=self.upstream.translates,
            has_several_keys=self.upstream.has_several_keys,
            has_fresh_key=self.upstream.has_fresh_key,
            clock=clock,
        )

    @classmethod
    def open(cls, config: "Config | Mapping[str, Any] | str | os.PathLike[str] | None" = None) -> "GatewayHandle":
        """A gateway for clients in this process: `Client(gateway=Gateway.open(config))`.

        `config` is the path of a TOML file, a dictionary of the same shape, a Config, or None: then what
        `dragoman serve` would find, if anything. Unless a database is named there it is in memory. The gateway runs
        from a client's first request until the last client that has it is closed. Raises ConfigError.
        """
        from .handle import open_handle

        return open_handle(config)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            opened.push_async_callback(self.store.close)
            opened.push_async_callback(self.upstream.aclose)
            opened.callback(self.threads.close)
            for engine in self._engines.values():
                opened.push_async_callback(engine.aclose)
            self.upstream.open(each for each in self.config.providers.values() if each.dialect != OFFLINE)
            await self.store.open()
            if self.journal is not None:
                self.journal.open()
                opened.push_async_callback(self.journal.aclose)
            opened.push_async_callback(self.webhooks.aclose)
            opened.push_async_callback(self.limits.counters.aclose)
            await self.limits.counters.open()
            await self.budgets.open()
            opened.push_async_callback(self.budgets.aclose)
            await self.policies.open()
            opened.push_async_callback(self.policies.aclose)
            self.retention.start()
            opened.push_async_callback(self.retention.aclose)
            if self.contents is not None:
                self.contents.start()
                opened.push_async_callback(self.contents.aclose)
            await self.provider_keys.open(self.upstream.use_keys)
            opened.push_async_callback(self.provider_keys.aclose)
            opened.push_async_callback(self.files.aclose)
            await self.files.open()
            self.batches.start()
            opened.push_async_callback(self.batches.aclose)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def _ask_for_batch(self, call: Call) -> tuple[int, bytes, int | None]:
        """Status, body and `retry-after` (whole seconds) of the reply to a request of a batch."""
        reply = await answer(self, call)
        await reply.aclose()
        after = dict(reply.headers).get("retry-after", "")
        return reply.status, reply.body, int(after) if after.isdecimal() and len(after) < 10 else None
