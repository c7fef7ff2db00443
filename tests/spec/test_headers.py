"""Headers in and out, and the paths around /v1/messages. Over real sockets."""

import re
import uuid
from typing import Any

import pytest
from canned import MESSAGE, STREAM, UPSTREAM_ID, envelope, sse
from misbehaving import LAST_CHUNK, chunk, json_reply, replying, sse_head
from msgspec.structs import replace
from rawhttp import HELLO, KEY, Reply, error, events, exchange, json_bytes, post, request
from relaying import ASKING, relay
from serving import Serving

from dragoman import errors
from dragoman.errors import ApiError
from dragoman.gateway.reply import error_answer
from dragoman.server.app import ROUTES

JSON_TYPE = ("content-type", "application/json")
VERSION = ("anthropic-version", "2023-06-01")


async def ask(*headers: tuple[str, str], body: Any = HELLO, path: str = "/v1/messages", **server: Any) -> Reply:
    """A POST with these headers and no others of the API's."""
    async with Serving(**server) as serving:
        return await exchange(serving.url, request("POST", path, json_bytes(body), *headers, key=None))


# -- what comes in ----------------------------------------------------------------------------------------------------

# What SDKs send, from their sources and from recordings.
SDK_2 = [
    ("authorization", f"Bearer {KEY}"), ("anthropic-version", "2026-10-21"), JSON_TYPE,
    ("accept", "application/json"), ("user-agent", "Anthropic/Python 2.11.0"), ("accept-encoding", "gzip, deflate"),
    ("x-stainless-lang", "python"), ("x-stainless-package-version", "2.11.0"), ("x-stainless-os", "Linux"),
    ("x-stainless-arch", "x64"), ("x-stainless-runtime", "CPython"), ("x-stainless-runtime-version", "3.13.1"),
    ("x-stainless-async", "false"), ("x-stainless-retry-count", "2"), ("x-stainless-timeout", "600"),
    ("x-stainless-read-timeout", "600"), ("x-stainless-helper-method", "stream"),
    ("x-stainless-stream-helper", "messages"), ("x-stainless-helper", "messages.parse"),
    ("idempotency-key", "stainless-python-retry-1"), ("anthropic-user-profile-id", "profile_1"),
]  # fmt: skip
SDK_0_74 = [("x-api-key", KEY), VERSION, JSON_TYPE, ("x-stainless-lang", "python"), ("connection", "keep-alive")]
JAVASCRIPT = [
    ("x-api-key", KEY), VERSION, JSON_TYPE, ("x-stainless-lang", "js"), ("x-stainless-runtime", "node"),
    ("user-agent", "Anthropic/JS 0.70.0"), ("anthropic-dangerous-direct-browser-access", "true"),
    ("accept-language", "*"), ("sec-fetch-mode", "cors"),
]  # fmt: skip
LEAST = [("x-api-key", KEY), VERSION]


@pytest.mark.parametrize("headers", [SDK_2, SDK_0_74, JAVASCRIPT, LEAST], ids=["2", "0.74", "js", "least"])
@pytest.mark.parametrize("query", ["", "?beta=true"])
async def test_what_sdks_send_is_taken_and_none_of_it_needed(headers: list[tuple[str, str]], query: str) -> None:
    """SDK-5, SDK-70, HDR-1, 2, 5, 8, MSG-1, 2."""
    answered = await ask(*headers, path=f"/v1/messages{query}")
    assert answered.status == 200
    assert answered.json()["type"] == "message"


@pytest.mark.parametrize("given", [None, "text/plain", "application/x-www-form-urlencoded", "application/json; x=y"])
async def test_a_body_that_parses_is_taken_whatever_it_is_called(given: str | None) -> None:
    """HDR-7."""
    named = [("content-type", given)] if given else []
    answered = await ask(("x-api-key", KEY), VERSION, *named)
    assert (answered.status, answered.json()["role"]) == (200, "assistant")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ([], "x-api-key header is required"),
        ([("x-api-key", "wrong")], "invalid x-api-key"),
        ([("authorization", "Bearer wrong")], "Invalid bearer token"),
        ([("x-api-key", "wrong"), ("authorization", "Bearer wrong too")], "invalid x-api-key"),
    ],
)
async def test_the_key_is_looked_at_before_the_body(headers: list[tuple[str, str]], message: str) -> None:
    """HDR-3, HDR-9, ERR-11, 40 to 42: with a body that is no JSON, and no version."""
    answered = await ask(*headers, body=b"{")
    assert error(answered, 401) == {"type": "authentication_error", "message": message}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_bearer_in_any_case_and_space_around_a_key(scheme: str) -> None:
    """HDR-2, HDR-4."""
    assert (await ask(("authorization", f"{scheme}   {KEY}  "), VERSION)).status == 200
    assert (await ask(("x-api-key", f"  {KEY} "), VERSION)).status == 200


async def test_no_key_is_in_the_log_whole() -> None:
    """HDR-4: neither ours nor a wrong one."""
    wrong = "sk-ant-somebody-elses-key-0123456789"
    async with Serving() as server:
        for key in (KEY, wrong):
            await exchange(server.url, post(HELLO, key=key))
        await server.settled()
        assert len(server.rows) == 2
        assert KEY not in server.log
        assert wrong not in server.log


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ([], "anthropic-version: header is required"),
        (["2023-10-01"], 'anthropic-version: "2023-10-01" is not a valid version'),
        (["2023-06-01"] * 2, 'anthropic-version: "2023-06-01, 2023-06-01" is not a valid version'),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_the_version_is_required_known_and_sent_once(version: list[str], message: str, method: str) -> None:
    """HDR-5, ERR-43, 44: for messages and models alike."""
    headers = [("x-api-key", KEY), *(("anthropic-version", each) for each in version)]
    path, body = ("/v1/messages", json_bytes(HELLO)) if method == "POST" else ("/v1/models", None)
    async with Serving() as server:
        answered = await exchange(server.url, request(method, path, body, *headers, key=None))
    assert error(answered, 400) == {"type": "invalid_request_error", "message": message}


async def test_betas_in_lists_and_lines_and_unknown_ones() -> None:
    """HDR-6, HDR-20, CC-4, ERR-45: taken, unless the configuration refuses what it does not know."""
    known = [("anthropic-beta", " pdfs-2024-09-25 ,pdfs-2024-09-25"), ("anthropic-beta", "files-api-2025-04-14,")]
    unknown = ("anthropic-beta", "of-a-later-day-2027-01-01")
    async with Serving() as server:
        assert (await exchange(server.url, post(HELLO, *known, unknown))).status == 200
        server.gateway.config = replace(server.gateway.config, unknown_betas="refuse")
        assert (await exchange(server.url, post(HELLO, *known))).status == 200
        told = error(await exchange(server.url, post(HELLO, *known, unknown)), 400)
    assert told["message"].startswith("Unexpected value(s) `of-a-later-day-2027-01-01` for the `anthropic-beta` header")


# -- what goes out ----------------------------------------------------------------------------------------------------

REQUESTS = {
    "a reply": post(HELLO),
    "a stream": post(ASKING),
    "a count": post({key: HELLO[key] for key in ("model", "messages")}, path="/v1/messages/count_tokens"),
    "the models": request("GET", "/v1/models"),
    "one model": request("GET", "/v1/models/claude-opus-4-8"),
    "a wrong body": post(b"{"),
    "a wrong model": post({**HELLO, "model": "nobody"}),
}
STRANGERS = {
    "no key": post(HELLO, key=None),
    "a wrong key": post(HELLO, key="wrong"),
    "no key for models": request("GET", "/v1/models", key=None),
    "a wrong path": request("GET", "/nothing"),
    "too large": post(b" " * 1_100_000),
    "nobody asked": request("GET", "/healthz", key=None),
}


@pytest.mark.parametrize("asked", [*REQUESTS, *STRANGERS])
async def test_every_reply_tells_its_request_and_whose_it_is(asked: str) -> None:
    """HDR-30, 31, 32, ERR-2: the organization and workspace only to whom they were found out for."""
    async with Serving(body_limit_mb=1) as server:
        answered = await exchange(server.url, (REQUESTS | STRANGERS)[asked])
    assert re.fullmatch(r"req_\w{20,}", answered.header("request-id") or "")
    organization, workspace = (answered.header(f"anthropic-{name}-id") for name in ("organization", "workspace"))
    if asked in STRANGERS:
        assert (organization, workspace) == (None, None)
    else:
        assert organization == str(uuid.UUID(organization))
        assert (workspace or "").startswith("wrkspc_")
    if answered.status >= 400:
        error(answered)
    elif asked not in ("a stream",):
        assert "request_id" not in answered.json()


def all_errors() -> list[ApiError]:
    found: list[ApiError] = []
    for kind in [*ApiError.__subclasses__(), errors.BodyTimedOut]:
        if kind is errors.MethodNotAllowed:
            found.append(errors.MethodNotAllowed("m", allow="GET"))
        elif kind is errors.BodyTimedOut:
            found.append(errors.BodyTimedOut())
        else:
            found.append(kind("m"))
    return [*found, errors.RateLimited("m", retry_after=7)]


@pytest.mark.parametrize("refusal", all_errors(), ids=lambda error: f"{type(error).__name__}")
def test_what_an_error_says_about_another_try(refusal: ApiError) -> None:
    """HDR-37, 38, SDK-23: retry-after in whole seconds and with 429 alone; x-should-retry as the SDKs' own rule."""
    headers = dict(error_answer(refusal, "req_1").headers)
    is_worth_it = refusal.status in (408, 409, 429) or refusal.status >= 500
    is_worth_it = is_worth_it or isinstance(refusal, errors.BodyTimedOut)  # sent anew, it may arrive
    assert headers.get("x-should-retry", "true" if is_worth_it else "unsaid") == ("true" if is_worth_it else "false")
    if "retry-after" in headers:
        assert refusal.status == 429
        assert headers["retry-after"] == "7"
    else:
        assert getattr(refusal, "retry_after", None) is None


LIMITS = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-11-21T00:00:00Z",
    "anthropic-ratelimit-input-tokens-remaining": "28000",
    "anthropic-ratelimit-output-tokens-limit": "8000",
    "anthropic-ratelimit-tokens-limit": "38000",
    "anthropic-priority-input-tokens-limit": "5",
    "anthropic-fast-output-tokens-limit": "6",
}


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("asked", [HELLO, ASKING], ids=["json", "stream"])
async def test_an_upstreams_limits_are_told_on_success_and_429(status: int, asked: dict[str, Any]) -> None:
    """HDR-39, SDK-71. And on no refusal that came before anybody looked at limits."""
    theirs = [*LIMITS.items(), ("request-id", UPSTREAM_ID)]
    good = json_reply(MESSAGE, *theirs) if asked is HELLO else sse_head(*theirs) + chunk(sse(*STREAM)) + LAST_CHUNK
    raw = good if status == 200 else json_reply(envelope("rate_limit_error"), *theirs, status=429)
    async with relay(replying(raw)) as (server, _):
        answered = await exchange(server.url, post(asked))
        refused = [await exchange(server.url, post(asked, key="wrong")), await exchange(server.url, post(b"{"))]
    assert answered.status == status
    assert {name: answered.header(name) for name in LIMITS} == LIMITS
    assert answered.header("request-id") == UPSTREAM_ID
    assert [each.status for each in refused] == [401, 400]
    assert not any(name in LIMITS for each in refused for name, _ in each.headers)


async def test_a_stream_has_the_headers_of_its_kind() -> None:
    """STR-1, HDR-30."""
    async with Serving() as server:
        answered = await exchange(server.url, post(ASKING))
    assert answered.status == 200
    assert answered.header("content-type") == "text/event-stream; charset=utf-8"
    assert answered.header("cache-control") == "no-cache"
    assert events(answered.body)[-1][0] == "message_stop"


# -- paths ------------------------------------------------------------------------------------------------------------

OF_THE_API = ("/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/v1/files", "/v1/messages/batches")


def test_paths_of_our_own_are_outside_v1() -> None:
    """ADM-13: but for /v1/dragoman, which is for keys as the API's paths are (docs/admin.md)."""
    of_keys = (*OF_THE_API, "/v1/organizations", "/v1/dragoman/")
    ours = [path for path in ROUTES if not path.startswith(of_keys)]
    assert {"/", "/healthz", "/readyz"} <= set(ours)
    assert [path for path in ours if path.startswith("/v1")] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/organizations/service_accounts"),
        ("GET", "/v1/organizations/federation"),
        ("POST", "/v1/organizations/spend_limits"),
        ("GET", "/v1/organizations/rbac/roles"),
        ("GET", "/v1/organizations/analytics"),
        ("GET", "/v1/compliance/activities"),
        ("GET", "/v1/organizations/external_keys"),
        ("GET", "/v1/organizations/usage_report/claude_code"),
    ],
)
async def test_admin_paths_that_are_not_there(method: str, path: str) -> None:
    """ADM-12, ERR-14, 47."""
    async with Serving() as server:
        body = b"{}" if method == "POST" else None
        told = error(await exchange(server.url, request(method, path, body)), 404)
    assert told == {"type": "not_found_error", "message": "Not found"}


async def test_the_old_completions_are_not_there() -> None:
    """LEG-1."""
    asked = {"model": "claude-2.1", "prompt": "\n\nHuman: Hi\n\nAssistant:", "max_tokens_to_sample": 5}
    async with Serving() as server:
        assert error(await exchange(server.url, post(asked, path="/v1/complete")), 404)["type"] == "not_found_error"


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "file", "file_id": "file_011CNha8iCJcU1wXNR6q4V8w"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_011CNha8iCJcU1wXNR6q4V8w"}},
        {"type": "container_upload", "file_id": "file_011CNha8iCJcU1wXNR6q4V8w"},
    ],
    ids=lambda block: block["type"],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_file_that_is_not_here_is_refused_by_its_place(block: dict[str, Any], path: str) -> None:
    """FIL-6: never accepted and ignored."""
    asked: dict[str, Any] = {**HELLO, "messages": [{"role": "user", "content": [block, {"type": "text", "text": "?"}]}]}
    if path.endswith("count_tokens"):
        del asked["max_tokens"]
    async with Serving() as server:
        told = error(await exchange(server.url, post(asked, path=path)), 400, 404)
    assert told["message"].startswith("messages.0.content.0")
    assert "file" in told["message"]


# -- models -----------------------------------------------------------------------------------------------------------


async def models(query: str) -> Any:
    async with Serving() as server:
        answered = await exchange(server.url, request("GET", f"/v1/models?{query}"))
    assert answered.status == 200, answered.body
    return answered.json()


async def test_a_model_has_the_four_fields_of_older_answers() -> None:
    """MOD-7, MOD-4."""
    for model in (await models("limit=1000"))["data"]:
        assert model["type"] == "model"
        assert all(isinstance(model[name], str) and model[name] for name in ("id", "display_name"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", model["created_at"])


@pytest.mark.parametrize("name", ["claude-haiku-4-5", "claude%2Dhaiku%2D4%2D5", "claude-haiku-4-5-20251001"])
async def test_a_model_is_found_by_any_of_its_names_escaped_or_not(name: str) -> None:
    """MOD-3."""
    async with Serving() as server:
        answered = await exchange(server.url, request("GET", f"/v1/models/{name}"))
    assert (answered.status, answered.json()["id"]) == (200, "claude-haiku-4-5-20251001")


async def test_a_name_with_any_character_is_looked_for_as_it_is_meant() -> None:
    """MOD-3, ERR-46."""
    async with Serving() as server:
        answered = await exchange(server.url, request("GET", "/v1/models/us.acme%2Fclaude%3Av1%400"))
    assert error(answered, 404) == {"type": "not_found_error", "message": "model: us.acme/claude:v1@0"}


async def test_a_thousand_models_a_page_is_one_page() -> None:
    """CC-9, MOD-1."""
    page = await models("limit=1000")
    assert page["has_more"] is False
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
    assert len(page["data"]) > 10


async def test_arrays_in_a_query_come_in_brackets() -> None:
    """SDK-44: escaped or not."""
    for name in ("lifecycle[]", "lifecycle%5B%5D"):
        found = (await models(f"limit=1000&{name}=retired&{name}=deprecated"))["data"]
        assert {model["lifecycle"] for model in found} == {"retired", "deprecated"}


async def test_pages_move_on_to_their_end() -> None:
    """SDK-43: each page begins behind the last one's `last_id`."""
    whole = [model["id"] for model in (await models("limit=1000"))["data"]]
    seen: list[str] = []
    cursor = ""
    for _ in range(len(whole)):
        page = await models(f"limit=5{cursor}")
        seen += [model["id"] for model in page["data"]]
        cursor = f"&after_id={page['last_id']}"
        if not page["has_more"]:
            break
    assert seen == whole


async def test_a_workspace_that_is_named_is_the_key_s() -> None:
    """HDR-8."""
    async with Serving() as serving:
        own = serving.gateway.auth.workspace_id
        for given, status in ((own, 200), ("", 200), ("wrkspc_other", 403)):
            named = request(
                "POST", "/v1/messages", json_bytes(HELLO), *LEAST, ("anthropic-workspace-id", given), key=None
            )
            reply = await exchange(serving.url, named)
            assert reply.status == status, given
        assert reply.json()["error"]["type"] == "permission_error"
        assert "anthropic-workspace-id" in reply.json()["error"]["message"]
