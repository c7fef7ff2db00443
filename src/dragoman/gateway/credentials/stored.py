"""Keys of providers out of the store: which a provider is asked with, and how they are added, ended and kept fresh.

In memory they are Secrets, in the database envelopes (`master_key.py`), and anywhere else only their hints.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from dragoman.errors import ConfigError, StoreError
from dragoman.gateway.auth.secret import BASE62
from dragoman.gateway.config.config import OFFLINE, ProviderConfig, why_no_start
from dragoman.gateway.config.values import Refused, Secret
from dragoman.gateway.config.values import secret as read_secret
from dragoman.store.credentials import CredentialRecord, CredentialStore, Rewrapped

from .master_key import MasterKeys, Unreadable, key_id_of

__all__ = ["SIGNED", "Credentials", "ProviderKeys", "Use", "describe_unreadable", "rewrap_all"]

log = logging.getLogger("dragoman.credentials")

REFRESH_S = 2.0  # what is added or ended elsewhere is in force here within it, and the time of one question
SIGNED = ("aws", "google")  # ways to authorize a request that take no key

# Takes the keys that a provider is to be asked with, the newest first; None: there are some, but none can be read.
Use = Callable[[str, Sequence[Secret] | None], None]


class Credentials:
    """Adds, lists and ends keys of providers. `master_keys` gives those of now: a file may have changed."""

    def __init__(
        self,
        store: CredentialStore,
        master_keys: Callable[[], MasterKeys],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store = store
        self.master_keys = master_keys
        self._now = now

    async def add(self, provider: ProviderConfig, key: str, *, name: str = "unnamed") -> CredentialRecord:
        """Keep a key for a provider. Raises ConfigError for one that is unfit, and for a provider that takes none."""
        checked, keys = _checked(provider, key), self.master_keys()
        credential_id = "cred_" + "".join(secrets.choice(BASE62) for _ in range(24))
        record = CredentialRecord(
            id=credential_id,
            provider=provider.name,
            name=_checked_name(name),
            hint=_hint(checked),
            master_key_id=keys.current.id,
            envelope=keys.seal(checked, about=(credential_id, provider.name)),
            created_at=self._now(),
        )
        if not await self.store.add(record):
            raise StoreError("a new credential's id is there already: try again")
        while (latest := self.master_keys()).current != keys.current:  # a rotation has come between
            keys = MasterKeys([latest.current, keys.current], origin=latest.origin)
            await rewrap_all([record], keys, self.store)
        return record

    async def list(self) -> Sequence[CredentialRecord]:
        """All, ended ones too, newest first."""
        return await self.store.list()

    async def end(self, credential_id: str) -> CredentialRecord:
        """End a key, for good. Twice is harmless. Raises ConfigError for an unknown id."""
        given = credential_id.strip()
        record = await self.store.end(given, self._now())
        if record is None:
            shown = given if given.startswith("cred_") and len(given) < 40 else "given"  # which may be a key
            raise ConfigError(f"no key of a provider has the id {shown}: `dragoman providers list` shows them")
        return record

    def trouble(self, record: CredentialRecord) -> str | None:
        """Why a live one cannot be used here, as a sentence; None where it can. Raises ConfigError."""
        try:
            self.master_keys().open(record.envelope, about=(record.id, record.provider))
        except Unreadable as error:
            return describe_unreadable(record, error)
        return None


class ProviderKeys:
    """Keeps what is in the store in use: `open` at start, then every REFRESH_S until `aclose`.

    A credential is opened once: its key is never another, whatever becomes of its envelope. So a server goes on while
    the master key is changed, with one that it does not know itself.
    """

    def __init__(self, credentials: Credentials, providers: Iterable[ProviderConfig]) -> None:
        self.credentials = credentials
        self._providers = {each.name: each for each in providers}
        self._opened: dict[str, Secret] = {}  # by the credential's id
        self._told: set[str] = set()  # credentials of which it was said that they cannot be read
        self._in_use: Mapping[str, Sequence[Secret] | None] = {}
        self._use: Use = lambda provider, keys: None
        self._task: asyncio.Task[None] | None = None
        self._one_by_one = asyncio.Lock()  # else what was read first might be taken last
        self._is_store_away = False

    async def open(self, use: Use) -> None:
        """Hand out what is there. Raises StoreError, and ConfigError for a provider that has no key and needs one."""
        if not self._providers:
            return
        self._use = use
        await self.refresh()
        lacking = [why_no_start(each) for each in self._providers.values() if each.name not in self._in_use]
        if any(lacking):
            raise ConfigError("\n".join(filter(None, lacking)))
        self._task = asyncio.create_task(self._keep_fresh())

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def refresh(self) -> None:
        """Look into the store now. Raises StoreError."""
        async with self._one_by_one:
            self._take(await self.credentials.store.live())

    def _take(self, records: Sequence[CredentialRecord]) -> None:
        if not records and not self._in_use:
            return
        is_new = any(each.id not in self._opened for each in records)
        keys = self.credentials.master_keys() if is_new else None
        opened = {each.id: self._opened.get(each.id) or self._open(each, keys) for each in records}
        self._opened = {credential_id: key for credential_id, key in opened.items() if key is not None}
        before, self._in_use = self._in_use, self._by_provider(records)
        for name in before.keys() | self._in_use.keys():
            if before.get(name, ()) != self._in_use.get(name, ()):
                self._use(name, self._in_use.get(name, ()))

    def _by_provider(self, records: Iterable[CredentialRecord]) -> dict[str, Sequence[Secret] | None]:
        found: dict[str, list[Secret]] = {}
        for record in records:  # the newest first
            provider = self._providers.get(record.provider)
            if provider is not None and provider.auth not in SIGNED:
                readable = found.setdefault(record.provider, [])
                readable += [self._opened[record.id]] if record.id in self._opened else []
        return {name: keys or None for name, keys in found.items()}

    def _open(self, record: CredentialRecord, keys: MasterKeys | None) -> Secret | None:
        assert keys is not None
        try:
            return Secret(keys.open(record.envelope, about=(record.id, record.provider)))
        except Unreadable as error:
            if record.id not in self._told:
                self._told.add(record.id)
                log.error("%s", describe_unreadable(record, error))
            return None

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self.refresh()
            except (StoreError, ConfigError) as error:  # the second: the master key's file is not as it was
                if not self._is_store_away:
                    log.warning("keys of providers stay as they are: %s", error)
                self._is_store_away = True
            except Exception:
                log.exception("keys of providers could not be refreshed by a fault of dragoman's")
            else:
                self._is_store_away = False


async def rewrap_all(
    records: Iterable[CredentialRecord], keys: MasterKeys, store: CredentialStore
) -> tuple[int, Sequence[str]]:
    """Put what is not under the current master key under it, in one transaction: how many envelopes it was, and a
    sentence for each that cannot be opened. Raises StoreError."""
    changes, troubles = [], []
    for record in records:
        if key_id_of(record.envelope) == keys.current.id:
            continue
        try:
            envelope = keys.rewrap(record.envelope, about=(record.id, record.provider))
        except Unreadable as error:
            troubles.append(describe_unreadable(record, error))
        else:
            new_id = keys.current.id
            changes.append(Rewrapped(id=record.id, before=record.envelope, envelope=envelope, master_key_id=new_id))
    return (await store.replace(changes) if changes else 0), troubles


def describe_unreadable(record: CredentialRecord, error: Unreadable) -> str:
    if error.is_known:
        why = f"its envelope is not what was put there (master key {error.key_id})"
    else:
        why = f"it is under the master key {error.key_id}, which is not known here"
    return (
        f"the key {record.id} of provider {record.provider} cannot be read: {why}. Bring that master key back "
        f"(DRAGOMAN_MASTER_KEY_PREVIOUS, or a line of the file), or add the provider's key anew and end this one: "
        f"`dragoman providers end-key {record.id}`"
    )


def _checked(provider: ProviderConfig, key: str) -> str:
    """Raises ConfigError."""
    if provider.dialect == OFFLINE:
        raise ConfigError(f"provider {provider.name} is the built-in engine, which takes no key")
    if provider.auth in SIGNED:
        raise ConfigError(
            f'provider {provider.name} has auth = "{provider.auth}", which signs with credentials of the cloud\'s own: '
            'those stay in its configuration. For a key in a header set auth = "bearer"'
        )
    try:
        return read_secret(key.strip()).reveal()
    except Refused as refused:
        raise ConfigError(f"the key {refused.why}. {refused.remedy}") from None


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= 200 or not name.isprintable():
        raise ConfigError("a key's name takes 1 to 200 printable characters")
    return name


def _hint(key: str) -> str:
    """Enough to tell keys apart: a quarter of it at most."""
    shown = min(4, len(key) // 8)
    return f"{key[:shown]}...{key[len(key) - shown :]}"
