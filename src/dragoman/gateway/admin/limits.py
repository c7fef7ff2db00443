"""Rate limits as the official API shows them (ADM-8), and tiers and who is in which, under /v1/dragoman.

What limits do is in `limits.py`; what is set here goes into the store's settings, and each process heeds it within
seconds (`limits/policies.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from dragoman.errors import ConfigError, InvalidRequest, NotFound
from dragoman.gateway.config.limits import EVERY, GroupConfig, TierConfig
from dragoman.gateway.limits.model_groups import OTHER, Group, ModelGroups
from dragoman.gateway.limits.policies import ORIGIN
from dragoman.store.keys import KeyChanges
from dragoman.store.organization import SettingRecord, TierUse, WorkspaceRecord
from dragoman.wire.schema import check

from .asking import Asking, must_be_above
from .own_types import Assignment, GroupLimits, GroupLimitsPut, Limits, List, Tier, TierDeleted
from .types import (
    CountLimitGroup,
    LimitEntry,
    LimitEntryOfOld,
    LimitPage,
    LimitValue,
    ModelLimitGroup,
    WorkspaceLimitEntry,
    WorkspaceLimitEntryOfOld,
    WorkspaceLimitSource,
    WorkspaceLimitValue,
    WorkspaceLimitValueOfOld,
)
from .workspaces import change_workspace, find_workspace

__all__ = [
    "delete_tier",
    "list_limits",
    "list_rate_limits",
    "list_tiers",
    "list_workspace_rate_limits",
    "must_know_tier",
    "needed_tier",
    "put_tier",
    "set_key_limits",
    "set_organization_limits",
    "set_workspace_limits",
]

# Our settings -> the API's names of limits. Cache reads do not count as input.
TYPES: Mapping[str, str] = {
    "rpm": "requests_per_minute",
    "itpm": "input_tokens_per_minute_cache_aware",
    "otpm": "output_tokens_per_minute",
    "tpm": "tokens_per_minute",
    "tpd": "tokens_per_day",
}
COUNTS = "token counting"
RATES = ("rpm", "itpm", "otpm", "tpm", "tpd")
NUMBERS = (*RATES, "count_rpm", "concurrent")


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """What has limits of its own: models that share theirs, or counting tokens."""

    name: str
    group: Group | None
    models: list[str] | None

    @property
    def id(self) -> str:
        """The same in every organization."""
        return f"rlg_{blake2b(self.name.encode(), digest_size=12).hexdigest()}"


# -- as the official API shows them --


async def list_rate_limits(asking: Asking) -> LimitPage[LimitEntry | LimitEntryOfOld]:
    """Of the organization."""
    query = asking.query
    tier = asking.gateway.limits.config.organization
    parts = list(_parts(asking, query.group_type))
    if query.model is not None:
        if not any(query.model in (part.models or ()) for part in _model_parts(asking)):
            raise NotFound(f"model: {query.model[:100]}")
        parts = [part for part in parts if query.model in (part.models or ())]
    entries = [_entry(asking, part, limits) for part in parts if (limits := _limits(asking, tier, part))]
    return _page(query, entries)


async def list_workspace_rate_limits(asking: Asking) -> LimitPage[WorkspaceLimitEntry | WorkspaceLimitEntryOfOld]:
    """Of a workspace: its own limits, and with `include_inherited` those of the organization besides."""
    query, workspace = asking.query, await find_workspace(asking)
    tier, above = _tier_of(asking, workspace), asking.gateway.limits.config.organization
    entries = []
    for part in _parts(asking, query.group_type):
        own, inherited = _limits(asking, tier, part), _limits(asking, above, part)
        names = [name for name in TYPES if name in own or (query.include_inherited and name in inherited)]
        values = [_value(asking, name, own.get(name), inherited.get(name)) for name in names]
        if values:
            entries.append(_workspace_entry(asking, workspace.id, part, values))
    return _page(query, entries)


def _parts(asking: Asking, group_type: str | None) -> Iterator[_Part]:
    if group_type in (None, "model_group"):
        yield from _model_parts(asking)
    if group_type in (None, "token_count"):
        yield _Part(name=COUNTS, group=None, models=None)


def _model_parts(asking: Asking) -> list[_Part]:
    """The groups of all names that are listed, in the order of the list of models."""
    gateway = asking.gateway
    groups = ModelGroups(gateway.router, gateway.config)
    found: dict[Group, list[str]] = {}
    listed: Any = gateway.catalogue.page({"limit": ["1000"]})["data"]
    for row in listed:
        model = gateway.catalogue.resolve(row["id"])
        found.setdefault(groups.of(row["id"]), []).extend([row["id"], *(model.aliases if model else ())])
    return [
        _Part(name=group.name, group=group, models=list(dict.fromkeys(names)))
        for group, names in found.items()
        if group.name != OTHER
    ]


def _limits(asking: Asking, tier: str | None, part: _Part) -> Mapping[str, int]:
    return {} if tier is None else asking.gateway.limits.rates(tier, part.group)


def _tier_of(asking: Asking, workspace: WorkspaceRecord) -> str | None:
    """As `Limits` has it for a caller of this workspace."""
    config = asking.gateway.limits.config
    if workspace.tier in config.tiers:
        return workspace.tier
    found = config.workspaces.get(workspace.id)
    if found is None and workspace.id == asking.default_workspace_id:
        found = config.default_workspace
    return found or config.workspaces.get(EVERY)


def _entry_id(asking: Asking, part: _Part) -> str:
    about = f"{asking.principal.organization_id}\n{part.name}"
    return f"rl_{blake2b(about.encode(), digest_size=12).hexdigest()}"


def _group(part: _Part) -> ModelLimitGroup | CountLimitGroup:
    if part.group is None:
        return CountLimitGroup(id=part.id)
    return ModelLimitGroup(id=part.id, display_name=part.name)


def _group_type(part: _Part) -> Any:
    return "token_count" if part.group is None else "model_group"


def _entry(asking: Asking, part: _Part, limits: Mapping[str, int]) -> LimitEntry | LimitEntryOfOld:
    values = [LimitValue(type=TYPES[name], value=limits[name]) for name in TYPES if name in limits]
    id_ = _entry_id(asking, part)
    if asking.is_of_old:
        return LimitEntryOfOld(id=id_, group_type=_group_type(part), models=part.models, limits=values)
    return LimitEntry(id=id_, group=_group(part), models=part.models, limits=values)


def _value(asking: Asking, name: str, own: int | None, above: int | None) -> Any:
    value = own if own is not None else above or 0
    if asking.is_of_old:
        return WorkspaceLimitValueOfOld(type=TYPES[name], value=value, org_limit=above)
    source = WorkspaceLimitSource(type="organization" if own is None else "workspace")
    return WorkspaceLimitValue(type=TYPES[name], value=value, org_limit=above, source=source)


def _workspace_entry(asking: Asking, workspace_id: str, part: _Part, values: list[Any]) -> Any:
    common: dict[str, Any] = {
        "rate_limit_id": _entry_id(asking, part),
        "workspace_id": workspace_id,
        "models": part.models,
        "limits": values,
    }
    if asking.is_of_old:
        return WorkspaceLimitEntryOfOld(**common, group_type=_group_type(part))
    return WorkspaceLimitEntry(**common, group=_group(part))


def _page(query: Any, entries: Sequence[Any]) -> LimitPage[Any]:
    """`page` is the place to go on from, as told before. Without `limit` all fit on one."""
    if query.page is not None and not (query.page.isascii() and query.page.isdecimal() and len(query.page) < 7):
        raise InvalidRequest("page: is not one that this server has told")
    start = int(query.page or 0)
    end = len(entries) if query.limit is None else start + query.limit
    return LimitPage(data=list(entries[start:end]), next_page=str(end) if end < len(entries) else None)


# -- tiers --


async def list_tiers(asking: Asking) -> List[Tier]:
    return List(data=[_tier(tier) for tier in asking.gateway.limits.config.tiers.values()])


async def put_tier(asking: Asking) -> Tier:
    """Make a tier, or put another in the place of one that was made here. Raises InvalidRequest."""
    name, body = asking.ids["name"], asking.body
    _must_be_ours(asking, name)
    if not 0 < len(name) <= 200 or not name.isprintable() or not name.strip():
        raise InvalidRequest("name: takes 1 to 200 printable characters")
    groups = {model: _group_config(model, limits) for model, limits in (body.groups or {}).items()}
    tier = TierConfig(name=name, origin=ORIGIN, groups=groups, **{each: getattr(body, each) for each in NUMBERS})
    try:
        asking.gateway.limits.check(tier)
    except ConfigError as error:
        raise InvalidRequest(str(error).removeprefix(f"{ORIGIN}: ").removeprefix(f"tiers.{name}.")) from error
    values = {each: getattr(body, each) for each in NUMBERS if getattr(body, each) is not None}
    if groups:
        values["groups"] = body.groups
    await _set(asking, "tier", name, values)
    return _tier(tier)


async def delete_tier(asking: Asking) -> TierDeleted:
    """Raises InvalidRequest for one that somebody is in. One that the file has too is the file's again."""
    name = asking.ids["name"]
    await asking.gateway.policies.refresh()  # to what other processes have set
    if name not in asking.gateway.limits.config.tiers:
        raise NotFound(f"Tier {name[:100]} not found.")
    _must_be_ours(asking, name)
    store = asking.gateway.store.organization
    if asking.gateway.policies.is_configured(name):
        await store.delete_setting("tier", name)
    elif (use := await store.delete_tier(name)) is not None:
        raise InvalidRequest(f"Tier {name} is in use by {_users(use)}. Put them into another one first.")
    await asking.gateway.policies.refresh()
    return TierDeleted(name=name)


def _users(use: TierUse) -> str:
    named = ", ".join(use.users)
    return f"{named} and {use.others} more" if use.others else named


async def must_know_tier(asking: Asking, name: str) -> None:
    """Raises InvalidRequest."""
    await asking.gateway.policies.refresh()  # another process may have made or deleted it a moment ago
    known = asking.gateway.limits.config.tiers
    if name not in known:
        raise InvalidRequest(f"tier: there is no tier {name[:100]!r}. There are {', '.join(known)}")


def needed_tier(asking: Asking, name: str | UnsetType | None) -> str | None:
    """The tier that somebody is put into, if it may be deleted in this moment: not one of the file's."""
    if name is UNSET or name is None or asking.gateway.policies.is_configured(name):
        return None
    return name


# -- who is in which --


async def list_limits(asking: Asking) -> Limits:
    config = asking.gateway.limits.config
    return Limits(
        organization=config.organization,
        default_workspace=config.default_workspace,
        workspaces=dict(config.workspaces),
        keys=dict(config.keys),
    )


async def set_organization_limits(asking: Asking) -> Assignment:
    await _assign(asking, "organization")
    return Assignment(scope="organization", id=None, tier=asking.body.tier)


async def set_workspace_limits(asking: Asking) -> Assignment:
    workspace = await find_workspace(asking)
    if workspace.id == asking.default_workspace_id:
        await _assign(asking, "default_workspace")
    else:
        tier = await _given_tier(asking)
        await change_workspace(
            asking,
            workspace.id,
            lambda record: msgspec.structs.replace(record, tier=tier),
            needs_tier=needed_tier(asking, tier),
        )
    return Assignment(scope="workspace", id=workspace.id, tier=asking.body.tier)


async def set_key_limits(asking: Asking) -> Assignment:
    key_id = asking.ids["key_id"]
    record = await asking.gateway.store.keys.get(key_id)
    if record is None:
        raise NotFound(f"API key {key_id[:100]} not found.")
    must_be_above(asking, record.role, "change an admin key above it")
    tier = await _given_tier(asking)
    try:
        needed = needed_tier(asking, tier)
        await asking.gateway.auth.update(key_id, KeyChanges(tier=tier), needs_tier=needed)
    except ConfigError as error:
        raise InvalidRequest(str(error)) from error
    return Assignment(scope="key", id=key_id, tier=tier)


async def _given_tier(asking: Asking) -> str | None:
    tier: str | None = asking.body.tier
    if tier is not None:
        await must_know_tier(asking, tier)
    return tier


async def _assign(asking: Asking, name: str) -> None:
    """Null: what the configuration file says holds again."""
    tier = await _given_tier(asking)
    if tier is not None:
        await _set(asking, "assignment", name, tier, needs_tier=needed_tier(asking, tier))
        return
    await asking.gateway.store.organization.delete_setting("assignment", name)
    await asking.gateway.policies.refresh()


# -- what they share --


async def _set(asking: Asking, kind: str, name: str, value: object, *, needs_tier: str | None = None) -> None:
    """Raises InvalidRequest for a tier that was deleted meanwhile."""
    text = msgspec.json.encode(value).decode()
    record = SettingRecord(kind=kind, name=name, value=text, updated_at=asking.now)
    try:
        await asking.gateway.store.organization.put_setting(record, needs_tier=needs_tier)
    except ConfigError as error:
        raise InvalidRequest(str(error)) from error
    await asking.gateway.policies.refresh()


def _must_be_ours(asking: Asking, name: str) -> None:
    tier = asking.gateway.limits.config.tiers.get(name)
    if tier is not None and _origin(tier) != ORIGIN:
        raise InvalidRequest(f"name: the tier {name!r} is {_where(tier)}, and cannot be changed here")


def _where(tier: TierConfig) -> str:
    return "built in" if _origin(tier) == "built in" else "of the configuration file"


def _origin(tier: TierConfig) -> Any:
    return tier.origin if tier.origin in ("built in", ORIGIN) else "file"


def _group_config(model: str, given: Any) -> GroupConfig:
    try:
        check(GroupLimitsPut, given)
    except InvalidRequest as error:
        raise InvalidRequest(f"groups.{model[:100]}.{error}") from None
    return GroupConfig(origin=ORIGIN, **given)


def _tier(tier: TierConfig) -> Tier:
    return Tier(
        name=tier.name,
        origin=_origin(tier),
        count_rpm=tier.count_rpm,
        concurrent=tier.concurrent,
        groups={model: GroupLimits(**_rates(group)) for model, group in tier.groups.items()},
        **_rates(tier),
    )


def _rates(limits: TierConfig | GroupConfig) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in RATES}
