"""What Claude on Bedrock sends (frames with one event of the Messages API each, and exceptions in their place), and
what is sent to it."""

import json
from base64 import b64encode
from typing import Any

from dragoman.providers.base import Operation, Target, UpstreamRequest
from dragoman.providers.bedrock import InvokeModel
from dragoman.providers.eventstream import encode_frame
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers

__all__ = [
    "ADAPTER",
    "ARN",
    "ASK",
    "HAIKU",
    "METRICS",
    "MODELS",
    "OPUS_45",
    "OPUS_46",
    "OPUS_48",
    "OPUS_55",
    "SONNET",
    "chunk",
    "chunks_of",
    "exception",
    "prepared",
    "sent",
    "tool",
    "unmodeled",
]

Json = dict[str, Any]

METRICS = {
    "inputTokenCount": 25,
    "outputTokenCount": 7,
    "invocationLatency": 600,
    "firstByteLatency": 300,
    "cacheReadInputTokenCount": 5,
    "cacheWriteInputTokenCount": 10,
}


def chunk(event: Any, *, ensure_ascii: bool = False) -> bytes:
    """One event, with padding as Bedrock adds it."""
    data = event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=ensure_ascii).encode()
    payload = {"bytes": b64encode(data).decode(), "p": "abcdefghijk"[: len(data) % 11]}
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return encode_frame(headers, json.dumps(payload).encode())


def chunks_of(events: list[Any]) -> bytes:
    """A whole stream; the last event bears the metrics."""
    *before, last = events
    return b"".join([*map(chunk, before), chunk({**last, "amazon-bedrock-invocationMetrics": METRICS})])


def exception(name: str, message: str) -> bytes:
    """One that the service model names."""
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return encode_frame(headers, json.dumps({"message": message}).encode())


def unmodeled(code: str, message: str) -> bytes:
    return encode_frame({":error-code": code, ":error-message": message, ":message-type": "error"}, b"")


# What is sent.

ADAPTER = InvokeModel()
ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-6-v1"
HAIKU, SONNET, OPUS_45 = (
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "global.anthropic.claude-opus-4-5-20251101-v1:0",
)
OPUS_46, OPUS_48, OPUS_55 = ARN, "us.anthropic.claude-opus-4-8", "global.anthropic.claude-opus-5-5"
MODELS = (
    "us.anthropic.claude-sonnet-4-20250514-v1:0",
    "us.anthropic.claude-opus-4-1-20250805-v1:0",
    HAIKU,
    SONNET,
    OPUS_45,
    OPUS_46,
    "jp.anthropic.claude-sonnet-4-6",
    "us.anthropic.claude-opus-4-7",
    OPUS_48,
    "us.anthropic.claude-sonnet-5",
    "us.anthropic.claude-opus-5",
    OPUS_55,
    "us.anthropic.claude-fable-5-1",
)
ASK: Json = {"model": "claude-opus-4-8", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def prepared(
    fields: Json | bytes,
    *,
    model: str = OPUS_46,
    betas: str = "",
    operation: Operation = Operation.MESSAGES,
    **target: Any,
) -> UpstreamRequest:
    body = fields if isinstance(fields, bytes) else json.dumps({**ASK, **fields}).encode()
    headers = Headers([("anthropic-version", "2023-06-01"), *([("anthropic-beta", betas)] if betas else [])])
    values: Json = {"provider": "p", "model": model, "base_url": "https://b.test", "api_key": None, "auth": "aws"}
    return ADAPTER.prepare(operation, Envelope(body), headers, target=Target(**values | target))


def sent(fields: Json, **how: Any) -> tuple[Json, list[str]]:
    """The body that goes out, and what is lost."""
    request = prepared(fields, **how)
    return json.loads(request.body), list(request.lost)


def tool(**more: Any) -> Json:
    return {"name": "t", "input_schema": {"type": "object"}, **more}
