"""What must survive a restart: the records, and the protocol that every store keeps.

Imports nothing heavy (no SQL library, no event loop), so that every layer above may import it at no cost.
"""

from typing import Protocol

from dragoman.store.batches import BatchStore
from dragoman.store.files import FileStore
from dragoman.store.keys import KeyRecord, KeyStore
from dragoman.store.ledger import LedgerStore

__all__ = ["KeyRecord", "KeyStore", "LedgerStore", "Store"]


class Store(Protocol):
    """The records that must survive. Every method raises StoreError for any trouble with the database."""

    batches: BatchStore
    files: FileStore
    keys: KeyStore
    ledger: LedgerStore

    async def open(self) -> None:
        """Connect; make or migrate the schema. Comes before every other call."""

    async def close(self) -> None:
        """Let what runs end, then let go of the database. Harmless when it is not open."""

    async def ping(self) -> None:
        """Return when a read gets through."""
