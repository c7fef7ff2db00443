"""The offline engine as a whole: requests in, events out, every stream held against the law."""

import asyncio
import base64
import io
import json

import jsonschema_rs
import pytest
from offline import CATALOGUE, ENGINE, Json, calls_of, run, said, text_of
from PIL import Image

from dragoman.engines.base import Generation
from dragoman.engines.offline import tokens
from dragoman.errors import InvalidRequest
from dragoman.wire.events import MessageDelta
from dragoman.wire.types import Thinking, ToolUse
from dragoman.wire.validate import validate_messages

WEATHER = {
    "name": "get_weather",
    "description": "Current weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CLOCK = {
    "name": "get_time",
    "description": "Current time in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


async def test_a_reply_says_what_it_is_and_holds_the_prompt_and_the_system() -> None:
    _, message = await run(messages=said("Which way to Rome?"), system="You are a guide.")
    assert "offline engine" in text_of(message)
    assert "Which way to Rome?" in text_of(message)
    assert "You are a guide." in text_of(message)
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.model == "claude-haiku-4-5-20251001"  # MSG-101


async def test_the_same_request_has_the_same_reply() -> None:
    first, second = [(await run(messages=said("Again?")))[1] for _ in range(2)]
    assert first == second


@pytest.mark.parametrize("limit", [1, 2, 5, 13, 14, 20])
@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-opus-4-8"])
async def test_max_tokens_cuts_to_the_token(model: str, limit: int) -> None:
    """MSG-111: the tokens that come out are exactly as many as were allowed."""
    _, message = await run(model, messages=said("Tell me a long story"), max_tokens=limit)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", limit)
    known = CATALOGUE.resolve(model)
    assert known is not None
    assert tokens.count(text_of(message), known.tokenizer) == limit


async def test_max_tokens_of_nothing_is_a_warm_up() -> None:
    """MSG-35."""
    _, message = await run(messages=said("Hello"), max_tokens=0)
    assert (message.content, message.stop_reason, message.usage.output_tokens) == ([], "max_tokens", 0)


async def test_a_stop_sequence_ends_the_text_before_it() -> None:
    """MSG-106, STR-16."""
    events, message = await run(messages=said("one two END three"), stop_sequences=["three", "END"])
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    assert text_of(message).endswith("one two ")
    assert all("END" not in str(event) for event in events if not isinstance(event, MessageDelta))


async def test_a_prefill_is_gone_on_from() -> None:
    """MSG-47: only the continuation comes."""
    turns = [*said("The best answer?"), {"role": "assistant", "content": "The best answer is ("}]
    _, message = await run(messages=turns)
    assert not text_of(message).startswith("The best answer is (")
    assert "The best answer?" in text_of(message)


@pytest.mark.parametrize(
    ("prompt", "calls"),
    [
        ("What's the weather in Tokyo?", [("get_weather", {"city": "Tokyo"})]),
        ("Weather in Tokyo and Paris, please", [("get_weather", {"city": c}) for c in ("Tokyo", "Paris")]),
        (
            "Get the weather in Tokyo and the time in Paris",
            [("get_weather", {"city": "Tokyo"}), ("get_time", {"city": "Paris"})],
        ),
        ("Tell me a joke", []),
    ],
)
async def test_tools_are_called_when_they_fit(prompt: str, calls: list[tuple[str, Json]]) -> None:
    _, message = await run(messages=said(prompt), tools=[WEATHER, CLOCK])
    assert calls_of(message) == calls
    assert message.stop_reason == ("tool_use" if calls else "end_turn")


async def test_one_call_at_most_without_parallel_use() -> None:
    """TOOL-15."""
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    _, message = await run(messages=said("Weather in Tokyo and Paris"), tools=[WEATHER], tool_choice=choice)
    assert len(calls_of(message)) == 1


async def test_a_forced_call_comes_without_text() -> None:
    """TOOL-11, 12, 14."""
    for choice in ({"type": "any"}, {"type": "tool", "name": "get_time"}):
        _, message = await run(messages=said("Tell me a joke"), tools=[WEATHER, CLOCK], tool_choice=choice)
        assert text_of(message) == ""
        assert len(calls_of(message)) == 1
        assert message.stop_reason == "tool_use"
    assert calls_of(message)[0][0] == "get_time"


async def test_no_call_when_tools_are_forbidden() -> None:
    """TOOL-13."""
    _, message = await run(messages=said("Weather in Rome?"), tools=[WEATHER], tool_choice={"type": "none"})
    assert calls_of(message) == []


async def test_results_are_answered_in_text_so_that_every_loop_ends() -> None:
    turns = said("Weather in Tokyo and Paris?")
    _, asked = await run(messages=turns, tools=[WEATHER])
    uses = [block for block in asked.content if isinstance(block, ToolUse)]
    turns.append(
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": u.id, "name": u.name, "input": u.input} for u in uses],
        }
    )
    turns.append(
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": uses[0].id, "content": "15 degrees"},
                {"type": "tool_result", "tool_use_id": uses[1].id, "content": "no such city", "is_error": True},
            ],
        }
    )
    _, message = await run(messages=turns, tools=[WEATHER])
    assert message.stop_reason == "end_turn"
    assert '{"city":"Tokyo"}) returned: 15 degrees' in text_of(message)
    assert '{"city":"Paris"}) failed with: no such city' in text_of(message)


@pytest.mark.parametrize("limit", range(1, 40))
async def test_a_call_may_be_cut_and_says_so(limit: int) -> None:
    """TOOL-23: the input is what could be parsed; never more tokens than allowed."""
    _, message = await run(messages=said("Weather in Tokyo?"), tools=[WEATHER], max_tokens=limit)
    assert message.usage.output_tokens <= limit
    whole = calls_of(message) == [("get_weather", {"city": "Tokyo"})]
    assert message.stop_reason == "tool_use" or not whole or message.usage.output_tokens == limit


@pytest.mark.parametrize(
    ("model", "thinking", "shown"),
    [
        ("claude-opus-4-8", None, None),
        ("claude-opus-4-8", {"type": "adaptive"}, False),
        ("claude-opus-4-8", {"type": "adaptive", "display": "summarized"}, True),
        ("claude-sonnet-4-5", {"type": "enabled", "budget_tokens": 1024}, True),
        ("claude-sonnet-4-5", {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}, False),
        ("claude-opus-5", None, False),
        ("claude-opus-5", {"type": "disabled"}, None),
    ],
)
async def test_thinking_comes_first_signed_and_shown_as_asked(
    model: str, thinking: Json | None, shown: bool | None
) -> None:
    """MSG-60, 62, 63, STR-23, 24. `shown`: None is no thinking at all."""
    fields = {} if thinking is None else {"thinking": thinking}
    _, message = await run(model, messages=said("Hm?"), max_tokens=2000, **fields)
    thoughts = [block for block in message.content if isinstance(block, Thinking)]
    assert len(thoughts) == (0 if shown is None else 1)
    if thoughts:
        assert message.content[0] is thoughts[0]
        assert bool(thoughts[0].thinking) == shown
        assert len(thoughts[0].signature) > 40
        assert message.usage.output_tokens_details is not None


async def test_a_format_is_kept_to_in_one_text_block() -> None:
    """MSG-67."""
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    config = {"format": {"type": "json_schema", "schema": schema}}
    _, message = await run(messages=said("Ada is 36 years old"), output_config=config)
    assert len(message.content) == 1
    value = json.loads(text_of(message))
    assert jsonschema_rs.is_valid(schema, value)
    assert value["age"] == 36


def png(width: int, height: int) -> str:
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


async def test_images_are_decoded_measured_and_counted() -> None:
    """MSG-95: 1000 by 1000 is 1296 tokens."""
    block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png(1000, 1000)}}
    _, with_image = await run(messages=[{"role": "user", "content": [block, {"type": "text", "text": "What?"}]}])
    _, without = await run(messages=said("What?"))
    assert "1000" in text_of(with_image)
    assert with_image.usage.input_tokens - without.usage.input_tokens == 1296


async def test_a_wrong_image_is_named_by_its_path() -> None:
    """MSG-91, inside a tool result too."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": png(10, 10)}}
    with pytest.raises(InvalidRequest, match="does not match the provided media type image/jpeg"):
        await run(messages=[{"role": "user", "content": [image]}])


async def test_a_url_is_never_fetched() -> None:
    """MSG-96."""
    image = {"type": "image", "source": {"type": "url", "url": "http://127.0.0.1:1/x.png"}}
    with pytest.raises(InvalidRequest, match="Unable to download the file"):
        await run(messages=[{"role": "user", "content": [image]}])


async def test_a_prompt_over_the_window_is_too_long() -> None:
    """MSG-50."""
    with pytest.raises(InvalidRequest, match=r"prompt is too long: \d+ tokens > 200000 maximum"):
        await run(messages=said("word " * 250_000))


async def test_a_window_that_is_nearly_full_ends_the_reply() -> None:
    """MSG-51."""
    prompt = "word " * 199_975
    _, message = await run(messages=said(prompt), max_tokens=60_000)
    assert message.stop_reason == "model_context_window_exceeded"
    assert message.usage.input_tokens + message.usage.output_tokens == 200_000


async def test_a_toolset_s_call_names_its_toolset() -> None:
    """TOOL-54."""
    tools = [{"type": "computer_toolset_20260801"}]
    _, message = await run(
        "claude-opus-4-8", messages=said("Take a screenshot"), tools=tools, tool_choice={"type": "any"}
    )
    uses = [block for block in message.content if isinstance(block, ToolUse)]
    assert [use.toolset_name for use in uses] == ["computer"]


async def test_closing_the_stream_early_is_harmless() -> None:
    known = CATALOGUE.resolve("claude-haiku-4-5")
    assert known is not None
    body = {"model": "x", "max_tokens": 10, "messages": said("Hi")}
    request = validate_messages(body, known, version="2023-06-01", betas=())
    stream = ENGINE.generate(Generation(request=request, model=known, message_id="m", new_tool_id=lambda: "toolu_1"))
    await anext(stream)
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_thinking_of_earlier_turns_counts_nothing_and_that_of_the_loop_does() -> None:
    """TOK-5."""
    thought = {"type": "thinking", "thinking": "long " * 200, "signature": "s"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "15"}]}

    async def count(*blocks: Json, then: Json) -> int:
        turns = [*said("Rome?"), {"role": "assistant", "content": list(blocks)}, then]
        return (await run(messages=turns, tools=[WEATHER]))[1].usage.input_tokens

    text = {"type": "text", "text": "Hm."}
    asked_again = {"role": "user", "content": "And Paris?"}
    assert await count(thought, text, then=asked_again) == await count(text, then=asked_again)
    assert await count(thought, use, then=result) > await count(use, then=result) + 100


async def test_files_that_are_not_kept_are_refused() -> None:
    with pytest.raises(
        InvalidRequest, match=r"^messages\.0\.content\.0: there is no container here that a file could be put into$"
    ):
        await run(messages=[{"role": "user", "content": [{"type": "container_upload", "file_id": "file_1"}]}])
