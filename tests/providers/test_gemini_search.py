"""Gemini: the API's web search as Google's, what was found as blocks, and the way back."""

import json
from typing import Any

import pytest
from gemini_cases import G3, G25, WEATHER, calls, lost, message_of, recording, sent, translated
from translating_cases import Json, body_of

from dragoman.providers.base import Operation
from dragoman.wire.provenance import unwrap, wrap

SEARCH: Json = {"type": "web_search_20250305", "name": "web_search"}
REDIRECT = "https://vertexaisearch.cloud.google.com/grounding-api-redirect"
TOLD_PAGES = f"url: {REDIRECT}/AUZIYQE1\ntitle: uefa.com\nurl: {REDIRECT}/AUZIYQE2\ntitle: wikipedia.org]\n"
GOOGLE = {"googleSearch": {}}


@pytest.mark.parametrize("model", ["gemini-2.0-flash", G25, G3])
def test_the_search_is_googles(model: str) -> None:
    """Pain 48."""
    body = sent(model, tools=[SEARCH])
    assert body["tools"] == [GOOGLE]
    assert "toolConfig" not in body
    assert lost(model, tools=[SEARCH]) == []
    assert lost(model, tools=[SEARCH], tool_choice={"type": "tool", "name": "web_search"}) == ["tool_choice"]


def test_it_stands_beside_functions_where_a_model_can() -> None:
    """Pain 48: from Gemini 3 on, where what it did is told and goes back; before, one of the two is refused."""
    body = sent(G3, tools=[SEARCH, WEATHER], tool_choice={"type": "any"})
    assert body["tools"][0] == GOOGLE
    assert body["tools"][1]["functionDeclarations"][0]["name"] == "get_weather"
    assert body["toolConfig"] == {"includeServerSideToolInvocations": True, "functionCallingConfig": {"mode": "ANY"}}
    assert lost(G3, tools=[SEARCH, WEATHER]) == []
    assert lost(G25, tools=[SEARCH, WEATHER]) == ["tools.web_search_20250305"]
    assert "googleSearch" not in json.dumps(sent(G25, tools=[SEARCH, WEATHER]))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_uses": 3}, ["tools.max_uses"]),
        ({"user_location": {"type": "approximate", "city": "Ulm"}}, ["tools.user_location"]),
        ({"allowed_domains": ["x.test"]}, ["tools.web_search_20250305"]),
        ({"blocked_domains": ["x.test"]}, ["tools.web_search_20250305"]),
    ],
)
def test_a_limit_that_cannot_be_kept_is_told(options: Json, told: list[str]) -> None:
    """Pain 14, 48: one that forbids pages is not broken: there is no search then."""
    assert lost(tools=[{**SEARCH, **options}]) == told
    assert ("tools" in sent(tools=[{**SEARCH, **options}])) == ("tools.web_search_20250305" not in told)


@pytest.mark.parametrize("tool", ["web_fetch_20250910", "code_execution_20250825"])
def test_what_google_does_otherwise_is_told_as_lost(tool: str) -> None:
    """Pain 48: see gemini_search.py for why."""
    name = tool.rpartition("_")[0]
    assert lost(tools=[{"type": tool, "name": name}]) == [f"tools.{tool}"]
    assert lost("gemma-3-27b-it", tools=[SEARCH]) == ["tools.web_search_20250305"]


def test_nothing_is_told_of_a_search_that_was_not_asked_for() -> None:
    """A block of the API's own tool comes to nobody who has not got it."""
    reply = recording("replies", "grounded")["reply"]
    message = body_of(translated().read(Operation.MESSAGES, json.dumps(reply).encode()).body)
    assert message["content"] == [{"type": "text", "text": "Spain won Euro 2024."}]
    assert "server_tool_use" not in message["usage"]


@pytest.mark.parametrize(
    "told",
    [5, [], {}, {"webSearchQueries": 5, "groundingChunks": [5, {}, {"web": 5}, {"web": {"uri": ""}}]},
     {"groundingSupports": [5, {"groundingChunkIndices": [9, -1, "x", None]}, {"groundingChunkIndices": 5}]}],
)  # fmt: skip
def test_grounding_that_tells_nothing_is_no_search(told: Any) -> None:
    """Pain 57."""
    candidate = {"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP", "groundingMetadata": told}
    reply = translated(tools=[SEARCH]).read(Operation.MESSAGES, json.dumps({"candidates": [candidate]}).encode())
    assert body_of(reply.body)["content"] == [{"type": "text", "text": "x"}]


# -- and back --


def back(message: Json, *, model: str = G3, **fields: Any) -> tuple[list[Json], list[str]]:
    """The parts of the model's turn when a client sends the message back, and what was lost."""
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "ok"} for call in calls(message)]
    turns = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": results or "Thank you."},
    ]
    return sent(model, messages=turns, **fields)["contents"][1]["parts"], lost(model, messages=turns, **fields)


def test_of_a_search_the_text_goes_back() -> None:
    """Pain 48, 59: the blocks are legal in a history (wire/serverturns.py); Gemini reads none of them."""
    message = message_of("grounded", tools=[SEARCH])
    assert back(message, tools=[SEARCH]) == ([{"text": "Spain won Euro 2024."}], [])
    parts, lost = back(message, model=G25, tools=[SEARCH])
    assert [part["text"].partition(" answered: ")[2] for part in parts[1:]] == [TOLD_PAGES]
    assert lost == ["web_search_tool_result"]


def test_beside_functions_the_search_goes_back_whole() -> None:
    """Pain 8: to the model that made it, as long as the two tools are offered."""
    tools = [SEARCH, WEATHER]
    message = message_of("search_beside_functions", tools=tools)
    stream = recording("streams", "search_beside_functions")["stream"]
    came = [part for chunk in stream[1:4] for part in chunk["candidates"][0]["content"]["parts"]]
    assert back(message, tools=tools) == (came, [])
    assert back(message, tools=[WEATHER])[0] == came[2:]
    call, note = back(message, tools=tools, model="gemini-3.1-pro")[0]
    assert note["text"].startswith("\n[The tool web_search was called with")
    assert call["functionCall"] == came[2]["functionCall"]


@pytest.mark.parametrize("told", ["x", "{}", '[{"functionCall":{}}]', "[5]", "[" * 3000])
def test_what_is_no_search_does_not_go_back(told: str) -> None:
    """A client may write what it likes into a signature."""
    block = {"type": "thinking", "thinking": "", "signature": wrap(f"gemini/{G3}", f"s{told}")}
    message = {"content": [block, {"type": "text", "text": "x"}]}
    assert back(message, tools=[SEARCH, WEATHER])[0] == [{"text": "x"}]


def test_a_search_of_another_maker_is_a_note_and_told_as_lost() -> None:
    """Pain 7: its titles and addresses can be read by all, what is sealed in it only by its maker."""
    message = message_of("grounded", tools=[SEARCH])
    result = message["content"][2]["content"][0]
    assert unwrap(result["encrypted_content"]) == (f"gemini/{G3}", "")
    result["encrypted_content"] = wrap("openai_responses/p/m", "{}")
    parts, lost = back(message, tools=[SEARCH])
    assert [part["text"].partition(" answered: ")[2] for part in parts[1:]] == [TOLD_PAGES]
    assert lost == ["web_search_tool_result"]
