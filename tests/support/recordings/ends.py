"""How messages begin and end: message_start, message_delta, usage."""

from typing import Any

from .making import (
    DELTA_USAGE,
    END,
    PING,
    STOP,
    USAGE,
    Event,
    Recording,
    message_delta,
    recording,
    start,
    started,
    stopped,
    text,
    text_delta,
)
from .texts import EMPTY

__all__ = ["RECORDINGS"]

REFUSED = {"type": "refusal", "category": "cyber", "explanation": "This request was refused."}
CONTAINER = {"id": "container_00", "expires_at": "2026-11-21T11:00:00.123456Z"}
NEXT_CONTAINER = {
    "id": "container_01",
    "expires_at": "soon",
    "skills": [{"type": "anthropic", "skill_id": "xlsx", "version": "1"}],
}
EDITS = [
    {"type": "clear_tool_uses_20250919", "cleared_tool_uses": 2, "cleared_input_tokens": 900},
    {"type": "clear_unknown", "n": 1},
]
DROPPED = {"type": "thinking_dropped", "message_index": 1, "content_index": 0, "reason": "model_mismatch"}
SPENT = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
CACHED = {"input_tokens": 25, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1}


def raw(delta: Any, usage: Any = DELTA_USAGE) -> Event:
    """A message_delta with nothing but what is told."""
    return {"type": "message_delta", "delta": delta, "usage": usage}


def ending(shows: str, *deltas: Event, **message: Any) -> Recording:
    """A text, then these message_deltas."""
    return recording(shows, start(**message), text(0, "x"), *deltas, STOP)


STOPS = {
    **{
        reason: ending("MSG-102", message_delta(reason))
        for reason in ("max_tokens", "pause_turn", "model_context_window_exceeded", "compaction")
    },
    "an unknown reason": ending("SDK-40", message_delta("tired_of_it")),
    "stop_sequence": ending("STR-54", message_delta("stop_sequence", stop_sequence="3")),
    "refusal before a text": recording(
        "STR-41: as recorded",
        [start(), text(0), message_delta("refusal", stop_details=REFUSED, usage={**DELTA_USAGE, "output_tokens": 0})],
        STOP,
    ),
    "refusal without a block": recording(
        "STR-12, 41", start(), message_delta("refusal", stop_details=REFUSED | {"explanation": None}), STOP
    ),
    "refusal midway": recording(
        "STR-41: inside a text",
        [start(), started(0, EMPTY), text_delta(0, "You take ")],
        message_delta("refusal", stop_details={"type": "refusal", "category": None, "policy": {"id": 7}}),
        STOP,
    ),
    "as the first servers sent it": ending("STR-54", raw({"stop_reason": "end_turn"}, {"output_tokens": 15})),
    "no reason": ending("STR-54", raw({})),
    "no delta": ending("STR-54 broken", {"type": "message_delta", "usage": {"output_tokens": 9}}),
    "two deltas": ending(
        "section 2: the last one counts",
        message_delta(None, usage={"output_tokens": 4}),
        message_delta("stop_sequence", stop_sequence="END", usage={"output_tokens": 9, "input_tokens": 30}),
    ),
    "two deltas, the last one empty": ending("section 2", message_delta(), raw({}, {"output_tokens": 9})),
    "a delta inside a block": recording(
        "section 2 broken",
        [start(), started(0, EMPTY), text_delta(0, "a"), message_delta(), text_delta(0, "b"), stopped(0), STOP],
    ),
    "container null": ending("STR-54: that of the start stays", message_delta(container=None), container=CONTAINER),
    "container replaced": ending("STR-54", message_delta(container=NEXT_CONTAINER), container=CONTAINER),
    "context management": ending(
        "STR-54, beta", {**message_delta(), "context_management": {"applied_edits": EDITS}}, context_management=None
    ),
    "context management null": ending(
        "STR-54, beta",
        {**message_delta(), "context_management": None},
        context_management={"applied_edits": EDITS[:1]},
    ),
    "input transformations": ending(
        "STR-54, beta", {**message_delta(), "input_transformations": [DROPPED]}, input_transformations=[]
    ),
    "diagnostics": ending(
        "MSG-105",
        message_delta(),
        diagnostics={"cache_miss_reason": {"type": "messages_changed", "cache_missed_input_tokens": 9}},
    ),
    "unknown fields": ending(
        "SDK-40", {**message_delta(mood="glad", usage=DELTA_USAGE | {"sparks": 3}), "weather": "fine"}
    ),
    "twice": recording("section 2 broken", start(), text(0, "x"), END, STOP),
    "events behind it": recording(
        "STR-50", start(), text(0, "x"), END, PING, {"type": "afterthought", "n": 1}, text_delta(0, "y"), text(1, "z")
    ),
}
USAGES = {
    "usage: all of it": ending("section 6", message_delta(usage={**CACHED, "input_tokens": 40}), usage=CACHED),
    "usage: output alone": ending("section 6, STR-13", message_delta(usage={"output_tokens": 8}), usage=CACHED),
    "usage: null": ending(
        "STR-13: null takes nothing back",
        message_delta(
            usage=dict.fromkeys([*CACHED, "server_tool_use", "output_tokens_details"]) | {"output_tokens": 8}
        ),
        usage={**CACHED, "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0}},
    ),
    "usage: null at the start": ending(
        "STR-13",
        message_delta(usage=CACHED),
        usage=dict.fromkeys([*USAGE, "server_tool_use"]) | {"input_tokens": 25, "output_tokens": 1},
    ),
    "usage: server tools and details": ending(
        "STR-13",
        message_delta(
            usage={
                **DELTA_USAGE,
                "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1, "code_runs": 4},
                "output_tokens_details": {"thinking_tokens": 5},
            }
        ),
        usage={**USAGE, "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0}},
    ),
    "usage: iterations": ending(
        "STR-13, beta",
        message_delta(
            usage={
                **DELTA_USAGE,
                "iterations": [{"type": "message", **SPENT}, {"type": "compaction", **SPENT}, {"type": "new", "n": 1}],
                "fallback_credit": {"status": {"type": "not_applied", "reason": "expired"}},
            }
        ),
    ),
    "usage: unknown fields": ending(
        "SDK-40",
        message_delta(usage={**DELTA_USAGE, "photons": 7, "service_tier": "priority"}),
        usage={**USAGE, "speed": "fast", "photons": 1},
    ),
    "usage: none": ending("STR-13 broken", {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
    "usage: empty": ending("STR-13 broken", message_delta(usage={})),
    "usage: none at the start": recording(
        "STR-10 broken",
        {
            "type": "message_start",
            "message": {key: start()["message"][key] for key in ("id", "type", "role", "content")},
        },
        [text(0, "x"), END],
    ),
    "usage: beyond 64 bits": ending(
        "SDK-40",
        message_delta(usage={"output_tokens": 98765432109876543210}),
        usage={"input_tokens": 123456789012345678901234567890, "output_tokens": 1},
    ),
}
STARTS = {
    "a bare start": recording(
        "STR-10 broken", {"type": "message_start", "message": {"id": "msg_01", "content": []}}, text(0, "x"), END
    ),
    "unknown fields at the start": recording(
        "SDK-40",
        {
            **start(colour="blue", usage={**USAGE, "cache_creation": {"ephemeral_1w_input_tokens": 3}}),
            "trace": [{"b": 1}],
        },
        [text(0, "x"), END],
    ),
    "another kind of message": recording(
        "SDK-40", start(role="oracle", type="prophecy", model="delphi-1"), text(0, "x"), END
    ),
}
RECORDINGS = STOPS | USAGES | STARTS
