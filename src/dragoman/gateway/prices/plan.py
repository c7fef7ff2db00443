"""How one model of one provider is charged for: its price list, the rules beside it and the configuration put together.

Pure, and exact. Knows no provider and no model by name.
"""

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from msgspec import Struct
from msgspec.structs import replace

from dragoman.errors import DragomanError
from dragoman.gateway.config.prices import TOKEN_PRICES, PriceConfig, PriceTier

from .rates import (
    CHARGED,
    EXACT,
    OTHER_KINDS,
    REQUEST,
    SEARCH,
    TOKENS,
    Amount,
    Rates,
    make_rates,
    span,
)

if TYPE_CHECKING:
    from .file import Listed
    from .rules import Rule

__all__ = ["CONFIGURED", "LOCAL", "PLAIN", "UNKNOWN", "Circumstances", "Cost", "Plan", "Price", "Unpriced"]

LOCAL: Final = "local"  # as a price list and as a source: nobody is paid by the token
CONFIGURED: Final = "configuration"
UNKNOWN: Final = "unknown"
CIRCUMSTANCES_KEPT = 32  # of a model: tiers of service are words of providers
NOTHING: Final[Amount] = (Decimal(0), ())


class Unpriced(DragomanError):
    """A cost cannot be told; the message says why. Never leaves the prices: it becomes a cost of None."""


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


class Price(Struct, frozen=True):
    """What holds from `since` to `until` in some circumstances. Without rates it is unknown, and `cost` says why; else
    `cost` is what to answer but for its number."""

    since: float
    until: float
    rates: Rates | None
    cost: Cost


class Plan:
    """How one model of one provider is charged for."""

    __slots__ = ("_has_variants", "_kept", "_listed", "_own", "_rule", "_source")

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
        self._kept: dict[Circumstances, Price] = {}

    @classmethod
    def unknown(cls, why: str) -> Self:
        return cls(None, Cost(None, UNKNOWN, "", why))

    @classmethod
    def configured(cls, own: PriceConfig) -> Self:
        return cls(None, Cost(0, CONFIGURED, own.date or ""), own=own)

    @classmethod
    def local(cls, own: PriceConfig | None) -> Self:
        return cls(None, Cost(0, LOCAL, ""), own=own)

    def at(self, at: float, circumstances: Circumstances) -> Price:
        kept = self._kept.get(circumstances)
        if kept is not None and kept.since <= at < kept.until:
            return kept
        if len(self._kept) >= CIRCUMSTANCES_KEPT:
            self._kept.clear()
        price = self._make(at, circumstances)
        self._kept[circumstances] = price
        return price

    def _make(self, at: float, circumstances: Circumstances) -> Price:
        since, until = float("-inf"), float("inf")
        if self._source.nano_usd is None:
            return Price(since, until, None, self._source)
        try:
            if self._listed is None:
                made = _Made(_own_amounts(self._own))
                made.put_own_batch(self._own, circumstances)
            else:
                since, until = span(self._listed.moments(), at)
                made = self._of_list(self._listed, at, circumstances)
            made.put_own(self._own)
            return Price(since, until, made.rates(), replace(self._source, note="; ".join(made.notes)))
        except Unpriced as problem:
            return Price(since, until, None, Cost(None, UNKNOWN, "", str(problem)))

    def _of_list(self, listed: "Listed", at: float, circumstances: Circumstances) -> "_Made":
        told = _context(circumstances) if self._has_variants else {}
        amounts, heard = listed.amounts(at, told)
        made = _Made(_text_amounts(listed.id, amounts))
        assert self._rule is not None
        made.put_rule(self._rule, circumstances, heard={name for name, _ in heard})
        return made


def _context(circumstances: Circumstances) -> dict[str, str]:
    """The circumstances in the words of the lists."""
    processing = "batch" if circumstances.is_batch else ""
    told = {"service_tier": circumstances.tier, "speed": circumstances.speed, "processing": processing}
    return {name: value for name, value in told.items() if value}


def _text_amounts(id_: str, amounts: Mapping[str, Amount]) -> dict[str, Amount]:
    """The prices that a request of text can have. Raises Unpriced where they are not all there."""
    strange = [name for name in amounts if name not in CHARGED and not any(kind in name for kind in OTHER_KINDS)]
    strange += [name for name in (SEARCH, REQUEST) if amounts.get(name, NOTHING)[1]]
    if strange:
        raise Unpriced(f"{id_} has a price that is not known here: {strange[0]}")
    if not amounts and id_.endswith(":free"):
        return dict.fromkeys(("input_mtok", "output_mtok"), NOTHING)
    if not {"input_mtok", "output_mtok"} <= amounts.keys():
        raise Unpriced(f"{id_} is listed, but not what its text costs")
    return {name: amount for name, amount in amounts.items() if name in CHARGED}


def _own_amounts(own: PriceConfig | None) -> dict[str, Amount]:
    """The prices of a table of the configuration, by the names of the lists; all 0 where it has none of tokens."""
    if own is None or own.input is None:
        return {name: NOTHING for names in TOKENS.values() for name in names} | {SEARCH: NOTHING}
    rows = [_row(own, {})]
    for tier in own.tiers:
        rows.append(_row(tier, rows[-1]))
    above = [tier.above for tier in own.tiers]
    found: dict[str, Amount] = {}
    for name, (first, *_) in TOKENS.items():
        prices = [_own_price(row, name) for row in rows]
        found[first] = prices[0], tuple(zip(above, prices[1:], strict=True))
    return found


def _row(table: PriceConfig | PriceTier, below: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """What a table sets, and what it leaves as it is `below`."""
    set_here = {name: price for name in TOKEN_PRICES if (price := getattr(table, name)) is not None}
    return {**below, **set_here}


def _own_price(row: Mapping[str, Decimal], name: str) -> Decimal:
    """A price that is not set is that of the wider kind: writing for an hour as for 5 minutes, all else as input."""
    if name == "cache_write_1h" and name not in row:
        name = "cache_write_5m"
    return row.get(name, row["input"])


class _Made:
    """A price being put together: prices, factors on them, and what is to be said about it."""

    def __init__(self, amounts: dict[str, Amount]) -> None:
        self.notes: list[str] = []
        self._amounts = amounts
        self._tokens = Decimal(1)
        self._all = Decimal(1)
        self._write_1h: Decimal | None = None

    def put_rule(self, rule: "Rule", circumstances: Circumstances, *, heard: set[str]) -> None:
        """What a rule says of the circumstances that the list has not `heard` of. Raises Unpriced for those that
        nobody has a price for."""
        self._write_1h = rule.write_1h
        if rule.search_per_1000 is not None and SEARCH not in self._amounts:
            self._amounts[SEARCH] = rule.search_per_1000, ()
        if circumstances.speed and "speed" not in heard:
            raise Unpriced(f"no price is listed for the speed {circumstances.speed[:60]!r}")
        if circumstances.tier and "service_tier" not in heard:
            if circumstances.tier not in rule.standard_tiers:
                raise Unpriced(f"no price is listed for the service tier {circumstances.tier[:60]!r}")
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
            raise Unpriced(f"no price is known for the inference_geo {place[:60]!r}")
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
