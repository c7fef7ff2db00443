"""What a model takes and what the Models API says of it: rules as data, and their JSON form.

Pure: the values come from `gateway/catalogue.toml`. Imports only the standard library and msgspec.
"""

from typing import Literal, get_args

import msgspec

__all__ = ["CAPABILITIES", "Capability", "Effort", "Lifecycle", "Line", "Model", "ThinkingRules"]

Lifecycle = Literal["active", "deprecated", "retired"]
Line = Literal["haiku", "sonnet", "opus", "fable", "mythos"]
Effort = Literal["low", "medium", "high", "xhigh", "max"]

# What a model may have and a target may lack. Named as the keys of `capabilities` on the wire; a dot is a level.
Capability = Literal[
    "batch",
    "citations",
    "code_execution",  # code in the sandbox may call the request's other tools; the tool itself: server_tools
    "context_management.clear_thinking_20251015",
    "context_management.clear_tool_uses_20250919",
    "context_management.compact_20260112",
    "effort",
    "image_input",
    "pdf_input",
    "server_tools.code_execution",
    "server_tools.web_search",
    "structured_outputs",
    "thinking",
]
CAPABILITIES: frozenset[Capability] = frozenset(get_args(Capability))

EFFORTS: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")
STRATEGIES = ("clear_thinking_20251015", "clear_tool_uses_20250919", "compact_20260112")
SERVER_TOOLS = ("code_execution", "web_search")
LONG_CONTEXT = 1_000_000  # tokens; from here on more images and pages fit a request (MSG-94, MSG-97)


class ThinkingRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which `thinking` a model takes, and what it does without one. Source: spec MSG-60, MSG-62 to MSG-65."""

    default: Literal["off", "on", "always"]  # without `thinking`; "always" cannot be turned off
    enabled: bool  # {type: "enabled", budget_tokens}
    adaptive: bool
    # "up_to_high_effort": 400 together with effort xhigh or max.
    disabled: Literal["yes", "no", "up_to_high_effort"]
    between_tools: bool  # never together with effort xhigh or max
    display: Literal["omitted", "summarized"]  # without `display`
    manual_interleaved: bool  # `enabled` may think between tool calls, with beta interleaved-thinking-2025-05-14
    keeps_earlier_turns: bool  # thinking blocks of earlier turns stay in the prompt; else they are dropped


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model: its limits, the parameters that it takes, and its place in the list.

    Dates are RFC 3339 strings in UTC. Source: spec MOD-4, MSG-45 to MSG-66, CCH-23, TOK-6, TOK-8, TOOL-18.
    """

    id: str
    display_name: str
    line: Line | None
    created_at: str
    lifecycle: Lifecycle
    deprecated_at: str | None = None
    retires_at: str | None = None
    aliases: tuple[str, ...] = ()

    max_input_tokens: int  # the context window
    max_tokens: int  # the highest `max_tokens`
    context_overflow: Literal["stop", "refuse"]  # input + max_tokens over the window (MSG-51)
    tokenizer: Literal["claude-3", "claude-4.7"]  # the newer one gives about 30% more tokens (TOK-8)
    cache_minimum_tokens: int  # a shorter prefix is not cached, without an error (CCH-23)
    tool_prompt_tokens: tuple[int, int]  # hidden prompt of any tools: tool_choice auto or none, any or tool (TOK-6)

    thinking: ThinkingRules | None  # None: the model does not think
    effort: tuple[Effort, ...]  # levels that it takes; empty: `output_config.effort` is 400
    default_effort: Effort = "high"  # says nothing when `effort` is empty
    sampling: Literal["any", "temperature_or_top_p", "default_only"]  # under 2023-06-01 (MSG-3, MSG-60)
    prefill: bool  # may the last message be an assistant's (MSG-48)
    system_turns: bool  # may `messages` hold the role `system` (MSG-45)
    forced_tools: bool  # may tool_choice be `any` or `tool` (TOOL-18)
    inference_geo: bool  # may `inference_geo` be given (MSG-26)
    fast: bool = False  # may `speed` be "fast" (MSG-28)
    high_resolution_images: bool  # the larger of the two tiers of MSG-95
    capabilities: frozenset[Capability]  # but for `effort` and `thinking`, which have fields of their own

    @property
    def max_images(self) -> int:
        """How many images a request may hold (MSG-94)."""
        return 600 if self.max_input_tokens >= LONG_CONTEXT else 100

    @property
    def max_pdf_pages(self) -> int:
        """How many pages a PDF document may have (MSG-97)."""
        return 600 if self.max_input_tokens >= LONG_CONTEXT else 100

    def info(self, *, supports: frozenset[Capability] | None = None) -> dict[str, object]:
        """The ModelInfo object of `GET /v1/models` (MOD-4, MOD-5): every known key is there.

        `supports` is what the target that answers can do, None for all that the model can: the list tells what
        a request would meet (MOD-8, TOOL-72).
        """
        has = self._all_capabilities()
        if supports is not None:
            has &= supports
        return {
            "type": "model",
            "id": self.id,
            "display_name": self.display_name,
            "line": self.line,
            "created_at": self.created_at,
            "lifecycle": self.lifecycle,
            "deprecated_at": self.deprecated_at,
            "retires_at": self.retires_at,
            "max_input_tokens": self.max_input_tokens,
            "max_tokens": self.max_tokens,
            "capabilities": {
                "batch": flag("batch" in has),
                "citations": flag("citations" in has),
                "code_execution": flag("code_execution" in has),
                "context_management": group("context_management", STRATEGIES, has),
                "effort": effort_info(self.effort if "effort" in has else ()),
                "image_input": flag("image_input" in has),
                "pdf_input": flag("pdf_input" in has),
                "server_tools": group("server_tools", SERVER_TOOLS, has),
                "structured_outputs": flag("structured_outputs" in has),
                "thinking": thinking_info(self.thinking if "thinking" in has else None),
            },
        }

    def _all_capabilities(self) -> frozenset[Capability]:
        own: set[Capability] = set(self.capabilities)
        if self.effort:
            own.add("effort")
        if self.thinking is not None:
            own.add("thinking")
        return frozenset(own)


def flag(supported: bool) -> dict[str, object]:
    return {"supported": supported}


def group(name: str, members: tuple[str, ...], has: frozenset[Capability]) -> dict[str, object]:
    """A capability with members: supported when one of them is."""
    found = [f"{name}.{member}" in has for member in members]
    return {"supported": any(found), **{member: flag(on) for member, on in zip(members, found, strict=True)}}


def effort_info(levels: tuple[Effort, ...]) -> dict[str, object]:
    """`xhigh` may be null on the wire; the API itself was seen to answer {supported: false} (2026-10-02)."""
    return {"supported": bool(levels), **{level: flag(level in levels) for level in EFFORTS}}


def thinking_info(rules: ThinkingRules | None) -> dict[str, object]:
    """A type is unsupported exactly when sending it is 400; a model that does not think takes `disabled`."""
    return {
        "supported": rules is not None,
        "types": {
            "adaptive": flag(rules is not None and rules.adaptive),
            "enabled": flag(rules is not None and rules.enabled),
            "disabled": flag(rules is None or rules.disabled != "no"),
            "between_tools": flag(rules is not None and rules.between_tools),
        },
    }
