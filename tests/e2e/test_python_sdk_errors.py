"""The official Python SDK, sync and async: each error status becomes its exception class, with a request id.

What our server refuses itself is asked of both servers. What only an upstream can say comes from one that fails as
it is told (`failing.py`), through a dragoman in front of it.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pytest
import pytest_asyncio
from anthropic import APIStatusError, Omit
from either import Client, connect, entered, listed, settled
from failing import KINDS, RETRY_AFTER_S, UPSTREAM_ID, Failing, served
from misbehaving import refused_url
from running import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODEL = "claude-opus-4-8"
HI: list[Any] = [{"role": "user", "content": "Hello, Claude"}]
each_face = pytest.mark.parametrize("face", ["sync", "async"])

# HTTP status -> the SDK's class (SDK section 3).
CLASSES: dict[int, type[APIStatusError]] = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    402: anthropic.PaymentRequiredError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    409: anthropic.ConflictError,
    413: anthropic.ContentTooLargeError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    504: anthropic.GatewayTimeoutError,
    529: anthropic.OverloadedError,
}


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["sync", "async"])
async def client(request: pytest.FixtureRequest, server: Running) -> AsyncIterator[Client]:
    async with entered(connect(request.param, server.url, server.key)) as opened:
        yield opened


async def refused(work: Any, kind: type[APIStatusError], status: int, error_type: str) -> APIStatusError:
    """The exception that a call raises, once it is known to be all that it should be."""
    with pytest.raises(APIStatusError) as caught:
        await settled(work())
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.type) == (status, error_type)
    assert error.request_id.startswith("req_")
    assert error.body["request_id"] == error.request_id
    assert error.body["type"] == "error"
    assert error.api_message
    return error


async def refused_create(client: Client, status: int, **params: Any) -> APIStatusError:
    params = {"model": MODEL, "max_tokens": 9, "messages": HI} | params
    return await refused(lambda: client.messages.create(**params), CLASSES[status], status, KINDS[status])


# -- what we refuse -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_400_names_the_wrong_field(client: Client, stream: bool) -> None:
    """STR-6: also when events were asked for."""
    error = await refused_create(client, 400, messages=[{"role": "robot", "content": "Hi"}], stream=stream)
    assert error.api_message == "messages.0.role: Input should be 'user' or 'assistant'"


async def test_400_from_the_stream_helper(client: Client) -> None:
    async def open_and_read() -> None:
        async with entered(client.messages.stream(model=MODEL, max_tokens=200_000, messages=HI)) as stream:
            await settled(stream.until_done())

    error = await refused(open_and_read, anthropic.BadRequestError, 400, "invalid_request_error")
    assert error.api_message.startswith("max_tokens: 200000 > 128000")


async def test_400_for_a_key_that_nobody_knows(client: Client) -> None:
    """MSG-30."""
    error = await refused_create(client, 400, extra_body={"foo": 1})
    assert error.api_message == "foo: Extra inputs are not permitted"


async def test_400_for_a_temperature_in_the_newer_version(client: Client) -> None:
    """MSG-3 a, whatever the model."""
    error = await refused_create(client, 400, model="claude-haiku-4-5", extra_body={"temperature": 0.5})
    assert "temperature" in error.api_message


async def test_400_for_a_temperature_that_a_newer_model_does_not_take(client: Client) -> None:
    """MSG-60, 61."""
    headers = {"anthropic-version": "2023-06-01"}
    error = await refused_create(client, 400, extra_body={"temperature": 0.5}, extra_headers=headers)
    assert error.api_message == "`temperature` is deprecated for this model."


async def test_400_for_a_budget_that_a_newer_model_does_not_take(client: Client) -> None:
    """MSG-60."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    error = await refused_create(client, 400, max_tokens=2000, thinking=thinking)
    assert error.api_message.startswith('"thinking.type.enabled" is not supported for this model.')


async def test_400_for_a_call_without_its_result(client: Client) -> None:
    """MSG-80."""
    call = {"type": "tool_use", "id": "toolu_01A", "name": "ping", "input": {}}
    error = await refused_create(client, 400, messages=[*HI, {"role": "assistant", "content": [call]}, *HI])
    assert "`tool_use` ids were found without `tool_result` blocks immediately after: toolu_01A" in error.api_message


async def test_400_for_bytes_that_are_no_image(client: Client) -> None:
    """MSG-91."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}}
    error = await refused_create(client, 400, messages=[{"role": "user", "content": [image]}])
    assert "image" in error.api_message.lower()


async def test_400_for_a_count_that_has_max_tokens(client: Client) -> None:
    """TOK-2."""
    error = await refused(
        lambda: client.messages.count_tokens(model=MODEL, messages=HI, extra_body={"max_tokens": 9}),
        anthropic.BadRequestError,
        400,
        "invalid_request_error",
    )
    assert error.api_message == "max_tokens: Extra inputs are not permitted"


async def test_401_for_a_wrong_bearer_key(client: Client) -> None:
    """ERR-42."""
    error = await refused_create(client.with_options(api_key="sk-wrong"), 401)
    assert error.api_message == "Invalid bearer token"


async def test_401_for_a_wrong_x_api_key(client: Client) -> None:
    """ERR-41."""
    headers = {"x-api-key": "sk-wrong", "authorization": Omit()}
    error = await refused_create(client.with_options(default_headers=headers), 401)
    assert error.api_message == "invalid x-api-key"


async def test_401_without_a_key(client: Client) -> None:
    """ERR-40; the SDK sends such a request only when told to."""
    error = await refused_create(client.with_options(default_headers={"authorization": Omit()}), 401)
    assert error.api_message == "x-api-key header is required"


async def test_401_comes_before_anything_about_the_body(client: Client) -> None:
    """HDR-9."""
    await refused_create(client.with_options(api_key="sk-wrong"), 401, messages=[], max_tokens=-1)


async def test_one_valid_key_of_two_is_enough(client: Client) -> None:
    """HDR-3."""
    both = client.with_options(default_headers={"x-api-key": "sk-wrong"})
    message = await settled(both.messages.create(model=MODEL, max_tokens=9, messages=HI))
    assert message.type == "message"


async def test_404_for_a_model_that_nobody_knows(client: Client) -> None:
    """ERR-46."""
    error = await refused_create(client, 404, model="sonnet4")
    assert error.api_message == "model: sonnet4"


async def test_404_for_a_model_to_be_retrieved(client: Client) -> None:
    """MOD-3."""
    error = await refused(lambda: client.models.retrieve("sonnet4"), anthropic.NotFoundError, 404, "not_found_error")
    assert error.api_message == "model: sonnet4"


async def test_404_for_a_path_that_is_not_there(client: Client) -> None:
    """ERR-47, SDK-45."""
    await refused(
        lambda: client.post("/v1/nothing", cast_to=object, body={}), anthropic.NotFoundError, 404, "not_found_error"
    )


async def test_405_for_another_method(client: Client) -> None:
    """ERR-23; SDK-30: a status without a class of its own."""
    await refused(lambda: client.get("/v1/messages", cast_to=object), APIStatusError, 405, "invalid_request_error")


async def test_413_for_a_body_over_32_mb(client: Client) -> None:
    """ERR-16, 24; afterwards the client goes on."""
    huge = "x" * (32 * 1024 * 1024)
    error = await refused_create(client, 413, messages=[{"role": "user", "content": huge}])
    assert error.api_message == "Request exceeds the maximum size"
    message = await settled(client.messages.create(model=MODEL, max_tokens=9, messages=HI))
    assert message.type == "message"


# -- what an upstream refuses -------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def failing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A dragoman in front of an upstream that fails as the model's name says."""
    with served(Failing()) as upstream:
        config = f'[providers.failing]\nbase_url = "{upstream.url}"\napi_key = "sk-upstream"\n'
        with Running(tmp_path_factory.mktemp("failing"), config) as server:
            yield server
    assert "Traceback" not in server.log()


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["sync", "async"])
async def unlucky(request: pytest.FixtureRequest, failing_server: Running) -> AsyncIterator[Client]:
    async with entered(connect(request.param, failing_server.url, failing_server.key)) as opened:
        yield opened


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", CLASSES)
async def test_an_upstream_s_error_arrives_as_it_is(unlucky: Client, status: int, stream: bool) -> None:
    error = await refused_create(unlucky, status, model=f"fail-{status}", stream=stream)
    assert error.request_id == UPSTREAM_ID
    assert error.api_message == f"a {KINDS[status]} of the upstream"
    assert error.response.headers.get("retry-after") == (str(RETRY_AFTER_S) if status == 429 else None)


async def test_a_proxy_s_page_becomes_an_envelope(unlucky: Client) -> None:
    error = await refused(
        lambda: unlucky.messages.create(model="page-502", max_tokens=9, messages=HI),
        anthropic.InternalServerError,
        502,
        "api_error",
    )
    assert "<html>" not in str(error)


@pytest.mark.parametrize("status", [429, 500, 529])
async def test_the_sdk_tries_again_until_it_has_a_reply(unlucky: Client, status: int) -> None:
    """SDK-22 to 24: what tells it to, and how soon, comes through."""
    model = f"busy-{status}-{type(unlucky).__name__}"
    patient = unlucky.with_options(max_retries=2)
    raw = await settled(patient.messages.with_raw_response.create(model=model, max_tokens=9, messages=HI))
    assert raw.retries_taken == 2
    assert (await settled(raw.parse())).content[0].text == "At last"


async def stream_of(client: Client, model: str) -> list[Any]:
    return await listed(await settled(client.messages.create(model=model, max_tokens=9, messages=HI, stream=True)))


async def test_an_error_in_mid_stream_is_raised(unlucky: Client) -> None:
    """STR-40, STR-51: the base class, whose status is that of the reply."""
    with pytest.raises(APIStatusError) as caught:
        await stream_of(unlucky, "cut-overloaded")
    error = caught.value
    assert (error.status_code, error.type, error.request_id) == (200, "overloaded_error", UPSTREAM_ID)


async def test_what_came_before_the_error_was_handed_on(unlucky: Client) -> None:
    async with entered(unlucky.messages.stream(model="cut-overloaded", max_tokens=9, messages=HI)) as stream:
        with pytest.raises(APIStatusError):
            await settled(stream.until_done())
        assert stream.current_message_snapshot.content[0].text == "Half of"


async def test_a_stream_that_breaks_off_is_an_error(unlucky: Client) -> None:
    """STR-42: never a silent end, which the SDK would take for a reply (STR-52)."""
    with pytest.raises(APIStatusError) as caught:
        await stream_of(unlucky, "cut-silent")
    assert (caught.value.status_code, caught.value.type) == (200, "api_error")


async def test_an_error_before_any_content_keeps_its_status(unlucky: Client) -> None:
    """STR-6: then the SDK knows its class, and can try again."""
    with pytest.raises(anthropic.OverloadedError) as caught:
        await stream_of(unlucky, "early-overloaded")
    assert (caught.value.status_code, caught.value.type) == (529, "overloaded_error")


@each_face
async def test_no_server_is_a_connection_error(face: str) -> None:
    async with entered(connect(face, refused_url(), "sk-any")) as nobody:
        with pytest.raises(anthropic.APIConnectionError):
            await settled(nobody.messages.create(model=MODEL, max_tokens=9, messages=HI))
