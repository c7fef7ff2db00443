"""Keys of providers as they are stored: encrypted. What is in an envelope `gateway/credentials/master_key.py` knows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

__all__ = ["CredentialRecord", "CredentialStore", "Rewrapped"]


class CredentialRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's key as it is stored. Times are aware and UTC.

    It is never deleted, but what is ended has no envelope any more: nobody can have the key back.
    """

    id: str  # "cred_" and 24 base62 characters
    provider: str  # its name in the configuration
    name: str
    hint: str  # "sk-a...wxyz"
    master_key_id: str  # of the master key that opens the envelope
    envelope: bytes  # empty: ended
    created_at: datetime
    ended_at: datetime | None = None

    def __repr__(self) -> str:  # not even the envelope
        return f"CredentialRecord({self.id}, {self.provider})"


class Rewrapped(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope under another master key, to take the place of the one that was read."""

    id: str  # of the credential
    before: bytes
    envelope: bytes
    master_key_id: str

    def __repr__(self) -> str:
        return f"Rewrapped({self.id})"


class CredentialStore(Protocol):
    """Every method raises StoreError for any trouble with the database."""

    async def add(self, record: CredentialRecord) -> bool:
        """Keep `record`. False, and nothing done, when its id is there already."""

    async def list(self) -> Sequence[CredentialRecord]:
        """All, ended ones too, newest first."""

    async def live(self) -> Sequence[CredentialRecord]:
        """Those that are not ended, newest first."""

    async def end(self, credential_id: str, at: datetime) -> CredentialRecord | None:
        """End one, erase its envelope, and return it; None when there is none. A second call keeps the first time."""

    async def replace(self, changes: Sequence[Rewrapped]) -> int:
        """In one transaction, put each envelope in the place of the one that was read before, where that is still
        there; how many that were."""
