"""The most that a request can cost, before it is made. Pure.

An upper bound as far as one can be told without counting: each token of the prompt at the highest price that one may
have, all of `max_tokens`, all searches. What it cannot know is in docs/budgets.md, "What can go over".
"""

from functools import partial
from typing import Any

from dragoman.errors import InvalidRequest
from dragoman.gateway.call import Asked
from dragoman.gateway.ledger.input_estimate import estimate_input_tokens
from dragoman.gateway.prices.prices import Prices
from dragoman.gateway.routing.routing import Route

__all__ = ["highest_cost"]

HIGHEST_TOKENS = 10_000_000  # of one reply, whatever the caller says
UNKNOWN_MODEL_TOKENS = 128_000  # of a reply, where neither the caller nor the catalogue says
SEARCHES = 10  # of a tool that does not say how many
HOUR = b'"1h"'  # as the lifetime of a cache; without it nothing is written for longer than five minutes
SEARCH = b"web_search"


def highest_cost(prices: Prices, asked: Asked, route: Route, *, at: float) -> int | None:
    """Nano-dollars; None where the price is not known. `at`: Unix seconds."""
    body = asked.call.body
    reserve = partial(
        prices.reserve,
        route.provider.name,
        route.model_name,
        input_tokens=estimate_input_tokens(body),
        max_tokens=_max_tokens(asked, route),
        at=at,
        cache="1h" if HOUR in body else "5m",
    )
    searches = _searches(asked) if SEARCH in body else 0
    speed, place = _word(asked, "speed"), _word(asked, "inference_geo")
    if not (searches or speed or place):
        return reserve()
    # Of what is special about it nobody may have a price: perhaps the provider refuses it, or does not know of it.
    special = reserve(searches=searches, speed=speed, inference_geo=place)
    return reserve() if special is None else special


def _max_tokens(asked: Asked, route: Route) -> int:
    """What the caller says, or the most that the model takes: who leaves it out may be given that much."""
    said = _value(asked, "max_tokens")
    if isinstance(said, int) and not isinstance(said, bool):
        return max(0, min(said, HIGHEST_TOKENS))
    return UNKNOWN_MODEL_TOKENS if route.model is None else route.model.max_tokens


def _searches(asked: Asked) -> int:
    tools = _value(asked, "tools")
    if not isinstance(tools, list):
        return 0
    return sum(
        _uses(tool) for tool in tools if isinstance(tool, dict) and str(tool.get("type")).startswith("web_search")
    )


def _uses(tool: dict[str, Any]) -> int:
    uses = tool.get("max_uses")
    return max(0, min(uses, HIGHEST_TOKENS)) if isinstance(uses, int) else SEARCHES


def _word(asked: Asked, name: str) -> str | None:
    value = _value(asked, name)
    return value if isinstance(value, str) else None


def _value(asked: Asked, name: str) -> Any:
    """A field; None where it is missing or cannot be read, which whoever answers will say."""
    try:
        return asked.envelope.value(name)
    except InvalidRequest:
        return None
