"""Gemini on Vertex AI: where it differs from Gemini's own API. The rest is test_gemini.py."""

from typing import Any

import msgspec
import pytest
from gemini_cases import WEATHER
from translating_cases import SECRET, Json, body_of, question

from dragoman.errors import NotFound
from dragoman.providers.base import Target
from dragoman.providers.vertex import VertexGemini
from dragoman.wire.provenance import wrap

BASE = "https://us-east5-aiplatform.test/v1/projects/p/locations/us-east5"
HI: Json = {"role": "user", "content": "hi"}
G3, G25 = "gemini-3-flash-preview", "gemini-2.5-flash"


def question_to(model: str = G3, *, auth: str = "google", api_key: str | None = None, **fields: Any) -> Any:
    asked = question(model, **fields)
    where = Target(provider="p", model=model, base_url=BASE, api_key=api_key, auth=auth)  # type: ignore[arg-type]
    return msgspec.structs.replace(asked, target=where)


def gemini(model: str = G3, **fields: Any) -> Json:
    return body_of(VertexGemini().translate(question_to(model, **fields)).request.body)


def test_gemini_is_asked_at_googles_publisher() -> None:
    models = f"{BASE}/publishers/google/models"
    assert VertexGemini().translate(question_to()).request.url == f"{models}/{G3}:generateContent"
    streamed = VertexGemini().translate(question_to(stream=True)).request
    assert streamed.url == f"{models}/{G3}:streamGenerateContent?alt=sse"
    assert VertexGemini().translate(question_to(f"models/{G3}")).request.url == f"{models}/{G3}:generateContent"
    with pytest.raises(NotFound):
        VertexGemini().translate(question_to("gemini/../x"))


def test_gemini_counts_the_parts_that_it_reads() -> None:
    """Pain 16: the body of a request itself, not one within another."""
    count = VertexGemini().count(question_to(system="Be brief.", tools=[WEATHER]))
    assert count is not None
    assert count.request.url == f"{BASE}/publishers/google/models/{G3}:countTokens"
    assert body_of(count.request.body).keys() == {"contents", "systemInstruction", "tools"}


@pytest.mark.parametrize(("model", "has_ids"), [(G3, True), ("gemini-3.6-flash", True), (G25, False)])
def test_calls_have_ids_from_gemini_3_on(model: str, has_ids: bool) -> None:
    """Pain 45: before, Vertex refuses them."""
    call = {"type": "tool_use", "id": "toolu_c", "name": "get_weather", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_c", "content": "sun"}
    turns = [HI, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    contents = gemini(model, tools=[WEATHER], messages=turns)["contents"]
    for part, name in ((contents[1]["parts"][0], "functionCall"), (contents[2]["parts"][0], "functionResponse")):
        assert (part[name].get("id") == "toolu_c") == has_ids
        assert part[name]["name"] == "get_weather"


def test_a_file_by_address_has_a_media_type() -> None:
    """Vertex asks for one; what an address does not tell is taken for the likeliest."""
    for url, kind in (("https://x.test/a.png", "image/png"), ("https://x.test/a", "image/jpeg")):
        image = {"type": "image", "source": {"type": "url", "url": url}}
        (part,) = gemini(messages=[{"role": "user", "content": [image]}])["contents"][0]["parts"]
        assert part["fileData"] == {"mimeType": kind, "fileUri": url}


@pytest.mark.parametrize("origin", [f"gemini/{G3}", "vertex/gemini-3.6-flash"])
def test_thinking_of_the_other_gemini_is_left_out(origin: str) -> None:
    """Pain 7: nothing says that the one cloud reads what the other has signed."""
    thought = {"type": "thinking", "thinking": "hm", "signature": wrap(origin, "tabc")}
    turns = [HI, {"role": "assistant", "content": [thought, {"type": "text", "text": "x"}]}, HI]
    asked = VertexGemini().translate(question_to(messages=turns))
    assert "thinking" in asked.lost
    assert b"abc" not in asked.request.body
    thought["signature"] = wrap(f"vertex/{G3}", "tabc")
    assert b'"thoughtSignature":"abc"' in VertexGemini().translate(question_to(messages=turns)).request.body


@pytest.mark.parametrize(
    ("auth", "header"), [("bearer", ("authorization", f"Bearer {SECRET}")), ("x-api-key", ("x-goog-api-key", SECRET))]
)
def test_a_key_that_was_configured_is_shown(auth: str, header: tuple[str, str]) -> None:
    assert header in VertexGemini().translate(question_to(auth=auth, api_key=SECRET)).request.headers
    assert len(VertexGemini().translate(question_to()).request.headers) == 2
