"""The smallest Store there can be: what the shared suite says, without a database."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import UNSET

from dragoman.errors import StoreError
from dragoman.store.base import KeyRecord, KeyStore, Store
from dragoman.store.keys import KeyChanges, KeyFilter


class MemoryKeys(KeyStore):
    def __init__(self) -> None:
        self.records: dict[str, KeyRecord] | None = None

    async def add(self, record: KeyRecord, *, needs_tier: str | None = None) -> bool:
        keys = self._opened()
        if any(record.id == key.id or record.hash == key.hash for key in keys.values()):
            return False
        keys[record.id] = msgspec.structs.replace(record, created_at=record.created_at.astimezone(UTC))
        return True

    async def add_first(self, record: KeyRecord) -> bool:
        return not self._opened() and await self.add(record)

    async def find(self, key_hash: bytes) -> KeyRecord | None:
        keys = self._opened().values()
        now = next((key for key in keys if key.hash == key_hash), None)
        return now or next((key for key in keys if key.previous_hash == key_hash), None)

    async def get(self, key_id: str) -> KeyRecord | None:
        return self._opened().get(key_id)

    async def named(self, id_or_hint: str, key_hash: bytes) -> Sequence[KeyRecord]:
        return [key for key in await self.list() if id_or_hint in (key.id, key.hint) or key.hash == key_hash]

    async def tags(
        self, key_ids: Collection[str], *, workspace_id: str | None = None
    ) -> Mapping[str, Mapping[str, str]]:
        seen = [key for key in await self.list() if workspace_id in (None, key.workspace_id)]
        return {key.id: key.tags for key in seen if key.id in key_ids and key.tags}

    async def list(self) -> Sequence[KeyRecord]:
        return sorted(self._opened().values(), key=_place, reverse=True)

    async def page(
        self,
        limit: int,
        *,
        now: datetime,
        where: KeyFilter | None = None,
        after: KeyRecord | None = None,
        before: KeyRecord | None = None,
    ) -> Sequence[KeyRecord]:
        where = where or KeyFilter()
        found = [
            key
            for key in await self.list()
            if where.status in (None, key.status(now))
            and where.workspace_id in (UNSET, key.workspace_id)
            and where.created_by in (None, key.created_by)
            and where.is_admin in (None, key.role is not None)
            and (after is None or _place(key) < _place(after))
            and (before is None or _place(key) > _place(before))
        ]
        return found[:limit] if before is None else found[-limit:]

    async def update(
        self, key_id: str, changes: KeyChanges, at: datetime, *, needs_tier: str | None = None
    ) -> KeyRecord | None:
        keys = self._opened()
        key = keys.get(key_id)
        if key is None or (key.revoked_at is not None and changes.status in ("active", "inactive")):
            return key
        given = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
        status = given.pop("status", None)
        if status == "archived":
            given["revoked_at"] = key.revoked_at or at
        elif status is not None:
            given["disabled_at"] = (key.disabled_at or at) if status == "inactive" else None
        keys[key_id] = msgspec.structs.replace(key, **given)
        return keys[key_id]

    async def rotate(self, key_id: str, *, key_hash: bytes, hint: str, previous_until: datetime) -> KeyRecord | None:
        keys = self._opened()
        key = keys.get(key_id)
        if key is None or key.revoked_at is not None:
            return None
        for other in [each for each in keys.values() if each.previous_hash == key.hash]:
            keys[other.id] = msgspec.structs.replace(other, previous_hash=None, previous_until=None)
        keys[key_id] = msgspec.structs.replace(
            key, hash=key_hash, hint=hint, previous_hash=key.hash, previous_until=previous_until
        )
        return keys[key_id]

    async def revoke(self, key_id: str, at: datetime) -> KeyRecord | None:
        return await self.update(key_id, KeyChanges(status="archived"), at)

    def _opened(self) -> dict[str, KeyRecord]:
        if self.records is None:
            raise StoreError("the store is not open")
        return self.records


def _place(key: KeyRecord) -> tuple[datetime, str]:
    return key.created_at, key.id


class MemoryStore(Store):
    def __init__(self) -> None:
        self.keys: MemoryKeys = MemoryKeys()

    async def open(self) -> None:
        self.keys.records = {}

    async def close(self) -> None:
        self.keys.records = None

    async def ping(self) -> None:
        self.keys._opened()
