"""Gemini: what each of its models takes, and how tokens are counted."""

import json

import pytest
from gemini_cases import G3, G25, WEATHER, lost, sent
from translating_cases import SECRET, Json, body_of, question

from dragoman.providers.gemini import Gemini
from dragoman.providers.gemini_models import GeminiModel

FIXED = [
    "gemini-3.5-flash-lite",
    "gemini-3.6-flash",
    "models/gemini-3.8-flash",
    "gemini-4-argon",
    "gemini-flash-latest",
]
OLDER = ["gemini-2.0-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "gemini-3.1-flash-lite", "gemini-3.5-flash"]


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("gemini-2.5-flash-preview-09-2025", (2, 5)),
        ("gemini-3-pro-preview", (3, 0)),
        ("models/gemini-3.10-flash", (3, 10)),
        ("tunedModels/gemini-2.0-mine", (2, 0)),
        ("gemma-4-31b-it", (0, 0)),
        ("gemini-pro-latest", (1_000, 0)),
    ],
)
def test_a_models_name_tells_its_version(model: str, version: tuple[int, int]) -> None:
    assert GeminiModel.of(model).version == version


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("gemini-2.0-flash", 8_192),
        ("gemma-3-27b-it", 8_192),
        ("gemini-3-pro-image-preview", 32_768),
        ("gemini-2.5-flash", 65_536),
        ("gemini-4-argon", 65_536),
    ],
)
def test_more_than_a_model_writes_is_not_asked_of_it(model: str, most: int) -> None:
    """What Claude Code asks of its own models is refused ("maxOutputTokens value of 128000")."""
    assert sent(model, max_tokens=128_000)["generationConfig"]["maxOutputTokens"] == most
    assert sent(model, max_tokens=77)["generationConfig"]["maxOutputTokens"] == 77
    assert lost(model, max_tokens=128_000) == []


@pytest.mark.parametrize("model", FIXED)
def test_newer_models_have_no_sampling_and_no_prefill(model: str) -> None:
    """Pain 14, 22: both are refused, or will be; what was begun is followed by a request to go on with it."""
    turns = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "1, 2,"}]
    body = sent(model, messages=turns, temperature=0.5, top_p=0.9, top_k=40)
    assert body["generationConfig"] == {"maxOutputTokens": 100}
    assert body["contents"][1] == {"role": "model", "parts": [{"text": "1, 2,"}]}
    assert [content["role"] for content in body["contents"]] == ["user", "model", "user"]
    assert lost(model, messages=turns, temperature=0.5, top_k=40) == ["temperature", "top_k", "prefill"]


@pytest.mark.parametrize("model", OLDER)
def test_older_models_take_both(model: str) -> None:
    turns = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "1, 2,"}]
    body = sent(model, messages=turns, temperature=0.5, top_p=0.9, top_k=400)
    most = 40 if model == "gemini-2.0-flash" else 400  # refused above
    assert body["generationConfig"] == {"maxOutputTokens": 100, "temperature": 0.5, "topP": 0.9, "topK": most}
    assert [content["role"] for content in body["contents"]] == ["user", "model"]
    assert lost(model, messages=turns) == ["prefill"]
    assert "topK" not in sent(model, top_k=0)["generationConfig"]


def test_the_effort_is_the_one_in_force_where_the_reply_begins() -> None:
    """CC-4: a `system` turn may set it."""
    turns: list[Json] = [{"role": "user", "content": "a"}]
    low = {"output_config": {"effort": "low"}}
    changed = [*turns, {"role": "system", "content": "b", "output_config": {"effort": "high"}}]
    assert sent(messages=turns, **low)["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "LOW"}
    assert sent(messages=changed, **low)["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "HIGH"}
    assert lost("gemini-2.0-flash", messages=changed) == ["output_config.effort"]


def test_a_turn_of_which_nothing_is_left_keeps_its_place() -> None:
    """Turns of the model do not follow one another, and the first is the user's."""
    turns = [{"role": "user", "content": [{"type": "container_upload", "file_id": "file_1"}]}]
    (only,) = sent(messages=turns)["contents"]
    assert only["parts"] == [{"text": "(nothing that can be shown)"}]
    assert lost(messages=turns) == ["container_upload"]


# -- counts --


def test_a_count_is_of_all_that_the_model_reads() -> None:
    """Pain 16, 79: with system and tools; the key is in a header alone."""
    asked = question(G3, system="Be brief.", tools=[WEATHER], temperature=0.5)
    count = Gemini().count(asked)
    assert count is not None
    assert count.field == "totalTokens"
    assert count.request.url == f"https://p.test/v1/models/{G3}:countTokens"
    assert SECRET in json.dumps(count.request.headers)
    assert SECRET not in count.request.url + count.request.body.decode()
    whole = body_of(Gemini().translate(asked).request.body)
    read = {name: whole[name] for name in ("contents", "systemInstruction", "tools")}
    assert body_of(count.request.body) == {"generateContentRequest": {"model": f"models/{G3}", **read}}


def test_a_count_of_searches_beside_functions_says_that_they_mix() -> None:
    """The service refuses the two tools otherwise."""
    tools = [WEATHER, {"type": "web_search_20250305", "name": "web_search"}]
    count = Gemini().count(question(G3, tools=tools, tool_choice={"type": "any"}))
    assert count is not None
    told = body_of(count.request.body)["generateContentRequest"]
    assert told["toolConfig"] == {"includeServerSideToolInvocations": True}


def test_gemini_elsewhere_is_a_subclass() -> None:
    """Another address, another key, another maker of signatures; the body is the same."""

    class Elsewhere(Gemini):
        name = "elsewhere"

        def url(self, target: object, method: str) -> str:
            return f"https://e.test/{method}"

        def credentials(self, target: object) -> list[tuple[str, str]]:
            return [("x-key", "k")]

    asked = question(G25, stream=True)
    here, there = Gemini().translate(asked).request, Elsewhere().translate(asked).request
    assert there.url == "https://e.test/streamGenerateContent?alt=sse"
    assert there.headers[-1] == ("x-key", "k")
    assert there.body == here.body
