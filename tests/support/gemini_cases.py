"""What the tests of Gemini share: a checked request in the dialect, and the message of a recorded reply."""

import json
from typing import Any

from translating_cases import FIXTURES, Json, body_of, folded, question, read_stream, stream_bytes

from dragoman.providers.base import Operation
from dragoman.providers.gemini import Gemini
from dragoman.providers.gemini_reply import GeminiReply

__all__ = [
    "G3",
    "G25",
    "SIGNATURE",
    "WEATHER",
    "calls",
    "chunks_of",
    "keywords",
    "lost",
    "message_of",
    "recording",
    "reply_of",
    "sent",
    "stream_of",
    "translated",
]

G3, G25 = "gemini-3-flash-preview", "gemini-2.5-flash"
SIGNATURE = "CpQBAVSoXO7kQ0Tz/9aG+Vw8mXz0yJ3u5cW1b2Rl8fGh4JkLmNoPqRsTuVwXyZ01=="  # that recordings have
WEATHER: Json = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def translated(model: str = G3, **fields: Any) -> GeminiReply:
    return Gemini().translate(question(model, **fields))


def sent(model: str = G3, **fields: Any) -> Json:
    """The body that goes out."""
    return body_of(translated(model, **fields).request.body)


def lost(model: str = G3, **fields: Any) -> list[str]:
    return list(translated(model, **fields).lost)


def recording(kind: str, name: str) -> Json:
    return body_of((FIXTURES / "gemini" / kind / f"{name}.json").read_bytes())


def chunks_of(name: str) -> list[Any]:
    chunks: list[Any] = recording("streams", name)["stream"]
    return chunks


def stream_of(name: str) -> bytes:
    """With the line ends that Google's servers send."""
    return stream_bytes(chunks_of(name)).replace(b"\n", b"\r\n")


def message_of(name: str, **fields: Any) -> Json:
    """What the recorded stream makes."""
    return folded(read_stream(translated(stream=True, **fields).stream(), stream_of(name)))


def reply_of(name: str, **fields: Any) -> Json:
    body = json.dumps(recording("replies", name)["reply"]).encode()
    return body_of(translated(**fields).read(Operation.MESSAGES, body).body)


def calls(message: Json) -> list[Json]:
    return [block for block in message["content"] if block["type"] == "tool_use"]


def keywords(schema: Any) -> set[str]:
    """All that stand in a schema; the names of properties are none."""
    if not isinstance(schema, dict):
        return set()
    found = set(schema)
    for key, value in schema.items():
        below = value.values() if key == "properties" else value if isinstance(value, list) else [value]
        found |= {name for each in below for name in keywords(each)}
    return found
