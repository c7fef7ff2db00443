"""What is OpenAI's Responses API alone, behind dragoman, over sockets: searches, reasoning that goes back, replies that
end otherwise than well. What holds for every dialect is in test_dialects.py. Cases of pain.md are cited by number."""

import itertools
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from fake_responses import FakeResponses
from running import Running

import dragoman

CONFIG = """
[server]
ping_after_s = 0.1

[providers.openai]
base_url = "{fake.url}"
api_key = "{fake.key}"
host = "openai"

[providers.again]
base_url = "{fake.url}"
api_key = "{fake.key}"
host = "openai"

[providers.ours]
dialect = "offline"
"""
ASK: dict[str, Any] = {"model": "openai/gpt-5.4", "max_tokens": 4000}
SEARCH: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
THINKS: dict[str, Any] = {"thinking": {"type": "adaptive"}}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeResponses]:
    with FakeResponses() as fake:
        yield fake


@pytest.fixture(scope="module")
def server(fake: FakeResponses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("responses"), CONFIG.format(fake=fake)) as server:
        yield server
    assert "Traceback" not in server.log()
    assert fake.key not in server.log()


@pytest.fixture(scope="module", params=["official", "ours"])
def client(request: pytest.FixtureRequest, server: Running) -> Iterator[Any]:
    made: Any = anthropic.Anthropic if request.param == "official" else dragoman.Anthropic
    with made(api_key=server.key, base_url=server.url, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_was_refused(fake: FakeResponses) -> Iterator[None]:
    fake.forget()
    yield
    assert fake.refused == []


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def asked(client: Any, *, stream: bool, **fields: Any) -> Any:
    fields = {**ASK, **fields}
    if not stream:
        return client.messages.create(**fields)
    with client.messages.stream(**fields) as events:
        return events.get_final_message()


def searched(client: Any, *, stream: bool) -> list[dict[str, Any]]:
    """A conversation in which a search, a call and what was thought go back."""
    turns = said("Please search for otters.")
    for after in ("And the weather in Paris?", None, "Search for beavers.", "Thank you."):
        message = asked(client, stream=stream, messages=turns, tools=[WEATHER, SEARCH], **THINKS)
        turns.append({"role": "assistant", "content": message.to_dict()["content"]})
        calls = [block for block in message.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sun"} for call in calls]
        turns += [{"role": "user", "content": results}] if after is None else said(after)
    return turns


def test_searches_are_the_same_streamed_and_not_and_go_back(client: Any, fake: FakeResponses) -> None:
    """Pain 6, 48, 59: the provider takes every turn, with what it searched for and thought."""
    turns = searched(client, stream=False)
    whole, fake.bodies[:] = list(fake.bodies), []
    assert searched(client, stream=True) == turns
    assert fake.bodies == [{**body, "stream": True} for body in whole]
    for before, after in itertools.pairwise(whole):
        assert after["input"][: len(before["input"])] == before["input"]  # it can be cached (pain 13)
    blocks = turns[1]["content"]
    kinds = ["thinking", "server_tool_use", "web_search_tool_result"]
    assert [block["type"] for block in blocks] == [*kinds, *kinds, "thinking", "text"]
    assert blocks[1]["input"]["query"] == "otters"
    assert [found["url"] for found in blocks[2]["content"]] == ["https://news.test/otters", "https://paper.test/otters"]
    (citation,) = blocks[-1]["citations"]
    assert (citation["type"], citation["title"]) == ("web_search_result_location", "All about otters")
    kinds = [item["type"] for item in whole[-1]["input"]]
    assert kinds[1:7] == ["reasoning", "web_search_call"] * 2 + ["reasoning", "message"]
    answers = [item for item in whole[-1]["input"] if item.get("role") == "assistant"]
    assert [item["phase"] for item in answers] == ["final_answer", "commentary", "final_answer"]


def test_searches_are_counted(client: Any) -> None:
    usage = asked(client, stream=True, messages=said("search for otters"), tools=[SEARCH]).usage
    assert usage.server_tool_use.web_search_requests == 1


def test_a_search_is_counted_among_the_tokens(client: Any, fake: FakeResponses) -> None:
    """Pain 16: what the provider counts is what it would be asked, without what counting does not take."""
    new = said(str(type(client)))  # what was counted before is not asked for again
    count = client.messages.count_tokens(model=ASK["model"], messages=new, tools=[SEARCH], **THINKS)
    assert count.input_tokens > 0
    assert fake.counted[0].keys() == {"model", "input", "tools", "reasoning"}


@pytest.mark.parametrize("model", ["openai/gpt-4o", "openai/gpt-5.5", "again/gpt-5.4", "ours/claude-opus-4-8"])
def test_a_conversation_with_searches_goes_on_with_another(client: Any, model: str) -> None:
    """Pain 7: no other model, key or maker can read what was found, so it is left out there."""
    turns = searched(client, stream=False)
    message = asked(client, stream=False, model=model, messages=turns, tools=[WEATHER])
    assert message.content[-1].text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("drop", ["thinking", "server_tool_use", "text"])
def test_what_a_program_drops_is_not_missed(client: Any, stream: bool, drop: str) -> None:
    """Pain 7: reasoning goes only with what it led to, and a search only with its reasoning."""
    turns = searched(client, stream=stream)
    dropped = {"server_tool_use": ("server_tool_use", "web_search_tool_result")}.get(drop, (drop,))
    for turn in turns[1::2]:
        turn["content"] = [block for block in turn["content"] if block["type"] not in dropped]
    assert asked(client, stream=stream, messages=turns, tools=[WEATHER, SEARCH]).content


def test_long_thought_does_not_look_like_silence(server: Running) -> None:
    """Pain 18: the provider tells that it has begun, and then nothing for as long as it thinks."""
    with anthropic.Anthropic(api_key=server.key, base_url=server.url, max_retries=0, timeout=20) as client:
        asking = client.messages.with_streaming_response.create(**ASK, messages=said("!ponders"), stream=True)
        with asking as reply:
            lines = [line for line in itertools.islice(reply.iter_lines(), 30) if line.startswith("event:")]
    assert set(lines[-2:]) == {"event: ping"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("word", "reason", "text"),
    [
        ("!incomplete", "max_tokens", "Half of it"),
        ("!filtered", "refusal", "Half of it"),
        ("!refusal", "refusal", "I'm sorry, I cannot help with that."),
    ],
)
def test_replies_that_are_not_whole(client: Any, stream: bool, word: str, reason: str, text: str) -> None:
    """Pain 2, 71."""
    message = asked(client, stream=stream, messages=said(word))
    assert (message.stop_reason, message.content[-1].text) == (reason, text)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("word", "status", "message"),
    [
        ("!failed", 502, "The server had an error while processing your request."),
        ("!late", 400, "prompt is too long: Your input exceeds the context window"),
    ],
)
def test_a_failure_under_status_200_has_its_status(
    client: Any, stream: bool, word: str, status: int, message: str
) -> None:
    """Pain 25, 70: nothing has been said yet, so it is an HTTP error, streamed or not."""
    with pytest.raises(Exception, match=message) as failed:
        asked(client, stream=stream, messages=said(word))
    assert failed.value.status_code == status


def test_a_strict_request_is_refused_where_a_search_is_lost_in_part(client: Any, fake: FakeResponses) -> None:
    """Pain 48: domains that must not be searched cannot be told."""
    tools = [{**SEARCH, "blocked_domains": ["a.test"]}]
    with pytest.raises(Exception, match=r"tools\.blocked_domains") as refused:
        client.messages.create(**ASK, messages=said("hi"), tools=tools, extra_headers={"dragoman-strict": "true"})
    assert refused.value.status_code == 400
    assert fake.bodies == []
