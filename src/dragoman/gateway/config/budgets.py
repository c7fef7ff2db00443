"""Budgets as configuration: the tables [[budgets]].

What they do is in `budgets.py`; docs/budgets.md is the user's side.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from dragoman.gateway.budgets.windows import zone_of
from dragoman.gateway.budgets.words import describe_budget, nano_of, whose
from dragoman.store.budgets import BudgetRecord, Period, ScopeKind, UnknownPrice

from .sheet import Readers, Sheet
from .values import Refused, choice, nearest, yes_or_no

__all__ = ["BudgetConfig", "alerts", "describe_budgets", "dollars", "read_budgets", "scope", "webhook", "zone"]

HIGHEST_USD: Final = 5_000_000  # in nano-dollars still a whole number where all numbers are floating ones
MOST_ALERTS = 20
HIGHEST_PERCENT = 1000
_MOST_DIGITS = 15  # so many of a number survive in a float
_URL_LIMIT = 2048  # characters
_NO_PLACES = frozenset({"localtime", "posixrules", "Factory"})  # files beside those of zones
_OTHER_CLOCKS = ("right/", "posix/")  # folders of copies of all zones, the first with leap seconds


def scope(value: object) -> tuple[ScopeKind, str]:
    """Of what kind, and whose: an id, a name, or EVERY. Of the organization it says nothing: there is one."""
    remedy = (
        'Write "organization", "workspace:ID", "workspace:default", "workspace:*", "key:ID", "key:NAME" or "key:*".'
    )
    if not isinstance(value, str):
        raise Refused("does not say whose budget it is", remedy)
    kind, colon, id_ = value.partition(":")
    if kind == "organization" and not colon:
        return "organization", ""
    if not 0 < len(id_) <= 256 or not id_.isprintable():
        raise Refused("does not say whose budget it is", remedy)
    if kind == "workspace":
        return "workspace", id_
    if kind == "key":
        return "key", id_
    raise Refused("does not say whose budget it is", remedy)


def dollars(value: object) -> int:
    """US dollars, in nano-dollars. What was written counts, not what a float makes of it."""
    amount = None
    if isinstance(value, str):
        amount = _written(value)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        amount = Decimal(repr(value))
        if len(amount.normalize().as_tuple().digits) > _MOST_DIGITS:
            raise Refused(f"has more than {_MOST_DIGITS} digits", "Write fewer: it could not be kept as it is.")
    if amount is None or not 0 <= amount <= HIGHEST_USD:
        raise Refused(
            f"is no amount of US dollars from 0 to {HIGHEST_USD}", "Write a number without quotes, such as 20.0."
        )
    nano = nano_of(amount)
    if nano is None:
        raise Refused("is finer than a billionth of a dollar", "Write fewer digits.")
    return nano


def _written(text: str) -> Decimal | None:
    """From the command line, or out of JSON."""
    digits, point, fraction = text.removeprefix("$").partition(".")
    if not digits.isdecimal() or not digits.isascii() or len(text) > 30 or (point and not fraction.isdecimal()):
        return None
    return Decimal(f"{digits}.{fraction or 0}")


def zone(value: object) -> str:
    """The name of a time zone whose calendar is known here."""
    remedy = 'Write the name of a place in quotes, such as "Europe/Berlin", or "UTC".'
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        raise Refused("is no time zone", remedy)
    if value in _NO_PLACES or value.startswith(_OTHER_CLOCKS):
        raise Refused("is a time zone that differs between machines, or counts leap seconds", remedy)
    try:
        zone_of(value)
    except (KeyError, ValueError, OSError) as error:  # not found, a path, a folder
        raise Refused("is no time zone that is known here", _likely_zone(value) or remedy) from error
    return value


def _likely_zone(value: str) -> str | None:
    from zoneinfo import available_timezones

    known = {name.lower(): name for name in available_timezones()}
    if not known:
        return "This system knows none: install its package tzdata."
    likely = nearest(value.replace(" ", "_"), {name.replace("-", "_") for name in known})
    return None if likely is None or likely not in known else f'Did you mean "{known[likely]}"?'


def alerts(value: object) -> tuple[int, ...]:
    """Percentages, the lowest first."""
    remedy = "Write a list of whole numbers, such as [50, 80, 100]; [] for none."
    if not isinstance(value, list | tuple) or len(value) > MOST_ALERTS:
        raise Refused(f"is no list of at most {MOST_ALERTS} percentages", remedy)
    for index, percent in enumerate(value):
        if not isinstance(percent, int) or isinstance(percent, bool) or not 1 <= percent <= HIGHEST_PERCENT:
            raise Refused(f"is no whole number from 1 to {HIGHEST_PERCENT}", remedy, index=index)
    return tuple(sorted(set(value)))


def webhook(value: object) -> str:
    """Where alerts are posted. It may hold a secret, so it is never shown."""
    remedy = 'Write "https://host/path".'
    if not isinstance(value, str) or len(value) > _URL_LIMIT or not value.isascii():
        raise Refused("is not a URL", remedy, hidden=True)
    if any(letter.isspace() or not letter.isprintable() for letter in value):
        raise Refused("has a space or a control character in it", remedy, hidden=True)
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise Refused("has a broken host or port", remedy, hidden=True) from error
    if parts.scheme not in ("http", "https"):
        raise Refused("begins with neither http:// nor https://", remedy, hidden=True)
    if not parts.hostname or port == 0:
        raise Refused("names no host" if port != 0 else "names port 0", remedy, hidden=True)
    if "@" in parts.netloc:
        raise Refused("has a user or a password before its host", "Take them out.", hidden=True)
    if parts.fragment:
        raise Refused("has a # in it", "Keep what stands before it.", hidden=True)
    return value


_scope, _zone, _alerts, _webhook = scope, zone, alerts, webhook  # within the class these are names of its fields


class BudgetConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A table [[budgets]]."""

    scope: Annotated[tuple[ScopeKind, str], _scope]
    usd: Annotated[int, dollars]  # nano-dollars
    period: Annotated[Period, choice("day", "week", "month", "total")]
    zone: Annotated[str, _zone] = "UTC"
    hard: Annotated[bool, yes_or_no] = True
    alerts: Annotated[tuple[int, ...], _alerts] = (80, 100)
    webhook: Annotated[str | None, _webhook] = None
    unknown_price: Annotated[UnknownPrice, choice("allow", "refuse")] = "allow"

    def __repr__(self) -> str:  # without the webhook, whose path may be a secret
        return f"BudgetConfig({self.scope}, {self.usd}, {self.period})"


_NEEDED: Final = {
    "scope": 'Add scope = "organization", or whose budget it is.',
    "usd": "Add usd = 100.0, or how many US dollars it is.",
    "period": 'Add period = "month", or "day", "week" or "total".',
}


def read_budgets(sheet: Sheet, readers_of: Callable[[type[msgspec.Struct]], Readers]) -> tuple[BudgetRecord, ...]:
    """The tables, in the order of the file; what is wrong with them, the sheet has noted."""
    found: list[BudgetRecord] = []
    for path in sheet.rows("budgets"):
        values = sheet.settings(path, readers_of(BudgetConfig))
        missing = [name for name in _NEEDED if name not in sheet.table(path)]
        for name in missing:
            sheet.note(path, f"{name} is missing", _NEEDED[name])
        if all(name in values for name in _NEEDED):
            found.append(_record(BudgetConfig(**values), found))
    return tuple(found)


def _record(budget: BudgetConfig, before: Sequence[BudgetRecord]) -> BudgetRecord:
    kind, id_ = budget.scope
    record = BudgetRecord(
        id="",
        scope=kind,
        scope_id=id_,
        period=budget.period,
        limit_nano=budget.usd,
        zone=budget.zone,
        is_hard=budget.hard,
        alerts=budget.alerts,
        webhook=budget.webhook,
        unknown_price=budget.unknown_price,
    )
    return msgspec.structs.replace(record, id=_id(record, before))


def _id(record: BudgetRecord, before: Sequence[BudgetRecord]) -> str:
    """The id of a budget of the file: the same as long as whose it is, its period and its zone are.

    `before` are those above it in the file: of two that are alike in that the second has another id.
    """
    made_of = [record.scope, record.scope_id, record.period, record.zone]
    number = sum([each.scope, each.scope_id, each.period, each.zone] == made_of for each in before)
    digest = hashlib.blake2b("\n".join([*made_of, str(number)]).encode(), digest_size=12).hexdigest()
    return f"budget_file_{digest}"


def describe_budgets(budgets: Iterable[BudgetRecord]) -> list[tuple[str, str]]:
    """What was set, as (subject, sentence) rows for a person. Holds no secret."""
    return [(f"budget of {whose(each)}", describe_budget(each)) for each in budgets]
