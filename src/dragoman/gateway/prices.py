"""What a request costs, in whole nano-dollars, and where that price is from; and the most that one may come to.

A price is what the configuration says, else what the price list of the provider says (genai-prices, see
prices_file.py, with prices_rules.toml beside it). One that nobody knows is None, and never 0. Whoever writes rows of a
ledger, or holds budgets, asks here; nothing here waits, and no clock is read. docs/prices.md is the user's side.
"""

import datetime
import logging
from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self

from msgspec import Struct
from msgspec.structs import replace

from dragoman.errors import ConfigError
from dragoman.wire.types import Usage

from .config import OFFLINE, Config, ProviderConfig
from .config_prices import EVERY_MODEL, TOKEN_PRICES, PriceConfig
from .config_values import nearest, shown
from .hosts import known_hosts
from .prices_rates import CHARGED, EXACT, OTHER_KINDS, REQUEST, SEARCH, TOKENS, Amount, Rates, make_rates, span

if TYPE_CHECKING:  # loaded only where a list is needed: 5 ms, and a megabyte
    from .prices_file import Listed, PriceFile
    from .prices_rules import Rule

__all__ = ["LOCAL", "UNKNOWN", "Cost", "Prices"]

log = logging.getLogger("dragoman.prices")

LOCAL: Final = "local"  # as a price list and as a source: nobody is paid by the token
CONFIGURED: Final = "configuration"
UNKNOWN: Final = "unknown"
GLOBAL: Final = "global"  # of a cloud's regions, the one that is no place
STANDARD: Final = frozenset({"", "standard", "default", "auto", "standard_only"})  # tiers of service
BATCH: Final = "batch"
PLANS_KEPT = 1000  # names of models come from callers
CIRCUMSTANCES_KEPT = 32  # and tiers of service from providers
WARNINGS = 100  # one for each model without a price, up to so many

Cache = Literal["", "5m", "1h"]


class Cost(Struct, frozen=True):
    """What a request costs in nano-dollars, None where its price is not known; `note` then says why.

    `source` is "genai-prices VERSION", "configuration", "local" or "unknown"; `date` the day that the price is of
    (YYYY-MM-DD), "" where none was given; `note` what else counted, for people.
    """

    nano_usd: int | None
    source: str
    date: str
    note: str = ""


class Circumstances(NamedTuple):
    """What of a request, beside its numbers, decides about its price. Empty words: nothing special."""

    tier: str
    speed: str
    place: str
    is_batch: bool


PLAIN: Final = Circumstances("", "", "", is_batch=False)


class Prices:
    """The prices of everything that is configured. `data` may be None where no provider needs a list.

    Raises ConfigError for a price list that is not there.
    """

    def __init__(self, config: Config, data: "PriceFile | None") -> None:
        self._providers = config.providers
        self._own = config.prices
        self._file = data
        self._lists = {name: self._list_of(provider) for name, provider in config.providers.items()}
        self._plan = lru_cache(PLANS_KEPT)(self._find)
        self._warned: set[tuple[str, str]] = set()
        if data is not None:
            for id_ in set(self._lists.values()) - {LOCAL, None}:
                data.of(str(id_))  # read now: what is broken is told at start
            data.forget()

    @classmethod
    def load(cls, config: Config, *, today: datetime.date) -> Self:
        """With the installed price lists, where a provider needs one (15 ms, and 2 to 25 ms for each list).

        Raises ConfigError when they are not there, damaged, or of a version that is not known.
        """
        if all(map(_needs_no_list, config.providers.values())):
            return cls(config, None)
        from .prices_file import open_price_file

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
        plan = self._plan(provider, model)
        price = plan.at(
            at, _circumstances(service_tier or usage.service_tier, usage.speed, usage.inference_geo, is_batch)
        )
        if price.rates is None:
            return self._unknown(provider, model, price.cost)
        try:
            return _charged(price.rates, usage, price.cost)
        except _Unreadable as problem:
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

    def _find(self, provider: str, model: str) -> "_Plan":
        if provider not in self._providers:
            return _Plan.unknown(f"no provider has the name {provider[:60]!r}")
        own = self._own.get(f"{provider}/{model}") or self._own.get(f"{provider}/{EVERY_MODEL}")
        if own is not None and own.input is not None:
            return _Plan.configured(own)
        list_id = self._lists[provider]
        if list_id == LOCAL:
            return _Plan.local(own)
        if list_id is None or self._file is None:
            return _Plan.unknown("no price list is known for this provider: set its price_list, or prices of your own")
        return self._of_list(self._file, list_id, self._providers[provider], model, own)

    def _of_list(
        self, file: "PriceFile", list_id: str, provider: ProviderConfig, model: str, own: PriceConfig | None
    ) -> "_Plan":
        from .prices_rules import read_rules

        rules = read_rules()
        try:
            tried = (file.find(list_id, name) for each in (model, *rules.other_names(model)) for name in _names(each))
            found = next(filter(None, tried), None)
        except ConfigError as error:
            return _Plan.unknown(str(error))
        if found is None:
            return _Plan.unknown(f"the price list {list_id} of genai-prices {file.version} has no such model")
        listed, is_of_list = found
        source = Cost(0, f"genai-prices {file.version}", file.date)
        rule = rules.of(list_id, model)
        if not _is_in_a_region(provider):
            rule = replace(rule, region=None)
        return _Plan(listed, source, rule=rule, own=own, has_variants=is_of_list)

    def _unknown(self, provider: str, model: str, cost: Cost) -> Cost:
        """Said once in the log, as a cost that is missing makes every sum of costs wrong."""
        if (provider, model) not in self._warned and len(self._warned) < WARNINGS:
            self._warned.add((provider, model))
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


# -- the price of one model --


class _Price(Struct, frozen=True):
    """What holds from `since` to `until` in some circumstances. Without rates it is unknown, and `cost` says why; else
    `cost` is what to answer but for its number."""

    since: float
    until: float
    rates: Rates | None
    cost: Cost


class _Plan:
    """How one model of one provider is charged for."""

    __slots__ = ("_has_variants", "_kept", "_listed", "_own", "_rule", "_source", "_why")

    def __init__(
        self,
        listed: "Listed | None",
        source: Cost,
        *,
        rule: "Rule | None" = None,
        own: PriceConfig | None = None,
        has_variants: bool = False,
    ) -> None:
        """`listed` is the model in its price list: None where its prices are its `own` alone, or it has none.

        `has_variants`: the list says what special circumstances cost; without, it is about others' models too.
        """
        self._listed = listed
        self._source = source
        self._rule = rule
        self._own = own
        self._has_variants = has_variants
        self._kept: dict[Circumstances, _Price] = {}

    @classmethod
    def unknown(cls, why: str) -> Self:
        return cls(None, Cost(None, UNKNOWN, "", why))

    @classmethod
    def configured(cls, own: PriceConfig) -> Self:
        return cls(None, Cost(0, CONFIGURED, own.date or ""), own=own)

    @classmethod
    def local(cls, own: PriceConfig | None) -> Self:
        return cls(None, Cost(0, LOCAL, ""), own=own)

    def at(self, at: float, circumstances: Circumstances) -> _Price:
        kept = self._kept.get(circumstances)
        if kept is not None and kept.since <= at < kept.until:
            return kept
        if len(self._kept) >= CIRCUMSTANCES_KEPT:
            self._kept.clear()
        price = self._make(at, circumstances)
        self._kept[circumstances] = price
        return price

    def _make(self, at: float, circumstances: Circumstances) -> _Price:
        since, until = float("-inf"), float("inf")
        if self._source.nano_usd is None:
            return _Price(since, until, None, self._source)
        try:
            if self._listed is None:
                made = _Made(_own_amounts(self._own))
                made.put_own_batch(self._own, circumstances)
            else:
                since, until = span(self._listed.moments(), at)
                made = self._of_list(self._listed, at, circumstances)
            made.put_own(self._own)
            return _Price(since, until, made.rates(), replace(self._source, note="; ".join(made.notes)))
        except _Unreadable as problem:
            return _Price(since, until, None, Cost(None, UNKNOWN, "", str(problem)))

    def _of_list(self, listed: "Listed", at: float, circumstances: Circumstances) -> "_Made":
        told = _context(circumstances) if self._has_variants else {}
        amounts, heard = listed.amounts(at, told)
        made = _Made(_text_amounts(listed.id, amounts))
        assert self._rule is not None
        made.put_rule(self._rule, circumstances, heard={name for name, _ in heard})
        return made


def _context(circumstances: Circumstances) -> dict[str, str]:
    """The circumstances in the words of the lists."""
    told = {"service_tier": circumstances.tier, "speed": circumstances.speed}
    return {name: value for name, value in told.items() if value} | (
        {"processing": BATCH} if circumstances.is_batch else {}
    )


def _text_amounts(id_: str, amounts: Mapping[str, Amount]) -> dict[str, Amount]:
    """The prices that a request of text can have. Raises _Unreadable where they are not all there."""
    strange = [name for name in amounts if name not in CHARGED and not any(kind in name for kind in OTHER_KINDS)]
    if strange:
        raise _Unreadable(f"{id_} has a price that is not known here: {strange[0]}")
    if not amounts and id_.endswith(":free"):
        return dict.fromkeys(("input_mtok", "output_mtok"), NOTHING)
    if not {"input_mtok", "output_mtok"} <= amounts.keys():
        raise _Unreadable(f"{id_} is listed, but not what its text costs")
    return {name: amount for name, amount in amounts.items() if name in CHARGED}


NOTHING: Final[Amount] = (Decimal(0), ())


def _own_amounts(own: PriceConfig | None) -> dict[str, Amount]:
    """The prices of a table of the configuration, by the names of the lists; all 0 where it has none of tokens."""
    if own is None or own.input is None:
        return {name: NOTHING for names in TOKENS.values() for name in names} | {SEARCH: NOTHING}
    found: dict[str, Amount] = {}
    for name in TOKEN_PRICES:
        base = getattr(own, name)
        tiers = tuple((tier.above, price) for tier in own.tiers if (price := getattr(tier, name)) is not None)
        if base is not None:
            found[TOKENS[name][0]] = base, tiers
        elif tiers:
            found[TOKENS[name][0]] = own.input, tiers
    if "cache_write_1h_mtok" not in found and "cache_write_5m_mtok" in found:
        found["cache_write_1h_mtok"] = found["cache_write_5m_mtok"]
    return found


class _Made:
    """A price being put together: prices, factors on them, and what is to be said about it."""

    def __init__(self, amounts: dict[str, Amount]) -> None:
        self.notes: list[str] = []
        self._amounts = amounts
        self._tokens = Decimal(1)
        self._all = Decimal(1)
        self._write_1h: Decimal | None = None

    def put_rule(self, rule: "Rule", circumstances: Circumstances, *, heard: set[str]) -> None:
        """What a rule says of the circumstances that the list has not `heard` of. Raises _Unreadable for those that
        nobody has a price for."""
        self._write_1h = rule.write_1h
        if rule.search_per_1000 is not None and SEARCH not in self._amounts:
            self._amounts[SEARCH] = rule.search_per_1000, ()
        if circumstances.speed and "speed" not in heard:
            raise _Unreadable(f"no price is listed for the speed {circumstances.speed[:60]!r}")
        if circumstances.tier and "service_tier" not in heard:
            if circumstances.tier not in rule.standard_tiers:
                raise _Unreadable(f"no price is listed for the service tier {circumstances.tier[:60]!r}")
            self.notes.append(f"the {circumstances.tier} tier at the standard price")
        if circumstances.is_batch and "processing" not in heard:
            if rule.batch is None:
                self.notes.append("no price is listed for batches: the standard price")
            else:
                self._times(rule.batch, "batch")
        if rule.places:
            self._put_place(rule.places, circumstances.place)
        if rule.region is not None:
            self._times(rule.region, "region")

    def _put_place(self, places: Mapping[str, Decimal], place: str) -> None:
        if place not in places:
            raise _Unreadable(f"no price is known for the inference_geo {place[:60]!r}")
        if places[place] != 1:
            self._times(places[place], f"inference_geo {place}")

    def put_own_batch(self, own: PriceConfig | None, circumstances: Circumstances) -> None:
        if own is not None and own.batch_multiplier is not None and circumstances.is_batch:
            self._times(own.batch_multiplier, "batch")

    def put_own(self, own: PriceConfig | None) -> None:
        """What the configuration changes about a price, beside those of tokens."""
        if own is None:
            return
        with localcontext(EXACT):
            if own.multiplier is not None:
                self._all = own.multiplier
                self.notes.append(f"times {own.multiplier:f} (configuration)")
            for name, price in ((SEARCH, own.search), (REQUEST, own.request)):
                if price is not None:
                    self._amounts[name] = price * 1000, ()

    def rates(self) -> Rates:
        with localcontext(EXACT):
            factor = self._tokens * self._all
        return make_rates(self._amounts, factor=factor, write_1h=self._write_1h, search_factor=self._all)

    def _times(self, factor: Decimal, why: str) -> None:
        with localcontext(EXACT):
            self._tokens *= factor
        self.notes.append(f"{why}: times {factor:f}")


# -- the usage of one request --


class _Unreadable(Exception):
    """A cost cannot be told; the message says why."""


def _charged(rates: Rates, usage: Usage, cost: Cost) -> Cost:
    """`cost` with its number. Raises _Unreadable."""
    read, write_5m, write_1h = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0, 0
    if (told := usage.cache_creation) is not None:
        write_5m, write_1h = _writes(
            usage.cache_creation_input_tokens, told.ephemeral_5m_input_tokens, told.ephemeral_1h_input_tokens
        )
    searches = 0
    if usage.server_tool_use:
        searches = usage.server_tool_use.get("web_search_requests") or 0
    try:
        if (usage.input_tokens | usage.output_tokens | read | write_5m | write_1h | searches) < 0:
            raise _Unreadable("a number of the usage is below 0")
    except TypeError as error:
        raise _Unreadable("a number of the usage is none") from error
    if searches and rates.search is None:
        raise _Unreadable(f"searches have no price here, and there were {searches}")
    nano_usd = rates.nano_usd(usage.input_tokens, usage.output_tokens, read, write_5m, write_1h, searches)
    return Cost(nano_usd, cost.source, cost.date, cost.note)


def _writes(total: int | None, for_5m: int, for_1h: int) -> tuple[int, int]:
    """How much was written to caches of either lifetime. The sum is newer, in a stream: its end tells no parts."""
    if total is None or total < for_1h:
        return for_5m, for_1h
    return total - for_1h, for_1h
