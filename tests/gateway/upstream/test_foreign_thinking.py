"""A conversation goes on with another model: thinking that ours cannot have signed is left out (issue 6, pain 7)."""

import asyncio
from typing import Any

import msgspec
import pytest

import dragoman
from dragoman.gateway.auth.auth import Principal
from dragoman.gateway.call import Asked, Call
from dragoman.gateway.upstream.checked import without_foreign_thinking
from dragoman.providers.base import Operation
from dragoman.wire.headers import Headers
from dragoman.wire.provenance import UNSIGNED, wrap


@pytest.mark.parametrize("signature", [UNSIGNED, wrap("gemini/gemini-3-pro", "c2ln")])
def test_thinking_of_another_maker_is_not_refused(signature: str) -> None:
    """Thinking with a signature that is no one's is 400 (MSG-59); this is known as another's."""
    thought = {"type": "thinking", "thinking": "hm", "signature": signature}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Hello"}]},
        {"role": "user", "content": "And now?"},
    ]
    thinking = {"type": "adaptive"}
    with dragoman.Client.offline() as client:
        reply = client.messages.create(model="claude-opus-4-8", max_tokens=2000, messages=messages, thinking=thinking)
        assert reply.content[-1].text
        thought["signature"] = "no one's"
        with pytest.raises(dragoman.BadRequestError, match="signature"):
            client.messages.create(model="claude-opus-4-8", max_tokens=2000, messages=messages, thinking=thinking)


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": wrap("gemini/gemini-3-pro", "c2ln")}
CALL = {"type": "tool_use", "id": "toolu_a", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_a", "content": "a hat"}
LOOK = {"name": "look", "input_schema": {"type": "object"}}
CLEAR = {"type": "clear_thinking_20251015", "keep": "all"}
FORGET = {"type": "clear_tool_uses_20250919"}


def history(*called: dict[str, Any]) -> list[Any]:
    return [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [*called, CALL]},
        {"role": "user", "content": [RESULT]},
    ]


@pytest.mark.parametrize("edits", [None, [CLEAR], [CLEAR, FORGET], []])
def test_nothing_is_thought_by_a_budget_where_the_turn_that_called_lost_its_thinking(edits: Any) -> None:
    """Pain 7: MSG-58 would refuse it. From the next question on the model thinks again."""
    beta = "context-management-2025-06-27"
    asking: dict[str, Any] = {"model": "claude-opus-4-5", "max_tokens": 2000, "tools": [LOOK]}
    asking |= {"thinking": {"type": "enabled", "budget_tokens": 1024}, "extra_headers": {"anthropic-beta": beta}}
    if edits is not None:
        asking["extra_body"] = {"context_management": {"edits": edits}}
    with dragoman.Client.offline() as client:
        turns = history(THOUGHT)
        reply = client.messages.create(**asking, messages=turns)
        assert [block.type for block in reply.content] == ["text"]
        counting = {name: value for name, value in asking.items() if name not in ("max_tokens", "extra_body")}
        assert client.messages.count_tokens(**counting, messages=turns).input_tokens
        turns += [{"role": "assistant", "content": reply.content}, {"role": "user", "content": "Thank you."}]
        again = client.messages.create(**asking, messages=turns)
        assert [block.type for block in again.content] == ["thinking", "text"]


def test_a_program_that_lost_its_thinking_itself_is_told_so() -> None:
    """MSG-58 holds where no other model has spoken."""
    with dragoman.Client.offline() as client, pytest.raises(dragoman.BadRequestError, match="Expected `thinking`"):
        client.messages.create(
            model="claude-opus-4-5",
            max_tokens=2000,
            tools=[LOOK],
            thinking={"type": "enabled", "budget_tokens": 1024},
            messages=history(),
        )


@pytest.mark.parametrize(
    ("left_out", "kept"),
    [
        ([THOUGHT], {"type": "adaptive"}),
        ([THOUGHT, {"type": "redacted_thinking", "data": "x"}], {"type": "enabled", "budget_tokens": 1024}),
        ([], {"type": "enabled", "budget_tokens": 1024}),
    ],
)
def test_thinking_is_asked_for_as_it_was_where_it_can_be(left_out: list[Any], kept: Any) -> None:
    """Adaptively, and where the turn begins with thinking of the model's own; an earlier turn does not matter."""
    ended = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "Hello"}]},
    ]
    messages = [*ended, *history(*left_out)]
    if not left_out:
        messages[3:] = [
            {"role": "assistant", "content": [{"type": "text", "text": "No."}]},
            {"role": "user", "content": "Why?"},
        ]
    body = msgspec.json.encode({"model": "m", "thinking": kept, "messages": messages})
    call = Call(
        operation=Operation.MESSAGES,
        headers=Headers([("anthropic-version", "2023-06-01")]),
        body=body,
        request_id="req_1",
        arrived=0.0,
    )
    principal = Principal(key_id="k", key_name="k", workspace_id="w", organization_id="o")
    asked = Asked.read(call, principal, refuse_unknown_betas=False)
    told = asyncio.run(without_foreign_thinking(asked))
    assert told.envelope.value("thinking") == kept
    assert told.left_out == ("thinking",)
    assert THOUGHT["signature"].encode() not in told.call.body
