"""What type checkers must infer, take and refuse. Never run: `test_types.py` has mypy --strict look at it.

Each `type: ignore` is itself a case: where the line is no error, mypy says that the comment is not needed.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Unpack, assert_type

from dragoman import types
from dragoman.client.given import NOT_GIVEN, omit
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
