"""Adaptive thinking for a Claude that knows budgets only. Pure; names no cloud.

Such a model refuses `adaptive` ("Input tag 'adaptive' found using 'type' does not match any of the expected tags:
'disabled', 'enabled'", strands-agents/harness-sdk#1856). It is asked for as a budget where that is taken; where a
budget would be refused, nothing is thought, and that is told.
"""

from collections.abc import Sequence

from msgspec import Raw, Struct

from .cloud_claude import CloudRequest, ObjectRule
from .cloud_claude_blocks import THOUGHTS
from .cloud_claude_models import Support, supporting
from .cloud_claude_tools import FORCED
from .raw_json import items, members, string, value

__all__ = ["ThinkingRule"]

ADAPTIVE, ASSISTANT, EMPTY = Raw(b'"adaptive"'), Raw(b'"assistant"'), Raw(b"[]")
# Effort -> tokens; without one, and above: beyond them models seldom think ("Extended thinking", read 2026-11-21).
BUDGETS = {"low": 4_096, "medium": 16_384}
MOST_TOKENS = 32_000
LEAST_TOKENS = 1_024  # MSG-53


class ThinkingRule(Struct, frozen=True, kw_only=True):
    """`adaptive` and `budgets`: who takes which."""

    parts: ObjectRule
    adaptive: Support
    budgets: Support

    def apply(self, request: CloudRequest, name: str) -> None:
        self.parts.apply(request, name)
        thinking = members(request.field(name))
        if thinking is None or thinking.get("type") != ADAPTIVE or supporting(self.adaptive, request.model):
            return
        budget = _budget(request) if supporting(self.budgets, request.model) else None
        if budget is not None:
            request.replace(name, {**thinking, "type": "enabled", "budget_tokens": budget})
        else:
            request.lose(name)
            request.drop(name)


def _budget(request: CloudRequest) -> int | None:
    """At most half of the tokens, so that the answer has the other half; None where thinking would be refused."""
    choice = members(request.field("tool_choice")) or {}
    if string(choice.get("type")) in FORCED or _goes_on_without_thinking(items(request.field("messages")) or []):
        return None
    config = members(request.fields.get("output_config")) or {}
    wanted = BUDGETS.get(string(config.get("effort")) or "", MOST_TOKENS)
    most = value(request.field("max_tokens"))
    if most is None:  # of a count
        return LEAST_TOKENS
    if not isinstance(most, int) or most // 2 < LEAST_TOKENS:
        return None
    return min(wanted, most // 2)


def _goes_on_without_thinking(messages: Sequence[Raw]) -> bool:
    """Whether the assistant is to go on with a turn that does not begin with thinking: a prefill, or a turn that called
    the tools whose results come last. With a budget that is refused (MSG-58)."""
    begun: Raw | None = None  # the first content of that turn
    after: list[Raw] = []  # what the user has said since
    for raw in reversed(messages):
        message = members(raw) or {}
        content = message.get("content", EMPTY)
        if message.get("role") == ASSISTANT:
            begun = content
        elif begun is not None:
            break
        else:
            after.append(content)
    if begun is None or (after and not any(b'"tool_result"' in bytes(content) for content in after)):
        return False
    blocks = items(begun)
    return not blocks or string((members(blocks[0]) or {}).get("type")) not in THOUGHTS
