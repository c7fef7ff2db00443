"""What was asked is in the reports and the log: from the caller's `usage` to the administrator's page.

The official SDK has no resource for these reports, so its client's own `get` asks, with lists as it writes them.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import pytest
from administering import Administered
from rawhttp import KEY
from serving import PATIENCE_S, Serving

from dragoman.store.ledger import LedgerRow
from dragoman.store.usage import RequestFilter

MODEL = "claude-opus-4-8"
TOML = f"""
[providers.offline]
[prices."offline/{MODEL}"]
input = 5
output = 25
[ledger]
contents = true
"""
SECRET = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.fixture
async def admin() -> AsyncIterator[Administered]:
    async with Administered(toml=TOML) as opened:
        yield opened


async def rows(admin: Administered, count: int) -> list[Any]:
    """The ledger's rows, when there are so many: they are written behind the replies."""
    for _ in range(int(PATIENCE_S / 0.01)):
        found = (await admin.gateway.store.usage.page(RequestFilter(), limit=100)).rows
        if len(found) >= count:
            return list(found)
        await asyncio.sleep(0.01)
    raise AssertionError(f"{len(found)} rows of {count}")


async def asked(admin: Administered, role: str = "owner", **params: Any) -> tuple[Any, Any]:
    """The usage report and the cost report of today."""
    client = await admin.client(role)
    start = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    usage = await client.get(
        "/v1/organizations/usage_report/messages",
        cast_to=object,
        options={"params": {"starting_at": start, "limit": 2, "group_by": ["model", "api_key_id"], **params}},
    )
    cost = await client.get(
        "/v1/organizations/cost_report",
        cast_to=object,
        options={"params": {"starting_at": start, "limit": 2, "group_by": ["description"]}},
    )
    return usage, cost


async def test_what_callers_were_told_is_what_the_reports_tell(admin: Administered) -> None:
    """ADM-9 to 11: tokens and money of a whole reply and of a stream, to the last digit."""
    caller = await admin.client(None)
    messages: Any = [{"role": "user", "content": "Tell me of translators."}]
    whole = await caller.messages.create(model=MODEL, max_tokens=50, messages=messages)
    async with caller.messages.stream(model=MODEL, max_tokens=50, messages=messages) as stream:
        streamed = await stream.get_final_message()
    await rows(admin, 2)
    usage, cost = await asked(admin)
    items = [item for each in usage["data"] for item in each["results"]]
    told_in = whole.usage.input_tokens + streamed.usage.input_tokens
    told_out = whole.usage.output_tokens + streamed.usage.output_tokens
    assert sum(item["uncached_input_tokens"] for item in items) == told_in
    assert sum(item["output_tokens"] for item in items) == told_out
    assert {item["model"] for item in items} == {MODEL}
    assert len({item["api_key_id"] for item in items}) == 1
    costs = [item for each in cost["data"] for item in each["results"]]
    assert [item["amount"] for item in costs] == [f"{(told_in * 500 + told_out * 2500) / 1_000_000:.6f}".rstrip("0")]
    assert costs[0]["unpriced_requests"] == 0


async def test_the_log_and_the_contents_of_a_request(admin: Administered) -> None:
    """Contents only with their secrets taken out, and only for owners and admins."""
    caller = await admin.client(None)
    messages: Any = [{"role": "user", "content": f"My key is {SECRET}."}]
    made = await caller.messages.with_raw_response.create(model=MODEL, max_tokens=50, messages=messages)
    with pytest.raises(anthropic.BadRequestError):
        await caller.messages.create(model=MODEL, max_tokens=-1, messages=messages)
    await rows(admin, 2)
    assert admin.gateway.contents is not None
    await admin.gateway.contents.aclose()
    page = (await admin.ask("GET", "/v1/dragoman/requests", params={"status": "2xx"})).json()
    request_id = made.headers["request-id"]
    assert [each["id"] for each in page["data"]] == [request_id]
    found = (await admin.ask("GET", f"/v1/dragoman/requests/{request_id}", params={"contents": "true"})).json()
    assert found["usage"]["output_tokens"] == (await made.parse()).usage.output_tokens
    assert "My key is [secret]." in found["contents"]["request"]
    assert SECRET not in str(found)
    refused = await admin.ask("GET", f"/v1/dragoman/requests/{request_id}", role="billing", params={"contents": "true"})
    assert refused.status_code == 403


async def test_an_admin_key_of_one_workspace_sees_that_one_alone(admin: Administered) -> None:
    """P6, Pain 82: pages, reports and ids; what is another's is 404."""
    made = (await admin.ask("POST", "/v1/organizations/workspaces", json={"name": "one"})).json()["id"]
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    of_both = [
        LedgerRow(
            id=f"req_{workspace_id}", at_us=now, operation="messages", status=200, workspace_id=workspace_id,
            input_tokens=number, cost_nano=number, upstream_request_id=f"up_{workspace_id}",
        )
        for number, workspace_id in ((1, admin.gateway.auth.workspace_id), (20, made))
    ]  # fmt: skip
    await admin.gateway.store.ledger.add(of_both)
    day = {"starting_at": datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")}

    async def told(path: str, workspace_id: str | None = made, **params: Any) -> Any:
        return (await admin.ask("GET", path, workspace_id=workspace_id, params=params)).json()

    assert [each["id"] for each in (await told("/v1/dragoman/requests"))["data"]] == [f"req_{made}"]
    other = of_both[0]
    assert (await told("/v1/dragoman/requests", workspace_id=None))["data"][1:] != []
    assert (await told("/v1/dragoman/requests", upstream_request_id=other.upstream_request_id))["data"] == []
    for id_ in (other.id, other.upstream_request_id):
        refused = await admin.ask("GET", f"/v1/dragoman/requests/{id_}", workspace_id=made, params={"contents": "true"})
        assert refused.status_code == 404
    usage = await told("/v1/organizations/usage_report/messages", **day)
    assert [item["uncached_input_tokens"] for each in usage["data"] for item in each["results"]] == [20]
    cost = await told("/v1/organizations/cost_report", **day)
    assert [item["amount"] for each in cost["data"] for item in each["results"]] == ["0.000002"]


async def test_errors_are_the_api_s(admin: Administered) -> None:
    client = await admin.client("reader")
    with pytest.raises(anthropic.BadRequestError) as refused:
        await client.get("/v1/organizations/usage_report/messages", cast_to=object)
    assert refused.value.body == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "starting_at: Field required"},
        "request_id": refused.value.request_id,
    }


async def test_a_relayed_stream_is_kept_once_and_found_by_its_provider_s_id() -> None:
    """Its pieces go out in the step in which they come; each is recorded once on that way too."""
    async with Serving() as upstream:
        toml = f'[providers.up]\nbase_url = "{upstream.url}"\napi_key = "{KEY}"\n[ledger]\ncontents = true\n'
        async with Administered(toml=toml) as admin:
            caller = await admin.client(None)
            messages: Any = [{"role": "user", "content": f"My key is {SECRET}."}]
            async with caller.messages.stream(model=MODEL, max_tokens=200, messages=messages) as stream:
                message = await stream.get_final_message()
            (row,) = await rows(admin, 1)
            assert admin.gateway.contents is not None
            await admin.gateway.contents.aclose()
            path = f"/v1/dragoman/requests/{row.upstream_request_id}"
            found = (await admin.ask("GET", path, params={"contents": "true"})).json()
    assert found["id"] == row.id
    reply = found["contents"]["reply"]
    assert [reply.count(f"event: {name}\n") for name in ("message_start", "message_stop")] == [1, 1]
    assert SECRET not in str(found)
    assert f'"output_tokens":{message.usage.output_tokens}' in reply
