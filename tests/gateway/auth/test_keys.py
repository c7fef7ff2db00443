"""What a key may have, and how long it works: ends, rotation, states, addresses, roles, and wrong ones in numbers.

Spec ERR-11, ERR-13, ADM-1, ADM-3; pain 83. Who calls at all is in `test_auth.py`.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.gateway.auth.test_auth import SECRET, Clock, WatchedStore, recalled, refusal

from dragoman.errors import ConfigError, RateLimited, Unavailable
from dragoman.gateway.auth import bad_keys as bad_keys_module
from dragoman.gateway.auth.auth import Auth, Principal
from dragoman.gateway.auth.bad_keys import BadKeys, place_of
from dragoman.gateway.auth.key_form import hint_of, is_sealed, new_key, sealed_key
from dragoman.store.keys import KeyChanges

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERE, THERE = "192.0.2.1", "198.51.100.7"


class Times(Clock):
    """Both clocks, which go together."""

    def wall(self) -> datetime:
        return NOON + timedelta(seconds=self.now - 1000)


@pytest.fixture
async def store() -> AsyncIterator[WatchedStore]:
    store = WatchedStore()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def clock() -> Times:
    return Times()


@pytest.fixture
def auth(store: WatchedStore, clock: Times) -> Auth:
    return Auth(store, SECRET, clock=clock, now=clock.wall)


def wrong(number: int) -> str:
    return f"sk-dgm-{number:043}"


# What a principal tells


async def test_a_principal_has_what_counts_of_its_key_and_workspace(auth: Auth, store: WatchedStore) -> None:
    terms = KeyChanges(
        workspace_id="wrkspc_1",
        tier="pro",
        models=("claude-haiku-*", "fast"),
        addresses=("10.0.0.0/8",),
        tags={"team": "blue", "area": "Öl"},
    )
    key, record = await auth.create("mine", terms=terms, created_by="user_1")
    assert store.keys.records is not None
    store.keys.records[record.id] = msgspec.structs.replace(record, workspace_tier="free")
    assert await auth.identify(key, None) == Principal(
        key_id=record.id,
        key_name="mine",
        workspace_id="wrkspc_1",
        organization_id=auth.organization_id,
        tier="pro",
        workspace_tier="free",
        models=("claude-haiku-*", "fast"),
        addresses=("10.0.0.0/8",),
        tags='{"area":"Öl","team":"blue"}',
    )
    assert record.created_by == "user_1"


async def test_a_principal_survives_the_notes_of_a_batch(auth: Auth) -> None:
    """BAT-1: its requests are asked later, for the same key."""
    key, _ = await auth.create("mine", terms=KeyChanges(models=("a", "b"), tags={"a": "b"}, tier="pro"))
    principal = await auth.identify(key, None)
    assert msgspec.json.decode(msgspec.json.encode(principal), type=Principal) == principal


async def test_an_admin_key_has_a_role_and_a_prefix_of_its_own(auth: Auth) -> None:
    """ADM-1."""
    key, record = await auth.create("me", role="owner")
    assert re.fullmatch(r"sk-dgm-admin-[\w-]{43}", key)
    assert record.hint == f"{key[:16]}...{key[-4:]}"
    assert (await auth.identify(None, f"Bearer {key}")).role == "owner"
    rotated = await auth.rotate(record.id)
    assert rotated is not None
    assert rotated[0].startswith("sk-dgm-admin-")
    for role in ("", "Owner", "root", "user"):
        with pytest.raises(ConfigError, match="role"):
            await auth.create("me", role=role)


async def test_the_default_workspace_is_kept_without_an_id(auth: Auth) -> None:
    """ADM-5: callers know it by one, the store does not."""
    key, record = await auth.create("mine", terms=KeyChanges(workspace_id=auth.workspace_id))
    assert record.workspace_id is None
    await auth.update(record.id, KeyChanges(workspace_id="wrkspc_1"))
    moved = await auth.update(record.id, KeyChanges(workspace_id=auth.workspace_id))
    assert moved is not None
    assert moved.workspace_id is None
    assert (await auth.identify(key, None)).workspace_id == auth.workspace_id


# When a key works no more


@pytest.mark.parametrize(
    "ending",
    [
        {"disabled_at": NOON},
        {"revoked_at": NOON},
        {"expires_at": NOON},
        {"expires_at": NOON - timedelta(days=1)},
        {"workspace_id": "wrkspc_1", "workspace_archived_at": NOON},
    ],
    ids=["inactive", "archived", "expires now", "expired", "archived workspace"],
)
async def test_a_key_that_is_no_more_is_refused_like_an_unknown_one(
    auth: Auth, store: WatchedStore, ending: dict[str, object]
) -> None:
    """ERR-11. Also when its workspace was archived."""
    key, record = await auth.create("mine")
    assert store.keys.records is not None
    store.keys.records[record.id] = msgspec.structs.replace(record, **ending)
    assert await refusal(auth, key) == "invalid x-api-key"
    assert await refusal(auth, None, f"Bearer {key}") == "Invalid bearer token"
    assert recalled(auth, key, None) is None


async def test_an_end_is_kept_to_the_moment_though_the_key_is_remembered(
    auth: Auth, store: WatchedStore, clock: Times
) -> None:
    """ERR-11: expired. Not five seconds later."""
    key, _ = await auth.create("mine", terms=KeyChanges(expires_at=NOON + timedelta(seconds=2)))
    await auth.identify(key, None)
    clock.now += 1.999
    assert recalled(auth, key, None) is not None
    assert (await auth.identify(key, None)).key_name == "mine"
    asked = store.keys.asked
    assert asked == 1
    clock.now += 0.001
    assert recalled(auth, key, None) is None
    assert await refusal(auth, key) == "invalid x-api-key"
    assert await refusal(auth, key) == "invalid x-api-key"
    assert store.keys.asked == 2  # that it is over is remembered as well


async def test_an_end_is_kept_to_while_the_store_is_away(auth: Auth, store: WatchedStore, clock: Times) -> None:
    """A known key works on then, but not beyond its end: that is known, and no 503."""
    key, _ = await auth.create("mine", terms=KeyChanges(expires_at=NOON + timedelta(seconds=60)))
    await auth.identify(key, None)
    store.keys.away = True
    clock.now += 59.9
    assert (await auth.identify(key, None)).key_name == "mine"
    clock.now += 0.1
    assert recalled(auth, key, None) is None
    assert await refusal(auth, key) == "invalid x-api-key"


async def test_an_end_that_is_put_off_counts(auth: Auth, clock: Times) -> None:
    key, record = await auth.create("mine", terms=KeyChanges(expires_at=NOON + timedelta(seconds=2)))
    await auth.identify(key, None)
    await auth.update(record.id, KeyChanges(expires_at=None))
    clock.now += 100
    assert (await auth.identify(key, None)).key_name == "mine"


@pytest.mark.parametrize(
    "change", [KeyChanges(status="inactive"), KeyChanges(status="archived"), KeyChanges(expires_at=NOON)]
)
async def test_what_another_process_ends_stops_within_five_seconds(
    auth: Auth, store: WatchedStore, clock: Times, change: KeyChanges
) -> None:
    """The issue: revocation effective everywhere within 5 s. Pain 83."""
    key, record = await auth.create("mine")
    await auth.identify(key, None)
    await store.keys.update(record.id, change, NOON)
    clock.now += 4.999
    await auth.identify(key, None)
    clock.now += 0.001
    assert recalled(auth, key, None) is None
    assert await refusal(auth, key) == "invalid x-api-key"


async def test_what_is_changed_here_counts_at_once(auth: Auth) -> None:
    key, record = await auth.create("mine")
    await auth.identify(key, None)
    await auth.update(record.id, KeyChanges(name="new", tier="pro"))
    assert recalled(auth, key, None) is None
    found = await auth.identify(key, None)
    assert (found.key_name, found.tier) == ("new", "pro")
    await auth.update(record.id, KeyChanges(status="inactive"))
    assert await refusal(auth, key) == "invalid x-api-key"


async def test_an_enabled_key_works_after_five_seconds_at_the_latest(auth: Auth, clock: Times) -> None:
    key, record = await auth.create("mine", terms=KeyChanges(status="inactive"))
    assert await refusal(auth, key) == "invalid x-api-key"
    await auth.update(record.id, KeyChanges(status="active"))
    clock.now += 5
    assert (await auth.identify(key, None)).key_name == "mine"


async def test_a_workspace_that_changed_is_asked_for_anew(auth: Auth, store: WatchedStore) -> None:
    key, record = await auth.create("mine", terms=KeyChanges(workspace_id="wrkspc_1"))
    other, _ = await auth.create("other")
    await auth.identify(key, None)
    await auth.identify(other, None)
    assert store.keys.records is not None
    store.keys.records[record.id] = msgspec.structs.replace(record, workspace_archived_at=NOON)
    auth.forget_workspace("wrkspc_1")
    assert await refusal(auth, key) == "invalid x-api-key"
    assert recalled(auth, other, None) is not None


async def test_an_archived_key_is_told_to_stay_so(auth: Auth) -> None:
    """ADM-3."""
    key, record = await auth.create("mine")
    await auth.revoke(record.id)
    after = await auth.update(record.id, KeyChanges(status="active"))
    assert after is not None
    assert after.status(NOON) == "archived"
    assert await auth.rotate(record.id) is None
    assert await auth.update("apikey_none", KeyChanges(name="x")) is None
    assert await auth.rotate("apikey_none") is None
    assert await refusal(auth, key) == "invalid x-api-key"


# Rotation


async def test_both_keys_work_until_the_overlap_is_over(auth: Auth, clock: Times) -> None:
    """The issue: rotation with an overlap. The end is kept to the moment."""
    old, record = await auth.create("mine", terms=KeyChanges(models=("a",)))
    principal = await auth.identify(old, None)
    rotated = await auth.rotate(record.id, overlap=timedelta(seconds=30))
    assert rotated is not None
    new, changed = rotated
    assert (changed.id, changed.name, changed.hint) == (record.id, "mine", hint_of(new))
    for seconds in (0, 4, 29.9):
        clock.now = 1000 + seconds
        assert await auth.identify(old, None) == await auth.identify(new, None) == principal
    clock.now = 1030
    assert recalled(auth, old, None) is None
    assert await refusal(auth, old) == "invalid x-api-key"
    assert await auth.identify(new, None) == principal


async def test_without_an_overlap_the_old_key_ends_at_once(auth: Auth) -> None:
    old, record = await auth.create("mine")
    await auth.identify(old, None)
    rotated = await auth.rotate(record.id, overlap=timedelta(0))
    assert rotated is not None
    assert await refusal(auth, old) == "invalid x-api-key"
    assert (await auth.identify(rotated[0], None)).key_id == record.id


async def test_an_overlap_outlives_neither_the_key_nor_the_next_rotation(auth: Auth, clock: Times) -> None:
    first, record = await auth.create("mine", terms=KeyChanges(expires_at=NOON + timedelta(seconds=10)))
    second = await auth.rotate(record.id, overlap=timedelta(days=1))
    third = await auth.rotate(record.id, overlap=timedelta(days=1))
    assert second is not None
    assert third is not None
    assert await refusal(auth, first) == "invalid x-api-key"
    await auth.identify(second[0], None)
    await auth.identify(third[0], None)
    clock.now += 10
    for key in (second[0], third[0]):
        assert await refusal(auth, key) == "invalid x-api-key"


async def test_to_revoke_a_rotated_key_ends_both(auth: Auth) -> None:
    old, record = await auth.create("mine")
    rotated = await auth.rotate(record.id)
    assert rotated is not None
    for key in (old, rotated[0]):
        await auth.identify(key, None)
    await auth.revoke(rotated[1].hint)
    for key in (old, rotated[0]):
        assert await refusal(auth, key) == "invalid x-api-key"


async def test_a_key_rotated_while_the_store_is_asked_is_asked_for_again(auth: Auth, store: WatchedStore) -> None:
    """Or the old one would be remembered without its end."""
    old, record = await auth.create("mine")
    find = store.keys.find

    async def rotated_meanwhile(key_hash: bytes) -> object:
        found = await find(key_hash)
        store.keys.find = find
        await auth.rotate(record.id, overlap=timedelta(0))
        return found

    store.keys.find = rotated_meanwhile  # type: ignore[assignment]
    await auth.identify(old, None)
    assert await refusal(auth, old) == "invalid x-api-key"


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=367)])
async def test_an_overlap_has_bounds(auth: Auth, overlap: timedelta) -> None:
    _, record = await auth.create("mine")
    with pytest.raises(ConfigError, match="overlap: takes 0 to 366 days"):
        await auth.rotate(record.id, overlap=overlap)


# Seals


def test_a_seal_tells_what_was_made_with_the_secret() -> None:
    keys = [sealed_key(SECRET, is_admin=number % 2 == 1) for number in range(200)]
    assert len({*keys}) == 200
    assert all(re.fullmatch(r"sk-dgm-(admin-)?[A-Za-z0-9_-]{43}", key) for key in keys)
    assert all(is_sealed(SECRET, key) for key in keys)
    assert not any(is_sealed(b"another", key) for key in keys)
    assert not any(is_sealed(SECRET, new_key()) for _ in range(200))
    key = keys[0]
    for at in range(len("sk-dgm-"), len(key) - 1):
        other = "A" if key[at] != "A" else "B"
        assert not is_sealed(SECRET, key[:at] + other + key[at + 1 :])


@pytest.mark.parametrize(
    "key", ["", "sk-dgm-", "x" * 43, "!" * 43, "sk-dgm-" + "=" * 43, "sk-dgm-admin-" + "x" * 42, "é"]
)
def test_what_has_no_seal_is_no_trouble(key: str) -> None:
    assert not is_sealed(SECRET, key)


# Wrong keys in numbers


async def exhaust(auth: Auth, address: str | None, count: int = 20) -> None:
    for number in range(count):
        with pytest.raises(Exception, match="invalid x-api-key"):
            await auth.identify(wrong(number), None, address=address)


async def test_after_twenty_wrong_keys_an_address_has_to_wait(auth: Auth, store: WatchedStore, clock: Times) -> None:
    """The issue: repeated bad keys from one address are slowed down, before the store is asked."""
    await exhaust(auth, HERE)
    asked = store.keys.asked
    assert asked == 20
    with pytest.raises(RateLimited) as caught:
        await auth.identify(wrong(100), None, address=HERE)
    assert (caught.value.retry_after, caught.value.headers()) == (3, [("retry-after", "3")])
    assert store.keys.asked == asked
    for elsewhere in (THERE, None):
        with pytest.raises(Exception, match="invalid x-api-key"):
            await auth.identify(wrong(101), None, address=elsewhere)
        clock.now += 5


async def test_what_the_wait_is_said_to_be_it_is(auth: Auth, clock: Times) -> None:
    """P4's rule for `retry-after`: the truth."""
    await exhaust(auth, HERE)
    clock.now += 2.9
    with pytest.raises(RateLimited):
        await auth.identify(wrong(100), None, address=HERE)
    clock.now += 0.1
    with pytest.raises(Exception, match="invalid x-api-key"):
        await auth.identify(wrong(100), None, address=HERE)
    with pytest.raises(RateLimited):
        await auth.identify(wrong(101), None, address=HERE)
    clock.now += 60
    await exhaust(auth, HERE)


async def test_good_keys_from_there_are_not_hurt(auth: Auth, store: WatchedStore, clock: Times) -> None:
    """Known ones, whatever they look like; new ones that were made here; and the preset one."""
    old, _ = await auth.create("without a seal", key="an-old-key-without-a-seal")
    await auth.identify(old, None, address=HERE)
    preset = "preset-key-0123456789-0123456789"
    await auth.preset(preset)
    await exhaust(auth, HERE)
    clock.now += 5.0
    await exhaust(auth, HERE, 1)
    with pytest.raises(RateLimited):
        await auth.identify(wrong(100), None, address=HERE)
    new, record = await auth.create("new")
    admin, _ = await auth.create("admin", role="owner")
    for key in (old, preset, new, admin):
        assert await auth.identify(key, None, address=HERE)
        assert await auth.identify(wrong(100), f"Bearer {key}", address=HERE)
    rotated = await auth.rotate(record.id)
    assert rotated is not None
    assert await auth.identify(rotated[0], None, address=HERE)


async def test_keys_that_cost_nothing_are_refused_as_ever(auth: Auth, store: WatchedStore) -> None:
    """What cannot be a key, and one key again and again, as of a program that has the wrong one: 401, truly."""
    for number in range(100):
        assert await refusal_from(auth, HERE, "\0" * number + "\ud800")
        assert await refusal_from(auth, HERE, wrong(1))
    assert store.keys.asked == 1
    await exhaust(auth, HERE, 19)
    assert await refusal_from(auth, HERE, wrong(1))


async def refusal_from(auth: Auth, address: str, key: str) -> bool:
    with pytest.raises(Exception, match="invalid x-api-key"):
        await auth.identify(key, None, address=address)
    return True


async def test_a_store_that_is_away_makes_no_key_wrong(auth: Auth, store: WatchedStore) -> None:
    store.keys.away = True
    for number in range(50):
        with pytest.raises(Unavailable):
            await auth.identify(wrong(number), None, address=HERE)


async def test_requests_at_once_count_once(auth: Auth, store: WatchedStore) -> None:
    store.keys.gate.clear()
    callers = [asyncio.create_task(auth.identify(wrong(1), None, address=HERE)) for _ in range(50)]
    await asyncio.sleep(0)
    store.keys.gate.set()
    await asyncio.gather(*callers, return_exceptions=True)
    assert auth._bad_keys._forgotten_at == {HERE: 1003.0}


def test_what_is_kept_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bad_keys_module, "ADDRESSES_LIMIT", 10)
    bad = BadKeys()
    for number in range(1000):
        bad.note(f"10.0.{number // 250}.{number % 250}", now=float(number) / 1000)
    assert len(bad._forgotten_at) == 10
    assert bad.wait_s("10.0.3.249", 1.0) == 0


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("x" * 1000, "x" * 64),
    ],
    ids=["IPv4", "IPv4 in IPv6", "IPv6", "its neighbour", "with a zone", "no address"],
)
def test_ipv6_counts_by_network(address: str, place: str) -> None:
    assert place_of(address) == place


def test_the_wait_is_never_more_than_a_window_and_always_whole() -> None:
    bad = BadKeys()
    for number in range(200):
        bad.note(HERE, now=0.1)
        assert 0 <= bad.wait_s(HERE, 0.1) <= math.ceil(60 / 20)
        assert (bad.wait_s(HERE, 0.1) > 0) == (number >= 19)
    assert bad.wait_s(HERE, 60.1) == 0


async def test_who_has_to_wait_is_told_so_though_the_store_is_away(auth: Auth, store: WatchedStore) -> None:
    """Two wrong keys in one request: who has to wait is told so."""
    await exhaust(auth, HERE)
    store.keys.away = True
    with pytest.raises(RateLimited):
        await auth.identify(wrong(100), f"Bearer {wrong(101)}", address=HERE)
