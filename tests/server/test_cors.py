"""Browsers: preflights, and pages of another origin."""

from collections.abc import AsyncIterator

import httpx2 as httpx
import pytest
from rawhttp import KEY
from serving import Serving

HELLO = {"model": "claude-haiku-4-5", "max_tokens": 20, "messages": [{"role": "user", "content": "Hi"}]}
PAGE = {"origin": "http://shop.example"}
KEYED = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
CONFIRMED = {"anthropic-dangerous-direct-browser-access": "true"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with Serving() as server, httpx.AsyncClient(base_url=server.url, trust_env=False) as opened:
        yield opened


async def test_a_browser_s_preflight_is_answered(client: httpx.AsyncClient) -> None:
    """SDK-70: OPTIONS, before any key is sent."""
    asked = {
        **PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-api-key,anthropic-version,content-type",
    }
    answer = await client.options("/v1/messages", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == asked["access-control-request-headers"]


async def test_options_that_is_no_preflight_is_not_allowed(client: httpx.AsyncClient) -> None:
    """ERR-23."""
    assert (await client.options("/v1/messages")).status_code == 405


async def test_a_page_that_does_not_confirm_is_refused(client: httpx.AsyncClient) -> None:
    """ERR-56: and it can read why."""
    answer = await client.post("/v1/messages", json=HELLO, headers={**PAGE, **KEYED})
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"
    assert answer.json()["error"]["message"].startswith("CORS requests are not allowed for this Organization")
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_page_that_confirms_is_answered(client: httpx.AsyncClient, stream: bool) -> None:
    """SDK-70."""
    answer = await client.post("/v1/messages", json={**HELLO, "stream": stream}, headers={**PAGE, **KEYED, **CONFIRMED})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == "*"


@pytest.mark.parametrize("origin", ["null", "", "http://[", "//", "x" * 5000])
async def test_an_origin_may_be_anything(client: httpx.AsyncClient, origin: str) -> None:
    """ERR-56: and never a fault of ours."""
    answer = await client.post("/v1/messages", json=HELLO, headers={"origin": origin, **KEYED})
    assert answer.status_code == 401


async def test_a_page_of_this_server_s_own_needs_nothing(client: httpx.AsyncClient) -> None:
    """The same origin is no other."""
    own = str(client.base_url).rstrip("/")
    answer = await client.post("/v1/messages", json=HELLO, headers={"origin": own, **KEYED})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


async def test_who_is_no_browser_sees_no_such_headers(client: httpx.AsyncClient) -> None:
    """No origin, no headers for one."""
    answer = await client.post("/v1/messages", json=HELLO, headers=KEYED)
    assert not [name for name in answer.headers if name.startswith("access-control-")]
