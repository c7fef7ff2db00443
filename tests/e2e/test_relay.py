"""A dragoman behind a dragoman: what the upstream sent is what the caller gets, byte for byte, and the same going up.

A tap between the two records both ways. Chunk borders are free; ids are random, so replies of two calls are compared
with their ids blotted out.
"""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from failing import BLOCK, DELTA, START, served
from misbehaving import LAST_CHUNK, Conn, chunk, reply, sse_event, sse_head
from running import Running
from tap import Tap

MODEL = "claude-opus-4-8"
MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
ID = re.compile(rb"\b(msg|toolu|req)_01[1-9A-Za-z]{22}\b")
KEY = "sk-dgm-e2e-tapped-key"

TOOLS = [
    {
        "name": "get_weather",
        "description": "Get the current weather of a city.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]
CALL = {"type": "tool_use", "id": "toolu_01A", "name": "get_weather", "input": {"city": "Tokyo"}}
LOOP = [
    {"role": "user", "content": "Weather in Tokyo?"},
    {"role": "assistant", "content": [CALL]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01A", "content": "18 degrees"}]},
]


def ask(prompt: str = "Hello, Claude", **more: Any) -> bytes:
    body = {"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": prompt}], **more}
    return json.dumps({name: value for name, value in body.items() if value is not None}).encode()


# name -> path, body, status
REQUESTS: dict[str, tuple[str, bytes, int]] = {
    "text": (MESSAGES, ask(), 200),
    "text, streamed": (MESSAGES, ask(stream=True), 200),
    "a long text, streamed": (MESSAGES, ask("All work and no play. " * 100, max_tokens=4000, stream=True), 200),
    "other alphabets, streamed": (MESSAGES, ask("naïve Здравствуй 你好 🦊 \u2028 \"'\\", stream=True), 200),
    "bytes in no usual form": (
        MESSAGES,
        '\r\n {"messages" :[{"content":"Caf\\u00e9 – \\/ \\ud83e\\udd8a 1e3","role":"user"}] ,\n\t"max_tokens": 50,'
        f' "model"\n:\t"{MODEL}", "temperature": 1.000 }} \n'.encode(),
        200,
    ),
    "a system prompt": (MESSAGES, ask(system=[{"type": "text", "text": "Be brief."}]), 200),
    "a stop sequence": (MESSAGES, ask("one two three", stop_sequences=["two"]), 200),
    "a stop sequence, streamed": (MESSAGES, ask("one two three", stop_sequences=["two"], stream=True), 200),
    "cut, streamed": (MESSAGES, ask(max_tokens=7, stream=True), 200),
    "a tool": (MESSAGES, ask("Weather in Tokyo?", tools=TOOLS), 200),
    "a tool, streamed": (MESSAGES, ask("Weather in Tokyo, Paris and Rome?", tools=TOOLS, stream=True), 200),
    "a forced tool, streamed": (MESSAGES, ask(tools=TOOLS, tool_choice={"type": "any"}, stream=True), 200),
    "a tool result, streamed": (MESSAGES, ask(messages=LOOP, tools=TOOLS, stream=True), 200),
    "thinking": (MESSAGES, ask(thinking={"type": "adaptive", "display": "summarized"}), 200),
    "thinking, streamed": (MESSAGES, ask(thinking={"type": "adaptive", "display": "summarized"}, stream=True), 200),
    "thinking unseen, streamed": (MESSAGES, ask(thinking={"type": "adaptive"}, stream=True), 200),
    "a count": (COUNT, ask(max_tokens=None, tools=TOOLS), 200),
    "a wrong role": (MESSAGES, ask(messages=[{"role": "robot", "content": "Hi"}]), 400),
    "a wrong role, streamed": (MESSAGES, ask(messages=[{"role": "robot", "content": "Hi"}], stream=True), 400),
    "no max_tokens": (MESSAGES, ask(max_tokens=None), 400),
    "an unknown key": (MESSAGES, ask(foo=1), 400),
    "an unknown model": (MESSAGES, ask(model="sonnet4"), 404),
    "a count of an unknown model": (COUNT, ask(model="sonnet4", max_tokens=None), 404),
}
each_request = pytest.mark.parametrize(("path", "body", "status"), REQUESTS.values(), ids=REQUESTS)


@pytest.fixture(scope="session")
def tap(offline: Running) -> Iterator[Tap]:
    with Tap(offline.url) as opened:
        yield opened


@pytest.fixture(scope="session")
def tapped(offline: Running, tap: Tap, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A dragoman whose upstream is another one, at the end of the tap."""
    config = f"""
[providers.first]
base_url = "{tap.url}"
api_key = "{offline.key}"

[models.nickname]
targets = ["first/claude-haiku-4-5"]
"""
    with Running(tmp_path_factory.mktemp("tapped"), config, key=KEY) as server:
        yield server
    assert "Traceback" not in server.log()


@pytest.fixture(scope="module")
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=20, trust_env=False) as client:
        yield client


def post(http: httpx2.Client, server: Running, body: bytes, path: str = MESSAGES, **headers: str | None) -> Any:
    given = {"x-api-key": server.key, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return http.post(server.url + path, content=body, headers={n: v for n, v in given.items() if v is not None})


@each_request
def test_every_byte_passes_both_ways(
    http: httpx2.Client, tapped: Running, tap: Tap, path: str, body: bytes, status: int
) -> None:
    before = len(tap.exchanges)
    answered = post(http, tapped, body, path)
    assert len(tap.exchanges) == before + 1
    sent = tap.last()
    assert (sent.method, sent.target, sent.body) == ("POST", path, body)
    assert (answered.status_code, sent.status) == (status, status)
    assert answered.content == sent.reply_body
    assert answered.headers["content-type"] == sent.reply_headers["content-type"]
    assert answered.headers["request-id"] == sent.reply_headers["request-id"]


@each_request
def test_both_servers_answer_the_same(
    http: httpx2.Client, offline: Running, tapped: Running, path: str, body: bytes, status: int
) -> None:
    direct, relayed = (post(http, server, body, path) for server in (offline, tapped))
    assert direct.status_code == relayed.status_code == status
    assert ID.sub(rb"\1", direct.content) == ID.sub(rb"\1", relayed.content)
    assert direct.headers.keys() == relayed.headers.keys()
    for name in ("content-type", "cache-control", "x-should-retry", "content-length"):
        assert direct.headers.get(name) == relayed.headers.get(name)


def test_an_alias_replaces_the_model_and_nothing_else(http: httpx2.Client, tapped: Running, tap: Tap) -> None:
    body = (
        b'{"system": "nickname",\n "model" :  "nickname" , "max_tokens":50, '
        b'"messages":[{"role": "user", "content": "My \\"model\\": \\u0022nickname\\u0022"}] }\n'
    )
    answered = post(http, tapped, body)
    sent = tap.last()
    assert sent.body == body.replace(b'"model" :  "nickname"', b'"model" :  "claude-haiku-4-5"')
    assert answered.content == sent.reply_body
    assert answered.json()["model"] == "claude-haiku-4-5-20251001"


def test_an_alias_works_for_streams_and_counts(http: httpx2.Client, tapped: Running, tap: Tap) -> None:
    streamed = post(http, tapped, ask(model="nickname", stream=True))
    assert streamed.content == tap.last().reply_body
    assert b"event: message_stop" in streamed.content
    count = post(http, tapped, ask(model="nickname", max_tokens=None), COUNT)
    assert count.content == tap.last().reply_body
    assert json.loads(tap.last().body)["model"] == "claude-haiku-4-5"


def test_a_provider_may_be_named_before_the_model(http: httpx2.Client, tapped: Running, tap: Tap) -> None:
    answered = post(http, tapped, ask(model=f"first/{MODEL}"))
    assert tap.last().body == ask()
    assert answered.content == tap.last().reply_body


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
def test_version_and_betas_go_up_and_the_caller_s_key_does_not(
    http: httpx2.Client, offline: Running, tapped: Running, tap: Tap, version: str
) -> None:
    answered = post(
        http,
        tapped,
        ask(),
        anthropic_version=version,
        anthropic_beta="interleaved-thinking-2025-05-14, some-new-beta",
        x_api_key=None,
        authorization=f"Bearer {KEY}",
        cookie="secret=1",
    )
    assert answered.status_code == 200
    sent = tap.last()
    assert sent.headers["anthropic-version"] == version
    assert sent.headers["anthropic-beta"] == "interleaved-thinking-2025-05-14, some-new-beta"
    assert sent.headers["x-api-key"] == offline.key
    assert KEY.encode() not in sent.raw_request
    assert b"secret=1" not in sent.raw_request


# name -> what is wrong: a body, a path, headers
REFUSED: dict[str, tuple[bytes, str, dict[str, str | None]]] = {
    "broken JSON": (b'{"model": ', MESSAGES, {}),
    "no object": (b"[1]", MESSAGES, {}),
    "no body": (b"", MESSAGES, {}),
    "a broken byte": (ask().replace(b"Hello", b"\xff"), MESSAGES, {}),
    "no model": (ask(model=None), MESSAGES, {}),
    "no key": (ask(), MESSAGES, {"x_api_key": None}),
    "a wrong key": (ask(), MESSAGES, {"x_api_key": "sk-wrong"}),
    "no version": (ask(), MESSAGES, {"anthropic_version": None}),
    "an unknown version": (ask(), MESSAGES, {"anthropic_version": "2024-01-01"}),
    "an unknown path": (ask(), "/v1/nothing", {}),
}


@pytest.mark.parametrize(("body", "path", "headers"), REFUSED.values(), ids=REFUSED)
def test_what_never_goes_up_is_refused_in_the_same_words(
    http: httpx2.Client,
    offline: Running,
    tapped: Running,
    tap: Tap,
    body: bytes,
    path: str,
    headers: dict[str, str | None],
) -> None:
    before = len(tap.exchanges)
    relayed = post(http, tapped, body, path, **headers)
    assert len(tap.exchanges) == before
    direct = post(http, offline, body, path, **headers)
    assert direct.status_code == relayed.status_code
    assert 400 <= direct.status_code < 500
    assert ID.sub(rb"\1", direct.content) == ID.sub(rb"\1", relayed.content)
    assert relayed.json()["request_id"] == relayed.headers["request-id"]


# -- an upstream of another make --------------------------------------------------------------------------------------

# Nothing here is as our own encoder would write it: order of keys, spaces, escapes, line ends, things unknown.
ODD_REPLY = (
    b'{ "usage":{"output_tokens":2,\t"input_tokens": 10, "novel": [1.0, 1e2]},\r\n "type" : "message",'
    b' "role":"assistant",'
    b'"id":"msg_odd", "model":"claude-opus-4-8","content":[{"text":"Caf\\u00e9 \\/ \xf0\x9f\xa6\x8a","type":"text"},'
    b'{"type":"novelty","of":{"b":1,"a":null}}],"stop_reason":"end_turn","stop_sequence":null, "novel":true}  \n'
)
ODD_STREAM = (
    b": a comment\r\n\r\n"
    b'event: message_start\r\ndata: {"message":{"usage":{"output_tokens":1,"input_tokens":10},"type":"message",'
    b'"id":"msg_odd","role":"assistant","model":"claude-opus-4-8","content":[],"stop_reason":null,"stop_sequence":null},'
    b'"type":"message_start"      }\r\n\r\n'
    b'event:ping\ndata:{"type":"ping"}\n\n'
    b'event: novelty\nid: 7\nretry: 10\ndata: {"type": "novelty", "index": 0}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}  \n\n'
    b": keep-alive\n\n"
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,\n'
    b'data: "delta":{"type":"text_delta","text":"Caf\\u00e9 \xe2\x80\xa8 \xf0\x9f\xa6\x8a"}}\n\n'
    b'event: content_block_stop\rdata: {"type":"content_block_stop","index":0}\r\r'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","novel":1},'
    b'"usage":{"output_tokens":2}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop" }\n\n'
)


@pytest.fixture(scope="module")
def is_seen() -> threading.Event:
    """Set by a test that has seen the beginning of a stream."""
    return threading.Event()


@pytest.fixture(scope="module")
def foreign(is_seen: threading.Event, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A dragoman in front of an upstream that is none."""

    async def handler(conn: Conn) -> None:
        while (request := await conn.read_request()) is not None:
            match request.json():
                case {"model": "slow"}:
                    begun = [sse_event(event["type"], event) for event in (START, BLOCK, DELTA)]
                    await conn.send(sse_head() + b"".join(map(chunk, begun)))
                    assert await asyncio.to_thread(is_seen.wait, 10)
                    await conn.send(chunk(sse_event("message_stop", {"type": "message_stop"})) + LAST_CHUNK)
                case {"stream": True}:
                    await conn.send(sse_head() + b"".join(chunk(piece) for piece in pieces(ODD_STREAM)) + LAST_CHUNK)
                case _:
                    await conn.send(reply(ODD_REPLY, ("content-type", "application/json")))

    with served(handler) as upstream:
        config = f'[providers.foreign]\nbase_url = "{upstream.url}"\n'
        with Running(tmp_path_factory.mktemp("foreign"), config) as server:
            yield server
    assert "Traceback" not in server.log()


def pieces(data: bytes, size: int = 7) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_a_reply_in_no_usual_form_is_handed_on_as_it_is(http: httpx2.Client, foreign: Running) -> None:
    assert post(http, foreign, ask()).content == ODD_REPLY


def test_a_stream_in_no_usual_form_is_handed_on_as_it_is(http: httpx2.Client, foreign: Running) -> None:
    """STR-4, STR-5: also when it comes in pieces of seven bytes."""
    assert post(http, foreign, ask(stream=True)).content == ODD_STREAM


def test_a_stream_is_handed_on_as_it_comes(http: httpx2.Client, foreign: Running, is_seen: threading.Event) -> None:
    """SDK-71: the upstream sends its end only when the caller has seen the beginning."""
    headers = {"x-api-key": foreign.key, "anthropic-version": "2023-06-01"}
    body = ask(model="slow", stream=True)
    with http.stream("POST", foreign.url + MESSAGES, content=body, headers=headers) as answered:
        lines = answered.iter_lines()
        assert any("Half of" in line for line in lines)
        is_seen.set()
        assert "event: message_stop" in list(lines)
