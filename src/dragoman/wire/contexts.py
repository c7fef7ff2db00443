"""What a request may have cleared of its own history: the edits of `context_management`, and the rules about them.

Source: the official SDK 2.11.0 (types of `beta`), the documentation page "Context editing". Imports only this
folder and the error tree.
"""

from typing import Annotated, Literal

from msgspec import Meta

from dragoman.errors import CannotCarry, InvalidRequest

from .codec import Wire
from .models import Model

__all__ = [
    "ClearThinking",
    "ClearToolUses",
    "Compact",
    "ContextManagement",
    "Edit",
    "check_edits",
]

COMPACT_AT_LEAST = 50_000  # input tokens: the lowest trigger


class _Tagged(Wire, frozen=True, kw_only=True, tag_field="type"):
    """A wire object that says by `type` what it is."""


class InputTokens(_Tagged, frozen=True, kw_only=True, tag="input_tokens"):
    value: Annotated[int, Meta(ge=1)]


class ToolUses(_Tagged, frozen=True, kw_only=True, tag="tool_uses"):
    value: Annotated[int, Meta(ge=0)]


class ThinkingTurns(_Tagged, frozen=True, kw_only=True, tag="thinking_turns"):
    value: Annotated[int, Meta(ge=1)]


class AllThinkingTurns(_Tagged, frozen=True, kw_only=True, tag="all"):
    pass


class ClearToolUses(_Tagged, frozen=True, kw_only=True, tag="clear_tool_uses_20250919"):
    """Takes the oldest results of tools out of the prompt, once it is long."""

    trigger: InputTokens | ToolUses | None = None  # None: 100,000 input tokens
    keep: ToolUses | None = None  # None: the last 3
    clear_at_least: InputTokens | None = None
    exclude_tools: list[str] | None = None
    clear_tool_inputs: bool | list[str] | None = None  # the inputs of all calls, or of those tools


class ClearThinking(_Tagged, frozen=True, kw_only=True, tag="clear_thinking_20251015"):
    """Takes the thinking of earlier turns out of the prompt."""

    keep: Literal["all"] | ThinkingTurns | AllThinkingTurns | None = None  # None: the last turn's


class Compact(_Tagged, frozen=True, kw_only=True, tag="compact_20260112"):
    """Puts a summary in the place of a long conversation."""

    trigger: InputTokens | None = None  # None: 150,000 input tokens
    instructions: str | None = None
    pause_after_compaction: bool | None = None


Edit = ClearToolUses | ClearThinking | Compact


class ContextManagement(Wire, frozen=True, kw_only=True):
    edits: list[Edit] | None = None


def check_edits(management: ContextManagement | None, model: Model, *, thinks: bool) -> None:
    """Raise InvalidRequest for edits that cannot be made. `thinks`: whether the request is thought about."""
    edits = (management.edits if management else None) or []
    kinds = [str(edit.__struct_config__.tag) for edit in edits]
    for at, (edit, kind) in enumerate(zip(edits, kinds, strict=True)):
        if f"context_management.{kind}" not in model.capabilities:
            raise CannotCarry(f"context_management.edits.{at}: `{kind}` is not supported for this model")
        if kind in kinds[:at]:
            raise InvalidRequest(f"context_management.edits.{at}: `{kind}` may be given only once")
        if isinstance(edit, ClearThinking) and at > 0:
            raise InvalidRequest(f"context_management.edits.{at}: `{kind}` must be the first of the edits")
        if isinstance(edit, ClearThinking) and not thinks:
            raise InvalidRequest(
                f"context_management.edits.{at}: `{kind}` strategy requires `thinking` to be enabled or adaptive"
            )
        if isinstance(edit, Compact) and edit.trigger is not None and edit.trigger.value < COMPACT_AT_LEAST:
            raise InvalidRequest(
                f"context_management.edits.{at}.{kind}.trigger.input_tokens.value: Input should be greater than or "
                f"equal to {COMPACT_AT_LEAST}"
            )
