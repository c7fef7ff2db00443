"""What must survive a restart: the records, the protocol that every store keeps, and what a database URL names.

Imports nothing heavy (no SQL library, no event loop), so that every layer above may import it at no cost.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from dragoman.errors import ConfigError
from dragoman.store.batches import BatchStore
from dragoman.store.files import FileStore

__all__ = ["KeyRecord", "Store", "database_file"]

URL_REMEDY = 'write "sqlite:///relative.db", "sqlite:////absolute/path.db", or "sqlite://" for one in memory'


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


def database_file(url: str) -> Path | None:
    """The absolute path of the file that a database URL names; None for a database in memory.

    Paths are taken as they stand, not percent-decoded (as SQLAlchemy does). Raises ConfigError.
    """
    if url in ("sqlite://", "sqlite:///:memory:", ":memory:"):
        return None
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigError(f"database: this is not a URL; {URL_REMEDY}")
    if scheme != "sqlite":  # the rest is not repeated: it may hold a password
        raise ConfigError(f"database: {scheme!r} is not a kind of database that is known here; {URL_REMEDY}")
    if len(rest) < 2 or rest[0] != "/" or "\0" in rest or "?" in rest:
        raise ConfigError(f"database: {url!r} does not name a file; {URL_REMEDY}")
    return Path(rest[1:]).absolute()
