"""Which models share their limits (LIM-2): every name that a caller may give a model, to one of few groups.

Few, as each has buckets of its own: a caller who makes up names must get neither fresh buckets nor our memory.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import get_args

from msgspec import Struct

from dragoman.errors import NotFound
from dragoman.gateway.config.config import Config
from dragoman.gateway.routing.routing import Router
from dragoman.wire.models import Line

__all__ = ["LINES", "OTHER", "Group", "ModelGroups"]

LINES: frozenset[str] = frozenset(get_args(Line))
KEPT = 1000  # names whose group is remembered
LONGEST_KEPT = 256  # characters
OTHER = "other models"  # all that neither the catalogue nor the configuration names

# Model id -> its group. A model that is not here has a group of its own.
SHARED: Mapping[str, str] = {
    "claude-opus-4-5-20251101": "claude-opus-4.5 to 4.8",
    "claude-opus-4-6": "claude-opus-4.5 to 4.8",
    "claude-opus-4-7": "claude-opus-4.5 to 4.8",
    "claude-opus-4-8": "claude-opus-4.5 to 4.8",
    "claude-sonnet-4-5-20250929": "claude-sonnet-4.5 and 4.6",
    "claude-sonnet-4-6": "claude-sonnet-4.5 and 4.6",
}


# Of these models what a cache is read from counts as input like any other (LIM-3).
COUNTED_CACHE_READS = frozenset({"claude-3-5-haiku-20241022"})


class Group(Struct, frozen=True, cache_hash=True):
    """Models that share their limits. `line` is None where the catalogue does not know them."""

    name: str
    line: str | None = None
    counts_cache_reads: bool = False


class ModelGroups:
    """Finds the group of what answers a name."""

    def __init__(self, router: Router, config: Config) -> None:
        self._router = router
        self._named = frozenset(_named(router, config))
        self._recent = lru_cache(KEPT)(self._find)

    def of(self, name: str) -> Group:
        """By what it resolves to, so that an alias shares with its model. Never raises."""
        return self._recent(name) if len(name) <= LONGEST_KEPT else self._find(name)

    def _find(self, name: str) -> Group:
        try:
            route = self._router.route(name)
        except NotFound:
            return Group(OTHER)
        if route.model is not None:
            id_ = route.model.id
            return Group(SHARED.get(id_, id_), route.model.line, id_ in COUNTED_CACHE_READS)
        return Group(route.model_name if route.model_name in self._named else OTHER)


def _named(router: Router, config: Config) -> Iterator[str]:
    """Models that the configuration names, as their providers call them: as [models] or in a tier."""
    yield from (target.model for rule in config.models.values() for target in rule.targets)
    for tier in config.limits.tiers.values():
        for name in tier.groups.keys() - LINES:
            with suppress(NotFound):  # a model that is not there has no limits either: `Limits` tells of it
                yield router.route(name).model_name
