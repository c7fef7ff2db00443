"""What a request costs, in whole nano-dollars, and where that price is from; and the most that one may come to.

A price is what the configuration says, else what the price list of the provider says (genai-prices, see
file.py, with rules.toml beside it). One that nobody knows is None, and never 0. Whoever writes rows of a
ledger, or holds budgets, asks here; nothing here waits, and no clock is read. docs/prices.md is the user's side.
"""

import datetime
import logging
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, Self

from msgspec.structs import replace

from dragoman.errors import ConfigError
from dragoman.gateway.config.config import OFFLINE, Config, ProviderConfig
from dragoman.gateway.config.hosts import known_hosts
from dragoman.gateway.config.prices import EVERY_MODEL, PriceConfig
from dragoman.gateway.config.values import nearest, shown
from dragoman.gateway.routing.routing import LONGEST_KEPT
from dragoman.wire.types import Usage

from .plan import LOCAL, PLAIN, UNKNOWN, Circumstances, Cost, Plan, Unpriced
from .rates import Rates

if TYPE_CHECKING:  # loaded only where a list is needed: 5 ms, and a megabyte
    from .file import PriceFile

__all__ = ["LOCAL", "UNKNOWN", "Cost", "Prices", "cache_writes"]

log = logging.getLogger("dragoman.prices")

GLOBAL: Final = "global"  # of a cloud's regions, the one that is no place
STANDARD: Final = frozenset({"", "standard", "default", "auto", "standard_only"})  # tiers of service
BATCH: Final = "batch"
PLANS_KEPT = 1000  # names of models come from callers
WARNINGS = 100  # one for each model without a price, up to so many

Cache = Literal["", "5m", "1h"]


class Prices:
    """The prices of everything that is configured. `data` may be None where no provider needs a list.

    Raises ConfigError for a price list that is not there.
    """

    def __init__(self, config: Config, data: "PriceFile | None") -> None:
        self._providers = config.providers
        self._own = config.prices
        self._file = data
        self._lists = {name: self._list_of(provider) for name, provider in config.providers.items()}
        self._kept = lru_cache(PLANS_KEPT)(self._find)
        self._warned: set[tuple[str, str]] = set()
        if data is not None:
            for id_ in set(self._lists.values()) - {LOCAL, None}:
                data.of(str(id_))  # read now: what is broken is told at start
            data.forget()

    @classmethod
    def load(cls, config: Config, *, today: datetime.date) -> Self:
        """With the installed price lists, where a provider needs one: 20 ms of CPU and 2 MB, imports among them.

        2 ms of that are the list of one provider; the longest, of 920 models, takes 17.

        Raises ConfigError when they are not there, damaged, or of a version that is not known.
        """
        if all(map(_needs_no_list, config.providers.values())):
            return cls(config, None)
        from .file import open_price_file

        return cls(config, open_price_file(today=today))

    def cost(
        self,
        provider: str,
        model: str,
        usage: Usage,
        *,
        at: float,
        service_tier: str | None = None,
        is_batch: bool = False,
    ) -> Cost:
        """The cost of one answered request.

        `provider` is its name in the configuration, `model` what that calls it; `at` seconds of UNIX time. The buckets
        of `usage` are disjoint, and thinking is part of its output. `service_tier` wins over that of `usage`; a batch
        is one that the provider itself ran as a batch.
        """
        tier = service_tier or usage.service_tier
        circumstances = _circumstances(tier, usage.speed, usage.inference_geo, is_batch)
        price = self._plan(provider, model).at(at, circumstances)
        if price.rates is None:
            return self._unknown(provider, model, price.cost)
        try:
            return _charged(price.rates, usage, price.cost)
        except Unpriced as problem:
            return self._unknown(provider, model, Cost(None, UNKNOWN, "", str(problem)))

    def reserve(
        self,
        provider: str,
        model: str,
        *,
        input_tokens: int,
        max_tokens: int,
        at: float,
        service_tier: str | None = None,
        speed: str | None = None,
        inference_geo: str | None = None,
        is_batch: bool = False,
        cache: Cache = "1h",
        searches: int = 0,
    ) -> int | None:
        """The most that a request can cost, in nano-dollars; None where its price is not known.

        It holds when the prompt has no more than `input_tokens`, whichever of them turn out to be written to a cache
        (no longer than `cache` says, which is the longest unless the caller knows better) or read from it, the reply
        no more than `max_tokens`, and no more than `searches` are made.
        """
        circumstances = _circumstances(service_tier, speed, inference_geo, is_batch)
        price = self._plan(provider, model).at(at, circumstances)
        if price.rates is None:
            return None
        return price.rates.at_most(max(input_tokens, 0), max(max_tokens, 0), max(searches, 0), cache=cache)

    def _list_of(self, provider: ProviderConfig) -> str | None:
        """Which list has a provider's prices; None when that is not known."""
        if (named := _named_list(provider)) is None:
            return self._file.by_address(provider.base_url) if self._file is not None else None
        if self._file is not None and named != LOCAL and named not in self._file.ids:
            likely = nearest(named, self._file.ids)
            remedy = f"Did you mean {shown(likely)}?" if likely else f"There are {', '.join(self._file.ids)}."
            raise ConfigError(f"{provider.origin}: price_list: there is no price list {shown(named)}. {remedy}")
        return named

    def _plan(self, provider: str, model: str) -> Plan:
        return self._kept(provider, model) if len(model) <= LONGEST_KEPT else self._find(provider, model)

    def _find(self, provider: str, model: str) -> Plan:
        if provider not in self._providers:
            return Plan.unknown(f"no provider has the name {provider[:60]!r}")
        own = self._own.get(f"{provider}/{model}") or self._own.get(f"{provider}/{EVERY_MODEL}")
        if own is not None and own.input is not None:
            return Plan.configured(own)
        list_id = self._lists[provider]
        if list_id == LOCAL:
            return Plan.local(own)
        if list_id is None or self._file is None:
            return Plan.unknown("no price list is known for this provider: set its price_list, or prices of your own")
        return self._of_list(self._file, list_id, self._providers[provider], model, own)

    def _of_list(
        self, file: "PriceFile", list_id: str, provider: ProviderConfig, model: str, own: PriceConfig | None
    ) -> Plan:
        from .rules import read_rules

        rules = read_rules()
        try:
            tried = (file.find(list_id, name) for each in (model, *rules.other_names(model)) for name in _names(each))
            found = next(filter(None, tried), None)
        except ConfigError as error:
            return Plan.unknown(str(error))
        if found is None:
            return Plan.unknown(f"the price list {list_id} of genai-prices {file.version} has no such model")
        listed, is_of_list = found
        source = Cost(0, f"genai-prices {file.version}", file.date)
        rule = rules.of(list_id, model)
        if not _is_in_a_region(provider):
            rule = replace(rule, region=None)
        return Plan(listed, source, rule=rule, own=own, has_variants=is_of_list)

    def _unknown(self, provider: str, model: str, cost: Cost) -> Cost:
        """Said once in the log, as a cost that is missing makes every sum of costs wrong."""
        known = (provider, model[:LONGEST_KEPT])
        if known not in self._warned and len(self._warned) < WARNINGS:
            self._warned.add(known)
            log.warning("no price is known for %a of %s: %s", model[:60], provider, cost.note)
        return cost


def _named_list(provider: ProviderConfig) -> str | None:
    if provider.dialect == OFFLINE:
        return LOCAL
    if provider.price_list is None and provider.host is not None:
        return known_hosts()[provider.host].price_list
    return provider.price_list


def _needs_no_list(provider: ProviderConfig) -> bool:
    return _named_list(provider) == LOCAL


def _is_in_a_region(provider: ProviderConfig) -> bool:
    """Whether a cloud answers in a place of one's choice, and not anywhere."""
    region = provider.region or provider.base_url.partition("/locations/")[2].partition("/")[0]
    return region not in ("", GLOBAL)


def _names(model: str) -> Iterator[str]:
    """How a model may be called in a list, given what its provider calls it."""
    name = model.rpartition("/")[2] if model.startswith(("arn:", "models/", "publishers/")) else model
    yield name
    if "@" in name:  # a version: claude-opus-4@20250514, claude-opus-5-5@default
        yield name.replace("@", "-")
        yield name.partition("@")[0]


def _circumstances(tier: str | None, speed: str | None, place: str | None, is_batch: bool) -> Circumstances:
    if tier == BATCH:
        is_batch = True
    elif tier is not None and tier not in STANDARD:
        return Circumstances(tier, _special(speed), place or "", is_batch)
    if is_batch or speed is not None or place is not None:
        return Circumstances("", _special(speed), place or "", is_batch)
    return PLAIN


def _special(speed: str | None) -> str:
    return "" if speed is None or speed in STANDARD else speed


def _charged(rates: Rates, usage: Usage, cost: Cost) -> Cost:
    """`cost` with its number. Raises Unpriced."""
    read, searches = usage.cache_read_input_tokens or 0, 0
    if usage.server_tool_use:
        searches = usage.server_tool_use.get("web_search_requests") or 0
    try:
        write_5m, write_1h = cache_writes(usage)
        if (usage.input_tokens | usage.output_tokens | read | write_5m | write_1h | searches) < 0:
            raise Unpriced("a number of the usage is below 0")
    except TypeError as error:
        raise Unpriced("a number of the usage is none") from error
    if searches and rates.search is None:
        raise Unpriced(f"searches have no price here, and there were {searches}")
    nano_usd = rates.nano_usd(usage.input_tokens, usage.output_tokens, read, write_5m, write_1h, searches)
    return Cost(nano_usd, cost.source, cost.date, cost.note)


def cache_writes(usage: Usage) -> tuple[int, int]:
    """How much was written to caches of 5 minutes and of an hour."""
    total, parts = usage.cache_creation_input_tokens, usage.cache_creation
    if parts is None:
        return total or 0, 0
    for_1h = parts.ephemeral_1h_input_tokens
    if total is None or total < for_1h:
        return parts.ephemeral_5m_input_tokens, for_1h
    return total - for_1h, for_1h  # the sum is the newer one: the end of a stream tells it, and no parts
