"""Providers' keys out of the store: added, ended, in use within moments, and under another master key."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from serving import wait_until

from dragoman.errors import ConfigError, StoreError
from dragoman.gateway.config.config import ANTHROPIC_URL, OFFLINE, ProviderConfig
from dragoman.gateway.config.values import Secret
from dragoman.gateway.credentials import stored as credentials_store
from dragoman.gateway.credentials.master_key import (
    MasterKey,
    MasterKeys,
    Unreadable,
    key_id_of,
    load_master_keys,
    read_key_file,
)
from dragoman.gateway.credentials.master_key_rotation import Rotated, rotate
from dragoman.gateway.credentials.stored import Credentials, ProviderKeys
from dragoman.store.credentials import CredentialRecord
from dragoman.store.sql import SQLStore

SECRET = b"the installation's secret"
OLD, NEW = bytes(range(32)), bytes(range(32, 64))
CLOUD = ProviderConfig(name="cloud", origin="the test", base_url="http://cloud")
OTHER = ProviderConfig(name="other", origin="the test", base_url="http://other")
KEYS = [f"sk-provider-key-number-{number}-of-somebody" for number in range(5)]
SHARED = "postgresql://me@db.example/dragoman"


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLStore]:
    store = SQLStore(f"sqlite:///{tmp_path}/x.db")
    await store.open()
    yield store
    await store.close()


def credentials(store: SQLStore, *known: bytes) -> Credentials:
    keys = MasterKeys([MasterKey(each) for each in known or (OLD,)], origin="the test")
    return Credentials(store.credentials, lambda: keys)


class Uses:
    """What providers are asked with, as they were told."""

    def __init__(self) -> None:
        self.told: dict[str, list[str] | None] = {}

    def __call__(self, provider: str, keys: Sequence[Secret] | None) -> None:
        self.told[provider] = None if keys is None else [key.reveal() for key in keys]


async def test_a_key_is_kept_and_only_its_hint_is_shown(store: SQLStore) -> None:
    record = await credentials(store).add(CLOUD, f" {KEYS[0]}\n", name="of the team")
    assert (record.provider, record.name, record.hint) == ("cloud", "of the team", "sk-p...body")
    assert KEYS[0].encode() not in record.envelope
    assert await store.credentials.live() == [record]
    assert credentials(store).trouble(record) is None


@pytest.mark.parametrize("key", ["", "two words", "Zoë", "line\nbreak"])
async def test_what_cannot_be_a_key_is_refused_and_not_repeated(store: SQLStore, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await credentials(store).add(CLOUD, key)
    assert str(caught.value).startswith("the key ")
    assert not key or key not in str(caught.value)
    assert await store.credentials.list() == []


async def test_a_provider_that_takes_no_key_is_refused(store: SQLStore) -> None:
    engine = ProviderConfig(name=OFFLINE, origin="the test", dialect=OFFLINE)
    with pytest.raises(ConfigError, match="the built-in engine, which takes no key"):
        await credentials(store).add(engine, KEYS[0])
    signed = msgspec.structs.replace(CLOUD, auth="aws", dialect="bedrock")
    with pytest.raises(ConfigError, match='set auth = "bearer"'):
        await credentials(store).add(signed, KEYS[0])
    with pytest.raises(ConfigError, match="printable"):
        await credentials(store).add(CLOUD, KEYS[0], name="\x1b[1m")


async def test_an_unknown_id_is_not_repeated_as_it_may_be_a_key(store: SQLStore) -> None:
    with pytest.raises(ConfigError, match="no key of a provider has the id cred_x:"):
        await credentials(store).end("cred_x")
    with pytest.raises(ConfigError, match="no key of a provider has the id given:"):
        await credentials(store).end(KEYS[0])


async def test_the_newest_live_key_comes_first(store: SQLStore) -> None:
    known, uses = credentials(store), Uses()
    keys = ProviderKeys(known, [CLOUD, OTHER])
    for key in KEYS[:3]:
        await known.add(CLOUD, key)
    await keys.open(uses)
    assert uses.told == {"cloud": [KEYS[2], KEYS[1], KEYS[0]]}
    newest = (await known.list())[0]
    await known.end(newest.id)
    await keys.refresh()
    assert uses.told == {"cloud": [KEYS[1], KEYS[0]]}
    for each in await known.list():
        await known.end(each.id)
    await keys.refresh()
    assert uses.told == {"cloud": []}
    await keys.aclose()


async def test_what_another_process_adds_and_ends_is_in_force_in_time(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert credentials_store.REFRESH_S < 5
    monkeypatch.setattr(credentials_store, "REFRESH_S", 0.005)
    known, uses = credentials(store), Uses()
    keys = ProviderKeys(known, [CLOUD, OTHER])
    await keys.open(uses)
    assert uses.told == {}
    record = await known.add(CLOUD, KEYS[0])
    await wait_until(lambda: uses.told.get("cloud") == [KEYS[0]])
    await known.end(record.id)
    await wait_until(lambda: uses.told.get("cloud") == [])
    await keys.aclose()


async def test_while_the_store_is_away_keys_stay_as_they_are(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(credentials_store, "REFRESH_S", 0.001)
    known, uses, asked = credentials(store), Uses(), asyncio.Event()
    await known.add(CLOUD, KEYS[0])
    keys = ProviderKeys(known, [CLOUD])
    await keys.open(uses)
    times = 0

    async def away() -> Sequence[CredentialRecord]:
        nonlocal times
        times += 1
        if times > 3:
            asked.set()
        raise StoreError("the database is away")

    monkeypatch.setattr(store.credentials, "live", away)
    await asked.wait()
    await keys.aclose()
    assert uses.told == {"cloud": [KEYS[0]]}
    assert [each.getMessage() for each in caplog.records] == [
        "keys of providers stay as they are: the database is away"
    ]


async def test_a_provider_that_needs_a_key_is_told_of_at_start(store: SQLStore) -> None:
    needy = ProviderConfig(name="needy", origin="dragoman.toml:3", base_url=ANTHROPIC_URL)
    lacking = ProviderKeys(credentials(store), [needy, CLOUD])
    with pytest.raises(
        ConfigError, match=r"^dragoman.toml:3: providers.needy: .*without a key.*add-key needy`"
    ) as told:
        await lacking.open(Uses())
    assert "cloud" not in str(told.value)
    await credentials(store).add(needy, KEYS[0])
    keys = ProviderKeys(credentials(store), [needy, CLOUD])
    await keys.open(Uses())
    await keys.aclose()
    configured = msgspec.structs.replace(needy, name="anew", api_key=Secret("sk-x"))
    keys = ProviderKeys(credentials(store), [configured])
    await keys.open(Uses())
    await keys.aclose()


async def test_what_cannot_be_read_is_told_once_and_the_rest_goes_on(
    store: SQLStore, caplog: pytest.LogCaptureFixture
) -> None:
    lost = await credentials(store, OLD).add(CLOUD, KEYS[0])
    also_lost = await credentials(store, OLD).add(OTHER, KEYS[1])
    await credentials(store, NEW).add(OTHER, KEYS[2])
    keys, uses = ProviderKeys(credentials(store, NEW), [CLOUD, OTHER]), Uses()
    await keys.open(uses)
    await keys.refresh()
    await keys.aclose()
    assert uses.told == {"cloud": None, "other": [KEYS[2]]}
    assert [each.levelname for each in caplog.records] == ["ERROR", "ERROR"]
    for record in (lost, also_lost):
        said = f"the key {record.id} of provider {record.provider} cannot be read: it is under the master key "
        assert f"{said}{MasterKey(OLD).id}, which is not known here" in caplog.text
    assert not any(key in caplog.text for key in KEYS)
    assert (credentials(store, NEW).trouble(lost) or "").startswith(f"the key {lost.id} of provider cloud cannot")


async def test_a_row_that_changed_places_is_not_used(store: SQLStore, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever can write the database cannot have a key sent to another provider."""
    record = await credentials(store).add(CLOUD, KEYS[0])
    await store.credentials.add(msgspec.structs.replace(record, id="cred_moved", provider="other"))
    keys, uses = ProviderKeys(credentials(store), [CLOUD, OTHER]), Uses()
    await keys.open(uses)
    await keys.aclose()
    assert uses.told == {"cloud": [KEYS[0]], "other": None}
    assert "cred_moved of provider other cannot be read: its envelope is not what was put there" in caplog.text


async def test_of_providers_that_are_not_configured_or_sign_nothing_is_used(store: SQLStore) -> None:
    known, uses = credentials(store), Uses()
    await known.add(CLOUD, KEYS[0])
    await known.add(OTHER, KEYS[1])
    keys = ProviderKeys(known, [msgspec.structs.replace(CLOUD, auth="google")])
    await keys.open(uses)
    await keys.aclose()
    assert uses.told == {}


def test_without_providers_the_store_is_not_asked() -> None:
    async def run() -> None:
        keys = ProviderKeys(Credentials(None, lambda: pytest.fail("not asked")), [])  # type: ignore[arg-type]
        await keys.open(Uses())
        await keys.aclose()

    asyncio.run(run())


# -- another master key --


async def opened(store: SQLStore, keys: MasterKeys) -> list[str]:
    return sorted(keys.open(each.envelope, about=(each.id, each.provider)) for each in await store.credentials.live())


async def is_useless(store: SQLStore, key: MasterKey) -> bool:
    keys = MasterKeys([key], origin="the test")
    for each in await store.credentials.list():
        with pytest.raises(Unreadable):
            keys.open(each.envelope, about=(each.id, each.provider))
    return True


async def rotated(store: SQLStore, url: str, env: dict[str, str], **options: object) -> Rotated:
    return await rotate(store.credentials, url, env, SECRET, **options)  # type: ignore[arg-type]


async def with_keys(store: SQLStore, url: str, env: dict[str, str]) -> MasterKeys:
    """Five providers' keys, one of them ended, under the master key of now."""
    keys = load_master_keys(url, env, SECRET)
    known = Credentials(store.credentials, lambda: keys)
    for key in KEYS:
        await known.add(CLOUD, key)
    await known.end((await known.list())[0].id)
    return keys


async def test_a_single_machine_gets_a_key_in_a_file_beside_the_database(store: SQLStore, tmp_path: Path) -> None:
    """Pain 65: rotate; what was kept is readable; the old key is useless."""
    url = f"sqlite:///{tmp_path}/x.db"
    old = await with_keys(store, url, {})
    done = await rotated(store, url, {})
    file = tmp_path / "x.db.master-key"
    assert (done.place, done.envelopes, done.is_new, done.troubles, done.still_in_file) == (
        str(file),
        4,
        True,
        (),
        False,
    )
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    (new,) = read_key_file(file)
    assert done.master_key_id == new.id
    assert await opened(store, MasterKeys([new], origin="the test")) == KEYS[:4]
    assert await is_useless(store, old.current)
    again = await rotated(store, url, {})
    assert again.envelopes == 4
    assert read_key_file(file) != [new]
    assert await is_useless(store, new)
    assert await opened(store, load_master_keys(url, {}, SECRET)) == KEYS[:4]
    assert set(os.listdir(tmp_path)) <= {"x.db", "x.db-wal", "x.db-shm", "x.db.master-key"}


async def test_a_key_of_the_environment_is_taken(store: SQLStore) -> None:
    old = await with_keys(store, SHARED, {"DRAGOMAN_MASTER_KEY": OLD.hex()})
    env = {"DRAGOMAN_MASTER_KEY": NEW.hex(), "DRAGOMAN_MASTER_KEY_PREVIOUS": OLD.hex()}
    done = await rotated(store, SHARED, env)
    assert (done.master_key_id, done.envelopes, done.is_new) == (MasterKey(NEW).id, 4, False)
    assert await opened(store, load_master_keys(SHARED, {"DRAGOMAN_MASTER_KEY": NEW.hex()}, SECRET)) == KEYS[:4]
    assert await is_useless(store, old.current)
    assert (await rotated(store, SHARED, env)).envelopes == 0


async def test_a_new_key_is_shown_before_anything_is_under_it(store: SQLStore) -> None:
    env = {"DRAGOMAN_MASTER_KEY": OLD.hex()}
    await with_keys(store, SHARED, env)
    seen: list[str] = []
    before = await store.credentials.live()
    done = await rotated(store, SHARED, env, tell=seen.append)
    fresh = load_master_keys(SHARED, {"DRAGOMAN_MASTER_KEY": seen[0]}, SECRET)
    assert done.master_key_id == fresh.current.id
    assert await opened(store, fresh) == KEYS[:4]

    def breaks(_: str) -> None:
        raise BrokenPipeError

    after = await store.credentials.live()
    with pytest.raises(BrokenPipeError):
        await rotated(store, SHARED, {"DRAGOMAN_MASTER_KEY": seen[0]}, tell=breaks)
    assert before != await store.credentials.live() == after


async def test_without_a_place_for_a_new_key_nothing_is_done(store: SQLStore, tmp_path: Path) -> None:
    await with_keys(store, SHARED, {})
    before = await store.credentials.live()
    with pytest.raises(ConfigError, match="no place for a new master key: set DRAGOMAN_MASTER_KEY_FILE"):
        await rotated(store, SHARED, {})
    with pytest.raises(ConfigError, match="the folder of the master key file"):
        await rotated(store, SHARED, {"DRAGOMAN_MASTER_KEY_FILE": str(tmp_path / "absent/keys")})
    (tmp_path / "keys").write_text(OLD.hex())
    with pytest.raises(ConfigError, match="without --print"):
        await rotated(store, SHARED, {"DRAGOMAN_MASTER_KEY_FILE": str(tmp_path / "keys")}, tell=print)
    assert await store.credentials.live() == before


async def test_what_cannot_be_read_keeps_the_old_keys_in_the_file(store: SQLStore, tmp_path: Path) -> None:
    env = {"DRAGOMAN_MASTER_KEY_FILE": str(tmp_path / "keys")}
    (tmp_path / "keys").write_text(OLD.hex())
    await with_keys(store, SHARED, env)
    lost = await credentials(store, bytes(32)).add(OTHER, KEYS[0])
    done = await rotated(store, SHARED, env)
    assert (done.envelopes, done.still_in_file) == (4, True)
    assert [lost.id in each and MasterKey(bytes(32)).id in each for each in done.troubles] == [True]
    assert read_key_file(tmp_path / "keys")[1:] == [MasterKey(OLD)]
    await credentials(store).end(lost.id)
    done = await rotated(store, SHARED, env)
    assert (done.is_new, done.envelopes, done.troubles, done.still_in_file) == (False, 0, (), False)


class Crash(Exception):
    pass


@pytest.mark.parametrize("moment", ["before the envelopes", "half-way", "before the file"])
async def test_after_a_crash_it_goes_on(
    store: SQLStore, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, file = f"sqlite:///{tmp_path}/x.db", tmp_path / "x.db.master-key"
    file.write_text(OLD.hex())
    await with_keys(store, url, {})
    replace = store.credentials.replace

    async def breaks(changes: Sequence[credentials_store.Rewrapped]) -> int:
        if moment == "before the envelopes":
            raise Crash
        await replace(changes[:2] if moment == "half-way" else changes)
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(store.credentials, "replace", breaks)
        with pytest.raises(Crash):
            await rotated(store, url, {})
    new, old = read_key_file(file)
    assert old == MasterKey(OLD)
    assert await opened(store, load_master_keys(url, {}, SECRET)) == KEYS[:4], "at no moment is anything lost"
    (tmp_path / "x.db.master-key.new").write_text("what a crash may leave")
    done = await rotated(store, url, {})
    assert (done.is_new, done.master_key_id) == (False, new.id)
    assert read_key_file(file) == [new]
    assert await opened(store, MasterKeys([new], origin="the test")) == KEYS[:4]
    assert await is_useless(store, MasterKey(OLD))
    assert not (tmp_path / "x.db.master-key.new").exists()


async def test_two_rotations_of_one_file_are_not_at_work_at_once(
    store: SQLStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    await with_keys(store, url, {})
    replace = store.credentials.replace

    async def meanwhile(changes: Sequence[credentials_store.Rewrapped]) -> int:
        with pytest.raises(ConfigError, match="another `dragoman rotate-master-key` is at work"):
            await rotated(store, url, {})
        return await replace(changes)

    monkeypatch.setattr(store.credentials, "replace", meanwhile)
    assert (await rotated(store, url, {})).envelopes == 4


async def test_servers_go_on_while_the_master_key_is_changed(
    store: SQLStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One that reads the file, and one that has only the old key: neither loses what it has in use."""
    url = f"sqlite:///{tmp_path}/x.db"
    await with_keys(store, url, {})
    stale = load_master_keys(url, {}, SECRET)
    running = [
        ProviderKeys(Credentials(store.credentials, each), [CLOUD])
        for each in (lambda: load_master_keys(url, {}, SECRET), lambda: stale)
    ]
    uses = [Uses(), Uses()]
    for each, use in zip(running, uses, strict=True):
        await each.open(use)
    await rotated(store, url, {})
    known = running[0].credentials
    await known.add(CLOUD, "sk-added-after-the-rotation")
    for each in running:
        await each.refresh()
        await each.aclose()
    before = [KEYS[3], KEYS[2], KEYS[1], KEYS[0]]
    assert uses[0].told == {"cloud": ["sk-added-after-the-rotation", *before]}
    assert uses[1].told == {"cloud": before}
    assert caplog.text.count("cannot be read") == 1


async def test_what_is_added_in_the_midst_of_a_rotation_ends_under_the_new_key(
    store: SQLStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server has sealed under the old key; before it writes, the rotation looks through the envelopes and ends."""
    url = f"sqlite:///{tmp_path}/x.db"
    await with_keys(store, url, {})
    await rotated(store, url, {})
    old = read_key_file(tmp_path / "x.db.master-key")[0]
    add = store.credentials.add

    async def late(record: CredentialRecord) -> bool:
        await rotated(store, url, {})
        return await add(record)

    monkeypatch.setattr(store.credentials, "add", late)
    record = await Credentials(store.credentials, lambda: load_master_keys(url, {}, SECRET)).add(CLOUD, KEYS[4])
    assert key_id_of(record.envelope) == old.id
    (new,) = read_key_file(tmp_path / "x.db.master-key")
    assert await opened(store, MasterKeys([new], origin="the test")) == KEYS
    assert {each.master_key_id for each in await store.credentials.live()} == {new.id}
