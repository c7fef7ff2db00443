"""Prices as configuration: the tables [prices."PROVIDER/MODEL"], which count before any price list.

What they do is in `prices.py`; docs/prices.md is the user's side.
"""

import datetime
import math
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from .sheet import Readers, Sheet
from .text import KeyPath
from .values import Refused, nearest, shown, whole

__all__ = ["EVERY_MODEL", "TOKEN_PRICES", "PriceConfig", "PriceTier", "describe_prices", "read_prices"]

EVERY_MODEL = "*"  # as the model of a table: each one of that provider that has no table of its own
TOKEN_PRICES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
HIGHEST = 1_000_000
_MOST_DIGITS = 15  # so many of a number survive in a float


def _decimal(value: object) -> Decimal | None:
    """The number as it was written, or None when it is none from 0 to HIGHEST."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(repr(value)) if 0 <= value <= HIGHEST and not math.isnan(value) else None


def _number(what: str) -> Callable[[object], Decimal]:
    def read(value: object) -> Decimal:
        number = _decimal(value)
        if number is None:
            raise Refused(f"is no {what}", f"Write a number from 0 to {HIGHEST}, without quotes, such as 0.25.")
        if len(number.normalize().as_tuple().digits) > _MOST_DIGITS:
            raise Refused(f"has more than {_MOST_DIGITS} digits", "Write fewer: it could not be kept as it is.")
        return number

    return read


_per_million = _number("price of a million tokens in US dollars")
_each = _number("price in US dollars")
_factor = _number("factor")


def _day(value: object) -> str:
    try:
        day = datetime.date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        day = None
    if isinstance(day, datetime.date) and not isinstance(day, datetime.datetime):
        return day.isoformat()
    raise Refused("is no day", "Write it as 2026-11-21.")


class PriceTier(msgspec.Struct, frozen=True, kw_only=True):
    """A table [[prices."PROVIDER/MODEL".tiers]]: what is different when the prompt is longer."""

    above: Annotated[int, whole(1, 1_000_000_000)]  # tokens of the prompt, those of its cache among them
    input: Annotated[Decimal | None, _per_million] = None
    output: Annotated[Decimal | None, _per_million] = None
    cache_read: Annotated[Decimal | None, _per_million] = None
    cache_write_5m: Annotated[Decimal | None, _per_million] = None
    cache_write_1h: Annotated[Decimal | None, _per_million] = None


class PriceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A table [prices."PROVIDER/MODEL"]. Either the prices of its tokens, or what is different from the price list."""

    origin: str
    input: Annotated[Decimal | None, _per_million] = None
    output: Annotated[Decimal | None, _per_million] = None
    cache_read: Annotated[Decimal | None, _per_million] = None
    cache_write_5m: Annotated[Decimal | None, _per_million] = None
    cache_write_1h: Annotated[Decimal | None, _per_million] = None
    search: Annotated[Decimal | None, _each] = None
    request: Annotated[Decimal | None, _each] = None
    multiplier: Annotated[Decimal | None, _factor] = None
    batch_multiplier: Annotated[Decimal | None, _factor] = None
    date: Annotated[str | None, _day] = None
    tiers: tuple[PriceTier, ...] = ()


def read_prices(
    sheet: Sheet, readers_of: Callable[[type[msgspec.Struct]], Readers], providers: Iterable[str]
) -> dict[str, PriceConfig]:
    """The tables by their names; what is wrong with them, the sheet has noted."""
    return {name: _read_price(sheet, name, readers_of, list(providers)) for name in sheet.names("prices")}


def _read_price(
    sheet: Sheet, name: str, readers_of: Callable[[type[msgspec.Struct]], Readers], providers: list[str]
) -> PriceConfig:
    path: KeyPath = ("prices", name)
    values: dict[str, Any] = sheet.settings(path, readers_of(PriceConfig), tables=("tiers",))
    _check_name(sheet, path, name, providers)
    tiers = _read_tiers(sheet, (*path, "tiers"), readers_of(PriceTier))
    _check_whole(sheet, path)
    return PriceConfig(origin=sheet.origin(path), tiers=tiers, **values)


def _check_name(sheet: Sheet, path: KeyPath, name: str, providers: list[str]) -> None:
    provider, slash, model = name.partition("/")
    if not slash or not model:
        remedy = f'Write [prices."PROVIDER/MODEL"], or [prices."PROVIDER/{EVERY_MODEL}"] for all of its models.'
        sheet.note(path, "this does not name a provider and a model of its", remedy)
    elif provider not in providers:
        likely = nearest(provider, providers)
        remedy = f"Did you mean {shown(likely)}?" if likely else f"There are {', '.join(map(shown, providers))}."
        sheet.note(path, f"there is no provider {shown(provider)}", remedy)


def _read_tiers(sheet: Sheet, path: KeyPath, readers: Readers) -> tuple[PriceTier, ...]:
    """The tiers, the smallest first."""
    found = sheet.table(path[:-1]).get("tiers", [])
    remedy = 'Write [[prices."PROVIDER/MODEL".tiers]], once for each, and its settings below that line.'
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        sheet.note(path, "this is not a list of tables", remedy)
        return ()
    tiers: dict[int, PriceTier] = {}
    for index, table in enumerate(found):
        values = sheet.settings((*path, index), readers)
        if "above" not in table:
            sheet.note((*path, index), "above is missing", "Add above = 200000, or whichever number of tokens it is.")
        if "above" in values:
            if values["above"] in tiers:
                sheet.note((*path, index, "above"), "there is a tier of this number already", "Keep one of the two.")
            tiers[values["above"]] = PriceTier(**values)
    return tuple(tiers[above] for above in sorted(tiers))


def _check_whole(sheet: Sheet, path: KeyPath) -> None:
    table = sheet.table(path)
    of_tokens = [name for name in (*TOKEN_PRICES, "tiers", "batch_multiplier") if name in table]
    missing = [name for name in ("input", "output") if name not in table]
    if of_tokens and missing:
        what = f"{of_tokens[0]} is set, and not {' and '.join(missing)}"
        sheet.note(path, what, "Set the whole price, or none of its tokens: those of the price list count then.")
    if not table:
        sheet.note(path, "nothing is set", "Add input and output, the prices of a million tokens in US dollars.")


def describe_prices(prices: Mapping[str, PriceConfig]) -> list[tuple[str, str]]:
    """What was set, as (subject, sentence) rows for a person."""
    return [(f"price of {name}", f"{_describe(price)} ({price.origin})") for name, price in prices.items()]


def _describe(price: PriceConfig) -> str:
    if price.input is not None:
        words = [f"${price.input:f} in and ${price.output:f} out a million tokens"]
        words += [f"other prices above {tier.above:,} tokens" for tier in price.tiers]
    else:
        words = ["as in the price list"]
    if price.multiplier is not None:
        words.append(f"times {price.multiplier:f}")
    words += [f"${each:f} a {what}" for what in ("request", "search") if (each := getattr(price, what)) is not None]
    return ", ".join(words)
