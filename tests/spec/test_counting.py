"""count_tokens: the same number for the same input, near the documented ones, and nothing but a number."""

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image
from rawhttp import HELLO, Reply, error, exchange, post
from serving import Serving

from dragoman.engines.base import Generation
from dragoman.engines.offline import OfflineEngine
from dragoman.wire.events import Event

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]

HAIKU, OPUS = "claude-haiku-4-5", "claude-opus-4-8"


class Mute(OfflineEngine):
    """Counts, and must not be asked to say anything."""

    async def generate(self, generation: Generation) -> AsyncIterator[list[Event]]:
        raise AssertionError("a count asked for a reply")
        yield []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    async with Serving(engine=Mute(secret=b"a secret of this test alone")) as serving:
        yield serving.url


def said(content: Any) -> Json:
    return {"messages": [{"role": "user", "content": content}]}


async def asked(url: str, *headers: tuple[str, str], query: str = "", **fields: Any) -> Reply:
    body = {"model": HELLO["model"], "messages": HELLO["messages"], **fields}
    return await exchange(url, post(body, *headers, path=f"/v1/messages/count_tokens{query}"))


async def count(url: str, **fields: Any) -> int:
    answered = await asked(url, **fields)
    assert answered.status == 200, answered.body
    told = answered.json()
    assert told.keys() == {"input_tokens"}
    assert type(told["input_tokens"]) is int
    return int(told["input_tokens"])


async def test_a_count_is_a_number_and_nothing_else(url: str) -> None:
    """TOK-1, TOK-4: no reply is made for it."""
    assert 5 < await count(url) < 20


async def test_the_same_input_is_the_same_number_always(url: str) -> None:
    """TOK-4, MSG-49: whatever was asked before, marked for the cache or not."""
    marked = [{"type": "text", "text": "law " * 5000, "cache_control": {"type": "ephemeral"}}]
    first = [await count(url), await count(url, system=marked)]
    assert await count(url, **said("Something else altogether")) not in first
    assert [await count(url), await count(url, system=marked)] == first


WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather in a given location",
    "input_schema": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}},
        "required": ["location"],
    },
}


async def test_the_documented_examples_come_out_nearly(url: str) -> None:
    """TOK-7: 14 and 403; and it is said that it is an estimate."""
    assert abs(await count(url, model=HAIKU, system="You are a scientist", **said("Hello, Claude")) - 14) <= 2
    weather = said("What's the weather like in San Francisco?") | {"tools": [WEATHER]}
    assert abs(await count(url, **weather) - 403) <= 40
    assert "an estimate" in (Path(__file__).parents[2] / "docs/fidelity.md").read_text()


async def test_newer_models_count_about_thirty_percent_more(url: str) -> None:
    """TOK-8."""
    text = "The quick brown fox jumps over the lazy dog, and nobody minds at all. " * 100
    older, newer = [await count(url, model=model, **said(text)) for model in (HAIKU, OPUS)]
    assert 1.2 < newer / older < 1.45


async def test_more_is_more(url: str) -> None:
    """TOK-5: text, a turn, a tool, a system prompt."""
    least = await count(url)
    text = HELLO["messages"][0]["content"]
    turn = [*HELLO["messages"], {"role": "assistant", "content": "Hi"}, *HELLO["messages"]]
    for more in (said(f"{text} and more"), {"messages": turn}, {"tools": [WEATHER]}, {"system": "Be brief."}):
        assert await count(url, **more) > least


def picture(width: int, height: int) -> Json:
    data = io.BytesIO()
    Image.new("RGB", (width, height)).save(data, "PNG")
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(data.getvalue()).decode()}
    return {"type": "image", "source": source}


@pytest.mark.parametrize(
    ("size", "model", "tokens"),
    [
        ((200, 200), HAIKU, 64),
        ((1000, 1000), HAIKU, 1296),
        ((1092, 1092), OPUS, 1521),
        ((1920, 1080), HAIKU, 1560),
        ((1920, 1080), OPUS, 2691),
        ((3840, 2160), OPUS, 4784),
    ],
)
async def test_an_image_is_counted_by_its_size(url: str, size: tuple[int, int], model: str, tokens: int) -> None:
    """TOK-9, MSG-95: no more and no less than the rule says."""
    text = {"type": "text", "text": "What is this?"}
    bare = await count(url, model=model, **said([text]))
    assert await count(url, model=model, **said([picture(*size), text])) - bare == tokens


def pdf(pages: int) -> Json:
    """A PDF of empty pages, as short as one can be."""
    kids = " ".join(f"{at + 3} 0 R" for at in range(pages))
    objects = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Kids[{kids}]/Count {pages}>>"]
    objects += ["<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]>>"] * pages
    data = b"%PDF-1.4\n"
    places = []
    for at, text in enumerate(objects):
        places.append(len(data))
        data += f"{at + 1} 0 obj\n{text}\nendobj\n".encode()
    table = len(data)
    data += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    data += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    data += f"trailer\n<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{table}\n%%EOF\n".encode()
    source = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(data).decode()}
    return {"type": "document", "source": source}


async def test_a_pdf_is_counted_as_more_than_its_title(url: str) -> None:
    """TOK-9: at least the image of its page."""
    text = {"type": "text", "text": "What is this?"}
    assert await count(url, **said([pdf(1), text])) - await count(url, **said([text])) > 500


@pytest.mark.parametrize("field", ["max_tokens", "stream", "temperature", "metadata", "stop_sequences", "top_k"])
async def test_what_concerns_output_only_is_refused(url: str, field: str) -> None:
    """TOK-2."""
    value = {"max_tokens": 5, "stream": False, "temperature": 1, "metadata": {}, "stop_sequences": [], "top_k": 1}[
        field
    ]
    told = error(await asked(url, **{field: value}), 400)
    assert told["message"] == f"{field}: Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"model": "sonnet4"}, 404, "model: sonnet4"),
        ({"messages": []}, 400, "messages: at least one message is required"),
        (
            said([{"type": "tool_result", "tool_use_id": "toolu_1"}]),
            400,
            "messages.0.content.0: unexpected `tool_use_id`",
        ),
        ({"tools": [{"name": "x"}]}, 400, "tools.0.custom.input_schema: Field required"),
        (said([{"type": "text", "text": ""}]), 400, "messages: text content blocks must be non-empty"),
    ],
)
async def test_what_messages_refuses_is_not_counted(url: str, fields: Json, status: int, message: str) -> None:
    """TOK-3, CCH-6."""
    assert error(await asked(url, **fields), status)["message"].startswith(message)


async def test_the_older_way_to_ask_is_the_same(url: str) -> None:
    """TOK-11."""
    older = await asked(url, ("anthropic-beta", "token-counting-2024-11-01"), query="?beta=true")
    assert older.json() == (await asked(url)).json()
