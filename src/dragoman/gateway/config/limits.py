"""Rate limits as configuration: tiers, and who is in which. The tables [tiers.NAME] and [limits].

What the limits do is in `limits.py`; docs/configuration.md is the user's side.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

from .sheet import Readers, Sheet
from .text import KeyPath
from .values import Refused, choice, nearest, shown, whole

__all__ = ["BUILT_IN", "EVERY", "GroupConfig", "LimitsConfig", "TierConfig", "describe_limits", "read_limits"]

EVERY = "*"  # as the id of a workspace or key: each one that has no line of its own
HIGHEST = 1_000_000_000

_per_minute = whole(1, HIGHEST)
_per_day = whole(1, 1000 * HIGHEST)


class GroupConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A table [tiers.NAME.groups."MODEL"]: what is different for the models that share their limits with this one."""

    origin: str
    rpm: Annotated[int | None, _per_minute] = None
    itpm: Annotated[int | None, _per_minute] = None
    otpm: Annotated[int | None, _per_minute] = None
    tpm: Annotated[int | None, _per_minute] = None
    tpd: Annotated[int | None, _per_day] = None


class TierConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A table [tiers.NAME], or a tier that is built in. What is None is not limited."""

    name: str
    origin: str
    rpm: Annotated[int | None, _per_minute] = None
    itpm: Annotated[int | None, _per_minute] = None
    otpm: Annotated[int | None, _per_minute] = None
    tpm: Annotated[int | None, _per_minute] = None
    tpd: Annotated[int | None, _per_day] = None
    count_rpm: Annotated[int | None, _per_minute] = None
    concurrent: Annotated[int | None, whole(1, 10_000)] = None
    groups: Mapping[str, GroupConfig] = {}


def _fable(rpm: int, itpm: int, otpm: int) -> dict[str, GroupConfig]:
    return {"fable": GroupConfig(origin="built in", rpm=rpm, itpm=itpm, otpm=otpm)}


# LIM-8 (Start, Build, Scale of August 2026), LIM-6 (count_rpm) and LIM-9 (free, pro).
BUILT_IN: Mapping[str, TierConfig] = {
    tier.name: tier
    for tier in (
        TierConfig(
            name="start", origin="built in", rpm=1000, itpm=2_000_000, otpm=400_000, count_rpm=2000,
            groups=_fable(1000, 500_000, 100_000),
        ),
        TierConfig(
            name="build", origin="built in", rpm=5000, itpm=5_000_000, otpm=1_000_000, count_rpm=4000,
            groups=_fable(2000, 1_500_000, 300_000),
        ),
        TierConfig(
            name="scale", origin="built in", rpm=10_000, itpm=10_000_000, otpm=2_000_000, count_rpm=8000,
            groups=_fable(4000, 4_000_000, 800_000),
        ),
        TierConfig(name="free", origin="built in", rpm=50, tpm=40_000),
        TierConfig(name="pro", origin="built in", rpm=1000, tpm=400_000),
    )
}  # fmt: skip


def _tier(value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise Refused("is no name of a tier", 'Write one in quotes, such as "start".')


def _tiers(value: object) -> dict[str, str]:
    if isinstance(value, dict) and all(isinstance(each, str) for each in value.values()):
        return value
    raise Refused("is no table of tiers", 'Write {"ID" = "TIER"}, with the names of tiers in quotes.')


class LimitsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The table [limits]: who is in which tier. Who is in none has no limit of that kind."""

    organization: Annotated[str | None, _tier] = None
    default_workspace: Annotated[str | None, _tier] = None
    workspaces: Annotated[Mapping[str, str], _tiers] = {}  # by id, or EVERY
    keys: Annotated[Mapping[str, str], _tiers] = {}  # by id or name, or EVERY
    without_counters: Annotated[Literal["local", "refuse"], choice("local", "refuse")] = "local"  # see store/redis.py
    tiers: Mapping[str, TierConfig] = msgspec.field(default_factory=lambda: dict(BUILT_IN))

    def named(self) -> Iterator[tuple[KeyPath, str]]:
        """Each setting that names a tier, by its path in the file."""
        if self.organization is not None:
            yield ("limits", "organization"), self.organization
        if self.default_workspace is not None:
            yield ("limits", "default_workspace"), self.default_workspace
        for table, names in (("workspaces", self.workspaces), ("keys", self.keys)):
            for who, tier in names.items():
                yield ("limits", table, who), tier


def read_limits(sheet: Sheet, readers_of: Callable[[type[msgspec.Struct]], Readers]) -> LimitsConfig:
    """Both tables; what is wrong with them, the sheet has noted."""
    tiers = dict(BUILT_IN)
    tiers |= {name: _read_tier(sheet, name, readers_of) for name in sheet.names("tiers")}
    limits = LimitsConfig(tiers=tiers, **sheet.settings(("limits",), readers_of(LimitsConfig)))
    for path, tier in limits.named():
        if tier not in tiers:
            likely = nearest(tier, tiers)
            remedy = f"Did you mean {shown(likely)}?" if likely else f"There are {', '.join(map(shown, tiers))}."
            sheet.note(path, "there is no tier of this name", remedy)
    return limits


def _read_tier(sheet: Sheet, name: str, readers_of: Callable[[type[msgspec.Struct]], Readers]) -> TierConfig:
    path: KeyPath = ("tiers", name)
    values: dict[str, Any] = sheet.settings(path, readers_of(TierConfig), tables=("groups",))
    groups = {}
    found = sheet.table(path).get("groups", {})
    if not isinstance(found, dict):
        sheet.note((*path, "groups"), "this is a setting, not a table", 'Write [tiers.NAME.groups."MODEL"].')
        found = {}
    for model in found:
        inner = (*path, "groups", model)
        groups[model] = GroupConfig(origin=sheet.origin(inner), **sheet.settings(inner, readers_of(GroupConfig)))
    return TierConfig(name=name, origin=sheet.origin(path), groups=groups, **values)


def describe_limits(limits: LimitsConfig) -> list[tuple[str, str]]:
    """Who is limited to what, as (subject, sentence) rows for a person; none where nothing is limited."""
    rows = []
    for path, tier in limits.named():
        table, *who = map(str, path[1:])
        subject = " ".join([table.removesuffix("s").replace("_", " "), *who])
        rows.append((f"limits of {subject}", _describe_tier(limits.tiers[tier])))
    return rows


_UNITS = {
    "rpm": "requests a minute",
    "itpm": "input tokens a minute",
    "otpm": "output tokens a minute",
    "tpm": "tokens a minute",
    "tpd": "tokens a day",
    "count_rpm": "counts a minute",
    "concurrent": "at once",
}


def _describe_tier(tier: TierConfig) -> str:
    found = [f"{value:,} {unit}" for name, unit in _UNITS.items() if (value := getattr(tier, name)) is not None]
    special = f"; others for {', '.join(tier.groups)}" if tier.groups else ""
    return f"tier {tier.name}: {', '.join(found) or 'no limit'}{special} ({tier.origin})"
