"""API keys as they are stored."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec
from msgspec import UNSET, UnsetType

__all__ = ["KeyChanges", "KeyFilter", "KeyRecord", "KeyStatus", "KeyStore"]

KeyStatus = Literal["active", "inactive", "expired", "archived"]  # ADM-3, ADM-4


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An API key as it is stored: all but the key itself, of which only the keyed hash is kept.

    Times are aware and UTC. A key is never deleted, since ledger rows will name it: `revoked_at` ends it.
    """

    id: str  # "apikey_" and 24 base62 characters
    name: str
    hash: bytes  # HMAC-SHA256 of the key under the installation's secret
    hint: str  # the wire's `partial_key_hint`, "sk-dgm-abc...wxyz" (ADM-4)
    created_at: datetime
    revoked_at: datetime | None = None
    workspace_id: str | None = None  # None: the default workspace, which has no id of its own (ADM-5)
    is_test: bool = False  # its requests may ask for faults (docs/faults.md)
    role: str | None = None  # of an admin key: owner, admin, developer, billing or reader; None: a key for models
    disabled_at: datetime | None = None  # inactive: until it is set active again
    expires_at: datetime | None = None
    created_by: str | None = None  # a member's id
    tier: str | None = None  # of rate limits; None: what the configuration says
    models: tuple[str, ...] | None = None  # patterns of names that it may ask; None: all
    addresses: tuple[str, ...] | None = None  # networks that it may come from; None: all
    tags: Mapping[str, str] | None = None
    previous_hash: bytes | None = None  # of the key before its last rotation, good until `previous_until`
    previous_until: datetime | None = None
    cache_s: int | None = None  # seconds for which replies are given again to the very same request; None: never
    # Of its workspace: read with the key, so that one question tells all, and never kept with it.
    workspace_tier: str | None = None
    workspace_archived_at: datetime | None = None

    def __repr__(self) -> str:  # without the hashes
        return f"KeyRecord({self.id}, {self.hint})"

    def status(self, now: datetime) -> KeyStatus:
        """Archived counts before expired, and that before inactive. A key of an archived workspace is archived."""
        if self.revoked_at is not None or self.workspace_archived_at is not None:
            return "archived"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active" if self.disabled_at is None else "inactive"

    def previous_works_until(self, now: datetime) -> datetime | None:
        """The end of the secret before the last rotation, as far as that of the key; None where it works no more."""
        if self.previous_until is None or self.status(now) in ("archived", "expired"):
            return None
        until = self.previous_until if self.expires_at is None else min(self.previous_until, self.expires_at)
        return until if until > now else None


class KeyChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to become of a key; what is not set stays. None stands for what it stands for in KeyRecord."""

    name: str | UnsetType = UNSET
    status: Literal["active", "inactive", "archived"] | UnsetType = UNSET
    workspace_id: str | UnsetType | None = UNSET
    expires_at: datetime | UnsetType | None = UNSET
    tier: str | UnsetType | None = UNSET
    models: tuple[str, ...] | UnsetType | None = UNSET
    addresses: tuple[str, ...] | UnsetType | None = UNSET
    tags: Mapping[str, str] | UnsetType | None = UNSET
    cache_s: int | UnsetType | None = UNSET


class KeyFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which keys a list is to have; what is not set is no matter."""

    status: KeyStatus | None = None
    workspace_id: str | UnsetType | None = UNSET  # None: the default workspace
    created_by: str | None = None
    is_admin: bool | None = None  # those with a role, or those without


class KeyStore(Protocol):
    """Every method raises StoreError for any trouble with the database."""

    async def add(self, record: KeyRecord, *, needs_tier: str | None = None) -> bool:
        """Keep `record`. False, and nothing done, when its id or hash is there already.

        `needs_tier`: only if the settings have this tier. Raises ConfigError where they have not.
        """

    async def add_first(self, record: KeyRecord) -> bool:
        """Keep `record` only if there is no key at all, not even a revoked one; False otherwise.

        Test and insertion are one step: of several processes that try at once, one succeeds.
        """

    async def find(self, key_hash: bytes) -> KeyRecord | None:
        """The key with this hash, or that had it before its last rotation, whatever its state.

        Where one key has it and another one had it, the one that has it.
        """

    async def get(self, key_id: str) -> KeyRecord | None:
        """The key with this id, whatever its state."""

    async def named(self, id_or_hint: str, key_hash: bytes) -> Sequence[KeyRecord]:
        """The keys with this id, hint or hash, newest first. Looks through all of them."""

    async def tags(
        self, key_ids: Collection[str], *, workspace_id: str | None = None
    ) -> Mapping[str, Mapping[str, str]]:
        """The tags of those of these keys that have some, by their ids; if a workspace is given, of its keys only."""

    async def list(self) -> Sequence[KeyRecord]:
        """All keys, revoked ones too, newest first."""

    async def page(
        self,
        limit: int,
        *,
        now: datetime,
        where: KeyFilter | None = None,
        after: KeyRecord | None = None,
        before: KeyRecord | None = None,
    ) -> Sequence[KeyRecord]:
        """At most `limit` keys, newest first: those that follow `after`, or that stand right before `before`.

        `now` tells which ones have expired.
        """

    async def update(
        self, key_id: str, changes: KeyChanges, at: datetime, *, needs_tier: str | None = None
    ) -> KeyRecord | None:
        """Change a key and return it; None when there is none with this id.

        An archived key stays one, also in another workspace. Where it was to be active or inactive, nothing of it
        changes: what is returned has `revoked_at` then. A second "archived" or "inactive" keeps the time of the first.
        `needs_tier`: as of `add`.
        """

    async def rotate(self, key_id: str, *, key_hash: bytes, hint: str, previous_until: datetime) -> KeyRecord | None:
        """Give a key another hash and hint, and keep the one it has as `previous_hash`: return it.

        None when there is no key with this id, or it is archived. The hash before the last one is forgotten. Raises
        nothing for a hash that is there already: those are random.
        """

    async def revoke(self, key_id: str, at: datetime) -> KeyRecord | None:
        """End a key and return it; None when there is none with this id. A second call keeps the first time."""
