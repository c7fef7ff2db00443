"""Errors: each status with its type, its text, and the class that the official SDK makes of it. Over real sockets."""

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic import APIStatusError
from either import connect
from misbehaving import Conn, json_reply
from rawhttp import HELLO, KEY, error, exchange, post, request
from relaying import ASKING, relay
from serving import Serving

from dragoman import errors
from dragoman.engines.base import Counted, Generation
from dragoman.errors import ApiError
from dragoman.gateway.limits.limits import Limits
from dragoman.wire.events import Event
from dragoman.wire.models import Model
from dragoman.wire.types import CountTokensRequest

JSON = "application/json"


class Refusing:
    """An engine that has one error for everybody."""

    name = "refusing"
    supports: frozenset[str] = frozenset()

    def __init__(self, refusal: Exception) -> None:
        self.refusal = refusal

    async def generate(self, generation: Generation) -> AsyncIterator[list[Event]]:
        raise self.refusal
        yield []

    async def count(self, request: CountTokensRequest, model: Model, *, workspace_id: str | None = None) -> Counted:
        raise self.refusal


async def raised(url: str, **params: Any) -> APIStatusError:
    """What the official SDK raises, without trying again."""
    async with connect("async", url, KEY) as client:
        with pytest.raises(APIStatusError) as caught:
            await client.messages.create(**HELLO, **params)
    return caught.value


# -- one class, one status, one type ----------------------------------------------------------------------------------

# Rule -> our error, the status and type on the wire, the SDK's class, and what x-should-retry says.
CLASSES: dict[str, tuple[ApiError, int, str, type[APIStatusError], str | None]] = {
    "ERR-10": (errors.InvalidRequest("m"), 400, "invalid_request_error", anthropic.BadRequestError, "false"),
    "ERR-11": (errors.Unauthenticated("m"), 401, "authentication_error", anthropic.AuthenticationError, "false"),
    "ERR-12": (errors.BillingProblem("m"), 402, "billing_error", anthropic.PaymentRequiredError, "false"),
    "ERR-13": (errors.PermissionDenied("m"), 403, "permission_error", anthropic.PermissionDeniedError, "false"),
    "ERR-14": (errors.NotFound("m"), 404, "not_found_error", anthropic.NotFoundError, "false"),
    "ERR-15": (errors.Conflict("m"), 409, "conflict_error", anthropic.ConflictError, None),
    "ERR-16": (errors.RequestTooLarge("m"), 413, "request_too_large", anthropic.ContentTooLargeError, "false"),
    "ERR-17": (errors.RateLimited("m"), 429, "rate_limit_error", anthropic.RateLimitError, "true"),
    "ERR-18": (errors.InternalError("m"), 500, "api_error", anthropic.InternalServerError, None),
    "ERR-19": (errors.UpstreamTimeout("m"), 504, "timeout_error", anthropic.GatewayTimeoutError, None),
    "ERR-20": (errors.Overloaded("m"), 529, "overloaded_error", anthropic.OverloadedError, None),
    "ERR-21": (errors.Unavailable("m"), 503, "api_error", anthropic.ServiceUnavailableError, None),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("rule", CLASSES)
async def test_each_error_has_its_status_type_and_class(rule: str, stream: bool) -> None:
    """ERR-10 to 21, HDR-38, SDK-23, STR-6: before a stream begins the status says it all."""
    refusal, status, kind, expected, retry = CLASSES[rule]
    async with Serving(engine=Refusing(refusal)) as server:
        caught = await raised(server.url, stream=stream)
    assert type(caught) is expected
    assert (caught.status_code, caught.type) == (status, kind)
    assert caught.body == {"type": "error", "error": {"type": kind, "message": "m"}, "request_id": caught.request_id}
    assert caught.response.headers["content-type"].startswith(JSON)
    assert caught.response.headers.get("x-should-retry") == retry


@pytest.mark.parametrize(
    ("raw", "status", "kind", "message"),
    [
        (post({**HELLO, "max_tokens": -1}), 400, "invalid_request_error", "max_tokens: Input should be greater …"),
        (post(HELLO, key=None), 401, "authentication_error", "x-api-key header is required"),
        (post({**HELLO, "model": "sonnet4"}), 404, "not_found_error", "model: sonnet4"),
        (post(HELLO, path="/v1/nothing"), 404, "not_found_error", "Not found"),
        (request("GET", "/v1/models/nobody"), 404, "not_found_error", "model: nobody"),
        (request("GET", "/v1/messages"), 405, "invalid_request_error", "…"),
        (post(b" " * 1_100_000), 413, "request_too_large", "Request exceeds the maximum size"),
    ],
)  # fmt: skip
async def test_what_callers_meet_most(raw: bytes, status: int, kind: str, message: str) -> None:
    """ERR-1, 2, 10, 11, 14, 16, 23, 40, 46, 47, 55."""
    async with Serving(body_limit_mb=1) as server:
        told = error(await exchange(server.url, raw), status)
    beginning, is_open, _ = message.partition("…")
    assert told["type"] == kind
    assert told["message"].startswith(beginning) if is_open else told["message"] == message
    assert "details" not in told


async def test_a_fault_of_ours_is_500_and_tells_nothing() -> None:
    """ERR-18, ERR-54."""
    server = Serving(engine=Refusing(ZeroDivisionError("secret")))
    async with server:
        answered = await exchange(server.url, post(HELLO))
        assert error(answered, 500) == {"type": "api_error", "message": "Internal server error"}
        assert b"secret" not in answered.body
        assert "secret" in server.faults[0]
        server.forget_log()  # the fault was wanted


async def test_no_room_is_529_without_retry_after() -> None:
    """ERR-20, 22, 53."""
    async with Serving() as server:
        server.gateway.limits = Limits(max_running=0)
        answered = await exchange(server.url, post(HELLO))
    assert error(answered, 529) == {"type": "overloaded_error", "message": "Overloaded"}
    assert answered.header("retry-after") is None


# -- details ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("details", [None, {}, {"error_code": "x", "more": [1, {"a": None}]}])
async def test_details_are_an_object_or_are_not_there(details: dict[str, Any] | None) -> None:
    """ERR-3: and the SDK finds the code in them."""
    async with Serving(engine=Refusing(errors.InvalidRequest("m", details=details))) as server:
        caught = await raised(server.url)
    told = caught.body["error"]  # type: ignore[index]
    assert told.get("details") == details
    assert ("details" in told) == (details is not None)
    assert caught.error_code == (details or {}).get("error_code")


@pytest.mark.parametrize(
    ("packed", "name", "status", "code"),
    [
        (b"x", "br", 400, "request_body_encoding_unsupported"),
        (b"x", "gzip", 400, "request_body_encoding_invalid"),
        (gzip.compress(json.dumps(HELLO).encode(), mtime=0)[:-3], "gzip", 400, "request_body_encoding_invalid"),
        (gzip.compress(b" " * 1_100_000, mtime=0), "gzip", 413, "request_body_too_large_after_decoding"),
    ],
)
async def test_packed_bodies_are_refused_with_a_code(packed: bytes, name: str, status: int, code: str) -> None:
    """ERR-25."""
    async with Serving(body_limit_mb=1) as server:
        told = error(await exchange(server.url, post(packed, ("content-encoding", name))), status)
        good = gzip.compress(json.dumps(HELLO).encode(), mtime=0)
        assert (await exchange(server.url, post(good, ("content-encoding", "gzip")))).status == 200
    assert told["details"] == {"error_code": code}


CODES = {
    400: """organization_on_hold tool_name_conflict available_tools_limit_exceeded storage_quota_exceeded
            file_not_downloadable thread_unsupported_request thread_already_continued thread_continue_in_flight
            thread_fingerprint_mismatch""".split(),
    404: ["file_expired", "thread_not_found"],
    429: ["enforced_spend_limit_reached", "contract_spend_limit_reached", "ramp_limit_exceeded"],
    529: ["compaction_unavailable"],
}
KINDS = {400: "invalid_request_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}


async def telling(conn: Conn) -> None:
    """An upstream whose error is what the request's `metadata` says."""
    while (asked := await conn.read_request()) is not None:
        given = json.loads(asked.json()["metadata"]["user_id"])
        envelope = {"type": "error", "error": given["error"], "request_id": "req_011CTheirs"}
        headers = [("request-id", "req_011CTheirs"), *((name, value) for name, value in given["headers"])]
        await conn.send(json_reply(envelope, *headers, status=given["status"]))


async def told_by_upstream(
    url: str, status: int, error: dict[str, Any], *headers: tuple[str, str], stream: bool = False
) -> APIStatusError:
    """What becomes of an upstream's error; the SDK must see it as it was sent."""
    given = json.dumps({"status": status, "error": error, "headers": headers})
    caught = await raised(url, metadata={"user_id": given}, stream=stream)
    assert caught.status_code == status
    assert caught.body == {"type": "error", "error": error, "request_id": "req_011CTheirs"}
    assert caught.request_id == "req_011CTheirs"
    return caught


async def test_every_code_of_the_api_reaches_the_client() -> None:
    """ERR-30, ERR-3: the SDK chooses classes by it."""
    async with relay(telling) as (server, _):
        for status, codes in CODES.items():
            for code in codes:
                told = {"type": KINDS[status], "message": "m", "details": {"error_code": code, "x": [1]}}
                caught = await told_by_upstream(server.url, status, told)
                assert caught.error_code == code


# -- what only an upstream can say ------------------------------------------------------------------------------------

CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
LIMIT = "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
CAP = "You have reached your API usage limits: your organization has crossed its monthly API usage threshold."
RATE = "This request would exceed your organization's rate limit of 50 requests per minute (org: x, model: y)."
CONNECTIONS = "Number of concurrent connections has exceeded your rate limit."


@pytest.mark.parametrize("stream", [False, True])
async def test_money_and_limits_of_an_upstream_keep_their_words(stream: bool) -> None:
    """ERR-48 to 52: status, text, code and retry-after; none is added where the upstream sent none."""
    async with relay(telling) as (server, _):
        for message in (CREDIT, LIMIT):
            told = {"type": "invalid_request_error", "message": message}
            caught = await told_by_upstream(server.url, 400, told, stream=stream)
            assert type(caught) is anthropic.BadRequestError
        capped = {"type": "rate_limit_error", "message": CAP, "details": {"error_code": "enforced_spend_limit_reached"}}
        caught = await told_by_upstream(server.url, 429, capped, ("x-should-retry", "false"), stream=stream)
        assert caught.response.headers.get("retry-after") is None
        assert caught.response.headers["x-should-retry"] == "false"
        for message in (RATE, CONNECTIONS):
            told = {"type": "rate_limit_error", "message": message}
            caught = await told_by_upstream(server.url, 429, told, ("retry-after", "31"), stream=stream)
            assert type(caught) is anthropic.RateLimitError
            assert caught.response.headers["retry-after"] == "31"


@pytest.mark.parametrize("status", [408, 412, 422, 431, 499, 501, 503])
@pytest.mark.parametrize("asked", [HELLO, ASKING], ids=["json", "stream"])
async def test_other_statuses_keep_their_number_in_the_envelope(status: int, asked: dict[str, Any]) -> None:
    """ERR-21: from a proxy in between, whose page is not handed on."""

    async def handler(conn: Conn) -> None:
        await conn.read_request()
        await conn.send(json_reply("a page of a proxy", status=status))

    async with relay(handler) as (server, _):
        answered = await exchange(server.url, post(asked))
    assert error(answered, status)["type"] == ("api_error" if status >= 500 else "invalid_request_error")
    assert b"proxy" not in answered.body
