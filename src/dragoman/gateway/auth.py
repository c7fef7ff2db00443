"""Who is calling: API keys to principals, from a short-lived memory before the store; and the making of keys.

Knows no SQL and no HTTP framework. A whole key is never kept, logged or put into an exception: only its keyed hash is.
Source: spec HDR-1 to HDR-4 and ERR-40 to ERR-42.
"""

import asyncio
import hmac
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Generic, TypeVar

import msgspec

from dragoman.errors import ConfigError, StoreError, Unauthenticated, Unavailable
from dragoman.store.base import KeyRecord, Store
from dragoman.wire.headers import Headers

from .secret import BASE62, default_workspace_id, organization_id

__all__ = ["Auth", "Principal", "hash_key", "new_key"]

log = logging.getLogger("dragoman.auth")

KEY_PREFIX = "sk-dgm-"
KEY_LIMIT_CHARS = 1024  # ours have 50; a preset one may be a longer token. Anything above is refused unhashed
REMEMBERED_LIMIT = 10_000  # keys of each sort that are remembered
GRACE_S = 600.0  # how long a key that the store has confirmed works on while the store is away

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

    @property
    def headers(self) -> list[tuple[str, str]]:
        """That each of its replies has (HDR-31, HDR-32)."""
        return [("anthropic-organization-id", self.organization_id), ("anthropic-workspace-id", self.workspace_id)]


def new_key() -> str:
    """A fresh key: "sk-dgm-" and 43 characters that are safe in a URL, 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(secret: bytes, key: str) -> bytes:
    """HMAC-SHA256, 32 bytes. Not a slow hash: keys are random, and are looked up all the time."""
    return hmac.digest(secret, key.encode("utf-8", "surrogatepass"), "sha256")


def _hint(key: str) -> str:
    """Enough to tell keys apart; of a short preset key at most a quarter."""
    if key.startswith(KEY_PREFIX) and len(key) >= 40:
        return f"{key[: len(KEY_PREFIX) + 3]}...{key[-4:]}"
    shown = min(4, len(key) // 8)
    return f"{key[:shown]}...{key[len(key) - shown :]}"


def _is_plausible(key: str) -> bool:
    """Could be a key at all: visible ASCII, not too long. What is not need neither be hashed nor looked up."""
    return 0 < len(key) <= KEY_LIMIT_CHARS and key.isascii() and key.isprintable() and " " not in key


def _new_id() -> str:
    return "apikey_" + "".join(secrets.choice(BASE62) for _ in range(24))


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
    asked: float  # and when it was last asked, in vain perhaps


class Auth:
    """Tells principals by their keys, and makes, lists and revokes keys.

    What the store said is remembered for `cache_seconds`, so a key revoked elsewhere works on for that long at most;
    keys that exist and keys that do not are remembered apart, so that guesses push no real key out.
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
        self._revocations = 0
        self._memory_key = secrets.token_bytes(32)
        self._known: _Recent[_Known] = _Recent(REMEMBERED_LIMIT)
        self._unknown: _Recent[float] = _Recent(REMEMBERED_LIMIT)  # digest -> when the store was asked
        self._admitted: dict[bytes, Principal] = {}
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
        is_fresh = known is not None and self._clock() - known.asked < self._cache_seconds
        return known.principal if known is not None and is_fresh else None

    async def identify(self, api_key: str | None, authorization: str | None) -> Principal:
        """The principal of a request's `x-api-key` and `authorization` header values (HDR-3: either will do).

        Raises Unauthenticated when neither is a live key, Unavailable when the store is needed and away.
        """
        presented = _presented(api_key, authorization)
        if not presented:
            raise Unauthenticated(MISSING)
        trouble: StoreError | None = None
        for key, _ in presented:
            try:
                principal = await self._principal(key)
            except StoreError as error:
                trouble = error
                continue
            if principal is not None:
                return principal
        if trouble is not None:  # its text names a path: it is for the log, not for the caller
            raise Unavailable("API keys cannot be checked at the moment. Please try again shortly.") from trouble
        raise Unauthenticated(presented[0][1])

    async def create(self, name: str, *, key: str | None = None, is_test: bool = False) -> tuple[str, KeyRecord]:
        """Make a key, or take `key`. The plain key is returned here and never again.

        Requests with a test key may ask for faults (`faults.py`); otherwise it is a key like any other.
        Raises ConfigError for an unfit name or key, or a key that exists.
        """
        plain = new_key() if key is None else _checked(key, "the key")
        record = self._record(_checked_name(name), plain, is_test=is_test)
        if not await self._store.keys.add(record):
            raise ConfigError(f"the key {record.hint} exists already")
        self._unknown.drop(self._fingerprint(plain))
        return plain, record

    async def preset(self, key: str, name: str = "preset") -> KeyRecord:
        """Have `key` (DRAGOMAN_API_KEY) in the store; nothing changes when it is there already.

        Raises ConfigError when it is unfit, or was revoked: a key that leaked must not come back with a restart.
        """
        record = self._record(_checked_name(name), _checked(key, "DRAGOMAN_API_KEY"))
        is_new = await self._store.keys.add(record)
        self._unknown.drop(self._fingerprint(key.strip()))
        found = record if is_new else await self._store.keys.find(record.hash)
        if found is None:
            raise StoreError("a key that was there a moment ago is gone from the store")
        if found.revoked_at is not None:
            raise ConfigError(
                f"DRAGOMAN_API_KEY is the key {found.id}, which was revoked on "
                f"{found.revoked_at:%Y-%m-%d} and stays so: set another one, or unset it"
            )
        return found

    def admit(self, key: str, name: str) -> Principal:
        """Take `key` for a test key as long as this object lives: for callers in this process.

        No store knows it, so it is on no disk, in no list, and cannot be revoked.
        """
        principal = Principal(
            key_id=_new_id(),
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
        plain = new_key()
        return plain if await self._store.keys.add_first(self._record("first", plain)) else None

    async def list(self) -> Sequence[KeyRecord]:
        """All keys, revoked ones too, newest first."""
        return await self._store.keys.list()

    async def revoke(self, id_or_hint: str) -> KeyRecord:
        """End the key with this id or hint (or, for one in a hurry, the key itself). Twice is harmless.

        Raises ConfigError when there is none, or several keys share the hint.
        """
        given = id_or_hint.strip()
        digest = hash_key(self._secret, given)
        matches = [key for key in await self._store.keys.list() if given in (key.id, key.hint) or key.hash == digest]
        if len(matches) > 1:
            raise ConfigError(f"the hint {given} fits {', '.join(key.id for key in matches)}: name one of these ids")
        revoked = await self._store.keys.revoke(matches[0].id, self._now()) if matches else None
        if revoked is None:
            # A long text without dots may be a whole key, given by mistake: it is not repeated.
            shown = given if 0 < len(given) < 32 or "..." in given else _hint(given)
            raise ConfigError(f"no key has the id or hint {shown}: `dragoman keys list` shows those that are there")
        self._revocations += 1
        self._known.drop_where(lambda known: known.principal.key_id == revoked.id)
        return revoked

    def _fingerprint(self, key: str) -> bytes:
        """By what a key is remembered here: as safe as the store's hash, and three times as quick."""
        return blake2b(key.encode("utf-8", "surrogatepass"), key=self._memory_key, digest_size=32).digest()

    def _record(self, name: str, plain: str, *, is_test: bool = False) -> KeyRecord:
        digest = hash_key(self._secret, plain)
        return KeyRecord(
            id=_new_id(), name=name, hash=digest, hint=_hint(plain), created_at=self._now(), is_test=is_test
        )

    async def _principal(self, key: str) -> Principal | None:
        """The principal of a key; None when it is not a live one. Raises StoreError when that cannot be told."""
        if not _is_plausible(key):
            return None
        mark = self._fingerprint(key)
        if (admitted := self._admitted.get(mark)) is not None:
            return admitted
        while True:
            now = self._clock()
            known = self._known.get(mark)
            if known is not None and now - known.asked < self._cache_seconds:
                return known.principal
            asked = self._unknown.get(mark)
            if asked is not None and now - asked < self._cache_seconds:
                return None
            flight = self._flights.get(mark)
            if flight is None:
                return await self._ask_for_all(key, mark)
            trouble = await asyncio.shield(flight)
            if trouble is not None:
                raise StoreError(str(trouble)) from trouble

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
        revocations = self._revocations
        asked = self._clock()  # before the question: a key revoked while it is under way counts as seen before
        try:
            record = await self._store.keys.find(digest)
        except StoreError as error:
            self._note_store(is_away=True, why=error)
            return self._last_known(mark, error)
        self._note_store(is_away=False)
        is_ours = record is not None and hmac.compare_digest(record.hash, digest)
        if record is None or not is_ours or record.revoked_at is not None:
            self._known.drop(mark)
            self._unknown.put(mark, asked)
            return None
        principal = Principal(
            key_id=record.id,
            key_name=record.name,
            workspace_id=record.workspace_id or self.workspace_id,
            organization_id=self.organization_id,
            is_test=record.is_test,
        )
        if revocations == self._revocations:  # else what the store said may be of before
            self._known.put(mark, _Known(principal, confirmed=asked, asked=asked))
        self._unknown.drop(mark)
        return principal

    def _last_known(self, mark: bytes, error: StoreError) -> Principal:
        """While the store is away: what it last said, asked for again only after `cache_seconds`."""
        known = self._known.get(mark)
        now = self._clock()
        if known is None or now - known.confirmed > GRACE_S:
            raise error
        self._known.put(mark, msgspec.structs.replace(known, asked=now))
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


def _checked(key: str, what: str) -> str:
    key = key.strip()
    if len(key) < 8 or not _is_plausible(key):
        raise ConfigError(
            f"{what} is not fit to be a key: it takes 8 to {KEY_LIMIT_CHARS} visible ASCII characters, no whitespace"
        )
    return key


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= 200 or not name.isprintable():
        raise ConfigError("a key's name takes 1 to 200 printable characters")
    return name
