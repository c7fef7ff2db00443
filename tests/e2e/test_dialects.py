"""A provider of each dialect behind dragoman: the official SDK, our client and Claude Code hold conversations with it.

The providers are fakes on real sockets that refuse whatever the reference does not allow (support/fakes.py), so a
request that comes through is one that the real one takes. Cases of pain.md are cited by their number.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest
from claude_code import MODELS, ClaudeCode, missing
from fake_provider import FakeProvider
from fakes import FAKES, Fake
from message_forms import FORMS
from running import Running
from serving import ledger_rows
from tap import Tap

import dragoman

CONFIG = """
[server]
ping_after_s = 0.2

[providers.fake]
{table}

[providers.severe]
{table}
strict = true

[models."claude-opus-4-8"]
targets = ["fake/{thinker}"]

[models."claude-opus-5-5"]
targets = ["fake/{thinker}"]

[models."claude-haiku-4-5"]
targets = ["fake/{plain}"]
"""
MODEL = "claude-opus-4-8"
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASK: dict[str, Any] = {"model": MODEL, "max_tokens": 1000}
OLDER = {"anthropic-version": "2023-06-01"}  # which has top_k and temperature
PATIENCE_S = 10.0
WORD = "The word is xylophone-43."


@pytest.fixture(scope="module", params=FAKES.values(), ids=FAKES)
def dialect(request: pytest.FixtureRequest) -> Fake:
    return request.param


@pytest.fixture(scope="module")
def fake(dialect: Fake) -> Iterator[FakeProvider]:
    with dialect.make() as fake:
        yield fake


@pytest.fixture(scope="module")
def server(dialect: Fake, fake: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    config = CONFIG.format(table=dialect.table.format(fake=fake), thinker=dialect.thinker, plain=dialect.plain)
    with Running(tmp_path_factory.mktemp("translated"), config) as server:
        yield server
    assert "Traceback" not in server.log()
    assert fake.key not in server.log()


@pytest.fixture(scope="module", params=["official", "ours"])
def client(request: pytest.FixtureRequest, server: Running) -> Iterator[Any]:
    made: Any = anthropic.Anthropic if request.param == "official" else dragoman.Anthropic
    with made(api_key=server.key, base_url=server.url, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_was_refused(fake: FakeProvider) -> Iterator[None]:
    fake.forget()
    yield
    assert fake.refused == []


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def asked(client: Any, *, stream: bool, **fields: Any) -> Any:
    if not stream:
        return client.messages.create(**ASK, **fields)
    with client.messages.stream(**ASK, **fields) as events:
        return events.get_final_message()


def talked(client: Any, *, stream: bool) -> list[dict[str, Any]]:
    """A conversation with tools by hand: its turns, as they go back."""
    turns = said("What is the weather in Paris and in Malmö?")
    for question in ("And in Tokyo?", "Thank you."):
        message = asked(client, stream=stream, messages=turns, tools=[WEATHER], system="Be brief.")
        assert message.stop_reason == "tool_use"
        turns.append({"role": "assistant", "content": message.to_dict()["content"]})
        calls = [block for block in message.content if block.type == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": f"sun in {call.input['city']}"} for call in calls
        ]
        turns.append({"role": "user", "content": results})
        message = asked(client, stream=stream, messages=turns, tools=[WEATHER], system="Be brief.")
        assert message.stop_reason == "end_turn"
        turns += [{"role": "assistant", "content": message.to_dict()["content"]}, *said(question)]
    return turns


def test_a_conversation_with_tools_is_the_same_streamed_and_not(client: Any, dialect: Fake, fake: FakeProvider) -> None:
    """Pain 1, 4, 5, 20: thinking, text, parallel calls in fragments; every turn is taken by the provider."""
    turns = talked(client, stream=False)
    whole, fake.bodies[:] = list(fake.bodies), []
    assert talked(client, stream=True) == turns
    for body, streamed in zip(whole, fake.bodies, strict=True):
        assert streamed == dialect.streamed(body)
    first = turns[1]["content"]
    kinds = [block["type"] for block in first]
    assert [kind for kind in kinds if kind != "thinking"] == ["text", "tool_use", "tool_use"]
    assert kinds[0] == "thinking" or not dialect.thinks_aloud
    assert [block["input"] for block in first if "input" in block] == [{"city": "Paris"}, {"city": "Malmö"}]
    assert turns[3]["content"][-1]["text"] == "It says: sun in Paris | sun in Malmö"
    assert turns[7]["content"][-1]["text"] == "It says: sun in Tokyo"


@pytest.mark.parametrize("stream", [False, True])
def test_the_tool_runner(client: Any, dialect: Fake, fake: FakeProvider, stream: bool) -> None:
    """Both runners use threads: the provider sees the whole conversation all the same."""
    module: Any = dragoman if isinstance(client, dragoman.Anthropic) else anthropic

    @module.beta_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"rain in {city}"

    runner = client.beta.messages.tool_runner(
        **ASK, tools=[get_weather], messages=said("Weather in Rome and Tokyo?"), stream=stream
    )
    messages = [item.get_final_message() if stream else item for item in runner]
    assert [message.stop_reason for message in messages] == ["tool_use", "end_turn"]
    assert messages[-1].content[-1].text == "It says: rain in Rome | rain in Tokyo"
    first, second = map(dialect.turns, fake.bodies)
    assert first == second[: len(first)]
    assert len(second) > len(first) == 1


@pytest.mark.parametrize(("fields", "needle"), FORMS.values(), ids=FORMS)
def test_every_form_is_taken_by_the_provider(
    server: Running, dialect: Fake, fake: FakeProvider, fields: Any, needle: str
) -> None:
    """What is not refused by us with a 400 that says why is never refused by the provider."""
    ask = {**ASK, "model": f"fake/{dialect.plain}", "messages": said("hi")}
    betas = ["computer-use-2025-01-24"]
    with anthropic.Anthropic(api_key=server.key, base_url=server.url, max_retries=0) as client:
        try:
            message = client.beta.messages.create(**ask, betas=betas, extra_body=fields, extra_headers=OLDER)
        except anthropic.BadRequestError as error:
            if dialect.knows_thinking and "Invalid `signature` in `thinking` block" in str(error):
                fake.forget()  # of another: as the API itself refuses it
            else:
                assert "the model that answers" in str(error)  # noqa: PT017
            return
    assert message.content


def test_usage_is_that_of_the_provider(client: Any) -> None:
    """Pain 15, 32: an estimate at first, the provider's own in the end, in disjoint parts; the same both ways."""
    whole = asked(client, stream=False, messages=said("x" * 400)).usage
    with client.messages.stream(**ASK, messages=said("x" * 400)) as events:
        first = next(iter(events)).message.usage
        streamed = events.get_final_message().usage
    assert first.input_tokens > 0
    for name in ("input_tokens", "cache_read_input_tokens", "output_tokens"):
        assert getattr(whole, name) == getattr(streamed, name) > 0
    assert abs(whole.input_tokens - whole.cache_read_input_tokens) <= 1  # half of the prompt was cached


def test_count_tokens(client: Any, dialect: Fake, fake: FakeProvider) -> None:
    """Pain 16, 67: the provider's own count, or an estimate, which says so and costs the provider nothing."""
    few = client.messages.count_tokens(model=MODEL, messages=said("Hello"))
    many = client.messages.with_raw_response.count_tokens(model=MODEL, messages=said("Hello " * 1000), tools=[WEATHER])
    assert 0 < few.input_tokens < 50
    assert 900 < many.parse().input_tokens < 2000
    assert many.headers["dragoman-count"] == dialect.counts
    assert fake.bodies == []


def test_what_is_lost_is_told(client: Any, dialect: Fake, fake: FakeProvider, server: Running) -> None:
    """Pain 14, 48: in a header and the ledger; in strict mode it is refused, and the provider never asked."""
    fields: dict[str, Any] = {**ASK, "model": f"fake/{dialect.plain}", "messages": said("hi")}
    fields["tools"] = [{"type": dialect.server_tool, "name": dialect.server_tool.rpartition("_")[0]}]
    raw = client.messages.with_raw_response.create(**fields, extra_body={"top_k": 5}, extra_headers=OLDER)
    assert raw.headers["dragoman-lost"] == dialect.search
    assert len(fake.bodies) == 1
    row = wait_for(lambda: [row for row in whole_rows(server) if row["request_id"] == raw.headers["request-id"]])[0]
    assert row["lost"] == dialect.search.replace(", ", ",")
    words = [{"extra_headers": {**OLDER, "dragoman-strict": word}} for word in ("true", "True", "1", "perhaps")]
    for severe in (*words, {"model": f"severe/{dialect.plain}"}):
        with pytest.raises(Exception, match="dragoman-strict") as refused:
            client.messages.create(**{**fields, "extra_headers": OLDER, **severe}, extra_body={"top_k": 5})
        assert refused.value.status_code == 400
    assert len(fake.bodies) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("word", "status", "kind", "message"),
    [
        ("!429", 429, "rate_limit_error", "Rate limit reached"),
        ("!long", 400, "invalid_request_error", "{dialect.too_long}"),
        ("!401", 401, "authentication_error", "{dialect.wrong_key}"),
        ("!404", 404, "not_found_error", "does not exist"),
        ("!500", 502, "api_error", "had an error"),
        ("!503", 529, "overloaded_error", "overloaded"),
    ],
)
def test_errors(client: Any, dialect: Fake, stream: bool, word: str, status: int, kind: str, message: str) -> None:
    """Pain 17, 28, 70: status, type, words and `retry-after`, before a stream begins too."""
    with pytest.raises(Exception, match=r".") as failed:
        asked(client, stream=stream, messages=said(word))
    error: Any = failed.value
    assert error.status_code == status
    assert error.body["error"]["type"] == kind
    assert message.format(dialect=dialect) in error.body["error"]["message"]
    assert error.body["request_id"] == error.response.headers["request-id"]
    assert error.response.headers.get("retry-after") == ("7" if status == 429 else None)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("!error", "The server had an error"),
        ("!truncated", "broke off its reply"),
        ("!early", "ended before its message"),
    ],
)
def test_a_stream_that_fails_is_never_a_message(client: Any, server: Running, word: str, message: str) -> None:
    """Pain 24, 25: an error chunk (after which the provider holds the line open), a cut connection, an early end."""
    texts, cut = [], cut_rows(server)
    expected = pytest.raises(Exception, match=message)
    with expected as failed, client.messages.stream(**ASK, messages=said(word)) as events:
        texts.extend(events.text_stream)  # what came before it failed
    assert "".join(texts) == "Half of it"
    assert failed.value.body["error"]["type"] == "api_error"
    wait_for(lambda: cut_rows(server) != cut)


def cut_rows(server: Running) -> int:
    """How many streams the ledger has as broken off."""
    return sum(row["outcome"] == "cut" for row in whole_rows(server))


def whole_rows(server: Running) -> list[dict[str, str]]:
    """A row may be written a moment after its reply has ended, and in two pieces."""
    return ledger_rows(server.log().rpartition("\n")[0])


def wait_for(wanted: Callable[[], Any]) -> Any:
    """What it gives once that is anything."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := wanted()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


@pytest.mark.parametrize("word", ["!stall", "!silent"])
def test_a_client_that_hangs_up_ends_the_providers_work(client: Any, fake: FakeProvider, word: str) -> None:
    """Pain 27: in the middle of the stream, and before its first content."""
    events = client.messages.create(**ASK, messages=said(word), stream=True)
    if word == "!stall":
        assert [event.type for event in itertools.islice(events, 3)][-1] == "content_block_delta"
    assert fake.streaming.wait(PATIENCE_S)
    events.close()
    assert fake.hung_up.wait(PATIENCE_S)


# -- Claude Code --


@pytest.fixture(scope="module", params=MODELS)
def claude(
    request: pytest.FixtureRequest, server: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClaudeCode]:
    version = str(request.param)
    if why := missing(version):
        pytest.skip(why)
    with Tap(server.url) as tap:
        yield ClaudeCode(version, tmp_path_factory.mktemp("claude"), server, tap, "http://127.0.0.1:9")


def test_claude_code_reads_a_file(claude: ClaudeCode, dialect: Fake, fake: FakeProvider) -> None:
    """Its own tools, system turns, betas and thinking, on another model; pain 11, 13."""
    note = claude.work / "note.txt"
    note.write_text(f"{WORD}\n")
    run = claude.ask(f"Read the file {note}")
    (call,) = run.kinds("tool_use")
    assert (call["name"], call["input"]["file_path"]) == ("Read", str(note))
    assert WORD in run.result["result"]
    assert run.result["num_turns"] == 2
    thoughts = [block["thinking"] for block in run.kinds("thinking")]
    assert [thought for thought in thoughts if thought] == ["Let me think. 🤔"] * 2  # empty ones hold signatures
    asked = [body for body in fake.bodies if "Read" in dialect.tools(body)]
    assert "x-anthropic-billing-header" not in json.dumps(asked)
    for before, after in itertools.pairwise(asked):
        earlier, later = dialect.turns(before), dialect.turns(after)
        assert later[: len(earlier)] == earlier  # the provider can cache it


def test_claude_code_resumes(claude: ClaudeCode) -> None:
    first = claude.ask("Hello, stranger.")
    again = claude.ask("Once more.", "--resume", str(first.result["session_id"]))
    assert "Once more." in again.result["result"]
    assert len(again.bodies[-1]["messages"]) > len(first.bodies[-1]["messages"])
