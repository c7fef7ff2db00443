"""What must survive a restart: the records, and the protocol that every store keeps.

Imports nothing heavy (no SQL library, no event loop), so that every layer above may import it at no cost.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from dragoman.store.batches import BatchStore
from dragoman.store.files import FileStore

__all__ = ["KeyRecord", "Store"]


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


class Store(Protocol):
    """The records that must survive. Every method raises StoreError for any trouble with the database."""

    batches: BatchStore
    files: FileStore

    async def open(self) -> None:
        """Connect; make or migrate the schema. Comes before every other call."""

    async def close(self) -> None:
        """Let what runs end, then let go of the database. Harmless when it is not open."""

    async def ping(self) -> None:
        """Return when a read gets through."""

    async def add_key(self, record: KeyRecord) -> bool:
        """Keep `record`. False, and nothing done, when its id or hash is there already."""

    async def add_first_key(self, record: KeyRecord) -> bool:
        """Keep `record` only if there is no key at all, not even a revoked one; False otherwise.

        Test and insertion are one step: of several processes that try at once, one succeeds.
        """

    async def find_key(self, key_hash: bytes) -> KeyRecord | None:
        """The key with this hash, revoked or not."""

    async def list_keys(self) -> Sequence[KeyRecord]:
        """All keys, revoked ones too, newest first."""

    async def revoke_key(self, key_id: str, at: datetime) -> KeyRecord | None:
        """End a key and return it; None when there is none with this id. A second call keeps the first time."""
