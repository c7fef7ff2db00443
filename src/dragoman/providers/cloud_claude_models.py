"""Which Claude a name means, and which of them support a feature. Pure; names no cloud."""

import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["ALL", "MYTHIC", "NEWEST", "NONE", "Claude", "Models", "Support", "claude_of", "supporting"]

Version = tuple[int, int]
NEWEST: Version = (99, 0)
NAMED = re.compile(r"claude-(?:([a-z]+)-)?(\d{1,2})(?:-(\d{1,2}))?(?:-([a-z]+))?(?!\d)")
PREVIEW = "mythos-preview"  # a family of its own: its name tells no version, and it knows less than Mythos 5
MYTHIC = ("fable", "mythos")


class Claude(NamedTuple):
    """A model, by its name."""

    family: str  # empty: not known, so it may be any
    version: Version


class Models(NamedTuple):
    """From one version to another, both included; of some families, or of all."""

    since: Version = (0, 0)
    until: Version = NEWEST
    families: tuple[str, ...] = ()
    beta: str | None = None  # that has to be named for the feature, with these models

    def has(self, model: Claude) -> bool:
        is_family = not model.family or not self.families or model.family in self.families
        return self.since <= model.version <= self.until and is_family


Support = Sequence[Models]  # who supports a feature: the first row that has the model holds
ALL: Support = (Models(),)
NONE: Support = ()


def claude_of(name: str) -> Claude:
    """By a name of any provider's, or an ARN. One whose version is not known is taken for the newest."""
    found = NAMED.search(name)
    if found is None:
        return Claude(PREVIEW if PREVIEW in name else "", NEWEST)
    return Claude(found[1] or found[4] or "", (int(found[2]), int(found[3] or 0)))


def supporting(support: Support, model: Claude) -> Models | None:
    """The row that has the model; None where it does not support the feature."""
    return next((row for row in support if row.has(model)), None)
