"""Gemini behind dragoman: what only it asks of a conversation. What all dialects have in common is in test_dialects.py.

The fake refuses what the service refuses (support/fake_gemini_rules.py). Cases of pain.md are cited by their number.
"""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from claude_code import MODELS, ClaudeCode, missing
from fake_gemini import BYPASS, FakeGemini, signature_of
from fake_gemini_rules import KEYWORDS
from gemini_cases import keywords
from message_forms import PNG
from running import Running
from tap import Tap

import dragoman

CONFIG = """
[providers.fake]
dialect = "gemini"
base_url = "{fake.url}"
api_key = "{fake.key}"

[models."claude-opus-4-8"]
targets = ["fake/gemini-3.6-flash"]

[models."claude-opus-5-5"]
targets = ["fake/gemini-3.6-flash"]

[models."claude-haiku-4-5"]
targets = ["fake/gemini-3.6-flash"]
"""
G25, G3, G36, G4 = "gemini-2.5-flash-thinker", "gemini-3-thinker", "gemini-3.6-flash", "gemini-4-thinker"
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
MCP: dict[str, Any] = {
    "name": "mcp__shop__find",
    "description": "Find things.",
    "input_schema": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "near": {"$ref": "#/$defs/Place"},
            "price": {"type": "number", "exclusiveMinimum": 0},
            "kind": {"const": "food"},
            "labels": {
                "type": "object",
                "propertyNames": {"pattern": "^x-"},
                "additionalProperties": {"type": "string"},
            },
            "either": {"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}], "default": None},
        },
        "required": ["near"],
        "additionalProperties": False,
        "$defs": {
            "Place": {"type": "object", "properties": {"city": {"type": "string"}, "in": {"$ref": "#/$defs/Place"}}}
        },
    },
}
Json = dict[str, Any]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeGemini]:
    with FakeGemini() as fake:
        yield fake


@pytest.fixture(scope="module")
def server(fake: FakeGemini, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("gemini"), CONFIG.format(fake=fake)) as server:
        yield server
    assert "Traceback" not in server.log()
    assert fake.key not in server.log()


@pytest.fixture(autouse=True)
def nothing_was_refused(fake: FakeGemini) -> Iterator[None]:
    fake.forget()
    yield
    assert fake.refused == []


@pytest.fixture(scope="module", params=["official", "ours"])
def client(request: pytest.FixtureRequest, server: Running) -> Iterator[Any]:
    made: Any = anthropic.Anthropic if request.param == "official" else dragoman.Anthropic
    with made(api_key=server.key, base_url=server.url, max_retries=0, timeout=20) as client:
        yield client


def asked(client: Any, model: str, turns: list[Json], *, stream: bool = False, **fields: Any) -> Any:
    ask: Json = {"model": f"fake/{model}", "max_tokens": 1000, "messages": turns, **fields}
    if not stream:
        return client.messages.create(**ask)
    with client.messages.stream(**ask) as events:
        return events.get_final_message()


def said(text: str) -> Json:
    return {"role": "user", "content": text}


def answered(message: Any, *also: Json) -> list[Json]:
    """A message, and the results of its calls."""
    content = message.to_dict()["content"]
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": f"sun in {block['input']['city']}"}
        for block in content
        if block["type"] == "tool_use"
    ]
    return [{"role": "assistant", "content": content}, {"role": "user", "content": [*results, *also]}]


def calls_of(content: Json) -> list[Json]:
    return [part for part in content["parts"] if "functionCall" in part]


@pytest.mark.parametrize("model", [G3, G4])
@pytest.mark.parametrize("thinking", [{}, {"thinking": {"type": "adaptive"}}], ids=["", "thinking"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("cities", ["Paris", "Paris and Rome"])
def test_signatures_of_calls_go_back_as_they_came(
    client: Any, fake: FakeGemini, model: str, thinking: Json, stream: bool, cities: str
) -> None:
    """Pain 8: the second request's calls have the very signatures of the first response; of parallel ones the first."""
    fields: Json = {"tools": [WEATHER], "stream": stream, **thinking}
    turns = [said(f"What is the weather in {cities}?")]
    turns += answered(asked(client, model, turns, **fields))
    message = asked(client, model, turns, **fields)
    assert message.content[-1].text.startswith("It says: sun in Paris")
    calls = calls_of(fake.bodies[-1]["contents"][1])
    assert len(calls) == 1 + cities.count(" and ")
    signed = [part.get("thoughtSignature") for part in calls]
    assert signed == [signature_of(model, calls[0]["functionCall"]["id"]), *[None] * (len(calls) - 1)]
    turns += [{"role": "assistant", "content": message.to_dict()["content"]}, said("And in Tokyo?")]
    assert asked(client, model, turns, **fields).stop_reason == "tool_use"


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_may_move_between_models(client: Any, fake: FakeGemini, stream: bool) -> None:
    """Pain 7, 8: to another model that checks signatures, and to one that knows nothing of them."""
    fields: Json = {"tools": [WEATHER], "stream": stream, "thinking": {"type": "adaptive"}}
    turns = [said("What is the weather in Paris?")]
    turns += answered(asked(client, G25, turns, **fields))
    assert asked(client, G4, turns, **fields).content[-1].text == "It says: sun in Paris"
    (call,) = calls_of(fake.bodies[-1]["contents"][1])
    assert call["thoughtSignature"] == BYPASS
    turns = turns[:1]
    turns += answered(asked(client, G4, turns, **fields))
    for model in (G25, G3, G36):
        assert asked(client, model, turns, **fields).content[-1].text == "It says: sun in Paris"


def test_a_turn_ends_with_the_results_that_it_holds(client: Any, fake: FakeGemini) -> None:
    """Pain 20, 21: what a client says beside results, and what it shows, does not hide them."""
    also = [{"type": "text", "text": "<system-reminder>x</system-reminder>"}, {"type": "image", "source": PNG}]
    turns = [said("What is the weather in Paris and Rome?")]
    turns += answered(asked(client, G36, turns, tools=[WEATHER]), *also)
    assert "It says: sun in Paris" in asked(client, G36, turns, tools=[WEATHER]).content[-1].text
    kinds = [next(iter(part)) for part in fake.bodies[-1]["contents"][-1]["parts"]]
    assert kinds == ["text", "inlineData", "functionResponse", "functionResponse"]


def test_a_message_that_is_begun_is_gone_on_with(client: Any, fake: FakeGemini) -> None:
    """Models from 3.6 on refuse a request that ends with their own turn."""
    turns = [said("Count."), {"role": "assistant", "content": "1, 2,"}]
    ask = {"model": f"fake/{G36}", "max_tokens": 128_000, "messages": turns}
    raw = client.messages.with_raw_response.create(**ask, timeout=20)
    assert raw.headers["dragoman-lost"] == "prefill"
    assert [content["role"] for content in fake.bodies[-1]["contents"]] == ["user", "model", "user"]


def test_counts_are_geminis(client: Any, fake: FakeGemini) -> None:
    """Pain 16: system and tools are counted too."""
    hello = said(f"Hello, {type(client).__module__}")  # counts are kept: each client has its own
    ask: Json = {"model": f"fake/{G3}", "messages": [hello]}
    few = client.messages.count_tokens(**ask).input_tokens
    many = client.messages.count_tokens(**ask, system="Be brief.", tools=[WEATHER]).input_tokens
    usage = asked(client, G3, [hello], system="Be brief.", tools=[WEATHER]).usage
    assert few < many == usage.input_tokens + usage.cache_read_input_tokens
    (first, second) = (each["generateContentRequest"] for each in fake.counted)
    assert first.keys() == {"model", "contents"}
    assert second.keys() == {"model", "contents", "systemInstruction", "tools"}


# -- the web --


@pytest.mark.parametrize("model", [G25, G3, G36])
@pytest.mark.parametrize("stream", [False, True])
def test_a_search_of_the_web(client: Any, fake: FakeGemini, model: str, stream: bool) -> None:
    """Pain 48, 59: Google searches; what it found are blocks, which go back with the message."""
    turns = [said("Search the web for cats")]
    message = asked(client, model, turns, tools=[SEARCH], stream=stream)
    assert fake.bodies[-1]["tools"] == [{"googleSearch": {}}]
    text, call, result = message.content
    assert (text.text, text.citations[0].url) == ("The web tells of cats.", "https://redirect.test/cats")
    assert (call.type, call.name, call.input) == ("server_tool_use", "web_search", {"query": "cats"})
    assert result.tool_use_id == call.id
    assert [(page.url, page.title) for page in result.content] == [("https://redirect.test/cats", "cats.test")]
    assert message.usage.server_tool_use.web_search_requests == 1
    turns += [{"role": "assistant", "content": message.to_dict()["content"]}, said("Thank you.")]
    assert asked(client, model, turns, tools=[SEARCH], stream=stream).content[-1].text == "You said: Thank you."
    assert fake.bodies[-1]["contents"][1] == {"role": "model", "parts": [{"text": "The web tells of cats."}]}


@pytest.mark.parametrize("stream", [False, True])
def test_a_search_beside_functions(client: Any, fake: FakeGemini, stream: bool) -> None:
    """Pain 8, 48: what Google's tool did goes back whole, in its place, with its signatures."""
    fields: Json = {"tools": [SEARCH, WEATHER], "stream": stream}
    turns = [said("Search the web for cats, and tell me the weather in Paris.")]
    message = asked(client, G3, turns, **fields)
    assert message.stop_reason == "tool_use"
    assert [block.type for block in message.content if block.type != "thinking"] == [
        "text", "tool_use", "server_tool_use", "web_search_tool_result"
    ]  # fmt: skip
    turns += answered(message)
    assert asked(client, G3, turns, **fields).content[-1].text == "It says: sun in Paris"
    parts = fake.bodies[-1]["contents"][1]["parts"]
    assert [next(iter(part)) for part in parts] == ["toolCall", "toolResponse", "text", "functionCall"]
    assert asked(client, G3, turns, tools=[WEATHER]).content[-1].text == "It says: sun in Paris"  # no more searches
    assert asked(client, G36, turns, **fields).content[-1].text == "It says: sun in Paris"  # another model


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


def test_schemas_of_claude_codes_tools_are_taken(claude: ClaudeCode, server: Running, fake: FakeGemini) -> None:
    """Pain 9, 69: of all that it has built in, as it sends them, and one of an MCP server: listed keywords only, and
    every property of each tool is there."""
    run = claude.ask("Hello.")
    sent = max((body.get("tools", []) for body in run.bodies), key=len)
    assert len(sent) >= 10
    tools = [{name: value for name, value in tool.items() if name != "cache_control"} for tool in [*sent, MCP]]
    fields = {"model": f"fake/{G36}", "max_tokens": 100, "messages": [said("hi")], "tools": tools}
    with anthropic.Anthropic(api_key=server.key, base_url=server.url, max_retries=0) as client:
        client.beta.messages.create(**fields)
    declared = {each["name"]: each for tool in fake.bodies[-1]["tools"] for each in tool["functionDeclarations"]}
    for tool in tools:
        if "input_schema" not in tool:
            continue
        schema = declared[tool["name"]].get("parametersJsonSchema", {"properties": {}})
        assert keywords(schema) <= KEYWORDS
        assert schema["properties"].keys() == tool["input_schema"].get("properties", {}).keys()
        assert set(schema.get("required", ())) == set(tool["input_schema"].get("required", ()))


def test_claude_code_searches_the_web(claude: ClaudeCode, fake: FakeGemini) -> None:
    """Pain 48: its WebSearch is a request of its own with the API's tool; Google's pages come back as links."""
    run = claude.ask("Search the web for cats", "--tools", "WebSearch", "--allowedTools", "WebSearch")
    (call,) = run.kinds("tool_use")
    assert call["name"] == "WebSearch"
    (result,) = run.kinds("tool_result")
    assert "https://redirect.test/cats" in str(result["content"])
    assert "https://redirect.test/cats" in run.result["result"]
    assert any({"googleSearch": {}} in body.get("tools", []) for body in fake.bodies)
