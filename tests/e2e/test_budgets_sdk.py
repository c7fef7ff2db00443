"""A used-up budget as callers meet it, and its alerts as a receiver gets them: the official SDK, sockets, the database.

What holds in detail is in tests/gateway/test_budgets.py and test_budget_alerts.py.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient
from canned import well_behaved
from misbehaving import Conn, Misbehaving, reply
from rawhttp import HELLO, KEY
from serving import Serving, wait_until

from dragoman.gateway.budgets.webhooks import shown_key
from dragoman.gateway.config.config import load
from dragoman.gateway.open import open_gateway
from dragoman.server.app import App
from dragoman.server.protocol import Connections

SECRET = "0123456789abcdef"
ASKING: dict[str, Any] = {"model": "dear", "max_tokens": 5, "messages": HELLO["messages"]}
# The upstream tells of 7 tokens in and 5 out: 50 cents. Reserved are about 25 in: 140 cents.
CONFIG = """
[server]
listen = "127.0.0.1:0"
database = "sqlite://"
[providers.up]
base_url = "{upstream}"
[prices."up/dear"]
input = 50_000
output = 30_000
[[budgets]]
scope = "key:*"
usd = 2.0
period = "total"
alerts = [25, 50]
webhook = "{receiver}/alerts"
"""


@asynccontextmanager
async def budgeted() -> AsyncIterator[tuple[Serving, Misbehaving, AsyncAnthropic]]:
    """A server that looks at its budgets every moment, a receiver of alerts, and a client."""

    async def taking(conn: Conn) -> None:
        while await conn.read_request() is not None:
            await conn.send(reply(status=200))

    async with Misbehaving(well_behaved) as upstream, Misbehaving(taking) as receiver:
        server = Serving(upstream=upstream.url)
        server.config = load(None, {}, text=CONFIG.format(upstream=upstream.url, receiver=receiver.url))
        server.gateway = open_gateway(server.config, {"DRAGOMAN_SECRET": SECRET})
        server.gateway.budgets._sleep = lambda _: asyncio.sleep(0.1)  # the ledger is written every half a second
        server.server = Connections(App(server.gateway))
        async with server:
            http = DefaultAsyncHttpxClient(trust_env=False)
            async with AsyncAnthropic(base_url=server.url, api_key=KEY, max_retries=2, http_client=http) as client:
                yield server, receiver, client


async def test_the_sdk_is_told_that_the_budget_is_used_up_and_does_not_try_again() -> None:
    """ERR-12; pain 34. Then the receiver has been told of each percentage once, and that requests are refused."""
    async with budgeted() as (server, receiver, client):
        for _ in range(2):
            await client.messages.create(**ASKING)
        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.messages.create(**ASKING)
        assert caught.value.status_code == 402
        assert caught.value.type == "billing_error"
        assert "You have reached your API key's API budget of $2.00 in all: $1.00 of it is" in caught.value.message
        assert "retry-after" not in caught.value.response.headers
        assert [row["status"] for row in server.rows] == ["200", "200", "402"]
        assert (await client.messages.count_tokens(model="dear", messages=ASKING["messages"])).input_tokens == 7

        due = {"refusing", "50 % 1.00"}
        await wait_until(lambda: due <= {*told(receiver)})
        kinds = told(receiver)
        assert len(kinds) == len({*kinds})
        assert {*kinds} - due <= {"25 % 0.50"}  # unless both replies were in the ledger at once
        checker = openai.OpenAI(api_key="none").webhooks
        for received in receiver.requests:
            assert received.target == "/alerts"
            names = ("webhook-id", "webhook-timestamp", "webhook-signature")
            headers = {name: received.header(name) or "" for name in names}
            checker.verify_signature(received.body, headers, secret=shown_key(SECRET.encode()))


def told(receiver: Misbehaving) -> list[str]:
    alerts = [json.loads(received.body) for received in receiver.requests]
    assert {alert["type"] for alert in alerts} <= {"budget.alert", "budget.refusing"}
    return [f"{alert['percent']} % {alert['spent_usd']}" if alert["percent"] else "refusing" for alert in alerts]
