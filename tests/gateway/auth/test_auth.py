"""Keys and those who present them: spec HDR-1 to HDR-4, ERR-40 to ERR-42."""

import asyncio
import base64
import logging
import os
import re
import stat
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.store.memory import MemoryKeys, MemoryStore

from dragoman.errors import ConfigError, StoreError, Unauthenticated, Unavailable
from dragoman.gateway.auth import auth as module
from dragoman.gateway.auth.auth import (
    Auth,
    Principal,
    hash_key,
    new_key,
)
from dragoman.gateway.auth.secret import default_workspace_id, load_secret, organization_id
from dragoman.store.base import KeyRecord
from dragoman.store.sql import SQLStore
from dragoman.wire.headers import Headers

SECRET = b"a secret of thirty-two bytes ..."
WRONG = "sk-dgm-" + "x" * 43
PRESET = "preset-key-0123456789-0123456789"


class WatchedKeys(MemoryKeys):
    """Counts the questions; is `away` or slow (`gate`) on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def find(self, key_hash: bytes) -> KeyRecord | None:
        self.asked += 1
        await self.gate.wait()
        if self.away:
            raise StoreError("the database /var/lib/dragoman.db is away")
        return await super().find(key_hash)


class WatchedStore(MemoryStore):
    def __init__(self) -> None:
        self.keys: WatchedKeys = WatchedKeys()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store() -> AsyncIterator[WatchedStore]:
    store = WatchedStore()
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def auth(store: WatchedStore, clock: Clock) -> Auth:
    return Auth(store, SECRET, clock=clock)


async def refusal(auth: Auth, api_key: str | None, authorization: str | None = None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await auth.identify(api_key, authorization)
    assert caught.value.status == 401
    return caught.value.message


async def until(condition: object) -> None:
    """Let the other tasks run until `condition()` holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - any condition, not one that sets an Event
            await asyncio.sleep(0)


# Headers


async def test_either_header_identifies_the_key(auth: Auth) -> None:
    """HDR-1, HDR-2: `x-api-key`, or a bearer whose scheme is case-insensitive."""
    key, record = await auth.create("mine")
    expected = Principal(record.id, "mine", auth.workspace_id, auth.organization_id)
    for bearer in (f"Bearer {key}", f"bearer {key}", f"BEARER   {key} "):
        assert await auth.identify(None, bearer) == expected
    assert await auth.identify(key, None) == expected


async def test_a_test_key_is_known_as_one_and_no_other_is(auth: Auth) -> None:
    """What `dragoman-fault` asks for: made so on purpose, never by a start or a preset."""
    test, record = await auth.create("chaos", is_test=True)
    plain, _ = await auth.create("mine")
    await auth.preset(PRESET)
    assert record.is_test
    assert [(await auth.identify(key, None)).is_test for key in (test, plain, PRESET)] == [True, False, False]


async def test_an_admitted_key_is_known_without_the_store(auth: Auth, store: WatchedStore) -> None:
    """For callers in the same process: it may ask for faults, is in no list, and works while the store is away."""
    key = new_key()
    principal = auth.admit(key, "in process")
    store.keys.away = True
    assert await auth.identify(key, None) == await auth.identify(None, f"Bearer {key}") == principal
    assert (principal.is_test, principal.key_name, store.keys.asked) == (True, "in process", 0)
    assert list(await auth.list()) == []
    with pytest.raises(Unavailable):
        await auth.identify(WRONG, None)


async def test_space_around_a_key_is_stripped(auth: Auth) -> None:
    """HDR-4."""
    key, _ = await auth.create("mine")
    assert await auth.identify(f" \t{key}\r\n", None) == await auth.identify(None, f"  Bearer \t{key}\n")


async def test_when_both_are_sent_either_will_do(auth: Auth) -> None:
    """HDR-3."""
    key, _ = await auth.create("mine")
    for api_key, authorization in (
        (key, f"Bearer {WRONG}"),
        (WRONG, f"Bearer {key}"),
        (key, "Basic dTpw"),
        (key, "Bearer"),
        ("", f"Bearer {key}"),
    ):
        assert (await auth.identify(api_key, authorization)).key_name == "mine"


@pytest.mark.parametrize(
    ("api_key", "authorization", "message"),
    [
        (None, None, "x-api-key header is required"),
        ("", "", "x-api-key header is required"),
        ("  ", None, "x-api-key header is required"),
        (None, "Bearer", "x-api-key header is required"),
        (None, "Bearer  ", "x-api-key header is required"),
        (WRONG, None, "invalid x-api-key"),
        (WRONG, "", "invalid x-api-key"),
        (WRONG, f"Bearer {WRONG}", "invalid x-api-key"),
        (WRONG, "Basic dTpw", "invalid x-api-key"),
        (None, f"Bearer {WRONG}", "Invalid bearer token"),
        ("", f"Bearer {WRONG}", "Invalid bearer token"),
        (None, f"Bearer Bearer {WRONG}", "Invalid bearer token"),
        (None, "Basic dTpw", "Invalid bearer token"),
        (None, "Basic", "Invalid bearer token"),
    ],
)
async def test_each_refusal_has_its_text(
    auth: Auth, api_key: str | None, authorization: str | None, message: str
) -> None:
    """HDR-3, ERR-40, ERR-41, ERR-42."""
    await auth.create("mine")
    assert await refusal(auth, api_key, authorization) == message


async def test_a_key_of_ours_is_not_taken_from_another_scheme_or_without_one(auth: Auth) -> None:
    key, _ = await auth.create("mine")
    basic = base64.b64encode(f"{key}:".encode()).decode()
    for authorization in (key, f"Basic {basic}", f"Token {key}"):
        assert await refusal(auth, None, authorization) == "Invalid bearer token"


@pytest.mark.parametrize(
    "key",
    ["x" * 1_000_000, "sk-dgm-\0", "\0", "sk-dgm-ключ", "\ud800", "a b", "sk-dgm-\x7f", "é" * 50, "\U0001f511"],
)
async def test_absurd_keys_are_refused_without_a_look_at_the_store(auth: Auth, store: WatchedStore, key: str) -> None:
    assert await refusal(auth, key) == "invalid x-api-key"
    assert await refusal(auth, None, f"Bearer {key}") == "Invalid bearer token"
    assert store.keys.asked == 0


ANY_HEADER = st.none() | st.text(max_size=60) | st.text(max_size=60).map(lambda text: f"Bearer {text}")


@settings(max_examples=1000)
@given(api_key=ANY_HEADER, authorization=ANY_HEADER)
def test_no_header_is_worse_than_a_refusal(api_key: str | None, authorization: str | None) -> None:
    async def ask() -> None:
        store = MemoryStore()
        await store.open()
        with pytest.raises(Unauthenticated):
            await Auth(store, SECRET).identify(api_key, authorization)

    asyncio.run(ask())


# What is remembered


async def test_the_store_is_asked_once_in_the_cache_time(auth: Auth, store: WatchedStore, clock: Clock) -> None:
    key, _ = await auth.create("mine")
    for asked, later in ((1, 0), (1, 4.9), (2, 5.1), (2, 9.9)):
        clock.now = 1000 + later
        await auth.identify(key, None)
        assert store.keys.asked == asked


async def test_a_wrong_key_is_remembered_too(auth: Auth, store: WatchedStore, clock: Clock) -> None:
    for asked, later in ((1, 0), (1, 4.9), (2, 5.1)):
        clock.now = 1000 + later
        await refusal(auth, WRONG)
        assert store.keys.asked == asked


async def test_a_key_revoked_elsewhere_stops_within_the_cache_time(
    auth: Auth, store: WatchedStore, clock: Clock
) -> None:
    key, record = await auth.create("mine")
    await auth.identify(key, None)
    await Auth(store, SECRET).revoke(record.id)
    clock.now += 4.9
    await auth.identify(key, None)
    clock.now += 0.1
    assert await refusal(auth, key) == "invalid x-api-key"


async def test_a_key_revoked_while_the_store_is_asked_stops_within_the_cache_time(
    auth: Auth, store: WatchedStore, clock: Clock
) -> None:
    """The answer's age counts from the question, not from its arrival."""
    key, record = await auth.create("mine")
    find = store.keys.find

    async def slow(key_hash: bytes) -> KeyRecord | None:
        found = await find(key_hash)
        await store.keys.revoke(record.id, datetime.now(UTC))
        clock.now += 3
        return found

    store.keys.find = slow
    await auth.identify(key, None)
    store.keys.find = find
    clock.now += 2
    assert await refusal(auth, key) == "invalid x-api-key"


async def test_a_key_revoked_here_stops_at_once(auth: Auth) -> None:
    key, record = await auth.create("mine")
    await auth.identify(key, None)
    await auth.revoke(record.id)
    assert await refusal(auth, None, f"Bearer {key}") == "Invalid bearer token"


async def test_a_key_revoked_here_stops_at_once_in_whichever_header_it_comes(auth: Auth, store: WatchedStore) -> None:
    """However it was remembered, and by whom it was named; other keys work on without a look at the store."""
    for name_of in (lambda key, record: record.id, lambda key, record: record.hint, lambda key, record: f" {key} "):
        key, record = await auth.create("mine")
        other, _ = await auth.create("other")
        presented = (
            (key, None),
            (f" {key}\t", None),
            (None, f"Bearer {key}"),
            (WRONG, f"bearer {key}"),
            (key, "Basic x"),
        )
        for headers in presented:
            assert (await auth.identify(*headers)).key_id == record.id
        await auth.identify(other, None)
        assert recalled(auth, key, None) is not None
        await auth.revoke(name_of(key, record))
        assert recalled(auth, key, None) is None
        for headers in presented:
            await refusal(auth, *headers)
        asked = store.keys.asked
        assert (await auth.identify(other, None)).key_name == "other"
        assert store.keys.asked == asked


def recalled(auth: Auth, api_key: str | None, authorization: str | None) -> Principal | None:
    given = {"x-api-key": api_key, "authorization": authorization}
    mark = auth.mark(Headers([(name, value) for name, value in given.items() if value is not None]))
    return None if mark is None else auth.recall(mark)


async def test_what_is_recalled_is_what_would_be_found(auth: Auth, store: WatchedStore, clock: Clock) -> None:
    """Nothing but the key alone, as it is, and only as long as the store need not be asked."""
    key, record = await auth.create("mine")
    assert recalled(auth, key, None) is None  # nobody has asked for it yet
    principal = await auth.identify(key, None)
    assert recalled(auth, key, None) == principal
    other_writings = (
        f" {key}",
        f"{key} ",
        f"{key}\x00",
        f"{key},{key}",
        f"{key}, {key}",
        key.upper(),
        key[:-1],
        "",
        " ",
    )
    for other in (*other_writings, WRONG, "ÿ" * 2000, key + "x" * 5000):
        assert recalled(auth, other, None) is None
    assert recalled(auth, None, key) is recalled(auth, None, f"Bearer {key}") is recalled(auth, None, None) is None
    assert recalled(auth, key, "") is recalled(auth, key, f"Bearer {key}") is None  # `identify` looks at both
    clock.now += 4.9
    assert recalled(auth, key, None) == principal
    clock.now += 0.1
    assert recalled(auth, key, None) is None
    await auth.revoke(record.id)
    assert await refusal(auth, key) == "invalid x-api-key"


async def test_both_headers_are_looked_at_though_one_is_remembered(auth: Auth, clock: Clock) -> None:
    """HDR-3. With a live key in both, `x-api-key` tells who calls; with one, the other's state is no matter."""
    first, first_record = await auth.create("first")
    second, _ = await auth.create("second")
    for _ in range(2):  # asked for, then remembered
        assert (await auth.identify(first, f"Bearer {second}")).key_name == "first"
        assert (await auth.identify(second, f"Bearer {first}")).key_name == "second"
        assert (await auth.identify(first, f"Bearer {first}")).key_name == "first"
    await auth.revoke(first_record.id)
    assert (await auth.identify(first, f"Bearer {second}")).key_name == "second"
    assert (await auth.identify(second, f"Bearer {first}")).key_name == "second"
    assert await refusal(auth, first, f"Bearer {first}") == "invalid x-api-key"


async def test_a_key_that_came_twice_in_one_header_is_none(auth: Auth) -> None:
    """Repeated headers are joined by a comma before they come here."""
    key, _ = await auth.create("mine")
    await auth.identify(key, None)
    assert await refusal(auth, f"{key}, {key}") == "invalid x-api-key"
    assert await refusal(auth, None, f"Bearer {key}, Bearer {key}") == "Invalid bearer token"


async def test_the_longest_key_is_remembered_and_a_longer_one_is_not_looked_at(auth: Auth, store: WatchedStore) -> None:
    longest = "k" * 1024
    await auth.create("long", key=longest)
    principal = await auth.identify(longest, None)
    assert recalled(auth, longest, None) == principal
    asked = store.keys.asked
    for longer in (longest + "k", longest * 1000, f"{longest} ", "é" * 1024):
        assert recalled(auth, longer, None) is None
    assert (await auth.identify(f"{longest} ", None)) == principal
    for longer in (longest + "k", longest * 1000, "é" * 1024):
        await refusal(auth, longer)
    assert store.keys.asked == asked


async def test_two_servers_with_other_secrets_do_not_know_each_others_keys(store: WatchedStore, clock: Clock) -> None:
    """One store behind both: the same key is two keys, and what one remembers does not help the other."""
    one = Auth(store, SECRET, clock=clock)
    two = Auth(store, SECRET[::-1], clock=clock)
    await one.create("mine", key=PRESET)
    await one.identify(PRESET, None)
    assert recalled(two, PRESET, None) is None
    assert await refusal(two, PRESET) == "invalid x-api-key"
    _, record = await two.create("theirs", key=PRESET)
    assert (await two.identify(PRESET, None)).key_name == "theirs"
    assert (await one.identify(PRESET, None)).key_name == "mine"
    await two.revoke(record.id)
    assert (await one.identify(PRESET, None)).key_name == "mine"
    assert await refusal(two, PRESET) == "invalid x-api-key"


async def test_a_key_revoked_here_while_the_store_is_asked_is_not_remembered(auth: Auth, store: WatchedStore) -> None:
    """Whoever asked before may pass; whoever comes after `revoke` has returned may not."""
    key, record = await auth.create("mine")
    find = store.keys.find

    async def revoked_meanwhile(key_hash: bytes) -> KeyRecord | None:
        found = await find(key_hash)
        store.keys.find = find
        await auth.revoke(record.id)
        return found

    store.keys.find = revoked_meanwhile
    await auth.identify(key, None)
    assert await refusal(auth, key) == "invalid x-api-key"


async def test_a_key_made_here_works_at_once_though_it_was_wrong_a_moment_ago(auth: Auth) -> None:
    assert await refusal(auth, PRESET) == "invalid x-api-key"
    await auth.preset(PRESET)
    assert (await auth.identify(PRESET, None)).key_name == "preset"
    assert await refusal(auth, WRONG) == "invalid x-api-key"
    await auth.create("given", key=WRONG)
    assert (await auth.identify(WRONG, None)).key_name == "given"


async def test_guesses_push_no_key_out_and_take_no_more_room(
    store: WatchedStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED_LIMIT", 10)
    auth = Auth(store, SECRET, clock=clock)
    key, _ = await auth.create("mine")
    await auth.identify(key, None)
    for number in range(100):
        await refusal(auth, f"guess-{number}")
    store.keys.asked = 0
    await auth.identify(key, None)
    assert store.keys.asked == 0
    assert len(auth._unknown._entries) == 10


async def test_the_keys_least_used_are_forgotten_first(
    store: WatchedStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED_LIMIT", 2)
    auth = Auth(store, SECRET, clock=clock)
    one, two, three = [(await auth.create(name))[0] for name in ("one", "two", "three")]
    for key in (one, two, one, three):
        await auth.identify(key, None)
    store.keys.asked = 0
    await auth.identify(one, None)
    assert store.keys.asked == 0
    await auth.identify(two, None)
    assert store.keys.asked == 1


async def test_no_whole_key_is_remembered(auth: Auth) -> None:
    key, _ = await auth.create("mine")
    await auth.identify(key, None)
    await refusal(auth, WRONG)
    remembered = repr([vars(part) for part in (auth, auth._known, auth._unknown)])
    assert key not in remembered
    assert WRONG not in remembered


@pytest.mark.parametrize("is_known", [True, False])
async def test_requests_at_once_with_one_key_ask_the_store_once(
    auth: Auth, store: WatchedStore, is_known: bool
) -> None:
    key = (await auth.create("mine"))[0] if is_known else WRONG
    store.keys.gate.clear()
    callers = [asyncio.create_task(auth.identify(key, None)) for _ in range(50)]
    await until(lambda: store.keys.asked)
    store.keys.gate.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert store.keys.asked == 1
    assert {type(result) for result in results} == {Principal if is_known else Unauthenticated}
    assert not auth._flights


async def test_a_caller_who_hangs_up_takes_no_other_with_him(auth: Auth, store: WatchedStore) -> None:
    key, _ = await auth.create("mine")
    store.keys.gate.clear()
    first, second, third = [asyncio.create_task(auth.identify(key, None)) for _ in range(3)]
    await until(lambda: store.keys.asked)
    second.cancel()  # one who waits for the first
    await asyncio.wait([second])
    first.cancel()  # the one who asks
    await until(lambda: store.keys.asked == 2)
    store.keys.gate.set()
    assert (await third).key_name == "mine"
    assert first.cancelled()
    assert second.cancelled()
    assert not auth._flights


# While the store is away


async def test_a_key_that_cannot_be_checked_is_a_503_and_never_a_401(auth: Auth, store: WatchedStore) -> None:
    store.keys.away = True
    for headers in ((WRONG, None), (None, f"Bearer {WRONG}"), (WRONG, f"Bearer {WRONG}"), (WRONG, "Basic dTpw")):
        with pytest.raises(Unavailable) as caught:
            await auth.identify(*headers)
        assert caught.value.status == 503
        assert "/var/lib" not in caught.value.message
    assert await refusal(auth, None) == "x-api-key header is required"
    assert await refusal(auth, "\0") == "invalid x-api-key"


async def test_requests_at_once_share_the_trouble_too(auth: Auth, store: WatchedStore) -> None:
    """Or each would wait for the database's time-out after the other."""
    store.keys.away = True
    store.keys.gate.clear()
    callers = [asyncio.create_task(auth.identify(WRONG, None)) for _ in range(50)]
    await until(lambda: store.keys.asked)
    store.keys.gate.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(result) for result in results} == {Unavailable}
    assert store.keys.asked == 1


async def test_a_known_key_works_on_for_ten_minutes(auth: Auth, store: WatchedStore, clock: Clock) -> None:
    key, _ = await auth.create("mine")
    await auth.identify(key, None)
    store.keys.away = True
    clock.now = 1000 + 600
    assert (await auth.identify(key, None)).key_name == "mine"
    assert (await auth.identify(WRONG, f"Bearer {key}")).key_name == "mine"
    clock.now = 1000 + 606
    with pytest.raises(Unavailable):
        await auth.identify(key, None)


async def test_a_store_that_is_away_is_asked_once_in_the_cache_time(
    auth: Auth, store: WatchedStore, clock: Clock
) -> None:
    """Each question may take as long as the database's time-out."""
    key, _ = await auth.create("mine")
    await auth.identify(key, None)
    store.keys.away, store.keys.asked = True, 0
    for later in range(10, 60, 1):
        clock.now = 1000 + later
        await auth.identify(key, None)
    assert store.keys.asked == 10


async def test_a_key_revoked_while_the_store_was_away_stops_when_it_is_back(
    auth: Auth, store: WatchedStore, clock: Clock
) -> None:
    key, record = await auth.create("mine")
    await auth.identify(key, None)
    store.keys.away = True
    clock.now += 60
    await auth.identify(key, None)
    await store.keys.revoke(record.id, datetime.now(UTC))
    store.keys.away = False
    clock.now += 5
    assert await refusal(auth, key) == "invalid x-api-key"


async def test_the_log_tells_once_that_the_store_went_and_came_back(
    auth: Auth, store: WatchedStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.keys.away = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            await auth.identify(WRONG, None)
    store.keys.away = False
    await refusal(auth, WRONG)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the key store is away, known keys work for 600 s more",
        "the key store is back",
    ]
    assert WRONG not in caplog.text


# Making, presetting, revoking


def test_a_new_key_has_our_prefix_and_256_random_bits() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"sk-dgm-[A-Za-z0-9_-]{43}", key) for key in keys)


def test_a_hash_is_keyed() -> None:
    assert len(hash_key(SECRET, WRONG)) == 32
    assert hash_key(SECRET, WRONG) != hash_key(b"another", WRONG)


async def test_a_key_is_stored_as_hash_and_hint_only(auth: Auth) -> None:
    key, record = await auth.create("  mine ")
    assert re.fullmatch(r"apikey_[0-9A-Za-z]{24}", record.id)
    assert record.name == "mine"
    assert record.hint == f"{key[:10]}...{key[-4:]}"
    assert record.hash == hash_key(SECRET, key)
    assert record.created_at.utcoffset() is not None
    assert key not in repr(record)
    assert await auth.list() == [record]


async def test_no_key_lies_in_the_database_or_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = SQLStore(f"sqlite:///{tmp_path}/dragoman.db")
    await store.open()
    auth = Auth(store, SECRET)
    key, _ = await auth.create("mine")
    await auth.identify(key, None)
    await auth.revoke(key)
    for file in [tmp_path / name for name in os.listdir(tmp_path)]:
        assert key.encode() not in file.read_bytes()
        assert key[10:-4].encode() not in file.read_bytes()
    assert key not in caplog.text
    await store.close()


@pytest.mark.parametrize("name", ["", "  ", "x" * 501, "two\nlines", "\x1b[31mred"])
async def test_a_name_takes_printable_characters(auth: Auth, name: str) -> None:
    with pytest.raises(ConfigError, match="1 to 500 printable characters"):
        await auth.create(name)


async def test_a_key_that_exists_is_not_made_again(auth: Auth) -> None:
    await auth.create("one", key=PRESET)
    with pytest.raises(ConfigError, match="exists already") as caught:
        await auth.create("two", key=PRESET)
    assert PRESET not in str(caught.value)


async def test_a_preset_key_is_kept_once(auth: Auth, store: WatchedStore) -> None:
    record = await auth.preset(f"{PRESET}\n")
    assert await auth.preset(PRESET) == record
    assert await Auth(store, SECRET).preset(PRESET) == record
    assert await auth.list() == [record]
    assert (await auth.identify(PRESET, None)).key_id == record.id


@pytest.mark.parametrize(
    "key", ["", "1234567", "a       8", "with a blank", "tab\tinside", "schlüssel-lang", "x" * 1025]
)
async def test_an_unfit_preset_key_is_refused_without_being_told(auth: Auth, key: str) -> None:
    with pytest.raises(ConfigError, match="DRAGOMAN_API_KEY is not fit to be a key") as caught:
        await auth.preset(key)
    assert not key.strip() or key.strip() not in str(caught.value)


async def test_a_revoked_preset_key_stays_revoked(auth: Auth) -> None:
    record = await auth.preset(PRESET)
    await auth.revoke(record.id)
    with pytest.raises(ConfigError, match=r"was revoked on .* and stays so") as caught:
        await auth.preset(PRESET)
    assert PRESET not in str(caught.value)
    assert await refusal(auth, PRESET) == "invalid x-api-key"


@pytest.mark.parametrize("length", [8, 9, 16, 31, 32, 40, 100])
async def test_a_hint_of_a_preset_key_tells_at_most_a_quarter_of_it(auth: Auth, length: int) -> None:
    key = "".join(chr(ord("!") + number % 90) for number in range(length))
    hint = (await auth.preset(key)).hint
    assert 0 < len(hint.replace("...", "")) <= length / 4


async def test_a_first_key_is_made_only_when_there_is_none(auth: Auth) -> None:
    key = await auth.ensure_first()
    assert key is not None
    assert (await auth.identify(key, None)).key_name == "first"
    assert await auth.ensure_first() is None
    (record,) = await auth.list()
    await auth.revoke(record.id)
    assert await auth.ensure_first() is None


async def test_a_preset_key_makes_a_first_one_unnecessary(auth: Auth) -> None:
    await auth.preset(PRESET)
    assert await auth.ensure_first() is None


async def test_a_key_is_revoked_by_id_hint_or_itself(auth: Auth) -> None:
    for chosen in range(3):
        key, record = await auth.create("mine")
        revoked = await auth.revoke([record.id, record.hint, f" {key} "][chosen])
        assert revoked.id == record.id
        assert revoked.revoked_at is not None
        assert await auth.revoke(record.id) == revoked


@pytest.mark.parametrize(
    ("given_", "shown"), [("apikey_nobody", "apikey_nobody"), ("sk-dgm-abc...wxyz", "sk-dgm-abc...wxyz"), ("", "...")]
)
async def test_revoking_an_unknown_key_says_where_to_look(auth: Auth, given_: str, shown: str) -> None:
    await auth.create("mine")
    with pytest.raises(ConfigError, match=rf"no key has the id or hint {re.escape(shown)}: `dragoman keys list`"):
        await auth.revoke(given_)


async def test_revoking_an_unknown_whole_key_does_not_repeat_it(auth: Auth) -> None:
    with pytest.raises(ConfigError) as caught:
        await auth.revoke(WRONG)
    assert WRONG not in str(caught.value)


async def test_a_hint_that_several_keys_share_revokes_none(auth: Auth) -> None:
    one, two = await auth.preset("a23456789z"), await auth.preset("a98765432z")
    assert one.hint == two.hint
    with pytest.raises(ConfigError, match=f"{one.id}|{two.id}"):
        await auth.revoke(one.hint)
    assert all(record.revoked_at is None for record in await auth.list())


# The secret


def test_ids_follow_from_the_secret() -> None:
    """And stay what they are in every version: callers may have stored them."""
    assert organization_id(SECRET) == "66a8e386-f41d-4e60-ba20-f9a48ab5a0f2"
    assert default_workspace_id(SECRET) == "wrkspc_1J4XgcOZqIhvU38YGsRo7nqh"
    assert UUID(organization_id(SECRET)).version == 4
    assert re.fullmatch(r"wrkspc_[0-9A-Za-z]{24}", default_workspace_id(SECRET))
    assert organization_id(SECRET) != organization_id(b"another")
    assert default_workspace_id(SECRET) != default_workspace_id(b"another")


async def test_a_key_of_a_workspace_belongs_to_it(auth: Auth, store: WatchedStore) -> None:
    digest = hash_key(SECRET, WRONG)
    now = datetime.now(UTC)
    await store.keys.add(
        KeyRecord(id="apikey_1", name="n", hash=digest, hint="...", created_at=now, workspace_id="wrkspc_1")
    )
    assert (await auth.identify(WRONG, None)).workspace_id == "wrkspc_1"


async def test_keys_of_another_secret_are_not_ours(auth: Auth, store: WatchedStore) -> None:
    key, _ = await auth.create("mine")
    assert await refusal(Auth(store, b"another secret"), key) == "invalid x-api-key"


def test_a_secret_from_the_environment_comes_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/dragoman.db"
    assert load_secret(url, {"DRAGOMAN_SECRET": " sixteen letters!\n"}) == b"sixteen letters!"
    assert load_secret("sqlite://", {"DRAGOMAN_SECRET": "sixteen letters!"}) == b"sixteen letters!"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given_", ["", "fifteen letters", " " * 20])
def test_a_short_secret_is_refused_without_being_told(given_: str) -> None:
    with pytest.raises(ConfigError, match=r"DRAGOMAN_SECRET has .* needs at least 16") as caught:
        load_secret("sqlite://", {"DRAGOMAN_SECRET": given_})
    assert "fifteen letters" not in str(caught.value)


def test_a_secret_is_made_once_beside_the_database_for_its_owner_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/dragoman.db"
    secret = load_secret(url, {})
    file = tmp_path / "dragoman.db.secret"
    assert len(secret) == 32
    assert file.read_text() == f"{secret.hex()}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_secret(url, {}) == secret


def test_a_database_in_memory_has_a_secret_of_its_own() -> None:
    assert load_secret("sqlite://", {}) != load_secret("sqlite://", {})


def test_a_secret_that_another_process_is_writing_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "dragoman.db.secret"
    file.touch()
    monkeypatch.setattr(time, "sleep", lambda _: file.write_text("ab" * 32 + "\n"))
    assert load_secret(f"sqlite:///{tmp_path}/dragoman.db", {}) == b"\xab" * 32


@pytest.mark.parametrize("text", ["", "ab" * 31, "zz" * 32, "ab" * 33, "é" * 64])
def test_a_damaged_secret_file_is_named_but_not_quoted(tmp_path: Path, text: str) -> None:
    file = tmp_path / "dragoman.db.secret"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="does not hold 64 hexadecimal digits: restore it") as caught:
        load_secret(f"sqlite:///{tmp_path}/dragoman.db", {}, wait_s=0)
    assert str(file) in str(caught.value)
    assert caught.value.__context__ is None
    assert not text or text not in str(caught.value)
    assert file.read_text(encoding="utf-8") == text


def test_a_secret_file_that_cannot_be_made_or_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot make the secret file .*none/dragoman\.db\.secret"):
        load_secret(f"sqlite:///{tmp_path}/none/dragoman.db", {})
    (tmp_path / "dragoman.db.secret").mkdir()
    with pytest.raises(ConfigError, match="cannot read the secret file"):
        load_secret(f"sqlite:///{tmp_path}/dragoman.db", {})


def test_a_secret_that_could_not_be_written_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        load_secret(f"sqlite:///{tmp_path}/dragoman.db", {})
    assert list(tmp_path.iterdir()) == []


async def test_who_has_a_key_that_was_good_does_not_wait_long_for_a_store_that_hangs() -> None:
    """Pain 36: known keys go on. What the store says when it comes back counts."""
    store, clock = WatchedStore(), Clock()
    await store.open()
    auth = Auth(store, SECRET, clock=clock)
    key, record = await auth.create("mine")
    assert (await auth.identify(key, None)).key_id == record.id
    store.keys.gate.clear()
    clock.now += 6
    assert (await auth.identify(key, None)).key_id == record.id
    asked = store.keys.asked
    assert (await auth.identify(key, None)).key_id == record.id
    assert store.keys.asked == asked, "nobody waits for the store twice"
    await store.keys.revoke(record.id, datetime.now(UTC))
    store.keys.gate.set()
    await asyncio.sleep(0.01)
    with pytest.raises(Unauthenticated):
        await auth.identify(key, None)
