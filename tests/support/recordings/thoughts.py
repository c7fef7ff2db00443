"""Thinking and its signatures."""

from .making import END, TOOL_END, block, call, delta, recording, start, text, thinking, whole
from .tools import PARIS

__all__ = ["RECORDINGS"]

EMPTY = {"type": "thinking", "thinking": "", "signature": ""}
SEARCH = {"kind": "server_tool_use", "id": "srvtoolu_01", "name": "web_search"}

RECORDINGS = {
    "then text": recording("STR-23", start(), thinking(0, "Let me ", "think."), text(1, "Done."), END),
    "omitted": recording("STR-24: only its signature", start(), thinking(0), text(1, "Done."), END),
    "redacted": recording(
        "STR-25", start(), whole(0, "redacted_thinking", data="EmwKAhgBEgy3va3pzix"), text(1, "Done."), END
    ),
    "interleaved": recording(
        "STR-23: before and behind a server tool, then a call of ours",
        [start(), thinking(0, "First.", signature="c2lnMQ=="), call(1, '{"query":', '"x"}', **SEARCH)],
        [whole(2, "web_search_tool_result", tool_use_id="srvtoolu_01", content=[])],
        [thinking(3, "Then.", signature="c2lnMg=="), call(4, *PARIS), TOOL_END],
    ),
    "two signatures": recording(
        "STR-54: the second takes the place of the first",
        start(),
        block(0, EMPTY, *[delta(0, "signature_delta", signature=each) for each in ("one", "two")]),
        END,
    ),
    "no signature": recording(
        "STR-23 broken", start(), block(0, EMPTY, delta(0, "thinking_delta", thinking="Hm.")), END
    ),
    "empty deltas": recording("STR-23", start(), thinking(0, "", "a", "", signature=""), END),
    "unknown fields": recording(
        "SDK-40",
        start(),
        block(
            0,
            EMPTY,
            delta(0, "thinking_delta", thinking="a", estimated_tokens=12),
            delta(0, "signature_delta", signature="s", bound=True),
        ),
        END,
    ),
    "a bare start": recording(
        "STR-23 broken: neither thinking nor signature",
        start(),
        block(
            0, {"type": "thinking"}, delta(0, "thinking_delta", thinking="a"), delta(0, "thinking_delta", thinking="b")
        ),
        END,
    ),
}
