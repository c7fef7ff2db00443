"""What the tests of translated dialects share: questions, recorded replies, and events read as a client reads them.

Recordings lie in tests/providers/fixtures/DIALECT/{streams,replies}/NAME.json, each with `source` and `date` (when it
was written), `asked` (fields of the request that the reply needs), `stream` (an object is a data line; a text is a line
as it stands) or `reply`, and the `message` or `error` that is to come of it. Where a dialect streams AWS's frames, an
object is a frame, told as botocore tells it: {"contentBlockDelta": {...}}, {"throttlingException": {...}}; a text is
bytes as they stand; and {":error": {...}} is an error that the service model does not know. `model` is another model
than the usual one.
"""

import itertools
import json
from pathlib import Path
from typing import Any, NamedTuple

from dragoman.gateway.upstream.checked import foreign
from dragoman.providers.base import Capabilities, Question, StreamReader, Target, Translator
from dragoman.providers.eventstream import encode_frame
from dragoman.wire.codec import plain
from dragoman.wire.events import Event, Fold, StreamLaw, decode_event
from dragoman.wire.models import Model
from dragoman.wire.retold import retold
from dragoman.wire.sse import SSEDecoder
from dragoman.wire.types import MessagesRequest
from dragoman.wire.validate import validate_messages

__all__ = [
    "FIXTURES",
    "FRAMED",
    "SECRET",
    "TOOLS",
    "Json",
    "Recorded",
    "as_told",
    "asked",
    "body_of",
    "events_of",
    "folded",
    "question",
    "read_stream",
    "recorded",
    "stream_bytes",
    "translated_body",
    "usage_of",
]

FIXTURES = Path(__file__).parent.parent / "providers" / "fixtures"
SECRET = "sk-ours-0123456789"
INPUT_TOKENS = 9
ANY: Model = foreign("other")
BETAS = frozenset(
    {
        "computer-use-2025-01-24",
        "computer-use-2025-11-24",
        "context-management-2025-06-27",
        "mid-conversation-output-config-2026-07-01",
    }
)
TOOLS = [
    {"name": name, "input_schema": {"type": "object", "properties": {}}}
    for name in ("get_weather", "get_time", "get_date", "write", "python")
]

Json = dict[str, Any]
FRAMED = {"bedrock_converse"}  # dialects that stream AWS's frames


class Recorded(NamedTuple):
    """A reply of a provider, and what is to come of it."""

    name: str
    asked: Json
    chunks: list[Any]  # of a stream
    body: bytes  # of the whole
    message: Json | None
    error: Json | None
    model: str = "some-model"


def recorded(dialect: str, kind: str) -> list[Recorded]:
    """All recordings of a kind: "streams" or "replies"."""
    return [_recorded(path) for path in sorted((FIXTURES / dialect / kind).glob("*.json"))]


def _recorded(path: Path) -> Recorded:
    told = json.loads(path.read_text())
    assert told["source"], path
    assert len(told["date"]) == len("2026-11-21"), path
    chunks = told.get("stream", [])
    body = stream_bytes(chunks, path.parts[-3]) if chunks else json.dumps(told["reply"]).encode()
    expected = told.get("message"), told.get("error")
    return Recorded(path.stem, told.get("asked", {}), chunks, body, *expected, told.get("model", "some-model"))


def stream_bytes(chunks: list[Any], dialect: str = "") -> bytes:
    """Chunks as the bytes of an event stream."""
    return b"".join(_line(chunk, dialect) if isinstance(chunk, str) else as_told(chunk, dialect) for chunk in chunks)


def as_told(value: Any, dialect: str = "") -> bytes:
    """One chunk of a stream, whatever its value is."""
    if dialect in FRAMED:
        return _frame(value)
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def _line(line: str, dialect: str) -> bytes:
    end = "" if dialect in FRAMED else "\n\n" if line.startswith("data:") else "\n"
    return f"{line}{end}".encode()


def _frame(value: Any) -> bytes:
    name, told = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else ("", value)
    payload = json.dumps(told, ensure_ascii=False).encode()
    if name == ":error" and isinstance(told, dict):
        texts = {f":error-{key}": text for key, text in told.items() if isinstance(text, str)}
        return encode_frame({":message-type": "error", **texts}, b"")
    kind = "exception" if name.endswith("Exception") else "event"
    named = {":message-type": kind, f":{kind}-type": name, ":content-type": "application/json"}
    return encode_frame(named, payload)


def asked(**fields: Any) -> MessagesRequest:
    """A request as it comes out of the gateway's checks."""
    body = {"model": "claude-opus-4-8", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **fields}
    body["messages"], _ = retold(body["messages"])
    return validate_messages(body, ANY, version="2023-06-01", betas=BETAS)


def question(model: str = "some-model", *, can: Capabilities | None = None, **fields: Any) -> Question:
    numbers = itertools.count(1)
    url = "https://p.test/v1"
    return Question(
        request=asked(**fields),
        target=Target(
            provider="p", model=model, base_url=url, api_key=SECRET, auth="bearer", can=can or Capabilities()
        ),
        message_id="msg_1",
        input_tokens=INPUT_TOKENS,
        new_tool_id=lambda: f"toolu_{next(numbers)}",
    )


def translated_body(translator: Translator, model: str = "some-model", **fields: Any) -> Json:
    """The body that the provider is sent."""
    return body_of(translator.translate(question(model, **fields)).request.body)


def body_of(data: bytes) -> Json:
    value = json.loads(data)
    assert isinstance(value, dict)
    return value


def events_of(data: bytes) -> list[Event]:
    """Whole and lawful events; raises what the law raises."""
    decoder, law = SSEDecoder(), StreamLaw()
    events = [decode_event(event) for event in decoder.feed(data)]
    assert decoder.pending == 0
    for event in events:
        law.check(event)
    return events


def folded(data: bytes) -> Json:
    """The message that a client makes of a stream."""
    fold = Fold(keep_cut_text=False)
    for event in events_of(data):
        fold.add(event)
    assert fold.is_complete
    return fold.value()


def read_stream(reader: StreamReader, data: bytes) -> bytes:
    """All that a reader makes of a body. Raises ApiError as it does."""
    out = reader.feed(data)
    return out if reader.is_done else out + reader.close()


def usage_of(reader: StreamReader) -> Json | None:
    return None if reader.usage is None else plain(reader.usage)
