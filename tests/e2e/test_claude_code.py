"""Claude Code itself, headless, against a server process on the offline engine: a prompt, tools, resumed conversations.

Two versions, which ask differently. Each run is one process with nothing of this machine but PATH; a tap between it
and the server shows what it asked. They come from npm (`make unit` installs them in `claude-code/`): where they are not
installed the tests are skipped, but fail where CI is set.
"""

import json
import os
import re
import socket
from collections.abc import Iterator

import pytest
from claude_code import MODELS, NEW, OLD, ClaudeCode, Json, Run, missing
from running import Running
from tap import Tap

SECRET = "The word is xylophone-42."  # in the file that is to be read


@pytest.fixture(scope="module", params=[OLD, NEW])
def version(request: pytest.FixtureRequest) -> str:
    version = str(request.param)
    if why := missing(version):
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return version


@pytest.fixture(scope="module")
def claude(version: str, offline: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaudeCode]:
    with socket.create_server(("127.0.0.1", 0)) as trap, Tap(offline.url) as tap:
        nowhere = f"http://127.0.0.1:{trap.getsockname()[1]}"
        yield ClaudeCode(version, tmp_path_factory.mktemp("claude"), offline, tap, nowhere)
        trap.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has asked for the world
            trap.accept()


@pytest.fixture(scope="module")
def hello(claude: ClaudeCode) -> Run:
    """A first plain prompt."""
    return claude.ask("Say hello, please.", is_trapped=False)


@pytest.fixture(scope="module")
def reading(claude: ClaudeCode) -> Run:
    """A prompt that takes a tool."""
    note = claude.work / "note.txt"
    note.write_text(f"{SECRET}\nNo more.\n")
    return claude.ask(f"Read the file {note}")


def test_a_prompt_is_answered(hello: Run, version: str) -> None:
    """CC-2, CC-7: its stream is read to the end, each block's stop included."""
    assert "Say hello, please." in hello.result["result"]
    assert MODELS[version] in hello.result["result"]
    assert hello.result["num_turns"] == 1
    assert hello.rows[-1]["stream"] == "yes"
    row = hello.rows[-1]
    read, written = row["cache_read_input_tokens"], row["cache_creation_input_tokens"]
    assert int(row["input_tokens"]) + int(read) + int(written) > 5_000


def test_usage_is_what_the_ledger_holds(hello: Run) -> None:
    usage, row = hello.result["usage"], hello.rows[-1]
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    assert {name: usage[name] for name in names} == {name: int(row[name]) for name in names}


def test_what_it_asks_is_what_we_know_of_it(hello: Run, version: str, claude: ClaudeCode) -> None:
    """CC-1 to 5: should a version ask otherwise, the specification is to be read again."""
    if version == OLD:
        assert (hello.asked[0].method, hello.asked[0].target, hello.asked[0].status) == ("HEAD", "/", 200)
    asked = hello.asked[-1]
    assert (asked.method, asked.target) == ("POST", "/v1/messages?beta=true")
    assert asked.headers["x-api-key"] == claude.key["ANTHROPIC_API_KEY"]
    assert {"claude-code-20250219", "effort-2025-11-24"} <= set(asked.headers["anthropic-beta"].split(","))
    assert "mid-conversation-" in asked.headers["anthropic-beta"]
    (body,) = hello.bodies
    assert (body["model"], body["max_tokens"]) == (MODELS[version], {OLD: 64_000, NEW: 128_000}[version])
    assert body["stream"] is True
    assert body["thinking"]["type"] == "adaptive"
    assert body["output_config"]["effort"] in ("medium", "high")
    assert body["context_management"]["edits"][0]["type"] == "clear_thinking_20251015"
    assert 12 <= len(body["tools"]) <= 24
    assert ["cache_control" in block for block in body["system"]] == [False, True, True]
    assert [turn["role"] for turn in body["messages"][:2]] == ["user", "system"]
    assert '"cache_control"' in json.dumps(body["messages"])
    assert json.loads(body["metadata"]["user_id"])["session_id"] == hello.result["session_id"]


def test_a_bearer_token_is_taken(claude: ClaudeCode) -> None:
    """CC-2."""
    run = claude.ask("Hello again.", env={"ANTHROPIC_AUTH_TOKEN": claude.key["ANTHROPIC_API_KEY"]})
    assert "Hello again." in run.result["result"]
    assert run.asked[-1].headers["authorization"].startswith("Bearer ")
    assert "x-api-key" not in run.asked[-1].headers


def test_a_file_is_read_with_its_tool(reading: Run, claude: ClaudeCode) -> None:
    """CC-7, CC-8: the engine calls Read, Claude Code carries it out, and the answer holds what came back."""
    (call,) = reading.kinds("tool_use")
    assert (call["name"], call["input"]["file_path"]) == ("Read", str(claude.work / "note.txt"))
    (result,) = reading.kinds("tool_result")
    assert result["tool_use_id"] == call["id"]
    assert SECRET in result["content"]
    assert SECRET in reading.result["result"]
    assert reading.result["num_turns"] == 2


def test_thinking_goes_back_with_its_signature(reading: Run) -> None:
    """CC-7: and is taken, as it came."""
    first, second = reading.bodies
    said = second["messages"][-2]
    assert said["role"] == "assistant"
    assert len(second["messages"]) == len(first["messages"]) + 2
    (thought, *_) = reading.kinds("thinking")
    assert thought["signature"]
    assert [block for block in said["content"] if block["type"] == "thinking"] == [thought]


def test_a_tool_that_fails_is_told(claude: ClaudeCode) -> None:
    """CC-8: `is_error` is no error."""
    run = claude.ask(f"Read the file {claude.work}/missing.txt")
    (result,) = run.kinds("tool_result")
    assert result["is_error"] is True
    assert "failed with" in run.result["result"]
    assert run.bodies[-1]["messages"][-1]["content"][0]["is_error"] is True


def test_a_conversation_is_resumed(reading: Run, claude: ClaudeCode) -> None:
    """CC-7, CC-8: all of it goes back, its tool's turn too."""
    session = str(reading.result["session_id"])
    run = claude.ask("And what now?", "--resume", session)
    assert run.result["session_id"] == session
    assert "And what now?" in run.result["result"]
    body = json.dumps(run.bodies[-1]["messages"])
    assert "Read the file" in body
    assert SECRET in body
    kinds = {block["type"] for turn in run.bodies[-1]["messages"] for block in _blocks(turn)}
    assert {"text", "thinking", "tool_use", "tool_result"} <= kinds

    again = claude.ask("Once more?", "--continue")
    assert "Once more?" in again.result["result"]
    assert len(again.bodies[-1]["messages"]) == len(run.bodies[-1]["messages"]) + 2


def _blocks(turn: Json) -> list[Json]:
    content = turn["content"]
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def test_a_small_model_is_served(claude: ClaudeCode) -> None:
    """CC-9: its side requests go to a Haiku-class model."""
    run = claude.ask("Hello, small one.", "--model", "haiku")
    assert re.search(r"in place of claude-haiku-\d", run.result["result"])


def test_none_of_its_requests_is_refused(hello: Run, reading: Run) -> None:
    """CC-4, CC-5."""
    rows = hello.rows + reading.rows
    assert len(rows) == 3
    assert {(row["outcome"], row["status"]) for row in rows} == {("answered", "200")}
