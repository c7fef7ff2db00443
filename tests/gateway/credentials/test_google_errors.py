"""Errors of Google's behind the gateway: when to ask again, and tokens that it takes back."""

import json
from typing import Any

import pytest
from fake_vertex import FakeVertex
from misbehaving import json_reply, replying
from rawhttp import HELLO, Reply, exchange, post
from relaying import ASKING, ask
from serving import Serving

from dragoman.gateway.config.config import Secret
from dragoman.gateway.credentials import google
from dragoman.providers.vertex import RawPredict

Json = dict[str, Any]

MODEL = "claude-haiku-4-5@20251001"
INFO = "type.googleapis.com/google.rpc."


def exhausted(*details: Any) -> Json:
    return {"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED", "details": list(details)}}


WAIT = {"@type": f"{INFO}RetryInfo", "retryDelay": "36.96s"}
HELP: Json = {"@type": f"{INFO}Help", "links": []}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (exhausted(WAIT), 37),
        (exhausted(HELP, {**WAIT, "retryDelay": "7s"}), 7),
        ([exhausted(WAIT)], 37),
        (exhausted(HELP), None),
        (exhausted(), None),
        (exhausted({**WAIT, "retryDelay": "soon"}, 7, None), None),
        ({"error": {"details": {"retryDelay": "7s"}}}, None),
        ({"error": "x"}, None),
        ({"type": "error", "error": {"type": "rate_limit_error", "message": "x"}}, None),
        ("no JSON", None),
    ],
)
def test_google_tells_in_the_body_when_to_ask_again(body: Any, expected: int | None) -> None:
    """Pain 28: google.rpc.RetryInfo; in whole seconds, rounded up, as the header has it."""
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    assert RawPredict().retry_after(raw) == expected


def vertex(**provider: Any) -> Json:
    return {"dialect": "vertex", "api_key": Secret("ya29.key"), "auth": "bearer", **provider}


@pytest.mark.parametrize("asking", [HELLO, ASKING])
async def test_and_the_caller_reads_it_in_a_header(asking: Json) -> None:
    """Pain 28: SDKs wait as long as `retry-after` says."""
    asking = {**asking, "model": MODEL}
    answered = await ask(replying(json_reply(exhausted(WAIT), status=429)), asking, provider=vertex())
    assert (answered.status, answered.header("retry-after")) == (429, "37")
    assert json.loads(answered.body)["error"]["type"] == "rate_limit_error"


async def test_a_header_that_came_stands() -> None:
    told = json_reply(exhausted(WAIT), ("retry-after", "3"), status=429)
    answered = await ask(replying(told), {**HELLO, "model": MODEL}, provider=vertex())
    assert answered.header("retry-after") == "3"


async def asked(server: Serving) -> Reply:
    return await exchange(server.url, post({**HELLO, "model": MODEL}))


async def test_a_token_that_google_took_back_is_used_once_more_and_then_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when a service account's key is replaced: without this, an hour of 401."""
    monkeypatch.setattr(google, "AGAIN_S", 0.0)
    with FakeVertex() as fake:
        fake.life_s = 3600
        keys = {"api_key": None, "auth": "google", "credentials_file": str(fake.credentials_file)}
        async with Serving(upstream=fake.url, provider=vertex(**keys)) as server:
            assert (await asked(server)).status == 200
            fake.take_back()
            assert (await asked(server)).status == 401
            assert (await asked(server)).status == 200
            assert fake.grants == 2
