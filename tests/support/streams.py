"""Random streams that obey the law, as plain JSON, and their bytes. Written without the code under test."""

import json
from random import Random
from typing import Any

Event = dict[str, Any]

SNIPPETS = (
    "Hello",
    " world",
    "\n",
    "naïve",
    "日本",
    "😀",
    "\u2028",
    '"quoted"',
    "\\",
    "data: x",
    "\x7f",
    " ",
    "a" * 40,
)
VALUES: tuple[Any, ...] = (None, True, False, 0, -12, 3.5, 1e20, "", "Paris", "tab\there", "😀", [], {}, ["x", 1])


def words(rng: Random, most: int = 4) -> str:
    """Some text, never empty."""
    return "".join(rng.choice(SNIPPETS) for _ in range(rng.randint(1, most)))


def json_object(rng: Random, depth: int = 2) -> dict[str, Any]:
    keys = rng.sample(("a", "city", "ключ", "k\n", "nested", "list", 'say "x"'), rng.randint(0, 4))
    return {key: _value(rng, depth) for key in keys}


def _value(rng: Random, depth: int) -> Any:
    roll = rng.random()
    if depth and roll < 0.2:
        return json_object(rng, depth - 1)
    if depth and roll < 0.35:
        return [_value(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    return rng.choice(VALUES)


def cut(rng: Random, text: str) -> list[str]:
    """The text in pieces, some of them empty."""
    places = sorted(rng.randint(0, len(text)) for _ in range(rng.randint(0, 5)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def _text(rng: Random, index: int) -> list[Event]:
    cited = rng.random() < 0.3
    start: Event = {"type": "text", "text": ""} | ({"citations": []} if cited else {})
    deltas: list[Event] = [{"type": "text_delta", "text": words(rng)} for _ in range(rng.randint(1, 4))]
    if cited:
        for number in range(rng.randint(1, 3)):
            citation = {
                "type": "char_location", "cited_text": words(rng), "document_index": number, "document_title": None,
                "start_char_index": 0, "end_char_index": 5, "file_id": None,
            }  # fmt: skip
            deltas.insert(rng.randint(0, len(deltas)), {"type": "citations_delta", "citation": citation})
    return _block(index, start, deltas)


def _call(rng: Random, index: int) -> list[Event]:
    on_server = rng.random() < 0.3
    start: Event = {
        "type": "server_tool_use" if on_server else "tool_use",
        "id": f"{'srvtoolu' if on_server else 'toolu'}_{index}",
        "name": "web_search" if on_server else "get_weather",
        "input": {},
    }
    if rng.random() < 0.5:
        start["caller"] = {"type": "direct"}
    text = json.dumps(json_object(rng), ensure_ascii=rng.random() < 0.5)
    pieces = ["", *cut(rng, text)] if rng.random() < 0.9 else rng.choice(([], [""]))
    return _block(index, start, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces])


def _thinking(rng: Random, index: int) -> list[Event]:
    shown = [] if rng.random() < 0.3 else [words(rng) for _ in range(rng.randint(1, 3))]
    deltas: list[Event] = [{"type": "thinking_delta", "thinking": piece} for piece in shown]
    deltas.append({"type": "signature_delta", "signature": f"sig{rng.randint(0, 10**9)}=="})
    return _block(index, {"type": "thinking", "thinking": "", "signature": ""}, deltas)


def _whole(rng: Random, index: int) -> list[Event]:
    found = {
        "type": "web_search_result",
        "url": "https://a.test",
        "title": "A",
        "encrypted_content": "e",
        "page_age": None,
    }
    block = rng.choice(
        (
            {"type": "redacted_thinking", "data": "opaque=="},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found]},
            {"type": "container_upload", "file_id": "file_1"},
        )
    )
    return _block(index, block, [])


def _block(index: int, start: Event, deltas: list[Event]) -> list[Event]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _usage(rng: Random) -> dict[str, Any]:
    """Of a message_delta: which fields it repeats is up to the server (STR-13)."""
    usage: dict[str, Any] = {"output_tokens": rng.randint(0, 500)}
    for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"):
        if rng.random() < 0.5:
            usage[name] = rng.randint(0, 500)
    if rng.random() < 0.2:
        usage["server_tool_use"] = {"web_search_requests": 1, "web_fetch_requests": 0}
    if rng.random() < 0.2:
        usage["output_tokens_details"] = {"thinking_tokens": rng.randint(0, 50)}
    return usage


def legal_stream(rng: Random, *, pings: bool = True) -> list[Event]:
    """A whole stream: message_start to message_stop (STR-10 to 25)."""
    message = {
        "id": f"msg_{rng.randint(0, 10**9)}", "type": "message", "role": "assistant", "model": "claude-opus-4-8",
        "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None,
        "usage": {
            "input_tokens": 25, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6},
            "output_tokens": 1, "service_tier": "standard", "inference_geo": "not_available",
        },
    }  # fmt: skip
    events: list[Event] = [{"type": "message_start", "message": message}]
    for index in range(rng.randint(0, 5)):
        events += rng.choice((_text, _text, _call, _thinking, _whole))(rng, index)
    refused = {"type": "refusal", "category": "cyber", "explanation": None}
    stop = rng.choice(
        (
            {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None},
            {"stop_reason": "tool_use", "stop_sequence": None},
            {"stop_reason": "stop_sequence", "stop_sequence": "END", "stop_details": None},
            {"stop_reason": "refusal", "stop_sequence": None, "stop_details": refused},
            {
                "stop_reason": "pause_turn", "stop_sequence": None, "stop_details": None,
                "container": {"id": "container_1", "expires_at": "2026-11-20T00:00:00Z", "skills": None},
            },
        )
    )  # fmt: skip
    events += [{"type": "message_delta", "delta": stop, "usage": _usage(rng)}, {"type": "message_stop"}]
    if pings:
        for _ in range(rng.randint(0, 3)):
            events.insert(rng.randint(1, len(events) - 1), {"type": "ping"})
    return events


def frame(event: Event, newline: str = "\n", *, ascii_only: bool = False) -> bytes:
    """One event as the API writes it (STR-2)."""
    data = json.dumps(event, ensure_ascii=ascii_only)
    return f"event: {event['type']}{newline}data: {data}{newline}{newline}".encode()


def frames(events: list[Event], newline: str = "\n") -> bytes:
    return b"".join(frame(event, newline) for event in events)


def chunks(rng: Random, body: bytes, most: int = 40) -> list[bytes]:
    """The body as a network might deliver it: pieces of 1 byte up to a few hundred."""
    pieces = []
    at = 0
    while at < len(body):
        size = rng.choice((1, 2, 3, most, rng.randint(1, 400)))
        pieces.append(body[at : at + size])
        at += size
    return pieces
