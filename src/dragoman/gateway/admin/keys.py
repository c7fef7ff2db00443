"""API keys: as the official API shows and changes them (ADM-3, 4), and all of their terms under /v1/dragoman.

The official endpoints know keys for models alone; admin keys are made, seen and changed under /v1/dragoman.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import UNSET

from dragoman.errors import ConfigError, InvalidRequest, NotFound, PermissionDenied
from dragoman.gateway.auth.auth import OVERLAP
from dragoman.store.keys import KeyChanges, KeyFilter, KeyRecord

from .asking import Asking, cursors, must_be_above, page_of, parsed_time, texts
from .limits import must_know_tier, needed_tier
from .own_types import Key, KeyWithSecret
from .roles import MAY, SET_KEY_LIMITS
from .types import Actor, APIKey, APIKeyOfOld, Page, WorkspaceScope

__all__ = [
    "create_key",
    "list_api_keys",
    "list_keys",
    "retrieve_api_key",
    "retrieve_key",
    "revoke_key",
    "rotate_key",
    "update_api_key",
    "update_key",
]

FIELD = re.compile(r"[a-z_]+: ")


# -- as the official API has them --


async def list_api_keys(asking: Asking) -> Page[APIKey | APIKeyOfOld]:
    query = asking.query
    found = await _page(asking, query.workspace_id, created_by=query.created_by_user_id, is_admin=False)
    return page_of(asking, found, lambda record: _api_key(asking, record), lambda record: record.id)


async def retrieve_api_key(asking: Asking) -> APIKey | APIKeyOfOld:
    return _api_key(asking, await _find_for_models(asking))


async def update_api_key(asking: Asking) -> APIKey | APIKeyOfOld:
    record, body = await _find_for_models(asking), asking.body
    changes = KeyChanges(name=body.name or UNSET, status=body.status or UNSET)
    return _api_key(asking, await _update(asking, record, changes))


async def _find_for_models(asking: Asking) -> KeyRecord:
    record = await _find(asking, asking.ids["api_key_id"])
    if record.role is not None:
        raise _no_key(record.id)
    return record


# -- with all of their terms --


async def list_keys(asking: Asking) -> Page[Key]:
    query = asking.query
    is_admin = None if query.kind is None else query.kind == "admin"
    found = await _page(asking, query.workspace_id, created_by=query.created_by, is_admin=is_admin)
    return page_of(asking, found, lambda record: _key(asking, record), lambda record: record.id)


async def retrieve_key(asking: Asking) -> Key:
    return _key(asking, await _find(asking, asking.ids["key_id"]))


async def create_key(asking: Asking) -> KeyWithSecret:
    """A key that is bound to a workspace makes keys for that one."""
    body = asking.body
    must_be_above(asking, body.role, f"make one of the role {body.role}")
    terms = await _terms(asking, body)
    if isinstance(terms.expires_at, datetime) and terms.expires_at <= asking.now:
        raise InvalidRequest("expires_at: is over already, so that the key would never work")
    if asking.bound_to is not None and terms.workspace_id is UNSET:
        terms = _with_workspace(terms, asking.bound_to)
    creator = body.created_by
    if creator is not None and await asking.gateway.store.organization.find_member(creator) is None:
        raise InvalidRequest(f"created_by: no member has the id {creator[:100]!r}")
    try:
        plain, record = await asking.gateway.auth.create(
            body.name,
            is_test=bool(body.is_test),
            role=body.role,
            created_by=creator,
            terms=terms,
            needs_tier=needed_tier(asking, terms.tier),
        )
    except ConfigError as error:
        raise _unfit(error) from error
    return _with_secret(asking, plain, record)


async def update_key(asking: Asking) -> Key:
    record = await _find(asking, asking.ids["key_id"])
    must_be_above(asking, record.role, "change an admin key above it")
    return _key(asking, await _update(asking, record, await _terms(asking, asking.body)))


async def rotate_key(asking: Asking) -> KeyWithSecret:
    record = await _find(asking, asking.ids["key_id"])
    must_be_above(asking, record.role, "change an admin key above it")
    seconds = asking.body.overlap_seconds
    try:
        overlap = OVERLAP if seconds is None else timedelta(seconds=seconds)
        rotated = await asking.gateway.auth.rotate(record.id, overlap=overlap)
    except (ConfigError, OverflowError) as error:
        raise InvalidRequest(f"overlap_seconds: {error}") from error
    if rotated is None:
        raise InvalidRequest(f"API key {record.id} is archived and cannot be changed.")
    return _with_secret(asking, *rotated)


async def revoke_key(asking: Asking) -> Key:
    """For good. Twice is harmless."""
    record = await _find(asking, asking.ids["key_id"])
    must_be_above(asking, record.role, "end an admin key above it")
    return _key(asking, await _update(asking, record, KeyChanges(status="archived")))


# -- what they share --


async def _page(
    asking: Asking, workspace_id: str | None, *, created_by: str | None, is_admin: bool | None
) -> Sequence[KeyRecord]:
    """One more than was asked for, of those that this key sees."""
    query = asking.query
    of_workspace: Any = UNSET
    if asking.bound_to is not None:
        if workspace_id not in (None, asking.bound_to):
            return []
        of_workspace = asking.bound_to
    elif workspace_id is not None:
        of_workspace = None if workspace_id == asking.default_workspace_id else workspace_id
    after, before = await cursors(asking, lambda id_: _seen(asking, id_), "API key")
    where = KeyFilter(status=query.status, workspace_id=of_workspace, created_by=created_by, is_admin=is_admin)
    return await asking.gateway.store.keys.page(
        query.limit + 1, now=asking.now, where=where, after=after, before=before
    )


async def _seen(asking: Asking, key_id: str) -> KeyRecord | None:
    record = await asking.gateway.store.keys.get(key_id)
    return record if record is not None and asking.sees(record.workspace_id) else None


async def _find(asking: Asking, key_id: str) -> KeyRecord:
    """Raises NotFound, also for one of a workspace that this key does not see."""
    record = await _seen(asking, key_id)
    if record is None:
        raise _no_key(key_id)
    return record


def _no_key(key_id: str) -> NotFound:
    return NotFound(f"API key {key_id[:100]} not found.")


async def _update(asking: Asking, record: KeyRecord, changes: KeyChanges) -> KeyRecord:
    try:
        needed = needed_tier(asking, changes.tier)
        changed = await asking.gateway.auth.update(record.id, changes, needs_tier=needed)
    except ConfigError as error:
        raise _unfit(error) from error
    if changed is None:
        raise _no_key(record.id)
    if changed.status(asking.now) == "archived" and changes.status in ("active", "inactive"):
        raise InvalidRequest(f"status: API key {record.id} is archived, and stays so")
    return changed


def _unfit(error: ConfigError) -> InvalidRequest:
    """What `key_terms` says begins with the name of the field, but for that of a name."""
    text = str(error)
    return InvalidRequest(text if FIELD.match(text) else f"name: {text}")


async def _terms(asking: Asking, body: Any) -> KeyChanges:
    """The terms that were sent, null among them. Raises InvalidRequest."""
    given = asking.given & {*KeyChanges.__struct_fields__}
    values = {name: getattr(body, name) for name in given}
    for name in ("name", "status"):  # there is no such thing as none
        if values.get(name, "") is None:
            del values[name]
    if "expires_at" in values:
        values["expires_at"] = parsed_time("expires_at", values["expires_at"])
    for name in ("models", "addresses"):
        if values.get(name) is not None:
            values[name] = tuple(values[name])
    texts("tags", values.get("tags"))
    if "tier" in values and not (asking.ids.get("key_id") is None and values["tier"] is None):
        await _must_set_tiers(asking, values["tier"])
    if values.get("name") in _names_that_count(asking):
        _must_set_limits(asking, "name: the configuration sets limits or budgets for keys of this name.")
    terms = KeyChanges(**values)
    if "workspace_id" in values:
        await _must_see_workspace(asking, values["workspace_id"])
    return terms


async def _must_set_tiers(asking: Asking, tier: str | None) -> None:
    """Whoever may make keys may not therefore raise their limits."""
    _must_set_limits(asking, "tier: this admin key may not put keys into tiers.")
    if tier is not None:
        await must_know_tier(asking, tier)


def _must_set_limits(asking: Asking, otherwise: str) -> None:
    if asking.principal.role not in MAY[SET_KEY_LIMITS] or asking.bound_to is not None:
        raise PermissionDenied(otherwise)


def _names_that_count(asking: Asking) -> set[str]:
    """Names of keys by which the configuration gives limits and budgets."""
    config = asking.gateway.config
    budgets = {each.scope_id for each in config.budgets if each.scope == "key"}
    return {*config.limits.keys, *budgets}


async def _must_see_workspace(asking: Asking, workspace_id: str | None) -> None:
    """A key may be put where the asking one sees it, and where it works."""
    if not asking.sees(workspace_id):
        raise InvalidRequest(
            f"workspace_id: this admin key is bound to workspace {asking.bound_to}, and its keys are of that one"
        )
    found: Any = True
    if workspace_id is not None and workspace_id != asking.default_workspace_id:
        found = await asking.gateway.store.organization.find_workspace(workspace_id)
    if found is None:
        raise InvalidRequest(f"workspace_id: no workspace has the id {(workspace_id or '')[:100]!r}")
    if found is not True and found.archived_at is not None:
        raise InvalidRequest(f"workspace_id: workspace {workspace_id} is archived")


def _with_workspace(terms: KeyChanges, workspace_id: str) -> KeyChanges:
    given = {name: getattr(terms, name) for name in KeyChanges.__struct_fields__}
    return KeyChanges(**{**given, "workspace_id": workspace_id})


def _api_key(asking: Asking, record: KeyRecord) -> APIKey | APIKeyOfOld:
    values: dict[str, Any] = {
        "id": record.id,
        "name": record.name,
        "status": record.status(asking.now),
        "created_at": record.created_at,
        "created_by": None if record.created_by is None else Actor(id=record.created_by),
        "expires_at": record.expires_at,
        "partial_key_hint": record.hint,
    }
    if asking.is_of_old:
        return APIKeyOfOld(**values, workspace_id=record.workspace_id)
    return APIKey(**values, scope=WorkspaceScope(workspace_id=record.workspace_id or asking.default_workspace_id))


def _key(asking: Asking, record: KeyRecord) -> Key:
    return Key(**_values(asking, record))


def _with_secret(asking: Asking, plain: str, record: KeyRecord) -> KeyWithSecret:
    return KeyWithSecret(**_values(asking, record), key=plain)


def _values(asking: Asking, record: KeyRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "status": record.status(asking.now),
        "role": record.role,
        "workspace_id": record.workspace_id or asking.default_workspace_id,
        "partial_key_hint": record.hint,
        "created_at": record.created_at,
        "created_by": record.created_by,
        "expires_at": record.expires_at,
        "models": None if record.models is None else list(record.models),
        "addresses": None if record.addresses is None else list(record.addresses),
        "tags": dict(record.tags or {}),
        "tier": record.tier,
        "cache_s": record.cache_s,
        "is_test": record.is_test,
        "previous_works_until": record.previous_works_until(asking.now),
    }
