"""The reports by tags of keys, without HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from tests.gateway.admin.test_usage_reports import ROWS, START, costs, refusal, row, usage

from dragoman.errors import InvalidRequest
from dragoman.store.keys import KeyRecord
from dragoman.store.sql import SQLStore


@pytest_asyncio.fixture
async def tagged() -> AsyncIterator[SQLStore]:
    """apikey_b is of a workspace, apikey_a of the default one."""
    store = SQLStore("sqlite://")
    await store.open()
    await store.ledger.add(ROWS)
    made = datetime.fromtimestamp(START, UTC)
    one = KeyRecord(id="apikey_a", name="k", hash=b"a", hint="", created_at=made, tags={"team": "search", "env": "ci"})
    await store.keys.add(one)
    other = {"id": "apikey_b", "hash": b"b", "workspace_id": "wrkspc_b", "tags": {"team": "ads"}}
    await store.keys.add(msgspec.structs.replace(one, **other))
    yield store
    await store.close()


@pytest.mark.parametrize("width", ["1d", "1h", "1m"])
async def test_a_report_is_grouped_by_tags_of_the_keys(tagged: SQLStore, width: str) -> None:
    """By those that they have now; whoever has none is in a group of its own."""
    span = {"bucket_width": width, "ending_at": "2026-11-01T04:00:00Z", "limit": 24} if width != "1d" else {"limit": 1}
    span |= {"limit": 60 * 4} if width == "1m" else {}

    async def found(*names: str, **more: Any) -> list[tuple[Any, ...]]:
        report = await usage(tagged, group_by__=list(names), **span, **more)
        items = [item for bucket in report["data"] for item in bucket["results"]]
        return sorted(((item["tags"], item["model"], item["uncached_input_tokens"]) for item in items), key=str)

    teams = [({"team": "ads"}, None, 10), ({"team": "search"}, None, 10)]
    assert await found("tag:team") == teams
    assert await found("tag:env") == [({"env": "ci"}, None, 10), ({"env": None}, None, 10)]
    both = await found("model", "tag:env", "tag:team")
    assert ({"env": None, "team": "ads"}, "claude-opus-4-8", 10) in both
    assert await found("tag:team", api_key_ids__=["apikey_b"]) == teams[:1]
    assert await found("tag:team", tags__=["env=ci"]) == teams[1:]
    assert await found(tags__=["env="]) == [(None, None, 10)]
    assert await found("tag:team", tags__=["team=ads", "team=search"]) == teams
    assert await found("tag:team", tags__=["team=ads", "env=ci"]) == []


async def test_costs_are_grouped_by_tags_of_the_keys(tagged: SQLStore) -> None:
    report = await costs(tagged, group_by__=["tag:team", "workspace_id"], limit=1)
    told = [(each["tags"], each["workspace_id"], each["amount"]) for each in report["data"][0]["results"]]
    assert told == [({"team": "ads"}, "wrkspc_b", "123.456789"), ({"team": "search"}, None, "123.456789")]
    report = await costs(tagged, tags__=["team=ads"], limit=1)
    assert [(each["tags"], each["amount"]) for each in report["data"][0]["results"]] == [(None, "123.456789")]


async def test_a_bound_key_sees_no_tags_of_keys_elsewhere(tagged: SQLStore) -> None:
    """As of a key that was put into another workspace, when what it used was of this one."""
    await tagged.ledger.add([row(9, 60, workspace_id="wrkspc_b", key_id="apikey_a")])
    report = await usage(tagged, group_by__=["tag:team", "api_key_id"], limit=1, bound_to="wrkspc_b")
    told = [(each["api_key_id"], each["tags"]) for each in report["data"][0]["results"]]
    assert told == [("apikey_a", {"team": None}), ("apikey_b", {"team": "ads"})]


async def test_a_long_report_by_tags_is_the_same(tagged: SQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    short = await usage(tagged, limit=4, group_by__=["tag:team", "model"])
    monkeypatch.setattr("dragoman.gateway.admin.usage_tags.LONG", 0)
    assert await usage(tagged, limit=4, group_by__=["tag:team", "model"]) == short


@pytest.mark.parametrize("query", [{"group_by__": ["tag:"]}, {"group_by__": ["tags:a"]}, {"tags__": ["team"]}])
async def test_what_is_no_tag_is_refused(tagged: SQLStore, query: dict[str, Any]) -> None:
    for ask in (usage, costs):
        with pytest.raises(InvalidRequest) as refused:
            await ask(tagged, **query)
        assert refusal(refused).startswith(("group_by.0: Input should be ", "tags.0: Input should be "))
