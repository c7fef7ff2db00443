"""What is said of budgets, to callers and to people. Pure."""

from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dragoman.errors import BillingProblem
from dragoman.store.budgets import EVERY, BudgetRecord

from .windows import instant

if TYPE_CHECKING:
    from dragoman.store.counters import Purse

__all__ = ["describe_budget", "dollars", "nano_of", "price_refusal", "refusal", "usd", "whose"]

NANO = 1_000_000_000
NAME_SHOWN = 256  # characters of a model's name
_WHOSE = {"organization": "your organization's", "workspace": "your workspace's", "key": "your API key's"}
_A_PERIOD = {"day": " a day", "week": " a week", "month": " a month", "total": " in all"}


def refusal(record: BudgetRecord, purse: "Purse", spent_nano: int) -> BillingProblem:
    """Of a request that a hard budget has not enough left for; others have spent or reserved `spent_nano`.

    In the manner of ERR-48 to 50, and 402 (ERR-12).
    """
    all_of_it, spent, cost = _amounts(record.limit_nano, spent_nano, purse.cost_nano)
    limit = f"{_WHOSE[record.scope]} API budget of {all_of_it}{_A_PERIOD[record.period]}"
    if record.limit_nano == 0:  # which no new day changes
        return BillingProblem(
            f"You have reached {limit}: nothing that costs something is let through. It has to be raised by whoever "
            "administers this server."
        )
    costs = f"this request may cost up to {cost}"
    if purse.cost_nano > record.limit_nano:
        return BillingProblem(
            f"{costs.capitalize()}, which is more than {limit}. Please reduce the prompt length or the maximum tokens "
            "requested."
        )
    state = f"{spent} of it is spent or reserved by requests under way"
    if spent_nano < record.limit_nano:
        state += f", and {costs}"
    ends = "It does not reset: it has to be raised by whoever administers this server."
    if purse.window_end:
        ends = f"You will regain access on {instant(purse.window_end, record.zone)}."
    return BillingProblem(f"You have reached {limit}: {state}. {ends}")


def price_refusal(record: BudgetRecord, model: str) -> BillingProblem:
    """Of a request whose price nobody knows, under a budget that is to refuse those."""
    return BillingProblem(
        f"No price is known for the model {model[:NAME_SHOWN]}, and {_WHOSE[record.scope]} API budget is only for "
        "models whose price is known."
    )


def describe_budget(record: BudgetRecord) -> str:
    """A budget in a sentence, without secrets."""
    words = [f"{dollars(record.limit_nano)}{_A_PERIOD[record.period]}"]
    if record.period != "total":
        words[0] += f" ({record.zone})"
    words.append("then requests are refused" if record.is_hard else "then nothing is refused")
    if record.is_hard and record.unknown_price == "refuse":
        words.append("as are those whose price is not known")
    if record.alerts:
        told = "" if record.webhook is None else f", told to {urlsplit(record.webhook).hostname}"
        words.append(f"alerts at {', '.join(map(str, record.alerts))} %{told}")
    return "; ".join(words)


def whose(record: BudgetRecord) -> str:
    """Whose budget it is: "the organization", "workspace wrkspc_1", "each key"."""
    if record.scope == "organization":
        return "the organization"
    return f"each {record.scope}" if record.scope_id == EVERY else f"{record.scope} {record.scope_id}"


def usd(nano: int) -> str:
    """An exact amount in US dollars, with two digits behind the point at least: "20.00", "0.000000001"."""
    sign, rest = "-" if nano < 0 else "", abs(nano)
    fraction = f"{rest % NANO:09}".rstrip("0")
    return f"{sign}{rest // NANO}.{fraction:0<2}"


def dollars(nano: int) -> str:
    """An amount for people, "$20.00": to four digits that say something, and to the cent above that."""
    return _written(_rounded(nano))


def _amounts(limit_nano: int, spent_nano: int, cost_nano: int) -> list[str]:
    """For people, as `dollars` has them, or as exactly as needed to show that one goes over the other."""
    exact = [Decimal(nano).scaleb(-9) for nano in (limit_nano, spent_nano, cost_nano)]
    rough = [_rounded(nano) for nano in (limit_nano, spent_nano, cost_nano)]
    alone, together = exact[2] > exact[0], exact[1] + exact[2] > exact[0]
    is_seen = (rough[2] > rough[0]) == alone and (rough[1] + rough[2] > rough[0]) == together
    return [_written(amount) for amount in (rough if is_seen else exact)]


def _rounded(nano: int) -> Decimal:
    amount = Decimal(nano).scaleb(-9)
    rounded = amount.quantize(Decimal("0.01") if nano >= NANO else Decimal("0.0001"))
    return amount if rounded == 0 else rounded


def _written(amount: Decimal) -> str:
    whole, _, fraction = f"{amount:,f}".partition(".")
    return f"${whole}.{fraction.rstrip('0'):0<2}"


def nano_of(amount: Decimal) -> int | None:
    """An amount in US dollars in nano-dollars; None where that is no whole number."""
    nano = amount.scaleb(9)
    return int(nano) if nano == nano.to_integral_value() else None
