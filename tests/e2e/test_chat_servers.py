"""Servers of Chat Completions that do as they like: one of each kind behind dragoman, on real sockets. Cases of pain.md
are cited by their number.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import anthropic
import pytest
from fake_openai import FakeOpenAI
from fake_provider import PATIENCE_S, FakeProvider
from running import Running

import dragoman

CONFIG = """
[server]
ping_after_s = 0.1

[models.claude-local]
targets = ["plain/thinker-1"]

[providers.plain]
dialect = "openai_chat"
base_url = "{fake.url}"
api_key = "{fake.key}"

[providers.small]
host = "ollama"
base_url = "{fake.url}"
api_key = "{fake.key}"
"""
TOOLS = [{"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProvider]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture(scope="module")
def server(fake: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("servers"), CONFIG.format(fake=fake)) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture(scope="module", params=["official", "ours"])
def client(request: pytest.FixtureRequest, server: Running) -> Iterator[Any]:
    made: Any = anthropic.Anthropic if request.param == "official" else dragoman.Anthropic
    with made(api_key=server.key, base_url=server.url, max_retries=2, timeout=20) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_was_refused(fake: FakeProvider) -> Iterator[None]:
    fake.forget()
    yield
    assert fake.refused == []


def asked(client: Any, text: str, *, stream: bool, model: str = "plain/thinker-1", **fields: Any) -> Any:
    ask: dict[str, Any] = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}], **fields}
    if not stream:
        return client.messages.create(**ask)
    with client.messages.stream(**ask) as events:
        return events.get_final_message()


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_of_the_other_kind(client: Any, stream: bool) -> None:
    """A whole reply where a stream was asked for, and a stream where a whole reply was: the same message as ever."""
    message = asked(client, "!other way: Paris and Rome?", stream=stream, tools=TOOLS)
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block.input for block in message.content[2:]] == [{"city": "Paris"}, {"city": "Rome"}]
    assert message.stop_reason == "tool_use"
    assert message.usage.cache_read_input_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_sequence(client: Any, fake: FakeProvider, stream: bool) -> None:
    """Pain 42: found in a stream, whichever way the caller wants the reply; no more of it is read."""
    message = asked(client, f"one END {'two ' * 20_000}", stream=stream, stop_sequences=["nowhere", "END"])
    assert message.content[-1].text == "You said: one "
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    assert [(body["stream"], "stop" in body) for body in fake.bodies] == [(True, False)]
    assert stream or fake.hung_up.wait(PATIENCE_S)  # of a stream half a second more is read


def test_a_message_that_ends_at_a_stop_sequence_has_the_same_usage_streamed_or_not(client: Any) -> None:
    """The provider tells none then: it is the same estimate."""
    text = "one END two " * 50
    whole, streamed = (asked(client, text, stream=stream, stop_sequences=["END"]) for stream in (False, True))
    assert whole.stop_reason == streamed.stop_reason == "stop_sequence"
    assert whole.usage.to_dict() == streamed.usage.to_dict()


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_cut_in_silence(client: Any, fake: FakeProvider, stream: bool) -> None:
    """Pain 52: what Ollama tells to have read gives it away. It is refused once: the same again would be cut again."""
    text = "!cut " + "Every word of it counts. " * 1600
    with pytest.raises(Exception, match="prompt is too long: ") as failed:
        asked(client, text, stream=stream, model="small/llama3")
    assert failed.value.body["error"]["type"] == "invalid_request_error"
    if not stream:
        assert failed.value.status_code == 400
    assert len(fake.bodies) == 1
    assert asked(client, "!cut " + "Every word. " * 100, stream=stream, model="small/llama3").content
    assert asked(client, text, stream=stream, model="plain/llama3").content  # another host that tells odd usage


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_fails_is_asked_as_often_as_the_client_asks(
    client: Any, fake: FakeProvider, stream: bool
) -> None:
    """Pain 29, 53: a grammar that it cannot make, say; its words come through, and nothing is tried again here."""
    with pytest.raises(Exception, match="The server had an error") as failed:
        asked(client, "!500", stream=stream)
    assert (failed.value.status_code, failed.value.body["error"]["type"]) == (502, "api_error")
    assert len(fake.bodies) == 1 + client.max_retries


@pytest.mark.parametrize("name", ["claude-opus-4-8", "plain/gpt-4o"])
def test_the_model_of_a_reply_is_the_one_that_was_asked_for(client: Any, name: str) -> None:
    """Pain 40: both ways, whatever the server calls it."""
    names = {asked(client, "Hi", stream=stream, model=name).model for stream in (False, True)}
    assert names == {name}


def test_the_models_that_a_client_finds(client: Any, server: Running) -> None:
    """Pain 41: in the API's own shape, at once and without a detour, names of the configuration among them."""
    assert "claude-local" in {model.id for model in client.models.list(limit=1000)}
    with told(server, "GET", "/v1/models?limit=1000") as reply:
        assert reply.status == 200
        page = json.loads(reply.read())
    assert page.keys() == {"data", "has_more", "first_id", "last_id"}


# Every key that an event of the API has, by its path; what stands in a call's input is the model's.
KEYS = {
    "message_start": {
        "type", "message", "id", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage",
        "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens", "service_tier",
    },
    "content_block_start": {
        "type", "index", "content_block", "text", "thinking", "signature", "id", "name", "input", "caller",
    },
    "content_block_delta": {"type", "index", "delta", "text", "thinking", "signature", "partial_json"},
    "content_block_stop": {"type", "index"},
    "message_delta": {
        "type", "delta", "stop_reason", "stop_sequence", "stop_details", "usage", "input_tokens", "output_tokens",
        "cache_creation_input_tokens", "cache_read_input_tokens",
    },
    "message_stop": {"type"},
    "ping": {"type"},
}  # fmt: skip


def test_a_stream_holds_nothing_of_the_other_dialect(server: Running) -> None:
    """Pain 55: no [DONE], no total_tokens, no choices: events of the API with their own keys."""
    body = {"messages": [{"role": "user", "content": "Paris and Rome?"}], "tools": TOOLS, "max_tokens": 100}
    with told(server, "POST", "/v1/messages", {"model": "claude-local", "stream": True, **body}) as reply:
        lines = reply.read().decode().splitlines()
    assert all(line.startswith(("event: ", "data: ")) for line in lines if line)
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [line.removeprefix("event: ") for line in lines if line.startswith("event: ")] == [
        event["type"] for event in events
    ]
    assert {event["type"] for event in events} >= KEYS.keys() - {"ping"}
    for event in events:
        assert set(keys(event)) <= KEYS[event["type"]]


def keys(value: Any) -> Iterator[str]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield name
        yield from keys(inner)


def test_a_server_that_is_silent_does_not_look_dead(server: Running) -> None:
    """Pain 18: headers and a ping come while nothing else does."""
    body = {"messages": [{"role": "user", "content": "!silent"}], "max_tokens": 100, "stream": True}
    with told(server, "POST", "/v1/messages", {"model": "claude-local", **body}) as reply:
        assert reply.status == 200
        assert reply.readline() == b"event: ping\n"


@contextmanager
def told(server: Running, method: str, path: str, body: Any = None) -> Iterator[http.client.HTTPResponse]:
    """The reply to a request that a test writes itself."""
    parts = urlsplit(server.url)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    headers = {"x-api-key": server.key, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        yield connection.getresponse()
    finally:
        connection.close()
