"""Google's Vertex AI: Claude by `rawPredict`, as the Messages API passes through; Gemini by `generateContent`.

Claude: the model stands in the address, the version in the body, and betas in the header `anthropic-beta`. A beta or a
field that Vertex does not know is refused with 400 there, so both are left out and told (pain 14): see
vertex_claude.py. Lost: `cache_control` of the whole request and its `scope`, `container`, `mcp_servers`,
`service_tier`, `inference_geo`, `speed`, `fallbacks`, `diagnostics`, tools that Vertex does not run (all but web search
and tool search) and what a history holds of them, `input_examples`, `allowed_callers` and `eager_input_streaming` of
tools, fields of single messages, changes of tools amid them, betas that have no row there, and whatever came after this
was written. Images and documents by address, or by the id of a file, are refused. System turns are users' for models
that know none.

Gemini: as gemini.py, at another address. Calls have ids from Gemini 3 on; files by address have a media type.

Sources, read 2026-11-21: lib/vertex of the package anthropic 2.11; "Versions" and "Claude Models on Google Cloud
(Google managed)" of Anthropic's documentation; google.rpc.Code; the package google-genai 3.4, which tells the two
Geminis apart; and what people have shown of Vertex, beside each line.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from dragoman.errors import (
    ApiError,
    BillingProblem,
    Conflict,
    InvalidRequest,
    NoSuchModel,
    NotFound,
    Overloaded,
    PermissionDenied,
    RateLimited,
    RequestTooLarge,
    Unauthenticated,
    UpstreamFailed,
    UpstreamTimeout,
)
from dragoman.wire.envelope import Envelope
from dragoman.wire.headers import Headers, betas
from dragoman.wire.sse import EventTooLarge, ServerEvent, SSEDecoder
from dragoman.wire.types import Usage

from .anthropic import Messages
from .base import Answered, Count, ErrorReply, Operation, StreamReader, Target, UpstreamRequest
from .cloud_claude import fitted
from .gemini import Gemini
from .gemini_reply import retry_after
from .gemini_request import Writing
from .vertex_claude import COUNTS, MESSAGES

__all__ = ["RawPredict", "VertexGemini", "is_claude"]

CLAUDE = "claude"
MODEL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._@-]*")  # it stands in the URL

# The caller's version -> `anthropic_version`. The newer one goes by its own name ("Versions", and lib/vertex).
VERSIONS = {"2023-06-01": "vertex-2023-10-16", "2026-10-21": "2026-10-21"}
OLDEST = VERSIONS["2023-06-01"]


def is_claude(model: str) -> bool:
    """Whether Vertex speaks the Messages API with a model of this name."""
    return model.startswith(CLAUDE)


class RawPredict:
    """The adapter of Claude on Vertex."""

    name = "vertex"

    def __init__(self) -> None:
        self._messages = Messages()

    def prepare(self, operation: Operation, envelope: Envelope, headers: Headers, *, target: Target) -> UpstreamRequest:
        """Raises CannotCarry for an image or document that Vertex would have to fetch, NoSuchModel for what is no
        name of a model."""
        counts = operation is Operation.COUNT_TOKENS
        envelope.model()
        _must_be_a_name(target.model)
        more: dict[str, Any] = {"anthropic_version": VERSIONS.get(headers.get("anthropic-version") or "", OLDEST)}
        if counts:
            more["model"] = target.model.partition("@")[0]  # with a version it is refused: BerriAI/litellm#25798
        cloud = COUNTS if counts else MESSAGES
        fit = fitted(envelope, headers.once(betas), model=target.model, cloud=cloud)
        stream = not counts and envelope.stream()
        return UpstreamRequest(
            url=_url(target, "count-tokens" if counts else target.model, stream=stream),
            headers=_headers(target, [*fit.requested | fit.required], stream=stream),
            body=fit.body(more),
            lost=tuple(fit.lost),
        )

    def count(self, envelope: Envelope, headers: Headers, *, target: Target) -> Count:
        """Not in every region, nor of every model; then the gateway estimates."""
        return Count(
            request=self.prepare(Operation.COUNT_TOKENS, envelope, headers, target=target), field="input_tokens"
        )

    def read(self, operation: Operation, body: bytes) -> Answered:
        return self._messages.read(operation, body)

    def stream(self) -> StreamReader:
        return _Stream(self._messages.stream())

    def read_error(self, status: int, body: bytes, *, request_id: str) -> ErrorReply:
        """Claude's own envelope as it came, also where Google's error holds it; else Google's error in one, or what
        the status of a page of somebody's means."""
        error = _google_error(body) or {}
        inner = error.get("message", "")
        for own in (body, inner.encode() if isinstance(inner, str) else b""):
            reply = self._messages.read_error(status, own, request_id=request_id)
            if reply.body is own:
                return reply
        meant = _meant(status, error)
        return ErrorReply(meant.status, msgspec.json.encode(meant.body(request_id)))

    def retry_after(self, body: bytes) -> int | None:
        """Of a google.rpc.RetryInfo."""
        details = (_google_error(body) or {}).get("details")
        return retry_after([each for each in details if isinstance(each, dict)] if isinstance(details, list) else [])


def _must_be_a_name(model: str) -> None:
    if not MODEL.fullmatch(model):
        raise NoSuchModel(f"model: {model}")


def _url(target: Target, model: str, *, stream: bool) -> str:
    verb = "streamRawPredict" if stream else "rawPredict"
    return f"{target.base_url}/publishers/anthropic/models/{model}:{verb}"


def _headers(target: Target, named: Sequence[str], *, stream: bool) -> list[tuple[str, str]]:
    headers = [("content-type", "application/json"), ("accept", "text/event-stream" if stream else "application/json")]
    if named:
        headers.append(("anthropic-beta", ",".join(named)))
    return headers + _credentials(target)


def _credentials(target: Target) -> list[tuple[str, str]]:
    """A key or token that was configured; those of `auth = "google"` the gateway adds."""
    if target.api_key is None:
        return []
    if target.auth == "bearer":
        return [("authorization", f"Bearer {target.api_key}")]
    return [("x-goog-api-key", target.api_key)]


# -- streams --

OWN_EVENT = "vertex_event"  # usage once more, by price. SDKs that know the API's events alone fail: vercel/ai#11309


class _Stream:
    """Claude's events as they came, without those that are Vertex's own. An error of Google's is what follows them."""

    def __init__(self, inner: StreamReader) -> None:
        self.has_content = self.is_done = self.failed_first = False
        self.error: bytes | None = None
        self.stop_reason: str | None = None
        self.failure: ApiError | None = None
        self._inner = inner
        self._decoder = SSEDecoder()
        self._held: list[bytes] = []  # pieces of an event that has not ended: joined once, however many
        self._out = 0  # bytes of the stream looked at

    @property
    def usage(self) -> Usage | None:
        return self._inner.usage

    def feed(self, chunk: bytes) -> bytes:
        if self.is_done:
            return b""
        if self.failure is not None:
            raise self.failure
        meant: ApiError | None = None
        try:
            whole, meant = self._whole(chunk, self._decoder.feed(chunk))
            ready = self._inner.feed(whole)
        except EventTooLarge as error:
            self.failure = UpstreamFailed(f"The upstream's stream cannot be read: {error}.")
            raise self.failure from error
        finally:
            self._note()
        if meant is None or self.is_done or self.failure is not None:
            return ready
        self.failure = meant
        if not ready:
            raise meant
        return ready

    def close(self) -> bytes:
        if self.failure is not None:
            raise self.failure
        return self._inner.close()

    def _note(self) -> None:
        inner = self._inner
        self.has_content, self.is_done = inner.has_content, inner.is_done
        self.error, self.failed_first = inner.error, inner.failed_first
        self.stop_reason = inner.stop_reason
        self.failure = self.failure or inner.failure

    def _whole(self, chunk: bytes, events: Sequence[ServerEvent]) -> tuple[bytes, ApiError | None]:
        """Claude's events that are whole now, and the error that stands in the next one's place."""
        self._held.append(chunk)
        start, end = self._out, self._decoder.boundary
        if end == start:
            return b"", None
        held = b"".join(self._held)
        ready, rest = held[: end - start], held[end - start :]
        self._held = [rest] if rest else []
        self._out = end
        meant: ApiError | None = None
        for event in reversed(events):
            if (failed := _failed(event)) is not None:
                ready, meant = ready[: event.start - start], failed
            elif event.name == OWN_EVENT or event.data.startswith(b'{"type":"vertex_event"'):
                ready = ready[: event.start - start] + ready[event.end - start :]
        return ready, meant


def _failed(event: ServerEvent) -> ApiError | None:
    """What an event that is an error of Google's means; None for any other."""
    if event.name not in ("error", "message") or (error := _google_error(event.data)) is None:
        return None
    return _meant(error.get("code"), error)


# -- errors --

TOO_LARGE = re.compile(r"payload size exceeds|request (?:size|entity).*(?:too large|exceeds)", re.IGNORECASE)
# google.rpc.Code.
BY_NAME: Mapping[str, type[ApiError]] = {
    "INVALID_ARGUMENT": InvalidRequest,
    "FAILED_PRECONDITION": InvalidRequest,
    "OUT_OF_RANGE": InvalidRequest,
    "UNAUTHENTICATED": Unauthenticated,
    "PERMISSION_DENIED": PermissionDenied,
    "NOT_FOUND": NotFound,
    "UNIMPLEMENTED": NotFound,
    "ABORTED": Conflict,
    "ALREADY_EXISTS": Conflict,
    "RESOURCE_EXHAUSTED": RateLimited,
    "UNAVAILABLE": Overloaded,
    "DEADLINE_EXCEEDED": UpstreamTimeout,
    "CANCELLED": UpstreamFailed,
    "DATA_LOSS": UpstreamFailed,
    "INTERNAL": UpstreamFailed,
    "UNKNOWN": UpstreamFailed,
}
BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthenticated,
    402: BillingProblem,
    403: PermissionDenied,
    404: NotFound,
    408: UpstreamTimeout,
    409: Conflict,
    413: RequestTooLarge,
    429: RateLimited,
    503: Overloaded,
    504: UpstreamTimeout,
    529: Overloaded,
}


def _google_error(body: bytes) -> Mapping[str, Any] | None:
    """The `error` of Google's form, also where it stands in an array; None for anything else, Claude's own included."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(told, list) and told:
        told = told[0]
    if not isinstance(told, dict) or "type" in told:
        return None
    error = told.get("error")
    return error if isinstance(error, dict) else None


def _meant(status: Any, error: Mapping[str, Any]) -> ApiError:
    """Google's error in the tree of ours, in its words."""
    status = status if isinstance(status, int) and 400 <= status <= 599 else 500
    told, message = error.get("status"), error.get("message")
    if not isinstance(message, str) or not message:
        message = f"The upstream answered with status {status}."
    cls = BY_NAME.get(told) if isinstance(told, str) else None
    cls = cls or BY_STATUS.get(status) or (InvalidRequest if status < 498 else UpstreamFailed)
    if cls is InvalidRequest and TOO_LARGE.search(message):
        cls = RequestTooLarge
    return cls(message)


# -- Gemini --

WITH_IDS = (3, 0)  # of calls: before, "Unknown name "id"". Taken by v1 since 2026-09-21: anomalyco/opencode PR#50504
IMAGE = "image/jpeg"  # of a file whose address does not tell

JSON = dict[str, Any]


class _Writing(Writing):
    """What a body may not hold, or must."""

    mixes_tools = False  # `includeServerSideToolInvocations` is unknown here

    def body(self) -> JSON:
        body = super().body()
        for content in body["contents"]:
            for part in content["parts"]:
                self._fit(part)
        return body

    def _fit(self, part: JSON) -> None:
        for name in ("functionCall", "functionResponse"):
            if name in part and self._model.version < WITH_IDS:
                part[name].pop("id", None)
        if (linked := part.get("fileData")) is not None:
            linked.setdefault("mimeType", IMAGE)


class VertexGemini(Gemini):
    """Messages <-> generateContent of Vertex."""

    name = "vertex"
    writing = _Writing

    def url(self, target: Target, method: str) -> str:
        model = target.model.removeprefix("models/")
        _must_be_a_name(model)
        return f"{target.base_url}/publishers/google/models/{model}:{method}"

    def credentials(self, target: Target) -> list[tuple[str, str]]:
        return _credentials(target)

    def counted(self, target: Target, body: JSON) -> JSON:
        return body
