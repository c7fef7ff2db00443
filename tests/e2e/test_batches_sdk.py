"""Message Batches with the official Python SDK, sync and async, from a dragoman and from one in front of it."""

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from anthropic import AnthropicError, BadRequestError, InternalServerError, NotFoundError
from either import Client, connect, entered, listed, settled
from rawhttp import HELLO, KEY
from running import Running
from serving import Serving, ledger_rows, wait_until

from dragoman.errors import StoreError
from dragoman.gateway.auth.auth import hash_key
from dragoman.gateway.call import Call
from dragoman.providers.base import Operation
from dragoman.store.base import KeyRecord
from dragoman.wire.headers import Headers

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
LONG = [{"type": "text", "text": "Be brief. " * 3000, "cache_control": {"type": "ephemeral"}}]
OLD, NEW = "2023-06-01", "2026-10-21"

# custom id -> params, and what becomes of them: "message", or the `error.type` and the beginning of its message.
MIXED: dict[str, tuple[dict[str, Any], str]] = {
    "good": (HELLO, "message"),
    "tools": ({**HELLO, "tools": [TOOL], "tool_choice": {"type": "any"}}, "message"),
    "cached": ({**HELLO, "system": LONG}, "message"),
    "not_streamed": ({**HELLO, "stream": False}, "message"),
    "unfit": ({**HELLO, "messages": []}, "invalid_request_error: messages"),
    "no_model": ({"max_tokens": 1}, "invalid_request_error: model: Field required"),
    "no_object": ([1], "invalid_request_error: Input should be an object"),  # type: ignore[dict-item]
    "unknown": ({**HELLO, "model": "no-such-model"}, "not_found_error: model: no-such-model"),
    "streamed": ({**HELLO, "stream": True}, "invalid_request_error: stream: "),
    "prewarm": ({**HELLO, "max_tokens": 0}, "invalid_request_error: max_tokens: "),
    "thread": ({**HELLO, "thread": {"type": "create"}}, "invalid_request_error: thread: "),
    "fast": ({**HELLO, "speed": "fast"}, "invalid_request_error: speed: "),
}


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["sync", "async"])
async def client(request: pytest.FixtureRequest, server: Running) -> AsyncIterator[Client]:
    async with entered(connect(request.param, server.url, server.key)) as opened:
        yield opened


def request(custom_id: str, params: Any = HELLO) -> Any:
    return {"custom_id": custom_id, "params": params}


async def ended(client: Client, batch_id: str) -> Any:
    retrieve = client.messages.batches.retrieve
    async with asyncio.timeout(15):
        while (batch := await settled(retrieve(batch_id))).processing_status != "ended":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return batch


async def results(client: Client, batch_id: str) -> dict[str, Any]:
    found = await listed(await settled(client.messages.batches.results(batch_id)))
    assert len({each.custom_id for each in found}) == len(found)
    return {each.custom_id: each.result for each in found}


async def test_each_request_of_a_batch_succeeds_or_errs_by_itself(client: Client) -> None:
    """BAT-1 to BAT-6, BAT-8, ERR-5, MSG-35: bad params make a result, not a refusal."""
    wanted = [request(name, params) for name, (params, _) in MIXED.items()]
    made = await settled(client.messages.batches.create(requests=wanted))
    assert made.id.startswith("msgbatch_")
    assert (made.type, made.processing_status, made.request_counts.processing) == ("message_batch", "in_progress", 12)
    assert made.expires_at - made.created_at == timedelta(hours=24)
    assert made.ended_at is made.results_url is made.archived_at is made.cancel_initiated_at is None

    batch = await ended(client, made.id)
    counts = batch.request_counts
    assert (counts.processing, counts.succeeded, counts.errored) == (0, 4, 8)
    assert (counts.canceled, counts.expired) == (0, 0)
    found = await results(client, made.id)
    assert found.keys() == MIXED.keys()
    for name, (_, outcome) in MIXED.items():
        result = found[name]
        if outcome == "message":
            assert result.type == "succeeded", name
            assert result.message.id.startswith("msg_")
            continue
        assert (result.type, result.error.type) == ("errored", "error"), name
        assert f"{result.error.error.type}: {result.error.error.message}".startswith(outcome)
        assert result.error.request_id.startswith("req_")
    assert "Hello, Claude" in found["good"].message.content[0].text
    assert found["tools"].message.stop_reason == "tool_use"
    usage = found["cached"].message.usage
    assert usage.cache_creation_input_tokens + usage.cache_read_input_tokens > 2000


async def test_the_version_of_the_batch_is_that_of_its_requests(client: Client) -> None:
    """MSG-3 as an errored result; the version before takes the same params."""
    params = {**HELLO, "model": "claude-haiku-4-5", "temperature": 1}
    outcomes = []
    for version in (OLD, NEW):
        headers = {"anthropic-version": version}
        made = await settled(client.messages.batches.create(requests=[request("a", params)], extra_headers=headers))
        await ended(client, made.id)
        outcomes.append((await results(client, made.id))["a"])
    assert outcomes[0].type == "succeeded"
    assert outcomes[1].type == "errored"
    assert outcomes[1].error.error.message.startswith("`temperature`")


async def test_the_beta_face_does_the_same(client: Client) -> None:
    """BAT-1, BAT-6, BAT-8 and BAT-11 under `?beta=true`."""
    batches = client.beta.messages.batches
    made = await settled(batches.create(requests=[request("a")], betas=["message-batches-2024-09-24"]))
    await ended(client, made.id)
    (line,) = await listed(await settled(batches.results(made.id)))
    assert (line.custom_id, line.result.type) == ("a", "succeeded")
    assert (await settled(batches.delete(made.id))).type == "message_batch_deleted"


async def test_a_list_is_walked_by_its_pages(client: Client) -> None:
    """BAT-6."""
    made = [(await settled(client.messages.batches.create(requests=[request("a")]))).id for _ in range(5)][::-1]
    page = await settled(client.messages.batches.list(limit=2))
    assert [batch.id for batch in page.data] == made[:2] == [page.first_id, page.last_id]
    assert page.has_more
    following = await settled(page.get_next_page())
    assert [batch.id for batch in following.data] == made[2:4]
    backwards = await settled(client.messages.batches.list(limit=2, before_id=made[4]))
    assert [batch.id for batch in backwards.data] == made[2:4]


async def test_a_batch_that_has_ended_is_deleted_and_canceling_it_changes_nothing(client: Client) -> None:
    """BAT-7 and BAT-11."""
    made = await settled(client.messages.batches.create(requests=[request("a")]))
    batch = await ended(client, made.id)
    assert await settled(client.messages.batches.cancel(made.id)) == batch
    deleted = await settled(client.messages.batches.delete(made.id))
    assert (deleted.id, deleted.type) == (made.id, "message_batch_deleted")
    for call in (client.messages.batches.retrieve, client.messages.batches.cancel, client.messages.batches.delete):
        with pytest.raises(NotFoundError):
            await settled(call(made.id))


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([], "requests: List should have at least 1 item"),
        ([request("a b")], "requests.0.custom_id: String should match pattern"),
        ([request("a"), request("a")], "requests.1.custom_id: 'a' is used twice"),
    ],
)
async def test_what_is_no_batch_is_refused_at_once(client: Client, requests: Any, message: str) -> None:
    """BAT-1 and BAT-2."""
    with pytest.raises(BadRequestError) as refused:
        await settled(client.messages.batches.create(requests=requests))
    assert refused.value.body["error"]["message"].startswith(message)  # type: ignore[index, call-overload]


async def test_the_results_url_is_that_of_the_server_as_its_caller_sees_it(server: Running) -> None:
    """BAT-8 and BAT-9: absolute, at the caller's host, also behind a proxy that ends TLS; it takes the same key."""
    headers = {"x-api-key": server.key, "anthropic-version": "2023-06-01"}
    path = "/v1/messages/batches"
    async with httpx2.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as raw:
        made = (await raw.post(path, json={"requests": [request("a")]})).json()
        early = await raw.get(f"{path}/{made['id']}/results")
        assert early.status_code in (200, 404)  # it may have ended by now
        batch = made
        async with asyncio.timeout(15):
            while batch["processing_status"] != "ended":
                batch = (await raw.get(f"{path}/{made['id']}")).json()
        assert batch["results_url"] == f"{server.url}{path}/{made['id']}/results"
        reply = await raw.get(batch["results_url"], headers={"accept": "application/binary"})
        assert (reply.status_code, reply.headers["content-type"]) == (200, "application/x-jsonl")
        assert json.loads(reply.text)["custom_id"] == "a"
        proxied = {"host": "gateway.test", "x-forwarded-proto": "https"}
        seen = (await raw.get(f"{path}/{made['id']}", headers=proxied)).json()
        assert seen["results_url"] == f"https://gateway.test{path}/{made['id']}/results"
        nobody = await raw.get(batch["results_url"], headers={"x-api-key": "sk-dgm-nobody"})
        assert nobody.status_code == 401
        assert (await raw.put(path)).headers["allow"] == "GET, HEAD, POST"


async def test_the_model_list_tells_of_batches(client: Client) -> None:
    """MOD-5, MOD-8: what answers here takes them."""
    model = await settled(client.models.retrieve(HELLO["model"]))
    assert model.capabilities.batch.supported


# -- with a look inside -------------------------------------------------------------------------------------------


async def test_usage_tells_of_the_batch_and_the_ledger_of_each_request() -> None:
    """BAT-13."""
    async with Serving() as server, entered(connect("async", server.url, KEY)) as client:
        made = await client.messages.batches.create(requests=[request("a"), request("b", {**HELLO, "model": "nope"})])
        await ended(client, made.id)
        assert (await results(client, made.id))["a"].message.usage.service_tier == "batch"
        assert (await client.messages.create(**HELLO)).usage.service_tier == "standard"
        rows = [row for row in server.rows if row["operation"] == "batch"]
        assert [(row["model"], row["status"]) for row in rows] == [(HELLO["model"], "200"), ("nope", "404")]
        assert len({row["key"] for row in server.rows}) == 1


async def test_faults_that_a_batch_asks_for_strike_its_requests() -> None:
    """ERR-5: the create itself goes well."""
    async with Serving() as server, entered(connect("async", server.url, KEY)) as client:
        test_key, _ = await server.gateway.auth.create("test", is_test=True)
        found = {}
        for key in (KEY, test_key):
            headers = {"x-api-key": key, "dragoman-fault": "529"}
            made = await client.messages.batches.create(requests=[request("a")], extra_headers=headers)
            await ended(client, made.id)
            found[key] = (await results(client, made.id))["a"].error.error.type
        assert found == {KEY: "permission_error", test_key: "overloaded_error"}


async def test_results_that_cannot_be_read_to_their_end_break_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """BAT-8: half of them must not look like all."""
    async with Serving() as server, entered(connect("async", server.url, KEY)) as client:
        made = await client.messages.batches.create(requests=[request(f"n{number}") for number in range(50)])
        await ended(client, made.id)
        read = server.gateway.store.batches.results

        async def failing(batch_id: str, *, after: int, limit: int) -> Any:
            if after >= 0:
                raise StoreError("the disk is gone")
            return await read(batch_id, after=after, limit=limit)

        monkeypatch.setattr(server.gateway.store.batches, "results", failing)
        with pytest.raises(httpx2.RemoteProtocolError):
            await results(client, made.id)
        monkeypatch.undo()
        assert len(await results(client, made.id)) == 50


async def test_no_ping_stands_between_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """BAT-8: however long the store takes."""
    async with Serving(ping_after_s=0.01) as server, entered(connect("async", server.url, KEY)) as client:
        made = await client.messages.batches.create(requests=[request(f"n{number}") for number in range(40)])
        await ended(client, made.id)
        read = server.gateway.store.batches.results

        async def slow(batch_id: str, *, after: int, limit: int) -> Any:
            await asyncio.sleep(0.1)
            return await read(batch_id, after=after, limit=limit)

        monkeypatch.setattr(server.gateway.store.batches, "results", slow)
        assert len(await results(client, made.id)) == 40


async def test_a_store_that_is_away_is_no_fault_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """ERR-21: 503, which SDKs try again; where the database lies is for the log."""
    async with Serving() as server, entered(connect("async", server.url, KEY)) as client:

        async def away(*_: object, **__: object) -> Any:
            raise StoreError("the database /secret/path is away")

        monkeypatch.setattr(server.gateway.store.batches, "find", away)
        with pytest.raises(InternalServerError) as failed:
            await client.messages.batches.retrieve("msgbatch_1")
        assert failed.value.status_code == 503
        assert "/secret" not in str(failed.value)


async def test_keys_of_another_workspace_find_nothing() -> None:
    """BAT-12."""
    async with Serving() as server, entered(connect("async", server.url, KEY)) as client:
        other_key = "sk-dgm-key-of-another-workspace"
        digest = hash_key(server.gateway.auth._secret, other_key)
        now = datetime(2026, 11, 21, tzinfo=UTC)
        record = KeyRecord(id="apikey_2", name="n", hash=digest, hint="...", created_at=now, workspace_id="wrkspc_2")
        assert await server.gateway.store.keys.add(record)
        made = await client.messages.batches.create(requests=[request("a")])
        batch = await ended(client, made.id)
        async with entered(connect("async", server.url, other_key)) as other:
            calls = other.messages.batches
            for call in (calls.retrieve, calls.cancel, calls.delete, calls.results):
                with pytest.raises(NotFoundError):
                    await call(made.id)
            assert (await calls.list()).data == []
            path = f"/v1/messages/batches/{made.id}/results"
            with pytest.raises(NotFoundError):
                await other.get(path, cast_to=object)
        assert await client.messages.batches.retrieve(made.id) == batch


class Slow:
    """An engine whose replies wait for a sign."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.sign = asyncio.Event()
        self.waiting = 0

    async def generate(self, generation: Any) -> AsyncIterator[Any]:
        self.waiting += 1
        await self.sign.wait()
        async for events in self.inner.generate(generation):
            yield events


async def test_a_batch_is_canceled_while_it_runs() -> None:
    """BAT-5, BAT-7, BAT-8 and BAT-11: the SDK finds no results before the end, and nothing is deleted before."""
    async with Serving() as server, entered(connect("async", server.url, KEY)) as client:
        slow = Slow(server.gateway.local._engines["offline"])
        server.gateway.local._engines = {"offline": slow}  # type: ignore[dict-item]
        made = await client.messages.batches.create(requests=[request(f"n{number}") for number in range(10)])
        await wait_until(lambda: slow.waiting == 8)
        with pytest.raises(AnthropicError, match="No `results_url`"):
            await client.messages.batches.results(made.id)
        with pytest.raises(BadRequestError):
            await client.messages.batches.delete(made.id)
        canceled = await client.messages.batches.cancel(made.id)
        assert (canceled.processing_status, canceled.request_counts.processing) == ("canceling", 10)
        assert canceled.cancel_initiated_at is not None
        slow.sign.set()
        counts = (await ended(client, made.id)).request_counts
        assert (counts.succeeded, counts.canceled, counts.processing) == (8, 2, 0)
        assert (await results(client, made.id))["n9"].type == "canceled"


@pytest.mark.parametrize("has_key", [True, False])
async def test_a_batch_may_be_eight_times_as_large_as_a_message(has_key: bool) -> None:
    """BAT-1, ERR-24: 256 MB to 32 MB, here 8 to 1. Without a key, no body is read beyond that of a message."""
    one = 1024 * 1024
    async with Serving(body_limit_mb=1) as server, httpx2.AsyncClient(trust_env=False) as raw:
        headers = {"anthropic-version": "2023-06-01"} | ({"x-api-key": KEY} if has_key else {})

        async def sent(body: bytes) -> tuple[int, Any]:
            reply = await raw.post(f"{server.url}/v1/messages/batches", headers=headers, content=body)
            return reply.status_code, reply.json()

        body = json.dumps({"requests": [request("big", {**HELLO, "system": "x" * one}), request("small")]}).encode()
        code, _ = await sent(body[:one].ljust(one))
        assert code == (400 if has_key else 401)
        code, made = await sent(body.ljust(8 * one))
        assert code == (200 if has_key else 413)
        code, refused = await sent(body.ljust(8 * one + 1))
        assert (code, refused["error"]["type"]) == (413, "request_too_large")
        if has_key:
            async with entered(connect("async", server.url, KEY)) as client:
                await ended(client, made["id"])
                found = await results(client, made["id"])
            assert found["small"].type == "succeeded"
            assert found["big"].error.error.type == "request_too_large"


async def test_an_upstream_says_when_a_request_of_a_batch_is_tried_again() -> None:
    """LIM-10."""
    async with Serving() as server:
        principal = await server.gateway.auth.identify(
            (await server.gateway.auth.create("test", is_test=True))[0], None
        )
        found = []
        for fault in ("429; retry-after=7", "529"):
            headers = Headers([("anthropic-version", OLD), ("dragoman-fault", fault)])
            call = Call(
                operation=Operation.MESSAGES,
                headers=headers,
                body=json.dumps(HELLO).encode(),
                request_id="req_1",
                arrived=server.gateway.clock(),
                batched_for=principal,
            )
            status, _, retry_after = await server.gateway._ask_for_batch(call)
            found.append((status, retry_after))
        assert found == [(429, 7), (529, None)]


# -- over restarts ------------------------------------------------------------------------------------------------


async def test_a_batch_goes_on_when_the_server_is_started_again(tmp_path: Path) -> None:
    """BAT-4: no request whose answer was there is asked again."""
    config = "[providers.offline]\nttft_ms = 300\n"
    with Running(tmp_path, config) as server, connect("sync", server.url, server.key) as client:
        made = client.messages.batches.create(requests=[request(f"n{number}") for number in range(30)])
        await wait_until(lambda: "outcome=answered" in server.log())
        assert server.stop() == 0
        first = ledger_rows(server.log())
        assert "Traceback" not in server.log()
    with Running(tmp_path) as server, connect("sync", server.url, server.key) as client:
        batch = await ended(client, made.id)
        found = await results(client, made.id)
        second = ledger_rows(server.log())
    outcomes = [row["outcome"] for row in [*first, *second]]
    assert (batch.request_counts.succeeded, len(found)) == (30, 30)
    assert outcomes.count("answered") == 30
    assert 0 < [row["outcome"] for row in first].count("answered") < 30
    assert outcomes.count("abandoned") == len(outcomes) - 30


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can tell that the first process is gone")
async def test_a_batch_goes_on_at_once_after_a_crash(tmp_path: Path) -> None:
    """BAT-4: without waiting for the end of a lease, which would take a minute."""
    with Running(tmp_path, "[providers.offline]\nttft_ms = 60000\n") as server:
        with connect("sync", server.url, server.key) as client:
            made = client.messages.batches.create(requests=[request("a")])
        assert server.process is not None
        await wait_until(lambda: holders(tmp_path) != [(None,)])
        server.process.kill()
        server.process.wait()
    with Running(tmp_path) as server, connect("sync", server.url, server.key) as client:
        assert (await ended(client, made.id)).request_counts.succeeded == 1


def holders(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / "dragoman.db")) as database:
        return database.execute("SELECT worker FROM message_batches").fetchall()
