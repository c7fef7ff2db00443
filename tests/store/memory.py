"""The smallest Store there can be: what the shared suite says, without a database."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from dragoman.errors import StoreError
from dragoman.store.base import KeyRecord, KeyStore, Store


class MemoryKeys(KeyStore):
    def __init__(self) -> None:
        self.records: dict[str, KeyRecord] | None = None

    async def add(self, record: KeyRecord) -> bool:
        keys = self._opened()
        if any(record.id == key.id or record.hash == key.hash for key in keys.values()):
            return False
        keys[record.id] = msgspec.structs.replace(record, created_at=record.created_at.astimezone(UTC))
        return True

    async def add_first(self, record: KeyRecord) -> bool:
        return not self._opened() and await self.add(record)

    async def find(self, key_hash: bytes) -> KeyRecord | None:
        return next((key for key in self._opened().values() if key_hash in (key.hash, key.previous_hash)), None)

    async def list(self) -> Sequence[KeyRecord]:
        return sorted(self._opened().values(), key=lambda key: (key.created_at, key.id), reverse=True)

    async def revoke(self, key_id: str, at: datetime) -> KeyRecord | None:
        keys = self._opened()
        if key_id in keys and keys[key_id].revoked_at is None:
            keys[key_id] = msgspec.structs.replace(keys[key_id], revoked_at=at)
        return keys.get(key_id)

    def _opened(self) -> dict[str, KeyRecord]:
        if self.records is None:
            raise StoreError("the store is not open")
        return self.records


class MemoryStore(Store):
    def __init__(self) -> None:
        self.keys: MemoryKeys = MemoryKeys()

    async def open(self) -> None:
        self.keys.records = {}

    async def close(self) -> None:
        self.keys.records = None

    async def ping(self) -> None:
        self.keys._opened()
