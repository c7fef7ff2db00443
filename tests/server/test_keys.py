"""Keys over HTTP: what each may do, where from, and ten thousand that are none (ERR-11, ERR-13, ADM-1, pain 74, 83)."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rawhttp import HELLO, Reply, Wire, error, exchange, post, request
from serving import Serving

from dragoman.errors import PermissionDenied, Unauthenticated
from dragoman.gateway.config.config import load
from dragoman.gateway.open import open_gateway
from dragoman.gateway.pipeline import identify_admin
from dragoman.server.app import App
from dragoman.store.keys import KeyChanges
from dragoman.wire.headers import Headers

HAIKU, OPUS = "claude-haiku-4-5", "claude-opus-4-8"
COUNT, BATCHES = "/v1/messages/count_tokens", "/v1/messages/batches"


@pytest.fixture
async def server() -> AsyncIterator[Serving]:
    async with Serving(trusted_proxies=("127.0.0.0/8",)) as serving:
        yield serving


async def key_with(server: Serving, **terms: Any) -> str:
    key, _ = await server.gateway.auth.create("mine", terms=KeyChanges(**terms))
    return key


def asking(model: str) -> dict[str, Any]:
    return {**HELLO, "model": model}


# Which models


async def test_a_model_that_a_key_may_not_ask_is_not_there_for_it(server: Serving) -> None:
    """ERR-14, ERR-46: as at the API, in the words for a name that nobody knows."""
    key = await key_with(server, models=("claude-haiku-*",))
    for path, body in (("/v1/messages", HELLO), (COUNT, {k: v for k, v in HELLO.items() if k != "max_tokens"})):
        refused = error(await exchange(server.url, post(body, path=path, key=key)), 404)
        assert refused == {"type": "not_found_error", "message": f"model: {OPUS}"}
        allowed = await exchange(server.url, post({**body, "model": HAIKU}, path=path, key=key))
        assert allowed.status == 200
        assert (await exchange(server.url, post(body, path=path))).status == 200
    rows = [row for row in server.rows if row["status"] == "404"]
    assert [row["outcome"] for row in rows] == ["refused", "refused"]


async def test_models_that_a_key_may_not_ask_are_hidden(server: Serving) -> None:
    """MOD-1, MOD-3, MOD-8."""
    key = await key_with(server, models=("claude-haiku-*",))

    async def get(path: str) -> Reply:
        return await exchange(server.url, request("GET", path, key=key), method="GET")

    listed = (await get("/v1/models?limit=1000&lifecycle[]=active&lifecycle[]=deprecated&lifecycle[]=retired")).json()
    assert listed["data"]
    assert all("haiku" in model["id"] for model in listed["data"])
    assert listed["has_more"] is False
    page = (await get("/v1/models?limit=1")).json()
    assert page["first_id"] == page["last_id"] == listed["data"][0]["id"]
    everyone = (await exchange(server.url, request("GET", "/v1/models?limit=1000"), method="GET")).json()
    assert len(everyone["data"]) > len(listed["data"])
    assert (await get(f"/v1/models/{HAIKU}")).status == 200
    for hidden in (OPUS, "claude-nobody"):
        assert error(await get(f"/v1/models/{hidden}"), 404)["message"] == f"model: {hidden}"
        told = error(await get(f"/v1/models?after_id={hidden}"), 400)
        assert told["message"] == f"after_id: no model has the id '{hidden}'"


async def test_each_request_of_a_batch_is_held_to_the_models_of_its_key(server: Serving) -> None:
    """BAT-1, BAT-8: the one is answered, the other an error of its own."""
    key = await key_with(server, models=("claude-haiku-*",))
    asked = [{"custom_id": model, "params": asking(model)} for model in (HAIKU, OPUS)]
    made = (await exchange(server.url, post({"requests": asked}, path=BATCHES, key=key))).json()
    found: dict[str, Any] = {}
    while not found:
        reply = await exchange(server.url, request("GET", f"{BATCHES}/{made['id']}/results", key=key), method="GET")
        if reply.status == 200:
            found = {line["custom_id"]: line["result"] for line in map(json.loads, reply.body.splitlines())}
    assert found[HAIKU]["type"] == "succeeded"
    assert found[OPUS]["type"] == "errored"
    assert found[OPUS]["error"]["error"] == {"type": "not_found_error", "message": f"model: {OPUS}"}


# Where from


async def test_a_key_from_elsewhere_is_refused_and_told_no_network(server: Serving) -> None:
    """ERR-13. Checked for each request, also of a key that is remembered."""
    key = await key_with(server, addresses=("192.0.2.0/24", "2001:db8::/32"))

    async def from_(address: str, path: str = "/v1/models") -> Reply:
        sent = request("GET", path, None, ("x-forwarded-for", address), key=key)
        return await exchange(server.url, sent, method="GET")

    for _ in range(2):
        for address in ("192.0.2.77", "2001:db8::1", "198.51.100.1, 192.0.2.5"):
            assert (await from_(address)).status == 200
        for address in ("198.51.100.1", "192.0.2.77, 198.51.100.1", "2001:db9::1", "nonsense", ""):
            for path in ("/v1/models", BATCHES, "/v1/files"):
                told = error(await from_(address, path), 403)
                assert told["type"] == "permission_error"
                assert "192.0.2" not in told["message"]
                assert "2001" not in told["message"]
    told = error(await exchange(server.url, post(HELLO, key=key)), 403)
    assert told["type"] == "permission_error"


async def test_a_proxy_is_believed_only_where_it_is_configured() -> None:
    async with Serving() as server:
        key = await key_with(server, addresses=("192.0.2.0/24",))
        near = await key_with(server, addresses=("127.0.0.0/8",))
        forwarded = ("x-forwarded-for", "192.0.2.1")
        assert error(await exchange(server.url, post(HELLO, forwarded, key=key)), 403)
        assert (await exchange(server.url, post(HELLO, forwarded, key=near))).status == 200


# What for


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
async def test_an_admin_key_is_refused_where_models_are_asked(server: Serving, header: str) -> None:
    """ADM-1."""
    key, _ = await server.gateway.auth.create("me", role="owner")
    shown = (header, key if header == "x-api-key" else f"Bearer {key}")
    version = ("anthropic-version", "2023-06-01")
    for method, path in (
        ("POST", "/v1/messages"),
        ("POST", COUNT),
        ("POST", BATCHES),
        ("GET", BATCHES),
        ("GET", f"{BATCHES}/msgbatch_1"),
        ("GET", f"{BATCHES}/msgbatch_1/results"),
        ("GET", "/v1/models"),
        ("GET", f"/v1/models/{OPUS}"),
        ("GET", "/v1/files"),
        ("POST", "/v1/files"),
        ("GET", "/v1/files/file_1/content"),
        ("DELETE", "/v1/files/file_1"),
    ):
        body = b"{}" if method == "POST" else None
        told = error(await exchange(server.url, request(method, path, body, version, shown, key=None)), 403)
        assert told["type"] == "permission_error"


async def test_an_administrator_is_told_by_either_header_and_nobody_else_is_one(server: Serving) -> None:
    """ADM-1: 403 for a key of another kind, 401 for none."""
    key, record = await server.gateway.auth.create("me", role="billing")
    plain = await key_with(server)

    async def identified(*headers: tuple[str, str]) -> Any:
        return await identify_admin(server.gateway, Headers(headers), "192.0.2.1")

    for _ in range(2):
        for shown in (("x-api-key", key), ("authorization", f"Bearer {key}")):
            found = await identified(shown)
            assert (found.key_id, found.role) == (record.id, "billing")
        for shown in (("x-api-key", plain), ("authorization", f"Bearer {plain}")):
            with pytest.raises(PermissionDenied):
                await identified(shown)
        with pytest.raises(Unauthenticated):
            await identified(("x-api-key", "sk-dgm-admin-" + "x" * 43))
        with pytest.raises(Unauthenticated):
            await identified()
    await server.gateway.auth.update(record.id, KeyChanges(addresses=("10.0.0.0/8",)))
    with pytest.raises(PermissionDenied, match="network address"):
        await identified(("x-api-key", key))
    await server.gateway.auth.update(record.id, KeyChanges(status="inactive"))
    with pytest.raises(Unauthenticated):
        await identified(("x-api-key", key))


# Until when


async def test_a_key_that_has_ended_is_401_at_every_endpoint(server: Serving) -> None:
    """ERR-11."""
    ended = []
    for change in (KeyChanges(status="inactive"), KeyChanges(status="archived")):
        key, record = await server.gateway.auth.create("mine")
        assert (await exchange(server.url, post(HELLO, key=key))).status == 200
        await server.gateway.auth.update(record.id, change)
        ended.append(key)
    soon = await key_with(server, expires_at=datetime.now(UTC) + timedelta(milliseconds=1))
    server.gateway.auth._now = lambda: datetime.now(UTC) + timedelta(seconds=1)
    for key in (*ended, soon, "sk-dgm-" + "x" * 43):
        for sent in (post(HELLO, key=key), post(HELLO, path=BATCHES, key=key), request("GET", "/v1/models", key=key)):
            told = error(await exchange(server.url, sent), 401)
            assert told == {"type": "authentication_error", "message": "invalid x-api-key"}


# How often in vain


async def test_an_address_of_wrong_keys_is_slowed_down_and_good_keys_from_there_are_not(server: Serving) -> None:
    """The issue: repeated bad keys from one address. 429 and `retry-after`, as SDKs understand it."""
    good = await key_with(server)
    forwarded = ("x-forwarded-for", "192.0.2.1")
    elsewhere = ("x-forwarded-for", "192.0.2.2")
    for number in range(20):
        error(await exchange(server.url, post(HELLO, forwarded, key=f"sk-dgm-{number:043}")), 401)
    reply = await exchange(server.url, post(HELLO, forwarded, key="sk-dgm-" + "x" * 43))
    assert error(reply, 429)["type"] == "rate_limit_error"
    assert 1 <= int(reply.header("retry-after") or 0) <= 3
    assert (await exchange(server.url, post(HELLO, forwarded, key=good))).status == 200
    assert (await exchange(server.url, post(HELLO, forwarded))).status == 200
    error(await exchange(server.url, post(HELLO, elsewhere, key="sk-dgm-" + "y" * 43)), 401)


# Ten thousand that are none

INJECTIONS = (
    "' OR 1=1--",
    "' OR '1'='1",
    "'; DROP TABLE api_keys; --",
    '" OR ""="',
    "admin'/*",
    "1' UNION SELECT hash FROM api_keys--",
    "'||(SELECT pg_sleep(9))||'",
    "%27%20OR%201=1",
    "x-api-key: other\r\nx-injected: 1",
    "a\r\nauthorization: Bearer b",
    "\x00",
    "sk-dgm-\x00",
    "../../etc/passwd",
    "${jndi:ldap://a}",
    "{{7*7}}",
    "%s%n%x",
    "\u2028",
    "\ud800",
    "null",
    "[]",
    "-1",
)


def fuzzed(count: int) -> list[bytes]:
    """Keys out of a fixed seed: injections whole and cut, real ones that were touched, text, bytes, and long ones."""
    chance = random.Random(7)

    def one(number: int) -> bytes:
        bad = chance.choice(INJECTIONS).encode("utf-8", "surrogatepass")
        kind = number % 6
        if kind == 0:
            return bad
        if kind == 1:
            return b"sk-dgm-" + bad * chance.randrange(1, 4)
        if kind == 2:
            return b"sk-dgm-%s%d" % (bytes(chance.choices(b"abcXYZ019-_'\"\\;", k=chance.randrange(60))), number)
        if kind == 3:
            return chance.randbytes(chance.randrange(1, 80))
        if kind == 4:
            return "".join(map(chr, chance.choices([*range(0x20, 0x7F), 0xE9, 0x4E16], k=43))).encode()
        return b"sk-dgm-" + b"A" * chance.choice((40, 43, 44, 1000, 1017, 1018, 60_000)) + b"%d" % number

    return [one(number) for number in range(count)]


class Bare:
    """The application without a server: bytes in headers reach it that no connection would bring."""

    def __init__(self, gateway: Any) -> None:
        self._app = App(gateway)

    async def ask(self, headers: Sequence[tuple[bytes, bytes]], address: str) -> tuple[int, bytes]:
        sent: list[dict[str, Any]] = []
        pieces = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            if not pieces:
                await asyncio.Event().wait()  # the caller stays until it is answered
            return pieces.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/v1/models", "raw_path": b"/v1/models", "query_string": b""}
        await self._app({**scope, "headers": list(headers), "client": (address, 1)}, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(("kind", "count"), [("file", 10_000), ("postgres", 2_000)])
async def test_ten_thousand_wrong_keys_are_401_and_no_trouble(
    kind: str, count: int, tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """P6, pain 74: SQL and header injection, NUL, halves of surrogate pairs, long and binary ones. Each from another
    address, so that none is spared the store by the brake on wrong keys."""
    caplog.set_level(logging.INFO)
    url = f"sqlite:///{tmp_path}/x.db" if kind == "file" else request.getfixturevalue("postgres_url")
    env = {"DRAGOMAN_SECRET": "a secret of many letters"}
    config = load(None, env, text="", database=url, default_database=url)
    async with open_gateway(config, env) as gateway:
        good, _ = await gateway.auth.create("good")
        bare, version = Bare(gateway), (b"anthropic-version", b"2023-06-01")
        for number, key in enumerate(fuzzed(count)):
            shown = (b"x-api-key", key) if number % 2 else (b"authorization", b"Bearer " + key)
            status, body = await bare.ask([shown, version], f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
            told = json.loads(body)
            assert (status, told["type"], told["error"]["type"]) == (401, "error", "authentication_error"), key
            text = "invalid x-api-key" if number % 2 else "Invalid bearer token"
            assert told["error"]["message"] in (text, "x-api-key header is required"), key
        assert (await bare.ask([(b"x-api-key", good.encode()), version], "10.0.0.1"))[0] == 200
        assert len(await gateway.auth.list()) == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert "sk-dgm-AAAA" not in caplog.text
    assert "DROP TABLE" not in caplog.text


async def test_wrong_keys_on_one_connection_are_401_too(server: Serving) -> None:
    """P6, over real HTTP, of those that a header can hold: the connection goes on, and a good key after them works."""
    keys = [key for key in fuzzed(1000) if is_legal(key)]
    good = await key_with(server)
    async with await Wire.connect(server.url) as wire:
        for number, key in enumerate(keys):
            await wire.send(showing(key, f"10.0.{number >> 8}.{number & 255}"))
            told = error(await wire.reply("GET"), 401)
            assert told["type"] == "authentication_error", key
        await wire.send(showing(good.encode(), "10.1.0.0"))
        assert (await wire.reply("GET")).status == 200
    assert len(keys) > 500


async def test_keys_that_no_header_can_hold_are_no_keys(server: Serving) -> None:
    """P6: a line break in one ends the header, and what follows is no header of ours. 400 or 401, never more."""
    keys = [key for key in fuzzed(300) if not is_legal(key)]
    assert len(keys) > 50
    for number, key in enumerate(keys):
        reply = await exchange(server.url, showing(key, f"10.0.0.{number % 250}"), method="GET")
        error(reply, 400, 401, 431)


def is_legal(key: bytes) -> bool:
    return len(key) < 8000 and not any(byte < 0x20 or byte == 0x7F for byte in key)


def showing(key: bytes, address: str) -> bytes:
    given = (("x-forwarded-for", address), ("anthropic-version", "2023-06-01"), ("x-api-key", key.decode("latin-1")))
    return request("GET", "/v1/models", None, *given, key=None)
