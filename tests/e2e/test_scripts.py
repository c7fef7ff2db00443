"""Scripts over a real server: `dragoman serve --script`, asked by the official Python SDK."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic, DefaultHttpxClient
from running import Running

SCRIPT = """
[[rule]]
text = "busy at first"
  [[rule.reply]]
  error = { status = 429, message = "Not so fast.", retry_after = 1 }
  [[rule.reply]]
  text = "Now."

[[rule]]
text = "breaks with an error"
[rule.reply]
text = "one two three four five six"
error = { type = "overloaded_error", message = "Overloaded", after = 3 }

[[rule]]
text = "is cut"
reply = { text = "one two three four five six", cut_after = 3 }

[[rule]]
text = "is late"
reply = { text = "Late.", wait_ms = 700 }

[[rule]]
text = "refuses"
reply = { refusal = { category = "cyber", explanation = "No." } }

[[rule]]
text = "counts"
reply = { text = "So many.", usage = { input_tokens = 1234, output_tokens = 77, cache_read_input_tokens = 500 } }

[[rule]]
text.contains = "search"
continues = false
[rule.reply]
stop_reason = "pause_turn"
blocks = [
  { type = "text", text = "I look it up." },
  { type = "server_tool_use", name = "web_search", input = { query = "x" } },
  { type = "web_search_tool_result", content = [] },
]

[[rule]]
continues = true
reply = "Found nothing."
"""
SEARCH: Any = {"type": "web_search_20250305", "name": "web_search"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("scripted")
    script = folder / "replies.toml"
    script.write_text(SCRIPT)
    with Running(folder, f'[providers.offline]\nscript = "{script}"\n') as running:
        yield running
    assert "Traceback" not in running.log()


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[Anthropic]:
    plain = DefaultHttpxClient(trust_env=False)
    with Anthropic(base_url=server.url, api_key=server.key, max_retries=0, timeout=20, http_client=plain) as opened:
        yield opened


def asking(words: str, **more: Any) -> Any:
    return {
        "model": "claude-opus-4-8",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": words}],
        **more,
    }


def said(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def last_row(server: Running, *words: str) -> str:
    """The ledger's last line that holds these words: it may be written a moment after the reply has ended."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        rows = [line for line in server.log().splitlines() if all(word in line for word in words)]
        if rows:
            return rows[-1]
        time.sleep(0.02)
    raise AssertionError(f"no row with {words} in {server.log()}")


def test_a_limit_that_is_over_soon_is_waited_for(client: Anthropic) -> None:
    """ERR-17, HDR-37, SDK-23, SDK-24: the SDK tries again after the time it was told."""
    began = time.monotonic()
    message = client.with_options(max_retries=2).messages.create(**asking("busy at first"))
    assert said(message) == "Now."
    assert time.monotonic() - began >= 0.7


def test_an_error_in_mid_stream_is_an_event(client: Anthropic, server: Running) -> None:
    """STR-40, STR-51: behind the events that were told to come before it."""
    texts = []
    with (
        pytest.raises(anthropic.APIStatusError) as caught,
        client.messages.stream(**asking("breaks with an error")) as stream,
    ):
        texts = [*stream.text_stream]
    assert caught.value.status_code == 200
    assert caught.value.type == "overloaded_error"
    assert texts == []
    assert "error=overloaded_error" in last_row(server, "outcome=cut")


def test_the_same_error_without_a_stream_is_a_status(client: Anthropic) -> None:
    """STR-6, ERR-20."""
    with pytest.raises(anthropic.InternalServerError) as caught:
        client.messages.create(**asking("breaks with an error"))
    assert caught.value.status_code == 529


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_is_a_lost_connection(server: Running, stream: bool) -> None:
    """STR-42, STR-52: no event says so, and no end does."""
    got = b""
    headers = {"x-api-key": server.key, "anthropic-version": "2023-06-01"}
    body = {**asking("is cut"), "stream": stream}

    def read() -> None:
        nonlocal got
        with (
            httpx.Client(trust_env=False) as plain,
            plain.stream("POST", f"{server.url}/v1/messages", json=body, headers=headers) as answer,
        ):
            for piece in answer.iter_raw():
                got += piece

    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        read()
    assert b"message_stop" not in got
    assert b"event: error" not in got
    assert got.count(b"event: content_block_") == (3 if stream else 0)
    assert last_row(server, f"stream={'yes' if stream else 'no'}", "outcome=cut")


def test_a_late_reply_comes_late(client: Anthropic) -> None:
    began = time.monotonic()
    assert said(client.messages.create(**asking("is late"))) == "Late."
    assert time.monotonic() - began >= 0.7


def test_a_refusal_has_its_details(client: Anthropic) -> None:
    """MSG-104, MSG-115."""
    message = client.messages.create(**asking("refuses"))
    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert (message.stop_details.category, message.stop_details.explanation) == ("cyber", "No.")


@pytest.mark.parametrize("stream", [False, True])
def test_usage_is_what_the_script_says(client: Anthropic, stream: bool) -> None:
    """MSG-120, STR-13."""
    if stream:
        with client.messages.stream(**asking("counts")) as opened:
            message: Any = opened.get_final_message()
    else:
        message = client.messages.create(**asking("counts"))
    usage = message.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens) == (1234, 77, 500)


def test_a_paused_turn_is_taken_up_again(client: Anthropic) -> None:
    """MSG-114, TOOL-62, TOOL-64: the SDK's runner sends it back by itself."""
    first = client.messages.create(**asking("search for it", tools=[SEARCH]))
    assert first.stop_reason == "pause_turn"
    assert [block.type for block in first.content] == ["text", "server_tool_use", "web_search_tool_result"]
    assert first.usage.server_tool_use is not None
    assert first.usage.server_tool_use.web_search_requests == 1
    turns = [{"role": "user", "content": "search for it"}, {"role": "assistant", "content": first.content}]
    second = client.messages.create(**{**asking("", tools=[SEARCH]), "messages": turns})
    assert said(second) == "Found nothing."
    with pytest.raises(anthropic.BadRequestError, match="but no `web_search` tool was provided"):
        client.messages.create(**{**asking(""), "messages": turns})
    runner = client.beta.messages.tool_runner(
        model="claude-opus-4-8",
        max_tokens=200,
        tools=[SEARCH],
        messages=[{"role": "user", "content": "search for it"}],
    )
    assert [message.stop_reason for message in runner] == ["pause_turn", "end_turn"]


def test_what_no_rule_fits_the_engine_answers(client: Anthropic) -> None:
    assert "no model was asked" in said(client.messages.create(**asking("something else")))


def test_a_broken_script_stops_the_start(tmp_path: Path) -> None:
    """With the file, the line, what is wrong, and the remedy."""
    script = tmp_path / "bad.toml"
    script.write_text('[[rule]]\nname = "a"\nreply = "x"\nnonsense = 1\n')
    server = Running(tmp_path / "server", f'[providers.offline]\nscript = "{script}"\n')
    with pytest.raises(Exception, match=r"bad.toml:4"):
        server.__enter__()
