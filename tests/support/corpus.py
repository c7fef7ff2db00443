"""Real requests of every kind, and what a hostile hand makes of them. Seeded: the same seed, the same requests."""

import base64
import json
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

__all__ = [
    "FOR_A_REAL_MODEL",
    "NASTY",
    "REQUESTS",
    "TEXTS",
    "changed",
    "counting",
    "mutated",
    "random_json",
    "scrambled",
]

Json = Any


def _png(width: int, height: int) -> str:
    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    whole = b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", rows) + part(b"IEND", b"")
    return base64.b64encode(whole).decode()


WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "minLength": 1},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "when": {"type": "string", "format": "date-time"},
            "spots": {"type": "array", "items": {"$ref": "#/$defs/spot"}, "minItems": 1},
        },
        "required": ["city", "unit", "spots"],
        "additionalProperties": False,
        "$defs": {
            "spot": {
                "type": "object",
                "properties": {"lat": {"type": "number"}, "code": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$"}},
                "required": ["lat", "code"],
            }
        },
    },
    "cache_control": {"type": "ephemeral", "ttl": "1h"},
    "input_examples": [{"city": "Paris", "unit": "celsius", "spots": [{"lat": 1.5, "code": "ABC-1"}]}],
}
SEARCH = {
    "name": "search",
    "input_schema": {
        "anyOf": [
            {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
            {"type": "object", "properties": {"id": {"type": ["integer", "null"]}}, "required": ["id"]},
        ],
        "type": "object",
    },
}
SAID = "What is the weather in Tokyo and in 'New York' on 2026-01-02, in celsius? See /tmp/a.txt, call it 3 times."
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _png(30, 20)}}
SIGNED = {"type": "thinking", "thinking": "Let me see.", "signature": "CgYIARgCIkA="}
USED = {"type": "tool_use", "id": "toolu_01A", "name": "get_weather", "input": {"city": "Tokyo", "unit": "celsius"}}


def _ask(*messages: Json, model: str = "claude-opus-4-8", **more: Json) -> Json:
    turns = list(messages) or [{"role": "user", "content": SAID}]
    return {"model": model, "max_tokens": 300, "messages": turns, **more}


def _user(*content: Json) -> Json:
    return {"role": "user", "content": list(content)}


def _assistant(*content: Json) -> Json:
    return {"role": "assistant", "content": list(content)}


def _text(text: str, **more: Json) -> Json:
    return {"type": "text", "text": text, **more}


REQUESTS: list[Json] = [
    _ask(),
    _ask(stream=True),
    _ask(tools=[WEATHER, SEARCH], stream=True),
    _ask(tools=[WEATHER, SEARCH], tool_choice={"type": "any", "disable_parallel_tool_use": True}),
    _ask(tools=[SEARCH, WEATHER], tool_choice={"type": "tool", "name": "get_weather"}, stream=True),
    _ask(tools=[{"type": "bash_20250124", "name": "bash"}], tool_choice={"type": "any"}),
    _ask(
        tools=[
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 500},
            {"type": "computer_toolset_20260801", "configs": {"zoom": {"enabled": False}}},
            {"type": "memory_20250818", "name": "memory"},
        ]
    ),
    _ask(
        {"role": "user", "content": SAID},
        _assistant(_text("I look."), USED, {**USED, "id": "toolu_01B"}),
        _user(
            {"type": "tool_result", "tool_use_id": "toolu_01A", "content": [_text("12 degrees"), PNG]},
            {"type": "tool_result", "tool_use_id": "toolu_01B", "content": "no such city", "is_error": True},
            _text("And now?"),
        ),
        tools=[WEATHER],
        system=[_text("Be brief.", cache_control={"type": "ephemeral"})],
    ),
    _ask(
        _user(_text("Look:"), PNG, {**PNG, "transformations": {"oversized_image": "downsize"}}),
        stream=True,
    ),
    _ask(
        _user(
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "The sky is blue."},
                "title": "Sky",
                "citations": {"enabled": True},
            },
            {
                "type": "document",
                "source": {"type": "content", "content": [_text("a"), _text("b")]},
                "citations": {"enabled": True},
            },
        )
    ),
    _ask(
        {"role": "user", "content": "Think."},
        _assistant(SIGNED, {"type": "redacted_thinking", "data": "abc"}, _text("Well.")),
        {"role": "user", "content": "Go on."},
        thinking={"type": "disabled"},  # else the signatures would have to be the engine's
        output_config={"effort": "high"},
        stream=True,
    ),
    _ask(thinking={"type": "adaptive", "display": "omitted"}, output_config={"effort": "high"}, stream=True),
    _ask(model="claude-haiku-4-5", max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024}),
    _ask(model="claude-3-5-sonnet-20241022", temperature=0.5, top_p=0.9, top_k=5, stop_sequences=["offline", "z"]),
    _ask(
        {"role": "user", "content": "Begin."},
        {"role": "assistant", "content": "Once upon"},
        model="claude-3-haiku-20240307",
        max_tokens=7,
    ),
    _ask(
        output_config={
            "format": {
                "type": "json_schema",
                "schema": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "n": {"type": "integer"}},
                    "required": ["city"],
                    "additionalProperties": False,
                },
            }
        }
    ),
    _ask(
        metadata={"user_id": "u-1"},
        service_tier="auto",
        inference_geo="us",
        system="Speak French.",
        cache_control={"type": "ephemeral"},
    ),
    # What follows is for a real model: the offline engine refuses it.
    _ask(
        _user(
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {"type": "search_result", "source": "https://example.com", "title": "T", "content": [_text("found")]},
        ),
        mcp_servers=[{"type": "url", "url": "https://example.com", "name": "m"}],
        context_management={"edits": []},
        container="container_1",
    ),
    _ask(
        {"role": "user", "content": "Search."},
        _assistant(
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
            _text("Found.", citations=[]),
        ),
        {"role": "user", "content": [_text("Thanks")]},
        tools=[{"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["example.com"]}],
    ),
]
FOR_A_REAL_MODEL = 2  # so many of them, at the end
COUNTED = {"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"}


def counting(request: Json) -> Json:
    """The same for count_tokens, which takes fewer fields."""
    return {name: value for name, value in request.items() if name in COUNTED}


TEXTS = [
    "", " ", "\x00", "\ud800", "\udfff\ud800", "\u2028", "\ufeff", "é", "😀" * 10, "a" * 5000, "true", "null", "0",
    "text", "user", "assistant", "system", "tool_use", "tool_result", "image", "ephemeral", "base64", "claude-opus-4-8",
    "offline/claude-opus-4-8", "../../etc/passwd", "{{7*7}}", "%s%n", "(a+)+$", "toolu_01A", "image/png", "\r\nx: y",
    "2026-13-45T99:99:99Z", "AAAA", "====", "#/$defs/spot", "https://", "\n\nHuman:", "a'b\"c\\d", "<|endoftext|>",
]  # fmt: skip
NASTY: list[Callable[[], Json]] = [
    lambda: None,
    lambda: True,
    lambda: False,
    lambda: 0,
    lambda: -1,
    lambda: 1,
    lambda: 2**31,
    lambda: 2**63,
    lambda: -(2**64),
    lambda: 10**400,
    lambda: 1e308,
    lambda: 0.1,
    lambda: -0.0,
    lambda: 1.0,
    lambda: float("nan"),
    lambda: float("inf"),
    list,
    dict,
    lambda: [[]],
    lambda: [None],
    lambda: {"": None},
    lambda: {"type": None},
    lambda: {"type": "text"},
    lambda: {"type": []},
    lambda: {"type": "of_a_later_version", "x": 1},
    lambda: {"$ref": "#"},
    lambda: {"$ref": "https://example.com/schema.json"},
    lambda: {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    lambda: _nested(60, "list"),
    lambda: _nested(60, "dict"),
    lambda: _nested(200, "dict"),
    lambda: ["x"] * 300,
    lambda: dict.fromkeys(map(str, range(300))),
]


def _nested(depth: int, kind: str) -> Json:
    value: Json = "deep"
    for _ in range(depth):
        value = [value] if kind == "list" else {"a": value}
    return value


def random_json(rng: random.Random, depth: int = 0) -> Json:
    """Any JSON value, not too large; keys are often those of the API."""
    roll = rng.random()
    if depth > 5 or roll < 0.25:
        return rng.choice(TEXTS)
    if roll < 0.5:
        return rng.choice(NASTY)()
    if roll < 0.75:
        return [random_json(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(_KEYS): random_json(rng, depth + 1) for _ in range(rng.randrange(6))}


def _keys_of(value: Json) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(_keys_of, value)) if value else set()
    if isinstance(value, dict):
        return set(value).union(*map(_keys_of, value.values())) if value else set()
    return set()


_KEYS = sorted(_keys_of(REQUESTS)) + TEXTS[:8]


def mutated(rng: random.Random, *, counts: bool = False) -> bytes:
    """A real request with a few changes, as bytes; sometimes a last one to the bytes.

    Half of the changes are made where any JSON is legal, or any text, so that many requests stay good ones.
    """
    request = json.loads(json.dumps(rng.choice(REQUESTS)))
    if counts:
        request = counting(request)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        holder, key = _free_place(rng, request) if rng.random() < 0.5 else rng.choice(_places(request))
        rng.choice(_CHANGES)(rng, holder, key, request)
    body = json.dumps(request, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    return scrambled(rng, body) if rng.random() < 0.15 else body


def _places(value: Json) -> list[tuple[Json, Any]]:
    """Every (container, key) in it."""
    found: list[tuple[Json, Any]] = []
    pending = [value]
    while pending and len(found) < 3000:
        item = pending.pop()
        keys: Any = item.keys() if isinstance(item, dict) else range(len(item))
        for key in keys:
            found.append((item, key))
            if isinstance(item[key], list | dict) and item[key]:
                pending.append(item[key])
    return found or [({"x": 1}, "x")]


def changed(rng: random.Random, value: Json) -> bytes:
    """Any JSON value with a change or two, as bytes."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice([0, 1, 1, 2])):
        holder, key = rng.choice(_places(value))
        rng.choice(_CHANGES)(rng, holder, key, value)
    body = json.dumps(value, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    return scrambled(rng, body) if rng.random() < 0.15 else body


def _free_place(rng: random.Random, request: Json) -> tuple[Json, Any]:
    """A place in a schema or in a tool's input, or a text."""
    places = _places(request)
    roots = [holder[key] for holder, key in places if key in ("input_schema", "schema", "input")]
    if roots and rng.random() < 0.8:
        root = rng.choice(roots)
        return rng.choice(_places(root)) if isinstance(root, list | dict) else rng.choice(places)
    texts = [(holder, key) for holder, key in places if key in ("text", "content", "description", "data", "system")]
    return rng.choice(texts or places)


def _delete(rng: random.Random, holder: Json, key: Any, whole: Json) -> None:
    del holder[key]


def _replace(rng: random.Random, holder: Json, key: Any, whole: Json) -> None:
    holder[key] = rng.choice(NASTY)()


def _say(rng: random.Random, holder: Json, key: Any, whole: Json) -> None:
    holder[key] = rng.choice(TEXTS)


def _retype(rng: random.Random, holder: Json, key: Any, whole: Json) -> None:
    value = holder[key]
    holder[key] = rng.choice(
        [str(value), [value], {"type": value}, len(str(value)), {str(value)[:50]: value}, value is None]
    )


def _duplicate(rng: random.Random, holder: Json, key: Any, whole: Json) -> None:
    copy = json.loads(json.dumps(holder[key]))
    if isinstance(holder, list):
        holder[key:key] = [copy] * rng.choice([1, 1, 50])
    else:
        holder[rng.choice(_KEYS)] = copy


def _transplant(rng: random.Random, holder: Json, key: Any, whole: Json) -> None:
    other, place = rng.choice(_places(rng.choice(REQUESTS)))
    holder[key] = json.loads(json.dumps(other[place]))


def _add(rng: random.Random, holder: Json, key: Any, whole: Json) -> None:
    if isinstance(holder, dict):
        holder[rng.choice(_KEYS)] = random_json(rng, 3)
    else:
        holder.insert(rng.randint(0, len(holder)), random_json(rng, 3))


def _swap(rng: random.Random, holder: Json, key: Any, whole: Json) -> None:
    other, place = rng.choice(_places(whole))
    holder[key], other[place] = json.loads(json.dumps([other[place], holder[key]]))


_CHANGES = [_delete, _replace, _replace, _say, _say, _retype, _duplicate, _transplant, _add, _swap]


def scrambled(rng: random.Random, data: bytes) -> bytes:
    """Bytes with some changed, cut out, doubled or put in."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(6):
            case 0:
                out[at:at] = rng.randbytes(rng.randint(1, 4))
            case 1:
                del out[at : at + rng.randint(1, 20)]
            case 2:
                out[at:at] = out[at : at + rng.randint(1, 60)]
            case 3:
                out[at : at + 1] = rng.choice(
                    [b'"', b"{", b"}", b"[", b"]", b"\\", b",", b":", b"\x00", b"\xff", b"\\u"]
                )
            case 4:
                out[at:at] = rng.choice([b"[", b'{"a":', b"\\ud800", b"9", b"{}"]) * rng.choice([1, 10, 3000])
            case _:
                del out[at:]
    return bytes(out)
