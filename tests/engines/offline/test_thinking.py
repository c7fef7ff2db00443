"""Thinking of the offline engine: its signatures, what is redacted, when it comes; and refusals."""

import base64
import copy
from collections.abc import Callable
from typing import Any

import pytest
from offline import Json, calls_of, refusal, run, said, text_of

from dragoman.engines.offline.answer import REDACTION, REFUSAL
from dragoman.engines.offline.engine import OfflineEngine
from dragoman.wire.codec import plain
from dragoman.wire.types import Message, RedactedThinking, Text, Thinking

MANUAL = {"type": "enabled", "budget_tokens": 2000}
WEATHER = {
    "name": "get_weather",
    "description": "Weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ASK = "What is the weather in Paris?"
INTERLEAVED = ("interleaved-thinking-2025-05-14",)


async def called(model: str, thinking: Json | None, **fields: Any) -> tuple[Message, dict[str, Any]]:
    """The reply to a question that needs a tool, and the request that goes on from it."""
    shared: dict[str, Any] = {"model": model, "tools": [WEATHER], "max_tokens": 4000, **fields}
    if thinking is not None:
        shared["thinking"] = thinking
    _, message = await run(**shared, messages=said(ASK))
    (use,) = [block for block in plain(message)["content"] if plain(block)["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": plain(use)["id"], "content": "18 degrees"}]
    content = [plain(block) for block in message.content]
    turns = [*said(ASK), {"role": "assistant", "content": content}, {"role": "user", "content": results}]
    return message, {**shared, "messages": turns}


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("claude-haiku-4-5", MANUAL),
        ("claude-opus-4-8", {"type": "adaptive"}),
        ("claude-opus-4-8", {"type": "adaptive", "display": "summarized"}),
        ("claude-opus-5", None),
        ("claude-fable-5", None),
    ],
)
async def test_thinking_that_comes_back_as_it_was_is_taken(model: str, thinking: Json | None) -> None:
    """MSG-59, MSG-62: signed text, or signed nothing where the display is omitted."""
    message, follow = await called(model, thinking)
    block = message.content[0]
    assert isinstance(block, Thinking)
    assert block.signature
    _, answered = await run(**follow)
    assert "18 degrees" in text_of(answered)


def first_block(request: Json) -> Json:
    return request["messages"][1]["content"][0]


def flip(text: str, at: int) -> str:
    return f"{text[:at]}{'A' if text[at] != 'A' else 'B'}{text[at + 1 :]}"


TAMPERED: dict[str, tuple[Callable[[Json], Any], str]] = {
    "a character of the signature": (
        lambda block: block.update(signature=flip(block["signature"], 60)),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "its first character": (
        lambda block: block.update(signature=flip(block["signature"], 0)),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "its end": (
        lambda block: block.update(signature=block["signature"][:-4]),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "no signature": (
        lambda block: block.update(signature=""),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "another's signature": (
        lambda block: block.update(signature=base64.b64encode(b"x" * 300).decode()),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "the text": (
        lambda block: block.update(thinking=block["thinking"] + "."),
        "messages.1.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be "
        "modified. These blocks must remain as they were in the original response.",
    ),
}


@pytest.mark.parametrize(("tamper", "expected"), TAMPERED.values(), ids=TAMPERED)
async def test_tampered_thinking_is_refused(tamper: Callable[[Json], Any], expected: str) -> None:
    """MSG-59."""
    _, follow = await called("claude-haiku-4-5", MANUAL)
    tamper(first_block(follow))
    assert await refusal(**follow) == expected


async def test_every_bit_of_a_signature_counts() -> None:
    """MSG-59: base64 has characters whose last bits say nothing; they are not ours either."""
    _, follow = await called("claude-haiku-4-5", MANUAL)
    for at in range(len(first_block(follow)["signature"].rstrip("="))):
        broken = copy.deepcopy(follow)
        block = first_block(broken)
        block["signature"] = flip(block["signature"], at)
        assert await refusal(**broken) == "messages.1.content.0: Invalid `signature` in `thinking` block"


async def test_thinking_of_an_earlier_turn_is_verified_too() -> None:
    """MSG-59: not only the latest."""
    _, follow = await called("claude-haiku-4-5", MANUAL)
    first_block(follow)["thinking"] += "."
    _, answered = await run(**{**follow, "thinking": {"type": "disabled"}})
    follow["messages"] += [{"role": "assistant", "content": text_of(answered)}, *said("Thanks")]
    assert await refusal(**follow) == "messages.1.content.0: Invalid `signature` in `thinking` block"


async def test_a_signature_of_another_installation_is_foreign() -> None:
    """MSG-59: the key is the installation's."""
    _, follow = await called("claude-haiku-4-5", MANUAL)
    other = OfflineEngine(secret=b"another")
    assert await refusal(engine=other, **follow) == "messages.1.content.0: Invalid `signature` in `thinking` block"


async def test_thinking_that_is_sent_while_thinking_is_off_is_ignored() -> None:
    """MSG-64: not even its signature is looked at."""
    _, follow = await called("claude-haiku-4-5", MANUAL)
    first_block(follow)["signature"] = "nonsense"
    _, answered = await run(**{**follow, "thinking": {"type": "disabled"}})
    assert "18 degrees" in text_of(answered)


@pytest.mark.parametrize(
    ("model", "thinking", "betas", "again"),
    [
        ("claude-opus-4-8", {"type": "adaptive"}, (), True),
        ("claude-sonnet-4-5", MANUAL, INTERLEAVED, True),
        ("claude-sonnet-4-5", MANUAL, (), False),
        ("claude-haiku-4-5", MANUAL, INTERLEAVED, False),
    ],
)
async def test_thinking_goes_on_between_calls_where_it_is_interleaved(
    model: str, thinking: Json, betas: tuple[str, ...], again: bool
) -> None:
    """MSG-65: always when adaptive; when manual with its beta, and never on Haiku 4.5. MSG-63: before the text."""
    message, follow = await called(model, thinking, betas=betas)
    assert isinstance(message.content[0], Thinking)
    _, answered = await run(**follow)
    assert isinstance(answered.content[0], Thinking) is again
    assert isinstance(answered.content[-1], Text)


async def test_progress_between_tools_comes_as_thinking() -> None:
    """MSG-53 to 65, `between_tools`: off, but what is said between calls is a thinking block."""
    message, _ = await called("claude-sonnet-5-5", {"type": "between_tools"})
    assert isinstance(message.content[0], Thinking)
    assert [type(block).__name__ for block in message.content] == ["Thinking", "ToolUse"]
    _, plainly = await run(model="claude-sonnet-5-5", messages=said("Hi"), thinking={"type": "between_tools"})
    assert [type(block) for block in plainly.content] == [Text]


async def test_more_effort_thinks_longer_and_the_default_is_the_default() -> None:
    """MSG-66."""
    used: list[int] = []
    for effort in ("low", "medium", "high", "xhigh", "max"):
        _, message = await run(
            model="claude-opus-4-8",
            messages=said("Hi"),
            thinking={"type": "adaptive"},
            output_config={"effort": effort},
        )
        details = message.usage.output_tokens_details
        assert details is not None
        used.append(details["thinking_tokens"])
    assert used == sorted(set(used))
    _, unsaid = await run(model="claude-opus-4-8", messages=said("Hi"), thinking={"type": "adaptive"})
    assert unsaid.usage.output_tokens_details == {"thinking_tokens": used[2]}


async def test_the_documented_string_makes_redacted_thinking() -> None:
    """MSG-77, STR-25: one block with data and no text, which comes back as it was or not at all."""
    events, message = await run(model="claude-haiku-4-5", max_tokens=4000, thinking=MANUAL, messages=said(REDACTION))
    block = message.content[0]
    assert isinstance(block, RedactedThinking)
    assert REDACTION not in base64.b64decode(block.data).decode("latin-1")
    assert [plain(event)["type"] for event in events][1:3] == ["content_block_start", "content_block_stop"]
    assert message.usage.output_tokens_details is not None
    back = [*said(REDACTION), {"role": "assistant", "content": [plain(b) for b in message.content]}, *said("And?")]
    request = {"model": "claude-haiku-4-5", "max_tokens": 4000, "thinking": MANUAL, "messages": back}
    await run(**request)
    back[1]["content"][0]["data"] = flip(block.data, 70)
    assert await refusal(**request) == "messages.1.content.0: Invalid `data` in `redacted_thinking` block"


async def test_without_thinking_the_string_does_nothing() -> None:
    """MSG-77: there is no thinking to redact."""
    _, message = await run(messages=said(REDACTION))
    assert [type(block) for block in message.content] == [Text]


REFUSED: dict[str, Json] = {
    "said": {"messages": said(f"Please {REFUSAL}")},
    "in the system prompt": {"messages": said("Hi"), "system": REFUSAL},
    "in a system block": {"messages": said("Hi"), "system": [{"type": "text", "text": REFUSAL}]},
    "said before": {"messages": [*said(REFUSAL), {"role": "assistant", "content": "No."}, *said("Hi")]},
    "in a document": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": REFUSAL},
                    },
                    {"type": "text", "text": "Sum it up"},
                ],
            }
        ]
    },
    "in a block of a document": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "document",
                        "source": {"type": "content", "content": [{"type": "text", "text": REFUSAL}]},
                    },
                    {"type": "text", "text": "Sum it up"},
                ],
            }
        ]
    },
}


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED)
async def test_the_documented_string_is_refused_wherever_it_stands(fields: Json) -> None:
    """MSG-104, MSG-115, STR-12: status 200, nothing said, nothing billed, and details."""
    events, message = await run(**fields)
    assert message.stop_reason == "refusal"
    assert message.content == []
    assert message.usage.output_tokens == 0
    assert plain(message)["stop_details"] == {"type": "refusal", "category": None, "explanation": None}
    assert [plain(event)["type"] for event in events] == ["message_start", "message_delta", "message_stop"]


async def test_a_tool_s_result_can_be_refused() -> None:
    """MSG-115: what a tool brought in counts too."""
    _, follow = await called("claude-haiku-4-5", None)
    follow["messages"][-1]["content"][0]["content"] = [{"type": "text", "text": REFUSAL}]
    _, message = await run(**follow)
    assert (message.stop_reason, calls_of(message)) == ("refusal", [])
