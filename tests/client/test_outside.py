"""Programs as others write them, found by somebody who had not seen the other tests: clients over several event loops,
replies and parameters inside Pydantic models, subclasses of the client. Beside the official package where it does the
same. SDK-7, SDK-9, SDK-40, SDK-41.
"""

import asyncio
import gc
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any, Literal

import anthropic
import httpx2
import pydantic
import pytest

import dragoman
from dragoman.http.link import Link

ASKED: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "max_tokens": 20,
    "messages": [{"role": "user", "content": "Hello"}],
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-8",
    "content": [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 7},
}
PACKAGES = [pytest.param(anthropic, id="official"), pytest.param(dragoman, id="ours")]


class Always(BaseHTTPRequestHandler):
    """The same message to whoever asks, on connections that are kept."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(MESSAGE).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def always() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Always) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


# -- event loops --


def test_an_async_client_outlives_its_event_loop() -> None:
    """SDK-9: `asyncio.run` again and again with one client, as scripts and notebooks do."""
    with always() as url:
        client = dragoman.AsyncClient(base_url=url, api_key="k", max_retries=0)
        loops = [asyncio.new_event_loop() for _ in range(4)]
        for loop in loops:
            assert loop.run_until_complete(client.messages.create(**ASKED)).role == "assistant"
        for loop in loops[1:]:
            loop.run_until_complete(_abandoned(client))
        loops[0].run_until_complete(client.close())
        for loop in loops:
            with pytest.raises(dragoman.APIConnectionError, match="closed"):
                loop.run_until_complete(client.messages.create(**ASKED))
            loop.close()


def test_what_a_closed_loop_left_is_not_used() -> None:
    with always() as url:
        client = dragoman.AsyncClient(base_url=url, api_key="k", max_retries=0)
        for _ in range(4):
            asyncio.run(_created_and_dropped(client))
            assert len(client._transport._seats) == 1  # type: ignore[attr-defined]


def test_threads_with_loops_of_their_own_share_a_client() -> None:
    with always() as url:
        client = dragoman.AsyncClient(base_url=url, api_key="k", max_retries=0)
        roles: list[str] = []

        async def thrice() -> None:
            roles.extend([(await client.messages.create(**ASKED)).role for _ in range(3)])
            await _abandoned(client)

        threads = [threading.Thread(target=asyncio.run, args=(thrice(),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert roles == ["assistant"] * 12


def test_clients_that_nobody_closed_leave_no_connections() -> None:
    """SDK-9: a web handler that makes a client for each request."""

    async def main(url: str) -> int:
        for _ in range(10):
            await dragoman.AsyncClient(base_url=url, api_key="k").messages.create(**ASKED)
        gc.collect()
        await asyncio.sleep(0)
        return sum(isinstance(each, Link) and not each.is_closed for each in gc.get_objects())

    with always() as url:
        assert asyncio.run(main(url)) == 0


def test_a_stream_of_a_client_that_nobody_holds_goes_on() -> None:
    async def main() -> list[str]:
        stream = await dragoman.AsyncClient.offline(script=["one two three"]).messages.create(**ASKED, stream=True)
        gc.collect()
        return [event.type async for event in stream]

    assert asyncio.run(main())[-1] == "message_stop"


async def _abandoned(client: dragoman.AsyncClient) -> None:
    """Closes this loop's connections, so that the test leaves none."""
    client._transport._transport_of(asyncio.get_running_loop()).abandon()  # type: ignore[attr-defined]
    await asyncio.sleep(0)


async def _created_and_dropped(client: dragoman.AsyncClient) -> None:
    assert (await client.messages.create(**ASKED)).role == "assistant"
    await _abandoned(client)


# -- Pydantic --


def of(package: ModuleType) -> Any:
    return package.types.Message.model_validate(MESSAGE)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_model_holds_replies(package: Any) -> None:
    """SDK-40: what FastAPI does with a reply: validate, dump, describe."""

    class Held(pydantic.BaseModel):
        message: package.types.Message
        content: list[package.types.TextBlock | package.types.ToolUseBlock]
        blocks: list[package.types.ContentBlock]
        either: package.types.Usage | str | None = None

    message = of(package)
    data = message.model_dump()
    held = Held(message=message, content=message.content, blocks=message.content, either="none")
    again = Held.model_validate({"message": data, "content": data["content"], "blocks": data["content"]})
    for each in (held, again):
        assert [block.type for block in each.content] == ["text", "tool_use"]
        assert isinstance(each.blocks[1], package.types.ToolUseBlock)
        assert each.model_dump(mode="json")["message"] == message.model_dump(mode="json")
        assert json.loads(each.model_dump_json(exclude_none=True))["blocks"] == [
            block.model_dump(exclude_none=True) for block in message.content
        ]
    assert held.either == "none"
    assert held.message is message
    schema = json.dumps(Held.model_json_schema())
    assert all(name in schema for name in ("stop_reason", "input_tokens", "citations"))


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("bad", ["a text", {"id": 1}, 3, None, {**MESSAGE, "type": "completion"}])
def test_a_model_refuses_what_is_no_reply(package: Any, bad: Any) -> None:
    class Held(pydantic.BaseModel):
        message: package.types.Message

    with pytest.raises(pydantic.ValidationError):
        Held(message=bad)
    with pytest.raises(ValueError):
        package.types.TextBlock.model_validate("text")
    with pytest.raises(ValueError):
        package.types.TextBlock(type="text")


@pytest.mark.parametrize("package", PACKAGES)
def test_pydantic_writes_replies_where_a_model_says_any(package: Any) -> None:
    class Held(pydantic.BaseModel):
        anything: Any

    message = of(package)
    whole = message.model_dump(mode="json")
    assert json.loads(Held(anything=[message]).model_dump_json()) == {"anything": [whole]}
    assert pydantic.TypeAdapter(Any).dump_python({"m": message}, mode="json") == {"m": whole}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_model_holds_parameters(package: Any) -> None:
    """The body of a chat endpoint: Python 3.11 needs the TypedDict of typing_extensions for that."""

    class Chat(pydantic.BaseModel):
        messages: list[package.types.MessageParam]
        tools: list[package.types.ToolParam] = []
        beta: list[package.types.beta.BetaMessageParam] = []

    text = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}
    chat = Chat.model_validate({"messages": [{"role": "user", "content": "Hello"}, text], "beta": [text]})
    dumped = chat.model_dump()
    assert dumped["messages"][0] == {"role": "user", "content": "Hello"}
    assert list(dumped["messages"][1]["content"]) == text["content"]
    with pytest.raises(pydantic.ValidationError):
        Chat.model_validate({"messages": [{"content": "Hello"}]})


@pytest.mark.parametrize("package", PACKAGES)
def test_parts_of_a_dump_are_left_out_or_picked(package: Any) -> None:
    message = of(package)
    without = message.model_dump(exclude={"content": {"__all__": {"citations"}}, "usage": {"input_tokens"}, "id": True})
    assert "id" not in without
    assert without["content"][0] == {"type": "text", "text": "Let me see."}
    assert "input_tokens" not in without["usage"]
    assert without["usage"]["output_tokens"] == 7
    picked = message.model_dump(include={"content": {-1: {"name", "input"}}, "usage": ..., "role": True})
    assert picked["content"] == [{"name": "weather", "input": {"city": "Oslo"}}]
    assert picked.keys() == {"content", "usage", "role"}
    assert json.loads(message.model_dump_json(include={"usage": {"output_tokens"}})) == {"usage": {"output_tokens": 7}}


# -- subclasses, and clients of httpx2 --


def _seen(package: Any, cls: type[Any], **options: Any) -> httpx2.Request:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=MESSAGE)

    with httpx2.Client(transport=httpx2.MockTransport(answer), timeout=options.pop("limit", 5)) as http_client:
        client = cls(api_key="of-the-client", http_client=http_client, **options)
        client.with_options(max_retries=0).messages.create(**ASKED)
    return seen[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_subclass_says_which_headers_are_sent(package: Any) -> None:
    """SDK-7: properties that are made to be overridden."""

    class Team(package.Anthropic):  # type: ignore[misc]
        @property
        def default_headers(self) -> dict[str, Any]:
            return {**super().default_headers, "x-team": "search"}

    class Vault(package.Anthropic):  # type: ignore[misc]
        @property
        def auth_headers(self) -> dict[str, str]:
            return {"x-api-key": "of-the-vault"}

    sent = _seen(package, Team).headers
    assert sent["x-team"] == "search"
    assert "of-the-client" in (sent.get("x-api-key") or sent["authorization"])
    sent = _seen(package, Vault).headers
    assert sent["x-api-key"] == "of-the-vault"
    assert "authorization" not in sent


def test_a_copy_has_what_a_subclass_added() -> None:
    class Team(dragoman.Anthropic):
        def __init__(self, team: str, **options: Any) -> None:
            super().__init__(**options)
            self.team = team

    client = Team("search", api_key="k")
    assert client.messages._client is client
    copy = client.with_options(timeout=3)
    assert copy.team == "search"
    assert copy.messages._client is copy


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("limit", [5, 7, None])
def test_limits_of_a_client_that_is_handed_in_count(package: Any, limit: Literal[5, 7] | None) -> None:
    """SDK-20: unless they are httpx2's own 5 seconds, or the caller says others."""
    read = 600 if limit == 5 else limit
    assert _seen(package, package.Anthropic, limit=limit).extensions["timeout"]["read"] == read
    assert _seen(package, package.Anthropic, limit=limit, timeout=2).extensions["timeout"]["read"] == 2
