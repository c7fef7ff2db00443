"""llama.cpp's own server behind dragoman: the official SDK and our client talk to a real engine.

The model is made here (support/tiny_model.py): it says the SCRIPTS below where the last message has their word, and
noise elsewhere. Cases of pain.md are cited by their number.
"""

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import pytest
from claude_code import MODELS, ClaudeCode, missing
from llama_server import LlamaServer
from PIL import Image
from running import Running
from tap import Tap

import dragoman

SCRIPTS = {
    # In Latin-1. The server's grammar takes it for UTF-8, and its parser of calls does not, when all is generated. It
    # stands first because it counts which bytes share a token.
    "!broken": '<tool_call>\n{"name": "get_weather", "arguments": {"city": "K\udcf6ln am Rhein"}}\n</tool_call>',
    "!hello": "Hello, wörld. 日本語, 🤔 and 🧑‍🚀 are whole, and\u2028so is this. THE END of it.",
    "!think": "<think>\nWhat is asked here? 🤔\n</think>\n\nThe answer is 42.",
    "!paris": '<think>\nLet me look it up.\n</think>\n\nOne moment.\n<tool_call>\n{"name": "get_weather", "arguments": '
    '{"city": "Paris"}}\n</tool_call>',
    "!both": '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Malmö"}}\n</tool_call>\n<tool_call>\n'
    '{"name": "get_weather", "arguments": {"city": "Tokyo"}}\n</tool_call>',
    "!sunny": "It is sunny there.",
    "!json": '{"warm": true}',
}
CONFIG = """
[providers.local]
host = "llamacpp"
base_url = "{llama.url}/v1"
api_key = "{llama.key}"

[providers.plain]                      # as a server of which nothing is known
dialect = "openai_chat"
base_url = "{llama.url}/v1"
api_key = "{llama.key}"

[providers.stranger]
host = "llamacpp"
base_url = "{llama.url}/v1"
api_key = "sk-of-nobody"

[models."claude-haiku-4-5"]
targets = ["local/tiny"]
"""
MODEL, PLAIN = "claude-haiku-4-5", "plain/tiny"
ASK: dict[str, Any] = {"model": MODEL, "max_tokens": 200}
OLDER = {"anthropic-version": "2023-06-01"}  # which has temperature
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CITY: dict[str, Any] = {**WEATHER, "name": "describe_city"}
ZEBRAS = "You are a zebra and say so. "
PATIENCE_S = 15.0


@pytest.fixture(scope="module")
def note(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that the script of !read has the model read."""
    note = tmp_path_factory.mktemp("notes") / "note.txt"
    note.write_text("What it says is !sunny.\n")
    return note


@pytest.fixture(scope="module")
def llama(note: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    call = {"name": "Read", "arguments": {"file_path": str(note)}}
    read = f"<think>\nI need it.\n</think>\n\nSo I read.\n<tool_call>\n{json.dumps(call)}\n</tool_call>"
    with LlamaServer(tmp_path_factory.mktemp("llama"), scripts=SCRIPTS | {"!read": read}) as llama:
        yield llama


@pytest.fixture(scope="module")
def server(llama: LlamaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("dragoman"), CONFIG.format(llama=llama)) as server:
        yield server
    assert "Traceback" not in server.log()
    assert llama.key not in server.log()


@pytest.fixture(scope="module", params=["official", "ours"])
def client(request: pytest.FixtureRequest, server: Running) -> Iterator[Any]:
    made: Any = anthropic.Anthropic if request.param == "official" else dragoman.Anthropic
    with made(api_key=server.key, base_url=server.url, max_retries=0, timeout=30) as client:
        yield client


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def asked(client: Any, *, stream: bool, **fields: Any) -> Any:
    if not stream:
        return client.messages.create(**ASK | fields)
    with client.messages.stream(**ASK | fields) as events:
        return events.get_final_message()


def refused(client: Any, *, stream: bool, **fields: Any) -> Any:
    """The error of a request that must fail, in the API's envelope."""
    with pytest.raises((anthropic.APIStatusError, dragoman.APIStatusError)) as failed:
        asked(client, stream=stream, **fields)
    error: Any = failed.value
    assert set(error.body) == {"type", "error", "request_id"}
    assert error.body["request_id"] == error.response.headers["request-id"]
    return error


def parts(message: Any) -> list[Any]:
    """What a message says, without ids and signatures."""
    return [
        block.input if block.type == "tool_use" else getattr(block, block.type).strip("\n") for block in message.content
    ]


def prompt_tokens(message: Any) -> int:
    usage = message.usage
    return int(usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens)


def tokens(llama: LlamaServer, text: str) -> int:
    return len(llama.post("/tokenize", {"content": text}).body["tokens"])


# -- what is said --


@pytest.mark.parametrize("model", [MODEL, PLAIN])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("word", "kinds", "told", "stop_reason"),
    [
        ("!hello", ["text"], [SCRIPTS["!hello"]], "end_turn"),
        ("!think", ["thinking", "text"], ["What is asked here? 🤔", "The answer is 42."], "end_turn"),
        (
            "!paris",
            ["thinking", "text", "tool_use"],
            ["Let me look it up.", "One moment.", {"city": "Paris"}],
            "tool_use",
        ),
        ("!both", ["tool_use", "tool_use"], [{"city": "Malmö"}, {"city": "Tokyo"}], "tool_use"),
    ],
)
def test_a_reply_is_the_same_streamed_and_not(
    client: Any, model: str, stream: bool, word: str, kinds: list[str], told: list[Any], stop_reason: str
) -> None:
    """Pain 1, 2, 4, 5, 43: thinking, text and calls in blocks of their own; emojis that are cut between two tokens."""
    message = asked(client, stream=stream, model=model, messages=said(word), tools=[WEATHER])
    assert [block.type for block in message.content] == kinds
    assert parts(message) == told
    assert (message.stop_reason, message.stop_sequence, message.model) == (stop_reason, None, model)
    ids = [block.id for block in message.content if block.type == "tool_use"]
    assert len(set(ids)) == kinds.count("tool_use")


def test_noise_is_the_same_streamed_and_not(client: Any) -> None:
    """At temperature 0 it is always the same, but for the first: its prompt is not cached yet, and is worked on in
    larger pieces, which may round in another way."""
    fields: dict[str, Any] = {
        "messages": said("Go on and on."),
        "extra_body": {"temperature": 0},
        "extra_headers": OLDER,
    }
    asked(client, stream=False, **fields)
    whole, streamed = asked(client, stream=False, **fields), asked(client, stream=True, **fields)
    assert parts(whole) == parts(streamed)
    assert len(parts(whole)[0]) > 400


def test_eight_streams_at_once_are_whole(client: Any) -> None:
    words = ["!hello", "!think"] * 4
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        found[number] = parts(asked(client, stream=True, messages=said(f"{number} {words[number]}")))[-1]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(words))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert found == dict(enumerate([SCRIPTS["!hello"], "The answer is 42."] * 4))


def test_a_system_turn_stands_where_it_was_said(client: Any) -> None:
    """Pain 12, 13: the last word is its, and what was said before it is still cached."""
    turns = [*said(f"{ZEBRAS * 20}Hi."), {"role": "assistant", "content": "I am."}, *said("Go on.")]
    before = asked(client, stream=False, messages=turns[:1])
    message = asked(client, stream=False, messages=[*turns, {"role": "system", "content": "Say !hello now."}])
    assert parts(message) == [SCRIPTS["!hello"]]
    assert message.usage.cache_read_input_tokens > 0.9 * prompt_tokens(before)


@pytest.mark.parametrize("stream", [False, True])
def test_a_message_that_was_begun_goes_on(client: Any, llama: LlamaServer, stream: bool) -> None:
    """What was begun ends in a script's mark: only where nothing follows it the script does. It is not said again."""
    begun = {"role": "assistant", "content": f"I say: {llama.mark('!hello')}"}
    message = asked(client, stream=stream, messages=[*said("Hi."), begun])
    assert parts(message) == [SCRIPTS["!hello"]]


def test_thinking_goes_back_to_the_model(client: Any, llama: LlamaServer) -> None:
    """Pain 6: its template shows what it thought before, as often as it is said."""
    first = asked(client, stream=False, messages=said("!think"))
    thought, text = first.to_dict()["content"]
    lengths = []
    for content in ([text], [thought, text]):
        turns = [*said("!think"), {"role": "assistant", "content": content}, *said("Go on.")]
        lengths.append(prompt_tokens(asked(client, stream=False, messages=turns, max_tokens=1)))
    assert lengths[1] - lengths[0] == tokens(llama, SCRIPTS["!think"].removesuffix("The answer is 42."))


def test_a_model_is_told_not_to_think(client: Any, llama: LlamaServer) -> None:
    """Its template closes the thinking then, before it begins."""
    fields: dict[str, Any] = {"messages": said("Hi."), "max_tokens": 5}
    message = asked(client, stream=False, thinking={"type": "disabled"}, **fields)
    assert [block.type for block in message.content] == ["text"]
    closed = prompt_tokens(message) - prompt_tokens(asked(client, stream=False, **fields))
    assert closed == tokens(llama, "<think>\n\n</think>\n\n")


def test_structured_output(client: Any) -> None:
    schema = {"type": "object", "properties": {"warm": {"type": "boolean"}}, "required": ["warm"]}
    form = {"type": "json_schema", "schema": {**schema, "additionalProperties": False}}
    message = asked(client, stream=False, messages=said("!json"), output_config={"format": form})
    assert parts(message) == [SCRIPTS["!json"]]


def test_nothing_is_lost(client: Any) -> None:
    """Pain 14: of what this server takes; in strict mode it would be refused."""
    fields: dict[str, Any] = {"system": "Be brief.", "tools": [WEATHER], "tool_choice": {"type": "any"}}
    fields |= {
        "stop_sequences": ["END"],
        "thinking": {"type": "adaptive"},
        "extra_headers": {"dragoman-strict": "true"},
    }
    raw = client.messages.with_raw_response.create(**ASK, messages=said("!paris"), **fields)
    assert "dragoman-lost" not in raw.headers
    assert raw.parse().stop_reason == "tool_use"


# -- tools --


@pytest.mark.parametrize("stream", [False, True])
def test_the_tool_runner(client: Any, stream: bool) -> None:
    """Pain 20: calls and results go back, thinking of the turn before among them."""
    module: Any = dragoman if isinstance(client, dragoman.Anthropic) else anthropic
    cities = []

    @module.beta_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        cities.append(city)
        return "It is !sunny."

    runner = client.beta.messages.tool_runner(**ASK, tools=[get_weather], messages=said("!both"), stream=stream)
    messages = [item.get_final_message() if stream else item for item in runner]
    assert cities == ["Malmö", "Tokyo"]
    assert [message.stop_reason for message in messages] == ["tool_use", "end_turn"]
    assert parts(messages[-1]) == ["It is sunny there."]
    assert prompt_tokens(messages[-1]) > prompt_tokens(messages[0]) + 50  # the calls and results


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_a_call_is_forced(client: Any, stream: bool, choice: Any) -> None:
    """The server's grammar is "any text, then a call": a model that says !hello cannot end there, and noise follows."""
    fields = {"tools": [CITY, WEATHER], "tool_choice": choice}
    message = asked(client, stream=stream, messages=said("!paris"), **fields)
    assert (parts(message)[-1], message.content[-1].name) == ({"city": "Paris"}, "get_weather")
    assert message.stop_reason == "tool_use"
    message = asked(client, stream=stream, messages=said("!hello"), **fields)
    assert parts(message)[0].startswith(SCRIPTS["!hello"])
    assert message.stop_reason == "max_tokens"


@pytest.mark.parametrize("choice", ["auto", "any"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_the_server_cannot_parse(client: Any, stream: bool, choice: str) -> None:
    """Pain 25, 53: it fails when all is generated: with 500, or behind the pieces of a stream."""
    fields: dict[str, Any] = {"messages": said("!broken"), "tools": [WEATHER], "tool_choice": {"type": choice}}
    error = refused(client, stream=stream, **fields)
    assert error.status_code == (200 if stream else 502)
    assert error.body["error"]["type"] == "api_error"
    assert "does not match the expected" in error.body["error"]["message"]


# -- ends --


@pytest.mark.parametrize("stream", [False, True])
def test_max_tokens(client: Any, stream: bool) -> None:
    message = asked(client, stream=stream, messages=said("Hi."), max_tokens=7)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 7)


@pytest.mark.parametrize("model", [MODEL, PLAIN])
@pytest.mark.parametrize("stream", [False, True])
def test_stop_sequences(client: Any, stream: bool, model: str) -> None:
    """Pain 42: the server tells which it met, if it is asked in the right way; else it is looked for in what comes."""
    fields = {"model": model, "stop_sequences": ["nowhere", "THE END"]}
    message = asked(client, stream=stream, messages=said("!hello"), **fields)
    assert parts(message) == [SCRIPTS["!hello"].partition("THE END")[0]]
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "THE END")
    message = asked(client, stream=stream, messages=said("!sunny"), **fields)
    assert parts(message) == [SCRIPTS["!sunny"]]
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)


# -- tokens --


def test_usage_is_the_servers_own(client: Any, llama: LlamaServer) -> None:
    """Pain 15, 32: what it reads from its cache is told apart; the same both ways."""
    system, ask = ZEBRAS * 10, "!hello, who are you?"
    body = {"messages": [{"role": "system", "content": system}, *said(ask)], "max_tokens": 200}
    own = llama.post("/v1/chat/completions", body).body["usage"]
    whole = asked(client, stream=False, messages=said(ask), system=system)
    with client.messages.stream(**ASK, messages=said(ask), system=system) as events:
        first = next(iter(events)).message.usage
        streamed = events.get_final_message()
    assert first.input_tokens > 0
    for message in (whole, streamed):
        assert prompt_tokens(message) == own["prompt_tokens"]
        assert message.usage.output_tokens == own["completion_tokens"]
        assert message.usage.cache_read_input_tokens == own["prompt_tokens"] - 1  # all but the last is cached


def test_count_tokens(client: Any) -> None:
    """Pain 15, 16: what will be used, to within a tenth."""
    fields: dict[str, Any] = {"messages": said(f"!hello {ZEBRAS * 20}"), "system": ZEBRAS, "tools": [WEATHER]}
    raw = client.messages.with_raw_response.count_tokens(model=MODEL, **fields)
    used = prompt_tokens(asked(client, stream=False, **fields))
    assert raw.headers["dragoman-count"] == "provider"
    assert raw.parse().input_tokens == pytest.approx(used, rel=0.1)


def test_the_attribution_line_does_not_break_the_cache(client: Any) -> None:
    """Pain 11: Claude Code's first system block is new in every request."""
    block = "x-anthropic-billing-header: cc_version=2.1.329; cc_entrypoint=cli; cch={};"
    used = []
    for stamp in ("1a2b3", "c4d5e"):
        system = [{"type": "text", "text": block.format(stamp)}, {"type": "text", "text": f"Stripes. {ZEBRAS * 30}"}]
        used.append(asked(client, stream=False, messages=said("Hi."), system=system, max_tokens=5))
    assert prompt_tokens(used[0]) == prompt_tokens(used[1])
    assert used[1].usage.cache_read_input_tokens == prompt_tokens(used[1]) - 1


# -- what is refused --


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long(client: Any, llama: LlamaServer, stream: bool) -> None:
    """Pain 52, 70: nothing is cut off in silence, and clients know by the words that they must compact."""
    length = tokens(llama, ZEBRAS * 4000)
    error = refused(client, stream=stream, messages=said(ZEBRAS * 4000))
    assert (error.status_code, error.body["error"]["type"]) == (400, "invalid_request_error")
    words = error.body["error"]["message"].split()
    assert " ".join(words[:4] + words[5:7] + words[8:]) == "prompt is too long: tokens > maximum"
    assert length < int(words[4]) < length + 50
    assert int(words[7]) == llama.get("/props").body["default_generation_settings"]["n_ctx"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_key_that_the_server_does_not_know(client: Any, stream: bool) -> None:
    error = refused(client, stream=stream, messages=said("Hi."), model="stranger/tiny")
    assert (error.status_code, error.body["error"]["type"]) == (401, "authentication_error")


def png() -> str:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("place", ["message", "result"])
def test_an_image_for_a_model_that_sees_none(client: Any, stream: bool, place: str) -> None:
    """Pain 21: it is told, not dropped; and no client should try again."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png()}}
    turns: list[Any] = [{"role": "user", "content": [image]}]
    if place == "result":
        call = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [image]}
        turns = [*said("Hi."), {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    error = refused(client, stream=stream, messages=turns, tools=[WEATHER])
    assert "image input is not supported" in error.body["error"]["message"]
    assert (error.status_code, error.body["error"]["type"]) == (400, "invalid_request_error")


# -- hang-ups --


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_frees_the_slot(server: Running, llama: LlamaServer, stream: bool) -> None:
    """Pain 27: in the middle of a reply, streamed or not (which it does not notice by itself). Noise would
    go on for 16000 tokens, and the slot knows how many it has."""
    body = json.dumps({**ASK, "messages": said("Hang up."), "max_tokens": 16_000, "stream": stream})
    headers = {"host": "x", "x-api-key": server.key, **OLDER, "content-length": len(body)}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    address = urlsplit(server.url)
    assert llama.busy() == 0
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE_S) as connection:
        connection.sendall(f"POST /v1/messages HTTP/1.1\r\n{head}\r\n{body}".encode())
        wait_until_busy(llama, 1)
    wait_until_busy(llama, 0)
    assert all(slot.get("n_prompt_tokens", 0) < 15_000 for slot in llama.get("/slots").body)


def wait_until_busy(llama: LlamaServer, requests: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while llama.busy() != requests:
        assert time.monotonic() < deadline
        time.sleep(0.002)


# -- Claude Code --


@pytest.mark.parametrize("version", MODELS)
def test_claude_code_reads_a_file(version: str, server: Running, note: Path, tmp_path: Path) -> None:
    """Pain 11, 13: with its own prompts and tools (few, that it be quick), and what it said before is cached."""
    if why := missing(version):
        pytest.skip(why)
    options = ["--tools", "Read", "--system-prompt", "You read files.", f"--add-dir={note.parent}"]
    with Tap(server.url) as tap:
        run = ClaudeCode(version, tmp_path, server, tap, "http://127.0.0.1:9").ask("Please !read it.", *options)
    assert [block["type"] for block in run.blocks] == ["thinking", "text", "tool_use", "tool_result", "text"]
    assert "!sunny" in run.kinds("tool_result")[0]["content"]
    assert run.result["result"] == SCRIPTS["!sunny"]
    first, second = run.rows
    assert int(second["cache_read_input_tokens"]) > 0.9 * (int(first["input_tokens"]) + int(first["output_tokens"]))
