"""Recordings of the dialects that are the Messages API itself: at Anthropic's, on Bedrock and on Vertex.

They lie in tests/providers/fixtures/FOLDER/{streams,replies}/NAME.json as those of translating_cases.py do. Of a stream
an object is an event, a text a line as it stands; on Bedrock an object is a frame: {"chunk": EVENT}, or an exception,
as botocore tells it. What comes of it is the `message` that a client makes of the stream, or the `error`; `usage` where
the ledger is told more than the client. A reply with a `status` is an error; any other is handed on as it came.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from bedrock_cases import chunk
from translating_cases import FIXTURES, Json, as_told

from dragoman.providers.anthropic import Messages
from dragoman.providers.base import Adapter
from dragoman.providers.bedrock import InvokeModel
from dragoman.providers.vertex import RawPredict
from dragoman.wire.sse import encode_sse

__all__ = ["ADDED", "OWN_EVENTS", "PASSING", "Passed", "events_in", "passed", "told_bytes"]

FRAMED = "bedrock_claude"
PASSING: dict[str, Adapter] = {"messages": Messages(), FRAMED: InvokeModel(), "vertex_claude": RawPredict()}
ADDED = "amazon-bedrock-"  # how the names begin of all that Bedrock adds
OWN_EVENTS = frozenset({"vertex_event"})


class Passed(NamedTuple):
    """A reply of a provider, and what is to come of it."""

    folder: str
    name: str
    chunks: list[Any]  # of a stream
    reply: Any
    status: int
    message: Json | None
    error: Json | None
    usage: Json | None

    @property
    def body(self) -> bytes:
        return self.stream_of(self.chunks) if self.chunks else json.dumps(self.reply, ensure_ascii=False).encode()

    def stream_of(self, chunks: list[Any]) -> bytes:
        return b"".join(told_bytes(each, self.folder) for each in chunks)


def passed(folder: str, kind: str) -> list[Passed]:
    """All recordings of a kind: "streams" or "replies"."""
    return [_passed(path) for path in sorted((FIXTURES / folder / kind).glob("*.json"))]


def _passed(path: Path) -> Passed:
    told = json.loads(path.read_text())
    assert told["source"], path
    assert len(told["date"]) == len("2026-11-22"), path
    expected = told.get("message"), told.get("error"), told.get("usage")
    return Passed(
        path.parts[-3], path.stem, told.get("stream", []), told.get("reply"), told.get("status", 200), *expected
    )


def told_bytes(value: Any, folder: str, name: str | None = None) -> bytes:
    """One chunk of a stream, whatever its value is; `name` is an event's, where not what its data tells."""
    if isinstance(value, str):
        return f"{value}\n{'' if value.startswith('event:') else chr(10)}".encode()
    if folder == FRAMED:
        is_chunk = isinstance(value, dict) and value.keys() == {"chunk"}
        return chunk(value["chunk"]) if is_chunk else as_told(value, "bedrock_converse")
    name = name or (value.get("type") if isinstance(value, dict) else None)
    if not isinstance(name, str) or not name.isidentifier():
        return as_told(value)  # as Google tells errors
    return encode_sse(name, json.dumps(value, ensure_ascii=False).encode())


def events_in(case: Passed) -> list[Json]:
    """What of a stream is the Messages API's: its events, without what a cloud adds."""
    told = [_value(each) for each in case.chunks if not (isinstance(each, str) and each.startswith("event:"))]
    events = [each.get("chunk", each) if isinstance(each, dict) else {} for each in told]
    return [
        {name: item for name, item in event.items() if not name.startswith(ADDED)}
        for event in events
        if event.get("type", "vertex_event") not in OWN_EVENTS
    ]


def _value(told: Any) -> Any:
    return json.loads(told.removeprefix("data:")) if isinstance(told, str) else told
