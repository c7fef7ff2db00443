"""Words to make recordings with: events as the API sends them, and their bytes. Shapes: streaming.md, section 3."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = [
    "DELTA_USAGE",
    "END",
    "FINE_GRAINED",
    "HALF",
    "HELLO",
    "PING",
    "STOP",
    "TOOL_END",
    "USAGE",
    "Event",
    "Events",
    "Recording",
    "as_bytes",
    "block",
    "call",
    "delta",
    "fragment",
    "frame",
    "message_delta",
    "recording",
    "start",
    "started",
    "stopped",
    "text",
    "text_delta",
    "thinking",
    "whole",
]

Event = dict[str, Any]
Events = list["Event | bytes | Events"]  # nested as it was made; flattened when it becomes bytes

FINE_GRAINED = "fine-grained-tool-streaming-2025-05-14"


@dataclass(frozen=True)
class Recording:
    """The body of one reply."""

    shows: str  # the rule it is about
    data: bytes
    singly: bool = False  # sent with each byte in a piece of its own
    breaks: bool = False  # the connection breaks behind the last byte, inside the body
    betas: tuple[str, ...] = ()  # asked for in beta, once more than without


def recording(shows: str, *events: "Event | bytes | Events", **options: Any) -> Recording:
    return Recording(shows, as_bytes(*events), **options)


def as_bytes(*events: "Event | bytes | Events") -> bytes:
    return b"".join(each if isinstance(each, bytes) else frame(each) for each in _flat(list(events)))


def _flat(events: Events) -> Iterator["Event | bytes"]:
    for each in events:
        if isinstance(each, list):
            yield from _flat(each)
        else:
            yield each


def frame(event: Any, name: str | None = None) -> bytes:
    """STR-2. An event may be data that is written out, as bytes; then a name is needed."""
    data = event if isinstance(event, bytes) else compact(event)
    return b"event: %b\ndata: %b\n\n" % ((name or event["type"]).encode(), data)


def compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# -- events --

USAGE = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 1,
    "service_tier": "standard",
    "inference_geo": "not_available",
}
DELTA_USAGE = {
    "input_tokens": 25,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 8,
}
PING: Event = {"type": "ping"}
STOP: Event = {"type": "message_stop"}


def start(**fields: Any) -> Event:
    """`message_start`; fields of the message take the place of the usual ones."""
    message = {
        "id": "msg_01Recorded",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-8",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": USAGE,
    }
    return {"type": "message_start", "message": message | fields}


def started(index: Any, content_block: Any, **fields: Any) -> Event:
    return {"type": "content_block_start", "index": index, "content_block": content_block, **fields}


def delta(index: Any, kind: str, /, **fields: Any) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def text_delta(index: Any, value: Any) -> Event:
    return delta(index, "text_delta", text=value)


def fragment(index: int, partial_json: str) -> Event:
    return delta(index, "input_json_delta", partial_json=partial_json)


def stopped(index: Any) -> Event:
    return {"type": "content_block_stop", "index": index}


def message_delta(stop_reason: str | None = "end_turn", *, usage: Any = DELTA_USAGE, **fields: Any) -> Event:
    """`fields` of the delta take the place of the usual ones."""
    told = {"stop_reason": stop_reason, "stop_sequence": None, "stop_details": None}
    return {"type": "message_delta", "delta": told | fields, "usage": usage}


END: Events = [message_delta(), STOP]
TOOL_END: Events = [message_delta("tool_use"), STOP]


# -- whole blocks --


def block(index: Any, content_block: Any, *deltas: Event) -> Events:
    return [started(index, content_block), *deltas, stopped(index)]


def whole(index: int, kind: str, /, **fields: Any) -> Events:
    """STR-25: all of it in the start."""
    return block(index, {"type": kind, **fields})


def text(index: Any, *parts: Any) -> Events:
    return block(index, {"type": "text", "text": ""}, *[text_delta(index, part) for part in parts])


def call(index: int, *parts: str, kind: str = "tool_use", name: str = "get_weather", **fields: Any) -> Events:
    """STR-21, 22."""
    begun = {"type": kind, "id": f"toolu_0{index}", "name": name, "input": {}} | fields
    return block(index, begun, *[fragment(index, part) for part in parts])


def thinking(index: int, *parts: str, signature: str = "EqQBCkYIBxgCKkD") -> Events:
    """STR-23, 24."""
    deltas = [delta(index, "thinking_delta", thinking=part) for part in parts]
    begun = {"type": "thinking", "thinking": "", "signature": ""}
    return block(index, begun, *deltas, delta(index, "signature_delta", signature=signature))


HELLO: Events = [
    start(),
    started(0, {"type": "text", "text": ""}),
    PING,
    text_delta(0, "Hello"),
    text_delta(0, ", "),
    text_delta(0, "Claude"),
    stopped(0),
    END,
]
HALF: Events = [start(), started(0, {"type": "text", "text": ""}), text_delta(0, "Half")]
