"""What must survive a restart: the records, and the protocol that every store keeps.

Imports nothing heavy (no SQL library, no event loop), so that every layer above may import it at no cost.
"""

from typing import Protocol

from dragoman.store.batches import BatchStore
from dragoman.store.budgets import BudgetStore
from dragoman.store.credentials import CredentialStore
from dragoman.store.files import FileStore
from dragoman.store.keys import KeyRecord, KeyStore
from dragoman.store.ledger import LedgerStore
from dragoman.store.organization import OrganizationStore
from dragoman.store.usage import UsageStore

__all__ = ["KeyRecord", "KeyStore", "LedgerStore", "Store", "UsageStore"]


class Store(Protocol):
    """The records that must survive. Every method raises StoreError for any trouble with the database."""

    batches: BatchStore
    budgets: BudgetStore
    credentials: CredentialStore
    files: FileStore
    keys: KeyStore
    ledger: LedgerStore
    organization: OrganizationStore
    usage: UsageStore

    async def open(self) -> None:
        """Connect; make or migrate the schema. Comes before every other call."""

    async def close(self) -> None:
        """Let what runs end, then let go of the database. Harmless when it is not open."""

    async def ping(self) -> None:
        """Return when a read gets through."""
