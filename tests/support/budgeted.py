"""A gateway with budgets before an upstream that does as told, and a clock that stands still."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from canned import MESSAGE, envelope
from misbehaving import Conn, Misbehaving, json_reply
from rawhttp import KEY, json_bytes
from serving import wait_until

from dragoman.gateway.call import Asked, Call
from dragoman.gateway.config.config import load
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.ids import new_id
from dragoman.gateway.open import open_gateway
from dragoman.gateway.pipeline import answer
from dragoman.gateway.reply import Reply
from dragoman.providers.base import Operation
from dragoman.wire.headers import Headers

__all__ = ["COST", "NANO", "NOON", "Bench", "bench", "budget", "call", "told"]

NANO = 1_000_000_000
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
# Dollars a million tokens: 3000 and 15_000 nano-dollars a token, and 1 nano-dollar.
PROVIDERS = """\
[providers.up]
base_url = "{url}"
[prices."up/dear"]
input = 3
output = 15
[prices."up/cheap"]
input = 0.001
output = 0.001
[providers.offline]
dialect = "offline"
"""
USAGE = {"input_tokens": 20, "output_tokens": 100}  # of a request for "dear": 60_000 + 1_500_000
COST = 1_560_000


class Upstream:
    """Reports `usage`, and holds its replies back while it is told to."""

    def __init__(self) -> None:
        self.usage: Mapping[str, Any] = USAGE
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.asked = 0
        self.status = 200  # 0: it hangs up

    async def __call__(self, conn: Conn) -> None:
        while await conn.read_request() is not None:
            self.asked += 1
            await self.goes_on.wait()
            if not self.status:
                conn.close()
                return
            told = {**MESSAGE, "usage": self.usage} if self.status == 200 else envelope("invalid_request_error")
            await conn.send(json_reply(told, status=self.status))


class Bench:
    """A gateway, its upstream, and a clock that stands still: `now`, Unix seconds."""

    def __init__(self, gateway: Gateway, upstream: Upstream) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.now = NOON
        gateway.budgets._wall = gateway.ledger.now = lambda: self.now
        self.told: list[Any] = []

    async def ask(self, model: str = "up/dear", *, max_tokens: object = 100, key: str = KEY, **more: Any) -> Reply:
        arrived = self.gateway.clock()
        reply = await answer(self.gateway, call(model, max_tokens=max_tokens, key=key, arrived=arrived, **more))
        await reply.aclose()
        return reply

    async def stored(self) -> None:
        """Wait until the ledger has all rows."""
        journal = self.gateway.journal
        assert journal is not None
        await wait_until(lambda: journal.waiting == 0)

    async def spent(self) -> dict[str, int]:
        """Of each budget, what the ledger says: of the window that is now."""
        await self.stored()
        purses = self.gateway.budgets.purses(await self.read(), self.gateway.router.route("up/dear"))
        return {purse.budget_id: await self.gateway.budgets.spent(purse) for purse in purses}

    async def read(self, model: str = "up/dear", **more: Any) -> Asked:
        principal = await self.gateway.auth.identify(KEY, None)
        return Asked.read(call(model, **more), principal, refuse_unknown_betas=False)


def call(
    model: str,
    *,
    max_tokens: object = 100,
    key: str = KEY,
    operation: Operation = Operation.MESSAGES,
    arrived: float = 0.0,
    **more: Any,
) -> Call:
    body = {"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": "Hi"}], **more}
    return Call(
        operation=operation,
        headers=Headers([("x-api-key", key), ("anthropic-version", "2023-06-01")]),
        body=json_bytes(body),
        request_id=new_id("req"),
        arrived=arrived,
    )


@asynccontextmanager
async def bench(budgets: str, *, database: str = "sqlite://", folder: Path | None = None) -> AsyncIterator[Bench]:
    upstream = Upstream()
    async with Misbehaving(upstream) as server:
        env = {"DRAGOMAN_DATABASE": database, "DRAGOMAN_SECRET": "0123456789abcdef"}
        config = load(None, env, text=PROVIDERS.format(url=server.url) + budgets)
        async with open_gateway(config, env) as gateway:
            await gateway.auth.preset(KEY)
            yield Bench(gateway, upstream)


def budget(usd: float = 1.0, scope: str = "organization", period: str = "day", **more: Any) -> str:
    values = {"scope": scope, "usd": usd, "period": period, "alerts": [], **more}
    return "[[budgets]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def told(reply: Reply) -> str:
    envelope = json.loads(reply.body)
    assert envelope["error"]["type"] == "billing_error", envelope
    return str(envelope["error"]["message"])
