"""The usage report, the cost report and the request log, without HTTP."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from dragoman.errors import InvalidRequest, NotFound
from dragoman.gateway.admin.request_log import read_status, request_page, request_row, request_with_contents
from dragoman.gateway.admin.usage_query import money
from dragoman.gateway.admin.usage_reports import cost_report, usage_report
from dragoman.store.ledger import LedgerRow
from dragoman.store.sql import SQLStore
from dragoman.store.usage import Contents

START = 1_793_491_200  # 2026-11-01, UTC
NOW = START + 40 * 86_400 + 5_000.0
DEFAULT = "wrkspc_default"


def row(number: int, after_s: float = 0.0, **changes: Any) -> LedgerRow:
    values: dict[str, Any] = {
        "id": f"req_{number}",
        "at_us": int((START + after_s) * 1_000_000),
        "workspace_id": DEFAULT,
        "key_id": "apikey_a",
        "operation": "messages",
        "model": "claude-opus-4-8",
        "provider": "anthropic",
        "answered_model": "claude-opus-4-8",
        "attempts": 1,
        "status": 200,
        "input_tokens": 10,
        "cache_write_5m_tokens": 2,
        "cache_write_1h_tokens": 3,
        "cache_read_tokens": 400,
        "output_tokens": 5,
        "web_searches": 1,
        "service_tier": "standard",
        "cost_nano": 1_234_567_890,
        "total_us": 1_500_000,
        **changes,
    }
    return LedgerRow(**values)


ROWS = [
    row(0),
    row(1, 3600, workspace_id="wrkspc_b", key_id="apikey_b", speed="fast", inference_geo="us"),
    row(2, 86_400, model="gpt-5.5", provider="openai", answered_model="gpt-5.5-2026", service_tier=None,
        cost_nano=None),
    row(3, 86_400 + 61, input_tokens=300_000, service_tier="batch", inference_geo="not_available"),
    row(4, 3 * 86_400, status=429, outcome="refused", input_tokens=0, cache_write_5m_tokens=0, cost_nano=0,
        cache_write_1h_tokens=0, cache_read_tokens=0, output_tokens=0, web_searches=0),
]  # fmt: skip


@pytest_asyncio.fixture
async def store() -> AsyncIterator[SQLStore]:
    store = SQLStore("sqlite://")
    await store.open()
    await store.ledger.add(ROWS)
    yield store
    await store.close()


async def usage(store: SQLStore, *, bound_to: str | None = None, **query: Any) -> dict[str, Any]:
    report = await usage_report(store, _query(query), default_workspace_id=DEFAULT, bound_to=bound_to, now=lambda: NOW)
    return dict(msgspec.to_builtins(report))


async def costs(store: SQLStore, *, bound_to: str | None = None, **query: Any) -> dict[str, Any]:
    report = await cost_report(store, _query(query), default_workspace_id=DEFAULT, bound_to=bound_to, now=lambda: NOW)
    return dict(msgspec.to_builtins(report))


def _query(given: dict[str, Any]) -> dict[str, list[str]]:
    query = {"starting_at": "2026-11-01T00:00:00Z", **given}
    return {
        name.replace("__", "[]"): value if isinstance(value, list) else [str(value)]
        for name, value in query.items()
        if value is not None
    }


def refusal(error: pytest.ExceptionInfo[InvalidRequest]) -> str:
    return error.value.message


# -- the usage report --


async def test_a_report_has_every_bucket_also_the_empty_ones(store: SQLStore) -> None:
    """ADM-10: snapped to UTC, the oldest first, the end exclusive; a bucket in which nothing was used is empty."""
    report = await usage(store, starting_at="2026-11-01T13:37:00+02:00", ending_at="2026-11-04T23:59:59Z")
    assert (report["has_more"], report["next_page"]) == (False, None)
    assert [(each["starting_at"], each["ending_at"]) for each in report["data"]] == [
        ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"),
        ("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"),
        ("2026-11-03T00:00:00Z", "2026-11-04T00:00:00Z"),
    ]
    assert [len(each["results"]) for each in report["data"]] == [1, 1, 0]


async def test_a_report_of_the_year_one_has_pages_too(store: SQLStore) -> None:
    """ADM-10: RFC 3339 has four digits of a year."""
    first = await usage(store, starting_at="0001-01-01T00:00:00Z", limit=2)
    assert [each["starting_at"] for each in first["data"]] == ["0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"]
    second = await usage(store, starting_at="0001-01-01T00:00:00Z", limit=1, page=first["next_page"])
    assert [each["starting_at"] for each in second["data"]] == ["0001-01-03T00:00:00Z"]


async def test_an_item_has_the_api_s_fields_and_null_for_what_was_not_grouped_by(store: SQLStore) -> None:
    """ADM-10."""
    report = await usage(store, limit=1)
    assert report["data"][0]["results"] == [
        {
            "uncached_input_tokens": 20,
            "cache_creation": {"ephemeral_1h_input_tokens": 6, "ephemeral_5m_input_tokens": 4},
            "cache_read_input_tokens": 800,
            "output_tokens": 10,
            "server_tool_use": {"web_search_requests": 2},
            **dict.fromkeys(
                ["account_id", "api_key_id", "context_window", "inference_geo", "model", "service_account_id",
                 "service_tier", "speed", "workspace_id", "answered_model", "provider", "tags"]
            ),
        }
    ]  # fmt: skip


async def test_a_long_report_is_made_in_a_thread_and_is_the_same(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = await usage(store, limit=4, group_by__=["model", "speed"])
    monkeypatch.setattr("dragoman.gateway.admin.usage_reports.LONG_REPORT", 0)
    assert await usage(store, limit=4, group_by__=["model", "speed"]) == short


async def groups(store: SQLStore, *names: str, **query: Any) -> list[tuple[Any, ...]]:
    """The dimensions of all items of four days, and the input of each."""
    report = await usage(store, group_by__=list(names), limit=4, **query)
    items = [item for bucket in report["data"] for item in bucket["results"]]
    return [(*(item[name] for name in names), item["uncached_input_tokens"]) for item in items]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("api_key_id", [("apikey_a", 10), ("apikey_b", 10), ("apikey_a", 300_010)]),
        ("workspace_id", [("wrkspc_b", 10), (None, 10), (None, 300_010)]),
        ("model", [("claude-opus-4-8", 20), ("claude-opus-4-8", 300_000), ("gpt-5.5", 10)]),
        ("answered_model", [("claude-opus-4-8", 20), ("claude-opus-4-8", 300_000), ("gpt-5.5-2026", 10)]),
        ("provider", [("anthropic", 20), ("anthropic", 300_000), ("openai", 10)]),
        ("service_tier", [("standard", 20), (None, 10), ("batch", 300_000)]),
        ("context_window", [("0-200k", 20), ("0-200k", 10), ("200k-1M", 300_000)]),
        ("inference_geo", [("not_available", 10), ("us", 10), ("not_available", 300_010)]),
        ("speed", [("standard", 10), ("fast", 10), ("standard", 300_010)]),
        ("account_id", [(None, 20), (None, 300_010)]),
        ("service_account_id", [(None, 20), (None, 300_010)]),
    ],
)
async def test_a_report_is_grouped_by_each_dimension(store: SQLStore, name: str, expected: list[Any]) -> None:
    """ADM-9. The default workspace has no id (ADM-5); what has no geo is not available, what has no speed standard."""
    assert sorted(await groups(store, name), key=str) == sorted(expected, key=str)


async def test_a_report_is_grouped_by_several_dimensions(store: SQLStore) -> None:
    found = await groups(store, "model", "speed", "workspace_id")
    assert ("claude-opus-4-8", "fast", "wrkspc_b", 10) in found
    assert len(found) == 4


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ({}, 300_030),
        ({"api_key_ids__": ["apikey_b"]}, 10),
        ({"api_key_ids__": ["apikey_a", "apikey_b"]}, 300_030),
        ({"workspace_ids__": ["wrkspc_b"]}, 10),
        ({"workspace_ids__": [DEFAULT]}, 300_020),
        ({"models__": ["gpt-5.5"]}, 10),
        ({"models": "gpt-5.5"}, 10),
        ({"models__": ["gpt-5.5"], "workspace_ids__": ["wrkspc_b"]}, 0),
        ({"service_tiers__": ["batch"]}, 300_000),
        ({"context_window__": ["200k-1M"]}, 300_000),
        ({"inference_geos__": ["us"]}, 10),
        ({"inference_geos__": ["not_available"]}, 300_020),
        ({"speeds__": ["standard"]}, 300_020),
        ({"speeds__": ["fast"]}, 10),
        ({"account_ids__": ["user_1"]}, 0),
        ({"service_account_ids__": ["svac_1"]}, 0),
        ({"bound_to": "wrkspc_b"}, 10),
        ({"bound_to": "wrkspc_b", "workspace_ids__": [DEFAULT]}, 0),
    ],
    ids=str,
)
async def test_a_report_is_filtered(store: SQLStore, query: dict[str, Any], total: int) -> None:
    """ADM-9. A key that is bound to a workspace sees that one alone."""
    report = await usage(store, limit=4, **query)
    assert sum(item["uncached_input_tokens"] for each in report["data"] for item in each["results"]) == total


@pytest.mark.parametrize(
    ("width", "default", "most"), [("1m", 60, 1440), ("1h", 24, 168), ("1d", 7, 31)], ids=["1m", "1h", "1d"]
)
async def test_each_width_has_its_limits(store: SQLStore, width: str, default: int, most: int) -> None:
    """ADM-9."""
    assert len((await usage(store, bucket_width=width))["data"]) == default
    assert len((await usage(store, bucket_width=width, limit=most))["data"]) == most
    with pytest.raises(InvalidRequest) as refused:
        await usage(store, bucket_width=width, limit=most + 1)
    assert refusal(refused) == f"limit: Input should be less than or equal to {most}"


@pytest.mark.parametrize("width", ["1m", "1h", "1d"])
async def test_pages_of_buckets_leave_none_out(store: SQLStore, width: str) -> None:
    """ADM-10: pages of any size, one after the other, are the report as a whole."""
    asked = {"bucket_width": width, "ending_at": "2026-11-02T00:05:00Z", "group_by__": ["model"]}
    limit = {"1m": 1000, "1h": 7, "1d": 1}[width]
    buckets, page = [], None
    while True:
        report = await usage(store, limit=limit, page=page, **asked)
        buckets += report["data"]
        assert report["has_more"] is (report["next_page"] is not None)
        if not (page := report["next_page"]):
            break
    starts = [each["starting_at"] for each in buckets]
    assert starts == sorted(set(starts))
    assert len(starts) == {"1m": 1445, "1h": 24, "1d": 1}[width]
    total = sum(item["uncached_input_tokens"] for each in buckets for item in each["results"])
    assert total == (300_030 if width == "1m" else 20)


async def test_a_page_token_is_a_time_as_the_api_s_are(store: SQLStore) -> None:
    report = await usage(store, limit=2)
    assert report["has_more"] is True
    assert report["next_page"] == "page_" + base64.b64encode(b"2026-11-03T00:00:00Z").decode()


async def test_without_an_end_a_report_goes_up_to_now(store: SQLStore) -> None:
    """With the bucket that now lies in; and there is nothing to see of the future."""
    report = await usage(store, starting_at="2026-12-09T00:00:00Z")
    assert report["data"][-1]["starting_at"] == "2026-12-11T00:00:00Z"
    later = await usage(store, starting_at="2026-12-09T00:00:00Z", ending_at="2027-12-09T00:00:00Z")
    assert later == report
    assert (await usage(store, starting_at="2027-01-01T00:00:00Z"))["data"] == []


WRONG = {
    "no start": ({"starting_at": None}, "starting_at: Field required"),
    "start": (
        {"starting_at": "yesterday"},
        "starting_at: Input should be a valid datetime with a time zone, in RFC 3339",
    ),
    "no zone": (
        {"starting_at": "2026-11-01T00:00:00"},
        "starting_at: Input should be a valid datetime with a time zone, in RFC 3339",
    ),
    "no day": ({"starting_at": "2026-02-31T00:00:00Z"}, "starting_at: Input should be a valid datetime"),
    "end": ({"ending_at": "2026-10-01T00:00:00Z"}, "ending_at: must be later than starting_at"),
    "width": ({"bucket_width": "1w"}, "bucket_width: Input should be '1d', '1h' or '1m'"),
    "limit": ({"limit": "0"}, "limit: Input should be greater than or equal to 1"),
    "no limit": (
        {"limit": "many"},
        "limit: Input should be a valid integer, unable to parse string as an integer",
    ),
    "page": ({"page": "page_x"}, "page: is not a cursor that came in `next_page`"),
    "page of others": (
        {"page": "page_" + base64.b64encode(b"2026-11-03T00:01:00Z").decode()},
        "page: came with other parameters than these",
    ),
    "tier": (
        {"service_tiers__": ["standard", "best"]},
        "service_tiers.1: Input should be 'standard', 'batch', 'priority', 'priority_on_demand', 'flex' or "
        "'flex_discount'",
    ),
    "window": ({"context_window__": ["1M"]}, "context_window.0: Input should be '0-200k' or '200k-1M'"),
    "models": (
        {"models__": [str(n) for n in range(101)]},
        "models: List should have at most 100 items after validation, not 101",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_wrong_parameters_are_told_by_their_names(store: SQLStore, name: str) -> None:
    given, said = WRONG[name]
    with pytest.raises(InvalidRequest) as refused:
        await usage(store, **given)
    assert refusal(refused) == said


async def test_an_unknown_dimension_is_refused(store: SQLStore) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await usage(store, group_by__=["model", "colour"])
    assert refusal(refused).startswith("group_by.1: Input should be 'account_id', 'answered_model', 'api_key_id'")


# -- the cost report --


async def test_costs_are_exact_in_cents(store: SQLStore) -> None:
    """ADM-11, Pain 31: a decimal text out of whole nano-dollars, without a binary fraction on the way."""
    report = await costs(store, limit=4)
    assert [[item["amount"] for item in each["results"]] for each in report["data"]] == [
        ["246.913578"], ["123.456789"], [], [],
    ]  # fmt: skip
    item = report["data"][0]["results"][0]
    assert item == {
        "amount": "246.913578",
        "currency": "USD",
        "unpriced_requests": 0,
        **dict.fromkeys(
            ["context_window", "cost_type", "description", "inference_geo", "model", "service_tier", "token_type",
             "workspace_id", "tags"]
        ),
    }  # fmt: skip


async def test_what_has_no_price_is_told_and_not_free(store: SQLStore) -> None:
    """Pain 31: never 0 in silence."""
    report = await costs(store, limit=2, group_by__=["description"])
    items = {item["model"]: item for item in report["data"][1]["results"]}
    assert (items["gpt-5.5"]["amount"], items["gpt-5.5"]["unpriced_requests"]) == ("0", 1)
    assert (items["claude-opus-4-8"]["amount"], items["claude-opus-4-8"]["unpriced_requests"]) == ("123.456789", 0)


async def test_costs_are_grouped_by_workspace_and_description(store: SQLStore) -> None:
    report = await costs(store, limit=2, group_by__=["workspace_id", "description"])
    described = [(item["workspace_id"], item["description"]) for each in report["data"] for item in each["results"]]
    assert described == [
        ("wrkspc_b", "claude-opus-4-8 usage, in us"),
        (None, "claude-opus-4-8 usage"),
        (None, "claude-opus-4-8 usage, long context, batch"),
        (None, "gpt-5.5 usage"),
    ]
    assert {item["cost_type"] for each in report["data"] for item in each["results"]} == {"tokens"}


async def test_costs_are_told_by_the_day_only(store: SQLStore) -> None:
    """ADM-11."""
    with pytest.raises(InvalidRequest) as refused:
        await costs(store, bucket_width="1h")
    assert refusal(refused) == "bucket_width: Input should be '1d'"
    with pytest.raises(InvalidRequest) as refused:
        await costs(store, group_by__=["model"])
    assert refusal(refused) == "group_by.0: Input should be 'workspace_id', 'description' or 'tag:NAME'"


async def test_a_bound_key_sees_the_costs_of_its_workspace(store: SQLStore) -> None:
    report = await costs(store, limit=31, bound_to="wrkspc_b")
    assert [item["amount"] for each in report["data"] for item in each["results"]] == ["123.456789"]


@pytest.mark.parametrize(
    ("nano", "units", "text"),
    [
        (0, 7, "0"),
        (1, 7, "0.0000001"),
        (10_000_000, 7, "1"),
        (1_234_500_000, 7, "123.45"),
        (2**63 - 1, 9, "9223372036.854775807"),
        (-1_500_000_000, 9, "-1.5"),
    ],
)
def test_money_is_a_decimal_text(nano: int, units: int, text: str) -> None:
    assert money(nano, units=units) == text


# -- the request log --


async def log(store: SQLStore, *, bound_to: str | None = None, **query: Any) -> dict[str, Any]:
    asked = {name: [str(value)] for name, value in query.items()}
    page = await request_page(store.usage, asked, default_workspace_id=DEFAULT, bound_to=bound_to)
    return dict(msgspec.to_builtins(page))


async def test_the_log_tells_all_of_a_request_but_its_contents(store: SQLStore) -> None:
    page = await log(store, limit=1, ending_at="2026-11-01T00:00:00.000001Z")
    assert page == {
        "has_more": False,
        "next_page": None,
        "data": [
            {
                "id": "req_0", "type": "request", "created_at": "2026-11-01T00:00:00.000000Z", "workspace_id": None,
                "api_key_id": "apikey_a", "operation": "messages", "model": "claude-opus-4-8", "provider": "anthropic",
                "answered_model": "claude-opus-4-8", "attempts": 1, "status": 200, "outcome": "answered", "error": None,
                "stop_reason": None, "stream": False,
                "usage": {
                    "input_tokens": 10,
                    "cache_creation": {"ephemeral_1h_input_tokens": 3, "ephemeral_5m_input_tokens": 2},
                    "cache_read_input_tokens": 400, "output_tokens": 5,
                    "server_tool_use": {"web_search_requests": 1},
                    "service_tier": "standard", "inference_geo": None, "speed": None, "estimated": False,
                },
                "cost": {"amount": "1.23456789", "currency": "USD", "price_source": None, "price_date": None},
                "times_ms": {"queue": None, "first_content": None, "total": 1500.0, "overhead": None},
                "upstream_request_id": None, "lost": [], "tags": {},
            }
        ],
    }  # fmt: skip


async def test_the_log_s_pages_hold_each_request_once(store: SQLStore) -> None:
    ids, cursor = [], None
    while True:
        page = await log(store, limit=2, **({"page": cursor} if cursor else {}))
        ids += [each["id"] for each in page["data"]]
        if not (cursor := page["next_page"]):
            break
    assert ids == ["req_4", "req_3", "req_2", "req_1", "req_0"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"workspace_id": "wrkspc_b"}, ["req_1"]),
        ({"workspace_id": "default", "status": "2xx"}, ["req_3", "req_2", "req_0"]),
        ({"api_key_id": "apikey_b"}, ["req_1"]),
        ({"model": "gpt-5.5"}, ["req_2"]),
        ({"provider": "openai"}, ["req_2"]),
        ({"status": "429"}, ["req_4"]),
        ({"status": "4xx"}, ["req_4"]),
        ({"outcome": "refused"}, ["req_4"]),
        ({"starting_at": "2026-11-02T00:01:00Z"}, ["req_4", "req_3"]),
        ({"starting_at": "2026-11-02T01:01:00+01:00", "ending_at": "2026-11-03T00:00:00Z"}, ["req_3"]),
        ({"bound_to": "wrkspc_b"}, ["req_1"]),
        ({"bound_to": "wrkspc_b", "workspace_id": DEFAULT}, []),
    ],
    ids=str,
)
async def test_the_log_is_filtered(store: SQLStore, query: dict[str, Any], ids: list[str]) -> None:
    assert [each["id"] for each in (await log(store, **query))["data"]] == ids


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"status": "teapot"}, "status: Input should be a status as 429, or a class of them as 4xx"),
        ({"status": "999"}, "status: Input should be a status as 429, or a class of them as 4xx"),
        ({"outcome": "good"}, "outcome: Input should be 'answered', 'refused', 'cut', 'abandoned' or 'interrupted'"),
        ({"limit": "1001"}, "limit: Input should be less than or equal to 1000"),
        ({"page": "page_1"}, "page: is not a cursor that came in `next_page`"),
        ({"page": "page_LTEgcmVxXzE"}, "page: is not a cursor that came in `next_page`"),
    ],
    ids=str,
)
async def test_wrong_parameters_of_the_log_are_told(store: SQLStore, query: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await log(store, **query)
    assert refusal(refused) == said


async def test_a_request_of_another_workspace_is_not_found(store: SQLStore) -> None:
    """P6, Pain 82: 404, as for one that does not exist."""
    found = await request_row(store.usage, "req_1", default_workspace_id=DEFAULT, bound_to="wrkspc_b")
    assert (found.id, found.workspace_id) == ("req_1", "wrkspc_b")
    for request_id in ("req_0", "req_none"):
        with pytest.raises(NotFound) as refused:
            await request_row(store.usage, request_id, default_workspace_id=DEFAULT, bound_to="wrkspc_b")
        assert refused.value.message == f"Request {request_id} not found."


async def test_a_request_is_found_by_the_id_that_its_caller_got(store: SQLStore) -> None:
    """A passed-through reply has the id of its provider."""
    await store.ledger.add([row(9, workspace_id="wrkspc_b", upstream_request_id="req_theirs")])
    await store.usage.add_contents([Contents(id="req_9", at_us=1, workspace_id="wrkspc_b", request=b"", reply=b"x")])
    found = await request_with_contents(store.usage, "req_theirs", default_workspace_id=DEFAULT, bound_to="wrkspc_b")
    assert (found["id"], found["contents"]) == ("req_9", {"request": "", "reply": "x"})
    with pytest.raises(NotFound):
        await request_row(store.usage, "req_theirs", default_workspace_id=DEFAULT, bound_to="wrkspc_c")
    assert [each["id"] for each in (await log(store, upstream_request_id="req_theirs"))["data"]] == ["req_9"]


async def test_contents_come_with_the_request_where_they_are_kept(store: SQLStore) -> None:
    kept = Contents(id="req_0", at_us=1, workspace_id=DEFAULT, request=b'{"a":1}', reply=b"\xff")
    await store.usage.add_contents([kept])
    found = await request_with_contents(store.usage, "req_0", default_workspace_id=DEFAULT)
    assert (found["id"], found["contents"]) == ("req_0", {"request": '{"a":1}', "reply": "\ufffd"})
    assert (await request_with_contents(store.usage, "req_1", default_workspace_id=DEFAULT))["contents"] is None


@pytest.mark.parametrize(("text", "status"), [("4xx", 4), ("5XX", 5), ("2", 2), ("429", 429), ("200", 200)])
def test_a_status_or_a_class_of_them(text: str, status: int) -> None:
    assert read_status(text) == status


@pytest.mark.parametrize("text", ["", "xx", "0", "6", "6xx", "99", "600", "4x", "-1", "٤"])
def test_what_is_no_status(text: str) -> None:
    with pytest.raises(ValueError):
        read_status(text)
