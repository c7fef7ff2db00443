"""API keys as they are stored."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

__all__ = ["KeyRecord", "KeyStore"]


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


class KeyStore(Protocol):
    """Every method raises StoreError for any trouble with the database."""

    async def add(self, record: KeyRecord) -> bool:
        """Keep `record`. False, and nothing done, when its id or hash is there already."""

    async def add_first(self, record: KeyRecord) -> bool:
        """Keep `record` only if there is no key at all, not even a revoked one; False otherwise.

        Test and insertion are one step: of several processes that try at once, one succeeds.
        """

    async def find(self, key_hash: bytes) -> KeyRecord | None:
        """The key with this hash, revoked or not."""

    async def list(self) -> Sequence[KeyRecord]:
        """All keys, revoked ones too, newest first."""

    async def revoke(self, key_id: str, at: datetime) -> KeyRecord | None:
        """End a key and return it; None when there is none with this id. A second call keeps the first time."""
