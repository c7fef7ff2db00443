"""What a caller gets to see of a refused request: class, status, body, message, ids, headers (spec SDK-30 to SDK-33).

Every test runs with the official SDK too; where ours differs on purpose, `client_faults.DIFFERENCES` says why.
"""

import copy
import json
import pickle
from typing import Any

import pytest
from canned import MESSAGE, UPSTREAM_ID, envelope, sse
from client_faults import Face, create, each_of, every_client, stream, trial
from either import first, settled
from misbehaving import LAST_CHUNK, chunk, chunked_head, json_reply, reply, replying, sse_head

JSON = ("content-type", "application/json")
TEXT = ("content-type", "text/plain")

# SDK-30: HTTP status -> class; the rest by the classes of its status.
CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    402: "PaymentRequiredError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    405: "APIStatusError",
    406: "APIStatusError",
    408: "RequestTimeoutError",
    409: "ConflictError",
    410: "APIStatusError",
    412: "PreconditionFailedError",
    413: "ContentTooLargeError",
    418: "APIStatusError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    431: "RequestHeaderFieldsTooLargeError",
    451: "APIStatusError",
    499: "ClientClosedRequestError",
    500: "InternalServerError",
    501: "HTTPNotImplementedError",
    502: "InternalServerError",
    503: "ServiceUnavailableError",
    504: "GatewayTimeoutError",
    520: "InternalServerError",
    529: "OverloadedError",
    599: "InternalServerError",
    # neither 2xx nor an error: no redirect either, since no place is named
    300: "APIStatusError",
    302: "APIStatusError",
}
# SDK-30: which class also catches which.
PARENTS = {
    "AnthropicError": "Exception",
    "APIError": "AnthropicError",
    "APIConnectionError": "APIError",
    "APITimeoutError": "APIConnectionError",
    "APIResponseValidationError": "APIError",
    "APIStatusError": "APIError",
    **{name: "APIStatusError" for status, name in CLASSES.items() if status < 500 and name != "APIStatusError"},
    "InternalServerError": "APIStatusError",
    **{name: "InternalServerError" for status, name in CLASSES.items() if status > 500 and name[:8] != "Internal"},
}


async def refused(face: Face, answer: bytes, **params: Any) -> Any:
    """The exception of a call that is answered so, and never tried again."""
    async with trial(face, replying(answer), max_retries=0) as t:
        with pytest.raises(t.sdk.APIStatusError) as caught:
            await create(t.client, **params)
        assert t.attempts == 1
    return caught.value


# -- the class -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", CLASSES)
@every_client
async def test_the_class_is_chosen_by_the_status(face: Face, status: int) -> None:
    """SDK-30, ERR-10 to ERR-21: by the status, whatever `error.type` says."""
    exc = await refused(face, json_reply(envelope("billing_error"), ("request-id", UPSTREAM_ID), status=status))
    assert type(exc) is getattr(face.sdk, CLASSES[status])
    assert exc.status_code == exc.response.status_code == status
    assert exc.type == "billing_error"
    assert exc.request_id == UPSTREAM_ID


@pytest.mark.parametrize("status", [200, 201, 202, 299])
@every_client
async def test_every_2xx_is_a_success(face: Face, status: int) -> None:
    async with trial(face, replying(json_reply(MESSAGE, status=status))) as t:
        assert (await create(t.client)).id == MESSAGE["id"]


@pytest.mark.parametrize("name", PARENTS)
@every_client
async def test_the_tree(face: Face, name: str) -> None:
    """SDK-30: `except` of a parent catches the child."""
    parent = PARENTS[name]
    assert getattr(face.sdk, name).__base__ is (Exception if parent == "Exception" else getattr(face.sdk, parent))


@every_client
async def test_the_old_name_of_413(face: Face) -> None:
    """SDK-30: RequestTooLargeError is ContentTooLargeError."""
    assert face.sdk.RequestTooLargeError is face.sdk.ContentTooLargeError


# -- the body ------------------------------------------------------------------------------------------------------

ENVELOPE = envelope("invalid_request_error", details={"error_code": "made_up", "more": [1]})
BODIES: dict[str, Any] = {  # a reply, then: body, str(e), type
    "the envelope": (
        json_reply(ENVELOPE, status=400),
        ENVELOPE,
        f"Error code: 400 - {ENVELOPE}",
        "invalid_request_error",
    ),
    "another object": (
        json_reply({"detail": "x"}, status=400),
        {"detail": "x"},
        "Error code: 400 - {'detail': 'x'}",
        None,
    ),
    "error is text": (json_reply({"error": "x"}, status=400), {"error": "x"}, "Error code: 400 - {'error': 'x'}", None),
    "error without a type": (
        json_reply({"error": {"message": "x"}}, status=400),
        {"error": {"message": "x"}},
        "Error code: 400 - {'error': {'message': 'x'}}",
        None,
    ),
    "an unknown type": (
        json_reply({"error": {"type": "strange_error"}}, status=400),
        {"error": {"type": "strange_error"}},
        "Error code: 400 - {'error': {'type': 'strange_error'}}",
        "strange_error",
    ),
    "a list": (json_reply([1, "x"], status=400), [1, "x"], "Error code: 400 - [1, 'x']", None),
    "JSON text": (json_reply("x", status=400), "x", "Error code: 400 - x", None),
    "a number": (json_reply(7, status=400), 7, "Error code: 400 - 7", None),
    "null": (json_reply(None, status=400), None, "Error code: 400 - None", None),
    "JSON called text": (reply(b'{"a": 1}', TEXT, status=400), {"a": 1}, "Error code: 400 - {'a': 1}", None),
    "JSON of no type": (reply(b'{"a": 1}', status=400), {"a": 1}, "Error code: 400 - {'a': 1}", None),
    "space around": (reply(b' {"a": 1}\n', JSON, status=400), {"a": 1}, "Error code: 400 - {'a': 1}", None),
    "text": (reply(b"no such thing\n", TEXT, status=400), "no such thing", "no such thing", None),
    "text called JSON": (reply(b"upstream error", JSON, status=400), "upstream error", "upstream error", None),
    "half of it": (reply(b'{"type": "err', JSON, status=400), '{"type": "err', '{"type": "err', None),
    "a page": (
        reply(b"<html>Bad gateway</html>", ("content-type", "text/html"), status=400),
        "<html>Bad gateway</html>",
        "<html>Bad gateway</html>",
        None,
    ),
    "nothing": (reply(b"", status=400), "", "Error code: 400", None),
    "only space": (reply(b" \r\n", TEXT, status=400), "", "Error code: 400", None),
    "Latin text": (
        reply("déjà".encode("latin-1"), ("content-type", "text/plain; charset=ISO-8859-1"), status=400),
        "déjà",
        "déjà",
        None,
    ),
    "no UTF-8": (reply(b'{"a": "\xff"}', JSON, status=400), {"a": "\ufffd"}, "Error code: 400 - {'a': '\ufffd'}", None),
    "an event stream": (
        reply(b"event: error\ndata: {}", ("content-type", "text/event-stream"), status=400),
        "event: error\ndata: {}",
        "event: error\ndata: {}",
        None,
    ),
}


@each_of(BODIES)
@every_client
async def test_body_and_message(face: Face, value: tuple[bytes, Any, str, str | None]) -> None:
    """SDK-31, ERR-4: `body` is the decoded JSON, else the text; the message shows it."""
    answer, body, message, kind = value
    exc = await refused(face, answer)
    assert exc.body == body
    assert type(exc.body) is type(body)
    assert str(exc) == exc.message == message
    assert exc.type == kind
    assert exc.request_id is None


@every_client
async def test_what_the_envelope_says_is_told_apart(face: Face) -> None:
    """SDK-30, ERR-2, ERR-3: `details` may be read with dots or be missing."""
    told = envelope("rate_limit_error", details={"error_code": "made_up", "limit": {"left": 3}})
    exc = await refused(face, json_reply(told, ("anthropic-workspace-id", "wrkspc_1"), status=429))
    assert exc.error_code == "made_up"
    assert exc.api_message == "a rate_limit_error of the upstream"
    assert exc.workspace_id == "wrkspc_1"
    assert exc.details.error_code == "made_up"
    plain = await refused(face, json_reply(envelope("rate_limit_error"), status=429))
    assert (plain.error_code, plain.details, plain.workspace_id) == (None, None, None)


CODES = {
    "thread_unsupported_request": (400, "BadRequestError"),
    "thread_not_found": (404, "NotFoundError"),
    "file_expired": (404, "NotFoundError"),
    "ramp_limit_exceeded": (429, "RateLimitError"),
    "compaction_unavailable": (529, "OverloadedError"),
}


@pytest.mark.parametrize("code", CODES)
@every_client
async def test_an_error_code_is_caught_by_the_class_of_its_status(face: Face, code: str) -> None:
    """SDK-30, ERR-30: whatever own class a code has, the status's class catches it."""
    status, parent = CODES[code]
    exc = await refused(face, json_reply(envelope(details={"error_code": code}), status=status))
    assert isinstance(exc, getattr(face.sdk, parent))
    assert exc.error_code == code


@pytest.mark.parametrize("code", [None, 7, "", ["x"], "no_such_code", "thread_not_found"])
@every_client
async def test_an_error_code_that_makes_no_sense(face: Face, code: Any) -> None:
    """SDK-30: a code of another status, or of no status, changes nothing."""
    exc = await refused(face, json_reply(envelope(details={"error_code": code}), status=400))
    assert type(exc) is face.sdk.BadRequestError
    assert exc.error_code == (code if isinstance(code, str) else None)


# -- the response --------------------------------------------------------------------------------------------------


@every_client
async def test_the_response_is_at_hand(face: Face) -> None:
    """SDK-31: what httpx's Response offers, as programs use it."""
    headers = [("Retry-After", "17"), ("x-twice", "a"), ("x-twice", "b"), ("request-id", UPSTREAM_ID)]
    exc = await refused(face, json_reply(envelope(), *headers, status=400))
    response = exc.response
    assert response.headers["retry-after"] == response.headers.get("RETRY-AFTER") == "17"
    assert response.headers["x-twice"] == "a, b"
    assert "request-id" in response.headers
    assert response.headers.get("x-none") is None
    assert response.headers.get("x-none", "y") == "y"
    assert dict(response.headers)["request-id"] == UPSTREAM_ID
    assert response.json() == envelope()
    assert json.loads(response.text) == json.loads(response.content) == envelope()
    assert response.reason_phrase == "Bad Request"
    assert response.is_success is False
    assert response.is_error is True


@every_client
async def test_the_request_is_at_hand(face: Face) -> None:
    """SDK-31: of a status error and of a connection error."""
    exc = await refused(face, json_reply(envelope(), status=400))
    for request in (exc.request, exc.response.request):
        assert request.method == "POST"
        assert str(request.url).endswith("/v1/messages")
        assert request.headers["anthropic-version"] == "2026-10-21"
        assert json.loads(request.content)["max_tokens"] == 64


@every_client
async def test_an_error_can_be_pickled_and_copied(face: Face) -> None:
    """It crosses the border of a process, as in a pool of workers."""
    exc = await refused(face, json_reply(envelope(), ("request-id", UPSTREAM_ID), status=529))
    for twin in (pickle.loads(pickle.dumps(exc)), copy.copy(exc)):
        assert type(twin) is type(exc)
        assert str(twin) == str(exc)
        assert (twin.status_code, twin.request_id, twin.body, twin.type) == (529, UPSTREAM_ID, envelope(), exc.type)
        assert twin.response.headers["request-id"] == UPSTREAM_ID


@every_client
async def test_an_error_made_by_hand(face: Face) -> None:
    """Tests of programs raise the SDK's errors themselves, out of an httpx2 response."""
    import httpx2

    request = httpx2.Request("POST", "http://127.0.0.1/v1/messages")
    response = httpx2.Response(429, headers={"request-id": "req_1"}, request=request)
    exc = face.sdk.RateLimitError("slow down", response=response, body={"error": {"type": "rate_limit_error"}})
    assert str(exc) == exc.message == "slow down"
    assert (exc.status_code, exc.request_id, exc.type) == (429, "req_1", "rate_limit_error")
    assert exc.request is request
    broken = face.sdk.APIConnectionError(request=request)
    assert (str(broken), broken.body) == ("Connection error.", None)
    assert str(face.sdk.APIConnectionError(message="gone", request=request)) == "gone"
    assert isinstance(face.sdk.APITimeoutError(request), face.sdk.APIConnectionError)


# -- elsewhere than in messages.create -----------------------------------------------------------------------------


@every_client
async def test_a_stream_that_is_refused(face: Face) -> None:
    """SDK-30: the same as without a stream: at the call, with the whole body read."""
    exc = await refused(face, json_reply(envelope(), ("request-id", UPSTREAM_ID), status=529), stream=True)
    assert type(exc) is face.sdk.OverloadedError
    assert exc.body == envelope()
    assert exc.request_id == UPSTREAM_ID
    assert exc.response.json() == envelope()


@every_client
async def test_a_stream_that_is_refused_in_chunks(face: Face) -> None:
    body = json.dumps(envelope()).encode()
    answer = chunked_head(JSON, status=400) + chunk(body[:9]) + chunk(body[9:]) + LAST_CHUNK
    assert (await refused(face, answer, stream=True)).body == envelope()


CALLS: dict[str, Any] = {
    "count_tokens": lambda c: c.messages.count_tokens(model="m", messages=[{"role": "user", "content": "x"}]),
    "models.retrieve": lambda c: c.models.retrieve("m"),
    "models.list": lambda c: c.models.list(),
    "batches.retrieve": lambda c: c.messages.batches.retrieve("b"),
    "batches.delete": lambda c: c.messages.batches.delete("b"),
    "beta.messages": lambda c: c.beta.messages.create(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]
    ),
    "raw": lambda c: c.messages.with_raw_response.create(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]
    ),
    "post": lambda c: c.post("/v1/else", cast_to=object, body={}),
}


@each_of(CALLS)
@every_client
async def test_every_call_raises_alike(face: Face, value: Any) -> None:
    """SDK-30, SDK-45."""
    async with trial(face, replying(json_reply(envelope("not_found_error"), status=404))) as t:
        with pytest.raises(t.sdk.NotFoundError) as caught:
            await settled(value(t.client))
        assert caught.value.type == "not_found_error"
        assert t.attempts == 1


# -- inside a stream -----------------------------------------------------------------------------------------------

IN_STREAM: dict[str, Any] = {  # the event, then: body, message, type
    "the envelope": (sse(envelope()), envelope(), str(envelope()), "overloaded_error"),
    "text": (b"event: error\ndata: oops\n\n", "oops", "oops", None),
    "nothing": (b"event: error\ndata:\n\n", "", "Error code: 200", None),
    "a list": (b"event: error\ndata: [1]\n\n", [1], "[1]", None),
}


@each_of(IN_STREAM)
@every_client
async def test_an_error_inside_a_stream(face: Face, value: tuple[bytes, Any, str, str | None]) -> None:
    """STR-40: status 200 has been sent, so the class says nothing and `.type` says all."""
    event, body, message, kind = value
    answer = sse_head(("request-id", UPSTREAM_ID)) + chunk(event) + LAST_CHUNK
    async with trial(face, replying(answer)) as t:
        events = await stream(t.client)
        with pytest.raises(t.sdk.APIStatusError) as caught:
            await first(events)
        assert t.attempts == 1
    exc = caught.value
    assert type(exc) is face.sdk.APIStatusError
    assert (exc.body, str(exc), exc.type) == (body, message, kind)
    assert (exc.status_code, exc.request_id) == (200, UPSTREAM_ID)
