"""Bedrock's InvokeModel for Claude: the Messages API in the envelope of a cloud.

The caller's bytes go out, but for `model` and `stream`, which stand in the URL there, `anthropic_version` and
`anthropic_beta`, which stand in the body, and what Claude on Bedrock does not take (bedrock_claude.py, with sources).
Replies come back byte for byte, without what Bedrock adds ("amazon-bedrock-..."); streams come in frames, each with one
event of the Messages API, and are handed on as server-sent events.

Lost on the way out: all fields but those of FIELDS there, such as `service_tier`, `inference_geo`, `container`,
`mcp_servers`, `fallbacks` and `thread`; tools that the API runs itself, and what a history holds of them; most betas;
and of some models `cache_control` at the top and its `ttl`, `output_config`, `context_management`, and options of
tools. Adaptive thinking is a budget for models that know no other, or lost. Images and documents by URL are refused
with a message that names them: Bedrock fetches nothing.
Source: AWS, Bedrock API reference, InvokeModel, InvokeModelWithResponseStream, CountTokens (service model
bedrock-runtime 2023-09-30, botocore 1.44), read 2026-11-21.
"""

import re
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Raw

from dragoman.errors import ApiError, NoSuchModel, UpstreamFailed
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers, betas
from dragoman.wire.sse import encode_sse

from .anthropic import Messages, MessagesStream
from .base import Answered, Count, ErrorReply, Operation, StreamReader, Target, UpstreamRequest
from .bedrock_claude import BEDROCK, is_claude_on_bedrock
from .bedrock_errors import error_in_frame, error_of
from .cloud_claude import CloudRequest, fitted
from .eventstream import EventStreamDecoder, Frame, FrameBroken
from .raw_json import value

__all__ = ["InvokeModel", "is_claude_on_bedrock"]

VERSION = "bedrock-2023-05-31"  # the newer ones that the API knows are refused for models with a version in their ids
MODEL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._:/-]{0,2047}")  # an id or an ARN: it stands in the URL
# An inference profile's id is that of its model behind the name of a region or of several: "us.", "global.".
PROFILE = re.compile(r"(?:arn:.*/)?[a-z-]+\.(anthropic\..+)")
FRAMES = "application/vnd.amazon.eventstream"
EVENT = "chunk"  # the only one that the service model has
ADDED = "amazon-bedrock-"  # what the names begin with of all that Bedrock adds
METRICS = "amazon-bedrock-invocationMetrics"
# Usage that only the metrics at the end tell, in some regions.
CACHE_METRICS = {
    "cacheReadInputTokenCount": "cache_read_input_tokens",
    "cacheWriteInputTokenCount": "cache_creation_input_tokens",
}
BROKEN = "The upstream's stream cannot be read"
NAME = re.compile(r"[a-z_]+")


class _Chunk(msgspec.Struct):
    """The payload of a frame; beside it there is padding."""

    bytes: bytes


class _Tokens(msgspec.Struct):
    inputTokens: int  # noqa: N815


class InvokeModel:
    """The adapter of Claude on Bedrock."""

    name = "bedrock"

    def __init__(self) -> None:
        self._messages = Messages()

    def prepare(self, operation: Operation, envelope: Envelope, headers: Headers, *, target: Target) -> UpstreamRequest:
        """Raises CannotCarry for what Bedrock would have to fetch, NoSuchModel for what cannot be a model."""
        envelope.model()
        if not MODEL.fullmatch(target.model):
            raise NoSuchModel(f"model: {target.model}")
        is_count = operation is Operation.COUNT_TOKENS
        fit = fitted(envelope, headers.once(betas), model=target.model, cloud=BEDROCK)
        more: dict[str, Any] = {"anthropic_version": VERSION}
        if is_count and "max_tokens" not in envelope.fields:
            more["max_tokens"] = _least_tokens(fit)  # a body for InvokeModel must have it
        if named := [*fit.required | fit.requested]:
            more["anthropic_beta"] = named
        body = fit.body(more)
        if is_count:
            path, model = "count-tokens", counted_model(target.model)
            body = msgspec.json.encode({"input": {"invokeModel": {"body": b64encode(body).decode()}}})
        else:
            path, model = "invoke-with-response-stream" if envelope.stream() else "invoke", target.model
        return UpstreamRequest(
            url=f"{target.base_url}/model/{quote(model, safe='')}/{path}",
            headers=_headers(target, accept=FRAMES if path.endswith("stream") else "application/json"),
            body=body,
            lost=tuple(fit.lost),
        )

    def count(self, envelope: Envelope, headers: Headers, *, target: Target) -> Count:
        """How the tokens of a request are counted: not every model's can be."""
        return Count(
            request=self.prepare(Operation.COUNT_TOKENS, envelope, headers, target=target), field="inputTokens"
        )

    def read(self, operation: Operation, body: bytes) -> Answered:
        if operation is Operation.COUNT_TOKENS:
            return Answered(body=_counted(body), usage=None)
        return self._messages.read(operation, _without_additions(body) if ADDED.encode() in body else body)

    def read_error(self, status: int, body: bytes, *, request_id: str) -> ErrorReply:
        """Older models' errors are AWS's, newer models' the API's own, which are handed on as they came."""
        error = error_of(status, body)
        own = self._messages.read_error(status, body, request_id=request_id)
        if own.body is body and msgspec.json.decode(body)["error"]["message"] == error.message:
            return own
        return ErrorReply(error.status, msgspec.json.encode(error.body(request_id)))

    def stream(self) -> StreamReader:
        return _Stream()


def counted_model(model: str) -> str:
    """The model itself: of an inference profile Bedrock says that its tokens cannot be counted (pydantic-ai#3367)."""
    found = PROFILE.fullmatch(model)
    return model if found is None else found[1]


def _headers(target: Target, *, accept: str) -> list[tuple[str, str]]:
    """None of the caller's. Without a key the gateway signs what is sent."""
    headers = [("content-type", "application/json"), ("accept", accept)]
    if target.api_key is not None and target.auth != "aws":
        headers.append(("authorization", f"Bearer {target.api_key}"))
    return headers


def _least_tokens(request: CloudRequest) -> int:
    """As few as may be asked for."""
    thinking = value(request.field("thinking"))
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return budget + 1 if isinstance(budget, int) and budget > 0 else 1


# -- replies --


def _counted(body: bytes) -> bytes:
    try:
        tokens = msgspec.json.decode(body, type=_Tokens).inputTokens
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamFailed("The upstream's reply is no count of tokens.") from error
    return msgspec.json.encode({"input_tokens": tokens})


def _without_additions(body: bytes) -> bytes:
    try:
        fields = msgspec.json.decode(body, type=dict[str, Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body  # whoever reads it finds out
    kept = {name: raw for name, raw in fields.items() if not name.startswith(ADDED)}
    return body if len(kept) == len(fields) else msgspec.json.encode(kept)


class _Stream(MessagesStream):
    """Frames in; their events go to the reader of the Messages API, as server-sent ones."""

    def __init__(self) -> None:
        super().__init__()
        self._frames = EventStreamDecoder()

    def feed(self, chunk: bytes) -> bytes:
        if self.is_done:
            return b""
        if self.failure is not None:
            raise self.failure
        events: list[bytes] = []
        failure: ApiError | None = None
        try:
            for frame in self._frames.feed(chunk):
                events.append(self._event(frame))  # noqa: PERF401 (those before a broken one count)
        except FrameBroken as error:
            failure = UpstreamFailed(f"{BROKEN}: {error}.")
            failure.__cause__ = error
        except ApiError as error:
            failure = error
        ready = super().feed(b"".join(events)) if events else b""
        if failure is None or self.failure is not None or self.is_done:
            return ready
        self.failure = failure
        if not ready:
            raise failure
        return ready

    def _event(self, frame: Frame) -> bytes:
        """Raises ApiError for an exception in an event's place."""
        if (error := error_in_frame(frame)) is not None:
            raise error
        if frame.headers.get(":event-type", EVENT) != EVENT or not frame.payload:
            return b""  # of a later time
        try:
            data = msgspec.json.decode(frame.payload, type=_Chunk).bytes
            fields = msgspec.json.decode(data, type=dict[str, Raw])
            name = msgspec.json.decode(fields["type"], type=str)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError) as error:
            raise UpstreamFailed(f"{BROKEN}: a frame holds no event.") from error
        if not NAME.fullmatch(name):
            raise UpstreamFailed(f"{BROKEN}: a frame holds no event.")
        if any(field.startswith(ADDED) for field in fields):
            self._note_metrics(fields.get(METRICS))
            data = msgspec.json.encode({field: raw for field, raw in fields.items() if not field.startswith(ADDED)})
        if b"\n" in data or b"\r" in data:
            data = msgspec.json.format(data, indent=-1)  # an event is one line
        return encode_sse(name, data)

    def _note_metrics(self, raw: Raw | None) -> None:
        try:
            metrics = {} if raw is None else msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.DecodeError:
            return
        for theirs, ours in CACHE_METRICS.items():
            if ours not in self._told and isinstance(metrics.get(theirs), int):
                self._told[ours] = metrics[theirs]
