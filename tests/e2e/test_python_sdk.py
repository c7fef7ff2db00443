"""The official Python SDK, sync and async, against both servers: messages, streams, thinking, counts, models, images.

Its tools are in `test_python_sdk_tools.py`, its errors in `test_python_sdk_errors.py`.
"""

import base64
import io
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
import pytest_asyncio
from anthropic import Omit
from either import Client, connect, entered, first, listed, settled
from PIL import Image as Pillow
from pydantic import BaseModel
from running import Running

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    # Said by the SDK of claude-sonnet-4-5, before it sends anything.
    pytest.mark.filterwarnings("ignore:The model 'claude-sonnet-4-5:DeprecationWarning"),
]

OPUS = "claude-opus-4-8"
HAIKU = "claude-haiku-4-5"  # takes a prefill
SONNET = "claude-sonnet-4-5"  # takes a thinking budget
PROMPT = "The quick brown fox jumps over the lazy dog."


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["sync", "async"])
async def client(request: pytest.FixtureRequest, server: Running) -> AsyncIterator[Client]:
    async with entered(connect(request.param, server.url, server.key)) as opened:
        yield opened


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content[0] if len(content) == 1 else list(content)}


def assistant(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


def said(message: Any) -> str:
    """The text of a message, all blocks together."""
    return "".join(block.text for block in message.content if block.type == "text")


# -- create -------------------------------------------------------------------------------------------------------


async def test_create_answers_with_what_was_asked(client: Client) -> None:
    message = await settled(client.messages.create(model=OPUS, max_tokens=200, messages=[user(PROMPT)]))
    assert message.id.startswith("msg_")
    assert (message.type, message.role, message.model) == ("message", "assistant", OPUS)
    assert [block.type for block in message.content] == ["text"]
    assert PROMPT in said(message)
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.usage.input_tokens > 0
    assert 0 < message.usage.output_tokens < 200
    assert message._request_id.startswith("req_")


async def test_an_alias_answers_with_the_dated_id(client: Client) -> None:
    """MSG-101."""
    message = await settled(client.messages.create(model=HAIKU, max_tokens=20, messages=[user(PROMPT)]))
    assert message.model == "claude-haiku-4-5-20251001"


@pytest.mark.parametrize("system", ["Answer in French.", [{"type": "text", "text": "Answer in French."}]])
async def test_create_takes_a_system_prompt(client: Client, system: Any) -> None:
    message = await settled(
        client.messages.create(model=OPUS, max_tokens=200, system=system, messages=[user("Hello, Claude")])
    )
    assert "Answer in French." in said(message)


async def test_create_goes_on_from_earlier_turns(client: Client) -> None:
    """SDK-41: what the assistant said goes back as it came."""
    reply = await settled(
        client.messages.create(model=OPUS, max_tokens=200, messages=[user("Remember the word plum.")])
    )
    history = [user("Remember the word plum."), assistant(reply.content), user("Which word was it?")]
    again = await settled(client.messages.create(model=OPUS, max_tokens=200, messages=history))
    assert "Which word was it?" in said(again)
    assert again.usage.input_tokens > reply.usage.input_tokens + reply.usage.output_tokens


async def test_a_prefill_is_gone_on_from(client: Client) -> None:
    """MSG-48: the reply holds what follows the prefill, not the prefill."""
    messages = [user(PROMPT), assistant("My answer is")]
    message = await settled(client.messages.create(model=HAIKU, max_tokens=200, messages=messages))
    assert not said(message).startswith("My answer is")
    assert PROMPT in said(message)


async def test_a_stop_sequence_ends_the_reply_and_is_not_in_it(client: Client) -> None:
    """MSG-106."""
    message = await settled(
        client.messages.create(model=OPUS, max_tokens=200, messages=[user(PROMPT)], stop_sequences=["lazy", "jumps"])
    )
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "jumps")
    assert said(message).endswith("The quick brown fox ")


@pytest.mark.parametrize("max_tokens", [1, 5, 12])
async def test_max_tokens_cuts_to_the_token(client: Client, max_tokens: int) -> None:
    """MSG-111."""
    message = await settled(client.messages.create(model=OPUS, max_tokens=max_tokens, messages=[user(PROMPT * 20)]))
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == max_tokens


async def test_an_answer_fits_a_pydantic_model(client: Client) -> None:
    """SDK-53: the transformed schema, with its titles and definitions, is taken."""
    message = await settled(
        client.messages.parse(
            model=OPUS,
            max_tokens=1000,
            messages=[user("Ada Lovelace is 36 years old and lives in London.")],
            output_format=Person,
        )
    )
    assert isinstance(message.parsed_output, Person)
    assert message.stop_reason == "end_turn"


class Address(BaseModel):
    city: str
    kind: Literal["home", "work"]


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int
    addresses: list[Address]
    nickname: str | None = None


async def test_beta_calls_take_the_same_requests(client: Client) -> None:
    """SDK-56."""
    message = await settled(
        client.beta.messages.create(
            model=OPUS, max_tokens=200, messages=[user(PROMPT)], betas=["interleaved-thinking-2025-05-14"]
        )
    )
    assert PROMPT in said(message)


# -- headers and older clients ------------------------------------------------------------------------------------


async def test_replies_carry_the_api_s_headers(client: Client) -> None:
    """HDR-30 to 32."""
    raw = await settled(client.messages.with_raw_response.create(model=OPUS, max_tokens=9, messages=[user(PROMPT)]))
    assert raw.headers["request-id"].startswith("req_")
    assert raw.headers["request-id"] == raw.request_id
    assert len(raw.headers["anthropic-organization-id"]) == 36
    assert raw.headers["anthropic-workspace-id"]
    assert raw.headers["content-type"] == "application/json"
    assert (await settled(raw.parse())).type == "message"


async def test_a_stream_carries_them_too(client: Client) -> None:
    """STR-1."""
    async with entered(client.messages.stream(model=OPUS, max_tokens=9, messages=[user(PROMPT)])) as stream:
        headers = stream.response.headers
        assert stream.request_id.startswith("req_")
        await settled(stream.until_done())
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert len(headers["anthropic-organization-id"]) == 36


def older(client: Client) -> Client:
    """A client that speaks as those before 2.0 did: x-api-key, version 2023-06-01 (SDK-5)."""
    headers = {"anthropic-version": "2023-06-01", "x-api-key": client.api_key, "authorization": Omit()}
    return client.with_options(default_headers=headers)


async def test_the_older_wire_form_works(client: Client) -> None:
    """MSG-2, HDR-1."""
    message = await settled(older(client).messages.create(model=OPUS, max_tokens=200, messages=[user(PROMPT)]))
    assert PROMPT in said(message)


async def test_beta_in_the_query_is_no_other_path(client: Client) -> None:
    """MSG-1, TOK-11."""
    query = {"beta": "true"}
    message = await settled(
        older(client).messages.create(model=OPUS, max_tokens=9, messages=[user(PROMPT)], extra_query=query)
    )
    count = await settled(older(client).messages.count_tokens(model=OPUS, messages=[user(PROMPT)], extra_query=query))
    models = await settled(older(client).models.list(extra_query=query))
    assert message.usage.input_tokens == count.input_tokens
    assert models.data


async def test_older_models_take_a_temperature_in_the_older_version(client: Client) -> None:
    """MSG-4; the SDK has no such argument any more (SDK-8). Who takes none is in the tests of errors."""
    message = await settled(
        older(client).messages.create(
            model=HAIKU, max_tokens=200, messages=[user(PROMPT)], extra_body={"temperature": 0.2}
        )
    )
    assert PROMPT in said(message)


# -- streams ------------------------------------------------------------------------------------------------------


def assert_legal(events: list[Any]) -> None:
    """STR-10 to 12: the order of raw events."""
    types = [event.type for event in events if event.type != "ping"]
    assert types[0] == "message_start"
    assert types[-2:] == ["message_delta", "message_stop"]
    assert types.count("message_start") == types.count("message_stop") == 1
    index, is_open = -1, False
    for event in events:
        if event.type == "content_block_start":
            assert not is_open
            index, is_open = index + 1, True
        if event.type.startswith("content_block"):
            assert is_open
            assert event.index == index
        if event.type == "content_block_stop":
            is_open = False
    assert not is_open


async def raw_events(client: Client, **params: Any) -> list[Any]:
    return await listed(await settled(client.messages.create(**params, stream=True)))


async def test_raw_events_come_in_the_legal_order(client: Client) -> None:
    events = await raw_events(client, model=OPUS, max_tokens=200, messages=[user(PROMPT)])
    assert_legal(events)
    start, delta = events[0].message, events[-2]
    assert (start.content, start.stop_reason) == ([], None)
    assert delta.delta.stop_reason == "end_turn"
    assert delta.usage.input_tokens == start.usage.input_tokens
    assert delta.usage.output_tokens > 1
    assert len([event for event in events if event.type == "content_block_delta"]) > 3


async def test_a_stream_gives_its_text_as_it_comes(client: Client) -> None:
    """STR-56 to 58."""
    params: Any = {"model": OPUS, "max_tokens": 200, "messages": [user(PROMPT)]}
    async with entered(client.messages.stream(**params)) as stream:
        texts = await listed(stream.text_stream)
        message = await settled(stream.get_final_message())
        text = await settled(stream.get_final_text())
    whole = await settled(client.messages.create(**params))
    assert len(texts) > 3
    assert "".join(texts) == said(message) == text == said(whole)
    assert (message.stop_reason, message.usage) == (whole.stop_reason, whole.usage)


async def test_a_stream_gives_derived_events(client: Client) -> None:
    """STR-57."""
    async with entered(client.messages.stream(model=OPUS, max_tokens=200, messages=[user(PROMPT)])) as stream:
        events = await listed(stream)
    assert_legal([event for event in events if event.type != "text"])
    texts = [event for event in events if event.type == "text"]
    assert texts[-1].snapshot == "".join(event.text for event in texts)
    assert events[-1].message.stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("limits", "stop_reason"),
    [({"max_tokens": 7}, "max_tokens"), ({"max_tokens": 200, "stop_sequences": ["fox"]}, "stop_sequence")],
)
async def test_a_stream_is_cut_as_a_reply_is(client: Client, limits: dict[str, Any], stop_reason: str) -> None:
    params: Any = {"model": OPUS, "messages": [user(PROMPT)], **limits}
    whole = await settled(client.messages.create(**params))
    async with entered(client.messages.stream(**params)) as stream:
        message = await settled(stream.get_final_message())
    assert message.stop_reason == whole.stop_reason == stop_reason
    assert message.stop_sequence == whole.stop_sequence
    assert (said(message), message.usage) == (said(whole), whole.usage)


async def test_a_stream_may_be_left_before_its_end(client: Client) -> None:
    """SDK-51: the next call is not disturbed."""
    params: Any = {"model": OPUS, "max_tokens": 4000, "messages": [user(PROMPT * 50)]}
    async with entered(client.messages.stream(**params)) as stream:
        assert (await first(stream)).type == "message_start"
    message = await settled(client.messages.create(model=OPUS, max_tokens=9, messages=[user(PROMPT)]))
    assert message.usage.output_tokens == 9


# -- thinking -----------------------------------------------------------------------------------------------------

THINKING = {
    "adaptive, summarized": (OPUS, {"type": "adaptive", "display": "summarized"}, True),
    "adaptive, omitted by default": (OPUS, {"type": "adaptive"}, False),
    "a budget, summarized by default": (SONNET, {"type": "enabled", "budget_tokens": 1024}, True),
    "a budget, omitted": (SONNET, {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}, False),
}
each_thinking = pytest.mark.parametrize(("model", "thinking", "is_shown"), THINKING.values(), ids=THINKING)


@each_thinking
async def test_thinking_comes_before_the_text(
    client: Client, model: str, thinking: dict[str, Any], is_shown: bool
) -> None:
    """MSG-62, 63."""
    message = await settled(
        client.messages.create(model=model, max_tokens=2000, thinking=thinking, messages=[user(PROMPT)])
    )
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert bool(message.content[0].thinking) == is_shown
    assert message.content[0].signature
    assert message.usage.output_tokens_details.thinking_tokens > 0
    history = [user(PROMPT), assistant(message.content), user("And now?")]
    again = await settled(client.messages.create(model=model, max_tokens=2000, thinking=thinking, messages=history))
    assert "And now?" in said(again)


@each_thinking
async def test_thinking_streams_and_is_signed_once(
    client: Client, model: str, thinking: dict[str, Any], is_shown: bool
) -> None:
    """STR-23, 24."""
    params: Any = {"model": model, "max_tokens": 2000, "thinking": thinking, "messages": [user(PROMPT)]}
    events = await raw_events(client, **params)
    assert_legal(events)
    kinds = [event.delta.type for event in events if event.type == "content_block_delta" and event.index == 0]
    assert kinds[-1] == "signature_delta"
    assert kinds.count("signature_delta") == 1
    assert ("thinking_delta" in kinds) == is_shown

    async with entered(client.messages.stream(**params)) as stream:
        derived = await listed(stream)
        message = await settled(stream.get_final_message())
    whole = await settled(client.messages.create(**params))
    assert "".join(event.thinking for event in derived if event.type == "thinking") == whole.content[0].thinking
    assert message.content[0].to_dict() == whole.content[0].to_dict()


async def test_thinking_is_off_unless_asked_for(client: Client) -> None:
    message = await settled(client.messages.create(model=OPUS, max_tokens=200, messages=[user(PROMPT)]))
    assert [block.type for block in message.content] == ["text"]


# -- images -------------------------------------------------------------------------------------------------------

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}


def picture(kind: str = "PNG", size: tuple[int, int] = (64, 48)) -> dict[str, Any]:
    """An image block."""
    out = io.BytesIO()
    Pillow.radial_gradient("L").resize(size).convert("RGB").save(out, kind)
    data = base64.b64encode(out.getvalue()).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": FORMATS[kind], "data": data}}


@pytest.mark.parametrize("kind", FORMATS)
async def test_an_image_is_seen(client: Client, kind: str) -> None:
    """MSG-90."""
    text = {"type": "text", "text": "What is this?"}
    message = await settled(client.messages.create(model=OPUS, max_tokens=300, messages=[user(picture(kind), text)]))
    assert f"64x48 {kind} image".lower() in said(message).lower()


async def test_larger_images_count_more(client: Client) -> None:
    """MSG-95, TOK-5: tokens go by area, whatever the bytes."""
    counts = [
        (await settled(client.messages.count_tokens(model=OPUS, messages=[user(block, {"type": "text", "text": "?"})])))
        for block in (picture(size=(200, 200)), picture(size=(1000, 1000)))
    ]
    assert counts[1].input_tokens - counts[0].input_tokens == 1296 - 64


# -- counts -------------------------------------------------------------------------------------------------------

WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALL = {"type": "tool_use", "id": "toolu_01A", "name": "get_weather", "input": {"city": "Tokyo"}}
HI = [user("Hello, Claude")]


def result(content: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "toolu_01A", "content": content}


def loop(content: Any) -> list[dict[str, Any]]:
    return [user("Weather in Tokyo?"), assistant([CALL]), user([result(content)])]


COUNTED: dict[str, dict[str, Any]] = {
    "a text": {"messages": HI},
    "a text in another alphabet": {"messages": [user("Здравствуй, мир. 你好，世界 🦊")]},
    "a system prompt": {"messages": HI, "system": "Be brief."},
    "several turns": {"messages": [*HI, assistant("Hello!"), user("How are you?")]},
    "a tool": {"messages": HI, "tools": [WEATHER]},
    "a tool that must be called": {"messages": HI, "tools": [WEATHER], "tool_choice": {"type": "any"}},
    "a tool that must not be called": {"messages": HI, "tools": [WEATHER], "tool_choice": {"type": "none"}},
    "a built-in tool": {"messages": HI, "tools": [{"type": "bash_20250124", "name": "bash"}]},
    "a tool result": {"messages": loop("18 degrees"), "tools": [WEATHER]},
    "a tool result of blocks": {
        "messages": loop([{"type": "text", "text": "18 degrees"}, picture()]),
        "tools": [WEATHER],
    },
    "an image": {"messages": [user(picture(), {"type": "text", "text": "What is this?"})]},
    "a document": {
        "messages": [
            user(
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": PROMPT}},
                {"type": "text", "text": "Sum it up."},
            )
        ]
    },
    "thinking": {"messages": HI, "thinking": {"type": "adaptive"}},
    "a format": {
        "messages": HI,
        "output_config": {
            "format": {
                "type": "json_schema",
                "schema": {"type": "object", "properties": {}, "additionalProperties": False},
            }
        },
    },
}


@pytest.mark.parametrize("asked", COUNTED.values(), ids=COUNTED)
async def test_the_count_is_the_usage(client: Client, asked: dict[str, Any]) -> None:
    """TOK-10: count_tokens, a reply and both ends of a stream agree."""
    count = await settled(client.messages.count_tokens(model=OPUS, **asked))
    message = await settled(client.messages.create(model=OPUS, max_tokens=50, **asked))
    events = await raw_events(client, model=OPUS, max_tokens=50, **asked)
    assert count.input_tokens == message.usage.input_tokens
    assert count.input_tokens == events[0].message.usage.input_tokens == events[-2].usage.input_tokens
    assert message.usage.output_tokens == events[-2].usage.output_tokens


async def test_beta_counts_are_the_same(client: Client) -> None:
    """SDK-52."""
    count = await settled(client.messages.count_tokens(model=OPUS, messages=HI))
    beta = await settled(client.beta.messages.count_tokens(model=OPUS, messages=HI))
    assert beta.input_tokens == count.input_tokens


async def test_thinking_of_earlier_turns_is_not_counted(client: Client) -> None:
    """TOK-5."""
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    reply = await settled(client.messages.create(model=SONNET, max_tokens=2000, thinking=thinking, messages=HI))
    without = [block for block in reply.content if block.type != "thinking"]
    counts = [
        await settled(
            client.messages.count_tokens(
                model=SONNET, thinking=thinking, messages=[*HI, assistant(content), user("So?"), assistant("Yes."), *HI]
            )
        )
        for content in (reply.content, without)
    ]
    assert counts[0].input_tokens == counts[1].input_tokens


# -- models -------------------------------------------------------------------------------------------------------


async def test_pages_hold_every_model_once(client: Client) -> None:
    """MOD-1, SDK-43."""
    whole = await settled(client.models.list(limit=1000))
    paged = await listed(client.models.list(limit=3))
    ids = [model.id for model in paged]
    assert not whole.has_more
    assert ids == [model.id for model in whole.data]
    assert len(ids) == len(set(ids)) > 6
    assert OPUS in ids
    assert {model.lifecycle for model in paged} <= {"active", "deprecated"}
    assert [model.created_at for model in paged] == sorted((model.created_at for model in paged), reverse=True)


async def test_pages_go_backwards_too(client: Client) -> None:
    """MOD-2: before_id gives the page just before it, and so on to the newest."""
    ids = [model.id for model in (await settled(client.models.list(limit=1000))).data]
    page = await settled(client.models.list(before_id=ids[7], limit=3))
    pages = [page]
    while pages[-1].has_next_page():
        pages.append(await settled(pages[-1].get_next_page()))
    assert [[model.id for model in each.data] for each in pages] == [ids[4:7], ids[1:4], ids[0:1]]


async def test_retired_models_are_listed_when_asked_for(client: Client) -> None:
    retired = await listed(client.models.list(lifecycle=["retired"], limit=2))
    assert {model.lifecycle for model in retired} == {"retired"}
    assert "claude-3-5-sonnet-20241022" in [model.id for model in retired]


async def test_retrieve_tells_a_model_s_limits(client: Client) -> None:
    """MOD-6."""
    model = await settled(client.models.retrieve(OPUS))
    assert (model.id, model.type, model.max_input_tokens, model.max_tokens) == (OPUS, "model", 1_000_000, 128_000)
    assert model.capabilities.thinking.types.adaptive.supported
    assert not model.capabilities.thinking.types.enabled.supported


async def test_retrieve_resolves_an_alias(client: Client) -> None:
    """MOD-3."""
    model = await settled(client.models.retrieve(HAIKU))
    assert model.id == "claude-haiku-4-5-20251001"
