"""The official Python SDK, sync and async, against both servers: tools, loops by hand, and the tool runner."""

import base64
import functools
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import jsonschema
import pytest
import pytest_asyncio
from anthropic import AsyncAnthropic, beta_async_tool, beta_tool
from either import Client, connect, each, entered, listed, settled
from PIL import Image as Pillow
from running import Running

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    # Said by the SDK of claude-sonnet-4-5, before it sends anything.
    pytest.mark.filterwarnings("ignore:The model 'claude-sonnet-4-5:DeprecationWarning"),
]

MODEL = "claude-opus-4-8"

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "Get the current weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The city's name"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city", "unit"],
    },
}
CLOCK: dict[str, Any] = {
    "name": "get_time",
    "description": "Get the time of day in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
BOOKING: dict[str, Any] = {
    "name": "book_table",
    "description": "Book a table in a restaurant.",
    "input_schema": {
        "type": "object",
        "properties": {
            "restaurant": {"type": "string", "minLength": 1},
            "guests": {"type": "integer", "minimum": 1, "maximum": 12},
            "when": {"type": "string", "format": "date"},
            "wishes": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {"kind": {"enum": ["seat", "food"]}, "note": {"type": "string"}},
                    "required": ["kind"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["restaurant", "guests", "when", "wishes"],
        "additionalProperties": False,
    },
}
TWO = "What is the weather in Tokyo and what time is it in Paris?"


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["sync", "async"])
async def client(request: pytest.FixtureRequest, server: Running) -> AsyncIterator[Client]:
    async with entered(connect(request.param, server.url, server.key)) as opened:
        yield opened


async def ask(client: Client, prompt: str, *tools: dict[str, Any], **params: Any) -> Any:
    messages = [{"role": "user", "content": prompt}]
    return await settled(
        client.messages.create(model=MODEL, max_tokens=1000, messages=messages, tools=list(tools), **params)
    )


def calls(message: Any) -> list[Any]:
    return [block for block in message.content if block.type == "tool_use"]


def said(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def result(call: Any, content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call.id, "content": content, **more}


# -- calls --------------------------------------------------------------------------------------------------------


async def test_a_tool_that_fits_is_called_with_what_was_said(client: Client) -> None:
    message = await ask(client, "What is the weather in Tokyo?", WEATHER, CLOCK)
    assert message.stop_reason == "tool_use"
    (call,) = calls(message)
    assert call.id.startswith("toolu_")
    assert call.name == "get_weather"
    assert call.input["city"] == "Tokyo"
    assert call.input["unit"] in ("celsius", "fahrenheit")


async def test_tools_that_do_not_fit_are_not_called(client: Client) -> None:
    message = await ask(client, "Hello, Claude", WEATHER, CLOCK)
    assert (message.stop_reason, calls(message)) == ("end_turn", [])


async def test_several_tools_are_called_at_once(client: Client) -> None:
    """TOOL-19."""
    message = await ask(client, TWO, WEATHER, CLOCK)
    assert [(call.name, call.input["city"]) for call in calls(message)] == [
        ("get_weather", "Tokyo"),
        ("get_time", "Paris"),
    ]
    assert len({call.id for call in calls(message)}) == 2


@pytest.mark.parametrize("kind", ["auto", "any"])
async def test_one_call_at_a_time_when_asked(client: Client, kind: str) -> None:
    """TOOL-15."""
    choice = {"type": kind, "disable_parallel_tool_use": True}
    assert len(calls(await ask(client, TWO, WEATHER, CLOCK, tool_choice=choice))) == 1


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "book_table"}])
async def test_a_forced_call_comes_alone_and_is_valid(client: Client, choice: dict[str, Any]) -> None:
    """TOOL-11, 12, 14: also when nothing in the prompt fits."""
    message = await ask(client, "Hello, Claude", BOOKING, tool_choice=choice)
    assert message.stop_reason == "tool_use"
    assert [block.type for block in message.content] == ["tool_use"]
    assert message.content[0].name == "book_table"
    jsonschema.validate(message.content[0].input, BOOKING["input_schema"], format_checker=jsonschema.FormatChecker())


async def test_tool_choice_names_the_tool(client: Client) -> None:
    message = await ask(client, "Hello", WEATHER, CLOCK, tool_choice={"type": "tool", "name": "get_time"})
    assert [call.name for call in calls(message)] == ["get_time"]


async def test_tool_choice_none_calls_nothing(client: Client) -> None:
    """TOOL-13."""
    message = await ask(client, "What is the weather in Tokyo?", WEATHER, tool_choice={"type": "none"})
    assert (message.stop_reason, calls(message)) == ("end_turn", [])


async def test_built_in_tools_need_no_schema(client: Client) -> None:
    """TOOL-61."""
    message = await ask(client, "Use bash to run `ls -l`", {"type": "bash_20250124", "name": "bash"})
    assert [(call.name, "ls -l" in call.input["command"]) for call in calls(message)] == [("bash", True)]


# -- streams ------------------------------------------------------------------------------------------------------


async def test_a_call_streams_in_fragments_of_valid_json(client: Client) -> None:
    """STR-21, STR-30."""
    params: Any = {
        "model": MODEL,
        "max_tokens": 1000,
        "tools": [WEATHER, CLOCK],
        "messages": [{"role": "user", "content": TWO}],
    }
    async with entered(client.messages.stream(**params)) as stream:
        events = await listed(stream)
        message = await settled(stream.get_final_message())
    assert message.stop_reason == "tool_use"
    assert [call.input["city"] for call in calls(message)] == ["Tokyo", "Paris"]
    assert len([event for event in events if event.type == "input_json"]) > 4

    raw = await listed(await settled(client.messages.create(**params, stream=True)))
    for call in calls(message):
        index = message.content.index(call)
        start = next(event for event in raw if event.type == "content_block_start" and event.index == index)
        assert (start.content_block.name, start.content_block.input) == (call.name, {})
        deltas = [event.delta for event in raw if event.type == "content_block_delta" and event.index == index]
        assert {delta.type for delta in deltas} == {"input_json_delta"}
        assert len(deltas) > 2
        assert json.loads("".join(delta.partial_json for delta in deltas)) == call.input


async def test_a_call_without_arguments_has_an_empty_input(client: Client) -> None:
    """STR-31."""
    ping = {"name": "ping", "input_schema": {"type": "object", "properties": {}}}
    messages: Any = [{"role": "user", "content": "ping"}]
    async with entered(
        client.messages.stream(
            model=MODEL, max_tokens=100, messages=messages, tools=[ping], tool_choice={"type": "tool", "name": "ping"}
        )
    ) as stream:
        message = await settled(stream.get_final_message())
    assert calls(message)[0].input == {}


async def test_a_call_that_is_cut_ends_in_max_tokens(client: Client) -> None:
    """TOOL-23, STR-14: the reply and the stream say the same."""
    params: Any = {
        "model": MODEL,
        "max_tokens": 12,
        "tools": [BOOKING],
        "tool_choice": {"type": "any"},
        "messages": [{"role": "user", "content": "Hello"}],
    }
    message = await settled(client.messages.create(**params))
    async with entered(client.messages.stream(**params)) as stream:
        await settled(stream.until_done())
        streamed = await settled(stream.get_final_message())
    assert message.stop_reason == streamed.stop_reason == "max_tokens"
    assert message.usage.output_tokens == streamed.usage.output_tokens == 12


async def test_thinking_comes_before_a_call(client: Client) -> None:
    """MSG-63."""
    message = await ask(client, "What is the weather in Tokyo?", WEATHER, thinking={"type": "adaptive"})
    assert message.content[0].type == "thinking"
    assert message.content[-1].type == "tool_use"


# -- loops --------------------------------------------------------------------------------------------------------


async def finish(
    client: Client, prompt: str, tools: list[Any], answer: Callable[[Any], dict[str, Any]], **more: Any
) -> tuple[Any, int]:
    """A tool loop by hand: the last message, and how many there were. Ends by itself or fails."""
    params: dict[str, Any] = {"model": MODEL, "max_tokens": 2000, "tools": tools, **more}
    messages: list[Any] = [{"role": "user", "content": prompt}]
    for turn in range(1, 6):
        message = await settled(client.messages.create(messages=messages, **params))
        if message.stop_reason != "tool_use":
            return message, turn
        results = [answer(call) for call in calls(message)]
        messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
    raise AssertionError("the loop did not end")


async def test_a_loop_ends_in_a_text_with_the_results(client: Client) -> None:
    """Round trip of tools.md, section 7."""
    message, turns = await finish(
        client, TWO, [WEATHER, CLOCK], lambda call: result(call, f"{call.name} in {call.input['city']}: 18")
    )
    assert turns == 2
    assert message.stop_reason == "end_turn"
    assert "get_weather in Tokyo: 18" in said(message)
    assert "get_time in Paris: 18" in said(message)


@pytest.mark.parametrize(
    ("model", "thinking", "blocks"),
    [
        (MODEL, {"type": "adaptive"}, ["thinking", "text"]),
        ("claude-sonnet-4-5", {"type": "enabled", "budget_tokens": 1024}, ["text"]),  # not interleaved
    ],
)
async def test_a_loop_that_thinks_ends_too(
    client: Client, model: str, thinking: dict[str, Any], blocks: list[str]
) -> None:
    """MSG-58, 63, 65: the thinking goes back with the call."""
    message, turns = await finish(
        client,
        "What is the weather in Tokyo?",
        [WEATHER],
        lambda call: result(call, "18 degrees"),
        model=model,
        thinking=thinking,
    )
    assert turns == 2
    assert [block.type for block in message.content] == blocks
    assert "18 degrees" in said(message)


async def test_a_failed_tool_is_told_as_failed(client: Client) -> None:
    """MSG-86."""
    message, _ = await finish(
        client, "What is the weather in Tokyo?", [WEATHER], lambda call: result(call, "no network", is_error=True)
    )
    assert message.stop_reason == "end_turn"
    assert "no network" in said(message)
    assert "failed" in said(message)


async def test_a_result_may_be_an_image(client: Client) -> None:
    """TOOL-22."""
    out = io.BytesIO()
    Pillow.new("RGB", (64, 48), "red").save(out, "PNG")
    data = base64.b64encode(out.getvalue()).decode()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    message, turns = await finish(
        client,
        "What is the weather in Tokyo?",
        [WEATHER],
        lambda call: result(call, [{"type": "text", "text": "A photo of the sky"}, image]),
    )
    assert turns == 2
    assert "A photo of the sky" in said(message)


# -- the runner ---------------------------------------------------------------------------------------------------


class Bodies:
    """Notes what the SDK sends, on its way out."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def hooked(self, client: Client) -> Client:
        """A client with the same connections that notes its requests."""

        def note(request: Any) -> None:
            self.sent.append(json.loads(request.content))

        async def note_too(request: Any) -> None:
            note(request)

        hook = note_too if isinstance(client, AsyncAnthropic) else note
        client._client.event_hooks = {"request": [hook]}
        return client


@pytest.fixture
def noted(client: Client) -> Any:
    bodies = Bodies()
    bodies.hooked(client)
    yield bodies
    client._client.event_hooks = {}


def fine(city: str) -> str:
    return f"It is 18 degrees in {city}."


def weather_of(client: Client, report: Callable[[str], str] = fine) -> Any:
    """A tool made of a function, as the SDK makes them (SDK-60)."""

    def get_weather(city: str) -> str:
        """Get the current weather of a city.

        Args:
            city: The city's name
        """
        return report(city)

    @functools.wraps(get_weather)
    async def get_weather_too(city: str) -> str:
        return report(city)

    return beta_async_tool(get_weather_too) if isinstance(client, AsyncAnthropic) else beta_tool(get_weather)


RUN: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 1000,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "What is the weather in Tokyo?"}],
}


def assert_ran(messages: list[Any]) -> None:
    assert [message.stop_reason for message in messages] == ["tool_use", "end_turn"]
    assert calls(messages[0])[0].input == {"city": "Tokyo"}
    assert "It is 18 degrees in Tokyo." in said(messages[1])


async def test_the_runner_ends_with_the_results_and_sends_nothing_twice(client: Client, noted: Bodies) -> None:
    """SDK-63, 64 a, 68: the second call holds the results alone."""
    messages = await listed(client.beta.messages.tool_runner(tools=[weather_of(client)], **RUN))
    assert_ran(messages)
    first, second = noted.sent
    assert first["thread"] == {"type": "create"}
    assert second["thread"] == {"type": "continue", "previous_message_id": messages[0].id}
    assert len(second["messages"]) == 1
    assert not {"system", "tools"} & second.keys()


async def test_the_runner_without_threads_needs_two_calls(client: Client, noted: Bodies) -> None:
    """SDK-66, 68."""
    messages = await listed(client.beta.messages.tool_runner(tools=[weather_of(client)], thread=False, **RUN))
    assert_ran(messages)
    assert ["thread" in body for body in noted.sent] == [False, False]


@pytest.mark.parametrize("more", [{}, {"thread": False}], ids=["threads", "no threads"])
async def test_the_runner_streams(client: Client, more: dict[str, Any]) -> None:
    runner = client.beta.messages.tool_runner(tools=[weather_of(client)], stream=True, **more, **RUN)
    assert_ran([await settled(stream.get_final_message()) async for stream in each(runner)])


async def test_the_runner_runs_parallel_calls(client: Client) -> None:
    run = RUN | {"messages": [{"role": "user", "content": "What is the weather in Tokyo, Paris and Rome?"}]}
    last = await settled(client.beta.messages.tool_runner(tools=[weather_of(client)], **run).until_done())
    for city in ("Tokyo", "Paris", "Rome"):
        assert f"It is 18 degrees in {city}." in said(last)


async def test_the_runner_tells_of_a_tool_that_raises(client: Client) -> None:
    """SDK-62."""

    def broken(city: str) -> str:
        raise ValueError(f"no weather in {city}")

    runner = client.beta.messages.tool_runner(tools=[weather_of(client, broken)], thread=False, **RUN)
    last = await settled(runner.until_done())
    assert "failed with" in said(last)
    assert "no weather in Tokyo" in said(last)
