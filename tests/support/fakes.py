"""Every fake provider, by its dialect, and how to read what it was asked: a new dialect adds a row to FAKES."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from fake_bedrock import FakeBedrock, FakeBedrockByKey
from fake_bedrock_claude import claude_turns
from fake_bedrock_rules import ACCESS_KEY_ID, REGION, SESSION_TOKEN
from fake_gemini import FakeGemini
from fake_openai import FakeOpenAI
from fake_provider import FakeProvider, Json
from fake_responses import FakeResponses
from fake_vertex import FakeVertex, FakeVertexGemini, unmarked

__all__ = ["FAKES", "Fake"]


class Fake(NamedTuple):
    """`table` is what [providers.fake] holds, with {fake.url} and {fake.key}; the rest reads what it was sent."""

    make: type[FakeProvider]
    table: str
    streamed: Callable[[Json], Json]  # the body that is sent in the place of one, where the reply is to be streamed
    turns: Callable[[Json], list[Json]]  # what grows with the conversation
    tools: Callable[[Json], list[str]]  # names of the tools that are offered
    thinker: str = "thinker-1"  # a model that thinks
    plain: str = "gpt-4o"  # one that does not
    thinks_aloud: bool = True  # what it thinks is told, unasked
    counts: str = "estimate"  # the header `dragoman-count`
    server_tool: str = "web_search_20250305"  # that is asked for beside `top_k`
    search: str = "tools.web_search_20250305, top_k"  # the header `dragoman-lost` of a request with these two
    too_long: str = "prompt is too long: 5000 tokens > 4096 maximum"
    wrong_key: str = "Incorrect API key provided: [key]."
    knows_thinking: bool = False  # thinking that it has not signed is refused


FAKES: Mapping[str, Fake] = {
    "openai_chat": Fake(
        make=FakeOpenAI,
        table='dialect = "openai_chat"\nbase_url = "{fake.url}"\napi_key = "{fake.key}"',
        streamed=lambda body: {**body, "stream": True, "stream_options": {"include_usage": True}},
        turns=lambda body: body["messages"],
        tools=lambda body: [tool["function"]["name"] for tool in body.get("tools", [])],
    ),
    "openai_responses": Fake(
        make=FakeResponses,
        table='host = "openai"\nbase_url = "{fake.url}"\napi_key = "{fake.key}"',
        streamed=lambda body: {**body, "stream": True},
        turns=lambda body: body["input"],
        tools=lambda body: [tool["name"] for tool in body.get("tools", []) if "name" in tool],
        thinker="gpt-5.4-thinker",
        thinks_aloud=False,
        counts="provider",
        server_tool="web_fetch_20250910",
        search="tools.web_fetch_20250910, top_k",
        too_long="prompt is too long: Your input exceeds the context window",  # it tells no numbers
    ),
    "gemini": Fake(
        make=FakeGemini,
        table='dialect = "gemini"\nbase_url = "{fake.url}"\napi_key = "{fake.key}"',
        streamed=lambda body: body,  # the path says it
        turns=lambda body: body["contents"],
        tools=lambda body: [
            each["name"] for tool in body.get("tools", []) for each in tool.get("functionDeclarations", [])
        ],
        thinker="gemini-3-thinker",
        plain="gemini-3.6-flash",
        thinks_aloud=False,
        counts="provider",
        search="top_k",
    ),
    "vertex": Fake(
        make=FakeVertex,
        table='dialect = "vertex"\nbase_url = "{fake.url}"\ncredentials_file = "{fake.credentials_file}"',
        streamed=lambda body: {**body, "stream": True},
        turns=lambda body: unmarked(body["messages"]),
        tools=lambda body: [tool["name"] for tool in body.get("tools", [])],
        thinker="claude-opus-4-8-thinker@20260101",
        plain="claude-haiku-4-5@20251001",
        counts="provider",
        server_tool="web_fetch_20250910",
        search="tools.web_fetch_20250910",
        wrong_key="Request had invalid authentication credentials.",
        knows_thinking=True,
    ),
    "vertex_gemini": Fake(
        make=FakeVertexGemini,
        table='dialect = "vertex"\nbase_url = "{fake.url}"\ncredentials_file = "{fake.credentials_file}"',
        streamed=lambda body: body,  # the path says it
        turns=lambda body: body["contents"],
        tools=lambda body: [
            each["name"] for tool in body.get("tools", []) for each in tool.get("functionDeclarations", [])
        ],
        thinker="gemini-3-thinker",
        plain="gemini-2.5-flash",
        thinks_aloud=False,
        counts="provider",
        server_tool="tool_search_tool_regex_20251119",
        search="tools.tool_search_tool_regex_20251119",
        wrong_key="Request had invalid authentication credentials.",
    ),
    "bedrock": Fake(
        make=FakeBedrock,
        table=f'dialect = "bedrock"\nbase_url = "{{fake.url}}"\nregion = "{REGION}"\n'
        f'access_key_id = "{ACCESS_KEY_ID}"\nsecret_access_key = "{{fake.key}}"\nsession_token = "{SESSION_TOKEN}"',
        streamed=lambda body: body,  # the path says it
        turns=claude_turns,
        tools=lambda body: [tool["name"] for tool in body.get("tools", [])],
        thinker=f"arn:aws:bedrock:{REGION}:123456789012:inference-profile/us.anthropic.claude-opus-4-6-v1",
        plain="global.anthropic.claude-haiku-4-5-20251001-v1:0",
        thinks_aloud=False,
        counts="provider",
        search="tools.web_search_20250305",
        wrong_key="The security token included in the request is invalid.",
        knows_thinking=True,
    ),
    "bedrock_converse": Fake(
        make=FakeBedrockByKey,
        table='host = "bedrock"\nbase_url = "{fake.url}"\nregion = "eu-west-1"\napi_key = "{fake.key}"',
        streamed=lambda body: body,  # the path says it
        turns=lambda body: body["messages"],
        tools=lambda body: [tool["toolSpec"]["name"] for tool in body.get("toolConfig", {}).get("tools", [])],
        thinker="openai.gpt-oss-120b-1:0",
        plain="us.amazon.nova-pro-v1:0",
        search="tools.web_search_20250305",
    ),
}
