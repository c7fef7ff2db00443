"""What Claude Code sends, as it was observed on the wire. Over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asking import CLAUDE_CODE_BETAS, claude_code_body
from rawhttp import HELLO, KEY, error, events, exchange, json_bytes, post, request
from serving import Serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]

BETAS = ("anthropic-beta", ",".join([*CLAUDE_CODE_BETAS, "of-a-later-version-2027-01-01"]))
JSON_TYPE = ("content-type", "application/json")
PATH = "/v1/messages?beta=true"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    async with Serving() as serving:
        yield serving.url


def fresh_body(model: str = "claude-opus-5-5", **fields: Any) -> Json:
    """Its first turn: later ones hold thinking, whose signatures must be of the server's own making."""
    body = claude_code_body() | {"model": model, "max_tokens": 64_000}
    return body | {"messages": body["messages"][:2]} | fields


async def streamed(url: str, body: Json, *headers: tuple[str, str]) -> Json:
    """The message of a stream; every block that starts must be stopped before the next (CC-7 reads it so)."""
    answered = await exchange(url, post(body, BETAS, *headers, path=PATH))
    assert answered.status == 200, answered.body
    message: Json = {}
    is_open: int | None = None
    for name, event in events(answered.body):
        match name:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                assert is_open is None
                is_open = event["index"]
                message["content"].append(event["content_block"])
            case "content_block_delta":
                assert is_open == event["index"]
                for key, value in event["delta"].items():
                    if key in ("text", "thinking", "signature"):
                        message["content"][is_open][key] += value
            case "content_block_stop":
                assert is_open == event["index"]
                is_open = None
            case "message_delta":
                assert is_open is None
                message |= event["delta"]
    assert is_open is None
    assert name == "message_stop"
    return message


async def test_the_first_thing_it_asks_is_answered_at_once() -> None:
    """CC-1: without a key, without a redirect."""
    async with Serving() as server:
        answered = await exchange(server.url, request("HEAD", "/", key=None), method="HEAD")
    assert answered.status == 200
    assert answered.body == b""
    assert answered.header("location") is None


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-opus-4-8"])
@pytest.mark.parametrize("key", [("x-api-key", KEY), ("authorization", f"Bearer {KEY}")], ids=["key", "bearer"])
async def test_its_first_turn_streams(url: str, model: str, key: tuple[str, str]) -> None:
    """CC-2, 3, 4, 5, 7: the whole body, the betas it names, a system turn amid the others, and one we do not know."""
    headers = [key, ("anthropic-version", "2023-06-01"), JSON_TYPE, BETAS]
    raw = request("POST", PATH, json_bytes(fresh_body(model)), *headers, key=None)
    answered = await exchange(url, raw)
    assert answered.status == 200, answered.body
    assert (answered.header("content-type") or "").startswith("text/event-stream")
    told = events(answered.body)
    assert told[0][1]["message"]["model"] == model
    assert [name for name, _ in told].count("content_block_start") == [name for name, _ in told].count(
        "content_block_stop"
    )
    assert told[-1][0] == "message_stop"


async def test_a_system_turn_needs_its_beta_where_the_model_has_none(url: str) -> None:
    """CC-5, MSG-5, MSG-45: with a mid-conversation beta it stands anywhere."""
    turns = [HELLO["messages"][0], {"role": "system", "content": "# Environment"}, HELLO["messages"][0]]
    asked = {**HELLO, "model": "claude-sonnet-4-5", "messages": turns}
    told = error(await exchange(url, post(asked)), 400)
    assert told["message"].startswith('messages: Unexpected role "system".')
    beta = ("anthropic-beta", "mid-conversation-tool-changes-2026-07-01")
    assert (await exchange(url, post(asked, beta))).status == 200


TOOLS = [
    {
        "name": "Read",
        "description": "Reads a file",
        "input_schema": {"type": "object", "properties": {"file_path": {"type": "string"}}, "required": ["file_path"]},
    },
    {
        "name": "Bash",
        "description": "Runs a command",
        "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    },
]


async def test_its_tools_come_back_as_calls_and_go_on_after_errors(url: str) -> None:
    """CC-7, CC-8: thinking goes back with its signature, results with errors among them."""
    asked = fresh_body(tools=TOOLS)
    asked["messages"] = [{"role": "user", "content": "Read the file `src/main.py` and run the command `ls -l`."}]
    first = await streamed(url, asked)
    assert first["stop_reason"] == "tool_use"
    thought, *_ = first["content"]
    assert thought["type"] == "thinking"
    assert thought["signature"]
    calls = [block for block in first["content"] if block["type"] == "tool_use"]
    assert {call["name"] for call in calls} <= {"Read", "Bash"}
    results: list[Json] = [{"type": "tool_result", "tool_use_id": call["id"], "content": "done"} for call in calls]
    results[-1] |= {"is_error": True, "content": [{"type": "text", "text": "no such file"}]}
    turns = [
        *asked["messages"],
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": results},
    ]
    second = await streamed(url, asked | {"messages": turns})
    assert second["stop_reason"] == "end_turn"
    text = "".join(block.get("text", "") for block in second["content"])
    assert "failed with: no such file" in text


async def test_small_side_requests_and_bursts_of_counts(url: str) -> None:
    """CC-9: one token of a small model, and fifty counts at once."""
    small = (await exchange(url, post({**HELLO, "model": "claude-haiku-4-5", "max_tokens": 1}))).json()
    assert (small["stop_reason"], small["usage"]["output_tokens"]) == ("max_tokens", 1)
    counted = {"model": HELLO["model"], "messages": HELLO["messages"]}
    raw = post(counted, BETAS, path="/v1/messages/count_tokens?beta=true")
    answers = await asyncio.gather(*(exchange(url, raw) for _ in range(50)))
    assert {answered.status for answered in answers} == {200}
    assert len({answered.body for answered in answers}) == 1
    models = (await exchange(url, request("GET", "/v1/models?limit=1000"))).json()
    assert "claude-opus-5-5" in [model["id"] for model in models["data"]]
