"""Batches over a real database, with a clock that is a number and an answerer that the test holds in its hand."""

import asyncio
import itertools
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from serving import wait_until

from dragoman.errors import ApiError, CutOff, InvalidRequest, NotFound, RequestTooLarge, StoreError
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.batches.batches import Batches
from dragoman.gateway.batches.requests import MAX_REQUESTS, check_params, check_size, pages_of, read_requests
from dragoman.gateway.batches.turns import GRACE, Slots
from dragoman.gateway.batches.work import AT_ONCE, TRIES
from dragoman.gateway.call import Call
from dragoman.gateway.workers import is_gone, worker_name
from dragoman.store.sql import SQLStore
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers

Json = dict[str, Any]

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
URL = "https://gateway.test"
ME = Principal("key_1", "mine", "wrkspc_1", "org_1")
OTHER = Principal("key_2", "theirs", "wrkspc_2", "org_1")
HEADERS = Headers(
    [
        ("x-api-key", "sk-dgm-secret-of-the-caller"),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "one,two"),
        ("idempotency-key", "retry-1"),
    ]
)


# -- what creates a batch -------------------------------------------------------------------------------------------


def body(*items: Any) -> bytes:
    return json.dumps({"requests": list(items)}).encode()


def item(custom_id: Any = "a", **params: Any) -> Json:
    return {"custom_id": custom_id, "params": params}


def said(raw: bytes) -> str:
    with pytest.raises(InvalidRequest) as refused:
        read_requests(raw)
    return refused.value.message


def test_params_are_kept_to_the_byte() -> None:
    """BAT-1 and BAT-2: bad ones too, as they are checked later."""
    raw = b'{"requests": [ {"custom_id": "a", "params": { "x" : 1.50 } }, {"params": [1], "custom_id": "b-_9"} ]}'
    assert [(name, bytes(params)) for name, params in read_requests(raw)] == [
        ("a", b'{ "x" : 1.50 }'),
        ("b-_9", b"[1]"),
    ]


@pytest.mark.parametrize("custom_id", ["", "a b", "a.b", "a\n", "é", "x" * 65])
def test_a_custom_id_has_64_letters_digits_dashes_and_underscores_at_most(custom_id: str) -> None:
    """BAT-2."""
    assert said(body(item(), item(custom_id))).startswith("requests.1.custom_id: String should match pattern")
    assert len(read_requests(body(item("x" * 64)))) == 1


def test_a_custom_id_is_used_once() -> None:
    """BAT-2."""
    assert said(body(item("a"), item("b"), item("a"))).startswith("requests.2.custom_id: 'a' is used twice")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"{}", "requests: Field required"),
        (b"[]", "Input should be an object"),
        (b'{"requests": {}}', "requests: Input should be a valid list"),
        (b'{"requests": []}', "requests: List should have at least 1 item after validation, not 0"),
        (b'{"requests": [], "x": 1}', "x: Extra inputs are not permitted"),
        (body(5), "requests.0: Input should be a valid dictionary"),
        (body({"params": {}}), "requests.0.custom_id: Field required"),
        (body(item(), {"custom_id": "b"}), "requests.1.params: Field required"),
        (body({"custom_id": "b", "params": {}, "y": 1}), "requests.0.y: Extra inputs are not permitted"),
        (body(item(7)), "requests.0.custom_id: Input should be a valid string"),
        (b"", "The request body is not valid JSON: "),
        (b'{"requests": [{"custom_id": "a", "params": {}}', "The request body is not valid JSON: "),
        (b'{"requests": [{"custom_id": "\xff", "params": {}}]}', "The request body is not valid JSON: "),
        (b'{"requests": [{"custom_id": "a", "params": ' + b"[" * 10**6, "The request body is not valid JSON: nested"),
        (b'{"requests": ' + b"[" * 10**6, "requests.0: Input should be a valid dictionary"),
    ],
)
def test_what_is_no_batch_is_refused_by_its_place(raw: bytes, message: str) -> None:
    """BAT-1 and BAT-2."""
    assert said(raw).startswith(message)


def test_a_batch_has_100_000_requests_at_most() -> None:
    """BAT-1. The one too many is where the reading ends, so that millions of them fill no memory."""
    one = b'{"custom_id":"%d","params":{}}'
    many = b",".join(one % number for number in range(MAX_REQUESTS))
    assert len(read_requests(b'{"requests":[' + many + b"]}")) == 100_000
    refused = "requests: List should have at most 100000 items after validation"
    assert said(b'{"requests":[' + many + b',{"custom_id":"x","params":{}}, and no JSON') == refused
    assert said(b'{"requests":[' + many + b'],"requests":[{"custom_id":"x","params":{}}]}') == refused


def test_pages_end_with_their_rows_or_their_bytes() -> None:
    found = read_requests(body(item("a"), item("b"), item("c", x="y" * 100), item("d"), item("e")))
    limits: Any = {"limit_bytes": 1000, "new_id": str}
    pages = [[each.custom_id for each in page] for page in pages_of(found, rows=2, size_bytes=50, **limits)]
    assert pages == [["a", "b"], ["c"], ["d", "e"]]
    assert [each.number for page in pages_of(found, **limits) for each in page] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("field", "value", "is_fit"),
    [
        ("stream", True, False),
        ("max_tokens", -0.0, False),
        ("max_tokens", "0", True),
        ("stream", False, True),
        ("max_tokens", 0, False),
        ("max_tokens", 1, True),
        ("speed", "fast", False),
        ("speed", None, True),
        ("fallbacks", [{"model": "claude-haiku-4-5"}], False),
        ("thread", {"type": "create"}, False),
    ],
)
def test_some_params_do_not_go_into_a_batch(field: str, value: Any, is_fit: bool) -> None:
    """BAT-3, MSG-35."""
    envelope = Envelope(json.dumps({"model": "m", field: value}).encode())
    if is_fit:
        check_params(envelope)
        return
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        check_params(envelope)


@pytest.mark.parametrize("zero", ["-0", "0.0", "-0.0", "0e5", " 0", "0E+9"])
def test_no_tokens_are_none_however_they_are_written(zero: str) -> None:
    """BAT-3."""
    with pytest.raises(InvalidRequest, match=r"^max_tokens: 0 is not supported"):
        check_params(Envelope(b'{"model": "m", "max_tokens": %b}' % zero.encode()))
    check_params(Envelope(b'{"model": "m", "max_tokens": %b}' % (b"9" * 5000)))


def test_a_request_of_a_batch_is_no_larger_than_one_that_comes_alone() -> None:
    """ERR-24."""
    check_size(b"1234", 4)
    with pytest.raises(RequestTooLarge):
        check_size(b"12345", 4)


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what only asking can tell."""
    async with asyncio.timeout(15):
        while not await is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


# -- the work ---------------------------------------------------------------------------------------------------------


class House:
    """One store, and one process after the other that works on it."""

    def __init__(self, store: SQLStore) -> None:
        self.store = store
        self.now = NOON
        self.calls: list[Call] = []  # as they were begun
        self.open = asyncio.Event()  # until it is set, requests hang
        self.open.set()
        self.running = 0
        self.most = 0
        self.reply: Callable[[Call], tuple[int, bytes] | tuple[int, bytes, int]] = lambda call: (200, call.body)
        self.pauses: list[float] = []  # that were to be slept, in seconds
        self.may_wake = asyncio.Event()  # until it is set, who sleeps does so
        self.may_wake.set()
        self.gone: set[str] = set()  # names of workers
        self.ids = itertools.count(1)
        self.batches = self.process()

    def process(self) -> Batches:
        def new_id(prefix: str) -> str:
            return f"{prefix}_{next(self.ids)}"

        return Batches(
            self.store.batches,
            ask=self.ask,
            clock=lambda: 0.0,
            new_id=new_id,
            limit_bytes=1000,
            now=lambda: self.now,
            sleep=self.sleep,
            is_gone=self.gone.__contains__,
        )

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.may_wake.wait()

    async def ask(self, call: Call) -> tuple[int, bytes, int | None]:
        self.calls.append(call)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.open.wait()
            status, body, *retry_after = self.reply(call)
            return status, body, retry_after[0] if retry_after else None
        finally:
            self.running -= 1

    @property
    def asked(self) -> list[str]:
        return [json.loads(call.body)["name"] for call in self.calls]

    async def create(self, *names: str, principal: Principal = ME) -> str:
        raw = body(*(item(name, name=name) for name in names))
        made = await self.batches.create(raw, HEADERS, principal, base_url=URL)
        return str(made["id"])

    async def shown(self, batch_id: str) -> Json:
        found = await self.batches.retrieve(batch_id, ME, base_url=URL)
        return json.loads(msgspec.json.encode(found))

    async def ended(self, batch_id: str) -> Json:
        async def has_ended() -> bool:
            return bool((await self.shown(batch_id))["processing_status"] == "ended")

        await until(has_ended)
        return await self.shown(batch_id)

    async def stored(self, batch_id: str, count: int) -> None:
        """Wait until so many results, at most 9, are in the store."""

        async def are_there() -> bool:
            return len(await self.store.batches.results(batch_id, after=-1, limit=9)) == count

        await until(are_there)

    async def results(self, batch_id: str) -> dict[str, Json]:
        text = b"".join([piece async for piece in await self.batches.results(batch_id, ME)])
        return {line["custom_id"]: line["result"] for line in map(json.loads, text.splitlines())}

    async def hang(self, count: int = 1) -> None:
        """Wait until so many requests hang."""
        await wait_until(lambda: self.running == count)

    async def restart(self) -> None:
        await self.batches.aclose()
        self.batches = self.process()
        self.batches.start()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    store = SQLStore("sqlite://")
    await store.open()
    house = House(store)
    house.batches.start()
    yield house
    await house.batches.aclose()
    await store.close()


def counts(**told: int) -> dict[str, int]:
    return {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0} | told


async def refusal(work: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await work
    return refused.value


async def test_a_batch_tells_what_became_of_it_when_it_has_ended(house: House) -> None:
    """BAT-4, BAT-5 and BAT-9: until then everything counts as processing."""
    house.open.clear()
    house.reply = lambda call: (200 if b"good" in call.body else 400, call.body)
    batch_id = await house.create("good", "bad")
    await house.hang(2)
    made = {
        "id": batch_id,
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": counts(processing=2),
        "created_at": "2026-11-20T12:00:00Z",
        "expires_at": "2026-11-21T12:00:00Z",
        "ended_at": None,
        "cancel_initiated_at": None,
        "archived_at": None,
        "results_url": None,
    }
    assert await house.shown(batch_id) == made
    house.now += timedelta(minutes=1)
    house.open.set()
    assert await house.ended(batch_id) == made | {
        "processing_status": "ended",
        "request_counts": counts(succeeded=1, errored=1),
        "ended_at": "2026-11-20T12:01:00Z",
        "results_url": f"{URL}/v1/messages/batches/{batch_id}/results",
    }


async def test_what_was_answered_is_no_word_of_the_counts_yet(house: House) -> None:
    """BAT-5."""
    blocked = asyncio.Event()

    async def ask(call: Call) -> tuple[int, bytes, None]:
        if b"slow" in call.body:
            await blocked.wait()
        return 200, b"{}", None

    house.batches._work._ask = ask
    batch_id = await house.create("quick", "slow")
    await house.stored(batch_id, 1)
    assert (await house.shown(batch_id))["request_counts"] == counts(processing=2)
    blocked.set()
    assert (await house.ended(batch_id))["request_counts"] == counts(succeeded=2)


async def test_results_are_lines_with_the_reply_as_it_came(house: House) -> None:
    """BAT-8 and ERR-5. An upstream may indent its JSON; a line of the results has no line end in it."""
    envelope = b'{"type":"error","error":{"type":"x_error","message":"m"},"request_id":"req_1"}'
    house.reply = lambda call: (
        (200, b'{\n "text": "a\\nb",\n "n": 1.50\n}') if b"good" in call.body else (404, envelope)
    )
    batch_id = await house.create("good", "bad")
    await house.ended(batch_id)
    lines = b"".join([piece async for piece in await house.batches.results(batch_id, ME)])
    assert sorted(lines.splitlines(keepends=True)) == [
        b'{"custom_id":"bad","result":{"type":"errored","error":' + envelope + b"}}\n",
        b'{"custom_id":"good","result":{"type":"succeeded","message":{"text":"a\\nb","n":1.50}}}\n',
    ]


async def test_many_results_come_one_for_each_request(house: House) -> None:
    """BAT-8: more than fit on a page."""
    names = [f"n{number}" for number in range(100)]
    batch_id = await house.create(*names)
    await house.ended(batch_id)
    assert sorted(await house.results(batch_id)) == sorted(names)


async def test_results_that_break_off_do_not_look_whole(house: House) -> None:
    """BAT-8."""
    batch_id = await house.create(*(f"n{number}" for number in range(100)))
    await house.ended(batch_id)
    lines = await house.batches.results(batch_id, ME)
    await anext(lines)
    await house.batches.delete(batch_id, ME)
    with pytest.raises(CutOff):
        async for _ in lines:
            pass


async def test_requests_are_asked_for_the_key_that_made_the_batch(house: House) -> None:
    """BAT-2: with the batch's version and betas. The key itself is not kept, nor the batch's idempotency-key."""
    batch_id = await house.create("a")
    await house.ended(batch_id)
    (call,) = house.calls
    assert call.batched_for == ME
    assert (call.headers.get("anthropic-version"), call.headers.get("anthropic-beta")) == ("2023-06-01", "one,two")
    assert "x-api-key" not in call.headers
    assert "idempotency-key" not in call.headers
    assert (call.body, call.kind) == (b'{"name": "a"}', "batch")
    stored = await house.store.batches.find(batch_id, ME.workspace_id)
    assert stored is not None
    assert b"secret" not in stored.caller


async def test_only_so_many_requests_run_at_once(house: House) -> None:
    house.open.clear()
    batch_id = await house.create(*(f"n{number}" for number in range(3 * AT_ONCE)))
    await house.hang(AT_ONCE)
    house.open.set()
    await house.ended(batch_id)
    assert house.most == AT_ONCE


async def test_a_small_batch_does_not_wait_for_a_large_one(house: House) -> None:
    house.open.clear()
    large = await house.create(*(f"n{number}" for number in range(100)))
    await house.hang(AT_ONCE)
    small = await house.create("small")
    await wait_until(lambda: len(house.batches._work._jobs) == 2)
    house.open.set()
    await house.ended(small)
    await house.ended(large)
    assert house.asked.index("small") < 30


async def test_a_batch_that_waits_for_its_turn_gets_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.gateway.batches.work.BATCHES_LIMIT", 1)
    house.open.clear()
    first = await house.create("first")
    await house.hang()
    second = await house.create("second")
    house.open.set()
    await house.ended(first)
    await house.ended(second)
    assert house.asked == ["first", "second"]


async def test_a_cancel_lets_run_what_runs(house: House) -> None:
    """BAT-7: the rest is canceled, and the status in the end is `ended`."""
    house.open.clear()
    batch_id = await house.create(*(f"n{number}" for number in range(AT_ONCE + 5)))
    await house.hang(AT_ONCE)
    house.now += timedelta(minutes=1)
    told = await house.batches.cancel(batch_id, ME, base_url=URL)
    assert (told["processing_status"], told["cancel_initiated_at"]) == ("canceling", house.now)
    assert told["request_counts"] == counts(processing=AT_ONCE + 5)
    house.open.set()
    ended = await house.ended(batch_id)
    assert ended["request_counts"] == counts(succeeded=AT_ONCE, canceled=5)
    assert ended["cancel_initiated_at"] == "2026-11-20T12:01:00Z"
    assert len(house.calls) == AT_ONCE
    results = await house.results(batch_id)
    assert results["n12"] == {"type": "canceled"}
    again = await house.batches.cancel(batch_id, ME, base_url=URL)
    assert json.loads(msgspec.json.encode(again)) == ended


async def test_what_is_not_answered_in_24_hours_is_expired(house: House) -> None:
    """BAT-10."""
    house.open.clear()
    batch_id = await house.create(*(f"n{number}" for number in range(AT_ONCE + 2)))
    await house.hang(AT_ONCE)
    house.now += timedelta(hours=24)
    house.open.set()
    assert (await house.ended(batch_id))["request_counts"] == counts(succeeded=AT_ONCE, expired=2)
    assert (await house.results(batch_id))["n9"] == {"type": "expired"}


async def test_results_are_there_for_29_days(house: House) -> None:
    """BAT-10: then the batch is archived."""
    batch_id = await house.create("a")
    ended = await house.ended(batch_id)
    house.now = NOON + timedelta(days=29, seconds=-1)
    assert await house.shown(batch_id) == ended
    assert len(await house.results(batch_id)) == 1
    house.now = NOON + timedelta(days=29)
    assert await house.shown(batch_id) == ended | {"archived_at": "2026-12-19T12:00:00Z", "results_url": None}
    assert isinstance(await refusal(house.batches.results(batch_id, ME)), NotFound)
    await house.restart()  # what is too old is erased
    await house.stored(batch_id, 0)


async def test_there_are_no_results_before_the_end(house: House) -> None:
    """BAT-8."""
    house.open.clear()
    batch_id = await house.create("a")
    assert isinstance(await refusal(house.batches.results(batch_id, ME)), NotFound)


async def test_only_what_has_ended_is_deleted(house: House) -> None:
    """BAT-11."""
    house.open.clear()
    batch_id = await house.create("a")
    assert isinstance(await refusal(house.batches.delete(batch_id, ME)), InvalidRequest)
    house.open.set()
    await house.ended(batch_id)
    assert await house.batches.delete(batch_id, ME) == {"id": batch_id, "type": "message_batch_deleted"}
    assert isinstance(await refusal(house.shown(batch_id)), NotFound)


async def test_other_workspaces_find_nothing(house: House) -> None:
    """BAT-12."""
    batch_id = await house.create("a")
    await house.ended(batch_id)
    batches = house.batches
    for work in (
        batches.retrieve(batch_id, OTHER, base_url=URL),
        batches.cancel(batch_id, OTHER, base_url=URL),
        batches.delete(batch_id, OTHER),
        batches.results(batch_id, OTHER),
    ):
        assert isinstance(await refusal(work), NotFound)
    assert (await batches.page({}, OTHER, base_url=URL))["data"] == []
    assert isinstance(await refusal(batches.page({"after_id": [batch_id]}, OTHER, base_url=URL)), InvalidRequest)
    assert (await house.shown(batch_id))["request_counts"] == counts(succeeded=1)


async def test_batches_are_listed_newest_first(house: House) -> None:
    """BAT-6."""
    made = []
    for _ in range(5):
        house.now += timedelta(seconds=1)
        made.insert(0, await house.create("a"))

    async def page(**query: str) -> tuple[list[int], bool]:
        given = {name: [value] for name, value in query.items()}
        found: Any = await house.batches.page(given, ME, base_url=URL)
        ids = [batch["id"] for batch in found["data"]]
        assert (found["first_id"], found["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
        return [made.index(id_) for id_ in ids], found["has_more"]

    assert await page() == ([0, 1, 2, 3, 4], False)
    assert await page(limit="2") == ([0, 1], True)
    assert await page(limit="2", after_id=made[1]) == ([2, 3], True)
    assert await page(limit="2", after_id=made[3]) == ([4], False)
    assert await page(limit="2", before_id=made[3]) == ([1, 2], True)
    assert await page(limit="2", before_id=made[0]) == ([], False)
    for query in ({"limit": "0"}, {"limit": "1001"}, {"after_id": "no"}, {"after_id": made[0], "before_id": made[1]}):
        assert isinstance(await refusal(page(**query)), InvalidRequest), query


async def test_a_batch_goes_on_after_a_restart(house: House) -> None:
    """BAT-4: what is answered is not asked again, what was under way is."""
    blocked = {f"n{number}" for number in range(3, 3 + AT_ONCE)}
    never = asyncio.Event()

    async def first_life(call: Call) -> tuple[int, bytes, None]:
        house.calls.append(call)
        if json.loads(call.body)["name"] in blocked:
            await never.wait()
        return 200, b'"first life"', None

    house.batches._work._ask = first_life
    batch_id = await house.create(*(f"n{number}" for number in range(20)))
    await wait_until(lambda: set(house.asked) >= blocked)
    await house.stored(batch_id, 3)
    house.calls.clear()
    house.reply = lambda call: (200, b'"second life"')
    await house.restart()
    assert (await house.ended(batch_id))["request_counts"] == counts(succeeded=20)
    assert sorted(house.asked) == sorted(f"n{number}" for number in range(3, 20))
    results = await house.results(batch_id)
    assert [name for name, result in results.items() if result["message"] == "first life"] == ["n0", "n1", "n2"]


async def test_a_batch_of_a_process_that_was_killed_is_taken_up_when_its_lease_is_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.batches.aclose()
    batch_id = await house.create("a")
    await house.store.batches.claim("killed", house.now, house.now + timedelta(seconds=60), 9)
    claim, looks = house.store.batches.claim, []

    async def noted(*wish: Any) -> Any:
        looks.append(await claim(*wish))
        return looks[-1]

    monkeypatch.setattr(house.store.batches, "claim", noted)
    await house.restart()
    await wait_until(lambda: len(looks) == 1)
    assert looks == [[]]
    house.now += timedelta(seconds=60)
    house.batches._work.look()
    await house.ended(batch_id)


async def test_a_result_that_cannot_be_stored_at_once_costs_no_second_request(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = house.store.batches.keep
    attempts = []

    async def busy(*result: Any) -> None:
        attempts.append(result)
        if len(attempts) == 1:
            raise StoreError("the database is locked")
        await keep(*result)

    monkeypatch.setattr("dragoman.gateway.batches.work.AGAIN_AFTER_S", (0.0, 0.0))
    monkeypatch.setattr(house.store.batches, "keep", busy)
    batch_id = await house.create("a")
    await house.ended(batch_id)
    assert (len(attempts), len(house.calls)) == (2, 1)


async def test_a_batch_that_fails_by_the_store_is_taken_up_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    take = house.store.batches.take
    is_full = True

    async def failing(*asked: Any) -> Any:
        if is_full:
            raise StoreError("the disk is full")
        return await take(*asked)

    monkeypatch.setattr(house.store.batches, "take", failing)
    with caplog.at_level(logging.WARNING, "dragoman.batches"):
        batch_id = await house.create("a", "b")
        for waits in (1, 2):
            await wait_until(lambda waits=waits: caplog.text.count("waits: the disk is full") == waits)
            is_full = waits == 1
            house.batches._work.look()
        await house.ended(batch_id)
    assert sorted(house.asked) == ["a", "b"]
    assert house.batches._work._slots.free == AT_ONCE


async def test_a_fault_that_breaks_the_connection_is_an_error_of_its_request(house: House) -> None:
    """ERR-5."""

    def cut(call: Call) -> tuple[int, bytes]:
        raise CutOff

    house.reply = cut
    batch_id = await house.create("a")
    await house.ended(batch_id)
    (result,) = (await house.results(batch_id)).values()
    assert (result["type"], result["error"]["error"]["type"]) == ("errored", "api_error")


# -- what stalls, and what fails for now ---------------------------------------------------------------------------


async def test_a_batch_that_waits_for_a_slot_is_canceled_at_once(house: House) -> None:
    """BAT-7: whatever the requests of others do."""
    house.open.clear()
    await house.create(*(f"n{number}" for number in range(AT_ONCE)))
    await house.hang(AT_ONCE)
    waiting = await house.create("waiting")
    await wait_until(lambda: len(house.batches._work._jobs) == 2)
    await house.batches.cancel(waiting, ME, base_url=URL)
    assert (await house.ended(waiting))["request_counts"] == counts(canceled=1)
    assert "waiting" not in house.asked


async def test_a_batch_that_waits_for_a_slot_expires_in_time(house: House) -> None:
    """BAT-10."""
    house.open.clear()
    await house.create(*(f"n{number}" for number in range(AT_ONCE)))
    await house.hang(AT_ONCE)
    waiting = await house.create("waiting")
    await wait_until(lambda: len(house.batches._work._jobs) == 2)
    house.now += timedelta(hours=24)
    house.batches._work.look()
    assert (await house.ended(waiting))["request_counts"] == counts(expired=1)


async def test_what_still_runs_some_seconds_after_a_cancel_is_canceled(house: House) -> None:
    """BAT-7."""
    house.open.clear()
    batch_id = await house.create("a", "b")
    await house.hang(2)
    await house.batches.cancel(batch_id, ME, base_url=URL)
    house.now += GRACE - timedelta(seconds=1)
    house.batches._work.look()
    await wait_until(lambda: not house.batches._work._wake.is_set())
    assert (house.running, (await house.shown(batch_id))["processing_status"]) == (2, "canceling")
    house.now += timedelta(seconds=1)
    house.batches._work.look()
    assert (await house.ended(batch_id))["request_counts"] == counts(canceled=2)
    assert house.running == 0


async def test_a_request_that_never_ends_is_ended(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """ERR-5: and is not tried again."""
    monkeypatch.setattr("dragoman.gateway.batches.work.REQUEST_S", 0.01)
    house.open.clear()
    batch_id = await house.create("a")
    await house.ended(batch_id)
    result = (await house.results(batch_id))["a"]
    assert (result["type"], result["error"]["error"]["type"]) == ("errored", "timeout_error")
    assert len(house.calls) == 1


async def test_a_batch_holds_half_of_the_slots_when_another_one_waits() -> None:
    slots = Slots(4)
    order: list[str] = []

    async def take(name: str) -> None:
        await slots.acquire(name)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for name in "aaaaabbb":
            group.create_task(take(name))
        await asyncio.sleep(0)
        for released in "aaab":
            slots.release(released)
            await asyncio.sleep(0)
    assert "".join(order) == "aaaa" + "bb" + "ab"


async def test_a_slot_that_comes_to_one_who_is_cancelled_goes_on() -> None:
    slots = Slots(1)
    await slots.acquire("a")
    queued = [asyncio.create_task(slots.acquire(name)) for name in "bcd"]
    await asyncio.sleep(0)
    queued[1].cancel()
    slots.release("a")
    queued[0].cancel()  # it holds one, and does not know it yet
    await asyncio.gather(*queued, return_exceptions=True)
    assert [each.cancelled() for each in queued] == [True, True, False]
    slots.release("d")
    assert slots.free == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
async def test_a_failure_that_may_pass_is_tried_again(house: House, status: int) -> None:
    """After `retry-after` (LIM-10), or else longer each time."""
    replies = iter([(status, b"1"), (status, b"2"), (status, b"3", 7), (200, b"4")])
    house.reply = lambda call: next(replies)
    batch_id = await house.create("a")
    assert (await house.ended(batch_id))["request_counts"] == counts(succeeded=1)
    assert house.pauses == [1, 2, 7]
    assert len({call.request_id for call in house.calls}) == 4


async def test_a_failure_that_does_not_pass_is_the_result(house: House) -> None:
    house.reply = lambda call: (529, b'"%d"' % len(house.calls))
    batch_id = await house.create("a")
    assert (await house.ended(batch_id))["request_counts"] == counts(errored=1)
    assert (len(house.calls), house.pauses) == (TRIES, [1, 2, 4, 8, 16, 32, 60])
    assert (await house.results(batch_id))["a"]["error"] == str(TRIES)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
async def test_a_request_that_is_wrong_is_not_tried_again(house: House, status: int) -> None:
    house.reply = lambda call: (status, b"{}")
    await house.ended(await house.create("a"))
    assert (len(house.calls), house.pauses) == (1, [])


async def test_a_request_that_waits_for_its_next_try_holds_no_slot(house: House) -> None:
    house.may_wake.clear()
    house.reply = lambda call: (200 if b"good" in call.body else 429, b"{}", 3600)
    await house.create(*(f"n{number}" for number in range(AT_ONCE)))
    await wait_until(lambda: len(house.pauses) == AT_ONCE)
    await house.ended(await house.create("good"))
    assert house.batches._work._slots.free == AT_ONCE


async def test_a_request_that_waits_for_its_next_try_is_canceled(house: House) -> None:
    """BAT-7."""
    house.may_wake.clear()
    house.reply = lambda call: (429, b"{}", 3600)
    batch_id = await house.create("a")
    await wait_until(lambda: house.pauses == [3600])
    await house.batches.cancel(batch_id, ME, base_url=URL)
    assert (await house.ended(batch_id))["request_counts"] == counts(canceled=1)


async def test_no_try_comes_after_the_end_of_its_batch(house: House) -> None:
    """BAT-10: what is known of it then is its failure."""
    house.reply = lambda call: (429, b"{}", 24 * 3600)
    assert (await house.ended(await house.create("a")))["request_counts"] == counts(errored=1)
    assert house.pauses == []


# -- creating, and dying --------------------------------------------------------------------------------------------


async def test_who_hangs_up_while_a_batch_is_stored_has_a_whole_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    add = house.store.batches.add

    async def slow(*given: Any, **named: Any) -> None:
        begun.set()
        await go_on.wait()
        await add(*given, **named)

    monkeypatch.setattr(house.store.batches, "add", slow)
    creating = asyncio.create_task(house.create("a"))
    await begun.wait()
    creating.cancel()
    await asyncio.gather(creating, return_exceptions=True)
    go_on.set()
    await wait_until(lambda: house.asked == ["a"])


async def test_a_request_that_is_too_large_leaves_its_id_only(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """ERR-24: its bytes are neither stored nor read."""
    pages = []
    add = house.store.batches.add

    async def noted(batch: Any, given: Any, **named: Any) -> None:
        pages.extend(given)
        await add(batch, pages, **named)

    monkeypatch.setattr(house.store.batches, "add", noted)
    name = "n" * 2000
    made = await house.batches.create(body(item("big", name=name), item("small", name="s")), HEADERS, ME, base_url=URL)
    assert [len(each.params) for page in pages for each in page] == [0, 13]
    assert (await house.ended(str(made["id"])))["request_counts"] == counts(succeeded=1, errored=1)
    result = (await house.results(str(made["id"])))["big"]
    assert (result["type"], result["error"]["error"]["type"]) == ("errored", "request_too_large")
    assert result["error"]["request_id"].startswith("req_")
    assert house.asked == ["s"]


async def test_what_a_process_held_that_is_gone_is_taken_up_at_once(house: House) -> None:
    await house.batches.aclose()
    batch_id = await house.create("a")
    await house.store.batches.claim("killed", house.now, house.now + timedelta(seconds=60), 9)
    house.gone.add("killed")
    await house.restart()
    await house.ended(batch_id)


def test_a_process_is_gone_when_its_number_is_free_or_another_ones() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        mine = worker_name("worker_1")
        began = int(Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[19])
        place = mine.partition("@")[2].partition("/")[0]
        theirs = f"worker_2@{place}/{other.pid}/{began}"
        assert not is_gone(mine)
        assert not is_gone(theirs)
        assert is_gone(f"worker_2@{place}/{other.pid}/{began - 1}")
        other.communicate(b"\n")
    assert is_gone(theirs)
    assert not is_gone(theirs.replace(place, "0" + place))  # another machine, boot, or container
    assert not is_gone("worker_2")
