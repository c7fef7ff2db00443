"""Who is calling: API keys to principals, from a short-lived memory before the store; and the making of keys.

Knows no SQL and no HTTP framework. A whole key is never kept, logged or put into an exception: only its keyed hash is.
Source: spec HDR-1 to HDR-4, ERR-11 and ERR-40 to ERR-42.
"""

import asyncio
import hmac
import logging
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b
from typing import Generic, TypeVar

import msgspec

from dragoman.errors import ConfigError, RateLimited, StoreError, Unauthenticated, Unavailable
from dragoman.store.base import KeyRecord, Store
from dragoman.store.keys import KeyChanges
from dragoman.wire.headers import Headers

from .bad_keys import BadKeys
from .key_form import (
    KEY_LIMIT_CHARS,
    checked_key,
    hash_key,
    hint_of,
    is_plausible,
    is_sealed,
    new_key,
    new_key_id,
    sealed_key,
)
from .key_terms import checked_changes, checked_name, checked_role, encode_tags
from .secret import default_workspace_id, organization_id

__all__ = ["Auth", "Principal", "hash_key", "new_key"]

log = logging.getLogger("dragoman.auth")

REMEMBERED_LIMIT = 10_000  # keys of each sort that are remembered
RECHECK_S = 0.25  # how long who has a key that was good waits for the store to say so again
GRACE_S = 600.0  # how long a key that the store has confirmed works on while the store is away
OVERLAP = timedelta(hours=24)  # how long a key that was rotated works on, unless somebody says otherwise
OVERLAP_LIMIT = timedelta(days=366)

MISSING = "x-api-key header is required"  # ERR-40
WRONG_API_KEY = "invalid x-api-key"  # ERR-41
WRONG_BEARER = "Invalid bearer token"  # ERR-42

V = TypeVar("V")


class Principal(msgspec.Struct, frozen=True, cache_hash=True):
    """Whom a request is answered and accounted for."""

    key_id: str
    key_name: str
    workspace_id: str  # "wrkspc_..."
    organization_id: str  # a UUID
    is_test: bool = False  # may ask for faults
    role: str | None = None  # of an admin key: owner, admin, developer, billing or reader
    tier: str | None = None  # of rate limits, of its own; None: what the configuration says
    workspace_tier: str | None = None
    models: tuple[str, ...] | None = None  # patterns of names that it may ask; None: all
    addresses: tuple[str, ...] | None = None  # networks that it may come from; None: all
    tags: str | None = None  # for the ledger: a JSON object of texts
    cache_s: int | None = None  # how long its replies are given again to the very same request; None: never

    @property
    def headers(self) -> list[tuple[str, str]]:
        """That each of its replies has (HDR-31, HDR-32)."""
        return [("anthropic-organization-id", self.organization_id), ("anthropic-workspace-id", self.workspace_id)]


class _Recent(Generic[V]):
    """The most recently used entries, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[bytes, V] = OrderedDict()

    def get(self, digest: bytes) -> V | None:
        entry = self._entries.get(digest)
        if entry is not None:
            self._entries.move_to_end(digest)
        return entry

    def put(self, digest: bytes, entry: V) -> None:
        self._entries[digest] = entry
        self._entries.move_to_end(digest)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def drop(self, digest: bytes) -> None:
        self._entries.pop(digest, None)

    def drop_where(self, is_meant: Callable[[V], bool]) -> None:
        for digest in [digest for digest, entry in self._entries.items() if is_meant(entry)]:
            self.drop(digest)


class _Known(msgspec.Struct, frozen=True):
    principal: Principal
    confirmed: float  # monotonic seconds: when the store last said that the key is good
    fresh_until: float  # until then the store need not be asked again
    ends: float  # when it expires, whatever the store says; infinity: never


class Auth:
    """Tells principals by their keys, and makes, lists and revokes keys.

    What the store said is remembered for `cache_seconds`, so a key revoked elsewhere works on for that long at most;
    keys that exist and keys that do not are remembered apart, so that guesses push no real key out.
    So it is with all else that others change of a key, but not with its end: that is kept to by the clock.
    `clock` gives monotonic seconds, `now` the aware UTC time.
    """

    def __init__(
        self,
        store: Store,
        secret: bytes,
        *,
        clock: Callable[[], float] = time.monotonic,
        cache_seconds: float = 5.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.organization_id = organization_id(secret)
        self.workspace_id = default_workspace_id(secret)
        self._store = store
        self._secret = secret
        self._clock = clock
        self._cache_seconds = cache_seconds
        self._now = now
        self._changes = 0  # of keys, by this object
        self._memory_key = secrets.token_bytes(32)
        self._known: _Recent[_Known] = _Recent(REMEMBERED_LIMIT)
        self._unknown: _Recent[float] = _Recent(REMEMBERED_LIMIT)  # digest -> when the store was asked
        self._admitted: dict[bytes, Principal] = {}
        self._preset: set[bytes] = set()
        self._bad_keys = BadKeys()
        self._rechecks: dict[bytes, asyncio.Future[Principal | None]] = {}  # of keys that were good
        self._flights: dict[bytes, asyncio.Future[StoreError | None]] = {}  # questions under way
        self._is_store_away = False

    def mark(self, headers: Headers) -> bytes | None:
        """By what `recall` knows the one key of a request; None where there are two, or none that can be right."""
        api_key = headers.get("x-api-key")
        if api_key is None or len(api_key) > KEY_LIMIT_CHARS or "authorization" in headers:
            return None
        return self._fingerprint(api_key)

    def recall(self, mark: bytes) -> Principal | None:
        """As `identify`, of nearly every request: of a key that the store confirmed a moment ago. Else None."""
        known = self._known.get(mark)
        return known.principal if known is not None and self._clock() < known.fresh_until else None

    async def identify(
        self, api_key: str | None, authorization: str | None, *, address: str | None = None
    ) -> Principal:
        """The principal of a request's `x-api-key` and `authorization` header values (HDR-3: either will do).

        Raises Unauthenticated when neither is a live key, Unavailable when the store is needed and away, RateLimited
        when it would have to be asked for one more key from an `address` of wrong ones.
        """
        presented = _presented(api_key, authorization)
        if not presented:
            raise Unauthenticated(MISSING)
        trouble: StoreError | RateLimited | None = None
        for key, _ in presented:
            try:
                principal = await self._principal(key, address)
            except (StoreError, RateLimited) as error:
                trouble = error
                continue
            if principal is not None:
                return principal
        if isinstance(trouble, RateLimited):
            raise trouble
        if trouble is not None:  # its text names a path: it is for the log, not for the caller
            raise Unavailable("API keys cannot be checked at the moment. Please try again shortly.") from trouble
        raise Unauthenticated(presented[0][1])

    async def create(
        self,
        name: str,
        *,
        key: str | None = None,
        is_test: bool = False,
        role: str | None = None,
        created_by: str | None = None,
        terms: KeyChanges | None = None,
        needs_tier: str | None = None,
    ) -> tuple[str, KeyRecord]:
        """Make a key, or take `key`. The plain key is returned here and never again.

        Requests with a test key may ask for faults (`faults/faults.py`); otherwise it is a key like any other. One
        with a `role` is an admin key, and for nothing else. `terms` are what `update` could change of it.
        `needs_tier`: a tier that was set while the server runs, and may be deleted in this moment.
        Raises ConfigError for unfit values, such a tier that is gone, or a key that exists.
        """
        if is_test and role is not None:
            raise ConfigError("an admin key asks no models, so it cannot be a key for tests too")
        plain = sealed_key(self._secret, is_admin=role is not None) if key is None else checked_key(key, "the key")
        record = self._record(checked_name(name), plain, is_test=is_test)
        record = self._with_terms(record, terms or KeyChanges())
        record = msgspec.structs.replace(record, role=checked_role(role), created_by=created_by)
        if not await self._store.keys.add(record, needs_tier=needs_tier):
            raise ConfigError(f"the key {record.hint} exists already")
        self._unknown.drop(self._fingerprint(plain))
        return plain, record

    async def update(self, key_id: str, changes: KeyChanges, *, needs_tier: str | None = None) -> KeyRecord | None:
        """Change a key and return it; None when there is none with this id.

        An archived key stays one: where it was to be active or inactive, what is returned is archived and as it was.
        Raises ConfigError for unfit values, and a tier that is gone (`create`). Other processes heed it within
        `cache_seconds`, this one at once.
        """
        kept = self._kept(checked_changes(changes))
        changed = await self._store.keys.update(key_id, kept, self._now(), needs_tier=needs_tier)
        self._forget(key_id)
        return changed

    async def rotate(self, key_id: str, *, overlap: timedelta = OVERLAP) -> tuple[str, KeyRecord] | None:
        """Give a key another secret, and return it, here and never again; the old one works on for `overlap`.

        The key's id and all of its terms stay, and so does its end. The one before the old one ends now. None when
        there is no key with this id, or it is archived. Raises ConfigError.
        """
        if not timedelta(0) <= overlap <= OVERLAP_LIMIT:
            raise ConfigError(f"overlap: takes 0 to {OVERLAP_LIMIT.days} days")
        record = await self._store.keys.get(key_id)
        if record is None:
            return None
        plain = sealed_key(self._secret, is_admin=record.role is not None)
        rotated = await self._store.keys.rotate(
            key_id,
            key_hash=hash_key(self._secret, plain),
            hint=hint_of(plain),
            previous_until=self._now() + overlap,
        )
        self._forget(key_id)
        return None if rotated is None else (plain, rotated)

    async def preset(self, key: str, name: str = "preset") -> KeyRecord:
        """Have `key` (DRAGOMAN_API_KEY) in the store; nothing changes when it is there already.

        Raises ConfigError when it is unfit, or was revoked: a key that leaked must not come back with a restart.
        """
        record = self._record(checked_name(name), checked_key(key, "DRAGOMAN_API_KEY"))
        is_new = await self._store.keys.add(record)
        mark = self._fingerprint(key.strip())
        self._unknown.drop(mark)
        self._preset.add(mark)
        found = record if is_new else await self._store.keys.find(record.hash)
        if found is None:
            raise StoreError("a key that was there a moment ago is gone from the store")
        ended_at = found.revoked_at or found.workspace_archived_at
        if ended_at is not None:
            raise ConfigError(
                f"DRAGOMAN_API_KEY is the key {found.id}, which was revoked on "
                f"{ended_at:%Y-%m-%d} and stays so: set another one, or unset it"
            )
        return found

    def admit(self, key: str, name: str) -> Principal:
        """Take `key` for a test key as long as this object lives: for callers in this process.

        No store knows it, so it is on no disk, in no list, and cannot be revoked.
        """
        principal = Principal(
            key_id=new_key_id(),
            key_name=name,
            workspace_id=self.workspace_id,
            organization_id=self.organization_id,
            is_test=True,
        )
        self._admitted[self._fingerprint(key)] = principal
        return principal

    async def ensure_first(self) -> str | None:
        """Make a key named "first" and return it, unless there is any key; then None.

        Of several processes that start at once, one makes it.
        """
        plain = sealed_key(self._secret)
        return plain if await self._store.keys.add_first(self._record("first", plain)) else None

    async def list(self) -> Sequence[KeyRecord]:
        """All keys, revoked ones too, newest first."""
        return await self._store.keys.list()

    async def find(self, id_or_hint: str) -> KeyRecord:
        """The key with this id or hint (or, for one in a hurry, the key itself).

        Raises ConfigError when there is none, or several keys share the hint.
        """
        given = id_or_hint.strip()
        matches = await self._store.keys.named(given, hash_key(self._secret, given))
        if len(matches) > 1:
            raise ConfigError(f"the hint {given} fits {', '.join(key.id for key in matches)}: name one of these ids")
        if not matches:
            # A long text without dots may be a whole key, given by mistake: it is not repeated.
            shown = given if 0 < len(given) < 32 or "..." in given else hint_of(given)
            raise ConfigError(f"no key has the id or hint {shown}: `dragoman keys list` shows those that are there")
        return matches[0]

    async def revoke(self, id_or_hint: str) -> KeyRecord:
        """End the key that `find` finds, for good. Twice is harmless. Raises ConfigError."""
        found = await self.find(id_or_hint)
        revoked = await self._store.keys.revoke(found.id, self._now())
        self._forget(found.id)
        return revoked or found

    def forget_workspace(self, workspace_id: str) -> None:
        """Ask the store again for its keys: it was changed here, and other processes find out by themselves."""
        self._changes += 1
        self._known.drop_where(lambda known: known.principal.workspace_id == workspace_id)

    def _forget(self, key_id: str) -> None:
        self._changes += 1
        self._known.drop_where(lambda known: known.principal.key_id == key_id)
        self._unknown.drop_where(lambda _: True)  # it may be among them, by its digest alone

    def _fingerprint(self, key: str) -> bytes:
        """By what a key is remembered here: as safe as the store's hash, and three times as quick."""
        return blake2b(key.encode("utf-8", "surrogatepass"), key=self._memory_key, digest_size=32).digest()

    def _record(self, name: str, plain: str, *, is_test: bool = False) -> KeyRecord:
        digest = hash_key(self._secret, plain)
        return KeyRecord(
            id=new_key_id(), name=name, hash=digest, hint=hint_of(plain), created_at=self._now(), is_test=is_test
        )

    def _with_terms(self, record: KeyRecord, terms: KeyChanges) -> KeyRecord:
        given = msgspec.structs.asdict(self._kept(checked_changes(terms)))
        status = given.pop("status")
        given = {name: value for name, value in given.items() if value is not msgspec.UNSET}
        ended = {"inactive": "disabled_at", "archived": "revoked_at"}.get(status)
        return msgspec.structs.replace(record, **given, **({ended: record.created_at} if ended else {}))

    def _kept(self, changes: KeyChanges) -> KeyChanges:
        """The default workspace has an id for callers, and none in the store (ADM-5)."""
        is_default = changes.workspace_id == self.workspace_id
        return msgspec.structs.replace(changes, workspace_id=None) if is_default else changes

    async def _principal(self, key: str, address: str | None) -> Principal | None:
        """The principal of a key; None when it is not a live one.

        Raises StoreError when that cannot be told, RateLimited when it is not to be asked from there.
        """
        if not is_plausible(key):
            return None
        mark = self._fingerprint(key)
        if (admitted := self._admitted.get(mark)) is not None:
            return admitted
        while True:
            now = self._clock()
            known = self._known.get(mark)
            if known is not None and now < known.fresh_until:
                return known.principal
            asked = self._unknown.get(mark)
            if asked is not None and now - asked < self._cache_seconds:
                return None
            flight = self._flights.get(mark)
            if known is not None:
                return await self._confirmed(key, mark)
            if flight is None:
                self._must_have_patience(key, mark, address)
                principal = await self._ask_for_all(key, mark)
                if principal is None:
                    self._bad_keys.note(address, self._clock())
                return principal
            trouble = await asyncio.shield(flight)
            if trouble is not None:
                raise StoreError(str(trouble)) from trouble

    async def _confirmed(self, key: str, mark: bytes) -> Principal | None:
        """The principal of a key that was good a while ago: as the store says now or, if that takes its time, as it
        said then; what it says now counts from when it comes (pain 36). Raises StoreError."""
        asking = self._rechecks.get(mark)
        if asking is None:
            asking = self._rechecks[mark] = asyncio.ensure_future(self._ask_for_all(key, mark))
            asking.add_done_callback(partial(self._rechecked, mark))
        await asyncio.wait({asking}, timeout=RECHECK_S)
        if asking.done() and not asking.cancelled():
            return asking.result()
        return self._last_known(mark, StoreError(f"no answer came within {RECHECK_S:g} s"))

    def _rechecked(self, mark: bytes, asking: "asyncio.Future[Principal | None]") -> None:
        self._rechecks.pop(mark, None)
        if not asking.cancelled():
            asking.exception()  # whoever waited for it has been told

    def _must_have_patience(self, key: str, mark: bytes, address: str | None) -> None:
        """Raises RateLimited for a guess from an address that has tried too many: not for a key that was good before,
        nor one that was surely made here or for us."""
        wait_s = self._bad_keys.wait_s(address, self._clock())
        if not wait_s or self._known.get(mark) is not None or mark in self._preset or is_sealed(self._secret, key):
            return
        raise RateLimited(
            f"Too many invalid API keys have come from your network address. Please try again in {wait_s} s.",
            retry_after=wait_s,
        )

    async def _ask_for_all(self, key: str, mark: bytes) -> Principal | None:
        """Ask the store, for this caller and those who come with the same key meanwhile.

        They look again when the flight ends: at what is remembered now or, if this caller hung up and was cancelled,
        by asking themselves. Only trouble is handed on, so that they need not run into it one after the other.
        """
        flight = self._flights[mark] = asyncio.get_running_loop().create_future()
        trouble: StoreError | None = None
        try:
            return await self._ask(key, mark)
        except StoreError as error:
            trouble = error
            raise
        finally:
            del self._flights[mark]
            flight.set_result(trouble)

    async def _ask(self, key: str, mark: bytes) -> Principal | None:
        digest = hash_key(self._secret, key)
        changes = self._changes
        asked = self._clock()  # before the question: a key revoked while it is under way counts as seen before
        try:
            record = await self._store.keys.find(digest)
        except StoreError as error:
            self._note_store(is_away=True, why=error)
            return self._last_known(mark, error)
        self._note_store(is_away=False)
        left_s = 0.0 if record is None else _left_s(record, digest, self._now())
        if record is None or left_s <= 0:
            self._known.drop(mark)
            self._unknown.put(mark, asked)
            return None
        principal = self._principal_of(record)
        if changes == self._changes:  # else what the store said may be of before
            ends = self._clock() + left_s
            known = _Known(principal, asked, fresh_until=min(asked + self._cache_seconds, ends), ends=ends)
            self._known.put(mark, known)
        self._unknown.drop(mark)
        return principal

    def _principal_of(self, record: KeyRecord) -> Principal:
        return Principal(
            key_id=record.id,
            key_name=record.name,
            workspace_id=record.workspace_id or self.workspace_id,
            organization_id=self.organization_id,
            is_test=record.is_test,
            role=record.role,
            tier=record.tier,
            workspace_tier=record.workspace_tier,
            models=record.models,
            addresses=record.addresses,
            tags=encode_tags(record.tags),
            cache_s=record.cache_s,
        )

    def _last_known(self, mark: bytes, error: StoreError) -> Principal | None:
        """While the store is away: what it last said, asked for again only after `cache_seconds`. None when the key
        has expired meanwhile."""
        known = self._known.get(mark)
        now = self._clock()
        if known is None or now - known.confirmed > GRACE_S:
            raise error
        if now >= known.ends:
            return None
        until = min(now + self._cache_seconds, known.ends)
        self._known.put(mark, msgspec.structs.replace(known, fresh_until=until))
        return known.principal

    def _note_store(self, *, is_away: bool, why: StoreError | None = None) -> None:
        """One line when the store goes and one when it comes back, not one a request."""
        if is_away and not self._is_store_away:
            log.warning("the key store is away, known keys work for %d s more: %s", GRACE_S, why)
        elif self._is_store_away and not is_away:
            log.warning("the key store is back")
        self._is_store_away = is_away


def _presented(api_key: str | None, authorization: str | None) -> Sequence[tuple[str, str]]:
    """The keys that a request presents, each with the refusal's text, in the order in which they are looked at.

    An empty header counts as none (ERR-40); another scheme than Bearer presents a key that cannot be right.
    """
    presented = []
    if key := (api_key or "").strip():
        presented.append((key, WRONG_API_KEY))
    scheme, _, token = (authorization or "").strip().partition(" ")
    token = token.strip()
    if scheme and scheme.lower() != "bearer":
        presented.append(("", WRONG_BEARER))
    elif token:
        presented.append((token, WRONG_BEARER))
    return presented


def _left_s(record: KeyRecord, digest: bytes, now: datetime) -> float:
    """For how many seconds from `now` on the key of this hash is good; 0 when it is not."""
    ends = [] if record.expires_at is None else [record.expires_at]
    if not hmac.compare_digest(record.hash, digest):
        if not hmac.compare_digest(record.previous_hash or b"", digest) or record.previous_until is None:
            return 0.0
        ends.append(record.previous_until)
    if record.status(now) != "active":
        return 0.0
    return min(((end - now).total_seconds() for end in ends), default=math.inf)
