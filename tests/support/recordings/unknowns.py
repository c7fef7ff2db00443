"""Events, blocks, deltas and fields that nobody knows, and data of the wrong shape."""

from .making import (
    END,
    STOP,
    Recording,
    block,
    delta,
    fragment,
    frame,
    message_delta,
    recording,
    start,
    started,
    stopped,
    text,
    text_delta,
    whole,
)
from .servertools import result, server_call
from .texts import EMPTY
from .tools import tool

__all__ = ["RECORDINGS"]


def data(*frames: bytes) -> Recording:
    """Data of the wrong shape, in the middle of a text."""
    return recording("STR-2 broken", start(), started(0, EMPTY), *frames, text_delta(0, "x"), stopped(0), END)


RECORDINGS = {
    "events": recording(
        "STR-8, 50: everywhere",
        [{"type": "dawn", "n": 0}, start(), {"type": "vibe", "mood": "good", "index": 3}, started(0, EMPTY)],
        [{"type": "vibe"}, text_delta(0, "x"), {"type": "content_block_pause", "index": 0}, stopped(0)],
        [message_delta(), {"type": "vibe", "last": True}, STOP, {"type": "dusk"}],
    ),
    "block": recording(
        "STR-50: no deltas",
        [start(), text(0, "a"), whole(1, "hologram", frames=[1, 2], deep={"er": None}), text(2, "b"), END],
    ),
    "block with its deltas": recording(
        "STR-50",
        [start(), block(0, {"type": "hologram"}, delta(0, "hologram_delta", frame="x"), delta(0, "hologram_delta"))],
        [text(1, "b"), END],
    ),
    "block with deltas of others": recording(
        "STR-50", start(), block(0, {"type": "hologram"}, text_delta(0, "t"), fragment(0, '{"a":1}')), END
    ),
    "deltas": recording(
        "STR-50: for a text and a call",
        [start(), block(0, EMPTY, text_delta(0, "a"), delta(0, "font_delta", font="serif"), text_delta(0, "b"))],
        [block(1, tool(1), delta(1, "input_yaml_delta", yaml="a: 1"), fragment(1, '{"a":1}')), END],
    ),
    "fields": recording(
        "SDK-40: in every event",
        [start(), started(0, EMPTY | {"font": "serif"}, when=1)],
        {**delta(0, "text_delta", text="a", logprobs=[-0.5]), "when": 2},
        [{**stopped(0), "when": 3}, {**message_delta(), "when": 4}],
        {"type": "message_stop", "when": 5, "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}},
    ),
    "content of a result": recording(
        "SDK-40",
        [start(), server_call("web_search", '{"query":"x"}')],
        result(1, "web_search", [{"type": "web_search_film", "url": "https://example.com/f"}]),
        result(2, "code_execution", {"type": "code_execution_hologram", "x": 1}),
        END,
    ),
    "deep field": recording(
        "SDK-40: 100 levels",
        [start(), frame(b'{"type":"novelty","x":' + b"[" * 100 + b"]" * 100 + b"}", "novelty"), text(0, "x"), END],
    ),
    "data: a number": data(frame(b"5", "content_block_delta")),
    "data: null": data(frame(b"null", "content_block_delta")),
    "data: a list": data(frame(b"[]", "content_block_delta")),
    "data: a string": data(frame(b'"x"', "content_block_delta")),
    "data: no type": data(frame(b'{"n":1}', "novelty"), frame(b"{}", "novelty")),
    "data: no type, but an index": data(frame(b'{"index":0}', "content_block_stop")),
    "data: a number as type": data(frame(b'{"type":7}', "novelty")),
    "delta: no type": data(frame({"type": "content_block_delta", "index": 0, "delta": {"text": "t"}})),
    "delta: none": data(frame({"type": "content_block_delta", "index": 0})),
    "delta: a string": data(frame({"type": "content_block_delta", "index": 0, "delta": "text"})),
    "delta: text null": data(frame(text_delta(0, None))),
    "delta: no text": data(frame(delta(0, "text_delta"))),
    "block: no text": recording("STR-20 broken", start(), block(0, {"type": "text"}, text_delta(0, "x")), END),
    "block: no type": recording("STR-20 broken", start(), block(0, {"text": "z"}, text_delta(0, "x")), END),
    "block: none": recording(
        "STR-20 broken", start(), {"type": "content_block_start", "index": 0}, text_delta(0, "x"), stopped(0), END
    ),
    "block: a string": recording("STR-20 broken", start(), block(0, "text", text_delta(0, "x")), END),
    "index: none": recording(
        "STR-11 broken",
        [start(), {"type": "content_block_start", "content_block": EMPTY}],
        [{"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}}, {"type": "content_block_stop"}],
        END,
    ),
    "index: beyond the last": recording("STR-11 broken", start(), text(5, "x"), END),
    "index: negative": recording("STR-11 broken", start(), text(0, "x"), text_delta(-1, "y"), END),
}
