"""Alerts of budgets: when they are due, that each is told once, and how they are posted. Pain 34, 79."""

import asyncio
import base64
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from misbehaving import Conn, Misbehaving, head, json_reply, refused_url, reply
from serving import wait_until

from dragoman.errors import StoreError
from dragoman.gateway.auth.secret import webhook_key
from dragoman.gateway.budgets.alerts import Alert, Alerts
from dragoman.gateway.budgets.scopes import Active
from dragoman.gateway.budgets.webhooks import WAITS_S, Webhooks, payload, shown_key, signature
from dragoman.http.aio import FastTransport
from dragoman.http.base import Transport
from dragoman.store.budgets import BudgetRecord
from dragoman.store.counters import Purse
from dragoman.store.ledger import LedgerRow
from dragoman.store.sql import SQLStore

SECRET = b"0123456789abcdef"
MIDNIGHT = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp())
DAY = 86_400
RECORD = BudgetRecord(
    id="budget_1",
    scope="key",
    scope_id="apikey_1",
    period="day",
    limit_nano=20_000_000_000,
    zone="Europe/Berlin",
    alerts=(50, 80, 100),
    webhook="https://hooks.example/s3cret",
)
PURSE = Purse("budget_1", MIDNIGHT, MIDNIGHT + DAY, RECORD.limit_nano, 1)
ALERT = Alert(
    record=RECORD,
    budget_id="budget_1",
    scope_id="apikey_1",
    window_start=MIDNIGHT,
    window_end=MIDNIGHT + DAY,
    spent_nano=16_000_000_001,
    percent=80,
    at=MIDNIGHT + 3600.5,
)


# -- when they are due --


@pytest.fixture
async def store() -> AsyncIterator[SQLStore]:
    opened = SQLStore("sqlite://")
    await opened.open()
    await opened.budgets.first_spent("budget_1", (MIDNIGHT, MIDNIGHT + DAY), "key", "apikey_1")
    yield opened
    await opened.close()


class Watched:
    """A process that looks at what is spent, and what it tells."""

    def __init__(self, store: SQLStore, record: BudgetRecord = RECORD) -> None:
        self.store = store
        self.record = record
        self.told: list[tuple[int | None, str]] = []
        self.alerts = Alerts(store.budgets, self._tell, wall=lambda: MIDNIGHT + 1.0)

    def _tell(self, alert: Alert) -> None:
        self.told.append((alert.percent, f"{alert.spent_nano / 1e9:g}"))

    async def spend(self, dollars: float, *, id_: str) -> None:
        nano, spent = int(dollars * 1e9), (("budget_1", MIDNIGHT),)
        at_us = MIDNIGHT * 1_000_000
        await self.store.ledger.add([LedgerRow(id=id_, at_us=at_us, operation="messages", cost_nano=nano, spent=spent)])
        self.note()

    def note(self, *, is_refused: bool = False) -> None:
        self.alerts.note(PURSE, Active("budget_1", "apikey_1", self.record), is_refused=is_refused)


async def test_each_percentage_is_told_once_when_the_ledger_has_as_much(store: SQLStore) -> None:
    at = Watched(store)
    for number, dollars in enumerate((9.999, 0.001, 5, 1, 0.5, 3.49, 0.01, 7)):
        await at.spend(dollars, id_=f"req_{number}")
        await at.alerts.look()
        await at.alerts.look()
    assert at.told == [(50, "10"), (80, "16"), (100, "20")]


async def test_of_several_percentages_at_once_the_highest_is_told(store: SQLStore) -> None:
    at = Watched(store)
    await at.spend(17, id_="req_1")
    await at.alerts.look()
    assert at.told == [(80, "17")]


async def test_two_processes_tell_it_once(store: SQLStore) -> None:
    both = [Watched(store), Watched(store)]
    await both[0].spend(17, id_="req_1")
    both[1].note()
    await asyncio.gather(*(each.alerts.look() for each in both))
    assert [*both[0].told, *both[1].told] == [(80, "17")]


async def test_what_is_written_a_while_after_the_request_is_told_then(store: SQLStore) -> None:
    """The ledger is written in batches, some seconds later."""
    at = Watched(store)
    at.note()
    for _ in range(5):
        await at.alerts.look()
    await Watched(store).spend(10, id_="req_1")
    await at.alerts.look()
    assert at.told == [(50, "10")]


async def test_what_nobody_uses_is_not_looked_at_for_ever(store: SQLStore) -> None:
    at = Watched(store)
    at.note()
    for _ in range(12):
        assert at.alerts._noted
        await at.alerts.look()
    assert not at.alerts._noted


async def test_that_requests_are_refused_is_told_once(store: SQLStore) -> None:
    """Also long before the last percentage: what is left may be less than requests want."""
    at = Watched(store)
    await at.spend(12, id_="req_1")
    for _ in range(3):
        at.note(is_refused=True)
        at.note()
        await at.alerts.look()
    assert at.told == [(None, "12"), (50, "12")]


async def test_after_a_limit_was_raised_its_percentages_are_told_again(store: SQLStore) -> None:
    at = Watched(store)
    await at.spend(20, id_="req_1")
    at.note(is_refused=True)
    await at.alerts.look()
    assert at.told == [(None, "20"), (100, "20")]
    at.record = msgspec.structs.replace(RECORD, limit_nano=100_000_000_000)
    for dollars, id_ in ((29, "req_2"), (1, "req_3"), (0.5, "req_4")):
        await at.spend(dollars, id_=id_)
        at.note(is_refused=True)
        await at.alerts.look()
    assert at.told[2:] == [(None, "49"), (50, "50")]


@pytest.mark.parametrize(
    "changes", [{"alerts": ()}, {"limit_nano": 0, "alerts": (50,)}], ids=["no alerts", "nothing to be spent"]
)
async def test_what_is_never_told(store: SQLStore, changes: dict[str, Any]) -> None:
    at = Watched(store, msgspec.structs.replace(RECORD, **changes))
    await at.spend(20, id_="req_1")
    await at.alerts.look()
    assert at.told == []


async def test_trouble_with_the_database_loses_no_alert(store: SQLStore) -> None:
    """Pain 36."""
    at = Watched(store)
    await at.spend(12, id_="req_1")
    at.note(is_refused=True)
    for lost in ("spending", "claim_refusal"):
        at.alerts._store = Away(store.budgets, lost)
        with pytest.raises(StoreError):
            await at.alerts.look()
    at.alerts._store = store.budgets
    await at.alerts.look()
    assert at.told == [(None, "12"), (50, "12")]


async def test_an_alert_is_in_the_log(store: SQLStore, caplog: pytest.LogCaptureFixture) -> None:
    at = Watched(store)
    with caplog.at_level(logging.WARNING, "dragoman.budgets"):
        await at.spend(17, id_="req_1")
        at.note(is_refused=True)
        await at.alerts.look()
    assert caplog.messages == [
        "budget budget_1 of key apikey_1: requests are refused: $17.00 of $20.00 is spent",
        "budget budget_1 of key apikey_1: 80 % is reached: $17.00 of $20.00 is spent",
    ]


class Away:
    """A store of budgets that has lost one of its methods."""

    def __init__(self, store: Any, lost: str) -> None:
        self._store = store
        self._lost = lost

    def __getattr__(self, name: str) -> Any:
        if name == self._lost:
            raise StoreError("the database is away")
        return getattr(self._store, name)


# -- how they are posted --


class Posting:
    """Webhooks whose pauses are noted and take no time."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.origins: list[str] = []
        self.webhooks = Webhooks(
            SECRET, transport_of=self._transport, new_id=lambda prefix: f"{prefix}_01", wall=lambda: 1_795_000_000.7,
            sleep=self._sleep,
        )  # fmt: skip

    def _transport(self, origin: str) -> Transport:
        self.origins.append(origin)
        return FastTransport()

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def post(self, url: str | None, times: int = 1) -> None:
        """Until it is delivered, or given up."""
        alert = msgspec.structs.replace(ALERT, record=msgspec.structs.replace(RECORD, webhook=url))
        for _ in range(times):
            self.webhooks.tell(alert)
        await wait_until(lambda: not self.webhooks._under_way)
        await self.webhooks.aclose()


def test_what_is_posted() -> None:
    """Amounts are exact, as texts."""
    assert json.loads(payload("alert_01", ALERT)) == {
        "type": "budget.alert",
        "id": "alert_01",
        "created_at": "2026-11-20T01:00:00Z",
        "budget": {
            "id": "budget_1", "scope": "key", "scope_id": "apikey_1", "period": "day", "zone": "Europe/Berlin",
            "hard": True,
        },
        "percent": 80,
        "spent_usd": "16.000000001",
        "limit_usd": "20.00",
        "window": {"starts_at": "2026-11-20T00:00:00Z", "ends_at": "2026-11-21T00:00:00Z"},
    }  # fmt: skip
    refusing = msgspec.structs.replace(ALERT, percent=None, window_start=0, window_end=0)
    told = json.loads(payload("alert_01", refusing))
    assert (told["type"], told["percent"], told["window"]) == (
        "budget.refusing", None, {"starts_at": None, "ends_at": None},
    )  # fmt: skip
    assert b"s3cret" not in payload("alert_01", ALERT)


async def test_an_alert_is_posted_once_and_signed() -> None:
    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await conn.send(reply(b"thanks", status=202))

    at = Posting()
    async with Misbehaving(handler) as receiver:
        await at.post(receiver.url + "/a/b?token=x")
        received = await receiver.request()
        assert len(receiver.requests) == 1
    assert (received.method, received.target) == ("POST", "/a/b?token=x")
    assert received.header("content-type") == "application/json"
    assert received.header("authorization") is None
    assert json.loads(received.body)["percent"] == 80
    assert (received.header("webhook-id"), received.header("webhook-timestamp")) == ("alert_01", "1795000000")
    assert at.pauses == []


async def test_whoever_has_the_key_can_check_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a library that others wrote for Standard Webhooks; and no other text, time or key passes."""
    at = Posting()
    async with Misbehaving(replying_to(json_reply({}))) as receiver:
        await at.post(receiver.url + "/")
        received = await receiver.request()
    headers = {name: received.header(name) or "" for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    monkeypatch.setattr("time.time", lambda: 1_795_000_060.0)
    checker = openai.OpenAI(api_key="none").webhooks
    key = shown_key(SECRET)
    assert len(base64.b64decode(key.removeprefix("whsec_"))) == 32
    checker.verify_signature(received.body, headers, secret=key)
    for body, changed, secret in (
        (received.body + b" ", headers, key),
        (received.body, {**headers, "webhook-timestamp": "1795000001"}, key),
        (received.body, {**headers, "webhook-id": "alert_02"}, key),
        (received.body, headers, shown_key(b"another secret!!")),
    ):
        with pytest.raises(openai.InvalidWebhookSignatureError):
            checker.verify_signature(body, changed, secret=secret)


async def test_the_check_of_the_document_works() -> None:
    document = (Path(__file__).parents[3] / "docs" / "budgets.md").read_text("utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)
    known: dict[str, Any] = {}
    exec(example, known)
    body, now = b"{}", int(time.time())
    headers = {"webhook-id": "alert_01", "webhook-timestamp": str(now)}
    headers["webhook-signature"] = signature(webhook_key(SECRET), "alert_01", now, body)
    check, key = known["is_from_dragoman"], shown_key(SECRET)
    assert check(headers, body, key)
    assert check({**headers, "webhook-signature": f"v1,other {headers['webhook-signature']}"}, body, key)
    assert not check(headers, b"{ }", key)
    assert not check(headers, body, shown_key(b"another secret!!"))
    old = {**headers, "webhook-timestamp": str(now - 301)}
    old["webhook-signature"] = signature(webhook_key(SECRET), "alert_01", now - 301, body)
    assert not check(old, body, key)


def replying_to(*replies: bytes) -> Callable[[Conn], Any]:
    """The replies in turn, over as many connections as it takes; the last one again and again."""
    left = [*replies]

    async def handler(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await conn.send(left.pop(0) if len(left) > 1 else left[0])

    return handler


@pytest.mark.parametrize(
    ("statuses", "tries", "is_told"),
    [
        ([200], 1, False),
        ([204], 1, False),
        ([500, 429, 200], 3, False),
        ([503], 4, True),
        ([404], 1, True),
        ([410], 1, True),
        ([302], 1, True),
    ],
    ids=["taken", "taken silently", "taken later", "never", "unknown", "gone", "elsewhere"],
)
async def test_it_is_tried_again_where_that_may_help(
    caplog: pytest.LogCaptureFixture, statuses: list[int], tries: int, is_told: bool
) -> None:
    """A redirect leads to where nobody has configured, and is not followed."""
    at = Posting()
    replies = [
        head(status, ("location", "http://127.0.0.1:1/"), *([] if status == 204 else [("content-length", "0")]))
        for status in statuses
    ]
    async with Misbehaving(replying_to(*replies)) as receiver:
        with caplog.at_level(logging.WARNING, "dragoman.webhooks"):
            await at.post(receiver.url + "/s3cret?token=s3cret")
        assert len(receiver.requests) == tries
        assert len({request.header("webhook-id") for request in receiver.requests}) == 1
    assert at.pauses == list(WAITS_S[: tries - 1])
    assert bool(caplog.messages) == is_told
    assert "s3cret" not in caplog.text
    if is_told:
        assert caplog.messages == [f"the alert alert_01 could not be posted to 127.0.0.1: its status is {statuses[-1]}"]


async def test_a_receiver_that_is_away_is_given_up_in_the_end(caplog: pytest.LogCaptureFixture) -> None:
    at = Posting()
    with caplog.at_level(logging.WARNING, "dragoman.webhooks"):
        await at.post(refused_url() + "/s3cret")
    assert at.pauses == list(WAITS_S)
    (message,) = caplog.messages
    assert message.startswith("the alert alert_01 could not be posted to 127.0.0.1: ")
    assert "s3cret" not in caplog.text


async def test_no_webhook_no_post() -> None:
    at = Posting()
    await at.post(None)
    assert at.origins == []


async def test_alerts_that_pile_up_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    at = Posting()
    async with Misbehaving(replying_to(reply())) as receiver:
        with caplog.at_level(logging.WARNING, "dragoman.webhooks"):
            await at.post(receiver.url, times=103)
        assert len(receiver.requests) == 100
    assert caplog.messages == ["an alert of budget_1 was not posted: 100 others wait"] * 3
    assert at.origins == [receiver.url]


async def test_a_server_that_stops_does_not_wait_for_receivers(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dragoman.gateway.budgets.webhooks.GRACE_S", 0.01)

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.stall()

    at = Posting()
    async with Misbehaving(handler) as receiver:
        at.webhooks.tell(msgspec.structs.replace(ALERT, record=msgspec.structs.replace(RECORD, webhook=receiver.url)))
        await receiver.request()
        with caplog.at_level(logging.WARNING, "dragoman.webhooks"):
            await at.webhooks.aclose()
    assert caplog.messages == ["the alert alert_01 was not posted to 127.0.0.1 before the server stopped"]
