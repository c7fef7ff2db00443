"""The official Python SDK, sync and async, against both servers: caching, citations, refusals, formats, clearing."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from anthropic import BadRequestError
from either import Client, connect, entered, listed, settled
from pydantic import BaseModel
from running import Running

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:The model 'claude-sonnet-4-5:DeprecationWarning"),
]

OPUS = "claude-opus-4-8"
HAIKU = "claude-haiku-4-5"
REFUSAL = "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL_1FAEFB6177B4672DEE07F9D3AFC62588CCD2631EDCF22E8CCC1FB35B501C9C86"
_numbers = itertools.count()


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["sync", "async"])
async def client(request: pytest.FixtureRequest, server: Running) -> AsyncIterator[Client]:
    async with entered(connect(request.param, server.url, server.key)) as opened:
        yield opened


def user(*content: Any) -> dict[str, Any]:
    is_words = len(content) == 1 and isinstance(content[0], str)
    return {"role": "user", "content": content[0] if is_words else list(content)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


# -- caching ------------------------------------------------------------------------------------------------------


def handbook() -> str:
    """A long text that no other test has sent: some 3,000 tokens."""
    return (
        f"Handbook {next(_numbers)} of {id(object())}. " + "Every rule has its reason, and every reason a story. " * 250
    )


def usage(message: Any) -> tuple[int, int, int]:
    """Tokens read from the cache, written for five minutes, and written for an hour."""
    told = message.usage
    written = told.cache_creation
    assert told.cache_creation_input_tokens == written.ephemeral_5m_input_tokens + written.ephemeral_1h_input_tokens
    return told.cache_read_input_tokens, written.ephemeral_5m_input_tokens, written.ephemeral_1h_input_tokens


async def test_a_big_prefix_is_written_then_read_then_missed_then_kept_for_an_hour(client: Client) -> None:
    """CCH-20, CCH-24, CCH-31 to 33, CCH-35, MSG-120, MSG-121."""
    rules = handbook()

    async def ask(system: str, **marker: Any) -> Any:
        return await settled(
            client.messages.create(
                model=OPUS,
                max_tokens=50,
                system=[text(system, cache_control={"type": "ephemeral", **marker})],
                messages=[user("What is rule one?")],
            )
        )

    wrote = await ask(rules)
    size = wrote.usage.cache_creation_input_tokens
    assert usage(wrote) == (0, size, 0)
    assert size > 1024
    read = await ask(rules)
    assert usage(read) == (size, 0, 0)
    assert read.usage.input_tokens == wrote.usage.input_tokens
    missed = await ask(rules.replace("Handbook", "handbook", 1))
    assert usage(missed)[0] == 0
    assert usage(missed)[1] > 1024
    hour = handbook()
    longer = await ask(hour, ttl="1h")
    assert usage(longer)[:2] == (0, 0)
    assert usage(longer)[2] > 1024
    assert usage(await ask(hour, ttl="1h")) == (usage(longer)[2], 0, 0)


async def test_a_conversation_reads_what_its_last_turn_wrote(client: Client) -> None:
    """CCH-10, CCH-14: the top-level `cache_control`."""
    turns = [user(handbook())]
    first = await settled(
        client.messages.create(model=OPUS, max_tokens=50, cache_control={"type": "ephemeral"}, messages=turns)
    )
    turns += [{"role": "assistant", "content": first.content}, user("Go on, please.")]
    second = await settled(
        client.messages.create(model=OPUS, max_tokens=50, cache_control={"type": "ephemeral"}, messages=turns)
    )
    assert second.usage.cache_read_input_tokens == first.usage.cache_creation_input_tokens
    assert second.usage.cache_creation_input_tokens > 0
    assert second.usage.input_tokens == 0 or second.usage.input_tokens < first.usage.cache_creation_input_tokens


async def test_a_stream_tells_the_cache_too(client: Client) -> None:
    """STR-10, STR-13, CCH-33."""
    system = [text(handbook(), cache_control={"type": "ephemeral"})]
    fields: dict[str, Any] = {"model": OPUS, "max_tokens": 50, "system": system, "messages": [user("Hi")]}
    async with entered(client.messages.stream(**fields)) as stream:
        wrote = await settled(stream.get_final_message())
    async with entered(client.messages.stream(**fields)) as stream:
        events = [event async for event in _each(stream)]
        read = await settled(stream.get_final_message())
    assert wrote.usage.cache_creation_input_tokens == read.usage.cache_read_input_tokens > 1024
    start = next(event for event in events if event.type == "message_start")
    assert start.message.usage.cache_read_input_tokens == read.usage.cache_read_input_tokens


async def test_a_prefix_that_is_too_short_is_not_cached(client: Client) -> None:
    """CCH-23: without an error."""
    message = await settled(
        client.messages.create(
            model=OPUS,
            max_tokens=50,
            system=[text("Be brief.", cache_control={"type": "ephemeral"})],
            messages=[user("Hi")],
        )
    )
    assert usage(message) == (0, 0, 0)


async def test_a_cache_miss_is_explained(client: Client) -> None:
    """CCH-40: what changed since the reply that was named; nothing when nothing was asked."""
    rules = handbook()

    def asked(system: str, previous: str | None) -> Any:
        return {
            "model": OPUS,
            "max_tokens": 50,
            "system": [text(system, cache_control={"type": "ephemeral"})],
            "messages": [user("Hi")],
            "diagnostics": {"previous_message_id": previous},
        }

    first = await settled(client.messages.create(**asked(rules, None)))
    assert first.diagnostics is None
    assert "diagnostics" in first.to_dict(exclude_none=False)
    same = await settled(client.messages.create(**asked(rules, first.id)))
    assert same.diagnostics is None
    other = await settled(client.messages.create(**asked(f"x{rules}", first.id)))
    assert other.diagnostics.cache_miss_reason.type == "system_changed"
    assert other.diagnostics.cache_miss_reason.cache_missed_input_tokens > 1024
    lost = await settled(client.messages.create(**asked(rules, "msg_unknown")))
    assert lost.diagnostics.cache_miss_reason.type == "previous_message_not_found"
    async with entered(client.messages.stream(**asked(f"y{rules}", first.id))) as stream:
        start, *_ = [event async for event in _each(stream)]
    assert start.message.diagnostics.cache_miss_reason.type == "system_changed"


async def _each(stream: Any) -> AsyncIterator[Any]:
    for event in await listed(stream):
        yield event


# -- citations ----------------------------------------------------------------------------------------------------

GRASS = "The grass is green. The sky is blue. Roses are red in summer."


def plain_document() -> dict[str, Any]:
    source = {"type": "text", "media_type": "text/plain", "data": GRASS}
    return {"type": "document", "source": source, "title": "Colours", "citations": {"enabled": True}}


def content_document() -> dict[str, Any]:
    source = {"type": "content", "content": [text("The grass is green."), text("The sky is blue.")]}
    return {"type": "document", "source": source, "title": "Colours", "citations": {"enabled": True}}


def search_result() -> dict[str, Any]:
    return {
        "type": "search_result",
        "source": "kb/colours",
        "title": "Colours",
        "content": [text("The grass is green."), text("The sky is blue.")],
        "citations": {"enabled": True},
    }


def cited(message: Any) -> list[Any]:
    return [citation for block in message.content if block.type == "text" for citation in block.citations or ()]


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (plain_document(), "char_location"),
        (content_document(), "content_block_location"),
        (search_result(), "search_result_location"),
    ],
)
async def test_an_answer_cites_its_documents(client: Client, block: Any, kind: str) -> None:
    """MSG-99, STR-20: the same when streamed."""
    asked: Any = {
        "model": OPUS,
        "max_tokens": 1000,
        "messages": [user(block, text("What colour is the sky?"))],
    }
    message = await settled(client.messages.create(**asked))
    citations = cited(message)
    assert {citation.type for citation in citations} == {kind}
    assert any("The sky is blue." in citation.cited_text for citation in citations)
    if kind == "char_location":
        for citation in citations:
            assert citation.cited_text == GRASS[citation.start_char_index : citation.end_char_index]
            assert (citation.document_index, citation.document_title) == (0, "Colours")
    async with entered(client.messages.stream(**asked)) as stream:
        events = await listed(stream)
        final = await settled(stream.get_final_message())
    assert [each.to_dict() for each in cited(final)] == [each.to_dict() for each in citations]
    assert len([event for event in events if event.type == "citation"]) == len(citations)
    back = [*asked["messages"], {"role": "assistant", "content": final.content}, user("Thanks. And the grass?")]
    again = await settled(client.messages.create(**{**asked, "messages": back}))
    assert again.stop_reason == "end_turn"


# -- thinking, refusals -------------------------------------------------------------------------------------------


async def test_tampered_thinking_is_a_bad_request(client: Client) -> None:
    """MSG-59."""
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    turns = [user("Hi")]
    first = await settled(client.messages.create(model=HAIKU, max_tokens=2000, thinking=thinking, messages=turns))
    back = [block.to_dict() for block in first.content]
    turns += [{"role": "assistant", "content": back}, user("And?")]
    fields: Any = {"model": HAIKU, "max_tokens": 2000, "thinking": thinking, "messages": turns}
    await settled(client.messages.create(**fields))
    back[0]["signature"] = "Q" + back[0]["signature"][1:]
    with pytest.raises(BadRequestError, match="Invalid `signature` in `thinking` block"):
        await settled(client.messages.create(**fields))


async def test_a_refusal_is_a_reply(client: Client) -> None:
    """MSG-104, MSG-115, STR-12."""
    message = await settled(client.messages.create(model=OPUS, max_tokens=50, messages=[user(REFUSAL)]))
    assert (message.stop_reason, message.content) == ("refusal", [])
    assert message.stop_details.type == "refusal"
    async with entered(client.messages.stream(model=OPUS, max_tokens=50, messages=[user(REFUSAL)])) as stream:
        final = await settled(stream.get_final_message())
    assert (final.stop_reason, final.content) == ("refusal", [])


# -- structured output --------------------------------------------------------------------------------------------


class Line(BaseModel):
    item: str
    count: int


class Order(BaseModel):
    """What somebody wants."""

    customer: str
    lines: list[Line]
    note: str | None = None


async def test_a_stream_is_parsed_as_it_comes(client: Client) -> None:
    """STR-60, SDK-53, MSG-67."""
    async with entered(
        client.messages.stream(
            model=OPUS, max_tokens=1000, messages=[user("Ada orders 3 apples.")], output_format=Order
        )
    ) as stream:
        events = await listed(stream)
        final = await settled(stream.get_final_message())
    assert isinstance(final.parsed_output, Order)
    snapshots = [event.parsed_snapshot() for event in events if event.type == "text"]
    assert snapshots[-1]["customer"] == final.parsed_output.customer
    assert [block.type for block in final.content] == ["text"]


# -- context management -------------------------------------------------------------------------------------------


async def test_cleared_tool_results_are_told(client: Client) -> None:
    """The reply's `context_management`, whole and streamed, and that of count_tokens."""
    turns: list[Any] = [user("Look")]
    for number in range(5):
        turns.append(
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": f"toolu_{number}", "name": "look", "input": {}}],
            }
        )
        turns.append(user({"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": "word " * 100}))
    fields: Any = {
        "model": OPUS,
        "messages": turns,
        "betas": ["context-management-2025-06-27"],
        "context_management": {
            "edits": [{"type": "clear_tool_uses_20250919", "trigger": {"type": "tool_uses", "value": 3}}]
        },
    }
    message = await settled(client.beta.messages.create(max_tokens=100, **fields))
    (edit,) = message.context_management.applied_edits
    assert edit.cleared_tool_uses == 2
    async with entered(client.beta.messages.stream(max_tokens=100, **fields)) as stream:
        final = await settled(stream.get_final_message())
    assert final.context_management.applied_edits == message.context_management.applied_edits
    counted = await settled(client.beta.messages.count_tokens(**fields))
    assert counted.input_tokens == message.usage.input_tokens
    assert counted.context_management.original_input_tokens == counted.input_tokens + edit.cleared_input_tokens
