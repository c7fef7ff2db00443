"""The pipeline with answerers that do as told: the order of its questions, and that every request ends once."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from rawhttp import HELLO, KEY, error, exchange, json_bytes, post
from serving import Serving, ledger_rows

from dragoman.errors import (
    ApiError,
    Conflict,
    HeadersTooLarge,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    PermissionDenied,
    RateLimited,
    StoreError,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from dragoman.gateway.call import Answer, Asked, Call
from dragoman.gateway.config.config import load
from dragoman.gateway.gateway import Gateway
from dragoman.gateway.ids import new_id
from dragoman.gateway.ledger.accounting import Entry
from dragoman.gateway.limits.limits import Limits
from dragoman.gateway.open import open_gateway
from dragoman.gateway.pipeline import answer, refuse
from dragoman.gateway.reply import Reply, error_answer
from dragoman.gateway.routing.routing import Route
from dragoman.providers.base import Operation
from dragoman.wire.headers import Headers

GOOD = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
Ask = Callable[[Asked, Route, Entry], Any]


class Told:
    """An answerer that does what it was given."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with open_gateway(load(None, {"DRAGOMAN_DATABASE": "sqlite://"}), {}) as opened:
        await opened.auth.preset(KEY)
        yield opened
        assert opened.limits.running == 0


@pytest.fixture(autouse=True)
def ledger(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, str]]]:
    caplog.set_level(logging.INFO, "dragoman.requests")
    return lambda: ledger_rows("\n".join(caplog.messages))


def call(body: Any = HELLO, headers: dict[str, str] = GOOD, operation: Operation = Operation.MESSAGES) -> Call:
    return Call(
        operation=operation,
        headers=Headers(headers.items()),
        body=json_bytes(body),
        request_id=new_id("req"),
        arrived=0.0,
    )


def told(reply: Reply) -> str:
    """The message of an error; its envelope must tell the same id as the header."""
    envelope = json.loads(reply.body)
    assert envelope["request_id"] == reply.request_id == dict(reply.headers)["request-id"]
    return str(envelope["error"]["message"])


async def closed(reply: Reply) -> Reply:
    await reply.aclose()
    return reply


# -- the order of questions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "status", "message"),
    [
        ({}, b"{", 401, "x-api-key header is required"),
        ({"x-api-key": "wrong-key"}, b"{", 401, "invalid x-api-key"),
        ({"authorization": "Bearer wrong-key"}, b"{", 401, "Invalid bearer token"),
        ({"x-api-key": KEY}, b"{", 400, "anthropic-version: header is required"),
        ({**GOOD, "anthropic-version": "1"}, b"{", 400, 'anthropic-version: "1" is not a valid version'),
        (GOOD, b"{", 400, "The request body is not valid JSON"),
        (GOOD, b"{}", 400, "model: Field required"),
        (GOOD, {"model": 5}, 400, "model: Input should be a valid string"),
        (GOOD, {"model": "nobody", "stream": 1}, 400, "stream: Input should be a valid boolean"),
        (GOOD, {"model": "nobody"}, 404, "model: nobody"),
        (GOOD, {"model": "claude-opus-4-8", "messages": HELLO["messages"]}, 400, "max_tokens: Field required"),
        ({"authorization": f"bearer {KEY}", "anthropic-version": "2023-06-01"}, b"{}", 400, "model: Field required"),
        ({**GOOD, "x-api-key": "wrong", "authorization": f"Bearer {KEY}"}, b"{}", 400, "model: Field required"),
    ],
)  # fmt: skip
async def test_the_first_thing_that_is_wrong_is_told(
    gateway: Gateway, ledger: Any, headers: dict[str, str], body: Any, status: int, message: str
) -> None:
    """HDR-9, MSG-32: key, version, JSON, model, the rest."""
    reply = await closed(await answer(gateway, call(body, headers)))
    assert reply.status == status
    assert told(reply).startswith(message)
    (row,) = ledger()
    assert (row["outcome"], row["status"], row["request_id"]) == ("refused", str(status), reply.request_id)
    assert ("key" in row) == (status != 401)


async def test_unknown_betas_are_taken_unless_the_configuration_refuses_them(gateway: Gateway, tmp_path: Any) -> None:
    headers = {**GOOD, "anthropic-beta": "not-a-beta"}
    assert (await closed(await answer(gateway, call(headers=headers)))).status == 200
    file = tmp_path / "dragoman.toml"
    file.write_text('unknown_betas = "refuse"\nretired = "refuse"\n')
    async with open_gateway(load(file, {"DRAGOMAN_DATABASE": "sqlite://"}), {}) as strict:
        await strict.auth.preset(KEY)
        assert "`not-a-beta`" in told(await closed(await answer(strict, call(headers=headers))))
        retired = {**HELLO, "model": "claude-3-opus-20240229"}
        assert (await closed(await answer(strict, call(retired)))).status == 404


async def test_who_was_recognised_is_told_in_the_headers_also_of_a_refusal(gateway: Gateway) -> None:
    """HDR-31, HDR-32: after authentication."""
    for headers, body, is_known in [(GOOD, HELLO, True), (GOOD, b"", True), ({}, HELLO, False)]:
        names = dict((await closed(await answer(gateway, call(body, headers)))).headers)
        assert ("anthropic-organization-id" in names) == is_known
        assert ("anthropic-workspace-id" in names) == is_known


async def test_a_store_that_is_away_is_no_wrong_key(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: bytes) -> None:
        raise StoreError("/path/of/the/database is locked")

    monkeypatch.setattr(gateway.store.keys, "find", away)
    reply = await closed(await answer(gateway, call()))
    assert reply.status == 503
    assert "/path" not in told(reply)


# -- what an answerer does ------------------------------------------------------------------------------------------

ERRORS: list[ApiError] = [
    InvalidRequest("x"),
    PermissionDenied("x"),
    NotFound("x"),
    Conflict("x"),
    RateLimited("x", retry_after=7),
    UpstreamFailed("x"),
    UpstreamTimeout("x"),
    Overloaded("x", details={"error_code": "c"}),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_what_an_answerer_refuses_is_the_reply(gateway: Gateway, ledger: Any, error: ApiError) -> None:
    async def ask(*_: Any) -> Answer:
        raise error

    gateway.local = Told(ask)  # type: ignore[assignment]
    reply = await answer(gateway, call())
    assert gateway.limits.running == 1
    await reply.aclose()
    assert (reply.status, json.loads(reply.body)) == (error.status, error.body(reply.request_id))
    (row,) = ledger()
    assert (row["outcome"], row["error"]) == ("refused", error.kind)


async def test_a_fault_of_ours_is_logged_and_tells_the_caller_nothing(
    gateway: Gateway, ledger: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """ERR-54."""

    async def ask(*_: Any) -> Answer:
        raise KeyError("secret of ours")

    gateway.local = Told(ask)  # type: ignore[assignment]
    reply = await closed(await answer(gateway, call()))
    assert (reply.status, told(reply)) == (500, "Internal server error")
    assert "secret of ours" in caplog.text
    assert [(row["outcome"], row["error"]) for row in ledger()] == [("refused", "api_error")]


async def test_a_caller_who_leaves_before_the_answer_is_accounted_once(gateway: Gateway, ledger: Any) -> None:
    begun = asyncio.Event()

    async def ask(*_: Any) -> Answer:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    gateway.local = Told(ask)  # type: ignore[assignment]
    work = asyncio.create_task(answer(gateway, call()))
    await begun.wait()
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    assert gateway.limits.running == 0
    assert [row["outcome"] for row in ledger()] == ["abandoned"]


class Stream:
    """A stream that notes when it ends; `fails` in the middle."""

    def __init__(self, *pieces: bytes, fails: Exception | None = None) -> None:
        self.is_closed = False
        self._pieces = pieces
        self._fails = fails

    async def begun(self) -> AsyncGenerator[bytes, None]:
        stream = self._run()
        await anext(stream)
        return stream

    async def _run(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b""
            for piece in self._pieces:
                yield piece
            if self._fails is not None:
                raise self._fails
        finally:
            self.is_closed = True


async def streamed(gateway: Gateway, stream: Stream) -> Reply:
    async def ask(*_: Any) -> Answer:
        return Answer(stream=await stream.begun())

    gateway.local = Told(ask)  # type: ignore[assignment]
    return await answer(gateway, call({**HELLO, "stream": True}))


@pytest.mark.parametrize("read", [0, 1, 2, 3])
async def test_a_stream_is_closed_and_accounted_however_much_of_it_was_read(
    gateway: Gateway, ledger: Any, read: int
) -> None:
    stream = Stream(b"a", b"b")
    reply = await streamed(gateway, stream)
    assert reply.is_stream
    for piece in [b"a", b"b", None][:read]:
        assert await reply.next_piece() == piece
    assert gateway.limits.running == 1
    assert ledger() == []
    await reply.aclose("abandoned" if read < 3 else None)
    await reply.aclose()  # harmless
    assert stream.is_closed
    assert gateway.limits.running == 0
    assert [row["outcome"] for row in ledger()] == ["abandoned" if read < 3 else "answered"]


async def test_a_fault_in_mid_stream_is_an_error_event(
    gateway: Gateway, ledger: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """STR-40."""
    stream = Stream(b"a", fails=KeyError("secret of ours"))
    reply = await streamed(gateway, stream)
    first, last = await reply.next_piece(), await reply.next_piece()
    assert first is not None
    assert last is not None
    assert await reply.next_piece() is None
    await reply.aclose()
    assert first == b"a"
    assert last.startswith(b"event: error\ndata: ")
    envelope = json.loads(last.partition(b"data: ")[2])
    assert (envelope["error"]["type"], envelope["request_id"]) == ("api_error", reply.request_id)
    assert b"secret" not in last
    assert "secret of ours" in caplog.text
    assert stream.is_closed
    assert [(row["outcome"], row["error"]) for row in ledger()] == [("cut", "api_error")]


async def test_the_request_id_of_an_upstream_is_the_replys(gateway: Gateway) -> None:
    for theirs in ("req_theirs", ""):

        async def ask(asked: Asked, *_: Any, theirs: str = theirs) -> Answer:
            return Answer(request_id=theirs, headers=[("retry-after", "3")], body=b"{}")

        gateway.local = Told(ask)  # type: ignore[assignment]
        reply = await closed(await answer(gateway, call()))
        assert reply.request_id == theirs or reply.request_id.startswith("req_01")
        assert [value for name, value in reply.headers if name == "request-id"] == [reply.request_id]
        assert ("retry-after", "3") in reply.headers


# -- limits ---------------------------------------------------------------------------------------------------------


async def test_without_room_a_request_is_told_so(gateway: Gateway) -> None:
    """ERR-22: 529, not 429."""
    gateway.limits = Limits(max_running=1)
    first = await answer(gateway, call())
    second = await closed(await answer(gateway, call()))
    assert (second.status, told(second)) == (529, "Overloaded")
    await first.aclose()
    assert (await closed(await answer(gateway, call()))).status == 200


async def test_a_hold_is_given_back_once() -> None:
    limits = Limits()
    one, _ = await limits.reserve(), await limits.reserve()
    one.release()
    one.release()
    assert limits.running == 1


# -- errors without a call ------------------------------------------------------------------------------------------


async def test_a_body_that_could_not_be_taken_is_accounted(gateway: Gateway, ledger: Any) -> None:
    reply = await closed(refuse(gateway, Operation.MESSAGES, InvalidRequest("x"), "req_1", arrived=gateway.clock()))
    assert (reply.status, told(reply)) == (400, "x")
    assert [(row["request_id"], row["outcome"]) for row in ledger()] == [("req_1", "refused")]


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (InvalidRequest("x"), ("x-should-retry", "false")),
        (HeadersTooLarge("x"), ("x-should-retry", "false")),
        (MethodNotAllowed("x", allow="GET"), ("allow", "GET")),
        (RateLimited("x", retry_after=7), ("x-should-retry", "true")),
        (RateLimited("x", retry_after=7), ("retry-after", "7")),
        (Conflict("x"), None),
        (Unavailable("x"), None),
        (Overloaded("x"), None),
    ],
)
def test_an_error_says_whether_to_try_again(error: ApiError, header: tuple[str, str] | None) -> None:
    """HDR-38: the SDKs go by it."""
    headers = error_answer(error, "req_1").headers
    assert headers == [] if header is None else header in headers


def test_ids_are_opaque_and_never_the_same() -> None:
    ids = {new_id("req") for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(each) for each in ids} == {len("req_01") + 22}
    assert all(each.startswith("req_01") and each[4:].isalnum() for each in ids)


# -- lines of the ledger --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    ["a b", "a\nrequest_id=req_forged outcome=answered", "é", "\x1b[31m", 'a"b', "x" * 5000, "outcome=answered"],
)
async def test_no_caller_writes_a_line_of_the_ledger(gateway: Gateway, ledger: Any, model: str) -> None:
    await closed(await answer(gateway, call({**HELLO, "model": model})))
    (row,) = ledger()
    assert row["outcome"] == "refused"
    assert row["request_id"] != "req_forged"
    assert len(row["model"]) < 1000


@pytest.mark.parametrize(
    ("fields", "beta"),
    [
        ({"mcp_servers": [{"type": "url", "url": "http://127.0.0.1:1", "name": "m"}]}, "mcp-client-2025-11-20"),
        ({"container": "container_1"}, None),
        ({"fallbacks": [{"model": "claude-opus-4-8"}]}, "server-side-fallback-2026-07-01"),
    ],
)
async def test_what_no_engine_has_is_refused_by_name(fields: dict[str, Any], beta: str | None) -> None:
    """TOOL-71: never accepted and ignored."""
    headers = [("anthropic-beta", beta)] if beta else []
    async with Serving() as server:
        told = error(await exchange(server.url, post({**HELLO, **fields}, *headers)), 400)
    assert told["message"] == f"{next(iter(fields))}: is not supported by the model that answers here"
