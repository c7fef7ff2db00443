"""What a request's tokens cost: exact arithmetic in integers, once the prices are put together. Pure.

Prices come as decimals and are made into whole numbers of a fraction of a nano-dollar, so nothing is rounded before the
sum is. Knows no provider and no list.
"""

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, Inexact, Overflow, localcontext
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct

__all__ = ["CHARGED", "EXACT", "OTHER_KINDS", "REQUEST", "SEARCH", "TOKENS", "Amount", "Rates", "make_rates", "span"]

# Prices of tokens: what they are called here -> under which of the library's names they are looked for, in this order:
# a price that is not there is that of the wider kind, as the library has it (a cache read that has no price is input).
TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "input": ("input_mtok",),
    "output": ("output_mtok",),
    "cache_read": ("cache_read_mtok", "input_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
}
SEARCH, REQUEST = "web_searches_kcount", "requests_kcount"
CHARGED: Final = frozenset({SEARCH, REQUEST, *(name for names in TOKENS.values() for name in names)})
# Prices of what a Messages request does not tell apart, or has not: their tokens are counted as those of text.
OTHER_KINDS: Final = ("audio", "image", "video", "document", "mchars", "hours", "messages", "storage", "pixels")

EXACT: Final = Context(prec=200, traps=[Inexact, Overflow])  # arithmetic that fails where it would round
NANO_PER_TOKEN: Final = 1000  # of one dollar per million tokens
NANO_PER_ONE: Final = 1_000_000  # of one dollar per thousand
_DAY_S: Final = 86_400

Amount: TypeAlias = tuple[Decimal, tuple[tuple[int, Decimal], ...]]  # a price, and what it is above so many tokens


class Band(NamedTuple):
    """What one token costs when the prompt has more than `above` tokens, in the unit of `Rates`."""

    above: int
    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int


class Rates(Struct, frozen=True, kw_only=True):
    """The prices of one model in one set of circumstances, in nano-dollars divided by `scale`."""

    bands: tuple[Band, ...]  # the first is for every prompt; the last that is `above` counts
    search: int | None  # one web search; None: they have no price
    request: int  # each request, whatever is in it
    scale: int

    def nano_usd(
        self, input_tokens: int, output_tokens: int, cache_read: int, write_5m: int, write_1h: int, searches: int = 0
    ) -> int:
        """The cost, half a nano-dollar counted as one. No searches where they have no price."""
        band = self.band(input_tokens + cache_read + write_5m + write_1h)
        total = (
            input_tokens * band.input
            + output_tokens * band.output
            + cache_read * band.cache_read
            + write_5m * band.cache_write_5m
            + write_1h * band.cache_write_1h
            + self.request
        )
        if searches:
            assert self.search is not None
            total += searches * self.search
        return total if self.scale == 1 else (2 * total + self.scale) // (2 * self.scale)

    def at_most(self, input_tokens: int, output_tokens: int, searches: int, *, cache: str) -> int | None:
        """What a request with no more than these can cost, rounded up: each token of its prompt at the highest price
        that one may have. `cache` is the longest that it may be written to: "", "5m" or "1h".

        None where there are searches, and they have no price.
        """
        if searches and self.search is None:
            return None
        likely = [self.bands[0], *(band for band in self.bands[1:] if band.above < input_tokens)]
        tokens = max(input_tokens * _highest(band, cache) + output_tokens * band.output for band in likely)
        return -(-(tokens + self.request + searches * (self.search or 0)) // self.scale)

    def band(self, prompt_tokens: int) -> Band:
        found = self.bands[0]
        for band in self.bands[1:]:
            if prompt_tokens <= band.above:
                break
            found = band
        return found


def _highest(band: Band, cache: str) -> int:
    """The price of one token of a prompt, whatever becomes of it."""
    writes = {"": (0, 0), "5m": (band.cache_write_5m, 0), "1h": (band.cache_write_5m, band.cache_write_1h)}[cache]
    return max(band.input, band.cache_read, *writes)


def make_rates(
    amounts: Mapping[str, Amount], *, factor: Decimal, write_1h: Decimal | None, search_factor: Decimal
) -> Rates:
    """The rates of these prices, by the library's names; `factor` is on those of tokens, `search_factor` on the others.

    `write_1h` is the price of writing for an hour in terms of that of input, where there is none of its own.
    """
    with localcontext(EXACT):
        if write_1h is not None and "cache_write_1h_mtok" not in amounts:
            amounts = {**amounts, "cache_write_1h_mtok": _times(amounts["input_mtok"], write_1h)}
        starts = sorted({0, *(start for _, tiers in amounts.values() for start, _ in tiers)})
        found = {name: next(amounts[each] for each in names if each in amounts) for name, names in TOKENS.items()}
        tokens = [[_above(amount, start) * factor * NANO_PER_TOKEN for amount in found.values()] for start in starts]
        ones = {name: amounts[name][0] * search_factor * NANO_PER_ONE for name in (SEARCH, REQUEST) if name in amounts}
        places = max(_places(value) for row in (*tokens, [*ones.values()]) for value in row)
        whole = {name: _whole(value, places) for name, value in ones.items()}
        bands = tuple(
            Band(start, *(_whole(value, places) for value in row)) for start, row in zip(starts, tokens, strict=True)
        )
    return Rates(bands=bands, search=whole.get(SEARCH), request=whole.get(REQUEST, 0), scale=10**places)


def _above(amount: Amount, start: int) -> Decimal:
    """The price for a prompt of more than `start` tokens."""
    price, tiers = amount
    return next((tier for above, tier in reversed(tiers) if above <= start), price)


def _times(amount: Amount, factor: Decimal) -> Amount:
    price, tiers = amount
    return price * factor, tuple((start, tier * factor) for start, tier in tiers)


def _places(value: Decimal) -> int:
    """Digits behind the point."""
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "a finite number"
    return max(0, -exponent)


def _whole(value: Decimal, places: int) -> int:
    return int(value.scaleb(places))


def span(moments: Iterable[tuple[int | None, tuple[int, int] | None]], at: float) -> tuple[float, float]:
    """From when to when nothing changes around `at` (seconds of UNIX time), the end not included.

    Each moment is one from which on something holds, or two seconds of a UTC day between which it does.
    """
    since, until = float("-inf"), float("inf")
    today = at - at % _DAY_S
    for start, daily in moments:
        edges = [start] if start is not None else []
        if daily is not None:
            edges = [int(today) + second + day for second in daily for day in (-_DAY_S, 0, _DAY_S)]
        for edge in edges:
            if edge <= at:
                since = max(since, edge)
            else:
                until = min(until, edge)
    return since, until
