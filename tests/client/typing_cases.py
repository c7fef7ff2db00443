"""What type checkers must infer, take and refuse. Never run: `test_typing.py` has mypy and pyright look at it.

Each `type: ignore` is itself a case: where the line is no error, both say that the comment is not needed.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Unpack, assert_type

import dragoman as anthropic
from dragoman import AsyncStream, BetaMessageStream, MessageStream, Stream, beta_async_tool, beta_tool, types
from dragoman.client.given import NOT_GIVEN, omit
from dragoman.client.raw import APIResponse, AsyncAPIResponse, BinaryAPIResponse
from dragoman.pagination import AsyncPage, AsyncPageCursor, SyncPage
from dragoman.types import beta
from dragoman.types.arguments import (
    BetaMessageCreateArguments,
    FileUploadArguments,
    MessageCreateArguments,
    MessageStreamArguments,
    ToolRunnerArguments,
)
from dragoman.types.beta.messages import BetaMessageBatchIndividualResponse
from dragoman.types.events import ParsedMessageStreamEvent
from dragoman.types.message_create_params import MessageCreateParamsNonStreaming
from dragoman.types.messages import MessageBatchIndividualResponse
from dragoman.types.messages.batch_create_params import Request


class Answer:
    value: int


# -- replies --


def blocks_are_told_by_their_type(message: types.Message) -> None:
    for block in message.content:
        if block.type == "text":
            assert_type(block, types.TextBlock)
            assert_type(block.text, str)
            assert_type(block.citations, list[types.TextCitation] | None)
        elif block.type == "tool_use":
            assert_type(block, types.ToolUseBlock)
            assert_type(block.input, dict[str, object])
        elif block.type == "web_search_tool_result":
            assert_type(block.content, types.WebSearchToolResultErrorObject | list[types.WebSearchResultBlock])
        else:
            print(block.text)  # type: ignore[union-attr]
        if block.type == "hologram":  # type: ignore[comparison-overlap]
            pass
    print(message.content[0].text)  # type: ignore[union-attr]
    print(message.novelty)  # type: ignore[attr-defined]


def fields_have_types(message: types.Message, model: types.ModelInfo, file: types.FileMetadata) -> None:
    assert_type(message.usage.input_tokens, int)
    assert_type(message.usage.cache_read_input_tokens, int | None)
    assert_type(message.role, Literal["assistant"])
    assert_type(message._request_id, str | None)
    assert_type(message.to_dict(), dict[str, Any])
    assert_type(message.to_json(), str)
    assert_type(model.max_input_tokens, int | None)
    assert_type(file.created_at.year, int)
    if message.stop_reason == "compaction":  # type: ignore[comparison-overlap]
        pass
    message.stop_reason = "tool_use"
    message.stop_reason = "because"  # type: ignore[assignment]


def the_beta_has_more(message: beta.BetaMessage) -> None:
    assert_type(message.usage, beta.BetaUsage)
    for block in message.content:
        if block.type == "mcp_tool_use":
            assert_type(block.server_name, str)
        elif block.type == "fallback":
            assert_type(block.from_, beta.BetaFallbackInfo)
    if message.stop_reason == "compaction":
        assert_type(message.context_management, beta.BetaContextManagementResponse | None)


def names_of_the_beta_are_those_without(block: types.TextBlock) -> beta.BetaTextBlock:
    return block


def parsed(message: types.ParsedMessage[Answer], of_beta: beta.ParsedBetaMessage[Answer]) -> None:
    assert_type(message.parsed_output, Answer | None)
    assert_type(of_beta.parsed_output, Answer | None)
    for block in message.content:
        if block.type == "text":
            assert_type(block, types.ParsedTextBlock[Answer])
            assert_type(block.parsed_output, Answer | None)


def without_a_format(message: types.ParsedMessage) -> None:
    assert_type(message.parsed_output, None)


def raw_events(events: Iterator[types.RawMessageStreamEvent]) -> None:
    for event in events:
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            assert_type(event.delta.text, str)
        elif event.type == "message_delta":
            assert_type(event.delta.stop_reason, types.StopReason | None)
        elif event.type == "message_start":
            assert_type(event.message, types.Message)


def helper_events(events: Iterator[ParsedMessageStreamEvent[Answer]]) -> None:
    for event in events:
        if event.type == "text":
            assert_type(event.snapshot, str)
        elif event.type == "citation":
            assert_type(event.citation, types.TextCitation)
        elif event.type == "message_stop":
            assert_type(event.message, types.ParsedMessage[Answer])


def batch(entry: MessageBatchIndividualResponse, of_beta: BetaMessageBatchIndividualResponse) -> None:
    if entry.result.type == "succeeded":
        assert_type(entry.result.message, types.Message)
    elif entry.result.type == "errored":
        assert_type(entry.result.error.error.message, str)
    if of_beta.result.type == "succeeded":
        assert_type(of_beta.result.message, beta.BetaMessage)


def made_by_hand() -> None:
    types.TextBlock(type="text", text="a")
    types.TextBlock(type="text")  # type: ignore[call-arg]
    types.TextBlock(type="image", text="a")  # type: ignore[arg-type]


# -- parameters --


def turns_of_every_kind(reply: types.Message, tool: types.ToolUseBlock) -> list[types.MessageParam]:
    turns: list[types.MessageParam] = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": reply.content},
        {"role": "assistant", "content": (block for block in reply.content)},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}, tool]},
        reply.to_param(),
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": Path("a.png")}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": io.BytesIO()}},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                {"type": "tool_result", "tool_use_id": tool.id, "content": [{"type": "text", "text": "b"}]},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}},
            ],
        },
        {"role": "system", "content": "From now on, in French."},
    ]
    wrong: list[types.MessageParam] = [
        {"role": "tool", "content": "a"},  # type: ignore[misc, list-item]
    ]
    return turns + wrong


def tools() -> list[types.ToolUnionParam]:
    schema: dict[str, object] = {"type": "object", "properties": {}}
    return [
        {"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        {"name": "f", "input_schema": schema, "strict": True},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "allowed_domains": ["example.org"]},
        {"type": "browser_toolset_20260801", "configs": {"left_click": {"enabled": False}}},
    ]


def create(**arguments: Unpack[MessageCreateArguments]) -> None: ...
def stream(**arguments: Unpack[MessageStreamArguments]) -> None: ...
def beta_create(**arguments: Unpack[BetaMessageCreateArguments]) -> None: ...
def run_tools(**arguments: Unpack[ToolRunnerArguments]) -> None: ...
def upload(**arguments: Unpack[FileUploadArguments]) -> None: ...


def arguments_that_are_taken() -> None:
    create(model="claude-haiku-4-5", max_tokens=10, messages=[{"role": "user", "content": "a"}])
    create(
        model="a model that is not known yet",
        max_tokens=10,
        messages=({"role": "user", "content": "a"} for _ in range(3)),
        system=[{"type": "text", "text": "a"}],
        tools=tools(),
        tool_choice={"type": "tool", "name": "f"},
        thinking={"type": "enabled", "budget_tokens": 1024},
        output_config={"effort": "low"},
        stop_sequences=("a", "b"),
        metadata=omit,
        temperature=0.5,
        top_k=NOT_GIVEN,
        timeout=3.5,
        extra_headers={"anthropic-beta": omit, "x-mine": "1"},
        extra_body={"novelty": 1},
    )
    stream(model="m", max_tokens=1, messages=[], timeout=None)
    beta_create(
        model="m",
        max_tokens=1,
        messages=[{"role": "user", "content": [{"type": "compaction", "content": "a"}]}],
        betas=["context-1m-2025-08-07", "not-known-yet"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 1}}]},
        mcp_servers=[{"type": "url", "name": "n", "url": "https://example.org"}],
        container={"skills": [{"type": "anthropic", "skill_id": "pptx"}]},
    )
    run_tools(model="m", max_tokens=1, messages=[], thread=False)
    upload(file=Path("a"))
    upload(file=("a.txt", b"a", "text/plain"))


def arguments_that_are_refused() -> None:
    create(model="m", messages=[])  # type: ignore[call-arg]
    create(model="m", max_tokens="1", messages=[])  # type: ignore[arg-type]
    create(model="m", max_tokens=1, messages=[], stop_sequences="END")  # type: ignore[arg-type]
    create(model="m", max_tokens=1, messages=[], betas=["a"])  # type: ignore[call-arg]
    create(model="m", max_tokens=1, messages=[], stream=True)  # type: ignore[call-arg]
    create(model="m", max_tokens=1, messages=[], thinking={"type": "enabled"})  # type: ignore[arg-type]
    create(model="m", max_tokens=1, messages=[], tool_choice={"type": "any", "name": "f"})  # type: ignore[arg-type]
    create(model="m", max_tokens=1, messages=[], service_tier="fast")  # type: ignore[arg-type]
    run_tools(model="m", max_tokens=1, messages=[], thread={"type": "create"})  # type: ignore[arg-type]
    upload(file="a.txt")  # type: ignore[arg-type]


def requests_of_a_batch() -> list[Request]:
    params: MessageCreateParamsNonStreaming = {"model": "m", "max_tokens": 1, "messages": [], "temperature": 0.1}
    wrong: Request = {"custom_id": "a", "params": {"model": "m", "messages": []}}  # type: ignore[typeddict-item]
    return [
        {"custom_id": "a", "params": params},
        Request(custom_id="b", params=MessageCreateParamsNonStreaming(model="m", max_tokens=1, messages=[])),
        wrong,
    ]


# -- clients --

MESSAGES: list[types.MessageParam] = [{"role": "user", "content": "a"}]
BETA_MESSAGES: list[beta.BetaMessageParam] = [{"role": "user", "content": "a"}]


def messages(client: anthropic.Anthropic) -> None:
    assert_type(client.messages.create(model="m", max_tokens=1, messages=MESSAGES), types.Message)
    events = client.messages.create(model="m", max_tokens=1, messages=MESSAGES, stream=True)
    assert_type(events, Stream[types.RawMessageStreamEvent])
    for event in events:
        assert_type(event, types.RawMessageStreamEvent)
    assert_type(client.messages.count_tokens(model="m", messages=MESSAGES), types.MessageTokensCount)
    assert_type(client.messages.parse(model="m", max_tokens=1, messages=MESSAGES).parsed_output, None)
    answer = client.messages.parse(model="m", max_tokens=1, messages=MESSAGES, output_format=Answer)
    assert_type(answer.parsed_output, Answer | None)
    assert_type(client.beta.messages.create(model="m", max_tokens=1, messages=BETA_MESSAGES), beta.BetaMessage)
    client.messages.create(model="m", max_tokens=1, messages=MESSAGES, no_such=1)  # type: ignore[call-overload]
    client.messages.parse(model="m", max_tokens=1, messages=MESSAGES, stream=True)  # type: ignore[call-arg]


def streams(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="m", max_tokens=1, messages=MESSAGES) as stream:
        assert_type(stream, MessageStream[None])
        for event in stream:
            assert_type(event, ParsedMessageStreamEvent[None])
        for text in stream.text_stream:
            assert_type(text, str)
        assert_type(stream.current_message_snapshot, types.ParsedMessage[None])
        assert_type(stream.get_final_message(), types.ParsedMessage[None])
        assert_type(stream.get_final_text(), str)
        assert_type(stream.request_id, str | None)
    with client.messages.stream(model="m", max_tokens=1, messages=MESSAGES, output_format=Answer) as of_a_type:
        assert_type(of_a_type.get_final_message().parsed_output, Answer | None)
    with client.beta.messages.stream(model="m", max_tokens=1, messages=BETA_MESSAGES) as of_beta:
        assert_type(of_beta, BetaMessageStream[None])
        assert_type(of_beta.get_final_message(), beta.ParsedBetaMessage[None])


def other_resources(client: anthropic.Anthropic, requests: list[Request]) -> None:
    assert_type(client.messages.batches.create(requests=requests), types.messages.MessageBatch)
    assert_type(client.messages.batches.list(), SyncPage[types.messages.MessageBatch])
    for entry in client.messages.batches.results("a"):
        assert_type(entry, MessageBatchIndividualResponse)
    for entry_of_beta in client.beta.messages.batches.results("a"):
        assert_type(entry_of_beta, BetaMessageBatchIndividualResponse)
    for model in client.models.list():
        assert_type(model, types.ModelInfo)
    page = client.models.list(limit=1)
    assert_type(page.get_next_page(), SyncPage[types.ModelInfo])
    for each in page.iter_pages():
        assert_type(each.data, list[types.ModelInfo])
    assert_type(client.files.upload(file=("a.txt", b"a")), types.FileMetadata)
    assert_type(client.files.download("a"), BinaryAPIResponse)
    assert_type(client.files.delete("a"), types.DeletedFile)
    assert_type(client.get("/v1/models/a", cast_to=types.ModelInfo), types.ModelInfo)
    assert_type(client.post("/v1/a", cast_to=dict[str, Any], body={}), dict[str, Any])
    assert_type(client.get("/v1/a", cast_to=object, stream=True, stream_cls=Stream[Answer]), Stream[Answer])
    assert_type(client.with_options(timeout=None, max_retries=0), anthropic.Anthropic)


def raw_responses(client: anthropic.Anthropic) -> None:
    response = client.messages.with_raw_response.create(model="m", max_tokens=1, messages=MESSAGES)
    assert_type(response, APIResponse[types.Message])
    assert_type(response.parse(), types.Message)
    assert_type(response.parse(to=types.ModelInfo), types.ModelInfo)
    assert_type(response.headers["request-id"], str)
    assert_type(response.request_id, str | None)
    events = client.messages.with_raw_response.create(model="m", max_tokens=1, messages=MESSAGES, stream=True)
    assert_type(events.parse(), Stream[types.RawMessageStreamEvent])
    assert_type(client.with_raw_response.models.list().parse(), SyncPage[types.ModelInfo])
    answer = client.messages.with_raw_response.parse(
        model="m", max_tokens=1, messages=MESSAGES, output_format=Answer
    ).parse()
    assert_type(answer.parsed_output, Answer | None)
    with client.messages.with_streaming_response.create(model="m", max_tokens=1, messages=MESSAGES) as opened:
        assert_type(opened, APIResponse[types.Message])
    client.messages.with_raw_response.create(model="m", messages=MESSAGES)  # type: ignore[call-overload]


@beta_tool
def double(number: int) -> str:
    return str(2 * number)


@beta_async_tool(name="twice")
async def double_later(number: int) -> str:
    return str(2 * number)


def tool_runner(client: anthropic.Anthropic) -> None:
    assert_type(double(2), str)
    double("2")  # type: ignore[arg-type]
    runner = client.beta.messages.tool_runner(model="m", max_tokens=1, messages=BETA_MESSAGES, tools=[double])
    for message in runner:
        assert_type(message, beta.ParsedBetaMessage[None])
    assert_type(runner.until_done(), beta.ParsedBetaMessage[None])
    for stream in client.beta.messages.tool_runner(
        model="m", max_tokens=1, messages=BETA_MESSAGES, tools=[double], stream=True
    ):
        assert_type(stream, BetaMessageStream[None])


def errors(client: anthropic.Anthropic) -> None:
    try:
        client.models.retrieve("a")
    except anthropic.RateLimitError as error:
        assert_type(error.response.headers.get("retry-after"), str | None)
    except anthropic.APIStatusError as error:
        assert_type(error.status_code, int)
        assert_type(error.request_id, str | None)
        assert_type(error.type, types.ErrorType | None)
    except anthropic.APIConnectionError as error:
        assert_type(error.message, str)


async def asynchronous(client: anthropic.AsyncAnthropic) -> None:
    assert_type(await client.messages.create(model="m", max_tokens=1, messages=MESSAGES), types.Message)
    events = await client.messages.create(model="m", max_tokens=1, messages=MESSAGES, stream=True)
    assert_type(events, AsyncStream[types.RawMessageStreamEvent])
    async for event in events:
        assert_type(event, types.RawMessageStreamEvent)
    async with client.messages.stream(model="m", max_tokens=1, messages=MESSAGES) as stream:
        assert_type(stream, anthropic.AsyncMessageStream[None])
        async for text in stream.text_stream:
            assert_type(text, str)
        assert_type(await stream.get_final_message(), types.ParsedMessage[None])
    answer = await client.messages.parse(model="m", max_tokens=1, messages=MESSAGES, output_format=Answer)
    assert_type(answer.parsed_output, Answer | None)
    assert_type(await client.messages.count_tokens(model="m", messages=MESSAGES), types.MessageTokensCount)
    async for entry in await client.messages.batches.results("a"):
        assert_type(entry, MessageBatchIndividualResponse)
    async for entry_of_beta in await client.beta.messages.batches.results("a"):
        assert_type(entry_of_beta, BetaMessageBatchIndividualResponse)
    async for message in client.beta.messages.tool_runner(
        model="m", max_tokens=1, messages=BETA_MESSAGES, tools=[double_later]
    ):
        assert_type(message, beta.ParsedBetaMessage[None])


async def asynchronous_pages_and_replies(client: anthropic.AsyncAnthropic) -> None:
    async for model in client.models.list():
        assert_type(model, types.ModelInfo)
    page = await client.models.list()
    assert_type(page, AsyncPage[types.ModelInfo])
    assert_type(await page.get_next_page(), AsyncPage[types.ModelInfo])
    assert_type(await client.files.list(), AsyncPageCursor[types.FileMetadata])
    response = await client.messages.with_raw_response.create(model="m", max_tokens=1, messages=MESSAGES)
    assert_type(response, AsyncAPIResponse[types.Message])
    assert_type(await response.parse(), types.Message)
    assert_type(await (await client.models.with_raw_response.list()).parse(), AsyncPage[types.ModelInfo])
    async with client.models.with_streaming_response.list() as opened:
        assert_type(opened, AsyncAPIResponse[AsyncPage[types.ModelInfo]])
    assert_type(await client.get("/v1/models/a", cast_to=types.ModelInfo), types.ModelInfo)
    async with anthropic.AsyncAnthropic() as entered:
        assert_type(entered, anthropic.AsyncAnthropic)
