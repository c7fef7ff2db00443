"""Tool runners: ours and the official one play the same scenes with the same server. SDK-61 to 66, 68.

A scene is written once and played by eight runners: official and ours, sync and async, streamed and not. What goes over
the wire, what the runner shows, which tools are called with what, and how it ends must be the same; where ours does
otherwise on purpose, the scene says so.
"""

import asyncio
import functools
import importlib
import inspect
import json
import logging
import os
import ssl
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any
from unittest.mock import patch

import anthropic
import pydantic
import pytest
from either import settled

import dragoman

Json = dict[str, Any]
MODEL = "claude-opus-4-8"
TRUST = ssl.create_default_context()  # once: to read the system's certificates takes 20 ms
ASK: Json = {"role": "user", "content": "What is the weather in Tokyo?"}
CREATE = {"type": "create"}


# -- the server --


def message(number: int, *content: Json, stop: str | None = "end_turn", **more: Any) -> Json:
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 5},
        **more,
    }


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def call(number: int, name: str = "get_weather", **given: Any) -> Json:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": given}


@dataclass
class Refusal:
    status: int
    kind: str
    details: Json | None = None

    @property
    def body(self) -> Json:
        error = {"type": self.kind, "message": "refused"} | ({"details": self.details} if self.details else {})
        return {"type": "error", "error": error, "request_id": "req_1"}


def unsupported(*features: str) -> Refusal:
    return Refusal(
        400, "invalid_request_error", {"error_code": "thread_unsupported_request", "unsupported": list(features)}
    )


def lost(code: str = "thread_not_found") -> Refusal:
    return Refusal(404, "not_found_error", {"error_code": code})


@dataclass
class Cut:
    """A stream that ends after so many events, without a word."""

    reply: Json
    events: int


@dataclass
class Events:
    """A stream of just these."""

    events: list[Json]


Reply = Json | Refusal | Cut | Events


def events_of(reply: Json) -> list[Json]:
    """The stream of a message."""
    start = reply | {"content": [], "stop_reason": None}
    events: list[Json] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(reply["content"]):
        events += [{"index": index} | each for each in _block_events(block)]
    ending = {"stop_reason": reply["stop_reason"], "stop_sequence": None}
    if "container" in reply:
        ending["container"] = reply["container"]
    return [
        *events,
        {"type": "message_delta", "delta": ending, "usage": reply["usage"]},
        {"type": "message_stop"},
    ]


def _block_events(block: Json) -> Iterator[Json]:
    deltas: list[Json] = []
    match block["type"]:
        case "text":
            start, deltas = (
                {**block, "text": ""},
                [{"type": "text_delta", "text": word} for word in block["text"].split(" ")],
            )
        case "tool_use":
            whole = json.dumps(block["input"])
            parts = [whole[:4], whole[4:]] if block["input"] else []
            start, deltas = (
                {**block, "input": {}},
                [{"type": "input_json_delta", "partial_json": part} for part in parts],
            )
        case "compaction":
            start, deltas = {**block, "content": None}, [{"type": "compaction_delta", "content": block["content"]}]
        case _:
            start = block
    yield {"type": "content_block_start", "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "delta": delta}
    yield {"type": "content_block_stop"}


def stream_of(reply: Reply) -> list[Json]:
    match reply:
        case Events(events):
            return events
        case Cut(whole, count):
            return events_of(whole)[:count]
        case dict():
            return events_of(reply)
    raise AssertionError(reply)


class Server:
    """Gives the replies of a script, one after the other, and keeps the requests."""

    def __init__(self, replies: list[Reply]) -> None:
        self.replies = list(replies)
        self.bodies: list[Json] = []
        self.betas: list[str | None] = []
        self.headers: list[Json] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body go out together
    server: Any

    def do_POST(self) -> None:
        script: Server = self.server.script
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        script.bodies.append(body)
        script.betas.append(self.headers.get("anthropic-beta"))
        script.headers.append({name.lower(): value for name, value in self.headers.items()})
        reply = script.replies.pop(0) if script.replies else Refusal(418, "invalid_request_error")
        if isinstance(reply, Refusal):
            self._send(reply.status, "application/json", json.dumps(reply.body).encode())
        elif body.get("stream"):
            stream = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in stream_of(reply))
            self._send(200, "text/event-stream", stream.encode())
        else:
            self._send(200, "application/json", json.dumps(reply).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def listener() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


# -- the players --


@dataclass(frozen=True)
class Face:
    is_ours: bool
    is_async: bool
    is_stream: bool

    def __str__(self) -> str:
        words = ["ours" if self.is_ours else "official", "async" if self.is_async else "sync"]
        return "-".join([*words, "stream"] if self.is_stream else words)

    @property
    def sdk(self) -> ModuleType:
        return importlib.import_module("dragoman" if self.is_ours else "anthropic")


@dataclass
class Play:
    """One scene, as one face plays it: what it is given, and what it has come to."""

    face: Face
    client: Any
    server: Server
    log: list[Any] = field(default_factory=list)  # calls of tools, and what the scene notes
    shown: list[Json] = field(default_factory=list)  # the messages
    outcome: Any = None

    def tool(self, function: Callable[..., Any], **options: Any) -> Any:
        """As a tool of the flavour at hand, whose calls are logged."""

        def noted(*args: Any, **given: Any) -> Any:
            bound = inspect.signature(function).bind(*args, **given)
            bound.apply_defaults()
            self.log.append((function.__name__, bound.arguments))
            return function(*args, **given)

        if not self.face.is_async:
            return self.face.sdk.beta_tool(functools.wraps(function)(noted), **options)

        async def later(*args: Any, **given: Any) -> Any:
            await asyncio.sleep(0)
            return noted(*args, **given)

        return self.face.sdk.beta_async_tool(functools.wraps(function)(later), **options)

    def runner(self, *tools: Any, **params: Any) -> Any:
        given: Json = {"model": MODEL, "max_tokens": 100, "messages": [ASK], **params}
        tools = tuple(self.tool(each) if inspect.isfunction(each) else each for each in tools)
        if self.face.is_stream:
            given["stream"] = True
        return self.client.beta.messages.tool_runner(tools=list(tools), **given)

    async def each(self, runner: Any, handle: Callable[[Any, Json], Any] | None = None) -> None:
        """Run to the end; `handle` is called in the loop's body, with the item and the message."""
        if self.face.is_async:
            async for item in runner:
                await self._note(item, handle)
        else:
            for item in runner:
                await self._note(item, handle)

    async def _note(self, item: Any, handle: Callable[[Any, Json], Any] | None) -> None:
        whole = await settled(item.get_final_message()) if self.face.is_stream else item
        self.shown.append(as_json(whole))
        if handle is not None:
            await settled(handle(item, whole))

    async def until_done(self, runner: Any) -> None:
        self.outcome = as_json(await settled(runner.until_done()))


def as_json(found: Any) -> Any:
    """A message as plain data, without what parsing adds where there is none."""
    data = json.loads(found.to_json())
    for block in data["content"]:
        if block.get("parsed_output", 0) is None:
            del block["parsed_output"]
    return {name: value for name, value in data.items() if value is not None}


Scene = Callable[[Play], Awaitable[None]]


@contextmanager
def clean_environment() -> Iterator[None]:
    with patch.dict(os.environ):
        for name in [
            name for name in os.environ if name.upper().startswith("ANTHROPIC_") or name.lower().endswith("_proxy")
        ]:
            del os.environ[name]
        yield


async def play(face: Face, scene: Scene, replies: list[Reply], listener: ThreadingHTTPServer) -> Play:
    script = Server(replies)
    listener.script = script  # type: ignore[attr-defined]
    options: Json = {
        "base_url": f"http://127.0.0.1:{listener.server_address[1]}",
        "api_key": "sk-of-the-test",
        "max_retries": 0,
        "timeout": 20,
    }
    if not face.is_ours:
        kind = anthropic.DefaultAsyncHttpxClient if face.is_async else anthropic.DefaultHttpxClient
        options["http_client"] = kind(trust_env=False, verify=TRUST)
    with clean_environment():
        client = (face.sdk.AsyncAnthropic if face.is_async else face.sdk.Anthropic)(**options)
    played = Play(face, client, script)
    try:
        await scene(played)
    except Exception as error:
        if not isinstance(error, Exception) or isinstance(error, AssertionError):
            raise
        played.outcome = (type(error).__name__, getattr(error, "status_code", None))
    finally:
        await settled(client.close())
    return played


FLAVOURS = [(is_async, is_stream) for is_async in (False, True) for is_stream in (False, True)]


@pytest.fixture(params=FLAVOURS, ids=["sync", "sync-stream", "async", "async-stream"])
def flavour(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def both(flavour: Any, listener: ThreadingHTTPServer) -> Any:
    """Plays a scene with both packages, sees that they do the same, and gives ours."""

    async def compare(scene: Scene, *replies: Reply, same_calls: bool = True) -> Play:
        official = await play(Face(False, *flavour), scene, list(replies), listener)
        ours = await play(Face(True, *flavour), scene, list(replies), listener)
        assert ours.server.bodies == official.server.bodies
        assert [listed(each) for each in ours.server.betas] == [listed(each) for each in official.server.betas]
        assert [sorted(tokens(h)) for h in ours.server.headers] == [sorted(tokens(h)) for h in official.server.headers]
        assert ours.shown == official.shown
        assert ours.outcome == official.outcome
        if same_calls:
            assert ours.log == official.log
        assert ours.server.replies == [], "all replies were asked for"
        return ours

    return compare


def listed(header: str | None) -> list[str]:
    return [each.strip() for each in (header or "").split(",")]


def tokens(headers: Json) -> set[str]:
    """SDK-6: the marks of helpers."""
    return set(listed(headers.get("x-stainless-helper"))) - {"beta.messages.parse", ""}


# -- tools --


def get_weather(city: str, days: int = 1) -> str:
    """Get the weather of a city.

    Args:
        city: The city's name
    """
    return f"Rain in {city} for {days}"


def broken(why: str = "no reason") -> str:
    raise RuntimeError(why)


def nothing() -> str:
    return "done"


# -- the loop --

CALL = message(1, text("Let me see."), call(1, city="Tokyo"), stop="tool_use")
DONE = message(2, text("It will rain."))


async def run_all(p: Play) -> None:
    await p.each(p.runner(get_weather, system="Be brief."))


async def test_a_full_loop(both: Any) -> None:
    """SDK-63, 68: two requests; the second brings the result alone, on the thread, without system and tools."""
    ours = await both(run_all, CALL, DONE)
    first, second = ours.server.bodies
    assert first["thread"] == CREATE
    assert (first["system"], first["messages"], len(first["tools"])) == ("Be brief.", [ASK], 1)
    assert second["thread"] == {"type": "continue", "previous_message_id": "msg_1"}
    assert not {"system", "tools"} & second.keys()
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Rain in Tokyo for 1"}
    assert second["messages"] == [{"role": "user", "content": [result]}]
    assert all("message-threads-2026-08-12" in each for each in ours.server.betas)
    assert ours.log == [("get_weather", {"city": "Tokyo", "days": 1})]
    assert [each["id"] for each in ours.shown] == ["msg_1", "msg_2"]


async def test_without_threads(both: Any) -> None:
    """SDK-66: the whole history each time, without a thread and its beta."""

    async def scene(p: Play) -> None:
        await p.each(p.runner(get_weather, system="Be brief.", thread=False, betas=["some-beta"]))

    ours = await both(scene, CALL, DONE)
    second = ours.server.bodies[1]
    assert "thread" not in second
    assert second["system"] == "Be brief."
    assert [each["role"] for each in second["messages"]] == ["user", "assistant", "user"]
    assert set(ours.server.betas) == {"some-beta"}


async def test_betas_and_headers_of_the_caller(both: Any) -> None:
    async def scene(p: Play) -> None:
        headers = {"anthropic-beta": "own-beta", "x-own": "1"}
        extra: Json = {"extra_headers": headers, "extra_body": {"own": True}, "extra_query": {"q": "1"}, "timeout": 10}
        await p.each(p.runner(get_weather, betas=["some-beta"], **extra))

    ours = await both(scene, CALL, DONE)
    assert [each["x-own"] for each in ours.server.headers] == ["1", "1"]
    assert all(each["own"] for each in ours.server.bodies)


async def test_until_done(both: Any) -> None:
    """SDK-61."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        await p.until_done(runner)
        p.log.append(as_json(await settled(runner.until_done())) == p.outcome)

    ours = await both(scene, CALL, DONE)
    assert ours.outcome["id"] == "msg_2"


async def test_next_and_then_until_done(both: Any) -> None:
    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        item = await anext(runner) if p.face.is_async else next(runner)
        p.log.append(as_json(await settled(item.get_final_message()) if p.face.is_stream else item)["id"])
        await p.until_done(runner)

    await both(scene, CALL, DONE)


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_max_iterations(both: Any, limit: int) -> None:
    """SDK-61. After the last request the tools are still run, and their results not sent."""

    async def scene(p: Play) -> None:
        await p.each(p.runner(get_weather, max_iterations=limit))

    replies = [message(n, call(n, city=str(n)), stop="tool_use") for n in (1, 2, 3)] + [message(4, text("Done"))]
    await both(scene, *replies[: min(limit, 4)])


@pytest.mark.parametrize(
    "stop", ["end_turn", "stop_sequence", "max_tokens", "refusal", "model_context_window_exceeded", "news"]
)
async def test_turns_that_end_the_run(both: Any, stop: str) -> None:
    """SDK-61: a call in such a turn is not run; neither is one where the reason is not known."""
    ours = await both(run_all, message(1, text("Well"), call(1, city="x"), stop=stop))
    assert ours.log == []


async def test_tool_use_without_a_call(both: Any) -> None:
    await both(run_all, message(1, text("Hm"), stop="tool_use"))


async def test_a_paused_turn_is_resumed(both: Any) -> None:
    """SDK-61, 65: on a thread with no messages at all."""
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}

    async def scene(p: Play) -> None:
        await p.each(p.runner(get_weather, {"type": "web_search_20250305", "name": "web_search"}))

    ours = await both(scene, message(1, search, stop="pause_turn"), CALL | {"id": "msg_2"}, message(3, text("Done")))
    assert ours.server.bodies[1]["messages"] == []


async def test_a_paused_turn_is_resumed_without_threads(both: Any) -> None:
    async def scene(p: Play) -> None:
        await p.each(p.runner(get_weather, thread=False))

    ours = await both(scene, message(1, text("Wait"), stop="pause_turn"), message(2, text("Done")))
    assert [each["role"] for each in ours.server.bodies[1]["messages"]] == ["user", "assistant"]


async def test_compaction_by_the_api_is_resumed(both: Any) -> None:
    block = {"type": "compaction", "content": "All so far"}
    await both(run_all, message(1, block, stop="compaction"), message(2, text("Done")))


async def test_several_calls_of_one_turn(both: Any) -> None:
    """In the order of the calls, in one turn of the user."""
    first = message(1, call(1, city="A"), text("and"), call(2, "nothing"), call(3, city="B", days="3"), stop="tool_use")

    async def scene(p: Play) -> None:
        await p.each(p.runner(get_weather, nothing))

    ours = await both(scene, first, DONE)
    results = ours.server.bodies[1]["messages"][0]["content"]
    assert [each["tool_use_id"] for each in results] == ["toolu_1", "toolu_2", "toolu_3"]
    assert results[2]["content"] == "Rain in B for 3"


# -- results --

BLOCKS = [text("two"), {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]
RESULTS: dict[str, Callable[[], Any]] = {
    "text": lambda: "text",
    "empty": lambda: "",
    "blocks": lambda: BLOCKS,
    "tuple": lambda: tuple(BLOCKS),
    "generator": lambda: (each for each in BLOCKS),
    "nothing": lambda: None,
    "half a character": lambda: "a\ud800b",
    "half a character in a block": lambda: [text("a\ud800b")],
    "no blocks": list,
}


@pytest.mark.parametrize("name", RESULTS)
async def test_results_of_tools(both: Any, name: str) -> None:
    """SDK-62: text, blocks, and what cannot be sent as it is."""

    def act() -> Any:
        return RESULTS[name]()

    async def scene(p: Play) -> None:
        await p.each(p.runner(act))

    await both(scene, message(1, call(1, "act"), stop="tool_use"), DONE)


ERRORS: dict[str, Callable[[Any], Exception]] = {
    "tool error": lambda lib: lib.ToolError("Not today"),
    "blocks": lambda lib: lib.ToolError(BLOCKS),
    "half a character": lambda lib: lib.ToolError("a\ud800"),
    "error": lambda lib: RuntimeError("boom", 3),
    "long": lambda lib: ValueError("x" * 10_000),
    "no text": lambda lib: KeyError(),
    "half": lambda lib: ValueError("\udfff"),
}


@pytest.mark.parametrize("name", ERRORS)
async def test_errors_of_tools(both: Any, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """SDK-62: the content of a ToolError; of another exception its repr, cut to what the API takes."""
    caplog.set_level(logging.CRITICAL)

    async def scene(p: Play) -> None:
        lib = importlib.import_module("dragoman.client.tools.functions" if p.face.is_ours else "anthropic.lib.tools")

        def act() -> str:
            raise ERRORS[name](lib)

        await p.each(p.runner(act))

    ours = await both(scene, message(1, call(1, "act"), stop="tool_use"), DONE)
    assert ours.server.bodies[1]["messages"][0]["content"][0]["is_error"] is True


async def test_an_error_is_logged(listener: ThreadingHTTPServer, caplog: pytest.LogCaptureFixture) -> None:
    """With its traceback; what a tool says by ToolError is no fault, and is not."""

    async def scene(p: Play) -> None:
        await p.each(p.runner(broken))

    await play(Face(True, False, False), scene, [message(1, call(1, "broken"), stop="tool_use"), DONE], listener)
    [record] = [each for each in caplog.records if each.name.startswith("dragoman")]
    assert record.exc_info is not None
    assert "broken" in record.getMessage()


async def test_an_unknown_tool(both: Any) -> None:
    """SDK-62. The program is warned, for it may have given a definition alone."""

    async def scene(p: Play) -> None:
        with pytest.warns(UserWarning, match="get_time"):
            await p.each(p.runner(get_weather, {"name": "get_time", "input_schema": {"type": "object"}}))

    ours = await both(scene, message(1, call(1, "get_time"), call(2, city="x"), stop="tool_use"), DONE)
    [unknown, known] = ours.server.bodies[1]["messages"][0]["content"]
    assert (unknown["content"], unknown["is_error"]) == ("Error: Tool 'get_time' not found", True)
    assert "is_error" not in known


async def test_a_member_of_a_toolset_that_is_not_there(both: Any) -> None:
    async def scene(p: Play) -> None:
        with pytest.warns(UserWarning, match="not found|none of the runner's tools"):
            await p.each(p.runner(get_weather))

    block = call(1, "click'") | {"toolset_name": "brow\nser"}
    await both(scene, message(1, block, stop="tool_use"), DONE)


async def test_an_input_that_does_not_fit(flavour: Any, listener: ThreadingHTTPServer) -> None:
    """SDK-62: both tell the model so; ours says what is wrong too, so that it can be mended."""

    async def scene(p: Play) -> None:
        await p.each(p.runner(get_weather))

    replies: list[Reply] = [message(1, call(1, city=3), stop="tool_use"), DONE]
    told = []
    for is_ours in (False, True):
        played = await play(Face(is_ours, *flavour), scene, list(replies), listener)
        [result] = played.server.bodies[1]["messages"][0]["content"]
        assert result["is_error"] is True
        told.append(result["content"])
    assert told == [
        "ValueError('Invalid arguments for function get_weather')",
        "ValueError('Invalid arguments for function get_weather: city: a string is needed, not 3')",
    ]


# -- threads --

CODES = ["thread_not_found", "thread_already_continued", "thread_continue_in_flight"]


@pytest.mark.parametrize("features", [(), ("thinking",), ("hipaa", "anything")])
async def test_a_server_without_threads(both: Any, features: tuple[str, ...]) -> None:
    """SDK-64 (b): everything is sent again without a thread, then and for the rest of the run: three calls."""
    ours = await both(run_all, unsupported(*features), CALL, DONE)
    assert [each.get("thread") for each in ours.server.bodies] == [CREATE, None, None]
    assert [each["role"] for each in ours.server.bodies[2]["messages"]] == ["user", "assistant", "user"]


async def test_a_server_that_stops_to_support_threads(both: Any) -> None:
    replies = [CALL, unsupported("fallbacks"), message(2, call(2, city="x"), stop="tool_use"), message(3, text("Done"))]
    ours = await both(run_all, *replies)
    assert [(each.get("thread") or {}).get("type") for each in ours.server.bodies] == ["create", "continue", None, None]


@pytest.mark.parametrize("code", CODES)
async def test_a_lost_thread_is_replayed(both: Any, code: str) -> None:
    """SDK-64 (c), 65: everything is sent again, on a new thread."""
    ours = await both(
        run_all, CALL, lost(code), message(2, call(2, city="x"), stop="tool_use"), message(3, text("Done"))
    )
    kinds = [each["thread"]["type"] for each in ours.server.bodies]
    assert kinds == ["create", "continue", "create", "continue"]
    replay = ours.server.bodies[2]
    assert [each["role"] for each in replay["messages"]] == ["user", "assistant", "user"]
    assert replay["tools"]
    assert replay["system"] == "Be brief."
    assert len(ours.log) == 2, "no tool runs twice"


async def test_a_thread_that_is_lost_twice(both: Any) -> None:
    """SDK-64 (c): after a second loss the run goes on without."""
    again = message(2, call(2, city="x"), stop="tool_use")
    ours = await both(run_all, CALL, lost(), again, lost(), message(3, text("Done")))
    kinds = [(each.get("thread") or {}).get("type") for each in ours.server.bodies]
    assert kinds == ["create", "continue", "create", "continue", None]


async def test_threads_that_are_lost_now_and_then(both: Any) -> None:
    """A thread that was continued once in between is as good as new."""
    turns = [message(n, call(n, city=str(n)), stop="tool_use") for n in range(1, 5)]
    ours = await both(run_all, turns[0], lost(), turns[1], turns[2], lost(), turns[3], message(9, text("Done")))
    kinds = [(each.get("thread") or {}).get("type") for each in ours.server.bodies]
    assert kinds == ["create", "continue", "create", "continue", "continue", "create", "continue"]


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(400, "invalid_request_error"),
        Refusal(400, "invalid_request_error", {"error_code": "thread_fingerprint_mismatch"}),
        Refusal(404, "not_found_error"),
        Refusal(404, "not_found_error", {"error_code": "thread_not_found"}),
        Refusal(529, "overloaded_error"),
    ],
    ids=str,
)
async def test_a_refusal_at_the_start_ends_the_run(both: Any, refusal: Refusal) -> None:
    """SDK-64: only what has to do with an existing thread is tried again."""
    ours = await both(run_all, refusal)
    assert ours.outcome[1] == refusal.status


async def test_a_refusal_in_the_middle_ends_the_run(both: Any) -> None:
    ours = await both(
        run_all, CALL, Refusal(400, "invalid_request_error", {"error_code": "thread_fingerprint_mismatch"})
    )
    assert ours.outcome == ("ThreadFingerprintMismatchError", 400)


async def test_cache_control_is_not_sent_twice(both: Any) -> None:
    """A replay takes it from the history that was answered, however deep, and leaves inputs of tools alone."""
    marked = {"type": "ephemeral"}
    given = [{"type": "text", "text": "Weather?", "cache_control": marked}]

    def act(query: dict[str, Any]) -> Any:
        return [text("x") | {"cache_control": marked}]

    async def scene(p: Play) -> None:
        system = [{"type": "text", "text": "Be brief.", "cache_control": marked}]
        await p.each(p.runner(act, messages=[{"role": "user", "content": given}], system=system))

    turns = [message(n, call(n, "act", query={"cache_control": 1}), stop="tool_use") for n in (1, 2)]
    ours = await both(scene, turns[0], turns[1], lost(), message(3, text("Done")))
    replay = ours.server.bodies[3]["messages"]
    assert "cache_control" not in replay[0]["content"][0]
    assert replay[1]["content"][0]["input"] == {"query": {"cache_control": 1}}
    assert "cache_control" not in replay[2]["content"][0]["content"][0]
    assert replay[4]["content"][0]["content"][0]["cache_control"] == marked, "it was not answered yet"


async def test_cache_control_stays_without_threads(both: Any) -> None:
    """SDK-66: everything is sent as it was."""
    given = [{"type": "text", "text": "Weather?", "cache_control": {"type": "ephemeral"}}]

    async def scene(p: Play) -> None:
        await p.each(p.runner(get_weather, messages=[{"role": "user", "content": given}], thread=False))

    ours = await both(scene, CALL, DONE)
    assert ours.server.bodies[1]["messages"][0]["content"] == given


async def test_the_beta_that_the_caller_names_too(both: Any) -> None:
    async def scene(p: Play) -> None:
        await p.each(p.runner(get_weather, betas=["message-threads-2026-08-12", "some-beta"]))

    ours = await both(scene, CALL, DONE)
    assert ours.server.betas == ["message-threads-2026-08-12,some-beta"] * 2


async def test_a_container_is_kept(both: Any) -> None:
    """Server tools go on where they ran."""
    container = {"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"}
    ours = await both(run_all, CALL | {"container": container}, DONE)
    assert ours.server.bodies[1]["container"] == "container_1"


@pytest.mark.parametrize("given", ["own", {"skills": []}, {"id": "own"}], ids=str)
async def test_a_container_of_the_caller(both: Any, given: Any) -> None:
    async def scene(p: Play) -> None:
        await p.each(p.runner(get_weather, container=given))

    container = {"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"}
    await both(scene, CALL | {"container": container}, DONE)


async def test_a_turn_of_a_fallback_model_is_not_continued(both: Any) -> None:
    """The server stores none: the next request begins a thread."""
    iterations = [{"type": "fallback_message", "model": "x", "input_tokens": 1, "output_tokens": 1}]
    usage = {"input_tokens": 7, "output_tokens": 5, "iterations": iterations}
    ours = await both(run_all, CALL | {"usage": usage}, DONE)
    assert ours.server.bodies[1]["thread"] == CREATE


async def test_tools_that_change_on_a_thread(both: Any) -> None:
    """The server keeps the first ones, so the run ends before any tool is run."""

    async def scene(p: Play) -> None:
        tool = p.tool(get_weather)
        runner = p.runner(tool)

        def change(*_: Any) -> None:
            tool.description = "Another"

        await p.each(runner, change)

    ours = await both(scene, CALL)
    assert ours.outcome[0] == "AnthropicError"
    assert ours.log == []


async def test_a_tool_that_changes_while_it_runs(both: Any) -> None:
    """As above, and found before the next request."""

    async def scene(p: Play) -> None:
        tools: list[Any] = []

        def change() -> str:
            tools[0].description = "Another"
            return ""

        tools.append(p.tool(change))
        await p.each(p.runner(*tools))

    ours = await both(scene, message(1, call(1, "change"), stop="tool_use"))
    assert ours.outcome[0] == "AnthropicError"
    assert len(ours.log) == 1


# -- what the caller changes --


async def test_generate_tool_call_response(both: Any) -> None:
    """SDK-61: the results, which are then sent; the tool runs once."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        p.log.append(await settled(runner.generate_tool_call_response()))

        async def handle(*_: Any) -> None:
            p.log.append(await settled(runner.generate_tool_call_response()))
            p.log.append(await settled(runner.generate_tool_call_response()))

        await p.each(runner, handle)

    ours = await both(scene, CALL, DONE)
    assert sum(each is not None and each[0] == "get_weather" for each in ours.log if isinstance(each, tuple)) == 1


async def test_append_messages_that_answer(both: Any) -> None:
    """The caller gives reply and results; the history is then the caller's. The thread goes on all the same.

    The official runner runs the tools a second time and throws the results away; ours does not.
    """

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)

        async def handle(_: Any, whole: Any) -> None:
            response = await settled(runner.generate_tool_call_response())
            if response is not None:
                runner.append_messages(whole, response)

        await p.each(runner, handle)

    ours = await both(scene, CALL, DONE, same_calls=False)
    assert ours.server.bodies[1]["thread"]["type"] == "continue"
    assert len(ours.log) == 1


async def test_append_messages_as_dictionaries(both: Any) -> None:
    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)

        async def handle(_: Any, whole: Any) -> None:
            if whole.stop_reason == "tool_use":
                results = [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "by hand"}]
                runner.append_messages({"role": "assistant", "content": [each.to_dict() for each in whole.content]})
                runner.append_messages({"role": "user", "content": results})

        await p.each(runner, handle)

    ours = await both(scene, CALL, DONE, same_calls=False)
    assert ours.server.bodies[1]["thread"]["type"] == "continue"


async def test_append_messages_without_the_reply(both: Any) -> None:
    """Another history than the server's: a new thread."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)

        async def handle(_: Any, whole: Any) -> None:
            if whole.stop_reason == "tool_use":
                runner.append_messages({"role": "user", "content": "Forget it"})

        await p.each(runner, handle)

    ours = await both(scene, CALL, DONE, same_calls=False)
    assert ours.server.bodies[1]["thread"] == CREATE
    assert ours.server.bodies[1]["messages"] == [ASK, {"role": "user", "content": "Forget it"}]


async def test_append_messages_again_and_again(both: Any) -> None:
    """A reply that is there already is not sent twice."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)

        async def handle(_: Any, whole: Any) -> None:
            response = await settled(runner.generate_tool_call_response())
            if response is not None:
                runner.append_messages(whole, whole, response)

        await p.each(runner, handle)

    ours = await both(scene, CALL, DONE, same_calls=False)
    assert [each["role"] for each in ours.server.bodies[1]["messages"]] == ["user"]


async def test_append_messages_in_a_tool(both: Any) -> None:
    """The results come first, where the API wants them; the reply is there already."""

    async def scene(p: Play) -> None:
        runners: list[Any] = []
        replies: list[Any] = []

        def act() -> str:
            runners[0].append_messages(replies[0], {"role": "user", "content": "By the way"})
            return "acted"

        runners.append(p.runner(act))
        await p.each(runners[0], lambda _, whole: replies.append(whole))

    ours = await both(scene, message(1, call(1, "act"), stop="tool_use"), DONE)
    results, more = ours.server.bodies[1]["messages"]
    assert results["content"][0]["content"] == "acted"
    assert more["content"] == "By the way"


async def test_append_messages_makes_the_results_anew(both: Any) -> None:
    """Asked for once more after it, the tools run once more; ours does not run them a third time for nobody."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)

        async def handle(_: Any, whole: Any) -> None:
            first = await settled(runner.generate_tool_call_response())
            if first is not None:
                runner.append_messages(whole)
                runner.append_messages(await settled(runner.generate_tool_call_response()))

        await p.each(runner, handle)

    ours = await both(scene, CALL, DONE, same_calls=False)
    assert len(ours.log) == 2


async def test_append_messages_before_the_run(both: Any) -> None:
    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        runner.append_messages({"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Now!"})
        await p.each(runner)

    ours = await both(scene, CALL, DONE)
    assert len(ours.server.bodies[0]["messages"]) == 3


async def test_append_messages_to_a_turn_that_ends(both: Any) -> None:
    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        await p.each(runner, lambda *_: runner.append_messages({"role": "user", "content": "More"}))

    await both(scene, DONE)


async def test_set_messages_params(both: Any) -> None:
    """SDK-61: new params for the requests that follow."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather, betas=["some-beta"], metadata={"user_id": "u"})

        def handle(*_: Any) -> None:
            def change(params: Json) -> Json:
                p.log.append(sorted(params))
                return {**params, "max_tokens": 7, "stop_sequences": ["x"]}

            runner.set_messages_params(change)

        await p.each(runner, handle)

    ours = await both(scene, CALL, DONE)
    assert ours.server.bodies[1]["max_tokens"] == 7
    assert ours.server.bodies[1]["thread"]["type"] == "continue"


async def test_set_messages_params_with_a_dictionary(both: Any) -> None:
    """What it leaves out is sent no more, but for whom the calls are."""

    async def scene(p: Play) -> None:
        who: Json = {"user_profile_id": "up_1", "workspace_id": "wrkspc_1", "betas": ["some-beta"]}
        runner = p.runner(get_weather, metadata={"user_id": "u"}, thread=False, **who)
        await p.each(
            runner,
            lambda *_: runner.set_messages_params({"model": MODEL, "max_tokens": 7, "messages": [ASK]}),
        )

    ours = await both(scene, CALL, DONE)
    assert "metadata" not in ours.server.bodies[1]
    assert "tools" not in ours.server.bodies[1]


async def test_set_messages_params_without_a_billing_policy(both: Any) -> None:
    """For whom a call is stays, unless it was named together with a policy that goes."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather, user_profile_id="up_1", billing_policy={"type": "own"}, thread=False)
        await p.each(
            runner,
            lambda *_: runner.set_messages_params({"model": MODEL, "max_tokens": 7, "messages": [ASK]}),
        )

    ours = await both(scene, CALL, DONE)
    assert ["anthropic-user-profile-id" in each for each in ours.server.headers] == [True, False]


async def test_set_messages_params_with_other_messages(both: Any) -> None:
    """A history that was rewritten begins a new thread."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        other = {"role": "user", "content": "And in Paris?"}
        await p.each(runner, lambda *_: runner.set_messages_params(lambda params: {**params, "messages": [other]}))

    ours = await both(scene, CALL, DONE)
    assert ours.server.bodies[1]["thread"] == CREATE


async def test_set_messages_params_and_append_messages(both: Any) -> None:
    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)

        async def handle(_: Any, whole: Any) -> None:
            runner.set_messages_params(lambda params: {**params, "max_tokens": 9})
            if response := await settled(runner.generate_tool_call_response()):
                runner.append_messages(whole, response)

        await p.each(runner, handle)

    await both(scene, CALL, DONE, same_calls=False)


async def test_set_messages_params_with_another_system(both: Any) -> None:
    """On a thread it cannot change."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather, system="Be brief.")
        await p.each(runner, lambda *_: runner.set_messages_params(lambda params: {**params, "system": "Talk."}))

    ours = await both(scene, CALL)
    assert ours.outcome[0] == "AnthropicError"


async def test_set_messages_params_with_other_tools(both: Any) -> None:
    """Without a thread: what is left out is run no more; what comes in is not run."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather, nothing, thread=False)
        clock = p.tool(get_weather, name="get_time")

        def handle(*_: Any) -> None:
            runner.set_messages_params(lambda params: {**params, "tools": [params["tools"][0], clock]})

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await p.each(runner, handle)

    turns = message(1, call(1, city="x"), call(2, "nothing"), call(3, "get_time", city="y"), stop="tool_use")
    ours = await both(scene, turns, DONE)
    assert [each[0] for each in ours.log] == ["get_weather"]


@pytest.mark.parametrize(
    "bad", [{"compaction": {"type": "summarize"}}, {"thread": {"type": "create"}}, {"thread": True}]
)
async def test_params_that_the_runner_sets_itself(both: Any, bad: Json) -> None:
    async def first(p: Play) -> None:
        if "compaction" not in bad:
            await p.each(p.runner(get_weather, **bad))
        else:
            p.runner(get_weather).set_messages_params({"model": MODEL, "max_tokens": 1, "messages": [ASK], **bad})

    ours = await both(first)
    assert ours.outcome[0] in ("ValueError", "TypeError")


async def test_add_and_remove_tools(both: Any) -> None:
    """The model is told in the conversation; the tools of the request stay as they are."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather, nothing)

        def handle(_: Any, whole: Any) -> None:
            if whole.id == "msg_1":
                runner.add_tools(
                    p.tool(get_weather, name="get_time"), {"type": "web_search_20250305", "name": "web_search"}
                )
                runner.remove_tools("nothing")

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await p.each(runner, handle)

    turns = message(2, call(2, "get_time", city="x"), call(3, "nothing"), stop="tool_use")
    ours = await both(scene, CALL, turns, message(3, text("Done")))
    assert [each[0] for each in ours.log] == ["get_weather", "get_weather"]
    roles = [each["role"] for each in ours.server.bodies[1]["messages"]]
    assert roles == ["user", "system"]


async def test_tools_that_the_history_takes_away(both: Any) -> None:
    """`tool_removal` in the given messages counts; a call of such a tool is answered as that of an unknown one."""
    removed = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "get_weather"}}

    async def scene(p: Play) -> None:
        messages = [ASK, {"role": "system", "content": [removed]}, {"role": "user", "content": "Now"}]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await p.each(p.runner(get_weather, messages=messages))

    ours = await both(scene, CALL, DONE)
    assert ours.log == []


async def test_tools_that_a_summary_takes_away(both: Any) -> None:
    """A compaction block says what became of the tools in the turns that it stands for."""
    removed = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "get_weather"}}
    summary = {"type": "compaction", "content": "Talk", "tool_changes": [removed]}

    async def scene(p: Play) -> None:
        messages = [{"role": "assistant", "content": [summary]}, ASK]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await p.each(p.runner(get_weather, messages=messages))

    ours = await both(scene, CALL, DONE)
    assert ours.log == []


async def test_remove_tools_of_a_paused_turn(both: Any) -> None:
    """Such a turn is sent back with nothing after it; the change waits."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather, nothing)
        await p.each(runner, lambda _, whole: runner.remove_tools("nothing") if whole.id == "msg_1" else None)

    ours = await both(
        scene, message(1, text("Wait"), stop="pause_turn"), CALL | {"id": "msg_2"}, message(3, text("Done"))
    )
    assert ours.server.bodies[1]["messages"] == []
    assert [each["role"] for each in ours.server.bodies[2]["messages"]] == ["user", "system"]


SUMMARY = message(5, {"type": "compaction", "content": "They talked of rain."}, stop="compaction")


async def test_compact_before_next_turn(both: Any) -> None:
    """A request of its own, with all of the history, whose reply takes the history's place."""

    async def scene(p: Play) -> None:
        own: Json = {"stop_sequences": ["x"], "tool_choice": {"type": "any"}, "output_config": {"effort": "low"}}
        runner = p.runner(get_weather, betas=["compact-2026-09-04"], **own)
        await p.each(runner, lambda _, whole: runner.compact_before_next_turn() if whole.id == "msg_1" else None)

    ours = await both(scene, CALL, SUMMARY, DONE)
    asked, after = ours.server.bodies[1:]
    assert asked["compaction"] == {"type": "summarize"}
    assert asked["thread"] == after["thread"] == CREATE
    assert not {"stop_sequences", "tool_choice"} & asked.keys()
    assert after["stop_sequences"] == ["x"]
    assert [each["role"] for each in after["messages"]] == ["assistant"]


async def test_compact_waits_for_a_paused_turn(both: Any) -> None:
    """The API cannot compact a turn that is not over."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        await p.each(runner, lambda _, whole: runner.compact_before_next_turn() if whole.id == "msg_1" else None)

    paused = message(1, text("Wait"), stop="pause_turn")
    ours = await both(scene, paused, CALL | {"id": "msg_2"}, SUMMARY, message(3, text("Done")))
    assert ["compaction" in each for each in ours.server.bodies] == [False, False, True, False]


async def test_compact_where_threads_are_refused(both: Any) -> None:
    """What the server says of threads when it compacts holds for the rest of the run."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        await p.each(runner, lambda _, whole: runner.compact_before_next_turn() if whole.id == "msg_1" else None)

    ours = await both(scene, CALL, unsupported(), SUMMARY, DONE)
    assert [each.get("thread") for each in ours.server.bodies] == [CREATE, CREATE, None, None]


async def test_compact_and_removed_tools(both: Any) -> None:
    """A tool that the history took away stays away when the history has become a summary."""
    removed = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "nothing"}}

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather, nothing, messages=[{"role": "system", "content": [removed]}, ASK])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await p.each(runner, lambda _, whole: runner.compact_before_next_turn() if whole.id == "msg_1" else None)

    ours = await both(scene, CALL, SUMMARY, message(2, call(2, "nothing"), stop="tool_use"), message(3, text("Done")))
    assert [each[0] for each in ours.log] == ["get_weather"]


async def test_compact_and_output_format(both: Any) -> None:
    """A summary has no format; replies after it have."""

    class Answer(pydantic.BaseModel):
        rain: bool

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather, output_format=Answer)
        await p.each(runner, lambda _, whole: runner.compact_before_next_turn() if whole.id == "msg_1" else None)

    first = message(1, call(1, city="x"), stop="tool_use")
    ours = await both(scene, first, SUMMARY, message(2, text('{"rain":true}')))
    assert ["output_config" in each for each in ours.server.bodies] == [True, False, True]


async def test_compact_after_a_refusal(both: Any) -> None:
    """A refused turn is not in what is compacted."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        await p.each(runner, lambda _, whole: runner.compact_before_next_turn() if whole.id == "msg_1" else None)

    ours = await both(scene, message(1, text("No"), stop="refusal"), SUMMARY)
    assert ours.server.bodies[1]["messages"] == [ASK]


async def test_compact_after_the_last_turn(both: Any) -> None:
    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        own = {"type": "summarize", "instructions": "short"}
        await p.each(runner, lambda _, whole: runner.compact_before_next_turn(own) if whole.id == "msg_2" else None)
        await p.until_done(runner)

    ours = await both(scene, CALL, DONE, SUMMARY)
    assert ours.outcome["id"] == "msg_5"


async def test_a_compaction_without_a_summary(both: Any) -> None:
    """Everything stays as it is; `until_done` gives the turn before."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        await p.each(runner, lambda _, whole: runner.compact_before_next_turn() if whole.id == "msg_2" else None)
        await p.until_done(runner)

    ours = await both(scene, CALL, DONE, message(5, {"type": "compaction", "content": None}, stop="compaction"))
    assert ours.outcome["id"] == "msg_2"


async def test_no_compaction_of_calls_without_results(both: Any) -> None:
    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        await p.each(runner, lambda *_: runner.compact_before_next_turn())

    await both(scene, message(1, call(1, city="x"), stop="max_tokens"))


async def test_what_is_refused_while_compacting(both: Any) -> None:
    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)

        def handle(_: Any, whole: Any) -> None:
            if whole.id == "msg_1":
                runner.compact_before_next_turn()
            elif whole.id == "msg_5":
                with pytest.raises(ValueError):
                    runner.append_messages(ASK)
                with pytest.raises(ValueError):
                    runner.set_messages_params({"model": MODEL, "max_tokens": 1, "messages": []})
                p.log.append("refused")

        await p.each(runner, handle)
        management = {"edits": [{"type": "compact_20260112"}]}
        p.runner(get_weather, context_management=management).compact_before_next_turn()

    ours = await both(scene, CALL, SUMMARY, DONE)
    assert "refused" in ours.log
    assert ours.outcome[0] == "ValueError"


# -- the end of a run --


async def test_close_in_the_middle(both: Any) -> None:
    """No more is asked, and there is nothing more to iterate over."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        if p.face.is_async:
            async for _ in runner:
                break
        else:
            for _ in runner:
                break
        await settled(runner.close())
        await settled(runner.close())
        await p.each(runner)

    await both(scene, CALL)


def closing_tool(p: Play, runners: list[Any]) -> Any:
    """A tool that closes the first runner."""

    def stop() -> str:
        p.log.append("closing")
        runners[0].close()
        p.log.append("closed")
        return "stopped"

    async def stop_later() -> str:
        p.log.append("closing")
        await runners[0].close()
        p.log.append("closed")
        return "stopped"

    if p.face.is_async:
        return p.face.sdk.beta_async_tool(stop_later, name="stop")
    return p.face.sdk.beta_tool(stop)


async def test_a_tool_that_closes_the_runner(both: Any) -> None:
    """The tool goes on to its end; its result is not sent."""

    async def scene(p: Play) -> None:
        runners: list[Any] = []
        runners.append(p.runner(closing_tool(p, runners)))
        await p.each(runners[0])

    ours = await both(scene, message(1, call(1, "stop"), stop="tool_use"))
    assert ours.log == ["closing", "closed"]


async def test_asked_while_another_task_closes_it(listener: ThreadingHTTPServer) -> None:
    """There is nothing more, and no error."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        await anext(runner)
        is_leaving, may_leave = asyncio.Event(), asyncio.Event()

        async def leave() -> None:
            is_leaving.set()
            await may_leave.wait()

        with patch.object(runner, "_leave", leave):
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                group.create_task(runner.close())
                await is_leaving.wait()
                with pytest.raises(StopAsyncIteration):
                    await anext(runner)
                may_leave.set()
        p.log.append("over")

    played = await play(Face(True, True, False), scene, [CALL], listener)
    assert played.log == ["over"]


async def test_break_and_go_on(both: Any) -> None:
    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)
        if p.face.is_async:
            async for _ in runner:
                break
        else:
            for _ in runner:
                break
        await p.until_done(runner)

    await both(scene, CALL, DONE)


async def test_an_error_in_the_body_leaves_the_runner_usable(both: Any) -> None:
    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)

        def fail(*_: Any) -> None:
            raise ZeroDivisionError

        try:
            await p.each(runner, fail)
        except ZeroDivisionError:
            await p.until_done(runner)

    await both(scene, CALL, DONE)


async def test_no_iteration_at_all(flavour: Any, listener: ThreadingHTTPServer) -> None:
    async def scene(p: Play) -> None:
        with pytest.raises((RuntimeError, AssertionError)):
            await settled(p.runner(get_weather, max_iterations=0).until_done())

    for is_ours in (False, True):
        assert (await play(Face(is_ours, *flavour), scene, [], listener)).server.bodies == []


# -- constructors --


async def test_tools_of_the_wrong_flavour(both: Any) -> None:
    """Told when the runner is made, not when the model calls."""

    async def scene(p: Play) -> None:
        other = Play(Face(p.face.is_ours, not p.face.is_async, False), None, p.server)
        p.runner(other.tool(get_weather))

    ours = await both(scene)
    assert ours.outcome == ("TypeError", None)


@pytest.mark.parametrize("given", [{"foo": 1}, {"run_later": True}], ids=str)
async def test_arguments_that_there_are_not(both: Any, given: Json) -> None:
    """Told when the runner is made; nothing is sent."""

    async def scene(p: Play) -> None:
        p.runner(get_weather, **given)

    assert (await both(scene)).outcome == ("TypeError", None)


async def test_arguments_that_are_needed(both: Any) -> None:
    async def scene(p: Play) -> None:
        p.client.beta.messages.tool_runner(tools=[], model=MODEL, max_tokens=1)

    assert (await both(scene)).outcome == ("TypeError", None)


async def test_eager_needs_a_stream(listener: ThreadingHTTPServer) -> None:
    async def scene(p: Play) -> None:
        p.runner(get_weather, run_tools_eagerly=True)

    for is_ours in (False, True):
        assert (await play(Face(is_ours, False, False), scene, [], listener)).outcome == ("ValueError", None)


async def test_two_output_formats(both: Any) -> None:
    class Answer(pydantic.BaseModel):
        rain: bool

    async def scene(p: Play) -> None:
        p.runner(get_weather, output_format=Answer, output_config={"format": {"type": "json_schema", "schema": {}}})

    ours = await both(scene)
    assert ours.outcome == ("AnthropicError", None)


async def test_output_format(both: Any) -> None:
    """SDK-53 in a runner: asked for in each request, read in each reply."""

    class Answer(pydantic.BaseModel):
        rain: bool

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather, output_format=Answer, output_config={"effort": "low"})
        await p.each(runner, lambda _, whole: p.log.append(repr(whole.parsed_output)))

    ours = await both(scene, message(1, call(1, city="x"), stop="tool_use"), message(2, text('{"rain":true}')))
    assert ours.log[-1] == "Answer(rain=True)"
    assert all(each["output_config"]["effort"] == "low" for each in ours.server.bodies)


async def test_no_tools(both: Any) -> None:
    async def scene(p: Play) -> None:
        await p.each(p.runner())

    ours = await both(scene, DONE)
    assert ours.server.bodies[0]["tools"] == []


async def test_a_tool_of_the_apis_own(flavour: Any, listener: ThreadingHTTPServer) -> None:
    """The entry is the API's, the work is the program's."""
    is_async = flavour[0]

    async def scene(p: Play) -> None:
        lib = importlib.import_module("dragoman.client.tools.functions" if p.face.is_ours else "anthropic.lib.tools")
        entry = {"type": "memory_20250818", "name": "memory"}

        class Memory(lib.BetaBuiltinFunctionTool):  # type: ignore[misc,name-defined]
            def to_dict(self) -> Json:
                return entry

            def call(self, given: Any) -> str:
                return f"did {given['command']}"

        class AsyncMemory(lib.BetaAsyncBuiltinFunctionTool):  # type: ignore[misc,name-defined]
            def to_dict(self) -> Json:
                return entry

            async def call(self, given: Any) -> str:
                return f"did {given['command']}"

        await p.each(p.runner(AsyncMemory() if is_async else Memory()))

    turn = message(1, call(1, "memory", command="view"), stop="tool_use")
    bodies = []
    for is_ours in (False, True):
        played = await play(Face(is_ours, *flavour), scene, [turn, DONE], listener)
        bodies.append(played.server.bodies)
    assert bodies[0] == bodies[1]
    assert bodies[1][1]["messages"][0]["content"][0]["content"] == "did view"


async def test_tools_of_the_official_package_run_here(listener: ThreadingHTTPServer) -> None:
    """A program may bring tools that a library made with the other package."""

    async def scene(p: Play) -> None:
        await p.each(p.runner(anthropic.beta_tool(get_weather)))

    played = await play(Face(True, False, False), scene, [CALL, DONE], listener)
    assert played.server.bodies[1]["messages"][0]["content"][0]["content"] == "Rain in Tokyo for 1"


# -- streams --


@pytest.fixture
def both_streams(listener: ThreadingHTTPServer) -> Any:
    async def compare(scene: Scene, *replies: Reply) -> Play:
        for is_async in (False, True):
            official = await play(Face(False, is_async, True), scene, list(replies), listener)
            ours = await play(Face(True, is_async, True), scene, list(replies), listener)
            assert ours.server.bodies == official.server.bodies
            assert ours.log == official.log
            assert ours.shown == official.shown
            assert ours.outcome == official.outcome
        return ours

    return compare


async def events(p: Play, stream: Any) -> None:
    if p.face.is_async:
        async for event in stream:
            p.log.append(event.type)
    else:
        for event in stream:
            p.log.append(event.type)


async def streams(p: Play, runner: Any, handle: Callable[[Any], Any]) -> None:
    if p.face.is_async:
        async for stream in runner:
            await settled(handle(stream))
    else:
        for stream in runner:
            await settled(handle(stream))


async def test_events_of_each_stream(both_streams: Any) -> None:
    async def scene(p: Play) -> None:
        await streams(p, p.runner(get_weather), lambda stream: events(p, stream))

    ours = await both_streams(scene, CALL, DONE)
    assert ours.log.count("message_stop") == 2


async def test_text_of_each_stream(both_streams: Any) -> None:
    async def scene(p: Play) -> None:
        async def handle(stream: Any) -> None:
            if p.face.is_async:
                p.log.append([piece async for piece in stream.text_stream])
            else:
                p.log.append(list(stream.text_stream))

        await streams(p, p.runner(get_weather), handle)

    await both_streams(scene, CALL, DONE)


async def test_a_stream_that_nobody_reads(both_streams: Any) -> None:
    """The runner reads it."""

    async def scene(p: Play) -> None:
        await streams(p, p.runner(get_weather), lambda stream: None)

    ours = await both_streams(scene, CALL, DONE)
    assert [each[0] for each in ours.log] == ["get_weather"]


async def test_a_stream_that_is_left_early(both_streams: Any) -> None:
    async def scene(p: Play) -> None:
        async def handle(stream: Any) -> None:
            p.log.append((await anext(stream) if p.face.is_async else next(stream)).type)

        await streams(p, p.runner(get_weather), handle)

    await both_streams(scene, CALL, DONE)


async def test_a_stream_that_is_closed(both_streams: Any) -> None:
    """What came of it counts; it has no stop reason, so the run is over."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather)

        async def handle(stream: Any) -> None:
            p.log.append((await anext(stream) if p.face.is_async else next(stream)).type)
            await settled(stream.close())

        await streams(p, runner, handle)

    await both_streams(scene, CALL)


WHOLE = len(events_of(CALL))


@pytest.mark.parametrize("after", [WHOLE - 1, WHOLE - 2, WHOLE - 4, 6, 3])
async def test_a_stream_that_breaks_off(both_streams: Any, after: int) -> None:
    """STR-52: without message_stop the server holds all of the reply or nothing, so the next request begins anew."""

    async def scene(p: Play) -> None:
        await p.each(p.runner(get_weather))

    ours = await both_streams(scene, Cut(CALL, after), DONE)
    if after == WHOLE - 1:  # it has its stop reason
        assert ours.server.bodies[1]["thread"] == CREATE


EAGER = message(
    1, text("So:"), call(1, city="A"), call(2, city="B"), text("Wait."), call(3, "nothing"), stop="tool_use"
)


def broken_stream(*, stop: str, content: bool = True) -> "Events":
    """It says how it ended, but not that it did: the second block is open still."""
    whole = events_of(message(1, call(1, city="x"), text("It will"), stop=stop))
    ending = whole[-2]
    open_text = [each for each in whole if each.get("index") == 1 and each["type"] != "content_block_stop"]
    first = [each for each in whole if each.get("index") == 0]
    return Events([whole[0], *(first + open_text if content else ()), ending])


@pytest.mark.parametrize("stop", ["tool_use", "pause_turn"])
@pytest.mark.parametrize("content", [True, False])
async def test_a_stream_that_ends_too_early(both_streams: Any, stop: str, content: bool) -> None:
    """Text that was not finished is kept, as far as it came. A paused turn is asked for again from its beginning."""

    async def scene(p: Play) -> None:
        await p.each(p.runner(get_weather))

    replies: list[Any] = [broken_stream(stop=stop, content=content)]
    if content or stop == "pause_turn":
        replies.append(DONE)
    ours = await both_streams(scene, *replies)
    if stop == "pause_turn":
        assert ours.server.bodies[1]["messages"] == [ASK]
    elif content:
        assert ours.server.bodies[1]["messages"][1]["content"][1]["text"] == "Itwill"


async def test_a_stream_that_breaks_off_on_a_thread(both_streams: Any) -> None:
    """The server holds all of that turn or nothing, so a new thread begins."""

    async def scene(p: Play) -> None:
        await p.each(p.runner(get_weather))

    second = message(2, call(2, city="x"), stop="tool_use")
    ours = await both_streams(scene, CALL, Cut(second, len(events_of(second)) - 1), message(3, text("Done")))
    assert [each["thread"]["type"] for each in ours.server.bodies] == ["create", "continue", "create"]


async def test_tools_that_run_while_the_reply_streams(both_streams: Any) -> None:
    """Each when the model has gone on from its call, between two events; none twice."""

    async def scene(p: Play) -> None:
        runner = p.runner(get_weather, nothing, run_tools_eagerly=True)
        await streams(p, runner, lambda stream: events(p, stream))

    ours = await both_streams(scene, EAGER, DONE)
    names = [each[0] for each in ours.log if isinstance(each, tuple)]
    assert names == ["get_weather", "get_weather", "nothing"]
    assert ours.log.index("message_stop") > ours.log.index(("nothing", {}))


async def test_eager_calls_that_are_held_back(both_streams: Any) -> None:
    async def scene(p: Play) -> None:
        runner = p.runner(get_weather, nothing, run_tools_eagerly=True)
        p.log.append(runner.deferred_tool_calls)

        async def handle(stream: Any) -> None:
            def hold(event: Any) -> None:
                p.log.append(event.type)
                if event.type == "content_block_start" and event.content_block.type == "tool_use":
                    if event.content_block.id == "toolu_1":
                        runner.defer_tool_call(event.content_block)
                    elif event.content_block.id == "toolu_3":
                        runner.defer_tool_call("toolu_3")

            if p.face.is_async:
                async for event in stream:
                    hold(event)
            else:
                for event in stream:
                    hold(event)
            p.log.append([each.id for each in runner.deferred_tool_calls])
            runner.defer_tool_call("toolu_2")
            p.log.append([each.id for each in runner.deferred_tool_calls])
            response = await settled(runner.generate_tool_call_response())
            p.log.append([each.id for each in runner.deferred_tool_calls])
            if response is not None:  # asked for anew, and no call runs a second time
                runner.append_messages(await settled(stream.get_final_message()))
                p.log.append(await settled(runner.generate_tool_call_response()) == response)
                runner.append_messages(response)

        await streams(p, runner, handle)

    ours = await both_streams(scene, EAGER, DONE)
    assert ["toolu_1", "toolu_3"] in ours.log


@pytest.mark.parametrize("stop", ["max_tokens", "refusal", "end_turn"])
async def test_the_last_call_of_a_cut_reply_is_not_run_early(both_streams: Any, stop: str) -> None:
    async def scene(p: Play) -> None:
        await streams(p, p.runner(get_weather, run_tools_eagerly=True), lambda stream: events(p, stream))

    turn = message(1, call(1, city="A"), call(2, city="B"), stop=stop)
    ours = await both_streams(scene, turn)
    assert len([each for each in ours.log if isinstance(each, tuple)]) == 1


async def test_no_call_runs_early_after_a_fallback(both_streams: Any) -> None:
    fallback = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}}

    async def scene(p: Play) -> None:
        await streams(p, p.runner(get_weather, run_tools_eagerly=True), lambda stream: events(p, stream))

    turn = message(1, call(1, city="A"), fallback, call(2, city="B"), text("x"), stop="tool_use")
    ours = await both_streams(scene, turn, DONE)
    first_call = next(number for number, each in enumerate(ours.log) if isinstance(each, tuple))
    assert first_call > ours.log.index("message_stop")


async def test_an_unknown_tool_is_not_run_early(both_streams: Any) -> None:
    async def scene(p: Play) -> None:
        with pytest.warns(UserWarning, match="not found|none of the runner's tools"):
            await streams(p, p.runner(get_weather, run_tools_eagerly=True), lambda stream: events(p, stream))

    await both_streams(scene, message(1, call(1, "other"), call(2, city="x"), stop="tool_use"), DONE)


async def test_generate_tool_call_response_after_eager_calls(both_streams: Any) -> None:
    async def scene(p: Play) -> None:
        runner = p.runner(get_weather, nothing, run_tools_eagerly=True)

        async def handle(stream: Any) -> None:
            await events(p, stream)
            p.log.append(await settled(runner.generate_tool_call_response()))

        await streams(p, runner, handle)

    await both_streams(scene, EAGER, DONE)


async def test_an_eager_tool_that_closes_the_runner(both_streams: Any) -> None:
    """The reply can still be read; nothing more is asked."""

    async def scene(p: Play) -> None:
        runners: list[Any] = []
        runners.append(p.runner(closing_tool(p, runners), run_tools_eagerly=True))
        await streams(p, runners[0], lambda stream: events(p, stream))

    ours = await both_streams(scene, message(1, call(1, "stop"), text("x " * 5000), stop="tool_use"))
    assert ours.log[-1] == "message_stop"


# -- beside a server of ours --


@pytest.mark.parametrize("stream", [False, True])
def test_a_full_loop_with_dragoman(stream: bool) -> None:
    """SDK-64 (a), 68: against a server that keeps threads: the model sees the result although two calls were enough."""
    rules = [
        {"tool_result": "get_weather", "reply": "Told: {{ tool_result.get_weather }}"},
        {"reply": {"tools": [{"name": "get_weather", "input": {"city": "Tokyo"}}]}},
    ]
    with dragoman.Client.offline({"rule": rules}) as client:
        given: Json = {"model": MODEL, "max_tokens": 100, "messages": [ASK], "tools": [dragoman.beta_tool(get_weather)]}
        runner: Any = client.beta.messages.tool_runner(stream=stream, **given)
        shown = [item.get_final_message() if stream else item for item in runner]
    assert [each.stop_reason for each in shown] == ["tool_use", "end_turn"]
    assert shown[1].content[0].text == "Told: Rain in Tokyo for 1"
