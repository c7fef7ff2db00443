"""Gemini: what it refuses or has no field for is carried in another form, told as lost, or refused with its path."""

from typing import Any

import pytest
from fake_gemini_rules import Refused, check
from gemini_cases import G3, G25, WEATHER, lost, sent, translated
from message_forms import COMPUTER, EDITOR
from translating_cases import Json

from dragoman.errors import InvalidRequest
from dragoman.providers.gemini_request import GIF_LEFT_OUT

GIF: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "R0lGODlhAQABAAAAACw="}}
LINKED: Json = {"type": "image", "source": {"type": "url", "url": "https://e.test/cat.GIF?x=1"}}
CALL: Json = {"type": "tool_use", "id": "c1", "name": "get_weather", "input": {}}


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


def text(said: str) -> Json:
    return {"type": "text", "text": said}


# -- GIFs --


@pytest.mark.parametrize("image", [GIF, LINKED])
def test_a_gif_that_is_asked_about_is_refused_by_its_path(image: Json) -> None:
    """Pain 21; microsoft/vscode#286628: the model could not see what the question is of."""
    turns = [user(text("hi")), {"role": "assistant", "content": "Hello."}, user(text("What is this?"), image)]
    with pytest.raises(InvalidRequest) as refused:
        translated(messages=turns)
    assert refused.value.message.startswith("messages.2.content.1.image.source: ")
    assert "GIF" in refused.value.message


@pytest.mark.parametrize("image", [GIF, LINKED])
@pytest.mark.parametrize("model", [G3, G25])
def test_a_conversation_with_a_gif_in_its_past_goes_on(model: str, image: Json) -> None:
    """Issue 6, done 5; microsoft/vscode#286628: a note stands in its place, and it is told."""
    turns = [user(text("What is this?"), image), {"role": "assistant", "content": "A cat."}, user(text("Sure?"))]
    body = sent(model, messages=turns)
    check(body, model)
    assert body["contents"][0]["parts"] == [{"text": "What is this?"}, {"text": GIF_LEFT_OUT}]
    assert lost(model, messages=turns) == ["image/gif"]


@pytest.mark.parametrize("model", [G3, G25])
def test_a_gif_that_a_tool_gives_ends_no_conversation(model: str) -> None:
    """Pain 21: a tool's files are nobody's choice, so it is told, there too where they are the last thing said."""
    png = {"type": "image", "source": {**GIF["source"], "media_type": "image/png"}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [text("frames"), GIF, png]}
    fields: Json = {
        "tools": [WEATHER],
        "messages": [user(text("go")), {"role": "assistant", "content": [CALL]}, user(result)],
    }
    body = sent(model, **fields)
    check(body, model)
    (response,) = (part["functionResponse"] for part in body["contents"][2]["parts"] if "functionResponse" in part)
    assert response["response"] == {"output": f"frames\n{GIF_LEFT_OUT}"}
    assert "image/png" in str(body)
    assert "image/gif" not in str(body)
    assert lost(model, **fields) == ["image/gif"]


# -- settings --


@pytest.mark.parametrize("model", [G3, G25, "gemini-2.5-pro"])
def test_thinking_that_is_off_has_no_effort(model: str) -> None:
    """Of two that exclude one another the plain word counts, and the other is told."""
    fields = {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}
    assert lost(model, **fields) == ["output_config.effort"]
    config = sent(model, **fields)["generationConfig"]["thinkingConfig"]
    assert config == sent(model, thinking={"type": "disabled"})["generationConfig"]["thinkingConfig"]
    assert lost(model, output_config={"effort": "high"}) == []


def test_the_tier_is_the_standard_one() -> None:
    """MSG-21: Gemini's default is the standard tier; what is above it costs more, and nobody asks for it by `auto`."""
    assert sent(service_tier="standard_only")["serviceTier"] == "standard"
    assert "serviceTier" not in sent(service_tier="auto")
    assert lost(service_tier="standard_only") == lost(service_tier="auto") == []
    check(sent(service_tier="standard_only"), G3)


# -- tools --

OPTIONS: list[tuple[Json, list[str]]] = [
    ({**WEATHER, "defer_loading": True}, ["tools.defer_loading"]),
    ({**WEATHER, "allowed_callers": ["direct", "code_execution_20260120"]}, ["tools.allowed_callers"]),
    ({**WEATHER, "allowed_callers": ["direct"]}, []),
    ({**EDITOR, "max_characters": 9}, ["tools.max_characters"]),
    ({**COMPUTER, "display_number": 1}, ["tools.display_number"]),
    ({**EDITOR, "strict": True}, []),
    ({"type": "bash_20250124", "name": "bash"}, []),
]


@pytest.mark.parametrize(("tool", "names"), OPTIONS)
def test_options_of_tools_are_told(tool: Json, names: list[str]) -> None:
    tools = [{**WEATHER, "name": "other"}, tool]
    assert lost(tools=tools) == names
    assert len(sent(tools=tools)["tools"][0]["functionDeclarations"]) == 2


def test_a_tool_that_only_code_may_call_is_not_offered() -> None:
    only = {**WEATHER, "name": "only", "allowed_callers": ["code_execution_20260120"]}
    code = {"type": "code_execution_20260120", "name": "code_execution"}
    fields: Json = {"tools": [WEATHER, only, code]}
    (told,) = sent(**fields)["tools"]
    assert [each["name"] for each in told["functionDeclarations"]] == ["get_weather"]
    assert sorted(lost(**fields)) == ["tools.allowed_callers", "tools.code_execution_20260120"]


# -- blocks --

CACHED = {**text("x"), "cache_control": {"type": "ephemeral"}}
FOUND: Json = {"type": "search_result", "source": "s", "title": "t", "content": [CACHED]}


@pytest.mark.parametrize(
    "block",
    [
        FOUND,
        {"type": "document", "source": {"type": "content", "content": [CACHED]}},
        {**FOUND, "content": [text("x")], "cache_control": {"type": "ephemeral"}},
    ],
)
def test_cache_control_within_blocks_is_told(block: Any) -> None:
    """Pain 10."""
    assert lost(messages=[user(block)]) == ["cache_control"]
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [block]}
    turns = [user(text("go")), {"role": "assistant", "content": [CALL]}, user(result)]
    assert lost(messages=turns) == ["cache_control"]


def test_citations_and_transformations_are_told() -> None:
    """Pain 50."""
    cited = {
        "type": "search_result_location", "cited_text": "x", "source": "s", "title": None, "search_result_index": 0,
        "start_block_index": 0, "end_block_index": 1,
    }  # fmt: skip
    said = {"role": "assistant", "content": [{**text("x"), "citations": [cited]}]}
    assert lost(messages=[user(text("hi")), said, user(text("and?"))]) == ["citations"]
    png = {"type": "image", "source": {**GIF["source"], "media_type": "image/png"}}
    assert lost(messages=[user({**png, "transformations": {"oversized_image": "downsize"}})]) == [
        "image.transformations"
    ]
    assert lost(messages=[user(png)]) == []


def test_the_fake_refuses_gifs_as_the_service_does() -> None:
    for part in (
        {"inlineData": {"mimeType": "image/gif", "data": "R0lG"}},
        {"fileData": {"mimeType": "image/gif", "fileUri": "https://e.test/a"}},
    ):
        with pytest.raises(Refused, match="Unsupported MIME type: image/gif"):
            check({"contents": [{"role": "user", "parts": [part]}]}, G3)
