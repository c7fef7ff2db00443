"""What prices are beyond the lists: factors for circumstances, and models that a list lacks. The data is
rules.toml, which names the lists and models; this file names none."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files

import msgspec

__all__ = ["Rule", "Rules", "Same", "merged", "read_rules"]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row [[rules]]. Factors are of the prices of tokens; what is None, the row says nothing of."""

    source: str
    date: str
    lists: frozenset[str] = frozenset()
    models: str = ""
    batch: Decimal | None = None
    places: Mapping[str, Decimal] = {}  # by `inference_geo` of the usage, "" where there is none
    region: Decimal | None = None
    write_1h: Decimal | None = None  # times the price of input
    search_per_1000: Decimal | None = None  # US dollars
    standard_tiers: frozenset[str] = frozenset()


class Same(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"model": "as"}):
    """One row [[same]]: words in a model's name that may be read as others."""

    source: str
    date: str
    models: str
    model: str


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rules: tuple[Rule, ...]
    same: tuple[Same, ...]

    def of(self, list_id: str, model: str) -> Rule:
        """What counts for a model of a list."""
        return merged(rule for rule in self.rules if list_id in rule.lists and re.search(rule.models, model.lower()))

    def other_names(self, model: str) -> list[str]:
        """The names that a model may have instead of its own, in lower case."""
        name = model.lower()
        return [name.replace(each.models, each.model) for each in self.same if each.models in name]


def merged(rules: Iterable[Rule]) -> Rule:
    """All of them as one; of what two say, the first counts."""
    told: dict[str, object] = {}
    for rule in rules:
        for name in Rule.__struct_fields__:
            value = getattr(rule, name)
            if value not in (None, "", {}, frozenset()):
                told.setdefault(name, value)
    return msgspec.structs.replace(Rule(source="", date=""), **told)


@cache
def read_rules() -> Rules:
    """The rows of the file that comes with the package."""
    text = (files("dragoman.gateway.prices") / "rules.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Rules)
